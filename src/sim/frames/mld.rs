//! MLD queries as a router sends them, and what a host says, as it must say it.

use core::net::Ipv6Addr;
use core::time::Duration;
use std::collections::BTreeSet;

use super::icmp6::{IcmpFrame6, kinds};
use super::igmp::{Record, RecordKind, code};
use super::ipv6::{Extension, HeaderOption};
use super::ndp::ALL_ROUTERS;
use super::{Malformed, array, len16, rest, u16_at};
use crate::addr::{Family, V6};

/// Where MLDv2 reports go. RFC 9777 5.2.14.
const MLDV2_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x16);

/// A query in its frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MldQuery {
    /// 1 or 2. Only version 2 names sources and what follows.
    pub version: u8,
    /// The router, by its link-local address.
    pub source: Ipv6Addr,
    /// Where it is sent: all hosts, or the group.
    pub destination: Ipv6Addr,
    /// The group asked for; unspecified asks for all.
    pub group: Ipv6Addr,
    /// The sources asked for.
    pub sources: Vec<Ipv6Addr>,
    /// The longest that an answer may take. RFC 9777 5.1.3.
    pub max_response: Duration,
    /// Suppress router-side processing. RFC 9777 5.1.7.
    pub suppress: bool,
    /// The querier's robustness variable.
    pub robustness: u8,
    /// The querier's query interval.
    pub query_interval: Duration,
}

impl MldQuery {
    /// A general query with RFC 9777's defaults.
    #[must_use]
    pub const fn general(source: Ipv6Addr) -> Self {
        Self {
            version: 2,
            source,
            destination: V6::ALL_HOSTS,
            group: V6::UNSPECIFIED,
            sources: Vec::new(),
            max_response: Duration::from_secs(10),
            suppress: false,
            robustness: 2,
            query_interval: Duration::from_secs(125),
        }
    }

    /// A query for `group`, or for some sources of it, to be answered within a second.
    #[must_use]
    pub fn specific(source: Ipv6Addr, group: Ipv6Addr, sources: &[Ipv6Addr]) -> Self {
        let max_response = Duration::from_secs(1);
        Self { destination: group, group, sources: sources.to_vec(), max_response, ..Self::general(source) }
    }

    /// The query as a message of ICMPv6, for those who want to break it: hop limit 1, behind Router Alert.
    // L01, RFC 9777 5; RFC 2710 3.
    #[must_use]
    pub fn icmp(&self) -> IcmpFrame6 {
        let millis = self.max_response.as_millis();
        let mut body = match self.version {
            1 => u16::try_from(millis).unwrap_or(u16::MAX),
            _ => response_code(millis),
        }
        .to_be_bytes()
        .to_vec();
        body.extend([0, 0]);
        body.extend(self.group.octets());
        if self.version != 1 {
            let flags = u8::from(self.suppress) << 3 | self.robustness & 7;
            body.extend([flags, code(self.query_interval.as_secs().into())]);
            body.extend(len16(self.sources.len()));
            body.extend(self.sources.iter().flat_map(Ipv6Addr::octets));
        }
        mld_frame(self.source, self.destination, kinds::MLD_QUERY, &body)
    }

    /// The frame.
    #[must_use]
    pub fn frame(&self) -> Vec<u8> {
        self.icmp().frame()
    }

    /// The time that an answer may take, once written and read: what the floating-point code leaves of it.
    #[must_use]
    pub fn max_response_on_wire(&self) -> Duration {
        match self.version {
            1 => Duration::from_millis(self.max_response.as_millis().min(0xffff).try_into().unwrap_or(0)),
            _ => Duration::from_millis(response_value(response_code(self.max_response.as_millis()))),
        }
    }
}

/// Any MLD message with all that RFC 9777 5 asks for: hop limit 1, Router Alert.
#[must_use]
pub fn mld_frame(source: Ipv6Addr, destination: Ipv6Addr, kind: u8, body: &[u8]) -> IcmpFrame6 {
    let mut icmp = IcmpFrame6::between(source, destination, kind, body);
    icmp.ip.hop_limit = 1;
    icmp.ip.extensions = vec![Extension::HopByHop(vec![HeaderOption::router_alert()])];
    icmp
}

