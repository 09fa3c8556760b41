//! The hash of a frame's flow in software, for devices that do not spread flows themselves.
//!
//! Like receive-side scaling with a symmetric key: over addresses and UDP ports, alike for both directions. Unlike it, under a secret,
//! and it finds UDP behind extension headers and behind the header in which balancers name their clients.

use crate::wire::{ipv4, ipv6, uoa};

/// EtherTypes.
const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
const TAGS: [u16; 2] = [0x8100, 0x88a8];

/// Extension headers of one packet that are looked behind.
const EXTENSIONS_MAX: usize = 8;

/// The hash under `secret` of the UDP flow that `frame` belongs to. `None`: it is of no flow, or its ports cannot be seen, as
/// those of fragments; whoever received it looks at it.
#[inline]
#[must_use]
pub fn flow_hash(frame: &[u8], secret: u64) -> Option<u64> {
    of_plain_ipv4(frame, secret).or_else(|| of_any(frame, secret))
}

/// That of UDP over IPv4 without a tag, options or fragments, which most frames are: in a few wide words.
#[inline]
fn of_plain_ipv4(frame: &[u8], secret: u64) -> Option<u64> {
    // EtherType, version and length; fragments, but not whether there may be any, and the protocol.
    const WHOLE_UDP: u32 = ipv4::PROTOCOL_UDP as u32;
    let head: &[u8; 38] = frame.first_chunk()?;
    let word = |at: usize| head.get(at..).and_then(|b| b.first_chunk()).map(|b| u32::from_be_bytes(*b));
    if word(12)? >> 8 != u32::from(IPV4) << 8 | 0x45 || word(20)? & 0x3fff_00ff != WHOLE_UDP {
        return None;
    }
    let ports = word(34)?;
    let end = |address: u32, port: u32| u64::from(address) << 16 | u64::from(port);
    Some(of_ends(end(word(26)?, ports >> 16), end(word(30)?, ports & 0xffff), secret))
}

#[inline(never)]
fn of_any(frame: &[u8], secret: u64) -> Option<u64> {
    let (mut ethertype, mut packet) = (u16_at(frame, 12)?, frame.get(14..)?);
    for _tag in 0..2 {
        if TAGS.contains(&ethertype) {
            (ethertype, packet) = (u16_at(packet, 2)?, packet.get(4..)?);
        }
    }
    match ethertype {
        IPV4 => of_ipv4(packet, secret),
        IPV6 => of_ipv6(packet, secret),
        _ => None,
    }
}

fn of_ipv4(packet: &[u8], secret: u64) -> Option<u64> {
    let header: &[u8; 20] = packet.first_chunk()?;
    let [version, _, _, _, _, _, f0, f1, _, protocol, _, _, addresses @ ..] = *header;
    let more_or_offset = u16::from_be_bytes([f0, f1]) & 0x3fff;
    if version >> 4 != 4 || more_or_offset != 0 {
        return None;
    }
    let [sport, dport] = ports(protocol, packet.get(usize::from(version & 0x0f) * 4..)?)?;
    let [s0, s1, s2, s3, d0, d1, d2, d3] = addresses;
    let end = |address: [u8; 4], port: u16| u64::from(u32::from_be_bytes(address)) << 16 | u64::from(port);
    Some(of_ends(end([s0, s1, s2, s3], sport), end([d0, d1, d2, d3], dport), secret))
}

fn of_ipv6(packet: &[u8], secret: u64) -> Option<u64> {
    let header: &[u8; 40] = packet.first_chunk()?;
    let (mut next, mut rest) = (header[6], packet.get(40..)?);
    for _header in 0..EXTENSIONS_MAX {
        if !matches!(
            next,
            ipv6::NEXT_HEADER_HOP_BY_HOP | ipv6::NEXT_HEADER_ROUTING | ipv6::NEXT_HEADER_DESTINATION
        ) {
            break;
        }
        let [following, eights] = *rest.first_chunk()?;
        (next, rest) = (following, rest.get((usize::from(eights) + 1) * 8..)?);
    }
    let [sport, dport] = ports(next, rest)?;
    let half = |at: usize| {
        header.get(at..).and_then(|bytes| bytes.first_chunk()).map(|half| u64::from_be_bytes(*half))
    };
    let end = |at, port: u16| {
        Some(folded(half(at)? ^ secret, half(at + 8)? ^ !secret).wrapping_add(u64::from(port)))
    };
    Some(of_ends(end(8, sport)?, end(24, dport)?, secret))
}

/// The UDP ports of what an IP packet carries.
#[inline]
fn ports(protocol: u8, payload: &[u8]) -> Option<[u16; 2]> {
    let udp = match protocol {
        ipv4::PROTOCOL_UDP => payload,
        // O02: plain packets of the same flow follow.
        uoa::PROTOCOL => {
            let header = uoa::Header::parse(payload).ok()?;
            if header.protocol() != ipv4::PROTOCOL_UDP {
                return None;
            }
            header.payload()
        }
        _ => return None,
    };
    let [s0, s1, d0, d1] = *udp.first_chunk()?;
    Some([u16::from_be_bytes([s0, s1]), u16::from_be_bytes([d0, d1])])
}

/// The same, whichever end is the first.
#[inline]
fn of_ends(one: u64, other: u64, secret: u64) -> u64 {
    let mixed = folded(one.min(other) ^ secret, one.max(other) ^ secret.rotate_left(32));
    folded(mixed ^ 0x9e37_79b9_7f4a_7c15, secret | 1)
}

