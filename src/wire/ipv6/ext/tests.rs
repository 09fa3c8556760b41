//! Extension headers: from RFC 8200 4, and what Linux says to the same bytes; and chains at random, held against a model
//! that knows what they were made of.

use core::net::Ipv6Addr;

use super::*;
use crate::wire::ipv6::{HOP_LIMIT_UNICAST, Repr};
use proptest::prelude::*;

/// What stands behind all extension headers of these tests, unless they say otherwise.
const UPPER: [u8; 24] = [0x5a; 24];

/// A packet whose first next header is `next` and whose payload is `payload`.
fn packet(next: u8, payload: &[u8]) -> Vec<u8> {
    let repr = Repr {
        traffic_class: 0,
        flow_label: 0,
        payload_len: u16::try_from(payload.len()).unwrap(),
        next_header: next,
        hop_limit: HOP_LIMIT_UNICAST,
        src: Ipv6Addr::new(0xfd88, 0, 0, 0, 0, 0, 0, 2),
        dst: Ipv6Addr::new(0xfd88, 0, 0, 0, 0, 0, 0, 1),
    };
    let mut out = vec![0; HEADER_LEN + payload.len()];
    repr.emit(&mut out).unwrap().copy_from_slice(payload);
    out
}

/// The verdict on a packet with these extension headers, each given by its number and its bytes behind the next header,
/// and `upper` behind them.
fn verdict_with(chain: &[(u8, &[u8])], (protocol, upper): (u8, &[u8])) -> Result<Chain, ExtError> {
    let mut payload = Vec::new();
    for (i, (_, bytes)) in chain.iter().enumerate() {
        payload.push(chain.get(i + 1).map_or(protocol, |(number, _)| *number));
        payload.extend(*bytes);
    }
    payload.extend(upper);
    let first = chain.first().map_or(protocol, |(number, _)| *number);
    let whole = packet(first, &payload);
    let verdict = walk(&Ipv6::parse(&whole).unwrap());
    // The same in two pieces, cut behind any extension header; and with the payload in one buffer of its own.
    let mut cut = HEADER_LEN;
    for (_, bytes) in chain {
        let (front, body) = whole.split_at(cut);
        assert_eq!(walk(&Ipv6::in_pieces(front, body).unwrap()), verdict, "cut at {cut}");
        cut += 1 + bytes.len();
    }
    verdict
}

fn verdict(chain: &[(u8, &[u8])]) -> Result<Chain, ExtError> {
    verdict_with(chain, (NEXT_HEADER_UDP, &UPPER))
}

/// The bytes of an options header with these options, padded as RFC 8200 4.2 has it.
fn options(bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![0];
    out.extend(bytes);
    match (out.len() + 1).next_multiple_of(8) - out.len() - 1 {
        0 => {}
        1 => out.push(OPTION_PAD1),
        n => out.extend([&[OPTION_PADN, u8::try_from(n - 2).unwrap()][..], &vec![0; n - 2]].concat()),
    }
    out[0] = u8::try_from((out.len() + 1) / 8 - 1).unwrap();
    out
}

fn fragment(offset: u16, more: bool, id: u32) -> [u8; 7] {
    let [a, b] = (offset | u16::from(more)).to_be_bytes();
    let [i, j, k, l] = id.to_be_bytes();
    [0, a, b, i, j, k, l]
}

const HBH: u8 = NEXT_HEADER_HOP_BY_HOP;
const DST: u8 = NEXT_HEADER_DESTINATION;
const RTH: u8 = NEXT_HEADER_ROUTING;
const FRAG: u8 = NEXT_HEADER_FRAGMENT;
const PADDED: &[u8] = &[0, 1, 4, 0, 0, 0, 0];

fn plain(protocol: u8, offset: u16, named_at: u16) -> Chain {
    Chain { protocol, offset, named_at, router_alert: false, fragment: None }
}

