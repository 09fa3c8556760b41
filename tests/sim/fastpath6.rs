//! The fast path against the slow one over IPv6, and both IP versions in one burst.

use core::net::{Ipv6Addr, SocketAddr};
use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;

use crate::fastpath_common::{OWN_MAC, PEER_MAC, Taken, World, altered, any_status, meta};
use pollcast::addr::{Cidr, Group, Ipv4Cidr, MacAddr, Unicast, V6};
use pollcast::fastpath::Level;
use pollcast::io::{ChecksumStatus, InterfaceId, PacketBuf, RxMeta};
use pollcast::sim::frames::ipv6::Extension;
use pollcast::sim::frames::udp::{UdpFrame, UdpSum};
use pollcast::sim::frames::udp6::UdpFrame6;
use pollcast::stack::flow_label::FlowLabels;
use pollcast::stack::groups::{GroupTable, ServiceId};
use pollcast::stack::hops::Hops;
use pollcast::stack::ingress::Verdict;
use pollcast::stack::interface::{Inet, Interface};
use pollcast::stack::membership::SourceFilter;
use pollcast::stack::port_table::{PortTable, Socket, Versions};
use pollcast::stack::route::Routes;

const HOST: &str = "2001:db8::2";
const LINK_LOCAL: &str = "fe80::ff:fe00:2";
const PEER: &str = "2001:db8::1";

fn v6(s: &str) -> Ipv6Addr {
    s.parse().unwrap()
}

fn group(text: &str) -> Group<V6> {
    Group::new(v6(text)).unwrap()
}

/// An interface with one IPv4 address and these of IPv6, and labels under a key.
fn interface(addresses: &[&str]) -> Interface {
    let v4 = Ipv4Cidr::new(Unicast::new([198, 18, 0, 2].into()).unwrap(), 24).unwrap();
    let mut interface = Interface::new(InterfaceId(0), OWN_MAC, 1500, vec![v4]);
    let cidrs = addresses.iter().map(|a| Cidr::<V6>::new(Unicast::new(v6(a)).unwrap(), 64).unwrap());
    interface.v6 = Inet::with_routes(Routes::new(cidrs.collect(), Vec::new()), Hops::new(0, 0));
    interface.flow_labels = FlowLabels::new(0x1234_5678_9abc);
    interface
}

/// With two groups and two sockets.
fn world_of(mut interface: Interface) -> World {
    let member = |g: &str, filter| (group(g), 0, filter);
    let only = SourceFilter::Include(BTreeSet::from([v6(PEER)]));
    // Nobody can join the last one; were it there, nothing of it would come from a wire.
    let joined = [
        member("ff0e::1:2:3", SourceFilter::ANY),
        member("ff3e::1234", only),
        member("ff01::1:2:3", SourceFilter::ANY),
    ];
    interface.v6.groups = Arc::new(GroupTable::new(3, joined.into_iter()));
    let mut table = PortTable::new(5);
    for local in ["[::]:7", "[2001:db8::2]:9", "0.0.0.0:7"] {
        table.bind(Socket::new(InterfaceId(0), local.parse().unwrap(), 0)).unwrap();
    }
    World::of(interface, table)
}

fn world() -> World {
    world_of(interface(&[HOST, LINK_LOCAL]))
}

/// A right UDP datagram, whose label and hop limit are not what an answer has.
fn datagram(src: &str, dst: &str, ports: (u16, u16), payload: &[u8]) -> UdpFrame6 {
    let plain = UdpFrame6::new(&format!("[{src}]:{}", ports.0), &format!("[{dst}]:{}", ports.1), payload);
    let dst_mac = Group::<V6>::new(v6(dst)).map_or(OWN_MAC, Group::mac);
    UdpFrame6 {
        source_mac: PEER_MAC,
        traffic_class: 0xb8,
        flow_label: 0x54321,
        hop_limit: 9,
        ..plain.to_mac(dst_mac)
    }
}

fn frame(src: &str, dst: &str, ports: (u16, u16), payload: &[u8]) -> Vec<u8> {
    datagram(src, dst, ports, payload).frame()
}

