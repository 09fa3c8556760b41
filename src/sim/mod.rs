//! The seeded world: the same workers and the same control code over a simulated NIC.
//!
//! Here: a finite buffer pool that counts ([`buf`]), a NIC with finite rings, RSS and a filter that really filters
//! ([`nic`], [`rss`], [`offload`], [`filter`]), a link that loses and reorders ([`net`]), a multicast router on it
//! ([`router`]), and frames built and read without the code under test ([`frames`]). Everything follows from a seed. Not here: any clock, thread, socket or `unsafe`, and any shortcut around the traits of [`io`](crate::io): what
//! the engine cannot do over a real NIC it cannot do here.
//!
//! ```
//! # #[cfg(feature = "sim")] {
//! use pollcast::io::{Burst, PacketBuf, RxQueue};
//! use pollcast::sim::buf::{ROOM, SimPool};
//! use pollcast::sim::nic::{NicOptions, Reception, SimDevice};
//!
//! let pool = SimPool::new(64, ROOM);
//! let (device, mut queues, _port) = SimDevice::new(NicOptions::default(), pool.clone());
//! assert_eq!(device.receive(&[0xff; 60]), Reception::Queued(0));
//! let mut burst = Burst::new();
//! assert_eq!(queues[0].0.rx_burst(&mut burst, 32), 1);
//! drop(burst);
//! assert_eq!(pool.outstanding(), 0);
//! # }
//! ```

pub mod buf;
pub mod filter;
pub mod frames;
pub mod net;
pub mod nic;
pub mod offload;
pub mod router;
pub mod rss;
