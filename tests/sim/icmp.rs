//! ICMP both ways: what is answered, what is complained about and to whom, and which complaints of others are believed.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pollcast::addr::{Group, Ipv4Cidr, MacAddr, Unicast, V4};
use pollcast::engine::Counter;
use pollcast::engine::command::{Answer, Command, Membership, MtuOrder};
use pollcast::engine::message::INBOX_LEN;
use pollcast::engine::worker::Manner;
use pollcast::io::{BufPool, DropReason, InterfaceId, PacketBuf, PmtuDiscovery, Policy};
use pollcast::rng::Rng;
use pollcast::service::{Cx, Datagram, IcmpError, IcmpErrorKind, Service};
use pollcast::sim::buf::{SimBuf, SimPool};
use pollcast::sim::frames::fragment::cut_evenly;
use pollcast::sim::frames::{Ethernet, IcmpFrame, Ipv4, UdpFrame, UdpSum, station_mac};
use pollcast::sim::setup::{ServiceOptions, WorldOptions};
use pollcast::sim::world::World;
use pollcast::stack::groups::GroupTable;
use pollcast::stack::icmp::received::Report;
use pollcast::stack::ingress::{Ingress, IngressOptions, Verdict};
use pollcast::stack::interface::{Interface, Interfaces};
use pollcast::stack::membership::SourceFilter;
use pollcast::stack::port_table::{PortTable, Socket};
use pollcast::time::{Instant, WallClock};

const OWN: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 2);
const OWN_SECOND: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 3);
const PEER: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);
/// Someone behind the peer, who is a router then.
const FAR: Ipv4Addr = Ipv4Addr::new(198, 19, 0, 9);
const GROUP: Ipv4Addr = Ipv4Addr::new(239, 1, 2, 3);
/// 00:00:05 UT.
const NOW: Instant = Instant::from_ns(5_000_000_000);
const MS_OF_DAY: [u8; 4] = 5000u32.to_be_bytes();

/// Ingress by itself: echo on UDP port 7 of every address.
struct Host {
    interfaces: Interfaces,
    table: PortTable,
    pool: SimPool,
    ingress: Ingress,
}

impl Host {
    fn new(policy: Policy) -> Self {
        let cidr = |addr| Ipv4Cidr::new(Unicast::new(addr).unwrap(), 24).unwrap();
        let addresses = vec![cidr(OWN), cidr(OWN_SECOND)];
        let mut interface = Interface::new(InterfaceId(0), station_mac(OWN), 1500, addresses);
        interface.policy = policy;
        let joined = (Group::new(GROUP).unwrap(), 0, SourceFilter::ANY);
        interface.v4.groups = Arc::new(GroupTable::new(3, std::iter::once(joined)));
        let mut table = PortTable::new(5);
        let local = "0.0.0.0:7".parse().unwrap();
        table.bind(Socket::new(InterfaceId(0), local, 0)).unwrap();
        let clock = WallClock::new(Instant::ZERO, Duration::ZERO);
        let options = IngressOptions { clock, ..IngressOptions::default() };
        let ingress = Ingress::new(NOW, &mut Rng::new(1), options);
        Self { interfaces: interface.into(), table, pool: SimPool::new(64, 2048), ingress }
    }

    fn see(&mut self, frame: &[u8]) -> Verdict<SimBuf> {
        let buf = self.pool.alloc_copy(frame).unwrap();
        self.ingress.ingress(NOW, buf, &self.interfaces, &self.table, &self.pool)
    }

    /// `frame` is dropped for `why`, and nobody is told.
    #[track_caller]
    fn silent(&mut self, frame: &[u8], why: DropReason) {
        let Verdict::Drop(got) = self.see(frame) else { panic!("not silent: {frame:02x?}") };
        assert_eq!(got, why, "{frame:02x?}");
        assert_eq!(self.pool.outstanding(), 0);
    }

    /// The error that goes out about `frame`, which is dropped for `why`.
    #[track_caller]
    fn complaint(&mut self, frame: &[u8], why: DropReason) -> IcmpFrame {
        let Verdict::Reject(got, Some(error)) = self.see(frame) else { panic!("nobody told: {frame:02x?}") };
        assert_eq!(got, why, "{frame:02x?}");
        IcmpFrame::read(error.data()).unwrap()
    }

    /// The answer to an ICMP question.
    #[track_caller]
    fn answer(&mut self, question: &IcmpFrame) -> IcmpFrame {
        let Verdict::Hairpin(answer) = self.see(&question.frame()) else { panic!("no answer: {question:?}") };
        IcmpFrame::read(answer.data()).unwrap()
    }

