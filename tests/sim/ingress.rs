//! What becomes of each kind of frame, by the rows of the conformance matrix: `stack::ingress` alone, frame by frame.
//!
//! The frames are built by `sim::frames`, which shares no code with what is tested.

use core::net::Ipv4Addr;
use std::collections::BTreeSet;

use pollcast::addr::{Group, Ipv4Cidr, MacAddr, Unicast};
use pollcast::io::{BufPool, Cast, ChecksumStatus, DropReason, InterfaceId, PacketBuf, PayloadSum, RxMeta};
use pollcast::rng::Rng;
use pollcast::sim::buf::{SimBuf, SimPool};
use pollcast::sim::frames::fragment::cut;
use pollcast::sim::frames::{ArpFrame, Ethernet, IcmpFrame, Ipv4, UdpFrame, UdpSum, station_mac};
use pollcast::stack::egress;
use pollcast::stack::fragmentation::{IdSpace, Ids};
use pollcast::stack::groups::GroupTable;
use pollcast::stack::ingress::{Ingress, IngressOptions, Punted, Verdict};
use pollcast::stack::interface::{Interface, Interfaces};
use pollcast::stack::membership::SourceFilter;
use pollcast::stack::port_table::{PortTable, Socket};
use pollcast::time::Instant;

const OWN: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 2);
const PEER: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);

/// Identifications, which whatever may not be fragmented has no need of.
fn ids() -> Ids {
    Ids::new(IdSpace::default(), &mut Rng::new(1))
}

struct Host {
    interfaces: Interfaces,
    table: PortTable,
    pool: SimPool,
    ingress: Ingress,
}

impl Host {
    /// 198.18.0.2/24 with an echo on any address, port 7, which joined 239.1.2.3, and 232.1.2.3 from the peer.
    fn new() -> Self {
        let cidr = Ipv4Cidr::new(Unicast::new(OWN).unwrap(), 24).unwrap();
        let mut interface = Interface::new(InterfaceId(0), station_mac(OWN), 1500, vec![cidr]);
        let group = |g: [u8; 4], filter| (Group::new(g.into()).unwrap(), 0, filter);
        let only = SourceFilter::Include(BTreeSet::from([PEER]));
        let joined = [group([239, 1, 2, 3], SourceFilter::ANY), group([232, 1, 2, 3], only)];
        interface.v4.groups = std::sync::Arc::new(GroupTable::new(3, joined.into_iter()));
        let mut table = PortTable::new(5);
        table.bind(Socket::new(InterfaceId(0), "0.0.0.0:7".parse().unwrap(), 0)).unwrap();
        let ingress = Ingress::new(Instant::ZERO, &mut Rng::new(1), IngressOptions::default());
        Self { interfaces: interface.into(), table, pool: SimPool::new(64, 2048), ingress }
    }

    fn interface(&self) -> &Interface {
        self.interfaces.untagged().unwrap()
    }

    fn see_as(&mut self, frame: &[u8], meta: RxMeta) -> Verdict<SimBuf> {
        let mut buf = self.pool.alloc_copy(frame).unwrap();
        buf.set_rx_meta(meta);
        self.ingress.ingress(Instant::ZERO, buf, &self.interfaces, &self.table, &self.pool)
    }

    fn see(&mut self, frame: &[u8]) -> Verdict<SimBuf> {
        self.see_as(frame, RxMeta::default())
    }

    #[track_caller]
    fn drops(&mut self, frame: &[u8], why: DropReason) {
        match self.see(frame) {
            Verdict::Drop(got) => assert_eq!(got, why, "{frame:02x?}"),
            other => panic!("expected {why}, got {other:?} for {frame:02x?}"),
        }
        assert_eq!(self.pool.outstanding(), 0);
    }

    /// `frame` is dropped, and its sender told so.
    #[track_caller]
    fn rejects(&mut self, frame: &[u8], why: DropReason, kind: (u8, u8)) {
        let Verdict::Reject(got, Some(error)) = self.see(frame) else { panic!("nobody told: {frame:02x?}") };
        let error = IcmpFrame::read(error.data()).unwrap();
        assert_eq!((got, (error.kind, error.code)), (why, kind), "{frame:02x?}");
    }

