//! ICMPv6 both ways: what is answered, what is complained about and to whom, and which complaints of others are believed.

use std::net::{Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use pollcast::addr::{Cidr, Group, MacAddr, Unicast, V6};
use pollcast::io::{BufPool, DropReason, InterfaceId, PacketBuf, Policy};
use pollcast::rng::Rng;
use pollcast::service::IcmpErrorKind;
use pollcast::sim::buf::{SimBuf, SimPool};
use pollcast::sim::frames::ipv6::chain;
use pollcast::sim::frames::{
    Extension, HeaderOption, IcmpError6, IcmpFrame6, Ipv6, NdpFrame, UdpFrame6, UdpSum, station_mac6,
};
use pollcast::stack::fragmentation::Cut;
use pollcast::stack::groups::GroupTable;
use pollcast::stack::icmp::received::Report;
use pollcast::stack::ingress::{Ingress, IngressOptions, Punted, Verdict};
use pollcast::stack::interface::{Inet, Interface, Interfaces};
use pollcast::stack::membership::SourceFilter;
use pollcast::stack::pmtu::{Learned, TooBig};
use pollcast::stack::port_table::{PortTable, Socket};
use pollcast::time::Instant;
use proptest::prelude::*;

const OWN: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2);
const OWN_LINK_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 2);
const PEER: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
const PEER_LINK_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
/// Someone behind the peer, who is a router then.
const FAR: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 9);
const GROUP: Ipv6Addr = Ipv6Addr::new(0xff05, 0, 0, 0, 0, 0, 0, 0x1234);
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const NOW: Instant = Instant::from_ns(5_000_000_000);

/// Ingress by itself: echo on UDP port 7 of every address.
struct Host {
    interfaces: Interfaces,
    table: PortTable,
    pool: SimPool,
    ingress: Ingress,
}

impl Host {
    fn new(policy: Policy) -> Self {
        let cidr = |addr| Cidr::<V6>::new(Unicast::new(addr).unwrap(), 64).unwrap();
        let mut interface = Interface::new(InterfaceId(0), station_mac6(OWN), 1500, Vec::new());
        interface.policy = policy;
        interface.v6 = Inet::new(vec![cidr(OWN), cidr(OWN_LINK_LOCAL)]);
        let joined = |group| (Group::new(group).unwrap(), 0, SourceFilter::ANY);
        let groups = [ALL_NODES, GROUP].map(joined);
        interface.v6.groups = Arc::new(GroupTable::new(3, groups.into_iter()));
        let mut table = PortTable::new(5);
        table.bind(Socket::new(InterfaceId(0), "[::]:7".parse().unwrap(), 0)).unwrap();
        let ingress = Ingress::new(NOW, &mut Rng::new(1), IngressOptions::default());
        Self { interfaces: interface.into(), table, pool: SimPool::new(64, 2048), ingress }
    }

    fn interface(&mut self) -> &mut Interface {
        self.interfaces.get_mut(InterfaceId(0)).unwrap()
    }

    fn see(&mut self, frame: &[u8]) -> Verdict<SimBuf> {
        self.see_at(NOW, frame)
    }

    fn see_at(&mut self, now: Instant, frame: &[u8]) -> Verdict<SimBuf> {
        let buf = self.pool.alloc_copy(frame).unwrap();
        self.ingress.ingress(now, buf, &self.interfaces, &self.table, &self.pool)
    }

    /// `frame` is dropped for `why`, and nobody is told.
    #[track_caller]
    fn silent(&mut self, frame: &[u8], why: DropReason) {
        let verdict = self.see(frame);
        let Verdict::Drop(got) = verdict else { panic!("not silent: {verdict:?}") };
        assert_eq!(got, why, "{frame:02x?}");
        assert_eq!(self.pool.outstanding(), 0);
    }

