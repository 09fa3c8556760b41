//! What a world is made of, and how its host is put together.
//!
//! The same parts as on a real NIC, by the same constructors: only the devices differ.

use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use super::buf::{ROOM, SimBuf, SimPool};
use super::net::LinkOptions;
use super::nic::{NicOptions, SimDevice, SimNic, SimPort};
use super::router::RouterOptions;
use crate::addr::{Group, Ipv4Cidr, MacAddr, Unicast, V4, V6, Vid};
use crate::engine::command::PoolStats;
use crate::engine::control::{
    Control, ControlInterfaceParts, ControlParts, ControlPortParts, ControlSocket, ControlSocketsParts,
    InitialMembership, SocketLimits, Taken, Wanted,
};
use crate::engine::counters::{CounterPage, SocketPages};
use crate::engine::fragments::{LIMITS, owners};
use crate::engine::homes::Homes;
use crate::engine::message::{PuntSenders, hand_over, inbox, punt_queues, to_services};
use crate::engine::rps::{self, Exit, Intake, RingLens};
use crate::engine::uoa::{Exchange, UoaParts};
use crate::engine::worker::{Manner, Worker, WorkerParts, WorkerPort, WorkerService, WorkerSockets};
use crate::fastpath::Level;
use crate::io::{
    Addressing6, BURST_MAX, ConflictDetection, IgmpPolicy, InterfaceId, MldPolicy, PortId, Waker,
};
use crate::rng::Rng;
use crate::service::{Echo, EchoOptions, Service};
use crate::socket::{EndpointOptions, Packets, PacketsOptions, SendQueue, SendQueues, SharedView};
use crate::stack::fragmentation::IdSpace;
use crate::stack::groups::ServiceId;
use crate::stack::hops::Hops;
use crate::stack::icmp_limit::IcmpRates;
use crate::stack::ingress::IngressOptions;
use crate::stack::interface::{Inet, Interface, Interfaces};
use crate::stack::membership::{Limits as MembershipLimits, SourceFilter};
use crate::stack::neighbor::ENTRIES_DEFAULT;
use crate::stack::net_view::NetView;
use crate::stack::port_table::{PortTable, Socket};
use crate::stack::reassembly::Limits;
use crate::stack::route::{Route, Routes};
use crate::stack::uoa::{TableLimits, Trusted};
use crate::time::{Instant, WallClock};

/// One port of the host, and the link that it is on.
#[derive(Clone, Debug)]
pub struct PortOptions {
    /// The device. Its queues are as many as [`queues`](Self::queues) says, whatever its own options say.
    pub nic: NicOptions,
    /// Its pairs of queues; `None`: one for each worker. With fewer, flows are spread in software (RPS).
    pub queues: Option<u16>,
    /// The host's addresses there.
    pub addresses: Vec<Ipv4Cidr>,
    /// The host's default gateway.
    pub gateway4: Option<Unicast<V4>>,
    /// The host's static routes.
    pub routes: Vec<Route<V4>>,
    /// When the host uses its IPv4 addresses first.
    pub conflict_detection: ConflictDetection,
    /// How the host gets its IPv6 addresses; `None`: it speaks no IPv6.
    pub addressing6: Option<Addressing6>,
    /// The host's static IPv6 routes.
    pub routes6: Vec<Route<V6>>,
    /// The most neighbours that the host remembers.
    pub neighbors_max: usize,
    /// What the host's group management is to be like in IPv4.
    pub igmp: IgmpPolicy,
    /// And in IPv6.
    pub mld: MldPolicy,
    /// The most groups that the host joins, and sources that it names.
    pub membership_limits: MembershipLimits,
    /// The VLAN that these are on; `None`: untagged.
    pub vlan: Option<Vid>,
    /// Further interfaces, each on a VLAN of its own.
    pub vlans: Vec<VlanOptions>,
    /// How the link treats frames.
    pub link: LinkOptions,
    /// The multicast router on the link.
    pub router: Option<RouterOptions>,
    /// Addresses of other stations, which answer ARP requests with their [`station_mac`](super::frames::station_mac).
    pub stations: Vec<Ipv4Addr>,
}

