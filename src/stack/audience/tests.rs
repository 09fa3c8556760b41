//! Who hears what, from the words of ip(7) and RFC 3678.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use proptest::prelude::*;

use super::*;
use crate::addr::{Group, V4, V6};
use crate::stack::gmp::test_family::{exclude, include};
use crate::stack::groups::ServiceId;
use crate::stack::membership::SourceFilter;
use crate::stack::port_table::Socket;

const HERE: InterfaceId = InterfaceId(0);
const GROUP: &str = "239.1.2.3";

/// A source of the test family: the one that `include(&[n])` names.
fn source(n: u8) -> Ipv4Addr {
    <V4 as crate::stack::gmp::test_family::TestFamily>::source(n)
}

fn table(sockets: &[(&str, ServiceId, bool)]) -> PortTable {
    let mut table = PortTable::new(1);
    for (local, service, multicast_all) in sockets {
        let socket = Socket::new(HERE, local.parse().unwrap(), *service);
        table.bind(Socket { multicast_all: *multicast_all, reuse_address: true, ..socket }).unwrap();
    }
    table
}

fn groups(members: &[(&str, ServiceId, SourceFilter<V4>)]) -> GroupTable<V4> {
    let entries = members.iter().map(|(g, s, f)| (Group::new(g.parse().unwrap()).unwrap(), *s, f.clone()));
    GroupTable::new(7, entries)
}

fn to(destination: &str, n: u8) -> ForMany<V4> {
    let destination: Ipv4Addr = destination.parse().unwrap();
    let cast = if destination.is_multicast() { Cast::Multicast } else { Cast::Broadcast };
    let flow = Flow { src: source(n), sport: 4000, dst: destination, dport: 7 };
    ForMany { interface: HERE, flow, cast }
}

/// Who hears it, asked in both ways.
#[track_caller]
fn heard(
    datagram: ForMany<V4>,
    groups: &GroupTable<V4>,
    table: &PortTable,
) -> Result<Vec<SocketId>, DropReason> {
    let mut everyone: Vec<SocketId> = all(&datagram, groups, table).collect();
    everyone.sort_unstable();
    assert!(everyone.len() <= table.audience_max());
    match first(&datagram, groups, table) {
        Ok(first) => {
            assert!(everyone.contains(&first.socket));
            assert_eq!(first.others, everyone.len() > 1);
            Ok(everyone)
        }
        Err(why) => {
            assert!(everyone.is_empty());
            Err(why)
        }
    }
}

// U13, RFC 1122 4.1.3.1: every matching socket; U19: never one bound to a unicast address, or to another group.
#[test]
fn every_socket_that_could_hear_a_group_does() {
    let table = table(&[
        ("0.0.0.0:7", 0, true),
        ("198.18.0.2:7", 1, true),
        ("239.1.2.3:7", 2, true),
        ("239.1.2.4:7", 3, true),
        ("0.0.0.0:7", 4, true),
        ("0.0.0.0:8", 5, true),
        ("239.1.2.3:7", 6, true),
    ]);
    let groups = groups(&[(GROUP, 0, SourceFilter::ANY)]);
    assert_eq!(heard(to(GROUP, 1), &groups, &table), Ok(vec![0, 2, 4, 6]));
    assert_eq!(heard(to("198.18.0.255", 1), &groups, &table), Ok(vec![0, 4]));
    // G04, RFC 1112 7.2: the host is always in the group of all hosts.
    assert_eq!(heard(to("224.0.0.1", 1), &groups, &table), Ok(vec![0, 4]));
    // E04: not joined by anyone.
    assert_eq!(heard(to("239.1.2.4", 1), &groups, &table), Err(DropReason::Ipv4GroupNotJoined));
}

