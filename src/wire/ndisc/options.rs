//! The options of neighbour discovery: RFC 4861 4.6, nonces (RFC 3971 5.3.2), routes (RFC 4191 2.3).
//!
//! [`Options`] are options whose lengths lead through the message from the first to the last; what one says is read when it
//! comes up. One of a known type and an impossible length says nothing, nor does one of an unknown type.

use core::net::Ipv6Addr;
use core::time::Duration;

use super::NdiscError;
use crate::addr::{MacAddr, Prefix, V6};

/// Type: the Ethernet address of who sends the message.
pub(super) const SOURCE_LINK_LAYER_ADDRESS: u8 = 1;
/// Type: the Ethernet address of whom the message is about.
pub(super) const TARGET_LINK_LAYER_ADDRESS: u8 = 2;
/// Type: a prefix of the link.
const PREFIX_INFORMATION: u8 = 3;
/// Type: the packet that a redirect is about.
const REDIRECTED_HEADER: u8 = 4;
/// Type: the MTU of the link.
const MTU: u8 = 5;
/// Type: a number that an answer repeats, or that tells a looped message. RFC 3971 5.3.2, RFC 7527 4.
pub(super) const NONCE: u8 = 14;
/// Type: a route. RFC 4191 2.3.
const ROUTE_INFORMATION: u8 = 24;

/// The unit of an option's length in bytes. RFC 4861 4.6.
pub(super) const UNIT: usize = 8;

/// How long something is valid, in seconds as sent; [`Lifetime::INFINITE`] is longer than any other.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Lifetime(u32);

impl Lifetime {
    /// Not at all, or not any more.
    pub const ZERO: Self = Self(0);
    /// Without end. RFC 4861 4.6.2: all bits set.
    pub const INFINITE: Self = Self(u32::MAX);

    /// So many seconds; all bits set are infinite.
    #[must_use]
    pub const fn from_secs(secs: u32) -> Self {
        Self(secs)
    }

    /// As sent: seconds, or all bits set.
    #[must_use]
    pub const fn secs(self) -> u32 {
        self.0
    }

    /// How long; none if without end.
    #[must_use]
    pub const fn duration(self) -> Option<Duration> {
        if self.0 == u32::MAX { None } else { Some(Duration::from_secs(self.0 as u64)) }
    }
}

/// How much a router or route is preferred. RFC 4191 2.1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Preference {
    /// Less than others.
    Low,
    /// As those that say nothing.
    #[default]
    Medium,
    /// More than others.
    High,
}

impl Preference {
    /// Its name, as `ip -6 route` has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }

    /// What the two bits under `0x18` say; none if that is reserved.
    pub(super) const fn from_flags(flags: u8) -> Option<Self> {
        match flags >> 3 & 3 {
            0 => Some(Self::Medium),
            1 => Some(Self::High),
            3 => Some(Self::Low),
            _ => None,
        }
    }
}

/// A prefix of the link. RFC 4861 4.6.2.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PrefixInformation {
    /// The prefix, without the bits beyond its length.
    pub prefix: Prefix<V6>,
    /// The L flag: what is in it, is on the link.
    pub on_link: bool,
    /// The A flag: hosts make themselves addresses in it.
    pub autonomous: bool,
    /// How long it is on the link, and addresses in it are valid.
    pub valid: Lifetime,
    /// How long addresses in it are preferred.
    pub preferred: Lifetime,
}

/// A route through the router that tells of it. RFC 4191 2.3.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RouteInformation {
    /// Where it leads.
    pub prefix: Prefix<V6>,
    /// How much it is preferred to routes to the same prefix.
    pub preference: Preference,
    /// How long it is valid.
    pub lifetime: Lifetime,
}

