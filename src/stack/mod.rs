//! State machines of a host, sans I/O: packets and the time go in, decisions come out.
//!
//! Here: what may come in and what becomes of it ([`ingress`]), how an answer is made ([`egress`]), who is where
//! ([`neighbor`], [`hops`]), what waits for them ([`waiting`]), where packets go ([`route`]), whose an address is
//! ([`acd`]), how large a packet may be on its way ([`pmtu`]), which sockets and groups there are ([`port_table`],
//! [`groups`], [`membership`]), who hears what is for many ([`audience`]), and what routers are told ([`gmp`]) and ask
//! ([`gmp_claim`]). Not here: clocks, threads, devices, logs; nor anything that runs on a socket.
//!
//! What IPv4 and IPv6 share is written once over [`Family`](crate::addr::Family); where their packets differ, each has
//! a file of its own.
//!
//! ```
//! use pollcast::addr::{Ipv4Cidr, MacAddr, Unicast};
//! use pollcast::io::InterfaceId;
//! use pollcast::stack::interface::{Destination, Interface};
//!
//! let addr = Ipv4Cidr::new(Unicast::new("198.18.0.2".parse().unwrap()).unwrap(), 24).unwrap();
//! let interface = Interface::new(InterfaceId(0), MacAddr([2, 0, 0, 0, 0, 2]), 1500, vec![addr]);
//! assert_eq!(interface.v4.destination("198.18.0.255".parse().unwrap()), Destination::Broadcast);
//! ```

pub mod acd;
pub mod admitted;
pub mod arp;
pub mod audience;
pub mod egress;
pub mod flow_hash;
pub mod flow_label;
pub mod fragmentation;
pub mod gmp;
pub mod gmp_claim;
pub mod groups;
pub mod hops;
pub mod icmp;
pub mod icmp_limit;
pub mod ingress;
pub mod interface;
pub mod membership;
pub mod nd;
pub mod neighbor;
pub mod net_view;
mod open_table;
mod parts;
pub mod pmtu;
pub mod port_table;
pub mod reassembly;
pub mod route;
pub mod sockets;
mod source_filter;
pub mod uoa;
pub mod waiting;
