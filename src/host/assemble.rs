//! From a plan and started ports to the parts of workers and control. Generic over the world, and without a device.

use core::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crossbeam::channel::Receiver;

use super::{Factories, HostError};
use crate::addr::Family;
use crate::config::{GroupSources, IcmpPlan, Plan, ReassemblyPlan, ServicePlan, UoaPlan};
use crate::dpdk::{Dpdk, Mbuf};
use crate::engine::control::{ControlSocket, InitialMembership, Taken, Wanted};
use crate::engine::counters::{CounterPage, SocketPages};
use crate::engine::fragments::{self, Owners};
use crate::engine::homes::Homes;
use crate::engine::message::{self, HandedOver, PuntSenders, ToWorker};
use crate::engine::rps::{Exit, Intake};
use crate::engine::uoa::{Exchange, UoaParts};
use crate::engine::way::Way;
use crate::engine::worker::{Manner, WorkerParts, WorkerPort, WorkerService, WorkerSockets};
use crate::fastpath::Level;
use crate::io::{Nic, PortId, Waker};
use crate::rng::Rng;
use crate::socket::SendQueue;
use crate::stack::fragmentation::IdSpace;
use crate::stack::groups::ServiceId;
use crate::stack::icmp_limit::{IcmpRates, Rate};
use crate::stack::ingress::IngressOptions;
use crate::stack::interface::Interfaces;
use crate::stack::membership::SourceFilter;
use crate::stack::port_table::{PortTable, Socket};
use crate::stack::reassembly::Limits;
use crate::stack::uoa::{TableLimits, Trusted};
use crate::time::WallClock;

/// A port's ends for one worker, with that worker's replica of its interfaces.
pub(super) struct PortEnds<N: Nic> {
    pub(super) worker: usize,
    pub(super) port: PortId,
    pub(super) rx: Intake<N>,
    pub(super) tx: Exit<N>,
    pub(super) interfaces: Interfaces,
    pub(super) page: CounterPage,
}

/// The workers of a plan, and what control needs to know of them.
pub(super) struct Assembly {
    pub(super) workers: Vec<WorkerParts<Dpdk>>,
    pub(super) inboxes: Vec<Way<ToWorker<Mbuf>>>,
    pub(super) sockets: Vec<ControlSocket>,
    /// Their counters on each worker.
    pub(super) socket_pages: Vec<SocketPages>,
}

/// What a worker sends for threads, and how much of it was taken.
pub(super) type ForThreads = (Taken, Arc<SendQueue>);

