//! What a service may ask of its worker, and when: the other side of a [`Cx`].

use core::net::SocketAddr;

use super::{Manner, Worker, WorkerService};
use crate::engine::counters::SocketPages;
use crate::engine::depart::{Depart, DepartError};
use crate::engine::port_io::PortIo;
use crate::io::{BufPool, Departure, InterfaceId, Nic, PacketBuf};
use crate::service::{Cx, Engine, LocalSocket, Message, Place, SendError, SendOptions, Service};
use crate::stack::fragmentation::Payload;
use crate::stack::groups::ServiceId;
use crate::stack::net_view::{ChooseError, Constraints, NetView, ViewInterface, Way};
use crate::stack::port_table::PortTable;
use crate::time::Instant;

/// A service on its worker.
pub(super) struct Hosted<B> {
    pub(super) id: ServiceId,
    pub(super) manner: Manner,
    pub(super) service: Box<dyn Service<B>>,
    /// Its sockets.
    pub(super) sockets: Vec<LocalSocket>,
    /// Its deadline.
    pub(super) timer: Option<Instant>,
}

impl<B> core::fmt::Debug for Hosted<B> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Hosted").field("id", &self.id).field("timer", &self.timer).finish_non_exhaustive()
    }
}

impl<B: PacketBuf> Hosted<B> {
    /// `service`, with its sockets in `table`.
    pub(super) fn new(service: WorkerService<B>, table: &PortTable) -> Self {
        let WorkerService { id, manner, service } = service;
        let its = table.sockets().filter(|(_, socket)| socket.service == id);
        let sockets =
            its.map(|(id, socket)| LocalSocket { id, interface: socket.interface, local: socket.local });
        Self { id, manner, service, sockets: sockets.collect(), timer: None }
    }

    /// Calls it with what it may ask of its worker, whose parts `with` are.
    #[inline]
    pub(super) fn call<N: Nic<Buf = B>>(
        &mut self,
        with: Outlet<'_, N>,
        call: impl FnOnce(&mut dyn Service<B>, &mut Cx<'_, B>),
    ) {
        let Self { service, sockets, timer, manner, .. } = self;
        let now = with.depart.now;
        let mut asked = Asked { with, sockets, timer, manner: *manner };
        call(service.as_mut(), &mut Cx::new(now, &mut asked));
    }
}

/// The parts of a worker that a service may use.
pub(super) struct Outlet<'a, N: Nic> {
    pub(super) depart: Depart<'a, N>,
    pub(super) view: &'a NetView,
    pub(super) pages: &'a SocketPages,
}

/// The same for one service.
struct Asked<'a, N: Nic> {
    with: Outlet<'a, N>,
    sockets: &'a [LocalSocket],
    timer: &'a mut Option<Instant>,
    manner: Manner,
}

impl<N: Nic> Engine<N::Buf> for Asked<'_, N> {
    fn sockets(&self) -> &[LocalSocket] {
        self.sockets
    }

    fn alloc(&mut self) -> Option<N::Buf> {
        self.with.depart.pool.alloc()
    }

    fn alloc_large(&mut self) -> Option<N::Buf> {
        self.with.depart.pool.alloc_large()
    }

    fn send(
        &mut self,
        message: Message<N::Buf>,
        to: SocketAddr,
        options: &SendOptions,
    ) -> Result<(), SendError> {
        let (buf, place) = message.into_parts().ok_or(SendError::NoBuffer)?;
        let (socket, way) = self.choose(to, options)?;
        let udp = payload(place).ok_or(SendError::TooBig { max: Message::<N::Buf>::LEN_MAX })?;
        let departure = Departure {
            interface: way.interface,
            src: SocketAddr::new(way.src, socket.local.port()),
            dst: to,
            ttl: options.ttl,
            tos: options.tos,
            discovery: options.discovery.unwrap_or(self.manner.path_mtu_discovery),
            // RFC 8200 8.1; what RFC 6935 excepts, is for tunnels.
            checksum: options.checksum || to.is_ipv6(),
            loopback: options.loopback,
        };
        self.with.depart.send(buf, udp, &departure).map_err(refused)?;
        self.with.pages.add(socket.id, 0, 1);
        Ok(())
    }

    fn set_timer(&mut self, at: Option<Instant>) {
        *self.timer = at;
    }
}

