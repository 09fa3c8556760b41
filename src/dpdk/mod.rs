//! The real world: EAL, pools, packet buffers, ports and their queues.
//!
//! Here: the safe room over `dpdk-sys`, and the only home of `unsafe`. Each rule of DPDK's is held by a type: a buffer
//! is freed once ([`Mbuf`] is not `Clone`), a queue has one thread ([`RxQueue`] and [`TxQueue`] are `Send` and not
//! `Sync`, and are handed out once, by [`Port::start`]), no queue outlives its port and no port its pool or the EAL (they
//! hold on to them). Not here: anything that knows a protocol above Ethernet.
//!
//! ```no_run
//! use pollcast::config::plan::{EalPlan, Hugepages};
//! use pollcast::dpdk::{Eal, EalOptions, Mempool, MempoolOptions};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let plan = EalPlan { hugepages: Hugepages::None, memory_mb: 256, file_prefix: "example".into(), args: vec![] };
//! let options = EalOptions { plan, lcores: vec![(0, 0)], devices: vec!["net_null0".into()], scan: false };
//! let eal = Eal::init(&options)?;
//! let pool = Mempool::create(&eal, &MempoolOptions {
//!     name: "packets".into(), count: 4095, cache: 256, data_room: 2176, large: 8, numa_node: None,
//!     shared_cpu: false,
//! })?;
//! assert_eq!(pool.free_count(), pool.size());
//! drop(pool);
//! eal.cleanup()?;
//! # Ok(()) }
//! ```
#![allow(unsafe_code)]

pub mod devices;
mod eal;
mod error;
mod mbuf;
mod mempool;
mod offload;
mod port;
mod queue;
mod rx_event;
mod together;
mod tsc;
mod vhost;
mod wait;

pub use eal::{Eal, EalError, EalHandle, EalOptions, Job, LcoreError, Memory, ThreadGuard};
pub use error::DpdkError;
pub use mbuf::Mbuf;
pub use mempool::{Mempool, MempoolError, MempoolOptions};
pub use port::{Port, PortError, Started, StartedPort, Stopped};
pub use queue::{RxQueue, TxQueue};
pub use rx_event::EventKind;
pub use tsc::Clock;
pub use wait::EventWait;

use crate::io::Nic;

/// The real NIC.
#[derive(Clone, Copy, Debug)]
pub struct Dpdk;

impl Nic for Dpdk {
    type Buf = Mbuf;
    type Rx = RxQueue;
    type Tx = TxQueue;
    type Pool = Mempool;
}
