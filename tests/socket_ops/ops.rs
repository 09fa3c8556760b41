//! The calls and datagrams of which sequences are made, and what comes of each of them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use nix::errno::Errno;

/// A socket of a sequence, by its number.
pub type Slot = usize;

/// How many sockets a sequence has at a time.
pub const SLOTS: usize = 5;

/// The interfaces as sequences know them: none (0), two that are there, and one that is not.
pub const NO_INTERFACE: u32 = 0;
pub const FIRST: u32 = 1;
pub const SECOND: u32 = 2;
pub const MISSING: u32 = 9;

/// Of which version's addresses a socket is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Domain {
    V4,
    V6,
}

/// A port by its number, or the one that a socket has: U25, which number that is, is chance.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Port {
    Number(u16),
    Of(Slot),
    /// Of no socket of the sequence, and from the range of ephemeral ports.
    Ephemeral,
}

/// An address and port in a sequence.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct At {
    pub ip: IpAddr,
    pub port: Port,
    pub scope: u32,
}

impl At {
    pub const fn new(ip: IpAddr, port: Port) -> Self {
        Self { ip, port, scope: NO_INTERFACE }
    }

    pub const fn on(self, scope: u32) -> Self {
        Self { scope, ..self }
    }

    /// With the number of its port.
    pub fn with_number(self, port: u16) -> SocketAddr {
        match self.ip {
            IpAddr::V4(ip) => (ip, port).into(),
            IpAddr::V6(ip) => SocketAddrV6::new(ip, port, 0, self.scope).into(),
        }
    }
}

/// Socket options that have a number for a value: those of ip(7), ipv6(7), udp(7) and socket(7), by their names there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Opt {
    ReuseAddr,
    ReusePort,
    Broadcast,
    /// SO_BINDTOIFINDEX.
    BindToDevice,
    V6Only,
    RecvErr,
    RecvErr6,
    MulticastAll,
    MulticastAll6,
    MulticastLoop,
    MulticastLoop6,
    MulticastTtl,
    MulticastHops,
    /// By the number of an interface, as `ip_mreqn` has it.
    MulticastIf,
    MulticastIf6,
    Ttl,
    UnicastHops,
    Tos,
    TrafficClass,
    MtuDiscover,
    MtuDiscover6,
    NoCheck,
    RcvBuf,
    Cork,
}

/// What a socket does about a group: RFC 3678 5.1, and `Join` and `Leave` for any source.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verb {
    Join,
    Leave,
    JoinSource,
    LeaveSource,
    Block,
    Unblock,
}

/// What a caller of `sendmsg` says beside the payload.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Control {
    /// IP_PKTINFO or IPV6_PKTINFO: the source (unspecified: any) and interface.
    pub info: Option<(IpAddr, u32)>,
    pub ttl: Option<i32>,
    pub tos: Option<u8>,
    /// MSG_MORE.
    pub more: bool,
}

/// What someone on the way says about a datagram that was sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Complaint {
    PortUnreachable,
    HostUnreachable,
    Prohibited,
    HopLimitExceeded,
    TooBig(u16),
}

/// One step of a sequence.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Op {
    Open(Slot, Domain),
    Set(Slot, Opt, i32),
    Get(Slot, Opt),
    Bind(Slot, At),
    Connect(Slot, At),
    Disconnect(Slot),
    Send {
        slot: Slot,
        to: Option<At>,
        len: usize,
        control: Control,
    },
    /// With so much room; and as MSG_PEEK.
    Receive {
        slot: Slot,
        room: usize,
        peek: bool,
    },
    /// All that has come.
    Drain(Slot),
    /// All of the error queue.
    Errors(Slot),
    /// The oldest of it.
    Report(Slot),
    /// SO_ERROR.
    TakeError(Slot),
    Member {
        slot: Slot,
        verb: Verb,
        interface: u32,
        group: IpAddr,
        source: Option<IpAddr>,
    },
    SetFilter {
        slot: Slot,
        interface: u32,
        group: IpAddr,
        exclude: bool,
        sources: Vec<IpAddr>,
    },
    /// MCAST_MSFILTER, read.
    Filter {
        slot: Slot,
        interface: u32,
        group: IpAddr,
    },
    Name(Slot),
    Peer(Slot),
    Close(Slot),
    /// A datagram of someone else's.
    Arrive {
        interface: u32,
        from: At,
        to: At,
        len: usize,
        ttl: u8,
        tos: u8,
    },
    /// About the last datagram but so many.
    Complain {
        back: usize,
        what: Complaint,
    },
}

