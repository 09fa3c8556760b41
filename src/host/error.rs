//! Why a host cannot run, in one sentence with the remedy.

use core::any::Any;
use std::io;

use crate::ctl;
use crate::dpdk;

/// Why a host could not start, or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// The control socket.
    #[error(transparent)]
    Ctl(#[from] ctl::BindError),
    /// DPDK itself.
    #[error(transparent)]
    Eal(#[from] dpdk::EalError),
    /// The packet buffers.
    #[error(transparent)]
    Mempool(#[from] dpdk::MempoolError),
    /// A port.
    #[error(transparent)]
    Port(#[from] dpdk::PortError),
    /// A port of a plan that was made by hand has no interface.
    #[error("port {port} has no interface: give it one in the plan, with an address")]
    NoInterface {
        /// Its name.
        port: String,
    },
    /// A service of the plan cannot be made.
    #[error("service \"{service}\": {problem}")]
    Service {
        /// Its name.
        service: String,
        /// What is wrong, and what to do about it.
        problem: String,
    },
    /// A worker lcore came to an end.
    #[error("worker {worker} stopped: {why}; the others were stopped too, and the groups left")]
    WorkerLost {
        /// Which, from 0.
        worker: usize,
        /// What it said.
        why: String,
    },
    /// An lcore could not be started.
    #[error("worker {worker} cannot be started: {why}")]
    Launch {
        /// Which, from 0.
        worker: usize,
        /// Why.
        why: String,
    },
    /// What workers sleep by could not be made.
    #[error("cannot make what an idle worker sleeps by: {0}: is a limit on open files (ulimit -n) too low?")]
    Idle(#[source] io::Error),
    /// The latency of CPUs cannot be asked for.
    #[error(
        "cannot write to {device}: {why}: run as root, or give the file to whom it runs as (a container has to be given it, too), or leave \
         workers.cpu_dma_latency_us out"
    )]
    CpuLatency {
        /// The file that takes it.
        device: String,
        /// Why not.
        #[source]
        why: io::Error,
    },
    /// A thread could not be started.
    #[error("cannot start a thread: {0}: is a limit on processes (ulimit -u) too low?")]
    Thread(#[from] io::Error),
    /// A thread of the host panicked: a defect.
    #[error("{thread} panicked: {message}: please report this")]
    Panicked {
        /// Which.
        thread: &'static str,
        /// With what.
        message: String,
    },
}

impl HostError {
    /// Whether the configuration is at fault, and not the machine.
    #[must_use]
    pub const fn is_configuration(&self) -> bool {
        matches!(self, Self::Service { .. })
    }

    pub(super) fn panicked(thread: &'static str, payload: &(dyn Any + Send)) -> Self {
        let text = payload.downcast_ref::<&str>().map(|s| (*s).to_owned());
        let message = text.or_else(|| payload.downcast_ref::<String>().cloned());
        Self::Panicked { thread, message: message.unwrap_or_else(|| "no message".to_owned()) }
    }
}
