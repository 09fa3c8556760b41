//! What workers are told of threads' sockets: every change, in order, and how far each worker has followed.
//!
//! Whoever asked for a change is answered when every worker has taken it: what arrives after bind(2) has returned finds the
//! socket. A worker that is stuck holds nobody up for longer than a second. What a change is made of is control's until then, and
//! given back by control: a worker is never the last to hold it.

use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use std::collections::VecDeque;
use std::sync::Arc;

use crossbeam::utils::CachePadded;

use super::Outlet;
use super::admission::{LOOK_MAX, LOOK_MIN, REPORT_PATIENCE, TELL_INTERVAL};
use crate::engine::message::{SocketNews, ToWorker};
use crate::io::Nic;
use crate::time::{Instant, earliest};

/// How far a worker has followed: the number of the latest change that it has taken.
#[derive(Clone, Debug, Default)]
pub struct Taken(Arc<CachePadded<AtomicU64>>);

impl Taken {
    /// The worker has taken this change, and holds nothing of it any more that it does not need.
    pub fn set(&self, change: u64) {
        self.0.store(change, Ordering::Release);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

/// A change that not every worker has taken.
#[derive(Debug)]
struct Pending<T> {
    news: Arc<SocketNews>,
    /// Until when whoever waits for it does.
    deadline: Instant,
    waits: Option<T>,
}

/// One worker.
#[derive(Debug)]
struct Follower {
    taken: Taken,
    /// The latest change that it was told of.
    told: u64,
    is_lost: bool,
}

/// The workers, and what they are yet to take. `T` is who waits for a change.
#[derive(Debug)]
pub(super) struct Followers<T> {
    workers: Vec<Follower>,
    /// The changes from the first on that some worker has not taken.
    pending: VecDeque<Pending<T>>,
    /// The number of the latest change.
    change: u64,
    tell_at: Option<Instant>,
    /// When to look again, and how long that was put off.
    look_at: Option<Instant>,
    pause: Duration,
}

/// What came of changes since it was last looked.
#[derive(Debug)]
pub(super) struct Followed<T> {
    /// Those whose wait is over.
    pub(super) waited: Vec<T>,
    /// Changes that every worker has taken.
    pub(super) taken: Vec<Arc<SocketNews>>,
}

impl<T> Followers<T> {
    pub(super) fn new(workers: Vec<Taken>) -> Self {
        let follower = |taken| Follower { taken, told: 0, is_lost: false };
        let workers = workers.into_iter().map(follower).collect();
        let (pending, pause) = (VecDeque::new(), LOOK_MIN);
        Self { workers, pending, change: 0, tell_at: None, look_at: None, pause }
    }

    /// The number that the next change has.
    pub(super) const fn next_change(&self) -> u64 {
        self.change + 1
    }

    /// Has every worker take `news`; `waits` is told when they have.
    pub(super) fn tell<N: Nic>(&mut self, now: Instant, news: SocketNews, waits: Option<T>, out: &Outlet<N>) {
        self.change = news.change;
        let deadline = now + REPORT_PATIENCE;
        self.pending.push_back(Pending { news: Arc::new(news), deadline, waits });
        (self.pause, self.look_at) = (LOOK_MIN, Some(now));
        self.tell_untold(now, out);
    }

    /// Tells the workers what they have not been told, as far as there is room.
    fn tell_untold<N: Nic>(&mut self, now: Instant, out: &Outlet<N>) {
        let Self { workers, pending, change, .. } = self;
        let mut is_behind = false;
        for (worker, follower) in workers.iter_mut().enumerate().filter(|(_, follower)| !follower.is_lost) {
            let untold = *change - follower.told;
            let from = pending.len().saturating_sub(usize::try_from(untold).unwrap_or(usize::MAX));
            for Pending { news, .. } in pending.iter().skip(from) {
                if !out.tell(worker, ToWorker::Socket(Arc::clone(news))) {
                    is_behind = true;
                    break;
                }
                follower.told = news.change;
            }
        }
        self.tell_at = is_behind.then(|| now + TELL_INTERVAL);
    }

    /// A worker takes nothing any more.
    pub(super) fn lose(&mut self, worker: usize) {
        if let Some(follower) = self.workers.get_mut(worker) {
            follower.is_lost = true;
        }
    }

    /// Looks how far the workers are.
    pub(super) fn settle<N: Nic>(&mut self, now: Instant, out: &Outlet<N>) -> Followed<T> {
        let mut followed = Followed { waited: Vec::new(), taken: Vec::new() };
        if self.pending.is_empty() {
            return followed;
        }
        if self.tell_at.is_some_and(|at| at <= now) {
            self.tell_untold(now, out);
        }
        let alive = self.workers.iter().filter(|follower| !follower.is_lost);
        let all = alive.map(|follower| follower.taken.get()).min().unwrap_or(self.change);
        while self.pending.front().is_some_and(|first| first.news.change <= all) {
            let Some(Pending { news, waits, .. }) = self.pending.pop_front() else { break };
            followed.waited.extend(waits);
            followed.taken.push(news);
        }
        let mut is_late = false;
        // They were made in order, and so their time is over in order.
        for late in self.pending.iter_mut().take_while(|pending| pending.deadline <= now) {
            is_late |= late.waits.is_some();
            followed.waited.extend(late.waits.take());
        }
        if is_late {
            tracing::warn!(
                "a worker has not taken over a change of a socket for a second; it is answered all the same"
            );
        }
        self.look_again(now);
        followed
    }

    /// However often control turns meanwhile, it is woken for this ever less often.
    fn look_again(&mut self, now: Instant) {
        if self.pending.is_empty() {
            self.look_at = None;
        } else if self.look_at.is_some_and(|at| at <= now) {
            self.look_at = Some(now + self.pause);
            self.pause = (self.pause * 2).min(LOOK_MAX);
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        earliest(self.tell_at, self.look_at)
    }
}
