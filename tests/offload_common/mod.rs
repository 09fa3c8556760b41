//! What a host is asked, and what it says, whoever computes checksums and handles tags: the same.
#![allow(dead_code, unreachable_pub, reason = "each test uses its part")]

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};

use pollcast::addr::MacAddr;
use pollcast::sim::frames::fragment::{cut_evenly, join};
use pollcast::sim::frames::fragment6::{cut6_evenly, join6};
use pollcast::sim::frames::icmp6::IcmpFrame6;
use pollcast::sim::frames::ipv6::Ipv6;
use pollcast::sim::frames::{IcmpFrame, UdpFrame, UdpFrame6, UdpSum};

/// The VLAN beside the untagged network.
pub const VID: u16 = 100;

/// The peer's and the host's addresses, untagged and on the VLAN.
const ENDS4: [(Option<u16>, &str, &str); 2] =
    [(None, "198.18.0.10", "198.18.0.2"), (Some(VID), "198.19.0.10", "198.19.0.2")];
const ENDS6: [(Option<u16>, &str, &str); 2] =
    [(None, "2001:db8::10", "2001:db8::2"), (Some(VID), "2001:db8:64::10", "2001:db8:64::2")];

/// How many lines of answers all of it has: on each of the two networks, of IPv4 eight good ones, four without a sum, one behind options, two in
/// fragments, one to the group, an error and a ping; of IPv6 eight and an error and a ping; one of a priority tag, and the last.
pub const SAID: usize = 2 * (18 + 10) + 2;

/// In how many frames that is said: three answers on each network are in three fragments.
pub const FRAMES: usize = SAID + 2 * 3 * 2;

/// What is asked last: when it is answered, everything is.
pub const LAST: &[u8] = b"the end";

fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|i| u8::try_from((i * 29 + len) % 251).unwrap()).collect()
}

fn tagged(vid: Option<u16>, mut frame: Vec<u8>) -> Vec<u8> {
    if let Some(vid) = vid {
        frame.splice(12..12, [[0x81, 0x00], vid.to_be_bytes()].concat());
    }
    frame
}

/// Good, with a wrong checksum, without one, in fragments, with and without a tag, to groups and to closed ports, of both IP versions.
pub fn requests(host: MacAddr) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    for (vid, peer, own) in ENDS4 {
        frames.extend(requests4(peer, own, host).into_iter().map(|frame| tagged(vid, frame)));
    }
    for (vid, peer, own) in ENDS6 {
        frames.extend(requests6(peer, own, host).into_iter().map(|frame| tagged(vid, frame)));
    }
    let good = UdpFrame::new("198.18.0.10:4000", "198.18.0.2:7", b"elsewhere").to_mac(host).frame();
    // To no VLAN of ours; and with a priority alone, which is none.
    frames.push(tagged(Some(101), good.clone()));
    frames.push(tagged(Some(0xe000), good));
    frames.push(last(host));
    frames
}

/// The question that is asked last.
pub fn last(host: MacAddr) -> Vec<u8> {
    UdpFrame::new("198.18.0.10:4000", "198.18.0.2:7", LAST).to_mac(host).frame()
}

fn requests4(peer: &str, own: &str, host: MacAddr) -> Vec<Vec<u8>> {
    let [peer_ip, own_ip]: [Ipv4Addr; 2] = [peer, own].map(|addr| addr.parse().unwrap());
    let udp = |port: u16, payload: &[u8]| {
        UdpFrame::new(&format!("{peer}:4000"), &format!("{own}:{port}"), payload).to_mac(host)
    };
    let mut frames: Vec<_> =
        [0, 1, 17, 18, 19, 500, 1471, 1472].map(|len| udp(7, &bytes(len)).frame()).to_vec();
    for len in [0, 1, 500, 1472] {
        frames.push(udp(7, &bytes(len)).with_sum(UdpSum::Wrong).frame());
        frames.push(udp(7, &bytes(len)).with_sum(UdpSum::Absent).frame());
    }
    // A wrong header checksum.
    let mut header = udp(7, b"a header that is wrong").frame();
    header[24] ^= 0x10;
    frames.push(header);
    frames.push(UdpFrame { options: vec![1, 1, 1, 0], ..udp(7, b"behind options") }.frame());
    for sum in [UdpSum::Right, UdpSum::Wrong, UdpSum::Absent] {
        frames.extend(cut_evenly(&udp(7, &bytes(3000)).with_sum(sum).frame(), 7 + sum as u16, 1480));
    }
    frames.push(udp(9, b"nobody listens here").frame());
    frames.push(udp(9, b"and this one is broken").with_sum(UdpSum::Wrong).frame());
    frames.push(UdpFrame::new(&format!("{peer}:4000"), "239.1.2.3:7", b"to the group").frame());
    frames.push(IcmpFrame::echo(peer_ip, own_ip, 1, 2, &bytes(100)).to_mac(host).frame());
    let mut ping = IcmpFrame::echo(peer_ip, own_ip, 1, 3, &bytes(100)).to_mac(host).frame();
    ping[60] ^= 1;
    frames.push(ping);
    frames
}