/// Makes the parts of every worker.
pub(super) fn workers(
    plan: &Plan,
    factories: &Factories,
    pairs: Vec<PortEnds<Dpdk>>,
    pool_of: impl Fn(usize) -> <Dpdk as Nic>::Pool,
    punt: &PuntSenders<Mbuf>,
    (clock, wakers, for_threads): (WallClock, &[Waker], &[ForThreads]),
    rng: &mut Rng,
) -> Result<Assembly, HostError> {
    let mut ports: Vec<Vec<WorkerPort<Dpdk>>> = plan.workers.iter().map(|_| Vec::new()).collect();
    for PortEnds { worker, port: id, rx, tx, interfaces, page } in pairs {
        if let Some(ports) = ports.get_mut(worker) {
            let owners = Owners::new();
            ports.push(WorkerPort { id, rx, tx, interfaces, owners, page });
        }
    }
    let sockets = control_sockets(plan);
    let (inboxes, receivers): (Vec<_>, Vec<Receiver<ToWorker<Mbuf>>>) =
        wakers.iter().map(message::inbox).unzip();
    let (ways, fragments): (Vec<_>, Vec<_>) = wakers.iter().map(message::hand_over).unzip();
    share_owners(plan, &ways, &mut ports);
    let (to_homes, datagrams): (Vec<_>, Vec<_>) = wakers.iter().map(message::to_services).unzip();
    let lives_on = lives_on(plan, &sockets);
    // Those of threads come after those of the configuration.
    let end = sockets.len() + plan.sockets.max as usize;
    let mut exchanges = Exchange::of(wakers).into_iter();
    let secret = rng.u64();
    // U14: a flow goes to the same socket, whichever worker receives it.
    let table_seed = rng.u64();
    let mut assembly =
        Assembly { workers: Vec::new(), inboxes, sockets: Vec::new(), socket_pages: Vec::new() };
    let of = u32::try_from(plan.workers.len()).unwrap_or(u32::MAX);
    let receivers = receivers.into_iter().zip(fragments).zip(datagrams);
    for ((ports, worker), ((inbox, handed_over), to_services)) in ports.into_iter().zip(0u32..).zip(receivers)
    {
        let me = worker as usize;
        let table = bind(&sockets, table_seed)?;
        let socket_pages = SocketPages::new(sockets.len());
        assembly.socket_pages.push(socket_pages.clone());
        assembly.workers.push(WorkerParts {
            services: services(plan, factories, |id| {
                let its = sockets.iter().zip(&lives_on).filter(|(s, _)| s.socket.service == id);
                its.into_iter().any(|(_, workers)| workers.contains(&me))
            })?,
            homes: Homes::new(me, &lives_on, &to_homes, secret),
            sockets: for_threads.get(me).map(|of| WorkerSockets::new(end, of.clone())).unwrap_or_default(),
            to_services,
            ports,
            pool: pool_of(me),
            table,
            socket_pages,
            inbox,
            handed_over,
            punt: punt.clone(),
            reassembly: limits(plan),
            burst: plan.burst,
            level: Level::detect(),
            ingress: IngressOptions {
                icmp_rates: icmp_rates(plan).share(worker, of),
                clock,
                ids: IdSpace { secret, worker, workers: of },
            },
            uoa: exchanges.next().and_then(|exchange| uoa(plan, exchange)),
            rng: rng.fork(),
        });
    }
    assembly.sockets = sockets;
    Ok(assembly)
}

/// Tells every worker, of each port that it serves, who puts fragments together that come in there.
fn share_owners(plan: &Plan, ways: &[Way<HandedOver<Mbuf>>], ports: &mut [Vec<WorkerPort<Dpdk>>]) {
    for (id, port) in (0..).map(PortId).zip(&plan.ports) {
        let of_port: Vec<_> = port.workers.iter().filter_map(|w| ways.get(*w).cloned()).collect();
        for (worker, owners) in port.workers.iter().zip(fragments::owners(&of_port)) {
            let here = ports.get_mut(*worker).and_then(|ports| ports.iter_mut().find(|port| port.id == id));
            if let Some(here) = here {
                here.owners = owners;
            }
        }
    }
}

/// How much of fragments each worker holds, and how long.
const fn limits(plan: &Plan) -> Limits {
    let ReassemblyPlan { timeout, timeout6, fragments, fragments_per_source } = plan.reassembly;
    Limits { timeout, timeout6, fragments, fragments_per_source }
}

/// O06: the balancers that a worker believes, if any.
fn uoa(plan: &Plan, exchange: Exchange) -> Option<UoaParts> {
    let UoaPlan { trusted4, trusted6, table_max, timeout } = &plan.uoa;
    let trusted = Trusted::new(trusted4.clone(), trusted6.clone());
    let limits = TableLimits { flows: *table_max, timeout: *timeout };
    trusted.is_on().then_some(UoaParts { trusted, limits, exchange })
}

/// C05: of the whole host.
fn icmp_rates(plan: &Plan) -> IcmpRates {
    let IcmpPlan { errors_per_second, errors_burst, errors_per_second_per_peer, errors_burst_per_peer } =
        plan.icmp;
    IcmpRates {
        global: Rate::new(errors_per_second, errors_burst),
        peer: Rate::new(errors_per_second_per_peer, errors_burst_per_peer),
    }
}

