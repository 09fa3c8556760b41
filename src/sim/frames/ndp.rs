//! Neighbour discovery: solicitations, advertisements and redirects, as a correct neighbour or router sends them.

use core::net::Ipv6Addr;

use super::icmp6::{IcmpFrame6, kinds};
use super::ipv6::{Extension, mac_for6, solicited_node, station_mac6};
use super::{Malformed, array, rest};
use crate::addr::{Family, MacAddr, V6};

/// The group of all routers on the link.
pub const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);

/// A message of neighbour discovery in its frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NdpFrame {
    /// Where the frame goes.
    pub destination_mac: MacAddr,
    /// Where it comes from.
    pub source_mac: MacAddr,
    /// Where from.
    pub source: Ipv6Addr,
    /// Where to.
    pub destination: Ipv6Addr,
    /// The hop limit, which must be 255.
    pub hop_limit: u8,
    /// The extension headers before it; a correct host sends none.
    pub extensions: Vec<Extension>,
    /// What it says.
    pub message: NdpMessage,
    /// The options behind it.
    pub options: Vec<NdpOption>,
}

/// What a message says. RFC 4861 4.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NdpMessage {
    /// Which routers are here?
    RouterSolicitation,
    /// This one is.
    RouterAdvertisement(RouterAdvertisement),
    /// Who has this address?
    NeighborSolicitation {
        /// The address.
        target: Ipv6Addr,
    },
    /// I have.
    NeighborAdvertisement {
        /// The address.
        target: Ipv6Addr,
        /// R: of a router.
        router: bool,
        /// S: asked for.
        solicited: bool,
        /// O: what is known otherwise is old.
        overrides: bool,
    },
    /// Go another way.
    Redirect {
        /// The better first hop, or the destination itself.
        target: Ipv6Addr,
        /// Where the way leads.
        destination: Ipv6Addr,
    },
}

/// What a router says of itself and the link. RFC 4861 4.2.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RouterAdvertisement {
    /// The hop limit for hosts; 0 says nothing of it.
    pub hop_limit: u8,
    /// The flags: M 0x80, O 0x40, preference 0x18 (RFC 4191).
    pub flags: u8,
    /// For how long it is a default router, in seconds; 0: it is none.
    pub lifetime_s: u16,
    /// For how long a neighbour is taken to be there, in milliseconds; 0 says nothing of it.
    pub reachable_ms: u32,
    /// The time between solicitations, in milliseconds; 0 says nothing of it.
    pub retrans_ms: u32,
}

/// An option behind a message. RFC 4861 4.6.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NdpOption {
    /// The sender's Ethernet address.
    SourceLinkLayer(MacAddr),
    /// The target's Ethernet address.
    TargetLinkLayer(MacAddr),
    /// A prefix of the link.
    Prefix(Prefix),
    /// The packet that is redirected, padded to a multiple of eight.
    RedirectedHeader(Vec<u8>),
    /// The link's MTU.
    Mtu(u32),
    /// Whose own question it is: six bytes, or eights more. RFC 7527 4.1, RFC 3971 5.3.2.
    Nonce(Vec<u8>),
    /// Any other: its type, and what follows the length: a multiple of eight bytes, less two.
    Other(u8, Vec<u8>),
}

/// A prefix of the link. RFC 4861 4.6.2.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Prefix {
    /// The prefix.
    pub prefix: Ipv6Addr,
    /// Its bits.
    pub len: u8,
    /// L: what is in it is on the link.
    pub on_link: bool,
    /// A: hosts make themselves addresses of it.
    pub autonomous: bool,
    /// For how long it is on the link, in seconds; `u32::MAX`: for ever.
    pub valid_s: u32,
    /// For how long its addresses are used for new conversations, in seconds.
    pub preferred_s: u32,
}

impl Prefix {
    /// A prefix for hosts' addresses, with the lifetimes that RFC 4861 6.2.1 proposes.
    #[must_use]
    pub const fn new(prefix: Ipv6Addr, len: u8) -> Self {
        Self { prefix, len, on_link: true, autonomous: true, valid_s: 2_592_000, preferred_s: 604_800 }
    }
}

impl Default for RouterAdvertisement {
    /// A default router for half an hour, which says nothing else.
    fn default() -> Self {
        Self { hop_limit: 64, flags: 0, lifetime_s: 1800, reachable_ms: 0, retrans_ms: 0 }
    }
}

