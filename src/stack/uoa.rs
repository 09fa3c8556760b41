//! The real clients behind balancers: whose word is taken for who they are, and what is remembered of it.
//!
//! A balancer (DPVS) puts the client's address only on the first packets of a flow, so that a host remembers it for the others. The
//! format is [`wire::uoa`](crate::wire::uoa)'s.

mod table;

pub use table::{Flow, Learned, Table, TableLimits};

use core::net::{IpAddr, Ipv6Addr};

use crate::addr::{Family, Prefix, V4, V6};

/// The balancers whose word is taken.
// O06: whoever could name any client as his own could be anyone. Without a prefix, nobody is believed, and UOA is off.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Trusted {
    v4: Vec<Prefix<V4>>,
    v6: Vec<Prefix<V6>>,
}

/// An IP version as balancers speak it.
pub trait Balanced: Family {
    /// The prefixes of this version.
    fn prefixes(trusted: &Trusted) -> &[Prefix<Self>];
}

impl Balanced for V4 {
    #[inline]
    fn prefixes(trusted: &Trusted) -> &[Prefix<Self>] {
        &trusted.v4
    }
}

impl Balanced for V6 {
    #[inline]
    fn prefixes(trusted: &Trusted) -> &[Prefix<Self>] {
        &trusted.v6
    }
}

impl Trusted {
    /// Those with an address in one of these.
    #[must_use]
    pub const fn new(v4: Vec<Prefix<V4>>, v6: Vec<Prefix<V6>>) -> Self {
        Self { v4, v6 }
    }

    /// Whether anyone at all is trusted.
    #[inline]
    #[must_use]
    pub const fn is_on(&self) -> bool {
        !self.v4.is_empty() || !self.v6.is_empty()
    }

    /// Whether `source` is a balancer.
    #[inline]
    #[must_use]
    pub fn trusts<F: Balanced>(&self, source: F::Addr) -> bool {
        F::prefixes(self).iter().any(|prefix| prefix.contains(source))
    }

    /// The same of an address of either version.
    #[must_use]
    pub fn trusts_ip(&self, source: IpAddr) -> bool {
        match source {
            IpAddr::V4(source) => self.trusts::<V4>(source),
            IpAddr::V6(source) => self.trusts::<V6>(source),
        }
    }
}

/// What came of the client addresses that packets were to name, since it was last asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Seen {
    /// O01, O02: they name one.
    pub named: u32,
    /// O03, O04: they name none, for they cannot be read.
    pub missed: u32,
    /// O07: they name one that no client can have.
    pub impossible: u32,
    /// O06: they are from someone who is not believed.
    pub untrusted: u32,
}

/// An address of either version as one of IPv6: IPv4's among it by RFC 4291 2.5.5.2.
#[inline]
const fn as_v6(addr: IpAddr) -> Ipv6Addr {
    match addr {
        IpAddr::V4(addr) => addr.to_ipv6_mapped(),
        IpAddr::V6(addr) => addr,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::Ipv4Addr;

    // O06: by prefix, of each IP version; without one, nobody.
    #[test]
    fn who_is_in_a_prefix_is_trusted_and_nobody_else() {
        let v4 = Prefix::new(Ipv4Addr::new(10, 0, 0, 0), 8).unwrap();
        let v6 = Prefix::new("2001:db8::".parse().unwrap(), 32).unwrap();
        let trusted = Trusted::new(vec![v4], vec![v6]);
        let is = |addr: &str| trusted.trusts_ip(addr.parse().unwrap());
        assert!(trusted.is_on() && is("10.255.0.1") && is("2001:db8:1::1"));
        assert!(!is("11.0.0.1") && !is("2001:db9::1") && !is("::ffff:10.0.0.1"));
        let nobody = Trusted::default();
        assert!(!nobody.is_on() && !nobody.trusts_ip("10.0.0.1".parse().unwrap()));
    }
}
