//! What becomes of each kind of IPv6 frame, by the rows of the conformance matrix: `stack::ingress` alone, frame by frame.
//!
//! The frames are built and read by `sim::frames`, which shares no code with what is tested.

use std::sync::Arc;

use crate::ingress6_common::*;
use pollcast::addr::{Group, MacAddr};
use pollcast::io::{Cast, DropReason, InterfaceId, PacketBuf};
use pollcast::sim::frames::icmp6::IcmpFrame6;
use pollcast::sim::frames::ipv6::{Extension, HeaderOption, Ipv6, station_mac6};
use pollcast::sim::frames::udp6::UdpFrame6;
use pollcast::stack::ingress::{Punted, Verdict};
use proptest::prelude::*;

// Where IPv6 is off, its frames are as unknown as they are where nobody wrote it.
#[test]
fn an_interface_without_ipv6_does_not_know_it() {
    let mut host = Host::with(|interface| interface.v6.is_on = false);
    host.drops(&request().frame(), DropReason::EtherTypeUnknown);
}

// V01, E10, RFC 8200 3: the payload length, within the frame; what is behind it is padding.
#[test]
fn the_payload_length_is_held_against_the_frame() {
    let mut host = Host::new();
    let mut frame = request().frame();
    frame.extend([0xee; 20]);
    assert_eq!(host.delivers(&frame).payload(), b"hello");
    assert_eq!(host.echoes(&frame).payload, b"hello");
    frame[18..20].copy_from_slice(&[0, 34]);
    host.drops(&frame, DropReason::Ipv6Truncated);
    for version in (0..16).filter(|v| *v != 6) {
        let mut frame = request().frame();
        frame[14] = version << 4;
        host.drops(&frame, DropReason::Ipv6HeaderInvalid);
    }
}

// E17, V12: cut at any byte, with extension headers and without.
#[test]
fn frames_cut_short_at_any_byte_are_dropped() {
    let mut host = Host::new();
    let chain = [
        hop_by_hop(&[5]),
        destination_options(&[0x1e]),
        Extension::Fragment { offset: 0, more: false, id: 1 },
    ];
    for frame in
        [udp("[2001:db8::2]:7", &[7; 40]).frame(), udp("[2001:db8::2]:7", &[7; 40]).with(&chain).frame()]
    {
        for len in 0..frame.len() {
            assert!(matches!(host.see(&frame[..len]), Verdict::Drop(_)), "cut to {len}");
        }
        host.delivers(&frame);
        // Cut where its length says so, it is a whole packet of another kind, and still no datagram.
        for len in 0..frame.len() - 54 {
            let mut short = frame[..54 + len].to_vec();
            short[18..20].copy_from_slice(&u16::try_from(len).unwrap().to_be_bytes());
            assert!(matches!(host.see(&short), Verdict::Drop(_) | Verdict::Reject(..)), "{len}");
        }
    }
}

// V02, RFC 8200 3: the hop limit is spent by routers.
#[test]
fn any_hop_limit_is_as_good_as_another() {
    let mut host = Host::new();
    for hop_limit in [0, 1, 64, 255] {
        let datagram = host.delivers(&UdpFrame6 { hop_limit, ..request() }.frame());
        assert_eq!(datagram.ttl(), hop_limit);
    }
}

// V03, RFC 4291 2.5.3 and 2.7.
#[test]
fn destinations_that_no_wire_carries_are_dropped() {
    let mut host = Host::new();
    let own = station_mac6(v6(OWN));
    for destination in ["::1", "ff00::1", "ff01::1", "ff11::1:2:3"] {
        host.drops(&to(destination).to_mac(own).frame(), DropReason::Ipv6DestinationInvalid);
    }
    for destination in ["::", "2001:db8::3", "fe80::3", "::ffff:198.18.0.2"] {
        host.drops(&to(destination).to_mac(own).frame(), DropReason::Ipv6NotForUs);
    }
}

// V03, V04, V05, V06, RFC 4291 2.5.2, 2.5.3 and 2.7, RFC 4942 2.2: no answer, no error, whatever the port.
#[test]
fn sources_that_can_be_no_host_are_dropped() {
    let mut host = Host::new();
    for source in ["ff02::1", "ff0e::1:2:3", "::1", "::ffff:198.18.0.1", "::ffff:127.0.0.1", "::"] {
        host.drops(&from(source), DropReason::Ipv6SourceMartian);
    }
    for source in [OWN, "fe80::2"] {
        host.drops(&from(source), DropReason::Ipv6SourceOwn);
    }
    let closed = UdpFrame6::new("[::]:9", "[2001:db8::2]:80", b"x");
    host.drops(&closed.frame(), DropReason::Ipv6SourceMartian);
    let unknown = Ipv6::new(v6("::"), v6(OWN), 253).frame(&[0; 8]);
    host.drops(&unknown, DropReason::Ipv6SourceMartian);
}

