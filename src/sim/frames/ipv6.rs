//! IPv6 packets: the header, and every kind of extension header.

use core::net::Ipv6Addr;

use super::{Ethernet, Malformed, SHORT, array, len16, padding, rest, u16_at};
use crate::addr::{Family, MacAddr, V6};

/// The type of an IPv6 packet in a frame.
pub const ETHERTYPE_IPV6: u16 = 0x86dd;

/// The fewest bytes that every IPv6 link carries in one packet, and the most of an ICMPv6 error. RFC 8200 5.
pub const MTU_MIN: usize = 1280;

/// "No next header". RFC 8200 4.7.
pub const NO_NEXT_HEADER: u8 = 59;

/// An IPv6 header and the extension headers behind it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ipv6 {
    /// Where from.
    pub source: Ipv6Addr,
    /// Where to.
    pub destination: Ipv6Addr,
    /// The traffic class.
    pub traffic_class: u8,
    /// The flow label, 20 bits.
    pub flow_label: u32,
    /// The hop limit.
    pub hop_limit: u8,
    /// The extension headers, in order.
    pub extensions: Vec<Extension>,
    /// What follows the last of them.
    pub next_header: u8,
}

/// An extension header. RFC 8200 4.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Extension {
    /// Options for every node on the way.
    HopByHop(Vec<HeaderOption>),
    /// Options for the destination.
    Destination(Vec<HeaderOption>),
    /// By what way.
    Routing {
        /// The type of the way: 0 is deprecated (RFC 5095).
        kind: u8,
        /// How many nodes are still to be visited.
        segments_left: u8,
        /// What follows: a multiple of eight and four bytes more.
        data: Vec<u8>,
    },
    /// A piece of a packet.
    Fragment {
        /// Where it belongs, in eights of bytes.
        offset: u16,
        /// Whether more follows.
        more: bool,
        /// Whose piece it is.
        id: u32,
    },
    /// Any other, with its number and all of its bytes but the first, which is the next header.
    Other {
        /// Its number.
        number: u8,
        /// Its second byte (the length, as a rule), and what follows.
        bytes: Vec<u8>,
    },
}

/// An option in an extension header. RFC 8200 4.2.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HeaderOption {
    /// Its type. 0 is Pad1, which has no data and no length; 1 is PadN.
    pub kind: u8,
    /// Its data.
    pub data: Vec<u8>,
}

impl HeaderOption {
    /// Router Alert for MLD. RFC 2711 2.1.
    #[must_use]
    pub fn router_alert() -> Self {
        Self::new(5, &[0, 0])
    }

    /// Of this type, with this data.
    #[must_use]
    pub fn new(kind: u8, data: &[u8]) -> Self {
        Self { kind, data: data.to_vec() }
    }

    fn is_padding(&self) -> bool {
        self.kind <= 1
    }

    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.push(self.kind);
        if self.kind != 0 {
            bytes.push(u8::try_from(self.data.len()).expect("an option's length"));
            bytes.extend(&self.data);
        }
    }
}

impl Extension {
    /// By what number the header before it says that it follows.
    #[must_use]
    pub const fn number(&self) -> u8 {
        match self {
            Self::HopByHop(_) => 0,
            Self::Destination(_) => 60,
            Self::Routing { .. } => 43,
            Self::Fragment { .. } => 44,
            Self::Other { number, .. } => *number,
        }
    }

    /// Whether a router looks at it: it is in every fragment, as is all that precedes it. RFC 8200 4.5.
    const fn is_per_fragment(&self) -> bool {
        matches!(self, Self::HopByHop(_) | Self::Routing { .. })
    }

    /// Its bytes, before the header `next`. Options are padded to a multiple of eight.
    #[must_use]
    pub fn bytes(&self, next: u8) -> Vec<u8> {
        match self {
            Self::HopByHop(options) | Self::Destination(options) => {
                let mut bytes = vec![next, 0];
                options.iter().for_each(|option| option.write(&mut bytes));
                match (8 - bytes.len() % 8) % 8 {
                    0 => {}
                    1 => bytes.push(0),
                    n => HeaderOption::new(1, &vec![0; n - 2]).write(&mut bytes),
                }
                bytes[1] = u8::try_from(bytes.len() / 8 - 1).expect("the length of an extension header");
                bytes
            }
            Self::Routing { kind, segments_left, data } => {
                let len = u8::try_from(data.len() / 8).expect("the length of an extension header");
                [&[next, len, *kind, *segments_left][..], data].concat()
            }
            Self::Fragment { offset, more, id } => {
                let field = (offset << 3 | u16::from(*more)).to_be_bytes();
                [&[next, 0][..], &field, &id.to_be_bytes()].concat()
            }
            Self::Other { bytes, .. } => [&[next][..], bytes].concat(),
        }
    }

