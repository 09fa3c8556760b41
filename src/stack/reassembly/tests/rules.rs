//! What becomes of fragments, by the rules that both families have.

use super::*;

// F02, RFC 815; W08, RFC 8200 4.5: any order.
#[test]
fn fragments_make_their_datagram_in_any_order() {
    for ip in BOTH {
        let frame = ip.udp(3000);
        let fragments = ip.cut(&frame, &[1440, 2880]);
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let mut bench = Bench::new(LIMITS);
            assert!(bench.arrive(&fragments[order[0]]).is_none());
            assert!(bench.arrive(&fragments[order[1]]).is_none());
            let whole = bench.arrive(&fragments[order[2]]).expect("the datagram");
            assert_is(ip, &whole, &frame);
            assert_eq!((bench.reassembler.held(), bench.reassembler.pending()), (0, 0));
            drop(whole);
            assert_eq!((bench.out(), bench.pool.outstanding_large()), (0, 0));
        }
    }
}

// F10, RFC 1122 3.3.2; W11, RFC 8200 5: all that IP can carry.
#[test]
fn the_largest_datagram_arrives_in_many_fragments() {
    for ip in BOTH {
        let frame = ip.udp(ip.most() - 8);
        let mut bench = Bench::new(LIMITS);
        let mut fragments = ip.cut_evenly(&frame, 1448);
        assert_eq!(fragments.len(), 46);
        let last = fragments.pop().unwrap();
        fragments.iter().for_each(|fragment| assert!(bench.arrive(fragment).is_none()));
        let whole = bench.arrive(&last).expect("the datagram");
        assert_eq!(whole.body().map(<[u8]>::len), Some(ip.most()));
        assert_is(ip, &whole, &frame);
        assert_eq!((bench.out(), bench.pool.outstanding_large()), (1, 1));
    }
}

// F10, W11: as many fragments as the limits say, far more than an mbuf chain has segments.
#[test]
fn the_number_of_fragments_is_limited_by_configuration_alone() {
    for ip in BOTH {
        let limits = Limits { fragments: 700, fragments_per_source: 700, ..LIMITS };
        let frame = ip.udp(5000);
        let mut bench = Bench::new(limits);
        let fragments = ip.cut_evenly(&frame, 8);
        assert_eq!(fragments.len(), 626);
        let whole: Vec<SimBuf> = fragments.iter().filter_map(|fragment| bench.arrive(fragment)).collect();
        assert_is(ip, &whole[0], &frame);
    }
}

// F14, RFC 791; W06, RFC 7112 5: eight bytes are a legal first fragment, for all of UDP's header is in them.
#[test]
fn a_first_fragment_of_eight_bytes_is_legal() {
    for ip in BOTH {
        let frame = ip.udp(100);
        let mut bench = Bench::new(LIMITS);
        let fragments = ip.cut(&frame, &[8]);
        assert!(bench.arrive(&fragments[0]).is_none());
        assert_is(ip, &bench.arrive(&fragments[1]).unwrap(), &frame);
    }
}

// F04; W03, RFC 8200 4.5: the network may double a packet.
#[test]
fn an_exact_duplicate_is_dropped_alone() {
    for ip in BOTH {
        let frame = ip.udp(1000);
        let fragments = ip.cut(&frame, &[160, 320, 640]);
        // The last one known, and not yet.
        for order in [[0, 1, 2, 3], [3, 2, 1, 0], [2, 3, 0, 1], [1, 3, 2, 0]] {
            let mut bench = Bench::new(LIMITS);
            for n in &order[..3] {
                bench.arrive(&fragments[*n]);
                bench.refuses(&fragments[*n], DropReason::FragmentDuplicate);
                bench.refuses(&fragments[order[0]], DropReason::FragmentDuplicate);
            }
            assert_is(ip, &bench.arrive(&fragments[order[3]]).unwrap(), &frame);
            assert_eq!(bench.drops(DropReason::FragmentDuplicate), 6);
        }
    }
}

