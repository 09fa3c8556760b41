//! pollcast: a UDP host in user space, on DPDK.
//!
//! A pure core ([`addr`], [`time`], [`wire`], [`stack`], [`fastpath`]) is handed packets and the time. A thin
//! [`engine`] turns it once per burst on each worker lcore, and one control thread alone changes anything. The core
//! meets the world through the traits of [`io`], which two worlds fill: `dpdk` (the real one, and the only home of
//! `unsafe`) and `sim` (a seeded one, for tests).
//!
//! `docs/architecture.md` draws the rooms and the packet's way through them.
#![deny(unsafe_code)]

pub mod addr;
pub mod config;
pub mod ctl;
pub mod engine;
pub mod fastpath;
pub mod io;
pub mod rng;
pub mod service;
pub mod stack;
pub mod time;
pub mod wire;

#[cfg(feature = "cli")]
pub mod cli;
#[cfg(feature = "dpdk")]
pub mod dpdk;
#[cfg(feature = "dpdk")]
pub mod host;
#[cfg(any(test, feature = "sim"))]
pub mod sim;
