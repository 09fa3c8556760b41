//! Workers on too few queues: who has what, by counts at both ends.

use core::sync::atomic::{AtomicUsize, Ordering};

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::*;
use crate::io::PacketBuf;
use crate::io::{BufPool, Wake};
use crate::rng::Rng;
use crate::sim::buf::{SimBuf, SimPool};
use crate::sim::frames::UdpFrame;
use crate::sim::nic::{NicOptions, Reception, SimDevice, SimNic};
use crate::stack::flow_hash::flow_hash;

const LENS: RingLens = RingLens { rx: 64, tx: 16 };

/// What a worker receives from and sends to.
type Ends = (Intake<SimNic>, Exit<SimNic>);

/// A device with `queues` queues, shared by `workers` workers.
fn shared(queues: u16, workers: usize) -> (SimDevice, SimPool, Vec<Ends>) {
    let pool = SimPool::new(2048, 256);
    let options = NicOptions { queues, ..NicOptions::default() };
    let (device, pairs, _port) = SimDevice::new(options, pool.clone());
    (device, pool, share(pairs, &vec![Waker::default(); workers], LENS, 0x1234_5679))
}

fn flow(port: u16) -> Vec<u8> {
    UdpFrame::new(&format!("198.18.0.9:{port}"), "198.18.0.2:7", b"x")
        .to_mac(NicOptions::default().mac)
        .frame()
}

#[test]
fn queues_for_all_are_left_alone() {
    let (_device, _pool, ends) = shared(3, 2);
    assert_eq!(ends.len(), 2);
    assert!(ends.iter().all(|ends| matches!(ends, (Intake::Queue(_), Exit::Queue(_)))));
}

// A call that fills what it was given room for is made once more; any other was the last.
#[test]
fn a_full_burst_is_followed_by_another() {
    for (waiting, max, taken) in [(7, 8, 7), (8, 8, 8), (11, 8, 11), (20, 8, 16), (64, 32, 64), (64, 33, 33)]
    {
        let (device, _pool, mut ends) = shared(1, 1);
        (0..waiting).for_each(|port| assert!(matches!(device.receive(&flow(port)), Reception::Queued(0))));
        let (mut burst, mut tally) = (Burst::new(), Tally::default());
        assert_eq!(ends[0].0.rx_burst(&mut burst, max, &mut tally), taken, "{waiting} by {max}");
        assert_eq!((burst.len(), tally.get(Counter::Rx)), (taken, taken as u64));
        assert!(taken <= at_one_time(max));
    }
}

// Every flow has one worker, and every worker its share of flows, whoever has the queues.
#[test]
fn flows_are_shared_out_and_counted_at_both_ends() {
    for (queues, workers) in [(1, 2), (1, 4), (2, 3), (2, 5)] {
        let (device, pool, mut ends) = shared(queues, workers);
        let mut by_worker = vec![0u64; workers];
        let mut tallies = vec![Tally::default(); workers];
        for round in 0..2 {
            let mut seen = 0;
            for port in 0..1200u16 {
                device.receive(&flow(port));
                let mut burst = Burst::new();
                for (worker, (intake, _)) in ends.iter_mut().enumerate() {
                    intake.rx_burst(&mut burst, 8, &mut tallies[worker]);
                    by_worker[worker] += burst.len() as u64;
                    seen += burst.drain().count();
                }
            }
            assert_eq!(seen, 1200, "each is seen once, in round {round}");
            let all: Vec<_> = by_worker.iter().map(|n| n / (round + 1)).collect();
            let fair = 1200 / workers as u64;
            assert!(
                all.iter().all(|n| (fair * 7 / 10..fair * 13 / 10).contains(n)),
                "{queues} of {workers}: {all:?}"
            );
        }
        let sum = |counter| tallies.iter().map(|tally| tally.get(counter)).sum::<u64>();
        assert_eq!((sum(Counter::Rx), sum(Counter::HandedOut)), (2400, sum(Counter::HandedIn)));
        assert_eq!(pool.outstanding(), 0);
    }
}

