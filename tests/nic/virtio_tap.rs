//! pollcast on a virtio NIC with two queues, behind an IOMMU, by vfio-pci; the host's end is a tap of the kernel's, and each
//! leaves checksums to the other.

use crate::common::*;
use crate::nic_tests;

static NIC: SharedNic = SharedNic::new(Model {
    name: "virtio",
    bound_to: "vfio",
    driver: "net_virtio",
    filter: Filter::Table(63),
    workers: 2,
    cable: Made::OfTap(2),
    offloads: &["rx_udp_cksum", "tx_udp_cksum"],
    rx_interrupt: RxInterrupt::Comes,
});

nic_tests!(NIC; offloads_come_to_the_same, flows_are_spread_over_the_queues, checksums_are_left_to_the_kernel_and_by_it);
