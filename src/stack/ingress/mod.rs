//! What becomes of a received frame: every check that a host owes its network, in order, with a reason for each refusal.
//!
//! This is the path that can do everything. The fast path takes the plain packets that pass all of it and leaves the
//! rest, untouched, to this one.

mod arp;
mod ipv4;
mod link;
mod udp;

use crate::io::{BufPool, Cast, DropReason, InterfaceId, PacketBuf, Parts};
use crate::rng::Rng;
use crate::stack::icmp::answer::{Question, Telling};
use crate::stack::icmp::received::Report;
use crate::stack::icmp::{self, Complaint, Offender};
use crate::stack::icmp_limit::{IcmpLimit, IcmpRates, Rate, TokenBucket};
use crate::stack::interface::{Interface, Interfaces};
use crate::stack::port_table::PortTable;
use crate::time::{Instant, WallClock};
use crate::wire::arp::Packet;
use crate::wire::ethernet::{ETHERTYPE_ARP, ETHERTYPE_IPV4};
use crate::wire::ipv4::Ipv4;
use crate::wire::vlan::untag;
use link::Link;

/// What a frame turned out to be for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Punted {
    /// The neighbour cache.
    Arp,
    /// Group management.
    Igmp,
}

/// What becomes of a packet. Each arm owns the buffers that go on living: nothing is both sent and freed, nor neither.
#[derive(Debug)]
#[must_use]
pub enum Verdict<B> {
    /// A datagram for the socket in the parts.
    Deliver(B, Parts),
    /// An answer, made in the packet itself: it goes out by the way it came.
    Hairpin(B),
    /// An ICMP error about a datagram of ours: its service may be told, and path MTU discovery. The packet is done with.
    Report(Report),
    /// For control, which looks at it for this interface.
    Punt(Punted, InterfaceId, B),
    /// Dropped, and an ICMP error about it goes out; `None` if the rate limit or an empty pool withheld it.
    Reject(DropReason, Option<B>),
    /// Dropped.
    Drop(DropReason),
}

/// What the frame's bytes alone decide: a verdict that owns nothing yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Decision {
    Deliver(Parts),
    Answer(IcmpQuestion, Question),
    Report(Report),
    Punt(Punted),
    /// Dropped, and its sender may be told: the packet begins at this offset.
    Complain(DropReason, Complaint, u8),
    Drop(DropReason),
}

/// What is asked by ICMP.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum IcmpQuestion {
    Echo,
    Timestamp,
}

/// What ingress is told at the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct IngressOptions {
    /// How many ICMP errors may leave: this worker's share.
    pub icmp_rates: IcmpRates,
    /// The time of day, for ICMP timestamps.
    pub clock: WallClock,
}

/// Answers to echo requests to groups, where these are answered at all. C08: what is sent to many may be forged, and is
/// answered by many.
const GROUP_ECHOES: Rate = Rate::new(10, 10);

/// The state that ingress keeps: how many errors may still leave.
#[derive(Debug)]
pub struct Ingress {
    icmp_limit: IcmpLimit,
    group_echoes: TokenBucket,
    clock: WallClock,
    rng: Rng,
}

impl Ingress {
    /// Fresh state.
    #[must_use]
    pub fn new(now: Instant, rng: &mut Rng, options: IngressOptions) -> Self {
        let mut rng = rng.fork();
        let icmp_limit = IcmpLimit::new(now, &mut rng, options.icmp_rates);
        Self { icmp_limit, group_echoes: TokenBucket::full(now, GROUP_ECHOES), clock: options.clock, rng }
    }

