//! A run on a port of DPDK's: one lcore sends and hears, the main one tells how it goes.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded};
use hdrhistogram::Histogram;

use super::counts::Counts;
use super::generator::{Generator, Link, Stage, new_histogram};
use super::report::{Latency, Progress, Report};
use super::traffic::{Traffic, TrafficError};
use crate::addr::{Group, MacAddr};
use crate::config::{EalPlan, PortPlan};
use crate::dpdk::{
    Clock, Dpdk, Eal, EalError, EalOptions, LcoreError, Mempool, MempoolError, MempoolOptions, Port,
    PortError, StartedPort,
};
use crate::io::{Occasion, PortControl};

/// What a run needs.
#[derive(Clone, Debug)]
pub struct Setup {
    /// How DPDK is started.
    pub eal: EalPlan,
    /// The port.
    pub port: PortPlan,
    /// The CPU that sends and hears.
    pub cpu: usize,
    /// The CPU of everything else.
    pub main_cpu: usize,
    /// Whether that CPU is given to others while there is nothing to do.
    pub yields: bool,
    /// What is sent.
    pub traffic: Traffic,
    /// Tells this run's packets from another's.
    pub run: u32,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The traffic cannot be sent.
    #[error(transparent)]
    Traffic(#[from] TrafficError),
    /// DPDK itself.
    #[error(transparent)]
    Eal(#[from] EalError),
    /// The packet buffers.
    #[error(transparent)]
    Mempool(#[from] MempoolError),
    /// The port.
    #[error(transparent)]
    Port(#[from] PortError),
    /// The lcore.
    #[error(transparent)]
    Lcore(#[from] LcoreError),
    /// The port has no queue pair: a defect.
    #[error("the port has no queue")]
    NoQueue,
    /// Whoever is to be sent to does not say where it is.
    #[error(
        "{0} did not answer within ten seconds by which Ethernet address it goes: is it up, and on this link? Name it with --peer-mac"
    )]
    Unresolved(String),
}

/// What the sending lcore tells.
enum News {
    /// The counts so far, and the latencies since it last told.
    Second(u64, Counts, Histogram<u64>),
    /// It is over: how far it came, for how long it sent, its CPU time.
    End { stage: Stage, unresolved: String, sending_ns: u64, cpu_ns: Option<u64> },
}

/// How often the lcore tells, in nanoseconds.
const TELL_NS: u64 = 1_000_000_000;

/// Turns between two looks at what has been asked for.
const TURNS: u32 = 64;

/// Runs it, on the calling thread, which DPDK pins: one made for it. `stop` ends it early; `each_second` is told how it goes.
///
/// # Errors
/// Why there is nothing to report.
pub fn run(
    setup: &Setup,
    stop: &Receiver<()>,
    each_second: impl FnMut(&Progress),
) -> Result<Report, BenchError> {
    setup.traffic.check_mtu(setup.port.mtu)?;
    let eal = Eal::init(&EalOptions {
        plan: setup.eal.clone(),
        lcores: vec![(0, setup.main_cpu), (1, setup.cpu)],
        devices: vec![setup.port.device.clone()],
        scan: false,
    })?;
    let clock = Clock::new(&eal);
    let pool = Mempool::create(&eal, &pool_options(setup))?;
    let (mut port, mut queues) = Port::open(&eal, &setup.port, 1, &pool)?.start()?;
    hear_neighbors(&mut port, &setup.traffic);
    await_link(&port);
    let (rx, tx) = queues.pop().ok_or(BenchError::NoQueue)?;
    let (mac, mtu) = (port.info().mac, port.info().mtu);
    let generator = Generator::new(Link { rx, tx, pool, mac, mtu }, setup.traffic.clone(), setup.run)?;
    let told = drive(&eal, clock, generator, setup.yields, stop, each_second)?;
    drop(port);
    eal.cleanup()?;
    told
}

fn pool_options(setup: &Setup) -> MempoolOptions {
    let port = &setup.port;
    let rings = u32::from(port.rx_descriptors) + u32::from(port.tx_descriptors);
    MempoolOptions {
        name: "bench".to_owned(),
        count: (rings + 2048).next_power_of_two() - 1,
        cache: 256,
        data_room: crate::config::mbufs::data_room(port.mtu),
        large: 1,
        numa_node: None,
        shared_cpu: setup.cpu == setup.main_cpu,
    }
}

/// IPv6 neighbours ask in the group of the address.
fn hear_neighbors(port: &mut StartedPort, traffic: &Traffic) {
    if let Some(source) = traffic.source6 {
        let mut macs = vec![MacAddr([0x33, 0x33, 0, 0, 0, 1]), Group::solicited_node(source.addr()).mac()];
        macs.sort_unstable();
        port.mc_filter().apply(&macs, Occasion::Restart);
    }
}

/// What is sent before the link is up is lost. A device that never says so is tried all the same.
fn await_link(port: &StartedPort) {
    for _ in 0..300 {
        if port.link_is_up() {
            return;
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// Has the generator turn on lcore 1, and listens.
fn drive(
    eal: &Eal,
    clock: Clock,
    generator: Generator<Dpdk>,
    yields: bool,
    stop: &Receiver<()>,
    mut each_second: impl FnMut(&Progress),
) -> Result<Result<Report, BenchError>, BenchError> {
    let (news, heard) = bounded(4);
    let (spare, spares) = bounded(4);
    let stopping = Arc::new(AtomicBool::new(false));
    for _ in 0..2 {
        let _ = spare.try_send(new_histogram());
    }
    let stopped = Arc::clone(&stopping);
    eal.launch(1, Box::new(move || send_and_hear(generator, clock, yields, &stopped, &news, &spares)))?;
    let mut tale = Tale::default();
    let end = loop {
        if stop.try_recv().is_ok() {
            stopping.store(true, Ordering::Relaxed);
        }
        match heard.recv_timeout(Duration::from_millis(50)) {
            Ok(News::Second(at, counts, mut latency)) => {
                if let Some(progress) = tale.hear(at, counts, &latency) {
                    each_second(&progress);
                }
                latency.reset();
                let _ = spare.try_send(latency);
            }
            Ok(News::End { stage, unresolved, sending_ns, cpu_ns }) => {
                break Some((stage, unresolved, sending_ns, cpu_ns));
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break None,
        }
    };
    eal.wait(1)?;
    Ok(match end {
        Some((Stage::Unresolved, who, ..)) => Err(BenchError::Unresolved(who)),
        Some((_, _, sending_ns, cpu_ns)) => Ok(tale.report(sending_ns, cpu_ns)),
        None => Err(BenchError::NoQueue),
    })
}

/// What was heard so far.
struct Tale {
    at: u64,
    counts: Counts,
    latency: Histogram<u64>,
    progress: Vec<Progress>,
}

impl Default for Tale {
    fn default() -> Self {
        Self { at: 0, counts: Counts::default(), latency: new_histogram(), progress: Vec::new() }
    }
}

impl Tale {
    /// Adds what the lcore told `at` nanoseconds after the first packet.
    #[expect(clippy::cast_precision_loss, reason = "figures")]
    fn hear(&mut self, at: u64, counts: Counts, latency: &Histogram<u64>) -> Option<Progress> {
        // Of the same bounds: it has room for all of them.
        let _ = self.latency.add(latency);
        let since = counts.since(&self.counts);
        let seconds = at.saturating_sub(self.at) as f64 / 1e9;
        (self.counts, self.at) = (counts, at);
        let told = since.sent > 0 || since.answered > 0;
        let progress =
            Progress { at_s: at as f64 / 1e9, seconds, counts: since, latency_ns: Latency::of(latency) };
        told.then(|| {
            self.progress.push(progress);
            progress
        })
    }

    #[expect(clippy::cast_precision_loss, reason = "figures")]
    fn report(self, sending_ns: u64, cpu_ns: Option<u64>) -> Report {
        let moved = self.counts.sent + self.counts.answered;
        let cpu_ns_per_packet = cpu_ns.filter(|_| moved > 0).map(|ns| ns as f64 / moved as f64);
        Report { cpu_ns_per_packet, ..Report::new(self.counts, sending_ns, &self.latency, self.progress) }
    }
}

/// The sending lcore's life.
fn send_and_hear(
    mut generator: Generator<Dpdk>,
    clock: Clock,
    yields: bool,
    stopping: &AtomicBool,
    news: &Sender<News>,
    spares: &Receiver<Histogram<u64>>,
) {
    let mut turns = 0;
    let (mut start, mut tell_at, mut cpu) = (None, 0, None);
    while !matches!(generator.stage(), Stage::Done | Stage::Unresolved) {
        let moved = generator.turn(|| clock.now());
        if moved == 0 && yields {
            thread::yield_now();
        }
        turns += 1;
        if turns % TURNS != 0 {
            continue;
        }
        if stopping.load(Ordering::Relaxed) {
            generator.stop();
        }
        let now = clock.now().ns();
        if generator.stage() != Stage::Resolving {
            if start.is_none() {
                cpu = cpu_ns();
            }
            let start = *start.get_or_insert(now);
            if now - start >= tell_at + TELL_NS
                && let Ok(empty) = spares.try_recv()
            {
                tell_at = now - start;
                let _ =
                    news.try_send(News::Second(tell_at, generator.counts(), generator.take_latency(empty)));
            }
        }
    }
    let spent = cpu.and_then(|before| Some(cpu_ns()? - before));
    let at = start.map_or(0, |start| clock.now().ns() - start);
    let unresolved = generator.unresolved().map(|addr| addr.to_string()).collect::<Vec<_>>().join(", ");
    let (stage, sending_ns) = (generator.stage(), generator.sending_ns());
    // Whoever listens waits for these two.
    let _ = news.send(News::Second(at, generator.counts(), generator.take_latency(new_histogram())));
    let _ = news.send(News::End { stage, unresolved, sending_ns, cpu_ns: spent });
}

/// CPU time of the calling thread, in nanoseconds.
fn cpu_ns() -> Option<u64> {
    fs::read_to_string("/proc/thread-self/schedstat").ok()?.split_whitespace().next()?.parse().ok()
}