#[test]
fn plain_datagrams_take_the_fast_path_whatever_their_length() {
    let world = world();
    for len in 0..=1452 {
        let payload: Vec<u8> = (0..len).map(|i| u8::try_from(i % 251).unwrap()).collect();
        let mut frame = frame(PEER, HOST, (4000, 7), &payload);
        assert!(world.compare(&frame, RxMeta::default()), "length {len}");
        // V01, RFC 8200 3: what follows the packet is no part of it, nor of the answer.
        frame.extend([0xaa; 9]);
        assert!(world.compare(&frame, RxMeta::default()), "length {len} with a trailer");
    }
}

/// What an answer says is read by another hand than the one that wrote it.
#[test]
fn an_answer_is_what_a_host_says() {
    let world = world();
    for (dst, from) in [(HOST, HOST), (LINK_LOCAL, LINK_LOCAL), ("ff0e::1:2:3", HOST)] {
        let request = datagram(PEER, dst, (4000, 7), b"hello, world");
        let (buf, parts) =
            world.fast(Level::detect(), &request.frame(), RxMeta::default()).expect("it is plain");
        assert!(parts.is_ipv6());
        let answer = world.reply(Level::detect(), buf, parts).expect("it can be answered");
        let answer = UdpFrame6::read(answer.data()).expect("right in every respect");
        assert_eq!((answer.source.to_string(), answer.destination), (format!("[{from}]:7"), request.source));
        assert_eq!((answer.source_mac, answer.destination_mac), (OWN_MAC, PEER_MAC));
        assert_eq!((answer.hop_limit, answer.traffic_class, answer.payload), (64, 0, request.payload));
        // V13, RFC 6437 3.
        assert!(answer.flow_label != 0 && answer.flow_label != 0x54321);
    }
}

#[test]
fn joined_groups_take_the_fast_path_and_others_do_not() {
    let world = world();
    let takes = |src, dst| world.compare(&frame(src, dst, (4000, 7), b"hello"), RxMeta::default());
    assert!(takes(PEER, "ff0e::1:2:3"));
    assert!(takes(PEER, "ff3e::1234"));
    assert!(!takes("2001:db8::9", "ff3e::1234"), "a source that was not joined");
    // E04, RFC 2464 7: the same MAC, another group; and another's.
    assert!(!takes(PEER, "ff05::1:2:3"));
    assert!(!takes(PEER, "ff0e::1:2:4"));
    // V03, RFC 4291 2.7.
    assert!(!takes(PEER, "ff01::1:2:3"));
    // A group's packet in another group's frame, or in one for us alone.
    for mac in [group("ff0e::1:2:4").mac(), OWN_MAC] {
        let frame = datagram(PEER, "ff0e::1:2:3", (4000, 7), b"hello").to_mac(mac).frame();
        assert!(!world.compare(&frame, RxMeta::default()), "{mac}");
    }
    // E15: a packet for one host in a frame for many.
    let frame = datagram(PEER, HOST, (4000, 7), b"x").to_mac(group("ff0e::1:2:3").mac()).frame();
    assert!(!world.compare(&frame, RxMeta::default()));
}

#[test]
fn every_status_of_the_checksum_gives_the_same_on_both_paths() {
    use ChecksumStatus::{Bad, Good, None, Unknown};
    let world = world();
    let right = frame(PEER, HOST, (4000, 7), b"hello");
    // RFC 8200 8.1: 0 is never right.
    let zero = datagram(PEER, HOST, (4000, 7), b"hello").with_sum(UdpSum::Absent).frame();
    let mut wrong = right.clone();
    wrong[64] ^= 1;
    for (ip, l4) in [Bad, Good, None, Unknown]
        .into_iter()
        .flat_map(|ip| [Bad, Good, None, Unknown].into_iter().map(move |l4| (ip, l4)))
    {
        let meta = meta(ip, l4);
        assert!(world.compare(&right, meta), "{meta:?}");
        assert!(!world.compare(&zero, meta), "{meta:?}");
        // The device's word is taken where it says "good" or "verified", and nowhere else.
        assert_eq!(world.compare(&wrong, meta), l4 == Good || l4 == None, "{meta:?}");
    }
}

#[test]
fn several_addresses_are_all_ours() {
    // Of these, some differ from a peer's in all but the last byte, and one in all but that.
    let own = [HOST, LINK_LOCAL, "2001:db8:7::1", "2001:db8:7::102", "fd00::2"];
    let world = world_of(interface(&own));
    let takes = |src, dst| world.compare(&frame(src, dst, (4000, 7), b"hello"), RxMeta::default());
    for dst in own {
        assert!(takes(PEER, dst), "{dst}");
        // V06: a loop, or an attack.
        assert!(!takes(dst, HOST), "from {dst}");
    }
    for foreign in ["2001:db8::42", "2001:db8:8::1", "2001:db8::102", "fe80::2"] {
        assert!(takes(foreign, HOST), "from {foreign}");
        assert!(!takes(PEER, foreign), "to {foreign}");
    }
}

