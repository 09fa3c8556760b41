//! The counters of drops are those of SNMP (RFC 4293, RFC 4113) where SNMP has one: Linux, sent the same frames, counts the
//! same under the same name.
#![cfg(all(feature = "dpdk", feature = "cli"))]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::thread;
use std::time::Duration;

use common::stimuli::{Stimulus, stimuli};
use common::truth::is_meant;
use common::*;

/// What rose, and by how much.
type Deltas = BTreeMap<String, u64>;

/// Where the counters differ on purpose: the stimuli (`*` stands for anything), and the row or RFC that says why. Checked: one
/// at least must differ.
const EXCEPTIONS: &[(&str, &str)] = &[
    ("E15 *", "E15: dropped as unicast in a frame for many; Linux takes it, and finds no port"),
    ("I18 an unknown protocol in a broadcast frame", "E15, again"),
    ("C03 a wrong option in a broadcast frame", "E15, again"),
    (
        "I06 nobody",
        "RFC 4293: invalid destinations, as 0.0.0.0, are address errors; Linux counts some of them nowhere",
    ),
    ("I12 destination loopback", "RFC 4293, again"),
    ("I11 *", "I11: dropped by its source; Linux takes it, and finds no way back"),
    ("I08 *", "I08: dropped by its source; Linux takes it, and then finds a broadcast"),
    ("I10 source unspecified, to everyone", "I10: never answered; Linux answers, and hears its own answer"),
    ("I10 source unspecified, to all hosts", "I10, again"),
    ("C10 timestamp request, short", "C10: cut short, and an error; Linux answers"),
    ("C12 type 1", "C12: unknown here; Linux knows it, and does nothing"),
    ("C12 router advertisement", "C12, again"),
    ("C12 extended echo request", "C12, again"),
    (
        "C17 *",
        "C14: quotes what we never sent, where Linux looks at its port alone; or our error, for which it has a taker",
    ),
    ("C16 *", "C16: says nothing that can be; Linux believes it"),
    (
        "F05 *",
        "F05: the fragment is dropped; Linux cuts it to a multiple of 8, and has a wrong datagram then",
    ),
    ("F06 *", "F06: a failure of reassembly (RFC 4293); Linux counts it nowhere"),
    ("C07 a ping of *", "C07: a message without a whole checksum is cut short; Linux sums what there is"),
];

/// SNMP's counters by Linux: those of it that count drops and nothing else are kept as they are; others are made so.
fn of_linux(linux: &Linux, names: &BTreeSet<String>) -> Deltas {
    let all = linux.snmp();
    let mut counters: Deltas = names
        .iter()
        .map(|name| {
            // One of Linux's own additions, under its own heading.
            let key = if name == "IpInTruncatedPkts" { "IpExtInTruncatedPkts" } else { name };
            (name.clone(), *all.get(key).unwrap_or_else(|| panic!("Linux has no {key}")))
        })
        .collect();
    // Linux counts a wrong checksum twice: under its own name, and among all errors. Here each drop has one counter.
    for protocol in ["Udp", "Icmp"] {
        let sums = all[&format!("{protocol}InCsumErrors")];
        *counters.get_mut(&format!("{protocol}InErrors")).expect("a counter of errors") -= sums;
    }
    counters
}

/// pollcast's drops by the names of SNMP.
fn of_pollcast(lab: &Lab) -> Deltas {
    let rows = lab.pollcast.ctl(&["drops"]);
    let mut counters = Deltas::new();
    for row in rows.as_array().unwrap() {
        // Those of IPv6 alone are another test's: kernel_snmp6.
        if let Some(name) =
            row["snmp"].as_str().filter(|name| !name.starts_with("Ip6") && !name.starts_with("Icmp6"))
        {
            *counters.entry(name.to_owned()).or_default() += row["packets"].as_u64().unwrap();
        }
    }
    counters
}

