//! The machine of a world: a host's control and workers, turned one after another by whoever has it.
//!
//! The world turns it whenever something is to be done, and a socket of the world turns it by itself while it waits for control's
//! answer: so the two share it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::nic::SimNic;
use crate::engine::control::Control;
use crate::engine::counters::Tally;
use crate::engine::worker::Worker;
use crate::time::{Instant, earliest};

/// The host, and what time it is.
#[derive(Debug)]
pub(super) struct Machine {
    pub(super) now: Instant,
    pub(super) workers: Vec<Worker<SimNic>>,
    pub(super) control: Control<SimNic>,
    pub(super) running: bool,
    /// A worker that does not turn.
    pub(super) stuck: Option<usize>,
    pub(super) turns: u64,
}

/// The machine of a world and of its sockets.
#[derive(Clone, Debug)]
pub(super) struct Shared(Arc<Mutex<Machine>>);

impl Shared {
    pub(super) fn new(now: Instant, workers: Vec<Worker<SimNic>>, control: Control<SimNic>) -> Self {
        let machine = Machine { now, workers, control, running: true, stuck: None, turns: 0 };
        Self(Arc::new(Mutex::new(machine)))
    }

    /// The machine, for the time of one statement. Of a test that has failed, its last state.
    pub(super) fn lock(&self) -> MutexGuard<'_, Machine> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Machine {
    /// One turn of control and of every worker that turns, if the host runs. Returns what they did.
    pub(super) fn turn(&mut self) -> usize {
        if !self.running {
            return 0;
        }
        let work = self.control.turn(self.now);
        let turning: Vec<usize> = (0..self.workers.len()).filter(|n| Some(*n) != self.stuck).collect();
        work + turning.into_iter().map(|worker| self.turn_worker(worker)).sum::<usize>()
    }

    /// One turn of one worker, after which its packets must balance. Returns what the turn did.
    pub(super) fn turn_worker(&mut self, worker: usize) -> usize {
        let Some(worker) = self.workers.get_mut(worker) else { return 0 };
        let work = turn_alone(worker, self.now);
        self.turns += 1;
        let (came, went) = worker.tally().balance();
        assert_eq!(came, went, "packets that came and packets that went, in turn {}", self.turns);
        work
    }

    /// When it has something to do, if nothing arrives before.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        if !self.running {
            return None;
        }
        self.workers.iter().map(Worker::next_deadline).fold(self.control.next_deadline(), earliest)
    }

    /// All that all workers counted.
    pub(super) fn tally(&self) -> Tally {
        let mut sum = Tally::default();
        self.workers.iter().for_each(|worker| sum.merge(&worker.tally()));
        sum
    }

    /// Nothing is sent any more; the workers are told so.
    pub(super) fn stop(&mut self) {
        self.running = false;
        // The first have the queues (RPS): the others' last words leave by them.
        self.workers.iter_mut().rev().for_each(|worker| worker.stop(self.now));
    }
}

/// The turn and nothing of the simulator around it: apart, so that what it costs can be counted (`bench/turn`).
#[inline(never)]
fn turn_alone(worker: &mut Worker<SimNic>, now: Instant) -> usize {
    worker.turn(now)
}
