//! Interfaces that are configured wrongly: VLANs, routes and policies; and the limits of the host.

use crate::config_common::{PORT, SERVICE, assert_errors};

/// A port without addresses.
const BARE: &str = "[[port]]\ndevice = \"net_tap0,iface=pc0\"\n";

/// The error of `line` as the fourth line of a `[[port]]` that is otherwise right.
#[track_caller]
fn port_error(line: &str, expected: &str) {
    assert_errors(&format!("{PORT}{line}\n"), &[&format!("t.toml:4:{expected}")]);
}

#[test]
fn a_vlan_has_an_id() {
    let range = "use 1 to 4094";
    port_error(
        "vlan = 0",
        &format!("8: port[0].vlan: 0 is no VLAN: what is untagged, or tagged with a priority only: {range}"),
    );
    port_error("vlan = 4095", &format!("8: port[0].vlan: 4095 is reserved, and no VLAN: {range}"));
    port_error(
        "vlan = \"100\"",
        "8: port[0].vlan: this is a string: write tables, as in [[port.vlan]], or one number, as in vlan = 100",
    );
    port_error(
        "vlan = [100]",
        "9: port[0].vlan[0]: this is an integer: write a table, as in [[port.vlan]], or one number, as in vlan = 100",
    );
}

#[test]
fn a_vlan_is_there_once() {
    let vlan = |id: &str, net: u8| format!("[[port.vlan]]\n{id}\naddresses = [\"198.18.{net}.2/24\"]\n");
    assert_errors(
        &format!("{BARE}{}{}", vlan("id = 100", 1), vlan("id = 100", 2)),
        &[
            "t.toml:7:6: port[0].vlan[1].id: the VLAN 100 is there twice: list each VLAN of a port once, with all its addresses",
        ],
    );
    assert_errors(
        &format!("{BARE}{}", vlan("", 1)),
        &["t.toml:3:1: port[0].vlan[0]: the key id is missing: say which VLAN, as in id = 100"],
    );
    assert_errors(
        &format!("{BARE}{}", vlan("id = 5000", 1)),
        &["t.toml:4:6: port[0].vlan[0].id: 5000 is reserved, and no VLAN: use 1 to 4094"],
    );
    assert_errors(
        &format!("{BARE}{}", vlan("id = 1\nid4 = 1", 1)),
        &["t.toml:5:1: port[0].vlan[0].id4: unknown key: did you mean \"id\"?"],
    );
}

#[test]
fn one_vlan_or_several_but_not_both() {
    let several = "[[port.vlan]]\nid = 200\naddresses = [\"198.18.1.2/24\"]\n";
    assert_errors(
        &format!("{PORT}vlan = 100\n{several}"),
        &["t.toml:5:8: vlan: not TOML: duplicate key: name the one VLAN of a port with vlan = 100, \
           or each of several with [[port.vlan]]"],
    );
}

#[test]
fn a_port_whose_vlans_have_the_addresses_has_no_routers() {
    let vlan = "[[port.vlan]]\nid = 200\naddresses = [\"198.18.1.2/24\"]\n";
    let remedy = "move it to the [[port.vlan]] that it belongs to, or give the port addresses";
    assert_errors(
        &format!(
            "{BARE}gateway4 = \"198.18.0.1\"\nroutes = [{{ to = \"10.0.0.0/8\", via = \"198.18.0.1\" }}]\n{vlan}"
        ),
        &[
            &format!("t.toml:3:12: port[0].gateway4: only the VLANs of this port have addresses: {remedy}"),
            &format!("t.toml:4:11: port[0].routes[0]: only the VLANs of this port have addresses: {remedy}"),
        ],
    );
    let remedy = "give it one, as in addresses = [\"198.18.0.2/24\"]";
    assert_errors(
        &format!("{BARE}[[port.vlan]]\nid = 200\n"),
        &[&format!("t.toml:3:1: port[0].vlan[0]: the key addresses is missing: {remedy}")],
    );
    assert_errors(
        &format!("{BARE}addresses = []\n[[port.vlan]]\nid = 200\naddresses = [\"198.18.1.2/24\"]\n"),
        &[&format!("t.toml:3:13: port[0].addresses: this port has no address: {remedy}")],
    );
}

