//! The same frames to pollcast and to Linux, and the same answers from both.
//!
//! The other tests say what RFCs want. This one needs no opinion: where CONFORMANCE says that Linux does right, whatever it
//! sends, or does not, is what pollcast must. Where pollcast takes another side on purpose, there is no probe here.
#![cfg(all(feature = "dpdk", feature = "cli"))]

mod common;

use std::net::Ipv4Addr;
use std::time::Duration;

use common::*;

const GROUP: Ipv4Addr = Ipv4Addr::new(239, 1, 2, 3);
const ALIAS: Ipv4Addr = Ipv4Addr::new(239, 129, 2, 3);
const SOURCE_GROUP: Ipv4Addr = Ipv4Addr::new(232, 1, 2, 3);
const SUBNET_BROADCAST: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 255);
const CLOSED: u16 = 9999;

/// What an answer says, without what may differ from host to host: identification, DF, padding.
#[derive(PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Answer {
    dst: Mac,
    src: Mac,
    /// Source, destination, TTL, type of service.
    ip: Option<(Ipv4Addr, Ipv4Addr, u8, u8)>,
    what: What,
}

#[derive(PartialEq, Eq, PartialOrd, Ord, Debug)]
enum What {
    Arp { operation: u16, sender: (Mac, Ipv4Addr), target: (Mac, Ipv4Addr) },
    Udp { sport: u16, dport: u16, payload: Vec<u8> },
    Icmp { kind: u8, code: u8, rest: [u8; 4], data: Vec<u8> },
}

impl Answer {
    /// `None` for what is sent unasked.
    fn of(frame: &Frame) -> Option<Self> {
        let what = if frame.is_arp() {
            let ArpRead { operation, sender, target } = frame.arp();
            let pair = |host: Host| (host.mac, host.ip);
            (operation == 2).then(|| What::Arp { operation, sender: pair(sender), target: pair(target) })?
        } else if frame.carries(UDP) {
            let UdpRead { sport, dport, payload, .. } = frame.udp();
            What::Udp { sport, dport, payload }
        } else if frame.carries(ICMP) {
            let IcmpRead { kind, code, rest, data, .. } = frame.icmp();
            What::Icmp { kind, code, rest, data }
        } else {
            return None;
        };
        let ip = (!frame.is_arp()).then(|| frame.ipv4()).map(|ip| (ip.src, ip.dst, ip.ttl, ip.tos));
        Some(Self { dst: frame.dst(), src: frame.src(), ip, what })
    }
}

/// Every answer of a host to one frame.
fn answers(wire: &mut Wire, frame: &[u8]) -> Vec<Answer> {
    let seen = wire.exchange(&[frame.to_vec()], Duration::from_millis(40));
    let mut answers: Vec<Answer> = seen.iter().filter_map(Answer::of).collect();
    answers.sort();
    answers
}

fn udp(header: &Ipv4, udp: &Udp, payload: &[u8]) -> Vec<u8> {
    let datagram = udp.datagram(header.src, header.dst, payload);
    frame(PEER, HOST.with_ip(header.dst), &header.packet(&datagram))
}

fn header() -> Ipv4 {
    Ipv4::new(PEER.ip, HOST.ip, UDP)
}

fn with_header(header: &Ipv4) -> Vec<u8> {
    udp(header, &Udp::new(4000, 7), b"hello")
}

fn with_udp(header_of: Udp) -> Vec<u8> {
    udp(&header(), &header_of, b"hello")
}

fn addressed_to(mac: Mac, mut frame: Vec<u8>) -> Vec<u8> {
    frame[..6].copy_from_slice(&mac);
    frame
}

/// A datagram to a closed port from a host of its own: errors are limited by destination.
fn closed(n: u8, to: Host, len: usize) -> Vec<u8> {
    udp_frame(Host::number(n), 4000, to, CLOSED, &vec![9; len])
}

fn echo_request_with(header: &Ipv4, data: &[u8]) -> Vec<u8> {
    let header = Ipv4 { protocol: ICMP, ..header.clone() };
    frame(PEER, HOST.with_ip(header.dst), &header.packet(&echo_request(7, 8, data)))
}