impl NdpOption {
    /// The option as it is on the wire.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let (kind, body) = match self {
            Self::SourceLinkLayer(mac) => (1, mac.0.to_vec()),
            Self::TargetLinkLayer(mac) => (2, mac.0.to_vec()),
            Self::Prefix(prefix) => (3, prefix.body()),
            Self::RedirectedHeader(packet) => (4, [&[0; 6], &packet[..]].concat()),
            Self::Mtu(mtu) => (5, [&[0, 0][..], &mtu.to_be_bytes()].concat()),
            Self::Nonce(nonce) => (14, nonce.clone()),
            Self::Other(kind, body) => (*kind, body.clone()),
        };
        assert_eq!(body.len() % 8, 6, "an option is a multiple of eight");
        let len = u8::try_from(body.len() / 8 + 1).expect("an option's length");
        [&[kind, len][..], &body].concat()
    }

    fn read(kind: u8, body: &[u8]) -> Result<Self, Malformed> {
        Ok(match kind {
            1 | 2 if body.len() != 6 => return Err("an Ethernet address of another length"),
            1 => Self::SourceLinkLayer(MacAddr(*array(body, 0)?)),
            2 => Self::TargetLinkLayer(MacAddr(*array(body, 0)?)),
            3 => Self::Prefix(Prefix::read(body)?),
            4 if body[..6] != [0; 6] => return Err("a reserved field of a redirected header is not zero"),
            4 => Self::RedirectedHeader(body[6..].to_vec()),
            5 if body.len() != 6 || body[..2] != [0, 0] => return Err("an MTU option that is wrong"),
            5 => Self::Mtu(u32::from_be_bytes(*array(body, 2)?)),
            14 => Self::Nonce(body.to_vec()),
            _ => Self::Other(kind, body.to_vec()),
        })
    }
}

impl Prefix {
    fn body(&self) -> Vec<u8> {
        let flags = u8::from(self.on_link) << 7 | u8::from(self.autonomous) << 6;
        let mut body = vec![self.len, flags];
        body.extend(self.valid_s.to_be_bytes());
        body.extend(self.preferred_s.to_be_bytes());
        body.extend([0; 4]);
        body.extend(self.prefix.octets());
        body
    }

    fn read(body: &[u8]) -> Result<Self, Malformed> {
        let &[len, flags] = array(body, 0)?;
        if body.len() != 30 || flags & 0x3f != 0 || body[10..14] != [0; 4] || len > 128 {
            return Err("a prefix option of another length, or whose reserved fields are not zero");
        }
        Ok(Self {
            prefix: Ipv6Addr::from(*array::<16>(body, 14)?),
            len,
            on_link: flags & 0x80 != 0,
            autonomous: flags & 0x40 != 0,
            valid_s: u32::from_be_bytes(*array(body, 2)?),
            preferred_s: u32::from_be_bytes(*array(body, 6)?),
        })
    }
}

impl NdpMessage {
    /// Its type, and what is between the checksum and the options.
    fn body(&self) -> (u8, Vec<u8>) {
        match self {
            Self::RouterSolicitation => (kinds::ROUTER_SOLICITATION, vec![0; 4]),
            Self::RouterAdvertisement(ra) => {
                let mut body = vec![ra.hop_limit, ra.flags];
                body.extend(ra.lifetime_s.to_be_bytes());
                body.extend(ra.reachable_ms.to_be_bytes());
                body.extend(ra.retrans_ms.to_be_bytes());
                (kinds::ROUTER_ADVERTISEMENT, body)
            }
            Self::NeighborSolicitation { target } => {
                (kinds::NEIGHBOR_SOLICITATION, [&[0; 4], &target.octets()[..]].concat())
            }
            Self::NeighborAdvertisement { target, router, solicited, overrides } => {
                let flags = u8::from(*router) << 7 | u8::from(*solicited) << 6 | u8::from(*overrides) << 5;
                (kinds::NEIGHBOR_ADVERTISEMENT, [&[flags, 0, 0, 0], &target.octets()[..]].concat())
            }
            Self::Redirect { target, destination } => {
                let addresses = [target.octets(), destination.octets()].concat();
                (kinds::REDIRECT, [&[0; 4], &addresses[..]].concat())
            }
        }
    }

    /// The message in `body`, which is of type `kind`, and its options. `None` for what is not neighbour discovery.
    fn read(kind: u8, body: &[u8]) -> Result<Option<(Self, &[u8])>, Malformed> {
        let word = u32::from_be_bytes(*array(body, 0)?);
        let address = |at| array::<16>(body, at).map(|b| Ipv6Addr::from(*b));
        let (message, len, reserved) = match kind {
            kinds::ROUTER_SOLICITATION => (Self::RouterSolicitation, 4, word),
            kinds::ROUTER_ADVERTISEMENT => {
                let ra = RouterAdvertisement {
                    hop_limit: body[0],
                    flags: body[1],
                    lifetime_s: u16::from_be_bytes([body[2], body[3]]),
                    reachable_ms: u32::from_be_bytes(*array(body, 4)?),
                    retrans_ms: u32::from_be_bytes(*array(body, 8)?),
                };
                (Self::RouterAdvertisement(ra), 12, 0)
            }
            kinds::NEIGHBOR_SOLICITATION => (Self::NeighborSolicitation { target: address(4)? }, 20, word),
            kinds::NEIGHBOR_ADVERTISEMENT => {
                let [router, solicited, overrides] = [31, 30, 29].map(|bit| word >> bit & 1 != 0);
                let target = address(4)?;
                let message = Self::NeighborAdvertisement { target, router, solicited, overrides };
                (message, 20, word << 3)
            }
            kinds::REDIRECT => (Self::Redirect { target: address(4)?, destination: address(20)? }, 36, word),
            _ => return Ok(None),
        };
        if reserved != 0 {
            return Err("a reserved field of neighbour discovery is not zero");
        }
        Ok(Some((message, rest(body, len)?)))
    }
}

