//! Which version is spoken: by the queriers, by the configuration, and what goes with a change.

use super::*;
use crate::stack::gmp::interface::RESYNC;
use crate::stack::gmp::{HeardQuerier, OlderQueriers};

const SECOND: Duration = Duration::from_secs(1);
/// G38, RFC 9776 8.12: 2 x 125 s + 10 x 10 s.
const OLDER_PRESENT: Duration = Duration::from_secs(350);

/// An interface in some state, its clock and its chance.
struct World {
    igmp: Igmp,
    now: Instant,
    rng: Rng,
}

impl World {
    /// 239.1.2.3 is joined from any source, 239.1.2.4 from one, 232.1.2.3 from one; all that was to be said is said.
    fn new(policy: IgmpPolicy) -> Self {
        let mut w = Self { igmp: with(policy), now: Instant::ZERO, rng: Rng::new(7) };
        w.set("239.1.2.3", SourceFilter::ANY);
        w.set("239.1.2.4", include(&[4]));
        w.set("232.1.2.3", include(&[1]));
        w.pass(SECOND * 60);
        w
    }

    fn set(&mut self, g: &str, filter: SourceFilter<V4>) {
        self.igmp.set_filter(self.now, group(g), filter);
    }

    #[track_caller]
    fn hear(&mut self, payload: &[u8]) {
        assert_eq!(self.igmp.receive(self.now, &mut self.rng, &packet(payload)), Ok(()));
    }

    /// What is said while `time` passes.
    fn pass(&mut self, time: Duration) -> Vec<Said> {
        self.pass_at(time).into_iter().map(|(_, said)| said).collect()
    }

    fn pass_at(&mut self, time: Duration) -> Vec<(Instant, Said)> {
        let end = self.now + time;
        let all = all_until(&mut self.igmp, self.now, &mut self.rng, end);
        self.now = end;
        all
    }

    fn version(&self) -> Version {
        self.igmp.status(self.now).version
    }
}

fn older(groups: &[&str], version: Version) -> Vec<Said> {
    let say = if version == Version::V1 { Said::V1 } else { Said::V2 };
    groups.iter().map(|g| say(group(g))).collect()
}

fn sorted(mut said: Vec<Said>) -> Vec<Said> {
    said.sort_by_key(|said| format!("{said:?}"));
    said
}

fn current(g: &str, kind: RecordKind, sources: &[u8]) -> (RecordKind, Group<V4>, Vec<Ipv4Addr>) {
    (kind, group(g), sources.iter().map(|n| V4::source(*n)).collect())
}

/// The whole state, as an answer tells it.
fn state() -> Said {
    use RecordKind::{ModeIsExclude, ModeIsInclude};
    Said::V3(vec![
        current("232.1.2.3", ModeIsInclude, &[1]),
        current("239.1.2.3", ModeIsExclude, &[]),
        current("239.1.2.4", ModeIsInclude, &[4]),
    ])
}

