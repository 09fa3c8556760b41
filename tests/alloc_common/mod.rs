//! An allocator that counts, and the run of a world in which nothing may be counted.
//!
//! An allocator can be replaced only by an `unsafe impl`; this one adds a count and hands every call on.
#![allow(dead_code, unreachable_pub, reason = "each test uses its part")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use pollcast::sim::world::World;

thread_local! {
    /// Of this thread alone: tests run beside each other.
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    static RELEASES: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

fn count(calls: &'static std::thread::LocalKey<Cell<u64>>) {
    // A thread that is ending has no counter any more, and nobody asks for its count.
    let _ = calls.try_with(|n| n.set(n.get() + 1));
}

// SAFETY: every call is handed on unchanged to the system's allocator, which keeps the contract; counting touches a
// thread-local number that needs no allocation and no destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(&ALLOCATIONS);
        // SAFETY: the caller keeps this call's contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(&ALLOCATIONS);
        // SAFETY: the caller keeps this call's contract.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(&ALLOCATIONS);
        // SAFETY: the caller keeps this call's contract; `at` came from the system's allocator, as all that we give.
        unsafe { System.realloc(at, layout, size) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        count(&RELEASES);
        // SAFETY: the caller keeps this call's contract; `at` came from the system's allocator, as all that we give.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How often `act` asked the heap for memory.
pub fn allocations(act: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.get();
    act();
    ALLOCATIONS.get() - before
}

/// How often `act` gave memory back to the heap.
pub fn releases(act: impl FnOnce()) -> u64 {
    let before = RELEASES.get();
    act();
    RELEASES.get() - before
}

/// Lets the worker see `frames` over and over, some in every turn, and counts what its turns ask of the heap, the first
/// round left out. Returns how many frames the NIC sent in the rounds that counted.
#[track_caller]
pub fn assert_none(world: &mut World, frames: &[Vec<u8>]) -> usize {
    assert_none_of(1, world, frames)
}

/// The same of `workers`.
#[track_caller]
pub fn assert_none_of(workers: usize, world: &mut World, frames: &[Vec<u8>]) -> usize {
    let mut out = Vec::with_capacity(2048);
    let (mut asked, mut sent) = (0, 0);
    for round in 0..40 {
        for burst in frames.chunks(100) {
            for frame in burst {
                world.inject(0, frame);
            }
            let in_turns =
                allocations(
                    || while (0..workers).map(|worker| world.turn_worker(worker)).sum::<usize>() > 0 {},
                );
            if round > 0 {
                asked += in_turns;
            }
            while world.device(0).transmit_into(&mut out) {
                sent += usize::from(round > 0);
            }
        }
        // Control takes what was handed to it, so that its queues do not stay full.
        world.settle();
    }
    assert_eq!(asked, 0, "heap allocations in {} packets", 39 * frames.len());
    sent
}
