//! What becomes of a received frame: every check that a host owes its network, in order, with a reason for each refusal.
//!
//! This is the path that can do everything. The fast path takes the plain packets that pass all of it and leaves the
//! rest, untouched, to this one.

mod arp;
mod ipv4;
mod link;
mod udp;

use crate::io::{BufPool, DropReason, InterfaceId, PacketBuf, Parts, linearise};
use crate::rng::Rng;
use crate::stack::fragmentation::{Ids, Outgoing};
use crate::stack::icmp_limit::{IcmpLimit, IcmpRates};
use crate::stack::interface::{Interface, Interfaces};
use crate::stack::port_table::PortTable;
use crate::stack::reassembly::Fragment;
use crate::stack::{egress, icmp};
use crate::time::Instant;
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
    /// The same, too long to leave in one piece, by this interface.
    HairpinInFragments(InterfaceId, B, Outgoing),
    /// A fragment: it is to be put together with the others of its datagram.
    Fragment(Fragment, B),
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
    /// An ICMP echo request to answer: its ICMP message and the packet's type of service.
    Echo(egress::L4, u8),
    Punt(Punted),
    Fragment(Fragment),
    /// Nobody listens on the port: the packet begins at this offset.
    PortUnreachable(u8),
    Drop(DropReason),
}

/// The state that ingress keeps: how many errors may still leave.
#[derive(Debug)]
pub struct Ingress {
    icmp_limit: IcmpLimit,
    rng: Rng,
    /// The identifications of ICMP messages.
    ids: Ids,
}

impl Ingress {
    /// Fresh state.
    #[must_use]
    pub fn new(now: Instant, rng: &mut Rng, ids: Ids) -> Self {
        let mut rng = rng.fork();
        Self { icmp_limit: IcmpLimit::new(now, &mut rng, IcmpRates::default()), rng, ids }
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
        if !buf.is_single_segment() && buf.body().is_none() {
            match linearise(&buf, pool) {
                Some(whole) => buf = whole,
                None => return Verdict::Drop(DropReason::NoBuffer),
            }
        }
        let (interface, decision) = match decide(&buf, interfaces, table) {
            Ok(decided) => decided,
            Err(why) => return Verdict::Drop(why),
        };
        match decision {
            Decision::Deliver(parts) => Verdict::Deliver(buf, parts),
            Decision::Punt(to) => Verdict::Punt(to, interface.id, buf),
            Decision::Fragment(fragment) => Verdict::Fragment(fragment, buf),
            Decision::Drop(why) => Verdict::Drop(why),
            Decision::Echo(l4, tos) => {
                if icmp::echo_reply(&mut buf, l4, tos, interface) {
                    Verdict::Hairpin(buf)
                } else {
                    Verdict::Drop(DropReason::ReplyImpossible)
                }
            }
            Decision::PortUnreachable(l3) => {
                let error = self.port_unreachable(now, buf.data(), l3, interface, pool);
                Verdict::Reject(DropReason::UdpNoPort, error)
            }
        }
    }

    fn port_unreachable<P: BufPool>(
        &mut self,
        now: Instant,
        frame: &[u8],
        l3: u8,
        interface: &Interface,
        pool: &P,
    ) -> Option<P::Buf> {
        let about = icmp::Offender::of(frame, usize::from(l3))?;
        if !self.icmp_limit.allows(now, &mut self.rng, about.src()) {
            return None;
        }
        icmp::port_unreachable(&about, interface, pool)
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
    let meta = buf.rx_meta();
    let link = Link::parse(buf.data(), meta, interfaces)?;
    let decision = match link.ethertype {
        ETHERTYPE_IPV4 => ipv4::decide(&link, buf.body(), meta, table),
        ETHERTYPE_ARP => arp::decide(&link),
        // E13: what is below 0x600 is an 802.3 length and no type; it is among the unknown.
        _ => Decision::Drop(DropReason::EtherTypeUnknown),
    };
    let interface = interfaces.get(link.interface.id).ok_or(DropReason::VlanUnknown)?;
    Ok((interface, decision))
}
