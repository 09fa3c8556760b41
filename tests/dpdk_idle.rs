//! What wakes a worker that sleeps, in a program with threads and a service of its own: what a thread sends, and a service's timer; and how
//! soon its CPU is to wake. Over a tap that nothing comes by. Needs root.
#![cfg(feature = "dpdk")]

mod dpdk_alone;

use crossbeam::channel::{Sender, bounded};
use std::fs;
use std::io::Read as _;
use std::net::UdpSocket;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use dpdk_alone::{in_namespace, ip, settings, uninterrupted};
use pollcast::config::{Config, Kind, Machine, Plan};
use pollcast::ctl::Client;
use pollcast::engine::command::{Answer, Command, WorkerAnswer};
use pollcast::host::{Host, builtin_kinds};
use pollcast::io::PacketBuf;
use pollcast::service::{Cx, Datagram, Service};

const PATIENCE: Duration = Duration::from_secs(10);

/// A sleep that nothing ends takes 100 ms.
const SOON: Duration = Duration::from_millis(50);

/// Of some attempts, one has to be in time: others use this machine.
const ATTEMPTS: usize = 20;

/// How often [`Ticker`] wants to be called: seldom enough that its worker sleeps in between.
const TICK: Duration = Duration::from_millis(7);

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct NoOptions {}

/// Tells how much later than asked its timer fired.
struct Ticker {
    due: Option<pollcast::time::Instant>,
    late: Sender<Duration>,
}

impl<B: PacketBuf> Service<B> for Ticker {
    fn started(&mut self, cx: &mut Cx<'_, B>) {
        self.set(cx);
    }

    fn datagrams(&mut self, _cx: &mut Cx<'_, B>, _burst: &mut [Datagram<B>]) {}

    fn timer(&mut self, cx: &mut Cx<'_, B>) {
        if let Some(due) = self.due {
            assert!(cx.now >= due, "too early");
            // The test may have heard enough.
            let _ = self.late.try_send(cx.now.since(due));
        }
        self.set(cx);
    }
}

impl Ticker {
    fn set<B: PacketBuf>(&mut self, cx: &mut Cx<'_, B>) {
        let due = cx.now + TICK;
        self.due = Some(due);
        cx.set_timer(due);
    }
}

fn plan(folder: &tempfile::TempDir, workers: &str, service: &str) -> Plan {
    let text = format!(
        r#"
        {}
        idle = "adaptive"
        {workers}
        [[port]]
        name = "p0"
        device = "net_tap0,iface=pcidle0"
        mac = "02:00:00:00:00:02"
        addresses = ["198.18.0.2/24"]
        {service}
        "#,
        settings(folder),
    );
    let kinds = builtin_kinds().with(Kind::of::<NoOptions>("ticker", &[]));
    Config::parse(&text, "idle.toml".as_ref()).unwrap().check(&Machine::new([0]), &kinds).unwrap()
}

fn worker(folder: &tempfile::TempDir) -> WorkerAnswer {
    let socket = folder.path().join("ctl.sock");
    let answer = Client::connect(&socket).unwrap().request(&Command::Workers);
    let Ok(Answer::Workers(mut workers)) = answer else { panic!("no workers") };
    workers.remove(0)
}

#[test]
fn what_a_thread_sends_wakes_its_worker() {
    in_namespace("what_a_thread_sends_wakes_its_worker", || {
        let folder = tempfile::tempdir().unwrap();
        let host = Host::new(plan(&folder, "", "")).start().unwrap();
        ip("link set pcidle0 up");
        ip("addr add 198.18.0.1/24 dev pcidle0");
        let kernel = UdpSocket::bind("198.18.0.1:5000").unwrap();
        kernel.set_read_timeout(Some(PATIENCE)).unwrap();
        let socket = host.sockets().bind("198.18.0.2:5000").unwrap();
        let to = kernel.local_addr().unwrap();
        let mut buf = [0; 64];
        // The kernel's Ethernet address is asked for once.
        socket.send_to(b"first", to).unwrap();
        uninterrupted(|| kernel.recv(&mut buf)).unwrap();
        let mut send = |n: usize| {
            thread::sleep(Duration::from_millis(30));
            let (payload, began) = (format!("number {n}"), Instant::now());
            socket.send_to(payload.as_bytes(), to).unwrap();
            let len = uninterrupted(|| kernel.recv(&mut buf)).unwrap();
            assert_eq!(&buf[..len], payload.as_bytes());
            began.elapsed()
        };
        let quickest = (0..ATTEMPTS).map(&mut send).min().unwrap();
        assert!(quickest < SOON, "of {ATTEMPTS} datagrams the quickest took {quickest:?}");
        let worker = worker(&folder);
        assert!(worker.woken > 0 && worker.overslept <= 1, "{worker:?}");
    });
}

#[test]
fn a_timer_of_a_service_fires_in_time_on_a_worker_that_sleeps() {
    in_namespace("a_timer_of_a_service_fires_in_time_on_a_worker_that_sleeps", || {
        let folder = tempfile::tempdir().unwrap();
        let service = "[[service]]\nkind = \"ticker\"\nlisten = [\"0.0.0.0:7\"]";
        let (late, told) = bounded(1024);
        let host = Host::new(plan(&folder, "", service))
            .service_kind("ticker", move |_| Ok(Box::new(Ticker { due: None, late: late.clone() })));
        let host = host.start().unwrap();
        let lateness: Vec<_> = (0..ATTEMPTS).map(|_| told.recv_timeout(PATIENCE).unwrap()).collect();
        let least = lateness.iter().min().unwrap();
        assert!(*least < Duration::from_millis(3), "{lateness:?}");
        let worker = worker(&folder);
        // It slept in between, all but a little of the time.
        assert!(worker.sleeps >= 10 && worker.asleep_ms > 30, "{worker:?}");
        assert!(worker.overslept <= 1, "{worker:?}");
        drop(host);
    });
}

const CPU_LATENCY: &str = "/dev/cpu_dma_latency";

/// Whether this process asks for a latency of CPUs, and the least that anyone asks for.
fn asked_latency() -> (bool, i32) {
    let files = fs::read_dir("/proc/self/fd").unwrap().flatten();
    let links: Vec<_> = files.filter_map(|file| fs::read_link(file.path()).ok()).collect();
    let mut least = [0; 4];
    fs::File::open(CPU_LATENCY).unwrap().read_exact(&mut least).unwrap();
    (links.iter().any(|link| link.as_path() == CPU_LATENCY), i32::from_ne_bytes(least))
}

// One millisecond, as a CPU takes hardly to wake: whoever uses this machine is not to feel the test.
#[test]
fn a_latency_of_cpus_is_asked_for_as_long_as_the_host_runs() {
    if !Path::new(CPU_LATENCY).exists() {
        eprintln!("skipped: this kernel has no {CPU_LATENCY}");
        return;
    }
    in_namespace("a_latency_of_cpus_is_asked_for_as_long_as_the_host_runs", || {
        let folder = tempfile::tempdir().unwrap();
        assert!(!asked_latency().0);
        let host = Host::new(plan(&folder, "cpu_dma_latency_us = 1000", "")).start().unwrap();
        // The control socket is there when the engine runs.
        worker(&folder);
        let (is_asked, least) = asked_latency();
        assert!(is_asked && least <= 1000, "{least}");
        host.shutdown().request();
        host.wait().unwrap();
        assert!(!asked_latency().0);
    });
}
