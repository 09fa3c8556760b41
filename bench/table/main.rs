//! What a look-up in the port table costs: the program of `bench/lookup`, which runs it once for each line of its table.
//!
//! Sockets of one form, as many as asked for, and look-ups of datagrams to random ones of them; prints one line of JSON.

use core::net::{Ipv4Addr, SocketAddr};
use std::error::Error;
use std::hint::black_box;
use std::time::Instant;

use clap::{Parser, ValueEnum};
use pollcast::addr::V4;
use pollcast::io::InterfaceId;
use pollcast::rng::Rng;
use pollcast::stack::port_table::{Flow, PortTable, Socket, SocketId};

/// Where the sockets are.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Form {
    /// Each bound to an address and a port of its own.
    Address,
    /// All to one address and port, each connected to a peer of its own.
    Connected,
    /// All to one port, which they share by `SO_REUSEPORT`.
    Reuseport,
}

#[derive(Debug, Parser)]
#[command(about = "Measures look-ups in the port table; prints one line of JSON.")]
struct Arguments {
    #[arg(long, value_enum)]
    form: Form,
    #[arg(long, default_value_t = 1)]
    sockets: u32,
    #[arg(long, default_value_t = 4_000_000)]
    lookups: u64,
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

const OWN: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 2);

/// Ports that one address, or one peer, has.
const PORTS: u32 = 60_000;

/// Datagrams that are looked up again and again: more than a cache that would make it look cheaper holds.
const FLOWS: u32 = 1 << 18;

fn addr(base: u32, id: SocketId) -> Ipv4Addr {
    Ipv4Addr::from_bits(base + id / PORTS)
}

fn port(id: SocketId) -> u16 {
    u16::try_from(1024 + id % PORTS).unwrap_or(u16::MAX)
}

fn socket(form: Form, id: SocketId) -> Socket {
    let at = |addr: Ipv4Addr, port: u16| SocketAddr::new(addr.into(), port);
    match form {
        Form::Address => Socket::new(None, at(addr(0x0a00_0001, id), port(id)), id),
        Form::Connected => {
            let peer = Some(at(addr(0x0b00_0001, id), port(id)));
            Socket { peer, ..Socket::new(None, at(OWN, 7), id) }
        }
        Form::Reuseport => Socket { reuse_port: true, ..Socket::new(None, at(Ipv4Addr::UNSPECIFIED, 7), id) },
    }
}

/// A datagram to the socket `id`; of those that share a port, to any.
fn flow(form: Form, id: SocketId) -> Flow<V4> {
    let (src, sport) = (addr(0x0b00_0001, id), port(id));
    match form {
        Form::Address => Flow { src, sport, dst: addr(0x0a00_0001, id), dport: port(id) },
        Form::Connected | Form::Reuseport => Flow { src, sport, dst: OWN, dport: 7 },
    }
}

/// Looks up `lookups` datagrams; how many found a socket. Apart, so that it can be counted alone.
#[inline(never)]
fn bench_look_up(table: &PortTable, flows: &[Flow<V4>], lookups: u64) -> u64 {
    let mut found = 0;
    for (_, flow) in (0..lookups).zip(flows.iter().cycle()) {
        found += u64::from(black_box(table.unicast(InterfaceId(1), black_box(flow))).is_some());
    }
    found
}

/// Bytes of resident memory.
fn resident() -> Result<u64, Box<dyn Error>> {
    let pages = std::fs::read_to_string("/proc/self/statm")?;
    let pages: u64 = pages.split_whitespace().nth(1).ok_or("no resident pages")?.parse()?;
    Ok(pages * 4096)
}

fn main() -> Result<(), Box<dyn Error>> {
    let Arguments { form, sockets, lookups, seed } = Arguments::parse();
    let mut rng = Rng::new(seed);
    let of = |n: u64| u32::try_from(n).unwrap_or_default();
    let ids = (0..FLOWS)
        .map(|_| of(rng.below(if matches!(form, Form::Reuseport) { 1 << 22 } else { sockets.into() })));
    let flows: Vec<_> = ids.map(|id| flow(form, id)).collect();
    let (before, start) = (resident()?, Instant::now());
    let mut table = PortTable::new(seed);
    (0..sockets).for_each(|id| table.set(id, Some(socket(form, id))));
    let (set_ns, after) = (start.elapsed().as_nanos() as f64 / f64::from(sockets), resident()?);
    let start = Instant::now();
    let found = bench_look_up(&table, &flows, lookups);
    let ns = start.elapsed().as_nanos() as f64 / lookups as f64;
    if found != lookups {
        return Err(format!("{} of {lookups} look-ups found no socket", lookups - found).into());
    }
    let bytes = after.saturating_sub(before) / u64::from(sockets);
    let form = form.to_possible_value().map(|form| form.get_name().to_owned());
    let line = serde_json::json!({
        "form": form, "sockets": sockets, "lookups": lookups, "ns": ns, "set_ns": set_ns, "bytes": bytes,
    });
    println!("{line}");
    Ok(())
}
