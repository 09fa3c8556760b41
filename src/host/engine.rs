//! One run of the engine on DPDK, from EAL's start to its end, on the thread that becomes the main lcore.

use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use crossbeam::channel::{Receiver, Sender, bounded};
use crossbeam::utils::CachePadded;

use super::assemble::{self, Assembly, PortEnds};
use super::cpu_latency::CpuLatency;
use super::idle::Idle;
use super::{Factories, HostError, secret};
use crate::addr::{Family, MacAddr};
use crate::config::numa::{self, NearPool, Nodes};
use crate::config::plan::{InetPlan, InterfacePlan, PortPlan};
use crate::config::{ListenPlan, Plan, SocketsPlan};
use crate::ctl::text;
use crate::dpdk::{
    Clock, Dpdk, Eal, EalOptions, EventWait, Memory, Mempool, MempoolOptions, Port, PortError, StartedPort,
    Stopped,
};
use crate::engine::command::{Answer, Command, InterfaceAnswer, PoolStats};
use crate::engine::control::{
    Control, ControlInterfaceParts, ControlParts, ControlPortParts, ControlSocketsParts, ControlWorker,
    SocketLimits, Taken,
};
use crate::engine::counters::CounterPage;
use crate::engine::message;
use crate::engine::request::Request;
use crate::engine::rest::{self, Rest};
use crate::engine::rps::{self, RingLens};
use crate::engine::run::{ControlInputs, Ended, control_loop, last_words, worker_loop};
use crate::engine::worker::{Worker, WorkerParts};
use crate::io::{Addressing6, FilterState, InterfaceId, LinkLocal, PortId, PortInfo, Refused, Rung, Waker};
use crate::rng::Rng;
use crate::socket::{EndpointOptions, Packets, PacketsOptions, SendQueue, SendQueues, SharedView};
use crate::stack::hops::Hops;
use crate::stack::interface::{Inet, Interface, Interfaces};
use crate::stack::membership::Limits;
use crate::stack::net_view::NetView;
use crate::stack::pmtu::{PathMtu, PmtuPolicy};
use crate::stack::route::{Route, Routes};
use crate::time::WallClock;

/// Pins the calling thread to `cpu`, if it can be: a preference, not a need.
pub(super) fn pin(cpu: usize) {
    if !core_affinity::set_for_current(core_affinity::CoreId { id: cpu }) {
        tracing::debug!(cpu, "a thread could not be pinned");
    }
}

/// The lcore of worker `n`: 0 is control's.
const fn lcore_of(worker: usize) -> u32 {
    #[expect(clippy::cast_possible_truncation, reason = "a machine has fewer CPUs than 2^32")]
    let worker = worker as u32;
    worker + 1
}

