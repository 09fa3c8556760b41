//! `[[service]]`.

use core::net::Ipv4Addr;

use super::{check_name, groups, ipv4, port_by_name, workers};
use crate::config::error::{At, Place, Problems, one_of};
use crate::config::kinds::Kinds;
use crate::config::plan::{InterfacePlan, ListenPlan, PortPlan, ServicePlan, WorkerPlan};
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
        service.groups = groups::check(raw, &service.listen, interfaces, &mut joined, problems);
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
    let listen = check_listen(raw, &name, &among, before, ports, problems);
    ServicePlan {
        groups: Vec::new(),
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

fn check_listen(
    raw: &RawService,
    service: &str,
    among: &[InterfaceId],
    before: &[ServicePlan],
    ports: &[InterfacePlan],
    problems: &mut Problems,
) -> Vec<ListenPlan> {
    const REMEDY: &str = "give it a socket, as in listen = [\"0.0.0.0:7\"]";
    let Some(listen) = &raw.listen else {
        problems.add_missing(&raw.place, "listen", REMEDY);
        return Vec::new();
    };
    if listen.value.is_empty() {
        problems.add(&listen.place, "this service has no socket", REMEDY);
    }
    let mut sockets: Vec<ListenPlan> = Vec::new();
    for at in &listen.value {
        let Some(socket) = check_socket(at, among, ports, problems) else { continue };
        let shares = raw.reuse_address.as_ref().is_some_and(|at| at.value);
        match owner(&socket, (service, shares), &sockets, before) {
            Some(owner) => {
                let port = ports.get(owner.on.index()).map_or("", |port| port.name.as_str());
                owner.refuse(at, (service, shares), port, problems);
            }
            None => sockets.push(socket),
        }
    }
    sockets
}

/// Who already has the address and UDP port of a socket.
struct Owner {
    service: String,
    shares: bool,
    /// On which of the socket's ports.
    on: InterfaceId,
}

impl Owner {
    /// Notes that `service`, which `shares` its sockets or not, cannot have the socket written at `at`.
    fn refuse(self, at: &At<String>, (service, shares): (&str, bool), port: &str, problems: &mut Problems) {
        const APART: &str = "give each another UDP port, address or, with the key ports, port";
        let Self { service: owner, shares: owner_shares, .. } = self;
        let listed = &at.value;
        if owner == service {
            problems.add(&at.place, format!("{listed} is listed twice on port {port}"), APART);
            return;
        }
        let problem = format!("services {owner:?} and {service:?} both listen on {listed} of port {port}");
        let remedy = match (owner_shares, shares) {
            (false, false) => format!("{APART}; or set reuse_address = true in both, and both hear groups"),
            (true, _) => format!("{APART}; or set reuse_address = true in {service:?}, too"),
            (_, true) => format!("{APART}; or set reuse_address = true in {owner:?}, too"),
        };
        problems.add(&at.place, problem, remedy);
    }
}

/// Who has the address and UDP port of `socket`, which is of `service`, so that this cannot have it.
// U15, socket(7) SO_REUSEADDR: who shares a place shares it with those who do, too.
fn owner(
    socket: &ListenPlan,
    (service, shares): (&str, bool),
    own: &[ListenPlan],
    before: &[ServicePlan],
) -> Option<Owner> {
    let of_others = before.iter().filter(|other| !(shares && other.reuse_address));
    let of_others = of_others.flat_map(|other| {
        other.listen.iter().map(|listen| (other.name.as_str(), other.reuse_address, listen))
    });
    let mut sockets = own.iter().map(|listen| (service, shares, listen)).chain(of_others);
    sockets.find_map(|(name, shares, other)| {
        let same = (other.addr, other.udp_port) == (socket.addr, socket.udp_port);
        let on = *socket.interfaces.iter().find(|port| other.interfaces.contains(port))?;
        same.then(|| Owner { service: name.to_owned(), shares, on })
    })
}

fn check_socket(
    at: &At<String>,
    among: &[InterfaceId],
    ports: &[InterfacePlan],
    problems: &mut Problems,
) -> Option<ListenPlan> {
    let At { value, place } = at;
    let Some((addr, udp_port)) = value.rsplit_once(':') else {
        problems.add(place, format!("{value:?} is no socket"), "write ADDRESS:PORT, as in \"0.0.0.0:7\"");
        return None;
    };
    let addr = ipv4(addr, place, problems);
    let udp_port = check_udp_port(udp_port, place, problems);
    let (addr, udp_port) = (addr?, udp_port?);
    let ports = check_local(addr, place, among, ports, problems)?;
    Some(ListenPlan { addr, udp_port, interfaces: ports })
}

fn check_udp_port(text: &str, place: &Place, problems: &mut Problems) -> Option<u16> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse::<u16>().ok().filter(|&number| digits && number != 0);
    if number.is_none() {
        let problem = match text {
            "0" => "no datagram can be sent to UDP port 0".to_owned(),
            _ => format!("{text:?} is no UDP port"),
        };
        problems.add(place, problem, "use 1 to 65535");
    }
    number
}

/// The ports among `among` on which `addr` is ours: every one if it is unspecified, or (U19) a group, which is nobody's.
fn check_local(
    addr: Ipv4Addr,
    place: &Place,
    among: &[InterfaceId],
    ports: &[InterfacePlan],
    problems: &mut Problems,
) -> Option<Vec<InterfaceId>> {
    if addr.is_unspecified() || addr.is_multicast() {
        return Some(among.to_vec());
    }
    let chosen = || among.iter().filter_map(|id| Some((*id, ports.get(id.index())?)));
    let has_it = |port: &InterfacePlan| port.addresses.iter().any(|cidr| cidr.addr() == addr);
    let owners: Vec<InterfaceId> = chosen().filter(|(_, port)| has_it(port)).map(|(id, _)| id).collect();
    if !owners.is_empty() {
        return Some(owners);
    }
    // An address that was refused above may be the one that is missed here: one error is enough.
    if !problems.concern("addresses") && !problems.concern("ports") && !ports.is_empty() {
        let ours = chosen().flat_map(|(_, port)| &port.addresses).map(|cidr| cidr.addr().to_string());
        let ours: Vec<String> = ours.chain(["0.0.0.0".to_owned()]).collect();
        let remedy = format!("use {}", one_of(ours.iter().map(String::as_str)));
        let problem = match ports.iter().find(|port| has_it(port)) {
            Some(owner) => {
                format!("{addr} is an address of port {}, which the key ports leaves out", owner.name)
            }
            None => format!("{addr} is not an address of a port"),
        };
        problems.add(place, problem, remedy);
    }
    None
}
