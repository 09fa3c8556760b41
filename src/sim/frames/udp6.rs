//! UDP datagrams over IPv6.

use core::net::SocketAddrV6;

use super::ipv6::{ETHERTYPE_IPV6, Extension, Ipv6, mac_for6, pseudo_header6, station_mac6};
use super::udp::UdpSum;
use super::{Ethernet, Malformed, checksum, len16, u16_at};
use crate::addr::MacAddr;

/// A UDP datagram in its frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UdpFrame6 {
    /// Where the frame goes.
    pub destination_mac: MacAddr,
    /// Where it comes from.
    pub source_mac: MacAddr,
    /// The tag control information of an 802.1Q tag, if there is one.
    pub tci: Option<u16>,
    /// Where it comes from.
    pub source: SocketAddrV6,
    /// Where it goes.
    pub destination: SocketAddrV6,
    /// The traffic class.
    pub traffic_class: u8,
    /// The flow label, 20 bits.
    pub flow_label: u32,
    /// The hop limit.
    pub hop_limit: u8,
    /// The extension headers before it.
    pub extensions: Vec<Extension>,
    /// What the checksum field holds.
    pub sum: UdpSum,
    /// The payload.
    pub payload: Vec<u8>,
}

impl UdpFrame6 {
    /// A plain datagram between two stations with the addresses of [`station_mac6`], or to the MAC of a group.
    ///
    /// # Panics
    /// An address is not one, as in `[2001:db8::1]:7`: these are for tests.
    #[must_use]
    pub fn new(source: &str, destination: &str, payload: &[u8]) -> Self {
        let parse = |s: &str| s.parse().expect("an address and a port");
        Self::between(parse(source), parse(destination), payload)
    }

    /// The same, of addresses.
    #[must_use]
    pub fn between(source: SocketAddrV6, destination: SocketAddrV6, payload: &[u8]) -> Self {
        Self {
            destination_mac: mac_for6(*destination.ip(), station_mac6(*destination.ip())),
            source_mac: station_mac6(*source.ip()),
            tci: None,
            source,
            destination,
            traffic_class: 0,
            flow_label: 0,
            hop_limit: 64,
            extensions: Vec::new(),
            sum: UdpSum::Right,
            payload: payload.to_vec(),
        }
    }

    /// With another Ethernet destination.
    #[must_use]
    pub fn to_mac(self, destination_mac: MacAddr) -> Self {
        Self { destination_mac, ..self }
    }

    /// With another content of the checksum field.
    #[must_use]
    pub fn with_sum(self, sum: UdpSum) -> Self {
        Self { sum, ..self }
    }

    /// With these extension headers.
    #[must_use]
    pub fn with(self, extensions: &[Extension]) -> Self {
        Self { extensions: extensions.to_vec(), ..self }
    }

    /// The frame.
    #[must_use]
    pub fn frame(&self) -> Vec<u8> {
        let ip = Ipv6 {
            source: *self.source.ip(),
            destination: *self.destination.ip(),
            traffic_class: self.traffic_class,
            flow_label: self.flow_label,
            hop_limit: self.hop_limit,
            extensions: self.extensions.clone(),
            next_header: 17,
        };
        let (destination, source) = (self.destination_mac, self.source_mac);
        let ethernet = Ethernet { destination, source, tci: self.tci, ethertype: ETHERTYPE_IPV6 };
        ethernet.frame(&ip.packet(&self.datagram()))
    }

    /// The datagram alone: header and payload.
    #[must_use]
    pub fn datagram(&self) -> Vec<u8> {
        let len = 8 + self.payload.len();
        let mut datagram = [self.source.port().to_be_bytes(), self.destination.port().to_be_bytes()].concat();
        datagram.extend(len16(len));
        datagram.extend([0, 0]);
        datagram.extend(&self.payload);
        let pseudo = pseudo_header6(*self.source.ip(), *self.destination.ip(), len, 17);
        let field = self.sum.field(checksum(&[&pseudo, &datagram]), checksum(&[&pseudo]));
        datagram[6..8].copy_from_slice(&field.to_be_bytes());
        datagram
    }

