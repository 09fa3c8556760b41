//! IGMPv1 and v2 in the whole host: among routers that speak them, by configuration, and by command.
//!
//! The router of the simulator asks and understands in its version alone; simulated time makes minutes free.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::time::Duration;

use pollcast::engine::command::{Answer, Command, IgmpAnswer, IgmpOrder};
use pollcast::io::{ConflictDetection, DropReason, IgmpPolicy, IgmpVersion, Robustness};
use pollcast::sim::frames::{IgmpMessage, IgmpQuery, RecordKind, igmp_frame, sealed};
use pollcast::sim::router::{RouterOptions, Sources, View};
use pollcast::sim::setup::{PortOptions, WorldOptions};
use pollcast::sim::world::World;
use pollcast::time::Instant;

const ROUTER: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 254);
const HOST: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 2);
const ALL_HOSTS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 1);
const GROUP: Ipv4Addr = Ipv4Addr::new(239, 1, 2, 3);
const OTHER: Ipv4Addr = Ipv4Addr::new(239, 4, 5, 6);
const SSM: Ipv4Addr = Ipv4Addr::new(232, 1, 2, 3);
const SOURCE: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 10);

fn secs(s: u64) -> Duration {
    Duration::from_secs(s)
}

fn world(seed: u64, router_version: u8, igmp: IgmpPolicy) -> World {
    let router = RouterOptions { version: router_version, ..RouterOptions::new(ROUTER) };
    let port = PortOptions { router: Some(router), igmp, ..PortOptions::new(0) };
    World::new(seed, &WorldOptions { ports: vec![port], ..WorldOptions::default() })
}

/// What the host has said since this was last asked, and when; each as a host must say it.
fn said(world: &mut World) -> Vec<(Instant, IgmpMessage)> {
    let read = |(at, frame): (Instant, Vec<u8>)| {
        Some((at, IgmpMessage::read(&frame).unwrap_or_else(|why| panic!("{why}: {frame:02x?}"))?))
    };
    world.take_sent_at(0).into_iter().filter_map(read).collect()
}

fn version_of(message: &IgmpMessage) -> u8 {
    match message {
        IgmpMessage::ReportV1(_) => 1,
        IgmpMessage::ReportV2(_) | IgmpMessage::Leave(_) => 2,
        IgmpMessage::ReportV3(_) => 3,
    }
}

fn igmp(world: &mut World) -> IgmpAnswer {
    let answer = world.command(&Command::Igmp(IgmpOrder::default()));
    let Answer::Igmp(mut interfaces) = answer else { panic!("{answer:?}") };
    assert_eq!(interfaces.len(), 1);
    interfaces.remove(0)
}

fn change(world: &mut World, order: IgmpOrder) -> String {
    match world.execute(&Command::Igmp(order)) {
        Answer::Done(done) => done.done,
        other => panic!("{other:?}"),
    }
}

fn any_source() -> View {
    View::Exclude(Sources::new())
}

/// What the router believes: that these groups are wanted, from any source.
#[track_caller]
fn assert_believes(world: &mut World, groups: &[Ipv4Addr]) {
    let expected = groups.iter().map(|group| (*group, any_source())).collect();
    assert_eq!(world.router(0).views(), expected);
    assert_eq!(world.router(0).malformed(), []);
}

