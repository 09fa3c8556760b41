//! IGMP queries as a router sends them, and what a host says, as it must say it.

use core::net::Ipv4Addr;
use core::time::Duration;
use std::collections::BTreeSet;

use super::{Ethernet, Ipv4, Malformed, array, checksum, len16, mac_for, padding, rest, station_mac, u16_at};
use crate::addr::{Family, V4};

/// The Router Alert option. RFC 2113 2.1.
const ROUTER_ALERT: [u8; 4] = [0x94, 4, 0, 0];

/// Where IGMPv3 reports go. RFC 9776 4.2.14.
const IGMPV3_ROUTERS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 22);

/// Where IGMPv2 leaves go. RFC 2236 3.
const ROUTERS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 2);

/// A query in its frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IgmpQuery {
    /// 1, 2 or 3. Version 1 names no group and no time, and only version 3 sources and what follows.
    pub version: u8,
    /// The router.
    pub source: Ipv4Addr,
    /// Where it is sent: all hosts, or the group.
    pub destination: Ipv4Addr,
    /// The group asked for; unspecified asks for all.
    pub group: Ipv4Addr,
    /// The sources asked for.
    pub sources: Vec<Ipv4Addr>,
    /// The longest that an answer may take. RFC 9776 4.1.1.
    pub max_response: Duration,
    /// Suppress router-side processing. RFC 9776 4.1.5.
    pub suppress: bool,
    /// The querier's robustness variable.
    pub robustness: u8,
    /// The querier's query interval.
    pub query_interval: Duration,
}

impl IgmpQuery {
    /// A general query with RFC 9776's defaults.
    #[must_use]
    pub const fn general(source: Ipv4Addr) -> Self {
        Self {
            version: 3,
            source,
            destination: V4::ALL_HOSTS,
            group: V4::UNSPECIFIED,
            sources: Vec::new(),
            max_response: Duration::from_secs(10),
            suppress: false,
            robustness: 2,
            query_interval: Duration::from_secs(125),
        }
    }

    /// A query for `group`, or for some sources of it, to be answered within a second.
    #[must_use]
    pub fn specific(source: Ipv4Addr, group: Ipv4Addr, sources: &[Ipv4Addr]) -> Self {
        let max_response = Duration::from_secs(1);
        Self { destination: group, group, sources: sources.to_vec(), max_response, ..Self::general(source) }
    }

    /// The message.
    #[must_use]
    pub fn message(&self) -> Vec<u8> {
        let tenths = self.max_response.as_millis() / 100;
        match self.version {
            // RFC 1112, appendix I: unused, and zero.
            1 => return sealed(vec![0x11, 0, 0, 0, 0, 0, 0, 0]),
            // RFC 2236 2.2: tenths of a second throughout.
            2 => {
                let code = u8::try_from(tenths.max(1)).unwrap_or(u8::MAX);
                return sealed([&[0x11, code, 0, 0][..], &self.group.octets()].concat());
            }
            _ => {}
        }
        let mut message = vec![0x11, code(self.max_response.as_millis() / 100), 0, 0];
        message.extend(self.group.octets());
        message.extend([
            u8::from(self.suppress) << 3 | self.robustness & 7,
            code(self.query_interval.as_secs().into()),
        ]);
        message.extend(len16(self.sources.len()));
        message.extend(self.sources.iter().flat_map(Ipv4Addr::octets));
        sealed(message)
    }

    /// The frame.
    #[must_use]
    pub fn frame(&self) -> Vec<u8> {
        igmp_frame(self.source, self.destination, &self.message())
    }

    /// The time that an answer may take, once written and read: what the floating-point code leaves of it.
    #[must_use]
    pub fn max_response_on_wire(&self) -> Duration {
        Duration::from_millis(100 * value(code(self.max_response.as_millis() / 100)))
    }
}

/// What a host says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum IgmpMessage {
    /// A report of version 1 of this group.
    ReportV1(Ipv4Addr),
    /// A report of version 2 of this group.
    ReportV2(Ipv4Addr),
    /// A leave of version 2 of this group.
    Leave(Ipv4Addr),
    /// A report of version 3.
    ReportV3(IgmpReport),
}

