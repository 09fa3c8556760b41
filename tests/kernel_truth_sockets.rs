//! The same random sequences of socket calls and datagrams to Linux's sockets and to pollcast's: the same results, errors,
//! deliveries and frames.
#![cfg(feature = "sim")]

mod common;
mod socket_ops;

use std::collections::{BTreeMap, BTreeSet};

use common::may_run;
use socket_ops::compare::{differ, shrink};
use socket_ops::generate::sequence;
use socket_ops::host::play;
use socket_ops::kernel::Kernel;
use socket_ops::ops::{Op, Step, Value};

/// What came of how many steps.
#[derive(Default, Debug)]
struct Tally {
    deliveries: usize,
    datagrams_sent: usize,
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
            Ok(Value::Received(all)) => {
                self.deliveries += all.len();
                "ok".to_owned()
            }
            Ok(Value::Reports(all)) => {
                self.reports += all.len();
                "ok".to_owned()
            }
            Ok(_) => "ok".to_owned(),
            Err(errno) => format!("{errno:?}"),
        };
        self.datagrams_sent += step.left.len();
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
    for seed in 0..400 {
        let ops = sequence(seed);
        if let Some(found) = differ(&mut one, &mut other, &ops) {
            let short = shrink(&mut one, &mut other, found);
            panic!("seed {seed}\n{}", short.told(["one", "other"]));
        }
        play(&mut one, &ops).iter().zip(&ops).for_each(|(step, op)| tally.add(op, step));
    }
    println!("{tally:#?}");
    assert!(tally.deliveries > 400 && tally.datagrams_sent > 400 && tally.reports > 0, "{tally:?}");
    assert!(tally.errnos().len() >= 13, "{:?}", tally.errnos());
}
