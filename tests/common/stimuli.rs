//! What both Linux and pollcast are sent, by the row of the conformance tables that it is about.
//!
//! Where a host may answer with an ICMP error, each stimulus comes from a host of its own: errors are limited by destination.

use std::net::Ipv4Addr;

use super::frames::{
    Arp, BROADCAST, Host, ICMP, Ipv4, Mac, ROUTER_ALERT, UDP, Udp, checksum, echo_request, ethernet, frame,
    icmp, ping_frame, tagged, udp_frame,
};
use super::kinds::{cut, icmp_error, option_lists, piece_of};
use super::lab::{HOST, HOST_SECOND, PEER};

const GROUP: Ipv4Addr = Ipv4Addr::new(239, 1, 2, 3);
const ALIAS: Ipv4Addr = Ipv4Addr::new(239, 129, 2, 3);
const SOURCE_GROUP: Ipv4Addr = Ipv4Addr::new(232, 1, 2, 3);
const SUBNET_BROADCAST: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 255);
const CLOSED: u16 = 9999;

/// Frames that are sent together, and what they are about: the row first.
#[derive(Clone, Debug)]
pub struct Stimulus {
    pub name: String,
    pub frames: Vec<Vec<u8>>,
}

impl Stimulus {
    /// The conformance row that it is about; `RFC` if it is about none.
    pub fn row(&self) -> &str {
        self.name.split(' ').next().unwrap_or_default()
    }
}

fn one(name: &str, frame: Vec<u8>) -> Stimulus {
    some(name, vec![frame])
}

fn some(name: &str, frames: Vec<Vec<u8>>) -> Stimulus {
    Stimulus { name: name.to_owned(), frames }
}

/// All of them. Those that leave fragments behind come last: their time runs out when the others are done.
pub fn stimuli() -> Vec<Stimulus> {
    let rooms: [fn() -> Vec<Stimulus>; 12] = [
        link,
        arp,
        addresses,
        header,
        options,
        echo,
        errors,
        icmps,
        udp,
        paths,
        whole_fragments,
        broken_fragments,
    ];
    rooms.iter().flat_map(|room| room()).collect()
}

fn plain() -> Ipv4 {
    Ipv4::new(PEER.ip, HOST.ip, UDP)
}

fn send(header: &Ipv4, udp: &Udp, payload: &[u8]) -> Vec<u8> {
    frame(PEER, HOST.with_ip(header.dst), &header.packet(&udp.datagram(header.src, header.dst, payload)))
}

fn with_header(header: &Ipv4) -> Vec<u8> {
    send(header, &Udp::new(4000, 7), b"hello")
}

fn with_udp(udp: Udp) -> Vec<u8> {
    send(&plain(), &udp, b"hello")
}

fn addressed_to(mac: Mac, mut frame: Vec<u8>) -> Vec<u8> {
    frame[..6].copy_from_slice(&mac);
    frame
}

fn coming_from(mac: Mac, mut frame: Vec<u8>) -> Vec<u8> {
    frame[6..12].copy_from_slice(&mac);
    frame
}

/// A datagram to a closed port from a host of its own.
fn closed(n: u8, to: Host, len: usize) -> Vec<u8> {
    udp_frame(Host::number(n), 4000, to, CLOSED, &vec![9; len])
}

