//! How many mbufs a plan needs, how large, and how much memory: sums whose every item is named.

use super::plan::{Hugepages, MbufPlan, Plan, PortPlan, ReassemblyPlan, ServicePlan, WorkerPlan};
use crate::io::{BURST_MAX, at_one_time};

/// Mbufs that one lcore keeps at hand, so that most allocations take no lock.
pub const CACHE: u32 = 256;

/// Packets that may be on their way from all workers to control in one class: the depth of that queue.
pub const PUNT_QUEUE: u32 = 256;

/// The classes of packets that go to control: ARP, neighbour discovery, IGMP, MLD, and what has no neighbour yet.
pub const PUNT_CLASSES: u32 = 5;

/// Packets that control holds until the Ethernet addresses of their next hops are known, for all neighbours together.
pub const WAITING: u32 = 1024;

/// Frames that control may have on their way to one worker: the depth of its inbox.
pub const INBOX: u32 = 1024;

/// Datagrams that workers may have on their way to the services of one.
pub const TO_SERVICES: u32 = 1024;

/// Fragments that workers may have on their way to the one that puts them together.
pub const HAND_OVER: u32 = 512;

/// What net_af_xdp takes for its fill ring, whatever was asked for.
const AF_XDP_FILL_RING: u32 = 4096;

/// `RTE_PKTMBUF_HEADROOM`.
const HEADROOM: u32 = 128;

/// Ethernet header, two VLAN tags, FCS: what drivers add to the MTU before they compare it with a buffer.
const FRAME_OVERHEAD: u32 = 14 + 2 * 4 + 4;

/// Several NICs tell their buffers' size in these steps, and round down.
const DATA_STEP: u32 = 1024;

/// The least room for data that every driver takes.
const DATA_MIN: u32 = 2048;

/// The pool of a plan: room for everything that can hold a buffer at one time.
pub(super) fn mbufs(
    workers: &[WorkerPlan],
    ports: &[PortPlan],
    services: &[ServicePlan],
    burst: usize,
    reassembly: ReassemblyPlan,
) -> MbufPlan {
    let placed = is_any_placed(ports, services, workers.len());
    let mut items = Vec::new();
    for port in ports {
        port_items(port, &mut items);
    }
    worker_items(workers, burst, &mut items);
    let lcores = count(workers.len());
    items.push((
        format!("on the way to control: {PUNT_CLASSES} queues x {PUNT_QUEUE} packets"),
        PUNT_CLASSES * PUNT_QUEUE,
    ));
    items.push((
        format!("on the way from control: {} x {INBOX} frames", plural(lcores, "inbox")),
        lcores * INBOX,
    ));
    if lcores > 1 {
        items.push((
            format!("fragments handed over: {} x {HAND_OVER}", plural(lcores, "worker")),
            lcores * HAND_OVER,
        ));
    }
    if placed {
        items.push((
            format!("datagrams handed over: {} x {TO_SERVICES}", plural(lcores, "worker")),
            lcores * TO_SERVICES,
        ));
    }
    items.push((format!("waiting for a neighbour: {WAITING} packets"), WAITING));
    let fragments = reassembly.fragments;
    items.push((format!("fragments held: {} x {fragments}", plural(lcores, "worker")), lcores * fragments));
    items.push(cache_item(lcores + 1));
    let needed = items.iter().map(|(_, mbufs)| mbufs).sum::<u32>();
    let mtu = ports.iter().map(|port| port.mtu).max().unwrap_or(0);
    let large = lcores * count(at_one_time(burst));
    MbufPlan { count: pool_size(needed), data_room: data_room(mtu), large, cache: CACHE, items }
}

/// Whether a worker may receive what is for a service that does not live there.
fn is_any_placed(ports: &[PortPlan], services: &[ServicePlan], workers: usize) -> bool {
    let serves = |worker: &usize| ports.iter().any(|port| port.workers.contains(worker));
    services
        .iter()
        .any(|service| (0..workers).filter(serves).any(|worker| !service.workers.contains(&worker)))
}

/// Bytes of a large buffer: [`LARGE_ROOM`](crate::io::LARGE_ROOM).
const LARGE_ROOM: u16 = u16::MAX;

/// A ring may be full of buffers, on both sides.
fn port_items(port: &PortPlan, items: &mut Vec<(String, u32)>) {
    let (name, queues) = (&port.name, count(port.workers.len()));
    let mut ring = |what: &str, descriptors: u32| {
        let text = format!("{name}: {} x {descriptors} descriptors", plural(queues, what));
        items.push((text, queues * descriptors));
    };
    ring("rx queue", u32::from(port.rx_descriptors));
    ring("tx queue", u32::from(port.tx_descriptors));
    if port.device_name().starts_with("net_af_xdp") {
        ring("fill ring", AF_XDP_FILL_RING);
    }
}

/// A worker holds what it received at one time, and for each of its ports one to send; what a ring refused waits in the latter.
fn worker_items(workers: &[WorkerPlan], burst: usize, items: &mut Vec<(String, u32)>) {
    let (rx, tx) = (count(at_one_time(burst)), count(BURST_MAX));
    let lcores = count(workers.len());
    let sending = workers.iter().map(|worker| count(worker.ports.len())).sum::<u32>();
    items.push((format!("bursts being received: {} x {rx} packets", plural(lcores, "worker")), lcores * rx));
    items.push((format!("bursts to send: {} x {tx} packets", plural(sending, "tx queue")), sending * tx));
}

