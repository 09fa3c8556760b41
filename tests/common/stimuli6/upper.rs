//! UDP over IPv6, the echo behind it, and what closed ports say.

use super::super::frames::checksum;
use super::super::six::{ALL_NODES, GROUP6, HOST6_LOCAL, HOST6_SECOND, SOURCE_GROUP6};
use super::{CLOSED, Ipv6, Stimulus, UDP, datagram6, hello, knock, one, plain6, send6, to};

/// A datagram with these fields, where they are not what they should be.
fn with(ip: &Ipv6, dport: u16, length: Option<u16>, sum: Option<u16>) -> Vec<u8> {
    let mut datagram = datagram6(ip, 4000, dport, b"hello");
    if let Some(length) = length {
        datagram[4..6].copy_from_slice(&length.to_be_bytes());
        datagram[6..8].fill(0);
        let covered = datagram[..usize::from(length).clamp(8, datagram.len())].to_vec();
        let sum = sum_of(ip, &covered);
        datagram[6..8].copy_from_slice(&sum.to_be_bytes());
    }
    if let Some(sum) = sum {
        datagram[6..8].copy_from_slice(&sum.to_be_bytes());
    }
    send6(ip, &datagram)
}

/// RFC 8200 8.1.
fn sum_of(ip: &Ipv6, datagram: &[u8]) -> u16 {
    let length = u32::try_from(datagram.len()).unwrap().to_be_bytes();
    match checksum(&[&ip.source.octets(), &ip.destination.octets(), &length, &[0, 0, 0, UDP], datagram]) {
        0 => 0xffff,
        sum => sum,
    }
}

pub(super) fn udp6() -> Vec<Stimulus> {
    let ip = plain6();
    let of_len = |len: usize| {
        one(&format!("X01 {len} bytes over IPv6"), send6(&ip, &datagram6(&ip, 4000, 7, &vec![0x77; len])))
    };
    let mut all: Vec<_> = [0, 1, 2, 3, 17, 18, 19, 512, 1232, 1451, 1452].map(of_len).to_vec();
    all.extend([0, 7, 19].map(|sport| {
        one(&format!("X02 from port {sport} over IPv6"), send6(&ip, &datagram6(&ip, sport, 7, b"again")))
    }));
    all.extend([1, 7, 8, 9, 12, 13, 14, 65_535].map(|length| {
        one(&format!("U01 length {length} of 13 over IPv6"), with(&ip, 7, Some(length), None))
    }));
    all.extend([
        one("U07 length 0", {
            let mut datagram = datagram6(&ip, 4000, 7, b"hello");
            datagram[4..8].fill(0);
            let sum = sum_of(&ip, &datagram);
            datagram[6..8].copy_from_slice(&sum.to_be_bytes());
            send6(&ip, &datagram)
        }),
        one("U01 length 7 to a closed port over IPv6", with(&ip, CLOSED, Some(7), None)),
        one("U08 length 8 of 13, sum of 13", {
            let whole = datagram6(&ip, 4000, 7, b"hello");
            with(&ip, 7, Some(8), Some(u16::from_be_bytes([whole[6], whole[7]])))
        }),
        one("U08 length 8 of 13, sum by the payload length", {
            let mut datagram = datagram6(&ip, 4000, 7, b"hello");
            datagram[4..8].copy_from_slice(&[0, 8, 0, 0]);
            let sum = sum_of(&ip, &datagram);
            datagram[6..8].copy_from_slice(&sum.to_be_bytes());
            send6(&ip, &datagram)
        }),
        one("U06 no checksum", with(&ip, 7, None, Some(0))),
        one("U06 no checksum to a group", with(&to(GROUP6), 7, None, Some(0))),
        one("U06 no checksum to a closed port", with(&ip, CLOSED, None, Some(0))),
        one("U06 wrong checksum", with(&ip, 7, None, Some(1))),
        one("U06 wrong checksum to a closed port", with(&ip, CLOSED, None, Some(1))),
        one("U06 wrong checksum to a group", with(&to(GROUP6), 7, None, Some(1))),
        one("U05 a sum of 0 over IPv6", {
            let mut datagram = datagram6(&ip, 4000, 7, &[0, 0]);
            datagram[6..8].fill(0);
            let payload = match sum_of(&ip, &datagram) {
                0xffff => [0, 0],
                sum => sum.to_be_bytes(),
            };
            send6(&ip, &datagram6(&ip, 4000, 7, &payload))
        }),
        one("U11 no payload to an IPv6 group", send6(&to(GROUP6), &datagram6(&to(GROUP6), 4000, 7, b""))),
        one("U19 no header over IPv6", send6(&ip, &[])),
        one("U19 half a header over IPv6", send6(&ip, &[0x0f, 0xa0, 0, 7])),
        one("U19 seven bytes over IPv6", send6(&ip, &[0x0f, 0xa0, 0, 7, 0, 7, 0])),
    ]);
    all
}

pub(super) fn errors6() -> Vec<Stimulus> {
    let ip = plain6();
    let mut all = vec![
        one("U09 closed port over IPv6", knock(&ip)),
        one("K08 closed port of the second address", knock(&to(HOST6_SECOND.ip))),
        one("K08 closed port of the link-local address", knock(&to(HOST6_LOCAL.ip))),
        one("U09 closed port of an IPv6 group", knock(&to(GROUP6))),
        one("U09 closed port of all nodes", knock(&to(ALL_NODES))),
        one("U09 closed port of a group for another source", knock(&to(SOURCE_GROUP6))),
        one("U10 port 0 over IPv6", send6(&ip, &datagram6(&ip, 4000, 0, b"x"))),
        one("U10 port 0 of an IPv6 group", send6(&to(GROUP6), &datagram6(&to(GROUP6), 4000, 0, b"x"))),
        one("U09 closed port, from port 0 over IPv6", send6(&ip, &datagram6(&ip, 0, CLOSED, b"x"))),
        one("U09 open port, once more", hello(&ip)),
    ];
    for len in [0, 1, 1183, 1184, 1185, 1231, 1232, 1233, 1400, 1452] {
        let frame = send6(&ip, &datagram6(&ip, 4000, CLOSED, &vec![9; len]));
        all.push(one(&format!("K02 closed port: how much of {len} bytes is quoted over IPv6"), frame));
    }
    all
}