/// Frames whose fate Linux and the RFCs agree on, by row.
fn probes() -> Vec<(&'static str, Vec<u8>)> {
    let arp = Arp::request(PEER, HOST.ip);
    let mut damaged_ping = ping_frame(PEER, HOST, 1, 1, b"hello");
    damaged_ping[44] ^= 1;
    let mut trailed = udp_frame(PEER, 4000, HOST, 7, &[7; 60]);
    trailed.extend([0xee; 20]);
    let to_broadcast = |frame| addressed_to(BROADCAST, frame);
    let mut probes = vec![
        ("E01 to another station", addressed_to([2, 0, 0, 0, 0, 0x99], with_header(&header()))),
        ("E04 an alias of a joined group", with_header(&Ipv4 { dst: ALIAS, ..header() })),
        ("E10 bytes behind the packet", trailed),
        ("E11 priority tag", tagged(&with_header(&header()), 0x8100, 0xa000)),
        ("E11 priority tag of a provider", tagged(&with_header(&header()), 0x88a8, 0)),
        ("E11 unknown VLAN", tagged(&with_header(&header()), 0x8100, 5)),
        ("E13 SNAP", ethernet(HOST.mac, PEER.mac, 0x0029, &[0xaa, 0xaa, 3, 0, 0, 0, 8, 0, 0x45, 0])),
        ("E15 closed port in a broadcast frame", to_broadcast(closed(70, HOST, 4))),
        (
            "E16 group in a unicast frame",
            addressed_to(HOST.mac, with_header(&Ipv4 { dst: GROUP, ..header() })),
        ),
        ("A01 broadcast request", arp.frame_to(BROADCAST)),
        ("A01 unicast request", arp.frame_to(HOST.mac)),
        ("A01 second address", Arp::request(PEER, HOST_SECOND.ip).frame_to(BROADCAST)),
        ("A02 another address", Arp::request(PEER, Ipv4Addr::new(198, 18, 0, 50)).frame_to(BROADCAST)),
        ("A02 a group", Arp::request(PEER, GROUP).frame_to(BROADCAST)),
        ("A02 loopback", Arp::request(PEER, Ipv4Addr::LOCALHOST).frame_to(BROADCAST)),
        ("A02 broadcast", Arp::request(PEER, SUBNET_BROADCAST).frame_to(BROADCAST)),
        ("A03 hardware type", Arp { hardware: 2, ..arp.clone() }.frame_to(BROADCAST)),
        ("A03 hardware length", Arp { hardware_len: 5, ..arp.clone() }.frame_to(BROADCAST)),
        ("A03 protocol length", Arp { protocol_len: 5, ..arp.clone() }.frame_to(BROADCAST)),
        ("A03 short", arp.frame_to(BROADCAST)[..14 + 27].to_vec()),
        ("A05 probe", Arp::request(PEER.with_ip(Ipv4Addr::UNSPECIFIED), HOST.ip).frame_to(BROADCAST)),
        ("A07 sender a group", Arp::request(PEER.with_ip(GROUP), HOST.ip).frame_to(BROADCAST)),
        ("I01 version", with_header(&Ipv4 { version: 5, ..header() })),
        ("I01 header length", with_header(&Ipv4 { ihl: Some(4), ..header() })),
        ("I02 header checksum", with_header(&Ipv4 { checksum: Some(0x1234), ..header() })),
        ("I03 total length below the header", with_header(&Ipv4 { total_length: Some(19), ..header() })),
        ("I03 total length beyond the frame", with_header(&Ipv4 { total_length: Some(200), ..header() })),
        ("I04 TTL 0", with_header(&Ipv4 { ttl: 0, ..header() })),
        ("I04 TTL 1", with_header(&Ipv4 { ttl: 1, ..header() })),
        ("I05 reserved flag", with_header(&Ipv4 { fragment: 0x8000, ..header() })),
        (
            "I06 another destination",
            addressed_to(HOST.mac, with_header(&Ipv4 { dst: Ipv4Addr::new(198, 18, 0, 77), ..header() })),
        ),
        ("I07 source a group", with_header(&Ipv4 { src: GROUP, ..header() })),
        ("I07 source broadcast", with_header(&Ipv4 { src: Ipv4Addr::BROADCAST, ..header() })),
        ("I07 source loopback", with_header(&Ipv4 { src: Ipv4Addr::LOCALHOST, ..header() })),
        ("I09 source our own", udp_frame(PEER.with_ip(HOST.ip), 7, HOST, 7, b"land")),
        ("I10 source unspecified", with_header(&Ipv4 { src: Ipv4Addr::UNSPECIFIED, ..header() })),
        (
            "I12 destination loopback",
            addressed_to(HOST.mac, with_header(&Ipv4 { dst: Ipv4Addr::LOCALHOST, ..header() })),
        ),
        ("I13 broadcast", with_header(&Ipv4 { dst: Ipv4Addr::BROADCAST, ..header() })),
        ("I13 subnet broadcast", with_header(&Ipv4 { dst: SUBNET_BROADCAST, ..header() })),
        ("I15 unknown option", with_header(&Ipv4 { options: vec![0x9e, 4, 0, 0], ..header() })),
        ("I16 source route", with_header(&Ipv4 { options: vec![131, 7, 4, 198, 18, 0, 9, 0], ..header() })),
        ("I19 router alert", with_header(&Ipv4 { options: ROUTER_ALERT.to_vec(), ..header() })),
        ("I23 type of service of an echo reply", echo_request_with(&Ipv4 { tos: 0xb8, ..header() }, b"x")),
        ("C01 closed port, wrong checksum", with_udp(Udp { checksum: Some(1), ..Udp::new(4000, CLOSED) })),
        ("C03 closed port of a group", closed(71, HOST.with_ip(GROUP), 4)),
        ("C03 closed port of the subnet's broadcast", closed(72, HOST.with_ip(SUBNET_BROADCAST), 4)),
        ("C04 closed port of the second address", closed(73, HOST_SECOND, 4)),
        ("C06 ping", ping_frame(PEER, HOST, 1, 2, b"hello")),
        ("C06 ping without data", ping_frame(PEER, HOST, 1, 2, b"")),
        ("C06 long odd ping", ping_frame(PEER, HOST, 0xffff, 0xffff, &[0xff; 1471])),
        ("C06 ping to the second address", ping_frame(PEER, HOST_SECOND, 1, 2, b"hello")),
        ("C07 damaged ping", damaged_ping),
        (
            "C07 short ping",
            frame(PEER, HOST, &Ipv4 { protocol: ICMP, ..header() }.packet(&[8, 0, 0xf7, 0xff])),
        ),
        ("C08 ping to broadcast", ping_frame(PEER, HOST.with_ip(SUBNET_BROADCAST), 1, 2, b"hello")),
        ("C08 ping to a group", ping_frame(PEER, HOST.with_ip(GROUP), 1, 2, b"hello")),
        ("U01 length 7", with_udp(Udp { length: Some(7), ..Udp::new(4000, 7) })),
        ("U01 length 0", with_udp(Udp { length: Some(0), ..Udp::new(4000, 7) })),
        ("U02 length beyond the packet", with_udp(Udp { length: Some(14), ..Udp::new(4000, 7) })),
        ("U03 length 8 of 13", with_udp(Udp { length: Some(8), ..Udp::new(4000, 7) })),
        ("U04 no checksum", with_udp(Udp { checksum: Some(0), ..Udp::new(4000, 7) })),
        ("U04 wrong checksum", with_udp(Udp { checksum: Some(1), ..Udp::new(4000, 7) })),
        ("U10 port 0", udp_frame(Host::number(74), 4000, HOST, 0, b"x")),
        ("U11 no payload", udp_frame(PEER, 4000, HOST, 7, b"")),
        ("U21 group", udp_frame(PEER, 4000, HOST.with_ip(GROUP), 7, b"to all")),
        ("U21 second address", udp_frame(PEER, 4000, HOST_SECOND, 7, b"second")),
        ("X01 long", udp_frame(PEER, 4000, HOST, 7, &[0x77; 1472])),
        (
            "RFC 4607 a group for another source",
            udp_frame(PEER, 4000, HOST.with_ip(SOURCE_GROUP), 7, b"not you"),
        ),
        (
            "RFC 4607 a group for this source",
            udp_frame(Host::number(1), 4000, HOST.with_ip(SOURCE_GROUP), 7, b"you"),
        ),
    ];
    for (n, len) in [(80, 0), (81, 1), (82, 519), (83, 520), (84, 521), (85, 1400)] {
        probes.push(("C02 closed port: how much is quoted", closed(n, HOST, len)));
    }
    for (n, tos) in [(86, 0x28), (87, 0xb8), (88, 0x04), (89, 0xe0)] {
        let host = Host::number(n);
        let datagram = Udp::new(4000, CLOSED).datagram(host.ip, HOST.ip, b"x");
        let packet = Ipv4 { tos, src: host.ip, ..header() }.packet(&datagram);
        probes.push(("I23 type of service of an error", frame(host, HOST, &packet)));
    }
    probes
}

#[test]
fn pollcast_answers_as_linux_does() {
    if !may_run() {
        return;
    }
    let mut linux = Linux::new();
    let mut lab = Lab::mute(ECHO);
    let mut answered = 0;
    let mut differences = Vec::new();
    let probes = probes();
    for (what, frame) in &probes {
        let truth = answers(&mut linux.wire, frame);
        let ours = answers(&mut lab.wire, frame);
        answered += usize::from(!truth.is_empty());
        if ours != truth {
            differences.push(format!("{what}\n  Linux:    {truth:?}\n  pollcast: {ours:?}"));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    // Else the two might agree by saying nothing.
    assert!(answered * 3 > probes.len(), "Linux answered {answered} of {}", probes.len());
}
