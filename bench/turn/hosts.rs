//! The hosts that are measured, by name, and the frames that each receives.

use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4};

use pollcast::addr::{Cidr, Group, Ipv4Cidr, Unicast, V6, Vid};
use pollcast::engine::worker::Manner;
use pollcast::fastpath::Level;
use pollcast::io::{Addressing6, InterfaceId, LinkLocal, ReplyPath};
use pollcast::rng::Rng;
use pollcast::service::EchoOptions;
use pollcast::sim::frames::udp6::UdpFrame6;
use pollcast::sim::frames::{UdpFrame, fragment};
use pollcast::sim::setup::{PortOptions, ServiceOptions, VlanOptions, WorldOptions};
use pollcast::stack::membership::{Limits, SourceFilter};

use crate::case::Case;

/// No host of ours: [`kernel`](crate::kernel).
pub(crate) const KERNEL: &str = "kernel";

/// What [`of`] knows, and [`KERNEL`].
pub(crate) const NAMES: [&str; 19] = [
    "ipv4",
    "ipv6",
    "vlan",
    "sockets",
    "groups",
    "groups6",
    "feeds",
    "addresses",
    "addresses6",
    "routed",
    "peers",
    "neighbors",
    "workers",
    "steered",
    "gathered",
    "fan-out",
    "fragments",
    "threads",
    KERNEL,
];

/// The same payload as in the benches beside testpmd: a frame of 60 bytes over IPv4.
pub(crate) const PAYLOAD: [u8; 18] = [7; 18];

/// Flows of a host that is asked for nothing else.
const FLOWS: u16 = 512;

/// Different frames at most: more than caches hold of what the host looks up for them.
const FRAMES: u64 = 1 << 18;

/// UDP ports that one address has for sockets, and addresses that there are for them: for a million.
const PORTS: u32 = 62_500;
const ADDRESSES: u8 = 16;

const PEER: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);
const HOST: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 2);
const GROUP: Ipv4Addr = Ipv4Addr::new(239, 1, 0, 0);

/// The case `name`, with `size` of what it has many of.
pub(crate) fn of(name: &str, size: u32) -> Result<Case, String> {
    match name {
        "ipv6" => ipv6(),
        "vlan" => vlan(),
        "sockets" => sockets(size),
        "groups" => groups(size),
        "groups6" => groups6(size),
        "feeds" => feeds(size),
        "addresses" => addresses(size, ReplyPath::Reflect),
        "addresses6" => addresses6(size),
        // The same with answers by route: whether one goes to the host itself is asked then.
        "routed" => addresses(size, ReplyPath::Route),
        "peers" => peers(size),
        "neighbors" => neighbors(size),
        "workers" => workers(size),
        "steered" => steered(size),
        // The same for workers that are busy: what is theirs of one burst waits for that of the next.
        "gathered" => steered(size).map(Case::gathering),
        "fan-out" => fan_out(size),
        "fragments" => fragments(),
        "threads" => threads(size),
        _ => Case::new(options(vec![echo()]), flows()),
    }
}

fn options(services: Vec<ServiceOptions>) -> WorldOptions {
    WorldOptions { services, level: Level::detect(), buffers: 4096, ..WorldOptions::default() }
}

/// An echo without a cap on its answers to groups: no time passes here.
fn echo() -> ServiceOptions {
    ServiceOptions::echo_with(EchoOptions { group_answers_per_second: 0, ..EchoOptions::default() })
}

fn frame(source: (Ipv4Addr, u16), destination: (Ipv4Addr, u16)) -> Vec<u8> {
    let at = |(addr, port)| SocketAddrV4::new(addr, port);
    UdpFrame::between(at(source), at(destination), &PAYLOAD).frame()
}

/// From ports from 1024 on, which no echo distrusts.
fn flows() -> Vec<Vec<u8>> {
    (0..FLOWS).map(|flow| frame((PEER, 1024 + flow), (HOST, 7))).collect()
}

/// A frame for each of so many draws from `size` numbers; all in turn if they are few.
fn drawn(size: u32, make: impl Fn(u32) -> Vec<u8>) -> Vec<Vec<u8>> {
    let mut rng = Rng::new(2);
    let count = FRAMES.min(4 * u64::from(size)).max(u64::from(FLOWS));
    (0..count).map(|_| make(u32::try_from(rng.below(size.into())).unwrap_or(0))).collect()
}

