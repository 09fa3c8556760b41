//! Fewer queues than workers: flows are spread in software (RPS), and nobody can tell but by the counters.
//!
//! The world asserts after every turn that no packet was lost or doubled, and after every moment that no buffer was.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use crate::sockets_common::{addr, bound, ip};
use pollcast::engine::Counter;
use pollcast::engine::command::{Answer, Command};
use pollcast::io::DropReason;
use pollcast::rng::Rng;
use pollcast::sim::frames::fragment::cut_evenly;
use pollcast::sim::frames::udp6::UdpFrame6;
use pollcast::sim::frames::{IgmpReport, UdpFrame};
use pollcast::sim::nic::{NicOptions, Reception};
use pollcast::sim::setup::{PortOptions, ServiceOptions, WorldOptions};
use pollcast::sim::world::World;

const HOST: &str = "198.18.0.2:7";
const GROUP: Ipv4Addr = Ipv4Addr::new(239, 1, 2, 3);

/// `workers` workers on a device with `queues` queues.
fn options(workers: u16, queues: u16) -> WorldOptions {
    let stations =
        (1..100).map(|host| Ipv4Addr::new(198, 18, 0, host)).filter(|host| host.octets()[3] != 2).collect();
    let port = PortOptions { queues: Some(queues), stations, ..PortOptions::new(0) };
    WorldOptions {
        ports: vec![port],
        services: vec![ServiceOptions::echo()],
        workers,
        buffers: 4096,
        large: 64,
        ..WorldOptions::default()
    }
}

fn started(seed: u64, options: &WorldOptions) -> World {
    let mut world = World::new(seed, options);
    world.run_for(Duration::from_secs(5));
    world.take_sent(0);
    world
}

/// A request of flow `flow`, the `n`th.
fn request(flow: u16, n: u16, to: &str) -> UdpFrame {
    let payload = [flow.to_be_bytes(), n.to_be_bytes()].concat();
    UdpFrame::new(&format!("198.18.0.{}:{}", 10 + flow % 90, 20_000 + flow), to, &payload)
}

/// Injects `frames` a burst at a time, each of which must be received, and returns the payloads of the answers by flow.
fn exchange(world: &mut World, frames: &[Vec<u8>]) -> BTreeMap<u16, Vec<u16>> {
    for burst in frames.chunks(64) {
        for frame in burst {
            assert!(matches!(world.inject(0, frame), Reception::Queued(_)));
        }
        world.settle();
    }
    let mut answers: BTreeMap<u16, Vec<u16>> = BTreeMap::new();
    for answer in world.take_sent(0).iter().filter_map(|frame| UdpFrame::read(frame).ok()) {
        let [f0, f1, n0, n1] = answer.payload[..] else { panic!("{answer:?}") };
        answers.entry(u16::from_be_bytes([f0, f1])).or_default().push(u16::from_be_bytes([n0, n1]));
    }
    answers
}

fn each(world: &World, counter: Counter) -> Vec<u64> {
    world.worker_tallies().iter().map(|tally| tally.get(counter)).collect()
}

#[test]
fn every_worker_has_its_share_and_every_flow_its_order() {
    for (workers, queues) in [(2, 1), (4, 1), (3, 2), (5, 2)] {
        let mut world = started(1, &options(workers, queues));
        let by_control = world.count(Counter::HandedIn) - world.count(Counter::HandedOut);
        let frames: Vec<_> =
            (0..8).flat_map(|n| (0..400).map(move |flow| request(flow, n, HOST).frame())).collect();
        let answers = exchange(&mut world, &frames);
        assert_eq!(answers.len(), 400);
        assert!(answers.values().all(|of| *of == (0..8).collect::<Vec<_>>()), "order within a flow");
        let delivered = each(&world, Counter::Delivered);
        let fair = 3200 / u64::from(workers);
        assert!(delivered.iter().all(|n| (fair * 7 / 10..fair * 13 / 10).contains(n)), "{delivered:?}");
        // Who has no queue receives and sends by those who have.
        let (rx, tx) = (each(&world, Counter::Rx), each(&world, Counter::Tx));
        let with_queue = usize::from(queues);
        assert!(rx[..with_queue].iter().chain(&tx[..with_queue]).all(|n| *n > 0), "{rx:?} {tx:?}");
        assert!(rx[with_queue..].iter().chain(&tx[with_queue..]).all(|n| *n == 0), "{rx:?} {tx:?}");
        assert_eq!(world.count(Counter::HandedOut) + by_control, world.count(Counter::HandedIn));
        assert_eq!(world.count(Counter::FastPath), 3200, "the price of a hand-over is not the slow path");
        let stats = world.device(0).stats();
        assert_eq!(
            (world.count(Counter::RxBytes), world.count(Counter::TxBytes)),
            (stats.ibytes, stats.obytes)
        );
        assert_eq!((world.count(Counter::Rx), world.count(Counter::Tx)), (stats.ipackets, stats.opackets));
        assert_eq!(world.all_drops(), []);
    }
}