    /// The payload that a service would get, and to whom it was addressed.
    #[track_caller]
    fn delivers(&mut self, frame: &[u8]) -> (Vec<u8>, Cast) {
        match self.see(frame) {
            Verdict::Deliver(buf, parts) => {
                let (start, end) = (parts.l4() + 8, parts.l4() + usize::from(parts.udp_len()));
                (buf.data()[start..end].to_vec(), parts.cast())
            }
            other => panic!("expected a delivery, got {other:?} for {frame:02x?}"),
        }
    }

    /// The echo of `frame`, read back by the other implementation.
    #[track_caller]
    fn echoes(&mut self, frame: &[u8]) -> UdpFrame {
        let Verdict::Deliver(mut buf, parts) = self.see(frame) else { panic!("not delivered") };
        assert!(egress::udp_reply(&mut buf, parts, true, &mut ids(), self.interface()));
        UdpFrame::read(buf.data()).expect("a right answer")
    }
}

fn udp(destination: &str, payload: &[u8]) -> UdpFrame {
    UdpFrame::new("198.18.0.1:4000", destination, payload)
}

fn from(source: &str) -> Vec<u8> {
    UdpFrame { source_mac: station_mac(PEER), ..UdpFrame::new(source, "198.18.0.2:7", b"x") }.frame()
}

/// `frame` with its IPv4 header changed by `change` and its header checksum made right again.
fn ip_changed(mut frame: Vec<u8>, change: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let header_len = usize::from(frame[14] & 0x0f) * 4;
    change(&mut frame[14..14 + header_len]);
    frame[24..26].copy_from_slice(&[0, 0]);
    let mut sum: u32 = frame[14..14 + header_len]
        .chunks(2)
        .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    let sum = !u16::try_from(sum).unwrap();
    frame[24..26].copy_from_slice(&sum.to_be_bytes());
    frame
}

// E01, RFC 1112 6.4: our own MAC, broadcast, or a group that we want.
#[test]
fn frames_to_other_stations_and_groups_are_dropped() {
    let mut host = Host::new();
    let plain = udp("198.18.0.2:7", b"x");
    host.delivers(&plain.frame());
    host.drops(&plain.clone().to_mac(MacAddr([2, 0, 0, 0, 0, 0x99])).frame(), DropReason::EthernetNotForUs);
    host.drops(&udp("239.9.9.9:7", b"x").frame(), DropReason::EthernetGroupNotJoined);
}

// E04, RFC 1112 6.4: the MAC is shared by 32 groups.
#[test]
fn a_group_that_shares_the_mac_of_a_joined_one_is_dropped() {
    let mut host = Host::new();
    assert_eq!(host.delivers(&udp("239.1.2.3:7", b"x").frame()).1, Cast::Multicast);
    host.drops(&udp("239.129.2.3:7", b"x").frame(), DropReason::Ipv4GroupNotJoined);
    host.drops(&udp("238.1.2.3:7", b"x").frame(), DropReason::Ipv4GroupNotJoined);
}

// U16, RFC 9776 3.2: a group joined for one source is not joined for another.
#[test]
fn a_group_joined_for_one_source_admits_no_other() {
    let mut host = Host::new();
    host.delivers(&udp("232.1.2.3:7", b"x").frame());
    let other = UdpFrame::new("198.18.0.9:4000", "232.1.2.3:7", b"x");
    host.drops(&other.frame(), DropReason::GroupSourceFiltered);
}

// E09, CVE-2003-0001; E10, RFC 1122 2.3.3: what lies behind the datagram is neither echoed nor left in the padding.
#[test]
fn trailing_bytes_are_ignored_and_the_padding_of_an_answer_is_zeros() {
    let mut host = Host::new();
    let mut frame = udp("198.18.0.2:7", b"x").frame();
    frame[43..].fill(0xee);
    frame.extend([0xee; 20]);
    let Verdict::Deliver(mut buf, parts) = host.see(&frame) else { panic!() };
    assert!(egress::udp_reply(&mut buf, parts, true, &mut ids(), host.interface()));
    assert_eq!(buf.data().len(), 60);
    assert!(buf.data()[43..].iter().all(|&b| b == 0));
}

