//! Addresses, and witnesses that prove something about them.
//!
//! A [`Group`] *is* multicast, a [`Unicast`] is an address that one host may have: whoever holds one need not ask
//! again. What IPv4 and IPv6 do differently behind one name is a [`Family`].

mod prefix;
mod scope;
mod vid;

use core::fmt;
use core::hash::Hash;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::str::FromStr;

use serde::{Deserialize, Serialize};

pub use prefix::Prefix;
pub use vid::Vid;

/// An Ethernet address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct MacAddr(pub [u8; 6]);

impl MacAddr {
    /// `ff:ff:ff:ff:ff:ff`.
    pub const BROADCAST: Self = Self([0xff; 6]);

    /// Whether the group bit is set: multicast and broadcast.
    #[must_use]
    pub const fn is_group(self) -> bool {
        self.0[0] & 1 != 0
    }

    /// Whether a station may own it: not a group address, not all zeros.
    #[must_use]
    pub fn is_unicast(self) -> bool {
        !self.is_group() && self.0 != [0; 6]
    }
}

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A string that is not an Ethernet address.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not an Ethernet address: write six hexadecimal bytes with colons, as in 02:00:00:00:00:02")]
pub struct ParseMacError;

impl FromStr for MacAddr {
    type Err = ParseMacError;

    fn from_str(s: &str) -> Result<Self, ParseMacError> {
        let mut bytes = [0; 6];
        let mut parts = s.split(':');
        for byte in &mut bytes {
            let part = parts.next().ok_or(ParseMacError)?;
            if part.len() != 2 {
                return Err(ParseMacError);
            }
            *byte = u8::from_str_radix(part, 16).map_err(|_| ParseMacError)?;
        }
        if parts.next().is_some() { Err(ParseMacError) } else { Ok(Self(bytes)) }
    }
}

impl Serialize for MacAddr {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for MacAddr {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let s = String::deserialize(d)?;
        s.parse().map_err(serde::de::Error::custom)
    }
}

/// An IP version: what IPv4 and IPv6 do differently behind the same names.
pub trait Family: Copy + Eq + Ord + Hash + fmt::Debug + Send + Sync + 'static {
    /// Its addresses.
    type Addr: Copy + Eq + Ord + Hash + fmt::Debug + fmt::Display + Send + Sync + Into<IpAddr> + 'static;

    /// An address as its bytes in a packet: 4, 16 of them.
    type Octets: Copy + Eq + fmt::Debug + AsRef<[u8]> + for<'a> TryFrom<&'a [u8]> + 'static;

    /// The version in the first four bits of its header: 4, 6.
    const VERSION: u8;

    /// Bits of an address: 32, 128.
    const BITS: u8;

    /// The least that every link carries, in bytes of a packet: 68 (RFC 791 3.2), 1280 (RFC 8200 5). What claims that a path
    /// carries less is ignored.
    const MTU_MIN: u16;

    /// Whether routers fragment what their next link does not carry, unless told not to. W13, RFC 8200 5: not in IPv6.
    const ROUTERS_FRAGMENT: bool;

    /// The address of no one: `0.0.0.0`, `::`.
    const UNSPECIFIED: Self::Addr;

    /// The group of all hosts on the link: `224.0.0.1`, `ff02::1`.
    const ALL_HOSTS: Self::Addr;

    /// The bytes of `addr`, as they stand in a packet.
    fn octets(addr: Self::Addr) -> Self::Octets;

    /// The address whose bytes these are.
    fn from_octets(octets: Self::Octets) -> Self::Addr;

    /// Whether `addr` is a group address.
    fn is_multicast(addr: Self::Addr) -> bool;

    /// Whether one host may have `addr`: not a group, not unspecified, not broadcast, not loopback.
    fn is_unicast(addr: Self::Addr) -> bool;

    /// Whether `addr` means everyone on the link: `255.255.255.255`, and nothing in IPv6.
    fn is_limited_broadcast(addr: Self::Addr) -> bool;

    /// The address of everyone on the link of `addr/prefix`: none for IPv6, nor for /31 and /32 (RFC 3021).
    fn directed_broadcast(addr: Self::Addr, prefix: u8) -> Option<Self::Addr>;

    /// How many leading bits `a` and `b` have in common.
    fn common_bits(a: Self::Addr, b: Self::Addr) -> u8;

    /// `addr` without the bits behind the first `prefix`.
    fn network(addr: Self::Addr, prefix: u8) -> Self::Addr;

    /// Whether a host may have `addr` on a link of `prefix` bits: in IPv4, not the network's own address.
    fn is_assignable(addr: Self::Addr, prefix: u8) -> bool;

    /// Whether membership of `group` is ever reported. G04, RFC 9776 5; L04, RFC 9777 6: never for the group of all
    /// hosts, nor (IPv6) for groups that do not leave the interface.
    fn is_reported(group: Self::Addr) -> bool;

    /// Whether `group` is in the range reserved for source-specific multicast. RFC 4607 1: 232/8 and ff3x::/32.
    fn is_ssm(group: Self::Addr) -> bool;

    /// The Ethernet address of `group`.
    fn group_mac(group: Self::Addr) -> MacAddr;

    /// `addr`, if it is one of this version.
    fn of_ip(addr: IpAddr) -> Option<Self::Addr>;

    /// The prefix that is on every link, whoever says so or not: `fe80::/64`, and none in IPv4. RFC 5942 3.
    const LINK_LOCAL: Option<(Self::Addr, u8)>;

    /// How far `addr` reaches, a group's scope or a host's: the more the farther. RFC 6724 3.1; in IPv4 all are alike.
    fn scope(addr: Self::Addr) -> u8;

    /// Of what kind `addr` is, for finding a source of the kind of the destination. RFC 6724 2.1; in IPv4 all are alike.
    fn label(addr: Self::Addr) -> u8;

    /// How well our address `own/prefix` fits as the source of a packet to `dst` by the next hop `hop`: the more the better.
    /// RFC 1122 3.3.4.3: IPv4 wants it on the link of the hop. RFC 6724 5: IPv6 wants it near the destination.
    fn source_fit(own: Self::Addr, prefix: u8, dst: Self::Addr, hop: Self::Addr) -> u8;
}

