//! An interface as a worker sees it: its addresses and what it may trust. A replica; control alone changes it.
//!
//! A port has one, or one for each VLAN ([`Interfaces`]).

use core::net::Ipv4Addr;
use std::sync::Arc;

use super::flow_label::FlowLabels;
use super::groups::GroupTable;
use super::hops::Hops;
use super::pmtu::{PathMtu, PmtuPolicy};
use super::route::Routes;
use crate::addr::{Cidr, Family, MacAddr, V4, V6, Vid};
use crate::io::{InterfaceId, Policy};
use crate::wire::udp::Over;

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

/// One interface, as its traffic needs it.
#[derive(Clone, Debug)]
pub struct Interface {
    /// Which interface.
    pub id: InterfaceId,
    /// The VLAN that it is on; `None` if its frames are untagged.
    pub vlan: Option<Vid>,
    /// Our Ethernet address.
    pub mac: MacAddr,
    /// The largest IP packet, in bytes.
    pub mtu: u16,
    /// What its configuration chose.
    pub policy: Policy,
    /// Whether the port fills in UDP checksums on transmission.
    pub tx_udp_checksum: bool,
    /// Whether the port inserts VLAN tags on transmission.
    pub tx_vlan_insert: bool,
    /// The flow labels of what it sends over IPv6.
    pub flow_labels: FlowLabels,
    /// Its IPv4 side.
    pub v4: Inet<V4>,
    /// Its IPv6 side.
    pub v6: Inet<V6>,
}

impl Interface {
    /// The untagged interface `id`, without IPv6, with no group joined and no help of the device. The first of `addresses` is the
    /// primary one.
    #[must_use]
    pub fn new(id: InterfaceId, mac: MacAddr, mtu: u16, addresses: Vec<Cidr<V4>>) -> Self {
        let (mut v4, mut v6) = (Inet::new(addresses), Inet::new(Vec::new()));
        v4.paths.set_link_mtu(mtu);
        v6.paths.set_link_mtu(mtu);
        v6.is_on = false;
        let policy = Policy::default();
        let flow_labels = FlowLabels::default();
        let (tx_udp_checksum, tx_vlan_insert) = (false, false);
        Self { id, vlan: None, mac, mtu, policy, tx_udp_checksum, tx_vlan_insert, flow_labels, v4, v6 }
    }

    /// The link carries IP packets of `mtu` bytes from now on. T04, RFC 1191: what was learned of its paths is forgotten.
    pub fn set_mtu(&mut self, mtu: u16) {
        self.mtu = mtu;
        self.v4.paths.set_link_mtu(mtu);
        self.v6.paths.set_link_mtu(mtu);
    }

    /// Of what kind the IPv4 source `addr` is, by this interface's policy.
    // I11, RFC 6890: 0/8 and 240/4 can be no host, unless the configuration says that they can.
    #[must_use]
    pub fn source(&self, addr: Ipv4Addr) -> Source {
        let [first, ..] = addr.octets();
        let reserved = (first == 0 || first >= 240) && !addr.is_broadcast();
        match self.v4.source(addr) {
            Source::Martian if reserved && self.policy.accept_reserved_sources => Source::Host,
            kind => kind,
        }
    }

    /// Whether frames to the group address `mac` are wanted: some joined group maps to it.
    #[inline]
    #[must_use]
    pub fn wants(&self, mac: MacAddr) -> bool {
        self.v4.groups.is_wanted(mac) || self.v6.is_on && self.v6.groups.is_wanted(mac)
    }
}

/// The interfaces of one port: at least one, with one MAC address between them.
#[derive(Clone, Debug)]
pub struct Interfaces {
    /// By id, as they are few and their ids follow one another.
    all: Vec<Interface>,
    /// The index of each, by the VLAN that a frame names; 0 for none.
    by_vid: Vec<(u16, usize)>,
}

impl Interfaces {
    /// These; of two on one VLAN, the first has its frames. `None` if there is none.
    #[must_use]
    pub fn new(mut all: Vec<Interface>) -> Option<Self> {
        all.sort_by_key(|i| i.id);
        let mut by_vid: Vec<_> =
            all.iter().enumerate().map(|(index, i)| (i.vlan.map_or(0, Vid::get), index)).collect();
        by_vid.sort_unstable();
        by_vid.dedup_by_key(|(vid, _)| *vid);
        (!all.is_empty()).then_some(Self { all, by_vid })
    }

