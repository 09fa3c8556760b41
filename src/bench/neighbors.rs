//! The Ethernet addresses of those who are sent to: asked for before the first packet, by ARP and neighbour solicitation.

use core::net::{IpAddr, Ipv6Addr};
use core::time::Duration;

use super::template::LinkHeader;
use super::traffic::Traffic;
use crate::addr::{Group, MacAddr, V4, V6};
use crate::time::Instant;
use crate::wire::ethernet::{ETHERTYPE_ARP, ETHERTYPE_IPV6, MIN_FRAME};
use crate::wire::{arp, ipv6, ndisc};

/// How often one is asked.
const INTERVAL: Duration = Duration::from_millis(250);

/// How often at most: for ten seconds.
const TIMES: u32 = 40;

/// The longest frame that is composed here: a tagged neighbour message.
pub(super) const FRAME_MAX: usize = 96;

/// One who is sent to, and maybe its Ethernet address.
#[derive(Clone, Copy, Debug)]
struct Neighbor {
    addr: IpAddr,
    mac: Option<MacAddr>,
}

/// Those who are sent to on the link.
#[derive(Debug)]
pub(super) struct Neighbors {
    all: Vec<Neighbor>,
    asked: u32,
    next: Instant,
}

impl Neighbors {
    /// The next hops of `traffic`.
    pub(super) fn of(traffic: &Traffic) -> Self {
        let mut all: Vec<Neighbor> = Vec::new();
        for to in traffic.destinations.iter().map(|to| to.ip()).filter(|to| !to.is_multicast()) {
            let addr = traffic.next_hop(to).unwrap_or(to);
            if !all.iter().any(|other| other.addr == addr) {
                all.push(Neighbor { addr, mac: traffic.peer_mac });
            }
        }
        Self { all, asked: 0, next: Instant::ZERO }
    }

    /// The Ethernet address to which a packet to `to` goes; `None` while it is not known.
    pub(super) fn mac_towards(&self, to: IpAddr, traffic: &Traffic) -> Option<MacAddr> {
        match to {
            IpAddr::V4(addr) if addr.is_multicast() => Group::<V4>::new(addr).map(Group::mac),
            IpAddr::V6(addr) if addr.is_multicast() => Group::<V6>::new(addr).map(Group::mac),
            _ => {
                let hop = traffic.next_hop(to).unwrap_or(to);
                self.all.iter().find(|neighbor| neighbor.addr == hop)?.mac
            }
        }
    }

    /// Those that have not answered.
    pub(super) fn unknown(&self) -> impl Iterator<Item = IpAddr> {
        self.all.iter().filter(|neighbor| neighbor.mac.is_none()).map(|neighbor| neighbor.addr)
    }

    /// `addr` has the Ethernet address `mac`.
    pub(super) fn learn(&mut self, addr: IpAddr, mac: MacAddr) {
        if mac.is_unicast()
            && let Some(neighbor) = self.all.iter_mut().find(|neighbor| neighbor.addr == addr)
            && neighbor.mac.is_none()
        {
            neighbor.mac = Some(mac);
        }
    }

    /// Whether it is time to ask again; then whom to ask is [`unknown`](Self::unknown).
    pub(super) fn is_due(&mut self, now: Instant) -> bool {
        let is_due = now >= self.next && self.unknown().next().is_some();
        if is_due {
            self.next = now + INTERVAL;
            self.asked += 1;
        }
        is_due
    }

    /// Whether it was asked long enough.
    pub(super) const fn is_hopeless(&self) -> bool {
        self.asked > TIMES
    }
}

/// The question who has `target`, into `out`; its length. `None`: there is no address to ask from.
pub(super) fn question(target: IpAddr, own: LinkHeader, traffic: &Traffic, out: &mut [u8]) -> Option<usize> {
    match (target, traffic.source_for(target)?) {
        (IpAddr::V4(target), IpAddr::V4(source)) => {
            arp_frame(arp::Packet::request(own.src, source, target), own, out)
        }
        (IpAddr::V6(target), IpAddr::V6(source)) => {
            let group = Group::solicited_node(target);
            let link = LinkHeader { dst: group.mac(), ..own };
            let message =
                ndisc::Repr::NeighborSolicitation { target, source_mac: Some(own.src), nonce: None };
            nd_frame(message, (source, group.addr()), link, out)
        }
        _ => None,
    }
}

/// The answer to an ARP request for an address of ours.
pub(super) fn arp_answer(asked: &arp::Packet, own: LinkHeader, out: &mut [u8]) -> Option<usize> {
    arp_frame(asked.reply(own.src), own, out)
}

/// The answer to a neighbour solicitation for `target`, an address of ours.
pub(super) fn nd_answer(
    target: Ipv6Addr,
    (to, mac): (Ipv6Addr, MacAddr),
    own: LinkHeader,
    out: &mut [u8],
) -> Option<usize> {
    // N05, RFC 4861 7.2.4: who looks for duplicates has no address; all are told.
    let solicited = !to.is_unspecified();
    let (to, mac) = if solicited { (to, mac) } else { (V6_ALL_NODES, MacAddr([0x33, 0x33, 0, 0, 0, 1])) };
    let message = ndisc::Repr::NeighborAdvertisement {
        target,
        target_mac: Some(own.src),
        solicited,
        override_flag: true,
    };
    nd_frame(message, (target, to), LinkHeader { dst: mac, ..own }, out)
}

/// `ff02::1`.
const V6_ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

fn arp_frame(packet: arp::Packet, own: LinkHeader, out: &mut [u8]) -> Option<usize> {
    let link = LinkHeader { dst: packet.frame_dst(), ..own };
    let len = (link.len() + arp::PACKET_LEN).max(MIN_FRAME);
    let out = out.get_mut(..len)?;
    packet.emit_packet(link.emit(ETHERTYPE_ARP, out)?)?.fill(0);
    Some(len)
}

fn nd_frame(
    message: ndisc::Repr,
    (src, dst): (Ipv6Addr, Ipv6Addr),
    link: LinkHeader,
    out: &mut [u8],
) -> Option<usize> {
    let header = ipv6::Repr {
        traffic_class: 0,
        flow_label: 0,
        payload_len: u16::try_from(message.len()).ok()?,
        next_header: ipv6::NEXT_HEADER_ICMPV6,
        hop_limit: ipv6::HOP_LIMIT_NDP,
        src,
        dst,
    };
    let l4 = header.emit(link.emit(ETHERTYPE_IPV6, out)?)?;
    message.emit(src, dst, l4)?;
    Some(link.len() + ipv6::HEADER_LEN + message.len())
}