/// Starts everything, says that it `has_begun`, runs until `shutdown`, ends everything.
pub(super) fn run(
    plan: &Plan,
    factories: &Factories,
    requests: Receiver<Request>,
    shutdown: Receiver<()>,
    (mut idle, threads): (Vec<Idle>, Option<ForThreads>),
    has_begun: impl FnOnce(),
) -> Result<(), HostError> {
    let _until_the_end = plan.cpu_dma_latency_us.map(CpuLatency::ask).transpose()?;
    let eal = Eal::init(&eal_options(plan))?;
    let clock = Clock::new(&eal);
    // Another seed on every host and at every start: G15, or hosts would answer queries in step.
    let mut rng = Rng::new(RandomState::new().build_hasher().finish());
    let pools = Pools::create(&eal, plan)?;

    let (punt, punts) = message::punt_queues(rng.u64());
    let (mut ends, mut control_ports) = (Vec::new(), Vec::new());
    for (index, port) in (0..).map(PortId).zip(&plan.ports) {
        let (mut started, mut queues) = pools.open(&eal, port)?.start()?;
        for ((queue, worker), (rx, _)) in (0..).zip(&port.workers).zip(&mut queues) {
            if let Some(idle) = idle.get_mut(*worker) {
                idle.owns(index, queue, rx);
            }
        }
        // As many packets as the queues that are not there would hold: what the pool was made for.
        let lens = RingLens { rx: port.rx_descriptors.into(), tx: port.tx_descriptors.into() };
        let wakers: Vec<_> =
            port.workers.iter().filter_map(|worker| idle.get(*worker)).map(Idle::waker).collect();
        let queues = rps::share(queues, &wakers, lens, rng.u64());
        let own = plan.interfaces.iter().filter(|interface| interface.port == index);
        started.let_vlans_pass(own.filter_map(|interface| interface.vlan))?;
        let interfaces = interfaces(plan, index, port.mtu, started.info(), &mut rng);
        let replicas = Interfaces::new(interfaces.iter().map(ControlInterfaceParts::replica).collect())
            .ok_or_else(|| HostError::NoInterface { port: port.name.clone() })?;
        let mut pages = Vec::new();
        for (worker, (rx, tx)) in port.workers.iter().copied().zip(queues) {
            let page = CounterPage::default();
            pages.push(page.clone());
            ends.push(PortEnds { worker, port: index, rx, tx, interfaces: replicas.clone(), page });
        }
        control_ports.push(control_port(plan, index, started, interfaces, pages));
    }
    let send = threads.as_ref().map(|threads| threads.send.as_slice()).unwrap_or_default();
    let of_workers: Vec<_> = send.iter().map(|send| (Taken::default(), Arc::clone(send))).collect();
    let wakers: Vec<_> = idle.iter().map(Idle::waker).collect();
    let with = (wall_clock(clock), &*wakers, &*of_workers);
    let Assembly { workers, inboxes, sockets, socket_pages } =
        assemble::workers(plan, factories, ends, |worker| pools.near(worker), &punt, with, &mut rng)?;
    let taken = of_workers.into_iter().map(|(taken, _)| taken).collect();
    let threads = threads.map(|threads| control_sockets(plan, threads, taken));
    let pool = pools.control.clone();
    let mut control = Control::<Dpdk>::new(
        clock.now(),
        ControlParts {
            ports: control_ports,
            services: plan.services.iter().map(|s| s.name.clone()).collect(),
            sockets,
            socket_pages,
            threads,
            pool,
            pool_stats: Box::new(move || pools.stats()),
            workers: inboxes,
            lcores: lcores(plan, &idle),
            punts,
            rng: rng.fork(),
        },
    );
    let (lost_tx, lost) = bounded(plan.workers.len());
    let inputs = ControlInputs { requests, shutdown, lost };
    let rest_in_words = idle_in_words(&idle);
    let lcores = Lcores::launch(&eal, clock, workers.into_iter().zip(idle), &lost_tx)?;
    control.start(clock.now(), assemble::memberships(plan));
    say_what_runs(plan, &mut control, clock, &rest_in_words);
    has_begun();
    let ended = control_loop(&mut control, || clock.now(), &inputs);
    tracing::info!("stopping: the groups are left, then the ports stopped");
    last_words(&mut control, || clock.now());
    lcores.stop(ended)
}

/// What a host shares with the threads of its program.
#[derive(Clone, Debug)]
pub(super) struct ForThreads {
    /// Where packets come from.
    pub(super) packets: Arc<Packets>,
    /// What is seen of the interfaces.
    pub(super) view: Arc<SharedView<NetView>>,
    /// What each worker is to send.
    send: Vec<Arc<SendQueue>>,
}

impl ForThreads {
    pub(super) fn new(plan: &Plan, idle: &[Idle]) -> Self {
        let [small, medium, large] = plan.sockets.packets.map(|n| usize::try_from(n).unwrap_or(usize::MAX));
        Self {
            packets: Packets::new(&PacketsOptions { small, medium, large }),
            view: Arc::new(SharedView::new(NetView::default())),
            send: idle.iter().map(|idle| Arc::new(SendQueue::new(idle.waker()))).collect(),
        }
    }

