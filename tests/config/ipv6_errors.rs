//! IPv6 that is configured wrongly: each mistake with its place, and what to do.

use crate::config_common::{PORT, SERVICE, assert_errors};

const BOTH: &str =
    "[[port]]\ndevice = \"net_tap0,iface=pc0\"\naddresses = [\"198.18.0.2/24\", \"2001:db8::2/64\"]\n";

/// The error of the one address `address`.
#[track_caller]
fn address_error(address: &str, expected: &str) {
    assert_errors(
        &format!("[[port]]\ndevice = \"net_tap0\"\naddresses = [{address:?}]\n"),
        &[&format!("t.toml:3:14: port[0].addresses[0]: {expected}")],
    );
}

/// The error of `line` as the fourth line of a port with both IP versions.
#[track_caller]
fn port_error(line: &str, expected: &str) {
    assert_errors(&format!("{BOTH}{line}\n"), &[&format!("t.toml:4:{expected}")]);
}

/// The error of `line` as the seventh line of the file, in a service that listens on `[::]:7` of such a port.
#[track_caller]
fn service_error(line: &str, expected: &str) {
    let service = SERVICE.replace("0.0.0.0", "[::]");
    assert_errors(&format!("{BOTH}{service}{line}\n"), &[&format!("t.toml:7:{expected}")]);
}

#[test]
fn addresses() {
    address_error("2001:db8::2", "\"2001:db8::2\" has no prefix length: write one, as in \"2001:db8::2/64\"");
    address_error("2001:db8::2/129", "\"129\" is no prefix length: use 1 to 128");
    address_error("2001:db8::2/0", "\"0\" is no prefix length: use 1 to 128");
    address_error(
        "2001:db8::g/64",
        "\"2001:db8::g\" is no IPv6 address: write groups of hexadecimal digits with colons, as in \"2001:db8::2\"",
    );
    address_error("[2001:db8::2]/64", "\"[2001:db8::2]\" has brackets, or one of two: write \"2001:db8::2\"");
    address_error(
        "auto/64",
        "\"auto\" is no IPv4 address: write four numbers with dots, as in \"198.18.0.2\"",
    );
    for addr in ["ff02::1", "::", "::1"] {
        address_error(
            &format!("{addr}/64"),
            &format!("no host may have the address {addr}: use a unicast address, as in \"2001:db8::2/64\""),
        );
    }
    // RFC 4291 2.5.5.2.
    address_error(
        "::ffff:198.18.0.2/96",
        "::ffff:198.18.0.2 stands for 198.18.0.2 within a host, and is on no link: write the IPv4 address, as in \
         \"198.18.0.2/24\"",
    );
    // RFC 4862 5.3.
    for addr in ["fe80::2", "febf::1"] {
        address_error(
            &format!("{addr}/64"),
            &format!(
                "{addr} is link-local: every port with IPv6 has one: for this, write link_local = \"{addr}\""
            ),
        );
    }
    // RFC 4291 2.6.1.
    address_error(
        "2001:db8::/64",
        "2001:db8:: is the routers' address of its /64 (RFC 4291 2.6.1): use another address of that prefix",
    );
}

#[test]
fn an_address_is_there_once() {
    let list = |list: &str, expected: &[&str]| {
        assert_errors(&format!("[[port]]\ndevice = \"net_tap0\"\naddresses = [{list}]\n"), expected);
    };
    list(
        "\"2001:db8::2/64\", \"2001:db8:0::2/48\"",
        &["t.toml:3:32: port[0].addresses[1]: 2001:db8::2 is listed twice: list each address once"],
    );
    list(
        "\"auto\", \"auto\"",
        &["t.toml:3:22: port[0].addresses[1]: \"auto\" is listed twice: list it once"],
    );
    let many: Vec<String> = (1..=257).map(|n| format!("\"2001:db8::{n:x}/64\"")).collect();
    let at = 14 + many[..256].iter().map(|text| text.len() + 2).sum::<usize>();
    list(
        &many.join(", "),
        &[&format!(
            "t.toml:3:{at}: port[0].addresses[256]: 257 addresses are too many for one port: list at most 256"
        )],
    );
    list(&many[..256].join(", "), &[]);
    let second = BOTH.replace("tap0", "tap1").replace("198.18.0.2", "198.18.0.3");
    assert_errors(
        &format!("{BOTH}{second}"),
        &[
            "t.toml:6:31: port[1].addresses[1]: 2001:db8::2 is an address of port p0: give each port addresses of its own",
        ],
    );
}

