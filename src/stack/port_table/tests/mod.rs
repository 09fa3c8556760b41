//! Whom a datagram to one host is for, by example.

mod model;

use super::*;
use crate::addr::{V4, V6};
use core::net::{Ipv4Addr, SocketAddr};

fn socket(interface: u16, local: &str) -> Socket {
    Socket::new(InterfaceId(interface), local.parse().unwrap(), 0)
}

fn v4(s: &str) -> Ipv4Addr {
    s.parse().unwrap()
}

fn to(dst: &str, dport: u16) -> Flow<V4> {
    Flow { src: v4("198.18.0.1"), sport: 4000, dst: v4(dst), dport }
}

fn unicast(t: &PortTable, interface: u16, dst: &str, dport: u16) -> Option<SocketId> {
    t.unicast(InterfaceId(interface), &to(dst, dport)).map(|found| found.socket)
}

// U12, Linux compute_score.
#[test]
fn a_socket_bound_to_the_address_comes_before_one_bound_to_any() {
    let mut t = PortTable::new(1);
    let any = t.bind(socket(0, "0.0.0.0:7")).unwrap();
    let exact = t.bind(socket(0, "198.18.0.2:7")).unwrap();
    assert_eq!(unicast(&t, 0, "198.18.0.2", 7), Some(exact));
    assert_eq!(unicast(&t, 0, "198.18.0.3", 7), Some(any));
    assert_eq!(unicast(&t, 0, "198.18.0.2", 8), None);
    assert_eq!(unicast(&t, 1, "198.18.0.2", 7), None);
}

// U19, Linux: a socket bound to a group has no unicast address.
#[test]
fn a_socket_bound_to_a_group_receives_no_unicast() {
    let mut t = PortTable::new(1);
    t.bind(socket(0, "239.1.2.3:7")).unwrap();
    assert_eq!(unicast(&t, 0, "198.18.0.2", 7), None);
    // C14, C16: what comes of its answers concerns it all the same.
    assert_eq!(t.sender(InterfaceId(0), &to("198.18.0.2", 7)), Some(0));
    assert_eq!(t.sender(InterfaceId(0), &to("198.18.0.2", 8)), None);
}

#[test]
fn a_place_is_taken_once() {
    let mut t = PortTable::new(1);
    t.bind(socket(0, "0.0.0.0:7")).unwrap();
    t.bind(socket(0, "198.18.0.2:7")).unwrap();
    t.bind(socket(0, "239.1.2.3:7")).unwrap();
    t.bind(socket(1, "0.0.0.0:7")).unwrap();
    t.bind(socket(0, "[::]:7")).unwrap();
    for taken in ["0.0.0.0:7", "198.18.0.2:7", "239.1.2.3:7", "[::]:7"] {
        assert_eq!(t.bind(socket(0, taken)), Err(BindError::InUse), "{taken}");
    }
    assert_eq!(t.bind(socket(0, "0.0.0.0:0")), Err(BindError::PortZero));
    assert_eq!(t.sockets().count(), 5);
}

// P10, RFC 3493 5.3: one that is for both versions has a place in each, and one of IPv6 alone leaves IPv4's to others. Linux's
// matrix of 0.0.0.0 and ::, as far as nobody shares.
#[test]
fn a_socket_of_both_versions_is_in_the_way_of_either() {
    let (v4, v6_only, both) = (&["0.0.0.0:7"][..], &["[::]:7"][..], &["0.0.0.0:7", "[::]:7"][..]);
    for (first, second, fits) in [
        (v4, v6_only, true),
        (v6_only, v4, true),
        (v4, both, false),
        (both, v4, false),
        (v6_only, both, false),
        (both, v6_only, false),
        (both, both, false),
        (v4, v4, false),
        (v6_only, v6_only, false),
    ] {
        for share in [false, true] {
            let mut t = PortTable::new(1);
            let sharing = |local: &&str| Socket { reuse_address: share, ..socket(0, local) };
            assert!(first.iter().all(|local| t.bind(sharing(local)).is_ok()));
            let second = second.iter().try_for_each(|local| t.bind(sharing(local)).map(|_| ()));
            assert_eq!(second.is_ok(), fits || share, "{first:?}");
        }
    }
}

