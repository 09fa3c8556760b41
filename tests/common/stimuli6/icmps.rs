//! ICMPv6: echo, errors about what was sent, and what they say of paths.

use super::super::six::{ALL_NODES, GROUP6, HOST6, HOST6_LOCAL, Host6, PEER6};
use super::{
    ICMPV6, Ipv6, Stimulus, UDP, addr, between, coming_from, datagram6, destination, frame6, message6, one,
    ping6, plain6, send6, to,
};

/// A message to this address.
fn said(ip: &Ipv6, kind: u8, code: u8, body: &[u8]) -> Vec<u8> {
    let ip = Ipv6 { next_header: ICMPV6, ..ip.clone() };
    send6(&ip, &message6(&ip, kind, code, body))
}

/// An error from `host` about `packet`.
fn error(host: Host6, kind: u8, code: u8, word: u32, packet: &[u8]) -> Vec<u8> {
    let ip = between(host, HOST6);
    coming_from(host.mac, said(&ip, kind, code, &[&word.to_be_bytes()[..], packet].concat()))
}

/// The echo's answer to `host`, as an error quotes it.
fn our_echo(host: Host6, len: usize) -> Vec<u8> {
    let ip = Ipv6::new(HOST6.ip, host.ip, UDP);
    ip.packet(&datagram6(&ip, 7, 4000, &vec![7; len]))
}

pub(super) fn echo6() -> Vec<Stimulus> {
    let ip = plain6();
    let body = |len: usize| [&[0, 1, 0, 2][..], &vec![0x5a; len]].concat();
    let mut all: Vec<_> = [0, 1, 2, 55, 56, 1000, 1451, 1452]
        .map(|len| one(&format!("K05 ping of {len} bytes"), said(&ip, 128, 0, &body(len))))
        .to_vec();
    for code in [1, 9, 255] {
        all.push(one(&format!("K05 ping with code {code}"), said(&ip, 128, code, &body(4))));
    }
    for (whom, ip) in [
        ("all nodes", to(ALL_NODES)),
        ("a group", to(GROUP6)),
        ("the link-local address", to(HOST6_LOCAL.ip)),
        ("a group that nobody joined", to(addr("ff05::7"))),
        ("our solicited node", to(addr("ff02::1:ff00:2"))),
        ("another's solicited node", to(addr("ff02::1:ff00:77"))),
    ] {
        all.push(one(&format!("K05 ping to {whom}"), said(&ip, 128, 0, &body(8))));
        let local = Ipv6 { source: Host6::local(0x10).ip, ..ip };
        all.push(one(
            &format!("K05 ping to {whom}, from a link-local address"),
            said(&local, 128, 0, &body(8)),
        ));
    }
    let mut damaged = ping6(&ip);
    damaged[60] ^= 1;
    all.push(one("K01 a damaged ping", damaged));
    all.push(one("K01 a ping whose sum leaves out the pseudo-header", {
        let mut message = vec![128, 0, 0, 0, 0, 1, 0, 2];
        let sum = super::super::frames::checksum(&[&message]);
        message[2..4].copy_from_slice(&sum.to_be_bytes());
        send6(&Ipv6 { next_header: ICMPV6, ..plain6() }, &message)
    }));
    for len in 0..8 {
        let ip = Ipv6 { next_header: ICMPV6, ..plain6() };
        let mut message = message6(&ip, 128, 0, &[0; 4]);
        message.truncate(len);
        if len >= 4 {
            message = message6(&ip, 128, 0, &vec![0; len - 4]);
        }
        all.push(one(&format!("K01 a ping of {len} bytes in all"), send6(&ip, &message)));
    }
    all
}

