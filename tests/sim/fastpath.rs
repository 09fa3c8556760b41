//! The fast path against the slow one: whatever the first takes, the second delivers the same, and answers the same.

use core::net::{Ipv4Addr, SocketAddr};
use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;

use crate::fastpath_common::{OWN_MAC, PEER_MAC, World, altered, any_status, meta};
use pollcast::addr::{Group, Ipv4Cidr, Unicast, V4};
use pollcast::fastpath::Level;
use pollcast::io::{ChecksumStatus, InterfaceId, PacketBuf, RxMeta};
use pollcast::stack::groups::{GroupTable, ServiceId};
use pollcast::stack::ingress::Verdict;
use pollcast::stack::interface::Interface;
use pollcast::stack::membership::SourceFilter;
use pollcast::stack::port_table::{PortTable, Socket, Versions};
use pollcast::wire::ethernet::{ETHERTYPE_IPV4, Header};
use pollcast::wire::{ipv4, udp};

fn v4(s: &str) -> Ipv4Addr {
    s.parse().unwrap()
}

/// An interface with these addresses, two groups and two sockets.
fn world(addresses: &[(&str, u8)]) -> World {
    let cidr = |(a, p): &(&str, u8)| Ipv4Cidr::new(Unicast::new(v4(a)).unwrap(), *p).unwrap();
    let mut interface = Interface::new(InterfaceId(0), OWN_MAC, 1500, addresses.iter().map(cidr).collect());
    let group = |g, filter| (Group::new(v4(g)).unwrap(), 0, filter);
    let only = SourceFilter::Include(BTreeSet::from([v4("198.18.0.1")]));
    let joined = [group("239.1.2.3", SourceFilter::ANY), group("232.1.2.3", only)];
    interface.v4.groups = Arc::new(GroupTable::new(3, joined.into_iter()));
    let mut table = PortTable::new(5);
    for local in ["0.0.0.0:7", "198.18.0.2:9"] {
        table.bind(Socket::new(InterfaceId(0), local.parse().unwrap(), 0)).unwrap();
    }
    World::of(interface, table)
}

/// One with one address, and any sockets and memberships.
fn world_with(sockets: &[Socket], members: Vec<(&str, ServiceId, SourceFilter<V4>)>) -> World {
    let addr = Ipv4Cidr::new(Unicast::new(v4("198.18.0.2")).unwrap(), 24).unwrap();
    let mut interface = Interface::new(InterfaceId(0), OWN_MAC, 1500, vec![addr]);
    let members = members.into_iter().map(|(g, s, f)| (Group::new(v4(g)).unwrap(), s, f));
    interface.v4.groups = Arc::new(GroupTable::new(3, members));
    let mut table = PortTable::new(5);
    // Of several in one place, all share it.
    sockets.iter().for_each(|socket| _ = table.bind(*socket));
    World::of(interface, table)
}

/// A right UDP frame, at least 60 bytes long; the padding is not zeros.
fn frame(src: &str, dst: &str, ports: (u16, u16), payload: &[u8]) -> Vec<u8> {
    let (src, dst) = (v4(src), v4(dst));
    let group = Group::<V4>::new(dst);
    let link = Header { dst: group.map_or(OWN_MAC, Group::mac), src: PEER_MAC, ethertype: ETHERTYPE_IPV4 };
    let header = udp::Repr::new(ports.0, ports.1, payload.len()).unwrap();
    let ip = ipv4::Repr {
        tos: 0xb8,
        id: 0x1234,
        dont_fragment: false,
        ttl: 9,
        protocol: 17,
        src,
        dst,
        payload_len: header.length(),
        router_alert: false,
    };
    let mut frame = vec![0xaa; (42 + payload.len()).max(60)];
    let rest = ip.emit(link.emit(&mut frame).unwrap()).unwrap();
    let rest = header.emit(header.checksum_v4(src, dst, payload), rest).unwrap();
    rest[..payload.len()].copy_from_slice(payload);
    frame
}

#[test]
fn plain_datagrams_take_the_fast_path_whatever_their_length() {
    let world = world(&[("198.18.0.2", 24)]);
    for len in 0..=1472 {
        let payload: Vec<u8> = (0..len).map(|i| u8::try_from(i % 251).unwrap()).collect();
        let frame = frame("198.18.0.1", "198.18.0.2", (4000, 7), &payload);
        assert!(world.compare(&frame, RxMeta::default()), "length {len}");
    }
}