#[test]
fn link_local_addresses() {
    let remedy = "use \"eui64\", \"stable\" or an address, as in \"fe80::2\"";
    let error = |value: &str, expected: &str| {
        port_error(&format!("link_local = {value:?}"), &format!("14: port[0].link_local: {expected}"));
    };
    error("auto", &format!("\"auto\" is not one of its values: {remedy}"));
    error("fe80::2/64", "\"fe80::2/64\" is not one of its values: write the address alone: \"fe80::2\"");
    error("fe80::2%p0", "\"fe80::2%p0\" is not one of its values: write the address alone: \"fe80::2\"");
    for addr in ["2001:db8::2", "fe80::", "fe80:0:0:1::2", "ff02::1", "::1"] {
        error(addr, &format!("{addr} is no link-local address of a host: {remedy}"));
    }
    // Told also where there is no IPv6 for it to matter.
    assert_errors(
        &format!("{PORT}link_local = \"eui\"\n"),
        &[&format!("t.toml:4:14: port[0].link_local: \"eui\" is not one of its values: {remedy}")],
    );
}

/// A secret is not repeated in what may be shown to others.
#[test]
fn secrets_and_counts() {
    for (secret, length) in
        [("abc", 3), ("0123456789abcdef0123456789abcdeg", 32), ("+123456789abcdef0123456789abcdef", 32)]
    {
        port_error(
            &format!("stable_secret = {secret:?}"),
            &format!(
                "17: port[0].stable_secret: this is no 32 hexadecimal digits: it has {length} characters: \
                 write what `openssl rand -hex 16` prints"
            ),
        );
    }
    port_error("dad_transmits = 11", "17: port[0].dad_transmits: 11 is too large: use 0 to 10");
    port_error("dad_transmits = -1", "17: port[0].dad_transmits: -1 is too small: use 0 to 10");
    port_error(
        "router_discovery = 1",
        "20: port[0].router_discovery: this is an integer: write true or false",
    );
    port_error("mld_version = 3", "15: port[0].mld_version: 3 is no version of MLD: use \"auto\", 1 or 2");
    port_error(
        "mld_robustness = 8",
        "18: port[0].mld_robustness: 8 is no robustness variable: use \"auto\" or 1 to 7",
    );
    port_error(
        "mld_query_interval_s = 0",
        "24: port[0].mld_query_interval_s: 0 is too small: use 1 to 31744",
    );
    assert_errors(
        &format!("[reassembly]\ntimeout6_s = 121\n{PORT}"),
        &["t.toml:2:14: reassembly.timeout6_s: 121 is too large: use 1 to 120"],
    );
}

// RFC 8200 5.
#[test]
fn a_link_of_ipv6_carries_1280_bytes() {
    let remedy = "use 1280 to 9216, or take what is IPv6 out of addresses";
    port_error("mtu = 1279", &format!("7: port[0].mtu: 1279 is too small for IPv6 (RFC 8200 5): {remedy}"));
    assert_errors(&format!("{BOTH}mtu = 1280\n"), &[]);
    assert_errors(&format!("{PORT}mtu = 1279\n"), &[]);
    port_error("mtu = 67", "7: port[0].mtu: 67 is too small for IPv4: use 68 to 9216");
    let vlans =
        "[[port.vlan]]\nid = 7\naddresses = [\"auto\"]\n[[port.vlan]]\nid = 8\naddresses = [\"auto\"]\n";
    assert_errors(
        &format!("{PORT}mtu = 600\n{vlans}"),
        &[&format!("t.toml:4:7: port[0].mtu: 600 is too small for IPv6 (RFC 8200 5): {remedy}")],
    );
}