    /// What becomes of `buf`, received on the port of `interfaces`.
    pub fn ingress<P: BufPool>(
        &mut self,
        now: Instant,
        mut buf: P::Buf,
        interfaces: &Interfaces,
        table: &PortTable,
        pool: &P,
    ) -> Verdict<P::Buf> {
        let (interface, decision) = match decide(&buf, interfaces, table) {
            Ok(decided) => decided,
            Err(why) => return Verdict::Drop(why),
        };
        match decision {
            Decision::Deliver(parts) => Verdict::Deliver(buf, parts),
            Decision::Punt(to) => Verdict::Punt(to, interface.id, buf),
            Decision::Drop(why) => Verdict::Drop(why),
            Decision::Report(report) => Verdict::Report(report),
            Decision::Answer(asked, question) => match self.answer(now, &mut buf, asked, question, interface)
            {
                Ok(()) => Verdict::Hairpin(buf),
                Err(why) => Verdict::Drop(why),
            },
            Decision::Complain(why, complaint, l3) => {
                match Offender::of(buf.data(), usize::from(l3), buf.body(), interface) {
                    Some(about) => {
                        Verdict::Reject(why, self.complain(now, &about, complaint, interface, pool))
                    }
                    None => Verdict::Drop(why),
                }
            }
        }
    }

    /// The frame that tells the sender of `about` what is wrong with it. `None` if the rate limit or an empty pool withholds
    /// it.
    pub fn complain<P: BufPool>(
        &mut self,
        now: Instant,
        about: &Offender<'_>,
        complaint: Complaint,
        interface: &Interface,
        pool: &P,
    ) -> Option<P::Buf> {
        // C05: asked only about packets that nobody forbids to complain about: these alone spend it.
        if !self.icmp_limit.allows(now, &mut self.rng, about.src()) {
            return None;
        }
        icmp::complain(about, complaint, self.random_id(), interface, pool)
    }

    /// Makes the question in `buf` its own answer.
    fn answer<B: PacketBuf>(
        &mut self,
        now: Instant,
        buf: &mut B,
        asked: IcmpQuestion,
        question: Question,
        interface: &Interface,
    ) -> Result<(), DropReason> {
        if question.cast != Cast::Unicast && !self.group_echoes.take(now, GROUP_ECHOES) {
            return Err(DropReason::IcmpEchoGroupRate);
        }
        let telling = Telling { interface, time: self.clock.millis_of_day(now), id: self.random_id() };
        let made = match asked {
            IcmpQuestion::Echo => icmp::echo_reply(buf, question, telling),
            IcmpQuestion::Timestamp => icmp::timestamp_reply(buf, question, telling),
        };
        if made { Ok(()) } else { Err(DropReason::ReplyImpossible) }
    }

    /// I20, RFC 6864 4: unpredictable.
    fn random_id(&mut self) -> u16 {
        let [a, b, ..] = self.rng.u64().to_le_bytes();
        u16::from_le_bytes([a, b])
    }
}

/// The ARP packet in a frame that was punted as one.
#[must_use]
pub fn arp_packet(frame: &[u8]) -> Option<Packet> {
    untag(frame).ok().and_then(|untagged| Packet::parse(untagged.l3))
}

/// The payload of the IPv4 packet in a frame that was punted.
#[must_use]
pub fn ipv4_payload(frame: &[u8]) -> Option<&[u8]> {
    let untagged = untag(frame).ok()?;
    Ipv4::parse(untagged.l3).ok().map(|ip| ip.payload())
}

/// Ethernet, which leads to an interface, then whatever it carries.
fn decide<'a, B: PacketBuf>(
    buf: &B,
    interfaces: &'a Interfaces,
    table: &PortTable,
) -> Result<(&'a Interface, Decision), DropReason> {
    if !buf.is_single_segment() {
        return Err(DropReason::MultiSegment);
    }
    let meta = buf.rx_meta();
    let link = Link::parse(buf.data(), meta, interfaces)?;
    let decision = match link.ethertype {
        ETHERTYPE_IPV4 => ipv4::decide(&link, meta, table),
        ETHERTYPE_ARP => arp::decide(&link),
        // E13: what is below 0x600 is an 802.3 length and no type; it is among the unknown.
        _ => Decision::Drop(DropReason::EtherTypeUnknown),
    };
    let interface = interfaces.get(link.interface.id).ok_or(DropReason::VlanUnknown)?;
    Ok((interface, decision))
}
