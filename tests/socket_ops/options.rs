//! Linux's socket options as numbers and structures: ip(7), ipv6(7), socket(7), RFC 3678 5.1.

use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{getsockopt, setsockopt, sockopt};
use nix::{getsockopt_impl, libc, setsockopt_impl, sockopt_impl};

use super::ops::{Domain, Opt, Verb};

/// Linux's number of an option, which no header that we have names.
const SO_BINDTOIFINDEX: i32 = 62;

macro_rules! numbers {
    ($($opt:ident = $level:expr, $name:path;)*) => {
        mod number {
            use super::*;
            $(sockopt_impl!($opt, Both, $level, $name, i32);)*
        }

        /// setsockopt.
        pub fn set(fd: &OwnedFd, opt: Opt, value: i32) -> Result<(), Errno> {
            match opt { $(Opt::$opt => setsockopt(fd, number::$opt, &value),)* }
        }

        /// getsockopt.
        pub fn get(fd: &OwnedFd, opt: Opt) -> Result<i32, Errno> {
            match opt { $(Opt::$opt => getsockopt(fd, number::$opt),)* }
        }
    };
}

numbers! {
    ReuseAddr = libc::SOL_SOCKET, libc::SO_REUSEADDR;
    ReusePort = libc::SOL_SOCKET, libc::SO_REUSEPORT;
    Broadcast = libc::SOL_SOCKET, libc::SO_BROADCAST;
    BindToDevice = libc::SOL_SOCKET, SO_BINDTOIFINDEX;
    V6Only = libc::IPPROTO_IPV6, libc::IPV6_V6ONLY;
    RecvErr = libc::IPPROTO_IP, libc::IP_RECVERR;
    RecvErr6 = libc::IPPROTO_IPV6, libc::IPV6_RECVERR;
    MulticastAll = libc::IPPROTO_IP, libc::IP_MULTICAST_ALL;
    MulticastAll6 = libc::IPPROTO_IPV6, libc::IPV6_MULTICAST_ALL;
    MulticastLoop = libc::IPPROTO_IP, libc::IP_MULTICAST_LOOP;
    MulticastLoop6 = libc::IPPROTO_IPV6, libc::IPV6_MULTICAST_LOOP;
    MulticastTtl = libc::IPPROTO_IP, libc::IP_MULTICAST_TTL;
    MulticastHops = libc::IPPROTO_IPV6, libc::IPV6_MULTICAST_HOPS;
    MulticastIf = libc::IPPROTO_IP, libc::IP_MULTICAST_IF;
    MulticastIf6 = libc::IPPROTO_IPV6, libc::IPV6_MULTICAST_IF;
    Ttl = libc::IPPROTO_IP, libc::IP_TTL;
    UnicastHops = libc::IPPROTO_IPV6, libc::IPV6_UNICAST_HOPS;
    Tos = libc::IPPROTO_IP, libc::IP_TOS;
    TrafficClass = libc::IPPROTO_IPV6, libc::IPV6_TCLASS;
    MtuDiscover = libc::IPPROTO_IP, libc::IP_MTU_DISCOVER;
    MtuDiscover6 = libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER;
    NoCheck = libc::SOL_SOCKET, libc::SO_NO_CHECK;
    RcvBuf = libc::SOL_SOCKET, libc::SO_RCVBUF;
    Cork = libc::SOL_UDP, libc::UDP_CORK;
}

sockopt_impl!(ReceiveTos, SetOnly, libc::IPPROTO_IP, libc::IP_RECVTOS, bool);

/// Everything that may come with a datagram shall come with it.
pub fn say_everything(fd: &OwnedFd, domain: Domain) {
    setsockopt(fd, sockopt::Ipv4PacketInfo, &true).unwrap();
    setsockopt(fd, sockopt::Ipv4RecvTtl, &true).unwrap();
    setsockopt(fd, ReceiveTos, &true).unwrap();
    if domain == Domain::V6 {
        setsockopt(fd, sockopt::Ipv6RecvPacketInfo, &true).unwrap();
        setsockopt(fd, sockopt::Ipv6RecvHopLimit, &true).unwrap();
        setsockopt(fd, sockopt::Ipv6RecvTClass, &true).unwrap();
    }
}

/// ip(7): `struct ip_mreqn`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Mreqn {
    group: u32,
    address: u32,
    index: i32,
}

impl Mreqn {
    pub fn of_index(index: i32) -> Self {
        Self { group: 0, address: 0, index }
    }
}

sockopt_impl!(MulticastInterface, SetOnly, libc::IPPROTO_IP, libc::IP_MULTICAST_IF, Mreqn);

/// IP_MULTICAST_IF.
pub fn set_interface(fd: &OwnedFd, by: Mreqn) -> Result<(), Errno> {
    setsockopt(fd, MulticastInterface, &by)
}

