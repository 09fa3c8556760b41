//! The tables of a configuration as they were written: types are right, values are not yet proven.

use toml::de::DeTable;

use super::error::{At, Place, Problems};
use super::offloads::Checksum;
use super::plan::{Hugepages, Idle, Rps};
use super::read::{NumberOrWord, OwnKey, TableReader, WordOrList};
use crate::io::{ConflictDetection, FilterPolicy, PmtuDiscovery, ReplyPath};

/// The whole file.
#[derive(Clone, Debug, Default)]
pub(super) struct Raw {
    pub(super) eal: RawEal,
    pub(super) ctl_socket: Option<At<String>>,
    pub(super) workers: RawWorkers,
    pub(super) reassembly: RawReassembly,
    pub(super) icmp: RawIcmp,
    pub(super) uoa: RawUoa,
    pub(super) sockets: RawSockets,
    pub(super) ports: Vec<RawPort>,
    pub(super) services: Vec<RawService>,
}

/// `[eal]`.
#[derive(Clone, Debug, Default)]
pub(super) struct RawEal {
    pub(super) hugepages: Option<At<Hugepages>>,
    pub(super) memory_mb: Option<At<NumberOrWord>>,
    pub(super) file_prefix: Option<At<String>>,
    pub(super) args: Option<At<Vec<At<String>>>>,
}

/// `[workers]`.
#[derive(Clone, Debug, Default)]
pub(super) struct RawWorkers {
    pub(super) cpus: Option<At<Vec<At<i64>>>>,
    pub(super) control_cpu: Option<At<i64>>,
    pub(super) idle: Option<At<Idle>>,
    pub(super) idle_sleep_us: Option<At<i64>>,
    pub(super) idle_heartbeat_us: Option<At<i64>>,
    pub(super) cpu_dma_latency_us: Option<At<i64>>,
    pub(super) burst: Option<At<i64>>,
}

/// `[reassembly]`.
#[derive(Clone, Debug, Default)]
pub(super) struct RawReassembly {
    pub(super) timeout_s: Option<At<i64>>,
    pub(super) timeout6_s: Option<At<i64>>,
    pub(super) fragments: Option<At<i64>>,
    pub(super) fragments_per_source: Option<At<i64>>,
}

/// `[icmp]`.
#[derive(Clone, Debug, Default)]
pub(super) struct RawIcmp {
    pub(super) errors_per_second: Option<At<i64>>,
    pub(super) errors_burst: Option<At<i64>>,
    pub(super) errors_per_second_per_peer: Option<At<i64>>,
    pub(super) errors_burst_per_peer: Option<At<i64>>,
}

/// `[uoa]`.
#[derive(Clone, Debug, Default)]
pub(super) struct RawUoa {
    pub(super) trusted: Option<At<Vec<At<String>>>>,
    pub(super) table_max: Option<At<i64>>,
    pub(super) timeout_s: Option<At<i64>>,
}

/// `[sockets]`.
#[derive(Clone, Debug, Default)]
pub(super) struct RawSockets {
    pub(super) max: Option<At<i64>>,
    pub(super) packets_256: Option<At<i64>>,
    pub(super) packets_2048: Option<At<i64>>,
    pub(super) packets_65536: Option<At<i64>>,
    pub(super) rcvbuf: Option<At<i64>>,
    pub(super) rcvbuf_max: Option<At<i64>>,
    pub(super) sndbuf: Option<At<i64>>,
    pub(super) sndbuf_max: Option<At<i64>>,
    pub(super) memberships_max: Option<At<i64>>,
    pub(super) sources_max: Option<At<i64>>,
    pub(super) sources6_max: Option<At<i64>>,
}

/// What IP has on an interface: the keys that `[[port]]` and `[[port.vlan]]` have in common.
#[derive(Clone, Debug)]
pub(super) struct RawInterface {
    pub(super) addresses: Option<At<Vec<At<String>>>>,
    pub(super) gateway4: Option<At<String>>,
    pub(super) gateway6: Option<At<String>>,
    pub(super) routes: Vec<RawRoute>,
    pub(super) choices: RawChoices,
}

