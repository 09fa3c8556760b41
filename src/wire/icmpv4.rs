//! ICMP for IPv4 (RFC 792): a view of a received message, the answers to an echo and to a question for the time, and errors
//! that quote.

mod quote;

use core::ops::Deref;

use super::checksum::{self, Sum};
use super::icmp::Icmp;
pub use super::icmp::{HEADER_LEN, IcmpError};
use super::ipv4;

/// Type: echo reply.
pub const TYPE_ECHO_REPLY: u8 = 0;
/// Type: destination unreachable.
pub const TYPE_UNREACHABLE: u8 = 3;
/// Type: source quench. C11, RFC 6633 3: ignored, never sent.
pub const TYPE_SOURCE_QUENCH: u8 = 4;
/// Type: redirect.
pub const TYPE_REDIRECT: u8 = 5;
/// Type: echo request.
pub const TYPE_ECHO_REQUEST: u8 = 8;
/// Type: time exceeded.
pub const TYPE_TIME_EXCEEDED: u8 = 11;
/// Type: parameter problem; the first of the last four bytes points at it.
pub const TYPE_PARAMETER_PROBLEM: u8 = 12;
/// Type: time stamp request.
pub const TYPE_TIMESTAMP: u8 = 13;
/// Type: time stamp reply.
pub const TYPE_TIMESTAMP_REPLY: u8 = 14;

/// Code of destination unreachable: the host.
pub const CODE_HOST_UNREACHABLE: u8 = 1;
/// Code of destination unreachable: the protocol.
pub const CODE_PROTOCOL_UNREACHABLE: u8 = 2;
/// Code of destination unreachable: the port.
pub const CODE_PORT_UNREACHABLE: u8 = 3;
/// Code of destination unreachable: too long, and must not be fragmented.
pub const CODE_FRAGMENTATION_NEEDED: u8 = 4;
/// Code of time exceeded: fragments were missing.
pub const CODE_REASSEMBLY_TIME: u8 = 1;

/// Bytes of a time stamp request or reply: the header and three times.
pub const TIMESTAMP_LEN: usize = HEADER_LEN + 12;

/// The most bytes of an error, its IPv4 header included. C02, RFC 1812 4.3.2.3.
pub const ERROR_PACKET_MAX: usize = 576;

/// The most bytes that an error quotes.
pub const QUOTE_MAX: usize = ERROR_PACKET_MAX - ipv4::HEADER_LEN - HEADER_LEN;

/// Whether a message of this type is about another packet: nothing may answer it with an error (C03, RFC 1122 3.2.2).
#[inline]
#[must_use]
pub const fn is_error(icmp_type: u8) -> bool {
    matches!(
        icmp_type,
        TYPE_UNREACHABLE | TYPE_SOURCE_QUENCH | TYPE_REDIRECT | TYPE_TIME_EXCEEDED | TYPE_PARAMETER_PROBLEM
    )
}

/// An ICMP message.
#[derive(Clone, Copy, Debug)]
pub struct Icmpv4<'a>(Icmp<'a>);

impl<'a> Deref for Icmpv4<'a> {
    type Target = Icmp<'a>;

    #[inline]
    fn deref(&self) -> &Icmp<'a> {
        &self.0
    }
}

impl<'a> Icmpv4<'a> {
    /// The message that `l4`, the payload of an IPv4 packet, is.
    ///
    /// # Errors
    /// [`IcmpError::Truncated`]; the checksum is not looked at.
    // C07, RFC 792: every message has at least these eight bytes.
    #[inline]
    pub fn parse(l4: &'a [u8]) -> Result<Self, IcmpError> {
        Icmp::split(l4).map(Self)
    }

    /// Verifies the checksum, over the whole message.
    ///
    /// # Errors
    /// [`IcmpError::Checksum`].
    // C07, RFC 792.
    #[inline]
    pub fn verify(&self) -> Result<(), IcmpError> {
        let sum = Sum::of(self.header()).add_bytes(self.data());
        if sum.is_whole() { Ok(()) } else { Err(IcmpError::Checksum) }
    }