// U16, RFC 3678 3: the row's own example, A EX{} and B IN{S1}; U17 beside it.
#[test]
fn each_socket_is_ruled_by_its_own_filter() {
    let table = table(&[("0.0.0.0:7", 0, true), ("0.0.0.0:7", 1, true), ("0.0.0.0:7", 2, true)]);
    let both = groups(&[(GROUP, 0, SourceFilter::ANY), (GROUP, 1, include(&[1]))]);
    assert_eq!(heard(to(GROUP, 1), &both, &table), Ok(vec![0, 1, 2]));
    assert_eq!(heard(to(GROUP, 2), &both, &table), Ok(vec![0, 2]));
    let excluding = groups(&[(GROUP, 0, exclude(&[2])), (GROUP, 1, exclude(&[2, 3]))]);
    assert_eq!(heard(to(GROUP, 3), &excluding, &table), Ok(vec![0, 2]));
    // RFC 9776 3.2: nobody's filter wants source 2, so the interface does not receive it, and no one hears it.
    assert_eq!(heard(to(GROUP, 2), &excluding, &table), Err(DropReason::GroupSourceFiltered));
}

// U17, ip(7) IP_MULTICAST_ALL.
#[test]
fn without_multicast_all_a_socket_hears_what_it_joined() {
    let table = table(&[("0.0.0.0:7", 0, false), ("239.1.2.3:7", 1, false), ("0.0.0.0:9", 2, true)]);
    let others = groups(&[(GROUP, 2, SourceFilter::ANY)]);
    assert_eq!(heard(to(GROUP, 1), &others, &table), Err(DropReason::UdpNoListener));
    assert_eq!(heard(to("224.0.0.1", 1), &others, &table), Err(DropReason::UdpNoListener));
    let own = groups(&[(GROUP, 1, SourceFilter::ANY), ("224.0.0.1", 0, include(&[1]))]);
    assert_eq!(heard(to(GROUP, 1), &own, &table), Ok(vec![1]));
    assert_eq!(heard(to("224.0.0.1", 1), &own, &table), Ok(vec![0]));
    assert_eq!(heard(to("224.0.0.1", 2), &own, &table), Err(DropReason::UdpSourceFiltered));
    // A broadcast is no group: every socket that is bound to any address.
    assert_eq!(heard(to("255.255.255.255", 1), &own, &table), Ok(vec![0]));
}

// RFC 9776 3.2 and U16: the interface lets a source in for one, and the others' filters keep it out for them.
#[test]
fn a_source_that_only_another_port_wants_is_filtered_by_every_socket() {
    let table = table(&[("0.0.0.0:7", 0, true), ("0.0.0.0:9", 1, true)]);
    let groups = groups(&[(GROUP, 0, include(&[1])), (GROUP, 1, include(&[2]))]);
    assert_eq!(heard(to(GROUP, 2), &groups, &table), Err(DropReason::UdpSourceFiltered));
    assert_eq!(heard(to(GROUP, 3), &groups, &table), Err(DropReason::GroupSourceFiltered));
}

// U19, U16: sockets that are bound to a group each, two of them to the same.
#[test]
fn of_sockets_with_a_group_each_those_of_its_group_hear_it() {
    let of = |last: u8| format!("239.1.2.{last}");
    let sockets = [3, 4, 5, 5].map(|last| format!("{}:7", of(last)));
    let table = table(&[
        (&sockets[0], 0, true),
        (&sockets[1], 1, true),
        (&sockets[2], 2, true),
        (&sockets[3], 3, true),
    ]);
    let groups = groups(&[
        (&of(3), 0, SourceFilter::ANY),
        (&of(4), 1, include(&[1, 3])),
        (&of(5), 2, SourceFilter::ANY),
        (&of(5), 3, exclude(&[1])),
        (&of(6), 0, SourceFilter::ANY),
    ]);
    assert_eq!(heard(to(&of(3), 1), &groups, &table), Ok(vec![0]));
    assert_eq!(heard(to(&of(4), 3), &groups, &table), Ok(vec![1]));
    assert_eq!(heard(to(&of(4), 2), &groups, &table), Err(DropReason::GroupSourceFiltered));
    assert_eq!(heard(to(&of(5), 2), &groups, &table), Ok(vec![2, 3]));
    assert_eq!(heard(to(&of(5), 1), &groups, &table), Ok(vec![2]));
    assert_eq!(heard(to(&of(6), 1), &groups, &table), Err(DropReason::UdpNoListener));
    assert_eq!(heard(to("198.18.0.255", 1), &groups, &table), Err(DropReason::UdpNoListener));
}

