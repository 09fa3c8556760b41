//! IPv6 in configurations that are right: addresses, routers, sockets and groups of both IP versions side by side.

use core::net::IpAddr;

use crate::config_common::{PORT, SERVICE, plan};
use pollcast::config::{GroupSources, InterfacePlan, ListenPlan, Plan};
use pollcast::io::{Addressing6, InterfaceId, LinkLocal, MldPolicy, MldVersion, Robustness};

fn port(addresses: &str, rest: &str) -> String {
    format!("[[port]]\ndevice = \"net_tap0,iface=pc0\"\naddresses = [{addresses}]\n{rest}\n")
}

/// The first interface of `text`.
fn interface(text: &str) -> InterfacePlan {
    plan(text).interfaces.remove(0)
}

fn addressing(text: &str) -> Addressing6 {
    interface(text).addressing6.expect("IPv6 is on")
}

fn listen(plan: &Plan) -> Vec<(String, Vec<u16>)> {
    let all = plan.services.iter().flat_map(|service| &service.listen);
    all.map(|l| (l.written(), l.interfaces.iter().map(|id| id.0).collect())).collect()
}

#[test]
fn both_versions_stand_in_one_list() {
    let both =
        interface(&port("\"2001:db8::2/64\", \"198.18.0.2/24\", \"auto\", \"2001:DB8:0:1::2/127\"", ""));
    let v6: Vec<String> = both.v6.addresses.iter().map(ToString::to_string).collect();
    assert_eq!(v6, ["2001:db8::2/64", "2001:db8:0:1::2/127"]);
    assert_eq!(both.v4.addresses[0].to_string(), "198.18.0.2/24");
    let with = both.addressing6.unwrap();
    assert_eq!((with.auto, with.statics), (true, both.v6.addresses));
}

#[test]
fn each_version_is_on_where_it_has_an_address() {
    assert_eq!(interface(&port("\"198.18.0.2/24\"", "")).addressing6, None);
    let auto = interface(&port("\"auto\"", ""));
    assert!(auto.v4.addresses.is_empty() && auto.v6.addresses.is_empty());
    assert_eq!(auto.addressing6, Some(Addressing6 { auto: true, ..Addressing6::new() }));
    assert!(!addressing(&port("\"2001:db8::2/64\"", "")).auto);
}

// RFC 6164: a link between two has both addresses of its /127; a /128 is alone.
#[test]
fn the_first_address_of_a_short_link_is_a_hosts() {
    for address in ["2001:db8::/127", "2001:db8::/128", "fc00::1/8"] {
        assert_eq!(interface(&port(&format!("{address:?}"), "")).v6.addresses.len(), 1, "{address}");
    }
}

#[test]
fn link_local_addresses_secrets_and_the_rest() {
    let with = |line: &str| addressing(&port("\"auto\"", line));
    assert_eq!(with("").link_local, LinkLocal::Eui64);
    assert_eq!(with("link_local = \"stable\"").link_local, LinkLocal::Stable);
    assert_eq!(with("link_local = \"fe80::2\"").link_local.to_string(), "fe80::2");
    assert_eq!((with("").dad_transmits, with("").router_discovery), (1, true));
    assert_eq!(with("dad_transmits = 0").dad_transmits, 0);
    assert_eq!(with("dad_transmits = 10").dad_transmits, 10);
    assert!(!with("router_discovery = false").router_discovery);
    let secret = interface(&port("\"auto\"", "stable_secret = \"000102030405060708090A0b0c0d0e0f\""));
    let bytes = secret.stable_secret.unwrap();
    assert!(bytes.bytes().iter().copied().eq(0..16));
    assert_eq!(interface(&port("\"auto\"", "")).stable_secret, None);
}