// V04, RFC 4291 2.5.2, RFC 4861 4.1 and 4.3, RFC 3590 4: who has no address yet asks for neighbours and routers, and says
// which groups it hears.
#[test]
fn solicitations_and_reports_may_come_from_nobody() {
    let mut host = Host::new();
    let of = |kind, destination| {
        let frame = IcmpFrame6::between(v6("::"), v6(destination), kind, &[0; 20]);
        IcmpFrame6 { source_mac: station_mac6(v6(PEER)), ..frame }.frame()
    };
    let solicited = Group::solicited_node(v6(OWN)).addr().to_string();
    for (kind, destination, want) in [
        (135, solicited.as_str(), Some(Punted::Ndp)),
        (133, "ff02::1", Some(Punted::Ndp)),
        (131, "ff0e::1:2:3", Some(Punted::Mld)),
        (143, "ff02::1", Some(Punted::Mld)),
        (130, "ff02::1", None),
        (134, "ff02::1", None),
        (136, "ff02::1", None),
        (128, "ff02::1", None),
        (1, OWN, None),
    ] {
        match (host.see(&of(kind, destination)), want) {
            (Verdict::Punt(got, InterfaceId(0), _), Some(want)) => assert_eq!(got, want),
            (Verdict::Drop(why), None) => assert_eq!(why, DropReason::Ipv6SourceMartian, "{kind}"),
            (other, _) => panic!("{kind}: {other:?}"),
        }
    }
}

// E04, E16, U16, RFC 9777 4.2: by the group, whatever the MAC; and by its source, but for what keeps the link going.
#[test]
fn groups_are_heard_by_who_joined_them() {
    let mut host = Host::new();
    for group in ["ff0e::1:2:3", "ff3e::1:2:4", "ff02::1"] {
        let datagram = host.delivers(&to(group).frame());
        assert_eq!((datagram.cast(), datagram.destination().ip()), (Cast::Multicast, v6(group).into()));
    }
    host.drops(&to("ff0e::2:1:2:3").frame(), DropReason::Ipv6GroupNotJoined);
    host.drops(&to("ff0e::9").frame(), DropReason::EthernetGroupNotJoined);
    host.drops(&to("ff0e::9").to_mac(station_mac6(v6(OWN))).frame(), DropReason::Ipv6GroupNotJoined);
    host.delivers(&to("ff0e::1:2:3").to_mac(station_mac6(v6(OWN))).frame());
    let other = UdpFrame6::new("[2001:db8::9]:4000", "[ff3e::1:2:4]:7", b"x");
    host.drops(&other.frame(), DropReason::GroupSourceFiltered);
    let echo = IcmpFrame6::echo(v6("2001:db8::9"), v6("ff3e::1:2:4"), 1, 2, b"x").frame();
    host.drops(&echo, DropReason::GroupSourceFiltered);
    let query = IcmpFrame6::between(v6("fe80::9"), v6("ff3e::1:2:4"), 130, &[0; 20]);
    assert!(matches!(host.see(&query.frame()), Verdict::Punt(Punted::Mld, ..)));
}

// RFC 4291 2.8: a host hears the solicited-node groups of its addresses, whoever joined what.
#[test]
fn solicited_node_groups_are_heard_by_themselves() {
    let mut host = Host::with(|interface| interface.v6.groups = Arc::default());
    let solicitation = IcmpFrame6::between(v6(PEER), v6("ff02::1:ff00:2"), 135, &[0; 20]);
    let frame = solicitation.clone().to_mac(station_mac6(v6(OWN))).frame();
    assert!(matches!(host.see(&frame), Verdict::Punt(Punted::Ndp, ..)));
    let other = IcmpFrame6::between(v6(PEER), v6("ff02::1:ff00:3"), 135, &[0; 20]);
    host.drops(&other.to_mac(station_mac6(v6(OWN))).frame(), DropReason::Ipv6GroupNotJoined);
}