impl<N: Nic> Asked<'_, N> {
    /// The socket from which `to` is sent to, and the way there.
    // I21, RFC 1122 4.1.3.5: the address that the caller named, or the socket is bound to, or the routes say. A group's socket
    // lends its port and its interface: no datagram comes from a group.
    fn choose(&self, to: SocketAddr, options: &SendOptions) -> Result<(LocalSocket, Way), SendError> {
        if to.port() == 0 {
            return Err(SendError::DestinationInvalid);
        }
        let speaks = |s: &&LocalSocket| s.local.is_ipv4() == to.is_ipv4();
        let mut all = self.sockets.iter().filter(speaks);
        let named = match options.socket {
            Some(id) => Some(all.find(|s| s.id == id).ok_or(SendError::NoSocket)?),
            None => None,
        };
        let bound = |socket: &LocalSocket| {
            let ip = socket.local.ip();
            (!ip.is_unspecified() && !ip.is_multicast()).then_some(ip)
        };
        // Whose services have a socket for each interface: a source that was chosen says more than the first of them.
        let first = || self.sockets.iter().find(speaks).filter(|_| options.source.is_none());
        let constraints = Constraints {
            interface: options.interface,
            src: options.source.or_else(|| named.and_then(bound)),
            mc_interface: named.or_else(first).and_then(|s| s.interface),
            scope_id: if let SocketAddr::V6(to) = to { to.scope_id() } else { 0 },
        };
        let way = self.with.view.choose(to.ip(), constraints).map_err(no_way)?;
        if let Some(socket) = named {
            return Ok((*socket, way));
        }
        // Of several, one that receives where it sends, and from the address that it is bound to.
        let fits = |s: &&LocalSocket| {
            let here = s.interface.is_none_or(|id| id == way.interface);
            here && bound(s).is_none_or(|ip| ip == way.src)
        };
        let mut its = self.sockets.iter().filter(speaks);
        let socket = its.clone().find(fits).or_else(|| its.next()).ok_or(SendError::NoSocket)?;
        let own = bound(socket).filter(|ip| options.source.is_none() && self.with.view.owner(*ip).is_some());
        Ok((*socket, Way { src: own.unwrap_or(way.src), ..way }))
    }
}

/// Where the datagram lies whose payload is at `place`: with room for its header.
fn payload(place: Place) -> Option<Payload> {
    const HEADER: usize = 8;
    let offset = u16::try_from(place.start.checked_sub(HEADER)?).ok()?;
    Some(Payload { in_body: place.in_body, offset, len: u16::try_from(place.len + HEADER).ok()? })
}

const fn no_way(why: ChooseError) -> SendError {
    match why {
        ChooseError::NetworkUnreachable => SendError::NetworkUnreachable,
        ChooseError::Scope => SendError::Scope,
        ChooseError::NoInterface => SendError::NoInterface,
        ChooseError::AddressNotAvailable => SendError::AddressNotAvailable,
    }
}

const fn refused(why: DepartError) -> SendError {
    match why {
        DepartError::NoInterface => SendError::NoInterface,
        DepartError::NetworkUnreachable => SendError::NetworkUnreachable,
        DepartError::Invalid => SendError::DestinationInvalid,
        DepartError::TooBig { max } => SendError::TooBig { max },
        DepartError::NoBuffer => SendError::NoBuffer,
        DepartError::QueueFull => SendError::QueueFull,
    }
}

/// The interfaces of `ports`.
pub(super) fn view_of<N: Nic>(ports: &[PortIo<N>]) -> NetView {
    let all = ports.iter().flat_map(|port| port.interfaces.iter());
    // Nobody here asks for names.
    let interfaces = all.map(|interface| ViewInterface::of(interface, String::new()));
    NetView { interfaces: interfaces.collect() }
}

impl<N: Nic> Worker<N> {
    /// The addresses and routes of the interface `id` may be others now.
    pub(super) fn see_routes(&mut self, id: InterfaceId) {
        let Self { ports, view, .. } = self;
        let interface = ports.iter().find_map(|port| port.interfaces.get(id));
        let known = view.interfaces.iter_mut().find(|known| known.id == id);
        if let (Some(interface), Some(known)) = (interface, known) {
            known.mtu = interface.mtu;
            known.v4.clone_from(&interface.v4.routes);
            known.v6.clone_from(&interface.v6.routes);
        }
    }

    /// Calls every service once: at the start, and at the end.
    pub(super) fn call_all(
        &mut self,
        now: Instant,
        mut call: impl FnMut(&mut dyn Service<N::Buf>, &mut Cx<'_, N::Buf>),
    ) {
        let Self { services, ports, pool, table, local, view, socket_pages: pages, .. } = self;
        for hosted in services {
            let depart = Depart { now, ports, pool, table, local };
            hosted.call(Outlet { depart, view, pages }, &mut call);
        }
    }

    /// Calls the services whose deadlines have come. Returns how many.
    #[inline]
    pub(super) fn fire_timers(&mut self, now: Instant) -> usize {
        if self.services.iter().any(|s| s.timer.is_some_and(|at| at <= now)) { self.fire(now) } else { 0 }
    }

    #[inline(never)]
    fn fire(&mut self, now: Instant) -> usize {
        let Self { services, ports, pool, table, local, view, socket_pages: pages, .. } = self;
        let mut fired = 0;
        for hosted in services {
            if hosted.timer.take_if(|at| *at <= now).is_some() {
                fired += 1;
                let depart = Depart { now, ports, pool, table, local };
                hosted.call(Outlet { depart, view, pages }, |service, cx| service.timer(cx));
            }
        }
        fired
    }
}