/// The largest code whose value does not exceed `millis`. L07, RFC 9777 5.1.3.
fn response_code(millis: u128) -> u16 {
    let millis = u64::try_from(millis).unwrap_or(u64::MAX);
    (0..=u16::MAX).rev().find(|&code| response_value(code) <= millis).unwrap_or(0)
}

/// What a code stands for: itself below 32768, above it a mantissa and an exponent.
fn response_value(code: u16) -> u64 {
    let code = u64::from(code);
    if code < 0x8000 { code } else { (code & 0x0fff | 0x1000) << ((code >> 12 & 7) + 3) }
}

/// What a host says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum MldMessage {
    /// A report of version 1 of this group.
    ReportV1(Ipv6Addr),
    /// That the last member of this group, by version 1, has left.
    Done(Ipv6Addr),
    /// A report of version 2.
    ReportV2(MldReport),
}

impl MldMessage {
    /// The message in `frame`; `Ok(None)` for what is not MLD at all, or a query.
    ///
    /// # Errors
    /// It is MLD, and not a message as a host must send it.
    // L01, L02: RFC 9777 5, RFC 2710 5. L08, RFC 3590 4: from no one while there is no link-local address.
    pub fn read(frame: &[u8]) -> Result<Option<Self>, Malformed> {
        let Ok(icmp) = IcmpFrame6::read(frame) else {
            return if is_mld(frame) { Err("an MLD message that is wrong") } else { Ok(None) };
        };
        if !matches!(icmp.kind, kinds::MLD_REPORT_V1 | kinds::MLD_DONE | kinds::MLD_REPORT_V2) {
            return Ok(None);
        }
        if icmp.ip.hop_limit != 1
            || icmp.ip.extensions != [Extension::HopByHop(vec![HeaderOption::router_alert()])]
        {
            return Err("MLD without hop limit 1 or Router Alert");
        }
        let source = icmp.ip.source;
        if !source.is_unicast_link_local() && !source.is_unspecified() || icmp.code != 0 {
            return Err("MLD from an address that is not link-local, or with a code");
        }
        let (read, destination) = match icmp.kind {
            kinds::MLD_REPORT_V1 => older(&icmp.body).map(|group| (Self::ReportV1(group), group))?,
            kinds::MLD_DONE => older(&icmp.body).map(|group| (Self::Done(group), ALL_ROUTERS))?,
            _ => (Self::ReportV2(MldReport::of_body(source, &icmp.body)?), MLDV2_ROUTERS),
        };
        if icmp.ip.destination != destination {
            return Err("an MLD message that goes elsewhere than its kind");
        }
        Ok(Some(read))
    }

    /// The groups that it reports.
    #[must_use]
    pub fn reported(&self) -> Vec<Ipv6Addr> {
        match self {
            Self::ReportV1(group) => vec![*group],
            Self::Done(_) => Vec::new(),
            Self::ReportV2(report) => report.records.iter().map(|record| record.group).collect(),
        }
    }
}

/// Whether `frame` holds a message of an MLD host behind hop-by-hop options of eight bytes.
fn is_mld(frame: &[u8]) -> bool {
    let at = |n: usize| frame.get(n).copied();
    (at(12), at(13), at(20), at(54), at(55)) == (Some(0x86), Some(0xdd), Some(0), Some(58), Some(0))
        && at(62).is_some_and(|kind| matches!(kind, 131 | 132 | 143))
}

/// The group of a message of version 1.
// L04, RFC 9777 6: never that of all hosts, nor one that stays in its host; L16, RFC 4604 2.2.1: nor a source-specific one.
fn older(body: &[u8]) -> Result<Ipv6Addr, Malformed> {
    let group = Ipv6Addr::from(*array::<16>(body, 4)?);
    if body.len() != 20 || body[..4] != [0; 4] {
        return Err("a message of version 1 of another length, or with a time");
    }
    if !group.is_multicast() || !V6::is_reported(group) || V6::is_ssm(group) {
        return Err("a message of version 1 about an address that it never speaks of");
    }
    Ok(group)
}