// Q01: a full ring is a full queue, and its packets are counted.
#[test]
fn a_full_ring_drops_and_counts() {
    let (device, pool, mut ends) = shared(1, 2);
    let mut tally = Tally::default();
    let mut burst = Burst::new();
    let mine: Vec<_> = (0..2000u16).map(flow).collect();
    for frame in &mine {
        device.receive(frame);
        ends[0].0.rx_burst(&mut burst, 8, &mut tally);
        burst.drain().for_each(drop);
    }
    assert_eq!(tally.get(Counter::HandedOut), LENS.rx as u64);
    let kept = tally.get(Counter::Rx) - tally.get(Counter::HandedOut) - tally.drops(DropReason::RpsQueueFull);
    assert!((800..1200).contains(&kept), "{kept}");
    assert_eq!(pool.outstanding(), LENS.rx);
    let mut others = Tally::default();
    ends[1].0.give_up(&mut others);
    assert_eq!((others.get(Counter::HandedIn), others.drops(DropReason::Stopping)), (64, 64));
    assert_eq!(pool.outstanding(), 0);
}

/// The worker of `workers` that has a flow, if none but the first has a queue.
fn worker_of(port: u16, workers: usize) -> usize {
    let hash = flow_hash(&flow(port), 0x1234_5679).unwrap();
    usize::try_from((u128::from(hash) * workers as u128) >> 64).unwrap()
}

/// Frames of `flows` flows, and of none, each with its number; the flows by number.
fn numbered(rng: &mut Rng, flows: u64, number: u32) -> (Option<u16>, Vec<u8>) {
    let port = u16::try_from(2000 + rng.below(flows)).unwrap();
    let source = format!("198.18.0.9:{port}");
    let frame =
        UdpFrame::new(&source, "198.18.0.2:7", &number.to_be_bytes()).to_mac(NicOptions::default().mac);
    let mut frame = frame.frame();
    if rng.below(16) > 0 {
        return (Some(port), frame);
    }
    frame[23] = 1;
    (None, frame)
}

/// One run of bursts of any size, of workers that take part or fall behind.
struct Bursts {
    workers: usize,
    device: SimDevice,
    ends: Vec<Ends>,
    tallies: Vec<Tally>,
    /// The flow of each frame that the device took, by its number.
    came: Vec<Option<u16>>,
    /// The numbers of what each worker has seen.
    seen: Vec<Vec<u32>>,
    /// The frames of each burst that the first worker received, by the number of the first.
    bursts: Vec<core::ops::Range<u32>>,
}

impl Bursts {
    fn arrive(&mut self, rng: &mut Rng, flows: u64) {
        for _ in 0..rng.below(80) {
            let (flow, frame) = numbered(rng, flows, u32::try_from(self.came.len()).unwrap());
            if let Reception::Queued(_) = self.device.receive(&frame) {
                self.came.push(flow);
            }
        }
    }

    /// A worker takes up to `max`. Returns how many there were.
    fn turn(&mut self, worker: usize, max: usize) -> usize {
        let mut burst = Burst::new();
        let count = self.ends[worker].0.rx_burst(&mut burst, max, &mut self.tallies[worker]);
        let number = |buf: SimBuf| u32::from_be_bytes(*buf.data()[42..].first_chunk().unwrap());
        self.seen[worker].extend(burst.drain().map(number));
        if worker == 0 {
            let first = self.bursts.last().map_or(0, |last| last.end);
            self.bursts.push(first..first + u32::try_from(count).unwrap());
        }
        count
    }

    fn sum(&self, counter: Counter) -> u64 {
        self.tallies.iter().map(|tally| tally.get(counter)).sum()
    }

