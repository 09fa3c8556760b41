//! ARP on arrival: what is whole goes to control, which alone has the neighbour cache.

use super::link::Link;
use super::{Decision, Punted};
use crate::addr::{Family, V4};
use crate::io::DropReason;
use crate::wire::arp::Packet;

pub(super) fn decide(link: &Link<'_>) -> Decision {
    // A03, RFC 826: types, lengths and operation are what ARP for IPv4 over Ethernet has.
    let Some(packet) = Packet::parse(link.l3) else { return Decision::Drop(DropReason::ArpMalformed) };
    // A07, RFC 5227, RFC 1812 3.3.2: the sender is one host, and has the address of one. A05: a probe's sender has none
    // yet.
    let sender_is_host = V4::is_unicast(packet.sender_addr) || packet.sender_addr.is_unspecified();
    if !packet.sender_mac.is_unicast() || !sender_is_host {
        return Decision::Drop(DropReason::ArpSenderInvalid);
    }
    Decision::Punt(Punted::Arp)
}