impl NdpFrame {
    /// A message between two stations with the addresses of [`station_mac6`], or to the MAC of a group; without options.
    #[must_use]
    pub fn between(source: Ipv6Addr, destination: Ipv6Addr, message: NdpMessage) -> Self {
        Self {
            destination_mac: mac_for6(destination, station_mac6(destination)),
            source_mac: station_mac6(source),
            source,
            destination,
            hop_limit: 255,
            extensions: Vec::new(),
            message,
            options: Vec::new(),
        }
    }

    /// The station with address `source` asks all that may have it for `target`. RFC 4861 7.2.2.
    #[must_use]
    pub fn solicitation(source: Ipv6Addr, target: Ipv6Addr) -> Self {
        Self::between(source, solicited_node(target), NdpMessage::NeighborSolicitation { target })
            .with_source_link_layer()
    }

    /// The station `mac` asks whether `target`, which it would have, is free; with a nonce, if one is given. RFC 4862 5.4.2.
    #[must_use]
    pub fn probe(mac: MacAddr, target: Ipv6Addr, nonce: Option<[u8; 6]>) -> Self {
        let message = NdpMessage::NeighborSolicitation { target };
        let options = nonce.map(|nonce| NdpOption::Nonce(nonce.to_vec())).into_iter().collect();
        let source = V6::UNSPECIFIED;
        Self { source_mac: mac, options, ..Self::between(source, solicited_node(target), message) }
    }

    /// The station `mac`, no router, says unasked that it has `target`. RFC 4861 7.2.6.
    #[must_use]
    pub fn announcement(mac: MacAddr, target: Ipv6Addr) -> Self {
        let message =
            NdpMessage::NeighborAdvertisement { target, router: false, solicited: false, overrides: true };
        let options = vec![NdpOption::TargetLinkLayer(mac)];
        Self { source_mac: mac, options, ..Self::between(target, V6::ALL_HOSTS, message) }
    }

    /// The answer to this solicitation by the station `mac`, no router, which has the target. RFC 4861 7.2.4.
    ///
    /// # Panics
    /// It is no neighbour solicitation.
    #[must_use]
    pub fn advertisement(&self, mac: MacAddr) -> Self {
        let NdpMessage::NeighborSolicitation { target } = self.message else {
            panic!("not a neighbour solicitation: {self:?}")
        };
        let solicited = !self.source.is_unspecified();
        let message = NdpMessage::NeighborAdvertisement { target, router: false, solicited, overrides: true };
        let (destination, destination_mac) = if solicited {
            (self.source, self.source_mac)
        } else {
            (V6::ALL_HOSTS, V6::group_mac(V6::ALL_HOSTS))
        };
        let options = vec![NdpOption::TargetLinkLayer(mac)];
        Self { destination_mac, source_mac: mac, options, ..Self::between(target, destination, message) }
    }

    /// The station with address `source`, or none, asks for routers. RFC 4861 6.3.7.
    #[must_use]
    pub fn router_solicitation(source: Ipv6Addr) -> Self {
        let frame = Self::between(source, ALL_ROUTERS, NdpMessage::RouterSolicitation);
        if source.is_unspecified() { frame } else { frame.with_source_link_layer() }
    }

    /// The router with the link-local address `source` tells all hosts of itself, and of `prefixes`. RFC 4861 6.2.3.
    #[must_use]
    pub fn router_advertisement(source: Ipv6Addr, prefixes: &[Prefix]) -> Self {
        let message = NdpMessage::RouterAdvertisement(RouterAdvertisement::default());
        let mut frame = Self::between(source, V6::ALL_HOSTS, message).with_source_link_layer();
        frame.options.extend(prefixes.iter().copied().map(NdpOption::Prefix));
        frame
    }

    /// With the sender's Ethernet address as an option.
    #[must_use]
    pub fn with_source_link_layer(mut self) -> Self {
        self.options.push(NdpOption::SourceLinkLayer(self.source_mac));
        self
    }