// F03, RFC 5722 3; W02, RFC 8200 4.5: an overlap with new bytes ends the datagram, for what is held, what is at hand and what
// is to come.
#[test]
fn an_overlap_drops_the_whole_datagram_and_the_rest_of_it() {
    for ip in BOTH {
        let frame = ip.udp(1000);
        let fragments = ip.cut(&frame, &[160, 320]);
        let over = ip.cut(&frame, &[152, 328])[1].clone();
        for order in [[&fragments[0], &fragments[1], &over], [&over, &fragments[0], &fragments[1]]] {
            let mut bench = Bench::new(LIMITS);
            order.iter().for_each(|fragment| assert!(bench.arrive(fragment).is_none()));
            assert_eq!((bench.drops(DropReason::FragmentOverlap), bench.reassembler.held()), (3, 0));
            // What was to come, and all of it once more.
            bench.refuses(&fragments[2], DropReason::FragmentOverlap);
            fragments.iter().for_each(|fragment| bench.refuses(fragment, DropReason::FragmentOverlap));
            // Until its time is over: then the identification is free for another.
            bench.now += ip.timeout();
            let expired = bench.expire();
            assert_eq!((expired.len(), expired[0].first.is_none()), (1, true), "nothing is told of it");
            bench.arrive(&fragments[0]);
            bench.arrive(&fragments[1]);
            assert_is(ip, &bench.arrive(&fragments[2]).unwrap(), &frame);
        }
    }
}

// F05, RFC 791 3.2; W04, RFC 8200 4.5: discard the fragment; its datagram waits on.
#[test]
fn a_fragment_that_is_not_the_last_has_a_multiple_of_eight_bytes() {
    for ip in BOTH {
        let mut bench = Bench::new(LIMITS);
        let frame = ip.udp(100);
        let fragments = ip.cut(&frame, &[64]);
        bench.refuses(&ip.raw(0, &[0; 20], 100), DropReason::FragmentMisaligned);
        assert_eq!(bench.reassembler.pending(), 0);
        bench.arrive(&fragments[0]);
        let misfit = ip.raw(64, &[0; 20], 108);
        assert_eq!(
            fragment_in(&misfit, 14, InterfaceId(0)).unwrap().misfit(),
            Some(DropReason::FragmentMisaligned)
        );
        bench.refuses(&misfit, DropReason::FragmentMisaligned);
        assert_is(ip, &bench.arrive(&fragments[1]).unwrap(), &frame);
    }
}

// F06, ping of death; W05, RFC 8200 4.5.
#[test]
fn a_datagram_has_no_more_than_65535_bytes() {
    for ip in BOTH {
        let mut bench = Bench::new(LIMITS);
        bench.refuses(&ip.raw(8191 * 8, &[0; 64], 8191 * 8 + 64), DropReason::FragmentTooFar);
        bench.refuses(&ip.raw(8191 * 8, &[0; 8], usize::MAX), DropReason::FragmentTooFar);
        let start = ip.most() & !7;
        let behind = vec![0; ip.most() + 1 - start];
        bench.refuses(&ip.raw(start, &behind, ip.most() + 1), DropReason::FragmentTooFar);
        assert_eq!(bench.reassembler.pending(), 0);
        assert!(bench.arrive(&ip.raw(start, &behind[1..], ip.most())).is_none());
        assert_eq!(bench.reassembler.pending(), 1);
    }
}

// F07: as Linux.
#[test]
fn two_ends_are_none() {
    for ip in BOTH {
        for (one, other) in [
            (ip.raw(64, &[0; 10], 74), ip.raw(64, &[0; 12], 76)),
            (ip.raw(64, &[0; 16], 80), ip.raw(72, &[0; 10], 82)),
            // The end, and something behind it that is not the end.
            (ip.raw(64, &[0; 10], 74), ip.raw(80, &[0; 8], 100)),
            // Something, and the end before it.
            (ip.raw(80, &[0; 8], 100), ip.raw(64, &[0; 10], 74)),
        ] {
            let mut bench = Bench::new(LIMITS);
            assert!(bench.arrive(&one).is_none());
            bench.refuses(&other, DropReason::FragmentEndConflict);
            bench.refuses(&ip.raw(0, &[0; 64], 74), DropReason::FragmentEndConflict);
            assert_eq!(bench.drops(DropReason::FragmentEndConflict), 3);
        }
    }
}

