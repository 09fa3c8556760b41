//! The relay service: what it receives, of a group above all, it sends on to a list of hosts and groups.
//!
//! Built on the public [`Service`] trait alone. Payloads are sent on as they are, from the service's own port and address:
//! whoever receives them sees the relay as their source.

use core::net::SocketAddr;

use serde::Deserialize;

use super::{Cx, Datagram, SendError, SendOptions, Service};
use crate::io::{Cast, DropReason, PacketBuf};

/// The keys of a relay service.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RelayOptions {
    /// To where each datagram is sent on: hosts or groups, with their ports.
    #[serde(deserialize_with = "destinations")]
    pub destinations: Vec<SocketAddr>,
    /// The time to live, or hop limit, of what is sent on; none: the interface's to hosts, and 1 to groups.
    #[serde(default, deserialize_with = "ttl")]
    pub ttl: Option<u8>,
}

impl RelayOptions {
    /// The keys, for error messages.
    pub const KEYS: &'static [&'static str] = &["destinations", "ttl"];
}

/// Destinations that a datagram is sent on to at most: each is a packet for each that comes in.
const DESTINATIONS_MAX: usize = 64;

fn destinations<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<SocketAddr>, D::Error> {
    use serde::de::Error;
    let written = Vec::<String>::deserialize(from)?;
    let read = |s: &String| -> Result<SocketAddr, D::Error> {
        let to: SocketAddr = s.parse().map_err(|_| {
            D::Error::custom(format!(
                "\"{s}\" is no address with a port: write \"198.18.0.9:5000\" or \"[ff15::9]:5000\""
            ))
        })?;
        if to.port() == 0 || to.ip().is_unspecified() || to.ip().is_loopback() {
            let why = format!("nothing can be sent to \"{s}\": name a host or a group, and its port");
            return Err(D::Error::custom(why));
        }
        // RFC 4007 6: such an address says nothing without its zone.
        if matches!(to, SocketAddr::V6(to) if to.ip().is_unicast_link_local() && to.scope_id() == 0) {
            let why = format!(
                "\"{s}\" is a host of one link, and does not say of which: name another address of it"
            );
            return Err(D::Error::custom(why));
        }
        Ok(to)
    };
    let all = written.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    if all.is_empty() || all.len() > DESTINATIONS_MAX {
        let why = format!("name 1 to {DESTINATIONS_MAX} of them, not {}", all.len());
        return Err(D::Error::custom(why));
    }
    let twice = all.iter().enumerate().find(|(n, to)| all.iter().take(*n).any(|other| other == *to));
    if let Some((_, to)) = twice {
        return Err(D::Error::custom(format!("\"{to}\" is named twice: each has one copy")));
    }
    Ok(all)
}

fn ttl<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<u8>, D::Error> {
    match i64::deserialize(from)? {
        ttl @ 1..=255 => Ok(u8::try_from(ttl).ok()),
        ttl => {
            Err(serde::de::Error::custom(format!("{ttl} is no time to live: write a number from 1 to 255")))
        }
    }
}

/// The relay service.
#[derive(Clone, Debug)]
pub struct Relay {
    options: RelayOptions,
}

impl Relay {
    /// A relay with `options`.
    #[must_use]
    pub const fn new(options: RelayOptions) -> Self {
        Self { options }
    }

    /// Whether `datagram` may be sent on to `to`.
    ///
    /// Never where it came from: a group is not told what it has just heard, on the port on which the relay listens, nor a
    /// host what it has just sent. No copies come back to the relay itself: they are sent without loopback, and none goes to
    /// an address and port of its own.
    // U28, RFC 1112 7.1; RFC 8085 3.1: a loop of datagrams does not end by itself.
    fn may_send_on<B: PacketBuf>(cx: &Cx<'_, B>, datagram: &Datagram<B>, to: SocketAddr) -> bool {
        let same = |a: SocketAddr, b: SocketAddr| (a.ip(), a.port()) == (b.ip(), b.port());
        let back = same(datagram.source(), to);
        let same_group = datagram.cast() != Cast::Unicast && same(datagram.destination(), to);
        let own = cx.sockets().iter().any(|socket| {
            let local = socket.local;
            local.port() == to.port() && (local.ip() == to.ip() || to.ip() == datagram.destination().ip())
        });
        !(back || same_group || own)
    }
}

impl<B: PacketBuf> Service<B> for Relay {
    fn writes_payloads(&self) -> bool {
        false
    }

    fn datagrams(&mut self, cx: &mut Cx<'_, B>, burst: &mut [Datagram<B>]) {
        for datagram in burst {
            if let Err(why) = self.relay(cx, datagram) {
                datagram.refuse(why);
            }
        }
    }
}

impl Relay {
    /// Sends `datagram` on to every destination: copies to all but the last, which has the packet itself.
    ///
    /// # Errors
    /// Why a destination has missed it; those behind it have it.
    fn relay<B: PacketBuf>(&self, cx: &mut Cx<'_, B>, datagram: &mut Datagram<B>) -> Result<(), DropReason> {
        // Its own packets, if they come back all the same.
        if is_own(cx, datagram) {
            return Err(DropReason::RelayLoop);
        }
        let options = SendOptions { ttl: self.options.ttl, loopback: false, ..SendOptions::default() };
        let mut allowed = self
            .options
            .destinations
            .iter()
            .filter(|to| Self::may_send_on(cx, datagram, **to))
            .copied()
            .collect::<arrayvec::ArrayVec<SocketAddr, DESTINATIONS_MAX>>()
            .into_iter();
        let Some(last) = allowed.next_back() else { return Err(DropReason::RelayLoop) };
        let mut missed = None;
        for to in allowed {
            let sent = cx.message_of(datagram.payload()).and_then(|copy| cx.send(copy, to, &options));
            missed = missed.or_else(|| sent.err());
        }
        let sent = match datagram.keep() {
            Some(kept) => cx.send(kept, last, &options),
            None => Ok(()),
        };
        match missed.or_else(|| sent.err()) {
            None => Ok(()),
            Some(why) => Err(reason(why)),
        }
    }
}

/// Whether the relay itself, or another service on its port here, sent `datagram`.
fn is_own<B: PacketBuf>(cx: &Cx<'_, B>, datagram: &Datagram<B>) -> bool {
    let source = datagram.source();
    source == datagram.destination()
        || cx
            .sockets()
            .iter()
            .any(|socket| (socket.local.ip(), socket.local.port()) == (source.ip(), source.port()))
}

const fn reason(why: SendError) -> DropReason {
    match why {
        SendError::TooBig { .. } => DropReason::ReplyTooBig,
        SendError::NoBuffer => DropReason::NoBuffer,
        SendError::QueueFull => DropReason::PuntQueueFull,
        SendError::NetworkUnreachable | SendError::Scope | SendError::NoInterface => DropReason::NoRoute,
        SendError::NoSocket | SendError::AddressNotAvailable | SendError::DestinationInvalid => {
            DropReason::ReplyImpossible
        }
    }
}
