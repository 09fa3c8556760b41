//! What becomes of a received frame: every check that a host owes its network, in order, with a reason for each refusal.
//!
//! This is the path that can do everything. The fast path takes the plain packets that pass all of it and leaves the
//! rest, untouched, to this one.

mod arp;
mod icmpv6;
mod ipv4;
mod ipv6;
mod link;
mod udp;
mod uoa;

use crate::io::{BufPool, Cast, DropReason, InterfaceId, PacketBuf, Parts, linearise};
use crate::rng::Rng;
use crate::stack::fragmentation::{IdSpace, Ids, Outgoing};
use crate::stack::icmp::answer::{Made, Question, Telling};
use crate::stack::icmp::received::Report;
use crate::stack::icmp::{self, Complaint, Offender};
use crate::stack::icmp_limit::{IcmpLimit, IcmpRates, Rate, TokenBucket};
use crate::stack::interface::{Interface, Interfaces};
use crate::stack::port_table::PortTable;
use crate::stack::reassembly::Fragment;
use crate::stack::uoa::{Seen, Trusted};
use crate::time::{Instant, WallClock};
use crate::wire::arp::Packet;
use crate::wire::ethernet::{ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6};
use crate::wire::ipv4::Ipv4;
use crate::wire::ipv6::{HEADER_LEN as IPV6_HEADER_LEN, PAYLOAD_LEN_OFFSET};
use crate::wire::vlan::untag;
use link::Link;
use uoa::Said;

/// What a frame turned out to be for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Punted {
    /// The neighbour cache.
    Arp,
    /// Group management.
    Igmp,
    /// Neighbours, routers and addresses of IPv6.
    Ndp,
    /// Group management of IPv6.
    Mld,
}

/// What becomes of a packet. Each arm owns the buffers that go on living: nothing is both sent and freed, nor neither.
#[derive(Debug)]
#[must_use]
pub enum Verdict<B> {
    /// A datagram for the socket in the parts.
    Deliver(B, Parts),
    /// An answer, made in the packet itself: it goes out by the way it came.
    Hairpin(B),
    /// The same, too long to leave in one piece, by this interface.
    HairpinInFragments(InterfaceId, B, Outgoing),
    /// A fragment: it is to be put together with the others of its datagram.
    Fragment(Fragment, B),
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
    Deliver(Parts, Said),
    Answer(IcmpQuestion, Question),
    Report(Report),
    Punt(Punted),
    Fragment(Fragment),
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
    /// The identifications of ICMP messages.
    pub ids: IdSpace,
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
    /// The identifications of ICMP messages.
    ids: Ids,
    trusted: Trusted,
    seen: Seen,
}

impl Ingress {
    /// Fresh state.
    #[must_use]
    pub fn new(now: Instant, rng: &mut Rng, options: IngressOptions) -> Self {
        let mut rng = rng.fork();
        let icmp_limit = IcmpLimit::new(now, &mut rng, options.icmp_rates);
        let ids = Ids::new(options.ids, &mut rng);
        let group_echoes = TokenBucket::full(now, GROUP_ECHOES);
        let (trusted, seen) = (Trusted::default(), Seen::default());
        Self { icmp_limit, group_echoes, clock: options.clock, rng, ids, trusted, seen }
    }

    /// The same, which believes what these balancers say of their clients.
    #[must_use]
    pub fn trusting(self, trusted: Trusted) -> Self {
        Self { trusted, ..self }
    }

    /// What packets said of clients since this was last asked.
    pub fn take_seen(&mut self) -> Seen {
        core::mem::take(&mut self.seen)
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
        // E17: what follows reads frames in one piece.
        let mut is_large = false;
        if !buf.is_single_segment() && buf.body().is_none() {
            match linearise(&buf, packet_end(&buf), pool) {
                Some(whole) => (buf, is_large) = whole,
                None => return Verdict::Drop(DropReason::NoBuffer),
            }
        }
        let (interface, decision) = match decide(&buf, interfaces, &self.trusted, table) {
            Ok(decided) => decided,
            Err(why) => return Verdict::Drop(why),
        };
        match decision {
            // F11: the few large buffers are for what is put together. A neighbour whose frames are longer than our link
            // carries may not have them held for as long as a datagram, or control, takes.
            Decision::Fragment(_) | Decision::Punt(_) if is_large => Verdict::Drop(DropReason::NoBuffer),
            Decision::Deliver(parts, said) if is_large => {
                // U03: no more of it than its UDP length says is needed, for its answer may be held.
                match linearise(&buf, parts.l4() + usize::from(parts.udp_len()), pool) {
                    Some((short, false)) => self.deliver(short, parts, said),
                    _ => self.deliver(buf, parts, said),
                }
            }
            Decision::Deliver(parts, said) => self.deliver(buf, parts, said),
            Decision::Punt(to) => Verdict::Punt(to, interface.id, buf),
            Decision::Fragment(fragment) => Verdict::Fragment(fragment, buf),
            Decision::Drop(why) => Verdict::Drop(why),
            Decision::Report(report) => Verdict::Report(report),
            Decision::Answer(asked, question) => match self.answer(now, &mut buf, asked, question, interface)
            {
                Ok(None) => Verdict::Hairpin(buf),
                Ok(Some(long)) => Verdict::HairpinInFragments(interface.id, buf, long),
                Err(why) => Verdict::Drop(why),
            },
            Decision::Complain(why, complaint, l3) => {
                match Offender::of(buf.data(), usize::from(l3), buf.body(), complaint, interface) {
                    Some(about) => Verdict::Reject(why, self.complain(now, &about, interface, pool)),
                    None => Verdict::Drop(why),
                }
            }
        }
    }