// E15: as for IPv4, silently, and by configuration.
#[test]
fn a_unicast_packet_in_a_group_frame_is_dropped_silently() {
    let all_nodes = MacAddr([0x33, 0x33, 0, 0, 0, 1]);
    let mut host = Host::new();
    for port in ["[2001:db8::2]:7", "[2001:db8::2]:80"] {
        for mac in [all_nodes, MacAddr::BROADCAST] {
            host.drops(&udp(port, b"x").to_mac(mac).frame(), DropReason::Ipv6UnicastInGroupFrame);
        }
    }
    let mut host = Host::with(|interface| interface.policy.accept_unicast_in_group_frames = true);
    host.delivers(&request().to_mac(all_nodes).frame());
    // K03, RFC 4443 2.4(e.4): taken or not, it provokes no error.
    host.drops(&udp("[2001:db8::2]:80", b"x").to_mac(all_nodes).frame(), DropReason::UdpNoPort);
}

// V07, RFC 8200 4.1.
#[test]
fn hop_by_hop_options_come_first() {
    let mut host = Host::new();
    host.delivers(&request().with(&[hop_by_hop(&[5])]).frame());
    let late = [destination_options(&[]), hop_by_hop(&[])];
    host.rejects(&request().with(&late).frame(), DropReason::Ipv6HeaderOrder, (4, 1, 0x28));
}

// V08, RFC 8200 4 and 4.7.
#[test]
fn an_unknown_next_header_is_told_with_the_field_that_names_it() {
    let ip = |next| Ipv6::new(v6(PEER), v6(OWN), next);
    let mut host = Host::new();
    for next in [253, 6, 50, 51, 132] {
        // Each is another host: errors are limited.
        host = Host::new();
        let why = DropReason::Ipv6NextHeaderUnknown;
        host.rejects(&ip(next).frame(&[0; 20]), why, (4, 1, 6));
        host.rejects(&ip(next).with(&[destination_options(&[])]).frame(&[0; 20]), why, (4, 1, 0x28));
    }
    host.drops(&ip(59).frame(&[]), DropReason::Ipv6NoNextHeader);
    host.drops(&ip(59).frame(&[0; 20]), DropReason::Ipv6NoNextHeader);
    // K03, RFC 4443 2.4(e.3): told to one host, never to many.
    let to_group = Ipv6::new(v6(PEER), v6("ff0e::1:2:3"), 253).frame(&[0; 20]);
    host.drops(&to_group, DropReason::Ipv6NextHeaderUnknown);
}

// V09, RFC 8200 4.2: all eight cases, four types to one host and to a group, in both headers.
#[test]
fn an_unknown_option_does_what_its_type_says() {
    for header in [hop_by_hop, destination_options] {
        let mut host = Host::new();
        for (destination, group) in [("2001:db8::2", false), ("ff0e::1:2:3", true)] {
            let mut see = |kind| host.see(&to(destination).with(&[header(&[kind])]).frame());
            assert!(matches!(see(0x1e), Verdict::Deliver(..)));
            assert!(matches!(see(0x5e), Verdict::Drop(DropReason::Ipv6OptionUnknown)));
            for (kind, told) in [(0x9e, true), (0xde, !group)] {
                match see(kind) {
                    Verdict::Reject(DropReason::Ipv6OptionUnknown, Some(error)) => {
                        assert!(told, "{kind:#x}");
                        let error = IcmpFrame6::read(error.data()).unwrap();
                        assert_eq!((error.kind, error.code, error.as_error().unwrap().word), (4, 2, 0x2a));
                        // K08, RFC 4443 2.2: from the address that was asked, or our own.
                        assert_eq!((error.ip.source, error.ip.destination), (v6(OWN), v6(PEER)));
                    }
                    Verdict::Drop(DropReason::Ipv6OptionUnknown) => assert!(!told, "{kind:#x}"),
                    other => panic!("{other:?}"),
                }
            }
        }
    }
}

// V10, RFC 8200 4.4, RFC 5095 3.
#[test]
fn a_routing_header_that_has_led_here_is_passed_over_and_none_is_followed() {
    let mut host = Host::new();
    for kind in [0, 2, 3, 4, 253] {
        let routing = |segments_left| Extension::Routing { kind, segments_left, data: vec![0; 20] };
        host.delivers(&request().with(&[routing(0)]).frame());
        assert!(host.echoes(&request().with(&[routing(0)]).frame()).extensions.is_empty());
        let frame = request().with(&[routing(1)]).frame();
        host.rejects(&frame, DropReason::Ipv6RoutingHeader, (4, 0, 0x2a));
    }
}