/// IP_PKTINFO or IPV6_PKTINFO as it is said when sending.
pub fn packet_infos(
    info: Option<(IpAddr, u32)>,
    index: impl Fn(u32) -> u32,
) -> (Option<libc::in_pktinfo>, Option<libc::in6_pktinfo>) {
    match info {
        None => (None, None),
        Some((IpAddr::V4(ip), interface)) => {
            let info = libc::in_pktinfo {
                ipi_ifindex: i32::try_from(index(interface)).unwrap(),
                ipi_spec_dst: libc::in_addr { s_addr: u32::from(ip).to_be() },
                ipi_addr: libc::in_addr { s_addr: 0 },
            };
            (Some(info), None)
        }
        Some((IpAddr::V6(ip), interface)) => {
            let ipi6_addr = libc::in6_addr { s6_addr: ip.octets() };
            (None, Some(libc::in6_pktinfo { ipi6_addr, ipi6_ifindex: index(interface) }))
        }
    }
}

/// An address of either version in as much room as any address takes: `struct sockaddr_storage`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
struct Storage {
    family: u16,
    port: u16,
    /// sin_addr, or sin6_flowinfo.
    word: [u8; 4],
    addr6: [u8; 16],
    rest: [u32; 26],
}

impl Storage {
    fn of(ip: IpAddr) -> Self {
        let family = if ip.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
        let mut storage = Self {
            family: u16::try_from(family).unwrap(),
            port: 0,
            word: [0; 4],
            addr6: [0; 16],
            rest: [0; 26],
        };
        match ip {
            IpAddr::V4(ip) => storage.word = ip.octets(),
            IpAddr::V6(ip) => storage.addr6 = ip.octets(),
        }
        storage
    }
}

/// RFC 3678 5.1.1: `struct group_req`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct GroupRequest {
    interface: u32,
    padding: u32,
    group: Storage,
}

/// RFC 3678 5.1.1: `struct group_source_req`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct GroupSourceRequest {
    interface: u32,
    padding: u32,
    group: Storage,
    source: Storage,
}

/// RFC 3678 5.1.2: `struct group_filter`, with room for so many sources.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct GroupFilter {
    interface: u32,
    padding: u32,
    group: Storage,
    mode: u32,
    count: u32,
    sources: [Storage; 4],
}

impl GroupRequest {
    pub fn new(interface: u32, group: IpAddr) -> Self {
        Self { interface, padding: 0, group: Storage::of(group) }
    }
}

impl GroupSourceRequest {
    pub fn new(interface: u32, group: IpAddr, source: IpAddr) -> Self {
        Self { interface, padding: 0, group: Storage::of(group), source: Storage::of(source) }
    }
}

impl GroupFilter {
    pub fn new(interface: u32, group: IpAddr, exclude: bool, from: &[IpAddr]) -> Self {
        let mut sources = [Storage::of(group); 4];
        for (source, ip) in sources.iter_mut().zip(from) {
            *source = Storage::of(*ip);
        }
        let count = u32::try_from(from.len()).unwrap();
        Self { interface, padding: 0, group: Storage::of(group), mode: (!exclude).into(), count, sources }
    }

    /// Of which version the group is.
    fn is_v4(&self) -> bool {
        i32::from(self.group.family) == libc::AF_INET
    }
}

/// The options of groups, which both IP versions have alike: RFC 3678 5.1.
macro_rules! group_options {
    ($module:ident, $level:expr) => {
        pub mod $module {
            use super::super::*;
            sockopt_impl!(Join, SetOnly, $level, libc::MCAST_JOIN_GROUP, GroupRequest);
            sockopt_impl!(Leave, SetOnly, $level, libc::MCAST_LEAVE_GROUP, GroupRequest);
            sockopt_impl!(JoinSource, SetOnly, $level, libc::MCAST_JOIN_SOURCE_GROUP, GroupSourceRequest);
            sockopt_impl!(LeaveSource, SetOnly, $level, libc::MCAST_LEAVE_SOURCE_GROUP, GroupSourceRequest);
            sockopt_impl!(Block, SetOnly, $level, libc::MCAST_BLOCK_SOURCE, GroupSourceRequest);
            sockopt_impl!(Unblock, SetOnly, $level, libc::MCAST_UNBLOCK_SOURCE, GroupSourceRequest);
            sockopt_impl!(Filter, SetOnly, $level, libc::MCAST_MSFILTER, GroupFilter);
        }
    };
}

mod group {
    group_options!(v4, libc::IPPROTO_IP);
    group_options!(v6, libc::IPPROTO_IPV6);
}

/// MCAST_JOIN_GROUP and MCAST_LEAVE_GROUP.
pub fn member(fd: &OwnedFd, verb: Verb, request: &GroupRequest) -> Result<(), Errno> {
    let is_v4 = i32::from(request.group.family) == libc::AF_INET;
    match (verb, is_v4) {
        (Verb::Join, true) => setsockopt(fd, group::v4::Join, request),
        (Verb::Join, false) => setsockopt(fd, group::v6::Join, request),
        (Verb::Leave, true) => setsockopt(fd, group::v4::Leave, request),
        (Verb::Leave, false) => setsockopt(fd, group::v6::Leave, request),
        _ => panic!("{verb:?} of which source?"),
    }
}

