//! Offloads: which of a device's are used, and what they are called.

use core::ffi::{CStr, c_char};

use dpdk_sys as sys;

use crate::config::plan::{Offload, OffloadSet};

/// Offloads of a port, as DPDK's bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Offloads {
    /// On reception.
    pub(super) rx: u64,
    /// On transmission.
    pub(super) tx: u64,
}

/// What a port has a use for. Not among them `MBUF_FAST_FREE` and `MULTI_SEGS`: what is sent may be of several pools and shared
/// (docs/decisions/offloads.md), and has one segment.
const USED: OffloadSet = OffloadSet::ALL.without(Offload::RxVlanStrip).without(Offload::TxVlanInsert);

/// What is not work of ours that a device may do, but its leave to see frames of VLANs. A virtio device of QEMU's, and many a
/// virtual function, keeps every tagged frame away from whoever has not asked for its VLAN.
const VLAN_FILTER: u64 = sys::SHIM_RX_OFFLOAD_VLAN_FILTER;

/// Drivers whose word on received checksums is not taken: hinic says "none" of packets in error, which elsewhere means
/// that the data are known to be right.
const RX_CHECKSUM_LIARS: [&str; 1] = ["net_hinic"];

/// Drivers whose device puts tags into frames only while it takes them off others, by one bit for both (CTRL.VME): it would send what
/// it is to tag untagged. Their drivers offer each alone.
const TAG_BOTH_WAYS: [&str; 2] = ["net_e1000_em", "net_e1000_igb"];

/// Drivers that sum what is sent themselves where the other side of the link does not trust them. They look for that at every packet, and
/// are no quicker at it than we are.
const TX_CHECKSUM_IN_SOFTWARE: [&str; 1] = ["net_vhost"];

impl Offloads {
    /// Those of `offered` by `driver` that are `allowed`; of VLANs if the port is `tagged`; and leave to spread a frame over
    /// several buffers if there is `need`. What comes so is put together on arrival; without leave, a driver refuses the MTU or
    /// drops what is long.
    pub(super) fn choose(offered: Self, allowed: OffloadSet, tagged: bool, need: bool, driver: &str) -> Self {
        let mut wanted = if tagged { OffloadSet::ALL } else { USED };
        if RX_CHECKSUM_LIARS.contains(&driver) {
            wanted = wanted.without(Offload::RxIpv4Cksum).without(Offload::RxUdpCksum);
        }
        if TX_CHECKSUM_IN_SOFTWARE.contains(&driver) {
            wanted = wanted.without(Offload::TxIpv4Cksum).without(Offload::TxUdpCksum);
        }
        if TAG_BOTH_WAYS.contains(&driver) && !allowed.contains(Offload::RxVlanStrip) {
            wanted = wanted.without(Offload::TxVlanInsert);
        }
        if !need {
            wanted = wanted.without(Offload::RxScatter);
        }
        let filter = Self { rx: if tagged { VLAN_FILTER } else { 0 }, tx: 0 };
        let all = allowed
            .iter()
            .filter(|offload| wanted.contains(*offload))
            .map(Self::of)
            .fold(filter, |all, one| Self { rx: all.rx | one.rx, tx: all.tx | one.tx });
        Self { rx: offered.rx & all.rx, tx: offered.tx & all.tx }
    }

    /// DPDK's bit.
    const fn of(offload: Offload) -> Self {
        let (rx, tx) = match offload {
            Offload::RxIpv4Cksum => (sys::SHIM_RX_OFFLOAD_IPV4_CKSUM, 0),
            Offload::RxUdpCksum => (sys::SHIM_RX_OFFLOAD_UDP_CKSUM, 0),
            Offload::RxVlanStrip => (sys::SHIM_RX_OFFLOAD_VLAN_STRIP, 0),
            Offload::RxScatter => (sys::SHIM_RX_OFFLOAD_SCATTER, 0),
            Offload::TxIpv4Cksum => (0, sys::SHIM_TX_OFFLOAD_IPV4_CKSUM),
            Offload::TxUdpCksum => (0, sys::SHIM_TX_OFFLOAD_UDP_CKSUM),
            Offload::TxVlanInsert => (0, sys::SHIM_TX_OFFLOAD_VLAN_INSERT),
        };
        Self { rx, tx }
    }

    /// The flags of received mbufs that speak of checksums which the device is not asked to look at.
    pub(super) fn unasked(self) -> u64 {
        let unless = |offload: u64, flags: u64| if self.rx & offload == 0 { flags } else { 0 };
        unless(sys::SHIM_RX_OFFLOAD_IPV4_CKSUM, sys::SHIM_RX_IP_CKSUM_GOOD | sys::SHIM_RX_IP_CKSUM_BAD)
            | unless(sys::SHIM_RX_OFFLOAD_UDP_CKSUM, sys::SHIM_RX_L4_CKSUM_GOOD | sys::SHIM_RX_L4_CKSUM_BAD)
    }

