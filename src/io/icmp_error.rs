//! What the network reports of a datagram that was sent: an ICMP error, validated, in words of sockets.

use core::net::{IpAddr, SocketAddr};

use super::InterfaceId;

/// What went wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IcmpErrorKind {
    /// No route to the peer's network. Linux: `ENETUNREACH`.
    NetworkUnreachable,
    /// No route to the peer, or it does not answer its router. Linux: `EHOSTUNREACH`.
    HostUnreachable,
    /// The peer does not speak UDP. Linux: `ENOPROTOOPT`.
    ProtocolUnreachable,
    /// Nobody listens on the peer's port. Linux: `ECONNREFUSED`.
    PortUnreachable,
    /// Longer than a link on the way carries, and not to be fragmented. Linux: `EMSGSIZE`.
    TooBig {
        /// The largest packet, in bytes, that the reporting router would pass on; 0 if it does not say.
        mtu: u16,
    },
    /// A rule forbids it. Linux: `EHOSTUNREACH`.
    Prohibited,
    /// It was on its way for too long. Linux: `EHOSTUNREACH`.
    TtlExceeded,
    /// The peer did not receive all of its fragments in time. Linux: `EHOSTUNREACH`.
    ReassemblyTimeExceeded,
    /// Someone could not read its header. Linux: `EPROTO`.
    ParameterProblem {
        /// The byte of the packet that is wrong, counted from the start of its header.
        pointer: u32,
    },
    /// Any other code of "unreachable". Linux: `EHOSTUNREACH` and others.
    Unreachable,
    /// An error of a type that this host does not know. Linux: `EPROTO`.
    Unknown,
}

impl IcmpErrorKind {
    /// Its name in text and JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NetworkUnreachable => "network_unreachable",
            Self::HostUnreachable => "host_unreachable",
            Self::ProtocolUnreachable => "protocol_unreachable",
            Self::PortUnreachable => "port_unreachable",
            Self::TooBig { .. } => "too_big",
            Self::Prohibited => "prohibited",
            Self::TtlExceeded => "ttl_exceeded",
            Self::ReassemblyTimeExceeded => "reassembly_time_exceeded",
            Self::ParameterProblem { .. } => "parameter_problem",
            Self::Unreachable => "unreachable",
            Self::Unknown => "unknown",
        }
    }
}

/// An ICMP error about a datagram that a socket of ours may have sent.
///
/// Its quoted addresses and our port were found to be those of an open socket; that does not prove it true. Anyone on the
/// way, and whoever guesses the addresses and ports, can send one (RFC 5927): it is a hint.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IcmpError {
    /// What went wrong.
    pub kind: IcmpErrorKind,
    /// Who says so: a router on the way, or the peer.
    pub reporter: IpAddr,
    /// From where the datagram was sent: ours.
    pub local: SocketAddr,
    /// To where it was sent.
    pub peer: SocketAddr,
    /// The interface by which the error came.
    pub interface: InterfaceId,
    /// Its type, as it was on the wire.
    pub icmp_type: u8,
    /// Its code, as it was on the wire.
    pub icmp_code: u8,
}
