//! Group management: telling routers which groups this interface wants.
//!
//! IGMP and MLD differ in their packets and agree in their behaviour, so there is one machine per *generation* ([`v1`]:
//! IGMPv1, IGMPv2 and MLDv1; [`v2`]: IGMPv3 and MLDv2), one choice of which of them speaks ([`Gmp`]), and one file per
//! [`Format`] ([`igmp`], [`mld`]: what they say, as frames, and what they hear). "GMP" is RFC 4604's word for both.
//!
//! Nothing here sends, sleeps or draws lots: changes and queries go in, reports and the next deadline come out; time and
//! chance are arguments. Not here: who asked for a group ([`membership`](super::membership)), which MACs the NIC passes
//! ([`io`](crate::io)), the bytes ([`wire`](crate::wire)).
//!
//! ```
//! use pollcast::addr::{Group, V4};
//! use pollcast::rng::Rng;
//! use pollcast::stack::gmp::{RecordKind, v2::Host};
//! use pollcast::stack::membership::SourceFilter;
//! use pollcast::time::Instant;
//!
//! let (mut host, mut rng, now) = (Host::<V4>::new(1468), Rng::new(1), Instant::ZERO);
//! host.set_filter(now, Group::new("239.1.2.3".parse().unwrap()).unwrap(), SourceFilter::ANY);
//! let report = host.poll_transmit(now, &mut rng).unwrap();
//! assert_eq!(report.records[0].kind, RecordKind::ChangeToExclude);
//! assert!(host.poll_timeout().is_some(), "it will be repeated");
//! ```

mod compat;
pub mod igmp;
mod interface;
pub mod mld;
mod report;
pub mod v1;
pub mod v2;

use core::time::Duration;
use std::collections::BTreeSet;

pub use compat::OlderQueriers;
pub use interface::{Gmp, HeardQuerier, Packet, Status};
use report::Packer;
pub use report::Report;

use super::source_filter::SourceFilter;
use crate::addr::{Family, Group, MacAddr, Unicast};
use crate::io::DropReason;
use crate::time::Instant;
use crate::wire::gmp;
pub use crate::wire::gmp::{RecordKind, Version};

/// What IGMP and MLD do differently.
pub trait Format: Family {
    /// What a configuration chooses of it.
    type Policy: Copy + Eq + core::fmt::Debug + Default + Send + Sync;

    /// The version of the machine of generation 2.
    const NEWEST: Version;

    /// How a message that says nothing to this host is counted.
    const UNWANTED: DropReason;

    /// How a packet is counted that carries no whole message.
    const TRUNCATED: DropReason;

    /// Where in a query of the newest version the number of its sources stands.
    const NUMBER_OF_SOURCES: core::ops::Range<usize>;

    /// How a message is counted that asks for what is already going to be answered.
    const REPEATED: DropReason;

    /// What `policy` chooses of what both protocols have.
    fn choices(policy: &Self::Policy) -> Choices;

    /// Whether an older `version` has leaves.
    fn says_leave(version: Version) -> bool;

    /// For how long after a query of an older version, which named `max_response`, its querier is taken to be there: the
    /// Older Version Querier Present Timeout, by the host's own variables.
    fn older_present_for(robustness: u8, query_interval: Duration, max_response: Duration) -> Duration;

    /// How many bytes of records a report may hold if the largest IP packet has `mtu` bytes.
    fn room(mtu: u16) -> usize;

    /// The packet in `frame` that carries a message, and where in the frame that begins; none if it is not whole. Ingress has
    /// found it to be one.
    fn packet(frame: &[u8]) -> Option<(usize, Packet<'_, Self>)>;

    /// What `packet` says to a host.
    ///
    /// # Errors
    ///
    /// Why it is of no use to any.
    fn read<'a>(packet: &Packet<'a, Self>) -> Result<Heard<'a, Self>, DropReason>;

    /// Why a host that follows `policy` does not listen to `query`, if it does not.
    fn refuses(
        policy: &Self::Policy,
        packet: &Packet<'_, Self>,
        query: &gmp::Query<'_, Self>,
    ) -> Option<DropReason>;

    /// Writes a report of the newest version as a frame in place of what `out` holds.
    fn emit_report(report: &Report<Self>, from: Sender<Self>, out: &mut Vec<u8>);