    /// The error that goes out about `frame`, which is dropped for `why`.
    #[track_caller]
    fn complaint(&mut self, frame: &[u8], why: DropReason) -> (IcmpFrame6, IcmpError6) {
        let verdict = self.see(frame);
        let Verdict::Reject(got, Some(error)) = verdict else { panic!("nobody told: {verdict:?}") };
        assert_eq!(got, why, "{frame:02x?}");
        let frame = IcmpFrame6::read(error.data()).unwrap();
        let error = frame.as_error().unwrap();
        (frame, error)
    }

    /// The answer to an echo request.
    #[track_caller]
    fn answer(&mut self, question: &IcmpFrame6) -> IcmpFrame6 {
        let verdict = self.see(&question.frame());
        let Verdict::Hairpin(answer) = verdict else { panic!("no answer: {verdict:?}") };
        IcmpFrame6::read(answer.data()).unwrap()
    }

    #[track_caller]
    fn report(&mut self, frame: &[u8]) -> Report {
        let verdict = self.see(frame);
        let Verdict::Report(report) = verdict else { panic!("not believed: {verdict:?}") };
        assert_eq!(self.pool.outstanding(), 0);
        report
    }
}

fn host() -> Host {
    Host::new(Policy::default())
}

fn closed(payload: &[u8]) -> UdpFrame6 {
    UdpFrame6::new("[2001:db8::1]:4000", "[2001:db8::2]:80", payload)
}

/// Destination options with one of this type.
fn option(kind: u8) -> Extension {
    Extension::Destination(vec![HeaderOption::new(kind, &[1, 2, 3, 4])])
}

// K02, RFC 4443 3.1, 2.4(c): 1/4, with as much of the packet as fits in 1280 bytes. K08, 2.2: from the address that was asked.
#[test]
fn a_closed_port_is_told_in_1280_bytes() {
    let mut host = host();
    for len in [0, 1, 100, 1183, 1184, 1185, 1400] {
        host.ingress = Ingress::new(NOW, &mut Rng::new(1), IngressOptions::default());
        let request = closed(&vec![7; len]).frame();
        let packet = &request[14..14 + 48 + len];
        let (frame, error) = host.complaint(&request, DropReason::UdpNoPort);
        assert_eq!((error.kind, error.code, error.word), (1, 4, 0));
        assert_eq!(error.quote, packet[..packet.len().min(1232)], "{len} bytes");
        assert_eq!((frame.ip.source, frame.ip.destination), (OWN, PEER));
        assert_eq!((frame.source_mac, frame.destination_mac), (station_mac6(OWN), station_mac6(PEER)));
        assert_eq!((frame.ip.hop_limit, frame.ip.extensions.len()), (64, 0));
    }
    // The hop limit is the one that routers said.
    host.interface().v6.hop_limit = 99;
    let to_link_local = UdpFrame6::new("[fe80::1]:4000", "[fe80::2]:80", b"x").to_mac(station_mac6(OWN));
    let (frame, _) = host.complaint(&to_link_local.frame(), DropReason::UdpNoPort);
    assert_eq!((frame.ip.source, frame.ip.hop_limit), (OWN_LINK_LOCAL, 99));
}

// K03, RFC 4443 2.4(e): what was sent to many, by either address, or by nobody, is dropped in silence. U04: so is what is damaged.
#[test]
fn a_closed_port_is_not_told_to_many_or_to_nobody() {
    let accepting = Policy { accept_unicast_in_group_frames: true, ..Policy::default() };
    let mut host = Host::new(accepting);
    let in_group_frame = closed(b"x").to_mac(MacAddr([0x33, 0x33, 0, 0, 0, 1]));
    host.silent(&in_group_frame.frame(), DropReason::UdpNoPort);
    let to_group = UdpFrame6::new("[2001:db8::1]:4000", "[ff05::1234]:80", b"x");
    host.silent(&to_group.frame(), DropReason::UdpNoListener);
    host.silent(&closed(b"x").with_sum(UdpSum::Wrong).frame(), DropReason::UdpChecksum);
    let source_mac = station_mac6(PEER);
    let from_nobody = UdpFrame6 { source_mac, ..UdpFrame6::new("[::]:4000", "[2001:db8::2]:80", b"x") };
    host.silent(&from_nobody.frame(), DropReason::Ipv6SourceMartian);
}

