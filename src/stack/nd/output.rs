//! What a host says: answers, questions, and their frames.

use core::net::Ipv6Addr;

use super::input;
use crate::addr::{Family, Group, MacAddr, V6};
use crate::io::PacketBuf;
use crate::stack::egress;
use crate::stack::interface::Interface;
use crate::stack::neighbor::Request;
use crate::wire::ethernet::{self, ETHERTYPE_IPV6};
use crate::wire::ipv6::{self, HOP_LIMIT_NDP, NEXT_HEADER_ICMPV6};
use crate::wire::ndisc::{ALL_ROUTERS, Message, Nonce, Repr};

/// The longest frame that a host sends, in bytes, without a VLAN tag: a solicitation with address and nonce.
pub const FRAME_MAX: usize = ethernet::HEADER_LEN + ipv6::HEADER_LEN + 40;

/// A message to send.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Outgoing {
    /// Where its frame goes.
    pub dst_mac: MacAddr,
    /// From which address.
    pub src: Ipv6Addr,
    /// To which one.
    pub dst: Ipv6Addr,
    /// What it says.
    pub message: Repr,
}

impl Outgoing {
    /// A message to a group.
    fn to_group(src: Ipv6Addr, group: Ipv6Addr, message: Repr) -> Self {
        Self { dst_mac: V6::group_mac(group), src, dst: group, message }
    }

    /// The question of duplicate address detection: does anyone have `target`?
    // N06, N07, RFC 4862 5.4.2: from nobody, without an Ethernet address.
    #[must_use]
    pub fn probe(target: Ipv6Addr, nonce: Nonce) -> Self {
        let message = Repr::NeighborSolicitation { target, source_mac: None, nonce: Some(nonce) };
        Self::to_group(Ipv6Addr::UNSPECIFIED, Group::solicited_node(target).addr(), message)
    }

    /// The question for `request`'s address, from `src`, an address of ours.
    // N08, RFC 4861 7.2.2: in its solicited-node group. N11, RFC 4861 7.3.3: what is known is confirmed by unicast.
    #[must_use]
    pub fn solicitation(src: Ipv6Addr, request: Request<Ipv6Addr>, interface: &Interface) -> Self {
        let target = request.addr;
        let source_mac = Some(interface.mac);
        let message = Repr::NeighborSolicitation { target, source_mac, nonce: None };
        match request.mac {
            Some(mac) => Self { dst_mac: mac, src, dst: target, message },
            None => Self::to_group(src, Group::solicited_node(target).addr(), message),
        }
    }

    /// The question for routers, from an address of ours, or from none yet.
    // N12, RFC 4861 6.3.7, 4.1: with our Ethernet address, unless it has no address to go with.
    #[must_use]
    pub fn router_solicitation(src: Option<Ipv6Addr>, interface: &Interface) -> Self {
        let message = Repr::RouterSolicitation { source_mac: src.map(|_| interface.mac) };
        Self::to_group(src.unwrap_or(Ipv6Addr::UNSPECIFIED), ALL_ROUTERS, message)
    }

    /// Writes its frame, without a VLAN tag, to the front of `out` and returns its length in bytes: at most [`FRAME_MAX`].
    /// `None`: `out` is too short.
    #[must_use]
    pub fn emit(&self, interface: &Interface, out: &mut [u8]) -> Option<usize> {
        let header = ethernet::Header { dst: self.dst_mac, src: interface.mac, ethertype: ETHERTYPE_IPV6 };
        let len = self.emit_packet(header.emit(out)?)?;
        Some(ethernet::HEADER_LEN + len)
    }

    /// Writes its IPv6 packet and returns the length of that in bytes.
    fn emit_packet(&self, out: &mut [u8]) -> Option<usize> {
        let header = ipv6::Repr {
            traffic_class: 0,
            flow_label: 0,
            payload_len: u16::try_from(self.message.len()).ok()?,
            next_header: NEXT_HEADER_ICMPV6,
            hop_limit: HOP_LIMIT_NDP,
            src: self.src,
            dst: self.dst,
        };
        let len = self.message.emit(self.src, self.dst, header.emit(out)?)?;
        Some(ipv6::HEADER_LEN + len)
    }
}

/// Turns the frame in `buf`, a neighbour solicitation that control has no time for, into its answer: a flood of them does not
/// keep a host from finding us. Nothing is learned from it. False if it has no answer, or the buffer cannot hold that.
// N03, N04, N05, RFC 4861 7.2.4: a tentative address is none of `interface`'s yet.
pub fn answer_in_place<B: PacketBuf>(buf: &mut B, interface: &Interface) -> bool {
    let Ok(received) = input::read(buf.data()) else { return false };
    let Message::NeighborSolicitation(ns) = received.message else { return false };
    let own = |addr| interface.v6.is_own(addr);
    if !own(ns.target) || own(received.envelope.src) {
        return false;
    }
    let mac = ns.source_mac.unwrap_or(received.source_mac);
    let answer = input::answer(&received.envelope, &ns, mac, interface);
    let len = egress::link_len(interface) + ipv6::HEADER_LEN + answer.message.len();
    buf.set_len(len)
        && buf.unique().and_then(|frame| write(&answer, frame, interface)).is_some()
        && egress::insert_tag(buf, interface)
}

fn write(answer: &Outgoing, frame: &mut [u8], interface: &Interface) -> Option<usize> {
    answer.emit_packet(egress::emit_link(frame, answer.dst_mac, ETHERTYPE_IPV6, interface)?)
}
