//! What the machines say, as Ethernet frames.

use core::net::Ipv4Addr;

use crate::addr::{Group, Unicast, V4};
use crate::stack::gmp::{Report, Sender, v1};
use crate::wire::gmp::REPORT_HEADER_LEN;
use crate::wire::igmp::{RecordRepr, Short, Version, emit_report_v3, emit_short};
use crate::wire::{ethernet, ipv4};

/// Where version 2 leaves go: all routers. G03, RFC 2236 3.
const ALL_ROUTERS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 2);

/// Where version 3 reports go: all routers that speak it. G02, RFC 9776 4.2.14.
const ALL_V3_ROUTERS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 22);

/// Internetwork Control, as all group management is marked. G01, RFC 9776 4.
const TOS: u8 = 0xc0;

/// Bytes of the IPv4 header with Router Alert.
const IP_HEADER_LEN: usize = ipv4::HEADER_LEN + 4;

/// The smallest MTU that IPv4 has. RFC 791 3.2.
const MTU_MIN: u16 = 68;

/// How many bytes of records a report may hold if the largest IP packet has `mtu` bytes.
// G33, G46, RFC 9776 4.2.15: no report is ever fragmented.
pub(super) fn room(mtu: u16) -> usize {
    usize::from(mtu.max(MTU_MIN)) - IP_HEADER_LEN - REPORT_HEADER_LEN
}

/// Writes a version 3 report as a frame in place of what `out` holds.
pub(super) fn emit_report(report: &Report<V4>, from: Sender<V4>, out: &mut Vec<u8>) {
    let records = report.records.iter();
    let records = records.map(|r| RecordRepr { kind: r.kind, group: r.group, sources: &r.sources });
    // G02, RFC 9776 4.2.14: not to the group, but to the routers.
    emit(ALL_V3_ROUTERS, from, out, |out| emit_report_v3(records, out));
}

/// Writes a message of an older version as a frame in place of what `out` holds.
// G03, RFC 2236 3: a report goes to its group, where the other members hear it, and a leave to the routers.
pub(super) fn emit_older(message: v1::Message<V4>, version: Version, from: Sender<V4>, out: &mut Vec<u8>) {
    let (kind, group, dst) = match (message, version) {
        (v1::Message::Report(group), Version::V1) => (Short::ReportV1, group, group.addr()),
        (v1::Message::Report(group), Version::V2 | Version::V3) => (Short::ReportV2, group, group.addr()),
        (v1::Message::Leave(group), _) => (Short::LeaveV2, group, ALL_ROUTERS),
    };
    emit(dst, from, out, |out| emit_short(kind, group, out));
}

/// Writes a frame to `dst`, which is a group, with the message that `write` appends, in place of what `out` holds.
fn emit(dst: Ipv4Addr, from: Sender<V4>, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    const HEADERS: usize = ethernet::HEADER_LEN + IP_HEADER_LEN;
    out.clear();
    out.resize(HEADERS, 0);
    write(out);
    let payload_len = u16::try_from(out.len() - HEADERS).expect("a report fits the MTU, which is a u16");
    // E02, RFC 1112 6.4: from the group's address.
    let mac_dst = Group::<V4>::new(dst).expect("every message goes to a group").mac();
    let ethernet = ethernet::Header { dst: mac_dst, src: from.mac, ethertype: ethernet::ETHERTYPE_IPV4 };
    // G01, RFC 9776 4, RFC 2236 2: TTL 1, marked as control traffic, with Router Alert. Version 1 is older than that
    // option; Linux sends it there, too, and switches look for it.
    let ip = ipv4::Repr {
        tos: TOS,
        id: 0,
        dont_fragment: true,
        ttl: 1,
        protocol: ipv4::PROTOCOL_IGMP,
        // G35, RFC 9776 4.2.13: 0.0.0.0 as long as the interface has no address.
        src: from.addr.map_or(Ipv4Addr::UNSPECIFIED, Unicast::addr),
        dst,
        payload_len,
        router_alert: true,
    };
    ethernet.emit(out).and_then(|l3| ip.emit(l3)).expect("room was made for both headers");
    // E09, RFC 894: a short frame is padded with zeros.
    if out.len() < ethernet::MIN_FRAME {
        out.resize(ethernet::MIN_FRAME, 0);
    }
}
