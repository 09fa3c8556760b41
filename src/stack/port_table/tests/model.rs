//! Linux's rules, a socket at a time: no table, no places, nothing of ours. And that the table says the same.
//!
//! net/ipv4/udp.c: `compute_score`, `udp4_lib_lookup2` and `__udp4_lib_lookup`, `udp_lib_get_port` and `udp_lib_rehash`,
//! `__udp_is_mcast_sock`; net/ipv6/udp.c the same for IPv6.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use proptest::prelude::*;

use super::super::*;
use crate::addr::{V4, V6};

/// Every socket, and where it stands in Linux's list of its address and port: the greater, the earlier.
#[derive(Default)]
struct Model {
    sockets: BTreeMap<SocketId, (Socket, i64)>,
    clock: i64,
}

impl Model {
    fn set(&mut self, id: SocketId, socket: Option<Socket>) {
        let old = self.sockets.remove(&id);
        let Some(socket) = socket else { return };
        let bound = |s: &Socket| (s.local.ip().to_canonical(), s.local.port(), s.version);
        let order = match old {
            Some((old, order)) if bound(&old) == bound(&socket) => order,
            // udp_lib_rehash: hlist_add_head.
            Some(_) => self.tick(),
            // udp_lib_get_port: hlist_add_tail for AF_INET6 with SO_REUSEPORT.
            None if socket.reuse_port && socket.version != Versions::V4 => -self.tick(),
            None => self.tick(),
        };
        self.sockets.insert(id, (socket, order));
    }

    fn tick(&mut self) -> i64 {
        self.clock += 1;
        self.clock
    }

    /// Whether `socket` takes part in the look-up of what goes from `src` to `dst`.
    fn matches(socket: &Socket, interface: InterfaceId, (src, dst): (SocketAddr, SocketAddr)) -> bool {
        let local = socket.local.ip().to_canonical();
        let is_of_version = match socket.version {
            Versions::V4 => dst.is_ipv4(),
            Versions::V6 => dst.is_ipv6(),
            // P10: an AF_INET6 socket at an address is of that address's version; at any, of both.
            Versions::Both if socket.local.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) => true,
            Versions::Both => local.is_ipv4() == dst.is_ipv4(),
        };
        is_of_version
            && socket.local.port() == dst.port()
            && (local.is_unspecified() || local == dst.ip())
            && socket
                .peer
                .is_none_or(|peer| (peer.ip().to_canonical(), peer.port()) == (src.ip(), src.port()))
            && socket.interface.is_none_or(|one| one == interface)
    }

    fn score(socket: &Socket, is_v4: bool) -> i32 {
        // A first look-up among those bound to the address, a second among those bound to any.
        let exact = if socket.local.ip().to_canonical().is_unspecified() { 0 } else { 100 };
        let family = i32::from(is_v4 && socket.version == Versions::V4);
        exact
            + family
            + if socket.peer.is_some() { 8 } else { 0 }
            + if socket.interface.is_some() { 4 } else { 0 }
    }

    /// Who may get a datagram to one host: one, or any of a SO_REUSEPORT group.
    fn unicast(&self, interface: InterfaceId, ends: (SocketAddr, SocketAddr)) -> BTreeSet<SocketId> {
        let matching = || self.sockets.iter().filter(|(_, (s, _))| Self::matches(s, interface, ends));
        let score = |s: &Socket| Self::score(s, ends.1.is_ipv4());
        let Some((id, (best, _))) = matching().max_by_key(|(_, (s, order))| (score(s), *order)) else {
            return BTreeSet::new();
        };
        if best.peer.is_some() || !best.reuse_port {
            return BTreeSet::from([*id]);
        }
        // udp_reuseport_add_sock: the same family, v6only, device, address and port. reuseport_select_sock: none that is
        // connected.
        let key = |s: &Socket| (s.version, s.interface, s.local.ip().to_canonical(), s.reuse_port, s.peer);
        matching().filter(|(_, (s, _))| key(s) == key(best)).map(|(id, _)| *id).collect()
    }

    fn hearers(&self, interface: InterfaceId, ends: (SocketAddr, SocketAddr)) -> BTreeSet<SocketId> {
        let hear = |(_, (s, _)): &(&SocketId, &(Socket, i64))| Self::matches(s, interface, ends);
        self.sockets.iter().filter(hear).map(|(id, _)| *id).collect()
    }
}