    /// The ways to the workers: of each interface, to those that serve its port.
    pub(super) fn ways(&self, plan: &Plan) -> SendQueues {
        let workers =
            |interface: &InterfacePlan| plan.ports.get(interface.port.index()).map(|port| &port.workers);
        let queues = |interface: &InterfacePlan| {
            workers(interface).into_iter().flatten().filter_map(|worker| self.send.get(*worker).cloned())
        };
        SendQueues::new(plan.interfaces.iter().map(|interface| queues(interface).collect()).collect())
    }
}

/// What control is told of the sockets of threads.
fn control_sockets(plan: &Plan, threads: ForThreads, taken: Vec<Taken>) -> ControlSocketsParts {
    let SocketsPlan { rcvbuf, rcvbuf_max, sndbuf, sndbuf_max, .. } = plan.sockets;
    let bytes = |n: u32| usize::try_from(n).unwrap_or(usize::MAX);
    ControlSocketsParts {
        limits: SocketLimits {
            sockets: bytes(plan.sockets.max),
            memberships: plan.sockets.memberships_max,
            sources: plan.sockets.sources_max,
            sources6: plan.sockets.sources6_max,
        },
        packets: threads.packets,
        options: EndpointOptions {
            rcvbuf: bytes(rcvbuf),
            rcvbuf_max: bytes(rcvbuf_max),
            sndbuf: bytes(sndbuf),
            sndbuf_max: bytes(sndbuf_max),
        },
        view: threads.view,
        taken,
    }
}

/// C10: the core has moments; the time of day is told to it once.
fn wall_clock(clock: Clock) -> WallClock {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    WallClock::new(clock.now(), since_1970)
}

fn eal_options(plan: &Plan) -> EalOptions {
    let workers = plan.workers.iter().enumerate().map(|(n, worker)| (lcore_of(n), worker.cpu));
    EalOptions {
        plan: plan.eal.clone(),
        lcores: core::iter::once((0, plan.control_cpu)).chain(workers).collect(),
        devices: plan.ports.iter().map(|port| port.device.clone()).collect(),
        scan: false,
    }
}

/// The pools of packet buffers, one for each NUMA node that has workers, and whose they are.
struct Pools {
    /// That of control, and of whoever has no other.
    control: Mempool,
    all: Vec<(NearPool, Mempool)>,
}

impl Pools {
    fn create(eal: &Eal, plan: &Plan) -> Result<Self, HostError> {
        // Without hugepages DPDK knows of one node alone.
        let nodes = if eal.memory() == Memory::Ordinary { Nodes::default() } else { Nodes::here() };
        let (first, others) = numa::pools(plan, &nodes);
        let make = |near: NearPool| Ok((near.clone(), Mempool::create(eal, &pool_options(plan, &near))?));
        let first = make(first)?;
        let control = first.1.clone();
        let others: Vec<_> = others.into_iter().map(make).collect::<Result<_, HostError>>()?;
        Ok(Self { control, all: core::iter::once(first).chain(others).collect() })
    }

    /// That of a worker.
    fn near(&self, worker: usize) -> Mempool {
        let its = self.all.iter().find(|(near, _)| near.workers.contains(&worker));
        its.map_or(&self.control, |(_, pool)| pool).clone()
    }

    /// Opens a port whose queues have the pools of their workers.
    fn open(&self, eal: &Eal, port: &PortPlan) -> Result<Port<Stopped>, PortError> {
        let pools: Vec<_> = port.workers.iter().map(|worker| self.near(*worker)).collect();
        let workers = u16::try_from(pools.len()).unwrap_or(u16::MAX);
        Port::open_near(eal, port, workers, &self.control, pools)
    }

    /// What they hold, all together.
    fn stats(&self) -> PoolStats {
        let sum = |of: fn(&Mempool) -> u32| self.all.iter().map(|(_, pool)| of(pool)).sum();
        PoolStats { free: sum(Mempool::free_count), size: sum(Mempool::size) }
    }
}

