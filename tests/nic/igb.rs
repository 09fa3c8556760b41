//! pollcast on an Intel 82576 (igb) behind an IOMMU, by vfio-pci. Needs QEMU 8.

use crate::common::*;
use crate::nic_tests;

static NIC: SharedNic = SharedNic::new(Model {
    name: "igb",
    bound_to: "vfio",
    driver: "net_e1000_igb",
    filter: Filter::ListAndTable(23),
    workers: 2,
    cable: Made::OfSocket,
    offloads: &["rx_ipv4_cksum", "rx_udp_cksum", "tx_ipv4_cksum", "tx_udp_cksum"],
    rx_interrupt: RxInterrupt::Comes,
});

nic_tests!(NIC; offloads_come_to_the_same, flows_are_spread_over_the_queues);
