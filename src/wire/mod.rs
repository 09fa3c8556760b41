//! Bytes to fields and back: what each header looks like, and nothing about what to do with it.
//!
//! A header is parsed once, with every length checked, into a small struct or a view whose accessors cannot fail; and
//! it is emitted from a plain struct into the front of a slice, checksum and all. What a parser returns borrows from
//! the frame; nothing is copied, held, allocated or logged, no input panics, and there is no `unsafe`.
//!
//! Not here: whether a packet is for us, what is answered, what is counted. That is `stack`'s. A parser says *how* a
//! header is wrong and its caller names the drop reason. Checksums are verified apart from parsing, so that a device's
//! verdict can take the place of the sum.
//!
//! What emits a header writes it to the front of `out` and returns what follows, so that emitters chain; `None` means
//! that `out` is too short (or a length is too long for its field), and then nothing was written. What emits a whole ICMP
//! message returns its length instead.
//!
//! One file a header. What IPv6 needs stands beside what IPv4 has, under the same names: the sums of [`checksum`] take
//! any pseudo-header, `udp` takes the pseudo-header as an argument.
//!
//! ```
//! use core::net::Ipv4Addr;
//! use pollcast::wire::{ipv4, ipv4::Ipv4, udp, udp::Udp};
//!
//! let (src, dst) = (Ipv4Addr::new(198, 18, 0, 1), Ipv4Addr::new(198, 18, 0, 2));
//! let header = udp::Repr::new(4000, 7, 5).unwrap();
//! let ip = ipv4::Repr {
//!     tos: 0, id: 1, dont_fragment: true, ttl: ipv4::TTL_UNICAST, protocol: ipv4::PROTOCOL_UDP,
//!     src, dst, payload_len: header.length(), router_alert: false,
//! };
//! let mut packet = [0; 33];
//! let l4 = ip.emit(&mut packet).unwrap();
//! header.emit(header.checksum_v4(src, dst, b"hello"), l4).unwrap().copy_from_slice(b"hello");
//!
//! let ip = Ipv4::parse(&packet).unwrap();
//! let udp = Udp::parse(ip.payload()).unwrap();
//! assert!(ip.verify().is_ok() && udp.verify_v4(ip.src(), ip.dst()).is_ok());
//! assert_eq!((udp.dst_port(), udp.payload()), (7, &b"hello"[..]));
//! ```

pub mod arp;
pub mod checksum;
pub mod ethernet;
pub mod gmp;
pub mod icmp;
pub mod icmpv4;
pub mod icmpv6;
pub mod igmp;
pub mod ipv4;
pub mod ipv6;
pub mod mld;
pub mod ndisc;
pub mod quote;
pub mod udp;
pub mod uoa;
pub mod vlan;
