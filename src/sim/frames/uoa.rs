//! Datagrams as a balancer (DPVS) forwards them: with the client's address in an option, or before UDP in a protocol of its own.

use core::net::{IpAddr, SocketAddr};

use super::ipv6::{ETHERTYPE_IPV6, Ipv6};
use super::{Ethernet, Ipv4, UdpFrame, UdpFrame6, UdpSum, len16};
use crate::addr::MacAddr;

/// The IP protocol of the option protocol.
pub const OPTION_PROTOCOL: u8 = 248;

/// By what a balancer names its client.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Carrier {
    /// Options of the IPv4 header.
    Header,
    /// The option protocol, over either IP version.
    Protocol,
}

/// A forwarded datagram in its frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UoaFrame {
    /// By what the client is named.
    pub carrier: Carrier,
    /// Where the frame goes; `None`: to the station of the destination, or the group's address.
    pub destination_mac: Option<MacAddr>,
    /// The balancer, and where it sends from.
    pub source: SocketAddr,
    /// Where it goes: of the same IP version.
    pub destination: SocketAddr,
    /// The options. Of a header, they are padded to a multiple of four with zeros.
    pub options: Vec<u8>,
    /// The version that the option protocol says.
    pub version: u8,
    /// What it says that follows.
    pub protocol: u8,
    /// The length that it says, if not the right one.
    pub length: Option<u16>,
    /// What UDP's checksum field holds: the sum is UDP's own, with protocol 17 and its length.
    pub sum: UdpSum,
    /// The payload.
    pub payload: Vec<u8>,
}

/// The option that names `client`. DPVS `include/uoa.h`: 31, the length of all, UDP port, address.
///
/// # Panics
/// Never: both lengths fit.
#[must_use]
pub fn uoa_option(client: SocketAddr) -> Vec<u8> {
    let addr = match client.ip() {
        IpAddr::V4(addr) => addr.octets().to_vec(),
        IpAddr::V6(addr) => addr.octets().to_vec(),
    };
    let len = u8::try_from(4 + addr.len()).expect("8 or 20");
    [&[31, len][..], &client.port().to_be_bytes(), &addr].concat()
}

impl UoaFrame {
    /// What `client` sent, forwarded by the balancer at `source` to `destination`.
    ///
    /// # Panics
    /// An address is not one, as in `198.18.0.1:7` or `[2001:db8::1]:7`: these are for tests.
    #[must_use]
    pub fn new(carrier: Carrier, client: &str, source: &str, destination: &str, payload: &[u8]) -> Self {
        let parse = |s: &str| s.parse::<SocketAddr>().expect("an address and a port");
        let client = parse(client);
        Self {
            carrier,
            destination_mac: None,
            source: parse(source),
            destination: parse(destination),
            options: uoa_option(client),
            version: if client.is_ipv6() { 2 } else { 1 },
            protocol: 17,
            length: None,
            sum: UdpSum::Right,
            payload: payload.to_vec(),
        }
    }

    /// With these options instead.
    #[must_use]
    pub fn with_options(self, options: &[u8]) -> Self {
        Self { options: options.to_vec(), ..self }
    }

    /// With another content of the UDP checksum field. DPVS sends 0 in the option protocol over IPv4.
    #[must_use]
    pub fn with_sum(self, sum: UdpSum) -> Self {
        Self { sum, ..self }
    }

    /// The frame.
    ///
    /// # Panics
    /// Source and destination are of two IP versions, or it is to have options in an IPv6 header.
    #[must_use]
    pub fn frame(&self) -> Vec<u8> {
        match (self.source, self.destination) {
            (SocketAddr::V4(source), SocketAddr::V4(destination)) => {
                let udp = UdpFrame::between(source, destination, &self.payload).with_sum(self.sum);
                let udp = UdpFrame { destination_mac: self.mac(udp.destination_mac), ..udp };
                if self.carrier == Carrier::Header {
                    let mut options = self.options.clone();
                    options.resize(options.len().next_multiple_of(4), 0);
                    return UdpFrame { options, ..udp }.frame();
                }
                let ip = Ipv4::new(*source.ip(), *destination.ip(), OPTION_PROTOCOL);
                let ethernet = Ethernet {
                    destination: udp.destination_mac,
                    source: udp.source_mac,
                    tci: None,
                    ethertype: 0x0800,
                };
                ethernet.frame(&ip.packet(&self.behind_header(&udp.datagram())))
            }
            (SocketAddr::V6(source), SocketAddr::V6(destination)) => {
                assert_eq!(self.carrier, Carrier::Protocol, "IPv6 headers have no options");
                let udp = UdpFrame6::between(source, destination, &self.payload).with_sum(self.sum);
                let ip = Ipv6 {
                    source: *source.ip(),
                    destination: *destination.ip(),
                    traffic_class: 0,
                    flow_label: 0,
                    hop_limit: 64,
                    extensions: Vec::new(),
                    next_header: OPTION_PROTOCOL,
                };
                let ethernet = Ethernet {
                    destination: self.mac(udp.destination_mac),
                    source: udp.source_mac,
                    tci: None,
                    ethertype: ETHERTYPE_IPV6,
                };
                ethernet.frame(&ip.packet(&self.behind_header(&udp.datagram())))
            }
            _ => panic!("source and destination are of two IP versions"),
        }
    }

    fn mac(&self, usual: MacAddr) -> MacAddr {
        self.destination_mac.unwrap_or(usual)
    }

    /// The option protocol's header, its options, and `datagram`.
    fn behind_header(&self, datagram: &[u8]) -> Vec<u8> {
        let length = self.length.map_or_else(|| len16(4 + self.options.len()), u16::to_be_bytes);
        [&[self.version << 4, self.protocol][..], &length, &self.options, datagram].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // DPVS include/uoa.h, and what its sender writes: `udp_insert_uoa`.
    #[test]
    fn frames_are_as_the_balancer_writes_them() {
        let frame = |carrier, client| {
            UoaFrame::new(carrier, client, "198.18.0.1:4000", "198.18.0.2:7", b"hello").frame()
        };
        let option = [31, 8, 0x1f, 0x90, 203, 0, 113, 9];
        let header = frame(Carrier::Header, "203.0.113.9:8080");
        assert_eq!((header[14], header[23], &header[34..42]), (0x47, 17, &option[..]));
        let protocol = frame(Carrier::Protocol, "203.0.113.9:8080");
        assert_eq!((protocol[14], protocol[23], &protocol[34..38]), (0x45, 248, &[0x10, 17, 0, 12][..]));
        assert_eq!((&protocol[38..46], &protocol[46..50]), (&option[..], &[15, 160, 0, 7][..]));
        let nat64 = frame(Carrier::Protocol, "[2001:db8::9]:8080");
        assert_eq!((&nat64[34..42], nat64[57]), (&[0x20, 17, 0, 24, 31, 20, 0x1f, 0x90][..], 9));
        let six =
            UoaFrame::new(Carrier::Protocol, "[2001:db8::9]:1", "[2001:db8::1]:4000", "[2001:db8::2]:7", b"");
        assert_eq!((six.frame()[20], &six.frame()[54..58]), (248, &[0x20, 17, 0, 24][..]));
    }
}
