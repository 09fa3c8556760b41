//! IPv4 and ICMP, from the wire: which packets pollcast takes, and what it says of those it does not.

use std::net::Ipv4Addr;
use std::time::Duration;

use crate::common::*;

static LAB: Shared = Shared::new(|| Lab::mute(ECHO));

/// Where nobody listens.
const CLOSED: u16 = 9999;
const GROUP: Ipv4Addr = Ipv4Addr::new(239, 1, 2, 3);
const SUBNET_BROADCAST: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 255);

/// An echo request to port 7 by UDP, with an IP header that the test may spoil.
fn echo_with(header: &Ipv4) -> Vec<u8> {
    let datagram = Udp::new(4000, 7).datagram(header.src, header.dst, b"hello");
    frame(PEER, HOST.with_ip(header.dst), &header.packet(&datagram))
}

fn header() -> Ipv4 {
    Ipv4::new(PEER.ip, HOST.ip, UDP)
}

// I01, RFC 1122 3.2.1.1.
#[test]
fn another_version_or_an_impossible_header_length_is_dropped() {
    let Some(lab) = LAB.lock() else { return };
    for bad in [
        Ipv4 { version: 5, ..header() },
        Ipv4 { version: 6, ..header() },
        Ipv4 { version: 0, ..header() },
        Ipv4 { ihl: Some(4), ..header() },
        Ipv4 { ihl: Some(0), ..header() },
        Ipv4 { ihl: Some(15), ..header() }, // 60 bytes of 33
    ] {
        lab.assert_dropped(&echo_with(&bad), "ipv4_header_invalid");
    }
}

// I02, RFC 1122 3.2.1.2.
#[test]
fn a_wrong_header_checksum_is_dropped() {
    let Some(lab) = LAB.lock() else { return };
    for sum in [0x0000, 0xffff, 0x1234] {
        lab.assert_dropped(&echo_with(&Ipv4 { checksum: Some(sum), ..header() }), "ipv4_checksum");
    }
}

// I03, RFC 791.
#[test]
fn a_total_length_shorter_than_the_header_or_longer_than_the_frame_is_dropped() {
    let Some(lab) = LAB.lock() else { return };
    for total in [0, 19] {
        let bad = Ipv4 { total_length: Some(total), ..header() };
        lab.assert_dropped(&echo_with(&bad), "ipv4_header_invalid");
    }
    for total in [34, 200, 0xffff] {
        lab.assert_dropped(&echo_with(&Ipv4 { total_length: Some(total), ..header() }), "ipv4_truncated");
    }
}

// I04, RFC 1122 3.2.1.7: it is spent by routers, and we are where it was going.
#[test]
fn any_time_to_live_will_do() {
    let Some(lab) = LAB.lock() else { return };
    for ttl in [0, 1, 255] {
        assert_eq!(lab.answer(&echo_with(&Ipv4 { ttl, ..header() })).udp().payload, b"hello");
    }
}

// I05, RFC 1122 3.2.1: and "don't fragment" is for those who might.
#[test]
fn the_reserved_flag_is_ignored() {
    let Some(lab) = LAB.lock() else { return };
    for fragment in [0x8000, 0xc000, 0x4000] {
        assert_eq!(lab.answer(&echo_with(&Ipv4 { fragment, ..header() })).udp().payload, b"hello");
    }
}

// I06, I12, RFC 1122 3.2.1.3: no error, no redirect, no forwarding.
#[test]
fn a_packet_for_another_address_is_dropped() {
    let Some(lab) = LAB.lock() else { return };
    let others = [
        Ipv4Addr::new(198, 18, 0, 77),
        Ipv4Addr::new(192, 0, 2, 1),
        Ipv4Addr::LOCALHOST,
        Ipv4Addr::UNSPECIFIED,
        Ipv4Addr::new(240, 0, 0, 1),
    ];
    for dst in others {
        let mut frame = echo_with(&Ipv4 { dst, ..header() });
        frame[..6].copy_from_slice(&HOST.mac);
        lab.assert_dropped(&frame, "ipv4_not_for_us");
    }
}

