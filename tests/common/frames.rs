//! Frames, built byte by byte and right by default, with every field at the test's disposal.
//!
//! Nothing of pollcast's own wire room is used here: what judges a program must not be built of it.

use std::net::Ipv4Addr;

pub const ETHERTYPE_IPV4: u16 = 0x0800;
pub const ETHERTYPE_ARP: u16 = 0x0806;
pub const ETHERTYPE_IPV6: u16 = 0x86dd;
pub const ICMP: u8 = 1;
pub const IGMP: u8 = 2;
pub const UDP: u8 = 17;

/// An Ethernet address.
pub type Mac = [u8; 6];

pub const BROADCAST: Mac = [0xff; 6];

/// One end of a conversation: a real host or a pretended one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Host {
    pub mac: Mac,
    pub ip: Ipv4Addr,
}

impl Host {
    /// 198.18.0.`n`, with an Ethernet address that ends in `n`.
    pub const fn number(n: u8) -> Self {
        Self { mac: [2, 0, 0, 0, 0, n], ip: Ipv4Addr::new(198, 18, 0, n) }
    }

    /// The same host with another address.
    pub const fn with_ip(self, ip: Ipv4Addr) -> Self {
        Self { ip, ..self }
    }
}

/// The Internet checksum (RFC 1071): 16 bits at a time, a last odd byte padded with 0.
pub fn checksum(parts: &[&[u8]]) -> u16 {
    let bytes = parts.concat();
    let words = bytes.chunks(2).map(|w| u32::from(w[0]) << 8 | u32::from(*w.get(1).unwrap_or(&0)));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    !u16::try_from(sum).unwrap()
}

/// The Ethernet address of a group (RFC 1112 6.4): 23 bits of it behind 01:00:5e.
pub fn group_mac(group: Ipv4Addr) -> Mac {
    let [_, b, c, d] = group.octets();
    [0x01, 0x00, 0x5e, b & 0x7f, c, d]
}

/// An Ethernet II frame, as long as it comes: the tap needs no padding.
pub fn ethernet(dst: Mac, src: Mac, ethertype: u16, payload: &[u8]) -> Vec<u8> {
    [&dst[..], &src, &ethertype.to_be_bytes(), payload].concat()
}

/// The frame with an 802.1Q tag, or another that `tpid` names.
pub fn tagged(frame: &[u8], tpid: u16, tci: u16) -> Vec<u8> {
    [&frame[..12], &tpid.to_be_bytes(), &tci.to_be_bytes(), &frame[12..]].concat()
}

/// An IPv4 header in the making. What is `None` is computed.
#[derive(Clone, Debug)]
pub struct Ipv4 {
    pub version: u8,
    pub ihl: Option<u8>,
    pub tos: u8,
    pub total_length: Option<u16>,
    pub id: u16,
    /// The three flags and the fragment offset.
    pub fragment: u16,
    pub ttl: u8,
    pub protocol: u8,
    pub checksum: Option<u16>,
    pub src: Ipv4Addr,
    pub dst: Ipv4Addr,
    pub options: Vec<u8>,
}

impl Ipv4 {
    pub fn new(src: Ipv4Addr, dst: Ipv4Addr, protocol: u8) -> Self {
        Self {
            version: 4,
            ihl: None,
            tos: 0,
            total_length: None,
            id: 0x1234,
            fragment: 0,
            ttl: 64,
            protocol,
            checksum: None,
            src,
            dst,
            options: Vec::new(),
        }
    }

    /// The packet with this header.
    pub fn packet(&self, payload: &[u8]) -> Vec<u8> {
        let header_len = 20 + self.options.len();
        assert!(header_len.is_multiple_of(4), "options come in fours");
        let ihl = self.ihl.unwrap_or_else(|| u8::try_from(header_len / 4).unwrap());
        let total = self.total_length.unwrap_or_else(|| u16::try_from(header_len + payload.len()).unwrap());
        let mut header = vec![self.version << 4 | ihl, self.tos];
        header.extend(total.to_be_bytes());
        header.extend(self.id.to_be_bytes());
        header.extend(self.fragment.to_be_bytes());
        header.extend([self.ttl, self.protocol, 0, 0]);
        header.extend(self.src.octets());
        header.extend(self.dst.octets());
        header.extend(&self.options);
        let sum = self.checksum.unwrap_or_else(|| checksum(&[&header]));
        header[10..12].copy_from_slice(&sum.to_be_bytes());
        header.extend(payload);
        header
    }
}

/// A UDP datagram in the making, without its IP header. What is `None` is computed.
#[derive(Clone, Debug)]
pub struct Udp {
    pub sport: u16,
    pub dport: u16,
    pub length: Option<u16>,
    pub checksum: Option<u16>,
}

impl Udp {
    pub const fn new(sport: u16, dport: u16) -> Self {
        Self { sport, dport, length: None, checksum: None }
    }

    /// The header and payload, with the checksum over what the length field covers (RFC 768).
    pub fn datagram(&self, src: Ipv4Addr, dst: Ipv4Addr, payload: &[u8]) -> Vec<u8> {
        let length = self.length.unwrap_or_else(|| u16::try_from(8 + payload.len()).unwrap());
        let mut bytes = Vec::new();
        bytes.extend(self.sport.to_be_bytes());
        bytes.extend(self.dport.to_be_bytes());
        bytes.extend(length.to_be_bytes());
        bytes.extend([0, 0]);
        bytes.extend(payload);
        let covered = &bytes[..usize::from(length).clamp(8, bytes.len())];
        let sum = self.checksum.unwrap_or_else(|| udp_checksum(src, dst, covered));
        bytes[6..8].copy_from_slice(&sum.to_be_bytes());
        bytes
    }
}

