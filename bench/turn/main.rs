//! What a packet costs in a worker's turn: the program of `bench/grow` and `scripts/instructions`, which run it once for each line
//! of their tables.
//!
//! The simulator's host with a worker, or some: bursts are put into its NIC's rings, and its turns take them out, answer them, and
//! put the answers there. Only the turns are timed; callgrind counts `turn_alone` from the call of `bench_measured` on. Prints one line of
//! JSON.

mod case;
mod hosts;

use std::error::Error;
use std::time::{Duration, Instant};

use case::{BURST, Case};

/// What was asked for on the command line.
struct Arguments {
    case: String,
    size: u32,
    packets: u64,
}

impl Arguments {
    fn parse() -> Result<Self, String> {
        let usage = || format!("usage: bench-turn CASE [SIZE] [PACKETS]; cases: {}", hosts::NAMES.join(", "));
        let mut given = std::env::args().skip(1);
        let case = given.next().filter(|case| hosts::NAMES.contains(&case.as_str())).ok_or_else(usage)?;
        let mut number = |default: u64| match given.next() {
            Some(text) => text.parse().map_err(|_| usage()),
            None => Ok(default),
        };
        let size = u32::try_from(number(1)?).map_err(|_| usage())?;
        Ok(Self { case, size, packets: number(1 << 20)? })
    }
}

/// Turns of every worker until `packets` have been received, each turn with a whole burst. Apart, so that callgrind can leave out
/// what came before.
#[inline(never)]
fn bench_measured(case: &mut Case, packets: u64) -> (u64, u64, Duration) {
    let (mut received, mut sent, mut spent) = (0, 0, Duration::ZERO);
    let mut out = Vec::with_capacity(2048);
    while received < packets {
        received += case.fill();
        let start = Instant::now();
        case.turn();
        spent += start.elapsed();
        case.between();
        if case.turns_twice() {
            let start = Instant::now();
            case.turn();
            spent += start.elapsed();
        }
        while case.world.device(0).transmit_into(&mut out) {
            sent += 1;
        }
    }
    (received, sent, spent)
}

fn main() -> Result<(), Box<dyn Error>> {
    let Arguments { case: name, size, packets } = Arguments::parse()?;
    let mut case = hosts::of(&name, size)?;
    bench_measured(&mut case, 64 * BURST as u64);
    let (received, sent, spent) = bench_measured(&mut case, packets);
    let expected = received * case.answers / case.frames_a_packet;
    if sent != expected {
        let drops = case.world.all_drops();
        return Err(
            format!("{received} frames received and {sent} sent, {expected} expected: {drops:?}").into()
        );
    }
    let ns = spent.as_nanos() as f64 / received as f64;
    println!(
        "{}",
        serde_json::json!({ "case": name, "size": size, "packets": received, "ns": ns, "level": case.level.name() })
    );
    Ok(())
}
