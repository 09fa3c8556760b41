//! Packets of either version as the other hosts of a sequence send them, and as they read what left the host.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::ops::{At, Complaint, FIRST, Left, Payload, Port, who};
use crate::common::{ETHERTYPE_IPV4, ETHERTYPE_IPV6, Mac, checksum, ethernet, group_mac};

const UDP: u8 = 17;
const ICMP: u8 = 1;
const ICMPV6: u8 = 58;
const FRAGMENT: u8 = 44;

/// The Ethernet address to which a packet for `dst` goes, if it is no group's or broadcast's: `unicast`.
fn mac_of(dst: IpAddr, unicast: Mac) -> Mac {
    match dst {
        IpAddr::V4(ip) if ip.is_multicast() => group_mac(ip),
        IpAddr::V4(ip) if ip.is_broadcast() || ip.octets()[3] == 255 => [0xff; 6],
        IpAddr::V6(ip) if ip.is_multicast() => {
            let [.., a, b, c, d] = ip.octets();
            [0x33, 0x33, a, b, c, d]
        }
        _ => unicast,
    }
}

/// A packet with such a header.
fn packet(src: IpAddr, dst: IpAddr, protocol: u8, ttl: u8, tos: u8, payload: &[u8]) -> Vec<u8> {
    match (src, dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            let header = crate::common::Ipv4 { ttl, tos, ..crate::common::Ipv4::new(src, dst, protocol) };
            header.packet(payload)
        }
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            let mut bytes = vec![0x60 | tos >> 4, tos << 4, 0, 0];
            bytes.extend(u16::try_from(payload.len()).unwrap().to_be_bytes());
            bytes.extend([protocol, ttl]);
            bytes.extend(src.octets());
            bytes.extend(dst.octets());
            bytes.extend(payload);
            bytes
        }
        _ => panic!("{src} to {dst}"),
    }
}

/// The sum over the pseudo-header and `segment`, as the checksum field has it.
fn transport_sum(src: IpAddr, dst: IpAddr, protocol: u8, segment: &[u8]) -> u16 {
    let len = u32::try_from(segment.len()).unwrap().to_be_bytes();
    let addrs = [src, dst].map(|ip| match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    });
    checksum(&[&addrs[0], &addrs[1], &len, &[0, 0, 0, protocol], segment])
}

fn frame(from: IpAddr, to: IpAddr, interface: u32, packet: &[u8]) -> Vec<u8> {
    let ethertype = if from.is_ipv4() { ETHERTYPE_IPV4 } else { ETHERTYPE_IPV6 };
    ethernet(mac_of(to, who::own_mac(interface)), who::peer_mac(from), ethertype, packet)
}

/// A datagram from a neighbour to the host, in its frame.
pub fn datagram(
    interface: u32,
    (src, sport): (IpAddr, u16),
    (dst, dport): (IpAddr, u16),
    ttl: u8,
    tos: u8,
    payload: &[u8],
) -> Vec<u8> {
    let mut segment = Vec::new();
    segment.extend(sport.to_be_bytes());
    segment.extend(dport.to_be_bytes());
    segment.extend(u16::try_from(8 + payload.len()).unwrap().to_be_bytes());
    segment.extend([0, 0]);
    segment.extend(payload);
    let sum = match transport_sum(src, dst, UDP, &segment) {
        0 => 0xffff,
        sum => sum,
    };
    segment[6..8].copy_from_slice(&sum.to_be_bytes());
    frame(src, dst, interface, &packet(src, dst, UDP, ttl, tos, &segment))
}

/// Whether someone honest would say that of a frame that left by an interface.
pub fn can_be_complained_of(interface: u32, sent: &[u8], what: Complaint) -> bool {
    let (src, dst) = ends(&sent[14..]);
    // C16, RFC 1191 4: no router refuses a packet for a limit that it keeps, nor one that it may cut.
    let may_be_cut = src.is_ipv4() && sent[20] & 0x40 == 0;
    let keeps = |mtu: u16| sent.len() - 14 <= mtu.into() || may_be_cut;
    // RFC 1122 3.3.4.2: on the link of an interface, another one's address is nobody's. And nobody there has ours.
    let comes_back = who::interface_of(src).is_none_or(|of| of == interface);
    let is_own = who::OWN.contains(&dst) || who::OWN6.contains(&dst);
    comes_back && !is_own && !matches!(what, Complaint::TooBig(mtu) if keeps(mtu))
}

