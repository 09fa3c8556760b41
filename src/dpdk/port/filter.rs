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
    /// The longest list that does not lose its end.
    list_capacity: Option<u32>,
}

/// Drivers of devices that look a list's addresses up by 12 bits of them, the last byte and the upper half of the one
/// before, and whose table of addresses is exact. All are of one family; not among them its virtual functions, whose
/// host refuses groups in their tables.
const HASHED_LISTS: [&str; 5] = ["net_e1000_em", "net_e1000_igb", "net_ixgbe", "net_txgbe", "net_ngbe"];

/// Drivers of virtual functions that send their host the first 30 addresses of a list, as many as a message holds, and
/// say that all went well.
const LISTS_OF_30: [&str; 4] = ["net_e1000_igb_vf", "net_ixgbe_vf", "net_txgbe_vf", "net_ngbe_vf"];

impl Calls {
    /// Of the port of this number, which has this driver.
    pub(super) fn new(port_id: u16, driver: &str) -> Self {
        let list_capacity = LISTS_OF_30.contains(&driver).then_some(30);
        Self { port_id, list_is_hashed: HASHED_LISTS.contains(&driver), list_capacity }
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
        // E07: what the driver would pass over in silence is refused here.
        if let Some(most) = self.list_capacity.filter(|most| count > *most) {
            let words = format!("the driver tells its host {most} addresses at most, and {count} are wanted");
            return Err(Refusal { kind: RefusalKind::Full, words });
        }
        // SAFETY: the port is ours; `count` addresses are read and copied.
        let ret = unsafe { sys::rte_eth_dev_set_mc_addr_list(self.port_id, macs.as_mut_ptr(), count) };
        answered(ret)
    }

    fn list_capacity(&self) -> Option<u32> {
        self.list_capacity
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_drivers_keep_to_themselves_is_known() {
        let of = |driver| {
            let calls = Calls::new(0, driver);
            (calls.list_is_hashed(), calls.list_capacity())
        };
        assert_eq!(of("net_ixgbe"), (true, None));
        assert_eq!(of("net_ixgbe_vf"), (false, Some(30)));
        assert_eq!(of("net_mlx5"), (false, None));
    }

    // E07: before any call to the device.
    #[test]
    fn a_list_whose_end_would_be_lost_is_refused() {
        let refusal = Calls::new(u16::MAX, "net_ixgbe_vf").set_list(&[MacAddr([1, 0, 0x5e, 0, 0, 1]); 31]);
        let Err(Refusal { kind, words }) = refusal else { panic!("taken") };
        assert_eq!(kind, RefusalKind::Full);
        assert!(words.contains("30 addresses at most, and 31 are wanted"), "{words}");
    }
}