/// IPv4.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct V4;

impl Family for V4 {
    type Addr = Ipv4Addr;
    type Octets = [u8; 4];
    const VERSION: u8 = 4;
    const BITS: u8 = 32;
    const MTU_MIN: u16 = 68;
    const ROUTERS_FRAGMENT: bool = true;
    const UNSPECIFIED: Ipv4Addr = Ipv4Addr::UNSPECIFIED;
    const ALL_HOSTS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 1);

    fn octets(addr: Ipv4Addr) -> [u8; 4] {
        addr.octets()
    }

    fn from_octets(octets: [u8; 4]) -> Ipv4Addr {
        octets.into()
    }

    fn is_multicast(addr: Ipv4Addr) -> bool {
        addr.is_multicast()
    }

    fn is_unicast(addr: Ipv4Addr) -> bool {
        let first = addr.octets()[0];
        first != 0 && first != 127 && first < 224
    }

    fn is_limited_broadcast(addr: Ipv4Addr) -> bool {
        addr.is_broadcast()
    }

    fn directed_broadcast(addr: Ipv4Addr, prefix: u8) -> Option<Ipv4Addr> {
        (prefix < 31).then(|| Ipv4Addr::from_bits(addr.to_bits() | host_mask_v4(prefix)))
    }

    fn common_bits(a: Ipv4Addr, b: Ipv4Addr) -> u8 {
        count((a.to_bits() ^ b.to_bits()).leading_zeros())
    }

    fn network(addr: Ipv4Addr, prefix: u8) -> Ipv4Addr {
        Ipv4Addr::from_bits(addr.to_bits() & !host_mask_v4(prefix))
    }

    fn is_assignable(addr: Ipv4Addr, prefix: u8) -> bool {
        prefix >= 31 || addr.to_bits() & host_mask_v4(prefix) != 0
    }

    // G05, RFC 9776 5 and RFC 4541 2.1.2: all the others are reported, those of the link (224.0.0.0/24) among them.
    fn is_reported(group: Ipv4Addr) -> bool {
        group != Self::ALL_HOSTS
    }

    fn is_ssm(group: Ipv4Addr) -> bool {
        group.octets()[0] == 232
    }

    // E02, RFC 1112 6.4: 01:00:5e, then the low 23 bits of the group.
    fn group_mac(group: Ipv4Addr) -> MacAddr {
        let [_, b, c, d] = group.octets();
        MacAddr([0x01, 0x00, 0x5e, b & 0x7f, c, d])
    }

    const LINK_LOCAL: Option<(Ipv4Addr, u8)> = None;

    fn scope(_addr: Ipv4Addr) -> u8 {
        0
    }

    fn label(_addr: Ipv4Addr) -> u8 {
        0
    }

    fn source_fit(own: Ipv4Addr, prefix: u8, _dst: Ipv4Addr, hop: Ipv4Addr) -> u8 {
        if Self::common_bits(own, hop) >= prefix { prefix + 1 } else { 0 }
    }

    fn of_ip(addr: IpAddr) -> Option<Ipv4Addr> {
        match addr {
            IpAddr::V4(addr) => Some(addr),
            IpAddr::V6(_) => None,
        }
    }
}

