//! NUMA: which buffers are near whom, and who is far from a device.
//!
//! Pure functions of a [`Plan`] and of a machine's nodes. A device writes received packets where their queue's buffers lie, and the worker
//! of that queue reads them: so each node on which there are workers has a pool of its own, from which their queues and what they send of
//! themselves are filled. Descriptors lie at the device (`rte_eth_rx_queue_setup` is told its node), and what a worker needs for itself it
//! asks for on its own lcore. Where a worker is on another node than its port, something crosses for every packet, wherever the buffers
//! lie: that is said, with what would change it.

use std::collections::BTreeMap;

use super::mbufs::{self, CACHE};
use super::plan::{Plan, PortPlan};
use crate::io::{BURST_MAX, at_one_time};

/// The CPUs of each NUMA node.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Nodes(BTreeMap<u32, Vec<usize>>);

/// A pool of packet buffers, and whom it is near.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NearPool {
    /// The node of its memory; `None`: any, for there is one at most.
    pub node: Option<u32>,
    /// The workers whose pool it is, as indices into [`Plan::workers`].
    pub workers: Vec<usize>,
    /// Ordinary buffers in it.
    pub count: u32,
    /// Large buffers in it.
    pub large: u32,
}

impl Nodes {
    /// Those of a machine, each with its CPUs.
    #[must_use]
    pub fn new(nodes: impl IntoIterator<Item = (u32, Vec<usize>)>) -> Self {
        Self(nodes.into_iter().collect())
    }

    /// Those of this machine, as the kernel lists them; none if it does not.
    #[must_use]
    pub fn here() -> Self {
        let all = std::fs::read_dir("/sys/devices/system/node").into_iter().flatten().flatten();
        let node = |entry: std::fs::DirEntry| {
            let number = entry.file_name().to_str()?.strip_prefix("node")?.parse().ok()?;
            let cpus = std::fs::read_to_string(entry.path().join("cpulist")).ok()?;
            Some((number, cpus_of(cpus.trim())))
        };
        Self::new(all.filter_map(node))
    }

    /// The node of a CPU.
    #[must_use]
    pub fn of_cpu(&self, cpu: usize) -> Option<u32> {
        self.0.iter().find(|(_, cpus)| cpus.contains(&cpu)).map(|(node, _)| *node)
    }

    /// The CPUs of a node, as the kernel writes them: `0-15,64-79`.
    fn listed(&self, node: u32) -> String {
        let cpus = self.0.get(&node).map(Vec::as_slice).unwrap_or_default();
        let run = |run: &[usize]| match run {
            [] => String::new(),
            [cpu] => cpu.to_string(),
            [first, .., last] => format!("{first}-{last}"),
        };
        cpus.chunk_by(|a, b| a + 1 == *b).map(run).collect::<Vec<_>>().join(",")
    }
}

/// The CPUs of a list of the kernel's.
fn cpus_of(list: &str) -> Vec<usize> {
    let range = |range: &str| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        Some(first.parse::<usize>().ok()?..=last.parse::<usize>().ok()?)
    };
    list.split(',').filter_map(range).flatten().collect()
}

/// The pools of `plan`, the first and the others: one for each node that has workers, on a machine with these nodes. Each worker has one.
#[must_use]
pub fn pools(plan: &Plan, nodes: &Nodes) -> (NearPool, Vec<NearPool>) {
    let mut by_node: BTreeMap<Option<u32>, Vec<usize>> = BTreeMap::new();
    for (worker, on) in plan.workers.iter().enumerate() {
        // On a machine with one node, and of CPUs that no node has, nothing is near or far.
        let node = nodes.of_cpu(on.cpu).filter(|_| nodes.0.len() > 1);
        by_node.entry(node).or_default().push(worker);
    }
    let mut pools = by_node.into_iter().map(|(node, workers)| near_pool(plan, node, workers));
    let first = pools.next().unwrap_or_else(|| near_pool(plan, None, Vec::new()));
    (first, pools.collect())
}

/// A buffer of this pool may wait wherever it was handed over to, on any node; but what others receive into, hold and keep at hand is of
/// their pools.
fn near_pool(plan: &Plan, node: Option<u32>, workers: Vec<usize>) -> NearPool {
    let needed: u32 = plan.mbufs.items.iter().map(|(_, mbufs)| mbufs).sum();
    let others = (0..plan.workers.len()).filter(|worker| !workers.contains(worker));
    let elsewhere: u32 = others.map(|worker| own(plan, worker)).sum();
    let count = mbufs::pool_size(needed.saturating_sub(elsewhere)).min(plan.mbufs.count);
    let each = plan.mbufs.large / u32::try_from(plan.workers.len().max(1)).unwrap_or(u32::MAX);
    let large = each * u32::try_from(workers.len()).unwrap_or(0);
    NearPool { node, workers, count, large }
}

/// Buffers that are of this worker's pool for sure: those that it receives into and that it has at hand.
fn own(plan: &Plan, worker: usize) -> u32 {
    let serves = |port: &&PortPlan| port.workers.contains(&worker);
    let rings = plan.ports.iter().filter(serves).map(|port| u32::from(port.rx_descriptors)).sum::<u32>();
    rings + u32::try_from(at_one_time(plan.burst).min(BURST_MAX)).unwrap_or(0) + CACHE + CACHE / 2
}

