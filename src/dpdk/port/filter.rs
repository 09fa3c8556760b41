//! The multicast filter's calls on a real port.

use dpdk_sys as sys;

use crate::addr::MacAddr;
use crate::dpdk::DpdkError;
use crate::dpdk::eal::Listener;
use crate::io::{FilterCalls, Refusal, RefusalKind};

/// The filter calls of a port that is open as long as this lives: it is part of [`StartedPort`](crate::dpdk::StartedPort).
#[derive(Debug)]
pub(super) struct Calls {
    port_id: u16,
    list_is_hashed: bool,
}

/// Drivers of devices that look a list's addresses up by 12 bits of them, the last byte and the upper half of the one
/// before, and whose table of addresses is exact. All are of one family; not among them its virtual functions, whose
/// host refuses groups in their tables.
const HASHED_LISTS: [&str; 5] = ["net_e1000_em", "net_e1000_igb", "net_ixgbe", "net_txgbe", "net_ngbe"];

impl Calls {
    /// Of the port of this number, which has this driver.
    pub(super) fn new(port_id: u16, driver: &str) -> Self {
        Self { port_id, list_is_hashed: HASHED_LISTS.contains(&driver) }
    }
}

/// What a driver returned, as the ladder reads it.
fn answered(ret: i32) -> Result<(), Refusal> {
    DpdkError::check(ret).map(drop).map_err(refusal)
}

/// E07: iavf says -EINVAL of a full list, others do of a device that is not ready: what is not clearly one of the first two
/// is asked again.
fn refusal(error: DpdkError) -> Refusal {
    let kind = match error.errno() {
        libc::ENOTSUP | libc::ENOSYS => RefusalKind::NotSupported,
        libc::ENOSPC => RefusalKind::Full,
        _ => RefusalKind::MayPass,
    };
    Refusal { kind, words: error.to_string() }
}

impl FilterCalls for Calls {
    fn set_list(&mut self, macs: &[MacAddr]) -> Result<(), Refusal> {
        let _details = Listener::new();
        let mut macs: Vec<_> = macs.iter().map(|mac| sys::rte_ether_addr { addr_bytes: mac.0 }).collect();
        let count = u32::try_from(macs.len()).map_err(|_| refusal(DpdkError::NO_SPACE))?;
        // SAFETY: the port is ours; `count` addresses are read and copied.
        let ret = unsafe { sys::rte_eth_dev_set_mc_addr_list(self.port_id, macs.as_mut_ptr(), count) };
        answered(ret)
    }

    fn list_is_hashed(&self) -> bool {
        self.list_is_hashed
    }

    fn add_mac(&mut self, mac: MacAddr) -> Result<(), Refusal> {
        let _details = Listener::new();
        let mut mac = sys::rte_ether_addr { addr_bytes: mac.0 };
        // SAFETY: the port is ours; the address is copied.
        let ret = unsafe { sys::rte_eth_dev_mac_addr_add(self.port_id, &raw mut mac, 0) };
        answered(ret)
    }

    fn remove_mac(&mut self, mac: MacAddr) -> Result<(), Refusal> {
        let _details = Listener::new();
        let mut mac = sys::rte_ether_addr { addr_bytes: mac.0 };
        // SAFETY: the port is ours; the address is read.
        let ret = unsafe { sys::rte_eth_dev_mac_addr_remove(self.port_id, &raw mut mac) };
        answered(ret)
    }

    fn set_all_multicast(&mut self, on: bool) -> Result<(), Refusal> {
        let _details = Listener::new();
        let call = if on { sys::rte_eth_allmulticast_enable } else { sys::rte_eth_allmulticast_disable };
        // SAFETY: the port is ours.
        answered(unsafe { call(self.port_id) })
    }

    fn all_multicast(&self) -> bool {
        // SAFETY: the port is ours.
        unsafe { sys::rte_eth_allmulticast_get(self.port_id) == 1 }
    }

    fn set_promiscuous(&mut self, on: bool) -> Result<(), Refusal> {
        let _details = Listener::new();
        let call = if on { sys::rte_eth_promiscuous_enable } else { sys::rte_eth_promiscuous_disable };
        // SAFETY: the port is ours.
        answered(unsafe { call(self.port_id) })
    }

    fn promiscuous(&self) -> bool {
        // SAFETY: the port is ours.
        unsafe { sys::rte_eth_promiscuous_get(self.port_id) == 1 }
    }
}
