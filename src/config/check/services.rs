//! `[[service]]`.

use core::net::Ipv4Addr;

use super::{check_name, groups, ipv4, port_by_name};
use crate::config::error::{At, Place, Problems, one_of};
use crate::config::kinds::Kinds;
use crate::config::plan::{InterfacePlan, ListenPlan, ServicePlan};
use crate::config::raw::RawService;
use crate::io::InterfaceId;

pub(super) fn check(
    raw: &[RawService],
    ports: &[InterfacePlan],
    kinds: &Kinds,
    problems: &mut Problems,
) -> Vec<ServicePlan> {
    let mut services: Vec<ServicePlan> = Vec::new();
    let mut joined = groups::Joined::default();
    for raw in raw {
        let mut service = check_service(raw, &services, ports, kinds, problems);
        service.groups = groups::check(raw, &service.listen, ports, &mut joined, problems);
        services.push(service);
    }
    services
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
        if let Some((owner, port)) = owner(&socket, service, &sockets, before) {
            let port = ports.get(port.index()).map_or("", |port| port.name.as_str());
            let problem = if owner == service {
                format!("{} is listed twice on port {port}", at.value)
            } else {
                format!("services {owner:?} and {service:?} both listen on {} of port {port}", at.value)
            };
            let remedy = "give each another UDP port, address or, with the key ports, port";
            problems.add(&at.place, problem, remedy);
        } else {
            sockets.push(socket);
        }
    }
    sockets
}

/// Who already has the address and UDP port of `socket`, and on which of its ports.
fn owner(
    socket: &ListenPlan,
    service: &str,
    own: &[ListenPlan],
    before: &[ServicePlan],
) -> Option<(String, InterfaceId)> {
    let of_others =
        before.iter().flat_map(|other| other.listen.iter().map(|listen| (other.name.as_str(), listen)));
    let mut sockets = own.iter().map(|listen| (service, listen)).chain(of_others);
    sockets.find_map(|(name, other)| {
        let same = (other.addr, other.udp_port) == (socket.addr, socket.udp_port);
        let shared = socket.interfaces.iter().find(|port| other.interfaces.contains(port))?;
        same.then(|| (name.to_owned(), *shared))
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
    let ports = check_local(addr, udp_port, place, among, ports, problems)?;
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

/// The ports among `among` on which `addr` is ours: every one if it is unspecified.
fn check_local(
    addr: Ipv4Addr,
    udp_port: u16,
    place: &Place,
    among: &[InterfaceId],
    ports: &[InterfacePlan],
    problems: &mut Problems,
) -> Option<Vec<InterfaceId>> {
    if addr.is_unspecified() {
        return Some(among.to_vec());
    }
    if addr.is_multicast() {
        let remedy = format!("listen on \"0.0.0.0:{udp_port}\" and list the group in groups");
        problems.add(place, format!("{addr} is a group"), remedy);
        return None;
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
