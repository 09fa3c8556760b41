//! What a service may ask of its worker, and when: the other side of a [`Cx`].

use core::net::SocketAddr;

use super::{Manner, Worker, WorkerService};
use crate::engine::port_io::PortIo;
use crate::io::{BufPool, Nic, PacketBuf};
use crate::service::{Cx, Engine, LocalSocket, Message, SendError, SendOptions, Service};
use crate::stack::groups::ServiceId;
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
        let now = with.now;
        let mut asked = Asked { with, sockets, timer, manner: *manner };
        call(service.as_mut(), &mut Cx::new(now, &mut asked));
    }
}

/// The parts of a worker that a service may use.
pub(super) struct Outlet<'a, N: Nic> {
    pub(super) now: Instant,
    pub(super) ports: &'a mut [PortIo<N>],
    pub(super) pool: &'a N::Pool,
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
        self.with.pool.alloc()
    }

    fn alloc_large(&mut self) -> Option<N::Buf> {
        self.with.pool.alloc_large()
    }

    fn send(
        &mut self,
        message: Message<N::Buf>,
        to: SocketAddr,
        options: &SendOptions,
    ) -> Result<(), SendError> {
        let _ = (message, to, options, &self.manner, &self.with.ports);
        Err(SendError::NetworkUnreachable)
    }

    fn set_timer(&mut self, at: Option<Instant>) {
        *self.timer = at;
    }
}

impl<N: Nic> Worker<N> {
    /// Calls every service once: at the start, and at the end.
    pub(super) fn call_all(
        &mut self,
        now: Instant,
        mut call: impl FnMut(&mut dyn Service<N::Buf>, &mut Cx<'_, N::Buf>),
    ) {
        let Self { services, ports, pool, .. } = self;
        for hosted in services {
            hosted.call(Outlet { now, ports, pool }, &mut call);
        }
    }

    /// Calls the services whose deadlines have come. Returns how many.
    #[inline]
    pub(super) fn fire_timers(&mut self, now: Instant) -> usize {
        if self.services.iter().any(|s| s.timer.is_some_and(|at| at <= now)) { self.fire(now) } else { 0 }
    }

    #[inline(never)]
    fn fire(&mut self, now: Instant) -> usize {
        let Self { services, ports, pool, .. } = self;
        let mut fired = 0;
        for hosted in services {
            if hosted.timer.take_if(|at| *at <= now).is_some() {
                fired += 1;
                hosted.call(Outlet { now, ports, pool }, |service, cx| service.timer(cx));
            }
        }
        // The transmit burst is empty when a received one is sorted.
        self.ports.iter_mut().for_each(PortIo::flush);
        fired
    }
}
