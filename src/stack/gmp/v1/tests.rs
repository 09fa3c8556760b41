//! What the host of generation 1 says and when; the router's view is in [`link`], many groups in [`many`].

mod link;
mod many;

use super::*;
use crate::stack::gmp::test_family::{TestFamily, for_both_families};

const TEN_SECONDS: Duration = Duration::from_secs(10);
const ONE_SECOND: Duration = Duration::from_secs(1);

/// A host, its clock and its chance.
struct World<F: Family> {
    host: Host<F>,
    rng: Rng,
    now: Instant,
}

impl<F: TestFamily> World<F> {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        Self { host: Host::new(rng.u64(), true), rng, now: Instant::ZERO }
    }

    /// In `groups`, and everything that is to be said of that said.
    fn joined(seed: u64, groups: u16) -> Self {
        let mut w = Self::new(seed);
        (0..groups).for_each(|n| w.join(n));
        w.settle();
        w
    }

    fn join(&mut self, group: u16) {
        self.host.join(self.now, F::group(group), 2);
    }

    fn leave(&mut self, group: u16) {
        self.host.leave(F::group(group));
    }

    fn general(&mut self, max_response: Duration) {
        self.host.query(self.now, &mut self.rng, &Scope::General, max_response);
    }

    fn query(&mut self, group: u16, max_response: Duration) {
        self.host.query(self.now, &mut self.rng, &Scope::Group(F::group(group)), max_response);
    }

    /// What is due now.
    fn said(&mut self) -> Vec<Message<F>> {
        std::iter::from_fn(|| self.host.poll_transmit(self.now, &mut self.rng)).collect()
    }

    /// Goes to the next deadline and returns how long that was and what is said then; none if there is no deadline.
    fn step(&mut self) -> Option<(Duration, Vec<Message<F>>)> {
        let at = self.host.poll_timeout()?.max(self.now);
        let waited = at.since(self.now);
        self.now = at;
        Some((waited, self.said()))
    }

    /// Everything that will be said, and when.
    fn all(&mut self) -> Vec<(Instant, Message<F>)> {
        let mut all: Vec<_> = self.said().into_iter().map(|message| (self.now, message)).collect();
        while let Some((_, messages)) = self.step() {
            all.extend(messages.into_iter().map(|message| (self.now, message)));
        }
        all
    }

    /// Says everything that is to be said.
    fn settle(&mut self) {
        self.all();
    }
}

fn report<F: TestFamily>(group: u16) -> Message<F> {
    Message::Report(F::group(group))
}

fn leave<F: TestFamily>(group: u16) -> Message<F> {
    Message::Leave(F::group(group))
}

/// Asserts that `delays` look like draws from (0, max]: within it, and a tenth of them (give or take) in each tenth.
#[track_caller]
fn assert_uniform(delays: &[Duration], max: Duration) {
    assert!(delays.iter().all(|d| *d > Duration::ZERO && *d <= max), "{delays:?}");
    let mut tenths = [0usize; 10];
    for delay in delays {
        tenths[usize::try_from((delay.as_nanos() - 1) * 10 / max.as_nanos()).unwrap()] += 1;
    }
    // Of 1000 draws 100 fall in each tenth, with a standard deviation of 9.5: five of them either way.
    assert_eq!(delays.len(), 1000);
    assert!(tenths.iter().all(|n| (52..=148).contains(n)), "{tenths:?}");
}

// G24, RFC 2236 3 and 8.10: at once, then RV-1 times after a time from (0, 10 s].
fn a_join_is_reported_at_once_and_repeated_within_ten_seconds<F: TestFamily>() {
    let mut waits = Vec::new();
    for seed in 0..1000 {
        let mut w = World::<F>::new(seed);
        w.join(1);
        assert_eq!(w.said(), [report(1)]);
        let (waited, messages) = w.step().unwrap();
        assert_eq!(messages, [report(1)]);
        waits.push(waited);
        assert_eq!(w.step(), None);
    }
    assert_uniform(&waits, TEN_SECONDS);
    for robustness in [0, 1, 2, 7] {
        let mut w = World::<F>::new(1);
        w.host.join(w.now, F::group(1), robustness);
        w.host.join(w.now, F::group(1), robustness);
        assert_eq!(w.all().len(), usize::from(robustness.max(1)));
    }
}

