//! pollcast on VMware's vmxnet3 behind an IOMMU, by vfio-pci.
#![cfg(all(feature = "dpdk", feature = "cli", feature = "sim"))]

mod common;
mod nic_checks;

use common::*;

static NIC: SharedNic = SharedNic::new(Model {
    name: "vmxnet3",
    bound_to: "vfio",
    driver: "net_vmxnet3",
    filter: Filter::AllMulticast,
    workers: 1,
    cable: Made::OfSocket,
    offloads: &["rx_udp_cksum", "tx_udp_cksum"],
});

nic_tests!(NIC; a_queue_that_is_never_filled_is_told_of);
