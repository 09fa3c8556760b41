//! A port as a worker sees it: its addresses and what it may trust. A replica; control alone changes it.

use std::sync::Arc;

use super::groups::GroupTable;
use crate::addr::{Cidr, Family, MacAddr, V4};
use crate::io::PortId;

/// Of what kind a destination is on this interface.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Destination {
    /// One of our addresses.
    Own,
    /// `255.255.255.255`, or the broadcast address of one of our prefixes.
    Broadcast,
    /// A group address, joined or not.
    Group,
    /// Someone else's.
    Other,
}

/// Of what kind a source is on this interface.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Source {
    /// It can be one host.
    Host,
    /// One of our own addresses: a loop, or a "land" packet.
    Own,
    /// `0.0.0.0`: a host that has no address yet.
    Unspecified,
    /// It can be no host on this network.
    Martian,
}

/// One port, as its traffic needs it.
#[derive(Clone, Debug)]
pub struct Interface {
    /// Which port.
    pub port: PortId,
    /// Our Ethernet address.
    pub mac: MacAddr,
    /// The largest IP packet, in bytes.
    pub mtu: u16,
    /// Whether the port fills in UDP checksums on transmission.
    pub tx_udp_checksum: bool,
    /// Its IPv4 side.
    pub v4: Inet<V4>,
}

impl Interface {
    /// The interface of `port`, with no group joined. The first of `addresses` is the primary one.
    #[must_use]
    pub fn new(port: PortId, mac: MacAddr, mtu: u16, addresses: Vec<Cidr<V4>>) -> Self {
        Self { port, mac, mtu, tx_udp_checksum: false, v4: Inet::new(addresses) }
    }

    /// Whether frames to the group address `mac` are wanted: some joined group maps to it.
    #[inline]
    #[must_use]
    pub fn wants(&self, mac: MacAddr) -> bool {
        self.v4.groups.is_wanted(mac)
    }
}

/// What one IP version has on a port: addresses and groups.
#[derive(Clone, Debug)]
pub struct Inet<F: Family> {
    /// The joined groups, and who wants them: one table for all workers of the port, which control makes and takes down.
    pub groups: Arc<GroupTable<F>>,
    addresses: Vec<Cidr<F>>,
}

impl<F: Family> Inet<F> {
    /// These addresses, the first of them the primary one, and no group.
    #[must_use]
    pub fn new(addresses: Vec<Cidr<F>>) -> Self {
        Self { groups: Arc::default(), addresses }
    }

    /// Its addresses, the primary one first.
    #[inline]
    #[must_use]
    pub fn addresses(&self) -> &[Cidr<F>] {
        &self.addresses
    }

    /// The address from which group and broadcast requests are answered: the one whose prefix holds `peer`, else the
    /// primary. U21, RFC 1122 4.1.3.5. `None` if the port has no address.
    #[must_use]
    pub fn address_towards(&self, peer: F::Addr) -> Option<F::Addr> {
        let on_link = self.addresses.iter().find(|a| a.contains(peer));
        on_link.or_else(|| self.addresses.first()).map(|a| a.addr())
    }

    /// Whether `addr` is ours.
    #[inline]
    #[must_use]
    pub fn is_own(&self, addr: F::Addr) -> bool {
        self.addresses.iter().any(|a| a.addr() == addr)
    }

    /// Of what kind the destination `addr` is.
    ///
    /// I06, RFC 1122 3.2.1.3: what is neither ours nor broadcast nor a group is someone else's.
    /// I12, RFC 1122 3.2.1.3(g): 127/8 is never ours, as no port may have such an address.
    /// I13, RFC 1122 3.3.6: both the limited and the directed broadcast are for us.
    #[must_use]
    pub fn destination(&self, addr: F::Addr) -> Destination {
        if self.is_own(addr) {
            Destination::Own
        } else if F::is_multicast(addr) {
            Destination::Group
        } else if F::is_limited_broadcast(addr) || self.is_directed_broadcast(addr) {
            Destination::Broadcast
        } else {
            Destination::Other
        }
    }