#[test]
fn joined_groups_take_the_fast_path_and_others_do_not() {
    let world = world(&[("198.18.0.2", 24)]);
    let takes = |src, dst| world.compare(&frame(src, dst, (4000, 7), b"hello"), RxMeta::default());
    assert!(takes("198.18.0.1", "239.1.2.3"));
    assert!(takes("198.18.0.1", "232.1.2.3"));
    assert!(!takes("198.18.0.9", "232.1.2.3"), "a source that was not joined");
    // E04, RFC 1112 6.4: the same MAC, another group.
    assert!(!takes("198.18.0.1", "239.129.2.3"));
    assert!(!takes("198.18.0.1", "239.1.2.4"));
}

#[test]
fn every_status_of_the_checksums_gives_the_same_on_both_paths() {
    use ChecksumStatus::{Bad, Good, None, Unknown};
    let world = world(&[("198.18.0.2", 24)]);
    let right = frame("198.18.0.1", "198.18.0.2", (4000, 7), b"hello");
    let mut zero = right.clone();
    zero[40..42].copy_from_slice(&[0, 0]);
    let mut wrong = right.clone();
    wrong[44] ^= 1;
    for (ip, l4) in [Bad, Good, None, Unknown]
        .into_iter()
        .flat_map(|ip| [Bad, Good, None, Unknown].into_iter().map(move |l4| (ip, l4)))
    {
        let meta = meta(ip, l4);
        assert!(world.compare(&right, meta), "{meta:?}");
        assert!(world.compare(&zero, meta), "{meta:?}");
        // The device's word is taken where it says "good" or "verified", and nowhere else.
        assert_eq!(world.compare(&wrong, meta), l4 == Good || l4 == None, "{meta:?}");
    }
}

#[test]
fn several_addresses_are_all_ours() {
    let world = world(&[("198.18.0.2", 24), ("198.19.0.2", 24), ("198.19.7.4", 31)]);
    let takes = |src, dst| world.compare(&frame(src, dst, (4000, 7), b"hello"), RxMeta::default());
    for dst in ["198.18.0.2", "198.19.0.2", "198.19.7.4"] {
        assert!(takes("198.18.0.1", dst), "{dst}");
        // I09, CA-1997-28.
        assert!(!takes(dst, "198.18.0.2"), "from {dst}");
    }
    // I08, RFC 1122 3.2.1.3(e).
    assert!(!takes("198.19.0.255", "198.18.0.2"));
    assert!(takes("198.19.7.5", "198.18.0.2"), "a /31 has no broadcast address");
}

