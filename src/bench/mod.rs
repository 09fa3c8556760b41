//! The traffic end: UDP flows on a port of its own, their echoes matched by number, and what became of the rest.
//!
//! Here: what is sent ([`Traffic`]), the one who sends it and hears the answers ([`Generator`], over any [`Nic`](crate::io::Nic):
//! a real one or the simulator's), who knows what became of each packet, and the [`Report`]. `device` puts it on a port of
//! DPDK's. Not here: a host. It answers ARP and neighbour solicitations for its addresses, asks for its peers', and is
//! otherwise deaf.
//!
//! Every packet carries a number, so that the answers can come from anything that sends a datagram back: pollcast, a kernel's
//! echo, or testpmd. An answer is right if addresses, ports, length, payload and checksum are those of the question turned
//! round.
//!
//! ```
//! use pollcast::bench::{Rate, Traffic};
//!
//! let traffic = Traffic {
//!     source4: Some("198.18.0.1/24".parse().unwrap()),
//!     flows: 64,
//!     rate: Rate::PerSecond(10_000.0),
//!     ..Traffic::to(["198.18.0.2:7".parse().unwrap()])
//! };
//! assert!(traffic.check().is_ok());
//! ```

mod counts;
#[cfg(feature = "dpdk")]
pub mod device;
mod generator;
mod heard;
mod neighbors;
mod pace;
mod places;
mod report;
mod template;
#[cfg(test)]
mod tests;
mod tracker;
mod traffic;

pub use counts::Counts;
pub use generator::{Generator, Link, Stage, new_histogram};
pub use report::{Latency, Progress, Report};
pub use traffic::{Answers, Rate, Traffic, TrafficError};
