//! Interfaces that are configured rightly: VLANs, routes, what a VLAN takes over from its port; and the limits of the host.

use std::time::Duration;

use crate::config_common::{PORT, SERVICE, plan};
use pollcast::addr::Vid;
use pollcast::config::{IcmpPlan, InterfacePlan, Plan, ReassemblyPlan};
use pollcast::io::{
    ConflictDetection, IgmpPolicy, IgmpVersion, InterfaceId, PmtuDiscovery, Policy, PortId, ReplyPath,
    Robustness,
};

/// A port without addresses.
const BARE: &str = "[[port]]\ndevice = \"net_tap0,iface=pc0\"\n";

fn vlan(id: u16, rest: &str) -> String {
    format!("[[port.vlan]]\nid = {id}\naddresses = [\"198.18.{id}.2/24\"]\n{rest}\n")
}

/// Name, port, VLAN and addresses of each.
fn interfaces(plan: &Plan) -> Vec<(&str, u16, Option<u16>, String)> {
    let of = |i: &InterfacePlan| {
        let addresses: Vec<_> = i.v4.addresses.iter().map(ToString::to_string).collect();
        (i.port.0, i.vlan.map(Vid::get), addresses.join(" "))
    };
    let with_name = plan.interfaces.iter().map(|i| (i.name.as_str(), of(i)));
    with_name.map(|(name, (port, vlan, addresses))| (name, port, vlan, addresses)).collect()
}

#[test]
fn a_port_without_vlans_is_one_interface_of_its_name() {
    let plan = plan(PORT);
    assert_eq!(interfaces(&plan), [("p0", 0, None, "198.18.0.2/24".to_owned())]);
    assert!(!plan.ports[0].tagged);
}

/// a port on one VLAN.
#[test]
fn a_port_on_one_vlan_keeps_its_name() {
    let plan = plan(&format!("{PORT}vlan = 100\n{SERVICE}"));
    assert_eq!(interfaces(&plan), [("p0", 0, Some(100), "198.18.0.2/24".to_owned())]);
    assert!(plan.ports[0].tagged);
    assert_eq!(plan.services[0].listen[0].interfaces, [InterfaceId(0)]);
}

/// a port on several VLANs, and untagged as well if it has addresses of its own.
#[test]
fn each_vlan_of_a_port_is_an_interface() {
    let service = "[[service]]\nkind = \"echo\"\nlisten = [\"0.0.0.0:7\", \"198.18.7.2:8\"]\nports = [\"p0.7\"]\n\
                   groups = [{ group = \"239.1.2.3\", port = \"p0.7\" }]\n";
    let second = PORT.replace("tap0", "tap1").replace("18.0.2", "18.1.2");
    let with_own = plan(&format!("{PORT}{}{}{second}{service}", vlan(7, ""), vlan(9, "")));
    let expected = [
        ("p0", 0, None, "198.18.0.2/24"),
        ("p0.7", 0, Some(7), "198.18.7.2/24"),
        ("p0.9", 0, Some(9), "198.18.9.2/24"),
        ("p1", 1, None, "198.18.1.2/24"),
    ];
    assert_eq!(interfaces(&with_own), expected.map(|(n, p, v, a)| (n, p, v, a.to_owned())));
    let echo = &with_own.services[0];
    assert!(echo.listen.iter().all(|socket| socket.interfaces == [InterfaceId(1)]));
    assert_eq!(echo.groups4[0].interface, InterfaceId(1));
    assert_eq!((with_own.ports[0].tagged, with_own.ports[1].tagged), (true, false));

    let without = plan(&format!("{BARE}{}{second}{SERVICE}", vlan(7, "")));
    assert_eq!(without.interfaces.iter().map(|i| i.name.as_str()).collect::<Vec<_>>(), ["p0.7", "p1"]);
    assert_eq!(without.interfaces[1].port, PortId(1));
    assert_eq!(without.services[0].listen[0].interfaces, [InterfaceId(0), InterfaceId(1)]);
}

