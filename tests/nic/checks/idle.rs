//! A worker that sleeps on a NIC: by the device's RX interrupt.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::super::common::*;

/// A sleep that nothing ends takes 100 ms, and an emulated machine is slow.
const SOON: Duration = Duration::from_millis(80);

/// Of some attempts, one has to be in time: others use this machine.
const ATTEMPTS: usize = 10;

fn workers(guest: &Guest) -> Vec<Value> {
    serde_json::from_value(guest.ctl(&["workers"])).unwrap()
}

/// The share of a CPU of the guest's that the first worker takes in two seconds in which nothing arrives.
fn idle_share(guest: &Guest) -> f64 {
    let times = guest
        .sh("t=$(grep -l worker /proc/$(cat /tmp/pid)/task/*/comm | head -n 1); t=${t%comm}schedstat; \
         cat $t /proc/uptime; sleep 2; cat $t /proc/uptime");
    let first = |line: &str| line.split(' ').next().unwrap().parse::<f64>().unwrap();
    let times: Vec<f64> = times.lines().map(first).collect();
    let [spent, at, spent_later, later] = times[..] else { panic!("{times:?}") };
    (spent_later - spent) / 1e9 / (later - at)
}

/// The time of the quickest of some echoes, each after a silence.
fn quickest_echo(guest: &Guest) -> Duration {
    let request = udp_frame(PEER, 4000, HOST, 7, b"after a silence");
    let echo = |_| {
        std::thread::sleep(Duration::from_millis(150));
        guest.wire.raw.drain();
        let began = Instant::now();
        guest.wire.raw.send(&request);
        let echoed = |frame: &Frame| (frame.carries(UDP) && frame.dst() == PEER.mac).then_some(());
        guest.wire.raw.find(Duration::from_secs(10), echoed).expect("no echo");
        began.elapsed()
    };
    (0..ATTEMPTS).map(echo).min().unwrap()
}

// Issue 8: with nothing to do, under 5 % of a CPU, and awake at once. A device that forgets to tell is believed no more, is looked at
// by the clock, and `ctl workers` says so.
pub fn an_idle_worker_sleeps_until_its_interrupt(guest: &Guest) {
    assert_sleeps_well(guest, guest.model.rx_interrupt);
}

// DPDK's driver of the 82574L gives its queue no vector of MSI-X: with MSI, there is one for all.
pub fn with_msi_an_idle_worker_sleeps_until_its_interrupt(guest: &Guest) {
    let mut config = guest.model.config(ECHO6);
    config.eal = "args = [\"--vfio-intr=msi\"]\n".to_owned();
    guest.run(&config);
    assert_sleeps_well(guest, RxInterrupt::Comes);
}

fn assert_sleeps_well(guest: &Guest, interrupt: RxInterrupt) {
    // Whoever must be asked after is known then.
    guest.wire.fence();
    let before = workers(guest);
    let quickest = quickest_echo(guest);
    let share = idle_share(guest);
    let all = workers(guest);
    let after = &all[0];
    // Of all: which of them the echoes' flow comes to is a tap's own choice.
    let sum =
        |workers: &[Value], name: &str| -> u64 { workers.iter().map(|w| w[name].as_u64().unwrap()).sum() };
    let rise = |name: &str| sum(&all, name) - sum(&before, name);
    assert!(after["idle"] == "adaptive" && rise("sleeps") > 0, "{after}");
    assert!(quickest < SOON, "of {ATTEMPTS} echoes the quickest took {quickest:?}");
    let waits = match after["queues"][0].get("rx_event") {
        Some(event) => event == "RX interrupt" && after.get("sleep_us").is_none(),
        None => false,
    };
    let gave_up = after["queues"][0].get("rx_event").is_none()
        && after["sleep_us"].as_u64().is_some()
        && after["overslept"].as_u64().unwrap() >= 3;
    match interrupt {
        RxInterrupt::Comes => assert!(waits, "{after}"),
        RxInterrupt::MayFail => assert!(waits != gave_up, "{after}"),
        RxInterrupt::Fails => assert!(gave_up, "{after}"),
    }
    if interrupt == RxInterrupt::Comes {
        assert!(share < 0.05, "an idle worker takes {:.1} % of a CPU: {after}", share * 100.0);
        assert!(rise("woken") > 0, "{after}");
        // Some may have come in the very microsecond in which a sleep was over.
        assert!(rise("overslept") <= 2, "{after}");
    }
}
