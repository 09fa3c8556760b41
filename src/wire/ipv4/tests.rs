//! IPv4 headers: from RFC 791, RFC 1122 and what Linux does with the same bytes.

use super::*;
use proptest::prelude::*;

const SRC: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);
const DST: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 2);

fn repr(payload_len: u16) -> Repr {
    Repr {
        tos: 0,
        id: 0x1234,
        dont_fragment: false,
        ttl: TTL_UNICAST,
        protocol: PROTOCOL_UDP,
        src: SRC,
        dst: DST,
        payload_len,
        router_alert: false,
    }
}

/// A packet of five words and `payload`.
fn packet(payload: &[u8]) -> Vec<u8> {
    let mut out = vec![0; 20 + payload.len()];
    repr(u16::try_from(payload.len()).unwrap()).emit(&mut out).unwrap().copy_from_slice(payload);
    out
}

/// A packet with these options (padded with zeros to whole words), a checksum that is right, and eight bytes.
fn packet_with_options(options: &[u8]) -> Vec<u8> {
    let mut bytes = packet(&[]);
    bytes.extend(options);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes[0] = 0x40 | u8::try_from(bytes.len() / 4).unwrap();
    let header_len = bytes.len();
    bytes.extend([0xaa; 8]);
    let total_len = u16::try_from(bytes.len()).unwrap();
    bytes[2..4].copy_from_slice(&total_len.to_be_bytes());
    bytes[10..12].fill(0);
    let checksum = Sum::of(&bytes[..header_len]).finish();
    bytes[10..12].copy_from_slice(&checksum.to_be_bytes());
    bytes
}

fn scan(options: &[u8]) -> Result<OptionScan, BadOption> {
    let bytes = packet_with_options(options);
    let ip = Ipv4::parse(&bytes).unwrap();
    assert_eq!(ip.verify(), Ok(()));
    assert_eq!(ip.payload(), [0xaa; 8]);
    ip.scan_options()
}

#[test]
fn the_fields_lie_where_rfc_791_says() {
    #[rustfmt::skip]
    let bytes = [
        0x45, 0xb8, 0x00, 0x16, 0xbe, 0xef, 0x60, 0xb9, 0x40, 0x11, 0x12, 0x34,
        198, 18, 0, 1, 239, 1, 2, 3, 0x55, 0x66, 0x77,
    ];
    let ip = Ipv4::parse(&bytes).unwrap();
    assert_eq!((ip.header_len(), ip.tos(), ip.total_len(), ip.id()), (20, 0xb8, 22, 0xbeef));
    assert_eq!((ip.dont_fragment(), ip.more_fragments(), ip.fragment_offset()), (true, true, 1480));
    assert_eq!((ip.ttl(), ip.protocol()), (64, PROTOCOL_UDP));
    assert_eq!((ip.src(), ip.dst()), (SRC, Ipv4Addr::new(239, 1, 2, 3)));
    assert_eq!((ip.option_bytes(), ip.payload(), ip.bytes()), (&[][..], &[0x55, 0x66][..], &bytes[..22]));
}

// Summed by hand: 4500 001c 1234 0000 4011 c612 0001 c612 0002 = 2_2388, folded 238a.
#[test]
fn the_header_checksum_is_the_one_summed_by_hand() {
    let bytes = packet(&[0; 8]);
    assert_eq!(bytes[..12], [0x45, 0, 0, 28, 0x12, 0x34, 0, 0, 64, 17, 0xdc, 0x75]);
}

// I01, RFC 1122 3.2.1.1.
#[test]
fn another_version_or_a_header_length_that_cannot_be_is_invalid() {
    let good = packet(&[0; 40]);
    for first in (0..=0xff).filter(|b| *b != 0x45) {
        let mut bytes = good.clone();
        bytes[0] = first;
        let result = Ipv4::parse(&bytes).map(|ip| ip.header_len());
        match first {
            0x46..=0x4f => assert_eq!(result, Ok(4 * usize::from(first & 0xf))),
            _ => assert_eq!(result, Err(Ipv4Error::HeaderInvalid), "{first:#x}"),
        }
    }
    // IHL beyond the frame.
    let mut bytes = packet(&[]);
    bytes[0] = 0x46;
    assert_eq!(Ipv4::parse(&bytes).unwrap_err(), Ipv4Error::HeaderInvalid);
}