fn link() -> Vec<Stimulus> {
    let ask = || with_header(&plain());
    let tag = |tpid, tci| tagged(&ask(), tpid, tci);
    let mut trailed = udp_frame(PEER, 4000, HOST, 7, &[7; 60]);
    trailed.extend([0xee; 20]);
    let snap = |ethertype: [u8; 2]| {
        let body = [&[0xaa, 0xaa, 3, 0, 0, 0][..], &ethertype, &ask()[14..]].concat();
        ethernet(HOST.mac, PEER.mac, u16::try_from(body.len()).unwrap(), &body)
    };
    let runt = |len: usize| one(&format!("E17 a frame of {len} bytes"), ask()[..len].to_vec());
    let mut all = vec![
        one("E01 to another station", addressed_to([2, 0, 0, 0, 0, 0x99], ask())),
        one("E04 an alias of a joined group", with_header(&Ipv4 { dst: ALIAS, ..plain() })),
        one("E10 bytes behind the packet", trailed),
        one("E11 priority tag", tag(0x8100, 0xa000)),
        one("E11 priority tag without priority", tag(0x8100, 0)),
        one("E11 priority tag with the drop bit", tag(0x8100, 0x1000)),
        one("E11 priority tag of a provider", tag(0x88a8, 0)),
        one("E11 unknown VLAN", tag(0x8100, 5)),
        one("E11 unknown VLAN of a provider", tag(0x88a8, 5)),
        one("E11 the reserved VLAN", tag(0x8100, 0xfff)),
        one("E11 a tag of old", tag(0x9100, 0)),
        one("E11 a priority tag in a priority tag", tagged(&tag(0x8100, 0), 0x8100, 0)),
        one("E11 a VLAN in a priority tag", tagged(&tag(0x8100, 5), 0x8100, 0)),
        one("E11 a VLAN in a provider's", tagged(&tag(0x8100, 5), 0x88a8, 5)),
        one("E11 a priority tag in a VLAN", tagged(&tag(0x8100, 0), 0x8100, 5)),
        one("E11 a tag and nothing", ethernet(HOST.mac, PEER.mac, 0x8100, &[0, 0])),
        one("E11 ping with a priority tag", tagged(&ping_frame(PEER, HOST, 1, 2, b"tag"), 0x8100, 0xe000)),
        one("E11 tagged closed port", tagged(&closed(20, HOST, 4), 0x8100, 0)),
        one("E13 SNAP", snap([8, 0])),
        one("E13 SNAP of ARP", snap([8, 6])),
        one("E13 a length for a type", ethernet(HOST.mac, PEER.mac, 46, &ask()[14..])),
        one("E13 the largest length", ethernet(HOST.mac, PEER.mac, 1500, &ask()[14..])),
        one("E13 neither length nor type", ethernet(HOST.mac, PEER.mac, 1535, &ask()[14..])),
        one("E13 an unknown type", ethernet(HOST.mac, PEER.mac, 0x88b5, &ask()[14..])),
        one("E13 IPv4 as IPv6", ethernet(HOST.mac, PEER.mac, 0x86dd, &ask()[14..])),
        one("E14 from our own MAC", coming_from(HOST.mac, ask())),
        one("E14 from a group's MAC", coming_from([1, 0, 0x5e, 0, 0, 9], ask())),
        one("E14 from everyone's MAC", coming_from(BROADCAST, ask())),
        one("E14 ARP from a group's MAC", {
            coming_from([1, 0, 0x5e, 0, 0, 9], Arp::request(PEER, HOST.ip).frame_to(BROADCAST))
        }),
        one("E15 open port in a broadcast frame", addressed_to(BROADCAST, ask())),
        one("E15 open port in a group's frame", addressed_to([1, 0, 0x5e, 1, 2, 3], ask())),
        one("E15 closed port in a broadcast frame", addressed_to(BROADCAST, closed(21, HOST, 4))),
        one("E15 ping in a broadcast frame", addressed_to(BROADCAST, ping_frame(PEER, HOST, 1, 2, b"x"))),
        one(
            "E16 group in a unicast frame",
            addressed_to(HOST.mac, with_header(&Ipv4 { dst: GROUP, ..plain() })),
        ),
        one("E16 broadcast in a unicast frame", {
            addressed_to(HOST.mac, with_header(&Ipv4 { dst: SUBNET_BROADCAST, ..plain() }))
        }),
        one(
            "E16 group in a broadcast frame",
            addressed_to(BROADCAST, with_header(&Ipv4 { dst: GROUP, ..plain() })),
        ),
    ];
    all.extend((14..=46).map(runt));
    all
}

