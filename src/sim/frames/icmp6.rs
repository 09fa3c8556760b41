//! ICMPv6 messages.

use core::net::Ipv6Addr;

use super::ipv6::{ETHERTYPE_IPV6, Ipv6, MTU_MIN, mac_for6, pseudo_header6, station_mac6};
use super::{Ethernet, Malformed, array, checksum, rest};
use crate::addr::MacAddr;

/// Types of ICMPv6 messages. RFC 4443 2.1, RFC 4861 4, RFC 2710 3, RFC 9777 5.
#[expect(missing_docs, reason = "the RFCs' names")]
pub mod kinds {
    pub const UNREACHABLE: u8 = 1;
    pub const PACKET_TOO_BIG: u8 = 2;
    pub const TIME_EXCEEDED: u8 = 3;
    pub const PARAMETER_PROBLEM: u8 = 4;
    pub const ECHO_REQUEST: u8 = 128;
    pub const ECHO_REPLY: u8 = 129;
    pub const MLD_QUERY: u8 = 130;
    pub const MLD_REPORT_V1: u8 = 131;
    pub const MLD_DONE: u8 = 132;
    pub const ROUTER_SOLICITATION: u8 = 133;
    pub const ROUTER_ADVERTISEMENT: u8 = 134;
    pub const NEIGHBOR_SOLICITATION: u8 = 135;
    pub const NEIGHBOR_ADVERTISEMENT: u8 = 136;
    pub const REDIRECT: u8 = 137;
    pub const MLD_REPORT_V2: u8 = 143;
}

/// An ICMPv6 message in its frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IcmpFrame6 {
    /// Where the frame goes.
    pub destination_mac: MacAddr,
    /// Where it comes from.
    pub source_mac: MacAddr,
    /// The IPv6 header, and extension headers.
    pub ip: Ipv6,
    /// The type.
    pub kind: u8,
    /// The code.
    pub code: u8,
    /// What follows type, code and checksum.
    pub body: Vec<u8>,
}

/// What an error message says. RFC 4443 3.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IcmpError6 {
    /// The type: below 128.
    pub kind: u8,
    /// The code.
    pub code: u8,
    /// Zero, the MTU (type 2), or the offset of what is wrong (type 4).
    pub word: u32,
    /// As much of the packet that it is about as fits.
    pub quote: Vec<u8>,
}

impl IcmpFrame6 {
    /// A message between two stations with the addresses of [`station_mac6`], or to the MAC of a group.
    #[must_use]
    pub fn between(source: Ipv6Addr, destination: Ipv6Addr, kind: u8, body: &[u8]) -> Self {
        Self {
            destination_mac: mac_for6(destination, station_mac6(destination)),
            source_mac: station_mac6(source),
            ip: Ipv6::new(source, destination, 58),
            kind,
            code: 0,
            body: body.to_vec(),
        }
    }

    /// An echo request with an identifier, a sequence number and `data`.
    #[must_use]
    pub fn echo(source: Ipv6Addr, destination: Ipv6Addr, id: u16, seq: u16, data: &[u8]) -> Self {
        let body = [&id.to_be_bytes()[..], &seq.to_be_bytes(), data].concat();
        Self::between(source, destination, kinds::ECHO_REQUEST, &body)
    }

    /// An error message about `packet`, of which it quotes as much as fits. RFC 4443 2.4 (c).
    #[must_use]
    pub fn error(source: Ipv6Addr, destination: Ipv6Addr, error: (u8, u8, u32), packet: &[u8]) -> Self {
        let (kind, code, word) = error;
        let quote = &packet[..packet.len().min(MTU_MIN - 48)];
        Self { code, ..Self::between(source, destination, kind, &[&word.to_be_bytes()[..], quote].concat()) }
    }

    /// With another Ethernet destination.
    #[must_use]
    pub fn to_mac(self, destination_mac: MacAddr) -> Self {
        Self { destination_mac, ..self }
    }

    /// The message alone, with its checksum.
    #[must_use]
    pub fn message(&self) -> Vec<u8> {
        let message = [&[self.kind, self.code, 0, 0], &self.body[..]].concat();
        sealed6(self.ip.source, self.ip.destination, message)
    }

