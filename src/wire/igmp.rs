//! IGMP messages: version 1 (RFC 1112), 2 (RFC 2236) and 3 (RFC 9776 4).
//!
//! A [`Message`] is parsed from an IP payload, its checksum included, and borrows from it. What is written is what a host
//! says: the version 3 report ([`emit_report_v3`]), whose Group Records look alike in MLDv2, as does [`RecordKind`]; and
//! the messages of eight bytes of the older versions ([`emit_short`]).

use core::net::Ipv4Addr;
use core::time::Duration;

use super::checksum::{self, Sum};
use crate::addr::{Group, V4};

/// The type of a query of any version.
const QUERY: u8 = 0x11;
/// The type of a version 1 report.
const REPORT_V1: u8 = 0x12;
/// The type of a version 2 report.
const REPORT_V2: u8 = 0x16;
/// The type of a version 2 leave.
const LEAVE_V2: u8 = 0x17;
/// The type of a version 3 report.
const REPORT_V3: u8 = 0x22;

/// The bytes of a message of version 1 or 2, and of a version 3 report before its records.
pub const HEADER_LEN: usize = 8;
/// The bytes of a version 3 query before its sources.
const QUERY_V3_LEN: usize = 12;
/// Where a version 3 query says how many sources follow. RFC 9776 4.1.8.
pub const NUMBER_OF_SOURCES: core::ops::Range<usize> = 10..12;
/// The bytes of a Group Record before its sources.
const RECORD_LEN: usize = 8;

/// The Max Resp Time of a version 1 query, which names none. G14, RFC 9776 7.2.1.
const MAX_RESPONSE_V1: Duration = Duration::from_secs(10);

/// Why a payload is no IGMP message that means anything to a host.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum IgmpError {
    /// It ends too early, or has a length between those of the query versions.
    #[error("cut short, or of a length that no version has")]
    Truncated,
    /// The checksum is wrong.
    #[error("wrong checksum")]
    Checksum,
    /// A query with sources and no group, a source list cut short, or a group that is none.
    #[error("a query that cannot be")]
    QueryInvalid,
    /// A report or leave of a group that is none.
    #[error("a report that cannot be")]
    ReportInvalid,
    /// A type that is unknown.
    #[error("unknown type {0:#04x}")]
    UnknownType(u8),
}

/// An IGMP message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Message<'a> {
    /// A query of a router.
    Query(Query<'a>),
    /// A version 1 report of a host.
    ReportV1(Group<V4>),
    /// A version 2 report of a host.
    ReportV2(Group<V4>),
    /// A version 2 leave of a host.
    LeaveV2(Group<V4>),
    /// A version 3 report of a host.
    ReportV3(ReportV3<'a>),
}

/// A protocol version.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Version {
    /// RFC 1112.
    V1,
    /// RFC 2236.
    V2,
    /// RFC 9776.
    V3,
}

/// A query.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Query<'a> {
    /// Of which version, by length and code.
    pub version: Version,
    /// The time within which an answer is wanted; zero in version 3 means now.
    pub max_response: Duration,
    /// The group; none for a General Query.
    pub group: Option<Group<V4>>,
    /// The sources; none unless version 3, and none without a group.
    pub sources: Addresses<'a>,
    /// What a version 3 querier says of itself.
    pub querier: Option<Querier>,
}

/// What a version 3 querier says of itself. RFC 9776 4.1.5 to 4.1.7.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Querier {
    /// The S flag: other routers shall not touch their timers.
    pub suppress: bool,
    /// The QRV field: its Robustness Variable, or 0 if that does not fit.
    pub robustness: u8,
    /// The Query Interval of the QQIC field.
    pub query_interval: Duration,
}

impl<'a> Message<'a> {
    /// Reads an IP payload.
    ///
    /// # Errors
    ///
    /// See [`IgmpError`]; the checksum is looked at before anything else but the length.
    pub fn parse(payload: &'a [u8]) -> Result<Self, IgmpError> {
        let Some((header, rest)) = payload.split_first_chunk::<HEADER_LEN>() else {
            return Err(IgmpError::Truncated);
        };
        // G06, RFC 9776 4.1.2 and 4.1.10: over the whole payload, what follows the message included.
        if !checksum::verify(payload) {
            return Err(IgmpError::Checksum);
        }
        let [kind, code, _, _, address @ ..] = *header;
        let group = Ipv4Addr::from(address);
        let reported = || Group::new(group).ok_or(IgmpError::ReportInvalid);
        match kind {
            QUERY => Query::parse(code, group, rest).map(Self::Query),
            REPORT_V1 => reported().map(Self::ReportV1),
            REPORT_V2 => reported().map(Self::ReportV2),
            LEAVE_V2 => reported().map(Self::LeaveV2),
            REPORT_V3 => {
                let [.., hi, lo] = *header;
                ReportV3::parse(u16::from_be_bytes([hi, lo]), rest).map(Self::ReportV3)
            }
            unknown => Err(IgmpError::UnknownType(unknown)),
        }
    }
}