impl PortOptions {
    /// Port `index`: the host is 198.18.`index`.2/24 with MAC 02:00:c6:12:`index`:02, the link is perfect, and there is
    /// no router.
    #[must_use]
    pub fn new(index: u8) -> Self {
        let addr = Ipv4Addr::new(198, 18, index, 2);
        let nic = NicOptions {
            name: format!("p{index}"),
            mac: MacAddr([2, 0, 198, 18, index, 2]),
            ..NicOptions::default()
        };
        let addresses = Unicast::new(addr).and_then(|a| Ipv4Cidr::new(a, 24)).into_iter().collect();
        Self {
            nic,
            queues: None,
            addresses,
            gateway4: None,
            routes: Vec::new(),
            conflict_detection: ConflictDetection::default(),
            addressing6: None,
            routes6: Vec::new(),
            neighbors_max: ENTRIES_DEFAULT,
            igmp: IgmpPolicy::default(),
            mld: MldPolicy::default(),
            membership_limits: MembershipLimits::default(),
            vlan: None,
            vlans: Vec::new(),
            link: LinkOptions::PERFECT,
            router: None,
            stations: Vec::new(),
        }
    }
}

/// A further interface of a port.
#[derive(Clone, Debug)]
pub struct VlanOptions {
    /// Its VLAN.
    pub vid: Vid,
    /// The host's addresses there.
    pub addresses: Vec<Ipv4Cidr>,
    /// The host's default gateway there.
    pub gateway4: Option<Unicast<V4>>,
}

/// A maker of one worker's instance of a service.
pub type ServiceFactory = Box<dyn Fn() -> Box<dyn Service<SimBuf>>>;

/// A service of the host.
pub struct ServiceOptions {
    /// Its name.
    pub name: String,
    /// Makes its instances.
    pub factory: ServiceFactory,
    /// Where it listens: on every interface.
    pub listen: Vec<SocketAddr>,
    /// Whether its sockets hear groups that others joined.
    pub multicast_all: bool,
    /// Whether its sockets share their addresses and UDP ports with others that do so, too.
    pub reuse_address: bool,
    /// The workers on which it lives; none: all.
    pub workers: Vec<usize>,
    /// How its answers leave.
    pub manner: Manner,
    /// What it joins at the start.
    pub groups: Vec<(InterfaceId, Group<V4>, SourceFilter<V4>)>,
    /// The same of IPv6.
    pub groups6: Vec<(InterfaceId, Group<V6>, SourceFilter<V6>)>,
}

impl core::fmt::Debug for ServiceOptions {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("ServiceOptions").field("name", &self.name).finish_non_exhaustive()
    }
}

impl ServiceOptions {
    /// An echo on UDP port 7 of every address.
    #[must_use]
    pub fn echo() -> Self {
        Self::echo_with(EchoOptions::default())
    }

    /// The same with options.
    #[must_use]
    pub fn echo_with(options: EchoOptions) -> Self {
        Self {
            name: "echo".into(),
            factory: Box::new(move || Box::new(Echo::new(options.clone()))),
            listen: vec![SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 7)],
            multicast_all: true,
            reuse_address: false,
            workers: Vec::new(),
            manner: Manner::default(),
            groups: Vec::new(),
            groups6: Vec::new(),
        }
    }

    /// Which has a socket for IPv6, too, on each UDP port on which it has one for any IPv4 address.
    #[must_use]
    pub fn dual_stack(mut self) -> Self {
        let any = self.listen.iter().filter(|local| local.ip() == Ipv4Addr::UNSPECIFIED);
        let too: Vec<SocketAddr> =
            any.map(|local| SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), local.port())).collect();
        self.listen.extend(too);
        self
    }

    /// Which joins `group` on the first interface from the start: from `sources`, or from any if there is none.
    ///
    /// # Panics
    /// The address is not a group.
    #[must_use]
    pub fn joining(self, group: Ipv4Addr, sources: &[Ipv4Addr]) -> Self {
        let filter = if sources.is_empty() {
            SourceFilter::ANY
        } else {
            SourceFilter::Include(sources.iter().copied().collect())
        };
        self.wanting(InterfaceId(0), group, filter)
    }

    /// Which wants exactly `filter` of `group` on `interface` from the start.
    ///
    /// # Panics
    /// The address is not a group.
    #[must_use]
    pub fn wanting(mut self, interface: InterfaceId, group: Ipv4Addr, filter: SourceFilter<V4>) -> Self {
        self.groups.push((interface, Group::new(group).expect("a group"), filter));
        self
    }

    /// The workers of `all` on which it lives.
    fn lives_on(&self, all: u16) -> Vec<usize> {
        if self.workers.is_empty() { (0..usize::from(all)).collect() } else { self.workers.clone() }
    }
}

