//! How a UDP datagram of ours leaves.

use core::net::SocketAddr;

use super::{InterfaceId, PmtuDiscovery};

/// From where, to where and in which manner a UDP datagram of ours leaves: what a socket's options and its caller decided.
///
/// Source and destination are of one IP version.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Departure {
    /// The interface that it leaves by.
    pub interface: InterfaceId,
    /// From this address and port.
    pub src: SocketAddr,
    /// To this address and port.
    pub dst: SocketAddr,
    /// Its time to live, or hop limit. `None`: the interface's, or 1 to a group (RFC 1112 6.1, RFC 3493 5.2). What has none
    /// left never leaves this host.
    pub ttl: Option<u8>,
    /// Its type of service, or traffic class: DSCP and ECN.
    pub tos: u8,
    /// What is done about the path MTU.
    pub discovery: PmtuDiscovery,
    /// Whether it has a UDP checksum. Over IPv6 nobody but the far end of a tunnel takes a datagram without one (RFC 6935 5,
    /// RFC 6936 4).
    pub checksum: bool,
    /// Whether sockets of this host hear it, too, if it goes to a group that they joined. `IP_MULTICAST_LOOP`.
    pub loopback: bool,
}

impl Departure {
    /// From `src` to `dst` by `interface`, and else as by default.
    #[must_use]
    pub const fn new(interface: InterfaceId, src: SocketAddr, dst: SocketAddr) -> Self {
        let discovery = PmtuDiscovery::Want;
        Self { interface, src, dst, ttl: None, tos: 0, discovery, checksum: true, loopback: true }
    }
}