#[test]
fn a_worker_that_does_not_turn_costs_its_own_flows_only() {
    let port = PortOptions::new(0);
    let nic = NicOptions { rx_descriptors: 64, ..port.nic.clone() };
    let port = PortOptions { nic, queues: Some(1), ..port };
    let mut world = started(2, &WorldOptions { ports: vec![port], ..options(2, 1) });
    let mut answered = 0;
    for flow in 0..800 {
        assert!(matches!(world.inject(0, &request(flow, 0, HOST).frame()), Reception::Queued(0)));
        world.turn_worker(0);
        answered += core::iter::from_fn(|| world.device(0).transmit()).count();
    }
    // Its ring has as many places as the queue that it does without would have descriptors.
    let dropped = usize::try_from(world.drops(DropReason::RpsQueueFull)).unwrap();
    assert_eq!(answered + dropped + 64, 800);
    assert!((300..500).contains(&answered), "{answered}");
    assert_eq!(world.device(0).stats().imissed, 0);
    // What waits is where the world knows of it: it counts every buffer.
    world.set_stuck(Some(1));
    world.settle();
    assert_eq!(world.take_sent(0).len(), 0);
    world.set_stuck(None);
    world.settle();
    assert_eq!(world.take_sent(0).len(), 64, "what waited is answered");
}

#[test]
fn a_full_way_out_is_counted_as_the_queue_that_it_stands_for() {
    let port = PortOptions::new(0);
    let nic = NicOptions { rx_descriptors: 1024, tx_descriptors: 32, ..port.nic.clone() };
    let port = PortOptions { nic, queues: Some(1), ..port };
    let mut world = started(3, &WorldOptions { ports: vec![port], ..options(2, 1) });
    let frames: Vec<_> = (0..200).map(|flow| request(flow, 0, HOST).frame()).collect();
    for frame in &frames {
        world.inject(0, frame);
    }
    // The one with the queue receives and does not turn again, while the other answers.
    for _ in 0..8 {
        world.turn_worker(0);
        world.device(0).stall_tx(false);
    }
    let before = each(&world, Counter::TxRefused)[1];
    for _ in 0..8 {
        world.turn_worker(1);
    }
    let refused = each(&world, Counter::TxRefused)[1] - before;
    let handed = each(&world, Counter::HandedOut)[1];
    assert_eq!(handed, 32, "as many as its queue would have descriptors");
    assert_eq!(handed + refused, each(&world, Counter::Delivered)[1]);
    assert!(refused > 20, "{refused}");
    world.settle();
}

