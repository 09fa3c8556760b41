//! What socket calls may do, and what they fail with: the same random sequences of bind, connect, options and memberships to Linux's
//! sockets and to the rules that control keeps; the same results, errnos, names, peers and filters from both.
//!
//! Every sequence follows from its number, which is printed when the two differ.
#![cfg(feature = "sim")]

use std::array;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;

use crate::common::{Netns, may_run};
use crate::socket_ops::kernel::keep_files_apart;
use crate::socket_ops::ops::{Opt, Verb};
use crate::socket_ops::options::{self, GroupFilter, GroupRequest, GroupSourceRequest};
use crate::socket_rules::{Dev, Op, SLOTS, sequence};
use nix::libc;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrIn, SockaddrIn6, SockaddrStorage, bind, connect, getpeername,
    getsockname, socket,
};
use pollcast::addr::{Cidr, MacAddr, Unicast, V4, V6};
use pollcast::io::InterfaceId;
use pollcast::rng::Rng;
use pollcast::stack::net_view::{Narrow, NetView, ViewInterface};
use pollcast::stack::port_table::SocketId;
use pollcast::stack::route::{Route, Routes};
use pollcast::stack::sockets::{
    ConnectOptions, Domain, FilterMode, MemberChange, SocketLimits, SocketOption, Sockets,
};

const LIMITS: SocketLimits = SocketLimits { sockets: 64, memberships: 20, sources: 10, sources6: 64 };

/// Linux's numbers of the interfaces; the third is not there.
const INDICES: [u32; 3] = [11, 12, 99];

/// What came of an operation, and where the socket is then.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Came {
    errno: i32,
    local: Option<(IpAddr, u16, u32)>,
    peer: Option<(IpAddr, u16, u32)>,
    v6only: i32,
    device: i32,
    filter: Option<(u32, Vec<IpAddr>)>,
}

/// U25: which number an ephemeral port has is chance.
fn told(addr: SocketAddr, scope_of: impl Fn(u32) -> u32) -> (IpAddr, u16, u32) {
    let port = if addr.port() >= 32_768 { 32_768 } else { addr.port() };
    let scope = if let SocketAddr::V6(v6) = addr { scope_of(v6.scope_id()) } else { 0 };
    (addr.ip(), port, scope)
}

fn with_scope(ip: IpAddr, port: u16, scope: u32) -> SocketAddr {
    match ip {
        IpAddr::V4(ip) => (ip, port).into(),
        IpAddr::V6(ip) => SocketAddrV6::new(ip, port, 0, scope).into(),
    }
}

struct Linux {
    sockets: [Option<(OwnedFd, Domain)>; SLOTS],
    netns: Netns,
}

impl Linux {
    fn new() -> Self {
        keep_files_apart();
        let netns = Netns::new();
        for (n, index) in INDICES.iter().take(2).enumerate() {
            netns.ip(&format!("link add e{n} index {index} type veth peer name p{n}"));
            netns.ip(&format!("link set e{n} addrgenmode none"));
            netns.ip(&format!("link set p{n} up"));
            netns.set6(&format!("conf/e{n}/disable_ipv6"), "0");
            netns.set6(&format!("conf/e{n}/accept_ra"), "0");
            netns.ip(&format!("link set e{n} up"));
            let third = if n == 0 { String::new() } else { format!("{n}:") };
            netns.ip(&format!("addr add 198.{}.0.2/24 brd + dev e{n}", 18 + n));
            netns.ip(&format!("addr add 2001:db8:{third}:2/64 dev e{n} nodad"));
            netns.ip(&format!("addr add fe80::{}/64 dev e{n} nodad", n + 2));
            netns.ip(&format!("route add default via 198.{}.0.1 dev e{n} metric {}", 18 + n, n * 10));
            netns.ip(&format!("-6 route add default via 2001:db8:{third}:1 dev e{n} metric {}", n * 10 + 10));
        }
        Self { sockets: array::from_fn(|_| None), netns }
    }

