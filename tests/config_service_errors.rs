//! Services that are configured wrongly: their sockets, ports, groups, kinds and options.

mod config_common;

use config_common::{PORT, SERVICE, assert_errors, service_error};

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
        "\"[::]:7\"",
        "11: service[0].listen[0]: :: is an IPv6 address: this version serves IPv4 only: use IPv4",
    );
    listen_error(
        "\"239.1.2.3:7\"",
        r#"11: service[0].listen[0]: 239.1.2.3 is a group: listen on "0.0.0.0:7" and list the group in groups"#,
    );
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
           give each another UDP port, address or, with the key ports, port",
        ],
    );
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
        "group = \"ff05::1\"",
        "7:21: service[0].groups[0].group: ff05::1 is an IPv6 address: this version serves IPv4 only: use IPv4",
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

#[test]
fn a_group_needs_a_socket_that_receives_it() {
    let remedy = "add a socket with the address 0.0.0.0 to listen";
    let bound = SERVICE.replace("0.0.0.0", "198.18.0.2");
    assert_errors(
        &format!("{PORT}{bound}groups = [{{ group = \"239.1.2.3\" }}]"),
        &[&format!("t.toml:7:11: service[0].groups[0]: no socket of this service receives groups: {remedy}")],
    );
    let second = PORT.replace("tap0", "tap1").replace("18.0.2", "18.1.2");
    assert_errors(
        &format!(
            "{PORT}{second}{SERVICE}ports = [\"p0\"]\ngroups = [{{ group = \"239.1.2.3\", port = \"p1\" }}]"
        ),
        &[&format!(
            "t.toml:11:41: service[0].groups[0].port: no socket of this service receives groups on port p1: {remedy}, \
             and the port to ports if that key is there"
        )],
    );
}
