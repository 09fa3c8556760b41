//! What RFC 4861 7.2 says of questions and answers.

use super::*;
use crate::addr::{Cidr, Group, Unicast};
use crate::io::InterfaceId;
use crate::stack::interface::Inet;
use crate::stack::nd::output::FRAME_MAX;
use crate::stack::neighbor::{Request, State};
use crate::wire::ndisc::RouterSolicitation;

const OWN_MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);
const PEER_MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
const OTHER_MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 9]);

fn v6(s: &str) -> Ipv6Addr {
    s.parse().unwrap()
}

struct Host(Interface, NeighborCache<V6>);

impl Host {
    fn new() -> Self {
        let mut interface = Interface::new(InterfaceId(0), OWN_MAC, 1500, Vec::new());
        let cidr = |s: &str, len| Cidr::<V6>::new(Unicast::new(v6(s)).unwrap(), len).unwrap();
        interface.v6 = Inet::new(vec![cidr("fd88::2", 64), cidr("fe80::2", 64)]);
        Self(interface, NeighborCache::new(16))
    }

    fn input(&mut self, seconds: u64, received: &Received<'_>) -> Outcome {
        let now = Instant::from_ns(seconds * 1_000_000_000);
        input(now, received, &self.0, &mut self.1)
    }

    fn state(&self, addr: &str) -> Option<(State, Option<MacAddr>)> {
        self.1.rows().find(|row| row.addr == v6(addr)).map(|row| (row.state, row.mac))
    }

    /// `addr` is wanted, and asked for.
    fn want(&mut self, addr: &str) {
        let now = Instant::ZERO;
        self.1.want(now, v6(addr));
        assert_eq!(self.1.poll_request(now), Some(Request { addr: v6(addr), mac: None }));
    }
}

fn received<'a>(src: &str, dst: &str, message: Message<'a>) -> Received<'a> {
    let envelope = Envelope { src: v6(src), dst: v6(dst), hop_limit: 255 };
    Received { envelope, source_mac: PEER_MAC, message }
}

fn ns(src: &str, dst: &str, target: &str, source_mac: Option<MacAddr>) -> Received<'static> {
    let ns = NeighborSolicitation { target: v6(target), source_mac, nonce: None };
    received(src, dst, Message::NeighborSolicitation(ns))
}

fn na(target: &str, target_mac: Option<MacAddr>, router: bool) -> Received<'static> {
    let na = NeighborAdvertisement {
        router,
        solicited: true,
        override_flag: true,
        target: v6(target),
        target_mac,
    };
    received(target, "fd88::2", Message::NeighborAdvertisement(na))
}

fn answer_to(outcome: Outcome) -> Outgoing {
    let Outcome::Answer(answer) = outcome else { panic!("{outcome:?}") };
    answer
}

/// Flags and length of the ICMPv6 message, as they are on the wire.
fn flags_and_len(answer: &Outgoing, interface: &Interface) -> (u32, usize) {
    let mut frame = [0; FRAME_MAX];
    let len = answer.emit(interface, &mut frame).unwrap();
    let icmp = &frame[54..len];
    assert_eq!((icmp[0], frame[21]), (136, 255), "an advertisement, with hop limit 255");
    (u32::from_be_bytes([icmp[4], icmp[5], icmp[6], icmp[7]]), icmp.len())
}

// N03, RFC 4861 7.2.4; the values are Linux's.
#[test]
fn a_question_to_the_group_is_answered_with_our_ethernet_address_and_one_to_us_without() {
    let mut host = Host::new();
    let answer = answer_to(host.input(0, &ns("fd88::1", "ff02::1:ff00:2", "fd88::2", Some(PEER_MAC))));
    assert_eq!((answer.dst_mac, answer.src, answer.dst), (PEER_MAC, v6("fd88::2"), v6("fd88::1")));
    assert_eq!(flags_and_len(&answer, &host.0), (0x6000_0000, 32));
    let Repr::NeighborAdvertisement { target, target_mac, .. } = answer.message else { panic!() };
    assert_eq!((target, target_mac), (v6("fd88::2"), Some(OWN_MAC)));

    let answer = answer_to(host.input(0, &ns("fd88::1", "fd88::2", "fd88::2", Some(PEER_MAC))));
    assert_eq!(flags_and_len(&answer, &host.0), (0x4000_0000, 24));
    assert_eq!((answer.dst_mac, answer.dst), (PEER_MAC, v6("fd88::1")));
}

// N04, RFC 4861 7.2.4: to all nodes, unsolicited.
#[test]
fn who_looks_for_duplicates_is_answered_in_the_group_of_all_nodes() {
    let mut host = Host::new();
    let answer = answer_to(host.input(0, &ns("::", "ff02::1:ff00:2", "fd88::2", None)));
    assert_eq!((answer.src, answer.dst), (v6("fd88::2"), v6("ff02::1")));
    assert_eq!(answer.dst_mac, MacAddr([0x33, 0x33, 0, 0, 0, 1]));
    assert_eq!(flags_and_len(&answer, &host.0), (0x2000_0000, 32));
    assert_eq!(host.1.rows().count(), 0, "nobody is at ::");
}