// G36, G37, G38, G39, RFC 9776 7.2.1: fall back at once, answer, stay alive over many query intervals, and come back 350 s
// after the last query of the older version, when everything is told anew.
#[test]
fn a_host_falls_back_answers_and_comes_back() {
    for version in [1, 2] {
        let mut world = world(u64::from(version), 3, IgmpPolicy::default());
        world.join(GROUP, None);
        world.join(SSM, Some(SOURCE));
        world.run_for(secs(200));
        assert_eq!(igmp(&mut world).version, 3);
        said(&mut world);
        let now = world.now();
        world.router(0).set_version(now, version);
        world.run_for(secs(1));
        assert_eq!(igmp(&mut world).version, version);
        for _ in 0..10 {
            world.run_for(secs(125));
            assert_eq!(world.router(0).view(GROUP), any_source());
        }
        // G48: of the source-specific group nothing was said any more.
        assert_believes(&mut world, &[GROUP]);
        let answers = said(&mut world);
        assert!(answers.iter().all(|(_, message)| version_of(message) == version), "{answers:?}");
        assert!(answers.len() >= 10, "{}", answers.len());
        // A join and a leave meanwhile.
        world.join(OTHER, None);
        world.run_for(secs(20));
        assert_believes(&mut world, &[GROUP, OTHER]);
        world.leave(OTHER, None);
        world.run_for(secs(3));
        let believed: &[_] = if version == 1 { &[GROUP, OTHER] } else { &[GROUP] };
        assert_believes(&mut world, believed);
        world.run_for(secs(261));
        assert_believes(&mut world, &[GROUP]);
        // The older router goes, and a new one comes.
        said(&mut world);
        let now = world.now();
        world.router(0).set_version(now, 3);
        let left = igmp(&mut world);
        let left = if version == 1 { left.v1_querier_s } else { left.v2_querier_s }.unwrap();
        assert!((220..350).contains(&left), "{left}");
        world.run_for(secs(left));
        assert_eq!(igmp(&mut world).version, version, "not before its time, whatever the new router says");
        assert!(said(&mut world).iter().all(|(_, message)| version_of(message) == version));
        world.run_for(secs(12));
        assert_eq!(igmp(&mut world).version, 3);
        assert!(said(&mut world).iter().any(|(_, message)| message.reported() == [SSM, GROUP]));
        assert_eq!(world.router(0).view(GROUP), any_source());
        assert_eq!(world.router(0).view(SSM), View::Include(Sources::from([SOURCE])));
    }
}

// G40, RFC 2236 3, by frames of another host, from 0.0.0.0 as a snooping switch's may be: suppressed in version 2, not in 3.
#[test]
fn another_hosts_report_suppresses_ours() {
    let report = |from| {
        let mut frame = igmp_frame(from, GROUP, &sealed([&[0x16, 0, 0, 0][..], &GROUP.octets()].concat()));
        frame[6..12].copy_from_slice(&[2, 0, 0, 0, 0, 9]);
        frame
    };
    for version in [2, 3] {
        for from in [SOURCE, Ipv4Addr::UNSPECIFIED] {
            let mut world = world(3, 3, IgmpPolicy::default());
            world.router(0).set_silent(true);
            world.join(GROUP, None);
            world.run_for(secs(30));
            said(&mut world);
            let query = IgmpQuery { version, ..IgmpQuery::general(ROUTER) };
            world.inject(0, &query.frame());
            world.settle();
            world.inject(0, &report(from));
            world.run_for(secs(20));
            assert_eq!(said(&mut world).is_empty(), version == 2, "version {version}, from {from}");
            // G41: the other host has reported last. It will see to it that the group is left.
            world.leave(GROUP, None);
            world.run_for(secs(20));
            assert_eq!(said(&mut world).is_empty(), version == 2, "version {version}, from {from}");
        }
    }
}

// G36: a query of a group in an older version, wherever it goes (Linux's bridge sends it to 224.0.0.1), changes nothing.
#[test]
fn an_older_query_of_a_group_is_answered_in_the_version_that_is_spoken() {
    let mut world = world(4, 3, IgmpPolicy::default());
    world.router(0).set_silent(true);
    world.join(GROUP, None);
    world.run_for(secs(30));
    said(&mut world);
    let query = IgmpQuery { version: 2, destination: ALL_HOSTS, ..IgmpQuery::specific(ROUTER, GROUP, &[]) };
    let asked = world.now();
    world.inject(0, &query.frame());
    world.run_for(secs(20));
    let answers = said(&mut world);
    assert!(
        matches!(&answers[..], [(at, IgmpMessage::ReportV3(_))] if at.since(asked) <= secs(1)),
        "{answers:?}"
    );
    assert_eq!(igmp(&mut world).version, 3);
}

// The configuration pins a version, whatever the router speaks: each is answered in it.
#[test]
fn a_pinned_version_is_spoken_to_every_router() {
    for (pin, pinned) in [(IgmpVersion::V1, 1), (IgmpVersion::V2, 2), (IgmpVersion::V3, 3)] {
        for router in [1, 2, 3] {
            let mut world = world(5, router, IgmpPolicy { version: pin, ..IgmpPolicy::default() });
            world.join(GROUP, None);
            world.run_for(secs(400));
            let said = said(&mut world);
            assert!(
                said.len() >= 4 && said.iter().all(|(_, message)| version_of(message) == pinned),
                "{said:?}"
            );
            // An older router does not understand a newer host, which is what a pin risks.
            assert_believes(&mut world, if router >= pinned { &[GROUP] } else { &[] });
        }
    }
}