/// Every socket of the plan, each on every one of its interfaces. A [`SocketId`](crate::stack::port_table::SocketId) is
/// an index into them.
fn control_sockets(plan: &Plan) -> Vec<ControlSocket> {
    let mut sockets = Vec::new();
    for (service, id) in plan.services.iter().zip(0..) {
        let ServicePlan { multicast_all, reuse_address, .. } = *service;
        for listen in &service.listen {
            // P10, RFC 3493 5.3: a dual-stack socket is one in each version's place.
            let places: Vec<IpAddr> = listen.places().collect();
            for (addr, interface) in
                places.iter().flat_map(|a| listen.interfaces.iter().map(move |i| (*a, *i)))
            {
                let local = SocketAddr::new(addr, listen.udp_port);
                let socket = Socket { multicast_all, reuse_address, ..Socket::new(interface, local, id) };
                let workers = homes(plan, &socket);
                let cpus = workers.into_iter().filter_map(|w| plan.workers.get(w)).map(|w| w.cpu).collect();
                sockets.push(ControlSocket { socket, cpus });
            }
        }
    }
    sockets
}

/// For each socket, the workers on which its service lives and that serve its port.
fn lives_on(plan: &Plan, sockets: &[ControlSocket]) -> Vec<Vec<usize>> {
    sockets.iter().map(|s| homes(plan, &s.socket)).collect()
}

fn homes(plan: &Plan, socket: &Socket) -> Vec<usize> {
    let service = plan.services.get(socket.service as usize);
    let interface = socket.interface.and_then(|id| plan.interfaces.get(id.index()));
    let port = interface.and_then(|interface| plan.ports.get(interface.port.index()));
    let (Some(service), Some(port)) = (service, port) else { return Vec::new() };
    port.workers.iter().copied().filter(|worker| service.workers.contains(worker)).collect()
}

/// One worker's table of all sockets, those of services that live elsewhere included.
fn bind(sockets: &[ControlSocket], seed: u64) -> Result<PortTable, HostError> {
    let mut table = PortTable::new(seed);
    for ControlSocket { socket, .. } in sockets {
        // The plan has proven that they may be where they are.
        table.bind(*socket).map_err(|e| HostError::Service {
            service: format!("{}", socket.local),
            problem: e.to_string(),
        })?;
    }
    Ok(table)
}

/// One worker's instances of the services that live there.
fn services(
    plan: &Plan,
    factories: &Factories,
    lives_here: impl Fn(ServiceId) -> bool,
) -> Result<Vec<WorkerService<Mbuf>>, HostError> {
    let here = plan.services.iter().zip(0..).filter(|(_, id)| lives_here(*id));
    here.map(|(service, id)| make(service, id, factories)).collect()
}

fn make(
    service: &ServicePlan,
    id: ServiceId,
    factories: &Factories,
) -> Result<WorkerService<Mbuf>, HostError> {
    let failed = |problem: String| HostError::Service { service: service.name.clone(), problem };
    let factory = factories.get(&service.kind).ok_or_else(|| {
        let known: Vec<&str> = factories.keys().map(String::as_str).collect();
        failed(format!("kind \"{}\" is not registered; known are {}", service.kind, known.join(", ")))
    })?;
    let manner = Manner { reply: service.reply, path_mtu_discovery: service.path_mtu_discovery };
    Ok(WorkerService { id, manner, service: factory(service).map_err(failed)? })
}

/// The groups that the plan's services join from the start.
pub(super) fn memberships(plan: &Plan) -> Vec<InitialMembership> {
    let mut memberships = Vec::new();
    for (service, id) in plan.services.iter().zip(0..) {
        for wanted in &service.groups4 {
            let filter = filter(&wanted.from);
            memberships.extend(wanted.groups().map(|group| InitialMembership {
                interface: wanted.interface,
                service: id,
                wanted: Wanted::V4(group, filter.clone()),
            }));
        }
        for wanted in &service.groups6 {
            let filter = filter(&wanted.from);
            memberships.extend(wanted.groups().map(|group| InitialMembership {
                interface: wanted.interface,
                service: id,
                wanted: Wanted::V6(group, filter.clone()),
            }));
        }
    }
    memberships
}

/// The sources of a group that is joined from the start.
fn filter<F: Family>(from: &GroupSources<F>) -> SourceFilter<F> {
    match from {
        GroupSources::Any => SourceFilter::ANY,
        GroupSources::Only(sources) => SourceFilter::Include(sources.iter().map(|s| s.addr()).collect()),
        GroupSources::Except(sources) => SourceFilter::Exclude(sources.iter().map(|s| s.addr()).collect()),
    }
}