fn arp() -> Vec<Stimulus> {
    let ask = Arp::request(PEER, HOST.ip);
    let broadcast = |name: &str, arp: Arp| one(name, arp.frame_to(BROADCAST));
    let from = |ip: Ipv4Addr| Arp::request(PEER.with_ip(ip), HOST.ip);
    let about = |ip: Ipv4Addr| Arp::request(PEER, ip);
    let mut trailed = ask.frame_to(BROADCAST);
    trailed.extend([0xee; 30]);
    let filled = Arp { target: Host { mac: [0xee; 6], ip: HOST.ip }, ..ask.clone() };
    let elsewhere =
        Arp { sender: Host { mac: [2, 0, 0, 0, 0, 0x55], ip: Host::number(33).ip }, ..ask.clone() };
    vec![
        broadcast("A01 broadcast request", ask.clone()),
        one("A01 unicast request", ask.frame_to(HOST.mac)),
        broadcast("A01 second address", about(HOST_SECOND.ip)),
        one("A01 with bytes behind it", trailed),
        broadcast("A01 with a target's address", filled),
        one("A01 sent for another station", coming_from(PEER.mac, elsewhere.frame_to(BROADCAST))),
        one("A01 in a priority tag", tagged(&ask.frame_to(BROADCAST), 0x8100, 0)),
        one("A01 in an unknown VLAN", tagged(&ask.frame_to(BROADCAST), 0x8100, 5)),
        one("A01 in a group's frame", ask.frame_to([1, 0, 0x5e, 1, 2, 3])),
        one("A01 to another station", ask.frame_to([2, 0, 0, 0, 0, 0x99])),
        broadcast("A02 another address", about(Ipv4Addr::new(198, 18, 0, 50))),
        broadcast("A02 a group", about(GROUP)),
        broadcast("A02 loopback", about(Ipv4Addr::LOCALHOST)),
        broadcast("A02 broadcast", about(SUBNET_BROADCAST)),
        broadcast("A02 everyone", about(Ipv4Addr::BROADCAST)),
        broadcast("A02 nobody", about(Ipv4Addr::UNSPECIFIED)),
        broadcast("A02 the subnet", about(Ipv4Addr::new(198, 18, 0, 0))),
        broadcast("A03 hardware type 2", Arp { hardware: 2, ..ask.clone() }),
        broadcast("A03 hardware type 6", Arp { hardware: 6, ..ask.clone() }),
        broadcast("A03 protocol", Arp { protocol: 0x86dd, ..ask.clone() }),
        broadcast("A03 hardware length", Arp { hardware_len: 5, ..ask.clone() }),
        broadcast("A03 protocol length", Arp { protocol_len: 5, ..ask.clone() }),
        broadcast("A03 operation 0", Arp { operation: 0, ..ask.clone() }),
        broadcast("A03 operation 3", Arp { operation: 3, ..ask.clone() }),
        broadcast("A03 operation 8", Arp { operation: 8, ..ask.clone() }),
        broadcast("A03 operation 65535", Arp { operation: 65_535, ..ask.clone() }),
        one("A03 short", ask.frame_to(BROADCAST)[..14 + 27].to_vec()),
        one("A03 nothing", ask.frame_to(BROADCAST)[..14].to_vec()),
        broadcast("A04 a reply that nobody asked for", Arp::reply(Host::number(22), HOST)),
        one("A04 the same, to us alone", Arp::reply(Host::number(22), HOST).frame_to(HOST.mac)),
        broadcast("A04 an announcement", Arp::request(Host::number(22), Host::number(22).ip)),
        broadcast("A05 probe", from(Ipv4Addr::UNSPECIFIED)),
        broadcast(
            "A05 probe of another",
            Arp::request(PEER.with_ip(Ipv4Addr::UNSPECIFIED), Ipv4Addr::new(198, 18, 0, 50)),
        ),
        broadcast("A06 our address", from(HOST.ip)),
        broadcast("A06 our second address", from(HOST_SECOND.ip)),
        broadcast("A07 sender a group", from(GROUP)),
        broadcast("A07 sender everyone", from(Ipv4Addr::BROADCAST)),
        broadcast("A07 sender loopback", from(Ipv4Addr::LOCALHOST)),
        broadcast("A07 sender's MAC a group's", {
            Arp { sender: Host { mac: [1, 0, 0x5e, 0, 0, 9], ip: Host::number(34).ip }, ..ask.clone() }
        }),
        broadcast("A15 from another subnet", from(Ipv4Addr::new(192, 0, 2, 9))),
    ]
}

