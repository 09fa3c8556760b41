//! The loop of a worker that rests when it has nothing to do: `idle = "adaptive"`.
//!
//! It polls on for a while after its last packet, so that traffic finds it awake; then it sleeps until an event of its devices, a
//! message, or its next deadline. If one of its devices has no event, it sleeps a little at a time, ever longer up to a limit.
//!
//! The longer a CPU halts, the deeper, and the longer is its way back. So a worker that waits for events has a heartbeat: it wakes for a moment
//! each time that a millisecond has passed, looks at nothing, and waits on.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use core::time::Duration;
use std::sync::Arc;

use super::worker::Worker;
use crate::io::{Nic, Wait, Waker, Woken};
use crate::time::Instant;

/// How long a worker polls after its last packet, at least and at most. Like Linux's haltpoll: longer if a sleep turned out to be
/// short, for then its waking was most of it; shorter if it was long.
const POLL_MIN: Duration = Duration::from_micros(10);
const POLL_MAX: Duration = Duration::from_micros(50);

/// How long it polls at most where a device has no event. A sleep of a few microseconds takes 50 to 80 on a virtual machine, so that what comes
/// within this time is found sooner, and at no more cost, by polling.
const DOZE_POLL_MAX: Duration = Duration::from_micros(100);

/// Pauses of the CPU after a turn that found nothing: about 100 ns. Each look at an empty ring takes its cache lines from the CPU that
/// is about to fill them; over a virtio ring whose ends share no cache the stream was 3 % slower without.
const PAUSES: usize = 4;

/// The first sleep where a device has no event.
const SLEEP_MIN: Duration = Duration::from_micros(5);

/// Events that devices may forget, with none that came in between.
const FORGOTTEN_MAX: u32 = 3;

/// The longest sleep where all have: a device that forgets an event costs no more.
pub const SLEEP_MAX: Duration = Duration::from_millis(100);

/// How a worker rests.
#[derive(Debug)]
pub struct Rest<W> {
    /// What it sleeps by.
    pub wait: W,
    /// How others wake it.
    pub waker: Waker,
    /// The longest sleep where a device has no event: `workers.idle_sleep_us`.
    pub sleep_max: Duration,
    /// The longest part of a sleep until an event: `workers.idle_heartbeat_us`. `None`: such a sleep has no parts.
    pub heartbeat: Option<Duration>,
    /// Where it counts its sleeps.
    pub page: RestPage,
}

/// What a worker says of its rest.
#[derive(Clone, Debug, Default)]
pub struct RestPage(Arc<Counts>);

/// Written by one worker at each of its sleeps: on lines of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Counts {
    sleeps: AtomicU64,
    woken: AtomicU64,
    asleep_ns: AtomicU64,
    overslept: AtomicU64,
    disbelieves: AtomicBool,
}

/// The counters of a [`RestPage`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RestCounts {
    /// Times that the worker slept, each heartbeat's part of a sleep for itself.
    pub sleeps: u64,
    /// Of these, times that an event or a message woke it.
    pub woken: u64,
    /// Nanoseconds that it slept.
    pub asleep_ns: u64,
    /// Times that it slept its time out although it waited for events, and there was something: a driver forgot one.
    pub overslept: u64,
    /// Whether that happened so often that the worker waits for the events of its devices no more.
    pub disbelieves: bool,
}

impl RestPage {
    /// What it has counted.
    #[must_use]
    pub fn read(&self) -> RestCounts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let Counts { sleeps, woken, asleep_ns, overslept, disbelieves } = &*self.0;
        RestCounts {
            sleeps: read(sleeps),
            woken: read(woken),
            asleep_ns: read(asleep_ns),
            overslept: read(overslept),
            disbelieves: disbelieves.load(Ordering::Relaxed),
        }
    }

    fn slept(&self, woken: Woken, time: Duration) {
        // One thread alone writes.
        let add =
            |counter: &AtomicU64, n| counter.store(counter.load(Ordering::Relaxed) + n, Ordering::Relaxed);
        add(&self.0.sleeps, 1);
        add(&self.0.woken, u64::from(woken == Woken::ByEvent));
        add(&self.0.asleep_ns, u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    }

    fn overslept(&self) {
        self.0.overslept.fetch_add(1, Ordering::Relaxed);
    }

    fn disbelieves(&self) {
        self.0.disbelieves.store(true, Ordering::Relaxed);
    }
}

