//! `[workers]`.

use core::time::Duration;

use super::Limits;
use crate::config::error::{At, Place, Problems};
use crate::config::machine::Machine;
use crate::config::plan::{Idle, WorkerPlan};
use crate::config::raw::RawWorkers;
use crate::io::BURST_MAX;

/// `RTE_MAX_LCORE`, less the main one, which is control's.
const WORKERS_MAX: usize = 127;

/// Below a few microseconds a sleep is longer than it says; above ten milliseconds, a ring of 1024 may overflow at the wake.
const IDLE_SLEEP_US: Limits = Limits::new(5, 10_000);

/// Below 100 us a heartbeat costs a seventh of a CPU and more; what no event ends ends after 100 ms all the same.
const IDLE_HEARTBEAT_US: Limits =
    Limits { too_small: "too small, and not 0 for none", ..Limits::new(100, 100_000) };

/// No CPU takes longer to wake than ten milliseconds.
const CPU_DMA_LATENCY_US: Limits = Limits::new(0, 10_000);

/// What `[workers]` comes to.
pub(super) struct Workers {
    pub(super) workers: Vec<WorkerPlan>,
    pub(super) control_cpu: usize,
    pub(super) idle: Idle,
    pub(super) idle_sleep: Duration,
    pub(super) idle_heartbeat: Option<Duration>,
    pub(super) cpu_dma_latency_us: Option<u32>,
    pub(super) burst: usize,
}

/// The least packets in a burst: the vector functions of ixgbe (4) and of i40e, ice and iavf (8) receive nothing, ever, if
/// asked for fewer.
const BURST_MIN: i64 = 8;

pub(super) fn check(raw: &RawWorkers, machine: &Machine, problems: &mut Problems) -> Workers {
    let RawWorkers { cpus, control_cpu, idle, idle_sleep_us, idle_heartbeat_us, cpu_dma_latency_us, burst } =
        raw;
    let cpus = match cpus {
        Some(cpus) => check_cpus(cpus, machine, problems),
        None => vec![machine.worker_cpu()],
    };
    let control_cpu = control_cpu.as_ref().and_then(|at| check_cpu(at, machine, problems));
    let burst_max = i64::try_from(BURST_MAX).unwrap_or(i64::MAX);
    let bursts = Limits { too_small: "too small for several drivers", ..Limits::new(BURST_MIN, burst_max) };
    Workers {
        workers: cpus.into_iter().map(|cpu| WorkerPlan { cpu, ports: Vec::new() }).collect(),
        control_cpu: control_cpu.unwrap_or_else(|| machine.control_cpu()),
        idle: idle.as_ref().map(|at| at.value).unwrap_or_default(),
        idle_sleep: Duration::from_micros(IDLE_SLEEP_US.check(idle_sleep_us.as_ref(), 50, problems)),
        idle_heartbeat: heartbeat(idle_heartbeat_us.as_ref(), problems),
        cpu_dma_latency_us: cpu_dma_latency_us
            .as_ref()
            .map(|at| CPU_DMA_LATENCY_US.check(Some(at), 0, problems)),
        burst: bursts.check(burst.as_ref(), 32, problems),
    }
}

/// 0 says that there is to be none.
fn heartbeat(at: Option<&At<i64>>, problems: &mut Problems) -> Option<Duration> {
    let is_off = at.is_some_and(|at| at.value == 0);
    (!is_off).then(|| Duration::from_micros(IDLE_HEARTBEAT_US.check(at, 1000, problems)))
}

fn check_cpus(cpus: &At<Vec<At<i64>>>, machine: &Machine, problems: &mut Problems) -> Vec<usize> {
    let mut checked = Vec::new();
    for at in &cpus.value {
        let Some(cpu) = check_cpu(at, machine, problems) else { continue };
        if checked.contains(&cpu) {
            let remedy = "name each CPU once: a worker polls, and two would take turns";
            problems.add(&at.place, format!("CPU {cpu} already has a worker"), remedy);
        } else {
            checked.push(cpu);
        }
    }
    if cpus.value.is_empty() {
        problems.add(&cpus.place, "there is no worker", format!("name a CPU of {}", machine.cpu_list()));
    }
    if checked.len() > WORKERS_MAX {
        let problem = format!("{} workers are too many", checked.len());
        problems.add(&cpus.place, problem, format!("name at most {WORKERS_MAX} CPUs"));
        checked.truncate(WORKERS_MAX);
    }
    checked
}

fn check_cpu(At { value, place }: &At<i64>, machine: &Machine, problems: &mut Problems) -> Option<usize> {
    let cpu = usize::try_from(*value).ok().filter(|cpu| machine.cpus.contains(cpu));
    if cpu.is_none() {
        let problem = format!("there is no CPU {value} that this process may use");
        problems.add(place, problem, format!("use one of {}", machine.cpu_list()));
    }
    cpu
}

/// A worker without a port polls nothing.
pub(super) fn all_have_work(raw: &RawWorkers, workers: &[WorkerPlan], problems: &mut Problems) {
    let Some(cpus) = &raw.cpus else { return };
    // With an error among the CPUs, who serves what is not known; without a port, that is the error.
    if problems.concern("cpus") || problems.concern("port") {
        return;
    }
    for (at, worker) in cpus.value.iter().zip(workers).filter(|(_, worker)| worker.ports.is_empty()) {
        let remedy = format!("take it out, or add {} to a port's cpus", worker.cpu);
        problems.add(&at.place, format!("the worker on CPU {} serves no port", worker.cpu), remedy);
    }
}

/// The workers that the key `cpus` of a port names, as indices.
pub(super) fn of_port(
    cpus: Option<&At<Vec<At<i64>>>>,
    workers: &[WorkerPlan],
    problems: &mut Problems,
) -> Vec<usize> {
    chosen(cpus, "no worker serves this port", workers, problems)
}

/// The workers that the key `cpus` of a service names, as indices.
pub(super) fn of_service(
    cpus: Option<&At<Vec<At<i64>>>>,
    workers: &[WorkerPlan],
    problems: &mut Problems,
) -> Vec<usize> {
    chosen(cpus, "this service lives nowhere", workers, problems)
}

/// The workers that a key `cpus` names, all without it; an empty list has the problem `none`.
fn chosen(
    cpus: Option<&At<Vec<At<i64>>>>,
    none: &str,
    workers: &[WorkerPlan],
    problems: &mut Problems,
) -> Vec<usize> {
    let Some(cpus) = cpus else { return (0..workers.len()).collect() };
    let mut chosen = Vec::new();
    for At { value, place } in &cpus.value {
        match workers.iter().position(|worker| i64::try_from(worker.cpu) == Ok(*value)) {
            None => no_such_worker(*value, place, workers, problems),
            Some(worker) if chosen.contains(&worker) => {
                problems.add(place, format!("CPU {value} is named twice"), "name each CPU once");
            }
            Some(worker) => chosen.push(worker),
        }
    }
    if cpus.value.is_empty() {
        problems.add(&cpus.place, none, "name one of workers.cpus, or leave the key out");
    }
    chosen.sort_unstable();
    chosen
}

fn no_such_worker(cpu: i64, place: &Place, workers: &[WorkerPlan], problems: &mut Problems) {
    let cpus: Vec<String> = workers.iter().map(|worker| worker.cpu.to_string()).collect();
    let remedy = format!("use one of {}, or add {cpu} to workers.cpus", cpus.join(", "));
    problems.add(place, format!("there is no worker on CPU {cpu}"), remedy);
}