// U15, socket(7) SO_REUSEADDR: everyone in a place shares it, or nobody; unicast goes to the last bound.
#[test]
fn a_place_is_shared_by_those_who_all_share_it() {
    let sharing = |local| Socket { reuse_address: true, ..socket(0, local) };
    let mut t = PortTable::new(1);
    t.bind(sharing("0.0.0.0:7")).unwrap();
    assert_eq!(t.bind(socket(0, "0.0.0.0:7")), Err(BindError::InUse));
    let second = t.bind(sharing("0.0.0.0:7")).unwrap();
    assert_eq!(unicast(&t, 0, "198.18.0.2", 7), Some(second));
    t.bind(sharing("198.18.0.2:7")).unwrap();
    let last = t.bind(sharing("198.18.0.2:7")).unwrap();
    assert_eq!(unicast(&t, 0, "198.18.0.2", 7), Some(last));
    assert_eq!(unicast(&t, 0, "198.18.0.3", 7), Some(second));
    t.bind(socket(0, "239.1.2.3:7")).unwrap();
    assert_eq!(t.bind(sharing("239.1.2.3:7")), Err(BindError::InUse));
}

#[test]
fn the_largest_audience_is_known() {
    let sharing = |local| Socket { reuse_address: true, ..socket(0, local) };
    let mut t = PortTable::new(1);
    assert_eq!(t.audience_max(), 1);
    for local in ["0.0.0.0:7", "198.18.0.2:7", "239.1.2.3:7", "239.1.2.4:7", "0.0.0.0:8"] {
        t.bind(sharing(local)).unwrap();
    }
    assert_eq!(t.audience_max(), 2);
    t.bind(sharing("239.1.2.4:7")).unwrap();
    assert_eq!(t.audience_max(), 3);
}

fn connected(local: &str, peer: &str) -> Socket {
    let local: SocketAddr = local.parse().unwrap();
    Socket { peer: Some(peer.parse().unwrap()), reuse_port: true, ..Socket::new(None, local, 0) }
}

// U20, POSIX connect(): from its peer, and from nobody else. U12: before those that anyone may send to.
#[test]
fn a_connected_socket_receives_from_its_peer_alone() {
    let mut t = PortTable::new(1);
    t.set(4, Some(connected("198.18.0.2:7", "198.18.0.1:4001")));
    assert_eq!(unicast(&t, 0, "198.18.0.2", 7), None);
    t.set(5, Some(connected("198.18.0.2:7", "198.18.0.1:4000")));
    t.set(6, Some(Socket::new(None, "198.18.0.2:7".parse().unwrap(), 0)));
    let found = t.unicast(InterfaceId(3), &to("198.18.0.2", 7));
    assert_eq!(found, Some(Found { socket: 5, any_peer: false }));
    t.set(5, None);
    let found = t.unicast(InterfaceId(3), &to("198.18.0.2", 7));
    assert_eq!(found, Some(Found { socket: 6, any_peer: false }), "another sender's may be socket 4");
    t.set(4, None);
    assert_eq!(t.unicast(InterfaceId(3), &to("198.18.0.2", 7)), Some(Found { socket: 6, any_peer: true }));
}

// U20, Linux compute_score: whoever is connected to port 0 of a peer hears whichever port that sends from; of one that names it,
// that one.
#[test]
fn port_0_of_a_peer_is_any() {
    let mut t = PortTable::new(1);
    t.set(4, Some(connected("198.18.0.2:7", "198.18.0.1:0")));
    assert_eq!(unicast(&t, 0, "198.18.0.2", 7), Some(4), "alone on its port");
    t.set(5, Some(Socket::new(None, "198.18.0.2:7".parse().unwrap(), 0)));
    assert_eq!(unicast(&t, 0, "198.18.0.2", 7), Some(4));
    t.set(6, Some(connected("198.18.0.2:7", "198.18.0.1:4000")));
    assert_eq!(unicast(&t, 0, "198.18.0.2", 7), Some(6));
    t.set(7, Some(connected("198.18.0.2:7", "198.18.0.9:0")));
    assert_eq!(unicast(&t, 0, "198.18.0.2", 7), Some(6));
}

