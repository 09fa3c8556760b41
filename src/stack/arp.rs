//! ARP (RFC 826, RFC 5227): what a received packet teaches, and what answers it.

use super::interface::Interface;
use super::neighbor::{Evidence, NeighborCache};
use super::{egress, ingress};
use crate::addr::V4;
use crate::io::{DropReason, PacketBuf};
use crate::time::Instant;
use crate::wire::arp::Operation;
use crate::wire::ethernet::ETHERTYPE_ARP;

pub use crate::wire::arp::{FRAME_LEN, Packet};

/// What a received ARP packet led to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// This packet answers it.
    Answer(Packet),
    /// The cache learned from it, and nothing is to be said.
    Learned,
    /// It concerns others, or claims our address.
    Ignored(DropReason),
}

/// The answer to `packet`, if it is a question after an address of ours, from a sender that claims none of ours.
// A01: to whoever asked, by unicast. A02: for our own addresses alone.
fn answer(packet: &Packet, interface: &Interface) -> Option<Packet> {
    let own = |addr| interface.v4.is_own(addr);
    let asked = packet.operation == Operation::Request && own(packet.target_addr);
    (asked && !own(packet.sender_addr)).then(|| packet.reply(interface.mac))
}

/// Turns the frame in `buf`, an ARP packet that control has no time for, into its answer: a flood of ARP does not keep a
/// host from finding us. Nothing is learned from it. False if it has no answer, or the buffer cannot hold that.
// A01, RFC 826.
pub fn answer_in_place<B: PacketBuf>(buf: &mut B, interface: &Interface) -> bool {
    let Some(answer) = ingress::arp_packet(buf.data()).and_then(|packet| answer(&packet, interface)) else {
        return false;
    };
    buf.set_len(egress::frame_min(interface))
        && buf.unique().and_then(|frame| write(&answer, frame, interface)).is_some()
        && egress::insert_tag(buf, interface)
}

fn write(packet: &Packet, frame: &mut [u8], interface: &Interface) -> Option<()> {
    let l3 = egress::emit_link(frame, packet.frame_dst(), ETHERTYPE_ARP, interface)?;
    // E09, RFC 1042: what pads the frame is zeros.
    packet.emit_packet(l3)?.fill(0);
    Some(())
}

