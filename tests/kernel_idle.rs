//! What an idle worker costs and how it wakes: `idle = "adaptive"` on devices that have an event, and on one that has none.
//!
//! The two figures that a rest is about are requirements (issue 8: under 5 % of a CPU, awake within 100 us); the bounds here leave room for
//! a machine that has other things to do. `bench/latency` measures.
#![cfg(all(feature = "dpdk", feature = "cli"))]

mod common;

use std::fs;
use std::net::UdpSocket;
use std::thread;
use std::time::{Duration, Instant};

use common::*;
use serde_json::Value;

/// How long a worker's idleness is watched.
const WATCHED: Duration = Duration::from_secs(2);

/// A wake takes microseconds. A sleep that nothing ended takes 100 ms.
const SOON: Duration = Duration::from_millis(50);

/// Longer than any answer takes.
const PATIENCE: Duration = Duration::from_secs(10);

/// Of some attempts, one has to be in time: others use this machine.
const ATTEMPTS: usize = 20;

/// An adaptive pollcast with an echo at 198.18.0.2, and a kernel at 198.18.0.1 on the other end of its wire.
struct Idle {
    pollcast: Pollcast,
    netns: Netns,
}

impl Idle {
    fn on_tap(workers: &str) -> Self {
        let netns = Netns::new();
        let pollcast = Self::start(&netns, "net_tap0,iface=pc0", workers);
        netns.ip("link set pc0 up");
        netns.ip("addr add 198.18.0.1/24 dev pc0");
        Self { pollcast, netns }
    }

    fn on_veth() -> Self {
        let netns = Netns::new();
        netns.ip("link add pc0 type veth peer name pc1");
        for end in ["pc0", "pc1"] {
            netns.run("ethtool", &["-K", end, "tx", "off", "gro", "off", "gso", "off"]);
            netns.set6(&format!("conf/{end}/disable_ipv6"), "1");
            netns.ip(&format!("link set {end} up"));
        }
        netns.ip("addr add 198.18.0.1/24 dev pc0");
        let pollcast = Self::start(&netns, "net_af_packet0,iface=pc1", "");
        Self { pollcast, netns }
    }

    fn start(netns: &Netns, device: &str, workers: &str) -> Pollcast {
        let mut config = Config::new(device, ECHO);
        config.workers += &format!("idle = \"adaptive\"\n{workers}\n");
        Pollcast::start(netns, &config)
    }

    fn worker(&self) -> Value {
        self.pollcast.ctl(&["workers"])[0].clone()
    }

    fn counter(&self, name: &str) -> u64 {
        self.worker()[name].as_u64().unwrap()
    }

    /// Nanoseconds that the worker's thread has had a CPU.
    fn cpu_ns(&self) -> u64 {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.pollcast.pid())).unwrap();
        let is_worker = |task: &fs::DirEntry| {
            fs::read_to_string(task.path().join("comm")).is_ok_and(|name| name.contains("worker"))
        };
        let task = tasks.flatten().find(is_worker).expect("a thread named as DPDK names its lcores");
        let times = fs::read_to_string(task.path().join("schedstat")).unwrap();
        times.split(' ').next().unwrap().parse().unwrap()
    }

    /// The share of a CPU that the worker takes while nothing arrives.
    fn idle_share(&self) -> f64 {
        let (before, began) = (self.cpu_ns(), Instant::now());
        thread::sleep(WATCHED);
        let spent = u32::try_from(self.cpu_ns() - before).unwrap();
        f64::from(spent) / 1e9 / began.elapsed().as_secs_f64()
    }

    /// The time of the quickest of some echoes, each after a silence.
    fn quickest_echo(&self) -> Duration {
        let peer = self.netns.enter(|| UdpSocket::bind("198.18.0.1:0").unwrap());
        peer.set_read_timeout(Some(PATIENCE)).unwrap();
        peer.connect("198.18.0.2:7").unwrap();
        let echo = |n| {
            let (mut buf, payload) = ([0; 64], format!("number {n}"));
            thread::sleep(Duration::from_millis(30));
            let began = Instant::now();
            peer.send(payload.as_bytes()).unwrap();
            let len = peer.recv(&mut buf).unwrap();
            assert_eq!(&buf[..len], payload.as_bytes());
            began.elapsed()
        };
        (0..ATTEMPTS).map(echo).min().unwrap()
    }

    fn assert_sleeps_well(&self, event: &str) {
        let worker = self.worker();
        assert_eq!(
            (&worker["idle"], &worker["queues"][0]["rx_event"], worker.get("sleep_us")),
            (&"adaptive".into(), &event.into(), None),
            "{worker}"
        );
        // ARP is over.
        self.quickest_echo();
        let share = self.idle_share();
        assert!(share < 0.05, "an idle worker takes {:.1} % of a CPU: {}", share * 100.0, self.worker());
        let woken = self.counter("woken");
        let quickest = self.quickest_echo();
        assert!(quickest < SOON, "of {ATTEMPTS} echoes the quickest took {quickest:?}");
        assert!(self.counter("woken") > woken, "{}", self.worker());
        // One may have come in the very microsecond in which a sleep was over.
        assert!(self.counter("overslept") <= 1, "{}", self.worker());
    }
}

