//! The Ethernet header (RFC 894): destination, source, type.

use crate::addr::MacAddr;

/// Bytes of the header.
pub const HEADER_LEN: usize = 14;

/// The least that goes on the wire, in bytes without the frame check sequence. E09: shorter frames are padded with zeros.
pub const MIN_FRAME: usize = 60;

/// EtherType: IPv4.
pub const ETHERTYPE_IPV4: u16 = 0x0800;
/// EtherType: ARP.
pub const ETHERTYPE_ARP: u16 = 0x0806;
/// EtherType: a VLAN tag follows (802.1Q).
pub const ETHERTYPE_VLAN: u16 = 0x8100;
/// EtherType: a service provider's VLAN tag follows (802.1ad).
pub const ETHERTYPE_QINQ: u16 = 0x88a8;
/// EtherType: IPv6.
pub const ETHERTYPE_IPV6: u16 = 0x86dd;

/// An Ethernet header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// To whom.
    pub dst: MacAddr,
    /// From whom.
    pub src: MacAddr,
    /// What follows. Below 0x600 it is no type but an 802.3 length (E13).
    pub ethertype: u16,
}

impl Header {
    /// The header at the front of `frame`, and what follows it. `None`: the frame is too short.
    #[inline]
    #[must_use]
    pub fn parse(frame: &[u8]) -> Option<(Self, &[u8])> {
        let (header, rest) = frame.split_first_chunk::<HEADER_LEN>()?;
        let [d0, d1, d2, d3, d4, d5, s0, s1, s2, s3, s4, s5, t0, t1] = *header;
        let dst = MacAddr([d0, d1, d2, d3, d4, d5]);
        let src = MacAddr([s0, s1, s2, s3, s4, s5]);
        Some((Self { dst, src, ethertype: u16::from_be_bytes([t0, t1]) }, rest))
    }

    /// Writes the header to the front of `out` and returns what follows it. `None`: `out` is too short.
    #[inline]
    #[must_use]
    pub fn emit<'a>(&self, out: &'a mut [u8]) -> Option<&'a mut [u8]> {
        let (header, rest) = out.split_first_chunk_mut::<HEADER_LEN>()?;
        let MacAddr([d0, d1, d2, d3, d4, d5]) = self.dst;
        let MacAddr([s0, s1, s2, s3, s4, s5]) = self.src;
        let [t0, t1] = self.ethertype.to_be_bytes();
        *header = [d0, d1, d2, d3, d4, d5, s0, s1, s2, s3, s4, s5, t0, t1];
        Some(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_fields_lie_where_rfc_894_says() {
        let frame = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0x08, 0x06, 0xaa];
        let (header, rest) = Header::parse(&frame).unwrap();
        assert_eq!(header.dst, MacAddr([1, 2, 3, 4, 5, 6]));
        assert_eq!(header.src, MacAddr([7, 8, 9, 10, 11, 12]));
        assert_eq!(header.ethertype, ETHERTYPE_ARP);
        assert_eq!(rest, [0xaa]);
    }

    // E17: cut at any byte.
    #[test]
    fn a_frame_without_its_whole_header_is_none() {
        for len in 0..HEADER_LEN {
            assert!(Header::parse(&[0xff; 60][..len]).is_none());
            let mut out = [0xee; HEADER_LEN];
            let header = Header { dst: MacAddr::BROADCAST, src: MacAddr([2; 6]), ethertype: 0 };
            assert!(header.emit(&mut out[..len]).is_none());
            assert_eq!(out, [0xee; HEADER_LEN]);
        }
    }

    proptest! {
        #[test]
        fn what_is_emitted_reads_back(dst: [u8; 6], src: [u8; 6], ethertype: u16, room in 14usize..80) {
            let header = Header { dst: MacAddr(dst), src: MacAddr(src), ethertype };
            let mut out = [0; 80];
            prop_assert_eq!(header.emit(&mut out[..room]).map(|rest| rest.len()), Some(room - 14));
            prop_assert_eq!(Header::parse(&out).unwrap().0, header);
        }
    }
}
