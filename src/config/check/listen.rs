//! The key `listen` of a service: its sockets, of both IP versions.

use core::net::{IpAddr, Ipv6Addr};

use super::family::{Version, ip, is_link_local};
use super::port_by_name;
use crate::addr::{V4, V6};
use crate::config::error::{At, Place, Problems, one_of};
use crate::config::plan::{InterfacePlan, ListenPlan, ServicePlan};
use crate::config::raw::RawService;
use crate::io::{InterfaceId, LinkLocal};

/// The service whose sockets are checked.
#[derive(Clone, Copy)]
struct Listener<'a> {
    name: &'a str,
    /// Whether it shares its sockets: `reuse_address`.
    shares: bool,
    v6only: bool,
    /// The interfaces on which it listens.
    among: &'a [InterfaceId],
}

/// The sockets of the service called `name`, which listens on the interfaces `among`.
pub(super) fn check(
    raw: &RawService,
    name: &str,
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
    let set = |key: &Option<At<bool>>| key.as_ref().is_some_and(|at| at.value);
    let who = Listener { name, shares: set(&raw.reuse_address), v6only: set(&raw.v6only), among };
    let mut sockets: Vec<ListenPlan> = Vec::new();
    for at in &listen.value {
        let Some(socket) = check_socket(at, who, ports, problems) else { continue };
        match Owner::of(&socket, who, &sockets, before) {
            Some(owner) => {
                let port = ports.get(owner.on.index()).map_or("", |port| port.name.as_str());
                owner.refuse(&socket, at, who, port, problems);
            }
            None => sockets.push(socket),
        }
    }
    sockets
}

/// Who already has the address and UDP port of a socket.
struct Owner<'a> {
    service: &'a str,
    shares: bool,
    socket: &'a ListenPlan,
    /// On which of the socket's ports.
    on: InterfaceId,
}

impl<'a> Owner<'a> {
    /// Who has an address and the UDP port of `socket`, so that `who` cannot have it.
    // U15, socket(7) SO_REUSEADDR: who shares a place shares it with those who do, too. P10, RFC 3493 5.3: `::` takes
    // IPv4's place as well, unless it leaves it to others.
    fn of(
        socket: &ListenPlan,
        who: Listener<'a>,
        own: &'a [ListenPlan],
        before: &'a [ServicePlan],
    ) -> Option<Self> {
        let of_others = before.iter().filter(|other| !(who.shares && other.reuse_address));
        let of_others = of_others.flat_map(|other| {
            other.listen.iter().map(|listen| (other.name.as_str(), other.reuse_address, listen))
        });
        let mut sockets = own.iter().map(|listen| (who.name, who.shares, listen)).chain(of_others);
        sockets.find_map(|(service, shares, other)| {
            let on = *socket.interfaces.iter().find(|port| other.interfaces.contains(port))?;
            let meet = other.udp_port == socket.udp_port
                && socket.places().any(|addr| other.places().any(|taken| taken == addr));
            meet.then_some(Self { service, shares, socket: other, on })
        })
    }

    /// Notes that `who` cannot have `socket`, which is written at `at`.
    fn refuse(
        self,
        socket: &ListenPlan,
        at: &At<String>,
        who: Listener<'_>,
        port: &str,
        problems: &mut Problems,
    ) {
        const APART: &str = "give each another UDP port, address or, with the key ports, port";
        let Self { service: owner, shares: owner_shares, socket: other, .. } = self;
        let listed = &at.value;
        let (own, dual) = (owner == who.name, socket.addr != other.addr);
        // One of the two is `::`, and hears IPv4.
        let (v6, v4) = if socket.addr.is_ipv6() {
            (socket.written(), other.written())
        } else {
            (other.written(), socket.written())
        };
        if own && dual {
            let problem = format!("{v6} hears IPv4, too, as on Linux, so that {v4} is taken on port {port}");
            problems.add(&at.place, problem, format!("leave {v4} out, or set v6only = true"));
            return;
        }
        if own {
            problems.add(&at.place, format!("{listed} is listed twice on port {port}"), APART);
            return;
        }
        let me = who.name;
        let mut problem = format!("services {owner:?} and {me:?} both listen on {listed} of port {port}");
        let mut remedy = match (owner_shares, who.shares) {
            (false, false) => format!("{APART}; or set reuse_address = true in both, and both hear groups"),
            (true, _) => format!("{APART}; or set reuse_address = true in {me:?}, too"),
            (_, true) => format!("{APART}; or set reuse_address = true in {owner:?}, too"),
        };
        if dual {
            let of_v6 = if socket.addr.is_ipv6() { me } else { owner };
            problem = format!(
                "services {owner:?} and {me:?} both listen on {v4} of port {port}: {v6} hears IPv4, too, as on Linux"
            );
            remedy = format!("set v6only = true in {of_v6:?}, or {remedy}");
        }
        problems.add(&at.place, problem, remedy);
    }
}