    #[track_caller]
    fn report(&mut self, frame: &[u8]) -> Report {
        let Verdict::Report(report) = self.see(frame) else { panic!("not believed: {frame:02x?}") };
        assert_eq!(self.pool.outstanding(), 0);
        report
    }
}

fn host() -> Host {
    Host::new(Policy::default())
}

fn closed(payload: &[u8]) -> UdpFrame {
    UdpFrame::new("198.18.0.1:4000", "198.18.0.2:80", payload)
}

/// `packet` in a frame from the peer to the host.
fn framed(packet: &[u8]) -> Vec<u8> {
    framed_to(station_mac(OWN), packet)
}

fn framed_to(destination: MacAddr, packet: &[u8]) -> Vec<u8> {
    Ethernet { destination, source: station_mac(PEER), tci: None, ethertype: 0x0800 }.frame(packet)
}

/// An IPv4 packet from the peer, of a protocol that nobody knows.
fn unknown_protocol(destination: Ipv4Addr) -> Vec<u8> {
    Ipv4::new(PEER, destination, 253).packet(b"some payload")
}

// I18, RFC 1122 3.2.2.1: TCP is as unknown here as any other. C04: from the address that was asked.
#[test]
fn an_unknown_protocol_is_told_to_one_host_and_never_to_many() {
    let mut host = host();
    for (protocol, own) in [(253, OWN), (6, OWN), (132, OWN_SECOND)] {
        let packet = Ipv4::new(PEER, own, protocol).packet(b"some payload");
        let error = host.complaint(&framed(&packet), DropReason::ProtocolUnknown);
        assert_eq!((error.kind, error.code, &error.body[..4]), (3, 2, &[0; 4][..]));
        assert_eq!((error.ip.source, error.ip.destination), (own, PEER));
        assert_eq!(error.body[4..], packet);
    }
    for (mac, destination) in [
        (station_mac(OWN), GROUP),
        (Group::<V4>::new(GROUP).unwrap().mac(), GROUP),
        (MacAddr::BROADCAST, Ipv4Addr::BROADCAST),
        (MacAddr::BROADCAST, Ipv4Addr::new(198, 18, 0, 255)),
    ] {
        host.silent(&framed_to(mac, &unknown_protocol(destination)), DropReason::ProtocolUnknown);
    }
}

// I14, RFC 1122 3.2.2.5, RFC 792: the pointer in the first of the last four bytes.
#[test]
fn a_bad_option_is_pointed_at() {
    let mut host = host();
    for (options, pointer) in [
        (vec![0x9e, 0, 0, 0], 20),
        (vec![0x9e, 39, 0, 0], 20),
        (vec![1, 1, 0x9e, 0], 22),
        (vec![7, 7, 3, 0, 0, 0, 0, 0], 22),
        (vec![68, 8, 9, 0xf0, 0, 0, 0, 0], 23),
    ] {
        host.ingress = Ingress::new(NOW, &mut Rng::new(1), IngressOptions::default());
        let frame = UdpFrame { options: options.clone(), ..closed(b"hello") };
        let error = host.complaint(&frame.frame(), DropReason::Ipv4OptionInvalid);
        assert_eq!(
            (error.kind, error.code, &error.body[..4]),
            (12, 0, &[pointer, 0, 0, 0][..]),
            "{options:?}"
        );
        assert_eq!(error.body[4..], frame.frame()[14..14 + error.body.len() - 4]);
    }
    let bad = UdpFrame { options: vec![7, 0, 0, 0], ..closed(b"hello") };
    let to_group =
        UdpFrame { options: vec![7, 0, 0, 0], ..UdpFrame::new("198.18.0.1:4000", "239.1.2.3:7", b"x") };
    host.silent(&to_group.frame(), DropReason::Ipv4OptionInvalid);
    let later = UdpFrame { fragment: 0x0001, ..bad.clone() };
    host.silent(&later.frame(), DropReason::Ipv4OptionInvalid);
}

