//! IGMP messages: version 1 (RFC 1112), 2 (RFC 2236) and 3 (RFC 9776 4).
//!
//! A [`Message`] is parsed from an IP payload, its checksum included, and borrows from it. What is written is what a host
//! says: the version 3 report ([`emit_report_v3`]) and the messages of eight bytes of the older versions
//! ([`emit_short`]). What MLD has, too, is [`gmp`]'s.

use core::net::Ipv4Addr;
use core::time::Duration;

use super::checksum::{self, Sum};
use super::gmp::{self, QueryInvalid, decode, query_group};
pub use super::gmp::{Querier, RecordKind, RecordRepr, Version};
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

/// The Max Resp Time of a version 1 query, which names none. G14, RFC 9776 7.2.1.
const MAX_RESPONSE_V1: Duration = Duration::from_secs(10);

/// An IGMP query.
pub type Query<'a> = gmp::Query<'a, V4>;

/// A version 3 report.
pub type ReportV3<'a> = gmp::Report<'a, V4>;

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
            QUERY => query(code, group, rest).map(Self::Query),
            REPORT_V1 => reported().map(Self::ReportV1),
            REPORT_V2 => reported().map(Self::ReportV2),
            LEAVE_V2 => reported().map(Self::LeaveV2),
            REPORT_V3 => ReportV3::parse(payload).map(Self::ReportV3).ok_or(IgmpError::Truncated),
            unknown => Err(IgmpError::UnknownType(unknown)),
        }
    }
}

/// Reads what a query has behind its type; `rest` is what follows the first eight bytes.
// G07, RFC 9776 7.1: the length tells the version, and between the lengths there is none.
fn query(code: u8, group: Ipv4Addr, rest: &[u8]) -> Result<Query<'_>, IgmpError> {
    const MIDDLE: usize = QUERY_V3_LEN - HEADER_LEN;
    match (rest, code) {
        // G14, RFC 9776 7.2.1: version 1 has no code, and no group (RFC 1112, appendix I).
        ([], 0) => Ok(Query::old(Version::V1, MAX_RESPONSE_V1, None)),
        // G13, RFC 2236 2.2: version 2 counts in tenths throughout.
        ([], code) => Ok(Query::old(Version::V2, tenths(code.into()), query_group(group)?)),
        (rest, code) => {
            let (middle, rest) = rest.split_first_chunk::<MIDDLE>().ok_or(IgmpError::Truncated)?;
            Ok(Query::new(Version::V3, tenths(decode(code)), group, *middle, rest)?)
        }
    }
}

/// Tenths of a second.
fn tenths(n: u32) -> Duration {
    Duration::from_millis(u64::from(n) * 100)
}

impl From<QueryInvalid> for IgmpError {
    fn from(_: QueryInvalid) -> Self {
        Self::QueryInvalid
    }
}

/// Appends a version 3 report of `records` to `out`; of at most 65535 records.
pub fn emit_report_v3<'a>(records: impl IntoIterator<Item = RecordRepr<'a, V4>>, out: &mut Vec<u8>) {
    let start = out.len();
    gmp::emit_report(REPORT_V3, records, out);
    gmp::seal(out, start, |message| Sum::of(message).finish());
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
