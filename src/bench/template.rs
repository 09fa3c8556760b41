//! The packets: all to one destination of one size are alike but for source port and number, and so are their sums.

use core::net::{IpAddr, SocketAddr};

use crate::addr::{MacAddr, Vid};
use crate::wire::checksum::Sum;
use crate::wire::ethernet::{self, ETHERTYPE_IPV4, ETHERTYPE_IPV6, ETHERTYPE_VLAN};
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

/// All packets to one destination of one size.
#[derive(Debug)]
pub(super) struct Template {
    /// The frame of the packet with source port 0 and number 0, without a checksum.
    frame: Vec<u8>,
    udp_at: usize,
    dst: SocketAddr,
    /// Of the pseudo-header and of what is in `frame` from the UDP header on.
    sum: Sum,
    /// Of the payload alone.
    payload_sum: Sum,
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
        let sum = pseudo + header.sum() + payload_sum;
        Some(Self { frame, udp_at, dst, sum, payload_sum })
    }

    /// Bytes of the frame.
    pub(super) const fn len(&self) -> usize {
        self.frame.len()
    }

    /// To whom.
    pub(super) const fn dst(&self) -> SocketAddr {
        self.dst
    }

    /// The frame of the packet `number` from `src_port`, into `out`, which has [`len`](Self::len) bytes.
    #[inline]
    pub(super) fn write(&self, src_port: u16, number: u64, out: &mut [u8]) {
        out.copy_from_slice(&self.frame);
        let Some(udp) = out.get_mut(self.udp_at..) else { return };
        let Some((header, payload)) = udp.split_first_chunk_mut::<{ udp::HEADER_LEN }>() else { return };
        let Some(stamp) = payload.first_chunk_mut::<STAMP_LEN>() else { return };
        let checksum = with_number(self.sum, number).add_u16(src_port).udp_finish();
        header[..2].copy_from_slice(&src_port.to_be_bytes());
        header[6..].copy_from_slice(&checksum.to_be_bytes());
        stamp[NUMBER_AT..].copy_from_slice(&number.to_be_bytes());
    }

    /// Whether `payload` is that of the packet `number`, whose stamp has been read already.
    #[inline]
    pub(super) fn has_payload(&self, payload: &[u8]) -> bool {
        let own = self.frame.get(self.udp_at + udp::HEADER_LEN + STAMP_LEN..);
        own == payload.get(STAMP_LEN..)
    }

    /// The sum of the payload of the packet `number`.
    #[inline]
    pub(super) fn payload_sum(&self, number: u64) -> Sum {
        with_number(self.payload_sum, number)
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
#[expect(clippy::cast_possible_truncation, reason = "the halves of a number")]
fn with_number(sum: Sum, number: u64) -> Sum {
    sum.add_u32((number >> 32) as u32).add_u32(number as u32)
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
        let mut out = vec![0xee; template.len()];
        template.write(4000, number, &mut out);
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