// N03, RFC 4861 7.2.3. N05, RFC 4862 5.4: a tentative address is not among the interface's.
#[test]
fn nothing_is_said_of_addresses_that_are_not_ours() {
    let mut host = Host::new();
    for target in ["fd88::3", "fe80::3", "2001:db8::2"] {
        let outcome = host.input(0, &ns("fd88::1", "ff02::1:ff00:2", target, Some(PEER_MAC)));
        assert_eq!(outcome, Outcome::Ignored(DropReason::NdpNotForUs), "{target}");
    }
    host.0.v6 = Inet::new(Vec::new());
    for src in ["::", "fd88::1"] {
        let source_mac = (src != "::").then_some(PEER_MAC);
        let outcome = host.input(0, &ns(src, "ff02::1:ff00:2", "fd88::2", source_mac));
        assert_eq!(outcome, Outcome::Ignored(DropReason::NdpNotForUs));
    }
    assert_eq!(host.1.rows().count(), 0, "who asks for others is not remembered");
}

// N10, RFC 4861 7.2.3.
#[test]
fn who_asks_us_is_a_stale_neighbour() {
    let mut host = Host::new();
    host.input(0, &ns("fd88::1", "ff02::1:ff00:2", "fd88::2", Some(PEER_MAC)));
    assert_eq!(host.state("fd88::1"), Some((State::Stale, Some(PEER_MAC))));
    host.input(1, &ns("fd88::1", "fd88::2", "fd88::2", Some(OTHER_MAC)));
    assert_eq!(host.state("fd88::1"), Some((State::Stale, Some(OTHER_MAC))));
    // Without an Ethernet address it teaches nothing, and the answer goes to where it is known to be, or came from.
    let answer = answer_to(host.input(2, &ns("fd88::1", "fd88::2", "fd88::2", None)));
    assert_eq!(answer.dst_mac, OTHER_MAC);
    let answer = answer_to(host.input(2, &ns("fe80::7", "fd88::2", "fd88::2", None)));
    assert_eq!(answer.dst_mac, PEER_MAC);
    assert_eq!(host.state("fe80::7"), None);
}

// N17, RFC 5942: who is not on the link is answered where it says, and is no neighbour.
#[test]
fn who_asks_from_elsewhere_is_answered_and_not_remembered() {
    let mut host = Host::new();
    let answer = answer_to(host.input(0, &ns("2001:db8::1", "fd88::2", "fd88::2", Some(PEER_MAC))));
    assert_eq!(answer.dst_mac, PEER_MAC);
    assert_eq!(host.1.rows().count(), 0);
}

// N09, RFC 4861 7.2.5.
#[test]
fn an_advertisement_answers_who_asked_and_creates_nothing() {
    let mut host = Host::new();
    assert_eq!(
        host.input(0, &na("fd88::1", Some(PEER_MAC), false)),
        Outcome::Ignored(DropReason::NdpUnsolicited)
    );
    assert_eq!(host.1.rows().count(), 0);
    host.want("fd88::1");
    assert_eq!(host.input(0, &na("fd88::1", Some(PEER_MAC), false)), Outcome::Learned);
    assert_eq!(host.state("fd88::1"), Some((State::Reachable, Some(PEER_MAC))));
}

// RFC 4861 7.2.5: IsRouter from TRUE to FALSE.
#[test]
fn a_router_that_says_that_it_is_none_is_told_of_once() {
    let mut host = Host::new();
    host.want("fe80::1");
    assert_eq!(host.input(0, &na("fe80::1", Some(PEER_MAC), true)), Outcome::Learned);
    assert!(host.1.is_router(v6("fe80::1")));
    assert_eq!(host.input(1, &na("fe80::1", None, false)), Outcome::NoRouter(v6("fe80::1")));
    assert_eq!(host.input(2, &na("fe80::1", None, false)), Outcome::Learned);
}

// N06 of RFC 4862 5.4.4, and a loop: nothing that claims to be us is believed, nor answered.
#[test]
fn what_claims_to_be_us_is_a_conflict() {
    let mut host = Host::new();
    let conflict = Outcome::Ignored(DropReason::NdpConflict);
    assert_eq!(host.input(0, &na("fd88::2", Some(PEER_MAC), false)), conflict);
    let from_other = Received {
        envelope: Envelope { src: v6("fe80::9"), ..na("fd88::2", None, false).envelope },
        ..na("fd88::2", Some(PEER_MAC), false)
    };
    assert_eq!(host.input(0, &from_other), conflict);
    assert_eq!(host.input(0, &ns("fd88::2", "ff02::1:ff00:2", "fd88::2", Some(PEER_MAC))), conflict);
    assert_eq!(host.1.rows().count(), 0);
}