/// The bits of an IPv4 address behind `prefix`, at most 32, set.
const fn host_mask_v4(prefix: u8) -> u32 {
    match u32::MAX.checked_shr(prefix as u32) {
        Some(mask) => mask,
        None => 0,
    }
}

/// A count of bits, at most 128.
fn count(bits: u32) -> u8 {
    u8::try_from(bits).unwrap_or(u8::MAX)
}

/// IPv6.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct V6;

impl Family for V6 {
    type Addr = Ipv6Addr;
    type Octets = [u8; 16];
    const VERSION: u8 = 6;
    const BITS: u8 = 128;
    const MTU_MIN: u16 = 1280;
    const ROUTERS_FRAGMENT: bool = false;
    const UNSPECIFIED: Ipv6Addr = Ipv6Addr::UNSPECIFIED;
    const ALL_HOSTS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

    fn octets(addr: Ipv6Addr) -> [u8; 16] {
        addr.octets()
    }

    fn from_octets(octets: [u8; 16]) -> Ipv6Addr {
        octets.into()
    }

    fn is_multicast(addr: Ipv6Addr) -> bool {
        addr.is_multicast()
    }

    fn is_unicast(addr: Ipv6Addr) -> bool {
        // V05, RFC 4942 2.2: an IPv4 address in IPv6's clothes is for a socket's eyes, and on no wire.
        let is_mapped = addr.to_ipv4_mapped().is_some();
        !addr.is_multicast() && !addr.is_unspecified() && !addr.is_loopback() && !is_mapped
    }

    fn is_limited_broadcast(_addr: Ipv6Addr) -> bool {
        false
    }

    fn directed_broadcast(_addr: Ipv6Addr, _prefix: u8) -> Option<Ipv6Addr> {
        None
    }

    fn common_bits(a: Ipv6Addr, b: Ipv6Addr) -> u8 {
        count((a.to_bits() ^ b.to_bits()).leading_zeros())
    }

    fn network(addr: Ipv6Addr, prefix: u8) -> Ipv6Addr {
        Ipv6Addr::from_bits(addr.to_bits() & !u128::MAX.checked_shr(u32::from(prefix)).unwrap_or(0))
    }

    fn is_assignable(_addr: Ipv6Addr, _prefix: u8) -> bool {
        true
    }

    // L04, L05, RFC 9777 6, RFC 4541 3: all others are reported, those of the link and of solicited nodes among them.
    fn is_reported(group: Ipv6Addr) -> bool {
        group != Self::ALL_HOSTS && group.octets()[1] & 0x0f > 1
    }

    fn is_ssm(group: Ipv6Addr) -> bool {
        let [a, b, c, d, ..] = group.octets();
        a == 0xff && b & 0xf0 == 0x30 && c == 0 && d == 0
    }

    // E03, RFC 2464 7: 33:33, then the low 32 bits of the group.
    fn group_mac(group: Ipv6Addr) -> MacAddr {
        let o = group.octets();
        MacAddr([0x33, 0x33, o[12], o[13], o[14], o[15]])
    }

    const LINK_LOCAL: Option<(Ipv6Addr, u8)> = Some((Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 64));

    fn scope(addr: Ipv6Addr) -> u8 {
        scope::of(addr)
    }

    fn label(addr: Ipv6Addr) -> u8 {
        scope::label(addr)
    }

    fn source_fit(own: Ipv6Addr, prefix: u8, dst: Ipv6Addr, _hop: Ipv6Addr) -> u8 {
        Self::common_bits(own, dst).min(prefix)
    }

    fn of_ip(addr: IpAddr) -> Option<Ipv6Addr> {
        match addr {
            IpAddr::V6(addr) => Some(addr),
            IpAddr::V4(_) => None,
        }
    }
}

/// A multicast group: an address proven to be one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Group<F: Family>(F::Addr);

impl<F: Family> Group<F> {
    /// The group `addr`, if it is one.
    #[must_use]
    pub fn new(addr: F::Addr) -> Option<Self> {
        F::is_multicast(addr).then_some(Self(addr))
    }