// V03, V04, V05.
#[test]
fn sources_that_are_no_host_are_not_taken() {
    let world = world();
    for src in ["::", "::1", "::ffff:198.18.0.1", "ff02::1", "ff0e::1:2:3"] {
        assert!(!world.compare(&frame(src, HOST, (4000, 7), b"hello"), RxMeta::default()), "{src}");
    }
}

#[test]
fn where_ipv6_is_off_or_without_an_address_nothing_is_taken() {
    let mut off = interface(&[HOST]);
    off.v6.is_on = false;
    let without = interface(&[]);
    for world in [world_of(off), world_of(without)] {
        for dst in [HOST, "::"] {
            assert!(!world.compare(&frame(PEER, dst, (4000, 7), b"hello"), RxMeta::default()), "{dst}");
        }
    }
}

#[test]
fn what_has_extension_headers_takes_the_slow_path() {
    let world = world();
    let options = Extension::Destination(Vec::new());
    let frame = datagram(PEER, HOST, (4000, 7), b"hello").with(&[options]).frame();
    assert!(matches!(world.slow(&frame, RxMeta::default()), Verdict::Deliver(..)));
    assert!(!world.compare(&frame, RxMeta::default()));
}

// N14, RFC 4861 6.3.4; RFC 8201 5.2: what is too long for the smallest path is answered by the slow one, which looks.
#[test]
fn what_is_too_long_for_some_path_is_not_answered_fast() {
    let mut small = interface(&[HOST]);
    small.v6.paths.set_link_mtu(1280);
    let world = world_of(small);
    for (len, answered) in [(1280 - 48, true), (1280 - 47, false)] {
        let frame = frame(PEER, HOST, (4000, 7), &vec![7; len]);
        let (buf, parts) = world.fast(Level::BASELINE, &frame, RxMeta::default()).unwrap();
        assert_eq!(world.reply(Level::BASELINE, buf, parts).is_some(), answered, "{len}");
    }
}

/// What is remembered of one packet of a burst is right for the next, whatever its version, address and port.
#[test]
fn both_versions_share_a_burst() {
    let world = world_of(interface(&[HOST, LINK_LOCAL]));
    let v4 = |port: u16| {
        UdpFrame {
            source_mac: PEER_MAC,
            destination_mac: OWN_MAC,
            ..UdpFrame::new("198.18.0.1:4000", &format!("198.18.0.2:{port}"), b"four")
        }
        .frame()
    };
    let six = |dst: &str, port: u16| frame(PEER, dst, (4000, port), b"six");
    let frames = [
        v4(7),
        six(HOST, 7),
        six(HOST, 9),
        v4(7),
        six(LINK_LOCAL, 7),
        six(HOST, 9),
        six(LINK_LOCAL, 9),
        six("ff0e::1:2:3", 7),
        six(HOST, 7),
        six("2001:db8::3", 7),
        v4(9),
    ];
    let all: Vec<&[u8]> = frames.iter().map(Vec::as_slice).collect();
    for level in [Level::BASELINE, Level::detect()] {
        let Taken(taken, left) = world.burst(level, &all, RxMeta::default());
        let took: Vec<_> = taken.iter().map(|(buf, parts)| (buf.data().to_vec(), parts.socket())).collect();
        // Socket 0 is [::]:7, 1 is [2001:db8::2]:9, 2 is 0.0.0.0:7.
        let to = [(0, 2), (1, 0), (2, 1), (3, 2), (4, 0), (5, 1), (7, 0), (8, 0)];
        assert_eq!(took, to.map(|(frame, socket)| (frames[frame].clone(), socket)));
        assert_eq!(left.len(), frames.len() - to.len());
    }
}

