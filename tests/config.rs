//! Configurations that are right: every file of `config/` loads and comes to what it says, defaults make the least one
//! run, and the arithmetic adds up. And whatever a file holds, nothing panics.

use std::path::{Path, PathBuf};

use pollcast::config::{Config, ConfigErrors, Hugepages, Kind, Kinds, Machine, Plan, mbufs};
use pollcast::io::{BURST_MAX, FilterPolicy, InterfaceId};
use pollcast::service::EchoOptions;
use proptest::prelude::*;

fn kinds() -> Kinds {
    Kinds::new().with(Kind::of::<EchoOptions>("echo", EchoOptions::KEYS))
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
    let expected =
        ["af_packet.toml", "af_xdp.toml", "pci-nic.toml", "tap.toml", "two-ports.toml", "virtio-user.toml"];
    for name in expected {
        assert!(names.iter().any(|known| known == name), "config/{name} is missing");
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

/// What is commented out in the files is right, too: `# key = value` with the comment mark taken off.
#[test]
fn the_keys_that_the_files_comment_out_are_right() {
    for path in files() {
        let text = std::fs::read_to_string(&path).unwrap();
        let uncommented: Vec<&str> = text
            .lines()
            .map(|line| line.strip_prefix("# ").filter(|rest| is_assignment(rest)).unwrap_or(line))
            .collect();
        assert_ne!(uncommented.join("\n"), text.trim_end(), "{} comments out no key", path.display());
        plan(&uncommented.join("\n"), 8);
    }
}

fn is_assignment(line: &str) -> bool {
    line.split_once(" = ").is_some_and(|(key, _)| key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'))
}

#[test]
fn the_tap_file_says_what_the_demo_needs() {
    let plan = plan(&text_of("tap.toml"), 2);
    let [port] = plan.ports.as_slice() else { panic!("{:?}", plan.ports) };
    assert_eq!((port.name.as_str(), port.device.as_str()), ("p0", "net_tap0,iface=pc0"));
    assert_eq!(port.mac.unwrap().to_string(), "02:00:00:00:00:02");
    assert_eq!(plan.interfaces[0].addresses[0].to_string(), "198.18.0.2/24");
    let [echo] = plan.services.as_slice() else { panic!("{:?}", plan.services) };
    assert_eq!((echo.listen[0].addr.to_string().as_str(), echo.listen[0].udp_port), ("0.0.0.0", 7));
    let groups: Vec<String> =
        echo.groups.iter().map(|group| format!("{} {:?}", group.group, group.sources)).collect();
    assert_eq!(groups, ["239.1.2.3 []", "232.1.2.3 [198.18.0.1]"]);
    assert_eq!((plan.control_cpu, plan.workers[0].cpu), (0, 1));
}

/// tap.toml says of its values that they are the defaults.
#[test]
fn the_values_in_the_tap_file_are_the_defaults() {
    let (tap, least) = (plan(&text_of("tap.toml"), 2), plan(LEAST, 2));
    assert_eq!(tap.eal, least.eal);
    assert_eq!(tap.ctl_socket, least.ctl_socket);
    assert_eq!((&tap.workers, tap.control_cpu), (&least.workers, least.control_cpu));
    assert_eq!((tap.idle, tap.burst), (least.idle, least.burst));
    let (tap_port, least_port) = (&tap.ports[0], &least.ports[0]);
    assert_eq!(tap_port.name, least_port.name);
    assert_eq!(tap_port.mtu, least_port.mtu);
    assert_eq!(tap_port.rx_descriptors, least_port.rx_descriptors);
    assert_eq!(tap_port.tx_descriptors, least_port.tx_descriptors);
    assert_eq!(tap_port.checksum, least_port.checksum);
    assert_eq!(tap_port.multicast_filter, least_port.multicast_filter);
    assert_eq!(tap.services[0].name, least.services[0].name);
    let options = |plan: &Plan| plan.services[0].options.clone().try_into::<EchoOptions>().unwrap();
    assert_eq!(options(&tap), options(&least));
}

#[test]
fn the_two_port_file_joins_each_feed_where_its_source_is() {
    let plan = plan(&text_of("two-ports.toml"), 2);
    let (a, b) = (InterfaceId(0), InterfaceId(1));
    let feed = &plan.services[0];
    assert_eq!(feed.listen[0].interfaces, [a, b]);
    let joined: Vec<_> =
        feed.groups.iter().map(|g| (g.group.to_string(), g.sources.len(), g.interface)).collect();
    let expected = [("239.1.2.3", 0, a), ("239.1.2.3", 0, b), ("232.1.2.3", 1, a), ("232.1.2.3", 1, b)];
    assert_eq!(joined, expected.map(|(group, sources, port)| (group.to_owned(), sources, port)));
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
         addresses = [\"198.18.1.2/24\"]\ncpus = [3, 2]\nmulticast_filter = \"all_multicast\""
    );
    let plan = plan(&text, 4);
    assert_eq!(plan.ports[0].workers, [0, 1, 2]);
    assert_eq!(plan.ports[1].workers, [0, 2]);
    assert_eq!(plan.ports[1].multicast_filter, FilterPolicy::AllMulticast);
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
}

// G04, RFC 9776 5: 224.0.0.1 is received always and never reported; a service may still ask for its datagrams.
#[test]
fn the_group_of_all_hosts_may_be_listed() {
    let plan = plan(&format!("{LEAST}groups = [{{ group = \"224.0.0.1\" }}]"), 2);
    assert!(!plan.services[0].groups[0].group.is_reported());
}

/// Everything that can hold a buffer at one time: descriptors, bursts, queues between threads, full caches.
fn holders(plan: &Plan) -> usize {
    let rings = plan.ports.iter().map(|port| {
        port.workers.len() * (usize::from(port.rx_descriptors) + usize::from(port.tx_descriptors))
    });
    let bursts = plan.workers.iter().map(|worker| plan.burst + worker.ports.len() * BURST_MAX);
    let cache = (plan.workers.len() + 1) * plan.mbufs.cache as usize * 3 / 2;
    let inboxes = plan.workers.len() * mbufs::INBOX as usize;
    let punts = mbufs::PUNT_CLASSES as usize * mbufs::PUNT_QUEUE as usize;
    rings.sum::<usize>() + bursts.sum::<usize>() + cache + inboxes + punts
}

/// The sums are made here, the queues there.
#[test]
fn the_queues_that_are_summed_up_are_the_engines() {
    assert_eq!(mbufs::PUNT_QUEUE as usize, pollcast::engine::message::PUNT_LEN);
    assert_eq!(mbufs::INBOX as usize, pollcast::engine::message::INBOX_LEN);
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
        "  CPU 1: lcore 1, polls, and sleeps briefly when idle: a queue 0, b queue 0",
        "  a (net_tap0,iface=pca)",
        "    addresses 198.18.0.2/24, gateway 198.18.0.1",
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
        file in 0usize..6,
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
        key in "(name|device|mac|addresses|gateway4|mtu|rx_descriptors|tx_descriptors|checksum|multicast_filter|cpus)",
        value in prop_oneof![
            any::<i64>().prop_map(|n| n.to_string()),
            any::<f64>().prop_map(|n| format!("{n:?}")),
            "[0-9a-f:./]{0,20}".prop_map(|s| format!("{s:?}")),
            "net_[a-z_0-9,=]{0,12}".prop_map(|s| format!("{s:?}")),
            prop::collection::vec("([0-9]{1,3}[.]){3}[0-9]{1,3}/[0-9]{1,3}", 0..4).prop_map(|list| format!("{list:?}")),
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
