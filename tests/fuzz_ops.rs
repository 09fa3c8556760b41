//! Random operations on group management and on reassembly, for a short time. See `tests/fuzz_ingress.rs` for the budget and the seed.
#![cfg(feature = "sim")]

#[allow(unreachable_pub, reason = "the fuzz crate exports it")]
#[path = "../fuzz/src/gmp_ops.rs"]
mod gmp_ops;
#[allow(unreachable_pub, reason = "the fuzz crate exports it")]
#[path = "../fuzz/src/reassembly_ops.rs"]
mod reassembly_ops;
#[allow(unreachable_pub, dead_code, reason = "the fuzz crate exports it")]
#[path = "../fuzz/src/session.rs"]
mod session;

use pollcast::rng::Rng;

/// The operations of `size` bytes each that are one shorter than these.
fn smaller(data: &[u8], size: usize) -> Vec<Vec<u8>> {
    let each = 0..data.len() / size;
    each.map(|gone| [&data[..gone * size], &data[(gone + 1) * size..]].concat()).collect()
}

fn bytes(rng: &mut Rng, count: u64) -> Vec<u8> {
    (0..count).map(|_| rng.u64().to_le_bytes()[0]).collect()
}

/// Feeds `body` with what `next` makes, for a part of the budget.
#[track_caller]
fn fuzz(
    part: u32,
    next: impl FnMut(&mut Rng) -> Vec<u8>,
    smaller: impl Fn(&Vec<u8>) -> Vec<Vec<u8>>,
    body: fn(&[u8]),
) {
    let seed = session::seed();
    match session::run(&mut Rng::new(seed), session::budget() / part, next, smaller, |data: &Vec<u8>| {
        body(data)
    }) {
        Ok(inputs) => println!("{inputs} runs, POLLCAST_FUZZ_SEED={seed}"),
        Err(failure) => panic!("POLLCAST_FUZZ_SEED={seed}: {}\n{:?}", failure.said, failure.input),
    }
}

#[test]
fn whatever_is_done_and_heard_only_what_is_wanted_is_said() {
    let next = |rng: &mut Rng| {
        let operations = rng.below(60);
        bytes(rng, operations * 4)
    };
    fuzz(2, next, |data| smaller(data, 4), gmp_ops::fuzz_gmp_ops);
}

// F01 to F11, W01 to W11: the rules, and what holds whatever comes.
#[test]
fn every_fragment_has_the_outcome_of_the_rules_and_no_buffer_is_lost() {
    let next = |rng: &mut Rng| {
        let operations = rng.below(200);
        bytes(rng, 1 + operations * 5)
    };
    let smaller = |data: &Vec<u8>| {
        let fewer = smaller(&data[1..], 5).into_iter();
        fewer.map(|ops| [&data[..1], &ops].concat()).collect()
    };
    fuzz(4, next, smaller, reassembly_ops::fuzz_reassembly_ops);
}
