//! Workers on threads of their own, as on lcores, with many packets at once: what must be so whatever order things happen in, proven by
//! counts.
//!
//! Nothing here is a function of a seed, so nothing is said of when and where: only of how often. When all is over, the world asserts
//! that every packet is accounted for and every buffer is back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::delivery_common::{Habit, Tested, count, payloads};
use pollcast::engine::Counter;
use pollcast::engine::worker::Worker;
use pollcast::io::{DropReason, PmtuDiscovery};
use pollcast::sim::frames::UdpFrame;
use pollcast::sim::frames::fragment::cut_evenly;
use pollcast::sim::nic::{NicOptions, Reception, SimDevice, SimNic};
use pollcast::sim::setup::{PortOptions, ServiceOptions, WorldOptions};
use pollcast::sim::world::World;
use pollcast::socket::{EndpointOptions, PacketsOptions, UdpSocket};
use pollcast::stack::membership::SourceFilter;

/// Longer than any of it takes, on a busy machine, too.
const PATIENCE: Duration = Duration::from_secs(120);

/// Workers, and the queues that they share.
const SHARES: [(u16, u16); 3] = [(4, 4), (4, 1), (3, 2)];

/// Packets under way at a time, of which no queue is ever full.
const WINDOW: usize = 200;

fn world_of((workers, queues): (u16, u16), services: Vec<ServiceOptions>) -> World {
    let port = PortOptions::new(0);
    let nic = NicOptions {
        rx_descriptors: 512,
        tx_descriptors: 512,
        // The first fragment of a datagram goes to another queue than the others.
        rss_first_fragments: true,
        ..port.nic.clone()
    };
    let options = WorldOptions {
        ports: vec![PortOptions { nic, queues: Some(queues), ..port }],
        services,
        workers,
        buffers: 32_768,
        large: 256,
        packets: PacketsOptions { small: 4096, medium: 64, large: 4 },
        endpoints: EndpointOptions { rcvbuf: 1 << 22, rcvbuf_max: 1 << 22, ..EndpointOptions::default() },
        ..WorldOptions::default()
    };
    let mut world = World::new(1, &options);
    world.run_for(Duration::from_secs(5));
    world.take_sent(0);
    world
}

/// Turns `worker` until `stop`, as its lcore does, and looks after every turn whether its packets balance.
fn turn_until(stop: &AtomicBool, worker: &mut Worker<SimNic>, now: pollcast::time::Instant) {
    while !stop.load(Ordering::Relaxed) {
        if worker.turn(now) == 0 {
            thread::yield_now();
        }
        let (came, went) = worker.tally().balance();
        assert_eq!(came, went, "packets that came and packets that went");
    }
}

/// Ends the workers' turns, also if whoever has it panics.
struct Stops<'a>(&'a AtomicBool);

impl Drop for Stops<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Has frames arrive as fast as the device takes them, but no more than `window` that are not `done` with, while every worker turns on
/// a thread of its own. Returns what left the device. `done` is asked with what has left so far.
fn pour(
    world: &mut World,
    frames: &[Vec<u8>],
    window: usize,
    mut done: impl FnMut(&[Vec<u8>]) -> usize,
) -> Vec<Vec<u8>> {
    let (device, stop) = (world.device(0).clone(), AtomicBool::new(false));
    let mut sent = world.lend_workers(|workers, now| {
        thread::scope(|scope| {
            let stops = Stops(&stop);
            for worker in workers {
                let stop = &stop;
                scope.spawn(move || turn_until(stop, worker, now));
            }
            let sent = pour_into(&device, frames, window, &mut done);
            drop(stops);
            sent
        })
    });
    sent.extend(world.take_sent(0));
    sent
}

fn pour_into(
    device: &SimDevice,
    frames: &[Vec<u8>],
    window: usize,
    done: &mut impl FnMut(&[Vec<u8>]) -> usize,
) -> Vec<Vec<u8>> {
    let (mut sent, deadline) = (Vec::new(), Instant::now() + PATIENCE);
    let mut injected = 0;
    while injected < frames.len() || (window < frames.len() && done(&sent) < frames.len()) {
        let may_come = injected < frames.len() && injected < done(&sent).saturating_add(window);
        if may_come && matches!(device.receive(&frames[injected]), Reception::Queued(_)) {
            injected += 1;
        } else {
            thread::yield_now();
        }
        while let Some(frame) = device.transmit() {
            sent.push(frame);
        }
        assert!(Instant::now() < deadline, "{injected} of {} came, {} went", frames.len(), sent.len());
    }
    sent
}

/// The `n`th datagram of flow `flow`, and what it says.
fn datagram(flow: u16, n: u16, to: &str) -> UdpFrame {
    let payload = [flow.to_be_bytes(), n.to_be_bytes()].concat();
    UdpFrame::new(&format!("198.18.0.{}:{}", 10 + flow % 200, 20_000 + flow), to, &payload)
}