// E11, 802.1Q 6.9: VLAN 0 is a priority and no VLAN; E12: its answer carries no VLAN either.
#[test]
fn a_priority_tag_is_looked_through_and_another_vlan_is_not_ours() {
    let mut host = Host::new();
    let tagged = |tci| UdpFrame { tci: Some(tci), ..udp("198.18.0.2:7", b"hello") }.frame();
    assert_eq!(host.delivers(&tagged(0)).0, b"hello");
    assert_eq!(host.delivers(&tagged(0xe000)).0, b"hello");
    let answer = host.echoes(&tagged(0xe000));
    assert_eq!((answer.tci, &answer.payload[..]), (None, &b"hello"[..]));
    host.drops(&tagged(5), DropReason::VlanUnknown);
    let stripped = |tci| RxMeta { stripped_tci: Some(tci), ..RxMeta::default() };
    let plain = udp("198.18.0.2:7", b"x").frame();
    assert!(matches!(host.see_as(&plain, stripped(0x6000)), Verdict::Deliver(..)));
    assert!(matches!(host.see_as(&plain, stripped(5)), Verdict::Drop(DropReason::VlanUnknown)));
}

// E13, RFC 1122 2.3.3: a length is no type. E14: no station sends from a group, and ours came round a loop.
#[test]
fn lengths_for_types_and_impossible_sources_are_dropped() {
    let mut host = Host::new();
    let mut frame = udp("198.18.0.2:7", b"x").frame();
    frame[12..14].copy_from_slice(&[0x00, 0x2e]);
    host.drops(&frame, DropReason::EtherTypeUnknown);
    let source = |mac| UdpFrame { source_mac: mac, ..udp("198.18.0.2:7", b"x") }.frame();
    host.drops(&source(MacAddr([1, 0, 0x5e, 0, 0, 1])), DropReason::EthernetSourceGroup);
    host.drops(&source(station_mac(OWN)), DropReason::EthernetSourceOwn);
}

// E15, RFC 1122 3.3.6 and 3.2.2: refused, and never answered by an error.
#[test]
fn a_unicast_packet_in_a_broadcast_frame_is_dropped_silently() {
    let mut host = Host::new();
    for port in ["198.18.0.2:7", "198.18.0.2:80"] {
        host.drops(&udp(port, b"x").to_mac(MacAddr::BROADCAST).frame(), DropReason::Ipv4UnicastInGroupFrame);
    }
}

// E17: cut at any byte, every kind of frame is dropped or was not needed whole; nothing is read beyond the end.
#[test]
fn frames_cut_short_at_any_byte_are_dropped() {
    let mut host = Host::new();
    let frame = UdpFrame { options: vec![0x94, 4, 0, 0], ..udp("198.18.0.2:7", &[7; 40]) }.frame();
    for len in 0..frame.len() {
        assert!(matches!(host.see(&frame[..len]), Verdict::Drop(_)), "cut to {len}");
    }
    host.delivers(&frame);
    let frames = [
        IcmpFrame::echo(PEER, OWN, 1, 2, &[3; 40]).frame(),
        ArpFrame::request(PEER, OWN).frame()[..42].to_vec(),
    ];
    for frame in frames {
        for len in 0..frame.len() {
            assert!(matches!(host.see(&frame[..len]), Verdict::Drop(_)), "cut to {len}");
        }
    }
}

// A03, RFC 826; A07, RFC 5227 and RFC 1812 3.3.2.
#[test]
fn arp_goes_to_control_if_it_is_whole_and_its_sender_one_host() {
    let mut host = Host::new();
    let good = ArpFrame::request(PEER, OWN).frame();
    assert!(matches!(host.see(&good), Verdict::Punt(Punted::Arp, InterfaceId(0), _)));
    for (at, byte) in [(15, 6), (16, 0x86), (18, 5), (19, 5), (21, 9)] {
        let mut bad = good.clone();
        bad[at] = byte;
        host.drops(&bad, DropReason::ArpMalformed);
    }
    host.drops(&good[..41], DropReason::ArpMalformed);
    for sender in [[224, 1, 1, 1], [255, 255, 255, 255], [127, 0, 0, 1]] {
        let mut bad = good.clone();
        bad[28..32].copy_from_slice(&sender);
        host.drops(&bad, DropReason::ArpSenderInvalid);
    }
    let mut bad = good;
    bad[22] |= 1;
    host.drops(&bad, DropReason::ArpSenderInvalid);
}

