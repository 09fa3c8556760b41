//! ICMPv6 messages: from RFC 4443.

use super::*;
use proptest::prelude::*;

fn addr(s: &str) -> Ipv6Addr {
    s.parse().unwrap()
}

fn pair() -> (Ipv6Addr, Ipv6Addr) {
    (addr("2001:db8::1"), addr("2001:db8::2"))
}

fn echo_request(rest: u32, data: &[u8]) -> Vec<u8> {
    let mut out = vec![0xee; 8 + data.len()];
    assert_eq!(emit((TYPE_ECHO_REQUEST, 0, rest), pair(), data, &mut out), Some(8 + data.len()));
    out
}

fn verify(message: &[u8], (src, dst): (Ipv6Addr, Ipv6Addr)) -> Result<(), IcmpError> {
    Icmpv6::parse(message).unwrap().verify(src, dst)
}

// K01, RFC 4443 2.3, RFC 8200 8.1: summed by hand. Pseudo-header 2001 + 0db8 + 0001, 2001 + 0db8 + 0002, length 000a, next
// header 003a; message 8000 + 1234 + 0001 + 6869.
#[test]
fn an_echo_is_laid_out_and_summed_as_rfc_4443_says() {
    let words = [0x2001, 0x0db8, 1, 0x2001, 0x0db8, 2, 0x000a, 0x003a, 0x8000, 0x1234, 0x0001, 0x6869u32];
    let sum: u32 = words.iter().sum();
    let checksum = !u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap();
    let [c0, c1] = checksum.to_be_bytes();
    let message = echo_request(0x1234_0001, b"hi");
    assert_eq!(message, [128, 0, c0, c1, 0x12, 0x34, 0, 1, b'h', b'i']);
    let icmp = Icmpv6::parse(&message).unwrap();
    assert_eq!((icmp.icmp_type(), icmp.code(), icmp.checksum()), (128, 0, checksum));
    assert_eq!((icmp.rest(), icmp.data()), (0x1234_0001, &b"hi"[..]));
    assert_eq!(verify(&message, pair()), Ok(()));
}

// K01, RFC 4443 2.3: the sum covers the message, and the addresses that it went between.
#[test]
fn one_wrong_bit_anywhere_is_seen() {
    let good = echo_request(0x1234_0001, b"hello");
    for bit in 0..good.len() * 8 {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(verify(&bad, pair()), Err(IcmpError::Checksum), "bit {bit}");
    }
    let (src, dst) = pair();
    assert_eq!(verify(&good, (src, addr("2001:db8::3"))), Err(IcmpError::Checksum));
    assert_eq!(verify(&good, (addr("2001:db9::1"), dst)), Err(IcmpError::Checksum));
}

// K01: unlike UDP over IPv4, 0 does not say that there is none.
#[test]
fn a_checksum_of_zero_is_a_wrong_one() {
    let mut message = echo_request(0x1234_0001, b"hello");
    message[2..4].fill(0);
    assert_eq!(verify(&message, pair()), Err(IcmpError::Checksum));
}

// K01, E17: less than eight bytes are none.
#[test]
fn a_message_cut_within_its_header_is_refused() {
    let message = echo_request(1, &[0x5a; 52]);
    for len in 0..60 {
        assert_eq!(Icmpv6::parse(&message[..len]).is_ok(), len >= 8, "{len} bytes");
        let mut out = [0xee; 60];
        assert_eq!(emit((128, 0, 1), pair(), &[0x5a; 52], &mut out[..len]), None);
        assert_eq!(out, [0xee; 60]);
    }
    assert_eq!(Icmpv6::parse(&message[..7]).unwrap_err(), IcmpError::Truncated);
}

// K05, RFC 4443 4.2: to one of our addresses, type and checksum alone change.
#[test]
fn an_echo_reply_differs_in_type_and_checksum_only() {
    let (src, dst) = pair();
    let mut message = echo_request(0x1234_0001, b"hello");
    let request = message.clone();
    assert!(make_echo_reply(&mut message, dst, dst));
    assert_eq!((message[0], message[1], &message[4..]), (129, 0, &request[4..]));
    assert_eq!(verify(&message, (dst, src)), Ok(()));
}