/// Turns `worker` until `stop`. Whoever sets `stop` wakes it.
pub fn worker_loop<N: Nic, W: Wait>(
    worker: &mut Worker<N>,
    clock: impl Fn() -> Instant,
    stop: &AtomicBool,
    rest: &mut Rest<W>,
) {
    let mut pace = Pace::new(rest.sleep_max);
    while !stop.load(Ordering::Relaxed) {
        if pace.is_dozing() {
            // It looks before it sleeps again.
            rest.once(worker, &clock, stop, &mut pace);
            continue;
        }
        let now = clock();
        if worker.turn(now) > 0 {
            pace.worked(now);
        } else if pace.is_rest_due(now) {
            rest.once(worker, &clock, stop, &mut pace);
        } else {
            (0..PAUSES).for_each(|_| core::hint::spin_loop());
        }
    }
    worker.stop(clock());
}

impl<W: Wait> Rest<W> {
    /// One sleep, unless the last look before it finds something.
    // The order is what keeps anything from being slept over: devices are armed and senders told first, then everything is looked
    // at once more, then the worker sleeps. See `io::wait`.
    fn once<N: Nic>(
        &mut self,
        worker: &mut Worker<N>,
        clock: &impl Fn() -> Instant,
        stop: &AtomicBool,
        pace: &mut Pace,
    ) {
        let has_events = worker.arm() && pace.believes_in_events();
        self.waker.fall_asleep();
        let mut now = clock();
        let mut work = worker.turn(now);
        if work == 0 && !stop.load(Ordering::Relaxed) {
            let at_most = if has_events { pace.event_sleep() } else { pace.sleep };
            let due = worker.next_deadline().map_or(at_most, |at| at.since(now));
            let part = if has_events { self.heartbeat.unwrap_or(SLEEP_MAX) } else { at_most };
            let asleep_since = now;
            let woken = self.sleep(&mut now, clock, at_most.min(due), part);
            pace.slept(now, woken, now.since(asleep_since));
            if has_events && woken == Woken::ByTime {
                work = self.look_for_what_was_missed(worker, now, pace);
            }
        }
        self.waker.stay_awake();
        worker.disarm();
        if work > 0 {
            pace.worked(now);
        }
    }
}

impl<W: Wait> Rest<W> {
    /// Sleeps from `now` on, which then is the time of its end: at most so long, in parts.
    // Between two parts the worker only waits on: that its CPU woke is all that a heartbeat is for. What a device forgot is looked for as
    // seldom as without one: if each part ended with a look, a packet whose interrupt is moderated would often be found before it.
    fn sleep(
        &mut self,
        now: &mut Instant,
        clock: &impl Fn() -> Instant,
        at_most: Duration,
        part: Duration,
    ) -> Woken {
        let end = *now + at_most;
        loop {
            let left = end.since(*now);
            let woken = self.wait.wait(left.min(part));
            let asleep_since = core::mem::replace(now, clock());
            self.page.slept(woken, now.since(asleep_since));
            if woken == Woken::ByEvent || left <= part {
                return woken;
            }
        }
    }

    /// A turn after a sleep that no event has ended. What it finds without one, before and after it, the device forgot to tell.
    fn look_for_what_was_missed<N: Nic>(
        &mut self,
        worker: &mut Worker<N>,
        now: Instant,
        pace: &mut Pace,
    ) -> usize {
        // One may have come just after the time was over.
        let mut came = self.wait.wait(Duration::ZERO) == Woken::ByEvent;
        let is_due = worker.next_deadline().is_some_and(|at| at <= now);
        let work = worker.turn(now);
        came |= self.wait.wait(Duration::ZERO) == Woken::ByEvent;
        if work > 0 && !came && !is_due {
            self.page.overslept();
            pace.forgotten = pace.forgotten.saturating_add(1);
            if !pace.believes_in_events() {
                self.page.disbelieves();
            }
        }
        work
    }
}

/// When a worker sleeps, and how long.
#[derive(Debug)]
struct Pace {
    /// Since when it has had nothing to do.
    idle_since: Option<Instant>,
    /// How long it polls before it sleeps.
    poll: Duration,
    /// Since when it has had nothing to do, if it slept its time out: then it goes on sleeping if there is nothing.
    dozing_since: Option<Instant>,
    /// The next sleep where a device has no event.
    sleep: Duration,
    sleep_max: Duration,
    /// Events that were forgotten, one after another.
    forgotten: u32,
}

impl Pace {
    fn new(sleep_max: Duration) -> Self {
        let sleep = SLEEP_MIN.min(sleep_max);
        Self { idle_since: None, poll: POLL_MIN, dozing_since: None, sleep, sleep_max, forgotten: 0 }
    }

    const fn is_dozing(&self) -> bool {
        self.dozing_since.is_some()
    }

    /// A turn at `now` had something to do.
    fn worked(&mut self, now: Instant) {
        if let Some(since) = self.dozing_since.take() {
            // Only now it is known whether sleeping was worth it.
            self.adjust(now.since(since) < DOZE_POLL_MAX, DOZE_POLL_MAX);
        }
        self.idle_since = None;
        self.sleep = SLEEP_MIN.min(self.sleep_max);
    }