/// The keys of an interface that a VLAN takes over from its port where it does not have them itself.
#[derive(Clone, Debug)]
pub(super) struct RawChoices {
    pub(super) conflict_detection: Option<At<ConflictDetection>>,
    pub(super) accept_reserved_sources: Option<At<bool>>,
    pub(super) accept_unicast_in_group_frames: Option<At<bool>>,
    pub(super) icmp_timestamp: Option<At<bool>>,
    pub(super) icmp_echo_group: Option<At<bool>>,
    pub(super) icmp6_echo_group: Option<At<bool>>,
    pub(super) accept_redirects6: Option<At<bool>>,
    pub(super) path_mtu_min: Option<At<i64>>,
    pub(super) path_mtu_timeout_s: Option<At<i64>>,
    pub(super) neighbors_max: Option<At<i64>>,
    pub(super) igmp_version: Option<At<NumberOrWord>>,
    pub(super) igmp_robustness: Option<At<NumberOrWord>>,
    pub(super) igmp_query_interval_s: Option<At<i64>>,
    pub(super) igmp_strict_queries: Option<At<bool>>,
    pub(super) mld_version: Option<At<NumberOrWord>>,
    pub(super) mld_robustness: Option<At<NumberOrWord>>,
    pub(super) mld_query_interval_s: Option<At<i64>>,
    pub(super) link_local: Option<At<String>>,
    pub(super) stable_secret: Option<At<String>>,
    pub(super) router_discovery: Option<At<bool>>,
    pub(super) dad_transmits: Option<At<i64>>,
    pub(super) groups_max: Option<At<i64>>,
    pub(super) sources_max: Option<At<i64>>,
}

/// An element of the routes of an interface.
#[derive(Clone, Debug)]
pub(super) struct RawRoute {
    pub(super) place: Place,
    pub(super) to: Option<At<String>>,
    pub(super) via: Option<At<String>>,
}

/// The key `vlan` of a port.
#[derive(Clone, Debug)]
pub(super) enum RawVlans {
    /// `vlan = 100`: the port's only one.
    One(At<i64>),
    /// `[[port.vlan]]`, or none.
    Several(Vec<RawVlan>),
}

/// `[[port.vlan]]`.
#[derive(Clone, Debug)]
pub(super) struct RawVlan {
    pub(super) place: Place,
    pub(super) id: Option<At<i64>>,
    pub(super) interface: RawInterface,
}

/// `[[port]]`.
#[derive(Clone, Debug)]
pub(super) struct RawPort {
    pub(super) place: Place,
    pub(super) name: Option<At<String>>,
    pub(super) device: Option<At<String>>,
    pub(super) mac: Option<At<String>>,
    pub(super) interface: RawInterface,
    pub(super) vlans: RawVlans,
    pub(super) mtu: Option<At<i64>>,
    pub(super) rx_descriptors: Option<At<i64>>,
    pub(super) tx_descriptors: Option<At<i64>>,
    pub(super) checksum: Option<At<Checksum>>,
    pub(super) offloads: Option<At<WordOrList>>,
    pub(super) multicast_filter: Option<At<FilterPolicy>>,
    pub(super) rps: Option<At<Rps>>,
    pub(super) vhost_direct: Option<At<bool>>,
    pub(super) cpus: Option<At<Vec<At<i64>>>>,
}

/// `[[service]]`.
#[derive(Clone, Debug)]
pub(super) struct RawService {
    pub(super) place: Place,
    pub(super) name: Option<At<String>>,
    pub(super) kind: Option<At<String>>,
    pub(super) listen: Option<At<Vec<At<String>>>>,
    pub(super) ports: Option<At<Vec<At<String>>>>,
    pub(super) cpus: Option<At<Vec<At<i64>>>>,
    pub(super) reuse_address: Option<At<bool>>,
    pub(super) v6only: Option<At<bool>>,
    pub(super) groups: Vec<RawGroup>,
    pub(super) multicast_all: Option<At<bool>>,
    pub(super) reply: Option<At<ReplyPath>>,
    pub(super) path_mtu_discovery: Option<At<PmtuDiscovery>>,
    pub(super) own: Vec<OwnKey>,
}

/// An element of a service's `groups`.
#[derive(Clone, Debug)]
pub(super) struct RawGroup {
    pub(super) place: Place,
    pub(super) group: Option<At<String>>,
    pub(super) sources: Option<At<Vec<At<String>>>>,
    pub(super) exclude: Option<At<Vec<At<String>>>>,
    pub(super) port: Option<At<String>>,
}

/// The keys of a service table that are not its kind's own.
pub(super) const SERVICE_KEYS: [&str; 11] = [
    "name",
    "kind",
    "listen",
    "ports",
    "cpus",
    "reuse_address",
    "v6only",
    "groups",
    "multicast_all",
    "reply",
    "path_mtu_discovery",
];