    fn do_it(&mut self, op: &Op) -> Came {
        let mut filter = None;
        let (slot, result) = match op {
            Op::Open(slot, domain) => {
                let family = if *domain == Domain::V4 { AddressFamily::Inet } else { AddressFamily::Inet6 };
                let open = || socket(family, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None).unwrap();
                self.sockets[*slot] = Some((self.netns.enter(open), *domain));
                (*slot, Ok(()))
            }
            Op::Set(slot, opt, on) => (*slot, options::set(self.fd(*slot), *opt, (*on).into())),
            Op::Device(slot, dev) => {
                (*slot, options::set(self.fd(*slot), Opt::BindToDevice, i32::try_from(index(*dev)).unwrap()))
            }
            Op::Bind(slot, ip, port, dev) => {
                let fd = self.fd(*slot).as_raw_fd();
                (
                    *slot,
                    match with_scope(*ip, *port, index(*dev)) {
                        SocketAddr::V4(to) => bind(fd, &SockaddrIn::from(to)),
                        SocketAddr::V6(to) => bind(fd, &SockaddrIn6::from(to)),
                    },
                )
            }
            Op::Connect(slot, ip, port, dev) => {
                let fd = self.fd(*slot).as_raw_fd();
                (
                    *slot,
                    match with_scope(*ip, *port, index(*dev)) {
                        SocketAddr::V4(to) => connect(fd, &SockaddrIn::from(to)),
                        SocketAddr::V6(to) => connect(fd, &SockaddrIn6::from(to)),
                    },
                )
            }
            Op::Disconnect(slot) => {
                let done = rustix::net::connect_unspec(self.fd(*slot));
                (*slot, done.map_err(|e| nix::errno::Errno::from_raw(e.raw_os_error())))
            }
            Op::Member(slot, group, dev, change) => {
                let (fd, index) = (self.fd(*slot), index(*dev));
                let of = |verb, source: &IpAddr| {
                    options::member_of(fd, verb, &GroupSourceRequest::new(index, *group, *source))
                };
                let done = match change {
                    MemberChange::Join => options::member(fd, Verb::Join, &GroupRequest::new(index, *group)),
                    MemberChange::Leave => {
                        options::member(fd, Verb::Leave, &GroupRequest::new(index, *group))
                    }
                    MemberChange::JoinSource(source) => of(Verb::JoinSource, source),
                    MemberChange::LeaveSource(source) => of(Verb::LeaveSource, source),
                    MemberChange::Block(source) => of(Verb::Block, source),
                    MemberChange::Unblock(source) => of(Verb::Unblock, source),
                    MemberChange::SetFilter(mode, sources) => {
                        let exclude = *mode == FilterMode::Exclude;
                        options::set_filter(fd, &GroupFilter::new(index, *group, exclude, sources))
                    }
                };
                (*slot, done)
            }
            Op::Filter(slot, group, dev) => {
                let got = options::get_filter(self.fd(*slot), *group, index(*dev));
                let done = got.map(|got| filter = Some(got));
                (*slot, done)
            }
        };
        let mut came = self.seen(slot);
        came.errno = result.map_or_else(|errno| errno as i32, |()| 0);
        came.filter = filter;
        came
    }

    fn fd(&self, slot: usize) -> &OwnedFd {
        &self.sockets[slot].as_ref().unwrap().0
    }

    fn seen(&self, slot: usize) -> Came {
        let (fd, domain) = self.sockets[slot].as_ref().unwrap();
        let named = |name: nix::Result<SockaddrStorage>| {
            let name = name.ok()?;
            let v4 = name.as_sockaddr_in().map(|v4| SocketAddr::from((v4.ip(), v4.port())));
            let v6 = || {
                let v6 = name.as_sockaddr_in6()?;
                Some(SocketAddrV6::new(v6.ip(), v6.port(), 0, v6.scope_id()).into())
            };
            Some(told(v4.or_else(v6)?, |scope| scope))
        };
        let v6only = if *domain == Domain::V6 { options::get(fd, Opt::V6Only).unwrap() } else { 0 };
        Came {
            local: named(getsockname(fd.as_raw_fd())),
            peer: named(getpeername(fd.as_raw_fd())),
            v6only,
            device: options::get(fd, Opt::BindToDevice).unwrap(),
            ..Came::default()
        }
    }
}

fn index(dev: Dev) -> u32 {
    dev.map_or(0, |n| INDICES[n])
}

/// The rules, with the interfaces that Linux has.
struct Rules {
    sockets: Sockets,
    view: NetView,
    slots: [Option<(SocketId, bool)>; SLOTS],
}

fn v4(s: &str) -> Unicast<V4> {
    Unicast::new(s.parse().unwrap()).unwrap()
}

fn v6(s: &str) -> Unicast<V6> {
    Unicast::new(s.parse().unwrap()).unwrap()
}