/// What a world is like.
#[derive(Debug)]
pub struct WorldOptions {
    /// The host's ports, each on a link of its own.
    pub ports: Vec<PortOptions>,
    /// The host's services.
    pub services: Vec<ServiceOptions>,
    /// The host's workers.
    pub workers: u16,
    /// The most packets in a burst.
    pub burst: usize,
    /// Buffers in the pool.
    pub buffers: usize,
    /// Large buffers in the pool.
    pub large: usize,
    /// Bytes of a buffer.
    pub room: usize,
    /// How many fragments each worker holds, and how long.
    pub fragments: Limits,
    /// How many packets the sockets of threads have.
    pub packets: PacketsOptions,
    /// How many of those sockets there may be, and how much each may join.
    pub sockets: SocketLimits,
    /// What each of those sockets may take.
    pub endpoints: EndpointOptions,
    /// The balancers whose word is taken for who their clients are, and how much is remembered of that.
    pub uoa: Option<(Trusted, TableLimits)>,
    /// How many ICMP errors the host sends.
    pub icmp_rates: IcmpRates,
    /// The level of CPU. What happens does not depend on it.
    pub level: Level,
}

impl Default for WorldOptions {
    fn default() -> Self {
        Self {
            ports: vec![PortOptions::new(0)],
            services: vec![ServiceOptions::echo()],
            workers: 1,
            burst: 32,
            buffers: 1024,
            large: 4,
            room: ROOM,
            fragments: LIMITS,
            packets: PacketsOptions { small: 512, medium: 128, large: 4 },
            sockets: SocketLimits { sockets: 4096, memberships: 20, sources: 10, sources6: 64 },
            endpoints: EndpointOptions::default(),
            uoa: None,
            icmp_rates: IcmpRates::default(),
            level: Level::BASELINE,
        }
    }
}

/// The host, put together.
pub(super) struct Host {
    pub(super) pool: SimPool,
    pub(super) devices: Vec<SimDevice>,
    pub(super) workers: Vec<Worker<SimNic>>,
    pub(super) control: Control<SimNic>,
    pub(super) packets: Arc<Packets>,
    pub(super) view: Arc<SharedView<NetView>>,
    pub(super) ways: Arc<SendQueues>,
}

/// The pieces that are collected while ports are opened, one list a worker.
struct Opened {
    devices: Vec<SimDevice>,
    control_ports: Vec<ControlPortParts>,
    worker_ports: Vec<Vec<WorkerPort<SimNic>>>,
}

/// Builds the host of `options` at `now`: workers that have not turned, and control that has joined its groups.
pub(super) fn build(now: Instant, options: &WorldOptions, rng: &mut Rng) -> Host {
    assert!(
        (1..=BURST_MAX).contains(&options.burst) && options.workers > 0,
        "a burst and a worker are needed"
    );
    let pool = SimPool::with_large(options.buffers, options.room, options.large);
    let Opened { devices, control_ports, worker_ports } = open_ports(options, &pool, rng);
    let table = port_table(options, rng);
    let (inboxes, receivers): (Vec<_>, Vec<_>) =
        (0..options.workers).map(|_| inbox(&Waker::default())).unzip();
    let (ways, fragments): (Vec<_>, Vec<_>) =
        (0..options.workers).map(|_| hand_over(&Waker::default())).unzip();
    let (to_homes, datagrams): (Vec<_>, Vec<_>) =
        (0..options.workers).map(|_| to_services(&Waker::default())).unzip();
    let mut exchanges = Exchange::of(&vec![Waker::default(); options.workers.into()]).into_iter();
    let secret = rng.u64();
    let (punt, punts) = punt_queues(secret);
    let lives_on = lives_on(options, &table);
    let mut each = receivers.into_iter().zip(fragments).zip(owners(&ways)).zip(datagrams);
    let mut pages = Vec::new();
    let first = table.sockets().count();
    let of_workers: Vec<(Taken, Arc<SendQueue>)> = (0..options.workers).map(|_| Default::default()).collect();
    let mut workers = Vec::new();
    for (worker, mut ports) in (0u16..).zip(worker_ports) {
        let Some((((inbox, handed_over), owners), to_services)) = each.next() else { break };
        // Every worker serves every port.
        ports.iter_mut().for_each(|port| port.owners.clone_from(&owners));
        let socket_pages = SocketPages::new(first);
        pages.push(socket_pages.clone());
        workers.push(Worker::new(
            now,
            WorkerParts {
                ports,
                pool: pool.clone(),
                table: table.clone(),
                socket_pages,
                services: services(options, usize::from(worker)),
                sockets: WorkerSockets::new(
                    first + options.sockets.sockets,
                    of_workers[usize::from(worker)].clone(),
                ),
                homes: Homes::new(usize::from(worker), &lives_on, &to_homes, secret),
                to_services,
                inbox,
                handed_over,
                punt: PuntSenders::clone(&punt),
                reassembly: options.fragments,
                burst: options.burst,
                level: options.level,
                ingress: ingress_options(
                    now,
                    options.icmp_rates,
                    IdSpace { secret, worker: worker.into(), workers: options.workers.into() },
                ),
                uoa: options.uoa.clone().zip(exchanges.next()).map(uoa_parts),
                rng: rng.fork(),
            },
        ));
    }
    let sockets = table.sockets().map(|(_, socket)| socket).zip(lives_on);
    let (packets, view) = (Packets::new(&options.packets), Arc::new(SharedView::new(NetView::default())));
    let threads = ControlSocketsParts {
        limits: options.sockets,
        packets: Arc::clone(&packets),
        options: options.endpoints,
        view: Arc::clone(&view),
        taken: of_workers.iter().map(|(taken, _)| taken.clone()).collect(),
    };
    // Every worker serves every port.
    let all: Vec<_> = of_workers.iter().map(|(_, send)| Arc::clone(send)).collect();
    let interfaces = options.ports.iter().map(|port| 1 + port.vlans.len()).sum::<usize>();
    let ways = Arc::new(SendQueues::new(vec![all; interfaces]));
    let mut control = Control::new(
        now,
        ControlParts {
            ports: control_ports,
            services: options.services.iter().map(|s| s.name.clone()).collect(),
            sockets: sockets.map(|(socket, cpus)| ControlSocket { socket, cpus }).collect(),
            socket_pages: pages,
            threads: Some(threads),
            pool: pool.clone(),
            pool_stats: pool_stats(&pool),
            workers: inboxes,
            lcores: Vec::new(),
            punts,
            rng: rng.fork(),
        },
    );
    control.start(now, memberships(options));
    Host { pool, devices, workers, control, packets, view, ways }
}

