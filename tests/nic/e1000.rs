//! pollcast on an Intel 82540EM (e1000), by uio_pci_generic: as on a machine without an IOMMU.

use crate::common::*;
use crate::nic_tests;

static NIC: SharedNic = SharedNic::new(Model {
    name: "e1000",
    bound_to: "uio",
    driver: "net_e1000_em",
    filter: Filter::ListAndTable(14),
    workers: 1,
    cable: Made::OfSocket,
    offloads: &["rx_ipv4_cksum", "rx_udp_cksum", "tx_ipv4_cksum", "tx_udp_cksum"],
    // By INTx.
    rx_interrupt: RxInterrupt::MayFail,
});

nic_tests!(NIC; more_workers_than_queues_are_refused, more_workers_than_queues_have_flows_handed_over);