impl IgmpMessage {
    /// The message in `frame`; `Ok(None)` for what is not IGMP at all.
    ///
    /// # Errors
    /// It is IGMP, and not a message as a host must send it.
    // G01, RFC 9776 4; G02, 4.2.14; G03, RFC 2236 3.
    pub fn read(frame: &[u8]) -> Result<Option<Self>, Malformed> {
        let (ethernet, packet) = Ethernet::read(frame)?;
        if ethernet.ethertype != 0x0800 {
            return Ok(None);
        }
        let (ip, message, behind) = Ipv4::read(packet)?;
        if ip.protocol != 2 {
            return Ok(None);
        }
        padding(behind)?;
        if (ip.ttl, ip.tos, &ip.options[..]) != (1, 0xc0, &ROUTER_ALERT) {
            return Err("IGMP without TTL 1, type of service 0xc0 or Router Alert");
        }
        if checksum(&[message]) != 0 {
            return Err("wrong IGMP checksum");
        }
        let (read, destination) = match *array::<1>(message, 0)? {
            [0x12] => older(message).map(|group| (Self::ReportV1(group), group))?,
            [0x16] => older(message).map(|group| (Self::ReportV2(group), group))?,
            [0x17] => older(message).map(|group| (Self::Leave(group), ROUTERS))?,
            [0x22] => (Self::ReportV3(IgmpReport::of_message(ip.source, message)?), IGMPV3_ROUTERS),
            _ => return Err("IGMP that no host sends"),
        };
        if ip.destination != destination || ethernet.destination != V4::group_mac(destination) {
            return Err("an IGMP message that goes elsewhere than its kind");
        }
        Ok(Some(read))
    }

    /// The groups that it reports.
    #[must_use]
    pub fn reported(&self) -> Vec<Ipv4Addr> {
        match self {
            Self::ReportV1(group) | Self::ReportV2(group) => vec![*group],
            Self::Leave(_) => Vec::new(),
            Self::ReportV3(report) => report.records.iter().map(|record| record.group).collect(),
        }
    }
}

/// The group of a message of eight bytes.
// G04, RFC 2236 6; G48, RFC 4604 2.2.1: never that of all hosts, nor one of the source-specific range.
fn older(message: &[u8]) -> Result<Ipv4Addr, Malformed> {
    let group = Ipv4Addr::from(*array::<4>(message, 4)?);
    if message.len() != 8 || message[1] != 0 {
        return Err("a message of an older version of another length, or with a time");
    }
    if !group.is_multicast() || group == V4::ALL_HOSTS || group.octets()[0] == 232 {
        return Err("a message of an older version about an address that it never speaks of");
    }
    Ok(group)
}

/// Any IGMP `message` as a frame with all that RFC 9776 4 asks for: TTL 1, internetwork control, Router Alert.
#[must_use]
pub fn igmp_frame(source: Ipv4Addr, destination: Ipv4Addr, message: &[u8]) -> Vec<u8> {
    let mut ip = Ipv4::new(source, destination, 2);
    (ip.ttl, ip.tos) = (1, 0xc0);
    ip.options = ROUTER_ALERT.to_vec();
    let ethernet = Ethernet {
        destination: mac_for(destination, station_mac(destination)),
        source: station_mac(source),
        tci: None,
        ethertype: 0x0800,
    };
    ethernet.frame(&ip.packet(message))
}

/// `message` with its checksum in place.
#[must_use]
pub fn sealed(mut message: Vec<u8>) -> Vec<u8> {
    let sum = checksum(&[&message]);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    message
}

/// The largest code whose value does not exceed `value`. G13, RFC 9776 4.1.1 and 4.1.7.
pub(super) fn code(value: u128) -> u8 {
    let value = u64::try_from(value).unwrap_or(u64::MAX);
    (0..=u8::MAX).rev().find(|&code| self::value(code) <= value).unwrap_or(0)
}

/// What a code stands for: itself below 128, above it a mantissa and an exponent.
fn value(code: u8) -> u64 {
    let code = u64::from(code);
    if code < 128 { code } else { (code & 0x0f | 0x10) << ((code >> 4 & 7) + 3) }
}