fn uoa_parts(((trusted, limits), exchange): ((Trusted, TableLimits), Exchange)) -> UoaParts {
    UoaParts { trusted, limits, exchange }
}

/// The start of the world is midnight.
fn ingress_options(now: Instant, rates: IcmpRates, ids: IdSpace) -> IngressOptions {
    IngressOptions {
        icmp_rates: rates.share(ids.worker, ids.workers),
        clock: WallClock::new(now, now.since(Instant::ZERO)),
        ids,
    }
}

fn open_ports(options: &WorldOptions, pool: &SimPool, rng: &mut Rng) -> Opened {
    let mut opened = Opened {
        devices: Vec::new(),
        control_ports: Vec::new(),
        worker_ports: (0..options.workers).map(|_| Vec::new()).collect(),
    };
    let mut next = 0;
    for (id, port) in (0..).map(PortId).zip(&options.ports) {
        let pairs = port.queues.map_or(options.workers, |queues| queues.clamp(1, options.workers));
        let nic = NicOptions { queues: pairs, ..port.nic.clone() };
        let lens = RingLens { rx: nic.rx_descriptors, tx: nic.tx_descriptors };
        let (device, pairs, control_side) = SimDevice::new(nic, pool.clone());
        let queues = rps::share(pairs, &vec![Waker::default(); options.workers.into()], lens, rng.u64());
        let interfaces = interfaces(port, &mut next, rng);
        let replicas = Interfaces::new(interfaces.iter().map(ControlInterfaceParts::replica).collect());
        let replicas = replicas.expect("a port has an interface");
        let pages = open_queues(id, queues, &replicas, &mut opened.worker_ports);
        opened.devices.push(device);
        opened.control_ports.push(control_port(id, control_side, interfaces, pages));
    }
    opened
}