impl Op {
    /// The socket that it is about.
    pub fn slot(&self) -> Option<Slot> {
        match self {
            Self::Open(slot, _)
            | Self::Set(slot, ..)
            | Self::Get(slot, _)
            | Self::Bind(slot, _)
            | Self::Connect(slot, _)
            | Self::Disconnect(slot)
            | Self::Send { slot, .. }
            | Self::Receive { slot, .. }
            | Self::Drain(slot)
            | Self::Errors(slot)
            | Self::Report(slot)
            | Self::TakeError(slot)
            | Self::Member { slot, .. }
            | Self::SetFilter { slot, .. }
            | Self::Filter { slot, .. }
            | Self::Name(slot)
            | Self::Peer(slot)
            | Self::Close(slot) => Some(*slot),
            Self::Arrive { .. } | Self::Complain { .. } => None,
        }
    }
}

/// Octets, which say in few words what they are.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Payload(pub Vec<u8>);

impl Payload {
    /// Of the step with this number, in this length.
    pub fn of(step: usize, len: usize) -> Self {
        let label = format!("#{step} ");
        Self(label.bytes().cycle().take(len).collect())
    }
}

/// What was read from a socket.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Received {
    pub payload: Payload,
    /// Of the datagram, of which `payload` is what there was room for.
    pub len: usize,
    pub is_truncated: bool,
    pub from: Option<At>,
    /// To whom it was sent, and (IPv4) which address of the host answers for that: `ipi_addr` and `ipi_spec_dst`.
    pub to: Option<IpAddr>,
    pub local: Option<Ipv4Addr>,
    pub interface: u32,
    pub ttl: Option<i32>,
    pub tos: Option<i32>,
}

/// What was read from a socket's error queue.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    pub errno: Errno,
    /// SO_EE_ORIGIN_ of the local host, ICMP or ICMPv6.
    pub origin: u8,
    pub kind: u8,
    pub code: u8,
    pub info: u32,
    pub offender: Option<IpAddr>,
    /// Where the datagram went.
    pub to: Option<At>,
}

/// What a call returns.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Value {
    Done,
    /// There is no such socket now.
    NoSocket,
    Number(i64),
    At(At),
    Received(Vec<Received>),
    /// Of a port that sockets share by SO_REUSEPORT: what had come for each socket before, who hears some flow, and
    /// whether each flow has one socket, and keeps it.
    Shared {
        before: Vec<(Slot, Result<Vec<Received>, Errno>)>,
        heard: Vec<Slot>,
        keeps: bool,
    },
    Reports(Vec<Report>),
    /// Whether it is of those who are not wanted, and who: in no order.
    Filter {
        exclude: bool,
        sources: Vec<IpAddr>,
    },
}

/// What left the host.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Left {
    Datagram {
        interface: u32,
        mac: [u8; 6],
        from: At,
        to: At,
        ttl: u8,
        tos: u8,
        dont_fragment: bool,
        has_checksum: bool,
        /// Offset and length of each piece.
        pieces: Vec<(usize, usize)>,
        payload: Payload,
    },
    Error {
        interface: u32,
        from: IpAddr,
        to: IpAddr,
        kind: u8,
        code: u8,
        len: usize,
    },
}

/// What came of one step.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Step {
    pub result: Result<Value, Errno>,
    pub left: Vec<Left>,
}

impl fmt::Debug for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(port) => write!(f, "{port}"),
            Self::Of(slot) => write!(f, "port-of-{slot}"),
            Self::Ephemeral => write!(f, "ephemeral"),
        }
    }
}

impl fmt::Debug for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.ip, self.scope) {
            (IpAddr::V4(ip), _) => write!(f, "{ip}:{:?}", self.port),
            (IpAddr::V6(ip), NO_INTERFACE) => write!(f, "[{ip}]:{:?}", self.port),
            (IpAddr::V6(ip), scope) => write!(f, "[{ip}%{scope}]:{:?}", self.port),
        }
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {:?}", self.0.len(), String::from_utf8_lossy(&self.0[..self.0.len().min(6)]))
    }
}

/// The host, its neighbours, and groups.
pub mod who {
    use super::*;

