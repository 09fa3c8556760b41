//! The generator against a pollcast echo in the simulator: what the link did is what is counted.

use core::time::Duration;
use std::collections::HashSet;

use super::template::stamp_of;
use super::{Answers, Counts, Generator, Link, Rate, Stage, Traffic};
use crate::addr::MacAddr;
use crate::sim::buf::{ROOM, SimPool};
use crate::sim::frames::UdpFrame;
use crate::sim::net::LinkOptions;
use crate::sim::nic::{NicOptions, SimDevice, SimNic};
use crate::sim::setup::{PortOptions, WorldOptions};
use crate::sim::world::World;

const MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 0xb]);

/// A generator on the tester's station of a world whose host echoes.
struct Bench {
    world: World,
    device: SimDevice,
    generator: Generator<SimNic>,
    pool: SimPool,
    /// How long a turn takes.
    step: Duration,
    /// Frames that came back, in order: run and number, if they carry any.
    heard: Vec<Option<(u32, u64)>>,
}

impl Bench {
    fn new(seed: u64, traffic: Traffic) -> Self {
        let options = WorldOptions { ports: vec![PortOptions::new(0)], ..WorldOptions::default() };
        let pool = SimPool::new(1024, ROOM);
        let nic = NicOptions { mac: MAC, rx_descriptors: 512, tx_descriptors: 512, ..NicOptions::default() };
        let (device, mut queues, _port) = SimDevice::new(nic, pool.clone());
        let (rx, tx) = queues.remove(0);
        let link = Link { rx, tx, pool: pool.clone(), mac: MAC, mtu: 1500 };
        let generator = Generator::new(link, traffic, 7).unwrap();
        Self {
            world: World::new(seed, &options),
            device,
            generator,
            pool,
            step: Duration::from_micros(10),
            heard: Vec::new(),
        }
    }

    /// One turn, and what the link does meanwhile.
    fn turn(&mut self) {
        let now = self.world.now();
        self.generator.turn(|| now);
        while let Some(frame) = self.device.transmit() {
            self.world.send(0, &frame);
        }
        self.world.run_for(self.step);
        for (_, frame) in self.world.take_heard(0) {
            if frame.get(..6) == Some(&MAC.0) {
                self.heard.push(UdpFrame::read(&frame).ok().and_then(|udp| stamp_of(&udp.payload)));
                self.device.receive(&frame);
            }
        }
    }

    fn until(&mut self, stage: Stage) {
        for _ in 0..1_000_000 {
            if self.generator.stage() == stage {
                return;
            }
            self.turn();
        }
        panic!("never {stage:?}: {:?}", self.generator);
    }

    /// Runs to the end, over a link that is good while addresses are asked for and like `link` then.
    fn run(&mut self, link: LinkOptions) -> Counts {
        self.until(Stage::Sending);
        self.world.set_link(0, link);
        self.until(Stage::Done);
        self.generator.counts()
    }
}

fn traffic(to: &[&str], count: u64) -> Traffic {
    Traffic {
        source4: Some("198.18.0.77/24".parse().unwrap()),
        rate: Rate::PerSecond(100_000.0),
        duration: None,
        count: Some(count),
        patience: Duration::from_millis(100),
        ..Traffic::to(to.iter().map(|to| to.parse().unwrap()))
    }
}

#[test]
fn over_a_perfect_link_every_packet_is_answered_once_and_in_order() {
    let mut bench =
        Bench::new(1, Traffic { flows: 16, sizes: vec![60, 61, 1514], ..traffic(&["198.18.0.2:7"], 1000) });
    let counts = bench.run(LinkOptions::PERFECT);
    let wanted = Counts { sent: 1000, answered: 1000, ..Counts::default() };
    assert_eq!(Counts { sent_bytes: 0, answered_bytes: 0, other: 0, ..counts }, wanted);
    assert_eq!(counts.answered_bytes, counts.sent_bytes);
    let latency = bench.generator.take_latency(super::new_histogram());
    assert_eq!(latency.len(), 1000);
    // There and back, and the turn that notices.
    assert!((20_000..=50_000).contains(&latency.max()), "{} ns", latency.max());
    assert_eq!(bench.pool.outstanding(), 0);
}

