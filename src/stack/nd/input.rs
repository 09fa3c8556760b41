//! What a received message teaches of neighbours, and what answers it. RFC 4861 7.2.

use core::net::Ipv6Addr;

use super::output::Outgoing;
use crate::addr::{Family, MacAddr, V6};
use crate::io::DropReason;
use crate::stack::interface::Interface;
use crate::stack::neighbor::{Advertised, Evidence, NeighborCache};
use crate::stack::route::NextHop;
use crate::time::Instant;
use crate::wire::ethernet;
use crate::wire::ipv6::{HEADER_LEN, Ipv6, NEXT_HEADER_ICMPV6, ext};
use crate::wire::ndisc::{
    Envelope, Message, NdiscError, NeighborAdvertisement, NeighborSolicitation, Repr, RouterAdvertisement,
    TYPE_NEIGHBOR_ADVERTISEMENT, TYPE_REDIRECT, TYPE_ROUTER_ADVERTISEMENT,
};
use crate::wire::vlan::untag;

/// A message, and how it came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Received<'a> {
    /// What its IPv6 header says.
    pub envelope: Envelope,
    /// The Ethernet address that sent the frame.
    pub source_mac: MacAddr,
    /// What it says.
    pub message: Message<'a>,
}

/// What a message of neighbour discovery led to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// This answers it.
    Answer(Outgoing),
    /// The cache knows what it says, and nothing is to be said.
    Learned,
    /// The same, and it says that this one, which was a router, is none any more. RFC 4861 7.2.5: what went through it goes
    /// another way.
    NoRouter(Ipv6Addr),
    /// It concerns others, or cannot be.
    Ignored(DropReason),
}

/// The message in a frame that carries ICMPv6.
///
/// # Errors
/// Why it is dropped: what RFC 4861 checks of the packet alone.
pub fn read(frame: &[u8]) -> Result<Received<'_>, DropReason> {
    let (header, _) = ethernet::Header::parse(frame).ok_or(DropReason::NdpTruncated)?;
    let untagged = untag(frame).map_err(|_| DropReason::NdpTruncated)?;
    let ip = Ipv6::parse(untagged.l3).map_err(|_| DropReason::NdpTruncated)?;
    let chain = ext::walk(&ip).map_err(|_| DropReason::NdpTruncated)?;
    // W12, RFC 6980 5: in no fragment, not even in one that is alone.
    if chain.fragment.is_some() {
        return Err(DropReason::NdpFragment);
    }
    let message = usize::from(chain.offset).checked_sub(HEADER_LEN).and_then(|at| ip.payload().get(at..));
    let message = message.filter(|_| chain.protocol == NEXT_HEADER_ICMPV6).ok_or(DropReason::NdpTruncated)?;
    let envelope = Envelope { src: ip.src(), dst: ip.dst(), hop_limit: ip.hop_limit() };
    let message = Message::parse(envelope, message).map_err(refusal)?;
    Ok(Received { envelope, source_mac: header.src, message })
}

/// The source of the IPv6 packet in a frame.
#[must_use]
pub fn source_of(frame: &[u8]) -> Option<Ipv6Addr> {
    untag(frame).ok().and_then(|untagged| Ipv6::parse_front(untagged.l3).ok()).map(|ip| ip.src())
}

/// Who sends what there may be a flood of: each has its share of what waits for control.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Class {
    /// Whoever asks.
    Solicitation,
    /// Whoever answers, or says so.
    Neighbor,
    /// Routers, of whom there are few, and which speak seldom.
    Router,
}

/// Of which class the message in a frame is, of which it is known that it is neighbour discovery.
#[must_use]
pub fn class(frame: &[u8]) -> Class {
    let icmp_type = untag(frame).ok().and_then(|untagged| {
        let ip = Ipv6::parse(untagged.l3).ok()?;
        let chain = ext::walk(&ip).ok()?;
        untagged.l3.get(usize::from(chain.offset)).copied()
    });
    match icmp_type {
        Some(TYPE_ROUTER_ADVERTISEMENT | TYPE_REDIRECT) => Class::Router,
        Some(TYPE_NEIGHBOR_ADVERTISEMENT) => Class::Neighbor,
        _ => Class::Solicitation,
    }
}

/// Under which reason a message is dropped that RFC 4861 refuses.
// N01, N02, N13, N15: each is silent, and counted.
#[must_use]
pub const fn refusal(error: NdiscError) -> DropReason {
    match error {
        NdiscError::Truncated | NdiscError::UnknownType(_) => DropReason::NdpTruncated,
        NdiscError::Checksum => DropReason::NdpChecksum,
        NdiscError::HopLimit => DropReason::NdpHopLimit,
        NdiscError::Code => DropReason::NdpCode,
        NdiscError::OptionLength => DropReason::NdpOptionInvalid,
        NdiscError::LinkLayerAddress => DropReason::NdpLinkLayerAddress,
        NdiscError::Target => DropReason::NdpTargetInvalid,
        NdiscError::Source => DropReason::NdpSourceInvalid,
        NdiscError::SolicitedToGroup => DropReason::NdpSolicitedToGroup,
        NdiscError::Destination => DropReason::NdpRedirectInvalid,
    }
}