/// `rte_mempool` lets a cache grow to half as much again before it gives back, and what one lcore's holds no other
/// can take.
fn cache_item(lcores: u32) -> (String, u32) {
    let full = CACHE + CACHE / 2;
    (format!("caches: {lcores} lcores x {full} (1.5 x {CACHE})"), lcores * full)
}

/// The next 2^n - 1: the pool's ring has 2^n slots and uses one fewer.
pub(super) fn pool_size(needed: u32) -> u32 {
    (needed + 1).next_power_of_two() - 1
}

/// Bytes of data in an mbuf, headroom included, that one frame of an IP packet of `mtu` bytes fits into.
#[must_use]
pub fn data_room(mtu: u16) -> u16 {
    let data = (u32::from(mtu) + FRAME_OVERHEAD).next_multiple_of(DATA_STEP).max(DATA_MIN);
    u16::try_from(HEADROOM + data).unwrap_or(u16::MAX)
}

/// `mbufs` as a number of things; a plan's lists are far shorter than 2^32.
fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// `1 inbox`, `2 inboxes`.
pub(super) fn plural(n: u32, thing: &str) -> String {
    let ending = match thing {
        _ if n == 1 => "",
        thing if thing.ends_with('x') => "es",
        _ => "s",
    };
    format!("{n} {thing}{ending}")
}

/// The memory of a plan: a line an item, in bytes, and their sum in MiB.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Memory {
    /// What for, and how many bytes.
    pub items: Vec<(String, u64)>,
    /// The sum, rounded up to whole hugepages, in MiB.
    pub needed_mb: u32,
}

/// Bytes of `struct rte_mbuf`.
const MBUF: u64 = 128;

/// Bytes that a mempool adds to an object: its header, and what spreads objects over memory channels.
const POOL_OBJECT: u64 = 64 + 64;

/// Bytes of a page that is no hugepage.
const SMALL_PAGE: u64 = 4096;

/// Bytes of a descriptor and of what a driver notes beside it: more than any driver needs.
const DESCRIPTOR: u64 = 128;

/// What EAL and the drivers take for themselves, in MiB.
const BASE_MB: u64 = 24;

/// The size of the smaller hugepages, in MiB.
const PAGE_MB: u64 = 2;

const MIB: u64 = 1 << 20;

/// The memory that `plan` needs.
#[must_use]
pub fn memory(plan: &Plan) -> Memory {
    memory_of(&plan.mbufs, &plan.ports, plan.eal.hugepages)
}

/// The bytes that one mbuf of a pool takes up, and in words why.
///
/// Where hugepages are not certain, room is reserved for pages of 4 KiB: a mempool lets no object that is smaller
/// than a page cross its end, so that an object has a page to itself as soon as two do not fit.
fn footprint(data_room: u16, hugepages: Hugepages) -> (u64, String) {
    let object = MBUF + u64::from(data_room) + POOL_OBJECT;
    let sum = format!("{MBUF} header + {data_room} data room + {POOL_OBJECT} of the pool");
    match (hugepages, SMALL_PAGE / object) {
        (Hugepages::Required, _) | (_, 0) => (object, sum),
        (Hugepages::Auto | Hugepages::None, fit) => {
            (SMALL_PAGE / fit, format!("{sum}; {fit} to a page of {SMALL_PAGE}"))
        }
    }
}

pub(super) fn memory_of(pool: &MbufPlan, ports: &[PortPlan], hugepages: Hugepages) -> Memory {
    let mbufs = u64::from(pool.count);
    let (each, why) = footprint(pool.data_room, hugepages);
    let rings = |port: &PortPlan| {
        let descriptors = u64::from(port.rx_descriptors) + u64::from(port.tx_descriptors);
        port.workers.len() as u64 * descriptors
    };
    let descriptors = ports.iter().map(rings).sum::<u64>();
    // A worker has no more of them at a time than packets that it takes in: each may complete a datagram.
    let large = u64::from(pool.large);
    let (each_large, _) = footprint(LARGE_ROOM, hugepages);
    let slots = mbufs + 1 + large;
    let items = vec![
        (format!("mbufs: {mbufs} x {each} ({why})"), mbufs * each),
        (format!("large mbufs, for what fragments make up: {large} x {each_large}"), large * each_large),
        (format!("the pools' rings: {slots} slots x 8"), slots * 8),
        (format!("descriptors: {descriptors} x {DESCRIPTOR}"), descriptors * DESCRIPTOR),
        (format!("EAL and drivers: {BASE_MB} MiB"), BASE_MB * MIB),
    ];
    let bytes = items.iter().map(|(_, bytes)| bytes).sum::<u64>();
    let needed_mb = bytes.div_ceil(MIB).next_multiple_of(PAGE_MB);
    Memory { items, needed_mb: u32::try_from(needed_mb).unwrap_or(u32::MAX) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_is_the_next_power_of_two_less_one() {
        assert_eq!(pool_size(1), 1);
        assert_eq!(pool_size(4095), 4095);
        assert_eq!(pool_size(4096), 8191);
    }

    #[test]
    fn one_frame_fits_into_one_segment_at_every_mtu() {
        for mtu in 68..=9216 {
            let data = data_room(mtu) - 128;
            assert!(data >= mtu + 14 + 4, "{mtu}");
        }
        assert_eq!(data_room(1500), 2048 + 128, "RTE_MBUF_DEFAULT_BUF_SIZE");
    }
}