// I01, I03, RFC 1122 3.2.1.1 and RFC 791 3.1.
#[test]
fn headers_whose_lengths_cannot_be_are_dropped() {
    let mut host = Host::new();
    let changed = |at: usize, bytes: &[u8]| {
        let mut frame = udp("198.18.0.2:7", &[9; 30]).frame();
        frame[at..at + bytes.len()].copy_from_slice(bytes);
        frame
    };
    host.drops(&changed(14, &[0x65]), DropReason::Ipv4HeaderInvalid);
    host.drops(&changed(14, &[0x44]), DropReason::Ipv4HeaderInvalid);
    host.drops(&changed(16, &[0, 19]), DropReason::Ipv4HeaderInvalid);
    host.drops(&changed(16, &[0, 200]), DropReason::Ipv4Truncated);
}

// I02, RFC 1122 3.2.1.2: "unknown" is not "good", and a device that says "bad" is checked.
#[test]
fn the_header_checksum_is_verified_unless_the_device_has_done_so() {
    let mut host = Host::new();
    let good = udp("198.18.0.2:7", b"x").frame();
    let mut bad = good.clone();
    bad[24] ^= 1;
    host.drops(&bad, DropReason::Ipv4Checksum);
    let saying = |ip_checksum| RxMeta { ip_checksum, ..RxMeta::default() };
    for status in [ChecksumStatus::Unknown, ChecksumStatus::Bad] {
        assert!(matches!(host.see_as(&good, saying(status)), Verdict::Deliver(..)));
        assert!(matches!(host.see_as(&bad, saying(status)), Verdict::Drop(DropReason::Ipv4Checksum)));
    }
    for status in [ChecksumStatus::Good, ChecksumStatus::None] {
        assert!(matches!(host.see_as(&bad, saying(status)), Verdict::Deliver(..)));
    }
}

// I04, I05, RFC 1122 3.2.1.7 and RFC 791: neither the TTL nor the reserved bit matters to the last host.
#[test]
fn ttl_0_and_1_and_the_reserved_bit_are_delivered() {
    let mut host = Host::new();
    for ttl in [0, 1] {
        host.delivers(&UdpFrame { ttl, ..udp("198.18.0.2:7", b"x") }.frame());
    }
    host.delivers(&UdpFrame { fragment: 0x8000, ..udp("198.18.0.2:7", b"x") }.frame());
}

// I06, I12, RFC 1122 3.2.1.3: silently.
#[test]
fn packets_for_others_and_for_loopback_are_dropped() {
    let mut host = Host::new();
    for destination in ["198.18.0.77:7", "127.0.0.1:7", "0.0.0.0:7"] {
        let frame = udp(destination, b"x").to_mac(station_mac(OWN)).frame();
        host.drops(&frame, DropReason::Ipv4NotForUs);
    }
}

// I07, I08, I09, I10, I11, RFC 1122 3.2.1.3, RFC 6890, CA-1997-28.
#[test]
fn sources_that_can_be_no_host_are_dropped() {
    let mut host = Host::new();
    for source in [
        "224.1.1.1:9000",
        "255.255.255.255:9000",
        "127.0.0.1:9000",
        "198.18.0.255:9000",
        "0.0.0.0:9000",
        "0.1.2.3:9000",
        "240.0.0.1:9000",
    ] {
        host.drops(&from(source), DropReason::Ipv4SourceMartian);
    }
    host.drops(&from("198.18.0.2:9000"), DropReason::Ipv4SourceOwn);
}

// I10, X03, RFC 1122 3.2.1.3(a): who has no address may speak to all, and gets no answer.
#[test]
fn a_source_without_an_address_reaches_all_and_is_never_answered() {
    let mut host = Host::new();
    let frame =
        UdpFrame { source_mac: station_mac(PEER), ..UdpFrame::new("0.0.0.0:68", "255.255.255.255:7", b"x") };
    let Verdict::Deliver(mut buf, parts) = host.see(&frame.frame()) else { panic!() };
    assert_eq!(parts.cast(), Cast::Broadcast);
    assert!(!egress::udp_reply(&mut buf, parts, true, &mut ids(), host.interface()));
}

