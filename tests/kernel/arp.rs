//! ARP, from the wire: whom pollcast answers, and what it believes.

use std::net::Ipv4Addr;
use std::time::Duration;

use crate::common::*;

static LAB: Shared = Shared::new(|| Lab::mute(ECHO));

// A01, RFC 826: a broadcast request and a unicast one.
#[test]
fn a_request_for_our_address_is_answered_to_the_asker_alone() {
    let Some(lab) = LAB.lock() else { return };
    for (to, own) in [(BROADCAST, HOST), (HOST.mac, HOST), (BROADCAST, HOST_SECOND)] {
        let answer = lab.answer(&Arp::request(PEER, own.ip).frame_to(to));
        assert_eq!((answer.dst(), answer.src()), (PEER.mac, HOST.mac));
        assert_eq!(answer.arp(), ArpRead { operation: 2, sender: own, target: PEER });
    }
}

// A02, RFC 826: no proxy, by accident or design.
#[test]
fn a_request_for_another_address_is_not_answered() {
    let Some(lab) = LAB.lock() else { return };
    for target in [
        Ipv4Addr::new(198, 18, 0, 50),
        Ipv4Addr::new(239, 1, 2, 3),
        Ipv4Addr::LOCALHOST,
        Ipv4Addr::new(198, 18, 0, 255),
        Ipv4Addr::BROADCAST,
        Ipv4Addr::UNSPECIFIED,
    ] {
        // The asker is a stranger each time: one that is known would be refreshed and not dropped.
        let stranger = Host::number(60 + target.octets()[3] % 50);
        lab.assert_dropped(&Arp::request(stranger, target).frame_to(BROADCAST), "arp_not_for_us");
        assert_eq!(lab.neighbor(stranger), None);
    }
}

// A03, RFC 826.
#[test]
fn a_packet_of_other_types_or_lengths_is_dropped() {
    let Some(lab) = LAB.lock() else { return };
    let good = Arp::request(PEER, HOST.ip);
    for bad in [
        Arp { hardware: 6, ..good.clone() },
        Arp { hardware: 2, ..good.clone() },
        Arp { protocol: 0x86dd, ..good.clone() },
        Arp { hardware_len: 5, ..good.clone() },
        Arp { protocol_len: 5, ..good.clone() },
        Arp { operation: 0, ..good.clone() },
        Arp { operation: 3, ..good.clone() },
    ] {
        lab.assert_dropped(&bad.frame_to(BROADCAST), "arp_malformed");
    }
    let mut short = good.frame_to(BROADCAST);
    short.truncate(14 + 27);
    lab.assert_dropped(&short, "arp_malformed");
}

// A04, RFC 826: an answer that nobody asked for does not fill the cache.
#[test]
fn an_unsolicited_reply_from_a_stranger_is_not_remembered() {
    let Some(lab) = LAB.lock() else { return };
    let stranger = Host::number(21);
    lab.assert_dropped(&Arp::reply(stranger, stranger).frame_to(BROADCAST), "arp_not_for_us");
    lab.assert_dropped(&Arp::reply(stranger, HOST).frame_to(HOST.mac), "arp_not_for_us");
    assert_eq!(lab.neighbor(stranger), None);
}

// A04, RFC 826: who asks us becomes known; whatever is heard of who is known is believed.
#[test]
fn who_asks_for_us_is_remembered_and_updated_by_any_packet() {
    let Some(lab) = LAB.lock() else { return };
    let peer = Host::number(22);
    lab.answer(&Arp::request(peer, HOST.ip).frame_to(BROADCAST));
    assert_eq!(lab.neighbor(peer), Some(written(peer.mac)));
    let moved = Host { mac: [2, 0, 0, 0, 1, 22], ..peer };
    let seen = lab.wire.exchange(&[Arp::reply(moved, moved).frame_to(BROADCAST)], Duration::from_millis(100));
    assert_eq!(seen, []);
    assert_eq!(lab.neighbor(peer), Some(written(moved.mac)));
}

// A05, RFC 5227 2.1.1.
#[test]
fn a_probe_is_answered_and_its_missing_address_not_remembered() {
    let Some(lab) = LAB.lock() else { return };
    let prober = PEER.with_ip(Ipv4Addr::UNSPECIFIED);
    let answer = lab.answer(&Arp::request(prober, HOST.ip).frame_to(BROADCAST));
    assert_eq!(answer.dst(), prober.mac);
    assert_eq!(answer.arp(), ArpRead { operation: 2, sender: HOST, target: prober });
    assert_eq!(lab.neighbor(prober), None);
}

// A06, RFC 5227 2.4: the claim is countered once in ten seconds, and never believed.
#[test]
fn another_host_with_our_address_is_countered_once_and_not_believed() {
    let Some(lab) = LAB.lock() else { return };
    let thief = Host::number(23).with_ip(HOST.ip);
    let claim = Arp::request(thief, HOST.ip).frame_to(BROADCAST);
    let seen = lab.wire.exchange_all(std::slice::from_ref(&claim), Duration::from_millis(100));
    let answer = seen.iter().find(|frame| frame.is_arp()).expect("a defence");
    assert_eq!((answer.dst(), answer.src()), (BROADCAST, HOST.mac));
    let announcement = answer.arp();
    assert_eq!((announcement.operation, announcement.sender), (1, HOST));
    assert_eq!(announcement.target.ip, HOST.ip);
    for _ in 0..3 {
        lab.assert_dropped(&claim, "arp_conflict");
    }
    assert_eq!(lab.neighbor(HOST), None);
}

// A07, RFC 5227, RFC 1812 3.3.2.
#[test]
fn a_sender_that_is_not_one_host_is_dropped() {
    let Some(lab) = LAB.lock() else { return };
    let senders = [
        PEER.with_ip(Ipv4Addr::new(224, 1, 1, 1)),
        PEER.with_ip(Ipv4Addr::BROADCAST),
        Host { mac: [3, 0, 0, 0, 0, 9], ..PEER },
        Host { mac: BROADCAST, ..PEER },
    ];
    for sender in senders {
        // The frame itself comes from a station that may be.
        let packet = Arp::request(sender, HOST.ip).bytes();
        let frame = ethernet(BROADCAST, PEER.mac, ETHERTYPE_ARP, &packet);
        lab.assert_dropped(&frame, "arp_sender_invalid");
        assert_eq!(lab.neighbor(sender).filter(|mac| *mac != written(PEER.mac)), None);
    }
}

// A15: as Linux.
#[test]
fn a_sender_from_another_subnet_is_answered() {
    let Some(lab) = LAB.lock() else { return };
    let foreigner = PEER.with_ip(Ipv4Addr::new(192, 0, 2, 9));
    let answer = lab.answer(&Arp::request(foreigner, HOST.ip).frame_to(BROADCAST));
    assert_eq!(answer.arp(), ArpRead { operation: 2, sender: HOST, target: foreigner });
}