/// What is to be said of workers that are far from a port of theirs, whose nodes are these, in the order of the plan's.
#[must_use]
pub fn far(plan: &Plan, nodes: &Nodes, ports: &[Option<u32>]) -> Vec<String> {
    let mut said = Vec::new();
    for (port, node) in plan.ports.iter().zip(ports) {
        let Some(node) = node.filter(|node| nodes.0.len() > 1 && nodes.0.contains_key(node)) else {
            continue;
        };
        let cpus =
            port.workers.iter().filter_map(|worker| plan.workers.get(*worker)).map(|worker| worker.cpu);
        let far: Vec<usize> = cpus.filter(|cpu| nodes.of_cpu(*cpu).is_some_and(|on| on != node)).collect();
        if !far.is_empty() {
            let list = far.iter().map(usize::to_string).collect::<Vec<_>>().join(", ");
            said.push(format!(
                "port {}: its device is on NUMA node {node}, and its workers on CPUs {list} are not: each of their packets crosses between \
                 nodes; use CPUs of node {node} ({}) in workers.cpus, or leave these out of the port's cpus",
                port.name,
                nodes.listed(node),
            ));
        }
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Kind, Kinds, Machine};

    /// Four nodes of sixteen cores, of which each has two threads, as a large machine numbers them.
    fn large() -> Nodes {
        Nodes::new((0..4).map(|node| {
            let first = usize::try_from(node).unwrap() * 16;
            (node, (first..first + 16).chain(64 + first..64 + first + 16).collect())
        }))
    }

    /// Workers on `cpus`, which all serve port p0; p1 is served by `second`.
    fn plan(cpus: &[usize], second: &[usize]) -> Plan {
        let text = format!(
            "[workers]\ncpus = {cpus:?}\ncontrol_cpu = 127\n\
             [[port]]\nname = \"p0\"\ndevice = \"0000:01:00.0\"\naddresses = [\"198.18.0.2/24\"]\n\
             [[port]]\nname = \"p1\"\ndevice = \"0000:c1:00.0\"\naddresses = [\"198.18.1.2/24\"]\ncpus = {second:?}\n\
             [[service]]\nkind = \"echo\"\nlisten = [\"0.0.0.0:7\"]\n"
        );
        let kinds = Kinds::new().with(Kind::new("echo", &[], |_| Vec::new()));
        let config = Config::parse(&text, "numa.toml".as_ref()).unwrap();
        config.check(&Machine::new(0..128), &kinds).unwrap()
    }

    #[test]
    fn cpus_are_read_and_written_as_the_kernel_does() {
        assert_eq!(cpus_of("0-2,8,64-65"), [0, 1, 2, 8, 64, 65]);
        assert_eq!(cpus_of(""), [0; 0], "a node of memory alone");
        assert_eq!(large().listed(1), "16-31,80-95");
        assert_eq!((large().of_cpu(79), large().of_cpu(16), large().of_cpu(128)), (Some(0), Some(1), None));
        assert!(Nodes::here().0.values().flatten().count() > 0, "this machine has a CPU");
    }

    #[test]
    fn on_one_node_there_is_the_pool_of_the_plan() {
        let plan = plan(&[1, 2, 3], &[1]);
        let all = |node| NearPool {
            node,
            workers: vec![0, 1, 2],
            count: plan.mbufs.count,
            large: plan.mbufs.large,
        };
        for nodes in [Nodes::default(), Nodes::new([(0, (0..128).collect())])] {
            assert_eq!(pools(&plan, &nodes), (all(None), vec![]), "near and far are the same");
        }
        assert_eq!(pools(&plan, &large()), (all(Some(0)), vec![]), "not on any other node");
    }

    #[test]
    fn each_node_has_a_pool_that_fills_the_queues_of_its_workers() {
        let cpus: Vec<usize> = (0..64).collect();
        let plan = plan(&cpus, &[0]);
        let (first, others) = pools(&plan, &large());
        let pools = [vec![first], others].concat();
        assert_eq!(pools.iter().map(|pool| pool.node).collect::<Vec<_>>(), [0, 1, 2, 3].map(Some));
        let workers: Vec<usize> = pools.iter().flat_map(|pool| pool.workers.clone()).collect();
        assert_eq!(workers, cpus, "each worker has one pool");
        let rx = u32::from(plan.ports[0].rx_descriptors);
        for pool in &pools {
            assert!(pool.count >= 16 * (rx + CACHE + CACHE / 2), "{pool:?}");
            assert!((pool.count + 1).is_power_of_two() && pool.count <= plan.mbufs.count);
        }
        assert_eq!(pools.iter().map(|pool| pool.large).sum::<u32>(), plan.mbufs.large);
    }

    #[test]
    fn who_is_far_from_a_port_is_told_with_the_remedy() {
        let plan = plan(&[0, 1, 16, 48], &[48]);
        let said = far(&plan, &large(), &[Some(0), Some(3)]);
        let [said] = &said[..] else { panic!("{said:?}") };
        for words in ["port p0", "NUMA node 0", "CPUs 16, 48", "(0-15,64-79)", "workers.cpus"] {
            assert!(said.contains(words), "{said}");
        }
        assert_eq!(far(&plan, &large(), &[Some(1), Some(0)]).len(), 2);
        // Virtual devices say nothing, or that they are on a node that there is not.
        assert_eq!(far(&plan, &large(), &[None, Some(9)]), Vec::<String>::new());
        assert_eq!(far(&plan, &Nodes::default(), &[Some(0), Some(3)]), Vec::<String>::new());
    }
}