// I13, RFC 1122 3.3.6.
#[test]
fn both_kinds_of_broadcast_reach_the_socket() {
    let mut host = Host::new();
    for destination in ["255.255.255.255:7", "198.18.0.255:7"] {
        let frame = udp(destination, b"x").to_mac(MacAddr::BROADCAST).frame();
        assert_eq!(host.delivers(&frame).1, Cast::Broadcast);
        // U21, RFC 1122 4.1.3.5.
        assert_eq!(*host.echoes(&frame).source.ip(), OWN);
    }
}

// I14, I15, I16, I19: options are walked within the header; source routes are refused, others passed over.
#[test]
fn options_are_walked_and_source_routes_refused() {
    let mut host = Host::new();
    let with =
        |options: &[u8]| UdpFrame { options: options.to_vec(), ..udp("198.18.0.2:7", b"hello") }.frame();
    for options in [[0x94, 4, 0, 0], [0x9e, 4, 0, 0], [1, 1, 1, 0]] {
        assert_eq!(host.delivers(&with(&options)).0, b"hello");
        assert!(host.echoes(&with(&options)).options.is_empty(), "answers carry no options");
    }
    for options in [[7, 0, 0, 0], [7, 1, 0, 0], [7, 39, 4, 0]] {
        host.rejects(&with(&options), DropReason::Ipv4OptionInvalid, (12, 0));
    }
    for kind in [131, 137] {
        host.drops(&with(&[kind, 7, 4, 198, 18, 0, 9, 0]), DropReason::Ipv4SourceRoute);
    }
}

// I22, RFC 1122 3.2.1.7; X01, RFC 862; RFC 6864 4.
#[test]
fn an_answer_has_ttl_64_and_the_same_payload_between_swapped_ends() {
    let mut host = Host::new();
    let request = UdpFrame { ttl: 9, tos: 0xb8, ..udp("198.18.0.2:7", b"hello") };
    let answer = host.echoes(&request.frame());
    assert_eq!((answer.source, answer.destination), (request.destination, request.source));
    assert_eq!((answer.source_mac, answer.destination_mac), (request.destination_mac, request.source_mac));
    assert_eq!((answer.ttl, answer.payload), (64, b"hello".to_vec()));
}

// U01, U02, U03, U11, RFC 768.
#[test]
fn the_udp_length_rules_the_payload() {
    let mut host = Host::new();
    let with_len = |len: u16| {
        let mut frame = udp("198.18.0.2:7", b"hello").with_sum(UdpSum::Absent).frame();
        frame[38..40].copy_from_slice(&len.to_be_bytes());
        frame
    };
    for len in [0, 7, 14, 200] {
        host.drops(&with_len(len), DropReason::UdpLengthInvalid);
    }
    assert_eq!(host.delivers(&with_len(8)).0, b"");
    assert_eq!(host.delivers(&with_len(10)).0, b"he");
    assert_eq!(host.echoes(&with_len(10)).payload, b"he");
}

// U04, RFC 1122 4.1.3.4; DESIGN 4: by the device's word.
#[test]
fn the_udp_checksum_is_verified_by_what_the_device_says() {
    use ChecksumStatus::{Bad, Good, None, Unknown};
    let mut host = Host::new();
    let sum = |sum| udp("198.18.0.2:7", b"hello").with_sum(sum).frame();
    let mut verdict =
        |frame: &[u8], l4_checksum| match host.see_as(frame, RxMeta { l4_checksum, ..RxMeta::default() }) {
            Verdict::Deliver(_, parts) => Ok(parts.sum()),
            Verdict::Drop(why) => Err(why),
            other => panic!("{other:?}"),
        };
    for status in [Unknown, Bad] {
        assert_eq!(verdict(&sum(UdpSum::Right), status), Ok(PayloadSum::Valid));
        assert_eq!(verdict(&sum(UdpSum::Wrong), status), Err(DropReason::UdpChecksum));
        assert_eq!(verdict(&sum(UdpSum::Absent), status), Ok(PayloadSum::Absent));
    }
    assert_eq!(verdict(&sum(UdpSum::Right), Good), Ok(PayloadSum::Valid));
    assert_eq!(verdict(&sum(UdpSum::Partial), None), Ok(PayloadSum::Absent));
}

