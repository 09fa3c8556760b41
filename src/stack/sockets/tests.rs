//! Linux's rules, one after another; `tests/kernel/sockets_rules.rs` holds them against Linux itself.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::collections::BTreeSet;
use std::sync::Arc;

use super::*;
use crate::addr::{Cidr, Ipv4Cidr, MacAddr, Unicast, V6};
use crate::stack::net_view::{ChooseError, Narrow, ViewInterface};
use crate::stack::route::Routes;

const LIMITS: SocketLimits = SocketLimits { sockets: 100, memberships: 20, sources: 10, sources6: 64 };

/// Two interfaces: 198.18.0.2 and 2001:db8::2 on the first, 198.18.1.2 on the second.
fn view() -> NetView {
    let interface = |id: u16, v4: &str, v6: &[&str]| {
        let v4 = Ipv4Cidr::new(Unicast::new(v4.parse().unwrap()).unwrap(), 24).unwrap();
        let v6 = v6.iter().map(|a| Cidr::<V6>::new(Unicast::new(a.parse().unwrap()).unwrap(), 64).unwrap());
        ViewInterface {
            id: InterfaceId(id),
            name: format!("p{id}"),
            mtu: 1500,
            mac: MacAddr([2, 0, 0, 0, 0, 2]),
            v4: Arc::new(Routes::new(vec![v4], Vec::new())),
            v6: Arc::new(Routes::new(v6.collect(), Vec::new())),
            v4_paths: Narrow::default(),
            v6_paths: Narrow::default(),
            v4_on: true,
            v6_on: true,
        }
    };
    NetView {
        interfaces: vec![
            interface(0, "198.18.0.2", &["2001:db8::2", "fe80::2"]),
            interface(1, "198.18.1.2", &[]),
        ],
    }
}

fn truth() -> Sockets {
    let fixed = Socket::new(None, at("0.0.0.0:7"), 0);
    Sockets::new(LIMITS, &[fixed], Rng::new(5))
}

fn at(local: &str) -> SocketAddr {
    local.parse().unwrap()
}

fn local(of: &Sockets, id: SocketId) -> SocketAddr {
    of.place(id).unwrap().local
}

fn open(truth: &mut Sockets, local: &str, options: &[SocketOption]) -> Result<SocketId, BindError> {
    let id = truth.open(if at(local).is_ipv6() { Domain::V6 } else { Domain::V4 }).unwrap();
    options.iter().for_each(|option| truth.set(id, *option, &view()).unwrap());
    truth.bind(id, at(local), &view()).map(|()| id)
}

// U26, bind(2).
#[test]
fn a_socket_is_bound_to_an_address_of_the_host_or_to_any_or_to_a_group() {
    let mut truth = truth();
    for local in [
        "198.18.0.2:1",
        "198.18.1.2:1",
        "0.0.0.0:2",
        "239.1.2.3:3",
        "[2001:db8::2]:4",
        "[::]:5",
        "[ff0e::1]:6",
    ] {
        assert!(open(&mut truth, local, &[]).is_ok(), "{local}");
    }
    for local in ["198.18.0.1:1", "127.0.0.1:1", "[2001:db8::1]:1", "[::1]:1"] {
        assert_eq!(open(&mut truth, local, &[]), Err(BindError::NotOurs), "{local}");
    }
    // The configuration's socket has it.
    assert_eq!(open(&mut truth, "198.18.0.2:7", &[]), Err(BindError::InUse));
    let id = open(&mut truth, "0.0.0.0:8", &[]).unwrap();
    assert_eq!(truth.bind(id, at("0.0.0.0:9"), &view()), Err(BindError::AlreadyBound));
    let (v4, v6) = (truth.open(Domain::V4).unwrap(), truth.open(Domain::V6).unwrap());
    assert_eq!(truth.bind(v4, at("[::]:9"), &view()).unwrap_err().errno(), Errno::EAFNOSUPPORT);
    assert_eq!(truth.bind(v6, at("0.0.0.0:9"), &view()).unwrap_err().errno(), Errno::EINVAL);
}

// P12: an address of one link needs its scope, and puts the socket there.
#[test]
fn a_link_local_address_needs_its_scope() {
    let mut truth = truth();
    let without = open(&mut truth, "[fe80::2]:9", &[]).unwrap_err();
    assert_eq!(without, BindError::Scope);
    let id = open(&mut truth, "[fe80::2%1]:9", &[]).unwrap();
    assert_eq!(truth.socket(id).unwrap().interface, Some(InterfaceId(0)));
}