#[test]
fn gateways() {
    let error = |addr: &str, expected: &str| {
        port_error(&format!("gateway6 = {addr:?}"), &format!("12: port[0].gateway6: {expected}"));
    };
    error("198.18.0.1", "198.18.0.1 is an IPv4 address: write it as the key gateway4");
    error(
        "2001:db8::2",
        "2001:db8::2 is this port's own address: use the router's address, or leave the key out",
    );
    error(
        "2001:db9::1",
        "2001:db9::1 is on none of the port's prefixes: use a router's link-local address, or one within 2001:db8::2/64",
    );
    error("ff02::2", "no host may have the address ff02::2: use a router's unicast address");
    error("fe80::1%p0", "\"fe80::1%p0\" names a port: write \"fe80::1\": which port it is on is known");
    assert_errors(
        &format!("{BOTH}link_local = \"fe80::2\"\ngateway6 = \"fe80::2\"\n"),
        &[
            "t.toml:5:12: port[0].gateway6: fe80::2 is this port's own address: use the router's address, or leave the key out",
        ],
    );
}

#[test]
fn a_router_needs_its_ip_version() {
    assert_errors(
        &format!("{PORT}gateway6 = \"fe80::1\"\n"),
        &[
            "t.toml:4:12: port[0].gateway6: this port has no IPv6 address: add one to addresses, as in \"2001:db8::2/64\", \
           or leave the key out",
        ],
    );
    let auto = "[[port]]\ndevice = \"net_tap0\"\naddresses = [\"auto\"]\n";
    assert_errors(
        &format!(
            "{auto}gateway4 = \"198.18.0.1\"\nroutes = [{{ to = \"10.0.0.0/8\", via = \"198.18.0.1\" }}]\n"
        ),
        &[
            "t.toml:4:12: port[0].gateway4: this port has no IPv4 address: add one to addresses, as in \"198.18.0.2/24\", \
           or leave the key out",
            "t.toml:5:38: port[0].routes[0].via: this port has no IPv4 address: add one to addresses, as in \"198.18.0.2/24\", \
           or take the route out",
        ],
    );
    assert_errors(
        &format!("{auto}gateway6 = \"2001:db8::1\"\n"),
        &[
            "t.toml:4:12: port[0].gateway6: 2001:db8::1 is on none of the port's prefixes: use a router's link-local address",
        ],
    );
    let vlan = "[[port.vlan]]\nid = 200\naddresses = [\"auto\"]\n";
    assert_errors(
        &format!("[[port]]\ndevice = \"net_tap0\"\ngateway6 = \"fe80::1\"\n{vlan}"),
        &[
            "t.toml:3:12: port[0].gateway6: only the VLANs of this port have addresses: move it to the [[port.vlan]] that \
           it belongs to, or give the port addresses",
        ],
    );
}

