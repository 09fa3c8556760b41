//! Frames, built and read without pollcast's code.

/// An IPv4 address, or a MAC address.
pub(crate) type Ip = [u8; 4];
pub(crate) type Mac = [u8; 6];

/// pollcast.
pub(crate) const HOST: Ip = [198, 18, 0, 2];
pub(crate) const HOST_MAC: Mac = [2, 0, 0, 0, 0, 2];
/// The group that it has joined.
pub(crate) const GROUP: Ip = [239, 1, 2, 3];
pub(crate) const GROUP_MAC: Mac = [1, 0, 0x5e, 1, 2, 3];
/// The good host.
pub(crate) const PEER: Ip = [198, 18, 0, 1];
pub(crate) const PEER_MAC: Mac = [2, 0, 0, 0, 0, 1];
pub(crate) const BROADCAST: Mac = [0xff; 6];

/// The echo service that answers to whoever asked, and the one that answers by its routes.
pub(crate) const ECHO_PORT: u16 = 7;
pub(crate) const ROUTED_PORT: u16 = 8;
/// The good host's first source port; one a flow.
pub(crate) const FIRST_PORT: u16 = 20_000;
pub(crate) const FLOWS: u16 = 64;
/// Bytes of a good payload: those of a frame of 60.
pub(crate) const PAYLOAD: usize = 18;

const ETHERNET: usize = 14;
const IPV4: usize = 20;
const UDP: usize = 8;

/// RFC 1071: the sum of 16-bit words.
pub(crate) fn sum(bytes: &[u8], start: u32) -> u32 {
    let mut words = bytes.chunks_exact(2);
    let whole: u32 = words.by_ref().map(|w| u32::from(w[0]) << 8 | u32::from(w[1])).sum();
    start + whole + words.remainder().first().map_or(0, |&last| u32::from(last) << 8)
}

/// A sum, folded and complemented.
pub(crate) fn finish(mut sum: u32) -> [u8; 2] {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    let [.., high, low] = (!sum).to_be_bytes();
    [high, low]
}

/// A frame on its way, in a buffer large enough for every kind here.
#[derive(Debug)]
pub(crate) struct Writer {
    bytes: [u8; 160],
    len: usize,
}

impl Writer {
    /// An Ethernet header.
    pub(crate) fn new(dst: Mac, src: Mac, ethertype: [u8; 2]) -> Self {
        let mut frame = Self { bytes: [0; 160], len: 0 };
        frame.add(&dst).add(&src).add(&ethertype);
        frame
    }

    pub(crate) fn add(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
        self
    }

    /// An IPv4 header over `len` bytes; `fragment` is its fragment field, with the flags.
    pub(crate) fn ipv4(&mut self, header: Ipv4<'_>) -> &mut Self {
        let Ipv4 { src, dst, protocol, id, fragment, ttl, options, len } = header;
        let start = self.len;
        let header_len = IPV4 + options.len();
        let [h, l] = u16::try_from(header_len + len).unwrap_or(u16::MAX).to_be_bytes();
        let [i0, i1] = id.to_be_bytes();
        let [f0, f1] = fragment.to_be_bytes();
        let ihl = u8::try_from(header_len / 4).unwrap_or(15);
        self.add(&[0x40 | ihl, 0, h, l, i0, i1, f0, f1, ttl, protocol, 0, 0])
            .add(&src)
            .add(&dst)
            .add(options);
        let checksum = finish(sum(&self.bytes[start..self.len], 0));
        self.bytes[start + 10..start + 12].copy_from_slice(&checksum);
        self
    }

    /// A UDP datagram with its checksum, behind the IPv4 header of `src` and `dst`.
    pub(crate) fn udp(&mut self, src: (Ip, u16), dst: (Ip, u16), payload: &[u8]) -> &mut Self {
        let start = self.len;
        let len = u16::try_from(UDP + payload.len()).unwrap_or(u16::MAX).to_be_bytes();
        self.add(&src.1.to_be_bytes()).add(&dst.1.to_be_bytes()).add(&len).add(&[0, 0]).add(payload);
        let pseudo = sum(&src.0, 17) + sum(&dst.0, 0) + sum(&len, 0);
        let checksum = finish(sum(&self.bytes[start..self.len], pseudo));
        let checksum = if checksum == [0, 0] { [0xff, 0xff] } else { checksum };
        self.bytes[start + 6..start + 8].copy_from_slice(&checksum);
        self
    }

    /// Writes the checksum of everything from `start` on to `at`.
    pub(crate) fn sum_from(&mut self, start: usize, at: usize) -> &mut Self {
        let checksum = finish(sum(&self.bytes[start..self.len], 0));
        self.bytes[at..at + 2].copy_from_slice(&checksum);
        self
    }

    /// Damages a byte.
    pub(crate) fn flip(&mut self, at: usize) -> &mut Self {
        self.bytes[at] ^= 0x5a;
        self
    }

    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// The frame, as long as Ethernet wants it at least.
    pub(crate) fn frame(&self) -> &[u8] {
        &self.bytes[..self.len.max(60)]
    }
}