// U18, RFC 9776 2: sockets and memberships are of one interface.
#[test]
fn an_interface_is_not_another() {
    let table = table(&[("0.0.0.0:7", 0, true)]);
    let groups = groups(&[(GROUP, 0, SourceFilter::ANY)]);
    let elsewhere = ForMany { interface: InterfaceId(1), ..to(GROUP, 1) };
    assert_eq!(heard(elsewhere, &groups, &table), Err(DropReason::UdpNoListener));
}

// P08, Linux SO_REUSEPORT: whoever shares a port, a group's datagram is for all. U20, Linux __udp_is_mcast_sock: a connected
// socket hears its peer alone; P09: connected to the group, from which nothing ever comes, nobody.
#[test]
fn all_of_a_reuseport_group_hear_and_the_connected_hear_their_peers() {
    let mut table = PortTable::new(1);
    let at = |local: &str, service| Socket {
        reuse_port: true,
        ..Socket::new(None, local.parse().unwrap(), service)
    };
    let to_peer = |peer: SocketAddr, socket: Socket| Some(Socket { peer: Some(peer), ..socket });
    table.set(0, Some(at("0.0.0.0:7", 0)));
    table.set(1, Some(at("0.0.0.0:7", 1)));
    table.set(2, Some(at("239.1.2.3:7", 2)));
    table.set(3, to_peer(SocketAddr::new(source(1).into(), 4000), at("239.1.2.3:7", 3)));
    table.set(4, to_peer(SocketAddr::new(source(1).into(), 4001), at("239.1.2.3:7", 4)));
    table.set(5, to_peer("239.1.2.3:4000".parse().unwrap(), at("239.1.2.3:7", 5)));
    table.set(6, to_peer(SocketAddr::new(source(1).into(), 4000), at("198.18.0.2:7", 6)));
    let groups = groups(&[(GROUP, 0, SourceFilter::ANY)]);
    assert_eq!(heard(to(GROUP, 1), &groups, &table), Ok(vec![0, 1, 2, 3]));
    assert_eq!(heard(to(GROUP, 2), &groups, &table), Ok(vec![0, 1, 2]));
    // U18: on every interface, what was joined there.
    let elsewhere = ForMany { interface: InterfaceId(1), ..to(GROUP, 1) };
    assert_eq!(heard(elsewhere, &groups, &table), Ok(vec![0, 1, 2, 3]));
    let not_joined = GroupTable::default();
    assert_eq!(heard(elsewhere, &not_joined, &table), Err(DropReason::Ipv4GroupNotJoined));
}

// U17, P07, ip(7) IP_MULTICAST_ALL and ipv6(7) IPV6_MULTICAST_ALL: a dual-stack socket has both, each for its version.
#[test]
fn a_dual_stack_socket_has_a_flag_for_each_version() {
    let group6: core::net::Ipv6Addr = "ff05::7".parse().unwrap();
    let groups4 = groups(&[(GROUP, 9, SourceFilter::ANY)]);
    let members6 = [(Group::new(group6).unwrap(), 9, SourceFilter::ANY)];
    let groups6 = GroupTable::<V6>::new(7, members6.into_iter());
    for (four, six) in [(true, false), (false, true)] {
        let mut table = PortTable::new(1);
        let socket = Socket::new(None, "[::]:7".parse().unwrap(), 0);
        let version = crate::stack::port_table::Versions::Both;
        let options = Socket { multicast_all: four, multicast_all6: six, version, ..socket };
        table.set(0, Some(options));
        assert_eq!(first(&to(GROUP, 1), &groups4, &table).is_ok(), four);
        let flow = Flow { src: "2001:db8::9".parse().unwrap(), sport: 1, dst: group6, dport: 7 };
        let datagram = ForMany { interface: HERE, flow, cast: Cast::Multicast };
        assert_eq!(first(&datagram, &groups6, &table).is_ok(), six);
    }
}

