//! How much is held, whatever comes. F11, W11.

use super::*;

// F11, CVE-2018-5391: a hundred thousand first fragments from anywhere hold no more than the limit, and end the oldest.
#[test]
fn a_flood_from_many_sources_holds_no_more_than_the_limit() {
    for ip in BOTH {
        let mut bench = Bench::new(LIMITS);
        let frame = ip.udp(100);
        let fragments = ip.cut(&frame, &[64]);
        for round in 0..500u32 {
            for n in 0..100 {
                bench.arrive(&ip.first_of(round * 100 + n + 1, 1));
            }
            // Whoever is quick enough is served all the same.
            bench.arrive(&fragments[0]);
            assert_is(ip, &bench.arrive(&fragments[1]).unwrap(), &frame);
        }
        let held = bench.reassembler.held();
        assert!((250..=256).contains(&held), "{held}");
        assert_eq!(bench.drops(DropReason::FragmentsTooMany), 50_000 - u32::try_from(held).unwrap());
    }
}

// F11: who has more than his share spends his own, and leaves the other family's alone.
#[test]
fn a_flood_from_one_source_evicts_its_own() {
    for ip in BOTH {
        let mut bench = Bench::new(LIMITS);
        let frames = BOTH.map(|of| of.udp(100));
        let fragments: Vec<_> = BOTH.iter().zip(&frames).map(|(of, frame)| of.cut(frame, &[64])).collect();
        fragments.iter().for_each(|cut| assert!(bench.arrive(&cut[0]).is_none()));
        (0..5000).for_each(|id| drop(bench.arrive(&ip.first_of(1, id))));
        assert_eq!(bench.drops(DropReason::FragmentsOfSource), 5000 - 128);
        assert_eq!(bench.reassembler.held(), 128 + 2);
        for (n, of) in BOTH.into_iter().enumerate() {
            assert_is(of, &bench.arrive(&fragments[n][1]).unwrap(), &frames[n]);
        }
    }
}

// F11, W11: there is one number for both families, and the oldest goes, whichever it is of.
#[test]
fn both_families_share_what_there_is() {
    let mut bench = Bench::new(Limits { fragments: 10, fragments_per_source: 10, ..LIMITS });
    for n in 0..5 {
        bench.now += Duration::from_secs(1);
        bench.arrive(&V4.first_of(n, 1));
        bench.now += Duration::from_secs(1);
        bench.arrive(&V6.first_of(n, 1));
    }
    for (n, ip) in [V6, V6, V4, V4, V4].into_iter().enumerate() {
        bench.now += Duration::from_secs(1);
        bench.arrive(&ip.first_of(100 + u32::try_from(n).unwrap(), 1));
    }
    assert_eq!((bench.drops(DropReason::FragmentsTooMany), bench.reassembler.held()), (5, 10));
    // What is left are those that came last.
    bench.now = at(1000);
    let mut left: Vec<_> = bench.expire().iter().map(|e| e.first.as_ref().unwrap().data().to_vec()).collect();
    let last = [(V6, 2), (V4, 3), (V6, 3), (V4, 4), (V6, 4)];
    let new = [(V6, 100), (V6, 101), (V4, 102), (V4, 103), (V4, 104)];
    let mut expected: Vec<_> = last.into_iter().chain(new).map(|(ip, n)| ip.first_of(n, 1)).collect();
    left.sort();
    expected.sort();
    assert_eq!(left, expected);
}

// F11: one datagram of more fragments than a source may have never becomes whole, and does not come in turns.
#[test]
fn a_datagram_larger_than_its_sources_share_is_given_up() {
    for ip in BOTH {
        let mut bench = Bench::new(Limits { fragments_per_source: 5, ..LIMITS });
        let fragments = ip.cut_evenly(&ip.udp(1000), 104);
        fragments.iter().for_each(|fragment| assert!(bench.arrive(fragment).is_none()));
        assert_eq!((bench.drops(DropReason::FragmentsOfSource), bench.reassembler.pending()), (10, 1));
        // So is one that alone fills everything.
        let mut bench = Bench::new(Limits { fragments: 5, ..LIMITS });
        fragments.iter().for_each(|fragment| assert!(bench.arrive(fragment).is_none()));
        assert_eq!(bench.reassembler.held(), 0);
    }
}

// F11: refused datagrams that are remembered count, too.
#[test]
fn what_is_remembered_of_refused_datagrams_is_limited() {
    for ip in BOTH {
        let mut bench = Bench::new(Limits { fragments: 20, fragments_per_source: 10, ..LIMITS });
        for id in 0..1000u16 {
            for source in [1, 2, 3] {
                bench.arrive(&ip.first_of(source, id));
                let over = ip.of_source(source, id, (56, &[0; 16], 1000));
                bench.refuses(&over, DropReason::FragmentOverlap);
            }
            assert!(bench.reassembler.pending() <= 20 && bench.reassembler.held() == 0);
        }
        bench.now = at(100);
        bench.expire();
        assert_eq!((bench.reassembler.pending(), bench.out()), (0, 0));
    }
}

// F11: the limit may be none at all.
#[test]
fn a_limit_of_0_refuses_every_fragment() {
    for ip in BOTH {
        let mut bench = Bench::new(Limits { fragments: 0, fragments_per_source: 0, ..LIMITS });
        bench.refuses(&ip.first_of(1, 1), DropReason::FragmentsTooMany);
        bench.refuses(&ip.first_of(1, 1), DropReason::FragmentsTooMany);
        assert_eq!((bench.reassembler.pending(), bench.out()), (0, 0));
    }
}

// W11, RFC 4291 2.5.4: whoever has one address of a subnet can have them all; on the link alone, one is a host's.
#[test]
fn an_ipv6_subnet_is_one_source() {
    let mut bench = Bench::new(Limits { fragments_per_source: 10, ..LIMITS });
    let from = |net: u128, host: u128| {
        let ip = Ip6Frame::new(Ipv6Addr::from_bits(net << 64 | host), B6, 44);
        piece6(&Ethernet::read(&V6.udp(1)).unwrap().0, &ip, (17, 1), 0, &[0; 64], 1000)
    };
    (1..=50).for_each(|host| assert!(bench.arrive(&from(0x2001_0db8_0000_0001, host)).is_none()));
    assert_eq!((bench.drops(DropReason::FragmentsOfSource), bench.reassembler.held()), (40, 10));
    (1..=50).for_each(|host| assert!(bench.arrive(&from(0x2001_0db8_0000_0001 + host, 1)).is_none()));
    (1..=50).for_each(|host| assert!(bench.arrive(&from(0xfe80_0000_0000_0000, host)).is_none()));
    assert_eq!((bench.drops(DropReason::FragmentsOfSource), bench.reassembler.held()), (40, 110));
}