#[test]
fn routes() {
    let to = |prefix: &str, expected: &str| {
        let line = format!("routes = [{{ to = \"{prefix}\", via = \"fe80::1\" }}]");
        port_error(&line, &format!("18: port[0].routes[0].to: {expected}"));
    };
    to("::/0", "this is the default route: name the router of all else in the key gateway6 instead");
    to(
        "2001:db8:1::1/48",
        "2001:db8:1::1 has bits behind the first 48: use \"2001:db8:1::/48\", or \"2001:db8:1::1/128\" for one host",
    );
    to(
        "2001:db8:1::",
        "\"2001:db8:1::\" has no prefix length: write one, as in \"2001:db8:1::/48\", or \"2001:db8:1::/128\" for one host",
    );
    to("2001:db8:1::/129", "\"129\" is no prefix length: use 0 to 128");
    for (prefix, what) in [
        ("::1/128", "loopback"),
        ("::ffff:0.0.0.0/96", "IPv4 within a host"),
        ("fe80::/64", "link-local"),
        ("ff0e::/16", "multicast"),
    ] {
        to(prefix, &format!("{prefix} is {what}: nothing is sent there by a router: take the route out"));
    }
    to(
        "2001:db8::/64",
        "2001:db8::/64 is the link of the port's address 2001:db8::2/64: take the route out: hosts there are neighbours",
    );
    let via = |router: &str, expected: &str| {
        let line = format!("routes = [{{ to = \"2001:db8:1::/48\", via = \"{router}\" }}]");
        port_error(&line, &format!("43: port[0].routes[0].via: {expected}"));
    };
    via("198.18.0.1", "198.18.0.1 is an IPv4 address: name a router of IPv6, as to is");
    via(
        "2001:db8:1::1",
        "2001:db8:1::1 is on none of the port's prefixes: use a router's link-local address, or one within 2001:db8::2/64",
    );
    let twice = "routes = [{ to = \"2001:db8:1::/48\", via = \"fe80::1\" }, { to = \"2001:db8:1::/48\", via = \"fe80::2\" }]";
    port_error(
        twice,
        "63: port[0].routes[1].to: there is a route to 2001:db8:1::/48 already, via fe80::1: list each destination once",
    );
    for fine in ["2001:db8::/48", "2001:db8::/65", "2000::/3", "fc00::/7"] {
        let line = format!("routes = [{{ to = \"{fine}\", via = \"fe80::1\" }}]");
        assert_errors(&format!("{BOTH}{line}\n"), &[]);
    }
}

/// The error of the one socket `socket` of a port with both IP versions.
#[track_caller]
fn listen_error(socket: &str, expected: &str) {
    let service = format!("[[service]]\nkind = \"echo\"\nlisten = [{socket:?}]\n");
    assert_errors(&format!("{BOTH}{service}"), &[&format!("t.toml:6:11: service[0].listen[0]: {expected}")]);
}

#[test]
fn sockets() {
    listen_error("::7", "\"::7\" is no socket: put the address in brackets, as in \"[::]:7\"");
    listen_error("[::]:0", "no datagram can be sent to UDP port 0: use 1 to 65535");
    listen_error("[198.18.0.2]:7", "[198.18.0.2] is no IPv6 address: write \"198.18.0.2:7\"");
    listen_error(
        "[::ffff:198.18.0.2]:7",
        "::ffff:198.18.0.2 stands for 198.18.0.2 within a host: write \"198.18.0.2:7\"",
    );
    listen_error(
        "[2001:db8::9]:7",
        "2001:db8::9 is not an address of a port: use \"[2001:db8::2]\" or \"[::]\"",
    );
    listen_error("[::1]:7", "::1 is not an address of a port: use \"[2001:db8::2]\" or \"[::]\"");
    listen_error(
        "[2001:db8::2%p0]:7",
        "2001:db8::2 is not of one link only: write \"[2001:db8::2]:7\", and name p0 in the key ports",
    );
    listen_error("[fe80::2%p1]:7", "there is no port \"p1\": use \"p0\"");
    for group in ["ff00::1", "ff01::1"] {
        listen_error(
            &format!("[{group}]:7"),
            &format!(
                "{group} is on no link: use a wider scope: ff02:: on the link, ff05:: on the site, ff0e:: everywhere"
            ),
        );
    }
    let fixed = BOTH.replace("[[port]]\n", "[[port]]\nlink_local = \"fe80::2\"\n");
    assert_errors(
        &format!("{fixed}{}", SERVICE.replace("0.0.0.0", "[fe80::3]")),
        &[
            "t.toml:7:11: service[0].listen[0]: fe80::3 is not the link-local address of a port: use the port's own, as the \
           key link_local says, or \"[::]\"",
        ],
    );
    assert_errors(
        &format!("{PORT}{}", SERVICE.replace("0.0.0.0", "[::]")),
        &[
            "t.toml:6:11: service[0].listen[0]: no port of this service has IPv6: add an address to one, as in \"2001:db8::2/64\"",
        ],
    );
    assert_errors(
        &format!("[[port]]\ndevice = \"net_tap0\"\naddresses = [\"auto\"]\n{SERVICE}"),
        &[
            "t.toml:6:11: service[0].listen[0]: no port of this service has IPv4: add an address to one, as in \"198.18.0.2/24\"",
        ],
    );
    let vlan = "[[port.vlan]]\nid = 7\naddresses = [\"auto\"]\n";
    assert_errors(
        &format!("{BOTH}{vlan}{}ports = [\"p0\"]\n", SERVICE.replace("0.0.0.0", "[fe80::2%p0.7]")),
        &[
            "t.toml:9:11: service[0].listen[0]: this service does not listen on port p0.7: add it to the key ports, or leave \
           that key out",
        ],
    );
}