/// By how much each counter rose with each of the stimuli.
fn play(wire: &Wire, stimuli: &[Stimulus], read: impl Fn() -> Deltas) -> Vec<Deltas> {
    let mut before = read();
    let mut deltas = Vec::new();
    for stimulus in stimuli {
        // The worker publishes at the end of its turn: the second fence takes another one.
        wire.exchange(&stimulus.frames, Duration::from_millis(5));
        wire.fence();
        let after = read();
        let rose = after.iter().map(|(name, count)| (name.clone(), count - before[name]));
        deltas.push(rose.filter(|(_, count)| *count > 0).map(once).collect());
        before = after;
    }
    deltas
}

/// RFC 4293, ipSystemStatsReasmFails: "not necessarily a count of discarded IP fragments". Linux counts datagrams, pollcast each
/// packet that it drops: that they rise is compared, not by how much.
fn once((name, count): (String, u64)) -> (String, u64) {
    let count = if name.starts_with("IpReasm") { 1 } else { count };
    (name, count)
}

// Q02, RFC 4293, RFC 4113: the names that drops have in SNMP are those under which Linux counts them.
#[test]
fn linux_counts_under_the_same_names() {
    if !may_run() {
        return;
    }
    let (linux, lab) = (Linux::new(), Lab::mute(ECHO));
    let names: BTreeSet<String> = of_pollcast(&lab).into_keys().collect();
    let stimuli = &stimuli();
    let (truths, ours) = thread::scope(|scope| {
        let (linux, names) = (linux, &names);
        let truths = scope.spawn(move || play(&linux.wire, stimuli, || of_linux(&linux, names)));
        let ours = play(&lab.wire, stimuli, || of_pollcast(&lab));
        (truths.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), ours)
    });
    let (mut wrong, mut used, mut counted) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
    for ((stimulus, truth), ours) in stimuli.iter().zip(truths).zip(ours) {
        if truth == ours {
            counted.extend(truth.into_keys());
            continue;
        }
        let mut listed = EXCEPTIONS.iter().map(|(pattern, _)| pattern);
        match listed.find(|pattern| is_meant(pattern, &stimulus.name)) {
            Some(pattern) => drop(used.insert(*pattern)),
            None => wrong.push(format!("{}: Linux {truth:?}, pollcast {ours:?}", stimulus.name)),
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), stimuli.len(), wrong.join("\n"));
    let idle: Vec<_> = EXCEPTIONS.iter().filter(|(pattern, _)| !used.contains(pattern)).collect();
    assert!(idle.is_empty(), "listed as different, and are not: {idle:?}");
    let silent: Vec<_> = names.difference(&counted).map(String::as_str).collect();
    assert_eq!(silent, [&ELSEWHERE[..], &UNSEEN].concat(), "no stimulus made both count these");
}

/// Counters that no wire sees: a full queue to a worker that does not turn is for the simulator.
const UNSEEN: [&str; 1] = ["UdpRcvbufErrors"];

/// Counters that only the other test sees.
const ELSEWHERE: [&str; 2] = ["IpOutNoRoutes", "IpReasmTimeout"];

// Q02: what takes a while, and what needs answers by route.
#[test]
fn linux_counts_timeouts_and_missing_routes_under_the_same_names() {
    if !may_run() {
        return;
    }
    let linux = Linux::new();
    linux.set("ipfrag_time", "1");
    let services = ECHO.to_owned() + "reply = \"route\"\n[reassembly]\ntimeout_s = 1\n";
    let lab = Lab::mute(&services);
    let names: BTreeSet<String> = of_pollcast(&lab).into_keys().collect();
    let far = PEER.with_ip(Ipv4Addr::new(192, 0, 2, 9));
    let first = Ipv4 { fragment: 0x2000, ..Ipv4::new(PEER.ip, HOST.ip, UDP) }.packet(&[7; 64]);
    let frames = [udp_frame(far, 4000, HOST, 7, b"who is there?"), frame(PEER, HOST, &first)];
    let rose = |wire: &Wire, read: &dyn Fn() -> Deltas| {
        let before = read();
        wire.exchange(&frames, Duration::from_millis(2500));
        wire.fence();
        let after = read();
        ELSEWHERE.map(|name| after[name] - before[name])
    };
    assert_eq!(rose(&linux.wire, &|| of_linux(&linux, &names)), [1, 1], "Linux");
    assert_eq!(rose(&lab.wire, &|| of_pollcast(&lab)), [1, 1], "pollcast");
}