// DESIGN 4: an answer to a datagram whose field holds no sum computes its own.
#[test]
fn the_answer_to_a_partial_checksum_has_a_whole_one() {
    let mut host = Host::new();
    let partial = udp("198.18.0.2:7", b"hello").with_sum(UdpSum::Partial).frame();
    let meta = RxMeta { l4_checksum: ChecksumStatus::None, ..RxMeta::default() };
    let Verdict::Deliver(mut buf, parts) = host.see_as(&partial, meta) else { panic!() };
    assert!(egress::udp_reply(&mut buf, parts, true, &mut ids(), host.interface()));
    assert_eq!(UdpFrame::read(buf.data()).unwrap().sum, UdpSum::Right);
}

// U09, C01, RFC 1122 4.1.3.1; U10: port 0 is closed like any other.
#[test]
fn a_closed_port_is_told_to_one_host_and_never_to_many() {
    let mut host = Host::new();
    for destination in ["198.18.0.2:80", "198.18.0.2:0"] {
        let verdict = host.see(&udp(destination, b"x").frame());
        let Verdict::Reject(DropReason::UdpNoPort, Some(error)) = verdict else { panic!("{verdict:?}") };
        let error = IcmpFrame::read(error.data()).unwrap();
        assert_eq!((error.kind, error.code), (3, 3));
        // C04, RFC 1122 3.2.2: from the address that was asked.
        assert_eq!((error.ip.source, error.ip.destination), (OWN, PEER));
    }
    host.drops(&udp("239.1.2.3:80", b"x").frame(), DropReason::UdpNoListener);
    let broadcast = udp("198.18.0.255:80", b"x").to_mac(MacAddr::BROADCAST);
    host.drops(&broadcast.frame(), DropReason::UdpNoListener);
    // C01: a damaged port number provokes nothing.
    host.drops(&udp("198.18.0.2:80", b"x").with_sum(UdpSum::Wrong).frame(), DropReason::UdpChecksum);
}

// C02, RFC 1812 4.3.2.3: as much as fits in 576 bytes, at least header and eight bytes; I23: precedence 6.
#[test]
fn an_error_quotes_what_fits_in_576_bytes() {
    let mut host = Host::new();
    for (len, total) in [(0, 56), (100, 156), (1400, 576)] {
        let request = UdpFrame { tos: 0x28, ..udp("198.18.0.2:80", &vec![5; len]) }.frame();
        let Verdict::Reject(_, Some(error)) = host.see(&request) else { panic!() };
        let read = IcmpFrame::read(error.data()).unwrap();
        assert_eq!(20 + 4 + read.body.len(), total);
        assert_eq!(read.ip.tos, 0xc8);
        let quoted = total - 28;
        assert_eq!(read.body[4..], request[14..14 + quoted]);
    }
}

// C05, RFC 1812 4.3.2.8: the echo is not limited by it.
#[test]
fn errors_are_limited_and_echoes_are_not() {
    let mut host = Host::new();
    let closed = udp("198.18.0.2:80", b"x").frame();
    let sent = (0..1000).filter(|_| matches!(host.see(&closed), Verdict::Reject(_, Some(_)))).count();
    assert_eq!(sent, 6);
    let ping = IcmpFrame::echo(PEER, OWN, 1, 2, b"hello").frame();
    assert!((0..1000).all(|_| matches!(host.see(&ping), Verdict::Hairpin(_))));
}

// C06, RFC 1122 3.2.2.6; I23; C09: the code stays.
#[test]
fn a_ping_is_answered_with_its_own_data() {
    let mut host = Host::new();
    for len in [0, 1, 56, 57, 1472] {
        let mut request = IcmpFrame::echo(PEER, OWN, 0x1234, 7, &vec![0xff; len]);
        (request.ip.tos, request.code) = (0xb8, 3);
        let Verdict::Hairpin(reply) = host.see(&request.frame()) else { panic!("length {len}") };
        let reply = IcmpFrame::read(reply.data()).unwrap();
        assert_eq!((reply.kind, reply.code, reply.ip.tos, reply.ip.ttl), (0, 3, 0xb8, 64));
        assert_eq!((reply.ip.source, reply.ip.destination), (OWN, PEER));
        assert_eq!(reply.body, request.body);
    }
    // C06: the reply that is zeros throughout.
    let request = IcmpFrame::echo(PEER, OWN, 0, 0, &[0; 8]);
    let Verdict::Hairpin(reply) = host.see(&request.frame()) else { panic!() };
    IcmpFrame::read(reply.data()).unwrap();
}

