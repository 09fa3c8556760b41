//! Many groups, and floods.

use super::*;

/// How many reports of each group there are among `all`, and the least time between two of one.
fn by_group<F: TestFamily>(all: &[(Instant, Message<F>)]) -> (BTreeMap<Group<F>, usize>, Duration) {
    let (mut last, mut counts) = (BTreeMap::<Group<F>, Instant>::new(), BTreeMap::new());
    let mut least = Duration::MAX;
    for (at, message) in all {
        let Message::Report(group) = message else { panic!("{message:?}") };
        *counts.entry(*group).or_default() += 1;
        if let Some(before) = last.insert(*group, *at) {
            least = least.min(at.since(before));
        }
    }
    (counts, least)
}

// G21, RFC 2236 3: each group once, in time, and not in a burst.
fn many_groups_are_reported_evenly<F: TestFamily>() {
    const GROUPS: u16 = 2000;
    let mut w = World::<F>::joined(1, GROUPS);
    let asked = w.now;
    w.general(TEN_SECONDS);
    let all = w.all();
    let (counts, _) = by_group(&all);
    assert!(counts.len() == usize::from(GROUPS) && counts.values().all(|n| *n == 1));
    let mut seconds = [0; 10];
    all.iter().for_each(|(at, _)| {
        seconds[usize::try_from((at.since(asked).as_nanos() - 1) / 1_000_000_000).unwrap()] += 1
    });
    assert!(seconds.iter().all(|n| (195..=205).contains(n)), "{seconds:?}");
}

// G15: two hosts do not report their common groups in the same order.
fn hosts_answer_in_orders_of_their_own<F: TestFamily>() {
    let order = |seed| {
        let mut w = World::<F>::joined(seed, 300);
        w.general(TEN_SECONDS);
        w.all().into_iter().map(|(_, message)| message).collect::<Vec<_>>()
    };
    let (a, b) = (order(1), order(2));
    assert!(a.iter().zip(&b).filter(|(a, b)| a == b).count() < 20);
}

// G16: a query in the middle of an answer is answered for every group, those that were passed among them; all in time.
fn a_query_during_a_long_answer_is_answered_in_full<F: TestFamily>() {
    for (seed, second) in
        (0..20).flat_map(|seed| [(seed, TEN_SECONDS), (seed, ONE_SECOND), (seed, TEN_SECONDS * 3)])
    {
        let mut w = World::<F>::joined(seed, 100);
        let first_asked = w.now;
        w.general(TEN_SECONDS);
        let mut first = BTreeSet::new();
        for _ in 0..(seed * 5 + 1) {
            let Some((_, messages)) = w.step() else { break };
            first.extend(messages.into_iter().map(|(Message::Report(g) | Message::Leave(g))| g));
        }
        let asked = w.now;
        w.general(second);
        let all = w.all();
        let (counts, _) = by_group(&all);
        assert!(counts.len() == 100 && counts.values().all(|n| *n == 1), "{counts:?}");
        assert!(all.iter().all(|(at, _)| at.since(asked) <= second));
        let in_time = |(at, message): &(Instant, Message<F>)| {
            let Message::Report(group) = message else { return false };
            first.contains(group) || at.since(first_asked) <= TEN_SECONDS
        };
        assert!(all.iter().all(in_time), "what was asked first is answered in its time");
    }
}

// G47: however many queries come, each group is reported about once in the time allowed.
fn a_flood_of_queries_is_answered_at_the_pace_of_one<F: TestFamily>() {
    for (groups, max_response) in
        [(1, TEN_SECONDS), (2, TEN_SECONDS), (1000, TEN_SECONDS), (50, Duration::ZERO)]
    {
        let mut w = World::<F>::joined(3, groups);
        let mut said = Vec::new();
        let (every, rounds) = if max_response.is_zero() { (10, 10) } else { (1000, 3) };
        let end = w.now + max_response.max(MAX_RESPONSE_MIN) * rounds;
        while w.now < end {
            w.now += Duration::from_micros(every * 97);
            w.general(max_response);
            said.extend(w.said().into_iter().map(|message| (w.now, message)));
        }
        let (counts, _) = by_group(&said);
        assert_eq!(counts.len(), usize::from(groups));
        let most = 2 * usize::try_from(rounds).unwrap() + 1;
        assert!(counts.values().all(|n| *n <= most), "{groups}: {counts:?}");
    }
}

// G47: a query that wants its answer soon does not make those after it, which do not, be answered as fast.
fn one_hasty_query_does_not_hasten_a_flood<F: TestFamily>() {
    let mut w = World::<F>::joined(3, 100);
    w.general(TEN_SECONDS);
    w.now += ONE_SECOND;
    w.general(MAX_RESPONSE_MIN);
    let mut said = Vec::new();
    let end = w.now + TEN_SECONDS * 3;
    while w.now < end {
        w.now += Duration::from_millis(1);
        w.general(TEN_SECONDS);
        said.extend(w.said().into_iter().map(|message| (w.now, message)));
    }
    let (counts, _) = by_group(&said);
    assert!(counts.values().all(|n| (3..=8).contains(n)), "{counts:?}");
}

// G24, G16: groups that are joined and left in the middle of an answer keep nobody else from his.
fn joins_and_leaves_during_an_answer_disturb_nobody<F: TestFamily>() {
    for seed in 0..50 {
        let mut w = World::<F>::joined(seed, 50);
        let asked = w.now;
        w.general(TEN_SECONDS);
        let mut all = Vec::new();
        for n in 0..30 {
            w.join(1000 + n);
            w.leave(n);
            let (_, messages) = w.step().unwrap();
            all.extend(messages.into_iter().map(|message| (w.now, message)));
        }
        all.extend(w.all());
        for n in 30..50 {
            let times: Vec<_> =
                all.iter().filter(|(_, m)| *m == report(n)).map(|(at, _)| at.since(asked)).collect();
            assert!(times.len() == 1 && times[0] <= TEN_SECONDS, "{n}: {times:?}");
        }
        assert!(all.iter().filter(|(_, m)| matches!(m, Message::Report(_))).count() <= 50 + 60);
    }
}

for_both_families!(
    many_groups_are_reported_evenly,
    hosts_answer_in_orders_of_their_own,
    a_query_during_a_long_answer_is_answered_in_full,
    a_flood_of_queries_is_answered_at_the_pace_of_one,
    one_hasty_query_does_not_hasten_a_flood,
    joins_and_leaves_during_an_answer_disturb_nobody
);