#[test]
fn on_a_tap_a_worker_sleeps_until_its_queue_has_something() {
    if !may_run() {
        return;
    }
    Idle::on_tap("").assert_sleeps_well("file descriptor of the queue");
}

#[test]
fn on_af_packet_a_worker_sleeps_until_its_socket_has_something() {
    if !may_run() {
        return;
    }
    Idle::on_veth().assert_sleeps_well("packet socket");
}

// The group's order is answered when the worker has taken the group in: by its inbox alone it is awake.
#[test]
fn an_order_wakes_a_worker() {
    if !may_run() {
        return;
    }
    let idle = Idle::on_tap("");
    let order = |n| {
        let (group, began) = (format!("239.9.9.{n}"), Instant::now());
        idle.pollcast.ctl(&["join", &group]);
        began.elapsed()
    };
    let quickest = (0..ATTEMPTS).map(order).min().unwrap();
    assert!(quickest < SOON, "of {ATTEMPTS} orders the quickest took {quickest:?}");
    assert!(idle.counter("overslept") <= 1, "{}", idle.worker());
}

// net_null has no event, and receives nothing if told so: the key chooses how often it is looked at.
#[test]
fn without_an_event_a_worker_sleeps_as_long_as_the_key_says() {
    if !may_run() {
        return;
    }
    let netns = Netns::new();
    let pollcast = Idle::start(&netns, "net_null0,no-rx=1", "idle_sleep_us = 5000");
    let idle = Idle { pollcast, netns };
    let worker = idle.worker();
    assert_eq!((&worker["sleep_us"], worker["queues"][0].get("rx_event")), (&5000.into(), None), "{worker}");
    let (sleeps, asleep) = (idle.counter("sleeps"), idle.counter("asleep_ms"));
    let share = idle.idle_share();
    let (sleeps, asleep) = (idle.counter("sleeps") - sleeps, idle.counter("asleep_ms") - asleep);
    assert!(share < 0.05, "{share}");
    assert!(sleeps > 1 && asleep / sleeps >= 4, "{sleeps} sleeps of {asleep} ms together");
}

#[test]
fn a_worker_that_spins_never_sleeps() {
    if !may_run() {
        return;
    }
    let netns = Netns::new();
    let mut config = Config::new("net_tap0,iface=pc0", ECHO);
    config.workers += "idle = \"spin\"\n";
    let idle = Idle { pollcast: Pollcast::start(&netns, &config), netns };
    let worker = idle.worker();
    assert_eq!((&worker["idle"], &worker["sleeps"]), (&"spin".into(), &0.into()), "{worker}");
}

// E08: a port that was stopped and started again has other files, or none for a while.
#[test]
fn a_restarted_port_wakes_its_worker() {
    if !may_run() {
        return;
    }
    let idle = Idle::on_tap("");
    idle.quickest_echo();
    idle.pollcast.ctl(&["restart"]);
    assert!(idle.quickest_echo() < SOON);
    assert!(idle.idle_share() < 0.05, "{}", idle.worker());
    assert!(idle.counter("overslept") <= 1, "{}", idle.worker());
}