#[test]
fn only_echo_requests_become_replies() {
    let (_, dst) = pair();
    for icmp_type in (0..=255).filter(|t| *t != TYPE_ECHO_REQUEST) {
        let mut message = [icmp_type; 20];
        assert!(!make_echo_reply(&mut message, dst, dst));
        assert_eq!(message, [icmp_type; 20]);
    }
    for len in 0..8 {
        let mut message = [128; 8];
        assert!(!make_echo_reply(&mut message[..len], dst, dst));
        assert_eq!(message, [128; 8]);
    }
}

// K02, RFC 4443 2.4(c), 3.1: a port unreachable is 1/4, and quotes up to 1280 bytes in all.
#[test]
fn an_error_quotes_as_much_as_fits_in_1280_bytes() {
    let packet: Vec<u8> = (0..1400u32).map(|i| u8::try_from(i % 251).unwrap()).collect();
    let mut out = [0xee; 1500];
    let error = (TYPE_UNREACHABLE, CODE_PORT_UNREACHABLE, 0);
    let len = emit_error(error, pair(), [&packet[..48], &packet[48..]], &mut out).unwrap();
    assert_eq!(40 + len, 1280);
    let icmp = Icmpv6::parse(&out[..len]).unwrap();
    assert_eq!((icmp.icmp_type(), icmp.code(), icmp.rest()), (1, 4, 0));
    assert_eq!(icmp.data(), &packet[..1232]);
    assert_eq!((verify(&out[..len], pair()), out[len]), (Ok(()), 0xee));
    // An odd piece in the middle, and a packet that is quoted wholly.
    let error = (TYPE_PARAMETER_PROBLEM, CODE_NEXT_HEADER, 6);
    let len = emit_error(error, pair(), [&packet[..41], &packet[41..60]], &mut out).unwrap();
    let icmp = Icmpv6::parse(&out[..len]).unwrap();
    assert_eq!((icmp.data(), icmp.rest()), (&packet[..60], 6));
    assert_eq!(verify(&out[..len], pair()), Ok(()));
    // What has less room is quoted shorter, and in the end not at all.
    for (room, want) in [(36, Some(36)), (12, Some(12)), (8, Some(8)), (7, None)] {
        let pieces = [&packet[..20], &packet[20..]];
        assert_eq!(emit_error(error, pair(), pieces, &mut out[..room]), want);
    }
}

// K06, RFC 4443 2.1.
#[test]
fn the_types_below_128_are_errors() {
    assert!((0..=127).all(is_error) && !(128..=255).any(is_error));
}

proptest! {
    #[test]
    fn any_bytes_parse_or_do_not(mut bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        let (src, dst) = pair();
        if let Ok(icmp) = Icmpv6::parse(&bytes) {
            prop_assert_eq!(icmp.data(), &bytes[8..]);
            let _ = icmp.verify(src, dst);
        }
        let _ = make_echo_reply(&mut bytes, src, dst);
    }

    // K05: the update is the checksum that would be computed, for every request and whichever address answers.
    #[test]
    fn the_reply_to_any_echo_is_what_would_be_emitted(
        code: u8,
        rest: u32,
        addrs: ([u8; 16], [u8; 16], [u8; 16]),
        is_unicast: bool,
        data in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        let (peer, asked): (Ipv6Addr, Ipv6Addr) = (addrs.0.into(), addrs.1.into());
        let own = if is_unicast { asked } else { addrs.2.into() };
        let (mut request, mut reply) = ([0; 48], [0; 48]);
        let len = emit((TYPE_ECHO_REQUEST, code, rest), (peer, asked), &data, &mut request).unwrap();
        emit((TYPE_ECHO_REPLY, code, rest), (own, peer), &data, &mut reply).unwrap();
        prop_assert!(make_echo_reply(&mut request[..len], asked, own));
        prop_assert_eq!(request, reply);
    }
}
