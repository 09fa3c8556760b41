//! Several workers, a queue each: flows spread, groups are admitted everywhere, and the sums are right.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::time::Duration;

use pollcast::engine::Counter;
use pollcast::engine::command::{Answer, Command};
use pollcast::io::DropReason;
use pollcast::sim::filter::Abilities;
use pollcast::sim::frames::{IgmpReport, UdpFrame};
use pollcast::sim::nic::{NicOptions, Reception};
use pollcast::sim::setup::{PortOptions, ServiceOptions, WorldOptions};
use pollcast::sim::world::World;

const WORKERS: u16 = 4;
const GROUP: Ipv4Addr = Ipv4Addr::new(239, 1, 2, 3);

fn world(seed: u64, nic: NicOptions) -> World {
    let port = PortOptions::new(0);
    let nic = NicOptions { name: port.nic.name.clone(), mac: port.nic.mac, ..nic };
    let options = WorldOptions {
        ports: vec![PortOptions { nic, ..port }],
        services: vec![ServiceOptions::echo()],
        workers: WORKERS,
        ..WorldOptions::default()
    };
    let mut world = World::new(seed, &options);
    world.run_for(Duration::from_secs(5));
    world.take_sent(0);
    world
}

/// Datagrams of `n` flows to `to`.
fn flows(n: u16, to: &str) -> Vec<UdpFrame> {
    (0..n)
        .map(|i| UdpFrame::new(&format!("198.18.0.{}:{}", 10 + i % 90, 20_000 + i), to, &i.to_be_bytes()))
        .collect()
}

/// Injects `frames`, and returns in which queues they were.
fn inject(world: &mut World, frames: &[UdpFrame]) -> BTreeSet<u16> {
    let mut queues = BTreeSet::new();
    for burst in frames.chunks(64) {
        for frame in burst {
            match world.inject(0, &frame.frame()) {
                Reception::Queued(queue) => drop(queues.insert(queue)),
                other => panic!("{other:?}"),
            }
        }
        world.settle();
    }
    queues
}

fn answers(world: &mut World) -> usize {
    world.take_sent(0).iter().filter(|frame| UdpFrame::read(frame).is_ok()).count()
}

#[test]
fn flows_spread_over_all_workers_and_stay_where_they_are() {
    let mut world = world(1, NicOptions::default());
    let requests = flows(800, "198.18.0.2:7");
    assert_eq!(inject(&mut world, &requests).len(), usize::from(WORKERS));
    assert_eq!(answers(&mut world), 800);
    let each: Vec<_> = world.worker_tallies().iter().map(|t| t.get(Counter::Delivered)).collect();
    assert_eq!(each.iter().sum::<u64>(), 800);
    assert!(each.iter().all(|&n| (120..280).contains(&n)), "{each:?}");
    // A flow has one queue, and every datagram of it comes out in the order in which it came in.
    let flow = UdpFrame::new("198.18.0.77:33333", "198.18.0.2:7", b"");
    let of_flow: Vec<_> = (0..200u8).map(|i| UdpFrame { payload: vec![i], ..flow.clone() }).collect();
    assert_eq!(inject(&mut world, &of_flow).len(), 1);
    let order: Vec<_> = world.take_sent(0).iter().map(|f| UdpFrame::read(f).unwrap().payload[0]).collect();
    assert_eq!(order, (0..200).collect::<Vec<_>>());
}

#[test]
fn a_group_is_admitted_by_every_worker_and_refused_by_every_worker() {
    // A device that passes everything, so that the workers' own admission is what is seen.
    let mut world = world(2, NicOptions { filter: Abilities::none(), ..NicOptions::default() });
    let requests = flows(200, "239.1.2.3:7");
    let refused = |world: &World| {
        let drops = world.worker_tallies().into_iter().map(|t| t.drops(DropReason::EthernetGroupNotJoined));
        drops.collect::<Vec<_>>()
    };
    assert_eq!(inject(&mut world, &requests).len(), usize::from(WORKERS));
    let before = refused(&world);
    assert_eq!((answers(&mut world), before.iter().sum::<u64>()), (0, 200));
    assert!(before.iter().all(|&n| n > 0), "{before:?}");
    world.join(GROUP, None);
    // G24: the interface reports once, however many workers it has.
    let reports = world.take_sent(0).iter().filter(|f| matches!(IgmpReport::read(f), Ok(Some(_)))).count();
    assert_eq!(reports, 1);
    inject(&mut world, &requests);
    assert_eq!(answers(&mut world), 200);
    let delivered: Vec<_> = world.worker_tallies().iter().map(|t| t.get(Counter::Delivered)).collect();
    assert!(delivered.iter().all(|&n| n > 0), "{delivered:?}");
    assert_eq!(refused(&world), before);
    world.leave(GROUP, None);
    world.take_sent(0);
    inject(&mut world, &requests);
    assert_eq!(answers(&mut world), 0);
    assert_eq!(refused(&world), before.iter().map(|n| n * 2).collect::<Vec<_>>());
}

#[test]
fn what_is_shown_is_the_sum_over_the_workers() {
    let mut world = world(3, NicOptions::default());
    world.join(GROUP, None);
    inject(&mut world, &flows(300, "198.18.0.2:7"));
    inject(&mut world, &flows(100, "239.1.2.3:7"));
    inject(&mut world, &flows(50, "198.18.0.2:9"));
    inject(
        &mut world,
        &flows(1, "198.18.0.2:7").iter().map(|f| UdpFrame { tci: Some(9), ..f.clone() }).collect::<Vec<_>>(),
    );
    let tally = world.tally();
    let Answer::Stats(stats) = world.execute(&Command::Stats) else { panic!() };
    let port = &stats.ports[0];
    for counter in Counter::ALL {
        assert_eq!(port.engine[counter.name()], tally.get(*counter), "{}", counter.name());
    }
    assert_eq!(port.dropped, 51);
    assert_eq!((port.engine["rx"], port.device.ipackets), (451, 451));
    assert_eq!(port.engine["tx"], port.device.opackets);
    assert_eq!((port.engine["rx_bytes"], port.engine["tx_bytes"]), (port.device.ibytes, port.device.obytes));
    let pool = stats.pool.unwrap();
    assert_eq!(pool.free, pool.size);
    let Answer::Sockets(sockets) = world.execute(&Command::Sockets) else { panic!() };
    assert_eq!((sockets.len(), sockets[0].rx, sockets[0].tx), (1, 400, 400));
    let Answer::Drops(drops) = world.execute(&Command::Drops) else { panic!() };
    let of = |name: &str| drops.iter().find(|d| d.reason == name).unwrap().packets;
    assert_eq!((of("udp_no_port"), of("vlan_unknown"), of("udp_checksum")), (50, 1, 0));
}

#[test]
fn a_worker_that_does_not_turn_costs_its_own_flows_only() {
    let mut world = world(5, NicOptions { rx_descriptors: 16, ..NicOptions::default() });
    let requests = flows(400, "198.18.0.2:7");
    let mut missed = 0;
    for request in &requests {
        match world.inject(0, &request.frame()) {
            Reception::Missed => missed += 1,
            Reception::Queued(queue) if queue != 0 => drop(world.turn_worker(usize::from(queue))),
            other => assert_eq!(other, Reception::Queued(0)),
        }
    }
    world.settle();
    assert!(missed > 0);
    assert_eq!(world.device(0).stats().imissed, missed);
    assert_eq!(answers(&mut world), 400 - usize::try_from(missed).unwrap());
    assert_eq!(world.worker_tallies()[0].get(Counter::Delivered), 16);
}
