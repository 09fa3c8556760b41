//! The packets: all to one destination of one size are alike but for source port and number, and so are their sums and their answers.
//!
//! So a packet is written from registers, and an answer is compared with what the last one was ([`Known`]): byte for byte, but for
//! what is computed, port, number and checksum.

use core::net::{IpAddr, SocketAddr};

use crate::addr::{MacAddr, Vid};
use crate::wire::checksum::Sum;
use crate::wire::ethernet::{self, ETHERTYPE_IPV4, ETHERTYPE_IPV6, ETHERTYPE_VLAN};
use crate::wire::udp::Udp;
use crate::wire::{ipv4, ipv6, udp, vlan};

/// Bytes at the front of a payload that tell one packet from all others: the run's number, of 4 bytes, and the packet's.
pub(super) const STAMP_LEN: usize = 12;

/// Where the packet's number is in it.
const NUMBER_AT: usize = 4;

/// An Ethernet header, with a tag or without.
#[derive(Clone, Copy, Debug)]
pub(super) struct LinkHeader {
    pub(super) src: MacAddr,
    pub(super) dst: MacAddr,
    pub(super) vlan: Option<Vid>,
}

impl LinkHeader {
    /// Writes it to the front of `out` and returns what follows.
    pub(super) fn emit(self, ethertype: u16, out: &mut [u8]) -> Option<&mut [u8]> {
        let Self { src, dst, vlan } = self;
        let outer = if vlan.is_some() { ETHERTYPE_VLAN } else { ethertype };
        let rest = ethernet::Header { dst, src, ethertype: outer }.emit(out)?;
        match vlan {
            Some(vid) => vlan::emit(rest, vid, ethertype),
            None => Some(rest),
        }
    }

    /// Its bytes.
    pub(super) const fn len(self) -> usize {
        ethernet::HEADER_LEN + if self.vlan.is_some() { vlan::TAG_LEN } else { 0 }
    }
}

/// What IP says of all packets of a run.
#[derive(Clone, Copy, Debug)]
pub(super) struct IpHeader {
    pub(super) src: IpAddr,
    pub(super) ttl: u8,
    pub(super) tos: u8,
}

/// What stands before the UDP header, for which 34 bytes are the least and 58 the most: its first 32 and its last 32.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Head {
    front: [u8; HALF],
    back: [u8; HALF],
}

/// Bytes of each of its two parts.
const HALF: usize = 32;

impl Head {
    /// `None`: that is no head.
    fn of(head: &[u8]) -> Option<Self> {
        (head.len() <= 2 * HALF).then_some(Self { front: *head.first_chunk()?, back: *head.last_chunk()? })
    }

    #[inline]
    fn write(&self, head: &mut [u8]) {
        if let Some(front) = head.first_chunk_mut() {
            *front = self.front;
        }
        if let Some(back) = head.last_chunk_mut() {
            *back = self.back;
        }
    }

    /// Whether `head`, as long as this one, is this one, but for the bits of its front that are 0 in `mask`.
    #[inline]
    fn is(&self, head: &[u8], mask: &[u8; HALF]) -> bool {
        let (Some(front), Some(back)) = (head.first_chunk(), head.last_chunk()) else { return false };
        unlike(front, &self.front, mask) | unlike(back, &self.back, &[0xff; HALF]) == 0
    }
}

/// A UDP header and the stamp behind it.
const FIXED_LEN: usize = udp::HEADER_LEN + STAMP_LEN;

/// A UDP header whose source port and checksum are 0, as its bytes lie in memory.
const fn udp_word(src_port: u16, dst_port: u16, length: u16) -> u64 {
    src_port.swap_bytes() as u64 | (dst_port.swap_bytes() as u64) << 16 | (length.swap_bytes() as u64) << 32
}

/// What right answers are: what one had that was looked at in full.
#[derive(Clone, Copy, Debug)]
struct Known {
    head: Head,
    /// The bits of `head.front` that an answer may have otherwise are 0.
    mask: [u8; HALF],
    /// The UDP header without checksum and the port that this end has.
    udp: u64,
    /// By how many bits that port is shifted in it.
    port_at: u32,
    /// Of pseudo-header, UDP header and payload without that port, the checksum and the number.
    sum: Sum,
}