// I07, I08, I10, I11, RFC 1122 3.2.1.3, RFC 6890: such sources make an echo a weapon.
#[test]
fn a_source_that_cannot_be_one_host_is_dropped() {
    let Some(lab) = LAB.lock() else { return };
    let martians = [
        GROUP,
        Ipv4Addr::new(224, 0, 0, 1),
        Ipv4Addr::BROADCAST,
        Ipv4Addr::LOCALHOST,
        Ipv4Addr::new(127, 255, 255, 254),
        SUBNET_BROADCAST,
        Ipv4Addr::UNSPECIFIED,
        Ipv4Addr::new(0, 1, 2, 3),
        Ipv4Addr::new(240, 0, 0, 1),
    ];
    for src in martians {
        lab.assert_dropped(&echo_with(&Ipv4 { src, ..header() }), "ipv4_source_martian");
        // And the same by ICMP, and to a closed port.
        let ping = frame(PEER, HOST, &Ipv4::new(src, HOST.ip, ICMP).packet(&echo_request(1, 1, b"hello")));
        lab.assert_dropped(&ping, "ipv4_source_martian");
        lab.assert_dropped(&udp_frame(PEER.with_ip(src), 4000, HOST, CLOSED, b"x"), "ipv4_source_martian");
    }
}

// I09, CA-1997-28: to itself, from itself, port 7 to port 7.
#[test]
fn our_own_address_as_source_is_dropped() {
    let Some(lab) = LAB.lock() else { return };
    for own in [HOST, HOST_SECOND] {
        lab.assert_dropped(&udp_frame(PEER.with_ip(own.ip), 7, HOST, 7, b"land"), "ipv4_source_own");
        lab.assert_dropped(&udp_frame(PEER.with_ip(own.ip), 4000, HOST, 7, b"land"), "ipv4_source_own");
    }
}

// I10, X03, RFC 1122 3.2.1.3(a): who has no address yet may speak to everyone, but cannot be answered.
#[test]
fn the_unspecified_source_is_never_answered() {
    let Some(lab) = LAB.lock() else { return };
    let nobody = PEER.with_ip(Ipv4Addr::UNSPECIFIED);
    for dst in [Ipv4Addr::BROADCAST, SUBNET_BROADCAST, GROUP, Ipv4Addr::new(224, 0, 0, 1)] {
        lab.assert_silent(&[udp_frame(nobody, 4000, HOST.with_ip(dst), 7, b"hello")]);
    }
}

// I13, U21, RFC 1122 3.3.6, 4.1.3.5.
#[test]
fn broadcast_datagrams_reach_the_service_and_are_answered_from_our_own_address() {
    let Some(lab) = LAB.lock() else { return };
    for dst in [Ipv4Addr::BROADCAST, SUBNET_BROADCAST] {
        let answer = lab.answer(&udp_frame(PEER, 4000, HOST.with_ip(dst), 7, b"anyone?"));
        assert_eq!((answer.dst(), answer.src()), (PEER.mac, HOST.mac));
        let udp = answer.udp();
        assert_eq!((udp.ip.src, udp.ip.dst, udp.ip.ttl), (HOST.ip, PEER.ip, 64));
        assert_eq!(udp.payload, b"anyone?");
    }
}

// I14, RFC 1122 3.2.2.5: lengths that lead nowhere, or out of the header.
#[test]
fn options_that_cannot_be_are_pointed_at() {
    let Some(lab) = LAB.lock() else { return };
    let cases: [(&[u8], u8); 5] = [
        (&[0x9e, 0, 0, 0], 20),
        (&[0x9e, 1, 0, 0], 20),
        (&[0x9e, 39, 0, 0], 20),
        (&[1, 1, 1, 0x9e], 23),
        (&[7, 7, 3, 0, 0, 0, 0, 0], 22),
    ];
    for ((options, pointer), n) in cases.into_iter().zip(50..) {
        let peer = Host::number(n);
        let datagram = Udp::new(4000, 7).datagram(peer.ip, HOST.ip, b"hello");
        let ip = Ipv4 { options: options.to_vec(), ..Ipv4::new(peer.ip, HOST.ip, UDP) };
        let bad = frame(peer, HOST, &ip.packet(&datagram));
        let error = lab.answer_and_drops(&bad, &["ipv4_option_invalid"]).icmp();
        assert_eq!((error.kind, error.code, error.rest), (12, 0, [pointer, 0, 0, 0]), "{options:?}");
        assert_eq!(error.data, bad[14..]);
    }
    // C03: never to many.
    let bad = Ipv4 { options: vec![7, 0, 0, 0], dst: GROUP, ..header() };
    lab.assert_dropped(&echo_with(&bad), "ipv4_option_invalid");
}