/// `each` datagrams of each of so many flows, one after another of each.
fn datagrams(flows: u16, each: u16, to: &str) -> Vec<Vec<u8>> {
    (0..each).flat_map(|n| (0..flows).map(move |flow| datagram(flow, n, to).frame())).collect()
}

/// Of each flow, what was said, in that order.
fn by_flow<'a>(said: impl IntoIterator<Item = &'a Vec<u8>>) -> BTreeMap<u16, Vec<u16>> {
    let mut flows: BTreeMap<u16, Vec<u16>> = BTreeMap::new();
    for payload in said {
        let [f0, f1, n0, n1] = payload[..] else { panic!("{payload:?}") };
        flows.entry(u16::from_be_bytes([f0, f1])).or_default().push(u16::from_be_bytes([n0, n1]));
    }
    flows
}

fn answers(sent: &[Vec<u8>]) -> Vec<Vec<u8>> {
    sent.iter().filter_map(|frame| UdpFrame::read(frame).ok()).map(|frame| frame.payload).collect()
}

// U13: every socket that wants a datagram has it once, whichever worker received it and wherever the socket's service lives.
#[test]
fn a_group_is_heard_once_by_each_socket_on_several_workers() {
    let (flows, each) = (300, 20);
    for share in SHARES {
        let any = ["0.0.0.0:5000"];
        let hearer = |name, workers: &[usize]| {
            Tested::new(name, &any, Habit::Read).joining(SourceFilter::ANY).on(workers)
        };
        let services = [hearer("all", &[]), hearer("some", &[0, 2]), hearer("one", &[1])];
        let seen: Vec<_> = services.iter().map(|service| service.seen.clone()).collect();
        let mut world = world_of(share, services.into_iter().map(|service| service.options).collect());
        let frames = datagrams(flows, each, "239.1.2.3:5000");
        let all_have = |_: &[Vec<u8>]| seen.iter().map(count).min().unwrap_or(0);
        pour(&mut world, &frames, WINDOW, all_have);
        for seen in &seen {
            let heard = by_flow(&payloads(seen));
            let expected: Vec<u16> = (0..each).collect();
            assert_eq!(heard.len(), usize::from(flows));
            // A flow has one home: its datagrams come in order.
            assert!(heard.values().all(|of| *of == expected), "{share:?}");
        }
        assert_eq!(world.count(Counter::Delivered), 3 * frames.len() as u64);
        assert_eq!(world.all_drops(), [], "{share:?}");
    }
}

// U13, Q01: what finds a queue between workers full is lost to that one socket, is counted, and is not delivered later or twice.
#[test]
fn a_flood_of_a_group_loses_nothing_that_is_not_counted() {
    for share in SHARES {
        let any = ["0.0.0.0:5000"];
        let [near, far] = [("near", vec![0]), ("far", vec![1])].map(|(name, workers)| {
            Tested::new(name, &any, Habit::Read).joining(SourceFilter::ANY).on(&workers)
        });
        let seen = [near.seen.clone(), far.seen.clone()];
        let mut world = world_of(share, vec![near.options, far.options]);
        let frames = datagrams(500, 40, "239.1.2.3:5000");
        pour(&mut world, &frames, usize::MAX, |_| 0);
        let heard = seen.iter().map(count).sum::<usize>() as u64;
        let (of_copies, of_datagrams) =
            (world.drops(DropReason::HandOverQueueFull), world.drops(DropReason::RpsQueueFull));
        assert_eq!(heard + of_copies + 2 * of_datagrams, 2 * frames.len() as u64, "{share:?}");
        let others: u64 = world.all_drops().iter().map(|(_, n)| n).sum::<u64>() - of_copies - of_datagrams;
        assert_eq!(others, 0, "{:?}", world.all_drops());
        for seen in &seen {
            let said = payloads(seen);
            assert_eq!(said.iter().collect::<BTreeSet<_>>().len(), said.len(), "none twice");
            // What is lost is lost from the middle: the order of a flow stays.
            assert!(by_flow(&said).values().all(|of| of.is_sorted()), "{share:?}");
        }
    }
}

// U14, Linux SO_REUSEPORT: a flow stays with one member, whichever workers receive it, and none is lost.
#[test]
fn members_of_a_shared_port_divide_flows_and_lose_none() {
    let (flows, each) = (300, 20);
    for share in SHARES {
        let mut world = world_of(share, Vec::new());
        let members: Vec<UdpSocket> = (0..4).map(|_| member(&world)).collect();
        let mut heard: Vec<Vec<Vec<u8>>> = vec![Vec::new(); members.len()];
        let frames = datagrams(flows, each, "198.18.0.2:5000");
        pour(&mut world, &frames, WINDOW, |_| {
            members.iter().zip(&mut heard).for_each(|(member, heard)| receive_all(member, heard));
            heard.iter().map(Vec::len).sum()
        });
        let mut homes: BTreeMap<u16, usize> = BTreeMap::new();
        let expected: Vec<u16> = (0..each).collect();
        for (member, said) in heard.iter().enumerate() {
            for (flow, numbers) in by_flow(said) {
                assert_eq!(numbers, expected, "all of flow {flow}, in order, at {share:?}");
                assert_eq!(homes.insert(flow, member), None, "flow {flow} has one member");
            }
        }
        assert_eq!(homes.len(), usize::from(flows));
        assert!(heard.iter().all(|said| said.len() > frames.len() / 10), "each has its share");
        assert_eq!(world.all_drops(), []);
    }
}

