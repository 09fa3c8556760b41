//! More queries than control can deal with: they set the timers that there are, and the querier's own are among them.
#![expect(clippy::cast_possible_truncation, reason = "random bytes, and small numbers of the test's own")]

use std::net::Ipv4Addr;
use std::time::Duration;

use pollcast::engine::command::{Answer, Command};
use pollcast::engine::counters::Counter;
use pollcast::engine::message::PUNT_LEN;
use pollcast::io::DropReason;
use pollcast::rng::Rng;
use pollcast::sim::frames::{
    ArpFrame, IcmpFrame, IgmpQuery, IgmpReport, RecordKind, UdpFrame, igmp_frame, sealed,
};
use pollcast::sim::nic::NicOptions;
use pollcast::sim::setup::{PortOptions, ServiceOptions, WorldOptions};
use pollcast::sim::world::World;
use pollcast::time::Instant;

const ROUTER: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 254);
const ALL_HOSTS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 1);
const ANY: Ipv4Addr = Ipv4Addr::UNSPECIFIED;
/// Joined, and in the flood.
const FLOODED: Ipv4Addr = Ipv4Addr::new(239, 1, 0, 1);
/// Joined, and asked for by the querier alone.
const QUIET: Ipv4Addr = Ipv4Addr::new(239, 1, 0, 2);
const SSM: Ipv4Addr = Ipv4Addr::new(232, 1, 0, 1);
const SOURCE: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 77);

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A host that has joined the groups above, and has said so.
fn world(seed: u64) -> World {
    let port = PortOptions::new(0);
    let nic = NicOptions { rx_descriptors: 2048, tx_descriptors: 2048, ..port.nic.clone() };
    let echo = ServiceOptions::echo().joining(FLOODED, &[]).joining(QUIET, &[]).joining(SSM, &[SOURCE]);
    let options = WorldOptions {
        ports: vec![PortOptions { nic, ..port }],
        services: vec![echo],
        buffers: 4096,
        ..WorldOptions::default()
    };
    let mut world = World::new(seed, &options);
    world.run_for(Duration::from_secs(5));
    world.take_sent(0);
    world
}

/// From anywhere, and to all hosts: any group may be asked for so (G09).
fn query(rng: &mut Rng, group: Ipv4Addr, sources: &[Ipv4Addr], max_response: Duration) -> Vec<u8> {
    let from = Ipv4Addr::new(10, rng.below(200) as u8, rng.below(256) as u8, 1 + rng.below(200) as u8);
    let query =
        IgmpQuery { destination: ALL_HOSTS, max_response, ..IgmpQuery::specific(from, group, sources) };
    // Who asks may say anything of itself.
    IgmpQuery {
        robustness: rng.below(8) as u8,
        query_interval: Duration::from_secs(rng.below(3000)),
        ..query
    }
    .frame()
}

fn random_group(rng: &mut Rng) -> Ipv4Addr {
    Ipv4Addr::new(239, 9, rng.below(256) as u8, rng.below(256) as u8)
}

fn sources(rng: &mut Rng, count: u64) -> Vec<Ipv4Addr> {
    (0..count).map(|_| Ipv4Addr::new(10, 9, rng.below(256) as u8, rng.below(256) as u8)).collect()
}

/// The worker has these, and control is away.
fn without_control(world: &mut World, frames: impl IntoIterator<Item = Vec<u8>>) {
    for frame in frames {
        world.inject(0, &frame);
        world.turn_worker(0);
    }
}

fn reports(world: &mut World) -> Vec<(Instant, IgmpReport)> {
    let sent = world.take_sent_at(0).into_iter();
    sent.filter_map(|(at, frame)| Some((at, IgmpReport::read(&frame).unwrap()?))).collect()
}

fn tells_of(report: &IgmpReport, group: Ipv4Addr) -> bool {
    report.records.iter().any(|record| record.group == group)
}

// G47: what is asked again adds nothing; G16: unless it wants its answer sooner.
#[test]
fn what_is_asked_again_takes_no_place_in_the_queue() {
    let (mut world, mut rng) = (world(1), Rng::new(1));
    for (group, list) in [(ANY, &[][..]), (FLOODED, &[]), (SSM, &[SOURCE])] {
        let (punted, repeated) = (world.count(Counter::Punted), world.drops(DropReason::IgmpRepeated));
        let many: Vec<_> = (0..5000).map(|_| query(&mut rng, group, list, ms(5000))).collect();
        without_control(&mut world, many);
        assert_eq!(world.count(Counter::Punted), punted + 1, "of {group} {list:?}");
        assert_eq!(world.drops(DropReason::IgmpRepeated), repeated + 4999);
        without_control(&mut world, [query(&mut rng, group, list, ms(4900))]);
        assert_eq!(world.count(Counter::Punted), punted + 2, "an earlier answer of {group}");
    }
    // All groups that are not joined are one.
    let punted = world.count(Counter::Punted);
    let many: Vec<_> = (0..5000)
        .map(|_| {
            let group = random_group(&mut rng);
            query(&mut rng, group, &[], ms(1000))
        })
        .collect();
    without_control(&mut world, many);
    assert_eq!(world.count(Counter::Punted), punted + 1);
    assert_eq!(world.drops(DropReason::PuntQueueFull), 0);
    world.settle();
    // Once control has looked, what is asked again is news.
    let punted = world.count(Counter::Punted);
    without_control(&mut world, [query(&mut rng, ANY, &[], ms(5000))]);
    assert_eq!(world.count(Counter::Punted), punted + 1);
    world.settle();
    assert_eq!(world.pool().outstanding(), 0);
}

