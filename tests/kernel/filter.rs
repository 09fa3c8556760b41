//! The NIC's filter of a real driver: many joins at once, a pinned rung, and a port that is restarted, over `net_tap`.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use crate::common::*;
use serde_json::Value;

static LAB: Shared = Shared::new(|| Lab::mute(ECHO));

const GROUP: Ipv4Addr = Ipv4Addr::new(239, 1, 2, 3);

fn number(value: &Value, key: &str) -> u64 {
    value[key].as_u64().unwrap_or_else(|| panic!("no {key}: {value}"))
}

fn filter(lab: &Lab) -> Value {
    lab.pollcast.ctl(&["filter"])[0].clone()
}

fn is_answered(lab: &Lab, group: Ipv4Addr) {
    let answer = lab.answer(&udp_frame(PEER, 4000, HOST.with_ip(group), 7, b"to all"));
    assert_eq!(answer.udp().payload, b"to all");
}

// DESIGN 6: a thousand joins in one command are one call to the driver, and as few reports as hold them.
#[test]
fn a_thousand_joins_are_one_call_to_the_driver() {
    let Some(lab) = LAB.lock() else { return };
    let before = number(&filter(&lab), "calls");
    let joined = lab.pollcast.ctl(&["join", "239.9.0.1-239.9.3.232"]);
    assert_eq!(joined["done"], "joined 1000 of 1000 groups on p0 for echo");
    assert_eq!(number(&joined, "reports"), 6);
    let after = filter(&lab);
    assert_eq!(number(&after, "calls") - before, 1, "{after}");
    assert!(number(&after, "entries") > 1000);
    is_answered(&lab, Ipv4Addr::new(239, 9, 3, 232));
    let left = lab.pollcast.ctl(&["leave", "239.9.0.1-239.9.0.255", "239.9.1.0/24", "239.9.2.0-239.9.3.232"]);
    assert_eq!(left["done"], "left 1000 of 1000 groups on p0 for echo");
    assert_eq!(number(&filter(&lab), "calls") - before, 2);
}

#[test]
fn a_rung_is_pinned_and_let_go() {
    let Some(lab) = LAB.lock() else { return };
    for (policy, rung) in
        [("all_multicast", "all_multicast"), ("promiscuous", "promiscuous"), ("auto", "addr_list")]
    {
        lab.pollcast.ctl(&["filter", "--port", "p0", "--policy", policy]);
        let state = filter(&lab);
        assert_eq!((state["policy"].as_str(), state["rung"].as_str()), (Some(policy), Some(rung)));
        assert_eq!(state["all_multicast"], rung == "all_multicast");
        assert_eq!(state["promiscuous"], rung == "promiscuous");
        is_answered(&lab, GROUP);
    }
}

// E08: the driver is told the list again; G44: routers are told the groups again.
#[test]
fn multicast_flows_after_a_restart_of_the_port() {
    let Some(lab) = LAB.lock() else { return };
    for _ in 0..3 {
        is_answered(&lab, GROUP);
        let before = filter(&lab);
        let done = lab.pollcast.ctl(&["restart"]);
        assert!(
            done["done"].as_str().unwrap().starts_with("restarted p0; workers were off it for"),
            "{done}"
        );
        let after = filter(&lab);
        assert!(number(&after, "applied") > number(&before, "applied"), "{after}");
        assert_eq!(after["macs"], before["macs"]);
        let told = lab.next_report(Duration::from_secs(10), |record| record.group == GROUP);
        assert!(told.is_some(), "no report of the group after the restart");
        let deadline = Instant::now() + Duration::from_secs(10);
        while lab.pollcast.ctl(&["ports"])[0]["link_up"] != true {
            assert!(Instant::now() < deadline, "the link does not come up");
        }
        is_answered(&lab, GROUP);
    }
}
