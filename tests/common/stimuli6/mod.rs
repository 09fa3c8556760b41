//! What both Linux and pollcast are sent over IPv6, by the row of the conformance tables that it is about.

mod addresses;
mod extensions;
mod fragments;
mod header;
mod icmps;
mod link;
mod mld;
mod ndp;
mod neighbors;
mod routers;
mod upper;

use std::net::Ipv6Addr;

use ::pollcast::addr::MacAddr;
use ::pollcast::sim::frames::{Extension, HeaderOption, Ipv6, NdpFrame, UdpFrame6, sealed6};

use super::frames::{ETHERTYPE_IPV6, Mac, ethernet};
use super::six::{GROUP6, HOST6, Host6, PEER6, SOURCE6};
use super::stimuli::{Stimulus, one, some};
use super::truth6::NDP_FENCE;

pub use extensions::random_chains;
pub use fragments::late_fragments6;
pub use mld::{queries, queries_of_version_1};
pub use neighbors::neighbors;
pub use routers::{advertisements, prefix_of};

const CLOSED: u16 = 9999;
const ICMPV6: u8 = 58;
const UDP: u8 = 17;

/// All of them. Those that leave fragments behind come last: their time runs out when the others are done.
pub fn stimuli6() -> Vec<Stimulus> {
    let rooms: [fn() -> Vec<Stimulus>; 14] = [
        link::link6,
        header::header6,
        addresses::addresses6,
        extensions::order,
        extensions::options6,
        extensions::routing,
        upper::udp6,
        upper::errors6,
        icmps::echo6,
        icmps::icmps6,
        icmps::paths6,
        ndp::solicitations,
        fragments::whole_fragments6,
        fragments::broken_fragments6,
    ];
    rooms.iter().flat_map(|room| room()).collect()
}

/// The hosts from which they come, as far as these tell nobody of themselves.
pub fn hosts6() -> Vec<Host6> {
    let numbers = (4..0x400).flat_map(|n| [Host6::number(n), Host6::local(n)]);
    numbers.chain([SOURCE6, NDP_FENCE]).collect()
}

fn mac(mac: Mac) -> MacAddr {
    MacAddr(mac)
}

/// The Ethernet address of a group (RFC 2464 7): 32 bits of it behind 33:33.
fn group_mac6(group: Ipv6Addr) -> Mac {
    let [.., a, b, c, d] = group.octets();
    [0x33, 0x33, a, b, c, d]
}

/// The frame that carries `packet` from `from` to `to`, by the Ethernet address that belongs to `to.ip`.
fn frame6(from: Host6, to: Host6, packet: &[u8]) -> Vec<u8> {
    let dst = if to.ip.is_multicast() { group_mac6(to.ip) } else { to.mac };
    ethernet(dst, from.mac, ETHERTYPE_IPV6, packet)
}

fn plain6() -> Ipv6 {
    Ipv6::new(PEER6.ip, HOST6.ip, UDP)
}

fn between(from: Host6, to: Host6) -> Ipv6 {
    Ipv6::new(from.ip, to.ip, UDP)
}

/// The packet with this payload, from the pretended host.
fn send6(ip: &Ipv6, payload: &[u8]) -> Vec<u8> {
    frame6(PEER6, HOST6.with_ip(ip.destination), &ip.packet(payload))
}

/// A UDP datagram between the addresses of `ip`, with its checksum.
fn datagram6(ip: &Ipv6, sport: u16, dport: u16, payload: &[u8]) -> Vec<u8> {
    let end = |ip, port| std::net::SocketAddrV6::new(ip, port, 0, 0);
    UdpFrame6::between(end(ip.source, sport), end(ip.destination, dport), payload).datagram()
}

/// An ICMPv6 message between the addresses of `ip`, with its checksum.
fn message6(ip: &Ipv6, kind: u8, code: u8, body: &[u8]) -> Vec<u8> {
    sealed6(ip.source, ip.destination, [&[kind, code, 0, 0], body].concat())
}

/// A word to the echo.
fn hello(ip: &Ipv6) -> Vec<u8> {
    send6(ip, &datagram6(ip, 4000, 7, b"hello"))
}

/// A word to a closed port.
fn knock(ip: &Ipv6) -> Vec<u8> {
    send6(ip, &datagram6(ip, 4000, CLOSED, b"knock"))
}

/// An echo request.
fn ping6(ip: &Ipv6) -> Vec<u8> {
    let ip = Ipv6 { next_header: ICMPV6, ..ip.clone() };
    send6(&ip, &message6(&ip, 128, 0, &[0, 1, 0, 2, b'p', b'i', b'n', b'g']))
}

/// A packet of a protocol that nobody knows.
fn unknown(ip: &Ipv6) -> Vec<u8> {
    send6(&Ipv6 { next_header: 253, ..ip.clone() }, &[7; 24])
}

fn to(ip: Ipv6Addr) -> Ipv6 {
    Ipv6 { destination: ip, ..plain6() }
}

fn from(ip: Ipv6Addr) -> Ipv6 {
    Ipv6 { source: ip, ..plain6() }
}

fn addr(text: &str) -> Ipv6Addr {
    text.parse().unwrap()
}

fn addressed_to(mac: Mac, mut frame: Vec<u8>) -> Vec<u8> {
    frame[..6].copy_from_slice(&mac);
    frame
}

fn coming_from(mac: Mac, mut frame: Vec<u8>) -> Vec<u8> {
    frame[6..12].copy_from_slice(&mac);
    frame
}

fn hop_by_hop(options: &[HeaderOption]) -> Extension {
    Extension::HopByHop(options.to_vec())
}

fn destination(options: &[HeaderOption]) -> Extension {
    Extension::Destination(options.to_vec())
}

/// `host` asks for `target`, all that may have it.
fn solicitation(host: Host6, target: Ipv6Addr) -> NdpFrame {
    let mut frame = NdpFrame::solicitation(host.ip, target);
    frame.source_mac = mac(host.mac);
    frame.options.clear();
    frame.with_source_link_layer()
}
