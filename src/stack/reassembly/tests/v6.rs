//! What only IPv6 has. RFC 8200 4.5.

use super::*;
use crate::sim::frames::{Extension, HeaderOption};

/// The fragment that carries `bytes` from `start` on, of the usual two stations.
fn fragment(
    change: impl Fn(&mut Ip6Frame),
    first: u8,
    id: u32,
    (start, bytes, total): (usize, &[u8], usize),
) -> Vec<u8> {
    let ethernet = Ethernet::read(&V6.udp(1)).unwrap().0;
    let mut ip = Ip6Frame::new(A6, B6, 44);
    change(&mut ip);
    piece6(&ethernet, &ip, (first, id), start, bytes, total)
}

fn options(len: usize) -> Extension {
    Extension::HopByHop(vec![HeaderOption::new(0x1e, &vec![0x77; len])])
}

fn destination(len: usize) -> Extension {
    Extension::Destination(vec![HeaderOption::new(0x1e, &vec![0x77; len])])
}

fn routing() -> Extension {
    Extension::Routing { kind: 2, segments_left: 0, data: vec![0; 20] }
}

// W08, RFC 8200 4.5: source, destination and all 32 bits of the identification; and the interface.
#[test]
fn fragments_of_different_datagrams_are_never_mixed() {
    let (start, last) = ((0, &[7; 64][..], 100), (64, &[8; 36][..], 100));
    let same = |_: &mut Ip6Frame| {};
    let mut bench = Bench::new(LIMITS);
    assert!(bench.arrive(&fragment(same, 17, 0x0001_0009, start)).is_none());
    assert!(bench.arrive(&fragment(same, 17, 0x0002_0009, last)).is_none());
    assert!(bench.arrive(&fragment(same, 17, 0x0001_000a, last)).is_none());
    assert!(bench.arrive(&fragment(|ip| ip.source = B6, 17, 0x0001_0009, last)).is_none());
    assert!(bench.arrive(&fragment(|ip| ip.destination = A6, 17, 0x0001_0009, last)).is_none());
    let right = fragment(same, 17, 0x0001_0009, last);
    let elsewhere = fragment_in(&right, 14, InterfaceId(1)).unwrap();
    let buf = bench.pool.alloc_copy(&right).unwrap();
    bench.arrived += 1;
    let (whole, account) = bench.reassembler.insert(bench.now, &elsewhere, buf, &bench.pool.clone());
    bench.add(&account);
    assert!(whole.is_none());
    assert_eq!(bench.reassembler.pending(), 6);
    assert!(bench.arrive(&right).is_some());
}

// W08, RFC 8200 4.5: what is carried is what the first fragment says, whatever others do, and whichever comes first.
#[test]
fn only_the_first_fragment_says_what_follows() {
    let frame = V6.udp(100);
    let bytes = &frame[54..];
    for reverse in [false, true] {
        let mut pieces = [
            fragment(|_| {}, 17, 5, (0, &bytes[..32], bytes.len())),
            fragment(|_| {}, 6, 5, (32, &bytes[32..64], bytes.len())),
            fragment(|_| {}, 255, 5, (64, &bytes[64..], bytes.len())),
        ];
        if reverse {
            pieces.reverse();
        }
        let mut bench = Bench::new(LIMITS);
        let whole: Vec<SimBuf> = pieces.iter().filter_map(|piece| bench.arrive(piece)).collect();
        assert_is(V6, &whole[0], &frame);
    }
}

// RFC 8200 4.5: the headers before the fragment header are the first fragment's, and the last of them names what follows it;
// those behind it are in the fragments. One that fits a buffer, and one that does not.
#[test]
fn the_whole_has_every_header_but_the_fragment_header() {
    for extensions in [
        vec![options(3)],
        vec![routing()],
        vec![destination(9)],
        vec![options(200), routing(), destination(30)],
        vec![options(3), destination(3), routing(), destination(11)],
    ] {
        for len in [100, 1000, 3000, 60_000] {
            let frame = UdpFrame6::new("[2001:db8::1]:40000", "[2001:db8::2]:7", &payload(len));
            let frame = UdpFrame6 { traffic_class: 0xb8, flow_label: 0x1_2345, ..frame.with(&extensions) };
            let fragments = V6.cut_evenly(&frame.frame(), if len > 1000 { 1120 } else { 80 });
            let mut bench = Bench::new(LIMITS);
            let whole: Vec<SimBuf> = fragments.iter().rev().filter_map(|piece| bench.arrive(piece)).collect();
            assert_is(V6, &whole[0], &frame.frame());
            assert_eq!(UdpFrame6::read(&flat(&whole[0])).as_ref(), Ok(&frame));
            assert_eq!(whole[0].body().is_some(), len > 1000);
        }
    }
}