    /// The header that number `number` says is at the start of `bytes`, the number of the next, and what follows; `None`
    /// if `number` is that of no extension header.
    #[expect(clippy::type_complexity, reason = "what is read, what comes next, and where")]
    fn read(number: u8, bytes: &[u8]) -> Result<Option<(Self, u8, &[u8])>, Malformed> {
        if ![0, 43, 44, 60, 135, 139, 140].contains(&number) {
            return Ok(None);
        }
        let [next, len] = *array(bytes, 0)?;
        let end = if number == 44 { 8 } else { 8 + 8 * usize::from(len) };
        let (header, behind) = (bytes.get(..end).ok_or(SHORT)?, &bytes[end..]);
        let read = match number {
            0 => Self::HopByHop(read_options(&header[2..])?),
            60 => Self::Destination(read_options(&header[2..])?),
            43 => Self::Routing { kind: header[2], segments_left: header[3], data: header[4..].to_vec() },
            44 => {
                let field = u16_at(header, 2)?;
                if header[1] != 0 || field & 6 != 0 {
                    return Err("a reserved field of a fragment header is not zero");
                }
                let id = u32::from_be_bytes(*array(header, 4)?);
                Self::Fragment { offset: field >> 3, more: field & 1 != 0, id }
            }
            _ => Self::Other { number, bytes: header[1..].to_vec() },
        };
        Ok(Some((read, next, behind)))
    }
}

/// The options in `bytes`, without what pads the last.
fn read_options(mut bytes: &[u8]) -> Result<Vec<HeaderOption>, Malformed> {
    let mut options = Vec::new();
    while let Some(&kind) = bytes.first() {
        let (data, len) = match kind {
            0 => (Vec::new(), 1),
            _ => {
                let end = 2 + usize::from(array::<2>(bytes, 0)?[1]);
                (bytes.get(2..end).ok_or(SHORT)?.to_vec(), end)
            }
        };
        if kind == 1 && data.iter().any(|&b| b != 0) || kind <= 1 && len > 7 {
            return Err("padding in an extension header that is not zero, or longer than it need be");
        }
        options.push(HeaderOption { kind, data });
        bytes = &bytes[len..];
    }
    while options.pop_if(|option| option.is_padding()).is_some() {}
    Ok(options)
}

impl Ipv6 {
    /// A plain header.
    #[must_use]
    pub const fn new(source: Ipv6Addr, destination: Ipv6Addr, next_header: u8) -> Self {
        Self {
            source,
            destination,
            traffic_class: 0,
            flow_label: 0,
            hop_limit: 64,
            extensions: Vec::new(),
            next_header,
        }
    }

    /// With these extension headers.
    #[must_use]
    pub fn with(self, extensions: &[Extension]) -> Self {
        Self { extensions: extensions.to_vec(), ..self }
    }

    /// The packet with `payload`.
    #[must_use]
    pub fn packet(&self, payload: &[u8]) -> Vec<u8> {
        let first = 6 << 28 | u32::from(self.traffic_class) << 20 | self.flow_label & 0xf_ffff;
        let (chain, next) = chain(&self.extensions, self.next_header);
        let mut packet = first.to_be_bytes().to_vec();
        packet.extend(len16(chain.len() + payload.len()));
        packet.extend([next, self.hop_limit]);
        packet.extend(self.source.octets());
        packet.extend(self.destination.octets());
        packet.extend(chain);
        packet.extend(payload);
        packet
    }

    /// The frame with `payload`, between the stations that have its addresses.
    #[must_use]
    pub fn frame(&self, payload: &[u8]) -> Vec<u8> {
        let ethernet = Ethernet {
            destination: mac_for6(self.destination, station_mac6(self.destination)),
            source: station_mac6(self.source),
            tci: None,
            ethertype: ETHERTYPE_IPV6,
        };
        ethernet.frame(&self.packet(payload))
    }