// K08, RFC 4443 2.2; V09, RFC 8200 4.2: an option that asks for it is complained about even to a group, from an address of ours
// that source selection chose.
#[test]
fn an_option_in_a_groups_packet_is_told_from_our_own_address() {
    let mut host = host();
    for (source, group, own) in [(PEER, GROUP, OWN), (PEER_LINK_LOCAL, ALL_NODES, OWN_LINK_LOCAL)] {
        let packet = Ipv6::new(source, group, 17).with(&[option(0x9e)]);
        let (frame, error) = host.complaint(&packet.frame(b"some payload"), DropReason::Ipv6OptionUnknown);
        assert_eq!((error.kind, error.code, error.word), (4, 2, 42));
        assert_eq!((frame.ip.source, frame.ip.destination), (own, source));
        let unless_group = Ipv6::new(source, group, 17).with(&[option(0xde)]);
        host.silent(&unless_group.frame(b"some payload"), DropReason::Ipv6OptionUnknown);
    }
    // K03: not to a source that is no host, nor about what carries an error.
    let from_error = Ipv6::new(PEER, GROUP, 58).with(&[option(0x9e)]);
    host.silent(&from_error.frame(&[1, 4, 0, 0, 0, 0, 0, 0]), DropReason::Ipv6OptionUnknown);
}

// K03, RFC 4443 2.4(e.1), (e.2): each of them for itself would be complained about.
#[test]
fn nothing_is_said_about_an_error_or_a_redirect() {
    let mut host = host();
    for kind in [1, 2, 3, 4, 5, 100, 127, 137] {
        let bad = Ipv6::new(PEER, OWN, 58).with(&[option(0xde)]);
        host.silent(&bad.frame(&[kind, 0, 0, 0, 0, 0, 0, 0]), DropReason::Ipv6OptionUnknown);
    }
    let question = Ipv6::new(PEER, OWN, 58).with(&[option(0xde)]);
    let (_, error) =
        host.complaint(&question.frame(&[128, 0, 0, 0, 0, 0, 0, 0]), DropReason::Ipv6OptionUnknown);
    assert_eq!((error.kind, error.code, error.word), (4, 2, 42));
}

// K04, RFC 4443 2.4(f): a bucket of six, and one a second; for each neighbour, and for each /64 behind a router.
#[test]
fn errors_are_limited_by_host_and_by_prefix() {
    let told = |host: &mut Host, from: &dyn Fn(u16) -> String| {
        let frame = |n| {
            let source_mac = station_mac6(PEER);
            UdpFrame6 { source_mac, ..UdpFrame6::new(&from(n), "[2001:db8::2]:80", b"x") }.frame()
        };
        (0..100).filter(|n| matches!(host.see(&frame(*n)), Verdict::Reject(_, Some(_)))).count()
    };
    assert_eq!(told(&mut host(), &|_| "[2001:db8::77]:4000".into()), 6);
    assert_eq!(told(&mut host(), &|n| format!("[2001:db8:5::{n:x}]:4000")), 6, "all of one prefix");
    assert!(told(&mut host(), &|n| format!("[2001:db8::{:x}]:4000", n + 16)) > 6, "neighbours");
    assert!(told(&mut host(), &|n| format!("[2001:db8:{:x}::1]:4000", n + 16)) > 6, "prefixes");
    // With time, more; and echo is none of it.
    let mut host = host();
    let later = |s| NOW + Duration::from_secs(s);
    let count = (0..60)
        .filter(|s| matches!(host.see_at(later(*s), &closed(b"x").frame()), Verdict::Reject(_, Some(_))))
        .count();
    assert_eq!(count, 60);
    for seq in 0..1000 {
        host.answer(&IcmpFrame6::echo(PEER, OWN, 1, seq, b"hello"));
    }
}

