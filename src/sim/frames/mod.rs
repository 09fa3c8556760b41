//! Frames for tests: built from what they mean, and read back strictly.
//!
//! A frame is a plain struct here: change any field, then call `frame()`. Reading refuses whatever a correct host must
//! not send: a wrong length or checksum, an unpadded frame, padding that is not zero. None of the code under test is
//! used, so that a mistake in `wire` cannot hide behind itself.
//!
//! ```
//! # #[cfg(feature = "sim")] {
//! use pollcast::sim::frames::UdpFrame;
//!
//! let request = UdpFrame::new("198.18.0.1:40000", "198.18.0.2:7", b"hello");
//! let mut frame = request.frame();
//! assert_eq!(UdpFrame::read(&frame), Ok(request));
//! frame[45] ^= 1;
//! assert!(UdpFrame::read(&frame).is_err());
//! # }
//! ```

pub mod arp;
pub mod fragment;
pub mod fragment6;
pub mod icmp;
pub mod icmp6;
pub mod igmp;
pub mod ipv6;
pub mod mld;
pub mod ndp;
pub mod udp;
pub mod udp6;
pub mod uoa;

pub use arp::ArpFrame;
pub use icmp::IcmpFrame;
pub use icmp6::{IcmpError6, IcmpFrame6, sealed6};
pub use igmp::{IgmpMessage, IgmpQuery, IgmpReport, Record, RecordKind, igmp_frame, sealed};
pub use ipv6::{Extension, HeaderOption, Ipv6, mac_for6, solicited_node, station_mac6};
pub use mld::{MldMessage, MldQuery, MldReport, mld_frame};
pub use ndp::{NdpFrame, NdpMessage, NdpOption, Prefix, RouterAdvertisement};
pub use udp::{UdpFrame, UdpSum};
pub use udp6::UdpFrame6;
pub use uoa::{Carrier, UoaFrame, uoa_option};

use core::net::Ipv4Addr;

use crate::addr::{Family, MacAddr, V4};

/// The fewest bytes of a frame, without its check sequence.
pub const FRAME_MIN: usize = 60;

/// What is wrong with a frame that was read.
pub type Malformed = &'static str;

/// An Ethernet header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ethernet {
    /// Where to.
    pub destination: MacAddr,
    /// Where from.
    pub source: MacAddr,
    /// The tag control information of an 802.1Q tag, if there is one.
    pub tci: Option<u16>,
    /// What follows.
    pub ethertype: u16,
}

impl Ethernet {
    /// The frame with `payload`, padded with zeros to [`FRAME_MIN`].
    #[must_use]
    pub fn frame(&self, payload: &[u8]) -> Vec<u8> {
        let mut frame = [self.destination.0, self.source.0].concat();
        if let Some(tci) = self.tci {
            frame.extend([0x81, 0x00]);
            frame.extend(tci.to_be_bytes());
        }
        frame.extend(self.ethertype.to_be_bytes());
        frame.extend(payload);
        if frame.len() < FRAME_MIN {
            frame.resize(FRAME_MIN, 0);
        }
        frame
    }

    /// The header of `frame`, and what follows it.
    ///
    /// # Errors
    /// The frame is shorter than [`FRAME_MIN`].
    pub fn read(frame: &[u8]) -> Result<(Self, &[u8]), Malformed> {
        if frame.len() < FRAME_MIN {
            return Err("shorter than 60 bytes");
        }
        let mac = |at| MacAddr(*array(frame, at).unwrap_or(&[0; 6]));
        let header = Self { destination: mac(0), source: mac(6), tci: None, ethertype: u16_at(frame, 12)? };
        if header.ethertype == 0x8100 {
            let tagged = Self { tci: Some(u16_at(frame, 14)?), ethertype: u16_at(frame, 16)?, ..header };
            return Ok((tagged, rest(frame, 18)?));
        }
        Ok((header, rest(frame, 14)?))
    }
}

/// An IPv4 header.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ipv4 {
    /// Where from.
    pub source: Ipv4Addr,
    /// Where to.
    pub destination: Ipv4Addr,
    /// The type of service.
    pub tos: u8,
    /// The identification.
    pub id: u16,
    /// Flags and fragment offset, as they are on the wire.
    pub fragment: u16,
    /// The time to live.
    pub ttl: u8,
    /// What follows.
    pub protocol: u8,
    /// Options, a multiple of four bytes.
    pub options: Vec<u8>,
}

impl Ipv4 {
    /// A plain header.
    #[must_use]
    pub const fn new(source: Ipv4Addr, destination: Ipv4Addr, protocol: u8) -> Self {
        Self { source, destination, tos: 0, id: 0, fragment: 0, ttl: 64, protocol, options: Vec::new() }
    }

    /// The packet with `payload`.
    #[must_use]
    pub fn packet(&self, payload: &[u8]) -> Vec<u8> {
        let header_len = 20 + self.options.len();
        let version_ihl = 0x40 | u8::try_from(header_len / 4).unwrap_or(0x0f);
        let mut packet = vec![version_ihl, self.tos];
        packet.extend(len16(header_len + payload.len()));
        packet.extend(self.id.to_be_bytes());
        packet.extend(self.fragment.to_be_bytes());
        packet.extend([self.ttl, self.protocol, 0, 0]);
        packet.extend(self.source.octets());
        packet.extend(self.destination.octets());
        packet.extend(&self.options);
        let sum = checksum(&[&packet]);
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
        packet.extend(payload);
        packet
    }