    /// The headers of `packet`, its payload, and what lies behind its end. What follows the header of a fragment is its
    /// payload, be it headers or not.
    ///
    /// # Errors
    /// A length cannot be, an address is in the wrong place, or extension headers are not as a correct host sends them.
    // V07, RFC 8200 4.1: hop-by-hop options come first; RFC 8021: no packet is sent as one fragment.
    pub fn read(packet: &[u8]) -> Result<(Self, &[u8], &[u8]), Malformed> {
        let first = u32::from_be_bytes(*array(packet, 0)?);
        if first >> 28 != 6 {
            return Err("the version is not 6");
        }
        let address = |at| array::<16>(packet, at).map(|b| Ipv6Addr::from(*b));
        let (source, destination) = (address(8)?, address(24)?);
        if source.is_multicast() || source.is_loopback() || source.to_ipv4_mapped().is_some() {
            return Err("a source that is none");
        }
        if destination.is_unspecified() || destination.is_loopback() {
            return Err("a destination that is none");
        }
        let end = 40 + usize::from(u16_at(packet, 4)?);
        let mut payload = packet.get(40..end).ok_or("the IPv6 payload length exceeds the frame")?;
        let [mut next_header, hop_limit] = *array(packet, 6)?;
        let mut extensions = Vec::new();
        while let Some((extension, next, behind)) = Extension::read(next_header, payload)? {
            if next_header == 0 && !extensions.is_empty() {
                return Err("hop-by-hop options that are not the first");
            }
            (next_header, payload) = (next, behind);
            let fragment = matches!(extension, Extension::Fragment { .. });
            if matches!(extension, Extension::Fragment { offset: 0, more: false, .. }) {
                return Err("a packet that is one fragment");
            }
            extensions.push(extension);
            if fragment {
                break;
            }
        }
        let read = Self {
            source,
            destination,
            traffic_class: u8::try_from(first >> 20 & 0xff).unwrap_or(0),
            flow_label: first & 0xf_ffff,
            hop_limit,
            extensions,
            next_header,
        };
        Ok((read, payload, rest(packet, end)?))
    }

    /// The packet in `frame`, which nothing follows but padding.
    ///
    /// # Errors
    /// It is none, or not one that a correct host would send.
    pub fn read_frame(frame: &[u8]) -> Result<(Ethernet, Self, &[u8]), Malformed> {
        let (ethernet, packet) = Ethernet::read(frame)?;
        if ethernet.ethertype != ETHERTYPE_IPV6 {
            return Err("not IPv6");
        }
        let (ip, payload, behind) = Self::read(packet)?;
        padding(behind)?;
        if ethernet.destination != mac_for6(ip.destination, ethernet.destination) {
            return Err("a group in a frame to another Ethernet address than its own");
        }
        Ok((ethernet, ip, payload))
    }

    /// The headers that every fragment has, and those that are cut with the payload. RFC 8200 4.5.
    #[must_use]
    pub fn split(&self) -> (&[Extension], &[Extension]) {
        let last = self.extensions.iter().rposition(Extension::is_per_fragment);
        self.extensions.split_at(last.map_or(0, |last| last + 1))
    }
}

/// The bytes of `extensions` before the header `next_header`, and the number of the first.
#[must_use]
pub fn chain(extensions: &[Extension], next_header: u8) -> (Vec<u8>, u8) {
    extensions.iter().rev().fold((Vec::new(), next_header), |(behind, next), extension| {
        ([extension.bytes(next), behind].concat(), extension.number())
    })
}

/// The Ethernet address for a packet to `addr`: the group's, or else `unicast`.
#[must_use]
pub fn mac_for6(addr: Ipv6Addr, unicast: MacAddr) -> MacAddr {
    if addr.is_multicast() { V6::group_mac(addr) } else { unicast }
}

/// The Ethernet address of the station that has `addr`, by this module's custom: `02:06`, then the address' last four bytes.
#[must_use]
pub fn station_mac6(addr: Ipv6Addr) -> MacAddr {
    let [.., a, b, c, d] = addr.octets();
    MacAddr([2, 6, a, b, c, d])
}

/// The group in which the hosts that have `addr` are asked for. RFC 4291 2.7.1.
#[must_use]
pub fn solicited_node(addr: Ipv6Addr) -> Ipv6Addr {
    let [.., a, b, c] = addr.octets();
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | u16::from(a), u16::from(b) << 8 | u16::from(c))
}

