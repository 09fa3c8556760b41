//! What packets that are looked at one by one are looked up in, fetched for all of them at once: in a large table, a wait for memory
//! is shared by the burst. Of sockets the look-up itself is done, of groups it is as good as done.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use arrayvec::ArrayVec;

use super::accept::{Port, swapped};
use super::accept6::HEAD6;
use super::dispatch::Near;
use super::head::Words;
use super::tagged::has_tag;
use super::view6::addr;
use super::{HEAD, LINK};
use crate::addr::{Family, V4, V6};
use crate::io::{BURST_MAX, InterfaceId, PacketBuf};
use crate::stack::groups::GroupTable;
use crate::stack::interface::Interface;
use crate::stack::port_table::{Asked, Flow, PortTable, SocketId};
use crate::wire::ethernet::{ETHERTYPE_IPV4, ETHERTYPE_IPV6};
use crate::wire::vlan::{TAG_LEN, Tci};

/// The sockets, in the order of the packets.
pub(super) struct Ahead {
    sockets: [SocketId; BURST_MAX],
    next: usize,
}

impl Ahead {
    /// The sockets of the packets in `slots`, if they are plain UDP to one host. Whether they are right is not asked. `None`: the table
    /// is not large, and each is looked up when it is its turn. Of packets to groups, if there are many, what is read of these is near.
    #[inline(always)]
    pub(super) fn of<B: PacketBuf>(slots: &[Option<B>], port: Port<'_>) -> Option<Self> {
        if port.view.has_many_groups {
            fetch_groups(slots, port);
        }
        port.table.is_large().then(|| Self::look_up(slots, port))
    }

    #[inline(never)]
    fn look_up<B: PacketBuf>(slots: &[Option<B>], port: Port<'_>) -> Self {
        let mut burst = ArrayVec::<Asked, BURST_MAX>::new();
        for buf in slots.iter().flatten().take(BURST_MAX) {
            // NOTE(push): there is room for a burst.
            let _ = burst.try_push(asked(buf, port).unwrap_or(Asked::NOTHING));
        }
        let mut sockets = [PortTable::NONE; BURST_MAX];
        port.table.unicast_burst(&burst, &mut sockets, &Near);
        Self { sockets, next: 0 }
    }

    /// The next packet's, if it is known.
    #[inline(always)]
    pub(super) fn next(&mut self) -> Option<SocketId> {
        let socket = self.sockets.get(self.next).copied();
        self.next += 1;
        socket.filter(|socket| *socket != PortTable::NONE)
    }
}

/// Has come near what the packets to groups are looked up in. Whether they are right is not asked either.
#[inline(never)]
fn fetch_groups<B: PacketBuf>(slots: &[Option<B>], port: Port<'_>) {
    let to_groups = || slots.iter().flatten().filter_map(|buf| to_group(buf, port));
    let mut is_more = false;
    for (interface, group) in to_groups() {
        match group {
            IpAddr::V4(group) => is_more |= fetch_first(&interface.v4.groups, group),
            IpAddr::V6(group) => is_more |= fetch_first(&interface.v6.groups, group),
        }
    }
    if is_more {
        for (interface, group) in to_groups() {
            match group {
                IpAddr::V4(group) => interface.v4.groups.fetch_more(group, &Near),
                IpAddr::V6(group) => interface.v6.groups.fetch_more(group, &Near),
            }
        }
    }
}

/// The first step of a look-up. Returns whether there may be another.
#[inline(always)]
fn fetch_first<F: Family>(groups: &GroupTable<F>, group: F::Addr) -> bool {
    groups.fetch(group, &Near);
    groups.has_more_to_fetch()
}

/// By which interface a packet to a group came, and to which group.
#[inline(always)]
fn to_group<'a, B: PacketBuf>(buf: &B, port: Port<'a>) -> Option<(&'a Interface, IpAddr)> {
    if buf.data().first()? & 1 == 0 {
        return None;
    }
    let (frame, interface) = network(buf, port)?;
    let group = match frame.first_chunk::<HEAD>()?.load16::<12>() {
        ETHERTYPE_IPV4 => Ipv4Addr::from(*frame.get(30..)?.first_chunk::<4>()?).into(),
        ETHERTYPE_IPV6 => Ipv6Addr::from(*frame.get(38..)?.first_chunk::<16>()?).into(),
        _ => return None,
    };
    Some((port.interfaces.get(interface)?, group))
}

#[inline]
fn asked<B: PacketBuf>(buf: &B, port: Port<'_>) -> Option<Asked> {
    let (frame, interface) = network(buf, port)?;
    flow(frame, interface)
}

/// The frame as it would be without a tag, but for the addresses of its link, and the interface that it is for.
#[inline(always)]
fn network<'a, B: PacketBuf>(buf: &'a B, port: Port<'_>) -> Option<(&'a [u8], InterfaceId)> {
    let (frame, stripped) = (buf.data(), buf.rx_meta().stripped_tci);
    if stripped.is_none() && !has_tag(frame) {
        return Some((frame, port.interfaces.untagged()?.id));
    }
    let (tci, behind) = match stripped {
        Some(tci) => (tci, frame),
        None => (frame.first_chunk::<{ LINK + TAG_LEN }>()?.load16::<LINK>(), frame.get(TAG_LEN..)?),
    };
    let tagged = port.view.tagged.iter().find(|tagged| tagged.vid.get() == Tci(tci).vid())?;
    Some((behind, tagged.id))
}

/// From whom to whom, of UDP as the fast path takes it.
#[inline(always)]
fn flow(frame: &[u8], interface: InterfaceId) -> Option<Asked> {
    let head: &[u8; HEAD] = frame.first_chunk()?;
    match head.load64::<12>() & 0x00ff_ffff {
        0x0045_0008 if head.load32::<20>() >> 24 == 17 => {
            let [src, dst] = [head.load32::<26>(), head.load32::<30>()];
            let (sport, dport) = ends(head.load32::<34>());
            let addr = |word: u32| Ipv4Addr::from(word.to_le_bytes());
            Some(Asked::new(interface, &Flow::<V4> { src: addr(src), sport, dst: addr(dst), dport }))
        }
        version if version & 0xf0_ffff == 0x60_dd86 && head.load32::<20>() & 0xff == 17 => {
            let head: &[u8; HEAD6] = frame.first_chunk()?;
            let src = addr([head.load64::<22>(), head.load64::<30>()]);
            let dst = addr([head.load64::<38>(), head.load64::<46>()]);
            let (sport, dport) = ends(head.load32::<54>());
            Some(Asked::new(interface, &Flow::<V6> { src, sport, dst, dport }))
        }
        _ => None,
    }
}

/// Source and destination port.
#[inline(always)]
fn ends(ports: u32) -> (u16, u16) {
    (swapped(ports.into()), swapped(u64::from(ports) >> 16))
}