// G03, RFC 1112, appendix I, and RFC 2236 2: byte by byte.
#[test]
fn the_messages_of_the_older_versions_are_these_frames() {
    let mut w = World::new(IgmpPolicy { version: IgmpVersion::V2, ..IgmpPolicy::default() });
    w.set("239.1.2.5", SourceFilter::ANY);
    #[rustfmt::skip]
    let mut expected = [
        0x01, 0x00, 0x5e, 0x01, 0x02, 0x05, 0x02, 0, 0, 0, 0, 0x02, 0x08, 0x00,
        // Version 4, six words, TOS 0xc0, 32 bytes, id 0, DF, TTL 1, IGMP, checksum, addresses, Router Alert.
        0x46, 0xc0, 0, 32, 0, 0, 0x40, 0, 1, 2, 0x2c, 0xfd, 198, 18, 0, 2, 239, 1, 2, 5, 0x94, 0x04, 0, 0,
        // A report of 239.1.2.5.
        0x16, 0, 0xf8, 0xf8, 239, 1, 2, 5,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ];
    assert_eq!(frames(&mut w.igmp, w.now, &mut w.rng), [expected]);
    w.set("239.1.2.5", SourceFilter::NONE);
    expected[..6].copy_from_slice(&[0x01, 0x00, 0x5e, 0, 0, 2]);
    expected[24..26].copy_from_slice(&[0x3e, 0x01]);
    expected[30..34].copy_from_slice(&[224, 0, 0, 2]);
    expected[38..42].copy_from_slice(&[0x17, 0, 0xf7, 0xf8]);
    assert_eq!(frames(&mut w.igmp, w.now, &mut w.rng), [expected]);
    let mut w = World::new(IgmpPolicy { version: IgmpVersion::V1, ..IgmpPolicy::default() });
    w.set("239.1.2.5", SourceFilter::ANY);
    expected[..6].copy_from_slice(&[0x01, 0x00, 0x5e, 0x01, 0x02, 0x05]);
    expected[24..26].copy_from_slice(&[0x2c, 0xfd]);
    expected[30..34].copy_from_slice(&[239, 1, 2, 5]);
    expected[38..42].copy_from_slice(&[0x12, 0, 0xfc, 0xf8]);
    assert_eq!(frames(&mut w.igmp, w.now, &mut w.rng), [expected]);
    w.set("239.1.2.5", SourceFilter::NONE);
    assert_eq!(w.pass(SECOND * 20), [], "version 1 has no leave");
}

// G36, G37, G38, RFC 9776 7.2.1, 8.12: entered at once, answered in the older version, left when the timer is over; then
// everything is told anew, sources and source-specific groups among it.
#[test]
fn an_older_querier_is_spoken_to_in_its_version_as_long_as_it_is_there() {
    for version in [Version::V1, Version::V2] {
        let mut w = World::new(IgmpPolicy::default());
        w.hear(&general(version));
        assert_eq!(w.version(), version);
        // G48, RFC 4604 2.2.1: of 232.1.2.3 nothing is said.
        let answers = w.pass(SECOND * 10 + Duration::from_nanos(1));
        assert_eq!(sorted(answers), older(&["239.1.2.3", "239.1.2.4"], version));
        assert_eq!((w.igmp.status(w.now).groups, w.igmp.status(w.now).silent_groups), (3, 1));
        // A change is told in that version, too, and repeated within ten seconds.
        w.set("239.1.2.5", SourceFilter::ANY);
        assert_eq!(w.pass(SECOND * 11), older(&["239.1.2.5", "239.1.2.5"], version));
        w.set("239.1.2.5", SourceFilter::NONE);
        let leaves = if version == Version::V1 { vec![] } else { vec![Said::Leave(group("239.1.2.5"))] };
        assert_eq!(w.pass(SECOND), leaves);
        // Of version 3 nothing is said until the timer is over, and a query of version 3 does not end it.
        w.now += SECOND * 100;
        w.hear(&general(Version::V3));
        let answers = w.pass(SECOND * 11);
        assert_eq!(sorted(answers), older(&["239.1.2.3", "239.1.2.4"], version));
        let left = if version == Version::V1 {
            w.igmp.status(w.now).older.v1_until
        } else {
            w.igmp.status(w.now).older.v2_until
        };
        let left = left.unwrap().since(w.now);
        assert!(left > OLDER_PRESENT - SECOND * 140 && left < OLDER_PRESENT - SECOND * 120, "{left:?}");
        assert_eq!(w.pass(left - Duration::from_nanos(1)), []);
        assert_eq!(w.version(), version);
        let back = w.now;
        let said = w.pass_at(SECOND * 20);
        let [(at, said)] = &said[..] else { panic!("{said:?}") };
        assert_eq!((w.version(), said), (Version::V3, &state()));
        assert!(*at > back && at.since(back) <= RESYNC + SECOND, "not all hosts at once");
    }
}

