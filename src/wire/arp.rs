//! ARP for IPv4 over Ethernet (RFC 826), and the two packets that RFC 5227 adds: probe and announcement.

use core::net::Ipv4Addr;

use super::ethernet::{ETHERTYPE_ARP, ETHERTYPE_IPV4, Header, MIN_FRAME};
use crate::addr::MacAddr;

/// Bytes of an ARP packet for IPv4 over Ethernet.
pub const PACKET_LEN: usize = 28;

/// Bytes of a frame that holds one, padding included.
pub const FRAME_LEN: usize = MIN_FRAME;

/// `ar$hrd` of Ethernet.
const HARDWARE_ETHERNET: u16 = 1;

/// What an ARP packet is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operation {
    /// Who has the target address?
    Request,
    /// The sender has the sender address.
    Reply,
}

/// An ARP packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Packet {
    /// Request or reply.
    pub operation: Operation,
    /// The sender's Ethernet address.
    pub sender_mac: MacAddr,
    /// The sender's IPv4 address; unspecified in a probe.
    pub sender_addr: Ipv4Addr,
    /// The target's Ethernet address; of no meaning in a request, zeros by custom.
    pub target_mac: MacAddr,
    /// The target's IPv4 address: the one asked for.
    pub target_addr: Ipv4Addr,
}

impl Packet {
    /// The packet at the front of `l3`, what follows the Ethernet header and tags. `None`: it is cut short, not about
    /// IPv4 over Ethernet, or neither request nor reply.
    #[must_use]
    pub fn parse(l3: &[u8]) -> Option<Self> {
        let p = l3.first_chunk::<PACKET_LEN>()?;
        let hardware = u16::from_be_bytes([p[0], p[1]]);
        let protocol = u16::from_be_bytes([p[2], p[3]]);
        // A03, RFC 826: the types and the lengths must be ours before the addresses mean anything.
        if (hardware, protocol, p[4], p[5]) != (HARDWARE_ETHERNET, ETHERTYPE_IPV4, 6, 4) {
            return None;
        }
        let operation = match u16::from_be_bytes([p[6], p[7]]) {
            1 => Operation::Request,
            2 => Operation::Reply,
            _ => return None,
        };
        Some(Self {
            operation,
            sender_mac: MacAddr([p[8], p[9], p[10], p[11], p[12], p[13]]),
            sender_addr: Ipv4Addr::new(p[14], p[15], p[16], p[17]),
            target_mac: MacAddr([p[18], p[19], p[20], p[21], p[22], p[23]]),
            target_addr: Ipv4Addr::new(p[24], p[25], p[26], p[27]),
        })
    }

    /// The question who has `target`, from the owner of `mac` and `addr`.
    #[must_use]
    pub const fn request(mac: MacAddr, addr: Ipv4Addr, target: Ipv4Addr) -> Self {
        Self {
            operation: Operation::Request,
            sender_mac: mac,
            sender_addr: addr,
            target_mac: MacAddr([0; 6]),
            target_addr: target,
        }
    }

    /// The question whether anyone has `addr`, before it is used. RFC 5227 2.1.1: the sender's address is unspecified, so
    /// that no cache learns it.
    #[must_use]
    pub const fn probe(mac: MacAddr, addr: Ipv4Addr) -> Self {
        Self::request(mac, Ipv4Addr::UNSPECIFIED, addr)
    }

    /// The statement that `mac` has `addr`, for every cache on the link. RFC 5227 2.3: a request for one's own address.
    #[must_use]
    pub const fn announcement(mac: MacAddr, addr: Ipv4Addr) -> Self {
        Self::request(mac, addr, addr)
    }

    /// The answer to this request: `mac` has the address asked for.
    // A01, RFC 826: the fields swapped, our own put in. A05, RFC 5227 2.1.1: a probe is answered to 0.0.0.0 like any other.
    #[must_use]
    pub const fn reply(&self, mac: MacAddr) -> Self {
        Self {
            operation: Operation::Reply,
            sender_mac: mac,
            sender_addr: self.target_addr,
            target_mac: self.sender_mac,
            target_addr: self.sender_addr,
        }
    }

    /// Whether this is a [probe](Self::probe): A05, RFC 5227 2.1.1.
    #[must_use]
    pub const fn is_probe(&self) -> bool {
        matches!(self.operation, Operation::Request) && self.sender_addr.is_unspecified()
    }

    /// To whom the frame goes: to the target where its address is known (a reply, a unicast poll), else to all.
    #[must_use]
    pub fn frame_dst(&self) -> MacAddr {
        if self.target_mac.is_unicast() { self.target_mac } else { MacAddr::BROADCAST }
    }