// U13: whole datagrams of both versions are turned round where they lie, in fours, up to one that somebody else reads; none of a burst
// of which one is too long for some path.
#[test]
fn whole_datagrams_of_both_versions_take_the_short_way() {
    let wide = Level::all_here().count() - 1;
    for mtu in [1500, 1280] {
        let mut interface = interface(&[HOST, LINK_LOCAL]);
        interface.v6.paths.set_link_mtu(mtu);
        let world = world_of(interface);
        let payload = |len: usize| (0..len).map(|i| u8::try_from(i % 251).unwrap()).collect::<Vec<_>>();
        let v4 = |at: usize, len| {
            let from = format!("198.18.0.1:{}", 4000 + at);
            let frame = UdpFrame::new(&from, "198.18.0.2:7", &payload(len));
            UdpFrame { source_mac: PEER_MAC, destination_mac: OWN_MAC, ..frame }.frame()
        };
        let six = |at: usize, len| {
            let at = u16::try_from(at).unwrap();
            frame(PEER, HOST, (4000 + at, if at % 3 == 1 { 9 } else { 7 }), &payload(len))
        };
        for (fours, sixes, len) in
            [(0, 8, 18), (4, 4, 19), (8, 4, 300), (4, 11, 1232), (4, 12, 1233), (0, 4, 1452)]
        {
            let frames = (0..fours).map(|at| v4(at, len)).chain((0..sixes).map(|at| six(at, len)));
            let frames: Vec<_> = frames.collect();
            world.turned.set(0);
            world.compare_each_of(&frames, RxMeta::default());
            let fits = len + 48 <= usize::from(mtu);
            let all = if fits { 2 * wide * (fours + sixes / 4 * 4) } else { 0 };
            assert!((all..=2 * all).contains(&world.turned.get()), "{} of {all}", world.turned.get());
            for at in (0..frames.len()).filter(|_| fits) {
                world.turned.set(0);
                world.compare_shared(&frames, at);
                assert_eq!(world.turned.get(), 2 * wide * (at / 4 * 4).min(fours + sixes / 4 * 4));
            }
        }
    }
}

/// A minimum frame that reads as a packet to the address of nobody, before there is anything to remember.
#[test]
fn nothing_is_remembered_before_there_was_something() {
    let world = world();
    for dst in ["::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"] {
        let frame = datagram(PEER, dst, (4000, 0), b"").to_mac(OWN_MAC).frame();
        assert!(!world.compare(&frame, RxMeta::default()), "{dst}");
    }
}

/// An address that a property picks.
fn source() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        6 => Just(PEER), 1 => Just(HOST), 1 => Just(LINK_LOCAL), 1 => Just("fe80::1"), 1 => Just("::"),
        1 => Just("::1"), 1 => Just("::ffff:198.18.0.1"), 1 => Just("::198.18.0.1"), 1 => Just("ff02::1"),
        1 => Just("2001:db8:5::5"),
    ]
}