    /// Whether a turn at `now` without work is the last one for a while.
    fn is_rest_due(&mut self, now: Instant) -> bool {
        let since = *self.idle_since.get_or_insert(now);
        now.since(since) >= self.poll
    }

    /// Whether it is worth waiting for events: a device that promises them and has none is looked at by the clock from then on.
    const fn believes_in_events(&self) -> bool {
        self.forgotten < FORGOTTEN_MAX
    }

    /// The longest sleep where all devices have events. Shorter after each that seems forgotten: whoever asks just when a sleep's time is over
    /// would be found before the event every time.
    fn event_sleep(&self) -> Duration {
        SLEEP_MAX - SLEEP_MAX / 8 * self.forgotten.min(FORGOTTEN_MAX)
    }

    /// It slept so long, until `now`.
    fn slept(&mut self, now: Instant, woken: Woken, time: Duration) {
        let idle_since = self.idle_since.take().unwrap_or(now);
        if woken == Woken::ByTime {
            self.dozing_since.get_or_insert(idle_since);
        } else {
            if self.believes_in_events() {
                self.forgotten = 0;
            }
            self.dozing_since = None;
            self.adjust(time < POLL_MAX, POLL_MAX);
        }
        self.sleep = (self.sleep * 2).min(self.sleep_max);
    }