    /// Writes a message of an older version as a frame in place of what `out` holds.
    fn emit_older(message: v1::Message<Self>, version: Version, from: Sender<Self>, out: &mut Vec<u8>);
}

/// What a configuration chooses of either protocol.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Choices {
    /// The version that is spoken, whatever queriers speak.
    pub version: Option<Version>,
    /// How often a change is told, whatever queriers say.
    pub robustness: Option<u8>,
    /// The time between General Queries, as long as no querier says otherwise.
    pub query_interval: Duration,
}

/// What a message says to a host.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Heard<'a, F: Family> {
    /// A router asks.
    Query(gmp::Query<'a, F>),
    /// Another host reports a group, in an older version.
    Report(Group<F>),
}

/// Whom frames are from: the interface's Ethernet address, and the address that it speaks from if it has one.
#[derive(Clone, Copy, Debug)]
pub struct Sender<F: Family> {
    /// The Ethernet address.
    pub mac: MacAddr,
    /// The IP address: in IPv6, a link-local one.
    pub addr: Option<Unicast<F>>,
}

/// What a router asks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Query<F: Family> {
    /// Of which groups.
    pub scope: Scope<F>,
    /// The time within which it wants its answer.
    pub max_response: Duration,
    /// What it says of itself; queries of generation 1 say nothing.
    pub querier: Option<Querier>,
}

/// Of which groups, and sources, a query asks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Scope<F: Family> {
    /// A General Query: of all.
    General,
    /// A Group-Specific Query.
    Group(Group<F>),
    /// A Group-and-Source-Specific Query; the sources are not empty.
    GroupAndSources(Group<F>, BTreeSet<F::Addr>),
}

/// The querier's variables, as its query carries them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Querier {
    /// The Robustness Variable; 0 if it does not fit its field.
    pub robustness: u8,
    /// The Query Interval; zero if it does not say.
    pub interval: Duration,
}

/// The machine's view of a query.
fn query_of<F: Family>(query: &gmp::Query<'_, F>) -> Query<F> {
    let scope = match query.group {
        None => Scope::General,
        Some(group) if query.sources.is_empty() => Scope::Group(group),
        Some(group) => Scope::GroupAndSources(group, query.sources.iter().collect()),
    };
    let querier = query.querier.map(|q| Querier { robustness: q.robustness, interval: q.query_interval });
    Query { scope, max_response: query.max_response, querier }
}

/// What a machine is still to say. For people to see.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Pending {
    /// When the next report of an answer to a General Query is due, if there is one.
    pub general: Option<Instant>,
    /// Answers to queries of single groups.
    pub groups: usize,
    /// Groups of which a change is to be told, or told again.
    pub changes: usize,
}

/// One Group Record: what a report says of one group. RFC 9776 4.2.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record<F: Family> {
    /// What is said of the sources.
    pub kind: RecordKind,
    /// The group.
    pub group: Group<F>,
    /// The sources, sorted.
    pub sources: Vec<F::Addr>,
}

impl<F: Family> Record<F> {
    /// A record of `group`.
    fn new(kind: RecordKind, group: Group<F>, sources: impl IntoIterator<Item = F::Addr>) -> Self {
        Self { kind, group, sources: sources.into_iter().collect() }
    }

    /// The Current-State Record of `group`: its filter mode and its whole source list.
    fn current_state(group: Group<F>, filter: &SourceFilter<F>) -> Self {
        let kind = match filter {
            SourceFilter::Include(_) => RecordKind::ModeIsInclude,
            SourceFilter::Exclude(_) => RecordKind::ModeIsExclude,
        };
        Self::new(kind, group, filter.sources().iter().copied())
    }

    /// The Filter-Mode-Change Record of `group`: its filter mode and its whole source list.
    fn filter_mode_change(group: Group<F>, filter: &SourceFilter<F>) -> Self {
        let kind = match filter {
            SourceFilter::Include(_) => RecordKind::ChangeToInclude,
            SourceFilter::Exclude(_) => RecordKind::ChangeToExclude,
        };
        Self::new(kind, group, filter.sources().iter().copied())
    }

