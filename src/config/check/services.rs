//! `[[service]]`.

use super::{check_name, groups, listen, port_by_name, workers};
use crate::config::error::{At, Problems};
use crate::config::kinds::Kinds;
use crate::config::plan::{InterfacePlan, PortPlan, ServicePlan, WorkerPlan};
use crate::config::raw::RawService;
use crate::io::InterfaceId;

pub(super) fn check(
    raw: &[RawService],
    all_workers: &[WorkerPlan],
    (ports, interfaces): (&[PortPlan], &[InterfacePlan]),
    kinds: &Kinds,
    problems: &mut Problems,
) -> Vec<ServicePlan> {
    let mut services: Vec<ServicePlan> = Vec::new();
    let mut joined = groups::Joined::default();
    for raw in raw {
        let mut service = check_service(raw, &services, interfaces, kinds, problems);
        (service.groups4, service.groups6) =
            groups::check(raw, &service.listen, interfaces, &mut joined, problems);
        service.workers = workers::of_service(raw.cpus.as_ref(), all_workers, problems);
        if let Some(cpus) = &raw.cpus {
            check_homes(cpus, &service, all_workers, (ports, interfaces), problems);
        }
        services.push(service);
    }
    services
}

/// A service answers by the queues of the workers on which it lives: one of them must serve each of its ports.
fn check_homes(
    cpus: &At<Vec<At<i64>>>,
    service: &ServicePlan,
    all_workers: &[WorkerPlan],
    (ports, interfaces): (&[PortPlan], &[InterfacePlan]),
    problems: &mut Problems,
) {
    // Who serves what is not known while there is an error in it.
    if problems.concern("cpus") {
        return;
    }
    let mut of_ports: Vec<usize> = service
        .listen
        .iter()
        .flat_map(|listen| &listen.interfaces)
        .filter_map(|id| interfaces.get(id.index()))
        .map(|interface| interface.port.index())
        .collect();
    of_ports.sort_unstable();
    of_ports.dedup();
    for port in of_ports.into_iter().filter_map(|port| ports.get(port)) {
        if port.workers.iter().any(|worker| service.workers.contains(worker)) {
            continue;
        }
        let list = |workers: &[usize]| {
            let cpus = workers.iter().filter_map(|w| all_workers.get(*w)).map(|w| w.cpu.to_string());
            cpus.collect::<Vec<_>>().join(", ")
        };
        let problem = format!("no worker of this service serves port {}, on which it listens", port.name);
        let remedy = format!(
            "add one of {} to these, one of {} to the port's cpus, or leave the port out with the key ports",
            list(&port.workers),
            list(&service.workers)
        );
        problems.add(&cpus.place, problem, remedy);
    }
}

fn check_service(
    raw: &RawService,
    before: &[ServicePlan],
    ports: &[InterfacePlan],
    kinds: &Kinds,
    problems: &mut Problems,
) -> ServicePlan {
    let kind = raw.kind.as_ref().and_then(|kind| kinds.find(kind, problems));
    if raw.kind.is_none() {
        problems.add_missing(&raw.place, "kind", "say what it does, as in kind = \"echo\"");
    }
    let name = service_name(raw, before, problems);
    let among = listening_ports(raw, ports, problems);
    let listen = listen::check(raw, &name, &among, before, ports, problems);
    ServicePlan {
        groups4: Vec::new(),
        groups6: Vec::new(),
        options: kind.map(|kind| kind.check(&raw.place, &raw.own, problems)).unwrap_or_default(),
        kind: raw.kind.as_ref().map(|kind| kind.value.clone()).unwrap_or_default(),
        reply: raw.reply.as_ref().map(|at| at.value).unwrap_or_default(),
        path_mtu_discovery: raw.path_mtu_discovery.as_ref().map(|at| at.value).unwrap_or_default(),
        // U17, ip(7) IP_MULTICAST_ALL: on, as on Linux.
        multicast_all: raw.multicast_all.as_ref().is_none_or(|at| at.value),
        reuse_address: raw.reuse_address.as_ref().is_some_and(|at| at.value),
        workers: Vec::new(),
        name,
        listen,
    }
}

/// Its name; else its kind, with a number from the second on.
fn service_name(raw: &RawService, before: &[ServicePlan], problems: &mut Problems) -> String {
    let taken = |name: &str| before.iter().any(|service| service.name == name);
    if let Some(name) = &raw.name {
        check_name(name, problems);
        if taken(&name.value) {
            let problem = format!("another service is called {:?}", name.value);
            problems.add(&name.place, problem, "give each a name of its own");
        }
        return name.value.clone();
    }
    let kind = raw.kind.as_ref().map_or("service", |kind| kind.value.as_str());
    let numbered = (2..).map(|number| format!("{kind}-{number}"));
    core::iter::once(kind.to_owned()).chain(numbered).find(|name| !taken(name)).unwrap_or_default()
}

/// The ports that the key `ports` leaves: all if it is absent.
fn listening_ports(raw: &RawService, ports: &[InterfacePlan], problems: &mut Problems) -> Vec<InterfaceId> {
    let id = |index: usize| InterfaceId(u16::try_from(index).unwrap_or(u16::MAX));
    let Some(names) = &raw.ports else { return (0..ports.len()).map(id).collect() };
    if names.value.is_empty() {
        problems.add(
            &names.place,
            "this service listens on no port",
            "name one, or leave the key out for all",
        );
    }
    let mut chosen = Vec::new();
    for name in &names.value {
        let Some(port) = port_by_name(name, ports, problems).map(id) else { continue };
        if chosen.contains(&port) {
            problems.add(&name.place, format!("port {} is named twice", name.value), "name each port once");
        } else {
            chosen.push(port);
        }
    }
    chosen.sort_unstable();
    chosen
}
