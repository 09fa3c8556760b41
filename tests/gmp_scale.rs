//! What ten thousand groups on one interface cost group management: memory, and the work of a query.
//!
//! Work is counted in calls to the allocator and in turns, which no other load on the machine changes. The times are
//! printed, for people: `cargo test --test gmp_scale -- --nocapture`.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant as Clock};

use pollcast::addr::{Group, MacAddr, V4};
use pollcast::io::{IgmpPolicy, IgmpVersion};
use pollcast::rng::Rng;
use pollcast::stack::gmp::igmp::{Igmp, Packet};
use pollcast::stack::membership::SourceFilter;
use pollcast::time::Instant;

thread_local! {
    /// Of this thread alone: tests run beside each other.
    static BYTES: Cell<i64> = const { Cell::new(0) };
    static CALLS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

fn count(bytes: i64) {
    // A thread that is ending has no counter any more, and nobody asks for its count.
    let _ = BYTES.try_with(|n| n.set(n.get() + bytes));
    let _ = CALLS.try_with(|n| n.set(n.get() + 1));
}

fn len(layout: Layout) -> i64 {
    i64::try_from(layout.size()).unwrap_or(i64::MAX)
}

// SAFETY: every call is handed on unchanged to the system's allocator, which keeps the contract; counting touches
// thread-local numbers that need no allocation and no destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(len(layout));
        // SAFETY: the caller keeps this call's contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        count(-len(layout));
        // SAFETY: the caller keeps this call's contract; `at` came from the system's allocator, as all that we give.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const GROUPS: u32 = 10_000;
const MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);

fn group(n: u32) -> Group<V4> {
    Group::new(Ipv4Addr::from_bits(0xef01_0000 + n)).unwrap()
}

/// An interface, its clock and its chance.
struct World {
    igmp: Igmp,
    now: Instant,
    rng: Rng,
    frame: Vec<u8>,
}

impl World {
    fn new(version: IgmpVersion) -> Self {
        let igmp = Igmp::new(1500, IgmpPolicy { version, ..IgmpPolicy::default() }, 7);
        Self { igmp, now: Instant::ZERO, rng: Rng::new(1), frame: Vec::with_capacity(2000) }
    }

    /// In as many groups, and all that is to be said of that said.
    fn joined(version: IgmpVersion) -> Self {
        let mut w = Self::new(version);
        (0..GROUPS).for_each(|n| w.igmp.set_filter(w.now, group(n), SourceFilter::ANY));
        w.settle();
        w
    }

    fn frames(&mut self) -> u32 {
        let mut frames = 0;
        while self.igmp.next_frame(self.now, &mut self.rng, MAC, None, &mut self.frame) {
            frames += 1;
        }
        frames
    }

    /// Says everything that is to be said; in how many frames and turns.
    fn settle(&mut self) -> (u32, u32) {
        let (mut frames, mut turns) = (self.frames(), 1);
        while let Some(at) =
            self.igmp.poll_timeout().filter(|at| at.since(self.now) < Duration::from_secs(60))
        {
            self.now = self.now.max(at);
            frames += self.frames();
            turns += 1;
        }
        (frames, turns)
    }

    fn hear(&mut self, payload: &[u8]) {
        let (src, dst) = (Ipv4Addr::new(198, 18, 0, 1), Ipv4Addr::new(224, 0, 0, 1));
        let packet = Packet { src, dst, hop_limit: 1, router_alert: true, payload };
        assert_eq!(self.igmp.receive(self.now, &mut self.rng, &packet), Ok(()));
    }
}

/// A General Query of ten seconds.
fn general(version: IgmpVersion) -> Vec<u8> {
    let mut message = match version {
        IgmpVersion::V1 => vec![0x11, 0, 0, 0, 0, 0, 0, 0],
        IgmpVersion::V2 => vec![0x11, 100, 0, 0, 0, 0, 0, 0],
        IgmpVersion::V3 | IgmpVersion::Auto => vec![0x11, 100, 0, 0, 0, 0, 0, 0, 2, 125, 0, 0],
    };
    let sum: u32 = message.chunks(2).map(|w| u32::from(w[0]) << 8 | u32::from(w[1])).sum();
    let sum = !u16::try_from(sum % 0xffff).unwrap();
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    message
}