    /// Every frame was seen by the worker that has its flow, in order, or was dropped, and counted.
    fn judge(&self) {
        let all = self.came.len() as u64;
        let dropped: u64 = self.tallies.iter().map(|tally| tally.drops(DropReason::RpsQueueFull)).sum();
        let seen = self.seen.iter().map(Vec::len).sum::<usize>() as u64;
        assert_eq!((self.sum(Counter::Rx), seen + dropped), (all, all));
        assert_eq!(self.sum(Counter::HandedOut), self.sum(Counter::HandedIn));
        let len = numbered(&mut Rng::new(0), 1, 0).1.len() as u64;
        assert_eq!(self.sum(Counter::RxBytes), dropped * len, "whoever looks at a packet counts its bytes");
        for (worker, seen) in self.seen.iter().enumerate() {
            assert!(seen.is_sorted(), "in the order of their arrival, each once: {seen:?}");
            let is_its = |n: &u32| self.home(*n) == worker;
            assert!(seen.iter().all(is_its), "worker {worker} of {}", self.workers);
        }
    }

    fn home(&self, number: u32) -> usize {
        self.came[number as usize].map_or(0, |port| worker_of(port, self.workers))
    }

    // Q01: of a burst that does not find room for all, the newest are dropped.
    fn judge_who_was_dropped(&self) {
        let seen: BTreeSet<u32> = self.seen.iter().flatten().copied().collect();
        for burst in &self.bursts {
            let mut is_full = vec![false; self.workers];
            for number in burst.clone() {
                let home = self.home(number);
                assert!(!(is_full[home] && seen.contains(&number)), "{number} of {burst:?}");
                is_full[home] |= !seen.contains(&number);
            }
        }
    }
}

// Linux RPS: whatever comes in whatever bursts, whoever falls behind, each flow has one worker and its order.
#[test]
fn bursts_are_shared_out_in_order_and_each_packet_is_counted() {
    let (mut rng, mut dropped) = (Rng::new(8), 0);
    for round in 0..60 {
        let workers = 2 + usize::try_from(rng.below(16)).unwrap();
        let (device, pool, ends) = shared(1, workers);
        let (tallies, seen) = (vec![Tally::default(); workers], vec![Vec::new(); workers]);
        let mut run = Bursts { workers, device, ends, tallies, came: Vec::new(), seen, bursts: Vec::new() };
        // Of few flows a worker has many at a time.
        let flows = 1 + rng.below(40);
        // Some runs have workers that are too slow.
        let slow = rng.below(4) * 8;
        for _ in 0..120 {
            run.arrive(&mut rng, flows);
            run.turn(0, 1 + usize::try_from(rng.below(64)).unwrap());
            if rng.below(slow + 1) == 0 {
                let worker = usize::try_from(rng.below(workers as u64)).unwrap();
                run.turn(worker, 1 + usize::try_from(rng.below(64)).unwrap());
            }
        }
        while (0..workers).map(|worker| run.turn(worker, 64)).sum::<usize>() > 0 {}
        assert!(run.came.len() > 1000, "round {round}");
        run.judge();
        run.judge_who_was_dropped();
        dropped += run.tallies[0].drops(DropReason::RpsQueueFull);
        assert_eq!(pool.outstanding(), 0);
    }
    assert!(dropped > 1000, "{dropped}");
}

// The same where several receive: what one queue brings to a worker stays in its order, and no ring waits for another.
#[test]
fn bursts_of_several_queues_come_together_at_each_worker() {
    let (device, pool, mut ends) = shared(3, 5);
    let mut tallies = vec![Tally::default(); 5];
    let (mut numbers, mut by_flow) = (0u32, BTreeMap::<u16, Vec<(usize, u32)>>::new());
    for round in 0..200u16 {
        for at in 0..30 {
            let port = 3000 + (round * 7 + at) % 90;
            let source = format!("198.18.0.9:{port}");
            let frame = UdpFrame::new(&source, "198.18.0.2:7", &numbers.to_be_bytes());
            let frame = frame.to_mac(NicOptions::default().mac).frame();
            assert!(matches!(device.receive(&frame), Reception::Queued(_)));
            numbers += 1;
        }
        for (worker, (intake, _)) in ends.iter_mut().enumerate() {
            let mut burst = Burst::new();
            while intake.rx_burst(&mut burst, 64, &mut tallies[worker]) > 0 {
                for buf in burst.drain() {
                    let frame = UdpFrame::read(buf.data()).unwrap();
                    let number = u32::from_be_bytes(*frame.payload.first_chunk().unwrap());
                    by_flow.entry(frame.source.port()).or_default().push((worker, number));
                }
            }
        }
    }
    assert_eq!(by_flow.values().map(Vec::len).sum::<usize>(), 6000);
    for (flow, seen) in &by_flow {
        assert!(seen.is_sorted_by_key(|(_, number)| *number), "flow {flow}: {seen:?}");
        assert!(seen.iter().all(|(worker, _)| *worker == seen[0].0), "flow {flow}: {seen:?}");
    }
    assert_eq!(pool.outstanding(), 0);
}