// G36, RFC 9776 7.2.1: by General Queries alone; one of a group is answered in the version that is spoken.
#[test]
fn an_older_query_of_a_group_changes_nothing() {
    let mut w = World::new(IgmpPolicy::default());
    w.hear(&short(0x11, 10, group("239.1.2.3")));
    assert_eq!(w.version(), Version::V3);
    let answer = Said::V3(vec![current("239.1.2.3", RecordKind::ModeIsExclude, &[])]);
    assert_eq!(w.pass(SECOND * 2), [answer]);
    assert_eq!(w.igmp.status(w.now).older, OlderQueriers::default());
}

// G37, RFC 9776 7.2.1: version 1 before 2, 2 before 3.
#[test]
fn the_oldest_of_several_queriers_decides() {
    let mut w = World::new(IgmpPolicy::default());
    w.hear(&general(Version::V1));
    w.pass(SECOND * 100);
    w.hear(&general(Version::V2));
    assert_eq!(sorted(w.pass(SECOND * 11)), older(&["239.1.2.3", "239.1.2.4"], Version::V1));
    // 350 s after the query of version 1.
    assert_eq!(w.pass(OLDER_PRESENT - SECOND * 112), []);
    let said = w.pass(SECOND * 20);
    assert_eq!(w.version(), Version::V2);
    assert_eq!(sorted(said), older(&["239.1.2.3", "239.1.2.4"], Version::V2), "told anew in the newer one");
    assert_eq!(w.pass(SECOND * 300), [state()]);
    assert_eq!(w.version(), Version::V3);
}

// G38, RFC 9776 8.12: by the host's own variables and that query's Max Resp Time, whatever another querier says of its own.
#[test]
fn the_timer_of_an_older_querier_goes_by_the_configuration() {
    let left = |policy, code| {
        let mut w = World::new(policy);
        w.hear(&query(100, "0.0.0.0", &[7, 20, 0, 0]));
        w.hear(&query(code, "0.0.0.0", &[]));
        w.igmp.status(w.now).older.v2_until.unwrap().since(w.now)
    };
    let default = IgmpPolicy::default();
    assert_eq!(left(default, 100), OLDER_PRESENT);
    assert_eq!(left(default, 10), SECOND * 260);
    let policy = IgmpPolicy { robustness: Robustness::Pinned(3), query_interval: SECOND * 60, ..default };
    assert_eq!(left(policy, 100), SECOND * 280);
}

// G39, RFC 9776 7.2.1: a change of the version cancels what is pending; no 0x22 follows a query of version 2.
#[test]
fn nothing_of_version_3_leaks_into_an_older_one() {
    let mut w = World::new(IgmpPolicy::default());
    w.set("239.9.9.9", SourceFilter::ANY);
    w.set("239.1.2.3", SourceFilter::NONE);
    assert!(matches!(&w.pass(Duration::from_nanos(1))[..], [Said::V3(_)]));
    w.hear(&general(Version::V3));
    w.hear(&query(100, "239.1.2.4", &[2, 125, 0, 0]));
    w.hear(&general(Version::V2));
    assert_eq!(sorted(w.pass(SECOND * 15)), older(&["239.1.2.4", "239.9.9.9"], Version::V2));
    // And back: what was pending in version 2 is not said.
    w.igmp.set_policy(w.now, IgmpPolicy { version: IgmpVersion::V2, ..IgmpPolicy::default() });
    w.set("239.9.9.8", SourceFilter::ANY);
    w.hear(&general(Version::V2));
    w.igmp.set_policy(w.now, IgmpPolicy { version: IgmpVersion::V3, ..IgmpPolicy::default() });
    assert!(w.pass(SECOND * 30).iter().all(|said| matches!(said, Said::V3(_))));
}