fn cidr(addr: Ipv4Addr, len: u8) -> Vec<Ipv4Cidr> {
    Unicast::new(addr).and_then(|addr| Ipv4Cidr::new(addr, len)).into_iter().collect()
}

/// A port with one address of IPv6, 2001:db8::2.
fn port6() -> Result<PortOptions, String> {
    let unicast = |text: &str| text.parse().ok().and_then(Unicast::<V6>::new).ok_or("not a host's address");
    let own = Cidr::new(unicast("2001:db8::2")?, 64).ok_or("not a prefix")?;
    let addressing6 = Addressing6 {
        link_local: LinkLocal::Addr(unicast("fe80::2")?),
        statics: vec![own],
        router_discovery: false,
        ..Addressing6::new()
    };
    Ok(PortOptions { addressing6: Some(addressing6), ..PortOptions::new(0) })
}

fn ipv6() -> Result<Case, String> {
    let port = port6()?;
    let frame = |flow| UdpFrame6::new(&format!("[2001:db8::1]:{}", 1024 + flow), "[2001:db8::2]:7", &PAYLOAD);
    let frames = (0..FLOWS).map(|flow| frame(flow).to_mac(port.nic.mac).frame()).collect();
    Case::new(WorldOptions { ports: vec![port], ..options(vec![echo().dual_stack()]) }, frames)
}

/// Tagged both ways by the host itself.
fn vlan() -> Result<Case, String> {
    let vid = Vid::new(100).ok_or("not a VLAN")?;
    let vlan = VlanOptions { vid, addresses: cidr(Ipv4Addr::new(198, 19, 0, 2), 24), gateway4: None };
    let port = PortOptions { vlans: vec![vlan], ..PortOptions::new(0) };
    let frame = |flow: u16| {
        let (source, destination) = (format!("198.19.0.1:{}", 1024 + flow), "198.19.0.2:7");
        UdpFrame { tci: Some(100), ..UdpFrame::new(&source, destination, &PAYLOAD) }
            .to_mac(port.nic.mac)
            .frame()
    };
    let frames = (0..FLOWS).map(frame).collect();
    Case::new(WorldOptions { ports: vec![port], ..options(vec![echo()]) }, frames)
}

/// Where the socket `id` is of up to a million, by their address: in turns, so that few are spread over as many addresses as many are.
pub(crate) fn place(own: impl Fn(u8) -> Ipv4Addr, id: u32) -> (Ipv4Addr, u16) {
    let nth = u8::try_from(id % u32::from(ADDRESSES)).unwrap_or(0);
    (own(nth), u16::try_from(1024 + id / u32::from(ADDRESSES)).unwrap_or(u16::MAX))
}

/// `size` sockets of one service, each on an address and a port of its own, and datagrams to random ones. From a port that none of
/// them has: an echo does not answer what could be another's answer.
fn sockets(size: u32) -> Result<Case, String> {
    let own = |n: u8| Ipv4Addr::new(198, 18, 0, 2 + n);
    let addresses = (0..ADDRESSES).flat_map(|n| cidr(own(n), 24)).collect();
    let listen = (0..size).map(|id| SocketAddr::from(place(own, id))).collect();
    let mac = PortOptions::new(0).nic.mac;
    let make = |id| {
        let at = |(addr, port)| SocketAddrV4::new(addr, port);
        UdpFrame::between(at((PEER, 1000)), at(place(own, id)), &PAYLOAD).to_mac(mac).frame()
    };
    let port = PortOptions { addresses, ..PortOptions::new(0) };
    let services = vec![ServiceOptions { listen, ..echo() }];
    Case::new(WorldOptions { ports: vec![port], ..options(services) }, drawn(size, make))
}

/// An echo that has joined `size` groups, and datagrams to random ones.
fn groups(size: u32) -> Result<Case, String> {
    let group = |n: u32| Ipv4Addr::from_bits(GROUP.to_bits() + n);
    let echo = (0..size).fold(echo(), |echo, n| echo.joining(group(n), &[]));
    let port = PortOptions { membership_limits: Limits::NONE, ..PortOptions::new(0) };
    let frames = drawn(size, |n| frame((PEER, 40_000), (group(n), 7)));
    Case::new(WorldOptions { ports: vec![port], ..options(vec![echo]) }, frames)
}