/// What an option says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NdOption<'a> {
    /// A prefix of the link.
    Prefix(PrefixInformation),
    /// The MTU of the link, in bytes.
    Mtu(u32),
    /// The packet that a redirect is about, as much of it as there is.
    RedirectedHeader(&'a [u8]),
    /// A number that tells one message from all others, at least six bytes.
    Nonce(&'a [u8]),
    /// A route.
    Route(RouteInformation),
    /// Something else: a link-layer address, which the messages tell themselves, or what a UDP host has no use for.
    Other(u8),
}

/// The options of a message, in its order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Options<'a>(&'a [u8]);

impl<'a> Options<'a> {
    /// The options that `bytes` are.
    ///
    /// # Errors
    /// [`NdiscError::OptionLength`].
    // N01, RFC 4861 7.1.1: every option, also those that nobody looks at, has a length above zero and ends in the message.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, NdiscError> {
        let mut rest = bytes;
        while !rest.is_empty() {
            rest = split(rest).ok_or(NdiscError::OptionLength)?.2;
        }
        Ok(Self(bytes))
    }

    /// Type and body, which is everything behind type and length, of each.
    fn raw(self) -> impl Iterator<Item = (u8, &'a [u8])> {
        let mut rest = self.0;
        core::iter::from_fn(move || {
            let (kind, body, behind) = split(rest)?;
            rest = behind;
            Some((kind, body))
        })
    }

    /// What each says.
    pub fn iter(self) -> impl Iterator<Item = NdOption<'a>> {
        self.raw().map(|(kind, body)| read(kind, body).unwrap_or(NdOption::Other(kind)))
    }

    /// Whether one of this type is there.
    pub(super) fn has(self, kind: u8) -> bool {
        self.raw().any(|(k, _)| k == kind)
    }

    /// The Ethernet address of the first option of type `kind`, if there is one.
    ///
    /// # Errors
    /// [`NdiscError::LinkLayerAddress`].
    // RFC 2464 6: six bytes, so one unit. As Linux, which ignores a message with an address of another length.
    // A07's reason holds here, too: no single host has a group's address.
    pub(super) fn mac(self, kind: u8) -> Result<Option<MacAddr>, NdiscError> {
        let Some((_, body)) = self.raw().find(|(k, _)| *k == kind) else { return Ok(None) };
        let mac = MacAddr(body.try_into().map_err(|_| NdiscError::LinkLayerAddress)?);
        if mac.is_unicast() { Ok(Some(mac)) } else { Err(NdiscError::LinkLayerAddress) }
    }

    /// The first nonce.
    pub(super) fn nonce(self) -> Option<&'a [u8]> {
        self.raw().find(|(kind, _)| *kind == NONCE).map(|(_, body)| body)
    }

    /// The first redirected packet.
    pub(super) fn redirected(self) -> Option<&'a [u8]> {
        self.iter().find_map(|o| if let NdOption::RedirectedHeader(packet) = o { Some(packet) } else { None })
    }
}

/// Type and body of the first option, and what follows it.
fn split(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (kind, units) = (*bytes.first()?, *bytes.get(1)?);
    let (option, rest) = bytes.split_at_checked(usize::from(units) * UNIT)?;
    // A length of zero ends here: the option has no byte, let alone two.
    Some((kind, option.get(2..)?, rest))
}

/// What the option says, if a host has use for its type and it has a length of that type.
fn read(kind: u8, body: &[u8]) -> Option<NdOption<'_>> {
    match kind {
        PREFIX_INFORMATION => prefix(body.try_into().ok()?).map(NdOption::Prefix),
        MTU => {
            let [_, _, mtu @ ..] = <[u8; 6]>::try_from(body).ok()?;
            Some(NdOption::Mtu(u32::from_be_bytes(mtu)))
        }
        REDIRECTED_HEADER => body.get(6..).map(NdOption::RedirectedHeader),
        NONCE => Some(NdOption::Nonce(body)),
        ROUTE_INFORMATION => route(body).map(NdOption::Route),
        _ => None,
    }
}

fn prefix(body: &[u8; 30]) -> Option<PrefixInformation> {
    let [len, flags, v0, v1, v2, v3, p0, p1, p2, p3, _, _, _, _, prefix @ ..] = *body;
    Some(PrefixInformation {
        prefix: network(prefix, len)?,
        on_link: flags & 0x80 != 0,
        autonomous: flags & 0x40 != 0,
        valid: Lifetime(u32::from_be_bytes([v0, v1, v2, v3])),
        preferred: Lifetime(u32::from_be_bytes([p0, p1, p2, p3])),
    })
}

/// RFC 4191 2.3: the prefix takes as many units as its length needs, at least; a reserved preference voids the option.
fn route(body: &[u8]) -> Option<RouteInformation> {
    let ([len, flags, l0, l1, l2, l3], prefix) = body.split_first_chunk::<6>()?;
    let mut octets = [0; 16];
    octets.get_mut(..prefix.len())?.copy_from_slice(prefix);
    if usize::from(*len) > prefix.len() * 8 {
        return None;
    }
    Some(RouteInformation {
        prefix: network(octets, *len)?,
        preference: Preference::from_flags(*flags)?,
        lifetime: Lifetime(u32::from_be_bytes([*l0, *l1, *l2, *l3])),
    })
}

/// RFC 4861 4.6.2: the bits beyond the length are ignored.
fn network(octets: [u8; 16], len: u8) -> Option<Prefix<V6>> {
    (len <= 128).then(|| Prefix::of(Ipv6Addr::from(octets), len))
}
