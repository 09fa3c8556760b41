//! A fuzz run on the stable toolchain: a seeded stream of mutated inputs, for a time or a number of them.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use pollcast::rng::Rng;

/// How long to run: `POLLCAST_FUZZ_SECONDS`, or 3 seconds.
pub fn budget() -> Duration {
    let asked = std::env::var("POLLCAST_FUZZ_SECONDS").ok().and_then(|s| s.parse().ok());
    Duration::from_secs(asked.unwrap_or(3))
}

/// The seed: `POLLCAST_FUZZ_SEED`, or a fresh one, so that no fixed seed hides a fault.
pub fn seed() -> u64 {
    let asked = std::env::var("POLLCAST_FUZZ_SEED").ok().and_then(|s| s.parse().ok());
    let clock =
        || std::time::UNIX_EPOCH.elapsed().map_or(1, |d| u64::from(d.subsec_nanos()) ^ d.as_secs() << 30);
    asked.unwrap_or_else(clock)
}

/// A failure: the input, as small as it got, and what was said.
#[derive(Debug)]
pub struct Failure<I> {
    pub input: I,
    pub said: String,
}

/// What a panic said.
fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()))
        .unwrap_or_else(|| "a panic".to_owned())
}

/// What `body` says of `input` when it fails.
pub fn failure<I>(body: &impl Fn(&I), input: &I) -> Option<String> {
    catch_unwind(AssertUnwindSafe(|| body(input))).err().map(|panic| said(&*panic))
}

/// Feeds `body` with inputs made by `next` until the budget is spent, and returns how many there were.
///
/// # Errors
/// The first input that makes `body` panic, made smaller by `smaller`, which lists the inputs a step below one.
pub fn run<I>(
    rng: &mut Rng,
    budget: Duration,
    mut next: impl FnMut(&mut Rng) -> I,
    smaller: impl Fn(&I) -> Vec<I>,
    body: impl Fn(&I),
) -> Result<u64, Failure<I>> {
    let end = Instant::now() + budget;
    let mut inputs = 0;
    while Instant::now() < end {
        for _ in 0..16 {
            let input = next(rng);
            inputs += 1;
            if let Some(said) = failure(&body, &input) {
                return Err(shrink(Failure { input, said }, smaller, body));
            }
        }
    }
    Ok(inputs)
}

/// The failure with the smallest input that a bounded search finds.
fn shrink<I>(mut worst: Failure<I>, smaller: impl Fn(&I) -> Vec<I>, body: impl Fn(&I)) -> Failure<I> {
    for _ in 0..200 {
        let found = smaller(&worst.input)
            .into_iter()
            .find_map(|input| failure(&body, &input).map(|said| Failure { input, said }));
        match found {
            Some(failure) => worst = failure,
            None => break,
        }
    }
    worst
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_planted_fault_is_found_and_made_small() {
        let body = |input: &Vec<u8>| assert!(!input.contains(&7), "seven");
        let next = |rng: &mut Rng| (0..20).map(|_| rng.u64().to_le_bytes()[0]).collect::<Vec<_>>();
        let smaller =
            |input: &Vec<u8>| (0..input.len()).map(|i| [&input[..i], &input[i + 1..]].concat()).collect();
        let found = run(&mut Rng::new(1), Duration::from_secs(10), next, smaller, body).unwrap_err();
        assert_eq!((found.input, found.said.as_str()), (vec![7], "seven"));
    }

    #[test]
    fn a_body_without_fault_is_fed_until_the_budget_is_spent() {
        let inputs = run(&mut Rng::new(1), Duration::from_millis(5), Rng::u64, |_| Vec::new(), |_| ());
        assert!(inputs.is_ok_and(|n| n >= 16));
    }
}