// C03, F12, RFC 1122 3.2.2: each of them for itself would be complained about.
#[test]
fn no_error_is_about_an_error_or_many_or_a_later_fragment_or_no_host() {
    let accepting =
        Policy { accept_unicast_in_group_frames: true, accept_reserved_sources: true, ..Policy::default() };
    let mut host = Host::new(accepting);
    host.complaint(&closed(b"x").frame(), DropReason::UdpNoPort);
    // To one host, in a frame for all: the classic.
    host.silent(&closed(b"x").to_mac(MacAddr::BROADCAST).frame(), DropReason::UdpNoPort);
    host.silent(&framed_to(MacAddr::BROADCAST, &unknown_protocol(OWN)), DropReason::ProtocolUnknown);
    // About an ICMP error, and about what may be one; about a question it may be.
    let with_bad_option = |icmp_type: u8| {
        let ip = Ipv4 { options: vec![0x9e, 0, 0, 0], ..Ipv4::new(PEER, OWN, 1) };
        framed(&ip.packet(&[icmp_type, 0, 0, 0, 0, 0, 0, 0]))
    };
    for icmp_type in [3, 4, 5, 11, 12, 1, 9, 99, 255] {
        host.silent(&with_bad_option(icmp_type), DropReason::Ipv4OptionInvalid);
    }
    assert_eq!(host.complaint(&with_bad_option(8), DropReason::Ipv4OptionInvalid).kind, 12);
    // About what is no single host's.
    for source in
        ["255.255.255.255:4000", "198.18.0.255:4000", "127.0.0.1:4000", "224.0.0.1:4000", "0.0.0.0:4000"]
    {
        let frame =
            UdpFrame { source_mac: station_mac(PEER), ..UdpFrame::new(source, "198.18.0.2:80", b"x") };
        host.silent(&frame.frame(), DropReason::Ipv4SourceMartian);
    }
}

// C02, RFC 1812 4.3.2.3; I23: as much as fits the link, when that carries less than 576 bytes.
#[test]
fn an_error_is_no_longer_than_the_link_carries() {
    let mut host = host();
    host.interfaces.get_mut(InterfaceId(0)).unwrap().set_mtu(300);
    let error = host.complaint(&closed(&[7; 1000]).frame(), DropReason::UdpNoPort);
    assert_eq!(20 + 4 + error.body.len(), 300);
}

// I20, RFC 6864 4: errors and echo replies may be fragmented on their way, as Linux's, so that each has another identification.
#[test]
fn what_may_be_fragmented_has_an_identification_of_its_own() {
    let mut host = host();
    let ping = IcmpFrame::echo(PEER, OWN, 1, 1, b"hello");
    let ids: Vec<u16> = (0..20).map(|_| host.answer(&ping).ip.id).collect();
    let distinct: std::collections::BTreeSet<_> = ids.iter().collect();
    assert!(distinct.len() > 17, "{ids:?}");
    assert_eq!(host.answer(&ping).ip.fragment, 0);
    assert_eq!(host.complaint(&closed(b"x").frame(), DropReason::UdpNoPort).ip.fragment, 0);
}

// I17, RFC 1122 3.2.2.6: the record route and the timestamp of an echo are in its reply, with us in them.
#[test]
fn an_echo_reply_has_the_requests_route_and_times() {
    let mut host = host();
    let mut ping = IcmpFrame::echo(PEER, OWN, 1, 2, b"hello");
    ping.ip.options = [&[7, 11, 4][..], &[0; 8], &[0]].concat();
    let reply = host.answer(&ping);
    assert_eq!(reply.ip.options, [&[7, 11, 12][..], &OWN.octets(), &OWN.octets(), &[0]].concat());
    assert_eq!((reply.kind, &reply.body, reply.ip.destination), (0, &ping.body, PEER));
    ping.ip.options = [&[68, 12, 5, 0][..], &[0; 8]].concat();
    assert_eq!(host.answer(&ping).ip.options, [&[68, 12, 13, 0][..], &MS_OF_DAY, &MS_OF_DAY].concat());
    // Nothing else stays, and without them there are none.
    ping.ip.options = vec![148, 4, 0, 0];
    assert!(host.answer(&ping).ip.options.is_empty());
    // The largest that the link carries, with a full header.
    let mut large = IcmpFrame::echo(PEER, OWN, 1, 2, &[7; 1500 - 60 - 8]);
    large.ip.options = [&[7, 39, 4][..], &[0; 37]].concat();
    assert_eq!(host.answer(&large).body, large.body);
}

