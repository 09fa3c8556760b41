//! The fast path against the slow one on VLANs: the tag in the frame, or taken off and put in by the device.

use core::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use proptest::prelude::*;

use crate::fastpath_common::{OWN_MAC, PEER_MAC, World, any_status, meta};
use pollcast::addr::{Cidr, Group, Ipv4Cidr, Unicast, V6, Vid};
use pollcast::fastpath::Level;
use pollcast::io::{ChecksumStatus, InterfaceId, Parts, RxMeta};
use pollcast::sim::frames::udp::UdpFrame;
use pollcast::sim::frames::udp6::UdpFrame6;
use pollcast::stack::groups::GroupTable;
use pollcast::stack::hops::Hops;
use pollcast::stack::interface::{Inet, Interface, Interfaces};
use pollcast::stack::membership::SourceFilter;
use pollcast::stack::port_table::{PortTable, Socket};
use pollcast::stack::route::Routes;

const GROUP4: Ipv4Addr = Ipv4Addr::new(239, 1, 2, 3);
const GROUP6: Ipv6Addr = Ipv6Addr::new(0xff0e, 0, 0, 0, 0, 1, 2, 3);

/// An interface with one address of each IP version, the same on every VLAN.
fn interface(id: u16, vlan: Option<u16>, inserts: bool) -> Interface {
    let v4 = Ipv4Cidr::new(Unicast::new([198, 18, 0, 2].into()).unwrap(), 24).unwrap();
    let v6 = Cidr::<V6>::new(Unicast::new("2001:db8::2".parse().unwrap()).unwrap(), 64).unwrap();
    let mut interface = Interface::new(InterfaceId(id), OWN_MAC, 1500, vec![v4]);
    interface.v6 = Inet::with_routes(Routes::new(vec![v6], Vec::new()), Hops::new(0, 0));
    interface.vlan = vlan.map(|vid| Vid::new(vid).unwrap());
    interface.tx_vlan_insert = inserts;
    interface
}

/// VLANs 100 and 200, and untagged ones if `untagged`; each with sockets of its own.
fn world(untagged: bool, inserts: bool) -> World {
    let mut all = vec![interface(1, Some(100), inserts), interface(2, Some(200), inserts)];
    if untagged {
        all.push(interface(0, None, inserts));
    }
    let mut table = PortTable::new(5);
    for (id, port) in [(0, 7), (1, 7), (1, 9), (2, 7), (2, 11)] {
        for any in ["0.0.0.0", "[::]"] {
            table.bind(Socket::new(InterfaceId(id), format!("{any}:{port}").parse().unwrap(), 0)).unwrap();
        }
    }
    World::of_all(Interfaces::new(all).unwrap(), table)
}

/// A right frame, with a tag if `tci`.
fn frame(ipv6: bool, tci: Option<u16>, ports: (u16, u16), payload: &[u8]) -> Vec<u8> {
    if ipv6 {
        let plain = UdpFrame6::new(
            &format!("[2001:db8::1]:{}", ports.0),
            &format!("[2001:db8::2]:{}", ports.1),
            payload,
        );
        UdpFrame6 { tci, source_mac: PEER_MAC, hop_limit: 9, ..plain.to_mac(OWN_MAC) }.frame()
    } else {
        let plain =
            UdpFrame::new(&format!("198.18.0.1:{}", ports.0), &format!("198.18.0.2:{}", ports.1), payload);
        UdpFrame { tci, source_mac: PEER_MAC, ttl: 9, ..plain.to_mac(OWN_MAC) }.frame()
    }
}

