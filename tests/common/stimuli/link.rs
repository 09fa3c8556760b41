//! Frames, tags and ARP.

use std::net::Ipv4Addr;

use super::super::frames::{Arp, BROADCAST, Host, Ipv4, ethernet, ping_frame, tagged, udp_frame};
use super::super::lab::{HOST, HOST_SECOND, PEER};
use super::{
    ALIAS, GROUP, SUBNET_BROADCAST, Stimulus, addressed_to, closed, coming_from, one, plain, with_header,
};

pub(super) fn link() -> Vec<Stimulus> {
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

pub(super) fn arp() -> Vec<Stimulus> {
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
