//! What a packet costs in a worker's turn: the program of `bench/grow` and `scripts/instructions`, which run it once for each line
//! of their tables.
//!
//! The simulator's host with a worker, or some: bursts are put into its NIC's rings, and its turns take them out, answer them, and
//! put the answers there. Only the turns are timed; callgrind counts `turn_alone` from the call of `bench_measured` on. Prints one line of
//! JSON.

mod case;
mod hosts;
mod kernel;

use std::error::Error;
use std::time::{Duration, Instant};

use case::{BURST, Case};
use pollcast::fastpath::Level;

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

/// What was measured.
pub(crate) struct Measured {
    received: u64,
    sent: u64,
    /// What each round of turns took.
    rounds: Vec<Duration>,
    /// What this process had of memory then.
    resident_kb: Option<u64>,
}

/// Turns of every worker until `packets` have been received, each turn with a whole burst. Apart, so that callgrind can leave out
/// what came before.
#[inline(never)]
fn bench_measured(case: &mut Case, packets: u64) -> Measured {
    let (mut received, mut sent, mut rounds) = (0, 0, Vec::new());
    let mut out = Vec::with_capacity(2048);
    while received < packets {
        received += case.fill();
        let start = Instant::now();
        case.turn();
        let mut spent = start.elapsed();
        case.between();
        if case.turns_twice() {
            let start = Instant::now();
            case.turn();
            spent += start.elapsed();
        }
        rounds.push(spent);
        while case.world.device(0).transmit_into(&mut out) {
            sent += 1;
        }
    }
    let sent = sent + case.finish();
    Measured { received, sent, rounds, resident_kb: resident_kb() }
}

/// Kilobytes of memory that this process has.
fn resident_kb() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse().ok()
}

fn main() -> Result<(), Box<dyn Error>> {
    let Arguments { case: name, size, packets } = Arguments::parse()?;
    let (measured, level) = if name == hosts::KERNEL {
        (kernel::measure(size, packets)?, None)
    } else {
        let (measured, level) = turns(&name, size, packets)?;
        (measured, Some(level.name()))
    };
    report(&name, size, measured, level);
    Ok(())
}

/// Has the host of a case turn, and checks that it answered.
fn turns(name: &str, size: u32, packets: u64) -> Result<(Measured, Level), Box<dyn Error>> {
    let mut case = hosts::of(name, size)?;
    bench_measured(&mut case, 64 * BURST as u64);
    let measured = bench_measured(&mut case, packets);
    let Measured { received, sent, .. } = measured;
    let expected = received * case.answers / case.frames_a_packet;
    if sent != expected {
        let drops = case.world.all_drops();
        return Err(
            format!("{received} frames received and {sent} sent, {expected} expected: {drops:?}").into()
        );
    }
    Ok((measured, case.level))
}

/// Says what it cost.
fn report(name: &str, size: u32, measured: Measured, level: Option<&str>) {
    let Measured { received, mut rounds, resident_kb, .. } = measured;
    // Of many rounds that are all alike, the one in the middle: who takes the CPU away for a while, or does not, has no say in it.
    let in_a_round = received as f64 / rounds.len() as f64;
    let mean = rounds.iter().sum::<Duration>().as_nanos() as f64 / received as f64;
    rounds.sort_unstable();
    let median = rounds.get(rounds.len() / 2).map_or(0, Duration::as_nanos) as f64 / in_a_round;
    let told = serde_json::json!({
        "case": name, "size": size, "packets": received, "ns": median, "mean_ns": mean,
        "resident_kb": resident_kb, "level": level,
    });
    println!("{told}");
}
