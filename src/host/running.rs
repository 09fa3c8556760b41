//! A host at work: its threads, and the handle by which a program has it.

use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

use crossbeam::channel::{Receiver, bounded};

use super::engine::{self, ForThreads};
use super::idle::{self, Idle};
use super::{Host, HostError, Shutdown};
use crate::ctl;
use crate::engine::request::{self, Request, Requests};
use crate::socket::Sockets;

/// A running [`Host`]. Dropped, it has the host stop, and waits until it has.
///
/// Its [`sockets`](Self::sockets) are for any thread, from the start on. An address that is still asked for (duplicate address
/// detection, RFC 4862 5.4; `conflict_detection = "probe"`) can be bound to when it is used:
/// [`Sockets::interfaces`] says which are.
#[derive(Debug)]
pub struct Running {
    sockets: Sockets,
    shutdown: Shutdown,
    threads: Threads,
}

/// The threads that have an end to be waited for; the workers are the engine's own.
#[derive(Debug)]
pub(super) struct Threads {
    engine: Option<JoinHandle<Result<(), HostError>>>,
    ctl: Option<JoinHandle<()>>,
    stopper: ctl::Stopper,
}

impl Running {
    pub(super) fn start(host: Host) -> Result<Self, HostError> {
        let shutdown = Shutdown::default();
        let (requests, incoming) = request::requests();
        let idle = idle::of(&host.plan)?;
        let shared = ForThreads::new(&host.plan, &idle);
        let sockets = Sockets::new(
            Arc::new(requests.clone()),
            Arc::clone(&shared.view),
            shared.ways(&host.plan).into(),
        );
        let threads = Threads::start(host, (requests, incoming), &shutdown, (idle, Some(shared)))?;
        Ok(Self { sockets, shutdown, threads })
    }

    /// Where sockets are opened: a handle for as many threads as like. What it opened ends with the host: every call fails then
    /// with ENETDOWN, also one that waits.
    #[must_use]
    pub fn sockets(&self) -> Sockets {
        self.sockets.clone()
    }

    /// What stops the host: clones of it may go to other threads, or to a signal's handler.
    #[must_use]
    pub fn shutdown(&self) -> Shutdown {
        self.shutdown.clone()
    }

    /// Waits until the host has stopped, because it was asked to or because it cannot go on.
    ///
    /// # Errors
    /// Why it could not go on.
    pub fn wait(mut self) -> Result<(), HostError> {
        self.threads.wait()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shutdown.request();
        if let Err(e) = self.threads.wait() {
            tracing::error!("{e}");
        }
    }
}

impl Threads {
    /// Starts `host`, which stops when `shutdown` is requested. Returns when its workers turn and its control listens.
    pub(super) fn start(
        host: Host,
        (requests, incoming): (Requests, Receiver<Request>),
        shutdown: &Shutdown,
        with: (Vec<Idle>, Option<ForThreads>),
    ) -> Result<Self, HostError> {
        let server = ctl::Server::bind(&host.plan.ctl_socket)?;
        let stopper = server.stopper();
        let control_cpu = host.plan.control_cpu;
        let serve = move || {
            engine::pin(control_cpu);
            server.run(|command| requests.ask(command));
        };
        let ctl = Builder::new().name("ctl".into()).spawn(serve)?;
        let (has_begun, begun) = bounded::<()>(1);
        let asked = shutdown.asked.clone();
        let run = move || {
            let Host { plan, factories } = host;
            engine::run(&plan, &factories, incoming, asked, with, || {
                // Whoever started it waits for this.
                let _ = has_begun.send(());
            })
        };
        // EAL pins the thread that starts it: one made for it.
        let engine = Builder::new().name("control".into()).spawn(run);
        let engine = engine.inspect_err(|_| stopper.stop())?;
        let mut threads = Self { engine: Some(engine), ctl: Some(ctl), stopper };
        // It says so, or it is gone, and its end says why.
        if begun.recv().is_err() {
            threads.wait()?;
        }
        Ok(threads)
    }

    /// Waits until the host has stopped; at once, if that was waited for before.
    pub(super) fn wait(&mut self) -> Result<(), HostError> {
        let engine = self.engine.take().map_or(Ok(Ok(())), JoinHandle::join);
        let result = engine.unwrap_or_else(|panic| Err(HostError::panicked("control", &*panic)));
        self.stopper.stop();
        let served = self.ctl.take().map_or(Ok(()), JoinHandle::join);
        let served = served.map_err(|panic| HostError::panicked("ctl", &*panic));
        result.and(served)
    }
}