/// What a record of a report says. RFC 9776 4.2.13.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[expect(missing_docs, reason = "the RFC's names")]
pub enum RecordKind {
    IsIn,
    IsEx,
    ToIn,
    ToEx,
    Allow,
    Block,
}

impl RecordKind {
    /// By its number, which is the same in IGMPv3 and MLDv2.
    pub(super) fn of(number: u8) -> Result<Self, Malformed> {
        let kinds = [Self::IsIn, Self::IsEx, Self::ToIn, Self::ToEx, Self::Allow, Self::Block];
        let kind = usize::from(number).checked_sub(1).and_then(|at| kinds.get(at));
        kind.copied().ok_or("an unknown record type")
    }
}

/// One group record, of IGMPv3 or MLDv2.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record<A: Ord = Ipv4Addr> {
    /// What it says.
    pub kind: RecordKind,
    /// The group.
    pub group: A,
    /// The sources.
    pub sources: BTreeSet<A>,
}

/// An IGMPv3 report.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IgmpReport {
    /// The host.
    pub source: Ipv4Addr,
    /// Its records, in order.
    pub records: Vec<Record>,
}

impl IgmpReport {
    /// The report in `frame`; `Ok(None)` for what is not IGMP at all.
    ///
    /// # Errors
    /// It is IGMP, and not an IGMPv3 report as a host must send it.
    pub fn read(frame: &[u8]) -> Result<Option<Self>, Malformed> {
        match IgmpMessage::read(frame)? {
            None => Ok(None),
            Some(IgmpMessage::ReportV3(report)) => Ok(Some(report)),
            Some(_) => Err("an IGMP message of an older version"),
        }
    }

    /// The report in `message`, which `source` sent.
    // G34, RFC 9776 4.2.2, 4.2.6 and 4.2.11.
    fn of_message(source: Ipv4Addr, message: &[u8]) -> Result<Self, Malformed> {
        if !message.starts_with(&[0x22, 0]) || u16_at(message, 4)? != 0 {
            return Err("not an IGMPv3 report, or its reserved fields are not zero");
        }
        let mut rest = rest(message, 8)?;
        let mut records = Vec::new();
        for _ in 0..u16_at(message, 6)? {
            let (record, behind) = read_record(rest)?;
            records.push(record);
            rest = behind;
        }
        if rest.is_empty() && !records.is_empty() {
            Ok(Self { source, records })
        } else {
            Err("an IGMPv3 report without records, or with octets behind the last")
        }
    }
}

