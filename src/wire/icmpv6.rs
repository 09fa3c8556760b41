//! ICMPv6 (RFC 4443): a view of a received message, the answer to an echo, and errors that quote.
//!
//! Neighbour discovery and MLD are ICMPv6 messages too; what is in those is not looked at here.

mod carried;
mod quote;

use core::net::Ipv6Addr;
use core::ops::Deref;

pub use carried::{Carried, HEADERS_MAX};

use super::checksum::{self, Sum};
use super::icmp::Icmp;
pub use super::icmp::{HEADER_LEN, IcmpError};
use super::ipv6::{self, NEXT_HEADER_ICMPV6};

/// Type: destination unreachable.
pub const TYPE_UNREACHABLE: u8 = 1;
/// Type: packet too big; the last four bytes are the MTU of the next hop.
pub const TYPE_TOO_BIG: u8 = 2;
/// Type: time exceeded.
pub const TYPE_TIME_EXCEEDED: u8 = 3;
/// Type: parameter problem; the last four bytes point at it.
pub const TYPE_PARAMETER_PROBLEM: u8 = 4;
/// Type: echo request.
pub const TYPE_ECHO_REQUEST: u8 = 128;
/// Type: echo reply.
pub const TYPE_ECHO_REPLY: u8 = 129;
/// Type: multicast listener query (RFC 2710, RFC 9777).
pub const TYPE_MLD_QUERY: u8 = 130;
/// Type: multicast listener report, version 1 (RFC 2710).
pub const TYPE_MLD_V1_REPORT: u8 = 131;
/// Type: multicast listener done (RFC 2710).
pub const TYPE_MLD_DONE: u8 = 132;
/// Type: router solicitation (RFC 4861 4.1).
pub const TYPE_ROUTER_SOLICITATION: u8 = 133;
/// Type: router advertisement (RFC 4861 4.2).
pub const TYPE_ROUTER_ADVERTISEMENT: u8 = 134;
/// Type: neighbour solicitation (RFC 4861 4.3).
pub const TYPE_NEIGHBOR_SOLICITATION: u8 = 135;
/// Type: neighbour advertisement (RFC 4861 4.4).
pub const TYPE_NEIGHBOR_ADVERTISEMENT: u8 = 136;
/// Type: redirect (RFC 4861 4.5).
pub const TYPE_REDIRECT: u8 = 137;
/// Type: multicast listener report, version 2 (RFC 9777).
pub const TYPE_MLD_V2_REPORT: u8 = 143;

/// Code of destination unreachable: no route.
pub const CODE_NO_ROUTE: u8 = 0;
/// Code of destination unreachable: forbidden by a rule.
pub const CODE_PROHIBITED: u8 = 1;
/// Code of destination unreachable: beyond the scope of the source address.
pub const CODE_BEYOND_SCOPE: u8 = 2;
/// Code of destination unreachable: the address.
pub const CODE_ADDRESS_UNREACHABLE: u8 = 3;
/// Code of destination unreachable: the port. K02, RFC 4443 3.1: 4, where IPv4 has 3.
pub const CODE_PORT_UNREACHABLE: u8 = 4;
/// Code of destination unreachable: the source address is refused.
pub const CODE_SOURCE_POLICY: u8 = 5;
/// Code of destination unreachable: the route says so.
pub const CODE_REJECT_ROUTE: u8 = 6;
/// Code of time exceeded: fragments were missing.
pub const CODE_REASSEMBLY_TIME: u8 = 1;
/// Code of parameter problem: the field cannot be.
pub const CODE_HEADER_FIELD: u8 = 0;
/// Code of parameter problem: the next header is unknown.
pub const CODE_NEXT_HEADER: u8 = 1;
/// Code of parameter problem: the option is unknown.
pub const CODE_OPTION: u8 = 2;
/// Code of parameter problem: the first fragment has not all headers (RFC 7112 5).
pub const CODE_FIRST_FRAGMENT: u8 = 3;

/// The most bytes of an error, its IPv6 header included. K02, RFC 4443 2.4(c): what every link carries.
pub const ERROR_PACKET_MAX: usize = ipv6::MTU_MIN as usize;

/// The most bytes that an error quotes.
pub const QUOTE_MAX: usize = ERROR_PACKET_MAX - ipv6::HEADER_LEN - HEADER_LEN;

/// Whether a message of this type is an error, known or not: nothing may answer it with one (K03, RFC 4443 2.4(e.1)).
// K06, RFC 4443 2.1: the types below 128 are errors.
#[inline]
#[must_use]
pub const fn is_error(icmp_type: u8) -> bool {
    icmp_type < 128
}

/// An ICMPv6 message.
#[derive(Clone, Copy, Debug)]
pub struct Icmpv6<'a>(Icmp<'a>);

impl<'a> Deref for Icmpv6<'a> {
    type Target = Icmp<'a>;

    #[inline]
    fn deref(&self) -> &Icmp<'a> {
        &self.0
    }
}