// V11, RFC 8504 5.3.
#[test]
fn chains_and_lists_of_options_have_limits() {
    let mut host = Host::new();
    let headers = |n: usize| vec![destination_options(&[]); n];
    host.delivers(&request().with(&headers(8)).frame());
    host.drops(&request().with(&headers(9)).frame(), DropReason::Ipv6TooManyHeaders);
    host.delivers(&request().with(&[destination_options(&[0x1e; 8])]).frame());
    host.drops(&request().with(&[destination_options(&[0x1e; 9])]).frame(), DropReason::Ipv6TooManyHeaders);
    let padded = |n: usize| {
        let padding = std::iter::repeat_n(HeaderOption { kind: 0, data: Vec::new() }, n);
        let options = [option(0x1e)].into_iter().chain(padding).chain([option(0x1e)]).collect();
        Extension::Destination(options)
    };
    host.delivers(&request().with(&[padded(7)]).frame());
    host.drops(&request().with(&[padded(8)]).frame(), DropReason::Ipv6TooManyHeaders);
}

// V12, RFC 8200 4.2.
#[test]
fn an_option_or_header_that_ends_elsewhere_is_dropped() {
    let mut host = Host::new();
    let other = |bytes: &[u8]| Extension::Other { number: 60, bytes: bytes.to_vec() };
    for bytes in [[0, 0x1e, 5, 0, 0, 0, 0], [0, 1, 2, 0, 1, 0, 0], [200, 1, 4, 0, 0, 0, 0]] {
        host.drops(&request().with(&[other(&bytes)]).frame(), DropReason::Ipv6ExtensionInvalid);
    }
}

// U07, RFC 2675 3: no link of ours carries a jumbogram.
#[test]
fn jumbograms_are_dropped() {
    let mut host = Host::new();
    let jumbo = Extension::HopByHop(vec![HeaderOption::new(0xc2, &70_000u32.to_be_bytes())]);
    let frame = request().with(&[jumbo]).frame();
    host.rejects(&frame, DropReason::Ipv6Jumbo, (4, 0, 0x2a));
    let mut whole = frame;
    whole[18..20].fill(0);
    host.drops(&whole, DropReason::Ipv6ExtensionInvalid);
}

// W04, W05, W06, RFC 8200 4.5, RFC 7112 5: what no datagram can be made of is told where it is wrong.
#[test]
fn fragments_that_cannot_be_are_told_so() {
    let mut host = Host::new();
    let fragment = |offset, more| Extension::Fragment { offset, more, id: 7 };
    let ip = |offset, more| Ipv6::new(v6(PEER), v6(OWN), 17).with(&[fragment(offset, more)]);
    assert!(matches!(host.see(&ip(1, true).frame(&[0; 16])), Verdict::Fragment(..)));
    host.rejects(&ip(1, true).frame(&[0; 15]), DropReason::FragmentMisaligned, (4, 0, 4));
    host.rejects(&ip(0x1fff, false).frame(&[0; 16]), DropReason::FragmentTooFar, (4, 0, 0x2a));
    host.rejects(&ip(0, true).frame(&[]), DropReason::Ipv6FirstFragmentIncomplete, (4, 3, 0));
    host.delivers(&request().with(&[fragment(0, false)]).frame());
    // W12, RFC 6980 5: not even one that is alone.
    for more in [false, true] {
        let solicitation = IcmpFrame6::between(v6(PEER), v6(OWN), 135, &[0; 20]).message();
        let frame = Ipv6::new(v6(PEER), v6(OWN), 58).with(&[fragment(0, more)]).frame(&solicitation);
        host.drops(&frame, DropReason::NdpFragment);
    }
}

proptest! {
    // Whatever comes, nothing panics, nothing is kept, and nothing but what is right is delivered.
    #[test]
    fn any_ipv6_frame_is_judged_and_let_go(
        kinds in proptest::collection::vec((0u8..4, any::<u8>()), 0..10),
        flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in any::<prop::sample::Index>(),
        is_cut: bool,
    ) {
        let extensions: Vec<Extension> = kinds.iter().map(|(kind, byte)| match kind {
            0 => hop_by_hop(&[*byte | 2]),
            1 => destination_options(&[*byte | 2]),
            2 => Extension::Routing { kind: *byte, segments_left: byte & 1, data: vec![0; 4] },
            _ => Extension::Fragment { offset: u16::from(byte & 3), more: byte & 4 != 0, id: 1 },
        }).collect();
        let mut frame = request().with(&extensions).frame();
        for (at, byte) in flips {
            let at = at.index(frame.len() - 14) + 14;
            frame[at] ^= byte;
        }
        if is_cut {
            frame.truncate(cut.index(frame.len() + 1));
        }
        let mut host = Host::new();
        match host.see(&frame) {
            Verdict::Deliver(mut buf, parts) => {
                prop_assert!(parts.is_ipv6());
                if host.turn_round(&mut buf, parts) {
                    prop_assert!(UdpFrame6::read(buf.data()).is_ok());
                }
            }
            other => drop(other),
        }
        prop_assert_eq!(host.pool.outstanding(), 0);
    }
}