    /// The datagram in `frame`.
    ///
    /// # Errors
    /// It is no UDP datagram, or one that a correct host would not send.
    // U05, U06, RFC 8200 8.1: a checksum of zero is none, and there must be one. V04, RFC 4291 2.5.2: from someone.
    pub fn read(frame: &[u8]) -> Result<Self, Malformed> {
        let (ethernet, ip, datagram) = Ipv6::read_frame(frame)?;
        if ip.next_header != 17 || usize::from(u16_at(datagram, 4)?) != datagram.len() || datagram.len() < 8 {
            return Err("not UDP, or not as long as it says");
        }
        if ip.source.is_unspecified() {
            return Err("a datagram from no one");
        }
        let pseudo = pseudo_header6(ip.source, ip.destination, datagram.len(), 17);
        match u16_at(datagram, 6)? {
            0 => return Err("no UDP checksum"),
            _ if checksum(&[&pseudo, datagram]) == 0 => {}
            _ => return Err("wrong UDP checksum"),
        }
        Ok(Self {
            destination_mac: ethernet.destination,
            source_mac: ethernet.source,
            tci: ethernet.tci,
            source: SocketAddrV6::new(ip.source, u16_at(datagram, 0)?, 0, 0),
            destination: SocketAddrV6::new(ip.destination, u16_at(datagram, 2)?, 0, 0),
            traffic_class: ip.traffic_class,
            flow_label: ip.flow_label,
            hop_limit: ip.hop_limit,
            extensions: ip.extensions,
            sum: UdpSum::Right,
            payload: datagram[8..].to_vec(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "[2001:db8::1]:40000";
    const B: &str = "[2001:db8::2]:7";

    #[test]
    fn every_length_reads_back() {
        for len in (0..=1452).step_by(22) {
            let frame = UdpFrame6::new(A, "[ff0e::1:2:3]:7", &vec![0xee; len]);
            assert_eq!(frame.frame()[..6], [0x33, 0x33, 0, 2, 0, 3]);
            assert_eq!(UdpFrame6::read(&frame.frame()), Ok(frame));
        }
    }

    // RFC 8200 8.1, by hand: the sum of two addresses, length and next header, ports, length and payload.
    #[test]
    fn the_checksum_is_that_of_the_rfc() {
        let frame = UdpFrame6::new(A, B, &[0x12, 0x34]).frame();
        let sum = 2 * (0x2001 + 0xdb8) + 1 + 2 + 10 + 17 + 40000 + 7 + 10 + 0x1234_u32;
        let folded = !u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap();
        assert_eq!(frame[60..62], folded.to_be_bytes());
    }

    #[test]
    fn a_sum_that_is_wrong_or_none_is_refused() {
        let frame = UdpFrame6::new(A, B, b"hello").with(&[Extension::Destination(Vec::new())]);
        let read = |sum| UdpFrame6::read(&frame.clone().with_sum(sum).frame()).map(|f| f.sum);
        assert_eq!(read(UdpSum::Right), Ok(UdpSum::Right));
        assert_eq!(read(UdpSum::Absent), Err("no UDP checksum"));
        assert_eq!(read(UdpSum::Wrong), Err("wrong UDP checksum"));
        assert_eq!(read(UdpSum::Partial), Err("wrong UDP checksum"));
    }

    #[test]
    fn stale_bytes_and_wrong_lengths_are_refused() {
        let mut frame = UdpFrame6::new(A, B, b"").frame();
        assert_eq!(frame.len(), 62);
        frame[59] = 7;
        assert!(UdpFrame6::read(&frame).is_err());
        let mut longer = UdpFrame6::new(A, B, b"").frame();
        longer.push(1);
        assert_eq!(UdpFrame6::read(&longer), Err("padding that is not zero"));
        assert!(UdpFrame6::read(&UdpFrame6::new("[::]:4", B, b"").frame()).is_err());
    }
}
