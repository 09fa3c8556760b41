//! ICMP, and what it says of paths.

use std::net::Ipv4Addr;

use super::super::frames::{Host, ICMP, Ipv4, UDP, Udp, frame, icmp, ping_frame, udp_frame};
use super::super::kinds::{cut, icmp_error};
use super::super::lab::{HOST, HOST_SECOND, PEER};
use super::{GROUP, SUBNET_BROADCAST, Stimulus, one, plain, some, to_port};

/// A packet that the host has sent, as an error quotes it.
fn ours(protocol: u8, payload: &[u8]) -> Vec<u8> {
    Ipv4::new(HOST.ip, PEER.ip, protocol).packet(payload)
}

pub(super) fn icmps() -> Vec<Stimulus> {
    let message = |name: &str, bytes: &[u8]| {
        one(name, frame(PEER, HOST, &Ipv4::new(PEER.ip, HOST.ip, ICMP).packet(bytes)))
    };
    let ping = |name: &str, to: Host, data: &[u8]| one(name, ping_frame(PEER, to, 1, 2, data));
    let mut damaged = ping_frame(PEER, HOST, 1, 1, b"hello");
    damaged[44] ^= 1;
    let quoted = ours(UDP, &Udp::new(7, 4000).datagram(HOST.ip, PEER.ip, b"hello, hello"));
    let mut all = vec![
        ping("C06 ping", HOST, b"hello"),
        ping("C06 ping without data", HOST, b""),
        one("C06 long odd ping", ping_frame(PEER, HOST, 0xffff, 0xffff, &[0xff; 1471])),
        ping("C06 ping to the second address", HOST_SECOND, b"hello"),
        message("C06 ping with a sum of 0xffff", &icmp(8, 0, [0, 0, 0, 0], &[0xf7, 0xff])),
        one("C07 damaged ping", damaged),
        ping("C08 ping to broadcast", HOST.with_ip(SUBNET_BROADCAST), b"hello"),
        ping("C08 ping to everyone", HOST.with_ip(Ipv4Addr::BROADCAST), b"hello"),
        ping("C08 ping to a group", HOST.with_ip(GROUP), b"hello"),
        ping("C08 ping to all hosts", HOST.with_ip(Ipv4Addr::new(224, 0, 0, 1)), b"hello"),
        message("C10 timestamp request", &icmp(13, 0, [0, 1, 0, 2], &[0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0])),
        message("C10 timestamp request, longer", &icmp(13, 0, [0, 1, 0, 2], &[9; 40])),
        message("C10 timestamp request, short", &icmp(13, 0, [0, 1, 0, 2], &[9; 8])),
        message("C10 timestamp request of code 1", &icmp(13, 1, [0, 1, 0, 2], &[9; 12])),
        one("C10 timestamp request to a group", {
            let header = Ipv4 { dst: GROUP, protocol: ICMP, ..plain() };
            frame(PEER, HOST.with_ip(GROUP), &header.packet(&icmp(13, 0, [0, 1, 0, 2], &[9; 12])))
        }),
        message("C10 information request", &icmp(15, 0, [0, 1, 0, 2], b"")),
        message("C10 mask request", &icmp(17, 0, [0, 1, 0, 2], &[0; 4])),
        message("C11 source quench", &icmp(4, 0, [0; 4], &quoted)),
        message("C12 an unknown type", &icmp(99, 0, [0; 4], b"hello")),
        message("C12 type 255", &icmp(255, 255, [0; 4], b"hello")),
        message("C12 type 1", &icmp(1, 0, [0; 4], b"hello")),
        message("C12 router advertisement", &icmp(9, 0, [1, 2, 0, 60], &[198, 18, 0, 99, 0, 0, 0, 0])),
        message("C12 extended echo request", &icmp(42, 0, [0, 1, 1, 1], &[0, 3, 0, 8])),
        message("C13 redirect", &icmp(5, 1, [198, 18, 0, 99], &quoted)),
        message("C14 an echo reply", &icmp(0, 0, [0, 1, 0, 2], b"hello")),
        message("C14 a timestamp reply", &icmp(14, 0, [0, 1, 0, 2], &[0; 12])),
    ];
    for code in [1, 9, 255] {
        all.push(message(&format!("C09 ping with code {code}"), &icmp(8, code, [0, 1, 0, 2], b"code")));
    }
    for len in 0..8 {
        let short = [8, 0, 0xf7, 0xff, 0, 0, 0, 0][..len].to_vec();
        all.push(message(&format!("C07 a ping of {len} bytes"), &short));
    }
    let unknown = ours(UDP, &Udp::new(4001, 4000).datagram(HOST.ip, PEER.ip, b"x"));
    let others = Ipv4::new(PEER.ip, HOST.ip, UDP).packet(&Udp::new(7, 4000).datagram(PEER.ip, HOST.ip, b"x"));
    for (kind, code) in [
        (3, 0),
        (3, 1),
        (3, 2),
        (3, 3),
        (3, 4),
        (3, 13),
        (3, 15),
        (3, 16),
        (11, 0),
        (11, 1),
        (12, 0),
        (12, 1),
    ] {
        for (about, packet) in [("our echo", &quoted), ("no socket", &unknown), ("another's packet", &others)]
        {
            let rest = if (kind, code) == (3, 4) { [0, 0, 0x23, 0x28] } else { [0; 4] };
            all.push(one(
                &format!("C17 error {kind}/{code} about {about}"),
                icmp_error(PEER, kind, code, rest, packet),
            ));
        }
    }
    for len in [0, 1, 8, 19, 20, 24, 27] {
        all.push(one(
            &format!("C14 an error about {len} bytes"),
            icmp_error(PEER, 3, 3, [0; 4], &quoted[..len]),
        ));
    }
    let error = icmp(3, 3, [0; 4], &quoted);
    // A path that is said to be too narrow for a packet that was shorter than that.
    let host = Host::number(125);
    let short = Udp::new(7, 4000).datagram(HOST.ip, host.ip, b"hello, hello");
    let short = Ipv4::new(HOST.ip, host.ip, UDP).packet(&short);
    all.push(one(
        "C16 a short packet was too long for 1300",
        icmp_error(host, 3, 4, [0, 0, 5, 0x14], &short),
    ));
    all.push(one(
        "C16 a long one, after a short one was too long",
        udp_frame(host, 4000, HOST, 7, &[7; 1400]),
    ));
    all.push(one("C17 an error about our error", icmp_error(PEER, 3, 3, [0; 4], &ours(ICMP, &error))));
    all
}