/// An ICMP or ICMPv6 error about `sent`, a frame that the host sent. Of whom it was for, or of the gateway.
pub fn complaint(interface: u32, sent: &[u8], what: Complaint) -> Vec<u8> {
    let quoted = &sent[14..];
    let (src, dst) = ends(quoted);
    let is_v4 = src.is_ipv4();
    let gateway = if is_v4 { who::GATEWAY } else { who::GATEWAY6 };
    let (sender, kind, code, rest) = match (what, is_v4) {
        (Complaint::PortUnreachable, true) => (dst, 3, 3, 0),
        (Complaint::PortUnreachable, false) => (dst, 1, 4, 0),
        (Complaint::HostUnreachable, true) => (gateway, 3, 1, 0),
        (Complaint::HostUnreachable, false) => (gateway, 1, 3, 0),
        (Complaint::Prohibited, true) => (gateway, 3, 13, 0),
        (Complaint::Prohibited, false) => (gateway, 1, 1, 0),
        (Complaint::HopLimitExceeded, true) => (gateway, 11, 0, 0),
        (Complaint::HopLimitExceeded, false) => (gateway, 3, 0, 0),
        (Complaint::TooBig(mtu), true) => (gateway, 3, 4, u32::from(mtu)),
        (Complaint::TooBig(mtu), false) => (gateway, 2, 0, u32::from(mtu)),
    };
    let mut message = vec![kind, code, 0, 0];
    message.extend(rest.to_be_bytes());
    message.extend(&quoted[..quoted.len().min(if is_v4 { 548 } else { 1232 })]);
    let sum = if is_v4 { checksum(&[&message]) } else { transport_sum(sender, src, ICMPV6, &message) };
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    let protocol = if is_v4 { ICMP } else { ICMPV6 };
    frame(sender, src, interface, &packet(sender, src, protocol, 64, 0, &message))
}

