//! Configurations that are right: every file of `config/` loads and comes to what it says, defaults make the least one
//! run, and the arithmetic adds up. And whatever a file holds, nothing panics.

use std::path::{Path, PathBuf};
use std::time::Duration;

use pollcast::config::{
    Config, ConfigErrors, GroupSources, Hugepages, Kind, Kinds, Machine, Offload, OffloadSet, Plan, mbufs,
};
use pollcast::io::{
    Addressing6, BURST_MAX, ConflictDetection, FilterPolicy, InterfaceId, PmtuDiscovery, ReplyPath,
};
use pollcast::service::{EchoOptions, RelayOptions};
use proptest::prelude::*;

fn kinds() -> Kinds {
    Kinds::new()
        .with(Kind::of::<EchoOptions>("echo", EchoOptions::KEYS))
        .with(Kind::of::<RelayOptions>("relay", RelayOptions::KEYS))
}

fn check(text: &str, cpus: usize) -> Result<Plan, ConfigErrors> {
    Config::parse(text, Path::new("test.toml"))?.check(&Machine::new(0..cpus), &kinds())
}

/// The plan of `text` on a machine with `cpus` CPUs.
#[track_caller]
fn plan(text: &str, cpus: usize) -> Plan {
    check(text, cpus).unwrap_or_else(|errors| panic!("{errors}"))
}

/// The files of `config/`.
fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    files
}

fn text_of(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("config").join(name)).unwrap()
}

const LEAST: &str = r#"
[[port]]
device = "net_tap0,iface=pc0"
addresses = ["198.18.0.2/24"]

[[service]]
kind = "echo"
listen = ["0.0.0.0:7"]
"#;

#[test]
fn every_file_of_config_is_right_on_machines_with_one_cpu_and_with_two() {
    let names: Vec<_> = files().iter().map(|path| path.file_name().unwrap().to_owned()).collect();
    let expected = ["af_packet", "af_xdp", "pci-nic", "routed", "tap", "two-ports", "virtio-user", "vlans"];
    for name in expected.map(|name| format!("{name}.toml")) {
        assert!(names.iter().any(|known| *known == *name), "config/{name} is missing");
    }
    for path in files() {
        let config = Config::load(&path).unwrap_or_else(|errors| panic!("{errors}"));
        for cpus in [1, 2] {
            let plan =
                config.check(&Machine::new(0..cpus), &kinds()).unwrap_or_else(|errors| panic!("{errors}"));
            assert_eq!((plan.workers.len(), plan.workers[0].cpu), (1, cpus - 1), "{}", path.display());
        }
    }
}

/// What is commented out in the files is right, too: `# key = value` with the comment mark taken off, and whole tables.
#[test]
fn the_keys_that_the_files_comment_out_are_right() {
    for path in files() {
        let text = std::fs::read_to_string(&path).unwrap();
        let uncommented = uncommented(&text);
        assert_ne!(uncommented, text.trim_end(), "{} comments out no key", path.display());
        plan(&uncommented, 8);
    }
}

fn uncommented(text: &str) -> String {
    let of_line = |line| {
        let rest = str::strip_prefix(line, "#").map(str::trim_start);
        rest.filter(|rest| is_assignment(rest) || is_table(rest)).unwrap_or(line)
    };
    text.lines().map(of_line).collect::<Vec<_>>().join("\n")
}

