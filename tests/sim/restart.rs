//! A port is stopped and started again while its host runs: by order, by the device's own wish, and when it will not start.

use std::net::Ipv4Addr;
use std::time::Duration;

use pollcast::engine::command::{Answer, Command, Membership, RestartOrder};
use pollcast::engine::counters::Counter;
use pollcast::io::{FilterPolicy, Rung};
use pollcast::sim::filter::Abilities;
use pollcast::sim::frames::{ArpFrame, IgmpReport, UdpFrame};
use pollcast::sim::nic::{NicOptions, Reception};
use pollcast::sim::router::{RouterOptions, View};
use pollcast::sim::setup::{PortOptions, WorldOptions};
use pollcast::sim::world::World;

const GROUP: Ipv4Addr = Ipv4Addr::new(239, 1, 2, 3);
const LATER: Ipv4Addr = Ipv4Addr::new(239, 7, 7, 7);
const PEER: &str = "198.18.0.1:40000";

fn with_filter(filter: Abilities, filter_policy: FilterPolicy) -> WorldOptions {
    let port = PortOptions::new(0);
    let nic = NicOptions { filter, filter_policy, ..port.nic.clone() };
    let router = Some(RouterOptions::new(Ipv4Addr::new(198, 18, 0, 254)));
    WorldOptions {
        ports: vec![PortOptions { nic, router, ..port }, PortOptions::new(1)],
        workers: 2,
        ..WorldOptions::default()
    }
}

fn exact() -> WorldOptions {
    with_filter(Abilities::exact(64), FilterPolicy::Auto)
}

/// A world whose start is over, with the group joined on p0 and all said of it.
fn started(options: &WorldOptions) -> World {
    let mut world = World::new(5, options);
    world.router(0).set_silent(true);
    world.execute(&Command::Join(Membership::of(GROUP).on("p0")));
    world.run_for(Duration::from_secs(20));
    world.take_sent(0);
    world
}

fn restart() -> Command {
    Command::Restart(RestartOrder { port: Some("p0".into()) })
}

fn to_group(group: Ipv4Addr) -> Vec<u8> {
    UdpFrame::new(PEER, &format!("{group}:7"), b"to all").frame()
}

fn is_answered(world: &mut World, group: Ipv4Addr) -> bool {
    world.exchange(0, &to_group(group)).iter().any(|frame| UdpFrame::read(frame).is_ok())
}

#[track_caller]
fn done(answer: Answer) -> String {
    match answer {
        Answer::Done(done) => done.done,
        other => panic!("{other:?}"),
    }
}

fn rung(world: &mut World) -> Rung {
    match world.execute(&Command::Filter) {
        Answer::Filter(answers) => answers[0].state.rung,
        other => panic!("{other:?}"),
    }
}

/// Whether a report of `group` and an announcement of our address were among what was sent.
fn told_again(world: &mut World, group: Ipv4Addr) -> (bool, bool) {
    let sent = world.take_sent(0);
    let of_group = |frame: &Vec<u8>| {
        let report = IgmpReport::read(frame).ok().flatten();
        report.is_some_and(|report| report.records.iter().any(|record| record.group == group))
    };
    let announces = |frame: &Vec<u8>| ArpFrame::read(frame).is_ok_and(|arp| arp.target == arp.sender);
    (sent.iter().any(of_group), sent.iter().any(announces))
}

// E08: after the restart the filter is programmed, whatever the device keeps of it; G44: and all is told again.
#[test]
fn multicast_flows_after_a_restart() {
    for (abilities, policy, expected) in [
        (Abilities::exact(64), FilterPolicy::Auto, Rung::AddrList),
        (Abilities::hash12(64), FilterPolicy::Auto, Rung::AddrList),
        (Abilities::mac_table(64), FilterPolicy::Auto, Rung::MacTable),
        (Abilities::exact(64), FilterPolicy::AllMulticast, Rung::AllMulticast),
        (Abilities::promiscuous_only(), FilterPolicy::Auto, Rung::Promiscuous),
        (Abilities::none(), FilterPolicy::Auto, Rung::Unfiltered),
    ] {
        let mut world = started(&with_filter(abilities, policy));
        let answer = done(world.execute(&restart()));
        assert!(
            answer.starts_with("restarted p0; workers were off it for 0 ms, its link is up after"),
            "{answer}"
        );
        assert_eq!(rung(&mut world), expected);
        world.run_for(Duration::from_secs(5));
        assert_eq!(told_again(&mut world, GROUP), (true, true), "{abilities:?}");
        assert!(is_answered(&mut world, GROUP), "{abilities:?}");
        assert_eq!(world.router(0).view(GROUP), View::Exclude([].into()));
    }
}

// DESIGN 3: what is in the rings at a stop is the device's; every packet that a worker had is accounted for, which the
// world looks at after each turn.
#[test]
fn what_is_in_the_rings_at_a_stop_is_lost_and_no_buffer_with_it() {
    let mut world = started(&exact());
    for _ in 0..20 {
        assert!(matches!(world.inject(0, &to_group(GROUP)), Reception::Queued(_)));
    }
    world.command(&restart());
    // Control looks, and the workers let go before they take anything from the rings.
    for worker in [0, 1] {
        world.turn_worker(worker);
    }
    assert_eq!(world.device(0).rx_pending(), 20);
    world.turn_control();
    assert_eq!((world.device(0).rx_pending(), world.pool().outstanding()), (0, 0));
    world.run_for(Duration::from_secs(1));
    assert!(is_answered(&mut world, GROUP));
    let answer = UdpFrame::new("198.18.1.1:40000", "198.18.1.2:7", b"x").frame();
    world.take_sent(1);
    assert_eq!(world.exchange(1, &answer).len(), 1, "the other port went on");
}

