//! Which sources of a group are wanted.

use core::fmt;
use std::collections::BTreeSet;

use crate::addr::Family;

/// A filter mode with its source list: RFC 9776 3.1 and 3.2.
///
/// "Not a member" is [`NONE`](Self::NONE), INCLUDE of nothing: the RFC has no third state and neither has this type.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum SourceFilter<F: Family> {
    /// Only these sources.
    Include(BTreeSet<F::Addr>),
    /// Every source but these.
    Exclude(BTreeSet<F::Addr>),
}

impl<F: Family> SourceFilter<F> {
    /// INCLUDE {}: nothing is wanted; not a member.
    // G26, RFC 9776 5.1: no state is the state INCLUDE {}.
    pub const NONE: Self = Self::Include(BTreeSet::new());

    /// EXCLUDE {}: any source is wanted.
    pub const ANY: Self = Self::Exclude(BTreeSet::new());

    /// Whether nothing is wanted.
    #[must_use]
    pub fn is_none(&self) -> bool {
        matches!(self, Self::Include(sources) if sources.is_empty())
    }

    /// Whether a datagram from `source` is wanted.
    #[must_use]
    pub fn allows(&self, source: F::Addr) -> bool {
        match self {
            Self::Include(wanted) => wanted.contains(&source),
            Self::Exclude(blocked) => !blocked.contains(&source),
        }
    }

    /// The source list, whatever the mode says of it.
    #[must_use]
    pub const fn sources(&self) -> &BTreeSet<F::Addr> {
        match self {
            Self::Include(sources) | Self::Exclude(sources) => sources,
        }
    }

    /// `include` or `exclude`.
    #[must_use]
    pub const fn mode_name(&self) -> &'static str {
        match self {
            Self::Include(_) => "include",
            Self::Exclude(_) => "exclude",
        }
    }

    /// Whether `other` lets everything pass that this does.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Include(mine), Self::Include(theirs)) => mine.is_subset(theirs),
            (Self::Include(mine), Self::Exclude(blocked)) => mine.is_disjoint(blocked),
            // There is always one more source.
            (Self::Exclude(_), Self::Include(_)) => false,
            (Self::Exclude(mine), Self::Exclude(theirs)) => theirs.is_subset(mine),
        }
    }

    /// What an interface must receive so that each of `filters` gets what it wants.
    ///
    /// G30, RFC 9776 3.2: if any excludes, EXCLUDE(what all of them exclude, less what anyone includes); otherwise
    /// INCLUDE(what anyone includes). Of no filters at all: [`NONE`](Self::NONE).
    #[must_use]
    pub fn merge<'a>(filters: impl IntoIterator<Item = &'a Self>) -> Self {
        let mut included = BTreeSet::new();
        let mut excluded: Option<BTreeSet<F::Addr>> = None;
        for filter in filters {
            match filter {
                Self::Include(wanted) => included.extend(wanted),
                Self::Exclude(blocked) => match &mut excluded {
                    None => excluded = Some(blocked.clone()),
                    Some(common) => common.retain(|source| blocked.contains(source)),
                },
            }
        }
        match excluded {
            None => Self::Include(included),
            Some(common) => Self::Exclude(&common - &included),
        }
    }
}

impl<F: Family> Default for SourceFilter<F> {
    fn default() -> Self {
        Self::NONE
    }
}

impl<F: Family> fmt::Debug for SourceFilter<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<F: Family> fmt::Display for SourceFilter<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mode = match self {
            Self::Include(_) => "INCLUDE",
            Self::Exclude(_) => "EXCLUDE",
        };
        write!(f, "{mode} {{")?;
        for (i, source) in self.sources().iter().enumerate() {
            write!(f, "{}{source}", if i == 0 { "" } else { ", " })?;
        }
        f.write_str("}")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::stack::gmp::test_family::{TestFamily, exclude, for_both_families, include};

    // G30, RFC 9776 3.2: the two worked examples of the section.
    fn the_examples_of_section_3_2<F: TestFamily>() {
        // s1: EXCLUDE {a, b, c, d}; s2: EXCLUDE {b, c, d, e}; s3: INCLUDE {d, e, f} -> EXCLUDE {b, c}
        let (a, b, c, d, e, f) = (1, 2, 3, 4, 5, 6);
        let sockets: [SourceFilter<F>; 3] =
            [exclude(&[a, b, c, d]), exclude(&[b, c, d, e]), include(&[d, e, f])];
        assert_eq!(SourceFilter::merge(&sockets), exclude(&[b, c]));
        // s1: INCLUDE {a, b, c}; s2: INCLUDE {b, c, d}; s3: INCLUDE {e, f} -> INCLUDE {a, b, c, d, e, f}
        let sockets: [SourceFilter<F>; 3] = [include(&[a, b, c]), include(&[b, c, d]), include(&[e, f])];
        assert_eq!(SourceFilter::merge(&sockets), include(&[a, b, c, d, e, f]));
    }

    // G30, RFC 9776 3.2.
    fn merges_at_the_edges<F: TestFamily>() {
        type Case<'a, F> = (&'a [SourceFilter<F>], SourceFilter<F>);
        let cases: [Case<'_, F>; 6] = [
            (&[], SourceFilter::NONE),
            (&[include(&[])], SourceFilter::NONE),
            (&[include(&[]), exclude(&[])], SourceFilter::ANY),
            (&[exclude(&[2]), include(&[2])], SourceFilter::ANY),
            (&[exclude(&[1]), exclude(&[2])], SourceFilter::ANY),
            (&[exclude(&[1, 2]), exclude(&[1, 2]), include(&[3])], exclude(&[1, 2])),
        ];
        for (filters, merged) in cases {
            assert_eq!(SourceFilter::merge(filters), merged, "{filters:?}");
        }
    }

    // RFC 9776 3.1.
    fn a_filter_allows_what_its_mode_says<F: TestFamily>() {
        assert!(!SourceFilter::<F>::NONE.allows(F::source(1)));
        assert!(SourceFilter::<F>::ANY.allows(F::source(1)));
        assert!(include::<F>(&[1]).allows(F::source(1)) && !include::<F>(&[1]).allows(F::source(2)));
        assert!(!exclude::<F>(&[1]).allows(F::source(1)) && exclude::<F>(&[1]).allows(F::source(2)));
        assert!(SourceFilter::<F>::NONE.is_none() && !SourceFilter::<F>::ANY.is_none());
        assert_eq!(SourceFilter::<F>::default(), SourceFilter::NONE);
    }

    for_both_families!(the_examples_of_section_3_2, merges_at_the_edges, a_filter_allows_what_its_mode_says);

    proptest! {
        /// The interface receives a source exactly if someone wants it: what the section is for.
        #[test]
        fn a_merge_allows_exactly_what_someone_allows(
            filters in prop::collection::vec((any::<bool>(), prop::collection::vec(0u8..6, 0..5)), 0..5)
        ) {
            let filters: Vec<SourceFilter<crate::addr::V4>> =
                filters.iter().map(|(ex, s)| if *ex { exclude(s) } else { include(s) }).collect();
            let merged = SourceFilter::merge(&filters);
            for n in 0..8 {
                let source = <crate::addr::V4 as TestFamily>::source(n);
                prop_assert_eq!(merged.allows(source), filters.iter().any(|f| f.allows(source)));
            }
        }
    }
}