// K05, RFC 4443 4.2: the same identifier, sequence and data, from the address that was asked; as Linux does, with the same
// traffic class, and without extension headers.
#[test]
fn an_echo_comes_back_with_what_it_brought() {
    let mut host = host();
    for len in [0, 1, 7, 8, 56, 1452] {
        let data: Vec<u8> = (0..len).map(|i| u8::try_from(i % 251).unwrap()).collect();
        let mut ping = IcmpFrame6::echo(PEER, OWN, 0x1234, 7, &data);
        ping.ip.traffic_class = 0xb9;
        let reply = host.answer(&ping);
        assert_eq!((reply.kind, reply.code, &reply.body), (129, 0, &ping.body), "{len} bytes");
        assert_eq!((reply.ip.source, reply.ip.destination), (OWN, PEER));
        assert_eq!((reply.ip.hop_limit, reply.ip.traffic_class), (64, 0xb9));
        assert_eq!((reply.source_mac, reply.destination_mac), (station_mac6(OWN), station_mac6(PEER)));
    }
    let mut with_options = IcmpFrame6::echo(PEER, OWN, 1, 1, b"hello");
    with_options.ip.extensions = vec![option(0x1e)];
    let reply = host.answer(&with_options);
    assert_eq!((reply.body, reply.ip.extensions.len()), (with_options.body, 0));
    // As for IPv4, of any code.
    let of_code = IcmpFrame6 { code: 9, ..IcmpFrame6::echo(PEER, OWN, 1, 1, b"hello") };
    assert_eq!(host.answer(&of_code).code, 9);
    // V13: one flow has one label.
    let label =
        |host: &mut Host, id, seq| host.answer(&IcmpFrame6::echo(PEER, OWN, id, seq, b"x")).ip.flow_label;
    assert_eq!(label(&mut host, 5, 1), label(&mut host, 5, 2));
    assert_ne!(label(&mut host, 5, 1), label(&mut host, 6, 1));
}

// K05, RFC 4443 4.2: what is asked of a group is answered from an address of ours; not without end, and not where it is off.
#[test]
fn an_echo_to_a_group_is_answered_from_our_own_address() {
    let mut host = host();
    let link_local = IcmpFrame6::echo(PEER_LINK_LOCAL, ALL_NODES, 1, 1, b"anyone?");
    let global = IcmpFrame6::echo(PEER, GROUP, 1, 2, b"odd");
    for (ping, own) in [(&link_local, OWN_LINK_LOCAL), (&global, OWN)] {
        let reply = host.answer(ping);
        assert_eq!((reply.ip.source, reply.ip.destination), (own, ping.ip.source));
        assert_eq!((reply.kind, &reply.body), (129, &ping.body));
    }
    let answered = (0..1000).filter(|_| matches!(host.see(&global.frame()), Verdict::Hairpin(_))).count();
    assert_eq!(answered, 8, "ten at once, two of them before");
    host.silent(&global.frame(), DropReason::IcmpEchoGroupRate);
    host.answer(&IcmpFrame6::echo(PEER, OWN, 1, 1, b"hello"));
    let mut quiet = Host::new(Policy { icmp6_echo_group: false, ..Policy::default() });
    quiet.silent(&global.frame(), DropReason::IcmpEchoGroup);
    quiet.silent(&link_local.frame(), DropReason::IcmpEchoGroup);
    quiet.answer(&IcmpFrame6::echo(PEER, OWN, 1, 1, b"hello"));
}

// K05, W13, RFC 8200 5: an answer that is longer than its path carries leaves in fragments, which we make.
#[test]
fn an_echo_longer_than_its_path_comes_back_in_fragments() {
    let mut host = host();
    let learned = host.interface().v6.paths.learn(NOW, TooBig { dst: PEER, mtu: 1280, quoted_len: 1500 });
    assert!(matches!(learned, Learned::Path(_)));
    let ping = IcmpFrame6::echo(PEER, OWN, 1, 1, &[7; 1400]);
    let verdict = host.see(&ping.frame());
    let Verdict::HairpinInFragments(id, buf, out) = verdict else { panic!("{verdict:?}") };
    let interface = host.interfaces.get(id).unwrap();
    let mut cut = Cut::new(&out, out.payload.of(&buf).unwrap(), interface);
    let frames: Vec<Vec<u8>> =
        std::iter::from_fn(|| cut.next(&host.pool)).map(|f| f.unwrap().data().to_vec()).collect();
    assert!(frames.len() == 2 && frames.iter().all(|f| f.len() <= 14 + 1280));
    let whole = pollcast::sim::frames::fragment6::join6(&frames).unwrap();
    let reply = IcmpFrame6::read(&whole).unwrap();
    assert_eq!((reply.kind, reply.body), (129, ping.body));
    // Everyone else gets it whole.
    let other = IcmpFrame6::echo(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 5), OWN, 1, 1, &[7; 1400]);
    assert!(host.answer(&other).ip.extensions.is_empty());
}

