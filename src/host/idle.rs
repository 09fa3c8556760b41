//! How the workers of a host rest: what each sleeps by, and what is told of that.

use std::io;

use super::HostError;
use crate::config::Plan;
use crate::dpdk::{EventKind, EventWait, RxQueue};
use crate::engine::control::{ControlQueue, ControlRest, ControlWorker};
use crate::engine::rest::{Rest, RestPage};
use crate::io::{PortId, Waker};

/// One worker's rest.
#[derive(Debug)]
pub(super) struct Idle {
    rest: Option<Rest<EventWait>>,
    queues: Vec<ControlQueue>,
}

/// Those of all workers of `plan`.
pub(super) fn of(plan: &Plan) -> Result<Vec<Idle>, HostError> {
    let rest = || -> io::Result<_> {
        let (wait, waker) = EventWait::new()?;
        Ok(Rest {
            wait,
            waker,
            sleep_max: plan.idle_sleep,
            heartbeat: plan.idle_heartbeat,
            page: RestPage::default(),
        })
    };
    let rest = || if plan.spins() { Ok(None) } else { rest().map(Some) };
    let all = plan.workers.iter().map(|_| Ok(Idle { rest: rest()?, queues: Vec::new() }));
    all.collect::<io::Result<_>>().map_err(HostError::Idle)
}

impl Idle {
    /// How others wake it.
    pub(super) fn waker(&self) -> Waker {
        self.rest.as_ref().map(|rest| rest.waker.clone()).unwrap_or_default()
    }

    /// It owns this queue of this port.
    pub(super) fn owns(&mut self, port: PortId, queue: u16, rx: &mut RxQueue) {
        let kind = self.rest.as_ref().map(|rest| rx.end_sleeps_of(&rest.wait));
        let rx_event = kind.filter(|kind| *kind != EventKind::None).map(|kind| kind.to_string());
        self.queues.push(ControlQueue { port, queue, rx_event });
    }

    /// What is told of it, as the one on this lcore and CPU.
    pub(super) fn shown(&self, lcore: u32, cpu: usize) -> ControlWorker {
        let rest = self.rest.as_ref();
        let rest = rest.map(|rest| ControlRest {
            sleep_max: rest.sleep_max,
            heartbeat: rest.heartbeat,
            page: rest.page.clone(),
        });
        ControlWorker { lcore, cpu, queues: self.queues.clone(), rest }
    }

    /// In words: `waits for events`.
    pub(super) fn in_words(&self) -> String {
        let Some(rest) = &self.rest else { return "spins".to_owned() };
        if self.queues.iter().all(|queue| queue.rx_event.is_some()) {
            return "waits for RX events when idle".to_owned();
        }
        format!("sleeps up to {} us when idle", rest.sleep_max.as_micros())
    }

    pub(super) fn into_rest(self) -> Option<Rest<EventWait>> {
        self.rest
    }
}