// RFC 8200 4.5: headers that only another fragment has before its fragment header are ignored.
#[test]
fn the_headers_of_later_fragments_are_ignored() {
    let frame = UdpFrame6::new("[2001:db8::1]:40000", "[2001:db8::2]:7", &payload(100)).with(&[options(3)]);
    let bytes = frame.datagram();
    let mut bench = Bench::new(LIMITS);
    bench.arrive(&fragment(|_| {}, 17, 5, (64, &bytes[64..], bytes.len())));
    let with_options = |ip: &mut Ip6Frame| ip.extensions.push(options(3));
    let whole = bench.arrive(&fragment(with_options, 17, 5, (0, &bytes[..64], bytes.len()))).unwrap();
    assert_is(V6, &whole, &frame.frame());
    // And the other way round.
    bench.arrive(&fragment(with_options, 17, 6, (64, &bytes[64..], bytes.len())));
    let whole = bench.arrive(&fragment(|_| {}, 17, 6, (0, &bytes[..64], bytes.len()))).unwrap();
    assert_is(V6, &whole, &UdpFrame6 { extensions: Vec::new(), ..frame }.frame());
}

// W01, RFC 6946 4: what is all of its datagram is none of the others' business.
#[test]
fn an_atomic_fragment_joins_nothing() {
    let atomic = fragment(|_| {}, 17, 5, (0, &[0; 64], 64));
    let ip = Ipv6::parse(&atomic[14..]).unwrap();
    let header = ext::walk(&ip).unwrap().fragment.unwrap();
    assert!(header.is_atomic());
    assert_eq!(Fragment::of6(&ip, &header, 14, InterfaceId(0)), None);
}

// W02, RFC 8200 4.5: any overlap, also of a fragment all of whose bytes are there.
#[test]
fn what_is_inside_what_is_there_overlaps() {
    let frame = V6.udp(1000);
    let fragments = V6.cut(&frame, &[160, 320, 640]);
    for ends in [[80, 120], [0, 80], [80, 160], [80, 240], [160, 240], [0, 320], [320, 632], [328, 640]] {
        let inside = &V6.raw(ends[0], &vec![0; ends[1] - ends[0]], 2000);
        for order in [[0, 1, 2, 3], [3, 2, 1, 0]] {
            let mut bench = Bench::new(LIMITS);
            order[..3].iter().for_each(|n| assert!(bench.arrive(&fragments[*n]).is_none()));
            let there = order[..3].iter().all(|n| *n != 0) && ends[1] <= 160;
            if there {
                continue;
            }
            bench.refuses(inside, DropReason::FragmentOverlap);
            bench.refuses(&fragments[order[3]], DropReason::FragmentOverlap);
            assert_eq!((bench.drops(DropReason::FragmentOverlap), bench.reassembler.held()), (5, 0));
        }
    }
}

// W03, RFC 8200 4.5: the same bytes, once the last and once not, are no duplicate: one of both is a lie.
#[test]
fn a_duplicate_says_the_same_of_the_end() {
    let (last, more) = (V6.raw(64, &[0; 64], 128), V6.raw(64, &[0; 64], 1000));
    for (one, other) in [(&last, &more), (&more, &last)] {
        let mut bench = Bench::new(LIMITS);
        bench.arrive(one);
        bench.refuses(other, DropReason::FragmentOverlap);
        bench.refuses(&V6.raw(0, &[0; 64], 1000), DropReason::FragmentOverlap);
    }
}

// W05, RFC 8200 4.5: the payload length of the whole counts the headers before the fragment header.
#[test]
fn headers_before_the_fragments_count() {
    let with_options = |ip: &mut Ip6Frame| ip.extensions.push(options(100));
    let mut bench = Bench::new(LIMITS);
    bench.refuses(&fragment(with_options, 17, 5, (65_432, &[0; 8], 65_440)), DropReason::FragmentTooFar);
    bench.arrive(&fragment(with_options, 17, 5, (65_424, &[0; 7], 65_431)));
    assert_eq!(bench.reassembler.pending(), 1);
    // Those of the first one count, which are not known before.
    let bytes = payload(65_535);
    let mut whole = Vec::new();
    for (n, part) in bytes.chunks(1440).enumerate() {
        let front = |ip: &mut Ip6Frame| ip.extensions.extend((n == 0).then(|| options(100)));
        whole.extend(bench.arrive(&fragment(front, 17, 6, (n * 1440, part, bytes.len()))));
    }
    assert!(whole.is_empty());
    assert_eq!(bench.drops(DropReason::FragmentTooFar), 1 + 46);
}

// W09, RFC 8200 4.5: what is reserved means nothing.
#[test]
fn reserved_bits_are_ignored() {
    let frame = V6.udp(100);
    let mut fragments = V6.cut(&frame, &[64]);
    for fragment in &mut fragments {
        fragment[55] = 0xff;
        fragment[57] |= 6;
    }
    let mut bench = Bench::new(LIMITS);
    bench.arrive(&fragments[0]);
    assert_is(V6, &bench.arrive(&fragments[1]).unwrap(), &frame);
}
