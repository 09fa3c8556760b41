//! What IGMPv3 and MLDv2 messages have in common: queries, Group Records and the lists of sources in both.
//!
//! RFC 9777 took the drawings of RFC 9776 over for longer addresses. The messages themselves, with their types, lengths
//! and checksums, are [`igmp`](super::igmp) and [`mld`](super::mld). "GMP" is RFC 4604's word for both protocols.

use core::marker::PhantomData;
use core::mem::size_of;
use core::time::Duration;

use crate::addr::{Family, Group};

/// A version of either protocol.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Version {
    /// IGMPv1 (RFC 1112), MLDv1 (RFC 2710).
    V1,
    /// IGMPv2 (RFC 2236), MLDv2 (RFC 9777).
    V2,
    /// IGMPv3 (RFC 9776); MLD has no third.
    V3,
}

impl Version {
    /// Its number.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::V1 => 1,
            Self::V2 => 2,
            Self::V3 => 3,
        }
    }
}

/// A query.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Query<'a, F: Family> {
    /// Of which version, by its length (and IGMP's, by its code).
    pub version: Version,
    /// The time within which an answer is wanted; zero means now.
    pub max_response: Duration,
    /// The group; none for a General Query.
    pub group: Option<Group<F>>,
    /// The sources; none unless IGMPv3 or MLDv2, and none without a group.
    pub sources: Addresses<'a, F>,
    /// What the querier says of itself, of IGMPv3 and MLDv2.
    pub querier: Option<Querier>,
}

/// What a querier says of itself. RFC 9776 4.1.5 to 4.1.7, RFC 9777 5.1.7 to 5.1.9.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Querier {
    /// The S flag: other routers shall not touch their timers.
    pub suppress: bool,
    /// The QRV field: its Robustness Variable, or 0 if that does not fit.
    pub robustness: u8,
    /// The Query Interval of the QQIC field.
    pub query_interval: Duration,
}

/// A query with sources and no group, a source list cut short, or a group that is none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct QueryInvalid;

impl<'a, F: Family> Query<'a, F> {
    /// A query of a version that knows no sources.
    pub(super) const fn old(version: Version, max_response: Duration, group: Option<Group<F>>) -> Self {
        Self { version, max_response, group, sources: Addresses::NONE, querier: None }
    }

    /// A query of the newest version: `middle` is what stands between the group and the sources, `rest` what follows.
    pub(super) fn new(
        version: Version,
        max_response: Duration,
        group: F::Addr,
        middle: [u8; 4],
        rest: &'a [u8],
    ) -> Result<Self, QueryInvalid> {
        let [flags, qqic, hi, lo] = middle;
        let group = query_group(group)?;
        // G22, RFC 9776 4.1.8; L13, L14, RFC 9777 5.1.10: the number of sources is bounded by what is there. More than it
        // names is no list.
        let (sources, _) = Addresses::split(rest, u16::from_be_bytes([hi, lo])).ok_or(QueryInvalid)?;
        if group.is_none() && !sources.is_empty() {
            return Err(QueryInvalid);
        }
        let querier = Querier {
            suppress: flags & 0x08 != 0,
            robustness: flags & 0x07,
            query_interval: Duration::from_secs(decode(qqic).into()),
        };
        Ok(Self { version, max_response, group, sources, querier: Some(querier) })
    }
}

/// The group of a query, none if it is zero.
// G22, RFC 9776 4.1.3, RFC 9777 5.1.5: anything else must be a group.
pub(super) fn query_group<F: Family>(addr: F::Addr) -> Result<Option<Group<F>>, QueryInvalid> {
    if addr == F::UNSPECIFIED {
        return Ok(None);
    }
    Group::new(addr).map(Some).ok_or(QueryInvalid)
}

/// The value of a QQIC, or of IGMP's Max Resp Code: below 128 itself, from there on a float of 4 bits and 3 of exponent.
// G13, G23, RFC 9776 4.1.1 and 4.1.7, RFC 9777 5.1.9.
pub(super) fn decode(code: u8) -> u32 {
    let code = u32::from(code);
    if code < 0x80 { code } else { (code & 0x0f | 0x10) << ((code >> 4 & 0x07) + 3) }
}

/// A list of addresses in a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Addresses<'a, F: Family> {
    /// As many bytes as whole addresses have.
    bytes: &'a [u8],
    family: PhantomData<F>,
}

impl<'a, F: Family> Addresses<'a, F> {
    /// An empty list.
    pub(super) const NONE: Self = Self { bytes: &[], family: PhantomData };

    /// The first `count` addresses of `bytes` and what follows them, if there are as many.
    fn split(bytes: &'a [u8], count: u16) -> Option<(Self, &'a [u8])> {
        let (bytes, rest) = bytes.split_at_checked(usize::from(count) * size_of::<F::Octets>())?;
        Some((Self { bytes, family: PhantomData }, rest))
    }

    /// How many there are.
    #[must_use]
    pub const fn len(self) -> usize {
        self.bytes.len() / size_of::<F::Octets>()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.bytes.is_empty()
    }

