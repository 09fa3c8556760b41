//! Random operations on group management, for a short time. See `tests/fuzz_ingress.rs` for the budget and the seed.
#![cfg(feature = "sim")]

#[allow(unreachable_pub, reason = "the fuzz crate exports it")]
#[path = "../fuzz/src/gmp_ops.rs"]
mod gmp_ops;
#[allow(unreachable_pub, dead_code, reason = "the fuzz crate exports it")]
#[path = "../fuzz/src/session.rs"]
mod session;

use pollcast::rng::Rng;

/// The operations of four bytes each that are one shorter than these.
fn smaller(data: &[u8]) -> Vec<Vec<u8>> {
    (0..data.len() / 4).map(|gone| [&data[..gone * 4], &data[gone * 4 + 4..]].concat()).collect()
}

#[test]
fn whatever_is_done_and_heard_only_what_is_wanted_is_said() {
    let seed = session::seed();
    let next = |rng: &mut Rng| {
        let operations = rng.below(60);
        (0..operations * 4).map(|_| rng.u64().to_le_bytes()[0]).collect::<Vec<u8>>()
    };
    let body = |data: &Vec<u8>| gmp_ops::fuzz_gmp_ops(data);
    match session::run(&mut Rng::new(seed), session::budget() / 2, next, |data: &Vec<u8>| smaller(data), body)
    {
        Ok(inputs) => println!("{inputs} runs, POLLCAST_FUZZ_SEED={seed}"),
        Err(failure) => panic!("POLLCAST_FUZZ_SEED={seed}: {}\n{:?}", failure.said, failure.input),
    }
}
