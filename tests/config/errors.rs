//! Configurations that are wrong: each mistake is told with its place, its key, what is wrong and what to do, and all
//! mistakes of a file are told at once. Here: files, `[eal]`, `[ctl]`, `[workers]` and `[[port]]`.

use std::path::Path;

use crate::config_common::{PORT, SERVICE, assert_errors, check, errors, service_error};
use pollcast::config::{Config, Kinds, Machine};

/// The error of `line` as the fourth line of a `[[port]]` that is otherwise right.
#[track_caller]
fn port_error(line: &str, expected: &str) {
    assert_errors(&format!("{PORT}{line}"), &[&format!("t.toml:{expected}")]);
}

/// The error of `line` as the second line of the file, in `[table]`.
#[track_caller]
fn table_error(table: &str, line: &str, expected: &str) {
    assert_errors(&format!("[{table}]\n{line}\n{PORT}{SERVICE}"), &[&format!("t.toml:{expected}")]);
}

#[test]
fn what_is_right_has_no_error() {
    assert_errors(&format!("{PORT}{SERVICE}"), &[]);
}

#[test]
fn what_is_not_toml() {
    assert_errors(
        &format!("{PORT}mtu = \n"),
        &["t.toml:4:7: not TOML: string values must be quoted, expected literal string"],
    );
    assert_errors(
        &format!("{PORT}device = \"net_tap1\"\n"),
        &["t.toml:4:1: device: not TOML: duplicate key: write it once"],
    );
}

#[test]
fn a_file_that_cannot_be_read() {
    let errors = Config::load(Path::new("no/such.toml")).unwrap_err().to_string();
    let remedy = "give the path of a configuration, such as config/tap.toml";
    assert_eq!(
        errors,
        format!("no/such.toml: cannot be read: No such file or directory (os error 2): {remedy}")
    );
    let folder = Config::load(Path::new("config")).unwrap_err().to_string();
    assert!(folder.starts_with("config: cannot be read: "), "{folder}");
}

#[test]
fn a_file_that_is_not_text() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), b"[eal]\nfile_prefix = \"\xff\"\n").unwrap();
    let errors = Config::load(file.path()).unwrap_err().to_string();
    assert!(errors.starts_with(&format!("{}: cannot be read: ", file.path().display())), "{errors}");
    assert!(errors.ends_with(": write it in UTF-8"), "{errors}");
}

/// The place is told in characters, and lines may end as they do on Windows.
#[test]
fn a_place_after_other_letters_and_line_ends() {
    assert_errors(
        "[[port]]\r\ndevice = \"net_tap0\"\r\naddresses = [\"198.18.0.2/24\"]\r\nmac = \"\u{fc}\" ; mtu = 1\r\n",
        &["t.toml:4:11: not TOML: unexpected key or value, expected newline, `#`"],
    );
    assert_errors(
        &format!("{PORT}checksum = \"\u{fc}\"\n").replace('\n', "\r\n"),
        &["t.toml:4:12: port[0].checksum: \"\u{fc}\" is not one of its values: use \"auto\" or \"software\""],
    );
}

/// `RTE_MAX_ETHPORTS` is 32, `RTE_MAX_LCORE` 128; one lcore is control's.
#[test]
fn more_than_dpdk_has_room_for() {
    let port = |i: usize| {
        format!(
            "[[port]]\ndevice = \"net_tap{i}\"\naddresses = [\"198.18.{i}.2/24\"]\nrx_descriptors = 32768\n"
        )
    };
    let ports = |n: usize| (0..n).map(port).collect::<String>();
    assert_errors(&ports(32), &[]);
    assert_errors(&ports(33), &["t.toml:129:1: port[32]: there are too many ports: DPDK has 32 at most"]);
    let cpus: Vec<usize> = (0..128).collect();
    let config =
        Config::parse(&format!("[workers]\ncpus = {cpus:?}\n{}", ports(32)), Path::new("t.toml")).unwrap();
    let errors = config.check(&Machine::new(0..128), &Kinds::new()).unwrap_err().to_string();
    assert_eq!(errors, "t.toml:2:8: workers.cpus: 128 workers are too many: name at most 127 CPUs");
}