// K01, RFC 4443 2.3: whole and undamaged.
#[test]
fn a_damaged_message_is_dropped_in_silence() {
    let mut host = host();
    let good = IcmpFrame6::echo(PEER, OWN, 1, 1, b"hello").frame();
    for at in 54..67 {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        host.silent(&bad, DropReason::Icmpv6Checksum);
    }
    for len in 0..8 {
        let short = Ipv6::new(PEER, OWN, 58).frame(&[128; 7][..len.min(7)]);
        host.silent(&short, DropReason::Icmpv6Truncated);
    }
}

// K06, RFC 4443 2.4(b): of questions, those that nobody knows; replies, as nothing here waits for one.
#[test]
fn what_is_unknown_or_unasked_for_is_dropped_in_silence() {
    let mut host = host();
    for kind in [138, 139, 140, 141, 142, 144, 160, 200, 254, 255] {
        host.silent(&IcmpFrame6::between(PEER, OWN, kind, &[0; 20]).frame(), DropReason::Icmpv6Unknown);
    }
    host.silent(&IcmpFrame6::between(PEER, OWN, 129, &[0; 20]).frame(), DropReason::Icmpv6Unwanted);
}

/// The front of a datagram that our echo service sent to `to`, of so many bytes: what an error quotes.
fn quoted(to: &str, len: usize) -> Vec<u8> {
    UdpFrame6::new("[2001:db8::2]:7", to, &vec![7; len - 48]).frame()[14..14 + len].to_vec()
}

/// An error of the router about what we sent to someone behind it.
fn error(words: (u8, u8, u32), quote: &[u8]) -> Vec<u8> {
    IcmpFrame6::error(PEER, OWN, words, quote).frame()
}

fn to_far() -> Vec<u8> {
    quoted("[2001:db8:1::9]:40000", 1500)
}

// K06, RFC 4443 2.4(a): errors are for the socket whose packet they are about, those of unknown types too, and nothing answers
// them.
#[test]
fn an_error_about_our_datagram_is_understood() {
    let mut host = host();
    use IcmpErrorKind as K;
    for (words, want) in [
        ((1, 0, 0), K::NetworkUnreachable),
        ((1, 1, 0), K::Prohibited),
        ((1, 3, 0), K::HostUnreachable),
        ((1, 4, 0), K::PortUnreachable),
        ((2, 0, 1300), K::TooBig { mtu: 1300 }),
        ((3, 0, 0), K::TtlExceeded),
        ((3, 1, 0), K::ReassemblyTimeExceeded),
        ((4, 0, 0x28), K::ParameterProblem { pointer: 0x28 }),
        ((4, 1, 6), K::ParameterProblem { pointer: 6 }),
        ((100, 0, 0), K::Unknown),
    ] {
        let report = host.report(&error(words, &to_far()));
        assert_eq!(report.error.kind, want);
        assert_eq!((report.error.icmp_type, report.error.icmp_code), (words.0, words.1));
        assert_eq!((report.error.reporter, report.error.interface), (PEER.into(), InterfaceId(0)));
        assert_eq!(report.error.local, "[2001:db8::2]:7".parse::<SocketAddr>().unwrap());
        assert_eq!(report.error.peer, SocketAddr::new(FAR.into(), 40000));
        assert_eq!(report.too_big.is_some(), words.0 == 2);
    }
}