fn member(world: &World) -> UdpSocket {
    let socket = world.sockets().udp4().unwrap();
    socket.set_reuse_port(true).unwrap();
    socket.bind("198.18.0.2:5000").unwrap();
    socket.set_nonblocking(true);
    socket
}

fn receive_all(socket: &UdpSocket, into: &mut Vec<Vec<u8>>) {
    let mut buf = [0; 64];
    while let Ok((len, _)) = socket.recv_from(&mut buf) {
        into.push(buf[..len].to_vec());
    }
}

// F17: fragments that different workers receive make up one datagram, at its owner, once; it is answered once.
#[test]
fn fragments_on_different_workers_make_up_each_datagram_once() {
    let datagrams = 1500u16;
    for share in SHARES {
        let mut echo = ServiceOptions::echo();
        echo.manner.path_mtu_discovery = PmtuDiscovery::Dont;
        let mut world = world_of(share, vec![echo]);
        let mut frames = Vec::new();
        for pair in 0..datagrams / 2 {
            // Fragments of two datagrams mixed, the last first.
            let [a, b] = [2 * pair, 2 * pair + 1].map(|flow| {
                let whole = datagram(flow, 0, "198.18.0.2:7");
                let payload = [&whole.payload[..], &[0x5a; 2000]].concat();
                cut_evenly(&UdpFrame { payload, ..whole }.frame(), flow, 800)
            });
            frames.extend(a.into_iter().rev().zip(b).flat_map(|(a, b)| [a, b]));
        }
        // An answer leaves in two fragments, a question came in three.
        let answered = |sent: &[Vec<u8>]| sent.len() / 2 * 3;
        let sent = pour(&mut world, &frames, WINDOW, answered);
        let counted = [Counter::Reassembled, Counter::Delivered, Counter::Fragmented].map(|c| world.count(c));
        assert_eq!(counted, [u64::from(datagrams); 3], "{share:?} {:?}", world.all_drops());
        assert_eq!(sent.len(), 2 * usize::from(datagrams));
        let handed_over = world.count(Counter::HandedIn);
        assert!(handed_over > frames.len() as u64 / 4, "most crossed from worker to worker: {handed_over}");
        assert_eq!(world.count(Counter::Held), world.count(Counter::Released));
        assert_eq!(world.all_drops(), []);
    }
}

// Linux RPS: a flow has one worker, and its order stays, whatever is lost when a ring is full; and that is counted.
#[test]
fn a_flood_over_one_queue_keeps_every_flows_order_and_counts_what_it_loses() {
    for share in [(2, 1), (4, 1), (5, 2)] {
        let mut world = world_of(share, vec![ServiceOptions::echo()]);
        let frames = datagrams(400, 60, "198.18.0.2:7");
        let sent = answers(&pour(&mut world, &frames, usize::MAX, |_| 0));
        let (lost, refused) = (world.drops(DropReason::RpsQueueFull), world.count(Counter::TxRefused));
        assert_eq!(sent.len() as u64 + lost + refused, frames.len() as u64, "{share:?}");
        assert!(by_flow(&sent).values().all(|of| of.windows(2).all(|pair| pair[0] < pair[1])), "{share:?}");
        let workers: Vec<u64> = world.worker_tallies().iter().map(|t| t.get(Counter::Delivered)).collect();
        assert!(workers.iter().all(|n| *n > 0), "{workers:?}");
        let only = world.all_drops().iter().all(|(why, _)| *why == DropReason::RpsQueueFull);
        assert!(only, "{:?}", world.all_drops());
    }
}

/// Unhurried, nothing is lost at all, and the answers are those of one worker.
#[test]
fn within_what_the_rings_hold_nothing_is_lost() {
    let (flows, each) = (400, 30);
    for share in SHARES {
        let mut world = world_of(share, vec![ServiceOptions::echo()]);
        let frames = datagrams(flows, each, "198.18.0.2:7");
        let sent = pour(&mut world, &frames, WINDOW, <[Vec<u8>]>::len);
        let flows_of = by_flow(&answers(&sent));
        let expected: Vec<u16> = (0..each).collect();
        assert_eq!(flows_of.len(), usize::from(flows));
        assert!(flows_of.values().all(|of| *of == expected), "{share:?}");
        assert_eq!((world.all_drops(), world.count(Counter::TxRefused)), (vec![], 0), "{share:?}");
    }
}
