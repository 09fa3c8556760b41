//! What balancers say of their clients, on arrival: an option of the IPv4 header, or the option protocol before UDP.

use core::net::{IpAddr, SocketAddr};

use super::Decision;
use super::udp::{self, Datagram};
use crate::addr::V4;
use crate::io::{ChecksumStatus, DropReason, RxMeta};
use crate::stack::interface::{Interface, Ip, Source};
use crate::stack::port_table::PortTable;
use crate::stack::uoa::{Balanced, Seen, Trusted};
use crate::wire::ipv4::{Ipv4, Options, PROTOCOL_UDP};
use crate::wire::uoa::{self, BadOption, Header};

/// What a packet says of who sent the datagram in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Said {
    /// Nothing, as almost every packet.
    Nothing,
    /// This client did.
    Client(SocketAddr),
    /// O03, O04: what cannot be read.
    Missed,
    /// O07: someone who cannot be.
    Impossible,
    /// O06: something that is not believed, and was not looked at.
    Untrusted,
}

impl Said {
    /// Counts it.
    pub(super) const fn count(self, seen: &mut Seen) {
        let counter = match self {
            Self::Nothing => return,
            Self::Client(_) => &mut seen.named,
            Self::Missed => &mut seen.missed,
            Self::Impossible => &mut seen.impossible,
            Self::Untrusted => &mut seen.untrusted,
        };
        *counter = counter.saturating_add(1);
    }
}

/// What `options`, which a balancer wrote, say.
fn read(options: Options<'_>, interface: &Interface) -> Said {
    match uoa::client(options) {
        Ok(None) => Said::Nothing,
        Ok(Some(client)) if can_be(client, interface) => Said::Client(client),
        Ok(Some(_)) => Said::Impossible,
        Err(BadOption) => Said::Missed,
    }
}

/// O07: whether a client can have this address: what no packet may come from, no client is.
fn can_be(client: SocketAddr, interface: &Interface) -> bool {
    let source = match client.ip() {
        IpAddr::V4(addr) => interface.source(addr),
        IpAddr::V6(addr) => interface.v6.source(addr),
    };
    source == Source::Host
}

/// What the options of the header of `ip` say.
// O01. O08, RFC 791 3.1: not copied to further fragments, but what was put together has the header of the first.
pub(super) fn of_header(ip: &Ipv4<'_>, trusted: &Trusted, interface: &Interface) -> Said {
    if ip.option_bytes().is_empty() || !trusted.is_on() {
        return Said::Nothing;
    }
    if trusted.trusts::<V4>(ip.src()) {
        return read(ip.options(), interface);
    }
    // O06: ignored, and counted.
    let names = ip.options().flatten().any(|option| option.kind == uoa::OPTION);
    if names { Said::Untrusted } else { Said::Nothing }
}

/// What becomes of a packet of the option protocol, which has `datagram`'s bytes behind its IP header; `None`: what becomes of a
/// protocol that nobody knows.
// O02: to the socket it is a plain datagram. Its checksum is over UDP's own protocol number and length, of which no device knows
// anything: whatever one says was said of something else.
// O06: who is not trusted does not speak it, and UDP is not to be had past whoever looks for it by its protocol number.
pub(super) fn decide<F: Ip + Balanced>(
    datagram: Datagram<'_, F>,
    meta: RxMeta,
    interface: &Interface,
    table: &PortTable,
) -> Option<Decision> {
    let Ok(header) = Header::parse(datagram.bytes) else {
        return Some(Decision::Drop(DropReason::OptionProtocolInvalid));
    };
    if header.protocol() != PROTOCOL_UDP {
        return None;
    }
    let len = u16::try_from(header.len()).unwrap_or(u16::MAX);
    let l4 = datagram.l4.saturating_add(len);
    let said = match read(header.options(), interface) {
        // O04: what is there only to name a client, and names none.
        Said::Nothing => Said::Missed,
        said => said,
    };
    let inner = Datagram { bytes: header.payload(), l4, said, ..datagram };
    let meta = RxMeta { l4_checksum: ChecksumStatus::Unknown, ..meta };
    Some(udp::decide(&inner, meta, interface, F::inet(interface), table))
}

/// Whether a packet of this `protocol` from `source` is one of the option protocol, or, if not for want of trust, why it is
/// dropped like one of a protocol that nobody knows.
pub(super) fn is_spoken<F: Balanced>(
    protocol: u8,
    source: F::Addr,
    trusted: &Trusted,
) -> Result<bool, DropReason> {
    if protocol != uoa::PROTOCOL || !trusted.is_on() {
        return Ok(false);
    }
    if trusted.trusts::<F>(source) { Ok(true) } else { Err(DropReason::OptionProtocolUntrusted) }
}
