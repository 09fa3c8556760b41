//! The body: a text as a configuration.
//!
//! Nothing panics; each error has its place in the text and says something on one line; a plan holds what its types
//! cannot say: every number of a port, worker or service names one that is there.

use std::net::Ipv6Addr;
use std::path::Path;

use pollcast::addr::Family;
use pollcast::config::{Config, InetPlan, Kind, Kinds, Machine, Plan};
use pollcast::io::PortId;
use pollcast::service::EchoOptions;

/// Reads and checks `text`, and returns whether it made a plan.
pub fn fuzz_config(text: &str) -> bool {
    let kinds = Kinds::new().with(Kind::of::<EchoOptions>("echo", EchoOptions::KEYS));
    let read = Config::parse(text, Path::new("fuzz.toml"));
    match read.and_then(|config| config.check(&Machine::new([0, 1]), &kinds)) {
        Ok(plan) => check_plan(&plan),
        Err(errors) => {
            assert!(errors.iter().next().is_some(), "refused without an error");
            for error in &errors {
                let place = error.position.expect("an error in a text has a place");
                let lines = text.split('\n').count();
                assert!(
                    place.line >= 1 && place.line <= lines && place.column >= 1,
                    "{place:?} of {lines} lines"
                );
                assert!(!error.problem.is_empty(), "an error that says nothing");
                assert!(!error.to_string().contains(char::is_control), "an error of more than one line");
            }
            return false;
        }
    }
    true
}

/// Each port has one, each VLAN of a port is one, and none has another's name or address.
fn check_interfaces(plan: &Plan) {
    let all = || plan.interfaces.iter();
    for (id, port) in (0..).map(PortId).zip(&plan.ports) {
        assert!(all().any(|i| i.port == id), "a port without an interface");
        assert_eq!(port.tagged, all().any(|i| i.port == id && i.vlan.is_some()));
    }
    for (index, interface) in all().enumerate() {
        let others = || all().take(index);
        let has_v6 = interface.addressing6.is_some();
        assert!(has_v6 || !interface.v4.addresses.is_empty(), "an interface without address");
        assert!(has_v6 || interface.v6 == InetPlan::default(), "IPv6 where it is off");
        check_inet(&interface.v4, others().map(|other| &other.v4), |_| false);
        check_inet(&interface.v6, others().map(|other| &other.v6), Ipv6Addr::is_unicast_link_local);
        let statics = interface.addressing6.as_ref().map(|with| &with.statics);
        assert!(statics.is_none_or(|statics| *statics == interface.v6.addresses));
        assert!(interface.port.index() < plan.ports.len());
        assert!(others().all(|other| other.name != interface.name), "two are called {}", interface.name);
        assert!(others().all(|other| (other.port, other.vlan) != (interface.port, interface.vlan)));
        assert!((68..=1500).contains(&interface.path_mtu_min) && interface.neighbors_max > 0);
        let mtu = plan.ports[interface.port.index()].mtu;
        assert!(interface.path_mtu_min <= mtu && (mtu >= 1280 || !has_v6));
    }
}

/// No address is another's, and every router is a neighbour: on a prefix, or, as `is_near` says, by its address alone.
fn check_inet<'a, F: Family>(
    inet: &InetPlan<F>,
    mut others: impl Iterator<Item = &'a InetPlan<F>>,
    is_near: impl Fn(&F::Addr) -> bool,
) {
    let has = |inet: &InetPlan<F>, addr| inet.addresses.iter().any(|own| own.addr() == addr);
    let near = |addr: F::Addr| is_near(&addr) || inet.addresses.iter().any(|own| own.contains(addr));
    assert!(
        others.all(|other| inet.addresses.iter().all(|own| !has(other, own.addr()))),
        "one address twice"
    );
    assert!(
        inet.addresses.iter().all(|own| !is_near(&own.addr())),
        "a link-local address that is configured"
    );
    assert!(inet.gateway.into_iter().all(|gateway| near(gateway.addr())));
    assert!(inet.routes.iter().all(|route| near(route.via.addr()) && route.to.len() > 0));
}

fn check_plan(plan: &Plan) {
    assert!(!plan.workers.is_empty() && !plan.ports.is_empty(), "a plan for nothing");
    assert!((1..=64).contains(&plan.burst));
    for port in &plan.ports {
        assert!(!port.workers.is_empty(), "a port without worker");
        assert!(port.workers.iter().all(|worker| *worker < plan.workers.len()));
        assert!(port.mac.is_none_or(|mac| mac.is_unicast()));
    }
    check_interfaces(plan);
    for worker in &plan.workers {
        assert!(worker.ports.iter().all(|port| port.index() < plan.ports.len()));
    }
    for service in &plan.services {
        assert!(service.listen.iter().all(|l| l.udp_port != 0 && !l.interfaces.is_empty()));
        assert!(service.listen.iter().flat_map(|l| &l.interfaces).all(|i| i.index() < plan.interfaces.len()));
        let on4 = service.groups4.iter().map(|group| group.interface);
        let on6 = service.groups6.iter().map(|group| group.interface);
        assert!(on4.chain(on6.clone()).all(|interface| interface.index() < plan.interfaces.len()));
        assert!(on6.into_iter().all(|on| plan.interfaces[on.index()].addressing6.is_some()));
    }
    assert!(plan.reassembly.fragments_per_source <= plan.reassembly.fragments);
    let sum: u64 = plan.mbufs.items.iter().map(|(_, count)| u64::from(*count)).sum();
    assert!(u64::from(plan.mbufs.count) >= sum && sum > 0, "{} mbufs for {sum}", plan.mbufs.count);
}
