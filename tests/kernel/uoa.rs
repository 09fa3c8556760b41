//! The real clients behind a balancer, end to end: raw frames as DPVS writes them, over a tap, to the program.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use crate::common::*;

/// An echo of both IP versions that says who sent what; the peer is a balancer, of both versions, and nobody else.
const BALANCED: &str = r#"
[[service]]
kind = "echo"
listen = ["[::]:7"]
describe_sender = true

[uoa]
trusted = ["198.18.0.10", "2001:db8::10/128"]

"#;

static LAB: Shared = Shared::new(|| Lab::dual(BALANCED));

/// The IP protocol of the option protocol.
const OPTION_PROTOCOL: u8 = 248;

const CLIENT: &str = "203.0.113.9:8080";
const CLIENT6: &str = "[2001:db8:9::9]:8080";
/// As the echo writes it: without brackets.
const CLIENT6_WRITTEN: &str = "2001:db8:9::9:8080";

/// The option that names `client`. DPVS include/uoa.h.
fn option(client: &str) -> Vec<u8> {
    let client: SocketAddr = client.parse().unwrap();
    let addr = match client.ip() {
        IpAddr::V4(addr) => addr.octets().to_vec(),
        IpAddr::V6(addr) => addr.octets().to_vec(),
    };
    [&[31, u8::try_from(4 + addr.len()).unwrap()][..], &client.port().to_be_bytes(), &addr].concat()
}

/// `datagram` behind the header of the option protocol and the option of `client`.
fn behind_header(client: &str, datagram: &[u8]) -> Vec<u8> {
    let option = option(client);
    let version = if option.len() == 20 { 0x20 } else { 0x10 };
    let length = u16::try_from(4 + option.len()).unwrap().to_be_bytes();
    [&[version, UDP][..], &length, &option, datagram].concat()
}

/// What `client` sent, from port `sport` of the balancer `from`, in the option of the header.
fn in_header(client: &str, from: Host, sport: u16, payload: &[u8]) -> Vec<u8> {
    let datagram = Udp::new(sport, 7).datagram(from.ip, HOST.ip, payload);
    let header = Ipv4 { options: option(client), ..Ipv4::new(from.ip, HOST.ip, UDP) };
    frame(from, HOST, &header.packet(&datagram))
}

/// The same in the option protocol, with what `udp` says of the checksum.
fn in_protocol(client: &str, from: Host, udp: &Udp, payload: &[u8]) -> Vec<u8> {
    let datagram = udp.datagram(from.ip, HOST.ip, payload);
    let header = Ipv4::new(from.ip, HOST.ip, OPTION_PROTOCOL);
    frame(from, HOST, &header.packet(&behind_header(client, &datagram)))
}

/// A packet of IPv6 from `from` to the host. RFC 8200 3.
fn frame6(from: Host6, next_header: u8, payload: &[u8]) -> Vec<u8> {
    let len = u16::try_from(payload.len()).unwrap().to_be_bytes();
    let header =
        [&[0x60, 0, 0, 0][..], &len, &[next_header, 64], &from.ip.octets(), &HOST6.ip.octets()].concat();
    ethernet(HOST6.mac, from.mac, ETHERTYPE_IPV6, &[&header, payload].concat())
}

/// RFC 8200 8.1: over protocol 17 and the UDP length, whatever precedes it.
fn sum6(src: Ipv6Addr, dst: Ipv6Addr, datagram: &[u8]) -> u16 {
    let len = u32::try_from(datagram.len()).unwrap().to_be_bytes();
    checksum(&[
        &src.octets(),
        &dst.octets(),
        &len,
        &[0, 0, 0, UDP],
        &[datagram, &vec![0; datagram.len() % 2]].concat(),
    ])
}

fn datagram6(from: Host6, sport: u16, payload: &[u8]) -> Vec<u8> {
    let len = u16::try_from(8 + payload.len()).unwrap();
    let mut datagram = [sport, 7, len, 0].map(u16::to_be_bytes).concat();
    datagram.extend(payload);
    let sum = sum6(from.ip, HOST6.ip, &datagram);
    datagram[6..8].copy_from_slice(&sum.to_be_bytes());
    datagram
}

/// Asserts that the answer to `asked`, sent from the peer's port `sport`, is `text`, by a plain datagram to the peer.
#[track_caller]
fn assert_says(lab: &Lab, asked: &[u8], sport: u16, text: &str) {
    let answer = lab.answer(asked);
    assert_eq!(answer.dst(), PEER.mac);
    let udp = answer.udp();
    assert_eq!((udp.ip.src, udp.ip.dst), (HOST.ip, PEER.ip));
    assert_eq!((udp.sport, udp.dport, udp.ip.options.len()), (7, sport, 0));
    assert_eq!(String::from_utf8(udp.payload).unwrap(), text);
}