/// The product's halves, one on the other.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the lower half is meant")]
fn folded(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product >> 64) as u64 ^ product as u64
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|two| u16::from_be_bytes(*two))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::frames::UdpFrame;
    use crate::sim::frames::udp6::UdpFrame6;

    const SECRET: u64 = 0x1234_5678_9abc_def1;

    fn v4(port: u16) -> UdpFrame {
        UdpFrame::new(&format!("198.18.0.9:{port}"), "198.18.0.2:7", b"x")
    }

    fn of(frame: &UdpFrame) -> u64 {
        flow_hash(&frame.frame(), SECRET).unwrap()
    }

    /// The hash of `one` is that of all that is of the `same` flow, and of nothing `other`.
    fn judge(one: &[u8], same: &[Vec<u8>], other: &[u8]) {
        let of = |frame: &[u8]| flow_hash(frame, SECRET).unwrap();
        assert!(same.iter().all(|frame| of(frame) == of(one)));
        assert_ne!(of(one), of(other));
        assert_ne!(Some(of(one)), flow_hash(one, SECRET + 2), "nobody else knows where a flow goes");
    }

    #[test]
    fn a_flow_has_one_hash_in_both_directions_tagged_or_not() {
        let (here, there) = ("198.18.0.9:4000", "198.18.0.2:7");
        let one = v4(4000);
        let back = UdpFrame::new(there, here, b"other").frame();
        judge(&one.frame(), &[back, UdpFrame { tci: Some(9), ..one.clone() }.frame()], &v4(4001).frame());
        let (here, there) = ("[2001:db8::9]:4000", "[2001:db8::2]:7");
        let one = UdpFrame6::new(here, there, b"x");
        let back = UdpFrame6::new(there, here, b"other").frame();
        let other = UdpFrame6::new("[2001:db8::9]:4001", there, b"x").frame();
        judge(&one.frame(), &[back, UdpFrame6 { tci: Some(9), ..one.clone() }.frame()], &other);
    }

    #[test]
    fn flows_spread_evenly() {
        for workers in [2, 3, 7] {
            let mut by_worker = vec![0; workers];
            for port in 1024..9216 {
                let scaled = (u128::from(of(&v4(port))) * workers as u128) >> 64;
                by_worker[usize::try_from(scaled).unwrap()] += 1;
            }
            let expected = 8192 / workers;
            assert!(
                by_worker.iter().all(|n| (expected * 9 / 10..expected * 11 / 10).contains(n)),
                "{by_worker:?}"
            );
        }
    }

    #[test]
    fn what_has_no_ports_to_be_seen_is_of_no_flow() {
        let mut frame = v4(1).frame();
        frame[20] = 0x20;
        assert_eq!(flow_hash(&frame, SECRET), None, "a first fragment");
        (frame[20], frame[21]) = (0, 3);
        assert_eq!(flow_hash(&frame, SECRET), None, "a later one");
        (frame[21], frame[23]) = (0, 1);
        assert_eq!(flow_hash(&frame, SECRET), None, "ICMP");
        (frame[12], frame[13]) = (0x08, 0x06);
        assert_eq!(flow_hash(&frame, SECRET), None, "ARP");
        let whole = v4(1).frame();
        for end in 0..whole.len() {
            let _nor_does_it_panic = flow_hash(&whole[..end], SECRET);
        }
    }

    // The quick way is the same hash, for whatever takes it.
    #[test]
    fn what_is_plain_has_the_hash_that_it_would_have_if_it_were_not() {
        let mut rng = crate::rng::Rng::new(3);
        let whole = v4(1).frame();
        let mut plain = 0;
        for _ in 0..20_000 {
            let mut frame = whole.clone();
            frame[26..38].fill_with(|| rng.u64().to_be_bytes()[0]);
            for _ in 0..rng.below(3) {
                let at = usize::try_from(rng.below(38)).unwrap();
                frame[at] = rng.u64().to_be_bytes()[0];
            }
            frame.truncate(30 + usize::try_from(rng.below(20)).unwrap());
            if let Some(hash) = of_plain_ipv4(&frame, SECRET) {
                assert_eq!(Some(hash), of_any(&frame, SECRET));
                plain += 1;
            }
        }
        assert!(plain > 5_000, "{plain}");
    }

    // A packet with more before UDP than the next one is of the same flow, and must not be overtaken by it.
    #[test]
    fn what_comes_before_udp_changes_nothing() {
        let plain = v4(4000).frame();
        let mut with_options = plain.clone();
        with_options[14] = 0x46;
        with_options.splice(34..34, [1, 1, 1, 0]);
        assert_eq!(flow_hash(&with_options, SECRET), flow_hash(&plain, SECRET));
        let mut named = plain.clone();
        named[23] = uoa::PROTOCOL;
        named.splice(34..34, [0x10, 17, 0, 4]);
        assert_eq!(flow_hash(&named, SECRET), flow_hash(&plain, SECRET));
        let plain = UdpFrame6::new("[2001:db8::9]:4000", "[2001:db8::2]:7", b"x").frame();
        let mut extended = plain.clone();
        extended[20] = ipv6::NEXT_HEADER_HOP_BY_HOP;
        extended
            .splice(54..54, [ipv6::NEXT_HEADER_DESTINATION, 0, 1, 4, 0, 0, 0, 0, 17, 0, 1, 4, 0, 0, 0, 0]);
        assert_eq!(flow_hash(&extended, SECRET), flow_hash(&plain, SECRET));
        extended[54] = 44;
        assert_eq!(flow_hash(&extended, SECRET), None, "a fragment");
    }
}
