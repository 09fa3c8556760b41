//! Linux's sockets, in a namespace of their own, at the two ends of which the test holds the far ends.

use std::cell::Cell;
use std::io::{IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};
use std::{array, fs, thread};

use nix::errno::Errno;
use nix::libc;
use nix::sched::{CloneFlags, CpuSet, sched_getcpu, sched_setaffinity, unshare};
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, SockaddrStorage, bind,
    connect, getpeername, getsockname, getsockopt, recvmsg, sendmsg, socket, sockopt,
};
use nix::unistd::Pid;

use super::host::{Host, Incoming, Told};
use super::ops::*;
use super::options::{self, GroupFilter, GroupRequest, GroupSourceRequest, Mreqn};
use super::packets;
use crate::common::{FarEnd, Netns, RawPeer, written};

/// `AF_INET` and `AF_INET6`, as an address has them.
const FAMILY4: u16 = 2;
const FAMILY6: u16 = 10;

/// Linux's numbers of the two interfaces.
const INDICES: [u32; 2] = [11, 12];
const INDEX_MISSING: u32 = 99;

/// How long the proof that all has been dealt with may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A namespace with two interfaces, and the far ends of their links.
#[derive(Debug)]
pub struct Kernel {
    sockets: [Option<OwnedFd>; SLOTS],
    links: [RawPeer; 2],
    fences: Cell<u16>,
    /// What the host sent, and nobody has asked for.
    sent: Vec<(u32, Vec<u8>)>,
    /// Whether a frame may be on its way.
    is_settled: bool,
    /// Whether it was told that a packet of IPv4, or of IPv6, is too big.
    knows_paths: [bool; 2],
    host: Netns,
    _peer: Netns,
}

impl Kernel {
    /// With the addresses, neighbours and gateway of [`who`]; nothing in it speaks unasked but of its groups.
    pub fn new() -> Self {
        stay_on_this_cpu();
        keep_files_apart();
        let (host, peer) = (Netns::new(), Netns::new());
        for (n, index) in INDICES.iter().enumerate() {
            host.ip(&format!("link add e{n} index {index} type veth peer name p{n} netns {}", peer.path()));
            for (netns, device) in [(&host, format!("e{n}")), (&peer, format!("p{n}"))] {
                netns.run("ethtool", &["-K", &device, "tx", "off", "gso", "off", "gro", "off"]);
            }
            peer.ip(&format!("link set p{n} up"));
            let interface = u32::try_from(n).unwrap() + 1;
            host.ip(&format!("link set e{n} address {}", written(who::own_mac(interface))));
        }
        for (key, value) in [
            ("disable_ipv6", "0"),
            ("dad_transmits", "0"),
            ("accept_dad", "0"),
            ("router_solicitations", "0"),
            ("accept_ra", "0"),
        ] {
            for device in ["e0", "e1"] {
                host.set6(&format!("conf/{device}/{key}"), value);
            }
        }
        host.set6("conf/lo/disable_ipv6", "0");
        host.set6("icmp/ratelimit", "0");
        host.enter(|| {
            for (key, value) in [
                ("icmp_ratelimit", "0"),
                ("icmp_msgs_per_sec", "1000000"),
                ("icmp_msgs_burst", "1000000"),
                // By its short cut, a group's datagram that one member of SO_REUSEPORT wants goes to another one by hash, whatever
                // that has joined.
                ("ip_early_demux", "0"),
            ] {
                fs::write(format!("/proc/sys/net/ipv4/{key}"), value).unwrap();
            }
        });
        for n in 0..2 {
            host.ip(&format!("link set e{n} up"));
        }
        let device_of = |ip: IpAddr| match ip {
            IpAddr::V4(ip) if ip.octets()[1] == 19 => "e1",
            IpAddr::V6(ip) if ip.segments()[2] == 1 => "e1",
            _ => "e0",
        };
        for ip in who::OWN {
            host.ip(&format!("addr add {ip}/24 brd + dev {}", device_of(ip)));
        }
        // Of two that are as good as each other Linux prefers the newer.
        for ip in who::OWN6.iter().rev() {
            host.ip(&format!("addr add {ip}/64 dev {} nodad", device_of(*ip)));
        }
        let neighbors = [&who::PEERS[..], &who::PEERS6, &who::LOCAL_PEERS6, &[who::GATEWAY, who::GATEWAY6]];
        for ip in neighbors.concat() {
            let mac = written(who::peer_mac(ip));
            host.ip(&format!("neigh replace {ip} lladdr {mac} dev {} nud permanent", device_of(ip)));
        }
        // The one who fences.
        for n in 0..2 {
            let fence = format!("198.{}.0.250", 18 + n);
            let mac = written(who::peer_mac(fence.parse().unwrap()));
            host.ip(&format!("neigh replace {fence} lladdr {mac} dev e{n} nud permanent"));
        }
        host.ip(&format!("route add default via {}", who::GATEWAY));
        host.ip(&format!("-6 route add default via {} dev e0", who::GATEWAY6));
        let deadline = Instant::now() + Duration::from_secs(5);
        for (n, local) in who::LOCAL6.iter().enumerate() {
            while !host.ip(&format!("-6 addr show dev e{n} -tentative")).contains(&local.to_string()) {
                assert!(Instant::now() < deadline, "Linux takes no link-local address");
                thread::sleep(Duration::from_millis(5));
            }
        }
        let links = array::from_fn(|n| RawPeer::new(&peer, &format!("p{n}")));
        Self {
            sockets: array::from_fn(|_| None),
            links,
            fences: Cell::new(0),
            sent: Vec::new(),
            is_settled: false,
            knows_paths: [false; 2],
            host,
            _peer: peer,
        }
    }

