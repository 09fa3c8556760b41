//! pollcast and the kernel, the two ends of a tap: one program of many files, so that the library is linked once and tests run beside each other.
#![cfg(all(feature = "dpdk", feature = "cli"))]
#![allow(
    clippy::duplicate_mod,
    reason = "of socket_ops a build without the simulator has a part, beside the whole of one with it"
)]

#[path = "../common/mod.rs"]
mod common;
#[path = "../dpdk_alone/mod.rs"]
mod dpdk_alone;
#[path = "../kernel_sockets_common/mod.rs"]
mod kernel_sockets_common;
#[cfg(feature = "sim")]
#[path = "../socket_ops/mod.rs"]
mod socket_ops;
#[cfg(feature = "sim")]
#[path = "../socket_rules/mod.rs"]
mod socket_rules;

mod arp;
mod capture;
mod delivery;
mod ethernet;
mod filter;
mod fragments;
mod icmp;
mod igmp;
mod ipv4;
mod nd;
mod neighbors;
mod peer;
mod peer6;
mod policies;
mod ports;
mod ra;
mod relay;
mod router6;
mod slaac;
mod snmp;
mod snmp6;
mod sockets;
mod sockets_host;
mod sockets_paths;
mod sockets_rules;
mod truth;
mod truth6;
mod truth_sockets;
mod udp;
mod uoa;
