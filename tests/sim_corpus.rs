//! The corpus through the simulated host: after every turn what came equals what went, and no buffer is lost.
//!
//! The world itself asserts both (Q01): the workers' tallies by `Tally::balance`, the pool by what is in rings and held.
#![cfg(feature = "sim")]

#[allow(dead_code, unreachable_pub, reason = "the whole-program tests use all of it")]
#[path = "common/corpus.rs"]
mod corpus;
#[allow(dead_code, unreachable_pub, reason = "the whole-program tests use all of it")]
#[path = "common/frames.rs"]
mod frames;
#[allow(dead_code, unreachable_pub, reason = "the whole-program tests use all of it")]
#[path = "common/judge.rs"]
mod judge;
#[allow(dead_code, unreachable_pub, reason = "the whole-program tests use all of it")]
#[path = "common/judge6.rs"]
mod judge6;
#[allow(dead_code, unreachable_pub, reason = "the whole-program tests use all of it")]
#[path = "common/kinds.rs"]
mod kinds;
#[allow(dead_code, unreachable_pub, reason = "the whole-program tests use all of it")]
#[path = "common/kinds6.rs"]
mod kinds6;
#[allow(dead_code, unreachable_pub, reason = "the whole-program tests use all of it")]
#[path = "common/read.rs"]
mod read;

use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use judge::Judge;
use kinds6::{HOST6, LOCAL6, SECOND6};
use pollcast::addr::{Cidr, Ipv4Cidr, MacAddr, Prefix, Unicast, V6};
use pollcast::engine::Counter;
use pollcast::fastpath::Level;
use pollcast::io::Addressing6;
use pollcast::service::EchoOptions;
use pollcast::sim::filter::Abilities;
use pollcast::sim::nic::Reception;
use pollcast::sim::offload::RxChecksum;
use pollcast::sim::setup::{PortOptions, ServiceOptions, WorldOptions};
use pollcast::sim::world::World;
use pollcast::stack::uoa::{TableLimits, Trusted};

const HOST: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 2);
const SECOND: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 3);
const MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];

/// Frames between two settlements: more than a burst, fewer than a ring.
const HANDFUL: usize = 50;

/// How a host is built, and how its frames come.
struct Build {
    workers: u16,
    rx_checksum: RxChecksum,
    vlan_strip: bool,
    /// In how many bytes of the first segment frames come, if not in one.
    segment: Option<usize>,
}

fn world(seed: u64, build: &Build) -> World {
    let mut port = PortOptions::new(0);
    port.nic.mac = MacAddr(MAC);
    port.nic.filter = Abilities::none();
    port.nic.rx_checksum = build.rx_checksum;
    port.nic.vlan_strip = build.vlan_strip;
    port.addresses = [HOST, SECOND]
        .map(|ip| Ipv4Cidr::new(Unicast::new(ip).expect("a host's address"), 24).expect("a prefix"))
        .to_vec();
    let statics = [HOST6, SECOND6]
        .map(|ip| Cidr::<V6>::new(Unicast::new(ip).expect("a host's"), 64).expect("a prefix"));
    port.addressing6 = Some(Addressing6 { statics: statics.to_vec(), ..Addressing6::new() });
    let echo = EchoOptions { answer_broadcast: true, ..EchoOptions::default() };
    let service = ServiceOptions::echo_with(echo)
        .dual_stack()
        .joining(Ipv4Addr::new(239, 1, 2, 3), &[])
        .joining(Ipv4Addr::new(232, 1, 2, 3), &[Ipv4Addr::new(198, 18, 0, 1)]);
    let options = WorldOptions {
        ports: vec![port],
        services: vec![service],
        workers: build.workers,
        // The peers of the corpus are balancers, and few of their clients are remembered.
        uoa: Some((
            Trusted::new(
                vec![Prefix::of(Ipv4Addr::new(198, 18, 0, 10), 32)],
                vec![Prefix::of(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x10), 128)],
            ),
            TableLimits { flows: 4, timeout: Duration::from_secs(10) },
        )),
        level: Level::detect(),
        ..WorldOptions::default()
    };
    World::new(seed, &options)
}

