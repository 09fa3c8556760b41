//! Who has a copy, for any sockets, memberships, datagrams and workers, against a model of Linux's rules.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use proptest::prelude::*;

use pollcast::io::{DropReason, InterfaceId};
use pollcast::rng::Rng;
use pollcast::stack::membership::SourceFilter;

use crate::delivery_common::*;

/// A random host: services with sockets, options, memberships and homes.
#[derive(Clone, Debug)]
struct Plan {
    workers: u16,
    services: Vec<PlannedService>,
    datagrams: Vec<(usize, u8, bool)>,
}

#[derive(Clone, Debug)]
struct PlannedService {
    locals: BTreeSet<usize>,
    multicast_all: bool,
    lives_on: BTreeSet<usize>,
    /// Mode (true: exclude) and sources, by group.
    memberships: BTreeMap<usize, (bool, BTreeSet<u8>)>,
    habit: u8,
}

const LOCALS: [&str; 5] =
    ["0.0.0.0:5000", "239.1.2.3:5000", "239.1.2.4:5000", "198.18.0.2:5000", "0.0.0.0:6000"];
const GROUPS: [&str; 4] = ["239.1.2.3", "239.1.2.4", "232.1.2.3", "224.0.0.1"];
const TO: [&str; 7] =
    ["239.1.2.3", "239.1.2.4", "232.1.2.3", "224.0.0.1", "198.18.0.255", "255.255.255.255", "198.18.0.2"];

fn plans() -> impl Strategy<Value = Plan> {
    let sources = prop::collection::btree_set(0..4u8, 0..3);
    let service = (
        prop::collection::btree_set(0..LOCALS.len(), 1..3),
        any::<bool>(),
        prop::collection::btree_set(0..4usize, 0..3),
        prop::collection::btree_map(0..GROUPS.len(), (any::<bool>(), sources), 0..3),
        0..4u8,
    );
    let service = service.prop_map(|(locals, multicast_all, lives_on, memberships, habit)| PlannedService {
        locals,
        multicast_all,
        lives_on,
        memberships,
        habit,
    });
    let datagram = (0..TO.len(), 0..4u8, any::<bool>());
    (1..5u16, prop::collection::vec(service, 1..6), prop::collection::vec(datagram, 1..80)).prop_map(
        |(workers, mut services, datagrams)| {
            for service in &mut services {
                service.lives_on.retain(|worker| *worker < usize::from(workers));
                // G48, RFC 4604: no EXCLUDE there; and INCLUDE of nobody is no membership.
                service.memberships.retain(|group, (exclude, sources)| {
                    !(*exclude && *group == 2) && (*exclude || !sources.is_empty())
                });
            }
            Plan { workers, services, datagrams }
        },
    )
}

fn source(n: u8) -> Ipv4Addr {
    Ipv4Addr::new(198, 18, 0, 10 + n)
}

/// How many copies each service has of a datagram: ip(7), RFC 3678 3, and `ip_mc_sf_allow`, written down anew.
fn copies(plan: &Plan, to: usize, from: u8, port: u16) -> Vec<usize> {
    let allows = |(exclude, sources): &(bool, BTreeSet<u8>)| *exclude != sources.contains(&from);
    let (addr, is_group) = (TO[to], to < GROUPS.len());
    let bound_here = |local: usize| LOCALS[local].ends_with(&format!(":{port}"));
    let is_any = |local: usize| LOCALS[local].starts_with("0.0.0.0");
    let is_exact = |local: usize| LOCALS[local].starts_with(&format!("{addr}:"));
    if addr == "198.18.0.2" {
        // U12, U15: the address before any; of several the last.
        let last = |right: &dyn Fn(usize) -> bool| {
            plan.services.iter().rposition(|s| s.locals.iter().any(|l| bound_here(*l) && right(*l)))
        };
        let one = last(&is_exact).or_else(|| last(&is_any));
        return (0..plan.services.len()).map(|i| usize::from(Some(i) == one)).collect();
    }
    let joined = |s: &PlannedService| s.memberships.get(&to).cloned();
    let admitted =
        !is_group || addr == "224.0.0.1" || plan.services.iter().filter_map(joined).any(|m| allows(&m));
    let of = |service: &PlannedService| {
        let wants = !is_group || joined(service).map_or(service.multicast_all, |m| allows(&m));
        let could = |l: &&usize| bound_here(**l) && (is_any(**l) || is_exact(**l));
        if admitted && wants { service.locals.iter().filter(could).count() } else { 0 }
    };
    plan.services.iter().map(of).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    // U13, U15, U16, U17, U19: whoever should have a copy has one, whatever lives where; the world checks after every
    // turn that no packet is lost and none is doubled.
    #[test]
    fn whoever_should_have_a_copy_has_one(plan in plans()) {
        let tested = |(i, planned): (usize, &PlannedService)| {
            let listen: Vec<_> = planned.locals.iter().map(|l| LOCALS[*l]).collect();
            let habit = [Habit::Read, Habit::Echo, Habit::Shout, Habit::Refuse][usize::from(planned.habit)];
            let mut service = Tested::new(&format!("s{i}"), &listen, habit);
            service.options.multicast_all = planned.multicast_all;
            service.options.workers = planned.lives_on.iter().copied().collect();
            for (group, (exclude, sources)) in &planned.memberships {
                let sources = sources.iter().map(|n| source(*n)).collect();
                let filter =
                    if *exclude { SourceFilter::Exclude(sources) } else { SourceFilter::Include(sources) };
                let group = GROUPS[*group].parse().unwrap();
                service.options = service.options.wanting(InterfaceId(0), group, filter);
            }
            service
        };
        let services = plan.services.iter().enumerate().map(tested).collect();
        let (mut world, seen) = world(14, plan.workers, services);
        let mut expected: Vec<Vec<Vec<u8>>> = vec![Vec::new(); plan.services.len()];
        let mut rng = Rng::new(plan.datagrams.len() as u64);
        for (number, (to, from, low)) in plan.datagrams.iter().enumerate() {
            let port = if *low { 5000 } else { 6000 };
            let payload = format!("datagram {number}").into_bytes();
            for (expected, copies) in expected.iter_mut().zip(copies(&plan, *to, *from, port)) {
                expected.extend(vec![payload.clone(); copies]);
            }
            let flow = 30_000 + rng.below(8);
            let (from, to) = (format!("{}:{flow}", source(*from)), format!("{}:{port}", TO[*to]));
            world.inject(0, &frame(&from, &to, &payload));
            if rng.below(3) == 0 {
                world.settle();
            }
        }
        world.settle();
        for (i, (seen, mut expected)) in seen.iter().zip(expected).enumerate() {
            let mut seen = payloads(seen);
            seen.sort_unstable();
            expected.sort_unstable();
            prop_assert_eq!(seen, expected, "service {} of {:?}", i, plan);
        }
        prop_assert_eq!(world.drops(DropReason::HandOverQueueFull) + world.drops(DropReason::NoBuffer), 0);
    }
}
