//! A burst's look-ups in a large table of sockets: what they will read is fetched first, for all of them.

use core::net::Ipv4Addr;

use arrayvec::ArrayVec;

use super::accept::{Port, swapped};
use super::accept6::HEAD6;
use super::dispatch::Near;
use super::head::Words;
use super::tagged::has_tag;
use super::view6::addr;
use super::{HEAD, LINK};
use crate::addr::{V4, V6};
use crate::io::{BURST_MAX, Burst, InterfaceId, PacketBuf};
use crate::stack::port_table::{Ahead, Flow};
use crate::wire::vlan::{TAG_LEN, Tci};

/// Fetches what the look-ups of a burst will read. What is no datagram is passed over, and whether one is right does not matter here.
#[inline(never)]
pub(super) fn fetch<B: PacketBuf>(rx: &Burst<B>, port: Port<'_>) {
    rx.iter().for_each(PacketBuf::prefetch);
    let flows = rx.iter().filter_map(|buf| flow(buf, port));
    let mut burst: ArrayVec<Ahead, BURST_MAX> = flows.take(BURST_MAX).collect();
    port.table.fetch_ahead(&mut burst, &Near);
}

#[inline]
fn flow<B: PacketBuf>(buf: &B, port: Port<'_>) -> Option<Ahead> {
    let (frame, stripped) = (buf.data(), buf.rx_meta().stripped_tci);
    if stripped.is_none() && !has_tag(frame) {
        return flow_of(frame, port.interfaces.untagged()?.id);
    }
    let (tci, behind) = match stripped {
        Some(tci) => (tci, frame),
        None => (frame.first_chunk::<{ LINK + TAG_LEN }>()?.load16::<LINK>(), frame.get(TAG_LEN..)?),
    };
    let tagged = port.view.tagged.iter().find(|tagged| tagged.vid.get() == Tci(tci).vid())?;
    flow_of(behind, tagged.id)
}

/// From whom to whom, of what is UDP as the fast path takes it.
#[inline(always)]
fn flow_of(frame: &[u8], interface: InterfaceId) -> Option<Ahead> {
    let head: &[u8; HEAD] = frame.first_chunk()?;
    match head.load64::<12>() & 0x00ff_ffff {
        0x0045_0008 if head.load32::<20>() >> 24 == 17 => {
            let [src, dst] =
                [head.load32::<26>(), head.load32::<30>()].map(|a| Ipv4Addr::from(a.to_le_bytes()));
            let (sport, dport) = ends(head.load32::<34>());
            Some(Ahead::new(interface, &Flow::<V4> { src, sport, dst, dport }))
        }
        version if version & 0xf0_ffff == 0x60_dd86 && head.load32::<20>() & 0xff == 17 => {
            let head: &[u8; HEAD6] = frame.first_chunk()?;
            let src = addr([head.load64::<22>(), head.load64::<30>()]);
            let dst = addr([head.load64::<38>(), head.load64::<46>()]);
            let (sport, dport) = ends(head.load32::<54>());
            Some(Ahead::new(interface, &Flow::<V6> { src, sport, dst, dport }))
        }
        _ => None,
    }
}

/// Source and destination port.
#[inline(always)]
fn ends(ports: u32) -> (u16, u16) {
    (swapped(ports.into()), swapped(u64::from(ports) >> 16))
}
