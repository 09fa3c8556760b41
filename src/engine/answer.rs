//! How a service's answer leaves its port.
//!
//! The fast path turns a plain request round. Whatever it leaves, other shapes, other ways and other sizes, is answered
//! here, a packet at a time.

use super::port_io::PortIo;
use crate::fastpath;
use crate::io::{DropReason, Nic, Parts, PmtuDiscovery, ReplyPath};
use crate::stack::egress;

/// How the answers of a service leave.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Manner {
    /// To whom.
    pub reply: ReplyPath,
    /// How large.
    pub path_mtu_discovery: PmtuDiscovery,
}

impl Manner {
    /// Whether a request that is turned round, if it fits every path, is the right answer.
    #[inline]
    const fn is_plain(self) -> bool {
        matches!((self.reply, self.path_mtu_discovery), (ReplyPath::Reflect, PmtuDiscovery::Want))
    }
}

impl<N: Nic> PortIo<N> {
    /// Answers the request in `buf`. False if it cannot be answered: then it is dropped, and counted.
    #[inline(always)]
    pub(super) fn answer(&mut self, mut buf: N::Buf, parts: Parts, manner: Manner) -> bool {
        // What came in by a tagged interface is not of the shape that the fast path answers.
        let untagged = self.interfaces.untagged().filter(|_| manner.is_plain());
        if untagged.is_some_and(|i| fastpath::reply(&mut buf, parts, &self.view, i)) {
            self.send(buf);
            return true;
        }
        self.answer_slowly(buf, parts)
    }

    #[inline(never)]
    fn answer_slowly(&mut self, mut buf: N::Buf, parts: Parts) -> bool {
        let interface = self.interfaces.get(parts.interface());
        let made = interface.is_some_and(|i| egress::udp_reply(&mut buf, parts, i));
        if made {
            self.send(buf);
        } else {
            self.tally.drop(DropReason::ReplyImpossible);
        }
        made
    }
}
