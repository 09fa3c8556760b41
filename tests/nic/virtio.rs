//! pollcast on a virtio NIC behind an IOMMU, by vfio-pci.

use crate::common::*;
use crate::nic_tests;

static NIC: SharedNic = SharedNic::new(Model {
    name: "virtio",
    bound_to: "vfio",
    driver: "net_virtio",
    filter: Filter::Table(63),
    workers: 1,
    cable: Made::OfSocket,
    offloads: &[],
    rx_interrupt: RxInterrupt::Comes,
});

nic_tests!(NIC; offloads_come_to_the_same, more_workers_than_queues_are_refused, more_workers_than_queues_have_flows_handed_over);
