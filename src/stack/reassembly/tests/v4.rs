//! What only IPv4 has.

use super::*;

// F01, RFC 791 3.2: source, destination, protocol, identification, and the interface.
#[test]
fn fragments_of_different_datagrams_are_never_mixed() {
    let [first, last] = V4.cut(&V4.udp(100), &[64]).try_into().unwrap();
    let ip = |change: &dyn Fn(&mut IpFrame)| {
        let (ethernet, packet) = Ethernet::read(&last).unwrap();
        let (mut ip, payload, _) = IpFrame::read(packet).unwrap();
        change(&mut ip);
        ethernet.frame(&ip.packet(payload))
    };
    let mut bench = Bench::new(LIMITS);
    assert!(bench.arrive(&first).is_none());
    assert!(bench.arrive(&ip(&|ip| ip.id = 10)).is_none());
    assert!(bench.arrive(&ip(&|ip| ip.protocol = 1)).is_none());
    assert!(bench.arrive(&ip(&|ip| ip.source = Ipv4Addr::new(198, 18, 0, 9))).is_none());
    assert!(bench.arrive(&ip(&|ip| ip.destination = Ipv4Addr::new(198, 18, 0, 3))).is_none());
    let elsewhere = fragment_in(&last, 14, InterfaceId(1)).unwrap();
    let buf = bench.pool.alloc_copy(&last).unwrap();
    bench.arrived += 1;
    let (whole, account) = bench.reassembler.insert(bench.now, &elsewhere, buf, &bench.pool.clone());
    bench.add(&account);
    assert!(whole.is_none());
    assert_eq!(bench.reassembler.pending(), 6);
    assert!(bench.arrive(&last).is_some());
}

// F02, F04: what is there already is dropped, and the datagram goes on. As Linux.
#[test]
fn fragments_inside_what_is_there_are_tolerated() {
    let frame = V4.udp(1000);
    let fragments = V4.cut(&frame, &[160, 320, 640]);
    let inside = V4.cut(&frame, &[80, 120])[1].clone();
    let across = V4.cut(&frame, &[80, 240])[1].clone();
    let mut bench = Bench::new(LIMITS);
    fragments[..3].iter().for_each(|fragment| assert!(bench.arrive(fragment).is_none()));
    bench.refuses(&inside, DropReason::FragmentDuplicate);
    bench.refuses(&across, DropReason::FragmentDuplicate);
    assert_is(V4, &bench.arrive(&fragments[3]).unwrap(), &frame);
}

// F06: it may end at 65,515, but not behind a header of 24 bytes.
#[test]
fn the_first_fragments_options_count() {
    let mut bench = Bench::new(LIMITS);
    let (ethernet, packet) = (Ethernet::read(&V4.udp(1)).unwrap().0, payload(65_515));
    let ip = IpFrame {
        id: 9,
        options: vec![1; 4],
        ..IpFrame::new([198, 18, 0, 1].into(), [198, 18, 0, 2].into(), 17)
    };
    let fragments =
        packet.chunks(1480).enumerate().map(|(n, bytes)| piece(&ethernet, &ip, n * 1480, bytes, 65_515));
    fragments.for_each(|fragment| assert!(bench.arrive(&fragment).is_none()));
    assert_eq!(bench.drops(DropReason::FragmentTooFar), 45);
}

// RFC 791 3.2: the header of the whole is the first fragment's; its options are kept.
#[test]
fn the_options_of_the_first_fragment_survive() {
    let frame = UdpFrame::new("198.18.0.1:40000", "198.18.0.2:7", &payload(100));
    let frame = UdpFrame { options: vec![0x94, 4, 0, 0, 1, 1, 1, 0], ttl: 9, ..frame }.frame();
    let mut bench = Bench::new(LIMITS);
    let fragments = V4.cut(&frame, &[64]);
    bench.arrive(&fragments[1]);
    assert_is(V4, &bench.arrive(&fragments[0]).unwrap(), &frame);
}
