//! The counters of drops are those of SNMP (RFC 4293, RFC 4113) where SNMP has one: Linux, sent the same frames, counts the
//! same under the same name.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::time::Duration;

use crate::common::snmp::{self, Deltas, assert_same};
use crate::common::stimuli::stimuli;
use crate::common::*;

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

/// pollcast's drops by the names of SNMP. Those of IPv6 alone are another test's: snmp6.
fn of_pollcast(lab: &Lab) -> Deltas {
    let of_ipv6 = |name: &str| name.starts_with("Ip6") || name.starts_with("Icmp6");
    snmp::of_pollcast(lab, |name| (!of_ipv6(name)).then(|| name.to_owned()))
}

// Q02, RFC 4293, RFC 4113: the names that drops have in SNMP are those under which Linux counts them.
#[test]
fn linux_counts_under_the_same_names() {
    if !may_run() {
        return;
    }
    let (linux, lab) = (Linux::new(), Lab::mute(ECHO));
    let names: BTreeSet<String> = of_pollcast(&lab).into_keys().collect();
    let truth = (linux, |linux: &Linux| of_linux(linux, &names));
    let counted = assert_same(&stimuli(), EXCEPTIONS, truth, (&lab, || of_pollcast(&lab)));
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