fn pool_options(plan: &Plan, near: &NearPool) -> MempoolOptions {
    MempoolOptions {
        name: near.node.map_or_else(|| "mbufs".to_owned(), |node| format!("mbufs-{node}")),
        count: near.count,
        cache: plan.mbufs.cache,
        data_room: plan.mbufs.data_room,
        large: near.large,
        numa_node: near.node,
        shared_cpu: plan.workers.iter().any(|worker| worker.cpu == plan.control_cpu),
    }
}

/// What IP has on the port `id`, whose device is `info`.
fn interfaces(
    plan: &Plan,
    id: PortId,
    mtu: u16,
    info: &PortInfo,
    rng: &mut Rng,
) -> Vec<ControlInterfaceParts> {
    let offers = |offload: &str| info.offloads.iter().any(|o| o == offload);
    let all = (0..).map(InterfaceId).zip(&plan.interfaces);
    all.filter(|(_, i)| i.port == id)
        .map(|(id, with)| {
            let mut interface = Interface::new(id, info.mac, mtu, Vec::new());
            interface.v4 = Inet::with_routes(routes(&with.v4), Hops::new(rng.u64(), with.neighbors_max));
            let path_mtu = PmtuPolicy { floor: with.path_mtu_min, timeout: with.path_mtu_timeout };
            interface.v4.paths = PathMtu::new(mtu, path_mtu);
            if with.addressing6.is_some() {
                interface.v6 = Inet::with_routes(routes(&with.v6), Hops::new(rng.u64(), with.neighbors_max));
                interface.v6.paths = PathMtu::new(mtu, path_mtu);
            }
            interface.vlan = with.vlan;
            interface.policy = with.policy;
            interface.tx_udp_checksum = offers("tx_udp_cksum");
            interface.tx_vlan_insert = offers("tx_vlan_insert");
            ControlInterfaceParts {
                name: with.name.clone(),
                interface,
                gateway4: with.v4.gateway,
                conflict_detection: with.conflict_detection,
                addressing6: addressing6(with, info.mac),
                neighbors_max: with.neighbors_max,
                igmp: with.igmp,
                mld: with.mld,
                membership_limits: Limits { groups: with.groups_max, sources: with.sources_max },
            }
        })
        .collect()
}

/// How an interface gets its IPv6 addresses, with the key of stable ones: configured, or this machine's.
fn addressing6(with: &InterfacePlan, mac: MacAddr) -> Option<Addressing6> {
    let config = with.addressing6.clone()?;
    let needs_secret = config.auto || config.link_local == LinkLocal::Stable;
    let secret = with.stable_secret.or_else(|| needs_secret.then(|| secret::of_machine(mac)));
    Some(Addressing6 { secret: secret.unwrap_or(config.secret), ..config })
}

/// The addresses and routes that are configured.
fn routes<F: Family>(with: &InetPlan<F>) -> Routes<F> {
    let to_networks = with.routes.iter().map(|route| Route { to: route.to, via: route.via });
    let all = to_networks.chain(with.gateway.map(Route::default_via)).collect();
    Routes::new(with.addresses.clone(), all)
}

fn control_port(
    plan: &Plan,
    id: PortId,
    device: StartedPort,
    interfaces: Vec<ControlInterfaceParts>,
    pages: Vec<CounterPage>,
) -> ControlPortParts {
    let workers = plan.ports.get(id.index()).map(|port| port.workers.clone()).unwrap_or_default();
    let cpus = workers.iter().filter_map(|w| plan.workers.get(*w)).map(|w| w.cpu).collect();
    ControlPortParts { id, device: Box::new(device), interfaces, workers, cpus, pages }
}

/// How long the ports stay after the workers' last words: a device sends within microseconds.
const DRAIN: Duration = Duration::from_millis(20);