#[test]
fn a_packet_without_extension_headers_carries_what_its_header_names() {
    for protocol in (0..=255).filter(|p| !is_extension(*p)) {
        assert_eq!(verdict_with(&[], (protocol, &UPPER)), Ok(plain(protocol, 40, 6)));
        assert_eq!(verdict_with(&[], (protocol, &[])), Ok(plain(protocol, 40, 6)));
    }
}

// V08, RFC 8200 4: the pointer is to the field that names it, not to what it names.
#[test]
fn the_field_that_names_the_upper_layer_is_known() {
    assert_eq!(verdict_with(&[(DST, PADDED)], (253, &UPPER)), Ok(plain(253, 48, 0x28)));
    let long = options(&[0x1e, 20, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20]);
    assert_eq!(verdict_with(&[(DST, &long), (DST, PADDED)], (59, &[])), Ok(plain(59, 72, 64)));
    // Without IPsec, these are unknown like any other (Linux).
    for ipsec in [50, 51] {
        assert_eq!(verdict_with(&[(HBH, PADDED)], (ipsec, &UPPER)), Ok(plain(ipsec, 48, 40)));
    }
}

// V07, RFC 8200 4.1: directly behind the header or nowhere.
#[test]
fn hop_by_hop_options_come_first_or_are_unknown() {
    assert_eq!(verdict(&[(HBH, PADDED)]), Ok(plain(17, 48, 40)));
    assert_eq!(verdict(&[(DST, PADDED), (HBH, PADDED)]), Err(ExtError::HopByHopMisplaced { named_at: 0x28 }));
    assert_eq!(verdict(&[(HBH, PADDED), (HBH, PADDED)]), Err(ExtError::HopByHopMisplaced { named_at: 0x28 }));
    let late = [(HBH, PADDED), (DST, PADDED), (HBH, PADDED)];
    assert_eq!(verdict(&late), Err(ExtError::HopByHopMisplaced { named_at: 0x30 }));
    // Any other order is read as it comes (RFC 8200 4.1).
    assert_eq!(verdict(&[(RTH, &[0; 7]), (DST, PADDED), (RTH, &[0; 7])]), Ok(plain(17, 64, 56)));
}

// V09, RFC 8200 4.2: the highest two bits say what becomes of an unknown option, in either header.
#[test]
fn an_unknown_option_says_itself_what_becomes_of_it() {
    for header in [HBH, DST] {
        for kind in 0..=0xff {
            let bytes = options(&[kind, 2, 0, 0]);
            let want = match (kind, header) {
                (OPTION_PAD1, _) => continue,
                (OPTION_ROUTER_ALERT, HBH) => Ok(Chain { router_alert: true, ..plain(17, 48, 40) }),
                (OPTION_JUMBO, HBH) => Err(ExtError::OptionInvalid),
                (0x00..=0x3f, _) => Ok(plain(17, 48, 40)),
                (0x40..=0x7f, _) => Err(ExtError::OptionUnknown { at: 0x2a, tell: Tell::Nobody }),
                (0x80..=0xbf, _) => Err(ExtError::OptionUnknown { at: 0x2a, tell: Tell::Sender }),
                (0xc0..=0xff, _) => Err(ExtError::OptionUnknown { at: 0x2a, tell: Tell::SenderUnlessGroup }),
            };
            assert_eq!(verdict(&[(header, &bytes)]), want, "option {kind:#x} in {header}");
        }
    }
}

#[test]
fn the_pointer_is_to_the_option_wherever_it_lies() {
    let behind = options(&[0x1e, 3, 1, 2, 3, 0x80, 0]);
    let at = |chain: &[(u8, &[u8])]| verdict(chain).unwrap_err();
    let unknown = |at| ExtError::OptionUnknown { at, tell: Tell::Sender };
    assert_eq!(at(&[(DST, &behind)]), unknown(40 + 2 + 5));
    assert_eq!(at(&[(HBH, PADDED), (RTH, &[0; 7]), (DST, &behind)]), unknown(56 + 2 + 5));
    // The first that is wrong is the one that counts.
    assert_eq!(
        at(&[(DST, &options(&[0x40, 0, 0x80, 0]))]),
        ExtError::OptionUnknown { at: 42, tell: Tell::Nobody }
    );
}