/// Deals with `received`, but for redirects and what routers say of the link: of these, with what they say of the router as a
/// neighbour.
// N05, RFC 4862 5.4: an address that is tentative is none of `interface`'s yet, so nothing is said of it.
pub fn input(
    now: Instant,
    received: &Received<'_>,
    interface: &Interface,
    cache: &mut NeighborCache<V6>,
) -> Outcome {
    // What claims to come from us does not: a loop, or another host with our address, of which nothing is believed.
    if interface.v6.is_own(received.envelope.src) {
        return Outcome::Ignored(DropReason::NdpConflict);
    }
    match &received.message {
        Message::NeighborSolicitation(ns) => solicited(now, received, ns, interface, cache),
        Message::NeighborAdvertisement(na) => advertised(now, na, interface, cache),
        Message::RouterAdvertisement(ra) => router(now, received.envelope.src, ra, cache),
        // RFC 4861 6.1.1: hosts ask, and do not answer.
        Message::RouterSolicitation(_) => Outcome::Ignored(DropReason::NdpRouterSolicitation),
        Message::Redirect(_) => Outcome::Learned,
    }
}

fn solicited(
    now: Instant,
    received: &Received<'_>,
    ns: &NeighborSolicitation<'_>,
    interface: &Interface,
    cache: &mut NeighborCache<V6>,
) -> Outcome {
    // N03, RFC 4861 7.2.3: for our own addresses alone.
    if !interface.v6.is_own(ns.target) {
        return Outcome::Ignored(DropReason::NdpNotForUs);
    }
    let src = received.envelope.src;
    // N10, RFC 4861 7.2.3: who asks us is a neighbour. Who has no address is none; nor, N17, is who is not on this link.
    if let Some(mac) = ns.source_mac
        && !src.is_unspecified()
    {
        let on_link = src.is_unicast_link_local() || interface.v6.routes.next_hop(src) == NextHop::OnLink;
        cache.heard(now, src, mac, if on_link { Evidence::Asked } else { Evidence::Overheard });
    }
    let known = ns.source_mac.or_else(|| cache.lookup(src)).unwrap_or(received.source_mac);
    Outcome::Answer(answer(&received.envelope, ns, known, interface))
}

/// The answer to `ns`, for an address of ours, from a host at `source_mac`.
pub(super) fn answer(
    envelope: &Envelope,
    ns: &NeighborSolicitation<'_>,
    source_mac: MacAddr,
    interface: &Interface,
) -> Outgoing {
    let target_mac = Some(interface.mac);
    let target = ns.target;
    let advertise = |target_mac, solicited, override_flag| Repr::NeighborAdvertisement {
        target,
        target_mac,
        solicited,
        override_flag,
    };
    // N04, RFC 4861 7.2.4: who has no address cannot be told alone.
    if envelope.src.is_unspecified() {
        let message = advertise(target_mac, false, true);
        return Outgoing { dst_mac: V6::group_mac(V6::ALL_HOSTS), src: target, dst: V6::ALL_HOSTS, message };
    }
    // N03, RFC 4861 7.2.4: who asked us alone knows our Ethernet address. Linux leaves it out then, and sets no O flag.
    let everyone = envelope.dst.is_multicast();
    let message = advertise(target_mac.filter(|_| everyone), true, everyone);
    Outgoing { dst_mac: source_mac, src: target, dst: envelope.src, message }
}

/// N09, RFC 4861 7.2.5.
fn advertised(
    now: Instant,
    na: &NeighborAdvertisement,
    interface: &Interface,
    cache: &mut NeighborCache<V6>,
) -> Outcome {
    // RFC 4862 5.4.4: another host says that it has our address.
    if interface.v6.is_own(na.target) {
        return Outcome::Ignored(DropReason::NdpConflict);
    }
    let said = Advertised { solicited: na.solicited, override_flag: na.override_flag, router: na.router };
    let was_router = cache.is_router(na.target);
    if !cache.advertised(now, na.target, na.target_mac, said) {
        return Outcome::Ignored(DropReason::NdpUnsolicited);
    }
    if was_router && !cache.is_router(na.target) { Outcome::NoRouter(na.target) } else { Outcome::Learned }
}

/// N10, RFC 4861 6.3.4: a router is a neighbour, and says that it is a router.
fn router(
    now: Instant,
    addr: Ipv6Addr,
    ra: &RouterAdvertisement<'_>,
    cache: &mut NeighborCache<V6>,
) -> Outcome {
    if let Some(mac) = ra.source_mac {
        cache.heard(now, addr, mac, Evidence::Asked);
    }
    cache.set_router(addr, true);
    Outcome::Learned
}

#[cfg(test)]
mod tests;