/// How often a worker that panicked looks whether control has come to its end.
const PANICKED_REST: Duration = Duration::from_millis(1);

/// The running worker lcores. Dropped, they are stopped and waited for: no queue outlives its port.
struct Lcores<'a> {
    eal: &'a Eal,
    /// Every worker looks at it in every turn: nobody writes beside it.
    stop: Arc<CachePadded<AtomicBool>>,
    wakers: Vec<Waker>,
    launched: usize,
}

/// Tells control that a worker does its work no more, for whatever reason.
struct LastWord {
    worker: usize,
    lost: Sender<usize>,
}

impl Drop for LastWord {
    fn drop(&mut self) {
        // Full or gone: control knows already, or has ended itself.
        let _ = self.lost.try_send(self.worker);
    }
}

/// A worker's life. One that panics receives nothing more, and stays for what control has to say on its ports: it may be
/// the only one there, and the groups are to be left.
fn work(
    clock: Clock,
    parts: WorkerParts<Dpdk>,
    stop: &AtomicBool,
    rest: Option<Rest<EventWait>>,
    last_word: LastWord,
) {
    let mut worker = Worker::new(clock.now(), parts);
    let turn = || match rest {
        None => worker_loop(&mut worker, || clock.now(), stop),
        Some(mut rest) => rest::worker_loop(&mut worker, || clock.now(), stop, &mut rest),
    };
    // What a panic leaves half done is packets received; the way from the inbox to the wire is not among it.
    let turned = catch_unwind(AssertUnwindSafe(turn));
    let Err(panic) = turned else { return };
    drop(last_word);
    while !stop.load(Ordering::Relaxed) {
        thread::sleep(PANICKED_REST);
    }
    // The service that panicked may do so once more when it is told of the end.
    let _once_more = catch_unwind(AssertUnwindSafe(|| worker.stop(clock.now())));
    drop(worker);
    resume_unwind(panic)
}

impl<'a> Lcores<'a> {
    fn launch(
        eal: &'a Eal,
        clock: Clock,
        workers: impl Iterator<Item = (WorkerParts<Dpdk>, Idle)>,
        lost: &Sender<usize>,
    ) -> Result<Self, HostError> {
        let mut lcores = Self { eal, stop: Arc::default(), wakers: Vec::new(), launched: 0 };
        for (n, (parts, idle)) in workers.enumerate() {
            lcores.wakers.push(idle.waker());
            let rest = idle.into_rest();
            let stop = Arc::clone(&lcores.stop);
            let last_word = LastWord { worker: n, lost: lost.clone() };
            let job = Box::new(move || work(clock, parts, &stop, rest, last_word));
            eal.launch(lcore_of(n), job).map_err(|e| HostError::Launch { worker: n, why: e.to_string() })?;
            lcores.launched += 1;
        }
        Ok(lcores)
    }

    /// Stops the workers, which first send what control handed them, and tells what became of a lost one.
    fn stop(mut self, ended: Ended) -> Result<(), HostError> {
        let mut result = Ok(());
        for (worker, outcome) in self.join() {
            if let Err(why) = outcome {
                result = Err(HostError::WorkerLost { worker, why });
            } else if ended == Ended::WorkerLost(worker) {
                result = Err(HostError::WorkerLost { worker, why: "it returned".to_owned() });
            }
        }
        result
    }

    fn join(&mut self) -> Vec<(usize, Result<(), String>)> {
        self.stop.store(true, Ordering::Relaxed);
        self.wakers.iter().for_each(Waker::wake);
        let workers = 0..core::mem::take(&mut self.launched);
        let ends: Vec<_> =
            workers.map(|n| (n, self.eal.wait(lcore_of(n)).map_err(|e| e.to_string()))).collect();
        if !ends.is_empty() {
            // A worker's last turn hands the device what control handed over, the leaves above all. However late that turn
            // came, they reach the wire before the port stops.
            thread::sleep(DRAIN);
        }
        ends
    }
}

