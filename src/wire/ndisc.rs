//! Neighbour discovery (RFC 4861): what hosts and routers of a link tell each other, and what a host says.
//!
//! A [`Message`] is parsed from a whole ICMPv6 message, its checksum included, and borrows from it. It has passed every
//! check that RFC 4861 makes of the packet alone (6.1.1, 6.1.2, 7.1.1, 7.1.2, 8.1); what else there is to ask of it,
//! depends on what the host knows. What a host says is a [`Repr`].

mod options;
#[cfg(test)]
mod tests;

use core::net::Ipv6Addr;
use core::time::Duration;

use super::checksum::Sum;
use super::ipv6::{HOP_LIMIT_NDP, NEXT_HEADER_ICMPV6};
use crate::addr::{Group, MacAddr};

pub use options::{Lifetime, NdOption, Options, Preference, PrefixInformation, RouteInformation};
use options::{NONCE, SOURCE_LINK_LAYER_ADDRESS, TARGET_LINK_LAYER_ADDRESS, UNIT};

/// ICMPv6 type: router solicitation.
pub const TYPE_ROUTER_SOLICITATION: u8 = 133;
/// ICMPv6 type: router advertisement.
pub const TYPE_ROUTER_ADVERTISEMENT: u8 = 134;
/// ICMPv6 type: neighbour solicitation.
pub const TYPE_NEIGHBOR_SOLICITATION: u8 = 135;
/// ICMPv6 type: neighbour advertisement.
pub const TYPE_NEIGHBOR_ADVERTISEMENT: u8 = 136;
/// ICMPv6 type: redirect.
pub const TYPE_REDIRECT: u8 = 137;

/// The group of all routers of the link. RFC 4291 2.7.1.
pub const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);

/// Bytes of every message's header: type, code, checksum, and four that depend on the type.
const HEADER_LEN: usize = 8;
/// Bytes of an address.
const ADDR_LEN: usize = 16;

/// The R flag of a neighbour advertisement.
const ROUTER: u8 = 0x80;
/// The S flag of a neighbour advertisement.
const SOLICITED: u8 = 0x40;
/// The O flag of a neighbour advertisement.
const OVERRIDE: u8 = 0x20;

/// Whether ICMPv6 messages of this type are neighbour discovery.
#[inline]
#[must_use]
pub const fn is_ndisc(icmp_type: u8) -> bool {
    matches!(icmp_type, TYPE_ROUTER_SOLICITATION..=TYPE_REDIRECT)
}

/// Why an ICMPv6 message is no neighbour discovery that means anything to a host.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NdiscError {
    /// It ends before its fixed part does.
    #[error("cut short")]
    Truncated,
    /// The checksum is wrong.
    #[error("wrong checksum")]
    Checksum,
    /// A router passed it on: it is not of this link.
    #[error("a hop limit other than 255")]
    HopLimit,
    /// A code other than 0.
    #[error("a code other than 0")]
    Code,
    /// An option has length 0, or ends beyond the message.
    #[error("an option whose length cannot be")]
    OptionLength,
    /// A link-layer address that is no Ethernet address, or that no single host can have.
    #[error("a link-layer address that no host has")]
    LinkLayerAddress,
    /// The target cannot be: a group, or of a redirect neither a router of the link nor the destination.
    #[error("a target that cannot be")]
    Target,
    /// The source cannot be: a router's is link-local; only who looks for duplicates or for routers has none, and then
    /// says no link-layer address and asks in the group that it asks for.
    #[error("a source that cannot be")]
    Source,
    /// A neighbour advertisement to a group that says that it was asked for.
    #[error("a solicited advertisement to a group")]
    SolicitedToGroup,
    /// The destination that a redirect is about is a group.
    #[error("a redirect of a group")]
    Destination,
    /// Another type.
    #[error("not neighbour discovery: type {0}")]
    UnknownType(u8),
}

/// What the IPv6 header of a message says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Envelope {
    /// Who sent it.
    pub src: Ipv6Addr,
    /// To whom.
    pub dst: Ipv6Addr,
    /// The hop limit with which it arrived.
    pub hop_limit: u8,
}

/// A message of neighbour discovery.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Message<'a> {
    /// Who has an address?
    NeighborSolicitation(NeighborSolicitation<'a>),
    /// Who has an address.
    NeighborAdvertisement(NeighborAdvertisement),
    /// Which routers are there?
    RouterSolicitation(RouterSolicitation),
    /// What a router says of itself and the link.
    RouterAdvertisement(RouterAdvertisement<'a>),
    /// A router knows a better first hop.
    Redirect(Redirect<'a>),
}

/// A neighbour solicitation. RFC 4861 4.3.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NeighborSolicitation<'a> {
    /// The address that is asked for: one host may have it.
    pub target: Ipv6Addr,
    /// The Ethernet address of who asks.
    pub source_mac: Option<MacAddr>,
    /// What tells it from all others. RFC 7527 4.
    pub nonce: Option<&'a [u8]>,
}

/// A neighbour advertisement. RFC 4861 4.4.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NeighborAdvertisement {
    /// The R flag: it is a router.
    pub router: bool,
    /// The S flag: it answers a question, so the way to it and back works.
    pub solicited: bool,
    /// The O flag: what it says of the Ethernet address is to replace what was known.
    pub override_flag: bool,
    /// The address that it is about: one host may have it.
    pub target: Ipv6Addr,
    /// The Ethernet address of the target.
    pub target_mac: Option<MacAddr>,
}