// P10, RFC 3493 5.3, Linux's selftest reuseport: who is in whose way on one port.
#[test]
fn a_place_is_taken_by_who_has_an_address_in_common() {
    const V6ONLY: &[SocketOption] = &[SocketOption::V6Only(true)];
    for (first, with, second, also, fits) in [
        ("0.0.0.0:9", &[][..], "0.0.0.0:9", &[][..], false),
        ("0.0.0.0:9", &[], "198.18.0.2:9", &[], false),
        ("198.18.0.2:9", &[], "198.18.1.2:9", &[], true),
        ("0.0.0.0:9", &[], "[::]:9", &[], false),
        ("[::]:9", &[], "198.18.0.2:9", &[], false),
        ("[::]:9", V6ONLY, "0.0.0.0:9", &[], true),
        ("0.0.0.0:9", &[], "[::]:9", V6ONLY, true),
        ("[::]:9", &[], "[::]:9", V6ONLY, false),
        ("[2001:db8::2]:9", &[], "0.0.0.0:9", &[], true),
        ("[2001:db8::2]:9", &[], "[::]:9", &[], false),
        ("[::ffff:198.18.0.2]:9", &[], "198.18.0.2:9", &[], false),
        ("[::ffff:198.18.0.2]:9", &[], "198.18.1.2:9", &[], true),
        ("[::ffff:198.18.0.2]:9", &[], "[::]:9", V6ONLY, true),
        ("0.0.0.0:9", &[SocketOption::Device(Some(InterfaceId(0)))], "0.0.0.0:9", &[], false),
        (
            "0.0.0.0:9",
            &[SocketOption::Device(Some(InterfaceId(0)))],
            "0.0.0.0:9",
            &[SocketOption::Device(Some(InterfaceId(1)))],
            true,
        ),
        ("0.0.0.0:9", &[SocketOption::ReuseAddress(true)], "0.0.0.0:9", &[], false),
        (
            "0.0.0.0:9",
            &[SocketOption::ReuseAddress(true)],
            "0.0.0.0:9",
            &[SocketOption::ReuseAddress(true)],
            true,
        ),
        ("0.0.0.0:9", &[SocketOption::ReusePort(true)], "0.0.0.0:9", &[SocketOption::ReusePort(true)], true),
        (
            "0.0.0.0:9",
            &[SocketOption::ReusePort(true)],
            "0.0.0.0:9",
            &[SocketOption::ReuseAddress(true)],
            false,
        ),
    ] {
        let mut truth = truth();
        open(&mut truth, first, with).unwrap();
        let outcome = open(&mut truth, second, also);
        assert_eq!(outcome.is_ok(), fits, "{second} {also:?} beside {first} {with:?}: {outcome:?}");
    }
}

// U25, RFC 6056 3.3.
#[test]
fn ephemeral_ports_are_random_and_used_once() {
    let mut truth = Sockets::new(SocketLimits { sockets: 2000, ..LIMITS }, &[], Rng::new(1));
    let mut ports = BTreeSet::new();
    let mut steps = 0;
    let mut last = 0;
    for _ in 0..1000 {
        let id = open(&mut truth, "0.0.0.0:0", &[]).unwrap();
        let udp_port = local(&truth, id).port();
        assert!((32_768..=60_999).contains(&udp_port) && ports.insert(udp_port));
        steps += usize::from(udp_port == last + 1);
        last = udp_port;
    }
    assert!(steps < 5, "not one after another");
}

#[test]
fn a_number_is_used_again_when_it_is_forgotten() {
    let mut truth = truth();
    let id = open(&mut truth, "0.0.0.0:9", &[]).unwrap();
    assert_eq!(id, 1, "after the configuration's");
    truth.close(id).unwrap();
    assert_eq!(truth.close(id), Err(Closed));
    assert_eq!(open(&mut truth, "0.0.0.0:9", &[]), Ok(2), "its place is free at once");
    truth.forget(id);
    assert_eq!(truth.open(Domain::V4), Ok(1));
}

