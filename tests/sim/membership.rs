//! Commands that change memberships: many groups at once, the order of their steps, limits, and what is told of it.

use std::net::Ipv4Addr;
use std::time::Duration;

use pollcast::addr::{Group, Ipv4Cidr, MacAddr, Unicast, V4, Vid};
use pollcast::engine::command::{
    Answer, Command, DoneAnswer, FilterAnswer, FilterMode, FilterPolicyOrder, Membership, SourceFilterOrder,
};
use pollcast::io::{FilterPolicy, Rung};
use pollcast::sim::filter::{Abilities, Effect};
use pollcast::sim::frames::{IgmpReport, Record, RecordKind, UdpFrame};
use pollcast::sim::nic::NicOptions;
use pollcast::sim::setup::{PortOptions, ServiceOptions, VlanOptions, WorldOptions};
use pollcast::sim::world::World;
use pollcast::stack::membership::Limits;

const GROUP: Ipv4Addr = Ipv4Addr::new(239, 1, 2, 3);
const SSM: Ipv4Addr = Ipv4Addr::new(232, 1, 2, 3);
const PEER: &str = "198.18.0.1:40000";

fn source(n: u8) -> Ipv4Addr {
    Ipv4Addr::new(198, 18, 0, 10 + n)
}

fn with_filter(filter: Abilities) -> WorldOptions {
    let port = PortOptions::new(0);
    let nic = NicOptions { filter, ..port.nic.clone() };
    WorldOptions { ports: vec![PortOptions { nic, ..port }], ..WorldOptions::default() }
}

/// A world whose start is over.
fn started(options: &WorldOptions) -> World {
    let mut world = World::new(1, options);
    world.run_for(Duration::from_secs(10));
    world.take_sent(0);
    world
}