/// All packets to one destination of one size.
#[derive(Debug)]
pub(super) struct Template {
    /// The frame of the packet with source port 0 and number 0, without a checksum.
    frame: Box<[u8]>,
    head: Head,
    udp_at: usize,
    dst: SocketAddr,
    /// The UDP header, and the run behind it.
    udp: u64,
    run: [u8; NUMBER_AT],
    /// Of the pseudo-header and of what is in `frame` from the UDP header on.
    sum: Sum,
    /// Of the payload alone.
    payload_sum: Sum,
    known: Option<Known>,
}

impl Template {
    /// Of a frame of `size` bytes, the tag not among them. `None`: it is too small, or IP versions are mixed.
    pub(super) fn new(link: LinkHeader, ip: IpHeader, dst: SocketAddr, size: u16, run: u32) -> Option<Self> {
        let tag = link.len() - ethernet::HEADER_LEN;
        let mut frame = vec![0; usize::from(size) + tag];
        let ip_len = if dst.is_ipv4() { ipv4::HEADER_LEN } else { ipv6::HEADER_LEN };
        let udp_at = link.len() + ip_len;
        let payload_len = frame.len().checked_sub(udp_at + udp::HEADER_LEN)?;
        if payload_len < STAMP_LEN {
            return None;
        }
        let header = udp::Repr::new(0, dst.port(), payload_len)?;
        let ethertype = if dst.is_ipv4() { ETHERTYPE_IPV4 } else { ETHERTYPE_IPV6 };
        let l3 = link.emit(ethertype, &mut frame)?;
        let (l4, pseudo) = emit_ip(ip, dst.ip(), header.length(), l3)?;
        let payload = header.emit(0, l4)?;
        for (byte, value) in payload.iter_mut().zip((0..=u8::MAX).cycle()) {
            *byte = value;
        }
        payload.get_mut(..STAMP_LEN)?.fill(0);
        payload.get_mut(..NUMBER_AT)?.copy_from_slice(&run.to_be_bytes());
        let payload_sum = Sum::of(payload);
        Some(Self {
            head: Head::of(frame.get(..udp_at)?)?,
            frame: frame.into(),
            udp_at,
            dst,
            udp: udp_word(0, dst.port(), header.length()),
            run: run.to_be_bytes(),
            sum: pseudo + header.sum() + payload_sum,
            payload_sum,
            known: None,
        })
    }

    /// Bytes of the frame.
    #[inline]
    pub(super) const fn len(&self) -> usize {
        self.frame.len()
    }

    /// To whom.
    pub(super) const fn dst(&self) -> SocketAddr {
        self.dst
    }

    /// Where the UDP header begins.
    pub(super) const fn udp_at(&self) -> usize {
        self.udp_at
    }

    /// The frame of the packet with source port 0 and number 0, without a checksum: what [`write`](Self::write) is to find.
    #[inline]
    pub(super) const fn frame(&self) -> &[u8] {
        &self.frame
    }

    /// Makes `out`, whose payload behind the stamp is right already, the frame of the packet `number` from `src_port`. False: it has not
    /// [`len`](Self::len) bytes.
    #[inline]
    pub(super) fn write(&self, src_port: u16, number: u64, out: &mut [u8]) -> bool {
        if out.len() != self.frame.len() {
            return false;
        }
        let Some((head, rest)) = out.split_at_mut_checked(self.udp_at) else { return false };
        let Some(fixed) = rest.first_chunk_mut::<FIXED_LEN>() else { return false };
        let (header, stamp) = fixed.split_at_mut(udp::HEADER_LEN);
        let (run, stamp) = stamp.split_at_mut(NUMBER_AT);
        let checksum = with_number(self.sum, number).add_u16(src_port).udp_finish();
        let udp = self.udp | u64::from(src_port.swap_bytes()) | u64::from(checksum.swap_bytes()) << 48;
        self.head.write(head);
        header.copy_from_slice(&udp.to_le_bytes());
        run.copy_from_slice(&self.run);
        stamp.copy_from_slice(&number.to_be_bytes());
        true
    }

    /// Whether `payload` is that of the packet `number`, whose stamp has been read already.
    pub(super) fn has_payload(&self, payload: &[u8]) -> bool {
        let own = self.frame.get(self.udp_at + FIXED_LEN..);
        own == payload.get(STAMP_LEN..)
    }

    /// The sum of the payload of the packet `number`.
    pub(super) fn payload_sum(&self, number: u64) -> Sum {
        with_number(self.payload_sum, number)
    }