#[derive(Clone, Debug)]
struct Case {
    sockets: Vec<(usize, ServiceId, bool)>,
    members: Vec<(usize, ServiceId, bool, Vec<u8>)>,
}

const LOCALS: [&str; 4] = ["0.0.0.0:7", "239.1.2.3:7", "239.1.2.4:7", "198.18.0.2:7"];
const GROUPS: [&str; 3] = ["239.1.2.3", "239.1.2.4", "224.0.0.1"];

fn cases() -> impl Strategy<Value = Case> {
    let socket = (0..LOCALS.len(), 0..5u32, any::<bool>());
    let member = (0..GROUPS.len(), 0..5u32, any::<bool>(), prop::collection::vec(0..4u8, 0..3));
    let (sockets, members) = (prop::collection::vec(socket, 0..6), prop::collection::vec(member, 0..8));
    (sockets, members).prop_map(|(mut sockets, mut members)| {
        // One option a service, one filter a service and group; sockets are bound service by service.
        sockets.sort_unstable_by_key(|(local, service, _)| (*service, *local));
        for i in 1..sockets.len() {
            if sockets[i].1 == sockets[i - 1].1 {
                sockets[i].2 = sockets[i - 1].2;
            }
        }
        members.sort_unstable();
        members.dedup_by_key(|(group, service, ..)| (*group, *service));
        members.retain(|(_, _, exclude, sources)| *exclude || !sources.is_empty());
        Case { sockets, members }
    })
}

/// ip(7) and `ip_mc_sf_allow`, in their order, a socket at a time: no table, no merge, nothing of ours.
fn model(case: &Case, destination: &str, n: u8) -> Vec<SocketId> {
    let addr: IpAddr = destination.parse().unwrap();
    let allows = |exclude: bool, sources: &[u8]| exclude != sources.contains(&n);
    let of = |group: usize| GROUPS[group] == destination;
    // ip_check_mc: the host is in the group, and someone wants the source.
    let in_group = destination == "224.0.0.1"
        || case.members.iter().any(|(group, _, ex, sources)| of(*group) && allows(*ex, sources));
    let hears = |(local, service, multicast_all): &(usize, ServiceId, bool)| {
        let bound: SocketAddr = LOCALS[*local].parse().unwrap();
        if !bound.ip().is_unspecified() && bound.ip() != addr {
            return false;
        }
        if !addr.is_multicast() {
            return true;
        }
        match case.members.iter().find(|(group, owner, ..)| of(*group) && owner == service) {
            Some((_, _, ex, sources)) => in_group && allows(*ex, sources),
            None => in_group && *multicast_all,
        }
    };
    (0..).zip(&case.sockets).filter(|(_, socket)| hears(socket)).map(|(id, _)| id).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    // U13, U16, U17, U19: for any sockets, memberships and datagrams.
    #[test]
    fn the_audience_is_who_linux_would_deliver_to(case in cases()) {
        let sockets: Vec<_> = case.sockets.iter().map(|(l, s, all)| (LOCALS[*l], *s, *all)).collect();
        let filter = |ex: bool, sources: &[u8]| if ex { exclude(sources) } else { include(sources) };
        let members: Vec<_> =
            case.members.iter().map(|(g, s, ex, sources)| (GROUPS[*g], *s, filter(*ex, sources))).collect();
        let (table, groups) = (table(&sockets), groups(&members));
        for destination in GROUPS.into_iter().chain(["239.9.9.9", "198.18.0.255", "255.255.255.255"]) {
            for n in 0..4 {
                let heard = heard(to(destination, n), &groups, &table).unwrap_or_default();
                prop_assert_eq!(heard, model(&case, destination, n), "to {} from {}", destination, n);
            }
        }
    }
}