fn destination() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        4 => Just(HOST), 2 => Just(LINK_LOCAL), 2 => Just("ff0e::1:2:3"), 2 => Just("ff3e::1234"),
        1 => Just("ff05::1:2:3"), 1 => Just("ff01::1:2:3"), 1 => Just("ff02::1"), 1 => Just("ff02::1:ff00:2"),
        1 => Just("::1"), 1 => Just("::"), 1 => Just("2001:db8::77"),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    /// Frames near the plain shape: a right one with bytes changed where it matters, cut or grown at the end.
    #[test]
    fn both_paths_agree_on_mutated_frames(
        src in source(),
        dst in destination(),
        ports in (prop_oneof![Just(0u16), Just(7), Just(4000)], prop_oneof![4 => Just(7u16), 1 => Just(9), 1 => Just(0), 1 => Just(80)]),
        payload in prop::collection::vec(any::<u8>(), 0..80),
        changes in prop::collection::vec((0usize..66, any::<u8>()), 0..3),
        cut in prop_oneof![4 => Just(None), 1 => (0usize..120).prop_map(Some)],
        mac in prop_oneof![6 => Just(None), 1 => Just(Some(OWN_MAC)), 1 => Just(Some(MacAddr([0x33, 0x33, 0, 1, 0, 2])))],
        statuses in (any_status(), any_status()),
    ) {
        let datagram = datagram(src, dst, ports, &payload);
        let datagram = match mac {
            Some(mac) => datagram.to_mac(mac),
            None => datagram,
        };
        let mut frame = datagram.frame();
        for (at, byte) in changes {
            if let Some(place) = frame.get_mut(at) {
                *place = byte;
            }
        }
        if let Some(len) = cut {
            frame.resize(len, 0x55);
        }
        world().compare(&frame, meta(statuses.0, statuses.1));
    }

    // U13, U16, U17, U19: several sockets on one port, filters, `multicast_all`, and sockets bound to groups: the fast
    // path takes every plain datagram that anyone wants, to the same socket and with the same word of others.
    #[test]
    fn both_paths_agree_on_who_hears(
        sockets in prop::collection::vec((0..6usize, 0..4u32, any::<bool>()), 1..6),
        members in prop::collection::vec(
            (0..3usize, 0..4u32, any::<bool>(), prop::collection::btree_set(1..4u8, 0..3)), 0..6),
        dst in 0..5usize, src in 1..4u8, port in prop_oneof![3 => Just(7u16), 1 => Just(9)],
    ) {
        const LOCALS: [&str; 6] =
            ["[::]:7", "[ff0e::1:2:3]:7", "[ff05::1:2:3]:7", "[2001:db8::2]:7", "[::]:9", "0.0.0.0:7"];
        const GROUPS: [&str; 3] = ["ff0e::1:2:3", "ff05::1:2:3", "ff02::1"];
        const TO: [&str; 5] = ["ff0e::1:2:3", "ff05::1:2:3", "ff02::1", "ff0e::1:2:4", HOST];
        let mut table = PortTable::new(5);
        for (local, service, multicast_all) in sockets {
            let socket = Socket::new(InterfaceId(0), LOCALS[local].parse().unwrap(), service);
            // Of several in one place, all share it.
            let _ = table.bind(Socket { multicast_all, reuse_address: true, ..socket });
        }
        let source = |n: u8| Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x10 + u16::from(n));
        let member = |(of, service, exclude, sources): (usize, ServiceId, bool, BTreeSet<u8>)| {
            let sources = sources.into_iter().map(source).collect();
            let filter =
                if exclude { SourceFilter::Exclude(sources) } else { SourceFilter::Include(sources) };
            (group(GROUPS[of]), service, filter)
        };
        let mut interface = interface(&[HOST, LINK_LOCAL]);
        interface.v6.groups = Arc::new(GroupTable::new(3, members.into_iter().map(member)));
        let world = World::of(interface, table);
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
            (0..5usize, any::<bool>(), any::<bool>(), prop::option::of((1..3u16, 0..2u16))), 1..8),
        frames in prop::collection::vec((1..3u16, 0..3u16, any::<bool>(), any::<bool>()), 1..12),
    ) {
        const LOCALS: [&str; 5] =
            ["[::]:7", "[2001:db8::2]:7", "[ff0e::1:2:3]:7", "[::]:9", "0.0.0.0:7"];
        let source = |n: u16| Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x10 + n);
        let mut table = PortTable::new(5);
        for (id, (local, reuse_port, both, peer)) in (0..).zip(sockets) {
            let peer = peer.map(|(n, port)| SocketAddr::new(source(n).into(), 4000 + port));
            let socket = Socket::new(None, LOCALS[local].parse().unwrap(), 0);
            let is_v4 = socket.local.is_ipv4();
            let version = if both && !is_v4 { Versions::Both } else { socket.version };
            let peer = peer.filter(|_| !is_v4);
            table.set(id, Some(Socket { reuse_port, peer, version, ..socket }));
        }
        let mut interface = interface(&[HOST, LINK_LOCAL]);
        let joined = [(group("ff0e::1:2:3"), 0, SourceFilter::ANY)];
        interface.v6.groups = Arc::new(GroupTable::new(3, joined.into_iter()));
        let world = World::of(interface, table);
        let frame = |(src, port, to_host, nine): (u16, u16, bool, bool)| {
            let dst = if to_host { HOST } else { "ff0e::1:2:3" };
            frame(&source(src).to_string(), dst, (4000 + port, if nine { 9 } else { 7 }), b"whose?")
        };
        world.compare_burst(&frames.into_iter().map(frame).collect::<Vec<_>>());
    }
}

// U05, RFC 8200 8.1: a sum that comes out as 0 is sent as 0xffff, also when it is updated for a group's answer.
#[test]
fn an_answer_never_carries_the_checksum_zero() {
    let world = world();
    for dst in [HOST, "ff0e::1:2:3"] {
        for word in 0..=u16::MAX {
            let request = frame(PEER, dst, (4000, 7), &word.to_be_bytes());
            let (buf, parts) = world.fast(Level::BASELINE, &request, RxMeta::default()).unwrap();
            let answer = world.reply(Level::BASELINE, buf, parts).unwrap();
            assert_ne!(&answer.data()[60..62], &[0, 0], "{dst} {word:#x}");
        }
    }
}