/// The same over IPv6.
#[track_caller]
fn assert_says6(lab: &Lab, asked: &[u8], sport: u16, text: &str) {
    let answer = lab.answer(asked);
    assert_eq!((answer.dst(), answer.ethertype()), (PEER6.mac, ETHERTYPE_IPV6));
    let (header, rest) = answer.bytes[14..].split_at(40);
    let datagram = &rest[..usize::from(u16::from_be_bytes([header[4], header[5]]))];
    assert_eq!(
        (header[6], &header[8..24], &header[24..]),
        (UDP, &HOST6.ip.octets()[..], &PEER6.ip.octets()[..])
    );
    assert_eq!(datagram[..4], [7, sport].map(u16::to_be_bytes).concat());
    assert_eq!(sum6(HOST6.ip, PEER6.ip, datagram), 0, "the checksum of the answer");
    assert_eq!(String::from_utf8_lossy(&datagram[8..]), text);
}

fn counter(lab: &Lab, name: &str) -> u64 {
    let stats = lab.pollcast.ctl(&["stats"]);
    stats["ports"][0]["engine"][name].as_u64().unwrap_or_else(|| panic!("no {name} in {stats}"))
}

// O01, O05: by the option of the header, of a client of either version (NAT64); and known of the flow's plain packets (O09).
#[test]
fn the_option_of_the_header_names_the_client() {
    let Some(lab) = LAB.lock() else { return };
    let says =
        |client: &str| format!("Receive 5 bytes from 198.18.0.10:4001 -- hello\n  real client {client}\n");
    assert_says(&lab, &in_header(CLIENT, PEER, 4001, b"hello"), 4001, &says(CLIENT));
    assert_says(&lab, &udp_frame(PEER, 4001, HOST, 7, b"hello"), 4001, &says(CLIENT));
    assert_says(&lab, &in_header(CLIENT6, PEER, 4001, b"hello"), 4001, &says(CLIENT6_WRITTEN));
    assert_says(&lab, &udp_frame(PEER, 4001, HOST, 7, b"hello"), 4001, &says(CLIENT6_WRITTEN));
    let stranger = "Receive 5 bytes from 198.18.0.10:4002 -- hello\n";
    assert_says(&lab, &udp_frame(PEER, 4002, HOST, 7, b"hello"), 4002, stranger);
}

// O02, O05: by the option protocol, whose UDP checksum DPVS leaves out over IPv4, and of an IPv6 client, too (NAT64).
#[test]
fn the_option_protocol_names_the_client() {
    let Some(lab) = LAB.lock() else { return };
    let (summed, bare) = (Udp::new(4003, 7), Udp { checksum: Some(0), ..Udp::new(4003, 7) });
    for (client, written) in [(CLIENT, CLIENT), (CLIENT6, CLIENT6_WRITTEN)] {
        for (udp, payload) in [(&summed, &b"hello"[..]), (&bare, b"hello"), (&summed, b"")] {
            let len = payload.len();
            let shown = String::from_utf8_lossy(payload);
            let text =
                format!("Receive {len} bytes from 198.18.0.10:4003 -- {shown}\n  real client {written}\n");
            assert_says(&lab, &in_protocol(client, PEER, udp, payload), 4003, &text);
            assert_says(&lab, &udp_frame(PEER, 4003, HOST, 7, payload), 4003, &text);
        }
    }
}

// O02, O05: and over IPv6.
#[test]
fn the_option_protocol_names_the_client_over_ipv6() {
    let Some(lab) = LAB.lock() else { return };
    let datagram = datagram6(PEER6, 4004, b"hello");
    let text = format!("Receive 5 bytes from 2001:db8::10:4004 -- hello\n  real client {CLIENT6_WRITTEN}\n");
    assert_says6(&lab, &frame6(PEER6, OPTION_PROTOCOL, &behind_header(CLIENT6, &datagram)), 4004, &text);
    assert_says6(&lab, &frame6(PEER6, UDP, &datagram), 4004, &text);
}