// V12, RFC 8200 4.2: an option ends inside its header.
#[test]
fn an_option_that_leads_out_of_its_header_is_invalid() {
    for bytes in [
        [0, 0x1e, 5, 0, 0, 0, 0],
        [0, 0x1e, 255, 0, 0, 0, 0],
        [0, 1, 5, 0, 0, 0, 0],
        [0, 1, 2, 0, 0, 0x1e, 1],
    ] {
        assert_eq!(verdict(&[(DST, &bytes)]), Err(ExtError::OptionInvalid), "{bytes:?}");
    }
    // A type without a length.
    assert_eq!(verdict(&[(DST, &[0, 1, 3, 0, 0, 0, 0x1e])]), Err(ExtError::OptionInvalid));
    assert_eq!(verdict(&[(DST, &[0, 0x1e, 4, 0, 0, 0, 0])]), Ok(plain(17, 48, 40)));
}

// V11, RFC 8504 5.3, RFC 4942 2.1.9.5.
#[test]
fn padding_is_short_and_empty() {
    assert_eq!(verdict(&[(DST, &[0; 7])]), Ok(plain(17, 48, 40)), "six Pad1");
    // 7 bytes between options are the most; a run counts as one, whatever it is made of.
    let run =
        |n: usize| verdict(&[(DST, &options(&[&[0x1e, 0][..], &vec![0; n], &[0x1e, 2, 0, 0]].concat()))]);
    assert!(run(7).is_ok());
    assert_eq!(run(8), Err(ExtError::TooMany));
    let mixed = |n: usize| [&[1, 3, 0, 0, 0][..], &vec![0; n], &[0x1e, 3, 0, 0, 0]].concat();
    assert!(verdict(&[(DST, &options(&mixed(2)))]).is_ok());
    assert_eq!(verdict(&[(DST, &options(&mixed(3)))]), Err(ExtError::TooMany));
    assert_eq!(verdict(&[(DST, &options(&[1, 6, 0, 0, 0, 0, 0, 0]))]), Err(ExtError::TooMany));
    assert_eq!(verdict(&[(DST, &options(&[1, 2, 0, 1]))]), Err(ExtError::OptionInvalid));
}

// V11, RFC 8504 5.3.
#[test]
fn more_than_eight_options_or_headers_are_too_many() {
    let many = |n: usize| options(&[0x1e, 1, 0].repeat(n));
    assert!(verdict(&[(DST, &many(8))]).is_ok());
    assert_eq!(verdict(&[(DST, &many(9))]), Err(ExtError::TooMany));
    assert!(verdict(&[(HBH, &many(8)), (DST, &many(8))]).is_ok(), "of each header");
    let headers: Vec<(u8, &[u8])> = vec![(DST, PADDED); 9];
    assert_eq!(verdict(&headers[..8]), Ok(plain(17, 104, 96)));
    assert_eq!(verdict(&headers), Err(ExtError::TooMany));
}

// V11: the longest that there can be, in steps of which there are few.
#[test]
fn the_longest_chain_ends() {
    let long = options(&[&[0x1e, 255][..], &[7; 255]].concat().repeat(7));
    let headers: Vec<(u8, &[u8])> = vec![(DST, &long); 8];
    let offset = 40 + 8 * (1 + long.len());
    assert_eq!(verdict(&headers).map(|c| usize::from(c.offset)), Ok(offset));
}

// V10, RFC 8200 4.4, RFC 5095 3.
#[test]
fn a_routing_header_is_passed_over_when_it_has_led_where_it_leads() {
    for kind in [0, 1, 2, 3, 4, 253, 255] {
        let header = |left: u8| [0, kind, left, 0, 0, 0, 0];
        assert_eq!(verdict(&[(RTH, &header(0))]), Ok(plain(17, 48, 40)));
        for left in [1, 2, 255] {
            assert_eq!(verdict(&[(RTH, &header(left))]), Err(ExtError::Routing { type_at: 0x2a }));
        }
    }
    let mut long = vec![2, 0, 1];
    long.resize(23, 0);
    assert_eq!(verdict(&[(HBH, PADDED), (RTH, &long)]), Err(ExtError::Routing { type_at: 0x32 }));
}