/// An MLDv2 report.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MldReport {
    /// The host; unspecified while it has no address.
    pub source: Ipv6Addr,
    /// Its records, in order.
    pub records: Vec<Record<Ipv6Addr>>,
}

impl MldReport {
    /// The report in `frame`; `Ok(None)` for what is not MLD at all.
    ///
    /// # Errors
    /// It is MLD, and not an MLDv2 report as a host must send it.
    pub fn read(frame: &[u8]) -> Result<Option<Self>, Malformed> {
        match MldMessage::read(frame)? {
            None => Ok(None),
            Some(MldMessage::ReportV2(report)) => Ok(Some(report)),
            Some(_) => Err("an MLD message of version 1"),
        }
    }

    /// The report in `body`, which `source` sent.
    // L13, RFC 9777 5.2.
    fn of_body(source: Ipv6Addr, body: &[u8]) -> Result<Self, Malformed> {
        if u16_at(body, 0)? != 0 {
            return Err("a reserved field of an MLDv2 report is not zero");
        }
        let mut behind = rest(body, 4)?;
        let mut records = Vec::new();
        for _ in 0..u16_at(body, 2)? {
            let (record, then) = read_record(behind)?;
            records.push(record);
            behind = then;
        }
        if behind.is_empty() && !records.is_empty() {
            Ok(Self { source, records })
        } else {
            Err("an MLDv2 report without records, or with octets behind the last")
        }
    }
}