// G41, RFC 2236 3, and Linux: whoever reported the group last says that it is left.
fn only_the_last_reporter_says_that_it_leaves<F: TestFamily>() {
    let mut w = World::<F>::joined(1, 3);
    w.leave(1);
    assert_eq!(w.said(), [leave(1)]);
    w.host.report_heard(F::group(2));
    w.leave(2);
    assert_eq!(w.said(), []);
    // Until it reports the group again.
    w.host.report_heard(F::group(0));
    w.query(0, ONE_SECOND);
    w.settle();
    w.leave(0);
    assert_eq!(w.said(), [leave(0)]);
    w.leave(0);
    assert_eq!((w.said(), w.host.groups().len()), (vec![], 0));
    // Left and joined again before anything could be said.
    w.join(6);
    w.settle();
    w.leave(6);
    w.join(6);
    assert_eq!(w.said(), [report(6)]);
    w.leave(6);
    assert_eq!(w.said(), [leave(6)]);
    // A group that was never reported is left in silence, and its report forgotten.
    w.join(5);
    w.leave(5);
    assert_eq!((w.said(), w.host.poll_timeout()), (vec![], None));
}

// G03, RFC 1112, appendix I: version 1 has no leaves.
fn a_format_without_leaves_has_none<F: TestFamily>() {
    let mut w = World::<F>::joined(1, 3);
    w.host.set_says_leave(false);
    w.leave(1);
    w.host.leave_all();
    assert_eq!((w.said(), w.host.poll_timeout()), (vec![], None));
    assert_eq!(w.host.groups().len(), 0);
}

// G15, RFC 2236 3: uniform in (0, Max Resp Time], for each kind of query, and for a group among others.
fn answers_are_spread_over_the_max_resp_time<F: TestFamily>() {
    for groups in [1, 2, 3, 20] {
        for general in [true, false] {
            let mut waits = Vec::new();
            for seed in 0..1000 {
                let mut w = World::<F>::joined(seed, groups);
                let asked = w.now;
                if general {
                    w.general(TEN_SECONDS)
                } else {
                    w.query(0, TEN_SECONDS)
                }
                assert_eq!(w.said(), [], "never at once");
                let all = w.all();
                assert_eq!(all.len(), if general { groups.into() } else { 1 });
                let (at, _) = all.iter().find(|(_, message)| *message == report(0)).unwrap();
                waits.push(at.since(asked));
            }
            assert_uniform(&waits, TEN_SECONDS);
        }
    }
}

// G14: what wants its answer now gets it soon. G47: but a flood of such queries does not make a flood of answers.
fn a_query_that_wants_its_answer_now_gets_it_soon<F: TestFamily>() {
    for general in [true, false] {
        let mut w = World::<F>::joined(1, 1);
        if general {
            w.general(Duration::ZERO)
        } else {
            w.query(0, Duration::ZERO)
        }
        let (waited, messages) = w.step().unwrap();
        assert_eq!(messages, [report(0)]);
        assert!(waited > Duration::ZERO && waited <= MAX_RESPONSE_MIN);
    }
}

// G17, RFC 2236 3: a running timer is reset only if the new Max Resp Time is less than what it has left.
fn a_second_query_of_a_group_never_puts_the_answer_off<F: TestFamily>() {
    for seed in 0..200 {
        let mut w = World::<F>::joined(seed, 1);
        w.query(0, TEN_SECONDS);
        let first = w.host.poll_timeout().unwrap();
        w.query(0, ONE_SECOND);
        let second = w.host.poll_timeout().unwrap();
        assert!(second <= first && second.since(w.now) <= ONE_SECOND);
        if first.since(w.now) <= ONE_SECOND {
            assert_eq!(first, second, "it runs on");
        }
        w.query(0, TEN_SECONDS * 100);
        assert_eq!(w.host.poll_timeout().unwrap(), second);
        assert_eq!(w.all().len(), 1);
    }
}

// G16, G17, RFC 2236 3: a group has one answer to give, to queries of it and of all.
fn one_report_answers_a_query_of_the_group_and_one_of_all<F: TestFamily>() {
    for seed in 0..200 {
        let mut w = World::<F>::joined(seed, 5);
        let asked = w.now;
        w.general(TEN_SECONDS);
        w.query(3, ONE_SECOND);
        let all = w.all();
        assert_eq!(all.len(), 5);
        let (at, _) = all.iter().find(|(_, message)| *message == report(3)).unwrap();
        assert!(at.since(asked) <= ONE_SECOND);
        assert!(all.iter().all(|(at, _)| at.since(asked) <= TEN_SECONDS));
    }
}

// G24, G16: the repeat of a join is an answer, too.
fn an_answer_counts_among_the_reports_of_a_join<F: TestFamily>() {
    let mut w = World::<F>::new(1);
    w.host.join(w.now, F::group(0), 3);
    w.said();
    w.query(0, Duration::ZERO);
    assert_eq!(w.all().len(), 2, "three in all");
}