/// The four that speak of a source.
pub fn member_of(fd: &OwnedFd, verb: Verb, request: &GroupSourceRequest) -> Result<(), Errno> {
    let is_v4 = i32::from(request.group.family) == libc::AF_INET;
    match (verb, is_v4) {
        (Verb::JoinSource, true) => setsockopt(fd, group::v4::JoinSource, request),
        (Verb::JoinSource, false) => setsockopt(fd, group::v6::JoinSource, request),
        (Verb::LeaveSource, true) => setsockopt(fd, group::v4::LeaveSource, request),
        (Verb::LeaveSource, false) => setsockopt(fd, group::v6::LeaveSource, request),
        (Verb::Block, true) => setsockopt(fd, group::v4::Block, request),
        (Verb::Block, false) => setsockopt(fd, group::v6::Block, request),
        (Verb::Unblock, true) => setsockopt(fd, group::v4::Unblock, request),
        (Verb::Unblock, false) => setsockopt(fd, group::v6::Unblock, request),
        (Verb::Join | Verb::Leave, _) => panic!("{verb:?} is of any source"),
    }
}

/// MCAST_MSFILTER.
pub fn set_filter(fd: &OwnedFd, filter: &GroupFilter) -> Result<(), Errno> {
    if filter.is_v4() {
        setsockopt(fd, group::v4::Filter, filter)
    } else {
        setsockopt(fd, group::v6::Filter, filter)
    }
}

/// getsockopt `IP_MSFILTER`: `struct ip_msfilter` goes in and comes out. It takes no interface, where `MCAST_MSFILTER` of IPv4 finds none.
pub fn get_filter_by_route(fd: &OwnedFd, group: Ipv4Addr) -> Result<(u32, Vec<IpAddr>), Errno> {
    const ROOM: usize = 70;
    const HEAD: usize = 4;
    let mut words = [0_u32; HEAD + ROOM];
    words[0] = u32::from_ne_bytes(group.octets());
    words[3] = u32::try_from(ROOM).unwrap();
    let mut len = libc::socklen_t::try_from(size_of_val(&words)).unwrap();
    let at = words.as_mut_ptr().cast();
    // SAFETY: `at` is `len` bytes that are ours, aligned as the structure is.
    let done = unsafe { libc::getsockopt(fd.as_raw_fd(), libc::IPPROTO_IP, libc::IP_MSFILTER, at, &mut len) };
    Errno::result(done)?;
    let count = usize::try_from(words[3]).unwrap();
    let sources = words[HEAD..].iter().take(count).map(|word| IpAddr::V4(word.to_ne_bytes().into()));
    Ok((words[2], sources.collect()))
}

/// getsockopt `MCAST_MSFILTER`: `struct group_filter` goes in and comes out.
pub fn get_filter(fd: &OwnedFd, group: IpAddr, index: u32) -> Result<(u32, Vec<IpAddr>), Errno> {
    const STORAGE: usize = 128;
    const ROOM: usize = 70;
    let mut buf = vec![0_u64; (144 + STORAGE * ROOM) / 8];
    let mut bytes: Vec<u8> = vec![0; buf.len() * 8];
    bytes[..4].copy_from_slice(&index.to_ne_bytes());
    let family = if group.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    bytes[8..10].copy_from_slice(&u16::try_from(family).unwrap().to_ne_bytes());
    match group {
        IpAddr::V4(ip) => bytes[12..16].copy_from_slice(&ip.octets()),
        IpAddr::V6(ip) => bytes[16..32].copy_from_slice(&ip.octets()),
    }
    bytes[140..144].copy_from_slice(&u32::try_from(ROOM).unwrap().to_ne_bytes());
    for (word, eight) in buf.iter_mut().zip(bytes.chunks_exact(8)) {
        *word = u64::from_ne_bytes(eight.try_into().unwrap());
    }
    let mut len = libc::socklen_t::try_from(bytes.len()).unwrap();
    let level = if group.is_ipv4() { libc::IPPROTO_IP } else { libc::IPPROTO_IPV6 };
    let at = buf.as_mut_ptr().cast();
    // SAFETY: `at` is `len` bytes that are ours, aligned as the structure is.
    let done = unsafe { libc::getsockopt(fd.as_raw_fd(), level, libc::MCAST_MSFILTER, at, &mut len) };
    Errno::result(done)?;
    let bytes: Vec<u8> = buf.iter().flat_map(|word| word.to_ne_bytes()).collect();
    let word = |at: usize| u32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap());
    let sources = (0..usize::try_from(word(140)).unwrap()).map(|n| {
        let at = 144 + n * STORAGE;
        match group {
            IpAddr::V4(_) => IpAddr::V4(<[u8; 4]>::try_from(&bytes[at + 4..at + 8]).unwrap().into()),
            IpAddr::V6(_) => IpAddr::V6(<[u8; 16]>::try_from(&bytes[at + 8..at + 24]).unwrap().into()),
        }
    });
    Ok((word(136), sources.collect()))
}
