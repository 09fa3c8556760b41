//! Version 1: its messages, when it is spoken, and what goes with a change.

use super::*;
use crate::stack::gmp::OlderQueriers;
use crate::stack::gmp::interface::RESYNC;

// L02, L12, RFC 2710 4, 7.10: a version 1 report to its group, again within ten seconds, and Done to all routers.
#[test]
fn version_1_says_reports_to_the_group_and_done_to_all_routers() {
    let mut w = World::empty(pinned(MldVersion::V1));
    w.set(OURS, SourceFilter::ANY);
    assert_eq!(w.pass(NANO), reports(&[OURS]), "at once");
    let began = w.now;
    let again = w.pass_at(SECOND * 60);
    let [(at, said)] = &again[..] else { panic!("{again:?}") };
    assert_eq!(vec![said.clone()], reports(&[OURS]));
    assert!(at.since(began) <= SECOND * 10);
    w.set(OURS, SourceFilter::NONE);
    assert_eq!(w.pass(SECOND * 60), [Said::Leave(group(OURS))]);
}

// L12, RFC 9777 9.11: in version 2 the interval is a second; in version 1 often longer than that.
#[test]
fn the_unsolicited_report_interval_is_a_second_in_version_2_and_ten_in_version_1() {
    for (version, most) in [(MldVersion::V2, SECOND), (MldVersion::V1, SECOND * 10)] {
        let mut longest = Duration::ZERO;
        for seed in 0..60 {
            let mut w = World::empty(pinned(version));
            w.rng = Rng::new(seed);
            w.set(OURS, SourceFilter::ANY);
            let said = w.pass_at(SECOND * 60);
            let [(first, _), (second, _)] = &said[..] else { panic!("{said:?}") };
            longest = longest.max(second.since(*first));
        }
        assert!(longest <= most && longest > most / 2, "{version}: {longest:?}");
    }
}

// L11 (the twin of G40), RFC 2710 4: version 1 is suppressed; version 2 never, by anything (RFC 9777 6).
#[test]
fn another_hosts_report_suppresses_ours_in_version_1_only() {
    for (version, left) in [(Version::V1, reports(&[OTHER])), (Version::V2, vec![state()])] {
        let mut w = World::new(MldPolicy::default());
        w.hear(&general(version));
        let payload = <V6 as TestFormat>::report(group(OURS), Version::V1);
        let heard = w.receive(&Packet { dst: v6(OURS), ..packet(&payload) });
        let expected = if version == Version::V1 { Ok(()) } else { Err(DropReason::MldUnwanted) };
        assert_eq!((heard, w.pass(SECOND * 11)), (expected, left));
    }
    // What other hosts say in version 2, and Done, says nothing to a host.
    for kind in [143, 132] {
        let mut w = World::new(MldPolicy::default());
        let dst = v6("ff02::16");
        let payload = short_to(dst, kind, 0, v6(OURS));
        assert_eq!(w.receive(&Packet { dst, ..packet(&payload) }), Err(DropReason::MldUnwanted));
    }
}

// L11, RFC 9777 8.2.1, 9.12: version 1 for 260 s after its query, whatever else is heard; what was pending is cancelled; and
// version 2 again afterwards, when everything is told anew.
#[test]
fn an_older_querier_is_spoken_to_in_its_version_for_260_seconds() {
    for within in [SECOND, SECOND * 10, SECOND * 60] {
        let mut w = World::new(MldPolicy::default());
        w.set("ff0e::9", SourceFilter::ANY);
        assert!(matches!(&w.pass(NANO)[..], [Said::Records(_)]));
        w.hear(&<V6 as TestFormat>::query(Version::V1, None, &[], within));
        let heard = w.now;
        assert_eq!(w.version(), Version::V1);
        // L16: of the source-specific range nothing is said in it.
        assert_eq!(sorted(w.pass(within + NANO)), sorted(reports(&[OURS, OTHER, "ff0e::9"])));
        assert_eq!((w.mld.status(w.now).groups, w.mld.status(w.now).silent_groups), (4, 1));
        w.hear(&general(Version::V2));
        assert_eq!(sorted(w.pass(SECOND * 11)), sorted(reports(&[OURS, OTHER, "ff0e::9"])), "in version 1");
        let left = SECOND * 260 - w.now.since(heard);
        assert_eq!(w.mld.status(w.now).older, OlderQueriers { v1_until: Some(w.now + left), v2_until: None });
        assert_eq!(w.pass(left - NANO), []);
        assert_eq!(w.version(), Version::V1);
        let back = w.now;
        let said = w.pass_at(SECOND * 20);
        let [(at, Said::Records(told))] = &said[..] else { panic!("{said:?}") };
        assert_eq!((w.version(), told.len()), (Version::V2, 4));
        assert!(*at > back && at.since(back) <= RESYNC + SECOND, "not all hosts at once");
    }
    // By the configuration's variables.
    let policy =
        MldPolicy { robustness: Robustness::Pinned(3), query_interval: SECOND * 60, ..MldPolicy::default() };
    let mut w = World::new(policy);
    w.hear(&general(Version::V1));
    assert_eq!(w.mld.status(w.now).older.v1_until, Some(w.now + SECOND * 190));
}