impl<'a> Query<'a> {
    /// Reads what follows the type; `rest` is what follows the first eight bytes.
    // G07, RFC 9776 7.1: the length tells the version, and between the lengths there is none.
    fn parse(code: u8, group: Ipv4Addr, rest: &'a [u8]) -> Result<Self, IgmpError> {
        const MIDDLE: usize = QUERY_V3_LEN - HEADER_LEN;
        match (rest, code) {
            // G14, RFC 9776 7.2.1: version 1 has no code, and no group (RFC 1112, appendix I).
            ([], 0) => Ok(Self::old(Version::V1, MAX_RESPONSE_V1, None)),
            // G13, RFC 2236 2.2: version 2 counts in tenths throughout.
            ([], code) => Ok(Self::old(Version::V2, tenths(code.into()), query_group(group)?)),
            (rest, code) => {
                let (middle, rest) = rest.split_first_chunk::<MIDDLE>().ok_or(IgmpError::Truncated)?;
                Self::parse_v3(code, group, *middle, rest)
            }
        }
    }

    /// A query of version 1 or 2.
    const fn old(version: Version, max_response: Duration, group: Option<Group<V4>>) -> Self {
        Self { version, max_response, group, sources: Addresses(&[]), querier: None }
    }

    /// Reads the rest of a version 3 query.
    fn parse_v3(code: u8, group: Ipv4Addr, middle: [u8; 4], rest: &'a [u8]) -> Result<Self, IgmpError> {
        let [flags, qqic, hi, lo] = middle;
        let group = query_group(group)?;
        // G22, RFC 9776 4.1.8: the number of sources is bounded by what is there.
        let (sources, _) =
            Addresses::split(rest, u16::from_be_bytes([hi, lo])).ok_or(IgmpError::QueryInvalid)?;
        if group.is_none() && !sources.is_empty() {
            return Err(IgmpError::QueryInvalid);
        }
        let querier = Querier {
            suppress: flags & 0x08 != 0,
            robustness: flags & 0x07,
            query_interval: Duration::from_secs(decode(qqic).into()),
        };
        let max_response = tenths(decode(code));
        Ok(Self { version: Version::V3, max_response, group, sources, querier: Some(querier) })
    }
}

/// The group of a query, none if it is zero.
// G22, RFC 9776 4.1.3: anything else must be a group.
fn query_group(addr: Ipv4Addr) -> Result<Option<Group<V4>>, IgmpError> {
    if addr.is_unspecified() {
        return Ok(None);
    }
    Group::new(addr).map(Some).ok_or(IgmpError::QueryInvalid)
}

/// Tenths of a second.
fn tenths(n: u32) -> Duration {
    Duration::from_millis(u64::from(n) * 100)
}

/// The value of a Max Resp Code or a QQIC: below 128 itself, from there on a float of 4 bits and 3 of exponent.
// G13, G23, RFC 9776 4.1.1 and 4.1.7.
fn decode(code: u8) -> u32 {
    let code = u32::from(code);
    if code < 0x80 { code } else { (code & 0x0f | 0x10) << ((code >> 4 & 0x07) + 3) }
}

/// A list of addresses in a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Addresses<'a>(&'a [[u8; 4]]);

impl<'a> Addresses<'a> {
    /// The first `count` addresses of `bytes` and what follows them, if there are as many.
    fn split(bytes: &'a [u8], count: u16) -> Option<(Self, &'a [u8])> {
        let (list, rest) = bytes.split_at_checked(usize::from(count) * 4)?;
        Some((Self(list.as_chunks().0), rest))
    }

    /// How many there are.
    #[must_use]
    pub const fn len(self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// The addresses, in the order of the message.
    pub fn iter(self) -> impl ExactSizeIterator<Item = Ipv4Addr> + 'a {
        self.0.iter().map(|octets| Ipv4Addr::from(*octets))
    }
}

/// What a Group Record says: IGMPv3 and MLDv2 number these alike. RFC 9776 4.2.12, RFC 9777 5.2.12.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum RecordKind {
    /// MODE_IS_INCLUDE: an answer; these sources are wanted.
    ModeIsInclude = 1,
    /// MODE_IS_EXCLUDE: an answer; all but these are wanted.
    ModeIsExclude = 2,
    /// CHANGE_TO_INCLUDE_MODE: from now on only these are wanted; none is a leave.
    ChangeToInclude = 3,
    /// CHANGE_TO_EXCLUDE_MODE: from now on all but these are wanted; none is a join.
    ChangeToExclude = 4,
    /// ALLOW_NEW_SOURCES: these are wanted as well.
    AllowNewSources = 5,
    /// BLOCK_OLD_SOURCES: these are not wanted any more.
    BlockOldSources = 6,
}

