//! The IPv6 header.

use super::super::six::{GROUP6, HOST6_LOCAL, HOST6_SECOND};
use super::{Ipv6, Stimulus, hello, knock, one, ping6, plain6, to, unknown};

pub(super) fn header6() -> Vec<Stimulus> {
    let version = |n: u8| {
        let mut frame = hello(&plain6());
        frame[14] = n << 4 | frame[14] & 0xf;
        one(&format!("V01 version {n}"), frame)
    };
    let length = |n: u16| {
        let mut frame = hello(&plain6());
        frame[18..20].copy_from_slice(&n.to_be_bytes());
        one(&format!("V01 payload length {n} of 13"), frame)
    };
    let mut all: Vec<_> = [0, 4, 5, 7, 15].map(version).to_vec();
    all.extend([0, 1, 4, 7, 8, 12, 14, 21, 200, 1500, 65_535].map(length));
    for hop_limit in [0, 1, 2, 255] {
        let ip = Ipv6 { hop_limit, ..plain6() };
        all.push(one(&format!("V02 hop limit {hop_limit} of a datagram"), hello(&ip)));
        all.push(one(&format!("V02 hop limit {hop_limit} of an echo request"), ping6(&ip)));
        all.push(one(&format!("V02 hop limit {hop_limit} to a closed port"), knock(&ip)));
        let ip = Ipv6 { hop_limit, ..to(GROUP6) };
        all.push(one(&format!("V02 hop limit {hop_limit} of a datagram to a group"), hello(&ip)));
    }
    for traffic_class in [0x04, 0x28, 0xb8, 0xfc, 1, 2, 3] {
        let ip = Ipv6 { traffic_class, ..plain6() };
        all.push(one(&format!("V13 traffic class {traffic_class:#04x} of a datagram"), hello(&ip)));
        all.push(one(&format!("K05 traffic class {traffic_class:#04x} of an echo request"), ping6(&ip)));
        all.push(one(&format!("K02 traffic class {traffic_class:#04x} to a closed port"), knock(&ip)));
    }
    for flow_label in [1, 0x1_2345, 0xf_ffff] {
        let ip = Ipv6 { flow_label, ..plain6() };
        all.push(one(&format!("V13 flow label {flow_label:#07x} of a datagram"), hello(&ip)));
        all.push(one(&format!("V13 flow label {flow_label:#07x} of an echo request"), ping6(&ip)));
        all.push(one(&format!("V13 flow label {flow_label:#07x} to a closed port"), knock(&ip)));
    }
    all.extend([
        one("V08 an unknown next header", unknown(&plain6())),
        one("V08 an unknown next header to the second address", unknown(&to(HOST6_SECOND.ip))),
        one("V08 an unknown next header to the link-local address", unknown(&to(HOST6_LOCAL.ip))),
        one("V08 an unknown next header to a group", unknown(&to(GROUP6))),
    ]);
    all
}