    /// Writes the packet alone to the front of `out` and returns what follows. `None`: `out` is too short.
    #[must_use]
    pub fn emit_packet<'a>(&self, out: &'a mut [u8]) -> Option<&'a mut [u8]> {
        let (p, rest) = out.split_first_chunk_mut::<PACKET_LEN>()?;
        let operation: u8 = match self.operation {
            Operation::Request => 1,
            Operation::Reply => 2,
        };
        p[..8].copy_from_slice(&[0, 1, 0x08, 0x00, 6, 4, 0, operation]);
        p[8..14].copy_from_slice(&self.sender_mac.0);
        p[14..18].copy_from_slice(&self.sender_addr.octets());
        p[18..24].copy_from_slice(&self.target_mac.0);
        p[24..].copy_from_slice(&self.target_addr.octets());
        Some(rest)
    }

    /// Writes a whole untagged frame, from the sender to [`frame_dst`](Self::frame_dst), to the front of `out` and returns
    /// what follows: [`FRAME_LEN`] bytes. `None`: `out` is shorter.
    #[must_use]
    pub fn emit<'a>(&self, out: &'a mut [u8]) -> Option<&'a mut [u8]> {
        let (frame, rest) = out.split_first_chunk_mut::<FRAME_LEN>()?;
        let header = Header { dst: self.frame_dst(), src: self.sender_mac, ethertype: ETHERTYPE_ARP };
        let padding = self.emit_packet(header.emit(frame)?)?;
        // E09, RFC 1042: what pads the frame is zeros.
        padding.fill(0);
        Some(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const OURS: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);
    const THEIRS: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
    const OUR_ADDR: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 2);
    const THEIR_ADDR: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);

    fn frame(packet: Packet) -> [u8; 60] {
        let mut frame = [0xee; 60];
        assert!(packet.emit(&mut frame).unwrap().is_empty());
        frame
    }

    // RFC 826: hardware, protocol, lengths, operation, then the four addresses.
    #[test]
    fn a_request_is_laid_out_as_rfc_826_says() {
        let frame = frame(Packet::request(OURS, OUR_ADDR, THEIR_ADDR));
        let mut expected = vec![0xff; 6];
        expected.extend([2, 0, 0, 0, 0, 2, 0x08, 0x06]);
        expected.extend([0, 1, 8, 0, 6, 4, 0, 1]);
        expected.extend([2, 0, 0, 0, 0, 2, 198, 18, 0, 2, 0, 0, 0, 0, 0, 0, 198, 18, 0, 1]);
        expected.resize(60, 0);
        assert_eq!(frame.as_slice(), expected);
    }

    // A01, RFC 826: operation 2, unicast to the sender.
    #[test]
    fn a_reply_goes_to_who_asked() {
        let reply = Packet::request(THEIRS, THEIR_ADDR, OUR_ADDR).reply(OURS);
        let frame = frame(reply);
        assert_eq!(frame[..12], [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2]);
        assert_eq!(Packet::parse(&frame[14..]).unwrap(), reply);
        assert_eq!(frame[20..22], [0, 2]);
        assert_eq!((reply.sender_mac, reply.sender_addr), (OURS, OUR_ADDR));
        assert_eq!((reply.target_mac, reply.target_addr), (THEIRS, THEIR_ADDR));
    }

    // A05, RFC 5227 2.1.1.
    #[test]
    fn a_probe_names_no_sender_and_is_answered_to_none() {
        let probe = Packet::probe(THEIRS, OUR_ADDR);
        assert!(probe.is_probe() && probe.frame_dst() == MacAddr::BROADCAST);
        let reply = probe.reply(OURS);
        assert_eq!((reply.target_mac, reply.target_addr), (THEIRS, Ipv4Addr::UNSPECIFIED));
        assert!(!reply.is_probe());
    }

    // RFC 5227 2.3: sender and target address are both the address announced.
    #[test]
    fn an_announcement_is_a_broadcast_request_for_ones_own_address() {
        let packet = Packet::parse(&frame(Packet::announcement(OURS, OUR_ADDR))[14..]).unwrap();
        assert_eq!(
            (packet.operation, packet.sender_addr, packet.target_addr),
            (Operation::Request, OUR_ADDR, OUR_ADDR)
        );
        assert_eq!(packet.frame_dst(), MacAddr::BROADCAST);
        assert!(!packet.is_probe());
    }

    // A03, RFC 826: hardware type 6, protocol 86dd, lengths 5, operations 0, 3, 257.
    #[test]
    fn other_hardware_protocols_lengths_and_operations_are_refused() {
        let good = frame(Packet::request(THEIRS, THEIR_ADDR, OUR_ADDR));
        for (at, value) in [
            (0, 1),
            (1, 6),
            (1, 2),
            (2, 0x86),
            (3, 0xdd),
            (4, 5),
            (4, 7),
            (5, 5),
            (5, 16),
            (6, 1),
            (7, 0),
            (7, 3),
        ] {
            let mut bad = good;
            bad[14 + at] = value;
            assert_eq!(Packet::parse(&bad[14..]), None, "byte {at} = {value}");
        }
    }

    // A03, E17: 27 bytes are too few, and so is everything below.
    #[test]
    fn a_packet_cut_at_any_byte_is_refused() {
        let frame = frame(Packet::request(THEIRS, THEIR_ADDR, OUR_ADDR));
        for len in 0..=46 {
            assert_eq!(Packet::parse(&frame[14..14 + len]).is_some(), len >= 28, "{len} bytes");
        }
    }

    // E09, CVE-2003-0001: no bytes that were there before go out.
    #[test]
    fn padding_is_zeros_and_a_short_buffer_is_left_alone() {
        assert_eq!(frame(Packet::probe(OURS, OUR_ADDR))[42..], [0; 18]);
        for len in 0..60 {
            let mut out = [0xee; 60];
            assert!(Packet::probe(OURS, OUR_ADDR).emit(&mut out[..len]).is_none());
            assert_eq!(out, [0xee; 60]);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_parse_or_do_not(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            prop_assert!(Packet::parse(&bytes).is_none() || bytes.len() >= 28);
        }

        #[test]
        fn what_is_emitted_reads_back(is_reply: bool, macs: [[u8; 6]; 2], addrs: [[u8; 4]; 2]) {
            let packet = Packet {
                operation: if is_reply { Operation::Reply } else { Operation::Request },
                sender_mac: MacAddr(macs[0]),
                sender_addr: addrs[0].into(),
                target_mac: MacAddr(macs[1]),
                target_addr: addrs[1].into(),
            };
            let frame = frame(packet);
            let (header, l3) = Header::parse(&frame).unwrap();
            prop_assert_eq!((header.src, header.ethertype), (packet.sender_mac, ETHERTYPE_ARP));
            prop_assert_eq!(Packet::parse(l3), Some(packet));
        }
    }
}