/// A router solicitation. RFC 4861 4.1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RouterSolicitation {
    /// The Ethernet address of who asks.
    pub source_mac: Option<MacAddr>,
}

/// A router advertisement. RFC 4861 4.2, RFC 4191 2.2.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RouterAdvertisement<'a> {
    /// The hop limit for what is sent to one host. N14: 0 on the wire says none.
    pub hop_limit: Option<u8>,
    /// The M flag: addresses come by DHCPv6.
    pub managed: bool,
    /// The O flag: other settings come by DHCPv6.
    pub other_config: bool,
    /// How much it is preferred to other default routers.
    pub preference: Preference,
    /// How long it is a default router; zero if it is none.
    pub router_lifetime: Duration,
    /// How long a neighbour that answered counts as reachable, if it says.
    pub reachable_time: Option<Duration>,
    /// The time between questions to a neighbour, if it says.
    pub retrans_timer: Option<Duration>,
    /// The Ethernet address of the router.
    pub source_mac: Option<MacAddr>,
    /// What else it says: prefixes, MTU, routes.
    pub options: Options<'a>,
}

/// A redirect. RFC 4861 4.5.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Redirect<'a> {
    /// The better first hop: a router's link-local address, or the destination, which is a neighbour.
    pub target: Ipv6Addr,
    /// For which destination.
    pub destination: Ipv6Addr,
    /// The Ethernet address of the target.
    pub target_mac: Option<MacAddr>,
    /// The packet that led to it, as much of it as came.
    pub redirected: Option<&'a [u8]>,
}

impl<'a> Message<'a> {
    /// Reads `message`, a whole ICMPv6 message that came in `envelope`.
    ///
    /// # Errors
    /// See [`NdiscError`].
    // N01, RFC 4861 6.1.1, 6.1.2, 7.1.1, 7.1.2, 8.1: what all five have in common.
    pub fn parse(envelope: Envelope, message: &'a [u8]) -> Result<Self, NdiscError> {
        let (header, body) = message.split_first_chunk::<HEADER_LEN>().ok_or(NdiscError::Truncated)?;
        let [kind, code, _, _, rest @ ..] = *header;
        if !is_ndisc(kind) {
            return Err(NdiscError::UnknownType(kind));
        }
        if !sum(envelope.src, envelope.dst, message).is_whole() {
            return Err(NdiscError::Checksum);
        }
        if envelope.hop_limit != HOP_LIMIT_NDP {
            return Err(NdiscError::HopLimit);
        }
        if code != 0 {
            return Err(NdiscError::Code);
        }
        match kind {
            TYPE_ROUTER_SOLICITATION => {
                RouterSolicitation::parse(envelope, body).map(Self::RouterSolicitation)
            }
            TYPE_ROUTER_ADVERTISEMENT => {
                RouterAdvertisement::parse(envelope, rest, body).map(Self::RouterAdvertisement)
            }
            TYPE_NEIGHBOR_SOLICITATION => {
                NeighborSolicitation::parse(envelope, body).map(Self::NeighborSolicitation)
            }
            TYPE_NEIGHBOR_ADVERTISEMENT => {
                NeighborAdvertisement::parse(envelope, rest[0], body).map(Self::NeighborAdvertisement)
            }
            _ => Redirect::parse(envelope, body).map(Self::Redirect),
        }
    }
}

impl<'a> NeighborSolicitation<'a> {
    fn parse(envelope: Envelope, body: &'a [u8]) -> Result<Self, NdiscError> {
        let (target, options) = target(body)?;
        // N02, RFC 4861 7.1.1: who has no address yet asks in the group of the one that it wants, and names no MAC.
        if envelope.src.is_unspecified()
            && (envelope.dst != Group::solicited_node(envelope.dst).addr()
                || options.has(SOURCE_LINK_LAYER_ADDRESS))
        {
            return Err(NdiscError::Source);
        }
        Ok(Self { target, source_mac: options.mac(SOURCE_LINK_LAYER_ADDRESS)?, nonce: options.nonce() })
    }
}