// G10, G11, G23: the other choices, through the whole host.
#[test]
fn strict_queries_and_robustness_are_chosen_for_an_interface() {
    let policy =
        IgmpPolicy { strict_queries: true, robustness: Robustness::Pinned(4), ..IgmpPolicy::default() };
    let mut world = world(6, 3, policy);
    world.router(0).set_silent(true);
    let start = world.now();
    world.join(GROUP, None);
    world.run_for(secs(30));
    let reports = said(&mut world);
    assert_eq!(reports.len(), 4);
    assert!(reports.iter().all(|(at, _)| at.since(start) <= secs(3)));
    let mut bare = IgmpQuery::general(ROUTER).frame();
    // Without the option: five words, and 24 octets less of everything behind.
    bare.drain(34..38);
    bare[14] = 0x45;
    bare[16..18].copy_from_slice(&32u16.to_be_bytes());
    bare[24..26].copy_from_slice(&[0, 0]);
    let sum: u32 = bare[14..34].chunks(2).map(|w| u32::from(w[0]) << 8 | u32::from(w[1])).sum();
    let sum = !u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap();
    bare[24..26].copy_from_slice(&sum.to_be_bytes());
    bare.resize(60, 0);
    let control_drops = |world: &mut World| {
        let Answer::Drops(drops) = world.command(&Command::Drops) else { panic!() };
        drops.iter().find(|d| d.reason == DropReason::IgmpQueryStrict.name()).unwrap().packets
    };
    world.inject(0, &bare);
    world.run_for(secs(20));
    assert_eq!((said(&mut world), control_drops(&mut world)), (vec![], 1));
    world.inject(0, &IgmpQuery { destination: GROUP, ..IgmpQuery::general(ROUTER) }.frame());
    world.run_for(secs(20));
    assert_eq!((said(&mut world), control_drops(&mut world)), (vec![], 2));
    world.inject(0, &IgmpQuery::general(ROUTER).frame());
    world.run_for(secs(20));
    assert_eq!(said(&mut world).len(), 1);
}

// What `ctl igmp` shows, and what it changes: at once, with what was pending cancelled and the state told anew.
#[test]
fn a_command_shows_and_changes_how_group_management_stands() {
    let mut world = world(7, 3, IgmpPolicy::default());
    world.join(GROUP, None);
    world.join(SSM, Some(SOURCE));
    let answer = igmp(&mut world);
    assert_eq!((&*answer.port, answer.configured_version, answer.version), ("p0", IgmpVersion::Auto, 3));
    assert_eq!((answer.groups, answer.silent_groups, answer.changes), (2, 0, 2));
    assert!(answer.next_ms.is_some_and(|ms| ms <= 1000));
    world.run_for(secs(30));
    assert_eq!((igmp(&mut world).changes, igmp(&mut world).next_ms), (0, None));
    let querier = igmp(&mut world).querier.unwrap();
    assert_eq!((querier.addr, querier.version), (ROUTER.into(), 3));
    assert!((28..=30).contains(&querier.age_s));
    world.inject(0, &IgmpQuery::general(ROUTER).frame());
    world.inject(0, &IgmpQuery::specific(ROUTER, GROUP, &[]).frame());
    world.settle();
    let answer = igmp(&mut world);
    assert!(
        answer.general_answer_ms.is_some_and(|ms| ms <= 10_000) && answer.group_answers <= 1,
        "{answer:?}"
    );

    said(&mut world);
    let done = change(&mut world, IgmpOrder { version: Some(IgmpVersion::V2), ..IgmpOrder::default() });
    assert_eq!(done, "p0: version 2, pinned: what was pending is cancelled, and 1 groups are told anew");
    let now: Vec<_> = said(&mut world).into_iter().map(|(_, message)| message).collect();
    assert_eq!(now, [IgmpMessage::ReportV2(GROUP)]);
    assert_eq!((igmp(&mut world).silent_groups, igmp(&mut world).general_answer_ms), (1, None));
    world.run_for(secs(20));
    assert!(said(&mut world).iter().all(|(_, message)| *message == IgmpMessage::ReportV2(GROUP)));
    let robustness = Some(Robustness::Pinned(5));
    let done = change(&mut world, IgmpOrder { robustness, ..IgmpOrder::default() });
    assert_eq!(done, "p0: changes are told 5 times, whatever queriers say");
    let back = IgmpOrder { version: Some(IgmpVersion::Auto), robustness, port: Some("p0".into()) };
    let done = change(&mut world, back.clone());
    assert_eq!(
        done,
        "p0: version 3, chosen by the queriers: what was pending is cancelled, and 2 groups are told anew; changes are \
         told 5 times, whatever queriers say"
    );
    world.run_for(secs(10));
    let told = said(&mut world);
    assert_eq!(told.len(), 5);
    for (_, message) in &told {
        let IgmpMessage::ReportV3(report) = message else { panic!("{message:?}") };
        let kinds: Vec<_> = report.records.iter().map(|record| record.kind).collect();
        assert_eq!(kinds, [RecordKind::Allow, RecordKind::ToEx]);
    }
    let done = change(&mut world, IgmpOrder { robustness: None, ..back });
    assert!(done.contains("as it was spoken before"), "{done}");
    world.run_for(secs(1));
    assert_eq!(said(&mut world), []);
}