// RFC 2711 2.1: where it means something, it has two bytes.
#[test]
fn a_router_alert_is_seen_where_it_counts() {
    let alert = options(&[5, 2, 0, 0]);
    assert!(verdict(&[(HBH, &alert)]).unwrap().router_alert);
    assert!(!verdict(&[(DST, &alert)]).unwrap().router_alert);
    assert!(!verdict(&[(HBH, PADDED)]).unwrap().router_alert);
    for wrong in [&[5, 0][..], &[5, 1, 0], &[5, 3, 0, 0, 0]] {
        assert_eq!(verdict(&[(HBH, &options(wrong))]), Err(ExtError::OptionInvalid));
        assert!(verdict(&[(DST, &options(wrong))]).is_ok());
    }
}

// U07, RFC 2675 3: a packet with a payload length is no jumbogram.
#[test]
fn a_jumbo_payload_is_refused() {
    let jumbo = |len: u32| options(&[&[OPTION_JUMBO, 4][..], &len.to_be_bytes()].concat());
    assert_eq!(verdict(&[(HBH, &jumbo(65536))]), Err(ExtError::Jumbo { at: 42 }));
    assert_eq!(verdict(&[(HBH, &jumbo(65535))]), Err(ExtError::Jumbo { at: 44 }));
    let misaligned = options(&[&[0, 0, OPTION_JUMBO, 4][..], &[0, 1, 0, 0]].concat());
    assert_eq!(verdict(&[(HBH, &misaligned)]), Err(ExtError::OptionInvalid));
    // In Destination Options it is as unknown as its type says.
    let unknown = ExtError::OptionUnknown { at: 42, tell: Tell::SenderUnlessGroup };
    assert_eq!(verdict(&[(DST, &jumbo(65536))]), Err(unknown));
    // Without one, a jumbogram has no payload to look at.
    let mut bytes = packet(HBH, &[&[NEXT_HEADER_UDP][..], &jumbo(65536), &UPPER].concat());
    bytes[4..6].fill(0);
    assert_eq!(walk(&Ipv6::parse(&bytes).unwrap()), Err(ExtError::Truncated));
}

// W01, RFC 6946 4: what says that it is alone is. W09: the reserved bits mean nothing.
#[test]
fn an_atomic_fragment_is_a_whole_packet() {
    let header =
        FragmentHeader { at: 40, named_at: 6, next_header: 17, offset: 0, more: false, id: 0xdead_beef };
    let want = Chain { fragment: Some(header), ..plain(17, 48, 40) };
    assert_eq!(verdict(&[(FRAG, &fragment(0, false, 0xdead_beef))]), Ok(want));
    assert_eq!(want.part(), None);
    let reserved = [0xff, 0, 6, 0xde, 0xad, 0xbe, 0xef];
    assert_eq!(verdict(&[(FRAG, &reserved)]), Ok(want));
    // Headers on both sides of it are looked at.
    let bad = options(&[0x80, 0]);
    let chain: &[(u8, &[u8])] = &[(DST, PADDED), (FRAG, &fragment(0, false, 1)), (DST, &bad)];
    assert_eq!(verdict(chain), Err(ExtError::OptionUnknown { at: 58, tell: Tell::Sender }));
    let chain: &[(u8, &[u8])] = &[(FRAG, &fragment(0, false, 1)), (FRAG, &fragment(0, true, 1))];
    assert_eq!(verdict(chain), Err(ExtError::Fragment { at: 48 }));
}