    /// Whether net_vhost, asked for these, passes packets on as they are. Not asked to pass on what it was told of sums, it makes those
    /// that are missing; and tags it takes off and puts in itself.
    pub(super) fn leave_packets_of_vhost_alone(self) -> bool {
        let sums = sys::SHIM_RX_OFFLOAD_UDP_CKSUM;
        self.tx == 0 && self.rx & (sums | sys::SHIM_RX_OFFLOAD_VLAN_STRIP) == sums
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

    const EVERYTHING: Offloads = Offloads { rx: u64::MAX, tx: u64::MAX };

    fn chosen(allowed: OffloadSet, tagged: bool, need: bool, driver: &str) -> Vec<String> {
        Offloads::choose(EVERYTHING, allowed, tagged, need, driver).names()
    }

    // Each can be switched off, alone, and none of the others changes.
    #[test]
    fn each_is_used_if_it_is_allowed_and_by_its_name() {
        for (name, offload) in Offload::NAMES {
            let only = OffloadSet::from_iter([offload]);
            let mut names = chosen(only, true, true, "net_virtio");
            names.retain(|name| name != "rx_vlan_filter");
            assert_eq!(names, [name], "alone");
            let without = chosen(OffloadSet::ALL.without(offload), true, true, "net_virtio");
            let all = chosen(OffloadSet::ALL, true, true, "net_virtio");
            assert_eq!(all.into_iter().filter(|other| other != name).collect::<Vec<_>>(), without);
        }
        assert!(chosen(OffloadSet::NONE, false, true, "net_virtio").is_empty());
    }

    // What net_vhost does to packets itself, nobody else does: it is left in between.
    #[test]
    fn net_vhost_is_passed_by_only_if_it_is_asked_for_nothing_but_sums_passed_on() {
        let alone = |allowed: OffloadSet, tagged: bool| {
            Offloads::choose(EVERYTHING, allowed, tagged, false, "net_vhost").leave_packets_of_vhost_alone()
        };
        assert!(alone(OffloadSet::ALL, false));
        assert!(alone(OffloadSet::from_iter([Offload::RxUdpCksum]), true));
        assert!(!alone(OffloadSet::ALL, true) && !alone(OffloadSet::NONE, false));
        for needed in [Offload::RxVlanStrip, Offload::TxVlanInsert] {
            assert!(!alone(OffloadSet::from_iter([Offload::RxUdpCksum, needed]), true));
        }
        assert!(!alone(OffloadSet::ALL.without(Offload::RxUdpCksum), false));
    }

    #[test]
    fn frames_are_spread_over_buffers_only_if_they_must_and_may_be() {
        let scatter = OffloadSet::from_iter([Offload::RxScatter]);
        assert_eq!(chosen(scatter, false, true, "net_virtio"), ["rx_scatter"]);
        assert!(chosen(scatter, false, false, "net_virtio").is_empty());
        let none = Offloads::choose(Offloads::default(), scatter, false, true, "net_virtio");
        assert!(none.names().is_empty());
    }

    #[test]
    fn what_is_used_is_what_is_offered_and_wanted() {
        let names = |driver| chosen(OffloadSet::ALL, false, false, driver);
        assert_eq!(names("net_hinic"), ["tx_ipv4_cksum", "tx_udp_cksum"]);
        assert_eq!(names("net_virtio"), ["rx_ipv4_cksum", "rx_udp_cksum", "tx_ipv4_cksum", "tx_udp_cksum"]);
        let nothing = Offloads::choose(Offloads::default(), OffloadSet::ALL, true, false, "net_virtio");
        assert!(nothing.names().is_empty());
    }

    // E12, Intel 82574 datasheet, VLE of a transmit descriptor and CTRL.VME: tags are put in only while they are taken off, too.
    #[test]
    fn intels_devices_tag_both_ways_or_not_at_all() {
        for driver in ["net_e1000_em", "net_e1000_igb"] {
            let insert = OffloadSet::from_iter([Offload::TxVlanInsert]);
            assert_eq!(chosen(insert, true, false, driver), ["rx_vlan_filter"]);
            let both = insert.with(Offload::RxVlanStrip);
            assert_eq!(
                chosen(both, true, false, driver),
                ["rx_vlan_strip", "rx_vlan_filter", "tx_vlan_insert"]
            );
        }
    }

    // What the driver would do in software, we do.
    #[test]
    fn what_is_sent_over_vhost_is_summed_here() {
        let names = chosen(OffloadSet::ALL, true, false, "net_vhost");
        assert!(!names.iter().any(|name| name.starts_with("tx_") && name.ends_with("_cksum")), "{names:?}");
        assert!(names.contains(&"tx_vlan_insert".to_owned()) && names.contains(&"rx_udp_cksum".to_owned()));
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
        assert_eq!(rx(sys::SHIM_RX_OFFLOAD_IPV4_CKSUM | sys::SHIM_RX_OFFLOAD_UDP_CKSUM).unasked(), 0);
    }

    #[test]
    fn tags_are_the_devices_work_only_where_there_are_vlans() {
        let names = |allowed, driver| chosen(allowed, true, false, driver);
        assert_eq!(
            names(OffloadSet::ALL.without_checksums(), "net_virtio"),
            ["rx_vlan_strip", "rx_vlan_filter", "tx_vlan_insert"]
        );
        assert_eq!(
            names(OffloadSet::ALL, "net_hinic"),
            ["rx_vlan_strip", "rx_vlan_filter", "tx_vlan_insert", "tx_ipv4_cksum", "tx_udp_cksum"]
        );
        assert_eq!(
            names(OffloadSet::NONE, "net_virtio"),
            ["rx_vlan_filter"],
            "leave to see them is no offload"
        );
        let strips = Offloads { rx: sys::SHIM_RX_OFFLOAD_VLAN_STRIP, tx: 0 };
        let chosen = Offloads::choose(strips, OffloadSet::ALL, true, false, "net_ring");
        assert_eq!((chosen.names(), chosen.filter_vlans()), (vec!["rx_vlan_strip".to_owned()], false));
        assert!(Offloads::choose(EVERYTHING, OffloadSet::ALL, true, false, "net_virtio").filter_vlans());
    }
}
