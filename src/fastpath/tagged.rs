//! Datagrams on a VLAN: the tag in the frame, or taken off by the device. Called for what is neither plain IPv4 nor IPv6, which so
//! pay nothing for it.

use super::accept::{self, Lookup, Port, Sink};
use super::ahead::Ahead;
use super::head::Words;
use super::level::Level;
use super::{LINK, Own, Tagged};
use crate::io::{Burst, InterfaceId, PacketBuf, Parts};
use crate::stack::port_table::SocketId;
use crate::wire::ethernet::ETHERTYPE_VLAN;
use crate::wire::vlan::{TAG_LEN, Tci};

/// What is remembered of a burst, of the VLAN whose datagrams came last.
pub(super) struct Memo {
    interface: InterfaceId,
    of_it: accept::Memo,
}

impl Memo {
    /// No datagram yet.
    #[inline(always)]
    pub(super) const fn nothing() -> Self {
        let none = InterfaceId(u16::MAX);
        Self { interface: none, of_it: accept::Memo::nothing(none) }
    }

    #[inline]
    fn of(&mut self, interface: InterfaceId) -> &mut accept::Memo {
        if self.interface != interface {
            *self = Self { interface, of_it: accept::Memo::nothing(interface) };
        }
        &mut self.of_it
    }
}

/// Whether the frame says that a tag follows.
// E11: of a provider's tag, the slow path knows what it is worth.
#[inline(always)]
pub(super) fn has_tag(frame: &[u8]) -> bool {
    frame.get(12..).and_then(|rest| rest.first_chunk()) == Some(&ETHERTYPE_VLAN.to_be_bytes())
}

/// The parts of `buf`, which has one tag at least, in its frame or taken off by the device, if it is a plain UDP datagram on a VLAN
/// of ours with nothing wrong and a socket that wants it.
// E11, 802.1Q 6.9: one tag that names a VLAN. A tag that names none, or behind another, is for the slow path.
#[inline(never)]
pub(super) fn accept<B: PacketBuf, const PLAIN: bool>(
    level: Level,
    buf: &B,
    port: Port<'_>,
    (memo, known): (&mut Memo, Option<SocketId>),
) -> Option<Parts> {
    let frame = buf.data();
    let stripped = if PLAIN { None } else { buf.rx_meta().stripped_tci };
    let is_in_frame = has_tag(frame);
    let tci = match stripped {
        Some(_) if is_in_frame => return None,
        Some(tci) => tci,
        None => frame.first_chunk::<{ LINK + TAG_LEN }>()?.load16::<LINK>(),
    };
    let Port { view, interfaces, table } = port;
    let vid = Tci(tci).vid();
    let Tagged { id, view, .. } = view.tagged.iter().find(|tagged| tagged.vid.get() == vid)?;
    let lookup = Lookup { view, interface: interfaces.get(*id)?, table, known };
    let (own, memo) = (Own::of(view), memo.of(*id));
    if is_in_frame {
        accept::accept::<B, PLAIN, TAG_LEN>(level, buf, own, lookup, memo)
    } else {
        accept::accept::<B, PLAIN, 0>(level, buf, own, lookup, memo)
    }
}

/// Sorts a burst of a port where every interface has a VLAN. Returns how many bytes it held.
#[inline(never)]
pub(super) fn burst<B: PacketBuf>(
    level: Level,
    rx: &mut Burst<B>,
    port: Port<'_>,
    sink: &mut impl Sink<B>,
) -> u64 {
    let (mut bytes, mut memo, mut ahead) = (0, Memo::nothing(), Ahead::of(rx.front(), port));
    for buf in rx.drain() {
        let known = ahead.as_mut().and_then(Ahead::next);
        bytes += buf.frame_len() as u64;
        let has_tag = buf.rx_meta().stripped_tci.is_some() || has_tag(buf.data());
        let parts = if has_tag && buf.is_single_segment() {
            accept::<B, false>(level, &buf, port, (&mut memo, known))
        } else {
            None
        };
        match parts {
            Some(parts) => sink.deliver(buf, parts),
            None => sink.slow(buf),
        }
    }
    bytes
}
