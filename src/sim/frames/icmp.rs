//! ICMP messages.

use core::net::Ipv4Addr;

use super::{Ethernet, Ipv4, Malformed, checksum, mac_for, padding, rest, station_mac};
use crate::addr::MacAddr;

/// An ICMP message in its frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IcmpFrame {
    /// Where the frame goes.
    pub destination_mac: MacAddr,
    /// Where it comes from.
    pub source_mac: MacAddr,
    /// The IPv4 header.
    pub ip: Ipv4,
    /// The type.
    pub kind: u8,
    /// The code.
    pub code: u8,
    /// What follows type, code and checksum.
    pub body: Vec<u8>,
}

impl IcmpFrame {
    /// A message between two stations with the addresses of [`station_mac`].
    #[must_use]
    pub fn between(source: Ipv4Addr, destination: Ipv4Addr, kind: u8, body: &[u8]) -> Self {
        Self {
            destination_mac: mac_for(destination, station_mac(destination)),
            source_mac: station_mac(source),
            ip: Ipv4::new(source, destination, 1),
            kind,
            code: 0,
            body: body.to_vec(),
        }
    }

    /// An echo request with an identifier, a sequence number and `data`.
    #[must_use]
    pub fn echo(source: Ipv4Addr, destination: Ipv4Addr, id: u16, seq: u16, data: &[u8]) -> Self {
        let body = [&id.to_be_bytes()[..], &seq.to_be_bytes(), data].concat();
        Self::between(source, destination, 8, &body)
    }

    /// With another Ethernet destination.
    #[must_use]
    pub fn to_mac(self, destination_mac: MacAddr) -> Self {
        Self { destination_mac, ..self }
    }

    /// The frame.
    #[must_use]
    pub fn frame(&self) -> Vec<u8> {
        let mut message = vec![self.kind, self.code, 0, 0];
        message.extend(&self.body);
        let sum = checksum(&[&message]);
        message[2..4].copy_from_slice(&sum.to_be_bytes());
        let (destination, source) = (self.destination_mac, self.source_mac);
        Ethernet { destination, source, tci: None, ethertype: 0x0800 }.frame(&self.ip.packet(&message))
    }

    /// The ICMP message in `frame`.
    ///
    /// # Errors
    /// It is none, or not one that a correct host would send.
    pub fn read(frame: &[u8]) -> Result<Self, Malformed> {
        let (ethernet, packet) = Ethernet::read(frame)?;
        if ethernet.ethertype != 0x0800 {
            return Err("not IPv4");
        }
        let (ip, message, behind) = Ipv4::read(packet)?;
        padding(behind)?;
        if ip.protocol != 1 {
            return Err("not ICMP");
        }
        if checksum(&[message]) != 0 {
            return Err("wrong ICMP checksum");
        }
        let (kind, code) = match message {
            [kind, code, ..] => (*kind, *code),
            _ => return Err("cut short"),
        };
        let body = rest(message, 4)?.to_vec();
        Ok(Self { destination_mac: ethernet.destination, source_mac: ethernet.source, ip, kind, code, body })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_echo_request_reads_back_and_a_flipped_bit_does_not() {
        let echo = IcmpFrame::echo(Ipv4Addr::new(198, 18, 0, 1), Ipv4Addr::new(198, 18, 0, 2), 7, 1, b"ping");
        let mut frame = echo.frame();
        assert_eq!(IcmpFrame::read(&frame), Ok(echo));
        frame[43] ^= 4;
        assert_eq!(IcmpFrame::read(&frame), Err("wrong ICMP checksum"));
    }
}
