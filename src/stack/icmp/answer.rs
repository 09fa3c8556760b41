//! Answers to ICMP questions, made in place.

mod v4;
mod v6;

use crate::addr::{Family, V6};
use crate::io::{Cast, PacketBuf, PmtuDiscovery};
use crate::stack::egress::{self, Answer, Emit, L4};
use crate::stack::fragmentation::{Ids, Outgoing, Payload};
use crate::stack::interface::Interface;
use crate::stack::pmtu::{self, Sending};
use crate::time::Instant;
use crate::wire::ethernet::Header;

pub use v4::timestamp_reply;

/// A question, as ingress found it in a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Question {
    /// Offset of the IP header.
    pub l3: u8,
    /// The ICMP message: in the frame, or all of the packet's body.
    pub l4: L4,
    /// Whether it is in the body.
    pub in_body: bool,
    /// To whom it was addressed.
    pub cast: Cast,
}

/// What an answer is told beside its question.
#[derive(Clone, Copy, Debug)]
pub struct Telling<'a> {
    /// By which interface it came and is answered.
    pub interface: &'a Interface,
    /// The moment.
    pub now: Instant,
    /// Milliseconds since midnight UT.
    pub time: u32,
}

/// What became of a question.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Made {
    /// The frame of its answer.
    Whole,
    /// An answer that is longer than its path carries: to be cut.
    Long(Outgoing),
    /// It cannot be answered.
    Nothing,
}

/// Turns the echo request in `buf`, of either IP version, into its reply. Nothing if the buffer is shared, an option of it
/// cannot be filled in, or there is no address to answer from.
pub fn echo_reply<B: PacketBuf>(
    buf: &mut B,
    question: Question,
    telling: Telling<'_>,
    ids: &mut Ids,
) -> Made {
    match buf.data().get(usize::from(question.l3)).map(|first| first >> 4) {
        Some(V6::VERSION) => v6::echo_reply(buf, question, telling, ids),
        _ => v4::echo_reply(buf, question, telling, ids),
    }
}

/// Sends the message of `question`, which is that of `answer` now, back.
// As Linux does, routers may fragment it if they can: nobody would hear if not; and what the path is known not to carry leaves
// in fragments.
fn send_back<F: Emit, B: PacketBuf>(
    buf: &mut B,
    question: Question,
    answer: Answer<'_, F>,
    telling: Telling<'_>,
    ids: &mut Ids,
) -> Made {
    let Question { l4, in_body, .. } = question;
    let interface = telling.interface;
    let len = F::header_len(&answer.own) + usize::from(l4.len);
    let path = F::inet(interface).paths.path(telling.now, answer.dst);
    let mtu = match pmtu::sending(len, PmtuDiscovery::Dont, path, F::mtu(interface)) {
        Sending::Fragments { mtu } => mtu,
        // F10: the answer to what takes several buffers may fit into one packet, and needs another.
        _ if in_body => F::mtu(interface),
        _ if egress::send_back(buf, l4, answer, interface) => return Made::Whole,
        _ => return Made::Nothing,
    };
    let payload = Payload { in_body, offset: l4.offset, len: l4.len };
    let to = Header::parse(buf.data()).map(|(request, _)| request.src);
    to.and_then(|mac| egress::to_cut(mac, answer, payload, mtu, ids, interface))
        .map_or(Made::Nothing, Made::Long)
}

fn message<B: PacketBuf>(buf: &mut B, question: Question) -> Option<&mut [u8]> {
    let Question { l4: L4 { offset, len }, in_body, .. } = question;
    Payload { in_body, offset, len }.of_mut(buf)
}