// G40, RFC 2236 3: what another host has said need not be said again, nor a join be repeated.
fn another_hosts_report_stands_for_ones_own<F: TestFamily>() {
    let mut w = World::<F>::joined(1, 2);
    w.general(TEN_SECONDS);
    w.query(1, TEN_SECONDS);
    w.host.report_heard(F::group(1));
    let said: Vec<_> = w.all().into_iter().map(|(_, message)| message).collect();
    assert_eq!(said, [report(0)]);
    // The next query is answered again.
    w.general(TEN_SECONDS);
    assert_eq!(w.all().len(), 2);
    w.join(7);
    w.said();
    w.host.report_heard(F::group(7));
    assert_eq!(w.all(), []);
    // Of a group that is not ours, it means nothing.
    w.host.report_heard(F::group(99));
    assert_eq!((w.host.poll_timeout(), w.host.groups().len()), (None, 3));
}

// G20: nothing is said of a group that was left meanwhile.
fn no_answer_after_a_leave<F: TestFamily>() {
    for seed in 0..100 {
        let mut w = World::<F>::joined(seed, 3);
        w.general(TEN_SECONDS);
        w.query(1, TEN_SECONDS);
        w.leave(1);
        assert_eq!(w.said(), [leave(1)]);
        let mut said: Vec<_> = w.all().into_iter().map(|(_, message)| message).collect();
        said.sort_by_key(|message| *message == report(2));
        assert_eq!(said, [report(0), report(2)]);
        w.query(1, TEN_SECONDS);
        assert_eq!(w.host.poll_timeout(), None, "unjoined");
    }
}

// G04, RFC 2236 6; G48, RFC 4604 2.2.1.
fn groups_of_which_nobody_is_told<F: TestFamily>() {
    let mut w = World::<F>::new(1);
    let all_hosts = Group::new(F::ALL_HOSTS).unwrap();
    for group in [all_hosts, F::ssm_group(1)] {
        w.host.join(w.now, group, 2);
        w.host.query(w.now, &mut w.rng, &Scope::Group(group), TEN_SECONDS);
        w.host.query(w.now, &mut w.rng, &Scope::General, TEN_SECONDS);
        w.host.leave(group);
        assert_eq!((w.said(), w.host.poll_timeout()), (vec![], None));
    }
}

// G44, RFC 4541 2.1.1; G45.
fn everything_is_told_anew_and_left_at_once<F: TestFamily>() {
    let mut w = World::<F>::joined(1, 20);
    w.host.announce_all(w.now, 2);
    assert_eq!(w.said().len(), 20);
    assert_eq!(w.all().len(), 20, "and repeated");
    w.host.leave_all();
    let said = w.said();
    assert_eq!(said.len(), 20);
    assert!(said.iter().all(|message| matches!(message, Message::Leave(_))));
    assert_eq!((w.host.poll_timeout(), w.host.groups().len()), (None, 0));
}

// G39, RFC 9776 7.2.1.
fn cancelling_forgets_what_is_pending_and_keeps_the_groups<F: TestFamily>() {
    let mut w = World::<F>::joined(1, 3);
    w.join(5);
    w.general(TEN_SECONDS);
    w.query(1, TEN_SECONDS);
    w.leave(2);
    w.host.cancel_pending();
    assert_eq!((w.said(), w.host.poll_timeout()), (vec![], None));
    assert_eq!(w.host.pending(), Pending::default());
    w.general(TEN_SECONDS);
    assert_eq!(w.all().len(), 3);
}

fn what_is_pending_is_counted<F: TestFamily>() {
    let mut w = World::<F>::joined(1, 3);
    w.join(5);
    w.query(1, TEN_SECONDS);
    w.general(TEN_SECONDS);
    let Pending { general, groups, changes } = w.host.pending();
    assert!(general.is_some_and(|at| at.since(w.now) <= TEN_SECONDS));
    assert_eq!((groups, changes), (1, 1));
    w.settle();
    assert_eq!(w.host.pending(), Pending::default());
}

for_both_families!(
    a_join_is_reported_at_once_and_repeated_within_ten_seconds,
    only_the_last_reporter_says_that_it_leaves,
    a_format_without_leaves_has_none,
    answers_are_spread_over_the_max_resp_time,
    a_query_that_wants_its_answer_now_gets_it_soon,
    a_second_query_of_a_group_never_puts_the_answer_off,
    one_report_answers_a_query_of_the_group_and_one_of_all,
    an_answer_counts_among_the_reports_of_a_join,
    another_hosts_report_stands_for_ones_own,
    no_answer_after_a_leave,
    groups_of_which_nobody_is_told,
    everything_is_told_anew_and_left_at_once,
    cancelling_forgets_what_is_pending_and_keeps_the_groups,
    what_is_pending_is_counted
);
