//! Offloads: which of a device's are used, and what they are called.

use core::ffi::{CStr, c_char};

use dpdk_sys as sys;

use crate::config::plan::Checksum;

/// Offloads of a port, as DPDK's bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Offloads {
    /// On reception.
    pub(super) rx: u64,
    /// On transmission.
    pub(super) tx: u64,
}

/// What we have a use for. Not among them `MBUF_FAST_FREE`: group copies, hand-over and control's frames break its
/// promise of one pool and one reference a queue.
const USED: Offloads = Offloads {
    rx: sys::SHIM_RX_OFFLOAD_IPV4_CKSUM | sys::SHIM_RX_OFFLOAD_UDP_CKSUM,
    tx: sys::SHIM_TX_OFFLOAD_IPV4_CKSUM | sys::SHIM_TX_OFFLOAD_UDP_CKSUM,
};

/// What a port with VLANs has a use for besides.
///
/// The filter is no luxury: a virtio device of QEMU's, and many a virtual function, keeps every tagged frame away from
/// whoever has not asked for its VLAN.
const OF_VLANS: Offloads = Offloads {
    rx: sys::SHIM_RX_OFFLOAD_VLAN_STRIP | sys::SHIM_RX_OFFLOAD_VLAN_FILTER,
    tx: sys::SHIM_TX_OFFLOAD_VLAN_INSERT,
};

/// Drivers whose word on received checksums is not taken: hinic says "none" of packets in error, which elsewhere means
/// that the data are known to be right.
const RX_CHECKSUM_LIARS: [&str; 1] = ["net_hinic"];

impl Offloads {
    /// Those of `offered` by `driver` that `wish` wants, and those of VLANs if the port is `tagged`.
    pub(super) fn choose(offered: Self, wish: Checksum, tagged: bool, driver: &str) -> Self {
        let checksums = match wish {
            Checksum::Auto => {
                Self { rx: if RX_CHECKSUM_LIARS.contains(&driver) { 0 } else { USED.rx }, tx: USED.tx }
            }
            Checksum::Software => Self::default(),
        };
        let vlans = if tagged { OF_VLANS } else { Self::default() };
        Self { rx: offered.rx & (checksums.rx | vlans.rx), tx: offered.tx & (checksums.tx | vlans.tx) }
    }

    /// With leave to spread a frame over several buffers, if that is `offered` and there is `need`. What comes so is put
    /// together on arrival; without leave, a driver refuses the MTU or drops what is long.
    pub(super) fn scattering(self, offered: Self, need: bool) -> Self {
        let scatter = if need { offered.rx & sys::SHIM_RX_OFFLOAD_SCATTER } else { 0 };
        Self { rx: self.rx | scatter, ..self }
    }

    /// The flags of received mbufs that speak of checksums which the device is not asked to look at.
    pub(super) fn unasked(self) -> u64 {
        let unless = |offload: u64, flags: u64| if self.rx & offload == 0 { flags } else { 0 };
        unless(sys::SHIM_RX_OFFLOAD_IPV4_CKSUM, sys::SHIM_RX_IP_CKSUM_GOOD | sys::SHIM_RX_IP_CKSUM_BAD)
            | unless(sys::SHIM_RX_OFFLOAD_UDP_CKSUM, sys::SHIM_RX_L4_CKSUM_GOOD | sys::SHIM_RX_L4_CKSUM_BAD)
    }

    /// Whether the device keeps VLANs away until it is told of them.
    pub(super) fn filter_vlans(self) -> bool {
        self.rx & sys::SHIM_RX_OFFLOAD_VLAN_FILTER != 0
    }