impl NeighborAdvertisement {
    fn parse(envelope: Envelope, flags: u8, body: &[u8]) -> Result<Self, NdiscError> {
        let (target, options) = target(body)?;
        let solicited = flags & SOLICITED != 0;
        // RFC 4861 7.1.2: nobody asks as a group.
        if solicited && envelope.dst.is_multicast() {
            return Err(NdiscError::SolicitedToGroup);
        }
        // V04, RFC 4291 2.5.2: who says that an address is its own has one.
        if envelope.src.is_unspecified() {
            return Err(NdiscError::Source);
        }
        Ok(Self {
            router: flags & ROUTER != 0,
            solicited,
            override_flag: flags & OVERRIDE != 0,
            target,
            target_mac: options.mac(TARGET_LINK_LAYER_ADDRESS)?,
        })
    }
}

impl RouterSolicitation {
    fn parse(envelope: Envelope, body: &[u8]) -> Result<Self, NdiscError> {
        let options = Options::parse(body)?;
        // RFC 4861 6.1.1: as N02.
        if envelope.src.is_unspecified() && options.has(SOURCE_LINK_LAYER_ADDRESS) {
            return Err(NdiscError::Source);
        }
        Ok(Self { source_mac: options.mac(SOURCE_LINK_LAYER_ADDRESS)? })
    }
}

impl<'a> RouterAdvertisement<'a> {
    /// `rest`: the last four bytes of the header.
    fn parse(envelope: Envelope, rest: [u8; 4], body: &'a [u8]) -> Result<Self, NdiscError> {
        let (times, options) = body.split_first_chunk::<8>().ok_or(NdiscError::Truncated)?;
        let options = Options::parse(options)?;
        // N13, RFC 4861 6.1.2: hosts tell routers apart by their link-local addresses.
        if !envelope.src.is_unicast_link_local() {
            return Err(NdiscError::Source);
        }
        let [hop_limit, flags, l0, l1] = rest;
        let [r0, r1, r2, r3, t0, t1, t2, t3] = *times;
        let router_lifetime = u16::from_be_bytes([l0, l1]);
        Ok(Self {
            hop_limit: (hop_limit != 0).then_some(hop_limit),
            managed: flags & 0x80 != 0,
            other_config: flags & 0x40 != 0,
            // RFC 4191 2.2: reserved means medium.
            preference: Preference::from_flags(flags).unwrap_or_default(),
            router_lifetime: Duration::from_secs(router_lifetime.into()),
            reachable_time: millis([r0, r1, r2, r3]),
            retrans_timer: millis([t0, t1, t2, t3]),
            source_mac: options.mac(SOURCE_LINK_LAYER_ADDRESS)?,
            options,
        })
    }
}

impl<'a> Redirect<'a> {
    // N15, RFC 4861 8.1: as far as the packet alone says.
    fn parse(envelope: Envelope, body: &'a [u8]) -> Result<Self, NdiscError> {
        let (target, rest) = body.split_first_chunk::<ADDR_LEN>().ok_or(NdiscError::Truncated)?;
        let (destination, options) = rest.split_first_chunk::<ADDR_LEN>().ok_or(NdiscError::Truncated)?;
        let (target, destination) = (Ipv6Addr::from(*target), Ipv6Addr::from(*destination));
        let options = Options::parse(options)?;
        if !envelope.src.is_unicast_link_local() {
            return Err(NdiscError::Source);
        }
        if destination.is_multicast() {
            return Err(NdiscError::Destination);
        }
        if target != destination && !target.is_unicast_link_local() {
            return Err(NdiscError::Target);
        }
        let target_mac = options.mac(TARGET_LINK_LAYER_ADDRESS)?;
        Ok(Self { target, destination, target_mac, redirected: options.redirected() })
    }
}

/// The target at the front of `body`, and the options behind it.
// N01, RFC 4861 7.1.1, 7.1.2: at least 24 bytes in all, and a target that is no group. Nobody has `::` nor `::1`, either.
fn target(body: &[u8]) -> Result<(Ipv6Addr, Options<'_>), NdiscError> {
    let (target, options) = body.split_first_chunk::<ADDR_LEN>().ok_or(NdiscError::Truncated)?;
    let target = Ipv6Addr::from(*target);
    let options = Options::parse(options)?;
    if target.is_multicast() || target.is_unspecified() || target.is_loopback() {
        return Err(NdiscError::Target);
    }
    Ok((target, options))
}

/// A time in milliseconds; 0 says none. RFC 4861 4.2.
fn millis(bytes: [u8; 4]) -> Option<Duration> {
    let millis = u32::from_be_bytes(bytes);
    (millis != 0).then(|| Duration::from_millis(millis.into()))
}

/// The sum of an ICMPv6 message and its pseudo-header.
// K01, RFC 4443 2.3.
fn sum(src: Ipv6Addr, dst: Ipv6Addr, message: &[u8]) -> Sum {
    let len = u16::try_from(message.len()).unwrap_or(u16::MAX);
    Sum::pseudo_v6(src, dst, NEXT_HEADER_ICMPV6, len).add_bytes(message)
}