#[test]
fn what_may_be_chosen_of_mld() {
    let mld = |line: &str| interface(&port("\"auto\"", line)).mld;
    let default = MldPolicy::default();
    assert_eq!(mld(""), default);
    assert_eq!(mld("mld_version = \"auto\"\nmld_robustness = \"auto\"\nmld_query_interval_s = 125"), default);
    for (line, version) in [("1", MldVersion::V1), ("2", MldVersion::V2)] {
        assert_eq!(mld(&format!("mld_version = {line}")), MldPolicy { version, ..default });
    }
    assert_eq!(mld("mld_robustness = 7").robustness, Robustness::Pinned(7));
    assert_eq!(mld("mld_query_interval_s = 31744").query_interval.as_secs(), 31_744);
}

#[test]
fn a_vlan_takes_over_what_its_port_chose_of_ipv6() {
    let text = port(
        "\"2001:db8::2/64\"",
        "link_local = \"fe80::2\"\ndad_transmits = 3\nmld_version = 1\nrouter_discovery = false\n\
         stable_secret = \"00000000000000000000000000000001\"\n[[port.vlan]]\nid = 7\naddresses = [\"auto\"]\n\
         [[port.vlan]]\nid = 9\naddresses = [\"198.18.9.2/24\"]\n[[port.vlan]]\nid = 11\naddresses = [\"auto\"]\n\
         link_local = \"stable\"\ndad_transmits = 0\nmld_version = 2\nrouter_discovery = true",
    );
    let plan = plan(&text);
    let [port, heir, without, own] = plan.interfaces.as_slice() else { panic!("{plan}") };
    let of = |i: &InterfacePlan| {
        let Addressing6 { link_local, dad_transmits, router_discovery, .. } = i.addressing6.clone().unwrap();
        (link_local.to_string(), dad_transmits, router_discovery, i.mld.version)
    };
    let chosen = ("fe80::2".to_owned(), 3, false, MldVersion::V1);
    assert_eq!([of(port), of(heir)], [chosen.clone(), chosen]);
    assert_eq!(heir.stable_secret, port.stable_secret);
    assert_eq!(without.addressing6, None);
    assert_eq!(of(own), ("stable".to_owned(), 0, true, MldVersion::V2));
}

#[test]
fn routers_are_link_local_or_on_a_prefix() {
    let routes = "routes = [{ to = \"2001:db8:1::/48\", via = \"fe80::3\" }, { to = \"10.0.0.0/8\", via = \"198.18.0.3\" },\n\
                  { to = \"2001:db8:2::9/128\", via = \"2001:db8::3\" }]\n";
    let text = port(
        "\"198.18.0.2/24\", \"2001:db8::2/64\"",
        &format!("gateway4 = \"198.18.0.1\"\ngateway6 = \"2001:db8::1\"\n{routes}"),
    );
    let interface_ = interface(&text);
    let v6: Vec<String> =
        interface_.v6.routes.iter().map(|route| format!("{} {}", route.to, route.via)).collect();
    assert_eq!(v6, ["2001:db8:1::/48 fe80::3", "2001:db8:2::9/128 2001:db8::3"]);
    assert_eq!(interface_.v4.routes.len(), 1);
    assert_eq!(interface_.v6.gateway.unwrap().to_string(), "2001:db8::1");
    let auto = interface(&port("\"auto\"", "gateway6 = \"fe80::1\""));
    assert_eq!(auto.v6.gateway.unwrap().to_string(), "fe80::1");
}

