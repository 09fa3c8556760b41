//! ICMP errors about received packets: what they say, and about which packets none may be made.
//!
//! The one place that decides it, for both IP versions. How an error looks is a file for each.

mod v4;
mod v6;

use core::net::IpAddr;

use crate::addr::{Family, MacAddr, V6};
use crate::io::{BufPool, PacketBuf};
use crate::stack::egress::{frame_min, insert_tag, link_len};
use crate::stack::fragmentation::Ids;
use crate::stack::icmp_limit::account;
use crate::stack::interface::{Inet, Interface, Source};
use crate::stack::route::NextHop;
use crate::wire::ethernet::Header;
use crate::wire::ipv4::Ipv4;
use crate::wire::ipv6::Ipv6;

/// What is wrong with a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Complaint {
    /// Nobody listens on its UDP port. C01, RFC 1122 4.1.3.1; K02, RFC 4443 3.1.
    PortUnreachable,
    /// IPv4: nobody here speaks its protocol. I18, RFC 1122 3.2.2.1. IPv6 calls that [`Problem::NextHeader`].
    ProtocolUnreachable,
    /// Its header cannot be: that byte of the packet is wrong, counted from the start of its IP header. I14, RFC 1122
    /// 3.2.2.5; RFC 4443 3.4.
    ParameterProblem(Problem, u32),
    /// The rest of its datagram did not come in time. F09, RFC 1122 3.3.2; W07, RFC 8200 4.5.
    ReassemblyTime,
}

/// What kind of problem it is that a byte of the header has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Problem {
    /// The field cannot be. ICMPv6: 4/0.
    HeaderField,
    /// IPv6: nobody here knows what it names. V08, RFC 4443 3.4: 4/1.
    NextHeader,
    /// IPv6: an option that nobody here knows, and whose type says that its sender is to be told. V09, RFC 8200 4.2: 4/2.
    Option {
        /// Even if the packet was sent to a group.
        even_to_group: bool,
    },
    /// IPv6: a first fragment without all of its headers. W06, RFC 7112 5 and RFC 8883 4: 4/3.
    FirstFragment,
}

impl Complaint {
    /// Whether it may be made about a packet that was sent to a group.
    // K03, RFC 4443 2.4(e.3): of what a host complains about, an unknown option alone, whose type asks for it.
    const fn is_of_groups_too(self) -> bool {
        matches!(self, Self::ParameterProblem(Problem::Option { even_to_group: true }, _))
    }
}

/// A packet about which an error may be sent, and what is wrong with it.
#[derive(Clone, Copy, Debug)]
pub struct Offender<'a> {
    mac: MacAddr,
    packet: Packet<'a>,
    complaint: Complaint,
}

/// The packet, of either IP version.
#[derive(Clone, Copy, Debug)]
enum Packet<'a> {
    V4(Ipv4<'a>),
    V6(Ipv6<'a>),
}

impl<'a> Offender<'a> {
    /// The packet at `l3` of `frame`, received on `interface`, with its payload in `body` if that is not in the frame.
    /// `None`: nobody is to be told what is wrong with it.
    // C03, RFC 1122 3.2.2; K03, RFC 4443 2.4(e): never about an error; nor what went to many, by its IP or its Ethernet
    // address; nor what does not come from one host. The families have their own rules beside these. This is the only place
    // that decides it.
    #[must_use]
    pub fn of(
        frame: &'a [u8],
        l3: usize,
        body: Option<&'a [u8]>,
        complaint: Complaint,
        interface: &Interface,
    ) -> Option<Self> {
        let (header, _) = Header::parse(frame)?;
        if header.dst.is_group() && !complaint.is_of_groups_too() {
            return None;
        }
        let l3 = frame.get(l3..)?;
        let packet = if l3.first()? >> 4 == V6::VERSION {
            let ip = match body {
                None => Ipv6::parse(l3).ok()?,
                Some(body) => Ipv6::in_pieces(l3, body).ok()?,
            };
            v6::may_be_told(&ip, complaint, interface).then_some(Packet::V6(ip))?
        } else {
            let ip = match body {
                None => Ipv4::parse(l3).ok()?,
                Some(body) => Ipv4::in_pieces(l3, body).ok()?,
            };
            v4::may_be_told(&ip, interface).then_some(Packet::V4(ip))?
        };
        Some(Self { mac: header.src, packet, complaint })
    }

    /// On whose account the error goes that tells its sender.
    #[must_use]
    pub fn account(&self, interface: &Interface) -> IpAddr {
        match self.packet {
            Packet::V4(ip) => account(ip.src().into(), false),
            Packet::V6(ip) => {
                account(ip.src().into(), interface.v6.routes.next_hop(ip.src()) == NextHop::OnLink)
            }
        }
    }
}

/// Whether what came from `src` and went to `dst` went from one host to ours.
fn is_between_hosts<F: Family>(inet: &Inet<F>, dst: F::Addr, source: Source) -> bool {
    inet.is_own(dst) && source == Source::Host
}

/// The frame that tells the sender of `about` what is wrong with it. `None` if no buffer is free.
#[must_use]
pub fn complain<P: BufPool>(
    about: &Offender<'_>,
    ids: &mut Ids,
    interface: &Interface,
    pool: &P,
) -> Option<P::Buf> {
    let l2 = link_len(interface);
    let most = match about.packet {
        Packet::V4(_) => v4::PACKET_MAX,
        Packet::V6(_) => v6::PACKET_MAX,
    };
    let mut buf = pool.alloc()?;
    if !buf.set_len(l2 + most.min(usize::from(interface.mtu))) {
        return None;
    }
    let frame = buf.unique()?;
    let len = match about.packet {
        Packet::V4(ip) => v4::emit(&ip, about, ids, interface, frame)?,
        Packet::V6(ip) => v6::emit(&ip, about, interface, frame)?,
    };
    (buf.set_len((l2 + len).max(frame_min(interface))) && insert_tag(&mut buf, interface)).then_some(buf)
}

#[cfg(test)]
mod tests;