    fn fd(&self, slot: Slot) -> &OwnedFd {
        self.sockets[slot].as_ref().expect("an open socket")
    }

    /// Routes of IPv4 that no path is known by.
    fn make_routes_anew(&self) {
        let gateway = format!("default via {}", who::GATEWAY);
        let link = |n: usize, own: IpAddr| {
            format!("198.{}.0.0/24 dev e{n} proto kernel scope link src {own}", 18 + n)
        };
        let links = [link(0, who::OWN[0]), link(1, who::OWN[2])];
        for (verb, routes) in
            [("del", [&gateway, &links[0], &links[1]]), ("add", [&links[0], &links[1], &gateway])]
        {
            routes.iter().for_each(|route| drop(self.host.ip(&format!("route {verb} {route}"))));
        }
    }

    /// Waits until the host has dealt with all that came, and sees all that it sent.
    fn settle(&mut self) {
        self.fences.update(|fences| fences.wrapping_add(1));
        for (link, interface) in self.links.iter().zip([FIRST, SECOND]) {
            link.send(&packets::fence(interface, self.fences.get()));
            let deadline = Instant::now() + PATIENCE;
            loop {
                let frame = link.next(deadline).expect("Linux answers pings");
                if packets::is_fence(&frame.bytes) {
                    break;
                }
                self.sent.push((interface, frame.bytes));
            }
        }
        self.is_settled = true;
    }
}

/// What is sent on one CPU is received in that order: a fence overtakes nothing.
fn stay_on_this_cpu() {
    let mut cpus = CpuSet::new();
    cpus.set(sched_getcpu().unwrap()).unwrap();
    sched_setaffinity(Pid::from_raw(0), &cpus).unwrap();
}

/// From now on no other thread's files are this thread's. A program that another test starts would hold our sockets from its fork to
/// its exec, and a socket that was closed meanwhile would still have its port.
pub fn keep_files_apart() {
    unshare(CloneFlags::CLONE_FILES).unwrap();
}

/// Linux's number of an interface.
fn index(interface: u32) -> u32 {
    match interface {
        NO_INTERFACE => 0,
        MISSING => INDEX_MISSING,
        other => INDICES[usize::try_from(other).unwrap() - 1],
    }
}

/// An interface by Linux's number; the loopback device is none of ours.
fn interface(index: u32) -> u32 {
    INDICES.iter().position(|i| *i == index).map_or(NO_INTERFACE, |n| u32::try_from(n).unwrap() + 1)
}

/// With Linux's number of the scope.
fn outward(addr: SocketAddr) -> SockaddrStorage {
    match addr {
        SocketAddr::V6(v6) => SocketAddrV6::new(*v6.ip(), v6.port(), 0, index(v6.scope_id())).into(),
        SocketAddr::V4(v4) => v4.into(),
    }
}

fn inward(addr: &SockaddrStorage) -> Option<SocketAddr> {
    if let Some(v4) = addr.as_sockaddr_in() {
        return Some(SocketAddr::from((v4.ip(), v4.port())));
    }
    let v6 = addr.as_sockaddr_in6()?;
    Some(SocketAddrV6::new(v6.ip(), v6.port(), 0, interface(v6.scope_id())).into())
}

impl Host for Kernel {
    fn open(&mut self, slot: Slot, domain: Domain) -> Result<(), Errno> {
        let family = match domain {
            Domain::V4 => AddressFamily::Inet,
            Domain::V6 => AddressFamily::Inet6,
        };
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        let fd = self.host.enter(|| socket(family, SockType::Datagram, flags, None))?;
        options::say_everything(&fd, domain);
        self.sockets[slot] = Some(fd);
        Ok(())
    }

    fn is_open(&self, slot: Slot) -> bool {
        self.sockets[slot].is_some()
    }

    fn close(&mut self, slot: Slot) {
        self.sockets[slot] = None;
    }