// P10, RFC 3493 5.3: a socket of any IPv6 address is IPv4's, too, unless it says otherwise.
#[test]
fn a_socket_of_any_address_is_dual_stack() {
    let both = port("\"198.18.0.2/24\", \"2001:db8::2/64\"", "");
    let dual = plan(&format!("{both}{}", SERVICE.replace("0.0.0.0", "[::]")));
    let places = |l: &ListenPlan| l.places().map(|addr| addr.to_string()).collect::<Vec<_>>().join(" ");
    assert_eq!(places(&dual.services[0].listen[0]), ":: 0.0.0.0");
    assert!(dual.to_string().contains("    listens on [::]:7 (IPv6 and IPv4) of p0\n"), "{dual}");
    let apart = "[[service]]\nkind = \"echo\"\nv6only = true\nlisten = [\"0.0.0.0:7\", \"[::]:7\"]\n";
    let apart = plan(&format!("{both}{apart}"));
    let all: Vec<String> = apart.services[0].listen.iter().map(places).collect();
    assert_eq!(all, ["0.0.0.0", "::"]);
    assert!(apart.to_string().contains("    listens on [::]:7 (IPv6 only) of p0\n"), "{apart}");
    // One of each address is no matter of v6only.
    let exact = plan(&format!("{both}{}", SERVICE.replace("0.0.0.0", "[2001:db8::2]")));
    assert_eq!(places(&exact.services[0].listen[0]), "2001:db8::2");
}

/// A socket is where its IP version is.
#[test]
fn sockets_are_on_the_ports_that_have_their_version() {
    let three = "[[port.vlan]]\nid = 7\naddresses = [\"auto\"]\n[[port.vlan]]\nid = 9\naddresses = [\"2001:db8:9::2/64\", \"198.18.9.2/24\"]\n";
    let on = |listen_: &str, v6only: bool| {
        let service = format!("[[service]]\nkind = \"echo\"\nv6only = {v6only}\nlisten = [{listen_:?}]\n");
        listen(&plan(&format!("{PORT}{three}{service}"))).remove(0)
    };
    assert_eq!(on("0.0.0.0:7", false).1, [0, 2]);
    assert_eq!(on("[::]:7", false).1, [0, 1, 2]);
    assert_eq!(on("[::]:7", true).1, [1, 2]);
    assert_eq!(on("[ff0e::1]:7", true).1, [1, 2]);
    assert_eq!(on("[2001:db8:9::2]:7", true).1, [2]);
    // It may be one that a router's prefix makes.
    assert_eq!(on("[2001:db8:77::2]:7", true), ("[2001:db8:77::2]:7".to_owned(), vec![1]));
}

// RFC 4007 11.
#[test]
fn a_link_local_socket_is_on_one_port_or_wherever_the_address_is() {
    let vlan = "link_local = \"fe80::2\"\n[[port.vlan]]\nid = 7\naddresses = [\"auto\"]\n[[port.vlan]]\nid = 9\n\
                addresses = [\"auto\"]\nlink_local = \"eui64\"\n";
    let ports = port("\"2001:db8::2/64\"", vlan);
    let on = |socket: &str| {
        let plan = plan(&format!("{ports}{}", SERVICE.replace("0.0.0.0:7", socket)));
        (plan.services[0].listen[0].addr, listen(&plan).remove(0).1)
    };
    let addr: IpAddr = "fe80::2".parse().unwrap();
    assert_eq!(on("[fe80::2%p0]:7"), (addr, vec![0]));
    // The third one's is made of an Ethernet address that only the device knows.
    assert_eq!(on("[fe80::2]:7"), (addr, vec![0, 1, 2]));
    assert_eq!(on("[ff02::1:2%p0.7]:7").1, [1]);
}