// Frames are looked at four at a time: a wrong one is found wherever it is among right ones, by each of its bits.
#[test]
fn a_wrong_frame_is_found_among_right_ones() {
    // To one address, and to several in turns.
    for own in [&SEVERAL[..1], &SEVERAL] {
        let world = world_of(interface(own));
        for (payload, place) in
            [(&b"eighteen bytes...."[..], 0), (b"nineteen bytes.....", 1), (&[0x5a; 61], 2), (b"short", 3)]
        {
            let right = |at: usize| frame(PEER, own[at % own.len()], (4000, 7), payload);
            for bit in 0..8 * 84.min(right(0).len()) {
                let mut frames: Vec<_> = (0..5).map(right).collect();
                frames[place][bit / 8] ^= 1 << (bit % 8);
                world.compare_each_of(&frames, RxMeta::default());
            }
            // V01, RFC 8200 3: with a trailer.
            let mut longer = right(1);
            longer.extend([0xaa; 5]);
            world.compare_each_of(&[right(0), longer, right(2), right(3)], RxMeta::default());
        }
    }
}

/// Addresses of one host, of which some differ in one half alone.
const SEVERAL: [&str; 5] = [HOST, "2001:db8::102", LINK_LOCAL, "2001:db8:7::2", "fd00::ff:fe00:2"];

// V06, U21, V13: datagrams of one burst to any of our addresses; each is answered from the one that was asked, with the label of that flow.
#[test]
fn several_addresses_are_looked_at_four_at_once() {
    let many: Vec<_> = (2..1002).map(|n| format!("2001:db8::{:x}:{n:x}", n % 7)).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    let v4 = UdpFrame {
        source_mac: PEER_MAC,
        destination_mac: OWN_MAC,
        ..UdpFrame::new("198.18.0.1:4000", "198.18.0.2:7", b"eighteen bytes....")
    };
    for own in [&SEVERAL[..2], &SEVERAL, &many] {
        let world = world_of(interface(own));
        // So many of IPv4 first, then of IPv6 to one address; and behind them to another with each packet.
        for (round, (fours, ones)) in
            [(0, 0), (0, 4), (4, 0), (4, 8), (0, 5)].into_iter().cycle().take(25).enumerate()
        {
            let to = |at: usize| own[if at < ones { 0 } else { (7 * at + round) % own.len() }];
            // Port 9 is open at this one alone.
            let is_nine = |at: usize| to(at) == HOST && at.is_multiple_of(3);
            let ports = |at: usize| (4000, if is_nine(at) { 9 } else { 7 });
            let six = |at: usize| frame(PEER, to(at), ports(at), &vec![0xee; 18 + at % 3]);
            let frames: Vec<_> = (0..fours).map(|_| v4.frame()).chain((0..16).map(six)).collect();
            world.turned.set(0);
            world.compare_each_of(&frames, RxMeta::default());
            // In a small table and in a large one, all of them, and then those before the packet that is shared.
            let wide = Level::all_here().count() - 1;
            let all = 2 * wide * frames.len();
            assert!((all..=2 * all).contains(&world.turned.get()), "{} of {all}", world.turned.get());
        }
    }
}

// V06: our own address as a source, and nobody's as a destination, among right ones to several addresses, wherever it is.
#[test]
fn a_source_or_destination_that_cannot_be_is_found_among_right_ones() {
    let world = world_of(interface(&SEVERAL));
    let foreign = ["2001:db8::3", "2001:db8:7::102", "2001:db8:8::2", "fe80::2", "ff0e::1:2:3", "::", "::1"];
    for place in 0..8 {
        for (src, dst) in SEVERAL.map(|own| (own, HOST)).into_iter().chain(foreign.map(|other| (PEER, other)))
        {
            let right = |at: usize| frame(PEER, SEVERAL[at % SEVERAL.len()], (4000, 7), &[0x33; 18]);
            let mut frames: Vec<_> = (0..8).map(right).collect();
            frames[place] = frame(src, dst, (4000, 7), &[0x33; 18]);
            world.compare_each_of(&frames, RxMeta::default());
        }
    }
}