// U20, P09, connect(2).
#[test]
fn connect_chooses_the_address_and_unspec_gives_it_up() {
    let mut truth = truth();
    let id = truth.open(Domain::V4).unwrap();
    truth.connect(id, at("198.18.1.1:53"), &ConnectOptions::default(), &view()).unwrap();
    let Place { local: bound, peer, .. } = truth.place(id).unwrap();
    assert_eq!((bound.ip(), peer), (at("198.18.1.2:0").ip(), Some(at("198.18.1.1:53"))));
    assert!(bound.port() >= 32_768);
    truth.disconnect(id).unwrap();
    assert_eq!(local(&truth, id), at("0.0.0.0:0"), "what was not named is given up");
    assert_eq!(truth.socket(id), None);
    let id = open(&mut truth, "0.0.0.0:9", &[]).unwrap();
    truth.connect(id, at("198.18.0.1:53"), &ConnectOptions::default(), &view()).unwrap();
    assert_eq!(local(&truth, id), at("198.18.0.2:9"));
    truth.disconnect(id).unwrap();
    assert_eq!(local(&truth, id), at("0.0.0.0:9"));
    assert_eq!(truth.place(id).unwrap().peer, None);
    let away = truth.connect(id, at("203.0.113.1:53"), &ConnectOptions::default(), &view()).unwrap_err();
    assert_eq!(away, ConnectError::NoWay(ChooseError::NetworkUnreachable));
    assert_eq!(
        truth.connect(id, at("[2001:db8::1]:53"), &ConnectOptions::default(), &view()),
        Err(ConnectError::Family)
    );
    let id = truth.open(Domain::V6).unwrap();
    truth.connect(id, at("[::ffff:198.18.0.1]:53"), &ConnectOptions::default(), &view()).unwrap();
    assert_eq!(local(&truth, id).ip(), at("[::ffff:198.18.0.2]:0").ip());
}

/// What becomes of a group to which these changes are made, one after another: the last one's outcome. `None`: it is left.
fn after(changes: &[MemberChange]) -> Result<Option<Wanted>, MemberError> {
    let mut truth = truth();
    let id = open(&mut truth, "0.0.0.0:9", &[]).unwrap();
    let group = (at("239.1.2.3:0").ip(), Some(InterfaceId(0)));
    let mut last = Err(MemberError::Closed);
    for change in changes {
        let proposed = truth.member(id, group, change, &view());
        last = proposed.and_then(|proposed| {
            let (result, wanted) = (proposed.result, proposed.wanted.clone());
            truth.note(id, proposed);
            result.map(|()| wanted.unwrap().2)
        });
    }
    last
}

// P01, P02, P06, RFC 3678 4.1.3; Linux `ip_mc_join_group`, `ip_mc_source`, `ip_mc_msfilter`.
#[test]
fn memberships_change_as_linux_changes_them() {
    use MemberChange::{Block, Join, JoinSource, Leave, LeaveSource, SetFilter, Unblock};
    let (a, b) = (at("198.18.0.1:0").ip(), at("198.18.0.9:0").ip());
    let include = |sources: &[IpAddr]| Ok(Some((FilterMode::Include, sources.iter().copied().collect())));
    let exclude = |sources: &[IpAddr]| Ok(Some((FilterMode::Exclude, sources.iter().copied().collect())));
    for (changes, expected) in [
        (vec![Join], exclude(&[])),
        (vec![Join, Join], Err(MemberError::AlreadyJoined)),
        (vec![Leave], Err(MemberError::NotJoined)),
        (vec![Join, Leave, Leave], Err(MemberError::NotJoined)),
        (vec![JoinSource(a)], include(&[a])),
        (vec![JoinSource(a), JoinSource(b)], include(&[a, b])),
        (vec![JoinSource(a), JoinSource(a)], Err(MemberError::SourceNamed)),
        (vec![JoinSource(a), Join], Err(MemberError::AlreadyJoined)),
        (vec![JoinSource(a), LeaveSource(b)], Err(MemberError::SourceNotNamed)),
        (vec![JoinSource(a), LeaveSource(a)], Ok(None)),
        (vec![JoinSource(a), LeaveSource(a), Leave], Err(MemberError::NotJoined)),
        (vec![LeaveSource(a)], Err(MemberError::NoSources)),
        (vec![Block(a)], Err(MemberError::NoSources)),
        (vec![Join, Block(a)], exclude(&[a])),
        (vec![Join, Block(a), Unblock(a)], exclude(&[])),
        (vec![Join, Unblock(a)], Err(MemberError::SourceNotNamed)),
        (vec![Join, JoinSource(a)], include(&[a])),
        (vec![Join, JoinSource(a), Block(b)], Err(MemberError::OtherMode)),
        (vec![Join, Block(a), JoinSource(b)], Err(MemberError::OtherMode)),
        (vec![SetFilter(FilterMode::Include, vec![a])], Err(MemberError::NoSources)),
        (vec![Join, SetFilter(FilterMode::Include, vec![b, a])], include(&[a, b])),
        (vec![Join, SetFilter(FilterMode::Include, vec![]), Leave], Err(MemberError::NotJoined)),
    ] {
        assert_eq!(after(&changes), expected, "{changes:?}");
    }
}