// F08: no progress, no loop; as Linux, the datagram is given up.
#[test]
fn a_fragment_of_nothing_ends_its_datagram() {
    for ip in BOTH {
        let mut of_nothing = vec![ip.raw(64, &[], 64), ip.raw(64, &[], 100)];
        // Of IPv6, a first fragment of nothing has no header of UDP, and is refused before (W06).
        of_nothing.extend((ip == V4).then(|| ip.raw(0, &[], 100)));
        for nothing in of_nothing {
            let mut bench = Bench::new(LIMITS);
            bench.arrive(&ip.raw(0, &[0; 64], 100));
            bench.refuses(&nothing, DropReason::FragmentEmpty);
            bench.refuses(&ip.raw(64, &[0; 36], 100), DropReason::FragmentEmpty);
            assert_eq!((bench.drops(DropReason::FragmentEmpty), bench.reassembler.held()), (3, 0));
            let mut bench = Bench::new(LIMITS);
            bench.refuses(&nothing, DropReason::FragmentEmpty);
            bench.refuses(&ip.raw(0, &[0; 64], 100), DropReason::FragmentEmpty);
        }
    }
}

// F09, RFC 1122 3.3.2; W07, RFC 8200 4.5: from the first arrival, whatever comes later; the first fragment comes out for the
// ICMP error.
#[test]
fn the_time_runs_from_the_first_arrival() {
    for ip in BOTH {
        let mut bench = Bench::new(LIMITS);
        let end = at(5) + ip.timeout();
        assert_eq!(bench.reassembler.poll_timeout(), None);
        bench.arrive(&ip.raw(0, &[7; 64], 200));
        bench.now = at(5 + 29);
        bench.arrive(&ip.raw(64, &[0; 64], 200));
        assert_eq!(bench.reassembler.poll_timeout(), Some(end));
        bench.now = end - Duration::from_nanos(1);
        assert!(bench.expire().is_empty());
        bench.now = end;
        let expired = bench.expire();
        assert_eq!(expired.len(), 1);
        assert_eq!(expired[0].first.as_ref().map(PacketBuf::data), Some(&ip.raw(0, &[7; 64], 200)[..]));
        assert_eq!((expired[0].l3, expired[0].account.released), (14, 2));
        assert_eq!(bench.drops(DropReason::FragmentTimeout), 2);
        drop(expired);
        assert_eq!((bench.out(), bench.reassembler.poll_timeout()), (0, None));
    }
}

// F09, W07: each family has its own time, whichever comes first, and both end in order.
#[test]
fn what_ends_first_is_given_up_first_of_both_families() {
    let mut bench = Bench::new(LIMITS);
    let start = [(V6, 5, 0), (V4, 6, 0), (V4, 30, 0), (V6, 31, 0), (V4, 61, 2), (V6, 70, 1)];
    for (id, (ip, s, expired)) in (0..).zip(start) {
        bench.now = at(s);
        assert_eq!(bench.expire().len(), expired, "{s}");
        bench.arrive(&ip.first_of(1, id));
    }
    let mut ends = Vec::new();
    while let Some(next) = bench.reassembler.poll_timeout() {
        bench.now = next;
        ends.push((next, bench.expire().len()));
    }
    assert_eq!(ends, [(at(91), 2), (at(130), 1)]);
}

// F09, RFC 792; W07, RFC 8200 4.5: without the first fragment, nobody is told.
#[test]
fn without_its_first_fragment_a_datagram_ends_in_silence() {
    for ip in BOTH {
        let mut bench = Bench::new(LIMITS);
        bench.arrive(&ip.raw(64, &[0; 64], 200));
        bench.arrive(&ip.raw(128, &[0; 72], 200));
        bench.now += ip.timeout();
        let expired = bench.expire();
        assert!(expired.len() == 1 && expired[0].first.is_none());
        assert_eq!(bench.out(), 0);
    }
}