    /// Our Ethernet address on all of them.
    #[inline]
    #[must_use]
    pub fn mac(&self) -> MacAddr {
        self.all.first().map(|i| i.mac).unwrap_or_default()
    }

    /// The one whose frames name the VLAN `vid`; 0: name none.
    // E11, 802.1Q 6.9: VLAN 0 names a priority and no VLAN; what is not configured has no interface.
    #[inline]
    #[must_use]
    pub fn of_vid(&self, vid: u16) -> Option<&Interface> {
        let place = self.by_vid.binary_search_by_key(&vid, |(vid, _)| *vid).ok()?;
        self.all.get(self.by_vid.get(place)?.1)
    }

    /// The one without a VLAN.
    #[inline]
    #[must_use]
    pub fn untagged(&self) -> Option<&Interface> {
        // No VLAN is smaller than none, so it would be the first.
        let (vid, index) = self.by_vid.first()?;
        if *vid == 0 { self.all.get(*index) } else { None }
    }

    /// The interface `id`.
    #[inline]
    #[must_use]
    pub fn get(&self, id: InterfaceId) -> Option<&Interface> {
        self.all.get(self.index_of(id)?)
    }

    /// The interface `id`, to be changed.
    #[must_use]
    pub fn get_mut(&mut self, id: InterfaceId) -> Option<&mut Interface> {
        let index = self.index_of(id)?;
        self.all.get_mut(index)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Interface> {
        self.all.iter()
    }

    /// All of them label their flows under `secret`, which the workers share.
    // V13, RFC 6437 3: whichever worker a datagram of a flow leaves by, its label is the same.
    pub fn set_flow_secret(&mut self, secret: u64) {
        self.all.iter_mut().for_each(|interface| interface.flow_labels = FlowLabels::new(secret));
    }

    /// Whether frames to the group address `mac` are wanted on any of them: the device's filter cannot tell VLANs apart.
    #[inline]
    #[must_use]
    pub fn wants(&self, mac: MacAddr) -> bool {
        self.all.iter().any(|i| i.wants(mac))
    }

    #[inline]
    fn index_of(&self, id: InterfaceId) -> Option<usize> {
        self.all.binary_search_by_key(&id, |i| i.id).ok()
    }
}

/// A port's only one.
impl From<Interface> for Interfaces {
    fn from(only: Interface) -> Self {
        let by_vid = vec![(only.vlan.map_or(0, Vid::get), 0)];
        Self { all: vec![only], by_vid }
    }
}

/// What an Ethernet link carries, unless something else is said.
const MTU: u16 = 1500;

/// The hop limit, unless a router says something else.
const HOP_LIMIT: u8 = 64;

/// An IP version as an interface has it: where what the two share finds its own side.
pub trait Ip: Over {
    /// Its side of `interface`.
    fn inet(interface: &Interface) -> &Inet<Self>;

    /// Its side of `interface`, to be changed.
    fn inet_mut(interface: &mut Interface) -> &mut Inet<Self>;
}

impl Ip for V4 {
    #[inline]
    fn inet(interface: &Interface) -> &Inet<Self> {
        &interface.v4
    }

    fn inet_mut(interface: &mut Interface) -> &mut Inet<Self> {
        &mut interface.v4
    }
}

impl Ip for V6 {
    #[inline]
    fn inet(interface: &Interface) -> &Inet<Self> {
        &interface.v6
    }

    fn inet_mut(interface: &mut Interface) -> &mut Inet<Self> {
        &mut interface.v6
    }
}

/// What one IP version has on an interface: addresses, routes and groups.
#[derive(Clone, Debug)]
pub struct Inet<F: Family> {
    /// The joined groups, and who wants them: one table for all workers of the interface, which control makes and takes down.
    pub groups: Arc<GroupTable<F>>,
    /// Its addresses, and where packets from it go.
    pub routes: Arc<Routes<F>>,
    /// Where the neighbours are that packets go to.
    pub hops: Hops<F>,
    /// How large packets may be on their way from it.
    pub paths: PathMtu<F>,
    /// The time to live, or hop limit, of what is sent to one host. I22, RFC 1122 3.2.1.7; RFC 4861 6.3.2: CurHopLimit.
    pub hop_limit: u8,
    /// Whether it is spoken here at all. What is off has no address, wants no group's frames, and says nothing.
    pub is_on: bool,
}

impl<F: Family> Inet<F> {
    /// These addresses, the first of them the primary one, and no group, no route beyond the link, and no room for
    /// neighbours.
    #[must_use]
    pub fn new(addresses: Vec<Cidr<F>>) -> Self {
        Self::with_routes(Routes::new(addresses, Vec::new()), Hops::new(0, 0))
    }