// C10, RFC 1122 3.2.2.8, RFC 792: 14, with the time since midnight UT; not where it is off, nor to many.
#[test]
fn the_time_is_told_to_one_host_if_the_policy_says_so() {
    let ask = |destination| {
        IcmpFrame::between(PEER, destination, 13, &[0x12, 0x34, 0, 1, 9, 8, 7, 6, 0, 0, 0, 0, 0, 0, 0, 0])
    };
    let mut host = host();
    let answer = host.answer(&ask(OWN_SECOND).to_mac(station_mac(OWN)));
    assert_eq!((answer.kind, answer.code, answer.ip.source), (14, 0, OWN_SECOND));
    assert_eq!(answer.body, [&[0x12, 0x34, 0, 1, 9, 8, 7, 6][..], &MS_OF_DAY, &MS_OF_DAY].concat());
    host.silent(&ask(GROUP).frame(), DropReason::IcmpTimestampGroup);
    host.silent(&ask(Ipv4Addr::BROADCAST).frame(), DropReason::IcmpTimestampGroup);
    let short = IcmpFrame::between(PEER, OWN, 13, &[0; 15]);
    host.silent(&short.frame(), DropReason::IcmpTruncated);
    // Address masks and information are not asked for any more.
    for kind in [15, 16, 17, 18] {
        host.silent(&IcmpFrame::between(PEER, OWN, kind, &[0; 8]).frame(), DropReason::IcmpUnwanted);
    }
    let mut off = Host::new(Policy { icmp_timestamp: false, ..Policy::default() });
    off.silent(&ask(OWN).frame(), DropReason::IcmpTimestampOff);
}

// C08, RFC 1122 3.2.2.6, RFC 2644: by default silent; where it is answered, from our own address, and not without end.
#[test]
fn an_echo_to_many_is_a_matter_of_policy_and_of_measure() {
    let ping = |to: Ipv4Addr| IcmpFrame::echo(PEER, to, 1, 1, b"anyone?");
    let mut quiet = host();
    quiet.silent(&ping(GROUP).frame(), DropReason::IcmpEchoGroup);
    quiet.silent(&ping(Ipv4Addr::BROADCAST).frame(), DropReason::IcmpEchoGroup);
    let mut host = Host::new(Policy { icmp_echo_group: true, ..Policy::default() });
    for destination in [GROUP, Ipv4Addr::BROADCAST] {
        let reply = host.answer(&ping(destination));
        assert_eq!(
            (reply.ip.source, reply.ip.destination, reply.destination_mac),
            (OWN, PEER, station_mac(PEER))
        );
    }
    let answered =
        (0..1000).filter(|_| matches!(host.see(&ping(GROUP).frame()), Verdict::Hairpin(_))).count();
    assert_eq!(answered, 8, "ten at once, two of them before");
    host.silent(&ping(GROUP).frame(), DropReason::IcmpEchoGroupRate);
    host.answer(&ping(OWN));
    // X03: who has no address cannot be answered.
    let nobody = IcmpFrame {
        source_mac: station_mac(PEER),
        ..IcmpFrame::echo(Ipv4Addr::UNSPECIFIED, Ipv4Addr::new(224, 0, 0, 1), 1, 1, b"")
    };
    let mut fresh = Host::new(Policy { icmp_echo_group: true, ..Policy::default() });
    fresh.silent(&nobody.frame(), DropReason::ReplyImpossible);
}

// E15, RFC 1122 3.3.6: by default refused; as Linux does if configured.
#[test]
fn a_packet_for_one_in_a_frame_for_many_is_a_matter_of_policy() {
    let request = UdpFrame::new("198.18.0.1:4000", "198.18.0.2:7", b"x").to_mac(MacAddr::BROADCAST);
    host().silent(&request.frame(), DropReason::Ipv4UnicastInGroupFrame);
    let mut accepting = Host::new(Policy { accept_unicast_in_group_frames: true, ..Policy::default() });
    assert!(matches!(accepting.see(&request.frame()), Verdict::Deliver(..)));
}

// I11, RFC 6890: by default refused; as Linux does if configured.
#[test]
fn reserved_sources_are_a_matter_of_policy() {
    for source in ["240.0.0.1:4000", "0.1.2.3:4000"] {
        let request =
            UdpFrame { source_mac: station_mac(PEER), ..UdpFrame::new(source, "198.18.0.2:7", b"x") };
        host().silent(&request.frame(), DropReason::Ipv4SourceMartian);
        let mut accepting = Host::new(Policy { accept_reserved_sources: true, ..Policy::default() });
        assert!(matches!(accepting.see(&request.frame()), Verdict::Deliver(..)), "{source}");
    }
}