/// The same over IPv6.
fn groups6(size: u32) -> Result<Case, String> {
    let group = |n: u32| Ipv6Addr::from_bits((0xff15 << 112) | (u128::from(n) + 1));
    let mut echo = echo().dual_stack();
    let joined = (0..size).filter_map(|n| Group::<V6>::new(group(n)));
    echo.groups6 = joined.map(|group| (InterfaceId(0), group, SourceFilter::ANY)).collect();
    let make = |n| UdpFrame6::new("[2001:db8::1]:40000", &format!("[{}]:7", group(n)), &PAYLOAD).frame();
    let port = PortOptions { membership_limits: Limits::NONE, ..port6()? };
    Case::new(WorldOptions { ports: vec![port], ..options(vec![echo]) }, drawn(size, make))
}

/// `size` source-specific groups, each heard by a socket of its own, and of every other group from any of eight sources.
fn feeds(size: u32) -> Result<Case, String> {
    let group = |n: u32| Ipv4Addr::new(232, 1, 0, 0).to_bits() + n;
    let group = |n: u32| Ipv4Addr::from_bits(group(n));
    let sources: Vec<_> = (0..8).map(|n| Ipv4Addr::from_bits(PEER.to_bits() + 256 * n)).collect();
    let of = |n: u32| if n.is_multiple_of(2) { &sources[..1] } else { &sources };
    let listen = (0..size).map(|n| SocketAddr::from((group(n), 7))).collect();
    let echo = (0..size).fold(echo(), |echo, n| echo.joining(group(n), of(n)));
    let port = PortOptions { membership_limits: Limits::NONE, ..PortOptions::new(0) };
    let frames = drawn(size, |n| frame((PEER, 40_000), (group(n), 7)));
    let services = vec![ServiceOptions { listen, ..echo }];
    Case::new(WorldOptions { ports: vec![port], ..options(services) }, frames)
}

/// A host with `size` addresses in a network of 16 bits, and datagrams to random ones of them, which are answered by `reply`.
fn addresses(size: u32, reply: ReplyPath) -> Result<Case, String> {
    let own = |n: u32| Ipv4Addr::from_bits(HOST.to_bits() + n);
    let addresses = (0..size).flat_map(|n| cidr(own(n), 16)).collect();
    let mac = PortOptions::new(0).nic.mac;
    let make = |n| {
        let source = SocketAddrV4::new(PEER, 40_000);
        UdpFrame::between(source, SocketAddrV4::new(own(n), 7), &PAYLOAD).to_mac(mac).frame()
    };
    let port = PortOptions { addresses, stations: vec![PEER], ..PortOptions::new(0) };
    let services = vec![ServiceOptions { manner: Manner { reply, ..Manner::default() }, ..echo() }];
    let options = WorldOptions { ports: vec![port], ..options(services) };
    Ok(Case::new(options, drawn(size, make))?.having_heard(vec![make(0)]))
}

/// A host with `size` addresses of IPv6 beside its link-local one, and datagrams to random ones of them.
fn addresses6(size: u32) -> Result<Case, String> {
    let own = |n: u32| format!("2001:db8::1:{:x}:{:x}", n / 256, 2 + n % 256);
    let cidr = |text: String| Cidr::new(Unicast::<V6>::new(text.parse().ok()?)?, 64);
    let statics: Vec<_> = (0..size).filter_map(|n| cidr(own(n))).collect();
    let mut port = port6()?;
    port.addressing6 = port.addressing6.map(|addressing6| Addressing6 { statics, ..addressing6 });
    let mac = port.nic.mac;
    let make =
        |n| UdpFrame6::new("[2001:db8::1]:40000", &format!("[{}]:7", own(n)), &PAYLOAD).to_mac(mac).frame();
    Case::new(WorldOptions { ports: vec![port], ..options(vec![echo().dual_stack()]) }, drawn(size, make))
}

