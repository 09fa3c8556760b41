//! Services that are configured wrongly: their sockets, ports, groups, kinds and options.

use pollcast::config::GroupSources;

use crate::config_common::{PORT, SERVICE, assert_errors, plan, service_error};

/// The errors of a service that listens on `sockets`.
#[track_caller]
fn listen_error(sockets: &str, expected: &str) {
    assert_errors(
        &format!("{PORT}[[service]]\nkind = \"echo\"\nlisten = [{sockets}]\n"),
        &[&format!("t.toml:6:{expected}")],
    );
}

#[test]
fn sockets() {
    listen_error(
        "\"7\"",
        r#"11: service[0].listen[0]: "7" is no socket: write ADDRESS:PORT, as in "0.0.0.0:7""#,
    );
    listen_error(
        "\"0.0.0.0:0\"",
        "11: service[0].listen[0]: no datagram can be sent to UDP port 0: use 1 to 65535",
    );
    listen_error("\"0.0.0.0:65536\"", r#"11: service[0].listen[0]: "65536" is no UDP port: use 1 to 65535"#);
    listen_error(
        "\"198.18.0.9:7\"",
        r#"11: service[0].listen[0]: 198.18.0.9 is not an address of a port: use "198.18.0.2" or "0.0.0.0""#,
    );
    listen_error(
        "",
        "10: service[0].listen: this service has no socket: give it a socket, as in listen = [\"0.0.0.0:7\"]",
    );
    listen_error(
        "\"0.0.0.0:7\", \"0.0.0.0:7\"",
        "24: service[0].listen[1]: 0.0.0.0:7 is listed twice on port p0: give each another UDP port, address or, with the key ports, port",
    );
    assert_errors(
        &format!("{PORT}[[service]]\nkind = \"echo\""),
        &[
            "t.toml:4:1: service[0]: the key listen is missing: give it a socket, as in listen = [\"0.0.0.0:7\"]",
        ],
    );
}

#[test]
fn two_services_on_one_port() {
    let second =
        "[[service]]\nname = \"other\"\nkind = \"echo\"\nlisten = [\"198.18.0.2:7\", \"0.0.0.0:7\"]\n";
    assert_errors(
        &format!("{PORT}{SERVICE}{second}"),
        &[
            "t.toml:10:27: service \"other\".listen[1]: services \"echo\" and \"other\" both listen on 0.0.0.0:7 of port p0: \
           give each another UDP port, address or, with the key ports, port; or set reuse_address = true in both, and both \
           hear groups",
        ],
    );
}

// U15, socket(7) SO_REUSEADDR: all of them must have it.
#[test]
fn services_share_a_socket_if_all_of_them_say_so() {
    const SHARED: &str = "reuse_address = true\n";
    let other = "[[service]]\nname = \"other\"\nkind = \"echo\"\nlisten = [\"0.0.0.0:7\"]\n";
    assert_errors(&format!("{PORT}{SERVICE}{SHARED}{other}{SHARED}"), &[]);
    let both = "services \"echo\" and \"other\" both listen on 0.0.0.0:7 of port p0: give each another UDP port, address \
                or, with the key ports, port; or set reuse_address = true in";
    assert_errors(
        &format!("{PORT}{SERVICE}{SHARED}{other}"),
        &[&format!("t.toml:11:11: service \"other\".listen[0]: {both} \"other\", too")],
    );
    assert_errors(
        &format!("{PORT}{SERVICE}{other}{SHARED}"),
        &[&format!("t.toml:10:11: service \"other\".listen[0]: {both} \"echo\", too")],
    );
    // With itself a service shares nothing.
    assert_errors(
        &format!("{PORT}[[service]]\nkind = \"echo\"\nlisten = [\"0.0.0.0:7\", \"0.0.0.0:7\"]\n{SHARED}"),
        &[
            "t.toml:6:24: service[0].listen[1]: 0.0.0.0:7 is listed twice on port p0: give each another UDP port, \
             address or, with the key ports, port",
        ],
    );
}

// U19: bound to any address, to one of ours and to a group, they are in three places.
#[test]
fn three_kinds_of_addresses_on_one_udp_port_need_not_be_shared() {
    let listen = |addr: &str| SERVICE.replace("0.0.0.0", addr);
    let three = [listen("0.0.0.0"), listen("198.18.0.2"), listen("239.1.2.3")].concat();
    let plan = plan(&format!("{PORT}{three}"));
    assert!(plan.services[2].listen[0].addr.is_multicast());
    assert!(plan.services.iter().all(|service| service.multicast_all && !service.reuse_address));
}

#[test]
fn where_a_service_lives() {
    let workers = "[workers]\ncpus = [1, 2, 3]\n";
    let second = PORT.replace("tap0", "tap1").replace("18.0.2", "18.1.2");
    let live = |cpus: &str| format!("{workers}{PORT}cpus = [1, 2]\n{second}{SERVICE}cpus = {cpus}\n");
    assert_eq!(plan(&live("[2]")).services[0].workers, [1]);
    assert_eq!(plan(&live("[3, 1]")).services[0].workers, [0, 2]);
    assert_eq!(plan(&format!("{workers}{PORT}{SERVICE}")).services[0].workers, [0, 1, 2]);
    let error = |cpus: &str, expected: &str| {
        assert_errors(&live(cpus), &[&format!("t.toml:13:{expected}")]);
    };
    error(
        "[]",
        "8: service[0].cpus: this service lives nowhere: name one of workers.cpus, or leave the key out",
    );
    error(
        "[0]",
        "9: service[0].cpus[0]: there is no worker on CPU 0: use one of 1, 2, 3, or add 0 to workers.cpus",
    );
    error("[1, 1]", "12: service[0].cpus[1]: CPU 1 is named twice: name each CPU once");
    error(
        "[3]",
        "8: service[0].cpus: no worker of this service serves port p0, on which it listens: add one of 1, 2 to these, \
         one of 3 to the port's cpus, or leave the port out with the key ports",
    );
    assert_eq!(plan(&format!("{}ports = [\"p1\"]\n", live("[3]"))).services[0].workers, [2]);
}

#[test]
fn two_services_on_two_ports_may_have_one_udp_port() {
    let second = PORT.replace("tap0", "tap1").replace("18.0.2", "18.1.2");
    assert_errors(&format!("{PORT}{second}{SERVICE}ports = [\"p0\"]\n{SERVICE}ports = [\"p1\"]\n"), &[]);
}

#[test]
fn the_ports_of_a_service() {
    service_error("ports = [\"p1\"]", r#"7:10: service[0].ports[0]: there is no port "p1": use "p0""#);
    service_error(
        "ports = [\"p0\", \"p0\"]",
        "7:16: service[0].ports[1]: port p0 is named twice: name each port once",
    );
    service_error(
        "ports = []",
        "7:9: service[0].ports: this service listens on no port: name one, or leave the key out for all",
    );
}

#[test]
fn kinds_and_their_options() {
    assert_errors(
        &format!("{PORT}{}", SERVICE.replace("\"echo\"", "\"ecco\"")),
        &[r#"t.toml:5:8: service[0].kind: there is no kind of service "ecco": did you mean "echo"?"#],
    );
    assert_errors(
        &format!("{PORT}{}", SERVICE.replace("kind = \"echo\"\n", "")),
        &["t.toml:4:1: service[0]: the key kind is missing: say what it does, as in kind = \"echo\""],
    );
    service_error(
        "answer_groups = \"yes\"",
        "7:17: service[0].answer_groups: invalid type: string \"yes\", expected a boolean",
    );
    service_error(
        "refuse_source_ports = \"all\"",
        "7:23: service[0].refuse_source_ports: \"all\" is not known: use \"reflectors\", \"below_1024\", \"none\" or a list of ports",
    );
    assert_errors(
        &format!("{PORT}{SERVICE}group_answers_per_second = -1\nanswer_groups = 0\n"),
        &[
            "t.toml:7:28: service[0].group_answers_per_second: invalid value: integer `-1`, expected a whole number from 0 to 4294967295",
            "t.toml:8:17: service[0].answer_groups: invalid type: integer `0`, expected a boolean",
        ],
    );
}

#[test]
fn kinds_of_other_crates_check_their_own_options() {
    let service = |kind: &str| SERVICE.replace("echo", kind);
    assert_errors(
        &format!("{PORT}{}colour = \"red\"\n", service("picky")),
        &["t.toml:7:10: service[0].colour: not to my taste: use another"],
    );
    assert_errors(
        &format!("{PORT}{}times = 1\n", service("needy")),
        &["t.toml:4:1: service[0]: missing field `wanted`"],
    );
    assert_errors(
        &format!("{PORT}{}times = 256\n", service("needy")),
        &[
            "t.toml:7:9: service[0].times: invalid value: integer `256`, expected a whole number from 0 to 255",
        ],
    );
    assert_errors(&format!("{PORT}{}wanted = 1\n", service("needy")), &[]);
}

/// The lines of a relay with these keys; they are the seventh of the file and what follows.
fn relay(keys: &str) -> String {
    format!("{PORT}{}{keys}", SERVICE.replace("echo", "relay").replace(":7", ":5000"))
}

// Each destination of a relay is a packet for each that comes in: what cannot be sent to is told at once, and not dropped for ever.
#[test]
fn destinations_of_a_relay() {
    const HOST: &str = "destinations = [\"198.18.0.9:5000\"]\n";
    assert_errors(
        &relay("destinations = [\"198.18.0.9:5000\", \"[ff15::9]:5000\", \"239.7.7.7:5000\"]\nttl = 255\n"),
        &[],
    );
    assert_errors(&relay(""), &["t.toml:4:1: service[0]: missing field `destinations`"]);
    let wrong = |value: &str, expected: &str| {
        let expected = format!("t.toml:7:16: service[0].destinations: {expected}");
        assert_errors(&relay(&format!("destinations = {value}\n")), &[&expected]);
    };
    wrong("\"198.18.0.9:5000\"", "invalid type: string \"198.18.0.9:5000\", expected a list");
    for (written, why) in [
        ("198.18.0.9", "is no address with a port: write \"198.18.0.9:5000\" or \"[ff15::9]:5000\""),
        ("example.com:5000", "is no address with a port: write \"198.18.0.9:5000\" or \"[ff15::9]:5000\""),
        ("ff15::9:5000", "is no address with a port: write \"198.18.0.9:5000\" or \"[ff15::9]:5000\""),
        ("198.18.0.9:65536", "is no address with a port: write \"198.18.0.9:5000\" or \"[ff15::9]:5000\""),
    ] {
        wrong(&format!("[\"{written}\"]"), &format!("\"{written}\" {why}"));
    }
    for written in ["198.18.0.9:0", "0.0.0.0:5000", "127.0.0.1:5000", "[::]:5000", "[::1]:5000"] {
        wrong(
            &format!("[\"239.7.7.7:5000\", \"{written}\"]"),
            &format!("nothing can be sent to \"{written}\": name a host or a group, and its port"),
        );
    }
    wrong(
        "[\"[fe80::9]:5000\"]",
        "\"[fe80::9]:5000\" is a host of one link, and does not say of which: name another address of it",
    );
    wrong("[]", "name 1 to 64 of them, not 0");
    let many =
        |n: usize| (0..n).map(|n| format!("\"198.18.0.9:{}\"", 5000 + n)).collect::<Vec<_>>().join(", ");
    wrong(&format!("[{}]", many(65)), "name 1 to 64 of them, not 65");
    assert_errors(&relay(&format!("destinations = [{}]\n", many(64))), &[]);
    wrong(
        "[\"[ff15::9]:5000\", \"239.7.7.7:5000\", \"[FF15:0::9]:5000\"]",
        "\"[ff15::9]:5000\" is named twice: each has one copy",
    );
    for ttl in ["0", "256", "-1"] {
        let expected =
            format!("t.toml:8:7: service[0].ttl: {ttl} is no time to live: write a number from 1 to 255");
        assert_errors(&relay(&format!("{HOST}ttl = {ttl}\n")), &[&expected]);
    }
    assert_errors(
        &relay(&format!("{HOST}ttl = \"far\"\n")),
        &["t.toml:8:7: service[0].ttl: invalid type: string \"far\", expected a whole number"],
    );
    // Keys of another kind.
    assert_errors(
        &relay(&format!("{HOST}answer_groups = true\n")),
        &[
            "t.toml:8:1: service[0].answer_groups: unknown key: the keys here are name, kind, listen, ports, cpus, reuse_address, v6only, \
             groups, multicast_all, reply, path_mtu_discovery, destinations, ttl",
        ],
    );
}

/// The error of the group `{ table }` of a service.
#[track_caller]
fn group_error(table: &str, expected: &str) {
    service_error(&format!("groups = [{{ {table} }}]"), expected);
}

#[test]
fn groups() {
    group_error(
        "group = \"198.18.0.1\"",
        "7:21: service[0].groups[0].group: 198.18.0.1 is not a multicast group: use 224.0.0.1 to 239.255.255.255",
    );
    group_error(
        "",
        "7:11: service[0].groups[0]: the key group is missing: name it, as in { group = \"239.1.2.3\" }",
    );
    group_error(
        "group = \"239.1.2.3\", port = \"p1\"",
        r#"7:41: service[0].groups[0].port: there is no port "p1": use "p0""#,
    );
    service_error(
        "groups = [{ group = \"239.1.2.3\" }, { group = \"239.1.2.3\", port = \"p0\" }]",
        "7:36: service[0].groups[1]: 239.1.2.3 is listed twice on port p0: list it once, with all its sources",
    );
}

// G48, RFC 4607 4.2.
#[test]
fn a_group_of_the_ssm_range_needs_its_sources() {
    group_error(
        "group = \"232.1.2.3\"",
        "7:21: service[0].groups[0].group: 232.1.2.3 is in the range of source-specific multicast: name its senders, \
         as in sources = [\"198.18.0.1\"], or use a group outside 232.0.0.0/8",
    );
    assert_errors(
        &format!("{PORT}{SERVICE}groups = [{{ group = \"232.1.2.3\", sources = [\"198.18.0.1\"] }}]"),
        &[],
    );
}

#[test]
fn sources() {
    let sources = |list: &str, expected: &str| {
        group_error(&format!("group = \"239.1.2.3\", sources = [{list}]"), &format!("7:{expected}"));
    };
    sources(
        "",
        "44: service[0].groups[0].sources: a group without a source receives nothing: name one, or leave the key out for any",
    );
    sources(
        "\"239.1.1.1\"",
        "45: service[0].groups[0].sources[0]: 239.1.1.1 cannot be a source: use a sender's unicast address",
    );
    sources(
        "\"198.18.0.1\", \"198.18.0.1\"",
        "59: service[0].groups[0].sources[1]: 198.18.0.1 is listed twice: list each source once",
    );
}

// U16, RFC 9776 3.1: one filter mode, with one list.
#[test]
fn sources_that_are_excluded() {
    let group = |table: &str| format!("{PORT}{SERVICE}groups = [{{ {table} }}]");
    let excluding = plan(&group("group = \"239.1.2.3\", exclude = [\"198.18.0.9\", \"198.18.0.8\"]"));
    let GroupSources::Except(sources) = &excluding.services[0].groups4[0].from else { panic!() };
    assert_eq!(format!("{sources:?}"), "[198.18.0.8, 198.18.0.9]");
    group_error(
        "group = \"239.1.2.3\", exclude = []",
        "7:44: service[0].groups[0].exclude: this excludes nobody: name one, or leave the key out for any",
    );
    group_error(
        "group = \"239.1.2.3\", sources = [\"198.18.0.1\"], exclude = [\"198.18.0.9\"]",
        "7:70: service[0].groups[0].exclude: sources says already who is wanted: a filter has one mode (RFC 9776 3.1): \
         name the senders that are wanted in sources, or those that are not in exclude",
    );
    // G48, RFC 4604 2.2.1.
    group_error(
        "group = \"232.1.2.3\", exclude = [\"198.18.0.9\"]",
        "7:44: service[0].groups[0].exclude: 232.1.2.3 is in the range of source-specific multicast, where none are \
         excluded: name its senders, as in sources = [\"198.18.0.1\"], or use a group outside 232.0.0.0/8",
    );
}

#[test]
fn prefixes_of_groups() {
    let groups = |list: &str| format!("{PORT}groups_max = 65536\n{SERVICE}groups = [{list}]");
    let plan = plan(&groups(
        "{ group = \"239.1.0.0/22\" }, { group = \"239.2.2.2/32\" }, { group = \"225.0.0.0/17\" }",
    ));
    let sizes: Vec<_> = plan.services[0].groups4.iter().map(|g| (g.written(), g.groups().count())).collect();
    let expected = [("239.1.0.0/22", 1024), ("239.2.2.2", 1), ("225.0.0.0/17", 32_768)];
    assert_eq!(sizes, expected.map(|(written, count)| (written.to_owned(), count)));
    let last = plan.services[0].groups4[0].groups().last().unwrap();
    assert_eq!(last.to_string(), "239.1.3.255");
    assert!(plan.to_string().contains("joins 239.1.0.0/22 (1024 groups) from any source on p0"));
    group_error(
        "group = \"239.1.0.1/22\"",
        "7:21: service[0].groups[0].group: 239.1.0.1 has bits beyond the first 22: write 239.1.0.0/22",
    );
    group_error(
        "group = \"239.1.0.0/33\"",
        "7:21: service[0].groups[0].group: \"33\" is no prefix length: use 4 to 32",
    );
    group_error(
        "group = \"239.0.0.0/8\"",
        "7:21: service[0].groups[0].group: 16777216 groups are too many for one service: join at most 65536 in all, as a \
         prefix of 16 bits or more, or share them out",
    );
    group_error(
        "group = \"232.1.0.0/24\"",
        "7:21: service[0].groups[0].group: 232.1.0.0/24 is in the range of source-specific multicast: name its senders, \
         as in sources = [\"198.18.0.1\"], or use a group outside 232.0.0.0/8",
    );
    group_error(
        "group = \"223.255.255.0/24\"",
        "7:21: service[0].groups[0].group: 223.255.255.0 is not a multicast group: use 224.0.0.1 to 239.255.255.255",
    );
    assert_errors(
        &groups("{ group = \"239.1.0.0/17\" }, { group = \"239.1.128.0/17\" }, { group = \"239.2.2.2\" }"),
        &[
            "t.toml:8:79: service[0].groups[2].group: 65537 groups are too many for one service: join at most 65536 in \
             all, as a prefix of 16 bits or more, or share them out",
        ],
    );
    assert_errors(
        &groups("{ group = \"239.1.0.0/24\" }, { group = \"239.1.0.7\" }"),
        &[
            "t.toml:8:39: service[0].groups[1]: 239.1.0.0/24 and 239.1.0.7 have groups in common on port p0: list it \
             once, with all its sources",
        ],
    );
}

#[test]
fn a_group_needs_a_socket_that_receives_it() {
    let remedy = "add a socket with the address 0.0.0.0 or the group's to listen";
    let bound = SERVICE.replace("0.0.0.0", "198.18.0.2");
    assert_errors(
        &format!("{PORT}{bound}groups = [{{ group = \"239.1.2.3\" }}]"),
        &[&format!(
            "t.toml:7:11: service[0].groups[0]: no socket of this service could hear 239.1.2.3: {remedy}"
        )],
    );
    // U19: bound to another group, or to one of several.
    let of_group = SERVICE.replace("0.0.0.0", "239.1.2.3");
    assert_errors(&format!("{PORT}{of_group}groups = [{{ group = \"239.1.2.3\" }}]"), &[]);
    assert_errors(
        &format!("{PORT}{of_group}groups = [{{ group = \"239.1.2.2/31\" }}]"),
        &[&format!(
            "t.toml:7:11: service[0].groups[0]: no socket of this service could hear 239.1.2.2/31: {remedy}"
        )],
    );
    let second = PORT.replace("tap0", "tap1").replace("18.0.2", "18.1.2");
    assert_errors(
        &format!(
            "{PORT}{second}{SERVICE}ports = [\"p0\"]\ngroups = [{{ group = \"239.1.2.3\", port = \"p1\" }}]"
        ),
        &[&format!(
            "t.toml:11:41: service[0].groups[0].port: no socket of this service could hear 239.1.2.3 on port p1: {remedy}, \
             and the port to ports if that key is there"
        )],
    );
}