#[test]
fn each_interface_has_addresses_of_its_own_and_may_share_a_network() {
    let vlan = |addr: &str| format!("{PORT}[[port.vlan]]\nid = 200\naddresses = [\"{addr}\"]\n");
    let place = "t.toml:6:14: port[0].vlan[0].addresses[0]";
    assert_errors(
        &vlan("198.18.0.2/24"),
        &[&format!("{place}: 198.18.0.2 is an address of port p0: give each port addresses of its own")],
    );
    // Two ports on one switch: an answer leaves by the one that was asked.
    for addr in ["198.18.0.3/24", "198.18.7.7/16", "198.18.0.77/32", "198.18.1.2/24"] {
        assert_errors(&vlan(addr), &[]);
    }
    assert_errors(&PORT.replace("\"198.18.0.2/24\"", "\"198.18.0.2/24\", \"198.18.0.3/24\""), &[]);
}

#[test]
fn no_two_interfaces_have_one_name() {
    let vlan = "[[port.vlan]]\nid = 200\naddresses = [\"198.18.1.2/24\"]\n";
    let named = "[[port]]\nname = \"p0.200\"\ndevice = \"net_tap1\"\naddresses = [\"198.18.2.2/24\"]\n";
    assert_errors(
        &format!("{PORT}{vlan}{named}"),
        &["t.toml:8:8: port[1].name: another port is called \"p0.200\": give each a name of its own"],
    );
    let later = PORT.replace("[[port]]\n", "[[port]]\nname = \"p0\"\n");
    assert_errors(
        &format!("{named}{later}{vlan}"),
        &["t.toml:10:6: port[1].vlan[0].id: another port is called \"p0.200\", as this VLAN would be: \
             give one of the two ports another name"],
    );
}

