//! IPv6 headers: from RFC 8200, byte by byte.

use super::*;
use proptest::prelude::*;

const SRC: Ipv6Addr = Ipv6Addr::new(0xfd88, 0, 0, 0, 0, 0, 0, 2);
const DST: Ipv6Addr = Ipv6Addr::new(0xfd88, 0, 0, 0, 0, 0, 0, 1);

fn repr(payload_len: u16) -> Repr {
    Repr {
        traffic_class: 0,
        flow_label: 0,
        payload_len,
        next_header: NEXT_HEADER_UDP,
        hop_limit: HOP_LIMIT_UNICAST,
        src: SRC,
        dst: DST,
    }
}

/// A packet with `payload`.
fn packet(payload: &[u8]) -> Vec<u8> {
    let mut out = vec![0xee; HEADER_LEN + payload.len()];
    repr(u16::try_from(payload.len()).unwrap()).emit(&mut out).unwrap().copy_from_slice(payload);
    out
}

#[test]
fn the_fields_lie_where_rfc_8200_says() {
    #[rustfmt::skip]
    let bytes = [
        0x6b, 0x8a, 0xbc, 0xde, 0x00, 0x02, 0x11, 0x40,
        0x20, 0x01, 0x0d, 0xb8, 0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6,
        0xff, 0x0e, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xab, 0xcd, 0, 7,
        0x55, 0x66, 0x77,
    ];
    let ip = Ipv6::parse(&bytes).unwrap();
    assert_eq!((ip.traffic_class(), ip.flow_label()), (0xb8, 0xabcde));
    assert_eq!((ip.payload_len(), ip.next_header(), ip.hop_limit()), (2, NEXT_HEADER_UDP, 64));
    assert_eq!(ip.src(), "2001:db8:1:2:3:4:5:6".parse::<Ipv6Addr>().unwrap());
    assert_eq!(ip.dst(), "ff0e::abcd:7".parse::<Ipv6Addr>().unwrap());
    assert_eq!((ip.payload(), ip.header_bytes()), (&[0x55, 0x66][..], &bytes[..40]));
    let again = Repr {
        traffic_class: 0xb8,
        flow_label: 0xabcde,
        payload_len: 2,
        next_header: NEXT_HEADER_UDP,
        hop_limit: 64,
        src: ip.src(),
        dst: ip.dst(),
    };
    let mut out = [0xee; 43];
    assert_eq!(again.emit(&mut out).unwrap().len(), 3);
    assert_eq!(out[..40], bytes[..40]);
    assert_eq!(out[40..], [0xee; 3]);
}

// V01, RFC 8200 3.
#[test]
fn another_version_is_invalid() {
    for version in (0..16).filter(|v| *v != 6) {
        let mut bytes = packet(&[0; 8]);
        bytes[0] = version << 4;
        assert_eq!(Ipv6::parse(&bytes).unwrap_err(), Ipv6Error::HeaderInvalid, "{version}");
        assert_eq!(Ipv6::parse_front(&bytes).unwrap_err(), Ipv6Error::HeaderInvalid);
        assert_eq!(Ipv6::in_pieces(&bytes, &[]).unwrap_err(), Ipv6Error::HeaderInvalid);
    }
}

// V01, E10, RFC 8200 3: no more than the frame; less is padding.
#[test]
fn the_payload_length_is_held_against_the_frame() {
    let with_len = |len: u16| {
        let mut bytes = packet(&[0x5a; 20]);
        bytes[4..6].copy_from_slice(&len.to_be_bytes());
        Ipv6::parse(&bytes).map(|ip| ip.payload().len())
    };
    assert_eq!(with_len(0), Ok(0));
    assert_eq!(with_len(19), Ok(19));
    assert_eq!(with_len(20), Ok(20));
    assert_eq!(with_len(21), Err(Ipv6Error::Truncated));
    assert_eq!(with_len(0xffff), Err(Ipv6Error::Truncated));
}

