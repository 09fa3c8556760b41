//! MLD in a whole host: solicited-node groups, joins and leaves by order, queries strict and not, both versions, the end.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use pollcast::addr::{Cidr, Group, MacAddr, Unicast, V6};
use pollcast::engine::command::{Answer, Command, DoneAnswer, Membership, MldOrder};
use pollcast::io::{Addressing6, DropReason};
use pollcast::sim::frames::icmp6::IcmpFrame6;
use pollcast::sim::frames::mld::{MldMessage, MldQuery};
use pollcast::sim::frames::{IgmpReport, RecordKind};
use pollcast::sim::setup::{PortOptions, ServiceOptions, WorldOptions};
use pollcast::sim::world::World;

const OWN: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2);
const ROUTER: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
const GROUP: Ipv6Addr = Ipv6Addr::new(0xff0e, 0, 0, 0, 0, 1, 2, 3);
const SOLICITED: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00, 2);
const SECOND: Duration = Duration::from_secs(1);

/// A host with 2001:db8::2 and a link-local address, just switched on.
fn young(service: ServiceOptions) -> World {
    let own = Cidr::<V6>::new(Unicast::new(OWN).unwrap(), 64).unwrap();
    let mut port = PortOptions::new(0);
    port.addressing6 =
        Some(Addressing6 { statics: vec![own], router_discovery: false, ..Addressing6::default() });
    let options = WorldOptions {
        ports: vec![port],
        services: vec![service.dual_stack()],
        workers: 2,
        ..WorldOptions::default()
    };
    World::new(7, &options)
}

/// The same, when all that was to be said at first is said.
fn settled() -> World {
    let mut world = young(ServiceOptions::echo());
    world.run_for(SECOND * 20);
    world.take_sent(0);
    world
}

fn messages(frames: &[Vec<u8>]) -> Vec<MldMessage> {
    frames.iter().filter_map(|frame| MldMessage::read(frame).unwrap()).collect()
}

/// What is said while `time` passes.
fn said(world: &mut World, time: Duration) -> Vec<MldMessage> {
    world.run_for(time);
    messages(&world.take_sent(0))
}

/// Each record of version 2: kind and group.
fn records(messages: &[MldMessage]) -> Vec<(RecordKind, Ipv6Addr)> {
    let reports = messages.iter().filter_map(|message| match message {
        MldMessage::ReportV2(report) => Some(&report.records),
        MldMessage::ReportV1(_) | MldMessage::Done(_) => None,
    });
    reports.flatten().map(|record| (record.kind, record.group)).collect()
}