    /// The Source-List-Change Records of `group`, without those that would be empty.
    // G27, RFC 9776 5.1: an empty ALLOW or BLOCK is omitted.
    fn source_list_change(
        group: Group<F>,
        allow: impl IntoIterator<Item = F::Addr>,
        block: impl IntoIterator<Item = F::Addr>,
    ) -> Vec<Self> {
        let mut records = vec![
            Self::new(RecordKind::AllowNewSources, group, allow),
            Self::new(RecordKind::BlockOldSources, group, block),
        ];
        records.retain(|record| !record.sources.is_empty());
        records
    }
}

/// The records that tell a router of the change from `old` to `new`: the table of RFC 9776 5.1.
// G25, G26, G27, RFC 9776 5.1.
#[must_use]
pub fn state_change<F: Family>(
    group: Group<F>,
    old: &SourceFilter<F>,
    new: &SourceFilter<F>,
) -> Vec<Record<F>> {
    match (old, new) {
        (SourceFilter::Include(a), SourceFilter::Include(b)) => {
            Record::source_list_change(group, b - a, a - b)
        }
        (SourceFilter::Exclude(a), SourceFilter::Exclude(b)) => {
            Record::source_list_change(group, a - b, b - a)
        }
        (SourceFilter::Include(_), SourceFilter::Exclude(_))
        | (SourceFilter::Exclude(_), SourceFilter::Include(_)) => {
            vec![Record::filter_mode_change(group, new)]
        }
    }
}

#[cfg(test)]
mod link_tests;
#[cfg(test)]
pub(crate) mod test_family;

#[cfg(test)]
mod tests {
    use super::RecordKind::{AllowNewSources, BlockOldSources, ChangeToExclude, ChangeToInclude};
    use super::test_family::{TestFamily, exclude, for_both_families, include};
    use super::*;

    // G25, G26, G27, RFC 9776 5.1: the table of state-change records, each line with lists that overlap, and the edges.
    fn the_state_change_table_of_section_5_1<F: TestFamily>() {
        type Expected<'a> = &'a [(RecordKind, &'a [u8])];
        let in_ = include::<F>;
        let ex = exclude::<F>;
        let cases: [(SourceFilter<F>, SourceFilter<F>, Expected<'_>); 13] = [
            // INCLUDE (A) -> INCLUDE (B): ALLOW (B-A), BLOCK (A-B)
            (in_(&[1, 2]), in_(&[2, 3]), &[(AllowNewSources, &[3]), (BlockOldSources, &[1])]),
            (in_(&[1]), in_(&[1, 2]), &[(AllowNewSources, &[2])]),
            (in_(&[1, 2]), in_(&[1]), &[(BlockOldSources, &[2])]),
            (in_(&[1]), in_(&[1]), &[]),
            // EXCLUDE (A) -> EXCLUDE (B): ALLOW (A-B), BLOCK (B-A)
            (ex(&[1, 2]), ex(&[2, 3]), &[(AllowNewSources, &[1]), (BlockOldSources, &[3])]),
            (ex(&[1]), ex(&[]), &[(AllowNewSources, &[1])]),
            (ex(&[]), ex(&[]), &[]),
            // INCLUDE (A) -> EXCLUDE (B): TO_EX (B)
            (in_(&[1, 2]), ex(&[2, 3]), &[(ChangeToExclude, &[2, 3])]),
            // EXCLUDE (A) -> INCLUDE (B): TO_IN (B)
            (ex(&[1, 2]), in_(&[2, 3]), &[(ChangeToInclude, &[2, 3])]),
            // No state is INCLUDE {}: joining and leaving any source, and one source.
            (SourceFilter::NONE, SourceFilter::ANY, &[(ChangeToExclude, &[])]),
            (SourceFilter::ANY, SourceFilter::NONE, &[(ChangeToInclude, &[])]),
            (SourceFilter::NONE, in_(&[1]), &[(AllowNewSources, &[1])]),
            (in_(&[1]), SourceFilter::NONE, &[(BlockOldSources, &[1])]),
        ];
        let group = F::group(1);
        for (old, new, expected) in cases {
            let expected: Vec<_> = expected
                .iter()
                .map(|(kind, s)| Record::new(*kind, group, s.iter().map(|n| F::source(*n))))
                .collect();
            assert_eq!(state_change(group, &old, &new), expected, "{old} -> {new}");
        }
    }

    for_both_families!(the_state_change_table_of_section_5_1);
}
