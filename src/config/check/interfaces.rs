//! What IP has on a port: the keys of `[[port]]` and of `[[port.vlan]]` that concern an interface.

use core::time::Duration;

use super::addresses::{Addresses, Links, RouterOf};
use super::{Limits, addresses, gmp, ipv6, routes};
use crate::addr::{V4, V6, Vid};
use crate::config::error::{At, Place, Problems};
use crate::config::plan::{InetPlan, InterfacePlan, PortPlan};
use crate::config::raw::{RawChoices, RawInterface, RawPort, RawVlan, RawVlans};
use crate::io::{LinkLocal, Policy, PortId};

/// Interfaces of all ports together: each has tables of its own.
const INTERFACES_MAX: usize = 4096;

/// 802.1Q 9.6.
const VLAN_ID: Limits = Limits {
    min: 1,
    max: 4094,
    too_small: "no VLAN: what is untagged, or tagged with a priority only",
    too_large: "reserved, and no VLAN",
};

/// RFC 791 3.2: every link carries 68 bytes. Linux's floor is 552: with less, an attacker's Fragmentation Needed
/// makes many fragments of everything.
const PATH_MTU_MIN: Limits =
    Limits { min: 68, max: 1500, too_small: "too small for IPv4", too_large: "too large" };
const PATH_MTU_MIN_DEFAULT: u16 = 552;

/// RFC 1191 6.3: an estimate is not raised within five minutes of the last message; ten are recommended.
const PATH_MTU_TIMEOUT: Limits = Limits { too_small: "too short for RFC 1191", ..Limits::new(300, 86_400) };
const PATH_MTU_TIMEOUT_DEFAULT: u64 = 600;

/// Enough for a link's hosts, and no more than a /16 has.
const NEIGHBORS_MAX: Limits = Limits::new(16, 65_536);
const NEIGHBORS_MAX_DEFAULT: usize = 1024;

/// P03: Linux has 20 a socket; this is for all services together. A report of so many takes 90 packets.
const GROUPS_MAX: Limits = Limits::new(1, 65_536);
const GROUPS_MAX_DEFAULT: usize = 16_384;

/// P03: Linux has 10. A report of more than some 360 does not fit a packet, of which TO_EX may not take two (G32).
const SOURCES_MAX: Limits = Limits::new(1, 4096);
const SOURCES_MAX_DEFAULT: usize = 512;

/// Adds the interfaces of `port`, which is `id`.
pub(super) fn check(
    raw: &RawPort,
    port: &PortPlan,
    id: PortId,
    interfaces: &mut Vec<InterfacePlan>,
    problems: &mut Problems,
) {
    let RawPort { place, interface, vlans, .. } = raw;
    let host = HostPort {
        id,
        name: &port.name,
        mtu: port.mtu,
        mtu_at: raw.mtu.as_ref(),
        choices: &interface.choices,
    };
    let (one, several) = match vlans {
        RawVlans::One(vlan) => (check_vid(vlan, problems), &[][..]),
        RawVlans::Several(vlans) => (None, vlans.as_slice()),
    };
    if several.is_empty() || interface.addresses.is_some() {
        let own = host.interface(port.name.clone(), one, interface, place, interfaces, problems);
        interfaces.push(own);
    } else {
        // A port whose VLANs have the addresses needs none of its own: nothing untagged is for it then.
        without_addresses(interface, problems);
    }
    for vlan in several {
        let vlan = host.vlan(vlan, interfaces, problems);
        interfaces.extend(vlan);
    }
    if interfaces.len() > INTERFACES_MAX {
        let remedy = format!("pollcast has room for {INTERFACES_MAX}");
        problems.add(place, "this makes too many ports and VLANs", remedy);
        interfaces.truncate(INTERFACES_MAX);
    }
}

/// What concerns addresses, of a port that has none.
fn without_addresses(
    RawInterface { gateway4, gateway6, routes, .. }: &RawInterface,
    problems: &mut Problems,
) {
    let remedy = "move it to the [[port.vlan]] that it belongs to, or give the port addresses";
    let gateways = gateway4.iter().chain(gateway6).map(|at| &at.place);
    for place in gateways.chain(routes.iter().map(|route| &route.place)) {
        problems.add(place, "only the VLANs of this port have addresses", remedy);
    }
}

fn check_vid(at: &At<i64>, problems: &mut Problems) -> Option<Vid> {
    Vid::new(VLAN_ID.check(Some(at), 0, problems))
}

/// The port that interfaces are on, as far as it concerns them.
struct HostPort<'a> {
    id: PortId,
    name: &'a str,
    mtu: u16,
    mtu_at: Option<&'a At<i64>>,
    choices: &'a RawChoices,
}