// I15, I19, RFC 1122 3.2.1.8, RFC 2113: unknown options, padding and router alert; the answer has none.
#[test]
fn options_do_not_stop_a_datagram() {
    let Some(lab) = LAB.lock() else { return };
    let ten_words = [&[0x9e, 39][..], &[0; 38]].concat();
    for options in
        [ROUTER_ALERT.to_vec(), vec![1, 1, 1, 0], vec![0x9e, 4, 0, 0], vec![0, 0xff, 0xff, 0xff], ten_words]
    {
        let answer = lab.answer(&echo_with(&Ipv4 { options: options.clone(), ..header() })).udp();
        assert_eq!(answer.payload, b"hello", "{options:?}");
        assert!(answer.ip.options.is_empty(), "{options:?}");
    }
}

// I16, RFC 7126 4.3: pending and completed, loose and strict.
#[test]
fn source_routes_are_dropped() {
    let Some(lab) = LAB.lock() else { return };
    for kind in [131, 137] {
        for pointer in [4, 8] {
            let options = vec![kind, 7, pointer, 198, 18, 0, 2, 0];
            lab.assert_dropped(&echo_with(&Ipv4 { options, ..header() }), "ipv4_source_route");
        }
    }
}

// I22, RFC 1112 6.1, RFC 1122 3.2.1.7: and a sender's own choice is not taken over.
#[test]
fn unicast_answers_have_a_time_to_live_of_64() {
    let Some(lab) = LAB.lock() else { return };
    assert_eq!(lab.answer(&echo_with(&Ipv4 { ttl: 3, ..header() })).ipv4().ttl, 64);
    assert_eq!(lab.answer(&echo_with(&Ipv4 { ttl: 3, dst: GROUP, ..header() })).ipv4().ttl, 64);
    assert_eq!(lab.answer(&ping_frame(PEER, HOST, 1, 1, b"x")).ipv4().ttl, 64);
    let refused = Host::number(30);
    let answer = lab.answer_and_drops(&udp_frame(refused, 4000, HOST, CLOSED, b"x"), &["udp_no_port"]);
    assert_eq!(answer.ipv4().ttl, 64);
}

// C01, RFC 1122 4.1.3.1. C04: from the address that was asked.
#[test]
fn a_closed_port_is_told_to_the_sender() {
    let Some(lab) = LAB.lock() else { return };
    for (peer, own) in [(Host::number(31), HOST), (Host::number(32), HOST_SECOND)] {
        let request = udp_frame(peer, 4000, own, CLOSED, b"anybody?");
        let answer = lab.answer_and_drops(&request, &["udp_no_port"]);
        assert_eq!((answer.dst(), answer.src()), (peer.mac, HOST.mac));
        let icmp = answer.icmp();
        assert_eq!((icmp.kind, icmp.code, icmp.rest), (3, 3, [0; 4]));
        assert_eq!((icmp.ip.src, icmp.ip.dst), (own.ip, peer.ip));
        // C02: all of the packet, since it fits.
        assert_eq!(icmp.data, request[14..]);
    }
}