    /// These routes and addresses, this room for neighbours, and no group.
    #[must_use]
    pub fn with_routes(routes: Routes<F>, hops: Hops<F>) -> Self {
        let paths = PathMtu::new(MTU, PmtuPolicy::default());
        Self {
            groups: Arc::default(),
            routes: Arc::new(routes),
            hops,
            paths,
            hop_limit: HOP_LIMIT,
            is_on: true,
        }
    }

    /// From now on these are its addresses and routes, and the hop limit is what routers say. Returns those before.
    // N14, RFC 4861 6.3.4.
    pub fn set_routes(&mut self, routes: Arc<Routes<F>>) -> Arc<Routes<F>> {
        self.hop_limit = routes.hop_limit().unwrap_or(self.hop_limit);
        core::mem::replace(&mut self.routes, routes)
    }

    /// Its addresses, the primary one first.
    #[inline]
    #[must_use]
    pub fn addresses(&self) -> &[Cidr<F>] {
        self.routes.addresses()
    }

    /// The address from which group and broadcast requests are answered: the one on the link of `peer`, or of the gateway
    /// to it, else the primary one. U21, RFC 1122 4.1.3.5. `None` if the interface has no address.
    #[must_use]
    pub fn address_towards(&self, peer: F::Addr) -> Option<F::Addr> {
        self.routes.source_towards(peer)
    }

    /// Whether `addr` is ours.
    #[inline]
    #[must_use]
    pub fn is_own(&self, addr: F::Addr) -> bool {
        self.routes.is_own(addr)
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
        self.routes.is_broadcast(addr)
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

    // I11, RFC 6890, RFC 1112 4: by configuration; nothing else becomes a host by it.
    #[test]
    fn reserved_sources_are_a_matter_of_policy() {
        let address = Cidr::new(Unicast::new(v4("198.18.0.2")).unwrap(), 24).unwrap();
        let mut interface = Interface::new(InterfaceId(0), MacAddr([2; 6]), 1500, vec![address]);
        for addr in ["0.1.2.3", "240.0.0.1", "255.255.255.254"] {
            assert_eq!(interface.source(v4(addr)), Source::Martian, "{addr}");
        }
        interface.policy.accept_reserved_sources = true;
        for (addr, want) in [
            ("0.1.2.3", Source::Host),
            ("240.0.0.1", Source::Host),
            ("255.255.255.254", Source::Host),
            ("255.255.255.255", Source::Martian),
            ("0.0.0.0", Source::Unspecified),
            ("224.0.0.1", Source::Martian),
            ("127.0.0.1", Source::Martian),
            ("198.18.0.255", Source::Martian),
            ("198.18.0.2", Source::Own),
        ] {
            assert_eq!(interface.source(v4(addr)), want, "{addr}");
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

    // E11, 802.1Q 6.9.
    #[test]
    fn a_frames_vlan_leads_to_its_interface_or_to_none() {
        let interface = |id, vid| {
            let plain = Interface::new(InterfaceId(id), MacAddr([2, 0, 0, 0, 0, 2]), 1500, Vec::new());
            Interface { vlan: Vid::new(vid), ..plain }
        };
        let of = |i: &Interfaces, vid| i.of_vid(vid).map(|i| i.id.0);
        let trunk = Interfaces::new(vec![interface(6, 300), interface(4, 0), interface(5, 20)]).unwrap();
        assert_eq!([0, 20, 300, 21].map(|vid| of(&trunk, vid)), [Some(4), Some(5), Some(6), None]);
        assert_eq!(trunk.untagged().map(|i| i.id.0), Some(4));
        assert_eq!(trunk.get(InterfaceId(5)).and_then(|i| i.vlan), Vid::new(20));
        assert!(trunk.get(InterfaceId(7)).is_none());
        let tagged = Interfaces::new(vec![interface(0, 100)]).unwrap();
        assert_eq!([0, 100].map(|vid| of(&tagged, vid)), [None, Some(0)]);
        assert!(tagged.untagged().is_none());
        assert!(Interfaces::new(Vec::new()).is_none());
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
