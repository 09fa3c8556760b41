//! What balancers forward.

use super::super::frames::{Host, Ipv4, UDP, Udp, frame};
use super::{HOST, Named, PEER};

/// What a balancer (DPVS) makes of a client's datagram, and what it would not: from the peer, and from a stranger.
pub(super) fn kinds() -> Vec<Named> {
    let client = [31, 8, 0x1f, 0x90, 203, 0, 113, 9];
    let client6 = [&[31, 20, 0x1f, 0x90, 0x20, 0x01, 0x0d, 0xb8][..], &[0; 11], &[9]].concat();
    let impossible = [31, 8, 0x1f, 0x90, 239, 1, 2, 3];
    let in_header = |options: &[u8]| {
        let mut options = options.to_vec();
        options.resize(options.len().next_multiple_of(4), 0);
        let header = |from: Host| Ipv4 { options: options.clone(), ..Ipv4::new(from.ip, HOST.ip, UDP) };
        let of = |from: Host| header(from).packet(&Udp::new(4000, 7).datagram(from.ip, HOST.ip, b"hello"));
        [PEER, Host::number(99)].map(|from| frame(from, HOST, &of(from))).to_vec()
    };
    let in_protocol = |version: u8, protocol: u8, length: usize, options: &[u8]| {
        let [l0, l1] = u16::try_from(length).unwrap().to_be_bytes();
        let of = |from: Host| {
            let datagram = Udp::new(4000, 7).datagram(from.ip, HOST.ip, b"hello");
            let carried = [&[version << 4, protocol, l0, l1][..], options, &datagram].concat();
            Ipv4::new(from.ip, HOST.ip, 248).packet(&carried)
        };
        [PEER, Host::number(98)].map(|from| frame(from, HOST, &of(from))).to_vec()
    };
    vec![
        ("real client in an option", in_header(&client)),
        ("real client of IPv6 in an option", in_header(&client6)),
        ("real client that cannot be", in_header(&impossible)),
        ("real client in an option too short", in_header(&[31, 4, 1, 1])),
        ("real client in an option too long", in_header(&[&[31, 40][..], &[1; 38]].concat())),
        ("option protocol", in_protocol(1, UDP, 12, &client)),
        ("option protocol of NAT64", in_protocol(2, UDP, 24, &client6)),
        ("option protocol without options", in_protocol(1, UDP, 4, &[])),
        ("option protocol, broken options", in_protocol(1, UDP, 8, &[31, 0, 31, 1])),
        ("option protocol of another version", in_protocol(3, UDP, 12, &client)),
        ("option protocol, length too small", in_protocol(1, UDP, 3, &client)),
        ("option protocol, length too large", in_protocol(1, UDP, 99, &client)),
        ("option protocol before TCP", in_protocol(1, 6, 12, &client)),
        ("option protocol in itself", in_protocol(1, 248, 12, &client)),
    ]
}