    const fn v4(a: u8, b: u8, c: u8, d: u8) -> IpAddr {
        IpAddr::V4(Ipv4Addr::new(a, b, c, d))
    }

    const fn v6(site: u16, last: u16) -> IpAddr {
        IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, site, 0, 0, 0, 0, last))
    }

    const fn local(last: u16) -> IpAddr {
        IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, last))
    }

    const fn group6(scope: u16, a: u16, b: u16, c: u16) -> IpAddr {
        IpAddr::V6(Ipv6Addr::new(scope, 0, 0, 0, 0, a, b, c))
    }

    pub const ANY: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    pub const ANY6: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    /// The host's: two on the first interface, one on the second.
    pub const OWN: [IpAddr; 3] = [v4(198, 18, 0, 2), v4(198, 18, 0, 3), v4(198, 19, 0, 2)];
    pub const OWN6: [IpAddr; 3] = [v6(0, 2), v6(0, 3), v6(1, 2)];
    pub const LOCAL6: [IpAddr; 2] = [
        IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0xff, 0xfe00, 2)),
        IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0xff, 0xfe00, 0x102)),
    ];
    /// Two neighbours on the first link, one on the second.
    pub const PEERS: [IpAddr; 3] = [v4(198, 18, 0, 10), v4(198, 18, 0, 11), v4(198, 19, 0, 10)];
    pub const PEERS6: [IpAddr; 3] = [v6(0, 0x10), v6(0, 0x11), v6(1, 0x10)];
    /// The first two of them by their link-local addresses.
    pub const LOCAL_PEERS6: [IpAddr; 2] = [local(0x10), local(0x11)];
    /// Behind the gateway of the first link.
    pub const FAR: IpAddr = v4(203, 0, 113, 9);
    pub const FAR6: IpAddr = v6(0xffff, 9);
    pub const GATEWAY: IpAddr = v4(198, 18, 0, 1);
    pub const GATEWAY6: IpAddr = v6(0, 1);
    /// Nobody's.
    pub const FOREIGN: IpAddr = v4(203, 0, 113, 77);
    pub const FOREIGN6: IpAddr = v6(0xffff, 77);
    /// Everyone on the first link, and on the second.
    pub const BROADCAST: IpAddr = v4(198, 18, 0, 255);
    pub const BROADCAST_OF_SECOND: IpAddr = v4(198, 19, 0, 255);
    pub const LIMITED: IpAddr = IpAddr::V4(Ipv4Addr::BROADCAST);
    pub const GROUPS: [IpAddr; 3] = [v4(239, 1, 2, 3), v4(239, 1, 2, 4), v4(232, 1, 2, 3)];
    pub const ALL_HOSTS: IpAddr = v4(224, 0, 0, 1);
    pub const GROUPS6: [IpAddr; 3] =
        [group6(0xff0e, 1, 2, 3), group6(0xff02, 1, 2, 5), group6(0xff3e, 1, 2, 4)];
    pub const ALL_NODES: IpAddr = group6(0xff02, 0, 0, 1);

    /// Whether an address is the host's.
    pub fn is_own(ip: IpAddr) -> bool {
        interface_of(ip).is_some() || LOCAL6.contains(&ip)
    }

    /// The interface that has an address of the host; none is told of link-local ones.
    pub fn interface_of(own: IpAddr) -> Option<u32> {
        let of = |all: &[IpAddr]| all.iter().position(|ip| *ip == own);
        let place = of(&OWN).or_else(|| of(&OWN6))?;
        Some(if place == 2 { SECOND } else { FIRST })
    }

    /// The Ethernet address of the host's interface.
    pub fn own_mac(interface: u32) -> [u8; 6] {
        [2, 0, 0, 0, u8::from(interface == SECOND), 2]
    }

    /// The Ethernet address of whoever is at `ip`: the gateway for all who are on no link.
    pub fn peer_mac(ip: IpAddr) -> [u8; 6] {
        let last = match ip {
            IpAddr::V4(ip) => ip.octets()[3],
            IpAddr::V6(ip) => match ip.octets()[15] {
                // As people write them: ::10 is the neighbour .10.
                n @ 0x10..=0x19 => n - 6,
                n => n,
            },
        };
        [2, 0, 0, 0, 2, if ip == FAR || ip == FAR6 { 1 } else { last }]
    }
}
