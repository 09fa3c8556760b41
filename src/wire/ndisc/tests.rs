//! What RFC 4861 says of the bytes.

use super::*;
use crate::addr::{Prefix, V6};
use proptest::prelude::*;

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];

fn addr(s: &str) -> Ipv6Addr {
    s.parse().unwrap()
}

fn envelope(src: &str, dst: &str) -> Envelope {
    Envelope { src: addr(src), dst: addr(dst), hop_limit: 255 }
}

/// An ICMPv6 message with the checksum of its envelope, by the book: RFC 1071 over the pseudo-header of RFC 8200 8.1.
fn message(envelope: Envelope, pieces: &[&[u8]]) -> Vec<u8> {
    let mut message = pieces.concat();
    message[2..4].fill(0);
    let len = u32::try_from(message.len()).unwrap().to_be_bytes();
    let pseudo = [&envelope.src.octets()[..], &envelope.dst.octets(), &len, &[0, 0, 0, 58]].concat();
    let mut sum = 0u32;
    for pair in pseudo.chunks(2).chain(message.chunks(2)) {
        sum += u32::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    message[2..4].copy_from_slice(&(!u16::try_from(sum).unwrap()).to_be_bytes());
    message
}

fn header(kind: u8, rest: [u8; 4]) -> Vec<u8> {
    [&[kind, 0, 0, 0][..], &rest].concat()
}

fn lla(kind: u8) -> Vec<u8> {
    [&[kind, 1][..], &MAC].concat()
}

fn octets(s: &str) -> [u8; 16] {
    addr(s).octets()
}

fn parse(envelope: Envelope, pieces: &[&[u8]]) -> Result<(), NdiscError> {
    Message::parse(envelope, &message(envelope, pieces)).map(|_| ())
}

/// A solicitation for fd88::1 from fd88::2.
fn solicitation(options: &[u8]) -> (Envelope, Vec<u8>) {
    let envelope = envelope("fd88::2", "ff02::1:ff00:1");
    (envelope, [&header(135, [0; 4])[..], &octets("fd88::1"), options].concat())
}

fn advertisement(flags: u8, options: &[u8]) -> Vec<u8> {
    [&header(136, [flags, 0, 0, 0])[..], &octets("fd88::2"), options].concat()
}

// RFC 4861 4.3.
#[test]
fn a_neighbor_solicitation_is_read_as_it_is_laid_out() {
    let nonce = [14, 1, 1, 2, 3, 4, 5, 6];
    let (envelope, body) = solicitation(&[lla(1), nonce.to_vec()].concat());
    let bytes = message(envelope, &[&body]);
    let Ok(Message::NeighborSolicitation(ns)) = Message::parse(envelope, &bytes) else { panic!() };
    assert_eq!((ns.target, ns.source_mac), (addr("fd88::1"), Some(MacAddr(MAC))));
    assert_eq!(ns.nonce, Some(&[1, 2, 3, 4, 5, 6][..]));
}

// RFC 4861 4.4.
#[test]
fn a_neighbor_advertisement_is_read_as_it_is_laid_out() {
    let envelope = envelope("fd88::2", "fd88::1");
    for (flags, router, solicited, override_flag) in
        [(0x80, true, false, false), (0x40, false, true, false), (0x20, false, false, true)]
    {
        let bytes = message(envelope, &[&advertisement(flags, &lla(2))]);
        let expected = NeighborAdvertisement {
            router,
            solicited,
            override_flag,
            target: addr("fd88::2"),
            target_mac: Some(MacAddr(MAC)),
        };
        assert_eq!(Message::parse(envelope, &bytes), Ok(Message::NeighborAdvertisement(expected)));
    }
}

// RFC 4861 4.2, 4.6.2, 4.6.4; RFC 4191 2.2, 2.3.
#[test]
fn a_router_advertisement_is_read_as_it_is_laid_out() {
    let envelope = envelope("fe80::1", "ff02::1");
    let prefix = [
        &[3, 4, 64, 0xc0, 0, 0, 0x0e, 0x10, 0xff, 0xff, 0xff, 0xff, 9, 9, 9, 9][..],
        &octets("2001:db8:1:2:3::"), // the bits behind the 64th mean nothing
    ]
    .concat();
    let route = [&[24, 2, 48, 0x08, 0, 0, 0, 60][..], &octets("2001:db8:7::")[..8]].concat();
    let rdnss = [&[25, 3, 0, 0, 0, 0, 0, 9][..], &octets("2001:db8::53")].concat();
    let options = [lla(1), vec![5, 1, 0, 0, 0, 0, 5, 0xdc], prefix, rdnss, route].concat();
    let fixed = [&header(134, [64, 0xd8, 0x07, 0x08])[..], &[0, 0, 0x75, 0x30, 0, 0, 0x03, 0xe8]].concat();
    let bytes = message(envelope, &[&fixed, &options]);
    let Ok(Message::RouterAdvertisement(ra)) = Message::parse(envelope, &bytes) else { panic!() };
    assert_eq!((ra.hop_limit, ra.managed, ra.other_config), (Some(64), true, true));
    assert_eq!((ra.preference, ra.router_lifetime), (Preference::Low, Duration::from_secs(1800)));
    assert_eq!(ra.reachable_time, Some(Duration::from_secs(30)));
    assert_eq!(ra.retrans_timer, Some(Duration::from_secs(1)));
    assert_eq!(ra.source_mac, Some(MacAddr(MAC)));
    let expected_prefix = PrefixInformation {
        prefix: Prefix::<V6>::new(addr("2001:db8:1:2::"), 64).unwrap(),
        on_link: true,
        autonomous: true,
        valid: Lifetime::from_secs(3600),
        preferred: Lifetime::INFINITE,
    };
    let expected_route = RouteInformation {
        prefix: Prefix::<V6>::new(addr("2001:db8:7::"), 48).unwrap(),
        preference: Preference::High,
        lifetime: Lifetime::from_secs(60),
    };
    let read: Vec<_> = ra.options.iter().collect();
    let expected = [
        NdOption::Other(1),
        NdOption::Mtu(1500),
        NdOption::Prefix(expected_prefix),
        NdOption::Other(25),
        NdOption::Route(expected_route),
    ];
    assert_eq!(read, expected);
}

// N14, RFC 4861 4.2: 0 says nothing.
#[test]
fn zeros_of_a_router_advertisement_say_nothing() {
    let envelope = envelope("fe80::1", "ff02::1");
    let bytes = message(envelope, &[&header(134, [0, 0x10, 0, 0]), &[0; 8]]);
    let Ok(Message::RouterAdvertisement(ra)) = Message::parse(envelope, &bytes) else { panic!() };
    assert_eq!((ra.hop_limit, ra.reachable_time, ra.retrans_timer), (None, None, None));
    assert_eq!((ra.router_lifetime, ra.preference), (Duration::ZERO, Preference::Medium));
    assert_eq!((ra.managed, ra.other_config, ra.source_mac), (false, false, None));
}

// RFC 4861 4.5, 4.6.3.
#[test]
fn a_redirect_is_read_as_it_is_laid_out() {
    let envelope = envelope("fe80::1", "fd88::1");
    let redirected = [&[4, 2, 0, 0, 0, 0, 0, 0][..], &[0x60; 8]].concat();
    let (target, destination) = (octets("fe80::2"), octets("2001:db8::9"));
    let bytes = message(envelope, &[&header(137, [0; 4]), &target, &destination, &lla(2), &redirected]);
    let expected = Redirect {
        target: addr("fe80::2"),
        destination: addr("2001:db8::9"),
        target_mac: Some(MacAddr(MAC)),
        redirected: Some(&[0x60; 8]),
    };
    assert_eq!(Message::parse(envelope, &bytes), Ok(Message::Redirect(expected)));
}

// N01, RFC 4861 7.1.1: a hop limit of less than 255 has crossed a router; every code but 0; every bit counts.
#[test]
fn what_a_router_passed_on_or_is_not_whole_is_refused() {
    let (good, body) = solicitation(&lla(1));
    assert_eq!(parse(good, &[&body]), Ok(()));
    for hop_limit in [0, 1, 64, 254] {
        assert_eq!(parse(Envelope { hop_limit, ..good }, &[&body]), Err(NdiscError::HopLimit));
    }
    for code in 1..=255 {
        let mut body = body.clone();
        body[1] = code;
        assert_eq!(parse(good, &[&body]), Err(NdiscError::Code));
    }
    let bytes = message(good, &[&body]);
    for bit in 8..bytes.len() * 8 {
        let mut bytes = bytes.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(Message::parse(good, &bytes), Err(NdiscError::Checksum), "bit {bit}");
    }
    // K01, RFC 4443 2.3: the addresses count, too.
    let other = Envelope { src: addr("fd88::3"), ..good };
    assert_eq!(Message::parse(other, &bytes), Err(NdiscError::Checksum));
}

// N01: shorter than the fixed part.
#[test]
fn each_kind_has_its_least_length() {
    let router = envelope("fe80::1", "fd88::1");
    for (kind, min) in [(133, 8), (134, 16), (135, 24), (136, 24), (137, 40)] {
        let mut whole = [header(kind, [0; 4]), vec![0; 32]].concat();
        whole[8..24].copy_from_slice(&octets("fe80::9"));
        for len in 0..=min {
            let bytes = if len < 8 { whole[..len].to_vec() } else { message(router, &[&whole[..len]]) };
            let parsed = Message::parse(router, &bytes).map(|_| ());
            let expected = if len < min { Err(NdiscError::Truncated) } else { Ok(()) };
            assert_eq!(parsed, expected, "type {kind}, {len} bytes");
        }
    }
}

// N01, RFC 4861 7.1.1.
#[test]
fn a_target_is_one_hosts_address() {
    for (target, expected) in [
        ("ff02::1", Err(NdiscError::Target)),
        ("ff0e::1", Err(NdiscError::Target)),
        ("::", Err(NdiscError::Target)),
        ("fe80::1", Ok(())),
    ] {
        for kind in [135, 136] {
            let envelope = envelope("fd88::2", "fd88::1");
            assert_eq!(
                parse(envelope, &[&header(kind, [0; 4]), &octets(target)]),
                expected,
                "{kind} {target}"
            );
        }
    }
}

// N01: of every option, also of one that nobody knows and one that follows all that is of use.
#[test]
fn an_option_of_length_zero_or_beyond_the_end_voids_the_message() {
    for bad in [
        &[1, 0, 2, 0, 0, 0, 0, 1][..],
        &[200, 0, 0, 0, 0, 0, 0, 0],
        &[1, 2, 2, 0, 0, 0, 0, 1],
        &[200, 255, 0, 0, 0, 0, 0, 0],
        &[200],
        &[200, 1, 0, 0, 0, 0, 0],
    ] {
        for before in [vec![], lla(1), vec![200, 1, 0, 0, 0, 0, 0, 0]] {
            let (envelope, body) = solicitation(&[&before[..], bad].concat());
            assert_eq!(parse(envelope, &[&body]), Err(NdiscError::OptionLength), "{before:?} {bad:?}");
        }
    }
    let (envelope, body) = solicitation(&[&[200, 1, 0, 0, 0, 0, 0, 0][..], &lla(1)].concat());
    let bytes = message(envelope, &[&body]);
    let Ok(Message::NeighborSolicitation(ns)) = Message::parse(envelope, &bytes) else { panic!() };
    assert_eq!(ns.source_mac, Some(MacAddr(MAC)), "unknown options are passed over");
}

// N02, RFC 4861 7.1.1.
#[test]
fn who_has_no_address_asks_in_a_solicited_node_group_and_names_no_mac() {
    let ns = [&header(135, [0; 4])[..], &octets("fd88::1")].concat();
    assert_eq!(parse(envelope("::", "ff02::1:ff00:1"), &[&ns]), Ok(()));
    for dst in ["ff02::1", "fd88::1", "ff02::2:ff00:1", "ff05::1:ff00:1"] {
        assert_eq!(parse(envelope("::", dst), &[&ns]), Err(NdiscError::Source), "{dst}");
    }
    assert_eq!(parse(envelope("::", "ff02::1:ff00:1"), &[&ns, &lla(1)]), Err(NdiscError::Source));
    // RFC 4861 6.1.1: nor who looks for routers.
    assert_eq!(parse(envelope("::", "ff02::2"), &[&header(133, [0; 4])]), Ok(()));
    assert_eq!(parse(envelope("::", "ff02::2"), &[&header(133, [0; 4]), &lla(1)]), Err(NdiscError::Source));
}

// RFC 4861 7.1.2; V04, RFC 4291 2.5.2.
#[test]
fn an_advertisement_to_a_group_answers_nobody_and_one_from_nobody_says_nothing() {
    let na = |src, dst, flags| parse(envelope(src, dst), &[&advertisement(flags, &lla(2))]);
    assert_eq!(na("fd88::2", "ff02::1", 0x60), Err(NdiscError::SolicitedToGroup));
    assert_eq!(na("fd88::2", "ff02::1", 0x20), Ok(()));
    assert_eq!(na("fd88::2", "fd88::1", 0x60), Ok(()));
    assert_eq!(na("::", "fd88::1", 0x60), Err(NdiscError::Source));
}

// N13, N15, RFC 4861 6.1.2, 8.1.
#[test]
fn routers_speak_from_link_local_addresses() {
    let ra = [&header(134, [0; 4])[..], &[0; 8]].concat();
    let redirect = [&header(137, [0; 4])[..], &octets("fe80::2"), &octets("fd88::9")].concat();
    for body in [ra, redirect] {
        for (src, expected) in [
            ("fe80::1", Ok(())),
            ("febf::1", Ok(())),
            ("fec0::1", Err(NdiscError::Source)),
            ("2001:db8::1", Err(NdiscError::Source)),
            ("::", Err(NdiscError::Source)),
        ] {
            assert_eq!(parse(envelope(src, "fd88::1"), &[&body]), expected, "{src}");
        }
    }
}

// N15, RFC 4861 8.1.
#[test]
fn a_redirect_leads_to_a_router_of_the_link_or_to_a_neighbour() {
    for (target, destination, expected) in [
        ("fe80::2", "2001:db8::9", Ok(())),
        ("2001:db8::9", "2001:db8::9", Ok(())),
        ("2001:db8::8", "2001:db8::9", Err(NdiscError::Target)),
        ("ff02::1", "2001:db8::9", Err(NdiscError::Target)),
        ("fe80::2", "ff0e::1", Err(NdiscError::Destination)),
    ] {
        let body = [&header(137, [0; 4])[..], &octets(target), &octets(destination)].concat();
        assert_eq!(parse(envelope("fe80::1", "fd88::1"), &[&body]), expected, "{target} {destination}");
    }
}

// RFC 2464 6: an Ethernet address takes one unit; and as A07, no single host has a group's.
#[test]
fn a_link_layer_address_is_one_hosts_ethernet_address() {
    for bad in [
        &[1, 2, 2, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0][..],
        &[1, 1, 0x33, 0x33, 0, 0, 0, 1],
        &[1, 1, 0, 0, 0, 0, 0, 0],
        &[1, 1, 255, 255, 255, 255, 255, 255],
    ] {
        let (envelope, body) = solicitation(bad);
        assert_eq!(parse(envelope, &[&body]), Err(NdiscError::LinkLayerAddress), "{bad:?}");
        // The one that has no business in this message is not looked at. RFC 4861 7.1.1.
        let mut other = bad.to_vec();
        other[0] = 2;
        let (envelope, body) = solicitation(&other);
        assert_eq!(parse(envelope, &[&body]), Ok(()));
    }
}

// An option of a known type with a length that is not its own says nothing, as Linux takes it.
#[test]
fn an_option_of_a_length_that_its_type_has_not_is_passed_over() {
    let prefix = |units: u8, len: u8| {
        let mut option = vec![0; usize::from(units) * 8];
        option[..3].copy_from_slice(&[3, units, len]);
        option
    };
    let route = |units: u8, len: u8, flags: u8| {
        let mut option = vec![0; usize::from(units) * 8];
        option[..4].copy_from_slice(&[24, units, len, flags]);
        option
    };
    let envelope = envelope("fe80::1", "ff02::1");
    let read = |option: &[u8]| {
        let bytes = message(envelope, &[&header(134, [0; 4]), &[0; 8], option]);
        let Ok(Message::RouterAdvertisement(ra)) = Message::parse(envelope, &bytes) else { panic!() };
        !matches!(ra.options.iter().next(), Some(NdOption::Other(_)))
    };
    assert!(read(&prefix(4, 64)) && read(&prefix(4, 128)));
    assert!(!read(&prefix(3, 64)) && !read(&prefix(5, 64)) && !read(&prefix(4, 129)));
    assert!(!read(&[5, 2, 0, 0, 0, 0, 5, 220, 0, 0, 0, 0, 0, 0, 0, 0]));
    // RFC 4191 2.3.
    assert!(
        read(&route(1, 0, 0)) && read(&route(2, 64, 0)) && read(&route(3, 128, 0)) && read(&route(3, 1, 0))
    );
    assert!(!read(&route(1, 1, 0)) && !read(&route(2, 65, 0)) && !read(&route(3, 129, 0)));
    assert!(!read(&route(4, 64, 0)) && !read(&route(2, 64, 0x10)));
}

#[test]
fn what_is_no_neighbour_discovery_is_none() {
    for kind in (0..=255).filter(|kind| !(133..=137).contains(kind)) {
        let (envelope, mut body) = solicitation(&[]);
        body[0] = kind;
        assert_eq!(parse(envelope, &[&body]), Err(NdiscError::UnknownType(kind)));
        assert!(!is_ndisc(kind));
    }
}

fn emitted(repr: Repr, envelope: Envelope) -> Vec<u8> {
    let mut out = [0xee; 64];
    let len = repr.emit(envelope.src, envelope.dst, &mut out).unwrap();
    assert_eq!((len, out[len]), (repr.len(), 0xee));
    for short in 0..len {
        let mut out = [0xee; 64];
        assert_eq!(repr.emit(envelope.src, envelope.dst, &mut out[..short]), None);
        assert_eq!(out, [0xee; 64]);
    }
    out[..len].to_vec()
}

// N03, N04, N07: what is written is what the RFC's figures show.
#[test]
fn a_hosts_messages_are_laid_out_as_rfc_4861_says() {
    let (envelope, expected) = solicitation(&[lla(1), vec![14, 1, 9, 8, 7, 6, 5, 4]].concat());
    let ns = Repr::NeighborSolicitation {
        target: addr("fd88::1"),
        source_mac: Some(MacAddr(MAC)),
        nonce: Some([9, 8, 7, 6, 5, 4]),
    };
    assert_eq!(emitted(ns, envelope), message(envelope, &[&expected]));

    let dad = self::envelope("::", "ff02::1:ff00:1");
    let ns = Repr::NeighborSolicitation { target: addr("fd88::1"), source_mac: None, nonce: None };
    assert_eq!(emitted(ns, dad), message(dad, &[&header(135, [0; 4]), &octets("fd88::1")]));

    let envelope = self::envelope("fd88::2", "fd88::1");
    for (solicited, override_flag, flags) in [(true, true, 0x60), (true, false, 0x40), (false, true, 0x20)] {
        let target_mac = override_flag.then_some(MacAddr(MAC));
        let na =
            Repr::NeighborAdvertisement { target: addr("fd88::2"), target_mac, solicited, override_flag };
        let options = if override_flag { lla(2) } else { vec![] };
        assert_eq!(emitted(na, envelope), message(envelope, &[&advertisement(flags, &options)]));
    }

    let rs = Repr::RouterSolicitation { source_mac: Some(MacAddr(MAC)) };
    let envelope = self::envelope("fe80::1", "ff02::2");
    assert_eq!(emitted(rs, envelope), message(envelope, &[&header(133, [0; 4]), &lla(1)]));
    let rs = Repr::RouterSolicitation { source_mac: None };
    assert_eq!(emitted(rs, envelope).len(), 8);
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(
        kind in 130u8..140, rest: [u8; 4], body in proptest::collection::vec(any::<u8>(), 0..200)
    ) {
        let envelope = envelope("fe80::1", "fd88::1");
        let bytes = message(envelope, &[&header(kind, rest), &body]);
        if let Ok(Message::RouterAdvertisement(ra)) = Message::parse(envelope, &bytes) {
            prop_assert!(ra.options.iter().count() <= body.len() / 8);
        }
    }

    #[test]
    fn any_options_end_where_the_message_does(units in proptest::collection::vec((any::<u8>(), 1u8..6), 0..20)) {
        let options: Vec<u8> = units
            .iter()
            .flat_map(|(kind, units)| {
                let mut option = vec![2; usize::from(*units) * 8];
                option[..2].copy_from_slice(&[*kind, *units]);
                option
            })
            .collect();
        let parsed = Options::parse(&options).unwrap();
        prop_assert_eq!(parsed.iter().count(), units.len());
        if !options.is_empty() {
            prop_assert_eq!(Options::parse(&options[..options.len() - 1]), Err(NdiscError::OptionLength));
        }
    }
}
