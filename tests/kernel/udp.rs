//! UDP and the echo service, from the wire.

use std::net::Ipv4Addr;
use std::time::Duration;

use crate::common::*;

static LAB: Shared = Shared::new(|| Lab::mute(ECHO));

const GROUP: Ipv4Addr = Ipv4Addr::new(239, 1, 2, 3);
const SOURCE_GROUP: Ipv4Addr = Ipv4Addr::new(232, 1, 2, 3);

/// A datagram from the pretended peer's port 4000, with a header that the test may spoil.
fn datagram_with(udp: &Udp, payload: &[u8]) -> Vec<u8> {
    let datagram = udp.datagram(PEER.ip, HOST.ip, payload);
    frame(PEER, HOST, &Ipv4::new(PEER.ip, HOST.ip, UDP).packet(&datagram))
}

// U01, U02, RFC 768.
#[test]
fn an_impossible_length_is_dropped() {
    let Some(lab) = LAB.lock() else { return };
    for length in [0, 7, 14, 0xffff] {
        let bad = Udp { length: Some(length), ..Udp::new(4000, 7) };
        lab.assert_dropped(&datagram_with(&bad, b"hello"), "udp_length_invalid");
    }
    for len in 0..8 {
        let cut = &Udp::new(4000, 7).datagram(PEER.ip, HOST.ip, b"")[..len];
        let packet = Ipv4::new(PEER.ip, HOST.ip, UDP).packet(cut);
        lab.assert_dropped(&frame(PEER, HOST, &packet), "udp_length_invalid");
    }
}

// U03, RFC 768: what IP brought beyond the length is no part of the datagram, nor of its checksum.
#[test]
fn bytes_beyond_the_udp_length_are_not_echoed() {
    let Some(lab) = LAB.lock() else { return };
    for length in [8, 9, 12] {
        let udp = Udp { length: Some(length), ..Udp::new(4000, 7) };
        let answer = lab.answer(&datagram_with(&udp, b"hello")).udp();
        assert_eq!(answer.payload, b"hello"[..usize::from(length) - 8]);
    }
}

// U04, RFC 1122 4.1.3.4. The answer to no checksum has one, or none; it never has a wrong one (see `Frame::udp`).
#[test]
fn a_datagram_without_checksum_is_taken() {
    let Some(lab) = LAB.lock() else { return };
    for payload in [&b"hello"[..], b"", b"odd"] {
        let udp = Udp { checksum: Some(0), ..Udp::new(4000, 7) };
        assert_eq!(lab.answer(&datagram_with(&udp, payload)).udp().payload, payload);
    }
}

// U04, RFC 1122 4.1.3.4.
#[test]
fn a_wrong_checksum_is_dropped() {
    let Some(lab) = LAB.lock() else { return };
    let right = udp_frame(PEER, 4000, HOST, 7, b"hello");
    for at in [34, 36, 42, 46] {
        // A bit of the source port, the destination port, the first and the last byte of payload.
        let mut wrong = right.clone();
        wrong[at] ^= 4;
        lab.assert_dropped(&wrong, "udp_checksum");
    }
    for sum in [1, 0xffff] {
        let wrong = Udp { checksum: Some(sum), ..Udp::new(4000, 7) };
        lab.assert_dropped(&datagram_with(&wrong, b"hello"), "udp_checksum");
    }
}

// U05, RFC 768: a sum that comes to 0 is sent as 0xffff, for 0 says that there is none.
#[test]
fn a_checksum_that_comes_to_zero_is_sent_as_ffff() {
    let Some(lab) = LAB.lock() else { return };
    let payload = (0..=0xffff_u16)
        .map(u16::to_be_bytes)
        .find(|payload| {
            let datagram = Udp { checksum: Some(0), ..Udp::new(4000, 7) }.datagram(PEER.ip, HOST.ip, payload);
            udp_checksum(PEER.ip, HOST.ip, &datagram) == 0xffff
        })
        .unwrap();
    for checksum in [Some(0xffff), Some(0)] {
        let udp = Udp { checksum, ..Udp::new(4000, 7) };
        let answer = lab.answer(&datagram_with(&udp, &payload)).udp();
        assert_eq!(answer.payload, payload);
        assert_eq!(answer.checksum, 0xffff, "asked with {checksum:?}");
    }
}

// U10, RFC 768.
#[test]
fn port_0_is_unreachable() {
    let Some(lab) = LAB.lock() else { return };
    let answer =
        lab.answer_and_drops(&udp_frame(Host::number(50), 4000, HOST, 0, b"x"), &["udp_no_port"]).icmp();
    assert_eq!((answer.kind, answer.code), (3, 3));
}

// U10, X02, CERT CA-1996-01, TA14-017A: two echoes would never stop.
#[test]
fn source_ports_that_are_reflectors_or_0_are_not_answered() {
    let Some(lab) = LAB.lock() else { return };
    for sport in [0, 7, 13, 17, 19, 37, 53, 69, 111, 123, 137, 161, 389, 427, 1900, 3702, 5353, 11211] {
        lab.assert_dropped(&udp_frame(PEER, sport, HOST, 7, b"hello"), "echo_reflector_port");
    }
}

