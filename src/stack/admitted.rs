//! A [`SourceFilter`] as a worker asks it: small, and in one place with what it is for.

use super::membership::SourceFilter;
use crate::addr::Family;

/// Which sources of a group are admitted.
// U16, RFC 9776 3.1: a filter mode with a source list. Of a source-specific group, most lists have one source.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Admitted<F: Family>(Sources<F::Addr>);

/// What there is to be asked. A list is in order, and never empty if it excludes.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Sources<A> {
    Any,
    Only(A),
    Include(Box<[A]>),
    Exclude(Box<[A]>),
}

impl<F: Family> From<&SourceFilter<F>> for Admitted<F> {
    fn from(filter: &SourceFilter<F>) -> Self {
        let sources: Box<[F::Addr]> = filter.sources().iter().copied().collect();
        Self(match (filter, &*sources) {
            (SourceFilter::Include(_), [only]) => Sources::Only(*only),
            (SourceFilter::Include(_), _) => Sources::Include(sources),
            (SourceFilter::Exclude(_), []) => Sources::Any,
            (SourceFilter::Exclude(_), _) => Sources::Exclude(sources),
        })
    }
}

impl<F: Family> Admitted<F> {
    /// Whether a datagram from `source` is.
    #[inline]
    #[must_use]
    pub fn allows(&self, source: F::Addr) -> bool {
        match &self.0 {
            Sources::Any => true,
            Sources::Only(only) => *only == source,
            Sources::Include(wanted) => wanted.binary_search(&source).is_ok(),
            Sources::Exclude(blocked) => blocked.binary_search(&source).is_err(),
        }
    }

    /// Whether none is.
    #[must_use]
    pub fn is_none(&self) -> bool {
        matches!(&self.0, Sources::Include(wanted) if wanted.is_empty())
    }

    /// Of a list, what is compared first.
    #[inline]
    #[must_use]
    pub fn middle(&self) -> Option<&F::Addr> {
        match &self.0 {
            Sources::Any | Sources::Only(_) => None,
            Sources::Include(list) | Sources::Exclude(list) => list.get(list.len() / 2),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::gmp::test_family::{TestFamily, exclude, for_both_families, include};

    // U16, RFC 9776 3.1: of every mode and length of list.
    fn it_admits_what_the_filter_allows<F: TestFamily>() {
        for list in [&[][..], &[3], &[2, 5], &[1, 2, 3, 5, 8]] {
            for filter in [include::<F>(list), exclude(list)] {
                let admitted = Admitted::from(&filter);
                assert_eq!(admitted.is_none(), filter.is_none(), "{filter}");
                for n in 0..10 {
                    assert_eq!(
                        admitted.allows(F::source(n)),
                        filter.allows(F::source(n)),
                        "{filter} and {n}"
                    );
                }
            }
        }
    }

    for_both_families!(it_admits_what_the_filter_allows);
}
