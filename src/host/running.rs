//! A host at work: its threads, and the handle by which a program has it.

use std::thread::{Builder, JoinHandle};

use crossbeam::channel::bounded;

use super::engine::{self, ForThreads};
use super::{Host, HostError, Shutdown};
use crate::ctl;
use crate::engine::request;

/// A running [`Host`]. Dropped, it has the host stop, and waits until it has.
#[derive(Debug)]
pub struct Running {
    shutdown: Shutdown,
    threads: Option<Threads>,
}

/// The threads that have an end to be waited for; the workers are the engine's own.
#[derive(Debug)]
struct Threads {
    engine: JoinHandle<Result<(), HostError>>,
    ctl: JoinHandle<()>,
    stopper: ctl::Stopper,
}

impl Running {
    /// Starts `host`, which stops when `shutdown` is requested. Returns when its workers turn and its control listens.
    pub(super) fn start(
        host: Host,
        shutdown: Shutdown,
        threads: Option<ForThreads>,
    ) -> Result<Self, HostError> {
        let server = ctl::Server::bind(&host.plan.ctl_socket)?;
        let stopper = server.stopper();
        let (requests, incoming) = request::requests();
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
            engine::run(&plan, &factories, incoming, asked, threads, || {
                // Whoever started it waits for this.
                let _ = has_begun.send(());
            })
        };
        // EAL pins the thread that starts it: one made for it.
        let engine = Builder::new().name("control".into()).spawn(run);
        let engine = engine.inspect_err(|_| stopper.stop())?;
        let threads = Threads { engine, ctl, stopper };
        // It says so, or it is gone, and its end says why.
        if begun.recv().is_err() {
            threads.wait()?;
            return Ok(Self { shutdown, threads: None });
        }
        Ok(Self { shutdown, threads: Some(threads) })
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
        self.threads.take().map_or(Ok(()), Threads::wait)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(threads) = self.threads.take() {
            self.shutdown.request();
            if let Err(e) = threads.wait() {
                tracing::error!("{e}");
            }
        }
    }
}

impl Threads {
    fn wait(self) -> Result<(), HostError> {
        let Self { engine, ctl, stopper } = self;
        let result = engine.join().unwrap_or_else(|panic| Err(HostError::panicked("control", &*panic)));
        stopper.stop();
        let served = ctl.join().map_err(|panic| HostError::panicked("ctl", &*panic));
        result.and(served)
    }
}