    /// The number in `frame`, were it an answer.
    #[inline]
    pub(super) fn number_in(&self, frame: &[u8]) -> Option<u64> {
        let (_, stamp) = frame.get(self.udp_at..)?.first_chunk::<FIXED_LEN>()?.split_last_chunk::<8>()?;
        Some(u64::from_be_bytes(*stamp))
    }

    /// `frame` was a right answer, but maybe for its checksum, `udp` is what it carries, and `pseudo` the sum of its pseudo-header. The port
    /// that this end has is the destination's, or else the source's. From now on such are [recognised](Self::is_answer).
    pub(super) fn learn(&mut self, frame: &[u8], udp: &Udp<'_>, pseudo: Sum, port_is_dst: bool) {
        // Where else the datagram may begin, the short way does not look: behind options, say.
        let is_alike = frame.len() == self.frame.len()
            && udp.payload().as_ptr().addr() == frame.as_ptr().addr() + self.udp_at + udp::HEADER_LEN;
        let Some(head) = frame.get(..self.udp_at).and_then(Head::of).filter(|_| is_alike) else { return };
        let (src_port, dst_port) = if port_is_dst { (udp.src_port(), 0) } else { (0, udp.dst_port()) };
        let mut mask = [0xff; HALF];
        if self.dst.is_ipv6() {
            // RFC 6437: a label is its flow's, and is under no checksum.
            let l3_at = self.udp_at - ipv6::HEADER_LEN;
            mask.iter_mut().skip(l3_at + 1).zip([0xf0, 0, 0]).for_each(|(byte, bits)| *byte = bits);
        }
        self.known = Some(Known {
            head,
            mask,
            udp: udp_word(src_port, dst_port, udp.length()),
            port_at: if port_is_dst { 16 } else { 0 },
            sum: pseudo.add_u16(src_port).add_u16(dst_port).add_u16(udp.length()) + self.payload_sum,
        });
    }

    /// No answer is recognised any more.
    #[cfg(test)]
    pub(super) fn forget(&mut self) {
        self.known = None;
    }

    /// Whether `frame` is the answer to the packet `number` from `port`: as an answer that was looked at in full, but for what
    /// differs from packet to packet. False says nothing.
    #[inline]
    pub(super) fn is_answer(&self, frame: &[u8], port: u16, number: u64) -> bool {
        let Some(known) = self.known.as_ref().filter(|_| frame.len() == self.frame.len()) else {
            return false;
        };
        let Some((head, rest)) = frame.split_at_checked(self.udp_at) else { return false };
        let Some((fixed, tail)) = rest.split_first_chunk::<FIXED_LEN>() else { return false };
        let checksum = with_number(known.sum, number).add_u16(port).udp_finish();
        let udp = known.udp
            | u64::from(port.swap_bytes()) << known.port_at
            | u64::from(checksum.swap_bytes()) << 48;
        let [u0, u1, u2, u3, u4, u5, u6, u7, r0, r1, r2, r3, its_number @ ..] = *fixed;
        known.head.is(head, &known.mask)
            && (u64::from_le_bytes([u0, u1, u2, u3, u4, u5, u6, u7]) == udp)
                & ([r0, r1, r2, r3] == self.run)
                & (its_number == number.to_be_bytes())
            && self.frame.get(self.udp_at + FIXED_LEN..).is_some_and(|own| are_same(own, tail))
    }
}

/// The bits of `mask` in which `a` and `b` differ, put together.
#[inline]
fn unlike(a: &[u8; HALF], b: &[u8; HALF], mask: &[u8; HALF]) -> u64 {
    let word = |bytes: &[u8; HALF], at: usize| {
        bytes.as_chunks::<8>().0.get(at).map_or(0, |word| u64::from_le_bytes(*word))
    };
    (0..HALF / 8).fold(0, |unlike, at| unlike | (word(a, at) ^ word(b, at)) & word(mask, at))
}

/// Whether `a` and `b` are the same bytes. The few of the shortest packets are not worth a call.
#[inline]
fn are_same(a: &[u8], b: &[u8]) -> bool {
    match (a.first_chunk::<4>(), b.first_chunk::<4>(), a.last_chunk::<4>(), b.last_chunk::<4>()) {
        (Some(a0), Some(b0), Some(a1), Some(b1)) if a.len() == b.len() && a.len() <= 8 => {
            (a0 == b0) & (a1 == b1)
        }
        _ => a == b,
    }
}