// G40, RFC 2236 3: from whatever address it came; G08: in version 3 never, and no other's report of version 3 in any.
#[test]
fn another_hosts_report_suppresses_ours_in_the_older_versions_only() {
    let ours = group("239.1.2.3");
    fn report(to: Ipv4Addr, payload: &[u8]) -> Packet<'_> {
        Packet { src: Ipv4Addr::UNSPECIFIED, dst: to, hop_limit: 1, router_alert: true, payload }
    }
    for (version, kind) in [
        (Version::V1, 0x12),
        (Version::V1, 0x16),
        (Version::V2, 0x12),
        (Version::V2, 0x16),
        (Version::V3, 0x16),
    ] {
        let mut w = World::new(IgmpPolicy::default());
        w.hear(&general(version));
        let payload = short(kind, 0, ours);
        let heard = w.igmp.receive(w.now, &mut w.rng, &report(ours.addr(), &payload));
        let said = sorted(w.pass(SECOND * 11));
        if version == Version::V3 {
            assert_eq!((heard, said), (Err(DropReason::IgmpUnwanted), vec![state()]));
        } else {
            assert_eq!((heard, said), (Ok(()), older(&["239.1.2.4"], version)));
        }
    }
    let mut w = World::new(IgmpPolicy::default());
    w.hear(&general(Version::V2));
    let v3 = query(0, "0.0.0.1", &[2, 0, 0, 0, 239, 1, 2, 3]);
    let mut v3 = v3;
    v3[0] = 0x22;
    v3[2] -= 0x11;
    let heard = w.igmp.receive(w.now, &mut w.rng, &packet(&v3));
    assert_eq!(heard, Err(DropReason::IgmpUnwanted));
    // What goes to this host alone has been heard by no router.
    let payload = short(0x16, 0, ours);
    let to_us = report(Ipv4Addr::new(198, 18, 0, 2), &payload);
    assert_eq!(w.igmp.receive(w.now, &mut w.rng, &to_us), Err(DropReason::IgmpUnwanted));
    assert_eq!(w.pass(SECOND * 11).len(), 2);
}

// G42, RFC 2236 3: a Group-Specific Query after another host's leave is answered in its time, wherever it was sent (G09).
#[test]
fn a_query_of_a_group_is_answered_in_time_in_version_2() {
    for dst in ["224.0.0.1", "239.1.2.3", "198.18.0.2"] {
        let mut w = World::new(IgmpPolicy { version: IgmpVersion::V2, ..IgmpPolicy::default() });
        let payload = short(0x11, 10, group("239.1.2.3"));
        let packet = Packet { dst: dst.parse().unwrap(), ..packet(&payload) };
        w.igmp.receive(w.now, &mut w.rng, &packet).unwrap();
        let asked = w.now;
        let said = w.pass_at(SECOND * 20);
        assert!(
            matches!(&said[..], [(at, Said::V2(g))] if *g == group("239.1.2.3") && at.since(asked) <= SECOND)
        );
    }
}

// A pinned version is spoken whatever queriers speak; they are remembered for when it is not pinned any more.
#[test]
fn a_pinned_version_is_neither_left_nor_entered() {
    for (pin, pinned) in
        [(IgmpVersion::V1, Version::V1), (IgmpVersion::V2, Version::V2), (IgmpVersion::V3, Version::V3)]
    {
        for heard in [Version::V1, Version::V2, Version::V3] {
            let mut w = World::new(IgmpPolicy { version: pin, ..IgmpPolicy::default() });
            w.hear(&general(heard));
            let said = w.pass(SECOND * 11);
            if pinned == Version::V3 {
                assert_eq!(said, [state()]);
            } else {
                assert_eq!(sorted(said), older(&["239.1.2.3", "239.1.2.4"], pinned));
            }
            assert_eq!(w.version(), pinned);
            assert_eq!(w.igmp.status(w.now).older.version(Version::V3), heard);
            w.igmp.set_policy(w.now, IgmpPolicy::default());
            assert_eq!(w.version(), heard);
            assert_eq!(w.pass(Duration::from_nanos(1)).is_empty(), heard == pinned, "told anew at once");
        }
    }
}