    fn set(&mut self, slot: Slot, opt: Opt, value: i32) -> Result<(), Errno> {
        let by_index = || i32::try_from(index(u32::try_from(value).unwrap())).unwrap();
        // UDP_CORK sends.
        self.is_settled &= opt != Opt::Cork;
        let fd = self.fd(slot);
        match opt {
            Opt::MulticastIf => options::set_interface(fd, Mreqn::of_index(by_index())),
            Opt::MulticastIf6 | Opt::BindToDevice => options::set(fd, opt, by_index()),
            _ => options::set(fd, opt, value),
        }
    }

    fn get(&mut self, slot: Slot, opt: Opt) -> Result<i32, Errno> {
        options::get(self.fd(slot), opt)
    }

    fn bind(&mut self, slot: Slot, to: SocketAddr) -> Result<(), Errno> {
        bind(self.fd(slot).as_raw_fd(), &outward(to))
    }

    fn connect(&mut self, slot: Slot, to: SocketAddr) -> Result<(), Errno> {
        connect(self.fd(slot).as_raw_fd(), &outward(to))
    }

    fn disconnect(&mut self, slot: Slot) -> Result<(), Errno> {
        rustix::net::connect_unspec(self.fd(slot)).map_err(|e| Errno::from_raw(e.raw_os_error()))
    }

    fn send(
        &mut self,
        slot: Slot,
        to: Option<SocketAddr>,
        payload: &[u8],
        control: Control,
    ) -> Result<usize, Errno> {
        self.is_settled = false;
        // A peer with port 0 is not told.
        let to_whom = to.or_else(|| self.peer(slot).ok()).or_else(|| self.name(slot).ok());
        let is_v4 = to_whom.is_none_or(|to| to.ip().to_canonical().is_ipv4());
        let (info4, info6) = options::packet_infos(control.info, index);
        let (ttl, tos6) = (control.ttl.unwrap_or_default(), i32::from(control.tos.unwrap_or_default()));
        let tos = control.tos.unwrap_or_default();
        let mut messages = Vec::new();
        messages.extend(info4.as_ref().map(ControlMessage::Ipv4PacketInfo));
        messages.extend(info6.as_ref().map(ControlMessage::Ipv6PacketInfo));
        messages.extend(control.ttl.map(|_| match is_v4 {
            true => ControlMessage::Ipv4Ttl(&ttl),
            false => ControlMessage::Ipv6HopLimit(&ttl),
        }));
        messages.extend(control.tos.map(|_| match is_v4 {
            true => ControlMessage::Ipv4Tos(&tos),
            false => ControlMessage::Ipv6TClass(&tos6),
        }));
        let flags = if control.more { MsgFlags::from_bits_retain(libc::MSG_MORE) } else { MsgFlags::empty() };
        let to = to.map(outward);
        sendmsg(self.fd(slot).as_raw_fd(), &[IoSlice::new(payload)], &messages, flags, to.as_ref())
    }

    fn receive(&mut self, slot: Slot, room: usize, peek: bool) -> Result<Incoming, Errno> {
        let mut buf = vec![0; room];
        let mut iov = [IoSliceMut::new(&mut buf)];
        let mut space = vec![0; 512];
        let mut flags = MsgFlags::MSG_TRUNC;
        flags.set(MsgFlags::MSG_PEEK, peek);
        let fd = self.fd(slot).as_raw_fd();
        let message = recvmsg::<SockaddrStorage>(fd, &mut iov, Some(&mut space), flags)?;
        let mut incoming = Incoming {
            payload: Vec::new(),
            len: message.bytes,
            is_truncated: message.flags.contains(MsgFlags::MSG_TRUNC),
            from: message.address.as_ref().and_then(inward),
            to: None,
            local: None,
            interface: NO_INTERFACE,
            ttl: None,
            tos: None,
        };
        for control in message.cmsgs()? {
            match control {
                ControlMessageOwned::Ipv4PacketInfo(info) => {
                    incoming.to = Some(IpAddr::V4(u32::from_be(info.ipi_addr.s_addr).into()));
                    incoming.local = Some(u32::from_be(info.ipi_spec_dst.s_addr).into());
                    incoming.interface = interface(u32::try_from(info.ipi_ifindex).unwrap());
                }
                ControlMessageOwned::Ipv6PacketInfo(info) => {
                    let to = Ipv6Addr::from(info.ipi6_addr.s6_addr);
                    // Of a mapped one both speak, and IPv4's has more to say.
                    if to.to_ipv4_mapped().is_none() {
                        incoming.to = Some(to.into());
                        incoming.interface = interface(info.ipi6_ifindex);
                    }
                }
                ControlMessageOwned::Ipv4Ttl(ttl) | ControlMessageOwned::Ipv6HopLimit(ttl) => {
                    incoming.ttl = Some(ttl);
                }
                ControlMessageOwned::Ipv4Tos(tos) => incoming.tos = Some(tos.into()),
                ControlMessageOwned::Ipv6TClass(tos) => incoming.tos = Some(tos),
                other => panic!("nobody asked for {other:?}"),
            }
        }
        let len = incoming.len.min(room);
        buf.truncate(len);
        incoming.payload = buf;
        Ok(incoming)
    }