/// Services know interfaces, not what carries them.
#[test]
fn a_port_with_nothing_untagged_is_no_place_to_listen() {
    let vlan = |id: u8| format!("[[port.vlan]]\nid = {id}\naddresses = [\"198.18.{id}.2/24\"]\n");
    assert_errors(
        &format!("{BARE}{}{}{SERVICE}ports = [\"p0\"]\n", vlan(7), vlan(9)),
        &[r#"t.toml:12:10: service[0].ports[0]: there is no port "p0": use "p0.7" or "p0.9""#],
    );
}

/// The error of the route `{ table }`.
#[track_caller]
fn route_error(table: &str, expected: &str) {
    port_error(&format!("routes = [{{ {table} }}]"), expected);
}

#[test]
fn where_a_route_leads() {
    let to = |prefix: &str, expected: &str| {
        let table = format!("to = \"{prefix}\", via = \"198.18.0.1\"");
        route_error(&table, &format!("18: port[0].routes[0].to: {expected}"));
    };
    to(
        "10.0.0.0",
        "\"10.0.0.0\" has no prefix length: write one, as in \"10.0.0.0/8\", or \"10.0.0.0/32\" for one host",
    );
    to("10.0.0.0/33", "\"33\" is no prefix length: use 0 to 32");
    to("10.0.0.0/ 8", "\" 8\" is no prefix length: use 0 to 32");
    to(
        "10.0.0.1/8",
        "10.0.0.1 has bits behind the first 8: use \"10.0.0.0/8\", or \"10.0.0.1/32\" for one host",
    );
    to("0.0.0.0/0", "this is the default route: name the router of all else in the key gateway4 instead");
    to("ten/8", "\"ten\" is no IPv4 address: write four numbers with dots, as in \"198.18.0.2\"");
    for (prefix, what) in [
        ("0.1.0.0/16", "\"this network\""),
        ("127.0.0.0/8", "loopback"),
        ("224.0.0.0/4", "multicast"),
        ("239.1.2.3/32", "multicast"),
        ("240.0.0.0/5", "reserved"),
    ] {
        to(prefix, &format!("{prefix} is {what}: nothing is sent there by a router: take the route out"));
    }
    to(
        "198.18.0.0/24",
        "198.18.0.0/24 is the link of the port's address 198.18.0.2/24: take the route out: hosts there are neighbours",
    );
    route_error(
        "via = \"198.18.0.1\"",
        "11: port[0].routes[0]: the key to is missing: say where it leads, as in to = \"10.0.0.0/8\"",
    );
    for prefix in ["128.0.0.0/1", "0.0.0.0/1", "198.18.0.128/25"] {
        let route = format!("routes = [{{ to = \"{prefix}\", via = \"198.18.0.1\" }}]");
        assert_errors(&format!("{PORT}{route}\n"), &[]);
    }
}

#[test]
fn by_which_router_a_route_leads() {
    let via = |router: &str, expected: &str| {
        let table = format!("to = \"10.0.0.0/8\", via = \"{router}\"");
        route_error(&table, &format!("38: port[0].routes[0].via: {expected}"));
    };
    via(
        "198.18.1.1",
        "198.18.1.1 is on none of the port's prefixes: use a router's address within 198.18.0.2/24",
    );
    via(
        "198.18.0.2",
        "198.18.0.2 is this port's own address: use the router's address, or take the route out",
    );
    via(
        "198.18.0.255",
        "198.18.0.255 is the network's or the broadcast address of a prefix: use the router's address",
    );
    via("239.1.2.3", "no host may have the address 239.1.2.3: use a router's unicast address");
    route_error(
        "to = \"10.0.0.0/8\"",
        "11: port[0].routes[0]: the key via is missing: name a router, as in via = \"198.18.0.1\"",
    );
    // A value of the wrong type is wrong, and not missing.
    route_error(
        "to = \"10.0.0.0/8\", via = 1",
        "38: port[0].routes[0].via: this is an integer: write a string",
    );
}

#[test]
fn a_destination_has_one_route() {
    let route = "{ to = \"10.0.0.0/8\", via = \"198.18.0.1\" }";
    let other = route.replace("0.1", "0.9");
    port_error(
        &format!("routes = [{route}, {other}]"),
        "61: port[0].routes[1].to: there is a route to 10.0.0.0/8 already, via 198.18.0.1: list each destination once",
    );
    port_error(
        "routes = [\"10.0.0.0/8\"]",
        "11: port[0].routes[0]: this is a string: write a table, as in routes = [{ to = \"10.0.0.0/8\", via = \"198.18.0.1\" }]",
    );
    port_error(
        &format!("routes = [{}]", route.replace(" }", ", metric = 1 }")),
        "52: port[0].routes[0].metric: unknown key: the keys here are to, via",
    );
}

#[test]
fn policies() {
    port_error(
        "conflict_detection = \"none\"",
        r#"22: port[0].conflict_detection: "none" is not one of its values: use "announce" or "probe""#,
    );
    for key in [
        "accept_reserved_sources",
        "accept_unicast_in_group_frames",
        "icmp_timestamp",
        "icmp_echo_group",
        "icmp6_echo_group",
        "accept_redirects6",
    ] {
        let expected = format!("{}: port[0].{key}: this is an integer: write true or false", key.len() + 4);
        port_error(&format!("{key} = 1"), &expected);
    }
    port_error("path_mtu_min = 67", "16: port[0].path_mtu_min: 67 is too small for IPv4: use 68 to 1500");
    port_error("path_mtu_min = 1501", "16: port[0].path_mtu_min: 1501 is too large: use 68 to 1500");
    port_error(
        "path_mtu_min = 1300\nmtu = 1280",
        "16: port[0].path_mtu_min: 1300 is more than the port's mtu, 1280: use 68 to 1280",
    );
    port_error(
        "path_mtu_timeout_s = 299",
        "22: port[0].path_mtu_timeout_s: 299 is too short for RFC 1191: use 300 to 86400",
    );
    port_error("neighbors_max = 8", "17: port[0].neighbors_max: 8 is too small: use 16 to 65536");
    port_error("groups_max = 0", "14: port[0].groups_max: 0 is too small: use 1 to 65536");
    port_error("groups_max = 65537", "14: port[0].groups_max: 65537 is too large: use 1 to 65536");
    port_error("sources_max = 4097", "15: port[0].sources_max: 4097 is too large: use 1 to 4096");
}

// G23, G36, G38: what cannot be said of an interface's group management.
#[test]
fn group_management() {
    let version = |value: &str| {
        let expected =
            format!("16: port[0].igmp_version: {value} is no version of IGMP: use \"auto\", 1, 2 or 3");
        port_error(&format!("igmp_version = {value}"), &expected);
    };
    ["0", "4", "-1", "\"3\"", "\"v2\""].into_iter().for_each(version);
    let robustness = |value: &str| {
        let expected =
            format!("19: port[0].igmp_robustness: {value} is no robustness variable: use \"auto\" or 1 to 7");
        port_error(&format!("igmp_robustness = {value}"), &expected);
    };
    ["0", "8", "-1", "256", "\"twice\""].into_iter().for_each(robustness);
    port_error(
        "igmp_version = 2.0",
        "16: port[0].igmp_version: this is a float: write an integer or \"auto\"",
    );
    port_error(
        "igmp_query_interval_s = 0",
        "25: port[0].igmp_query_interval_s: 0 is too small: use 1 to 31744",
    );
    port_error(
        "igmp_query_interval_s = 31745",
        "25: port[0].igmp_query_interval_s: 31745 is too large: use 1 to 31744",
    );
    port_error(
        "igmp_strict_queries = 1",
        "23: port[0].igmp_strict_queries: this is an integer: write true or false",
    );
}

/// What is wrong on a port is said once, however many VLANs take it over.
#[test]
fn a_mistake_is_told_once() {
    let vlan = |id: u8| format!("[[port.vlan]]\nid = {id}\naddresses = [\"198.18.{id}.2/24\"]\n");
    assert_errors(
        &format!("{PORT}neighbors_max = 8\npath_mtu_min = 9\n{}{}", vlan(7), vlan(9)),
        &[
            "t.toml:4:17: port[0].neighbors_max: 8 is too small: use 16 to 65536",
            "t.toml:5:16: port[0].path_mtu_min: 9 is too small for IPv4: use 68 to 1500",
        ],
    );
}

#[test]
fn limits_of_the_host() {
    let table_error = |text: &str, expected: &str| {
        assert_errors(&format!("{text}\n{PORT}"), &[&format!("t.toml:2:{expected}")]);
    };
    table_error("[reassembly]\ntimeout_s = 0", "13: reassembly.timeout_s: 0 is too small: use 1 to 120");
    table_error("[reassembly]\ntimeout_s = 121", "13: reassembly.timeout_s: 121 is too large: use 1 to 120");
    table_error("[reassembly]\ntimeout6_s = 0", "14: reassembly.timeout6_s: 0 is too small: use 1 to 120");
    table_error(
        "[reassembly]\nfragments = 65537",
        "13: reassembly.fragments: 65537 is too large: use 0 to 65536",
    );
    table_error(
        "[reassembly]\nfragments_per_source = 4096",
        "24: reassembly.fragments_per_source: 4096 is more than all sources together may have, 2048: \
         use 1 to 2048, or raise the key fragments",
    );
    table_error(
        "[reassembly]\nfragments_per_source = 9\nfragments = 0",
        "24: reassembly.fragments_per_source: 9 is more than all sources together may have, 0: \
         leave the key out: no fragment is held",
    );
    table_error(
        "[reassembly]\nfragment = 1",
        "1: reassembly.fragment: unknown key: did you mean \"fragments\"?",
    );
    for key in ["errors_per_second", "errors_burst", "errors_per_second_per_peer", "errors_burst_per_peer"] {
        let expected = format!("{}: icmp.{key}: 0 is too small: use 1 to 1000000", key.len() + 4);
        table_error(&format!("[icmp]\n{key} = 0"), &expected);
    }
}

/// P03, U23: what the sockets of a program's threads may take.
#[test]
fn limits_of_threads_sockets() {
    let sockets_error = |keys: &str, expected: &str| {
        assert_errors(&format!("[sockets]\n{keys}\n{PORT}"), &[&format!("t.toml:2:{expected}")]);
    };
    sockets_error("max = 0", "7: sockets.max: 0 is too small: use 1 to 1048576");
    sockets_error("packets_2048 = 15", "16: sockets.packets_2048: 15 is too small: use 16 to 1048576");
    sockets_error("rcvbuf = 2303", "10: sockets.rcvbuf: 2303 is too small: use 2304 to 1073741824");
    sockets_error("sndbuf_max = 4607", "14: sockets.sndbuf_max: 4607 is too small: use 4608 to 1073741824");
    sockets_error(
        "rcvbuf_max = 100000",
        "14: sockets.rcvbuf_max: 100000 is less than what a socket has at first, 212992: raise the key rcvbuf_max to 212992 \
         or more, or lower the other",
    );
    sockets_error("memberships_max = 0", "19: sockets.memberships_max: 0 is too small: use 1 to 65536");
    sockets_error("sources6_max = 4097", "16: sockets.sources6_max: 4097 is too large: use 1 to 4096");
    sockets_error("rcvbuff = 1", "1: sockets.rcvbuff: unknown key: did you mean \"rcvbuf\"?");
}

#[test]
fn words_of_a_service() {
    let service_error = |line: &str, expected: &str| {
        assert_errors(&format!("{PORT}{SERVICE}{line}\n"), &[&format!("t.toml:7:{expected}")]);
    };
    service_error(
        "reply = \"back\"",
        r#"9: service[0].reply: "back" is not one of its values: use "reflect" or "route""#,
    );
    service_error(
        "path_mtu_discovery = \"on\"",
        r#"22: service[0].path_mtu_discovery: "on" is not one of its values: use "want", "do", "dont", "probe", "interface" or "omit""#,
    );
    service_error(
        "replies_per_second_per_source = -1",
        "33: service[0].replies_per_second_per_source: invalid value: integer `-1`, expected a whole number from 0 to 4294967295",
    );
}