    /// The frame.
    #[must_use]
    pub fn frame(&self) -> Vec<u8> {
        let (destination, source) = (self.destination_mac, self.source_mac);
        let ethernet = Ethernet { destination, source, tci: None, ethertype: ETHERTYPE_IPV6 };
        ethernet.frame(&self.ip.packet(&self.message()))
    }

    /// The ICMPv6 message in `frame`.
    ///
    /// # Errors
    /// It is none, or not one that a correct host would send.
    // K01, RFC 4443 2.3; K02, 2.4 (c): an error fits in the least MTU; K03, 2.4 (e): and goes to a single host.
    pub fn read(frame: &[u8]) -> Result<Self, Malformed> {
        let (ethernet, ip, message) = Ipv6::read_frame(frame)?;
        if ip.next_header != 58 {
            return Err("not ICMPv6");
        }
        let pseudo = pseudo_header6(ip.source, ip.destination, message.len(), 58);
        if checksum(&[&pseudo, message]) != 0 {
            return Err("wrong ICMPv6 checksum");
        }
        let ([kind, code], body) = (*array(message, 0)?, rest(message, 4)?.to_vec());
        if kind < 128 && (body.len() < 4 || ip.destination.is_multicast()) {
            return Err("an ICMPv6 error that is cut short, or goes to many");
        }
        if kind < 128 && ip.packet(message).len() > MTU_MIN {
            return Err("an ICMPv6 error longer than the least MTU");
        }
        if ip.source.is_unspecified() && !matches!(kind, 131 | 132 | 133 | 135 | 143) {
            return Err("an ICMPv6 message from no one");
        }
        Ok(Self { destination_mac: ethernet.destination, source_mac: ethernet.source, ip, kind, code, body })
    }

    /// What it says if it is an error.
    #[must_use]
    pub fn as_error(&self) -> Option<IcmpError6> {
        let (word, quote) = self.body.split_first_chunk()?;
        let (kind, code, word, quote) = (self.kind, self.code, u32::from_be_bytes(*word), quote.to_vec());
        (kind < 128).then_some(IcmpError6 { kind, code, word, quote })
    }
}

/// `message` from `source` to `destination` with its checksum in place.
#[must_use]
pub fn sealed6(source: Ipv6Addr, destination: Ipv6Addr, mut message: Vec<u8>) -> Vec<u8> {
    let pseudo = pseudo_header6(source, destination, message.len(), 58);
    message[2..4].fill(0);
    let sum = checksum(&[&pseudo, &message]);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    message
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::frames::UdpFrame6;

    const A: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
    const B: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2);

    #[test]
    fn an_echo_request_reads_back_and_a_flipped_bit_does_not() {
        let echo = IcmpFrame6::echo(A, B, 7, 1, b"ping");
        let mut frame = echo.frame();
        assert_eq!(IcmpFrame6::read(&frame), Ok(echo));
        frame[63] ^= 4;
        assert_eq!(IcmpFrame6::read(&frame), Err("wrong ICMPv6 checksum"));
    }

    #[test]
    fn an_error_quotes_what_fits() {
        let about = UdpFrame6::new("[2001:db8::2]:7", "[2001:db8::1]:9", &[5; 1400]).frame();
        let error = IcmpFrame6::error(A, B, (kinds::UNREACHABLE, 4, 0), &about[14..]);
        let frame = error.frame();
        assert_eq!(frame.len(), 14 + 1280);
        let read = IcmpFrame6::read(&frame).unwrap().as_error().unwrap();
        assert_eq!((read.kind, read.code, read.word), (1, 4, 0));
        assert_eq!(read.quote, about[14..14 + 1232]);
        let mut longer = error.clone();
        longer.body.push(0);
        assert!(IcmpFrame6::read(&longer.frame()).is_err());
        let group = IcmpFrame6::error(A, "ff02::1".parse().unwrap(), (1, 4, 0), &about[14..54]);
        assert!(IcmpFrame6::read(&group.frame()).is_err());
        assert!(IcmpFrame6::echo(A, B, 0, 0, b"").as_error().is_none());
    }
}