/// The front of a datagram that our echo service sent to `to`: what an error quotes. With DF, unless changed.
fn quoted(to: &str, total_len: u16) -> Vec<u8> {
    let answer = UdpFrame { fragment: 0x4000, ..UdpFrame::new("198.18.0.2:7", to, &[]) };
    let mut packet = answer.frame()[14..42].to_vec();
    packet[2..4].copy_from_slice(&total_len.to_be_bytes());
    packet
}

/// An ICMP error from the peer to us.
fn error(kind: u8, code: u8, rest: u32, quote: &[u8]) -> IcmpFrame {
    let body = [&rest.to_be_bytes()[..], quote].concat();
    IcmpFrame { code, ..IcmpFrame::between(PEER, OWN, kind, &body) }
}

fn to_far() -> Vec<u8> {
    quoted("198.19.0.9:40000", 1428)
}

// C15, RFC 1122 3.2.2.1: what they say, in words of sockets.
#[test]
fn an_error_about_our_datagram_is_understood() {
    let mut host = host();
    use IcmpErrorKind as K;
    for ((kind, code, rest), want) in [
        ((3, 0, 0), K::NetworkUnreachable),
        ((3, 1, 0), K::HostUnreachable),
        ((3, 2, 0), K::ProtocolUnreachable),
        ((3, 3, 0), K::PortUnreachable),
        ((3, 4, 1300), K::TooBig { mtu: 1300 }),
        ((3, 5, 0), K::Unreachable),
        ((3, 13, 0), K::Prohibited),
        ((11, 0, 0), K::TtlExceeded),
        ((11, 1, 0), K::ReassemblyTimeExceeded),
        ((12, 0, 0x1400_0000), K::ParameterProblem { pointer: 20 }),
    ] {
        let report = host.report(&error(kind, code, rest, &to_far()).frame());
        assert_eq!(report.error.kind, want);
        assert_eq!((report.error.icmp_type, report.error.icmp_code), (kind, code));
        assert_eq!((report.error.reporter, report.error.interface), (PEER.into(), InterfaceId(0)));
        assert_eq!(report.error.local, "198.18.0.2:7".parse::<SocketAddr>().unwrap());
        assert_eq!(report.error.peer, "198.19.0.9:40000".parse::<SocketAddr>().unwrap());
        assert_eq!(report.too_big.is_some(), (kind, code) == (3, 4));
    }
}

// C14, RFC 5927 4: an error that quotes no packet of an open socket of ours says nothing to us.
#[test]
fn an_error_about_no_socket_of_ours_is_ignored() {
    let mut host = host();
    let changed = |at: usize, byte: u8| {
        let mut quote = to_far();
        quote[at] = byte;
        error(3, 3, 0, &quote).frame()
    };
    // Another port of ours; another host's address; another protocol; a later fragment.
    host.silent(&changed(21, 9), DropReason::IcmpErrorUnmatched);
    host.silent(&changed(15, 77), DropReason::IcmpErrorUnmatched);
    host.silent(&changed(9, 6), DropReason::IcmpErrorUnmatched);
    host.silent(&changed(7, 1), DropReason::IcmpErrorUnmatched);
    // C17: about an error of ours, about a ping of ours.
    let our_error = IcmpFrame::between(OWN, PEER, 3, &to_far()).frame()[14..66].to_vec();
    host.silent(&error(11, 0, 0, &our_error).frame(), DropReason::IcmpErrorUnmatched);
    // To a group, or to ourselves: we sent no such thing.
    host.silent(&changed(16, 239), DropReason::IcmpErrorInvalid);
    host.silent(&error(3, 3, 0, &quoted("198.18.0.3:7", 1428)).frame(), DropReason::IcmpErrorInvalid);
}

// C14: every bound of the quoted header; 24 bytes are too few.
#[test]
fn an_error_that_quotes_too_little_is_ignored() {
    let mut host = host();
    for len in 0..28 {
        host.silent(&error(3, 3, 0, &to_far()[..len]).frame(), DropReason::IcmpErrorInvalid);
    }
    for first in [0x44, 0x4f, 0x46, 0x65, 0x05] {
        let mut quote = to_far();
        quote[0] = first;
        host.silent(&error(3, 3, 0, &quote).frame(), DropReason::IcmpErrorInvalid);
    }
    // And one that was sent to many is for nobody.
    let to_group = IcmpFrame { ip: Ipv4::new(PEER, GROUP, 1), ..error(3, 3, 0, &to_far()) };
    host.silent(&to_group.frame(), DropReason::IcmpErrorInvalid);
}