fn is_assignment(line: &str) -> bool {
    line.split_once(" = ").is_some_and(|(key, _)| key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'))
}

fn is_table(line: &str) -> bool {
    line.starts_with("[[") && line.ends_with("]]")
}

/// Every key of the kinds that tap.toml does not run stands there, too, and says what it does by default.
#[test]
fn the_tap_file_shows_a_relay() {
    let plan = plan(&uncommented(&text_of("tap.toml")), 8);
    let [_, relay] = plan.services.as_slice() else { panic!("{:?}", plan.services) };
    assert_eq!((relay.name.as_str(), relay.kind.as_str()), ("relay", "relay"));
    let options: RelayOptions = relay.options.clone().try_into().unwrap();
    assert!(options.destinations.len() == 2 && options.ttl.is_some());
    assert!(RelayOptions::KEYS.iter().all(|key| relay.options.contains_key(*key)), "{:?}", relay.options);
}

#[test]
fn the_tap_file_says_what_the_demo_needs() {
    let plan = plan(&text_of("tap.toml"), 2);
    let [port] = plan.ports.as_slice() else { panic!("{:?}", plan.ports) };
    assert_eq!((port.name.as_str(), port.device.as_str()), ("p0", "net_tap0,iface=pc0"));
    assert_eq!(port.mac.unwrap().to_string(), "02:00:00:00:00:02");
    assert_eq!(plan.interfaces[0].v4.addresses[0].to_string(), "198.18.0.2/24");
    let [echo] = plan.services.as_slice() else { panic!("{:?}", plan.services) };
    assert_eq!(plan.interfaces[0].v6.addresses[0].to_string(), "2001:db8::2/64");
    // Dual-stack: one socket for both IP versions.
    assert_eq!((echo.listen[0].written().as_str(), echo.listen[0].v6only), ("[::]:7", false));
    assert_eq!(echo.listen[0].places().map(|addr| addr.to_string()).collect::<Vec<_>>(), ["::", "0.0.0.0"]);
    let groups4: Vec<String> = echo.groups4.iter().map(|g| format!("{} {:?}", g.written(), g.from)).collect();
    assert_eq!(groups4, ["239.1.2.3 Any", "232.1.2.3 Only([198.18.0.1])"]);
    let groups6: Vec<String> = echo.groups6.iter().map(|g| format!("{} {:?}", g.written(), g.from)).collect();
    assert_eq!(groups6, ["ff0e::1:2:3 Any", "ff3e::1234 Only([2001:db8::1])"]);
    assert_eq!((plan.control_cpu, plan.workers[0].cpu), (0, 1));
}

// Each offload can be switched off; the old key is all of those of checksums at once.
#[test]
fn what_is_left_to_the_device() {
    let offloads = |keys: &str| {
        plan(&LEAST.replace("[[service]]", &format!("{keys}\n[[service]]")), 2).ports[0].offloads
    };
    assert_eq!(offloads(""), OffloadSet::ALL);
    assert_eq!(offloads("offloads = \"auto\""), OffloadSet::ALL);
    assert_eq!(offloads("offloads = \"none\""), OffloadSet::NONE);
    assert_eq!(offloads("offloads = []"), OffloadSet::NONE);
    assert_eq!(offloads("checksum = \"software\""), OffloadSet::ALL.without_checksums());
    for (name, offload) in Offload::NAMES {
        let only = offloads(&format!("offloads = [\"{name}\"]"));
        assert_eq!((only, only.contains(offload)), (OffloadSet::from_iter([offload]), true));
        let others: Vec<_> =
            Offload::NAMES.iter().filter(|(other, _)| *other != name).map(|(other, _)| other).collect();
        assert_eq!(offloads(&format!("offloads = {others:?}")), OffloadSet::ALL.without(offload));
    }
    let said =
        |keys: &str| plan(&LEAST.replace("[[service]]", &format!("{keys}\n[[service]]")), 2).to_string();
    assert!(said("").contains("left to the device: what it offers; multicast filter"));
    assert!(said("offloads = \"none\"").contains("left to the device: nothing; multicast filter"));
    let two = said("offloads = [\"tx_udp_cksum\", \"rx_vlan_strip\"]");
    assert!(two.contains("left to the device: at most rx_vlan_strip, tx_udp_cksum; "), "{two}");
}

/// tap.toml says of its values that they are the defaults.
#[test]
fn the_values_in_the_tap_file_are_the_defaults() {
    let (tap, least) = (plan(&text_of("tap.toml"), 2), plan(LEAST, 2));
    assert_eq!(tap.eal, least.eal);
    assert_eq!(tap.ctl_socket, least.ctl_socket);
    assert_eq!((&tap.workers, tap.control_cpu), (&least.workers, least.control_cpu));
    assert_eq!((tap.idle, tap.burst), (least.idle, least.burst));
    assert_eq!((tap.idle_sleep, tap.idle_heartbeat), (least.idle_sleep, least.idle_heartbeat));
    let (tap_port, least_port) = (&tap.ports[0], &least.ports[0]);
    assert_eq!(tap_port.name, least_port.name);
    assert_eq!(tap_port.mtu, least_port.mtu);
    assert_eq!(tap_port.rx_descriptors, least_port.rx_descriptors);
    assert_eq!(tap_port.tx_descriptors, least_port.tx_descriptors);
    assert_eq!(tap_port.offloads, least_port.offloads);
    assert_eq!(tap_port.multicast_filter, least_port.multicast_filter);
    let (tap_ip, least_ip) = (&tap.interfaces[0], &least.interfaces[0]);
    assert_eq!((tap_ip.vlan, tap_ip.conflict_detection), (least_ip.vlan, least_ip.conflict_detection));
    assert_eq!((tap_ip.policy, tap_ip.neighbors_max), (least_ip.policy, least_ip.neighbors_max));
    assert_eq!((tap_ip.path_mtu_min, tap_ip.igmp), (least_ip.path_mtu_min, least_ip.igmp));
    assert_eq!((tap_ip.groups_max, tap_ip.sources_max), (least_ip.groups_max, least_ip.sources_max));
    assert_eq!(tap_ip.path_mtu_timeout, least_ip.path_mtu_timeout);
    assert_eq!((tap_ip.mld, tap_ip.stable_secret), (least_ip.mld, least_ip.stable_secret));
    let statics = tap_ip.v6.addresses.clone();
    assert_eq!(tap_ip.addressing6, Some(Addressing6 { statics, ..Addressing6::new() }));
    assert_eq!(least_ip.addressing6, None);
    assert_eq!((tap.reassembly, tap.icmp, tap.sockets), (least.reassembly, least.icmp, least.sockets));
    let (tap_echo, least_echo) = (&tap.services[0], &least.services[0]);
    assert_eq!(tap_echo.name, least_echo.name);
    assert_eq!(
        (tap_echo.reply, tap_echo.path_mtu_discovery),
        (least_echo.reply, least_echo.path_mtu_discovery)
    );
    assert_eq!(
        (tap_echo.multicast_all, tap_echo.reuse_address),
        (least_echo.multicast_all, least_echo.reuse_address)
    );
    assert_eq!(tap_echo.workers, least_echo.workers);
    let options = |plan: &Plan| plan.services[0].options.clone().try_into::<EchoOptions>().unwrap();
    assert_eq!(options(&tap), options(&least));
}

#[test]
fn the_configurations_in_the_readme_are_right() {
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let blocks: Vec<_> =
        readme.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(blocks.len() >= 2);
    for block in blocks {
        plan(block, 2);
    }
}

/// tap.toml says that it names every key; which those are, an unknown one is told.
#[test]
fn the_tap_file_names_every_key() {
    let text = text_of("tap.toml");
    let named = |key: &str| {
        let bare = |line: &str| line.strip_prefix("# ").unwrap_or(line).starts_with(&format!("{key} = "));
        text.lines().any(|line| {
            bare(line) || line.starts_with(&format!("[{key}]")) || line.starts_with(&format!("[[{key}]]"))
        })
    };
    for table in [
        "",
        "[eal]",
        "[ctl]",
        "[workers]",
        "[reassembly]",
        "[sockets]",
        "[icmp]",
        "[uoa]",
        "[[port]]",
        "[[service]]\nkind = \"echo\"",
    ] {
        let errors = check(&format!("{table}\nxyzxyz = 1\n"), 1).unwrap_err();
        let unknown = errors.iter().find(|error| error.problem == "unknown key").unwrap();
        let keys = unknown.remedy.strip_prefix("the keys here are ").unwrap();
        for key in keys.split(", ") {
            assert!(named(key), "{key} of {table} is not in tap.toml");
        }
    }
}

/// Each VLAN is a network of its own.
#[test]
fn the_vlan_file_has_three_networks_on_one_port() {
    let plan = plan(&text_of("vlans.toml"), 2);
    let names: Vec<_> =
        plan.interfaces.iter().map(|i| (i.name.as_str(), i.vlan.map(|vid| vid.get()))).collect();
    assert_eq!(names, [("trunk", None), ("trunk.100", Some(100)), ("trunk.200", Some(200))]);
    let answers: Vec<_> = plan.interfaces.iter().map(|i| i.policy.icmp_timestamp).collect();
    assert_eq!(answers, [false, false, true]);
    let ids = |ids: &[u16]| ids.iter().map(|&id| InterfaceId(id)).collect::<Vec<_>>();
    assert_eq!(plan.services[0].listen[0].interfaces, ids(&[0, 1, 2]));
    assert_eq!(plan.services[1].listen[0].interfaces, ids(&[1, 2]));
    let joined: Vec<_> = plan.services[1].groups4.iter().map(|g| (g.written(), g.interface.0)).collect();
    let expected = [("239.1.2.3", 1), ("239.1.2.3", 2), ("232.1.2.3", 1)];
    assert_eq!(joined, expected.map(|(group, interface)| (group.to_owned(), interface)));
}

#[test]
fn the_routed_file_has_a_way_for_everything() {
    let plan = plan(&text_of("routed.toml"), 2);
    let [port] = plan.interfaces.as_slice() else { panic!("{:?}", plan.interfaces) };
    let routes: Vec<_> = port.v4.routes.iter().map(|r| format!("{} {}", r.to, r.via)).collect();
    assert_eq!(routes, ["10.0.0.0/8 198.18.0.3", "10.1.0.0/16 198.18.1.1", "203.0.113.9/32 198.18.1.1"]);
    assert_eq!(port.v4.gateway.unwrap().to_string(), "198.18.0.1");
    assert_eq!(port.conflict_detection, ConflictDetection::Probe);
    let ways: Vec<_> = plan.services.iter().map(|s| (s.reply, s.path_mtu_discovery)).collect();
    assert_eq!(ways, [(ReplyPath::Route, PmtuDiscovery::Want), (ReplyPath::Route, PmtuDiscovery::Do)]);
}

#[test]
fn the_two_port_file_joins_each_feed_where_its_source_is() {
    let plan = plan(&text_of("two-ports.toml"), 2);
    let (a, b) = (InterfaceId(0), InterfaceId(1));
    let feed = &plan.services[0];
    assert_eq!(feed.listen[0].interfaces, [a, b]);
    let joined: Vec<_> =
        feed.groups4.iter().map(|g| (g.written(), g.from == GroupSources::Any, g.interface)).collect();
    let expected =
        [("239.1.2.3", true, a), ("239.1.2.3", true, b), ("232.1.2.3", false, a), ("232.1.2.3", false, b)];
    assert_eq!(joined, expected.map(|(group, any, port)| (group.to_owned(), any, port)));
    assert_eq!(plan.services[1].listen[0].interfaces, [b]);
}

#[test]
fn ports_and_services_without_a_name_get_one() {
    let text = format!(
        "{LEAST}{}\n[[service]]\nkind = \"echo\"\nlisten = [\"0.0.0.0:8\"]",
        LEAST.replace("net_tap0,iface=pc0", "03:00.1").replace("18.0.2", "18.1.2").replace(":7", ":9")
    );
    let plan = plan(&text, 2);
    let ports: Vec<_> = plan.ports.iter().map(|port| (port.name.as_str(), port.device.as_str())).collect();
    assert_eq!(ports, [("p0", "net_tap0,iface=pc0"), ("p1", "0000:03:00.1")]);
    let services: Vec<_> = plan.services.iter().map(|service| service.name.as_str()).collect();
    assert_eq!(services, ["echo", "echo-2", "echo-3"]);
}

#[test]
fn a_port_with_cpus_is_served_by_those_workers_only() {
    let text = format!(
        "[workers]\ncpus = [2, 1, 3]\ncontrol_cpu = 1\nburst = 64\n{LEAST}\n[[port]]\ndevice = \"0000:03:00.0\"\n\
         addresses = [\"198.18.1.2/24\"]\ncpus = [3, 2]\nmulticast_filter = \"all_multicast\"\nvhost_direct = false"
    );
    let plan = plan(&text, 4);
    assert_eq!(plan.ports[0].workers, [0, 1, 2]);
    assert_eq!(plan.ports[1].workers, [0, 2]);
    assert_eq!(plan.ports[1].multicast_filter, FilterPolicy::AllMulticast);
    assert!(plan.ports[0].vhost_direct && !plan.ports[1].vhost_direct);
    let served: Vec<_> = plan.workers.iter().map(|worker| (worker.cpu, worker.ports.len())).collect();
    assert_eq!(served, [(2, 2), (1, 1), (3, 2)]);
    assert_eq!((plan.control_cpu, plan.burst), (1, 64));
}

#[test]
fn workers_spin_on_nics_unless_control_needs_the_cpu() {
    let nic = LEAST.replace("net_tap0,iface=pc0", "0000:03:00.0");
    assert!(plan(&nic, 2).spins());
    assert!(!plan(&nic, 1).spins());
    assert!(!plan(LEAST, 2).spins());
    assert!(plan(&format!("[workers]\nidle = \"spin\"\n{LEAST}"), 1).spins());
    assert!(!plan(&format!("[workers]\nidle = \"adaptive\"\n{nic}"), 2).spins());
    // Only who sleeps asks a device for its events.
    assert!(!plan(&nic, 2).ports[0].rx_events && plan(LEAST, 2).ports[0].rx_events);
}

#[test]
fn how_long_a_worker_sleeps_where_there_is_no_event_is_a_key() {
    assert_eq!(plan(LEAST, 2).idle_sleep, Duration::from_micros(50));
    assert_eq!(
        plan(&format!("[workers]\nidle_sleep_us = 500\n{LEAST}"), 2).idle_sleep,
        Duration::from_micros(500)
    );
}

#[test]
fn a_heartbeat_is_the_default_and_zero_is_none() {
    let heartbeat = |key: &str| plan(&format!("[workers]\n{key}\n{LEAST}"), 2).idle_heartbeat;
    assert_eq!(heartbeat(""), Some(Duration::from_micros(1000)));
    assert_eq!(heartbeat("idle_heartbeat_us = 500"), Some(Duration::from_micros(500)));
    assert_eq!(heartbeat("idle_heartbeat_us = 0"), None);
}

#[test]
fn the_latency_of_cpus_is_nobodys_business_unless_a_key_says_so() {
    let of = |key: &str| plan(&format!("[workers]\n{key}\n{LEAST}"), 2);
    assert_eq!(of("").cpu_dma_latency_us, None);
    assert!(!of("").to_string().contains("cpu_dma_latency"));
    let plan = of("cpu_dma_latency_us = 0\nidle_heartbeat_us = 0");
    assert_eq!(plan.cpu_dma_latency_us, Some(0));
    let printed = plan.to_string();
    assert!(printed.contains("  /dev/cpu_dma_latency = 0 us, of all CPUs of the machine\n"), "{printed}");
    assert!(
        !printed.contains("heartbeat") && of("").to_string().contains("; heartbeat of 1000 us on others;")
    );
}

// G04, RFC 9776 5: 224.0.0.1 is received always and never reported; a service may still ask for its datagrams.
#[test]
fn the_group_of_all_hosts_may_be_listed() {
    let plan = plan(&format!("{LEAST}groups = [{{ group = \"224.0.0.1\" }}]"), 2);
    assert!(!plan.services[0].groups4[0].groups().next().unwrap().is_reported());
}

/// Everything that can hold a buffer at one time: descriptors, bursts, queues between threads, what waits, full caches.
fn holders(plan: &Plan) -> usize {
    let rings = plan.ports.iter().map(|port| {
        port.workers.len() * (usize::from(port.rx_descriptors) + usize::from(port.tx_descriptors))
    });
    let bursts = plan.workers.iter().map(|worker| plan.burst + worker.ports.len() * BURST_MAX);
    let cache = (plan.workers.len() + 1) * plan.mbufs.cache as usize * 3 / 2;
    let inboxes = plan.workers.len() * mbufs::INBOX as usize;
    let punts = mbufs::PUNT_CLASSES as usize * mbufs::PUNT_QUEUE as usize;
    let fragments = plan.workers.len() * plan.reassembly.fragments as usize;
    let on_the_way = if plan.workers.len() > 1 { plan.workers.len() * mbufs::HAND_OVER as usize } else { 0 };
    let placed = plan.services.iter().any(|service| service.workers.len() < plan.workers.len());
    let to_services = if placed { plan.workers.len() * mbufs::TO_SERVICES as usize } else { 0 };
    let held = fragments + on_the_way + to_services + mbufs::WAITING as usize;
    rings.sum::<usize>() + bursts.sum::<usize>() + cache + inboxes + punts + held
}

/// The sums are made here, the queues there.
#[test]
fn the_queues_that_are_summed_up_are_the_engines() {
    assert_eq!(mbufs::PUNT_QUEUE as usize, pollcast::engine::message::PUNT_LEN);
    assert_eq!(mbufs::INBOX as usize, pollcast::engine::message::INBOX_LEN);
    assert_eq!(mbufs::HAND_OVER as usize, pollcast::engine::message::HAND_OVER_LEN);
    assert_eq!(mbufs::TO_SERVICES as usize, pollcast::engine::message::TO_SERVICES_LEN);
    assert_eq!(mbufs::WAITING as usize, pollcast::stack::waiting::TOTAL_MAX);
}

#[test]
fn what_is_handed_over_to_services_has_its_buffers() {
    let two = format!("[workers]\ncpus = [0, 1]\n{LEAST}");
    assert!(!plan(&two, 2).to_string().contains("datagrams handed over"));
    let placed = plan(&format!("{two}cpus = [1]\n"), 2);
    assert!(placed.to_string().contains("2048  datagrams handed over: 2 workers x 1024"), "{placed}");
    assert!(placed.to_string().contains("lives on CPU 1"), "{placed}");
    assert_arithmetic(&placed);
}

#[test]
fn the_pool_has_a_buffer_for_everything_that_can_hold_one() {
    for path in files() {
        let config = Config::load(&path).unwrap();
        let plan = config.check(&Machine::new(0..2), &kinds()).unwrap();
        assert_arithmetic(&plan);
    }
}

fn assert_arithmetic(plan: &Plan) {
    let needed: usize = plan.mbufs.items.iter().map(|(_, count)| *count as usize).sum();
    let count = plan.mbufs.count as usize;
    assert!(needed >= holders(plan), "{plan}");
    assert!(count >= needed && (count + 1).is_power_of_two(), "{plan}");
    assert!(count / 2 < needed, "twice as large as need be: {plan}");
    // DPDK: a cache may not be larger than two thirds of the pool, nor than RTE_MEMPOOL_CACHE_MAX_SIZE.
    assert!(plan.mbufs.cache <= 512 && plan.mbufs.cache as usize * 3 / 2 <= count);
    let frame = plan.ports.iter().map(|port| usize::from(port.mtu) + 14 + 4).max().unwrap();
    assert!(usize::from(plan.mbufs.data_room) >= 128 + frame, "{plan}");
    let bytes = count * (usize::from(plan.mbufs.data_room) + 128 + 64);
    assert!(plan.eal.memory_mb as usize >= bytes >> 20, "{plan}");
}

/// Seen with DPDK 22.11: without hugepages 65535 mbufs of 2176 bytes do not fit into 178 MiB, since none crosses a page.
#[test]
fn without_hugepages_an_mbuf_has_a_page_of_its_own() {
    let large = LEAST.replace("addresses", "rx_descriptors = 32768\ntx_descriptors = 16384\naddresses");
    let memory = |hugepages: &str| plan(&format!("[eal]\nhugepages = \"{hugepages}\"\n{large}"), 2).eal;
    let none = memory("none");
    assert_eq!((none.hugepages, memory("auto").memory_mb), (Hugepages::None, none.memory_mb));
    assert!(none.memory_mb > 256 && memory("required").memory_mb < 200);
}

/// A jumbo frame takes one buffer, so every buffer grows, and so does what is reserved.
#[test]
fn jumbo_frames_cost_memory_and_the_plan_shows_it() {
    let with_mtu = |mtu: u16| {
        plan(
            &format!(
                "[eal]\nhugepages = \"required\"\n{}",
                LEAST.replace("addresses", &format!("mtu = {mtu}\naddresses"))
            ),
            2,
        )
    };
    let (plain, jumbo) = (with_mtu(1500), with_mtu(9000));
    assert!(usize::from(jumbo.mbufs.data_room) >= 128 + 9000 + 18);
    let more = u64::from(jumbo.mbufs.count) * u64::from(jumbo.mbufs.data_room - plain.mbufs.data_room);
    let difference = u64::from(jumbo.eal.memory_mb - plain.eal.memory_mb) << 20;
    assert!(difference.abs_diff(more) <= 2 << 20, "{difference} for {more}");
    let each = format!("({} header + {} data room", 128, jumbo.mbufs.data_room);
    assert!(jumbo.to_string().contains(&each), "{jumbo}");
}

#[test]
fn memory_may_be_more_than_needed() {
    assert_eq!(plan(&format!("[eal]\nmemory_mb = 512\n{LEAST}"), 2).eal.memory_mb, 512);
}

#[test]
fn a_printed_plan_shows_who_does_what_and_sums_up() {
    let plan = plan(&text_of("two-ports.toml"), 2);
    let printed = plan.to_string();
    for line in [
        "  CPU 0: lcore 0, control: sleeps until something is due",
        "  CPU 1: lcore 1, polls, and sleeps when idle: a queue 0, b queue 0",
        "  a (net_tap0,iface=pca)",
        "    addresses 198.18.0.2/24, gateway 198.18.0.1; used at once, and announced",
        "    MAC 02:00:00:00:0a:02",
        "    listens on 0.0.0.0:7 of a, b",
        "    joins 232.1.2.3 from 198.18.1.1 on b",
        "    refuse_source_ports = [7,19,7777]",
        "         1024  a: 1 rx queue x 1024 descriptors",
        "  /run/pollcast/ctl.sock",
    ] {
        assert!(printed.lines().any(|printed| printed == line), "{line:?} is not in\n{printed}");
    }
    // Every number of the mbufs' part adds up to the one called needed.
    let part = printed.split("\nmbufs\n").nth(1).unwrap().split(" needed").next().unwrap();
    let numbers: Vec<u32> =
        part.lines().map(|line| line.split_whitespace().next().unwrap().parse().unwrap()).collect();
    let (needed, items) = numbers.split_last().unwrap();
    assert_eq!(items.iter().sum::<u32>(), *needed);
    assert!(items.len() >= 8);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// Cut off anywhere, with bytes replaced, taken out and put in: a plan whose arithmetic holds, or errors of one
    /// line each; never a panic.
    #[test]
    fn a_spoilt_file_makes_no_panic(
        file in 0usize..8,
        end in any::<prop::sample::Index>(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0usize..4, "[ -~\n\u{e9}\u{0}]{0,3}"), 0..6),
        cut in any::<bool>(),
    ) {
        let path = &files()[file];
        let mut chars: Vec<char> = std::fs::read_to_string(path).unwrap().chars().collect();
        for (at, out, inserted) in edits {
            let at = at.index(chars.len());
            let end = (at + out).min(chars.len());
            chars.splice(at..end, inserted.chars());
        }
        if cut {
            chars.truncate(end.index(chars.len() + 1));
        }
        let text: String = chars.into_iter().collect();
        judge(&text);
    }

    /// Values of every type and size for every key.
    #[test]
    fn a_strange_value_makes_no_panic(
        key in "(name|device|mac|addresses|gateway4|mtu|rx_descriptors|tx_descriptors|checksum|offloads|multicast_filter|rps|vhost_direct|cpus\
            |vlan|routes|conflict_detection|neighbors_max|groups_max|sources_max|path_mtu_min|path_mtu_timeout_s|icmp_echo_group|icmp6_echo_group|accept_redirects6\
            |igmp_version|igmp_robustness|igmp_query_interval_s|igmp_strict_queries|gateway6|link_local|stable_secret|dad_transmits\
            |router_discovery|mld_version|mld_robustness|mld_query_interval_s)",
        value in prop_oneof![
            any::<i64>().prop_map(|n| n.to_string()),
            any::<f64>().prop_map(|n| format!("{n:?}")),
            "[0-9a-f:./]{0,20}".prop_map(|s| format!("{s:?}")),
            "net_[a-z_0-9,=]{0,12}".prop_map(|s| format!("{s:?}")),
            prop::collection::vec("([0-9]{1,3}[.]){3}[0-9]{1,3}/[0-9]{1,3}", 0..4).prop_map(|list| format!("{list:?}")),
            prop::collection::vec("[0-9a-f:]{0,24}(/[0-9]{1,3})?|auto", 0..4).prop_map(|list| format!("{list:?}")),
            prop::collection::vec("[{] to = \"([0-9]{1,3}[.]){3}0/[0-9]{1,2}\", via = \"198[.]18[.]0[.][0-9]{1,3}\" [}]", 0..4)
                .prop_map(|list| format!("[{}]", list.join(", "))),
            prop::collection::vec("[{] id = [0-9]{1,4}, addresses = \\[\"198[.]18[.][0-9]{1,2}[.]2/24\"\\] [}]", 0..4)
                .prop_map(|list| format!("[{}]", list.join(", "))),
            Just("true".to_owned()), Just("{}".to_owned()), Just("2026-01-01".to_owned()),
        ],
    ) {
        judge(&format!("[[port]]\n{key} = {value}\n"));
        let known = ["device = \"net_tap0\"", "addresses = [\"198.18.0.2/24\"]"];
        let others: Vec<&str> = known.into_iter().filter(|line| !line.starts_with(&key)).collect();
        judge(&format!("[[port]]\n{}\n{key} = {value}\n", others.join("\n")));
    }
}

fn judge(text: &str) {
    match check(text, 4) {
        Ok(plan) => assert_arithmetic(&plan),
        Err(errors) => {
            assert!(errors.iter().count() > 0);
            for error in &errors {
                let line = error.to_string();
                assert!(!line.contains(char::is_control) && line.starts_with("test.toml:"), "{line:?}");
                let position = error.position.unwrap();
                assert!(position.line >= 1 && position.line <= text.lines().count() + 1, "{line}");
            }
        }
    }
}