// C01: the checksum before the port, so that a damaged port number provokes nothing.
#[test]
fn a_closed_port_is_not_told_if_the_checksum_is_wrong() {
    let Some(lab) = LAB.lock() else { return };
    let datagram = Udp { checksum: Some(0x1234), ..Udp::new(4000, CLOSED) }.datagram(PEER.ip, HOST.ip, b"x");
    lab.assert_dropped(&frame(PEER, HOST, &header().packet(&datagram)), "udp_checksum");
}

// C02, RFC 1812 4.3.2.3, RFC 792.
#[test]
fn an_error_quotes_what_fits_in_576_bytes() {
    let Some(lab) = LAB.lock() else { return };
    for (n, len) in [(33, 1400), (34, 521), (35, 520), (36, 519), (37, 0)] {
        let request = udp_frame(Host::number(n), 4000, HOST, CLOSED, &vec![0x5a; len]);
        let icmp = lab.answer_and_drops(&request, &["udp_no_port"]).icmp();
        let quoted = (request.len() - 14).min(576 - 28);
        assert_eq!(icmp.data, request[14..14 + quoted], "{len} bytes of payload");
    }
}

// C02: what stands behind the packet in its frame is no part of it.
#[test]
fn an_error_does_not_quote_padding() {
    let Some(lab) = LAB.lock() else { return };
    let mut request = udp_frame(Host::number(38), 4000, HOST, CLOSED, b"x");
    let packet = request[14..].to_vec();
    request.resize(60, 0xbb);
    let answer = lab.answer_and_drops(&request, &["udp_no_port"]);
    assert_eq!(answer.icmp().data, packet);
    assert!(answer.ipv4().trailer.iter().all(|&byte| byte == 0));
}

// C03, U09, RFC 1122 3.2.2: to many, or in a frame to many, or about an error.
#[test]
fn no_error_is_sent_where_it_could_multiply() {
    let Some(lab) = LAB.lock() else { return };
    let peer = Host::number(39);
    for dst in [Ipv4Addr::BROADCAST, SUBNET_BROADCAST, GROUP, Ipv4Addr::new(224, 0, 0, 1)] {
        let closed = udp_frame(peer, 4000, HOST.with_ip(dst), CLOSED, b"x");
        lab.assert_dropped(&closed, "udp_no_listener");
    }
    // E15: the most forgotten.
    for mac in [BROADCAST, group_mac(GROUP)] {
        let mut closed = udp_frame(peer, 4000, HOST, CLOSED, b"x");
        closed[..6].copy_from_slice(&mac);
        lab.assert_dropped(&closed, "ipv4_unicast_in_group_frame");
    }
    let about = udp_frame(HOST, 7, peer, 4000, b"x");
    // C17: an error about our answer is heard, and not answered. About what we cannot have sent it is not even heard.
    let error = |about: &[u8]| Ipv4::new(peer.ip, HOST.ip, ICMP).packet(&icmp(3, 3, [0; 4], &about[14..]));
    let seen = lab.wire.exchange(&[frame(peer, HOST, &error(&about))], Duration::from_millis(50));
    assert!(seen.is_empty(), "{seen:?}");
    let foreign = udp_frame(HOST, 9, peer, 4000, b"x");
    lab.assert_dropped(&frame(peer, HOST, &error(&foreign)), "icmp_error_unmatched");
}

// C05, RFC 1812 4.3.2.8: one host spends its own share. Echoes are not limited by it.
#[test]
fn errors_are_limited_and_echoes_are_not() {
    let Some(lab) = LAB.lock() else { return };
    let (flooder, other) = (Host::number(40), Host::number(41));
    let flood = vec![udp_frame(flooder, 4000, HOST, CLOSED, b"x"); 500];
    let errors = lab.wire.exchange(&flood, Duration::from_millis(50)).len();
    assert!((1..=20).contains(&errors), "{errors} errors for 500 datagrams");
    let told = lab.answer_and_drops(&udp_frame(other, 4000, HOST, CLOSED, b"x"), &["udp_no_port"]);
    assert_eq!(told.icmp().kind, 3);
    let pings: Vec<_> = (0..200).map(|n| ping_frame(flooder, HOST, 7, n, b"still")).collect();
    let pongs = lab.wire.exchange(&pings, Duration::from_millis(50));
    assert_eq!(pongs.iter().filter(|pong| pong.carries(ICMP)).count(), 200);
}