#[derive(Clone, Debug)]
enum Act {
    Set(SocketId, Socket),
    /// To this peer, or to none, and with this address as its own.
    Connect(SocketId, Option<SocketAddr>, Option<SocketAddr>),
    Remove(SocketId),
}

const PORTS: [u16; 3] = [7, 71, 40_000];
const OWN: [&str; 2] = ["198.18.0.2", "198.18.0.3"];
const OWN6: [&str; 2] = ["2001:db8::2", "2001:db8::3"];
const PEERS: [&str; 2] = ["198.18.0.9", "198.18.0.10"];
const PEERS6: [&str; 2] = ["2001:db8::9", "2001:db8::10"];

fn ip(s: &str) -> IpAddr {
    s.parse().unwrap()
}

fn mapped(s: &str) -> IpAddr {
    s.parse::<Ipv4Addr>().unwrap().to_ipv6_mapped().into()
}

/// An address to be bound to, and the version.
fn place() -> impl Strategy<Value = (IpAddr, Versions)> {
    use Versions::{Both, V4, V6};
    let places = [
        (ip("0.0.0.0"), V4),
        (ip("::"), V6),
        (ip("::"), Both),
        (ip(OWN[0]), V4),
        (ip(OWN[1]), V4),
        (mapped(OWN[0]), Both),
        (ip(OWN6[0]), V6),
        (ip(OWN6[0]), Both),
        (ip("239.1.2.3"), V4),
        (ip("239.1.2.4"), V4),
        (ip("ff05::7"), V6),
        (ip("198.18.0.255"), V4),
    ];
    prop::sample::select(places.to_vec())
}

fn peer(local: IpAddr, version: Versions, which: usize, port: u16) -> SocketAddr {
    let is_v4 = version == Versions::V4
        || local.to_canonical().is_ipv4()
        || which % 2 == 1 && version == Versions::Both && local.is_unspecified();
    let addr = match (is_v4, version) {
        (true, Versions::V4) => ip(PEERS[which / 2]),
        (true, _) => mapped(PEERS[which / 2]),
        (false, _) => ip(PEERS6[which / 2]),
    };
    SocketAddr::new(addr, port)
}

fn socket() -> impl Strategy<Value = Socket> {
    let options = (any::<bool>(), any::<bool>(), any::<bool>(), prop::option::of(0..2u16));
    let to = prop_oneof![3 => Just(None), 1 => (0..4usize, 0..2u16).prop_map(Some)];
    let at = (place(), prop::sample::select(&PORTS[..]), 0..3u32);
    (at, options, to).prop_map(|(((local, version), port, service), (all, address, reuse_port, on), to)| {
        let peer = to.map(|(which, port)| peer(local, version, which, 4000 + port));
        Socket {
            multicast_all: all,
            reuse_address: address,
            reuse_port,
            version,
            peer,
            ..Socket::new(on.map(InterfaceId), SocketAddr::new(local, port), service)
        }
    })
}

fn act() -> impl Strategy<Value = Act> {
    let id = 0..12u32;
    let addr = |addr: IpAddr| SocketAddr::new(addr, 0);
    let own = prop::option::of(prop::sample::select(&OWN[..]).prop_map(move |own| addr(ip(own))));
    let to = prop::option::of((0..4usize, 0..2u16));
    let to = to.prop_map(|to| to.map(|(which, port)| peer(ip("0.0.0.0"), Versions::V4, which, 4000 + port)));
    prop_oneof![
        5 => (id.clone(), socket()).prop_map(|(id, socket)| Act::Set(id, socket)),
        3 => (id.clone(), to, own).prop_map(|(id, to, own)| Act::Connect(id, to, own)),
        2 => id.prop_map(Act::Remove),
    ]
}