/// The sum of a pseudo-header, as bytes to be summed. RFC 8200 8.1.
pub(super) fn pseudo_header6(
    source: Ipv6Addr,
    destination: Ipv6Addr,
    len: usize,
    next_header: u8,
) -> Vec<u8> {
    let len = u32::try_from(len).expect("a length that fits its field").to_be_bytes();
    [&source.octets()[..], &destination.octets(), &len, &[0, 0, 0, next_header]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
    const B: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2);

    fn of_every_kind() -> Vec<Extension> {
        vec![
            Extension::HopByHop(vec![HeaderOption::router_alert()]),
            Extension::Destination(vec![HeaderOption::new(0x1e, &[1, 2, 3]), HeaderOption::new(0x3e, &[])]),
            Extension::Routing { kind: 2, segments_left: 0, data: vec![0; 20] },
            Extension::Other { number: 135, bytes: vec![0, 1, 0, 0, 0, 0, 0] },
        ]
    }

    #[test]
    fn ipv6_reads_back_what_it_wrote_and_what_lies_behind() {
        for n in 0..=4 {
            let header = Ipv6 {
                traffic_class: 0xb8,
                flow_label: 0xa_bcde,
                hop_limit: 3,
                ..Ipv6::new(A, B, 17).with(&of_every_kind()[..n])
            };
            let mut packet = header.packet(b"payload");
            let len = packet.len();
            packet.extend(b"behind");
            assert_eq!(Ipv6::read(&packet), Ok((header, &b"payload"[..], &b"behind"[..])));
            for end in 0..len {
                assert!(Ipv6::read(&packet[..end]).is_err(), "{n} headers, {end} bytes");
            }
        }
    }

    // RFC 8200 3: the bytes of a header; RFC 2711 2.1, L01: those of the one that MLD has.
    #[test]
    fn the_bytes_are_those_that_the_rfcs_draw() {
        let header = Ipv6 { traffic_class: 0xc0, flow_label: 0x1_2345, hop_limit: 1, ..Ipv6::new(A, B, 58) };
        let packet = header.with(&of_every_kind()[..1]).packet(&[7; 4]);
        assert_eq!(packet[..8], [0x6c, 0x01, 0x23, 0x45, 0, 12, 0, 1]);
        assert_eq!(packet[8..24], A.octets());
        assert_eq!(packet[24..40], B.octets());
        assert_eq!(packet[40..], [0x3a, 0, 5, 2, 0, 0, 1, 0, 7, 7, 7, 7]);
        let fragment = Extension::Fragment { offset: 185, more: true, id: 0x0102_0304 };
        assert_eq!(fragment.bytes(17), [17, 0, 0x05, 0xc9, 1, 2, 3, 4]);
    }

    #[test]
    fn what_no_host_sends_is_refused() {
        let hop = &of_every_kind()[..1];
        let bad = [
            Ipv6::new(Ipv6Addr::LOCALHOST, B, 17),
            Ipv6::new(V6::ALL_HOSTS, B, 17),
            Ipv6::new("::ffff:192.0.2.1".parse().unwrap(), B, 17),
            Ipv6::new(A, Ipv6Addr::UNSPECIFIED, 17),
            Ipv6::new(A, B, 17).with(&[hop, hop].concat()),
            Ipv6::new(A, B, 17).with(&[Extension::Fragment { offset: 0, more: false, id: 1 }]),
            Ipv6::new(A, B, 17).with(&[Extension::Destination(vec![HeaderOption::new(1, &[0; 6])])]),
            Ipv6::new(A, B, 17).with(&[Extension::Destination(vec![HeaderOption::new(1, &[7])])]),
        ];
        for header in bad {
            assert!(Ipv6::read(&header.packet(&[0; 8])).is_err(), "{header:?}");
        }
        let mut frame = Ipv6::new(A, V6::ALL_HOSTS, 17).frame(&[0; 8]);
        assert!(Ipv6::read_frame(&frame).is_ok());
        frame[0] = 2;
        assert!(Ipv6::read_frame(&frame).is_err());
    }

    #[test]
    fn groups_and_stations_have_their_macs() {
        assert_eq!(solicited_node(A).to_string(), "ff02::1:ff00:1");
        assert_eq!(mac_for6(solicited_node(A), MacAddr([2; 6])).to_string(), "33:33:ff:00:00:01");
        assert_eq!(station_mac6(A).to_string(), "02:06:00:00:00:01");
    }
}
