//! What a received frame is, as far as this end cares.

use core::net::{IpAddr, Ipv6Addr};

use crate::addr::MacAddr;
use crate::wire::checksum::Sum;
use crate::wire::ethernet::{ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6};
use crate::wire::icmpv6;
use crate::wire::ipv4::{self, Ipv4};
use crate::wire::ipv6::{self, Ipv6};
use crate::wire::ndisc::{Envelope, Message};
use crate::wire::udp::Udp;
use crate::wire::{arp, vlan};

/// ICMP type: destination unreachable (RFC 792).
const ICMP_UNREACHABLE: u8 = 3;

/// What a frame is.
#[derive(Debug)]
pub(super) enum Heard<'a> {
    /// A UDP datagram, whole, whose checksum nobody has looked at.
    Datagram {
        src: IpAddr,
        dst: IpAddr,
        udp: Udp<'a>,
        /// Of its pseudo-header.
        pseudo: Sum,
    },
    /// ARP.
    Arp(arp::Packet),
    /// Somebody asks for the owner of an address.
    Solicitation { from: Ipv6Addr, mac: MacAddr, target: Ipv6Addr },
    /// The owner of an address says so.
    Advertisement { target: Ipv6Addr, mac: MacAddr },
    /// An ICMP error: nobody there.
    Unreachable,
    /// Anything else.
    Other,
}

/// The VLAN (0: none) of `frame`, and what it is.
#[inline]
pub(super) fn read(frame: &[u8]) -> (u16, Heard<'_>) {
    let Ok(untagged) = vlan::untag(frame) else { return (0, Heard::Other) };
    let heard = match untagged.ethertype {
        ETHERTYPE_IPV4 => v4(untagged.l3),
        ETHERTYPE_IPV6 => v6(frame, untagged.l3),
        ETHERTYPE_ARP => arp::Packet::parse(untagged.l3).map(Heard::Arp),
        _ => None,
    };
    (untagged.vid, heard.unwrap_or(Heard::Other))
}

#[inline]
fn v4(l3: &[u8]) -> Option<Heard<'_>> {
    let ip = Ipv4::parse(l3).ok()?;
    if ip.is_fragment() || ip.verify().is_err() {
        return None;
    }
    match ip.protocol() {
        ipv4::PROTOCOL_UDP => {
            let udp = Udp::parse(ip.payload()).ok()?;
            let pseudo = Sum::pseudo_v4(ip.src(), ip.dst(), ipv4::PROTOCOL_UDP, udp.length());
            Some(Heard::Datagram { src: ip.src().into(), dst: ip.dst().into(), udp, pseudo })
        }
        ipv4::PROTOCOL_ICMP if ip.payload().first() == Some(&ICMP_UNREACHABLE) => Some(Heard::Unreachable),
        _ => None,
    }
}

#[inline]
fn v6<'a>(frame: &'a [u8], l3: &'a [u8]) -> Option<Heard<'a>> {
    let ip = Ipv6::parse(l3).ok()?;
    match ip.next_header() {
        ipv6::NEXT_HEADER_UDP => {
            let udp = Udp::parse(ip.payload()).ok()?;
            let pseudo = Sum::pseudo_v6(ip.src(), ip.dst(), ipv6::NEXT_HEADER_UDP, udp.length());
            Some(Heard::Datagram { src: ip.src().into(), dst: ip.dst().into(), udp, pseudo })
        }
        ipv6::NEXT_HEADER_ICMPV6 if ip.payload().first() == Some(&icmpv6::TYPE_UNREACHABLE) => {
            Some(Heard::Unreachable)
        }
        ipv6::NEXT_HEADER_ICMPV6 => neighbor(frame, &ip),
        _ => None,
    }
}

fn neighbor<'a>(frame: &[u8], ip: &Ipv6<'a>) -> Option<Heard<'a>> {
    let envelope = Envelope { src: ip.src(), dst: ip.dst(), hop_limit: ip.hop_limit() };
    let sender = MacAddr(*frame.get(6..)?.first_chunk()?);
    match Message::parse(envelope, ip.payload()).ok()? {
        Message::NeighborSolicitation(asked) => {
            let mac = asked.source_mac.unwrap_or(sender);
            Some(Heard::Solicitation { from: ip.src(), mac, target: asked.target })
        }
        Message::NeighborAdvertisement(said) => {
            Some(Heard::Advertisement { target: said.target, mac: said.target_mac.unwrap_or(sender) })
        }
        _ => None,
    }
}