/// What an IPv4 header says.
#[derive(Debug)]
pub(crate) struct Ipv4<'a> {
    pub(crate) src: Ip,
    pub(crate) dst: Ip,
    pub(crate) protocol: u8,
    pub(crate) id: u16,
    pub(crate) fragment: u16,
    pub(crate) ttl: u8,
    pub(crate) options: &'a [u8],
    pub(crate) len: usize,
}

impl Ipv4<'_> {
    /// The usual one, from `src` to pollcast.
    pub(crate) const fn udp(src: Ip, len: usize) -> Self {
        Self { src, dst: HOST, protocol: 17, id: 0, fragment: 0x4000, ttl: 64, options: &[], len }
    }
}

/// What came over the cable.
#[derive(Debug)]
pub(crate) enum Heard {
    /// A question after the good host's address, and the reply.
    ArpRequest([u8; 60]),
    /// The reply to the good host's question after pollcast's address.
    ArpReply,
    /// Another ARP packet.
    Arp,
    /// An answer to a good question, right in every byte of its headers.
    Answer { from: u16, port: u16, payload: [u8; PAYLOAD] },
    /// A part of a large answer: the IPv4 packet.
    Fragment(Vec<u8>),
    /// A datagram for the good host that is no right answer.
    Wrong,
    /// An ICMP message, by type and code.
    Icmp(u8, u8),
    /// Anything else: IGMP reports, answers to the attacker.
    Other,
}

/// Reads a frame.
pub(crate) fn read(frame: &[u8]) -> Heard {
    match frame.get(12..14) {
        Some([0x08, 0x06]) => read_arp(frame),
        Some([0x08, 0x00]) => read_ipv4(frame).unwrap_or(Heard::Other),
        _ => Heard::Other,
    }
}

/// The good host asks who has pollcast's address.
pub(crate) fn arp_question() -> Writer {
    let mut frame = Writer::new(BROADCAST, PEER_MAC, [8, 6]);
    frame.add(&[0, 1, 8, 0, 6, 4, 0, 1]).add(&PEER_MAC).add(&PEER).add(&[0; 6]).add(&HOST);
    frame
}

fn read_arp(frame: &[u8]) -> Heard {
    let (Some(operation), Some(asks), Some(sender)) =
        (frame.get(20..22), frame.get(38..42), frame.get(22..32))
    else {
        return Heard::Arp;
    };
    if operation == [0, 2] && asks == PEER && *sender == [&HOST_MAC[..], &HOST].concat() {
        return Heard::ArpReply;
    }
    if operation != [0, 1] || asks != PEER || frame.get(28..32) == Some(&PEER) {
        return Heard::Arp;
    }
    let mut reply = [0; 60];
    reply[..6].copy_from_slice(&sender[..6]);
    reply[6..12].copy_from_slice(&PEER_MAC);
    reply[12..22].copy_from_slice(&[8, 6, 0, 1, 8, 0, 6, 4, 0, 2]);
    reply[22..28].copy_from_slice(&PEER_MAC);
    reply[28..32].copy_from_slice(&PEER);
    reply[32..42].copy_from_slice(sender);
    Heard::ArpRequest(reply)
}

fn read_ipv4(frame: &[u8]) -> Option<Heard> {
    let packet = frame.get(ETHERNET..)?;
    let (protocol, dst) = (*packet.get(9)?, packet.get(16..20)?);
    if protocol == 1 {
        return Some(Heard::Icmp(*packet.get(IPV4)?, *packet.get(IPV4 + 1)?));
    }
    if protocol != 17 || dst != PEER {
        return Some(Heard::Other);
    }
    if packet.get(6..8).is_some_and(|field| u16::from_be_bytes([field[0], field[1]]) & 0x3fff != 0) {
        return Some(Heard::Fragment(packet.to_vec()));
    }
    Some(read_answer(frame, packet).unwrap_or(Heard::Wrong))
}

/// An answer: from the right addresses, with right lengths and checksums, to one of our ports.
fn read_answer(frame: &[u8], packet: &[u8]) -> Option<Heard> {
    let right_link = frame.get(..12)? == [PEER_MAC, HOST_MAC].as_flattened();
    let header = packet.get(..IPV4)?;
    let udp = packet.get(IPV4..IPV4 + UDP + PAYLOAD)?;
    let len = [0, 46];
    let right = right_link
        && header[0] == 0x45
        && header[2..4] == len
        && finish(sum(header, 0)) == [0, 0]
        && header[12..16] == HOST
        && udp[4..6] == [0, 26]
        && finish(sum(udp, sum(&header[12..20], 17 + 26))) == [0, 0];
    let [from, port] = [[udp[0], udp[1]], [udp[2], udp[3]]].map(u16::from_be_bytes);
    let payload = *udp[UDP..].first_chunk()?;
    right.then_some(Heard::Answer { from, port, payload })
}