#[test]
fn what_cannot_be_changed_is_one_sentence() {
    let mut world = world(8, 3, IgmpPolicy::default());
    let mut error = |port: Option<&str>, robustness| {
        let order = IgmpOrder { port: port.map(str::to_owned), version: None, robustness };
        match world.execute(&Command::Igmp(order)) {
            Answer::Error(why) => why,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(error(Some("p9"), None), "igmp: there is no port \"p9\"; there is p0");
    assert_eq!(error(Some("p9"), Some(Robustness::Auto)), "igmp: there is no port \"p9\"; there is p0");
    assert_eq!(error(None, Some(Robustness::Pinned(9))), "igmp: robustness 9: use auto, or 1 to 7");
}

// G44, RFC 9776 4.2.13: a report from 0.0.0.0, because the address is still probed for, is followed by one from our address.
#[test]
fn what_was_reported_without_an_address_is_reported_again_with_one() {
    for version in [1, 2, 3] {
        let router = RouterOptions { version, ..RouterOptions::new(ROUTER) };
        let port = PortOptions {
            conflict_detection: ConflictDetection::Probe,
            router: Some(router),
            ..PortOptions::new(0)
        };
        let mut world = World::new(9, &WorldOptions { ports: vec![port], ..WorldOptions::default() });
        world.run_for(Duration::from_millis(10));
        world.join(GROUP, None);
        world.run_for(secs(15));
        let source = |frame: &Vec<u8>| Ipv4Addr::new(frame[26], frame[27], frame[28], frame[29]);
        let sent = world.take_sent(0);
        let reports: Vec<_> = sent.iter().filter(|f| matches!(IgmpMessage::read(f), Ok(Some(_)))).collect();
        assert_eq!(source(reports[0]), Ipv4Addr::UNSPECIFIED);
        let from_us = reports.iter().filter(|frame| source(frame) == HOST).count();
        assert!(from_us >= 2, "announced anew, and repeated: {from_us}");
        let sources: BTreeSet<_> = reports.iter().map(|frame| source(frame)).collect();
        assert_eq!(sources, BTreeSet::from([Ipv4Addr::UNSPECIFIED, HOST]));
        assert_believes(&mut world, &[GROUP]);
    }
}

// G45: a clean end says so in version 2, and has nothing to say in version 1.
#[test]
fn a_shutdown_leaves_the_groups_of_an_older_version() {
    for version in [1, 2] {
        let mut world = world(10, version, IgmpPolicy::default());
        world.join(GROUP, None);
        world.join(OTHER, None);
        world.run_for(secs(100));
        said(&mut world);
        world.shut_down();
        let left: BTreeSet<_> = said(&mut world)
            .into_iter()
            .map(|(_, message)| match message {
                IgmpMessage::Leave(group) => group,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(left, if version == 1 { BTreeSet::new() } else { BTreeSet::from([GROUP, OTHER]) });
    }
}