    /// The identifier of an echo.
    #[inline]
    #[must_use]
    pub fn echo_id(&self) -> u16 {
        u16::from_be_bytes([self.header()[4], self.header()[5]])
    }

    /// The sequence number of an echo.
    #[inline]
    #[must_use]
    pub fn echo_sequence(&self) -> u16 {
        u16::from_be_bytes([self.header()[6], self.header()[7]])
    }

    /// The MTU of the next hop, in bytes, that a "fragmentation needed" tells; 0 if its router knows no RFC 1191.
    // C16, RFC 1191 4: the second half of the last four bytes.
    #[inline]
    #[must_use]
    pub fn next_hop_mtu(&self) -> u16 {
        u16::from_be_bytes([self.header()[6], self.header()[7]])
    }

    /// The byte of the quoted packet that a parameter problem points at.
    #[inline]
    #[must_use]
    pub fn pointer(&self) -> u8 {
        self.header()[4]
    }
}

/// Makes an echo request, whose checksum is right, its own reply, in place. False, and nothing changed: it is none.
// C06, RFC 1122 3.2.2.6: identifier, sequence and data stay as they are, and so does the checksum's rightness.
// C09: the code stays too, whatever it is.
#[must_use]
pub fn make_echo_reply(message: &mut [u8]) -> bool {
    let Some(header) = message.first_chunk_mut::<HEADER_LEN>() else { return false };
    if header[0] != TYPE_ECHO_REQUEST {
        return false;
    }
    let old = u16::from_be_bytes([TYPE_ECHO_REQUEST, header[1]]);
    let new = u16::from_be_bytes([TYPE_ECHO_REPLY, header[1]]);
    let updated = checksum::update(u16::from_be_bytes([header[2], header[3]]), old, new);
    header[0] = TYPE_ECHO_REPLY;
    header[2..4].copy_from_slice(&updated.to_be_bytes());
    // C06: of a reply that is zeros throughout, 0 is the wrong checksum. Only summing tells.
    if updated == 0 {
        let anew = Sum::of(message).finish();
        if let Some(header) = message.first_chunk_mut::<HEADER_LEN>() {
            header[2..4].copy_from_slice(&anew.to_be_bytes());
        }
    }
    true
}

/// Makes a time stamp request its own reply, in place, and returns the reply's length. `None`, and nothing changed: it is
/// none, or cut short. `time`: milliseconds since midnight UT, of both arrival and departure.
// C10, RFC 1122 3.2.2.8, RFC 792: identifier, sequence and the asker's own time stay; 20 bytes, whatever followed them.
#[must_use]
pub fn make_timestamp_reply(message: &mut [u8], time: u32) -> Option<usize> {
    let message = message.first_chunk_mut::<TIMESTAMP_LEN>()?;
    if message[0] != TYPE_TIMESTAMP {
        return None;
    }
    message[..4].copy_from_slice(&[TYPE_TIMESTAMP_REPLY, 0, 0, 0]);
    message[12..16].copy_from_slice(&time.to_be_bytes());
    message[16..].copy_from_slice(&time.to_be_bytes());
    let checksum = Sum::of(message).finish();
    message[2..4].copy_from_slice(&checksum.to_be_bytes());
    Some(TIMESTAMP_LEN)
}

