//! The same frames of IPv6 to pollcast and to Linux, and the same answers from both, as `kernel_truth` does for IPv4.
//!
//! Linux is asked twice as well: it must agree with itself, or the test would tell nothing.
#![cfg(all(feature = "dpdk", feature = "cli", feature = "sim"))]

mod common;

use std::time::Duration;

use common::stimuli::Stimulus;
use common::stimuli6::{hosts6, random_chains, stimuli6};
use common::truth::{Differences, compare, differences, shown};
use common::truth6::{Answer6, What6};
use common::*;

/// How long an answer is waited for, beyond the proof that what was asked has been dealt with.
const SETTLE: Duration = Duration::from_millis(40);

/// The seed of the random chains, which are the same for all that are asked.
const SEED: u64 = 6;

fn linux() -> Linux {
    let linux = Linux::dual();
    linux.know(hosts6());
    linux
}

fn all_stimuli() -> Vec<Stimulus> {
    let mut all = random_chains(SEED, 100);
    all.extend(stimuli6());
    all
}

// Else a difference might be the wire's, and not pollcast's.
#[test]
fn linux_agrees_with_itself() {
    if !may_run() {
        return;
    }
    let (one, other) = (linux(), linux());
    let stimuli = all_stimuli();
    let played = compare::<Answer6>(one, &other.wire, &stimuli, SETTLE);
    if let Ok(path) = std::env::var("POLLCAST_TRUTH6") {
        let told =
            stimuli.iter().zip(&played).map(|(s, (truth, _))| format!("{}: {}\n", s.name, shown(truth)));
        std::fs::write(path, told.collect::<String>()).unwrap();
    }
    let malformed: Vec<_> = played
        .iter()
        .zip(&stimuli)
        .filter(|((answers, _), _)| answers.iter().any(|a| matches!(a.what, What6::Malformed(_))))
        .map(|((answers, _), stimulus)| format!("{}: {}", stimulus.name, shown(answers)))
        .collect();
    let Differences { wrong, answered, .. } = differences(&stimuli, played, &[]);
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), stimuli.len(), wrong.join("\n"));
    assert!(malformed.is_empty(), "no correct host says this:\n{}", malformed.join("\n"));
    assert!(answered * 3 > stimuli.len(), "Linux answered {answered} of {}", stimuli.len());
}
