//! The addresses of IPv6: whom a host listens to, and whom it answers.

use std::net::Ipv6Addr;

use super::super::frames::ethernet;
use super::super::six::{
    ALL_NODES, GROUP6, HOST6, HOST6_LOCAL, HOST6_SECOND, Host6, PEER6, SOURCE_GROUP6, SOURCE6,
};
use super::{
    ETHERTYPE_IPV6, Ipv6, Stimulus, UDP, addr, addressed_to, datagram6, frame6, from, hello, knock, one,
    ping6, plain6, to, unknown,
};

/// Sources that nobody has, and the row that says so.
const SOURCES: &[(&str, &str, &str)] = &[
    ("V03", "a group", "ff0e::1:2:3"),
    ("V03", "all nodes", "ff02::1"),
    ("V03", "loopback", "::1"),
    ("V04", "unspecified", "::"),
    ("V05", "an IPv4 address, mapped", "::ffff:198.18.0.10"),
    ("V06", "our own", "2001:db8::2"),
    ("V06", "our second address", "2001:db8::3"),
    ("V06", "our link-local address", "fe80::ff:fe00:2"),
];

/// Destinations that are not ours, and the row that says so.
const DESTINATIONS: &[(&str, &str, &str)] = &[
    ("V03", "loopback", "::1"),
    ("V03", "unspecified", "::"),
    ("V03", "a reserved scope", "ff00::1:2:3"),
    ("V03", "a group that stays in its host", "ff01::1"),
    ("V05", "an IPv4 address, mapped", "::ffff:198.18.0.2"),
    ("V03", "another on the link", "2001:db8::77"),
    ("V03", "another far away", "2001:db8:77::1"),
    ("V03", "another link-local", "fe80::77"),
    ("V03", "the prefix itself", "2001:db8::"),
    ("V03", "all routers", "ff02::2"),
    ("V03", "a group that nobody joined", "ff05::7"),
    ("V03", "another's solicited node", "ff02::1:ff00:77"),
];

pub(super) fn addresses6() -> Vec<Stimulus> {
    let mut all = Vec::new();
    for (row, what, source) in SOURCES {
        let ip = from(addr(source));
        all.push(one(&format!("{row} source {what}"), hello(&ip)));
        all.push(one(&format!("{row} source {what}, of a ping"), ping6(&ip)));
        all.push(one(&format!("{row} source {what}, to a closed port"), knock(&ip)));
        all.push(one(
            &format!("{row} source {what}, to a group"),
            hello(&Ipv6 { destination: GROUP6, ..ip }),
        ));
        all.push(one(&format!("{row} source {what}, of an unknown header"), unknown(&from(addr(source)))));
    }
    for (row, what, destination) in DESTINATIONS {
        let ip = to(addr(destination));
        all.push(one(&format!("{row} destination {what}"), addressed_to(HOST6.mac, hello(&ip))));
        all.push(one(&format!("{row} destination {what}, of a ping"), addressed_to(HOST6.mac, ping6(&ip))));
        if ip.destination.is_multicast() {
            all.push(one(&format!("{row} destination {what}, in its own frame"), hello(&ip)));
        }
    }
    all.extend(ours());
    all
}

/// What is for us.
fn ours() -> Vec<Stimulus> {
    let local = Host6::local(0x10);
    let said = |host: Host6, to: Ipv6Addr, text: &[u8]| {
        let ip = Ipv6::new(host.ip, to, UDP);
        frame6(host, HOST6.with_ip(to), &ip.packet(&datagram6(&ip, 4000, 7, text)))
    };
    let pinged = |host: Host6, to: Ipv6Addr| {
        let ip = Ipv6::new(host.ip, to, UDP);
        let frame = ping6(&ip);
        ethernet(frame[..6].try_into().unwrap(), host.mac, ETHERTYPE_IPV6, &frame[14..])
    };
    vec![
        one("U21 the second address", said(PEER6, HOST6_SECOND.ip, b"second")),
        one("U21 the link-local address", said(local, HOST6_LOCAL.ip, b"local")),
        one("U21 a global address, from a link-local one", said(local, HOST6.ip, b"mixed")),
        one("U21 the link-local address, from a global one", said(PEER6, HOST6_LOCAL.ip, b"mixed")),
        one("U21 a group of IPv6", said(PEER6, GROUP6, b"to all")),
        one("U21 a group of IPv6, from a link-local address", said(local, GROUP6, b"to all")),
        one("U21 all nodes", said(PEER6, ALL_NODES, b"to all")),
        one("U21 all nodes, from a link-local address", said(local, ALL_NODES, b"to all")),
        one("U21 our solicited node", said(PEER6, addr("ff02::1:ff00:2"), b"to all")),
        one("RFC 4607 an IPv6 group for another source", said(PEER6, SOURCE_GROUP6, b"not you")),
        one("RFC 4607 an IPv6 group for this source", said(SOURCE6, SOURCE_GROUP6, b"you")),
        one("K05 ping of the second address", pinged(PEER6, HOST6_SECOND.ip)),
        one("K05 ping of the link-local address", pinged(local, HOST6_LOCAL.ip)),
        one("K05 ping of the link-local address, from a global one", pinged(PEER6, HOST6_LOCAL.ip)),
        one("K05 ping of a global address, from a link-local one", pinged(local, HOST6.ip)),
        one("V02 nothing at all", frame6(PEER6, HOST6, &plain6().packet(&[]))),
    ]
}