impl Raw {
    pub(super) fn read(root: &DeTable<'_>, problems: &mut Problems) -> Self {
        let mut reader = TableReader::new(root, Place::default(), problems);
        let eal = reader.table("eal");
        let ctl = reader.table("ctl");
        let workers = reader.table("workers");
        let reassembly = reader.table("reassembly");
        let icmp = reader.table("icmp");
        let uoa = reader.table("uoa");
        let sockets = reader.table("sockets");
        let ports = reader.tables("port", "[[port]]");
        let services = reader.tables("service", "[[service]]");
        reader.finish();
        Self {
            eal: eal.map(|at| RawEal::read(at, problems)).unwrap_or_default(),
            ctl_socket: ctl.and_then(|at| read_ctl(at, problems)),
            workers: workers.map(|at| RawWorkers::read(at, problems)).unwrap_or_default(),
            reassembly: reassembly.map(|at| RawReassembly::read(at, problems)).unwrap_or_default(),
            icmp: icmp.map(|at| RawIcmp::read(at, problems)).unwrap_or_default(),
            uoa: uoa.map(|at| RawUoa::read(at, problems)).unwrap_or_default(),
            sockets: sockets.map(|at| RawSockets::read(at, problems)).unwrap_or_default(),
            ports: ports.into_iter().map(|at| RawPort::read(at, problems)).collect(),
            services: services.into_iter().map(|at| RawService::read(at, problems)).collect(),
        }
    }
}

fn read_ctl(at: At<&DeTable<'_>>, problems: &mut Problems) -> Option<At<String>> {
    let mut reader = TableReader::new(at.value, at.place, problems);
    let socket = reader.get("socket");
    reader.finish();
    socket
}

impl RawEal {
    fn read(at: At<&DeTable<'_>>, problems: &mut Problems) -> Self {
        let mut reader = TableReader::new(at.value, at.place, problems);
        let hugepages =
            [("auto", Hugepages::Auto), ("required", Hugepages::Required), ("none", Hugepages::None)];
        let raw = Self {
            hugepages: reader.choice("hugepages", &hugepages),
            memory_mb: reader.get("memory_mb"),
            file_prefix: reader.get("file_prefix"),
            args: reader.list("args"),
        };
        reader.finish();
        raw
    }
}

impl RawWorkers {
    fn read(at: At<&DeTable<'_>>, problems: &mut Problems) -> Self {
        let mut reader = TableReader::new(at.value, at.place, problems);
        let idle = [("auto", Idle::Auto), ("spin", Idle::Spin), ("adaptive", Idle::Adaptive)];
        let raw = Self {
            cpus: reader.list("cpus"),
            control_cpu: reader.get("control_cpu"),
            idle: reader.choice("idle", &idle),
            idle_sleep_us: reader.get("idle_sleep_us"),
            idle_heartbeat_us: reader.get("idle_heartbeat_us"),
            cpu_dma_latency_us: reader.get("cpu_dma_latency_us"),
            burst: reader.get("burst"),
        };
        reader.finish();
        raw
    }
}

impl RawReassembly {
    fn read(at: At<&DeTable<'_>>, problems: &mut Problems) -> Self {
        let mut reader = TableReader::new(at.value, at.place, problems);
        let raw = Self {
            timeout_s: reader.get("timeout_s"),
            timeout6_s: reader.get("timeout6_s"),
            fragments: reader.get("fragments"),
            fragments_per_source: reader.get("fragments_per_source"),
        };
        reader.finish();
        raw
    }
}

impl RawIcmp {
    fn read(at: At<&DeTable<'_>>, problems: &mut Problems) -> Self {
        let mut reader = TableReader::new(at.value, at.place, problems);
        let raw = Self {
            errors_per_second: reader.get("errors_per_second"),
            errors_burst: reader.get("errors_burst"),
            errors_per_second_per_peer: reader.get("errors_per_second_per_peer"),
            errors_burst_per_peer: reader.get("errors_burst_per_peer"),
        };
        reader.finish();
        raw
    }
}

impl RawUoa {
    fn read(at: At<&DeTable<'_>>, problems: &mut Problems) -> Self {
        let mut reader = TableReader::new(at.value, at.place, problems);
        let raw = Self {
            trusted: reader.list("trusted"),
            table_max: reader.get("table_max"),
            timeout_s: reader.get("timeout_s"),
        };
        reader.finish();
        raw
    }
}

impl RawSockets {
    fn read(at: At<&DeTable<'_>>, problems: &mut Problems) -> Self {
        let mut reader = TableReader::new(at.value, at.place, problems);
        let raw = Self {
            max: reader.get("max"),
            packets_256: reader.get("packets_256"),
            packets_2048: reader.get("packets_2048"),
            packets_65536: reader.get("packets_65536"),
            rcvbuf: reader.get("rcvbuf"),
            rcvbuf_max: reader.get("rcvbuf_max"),
            sndbuf: reader.get("sndbuf"),
            sndbuf_max: reader.get("sndbuf_max"),
            memberships_max: reader.get("memberships_max"),
            sources_max: reader.get("sources_max"),
            sources6_max: reader.get("sources6_max"),
        };
        reader.finish();
        raw
    }
}

