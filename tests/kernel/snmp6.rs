//! The counters of drops over IPv6 are those of SNMP (RFC 4293, RFC 4113) where SNMP has one: Linux, sent the same frames,
//! counts the same under the same name, as `snmp` has it for IPv4.
#![cfg(all(feature = "dpdk", feature = "cli", feature = "sim"))]

use std::collections::BTreeSet;

use crate::common::snmp::{self, Deltas, assert_same};
use crate::common::stimuli6::{hosts6, stimuli6};
use crate::common::*;

/// Where the counters differ on purpose: the stimuli (`*` stands for anything), and the row or RFC that says why. Checked: one
/// at least must differ.
const EXCEPTIONS: &[(&str, &str)] = &[
    (
        "K03 closed port in *",
        "E15: dropped as unicast in a frame for many; Linux takes it, and finds no port",
    ),
    ("K03 an unknown header in *", "E15, again"),
    (
        "V03 destination *",
        "V03, RFC 4293: not for this host, an address error; Linux finds no way there, or a header that is wrong",
    ),
    ("V04 *", "V04: dropped by its source; Linux takes it, and finds no port or no way back"),
    ("V05 *", "V05: dropped by its source or destination; Linux takes it, and finds no way back"),
    ("V06 *", "V06: dropped by its source; Linux takes it, and answers itself"),
    ("V10 routing header of type 3, *", "V10: a header that is wrong; Linux drops it uncounted"),
    ("V10 routing header of type 4, *", "V10, again"),
    ("V10 a routing header *to a group", "V10: what is done is passed over; Linux calls it an address error"),
    ("V11 9 headers, *", "V11: too many headers; Linux follows any number"),
    ("V11 12 headers, *", "V11, again"),
    ("V11 40 headers, *", "V11, again"),
    ("U07 *", "U07: a length that cannot be; Linux takes the rest of the packet"),
    (
        "U06 no checksum to a group",
        "U06: one that is not there is wrong; Linux looks for who would take it without",
    ),
    ("K01 a ping of *", "K01: a message without a whole checksum is cut short; Linux sums what there is"),
    ("K03 error *about another's packet", "K03: quotes what we never sent; Linux looks at its port alone"),
    ("K03 an error to a group", "K03, again"),
    ("K03 an error about our error", "K03, again: we ask nothing of it; Linux has a taker for it"),
    ("K07 *", "K07: says nothing that can be; Linux drops it uncounted"),
    ("N01 a solicitation of *", "N01: cut short, an error; Linux drops it uncounted"),
    ("W02 inside what is there*", "W02: an overlap, a failure of reassembly; Linux passes over it"),
    ("W02 the first again, shorter", "W02, again"),
    ("W04 *", "W04: a failure of reassembly (RFC 4293); Linux counts a wrong header"),
    ("W05 *", "W05, again"),
    ("W06 options that nothing follows", "W06: a wrong header; Linux counts a failure of reassembly"),
];

/// The name without the version: a counter that both versions share has one name here, and two on Linux.
fn of_both(name: &str) -> String {
    name.replacen('6', "", 1)
}

/// SNMP's counters by Linux, of both versions together.
fn of_linux(linux: &Linux, names: &BTreeSet<String>) -> Deltas {
    let mut all = linux.snmp();
    for (name, count) in linux.snmp6() {
        *all.entry(of_both(&name)).or_default() += count;
    }
    let mut counters: Deltas =
        names.iter().filter_map(|name| Some((name.clone(), *all.get(name)?))).collect();
    // Linux counts a wrong checksum twice: under its own name, and among all errors. Here each drop has one counter.
    for protocol in ["Udp", "Icmp"] {
        let sums = all[&format!("{protocol}InCsumErrors")];
        if let Some(errors) = counters.get_mut(&format!("{protocol}InErrors")) {
            *errors -= sums;
        }
    }
    counters
}

/// pollcast's drops by the names of SNMP.
fn of_pollcast(lab: &Lab) -> Deltas {
    snmp::of_pollcast(lab, |name| Some(of_both(name)))
}

// Q02, RFC 4293, RFC 4113: the names that drops have in SNMP are those under which Linux counts them.
#[test]
fn linux_counts_under_the_same_names() {
    if !may_run() {
        return;
    }
    let (linux, lab) = (Linux::dual(), Lab::dual(ECHO6));
    linux.know(hosts6());
    let names: BTreeSet<String> = of_pollcast(&lab).into_keys().collect();
    let truth = (linux, |linux: &Linux| of_linux(linux, &names));
    let counted = assert_same(&stimuli6(), EXCEPTIONS, truth, (&lab, || of_pollcast(&lab)));
    for name in [
        "IpInHdrErrors",
        "IpInAddrErrors",
        "UdpInCsumErrors",
        "UdpInErrors",
        "UdpNoPorts",
        "IcmpInCsumErrors",
    ] {
        assert!(counted.contains(name), "no stimulus made both count {name}: {counted:?}");
    }
}
