//! Answers to ICMP questions, made in place.

use core::net::Ipv4Addr;

use crate::io::{Cast, PacketBuf};
use crate::stack::egress::{self, Answer, Cutting, L4};
use crate::stack::interface::Interface;
use crate::wire::icmpv4;
use crate::wire::ipv4::{EchoedOptions, Ipv4, PROTOCOL_ICMP, Stamp};

/// A question, as ingress found it in a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Question {
    /// Offset of the IP header.
    pub l3: u8,
    /// The ICMP message.
    pub l4: L4,
    /// To whom it was addressed.
    pub cast: Cast,
}

/// What an answer is told beside its question.
#[derive(Clone, Copy, Debug)]
pub struct Telling<'a> {
    /// By which interface it came and is answered.
    pub interface: &'a Interface,
    /// Milliseconds since midnight UT.
    pub time: u32,
    /// The identification of the answer.
    pub id: u16,
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
        let ip = Ipv4::parse(buf.data().get(usize::from(question.l3)..)?).ok()?;
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

    /// Sends the message `l4`, which is the answer's now, back.
    // I23, RFC 1122 3.2.2.6: the type of service stays. As Linux does, routers may fragment it: nobody would hear if not.
    fn send_back<B: PacketBuf>(&self, buf: &mut B, l4: L4, telling: Telling<'_>) -> bool {
        let answer = Answer {
            src: self.own,
            dst: self.peer,
            protocol: PROTOCOL_ICMP,
            tos: self.tos,
            cutting: Cutting::Allowed(telling.id),
            options: self.options.as_bytes(),
        };
        egress::send_back(buf, l4, answer, telling.interface)
    }
}

/// Turns the echo request in `buf` into its reply. False if the buffer is shared, or the reply larger than the link
/// carries, or an option of it cannot be filled in.
// C06, RFC 1122 3.2.2.6: identifier, sequence and data stay. I17: its record route and timestamp are in the reply.
pub fn echo_reply<B: PacketBuf>(buf: &mut B, question: Question, telling: Telling<'_>) -> bool {
    let Some(head) = Head::of(buf, question, telling) else { return false };
    message(buf, question.l4).is_some_and(icmpv4::make_echo_reply)
        && head.send_back(buf, question.l4, telling)
}

/// Turns the timestamp request in `buf` into its reply. False as for [`echo_reply`].
// C10, RFC 1122 3.2.2.8.
pub fn timestamp_reply<B: PacketBuf>(buf: &mut B, question: Question, telling: Telling<'_>) -> bool {
    let Some(head) = Head::of(buf, question, telling) else { return false };
    let made = message(buf, question.l4).and_then(|m| icmpv4::make_timestamp_reply(m, telling.time));
    let Some(len) = made.and_then(|len| u16::try_from(len).ok()) else { return false };
    head.send_back(buf, L4 { len, ..question.l4 }, telling)
}

fn message<B: PacketBuf>(buf: &mut B, l4: L4) -> Option<&mut [u8]> {
    let start = usize::from(l4.offset);
    buf.unique()?.get_mut(start..start + usize::from(l4.len))
}