const VERSIONS: [IgmpVersion; 3] = [IgmpVersion::V1, IgmpVersion::V2, IgmpVersion::V3];

// What a group costs while nothing is to be said of it, and at most, while everything is.
#[test]
fn a_group_costs_little_memory() {
    for version in VERSIONS {
        let before = BYTES.get();
        let mut w = World::new(version);
        (0..GROUPS).for_each(|n| w.igmp.set_filter(w.now, group(n), SourceFilter::ANY));
        let busy = (BYTES.get() - before) / i64::from(GROUPS);
        w.settle();
        let quiet = (BYTES.get() - before) / i64::from(GROUPS);
        drop(w);
        // Before anything is printed: that takes memory, too.
        let left = BYTES.get() - before;
        println!("version {version}: {quiet} bytes a group, {busy} right after the joins");
        assert!(quiet <= 320 && busy <= 640, "version {version}: {quiet} and {busy} bytes a group");
        assert_eq!(left, 0, "given back");
    }
}

// G21, RFC 9776 5.2: in as few reports as the MTU allows. RFC 2236 3: one a group, at its own time.
#[test]
fn a_general_query_is_answered_in_as_few_frames_as_the_version_has() {
    for version in VERSIONS {
        let mut w = World::joined(version);
        let start = Clock::now();
        w.hear(&general(version));
        let asked = start.elapsed();
        let (frames, turns) = w.settle();
        println!(
            "version {version}: query {asked:?}, answer of {frames} frames in {turns} turns, {:?}",
            start.elapsed()
        );
        // 1468 octets of records of 8 in version 3.
        let expected = if version == IgmpVersion::V3 { GROUPS.div_ceil(1468 / 8) } else { GROUPS };
        assert!((expected..=expected + 1).contains(&frames), "version {version}: {frames}");
    }
}

// G47, RFC 9776 9.1: a query costs the same however many groups there are, and 100,000 of them in a second are answered as
// one is.
#[test]
fn a_flood_of_queries_costs_no_more_than_its_timers() {
    for version in VERSIONS {
        let mut w = World::joined(version);
        let query = general(version);
        w.hear(&query);
        let (calls, start) = (CALLS.get(), Clock::now());
        (0..100_000).for_each(|_| w.hear(&query));
        let (calls, each) = (CALLS.get() - calls, start.elapsed() / 100_000);
        println!("version {version}: {each:?} a query, {calls} calls to the allocator for 100,000");
        assert!(calls < 100, "version {version}: {calls}");
        let mut frames = 0;
        let end = w.now + Duration::from_secs(1);
        while w.now < end {
            w.now += Duration::from_micros(10);
            w.hear(&query);
            frames += w.frames();
        }
        let answer = if version == IgmpVersion::V3 { GROUPS.div_ceil(1468 / 8) } else { GROUPS };
        // A tenth of the ten seconds; at most twice as many, and in version 3 no more than one in each of its ten reports.
        println!("version {version}: {frames} frames in the second of the flood, of {answer} an answer has");
        assert!(frames <= answer / 4, "version {version}: {frames}");
    }
}

// The version changes under ten thousand groups, and back.
#[test]
fn a_change_of_the_version_tells_everything_anew() {
    let mut w = World::joined(IgmpVersion::Auto);
    let start = Clock::now();
    w.hear(&general(IgmpVersion::V2));
    println!("to version 2: {:?}", start.elapsed());
    assert_eq!(w.settle().0, GROUPS);
    w.now += Duration::from_secs(400);
    let (frames, _) = w.settle();
    assert!((GROUPS.div_ceil(1468 / 8)..=GROUPS.div_ceil(1468 / 8) + 1).contains(&frames), "{frames}");
}
