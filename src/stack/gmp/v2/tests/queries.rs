//! What the host answers, and when.

use super::super::answer::QUERIED_SOURCES_MAX;
use super::*;

// G15, RFC 9776 5.2: uniform in (0, Max Resp Time], for each kind of query.
fn answers_are_spread_over_the_max_resp_time<F: TestFamily>() {
    let ask: [fn(&mut World<F>); 3] = [
        |w| w.query(Scope::General, TEN_SECONDS),
        |w| w.query(Scope::Group(F::group(1)), TEN_SECONDS),
        |w| w.query_sources(1, &[1], TEN_SECONDS),
    ];
    for ask in ask {
        let mut waits = Vec::new();
        for seed in 0..1000 {
            let mut w = World::<F>::new(seed);
            w.set(1, SourceFilter::ANY);
            w.settle();
            ask(&mut w);
            assert_eq!(w.records(), [], "never at once");
            let (waited, records) = w.step().unwrap();
            assert_eq!(records.len(), 1);
            waits.push(waited);
            assert_eq!(w.step(), None);
        }
        assert_uniform(waits, TEN_SECONDS);
    }
}

// G14, RFC 9776 4.1.1: a time of zero is soon, not never.
fn a_query_that_wants_its_answer_now_gets_it<F: TestFamily>() {
    let mut w = World::<F>::new(1);
    w.set(1, SourceFilter::ANY);
    w.settle();
    w.query(Scope::General, Duration::ZERO);
    let (waited, records) = w.step().unwrap();
    assert_eq!(records, [record(ModeIsExclude, 1, &[])]);
    assert!(waited <= Duration::from_millis(10));
}

// G16, RFC 9776 5.2, rules 1 and 2.
fn two_general_queries_have_one_answer_in_time_for_both<F: TestFamily>() {
    for seed in 0..200 {
        let mut w = World::<F>::new(seed);
        w.set(1, SourceFilter::ANY);
        w.settle();
        w.query(Scope::General, TEN_SECONDS);
        let first = w.host.poll_timeout().unwrap();
        w.query(Scope::General, Duration::from_secs(1));
        let at = w.host.poll_timeout().unwrap();
        assert!(at <= first && at.since(w.now) <= Duration::from_secs(1));
        // A third one with more time to spare does not put it off.
        w.query(Scope::General, Duration::from_secs(1000));
        assert!(w.host.poll_timeout().unwrap() <= at);
        assert_eq!(w.all_records(), [record(ModeIsExclude, 1, &[])]);
    }
}

// RFC 9776 5.2, rule 1: what the answer to a General Query will say sooner need not be said again.
fn a_sooner_general_answer_stands_for_a_group_query<F: TestFamily>() {
    let mut once = 0;
    for seed in 0..200 {
        let mut w = World::<F>::new(seed);
        w.set(1, SourceFilter::ANY);
        w.settle();
        w.query(Scope::General, Duration::from_secs(1));
        let general = w.host.poll_timeout();
        w.query(Scope::Group(F::group(1)), TEN_SECONDS);
        let first = w.host.poll_timeout();
        match w.all_records().len() {
            1 => once += 1,
            // The group's own answer was drawn for a sooner time.
            n => assert!(n == 2 && first < general, "{n} answers"),
        }
    }
    // A time from (0, 1 s] is the sooner one in 19 of 20 cases.
    assert!((170..200).contains(&once), "{once}");
    let mut w = World::<F>::new(1);
    w.set(1, SourceFilter::ANY);
    w.settle();
    w.query(Scope::General, Duration::ZERO);
    w.query(Scope::Group(F::group(1)), Duration::from_secs(1000));
    assert_eq!(w.all_records().len(), 1);
}

// G17, RFC 9776 5.2, rule 4.
fn a_second_group_query_never_puts_the_answer_off<F: TestFamily>() {
    for seed in 0..200 {
        let mut w = World::<F>::new(seed);
        w.set(1, include(&[1, 2]));
        w.settle();
        w.query(Scope::Group(F::group(1)), TEN_SECONDS);
        let first = w.host.poll_timeout().unwrap();
        w.query(Scope::Group(F::group(1)), Duration::from_secs(1));
        let second = w.host.poll_timeout().unwrap();
        assert!(second <= first && second.since(w.now) <= Duration::from_secs(1));
        w.query(Scope::Group(F::group(1)), Duration::from_secs(1000));
        assert!(w.host.poll_timeout().unwrap() <= second);
        assert_eq!(w.all_records(), [record(ModeIsInclude, 1, &[1, 2])]);
    }
}