/// `frame` with a checksum that is right for the bytes that are there and the length that it says.
fn summed(mut frame: Vec<u8>) -> Vec<u8> {
    frame[60..62].fill(0);
    let length = [0, 0, frame[58], frame[59], 0, 17];
    let parts = frame[22..54].chunks(2).chain(frame[54..].chunks(2)).chain(length.chunks(2));
    let word = |pair: &[u8]| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
    let sum = parts.map(word).sum::<u32>();
    let folded = (sum & 0xffff) + (sum >> 16);
    let field = !u16::try_from((folded & 0xffff) + (folded >> 16)).unwrap();
    frame[60..62].copy_from_slice(&field.to_be_bytes());
    frame
}

/// `frame`, which says that its datagram has this length.
fn with_len(mut frame: Vec<u8>, len: u16) -> Vec<u8> {
    frame[18..20].copy_from_slice(&len.to_be_bytes());
    frame[58..60].copy_from_slice(&len.to_be_bytes());
    summed(frame)
}

/// A frame without a checksum of which all words together say that it is right.
fn without_checksum(payload: &[u8]) -> Vec<u8> {
    let with = |word: u16| frame(PEER, HOST, (4000, 7), &[&word.to_be_bytes(), payload].concat());
    let mut frame =
        (0..=u16::MAX).map(with).find(|frame| frame[60..62] == [0xff, 0xff]).expect("one of them");
    frame[60..62].fill(0);
    frame
}

// What no sum tells: V01, V03 to V05, E03, U01, U02, U05. Among right ones, wherever it is.
#[test]
fn a_wrong_frame_with_a_right_sum_is_found_among_right_ones() {
    let world = world();
    for payload in [&[0x33; 18][..], &[0x5a; 61]] {
        let right = frame(PEER, HOST, (4000, 7), payload);
        let len = u16::try_from(8 + payload.len()).unwrap();
        let from = |src: &str| frame(src, HOST, (4000, 7), payload);
        let from_mac = |mac: [u8; 6]| [&right[..6], &mac, &right[12..]].concat();
        let mut wrong: Vec<Vec<u8>> =
            [HOST, LINK_LOCAL, "::", "::1", "::ffff:1.2.3.4", "0:0:1::", "ff02::1", "ff0e::1:2:3"]
                .map(from)
                .into();
        wrong.extend([from_mac(OWN_MAC.0), from_mac([0x33, 0x33, 0, 0, 0, 1]), from_mac([0xff; 6])]);
        wrong.extend(
            (0..8).chain([len + 1, len + 2, len + 200, u16::MAX]).map(|len| with_len(right.clone(), len)),
        );
        wrong.push(without_checksum(&payload[2..]));
        let taken = wrong.iter().filter(|frame| world.compare(frame, RxMeta::default())).count();
        // Of those beginning with 32 zeros, one may be anybody's.
        assert!(taken <= 1, "{taken} are taken");
        for wrong in wrong {
            for place in 0..4 {
                let mut frames = vec![right.clone(); 5];
                frames[place].clone_from(&wrong);
                world.compare_each_of(&frames, RxMeta::default());
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// Bursts of frames of which some are near the plain shape, to several ports and addresses.
    #[test]
    fn both_paths_agree_on_bursts_of_mutated_frames(
        frames in prop::collection::vec((
            prop_oneof![6 => Just(PEER), 1 => Just(HOST), 1 => Just("::1"), 1 => Just("::"), 1 => Just("fe80::9")],
            prop_oneof![9 => Just(HOST), 4 => Just(LINK_LOCAL), 1 => Just("ff0e::1:2:3"), 1 => Just("2001:db8::3")],
            (prop_oneof![1 => Just(0u16), 9 => Just(4000)], prop_oneof![6 => Just(7u16), 2 => Just(9), 1 => Just(80)]),
            prop::collection::vec(any::<u8>(), 16..200),
            prop_oneof![4 => Just(None), 1 => (0usize..78, any::<u8>()).prop_map(Some)],
            prop_oneof![9 => Just(None), 1 => (0usize..100).prop_map(Some)],
        ), 1..17),
        statuses in (any_status(), any_status()),
    ) {
        let frame = |(src, dst, ports, payload, change, cut): (_, _, _, Vec<u8>, Option<(usize, u8)>, Option<usize>)| {
            altered(frame(src, dst, ports, &payload), change, cut)
        };
        world().compare_each_of(&frames.into_iter().map(frame).collect::<Vec<_>>(), meta(statuses.0, statuses.1));
    }
}
