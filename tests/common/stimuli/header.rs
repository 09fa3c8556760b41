//! The IPv4 header, its addresses and options.

use std::net::Ipv4Addr;

use super::super::frames::{BROADCAST, Host, ICMP, Ipv4, UDP, Udp, checksum, echo_request, frame, udp_frame};
use super::super::kinds::option_lists;
use super::super::lab::{HOST, HOST_SECOND, PEER};
use super::{CLOSED, GROUP, SOURCE_GROUP, SUBNET_BROADCAST, Stimulus, addressed_to, one, plain, with_header};

pub(super) fn addresses() -> Vec<Stimulus> {
    let from = |ip: Ipv4Addr| with_header(&Ipv4 { src: ip, ..plain() });
    let to = |ip: Ipv4Addr| addressed_to(HOST.mac, with_header(&Ipv4 { dst: ip, ..plain() }));
    let pings = |ip: Ipv4Addr| {
        let header = Ipv4 { src: ip, protocol: ICMP, ..plain() };
        frame(PEER, HOST, &header.packet(&echo_request(1, 2, b"who")))
    };
    let zero_to = |ip: Ipv4Addr| with_header(&Ipv4 { src: Ipv4Addr::UNSPECIFIED, dst: ip, ..plain() });
    let subnet = Ipv4Addr::new(198, 18, 0, 0);
    vec![
        one("I06 another destination", to(Ipv4Addr::new(198, 18, 0, 77))),
        one("I06 a destination far away", to(Ipv4Addr::new(192, 0, 2, 77))),
        one("I06 the subnet itself", to(subnet)),
        one("I06 a reserved destination", to(Ipv4Addr::new(240, 0, 0, 1))),
        one("I06 nobody", to(Ipv4Addr::UNSPECIFIED)),
        one("I07 source a group", from(GROUP)),
        one("I07 source broadcast", from(Ipv4Addr::BROADCAST)),
        one("I07 source loopback", from(Ipv4Addr::LOCALHOST)),
        one("I07 ping from a group", pings(GROUP)),
        one("I07 ping from loopback", pings(Ipv4Addr::new(127, 1, 2, 3))),
        one("I08 source the subnet's broadcast", from(SUBNET_BROADCAST)),
        one("I08 ping from the subnet's broadcast", pings(SUBNET_BROADCAST)),
        one("I09 source our own", udp_frame(PEER.with_ip(HOST.ip), 7, HOST, 7, b"land")),
        one("I09 source our own, another port", udp_frame(PEER.with_ip(HOST.ip), 4000, HOST, 7, b"land")),
        one("I09 source our other address", udp_frame(PEER.with_ip(HOST_SECOND.ip), 4000, HOST, 7, b"land")),
        one("I09 ping from ourselves", pings(HOST.ip)),
        one("I10 source unspecified", from(Ipv4Addr::UNSPECIFIED)),
        one("I10 source unspecified, to everyone", zero_to(Ipv4Addr::BROADCAST)),
        one("I10 source unspecified, to all hosts", zero_to(Ipv4Addr::new(224, 0, 0, 1))),
        one("I10 source unspecified, to a group", zero_to(GROUP)),
        one("I10 ping from nobody", pings(Ipv4Addr::UNSPECIFIED)),
        one("I11 source of this network", from(Ipv4Addr::new(0, 1, 2, 3))),
        one("I11 source reserved", from(Ipv4Addr::new(240, 0, 0, 1))),
        one("I12 destination loopback", to(Ipv4Addr::LOCALHOST)),
        one("I13 broadcast", with_header(&Ipv4 { dst: Ipv4Addr::BROADCAST, ..plain() })),
        one("I13 subnet broadcast", with_header(&Ipv4 { dst: SUBNET_BROADCAST, ..plain() })),
        one("U21 group", udp_frame(PEER, 4000, HOST.with_ip(GROUP), 7, b"to all")),
        one("U21 all hosts", udp_frame(PEER, 4000, HOST.with_ip(Ipv4Addr::new(224, 0, 0, 1)), 7, b"to all")),
        one("U21 second address", udp_frame(PEER, 4000, HOST_SECOND, 7, b"second")),
        one(
            "RFC 4607 a group for another source",
            udp_frame(PEER, 4000, HOST.with_ip(SOURCE_GROUP), 7, b"not you"),
        ),
        one(
            "RFC 4607 a group for this source",
            udp_frame(Host::number(1), 4000, HOST.with_ip(SOURCE_GROUP), 7, b"you"),
        ),
    ]
}

