//! What both Linux and pollcast are sent, by the row of the conformance tables that it is about.
//!
//! Where a host may answer with an ICMP error, each stimulus comes from a host of its own: errors are limited by destination.

mod fragments;
mod header;
mod icmps;
mod link;
mod upper;

use std::net::Ipv4Addr;

use super::frames::{Host, Ipv4, Mac, UDP, Udp, checksum, frame, udp_frame};
use super::lab::{HOST, PEER};

pub use fragments::late_fragments;
pub use icmps::path_mtu_modes;

const GROUP: Ipv4Addr = Ipv4Addr::new(239, 1, 2, 3);
const ALIAS: Ipv4Addr = Ipv4Addr::new(239, 129, 2, 3);
const SOURCE_GROUP: Ipv4Addr = Ipv4Addr::new(232, 1, 2, 3);
const SUBNET_BROADCAST: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 255);
const CLOSED: u16 = 9999;

/// Frames that are sent together, and what they are about: the row first.
#[derive(Clone, Debug)]
pub struct Stimulus {
    pub name: String,
    pub frames: Vec<Vec<u8>>,
}

impl Stimulus {
    /// The conformance row that it is about; `RFC` if it is about none.
    pub fn row(&self) -> &str {
        self.name.split(' ').next().unwrap_or_default()
    }
}

pub(super) fn one(name: &str, frame: Vec<u8>) -> Stimulus {
    some(name, vec![frame])
}

pub(super) fn some(name: &str, frames: Vec<Vec<u8>>) -> Stimulus {
    Stimulus { name: name.to_owned(), frames }
}

fn sent(name: &str, from: Host, packets: Vec<Vec<u8>>) -> Stimulus {
    some(name, packets.iter().map(|packet| frame(from, HOST, packet)).collect())
}

/// All of them. Those that leave fragments behind come last: their time runs out when the others are done.
pub fn stimuli() -> Vec<Stimulus> {
    let rooms: [fn() -> Vec<Stimulus>; 12] = [
        link::link,
        link::arp,
        header::addresses,
        header::header,
        header::options,
        upper::echo,
        upper::errors,
        icmps::icmps,
        upper::udp,
        icmps::paths,
        fragments::whole_fragments,
        fragments::broken_fragments,
    ];
    rooms.iter().flat_map(|room| room()).collect()
}

fn plain() -> Ipv4 {
    Ipv4::new(PEER.ip, HOST.ip, UDP)
}

fn send(header: &Ipv4, udp: &Udp, payload: &[u8]) -> Vec<u8> {
    frame(PEER, HOST.with_ip(header.dst), &header.packet(&udp.datagram(header.src, header.dst, payload)))
}

fn with_header(header: &Ipv4) -> Vec<u8> {
    send(header, &Udp::new(4000, 7), b"hello")
}

fn with_udp(udp: Udp) -> Vec<u8> {
    send(&plain(), &udp, b"hello")
}

fn addressed_to(mac: Mac, mut frame: Vec<u8>) -> Vec<u8> {
    frame[..6].copy_from_slice(&mac);
    frame
}

fn coming_from(mac: Mac, mut frame: Vec<u8>) -> Vec<u8> {
    frame[6..12].copy_from_slice(&mac);
    frame
}

/// A datagram to a closed port from a host of its own.
fn closed(n: u8, to: Host, len: usize) -> Vec<u8> {
    udp_frame(Host::number(n), 4000, to, CLOSED, &vec![9; len])
}

/// A packet of `len` bytes of payload to the echo, with an identification.
fn whole(id: u16, len: usize) -> Vec<u8> {
    to_port(PEER, id, 7, len)
}

fn to_port(from: Host, id: u16, port: u16, len: usize) -> Vec<u8> {
    let payload: Vec<u8> = (0..=255).cycle().take(len).collect();
    Ipv4 { id, ..Ipv4::new(from.ip, HOST.ip, UDP) }
        .packet(&Udp::new(4000, port).datagram(from.ip, HOST.ip, &payload))
}

/// With another type of service.
fn marked(mut packet: Vec<u8>, tos: u8) -> Vec<u8> {
    packet[1] = tos;
    packet[10..12].fill(0);
    let sum = checksum(&[&packet[..20]]);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    packet
}

/// With other flags.
fn flagged(mut packet: Vec<u8>, flags: u8) -> Vec<u8> {
    packet[6] |= flags;
    let tos = packet[1];
    marked(packet, tos)
}