// I02, RFC 1122 3.2.1.2: one wrong bit anywhere in the header.
#[test]
fn a_wrong_header_checksum_is_seen_and_parsing_does_not_ask_for_it() {
    let good = packet_with_options(&ROUTER_ALERT);
    assert_eq!(Ipv4::parse(&good).unwrap().verify(), Ok(()));
    for bit in (0..24 * 8).filter(|bit| !(0..32).contains(bit)) {
        let mut bytes = good.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(Ipv4::parse(&bytes).unwrap().verify(), Err(Ipv4Error::Checksum), "bit {bit}");
    }
    let mut bytes = good;
    bytes[24] ^= 1;
    assert_eq!(Ipv4::parse(&bytes).unwrap().verify(), Ok(()), "the payload is not covered");
}

// I03, RFC 791 3.1: 19 is less than a header, 200 more than the frame; E10: less than the frame is trimmed.
#[test]
fn the_total_length_is_held_against_header_and_frame() {
    let with_total_len = |total_len: u16| {
        let mut bytes = packet(&[0x5a; 20]);
        bytes[2..4].copy_from_slice(&total_len.to_be_bytes());
        Ipv4::parse(&bytes).map(|ip| ip.payload().len())
    };
    assert_eq!(with_total_len(0), Err(Ipv4Error::HeaderInvalid));
    assert_eq!(with_total_len(19), Err(Ipv4Error::HeaderInvalid));
    assert_eq!(with_total_len(20), Ok(0));
    assert_eq!(with_total_len(39), Ok(19));
    assert_eq!(with_total_len(40), Ok(20));
    assert_eq!(with_total_len(41), Err(Ipv4Error::Truncated));
    assert_eq!(with_total_len(200), Err(Ipv4Error::Truncated));
    assert_eq!(with_total_len(0xffff), Err(Ipv4Error::Truncated));
}

// E10, RFC 791 3.1: 20 bytes of garbage behind the packet.
#[test]
fn a_trailer_is_not_part_of_the_packet() {
    let good = packet(b"payload");
    let mut bytes = good.clone();
    bytes.extend([0xee; 20]);
    let ip = Ipv4::parse(&bytes).unwrap();
    assert_eq!((ip.payload(), ip.bytes()), (&b"payload"[..], good.as_slice()));
}

// F16: what fragments carried may lie behind its header or elsewhere; it is the same packet.
#[test]
fn a_packet_in_two_pieces_is_the_same_packet() {
    let whole = packet_with_options(&[148, 4, 0, 0]);
    let (header, body) = whole.split_at(24);
    let (one, two) = (Ipv4::parse(&whole).unwrap(), Ipv4::in_pieces(header, body).unwrap());
    assert_eq!(two.verify(), Ok(()));
    assert_eq!((one.header_bytes(), one.payload()), (two.header_bytes(), two.payload()));
    assert_eq!((two.bytes(), two.option_bytes(), two.total_len()), (header, &[148, 4, 0, 0][..], 32));
    for (header, body) in [(header, &body[1..]), (&header[..23], body), (&header[..19], body), (header, &[])]
    {
        assert_eq!(Ipv4::in_pieces(header, body).map(|_| ()), Err(Ipv4Error::HeaderInvalid));
    }
}

// I17, RFC 791 3.1: options are part of the header, its length and its checksum.
#[test]
fn options_are_emitted_as_they_are() {
    let options = [7, 7, 4, 0, 0, 0, 0, 0];
    let mut out = [0xee; 40];
    let rest = repr(5).emit_with_options(&options, &mut out).unwrap();
    assert_eq!(rest, [0xee; 12]);
    let ip = Ipv4::parse(&out[..33]).unwrap();
    assert_eq!(
        (ip.verify(), ip.header_len(), ip.total_len(), ip.option_bytes()),
        (Ok(()), 28, 33, &options[..])
    );
    let mut plain = [0; 20];
    repr(5).emit(&mut plain).unwrap();
    let mut with_none = [0; 20];
    repr(5).emit_with_options(&[], &mut with_none).unwrap();
    assert_eq!(plain, with_none);
    assert!(repr(5).emit_with_options(&[1; 3], &mut out).is_none());
    assert!(repr(5).emit_with_options(&[1; 44], &mut [0; 80]).is_none());
    assert!(repr(5).emit_with_options(&options, &mut out[..27]).is_none());
}