// G18, RFC 9776 5.2, rules 4 and 5.
fn queried_sources_are_merged_and_a_group_query_clears_them<F: TestFamily>() {
    let joined = || {
        let mut w = World::<F>::new(1);
        w.set(1, include(&[1, 2, 3]));
        w.settle();
        w
    };
    let mut w = joined();
    w.query_sources(1, &[1, 9], TEN_SECONDS);
    w.query_sources(1, &[3], TEN_SECONDS);
    assert_eq!(w.all_records(), [record(ModeIsInclude, 1, &[1, 3])]);
    for group_query_first in [true, false] {
        let mut w = joined();
        if group_query_first {
            w.query(Scope::Group(F::group(1)), TEN_SECONDS);
        }
        w.query_sources(1, &[1], TEN_SECONDS);
        if !group_query_first {
            w.query(Scope::Group(F::group(1)), TEN_SECONDS);
        }
        assert_eq!(w.all_records(), [record(ModeIsInclude, 1, &[1, 2, 3])]);
    }
}

// G19, RFC 9776 5.2, table 5.
fn the_answer_to_a_query_of_sources_is_that_of_table_5<F: TestFamily>() {
    let cases: [(SourceFilter<F>, &[u8], &[u8]); 6] = [
        // INCLUDE (A), B: IS_IN (A*B)
        (include(&[1, 2]), &[2, 3], &[2]),
        (include(&[1, 2]), &[3], &[]),
        // EXCLUDE (A), B: IS_IN (B-A)
        (exclude(&[1, 2]), &[2, 3], &[3]),
        (exclude(&[1, 2]), &[1, 2], &[]),
        (exclude(&[]), &[4, 5], &[4, 5]),
        // No state.
        (include(&[]), &[1], &[]),
    ];
    for (filter, queried, answer) in cases {
        let mut w = World::<F>::new(1);
        w.set(1, filter.clone());
        w.settle();
        w.query_sources(1, queried, TEN_SECONDS);
        let expected = if answer.is_empty() { vec![] } else { vec![record(ModeIsInclude, 1, answer)] };
        assert_eq!(w.all_records(), expected, "{filter}, asked for {queried:?}");
    }
}

// G20, RFC 9776 5.2: what counts is the state when the timer expires.
fn an_answer_says_what_is_wanted_when_it_is_sent<F: TestFamily>() {
    let mut w = World::<F>::new(1);
    w.query(Scope::Group(F::group(1)), TEN_SECONDS);
    w.query(Scope::General, TEN_SECONDS);
    assert_eq!(w.host.poll_timeout(), None, "nothing joined, nothing to say");
    w.set(1, SourceFilter::ANY);
    w.settle();
    w.query(Scope::Group(F::group(1)), TEN_SECONDS);
    w.set(1, exclude(&[1]));
    let answer = record(ModeIsExclude, 1, &[1]);
    assert_eq!(w.all_records().iter().filter(|r| **r == answer).count(), 1);
    w.query(Scope::Group(F::group(1)), TEN_SECONDS);
    w.query(Scope::General, TEN_SECONDS);
    w.set(1, SourceFilter::NONE);
    assert!(w.all_records().iter().all(|r| *r == record(ChangeToInclude, 1, &[])), "left before the answer");
}