    /// The header of `packet`, its payload, and what lies behind its end.
    ///
    /// # Errors
    /// A length cannot be, or the header's checksum is wrong.
    pub fn read(packet: &[u8]) -> Result<(Self, &[u8], &[u8]), Malformed> {
        let first = *packet.first().ok_or(SHORT)?;
        let header_len = usize::from(first & 0x0f) * 4;
        let total = usize::from(u16_at(packet, 2)?);
        if first >> 4 != 4 || header_len < 20 || total < header_len {
            return Err("version or lengths of the IPv4 header cannot be");
        }
        let header = packet.get(..header_len).ok_or(SHORT)?;
        let payload = packet.get(header_len..total).ok_or("the IPv4 total length exceeds the frame")?;
        if checksum(&[header]) != 0 {
            return Err("wrong IPv4 header checksum");
        }
        let address = |at| Ipv4Addr::from(*array(header, at).unwrap_or(&[0; 4]));
        let read = Self {
            source: address(12),
            destination: address(16),
            tos: header[1],
            id: u16_at(header, 4)?,
            fragment: u16_at(header, 6)?,
            ttl: header[8],
            protocol: header[9],
            options: header[20..].to_vec(),
        };
        Ok((read, payload, rest(packet, total)?))
    }
}

/// The Ethernet address for a packet to `addr`: the group's, broadcast, or else `unicast`.
#[must_use]
pub fn mac_for(addr: Ipv4Addr, unicast: MacAddr) -> MacAddr {
    if addr.is_multicast() {
        V4::group_mac(addr)
    } else if addr.is_broadcast() {
        MacAddr::BROADCAST
    } else {
        unicast
    }
}

/// The Ethernet address of the station that has `addr`, by this module's custom: `02:00`, then the address.
#[must_use]
pub fn station_mac(addr: Ipv4Addr) -> MacAddr {
    let [a, b, c, d] = addr.octets();
    MacAddr([2, 0, a, b, c, d])
}

const SHORT: Malformed = "cut short";

/// The Internet checksum (RFC 1071) of `parts` one after the other, each but the last of even length. Zero if a right
/// checksum is among them.
fn checksum(parts: &[&[u8]]) -> u16 {
    let mut sum = 0u32;
    for part in parts {
        for word in part.chunks(2) {
            sum += u32::from(word[0]) << 8 | word.get(1).map_or(0, |&low| u32::from(low));
            sum = (sum & 0xffff) + (sum >> 16);
        }
    }
    !u16::try_from(sum).unwrap_or(0)
}

/// The sum of a pseudo-header, as bytes to be summed.
fn pseudo_header(source: Ipv4Addr, destination: Ipv4Addr, len: usize) -> Vec<u8> {
    [&source.octets()[..], &destination.octets(), &[0, 17], &len16(len)].concat()
}

/// `len` as a field; a length that does not fit is a mistake of the test.
fn len16(len: usize) -> [u8; 2] {
    u16::try_from(len).expect("a length that fits its field").to_be_bytes()
}

fn u16_at(bytes: &[u8], at: usize) -> Result<u16, Malformed> {
    array(bytes, at).map(|b| u16::from_be_bytes(*b))
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Result<&[u8; N], Malformed> {
    rest(bytes, at)?.first_chunk().ok_or(SHORT)
}

fn rest(bytes: &[u8], at: usize) -> Result<&[u8], Malformed> {
    bytes.get(at..).ok_or(SHORT)
}

/// E09: what pads a frame is zeros.
fn padding(bytes: &[u8]) -> Result<(), Malformed> {
    if bytes.iter().all(|&b| b == 0) { Ok(()) } else { Err("padding that is not zero") }
}

#[cfg(test)]
mod tests {
    use super::*;

    // RFC 1071 3: the example's bytes.
    #[test]
    fn the_checksum_is_that_of_the_rfc() {
        let data = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(checksum(&[&data]), 0x220d);
        assert_eq!(checksum(&[&data, &[0x22, 0x0d]]), 0);
        assert_eq!(checksum(&[&data[..4], &data[4..]]), 0x220d);
    }

    #[test]
    fn ipv4_reads_back_what_it_wrote_and_what_lies_behind() {
        let header = Ipv4 {
            tos: 0xb8,
            id: 7,
            fragment: 0x4000,
            ttl: 3,
            options: vec![1, 1, 1, 0],
            ..Ipv4::new(Ipv4Addr::new(198, 18, 0, 1), Ipv4Addr::new(198, 18, 0, 2), 17)
        };
        let mut packet = header.packet(b"payload");
        packet.extend(b"behind");
        assert_eq!(Ipv4::read(&packet), Ok((header, &b"payload"[..], &b"behind"[..])));
        packet[8] = 4;
        assert_eq!(Ipv4::read(&packet), Err("wrong IPv4 header checksum"));
        for end in 0..31 {
            assert!(Ipv4::read(&packet[..end]).is_err());
        }
    }

    #[test]
    fn groups_have_their_own_macs() {
        let other = MacAddr([2; 6]);
        assert_eq!(mac_for(Ipv4Addr::new(239, 129, 2, 3), other).to_string(), "01:00:5e:01:02:03");
        assert_eq!(mac_for(Ipv4Addr::BROADCAST, other), MacAddr::BROADCAST);
        assert_eq!(mac_for(Ipv4Addr::new(198, 18, 0, 1), other), other);
        assert_eq!(station_mac(Ipv4Addr::new(198, 18, 0, 1)).to_string(), "02:00:c6:12:00:01");
    }
}
