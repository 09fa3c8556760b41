//! pollcast on a bond of two taps, of which one is active: DPDK's net_bonding as any other device.
#![cfg(all(feature = "dpdk", feature = "cli"))]

mod common;

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use common::*;

const GROUP: Ipv4Addr = Ipv4Addr::new(239, 1, 2, 3);

/// Asserts that one host and a group are echoed over `wire`.
#[track_caller]
fn assert_echoes(wire: &Wire) {
    for to in [HOST, PEER.with_ip(GROUP)] {
        let answers = wire.exchange(&[udp_frame(PEER, 4000, to, 7, b"hello")], Duration::from_millis(20));
        assert_eq!(answers.len(), 1, "to {}: {answers:?}", to.ip);
        let echo = answers[0].udp();
        assert_eq!((answers[0].src(), echo.ip.src, &echo.payload[..]), (HOST.mac, HOST.ip, &b"hello"[..]));
    }
}

// When the active member's link goes, the other one takes over with the same addresses and groups.
#[test]
fn a_bond_echoes_over_its_active_member_and_over_the_other_when_that_fails() {
    if !may_run() {
        return;
    }
    let netns = Netns::new();
    let mut config = Config::new("net_bonding0,slave=net_tap0,slave=net_tap1,mode=1", ECHO);
    config.eal = "args = [\"--vdev=net_tap0,iface=pc0\", \"--vdev=net_tap1,iface=pc1\"]\n".to_owned();
    let mut pollcast = Pollcast::start(&netns, &config);
    assert_eq!(pollcast.ctl(&["ports"])[0]["driver"], "net_bonding");
    let filter = pollcast.ctl(&["filter"])[0].take();
    assert_eq!((&filter["rung"], &filter["all_multicast"]), (&"all_multicast".into(), &true.into()), "{filter}");
    for device in ["pc0", "pc1"] {
        netns.ip(&format!("link set {device} up"));
    }
    let [first, second] = ["pc0", "pc1"].map(|device| Wire::new(RawPeer::new(&netns, device)));
    assert_echoes(&first);
    netns.ip("link set pc0 down");
    // The bond looks at its members' links by a timer of its own.
    let deadline = Instant::now() + Duration::from_secs(10);
    let ask = udp_frame(PEER, 4000, HOST, 7, b"are you there?");
    loop {
        second.raw.send(&ask);
        if second.raw.find(Duration::from_millis(100), |frame| frame.carries(UDP).then_some(())).is_some() {
            break;
        }
        assert!(Instant::now() < deadline, "the other member does not take over");
    }
    assert_echoes(&second);
    assert_eq!(pollcast.ctl(&["ports"])[0]["link_up"], true);
    pollcast.stop();
}