// U11: an empty datagram is a datagram.
#[test]
fn an_empty_datagram_is_echoed() {
    let Some(lab) = LAB.lock() else { return };
    assert_eq!(lab.answer(&udp_frame(PEER, 4000, HOST, 7, b"")).udp().payload, b"");
}

// U21, RFC 1122 4.1.3.5: from the address that was asked; from our own if that was a group's.
#[test]
fn the_answer_comes_from_the_address_that_was_asked() {
    let Some(lab) = LAB.lock() else { return };
    let source = Host::number(1);
    for (from, asked, own) in [
        (PEER, HOST.ip, HOST.ip),
        (PEER, HOST_SECOND.ip, HOST_SECOND.ip),
        (PEER, GROUP, HOST.ip),
        (source, SOURCE_GROUP, HOST.ip),
    ] {
        let answer = lab.answer(&udp_frame(from, 4000, HOST.with_ip(asked), 7, b"who?"));
        assert_eq!((answer.dst(), answer.src()), (from.mac, HOST.mac));
        let udp = answer.udp();
        assert_eq!((udp.ip.src, udp.ip.dst), (own, from.ip), "asked at {asked}");
        assert_eq!((udp.sport, udp.dport), (7, 4000));
        // X04: unicast, and free to travel.
        assert_eq!(udp.ip.ttl, 64);
    }
}

// RFC 9776 3.2, RFC 3678 3: joined for 198.18.0.1 alone.
#[test]
fn a_group_joined_for_one_source_is_silent_for_others() {
    let Some(lab) = LAB.lock() else { return };
    let frame = udp_frame(PEER, 4000, HOST.with_ip(SOURCE_GROUP), 7, b"me too");
    lab.assert_dropped(&frame, "group_source_filtered");
}

// E16: switches that send multicast as unicast change the frame's address only.
#[test]
fn a_group_datagram_in_a_unicast_frame_is_taken_if_joined() {
    let Some(lab) = LAB.lock() else { return };
    let mut frame = udp_frame(PEER, 4000, HOST.with_ip(GROUP), 7, b"hello");
    frame[..6].copy_from_slice(&HOST.mac);
    assert_eq!(lab.answer(&frame).udp().payload, b"hello");
}

// X01, RFC 862.
#[test]
fn every_payload_comes_back_as_it_was() {
    let Some(lab) = LAB.lock() else { return };
    let sizes = (0..=70).chain([127, 128, 255, 256, 511, 512, 1000, 1471, 1472]);
    let payloads: Vec<Vec<u8>> =
        sizes.map(|size| (0..size).map(|i| u8::try_from((i * 7 + size) % 251).unwrap()).collect()).collect();
    let requests: Vec<_> = payloads.iter().map(|p| udp_frame(PEER, 4000, HOST, 7, p)).collect();
    let answers = lab.wire.exchange(&requests, Duration::from_millis(50));
    assert_eq!(answers.len(), payloads.len());
    for (answer, payload) in answers.iter().zip(&payloads) {
        let udp = answer.udp();
        assert_eq!(&udp.payload, payload);
        assert_eq!((udp.ip.src, udp.ip.dst, udp.sport, udp.dport), (HOST.ip, PEER.ip, 7, 4000));
        assert_ne!(udp.checksum, 0);
    }
}

// X04, RFC 1122 3.2.2.6 by analogy: as configured, on a program of its own.
#[test]
fn groups_are_not_answered_if_so_configured_and_no_more_often_than_configured() {
    if !may_run() {
        return;
    }
    let off = Lab::mute(&ECHO.replace("answer_broadcast = true", "answer_groups = false"));
    for dst in [GROUP, Ipv4Addr::BROADCAST] {
        off.assert_dropped(&udp_frame(PEER, 4000, HOST.with_ip(dst), 7, b"x"), "echo_group_off");
    }
    assert_eq!(off.answer(&udp_frame(PEER, 4000, HOST, 7, b"unicast")).udp().payload, b"unicast");
    drop(off);

    let capped = Lab::mute(&ECHO.replace("answer_broadcast = true", "group_answers_per_second = 5"));
    let before = capped.drops();
    assert!(before.is_empty(), "{before:?}");
    let group = udp_frame(PEER, 4000, HOST.with_ip(GROUP), 7, b"x");
    let mut answers = capped.wire.exchange(&vec![group; 100], Duration::from_millis(50));
    answers.retain(|frame| frame.carries(UDP));
    // A second may begin between the first and the last of them.
    assert!((5..=10).contains(&answers.len()), "{} answers", answers.len());
    let refused = 100 - u64::try_from(answers.len()).unwrap();
    assert_eq!(capped.drops(), [("echo_group_rate".to_owned(), refused)].into());
}
