//! From what was written to what is proven.
//!
//! Each file checks one kind of table, and notes every problem that it finds. A value that is wrong is replaced by a
//! harmless one, so that the rest can be checked; a plan built beside a problem is thrown away.

mod addresses;
mod eal;
mod family;
mod gmp;
mod groups;
mod interfaces;
mod ipv6;
mod limits;
mod listen;
mod ports;
mod routes;
mod services;
mod sockets;
mod uoa;
mod workers;

use super::error::{At, Problems};
use super::kinds::Kinds;
use super::machine::Machine;
use super::mbufs;
use super::plan::{InterfacePlan, Plan};
use super::raw::Raw;

/// The plan of `raw`. Of no use if there are problems afterwards.
pub(super) fn plan(raw: &Raw, machine: &Machine, kinds: &Kinds, problems: &mut Problems) -> Plan {
    let mut workers = workers::check(&raw.workers, machine, problems);
    let (ports, interfaces) = ports::check(&raw.ports, &mut workers.workers, problems);
    workers::all_have_work(&raw.workers, &workers.workers, problems);
    let services = services::check(&raw.services, &workers.workers, (&ports, &interfaces), kinds, problems);
    let reassembly = limits::reassembly(&raw.reassembly, problems);
    let mbufs = mbufs::mbufs(&workers.workers, &ports, &services, workers.burst, reassembly);
    let hugepages = raw.eal.hugepages.as_ref().map(|at| at.value).unwrap_or_default();
    let memory = mbufs::memory_of(&mbufs, &ports, hugepages);
    let eal = eal::check(&raw.eal, memory.needed_mb, problems);
    let mut plan = Plan {
        eal,
        ctl_socket: eal::ctl_socket(raw.ctl_socket.as_ref(), problems),
        workers: workers.workers,
        control_cpu: workers.control_cpu,
        idle: workers.idle,
        idle_sleep: workers.idle_sleep,
        idle_heartbeat: workers.idle_heartbeat,
        cpu_dma_latency_us: workers.cpu_dma_latency_us,
        burst: workers.burst,
        ports,
        interfaces,
        reassembly,
        icmp: limits::icmp(&raw.icmp, problems),
        uoa: uoa::check(&raw.uoa, problems),
        sockets: sockets::check(&raw.sockets, problems),
        services,
        mbufs,
    };
    let rests = !plan.spins();
    plan.ports.iter_mut().for_each(|port| port.rx_events = rests);
    plan
}

/// A number's limits, and why a number beyond them makes no sense.
struct Limits {
    min: i64,
    max: i64,
    too_small: &'static str,
    too_large: &'static str,
}

impl Limits {
    const fn new(min: i64, max: i64) -> Self {
        Self { min, max, too_small: "too small", too_large: "too large" }
    }

    /// The number at `at` if it is within, else `default` and a problem.
    fn check<T: TryFrom<i64>>(&self, at: Option<&At<i64>>, default: T, problems: &mut Problems) -> T {
        let Some(At { value, place }) = at else { return default };
        let Self { min, max, too_small, too_large } = self;
        let why = match value {
            value if value < min => too_small,
            value if value > max => too_large,
            _ => return T::try_from(*value).unwrap_or(default),
        };
        problems.add(place, format!("{value} is {why}"), format!("use {min} to {max}"));
        default
    }
}

/// Names are for command lines and log lines: letters, digits, `-`, `_` and `.`, at most 63 of them.
fn check_name(name: &At<String>, problems: &mut Problems) {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let At { value, place } = name;
    if value.is_empty() || value.len() > 63 || !value.chars().all(allowed) {
        let remedy = "use 1 to 63 letters, digits, \"-\", \"_\" or \".\"";
        problems.add(place, format!("{value:?} is no name"), remedy);
    }
}

/// The port called `name`, or a problem.
fn port_by_name(name: &At<String>, ports: &[InterfacePlan], problems: &mut Problems) -> Option<usize> {
    let found = ports.iter().position(|port| port.name == name.value);
    if found.is_none() {
        let names = ports.iter().map(|port| port.name.as_str());
        let remedy = format!("use {}", super::error::one_of(names));
        problems.add(&name.place, format!("there is no port {:?}", name.value), remedy);
    }
    found
}