fn be16(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

/// Source and destination of a packet.
fn ends(packet: &[u8]) -> (IpAddr, IpAddr) {
    let v4 = |at: usize| IpAddr::from(<[u8; 4]>::try_from(&packet[at..at + 4]).unwrap());
    let v6 = |at: usize| IpAddr::from(<[u8; 16]>::try_from(&packet[at..at + 16]).unwrap());
    if packet[0] >> 4 == 4 { (v4(12), v4(16)) } else { (v6(8), v6(24)) }
}

/// An IP packet, whole or a piece.
#[derive(Clone, Debug)]
struct Read {
    mac: Mac,
    src: IpAddr,
    dst: IpAddr,
    ttl: u8,
    tos: u8,
    dont_fragment: bool,
    protocol: u8,
    id: u32,
    offset: usize,
    more: bool,
    payload: Vec<u8>,
}

fn read(frame: &[u8]) -> Option<Read> {
    let mac = frame[..6].try_into().unwrap();
    let bytes = &frame[14..];
    match be16(frame, 12) {
        ETHERTYPE_IPV4 => {
            let header = usize::from(bytes[0] & 0xf) * 4;
            assert_eq!(checksum(&[&bytes[..header]]), 0, "the checksum of an IPv4 header");
            let (src, dst) = ends(bytes);
            let flags = be16(bytes, 6);
            Some(Read {
                mac,
                src,
                dst,
                ttl: bytes[8],
                tos: bytes[1],
                dont_fragment: flags & 0x4000 != 0,
                protocol: bytes[9],
                id: be16(bytes, 4).into(),
                offset: usize::from(flags & 0x1fff) * 8,
                more: flags & 0x2000 != 0,
                payload: bytes[header..usize::from(be16(bytes, 2))].to_vec(),
            })
        }
        ETHERTYPE_IPV6 => {
            let (src, dst) = ends(bytes);
            let end = 40 + usize::from(be16(bytes, 4));
            let whole = Read {
                mac,
                src,
                dst,
                ttl: bytes[7],
                tos: bytes[0] << 4 | bytes[1] >> 4,
                dont_fragment: false,
                protocol: bytes[6],
                id: 0,
                offset: 0,
                more: false,
                payload: bytes[40..end].to_vec(),
            };
            if whole.protocol != FRAGMENT {
                return Some(whole);
            }
            let place = be16(bytes, 42);
            Some(Read {
                protocol: bytes[40],
                id: u32::from_be_bytes(bytes[44..48].try_into().unwrap()),
                offset: usize::from(place & 0xfff8),
                more: place & 1 != 0,
                payload: bytes[48..end].to_vec(),
                ..whole
            })
        }
        _ => None,
    }
}

/// Whether a frame is a UDP datagram or the first piece of one.
pub fn is_datagram(frame: &[u8]) -> bool {
    frame.len() >= 34 && read(frame).is_some_and(|packet| packet.protocol == UDP && packet.offset == 0)
}

/// Whether it says that an IPv4 packet is too big. RFC 1191 4.
pub fn is_too_big4(frame: &[u8]) -> bool {
    read(frame).is_some_and(|packet| packet.protocol == ICMP && packet.payload[..2] == [3, 4])
}

/// Whether it says that an IPv6 packet is. RFC 4443 3.2.
pub fn is_too_big6(frame: &[u8]) -> bool {
    read(frame).is_some_and(|packet| packet.protocol == ICMPV6 && packet.payload[0] == 2)
}

/// Its source port.
pub fn source_port(frame: &[u8]) -> u16 {
    be16(&read(frame).expect("a datagram").payload, 0)
}

/// Whether it is a group's or broadcast's.
pub fn is_for_many(ip: IpAddr) -> bool {
    mac_of(ip, [0; 6]) != [0; 6]
}

/// What left the host by one interface: datagrams, put together, and ICMP errors. `port` says whose a port is.
pub fn left(interface: u32, frames: &[Vec<u8>], port: impl Fn(u16) -> Port) -> Vec<Left> {
    let mut left = Vec::new();
    let mut pieces = BTreeMap::<_, Vec<Read>>::new();
    for packet in frames.iter().filter_map(|frame| read(frame)) {
        match packet.protocol {
            UDP => {
                let number = if packet.more || packet.offset > 0 { 0 } else { 1 + pieces.len() };
                pieces.entry((packet.id, packet.src, packet.dst, number)).or_default().push(packet);
            }
            ICMP if matches!(packet.payload[0], 3 | 11 | 12) => left.push(error(interface, &packet)),
            ICMPV6 if packet.payload[0] < 128 => left.push(error(interface, &packet)),
            _ => {}
        }
    }
    left.extend(pieces.into_values().map(|mut pieces| {
        pieces.sort_by_key(|piece| piece.offset);
        whole(interface, &pieces, &port)
    }));
    left.sort();
    left
}

fn error(interface: u32, packet: &Read) -> Left {
    let (kind, code) = (packet.payload[0], packet.payload[1]);
    Left::Error { interface, from: packet.src, to: packet.dst, kind, code, len: packet.payload.len() }
}

fn whole(interface: u32, pieces: &[Read], port: &impl Fn(u16) -> Port) -> Left {
    let first = &pieces[0];
    let segment: Vec<u8> = pieces.iter().flat_map(|piece| piece.payload.clone()).collect();
    assert_eq!(usize::from(be16(&segment, 4)), segment.len(), "the length of a UDP datagram: {first:?}");
    let has_checksum = be16(&segment, 6) != 0;
    if has_checksum {
        let sum = transport_sum(first.src, first.dst, UDP, &segment);
        assert_eq!(sum, 0, "the checksum of a UDP datagram: {first:?}");
    }
    let at = |ip, place| At::new(ip, port(be16(&segment, place)));
    Left::Datagram {
        interface,
        mac: first.mac,
        from: at(first.src, 0),
        to: at(first.dst, 2),
        ttl: first.ttl,
        tos: first.tos,
        dont_fragment: first.dont_fragment,
        has_checksum,
        pieces: pieces.iter().map(|piece| (piece.offset, piece.payload.len())).collect(),
        payload: Payload(segment[8..].to_vec()),
    }
}

/// An echo request that proves that what was sent before it has been dealt with; its sender, and to whom it goes.
pub fn fence(interface: u32, number: u16) -> Vec<u8> {
    let host = Ipv4Addr::new(198, if interface == 1 { 18 } else { 19 }, 0, 2);
    let sender = Ipv4Addr::new(198, if interface == 1 { 18 } else { 19 }, 0, 250);
    let message = crate::common::echo_request(0xfe1c, number, b"fence");
    let packet = packet(sender.into(), host.into(), ICMP, 64, 0, &message);
    frame(sender.into(), host.into(), interface, &packet)
}

/// Whether a frame is the answer to one.
pub fn is_fence(frame: &[u8]) -> bool {
    frame[..6] == who::peer_mac(Ipv4Addr::new(198, 18, 0, 250).into())
}

/// Whether it asks for a neighbour of a sequence by neighbour discovery or ARP, and what it says then: for hosts that
/// know no neighbour before.
pub fn neighbor_answer(interface: u32, frame: &[u8]) -> Option<Vec<u8>> {
    let own = who::own_mac(interface);
    let known = |ip: IpAddr| {
        who::PEERS.contains(&ip)
            || who::PEERS6.contains(&ip)
            || interface == FIRST && who::LOCAL_PEERS6.contains(&ip)
            || ip == who::GATEWAY
            || ip == who::GATEWAY6
    };
    match be16(frame, 12) {
        crate::common::ETHERTYPE_ARP if frame.len() >= 42 && frame[21] == 1 => {
            let target = IpAddr::from(<[u8; 4]>::try_from(&frame[38..42]).unwrap());
            let mut bytes = frame[14..20].to_vec();
            bytes.extend([0, 2]);
            bytes.extend(who::peer_mac(target));
            bytes.extend(&frame[38..42]);
            bytes.extend(&frame[22..32]);
            known(target).then(|| ethernet(own, who::peer_mac(target), be16(frame, 12), &bytes))
        }
        ETHERTYPE_IPV6 if frame.len() >= 78 && (frame[20], frame[54]) == (ICMPV6, 135) => {
            let target = Ipv6Addr::from(<[u8; 16]>::try_from(&frame[62..78]).unwrap());
            let (asker, _) = ends(&frame[14..]);
            let mac = who::peer_mac(target.into());
            let mut message = vec![136, 0, 0, 0, 0x60, 0, 0, 0];
            message.extend(target.octets());
            message.extend([2, 1]);
            message.extend(mac);
            let sum = transport_sum(target.into(), asker, ICMPV6, &message);
            message[2..4].copy_from_slice(&sum.to_be_bytes());
            let packet = packet(target.into(), asker, ICMPV6, 255, 0, &message);
            known(target.into()).then(|| ethernet(own, mac, ETHERTYPE_IPV6, &packet))
        }
        _ => None,
    }
}