/// Deals with `packet`, whose sender ingress has found to be one host (A03, A07).
pub fn input(now: Instant, packet: &Packet, interface: &Interface, cache: &mut NeighborCache<V4>) -> Outcome {
    let sender = packet.sender_addr;
    // A06, RFC 5227 2.4: a claim to our address is not believed; what is said of it is `acd`'s.
    if interface.v4.is_own(sender) {
        return Outcome::Ignored(DropReason::ArpConflict);
    }
    let for_us = interface.v4.is_own(packet.target_addr);
    // A04, RFC 826: any packet updates an entry, a request to us creates one; an answer nobody asked for does not.
    // A05, RFC 5227 2.1.1: a probe's 0.0.0.0 is no address. Who is not on this link is answered (A15), not remembered.
    let on_link = interface.v4.addresses().iter().any(|a| a.contains(sender));
    let evidence = match packet.operation {
        Operation::Request if for_us => Evidence::Asked,
        Operation::Reply if for_us => Evidence::Answered,
        Operation::Request | Operation::Reply => Evidence::Overheard,
    };
    let learned =
        !sender.is_unspecified() && on_link && cache.heard(now, sender, packet.sender_mac, evidence);
    match answer(packet, interface) {
        Some(answer) => Outcome::Answer(answer),
        None if learned => Outcome::Learned,
        None => Outcome::Ignored(DropReason::ArpNotForUs),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::{Ipv4Cidr, MacAddr, Unicast};
    use crate::io::InterfaceId;
    use core::net::Ipv4Addr;

    const OWN_MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);
    const PEER_MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);

    fn v4(s: &str) -> Ipv4Addr {
        s.parse().unwrap()
    }

    struct Host(Interface, NeighborCache<V4>);

    impl Host {
        fn new() -> Self {
            let addr = Ipv4Cidr::new(Unicast::new(v4("198.18.0.2")).unwrap(), 24).unwrap();
            let interface = Interface::new(InterfaceId(0), OWN_MAC, 1500, vec![addr]);
            Self(interface, NeighborCache::new(8))
        }

        fn input(&mut self, seconds: u64, packet: Packet) -> Outcome {
            let now = Instant::from_ns(seconds * 1_000_000_000);
            input(now, &packet, &self.0, &mut self.1)
        }
    }

    fn request(sender: &str, target: &str) -> Packet {
        Packet::request(PEER_MAC, v4(sender), v4(target))
    }

    // A01, A02, RFC 826.
    #[test]
    fn a_request_is_answered_for_our_address_alone() {
        let mut host = Host::new();
        let Outcome::Answer(answer) = host.input(0, request("198.18.0.1", "198.18.0.2")) else { panic!() };
        assert_eq!((answer.operation, answer.sender_mac), (Operation::Reply, OWN_MAC));
        assert_eq!((answer.target_mac, answer.target_addr), (PEER_MAC, v4("198.18.0.1")));
        for target in ["198.18.0.50", "239.1.1.1", "127.0.0.1", "198.18.0.255", "255.255.255.255"] {
            let outcome = host.input(0, request("198.18.0.9", target));
            assert_eq!(outcome, Outcome::Ignored(DropReason::ArpNotForUs), "{target}");
        }
    }

    // A04, RFC 826: an answer that nobody asked for fills no cache.
    #[test]
    fn an_unsolicited_reply_from_a_stranger_leaves_the_cache_unchanged() {
        let mut host = Host::new();
        let reply = request("198.18.0.2", "198.18.0.1").reply(PEER_MAC);
        assert_eq!(host.input(0, reply), Outcome::Ignored(DropReason::ArpNotForUs));
        assert_eq!(host.1.lookup(v4("198.18.0.1")), None);
        host.input(0, request("198.18.0.1", "198.18.0.2"));
        assert_eq!(host.1.lookup(v4("198.18.0.1")), Some(PEER_MAC), "a request to us creates an entry");
        let moved = Packet { sender_mac: MacAddr([2, 0, 0, 0, 0, 7]), ..reply };
        assert_eq!(host.input(1, moved), Outcome::Learned);
        assert_eq!(host.1.lookup(v4("198.18.0.1")), Some(moved.sender_mac), "and any packet updates it");
    }

    // A05, RFC 5227 2.1.1.
    #[test]
    fn a_probe_is_answered_and_not_remembered() {
        let mut host = Host::new();
        let Outcome::Answer(answer) = host.input(0, Packet::probe(PEER_MAC, v4("198.18.0.2"))) else {
            panic!()
        };
        assert_eq!(answer.target_addr, Ipv4Addr::UNSPECIFIED);
        assert_eq!(host.1.rows().count(), 0);
    }

    // A06, RFC 5227 2.4.
    #[test]
    fn a_claim_to_our_address_is_never_believed() {
        let mut host = Host::new();
        for target in ["198.18.0.2", "198.18.0.9"] {
            let claim = request("198.18.0.2", target);
            assert_eq!(host.input(0, claim), Outcome::Ignored(DropReason::ArpConflict));
        }
        assert_eq!(host.1.rows().count(), 0);
    }

    // A15: Linux answers a sender from another subnet; it is no neighbour all the same.
    #[test]
    fn a_sender_from_another_subnet_is_answered_and_not_remembered() {
        let mut host = Host::new();
        assert!(matches!(host.input(0, request("192.0.2.9", "198.18.0.2")), Outcome::Answer(_)));
        assert_eq!(host.1.rows().count(), 0);
    }
}