/// A socket as it is written, with the name of the port that it is on if it is `[fe80::2%p0]:7`.
struct Written<'a> {
    addr: IpAddr,
    scope: Option<&'a str>,
    udp_port: u16,
}

fn check_socket(
    at: &At<String>,
    who: Listener<'_>,
    ports: &[InterfacePlan],
    problems: &mut Problems,
) -> Option<ListenPlan> {
    let Written { addr, scope, udp_port } = read(at, problems)?;
    let mut among = who.among.to_vec();
    if let Some(scope) = scope {
        let name = At { value: scope.to_owned(), place: at.place.clone() };
        let on = port_by_name(&name, ports, problems)?;
        among.retain(|id| id.index() == on);
        if among.is_empty() {
            let problem = format!("this service does not listen on port {scope}");
            problems.add(&at.place, problem, "add it to the key ports, or leave that key out");
            return None;
        }
    }
    let v6only = who.v6only;
    let interfaces = match addr {
        IpAddr::V4(addr) => local::<V4>(addr, &at.place, &among, ports, problems),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) if !v6only => {
            local::<V6>(Ipv6Addr::UNSPECIFIED, &at.place, &among, ports, problems).map(|_| among)
        }
        IpAddr::V6(addr) if is_link_local(addr.into()) => {
            link_local(addr, &at.place, &among, ports, problems)
        }
        IpAddr::V6(addr) => local::<V6>(addr, &at.place, &among, ports, problems),
    };
    Some(ListenPlan { addr, udp_port, v6only, interfaces: interfaces? })
}

/// What `at` says: `198.18.0.2:7`, `[2001:db8::2]:7`, `[fe80::2%p0]:7`.
fn read<'a>(At { value, place }: &'a At<String>, problems: &mut Problems) -> Option<Written<'a>> {
    let Some((host, udp_port)) = value.rsplit_once(':') else {
        problems.add(place, format!("{value:?} is no socket"), "write ADDRESS:PORT, as in \"0.0.0.0:7\"");
        return None;
    };
    let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    if inner.is_none() && host.contains(':') {
        let remedy = "put the address in brackets, as in \"[::]:7\"";
        problems.add(place, format!("{value:?} is no socket"), remedy);
        return None;
    }
    let (text, scope) = inner
        .unwrap_or(host)
        .split_once('%')
        .map_or_else(|| (inner.unwrap_or(host), None), |(text, scope)| (text, Some(scope)));
    let addr = ip(text, place, problems);
    let udp_port = check_udp_port(udp_port, place, problems);
    let (addr, udp_port) = (addr?, udp_port?);
    let refused = refused(addr, (inner.is_some(), scope), udp_port);
    if let Some((problem, remedy)) = refused {
        problems.add(place, problem, remedy);
        return None;
    }
    Some(Written { addr, scope, udp_port })
}