/// Counts its wakes.
#[derive(Debug, Default)]
struct Bell(Arc<AtomicUsize>);

impl Wake for Bell {
    fn wake(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

// DESIGN.md 4: whoever sleeps is woken by what is handed over, once for a burst, and nobody is who was given nothing.
#[test]
fn a_sleeping_worker_is_woken_by_what_is_handed_over() {
    let pool = SimPool::new(512, 2048);
    let (device, pairs, _port) = SimDevice::new(NicOptions::default(), pool);
    let bells: Vec<_> = (0..3).map(|_| Arc::new(AtomicUsize::new(0))).collect();
    let wakers: Vec<_> = bells.iter().map(|bell| Waker::new(Box::new(Bell(Arc::clone(bell))))).collect();
    let mut ends: Vec<Ends> = share(pairs, &wakers, LENS, 0x1234_5679);
    let woken = || bells.iter().map(|bell| bell.load(Ordering::Relaxed)).collect::<Vec<_>>();
    let (mut burst, mut tally) = (Burst::new(), Tally::default());
    let mut hand_over = |ends: &mut Vec<Ends>, worker: usize, count: usize| {
        // Flows of one worker alone.
        let theirs = |port: &u16| {
            let hash = flow_hash(&flow(*port), 0x1234_5679).unwrap();
            (u128::from(hash) * 3) >> 64 == worker as u128
        };
        (0..)
            .filter(theirs)
            .take(count)
            .for_each(|port| assert!(matches!(device.receive(&flow(port)), Reception::Queued(0))));
        ends[0].0.rx_burst(&mut burst, 32, &mut tally);
        burst.drain().for_each(drop);
    };
    hand_over(&mut ends, 2, 4);
    assert_eq!(woken(), [0; 3], "nobody sleeps");
    ends[2].0.rx_burst(&mut Burst::new(), 32, &mut Tally::default());
    wakers.iter().for_each(Waker::fall_asleep);
    hand_over(&mut ends, 0, 4);
    assert_eq!(woken(), [0; 3], "what stays wakes nobody");
    hand_over(&mut ends, 2, 4);
    assert_eq!(woken(), [0, 0, 1], "whose it is, once");
    let mut answers = Burst::new();
    ends[2].0.rx_burst(&mut answers, 32, &mut Tally::default());
    assert_eq!(ends[2].1.tx_burst(&mut answers), (0, 4));
    assert_eq!(woken()[0], 1, "who sends is woken by what others have to send");
}

#[test]
fn what_a_worker_without_a_queue_sends_waits_at_the_one_with_it() {
    let (_device, pool, mut ends) = shared(1, 3);
    for worker in [1, 2] {
        let mut burst = Burst::new();
        for _ in 0..20 {
            burst.push(pool.alloc().unwrap()).unwrap();
        }
        let (sent, handed_over) = ends[worker].1.tx_burst(&mut burst);
        assert_eq!((sent, handed_over, burst.len()), (0, 16, 4), "as many as its own queue would have");
    }
    let (mut burst, mut at_most) = (Burst::new(), 20);
    while ends[0].1.take_over(&mut burst, at_most) > 0 {
        at_most -= 5;
    }
    assert_eq!(burst.len(), 2 * LENS.tx);
    assert!(!ends[0].1.has_more() && !ends[1].1.has_more());
}