#[test]
fn one_vlan_id_may_be_on_two_ports() {
    let second = BARE.replace("tap0", "tap1");
    let text = format!("{BARE}{}{second}{}", vlan(7, ""), vlan(7, "").replace("18.7.2", "18.8.2"));
    assert_eq!(plan(&text).interfaces.len(), 2);
}

/// Every policy has its key, and the default is what its row in docs/conformance says.
#[test]
fn what_is_not_chosen_is_the_default() {
    let plan = plan(&format!("{PORT}{SERVICE}"));
    let [port] = plan.interfaces.as_slice() else { panic!("{:?}", plan.interfaces) };
    assert_eq!(port.policy, Policy::default());
    assert_eq!(port.conflict_detection, ConflictDetection::Announce);
    assert_eq!((port.path_mtu_min, port.path_mtu_timeout), (552, Duration::from_secs(600)));
    assert_eq!((port.neighbors_max, port.groups_max, port.sources_max), (1024, 16_384, 512));
    assert!(port.v4.routes.is_empty());
    let reassembly = ReassemblyPlan {
        timeout: Duration::from_secs(30),
        timeout6: Duration::from_secs(60),
        fragments: 2048,
        fragments_per_source: 512,
    };
    assert_eq!(plan.reassembly, reassembly);
    let icmp = IcmpPlan {
        errors_per_second: 1000,
        errors_burst: 50,
        errors_per_second_per_peer: 1,
        errors_burst_per_peer: 6,
    };
    assert_eq!(plan.icmp, icmp);
    let echo = &plan.services[0];
    assert_eq!((echo.reply, echo.path_mtu_discovery), (ReplyPath::Reflect, PmtuDiscovery::Want));
}

const CHOICES: &str = "conflict_detection = \"probe\"\naccept_reserved_sources = true\n\
    accept_unicast_in_group_frames = true\nicmp_timestamp = false\nicmp_echo_group = true\n\
    icmp6_echo_group = false\naccept_redirects6 = false\npath_mtu_min = 68\n\
    path_mtu_timeout_s = 300\nneighbors_max = 16\ngroups_max = 3\nsources_max = 2\nigmp_version = 2\nigmp_robustness = 7\n\
    igmp_query_interval_s = 31744\nigmp_strict_queries = true\n";

fn assert_chosen(interface: &InterfacePlan) {
    let all = Policy {
        accept_reserved_sources: true,
        accept_unicast_in_group_frames: true,
        icmp_timestamp: false,
        icmp_echo_group: true,
        icmp6_echo_group: false,
        accept_redirects6: false,
    };
    assert_eq!(interface.policy, all, "{}", interface.name);
    assert_eq!(interface.conflict_detection, ConflictDetection::Probe);
    assert_eq!((interface.path_mtu_min, interface.path_mtu_timeout), (68, Duration::from_secs(300)));
    assert_eq!((interface.neighbors_max, interface.groups_max, interface.sources_max), (16, 3, 2));
    let igmp = IgmpPolicy {
        version: IgmpVersion::V2,
        robustness: Robustness::Pinned(7),
        query_interval: Duration::from_secs(31_744),
        strict_queries: true,
    };
    assert_eq!(interface.igmp, igmp);
}

/// The other choice of each, and each VLAN's of its own.
#[test]
fn a_vlan_takes_over_what_its_port_chose_and_may_choose_otherwise() {
    let other = "conflict_detection = \"announce\"\naccept_reserved_sources = false\nicmp_timestamp = true\n\
                 accept_unicast_in_group_frames = false\nicmp_echo_group = false\n\
                 icmp6_echo_group = true\naccept_redirects6 = true\npath_mtu_min = 552\n\
                 path_mtu_timeout_s = 600\nneighbors_max = 1024\ngroups_max = 16384\nsources_max = 512\n\
                 igmp_version = \"auto\"\nigmp_robustness = \"auto\"\nigmp_query_interval_s = 125\n\
                 igmp_strict_queries = false\n";
    let plan = plan(&format!("{PORT}gateway4 = \"198.18.0.1\"\n{CHOICES}{}{}", vlan(7, ""), vlan(9, other)));
    let [port, heir, own] = plan.interfaces.as_slice() else { panic!("{:?}", plan.interfaces) };
    assert_chosen(port);
    assert_chosen(heir);
    assert_eq!((heir.v4.gateway, heir.v4.routes.len()), (None, 0), "where routers are is each link's own");
    assert_eq!((own.policy, own.conflict_detection), (Policy::default(), ConflictDetection::Announce));
    assert_eq!((own.path_mtu_min, own.path_mtu_timeout.as_secs(), own.neighbors_max), (552, 600, 1024));
    assert_eq!(own.igmp, IgmpPolicy::default());
}