#[test]
fn a_fragment_ends_the_walk_and_says_where_it_lies() {
    let alert = options(&[5, 2, 0, 0]);
    let chain: &[(u8, &[u8])] = &[(HBH, &alert), (DST, PADDED), (FRAG, &fragment(1448, true, 7))];
    let header = FragmentHeader { at: 56, named_at: 48, next_header: 17, offset: 1448, more: true, id: 7 };
    let want = Chain { router_alert: true, fragment: Some(header), ..plain(17, 64, 56) };
    assert_eq!(verdict(chain), Ok(want));
    assert_eq!(want.part(), Some(header));
    // What a later part begins with is no header, whatever its Fragment header calls it.
    let last = verdict_with(&[(FRAG, &fragment(8, false, 7))], (DST, &[0xff; 3])).unwrap();
    assert_eq!((last.protocol, last.offset), (DST, 48));
    // Of a first one only the length is looked at: the rest is for the whole packet.
    let bad = options(&[0x80, 0]);
    let first = verdict(&[(FRAG, &fragment(0, true, 7)), (DST, &bad)]).unwrap();
    let part = first.part().unwrap();
    assert_eq!((part.next_header, part.at, part.offset), (DST, 40, 0));
    assert_eq!((first.protocol, first.offset, first.named_at), (17, 56, 48));
    let before = verdict(&[(DST, &bad), (FRAG, &fragment(0, true, 7))]);
    assert_eq!(before, Err(ExtError::OptionUnknown { at: 42, tell: Tell::Sender }));
}

// W06, RFC 7112 5: a first fragment has all headers, through the upper layer's.
#[test]
fn a_first_fragment_without_all_headers_is_incomplete() {
    let first = fragment(0, true, 1);
    let of = |chain: &[(u8, &[u8])], upper: (u8, &[u8])| {
        verdict_with(&[&[(FRAG, &first[..])], chain].concat(), upper).map(|_| ())
    };
    let incomplete = Err(ExtError::FirstFragmentIncomplete);
    for (protocol, least) in [(17, 8), (58, 8), (6, 20), (253, 1), (50, 1), (59, 0)] {
        for len in 0..24 {
            let want = if len < least { incomplete } else { Ok(()) };
            assert_eq!(of(&[], (protocol, &UPPER[..len])), want, "{len} bytes of {protocol}");
            assert_eq!(of(&[(DST, PADDED), (RTH, &[0; 7])], (protocol, &UPPER[..len])), want);
        }
    }
    // A header of 16 bytes, of which there are 0 to 15.
    for len in 0..16 {
        let bytes = [17, 1, 1, 4, 0, 0, 0, 0, 0x1e, 6, 0, 0, 0, 0, 0, 0];
        assert_eq!(of(&[], (DST, &bytes[..len])), incomplete, "{len} bytes");
    }
    assert_eq!(of(&[(DST, PADDED); 7], (17, &UPPER)), Ok(()));
    assert_eq!(of(&[(DST, PADDED); 8], (17, &UPPER)), Err(ExtError::TooMany));
    // A fragment of a fragment never becomes whole.
    assert_eq!(of(&[(FRAG, &fragment(0, true, 2))], (17, &UPPER)), Err(ExtError::Fragment { at: 48 }));
    assert_eq!(of(&[(FRAG, &fragment(0, false, 2))], (17, &UPPER)), Err(ExtError::Fragment { at: 48 }));
}

