//! What a host may choose, chosen otherwise: each key of a policy, a route or a limit does on the wire what it says. What the
//! defaults do is in the files of their layers.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use crate::common::*;

/// The router of 10.0.0.0/8, the one of 10.1.0.0/16, and the one of all else.
const NEAR: Host = Host::number(20);
const FAR: Host = Host::number(21);
const ELSEWHERE: Host = Host::number(22);

const PORT: &str = r#"
[[port]]
name = "p0"
device = "net_tap0,iface=pc0"
mac = "02:00:00:00:00:02"
addresses = ["198.18.0.2/24", "198.18.0.3/24"]
gateway4 = "198.18.0.22"
routes = [{ to = "10.0.0.0/8", via = "198.18.0.20" }, { to = "10.1.0.0/16", via = "198.18.0.21" }]
conflict_detection = "probe"
accept_reserved_sources = true
accept_unicast_in_group_frames = true
icmp_timestamp = false
icmp_echo_group = true
"#;

const SERVICES: &str = r#"
[reassembly]
timeout_s = 1
fragments = 3
fragments_per_source = 2

[icmp]
errors_per_second_per_peer = 1
errors_burst_per_peer = 2

[[service]]
name = "reflecting"
kind = "echo"
listen = ["0.0.0.0:7"]
groups = [{ group = "239.1.2.3" }]

[[service]]
name = "routing"
kind = "echo"
listen = ["0.0.0.0:8"]
reply = "route"

[[service]]
name = "limited"
kind = "echo"
listen = ["0.0.0.0:9"]
replies_per_second_per_source = 2
"#;

static LAB: Shared = Shared::new(|| {
    let config = Config { ports: PORT.into(), ..Config::new("net_tap0,iface=pc0", SERVICES) };
    let lab = Lab::new(&config);
    // It asks for its addresses before it uses them, and has nothing to say until then.
    let patience = Instant::now() + Duration::from_secs(15);
    let announces = |frame: &Frame| frame.is_arp() && frame.arp().sender.ip == HOST.ip;
    assert!(
        std::iter::from_fn(|| lab.wire.raw.next(patience)).any(|frame| announces(&frame)),
        "it never announced its address"
    );
    lab
});

/// Someone who is not on the link, behind the router that brings his packets.
fn behind(router: Host, ip: [u8; 4]) -> Host {
    router.with_ip(Ipv4Addr::from(ip))
}

// I11, RFC 6890: as Linux does, if it is chosen.
#[test]
fn reserved_sources_are_answered_if_that_is_chosen() {
    let Some(lab) = LAB.lock() else { return };
    for source in [[240, 1, 2, 3], [0, 1, 2, 3]] {
        let answer = lab.answer(&udp_frame(behind(NEAR, source), 4000, HOST, 7, b"x"));
        assert_eq!((answer.dst(), answer.udp().ip.dst), (NEAR.mac, Ipv4Addr::from(source)));
    }
}

// E15, RFC 1122 3.3.6: as Linux does, if it is chosen.
#[test]
fn one_host_in_a_frame_for_many_is_answered_if_that_is_chosen() {
    let Some(lab) = LAB.lock() else { return };
    let mut to_all = udp_frame(PEER, 4000, HOST, 7, b"x");
    to_all[..6].fill(0xff);
    assert_eq!(lab.answer(&to_all).udp().payload, b"x");
}

// C10, RFC 1122 3.2.2.8.
#[test]
fn timestamp_requests_are_ignored_if_that_is_chosen() {
    let Some(lab) = LAB.lock() else { return };
    let request = icmp(13, 0, [0, 1, 0, 1], &[0; 12]);
    lab.assert_silent(&[frame(PEER, HOST, &Ipv4::new(PEER.ip, HOST.ip, ICMP).packet(&request))]);
}

// C08, RFC 1122 3.2.2.6: from an address of our own, to the one who asked.
#[test]
fn pings_of_many_are_answered_if_that_is_chosen() {
    let Some(lab) = LAB.lock() else { return };
    for dst in [[198, 18, 0, 255], [255; 4], [239, 1, 2, 3]] {
        let answer = lab.answer(&ping_frame(PEER, HOST.with_ip(Ipv4Addr::from(dst)), 1, 1, b"x"));
        let icmp = answer.icmp();
        assert_eq!((icmp.kind, icmp.ip.src, icmp.ip.dst), (0, HOST.ip, PEER.ip), "{dst:?}");
    }
}