// L11, RFC 9777 8.2.1: by General Queries alone; one of a group is answered in the version that is spoken.
#[test]
fn a_version_1_query_of_a_group_changes_nothing() {
    let mut w = World::new(MldPolicy::default());
    w.hear(&query_to(V6::ALL_HOSTS, 1000, v6(OURS), &[]));
    assert_eq!(w.pass(SECOND * 2), [records(RecordKind::ModeIsExclude, OURS, &[])]);
    assert_eq!((w.version(), w.mld.status(w.now).older), (Version::V2, OlderQueriers::default()));
}

// A pinned version is spoken whatever queriers speak; they are remembered for when it is not pinned any more.
#[test]
fn a_pinned_version_is_neither_left_nor_entered() {
    for (pin, spoken) in [(MldVersion::V1, Version::V1), (MldVersion::V2, Version::V2)] {
        for heard in [Version::V1, Version::V2] {
            let mut w = World::new(pinned(pin));
            w.hear(&general(heard));
            let expected = if spoken == Version::V2 { vec![state()] } else { reports(&[OURS, OTHER]) };
            assert_eq!((sorted(w.pass(SECOND * 11)), w.version()), (sorted(expected), spoken));
            w.mld.set_policy(w.now, MldPolicy::default());
            assert_eq!(w.version(), heard);
            assert_eq!(w.pass(NANO).is_empty(), heard == spoken, "told anew at once");
        }
    }
}

// L16, RFC 4604 2.2.1: in ff3x::/32, EXCLUDE mode is not told, and nothing in version 1.
#[test]
fn the_source_specific_range_is_told_by_its_sources_alone() {
    let mut w = World::new(MldPolicy::default());
    w.set("ff3e::9", SourceFilter::ANY);
    assert_eq!(w.pass(SECOND * 5), []);
    w.set(SSM, SourceFilter::ANY);
    assert_eq!(w.pass(SECOND * 5), vec![records(RecordKind::BlockOldSources, SSM, &[1]); 2]);
    let mut w = World::empty(pinned(MldVersion::V1));
    w.set(SSM, include(&[1]));
    w.hear(&query_to(V6::ALL_HOSTS, 1000, v6(SSM), &[]));
    w.set(SSM, SourceFilter::NONE);
    assert_eq!(w.pass(SECOND * 60), []);
}

// L09: the twins of G44 and G45: all of it anew when the link comes up, and a clean end.
#[test]
fn everything_is_announced_anew_and_left_at_the_end_in_both_versions() {
    for (version, announced, left) in [(MldVersion::V1, 4, 2), (MldVersion::V2, 2, 1)] {
        let mut w = World::new(pinned(version));
        w.mld.announce_all(w.now);
        assert_eq!(w.pass(SECOND * 11).len(), announced, "{version}");
        w.mld.leave_all(w.now);
        assert_eq!(w.pass(NANO).len(), left, "{version}");
        w.pass(SECOND * 20);
        assert_eq!(w.mld.message_timeout(), None, "and nothing else is to be said");
        w.hear(&general(Version::V2));
        assert_eq!((w.pass(SECOND * 20), w.mld.status(w.now).groups), (vec![], 0));
    }
}