// V12, E17: the packet cut at any byte of its chain.
#[test]
fn a_chain_cut_at_any_byte_is_refused() {
    let long = options(&[0x1e, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    let mut payload = vec![DST];
    payload.extend(PADDED);
    payload.push(RTH);
    payload.extend(&long);
    payload.push(FRAG);
    payload.extend([0; 7]);
    payload.push(17);
    payload.extend(fragment(0, false, 3));
    let fragment_at = payload.len() - 8;
    for len in 0..payload.len() {
        let bytes = packet(HBH, &payload[..len]);
        let verdict = walk(&Ipv6::parse(&bytes).unwrap());
        let want = if len < fragment_at {
            ExtError::Truncated
        } else {
            ExtError::Fragment { at: u16::try_from(40 + fragment_at).unwrap() }
        };
        assert_eq!(verdict, Err(want), "{len} bytes");
    }
    assert!(walk(&Ipv6::parse(&packet(HBH, &payload)).unwrap()).is_ok());
}

/// One header of a chain at random, before it is bytes.
#[derive(Clone, Debug)]
enum Header {
    Options { hop_by_hop: bool, options: Vec<(u8, u8)> },
    Routing { kind: u8, left: u8, words: u8 },
    Fragment { offset: u16, more: bool, id: u32 },
}

impl Header {
    fn number(&self) -> u8 {
        match self {
            Self::Options { hop_by_hop: true, .. } => HBH,
            Self::Options { hop_by_hop: false, .. } => DST,
            Self::Routing { .. } => RTH,
            Self::Fragment { .. } => FRAG,
        }
    }

    /// Its bytes behind the next header.
    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Options { options: list, .. } => {
                let one = |(kind, len): &(u8, u8)| [&[*kind, *len][..], &vec![0; usize::from(*len)]].concat();
                options(&list.iter().flat_map(one).collect::<Vec<u8>>())
            }
            Self::Routing { kind, left, words } => {
                let mut bytes = vec![*words, *kind, *left];
                bytes.resize(7 + 8 * usize::from(*words), 0xaa);
                bytes
            }
            Self::Fragment { offset, more, id } => fragment(*offset, *more, *id).to_vec(),
        }
    }

    /// What is wrong with it at `at`, by itself.
    fn error(&self, at: u16) -> Option<ExtError> {
        match self {
            Self::Options { hop_by_hop, options } => {
                let mut here = at + 2;
                for (n, (kind, len)) in options.iter().enumerate() {
                    if n >= 8 {
                        return Some(ExtError::TooMany);
                    }
                    match kind {
                        5 if *hop_by_hop => {
                            if *len != 2 {
                                return Some(ExtError::OptionInvalid);
                            }
                        }
                        0xc2 if *hop_by_hop => {
                            let good = *len == 4 && here % 4 == 2;
                            return Some(if good {
                                ExtError::Jumbo { at: here + 2 }
                            } else {
                                ExtError::OptionInvalid
                            });
                        }
                        _ => {
                            let tell =
                                [None, Some(Tell::Nobody), Some(Tell::Sender), Some(Tell::SenderUnlessGroup)];
                            if let Some(tell) = tell[usize::from(*kind / 64)] {
                                return Some(ExtError::OptionUnknown { at: here, tell });
                            }
                        }
                    }
                    here += 2 + u16::from(*len);
                }
                None
            }
            Self::Routing { left, .. } => (*left != 0).then_some(ExtError::Routing { type_at: at + 2 }),
            Self::Fragment { .. } => None,
        }
    }
}

/// What RFC 8200 says to `chain` with `upper` bytes of `protocol` behind it.
fn model(chain: &[Header], protocol: u8, upper: usize) -> Result<Chain, ExtError> {
    let mut want = plain(protocol, 40, 6);
    for (i, header) in chain.iter().enumerate() {
        let number = header.number();
        if number == HBH && i > 0 {
            return Err(ExtError::HopByHopMisplaced { named_at: want.named_at });
        }
        if i == 8 {
            return Err(ExtError::TooMany);
        }
        if let Some(error) = header.error(want.offset) {
            return Err(error);
        }
        if let Header::Options { hop_by_hop: true, options } = header {
            want.router_alert = options.iter().any(|(kind, _)| *kind == 5);
        }
        let (at, named_at) = (want.offset, want.named_at);
        want.named_at = at;
        want.offset += 1 + u16::try_from(header.bytes().len()).unwrap();
        if let Header::Fragment { offset, more, id } = *header {
            if want.fragment.is_some() {
                return Err(ExtError::Fragment { at });
            }
            let next_header = chain.get(i + 1).map_or(protocol, Header::number);
            want.fragment = Some(FragmentHeader { at, named_at, next_header, offset, more, id });
            want.protocol = next_header;
            if offset > 0 {
                return Ok(want);
            }
            if more {
                let rest = &chain[i + 1..];
                let again = rest.iter().position(|h| h.number() == FRAG);
                let room = 8 - (i + 1);
                if let Some(again) = again.filter(|again| *again <= room) {
                    let before: u16 =
                        rest[..again].iter().map(|h| 1 + u16::try_from(h.bytes().len()).unwrap()).sum();
                    return Err(ExtError::Fragment { at: want.offset + before });
                }
                if rest.len() > room {
                    return Err(ExtError::TooMany);
                }
                let least = if matches!(protocol, 17 | 58) { 8 } else { 1 };
                if upper < least {
                    return Err(ExtError::FirstFragmentIncomplete);
                }
                for header in rest {
                    want.named_at = want.offset;
                    want.offset += 1 + u16::try_from(header.bytes().len()).unwrap();
                }
                return Ok(Chain { protocol, ..want });
            }
        }
    }
    Ok(Chain { protocol, ..want })
}