/// Why a socket at `addr` makes no sense, and what does.
fn refused(addr: IpAddr, (brackets, scope): (bool, Option<&str>), udp_port: u16) -> Option<(String, String)> {
    let addr = match addr {
        IpAddr::V6(addr) => addr,
        IpAddr::V4(addr) if brackets => {
            return Some((format!("[{addr}] is no IPv6 address"), format!("write \"{addr}:{udp_port}\"")));
        }
        IpAddr::V4(_) => return None,
    };
    // RFC 4007 11, 6: what is the same on every link needs no link.
    let of_link = is_link_local(addr.into()) || (addr.is_multicast() && addr.octets()[1] & 0x0f == 2);
    if let Some(scope) = scope.filter(|_| !of_link) {
        let remedy = format!("write \"[{addr}]:{udp_port}\", and name {scope} in the key ports");
        return Some((format!("{addr} is not of one link only"), remedy));
    }
    if let Some(v4) = addr.to_ipv4_mapped() {
        let remedy = format!("write \"{v4}:{udp_port}\"");
        return Some((format!("{addr} stands for {v4} within a host"), remedy));
    }
    // V03, RFC 4291 2.7.
    (addr.is_multicast() && addr.octets()[1] & 0x0f < 2).then(|| {
        let remedy = "use a wider scope: ff02:: on the link, ff05:: on the site, ff0e:: everywhere";
        (format!("{addr} is on no link"), remedy.to_owned())
    })
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

/// The interfaces among `among` on which `addr` is ours: every one with its IP version if it is unspecified, or (U19) a group,
/// which is nobody's.
fn local<F: Version>(
    addr: F::Addr,
    place: &Place,
    among: &[InterfaceId],
    ports: &[InterfacePlan],
    problems: &mut Problems,
) -> Option<Vec<InterfaceId>> {
    let chosen = || among.iter().filter_map(|id| Some((*id, ports.get(id.index())?)));
    // An address that was refused above may be the one that is missed here: one error is enough.
    let unknown = problems.concern("addresses") || problems.concern("ports") || ports.is_empty();
    if addr == F::UNSPECIFIED || F::is_multicast(addr) {
        let on: Vec<InterfaceId> = chosen().filter(|(_, port)| F::is_on(port)).map(|(id, _)| id).collect();
        if on.is_empty() && !unknown {
            let problem = format!("no port of this service has {}", F::NAME);
            let (host, len) = F::HOST;
            problems.add(place, problem, format!("add an address to one, as in \"{host}/{len}\""));
        }
        return (!on.is_empty() || unknown).then_some(on);
    }
    let has_it = |port: &InterfacePlan| F::plan(port).addresses.iter().any(|cidr| cidr.addr() == addr);
    let owners: Vec<InterfaceId> = chosen().filter(|(_, port)| has_it(port)).map(|(id, _)| id).collect();
    if !owners.is_empty() {
        return Some(owners);
    }
    // What routers' prefixes make cannot be known here.
    let may: Vec<InterfaceId> =
        chosen().filter(|(_, port)| F::makes_addresses(port)).map(|(id, _)| id).collect();
    if !may.is_empty() && F::is_unicast(addr) {
        return Some(may);
    }
    if !unknown {
        let ours = chosen().flat_map(|(_, port)| &F::plan(port).addresses);
        let ours: Vec<String> =
            ours.map(|cidr| written(cidr.addr().into())).chain([F::ANY.to_owned()]).collect();
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

/// `addr` as it stands before a colon and a port.
fn written(addr: IpAddr) -> String {
    if addr.is_ipv6() { format!("[{addr}]") } else { addr.to_string() }
}

/// The interfaces on which the link-local `addr` is ours, or may be: what is made of a device's own Ethernet address, or of
/// a secret, is not known here.
fn link_local(
    addr: Ipv6Addr,
    place: &Place,
    among: &[InterfaceId],
    ports: &[InterfacePlan],
    problems: &mut Problems,
) -> Option<Vec<InterfaceId>> {
    let may_be = |port: &InterfacePlan| match port.addressing6.as_ref().map(|with| with.link_local) {
        Some(LinkLocal::Addr(own)) => own.addr() == addr,
        Some(LinkLocal::Eui64 | LinkLocal::Stable) => true,
        None => false,
    };
    let on: Vec<InterfaceId> =
        among.iter().copied().filter(|id| ports.get(id.index()).is_some_and(may_be)).collect();
    let unknown =
        problems.concern("addresses") || problems.concern("ports") || problems.concern("link_local");
    if on.is_empty() && !unknown {
        let problem = format!("{addr} is not the link-local address of a port");
        let remedy = "use the port's own, as the key link_local says, or \"[::]\"";
        problems.add(place, problem, remedy);
    }
    (!on.is_empty() || unknown).then_some(on)
}
