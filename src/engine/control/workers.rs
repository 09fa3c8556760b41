//! What control shows of the workers: where each runs, and how it rests.

use core::time::Duration;

use super::Control;
use crate::engine::command::{QueueAnswer, WorkerAnswer};
use crate::engine::rest::{RestCounts, RestPage};
use crate::io::{Nic, PortId};

/// A worker, as control shows it.
#[derive(Clone, Debug)]
pub struct ControlWorker {
    /// Its lcore.
    pub lcore: u32,
    /// The CPU of that.
    pub cpu: usize,
    /// Its receive queues.
    pub queues: Vec<ControlQueue>,
    /// How it rests; `None`: never.
    pub rest: Option<ControlRest>,
}

/// A receive queue of a worker.
#[derive(Clone, Debug)]
pub struct ControlQueue {
    /// Of which port.
    pub port: PortId,
    /// Its number there.
    pub queue: u16,
    /// What tells a sleeping worker that something arrived, in words; `None`: nothing does.
    pub rx_event: Option<String>,
}

/// How a worker rests.
#[derive(Clone, Debug)]
pub struct ControlRest {
    /// The longest sleep where a queue has no event.
    pub sleep_max: Duration,
    /// The longest part of its sleeps where all queues have one; `None`: such a sleep has no parts.
    pub heartbeat: Option<Duration>,
    /// What it counts.
    pub page: RestPage,
}

impl<N: Nic> Control<N> {
    pub(super) fn workers(&self) -> Vec<WorkerAnswer> {
        self.lcores.iter().zip(0..).map(|(of, worker)| self.worker(of, worker)).collect()
    }

    fn worker(&self, of: &ControlWorker, worker: usize) -> WorkerAnswer {
        let ControlWorker { lcore, cpu, queues, rest } = of;
        let counts = rest.as_ref().map(|rest| rest.page.read());
        let waits = counts.is_some_and(|counts| !counts.disbelieves);
        let RestCounts { sleeps, woken, asleep_ns, overslept, disbelieves: _ } = counts.unwrap_or_default();
        let queue = |queue: &ControlQueue| QueueAnswer {
            port: self.port_name(queue.port),
            queue: queue.queue,
            rx_event: queue.rx_event.clone().filter(|_| waits),
        };
        let queues: Vec<_> = queues.iter().map(queue).collect();
        let needs_sleep = queues.iter().any(|queue| queue.rx_event.is_none());
        WorkerAnswer {
            worker,
            lcore: *lcore,
            cpu: *cpu,
            idle: if rest.is_some() { "adaptive" } else { "spin" }.to_owned(),
            queues,
            sleep_us: rest.as_ref().filter(|_| needs_sleep).map(|rest| micros(rest.sleep_max)),
            heartbeat_us: rest.as_ref().filter(|_| !needs_sleep).and_then(|rest| rest.heartbeat).map(micros),
            sleeps,
            woken,
            asleep_ms: asleep_ns / 1_000_000,
            overslept,
        }
    }

    fn port_name(&self, id: PortId) -> String {
        let port = self.ports.iter().find(|port| port.base.ledger.id == id);
        port.map(|port| port.base.device.info().name.clone()).unwrap_or_default()
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