fn read_record(bytes: &[u8]) -> Result<(Record<Ipv6Addr>, &[u8]), Malformed> {
    let [kind, aux_data_len] = *array(bytes, 0)?;
    let kind = RecordKind::of(kind)?;
    let group = Ipv6Addr::from(*array::<16>(bytes, 4)?);
    if aux_data_len != 0 || !group.is_multicast() || !V6::is_reported(group) {
        return Err("a record with auxiliary data, or of an address that is never reported");
    }
    let end = 20 + 16 * usize::from(u16_at(bytes, 2)?);
    let list = bytes.get(20..end).ok_or("a source list cut short")?;
    let sources: BTreeSet<_> = list.as_chunks::<16>().0.iter().map(|a| Ipv6Addr::from(*a)).collect();
    if sources.len() * 16 != list.len() {
        return Err("a source twice in one record");
    }
    Ok((Record { kind, group, sources }, rest(bytes, end)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 2);
    const GROUP: Ipv6Addr = Ipv6Addr::new(0xff0e, 0, 0, 0, 0, 1, 2, 3);
    const SSM: Ipv6Addr = Ipv6Addr::new(0xff3e, 0, 0, 0, 0, 0, 0x8000, 3);
    const SOURCE: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 9);

    // L07, RFC 9777 5.1.3: below 32768 linear, then (mant | 0x1000) << (exp + 3).
    #[test]
    fn codes_are_floating_point_from_32768_on() {
        assert_eq!(
            (response_value(0x7fff), response_value(0x8000), response_value(0x9000)),
            (32767, 32768, 65536)
        );
        assert_eq!(response_value(0xffff), 0x1fff << 10);
        assert_eq!(
            (response_code(10_000), response_code(32_775), response_code(1 << 40)),
            (10_000, 0x8000, 0xffff)
        );
        let query = MldQuery { max_response: Duration::from_millis(65_541), ..MldQuery::general(HOST) };
        assert_eq!(query.max_response_on_wire(), Duration::from_millis(65_536));
    }

    // RFC 9777 5.1, RFC 2710 3, RFC 2711 2.1: the bytes of a group-and-source-specific query, and of one of version 1.
    #[test]
    fn a_query_is_laid_out_as_the_rfc_draws_it() {
        let query = MldQuery { suppress: true, ..MldQuery::specific(HOST, SSM, &[SOURCE]) };
        let frame = query.frame();
        assert_eq!(frame[..6], [0x33, 0x33, 0x80, 0, 0, 3]);
        assert_eq!((frame[20], frame[21]), (0, 1));
        assert_eq!(frame[54..62], [58, 0, 5, 2, 0, 0, 1, 0]);
        assert_eq!((&frame[62..64], &frame[66..70]), (&[130, 0][..], &[0x03, 0xe8, 0, 0][..]));
        assert_eq!(frame[70..86], SSM.octets());
        assert_eq!(frame[86..90], [0x0a, 125, 0, 1]);
        assert_eq!(frame[90..], SOURCE.octets());
        assert!(IcmpFrame6::read(&frame).is_ok());
        let older = MldQuery { version: 1, ..MldQuery::general(HOST) }.frame();
        assert_eq!((older.len(), &older[66..70]), (86, &[0x27, 0x10, 0, 0][..]));
    }

    fn report(body: &[u8]) -> Result<Option<MldReport>, Malformed> {
        MldReport::read(&mld_frame(HOST, MLDV2_ROUTERS, kinds::MLD_REPORT_V2, body).frame())
    }

    // RFC 9777 5.2: a report with two records.
    #[test]
    fn a_report_is_read_as_the_rfc_draws_it() {
        let body =
            [&[0, 0, 0, 2, 4, 0, 0, 0][..], &GROUP.octets(), &[5, 0, 0, 1], &SSM.octets(), &SOURCE.octets()]
                .concat();
        let read = report(&body).unwrap().unwrap();
        assert_eq!(
            (read.source, read.records[0].kind, read.records[0].group),
            (HOST, RecordKind::ToEx, GROUP)
        );
        assert_eq!((read.records[1].kind, read.records[1].group), (RecordKind::Allow, SSM));
        assert_eq!(read.records[1].sources, BTreeSet::from([SOURCE]));
        for end in 0..body.len() {
            assert!(report(&body[..end]).is_err(), "{end}");
        }
        assert!(report(&[&body[..], &[0]].concat()).is_err(), "an octet too many");
        assert!(report(&[&body[..5], &[1], &body[6..]].concat()).is_err(), "auxiliary data");
        assert!(report(&[&[0, 0, 0, 1, 4, 0, 0, 0][..], &V6::ALL_HOSTS.octets()].concat()).is_err());
        assert!(report(&[0; 4]).is_err());
    }

    // RFC 2710 3 and 5: 24 bytes each, and where each goes.
    #[test]
    fn messages_of_version_1_are_read_strictly() {
        let read = |kind, to, group: Ipv6Addr| {
            MldMessage::read(&mld_frame(HOST, to, kind, &[&[0; 4], &group.octets()[..]].concat()).frame())
        };
        assert_eq!(read(131, GROUP, GROUP), Ok(Some(MldMessage::ReportV1(GROUP))));
        assert_eq!(read(132, ALL_ROUTERS, GROUP), Ok(Some(MldMessage::Done(GROUP))));
        assert!(read(131, ALL_ROUTERS, GROUP).is_err() && read(132, GROUP, GROUP).is_err());
        for never in [V6::ALL_HOSTS, SSM, "ff01::7".parse().unwrap(), HOST] {
            assert!(read(131, never, never).is_err(), "{never}");
        }
    }

    #[test]
    fn without_hop_limit_one_router_alert_or_a_local_source_it_is_refused() {
        let body = [&[0; 4], &GROUP.octets()[..]].concat();
        let right = mld_frame(HOST, GROUP, 131, &body);
        let mut bad = [right.clone(), right.clone(), right.clone()];
        bad[0].ip.hop_limit = 2;
        bad[1].ip.extensions.clear();
        bad[2].ip.source = SOURCE;
        for icmp in bad {
            assert!(MldMessage::read(&icmp.frame()).is_err(), "{icmp:?}");
        }
        let mut wrong_sum = right.frame();
        wrong_sum[65] ^= 1;
        assert!(MldMessage::read(&wrong_sum).is_err());
        let mut from_no_one = right;
        from_no_one.ip.source = V6::UNSPECIFIED;
        assert!(MldMessage::read(&from_no_one.frame()).is_ok());
        assert_eq!(MldMessage::read(&MldQuery::general(HOST).frame()), Ok(None));
    }
}
