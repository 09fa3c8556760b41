//! What ICMPv6 errors report: from RFC 4443 and RFC 8201. Those of IPv4 are in `tests/sim/icmp.rs`.

use core::net::Ipv6Addr;

use super::*;
use crate::addr::{Cidr, MacAddr, Unicast, V6};
use crate::io::{Cast, InterfaceId};
use crate::stack::interface::Inet;
use crate::stack::port_table::Socket;
use crate::wire::icmpv6::{self, Icmpv6};
use crate::wire::ipv6::Repr;

const OWN: &str = "2001:db8::2";
const PEER: &str = "2001:db8:1::1";
const ROUTER: &str = "2001:db8::1";

fn addr(s: &str) -> Ipv6Addr {
    s.parse().unwrap()
}

fn host() -> (Interface, PortTable) {
    let mut interface = Interface::new(InterfaceId(0), MacAddr([2, 0, 0, 0, 0, 2]), 1500, Vec::new());
    let own = Cidr::<V6>::new(Unicast::new(addr(OWN)).unwrap(), 64).unwrap();
    interface.v6 = Inet::new(vec![own]);
    let mut table = PortTable::new(1);
    table.bind(Socket::new(InterfaceId(0), "[::]:7".parse().unwrap(), 0)).unwrap();
    (interface, table)
}

/// The front of a UDP packet of ours, from port 7, of `len` bytes in all.
fn ours(src: &str, dst: &str, len: u16) -> Vec<u8> {
    let mut packet = vec![0; 60];
    let header = Repr {
        traffic_class: 0,
        flow_label: 0,
        payload_len: len - 40,
        next_header: 17,
        hop_limit: 64,
        src: addr(src),
        dst: addr(dst),
    };
    header.emit(&mut packet).unwrap()[..8].copy_from_slice(&[0, 7, 0x9c, 0x40, 0, 20, 1, 2]);
    packet
}

fn reported(words: (u8, u8, u32), cast: Cast, quoted: &[u8]) -> Result<Report, DropReason> {
    let (interface, table) = host();
    let mut out = [0; 200];
    let len = icmpv6::emit(words, (addr(ROUTER), addr(OWN)), quoted, &mut out).unwrap();
    let message = Icmpv6::parse(&out[..len]).unwrap();
    report_v6(addr(ROUTER), cast, &message, &interface, &table)
}

// K06, RFC 4443 3: every error is told to the socket that sent the packet, in words of sockets; those of types that nobody
// knows, too.
#[test]
fn every_error_is_told_in_words_of_sockets() {
    use IcmpErrorKind as K;
    for (words, kind) in [
        ((1, 0, 0), K::NetworkUnreachable),
        ((1, 1, 0), K::Prohibited),
        ((1, 2, 0), K::HostUnreachable),
        ((1, 3, 0), K::HostUnreachable),
        ((1, 4, 0), K::PortUnreachable),
        ((1, 5, 0), K::Prohibited),
        ((1, 6, 0), K::Prohibited),
        ((1, 7, 0), K::Unreachable),
        ((2, 0, 1400), K::TooBig { mtu: 1400 }),
        ((3, 0, 0), K::TtlExceeded),
        ((3, 1, 0), K::ReassemblyTimeExceeded),
        ((4, 0, 40), K::ParameterProblem { pointer: 40 }),
        ((4, 1, 70_000), K::ParameterProblem { pointer: 70_000 }),
        ((100, 9, 7), K::Unknown),
        ((127, 0, 0), K::Unknown),
    ] {
        let report = reported(words, Cast::Unicast, &ours(OWN, PEER, 1500)).unwrap();
        assert_eq!((report.socket, report.error.kind), (0, kind), "{words:?}");
        assert_eq!((report.error.icmp_type, report.error.icmp_code), (words.0, words.1));
        assert_eq!(report.error.reporter, IpAddr::V6(addr(ROUTER)));
        assert_eq!(report.error.local, "[2001:db8::2]:7".parse().unwrap());
        assert_eq!(report.error.peer, "[2001:db8:1::1]:40000".parse().unwrap());
        assert_eq!(report.too_big.is_some(), words.0 == 2, "{words:?}");
    }
}