    /// Its address.
    #[must_use]
    pub fn addr(self) -> F::Addr {
        self.0
    }

    /// Its Ethernet address.
    #[must_use]
    pub fn mac(self) -> MacAddr {
        F::group_mac(self.0)
    }

    /// Whether routers are ever told of its members.
    #[must_use]
    pub fn is_reported(self) -> bool {
        F::is_reported(self.0)
    }
}

impl Group<V6> {
    /// The solicited-node group of the unicast address `addr`: whoever has it is asked there. RFC 4291 2.7.1.
    #[must_use]
    pub const fn solicited_node(addr: Ipv6Addr) -> Self {
        let [.., a, b, c] = addr.octets();
        Self(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | a as u16, u16::from_be_bytes([b, c])))
    }
}

impl<F: Family> fmt::Debug for Group<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl<F: Family> fmt::Display for Group<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// An address that one host may have: proven not to be a group, broadcast, loopback or unspecified.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Unicast<F: Family>(F::Addr);

impl<F: Family> Unicast<F> {
    /// The address `addr`, if one host may have it.
    #[must_use]
    pub fn new(addr: F::Addr) -> Option<Self> {
        F::is_unicast(addr).then_some(Self(addr))
    }

    /// The address.
    #[must_use]
    pub fn addr(self) -> F::Addr {
        self.0
    }
}

impl<F: Family> fmt::Debug for Unicast<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl<F: Family> fmt::Display for Unicast<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// An address of ours with the length of its prefix: one address of a port.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Cidr<F: Family> {
    addr: F::Addr,
    prefix: u8,
}

/// An IPv4 address of ours with the length of its prefix.
pub type Ipv4Cidr = Cidr<V4>;

impl<F: Family> Cidr<F> {
    /// `addr/prefix`, if a host may have it: a unicast address, a prefix of no more bits than an address has, and (IPv4)
    /// neither the network's nor the broadcast address of a prefix shorter than 31.
    #[must_use]
    pub fn new(addr: Unicast<F>, prefix: u8) -> Option<Self> {
        let addr = addr.addr();
        let fits = prefix <= F::BITS
            && F::is_assignable(addr, prefix)
            && F::directed_broadcast(addr, prefix) != Some(addr);
        fits.then_some(Self { addr, prefix })
    }

    /// The address.
    #[must_use]
    pub const fn addr(self) -> F::Addr {
        self.addr
    }

    /// The prefix length in bits.
    #[must_use]
    pub const fn prefix(self) -> u8 {
        self.prefix
    }

    /// Whether `addr` is on this link by its prefix.
    #[must_use]
    pub fn contains(self, addr: F::Addr) -> bool {
        F::common_bits(self.addr, addr) >= self.prefix
    }

    /// The directed broadcast address; none for IPv6, nor for /31 and /32 (RFC 3021).
    #[must_use]
    pub fn broadcast(self) -> Option<F::Addr> {
        F::directed_broadcast(self.addr, self.prefix)
    }
}

/// A string that is not an address with its prefix.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "not an address of a host with the prefix of its link: write it as in 198.18.0.1/24 or 2001:db8::1/64"
)]
pub struct ParseCidrError;

impl<F: Family<Addr: FromStr>> FromStr for Cidr<F> {
    type Err = ParseCidrError;

    fn from_str(s: &str) -> Result<Self, ParseCidrError> {
        let (addr, prefix) = s.split_once('/').ok_or(ParseCidrError)?;
        let addr = addr.parse().ok().and_then(Unicast::new).ok_or(ParseCidrError)?;
        let prefix = prefix.parse().map_err(|_| ParseCidrError)?;
        Self::new(addr, prefix).ok_or(ParseCidrError)
    }
}

