//! How a worker sleeps, and how it is woken: what a world fills in, and the flag between a sleeper and those who have something
//! for it.
//!
//! A worker that only polls is never woken, and whoever sends to it pays one test of a pointer. One that may sleep has a
//! [`Waker`]: a sender puts its message where the worker looks, then calls [`Waker::wake`]; the worker calls
//! [`Waker::fall_asleep`], looks once more, and only then blocks. Between the two steps of either side there is a full fence, so that
//! one of them sees the other: the sender that the worker sleeps, or the worker the message (Dekker's way; C++20 31.11, two
//! sequentially consistent fences). A wake that comes before the worker blocks is not lost either: [`Wake::wake`] leaves a mark
//! that ends the next [`Wait::wait`] at once.

use core::fmt::Debug;
use core::sync::atomic::{AtomicBool, Ordering, fence};
use core::time::Duration;
use std::sync::Arc;

/// What ends a sleep, from any thread.
pub trait Wake: Send + Sync + Debug {
    /// Ends the sleep, or the next one if there is none now.
    fn wake(&self);
}

/// What a worker sleeps by. Its queues' events end a sleep while they are [armed](super::RxQueue::arm).
pub trait Wait: Send + Debug {
    /// Sleeps until an event, a wake, or `at_most` has passed. May end early for no reason.
    fn wait(&mut self, at_most: Duration) -> Woken;
}

/// Why a sleep ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Woken {
    /// A device had something, or another thread.
    ByEvent,
    /// Its time was over.
    ByTime,
}

/// The way to wake one worker. The default wakes nobody: that of a worker that never sleeps.
#[derive(Clone, Debug, Default)]
pub struct Waker(Option<Arc<Shared>>);

/// On lines of its own: every sender looks at it for every message, and what lies beside it in memory may be anyone's.
#[derive(Debug)]
#[repr(align(128))]
struct Shared {
    /// Whether the worker sleeps or is about to, and nobody has seen to its waking.
    sleeps: AtomicBool,
    wake: Box<dyn Wake>,
}

impl Waker {
    /// That of a worker which is woken by `wake`.
    #[must_use]
    pub fn new(wake: Box<dyn Wake>) -> Self {
        Self(Some(Arc::new(Shared { sleeps: AtomicBool::new(false), wake })))
    }

    /// Wakes the worker if it sleeps. To be called after what it is to see was put where it looks.
    #[inline]
    pub fn wake(&self) {
        if let Some(shared) = &self.0 {
            fence(Ordering::SeqCst);
            shared.wake_if_asleep();
        }
    }

    /// Wakes those of `wakers` whose workers sleep, as [`wake`](Self::wake) does, for the price of one fence.
    #[inline]
    pub fn wake_all<'a>(wakers: impl IntoIterator<Item = &'a Self>) {
        let mut is_fenced = false;
        for shared in wakers.into_iter().filter_map(|waker| waker.0.as_deref()) {
            if !core::mem::replace(&mut is_fenced, true) {
                fence(Ordering::SeqCst);
            }
            shared.wake_if_asleep();
        }
    }

    /// The worker will sleep, unless its next look at everything finds something.
    pub fn fall_asleep(&self) {
        if let Some(shared) = &self.0 {
            shared.sleeps.store(true, Ordering::Relaxed);
        }
        // Before the last look: see above. Devices are told before this that they are to raise events, and looked at after it.
        fence(Ordering::SeqCst);
    }

    /// The worker does not sleep any more: nobody need wake it.
    pub fn stay_awake(&self) {
        if let Some(shared) = &self.0 {
            shared.sleeps.store(false, Ordering::Relaxed);
        }
    }
}

