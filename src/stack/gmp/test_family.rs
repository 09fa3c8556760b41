//! Tests for both families by one body.

use core::net::{Ipv4Addr, Ipv6Addr};

use crate::addr::{Family, Group, V4, V6};
use crate::stack::source_filter::SourceFilter;

/// A family with numbered groups and sources.
pub(crate) trait TestFamily: Family {
    /// Group number `n`, one that is reported.
    fn group(n: u16) -> Group<Self>;

    /// Group number `n` of the source-specific range.
    fn ssm_group(n: u8) -> Group<Self>;

    /// Source number `n`.
    fn source(n: u8) -> Self::Addr {
        Self::wide_source(n.into())
    }

    /// Source number `n`.
    fn wide_source(n: u16) -> Self::Addr;
}

impl TestFamily for V4 {
    fn group(n: u16) -> Group<Self> {
        let [a, b] = n.to_be_bytes();
        Group::new(Ipv4Addr::new(239, 1, a, b)).unwrap()
    }

    fn ssm_group(n: u8) -> Group<Self> {
        Group::new(Ipv4Addr::new(232, 1, 1, n)).unwrap()
    }

    fn wide_source(n: u16) -> Ipv4Addr {
        let [a, b] = n.to_be_bytes();
        Ipv4Addr::new(198, 18, a, b)
    }
}

impl TestFamily for V6 {
    fn group(n: u16) -> Group<Self> {
        Group::new(Ipv6Addr::new(0xff05, 0, 0, 0, 0, 0, 1, n)).unwrap()
    }

    fn ssm_group(n: u8) -> Group<Self> {
        Group::new(Ipv6Addr::new(0xff35, 0, 0, 0, 0, 0, 1, n.into())).unwrap()
    }

    fn wide_source(n: u16) -> Ipv6Addr {
        Ipv6Addr::new(0x2001, 0x2, 0, 0, 0, 0, 0, n)
    }
}

/// INCLUDE of these sources.
pub(crate) fn include<F: TestFamily>(sources: &[u8]) -> SourceFilter<F> {
    SourceFilter::Include(sources.iter().map(|n| F::source(*n)).collect())
}

/// EXCLUDE of these sources.
pub(crate) fn exclude<F: TestFamily>(sources: &[u8]) -> SourceFilter<F> {
    SourceFilter::Exclude(sources.iter().map(|n| F::source(*n)).collect())
}

/// Makes each `fn name<F: TestFamily>()` a test for IPv4 and one for IPv6.
macro_rules! for_both_families {
    ($($name:ident),+ $(,)?) => {
        mod v4 { $(#[test] fn $name() { super::$name::<$crate::addr::V4>(); })+ }
        mod v6 { $(#[test] fn $name() { super::$name::<$crate::addr::V6>(); })+ }
    };
}
pub(crate) use for_both_families;
