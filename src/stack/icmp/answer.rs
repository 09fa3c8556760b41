//! Answers to ICMP questions, made in place.

use core::net::Ipv4Addr;

use crate::addr::V4;
use crate::io::{Cast, PacketBuf, PmtuDiscovery};
use crate::stack::egress::{self, Answer, Cutting, L4, Options4};
use crate::stack::fragmentation::{Ids, Outgoing, Payload};
use crate::stack::interface::Interface;
use crate::stack::pmtu::{self, Sending};
use crate::time::Instant;
use crate::wire::ethernet::Header;
use crate::wire::icmpv4;
use crate::wire::ipv4::{self, EchoedOptions, Ipv4, PROTOCOL_ICMP, Stamp};

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

/// What of the question's header is in the answer's.
struct Head {
    own: Ipv4Addr,
    peer: Ipv4Addr,
    tos: u8,
    options: EchoedOptions,
}

impl Head {
    /// `None`: the question cannot be answered.
    // C08, U21: a question to many is answered from our own address.
    fn of<B: PacketBuf>(buf: &B, question: Question, telling: Telling<'_>) -> Option<Self> {
        let ip = Ipv4::parse_front(buf.data().get(usize::from(question.l3)..)?).ok()?;
        let inet = &telling.interface.v4;
        let own = match question.cast {
            Cast::Unicast => ip.dst(),
            Cast::Multicast | Cast::Broadcast => inet.address_towards(ip.src())?,
        };
        let stamp = Stamp { own, time: telling.time };
        let options = EchoedOptions::of(ip.options(), stamp, |addr| inet.is_own(addr))?;
        // X03, I10: nobody can be answered at the address of no one.
        (!ip.src().is_unspecified()).then(|| Self { own, peer: ip.src(), tos: ip.tos(), options })
    }

    /// Sends the message at `l4`, which is the answer's now, back.
    // I23, RFC 1122 3.2.2.6: the type of service stays. As Linux does, routers may fragment it: nobody would hear if not; and
    // what the path is known not to carry leaves in fragments.
    fn send_back<B: PacketBuf>(
        &self,
        buf: &mut B,
        question: Question,
        telling: Telling<'_>,
        ids: &mut Ids,
    ) -> Made {
        let Question { l4, in_body, .. } = question;
        let interface = telling.interface;
        let answer = Answer::<V4> {
            src: self.own,
            dst: self.peer,
            protocol: PROTOCOL_ICMP,
            tos: self.tos,
            own: Options4 {
                cutting: Cutting::Allowed(ids.draw(self.own, self.peer, PROTOCOL_ICMP)),
                options: self.options.as_bytes(),
            },
        };
        let len = ipv4::HEADER_LEN + answer.own.options.len() + usize::from(l4.len);
        let path = interface.v4.paths.path(telling.now, self.peer);
        let mtu = match pmtu::sending(len, PmtuDiscovery::Dont, path, interface.mtu) {
            Sending::Fragments { mtu } => mtu,
            // F10: the answer to what takes several buffers may fit into one packet, and needs another.
            _ if in_body => interface.mtu,
            _ if egress::send_back(buf, l4, answer, interface) => return Made::Whole,
            _ => return Made::Nothing,
        };
        let payload = Payload { in_body, offset: l4.offset, len: l4.len };
        let to = Header::parse(buf.data()).map(|(request, _)| request.src);
        to.and_then(|mac| egress::to_cut(mac, answer, payload, mtu, ids, interface))
            .map_or(Made::Nothing, Made::Long)
    }
}

/// Turns the echo request in `buf` into its reply. Nothing if the buffer is shared, or an option of it cannot be filled in.
// C06, RFC 1122 3.2.2.6: identifier, sequence and data stay. I17: its record route and timestamp are in the reply.
pub fn echo_reply<B: PacketBuf>(
    buf: &mut B,
    question: Question,
    telling: Telling<'_>,
    ids: &mut Ids,
) -> Made {
    let Some(head) = Head::of(buf, question, telling) else { return Made::Nothing };
    match message(buf, question).map(icmpv4::make_echo_reply) {
        Some(true) => head.send_back(buf, question, telling, ids),
        Some(false) | None => Made::Nothing,
    }
}

/// Turns the timestamp request in `buf` into its reply. Nothing as for [`echo_reply`].
// C10, RFC 1122 3.2.2.8.
pub fn timestamp_reply<B: PacketBuf>(
    buf: &mut B,
    question: Question,
    telling: Telling<'_>,
    ids: &mut Ids,
) -> Made {
    let Some(head) = Head::of(buf, question, telling) else { return Made::Nothing };
    let made = message(buf, question).and_then(|m| icmpv4::make_timestamp_reply(m, telling.time));
    let Some(len) = made.and_then(|len| u16::try_from(len).ok()) else { return Made::Nothing };
    let l4 = L4 { len, ..question.l4 };
    head.send_back(buf, Question { l4, ..question }, telling, ids)
}

fn message<B: PacketBuf>(buf: &mut B, question: Question) -> Option<&mut [u8]> {
    let Question { l4: L4 { offset, len }, in_body, .. } = question;
    Payload { in_body, offset, len }.of_mut(buf)
}