// C06, RFC 1122 3.2.2.6; odd lengths and sums of 0 and 0xffff among them. I23: the type of service stays.
#[test]
fn a_ping_is_answered_with_its_own_data() {
    let Some(lab) = LAB.lock() else { return };
    // Sums of the echo reply that fold to each of the edges, by the sequence number.
    let edges =
        (0..=0xffff_u16).filter(|&n| matches!(checksum(&[&echo_request(0x55aa, n, b"abc")]), 0 | 0xffff));
    let edge = edges.take(1).collect::<Vec<_>>();
    let mut cases: Vec<(u16, Vec<u8>)> = edge.into_iter().map(|n| (n, b"abc".to_vec())).collect();
    cases.extend([(1, vec![]), (2, vec![0xff]), (3, (0..=255).collect()), (4, vec![0x33; 1472])]);
    // The reply's sum is the request's and 0x0800: the requests around the carry.
    cases.extend((0xf7f0..0xf810).step_by(3).map(|n| (n, vec![])));
    for (sequence, data) in cases {
        let request = Ipv4 { tos: 0xb8, ..Ipv4::new(PEER.ip, HOST.ip, ICMP) };
        let ping = frame(PEER, HOST, &request.packet(&echo_request(0x55aa, sequence, &data)));
        let pong = lab.answer(&ping).icmp();
        assert_eq!((pong.kind, pong.code), (0, 0));
        assert_eq!((pong.ip.src, pong.ip.dst, pong.ip.tos), (HOST.ip, PEER.ip, 0xb8));
        assert_eq!(pong.rest, [0x55, 0xaa, sequence.to_be_bytes()[0], sequence.to_be_bytes()[1]]);
        assert_eq!(pong.data, data);
    }
}

// C07, RFC 792.
#[test]
fn a_damaged_or_truncated_icmp_message_is_dropped() {
    let Some(lab) = LAB.lock() else { return };
    let good = echo_request(1, 1, b"hello");
    let carry = |message: &[u8]| frame(PEER, HOST, &Ipv4::new(PEER.ip, HOST.ip, ICMP).packet(message));
    let mut bad = good.clone();
    bad[9] ^= 1;
    lab.assert_dropped(&carry(&bad), "icmp_checksum");
    for len in [0, 1, 4, 7] {
        lab.assert_dropped(&carry(&good[..len]), "icmp_truncated");
    }
}

// C08, RFC 2644: many would answer one.
#[test]
fn a_ping_to_many_is_not_answered() {
    let Some(lab) = LAB.lock() else { return };
    for dst in [Ipv4Addr::BROADCAST, SUBNET_BROADCAST, GROUP, Ipv4Addr::new(224, 0, 0, 1)] {
        lab.assert_dropped(&ping_frame(PEER, HOST.with_ip(dst), 1, 1, b"x"), "icmp_echo_group");
    }
}

// C10, C11, C12, RFC 1122 3.2.2, RFC 6633: what nothing here waits for, and what nobody knows.
#[test]
fn other_icmp_messages_are_dropped() {
    let Some(lab) = LAB.lock() else { return };
    let carry =
        |kind| frame(PEER, HOST, &Ipv4::new(PEER.ip, HOST.ip, ICMP).packet(&icmp(kind, 0, [0; 4], &[0; 28])));
    for unwanted in [0, 14, 15, 16, 17, 18] {
        lab.assert_dropped(&carry(unwanted), "icmp_unwanted");
    }
    // C14: they quote nothing. C13, C11: these are not even looked into.
    for quoting in [3, 11, 12] {
        lab.assert_dropped(&carry(quoting), "icmp_error_invalid");
    }
    lab.assert_dropped(&carry(5), "icmp_redirect");
    lab.assert_dropped(&carry(4), "icmp_source_quench");
    for unknown in [99, 255] {
        lab.assert_dropped(&carry(unknown), "icmp_unknown");
    }
}
