//! The seam that a NIC, real or simulated, fills.
//!
//! Here: what the engine asks of a packet buffer, a pool, a queue, a multicast filter and a port ([`Nic`] names one
//! world's choice of each), the one list of reasons for which a packet may be dropped, and the words that
//! a configuration chooses among. Not here: anything that knows a protocol, and anything that touches a device.
//!
//! The rule of ownership: a buffer is a value with one owner. It is sent, delivered, handed over or dropped by moving
//! it; there is no way to do two of these, nor to forget it.
//!
//! ```
//! use pollcast::io::Burst;
//! let mut burst = Burst::<Box<[u8]>>::new();
//! assert!(burst.push(vec![0u8; 60].into()).is_ok());
//! assert_eq!(burst.drain().count(), 1);
//! ```

mod addressing6;
mod buf;
mod burst;
mod choice;
mod departure;
mod drop_reason;
mod icmp_error;
mod igmp;
mod mc_filter;
mod mld;
mod parts;
mod policy;
mod port;
mod rss;
mod wait;

pub use addressing6::{Addressing6, LinkLocal, StableSecret};
pub use buf::{BufPool, ChecksumStatus, LARGE_ROOM, PacketBuf, RxMeta, TxChecksum, linearise};
#[cfg(feature = "dpdk")]
pub(crate) use buf::{CLIENT_LEN, client_bytes, client_of};
pub use burst::{Alike, BURST_MAX, Burst, Drain, at_one_time};
pub use choice::{ConflictDetection, PmtuDiscovery, ReplyPath};
pub use departure::Departure;
pub use drop_reason::DropReason;
pub use icmp_error::{IcmpError, IcmpErrorKind};
pub use igmp::{IgmpPolicy, IgmpVersion, ParseIgmpVersionError, ParseRobustnessError, Robustness};
pub use mc_filter::{
    FilterCalls, FilterPolicy, FilterState, Ladder, McFilter, Occasion, Refusal, RefusalKind, Refused, Rung,
    is_placeholder,
};
pub use mld::{MldPolicy, MldVersion, ParseMldVersionError};
pub use parts::{Cast, Parts, PayloadSum, UdpPorts};
pub use policy::Policy;
pub use port::{DeviceStats, InterfaceId, Nic, PortControl, PortId, PortInfo, RxQueue, TxQueue};
pub use rss::{
    RetaState, RssCalls, RssConf, RssOffer, RssState, attempts as rss_attempts, even_reta, is_symmetric,
    set_up as set_up_rss, symmetric_key,
};
pub use wait::{Wait, Wake, Waker, Woken};
