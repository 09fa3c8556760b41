//! Ten thousand groups on one port: what is told of them, in how many reports, over which time; and none is lost.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::Duration;

use pollcast::addr::V4;
use pollcast::io::{DropReason, IgmpPolicy, IgmpVersion};
use pollcast::sim::frames::{IgmpMessage, IgmpQuery, IgmpReport, RecordKind};
use pollcast::sim::nic::NicOptions;
use pollcast::sim::router::RouterOptions;
use pollcast::sim::setup::{PortOptions, ServiceOptions, WorldOptions};
use pollcast::sim::world::World;
use pollcast::stack::gmp::v2::Host;
use pollcast::time::Instant;

const ROUTER: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 254);
const GROUPS: u32 = 10_000;

fn group(n: u32) -> Ipv4Addr {
    Ipv4Addr::from(0xef00_0100 + n)
}

/// A host that joins so many groups from the start, on a link of this MTU, with a router that hears it.
fn world(seed: u64, mtu: u16, groups: u32) -> World {
    world_of(seed, mtu, groups, IgmpVersion::Auto)
}

fn world_of(seed: u64, mtu: u16, groups: u32, version: IgmpVersion) -> World {
    let port = PortOptions::new(0);
    let port = PortOptions {
        nic: NicOptions { mtu, tx_descriptors: 256, ..port.nic.clone() },
        router: Some(RouterOptions::new(ROUTER)),
        igmp: IgmpPolicy { version, ..IgmpPolicy::default() },
        ..port
    };
    let echo = (0..groups).fold(ServiceOptions::echo(), |echo, n| echo.joining(group(n), &[]));
    World::new(
        seed,
        &WorldOptions { ports: vec![port], services: vec![echo], buffers: 1024, ..WorldOptions::default() },
    )
}

fn reports(world: &mut World) -> Vec<(Instant, IgmpReport)> {
    let sent = world.take_sent_at(0).into_iter();
    sent.filter_map(|(at, frame)| Some((at, IgmpReport::read(&frame).unwrap()?))).collect()
}

/// How often each group was told of, as this.
fn told(reports: &[(Instant, IgmpReport)], kind: RecordKind) -> BTreeMap<Ipv4Addr, u32> {
    let mut told = BTreeMap::new();
    let records = reports.iter().flat_map(|(_, report)| &report.records).filter(|record| record.kind == kind);
    records.for_each(|record| *told.entry(record.group).or_default() += 1);
    told
}

/// The records of 8 bytes that one report has room for: behind 24 bytes of IPv4 and 8 of its own.
fn per_report(mtu: u16) -> u32 {
    (u32::from(mtu) - 32) / 8
}

#[track_caller]
fn assert_all_told(told: &BTreeMap<Ipv4Addr, u32>, times: u32) {
    assert_eq!(told.len(), GROUPS as usize);
    let others: Vec<_> = told.iter().filter(|(_, n)| **n != times).take(3).collect();
    assert!(others.is_empty(), "{others:?}");
}

// G21, G33, G24, RFC 9776 4.2.15, 5.1: few reports where that can be, and not one too many for the queues where it cannot.
#[test]
fn ten_thousand_groups_are_joined_reported_and_left_and_no_report_is_lost() {
    for (seed, mtu) in [(1, 1500), (2, 576), (3, 68)] {
        let mut world = world(seed, mtu, GROUPS);
        let least = GROUPS.div_ceil(per_report(mtu)) as usize;
        world.run_for(Duration::from_secs(5));
        let joined = reports(&mut world);
        assert_all_told(&told(&joined, RecordKind::ToEx), 2);
        let extra =
            joined.iter().filter(|(_, r)| r.records.iter().any(|r| r.kind != RecordKind::ToEx)).count();
        assert!(joined.len() - extra <= 2 * least + 2, "{} reports over {mtu}", joined.len());
        assert_eq!(world.router(0).views().len(), GROUPS as usize);

        // Nobody takes in what it would ask of a host that has gone.
        world.router(0).set_silent(true);
        world.shut_down();
        let left = reports(&mut world);
        assert_all_told(&told(&left, RecordKind::ToIn), 2);
        assert!(left.len() <= 2 * least + 2, "{} reports over {mtu}", left.len());
        assert_eq!(world.router(0).malformed(), []);
        assert_eq!(world.drops(DropReason::InboxFull), 0);
        assert_eq!(world.pool().outstanding(), 0);
    }
}