// K07, RFC 8201 4: the quoted packet is of an open socket of ours, or nobody hears of it.
#[test]
fn an_error_about_what_no_socket_can_have_sent_is_dropped() {
    let at = |bytes: &[u8], change: &dyn Fn(&mut Vec<u8>)| {
        let mut quoted = bytes.to_vec();
        change(&mut quoted);
        reported((1, 4, 0), Cast::Unicast, &quoted).unwrap_err()
    };
    let good = ours(OWN, PEER, 1500);
    assert_eq!(at(&good, &|q| q[41] = 8), DropReason::IcmpErrorUnmatched, "another port");
    assert_eq!(at(&good, &|q| q[23] = 9), DropReason::IcmpErrorUnmatched, "from someone else");
    assert_eq!(at(&good, &|q| q[6] = 6), DropReason::IcmpErrorUnmatched, "TCP");
    assert_eq!(at(&good, &|q| q.truncate(47)), DropReason::IcmpErrorInvalid, "cut short");
    assert_eq!(at(&good, &|q| q[0] = 0x45), DropReason::IcmpErrorInvalid, "no IPv6");
    assert_eq!(at(&ours(OWN, OWN, 100), &|_| ()), DropReason::IcmpErrorInvalid, "to ourselves");
    assert_eq!(at(&ours(OWN, "::", 100), &|_| ()), DropReason::IcmpErrorInvalid, "to nobody");
    // K03: who complains to many complains to no one.
    assert_eq!(reported((1, 4, 0), Cast::Multicast, &good), Err(DropReason::IcmpErrorInvalid));
}

// K07, RFC 8201 4, RFC 8021: at least 1280, less than the packet, which the link carried.
#[test]
fn a_packet_too_big_says_what_can_be() {
    let too_big = |mtu, len| reported((2, 0, mtu), Cast::Unicast, &ours(OWN, PEER, len));
    for (mtu, len) in [(1280, 1500), (1280, 1281), (1499, 1500), (1400, 1450)] {
        let want = TooBig { dst: addr(PEER).into(), mtu: u16::try_from(mtu).unwrap(), quoted_len: len };
        assert_eq!(too_big(mtu, len).unwrap().too_big, Some(want));
    }
    for (mtu, len) in [(0, 1500), (600, 1500), (1279, 1500), (1500, 1500), (9000, 1500), (u32::MAX, 1500)] {
        assert_eq!(too_big(mtu, len), Err(DropReason::IcmpMtuInvalid), "{mtu} for {len}");
    }
    assert_eq!(too_big(1280, 1501), Err(DropReason::IcmpMtuInvalid), "longer than our link carries");
}

// T02, RFC 4443 2.4(e.3), RFC 8201 4: a router may say that a group's datagram is too big; nothing else about groups is heard.
#[test]
fn of_a_groups_datagram_only_its_size_is_complained_about() {
    let quoted = ours(OWN, "ff05::1", 1500);
    let too_big = reported((2, 0, 1400), Cast::Unicast, &quoted).unwrap().too_big.unwrap();
    assert_eq!((too_big.dst, too_big.mtu), (addr("ff05::1").into(), 1400));
    assert_eq!(reported((2, 0, 600), Cast::Unicast, &quoted), Err(DropReason::IcmpMtuInvalid));
    for words in [(1, 4, 0), (1, 0, 0), (3, 0, 0), (3, 1, 0), (4, 0, 6), (100, 0, 0)] {
        let report = reported(words, Cast::Unicast, &quoted);
        assert_eq!(report, Err(DropReason::IcmpErrorInvalid), "{words:?}");
    }
}

// C14, K07, Linux __udp6_lib_err: the error is the connected socket's whose packet it is about, and not that of another who is bound
// to the same address and port.
#[test]
fn an_error_is_for_the_socket_with_the_addresses_and_ports_of_the_packet() {
    let (interface, mut table) = host();
    let connected = |peer: &str| Socket {
        peer: Some(peer.parse().unwrap()),
        ..Socket::new(None, "[2001:db8::2]:7".parse().unwrap(), 0)
    };
    table.set(5, Some(connected("[2001:db8:1::1]:40001")));
    let about = |table: &PortTable| {
        let mut out = [0; 200];
        let quoted = ours(OWN, PEER, 100);
        let len = icmpv6::emit((1, 4, 0), (addr(ROUTER), addr(OWN)), &quoted, &mut out).unwrap();
        let message = Icmpv6::parse(&out[..len]).unwrap();
        report_v6(addr(ROUTER), Cast::Unicast, &message, &interface, table).map(|report| report.socket)
    };
    assert_eq!(about(&table), Ok(0));
    table.set(6, Some(connected("[2001:db8:1::1]:40000")));
    assert_eq!(about(&table), Ok(6));
    table.set(0, None);
    table.set(6, None);
    assert_eq!(about(&table), Err(DropReason::IcmpErrorUnmatched));
}
