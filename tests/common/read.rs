//! Frames, read strictly: what a correct host sends has right lengths and right checksums, and anything else is a failure
//! of the test.

use std::fmt;
use std::net::Ipv4Addr;
use std::time::Instant;

use super::frames::{self, ETHERTYPE_ARP, ETHERTYPE_IPV4, Host, ICMP, IGMP, Mac, UDP, checksum};

/// A frame as captured.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    pub at: Instant,
    pub bytes: Vec<u8>,
}

/// An IPv4 packet whose header is right.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ipv4Read {
    pub tos: u8,
    pub id: u16,
    pub fragment: u16,
    pub ttl: u8,
    pub protocol: u8,
    pub src: Ipv4Addr,
    pub dst: Ipv4Addr,
    pub options: Vec<u8>,
    /// The whole packet.
    pub packet: Vec<u8>,
    /// What follows the header.
    pub payload: Vec<u8>,
    /// What follows the packet in its frame.
    pub trailer: Vec<u8>,
}

/// A UDP datagram whose lengths and checksum are right.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UdpRead {
    pub ip: Ipv4Read,
    pub sport: u16,
    pub dport: u16,
    /// As in the packet, right or 0.
    pub checksum: u16,
    pub payload: Vec<u8>,
}

/// An ICMP message whose checksum is right.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IcmpRead {
    pub ip: Ipv4Read,
    pub kind: u8,
    pub code: u8,
    pub rest: [u8; 4],
    pub data: Vec<u8>,
}

/// An ARP packet for IPv4 over Ethernet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ArpRead {
    pub operation: u16,
    pub sender: Host,
    pub target: Host,
}

/// One record of an IGMPv3 report (RFC 9776 4.2.12).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Record {
    pub kind: RecordKind,
    pub group: Ipv4Addr,
    pub sources: Vec<Ipv4Addr>,
}

/// RFC 9776 4.2.13.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum RecordKind {
    IsInclude,
    IsExclude,
    ToInclude,
    ToExclude,
    AllowNew,
    BlockOld,
}

/// An IGMPv3 report.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    pub at: Instant,
    pub ip: Ipv4Read,
    pub records: Vec<Record>,
}

fn be16(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

fn ip(bytes: &[u8], at: usize) -> Ipv4Addr {
    Ipv4Addr::new(bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3])
}

fn mac(bytes: &[u8], at: usize) -> Mac {
    bytes[at..at + 6].try_into().unwrap()
}

impl Frame {
    pub fn dst(&self) -> Mac {
        mac(&self.bytes, 0)
    }

    pub fn src(&self) -> Mac {
        mac(&self.bytes, 6)
    }

    pub fn ethertype(&self) -> u16 {
        be16(&self.bytes, 12)
    }

    /// Whether it is IPv4 with this protocol. Reads no further than it must.
    pub fn carries(&self, protocol: u8) -> bool {
        self.bytes.len() >= 34 && self.ethertype() == ETHERTYPE_IPV4 && self.bytes[23] == protocol
    }

    pub fn is_arp(&self) -> bool {
        self.bytes.len() >= 14 && self.ethertype() == ETHERTYPE_ARP
    }

    /// Its IPv4 packet. Panics if there is none, or a length or the header checksum is wrong.
    pub fn ipv4(&self) -> Ipv4Read {
        assert_eq!(self.ethertype(), ETHERTYPE_IPV4, "not IPv4: {self:?}");
        let packet = &self.bytes[14..];
        assert_eq!(packet[0] >> 4, 4, "IP version: {self:?}");
        let header_len = usize::from(packet[0] & 0xf) * 4;
        let total = usize::from(be16(packet, 2));
        assert!(header_len >= 20 && header_len <= total && total <= packet.len(), "IPv4 lengths: {self:?}");
        let (header, payload) = packet[..total].split_at(header_len);
        assert_eq!(checksum(&[header]), 0, "IPv4 header checksum: {self:?}");
        Ipv4Read {
            tos: header[1],
            id: be16(header, 4),
            fragment: be16(header, 6),
            ttl: header[8],
            protocol: header[9],
            src: ip(header, 12),
            dst: ip(header, 16),
            options: header[20..].to_vec(),
            packet: packet[..total].to_vec(),
            payload: payload.to_vec(),
            trailer: packet[total..].to_vec(),
        }
    }

