//! pollcast on VMware's vmxnet3 behind an IOMMU, by vfio-pci.

use crate::common::*;
use crate::nic_tests;

static NIC: SharedNic = SharedNic::new(Model {
    name: "vmxnet3",
    bound_to: "vfio",
    driver: "net_vmxnet3",
    filter: Filter::AllMulticast,
    workers: 1,
    cable: Made::OfSocket,
    offloads: &["rx_udp_cksum", "tx_udp_cksum"],
    rx_interrupt: RxInterrupt::Comes,
});

nic_tests!(NIC; offloads_come_to_the_same, a_queue_that_is_never_filled_is_told_of);