impl Shared {
    /// To be called after a fence.
    #[inline]
    fn wake_if_asleep(&self) {
        // Of several, one wakes it.
        if self.sleeps.load(Ordering::Relaxed) && self.sleeps.swap(false, Ordering::Relaxed) {
            self.wake.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::sync::atomic::AtomicUsize;
    use std::collections::{HashSet, VecDeque};

    #[derive(Debug, Default)]
    struct Counts(Arc<AtomicUsize>);

    impl Wake for Counts {
        fn wake(&self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn only_a_sleeper_is_woken_and_by_one() {
        let counts = Counts::default();
        let woken = Arc::clone(&counts.0);
        let waker = Waker::new(Box::new(counts));
        waker.wake();
        assert_eq!(woken.load(Ordering::Relaxed), 0);
        waker.fall_asleep();
        waker.wake();
        waker.wake();
        assert_eq!(woken.load(Ordering::Relaxed), 1);
        waker.fall_asleep();
        waker.stay_awake();
        waker.wake();
        assert_eq!(woken.load(Ordering::Relaxed), 1);
        // That of a worker that never sleeps.
        Waker::default().wake();
    }

    /// The steps of one sender, in their order.
    #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
    enum Sender {
        Push,
        Look,
        Swap,
        Wake,
        Done,
    }

    /// The steps of the worker: it goes round until everything was received.
    #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
    enum Sleeper {
        Turn,
        FallAsleep,
        LastLook,
        Block,
        StayAwake,
    }

    #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
    struct State {
        senders: [Sender; 2],
        left: [u8; 2],
        sleeper: Sleeper,
        sleeps: bool,
        queued: u8,
        mark: bool,
    }

    impl State {
        fn of_sender(mut self, who: usize) -> Option<Self> {
            self.senders[who] = match self.senders[who] {
                Sender::Push => {
                    self.queued += 1;
                    Sender::Look
                }
                Sender::Look if self.sleeps => Sender::Swap,
                Sender::Look => self.next(who),
                Sender::Swap => {
                    if core::mem::take(&mut self.sleeps) {
                        Sender::Wake
                    } else {
                        self.next(who)
                    }
                }
                Sender::Wake => {
                    self.mark = true;
                    self.next(who)
                }
                Sender::Done => return None,
            };
            Some(self)
        }

        /// The next message, or the end.
        fn next(&mut self, who: usize) -> Sender {
            self.left[who] -= 1;
            if self.left[who] == 0 { Sender::Done } else { Sender::Push }
        }

        fn of_sleeper(mut self) -> Option<Self> {
            self.sleeper = match self.sleeper {
                Sleeper::Turn => {
                    // One that finds something turns again.
                    if core::mem::take(&mut self.queued) > 0 { Sleeper::Turn } else { Sleeper::FallAsleep }
                }
                Sleeper::FallAsleep => {
                    self.sleeps = true;
                    Sleeper::LastLook
                }
                Sleeper::LastLook => {
                    if core::mem::take(&mut self.queued) > 0 {
                        Sleeper::StayAwake
                    } else {
                        Sleeper::Block
                    }
                }
                Sleeper::Block if core::mem::take(&mut self.mark) => Sleeper::StayAwake,
                Sleeper::Block => return None,
                Sleeper::StayAwake => {
                    self.sleeps = false;
                    Sleeper::Turn
                }
            };
            Some(self)
        }
    }

    // Every order of the steps of two senders with three messages each: the fences make the steps of all appear in one order.
    #[test]
    fn in_no_order_of_steps_does_a_worker_sleep_over_a_message() {
        let start = State {
            senders: [Sender::Push; 2],
            left: [3; 2],
            sleeper: Sleeper::Turn,
            sleeps: false,
            queued: 0,
            mark: false,
        };
        let (mut seen, mut open) = (HashSet::from([start]), VecDeque::from([start]));
        let mut ends = 0;
        while let Some(state) = open.pop_front() {
            let after = [state.of_sender(0), state.of_sender(1), state.of_sleeper()];
            if after.iter().all(Option::is_none) {
                assert_eq!(state.queued, 0, "it sleeps, and nobody will wake it: {state:?}");
                ends += 1;
            }
            open.extend(after.into_iter().flatten().filter(|next| seen.insert(*next)));
        }
        assert!(ends > 0 && seen.len() > 1000, "{ends} ends of {} states", seen.len());
    }
}