// P10, RFC 3493 5.3, Linux's bindv6only: EADDRINUSE there, and here the reason.
#[test]
fn a_dual_stack_socket_takes_ipv4s_place() {
    let service =
        |listen: &str, rest: &str| format!("[[service]]\nkind = \"echo\"\nlisten = [{listen}]\n{rest}");
    for (listen, taken) in [("\"0.0.0.0:7\", \"[::]:7\"", "24"), ("\"[::]:7\", \"0.0.0.0:7\"", "21")] {
        assert_errors(
            &format!("{BOTH}{}", service(listen, "")),
            &[&format!(
                "t.toml:6:{taken}: service[0].listen[1]: [::]:7 hears IPv4, too, as on Linux, so that 0.0.0.0:7 is taken on \
                 port p0: leave 0.0.0.0:7 out, or set v6only = true"
            )],
        );
        assert_errors(&format!("{BOTH}{}", service(listen, "v6only = true\n")), &[]);
    }
    let apart = "give each another UDP port, address or, with the key ports, port";
    let two = |first: &str, second: &str| {
        format!(
            "{BOTH}{}{}",
            service("\"[::]:7\"", first),
            service("\"0.0.0.0:7\"", &format!("name = \"b\"\n{second}"))
        )
    };
    assert_errors(
        &two("", ""),
        &[&format!(
            "t.toml:9:11: service \"b\".listen[0]: services \"echo\" and \"b\" both listen on 0.0.0.0:7 of port p0: [::]:7 \
             hears IPv4, too, as on Linux: set v6only = true in \"echo\", or {apart}; or set reuse_address = true in both, \
             and both hear groups"
        )],
    );
    assert_errors(&two("v6only = true\n", ""), &[]);
    assert_errors(&two("reuse_address = true\n", "reuse_address = true\n"), &[]);
    // Apart by port, by UDP port, or by address, as the places of IPv4 are.
    assert_errors(
        &format!("{BOTH}{}", service("\"[::]:7\", \"0.0.0.0:8\", \"198.18.0.2:7\", \"[2001:db8::2]:7\"", "")),
        &[],
    );
    assert_errors(
        &format!("{BOTH}{}", service("\"[::]:7\", \"[::]:7\"", "")),
        &[&format!("t.toml:6:21: service[0].listen[1]: [::]:7 is listed twice on port p0: {apart}")],
    );
}