// P01, P03, P04.
#[test]
fn a_join_is_for_a_group_on_an_interface_and_within_limits() {
    let mut truth = truth();
    let id = open(&mut truth, "0.0.0.0:9", &[]).unwrap();
    let mut join = |group: &str, interface: Option<u16>| {
        let place = (at(group).ip(), interface.map(InterfaceId));
        let proposed = truth.member(id, place, &MemberChange::Join, &view())?;
        truth.note(id, proposed);
        Ok(())
    };
    assert_eq!(join("198.18.0.1:0", Some(0)), Err(MemberError::NotAGroup));
    assert_eq!(join("239.1.2.3:0", Some(7)), Err(MemberError::NoInterface));
    assert_eq!(join("239.1.2.3:0", None), Err(MemberError::NoInterface), "no route leads there");
    assert_eq!(join("[ff0e::1]:0", Some(0)), Err(MemberError::NoSuchOption));
    assert_eq!(join("224.0.0.1:0", Some(0)), Ok(()));
    for n in 1..20 {
        assert_eq!(join(&format!("239.1.2.{n}:0"), Some(0)), Ok(()));
    }
    assert_eq!(join("239.1.2.77:0", Some(0)), Err(MemberError::TooManyMemberships));
    assert_eq!(join("239.1.2.1:0", Some(0)), Err(MemberError::AlreadyJoined), "that comes first");
    let sources: Vec<IpAddr> = (1..12).map(|n| IpAddr::V4(Ipv4Addr::new(198, 18, 0, n))).collect();
    let group = (at("239.1.2.1:0").ip(), Some(InterfaceId(0)));
    let eleven = MemberChange::SetFilter(FilterMode::Include, sources);
    assert_eq!(truth.member(id, group, &eleven, &view()), Err(MemberError::TooManySources));
    let left = truth.close(id).unwrap();
    assert_eq!(left.len(), 20);
}

// P02, Linux `ip_mc_source`: the mode changes before the source is looked for; it is then joined for no source.
#[test]
fn a_source_that_is_not_there_may_change_the_mode_all_the_same() {
    let mut truth = truth();
    let id = open(&mut truth, "0.0.0.0:9", &[]).unwrap();
    let group = (at("239.1.2.3:0").ip(), Some(InterfaceId(0)));
    let joined = truth.member(id, group, &MemberChange::Join, &view()).unwrap();
    truth.note(id, joined);
    let leave = MemberChange::LeaveSource(at("198.18.0.1:0").ip());
    let proposed = truth.member(id, group, &leave, &view()).unwrap();
    assert_eq!(proposed.result, Err(MemberError::SourceNotNamed));
    let for_nobody = Some((FilterMode::Include, BTreeSet::new()));
    assert_eq!(proposed.wanted, Some((InterfaceId(0), group.0, for_nobody)), "joined, and not left");
    truth.note(id, proposed);
    assert_eq!(truth.filter(id, group, &view()), Ok((FilterMode::Include, Vec::new())));
}

// P06: the sources come back in the order in which they were named.
#[test]
fn sources_are_told_in_the_order_in_which_they_were_named() {
    let mut truth = truth();
    let id = open(&mut truth, "0.0.0.0:9", &[]).unwrap();
    let group = (at("232.1.2.3:0").ip(), Some(InterfaceId(0)));
    let sources: Vec<IpAddr> = [9, 1, 5].map(|n| IpAddr::V4(Ipv4Addr::new(198, 18, 0, n))).into();
    for source in &sources {
        let proposed = truth.member(id, group, &MemberChange::JoinSource(*source), &view()).unwrap();
        truth.note(id, proposed);
    }
    assert_eq!(truth.filter(id, group, &view()), Ok((FilterMode::Include, sources)));
}

// U26: whoever comes looks at kinds, not at sockets; and those on one port and sharing it are one kind.
#[test]
fn sixty_thousand_sockets_on_a_port_and_all_ephemeral_ports() {
    const MANY: usize = 60_000;
    let mut truth = Sockets::new(SocketLimits { sockets: 2 * MANY, ..LIMITS }, &[], Rng::new(1));
    for _ in 0..MANY {
        open(&mut truth, "0.0.0.0:9", &[SocketOption::ReuseAddress(true)]).unwrap();
    }
    assert_eq!(truth.ports.kinds_on(9), 1);
    for _ in 32_768..61_000 {
        open(&mut truth, "198.18.0.2:0", &[]).unwrap();
    }
    assert_eq!(open(&mut truth, "0.0.0.0:0", &[]), Err(BindError::NoPort));
    assert!(open(&mut truth, "198.18.1.2:0", &[]).is_ok(), "another address");
}