// C11, RFC 6633 3; C12; C13, RFC 1122 3.2.2.2: each with a counter of its own.
#[test]
fn redirects_and_quenches_and_unknown_types_are_ignored() {
    let mut host = host();
    for code in 0..4 {
        let gateway = Ipv4Addr::new(198, 18, 0, 66).to_bits();
        host.silent(&error(5, code, gateway, &to_far()).frame(), DropReason::IcmpRedirect);
    }
    host.silent(&error(4, 0, 0, &to_far()).frame(), DropReason::IcmpSourceQuench);
    for kind in [1, 2, 6, 7, 9, 10, 19, 40, 99, 255] {
        host.silent(&error(kind, 0, 0, &to_far()).frame(), DropReason::IcmpUnknown);
    }
}

// C16, RFC 1191 3, RFC 5927 7.2: an MTU that no link has, or that the quoted packet would have fitted.
#[test]
fn an_mtu_that_cannot_be_is_ignored() {
    let mut host = host();
    for mtu in [1, 20, 67, 1428, 1500, 9000, 65535] {
        host.silent(&error(3, 4, mtu, &to_far()).frame(), DropReason::IcmpMtuInvalid);
    }
    for mtu in [0, 68, 1300, 1427] {
        let too_big = host.report(&error(3, 4, mtu, &to_far()).frame()).too_big.unwrap();
        assert_eq!((u32::from(too_big.mtu), too_big.quoted_len, too_big.dst), (mtu, 1428, FAR.into()));
    }
    // A packet that had no DF was fragmented; one that is longer than our link we did not send.
    let mut without_df = to_far();
    without_df[6] = 0;
    host.silent(&error(3, 4, 1300, &without_df).frame(), DropReason::IcmpMtuInvalid);
    host.silent(&error(3, 4, 1300, &quoted("198.19.0.9:40000", 1501)).frame(), DropReason::IcmpMtuInvalid);
}

/// An echo that remembers of which errors it was told.
#[derive(Clone, Default)]
struct Listening(Arc<Mutex<Vec<IcmpError>>>);

impl Service<SimBuf> for Listening {
    fn datagrams(&mut self, _cx: &mut Cx<'_, SimBuf>, burst: &mut [Datagram<SimBuf>]) {
        burst.iter_mut().for_each(Datagram::reply);
    }

    fn icmp_error(&mut self, _cx: &mut Cx<'_, SimBuf>, error: &IcmpError) {
        self.0.lock().unwrap().push(*error);
    }
}

fn listening(discovery: PmtuDiscovery) -> (Listening, WorldOptions) {
    let listening = Listening::default();
    let instance = listening.clone();
    let factory: pollcast::sim::setup::ServiceFactory = Box::new(move || Box::new(instance.clone()));
    let manner = Manner { path_mtu_discovery: discovery, ..Manner::default() };
    let service = ServiceOptions { factory, manner, ..ServiceOptions::echo() };
    (listening, WorldOptions { services: vec![service], workers: 2, ..WorldOptions::default() })
}

fn started(options: &WorldOptions) -> World {
    let mut world = World::new(7, options);
    world.run_for(Duration::from_secs(5));
    world.take_sent(0);
    world
}

// C15, RFC 1122 4.1.3.3: the service hears of it, once, and nobody answers (C17).
#[test]
fn a_service_hears_of_errors_about_its_own_datagrams() {
    let (heard, options) = listening(PmtuDiscovery::Want);
    let mut world = started(&options);
    let sent = world.exchange(0, &error(3, 3, 0, &to_far()).frame());
    assert!(sent.is_empty(), "{sent:02x?}");
    let errors = heard.0.lock().unwrap().clone();
    assert_eq!(errors.iter().map(|e| e.kind).collect::<Vec<_>>(), [IcmpErrorKind::PortUnreachable]);
    assert_eq!(world.count(Counter::IcmpReports), 1);
    // One that no socket knows of is told to no one.
    assert!(world.exchange(0, &error(3, 3, 0, &quoted("198.19.0.9:40000", 27)).frame()).is_empty());
    assert_eq!(heard.0.lock().unwrap().len(), 1);
}