impl RawInterface {
    /// Takes the keys of an interface out of `reader`'s table; the routes' tables are left to be read.
    fn read<'t>(reader: &mut TableReader<'t, '_>) -> (Self, Vec<At<&'t DeTable<'t>>>) {
        let raw = Self {
            addresses: reader.list("addresses"),
            gateway4: reader.get("gateway4"),
            gateway6: reader.get("gateway6"),
            routes: Vec::new(),
            choices: RawChoices::read(reader),
        };
        let written = "routes = [{ to = \"10.0.0.0/8\", via = \"198.18.0.1\" }]";
        (raw, reader.tables("routes", written))
    }

    fn with_routes(mut self, routes: Vec<At<&DeTable<'_>>>, problems: &mut Problems) -> Self {
        self.routes = routes.into_iter().map(|at| RawRoute::read(at, problems)).collect();
        self
    }
}

impl RawChoices {
    fn read(reader: &mut TableReader<'_, '_>) -> Self {
        Self {
            conflict_detection: reader.choice("conflict_detection", &ConflictDetection::NAMES),
            accept_reserved_sources: reader.get("accept_reserved_sources"),
            accept_unicast_in_group_frames: reader.get("accept_unicast_in_group_frames"),
            icmp_timestamp: reader.get("icmp_timestamp"),
            icmp_echo_group: reader.get("icmp_echo_group"),
            icmp6_echo_group: reader.get("icmp6_echo_group"),
            accept_redirects6: reader.get("accept_redirects6"),
            path_mtu_min: reader.get("path_mtu_min"),
            path_mtu_timeout_s: reader.get("path_mtu_timeout_s"),
            neighbors_max: reader.get("neighbors_max"),
            igmp_version: reader.get("igmp_version"),
            igmp_robustness: reader.get("igmp_robustness"),
            igmp_query_interval_s: reader.get("igmp_query_interval_s"),
            igmp_strict_queries: reader.get("igmp_strict_queries"),
            mld_version: reader.get("mld_version"),
            mld_robustness: reader.get("mld_robustness"),
            mld_query_interval_s: reader.get("mld_query_interval_s"),
            link_local: reader.get("link_local"),
            stable_secret: reader.get("stable_secret"),
            router_discovery: reader.get("router_discovery"),
            dad_transmits: reader.get("dad_transmits"),
            groups_max: reader.get("groups_max"),
            sources_max: reader.get("sources_max"),
        }
    }

    /// These, and where they say nothing, the port's.
    pub(super) fn or(&self, port: &Self) -> Self {
        fn first<T: Clone>(own: &Option<At<T>>, ports: &Option<At<T>>) -> Option<At<T>> {
            own.as_ref().or(ports.as_ref()).cloned()
        }
        Self {
            conflict_detection: first(&self.conflict_detection, &port.conflict_detection),
            accept_reserved_sources: first(&self.accept_reserved_sources, &port.accept_reserved_sources),
            accept_unicast_in_group_frames: first(
                &self.accept_unicast_in_group_frames,
                &port.accept_unicast_in_group_frames,
            ),
            icmp_timestamp: first(&self.icmp_timestamp, &port.icmp_timestamp),
            icmp_echo_group: first(&self.icmp_echo_group, &port.icmp_echo_group),
            icmp6_echo_group: first(&self.icmp6_echo_group, &port.icmp6_echo_group),
            accept_redirects6: first(&self.accept_redirects6, &port.accept_redirects6),
            path_mtu_min: first(&self.path_mtu_min, &port.path_mtu_min),
            path_mtu_timeout_s: first(&self.path_mtu_timeout_s, &port.path_mtu_timeout_s),
            neighbors_max: first(&self.neighbors_max, &port.neighbors_max),
            igmp_version: first(&self.igmp_version, &port.igmp_version),
            igmp_robustness: first(&self.igmp_robustness, &port.igmp_robustness),
            igmp_query_interval_s: first(&self.igmp_query_interval_s, &port.igmp_query_interval_s),
            igmp_strict_queries: first(&self.igmp_strict_queries, &port.igmp_strict_queries),
            mld_version: first(&self.mld_version, &port.mld_version),
            mld_robustness: first(&self.mld_robustness, &port.mld_robustness),
            mld_query_interval_s: first(&self.mld_query_interval_s, &port.mld_query_interval_s),
            link_local: first(&self.link_local, &port.link_local),
            stable_secret: first(&self.stable_secret, &port.stable_secret),
            router_discovery: first(&self.router_discovery, &port.router_discovery),
            dad_transmits: first(&self.dad_transmits, &port.dad_transmits),
            groups_max: first(&self.groups_max, &port.groups_max),
            sources_max: first(&self.sources_max, &port.sources_max),
        }
    }
}

