//! Threads that sleep in a call until something has happened: a futex, for which nobody needs a file descriptor.
//!
//! What must not happen is that a thread looks, finds nothing, and falls asleep after whoever added something has looked whether anyone
//! sleeps. So a thread that is about to sleep takes note of the number of wake-ups, says that one is wanted, and only then looks once
//! more; and it sleeps only if the number is still the same. Whoever adds something first adds it, then looks whether a wake-up is
//! wanted: if so it takes that back, counts one more, and wakes all. In this order: a wake-up that a thread is denied because another
//! has taken its wish back is counted after it took note.

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering, fence};
use std::time::Instant;

use rustix::thread::futex::{self, Flags, Timespec};

/// Those who wait for one thing.
#[derive(Debug, Default)]
pub(super) struct Sleepers {
    /// How often all were woken: the futex.
    wakes: AtomicU32,
    /// Whether somebody sleeps, or is about to, whom nobody has woken since.
    wanted: AtomicBool,
}

impl Sleepers {
    /// Wakes all who sleep, if anyone does. The caller has added something, and a sequentially consistent fence lies between.
    #[inline]
    pub(super) fn wake_after_fence(&self) {
        if self.wanted.load(Ordering::Relaxed) {
            self.wake();
        }
    }

    /// Sleeps until `is_ready`, or until the deadline: then it is false.
    pub(super) fn wait(&self, is_ready: impl Fn() -> bool, until: Option<Instant>) -> bool {
        loop {
            let seen = self.wakes.load(Ordering::SeqCst);
            self.wanted.store(true, Ordering::SeqCst);
            fence(Ordering::SeqCst);
            if is_ready() {
                // That a wake-up is wanted stays so, for another may sleep: at the worst one is made for nobody.
                return true;
            }
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return false;
            }
            let left = left.and_then(|left| Timespec::try_from(left).ok());
            // Woken, too late to sleep, out of time, or interrupted by a signal: in any case it is looked again. A signal interrupts a call
            // on Linux that has no time limit only if its handler asks for that; none is lost here.
            let _ = futex::wait(&self.wakes, Flags::PRIVATE, seen, left.as_ref());
        }
    }

    #[cold]
    fn wake(&self) {
        if self.wanted.swap(false, Ordering::SeqCst) {
            self.wakes.fetch_add(1, Ordering::SeqCst);
            // It fails only for an address that is none.
            let _ = futex::wake(&self.wakes, Flags::PRIVATE, i32::MAX.unsigned_abs());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use Step::{Look, Note, Want};

    /// What a thread does before it sleeps.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    enum Step {
        /// Takes note of the number of wake-ups.
        Note,
        /// Says that one is wanted.
        Want,
        /// Looks whether something is there.
        Look,
    }

    /// Where a thread is that waits: before one of its steps, or behind them.
    const TAKE: usize = 3;
    const SLEEP: usize = 4;
    const ASLEEP: usize = 5;
    const DONE: usize = 6;

    /// All that threads share, and where each of them is: three that wait for one thing each, and two that add two and one.
    #[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
    struct State {
        things: usize,
        wakes: usize,
        wanted: bool,
        /// The next step, and the number that was noted.
        waiters: [(usize, usize); 3],
        adders: [usize; 2],
    }

    impl State {
        /// What comes of the next step of the waiter `who`, if it can take one.
        fn wait(&self, who: usize, order: [Step; 3]) -> Option<Self> {
            let mut next = self.clone();
            let (at, noted) = &mut next.waiters[who];
            match *at {
                TAKE if self.things > 0 => (*at, next.things) = (DONE, self.things - 1),
                // Another was quicker, or there was a wake-up since.
                TAKE => *at = 0,
                SLEEP => *at = if self.wakes == *noted { ASLEEP } else { 0 },
                ASLEEP | DONE => return None,
                step => {
                    let is_there = order[step] == Look && self.things > 0;
                    match order[step] {
                        Note => *noted = self.wakes,
                        Want => next.wanted = true,
                        Look => {}
                    }
                    *at = if is_there { TAKE } else { [1, 2, SLEEP][step] };
                }
            }
            Some(next)
        }

        /// What comes of the next step of the adder `who`.
        fn add(&self, who: usize) -> Option<Self> {
            let mut next = self.clone();
            let at = self.adders[who];
            next.adders[who] = at + 1;
            match at {
                0 => next.things += 2 - who,
                1 if self.wanted => {}
                2 if self.wanted => next.wanted = false,
                1 | 2 => next.adders[who] = DONE,
                3 => next.wakes += 1,
                4 => {
                    next.waiters.iter_mut().filter(|(at, _)| *at == ASLEEP).for_each(|(at, _)| *at = 0);
                    next.adders[who] = DONE;
                }
                _ => return None,
            }
            Some(next)
        }
    }

    /// Whether nobody sleeps for ever beside something that is there, whatever the order in which threads come to take their steps.
    fn wakes_all(order: [Step; 3]) -> bool {
        let (mut seen, mut open) = (HashSet::new(), vec![State::default()]);
        while let Some(state) = open.pop() {
            if !seen.insert(state.clone()) {
                continue;
            }
            let before = open.len();
            open.extend((0..3).filter_map(|who| state.wait(who, order)));
            open.extend((0..2).filter_map(|who| state.add(who)));
            if open.len() == before && state.waiters.iter().any(|(at, _)| *at != DONE) {
                return false;
            }
        }
        true
    }

    // Every interleaving of their steps, each of which is sequentially consistent. Looking before the last of the others, of which one must
    // be first, is how wake-ups get lost.
    #[test]
    fn the_order_of_a_sleeper_s_steps_is_the_only_one_that_loses_no_wake_up() {
        let orders = [Note, Want, Look].into_iter().flat_map(|a| [Note, Want, Look].map(|b| (a, b)));
        let orders = orders.flat_map(|(a, b)| [Note, Want, Look].map(|c| [a, b, c]));
        let whole = orders.filter(|[a, b, c]| a != b && b != c && a != c);
        let right: Vec<_> = whole.filter(|order| wakes_all(*order)).collect();
        assert_eq!(right, [[Note, Want, Look]]);
    }
}
