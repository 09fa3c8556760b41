//! The workers, and how they rest.

use super::list;
use crate::ctl::table::Align::{Left, Right};
use crate::ctl::table::Table;
use crate::engine::command::{QueueAnswer, WorkerAnswer};

pub(super) fn render_workers(workers: &[WorkerAnswer]) -> String {
    if workers.is_empty() {
        return "no workers\n".into();
    }
    let mut table = Table::new(&[
        ("worker", Right),
        ("lcore", Right),
        ("cpu", Right),
        ("queues", Left),
        ("idle", Left),
        ("sleeps", Right),
        ("woken", Right),
        ("asleep", Right),
        ("when idle", Left),
    ]);
    for worker in workers {
        let WorkerAnswer { worker: n, lcore, cpu, idle, queues, sleeps, woken, asleep_ms, .. } = worker;
        let names: Vec<_> = queues.iter().map(name).collect();
        table.row([
            n.to_string(),
            lcore.to_string(),
            cpu.to_string(),
            list(&names),
            idle.clone(),
            sleeps.to_string(),
            woken.to_string(),
            format!("{}.{:03} s", asleep_ms / 1000, asleep_ms % 1000),
            when_idle(worker),
        ]);
    }
    table.render()
}

/// `p0 queue 1`.
fn name(QueueAnswer { port, queue, .. }: &QueueAnswer) -> String {
    format!("{port} queue {queue}")
}

/// What it does, and why.
fn when_idle(worker: &WorkerAnswer) -> String {
    let WorkerAnswer { idle, queues, sleep_us, heartbeat_us, overslept, .. } = worker;
    if idle == "spin" {
        return "polls on".into();
    }
    let event =
        |queue: &QueueAnswer| queue.rx_event.as_ref().map(|event| format!("{} ({event})", name(queue)));
    let words = match sleep_us {
        None => {
            let beat = heartbeat_us.map(|us| format!(", with a heartbeat of {us} us")).unwrap_or_default();
            let events: Vec<_> = queues.iter().filter_map(event).collect();
            format!("sleeps until an event{beat}: {}", list(&events))
        }
        Some(us) => {
            let without: Vec<_> = queues.iter().filter(|q| q.rx_event.is_none()).map(name).collect();
            format!("sleeps up to {us} us at a time: no event from {}", list(&without))
        }
    };
    match overslept {
        0 => words,
        n => format!("{words}; slept over {n} events that did not come"),
    }
}