// G23, G36: each version and each robustness variable that there is.
#[test]
fn igmp_versions_and_robustness_variables() {
    let igmp = |line: &str| plan(&format!("{PORT}{line}\n")).interfaces[0].igmp;
    let versions = [
        ("\"auto\"", IgmpVersion::Auto),
        ("1", IgmpVersion::V1),
        ("2", IgmpVersion::V2),
        ("3", IgmpVersion::V3),
    ];
    for (written, version) in versions {
        assert_eq!(
            igmp(&format!("igmp_version = {written}")),
            IgmpPolicy { version, ..IgmpPolicy::default() }
        );
    }
    for n in 1..=7 {
        let robustness = Robustness::Pinned(n);
        assert_eq!(
            igmp(&format!("igmp_robustness = {n}")),
            IgmpPolicy { robustness, ..IgmpPolicy::default() }
        );
    }
}

// I11, E15, C10, C08: each policy is chosen by its own key, and by no other.
#[test]
fn each_policy_has_a_key_of_its_own() {
    let policy = |line: &str| plan(&format!("{PORT}{line}\n")).interfaces[0].policy;
    let default = Policy::default();
    let is = |line: &str, expected: Policy| assert_eq!(policy(line), expected, "{line}");
    is("accept_reserved_sources = true", Policy { accept_reserved_sources: true, ..default });
    is("accept_unicast_in_group_frames = true", Policy { accept_unicast_in_group_frames: true, ..default });
    is("icmp_timestamp = false", Policy { icmp_timestamp: false, ..default });
    is("icmp6_echo_group = false", Policy { icmp6_echo_group: false, ..default });
    is("accept_redirects6 = false", Policy { accept_redirects6: false, ..default });
    is("icmp_echo_group = true", Policy { icmp_echo_group: true, ..default });
}

#[test]
fn routes_lead_by_routers_of_the_link() {
    let routes = "routes = [{ to = \"10.0.0.0/8\", via = \"198.18.0.1\" }, { to = \"203.0.113.9/32\", via = \"198.18.0.3\" },\n\
                  { to = \"10.1.0.0/16\", via = \"198.18.0.3\" }]\n";
    let plan = plan(&format!("{PORT}{routes}"));
    let routes: Vec<_> =
        plan.interfaces[0].v4.routes.iter().map(|r| format!("{} via {}", r.to, r.via)).collect();
    let expected =
        ["10.0.0.0/8 via 198.18.0.1", "203.0.113.9/32 via 198.18.0.3", "10.1.0.0/16 via 198.18.0.3"];
    assert_eq!(routes, expected);
}

#[test]
fn a_small_link_has_a_small_floor() {
    assert_eq!(plan(&format!("{PORT}mtu = 400\n")).interfaces[0].path_mtu_min, 400);
}

/// Of `[reassembly]` and `[icmp]`.
#[test]
fn the_limits_of_the_host_can_be_chosen() {
    let text = format!(
        "[reassembly]\ntimeout_s = 120\ntimeout6_s = 1\nfragments = 100\n[icmp]\nerrors_per_second = 1\nerrors_burst = 2\n\
         errors_per_second_per_peer = 3\nerrors_burst_per_peer = 4\n{PORT}"
    );
    let plan = plan(&text);
    let reassembly = ReassemblyPlan {
        timeout: Duration::from_secs(120),
        timeout6: Duration::from_secs(1),
        fragments: 100,
        fragments_per_source: 25,
    };
    assert_eq!(plan.reassembly, reassembly);
    let icmp = IcmpPlan {
        errors_per_second: 1,
        errors_burst: 2,
        errors_per_second_per_peer: 3,
        errors_burst_per_peer: 4,
    };
    assert_eq!(plan.icmp, icmp);
}