#[track_caller]
fn done(answer: Answer) -> DoneAnswer {
    match answer {
        Answer::Done(done) => done,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn refused(answer: Answer) -> String {
    match answer {
        Answer::Error(why) => why,
        other => panic!("{other:?}"),
    }
}

fn macs(world: &mut World) -> Vec<MacAddr> {
    let Answer::Filter(filters) = world.command(&Command::Filter) else { panic!() };
    filters[0].state.macs.clone()
}

// L05, L08, L15, RFC 4862 5.4.2, RFC 3590 4: the report of a solicited-node group leaves before the address is asked for,
// from `::`; and everything is told again from the link-local address as soon as there is one, what a service joined among it.
#[test]
fn the_report_comes_before_the_question_and_again_from_the_link_local_address() {
    let mut service = ServiceOptions::echo();
    let any = pollcast::stack::membership::SourceFilter::ANY;
    service.groups6.push((pollcast::io::InterfaceId(0), Group::new(GROUP).unwrap(), any));
    let mut world = young(service);
    world.run_for(SECOND * 20);
    let frames = world.take_sent(0);
    let asks = |frame: &Vec<u8>| IcmpFrame6::read(frame).is_ok_and(|icmp| icmp.kind == 135);
    let reports = |group: Ipv6Addr, from_none: bool| {
        frames.iter().position(|frame| {
            matches!(MldMessage::read(frame).unwrap(), Some(MldMessage::ReportV2(report))
                if report.source.is_unspecified() == from_none && report.records.iter().any(|r| r.group == group))
        })
    };
    let question = frames.iter().position(asks).expect("the address is asked for");
    assert!(reports(SOLICITED, true).expect("reported from ::") < question);
    assert!(reports(GROUP, true).is_some(), "a join is not held back");
    for group in [SOLICITED, GROUP] {
        assert!(reports(group, false).is_some(), "{group} is told again from the link-local address");
    }
}

// E03, E06: the group of all nodes, and those of solicited nodes, are always in the NIC's filter; and what is joined, as long
// as it is.
#[test]
fn the_filter_holds_all_nodes_solicited_nodes_and_what_is_joined() {
    let mut world = settled();
    let mac = |text: &str| text.parse::<MacAddr>().unwrap();
    let always = ["33:33:00:00:00:01", "33:33:ff:00:00:02", "01:00:5e:00:00:01"].map(mac);
    let joined = mac("33:33:00:02:00:03");
    let before = macs(&mut world);
    assert!(always.iter().all(|mac| before.contains(mac)) && !before.contains(&joined), "{before:?}");
    done(world.command(&Command::Join(Membership::of(GROUP))));
    let with = macs(&mut world);
    assert!(always.iter().chain([&joined]).all(|mac| with.contains(mac)), "{with:?}");
    done(world.command(&Command::Leave(Membership::of(GROUP))));
    assert_eq!(macs(&mut world), before);
    // Of an interface without IPv6, nothing.
    let mut world = World::new(7, &WorldOptions::default());
    assert!(macs(&mut world).iter().all(|mac| mac.0[0] != 0x33));
}

// L02, L09, P01: joined and left by order, told at once and again within a second.
#[test]
fn groups_are_joined_and_left_by_order() {
    let mut world = settled();
    let answer = done(world.command(&Command::Join(Membership::of(GROUP))));
    assert_eq!(answer.done, "joined ff0e::1:2:3 on p0 for echo");
    assert_eq!(answer.changes[0].to, "EXCLUDE {}");
    assert_eq!(records(&said(&mut world, SECOND * 3)), vec![(RecordKind::ToEx, GROUP); 2]);
    assert!(done(world.command(&Command::Join(Membership::of(GROUP)))).done.starts_with("nothing changed"));
    let groups = world.groups();
    let row = groups.iter().find(|row| row.group == IpAddr::from(GROUP)).expect("it is shown");
    assert_eq!((row.services.as_slice(), row.filter_mode.as_str()), (&["echo".to_owned()][..], "exclude"));
    let host = groups.iter().find(|row| row.group == IpAddr::from(SOLICITED)).expect("it is shown, too");
    assert_eq!(host.services, ["host"]);
    done(world.command(&Command::Leave(Membership::of(GROUP))));
    assert_eq!(records(&said(&mut world, SECOND * 3)), vec![(RecordKind::ToIn, GROUP); 2]);
    // L16: the source-specific range takes its sources by name.
    let ssm: Ipv6Addr = "ff3e::1:2:3".parse().unwrap();
    let why = refused(world.command(&Command::Join(Membership::of(ssm))));
    assert!(why.contains("source-specific"), "{why}");
    done(world.command(&Command::Join(Membership::of(ssm).from_source(Some(ROUTER)))));
    assert_eq!(records(&said(&mut world, SECOND * 3)), vec![(RecordKind::Allow, ssm); 2]);
}

#[test]
fn what_cannot_be_is_refused_with_the_remedy() {
    let mut world = settled();
    let mut mixed = Membership::of(GROUP);
    mixed.groups.push("239.1.2.3".parse().unwrap());
    let why = refused(world.command(&Command::Join(mixed)));
    assert!(why.contains("use two commands"), "{why}");
    let other = Membership::of(GROUP).from_source(Some(Ipv4Addr::new(198, 18, 0, 1)));
    let why = refused(world.command(&Command::Join(other)));
    assert!(why.contains("198.18.0.1 is no IPv6 address"), "{why}");
    let mut many = Membership::of(GROUP);
    many.groups = vec!["ff0e::/64".parse().unwrap()];
    assert!(refused(world.command(&Command::Join(many))).contains("16384 at most"));
    let mut without = World::new(7, &WorldOptions::default());
    let why = refused(without.command(&Command::Join(Membership::of(GROUP))));
    assert!(why.contains("has no IPv6"), "{why}");
}

// L03, RFC 9777 6.2: from a link-local address with hop limit 1 and Router Alert alone. L10: answered with what is wanted.
#[test]
fn a_query_is_answered_if_it_comes_from_the_link() {
    let mut world = settled();
    done(world.command(&Command::Join(Membership::of(GROUP))));
    world.run_for(SECOND * 5);
    world.take_sent(0);
    world.send(0, &MldQuery::general(ROUTER).frame());
    let answer = records(&said(&mut world, SECOND * 11));
    assert!(answer.contains(&(RecordKind::IsEx, GROUP)) && answer.contains(&(RecordKind::IsEx, SOLICITED)));
    let far = MldQuery::general("2001:db8::1".parse().unwrap()).icmp();
    let mut hops = MldQuery::general(ROUTER).icmp();
    hops.ip.hop_limit = 2;
    let mut bare = MldQuery::general(ROUTER).icmp();
    bare.ip.extensions.clear();
    for wrong in [far, hops, bare] {
        world.send(0, &wrong.frame());
        assert_eq!(said(&mut world, SECOND * 11), []);
    }
    assert_eq!(world.drops(DropReason::MldNotOfLink), 3);
}

// L11, L12: a querier of version 1 is spoken to in it, for 260 s; `ctl mld` says so.
#[test]
fn an_older_querier_is_spoken_to_in_its_version() {
    let mut world = settled();
    let old = MldQuery { version: 1, ..MldQuery::general(ROUTER) };
    world.send(0, &old.frame());
    let answers = said(&mut world, SECOND * 11);
    assert!(answers.contains(&MldMessage::ReportV1(SOLICITED)), "{answers:?}");
    let Answer::Mld(shown) = world.command(&Command::Mld(MldOrder::default())) else { panic!() };
    assert_eq!((shown[0].version, shown[0].querier.as_ref().unwrap().addr), (1, IpAddr::from(ROUTER)));
    assert!(shown[0].v1_querier_s.is_some_and(|left| (240..260).contains(&left)));
    done(world.command(&Command::Join(Membership::of(GROUP))));
    assert_eq!(said(&mut world, SECOND * 11), vec![MldMessage::ReportV1(GROUP); 2]);
    done(world.command(&Command::Leave(Membership::of(GROUP))));
    assert_eq!(said(&mut world, SECOND * 11), [MldMessage::Done(GROUP)]);
    world.run_for(SECOND * 250);
    let Answer::Mld(shown) = world.command(&Command::Mld(MldOrder::default())) else { panic!() };
    assert_eq!(shown[0].version, 2);
}

// L09 (the twins of G44 and G45): both versions of IP are told of at a clean end, and when the link comes up.
#[test]
fn the_end_leaves_everything_of_both_versions() {
    let mut world = settled();
    done(world.command(&Command::Join(Membership::of(GROUP))));
    done(world.command(&Command::Join(Membership::of(Ipv4Addr::new(239, 1, 2, 3)))));
    world.run_for(SECOND * 5);
    world.take_sent(0);
    world.shut_down();
    let frames = world.take_sent(0);
    let left = records(&messages(&frames));
    assert!(left.contains(&(RecordKind::ToIn, GROUP)) && left.contains(&(RecordKind::ToIn, SOLICITED)));
    assert!(frames.iter().any(|frame| matches!(IgmpReport::read(frame), Ok(Some(_)))), "and IGMP");
}

// L10 (the twin of G47): a flood of queries is one answer, and most of it never gets to control.
#[test]
fn a_flood_of_queries_is_answered_once() {
    let mut world = settled();
    for _ in 0..5000 {
        let _ = world.inject(0, &MldQuery::general(ROUTER).frame());
        world.turn_worker(0);
        world.turn_worker(1);
    }
    assert!(world.drops(DropReason::MldRepeated) > 3000);
    let answers = said(&mut world, SECOND * 11);
    assert!(!answers.is_empty() && answers.len() <= 3, "{} reports", answers.len());
}