// The choice changes while it runs: what was pending is cancelled, everything is told in the new version, at once and again.
#[test]
fn another_version_by_order_is_told_at_once() {
    let mut w = World::new(IgmpPolicy::default());
    w.hear(&general(Version::V3));
    w.igmp.set_policy(w.now, IgmpPolicy { version: IgmpVersion::V2, ..IgmpPolicy::default() });
    let now = w.pass(Duration::from_nanos(1));
    assert_eq!(sorted(now), older(&["239.1.2.3", "239.1.2.4"], Version::V2));
    assert_eq!(sorted(w.pass(SECOND * 11)), older(&["239.1.2.3", "239.1.2.4"], Version::V2));
    let pinned =
        IgmpPolicy { version: IgmpVersion::V3, robustness: Robustness::Pinned(3), ..IgmpPolicy::default() };
    w.igmp.set_policy(w.now, pinned);
    assert_eq!(w.pass(SECOND * 4).len(), 3, "as often as the robustness variable says");
    // The same again is no change.
    w.igmp.set_policy(w.now, pinned);
    assert_eq!(w.pass(SECOND * 20), []);
}

// G23, RFC 9776 4.1.6: a number in the configuration stands against the querier's.
#[test]
fn a_pinned_robustness_variable_is_the_querier_s_no_more() {
    for (robustness, reports) in
        [(Robustness::Auto, 7), (Robustness::Pinned(1), 1), (Robustness::Pinned(4), 4)]
    {
        let mut w = World::new(IgmpPolicy { robustness, ..IgmpPolicy::default() });
        w.hear(&query(10, "0.0.0.0", &[7, 125, 0, 0]));
        w.pass(SECOND * 2);
        w.set("239.9.9.9", SourceFilter::ANY);
        assert_eq!(w.pass(SECOND * 30).len(), reports, "{robustness}");
    }
}

// G10, G11, RFC 3376 9.1: what a strict host ignores, and a lenient one answers as Linux does.
#[test]
fn strict_queries_are_a_choice() {
    let (v1, v2, v3) = (general(Version::V1), general(Version::V2), general(Version::V3));
    let group_v2 = short(0x11, 10, group("239.1.2.3"));
    let bare = |payload| Packet { router_alert: false, ..packet(payload) };
    let elsewhere = |payload| Packet { dst: Ipv4Addr::new(239, 1, 2, 3), ..packet(payload) };
    let unicast = |payload| Packet { dst: Ipv4Addr::new(198, 18, 0, 2), ..packet(payload) };
    let cases = [
        (packet(&v1), true),
        (packet(&v2), true),
        (packet(&v3), true),
        (unicast(&v3), true),
        (bare(&v1), true),
        (bare(&v2), false),
        (bare(&v3), false),
        (bare(&group_v2), false),
        (elsewhere(&v1), false),
        (elsewhere(&v2), false),
        (elsewhere(&v3), false),
        (elsewhere(&group_v2), true),
    ];
    for (packet, strictly_right) in cases {
        for strict_queries in [false, true] {
            let mut w = World::new(IgmpPolicy { strict_queries, ..IgmpPolicy::default() });
            let outcome = w.igmp.receive(w.now, &mut w.rng, &packet);
            if strictly_right || !strict_queries {
                assert_eq!(outcome, Ok(()), "{packet:?}");
                assert!(!w.pass(SECOND * 11).is_empty(), "{packet:?}");
            } else {
                assert_eq!(outcome, Err(DropReason::IgmpQueryStrict), "{packet:?}");
                assert_eq!((w.pass(SECOND * 11), w.version()), (vec![], Version::V3), "{packet:?}");
            }
        }
    }
}