impl<F: Family> fmt::Display for Cidr<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.addr, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v4(s: &str) -> Ipv4Addr {
        s.parse().unwrap()
    }

    // E02, RFC 1112 6.4: 23 bits, so 32 groups share one MAC.
    #[test]
    fn an_ipv4_group_mac_holds_the_low_23_bits() {
        let mac = |s| Group::<V4>::new(v4(s)).unwrap().mac().to_string();
        assert_eq!(mac("239.129.1.1"), "01:00:5e:01:01:01");
        assert_eq!(mac("239.1.1.1"), "01:00:5e:01:01:01");
        assert_eq!(mac("224.0.0.22"), "01:00:5e:00:00:16");
        assert_eq!(mac("239.255.255.255"), "01:00:5e:7f:ff:ff");
    }

    // E03, RFC 2464 7.
    #[test]
    fn an_ipv6_group_mac_holds_the_low_32_bits() {
        let mac = |s: &str| Group::<V6>::new(s.parse().unwrap()).unwrap().mac().to_string();
        assert_eq!(mac("ff05::1:1"), "33:33:00:01:00:01");
        assert_eq!(mac("ff02::1:ff12:3456"), "33:33:ff:12:34:56");
    }

    // RFC 4291 2.7.1, its example.
    #[test]
    fn a_solicited_node_group_has_the_low_24_bits_of_the_address() {
        let group = Group::solicited_node("4037::01:800:200e:8c6c".parse().unwrap());
        assert_eq!(group.to_string(), "ff02::1:ff0e:8c6c");
        assert_eq!(group.mac().to_string(), "33:33:ff:0e:8c:6c");
    }

    // V05, RFC 4942 2.2; V03, RFC 4291 2.5.3.
    #[test]
    fn an_ipv4_address_in_ipv6_is_no_hosts() {
        let is_unicast = |addr: &str| V6::is_unicast(addr.parse().unwrap());
        for none in ["::", "::1", "ff02::1", "::ffff:198.18.0.1", "::ffff:0:0"] {
            assert!(!is_unicast(none), "{none}");
        }
        for host in ["fe80::1", "2001:db8::1", "fd00::1", "::fffe:198.18.0.1", "64:ff9b::198.18.0.1"] {
            assert!(is_unicast(host), "{host}");
        }
    }

    #[test]
    fn only_group_addresses_become_groups() {
        assert!(Group::<V4>::new(v4("223.255.255.255")).is_none());
        assert!(Group::<V4>::new(v4("224.0.0.0")).is_some());
        assert!(Group::<V4>::new(v4("240.0.0.0")).is_none());
    }

    // G04, RFC 9776 5; L04, RFC 9777 6.
    #[test]
    fn the_group_of_all_hosts_is_never_reported_and_its_neighbours_are() {
        assert!(!V4::is_reported(v4("224.0.0.1")));
        assert!(V4::is_reported(v4("224.0.0.2")));
        assert!(!V6::is_reported("ff02::1".parse().unwrap()));
        assert!(!V6::is_reported("ff01::5".parse().unwrap()));
        assert!(V6::is_reported("ff02::2".parse().unwrap()));
    }

    #[test]
    fn a_cidr_knows_its_prefix_and_broadcast() {
        let cidr = |s, p| Cidr::<V4>::new(Unicast::new(v4(s)).unwrap(), p);
        let c = cidr("198.18.0.2", 24).unwrap();
        assert_eq!(c.broadcast(), Some(v4("198.18.0.255")));
        assert!(c.contains(v4("198.18.0.99")) && !c.contains(v4("198.18.1.2")));
        assert_eq!(cidr("198.18.0.255", 24), None);
        assert_eq!(cidr("198.18.0.0", 24), None);
        assert_eq!(cidr("198.18.0.0", 31).unwrap().broadcast(), None);
        assert!(cidr("198.18.0.1", 33).is_none());
        assert!(cidr("198.18.0.1", 0).unwrap().contains(v4("1.2.3.4")));
    }

    #[test]
    fn an_ipv6_cidr_has_no_broadcast() {
        let addr = |s: &str| s.parse::<Ipv6Addr>().unwrap();
        let c = Cidr::<V6>::new(Unicast::new(addr("2001:db8::2")).unwrap(), 64).unwrap();
        assert_eq!(c.broadcast(), None);
        assert!(c.contains(addr("2001:db8::ffff")) && !c.contains(addr("2001:db8:0:1::2")));
        assert!(Cidr::<V6>::new(Unicast::new(addr("2001:db8::2")).unwrap(), 129).is_none());
    }

    #[test]
    fn a_mac_address_reads_back_what_it_prints() {
        let mac: MacAddr = "02:00:5e:aB:00:ff".parse().unwrap();
        assert_eq!(mac.to_string(), "02:00:5e:ab:00:ff");
        for bad in [
            "",
            "02:00:00:00:00",
            "02:00:00:00:00:00:00",
            "2:0:0:0:0:0",
            "02-00-00-00-00-00",
            "gg:00:00:00:00:00",
        ] {
            assert!(bad.parse::<MacAddr>().is_err(), "{bad}");
        }
    }
}