/// The run and the number that `payload` is stamped with.
#[inline]
pub(super) fn stamp_of(payload: &[u8]) -> Option<(u32, u64)> {
    let [r0, r1, r2, r3, number @ ..] = *payload.first_chunk::<STAMP_LEN>()?;
    Some((u32::from_be_bytes([r0, r1, r2, r3]), u64::from_be_bytes(number)))
}

/// The sum of what is summed in `sum`, but with this number where 0 was.
#[inline]
fn with_number(sum: Sum, number: u64) -> Sum {
    sum.add_words(number.swap_bytes())
}

/// Writes the IP header before `len` bytes of UDP, and returns what follows and the sum of the pseudo-header.
fn emit_ip(ip: IpHeader, dst: IpAddr, len: u16, out: &mut [u8]) -> Option<(&mut [u8], Sum)> {
    let IpHeader { src, ttl, tos } = ip;
    match (src, dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            let header = ipv4::Repr {
                tos,
                id: 0,
                dont_fragment: true,
                ttl,
                protocol: ipv4::PROTOCOL_UDP,
                src,
                dst,
                payload_len: len,
                router_alert: false,
            };
            Some((header.emit(out)?, Sum::pseudo_v4(src, dst, ipv4::PROTOCOL_UDP, len)))
        }
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            let header = ipv6::Repr {
                traffic_class: tos,
                flow_label: 0,
                payload_len: len,
                next_header: ipv6::NEXT_HEADER_UDP,
                hop_limit: ttl,
                src,
                dst,
            };
            Some((header.emit(out)?, Sum::pseudo_v6(src, dst, ipv6::NEXT_HEADER_UDP, len)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::frames::{UdpFrame, UdpFrame6};

    const LINK: LinkHeader =
        LinkHeader { src: MacAddr([2, 0, 0, 0, 0, 1]), dst: MacAddr([2, 0, 0, 0, 0, 2]), vlan: None };

    fn frame(src: &str, dst: &str, size: u16, number: u64) -> Vec<u8> {
        let ip = IpHeader { src: src.parse().unwrap(), ttl: 64, tos: 0 };
        let template = Template::new(LINK, ip, dst.parse().unwrap(), size, 0x1234_5678).unwrap();
        let mut out = template.frame().to_vec();
        assert!(template.write(4000, number, &mut out));
        out
    }

    // U04, RFC 768: read and summed by code that is not the one under test.
    #[test]
    fn a_packet_is_right_to_the_last_bit() {
        for number in [0, 1, 0xffff, 0x1_0000, u64::MAX, 0x0123_4567_89ab_cdef] {
            for size in [60, 61, 512, 1514] {
                let bytes = frame("198.18.0.1", "198.18.0.2:7", size, number);
                let read = UdpFrame::read(&bytes).unwrap();
                assert_eq!(bytes.len(), usize::from(size));
                assert_eq!(
                    (read.source.to_string(), read.destination.to_string()),
                    ("198.18.0.1:4000".into(), "198.18.0.2:7".into())
                );
                assert_eq!(stamp_of(&read.payload), Some((0x1234_5678, number)));
                assert!(
                    read.payload.iter().enumerate().skip(STAMP_LEN).all(|(i, b)| usize::from(*b) == i % 256)
                );
            }
            let bytes = frame("2001:db8::1", "[2001:db8::2]:7", 80, number);
            assert_eq!(stamp_of(&UdpFrame6::read(&bytes).unwrap().payload), Some((0x1234_5678, number)));
        }
    }

    #[test]
    fn a_tag_comes_on_top_of_the_size() {
        let link = LinkHeader { vlan: Vid::new(100), ..LINK };
        let ip = IpHeader { src: "198.18.0.1".parse().unwrap(), ttl: 1, tos: 0 };
        let template = Template::new(link, ip, "239.1.2.3:7".parse().unwrap(), 60, 1).unwrap();
        assert_eq!((template.len(), &template.frame[12..18]), (64, &[0x81, 0, 0, 100, 8, 0][..]));
    }

    #[test]
    fn what_has_no_room_for_a_number_is_no_packet() {
        let ip = IpHeader { src: "2001:db8::1".parse().unwrap(), ttl: 64, tos: 0 };
        assert!(Template::new(LINK, ip, "[2001:db8::2]:7".parse().unwrap(), 73, 1).is_none());
        assert!(Template::new(LINK, ip, "[2001:db8::2]:7".parse().unwrap(), 74, 1).is_some());
        assert!(Template::new(LINK, ip, "198.18.0.2:7".parse().unwrap(), 80, 1).is_none());
    }
}