// C15, F17: an error that came in fragments is told of at once, whichever worker put it together.
#[test]
fn a_service_hears_of_errors_that_came_in_fragments() {
    let (heard, options) = listening(PmtuDiscovery::Want);
    let mut world = started(&options);
    let long = [to_far(), vec![7; 1400]].concat();
    for id in 1..=100u16 {
        for fragment in cut_evenly(&error(3, 3, 0, &long).frame(), id, 800) {
            world.inject(0, &fragment);
        }
        world.settle();
        assert_eq!(heard.0.lock().unwrap().len(), usize::from(id));
    }
    assert!(world.count(Counter::HandedOut) > 20, "{}", world.count(Counter::HandedOut));
}

/// A request of `len` bytes as an IP packet, from far away by way of the peer.
fn request_of(len: usize, from: &str) -> Vec<u8> {
    let source_mac = station_mac(PEER);
    UdpFrame { source_mac, ..UdpFrame::new(from, "198.18.0.2:7", &vec![7; len - 28]) }.frame()
}

fn answers(world: &mut World, len: usize, from: &str) -> bool {
    let sent = world.exchange(0, &request_of(len, from));
    for frame in &sent {
        assert_eq!(UdpFrame::read(frame).unwrap().payload.len(), len - 28);
    }
    !sent.is_empty()
}

const FAR_CLIENT: &str = "198.19.0.9:40000";
const OTHER_CLIENT: &str = "198.19.0.10:40000";

// C16, T01, RFC 1191 3, 6.3: "do" refuses what the path does not carry, to that host alone, for ten minutes; on every
// worker, whichever heard of it.
#[test]
fn a_reported_path_mtu_holds_for_one_host_for_ten_minutes() {
    let (heard, options) = listening(PmtuDiscovery::Do);
    let mut world = started(&options);
    assert!(answers(&mut world, 1428, FAR_CLIENT));
    assert!(world.exchange(0, &error(3, 4, 1300, &to_far()).frame()).is_empty());
    assert_eq!(heard.0.lock().unwrap()[0].kind, IcmpErrorKind::TooBig { mtu: 1300 });
    for port in 40000..40020 {
        let from = format!("198.19.0.9:{port}");
        assert!(answers(&mut world, 1300, &from), "{from}");
        assert!(!answers(&mut world, 1301, &from), "{from}");
    }
    assert_eq!(world.drops(DropReason::ReplyTooBig), 20);
    assert!(answers(&mut world, 1500, OTHER_CLIENT), "another path is another one");
    let Answer::Paths(paths) = world.execute(&Command::Paths) else { panic!() };
    assert_eq!(paths.len(), 1);
    assert_eq!(
        (paths[0].addr, paths[0].mtu, paths[0].df_max, &*paths[0].port),
        (FAR.into(), 1300, 1300, "p0")
    );
    // A larger one changes nothing; nor does one that no link has.
    world.exchange(0, &error(3, 4, 1400, &to_far()).frame());
    world.exchange(0, &error(3, 4, 20, &to_far()).frame());
    assert!(!answers(&mut world, 1301, FAR_CLIENT));
    world.run_for(Duration::from_secs(599));
    assert!(!answers(&mut world, 1428, FAR_CLIENT));
    world.run_for(Duration::from_secs(2));
    assert!(answers(&mut world, 1428, FAR_CLIENT));
    let Answer::Paths(paths) = world.execute(&Command::Paths) else { panic!() };
    assert!(paths.is_empty());
}

// C14, C16: a forged one, about a socket that is not there, changes nothing.
#[test]
fn a_forged_path_mtu_is_not_believed() {
    let (_, options) = listening(PmtuDiscovery::Do);
    let mut world = started(&options);
    let mut forged = to_far();
    forged[21] = 8;
    world.exchange(0, &error(3, 4, 1300, &forged).frame());
    assert!(answers(&mut world, 1428, FAR_CLIENT));
    assert_eq!(world.drops(DropReason::IcmpErrorUnmatched), 1);
}

// T01, ip(7): "probe" goes by the link alone, "dont" sets no DF, the others do.
#[test]
fn each_way_of_discovery_sets_df_as_linux_does() {
    for (discovery, df, beyond) in [
        (PmtuDiscovery::Want, 0x4000, None),
        (PmtuDiscovery::Do, 0x4000, Some(false)),
        (PmtuDiscovery::Dont, 0, None),
        (PmtuDiscovery::Probe, 0x4000, Some(true)),
    ] {
        let (_, options) = listening(discovery);
        let mut world = started(&options);
        let fragment = |world: &mut World, len| {
            let sent = world.exchange(0, &request_of(len, FAR_CLIENT));
            UdpFrame::read(&sent[0]).unwrap().fragment
        };
        assert_eq!(fragment(&mut world, 1428), df, "{discovery}");
        world.exchange(0, &error(3, 4, 1300, &to_far()).frame());
        assert_eq!(fragment(&mut world, 1300), df, "{discovery}");
        if let Some(beyond) = beyond {
            assert_eq!(answers(&mut world, 1400, FAR_CLIENT), beyond, "{discovery}");
        }
    }
}

