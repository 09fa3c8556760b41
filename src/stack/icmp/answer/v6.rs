//! Answers to questions of ICMPv6: there is one.

use super::{Made, Question, Telling, message, send_back};
use crate::addr::V6;
use crate::io::{Cast, PacketBuf};
use crate::stack::egress::{Answer, Emit};
use crate::stack::fragmentation::Ids;
use crate::wire::icmpv6;
use crate::wire::ipv6::{Ipv6, NEXT_HEADER_ICMPV6};

/// Turns the echo request in `buf` into its reply. Nothing if the buffer is shared, or there is no address to answer from.
// K05, RFC 4443 4.2: identifier, sequence and data stay; what was sent to a group is answered from an address of ours, that
// source selection chooses for the asker. As Linux does, the traffic class stays; extension headers do not.
pub(super) fn echo_reply<B: PacketBuf>(
    buf: &mut B,
    question: Question,
    telling: Telling<'_>,
    ids: &mut Ids,
) -> Made {
    reply(buf, question, telling, ids).unwrap_or(Made::Nothing)
}

fn reply<B: PacketBuf>(buf: &mut B, question: Question, telling: Telling<'_>, ids: &mut Ids) -> Option<Made> {
    let ip = Ipv6::parse_front(buf.data().get(usize::from(question.l3)..)?).ok()?;
    let (asked, peer, tos) = (ip.dst(), ip.src(), ip.traffic_class());
    let interface = telling.interface;
    let own = match question.cast {
        Cast::Unicast => asked,
        Cast::Multicast | Cast::Broadcast => interface.v6.address_towards(peer)?,
    };
    let message = message(buf, question)?;
    if !icmpv6::make_echo_reply(message, asked, own) {
        return None;
    }
    // V13, RFC 6437 3: the echoes of one identifier are a flow.
    let [kind, code, _, _, id @ ..] = *message.first_chunk::<6>()?;
    let flow = [kind, code, id[0], id[1]];
    let own_part = V6::own((own, peer), NEXT_HEADER_ICMPV6, flow, true, ids, interface);
    let answer = Answer::<V6> {
        src: own,
        dst: peer,
        protocol: NEXT_HEADER_ICMPV6,
        tos,
        hop_limit: None,
        own: own_part,
    };
    Some(send_back(buf, question, answer, telling, ids))
}
