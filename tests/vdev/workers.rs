//! Two workers on devices that spread flows over their queues, or whose peer does, and on one that has a single queue, where pollcast does
//! (RPS).
//!
//! The same traffic to each: many flows, whose answers all come, once and in the order of their flow, while both workers sleep and wake
//! as it comes; and what `pollcast ctl` shows of it.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::common::*;
use serde_json::Value;
use tempfile::TempDir;

/// Flows, and datagrams of each.
const FLOWS: u16 = 64;
const EACH: u16 = 12;

/// Where the lab's host is: a device, its queues, and by what means flows are spread over two workers.
struct Case {
    device: &'static str,
    queues: u64,
    rps: &'static str,
}

const TAP: Case = Case { device: "net_tap0,iface=pc0", queues: 2, rps: "auto" };
const TAP_RPS: Case = Case { device: "net_tap0,iface=pc0", queues: 1, rps: "on" };
const PACKET: Case = Case { device: "net_af_packet0,iface=ve0", queues: 1, rps: "auto" };
const PACKET_FANOUT: Case = Case { device: "net_af_packet0,iface=ve0,qpairs=2", queues: 2, rps: "off" };

/// The two ends of a vhost pair: neither spreads flows itself, but takes what the other puts into its queues.
const VHOST: Case = Case { device: "net_vhost0,iface=SOCKET,queues=2", queues: 2, rps: "off" };
const VIRTIO_USER: Case =
    Case { device: "net_virtio_user0,path=SOCKET,queues=2,cq=1", queues: 2, rps: "off" };

/// What stands for the path of a vhost pair's socket.
const SOCKET: &str = "SOCKET";

/// What must last as long as a vhost pair: testpmd at the other end, and the folder of the socket.
type Peer = (Bridge, TempDir);

impl Case {
    /// The host with two workers, and the far end of its wire.
    fn lab(&self) -> (Lab, Option<Peer>) {
        let netns = Netns::new();
        if self.device.contains(SOCKET) {
            return self.ring_lab(netns);
        }
        let is_tap = self.device.starts_with("net_tap");
        if !is_tap {
            netns.ip("link add ve0 type veth peer name ve1");
            for end in ["ve0", "ve1"] {
                netns.run("ethtool", &["-K", end, "tx", "off", "gso", "off", "gro", "off"]);
                netns.ip(&format!("link set {end} up"));
            }
        }
        let pollcast = self.start(&netns, self.device);
        let end = if is_tap { "pc0" } else { "ve1" };
        // Both ends of a tap begin with the Ethernet address of the port.
        netns.ip(&format!("link set {end} address 02:00:00:00:00:01 up"));
        let wire = Wire::new(RawPeer::new(&netns, end));
        (Lab { pollcast, wire, netns }, None)
    }

    /// The same at one end of a vhost pair: testpmd at the other passes frames on between its two queues and those of a tap, which the
    /// kernel fills by flow.
    fn ring_lab(&self, netns: Netns) -> (Lab, Option<Peer>) {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("vhost.sock").display().to_string();
        let [own, other] = [self, if self.is_vhost() { &VIRTIO_USER } else { &VHOST }]
            .map(|case| case.device.replace(SOCKET, &socket));
        let bridge = |name| {
            Bridge::with_queues(&netns, name, self.queues, &other, &format!("net_tap1,iface={DEVICE}"))
        };
        // Who has the vhost end makes the socket.
        let (pollcast, bridge) = if self.is_vhost() {
            (self.start(&netns, &own), bridge("queues-vhost"))
        } else {
            let bridge = bridge("queues-virtio");
            (self.start(&netns, &own), bridge)
        };
        netns.ip(&format!("link set {DEVICE} address 02:00:00:00:00:01 up"));
        let wire = Wire::new(RawPeer::new(&netns, DEVICE));
        (Lab { pollcast, wire, netns }, Some((bridge, dir)))
    }

    fn is_vhost(&self) -> bool {
        self.device.starts_with("net_vhost")
    }

    fn start(&self, netns: &Netns, device: &str) -> Pollcast {
        let mut config = Config::new(device, ECHO);
        config.workers = "cpus = [0, 1]\ncontrol_cpu = 0\nidle = \"adaptive\"\n".into();
        config.ports += &format!("rps = \"{}\"\n", self.rps);
        Pollcast::start(netns, &config)
    }
}

