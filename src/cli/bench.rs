//! `pollcast bench`.

use core::net::IpAddr;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Write};
use std::thread;

use crossbeam::channel::Receiver;

use super::bench_args::{BenchArgs, IdleArg, SourceArg};
use super::failure::{Failure, Result};
use crate::bench::device::{BenchError, Setup, run};
use crate::bench::{Progress, Report, Traffic};
use crate::config::{Config, EalPlan, Hugepages, Machine, OffloadSet, PortPlan, Rps};
use crate::host::{Shutdown, builtin_kinds};
use crate::io::FilterPolicy;

pub(super) fn bench(
    args: &BenchArgs,
    out: &mut dyn Write,
    before_run: impl FnOnce(&Shutdown) -> io::Result<()>,
) -> Result {
    let setup = setup(args)?;
    let shutdown = Shutdown::default();
    before_run(&shutdown).map_err(|e| Failure::Running(format!("cannot handle signals: {e}")))?;
    let report = on_a_thread(&setup, shutdown.asked())?;
    if args.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&report).map_err(io::Error::from)?)?;
    } else {
        write!(out, "{report}")?;
    }
    Ok(())
}

/// EAL pins the thread that starts it: one made for it.
fn on_a_thread(setup: &Setup, stop: &Receiver<()>) -> Result<Report> {
    let running = |sentence: String| Failure::Running(sentence);
    thread::scope(|scope| {
        let body = || run(setup, stop, say);
        let started = thread::Builder::new().name("bench".into()).spawn_scoped(scope, body);
        match started.map_err(|e| running(format!("cannot start a thread: {e}")))?.join() {
            Ok(Ok(report)) => Ok(report),
            Ok(Err(e @ BenchError::Traffic(_))) => Err(Failure::Asking(e.to_string())),
            Ok(Err(e)) => Err(running(e.to_string())),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

fn say(progress: &Progress) {
    // Nobody is there to be told of a failure.
    let _ = writeln!(io::stderr().lock(), "{progress}");
}

fn setup(args: &BenchArgs) -> Result<Setup> {
    let machine = Machine::here();
    let main_cpu = machine.cpus.first().copied().unwrap_or(0);
    let cpu = args.cpu.or_else(|| machine.cpus.last().copied()).unwrap_or(0);
    let mut traffic = traffic(args);
    let (mut eal, port) = match &args.config {
        Some(_) => from_config(args, &machine, &mut traffic)?,
        None => from_arguments(args, &mut traffic)?,
    };
    if let Some(prefix) = &args.file_prefix {
        eal.file_prefix.clone_from(prefix);
    }
    traffic.check_mtu(port.mtu).map_err(|e| Failure::Asking(e.to_string()))?;
    #[expect(clippy::cast_possible_truncation, reason = "any number will do")]
    let run = RandomState::new().build_hasher().finish() as u32;
    Ok(Setup { eal, port, cpu, main_cpu, yields: args.idle == IdleArg::Yield, traffic, run })
}

/// What is sent, but from whom.
fn traffic(args: &BenchArgs) -> Traffic {
    let all = Traffic::to(args.to.iter().copied());
    Traffic {
        flows: args.flows.unwrap_or(all.flows),
        sizes: if args.size.is_empty() { all.sizes.clone() } else { args.size.clone() },
        peer_mac: args.peer_mac,
        source_port: args.source_port,
        ttl: args.ttl,
        tos: args.tos,
        rate: args.rate,
        in_flight: args.in_flight,
        burst: args.burst,
        duration: Some(args.seconds),
        count: args.count,
        patience: args.wait,
        answers: args.answers.into(),
        ..all
    }
}

fn from_arguments(args: &BenchArgs, traffic: &mut Traffic) -> Result<(EalPlan, PortPlan)> {
    let twice =
        |what: &str| Failure::Asking(format!("{what} is given twice for one IP version: give one of each"));
    for from in &args.from {
        let had = match *from {
            SourceArg::V4(cidr) => traffic.source4.replace(cidr).is_some(),
            SourceArg::V6(cidr) => traffic.source6.replace(cidr).is_some(),
        };
        if had {
            return Err(twice("--from"));
        }
    }
    for gateway in &args.gateway {
        let had = match *gateway {
            IpAddr::V4(addr) => traffic.gateway4.replace(addr).is_some(),
            IpAddr::V6(addr) => traffic.gateway6.replace(addr).is_some(),
        };
        if had {
            return Err(twice("--gateway"));
        }
    }
    traffic.vlan = args.vlan;
    let eal = EalPlan {
        hugepages: if args.no_huge { Hugepages::None } else { Hugepages::Auto },
        memory_mb: args.memory_mb,
        file_prefix: format!("pollcast-bench-{}", std::process::id()),
        args: Vec::new(),
    };
    let port = PortPlan {
        name: "bench".to_owned(),
        device: args.device.clone().unwrap_or_default(),
        mac: args.mac,
        mtu: args.mtu,
        rx_descriptors: args.descriptors,
        tx_descriptors: args.descriptors,
        offloads: OffloadSet::NONE,
        multicast_filter: FilterPolicy::Auto,
        // The tag is in the frame: no device need insert it.
        tagged: false,
        rx_events: false,
        vhost_direct: true,
        workers: vec![0],
        rps: Rps::Off,
    };
    Ok((eal, port))
}

/// The port of a configuration file, with its first addresses and its routers.
fn from_config(args: &BenchArgs, machine: &Machine, traffic: &mut Traffic) -> Result<(EalPlan, PortPlan)> {
    let path = args.config.clone().unwrap_or_default();
    let plan = Config::load(&path)?.check(machine, &builtin_kinds())?;
    let found = plan.interfaces.iter().find(|i| args.port.as_ref().is_none_or(|name| i.name == *name));
    let Some((interface, port)) = found.and_then(|i| Some((i, plan.ports.get(i.port.index())?))) else {
        let names: Vec<_> = plan.interfaces.iter().map(|i| i.name.as_str()).collect();
        let wanted = args.port.clone().unwrap_or_default();
        return Err(Failure::Asking(format!(
            "{} has no port {wanted}: it has {}",
            path.display(),
            names.join(", ")
        )));
    };
    traffic.source4 = interface.v4.addresses.first().copied();
    traffic.source6 = interface.v6.addresses.first().copied();
    traffic.gateway4 = interface.v4.gateway.map(crate::addr::Unicast::addr);
    traffic.gateway6 = interface.v6.gateway.map(crate::addr::Unicast::addr);
    traffic.vlan = interface.vlan;
    let port = PortPlan { offloads: OffloadSet::NONE, tagged: false, workers: vec![0], ..port.clone() };
    Ok((plan.eal, port))
}