// K07, RFC 8201 4, RFC 8021: about a datagram that we can have sent, at least 1280, and less than that was.
#[test]
fn a_packet_too_big_is_believed_only_if_it_can_be() {
    let mut host = host();
    for mtu in [1280, 1400, 1499] {
        let too_big = host.report(&error((2, 0, mtu), &to_far())).too_big.unwrap();
        assert_eq!((too_big.dst, too_big.mtu), (FAR.into(), u16::try_from(mtu).unwrap()));
    }
    for mtu in [0, 1, 600, 1279, 1500, 9000, u32::MAX] {
        host.silent(&error((2, 0, mtu), &to_far()), DropReason::IcmpMtuInvalid);
    }
    let from_another = UdpFrame6::new("[2001:db8::2]:9", "[2001:db8:1::9]:1", &[7; 1400]).frame();
    host.silent(&error((2, 0, 1300), &from_another[14..]), DropReason::IcmpErrorUnmatched);
    host.silent(&error((2, 0, 1300), &to_far()[..47]), DropReason::IcmpErrorInvalid);
    // Behind the fragment header that our own datagram had.
    let first = Ipv6::new(OWN, FAR, 17).with(&[Extension::Fragment { offset: 0, more: true, id: 9 }]);
    let payload = UdpFrame6::new("[2001:db8::2]:7", "[2001:db8:1::9]:40000", &[7; 1440]).datagram();
    assert!(host.report(&error((2, 0, 1300), &first.packet(&payload))).too_big.is_some());
    let later = Ipv6::new(OWN, FAR, 17).with(&[Extension::Fragment { offset: 181, more: false, id: 9 }]);
    host.silent(&error((2, 0, 1300), &later.packet(&payload)), DropReason::IcmpErrorUnmatched);
}

// T02, RFC 8201 4: of a group's datagram, its size alone.
#[test]
fn a_groups_datagram_may_be_too_big_and_nothing_else() {
    let mut host = host();
    let quote = quoted("[ff05::99]:40000", 1500);
    assert_eq!(host.report(&error((2, 0, 1300), &quote)).too_big.unwrap().mtu, 1300);
    host.silent(&error((2, 0, 600), &quote), DropReason::IcmpMtuInvalid);
    host.silent(&error((1, 4, 0), &quote), DropReason::IcmpErrorInvalid);
}

// N01, L03: those that control looks at are handed to it whole; K01: not if they are damaged.
#[test]
fn discovery_and_group_management_go_to_control() {
    let mut host = host();
    let solicitation = NdpFrame::solicitation(PEER, OWN).to_mac(station_mac6(OWN));
    let mut frame = NdpFrame { destination: OWN, ..solicitation }.frame();
    let Verdict::Punt(to, ..) = host.see(&frame) else { panic!("not punted") };
    assert_eq!(to, Punted::Ndp);
    frame[60] ^= 1;
    host.silent(&frame, DropReason::Icmpv6Checksum);
}

// W12, RFC 6980 5: neighbour discovery in fragments is ignored with its first one, and in a single one.
#[test]
fn discovery_in_fragments_is_ignored() {
    let mut host = host();
    let message = IcmpFrame6::between(PEER, OWN, 135, &[&[0; 4], &OWN.octets()[..]].concat()).message();
    for more in [true, false] {
        let fragment = Extension::Fragment { offset: 0, more, id: 7 };
        let ip = Ipv6 { hop_limit: 255, ..Ipv6::new(PEER, OWN, 58) }.with(&[fragment]);
        host.silent(&ip.frame(&message), DropReason::NdpFragment);
    }
    let echo = IcmpFrame6::echo(PEER, OWN, 1, 1, b"hello").message();
    let first = Ipv6::new(PEER, OWN, 58).with(&[Extension::Fragment { offset: 0, more: true, id: 7 }]);
    assert!(matches!(host.see(&first.frame(&echo[..8])), Verdict::Fragment(..)));
}