/// Of `[sockets]`: the defaults are Linux's, but for the most that a socket may ask for.
#[test]
fn what_threads_sockets_take_can_be_chosen() {
    let linux = plan(PORT).sockets;
    assert_eq!((linux.rcvbuf, linux.sndbuf), (212_992, 212_992));
    assert_eq!((linux.memberships_max, linux.sources_max, linux.sources6_max), (20, 10, 64));
    let text =
        format!("[sockets]\nmax = 5\npackets_256 = 16\nrcvbuf = 16777216\nmemberships_max = 100\n{PORT}");
    let sockets = plan(&text).sockets;
    assert_eq!((sockets.max, sockets.packets, sockets.memberships_max), (5, [16, 8192, 256], 100));
    // What a socket has at first, it may ask for, too.
    assert_eq!((sockets.rcvbuf, sockets.rcvbuf_max), (16_777_216, 16_777_216));
}

/// What is held is summed up, for each worker.
#[test]
fn fragments_that_are_held_are_in_the_sum() {
    let with = |fragments: u32| {
        let text = format!("[workers]\ncpus = [1, 2]\n[reassembly]\nfragments = {fragments}\n{PORT}");
        plan(&text).mbufs.items.iter().map(|(_, count)| count).sum::<u32>()
    };
    assert_eq!(with(10_000) - with(0), 20_000);
    let none = plan(&format!("[reassembly]\nfragments = 0\n{PORT}")).reassembly;
    assert_eq!((none.fragments, none.fragments_per_source), (0, 0));
}

#[test]
fn how_a_service_answers_can_be_chosen() {
    for (name, reply) in ReplyPath::NAMES {
        let plan = plan(&format!("{PORT}{SERVICE}reply = \"{name}\"\n"));
        assert_eq!(plan.services[0].reply, reply);
        assert!(plan.services[0].options.is_empty(), "a key of every kind is none of its own");
    }
    for (name, discovery) in PmtuDiscovery::NAMES {
        let plan = plan(&format!("{PORT}{SERVICE}path_mtu_discovery = \"{name}\"\n"));
        assert_eq!(plan.services[0].path_mtu_discovery, discovery);
    }
}

#[test]
fn a_printed_plan_shows_the_interfaces_and_the_limits() {
    let plan = plan(&format!(
        "[reassembly]\nfragments = 0\n{BARE}{}{CHOICES}{}{SERVICE}reply = \"route\"\n",
        vlan(7, "gateway4 = \"198.18.7.1\"\nroutes = [{ to = \"10.0.0.0/8\", via = \"198.18.7.3\" }]"),
        vlan(9, ""),
    ));
    let printed = plan.to_string();
    for line in [
        "    p0.7: VLAN 7, addresses 198.18.7.2/24, gateway 198.18.7.1; probed for, then used and announced",
        "      route to 10.0.0.0/8 via 198.18.7.3",
        "      at most 16 neighbours; path MTU 68 or more, remembered for 300 s",
        "      accepts packets from 0.0.0.0/8 and 240.0.0.0/4",
        "      accepts packets for one host in frames for many",
        "      answers no ICMP timestamp requests",
        "      answers pings of IPv4 groups and broadcast addresses",
        "    p0.9: VLAN 9, addresses 198.18.9.2/24; used at once, and announced",
        "    listens on 0.0.0.0:7 of p0.7, p0.9",
        "    reply = route, path_mtu_discovery = want",
        "  dropped",
        "  1000 a second, 50 at once, all workers together",
        "  1 a second, 6 at once, to one host",
    ] {
        assert!(printed.lines().any(|printed| printed == line), "{line:?} is not in\n{printed}");
    }
}