#[test]
fn groups_reports_arp_and_ipv6_are_as_with_a_queue_each() {
    let port = PortOptions { queues: Some(1), ..PortOptions::new(0) };
    let with_ipv6 = PortOptions { addressing6: Some(pollcast::io::Addressing6::default()), ..port };
    let mut world = started(
        4,
        &WorldOptions {
            ports: vec![with_ipv6],
            services: vec![ServiceOptions::echo().dual_stack()],
            ..options(4, 1)
        },
    );
    world.join(GROUP, None);
    let reports = world.take_sent(0).iter().filter(|f| matches!(IgmpReport::read(f), Ok(Some(_)))).count();
    assert_eq!(reports, 1);
    let to_group: Vec<_> = (0..200).map(|flow| request(flow, 0, "239.1.2.3:7").frame()).collect();
    assert_eq!(exchange(&mut world, &to_group).len(), 200);
    assert!(each(&world, Counter::Delivered).iter().all(|n| *n > 20));
    let Answer::Ports(ports) = world.execute(&Command::Ports) else { panic!() };
    assert_eq!((ports[0].info.rx_queues, ports[0].cpus.len()), (1, 4));
    assert_eq!(ports[0].info.rss, None, "one queue has nothing to spread");
    let own = ports[0].interfaces[0].addresses.iter().find(|a| a.starts_with("fe80")).unwrap();
    let own = own.split('/').next().unwrap();
    for flow in 0..40u16 {
        let frame = UdpFrame6::new(&format!("[fe80::9]:{}", 2000 + flow), &format!("[{own}]:7"), b"six");
        world.inject(0, &frame.to_mac(PortOptions::new(0).nic.mac).frame());
    }
    world.settle();
    let answers = world.take_sent(0).iter().filter(|frame| UdpFrame6::read(frame).is_ok()).count();
    assert_eq!(answers, 40);
    let delivered = each(&world, Counter::Delivered);
    assert_eq!(delivered.iter().sum::<u64>(), 240);
}

// F17: fragments stay with whoever received them, who knows their owner: one hand-over each.
#[test]
fn fragments_of_many_datagrams_are_put_together() {
    let mut world = started(5, &options(4, 1));
    let mut rng = Rng::new(5);
    let mut frames = Vec::new();
    for flow in 0..200u16 {
        let whole = UdpFrame { payload: vec![7; 3000], ..request(flow, 0, HOST) };
        frames.extend(cut_evenly(&whole.frame(), flow, 1000));
    }
    for at in (1..frames.len()).rev() {
        let other = usize::try_from(rng.u64() % (at as u64 + 1)).unwrap();
        frames.swap(at, other);
    }
    for burst in frames.chunks(32) {
        for frame in burst {
            world.inject(0, frame);
        }
        world.settle();
    }
    assert_eq!((world.count(Counter::Reassembled), world.count(Counter::Delivered)), (200, 200));
    let owners = each(&world, Counter::Reassembled);
    assert!(owners.iter().all(|n| *n > 20), "{owners:?}");
    let sent = world.take_sent(0).len() as u64;
    assert_eq!((world.count(Counter::Fragmented), sent), (200, 200 * 3));
    let handed_to_owners = each(&world, Counter::HandedIn)[1..].iter().sum::<u64>();
    assert_eq!(handed_to_owners, frames.len() as u64 * (200 - owners[0]) / 200, "each fragment once");
}

#[test]
fn threads_sockets_hear_and_send_by_every_worker() {
    let mut world = started(6, &options(4, 1));
    let socket = bound(&world, "198.18.0.2:5000");
    assert_eq!(socket.local_addr().ip(), ip("198.18.0.2"));
    for flow in 0..200u16 {
        world.inject(0, &request(flow, 0, "198.18.0.2:5000").frame());
    }
    world.settle();
    let mut buf = [0; 64];
    let mut heard = 0;
    while let Ok((len, from)) = socket.recv_from(&mut buf) {
        socket.send_to(&buf[..len], from).unwrap();
        heard += 1;
        // Whoever asks for the neighbour hears it some time later.
        world.run_for(Duration::from_millis(10));
    }
    assert_eq!(heard, 200);
    let answers = world.take_sent(0).iter().filter(|frame| UdpFrame::read(frame).is_ok()).count();
    assert_eq!(answers, 200);
    socket.send_to(b"unasked", addr("198.18.0.1:9")).unwrap();
    world.settle();
}

// E08: the queue is let go of and taken again by the one worker that has it.
#[test]
fn a_restart_loses_no_worker() {
    let mut world = started(7, &options(3, 1));
    world.device(0).ask_for_reset();
    world.run_for(Duration::from_secs(10));
    world.take_sent(0);
    let frames: Vec<_> = (0..300).map(|flow| request(flow, 0, HOST).frame()).collect();
    assert_eq!(exchange(&mut world, &frames).len(), 300);
    assert!(each(&world, Counter::Delivered).iter().all(|n| *n > 50));
    world.join(GROUP, None);
    world.take_sent(0);
    world.shut_down();
    let left = world.take_sent(0).iter().filter(|f| matches!(IgmpReport::read(f), Ok(Some(_)))).count();
    assert!(left > 0, "the groups are left");
}
