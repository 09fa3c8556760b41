//! The seeded world: the same workers and the same control code over a simulated NIC.
//!
//! Here: a finite buffer pool that counts ([`buf`]), a NIC with finite rings, RSS and a filter that really filters
//! ([`nic`], [`rss`], [`offload`], [`filter`]), a link that loses and reorders ([`net`]), a multicast router on it
//! ([`router`]), frames built and read without the code under test ([`frames`]), and the [`world`] that turns it all on
//! one thread, put together by [`setup`]. Everything follows from a seed. Not here: any clock, thread, socket or
//! `unsafe`, and any shortcut around the traits of [`io`](crate::io): what the engine cannot do over a real NIC it
//! cannot do here.
//!
//! ```
//! # #[cfg(feature = "sim")] {
//! use pollcast::sim::frames::UdpFrame;
//! use pollcast::sim::setup::WorldOptions;
//! use pollcast::sim::world::World;
//!
//! let mut world = World::new(1, &WorldOptions::default());
//! let request = UdpFrame::new("198.18.0.1:40000", "198.18.0.2:7", b"hello");
//! world.inject(0, &request.frame());
//! world.settle();
//! let answers: Vec<_> = world.take_sent(0).iter().filter_map(|f| UdpFrame::read(f).ok()).collect();
//! assert_eq!(answers[0].payload, b"hello");
//! # }
//! ```

mod ask;
pub mod buf;
pub mod filter;
pub mod frames;
mod machine;
pub mod net;
pub mod nic;
pub mod offload;
pub mod router;
pub mod rss;
pub mod setup;
pub mod world;
