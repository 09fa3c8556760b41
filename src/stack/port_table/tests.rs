//! Whom a datagram to one host is for, by example.

use super::*;
use crate::addr::V4;
use core::net::Ipv4Addr;

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