#[test]
fn all_errors_of_a_file_are_told_in_its_order() {
    let text = "[eal]\nhugepage = \"none\"\n[workers]\ncpus = [9]\n[[port]]\ndevice = \"eth0\"\nmtu = 20\n\
                addresses = [\"198.18.0.2/24\", \"198.18.0.2/24\"]\n[[service]]\nkind = \"echo\"\n\
                listen = [\"0.0.0.0:0\"]\nanswer_group = 1\n";
    let keys: Vec<_> = check(text)
        .unwrap_err()
        .iter()
        .map(|error| (error.position.unwrap().line, error.key.clone()))
        .collect();
    let expected = [
        (2, "eal.hugepage"),
        (4, "workers.cpus[0]"),
        (6, "port[0].device"),
        (7, "port[0].mtu"),
        (8, "port[0].addresses[1]"),
        (11, "service[0].listen[0]"),
        (12, "service[0].answer_group"),
    ];
    assert_eq!(keys, expected.map(|(line, key)| (line, key.to_owned())));
}

#[test]
fn unknown_keys_come_with_the_nearest_known_one() {
    table_error("eal", "hugepage = \"none\"", r#"2:1: eal.hugepage: unknown key: did you mean "hugepages"?"#);
    table_error("ctl", "path = \"/x\"", "2:1: ctl.path: unknown key: the keys here are socket");
    table_error("worker", "", r#"1:2: worker: unknown key: did you mean "workers"?"#);
    port_error(
        "rx_descriptor = 64",
        r#"4:1: port[0].rx_descriptor: unknown key: did you mean "rx_descriptors"?"#,
    );
    port_error(
        "colour = 1",
        "4:1: port[0].colour: unknown key: the keys here are name, device, mac, addresses, gateway4, gateway6, \
         conflict_detection, accept_reserved_sources, accept_unicast_in_group_frames, icmp_timestamp, icmp_echo_group, \
         icmp6_echo_group, accept_redirects6, path_mtu_min, path_mtu_timeout_s, neighbors_max, igmp_version, \
         igmp_robustness, igmp_query_interval_s, igmp_strict_queries, mld_version, mld_robustness, \
         mld_query_interval_s, link_local, stable_secret, router_discovery, dad_transmits, groups_max, sources_max, routes, vlan, mtu, rx_descriptors, tx_descriptors, checksum, offloads, \
         multicast_filter, rps, vhost_direct, cpus",
    );
    service_error(
        "answer_group = true",
        r#"7:1: service[0].answer_group: unknown key: did you mean "answer_groups"?"#,
    );
    service_error("port = [\"p0\"]", r#"7:1: service[0].port: unknown key: did you mean "ports"?"#);
    service_error(
        "groups = [{ group = \"239.1.2.3\", source = [\"198.18.0.1\"] }]",
        r#"7:34: service[0].groups[0].source: unknown key: did you mean "sources"?"#,
    );
}

#[test]
fn wrong_types() {
    table_error("eal", "file_prefix = 1", "2:15: eal.file_prefix: this is an integer: write a string");
    table_error(
        "eal",
        "args = \"-v\"",
        "2:8: eal.args: this is a string: write a list, each element a string, as in args = [...]",
    );
    table_error("eal", "args = [1]", "2:9: eal.args[0]: this is an integer: write a string");
    table_error(
        "eal",
        "memory_mb = 1.5",
        "2:13: eal.memory_mb: this is a float: write an integer or \"auto\"",
    );
    port_error("mtu = \"1500\"", "4:7: port[0].mtu: this is a string: write an integer");
    assert_errors(
        &format!("eal = 1\nservice = {{}}\n{PORT}"),
        &[
            "t.toml:1:7: eal: this is an integer: write a table, as in [eal]",
            "t.toml:2:11: service: this is a table: write tables, as in [[service]]",
        ],
    );
    service_error(
        "groups = [\"239.1.2.3\"]",
        r#"7:11: service[0].groups[0]: this is a string: write a table, as in groups = [{ group = "239.1.2.3" }]"#,
    );
}

#[test]
fn eal() {
    table_error(
        "eal",
        "hugepages = \"yes\"",
        r#"2:13: eal.hugepages: "yes" is not one of its values: use "auto", "required" or "none""#,
    );
    table_error(
        "eal",
        "file_prefix = \"a/b\"",
        r#"2:15: eal.file_prefix: "a/b" cannot be part of a file's name: use 1 to 63 letters, digits, "-" or "_""#,
    );
    table_error(
        "eal",
        "args = [\"-v\", \"--lcores=0@1\"]",
        "2:15: eal.args[1]: --lcores is given to EAL by pollcast: use the key workers.cpus",
    );
    table_error("eal", "args = [\"\"]", "2:9: eal.args[0]: this is no argument: take it out");
    table_error(
        "eal",
        "memory_mb = \"much\"",
        r#"2:13: eal.memory_mb: "much" is not one of its values: use "auto" or a number of MiB"#,
    );
    let too_little = errors(&format!("[eal]\nmemory_mb = 8\n{PORT}"));
    assert_eq!(too_little.len(), 1);
    assert!(
        too_little[0].starts_with("t.toml:2:13: eal.memory_mb: 8 is too little: this plan needs "),
        "{too_little:?}"
    );
}

#[test]
fn the_control_socket() {
    let example = "/run/pollcast/ctl.sock";
    table_error(
        "ctl",
        "socket = \"ctl.sock\"",
        &format!(r#"2:10: ctl.socket: "ctl.sock" is not an absolute path: use one such as {example}"#),
    );
    table_error(
        "ctl",
        "socket = \"/run/\"",
        &format!(r#"2:10: ctl.socket: "/run/" names no file: use a path such as {example}"#),
    );
    // sockaddr_un holds 108 bytes, the last of them zero.
    let path = |length: usize| format!("socket = \"/{}\"", "x".repeat(length - 1));
    assert_errors(&format!("[ctl]\n{}\n{PORT}", path(107)), &[]);
    table_error(
        "ctl",
        &path(108),
        "2:10: ctl.socket: 108 bytes are too many for the address of a unix socket: use a path of at most 107 bytes",
    );
}

#[test]
fn workers() {
    let no_cpu = "there is no CPU 9 that this process may use: use one of 0, 1, 2, 3";
    table_error("workers", "cpus = [1, 9]", &format!("2:12: workers.cpus[1]: {no_cpu}"));
    table_error("workers", "control_cpu = 9", &format!("2:15: workers.control_cpu: {no_cpu}"));
    table_error(
        "workers",
        "cpus = [-1]",
        "2:9: workers.cpus[0]: there is no CPU -1 that this process may use: use one of 0, 1, 2, 3",
    );
    table_error(
        "workers",
        "cpus = [1, 1]",
        "2:12: workers.cpus[1]: CPU 1 already has a worker: name each CPU once: a worker polls, and two would take turns",
    );
    table_error("workers", "cpus = []", "2:8: workers.cpus: there is no worker: name a CPU of 0, 1, 2, 3");
    table_error("workers", "burst = 65", "2:9: workers.burst: 65 is too large: use 8 to 64");
    // The vector functions of ixgbe (4) and of i40e, ice and iavf (8) receive nothing if asked for fewer packets.
    table_error(
        "workers",
        "burst = 7",
        "2:9: workers.burst: 7 is too small for several drivers: use 8 to 64",
    );
    table_error(
        "workers",
        "idle = \"sleep\"",
        r#"2:8: workers.idle: "sleep" is not one of its values: use "auto", "spin" or "adaptive""#,
    );
    table_error(
        "workers",
        "idle_sleep_us = 4",
        "2:17: workers.idle_sleep_us: 4 is too small: use 5 to 10000",
    );
    table_error(
        "workers",
        "idle_sleep_us = 10001",
        "2:17: workers.idle_sleep_us: 10001 is too large: use 5 to 10000",
    );
    table_error(
        "workers",
        "idle_heartbeat_us = 99",
        "2:21: workers.idle_heartbeat_us: 99 is too small, and not 0 for none: use 100 to 100000",
    );
    table_error(
        "workers",
        "idle_heartbeat_us = 100001",
        "2:21: workers.idle_heartbeat_us: 100001 is too large: use 100 to 100000",
    );
    table_error(
        "workers",
        "cpu_dma_latency_us = -1",
        "2:22: workers.cpu_dma_latency_us: -1 is too small: use 0 to 10000",
    );
    table_error(
        "workers",
        "cpu_dma_latency_us = 10001",
        "2:22: workers.cpu_dma_latency_us: 10001 is too large: use 0 to 10000",
    );
    assert_errors(
        &format!("[workers]\ncpus = [1, 2]\n{PORT}cpus = [1]\n"),
        &[
            "t.toml:2:12: workers.cpus[1]: the worker on CPU 2 serves no port: take it out, or add 2 to a port's cpus",
        ],
    );
}

#[test]
fn which_workers_serve_a_port() {
    port_error(
        "cpus = [2]",
        "4:9: port[0].cpus[0]: there is no worker on CPU 2: use one of 3, or add 2 to workers.cpus",
    );
    port_error("cpus = [3, 3]", "4:12: port[0].cpus[1]: CPU 3 is named twice: name each CPU once");
    port_error(
        "cpus = []",
        "4:8: port[0].cpus: no worker serves this port: name one of workers.cpus, or leave the key out",
    );
}

#[test]
fn devices() {
    let remedy = "write a PCI address such as \"0000:03:00.0\" or a vdev such as \"net_tap0,iface=pc0\"";
    for device in [
        "",
        "eth0",
        "net_tap",
        "net_0",
        "03:00",
        "03:20.0",
        "03:00.8",
        "0000:0000:03:00.0",
        "net_tap0, x",
        "::.0",
    ] {
        assert_errors(
            &format!("[[port]]\ndevice = \"{device}\"\naddresses = [\"198.18.0.2/24\"]"),
            &[&format!("t.toml:2:10: port[0].device: \"{device}\" is no device: {remedy}")],
        );
    }
    assert_errors(
        "[[port]]\naddresses = [\"198.18.0.2/24\"]",
        &[&format!("t.toml:1:1: port[0]: the key device is missing: {remedy}")],
    );
    assert_errors(
        "[[port]]\ndevice = \"net_bonding0,slave=net_tap0\"\naddresses = [\"198.18.0.2/24\"]",
        &[
            "t.toml:2:10: port[0].device: a bond is not supported: when its other link takes over, nobody would be told of the \
           groups there: give each link a port of its own, as in config/two-ports.toml",
        ],
    );
    let one_too_many = |first: &str, second: &str, name: &str| {
        let port = |device: &str, net: u8| {
            format!("[[port]]\ndevice = \"{device}\"\naddresses = [\"198.18.{net}.2/24\"]\n")
        };
        let remedy = "give each port a device of its own (for a vdev, another number after its driver)";
        assert_errors(
            &format!("{}{}", port(first, 0), port(second, 1)),
            &[&format!("t.toml:5:10: port[1].device: port p0 already has {name}: {remedy}")],
        );
    };
    one_too_many("03:00.0", "0000:03:00.0", "0000:03:00.0");
    one_too_many("0000:0A:00.0", "0a:00.0,x=1", "0000:0a:00.0");
    one_too_many("net_tap0,iface=a", "net_tap0,iface=b", "net_tap0");
}

#[test]
fn there_must_be_a_port() {
    assert_errors("", &["t.toml:1:1: port: there is no port: add [[port]] with device and addresses"]);
}

#[test]
fn names() {
    let remedy = "use 1 to 63 letters, digits, \"-\", \"_\" or \".\"";
    port_error("name = \"a b\"", &format!("4:8: port[0].name: \"a b\" is no name: {remedy}"));
    service_error("name = \"\"", &format!("7:8: service \"\".name: \"\" is no name: {remedy}"));
    let second = PORT.replace("tap0", "tap1").replace("18.0.2", "18.1.2");
    assert_errors(
        &format!("{PORT}name = \"p1\"\n{second}"),
        &["t.toml:5:1: port[1]: another port is called \"p1\": give each a name of its own"],
    );
    let service =
        |port: u16| format!("[[service]]\nname = \"x\"\nkind = \"echo\"\nlisten = [\"0.0.0.0:{port}\"]\n");
    assert_errors(
        &format!("{PORT}{}{}", service(7), service(8)),
        &["t.toml:9:8: service \"x\".name: another service is called \"x\": give each a name of its own"],
    );
}

#[test]
fn macs() {
    let example = "02:00:00:00:00:02";
    port_error(
        "mac = \"02-00-00-00-00-02\"",
        &format!(
            "4:7: port[0].mac: \"02-00-00-00-00-02\" is no Ethernet address: write six hexadecimal bytes with colons, as in \"{example}\""
        ),
    );
    for mac in ["01:00:5e:01:02:03", "ff:ff:ff:ff:ff:ff", "00:00:00:00:00:00"] {
        port_error(
            &format!("mac = \"{mac}\""),
            &format!(
                "4:7: port[0].mac: no station may have {mac}: use one such as \"{example}\", whose first byte is even"
            ),
        );
    }
}

/// The error of a port with the address `address`.
#[track_caller]
fn address_error(address: &str, expected: &str) {
    assert_errors(
        &format!("[[port]]\ndevice = \"net_tap0\"\naddresses = [\"{address}\"]\n"),
        &[&format!("t.toml:3:14: port[0].addresses[0]: {expected}")],
    );
}

#[test]
fn addresses() {
    address_error("198.18.0.2", "\"198.18.0.2\" has no prefix length: write one, as in \"198.18.0.2/24\"");
    address_error("198.18.0.2/33", "\"33\" is no prefix length: use 1 to 32");
    address_error("198.18.0.2/+8", "\"+8\" is no prefix length: use 1 to 32");
    address_error(
        "198.18.0/24",
        "\"198.18.0\" is no IPv4 address: write four numbers with dots, as in \"198.18.0.2\"",
    );
    for addr in ["239.1.2.3", "0.0.0.0", "127.0.0.1", "255.255.255.255"] {
        address_error(
            &format!("{addr}/24"),
            &format!("no host may have the address {addr}: use a unicast address, as in \"198.18.0.2/24\""),
        );
    }
    for addr in ["198.18.0.0", "198.18.0.255"] {
        let expected = format!(
            "{addr} is the network's or the broadcast address of its /24: use one of the addresses between them"
        );
        address_error(&format!("{addr}/24"), &expected);
    }
    let remedy = "give it one, as in addresses = [\"198.18.0.2/24\"]";
    assert_errors(
        "[[port]]\ndevice = \"net_tap0\"",
        &[&format!("t.toml:1:1: port[0]: the key addresses is missing: {remedy}")],
    );
    assert_errors(
        "[[port]]\ndevice = \"net_tap0\"\naddresses = []",
        &[&format!("t.toml:3:13: port[0].addresses: this port has no address: {remedy}")],
    );
    assert_errors(
        &format!("{PORT}{}", PORT.replace("tap0", "tap1")),
        &[
            "t.toml:6:14: port[1].addresses[0]: 198.18.0.2 is an address of port p0: give each port addresses of its own",
        ],
    );
}

#[test]
fn gateways() {
    let gateway = |addr: &str, expected: &str| {
        port_error(&format!("gateway4 = \"{addr}\""), &format!("4:12: port[0].gateway4: {expected}"));
    };
    gateway(
        "198.18.1.1",
        "198.18.1.1 is on none of the port's prefixes: use a router's address within 198.18.0.2/24",
    );
    gateway(
        "198.18.0.2",
        "198.18.0.2 is this port's own address: use the router's address, or leave the key out",
    );
    gateway(
        "198.18.0.255",
        "198.18.0.255 is the network's or the broadcast address of a prefix: use the router's address",
    );
    gateway("239.1.2.3", "no host may have the address 239.1.2.3: use a router's unicast address");
    gateway("fe80::1", "fe80::1 is an IPv6 address: write it as the key gateway6");
}

#[test]
fn numbers_of_a_port() {
    port_error("mtu = 20", "4:7: port[0].mtu: 20 is too small for IPv4: use 68 to 9216");
    port_error("mtu = 9217", "4:7: port[0].mtu: 9217 is too large for one buffer: use 68 to 9216");
    port_error(
        "mtu = 99999999999999999999",
        "4:7: port[0].mtu: 9223372036854775807 is too large for one buffer: use 68 to 9216",
    );
    port_error("rx_descriptors = 16", "4:18: port[0].rx_descriptors: 16 is too small: use 32 to 32768");
    port_error("tx_descriptors = 65536", "4:18: port[0].tx_descriptors: 65536 is too large: use 32 to 32768");
    port_error(
        "rx_descriptors = 1000",
        "4:18: port[0].rx_descriptors: 1000 is not a power of two: use 512 or 1024",
    );
    port_error(
        "checksum = \"hard\"",
        r#"4:12: port[0].checksum: "hard" is not one of its values: use "auto" or "software""#,
    );
    port_error(
        "offloads = \"all\"",
        r#"4:12: port[0].offloads: "all" is not one of its values: use "auto", "none" or a list of those that are allowed"#,
    );
    port_error(
        "offloads = 3",
        r#"4:12: port[0].offloads: this is an integer: write "auto", "none" or a list, as in offloads = [...]"#,
    );
    port_error(
        "offloads = [\"rx_udp_cksum\", \"fast_free\"]",
        "4:29: port[0].offloads[1]: \"fast_free\" is no offload: use \"rx_ipv4_cksum\", \"rx_udp_cksum\", \
         \"rx_vlan_strip\", \"rx_scatter\", \"tx_ipv4_cksum\", \"tx_udp_cksum\" or \"tx_vlan_insert\"",
    );
    port_error(
        "offloads = [\"rx_udp_cksum\", \"rx_udp_cksum\"]",
        "4:29: port[0].offloads[1]: rx_udp_cksum is named twice: name each once",
    );
    assert_errors(
        &format!("{PORT}checksum = \"software\"\noffloads = [\"tx_udp_cksum\"]\n"),
        &[
            "t.toml:5:13: port[0].offloads[0]: tx_udp_cksum is of checksums, and checksum says that these are the \
           software's: take it away, or the key checksum",
        ],
    );
    port_error(
        "multicast_filter = \"none\"",
        r#"4:20: port[0].multicast_filter: "none" is not one of its values: use "auto", "all_multicast" or "promiscuous""#,
    );
    port_error(
        "rps = \"software\"",
        r#"4:7: port[0].rps: "software" is not one of its values: use "auto", "on" or "off""#,
    );
}

#[test]
fn an_error_stays_on_one_line() {
    let lines = errors(&format!("{PORT}\"a\\nb\" = 1\nname = \"x\\u0007\\ny\"\n"));
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines.iter().all(|line| line.starts_with("t.toml:") && !line.contains(char::is_control)));
}