#[test]
fn groups_of_both_versions() {
    let groups = "groups = [{ group = \"239.1.2.3\" }, { group = \"ff0e::1:2:3\" }, { group = \"ff05::1:0/124\" },\n\
                  { group = \"ff3e::1234\", sources = [\"2001:db8::9\", \"fe80::1\"] },\n\
                  { group = \"ff02::123\", exclude = [\"2001:db8::7\"] }, { group = \"ff02::1\" }]\n";
    let ports = port("\"198.18.0.2/24\", \"2001:db8::2/64\"", "");
    let text = format!("{ports}{}{groups}", SERVICE.replace("0.0.0.0", "[::]"));
    let plan = plan(&text);
    let service = &plan.services[0];
    assert_eq!(service.groups4.len(), 1);
    let joined: Vec<_> = service.groups6.iter().map(|g| (g.written(), g.len(), g.from.clone())).collect();
    let [any, prefix, ssm, all_but, hosts] = joined.as_slice() else { panic!("{joined:?}") };
    assert_eq!((any.0.as_str(), any.1, &any.2), ("ff0e::1:2:3", 1, &GroupSources::Any));
    assert_eq!((prefix.0.as_str(), prefix.1), ("ff05::1:0/124", 16));
    assert_eq!(format!("{:?}", ssm.2), "Only([2001:db8::9, fe80::1])");
    assert_eq!(format!("{:?}", all_but.2), "Except([2001:db8::7])");
    assert_eq!(hosts.0, "ff02::1");
    let each: Vec<String> = service.groups6[1].groups().map(|g| g.to_string()).collect();
    assert_eq!((each[0].as_str(), each[15].as_str()), ("ff05::1:0", "ff05::1:f"));
    let shown = plan.to_string();
    for line in [
        "    joins ff0e::1:2:3 from any source on p0",
        "    joins ff05::1:0/124 (16 groups) from any source on p0",
        "    joins ff3e::1234 from 2001:db8::9, fe80::1 on p0",
    ] {
        assert!(shown.lines().any(|l| l == line), "{line} is not in\n{shown}");
    }
}

#[test]
fn groups_are_joined_where_their_version_is() {
    let vlan = "[[port.vlan]]\nid = 7\naddresses = [\"2001:db8:7::2/64\"]\n";
    let groups = "groups = [{ group = \"ff0e::1\" }, { group = \"239.1.2.3\" }]\n";
    let plan = plan(&format!("{PORT}{vlan}{}{groups}", SERVICE.replace("0.0.0.0", "[::]")));
    let [service] = plan.services.as_slice() else { panic!("{plan}") };
    assert_eq!(service.groups4.iter().map(|g| g.interface).collect::<Vec<_>>(), [InterfaceId(0)]);
    assert_eq!(service.groups6.iter().map(|g| g.interface).collect::<Vec<_>>(), [InterfaceId(1)]);
}

#[test]
fn a_printed_plan_shows_what_ipv6_has() {
    let text = port(
        "\"198.18.0.2/24\", \"2001:db8::2/64\", \"auto\"",
        "gateway6 = \"fe80::1\"\nlink_local = \"stable\"\nmld_version = 1\ndad_transmits = 2\n\
         routes = [{ to = \"2001:db8:1::/48\", via = \"fe80::3\" }]\nrouter_discovery = false\n\
         icmp6_echo_group = false\naccept_redirects6 = false",
    );
    let shown = plan(&format!("[reassembly]\ntimeout6_s = 61\n{text}")).to_string();
    for line in [
        "    addresses 198.18.0.2/24; used at once, and announced",
        "    addresses 2001:db8::2/64, auto, gateway fe80::1; asked for 2 times, then used",
        "      link-local address: made of a secret",
        "      stable identifiers by a secret that is this machine's own",
        "      routers are neither asked nor believed",
        "      route to 2001:db8:1::/48 via fe80::3",
        "      at most 1024 neighbours; path MTU 552 (IPv6: 1280) or more, remembered for 600 s",
        "      speaks MLD version 1, whatever queriers speak",
        "      answers no pings of IPv6 groups",
        "      heeds no ICMPv6 redirects",
        "  put together within 30 s, of IPv6 61 s; each worker holds 2048, 512 of one source",
    ] {
        assert!(shown.lines().any(|l| l == line), "{line:?} is not in\n{shown}");
    }
    let without = plan(&format!("{PORT}mld_version = 1\n")).to_string();
    assert!(!without.contains("MLD") && !without.contains("link-local"), "{without}");
    let alone =
        plan(&port("\"auto\"", "dad_transmits = 0\nstable_secret = \"00000000000000000000000000000001\""));
    let alone = alone.to_string();
    assert!(alone.contains("    addresses auto; used at once, nobody is asked\n"), "{alone}");
    assert!(alone.contains("that is configured\n") && alone.contains("path MTU 1280 or more"), "{alone}");
}
