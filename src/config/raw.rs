//! The tables of a configuration as they were written: types are right, values are not yet proven.

use toml::de::DeTable;

use super::error::{At, Place, Problems};
use super::plan::{Checksum, Hugepages, Idle};
use super::read::{NumberOrWord, OwnKey, TableReader};
use crate::io::FilterPolicy;

/// The whole file.
#[derive(Clone, Debug, Default)]
pub(super) struct Raw {
    pub(super) eal: RawEal,
    pub(super) ctl_socket: Option<At<String>>,
    pub(super) workers: RawWorkers,
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
    pub(super) burst: Option<At<i64>>,
}

/// `[[port]]`.
#[derive(Clone, Debug)]
pub(super) struct RawPort {
    pub(super) place: Place,
    pub(super) name: Option<At<String>>,
    pub(super) device: Option<At<String>>,
    pub(super) mac: Option<At<String>>,
    pub(super) addresses: Option<At<Vec<At<String>>>>,
    pub(super) gateway4: Option<At<String>>,
    pub(super) mtu: Option<At<i64>>,
    pub(super) rx_descriptors: Option<At<i64>>,
    pub(super) tx_descriptors: Option<At<i64>>,
    pub(super) checksum: Option<At<Checksum>>,
    pub(super) multicast_filter: Option<At<FilterPolicy>>,
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
    pub(super) groups: Vec<RawGroup>,
    pub(super) own: Vec<OwnKey>,
}

/// An element of a service's `groups`.
#[derive(Clone, Debug)]
pub(super) struct RawGroup {
    pub(super) place: Place,
    pub(super) group: Option<At<String>>,
    pub(super) sources: Option<At<Vec<At<String>>>>,
    pub(super) port: Option<At<String>>,
}

/// The keys of a service table that are not its kind's own.
pub(super) const SERVICE_KEYS: [&str; 5] = ["name", "kind", "listen", "ports", "groups"];

impl Raw {
    pub(super) fn read(root: &DeTable<'_>, problems: &mut Problems) -> Self {
        let mut reader = TableReader::new(root, Place::default(), problems);
        let eal = reader.table("eal");
        let ctl = reader.table("ctl");
        let workers = reader.table("workers");
        let ports = reader.tables("port", "[[port]]");
        let services = reader.tables("service", "[[service]]");
        reader.finish();
        Self {
            eal: eal.map(|at| RawEal::read(at, problems)).unwrap_or_default(),
            ctl_socket: ctl.and_then(|at| read_ctl(at, problems)),
            workers: workers.map(|at| RawWorkers::read(at, problems)).unwrap_or_default(),
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
            burst: reader.get("burst"),
        };
        reader.finish();
        raw
    }
}

impl RawPort {
    fn read(at: At<&DeTable<'_>>, problems: &mut Problems) -> Self {
        let mut reader = TableReader::new(at.value, at.place.clone(), problems);
        let checksum = [("auto", Checksum::Auto), ("software", Checksum::Software)];
        let filter = [
            ("auto", FilterPolicy::Auto),
            ("all_multicast", FilterPolicy::AllMulticast),
            ("promiscuous", FilterPolicy::Promiscuous),
        ];
        let raw = Self {
            place: at.place,
            name: reader.get("name"),
            device: reader.get("device"),
            mac: reader.get("mac"),
            addresses: reader.list("addresses"),
            gateway4: reader.get("gateway4"),
            mtu: reader.get("mtu"),
            rx_descriptors: reader.get("rx_descriptors"),
            tx_descriptors: reader.get("tx_descriptors"),
            checksum: reader.choice("checksum", &checksum),
            multicast_filter: reader.choice("multicast_filter", &filter),
            cpus: reader.list("cpus"),
        };
        reader.finish();
        raw
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
        let groups = reader.tables("groups", "groups = [{ group = \"239.1.2.3\" }]");
        let own = reader.rest();
        let groups = groups.into_iter().map(|at| RawGroup::read(at, problems)).collect();
        Self { place, name, kind, listen, ports, groups, own }
    }
}

impl RawGroup {
    fn read(at: At<&DeTable<'_>>, problems: &mut Problems) -> Self {
        let mut reader = TableReader::new(at.value, at.place.clone(), problems);
        let raw = Self {
            place: at.place,
            group: reader.get("group"),
            sources: reader.list("sources"),
            port: reader.get("port"),
        };
        reader.finish();
        raw
    }
}