// RFC 4861 6.1.1, 6.2.6: a host is asked for no routers.
#[test]
fn a_router_solicitation_is_for_routers() {
    let mut host = Host::new();
    let rs = Message::RouterSolicitation(RouterSolicitation { source_mac: Some(PEER_MAC) });
    let outcome = host.input(0, &received("fe80::1", "fe80::2", rs));
    assert_eq!(outcome, Outcome::Ignored(DropReason::NdpRouterSolicitation));
    assert_eq!(host.1.rows().count(), 0);
}

/// The frame of `outgoing`, with `padding` behind it.
fn frame(outgoing: &Outgoing, padding: usize) -> Vec<u8> {
    let from = Interface::new(InterfaceId(1), PEER_MAC, 1500, Vec::new());
    let mut frame = vec![0; FRAME_MAX + padding];
    let len = outgoing.emit(&from, &mut frame).unwrap();
    frame.truncate(len + padding);
    frame
}

// E10: what is behind the packet is padding; W12, RFC 6980 5: in no fragment.
#[test]
fn a_message_is_read_from_its_frame() {
    let request = Request { addr: v6("fd88::2"), mac: None };
    let peer = Interface::new(InterfaceId(1), PEER_MAC, 1500, Vec::new());
    let question = Outgoing::solicitation(v6("fd88::1"), request, &peer);
    let group = Group::solicited_node(v6("fd88::2"));
    assert_eq!((question.dst_mac, question.dst), (group.mac(), group.addr()));
    for padding in [0, 7] {
        let frame = frame(&question, padding);
        let expected = ns("fd88::1", "ff02::1:ff00:2", "fd88::2", Some(PEER_MAC));
        assert_eq!(read(&frame), Ok(expected));
    }
    let whole = frame(&question, 0);
    for len in 0..whole.len() {
        assert_eq!(read(&whole[..len]), Err(DropReason::NdpTruncated), "{len}");
    }
    let mut tagged = whole.clone();
    tagged.splice(12..12, [0x81, 0, 0, 5]);
    assert!(read(&tagged).is_ok());

    // An atomic fragment of it, and one behind destination options, which are no harm.
    let with_header = |kind: u8, header: [u8; 8]| {
        let mut frame = whole.clone();
        frame[20] = kind;
        frame[19] += 8;
        frame.splice(54..54, header);
        frame
    };
    assert_eq!(read(&with_header(44, [58, 0, 0, 0, 0, 0, 0, 1])), Err(DropReason::NdpFragment));
    assert!(read(&with_header(60, [58, 0, 1, 4, 0, 0, 0, 0])).is_ok());
}

// N16: what there may be a flood of is told from what there is not.
#[test]
fn each_message_has_its_class() {
    let peer = Interface::new(InterfaceId(1), PEER_MAC, 1500, Vec::new());
    let request = Request { addr: v6("fd88::2"), mac: None };
    let question = frame(&Outgoing::solicitation(v6("fd88::1"), request, &peer), 0);
    assert_eq!(source_of(&question), Some(v6("fd88::1")));
    for (kind, expected) in [
        (133, Class::Solicitation),
        (134, Class::Router),
        (135, Class::Solicitation),
        (136, Class::Neighbor),
        (137, Class::Router),
    ] {
        let mut frame = question.clone();
        frame[54] = kind;
        assert_eq!(class(&frame), expected);
        assert_eq!(class(&frame[..50]), Class::Solicitation);
    }
}

// N11, RFC 4861 7.3.3: the address that is to be confirmed is asked itself.
#[test]
fn a_probe_goes_to_the_neighbour_alone() {
    let host = Host::new();
    let request = Request { addr: v6("fe80::1"), mac: Some(PEER_MAC) };
    let probe = Outgoing::solicitation(v6("fe80::2"), request, &host.0);
    assert_eq!((probe.dst_mac, probe.dst, probe.src), (PEER_MAC, v6("fe80::1"), v6("fe80::2")));
}

#[test]
fn each_refusal_of_a_message_has_a_reason() {
    let errors = [
        NdiscError::Truncated,
        NdiscError::Checksum,
        NdiscError::HopLimit,
        NdiscError::Code,
        NdiscError::OptionLength,
        NdiscError::LinkLayerAddress,
        NdiscError::Target,
        NdiscError::Source,
        NdiscError::SolicitedToGroup,
        NdiscError::Destination,
    ];
    let mut reasons = errors.map(refusal).to_vec();
    reasons.sort_unstable();
    reasons.dedup();
    assert_eq!(reasons.len(), errors.len());
}