fn addresses() -> Vec<Stimulus> {
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

fn header() -> Vec<Stimulus> {
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

fn options() -> Vec<Stimulus> {
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

fn echo() -> Vec<Stimulus> {
    let from = |sport: u16| one(&format!("X02 from port {sport}"), udp_frame(PEER, sport, HOST, 7, b"again"));
    let mut all: Vec<_> = [0, 7, 19].map(from).to_vec();
    all.extend(
        [1, 2, 17, 18, 19, 512, 1471, 1472]
            .map(|len| one(&format!("X01 {len} bytes"), udp_frame(PEER, 4000, HOST, 7, &vec![0x77; len]))),
    );
    all
}

fn errors() -> Vec<Stimulus> {
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

/// A packet that the host has sent, as an error quotes it.
fn ours(protocol: u8, payload: &[u8]) -> Vec<u8> {
    Ipv4::new(HOST.ip, PEER.ip, protocol).packet(payload)
}

fn icmps() -> Vec<Stimulus> {
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
            let rest = if (kind, code) == (3, 4) { [0, 0, 5, 0x14] } else { [0; 4] };
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
    all.push(one("C17 an error about our error", icmp_error(PEER, 3, 3, [0; 4], &ours(ICMP, &error))));
    all
}

fn udp() -> Vec<Stimulus> {
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

/// Errors that say how long packets may be, and how long the echo is then cut. One host a path.
fn paths() -> Vec<Stimulus> {
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

/// A packet of `len` bytes of payload to the echo, with an identification.
fn whole(id: u16, len: usize) -> Vec<u8> {
    to_port(PEER, id, 7, len)
}

fn to_port(from: Host, id: u16, port: u16, len: usize) -> Vec<u8> {
    let payload: Vec<u8> = (0..=255).cycle().take(len).collect();
    Ipv4 { id, ..Ipv4::new(from.ip, HOST.ip, UDP) }
        .packet(&Udp::new(4000, port).datagram(from.ip, HOST.ip, &payload))
}

fn sent(name: &str, from: Host, packets: Vec<Vec<u8>>) -> Stimulus {
    some(name, packets.iter().map(|packet| frame(from, HOST, packet)).collect())
}

/// With another type of service.
fn marked(mut packet: Vec<u8>, tos: u8) -> Vec<u8> {
    packet[1] = tos;
    packet[10..12].fill(0);
    let sum = checksum(&[&packet[..20]]);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    packet
}

/// With other flags.
fn flagged(mut packet: Vec<u8>, flags: u8) -> Vec<u8> {
    packet[6] |= flags;
    let tos = packet[1];
    marked(packet, tos)
}

/// Datagrams in fragments that become whole.
fn whole_fragments() -> Vec<Stimulus> {
    let peer = |name: &str, packets: Vec<Vec<u8>>| sent(name, PEER, packets);
    let bits = |packet: &[u8], from: usize, to: usize| {
        piece_of(&packet[..20], from, &packet[20 + from..20 + to], to + 20 < packet.len())
    };
    let reversed = |id, len, size| cut(&whole(id, len), size).into_iter().rev().collect::<Vec<_>>();
    let mut all = vec![
        peer("F02 two in order", cut(&whole(1, 100), 64)),
        peer("F02 three in order", cut(&whole(2, 100), 40)),
        peer("F02 two reversed", reversed(3, 100, 64)),
        peer("F02 ten reversed", reversed(4, 792, 80)),
        peer("F02 each twice", cut(&whole(5, 100), 40).into_iter().flat_map(|p| [p.clone(), p]).collect()),
        peer("F02 the middle last", {
            let mut pieces = cut(&whole(6, 100), 40);
            pieces.swap(1, 2);
            pieces
        }),
        peer("F02 of 8 bytes each", cut(&whole(7, 100), 8)),
        peer("F02 of 8 bytes each, reversed", reversed(8, 100, 8)),
        peer("F02 two datagrams by turns", {
            let (a, b) = (cut(&whole(9, 100), 40), cut(&whole(10, 60), 40));
            vec![a[0].clone(), b[0].clone(), a[1].clone(), b[1].clone(), a[2].clone()]
        }),
        peer("F04 inside what is there", {
            let p = whole(11, 100);
            vec![bits(&p, 0, 80), bits(&p, 24, 48), bits(&p, 80, 108)]
        }),
        peer("F04 inside what is there, at its end", {
            let p = whole(12, 100);
            vec![bits(&p, 0, 80), bits(&p, 40, 80), bits(&p, 80, 108)]
        }),
        peer("F04 the first again, shorter", {
            let p = whole(13, 100);
            vec![bits(&p, 0, 80), bits(&p, 0, 40), bits(&p, 80, 108)]
        }),
        peer("F04 the last again", {
            let p = whole(14, 100);
            vec![bits(&p, 80, 108), bits(&p, 80, 108), bits(&p, 0, 80)]
        }),
        peer("F10 longer than a frame", cut(&whole(15, 4000), 1480)),
        peer("F10 longest", cut(&whole(16, 65_507), 1480)),
        peer("F10 longest, reversed", reversed(17, 65_507, 1480)),
        peer("F14 8 bytes first", {
            let p = whole(18, 40);
            vec![bits(&p, 0, 8), bits(&p, 8, 48)]
        }),
        peer("F20 DF on fragments", cut(&whole(19, 100), 64).into_iter().map(|p| flagged(p, 0x40)).collect()),
        peer(
            "F20 the reserved flag on fragments",
            cut(&whole(20, 100), 64).into_iter().map(|p| flagged(p, 0x80)).collect(),
        ),
        some(
            "F02 in a priority tag",
            cut(&whole(21, 100), 64).iter().map(|p| tagged(&frame(PEER, HOST, p), 0x8100, 0)).collect(),
        ),
        some("F02 to the group", {
            let datagram = Udp::new(4000, 7).datagram(PEER.ip, GROUP, &[7; 90]);
            let packet = Ipv4 { id: 22, dst: GROUP, ..plain() }.packet(&datagram);
            cut(&packet, 48).iter().map(|p| frame(PEER, HOST.with_ip(GROUP), p)).collect()
        }),
        some("F02 to broadcast", {
            let datagram = Udp::new(4000, 7).datagram(PEER.ip, SUBNET_BROADCAST, &[7; 90]);
            let packet = Ipv4 { id: 23, dst: SUBNET_BROADCAST, ..plain() }.packet(&datagram);
            cut(&packet, 48).iter().map(|p| frame(PEER, HOST.with_ip(SUBNET_BROADCAST), p)).collect()
        }),
        peer(
            "F02 of an echo request",
            cut(&Ipv4 { id: 24, protocol: ICMP, ..plain() }.packet(&echo_request(1, 1, &[7; 200])), 64),
        ),
        peer("F18 of an echo request longer than the link", {
            cut(&Ipv4 { id: 25, protocol: ICMP, ..plain() }.packet(&echo_request(1, 1, &[7; 3000])), 1480)
        }),
        peer("F13 a wrong byte in the second", {
            let mut pieces = cut(&whole(26, 100), 64);
            *pieces[1].last_mut().unwrap() ^= 1;
            pieces
        }),
        peer("F13 no checksum", {
            let datagram =
                Udp { checksum: Some(0), ..Udp::new(4000, 7) }.datagram(PEER.ip, HOST.ip, &[7; 100]);
            cut(&Ipv4 { id: 27, ..plain() }.packet(&datagram), 64)
        }),
        sent(
            "F16 to a closed port",
            Host::number(110),
            cut(&to_port(Host::number(110), 28, CLOSED, 100), 64),
        ),
        sent(
            "F16 to a closed port, long",
            Host::number(111),
            cut(&to_port(Host::number(111), 29, CLOSED, 4000), 1480),
        ),
        sent("F16 of an unknown protocol", Host::number(112), {
            cut(&Ipv4 { id: 30, protocol: 253, src: Host::number(112).ip, ..plain() }.packet(&[7; 100]), 64)
        }),
        peer("F02 UDP's length below the whole", {
            let datagram =
                Udp { length: Some(50), ..Udp::new(4000, 7) }.datagram(PEER.ip, HOST.ip, &[7; 100]);
            cut(&Ipv4 { id: 31, ..plain() }.packet(&datagram), 64)
        }),
        peer("F02 UDP's length beyond the whole", {
            let datagram =
                Udp { length: Some(500), ..Udp::new(4000, 7) }.datagram(PEER.ip, HOST.ip, &[7; 100]);
            cut(&Ipv4 { id: 32, ..plain() }.packet(&datagram), 64)
        }),
        peer("F02 options in the first", {
            let p = whole(33, 100);
            let first = Ipv4 { id: 33, fragment: 0x2000, options: ROUTER_ALERT.to_vec(), ..plain() }
                .packet(&p[20..84]);
            vec![first, bits(&p, 64, 108)]
        }),
        peer("F02 bytes behind the fragments", {
            cut(&whole(34, 100), 64).into_iter().map(|p| [&p[..], &[0xee; 9]].concat()).collect()
        }),
    ];
    for (n, (first, second)) in (0..).zip((0..4_u8).flat_map(|a| (0..4_u8).map(move |b| (a, b)))) {
        let mut pieces = cut(&whole(40 + n, 100), 64);
        pieces = pieces.into_iter().zip([first, second]).map(|(p, ecn)| marked(p, ecn)).collect();
        all.push(peer(&format!("F15 congestion marks {first} and {second}"), pieces));
    }
    all
}

/// Fragments that never become whole.
fn broken_fragments() -> Vec<Stimulus> {
    let peer = |name: &str, packets: Vec<Vec<u8>>| sent(name, PEER, packets);
    let head = |id| whole(id, 100)[..20].to_vec();
    let bits = |id, from: usize, to: usize, more| {
        let p = whole(id, 100);
        piece_of(&p[..20], from, &p[20 + from..20 + to], more)
    };
    vec![
        peer(
            "F03 8 bytes twice",
            vec![bits(101, 0, 48, true), bits(101, 40, 80, true), bits(101, 80, 108, false)],
        ),
        peer("F03 8 bytes twice, the last first", {
            vec![bits(102, 80, 108, false), bits(102, 40, 88, true), bits(102, 0, 40, true)]
        }),
        peer(
            "F03 around what is there",
            vec![bits(103, 40, 48, true), bits(103, 0, 80, true), bits(103, 80, 108, false)],
        ),
        peer("F03 over two", {
            vec![
                bits(104, 0, 24, true),
                bits(104, 48, 80, true),
                bits(104, 16, 56, true),
                bits(104, 80, 108, false),
            ]
        }),
        peer(
            "F05 an odd length in the middle",
            vec![piece_of(&head(105), 0, &[7; 20], true), bits(105, 16, 108, false)],
        ),
        peer("F06 beyond the end", vec![piece_of(&head(106), 8191 * 8, &[7; 64], false)]),
        peer("F06 just beyond the end", {
            vec![bits(107, 0, 80, true), piece_of(&head(107), 8189 * 8, &[7; 24], false)]
        }),
        peer(
            "F07 two ends",
            vec![bits(108, 40, 80, false), bits(108, 40, 108, false), bits(108, 0, 40, true)],
        ),
        peer("F07 beyond the end that was said", {
            vec![bits(109, 40, 80, false), bits(109, 80, 104, true), bits(109, 0, 40, true)]
        }),
        peer("F07 an end before what is there", {
            vec![bits(110, 40, 80, true), bits(110, 24, 40, false), bits(110, 0, 24, true)]
        }),
        peer("F08 nothing first", vec![piece_of(&head(111), 0, &[], true), bits(111, 0, 108, false)]),
        peer("F08 nothing in the middle", {
            vec![bits(112, 0, 40, true), piece_of(&head(112), 40, &[], true), bits(112, 40, 108, false)]
        }),
        peer("F08 nothing last", vec![bits(113, 0, 104, true), piece_of(&head(113), 104, &[], false)]),
        peer("F01 another protocol", {
            let mut other = bits(114, 64, 108, false);
            other[9] = 253;
            vec![bits(114, 0, 64, true), marked(other, 0)]
        }),
        peer("F01 another identification", vec![bits(115, 0, 64, true), bits(116, 64, 108, false)]),
        some("F01 another source", {
            let from = Host::number(113);
            let other = piece_of(&to_port(from, 117, 7, 100)[..20], 64, &[7; 44], false);
            vec![frame(PEER, HOST, &bits(117, 0, 64, true)), frame(from, HOST, &other)]
        }),
        some("F01 another destination", {
            let packet = Ipv4 { id: 118, dst: HOST_SECOND.ip, fragment: 8, ..plain() }.packet(&[7; 44]);
            vec![frame(PEER, HOST, &bits(118, 0, 64, true)), frame(PEER, HOST, &packet)]
        }),
        peer("F12 an unknown protocol, the last alone", {
            let packet = Ipv4 { id: 119, protocol: 253, fragment: 8, ..plain() }.packet(&[7; 44]);
            vec![packet]
        }),
        peer("F12 a wrong option in the last", {
            vec![Ipv4 { id: 120, fragment: 8, options: vec![0x9e, 0, 0, 0], ..plain() }.packet(&[7; 44])]
        }),
        sent("I14 a wrong option in the first", Host::number(114), {
            let from = Host::number(114).ip;
            vec![
                Ipv4 { id: 121, fragment: 0x2000, options: vec![0x9e, 0, 0, 0], src: from, ..plain() }
                    .packet(&[7; 40]),
            ]
        }),
        peer("F12 the last alone", vec![bits(122, 64, 108, false)]),
        peer("F02 the first alone", vec![bits(123, 0, 64, true)]),
        peer("F02 a hole", vec![bits(124, 0, 40, true), bits(124, 80, 108, false)]),
        peer("I07 a fragment from a group", {
            vec![Ipv4 { id: 125, fragment: 0x2000, src: GROUP, ..plain() }.packet(&[7; 40])]
        }),
    ]
}