fn many(groups: &str) -> Membership {
    Membership {
        groups: groups.split(' ').map(|range| range.parse().unwrap()).collect(),
        ..Membership::of(GROUP)
    }
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

fn filter(world: &mut World) -> FilterAnswer {
    match world.execute(&Command::Filter) {
        Answer::Filter(mut answers) => answers.remove(0),
        other => panic!("{other:?}"),
    }
}

/// The records of the reports that were sent since this was last asked, and how many those were.
fn reported(world: &mut World) -> (usize, Vec<Record>) {
    let reports: Vec<_> =
        world.take_sent(0).iter().filter_map(|frame| IgmpReport::read(frame).unwrap()).collect();
    (reports.len(), reports.into_iter().flat_map(|report| report.records).collect())
}

fn is_answered(world: &mut World, group: Ipv4Addr) -> bool {
    let sent = world.exchange(0, &UdpFrame::new(PEER, &format!("{group}:7"), b"x").frame());
    sent.iter().any(|frame| UdpFrame::read(frame).is_ok())
}

// DESIGN 6: a thousand joins in one command are a few calls to the driver and a few reports.
#[test]
fn a_thousand_joins_are_one_call_to_the_driver_and_six_reports() {
    let mut world = started(&with_filter(Abilities::exact(2048)));
    let before = world.device(0).filter_calls();
    let answer = done(world.execute(&Command::Join(many("239.1.0.1-239.1.3.232"))));
    assert_eq!(world.device(0).filter_calls() - before, 1);
    assert_eq!(answer.done, "joined 1000 of 1000 groups on p0 for echo");
    assert_eq!(answer.changes.len(), 1000);
    assert!(answer.changes.iter().all(|c| c.changed && c.from == "INCLUDE {}" && c.to == "EXCLUDE {}"));
    assert_eq!(answer.filter.as_deref(), Some("addr_list, 1001 group addresses"));
    let (reports, records) = reported(&mut world);
    assert_eq!(answer.reports, u32::try_from(reports).ok());
    // G33: 8 bytes each in 1468.
    assert_eq!((reports, records.len()), (1000_usize.div_ceil(183), 1000));
    assert!(is_answered(&mut world, Ipv4Addr::new(239, 1, 3, 232)));
    world.run_for(Duration::from_secs(10));
    world.take_sent(0);

    let before = world.device(0).filter_calls();
    let answer = done(world.execute(&Command::Leave(many("239.1.0.1-239.1.3.231"))));
    assert_eq!(world.device(0).filter_calls() - before, 1);
    assert_eq!((answer.reports, reported(&mut world).0), (Some(6), 6));
    assert!(
        !is_answered(&mut world, Ipv4Addr::new(239, 1, 0, 1))
            && is_answered(&mut world, Ipv4Addr::new(239, 1, 3, 232))
    );
    assert_eq!(world.groups().len(), 1);
}

// E07: more than a table holds is one switch, and back again what fits.
#[test]
fn a_thousand_joins_over_a_small_table_are_a_few_calls() {
    let mut world = started(&with_filter(Abilities::mac_table(63)));
    let before = world.device(0).filter_calls();
    done(world.execute(&Command::Join(many("239.1.0.1-239.1.3.232"))));
    // The list that it has not; all-multicast; the one address out of the table.
    assert_eq!(world.device(0).filter_calls() - before, 3);
    assert_eq!(filter(&mut world).state.rung, Rung::AllMulticast);
    assert!(is_answered(&mut world, Ipv4Addr::new(239, 1, 3, 232)));
    done(world.execute(&Command::Leave(many("239.1.0.11-239.1.3.232"))));
    let state = filter(&mut world).state;
    assert_eq!((state.rung, state.capacity, state.entries), (Rung::MacTable, Some(63), 11));
    assert!(is_answered(&mut world, Ipv4Addr::new(239, 1, 0, 1)));
}

#[test]
fn each_group_of_a_command_has_its_own_outcome() {
    let mut world = started(&WorldOptions::default());
    world.join(GROUP, None);
    world.take_sent(0);
    let answer = done(world.execute(&Command::Join(many("239.1.2.3 232.1.2.3 224.0.0.1-224.0.0.2"))));
    assert_eq!(answer.done, "joined 1 of 4 groups on p0 for echo; 2 could not be");
    let outcomes: Vec<_> =
        answer.changes.iter().map(|c| (c.changed, c.error.as_deref().map(|e| &e[..13]))).collect();
    // In the order of the groups: 224.0.0.1, 224.0.0.2, 232.1.2.3, 239.1.2.3.
    assert_eq!(
        outcomes,
        [(false, Some("the group of ")), (true, None), (false, Some("the group is ")), (false, None)]
    );
    assert_eq!(reported(&mut world).1.len(), 1);
    // Of one group alone it is a refusal.
    assert!(
        refused(world.execute(&Command::Join(many("232.1.2.3"))))
            .starts_with("232.1.2.3: the group is in the")
    );
    assert!(refused(world.execute(&Command::Leave(many("239.9.9.9")))).contains("not joined there"));
    let again = done(world.execute(&Command::Join(many("239.1.2.3"))));
    assert_eq!(
        (again.done.as_str(), again.reports),
        ("nothing changed: already joined 239.1.2.3 on p0 for echo", Some(0))
    );
}

#[test]
fn a_command_of_too_many_groups_or_of_none_is_refused_whole() {
    let mut world = started(&WorldOptions::default());
    let why = refused(world.execute(&Command::Join(many("239.0.0.0/8"))));
    assert_eq!(
        why,
        "239.0.0.0-239.255.255.255: 16777216 groups: one command takes 16384 at most, use several"
    );
    assert!(
        refused(world.execute(&Command::Leave(Membership { groups: vec![], ..Membership::of(GROUP) })))
            .contains("name one")
    );
    assert!(world.groups().is_empty());
}

// P03: told with the limit and the key that it has.
#[test]
fn limits_are_told_and_nothing_beyond_them_is_joined() {
    let membership_limits = Limits { groups: 10, sources: 2 };
    let port = PortOptions { membership_limits, ..PortOptions::new(0) };
    let mut world = started(&WorldOptions { ports: vec![port], ..WorldOptions::default() });
    let answer = done(world.execute(&Command::Join(many("239.1.0.1-239.1.0.12"))));
    assert_eq!(answer.done, "joined 10 of 12 groups on p0 for echo; 2 could not be");
    let why = "the interface has joined 10 groups, and may join no more: the key groups_max is the limit";
    assert_eq!(answer.changes.iter().filter(|c| c.error.as_deref() == Some(why)).count(), 2);
    done(world.execute(&Command::Leave(many("239.1.0.1-239.1.0.10"))));
    let only = |n| Membership::of(SSM).from_source(Some(source(n)));
    done(world.execute(&Command::Join(only(1))));
    done(world.execute(&Command::Join(only(2))));
    let why = refused(world.execute(&Command::Join(only(3))));
    assert!(why.contains("more than 2 sources") && why.contains("sources_max"), "{why}");
    let order = source_filter(SSM, FilterMode::Include, &[1, 2, 3]);
    assert!(refused(world.execute(&order)).contains("sources_max"));
    assert_eq!(world.groups()[0].sources, [source(1), source(2)]);
}

fn source_filter(group: Ipv4Addr, mode: FilterMode, sources: &[u8]) -> Command {
    Command::SourceFilter(SourceFilterOrder {
        groups: Membership::of(group).groups,
        mode,
        sources: sources.iter().map(|n| source(*n).into()).collect(),
        service: None,
        port: None,
    })
}

// G25, G26, G27, RFC 9776 5.1: what routers hear of a service's source filter as it is set, and what is answered.
#[test]
fn a_source_filter_is_set_whole_and_told_as_its_difference() {
    use FilterMode::{Exclude, Include};
    let record = |kind, sources: &[u8]| Record {
        kind,
        group: GROUP,
        sources: sources.iter().map(|n| source(*n)).collect(),
    };
    let steps = [
        (Include, &[1, 2][..], vec![record(RecordKind::Allow, &[1, 2])]),
        (Include, &[2, 3], vec![record(RecordKind::Allow, &[3]), record(RecordKind::Block, &[1])]),
        (Exclude, &[4], vec![record(RecordKind::ToEx, &[4])]),
        // Blocking one more, and unblocking another.
        (Exclude, &[4, 5], vec![record(RecordKind::Block, &[5])]),
        (Exclude, &[5], vec![record(RecordKind::Allow, &[4])]),
        (Exclude, &[5], vec![]),
        (Include, &[1], vec![record(RecordKind::ToIn, &[1])]),
        (Include, &[], vec![record(RecordKind::Block, &[1])]),
    ];
    let mut world = started(&WorldOptions::default());
    let mut before = "INCLUDE {}".to_owned();
    for (mode, sources, records) in steps {
        let answer = done(world.execute(&source_filter(GROUP, mode, sources)));
        let mut told = reported(&mut world).1;
        told.sort_by_key(|record| format!("{:?}", record.kind));
        assert_eq!(told, records, "{mode:?} {sources:?}");
        assert_eq!(answer.reports, Some(u32::from(!records.is_empty())));
        assert_eq!(answer.changes[0].from, before);
        assert_eq!(answer.changes[0].to, answer.changes[0].interface);
        before.clone_from(&answer.changes[0].to);
        let from = |n: u8| {
            let from = format!("{}:40000", source(n));
            UdpFrame::new(&from, &format!("{GROUP}:7"), b"x").frame()
        };
        world.run_for(Duration::from_secs(10));
        world.take_sent(0);
        for n in 1..6 {
            let wanted = if mode == Include { sources.contains(&n) } else { !sources.contains(&n) };
            let answered = world.exchange(0, &from(n)).iter().any(|frame| UdpFrame::read(frame).is_ok());
            assert_eq!(answered, wanted, "{mode:?} {sources:?}, source {n}");
        }
    }
    assert_eq!(before, "INCLUDE {}");
    assert!(refused(world.execute(&source_filter(SSM, Exclude, &[1]))).contains("source-specific"));
}

fn two_workers() -> WorldOptions {
    WorldOptions { workers: 2, ..WorldOptions::default() }
}

// DESIGN 5, 6: on join the device's filter, every worker's admission, and only then the report.
#[test]
fn a_report_leaves_when_the_last_worker_admits_the_group() {
    let mut world = started(&two_workers());
    let answer = done(world.command(&Command::Join(Membership::of(GROUP))));
    assert_eq!(answer.reports, None, "none has left yet");
    assert!(
        world.device(0).passes(Group::<V4>::new(GROUP).unwrap().mac()),
        "the device's filter is the first"
    );
    for worker in [0, 1] {
        world.turn_control();
        world.turn_worker(0);
        assert_eq!(world.device(0).tx_pending(), 0, "worker {worker} does not admit it yet");
        world.turn_worker(worker);
    }
    world.turn_control();
    world.turn_worker(0);
    assert_eq!(world.device(0).tx_pending(), 1);
}

// And a worker that is stuck holds nobody's packets back for ever.
#[test]
fn a_stuck_worker_delays_a_report_by_a_second_and_no_more() {
    let mut world = started(&two_workers());
    world.set_stuck(Some(1));
    world.command(&Command::Join(Membership::of(GROUP)));
    world.run_for(Duration::from_millis(990));
    assert_eq!(reported(&mut world).0, 0);
    world.run_for(Duration::from_millis(20));
    assert!(reported(&mut world).0 >= 1);
    // What is left meanwhile, and joined again, is told as it is in the end.
    world.command(&Command::Join(many("239.7.7.7")));
    world.command(&Command::Leave(many("239.7.7.7")));
    world.set_stuck(None);
    world.run_for(Duration::from_secs(10));
    let (_, records) = reported(&mut world);
    assert!(records.iter().all(|record| record.group == GROUP), "never reported, never left: {records:?}");
    assert!(is_answered(&mut world, GROUP));
}

#[test]
fn a_shutdown_waits_for_no_report() {
    let mut world = started(&two_workers());
    world.set_stuck(Some(1));
    world.command(&Command::Join(Membership::of(GROUP)));
    world.shut_down();
    assert!(reported(&mut world).1.iter().all(|record| record.kind != RecordKind::ToEx));
}

// DESIGN 6: a refusal that may pass is tried again, after a second, then ever less often, and the port does not stay on a
// worse rung for good.
#[test]
fn a_busy_device_is_asked_again_and_ever_less_often() {
    let mut world = started(&WorldOptions::default());
    world.device(0).set_filter_busy(true);
    world.join(GROUP, None);
    let answer = filter(&mut world);
    assert_eq!(
        (answer.state.rung, answer.state.may_pass, answer.retry_in_s),
        (Rung::Unfiltered, true, Some(1))
    );
    let busy = "set_mc_addr_list: Device or resource busy (-EBUSY)";
    assert_eq!(answer.state.refused[0].why, busy);
    let before = answer.state.applied;
    world.run_for(Duration::from_secs(60));
    // After 1, 3, 7, 15 and 31 seconds.
    assert_eq!(filter(&mut world).state.applied - before, 5);
    world.run_for(Duration::from_secs(600));
    let applied = filter(&mut world).state.applied - before;
    assert!((14..=16).contains(&applied), "every minute from then on: {applied}");
    assert!(!is_answered(&mut world, GROUP));
    world.device(0).set_filter_busy(false);
    world.run_for(Duration::from_secs(60));
    let answer = filter(&mut world);
    assert_eq!((answer.state.rung, answer.state.may_pass, answer.retry_in_s), (Rung::AddrList, false, None));
    assert!(is_answered(&mut world, GROUP));
    let before = filter(&mut world).state.calls;
    world.run_for(Duration::from_secs(600));
    assert_eq!(filter(&mut world).state.calls, before, "and nothing more is asked of it");
}

#[test]
fn a_filter_is_pinned_and_let_go_while_it_runs() {
    let mut world = started(&WorldOptions::default());
    world.join(GROUP, None);
    for (policy, rung, told) in [
        (FilterPolicy::AllMulticast, Rung::AllMulticast, "all_multicast: addr_list -> all_multicast"),
        (FilterPolicy::Promiscuous, Rung::Promiscuous, "promiscuous: all_multicast -> promiscuous"),
        (FilterPolicy::Auto, Rung::AddrList, "auto: promiscuous -> addr_list"),
        (FilterPolicy::Auto, Rung::AddrList, "auto: addr_list, as before"),
    ] {
        let order = FilterPolicyOrder { policy, port: Some("p0".into()) };
        let answer = done(world.execute(&Command::FilterPolicy(order)));
        assert_eq!(answer.done, format!("the multicast filter of p0 is {told}"));
        let state = filter(&mut world).state;
        assert_eq!((state.rung, state.policy), (rung, policy));
        assert_eq!(
            (state.all_multicast, state.promiscuous),
            (rung == Rung::AllMulticast, rung == Rung::Promiscuous)
        );
        assert!(is_answered(&mut world, GROUP));
    }
    let order = FilterPolicyOrder { policy: FilterPolicy::Auto, port: Some("p9".into()) };
    let why = refused(world.execute(&Command::FilterPolicy(order)));
    assert_eq!(why, "multicast filter: there is no port \"p9\"; there is p0");
}

/// 198.18.0.2/24 untagged, 198.19.0.2/24 on VLAN 100, on a device that passes everything.
fn vlans() -> WorldOptions {
    let cidr =
        Unicast::new(Ipv4Addr::new(198, 19, 0, 2)).and_then(|a| Ipv4Cidr::new(a, 24)).into_iter().collect();
    let vlan = VlanOptions { vid: Vid::new(100).unwrap(), addresses: cidr, gateway4: None };
    let mut options = with_filter(Abilities::exact(64).with_effect(Effect::PassesAll));
    options.ports[0].vlans = vec![vlan];
    options
}

fn tagged(vid: u16, mut frame: Vec<u8>) -> Vec<u8> {
    let tag = [[0x81, 0x00], vid.to_be_bytes()].concat();
    frame.splice(12..12, tag);
    frame
}

// E04, E05, U18, DESIGN 6: what the device let through though its MAC is not in the port's set; and what has the MAC of a
// joined group and is another group, or that of another VLAN.
#[test]
fn what_the_device_let_through_for_nothing_is_counted_as_what_it_was() {
    let mut world = started(&vlans());
    world.execute(&Command::Join(Membership::of(GROUP).on("p0.100")));
    let counts = |world: &mut World| {
        let answer = filter(world);
        (answer.not_in_set, answer.aliases)
    };
    let to = |group: &str, from: &str| UdpFrame::new(from, &format!("{group}:7"), b"x").frame();
    let (here, there) = ("198.18.0.1:40000", "198.19.0.1:40000");
    assert_eq!(counts(&mut world), (0, 0));
    world.exchange(0, &tagged(100, to("239.1.2.3", there)));
    assert_eq!(counts(&mut world), (0, 0), "wanted there");
    world.exchange(0, &to("239.1.2.3", here));
    assert_eq!(counts(&mut world), (0, 1), "joined on another VLAN");
    world.exchange(0, &tagged(100, to("239.129.2.3", there)));
    assert_eq!(counts(&mut world), (0, 2), "another of the 32 groups of its MAC");
    world.exchange(0, &to("239.1.2.4", here));
    world.exchange(0, &tagged(100, to("239.1.2.4", there)));
    assert_eq!(counts(&mut world), (2, 2), "not in the set, on either");
    world.exchange(0, &tagged(200, to("239.1.2.4", there)));
    assert_eq!(counts(&mut world), (3, 2), "nor on a VLAN that is not ours");
    let mut to_ipv6 = to("239.1.2.4", here);
    to_ipv6[..6].copy_from_slice(&MacAddr([0x33, 0x33, 0, 0, 0, 1]).0);
    world.exchange(0, &to_ipv6);
    assert_eq!(counts(&mut world), (4, 2));
    world.exchange(0, &UdpFrame::new(here, "198.18.0.2:9", b"x").frame());
    assert_eq!(counts(&mut world), (4, 2), "unicast is neither");
}

// U18: one service, two interfaces; a filter on one says nothing of the other.
#[test]
fn each_interface_has_its_own_source_filter() {
    let mut world = started(&vlans());
    let Command::SourceFilter(order) = source_filter(GROUP, FilterMode::Exclude, &[1]) else {
        unreachable!()
    };
    world.execute(&Command::SourceFilter(SourceFilterOrder { port: Some("p0".into()), ..order.clone() }));
    world.execute(&Command::SourceFilter(SourceFilterOrder {
        port: Some("p0.100".into()),
        sources: vec![],
        ..order
    }));
    let groups: Vec<_> = world.groups().into_iter().map(|g| (g.port, g.sources.len())).collect();
    assert_eq!(groups, [("p0".to_owned(), 1), ("p0.100".to_owned(), 0)]);
}

// G30, G31: of two services on one interface routers hear what both together want; the answer tells both.
#[test]
fn an_answer_tells_the_service_and_the_interface_apart() {
    let second = ServiceOptions {
        name: "second".into(),
        listen: vec!["0.0.0.0:8".parse().unwrap()],
        ..ServiceOptions::echo()
    };
    let mut world =
        started(&WorldOptions { services: vec![ServiceOptions::echo(), second], ..WorldOptions::default() });
    done(world.execute(&Command::Join(Membership::of(GROUP).by("echo"))));
    let answer =
        done(world.execute(&Command::Join(Membership::of(GROUP).by("second").from_source(Some(source(1))))));
    assert_eq!(answer.changes[0].to, format!("INCLUDE {{{}}}", source(1)));
    assert_eq!(answer.changes[0].interface, "EXCLUDE {}");
    assert_eq!(answer.reports, Some(0), "the interface wants no more than before");
}