// U14, Linux SO_REUSEPORT: a flow stays with one member while the group is as it is, on every worker; members have equal shares, and
// one that is connected has none.
#[test]
fn flows_are_shared_by_a_group_and_stay_where_they_are() {
    let member = Socket { reuse_port: true, ..Socket::new(None, "0.0.0.0:7".parse().unwrap(), 0) };
    let (mut t, mut other) = (PortTable::new(9), PortTable::new(9));
    for id in 0..4 {
        t.set(id, Some(member));
        other.set(id, Some(member));
    }
    let flow = |n: u16| Flow::<V4> { sport: n, ..to("198.18.0.2", 7) };
    let found = |t: &PortTable| -> Vec<SocketId> {
        (1..=8000).map(|n| t.unicast(InterfaceId(0), &flow(n)).unwrap().socket).collect()
    };
    let shares = |found: &[SocketId]| [0, 1, 2, 3].map(|id| found.iter().filter(|f| **f == id).count());
    let first = found(&t);
    assert!(shares(&first).iter().all(|share| (1800..2200).contains(share)), "{:?}", shares(&first));
    assert_eq!((found(&t), found(&other)), (first.clone(), first.clone()));
    // Someone else comes and goes: nothing changes.
    t.set(9, Some(Socket { local: "0.0.0.0:8".parse().unwrap(), ..member }));
    assert_eq!(found(&t), first);
    t.set(2, Some(Socket { service: 1, ..connected("198.18.0.2:7", "198.18.0.1:4000") }));
    let second = found(&t);
    assert_eq!((second[3999], shares(&second)[2]), (2, 1), "from its peer, and nothing else");
    assert!([0, 1, 3].iter().all(|id| (2400..2900).contains(&shares(&second)[*id])), "{:?}", shares(&second));
}

// P10, RFC 3493 3.7: a dual-stack socket is one, and hears both; Linux compute_score: IPv4 prefers AF_INET.
#[test]
fn a_dual_stack_socket_is_found_by_both_versions() {
    let mut t = PortTable::new(1);
    let dual = Socket { version: Versions::Both, ..Socket::new(None, "[::]:7".parse().unwrap(), 0) };
    t.set(3, Some(dual));
    let six = Flow::<V6> {
        src: "2001:db8::1".parse().unwrap(),
        sport: 4000,
        dst: "2001:db8::2".parse().unwrap(),
        dport: 7,
    };
    let by_six = |t: &PortTable| t.unicast(InterfaceId(0), &six).map(|found| found.socket);
    assert_eq!((unicast(&t, 0, "198.18.0.2", 7), by_six(&t)), (Some(3), Some(3)));
    t.set(1, Some(Socket::new(None, "0.0.0.0:7".parse().unwrap(), 0)));
    assert_eq!((unicast(&t, 0, "198.18.0.2", 7), by_six(&t)), (Some(1), Some(3)));
    assert!(t.get(3) == Some(dual) && t.sockets().count() == 2);
}

// A start with a million of them takes about a second, which it could not if each looked at the others.
#[test]
fn a_million_sockets_are_bound_and_found() {
    let mut t = PortTable::new(1);
    let (hosts, ports) = (16, 62_500);
    let local = |n: u32| {
        let udp_port = u16::try_from(n / hosts + 1).unwrap();
        SocketAddr::new(Ipv4Addr::from_bits(0xc612_0000 + n % hosts).into(), udp_port)
    };
    for n in 0..hosts * ports {
        assert_eq!(t.bind(socket(0, &local(n).to_string())), Ok(n));
    }
    assert_eq!(t.bind(socket(0, &local(123_456).to_string())), Err(BindError::InUse));
    for n in (0..hosts * ports).step_by(7919) {
        let SocketAddr::V4(at) = local(n) else { unreachable!() };
        assert_eq!(unicast(&t, 0, &at.ip().to_string(), at.port()), Some(n));
        t.set(n, None);
        assert_eq!(unicast(&t, 0, &at.ip().to_string(), at.port()), None);
    }
}