/// Any extension header, good and bad.
fn any_extension() -> impl Strategy<Value = Extension> {
    let options = proptest::collection::vec(
        (any::<u8>(), proptest::collection::vec(any::<u8>(), 0..6))
            .prop_map(|(kind, data)| HeaderOption { kind, data }),
        0..4,
    );
    prop_oneof![
        options.clone().prop_map(Extension::HopByHop),
        options.prop_map(Extension::Destination),
        (any::<u8>(), 0u8..3).prop_map(|(kind, segments_left)| Extension::Routing {
            kind,
            segments_left,
            data: vec![0; 4]
        }),
        (prop_oneof![Just(0), 0u16..8192], any::<bool>(), any::<u32>())
            .prop_map(|(offset, more, id)| Extension::Fragment { offset, more, id }),
        (any::<u8>()).prop_map(|number| Extension::Other { number, bytes: vec![0; 7] }),
    ]
}

fn any_packet() -> impl Strategy<Value = (MacAddr, Ipv6, Vec<u8>)> {
    let mac = prop_oneof![3 => Just(station_mac6(OWN)), 1 => Just(MacAddr([0x33, 0x33, 0, 0, 0, 1]))];
    let source = prop_oneof![4 => Just(PEER), 1 => Just(FAR), 1 => Just(Ipv6Addr::UNSPECIFIED), 1 => Just(ALL_NODES), 1 => Just(OWN)];
    let destination = prop_oneof![4 => Just(OWN), 1 => Just(OWN_LINK_LOCAL), 1 => Just(GROUP), 1 => Just(ALL_NODES), 1 => Just(FAR)];
    let next = prop_oneof![3 => Just(17u8), 3 => Just(58u8), 1 => any::<u8>()];
    let payload = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..1500),
        Just(closed(&[7; 40]).datagram()),
        Just(closed(&[7; 1400]).datagram()),
        any::<u8>().prop_map(|kind| IcmpFrame6::between(PEER, OWN, kind, &[0; 30]).message()),
    ];
    let extensions = proptest::collection::vec(any_extension(), 0..4);
    (mac, source, destination, next, extensions, payload).prop_map(
        |(mac, source, destination, next, extensions, mut payload)| {
            let ip = Ipv6::new(source, destination, next).with(&extensions);
            payload.truncate(1460 - chain(&extensions, next).0.len());
            (mac, ip, payload)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    // K02, K03, K08, RFC 4443 2.4: whatever comes, at most one error goes out, to its one sender, never about an error; it quotes
    // the packet exactly, fits in 1280 bytes, and comes from an address of ours.
    #[test]
    fn whatever_comes_provokes_at_most_one_proper_error((mac, ip, payload) in any_packet()) {
        let mut host = Host::new(Policy { accept_unicast_in_group_frames: true, ..Policy::default() });
        let packet = ip.packet(&payload);
        let ethernet = pollcast::sim::frames::Ethernet {
            destination: mac, source: station_mac6(PEER), tci: None, ethertype: 0x86dd,
        };
        if let Verdict::Reject(_, Some(buf)) = host.see(&ethernet.frame(&packet)) {
            let frame = IcmpFrame6::read(buf.data()).unwrap();
            let error = frame.as_error().unwrap();
            prop_assert_eq!(&error.quote, &packet[..packet.len().min(1232)]);
            prop_assert_eq!(frame.ip.destination, ip.source);
            prop_assert!(ip.source == PEER || ip.source == FAR);
            prop_assert!([OWN, OWN_LINK_LOCAL].contains(&frame.ip.source));
            if [OWN, OWN_LINK_LOCAL].contains(&ip.destination) {
                prop_assert_eq!(frame.ip.source, ip.destination);
            }
            if mac != station_mac6(OWN) || ip.destination.is_multicast() {
                prop_assert_eq!((error.kind, error.code), (4, 2), "what is sent to many");
                let at = usize::try_from(error.word).unwrap();
                prop_assert_eq!(packet[at] >> 6, 2, "only the option that asks for it");
            }
            let is_error = ip.extensions.is_empty() && ip.next_header == 58 && payload.first().is_none_or(|k| *k < 128 || *k == 137);
            prop_assert!(!is_error);
        }
        prop_assert_eq!(host.pool.outstanding(), 0);
    }
}