fn may_run_two() -> bool {
    if std::thread::available_parallelism().map_or(1, std::num::NonZero::get) < 2 {
        say_skipped("needs two CPUs");
        return false;
    }
    may_run()
}

/// The `n`th datagram of a flow.
fn question(flow: u16, n: u16) -> Vec<u8> {
    let payload = [flow.to_be_bytes(), n.to_be_bytes()].concat();
    udp_frame(PEER, 20_000 + flow, HOST, 7, &payload)
}

/// Sends all flows' datagrams, a few bursts at a time, and returns the numbers of the answers to each flow.
fn exchange(lab: &Lab) -> BTreeMap<u16, Vec<u16>> {
    let mut answers: BTreeMap<u16, Vec<u16>> = BTreeMap::new();
    for n in 0..EACH {
        let frames: Vec<_> = (0..FLOWS).map(|flow| question(flow, n)).collect();
        // Between two rounds the workers fall asleep: what is handed over wakes them.
        for answer in lab.wire.exchange(&frames, Duration::from_millis(20)) {
            if !answer.carries(UDP) {
                continue;
            }
            let [f0, f1, n0, n1] = answer.udp().payload[..] else { panic!("{answer:?}") };
            answers.entry(u16::from_be_bytes([f0, f1])).or_default().push(u16::from_be_bytes([n0, n1]));
        }
    }
    answers
}

fn engine(stats: &Value, counter: &str) -> u64 {
    stats["ports"][0]["engine"][counter].as_u64().unwrap_or_default()
}

/// What must be so by whatever means flows are spread.
fn spreads(case: &Case) {
    if !may_run_two() {
        return;
    }
    let (mut lab, _peer) = case.lab();
    let port = lab.pollcast.ctl(&["ports"])[0].clone();
    assert_eq!(port["rx_queues"], case.queues, "{port}");
    assert_eq!(port["cpus"], serde_json::json!([0, 1]), "{port}");
    lab.wire.fence();
    let before = lab.pollcast.ctl(&["stats"]);
    let answers = exchange(&lab);
    let after = lab.pollcast.ctl(&["stats"]);
    let more = |counter| engine(&after, counter) - engine(&before, counter);
    assert_eq!(answers.len(), usize::from(FLOWS));
    let expected: Vec<u16> = (0..EACH).collect();
    assert!(answers.values().all(|of| *of == expected), "each once and in order: {answers:?}");
    assert_eq!(more("delivered"), u64::from(FLOWS * EACH));
    if case.queues == 1 {
        // A flow in two is the other worker's; its answers are sent by the one that has the queue.
        let (out, all) = (more("handed_out"), u64::from(FLOWS * EACH));
        assert!((all / 4..2 * all).contains(&out), "{after}");
        assert_eq!(
            engine(&after, "rx"),
            after["ports"][0]["device"]["ipackets"].as_u64().unwrap(),
            "{after}"
        );
    } else {
        assert_eq!(more("handed_out"), 0, "{after}");
        let by_queue = |stats: &Value| -> Vec<u64> {
            let queues = stats["ports"][0]["rx_by_queue"].as_array().cloned().unwrap_or_default();
            queues.iter().filter_map(Value::as_u64).collect()
        };
        let each: Vec<u64> = by_queue(&after).iter().zip(by_queue(&before)).map(|(a, b)| a - b).collect();
        assert!(each.len() == 2 && each.iter().all(|n| *n > u64::from(EACH)), "both have flows: {each:?}");
    }
    let text = String::from_utf8(lab.pollcast.try_ctl(&["ports"]).stdout).unwrap();
    assert_eq!(text.contains("flows are handed to workers"), case.queues == 1, "{text}");
    lab.pollcast.stop();
}

#[test]
fn two_queues_of_a_tap_are_filled_by_the_kernel() {
    spreads(&TAP);
}

#[test]
fn one_queue_of_a_tap_is_spread_in_software_if_asked_for() {
    spreads(&TAP_RPS);
}

#[test]
fn the_one_queue_of_af_packet_is_spread_in_software() {
    spreads(&PACKET);
}

#[test]
fn two_queues_of_af_packet_are_filled_by_its_fanout() {
    spreads(&PACKET_FANOUT);
}

#[test]
fn two_queues_of_a_virtio_user_port_have_a_worker_each() {
    spreads(&VIRTIO_USER);
}

#[test]
fn two_queues_of_a_vhost_port_have_a_worker_each() {
    spreads(&VHOST);
}