// C03, C07, C08, RFC 1122 3.2.2, RFC 2644.
#[test]
fn damaged_and_unwanted_icmp_is_silent() {
    let mut host = Host::new();
    let ping = IcmpFrame::echo(PEER, OWN, 1, 2, b"hello");
    let mut damaged = ping.frame();
    damaged[45] ^= 1;
    host.drops(&damaged, DropReason::IcmpChecksum);
    let short =
        Ethernet { destination: station_mac(OWN), source: station_mac(PEER), tci: None, ethertype: 0x0800 }
            .frame(&Ipv4::new(PEER, OWN, 1).packet(&[8, 0, 0xf7, 0xff, 0, 0, 0]));
    host.drops(&short, DropReason::IcmpTruncated);
    for destination in [[239, 1, 2, 3], [224, 0, 0, 1], [255, 255, 255, 255]] {
        let frame = IcmpFrame::echo(PEER, destination.into(), 1, 2, b"hello").frame();
        host.drops(&frame, DropReason::IcmpEchoGroup);
    }
    for kind in [0, 14, 15, 16, 17, 18] {
        let frame = IcmpFrame::between(PEER, OWN, kind, &[0; 36]).frame();
        host.drops(&frame, DropReason::IcmpUnwanted);
    }
    host.drops(&IcmpFrame::between(PEER, OWN, 99, &[0; 8]).frame(), DropReason::IcmpUnknown);
}

// F20: DF or not, and whatever they carry; what they carry is looked at when it is whole. I06, I07: admission comes first.
#[test]
fn fragments_are_to_be_put_together() {
    let mut host = Host::new();
    for (fragment, sum) in
        [(0x2000, UdpSum::Wrong), (0x0001, UdpSum::Right), (0x2001, UdpSum::Right), (0x6000, UdpSum::Right)]
    {
        let frame = UdpFrame { fragment, ..udp("198.18.0.2:9", &[1; 64]) }.with_sum(sum);
        let seen = host.see(&frame.frame());
        assert!(matches!(seen, Verdict::Fragment(_, buf) if buf.data() == frame.frame()));
        let elsewhere =
            UdpFrame { fragment, ..udp("198.18.0.77:9", &[1; 64]) }.to_mac(station_mac(OWN)).frame();
        host.drops(&elsewhere, DropReason::Ipv4NotForUs);
    }
}

#[test]
fn unknown_protocols_are_told_to_one_host() {
    let mut host = Host::new();
    let frame = ip_changed(udp("198.18.0.2:7", b"x").frame(), |header| header[9] = 253);
    // I18, RFC 1122 3.2.2.1.
    host.rejects(&frame, DropReason::ProtocolUnknown, (3, 2));
}

// E17, F11: a large buffer is for the moment in which something is put together; it is not held for a neighbour that
// sends what is longer than our link carries.
#[test]
fn a_frame_that_is_longer_than_ours_holds_no_large_buffer() {
    let mut host = Host::new();
    host.pool = SimPool::with_large(8, 2048, 2);
    let wire = SimPool::new(1, 9100);
    let request = UdpFrame::new("198.18.0.1:40000", "198.18.0.2:7", &[7; 8000]).frame();
    let short = UdpFrame::new("198.18.0.1:40000", "198.18.0.2:7", b"short").frame();
    // U03: its UDP length is 20, and there is no checksum; its answer fits into one packet, which may have to wait.
    let mut early = request.clone();
    early[38..42].copy_from_slice(&[0, 20, 0, 0]);
    let padded = |frame: Vec<u8>| [frame, vec![0; 7000]].concat();
    let frames = [
        cut(&request, 9, &[4000]).remove(0),
        padded(cut(&request, 9, &[800]).remove(0)),
        padded(short),
        early,
        padded(ArpFrame::request(PEER, OWN).frame()),
    ];
    for frame in frames {
        let mut buf = wire.alloc_copy(&frame).unwrap();
        buf.split_at(2000);
        let verdict = host.ingress.ingress(Instant::ZERO, buf, &host.interfaces, &host.table, &host.pool);
        assert_eq!(host.pool.outstanding_large(), 0);
        drop(verdict);
    }
}
