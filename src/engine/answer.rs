//! How a service's answer leaves its port.
//!
//! The fast path turns a plain request round. Whatever it leaves, other shapes, other ways and other sizes, is answered
//! here, a packet at a time.

use core::net::IpAddr;

use super::counters::Counter;
use super::message::{Unresolved, Used};
use super::port_io::PortIo;
use super::worker::copies::{count, private_copy};
use crate::fastpath::Near;
use crate::io::{DropReason, InterfaceId, Nic, PacketBuf, Parts, PmtuDiscovery, ReplyPath};
use crate::stack::egress::{self, Directed, Way};
use crate::stack::fragmentation::Outgoing;
use crate::stack::pmtu::Sending;
use crate::time::Instant;

/// How the answers of a service leave.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Manner {
    /// To whom.
    pub reply: ReplyPath,
    /// How large.
    pub path_mtu_discovery: PmtuDiscovery,
}

impl Manner {
    /// Whether a request that is turned round, if it fits every path, is the right answer, but for whom it goes to.
    #[inline]
    // T01: whatever fits every path has DF, unless it may never have it.
    pub(super) const fn is_plain(self) -> bool {
        self.path_mtu_discovery.may_set_df()
    }
}

impl<N: Nic> PortIo<N> {
    /// Answers the request in `buf`, whatever its shape. False if it cannot be answered: then it is dropped, and counted.
    #[inline(never)]
    pub(super) fn answer(
        &mut self,
        now: Instant,
        mut buf: N::Buf,
        parts: Parts,
        manner: Manner,
        pool: &N::Pool,
    ) -> bool {
        // U13: what others read is not theirs to see answered: the answer is made of a copy. Not by the fast path, which
        // is compiled into its one caller.
        if !buf.is_private() {
            let copy = private_copy(&buf, parts, pool);
            count(copy.is_some(), &mut self.tally);
            let Some(copy) = copy else { return false };
            buf = copy;
        }
        let long = match self.make_answer(now, &mut buf, parts, manner) {
            Ok(long) => long,
            Err(why) => {
                self.tally.drop(why);
                return false;
            }
        };
        if let Some(out) = long {
            return self.send_in_fragments(&buf, &out, (parts.interface(), manner.reply), pool);
        }
        self.leave(buf, parts.interface(), manner.reply)
    }

    /// Sends a frame of ours on the interface `id`, which goes back to where its request came from so far. False if it was
    /// dropped, and counted.
    #[inline(always)]
    pub(super) fn leave(&mut self, buf: N::Buf, id: InterfaceId, reply: ReplyPath) -> bool {
        match reply {
            ReplyPath::Reflect => {
                self.send(buf);
                true
            }
            ReplyPath::Route => self.send_by_route(buf, id),
        }
    }

    /// Makes the request in `buf` its answer, as large as the path to whoever asked carries. `Some`: it is to be cut.
    // C16, T01: the path MTU is looked at where an answer may be longer than one.
    fn make_answer(
        &mut self,
        now: Instant,
        buf: &mut N::Buf,
        parts: Parts,
        manner: Manner,
    ) -> Result<Option<Outgoing>, DropReason> {
        let Self { interfaces, ids, .. } = self;
        let interface = interfaces.get(parts.interface()).ok_or(DropReason::ReplyImpossible)?;
        let sending = egress::udp_sending(now, buf, parts, manner.path_mtu_discovery, interface);
        match sending.ok_or(DropReason::ReplyImpossible)? {
            // U03, F10: of what takes several buffers, an answer that fits into one packet needs another.
            Sending::Whole { dont_fragment } if parts.is_in_body() => {
                let limit = (egress::udp_mtu(parts, interface), dont_fragment);
                let out = egress::udp_reply_to_cut(buf, parts, limit, ids, interface);
                out.map(Some).ok_or(DropReason::ReplyImpossible)
            }
            Sending::Whole { dont_fragment } => {
                let made = egress::udp_reply(buf, parts, dont_fragment, ids, interface);
                made.then_some(None).ok_or(DropReason::ReplyImpossible)
            }
            // F18: what the path does not carry in one piece leaves in several.
            Sending::Fragments { mtu } => {
                let out = egress::udp_reply_to_cut(buf, parts, (mtu, false), ids, interface);
                out.map(Some).ok_or(DropReason::ReplyImpossible)
            }
            Sending::TooBig { .. } => Err(DropReason::ReplyTooBig),
        }
    }

    /// Sends a frame of ours to where the routes and neighbours of `id` say; by way of control if its next hop is not
    /// known here. False if it was dropped, and counted.
    #[inline(never)]
    pub(super) fn send_by_route(&mut self, mut buf: N::Buf, id: InterfaceId) -> bool {
        let interface = self.interfaces.get(id);
        let directed = interface.map_or(Directed::Nowhere, |i| egress::direct(&mut buf, i));
        self.send_directed(buf, id, directed)
    }

    /// The same of a frame whose [`way`](Self::way) is known.
    #[inline(always)]
    pub(super) fn send_by_way(&mut self, mut buf: N::Buf, id: InterfaceId, way: &Way) -> bool {
        let interface = self.interfaces.get(id);
        let directed = interface.map_or(Directed::Nowhere, |i| egress::direct_by(&mut buf, i, way));
        self.send_directed(buf, id, directed)
    }

    #[inline(always)]
    fn send_directed(&mut self, buf: N::Buf, id: InterfaceId, directed: Directed) -> bool {
        match directed {
            Directed::Sent(used) => {
                self.send(buf);
                if let Some(neighbor) = used {
                    self.tell_used(id, neighbor);
                }
                true
            }
            Directed::Unresolved(next_hop) => self.resolve(Unresolved { interface: id, next_hop, buf }),
            Directed::Nowhere => {
                self.tally.drop(DropReason::NoRoute);
                false
            }
        }
    }

    /// The way of a frame of ours, of which what [`send_by_way`](Self::send_by_way) looks up comes near.
    #[inline(always)]
    pub(super) fn way(&self, buf: Option<&N::Buf>, id: InterfaceId) -> Way {
        let interface = self.interfaces.get(id);
        buf.zip(interface).map_or(Way::NOWHERE, |(buf, interface)| egress::way(buf, interface, &Near))
    }

    /// A10: control confirms a neighbour when it is used. Once told is enough; an untold one is told with its next packet.
    #[cold]
    fn tell_used(&mut self, interface: InterfaceId, neighbor: IpAddr) {
        if self.punt.used(Used { interface, neighbor })
            && let Some(interface) = self.interfaces.get_mut(interface)
        {
            egress::told_used(interface, neighbor);
        }
    }

    /// A09: control keeps it until the neighbour has answered.
    fn resolve(&mut self, frame: Unresolved<N::Buf>) -> bool {
        match self.punt.resolve(frame) {
            Ok(()) => {
                self.tally.add(Counter::Punted, 1);
                true
            }
            Err(_refused) => {
                self.tally.drop(DropReason::PuntQueueFull);
                false
            }
        }
    }
}
