//! pollcast on the virtual devices of DPDK.
#![cfg(all(feature = "dpdk", feature = "cli"))]

#[path = "../common/mod.rs"]
mod common;
#[path = "../offload_common/mod.rs"]
mod offload_common;

mod af_packet;
mod offloads;
mod pcap;
mod vhost;
mod vlan_offload;
mod vlans;
mod workers;