pub(super) fn header() -> Vec<Stimulus> {
    let with = |name: &str, change: &dyn Fn(&mut Ipv4)| {
        let mut header = plain();
        change(&mut header);
        one(name, with_header(&header))
    };
    let cut_at = |len: usize| {
        one(&format!("E17 a packet cut to {len} bytes"), with_header(&plain())[..14 + len].to_vec())
    };
    let mut all = vec![
        with("I01 version 5", &|h| h.version = 5),
        with("I01 version 0", &|h| h.version = 0),
        with("I01 header length 0", &|h| h.ihl = Some(0)),
        with("I01 header length 4", &|h| h.ihl = Some(4)),
        with("I01 header longer than the packet", &|h| h.ihl = Some(15)),
        with("I02 header checksum", &|h| h.checksum = Some(0x1234)),
        with("I02 header checksum 0", &|h| h.checksum = Some(0)),
        with("I03 total length 0", &|h| h.total_length = Some(0)),
        with("I03 total length below the header", &|h| h.total_length = Some(19)),
        with("I03 total length of the header", &|h| h.total_length = Some(20)),
        with("I03 total length beyond the frame", &|h| h.total_length = Some(200)),
        with("I03 total length cuts the datagram", &|h| h.total_length = Some(30)),
        with("I04 TTL 0", &|h| h.ttl = 0),
        with("I04 TTL 1", &|h| h.ttl = 1),
        with("I04 TTL 255", &|h| h.ttl = 255),
        with("I05 reserved flag", &|h| h.fragment = 0x8000),
        with("I05 DF", &|h| h.fragment = 0x4000),
    ];
    for tos in [0x04, 0x28, 0x88, 0xb8, 0xfc, 0x01, 0x02, 0x03] {
        all.push(with(&format!("I23 type of service {tos:#04x} of a datagram"), &|h| h.tos = tos));
        let header = Ipv4 { tos, protocol: ICMP, ..plain() };
        let ping = frame(PEER, HOST, &header.packet(&echo_request(7, 8, b"x")));
        all.push(one(&format!("I23 type of service {tos:#04x} of an echo request"), ping));
    }
    let protocol = |n: u8, protocol: u8, dst: Ipv4Addr| {
        let from = Host::number(n);
        frame(from, HOST.with_ip(dst), &Ipv4::new(from.ip, dst, protocol).packet(&[7; 24]))
    };
    all.extend([
        one("I18 an unknown protocol", protocol(23, 253, HOST.ip)),
        one("I18 protocol 0", protocol(24, 0, HOST.ip)),
        one("I18 protocol 255", protocol(25, 255, HOST.ip)),
        one("I18 an unknown protocol to the second address", protocol(26, 253, HOST_SECOND.ip)),
        one("I18 an unknown protocol to a group", protocol(27, 253, GROUP)),
        one("I18 an unknown protocol to broadcast", protocol(28, 253, SUBNET_BROADCAST)),
        one(
            "I18 an unknown protocol in a broadcast frame",
            addressed_to(BROADCAST, protocol(29, 253, HOST.ip)),
        ),
        one("I18 an unknown protocol without payload", {
            let from = Host::number(30);
            frame(from, HOST, &Ipv4::new(from.ip, HOST.ip, 253).packet(&[]))
        }),
        one("I18 a long unknown protocol", {
            let from = Host::number(31);
            frame(from, HOST, &Ipv4::new(from.ip, HOST.ip, 253).packet(&[7; 1000]))
        }),
    ]);
    all.extend((0..33).map(cut_at));
    all
}

/// The row that an option is about.
fn option_row(name: &str) -> &'static str {
    if name.contains("source route") {
        "I16"
    } else if name.contains("record route") || name.contains("timestamp") {
        "I17"
    } else if name.contains("alert") || name.contains("operation") || name.contains("end of list") {
        "I19"
    } else if name.starts_with("length") {
        "I14"
    } else {
        "I15"
    }
}

pub(super) fn options() -> Vec<Stimulus> {
    let mut all = Vec::new();
    let mut lists = option_lists();
    lists.push(("length 2 of unknown", vec![0x9e, 2, 1, 0]));
    for at in 0..8_usize {
        let mut bytes = vec![1; 8];
        bytes[at] = 0x9e;
        if let Some(length) = bytes.get_mut(at + 1) {
            *length = 0;
        }
        let name: &'static str = [
            "length 0 at 0",
            "length 0 at 1",
            "length 0 at 2",
            "length 0 at 3",
            "length 0 at 4",
            "length 0 at 5",
            "length 0 at 6",
            "length missing at 7",
        ][at];
        lists.push((name, bytes));
    }
    for (n, (name, options)) in lists.into_iter().enumerate() {
        let from = Host::number(u8::try_from(40 + n).unwrap());
        let row = option_row(name);
        let header = |protocol| Ipv4 { options: options.clone(), ..Ipv4::new(from.ip, HOST.ip, protocol) };
        let datagram = Udp::new(4000, 7).datagram(from.ip, HOST.ip, b"hello");
        all.push(one(
            &format!("{row} {name}, with a datagram"),
            frame(from, HOST, &header(UDP).packet(&datagram)),
        ));
        let ping = frame(from, HOST, &header(ICMP).packet(&echo_request(1, 1, b"hello")));
        all.push(one(&format!("{row} {name}, with an echo request"), ping));
        let closed = Udp::new(4000, CLOSED).datagram(from.ip, HOST.ip, b"hello");
        all.push(one(
            &format!("{row} {name}, to a closed port"),
            frame(from, HOST, &header(UDP).packet(&closed)),
        ));
    }
    let to_group = Ipv4 { options: vec![0x9e, 0, 0, 0], dst: GROUP, ..plain() };
    all.push(one("C03 a wrong option to a group", with_header(&to_group)));
    let in_broadcast = Ipv4 { options: vec![0x9e, 0, 0, 0], ..plain() };
    all.push(one(
        "C03 a wrong option in a broadcast frame",
        addressed_to(BROADCAST, with_header(&in_broadcast)),
    ));
    let from_group = Ipv4 { options: vec![0x9e, 0, 0, 0], src: GROUP, ..plain() };
    all.push(one("C03 a wrong option from a group", with_header(&from_group)));
    all
}
