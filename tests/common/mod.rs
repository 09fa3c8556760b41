//! What the whole-program tests share: namespaces, a running pollcast, a raw socket at the other end of its wire, and
//! frames that are built and read without pollcast's own code.
//!
//! ```ignore
//! static LAB: Shared = Shared::new(|| Lab::mute(ECHO));
//!
//! #[test]
//! fn an_echo_comes_back() {
//!     let Some(mut lab) = LAB.lock() else { return };
//!     let answer = lab.answer(&udp_frame(PEER, 4000, HOST, 7, b"hello")).udp();
//!     assert_eq!(answer.payload, b"hello");
//! }
//! ```
//!
//! Everything ends with the test process, even if that is killed: namespaces have no names, and programs have a warden.
#![allow(dead_code, unreachable_pub, unused_imports)] // Each test file uses its part of it.

pub mod capture;
pub mod corpus;
pub mod frames;
pub mod judge;
#[cfg(feature = "sim")]
pub mod judge6;
pub mod kinds;
#[cfg(feature = "sim")]
pub mod kinds6;
pub mod lab;
pub mod linux;
pub mod netns;
pub mod nic;
pub mod pollcast;
pub mod raw_peer;
pub mod read;
pub mod shared;
pub mod six;
pub mod snmp;
pub mod stimuli;
#[cfg(feature = "sim")]
pub mod stimuli6;
pub mod switch;
pub mod testpmd;
pub mod truth;
#[cfg(feature = "sim")]
pub mod truth6;
pub mod warden;

pub use frames::*;
pub use lab::*;
pub use linux::Linux;
pub use netns::Netns;
pub use nic::{BRIDGE, Filter, Guest, Made, Model, Passage, RxInterrupt, SharedNic};
pub use pollcast::{Config, PROGRAM, Pollcast, TWO_TAPS};
pub use raw_peer::{FarEnd, RawPeer};
pub use read::*;
pub use six::*;
pub use testpmd::Bridge;

/// An echo service on port 7 that has joined a group, and another for one source, and answers broadcast too.
pub const ECHO: &str = r#"
[[service]]
name = "echo"
kind = "echo"
listen = ["0.0.0.0:7"]
groups = [{ group = "239.1.2.3" }, { group = "232.1.2.3", sources = ["198.18.0.1"] }]
answer_broadcast = true
"#;
