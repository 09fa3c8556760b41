//! MLD messages: version 1 (RFC 2710) and 2 (RFC 9777 5), which are ICMPv6 messages.
//!
//! A [`Message`] is parsed from an IPv6 payload, its checksum included, which covers the packet's addresses, and borrows
//! from it. What is written is what a host says: the version 2 report ([`emit_report_v2`]), and the messages of 24 bytes
//! of version 1 ([`emit_short`]). What IGMP has, too, is [`gmp`]'s.

use core::net::Ipv6Addr;
use core::time::Duration;

use super::checksum::Sum;
use super::gmp::{self, QueryInvalid, query_group};
pub use super::gmp::{Querier, RecordKind, RecordRepr, Version};
use super::ipv6::NEXT_HEADER_ICMPV6;
use crate::addr::{Group, V6};

/// The type of a query of either version: Multicast Listener Query. RFC 2710 3.1, RFC 9777 5.1.
pub const QUERY: u8 = 130;
/// The type of a version 1 report: Multicast Listener Report. RFC 2710 3.1.
pub const REPORT_V1: u8 = 131;
/// The type of a version 1 leave: Multicast Listener Done. RFC 2710 3.1.
pub const DONE_V1: u8 = 132;
/// The type of a version 2 report. RFC 9777 5.2.
pub const REPORT_V2: u8 = 143;

/// The bytes of a version 1 message.
const SHORT_LEN: usize = 24;
/// The bytes of a version 2 query before its sources.
const QUERY_V2_LEN: usize = 28;
/// Where a version 2 query says how many sources follow. RFC 9777 5.1.10.
pub const NUMBER_OF_SOURCES: core::ops::Range<usize> = 26..28;

/// An MLD query.
pub type Query<'a> = gmp::Query<'a, V6>;

/// A version 2 report.
pub type ReportV2<'a> = gmp::Report<'a, V6>;

/// Why a payload is no MLD message that means anything to a host.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum MldError {
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
    /// A type that is not one of MLD's.
    #[error("unknown type {0}")]
    UnknownType(u8),
}

/// An MLD message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Message<'a> {
    /// A query of a router.
    Query(Query<'a>),
    /// A version 1 report of a host.
    ReportV1(Group<V6>),
    /// A version 1 leave of a host.
    DoneV1(Group<V6>),
    /// A version 2 report of a host.
    ReportV2(ReportV2<'a>),
}

impl<'a> Message<'a> {
    /// Reads the ICMPv6 message `payload` of a packet from `src` to `dst`.
    ///
    /// # Errors
    ///
    /// See [`MldError`]; the checksum is looked at before anything else but that there is a header.
    pub fn parse(src: Ipv6Addr, dst: Ipv6Addr, payload: &'a [u8]) -> Result<Self, MldError> {
        let [kind, ..] = *payload.first_chunk::<4>().ok_or(MldError::Truncated)?;
        // L13, RFC 9777 5.1.12, 5.2.11: what follows the message counts for the checksum.
        if checksum(src, dst, payload) != 0 {
            return Err(MldError::Checksum);
        }
        match kind {
            QUERY => query(payload).map(Self::Query),
            REPORT_V1 => reported(payload).map(Self::ReportV1),
            DONE_V1 => reported(payload).map(Self::DoneV1),
            REPORT_V2 => ReportV2::parse(payload).map(Self::ReportV2).ok_or(MldError::Truncated),
            unknown => Err(MldError::UnknownType(unknown)),
        }
    }
}

/// Reads a query, of 24 bytes or at least 28.
// L06, RFC 9777 8.1: the length tells the version, and between the lengths there is none.
fn query(message: &[u8]) -> Result<Query<'_>, MldError> {
    const MIDDLE: usize = QUERY_V2_LEN - SHORT_LEN;
    let (short, rest) = message.split_first_chunk::<SHORT_LEN>().ok_or(MldError::Truncated)?;
    let [_, _, _, _, hi, lo, _, _, group @ ..] = *short;
    let (code, group) = (u16::from_be_bytes([hi, lo]), Ipv6Addr::from(group));
    if rest.is_empty() {
        // L07, RFC 2710 3.4: version 1 counts in milliseconds throughout.
        let max_response = Duration::from_millis(code.into());
        return Ok(Query::old(Version::V1, max_response, query_group(group)?));
    }
    let (middle, rest) = rest.split_first_chunk::<MIDDLE>().ok_or(MldError::Truncated)?;
    let max_response = Duration::from_millis(decode(code).into());
    Ok(Query::new(Version::V2, max_response, group, *middle, rest)?)
}

/// The group of a version 1 report or leave.
fn reported(message: &[u8]) -> Result<Group<V6>, MldError> {
    let short = message.first_chunk::<SHORT_LEN>().ok_or(MldError::Truncated)?;
    let [_, _, _, _, _, _, _, _, group @ ..] = *short;
    Group::new(group.into()).ok_or(MldError::ReportInvalid)
}

/// The value of a Max Resp Code: below 32768 itself, from there on a float of 12 bits and 3 of exponent.
// L07, RFC 9777 5.1.3.
fn decode(code: u16) -> u32 {
    let code = u32::from(code);
    if code < 0x8000 { code } else { (code & 0x0fff | 0x1000) << ((code >> 12 & 0x07) + 3) }
}

impl From<QueryInvalid> for MldError {
    fn from(_: QueryInvalid) -> Self {
        Self::QueryInvalid
    }
}

/// The checksum of `message` in a packet from `src` to `dst`; of one that has it right, 0.
// RFC 4443 2.3, RFC 8200 8.1: with a pseudo-header.
fn checksum(src: Ipv6Addr, dst: Ipv6Addr, message: &[u8]) -> u16 {
    Sum::pseudo_v6(src, dst, NEXT_HEADER_ICMPV6, u16::try_from(message.len()).unwrap_or(u16::MAX))
        .add_bytes(message)
        .finish()
}

/// Appends a version 2 report of `records`, at most 65535, of a packet from `src` to `dst` to `out`.
pub fn emit_report_v2<'a>(
    src: Ipv6Addr,
    dst: Ipv6Addr,
    records: impl IntoIterator<Item = RecordRepr<'a, V6>>,
    out: &mut Vec<u8>,
) {
    let start = out.len();
    gmp::emit_report(REPORT_V2, records, out);
    gmp::seal(out, start, |message| checksum(src, dst, message));
}

/// A host's message of version 1: 24 bytes about one group.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum Short {
    /// A report. RFC 2710 3.1.
    Report = REPORT_V1,
    /// A leave. RFC 2710 3.1.
    Done = DONE_V1,
}

/// Appends the message `kind` about `group`, of a packet from `src` to `dst`, to `out`.
// L02, RFC 2710 3: no Maximum Response Delay but in a query.
pub fn emit_short(kind: Short, group: Group<V6>, src: Ipv6Addr, dst: Ipv6Addr, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend([kind as u8, 0, 0, 0, 0, 0, 0, 0]);
    out.extend(group.addr().octets());
    gmp::seal(out, start, |message| checksum(src, dst, message));
}

#[cfg(test)]
mod tests;
