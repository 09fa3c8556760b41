//! ARP packets.

use core::net::Ipv4Addr;

use super::{Ethernet, Malformed, array, padding, rest, station_mac, u16_at};
use crate::addr::MacAddr;

/// An ARP packet for IPv4 over Ethernet, in its frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ArpFrame {
    /// Where the frame goes.
    pub destination_mac: MacAddr,
    /// Where it comes from.
    pub source_mac: MacAddr,
    /// 1 asks, 2 answers.
    pub operation: u16,
    /// The sender's Ethernet address.
    pub sender_mac: MacAddr,
    /// The sender.
    pub sender: Ipv4Addr,
    /// The target's Ethernet address, zeros in a request.
    pub target_mac: MacAddr,
    /// The target.
    pub target: Ipv4Addr,
}

impl ArpFrame {
    /// The station with address `sender` asks all others who has `target`.
    #[must_use]
    pub fn request(sender: Ipv4Addr, target: Ipv4Addr) -> Self {
        let mac = station_mac(sender);
        Self {
            destination_mac: MacAddr::BROADCAST,
            source_mac: mac,
            operation: 1,
            sender_mac: mac,
            sender,
            target_mac: MacAddr([0; 6]),
            target,
        }
    }

    /// The answer to this request by the station `mac`, which has the target's address.
    #[must_use]
    pub fn reply(&self, mac: MacAddr) -> Self {
        Self {
            destination_mac: self.sender_mac,
            source_mac: mac,
            operation: 2,
            sender_mac: mac,
            sender: self.target,
            target_mac: self.sender_mac,
            target: self.sender,
        }
    }

    /// The frame.
    #[must_use]
    pub fn frame(&self) -> Vec<u8> {
        let mut packet = vec![0, 1, 8, 0, 6, 4];
        packet.extend(self.operation.to_be_bytes());
        packet.extend(self.sender_mac.0);
        packet.extend(self.sender.octets());
        packet.extend(self.target_mac.0);
        packet.extend(self.target.octets());
        let (destination, source) = (self.destination_mac, self.source_mac);
        Ethernet { destination, source, tci: None, ethertype: 0x0806 }.frame(&packet)
    }

    /// The ARP packet in `frame`.
    ///
    /// # Errors
    /// It is none, or not one that a correct host would send.
    pub fn read(frame: &[u8]) -> Result<Self, Malformed> {
        let (ethernet, packet) = Ethernet::read(frame)?;
        if ethernet.ethertype != 0x0806 {
            return Err("not ARP");
        }
        if !packet.starts_with(&[0, 1, 8, 0, 6, 4]) {
            return Err("not ARP for IPv4 over Ethernet");
        }
        padding(rest(packet, 28)?)?;
        Ok(Self {
            destination_mac: ethernet.destination,
            source_mac: ethernet.source,
            operation: u16_at(packet, 6)?,
            sender_mac: MacAddr(*array(packet, 8)?),
            sender: Ipv4Addr::from(*array::<4>(packet, 14)?),
            target_mac: MacAddr(*array(packet, 18)?),
            target: Ipv4Addr::from(*array::<4>(packet, 24)?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_and_replies_read_back() {
        let request = ArpFrame::request(Ipv4Addr::new(198, 18, 0, 1), Ipv4Addr::new(198, 18, 0, 2));
        let reply = request.reply(MacAddr([2, 0, 0, 0, 0, 2]));
        assert_eq!((reply.sender, reply.target_mac), (request.target, request.sender_mac));
        for arp in [request, reply] {
            let mut frame = arp.frame();
            assert_eq!(ArpFrame::read(&frame), Ok(arp));
            frame[17] = 9;
            assert!(ArpFrame::read(&frame).is_err());
        }
    }
}