impl Drop for Lcores<'_> {
    fn drop(&mut self) {
        self.join();
    }
}

/// The workers, to be shown.
fn lcores(plan: &Plan, idle: &[Idle]) -> Vec<ControlWorker> {
    let workers = idle.iter().zip(&plan.workers).enumerate();
    workers.map(|(n, (idle, worker))| idle.shown(lcore_of(n), worker.cpu)).collect()
}

/// How the workers rest; once, if all do it alike.
fn idle_in_words(idle: &[Idle]) -> String {
    let mut words: Vec<_> = idle.iter().map(Idle::in_words).collect();
    words.dedup();
    words.join(", ")
}

/// Says once what was opened.
fn say_what_runs(plan: &Plan, control: &mut Control<Dpdk>, clock: Clock, rest: &str) {
    let (Answer::Ports(ports), Answer::Filter(filters)) =
        (control.execute(clock.now(), &Command::Ports), control.execute(clock.now(), &Command::Filter))
    else {
        return;
    };
    for ((port, filter), port_plan) in ports.iter().zip(&filters).zip(&plan.ports) {
        let info = &port.info;
        let offloads = if info.offloads.is_empty() { "none".into() } else { info.offloads.join(" ") };
        let queues: Vec<String> = (port_plan.workers.iter().zip(&port.cpus).enumerate())
            .map(|(queue, (worker, cpu))| {
                let has_one = queue < usize::from(info.rx_queues);
                let queue = if has_one { format!("queue {queue}") } else { "RPS".to_owned() };
                format!("{queue}: lcore {} on CPU {cpu}", lcore_of(*worker))
            })
            .collect();
        tracing::info!(
            "port {}: {}, driver {}, MAC {}, {}, MTU {}; {}; offloads: {offloads}",
            info.name,
            info.device,
            info.driver,
            info.mac,
            port.interfaces.iter().map(addresses).collect::<Vec<_>>().join(", "),
            info.mtu,
            queues.join(", "),
        );
        for problem in info.rss.iter().flat_map(|rss| &rss.problems) {
            tracing::warn!("port {}: receive-side scaling: {problem}", info.name);
        }
        tracing::info!("port {}: multicast filter: {}", info.name, in_words(&filter.state));
    }
    let on: Vec<_> = ports.iter().map(|port| port.info.numa_node).collect();
    for far in numa::far(plan, &Nodes::here(), &on) {
        tracing::warn!("{far}");
    }
    for service in &plan.services {
        let listen: Vec<String> = service.listen.iter().map(ListenPlan::written).collect();
        tracing::info!("service {} ({}): listens on {}", service.name, service.kind, listen.join(" "));
    }
    tracing::info!(
        "running: {}: {rest}; control on CPU {}, control socket {}",
        text::count(plan.workers.len() as u64, "worker", "workers"),
        plan.control_cpu,
        plan.ctl_socket.display()
    );
}

/// The addresses of an interface, and its VLAN.
fn addresses(interface: &InterfaceAnswer) -> String {
    let vlan = interface.vlan.map(|vlan| format!("VLAN {vlan} ")).unwrap_or_default();
    format!("{vlan}addresses {}", interface.addresses.join(" "))
}

/// The rung of a filter, and why that one.
fn in_words(filter: &FilterState) -> String {
    let addresses = text::count(filter.macs.len() as u64, "group address", "group addresses");
    let why = match filter.rung {
        Rung::AddrList => format!("the driver took the list of {addresses}"),
        Rung::MacTable => format!("the driver took {addresses} into its MAC table"),
        Rung::AllMulticast => "every multicast frame passes".to_owned(),
        Rung::Promiscuous => "every frame passes".to_owned(),
        Rung::Unfiltered => "the device has no filter".to_owned(),
    };
    let refused: String =
        filter.refused.iter().map(|Refused { rung, why }| format!("; not {rung}: {why}")).collect();
    format!("{}, {why}{refused}", filter.rung)
}