// G21, RFC 9776 5.2: packed, spread, complete, in time.
fn a_long_general_answer_is_spread_over_few_reports<F: TestFamily>() {
    let mut w = World::<F>::new(1);
    for group in 0..1000 {
        w.set(group, SourceFilter::ANY);
    }
    w.settle();
    let asked = w.now;
    w.query(Scope::General, TEN_SECONDS);
    let (mut told, mut times) = (Vec::new(), BTreeSet::new());
    while let Some((_, records)) = w.step() {
        assert!(records.iter().map(|r| record_len::<F>(r.sources.len())).sum::<usize>() <= ROOM);
        told.extend(records);
        times.insert(w.now);
    }
    assert_eq!(told, (0..1000).map(|group| record(ModeIsExclude, group, &[])).collect::<Vec<_>>());
    let reports = (1000 * record_len::<F>(0)).div_ceil(ROOM);
    assert!(times.len() <= reports + 1, "{} reports", times.len());
    assert!(w.now.since(asked) <= TEN_SECONDS);
    assert!(w.now.since(*times.first().unwrap()) > TEN_SECONDS / 4, "not in a burst");
}

// G16, G21: a query in the middle of a long answer is answered for every group, too.
fn a_query_during_a_long_answer_is_answered_in_full<F: TestFamily>() {
    let mut w = World::<F>::new(1);
    for group in 0..1000 {
        w.set(group, SourceFilter::ANY);
    }
    w.settle();
    w.query(Scope::General, TEN_SECONDS);
    for _ in 0..3 {
        w.step();
    }
    w.query(Scope::General, TEN_SECONDS);
    let asked = w.now;
    let told = w.all_records();
    assert_eq!(told.len(), 1000);
    assert_eq!(told.iter().map(|r| r.group).collect::<BTreeSet<_>>().len(), 1000);
    assert!(w.now.since(asked) <= TEN_SECONDS);
}

// G47: a flood of queries has a trickle of answers, and all groups have their turn.
fn a_flood_of_queries_is_answered_a_few_times_a_second<F: TestFamily>() {
    for (groups, max_response) in [(1, Duration::ZERO), (1, TEN_SECONDS), (1000, TEN_SECONDS)] {
        let mut w = World::<F>::new(1);
        for group in 0..groups {
            w.set(group, SourceFilter::ANY);
        }
        w.settle();
        let sources: BTreeSet<_> =
            (0..QUERIED_SOURCES_MAX / 4).map(|n| F::wide_source(u16::try_from(n).unwrap())).collect();
        let (mut told, mut reports) = (BTreeSet::new(), 0);
        for i in 0..100_000_u32 {
            w.now += Duration::from_micros(100);
            w.query(Scope::General, max_response);
            w.query(Scope::Group(F::group(0)), max_response);
            if i % 64 == 0 {
                w.query(Scope::GroupAndSources(F::group(0), sources.clone()), max_response);
            }
            for report in w.reports() {
                reports += 1;
                told.extend(report.records.into_iter().map(|r| r.group));
            }
        }
        // Ten seconds; once by the general answer and once by the group's own, each ten times a second at most; a long
        // general answer takes all its reports.
        let each = (usize::from(groups) * record_len::<F>(0)).div_ceil(ROOM) + 1;
        assert!(reports <= 10 * 10 * 2 * each, "{reports} reports");
        assert_eq!(told.len(), usize::from(groups));
    }
}

// G18, G47: sources of queries are not collected without end; the whole state is the answer then.
fn queried_sources_are_bounded<F: TestFamily>() {
    let mut w = World::<F>::new(1);
    w.set(1, include(&[1]));
    w.settle();
    for n in 0..20 {
        let sources = (0..100).map(|i| F::wide_source(1000 + n * 100 + i)).collect();
        w.query(Scope::GroupAndSources(F::group(1), sources), Duration::from_secs(1000));
    }
    assert_eq!(w.all_records(), [record(ModeIsInclude, 1, &[1])]);
}

for_both_families!(
    answers_are_spread_over_the_max_resp_time,
    a_query_that_wants_its_answer_now_gets_it,
    two_general_queries_have_one_answer_in_time_for_both,
    a_sooner_general_answer_stands_for_a_group_query,
    a_second_group_query_never_puts_the_answer_off,
    queried_sources_are_merged_and_a_group_query_clears_them,
    the_answer_to_a_query_of_sources_is_that_of_table_5,
    an_answer_says_what_is_wanted_when_it_is_sent,
    a_long_general_answer_is_spread_over_few_reports,
    a_query_during_a_long_answer_is_answered_in_full,
    a_flood_of_queries_is_answered_a_few_times_a_second,
    queried_sources_are_bounded
);