fn requests6(peer: &str, own: &str, host: MacAddr) -> Vec<Vec<u8>> {
    let [peer_ip, own_ip]: [Ipv6Addr; 2] = [peer, own].map(|addr| addr.parse().unwrap());
    let udp = |port: u16, payload: &[u8]| {
        UdpFrame6::new(&format!("[{peer}]:4000"), &format!("[{own}]:{port}"), payload).to_mac(host)
    };
    let mut frames: Vec<_> = [0, 1, 2, 500, 1451, 1452].map(|len| udp(7, &bytes(len)).frame()).to_vec();
    for len in [0, 1, 500, 1452] {
        frames.push(udp(7, &bytes(len)).with_sum(UdpSum::Wrong).frame());
        frames.push(udp(7, &bytes(len)).with_sum(UdpSum::Absent).frame());
    }
    for (sum, id) in [(UdpSum::Right, 7), (UdpSum::Wrong, 8)] {
        frames.extend(cut6_evenly(&udp(7, &bytes(3000)).with_sum(sum).frame(), id, 1440));
    }
    frames.push(udp(9, b"nobody listens here").frame());
    frames.push(udp(9, b"and this one is broken").with_sum(UdpSum::Wrong).frame());
    frames.push(UdpFrame6::new(&format!("[{peer}]:4000"), "[ff0e::1:2:3]:7", b"to the group").frame());
    frames.push(IcmpFrame6::echo(peer_ip, own_ip, 1, 2, &bytes(100)).to_mac(host).frame());
    frames
}

/// None of `offered`, each alone, all but each, and all: whatever three of them, they are met in each of their eight ways to be on
/// and off. In the order of `offered`, none first.
pub fn threewise(offered: &[String]) -> Vec<Vec<String>> {
    let all = (1_u32 << offered.len()) - 1;
    let singles = (0..offered.len()).map(|bit| 1_u32 << bit);
    let switches: BTreeSet<u32> = singles.flat_map(|one| [one, all & !one]).chain([0, all]).collect();
    let named = |set: u32| {
        (0..).zip(offered).filter(move |(bit, _)| set & (1 << bit) != 0).map(|(_, name)| name.clone())
    };
    switches.into_iter().map(|set| named(set).collect()).collect()
}

/// None of `offered` (at most ten), all, and so many that whatever two of them, they are met in each of their four ways to be on and off:
/// each is on in another three of five sets, of which any two have one in common. None first.
pub fn pairwise(offered: &[String]) -> Vec<Vec<String>> {
    assert!(offered.len() <= 10, "{offered:?}");
    let sets_of: Vec<u32> = (0..32_u32).filter(|sets| sets.count_ones() == 3).collect();
    let on = |set: u32| {
        let named = offered.iter().zip(&sets_of).filter(move |(_, sets)| **sets & (1 << set) != 0);
        named.map(|(name, _)| name.clone()).collect::<Vec<_>>()
    };
    let mut all = vec![Vec::new()];
    for set in (0..5).map(on).chain([offered.to_vec()]) {
        if !all.contains(&set) {
            all.push(set);
        }
    }
    all
}

