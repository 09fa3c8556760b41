//! What is on the wire: datagrams in words, and what routers say of them.

use std::net::{IpAddr, Ipv6Addr};

use crate::common::{ETHERTYPE_IPV4, ETHERTYPE_IPV6, Host, Ipv4, checksum, ethernet, frame, icmp};

const UDP: u8 = 17;
const FRAGMENT: u8 = 44;
const ICMP: u8 = 1;
const ICMPV6: u8 = 58;

fn be16(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

/// A datagram, or a piece of one, as it left; `None`: something else.
pub(crate) fn described(frame: &[u8]) -> Option<String> {
    let packet = frame.get(14..)?;
    match be16(frame, 12) {
        ETHERTYPE_IPV4 if packet[9] == UDP => {
            let flags = be16(packet, 6);
            let ends = [12, 16].map(|at| IpAddr::from(<[u8; 4]>::try_from(&packet[at..at + 4]).unwrap()));
            let place = (usize::from(flags & 0x1fff) * 8, flags & 0x2000 != 0);
            let end = usize::from(be16(packet, 2));
            let manner = format!("ttl {} tos {:#x} df {}", packet[8], packet[1], flags & 0x4000 != 0);
            Some(format!("{} {manner} {}", mac(frame), rest(ends, place, &packet[20..end])))
        }
        ETHERTYPE_IPV6 if matches!(packet[6], UDP | FRAGMENT) => {
            let ends = [8, 24].map(|at| IpAddr::from(<[u8; 16]>::try_from(&packet[at..at + 16]).unwrap()));
            let end = 40 + usize::from(be16(packet, 4));
            let (place, payload) = if packet[6] == FRAGMENT {
                let place = be16(packet, 42);
                ((usize::from(place & 0xfff8), place & 1 != 0), &packet[48..end])
            } else {
                ((0, false), &packet[40..end])
            };
            let class = packet[0] << 4 | packet[1] >> 4;
            Some(format!("{} hops {} class {class:#x} {}", mac(frame), packet[7], rest(ends, place, payload)))
        }
        _ => None,
    }
}

/// To whom a frame goes: of the far end's device, it does not matter what address it has.
fn mac(frame: &[u8]) -> &'static str {
    match frame[..6] {
        [0xff, 0xff, 0xff, 0xff, 0xff, 0xff] => "to all:",
        [first, ..] if first & 1 != 0 => "to a group:",
        _ => "to one:",
    }
}

fn rest([src, dst]: [IpAddr; 2], (offset, more): (usize, bool), payload: &[u8]) -> String {
    if offset > 0 || more {
        return format!("{src} > {dst}, {} bytes at {offset}, more {more}", payload.len());
    }
    let ports = [0, 2].map(|at| be16(payload, at));
    let bare = if be16(payload, 6) == 0 { ", without checksum" } else { "" };
    format!("{src} {} > {dst} {}, {} bytes{bare}", ports[0], ports[1], payload.len())
}

/// What someone on the way says of the frame `sent`, in the words of ICMP: type, code, and the four bytes that follow the checksum. By
/// IPv4 or IPv6, as it was sent.
pub(crate) fn complaint(sent: &[u8], (kind, code, word): (u8, u8, u32)) -> Vec<u8> {
    let quoted = &sent[14..];
    let (own, their): (crate::common::Mac, crate::common::Mac) =
        (sent[6..12].try_into().unwrap(), sent[..6].try_into().unwrap());
    let quoted = &quoted[..quoted.len().min(548)];
    if be16(sent, 12) == ETHERTYPE_IPV4 {
        let at = |at: usize| <[u8; 4]>::try_from(&quoted[at..at + 4]).unwrap().into();
        let (to, from) = (Host { mac: own, ip: at(12) }, Host { mac: their, ip: at(16) });
        let message = icmp(kind, code, word.to_be_bytes(), quoted);
        return frame(from, to, &Ipv4::new(from.ip, to.ip, ICMP).packet(&message));
    }
    let at = |at: usize| Ipv6Addr::from(<[u8; 16]>::try_from(&quoted[at..at + 16]).unwrap());
    let (to, from) = (at(8), at(24));
    let mut message = [&[kind, code, 0, 0][..], &word.to_be_bytes(), quoted].concat();
    let len = u32::try_from(message.len()).unwrap().to_be_bytes();
    let sum = checksum(&[&from.octets(), &to.octets(), &len, &[0, 0, 0, ICMPV6], &message]);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    let header = [&[0x60, 0, 0, 0][..], &len[2..], &[ICMPV6, 64], &from.octets(), &to.octets()].concat();
    ethernet(own, their, ETHERTYPE_IPV6, &[&header, &message[..]].concat())
}