// Issue 8: loss, duplicates and reordering are counted exactly, whatever the link does.
#[test]
fn what_a_bad_link_does_is_counted_exactly() {
    for seed in 1..20 {
        let mut bench = Bench::new(seed, Traffic { flows: 4, ..traffic(&["198.18.0.2:7"], 2000) });
        let counts = bench.run(LinkOptions::BAD);
        // The same, from the frames as they arrived.
        let (mut seen, mut highest) = (HashSet::new(), [None; 4]);
        let (mut duplicated, mut reordered) = (0, 0);
        for (run, number) in bench.heard.iter().flatten() {
            assert_eq!(*run, 7);
            if !seen.insert(*number) {
                duplicated += 1;
                continue;
            }
            let highest = &mut highest[usize::try_from(number % 4).unwrap()];
            reordered += u64::from(highest.is_some_and(|highest| *number < highest));
            *highest = (*highest).max(Some(*number));
        }
        let answered = seen.len() as u64;
        assert!(counts.sent == 2000 && counts.late == 0 && counts.wrong == 0, "seed {seed}: {counts:?}");
        assert_eq!((counts.answered, counts.lost), (answered, 2000 - answered), "seed {seed}");
        assert_eq!((counts.duplicated, counts.reordered), (duplicated, reordered), "seed {seed}");
        assert!(counts.lost > 200 && duplicated > 200 && reordered > 100, "seed {seed}: {counts:?}");
        assert_eq!(bench.pool.outstanding(), 0);
    }
}

#[test]
fn loss_alone_is_what_the_link_lost() {
    let mut bench = Bench::new(5, traffic(&["198.18.0.2:7"], 3000));
    bench.until(Stage::Sending);
    let before = bench.world.link_stats(0).lost;
    let counts = bench.run(LinkOptions { loss_per_mille: 50, ..LinkOptions::PERFECT });
    assert_eq!(counts.lost, bench.world.link_stats(0).lost - before);
    assert_eq!((counts.sent, counts.answered), (3000, 3000 - counts.lost));
}

#[test]
fn what_comes_after_its_time_is_lost_and_late() {
    let mut bench = Bench::new(
        6,
        Traffic {
            patience: Duration::from_millis(2),
            rate: Rate::PerSecond(1000.0),
            ..traffic(&["198.18.0.2:7"], 50)
        },
    );
    bench.until(Stage::Sending);
    bench.world.set_link(0, LinkOptions { delay: Duration::from_millis(3), ..LinkOptions::PERFECT });
    // There and back is six milliseconds; the last packet goes out long after the first is given up.
    bench.until(Stage::Waiting);
    let counts = bench.generator.counts();
    assert!(counts.lost > 0 && counts.answered == 0, "{counts:?}");
    assert!(counts.late > 0, "{counts:?}");
}

#[test]
fn no_more_are_under_way_than_may_be() {
    let mut bench =
        Bench::new(7, Traffic { rate: Rate::Max, in_flight: Some(5), ..traffic(&["198.18.0.2:7"], 200) });
    bench.until(Stage::Sending);
    while bench.generator.stage() == Stage::Sending {
        bench.turn();
        assert!(bench.generator.counts().waiting <= 5);
    }
    bench.until(Stage::Done);
    assert_eq!(bench.generator.counts().answered, 200);
}

#[test]
fn a_host_that_is_not_there_is_named() {
    let mut bench = Bench::new(8, traffic(&["198.18.0.200:7"], 1));
    bench.step = Duration::from_millis(10);
    bench.until(Stage::Unresolved);
    assert_eq!(
        bench.generator.unresolved().collect::<Vec<_>>(),
        ["198.18.0.200".parse::<core::net::IpAddr>().unwrap()]
    );
    assert_eq!(bench.generator.counts().sent, 0);
}

/// The answer to the first packet, as the host sent it, treated by `spoil` on its way.
fn after(spoil: impl Fn(&mut Vec<u8>), answers: Answers) -> Counts {
    let mut bench = Bench::new(9, Traffic { answers, ..traffic(&["198.18.0.2:7"], 1) });
    bench.until(Stage::Sending);
    let now = bench.world.now();
    while bench.device.tx_pending() == 0 {
        bench.generator.turn(|| now);
    }
    let question = bench.device.transmit().unwrap();
    // What the host said before is not the answer.
    bench.world.take_sent(0);
    let mut answer = bench.world.exchange(0, &question).remove(0);
    spoil(&mut answer);
    bench.device.receive(&answer);
    bench.generator.turn(|| now);
    bench.generator.counts()
}

#[test]
fn an_answer_with_one_wrong_byte_is_no_answer() {
    assert_eq!(after(|_| (), Answers::Echo).answered, 1);
    // Ports, length, checksum, payload.
    for at in [34, 36, 40, 54, 58] {
        let counts = after(|frame| frame[at] ^= 1, Answers::Echo);
        assert!(counts.answered == 0 && counts.wrong == 1, "byte {at}: {counts:?}");
    }
    assert_eq!(after(|frame| frame[58] ^= 1, Answers::Echo).wrong, 1);
    assert_eq!(after(|_| (), Answers::Same).wrong, 1, "an echo is not the packet as it was");
}
