//! The sockets of the datagrams that were found at the front of a burst.
//!
//! Most bursts are for one port, and that is looked up once. Else each port says which socket has it, if it is one that any sender
//! reaches at any of our addresses: one load, without a branch that the next packet's port could make go wrong. Whatever depends on
//! more than the port is asked of the table, packet by packet.

use core::net::Ipv4Addr;

use arrayvec::ArrayVec;

use super::accept::{Lookup, swapped};
use super::dispatch::Near;
use super::found::Found;
use super::head::Words;
use super::view6::addr;
use crate::addr::{Family, V4, V6};
use crate::io::{BURST_MAX, PacketBuf};
use crate::stack::port_table::{self, Asked, Flow, PortTable, SocketId};

/// Packets at the front of a burst that have a socket.
pub(super) struct LookedUp {
    pub(super) count: usize,
    /// The first one's.
    pub(super) first: SocketId,
    /// Whether others may be for others.
    pub(super) is_mixed: bool,
}

/// Looks up the sockets of the packets in `slots`: up to the first number of them they are of IPv4, and up to the second of IPv6.
#[inline(always)]
pub(super) fn look_up<B: PacketBuf>(
    slots: &[Option<B>],
    lookup: Lookup<'_>,
    (v4, all): (usize, usize),
    found: &mut Found,
) -> LookedUp {
    if v4 == all {
        return look_up_in::<V4, B>(slots, lookup, (0, v4), found, flow4);
    }
    if v4 == 0 {
        return look_up_in::<V6, B>(slots, lookup, (0, all), found, flow6);
    }
    let first = look_up_in::<V4, B>(slots, lookup, (0, v4), found, flow4);
    if first.count < v4 {
        return first;
    }
    let then = look_up_in::<V6, B>(slots, lookup, (v4, all), found, flow6);
    LookedUp { count: then.count, first: first.first, is_mixed: true }
}

#[inline(always)]
fn look_up_in<F: Family, B: PacketBuf>(
    slots: &[Option<B>],
    lookup: Lookup<'_>,
    (from, to): (usize, usize),
    found: &mut Found,
    flow: fn(&[u8]) -> Option<Flow<F>>,
) -> LookedUp {
    let (ports, sockets) = found.ports_and_sockets(from..to);
    let first = ports.first().copied().unwrap_or_default();
    let is_one_port = ports.iter().fold(0, |differs, ports| differs | (ports ^ first)) >> 16 == 0;
    if is_one_port {
        let [_, _, to_port @ ..] = first.to_le_bytes();
        let open = lookup.table.open_to_all::<F>(lookup.interface.id, u16::from_le_bytes(to_port));
        if open != PortTable::NONE {
            sockets.fill(open);
            return LookedUp { count: to, first: open, is_mixed: false };
        }
    }
    look_up_each(slots, lookup, (from, to), is_one_port, found, flow)
}

/// The same of what the port of the first does not say.
#[inline(never)]
fn look_up_each<F: Family, B: PacketBuf>(
    slots: &[Option<B>],
    lookup: Lookup<'_>,
    (from, to): (usize, usize),
    is_one_port: bool,
    found: &mut Found,
    flow: fn(&[u8]) -> Option<Flow<F>>,
) -> LookedUp {
    let none = LookedUp { count: from, first: 0, is_mixed: false };
    let ask = |at: usize| -> Option<port_table::Found> {
        let flow = flow(slots.get(at)?.as_ref()?.data())?;
        lookup.table.unicast::<F>(lookup.interface.id, &flow)
    };
    let may_be_several = if F::VERSION == V4::VERSION { !lookup.view.is_alone() } else { found.several6() };
    let (ports, sockets) = found.ports_and_sockets(from..to);
    if is_one_port && is_one_address::<F, B>(slots.get(from..to).unwrap_or_default(), may_be_several) {
        let Some(one) = ask(from) else { return none };
        if one.any_peer {
            sockets.fill(one.socket);
            return LookedUp { count: to, first: one.socket, is_mixed: false };
        }
    }
    if let Some(first) = each_port::<F>(lookup, ports, sockets) {
        return LookedUp { count: to, first, is_mixed: true };
    }
    // Filled where it is: what is collected is moved, and that waits for what was just stored.
    let mut burst = ArrayVec::<Asked, BURST_MAX>::new();
    for buf in slots.iter().skip(from).take(to - from).flatten() {
        let asked = flow(buf.data()).map(|flow| Asked::new(lookup.interface.id, &flow));
        // NOTE(push): there is room for a burst.
        let _ = burst.try_push(asked.unwrap_or(Asked::NOTHING));
    }
    lookup.table.unicast_burst(&burst, sockets, &Near);
    let count = sockets.iter().position(|socket| *socket == PortTable::NONE).map_or(to, |at| from + at);
    LookedUp { count, first: sockets.first().copied().unwrap_or_default(), is_mixed: true }
}

/// Whether all are to one address of ours.
#[inline(always)]
fn is_one_address<F: Family, B: PacketBuf>(slots: &[Option<B>], may_be_several: bool) -> bool {
    let place = if F::VERSION == V4::VERSION { 30..34 } else { 38..54 };
    let mut all = slots.iter().flatten().map(|buf| buf.data().get(place.clone()));
    let first = all.next();
    !may_be_several || all.all(|dst| first == Some(dst))
}

/// The sockets by ports alone, of which the first is returned; `None`: it is not the same for all who could send there.
#[inline(always)]
fn each_port<F: Family>(lookup: Lookup<'_>, ports: &[u32], sockets: &mut [SocketId]) -> Option<SocketId> {
    let (table, interface) = (lookup.table, lookup.interface.id);
    let mut are_all = true;
    for (socket, ports) in sockets.iter_mut().zip(ports) {
        let [_, _, to @ ..] = ports.to_le_bytes();
        *socket = table.open_to_all::<F>(interface, u16::from_le_bytes(to));
        are_all &= *socket != PortTable::NONE;
    }
    are_all.then(|| sockets.first().copied())?
}

fn flow4(frame: &[u8]) -> Option<Flow<V4>> {
    let head = frame.first_chunk::<42>()?;
    let ports = u64::from(head.load32::<34>());
    Some(Flow {
        src: Ipv4Addr::from(head.load32::<26>().to_le_bytes()),
        sport: swapped(ports),
        dst: Ipv4Addr::from(head.load32::<30>().to_le_bytes()),
        dport: swapped(ports >> 16),
    })
}

fn flow6(frame: &[u8]) -> Option<Flow<V6>> {
    let head = frame.first_chunk::<62>()?;
    let ports = u64::from(head.load32::<54>());
    Some(Flow {
        src: addr([head.load64::<22>(), head.load64::<30>()]),
        sport: swapped(ports),
        dst: addr([head.load64::<38>(), head.load64::<46>()]),
        dport: swapped(ports >> 16),
    })
}