    /// By DPDK's names in lower case, as `rx_ipv4_cksum`.
    pub(super) fn names(self) -> Vec<String> {
        let name_of_rx = |bit| {
            // SAFETY: takes any bit, returns a constant string.
            unsafe { sys::rte_eth_dev_rx_offload_name(bit) }
        };
        let name_of_tx = |bit| {
            // SAFETY: takes any bit, returns a constant string.
            unsafe { sys::rte_eth_dev_tx_offload_name(bit) }
        };
        let rx = bits(self.rx).map(|bit| format!("rx_{}", lower(name_of_rx(bit))));
        let tx = bits(self.tx).map(|bit| format!("tx_{}", lower(name_of_tx(bit))));
        rx.chain(tx).collect()
    }
}

fn bits(set: u64) -> impl Iterator<Item = u64> {
    (0..u64::BITS).map(|shift| 1 << shift).filter(move |bit| set & bit != 0)
}

fn lower(name: *const c_char) -> String {
    // SAFETY: a constant string of DPDK's.
    unsafe { CStr::from_ptr(name) }.to_string_lossy().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_spread_over_buffers_only_if_they_must_and_may_be() {
        let all = Offloads { rx: u64::MAX, tx: u64::MAX };
        let names = |offered, need| Offloads::default().scattering(offered, need).names();
        assert_eq!(names(all, true), ["rx_scatter"]);
        assert!(names(all, false).is_empty() && names(Offloads::default(), true).is_empty());
    }

    #[test]
    fn what_is_used_is_what_is_offered_and_wanted() {
        let all = Offloads { rx: u64::MAX, tx: u64::MAX };
        let names = |driver| Offloads::choose(all, Checksum::Auto, false, driver).names();
        assert_eq!(names("net_hinic"), ["tx_ipv4_cksum", "tx_udp_cksum"]);
        assert_eq!(names("net_virtio"), ["rx_ipv4_cksum", "rx_udp_cksum", "tx_ipv4_cksum", "tx_udp_cksum"]);
        assert!(Offloads::choose(all, Checksum::Software, false, "net_virtio").names().is_empty());
        assert!(Offloads::choose(Offloads::default(), Checksum::Auto, true, "net_virtio").names().is_empty());
    }

    // C01, U04: a verdict that nobody asked for is none.
    #[test]
    fn what_was_not_asked_for_is_not_believed() {
        let ip = sys::SHIM_RX_IP_CKSUM_GOOD | sys::SHIM_RX_IP_CKSUM_BAD;
        let udp = sys::SHIM_RX_L4_CKSUM_GOOD | sys::SHIM_RX_L4_CKSUM_BAD;
        let rx = |rx| Offloads { rx, tx: 0 };
        assert_eq!(Offloads::default().unasked(), ip | udp);
        assert_eq!(rx(sys::SHIM_RX_OFFLOAD_UDP_CKSUM).unasked(), ip, "vmxnet3");
        assert_eq!(rx(sys::SHIM_RX_OFFLOAD_IPV4_CKSUM).unasked(), udp);
        assert_eq!(rx(USED.rx).unasked(), 0);
    }

    #[test]
    fn tags_are_the_devices_work_only_where_there_are_vlans() {
        let all = Offloads { rx: u64::MAX, tx: u64::MAX };
        let names = |wish, driver| Offloads::choose(all, wish, true, driver).names();
        assert_eq!(
            names(Checksum::Software, "net_virtio"),
            ["rx_vlan_strip", "rx_vlan_filter", "tx_vlan_insert"]
        );
        assert_eq!(
            names(Checksum::Auto, "net_hinic"),
            ["rx_vlan_strip", "rx_vlan_filter", "tx_vlan_insert", "tx_ipv4_cksum", "tx_udp_cksum"]
        );
        let strips = Offloads { rx: sys::SHIM_RX_OFFLOAD_VLAN_STRIP, tx: 0 };
        let chosen = Offloads::choose(strips, Checksum::Auto, true, "net_ring");
        assert_eq!((chosen.names(), chosen.filter_vlans()), (vec!["rx_vlan_strip".to_owned()], false));
        assert!(Offloads::choose(all, Checksum::Auto, true, "net_virtio").filter_vlans());
    }
}
