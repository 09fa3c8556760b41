//! Prefixes: where routes lead.

use core::fmt;

use super::Family;

/// A network: an address whose bits beyond the prefix length are 0, and that length.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Prefix<F: Family> {
    network: F::Addr,
    len: u8,
}

impl<F: Family> Prefix<F> {
    /// `network/len`, if `len` is no more bits than an address has, and no bit beyond it is set.
    #[must_use]
    pub fn new(network: F::Addr, len: u8) -> Option<Self> {
        let fits = len <= F::BITS && F::network(network, len) == network;
        fits.then_some(Self { network, len })
    }

    /// The network that `addr` is in by a prefix of `len` bits; more than an address has are as many as it has.
    #[must_use]
    pub fn of(addr: F::Addr, len: u8) -> Self {
        let len = len.min(F::BITS);
        Self { network: F::network(addr, len), len }
    }

    /// The address of the network.
    #[must_use]
    pub const fn network(self) -> F::Addr {
        self.network
    }

    /// Its length in bits.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "the length of a prefix is no count of things")]
    pub const fn len(self) -> u8 {
        self.len
    }

    /// Whether `addr` is in it.
    #[inline]
    #[must_use]
    pub fn contains(self, addr: F::Addr) -> bool {
        F::common_bits(self.network, addr) >= self.len
    }
}

impl<F: Family> fmt::Display for Prefix<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network, self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::{V4, V6};

    #[test]
    fn a_prefix_has_no_bits_beyond_its_length() {
        let v4 = |s: &str, len| Prefix::<V4>::new(s.parse().unwrap(), len);
        assert_eq!(v4("10.0.0.0", 8).unwrap().to_string(), "10.0.0.0/8");
        assert!(v4("0.0.0.0", 0).unwrap().contains("203.0.113.9".parse().unwrap()));
        assert!(v4("198.18.0.1", 32).is_some() && v4("198.18.0.2", 31).is_some());
        assert!(v4("10.1.0.0", 8).is_none() && v4("198.18.0.1", 31).is_none() && v4("0.0.0.0", 33).is_none());
        let v6 = |s: &str, len| Prefix::<V6>::new(s.parse().unwrap(), len);
        assert!(v6("2001:db8::", 32).unwrap().contains("2001:db8:1::1".parse().unwrap()));
        assert!(!v6("2001:db8::", 32).unwrap().contains("2001:db9::1".parse().unwrap()));
        assert!(v6("2001:db8::1", 64).is_none() && v6("::", 129).is_none());
    }

    #[test]
    fn the_network_of_an_address_is_a_prefix() {
        let of = |s: &str, len| Prefix::<V4>::of(s.parse().unwrap(), len).to_string();
        assert_eq!(of("198.18.7.9", 24), "198.18.7.0/24");
        assert_eq!(of("198.18.7.9", 0), "0.0.0.0/0");
        assert_eq!(of("198.18.7.9", 40), "198.18.7.9/32");
    }
}