// Until every worker has let go the port is not touched, and what is to be sent on a port that was let go is a refusal of
// its ring.
#[test]
fn a_port_is_stopped_when_the_last_worker_has_let_go() {
    let mut world = started(&exact());
    world.command(&restart());
    world.turn_worker(0);
    world.turn_control();
    world.inject(0, &to_group(GROUP));
    assert!(world.device(0).passes(pollcast::addr::Group::<pollcast::addr::V4>::new(GROUP).unwrap().mac()));
    let before = world.count(Counter::TxRefused);
    // Worker 0 sends for control: a leave is reported at once.
    world.command(&Command::Leave(Membership::of(GROUP).on("p0")));
    world.turn_worker(0);
    assert_eq!(world.count(Counter::TxRefused) - before, 1);
    world.command(&Command::Join(Membership::of(LATER).on("p0")));
    world.run_for(Duration::from_secs(20));
    assert!(is_answered(&mut world, LATER) && !is_answered(&mut world, GROUP));
    assert_eq!(world.router(0).view(LATER), View::Exclude([].into()), "told after the restart");
}

#[test]
fn a_worker_that_does_not_let_go_keeps_its_port_as_it_is() {
    let mut world = started(&exact());
    world.set_stuck(Some(1));
    let Answer::Error(why) = world.execute(&restart()) else { panic!("restarted under a worker") };
    assert_eq!(why, "restart: a worker does not let go of p0: it goes on as before");
    world.set_stuck(None);
    world.run_for(Duration::from_secs(1));
    assert!(is_answered(&mut world, GROUP));
    done(world.execute(&restart()));
    assert!(is_answered(&mut world, GROUP));
}

#[test]
fn a_device_that_does_not_start_is_tried_again_until_it_does() {
    let mut world = started(&exact());
    world.device(0).set_broken(true);
    let Answer::Error(why) = world.execute(&restart()) else { panic!("it is broken") };
    assert_eq!(
        why,
        "restart: p0 is down: the device does not start: Input/output error (-EIO); it is tried again in 1 s"
    );
    let Answer::Error(why) = world.execute(&restart()) else { panic!("it is down") };
    assert_eq!(why, "restart: p0 is being restarted already");
    world.run_for(Duration::from_secs(100));
    assert!(!is_answered(&mut world, GROUP));
    world.device(0).set_broken(false);
    world.run_for(Duration::from_secs(70));
    assert_eq!(told_again(&mut world, GROUP), (true, true));
    assert!(is_answered(&mut world, GROUP));
}

// E08: RTE_ETH_EVENT_INTR_RESET. The device has forgotten everything, its table, too.
#[test]
fn a_device_that_asks_for_a_reset_is_reset() {
    for abilities in [Abilities::exact(64), Abilities::mac_table(64)] {
        let mut world = started(&with_filter(abilities, FilterPolicy::Auto));
        world.device(0).ask_for_reset();
        world.run_for(Duration::from_secs(5));
        assert_eq!(told_again(&mut world, GROUP), (true, true));
        assert!(is_answered(&mut world, GROUP), "{abilities:?}");
        world.run_for(Duration::from_secs(5));
        assert_eq!(told_again(&mut world, GROUP), (false, false), "once");
    }
}

#[test]
fn a_link_that_stays_down_is_told_and_noticed_when_it_comes_up() {
    let mut world = started(&exact());
    world.device(0).set_link_up(false);
    let answer = done(world.execute(&restart()));
    assert!(answer.ends_with("its link is down after 5 s"), "{answer}");
    world.run_for(Duration::from_secs(60));
    world.take_sent(0);
    world.device(0).set_link_up(true);
    world.run_for(Duration::from_secs(5));
    assert_eq!(told_again(&mut world, GROUP), (true, true));
    assert!(is_answered(&mut world, GROUP));
}

#[test]
fn a_port_that_is_not_there_is_not_restarted() {
    let mut world = started(&exact());
    let order = |port: Option<&str>| Command::Restart(RestartOrder { port: port.map(str::to_owned) });
    let Answer::Error(why) = world.execute(&order(None)) else { panic!() };
    assert_eq!(why, "restart: there are several ports: name one with --port: p0, p1");
    let Answer::Error(why) = world.execute(&order(Some("p9"))) else { panic!() };
    assert_eq!(why, "restart: there is no port \"p9\"; there is p0, p1");
}

// Restarts at any moment, under traffic in both directions and other commands, lose no buffer and no membership.
#[test]
fn restarts_at_random_moments_lose_nothing_for_good() {
    for seed in 0..30 {
        let mut rng = pollcast::rng::Rng::new(seed);
        let mut world = started(&exact());
        for _ in 0..200 {
            match rng.below(8) {
                0 => drop(world.command(&restart())),
                1 => world.device(0).set_broken(rng.one_in(3)),
                2 => world.device(0).ask_for_reset(),
                3 => drop(world.command(&Command::Join(Membership::of(LATER).on("p0")))),
                4 => drop(world.command(&Command::Leave(Membership::of(LATER).on("p0")))),
                5 => world.run_for(Duration::from_millis(rng.below(1500))),
                6 => drop(world.turn_worker(usize::from(rng.one_in(2)))),
                _ => drop(world.inject(0, &to_group(GROUP))),
            }
        }
        world.device(0).set_broken(false);
        world.run_for(Duration::from_secs(70));
        world.take_sent(0);
        assert!(is_answered(&mut world, GROUP), "seed {seed}");
        let joined = world.groups().iter().any(|g| g.group == LATER);
        assert_eq!(is_answered(&mut world, LATER), joined, "seed {seed}");
    }
}