// G12, RFC 4541 2.1.1: switches ask from 0.0.0.0.
#[test]
fn the_querier_is_who_asked_last_of_all_groups() {
    let mut w = World::new(IgmpPolicy::default());
    assert_eq!(w.igmp.status(w.now).querier, None);
    let payload = general(Version::V3);
    w.igmp.receive(w.now, &mut w.rng, &Packet { src: Ipv4Addr::UNSPECIFIED, ..packet(&payload) }).unwrap();
    let at = w.now;
    w.pass(SECOND * 11);
    w.hear(&short(0x11, 10, group("239.1.2.3")));
    let querier = w.igmp.status(w.now).querier.unwrap();
    assert_eq!(querier, HeardQuerier { addr: Ipv4Addr::UNSPECIFIED, version: Version::V3, at });
    assert_eq!((w.igmp.status(w.now).robustness, w.igmp.status(w.now).query_interval), (2, SECOND * 125));
}

// G44, RFC 9776 4.2.13: the link came up, or there is an address now; in version 2, too.
#[test]
fn everything_is_announced_anew_in_every_version() {
    for (version, frames) in [(IgmpVersion::V1, 2 * 2), (IgmpVersion::V2, 2 * 2), (IgmpVersion::V3, 2)] {
        let mut w = World::new(IgmpPolicy { version, ..IgmpPolicy::default() });
        w.igmp.announce_all(w.now);
        assert_eq!(w.pass(SECOND * 11).len(), frames, "{version}");
    }
}

// G45: and in version 1 there is nothing to say.
#[test]
fn a_shutdown_leaves_every_group_in_every_version() {
    for (version, frames) in [(IgmpVersion::V1, 0), (IgmpVersion::V2, 2), (IgmpVersion::V3, 1)] {
        let mut w = World::new(IgmpPolicy { version, ..IgmpPolicy::default() });
        w.hear(&general(Version::V3));
        w.igmp.leave_all(w.now);
        assert_eq!(w.pass(Duration::from_nanos(1)).len(), frames, "{version}");
        w.pass(SECOND * 20);
        assert_eq!(w.igmp.message_timeout(), None, "and nothing else is to be said");
        w.hear(&general(Version::V3));
        assert_eq!((w.pass(SECOND * 20), w.igmp.status(w.now).groups), (vec![], 0));
    }
}

// G05, RFC 4541 2.1.2: groups of the link are reported as any other; G04: but for that of all hosts.
#[test]
fn groups_of_the_link_are_reported() {
    for version in [IgmpVersion::V1, IgmpVersion::V2, IgmpVersion::V3] {
        let mut w = World::new(IgmpPolicy { version, ..IgmpPolicy::default() });
        w.set("224.0.0.251", SourceFilter::ANY);
        w.set("224.0.0.1", SourceFilter::ANY);
        let said = w.pass(Duration::from_nanos(1));
        let expected = match version {
            IgmpVersion::V1 => Said::V1(group("224.0.0.251")),
            IgmpVersion::V2 => Said::V2(group("224.0.0.251")),
            _ => Said::V3(vec![current("224.0.0.251", RecordKind::ChangeToExclude, &[])]),
        };
        assert_eq!(said, [expected]);
        w.hear(&short(0x11, 10, group("224.0.0.1")));
        w.pass(SECOND * 20);
        w.set("224.0.0.1", SourceFilter::NONE);
        assert_eq!(w.pass(SECOND * 20), []);
    }
}

// G48, RFC 4604 2.2.1: whoever asks for EXCLUDE mode in the source-specific range, routers hear nothing of it.
#[test]
fn exclude_mode_of_the_source_specific_range_is_not_told() {
    let mut w = World::new(IgmpPolicy::default());
    w.set("232.9.9.9", SourceFilter::ANY);
    assert_eq!((w.pass(SECOND * 5), w.igmp.status(w.now).groups), (vec![], 3));
    w.set("232.1.2.3", SourceFilter::ANY);
    let leave = Said::V3(vec![current("232.1.2.3", RecordKind::BlockOldSources, &[1])]);
    assert_eq!(w.pass(SECOND * 5), [leave.clone(), leave], "from INCLUDE: what was wanted is left");
}