// E11, E12, 802.1Q: of either IP version, whatever its length and priority, to the socket of its VLAN; the answer has the VLAN
// and priority 0, and is turned in place where the tag stays where it was.
#[test]
fn plain_datagrams_on_a_vlan_take_the_fast_path() {
    for (untagged, inserts) in [(true, true), (true, false), (false, true), (false, false)] {
        let world = world(untagged, inserts);
        for (ipv6, tci) in [(false, 100), (false, 0xe064), (false, 200), (true, 100), (true, 0xf0c8)] {
            for len in (0..40).chain([100, 500, 1452]) {
                let payload: Vec<u8> = (0..len).map(|i| u8::try_from(i % 251).unwrap()).collect();
                let taken_off = RxMeta { stripped_tci: Some(tci), ..RxMeta::default() };
                for (tag, meta) in [(Some(tci), RxMeta::default()), (None, taken_off)] {
                    let frame = frame(ipv6, tag, (4000, 7), &payload);
                    assert!(world.compare(&frame, meta), "{tci:#x}, {len}");
                    let (buf, parts) = world.fast(Level::detect(), &frame, meta).unwrap();
                    let vlan = InterfaceId(if tci & 0xfff == 100 { 1 } else { 2 });
                    assert_eq!((parts.interface(), parts.is_tagged()), (vlan, true));
                    let answer = world.reply(Level::detect(), buf, parts);
                    assert_eq!(answer.is_some(), inserts == tag.is_none(), "{tci:#x}, {len}");
                }
            }
        }
    }
}

#[test]
fn a_vlan_hears_nothing_of_another_nor_of_none() {
    for untagged in [true, false] {
        let world = world(untagged, false);
        let takes =
            |tci, port| world.compare(&frame(false, tci, (4000, port), b"to whom?"), RxMeta::default());
        assert!(takes(Some(100), 9) && !takes(Some(200), 9) && !takes(None, 9));
        assert!(takes(Some(200), 11) && !takes(Some(100), 11) && !takes(None, 11));
        assert!(!takes(Some(300), 7) && takes(None, 7) == untagged);
        // What is remembered of one VLAN is not said of another.
        let all = [Some(100), Some(200), None, Some(300), Some(100), Some(0)];
        let burst = all.map(|tci| frame(false, tci, (4000, 7), b"whose?"));
        let wanted: Vec<_> = burst.iter().filter(|frame| world.compare(frame, RxMeta::default())).collect();
        let taken = world.burst(Level::detect(), &burst.each_ref().map(Vec::as_slice), RxMeta::default());
        assert_eq!(taken.0.len(), wanted.len());
        let ids: Vec<_> = taken.0.iter().map(|(_, parts)| parts.interface().0).collect();
        assert_eq!(ids, if untagged { vec![1, 2, 0, 1] } else { vec![1, 2, 1] });
    }
}

/// Untagged and on VLAN 100, each with a group of either IP version that wants two sources; among a thousand more, or not.
fn world_of_groups(are_many: bool) -> World {
    let more = if are_many { 1100 } else { 0 };
    let mut all = vec![interface(0, None, false), interface(1, Some(100), false)];
    for interface in &mut all {
        let sources = [1, 3].map(|last| Ipv4Addr::new(198, 18, 0, last));
        let wanted = [(Group::new(GROUP4).unwrap(), 0, SourceFilter::Include(sources.into()))];
        let others = (0..more).map(|n| Group::new(Ipv4Addr::from_bits(0xef09_0000 + n)).unwrap());
        let others = others.map(|group| (group, 0, SourceFilter::ANY));
        interface.v4.groups = Arc::new(GroupTable::new(3, wanted.into_iter().chain(others)));
        let sources = [1, 3].map(|last| Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last));
        let wanted = [(Group::new(GROUP6).unwrap(), 0, SourceFilter::Include(sources.into()))];
        let others =
            (0..more).map(|n| Group::new(Ipv6Addr::from_bits(0xff15 << 112 | u128::from(n))).unwrap());
        let others = others.map(|group| (group, 0, SourceFilter::ANY));
        interface.v6.groups = Arc::new(GroupTable::new(3, wanted.into_iter().chain(others)));
        assert_eq!((interface.v4.groups.is_large(), interface.v6.groups.is_large()), (are_many, are_many));
    }
    let mut table = PortTable::new(5);
    for any in ["0.0.0.0:7", "[::]:7"] {
        table.bind(Socket::new(None, any.parse().unwrap(), 0)).unwrap();
    }
    World::of_all(Interfaces::new(all).unwrap(), table)
}

