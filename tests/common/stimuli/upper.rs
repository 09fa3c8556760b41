//! UDP, the echo behind it, and what closed ports say.

use std::net::Ipv4Addr;

use super::super::frames::{Host, Ipv4, UDP, Udp, checksum, frame, udp_checksum, udp_frame};
use super::super::lab::{HOST, HOST_SECOND, PEER};
use super::{CLOSED, GROUP, SUBNET_BROADCAST, Stimulus, closed, one, plain, send, with_udp};

pub(super) fn echo() -> Vec<Stimulus> {
    let from = |sport: u16| one(&format!("X02 from port {sport}"), udp_frame(PEER, sport, HOST, 7, b"again"));
    let mut all: Vec<_> = [0, 7, 19].map(from).to_vec();
    all.extend(
        [1, 2, 17, 18, 19, 512, 1471, 1472]
            .map(|len| one(&format!("X01 {len} bytes"), udp_frame(PEER, 4000, HOST, 7, &vec![0x77; len]))),
    );
    all
}

pub(super) fn errors() -> Vec<Stimulus> {
    let mut all = vec![
        one("C01 closed port, wrong checksum", with_udp(Udp { checksum: Some(1), ..Udp::new(4000, CLOSED) })),
        one("C01 closed port, no checksum", {
            let from = Host::number(91);
            let udp = Udp { checksum: Some(0), ..Udp::new(4000, CLOSED) };
            frame(from, HOST, &Ipv4::new(from.ip, HOST.ip, UDP).packet(&udp.datagram(from.ip, HOST.ip, b"x")))
        }),
        one("C03 closed port of a group", closed(92, HOST.with_ip(GROUP), 4)),
        one("C03 closed port of the subnet's broadcast", closed(93, HOST.with_ip(SUBNET_BROADCAST), 4)),
        one("C03 closed port of everyone", closed(93, HOST.with_ip(Ipv4Addr::BROADCAST), 4)),
        one("C03 closed port, from a group", {
            let header = Ipv4 { src: GROUP, ..plain() };
            send(&header, &Udp::new(4000, CLOSED), b"x")
        }),
        one("C03 closed port, from loopback", {
            let header = Ipv4 { src: Ipv4Addr::LOCALHOST, ..plain() };
            send(&header, &Udp::new(4000, CLOSED), b"x")
        }),
        one("C04 closed port of the second address", closed(94, HOST_SECOND, 4)),
        one("U10 port 0", udp_frame(Host::number(95), 4000, HOST, 0, b"x")),
        one("U09 closed port, from port 0", udp_frame(Host::number(96), 0, HOST, CLOSED, b"x")),
    ];
    for (n, len) in [(97, 0), (98, 1), (99, 519), (100, 520), (101, 521), (102, 1400), (103, 1472)] {
        all.push(one(&format!("C02 closed port: how much of {len} bytes is quoted"), closed(n, HOST, len)));
    }
    for (n, tos) in [(104, 0x28), (105, 0xb8), (106, 0x04), (107, 0xe0), (108, 0x03)] {
        let host = Host::number(n);
        let datagram = Udp::new(4000, CLOSED).datagram(host.ip, HOST.ip, b"x");
        let packet = Ipv4 { tos, src: host.ip, ..plain() }.packet(&datagram);
        all.push(one(&format!("I23 type of service {tos:#04x} of an error"), frame(host, HOST, &packet)));
    }
    all
}

pub(super) fn udp() -> Vec<Stimulus> {
    let zero = {
        let udp = Udp { checksum: Some(0), ..Udp::new(4000, 7) }.datagram(PEER.ip, HOST.ip, &[0, 0]);
        let parts: [&[u8]; 4] = [&PEER.ip.octets(), &HOST.ip.octets(), &[0, UDP, 0, 10], &udp];
        checksum(&parts).to_be_bytes()
    };
    let mut all: Vec<_> = [0, 1, 7, 8, 9, 12, 13, 14, 65_535]
        .map(|length| {
            one(
                &format!("U01 length {length} of 13"),
                with_udp(Udp { length: Some(length), ..Udp::new(4000, 7) }),
            )
        })
        .to_vec();
    all.extend([0, 7, 9].map(|length| {
        let udp = Udp { length: Some(length), checksum: Some(0), ..Udp::new(4000, 7) };
        one(&format!("U02 length {length} of 13, no checksum"), with_udp(udp))
    }));
    all.extend([
        one("U01 length 7 to a closed port", with_udp(Udp { length: Some(7), ..Udp::new(4000, CLOSED) })),
        one("U03 length 8 of 13, sum of 13", {
            let whole = Udp::new(4000, 7).datagram(PEER.ip, HOST.ip, b"hello");
            let sum = u16::from_be_bytes([whole[6], whole[7]]);
            with_udp(Udp { length: Some(8), checksum: Some(sum), ..Udp::new(4000, 7) })
        }),
        one("U03 length 8 of 13, sum by the length of IP", {
            let mut datagram = Udp::new(4000, 7).datagram(PEER.ip, HOST.ip, b"hello");
            datagram[4..8].copy_from_slice(&[0, 8, 0, 0]);
            let sum = udp_checksum(PEER.ip, HOST.ip, &datagram);
            datagram[6..8].copy_from_slice(&sum.to_be_bytes());
            frame(PEER, HOST, &plain().packet(&datagram))
        }),
        one("U04 no checksum", with_udp(Udp { checksum: Some(0), ..Udp::new(4000, 7) })),
        one("U04 wrong checksum", with_udp(Udp { checksum: Some(1), ..Udp::new(4000, 7) })),
        one("U04 checksum 0xffff for none", with_udp(Udp { checksum: Some(0xffff), ..Udp::new(4000, 7) })),
        one("U05 a sum of 0", send(&plain(), &Udp::new(4000, 7), &zero)),
        one("U11 no payload", udp_frame(PEER, 4000, HOST, 7, b"")),
        one("U11 no payload to the group", udp_frame(PEER, 4000, HOST.with_ip(GROUP), 7, b"")),
        one("U19 no header", frame(PEER, HOST, &plain().packet(&[]))),
        one("U19 half a header", frame(PEER, HOST, &plain().packet(&[0x0f, 0xa0, 0, 7]))),
    ]);
    all
}
