//! What routers say to pollcast and to Linux, and of which addresses both then ask whether they are free (RFC 4862).
#![cfg(all(feature = "dpdk", feature = "cli", feature = "sim"))]

use std::collections::BTreeSet;
use std::net::Ipv6Addr;
use std::thread;
use std::time::{Duration, Instant};

use crate::common::stimuli::Stimulus;
use crate::common::stimuli6::{advertisements, prefix_of};
use crate::common::truth::is_meant;
use crate::common::*;
use ::pollcast::sim::frames::{NdpFrame, NdpMessage};

/// Where pollcast makes itself an address and Linux does not, or the other way round, and the row that says so. Checked: each must
/// really differ.
const EXCEPTIONS: &[(&str, &str)] = &[
    ("N13 from our own link-local address*", "V06: who says that it is us is not heard; Linux believes it"),
    (
        "N13 a prefix option of five eights*",
        "N13, RFC 4861 4.6.2: its length is four; Linux reads what it knows of more",
    ),
];

/// Every address is asked for within a second of its prefix (RFC 4862 5.4.2), and a busy machine takes longer.
const PATIENCE: Duration = Duration::from_secs(4);

/// The advertisements, no more at once than a host makes addresses of: Linux stops at sixteen of its own accord, and so does
/// pollcast.
const ROUNDS: [std::ops::Range<usize>; 3] = [0..16, 16..28, 28..1000];

/// The prefixes in which the host at the far end of `wire` would have an address, after `stimuli`.
fn probed(wire: &Wire, stimuli: &[Stimulus]) -> BTreeSet<Ipv6Addr> {
    for stimulus in stimuli {
        stimulus.frames.iter().for_each(|frame| wire.raw.send(frame));
    }
    let deadline = Instant::now() + PATIENCE;
    let frames = std::iter::from_fn(|| wire.next(deadline));
    frames.filter_map(|frame| prefix_probed(&frame)).collect()
}

/// The prefix of the address that this frame asks for before it is used.
fn prefix_probed(frame: &Frame) -> Option<Ipv6Addr> {
    let read = NdpFrame::read(&frame.bytes).unwrap_or_else(|why| panic!("{why}: {frame:?}"))?;
    match read.message {
        NdpMessage::NeighborSolicitation { target } if read.source.is_unspecified() => {
            Some(Ipv6Addr::from_bits(target.to_bits() & !u128::from(u64::MAX)))
        }
        _ => None,
    }
}

fn linux() -> Linux {
    let linux = Linux::dual();
    for (key, value) in
        [("accept_ra", "1"), ("max_addresses", "0"), ("dad_transmits", "1"), ("accept_dad", "1")]
    {
        linux.set6(&format!("conf/ve0/{key}"), value);
    }
    linux
}

fn lab() -> Lab {
    let mut config = Config::dual(&format!("net_tap0,iface={DEVICE}"), ECHO6);
    let with = [
        ("dad_transmits = 0\nrouter_discovery = false", "dad_transmits = 1"),
        ("\"2001:db8::3/64\"", "\"2001:db8::3/64\", \"auto\""),
    ];
    for (old, new) in with {
        assert!(config.ports.contains(old), "{}", config.ports);
        config.ports = config.ports.replace(old, new);
    }
    Lab::new(&config)
}

/// The names of the advertisements of whose prefixes one made an address and the other did not.
fn differing(stimuli: &[Stimulus], one: &BTreeSet<Ipv6Addr>, other: &BTreeSet<Ipv6Addr>) -> Vec<String> {
    let name = |(number, stimulus): (u16, &Stimulus)| {
        let prefix = prefix_of(number);
        let (one, other) = (one.contains(&prefix), other.contains(&prefix));
        (one != other).then(|| format!("{}: {}", stimulus.name, if one { "the first" } else { "the second" }))
    };
    (0..).zip(stimuli).filter_map(name).collect()
}

// N13, N14, N17, W12, RFC 4861 6.1.2, RFC 4862 5.5.3: which advertisements are believed, and which prefixes are for addresses.
#[test]
fn advertisements_are_believed_as_by_linux() {
    if !may_run() {
        return;
    }
    let stimuli = &advertisements();
    let (mut truth, mut ours) = (BTreeSet::new(), BTreeSet::new());
    for round in ROUNDS {
        let stimuli = &stimuli[round.start..round.end.min(stimuli.len())];
        let (linux, lab) = (linux(), lab());
        // The configured addresses have been asked for.
        lab.wire.exchange_all(&[], PATIENCE);
        let (more_truth, more_ours) = thread::scope(|scope| {
            let truth = scope.spawn(move || probed(&linux.wire, stimuli));
            let ours = probed(&lab.wire, stimuli);
            (truth.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), ours)
        });
        truth.extend(more_truth);
        ours.extend(more_ours);
    }
    assert!(
        truth.contains(&prefix_of(0)) && truth.len() >= 15,
        "Linux is not what we think it is: {truth:?}"
    );
    let wrong = differing(stimuli, &truth, &ours);
    let meant = |pattern: &str| wrong.iter().any(|name| is_meant(pattern, name));
    let idle: Vec<_> = EXCEPTIONS.iter().filter(|(pattern, _)| !meant(pattern)).collect();
    assert!(idle.is_empty(), "listed as different, and are not: {idle:?}");
    let excused = |name: &str| EXCEPTIONS.iter().any(|(pattern, _)| is_meant(pattern, name));
    let wrong: Vec<_> = wrong.iter().filter(|name| !excused(name)).cloned().collect();
    assert!(wrong.is_empty(), "Linux the first, pollcast the second:\n{}", wrong.join("\n"));
}

// Else the test above would tell nothing.
#[test]
fn linux_agrees_with_itself() {
    if !may_run() {
        return;
    }
    let (one, other) = (linux(), linux());
    let stimuli = &advertisements();
    let (one, other) = thread::scope(|scope| {
        let first = scope.spawn(move || probed(&one.wire, stimuli));
        let other = probed(&other.wire, stimuli);
        (first.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), other)
    });
    let names: Vec<_> =
        (0..).zip(stimuli).filter(|(n, _)| one.contains(&prefix_of(*n))).map(|(_, s)| &s.name).collect();
    println!("believed: {names:?}");
    assert_eq!(one, other);
}