/// To a group, from a source that is wanted or one that is not.
fn to_group(ipv6: bool, tci: Option<u16>, source: u8) -> Vec<u8> {
    if ipv6 {
        let plain =
            UdpFrame6::new(&format!("[2001:db8::{source}]:4000"), &format!("[{GROUP6}]:7"), b"to all");
        UdpFrame6 { tci, source_mac: PEER_MAC, ..plain }.frame()
    } else {
        let plain = UdpFrame::new(&format!("198.18.0.{source}:4000"), &format!("{GROUP4}:7"), b"to all");
        UdpFrame { tci, source_mac: PEER_MAC, ..plain }.frame()
    }
}

// U16: what many groups are fetched ahead for changes nothing, of whole frames or cut ones, with a tag or without.
#[test]
fn among_many_groups_the_same_is_heard_as_among_few() {
    let (few, many) = (world_of_groups(false), world_of_groups(true));
    let mut heard = 0;
    for tci in [None, Some(100), Some(200)] {
        for (ipv6, source) in [(false, 1), (false, 2), (true, 3), (true, 2)] {
            let whole = to_group(ipv6, tci, source);
            let frames: Vec<_> = (0..=whole.len()).map(|len| &whole[..len]).collect();
            for burst in frames.chunks(32) {
                let [few, many] =
                    [&few, &many].map(|world| world.burst(Level::detect(), burst, RxMeta::default()).0);
                let parts = |taken: &[(_, Parts)]| taken.iter().map(|(_, parts)| *parts).collect::<Vec<_>>();
                assert_eq!(parts(&few), parts(&many));
                heard += few.len();
            }
        }
    }
    // IPv4's frame is padded; of the three words of tag, two are ours.
    assert!(heard >= 4, "{heard}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    /// Frames near the plain shape on a VLAN, in bursts, with what the device may have said.
    #[test]
    fn both_paths_agree_on_mutated_frames_with_tags(
        (untagged, inserts) in any::<(bool, bool)>(),
        frames in prop::collection::vec((
            any::<bool>(),
            prop_oneof![4 => Just(Some(100u16)), 2 => Just(Some(200)), 1 => Just(Some(0xe064)), 1 => Just(Some(0)),
                1 => Just(Some(300)), 2 => Just(None)],
            (prop_oneof![1 => Just(0u16), 4 => Just(4000)], prop_oneof![3 => Just(7u16), 1 => Just(9), 1 => Just(80)]),
            prop::collection::vec(any::<u8>(), 0..80),
            prop::collection::vec((0usize..84, any::<u8>()), 0..2),
            prop_oneof![4 => Just(None), 1 => (0usize..120).prop_map(Some)],
        ), 1..6),
        stripped in prop_oneof![3 => Just(None), 2 => Just(Some(100u16)), 1 => Just(Some(0)), 1 => Just(Some(300))],
        statuses in (any_status(), any_status()),
    ) {
        let world = world(untagged, inserts);
        let frame = |(ipv6, tci, ports, payload, changes, cut): (_, _, _, Vec<u8>, Vec<(usize, u8)>, Option<usize>)| {
            let mut frame = frame(ipv6, tci, ports, &payload);
            for (at, byte) in changes {
                if let Some(at) = frame.get_mut(at) {
                    *at = byte;
                }
            }
            if let Some(len) = cut {
                frame.resize(len, 0x55);
            }
            frame
        };
        let meta = RxMeta { stripped_tci: stripped, ..meta(statuses.0, statuses.1) };
        world.compare_each_of(&frames.into_iter().map(frame).collect::<Vec<_>>(), meta);
    }
}

// E11: a tag that the device has taken off, and one that names a VLAN in the frame; a provider's.
#[test]
fn two_tags_are_for_the_slow_path() {
    let world = world(true, false);
    let one = frame(false, Some(100), (4000, 7), b"hello");
    let taken_off =
        |tci| RxMeta { stripped_tci: Some(tci), ..meta(ChecksumStatus::Unknown, ChecksumStatus::Unknown) };
    assert!(!world.compare(&one, taken_off(100)) && !world.compare(&one, taken_off(0)));
    let mut two = one.clone();
    two.splice(12..12, [0x81, 0, 0, 100]);
    assert!(!world.compare(&two, RxMeta::default()));
    let mut of_a_provider = one;
    of_a_provider[12..14].copy_from_slice(&[0x88, 0xa8]);
    assert!(!world.compare(&of_a_provider, RxMeta::default()));
}
