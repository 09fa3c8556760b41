//! The other end of the cable of `bench/under-attack` and `bench/filter-gap`: a host that asks good questions and checks every answer, and an
//! attacker beside it, on one vhost port.
//!
//! It is told what to do on its standard input, a line a phase of words `key=value`, and answers each with one line of
//! JSON on its standard output. What the ring refused is known to it packet by packet, so that a good question that got
//! no answer is either one that the receive ring had no room for, or one that pollcast lost.

mod attack;
mod frames;
mod good;
mod large;
mod phase;

use std::error::Error;
use std::io::BufRead;
use std::path::PathBuf;
use std::thread;

use clap::Parser;
use crossbeam::channel::{Receiver, TryRecvError, bounded};
use pollcast::config::{Config, Kind, Kinds, Machine, Plan};
use pollcast::dpdk::{Clock, Eal, EalOptions, Mempool, MempoolOptions, Port, RxQueue, TxQueue};
use pollcast::io::{BufPool, Burst, PacketBuf, RxQueue as _, TxQueue as _};

use frames::Heard;
use phase::{Phase, Running};

/// Packets in a burst.
const BURST: usize = 32;

/// The other end of bench/under-attack and bench/filter-gap.
#[derive(Parser, Debug)]
struct Args {
    /// The vhost socket, made by this program.
    #[arg(long)]
    socket: PathBuf,
    /// The CPU that it runs on.
    #[arg(long, default_value_t = 0)]
    cpu: usize,
    /// DPDK's file prefix.
    #[arg(long, default_value = "pollcast-bench-peer")]
    file_prefix: String,
}

/// One end of the cable.
struct Link {
    rx: RxQueue,
    tx: TxQueue,
    pool: Mempool,
    clock: Clock,
    received: Burst<pollcast::dpdk::Mbuf>,
    sending: Burst<pollcast::dpdk::Mbuf>,
}

impl Link {
    /// Nanoseconds since the start.
    fn now(&self) -> u64 {
        self.clock.now().ns()
    }

    /// Puts a frame into the next burst. False if there is no buffer for it.
    fn push(&mut self, frame: &[u8]) -> bool {
        self.pool.alloc_copy(frame).is_some_and(|buf| self.sending.push(buf).is_ok())
    }

    /// Sends the burst, and returns how many packets from its front the ring took. The rest is gone.
    fn flush(&mut self) -> usize {
        let sent = if self.sending.is_empty() { 0 } else { self.tx.tx_burst(&mut self.sending) };
        self.sending.drain().for_each(drop);
        sent
    }

    /// Takes a burst, answers what a host on the link must, and hands the rest to `heard`. Returns how many came.
    fn receive(&mut self, mut heard: impl FnMut(Heard)) -> usize {
        let came = self.rx.rx_burst(&mut self.received, BURST);
        let (received, pool, sending) = (&mut self.received, &self.pool, &mut self.sending);
        for buf in received.drain() {
            match frames::read(buf.data()) {
                Heard::ArpRequest(reply) => {
                    if let Some(buf) = pool.alloc_copy(&reply) {
                        let _full_and_dropped = sending.push(buf);
                    }
                }
                other => heard(other),
            }
        }
        came
    }
}

fn plan(args: &Args) -> Result<Plan, Box<dyn Error>> {
    let device = format!("net_vhost0,iface={},queues=1", args.socket.display());
    let text = format!(
        r#"
            [eal]
            memory_mb = 512
            file_prefix = "{}"
            [[port]]
            device = "{device}"
            mac = "02:00:00:00:00:01"
            addresses = ["198.18.0.1/16"]
            rx_descriptors = 1024
            tx_descriptors = 1024
            [[service]]
            kind = "none"
            listen = ["0.0.0.0:7"]
        "#,
        args.file_prefix
    );
    let kinds = Kinds::new().with(Kind::new("none", &[], |_| Vec::new()));
    Ok(Config::parse(&text, "peer".as_ref())?.check(&Machine::new([args.cpu]), &kinds)?)
}

fn options(plan: &Plan, cpu: usize) -> EalOptions {
    let devices = plan.ports.iter().map(|port| port.device.clone()).collect();
    EalOptions { plan: plan.eal.clone(), lcores: vec![(0, cpu)], devices, scan: false }
}

/// The lines of the standard input, read on a thread of its own.
fn commands() -> Receiver<String> {
    let (sender, receiver) = bounded(16);
    thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    let plan = plan(&args)?;
    let port = plan.ports.first().ok_or("no port")?;
    let commands = commands();
    let eal = Eal::init(&options(&plan, args.cpu))?;
    let pool = Mempool::create(
        &eal,
        &MempoolOptions {
            name: "peer".to_owned(),
            count: 16383,
            cache: 256,
            data_room: plan.mbufs.data_room,
            large: plan.mbufs.large,
            numa_node: None,
            shared_cpu: false,
        },
    )?;
    let (port, mut queues) = Port::open(&eal, port, 1, &pool)?.start()?;
    let (rx, tx) = queues.pop().ok_or("no queue")?;
    let clock = Clock::new(&eal);
    let mut link = Link { rx, tx, pool, clock, received: Burst::new(), sending: Burst::new() };
    println!("ready");
    for number in 0.. {
        let Some(line) = next_command(&mut link, &commands) else { break };
        let phase = line.parse::<Phase>()?;
        println!("{}", Running::new(number, phase, link.now()).run(&mut link));
    }
    let Link { pool, .. } = link;
    drop((port, pool));
    eal.cleanup()?;
    Ok(())
}

/// Waits for the next line, and is a host meanwhile. `None` at the end of the input.
fn next_command(link: &mut Link, commands: &Receiver<String>) -> Option<String> {
    loop {
        match commands.try_recv() {
            Ok(line) => return Some(line),
            Err(TryRecvError::Disconnected) => return None,
            Err(TryRecvError::Empty) => {}
        }
        if link.receive(drop) == 0 {
            thread::sleep(std::time::Duration::from_micros(100));
        }
        link.flush();
    }
}