// G24, G33, RFC 2236 3: in version 2 each group is a frame of its own, and ten thousand are too many for the queues at once.
#[test]
fn ten_thousand_groups_are_joined_in_version_2_and_no_report_is_lost() {
    let mut world = world_of(5, 1500, GROUPS, IgmpVersion::V2);
    world.run_for(Duration::from_secs(15));
    let mut told = BTreeMap::<_, u32>::new();
    for (_, frame) in world.take_sent_at(0) {
        if let Some(IgmpMessage::ReportV2(group)) = IgmpMessage::read(&frame).unwrap() {
            *told.entry(group).or_default() += 1;
        }
    }
    assert_all_told(&told, 2);
    assert_eq!(world.drops(DropReason::InboxFull), 0);
}

// G21, RFC 9776 5.2: each group once, in as few reports as there can be, and these all over the response time.
#[test]
fn a_general_query_of_ten_thousand_groups_is_answered_bit_by_bit() {
    let mut world = world(4, 1500, GROUPS);
    world.router(0).set_silent(true);
    world.run_for(Duration::from_secs(40));
    world.take_sent(0);
    let asked = world.now();
    world.inject(0, &IgmpQuery::general(ROUTER).frame());
    world.run_for(Duration::from_secs(11));
    let answers = reports(&mut world);
    assert_all_told(&told(&answers, RecordKind::IsEx), 1);
    assert_eq!(answers.len(), GROUPS.div_ceil(per_report(1500)) as usize);
    let delays: Vec<_> = answers.iter().map(|(at, _)| at.since(asked)).collect();
    assert!(delays.iter().all(|delay| *delay <= Duration::from_secs(10)), "{delays:?}");
    // 55 reports over ten seconds: in each of its fifths there are some, and in none there is a third.
    let fifths: Vec<_> = (0..5).map(|n| delays.iter().filter(|d| d.as_secs() / 2 == n).count()).collect();
    assert!(fifths.iter().all(|n| (2..=20).contains(n)), "{fifths:?}");
}

// G44, G45: no room on the way is a delay, not a loss.
#[test]
fn a_leave_that_finds_no_buffer_is_told_when_there_is_one() {
    let mut world = world(5, 1500, 300);
    world.run_for(Duration::from_secs(5));
    world.take_sent(0);
    world.leave_buffers(0);
    world.leave(group(7), None);
    world.run_for(Duration::from_millis(500));
    assert_eq!(reports(&mut world), []);
    world.return_buffers();
    // Until the router has asked after it in vain.
    world.run_for(Duration::from_secs(4));
    let left = told(&reports(&mut world), RecordKind::ToIn);
    assert_eq!(left, BTreeMap::from([(group(7), 2)]));
    assert!(!world.router(0).views().contains_key(&group(7)));
}

// The state of a group that is told of: an entry of the machine, and nothing beside it once all is said.
#[test]
fn quiet_groups_have_no_timers() {
    let (mut host, mut rng) = (Host::<V4>::new(1468), pollcast::rng::Rng::new(1));
    let mut now = Instant::ZERO;
    let wanted: BTreeSet<_> = (0..GROUPS).filter_map(|n| pollcast::addr::Group::new(group(n))).collect();
    wanted.iter().for_each(|g| host.set_filter(now, *g, pollcast::stack::membership::SourceFilter::ANY));
    let mut reports = 0;
    while let Some(at) = host.poll_timeout() {
        now = now.max(at);
        while host.poll_transmit(now, &mut rng).is_some() {
            reports += 1;
        }
    }
    assert_eq!(reports, 2 * GROUPS.div_ceil(183));
    assert_eq!(host.groups().count(), GROUPS as usize);
}