/// Datagrams from random ones of `size` hosts, each answered to where it came from.
fn peers(size: u32) -> Result<Case, String> {
    let peer = |n: u32| Ipv4Addr::new(10, 9, 0, 0).to_bits() + n;
    let frames = drawn(size, |n| frame((Ipv4Addr::from_bits(peer(n)), 40_000), (HOST, 7)));
    Case::new(options(vec![echo()]), frames)
}

/// The same with answers by route: to `size` neighbours, each of which was asked for its Ethernet address before.
fn neighbors(size: u32) -> Result<Case, String> {
    let own = Ipv4Addr::new(10, 8, 0, 2);
    let peer = |n: u32| Ipv4Addr::from_bits(Ipv4Addr::new(10, 9, 0, 0).to_bits() + n);
    let port = PortOptions {
        addresses: cidr(own, 14),
        stations: (0..size).map(peer).collect(),
        neighbors_max: size as usize + 64,
        ..PortOptions::new(0)
    };
    let make = |n| {
        let at = |(addr, port)| SocketAddrV4::new(addr, port);
        UdpFrame::between(at((peer(n), 40_000)), at((own, 7)), &PAYLOAD).to_mac(port.nic.mac).frame()
    };
    let (each, frames) = ((0..size).map(make).collect(), drawn(size, make));
    let manner = Manner { reply: ReplyPath::Route, ..Manner::default() };
    let services = vec![ServiceOptions { manner, ..echo() }];
    Ok(Case::new(WorldOptions { ports: vec![port], ..options(services) }, frames)?.having_heard(each))
}

/// `size` workers with a queue each; every turn has a whole burst.
fn workers(size: u32) -> Result<Case, String> {
    let workers = u16::try_from(size).map_err(|_| "too many workers")?;
    Case::new(WorldOptions { workers, ..options(vec![echo()]) }, flows())
}

/// `size` workers on one queue: flows are spread in software (RPS), the answers go back to the worker that has it.
fn steered(size: u32) -> Result<Case, String> {
    let workers = u16::try_from(size).map_err(|_| "too many workers")?;
    let port = PortOptions { queues: Some(1), ..PortOptions::new(0) };
    Case::new(WorldOptions { ports: vec![port], workers, ..options(vec![echo()]) }, flows())
}

/// `size` services that hear the same group, of which each answers.
fn fan_out(size: u32) -> Result<Case, String> {
    let hearer = |n| ServiceOptions { name: format!("echo{n}"), reuse_address: true, ..echo() };
    let services = (0..size).map(|n| hearer(n).joining(GROUP, &[])).collect();
    let frames = (0..FLOWS).map(|flow| frame((PEER, 1024 + flow), (GROUP, 7))).collect();
    Ok(Case::new(options(services), frames)?.with_answers(size.into(), 1))
}

/// Datagrams in two fragments each, which are answered whole.
fn fragments() -> Result<Case, String> {
    let pair = |flow: u16| {
        let source = SocketAddrV4::new(PEER, 1024 + flow);
        let whole = UdpFrame::between(source, SocketAddrV4::new(HOST, 7), &[7; 200]).frame();
        fragment::cut_evenly(&whole, flow, 104)
    };
    let frames = (0..FLOWS).flat_map(pair).collect();
    Ok(Case::new(options(vec![echo()]), frames)?.with_answers(1, 2))
}

/// `size` sockets of threads, which send back what they received; the worker's share of it.
fn threads(size: u32) -> Result<Case, String> {
    let place = |n: u32| (HOST, u16::try_from(1024 + n % PORTS).unwrap_or(u16::MAX));
    let of_hosts = PortOptions { gateway4: Unicast::new(PEER), stations: vec![PEER], ..PortOptions::new(0) };
    let frames = drawn(size, |n| frame((PEER, 40_000), place(n)));
    let case = Case::new(WorldOptions { ports: vec![of_hosts], ..options(Vec::new()) }, frames)?;
    let opened = case.world.sockets();
    let bind = |n| opened.bind(SocketAddr::from(place(n))).map_err(|why| format!("{why:?}"));
    let sockets = (0..size).map(bind).collect::<Result<Vec<_>, _>>()?;
    Ok(case.with_sockets(sockets))
}