// F15, RFC 3168 5.3, of both families.
#[test]
fn congestion_that_one_fragment_met_is_told_of_the_whole() {
    for ip in BOTH {
        let marked = |tos: u8| match ip {
            V4 => UdpFrame { tos, ..UdpFrame::read(&ip.udp(100)).unwrap() }.frame(),
            V6 => UdpFrame6 { traffic_class: tos, ..UdpFrame6::read(&ip.udp(100)).unwrap() }.frame(),
        };
        let with = |tos: [u8; 2]| {
            let mut bench = Bench::new(LIMITS);
            let [first, last] = tos.map(|tos| ip.cut(&marked(tos), &[64]));
            bench.arrive(&first[0]);
            let whole = bench.arrive(&last[1]).map(|whole| flat(&whole));
            let tos = whole.map(|flat| match ip {
                V4 => UdpFrame::read(&flat).unwrap().tos,
                V6 => UdpFrame6::read(&flat).unwrap().traffic_class,
            });
            tos.ok_or_else(|| bench.drops(DropReason::FragmentEcn))
        };
        assert_eq!(with([0xb8, 0xb8]), Ok(0xb8));
        assert_eq!(with([0xba, 0xbb]), Ok(0xbb));
        assert_eq!(with([0xbb, 0xba]), Ok(0xbb));
        assert_eq!(with([0xba, 0xb9]), Ok(0xba));
        assert_eq!(with([0xb8, 0xbb]), Err(2));
        assert_eq!(with([0xbb, 0xb8]), Err(2));
    }
}

// E12: a tag that the device took off is in the frame again, for no device says so of the whole.
#[test]
fn a_stripped_tag_is_put_back() {
    for ip in BOTH {
        for len in [100, 5000] {
            let frame = ip.udp(len);
            let mut bench = Bench::new(LIMITS);
            let fragments = ip.cut(&frame, &[64]);
            let meta = crate::io::RxMeta { stripped_tci: Some(0x2064), ..crate::io::RxMeta::default() };
            let mut whole = None;
            for fragment in &fragments {
                let mut buf = bench.wire.alloc_copy(fragment).unwrap();
                buf.set_rx_meta(meta);
                let of = fragment_in(fragment, 14, InterfaceId(0)).unwrap();
                whole = bench.reassembler.insert(bench.now, &of, buf, &bench.pool.clone()).0;
            }
            let whole = whole.unwrap();
            assert_eq!(whole.rx_meta(), crate::io::RxMeta::default());
            let mut bytes = [whole.data(), whole.body().unwrap_or_default()].concat();
            bytes.resize(bytes.len().max(60), 0);
            match ip {
                V4 => {
                    let tagged = UdpFrame { tci: Some(0x2064), ..UdpFrame::read(&frame).unwrap() };
                    assert_eq!(UdpFrame::read(&bytes), Ok(tagged));
                }
                V6 => {
                    let tagged = UdpFrame6 { tci: Some(0x2064), ..UdpFrame6::read(&frame).unwrap() };
                    assert_eq!(UdpFrame6::read(&bytes), Ok(tagged));
                }
            }
        }
    }
}

// An empty pool costs the datagram, not the balance.
#[test]
fn without_a_buffer_the_datagram_is_lost_and_counted() {
    for ip in BOTH {
        let mut bench = Bench::new(LIMITS);
        let large = ip.udp(5000);
        let fragments = ip.cut_evenly(&large, 1448);
        let both = [bench.pool.alloc_large().unwrap(), bench.pool.alloc_large().unwrap()];
        fragments.iter().for_each(|fragment| assert!(bench.arrive(fragment).is_none()));
        assert_eq!((bench.drops(DropReason::NoBuffer), bench.out()), (4, 0));
        drop(both);
        let whole: Vec<SimBuf> = fragments.iter().filter_map(|fragment| bench.arrive(fragment)).collect();
        assert_is(ip, &whole[0], &large);
    }
}

// F17: the same for every fragment and on every worker, and spread over all of them.
#[test]
fn each_datagram_has_one_owner() {
    for ip in BOTH {
        let mut counts = [0; 5];
        for id in 0..5000 {
            let key = fragment_in(&ip.first_of(1, id), 14, InterfaceId(0)).unwrap().key;
            let last = ip.of_source(1, id, (64, &[0; 9], 73));
            assert_eq!(fragment_in(&last, 14, InterfaceId(0)).unwrap().key, key);
            counts[key.owner(99, 5)] += 1;
        }
        assert!(counts.iter().all(|count| (800..1200).contains(count)), "{ip:?}: {counts:?}");
    }
}
