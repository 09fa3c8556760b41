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
//! One file a header. What IPv6 needs stands beside what IPv4 has, under the same names: the sums of [`checksum`] take
//! any pseudo-header, `udp` takes the pseudo-header as an argument.
//!
//! ```
//! use pollcast::wire::checksum::{self, Sum};
//!
//! // RFC 1071 3: the example's bytes, and the checksum that makes them whole.
//! let data = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
//! assert_eq!(Sum::of(&data).finish(), 0x220d);
//! assert!(checksum::verify(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7, 0x22, 0x0d]));
//! ```

pub mod checksum;
