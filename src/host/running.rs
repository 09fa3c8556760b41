//! A host at work: its threads, and the handle by which a program has it.

use core::time::Duration;
use std::sync::Arc;
use std::thread::{self, Builder, JoinHandle};
use std::time::Instant;

use crossbeam::channel::{Receiver, bounded};

use super::engine::{self, ForThreads};
use super::idle::{self, Idle};
use super::{Host, HostError, Shutdown};
use crate::ctl;
use crate::engine::command::{Answer, Command};
use crate::engine::request::{self, Request, Requests};
use crate::socket::Sockets;

/// A running [`Host`]. Dropped, it has the host stop, and waits until it has.
///
/// Its [`sockets`](Self::sockets) are for any thread, from the start on. An address that is still asked for (duplicate address
/// detection, RFC 4862 5.4; `conflict_detection = "probe"`) can be bound to when it is used:
/// [`wait_ready`](Self::wait_ready) waits for that, and [`Sockets::interfaces`] says which are.
#[derive(Debug)]
pub struct Running {
    sockets: Sockets,
    requests: Requests,
    shutdown: Shutdown,
    threads: Threads,
}

/// How often it is looked whether addresses are in use now: much less than their probes take (RFC 4862 5.4, RFC 5227 2.1).
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// Why not all addresses of a host are in use.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotReady {
    /// Others are asked still whether they have them; with the interface and the length of the prefix.
    #[error("it is still asked whether others have {}: is the link up?", .0.join(", "))]
    Tentative(Vec<String>),
    /// Others have them: they are not going to be used.
    #[error("others on the link have {}", .0.join(", "))]
    Duplicate(Vec<String>),
    /// The host has stopped.
    #[error("the host has stopped")]
    Stopped,
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
        let threads = Threads::start(host, (requests.clone(), incoming), &shutdown, (idle, Some(shared)))?;
        Ok(Self { sockets, requests, shutdown, threads })
    }

    /// Waits until all addresses that its interfaces have are in use: until then they can be neither bound to nor sent from. An
    /// address that a router has still to give is none yet.
    ///
    /// # Errors
    /// Which are not, after `timeout` or because they never will be.
    pub fn wait_ready(&self, timeout: Duration) -> Result<(), NotReady> {
        let deadline = Instant::now() + timeout;
        loop {
            let Answer::Addresses(addresses) = self.requests.ask(Command::Addresses) else {
                return Err(NotReady::Stopped);
            };
            let all = |state: &str| -> Vec<String> {
                let those = addresses.iter().filter(|address| address.state == state);
                those.map(|address| format!("{} on {}", address.addr, address.port)).collect()
            };
            let (duplicate, tentative) = (all("duplicate"), all("tentative"));
            if !duplicate.is_empty() {
                return Err(NotReady::Duplicate(duplicate));
            }
            if tentative.is_empty() {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(NotReady::Tentative(tentative));
            }
            thread::sleep(LOOK_AGAIN);
        }
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
