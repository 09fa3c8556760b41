//! What of an interface every IPv6 packet is compared with.

use core::net::Ipv6Addr;

use super::head::Words;
use super::line6::Line6;
use super::mac_word;
use super::own_set::OwnSet;
use super::wide::{FRONT6, Heads6, link6_of};
use crate::io::InterfaceId;
use crate::stack::flow_label::{FlowLabels, FlowLabelsFrom};
use crate::stack::interface::Interface;
use crate::wire::ipv6::NEXT_HEADER_UDP;

/// EtherType, and version 6 behind it, in the word from the EtherType on under [`TYPE_MASK`].
const IPV6: u64 = 0x0060_dd86;

/// EtherType and version of that word.
pub(super) const TYPE_MASK: u64 = 0x00f0_ffff;

/// An address as two words loaded from it.
pub(super) type Addr6 = [u64; 2];

/// The two words of `addr`.
#[expect(clippy::cast_possible_truncation, reason = "each half is one of 64 bits")]
pub(super) const fn words(addr: Ipv6Addr) -> Addr6 {
    let bits = u128::from_le_bytes(addr.octets());
    [bits as u64, (bits >> 64) as u64]
}

/// The address of two words.
#[inline(always)]
pub(super) const fn addr(words: Addr6) -> Ipv6Addr {
    let [high, low] = words;
    Ipv6Addr::from_bits(((low as u128) << 64 | high as u128).swap_bytes())
}

/// An interface's IPv6 numbers.
#[derive(Clone, Debug)]
pub(super) struct View6 {
    /// What EtherType and version are of a packet that is taken: nothing is, where IPv6 is off.
    pub(super) ipv6: u64,
    /// For the last byte of each address of ours, modulo 64, a bit: most others are told apart by it alone.
    likely: u64,
    pub(super) own: OwnSet<Addr6>,
    /// Whether that is more than one.
    pub(super) has_several: bool,
    /// The largest UDP datagram, header included, in one packet on this link, and on any way beyond it.
    pub(super) udp_len_max: u16,
    /// The hop limit of what is sent.
    pub(super) hop_limit: u8,
    /// The flow labels of what is sent.
    pub(super) labels: FlowLabels,
    /// What the first 16 bytes of an answer have of ours.
    pub(super) link: [u8; 16],
    /// What fours are compared with.
    pub(super) heads: Heads6,
    /// What they are turned round by.
    pub(super) line: Line6,
}

impl View6 {
    /// Of no interface: nothing is taken.
    pub(super) fn nothing() -> Self {
        let labels = FlowLabels::default();
        Self {
            ipv6: u64::MAX,
            likely: 0,
            own: OwnSet::of([]),
            has_several: false,
            udp_len_max: 0,
            hop_limit: 0,
            labels,
            link: link6_of(0),
            heads: Heads6::of(0, InterfaceId(0)),
            line: Line6::of(0, 0, 0),
        }
    }

    /// Of `interface`.
    pub(super) fn of(interface: &Interface) -> Self {
        let own: Vec<Addr6> = interface.v6.addresses().iter().map(|own| words(own.addr())).collect();
        let likely = own.iter().fold(0, |bits, [_, low]| bits | bit(*low));
        let mut view = Self {
            ipv6: if interface.v6.is_on { IPV6 } else { u64::MAX },
            likely,
            has_several: own.len() > 1,
            own: OwnSet::of(own),
            udp_len_max: 0,
            hop_limit: interface.v6.hop_limit,
            labels: interface.flow_labels.clone(),
            link: link6_of(mac_word(interface.mac)),
            heads: Heads6::of(mac_word(interface.mac), interface.id),
            line: Line6::of(mac_word(interface.mac), interface.v6.hop_limit, likely),
        };
        view.set_packet_max(interface);
        view
    }

    /// See [`View::set_packet_max`](super::View::set_packet_max); of one.
    // N14, RFC 4861 6.3.4: a router may say less than the link carries.
    pub(super) fn set_packet_max(&mut self, interface: &Interface) {
        self.udp_len_max = interface.v6.paths.smallest().min(interface.mtu).saturating_sub(40);
    }

    /// Whether IPv6 is spoken.
    #[inline(always)]
    pub(super) const fn is_on(&self) -> bool {
        self.ipv6 == IPV6
    }

    /// The labels that the answer to the request with this head has one of: those of the address that was asked.
    #[inline(always)]
    pub(super) fn labels_for<const LEN: usize>(&self, head: &[u8; LEN]) -> FlowLabelsFrom {
        self.labels.from(addr([head.load64::<38>(), head.load64::<46>()]), NEXT_HEADER_UDP)
    }

    /// Whether `addr` is ours.
    #[inline(always)]
    pub(super) fn is_own(&self, addr: Addr6) -> bool {
        self.likely & bit(addr[1]) != 0 && self.is_own_indeed(addr)
    }

    #[inline(never)]
    fn is_own_indeed(&self, addr: Addr6) -> bool {
        self.own.contains(addr)
    }
}

/// The source of the packet with this front.
#[inline(always)]
pub(super) fn source(front: &[u8; FRONT6]) -> Addr6 {
    [front.load64::<22>(), front.load64::<30>()]
}

/// The bit for the last byte of an address, the top one of its last word.
#[inline(always)]
const fn bit(low: u64) -> u64 {
    1 << (low >> 56 & 63)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_addresses_are_the_same() {
        for text in
            ["2001:db8::2", "fe80::ff:fe00:2", "ff0e::1:2:3", "::1", "0102:304:506:708:90a:b0c:d0e:f10"]
        {
            let a: Ipv6Addr = text.parse().unwrap();
            assert_eq!(addr(words(a)), a);
            let bytes = a.octets();
            assert_eq!(words(a)[0].to_le_bytes(), bytes[..8]);
            assert_eq!(words(a)[1].to_le_bytes(), bytes[8..]);
        }
    }
}
