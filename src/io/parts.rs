//! Where the parts of a datagram lie in its packet: what ingress hands to a service.

use super::PortId;

/// To whom a datagram was addressed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cast {
    /// To one of our addresses.
    Unicast,
    /// To a joined group.
    Multicast,
    /// To everyone on the link.
    Broadcast,
}

/// What the UDP checksum field of the request is worth to an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PayloadSum {
    /// It holds the right sum. Swapping addresses and ports leaves it right.
    Valid,
    /// It holds no sum (0, or a virtio peer's partial one): an answer computes its own.
    Absent,
}

/// Where the parts of a datagram lie in its packet, and what reception found out. Offsets are proven to lie inside.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Parts {
    /// Offset of the IP header.
    pub l3: u16,
    /// Offset of the UDP header.
    pub l4: u16,
    /// The UDP length field: header and payload.
    pub udp_len: u16,
    /// To whom it was addressed.
    pub cast: Cast,
    /// What the checksum field is worth.
    pub sum: PayloadSum,
    /// The port that it came in by.
    pub port: PortId,
    /// The socket that it is for: an index into the worker's sockets.
    pub socket: u32,
}