    /// Polls longer next time if it slept for too short a time to be worth it, at most so long; if not, less.
    fn adjust(&mut self, was_short: bool, max: Duration) {
        self.poll = if was_short { self.poll * 2 } else { self.poll / 2 }.clamp(POLL_MIN, max);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_micros(20);
    const LONG: Duration = Duration::from_millis(1);

    fn after(micros: u64) -> Instant {
        Instant::ZERO + Duration::from_micros(micros)
    }

    #[test]
    fn it_polls_on_for_a_while_after_each_packet() {
        let mut pace = Pace::new(LONG);
        assert!(
            !pace.is_rest_due(after(100)) && !pace.is_rest_due(after(109)) && pace.is_rest_due(after(110))
        );
        pace.worked(after(110));
        assert!(!pace.is_rest_due(after(111)) && pace.is_rest_due(after(121)));
    }

    #[test]
    fn it_polls_longer_where_sleeps_are_short_and_within_limits() {
        let mut pace = Pace::new(LONG);
        for _ in 0..5 {
            pace.slept(after(0), Woken::ByEvent, SHORT);
        }
        assert_eq!(pace.poll, POLL_MAX);
        for _ in 0..5 {
            pace.slept(after(0), Woken::ByEvent, LONG);
        }
        assert_eq!(pace.poll, POLL_MIN);
    }

    /// It has nothing to do from `from` on, sleeps its time out again and again, and finds something at `to`.
    fn doze(pace: &mut Pace, from: u64, to: u64) {
        assert!(!pace.is_rest_due(after(from)));
        for _ in 0..3 {
            pace.slept(after(to - 1), Woken::ByTime, SHORT);
        }
        pace.worked(after(to));
    }

    #[test]
    fn where_there_is_no_event_it_polls_longer_if_a_packet_came_soon_after_the_last() {
        let mut pace = Pace::new(LONG);
        // Sleeping says nothing of when packets come, but that one has come.
        pace.slept(after(0), Woken::ByTime, SHORT);
        assert_eq!(pace.poll, POLL_MIN);
        pace.worked(after(0));
        for spell in 0..5 {
            doze(&mut pace, spell * 1000, spell * 1000 + 99);
        }
        assert_eq!(pace.poll, DOZE_POLL_MAX);
        // The whole silence counts, not its last sleep.
        doze(&mut pace, 6000, 6100);
        assert_eq!(pace.poll, DOZE_POLL_MAX / 2);
        for spell in 7..12 {
            doze(&mut pace, spell * 1000, spell * 1000 + 900);
        }
        assert_eq!(pace.poll, POLL_MIN);
    }

    // A client that asks as often as the worker looks for forgotten events is not what makes it believe in none.
    #[test]
    fn who_asks_just_when_a_sleep_is_over_is_met_by_the_next_event() {
        let mut pace = Pace::new(LONG);
        assert_eq!(pace.event_sleep(), SLEEP_MAX);
        pace.forgotten += 1;
        assert!(pace.event_sleep() < SLEEP_MAX && pace.believes_in_events());
        pace.slept(after(0), Woken::ByEvent, LONG);
        assert_eq!(pace.event_sleep(), SLEEP_MAX);
        pace.forgotten = u32::MAX;
        assert!(pace.event_sleep() > SLEEP_MAX / 2);
    }

    #[test]
    fn an_event_ends_a_doze_and_is_what_counts() {
        let mut pace = Pace::new(LONG);
        pace.slept(after(10), Woken::ByTime, SHORT);
        pace.slept(after(20), Woken::ByEvent, LONG);
        assert!(!pace.is_dozing());
        pace.worked(after(21));
        assert_eq!(pace.poll, POLL_MIN);
    }

    #[test]
    fn where_there_is_no_event_it_sleeps_ever_longer_until_a_packet_comes() {
        let mut pace = Pace::new(Duration::from_micros(50));
        let mut sleeps = Vec::new();
        for _ in 0..5 {
            sleeps.push(pace.sleep.as_micros());
            pace.slept(after(0), Woken::ByTime, pace.sleep);
            assert!(pace.is_dozing());
        }
        assert_eq!(sleeps, [5, 10, 20, 40, 50]);
        pace.worked(after(1000));
        assert!(!pace.is_dozing() && pace.sleep == SLEEP_MIN);
    }

    #[test]
    fn who_forgets_event_after_event_is_believed_no_more() {
        let mut pace = Pace::new(LONG);
        pace.forgotten = FORGOTTEN_MAX - 1;
        pace.slept(after(0), Woken::ByEvent, LONG);
        assert!(pace.believes_in_events() && pace.forgotten == 0);
        pace.forgotten = FORGOTTEN_MAX;
        // A message is no proof of the device.
        pace.slept(after(0), Woken::ByEvent, LONG);
        assert!(!pace.believes_in_events());
    }

    /// A wait that is late by `LATE` each time, and which an event ends the `event_at`-th time.
    #[derive(Debug)]
    struct Late {
        micros: Arc<AtomicU64>,
        asked: Vec<u128>,
        event_at: usize,
    }

    const LATE: Duration = Duration::from_micros(100);

    impl Wait for Late {
        fn wait(&mut self, at_most: Duration) -> Woken {
            self.asked.push(at_most.as_micros());
            let passed = u64::try_from((at_most + LATE).as_micros()).unwrap();
            self.micros.fetch_add(passed, Ordering::Relaxed);
            if self.asked.len() == self.event_at { Woken::ByEvent } else { Woken::ByTime }
        }
    }

    /// What a sleep of 3.5 ms in parts came to: the times that were asked for, what ended it, when, and what was counted.
    fn sleep_in_parts(part: Duration, event_at: usize) -> (Vec<u128>, Woken, Instant, RestCounts) {
        let micros = Arc::new(AtomicU64::new(7));
        let wait = Late { micros: Arc::clone(&micros), asked: Vec::new(), event_at };
        let (waker, page) = (Waker::default(), RestPage::default());
        let mut rest = Rest { wait, waker, sleep_max: LONG, heartbeat: Some(part), page };
        let mut now = after(7);
        let clock = || after(micros.load(Ordering::Relaxed));
        let woken = rest.sleep(&mut now, &clock, Duration::from_micros(3500), part);
        (rest.wait.asked, woken, now, rest.page.read())
    }

    #[test]
    fn a_heartbeat_parts_a_sleep_and_does_not_prolong_it() {
        let (asked, woken, end, counts) = sleep_in_parts(LONG, usize::MAX);
        // What one part was late, the last one is shorter.
        assert_eq!((asked, woken, end), (vec![1000, 1000, 1000, 200], Woken::ByTime, after(7 + 3600)));
        assert_eq!((counts.sleeps, counts.woken, counts.asleep_ns), (4, 0, 3_600_000));
    }

    #[test]
    fn an_event_between_two_heartbeats_ends_the_sleep() {
        let (asked, woken, end, counts) = sleep_in_parts(LONG, 2);
        assert_eq!((asked, woken, end), (vec![1000, 1000], Woken::ByEvent, after(7 + 2200)));
        assert_eq!((counts.sleeps, counts.woken), (2, 1));
    }

    #[test]
    fn a_sleep_without_a_heartbeat_has_one_part() {
        let (asked, woken, ..) = sleep_in_parts(SLEEP_MAX, usize::MAX);
        assert_eq!((asked, woken), (vec![3500], Woken::ByTime));
    }

    #[test]
    fn a_page_counts_sleeps_and_what_ended_them() {
        let page = RestPage::default();
        let shown = page.clone();
        page.slept(Woken::ByEvent, LONG);
        page.slept(Woken::ByTime, SHORT);
        page.overslept();
        let expected =
            RestCounts { sleeps: 2, woken: 1, asleep_ns: 1_020_000, overslept: 1, disbelieves: false };
        assert_eq!(shown.read(), expected);
        page.disbelieves();
        assert_eq!(shown.read(), RestCounts { disbelieves: true, ..expected });
    }
}