// O02: no device knows what is behind protocol 248: a wrong sum is found here. O03: so is a length that leads nowhere.
#[test]
fn what_is_wrong_behind_the_option_protocol_is_dropped() {
    let Some(lab) = LAB.lock() else { return };
    let wrong = Udp { checksum: Some(0x1234), ..Udp::new(4005, 7) };
    lab.assert_dropped(&in_protocol(CLIENT, PEER, &wrong, b"hello"), "udp_checksum");
    let mut damaged = behind_header(CLIENT6, &datagram6(PEER6, 4005, b"hello"));
    *damaged.last_mut().unwrap() ^= 1;
    lab.assert_dropped(&frame6(PEER6, OPTION_PROTOCOL, &damaged), "udp_checksum");
    for length in [0, 3, 45, 0xffff_u16] {
        let mut packet = behind_header(CLIENT, &Udp::new(4005, 7).datagram(PEER.ip, HOST.ip, b"hello"));
        packet[2..4].copy_from_slice(&length.to_be_bytes());
        let bad = frame(PEER, HOST, &Ipv4::new(PEER.ip, HOST.ip, OPTION_PROTOCOL).packet(&packet));
        lab.assert_dropped(&bad, "option_protocol_invalid");
    }
}

// O03, O07: a client that cannot be read, or cannot be, is not told, and counted.
#[test]
fn a_client_that_is_none_is_counted() {
    let Some(lab) = LAB.lock() else { return };
    let text = "Receive 5 bytes from 198.18.0.10:4006 -- hello\n";
    let missed = counter(&lab, "uoa_miss");
    let header = Ipv4 { options: vec![31, 4, 0, 1], ..Ipv4::new(PEER.ip, HOST.ip, UDP) };
    let short = header.packet(&Udp::new(4006, 7).datagram(PEER.ip, HOST.ip, b"hello"));
    assert_says(&lab, &frame(PEER, HOST, &short), 4006, text);
    assert_eq!(counter(&lab, "uoa_miss"), missed + 1);
    let invalid = counter(&lab, "uoa_client_invalid");
    for (n, client) in (1..).zip(["127.0.0.1:1", "239.1.2.3:1", "0.0.0.0:1", "[ff02::1]:1", "198.18.0.2:1"]) {
        assert_says(&lab, &in_header(client, PEER, 4006, b"hello"), 4006, text);
        assert_eq!(counter(&lab, "uoa_client_invalid"), invalid + n, "{client}");
    }
}

// O06: from anyone else, the option is not read, and the option protocol is none.
#[test]
fn who_is_no_balancer_is_not_believed() {
    let Some(lab) = LAB.lock() else { return };
    let stranger = Host::number(11);
    let untrusted = counter(&lab, "uoa_untrusted");
    let answer = lab.answer(&in_header(CLIENT, stranger, 4007, b"hello")).udp();
    assert_eq!(
        (answer.ip.dst, answer.payload),
        (stranger.ip, b"Receive 5 bytes from 198.18.0.11:4007 -- hello\n".to_vec())
    );
    assert_eq!(counter(&lab, "uoa_untrusted"), untrusted + 1);
    let forwarded = in_protocol(CLIENT, stranger, &Udp::new(4007, 7), b"hello");
    let error = lab.answer_and_drops(&forwarded, &["option_protocol_untrusted"]).icmp();
    assert_eq!((error.kind, error.code, error.ip.dst), (3, 2, stranger.ip));
}

// O08: the option is in the first fragment alone, and the option protocol's header at the front of the datagram.
#[test]
fn a_datagram_in_fragments_has_its_client() {
    let Some(lab) = LAB.lock() else { return };
    let payload = [b'x'; 3000];
    let datagram = Udp::new(4008, 7).datagram(PEER.ip, HOST.ip, &payload);
    let text =
        format!("Receive 3000 bytes from 198.18.0.10:4008 -- {}\n  real client {CLIENT}\n", "x".repeat(256));
    for (id, protocol) in [(1, UDP), (2, OPTION_PROTOCOL)] {
        let carried = if protocol == UDP { datagram.clone() } else { behind_header(CLIENT, &datagram) };
        let pieces: Vec<_> = (0u16..)
            .zip(carried.chunks(1400))
            .map(|(n, piece)| {
                let more = if usize::from(n + 1) * 1400 < carried.len() { 0x2000 } else { 0 };
                let options = if protocol == UDP && n == 0 { option(CLIENT) } else { Vec::new() };
                let header =
                    Ipv4 { id, fragment: more | (n * 175), options, ..Ipv4::new(PEER.ip, HOST.ip, protocol) };
                frame(PEER, HOST, &header.packet(piece))
            })
            .collect();
        let mut seen = lab.wire.exchange(&pieces, Duration::from_millis(5));
        let patience = Instant::now() + Duration::from_secs(2);
        while seen.is_empty() && Instant::now() < patience {
            seen.extend(lab.wire.next(patience));
        }
        assert_eq!(seen.len(), 1, "{seen:?}");
        let answer = seen[0].udp();
        assert_eq!((answer.ip.dst, String::from_utf8(answer.payload).unwrap()), (PEER.ip, text.clone()));
    }
}