    /// Its UDP datagram. Panics if there is none, or a length or a checksum is wrong.
    pub fn udp(&self) -> UdpRead {
        let ip = self.ipv4();
        assert_eq!(ip.protocol, UDP, "not UDP: {self:?}");
        let datagram = ip.payload.clone();
        assert_eq!(usize::from(be16(&datagram, 4)), datagram.len(), "UDP length: {self:?}");
        let sum = be16(&datagram, 6);
        if sum != 0 {
            let mut blank = datagram.clone();
            blank[6..8].fill(0);
            assert_eq!(sum, frames::udp_checksum(ip.src, ip.dst, &blank), "UDP checksum: {self:?}");
        }
        UdpRead {
            ip,
            sport: be16(&datagram, 0),
            dport: be16(&datagram, 2),
            checksum: sum,
            payload: datagram[8..].to_vec(),
        }
    }

    /// Its ICMP message. Panics if there is none, or a checksum is wrong.
    pub fn icmp(&self) -> IcmpRead {
        let ip = self.ipv4();
        assert_eq!(ip.protocol, ICMP, "not ICMP: {self:?}");
        let message = ip.payload.clone();
        assert_eq!(checksum(&[&message]), 0, "ICMP checksum: {self:?}");
        IcmpRead {
            ip,
            kind: message[0],
            code: message[1],
            rest: message[4..8].try_into().unwrap(),
            data: message[8..].to_vec(),
        }
    }

    /// Its ARP packet. Panics if there is none, or it is not for IPv4 over Ethernet.
    pub fn arp(&self) -> ArpRead {
        assert!(self.is_arp(), "not ARP: {self:?}");
        let packet = &self.bytes[14..];
        assert_eq!(packet[..6], [0, 1, 8, 0, 6, 4], "ARP types and lengths: {self:?}");
        let host = |at| Host { mac: mac(packet, at), ip: ip(packet, at + 6) };
        ArpRead { operation: be16(packet, 6), sender: host(8), target: host(18) }
    }

    /// Its IGMPv3 report, if it is one. Panics if a length, a checksum or a record is wrong.
    pub fn report(&self) -> Option<Report> {
        if !self.carries(IGMP) {
            return None;
        }
        let ip_packet = self.ipv4();
        let message = ip_packet.payload.clone();
        assert_eq!(checksum(&[&message]), 0, "IGMP checksum: {self:?}");
        if message[0] != 0x22 {
            return None;
        }
        let mut records = Vec::new();
        let mut at = 8;
        for _ in 0..be16(&message, 6) {
            let sources = usize::from(be16(&message, at + 2));
            assert_eq!(message[at + 1], 0, "auxiliary data in an IGMP record: {self:?}");
            records.push(Record {
                kind: RecordKind::from_wire(message[at]),
                group: ip(&message, at + 4),
                sources: (0..sources).map(|i| ip(&message, at + 8 + 4 * i)).collect(),
            });
            at += 8 + 4 * sources;
        }
        assert_eq!(at, message.len(), "octets behind the last IGMP record: {self:?}");
        Some(Report { at: self.at, ip: ip_packet, records })
    }
}

impl RecordKind {
    fn from_wire(kind: u8) -> Self {
        match kind {
            1 => Self::IsInclude,
            2 => Self::IsExclude,
            3 => Self::ToInclude,
            4 => Self::ToExclude,
            5 => Self::AllowNew,
            6 => Self::BlockOld,
            other => panic!("IGMP record type {other}"),
        }
    }
}

impl Record {
    pub fn new(kind: RecordKind, group: Ipv4Addr, sources: &[Ipv4Addr]) -> Self {
        Self { kind, group, sources: sources.to_vec() }
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes:", self.bytes.len())?;
        for (i, byte) in self.bytes.iter().enumerate() {
            write!(f, "{}{byte:02x}", if i % 2 == 0 { " " } else { "" })?;
        }
        Ok(())
    }
}
