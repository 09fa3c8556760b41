//! Group management over IPv4: IGMP messages to queries, reports to frames.
//!
//! Queries of IGMPv1 and IGMPv2 are answered in time, but with IGMPv3 reports: the machine of generation 1 and the
//! timers that choose between the two (RFC 9776 7.2.1) are not built yet. A router that speaks only an older version
//! does not understand these answers.

use core::net::Ipv4Addr;

use super::{Querier, Query, Report, Scope, v2};
use crate::addr::{Group, MacAddr, Unicast, V4};
use crate::io::DropReason;
use crate::rng::Rng;
use crate::stack::source_filter::SourceFilter;
use crate::time::Instant;
use crate::wire::igmp::{HEADER_LEN, IgmpError, Message, Query as WireQuery, RecordRepr, emit_report_v3};
use crate::wire::{ethernet, ipv4};

/// Where version 3 reports go: all routers that speak it. G02, RFC 9776 4.2.14.
const ALL_V3_ROUTERS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 22);

/// Internetwork Control, as all group management is marked. G01, RFC 9776 4.
const TOS: u8 = 0xc0;

/// Bytes of the IPv4 header with Router Alert.
const IP_HEADER_LEN: usize = ipv4::HEADER_LEN + 4;

/// The smallest MTU that IPv4 has. RFC 791 3.2.
const MTU_MIN: u16 = 68;

/// IGMP on one interface, the host's side.
///
/// What it must be told: what the interface wants ([`set_filter`](Self::set_filter)) and what it hears
/// ([`receive`](Self::receive)). What it must be asked, after either and at [`poll_timeout`](Self::poll_timeout): for
/// frames ([`next_frame`](Self::next_frame)), until there are none.
#[derive(Clone, Debug)]
pub struct Igmp {
    host: v2::Host<V4>,
}

impl Igmp {
    /// An interface that wants nothing, and whose largest IP packet has `mtu` bytes.
    #[must_use]
    pub fn new(mtu: u16) -> Self {
        Self { host: v2::Host::new(room(mtu)) }
    }

    /// The largest IP packet has `mtu` bytes from now on.
    pub fn set_mtu(&mut self, mtu: u16) {
        self.host.set_room(room(mtu));
    }

    /// The interface wants `filter` of `group` from now on: see [`v2::Host::set_filter`].
    pub fn set_filter(&mut self, now: Instant, group: Group<V4>, filter: SourceFilter<V4>) {
        self.host.set_filter(now, group, filter);
    }

    /// The interface wants nothing any more: see [`v2::Host::leave_all`]. The frames that say so are due at once.
    pub fn leave_all(&mut self, now: Instant) {
        self.host.leave_all(now);
    }

    /// The link came up: see [`v2::Host::announce_all`].
    pub fn announce_all(&mut self, now: Instant) {
        self.host.announce_all(now);
    }

    /// An IGMP message came in: the payload of an IPv4 packet to any of our addresses or to a group (G09).
    ///
    /// # Errors
    ///
    /// Why it was of no use, if it was not.
    pub fn receive(&mut self, now: Instant, rng: &mut Rng, payload: &[u8]) -> Result<(), DropReason> {
        match Message::parse(payload).map_err(drop_reason)? {
            Message::Query(query) => {
                self.host.query(now, rng, &query_of(&query));
                Ok(())
            }
            // G08, RFC 9776 5: what other hosts say does not concern this one.
            Message::ReportV1(_) | Message::ReportV2(_) | Message::LeaveV2(_) | Message::ReportV3(_) => {
                Err(DropReason::IgmpUnwanted)
            }
        }
    }

    /// When [`next_frame`](Self::next_frame) will next have something.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.host.poll_timeout()
    }

    /// Writes the next Ethernet frame that is due `now` in place of what `out` holds; false if none is. `mac` is the
    /// interface's Ethernet address and `source` its first IPv4 address, if it has one.
    #[must_use = "whether there is a frame"]
    pub fn next_frame(
        &mut self,
        now: Instant,
        rng: &mut Rng,
        mac: MacAddr,
        source: Option<Unicast<V4>>,
        out: &mut Vec<u8>,
    ) -> bool {
        match self.host.poll_transmit(now, rng) {
            Some(report) => {
                emit(&report, mac, source, out);
                true
            }
            None => false,
        }
    }
}

