//! The body: a text as a configuration.
//!
//! Nothing panics; each error has its place in the text and says something on one line; a plan holds what its types
//! cannot say: every number of a port, worker or service names one that is there.

use std::path::Path;

use pollcast::config::{Config, Kind, Kinds, Machine, Plan};
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

fn check_plan(plan: &Plan) {
    assert!(!plan.workers.is_empty() && !plan.ports.is_empty(), "a plan for nothing");
    assert!((1..=64).contains(&plan.burst));
    for port in &plan.ports {
        assert!(!port.workers.is_empty(), "a port without worker");
        assert!(port.workers.iter().all(|worker| *worker < plan.workers.len()));
        assert!(port.mac.is_none_or(|mac| mac.is_unicast()));
    }
    for interface in &plan.interfaces {
        assert!(!interface.addresses.is_empty(), "an interface without address");
        assert!(interface.port.index() < plan.ports.len());
    }
    for worker in &plan.workers {
        assert!(worker.ports.iter().all(|port| port.index() < plan.ports.len()));
    }
    for service in &plan.services {
        assert!(service.listen.iter().all(|l| l.udp_port != 0 && !l.interfaces.is_empty()));
        assert!(service.listen.iter().flat_map(|l| &l.interfaces).all(|i| i.index() < plan.interfaces.len()));
        assert!(service.groups.iter().all(|group| group.interface.index() < plan.interfaces.len()));
    }
    let sum: u64 = plan.mbufs.items.iter().map(|(_, count)| u64::from(*count)).sum();
    assert!(u64::from(plan.mbufs.count) >= sum && sum > 0, "{} mbufs for {sum}", plan.mbufs.count);
}