// I04, RFC 1122 3.2.1.7; I05, RFC 791 3.1: neither stops a packet.
#[test]
fn a_ttl_of_zero_and_the_reserved_flag_are_no_errors() {
    let mut bytes = packet(&[]);
    bytes[6] = 0x80;
    bytes[8] = 0;
    let ip = Ipv4::parse(&bytes).unwrap();
    assert_eq!((ip.ttl(), ip.is_fragment(), ip.dont_fragment(), ip.fragment_offset()), (0, false, false, 0));
}

// F20: a fragment is what has an offset or more behind it, whatever the other flags say.
#[test]
fn fragments_are_told_from_whole_datagrams() {
    let of = |word: u16| {
        let mut bytes = packet(&[]);
        bytes[6..8].copy_from_slice(&word.to_be_bytes());
        let ip = Ipv4::parse(&bytes).unwrap();
        (ip.is_fragment(), ip.dont_fragment(), ip.more_fragments(), ip.fragment_offset())
    };
    assert_eq!(of(0x0000), (false, false, false, 0));
    assert_eq!(of(0x4000), (false, true, false, 0));
    assert_eq!(of(0x2000), (true, false, true, 0));
    assert_eq!(of(0x6000), (true, true, true, 0));
    assert_eq!(of(0x0001), (true, false, false, 8));
    assert_eq!(of(0x1fff), (true, false, false, 65528));
}

// I14, RFC 792, Linux: lengths 0, 1 and 39 where 4 fit: parameter problem, pointer 0x14.
#[test]
fn an_option_length_that_cannot_be_is_pointed_at() {
    for len in [0, 1, 5, 39, 255] {
        assert_eq!(scan(&[0x9e, len, 0, 0]), Err(BadOption { pointer: 0x14 }), "length {len}");
    }
    // Behind others it is pointed at where it begins; a type alone at the very end has no length.
    assert_eq!(scan(&[1, 1, 0x9e, 0]), Err(BadOption { pointer: 22 }));
    assert_eq!(scan(&[0x9e, 3, 0xaa, 0x9e]), Err(BadOption { pointer: 23 }));
    assert_eq!(scan(&[&[1; 39][..], &[0x9e]].concat()), Err(BadOption { pointer: 59 }));
}

// I14, RFC 791 3.1: END ends the list, NOP is one byte, 2 is the least length.
#[test]
fn the_walk_ends_at_the_end_and_steps_over_nops() {
    assert_eq!(scan(&[]), Ok(OptionScan::default()));
    assert_eq!(scan(&[1; 40]), Ok(OptionScan::default()));
    assert_eq!(scan(&[0, OPTION_LSRR, 3, 4]), Ok(OptionScan::default()), "behind the end there is nothing");
    assert_eq!(scan(&[0x9e, 2, 1, 0]), Ok(OptionScan::default()));
    let bytes = packet_with_options(&[1, 0x9e, 4, 7, 8, 1, 68, 2]);
    let options: Vec<_> =
        Ipv4::parse(&bytes).unwrap().options().map(|o| o.map(|o| (o.kind, o.data.to_vec()))).collect();
    assert_eq!(options, [Ok((0x9e, vec![7, 8])), Ok((68, vec![]))]);
}

// I15, RFC 1122 3.2.1.8; I19, RFC 2113: unknown ones and Router Alert stop nothing. I16, RFC 7126 4.3: routes are seen.
#[test]
fn source_routes_are_seen_and_other_options_pass() {
    assert_eq!(scan(&[0x9e, 4, 0, 0]), Ok(OptionScan::default()));
    assert_eq!(scan(&[148, 4, 0, 0]), Ok(OptionScan { source_route: false, router_alert: true }));
    let pending = [131, 7, 4, 198, 18, 0, 9];
    let completed = [137, 7, 8, 198, 18, 0, 9];
    for route in [pending, completed] {
        assert_eq!(scan(&route), Ok(OptionScan { source_route: true, router_alert: false }));
        let behind = [&[148, 4, 0, 0][..], &route].concat();
        assert_eq!(scan(&behind), Ok(OptionScan { source_route: true, router_alert: true }));
    }
}

// E17: cut at any byte, with and without options.
#[test]
fn a_packet_cut_at_any_byte_is_refused() {
    for (bytes, header_len) in [(packet(&[0x5a; 40]), 20), (packet_with_options(&[1; 40]), 60)] {
        for len in 0..bytes.len() {
            let expected = if len < header_len { Ipv4Error::HeaderInvalid } else { Ipv4Error::Truncated };
            assert_eq!(Ipv4::parse(&bytes[..len]).unwrap_err(), expected, "{len} bytes");
        }
        assert!(Ipv4::parse(&bytes).is_ok());
    }
}