impl<'a> Icmpv6<'a> {
    /// The message that `l4`, what an IPv6 packet carries, is.
    ///
    /// # Errors
    /// [`IcmpError::Truncated`]; the checksum is not looked at.
    // K01: every message that there is has at least these eight bytes.
    #[inline]
    pub fn parse(l4: &'a [u8]) -> Result<Self, IcmpError> {
        Icmp::split(l4).map(Self)
    }

    /// Verifies the checksum, over the pseudo-header and the whole message.
    ///
    /// # Errors
    /// [`IcmpError::Checksum`].
    // K01, RFC 4443 2.3: with the pseudo-header of IPv6, whose next header is 58, whatever extension headers there are. It is
    // not optional: 0 is a sum like any other.
    #[inline]
    pub fn verify(&self, src: Ipv6Addr, dst: Ipv6Addr) -> Result<(), IcmpError> {
        let sum = pseudo(src, dst, HEADER_LEN + self.data().len());
        let sum = sum.add_bytes(self.header()).add_bytes(self.data());
        if sum.is_whole() { Ok(()) } else { Err(IcmpError::Checksum) }
    }
}

/// The sum of the pseudo-header of a message of `len` bytes.
// No message is longer than the payload length of IPv6 can say.
fn pseudo(src: Ipv6Addr, dst: Ipv6Addr, len: usize) -> Sum {
    Sum::pseudo_v6(src, dst, NEXT_HEADER_ICMPV6, u16::try_from(len).unwrap_or(u16::MAX))
}

/// Makes an echo request to `asked`, whose checksum is right, its own reply from `own`, in place. False, and nothing
/// changed: it is none.
// K05, RFC 4443 4.2: identifier, sequence and data stay as they are; the code too, as for IPv4 (C09). Addresses that change
// places sum to the same; one that takes the place of a group's does not.
#[must_use]
pub fn make_echo_reply(message: &mut [u8], asked: Ipv6Addr, own: Ipv6Addr) -> bool {
    let Some(header) = message.first_chunk_mut::<HEADER_LEN>() else { return false };
    if header[0] != TYPE_ECHO_REQUEST {
        return false;
    }
    let old = u16::from_be_bytes([TYPE_ECHO_REQUEST, header[1]]);
    let new = u16::from_be_bytes([TYPE_ECHO_REPLY, header[1]]);
    let mut sum = checksum::update(u16::from_be_bytes([header[2], header[3]]), old, new);
    if asked != own {
        for (old, new) in asked.segments().into_iter().zip(own.segments()) {
            sum = checksum::update(sum, old, new);
        }
    }
    header[0] = TYPE_ECHO_REPLY;
    header[2..4].copy_from_slice(&sum.to_be_bytes());
    true
}

/// Writes a message from `src` to `dst` with its checksum to the front of `out` and returns its length in bytes. `None`: `out`
/// is too short.
///
/// The first argument is type, code, and the last four bytes of the header.
#[must_use]
pub fn emit(
    words: (u8, u8, u32),
    (src, dst): (Ipv6Addr, Ipv6Addr),
    data: &[u8],
    out: &mut [u8],
) -> Option<usize> {
    let len = HEADER_LEN + data.len();
    let (header, tail) = out.get_mut(..len)?.split_first_chunk_mut::<HEADER_LEN>()?;
    tail.copy_from_slice(data);
    write_header(words, pseudo(src, dst, len).add_bytes(data), header);
    Some(len)
}

/// Writes an error from `src` to `dst` about the packet that is these two pieces to the front of `out` and returns its
/// length in bytes: at most 1240, behind a header of 40, and no more than `out` has. `None`: `out` is too short for anything.
// K02, RFC 4443 2.4(c): as much of the packet as fits in 1280 bytes.
#[must_use]
pub fn emit_error(
    words: (u8, u8, u32),
    (src, dst): (Ipv6Addr, Ipv6Addr),
    [front, rest]: [&[u8]; 2],
    out: &mut [u8],
) -> Option<usize> {
    let room = out.len().checked_sub(HEADER_LEN)?.min(QUOTE_MAX);
    let front = front.get(..room).unwrap_or(front);
    let rest = rest.get(..room - front.len()).unwrap_or(rest);
    let len = HEADER_LEN + front.len() + rest.len();
    let (header, quote) = out.get_mut(..len)?.split_first_chunk_mut::<HEADER_LEN>()?;
    let (of_front, of_rest) = quote.split_at_mut_checked(front.len())?;
    of_front.copy_from_slice(front);
    of_rest.copy_from_slice(rest);
    write_header(words, pseudo(src, dst, len).add_bytes(quote), header);
    Some(len)
}

/// Writes the header of a message, the rest of which has this sum, its pseudo-header's among it.
fn write_header((icmp_type, code, rest): (u8, u8, u32), sum: Sum, header: &mut [u8; HEADER_LEN]) {
    let sum = sum.add_u16(u16::from_be_bytes([icmp_type, code])).add_u32(rest);
    let [c0, c1] = sum.finish().to_be_bytes();
    let [r0, r1, r2, r3] = rest.to_be_bytes();
    *header = [icmp_type, code, c0, c1, r0, r1, r2, r3];
}

#[cfg(test)]
mod tests;