// E17, V01: cut at any byte.
#[test]
fn a_packet_cut_at_any_byte_is_refused() {
    let bytes = packet(&[0x5a; 20]);
    for len in 0..bytes.len() {
        let error = if len < HEADER_LEN { Ipv6Error::HeaderInvalid } else { Ipv6Error::Truncated };
        assert_eq!(Ipv6::parse(&bytes[..len]).unwrap_err(), error, "{len} bytes");
        assert_eq!(Ipv6::parse_front(&bytes[..len]).is_ok(), len >= HEADER_LEN);
        let mut out = [0xee; HEADER_LEN];
        let room = len.min(HEADER_LEN - 1);
        assert!(repr(0).emit(&mut out[..room]).is_none());
        assert_eq!(out, [0xee; HEADER_LEN], "nothing was written");
    }
    assert!(Ipv6::parse(&bytes).is_ok());
    assert_eq!(Ipv6::parse_front(&bytes[..50]).unwrap().payload(), [0x5a; 10]);
}

#[test]
fn a_packet_in_pieces_fits_together_or_is_none() {
    let whole = packet(&[0x5a; 20]);
    for body_len in 0..=20 {
        let (front, body) = whole.split_at(whole.len() - body_len);
        let mut padded = front.to_vec();
        padded.extend([0xee; 9]);
        let ip = Ipv6::in_pieces(&padded, body).unwrap();
        assert_eq!((ip.header_bytes(), ip.payload()), (front, body));
        for cut in 0..front.len() {
            assert_eq!(Ipv6::in_pieces(&front[..cut], body).unwrap_err(), Ipv6Error::HeaderInvalid);
        }
    }
    assert_eq!(Ipv6::in_pieces(&whole, &[0; 21]).unwrap_err(), Ipv6Error::HeaderInvalid);
}

#[test]
fn a_flow_label_has_twenty_bits() {
    let mut out = [0; HEADER_LEN];
    assert!(Repr { flow_label: u32::MAX, ..repr(0) }.emit(&mut out).is_some());
    assert_eq!(out[..4], [0x60, 0x0f, 0xff, 0xff]);
}

proptest! {
    #[test]
    fn any_bytes_parse_within_their_bounds(
        mut bytes in proptest::collection::vec(any::<u8>(), 0..120),
        body in proptest::collection::vec(any::<u8>(), 0..20),
        is_plausible: bool,
    ) {
        if is_plausible && bytes.len() > 5 {
            bytes[0] = 0x60 | bytes[0] & 0x0f;
            bytes[4] = 0;
            bytes[5] %= 100;
        }
        if let Ok(ip) = Ipv6::parse(&bytes) {
            prop_assert_eq!(ip.payload(), &bytes[40..40 + usize::from(ip.payload_len())]);
        }
        if let Ok(ip) = Ipv6::in_pieces(&bytes, &body) {
            prop_assert_eq!(ip.header_bytes().len() - 40 + body.len(), usize::from(ip.payload_len()));
        }
    }

    #[test]
    fn what_is_emitted_reads_back(
        traffic_class: u8,
        flow_label in 0u32..1 << 20,
        next_header: u8,
        hop_limit: u8,
        addrs: (u128, u128),
        payload in proptest::collection::vec(any::<u8>(), 0..60),
    ) {
        let (src, dst) = (Ipv6Addr::from_bits(addrs.0), Ipv6Addr::from_bits(addrs.1));
        let payload_len = u16::try_from(payload.len()).unwrap();
        let repr = Repr { traffic_class, flow_label, payload_len, next_header, hop_limit, src, dst };
        let mut out = vec![0; HEADER_LEN + payload.len()];
        repr.emit(&mut out).unwrap().copy_from_slice(&payload);
        let ip = Ipv6::parse(&out).unwrap();
        let read = Repr {
            traffic_class: ip.traffic_class(),
            flow_label: ip.flow_label(),
            payload_len: ip.payload_len(),
            next_header: ip.next_header(),
            hop_limit: ip.hop_limit(),
            src: ip.src(),
            dst: ip.dst(),
        };
        prop_assert_eq!((read, ip.payload()), (repr, payload.as_slice()));
    }
}
