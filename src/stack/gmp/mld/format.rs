//! What the machines say, as Ethernet frames.

use core::net::Ipv6Addr;

use crate::addr::{Group, Unicast, V6};
use crate::stack::gmp::{Report, Sender, v1};
use crate::wire::gmp::REPORT_HEADER_LEN;
use crate::wire::mld::{RecordRepr, Short, emit_report_v2, emit_short};
use crate::wire::{ethernet, ipv6};

/// Where version 1 leaves go: all routers of the link. L02, RFC 2710 5.
const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);

/// Where version 2 reports go: all routers that speak it. L02, RFC 9777 5.2.14.
const ALL_V2_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x16);

/// Hop-by-Hop Options, with ICMPv6 next: Router Alert with the value of MLD, and PadN to fill up eight bytes.
// L01, RFC 9777 5, RFC 2711 2.1.
const HOP_BY_HOP: [u8; 8] = [ipv6::NEXT_HEADER_ICMPV6, 0, 0x05, 2, 0, 0, 0x01, 0];

/// Bytes of the IPv6 header and of the options.
const IP_HEADERS_LEN: usize = ipv6::HEADER_LEN + HOP_BY_HOP.len();

/// How many bytes of records a report may hold if the largest IP packet has `mtu` bytes.
// L09, RFC 9777 5.2.15 (the twin of G33, G46): no report is ever fragmented.
pub(super) fn room(mtu: u16) -> usize {
    usize::from(mtu.max(ipv6::MTU_MIN)) - IP_HEADERS_LEN - REPORT_HEADER_LEN
}

/// Writes a version 2 report as a frame in place of what `out` holds.
pub(super) fn emit_report(report: &Report<V6>, from: Sender<V6>, out: &mut Vec<u8>) {
    let records = report.records.iter();
    let records = records.map(|r| RecordRepr { kind: r.kind, group: r.group, sources: &r.sources });
    let src = source(from);
    // L02, RFC 9777 5.2.14: not to the group, but to the routers.
    emit(ALL_V2_ROUTERS, from, out, |out| emit_report_v2(src, ALL_V2_ROUTERS, records, out));
}

/// Writes a message of version 1 as a frame in place of what `out` holds.
// L02, RFC 2710 5: a report goes to its group, where the other members hear it, and a leave to the routers.
pub(super) fn emit_older(message: v1::Message<V6>, from: Sender<V6>, out: &mut Vec<u8>) {
    let (kind, group, dst) = match message {
        v1::Message::Report(group) => (Short::Report, group, group.addr()),
        v1::Message::Leave(group) => (Short::Done, group, ALL_ROUTERS),
    };
    emit(dst, from, out, |out| emit_short(kind, group, source(from), dst, out));
}

/// From which address.
// L08, RFC 3590 4, RFC 9777 5.2.13: `::` as long as the interface has no link-local address that it may use.
fn source(from: Sender<V6>) -> Ipv6Addr {
    from.addr.map_or(Ipv6Addr::UNSPECIFIED, Unicast::addr)
}

/// Writes a frame to `dst`, which is a group, with the message that `write` appends, in place of what `out` holds.
fn emit(dst: Ipv6Addr, from: Sender<V6>, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    const HEADERS: usize = ethernet::HEADER_LEN + IP_HEADERS_LEN;
    out.clear();
    out.resize(HEADERS, 0);
    write(out);
    let payload_len = out.len() - ethernet::HEADER_LEN - ipv6::HEADER_LEN;
    // E03, RFC 2464 7: to the group's address.
    let mac_dst = Group::<V6>::new(dst).expect("every message goes to a group").mac();
    let ethernet = ethernet::Header { dst: mac_dst, src: from.mac, ethertype: ethernet::ETHERTYPE_IPV6 };
    // L01, RFC 9777 5: hop limit 1, with Router Alert, as in version 1 (RFC 2710 3).
    let ip = ipv6::Repr {
        traffic_class: 0,
        flow_label: 0,
        payload_len: u16::try_from(payload_len).expect("a report fits the MTU, which is a u16"),
        next_header: ipv6::NEXT_HEADER_HOP_BY_HOP,
        hop_limit: 1,
        src: source(from),
        dst,
    };
    let l4 = ethernet.emit(out).and_then(|l3| ip.emit(l3));
    let options = l4.and_then(|l4| l4.first_chunk_mut()).expect("room was made for the headers");
    *options = HOP_BY_HOP;
}