/// The interfaces of `port`, numbered from `next` on.
fn interfaces(port: &PortOptions, next: &mut u16, rng: &mut Rng) -> Vec<ControlInterfaceParts> {
    let PortOptions { nic, addresses, gateway4, routes, vlan, vlans, addressing6, routes6, .. } = port;
    let PortOptions { neighbors_max, conflict_detection, igmp, mld, membership_limits, .. } = *port;
    let mut interface = |vlan: Option<Vid>, further: bool, addresses: &[Ipv4Cidr], gateway4: Option<_>| {
        let mut interface = Interface::new(InterfaceId(*next), nic.mac, nic.mtu, Vec::new());
        *next += 1;
        let default = gateway4.map(Route::default_via);
        let to_networks = routes.iter().copied().filter(|_| !further);
        let all = Routes::new(addresses.to_vec(), to_networks.chain(default).collect());
        interface.v4 = Inet::with_routes(all, Hops::new(rng.u64(), neighbors_max));
        if addressing6.is_some() {
            let routes = Routes::new(Vec::new(), routes6.clone());
            interface.v6 = Inet::with_routes(routes, Hops::new(rng.u64(), neighbors_max));
        }
        interface.set_mtu(nic.mtu);
        interface.vlan = vlan;
        interface.tx_udp_checksum = nic.tx_checksum;
        interface.tx_vlan_insert = nic.vlan_insert;
        let name = match vlan {
            Some(vid) if further => format!("{}.{vid}", nic.name),
            _ => nic.name.clone(),
        };
        ControlInterfaceParts {
            name,
            interface,
            gateway4,
            conflict_detection,
            addressing6: addressing6.clone(),
            neighbors_max,
            igmp,
            mld,
            membership_limits,
        }
    };
    let first = interface(*vlan, false, addresses, *gateway4);
    let further = vlans.iter().map(|v| interface(Some(v.vid), true, &v.addresses, v.gateway4));
    core::iter::once(first).chain(further).collect()
}

fn open_queues(
    id: PortId,
    queues: Vec<(Intake<SimNic>, Exit<SimNic>)>,
    interfaces: &Interfaces,
    worker_ports: &mut [Vec<WorkerPort<SimNic>>],
) -> Vec<CounterPage> {
    let mut pages = Vec::new();
    for ((rx, tx), ports) in queues.into_iter().zip(worker_ports) {
        let page = CounterPage::default();
        pages.push(page.clone());
        ports.push(WorkerPort { id, rx, tx, interfaces: interfaces.clone(), owners: Vec::new(), page });
    }
    pages
}

fn control_port(
    id: PortId,
    device: SimPort,
    interfaces: Vec<ControlInterfaceParts>,
    pages: Vec<CounterPage>,
) -> ControlPortParts {
    let workers: Vec<usize> = (0..pages.len()).collect();
    let cpus = workers.clone();
    ControlPortParts { id, device: Box::new(device), interfaces, workers, cpus, pages }
}

fn port_table(options: &WorldOptions, rng: &mut Rng) -> PortTable {
    let mut table = PortTable::new(rng.u64());
    for (service, with) in (0..).zip(&options.services) {
        let interfaces = options.ports.iter().map(|port| 1 + port.vlans.len()).sum();
        for interface in (0..).map(InterfaceId).take(interfaces) {
            for local in &with.listen {
                let socket = Socket::new(interface, *local, service);
                let ServiceOptions { multicast_all, reuse_address, .. } = *with;
                table.bind(Socket { multicast_all, reuse_address, ..socket }).expect("a free place");
            }
        }
    }
    table
}

/// For each socket, the workers on which its service lives. Every worker serves every port.
fn lives_on(options: &WorldOptions, table: &PortTable) -> Vec<Vec<usize>> {
    let of = |(_, socket): (_, Socket)| options.services.get(socket.service as usize);
    let services = table.sockets().filter_map(of);
    services.map(|service| service.lives_on(options.workers)).collect()
}

fn services(options: &WorldOptions, worker: usize) -> Vec<WorkerService<SimBuf>> {
    let made = (0..).zip(&options.services);
    let here = made.filter(|(_, service)| service.lives_on(options.workers).contains(&worker));
    here.map(|(id, s)| WorkerService { id, manner: s.manner, service: (s.factory)() }).collect()
}

fn memberships(options: &WorldOptions) -> Vec<InitialMembership> {
    let of = |(service, with): (ServiceId, &ServiceOptions)| -> Vec<InitialMembership> {
        let of = |(interface, wanted)| InitialMembership { interface, service, wanted };
        let v4 = with.groups.iter().cloned().map(|(id, group, filter)| (id, Wanted::V4(group, filter)));
        let v6 = with.groups6.iter().cloned().map(|(id, group, filter)| (id, Wanted::V6(group, filter)));
        v4.chain(v6).map(of).collect()
    };
    (0..).zip(&options.services).flat_map(of).collect()
}

fn pool_stats(pool: &SimPool) -> Box<dyn Fn() -> PoolStats + Send> {
    let pool = pool.clone();
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Box::new(move || PoolStats { free: count(pool.free()), size: count(pool.size()) })
}
