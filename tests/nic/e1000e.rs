//! pollcast on an Intel 82574L (e1000e) behind an IOMMU, by vfio-pci.

use crate::common::*;
use crate::nic_tests;

static NIC: SharedNic = SharedNic::new(Model {
    name: "e1000e",
    bound_to: "vfio",
    driver: "net_e1000_em",
    filter: Filter::ListAndTable(14),
    workers: 1,
    cable: Made::OfSocket,
    offloads: &["rx_ipv4_cksum", "rx_udp_cksum", "tx_ipv4_cksum", "tx_udp_cksum"],
    // DPDK's driver connects it where there is one vector for everything, and not by MSI-X.
    rx_interrupt: RxInterrupt::Fails,
});

nic_tests!(NIC; offloads_come_to_the_same, more_workers_than_queues_are_refused, more_workers_than_queues_have_flows_handed_over, the_file_for_a_nic_runs_as_it_is, with_msi_an_idle_worker_sleeps_until_its_interrupt);
