//! pollcast on an Intel 82574L (e1000e) behind an IOMMU, by vfio-pci.
#![cfg(all(feature = "dpdk", feature = "cli"))]

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

nic_tests!(
    NIC;
    one_host_is_asked_and_answers,
    groups_are_asked_and_answer,
    fragments_are_put_together_and_sent,
    what_was_not_joined_is_kept_away,
    groups_of_one_ethernet_address_are_told_apart,
    groups_are_joined_and_left_while_it_runs,
    more_groups_than_the_table_holds_are_received,
    the_filter_survives_a_restart_of_the_port,
    the_filter_survives_a_cable_that_was_unplugged,
    checksums_are_verified_and_right,
    more_workers_than_queues_are_refused,
    the_file_for_a_nic_runs_as_it_is,
);
