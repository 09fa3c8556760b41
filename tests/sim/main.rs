//! The whole host in the simulated world: one program of many files, so that the library is linked once and tests run beside each other.
#![cfg(feature = "sim")]

#[path = "../delivery_common/mod.rs"]
mod delivery_common;
#[path = "../echo_common/mod.rs"]
mod echo_common;
#[path = "../fastpath_common/mod.rs"]
mod fastpath_common;
#[path = "../ingress6_common/mod.rs"]
mod ingress6_common;
#[path = "../offload_common/mod.rs"]
mod offload_common;
#[path = "../sockets_common/mod.rs"]
mod sockets_common;

mod arp_flood;
mod delivery;
mod delivery6;
mod delivery_random;
mod echo;
mod everything;
mod fastpath;
mod fastpath6;
mod fastpath_vlan;
mod fragments;
mod fragments6;
mod groups;
mod icmp;
mod icmp6;
mod icmp6_host;
mod igmp;
mod igmp_flood;
mod igmp_scale;
mod ingress;
mod ipv6;
mod load;
mod membership;
mod mld;
mod nd;
mod neighbors;
mod offloads;
mod random;
mod restart;
mod rps;
mod rss;
mod send;
mod send_ways;
mod short_way;
mod short_way_when;
mod slaac;
mod sockets;
mod sockets_control;
mod sockets_paths;
mod sockets_send;
mod sockets_wait;
mod udp6;
mod uoa;
mod vlan;