    /// With another Ethernet destination.
    #[must_use]
    pub fn to_mac(self, destination_mac: MacAddr) -> Self {
        Self { destination_mac, ..self }
    }

    /// The frame as one of ICMPv6, for those who want to break it.
    #[must_use]
    pub fn icmp(&self) -> IcmpFrame6 {
        let (kind, mut body) = self.message.body();
        body.extend(self.options.iter().flat_map(NdpOption::bytes));
        let mut icmp = IcmpFrame6::between(self.source, self.destination, kind, &body);
        icmp.ip.hop_limit = self.hop_limit;
        icmp.ip.extensions.clone_from(&self.extensions);
        (icmp.destination_mac, icmp.source_mac) = (self.destination_mac, self.source_mac);
        icmp
    }

    /// The frame.
    #[must_use]
    pub fn frame(&self) -> Vec<u8> {
        self.icmp().frame()
    }

    /// The message in `frame`; `Ok(None)` for what is not neighbour discovery at all.
    ///
    /// # Errors
    /// It is neighbour discovery, and not a message as a correct host or router must send it.
    // N01, RFC 4861 6.1, 7.1, 8.1: what receivers must check holds; W12, RFC 6980 5: never in fragments.
    pub fn read(frame: &[u8]) -> Result<Option<Self>, Malformed> {
        let Ok(icmp) = IcmpFrame6::read(frame) else {
            return if is_discovery(frame) { Err("an ICMPv6 message that is wrong") } else { Ok(None) };
        };
        let Some((message, mut behind)) = NdpMessage::read(icmp.kind, &icmp.body)? else { return Ok(None) };
        if icmp.ip.hop_limit != 255 || icmp.code != 0 || !icmp.ip.extensions.is_empty() {
            return Err("neighbour discovery without hop limit 255 or code 0, or behind extension headers");
        }
        let mut options = Vec::new();
        while !behind.is_empty() {
            let [kind, len] = *array(behind, 0)?;
            let end = 8 * usize::from(len);
            let option = behind.get(..end).filter(|option| option.len() >= 8);
            options.push(NdpOption::read(kind, &option.ok_or("an option's length is wrong")?[2..])?);
            behind = &behind[end..];
        }
        let (source, destination) = (icmp.ip.source, icmp.ip.destination);
        let (destination_mac, source_mac) = (icmp.destination_mac, icmp.source_mac);
        let hop_limit = icmp.ip.hop_limit;
        let extensions = Vec::new();
        let read = Self {
            destination_mac,
            source_mac,
            source,
            destination,
            hop_limit,
            extensions,
            message,
            options,
        };
        read.check()?;
        Ok(Some(read))
    }

    /// What each kind of message asks of its addresses and options.
    // N02, N03, N04, N07: RFC 4861 4.1 to 4.5, 7.2.2, 7.2.4 and 7.2.6, RFC 4862 5.4.2.
    fn check(&self) -> Result<(), Malformed> {
        let has_source = self.options.iter().any(|o| matches!(o, NdpOption::SourceLinkLayer(_)));
        let has_target = self.options.iter().any(|o| matches!(o, NdpOption::TargetLinkLayer(_)));
        let from_no_one = self.source.is_unspecified();
        let local = |addr: Ipv6Addr| addr.is_unicast_link_local();
        let right = match self.message {
            NdpMessage::RouterSolicitation => {
                self.destination == ALL_ROUTERS && !has_target && !(from_no_one && has_source)
            }
            NdpMessage::RouterAdvertisement(_) => local(self.source) && !has_target,
            NdpMessage::NeighborSolicitation { target } => {
                let to_many = self.destination == solicited_node(target);
                let addressed = to_many || self.destination == target && !from_no_one;
                let option = if from_no_one { !has_source } else { has_source || !to_many };
                V6::is_unicast(target) && addressed && option && !has_target
            }
            NdpMessage::NeighborAdvertisement { target, solicited, .. } => {
                let to_many = self.destination.is_multicast();
                let addressed = !to_many || self.destination == V6::ALL_HOSTS && !solicited && has_target;
                V6::is_unicast(target) && V6::is_unicast(self.source) && addressed && !has_source
            }
            NdpMessage::Redirect { target, destination } => {
                let hop = local(target) || target == destination;
                local(self.source) && hop && V6::is_unicast(destination) && !has_source
            }
        };
        if right { Ok(()) } else { Err("a message of neighbour discovery with a wrong address or option") }
    }
}

/// Whether `frame` holds neighbour discovery right behind an IPv6 header.
fn is_discovery(frame: &[u8]) -> bool {
    let at = |n: usize| frame.get(n).copied();
    (at(12), at(13), at(20)) == (Some(0x86), Some(0xdd), Some(58))
        && at(54).is_some_and(|kind| (133..=137).contains(&kind))
}

#[cfg(test)]
mod tests;
