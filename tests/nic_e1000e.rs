//! pollcast on an Intel 82574L (e1000e) behind an IOMMU, by vfio-pci.
#![cfg(all(feature = "dpdk", feature = "cli", feature = "sim"))]

mod common;
mod nic_checks;

use common::*;

static NIC: SharedNic = SharedNic::new(Model {
    name: "e1000e",
    bound_to: "vfio",
    driver: "net_e1000_em",
    filter: Filter::ListAndTable(14),
    workers: 1,
    cable: Made::OfSocket,
    offloads: &["rx_ipv4_cksum", "rx_udp_cksum", "tx_ipv4_cksum", "tx_udp_cksum"],
});

nic_tests!(NIC; more_workers_than_queues_are_refused, the_file_for_a_nic_runs_as_it_is);
