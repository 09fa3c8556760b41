//! The engine: workers that turn packets over, and control that changes things. Threads and channels live here.
//!
//! A [`worker::Worker`] does one lcore's work, a [`control::Control`] everything else; each has a `turn(now)` that
//! never waits, so that one thread can turn them all in a simulated world, and [`run`] has the loops that turn them in
//! the real one. They share nothing but bounded queues ([`message`]) and pages of counters ([`counters`]). Other
//! threads ask control by [`request`].
//!
//! Not here: what a packet means (`stack`), how a device is made (`dpdk`, `sim`), and who asks ([`command`] is the
//! vocabulary, the control socket one speaker of it).
//!
//! ```
//! use pollcast::engine::counters::{Counter, Tally};
//! let mut tally = Tally::default();
//! tally.add(Counter::Rx, 1);
//! tally.add(Counter::Tx, 1);
//! assert_eq!(tally.balance(), (1, 1), "what came has gone");
//! ```

mod answer;
mod batch;
pub mod command;
pub mod control;
pub mod counters;
pub mod depart;
pub mod fragments;
mod gmp_gate;
pub mod homes;
pub mod message;
mod order;
mod port_io;
pub mod request;
pub mod rest;
pub mod rps;
pub mod run;
mod sort;
pub mod uoa;
pub mod way;
pub mod worker;

pub use counters::Counter;