    /// Delivers a datagram, with what a balancer said of its client.
    fn deliver<B: PacketBuf>(&mut self, mut buf: B, parts: Parts, said: Said) -> Verdict<B> {
        let noted = match said {
            Said::Client(client) => buf.set_real_client(client),
            _ => false,
        };
        // Without room to note a client, it is as if it could not have been read.
        let said = if matches!(said, Said::Client(_)) && !noted { Said::Missed } else { said };
        said.count(&mut self.seen);
        Verdict::Deliver(buf, parts.with_real_client(noted))
    }

    /// The frame that tells the sender of `about` what is wrong with it. `None` if the rate limit or an empty pool withholds
    /// it.
    pub fn complain<P: BufPool>(
        &mut self,
        now: Instant,
        about: &Offender<'_>,
        interface: &Interface,
        pool: &P,
    ) -> Option<P::Buf> {
        // C05, K04: asked only about packets that nobody forbids to complain about: these alone spend it.
        if !self.icmp_limit.allows(now, &mut self.rng, about.account(interface)) {
            return None;
        }
        icmp::complain(about, &mut self.ids, interface, pool)
    }

    /// The frame that tells the sender of `first`, the first fragment of a datagram whose time is over, that came in by the
    /// interface `id` and has its IP header at `l3`. `None`: it may not be told, or is not.
    // F09, RFC 1122 3.3.2.
    pub fn reassembly_time_exceeded<P: BufPool>(
        &mut self,
        now: Instant,
        first: &P::Buf,
        (id, l3): (InterfaceId, u8),
        interfaces: &Interfaces,
        pool: &P,
    ) -> Option<P::Buf> {
        let interface = interfaces.get(id)?;
        let about = Offender::of(first.data(), usize::from(l3), None, Complaint::ReassemblyTime, interface)?;
        self.complain(now, &about, interface, pool)
    }

    /// Makes the question in `buf` its own answer. `Some`: it is to be cut.
    fn answer<B: PacketBuf>(
        &mut self,
        now: Instant,
        buf: &mut B,
        asked: IcmpQuestion,
        question: Question,
        interface: &Interface,
    ) -> Result<Option<Outgoing>, DropReason> {
        if question.cast != Cast::Unicast && !self.group_echoes.take(now, GROUP_ECHOES) {
            return Err(DropReason::IcmpEchoGroupRate);
        }
        let telling = Telling { interface, now, time: self.clock.millis_of_day(now) };
        let made = match asked {
            IcmpQuestion::Echo => icmp::echo_reply(buf, question, telling, &mut self.ids),
            IcmpQuestion::Timestamp => icmp::timestamp_reply(buf, question, telling, &mut self.ids),
        };
        match made {
            Made::Whole => Ok(None),
            Made::Long(out) => Ok(Some(out)),
            Made::Nothing => Err(DropReason::ReplyImpossible),
        }
    }
}

/// Where the packet in the frame of `buf` ends, so far as its first segment tells: what is behind it is padding.
fn packet_end<B: PacketBuf>(buf: &B) -> usize {
    let end = untag(buf.data()).ok().and_then(|frame| match frame.ethertype {
        ETHERTYPE_IPV4 => frame.l3.get(2..)?.first_chunk().map(|len| (frame, len_of(*len))),
        ETHERTYPE_IPV6 => {
            let len = frame.l3.get(PAYLOAD_LEN_OFFSET..)?.first_chunk()?;
            Some((frame, IPV6_HEADER_LEN + len_of(*len)))
        }
        _ => Some((frame, PADDED_MIN)),
    });
    let end = end.map(|(frame, len)| frame.l3_offset + len);
    end.unwrap_or(usize::MAX).min(buf.frame_len())
}

/// A length as its field says it.
fn len_of(field: [u8; 2]) -> usize {
    u16::from_be_bytes(field).into()
}

/// The least bytes behind the Ethernet header of a frame: more than ARP has.
const PADDED_MIN: usize = 46;

/// The ARP packet in a frame that was punted as one.
#[must_use]
pub fn arp_packet(frame: &[u8]) -> Option<Packet> {
    untag(frame).ok().and_then(|untagged| Packet::parse(untagged.l3))
}

/// The payload of the IPv4 packet in a frame that was punted.
#[must_use]
pub fn ipv4_packet(frame: &[u8]) -> Option<Ipv4<'_>> {
    let untagged = untag(frame).ok()?;
    Ipv4::parse(untagged.l3).ok()
}

/// Ethernet, which leads to an interface, then whatever it carries.
fn decide<'a, B: PacketBuf>(
    buf: &B,
    interfaces: &'a Interfaces,
    trusted: &Trusted,
    table: &PortTable,
) -> Result<(&'a Interface, Decision), DropReason> {
    let meta = buf.rx_meta();
    let link = Link::parse(buf.data(), meta, interfaces)?;
    let decision = match link.ethertype {
        ETHERTYPE_IPV4 => ipv4::decide(&link, buf.body(), meta, trusted, table),
        ETHERTYPE_IPV6 => ipv6::decide(&link, buf.body(), meta, trusted, table),
        ETHERTYPE_ARP => arp::decide(&link),
        // E13: what is below 0x600 is an 802.3 length and no type; it is among the unknown.
        _ => Decision::Drop(DropReason::EtherTypeUnknown),
    };
    let interface = interfaces.get(link.interface.id).ok_or(DropReason::VlanUnknown)?;
    Ok((interface, decision))
}