/// Every datagram that can be told from another, asked of both.
fn compare<F: Family>(table: &PortTable, again: &PortTable, model: &Model) -> Result<(), TestCaseError> {
    let addrs = if F::VERSION == 4 {
        [&OWN[..], &["239.1.2.3", "239.1.2.4", "239.1.2.5", "198.18.0.255"]].concat()
    } else {
        [&OWN6[..], &["ff05::7", "ff05::8"]].concat()
    };
    let peers = if F::VERSION == 4 { PEERS } else { PEERS6 };
    let of = |s: &str| F::of_ip(ip(s)).unwrap();
    for (dst, dport) in addrs.iter().flat_map(|dst| PORTS.map(|port| (*dst, port))) {
        for interface in [0, 1, 2].map(InterfaceId) {
            let mut one = BTreeSet::new();
            let mut any_peer = false;
            for (src, sport) in peers.iter().flat_map(|src| [4000, 4001, 4002].map(|port| (*src, port))) {
                let ends = (SocketAddr::new(ip(src), sport), SocketAddr::new(ip(dst), dport));
                let flow = Flow::<F> { src: of(src), sport, dst: of(dst), dport };
                let (found, want) = (table.unicast(interface, &flow), model.unicast(interface, ends));
                prop_assert_eq!(found.is_some(), !want.is_empty(), "{:?} by {:?}", ends, interface);
                if let Some(found) = found {
                    prop_assert!(
                        want.contains(&found.socket),
                        "{:?} by {:?}: {:?} of {:?}",
                        ends,
                        interface,
                        found,
                        want
                    );
                    any_peer |= found.any_peer;
                    one.insert(found.socket);
                }
                let open = table.open_to_all::<F>(interface, flow.dport);
                if open != PortTable::NONE {
                    prop_assert_eq!(found, Some(Found { socket: open, any_peer: true }));
                }
                prop_assert_eq!(found, again.unicast(interface, &flow), "another worker says otherwise");
                let heard: Vec<SocketId> = table.hearers(interface, &flow).map(|h| h.socket).collect();
                let hearers: BTreeSet<SocketId> = heard.iter().copied().collect();
                prop_assert_eq!(hearers.len(), heard.len());
                prop_assert_eq!(&hearers, &model.hearers(interface, ends), "{:?} by {:?}", ends, interface);
                // What is for many, a unicast address is not.
                if !OWN.contains(&dst) && !OWN6.contains(&dst) {
                    prop_assert!(
                        heard.len() <= table.audience_max(),
                        "{} of {}",
                        heard.len(),
                        table.audience_max()
                    );
                }
                if let Some(only) = table.only_hearer(interface, &flow) {
                    prop_assert_eq!(heard, [only.socket]);
                }
            }
            prop_assert!(!any_peer || one.len() == 1, "{:?} to {}:{}", one, dst, dport);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    // U12, U14, U15, U19, U20, P08, P10: whatever came, changed and went, the table finds whom Linux's scan finds, for every
    // datagram, and whom it would deliver a group's to.
    #[test]
    fn the_table_finds_whom_linux_finds(acts in prop::collection::vec(act(), 1..40)) {
        let (mut table, mut again, mut model) = (PortTable::new(7), PortTable::new(7), Model::default());
        for act in acts {
            let (id, socket) = match act {
                Act::Set(id, socket) => (id, Some(socket)),
                Act::Remove(id) => (id, None),
                Act::Connect(id, peer, own) => {
                    let Some((old, _)) = model.sockets.get(&id).copied() else { continue };
                    if old.version != Versions::V4 {
                        continue;
                    }
                    let local = own.map_or(old.local, |own| SocketAddr::new(own.ip(), old.local.port()));
                    (id, Some(Socket { peer, local, ..old }))
                }
            };
            table.set(id, socket);
            again.set(id, socket);
            model.set(id, socket);
            prop_assert_eq!(table.get(id), socket);
            compare::<V4>(&table, &again, &model)?;
            compare::<V6>(&table, &again, &model)?;
        }
        for id in 0..12 {
            table.set(id, None);
        }
        prop_assert_eq!((table.sockets().count(), table.audience_max()), (0, 1));
    }
}