pub(super) fn icmps6() -> Vec<Stimulus> {
    let ip = plain6();
    let mut all = Vec::new();
    for kind in [100, 101, 127, 0, 5, 99] {
        let about = our_echo(PEER6, 20);
        all.push(one(&format!("K06 an error of type {kind}"), error(PEER6, kind, 0, 0, &about)));
        all.push(one(&format!("K06 an error of type {kind} about nothing"), said(&ip, kind, 0, &[0; 4])));
    }
    for kind in [129, 140, 144, 145, 147, 152, 160, 200, 201, 254, 255] {
        all.push(one(&format!("K06 a message of type {kind}"), said(&ip, kind, 0, &[0; 20])));
        let to_group = to(ALL_NODES);
        all.push(one(
            &format!("K06 a message of type {kind} to all nodes"),
            said(&to_group, kind, 0, &[0; 20]),
        ));
    }
    all.push(one(
        "K06 a question about a node",
        said(&ip, 139, 0, &[[0; 12].to_vec(), HOST6.ip.octets().to_vec()].concat()),
    ));
    let unknown = {
        let ip = Ipv6::new(HOST6.ip, PEER6.ip, UDP);
        ip.packet(&datagram6(&ip, 4001, 4000, b"x"))
    };
    let others = {
        let ip = Ipv6::new(PEER6.ip, HOST6.ip, UDP);
        ip.packet(&datagram6(&ip, 7, 4000, b"x"))
    };
    for (kind, code) in
        [(1, 0), (1, 1), (1, 3), (1, 4), (1, 6), (1, 99), (3, 0), (3, 1), (4, 0), (4, 1), (4, 2)]
    {
        for (about, packet) in
            [("our echo", &our_echo(PEER6, 20)), ("no socket", &unknown), ("another's packet", &others)]
        {
            all.push(one(
                &format!("K03 error {kind}/{code} about {about}"),
                error(PEER6, kind, code, 0, packet),
            ));
        }
    }
    for len in [0, 1, 8, 39, 40, 41, 47] {
        let quoted = &our_echo(PEER6, 20)[..len];
        all.push(one(&format!("K03 an error about {len} bytes"), error(PEER6, 1, 4, 0, quoted)));
    }
    let our_error = {
        let ip = Ipv6::new(HOST6.ip, PEER6.ip, ICMPV6);
        ip.packet(&message6(&ip, 1, 4, &[&[0; 4], &others[..]].concat()))
    };
    all.push(one("K03 an error about our error", error(PEER6, 1, 4, 0, &our_error)));
    all.push(one("K03 an error behind an unknown option", {
        let option = destination(&[super::HeaderOption::new(0x9e, &[1, 2])]);
        let ip = plain6().with(&[option]);
        said(&ip, 1, 4, &[&[0; 4], &our_echo(PEER6, 20)[..]].concat())
    }));
    all.push(one("K03 an error to a group", said(&to(GROUP6), 1, 4, &[&[0; 4], &others[..]].concat())));
    all
}

/// Errors that say how long packets may be, and how long the echo is then cut. One host a path.
pub(super) fn paths6() -> Vec<Stimulus> {
    let mut all = Vec::new();
    let mut path = |n: u16, steps: &[u32]| {
        let host = Host6::number(0x100 + n);
        let ask = |len: usize| {
            let ip = between(host, HOST6);
            frame6(host, HOST6, &ip.packet(&datagram6(&ip, 4000, 7, &vec![7; len])))
        };
        let steps_said = steps.iter().map(u32::to_string).collect::<Vec<_>>().join(", then ");
        all.push(one(&format!("K07 before a path of {steps_said}"), ask(1400)));
        for mtu in steps {
            let quoted = our_echo(host, 1400);
            let frame = error(host, 2, 0, *mtu, &quoted[..1232]);
            all.push(one(&format!("K07 a path of {steps_said}: {mtu} is said"), frame));
        }
        for len in [1400, 1232, 1233, 100] {
            all.push(one(&format!("K07 after a path of {steps_said}: {len} bytes"), ask(len)));
        }
        let ip = Ipv6 { next_header: ICMPV6, ..between(host, HOST6) };
        let ping = message6(&ip, 128, 0, &[7; 1404]);
        all.push(one(
            &format!("K07 after a path of {steps_said}: a long ping"),
            frame6(host, HOST6, &ip.packet(&ping)),
        ));
    };
    for (n, steps) in (0..).zip([
        &[1400][..],
        &[1300],
        &[1280],
        &[1279],
        &[600],
        &[68],
        &[0],
        &[1499],
        &[1500],
        &[9000],
        &[u32::MAX],
        &[1400, 1300],
        &[1300, 1400],
        &[1300, 600],
    ]) {
        path(n, steps);
    }
    all
}