#[test]
fn an_interface_without_an_address_takes_nothing() {
    let world = world(&[]);
    assert!(!world.compare(&frame("198.18.0.1", "198.18.0.2", (4000, 7), b"hello"), RxMeta::default()));
    assert!(!world.compare(&frame("198.18.0.1", "0.0.0.0", (4000, 7), b"hello"), RxMeta::default()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Frames near the plain shape: a right one with bytes changed where it matters, cut or grown at the end.
    #[test]
    fn both_paths_agree_on_mutated_frames(
        src in prop_oneof![Just("198.18.0.1"), Just("198.18.0.2"), Just("198.18.0.255"), Just("127.0.0.1"),
            Just("0.0.0.0"), Just("224.0.0.1"), Just("240.0.0.1"), Just("8.8.8.8")],
        dst in prop_oneof![4 => Just("198.18.0.2"), 1 => Just("198.18.0.255"), 1 => Just("239.1.2.3"),
            1 => Just("232.1.2.3"), 1 => Just("239.129.2.3"), 1 => Just("198.18.0.77")],
        ports in (prop_oneof![Just(0u16), Just(7), Just(4000)], prop_oneof![Just(7u16), Just(9), Just(0), Just(80)]),
        payload in prop::collection::vec(any::<u8>(), 0..80),
        changes in prop::collection::vec((0usize..60, any::<u8>()), 0..3),
        cut in prop_oneof![4 => Just(None), 1 => (0usize..100).prop_map(Some)],
        statuses in (any_status(), any_status()),
    ) {
        let world = world(&[("198.18.0.2", 24)]);
        let mut frame = frame(src, dst, ports, &payload);
        for (at, byte) in changes {
            frame[at] = byte;
        }
        if let Some(len) = cut {
            frame.resize(len, 0x55);
        }
        world.compare(&frame, meta(statuses.0, statuses.1));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    // U13, U16, U17, U19: several sockets on one port, filters, `multicast_all`, and sockets bound to groups: the fast
    // path takes every plain datagram that anyone wants, to the same socket and with the same word of others.
    #[test]
    fn both_paths_agree_on_who_hears(
        sockets in prop::collection::vec((0..5usize, 0..4u32, any::<bool>()), 1..6),
        members in prop::collection::vec(
            (0..3usize, 0..4u32, any::<bool>(), prop::collection::btree_set(1..4u8, 0..3)), 0..6),
        dst in 0..5usize, src in 1..4u8, port in prop_oneof![3 => Just(7u16), 1 => Just(9)],
    ) {
        const LOCALS: [&str; 5] =
            ["0.0.0.0:7", "239.1.2.3:7", "239.129.2.3:7", "198.18.0.2:7", "0.0.0.0:9"];
        const GROUPS: [&str; 3] = ["239.1.2.3", "239.129.2.3", "224.0.0.1"];
        const TO: [&str; 5] = ["239.1.2.3", "239.129.2.3", "224.0.0.1", "239.1.2.4", "198.18.0.2"];
        let socket = |(local, service, multicast_all): &(usize, u32, bool)| {
            let socket = Socket::new(InterfaceId(0), LOCALS[*local].parse().unwrap(), *service);
            Socket { multicast_all: *multicast_all, reuse_address: true, ..socket }
        };
        let sockets: Vec<_> = sockets.iter().map(socket).collect();
        let source = |n: u8| Ipv4Addr::new(198, 18, 0, 10 + n);
        let member = |(group, service, exclude, sources): (usize, u32, bool, BTreeSet<u8>)| {
            let sources = sources.into_iter().map(source).collect();
            let filter =
                if exclude { SourceFilter::Exclude(sources) } else { SourceFilter::Include(sources) };
            (GROUPS[group], service, filter)
        };
        let world = world_with(&sockets, members.into_iter().map(member).collect());
        let frame = frame(&source(src).to_string(), TO[dst], (4000, port), b"to whom?");
        let wanted = matches!(world.slow(&frame, RxMeta::default()), Verdict::Deliver(..));
        prop_assert_eq!(world.compare(&frame, RxMeta::default()), wanted);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    // U12, U14, U15, U20: whom a datagram is for may depend on who sent it. What the fast path remembers of one datagram of a burst
    // is not said of another.
    #[test]
    fn a_burst_finds_what_each_of_its_frames_would(
        sockets in prop::collection::vec(
            (0..6usize, any::<bool>(), any::<bool>(), prop::option::of((1..3u8, 0..2u16))), 1..8),
        frames in prop::collection::vec((1..3u8, 0..3u16, 0..3usize, any::<bool>()), 1..12),
    ) {
        const LOCALS: [&str; 6] =
            ["0.0.0.0:7", "198.18.0.2:7", "198.18.0.3:7", "239.1.2.3:7", "[::]:7", "0.0.0.0:9"];
        const TO: [&str; 3] = ["198.18.0.2", "198.18.0.3", "239.1.2.3"];
        let source = |n: u8| Ipv4Addr::new(198, 18, 0, 10 + n);
        let mut world = world(&[("198.18.0.2", 24), ("198.18.0.3", 24)]);
        let mut table = PortTable::new(5);
        for (id, (local, reuse_port, here, peer)) in (0..).zip(sockets) {
            let peer = peer.map(|(n, port)| SocketAddr::new(source(n).into(), 4000 + port));
            let socket = Socket::new(here.then_some(InterfaceId(0)), LOCALS[local].parse().unwrap(), 0);
            let version = if socket.local.is_ipv6() { Versions::Both } else { socket.version };
            table.set(id, Some(Socket { reuse_port, peer, version, ..socket }));
        }
        world.set_table(table);
        let frame = |(src, port, to, nine): (u8, u16, usize, bool)| {
            frame(&source(src).to_string(), TO[to], (4000 + port, if nine { 9 } else { 7 }), b"whose?")
        };
        world.compare_burst(&frames.into_iter().map(frame).collect::<Vec<_>>());
    }
}

/// Addresses of one host: none, some and many have a network of their own.
const SEVERAL: [(&str, u8); 4] =
    [("198.18.0.2", 24), ("198.18.0.3", 24), ("198.19.255.2", 16), ("10.0.0.5", 31)];

// Frames are looked at four at a time: a wrong one is found wherever it is among right ones, by each of its bits.
#[test]
fn a_wrong_frame_is_found_among_right_ones() {
    for own in [&SEVERAL[..1], &SEVERAL] {
        let world = world(own);
        for (payload, place) in
            [(&b"eighteen bytes..."[..], 0), (b"short", 1), (&[0x5a; 61], 2), (&[0xff; 18], 3)]
        {
            let right = |at: usize| frame("198.18.0.1", own[at % own.len()].0, (4000, 7), payload);
            for bit in 0..8 * right(0).len().min(64) {
                let mut frames: Vec<_> = (0..5).map(right).collect();
                frames[place][bit / 8] ^= 1 << (bit % 8);
                world.compare_each_of(&frames, RxMeta::default());
            }
        }
    }
}

// I07, U21: datagrams of one burst to any of our addresses, and each is answered from the one that was asked.
#[test]
fn several_addresses_are_looked_at_four_at_once() {
    let third = |n: u16| (format!("198.18.{}.{}", n / 200, n % 200 + 2), 16);
    let many: Vec<_> = (0..1000).map(third).collect();
    let many: Vec<_> = many.iter().map(|(addr, len)| (addr.as_str(), *len)).collect();
    for own in [&SEVERAL[..2], &SEVERAL, &many] {
        let world = world(own);
        let to = |at: usize| own[(7 * at + at / 16) % own.len()].0;
        for round in 0..20 {
            let frames: Vec<_> = (16 * round..16 * (round + 1))
                .map(|at| frame("192.0.2.1", to(at), (4000, 7), &vec![0xee; 18 + at % 3]))
                .collect();
            world.turned.set(0);
            world.compare_each_of(&frames, RxMeta::default());
            // In a small table and in a large one, all of them, and then those before the packet that is shared.
            let wide = Level::all_here().count() - 1;
            assert!((2 * 16 * wide..=4 * 16 * wide).contains(&world.turned.get()));
        }
    }
}

// U13: whole datagrams of any length are turned round where they lie, in fours, to whichever sockets; but for fours of which somebody
// reads one, too, wherever that is.
#[test]
fn whole_datagrams_of_one_burst_take_the_short_way() {
    let world = world(&[("198.18.0.2", 24)]);
    let of = |len: usize, at: u16| {
        let payload: Vec<u8> = (0..len).map(|i| u8::try_from((i + usize::from(at)) % 251).unwrap()).collect();
        frame("198.18.0.1", "198.18.0.2", (4000 + at, if at % 3 == 1 { 9 } else { 7 }), &payload)
    };
    let wide = Level::all_here().count() - 1;
    for (len, count) in (18..=1472).step_by(7).zip([4u16, 5, 8, 11, 16].into_iter().cycle()) {
        world.turned.set(0);
        let frames: Vec<_> =
            (0..count).map(|at| of(len + usize::from(at) % (1473 - len).min(9), at)).collect();
        world.compare_each_of(&frames, RxMeta::default());
        // Lengths are looked at together: of some, none of which is too long, that cannot be told.
        let fours = frames.len() / 4 * 4;
        let any = frames[..fours].iter().fold(0, |any, frame| any | (frame.len() - 34));
        // In a small table and in a large one; and once more as far as the packet that is shared.
        let all = if any <= 1480 { 2 * wide * fours } else { 0 };
        assert!((all..=2 * all).contains(&world.turned.get()), "{} of {all}", world.turned.get());
    }
}

// U13: one after the other, each packet of a burst is one that somebody else reads.
#[test]
fn what_others_read_is_not_written_to() {
    let world = world(&[("198.18.0.2", 24)]);
    for at in 0..12 {
        let mut frames = vec![frame("198.18.0.1", "198.18.0.2", (4000, 7), b"eighteen bytes...."); 12];
        frames[at] = frame("198.18.0.1", "198.18.0.2", (4001, 7), b"somebody else reads");
        world.turned.set(0);
        world.compare_shared(&frames, at);
        let wide = Level::all_here().count() - 1;
        assert_eq!(world.turned.get(), 2 * wide * (at / 4 * 4));
    }
}

// I07 to I11: the same for each first octet of a source.
#[test]
fn a_source_that_cannot_be_is_found_among_right_ones() {
    let world = world(&[("198.18.0.2", 24), ("198.19.0.2", 24)]);
    let to_us = |src: &str, n: usize| {
        frame(src, ["198.18.0.2", "198.19.0.2"][n % 2], (4000, 7), b"eighteen bytes....")
    };
    let others = ["198.18.0.2", "198.18.0.255", "198.19.0.2", "198.19.0.255", "0.0.0.0", "255.255.255.255"];
    let all = (0..=255).map(|octet| format!("{octet}.1.2.3")).chain(others.map(String::from));
    for (n, src) in all.enumerate() {
        let mut frames: Vec<_> = (0..4).map(|at| to_us("198.18.0.1", at)).collect();
        frames[n % 4] = to_us(&src, n / 4);
        world.compare_each_of(&frames, RxMeta::default());
    }
    // The same of a destination: nobody's, and everyone's.
    for dst in ["198.18.0.9", "198.18.0.255", "0.0.0.0", "255.255.255.255", "127.0.0.1", "198.18.0.1"] {
        let mut frames: Vec<_> = (0..4).map(|at| to_us("198.18.0.1", at)).collect();
        frames[1] = frame("198.18.0.1", dst, (4000, 7), b"eighteen bytes....");
        world.compare_each_of(&frames, RxMeta::default());
    }
}

// U12: what a port has in common is remembered of a burst, and of no port is what was not found.
#[test]
fn a_burst_to_many_ports_finds_each_of_them() {
    let mut world = world(&[("198.18.0.2", 24)]);
    let mut table = PortTable::new(5);
    let peer = SocketAddr::new(v4("198.18.0.1").into(), 4000);
    for (id, (port, peer)) in
        (0..).zip([(0xffff, Some(peer)), (0xff00, None), (7, None), (0x0700, Some(peer))])
    {
        let socket = Socket::new(InterfaceId(0), SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port), 0);
        table.set(id, Some(Socket { peer, ..socket }));
    }
    world.set_table(table);
    let ports = [0xffff, 0xff00, 7, 0x0700, 0x00ff, 0];
    for first in ports {
        for second in ports {
            for n in 0..64 {
                let port = |at: u32| if n >> at & 1 == 0 { first } else { second };
                let frames =
                    (0..8).map(|at| frame("198.18.0.1", "198.18.0.2", (4000, port(at % 6)), b"to whom?"));
                world.compare_burst(&frames.collect::<Vec<_>>());
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// Bursts of frames of which some are near the plain shape.
    #[test]
    fn both_paths_agree_on_bursts_of_mutated_frames(
        frames in prop::collection::vec((
            prop_oneof![6 => Just("198.18.0.1"), 1 => Just("198.18.0.2"), 1 => Just("8.8.8.8")],
            prop_oneof![8 => Just("198.18.0.2"), 1 => Just("239.1.2.3")],
            (prop_oneof![1 => Just(0u16), 9 => Just(4000)], prop_oneof![6 => Just(7u16), 2 => Just(9), 1 => Just(80)]),
            prop::collection::vec(any::<u8>(), 0..200),
            prop_oneof![4 => Just(None), 1 => (0usize..60, any::<u8>()).prop_map(Some)],
            prop_oneof![9 => Just(None), 1 => (0usize..100).prop_map(Some)],
        ), 1..17),
        statuses in (any_status(), any_status()),
    ) {
        let world = world(&[("198.18.0.2", 24)]);
        let frame = |(src, dst, ports, payload, change, cut): (_, _, _, Vec<u8>, Option<(usize, u8)>, Option<usize>)| {
            altered(frame(src, dst, ports, &payload), change, cut)
        };
        world.compare_each_of(&frames.into_iter().map(frame).collect::<Vec<_>>(), meta(statuses.0, statuses.1));
    }
}

// U05, RFC 768: a sum that comes out as 0 is sent as 0xffff, also when it is updated for a group's answer.
#[test]
fn an_answer_never_carries_the_checksum_zero() {
    let world = world(&[("198.18.0.2", 24)]);
    for dst in ["198.18.0.2", "239.1.2.3"] {
        for word in 0..=u16::MAX {
            let request = frame("198.18.0.1", dst, (4000, 7), &word.to_be_bytes());
            let level = if word % 2 == 0 { Level::BASELINE } else { Level::detect() };
            let (buf, parts) = world.fast(level, &request, RxMeta::default()).unwrap();
            let answer = world.reply(level, buf, parts).unwrap();
            assert_ne!(&answer.data()[40..42], &[0, 0], "{dst} {word:#x}");
        }
    }
}