fn view() -> NetView {
    let interface = |n: u16, own4: &str, via4: &str, own6: [&str; 2], via6: &str| ViewInterface {
        id: InterfaceId(n),
        name: format!("e{n}"),
        mtu: 1500,
        mac: MacAddr([2, 0, 0, 0, 0, 1]),
        v4: Arc::new(Routes::new(vec![Cidr::new(v4(own4), 24).unwrap()], vec![Route::default_via(v4(via4))])),
        v6: Arc::new(Routes::new(
            own6.iter().map(|own| Cidr::new(v6(own), 64).unwrap()).collect(),
            vec![Route::default_via(v6(via6))],
        )),
        v4_paths: Narrow::default(),
        v6_paths: Narrow::default(),
        v4_on: true,
        v6_on: true,
    };
    NetView {
        interfaces: vec![
            interface(0, "198.18.0.2", "198.18.0.1", ["2001:db8::2", "fe80::2"], "2001:db8::1"),
            interface(1, "198.19.0.2", "198.19.0.1", ["2001:db8:1::2", "fe80::3"], "2001:db8:1::1"),
        ],
    }
}

fn id(dev: Dev) -> Option<InterfaceId> {
    dev.map(|n| InterfaceId(u16::try_from(n).unwrap()))
}

/// Linux's number of an interface by ours.
fn index_of(scope: u32) -> u32 {
    scope.checked_sub(1).map_or(0, |n| INDICES[usize::try_from(n).unwrap()])
}

impl Rules {
    fn new(seed: u64) -> Self {
        let sockets = Sockets::new(LIMITS, &[], Rng::new(seed));
        Self { sockets, view: view(), slots: [None; SLOTS] }
    }

    fn do_it(&mut self, op: &Op) -> Came {
        let Self { sockets, view, slots } = self;
        let mut filter = None;
        let of = |slot: &usize| slots[*slot].unwrap();
        let (slot, errno) = match op {
            Op::Open(slot, domain) => {
                if let Some((old, _)) = slots[*slot].take() {
                    sockets.close(old).unwrap();
                    sockets.forget(old);
                }
                slots[*slot] = Some((sockets.open(*domain).unwrap(), false));
                (*slot, None)
            }
            Op::Set(slot, Opt::Broadcast, on) => {
                slots[*slot].as_mut().unwrap().1 = *on;
                (*slot, None)
            }
            Op::Set(slot, opt, on) => {
                let option = match opt {
                    Opt::ReuseAddr => SocketOption::ReuseAddress(*on),
                    Opt::ReusePort => SocketOption::ReusePort(*on),
                    Opt::V6Only => SocketOption::V6Only(*on),
                    Opt::MulticastAll => SocketOption::MulticastAll(*on),
                    Opt::MulticastAll6 => SocketOption::MulticastAll6(*on),
                    other => panic!("{other:?} is none of control's"),
                };
                (*slot, sockets.set(of(slot).0, option, view).err().map(|why| why.errno()))
            }
            Op::Device(slot, dev) => {
                let done = sockets.set(of(slot).0, SocketOption::Device(id(*dev)), view);
                (*slot, done.err().map(|why| why.errno()))
            }
            Op::Bind(slot, ip, port, dev) => {
                let to = with_scope(*ip, *port, id(*dev).map_or(0, InterfaceId::scope_id));
                (*slot, sockets.bind(of(slot).0, to, view).err().map(|why| why.errno()))
            }
            Op::Connect(slot, ip, port, dev) => {
                let to = with_scope(*ip, *port, id(*dev).map_or(0, InterfaceId::scope_id));
                let (id, broadcast) = of(slot);
                let options = ConnectOptions { broadcast, ..ConnectOptions::default() };
                (*slot, sockets.connect(id, to, &options, view).err().map(|why| why.errno()))
            }
            Op::Disconnect(slot) => (*slot, sockets.disconnect(of(slot).0).err().map(|why| why.errno())),
            Op::Member(slot, group, dev, change) => {
                let proposed = sockets.member(of(slot).0, (*group, id(*dev)), change, view);
                let result = proposed.and_then(|proposed| {
                    let result = proposed.result;
                    sockets.note(of(slot).0, proposed);
                    result
                });
                (*slot, result.err().map(|why| why.errno()))
            }
            Op::Filter(slot, group, dev) => {
                let got = sockets.filter(of(slot).0, (*group, id(*dev)), view);
                let got = got.map(|(mode, sources)| {
                    filter = Some((u32::from(mode == FilterMode::Include), sources));
                });
                (*slot, got.err().map(|why| why.errno()))
            }
        };
        let place = sockets.place(slots[slot].unwrap().0).unwrap();
        Came {
            errno: errno.map_or(0, |errno| errno.number()),
            local: Some(told(place.local, index_of)),
            // Linux: to port 0 is to nobody, as far as names go.
            peer: place.peer.filter(|peer| peer.port() != 0).map(|peer| told(peer, index_of)),
            v6only: place.v6only.into(),
            device: place.device.map_or(0, |id| i32::try_from(INDICES[usize::from(id.0)]).unwrap()),
            filter,
        }
    }
}