// C16: below the floor of 552 it goes without DF, so that routers may cut it.
#[test]
fn below_the_floor_answers_go_without_df() {
    let (_, options) = listening(PmtuDiscovery::Want);
    let mut world = started(&options);
    world.exchange(0, &error(3, 4, 300, &to_far()).frame());
    for (len, fragment) in [(100, 0x4000), (300, 0x4000), (301, 0), (552, 0)] {
        let sent = world.exchange(0, &request_of(len, FAR_CLIENT));
        assert_eq!(UdpFrame::read(&sent[0]).unwrap().fragment, fragment, "{len}");
        assert_eq!(UdpFrame::read(&sent[0]).unwrap().sum, UdpSum::Right);
    }
}

// T04, RFC 1191: another MTU of the port forgets every path, and none is above it.
#[test]
fn another_mtu_of_the_port_forgets_its_paths() {
    let (_, options) = listening(PmtuDiscovery::Do);
    let mut world = started(&options);
    world.exchange(0, &error(3, 4, 1300, &to_far()).frame());
    assert!(!answers(&mut world, 1428, FAR_CLIENT));
    let order = |mtu| Command::Mtu(MtuOrder { mtu, port: Some("p0".into()) });
    let Answer::Done(done) = world.command(&order(1450)) else { panic!() };
    assert!(done.done.contains("p0 carries 1450 bytes"), "{}", done.done);
    assert!(answers(&mut world, 1428, FAR_CLIENT));
    assert!(answers(&mut world, 1450, OTHER_CLIENT));
    assert!(!answers(&mut world, 1451, OTHER_CLIENT));
    let Answer::Paths(paths) = world.execute(&Command::Paths) else { panic!() };
    assert!(paths.is_empty());
    world.command(&order(1500));
    assert!(answers(&mut world, 1500, OTHER_CLIENT));
    for bad in [0, 67, 1501, 9000] {
        let Answer::Error(why) = world.execute(&order(bad)) else { panic!("{bad}") };
        assert!(why.starts_with(&format!("mtu {bad}: use 68 to 1500")), "{why}");
    }
}

// T04: a worker whose inbox was full is told of the link's MTU when there is room.
#[test]
fn a_worker_with_a_full_inbox_is_told_of_the_mtu_later() {
    let (_, options) = listening(PmtuDiscovery::Do);
    let mut world = started(&WorldOptions { workers: 1, ..options });
    // Each puts a table into the inbox.
    for n in 0..u32::try_from(INBOX_LEN).unwrap() {
        let group = Ipv4Addr::from_bits(0xef01_0000 + n);
        assert!(matches!(world.command(&Command::Join(Membership::of(group))), Answer::Done(_)));
    }
    assert!(matches!(world.command(&Command::Mtu(MtuOrder { mtu: 1450, port: None })), Answer::Done(_)));
    world.run_for(Duration::from_secs(5));
    world.take_sent(0);
    assert!(answers(&mut world, 1450, OTHER_CLIENT));
    assert!(!answers(&mut world, 1451, OTHER_CLIENT));
}

// C16, Q02: anyone can send reports of paths that nobody goes; what they cost control and its word to the workers is bounded.
#[test]
fn a_flood_of_path_reports_is_not_all_believed() {
    let (_, options) = listening(PmtuDiscovery::Do);
    let mut world = started(&options);
    for n in 0..2000u32 {
        let to = format!("198.19.{}.{}:40000", n / 250, 1 + n % 250);
        world.inject(0, &error(3, 4, 1300, &quoted(&to, 1428)).frame());
        world.settle();
    }
    let known = |world: &mut World| match world.execute(&Command::Paths) {
        Answer::Paths(paths) => paths.len(),
        other => panic!("{other:?}"),
    };
    assert_eq!(known(&mut world), 256);
    // What is told again is believed.
    world.run_for(Duration::from_secs(1));
    world.exchange(0, &error(3, 4, 1300, &quoted("198.18.0.77:40000", 1428)).frame());
    assert_eq!(known(&mut world), 257);
}
