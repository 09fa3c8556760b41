//! Prefixes: where routes lead.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

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

    /// How many addresses are in it; more than a `u32` holds are as many as it holds.
    #[must_use]
    pub fn size(self) -> u32 {
        1u32.checked_shl(u32::from(F::BITS - self.len)).unwrap_or(u32::MAX)
    }

    /// Its address number `n`, from 0 on, if it is in it.
    #[must_use]
    pub fn nth(self, n: u32) -> Option<F::Addr> {
        let addr = match self.network.into() {
            IpAddr::V4(addr) => Ipv4Addr::from_bits(addr.to_bits().checked_add(n)?).into(),
            IpAddr::V6(addr) => Ipv6Addr::from_bits(addr.to_bits().checked_add(n.into())?).into(),
        };
        F::of_ip(addr).filter(|addr| self.contains(*addr))
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
    fn a_prefix_counts_and_numbers_its_addresses() {
        let v4 = Prefix::<V4>::new("239.1.0.0".parse().unwrap(), 30).unwrap();
        let all: Vec<_> = (0..v4.size()).map(|n| v4.nth(n).unwrap().to_string()).collect();
        assert_eq!(all, ["239.1.0.0", "239.1.0.1", "239.1.0.2", "239.1.0.3"]);
        assert_eq!(v4.nth(4), None);
        let v6 = Prefix::<V6>::new("ff0e::fffe".parse().unwrap(), 127).unwrap();
        assert_eq!((v6.size(), v6.nth(1)), (2, "ff0e::ffff".parse().ok()));
        assert_eq!(v6.nth(2), None);
        let large = Prefix::<V6>::new("ff0e::".parse().unwrap(), 16).unwrap();
        assert_eq!((large.size(), large.nth(9)), (u32::MAX, "ff0e::9".parse().ok()));
        let every = Prefix::<V4>::new("0.0.0.0".parse().unwrap(), 0).unwrap();
        assert_eq!(every.size(), u32::MAX);
        let last = Prefix::<V4>::new("255.255.255.254".parse().unwrap(), 31).unwrap();
        assert_eq!((last.nth(1), last.nth(2)), (Some("255.255.255.255".parse().unwrap()), None));
    }

    #[test]
    fn the_network_of_an_address_is_a_prefix() {
        let of = |s: &str, len| Prefix::<V4>::of(s.parse().unwrap(), len).to_string();
        assert_eq!(of("198.18.7.9", 24), "198.18.7.0/24");
        assert_eq!(of("198.18.7.9", 0), "0.0.0.0/0");
        assert_eq!(of("198.18.7.9", 40), "198.18.7.9/32");
    }
}