#[track_caller]
fn same(linux: &mut Linux, seed: u64, ops: &[Op]) -> Vec<Came> {
    let mut rules = Rules::new(seed);
    let mut all = Vec::new();
    for (n, op) in ops.iter().enumerate() {
        let (wanted, came) = (linux.do_it(op), rules.do_it(op));
        // RFC 4007 6: an address of one link is no source on another, to which its socket was moved (SO_BINDTODEVICE). Linux
        // connects it, and what it sends does not arrive.
        if matches!(op, Op::Connect(..)) && (wanted.errno, came.errno) == (0, libc::EADDRNOTAVAIL) {
            break;
        }
        assert_eq!(
            wanted,
            came,
            "(Linux left, the rules right) sequence {seed}, {op:?}, after {:?}",
            &ops[..n]
        );
        all.push(came);
    }
    all
}

// U22, U25, U26, P01-P04, P06, P09, P10, P12, bind(2), connect(2), RFC 3678: whatever Linux says, the rules say.
#[test]
fn random_calls_come_to_what_they_do_on_linux() {
    if !may_run() {
        return;
    }
    let mut linux = Linux::new();
    let mut errnos: BTreeMap<(String, i32), usize> = BTreeMap::new();
    for seed in 0..3000 {
        let ops = sequence(seed);
        for (op, came) in ops.iter().zip(same(&mut linux, seed, &ops)) {
            let verb = format!("{op:?}").split('(').next().unwrap_or_default().to_owned();
            *errnos.entry((verb, came.errno)).or_default() += 1;
        }
    }
    println!("{errnos:?}");
    // Seldom: most sequences are compared to their ends.
    let compared: usize = errnos.values().sum();
    assert!(compared > 3000 * 42, "{compared}");
    // Else they might agree for want of anything to disagree about.
    for (verb, least) in [("Bind", 5), ("Connect", 5), ("Member", 5), ("Set", 3), ("Filter", 3)] {
        let kinds = errnos.keys().filter(|(of, _)| of == verb).count();
        assert!(kinds >= least, "{verb}: {kinds} results only: {errnos:?}");
    }
}

// P03, Linux igmp_max_memberships, igmp_max_msf, mld_max_msf: the 21st group, the 11th source, of IPv6 the 65th.
#[test]
fn as_many_groups_and_sources_may_be_named_as_on_linux() {
    if !may_run() {
        return;
    }
    let mut linux = Linux::new();
    let mut ops = vec![Op::Open(0, Domain::V4), Op::Open(1, Domain::V6)];
    let joins = |n: u8| Op::Member(0, Ipv4Addr::new(239, 1, 1, n).into(), Some(0), MemberChange::Join);
    ops.extend((0..22).map(joins));
    let (group, group6): (IpAddr, IpAddr) = ("232.1.1.1".parse().unwrap(), "ff3e::1".parse().unwrap());
    ops.push(Op::Open(0, Domain::V4));
    for n in 0..12 {
        let from = MemberChange::JoinSource(Ipv4Addr::new(198, 18, 0, 100 + n).into());
        ops.push(Op::Member(0, group, Some(0), from));
        ops.push(Op::Filter(0, group, Some(0)));
    }
    for n in 0..66 {
        let from = MemberChange::JoinSource(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 1, 500 - n).into());
        ops.push(Op::Member(1, group6, Some(0), from));
    }
    ops.push(Op::Filter(1, group6, Some(0)));
    let came = same(&mut linux, 0, &ops);
    assert_eq!(came.iter().filter(|came| came.errno == libc::ENOBUFS).count(), 2 + 2 + 2);
}