/// Plays the corpus of `seed`, and says what the host sent.
fn play(seed: u64, build: &Build) -> Judge {
    let frames = corpus::corpus(seed);
    let mut world = world(seed, build);
    let mut judge = Judge::new(MAC, &[HOST, SECOND]).with6(&[HOST6, SECOND6, LOCAL6]);
    // Duplicate address detection is over.
    world.run_for(Duration::from_secs(5));
    world.take_sent(0).iter().for_each(|sent| judge.see(sent));
    let mut received = 0;
    for handful in frames.chunks(HANDFUL) {
        for frame in handful {
            let meta = world.device(0).meta_of(frame);
            match world.device(0).receive_as(frame, meta, build.segment) {
                Reception::Queued(_) => received += 1,
                Reception::Missed => panic!("a ring is too small for {HANDFUL} frames"),
                // Longer than a buffer of this device, or (by their MAC) for others.
                _ => {}
            }
        }
        world.settle();
        // Timers of a real host would fire now and then.
        world.run_for(Duration::from_millis(20));
        world.take_sent(0).iter().for_each(|sent| judge.see(sent));
    }
    // Whatever was held for later has its time, and the host leaves its groups.
    world.run_for(Duration::from_secs(150));
    world.shut_down();
    world.take_sent(0).iter().for_each(|sent| judge.see(sent));
    judge.finish();
    let tally = world.tally();
    assert_eq!(tally.get(Counter::Rx), received, "received by the device, and by the workers");
    let (came, went) = tally.balance();
    assert_eq!(came, went, "in all: packets that came, and packets that went");
    assert_eq!(tally.get(Counter::Held), tally.get(Counter::Released), "something is still held");
    assert_eq!(world.pool().outstanding(), 0, "buffers that never came home");
    assert!(received > 50_000, "only {received} frames were received");
    judge
}

fn plain() -> Build {
    Build { workers: 1, rx_checksum: RxChecksum::Unknown, vlan_strip: false, segment: None }
}

// Q01: one worker, everything in software.
#[test]
fn every_frame_of_the_corpus_ends_in_one_outcome() {
    let judge = play(1, &plain());
    // A host that says nothing would pass everything above.
    println!("{:?}", judge.seen);
    for (what, least) in [
        ("echo", 1000),
        ("arp reply", 100),
        ("icmp 0", 500),
        ("icmp 3/3", 50),
        ("igmp", 4),
        ("echo6", 1000),
        ("icmp6 129", 500),
        ("icmp6 1/4", 50),
        ("icmp6 4/0", 20),
        ("icmp6 4/1", 20),
        ("icmp6 4/2", 20),
        ("advertisement", 50),
    ] {
        let count = judge.seen.get(what).copied().unwrap_or_default();
        assert!(count >= least, "{what}: {count}, of {:?}", judge.seen);
    }
}

// Q01: four workers, to which packets come by their hash, and fragments by another.
#[test]
fn the_balance_holds_for_each_of_several_workers() {
    play(2, &Build { workers: 4, ..plain() });
}

// Q01: a device that computes checksums and takes tags off.
#[test]
fn the_balance_holds_with_offloads() {
    play(3, &Build { rx_checksum: RxChecksum::Computed, vlan_strip: true, workers: 2, segment: None });
}

// Q01: frames in several segments.
#[test]
fn the_balance_holds_for_frames_in_segments() {
    play(4, &Build { segment: Some(40), ..plain() });
}

#[test]
fn a_corpus_is_a_function_of_its_seed() {
    let once = corpus::corpus(7);
    assert!(once == corpus::corpus(7) && once != corpus::corpus(8));
    assert_eq!(corpus::frames_of(&corpus::pcap(&once, 1)), once);
    let kinds = corpus::all_kinds();
    assert!(kinds.len() > 250, "{} kinds", kinds.len());
    println!("{} frames of {} kinds", once.len(), kinds.len());
}