#[test]
fn groups() {
    let group = |table: &str, expected: &str| {
        service_error(&format!("groups = [{{ {table} }}]"), expected);
    };
    group(
        "group = \"2001:db8::1\"",
        "21: service[0].groups[0].group: 2001:db8::1 is not a multicast group: use one such as ff0e::1:2:3, whose first byte is ff",
    );
    let wider = "use a wider scope: ff02:: on the link, ff05:: on the site, ff0e:: everywhere";
    group(
        "group = \"ff01::5\"",
        &format!(
            "21: service[0].groups[0].group: ff01::5 is heard within one host only, and on no link: {wider}"
        ),
    );
    group(
        "group = \"ff10::5\"",
        &format!("21: service[0].groups[0].group: ff10::5 is of a reserved scope, and on no link: {wider}"),
    );
    group(
        "group = \"ff0e::1/112\"",
        "21: service[0].groups[0].group: ff0e::1 has bits beyond the first 112: write ff0e::/112",
    );
    let most = "join at most 65536 in all, as a prefix of 112 bits or more, or share them out";
    group(
        "group = \"ff0e::/111\"",
        &format!("21: service[0].groups[0].group: 131072 groups are too many for one service: {most}"),
    );
    group(
        "group = \"ff0e::/16\"",
        &format!("21: service[0].groups[0].group: these are too many groups for one service: {most}"),
    );
    service_error(
        "groups = [{ group = \"ff0e::/124\" }, { group = \"ff0e::5\" }]",
        "37: service[0].groups[1]: ff0e::/124 and ff0e::5 have groups in common on port p0: list it once, with all its sources",
    );
    assert_errors(
        &format!("{BOTH}{SERVICE}groups = [{{ group = \"ff0e::5\" }}]\n"),
        &[
            "t.toml:7:11: service[0].groups[0]: no socket of this service could hear ff0e::5: add a socket with the address \
           [::] or the group's to listen",
        ],
    );
    let vlan = "[[port.vlan]]\nid = 7\naddresses = [\"198.18.7.2/24\"]\n";
    assert_errors(
        &format!(
            "{BOTH}{vlan}{}groups = [{{ group = \"ff0e::5\", port = \"p0.7\" }}]\n",
            SERVICE.replace("0.0.0.0", "[::]")
        ),
        &[
            "t.toml:10:39: service[0].groups[0].port: no socket of this service could hear ff0e::5 on port p0.7: give the port \
           an IPv6 address",
        ],
    );
}

// L16, RFC 4607 4.2, RFC 4604 2.2.1.
#[test]
fn sources_of_groups() {
    let group = |table: &str, expected: &str| {
        service_error(&format!("groups = [{{ {table} }}]"), expected);
    };
    let remedy = "name its senders, as in sources = [\"2001:db8::1\"], or use a group outside ff3x::/32";
    for ssm in ["ff3e::5", "ff35::8000:1"] {
        group(
            &format!("group = \"{ssm}\""),
            &format!(
                "21: service[0].groups[0].group: {ssm} is in the range of source-specific multicast: {remedy}"
            ),
        );
    }
    group(
        "group = \"ff3e::5\", exclude = [\"2001:db8::9\"]",
        &format!(
            "42: service[0].groups[0].exclude: ff3e::5 is in the range of source-specific multicast, where none are \
             excluded: {remedy}"
        ),
    );
    let source = |source: &str, expected: &str| {
        group(
            &format!("group = \"ff3e::5\", sources = [\"{source}\"]"),
            &format!("43: service[0].groups[0].sources[0]: {expected}"),
        );
    };
    source("198.18.0.1", "198.18.0.1 is an IPv4 address: name senders of IPv6, as the group is");
    for addr in ["ff0e::1", "::", "::1", "::ffff:198.18.0.1"] {
        source(addr, &format!("{addr} cannot be a source: use a sender's unicast address"));
    }
    group(
        "group = \"239.1.2.3\", sources = [\"2001:db8::1\"]",
        "45: service[0].groups[0].sources[0]: 2001:db8::1 is an IPv6 address: name senders of IPv4, as the group is",
    );
    // Outside of ff3x::/32 (RFC 4607 1), any source may be wanted.
    assert_errors(
        &format!(
            "{BOTH}{}groups = [{{ group = \"ff3e:20:2001:db8::1\" }}]\n",
            SERVICE.replace("0.0.0.0", "[::]")
        ),
        &[],
    );
}