fn any_header() -> impl Strategy<Value = Header> {
    let option = (
        prop_oneof![4 => 2u8..64, 1 => any::<u8>().prop_filter("padding", |k| *k > 1), 1 => Just(5), 1 => Just(0xc2)],
        0u8..6,
    );
    let options = proptest::collection::vec(option, 0..10);
    prop_oneof![
        4 => (any::<bool>(), options).prop_map(|(hop_by_hop, options)| Header::Options { hop_by_hop, options }),
        2 => (any::<u8>(), prop_oneof![3 => Just(0), 1 => any::<u8>()], 0u8..4)
            .prop_map(|(kind, left, words)| Header::Routing { kind, left, words }),
        1 => (prop_oneof![Just(0), (0u16..0x1fff).prop_map(|o| o << 3)], any::<bool>(), any::<u32>())
            .prop_map(|(offset, more, id)| Header::Fragment { offset, more, id }),
    ]
}

proptest! {
    #[test]
    fn any_chain_is_judged_as_the_model_judges_it(
        chain in proptest::collection::vec(any_header(), 0..11),
        protocol in prop_oneof![Just(17u8), Just(58), Just(253)],
        upper in 0usize..12,
    ) {
        let bytes: Vec<(u8, Vec<u8>)> = chain.iter().map(|h| (h.number(), h.bytes())).collect();
        let borrowed: Vec<(u8, &[u8])> = bytes.iter().map(|(number, bytes)| (*number, bytes.as_slice())).collect();
        prop_assert_eq!(verdict_with(&borrowed, (protocol, &UPPER[..upper])), model(&chain, protocol, upper));
    }

    #[test]
    fn any_bytes_are_walked_within_their_bounds(
        mut payload in proptest::collection::vec(prop_oneof![any::<u8>(), Just(0), Just(1), Just(60), Just(43), Just(44)], 0..200),
        first in prop_oneof![Just(0u8), Just(43), Just(44), Just(60), any::<u8>()],
        cut in 0usize..200,
    ) {
        let bytes = packet(first, &payload);
        if let Ok(chain) = walk(&Ipv6::parse(&bytes).unwrap()) {
            prop_assert!(usize::from(chain.offset) <= bytes.len());
            prop_assert!(chain.named_at < chain.offset);
            prop_assert_eq!(bytes[usize::from(chain.named_at)], chain.protocol);
            if let Some(fragment) = chain.fragment {
                prop_assert_eq!(bytes[usize::from(fragment.named_at)], NEXT_HEADER_FRAGMENT);
            }
        }
        // In any two pieces, too, it neither leaves them nor finds what is not there.
        let body = payload.split_off(cut.min(payload.len()));
        let front = &bytes[..bytes.len() - body.len()];
        if let Ok(chain) = walk(&Ipv6::in_pieces(front, &body).unwrap()) {
            prop_assert!(usize::from(chain.offset) <= bytes.len());
        }
    }
}