// G01, RFC 9776 4: six words, 94 04 00 00, and a checksum over all of them.
#[test]
fn a_router_alert_is_part_of_the_header() {
    let repr = Repr { tos: 0xc0, ttl: 1, protocol: PROTOCOL_IGMP, router_alert: true, ..repr(16) };
    let mut out = [0xee; 41];
    assert_eq!(repr.emit(&mut out).unwrap().len(), 17);
    assert_eq!((out[0], &out[20..24]), (0x46, &[0x94, 4, 0, 0][..]));
    let ip = Ipv4::parse(&out).unwrap();
    assert_eq!((ip.header_len(), ip.total_len(), ip.verify()), (24, 40, Ok(())));
    assert_eq!((ip.tos(), ip.ttl(), ip.protocol()), (0xc0, 1, PROTOCOL_IGMP));
    assert_eq!(ip.scan_options(), Ok(OptionScan { source_route: false, router_alert: true }));
}

#[test]
fn what_does_not_fit_is_not_written() {
    let mut out = [0xee; 24];
    for router_alert in [false, true] {
        let empty = Repr { router_alert, ..repr(0) };
        for len in 0..empty.header_len() {
            assert!(empty.emit(&mut out[..len]).is_none());
        }
        assert!(Repr { router_alert, ..repr(65516) }.emit(&mut out).is_none());
        assert_eq!(out, [0xee; 24]);
    }
    assert!(repr(65515).emit(&mut out).is_some());
    assert!(Repr { router_alert: true, ..repr(65511) }.emit(&mut out).is_some());
    assert!(Repr { router_alert: true, ..repr(65512) }.emit(&mut out).is_none());
}

fn any_repr() -> impl Strategy<Value = Repr> {
    (any::<(u8, u16, bool, u8, u8)>(), any::<([u8; 4], [u8; 4])>(), 0u16..200, any::<bool>()).prop_map(
        |((tos, id, dont_fragment, ttl, protocol), (src, dst), payload_len, router_alert)| Repr {
            tos,
            id,
            dont_fragment,
            ttl,
            protocol,
            src: src.into(),
            dst: dst.into(),
            payload_len,
            router_alert,
        },
    )
}

proptest! {
    #[test]
    fn what_is_emitted_reads_back(repr in any_repr()) {
        let mut out = vec![0xee; repr.header_len() + usize::from(repr.payload_len)];
        repr.emit(&mut out).unwrap();
        let ip = Ipv4::parse(&out).unwrap();
        prop_assert_eq!(ip.verify(), Ok(()));
        let read = Repr {
            tos: ip.tos(),
            id: ip.id(),
            dont_fragment: ip.dont_fragment(),
            ttl: ip.ttl(),
            protocol: ip.protocol(),
            src: ip.src(),
            dst: ip.dst(),
            payload_len: u16::try_from(ip.payload().len()).unwrap(),
            router_alert: ip.scan_options().unwrap().router_alert,
        };
        prop_assert_eq!(read, repr);
        prop_assert!(!ip.is_fragment());
    }

    // E17, I14: whatever comes, nothing is read beyond it and the walk ends.
    #[test]
    fn any_bytes_parse_within_their_bounds(
        mut bytes in proptest::collection::vec(any::<u8>(), 0..100),
        ihl in 5u8..16,
        total_len in 0u8..110,
        is_plausible: bool,
    ) {
        if is_plausible && bytes.len() > 3 {
            bytes[0] = 0x40 | ihl;
            bytes[2..4].copy_from_slice(&[0, total_len]);
        }
        if let Ok(ip) = Ipv4::parse(&bytes) {
            prop_assert_eq!(ip.bytes(), &bytes[..usize::from(ip.total_len())]);
            prop_assert_eq!(ip.header_len() + ip.payload().len(), ip.bytes().len());
            prop_assert_eq!(ip.option_bytes(), &bytes[20..ip.header_len()]);
            let mut walked = 0;
            for option in ip.options() {
                match option {
                    Ok(option) => walked += 2 + option.data.len(),
                    Err(bad) => prop_assert!((20..ip.header_len()).contains(&usize::from(bad.pointer))),
                }
            }
            prop_assert!(walked <= ip.option_bytes().len());
            let _ = ip.verify();
        }
    }
}
