//! Answers to questions of ICMP for IPv4.

use core::net::Ipv4Addr;

use super::{Made, Question, Telling, message, send_back};
use crate::addr::V4;
use crate::io::{Cast, PacketBuf};
use crate::stack::egress::{Answer, Cutting, L4, Options4};
use crate::stack::fragmentation::Ids;
use crate::wire::icmpv4;
use crate::wire::ipv4::{EchoedOptions, Ipv4, PROTOCOL_ICMP, Stamp};

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

    // I23, RFC 1122 3.2.2.6: the type of service stays.
    fn answer(&self, ids: &mut Ids) -> Answer<'_, V4> {
        let Self { own, peer, tos, ref options } = *self;
        let cutting = Cutting::Allowed(ids.draw(own, peer, PROTOCOL_ICMP));
        let own_part = Options4 { cutting, options: options.as_bytes() };
        Answer { src: own, dst: peer, protocol: PROTOCOL_ICMP, tos, hop_limit: None, own: own_part }
    }
}

/// Turns the echo request in `buf` into its reply. Nothing if the buffer is shared, or an option of it cannot be filled in.
// C06, RFC 1122 3.2.2.6: identifier, sequence and data stay. I17: its record route and timestamp are in the reply.
pub(super) fn echo_reply<B: PacketBuf>(
    buf: &mut B,
    question: Question,
    telling: Telling<'_>,
    ids: &mut Ids,
) -> Made {
    let Some(head) = Head::of(buf, question, telling) else { return Made::Nothing };
    match message(buf, question).map(icmpv4::make_echo_reply) {
        Some(true) => send_back(buf, question, head.answer(ids), telling, ids),
        Some(false) | None => Made::Nothing,
    }
}

/// Turns the timestamp request in `buf` into its reply. Nothing as for an echo.
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
    send_back(buf, Question { l4, ..question }, head.answer(ids), telling, ids)
}