impl HostPort<'_> {
    /// The interface of one `[[port.vlan]]`.
    fn vlan(
        &self,
        RawVlan { place, id, interface }: &RawVlan,
        before: &[InterfacePlan],
        problems: &mut Problems,
    ) -> Option<InterfacePlan> {
        let Some(id) = id else {
            problems.add_missing(place, "id", "say which VLAN, as in id = 100");
            return None;
        };
        let vid = check_vid(id, problems)?;
        let name = format!("{}.{vid}", self.name);
        if before.iter().any(|other| other.port == self.id && other.vlan == Some(vid)) {
            let problem = format!("the VLAN {vid} is there twice");
            problems.add(&id.place, problem, "list each VLAN of a port once, with all its addresses");
            return None;
        }
        if before.iter().any(|other| other.name == name) {
            let problem = format!("another port is called {name:?}, as this VLAN would be");
            problems.add(&id.place, problem, "give one of the two ports another name");
        }
        Some(self.interface(name, Some(vid), interface, place, before, problems))
    }

    fn interface(
        &self,
        name: String,
        vlan: Option<Vid>,
        raw: &RawInterface,
        table: &Place,
        before: &[InterfacePlan],
        problems: &mut Problems,
    ) -> InterfacePlan {
        let addresses = addresses::check(raw.addresses.as_ref(), table, before, problems);
        let choices = raw.choices.or(self.choices);
        let timeout_s =
            PATH_MTU_TIMEOUT.check(choices.path_mtu_timeout_s.as_ref(), PATH_MTU_TIMEOUT_DEFAULT, problems);
        let addressing6 = ipv6::check(&choices, &addresses, problems);
        if addressing6.is_some() {
            ipv6::check_mtu(self.mtu_at, problems);
        }
        let (v4, v6) = inet(raw, addresses, addressing6.as_ref().map(|with| with.link_local), problems);
        InterfacePlan {
            name,
            port: self.id,
            vlan,
            v4,
            v6,
            addressing6,
            stable_secret: ipv6::secret(choices.stable_secret.as_ref(), problems),
            conflict_detection: choices.conflict_detection.as_ref().map(|at| at.value).unwrap_or_default(),
            policy: policy(&choices),
            path_mtu_min: self.path_mtu_min(choices.path_mtu_min.as_ref(), problems),
            path_mtu_timeout: Duration::from_secs(timeout_s),
            neighbors_max: NEIGHBORS_MAX.check(
                choices.neighbors_max.as_ref(),
                NEIGHBORS_MAX_DEFAULT,
                problems,
            ),
            igmp: gmp::igmp(&choices, problems),
            mld: gmp::mld(&choices, problems),
            groups_max: GROUPS_MAX.check(choices.groups_max.as_ref(), GROUPS_MAX_DEFAULT, problems),
            sources_max: SOURCES_MAX.check(choices.sources_max.as_ref(), SOURCES_MAX_DEFAULT, problems),
        }
    }

    fn path_mtu_min(&self, at: Option<&At<i64>>, problems: &mut Problems) -> u16 {
        let default = PATH_MTU_MIN_DEFAULT.min(self.mtu);
        let min = PATH_MTU_MIN.check(at, default, problems);
        if let Some(At { place, .. }) = at.filter(|_| min > self.mtu) {
            let problem = format!("{min} is more than the port's mtu, {}", self.mtu);
            problems.add(place, problem, format!("use {} to {}", PATH_MTU_MIN.min, self.mtu));
        }
        min
    }
}

/// What each IP version has: addresses, and routers on their links.
fn inet(
    raw: &RawInterface,
    addresses: Addresses,
    link_local: Option<LinkLocal>,
    problems: &mut Problems,
) -> (InetPlan<V4>, InetPlan<V6>) {
    let Addresses { v4, v6, unknown, .. } = addresses;
    let own = match link_local {
        Some(LinkLocal::Addr(addr)) => Some(addr.addr().into()),
        Some(LinkLocal::Eui64 | LinkLocal::Stable) | None => None,
    };
    let links4 = Links { addresses: &v4, link_local: None, on: !v4.is_empty(), unknown };
    let links6 = Links { addresses: &v6, link_local: own, on: link_local.is_some(), unknown };
    let gateway4 =
        raw.gateway4.as_ref().and_then(|at| addresses::router(at, links4, RouterOf::Else, problems));
    let gateway6 =
        raw.gateway6.as_ref().and_then(|at| addresses::router(at, links6, RouterOf::Else, problems));
    let (routes4, routes6) = routes::check(&raw.routes, (links4, links6), problems);
    let v4 = InetPlan { addresses: v4, gateway: gateway4, routes: routes4 };
    (v4, InetPlan { addresses: v6, gateway: gateway6, routes: routes6 })
}

fn policy(choices: &RawChoices) -> Policy {
    let default = Policy::default();
    let chosen = |at: &Option<At<bool>>, default: bool| at.as_ref().map_or(default, |at| at.value);
    Policy {
        accept_reserved_sources: chosen(&choices.accept_reserved_sources, default.accept_reserved_sources),
        accept_unicast_in_group_frames: chosen(
            &choices.accept_unicast_in_group_frames,
            default.accept_unicast_in_group_frames,
        ),
        icmp_timestamp: chosen(&choices.icmp_timestamp, default.icmp_timestamp),
        icmp_echo_group: chosen(&choices.icmp_echo_group, default.icmp_echo_group),
        icmp6_echo_group: chosen(&choices.icmp6_echo_group, default.icmp6_echo_group),
        accept_redirects6: chosen(&choices.accept_redirects6, default.accept_redirects6),
    }
}