/// How many of `frames` are said by `host` in answer.
pub fn answers(host: MacAddr, frames: &[Vec<u8>]) -> usize {
    let own = frames.iter().filter(|frame| frame.len() >= 60 && frame[6..12] == host.0);
    own.filter(|frame| describe(&untagged(frame).1) != Some(None)).count()
}

/// What `host` says in `frames`, one line each, sorted: without what differs from run to run (identifications, flow labels), and
/// without what it says in its own time. Each sum is verified by whoever reads it.
pub fn said(host: MacAddr, frames: &[Vec<u8>]) -> Vec<String> {
    let mut lines = Vec::new();
    let mut pieces: Vec<(Option<u16>, Vec<u8>)> = Vec::new();
    for frame in frames.iter().filter(|frame| frame.len() >= 60 && frame[6..12] == host.0) {
        let (vid, frame) = untagged(frame);
        match describe(&frame) {
            Some(line) => lines.extend(line.map(|line| format!("{vid:?} {line}"))),
            None => pieces.push((vid, frame)),
        }
    }
    // Fragments of one datagram follow each other: an offset of 0 begins the next.
    let mut whole: Vec<(Option<u16>, Vec<Vec<u8>>)> = Vec::new();
    for (vid, frame) in pieces {
        match whole.last_mut() {
            Some((last, all)) if !is_first(&frame) && *last == vid => all.push(frame),
            _ => whole.push((vid, vec![frame])),
        }
    }
    for (vid, all) in whole {
        let frame = join(&all).or_else(|_| join6(&all)).unwrap_or_else(|e| panic!("{e}: {all:?}"));
        let line = describe(&frame).flatten().unwrap_or_else(|| panic!("not UDP: {frame:?}"));
        lines.push(format!("{vid:?} {line} in {} fragments", all.len()));
    }
    lines.sort();
    lines
}

fn untagged(frame: &[u8]) -> (Option<u16>, Vec<u8>) {
    if frame[12..14] != [0x81, 0x00] {
        return (None, frame.to_vec());
    }
    (Some(u16::from_be_bytes([frame[14], frame[15]])), [&frame[..12], &frame[16..]].concat())
}

fn is_first(frame: &[u8]) -> bool {
    if frame[14] >> 4 == 4 {
        return u16::from_be_bytes([frame[20], frame[21]]) & 0x1fff == 0;
    }
    u16::from_be_bytes([frame[56], frame[57]]) & 0xfff8 == 0
}

/// A line of what `frame` says; `Some(None)` of what a host says in its own time. `None`: it is a fragment, or wrong.
fn describe(frame: &[u8]) -> Option<Option<String>> {
    if let Ok(f) = UdpFrame::read(frame) {
        let sum: u64 = f.payload.iter().zip(1..).map(|(byte, n)| u64::from(*byte) * n).sum();
        return Some(Some(format!(
            "{} to {} ttl {} {} bytes {sum:x}",
            f.source,
            f.destination,
            f.ttl,
            f.payload.len()
        )));
    }
    if let Ok(f) = UdpFrame6::read(frame) {
        let sum: u64 = f.payload.iter().zip(1..).map(|(byte, n)| u64::from(*byte) * n).sum();
        return Some(Some(format!(
            "{} to {} hops {} {} bytes {sum:x}",
            f.source,
            f.destination,
            f.hop_limit,
            f.payload.len()
        )));
    }
    if let Ok(f) = IcmpFrame::read(frame) {
        // The pings by which a test knows that a host has dealt with everything.
        let is_fence = f.kind == 0 && f.body.ends_with(b"fence");
        return Some((!is_fence).then(|| format!("icmp {} {} {} bytes", f.kind, f.code, f.body.len())));
    }
    if let Ok(f) = IcmpFrame6::read(frame) {
        let of_link = matches!(f.kind, 130..=137 | 143);
        return Some((!of_link).then(|| format!("icmp6 {} {} {} bytes", f.kind, f.code, f.body.len())));
    }
    match frame[12..14] {
        [0x08, 0x00] if frame[23] == 2 => Some(None),
        [0x08, 0x06] => Some(None),
        // A report behind a router alert.
        [0x86, 0xdd] if Ipv6::read_frame(frame).is_ok_and(|(_, ip, _)| ip.next_header == 58) => Some(None),
        _ => None,
    }
}