    /// Of what kind the source `addr` is.
    ///
    /// I07, I08, I11, RFC 1122 3.2.1.3 and RFC 6890: a group, any broadcast address, 127/8, 0/8 and 240/4 are no host.
    /// I09, CA-1997-28: our own address from the wire is a loop or an attack.
    /// I10, RFC 1122 3.2.1.3(a): the unspecified address is told apart, as IGMP and DHCP may use it.
    #[must_use]
    pub fn source(&self, addr: F::Addr) -> Source {
        if addr == F::UNSPECIFIED {
            Source::Unspecified
        } else if !F::is_unicast(addr) || self.is_directed_broadcast(addr) {
            Source::Martian
        } else if self.is_own(addr) {
            Source::Own
        } else {
            Source::Host
        }
    }

    fn is_directed_broadcast(&self, addr: F::Addr) -> bool {
        self.addresses.iter().any(|a| a.broadcast() == Some(addr))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::{Unicast, V6};
    use core::net::{Ipv4Addr, Ipv6Addr};

    fn v4(s: &str) -> Ipv4Addr {
        s.parse().unwrap()
    }

    fn inet(cidrs: &[(&str, u8)]) -> Inet<V4> {
        let addresses =
            cidrs.iter().map(|(a, p)| Cidr::new(Unicast::new(v4(a)).unwrap(), *p).unwrap()).collect();
        Inet::new(addresses)
    }

    // I06, I12, I13, RFC 1122 3.2.1.3, 3.3.6.
    #[test]
    fn destinations_are_told_apart() {
        let i = inet(&[("198.18.0.2", 24), ("198.19.0.2", 31)]);
        for (addr, want) in [
            ("198.18.0.2", Destination::Own),
            ("198.19.0.2", Destination::Own),
            ("198.18.0.255", Destination::Broadcast),
            ("255.255.255.255", Destination::Broadcast),
            ("198.19.0.3", Destination::Other),
            ("198.18.0.77", Destination::Other),
            ("127.0.0.1", Destination::Other),
            ("0.0.0.0", Destination::Other),
            ("239.1.2.3", Destination::Group),
        ] {
            assert_eq!(i.destination(v4(addr)), want, "{addr}");
        }
    }

    // I07-I11, RFC 1122 3.2.1.3, RFC 6890.
    #[test]
    fn martian_sources_are_told_apart() {
        let i = inet(&[("198.18.0.2", 24)]);
        for (addr, want) in [
            ("198.18.0.1", Source::Host),
            ("8.8.8.8", Source::Host),
            ("198.18.0.2", Source::Own),
            ("0.0.0.0", Source::Unspecified),
            ("0.1.2.3", Source::Martian),
            ("127.0.0.1", Source::Martian),
            ("224.0.0.1", Source::Martian),
            ("239.255.255.255", Source::Martian),
            ("240.0.0.1", Source::Martian),
            ("255.255.255.255", Source::Martian),
            ("198.18.0.255", Source::Martian),
        ] {
            assert_eq!(i.source(v4(addr)), want, "{addr}");
        }
    }

    // U21, RFC 1122 4.1.3.5.
    #[test]
    fn a_group_request_is_answered_from_the_address_on_the_peers_link() {
        let i = inet(&[("198.18.0.2", 24), ("198.19.0.2", 24)]);
        assert_eq!(i.address_towards(v4("198.19.0.9")), Some(v4("198.19.0.2")));
        assert_eq!(i.address_towards(v4("203.0.113.9")), Some(v4("198.18.0.2")));
        assert_eq!(inet(&[]).address_towards(v4("203.0.113.9")), None);
    }

    #[test]
    fn ipv6_has_no_broadcast_and_its_own_martians() {
        let v6 = |s: &str| s.parse::<Ipv6Addr>().unwrap();
        let i = Inet::<V6>::new(vec![Cidr::new(Unicast::new(v6("2001:db8::2")).unwrap(), 64).unwrap()]);
        assert_eq!(i.destination(v6("2001:db8::2")), Destination::Own);
        assert_eq!(i.destination(v6("2001:db8::ffff:ffff:ffff:ffff")), Destination::Other);
        assert_eq!(i.destination(v6("ff02::1")), Destination::Group);
        assert_eq!(i.source(v6("ff02::1")), Source::Martian);
        assert_eq!(i.source(v6("::1")), Source::Martian);
        assert_eq!(i.source(v6("::")), Source::Unspecified);
        assert_eq!(i.source(v6("2001:db8::2")), Source::Own);
    }
}
