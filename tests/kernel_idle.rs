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

    /// Two workers, each with a queue of its own unless `port` says otherwise.
    fn two_on_tap(port: &str, services: &str) -> Self {
        let netns = Netns::new();
        let mut config = Config::new("net_tap0,iface=pc0", services);
        config.workers = "cpus = [0, 1]\ncontrol_cpu = 0\nidle = \"adaptive\"\n".into();
        config.ports += port;
        let pollcast = Pollcast::start(&netns, &config);
        netns.ip("link set pc0 up");
        netns.ip("addr add 198.18.0.1/24 dev pc0");
        Self { pollcast, netns }
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

    /// Packets that workers have handed to one another.
    fn handed_out(&self) -> u64 {
        self.pollcast.ctl(&["stats"])["ports"][0]["engine"]["handed_out"].as_u64().unwrap_or_default()
    }

    /// How long the `answers` to a datagram of `len` bytes took to come, from a flow of its own.
    fn exchange(&self, to: &str, len: usize, answers: usize) -> Duration {
        let peer = self.netns.enter(|| UdpSocket::bind("198.18.0.1:0").unwrap());
        socket2::SockRef::from(&peer).set_multicast_if_v4(&KERNEL.ip).unwrap();
        peer.set_read_timeout(Some(PATIENCE)).unwrap();
        let (payload, mut buf) = (vec![0x5a; len], vec![0; 65536]);
        let began = Instant::now();
        peer.send_to(&payload, to).unwrap();
        for _ in 0..answers {
            let len = peer.recv(&mut buf).unwrap();
            assert_eq!(buf[..len], payload);
        }
        began.elapsed()
    }

    /// That a worker which sleeps is woken by what another hands to it. Of many exchanges, each after a silence, those count in which a
    /// packet went from worker to worker; nothing but that one wakes the other, and left alone it sleeps longer than `SOON`.
    fn assert_woken_by_others(&self, to: &str, len: usize, answers: usize) {
        let mut crossed = Vec::new();
        for _ in 0..4 * ATTEMPTS {
            thread::sleep(Duration::from_millis(30));
            let before = self.handed_out();
            let took = self.exchange(to, len, answers);
            if self.handed_out() > before {
                crossed.push(took);
            }
            if crossed.len() == ATTEMPTS / 2 {
                break;
            }
        }
        assert_eq!(crossed.len(), ATTEMPTS / 2, "each flow or datagram is any worker's");
        let quickest = crossed.iter().min().unwrap();
        assert!(*quickest < SOON, "the quickest took {quickest:?}");
        for worker in self.pollcast.ctl(&["workers"]).as_array().unwrap() {
            assert!(
                worker["woken"].as_u64() > Some(0) && worker["overslept"].as_u64() <= Some(1),
                "{worker}"
            );
        }
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

// What comes in 2 s is some ten packets of the kernel's, and a sleep that nothing ends has 100 ms: the others are heartbeats.
#[test]
fn a_heartbeat_wakes_a_worker_for_which_nothing_comes() {
    if !may_run() {
        return;
    }
    let counted = |key, heartbeat: Option<u64>| {
        let idle = Idle::on_tap(key);
        idle.quickest_echo();
        assert_eq!(idle.worker().get("heartbeat_us").and_then(Value::as_u64), heartbeat);
        let (sleeps, woken) = (idle.counter("sleeps"), idle.counter("woken"));
        thread::sleep(WATCHED);
        let worker = idle.worker();
        assert!(idle.counter("woken") - woken < 100 && idle.counter("overslept") <= 1, "{worker}");
        (idle.counter("sleeps") - sleeps, worker)
    };
    let (sleeps, worker) = counted("", Some(1000));
    assert!(sleeps > 200, "{sleeps}: {worker}");
    let (sleeps, worker) = counted("idle_heartbeat_us = 0", None);
    assert!(sleeps < 100, "{sleeps}: {worker}");
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

/// Whether there are two workers to be had.
fn may_run_two() -> bool {
    if thread::available_parallelism().map_or(1, std::num::NonZero::get) < 2 {
        say_skipped("needs two CPUs");
        return false;
    }
    may_run()
}

// RPS: whoever has no queue sleeps until it is handed a flow, and the other until it is handed the answer.
#[test]
fn a_worker_without_a_queue_is_woken_by_the_one_with_it() {
    if may_run_two() {
        Idle::two_on_tap("rps = \"on\"\n", ECHO).assert_woken_by_others("198.18.0.2:7", 100, 1);
    }
}

// F17: whoever puts a datagram together is woken by each fragment that another received.
#[test]
fn the_owner_of_fragments_is_woken_by_whoever_receives_them() {
    if may_run_two() {
        Idle::two_on_tap("", ECHO).assert_woken_by_others("198.18.0.2:7", 3000, 1);
    }
}

// U13: a group that is heard on two workers is heard by one that sleeps, too.
#[test]
fn a_copy_for_another_worker_wakes_it() {
    if may_run_two() {
        let hearer = |cpu: u8| {
            ECHO.replace("\"echo\"\nkind", &format!("\"echo{cpu}\"\nkind"))
                + &format!("cpus = [{cpu}]\nreuse_address = true\n")
        };
        Idle::two_on_tap("", &(hearer(0) + &hearer(1))).assert_woken_by_others("239.1.2.3:7", 100, 2);
    }
}