impl RawRoute {
    fn read(at: At<&DeTable<'_>>, problems: &mut Problems) -> Self {
        let mut reader = TableReader::new(at.value, at.place.clone(), problems);
        let raw = Self { place: at.place, to: reader.get("to"), via: reader.get("via") };
        reader.finish();
        raw
    }
}

impl RawVlan {
    fn read(at: At<&DeTable<'_>>, problems: &mut Problems) -> Self {
        let mut reader = TableReader::new(at.value, at.place.clone(), problems);
        let id = reader.get("id");
        let (interface, routes) = RawInterface::read(&mut reader);
        reader.finish();
        Self { place: at.place, id, interface: interface.with_routes(routes, problems) }
    }
}

impl RawPort {
    fn read(at: At<&DeTable<'_>>, problems: &mut Problems) -> Self {
        let mut reader = TableReader::new(at.value, at.place.clone(), problems);
        let checksum = [("auto", Checksum::Auto), ("software", Checksum::Software)];
        let name = reader.get("name");
        let device = reader.get("device");
        let mac = reader.get("mac");
        let (interface, routes) = RawInterface::read(&mut reader);
        let vlans = reader.number_or_tables("vlan", "[[port.vlan]], or one number, as in vlan = 100");
        let mtu = reader.get("mtu");
        let rx_descriptors = reader.get("rx_descriptors");
        let tx_descriptors = reader.get("tx_descriptors");
        let checksum = reader.choice("checksum", &checksum);
        let offloads = reader.word_or_list("offloads", "\"auto\", \"none\"");
        let multicast_filter = reader.choice("multicast_filter", &FilterPolicy::NAMES);
        let rps = reader.choice("rps", &Rps::NAMES);
        let vhost_direct = reader.get("vhost_direct");
        let cpus = reader.list("cpus");
        reader.finish();
        let several = |tables: Vec<At<&DeTable<'_>>>, problems: &mut Problems| {
            RawVlans::Several(tables.into_iter().map(|at| RawVlan::read(at, problems)).collect())
        };
        Self {
            place: at.place,
            name,
            device,
            mac,
            interface: interface.with_routes(routes, problems),
            vlans: vlans.map_or_else(|tables| several(tables, problems), RawVlans::One),
            mtu,
            rx_descriptors,
            tx_descriptors,
            checksum,
            offloads,
            multicast_filter,
            rps,
            vhost_direct,
            cpus,
        }
    }
}

impl RawService {
    fn read(at: At<&DeTable<'_>>, problems: &mut Problems) -> Self {
        let mut place = at.place;
        // A service is spoken of by its name where it has one.
        if let Some(name) = at.value.get("name").and_then(|name| name.get_ref().as_str()) {
            place.path = format!("service {name:?}");
        }
        let mut reader = TableReader::new(at.value, place.clone(), problems);
        let name = reader.get("name");
        let kind = reader.get("kind");
        let listen = reader.list("listen");
        let ports = reader.list("ports");
        let cpus = reader.list("cpus");
        let reuse_address = reader.get("reuse_address");
        let v6only = reader.get("v6only");
        let multicast_all = reader.get("multicast_all");
        let groups = reader.tables("groups", "groups = [{ group = \"239.1.2.3\" }]");
        let reply = reader.choice("reply", &ReplyPath::NAMES);
        let path_mtu_discovery = reader.choice("path_mtu_discovery", &PmtuDiscovery::NAMES);
        let own = reader.rest();
        let groups = groups.into_iter().map(|at| RawGroup::read(at, problems)).collect();
        Self {
            place,
            name,
            kind,
            listen,
            ports,
            cpus,
            reuse_address,
            v6only,
            groups,
            multicast_all,
            reply,
            path_mtu_discovery,
            own,
        }
    }
}

impl RawGroup {
    fn read(at: At<&DeTable<'_>>, problems: &mut Problems) -> Self {
        let mut reader = TableReader::new(at.value, at.place.clone(), problems);
        let raw = Self {
            place: at.place,
            group: reader.get("group"),
            sources: reader.list("sources"),
            exclude: reader.list("exclude"),
            port: reader.get("port"),
        };
        reader.finish();
        raw
    }
}
