//! What DPDK knows of a port before it is opened: its number, names, limits and addresses.

use core::ffi::{CStr, c_char};
use core::mem::MaybeUninit;
use std::ffi::CString;

use dpdk_sys as sys;

use crate::addr::MacAddr;
use crate::dpdk::DpdkError;
use crate::dpdk::eal::Device;

/// The number of the port that is `device`.
pub(in crate::dpdk) fn find(device: Device<'_>) -> Option<u16> {
    let name = device.port_name();
    let c_name = CString::new(name.as_str()).ok()?;
    let mut port_id = 0;
    // SAFETY: EAL runs, as whoever names a device has seen to; the string ends in a zero.
    let ret = unsafe { sys::rte_eth_dev_get_port_by_name(c_name.as_ptr(), &raw mut port_id) };
    if ret == 0 {
        return Some(port_id);
    }
    // Drivers with several ports on one device give them names of their own.
    all().find(|port_id| device_info(*port_id).is_ok_and(|info| device_name(&info) == name))
}

/// The name of a port, by which it can be opened.
pub(in crate::dpdk) fn name(port_id: u16) -> Option<String> {
    const ROOM: usize = sys::SHIM_ETH_NAME_MAX_LEN as usize;
    let mut name: [c_char; ROOM] = [0; ROOM];
    // SAFETY: takes any number; writes at most as many bytes as there are.
    let ret = unsafe { sys::rte_eth_dev_get_name_by_port(port_id, name.as_mut_ptr()) };
    DpdkError::check(ret).ok()?;
    // SAFETY: DPDK has written a string that ends in a zero.
    Some(unsafe { CStr::from_ptr(name.as_ptr()) }.to_string_lossy().into_owned())
}

/// The numbers of all ports.
pub(in crate::dpdk) fn all() -> impl Iterator<Item = u16> {
    let next = |from: u16| {
        // SAFETY: takes any number, returns that of a port or one beyond all.
        let found = unsafe { sys::rte_eth_find_next(from) };
        (u32::from(found) < sys::SHIM_MAX_ETHPORTS).then_some(found)
    };
    core::iter::successors(next(0), move |port_id| next(port_id + 1))
}

/// What DPDK knows of a port.
pub(in crate::dpdk) fn device_info(port_id: u16) -> Result<sys::rte_eth_dev_info, DpdkError> {
    let mut info = MaybeUninit::<sys::rte_eth_dev_info>::zeroed();
    // SAFETY: takes any number; writes to `info`.
    let ret = unsafe { sys::rte_eth_dev_info_get(port_id, info.as_mut_ptr()) };
    DpdkError::check(ret)?;
    // SAFETY: a C structure of numbers and pointers, for which zeros are a value, and DPDK has filled it in.
    Ok(unsafe { info.assume_init() })
}

/// The name of a port's device on its bus.
fn device_name(info: &sys::rte_eth_dev_info) -> String {
    if info.device.is_null() {
        return String::new();
    }
    // SAFETY: the device of a port that exists.
    let name = unsafe { sys::rte_dev_name(info.device) };
    // SAFETY: a string of DPDK's, alive while the device is.
    unsafe { CStr::from_ptr(name) }.to_string_lossy().into_owned()
}

/// Drivers that take more queues than they fill: em's own words are that it has one receive queue, whatever it says.
const ONE_QUEUE: [&str; 1] = ["net_e1000_em"];

/// The receive and transmit queues that a port of `driver` can make use of, of those that it `says` it has.
pub(in crate::dpdk) fn queues(driver: &str, says: (u16, u16)) -> (u16, u16) {
    if ONE_QUEUE.contains(&driver) { (says.0.min(1), says.1.min(1)) } else { says }
}

/// The name of a port's driver, as `net_tap`.
pub(in crate::dpdk) fn driver_name(info: &sys::rte_eth_dev_info) -> String {
    if info.driver_name.is_null() {
        return String::new();
    }
    // SAFETY: a constant string of the driver's.
    unsafe { CStr::from_ptr(info.driver_name) }.to_string_lossy().into_owned()
}

/// The address that the device has.
pub(in crate::dpdk) fn mac_address(port_id: u16) -> Result<MacAddr, DpdkError> {
    let mut mac = sys::rte_ether_addr { addr_bytes: [0; 6] };
    // SAFETY: takes any number; writes to `mac`.
    let ret = unsafe { sys::rte_eth_macaddr_get(port_id, &raw mut mac) };
    DpdkError::check(ret).map(|_| MacAddr(mac.addr_bytes))
}

/// The NUMA node of a port.
pub(in crate::dpdk) fn numa_node(port_id: u16) -> Option<u32> {
    // SAFETY: takes any number; negative if it does not know.
    u32::try_from(unsafe { sys::rte_eth_dev_socket_id(port_id) }).ok()
}

/// The largest IP packet of a device that tells `max_mtu` and a longest frame. Many tell no `max_mtu`; DPDK then takes an
/// Ethernet header and its checksum from the frame, and refuses with a bare number what does not fit.
pub(in crate::dpdk) fn max_mtu(max_mtu: u16, max_frame: u32) -> u16 {
    const HEADER_AND_CHECKSUM: u32 = 14 + 4;
    let told = u32::from(max_mtu);
    let overhead =
        if max_mtu != u16::MAX && max_frame > told { max_frame - told } else { HEADER_AND_CHECKSUM };
    u16::try_from(max_frame.saturating_sub(overhead)).map_or(max_mtu, |fits| fits.min(max_mtu))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_that_is_never_filled_is_none() {
        assert_eq!(queues("net_e1000_em", (2, 2)), (1, 1));
        assert_eq!(queues("net_e1000_igb", (16, 16)), (16, 16));
    }

    #[test]
    fn the_largest_packet_follows_from_what_a_driver_tells() {
        assert_eq!(max_mtu(u16::MAX, 1518), 1500, "af_packet: a frame only");
        assert_eq!(max_mtu(1500, 1518), 1500);
        assert_eq!(max_mtu(9702, 9728), 9702, "a NIC that counts two tags, too");
        assert_eq!(max_mtu(u16::MAX, u32::MAX), u16::MAX, "no limit told");
        assert_eq!(max_mtu(9000, 1518), 1500, "the frame is the narrower limit");
    }
}