/// The checksum of a UDP datagram whose checksum field is 0; a sum of 0 is sent as 0xffff (RFC 768).
pub fn udp_checksum(src: Ipv4Addr, dst: Ipv4Addr, datagram: &[u8]) -> u16 {
    let length = u16::try_from(datagram.len()).unwrap().to_be_bytes();
    match checksum(&[&src.octets(), &dst.octets(), &[0, UDP], &length, datagram]) {
        0 => 0xffff,
        sum => sum,
    }
}

/// An ICMP message: type, code, the four bytes that differ by type, and what follows.
pub fn icmp(kind: u8, code: u8, rest: [u8; 4], data: &[u8]) -> Vec<u8> {
    let mut bytes = [&[kind, code, 0, 0], &rest[..], data].concat();
    let sum = checksum(&[&bytes]);
    bytes[2..4].copy_from_slice(&sum.to_be_bytes());
    bytes
}

/// An ICMP echo request.
pub fn echo_request(id: u16, sequence: u16, data: &[u8]) -> Vec<u8> {
    let [i, j] = id.to_be_bytes();
    let [k, l] = sequence.to_be_bytes();
    icmp(8, 0, [i, j, k, l], data)
}

/// The frame that carries `packet` from `from` to `to`, by the Ethernet address that belongs to `to.ip`.
pub fn frame(from: Host, to: Host, packet: &[u8]) -> Vec<u8> {
    let dst = if to.ip.is_multicast() {
        group_mac(to.ip)
    } else if to.ip.is_broadcast() || to.ip.octets()[3] == 255 {
        BROADCAST
    } else {
        to.mac
    };
    ethernet(dst, from.mac, ETHERTYPE_IPV4, packet)
}

/// A whole frame with a UDP datagram.
pub fn udp_frame(from: Host, sport: u16, to: Host, dport: u16, payload: &[u8]) -> Vec<u8> {
    let datagram = Udp::new(sport, dport).datagram(from.ip, to.ip, payload);
    frame(from, to, &Ipv4::new(from.ip, to.ip, UDP).packet(&datagram))
}

/// A whole frame with an ICMP echo request.
pub fn ping_frame(from: Host, to: Host, id: u16, sequence: u16, data: &[u8]) -> Vec<u8> {
    frame(from, to, &Ipv4::new(from.ip, to.ip, ICMP).packet(&echo_request(id, sequence, data)))
}

/// An ARP packet in the making (RFC 826).
#[derive(Clone, Debug)]
pub struct Arp {
    pub hardware: u16,
    pub protocol: u16,
    pub hardware_len: u8,
    pub protocol_len: u8,
    pub operation: u16,
    pub sender: Host,
    pub target: Host,
}

impl Arp {
    /// `asker` asks who has `ip`.
    pub const fn request(asker: Host, ip: Ipv4Addr) -> Self {
        let target = Host { mac: [0; 6], ip };
        Self {
            hardware: 1,
            protocol: ETHERTYPE_IPV4,
            hardware_len: 6,
            protocol_len: 4,
            operation: 1,
            sender: asker,
            target,
        }
    }

    /// `sender` tells `target` where it is.
    pub const fn reply(sender: Host, target: Host) -> Self {
        Self { operation: 2, target, ..Self::request(sender, target.ip) }
    }

    /// The 28 bytes of it.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(self.hardware.to_be_bytes());
        bytes.extend(self.protocol.to_be_bytes());
        bytes.extend([self.hardware_len, self.protocol_len]);
        bytes.extend(self.operation.to_be_bytes());
        for host in [self.sender, self.target] {
            bytes.extend(host.mac);
            bytes.extend(host.ip.octets());
        }
        bytes
    }

    /// In a frame from its sender to `dst`.
    pub fn frame_to(&self, dst: Mac) -> Vec<u8> {
        ethernet(dst, self.sender.mac, ETHERTYPE_ARP, &self.bytes())
    }
}

/// The router alert option (RFC 2113) that every IGMP packet carries.
pub const ROUTER_ALERT: [u8; 4] = [0x94, 4, 0, 0];

/// An IGMP message with its checksum.
pub fn igmp(mut message: Vec<u8>) -> Vec<u8> {
    let sum = checksum(&[&message]);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    message
}

/// An IGMPv3 query (RFC 9776 4.1) with a robustness variable of 2 and a query interval of 125 s.
pub fn igmp_query(max_resp_code: u8, group: Ipv4Addr, sources: &[Ipv4Addr]) -> Vec<u8> {
    let mut message = vec![0x11, max_resp_code, 0, 0];
    message.extend(group.octets());
    message.extend([2, 125]);
    message.extend(u16::try_from(sources.len()).unwrap().to_be_bytes());
    message.extend(sources.iter().flat_map(|s| s.octets()));
    igmp(message)
}

/// An IGMP packet to `to`, as every sender of IGMP makes it: TTL 1, precedence 0xc0, router alert.
pub fn igmp_frame(from: Host, to: Ipv4Addr, message: &[u8]) -> Vec<u8> {
    let header = Ipv4 { ttl: 1, tos: 0xc0, options: ROUTER_ALERT.to_vec(), ..Ipv4::new(from.ip, to, IGMP) };
    frame(from, Host { mac: [0; 6], ip: to }, &header.packet(message))
}