// G47: what an outsider can make up without end leaves room for what there is only a little of.
#[test]
fn a_general_query_finds_room_behind_every_flood() {
    let (mut world, mut rng) = (world(2), Rng::new(2));
    let lists: Vec<_> = (0..2 * PUNT_LEN)
        .map(|_| {
            let list = sources(&mut rng, 3);
            query(&mut rng, FLOODED, &list, ms(1000))
        })
        .collect();
    without_control(&mut world, lists);
    let v2_reports =
        (0..2 * PUNT_LEN).map(|_| igmp_frame(ROUTER, FLOODED, &sealed(vec![0x16, 0, 0, 0, 239, 1, 0, 1])));
    without_control(&mut world, v2_reports.collect::<Vec<_>>());
    let punted = world.count(Counter::Punted);
    assert!(punted <= PUNT_LEN as u64 / 4 + 2, "{punted}");
    without_control(
        &mut world,
        [query(&mut rng, QUIET, &[], ms(1000)), query(&mut rng, ANY, &[], ms(10_000))],
    );
    assert_eq!(world.count(Counter::Punted), punted + 2);
    world.run_for(ms(1000));
    let reports = reports(&mut world);
    assert!(reports.iter().any(|(_, report)| tells_of(report, QUIET)), "{reports:?}");
    // G18, RFC 9776 5.2: more lists than there was room for are answered with the whole group.
    let whole = |r: &IgmpReport| r.records.iter().any(|r| r.group == FLOODED && r.kind == RecordKind::IsEx);
    assert!(reports.iter().any(|(_, report)| whole(report)), "{reports:?}");
}

/// A hundred thousand queries a second of a kind, for three seconds, and the querier's own among them.
fn flood(seed: u64, make: impl Fn(&mut Rng) -> Vec<u8>) {
    let (mut world, mut rng) = (world(seed), Rng::new(seed));
    let punted = world.count(Counter::Punted);
    let tenth = |world: &mut World, rng: &mut Rng| {
        for _ in 0..100 {
            for _ in 0..100 {
                world.inject(0, &make(rng));
                world.turn_worker(0);
            }
            world.run_for(ms(1));
        }
    };
    (0..10).for_each(|_| tenth(&mut world, &mut rng));
    let mut all = reports(&mut world);
    // What a querier asks after another host's leave, and after another host's block.
    let asked = world.now();
    for (group, list) in [(QUIET, &[][..]), (SSM, &[SOURCE])] {
        let query = IgmpQuery { destination: ALL_HOSTS, ..IgmpQuery::specific(ROUTER, group, list) };
        world.inject(0, &query.frame());
    }
    (0..10).for_each(|_| tenth(&mut world, &mut rng));
    let answers = reports(&mut world);
    for group in [QUIET, SSM] {
        let answer = answers.iter().find(|(_, report)| tells_of(report, group));
        assert!(answer.is_some_and(|(at, _)| at.since(asked) <= ms(1010)), "of {group}: {answers:?}");
    }
    all.extend(answers);
    let asked = world.now();
    world.inject(0, &IgmpQuery { max_response: ms(1000), ..IgmpQuery::general(ROUTER) }.frame());
    // A01: and whoever asks for our address is answered.
    let request = ArpFrame::request(ROUTER, Ipv4Addr::new(198, 18, 0, 2));
    world.inject(0, &request.frame());
    (0..10).for_each(|_| tenth(&mut world, &mut rng));
    let sent = world.take_sent_at(0);
    let reply = request.reply(PortOptions::new(0).nic.mac).frame();
    assert!(sent.iter().any(|(at, frame)| *frame == reply && at.since(asked) <= ms(1)), "ARP");
    let answers: Vec<_> = sent.iter().filter_map(|(at, f)| Some((*at, IgmpReport::read(f).ok()??))).collect();
    for group in [FLOODED, QUIET, SSM] {
        assert!(answers.iter().any(|(_, report)| tells_of(report, group)), "of {group}: {answers:?}");
    }
    all.extend(answers);
    // Of each of three groups, and of all together, one in a tenth of a second at most.
    assert!(all.len() <= 3 * 40, "{} reports in three seconds", all.len());
    let taken = world.count(Counter::Punted) - punted;
    assert!(taken <= (3 * 200 + 64) * (PUNT_LEN as u64 / 4 + 8), "control took {taken} of 300 000");
    world.run_for(Duration::from_secs(30));
    assert_eq!(world.pool().outstanding(), 0);
}