// The key `reply`, RFC 1122 3.3.1: whoever brought the request, the answer goes by the longest prefix.
#[test]
fn answers_go_by_routes_if_that_is_chosen() {
    let Some(lab) = LAB.lock() else { return };
    for (source, by) in [([10, 2, 0, 1], NEAR), ([10, 1, 0, 1], FAR), ([203, 0, 113, 1], ELSEWHERE)] {
        lab.find(by);
        let asker = behind(PEER, source);
        let routed = lab.answer(&udp_frame(asker, 4000, HOST, 8, b"x"));
        assert_eq!((routed.dst(), routed.udp().ip.dst), (by.mac, asker.ip), "{source:?}");
        let reflected = lab.answer(&udp_frame(asker, 4000, HOST, 7, b"x"));
        assert_eq!((reflected.dst(), reflected.udp().ip.dst), (PEER.mac, asker.ip), "{source:?}");
    }
}

/// The answers to five requests that come at once.
fn answers_to_five(lab: &Lab, from: Host, port: u16) -> Vec<Frame> {
    let requests: Vec<_> = (4000..4005).map(|sport| udp_frame(from, sport, HOST, port, b"x")).collect();
    lab.wire.exchange(&requests, Duration::from_millis(50))
}

// X05, RFC 8085 3: a cap for each source, and each refused one counted.
#[test]
fn one_source_is_sent_no_more_than_its_share() {
    let Some(lab) = LAB.lock() else { return };
    let before = lab.drops();
    assert_eq!(answers_to_five(&lab, Host::number(30), 9).len(), 2);
    assert_eq!(lab.drops_since(&before), [("echo_source_rate".to_owned(), 3)].into());
    assert_eq!(answers_to_five(&lab, Host::number(31), 9).len(), 2);
}

// C05, RFC 1812 4.3.2.8: as many errors as are chosen.
#[test]
fn errors_are_as_many_as_chosen() {
    let Some(lab) = LAB.lock() else { return };
    let errors = answers_to_five(&lab, Host::number(32), 4999);
    assert!(errors.iter().all(|error| (error.icmp().kind, error.icmp().code) == (3, 3)));
    assert_eq!(errors.len(), 2);
}

/// The first fragment of a datagram from `from`, of which no other comes.
fn first_fragment(from: Host, id: u16) -> Vec<u8> {
    let datagram = Udp::new(4000, 7).datagram(from.ip, HOST.ip, &[7; 100]);
    let header = Ipv4 { id, fragment: 0x2000, ..Ipv4::new(from.ip, HOST.ip, UDP) };
    frame(from, HOST, &header.packet(&datagram[..64]))
}

// F09, RFC 1122 3.3.2: given up as soon as is chosen, and the sender told.
#[test]
fn an_unfinished_datagram_is_given_up_in_time() {
    let Some(lab) = LAB.lock() else { return };
    let from = Host::number(33);
    let sent = Instant::now();
    lab.wire.exchange(&[first_fragment(from, 1)], Duration::ZERO);
    let told = |frame: &Frame| (frame.dst() == from.mac && frame.carries(ICMP)).then(|| frame.icmp());
    let error = lab.wire.raw.find(Duration::from_secs(5), told).expect("no error came");
    assert_eq!((error.kind, error.code), (11, 1));
    assert!((800..3_000).contains(&sent.elapsed().as_millis()), "after {:?}", sent.elapsed());
}

// F11, CVE-2018-5391: no source has more than its share, and all together no more than is chosen.
#[test]
fn no_more_fragments_are_held_than_chosen() {
    let Some(lab) = LAB.lock() else { return };
    let held = |lab: &Lab| {
        let stats = lab.pollcast.ctl(&["stats"]);
        let count = |name: &str| stats["ports"][0]["engine"][name].as_u64().unwrap();
        count("held") - count("released") - count("merged")
    };
    let send = |n: u8| {
        lab.wire.exchange(
            &(1..=5).map(|id| first_fragment(Host::number(n), id)).collect::<Vec<_>>(),
            Duration::ZERO,
        )
    };
    send(34);
    assert_eq!(held(&lab), 2);
    send(35);
    assert_eq!(held(&lab), 3);
    let patience = Instant::now() + Duration::from_secs(10);
    while held(&lab) > 0 {
        assert!(Instant::now() < patience, "they are never given up");
        std::thread::sleep(Duration::from_millis(50));
    }
}