fn read_record(bytes: &[u8]) -> Result<(Record, &[u8]), Malformed> {
    let [kind, aux_data_len] = *array(bytes, 0)?;
    let kind = RecordKind::of(kind)?;
    let group = Ipv4Addr::from(*array::<4>(bytes, 4)?);
    if aux_data_len != 0 || !group.is_multicast() || group == V4::ALL_HOSTS {
        return Err("a record with auxiliary data, or of an address that is never reported");
    }
    let end = 8 + 4 * usize::from(u16_at(bytes, 2)?);
    let list = bytes.get(8..end).ok_or("a source list cut short")?;
    let sources: BTreeSet<_> = list.as_chunks::<4>().0.iter().map(|a| Ipv4Addr::from(*a)).collect();
    if sources.len() * 4 != list.len() {
        return Err("a source twice in one record");
    }
    Ok((Record { kind, group, sources }, rest(bytes, end)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 2);

    // G13, RFC 9776 4.1.1: below 128 linear, then (mant | 0x10) << (exp + 3).
    #[test]
    fn codes_are_floating_point_from_128_on() {
        assert_eq!((value(127), value(0x80), value(0x8f), value(0xff)), (127, 128, 248, 31744));
        assert_eq!((code(100), code(128), code(135), code(1 << 40)), (100, 0x80, 0x80, 0xff));
        let query = IgmpQuery { max_response: Duration::from_millis(13_000), ..IgmpQuery::general(HOST) };
        assert_eq!(query.max_response_on_wire(), Duration::from_millis(12_800));
    }

    // RFC 9776 4.1: the bytes of a group-and-source-specific query.
    #[test]
    fn a_query_is_laid_out_as_the_rfc_draws_it() {
        let group = Ipv4Addr::new(232, 1, 2, 3);
        let query = IgmpQuery { suppress: true, ..IgmpQuery::specific(HOST, group, &[HOST]) };
        let message = query.message();
        assert_eq!(message.len(), 16);
        assert_eq!(message[..2], [0x11, 10]);
        assert_eq!(message[4..], [232, 1, 2, 3, 0x0a, 125, 0, 1, 198, 18, 0, 2]);
        assert_eq!(checksum(&[&message]), 0);
        let frame = query.frame();
        assert_eq!(frame[..6], [1, 0, 0x5e, 1, 2, 3]);
        assert_eq!((frame[14], frame[15], frame[22]), (0x46, 0xc0, 1));
    }

    fn report(message: Vec<u8>) -> Result<Option<IgmpReport>, Malformed> {
        IgmpReport::read(&igmp_frame(HOST, IGMPV3_ROUTERS, &sealed(message)))
    }

    // RFC 9776 4.2: a report with two records.
    #[test]
    fn a_report_is_read_as_the_rfc_draws_it() {
        let message = [
            &[0x22, 0, 0, 0, 0, 0, 0, 2][..],
            &[4, 0, 0, 0, 239, 1, 2, 3],
            &[5, 0, 0, 1, 232, 1, 2, 3, 198, 18, 0, 9],
        ]
        .concat();
        let read = report(message.clone()).unwrap().unwrap();
        assert_eq!(read.records[0].kind, RecordKind::ToEx);
        assert_eq!(read.records[0].group, Ipv4Addr::new(239, 1, 2, 3));
        assert_eq!(read.records[1].kind, RecordKind::Allow);
        assert_eq!(read.records[1].sources, BTreeSet::from([Ipv4Addr::new(198, 18, 0, 9)]));
        for end in 8..message.len() {
            assert!(report(message[..end].to_vec()).is_err(), "{end}");
        }
        assert!(report([&message[..], &[0]].concat()).is_err(), "an octet too many");
        assert!(report([&message[..9], &[1], &message[10..]].concat()).is_err(), "auxiliary data");
    }

    // RFC 1112, appendix I; RFC 2236 2: eight bytes each, and where each goes.
    #[test]
    fn messages_of_the_older_versions_are_read_strictly() {
        let group = Ipv4Addr::new(239, 1, 2, 3);
        let read = |kind: u8, to: Ipv4Addr, group: Ipv4Addr| {
            let message = sealed([&[kind, 0, 0, 0][..], &group.octets()].concat());
            IgmpMessage::read(&igmp_frame(HOST, to, &message))
        };
        assert_eq!(read(0x12, group, group), Ok(Some(IgmpMessage::ReportV1(group))));
        assert_eq!(read(0x16, group, group), Ok(Some(IgmpMessage::ReportV2(group))));
        assert_eq!(read(0x17, ROUTERS, group), Ok(Some(IgmpMessage::Leave(group))));
        assert!(read(0x16, ROUTERS, group).is_err() && read(0x17, group, group).is_err());
        assert!(read(0x16, HOST, HOST).is_err() && read(0x11, group, group).is_err());
        for never in [V4::ALL_HOSTS, Ipv4Addr::new(232, 1, 2, 3)] {
            assert!(read(0x16, never, never).is_err(), "{never}");
        }
    }

    // RFC 1112, appendix I; RFC 2236 2.
    #[test]
    fn older_queries_have_eight_bytes() {
        let group = Ipv4Addr::new(239, 1, 2, 3);
        let query = |version| IgmpQuery { version, ..IgmpQuery::specific(HOST, group, &[]) }.message();
        assert_eq!(query(1)[..2], [0x11, 0]);
        assert_eq!(query(1)[4..], [0, 0, 0, 0]);
        assert_eq!((&query(2)[..2], &query(2)[4..]), (&[0x11, 10][..], &[239, 1, 2, 3][..]));
    }

    #[test]
    fn a_report_about_all_hosts_or_of_nothing_is_refused() {
        assert!(report(vec![0x22, 0, 0, 0, 0, 0, 0, 1, 4, 0, 0, 0, 224, 0, 0, 1]).is_err());
        assert!(report(vec![0x22, 0, 0, 0, 0, 0, 0, 0]).is_err());
    }
}