/// Writes a message with its checksum to the front of `out` and returns its length in bytes. `None`: `out` is too short.
///
/// `rest` is the last four bytes of the header: identifier and sequence, pointer, next-hop MTU.
#[must_use]
pub fn emit(icmp_type: u8, code: u8, rest: u32, data: &[u8], out: &mut [u8]) -> Option<usize> {
    let len = HEADER_LEN + data.len();
    let (header, tail) = out.get_mut(..len)?.split_first_chunk_mut::<HEADER_LEN>()?;
    let sum = Sum::ZERO.add_u16(u16::from_be_bytes([icmp_type, code])).add_u32(rest).add_bytes(data);
    let [c0, c1] = sum.finish().to_be_bytes();
    let [r0, r1, r2, r3] = rest.to_be_bytes();
    *header = [icmp_type, code, c0, c1, r0, r1, r2, r3];
    tail.copy_from_slice(data);
    Some(len)
}

/// Writes an error about the packet with this `header` and `payload` to the front of `out` and returns its length in bytes:
/// at most 556, behind a header of 20, and no more than `out` has. `None`: `out` is too short for anything.
// C02, RFC 1812 4.3.2.3: as much of the packet as fits in 576 bytes.
#[must_use]
pub fn emit_error(
    (icmp_type, code, rest): (u8, u8, u32),
    header: &[u8],
    payload: &[u8],
    out: &mut [u8],
) -> Option<usize> {
    let room = out.len().checked_sub(HEADER_LEN)?.min(QUOTE_MAX);
    let header = header.get(..room).unwrap_or(header);
    let payload = payload.get(..room - header.len()).unwrap_or(payload);
    let len = HEADER_LEN + header.len() + payload.len();
    let (front, quote) = out.get_mut(..len)?.split_first_chunk_mut::<HEADER_LEN>()?;
    let (of_header, of_payload) = quote.split_at_mut_checked(header.len())?;
    of_header.copy_from_slice(header);
    of_payload.copy_from_slice(payload);
    let sum = Sum::ZERO.add_u16(u16::from_be_bytes([icmp_type, code])).add_u32(rest).add_bytes(quote);
    let [c0, c1] = sum.finish().to_be_bytes();
    let [r0, r1, r2, r3] = rest.to_be_bytes();
    *front = [icmp_type, code, c0, c1, r0, r1, r2, r3];
    Some(len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn echo_request(rest: u32, data: &[u8]) -> Vec<u8> {
        let mut out = vec![0xee; 8 + data.len()];
        assert_eq!(emit(TYPE_ECHO_REQUEST, 0, rest, data, &mut out), Some(8 + data.len()));
        out
    }

    // RFC 792: type, code, checksum, identifier, sequence, data. 0800 + 1234 + 0001 + 6869 = 829e.
    #[test]
    fn an_echo_is_laid_out_as_rfc_792_says() {
        let message = echo_request(0x1234_0001, b"hi");
        assert_eq!(message, [8, 0, 0x7d, 0x61, 0x12, 0x34, 0, 1, b'h', b'i']);
        let icmp = Icmpv4::parse(&message).unwrap();
        assert_eq!(
            (icmp.icmp_type(), icmp.code(), icmp.checksum(), icmp.rest()),
            (8, 0, 0x7d61, 0x1234_0001)
        );
        assert_eq!((icmp.echo_id(), icmp.echo_sequence(), icmp.data()), (0x1234, 1, &b"hi"[..]));
        assert_eq!(icmp.verify(), Ok(()));
    }

    // C07, RFC 792: the checksum covers the whole message.
    #[test]
    fn one_wrong_bit_anywhere_is_seen() {
        let good = echo_request(0x1234_0001, b"hello");
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Icmpv4::parse(&bad).unwrap().verify(), Err(IcmpError::Checksum), "bit {bit}");
        }
    }

    // C07, E17: less than eight bytes are none.
    #[test]
    fn a_message_cut_within_its_header_is_refused() {
        let message = echo_request(1, &[0x5a; 52]);
        for len in 0..60 {
            assert_eq!(Icmpv4::parse(&message[..len]).is_ok(), len >= 8, "{len} bytes");
            let mut out = [0xee; 60];
            assert_eq!(emit(8, 0, 1, &[0x5a; 52], &mut out[..len]), None);
            assert_eq!(out, [0xee; 60]);
        }
        assert_eq!(Icmpv4::parse(&message[..7]).unwrap_err(), IcmpError::Truncated);
    }

    // C06, RFC 1122 3.2.2.6.
    #[test]
    fn an_echo_reply_differs_in_type_and_checksum_only() {
        let mut message = echo_request(0x1234_0001, b"hello");
        let request = message.clone();
        assert!(make_echo_reply(&mut message));
        assert_eq!((message[0], message[1], &message[4..]), (0, 0, &request[4..]));
        assert_eq!(Icmpv4::parse(&message).unwrap().verify(), Ok(()));
    }

    // C06, RFC 1624 4: of an echo with nothing in it, the reply is zeros, and the checksum of zeros is 0xffff.
    #[test]
    fn the_reply_to_an_empty_echo_has_a_checksum_of_all_ones() {
        for len in [0, 1, 56] {
            let mut message = echo_request(0, &vec![0; len]);
            assert!(make_echo_reply(&mut message));
            assert_eq!(message[..4], [0, 0, 0xff, 0xff]);
            assert_eq!(Icmpv4::parse(&message).unwrap().verify(), Ok(()));
        }
        // And where the data sum to 0xffff, 0 is right.
        let mut message = echo_request(0xffff_0000, &[]);
        assert!(make_echo_reply(&mut message));
        assert_eq!(message[..4], [0, 0, 0, 0]);
        assert_eq!(Icmpv4::parse(&message).unwrap().verify(), Ok(()));
    }

    // C10, RFC 792: type 14, code 0, identifier, sequence and the originate time as they were, then the time, twice.
    #[test]
    fn a_time_stamp_reply_tells_the_time_twice() {
        let times = [0, 1, 2, 3, 9, 9, 9, 9, 9, 9, 9, 9];
        for surplus in [0, 5] {
            let mut message = vec![0; 20 + surplus];
            let data = [&times[..], &vec![0xaa; surplus]].concat();
            emit(TYPE_TIMESTAMP, 3, 0x1234_0001, &data, &mut message).unwrap();
            assert_eq!(make_timestamp_reply(&mut message, 0x0102_0304), Some(20));
            let icmp = Icmpv4::parse(&message[..20]).unwrap();
            assert_eq!((icmp.icmp_type(), icmp.code(), icmp.rest()), (14, 0, 0x1234_0001));
            assert_eq!(icmp.data(), [0, 1, 2, 3, 1, 2, 3, 4, 1, 2, 3, 4]);
            assert_eq!(icmp.verify(), Ok(()));
        }
        for len in 0..20 {
            assert_eq!(make_timestamp_reply(&mut [TYPE_TIMESTAMP; 20][..len], 0), None);
        }
        assert_eq!(make_timestamp_reply(&mut [TYPE_TIMESTAMP_REPLY; 20], 0), None);
    }

    // C16, RFC 1191 4: the next hop's MTU lies in the low 16 bits of what was unused. RFC 792: the pointer in the first byte.
    #[test]
    fn an_errors_own_fields_lie_where_the_rfcs_say() {
        let icmp = |icmp_type, code, rest| {
            let mut out = [0; 8];
            emit(icmp_type, code, rest, &[], &mut out).unwrap();
            let icmp = Icmpv4::parse(&out).unwrap();
            (icmp.next_hop_mtu(), icmp.pointer())
        };
        assert_eq!(icmp(TYPE_UNREACHABLE, CODE_FRAGMENTATION_NEEDED, 0xffff_0514).0, 1300);
        assert_eq!(icmp(TYPE_PARAMETER_PROBLEM, 0, 0x1400_0000).1, 20);
    }

    #[test]
    fn only_echo_requests_become_replies() {
        for icmp_type in (0..=255).filter(|t| *t != TYPE_ECHO_REQUEST) {
            let mut message = [icmp_type; 20];
            assert!(!make_echo_reply(&mut message));
            assert_eq!(message, [icmp_type; 20]);
        }
        for len in 0..8 {
            let mut message = [8; 8];
            assert!(!make_echo_reply(&mut message[..len]));
            assert_eq!(message, [8; 8]);
        }
    }

    // C02, RFC 1812 4.3.2.3: 1400 bytes are quoted up to 576 in all; 29 bytes wholly.
    #[test]
    fn an_error_quotes_as_much_as_fits_in_576_bytes() {
        let packet: Vec<u8> = (0..1400u32).map(|i| u8::try_from(i % 251).unwrap()).collect();
        let mut out = [0xee; 1500];
        let error = (TYPE_UNREACHABLE, CODE_PORT_UNREACHABLE, 0);
        let len = emit_error(error, &packet[..24], &packet[24..], &mut out).unwrap();
        assert_eq!(20 + len, 576);
        let icmp = Icmpv4::parse(&out[..len]).unwrap();
        assert_eq!((icmp.icmp_type(), icmp.code(), icmp.rest(), icmp.verify()), (3, 3, 0, Ok(())));
        assert_eq!(icmp.data(), &packet[..548]);
        assert_eq!(out[len], 0xee);

        let error = (TYPE_PARAMETER_PROBLEM, 0, 0x1400_0000);
        let len = emit_error(error, &packet[..20], &packet[20..29], &mut out).unwrap();
        let icmp = Icmpv4::parse(&out[..len]).unwrap();
        assert_eq!((icmp.data(), icmp.pointer(), icmp.verify()), (&packet[..29], 0x14, Ok(())));
        // What has less room is quoted shorter, and in the end not at all.
        assert_eq!(emit_error(error, &packet[..20], &packet[20..], &mut out[..36]), Some(36));
        assert_eq!(emit_error(error, &packet[..20], &packet[20..], &mut out[..12]), Some(12));
        assert_eq!(emit_error(error, &packet[..20], &packet[20..], &mut out[..7]), None);
    }

    // C03, RFC 1122 3.2.2: destination unreachable, source quench, redirect, time exceeded, parameter problem.
    #[test]
    fn errors_are_told_from_questions() {
        let errors: Vec<u8> = (0..=255).filter(|t| is_error(*t)).collect();
        assert_eq!(errors, [3, 4, 5, 11, 12]);
    }

    proptest! {
        #[test]
        fn any_bytes_parse_or_do_not(mut bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            if let Ok(icmp) = Icmpv4::parse(&bytes) {
                prop_assert_eq!(icmp.data(), &bytes[8..]);
                let _ = icmp.verify();
            }
            let _ = make_echo_reply(&mut bytes);
        }

        #[test]
        fn what_is_emitted_reads_back(
            head: (u8, u8, u32),
            data in proptest::collection::vec(any::<u8>(), 0..100),
        ) {
            let mut out = [0; 200];
            let len = emit(head.0, head.1, head.2, &data, &mut out).unwrap();
            let icmp = Icmpv4::parse(&out[..len]).unwrap();
            prop_assert_eq!((icmp.icmp_type(), icmp.code(), icmp.rest()), head);
            prop_assert_eq!(icmp.data(), data.as_slice());
            prop_assert_eq!(icmp.verify(), Ok(()));
        }

        // C06: the update is the checksum that would be computed, for every request.
        #[test]
        fn the_reply_to_any_echo_is_what_would_be_emitted(
            code: u8,
            rest: u32,
            data in proptest::collection::vec(any::<u8>(), 0..40),
        ) {
            let (mut request, mut reply) = ([0; 48], [0; 48]);
            let len = emit(TYPE_ECHO_REQUEST, code, rest, &data, &mut request).unwrap();
            emit(TYPE_ECHO_REPLY, code, rest, &data, &mut reply).unwrap();
            prop_assert!(make_echo_reply(&mut request[..len]));
            prop_assert_eq!(request, reply);
        }
    }
}
