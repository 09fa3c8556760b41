//! Ports and their queues.

use core::fmt;

use serde::{Deserialize, Serialize};

use super::{BufPool, Burst, FilterState, McFilter, PacketBuf, RssState};
use crate::addr::MacAddr;

/// Which port, by its place in the configuration: the first is 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct PortId(pub u16);

impl PortId {
    /// As an index into a table of ports.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Which interface, by its place in the configuration: the first is 0. A port has one, or one for each VLAN; what IP has,
/// addresses, groups and sockets, it has on an interface.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct InterfaceId(pub u16);

impl InterfaceId {
    /// As an index into a table of interfaces.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// The scope of addresses that mean something on its link only, in a [`SocketAddrV6`](core::net::SocketAddrV6).
    // P12, RFC 4007 6: 0 means no link in particular, so that the first interface has 1.
    #[must_use]
    pub const fn scope_id(self) -> u32 {
        self.0 as u32 + 1
    }
}

impl fmt::Display for PortId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A receive queue, owned by one worker.
pub trait RxQueue: Send + fmt::Debug {
    /// What it yields.
    type Buf: PacketBuf;

    /// Adds up to `max` received packets to `burst`, and returns how many.
    fn rx_burst(&mut self, burst: &mut Burst<Self::Buf>, max: usize) -> usize;

    /// Lets go of the device: until it is resumed, nothing is received and the device is not touched, so that control may
    /// stop it.
    fn pause(&mut self);

    /// Takes the device again. One that is stopped stays paused.
    fn resume(&mut self);

    /// Has the device end its worker's sleep from now on when something arrives. What arrived before ends none: look once more
    /// before sleeping. False if the device cannot: its worker is to look by itself, now and then.
    fn arm(&mut self) -> bool {
        false
    }

    /// The end of that: the worker polls.
    fn disarm(&mut self) {}
}

/// A transmit queue, owned by one worker.
pub trait TxQueue: Send + fmt::Debug {
    /// What it takes.
    type Buf: PacketBuf;

    /// Sends packets from the front of `burst`, and returns how many. What the ring refused stays in `burst`.
    fn tx_burst(&mut self, burst: &mut Burst<Self::Buf>) -> usize;

    /// Lets go of the device: until it is resumed, every packet is refused and the device is not touched.
    fn pause(&mut self);

    /// Takes the device again. One that is stopped stays paused.
    fn resume(&mut self);
}

/// One world's choice of buffers, queues and pools.
pub trait Nic: Send + fmt::Debug + 'static {
    /// Packet buffers.
    type Buf: PacketBuf;
    /// Receive queues.
    type Rx: RxQueue<Buf = Self::Buf>;
    /// Transmit queues.
    type Tx: TxQueue<Buf = Self::Buf>;
    /// Buffer pools.
    type Pool: BufPool<Buf = Self::Buf>;
}

/// What the device itself counted. Zero where it counts nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct DeviceStats {
    /// Packets received.
    pub ipackets: u64,
    /// Packets sent.
    pub opackets: u64,
    /// Bytes received.
    pub ibytes: u64,
    /// Bytes sent.
    pub obytes: u64,
    /// Packets lost because no receive descriptor was free.
    pub imissed: u64,
    /// Packets received in error.
    pub ierrors: u64,
    /// Packets that could not be sent.
    pub oerrors: u64,
    /// Receptions that found no buffer in the pool.
    pub rx_nombuf: u64,
}

/// What a port is, once opened.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PortInfo {
    /// Its name in the configuration.
    pub name: String,
    /// Its device: a PCI address, or a vdev with its arguments.
    pub device: String,
    /// Its DPDK driver, as `net_tap`.
    pub driver: String,
    /// Its Ethernet address.
    pub mac: MacAddr,
    /// The NUMA node it is attached to, where known.
    pub numa_node: Option<u32>,
    /// The largest IP packet, in bytes.
    pub mtu: u16,
    /// Receive queues in use.
    pub rx_queues: u16,
    /// Transmit queues in use.
    pub tx_queues: u16,
    /// Offloads in use, by DPDK's names in lower case, as `rx_ipv4_cksum`.
    pub offloads: Vec<String>,
    /// How it spreads flows over several receive queues; `None`: it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rss: Option<RssState>,
}

/// What control may ask of a port while workers poll its queues.
pub trait PortControl: Send {
    /// What the port is.
    fn info(&self) -> &PortInfo;

    /// What the device counted.
    fn device_stats(&self) -> DeviceStats;

    /// Whether the link is up.
    fn link_is_up(&self) -> bool;

    /// Has the device carry IP packets of `mtu` bytes, at most what it was configured with.
    ///
    /// # Errors
    /// The driver refuses, in words; nothing has changed.
    fn set_mtu(&mut self, mtu: u16) -> Result<(), String>;

    /// Whether every queue has let go of the device.
    fn is_quiet(&self) -> bool;

    /// Stops the device and starts it again as it was, but for the multicast filter, which is then to be applied: with its
    /// address, its MTU and its VLANs. With `reset`, it is reset and configured anew in between. It must be quiet.
    ///
    /// # Errors
    /// It is not quiet, or the driver refuses, in words: then it is stopped, and this may be tried again.
    fn restart(&mut self, reset: bool) -> Result<(), String>;

    /// Whether the device has asked to be reset since this was last asked: `RTE_ETH_EVENT_INTR_RESET`.
    fn take_reset_request(&mut self) -> bool;

    /// The multicast filter.
    fn mc_filter(&mut self) -> &mut dyn McFilter;

    /// The state of the multicast filter as last applied.
    fn filter_state(&self) -> &FilterState;
}