/// A nonce to send: six random bytes. RFC 3971 5.3.2: that many at least.
pub type Nonce = [u8; 6];

/// A message that a host sends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Repr {
    /// Who has `target`? N07, RFC 4862 5.4.2: who looks for duplicates names no MAC.
    NeighborSolicitation {
        /// The address that is asked for.
        target: Ipv6Addr,
        /// The Ethernet address of who asks.
        source_mac: Option<MacAddr>,
        /// What tells it from all others. RFC 7527 4.
        nonce: Option<Nonce>,
    },
    /// `target` is ours. A host is no router: the R flag is never set.
    NeighborAdvertisement {
        /// The address that it is about.
        target: Ipv6Addr,
        /// Its Ethernet address.
        target_mac: Option<MacAddr>,
        /// The S flag: it answers who asked.
        solicited: bool,
        /// The O flag: it replaces what was known.
        override_flag: bool,
    },
    /// Which routers are there?
    RouterSolicitation {
        /// The Ethernet address of who asks.
        source_mac: Option<MacAddr>,
    },
}

impl Repr {
    /// Its bytes as an ICMPv6 message, a multiple of eight.
    #[must_use]
    pub const fn len(&self) -> usize {
        let (addrs, options) = match *self {
            Self::NeighborSolicitation { source_mac, nonce, .. } => {
                (1, source_mac.is_some() as usize + nonce.is_some() as usize)
            }
            Self::NeighborAdvertisement { target_mac, .. } => (1, target_mac.is_some() as usize),
            Self::RouterSolicitation { source_mac } => (0, source_mac.is_some() as usize),
        };
        HEADER_LEN + addrs * ADDR_LEN + options * UNIT
    }

    /// Never: a message is at least its header.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        false
    }

    /// Writes the message from `src` to `dst`, its checksum included, to the front of `out` and returns its length in
    /// bytes. `None`: `out` is too short, and nothing was written.
    #[must_use]
    pub fn emit(&self, src: Ipv6Addr, dst: Ipv6Addr, out: &mut [u8]) -> Option<usize> {
        let len = self.len();
        let out = out.get_mut(..len)?;
        let (kind, flags) = self.kind_and_flags();
        let (header, body) = out.split_first_chunk_mut::<HEADER_LEN>()?;
        *header = [kind, 0, 0, 0, flags, 0, 0, 0];
        match *self {
            Self::NeighborSolicitation { target, source_mac, nonce } => {
                let options = put(body, &target.octets())?;
                let options = put_option(options, SOURCE_LINK_LAYER_ADDRESS, source_mac.map(|mac| mac.0))?;
                put_option(options, NONCE, nonce)?;
            }
            Self::NeighborAdvertisement { target, target_mac, .. } => {
                let options = put(body, &target.octets())?;
                put_option(options, TARGET_LINK_LAYER_ADDRESS, target_mac.map(|mac| mac.0))?;
            }
            Self::RouterSolicitation { source_mac } => {
                put_option(body, SOURCE_LINK_LAYER_ADDRESS, source_mac.map(|mac| mac.0))?;
            }
        }
        let checksum = sum(src, dst, out).finish();
        out.get_mut(2..4)?.copy_from_slice(&checksum.to_be_bytes());
        Some(len)
    }

    const fn kind_and_flags(&self) -> (u8, u8) {
        match *self {
            Self::NeighborSolicitation { .. } => (TYPE_NEIGHBOR_SOLICITATION, 0),
            Self::NeighborAdvertisement { solicited, override_flag, .. } => {
                let solicited = if solicited { SOLICITED } else { 0 };
                let override_flag = if override_flag { OVERRIDE } else { 0 };
                (TYPE_NEIGHBOR_ADVERTISEMENT, solicited | override_flag)
            }
            Self::RouterSolicitation { .. } => (TYPE_ROUTER_SOLICITATION, 0),
        }
    }
}

/// Writes `bytes` to the front of `out` and returns what follows.
fn put<'a>(out: &'a mut [u8], bytes: &[u8; ADDR_LEN]) -> Option<&'a mut [u8]> {
    let (front, rest) = out.split_first_chunk_mut::<ADDR_LEN>()?;
    *front = *bytes;
    Some(rest)
}

/// Writes an option of six bytes, if there is one, to the front of `out` and returns what follows.
fn put_option(out: &mut [u8], kind: u8, body: Option<[u8; 6]>) -> Option<&mut [u8]> {
    let Some([a, b, c, d, e, f]) = body else { return Some(out) };
    let (option, rest) = out.split_first_chunk_mut::<UNIT>()?;
    *option = [kind, 1, a, b, c, d, e, f];
    Some(rest)
}