    fn told(&mut self, slot: Slot) -> Result<Told, Errno> {
        let mut buf = vec![0; super::host::ROOM];
        let mut iov = [IoSliceMut::new(&mut buf)];
        let mut space = vec![0; 512];
        let fd = self.fd(slot).as_raw_fd();
        let message = recvmsg::<SockaddrStorage>(fd, &mut iov, Some(&mut space), MsgFlags::MSG_ERRQUEUE)?;
        let to = message.address.as_ref().and_then(inward);
        let found = message.cmsgs()?.find_map(|control| match control {
            ControlMessageOwned::Ipv4RecvErr(error, offender) => {
                let offender = offender.filter(|o| o.sin_family == FAMILY4);
                Some((error, offender.map(|o| IpAddr::V4(u32::from_be(o.sin_addr.s_addr).into()))))
            }
            ControlMessageOwned::Ipv6RecvErr(error, offender) => {
                let offender = offender.filter(|o| o.sin6_family == FAMILY6);
                Some((error, offender.map(|o| IpAddr::V6(o.sin6_addr.s6_addr.into()))))
            }
            _ => None,
        });
        let (error, offender) = found.expect("an error in the queue of errors");
        Ok(Told {
            errno: Errno::from_raw(i32::try_from(error.ee_errno).unwrap()),
            origin: error.ee_origin,
            kind: error.ee_type,
            code: error.ee_code,
            info: error.ee_info,
            offender,
            to,
        })
    }

    fn take_error(&mut self, slot: Slot) -> i32 {
        getsockopt(self.fd(slot), sockopt::SocketError).unwrap()
    }

    fn member(
        &mut self,
        slot: Slot,
        verb: Verb,
        interface: u32,
        group: IpAddr,
        source: Option<IpAddr>,
    ) -> Result<(), Errno> {
        let (fd, index) = (self.fd(slot), index(interface));
        match source {
            None => options::member(fd, verb, &GroupRequest::new(index, group)),
            Some(source) => options::member_of(fd, verb, &GroupSourceRequest::new(index, group, source)),
        }
    }

    fn set_filter(
        &mut self,
        slot: Slot,
        interface: u32,
        group: IpAddr,
        exclude: bool,
        sources: &[IpAddr],
    ) -> Result<(), Errno> {
        options::set_filter(self.fd(slot), &GroupFilter::new(index(interface), group, exclude, sources))
    }

    fn filter(&mut self, slot: Slot, interface: u32, group: IpAddr) -> Result<(bool, Vec<IpAddr>), Errno> {
        let fd = self.fd(slot);
        let (mode, sources) = match group {
            IpAddr::V4(group) if interface == NO_INTERFACE => options::get_filter_by_route(fd, group)?,
            _ => options::get_filter(fd, group, index(interface))?,
        };
        // RFC 3678 5.1.2: MCAST_EXCLUDE.
        Ok((mode == 0, sources))
    }

    fn name(&mut self, slot: Slot) -> Result<SocketAddr, Errno> {
        let name: SockaddrStorage = getsockname(self.fd(slot).as_raw_fd())?;
        Ok(inward(&name).unwrap())
    }

    fn peer(&mut self, slot: Slot) -> Result<SocketAddr, Errno> {
        let name: SockaddrStorage = getpeername(self.fd(slot).as_raw_fd())?;
        Ok(inward(&name).unwrap())
    }

    fn arrive(&mut self, interface: u32, frame: &[u8]) {
        self.is_settled = false;
        self.knows_paths[0] |= packets::is_too_big4(frame);
        self.knows_paths[1] |= packets::is_too_big6(frame);
        self.links[usize::try_from(interface).unwrap() - 1].send(frame);
        self.settle();
    }

    fn take_sent(&mut self) -> Vec<(u32, Vec<u8>)> {
        if !self.is_settled {
            self.settle();
        }
        std::mem::take(&mut self.sent)
    }

    fn start_anew(&mut self) {
        // No flush makes it forget all: what IPv4 has left of a path later discards a datagram that is begun (`dst_discard_out`), and
        // ip-route(8) may leave one of IPv6 for good.
        if self.knows_paths[1] {
            *self = Self::new();
            return;
        }
        self.sockets = array::from_fn(|_| None);
        if std::mem::take(&mut self.knows_paths[0]) {
            self.make_routes_anew();
        }
        self.host.enter(|| fs::write("/proc/sys/net/ipv4/route/flush", "1").unwrap());
        self.is_settled = false;
    }
}