impl RecordKind {
    /// The kind with this number, if there is one.
    #[must_use]
    pub const fn from_wire(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::ModeIsInclude,
            2 => Self::ModeIsExclude,
            3 => Self::ChangeToInclude,
            4 => Self::ChangeToExclude,
            5 => Self::AllowNewSources,
            6 => Self::BlockOldSources,
            _ => return None,
        })
    }

    /// Its number.
    #[must_use]
    pub const fn to_wire(self) -> u8 {
        self as u8
    }
}

/// A version 3 report.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReportV3<'a> {
    count: u16,
    records: &'a [u8],
}

/// A Group Record of a version 3 report.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Record<'a> {
    /// What it says.
    pub kind: RecordKind,
    /// The group.
    pub group: Group<V4>,
    /// The sources.
    pub sources: Addresses<'a>,
}

impl<'a> ReportV3<'a> {
    /// A report of `count` records in `records`, if they are all there.
    fn parse(count: u16, records: &'a [u8]) -> Result<Self, IgmpError> {
        let report = Self { count, records };
        let whole = report.raw().count() == usize::from(count);
        if whole { Ok(report) } else { Err(IgmpError::Truncated) }
    }

    /// The records, as far as they are there: kind, group, sources.
    fn raw(self) -> impl Iterator<Item = (u8, Ipv4Addr, Addresses<'a>)> {
        let mut bytes = self.records;
        (0..self.count).map_while(move |_| {
            let (head, rest) = bytes.split_first_chunk::<RECORD_LEN>()?;
            let [kind, aux_words, hi, lo, address @ ..] = *head;
            let (sources, rest) = Addresses::split(rest, u16::from_be_bytes([hi, lo]))?;
            // G34, RFC 9776 4.2.6: auxiliary data is stepped over.
            bytes = rest.get(usize::from(aux_words) * 4..)?;
            Some((kind, Ipv4Addr::from(address), sources))
        })
    }

    /// The records, without those of a kind that is unknown or of a group that is none.
    // G34, RFC 9776 4.2.12: unrecognised record types are silently ignored.
    pub fn records(self) -> impl Iterator<Item = Record<'a>> {
        self.raw().filter_map(|(kind, group, sources)| {
            Some(Record { kind: RecordKind::from_wire(kind)?, group: Group::new(group)?, sources })
        })
    }
}

/// A Group Record to be written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RecordRepr<'a> {
    /// What it says.
    pub kind: RecordKind,
    /// The group.
    pub group: Group<V4>,
    /// The sources, at most 65535.
    pub sources: &'a [Ipv4Addr],
}

/// Appends a version 3 report of `records` to `out`; of at most 65535 records.
// G34, RFC 9776 4.2.2 to 4.2.11: nothing reserved is set, no auxiliary data, no octet beyond the last record.
pub fn emit_report_v3<'a>(records: impl IntoIterator<Item = RecordRepr<'a>>, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend([REPORT_V3, 0, 0, 0, 0, 0, 0, 0]);
    let mut count: u16 = 0;
    for RecordRepr { kind, group, sources } in records.into_iter().take(u16::MAX.into()) {
        let sources = sources.get(..u16::MAX.into()).unwrap_or(sources);
        let [hi, lo] = u16::try_from(sources.len()).unwrap_or(u16::MAX).to_be_bytes();
        out.extend([kind.to_wire(), 0, hi, lo]);
        out.extend(group.addr().octets());
        out.extend(sources.iter().flat_map(|source| source.octets()));
        count += 1;
    }
    if let Some(bytes) = out.get_mut(start + 6..start + 8) {
        bytes.copy_from_slice(&count.to_be_bytes());
    }
    let checksum = Sum::of(out.get(start..).unwrap_or_default()).finish();
    if let Some(bytes) = out.get_mut(start + 2..start + 4) {
        bytes.copy_from_slice(&checksum.to_be_bytes());
    }
}

/// A host's message of an older version: eight bytes about one group.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum Short {
    /// A version 1 report. RFC 1112, appendix I.
    ReportV1 = REPORT_V1,
    /// A version 2 report. RFC 2236 2.1.
    ReportV2 = REPORT_V2,
    /// A version 2 leave. RFC 2236 2.1.
    LeaveV2 = LEAVE_V2,
}

/// Appends the message `kind` about `group` to `out`.
// G03, RFC 2236 2: type, no Max Resp Time, checksum, group.
pub fn emit_short(kind: Short, group: Group<V4>, out: &mut Vec<u8>) {
    let [a, b, c, d] = group.addr().octets();
    let message = [kind as u8, 0, 0, 0, a, b, c, d];
    let [hi, lo] = Sum::of(&message).finish().to_be_bytes();
    out.extend([kind as u8, 0, hi, lo, a, b, c, d]);
}

#[cfg(test)]
mod tests;
