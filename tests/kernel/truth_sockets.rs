//! The same random sequences of socket calls and datagrams to Linux's sockets and to pollcast's: the same results, errors,
//! deliveries and frames.
//!
//! A sequence follows from its seed. More of them than a test takes time for: `POLLCAST_SEQUENCES=10000`, or some of them:
//! `POLLCAST_SEQUENCES=9000..10000`.
#![cfg(feature = "sim")]

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crate::common::may_run;
use crate::socket_ops::compare::{Verdict, differ, shrink};
use crate::socket_ops::examples::examples;
use crate::socket_ops::exceptions::EXCEPTIONS;
use crate::socket_ops::generate::sequence;
use crate::socket_ops::host::play;
use crate::socket_ops::kernel::Kernel;
use crate::socket_ops::once_differed::once_differed;
use crate::socket_ops::ops::{Op, Step, Value};
use crate::socket_ops::pollcast::Pollcast;

/// What came of how many steps.
#[derive(Default, Debug)]
struct Tally {
    deliveries: usize,
    sent: usize,
    reports: usize,
    /// By verb and errno, or "ok".
    results: BTreeMap<(String, String), usize>,
}

impl Tally {
    fn add(&mut self, op: &Op, step: &Step) {
        let verb =
            format!("{op:?}").split(|c: char| !c.is_alphabetic()).next().unwrap_or_default().to_owned();
        let what = match &step.result {
            Ok(Value::NoSocket) => return,
            Ok(value) => {
                match value {
                    Value::Received(all) => self.deliveries += all.len(),
                    Value::Reports(all) => self.reports += all.len(),
                    _ => {}
                }
                "ok".to_owned()
            }
            Err(errno) => format!("{errno:?}"),
        };
        self.sent += step.left.len();
        *self.results.entry((verb, what)).or_default() += 1;
    }

    fn errnos(&self) -> BTreeSet<&str> {
        self.results.keys().map(|(_, what)| what.as_str()).filter(|what| *what != "ok").collect()
    }
}

// What is compared is no chance of Linux's: two of it agree. And the sequences are worth it: things are delivered and refused.
#[test]
fn linux_agrees_with_itself() {
    if !may_run() {
        return;
    }
    let (mut one, mut other) = (Kernel::new(), Kernel::new());
    let mut tally = Tally::default();
    for seed in 0..300 {
        let ops = sequence(seed);
        if let Verdict::Differ(found) = differ(&mut one, &mut other, &ops) {
            let short = shrink(&mut one, &mut other, found);
            panic!("seed {seed}\n{}", short.told(["one", "other"]));
        }
        play(&mut one, &ops).iter().zip(&ops).for_each(|(step, op)| tally.add(op, step));
    }
    assert!(tally.deliveries > 400 && tally.sent > 400 && tally.reports > 5, "{tally:?}");
    assert!(tally.errnos().len() >= 12, "{tally:?}");
}

/// As many as take about half a minute.
const SEQUENCES: u64 = 1500;

/// The seeds to play.
fn seeds() -> Range<u64> {
    let Ok(said) = std::env::var("POLLCAST_SEQUENCES") else { return 0..SEQUENCES };
    let (first, end) = said.split_once("..").unwrap_or(("0", &said));
    first.parse().unwrap()..end.parse().unwrap()
}

// U10-U22, U24-U29, P01, P02, P04-P12: whatever Linux's sockets do.
#[test]
fn pollcast_agrees_with_linux() {
    if !may_run() {
        return;
    }
    let seeds = seeds();
    let sequences = seeds.end - seeds.start;
    let (mut linux, mut pollcast) = (Kernel::new(), Pollcast::new());
    let (mut wrong, mut excepted) = (Vec::new(), vec![0; EXCEPTIONS.len()]);
    for seed in seeds {
        match differ(&mut linux, &mut pollcast, &sequence(seed)) {
            Verdict::Same => {}
            Verdict::Excepted(which) => excepted[which] += 1,
            Verdict::Differ(found) => {
                let short = shrink(&mut linux, &mut pollcast, found);
                wrong.push(format!("seed {seed}\n{}", short.told(["Linux", "pollcast"])));
            }
        }
    }
    let counted: Vec<_> = EXCEPTIONS.iter().map(|exception| exception.why).zip(&excepted).collect();
    println!("{sequences} sequences, of which until a difference that is meant: {counted:#?}");
    assert!(wrong.is_empty(), "{} of {sequences}:\n{}", wrong.len(), wrong.join("\n"));
    // Else there would be little that is compared to the end.
    assert!(sequences < 100 || excepted.iter().sum::<u64>() * 4 < sequences, "{counted:#?}");
}

// Each exception is one still: what no longer differs is to be struck from the list.
#[test]
fn what_is_meant_to_differ_does() {
    if !may_run() {
        return;
    }
    let (mut linux, mut pollcast) = (Kernel::new(), Pollcast::new());
    let all = examples();
    assert_eq!(all.len(), EXCEPTIONS.len());
    for (n, ops) in all.iter().enumerate() {
        match differ(&mut linux, &mut pollcast, ops) {
            Verdict::Excepted(which) if which == n => {}
            Verdict::Excepted(which) => panic!("{} counts as: {}", EXCEPTIONS[n].why, EXCEPTIONS[which].why),
            Verdict::Same => panic!("this differs no more: {}", EXCEPTIONS[n].why),
            Verdict::Differ(found) => panic!("{}: {}", EXCEPTIONS[n].why, found.told(["Linux", "pollcast"])),
        }
    }
}

// Short sequences in which pollcast once differed.
#[test]
fn what_once_differed_does_so_no_more() {
    if !may_run() {
        return;
    }
    let (mut linux, mut pollcast) = (Kernel::new(), Pollcast::new());
    let mut wrong = Vec::new();
    for ops in once_differed() {
        match differ(&mut linux, &mut pollcast, &ops) {
            Verdict::Same => {}
            Verdict::Excepted(which) => wrong.push(format!("{}: {ops:?}", EXCEPTIONS[which].why)),
            Verdict::Differ(found) => wrong.push(found.told(["Linux", "pollcast"])),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