    /// The addresses, in the order of the message.
    pub fn iter(self) -> impl ExactSizeIterator<Item = F::Addr> + 'a {
        self.bytes
            .chunks_exact(size_of::<F::Octets>())
            // Every chunk is an address.
            .map(|octets| read::<F>(octets).unwrap_or(F::UNSPECIFIED))
    }
}

/// The address in these bytes, if they are as many as one has.
fn read<F: Family>(octets: &[u8]) -> Option<F::Addr> {
    F::Octets::try_from(octets).ok().map(F::from_octets)
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

/// The bytes of a report before its records: type, reserved, checksum, reserved, number of records.
pub const REPORT_HEADER_LEN: usize = 8;

/// The bytes of a Group Record before its group: type, length of auxiliary data, number of sources.
const RECORD_HEAD: usize = 4;

/// A report of IGMPv3 or MLDv2: its Group Records.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Report<'a, F: Family> {
    count: u16,
    bytes: &'a [u8],
    family: PhantomData<F>,
}

/// A Group Record of a report.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Record<'a, F: Family> {
    /// What it says.
    pub kind: RecordKind,
    /// The group.
    pub group: Group<F>,
    /// The sources.
    pub sources: Addresses<'a, F>,
}

impl<'a, F: Family> Report<'a, F> {
    /// Reads a report, its header included, if as many records as it names are there.
    // L13, RFC 9777 5.2.10: what follows the last of them counts for the checksum only.
    pub(super) fn parse(report: &'a [u8]) -> Option<Self> {
        let (header, bytes) = report.split_first_chunk::<REPORT_HEADER_LEN>()?;
        let [.., hi, lo] = *header;
        let count = u16::from_be_bytes([hi, lo]);
        let report = Self { count, bytes, family: PhantomData };
        (report.raw().count() == usize::from(count)).then_some(report)
    }

    /// The records, as far as they are there: kind, group, sources.
    // L13, G22: the number of sources is bounded by what is there.
    fn raw(self) -> impl Iterator<Item = (u8, F::Addr, Addresses<'a, F>)> {
        let mut bytes = self.bytes;
        (0..self.count).map_while(move |_| {
            let (head, rest) = bytes.split_first_chunk::<RECORD_HEAD>()?;
            let [kind, aux_words, hi, lo] = *head;
            let (group, rest) = rest.split_at_checked(size_of::<F::Octets>())?;
            let (sources, rest) = Addresses::split(rest, u16::from_be_bytes([hi, lo]))?;
            // G34, RFC 9776 4.2.6, RFC 9777 5.2.6: auxiliary data is stepped over.
            bytes = rest.get(usize::from(aux_words) * 4..)?;
            Some((kind, read::<F>(group)?, sources))
        })
    }

    /// The records, without those of a kind that is unknown or of a group that is none.
    // G34, RFC 9776 4.2.12, RFC 9777 5.2.12: unrecognised record types are silently ignored.
    pub fn records(self) -> impl Iterator<Item = Record<'a, F>> {
        self.raw().filter_map(|(kind, group, sources)| {
            Some(Record { kind: RecordKind::from_wire(kind)?, group: Group::new(group)?, sources })
        })
    }
}

/// A Group Record to be written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RecordRepr<'a, F: Family> {
    /// What it says.
    pub kind: RecordKind,
    /// The group.
    pub group: Group<F>,
    /// The sources, at most 65535.
    pub sources: &'a [F::Addr],
}

/// Appends a report of type `kind` and of `records`, at most 65535, to `out`, without its checksum.
// G34, RFC 9776 4.2.2 to 4.2.11, RFC 9777 5.2.1 to 5.2.11: nothing reserved is set, no auxiliary data, no octet beyond the
// last record.
pub(super) fn emit_report<'a, F: Family>(
    kind: u8,
    records: impl IntoIterator<Item = RecordRepr<'a, F>>,
    out: &mut Vec<u8>,
) {
    let start = out.len();
    out.extend([kind, 0, 0, 0, 0, 0, 0, 0]);
    let mut count: u16 = 0;
    for RecordRepr { kind, group, sources } in records.into_iter().take(u16::MAX.into()) {
        let sources = sources.get(..u16::MAX.into()).unwrap_or(sources);
        let [hi, lo] = u16::try_from(sources.len()).unwrap_or(u16::MAX).to_be_bytes();
        out.extend([kind.to_wire(), 0, hi, lo]);
        out.extend(F::octets(group.addr()).as_ref());
        sources.iter().for_each(|source| out.extend(F::octets(*source).as_ref()));
        count += 1;
    }
    if let Some(bytes) = out.get_mut(start + 6..start + 8) {
        bytes.copy_from_slice(&count.to_be_bytes());
    }
}

/// Writes the checksum of the message that begins at `start` of `out`, of which `checksum` is the sum.
pub(super) fn seal(out: &mut [u8], start: usize, checksum: impl FnOnce(&[u8]) -> u16) {
    let sum = checksum(out.get(start..).unwrap_or_default());
    if let Some(bytes) = out.get_mut(start + 2..start + 4) {
        bytes.copy_from_slice(&sum.to_be_bytes());
    }
}
