//! What rises in SNMP's counters with each of some stimuli: of Linux, and of pollcast by the names that its drops have there.

use std::collections::{BTreeMap, BTreeSet};
use std::thread;
use std::time::Duration;

use super::stimuli::Stimulus;
use super::truth::is_meant;
use super::{Lab, Linux, Wire};

/// What rose, and by how much.
pub type Deltas = BTreeMap<String, u64>;

/// pollcast's drops, by what `named` makes of their names in SNMP.
pub fn of_pollcast(lab: &Lab, named: impl Fn(&str) -> Option<String>) -> Deltas {
    let rows = lab.pollcast.ctl(&["drops"]);
    let mut counters = Deltas::new();
    for row in rows.as_array().unwrap() {
        if let Some(name) = row["snmp"].as_str().and_then(&named) {
            *counters.entry(name).or_default() += row["packets"].as_u64().unwrap();
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

/// Gives both the stimuli, and asserts that the same counters rise, but for `exceptions`: the stimuli (`*` stands for anything) and
/// why, each of which must really differ. Returns the counters that both raised.
#[track_caller]
pub fn assert_same(
    stimuli: &[Stimulus],
    exceptions: &[(&str, &str)],
    (linux, of_linux): (Linux, impl Fn(&Linux) -> Deltas + Send),
    (lab, of_pollcast): (&Lab, impl Fn() -> Deltas),
) -> BTreeSet<String> {
    let (truths, ours) = thread::scope(|scope| {
        let truths = scope.spawn(move || play(&linux.wire, stimuli, || of_linux(&linux)));
        let ours = play(&lab.wire, stimuli, of_pollcast);
        (truths.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), ours)
    });
    let (mut wrong, mut used, mut counted) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
    for ((stimulus, truth), ours) in stimuli.iter().zip(truths).zip(ours) {
        if truth == ours {
            counted.extend(truth.into_keys());
            continue;
        }
        let mut listed = exceptions.iter().map(|(pattern, _)| pattern);
        match listed.find(|pattern| is_meant(pattern, &stimulus.name)) {
            Some(pattern) => drop(used.insert(*pattern)),
            None => wrong.push(format!("{}: Linux {truth:?}, pollcast {ours:?}", stimulus.name)),
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), stimuli.len(), wrong.join("\n"));
    let idle: Vec<_> = exceptions.iter().filter(|(pattern, _)| !used.contains(pattern)).collect();
    assert!(idle.is_empty(), "listed as different, and are not: {idle:?}");
    counted
}
