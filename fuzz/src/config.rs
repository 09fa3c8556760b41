//! The body: a text as a configuration.
//!
//! Nothing panics; each error has its place in the text and says something on one line; a plan holds what its types
//! cannot say: every number of a port, worker or service names one that is there.

use std::net::Ipv4Addr;
use std::path::Path;

use pollcast::config::{Config, Kind, Kinds, Machine, Plan};
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
        let on_link = |addr: Ipv4Addr| interface.addresses.iter().any(|cidr| cidr.contains(addr));
        assert!(!interface.addresses.is_empty(), "an interface without address");
        assert!(interface.port.index() < plan.ports.len());
        assert!(others().all(|other| other.name != interface.name), "two are called {}", interface.name);
        assert!(others().all(|other| (other.port, other.vlan) != (interface.port, interface.vlan)));
        assert!(others().flat_map(|other| &other.addresses).all(|cidr| !on_link(cidr.addr())));
        assert!(interface.gateway4.into_iter().all(|gateway| on_link(gateway.addr())));
        assert!(interface.routes.iter().all(|route| on_link(route.via.addr()) && route.to.len() > 0));
        assert!((68..=1500).contains(&interface.path_mtu_min) && interface.neighbors_max > 0);
        assert!(interface.path_mtu_min <= plan.ports[interface.port.index()].mtu);
    }
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
        assert!(service.groups.iter().all(|group| group.interface.index() < plan.interfaces.len()));
    }
    assert!(plan.reassembly.fragments_per_source <= plan.reassembly.fragments);
    let sum: u64 = plan.mbufs.items.iter().map(|(_, count)| u64::from(*count)).sum();
    assert!(u64::from(plan.mbufs.count) >= sum && sum > 0, "{} mbufs for {sum}", plan.mbufs.count);
}
