//! The hosts and groups of IPv6 that the tests speak of, and their neighbour discovery.

use std::net::Ipv6Addr;

use super::frames::{ETHERTYPE_IPV6, Mac, checksum, ethernet};
use super::read::Frame;

/// One end of a conversation: a real host or a pretended one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Host6 {
    pub mac: Mac,
    pub ip: Ipv6Addr,
}

impl Host6 {
    /// 2001:db8::`n`, with an Ethernet address that ends in `n`.
    pub const fn number(n: u16) -> Self {
        let [high, low] = n.to_be_bytes();
        Self { mac: [2, 0, 0, 0, high, low], ip: Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, n) }
    }

    /// The same host by a link-local address, fe80::`n`.
    pub const fn local(n: u16) -> Self {
        Self::number(n).with_ip(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, n))
    }

    /// The same host with another address.
    pub const fn with_ip(self, ip: Ipv6Addr) -> Self {
        Self { ip, ..self }
    }
}

/// The host under test.
pub const HOST6: Host6 = Host6::number(2);
/// Its second address.
pub const HOST6_SECOND: Host6 = HOST6.with_ip(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 3));
/// Its link-local address: RFC 4291, appendix A.
pub const HOST6_LOCAL: Host6 = HOST6.with_ip(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0xff, 0xfe00, 2));
/// The kernel at the other end, which [`SOURCE_GROUP6`] is joined for.
pub const SOURCE6: Host6 = Host6::number(1);
/// A pretended host, that lives in frames only.
pub const PEER6: Host6 = Host6::number(0x10);

/// A group that the host has joined.
pub const GROUP6: Ipv6Addr = Ipv6Addr::new(0xff0e, 0, 0, 0, 0, 1, 2, 3);
/// It shares the Ethernet address of the group, and nobody joined it.
pub const ALIAS6: Ipv6Addr = Ipv6Addr::new(0xff0e, 0, 0, 0, 0, 9, 2, 3);
/// A group that it has joined for [`SOURCE6`] alone.
pub const SOURCE_GROUP6: Ipv6Addr = Ipv6Addr::new(0xff3e, 0, 0, 0, 0, 1, 2, 4);
/// All nodes on the link.
pub const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// [`ECHO`](super::ECHO), and the same for IPv6.
pub const ECHO6: &str = r#"
[[service]]
name = "echo"
kind = "echo"
listen = ["[::]:7"]
groups = [
    { group = "239.1.2.3" },
    { group = "232.1.2.3", sources = ["198.18.0.1"] },
    { group = "ff0e::1:2:3" },
    { group = "ff3e::1:2:4", sources = ["2001:db8::1"] },
]
answer_broadcast = true
"#;

/// Whether a host sends such a frame of itself and in its own time: it reports groups, or asks for routers.
pub fn is_unasked6(frame: &Frame) -> bool {
    let bytes = &frame.bytes;
    if bytes.len() < 63 || frame.ethertype() != ETHERTYPE_IPV6 {
        return false;
    }
    match bytes[20] {
        58 => bytes[54] == 133,
        // Behind a router alert.
        0 => bytes[54] == 58 && matches!(bytes[62], 131 | 132 | 143),
        _ => false,
    }
}

/// The frame that tells a host where a pretended one is, if `frame` asks for one: 2001:db8::1, and from
/// 2001:db8::4 and fe80::4 up to those of :fff.
pub fn pretended_neighbor(frame: &Frame) -> Option<Vec<u8>> {
    let bytes = &frame.bytes;
    let asks =
        bytes.len() >= 78 && frame.ethertype() == ETHERTYPE_IPV6 && (bytes[20], bytes[54]) == (58, 135);
    let target = asks.then(|| ipv6_at(bytes, 62))?;
    let n = target.segments()[7];
    let host = [Host6::number(n), Host6::local(n)]
        .into_iter()
        .find(|host| host.ip == target && (n == 1 || (4..0x1000).contains(&n)))?;
    let asker = Host6 { mac: frame.src(), ip: ipv6_at(bytes, 22) };
    // Duplicate address detection would have it.
    (!asker.ip.is_unspecified()).then(|| advertisement(host, asker))
}

fn ipv6_at(bytes: &[u8], at: usize) -> Ipv6Addr {
    Ipv6Addr::from(<[u8; 16]>::try_from(&bytes[at..at + 16]).unwrap())
}

/// `host` tells `asker`, who asked, where it is (RFC 4861 4.4).
fn advertisement(host: Host6, asker: Host6) -> Vec<u8> {
    let mut message = vec![136, 0, 0, 0, 0x60, 0, 0, 0];
    message.extend(host.ip.octets());
    message.extend([2, 1]);
    message.extend(host.mac);
    let sum = checksum(&[&host.ip.octets(), &asker.ip.octets(), &[0, 0, 0, 32], &[0, 0, 0, 58], &message]);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    let mut packet = vec![0x60, 0, 0, 0, 0, 32, 58, 255];
    packet.extend(host.ip.octets());
    packet.extend(asker.ip.octets());
    packet.extend(message);
    ethernet(asker.mac, host.mac, ETHERTYPE_IPV6, &packet)
}
