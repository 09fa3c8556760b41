//! UDP datagrams.

use core::net::SocketAddrV4;

use super::{
    Ethernet, Ipv4, Malformed, checksum, len16, mac_for, padding, pseudo_header, station_mac, u16_at,
};
use crate::addr::MacAddr;

/// What the checksum field holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UdpSum {
    /// The sum.
    Right,
    /// Zero: none (RFC 768).
    Absent,
    /// Something else.
    Wrong,
    /// The pseudo-header's sum alone, as a peer on the same machine sends it.
    Partial,
}

impl UdpSum {
    /// What the field holds, if the sum over all is `whole`, and that over the pseudo-header `pseudo`.
    pub(super) fn field(self, whole: u16, pseudo: u16) -> u16 {
        // U05, RFC 768: a sum of zero is sent as ones.
        let right = if whole == 0 { 0xffff } else { whole };
        match self {
            Self::Right => right,
            Self::Absent => 0,
            // Neither right, nor zero, nor the other way of writing the same.
            Self::Wrong => (1..=3).map(|i| right ^ i).find(|&s| s != 0 && s != 0xffff).unwrap_or(1),
            Self::Partial => !pseudo,
        }
    }
}

/// A UDP datagram in its frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UdpFrame {
    /// Where the frame goes.
    pub destination_mac: MacAddr,
    /// Where it comes from.
    pub source_mac: MacAddr,
    /// The tag control information of an 802.1Q tag, if there is one.
    pub tci: Option<u16>,
    /// Where it comes from.
    pub source: SocketAddrV4,
    /// Where it goes.
    pub destination: SocketAddrV4,
    /// The type of service.
    pub tos: u8,
    /// The time to live.
    pub ttl: u8,
    /// IPv4 flags and fragment offset, as they are on the wire.
    pub fragment: u16,
    /// IPv4 options, a multiple of four bytes.
    pub options: Vec<u8>,
    /// What the checksum field holds.
    pub sum: UdpSum,
    /// The payload.
    pub payload: Vec<u8>,
}

impl UdpFrame {
    /// A plain datagram between two stations with the addresses of [`station_mac`], or to the MAC of a group.
    ///
    /// # Panics
    /// An address is not one: these are for tests.
    #[must_use]
    pub fn new(source: &str, destination: &str, payload: &[u8]) -> Self {
        let parse = |s: &str| s.parse().expect("an address and a port");
        Self::between(parse(source), parse(destination), payload)
    }

    /// The same, of addresses.
    #[must_use]
    pub fn between(source: SocketAddrV4, destination: SocketAddrV4, payload: &[u8]) -> Self {
        Self {
            destination_mac: mac_for(*destination.ip(), station_mac(*destination.ip())),
            source_mac: station_mac(*source.ip()),
            tci: None,
            source,
            destination,
            tos: 0,
            ttl: 64,
            fragment: 0,
            options: Vec::new(),
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

    /// The frame.
    #[must_use]
    pub fn frame(&self) -> Vec<u8> {
        let mut ip = Ipv4::new(*self.source.ip(), *self.destination.ip(), 17);
        (ip.tos, ip.ttl, ip.fragment) = (self.tos, self.ttl, self.fragment);
        ip.options.clone_from(&self.options);
        let ethernet = Ethernet {
            destination: self.destination_mac,
            source: self.source_mac,
            tci: self.tci,
            ethertype: 0x0800,
        };
        ethernet.frame(&ip.packet(&self.datagram()))
    }

    pub(super) fn datagram(&self) -> Vec<u8> {
        let len = 8 + self.payload.len();
        let mut datagram = [self.source.port().to_be_bytes(), self.destination.port().to_be_bytes()].concat();
        datagram.extend(len16(len));
        datagram.extend([0, 0]);
        datagram.extend(&self.payload);
        let pseudo = pseudo_header(*self.source.ip(), *self.destination.ip(), len);
        let field = self.sum.field(checksum(&[&pseudo, &datagram]), checksum(&[&pseudo]));
        datagram[6..8].copy_from_slice(&field.to_be_bytes());
        datagram
    }

    /// The datagram in `frame`.
    ///
    /// # Errors
    /// It is no UDP datagram, or one that a correct host would not send.
    pub fn read(frame: &[u8]) -> Result<Self, Malformed> {
        let (ethernet, packet) = Ethernet::read(frame)?;
        if ethernet.ethertype != 0x0800 {
            return Err("not IPv4");
        }
        let (ip, datagram, behind) = Ipv4::read(packet)?;
        padding(behind)?;
        if ip.protocol != 17 || usize::from(u16_at(datagram, 4)?) != datagram.len() {
            return Err("not UDP, or not as long as it says");
        }
        let pseudo = pseudo_header(ip.source, ip.destination, datagram.len());
        let sum = match u16_at(datagram, 6)? {
            0 => UdpSum::Absent,
            _ if checksum(&[&pseudo, datagram]) == 0 => UdpSum::Right,
            _ => return Err("wrong UDP checksum"),
        };
        Ok(Self {
            destination_mac: ethernet.destination,
            source_mac: ethernet.source,
            tci: ethernet.tci,
            source: SocketAddrV4::new(ip.source, u16_at(datagram, 0)?),
            destination: SocketAddrV4::new(ip.destination, u16_at(datagram, 2)?),
            tos: ip.tos,
            ttl: ip.ttl,
            fragment: ip.fragment,
            options: ip.options,
            sum,
            payload: datagram.get(8..).unwrap_or_default().to_vec(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_reads_back() {
        for len in (0..=1472).step_by(23) {
            let frame = UdpFrame::new("198.18.0.1:40000", "239.1.2.3:7", &vec![0xee; len]);
            assert_eq!(UdpFrame::read(&frame.frame()), Ok(frame));
        }
    }

    #[test]
    fn a_wrong_sum_is_wrong_and_an_absent_one_is_none() {
        let frame = UdpFrame::new("198.18.0.1:40000", "198.18.0.2:7", b"hello");
        let read = |sum| UdpFrame::read(&frame.clone().with_sum(sum).frame()).map(|f| f.sum);
        assert_eq!(read(UdpSum::Right), Ok(UdpSum::Right));
        assert_eq!(read(UdpSum::Absent), Ok(UdpSum::Absent));
        assert_eq!(read(UdpSum::Wrong), Err("wrong UDP checksum"));
        assert_eq!(read(UdpSum::Partial), Err("wrong UDP checksum"));
    }

    #[test]
    fn stale_bytes_behind_the_packet_are_refused() {
        let mut frame = UdpFrame::new("198.18.0.1:40000", "198.18.0.2:7", b"").frame();
        assert_eq!(frame.len(), 60);
        frame[59] = 1;
        assert_eq!(UdpFrame::read(&frame), Err("padding that is not zero"));
        assert!(UdpFrame::read(&frame[..59]).is_err());
    }
}