// G47, RFC 9776 9.1.
#[test]
fn a_flood_of_one_general_query() {
    let one = IgmpQuery::general(Ipv4Addr::new(10, 0, 0, 1)).frame();
    flood(10, |_| one.clone());
}

#[test]
fn a_flood_of_general_queries_that_leave_any_time() {
    flood(11, |rng| {
        let max_response = ms(100 * rng.below(30_000));
        query(rng, ANY, &[], max_response)
    });
}

#[test]
fn a_flood_of_queries_of_one_group() {
    flood(12, |rng| {
        let max_response = ms(100 * rng.below(100));
        query(rng, FLOODED, &[], max_response)
    });
}

#[test]
fn a_flood_of_queries_of_groups_that_are_not_joined() {
    flood(13, |rng| {
        let (group, max_response) = (random_group(rng), ms(100 * rng.below(100)));
        query(rng, group, &[], max_response)
    });
}

#[test]
fn a_flood_of_queries_of_random_sources() {
    flood(14, |rng| {
        let (count, max_response) = (1 + rng.below(5), ms(100 * rng.below(100)));
        let list = sources(rng, count);
        query(rng, FLOODED, &list, max_response)
    });
}

// G47, G21: ten thousand answers a second at most, if there are so many groups, and all of them share a few reports.
#[test]
fn a_flood_of_queries_of_each_of_many_groups() {
    let group = |n: u16| Ipv4Addr::from(0xefff_0000 | u32::from(n));
    let (mut world, mut rng) = (world(16), Rng::new(16));
    (0..1000).for_each(|n| world.join(group(n), None));
    world.run_for(Duration::from_secs(10));
    world.take_sent(0);
    for _ in 0..1000 {
        for _ in 0..100 {
            let asked = group(rng.below(1000) as u16);
            world.inject(0, &query(&mut rng, asked, &[], ms(1000)));
            world.turn_worker(0);
        }
        world.run_for(ms(1));
    }
    let reports = reports(&mut world);
    let told: std::collections::BTreeSet<_> =
        reports.iter().flat_map(|(_, r)| &r.records).map(|r| r.group).collect();
    assert_eq!(told.len(), 1000);
    assert!(reports.len() < 200, "{} reports", reports.len());
}

#[test]
fn a_flood_of_everything() {
    flood(15, |rng| {
        let max_response = ms(100 * rng.below(100));
        match rng.below(4) {
            0 => query(rng, ANY, &[], max_response),
            1 => query(rng, FLOODED, &[], max_response),
            2 => {
                let group = random_group(rng);
                query(rng, group, &[], max_response)
            }
            _ => {
                let list = sources(rng, 2);
                query(rng, SSM, &list, max_response)
            }
        }
    });
}

// T02, RFC 1122 3.2.2, RFC 1812 4.3.2.7: no router may complain about a datagram to a group. Whoever does, and however many
// do, makes no path narrower; a report about one to a host does.
#[test]
fn a_path_to_a_group_is_never_narrow() {
    let mut world = world(20);
    let paths = |world: &mut World| match world.execute(&Command::Paths) {
        Answer::Paths(paths) => paths.len(),
        other => panic!("not paths: {other:?}"),
    };
    let too_big = |to: &str, mtu: u16| {
        let ours = UdpFrame { fragment: 0x4000, ..UdpFrame::new("198.18.0.2:7", to, &[1; 1400]) }.frame();
        let body = [&[0, 0], &mtu.to_be_bytes()[..], &ours[14..42]].concat();
        IcmpFrame { code: 4, ..IcmpFrame::between(ROUTER, Ipv4Addr::new(198, 18, 0, 2), 3, &body) }.frame()
    };
    let before = paths(&mut world);
    for group in [FLOODED, SSM, ALL_HOSTS, Ipv4Addr::BROADCAST] {
        for mtu in [0, 68, 1300] {
            world.inject(0, &too_big(&format!("{group}:7"), mtu));
        }
    }
    world.settle();
    assert_eq!(world.drops(DropReason::IcmpErrorInvalid), 12);
    assert_eq!(paths(&mut world), before);
    world.inject(0, &too_big("198.18.0.77:7", 1300));
    world.settle();
    assert_eq!(paths(&mut world), before + 1);
}