/// How many bytes of records a report may hold if the largest IP packet has `mtu` bytes.
// G33, G46, RFC 9776 4.2.15: no report is ever fragmented.
fn room(mtu: u16) -> usize {
    usize::from(mtu.max(MTU_MIN)) - IP_HEADER_LEN - HEADER_LEN
}

/// The machine's view of a query.
fn query_of(query: &WireQuery<'_>) -> Query<V4> {
    let scope = match query.group {
        None => Scope::General,
        Some(group) if query.sources.is_empty() => Scope::Group(group),
        Some(group) => Scope::GroupAndSources(group, query.sources.iter().collect()),
    };
    let querier = query.querier.map(|q| Querier { robustness: q.robustness, interval: q.query_interval });
    Query { scope, max_response: query.max_response, querier }
}

/// How a message that is of no use is counted.
pub(in crate::stack) const fn drop_reason(error: IgmpError) -> DropReason {
    match error {
        IgmpError::Truncated => DropReason::IgmpTruncated,
        IgmpError::Checksum => DropReason::IgmpChecksum,
        IgmpError::QueryInvalid => DropReason::IgmpQueryInvalid,
        IgmpError::ReportInvalid | IgmpError::UnknownType(_) => DropReason::IgmpUnwanted,
    }
}

/// Writes `report` as a frame in place of what `out` holds.
fn emit(report: &Report<V4>, mac: MacAddr, source: Option<Unicast<V4>>, out: &mut Vec<u8>) {
    const HEADERS: usize = ethernet::HEADER_LEN + IP_HEADER_LEN;
    out.clear();
    out.resize(HEADERS, 0);
    let records = report.records.iter();
    emit_report_v3(records.map(|r| RecordRepr { kind: r.kind, group: r.group, sources: &r.sources }), out);
    let payload_len = u16::try_from(out.len() - HEADERS).expect("a report fits the MTU, which is a u16");
    // G02, RFC 9776 4.2.14: not to the group, but to the routers.
    let dst = ALL_V3_ROUTERS;
    let mac_dst = Group::<V4>::new(dst).expect("224.0.0.22 is a group").mac();
    let ethernet = ethernet::Header { dst: mac_dst, src: mac, ethertype: ethernet::ETHERTYPE_IPV4 };
    // G01, RFC 9776 4: TTL 1, marked as control traffic, with Router Alert.
    let ip = ipv4::Repr {
        tos: TOS,
        id: 0,
        dont_fragment: true,
        ttl: 1,
        protocol: ipv4::PROTOCOL_IGMP,
        // G35, RFC 9776 4.2.13: 0.0.0.0 as long as the interface has no address.
        src: source.map_or(Ipv4Addr::UNSPECIFIED, Unicast::addr),
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

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;
    use crate::stack::gmp::RecordKind;
    use crate::stack::gmp::test_family::{TestFamily, include};
    use crate::wire::checksum::Sum;
    use crate::wire::ethernet::Header;
    use crate::wire::ipv4::Ipv4;

    const MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);
    const ALL_HOSTS: &str = "224.0.0.1";

    fn group(s: &str) -> Group<V4> {
        Group::new(s.parse().unwrap()).unwrap()
    }

    fn source() -> Option<Unicast<V4>> {
        Unicast::new(Ipv4Addr::new(198, 18, 0, 2))
    }

    /// The frames that are due `now`.
    fn frames(igmp: &mut Igmp, now: Instant, rng: &mut Rng) -> Vec<Vec<u8>> {
        let mut out = vec![0xee; 9];
        let mut frames = Vec::new();
        while igmp.next_frame(now, rng, MAC, source(), &mut out) {
            frames.push(out.clone());
        }
        frames
    }

    /// The records of a frame.
    fn records(frame: &[u8]) -> Vec<(RecordKind, Group<V4>, usize)> {
        let (_, l3) = Header::parse(frame).unwrap();
        let ip = Ipv4::parse(l3).unwrap();
        let Ok(Message::ReportV3(report)) = Message::parse(ip.payload()) else { panic!("{frame:x?}") };
        report.records().map(|r| (r.kind, r.group, r.sources.len())).collect()
    }

    /// A message of type 0x11, sealed.
    fn query(code: u8, group: &str, rest: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0x11, code, 0, 0];
        bytes.extend(group.parse::<Ipv4Addr>().unwrap().octets());
        bytes.extend(rest);
        let checksum = Sum::of(&bytes).finish();
        bytes[2..4].copy_from_slice(&checksum.to_be_bytes());
        bytes
    }

    /// An interface with 239.1.2.3 joined and all that was to be said of it said.
    fn joined(rng: &mut Rng) -> (Igmp, Instant) {
        let (mut igmp, mut now) = (Igmp::new(1500), Instant::ZERO);
        igmp.set_filter(now, group("239.1.2.3"), SourceFilter::ANY);
        while let Some(at) = igmp.poll_timeout() {
            now = now.max(at);
            frames(&mut igmp, now, rng);
        }
        (igmp, now)
    }

    // G01, RFC 9776 4; G02, 4.2.14; E02, RFC 1112 6.4; E09, RFC 894: the join of 239.1.2.3, byte by byte.
    #[test]
    fn a_join_is_this_frame() {
        let mut igmp = Igmp::new(1500);
        igmp.set_filter(Instant::ZERO, group("239.1.2.3"), SourceFilter::ANY);
        #[rustfmt::skip]
        let expected = [
            0x01, 0x00, 0x5e, 0x00, 0x00, 0x16, 0x02, 0, 0, 0, 0, 0x02, 0x08, 0x00,
            // Version 4, six words, TOS 0xc0, 40 bytes, id 0, DF, TTL 1, IGMP, checksum, addresses, Router Alert.
            0x46, 0xc0, 0, 40, 0, 0, 0x40, 0, 1, 2, 0x3d, 0xe5, 198, 18, 0, 2, 224, 0, 0, 22, 0x94, 0x04, 0, 0,
            // One record: TO_EX {} of 239.1.2.3.
            0x22, 0, 0xe8, 0xf9, 0, 0, 0, 1, 4, 0, 0, 0, 239, 1, 2, 3,
            0, 0, 0, 0, 0, 0,
        ];
        assert_eq!(frames(&mut igmp, Instant::ZERO, &mut Rng::new(1)), [expected]);
    }

    // G35, RFC 9776 4.2.13.
    #[test]
    fn a_report_is_not_held_back_for_want_of_an_address() {
        let mut igmp = Igmp::new(1500);
        igmp.set_filter(Instant::ZERO, group("239.1.2.3"), SourceFilter::ANY);
        let mut out = Vec::new();
        assert!(igmp.next_frame(Instant::ZERO, &mut Rng::new(1), MAC, None, &mut out));
        let ip = Ipv4::parse(&out[14..]).unwrap();
        assert_eq!(ip.src(), Ipv4Addr::UNSPECIFIED);
        assert!(ip.verify().is_ok());
    }

    // G33, G46, RFC 9776 4.2.15: 300 groups; and 400 sources (G32), over a small MTU and a large one.
    #[test]
    fn no_frame_exceeds_the_mtu_and_no_group_is_lost() {
        for mtu in [68, 576, 1500, 9000] {
            let (mut igmp, now) = (Igmp::new(mtu), Instant::ZERO);
            let sources: Vec<u8> = (0..40).collect();
            (0..300).for_each(|n| igmp.set_filter(now, V4::group(n), SourceFilter::ANY));
            igmp.set_filter(now, V4::group(300), include(&sources));
            let frames = frames(&mut igmp, now, &mut Rng::new(1));
            assert!(frames.iter().all(|f| f.len() <= usize::from(mtu) + 14), "{mtu}");
            let told: Vec<_> = frames.iter().flat_map(|f| records(f)).collect();
            assert_eq!(told.iter().filter(|(kind, ..)| *kind == RecordKind::ChangeToExclude).count(), 300);
            assert_eq!(told.iter().map(|(.., sources)| sources).sum::<usize>(), 40);
            let least = (8 * 300 + 8 + 4 * 40_usize).div_ceil(room(mtu));
            assert!(frames.len() <= least + least / 4 + 1, "{} frames of {mtu}", frames.len());
        }
    }

    // G09, RFC 9776 4.1.12; G13, G14, 4.1.1: each version's general query is answered within its time.
    #[test]
    fn queries_of_every_version_are_answered_in_time() {
        let general_v3 = |code| query(code, "0.0.0.0", &[2, 125, 0, 0]);
        let cases = [
            (query(0, "0.0.0.0", &[]), 10_000),
            (query(255, "0.0.0.0", &[]), 25_500),
            (query(10, "239.1.2.3", &[]), 1_000),
            (general_v3(100), 10_000),
            (general_v3(0x80), 12_800),
            // "Now", which is soon.
            (general_v3(0), 10),
            (query(10, "239.1.2.3", &[2, 125, 0, 0]), 1_000),
            (query(10, "239.1.2.3", &[2, 125, 0, 1, 198, 18, 0, 1]), 1_000),
        ];
        for (message, within_ms) in cases {
            let mut rng = Rng::new(2);
            let (mut igmp, now) = joined(&mut rng);
            assert_eq!(igmp.receive(now, &mut rng, &message), Ok(()));
            assert_eq!(frames(&mut igmp, now, &mut rng), Vec::<Vec<u8>>::new(), "not at once");
            let at = igmp.poll_timeout().unwrap();
            assert!(
                at > now && at <= now + Duration::from_millis(within_ms),
                "{message:x?}: {:?}",
                at.since(now)
            );
            let answer = frames(&mut igmp, at, &mut rng);
            assert_eq!(answer.len(), 1);
            assert!(matches!(
                records(&answer[0])[..],
                [(RecordKind::ModeIsExclude, g, 0) | (RecordKind::ModeIsInclude, g, 1)] if g == group("239.1.2.3")
            ));
            assert_eq!(igmp.poll_timeout(), None);
        }
    }

    // G06, G07, G08, G22: silence, and a reason each. G04: a query of 224.0.0.1 is whole, and there is nothing to say.
    #[test]
    fn what_is_no_query_is_not_answered() {
        let mut rng = Rng::new(3);
        let (mut igmp, now) = joined(&mut rng);
        let mut bad_checksum = query(10, "0.0.0.0", &[2, 125, 0, 0]);
        bad_checksum[2] ^= 1;
        let mut report = query(0, "239.1.2.3", &[]);
        report[0] = 0x16;
        report[2] = report[2].wrapping_sub(5);
        let mut unknown = query(0, "239.1.2.3", &[]);
        unknown[0] = 0x30;
        unknown[2] = unknown[2].wrapping_sub(0x1f);
        let cases = [
            (bad_checksum, Err(DropReason::IgmpChecksum)),
            (query(10, "0.0.0.0", &[2, 125]), Err(DropReason::IgmpTruncated)),
            (query(10, "0.0.0.0", &[2, 125, 0, 1, 198, 18, 0, 1]), Err(DropReason::IgmpQueryInvalid)),
            (report, Err(DropReason::IgmpUnwanted)),
            (unknown, Err(DropReason::IgmpUnwanted)),
            (query(10, ALL_HOSTS, &[2, 125, 0, 0]), Ok(())),
            (query(10, "239.1.2.4", &[2, 125, 0, 0]), Ok(())),
        ];
        for (message, outcome) in cases {
            assert_eq!(igmp.receive(now, &mut rng, &message), outcome, "{message:x?}");
            assert_eq!(igmp.poll_timeout(), None, "{message:x?}");
        }
    }

    // G45: one report tells of both.
    #[test]
    fn a_shutdown_leaves_every_group_at_once() {
        let mut rng = Rng::new(4);
        let (mut igmp, now) = joined(&mut rng);
        igmp.set_filter(now, group("232.1.2.3"), include(&[1]));
        frames(&mut igmp, now, &mut rng);
        igmp.leave_all(now);
        let frames = frames(&mut igmp, now, &mut rng);
        assert_eq!(frames.len(), 1);
        let expected = [
            (RecordKind::BlockOldSources, group("232.1.2.3"), 1),
            (RecordKind::ChangeToInclude, group("239.1.2.3"), 0),
        ];
        assert_eq!(records(&frames[0]), expected);
    }
}