/// Errors that say how long packets may be, and how long the echo is then cut. One host a path.
pub(super) fn paths() -> Vec<Stimulus> {
    let mut all = Vec::new();
    let mut path = |n: u8, steps: &[u16]| {
        let host = Host::number(n);
        let ask = |len: usize| udp_frame(host, 4000, HOST, 7, &vec![n; len]);
        let said = steps.iter().map(u16::to_string).collect::<Vec<_>>().join(", then ");
        all.push(one(&format!("C16 before a path of {said}"), ask(1400)));
        for mtu in steps {
            let quoted = Ipv4 { fragment: 0x4000, ..Ipv4::new(HOST.ip, host.ip, UDP) };
            let quoted = quoted.packet(&Udp::new(7, 4000).datagram(HOST.ip, host.ip, &vec![n; 1400]));
            let [high, low] = mtu.to_be_bytes();
            all.push(one(
                &format!("C16 a path of {said}: {mtu} is said"),
                icmp_error(host, 3, 4, [0, 0, high, low], &quoted[..548]),
            ));
        }
        all.push(one(&format!("C16 after a path of {said}: a long one"), ask(1400)));
        all.push(one(&format!("C16 after a path of {said}: a short one"), ask(100)));
        all.push(one(
            &format!("C16 after a path of {said}: a long ping"),
            ping_frame(host, HOST, 1, 2, &[7; 1400]),
        ));
    };
    path(115, &[1300]);
    path(116, &[1300, 1000]);
    path(117, &[1000, 1300]);
    path(118, &[552]);
    path(119, &[400]);
    path(120, &[68]);
    path(121, &[20]);
    path(122, &[0]);
    path(123, &[9000]);
    path(124, &[1500]);
    all
}

/// For each service that listens on one of `ports`: what it sends before and after it was told of a path.
pub fn path_mtu_modes(ports: std::ops::RangeInclusive<u16>) -> Vec<Stimulus> {
    let mut all = Vec::new();
    for (n, port) in (140..).step_by(2).zip(ports) {
        let (host, other) = (Host::number(n), Host::number(n + 1));
        let ask = |host: Host, len: usize| udp_frame(host, 4000, HOST, port, &vec![n; len]);
        let quoted = Ipv4 { fragment: 0x4000, ..Ipv4::new(HOST.ip, host.ip, UDP) };
        let quoted = quoted.packet(&Udp::new(port, 4000).datagram(HOST.ip, host.ip, &[n; 1400]));
        let step = |what: &str, frames: Vec<Vec<u8>>| some(&format!("T01 port {port}: {what}"), frames);
        let large = to_port(host, u16::from(n), port, 3000);
        all.extend([
            step("a short one", vec![ask(host, 100)]),
            step("a long one", vec![ask(host, 1472)]),
            step("longer than the link", cut(&large, 1480).iter().map(|p| frame(host, HOST, p)).collect()),
            step("the path is 1300", vec![icmp_error(host, 3, 4, [0, 0, 5, 0x14], &quoted[..548])]),
            step("a short one, afterwards", vec![ask(host, 100)]),
            step("one that just fits, afterwards", vec![ask(host, 1272)]),
            step("one that just does not, afterwards", vec![ask(host, 1273)]),
            step("a long one, afterwards", vec![ask(host, 1472)]),
            step("a long one by another path", vec![ask(other, 1472)]),
        ]);
    }
    all
}
