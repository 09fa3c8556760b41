//! Every kind of frame, one or a few of each: right ones, and the wrong ones that somebody once thought of.

#[path = "kinds/forwarded.rs"]
mod forwarded;

use std::net::Ipv4Addr;

use super::frames::{
    Arp, BROADCAST, ETHERTYPE_ARP, ETHERTYPE_IPV4, Host, ICMP, IGMP, Ipv4, Mac, ROUTER_ALERT, UDP, Udp,
    checksum, echo_request, ethernet, frame, icmp, igmp, igmp_frame, igmp_query, ping_frame, tagged,
    udp_frame,
};

/// The host that is meant.
pub const HOST: Host = Host::number(2);
const SECOND: Host = HOST.with_ip(Ipv4Addr::new(198, 18, 0, 3));
const PEER: Host = Host::number(10);
const GROUP: Ipv4Addr = Ipv4Addr::new(239, 1, 2, 3);
const ALIAS: Ipv4Addr = Ipv4Addr::new(239, 129, 2, 3);
const SOURCE_GROUP: Ipv4Addr = Ipv4Addr::new(232, 1, 2, 3);
const ALL_HOSTS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 1);
const SUBNET_BROADCAST: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 255);
const CLOSED: u16 = 9999;

/// Frames that belong together, under a name.
#[derive(Clone, Debug)]
pub struct Kind {
    pub name: &'static str,
    pub frames: Vec<Vec<u8>>,
}

/// The kinds.
pub fn kinds() -> Vec<Kind> {
    let rooms: [fn() -> Vec<Named>; 9] =
        [arp, udp, addresses, headers, options, forwarded::kinds, icmps, igmps, links];
    let mut kinds: Vec<Kind> = rooms
        .iter()
        .flat_map(|room| room())
        .map(|(name, frames)| Kind { name, frames })
        .filter(|kind| !kind.frames.is_empty())
        .collect();
    kinds.extend(fragments());
    kinds
}

type Named = (&'static str, Vec<Vec<u8>>);

fn arp() -> Vec<Named> {
    let ask = Arp::request(PEER, HOST.ip);
    let padded = |arp: &Arp, dst: Mac| {
        let mut frame = arp.frame_to(dst);
        frame.resize(60, 0);
        frame
    };
    let other = Host::number(77);
    let changed = |arp: Arp| vec![padded(&arp, BROADCAST)];
    vec![
        ("arp request", vec![padded(&ask, BROADCAST), padded(&ask, HOST.mac)]),
        ("arp request, not padded", vec![ask.frame_to(BROADCAST)]),
        ("arp reply", vec![padded(&Arp::reply(PEER, HOST), HOST.mac)]),
        ("arp announcement", changed(Arp::request(PEER, PEER.ip))),
        ("arp probe", changed(Arp::request(PEER.with_ip(Ipv4Addr::UNSPECIFIED), HOST.ip))),
        ("arp conflict", changed(Arp::request(PEER.with_ip(HOST.ip), HOST.ip))),
        ("arp for another", changed(Arp::request(PEER, other.ip))),
        ("arp reply for another", changed(Arp::reply(PEER, other))),
        ("arp from afar", changed(Arp::request(PEER.with_ip(Ipv4Addr::new(192, 0, 2, 9)), HOST.ip))),
        ("arp from a group", changed(Arp::request(PEER.with_ip(GROUP), HOST.ip))),
        ("arp for a group", changed(Arp::request(PEER, GROUP))),
        ("arp from a group's MAC", changed(Arp::request(Host { mac: BROADCAST, ip: PEER.ip }, HOST.ip))),
        ("arp from our MAC", changed(Arp::request(Host { mac: HOST.mac, ip: PEER.ip }, HOST.ip))),
        ("rarp", changed(Arp { operation: 3, ..ask.clone() })),
        ("inarp", changed(Arp { operation: 8, ..ask.clone() })),
        ("arp for IEEE 802", changed(Arp { hardware: 6, ..ask.clone() })),
        ("arp for another protocol", changed(Arp { protocol: 0x86dd, ..ask.clone() })),
        ("arp with another hardware length", changed(Arp { hardware_len: 5, ..ask.clone() })),
        ("arp with another protocol length", changed(Arp { protocol_len: 16, ..ask })),
    ]
}

/// A datagram of which anything may be chosen.
fn datagram(header: &Ipv4, udp: &Udp, payload: &[u8]) -> Vec<u8> {
    frame(PEER, HOST.with_ip(header.dst), &header.packet(&udp.datagram(header.src, header.dst, payload)))
}

fn header() -> Ipv4 {
    Ipv4::new(PEER.ip, HOST.ip, UDP)
}

fn with_header(header: &Ipv4) -> Vec<Vec<u8>> {
    vec![datagram(header, &Udp::new(4000, 7), b"hello")]
}

fn with_udp(udp: &Udp) -> Vec<Vec<u8>> {
    vec![datagram(&header(), udp, b"hello")]
}

fn udp() -> Vec<Named> {
    let of_len = |len: usize| udp_frame(PEER, 4000, HOST, 7, &vec![0x5a; len]);
    let udp = Udp::new(4000, 7);
    let mut trailed = of_len(5);
    trailed.resize(80, 0xee);
    let mut padded = of_len(1);
    padded.resize(60, 0);
    vec![
        ("udp", vec![of_len(5)]),
        ("udp without payload", vec![of_len(0)]),
        ("udp, short", [1, 2, 3, 17, 18, 19].map(of_len).to_vec()),
        ("udp, middle", [63, 64, 65, 100, 255, 256, 257].map(of_len).to_vec()),
        ("udp, long", [576, 1024, 1471, 1472].map(of_len).to_vec()),
        ("udp, longer than the link", [1473, 1500, 2000, 2048, 4000, 8972].map(of_len).to_vec()),
        ("udp, padded", vec![padded]),
        ("udp with bytes behind it", vec![trailed]),
        ("udp without checksum", with_udp(&Udp { checksum: Some(0), ..udp.clone() })),
        ("udp with a wrong checksum", with_udp(&Udp { checksum: Some(0x1234), ..udp.clone() })),
        ("udp whose sum is 0", vec![datagram(&header(), &udp, &zero_sum())]),
        ("udp of length 0", with_udp(&Udp { length: Some(0), ..udp.clone() })),
        ("udp of length 7", with_udp(&Udp { length: Some(7), ..udp.clone() })),
        ("udp of length 8 of 13", with_udp(&Udp { length: Some(8), ..udp.clone() })),
        ("udp of length 14 of 13", with_udp(&Udp { length: Some(14), ..udp.clone() })),
        ("udp of length 65535", with_udp(&Udp { length: Some(65_535), ..udp })),
        ("udp to a closed port", vec![udp_frame(PEER, 4000, HOST, CLOSED, b"x")]),
        ("udp to a closed port, long", vec![udp_frame(Host::number(11), 4000, HOST, CLOSED, &[7; 600])]),
        ("udp to port 0", vec![udp_frame(Host::number(12), 4000, HOST, 0, b"x")]),
        ("udp from port 0", vec![udp_frame(PEER, 0, HOST, 7, b"x")]),
        ("udp from reflectors", [7, 19, 53, 123].map(|port| udp_frame(PEER, port, HOST, 7, b"x")).to_vec()),
        (
            "udp from far away",
            vec![udp_frame(PEER.with_ip(Ipv4Addr::new(192, 0, 2, 9)), 4000, HOST, 7, b"x")],
        ),
    ]
}

/// A payload with which the checksum of a datagram of [`header`] comes to 0, and is sent as 0xffff.
fn zero_sum() -> Vec<u8> {
    let udp = Udp { checksum: Some(0), ..Udp::new(4000, 7) }.datagram(PEER.ip, HOST.ip, &[0, 0]);
    checksum(&[&PEER.ip.octets(), &HOST.ip.octets(), &[0, UDP, 0, 10], &udp]).to_be_bytes().to_vec()
}

fn addresses() -> Vec<Named> {
    let to = |ip| vec![udp_frame(PEER, 4000, HOST.with_ip(ip), 7, b"hello")];
    let from = |ip| with_header(&Ipv4 { src: ip, ..header() });
    let by = |mac: Mac, frames: Vec<Vec<u8>>| -> Vec<Vec<u8>> {
        frames.into_iter().map(|frame| [&mac, &frame[6..]].concat()).collect()
    };
    let far = Ipv4Addr::new(198, 18, 0, 77);
    vec![
        ("to the second address", to(SECOND.ip)),
        ("to the group", to(GROUP)),
        ("to the group, in a unicast frame", by(HOST.mac, to(GROUP))),
        ("to an alias of the group", to(ALIAS)),
        ("to the group of a source", to(SOURCE_GROUP)),
        (
            "to the group from its source",
            vec![udp_frame(Host::number(1), 4000, HOST.with_ip(SOURCE_GROUP), 7, b"you")],
        ),
        ("to all hosts", to(ALL_HOSTS)),
        ("to everyone", [to(Ipv4Addr::BROADCAST), to(SUBNET_BROADCAST)].concat()),
        (
            "to the closed port of everyone",
            vec![udp_frame(PEER, 4000, HOST.with_ip(SUBNET_BROADCAST), CLOSED, b"x")],
        ),
        ("to the closed port of the group", vec![udp_frame(PEER, 4000, HOST.with_ip(GROUP), CLOSED, b"x")]),
        ("to us, in everyone's frame", by(BROADCAST, to(HOST.ip))),
        ("to us, in a group's frame", by([1, 0, 0x5e, 1, 2, 3], to(HOST.ip))),
        ("to us, in another's frame", by([2, 0, 0, 0, 0, 0x99], to(HOST.ip))),
        ("to another, in our frame", by(HOST.mac, to(far))),
        ("to loopback", by(HOST.mac, to(Ipv4Addr::LOCALHOST))),
        ("to nobody", by(HOST.mac, to(Ipv4Addr::UNSPECIFIED))),
        ("to the future", by(HOST.mac, to(Ipv4Addr::new(240, 0, 0, 1)))),
        ("from a group", from(GROUP)),
        ("from everyone", from(Ipv4Addr::BROADCAST)),
        ("from the subnet's everyone", from(SUBNET_BROADCAST)),
        ("from the subnet itself", from(Ipv4Addr::new(198, 18, 0, 0))),
        ("from loopback", from(Ipv4Addr::LOCALHOST)),
        ("from nobody", from(Ipv4Addr::UNSPECIFIED)),
        ("from this network", from(Ipv4Addr::new(0, 1, 2, 3))),
        ("from the future", from(Ipv4Addr::new(240, 0, 0, 1))),
        ("from ourselves", from(HOST.ip)),
        ("from our MAC", vec![[&HOST.mac[..], &HOST.mac, &to(HOST.ip)[0][12..]].concat()]),
        ("from a group's MAC", vec![[&HOST.mac[..], &[1, 0, 0x5e, 0, 0, 9], &to(HOST.ip)[0][12..]].concat()]),
    ]
}

fn headers() -> Vec<Named> {
    let with = |change: &dyn Fn(&mut Ipv4)| {
        let mut header = header();
        change(&mut header);
        with_header(&header)
    };
    let protocols = [0, 3, 4, 6, 41, 47, 50, 51, 89, 103, 132, 136, 248, 253, 255];
    let protocol = |protocol: u8| {
        frame(
            Host::number(protocol),
            HOST,
            &Ipv4::new(Host::number(protocol).ip, HOST.ip, protocol).packet(&[9; 24]),
        )
    };
    vec![
        ("ip version 0", with(&|h| h.version = 0)),
        ("ip version 6", with(&|h| h.version = 6)),
        ("ip header of 4 words", with(&|h| h.ihl = Some(4))),
        ("ip header of 15 words", with(&|h| h.ihl = Some(15))),
        ("ip total length 19", with(&|h| h.total_length = Some(19))),
        ("ip total length 20", with(&|h| h.total_length = Some(20))),
        ("ip total length 200", with(&|h| h.total_length = Some(200))),
        ("ip total length 0", with(&|h| h.total_length = Some(0))),
        ("ip header with a wrong checksum", with(&|h| h.checksum = Some(0x1234))),
        ("ip TTL 0", with(&|h| h.ttl = 0)),
        ("ip TTL 1", with(&|h| h.ttl = 1)),
        ("ip reserved flag", with(&|h| h.fragment = 0x8000)),
        ("ip DF", with(&|h| h.fragment = 0x4000)),
        (
            "ip type of service",
            [0x04, 0x28, 0xb8, 0x01, 0x02, 0x03].iter().flat_map(|t| with(&|h| h.tos = *t)).collect(),
        ),
        ("ip protocols", protocols.map(protocol).to_vec()),
        ("ip without payload", vec![frame(PEER, HOST, &header().packet(&[]))]),
        ("ip with 7 bytes of UDP", vec![frame(PEER, HOST, &header().packet(&[0x0f, 0xa0, 0, 7, 0, 7, 0]))]),
    ]
}

/// Options: as they should be, and with lengths and pointers that cannot be.
pub fn option_lists() -> Vec<(&'static str, Vec<u8>)> {
    let list = |bytes: &[u8]| {
        let mut list = bytes.to_vec();
        list.resize(list.len().next_multiple_of(4), 0);
        list
    };
    let record_route = |pointer: u8, slots: usize| {
        let mut option = vec![7, u8::try_from(3 + 4 * slots).unwrap(), pointer];
        option.resize(3 + 4 * slots, 0);
        list(&option)
    };
    let timestamp = |pointer: u8, overflow_flag: u8, slots: usize| {
        let mut option = vec![0x44, u8::try_from(4 + 4 * slots).unwrap(), pointer, overflow_flag];
        option.resize(4 + 4 * slots, 0);
        list(&option)
    };
    let route = |kind: u8, pointer: u8| list(&[kind, 7, pointer, 198, 18, 0, 9]);
    vec![
        ("no operation", vec![1; 4]),
        ("forty no operations", vec![1; 40]),
        ("end of list", vec![0; 4]),
        ("end of list, then rubbish", vec![0, 0x9e, 0, 0xff]),
        ("router alert", ROUTER_ALERT.to_vec()),
        ("security", list(&[130, 11, 0, 0, 0, 0, 0, 0, 0, 0, 0])),
        ("stream identifier", list(&[136, 4, 0, 1])),
        ("unknown, copied", vec![0x9e, 4, 0, 0]),
        ("unknown, not copied", vec![0x1e, 4, 0, 0]),
        ("record route", record_route(4, 3)),
        ("record route, longest", record_route(4, 9)),
        ("record route, full", record_route(16, 3)),
        ("record route, almost full", record_route(14, 3)),
        ("record route, pointer too small", record_route(3, 3)),
        ("record route, without a slot", list(&[7, 3, 4])),
        ("record route, too short", list(&[7, 2, 1, 1])),
        ("timestamp", timestamp(5, 0, 4)),
        ("timestamp with addresses", timestamp(5, 1, 4)),
        ("timestamp prespecified", list(&[0x44, 12, 5, 3, 198, 18, 0, 2, 0, 0, 0, 0])),
        ("timestamp, full", timestamp(21, 0, 4)),
        ("timestamp, overflow count full", timestamp(21, 0xf0, 4)),
        ("timestamp, unknown flag", timestamp(5, 7, 4)),
        ("timestamp, pointer too small", timestamp(4, 0, 4)),
        ("timestamp, too short", list(&[0x44, 3, 5])),
        ("loose source route", route(131, 4)),
        ("loose source route, completed", route(131, 8)),
        ("strict source route", route(137, 4)),
        ("strict source route, completed", route(137, 8)),
        ("source route, without room", list(&[131, 3, 4])),
        ("length 0", vec![0x9e, 0, 0, 0]),
        ("length 1", vec![0x9e, 1, 0, 0]),
        ("length 39 of 4", vec![0x9e, 39, 0, 0]),
        ("length 5 of 4", vec![0x9e, 5, 0, 0]),
        ("length behind the end", vec![1, 1, 1, 0x9e]),
        ("length 0 after no operation", vec![1, 0x9e, 0, 0]),
        ("length 0 in the last word", vec![1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0x9e, 0]),
    ]
}

fn options() -> Vec<Named> {
    let of = |(n, (name, options)): (usize, (&'static str, Vec<u8>))| {
        // Each from a host of its own: errors are limited by destination.
        let from = Host::number(u8::try_from(100 + n).unwrap());
        let header = |protocol| Ipv4 { options: options.clone(), ..Ipv4::new(from.ip, HOST.ip, protocol) };
        let datagram = Udp::new(4000, 7).datagram(from.ip, HOST.ip, b"hello");
        let asks = frame(from, HOST, &header(UDP).packet(&datagram));
        let pings = frame(from, HOST, &header(ICMP).packet(&echo_request(1, 1, b"hello")));
        (name, vec![asks, pings])
    };
    option_lists().into_iter().enumerate().map(of).collect()
}

fn icmp_from(from: Host, message: &[u8]) -> Vec<u8> {
    frame(from, HOST, &Ipv4::new(from.ip, HOST.ip, ICMP).packet(message))
}

/// An error about `quoted`.
pub fn icmp_error(from: Host, kind: u8, code: u8, rest: [u8; 4], quoted: &[u8]) -> Vec<u8> {
    icmp_from(from, &icmp(kind, code, rest, quoted))
}

/// What the host sent, as an error about it would quote it: an echo to the peer.
pub fn our_echo(options: &[u8]) -> Vec<u8> {
    let datagram = Udp::new(7, 4000).datagram(HOST.ip, PEER.ip, b"hello, hello");
    Ipv4 { options: options.to_vec(), ..Ipv4::new(HOST.ip, PEER.ip, UDP) }.packet(&datagram)
}

fn icmps() -> Vec<Named> {
    let quote = our_echo(&[]);
    let error = |kind, code, rest| icmp_error(PEER, kind, code, rest, &quote);
    let about = |quoted: &[u8]| vec![icmp_error(PEER, 3, 3, [0; 4], quoted)];
    let udp_of = |sport, dport| Udp::new(sport, dport).datagram(HOST.ip, PEER.ip, b"x");
    let packet_of = |header: Ipv4, payload: &[u8]| header.packet(payload);
    let mtu = |mtu: u16| error(3, 4, [0, 0, mtu.to_be_bytes()[0], mtu.to_be_bytes()[1]]);
    let ping = |to: Ipv4Addr| vec![ping_frame(PEER, HOST.with_ip(to), 1, 1, b"hello")];
    let mut damaged = ping_frame(PEER, HOST, 1, 1, b"hello");
    damaged[44] ^= 1;
    let ours = Ipv4::new(HOST.ip, PEER.ip, UDP);
    vec![
        ("echo request", ping(HOST.ip)),
        (
            "echo request, lengths",
            [0, 1, 2, 55, 56, 1471, 1472].map(|n| ping_frame(PEER, HOST, 1, 2, &vec![7; n])).to_vec(),
        ),
        (
            "echo request, codes",
            [1, 9, 255].map(|code| icmp_from(PEER, &icmp(8, code, [0, 1, 0, 2], b"code"))).to_vec(),
        ),
        ("echo request, damaged", vec![damaged]),
        ("echo request, cut", (0..8).map(|n| icmp_from(PEER, &echo_request(1, 1, b"")[..n])).collect()),
        ("echo request to many", [ping(GROUP), ping(SUBNET_BROADCAST), ping(Ipv4Addr::BROADCAST)].concat()),
        ("echo request to the second address", ping(SECOND.ip)),
        ("echo reply", vec![icmp_from(PEER, &icmp(0, 0, [0, 1, 0, 1], b"hello"))]),
        ("unreachable", (0..=15).filter(|c| *c != 4).map(|code| error(3, code, [0; 4])).collect()),
        (
            "fragmentation needed",
            [0, 20, 67, 68, 296, 552, 576, 1300, 1499, 1500, 9000, 65_535].map(mtu).to_vec(),
        ),
        ("source quench", vec![error(4, 0, [0; 4])]),
        ("redirect", (0..=3).map(|code| error(5, code, [198, 18, 0, 99])).collect()),
        (
            "router advertisement",
            vec![icmp_from(PEER, &icmp(9, 0, [1, 2, 0, 60], &[198, 18, 0, 99, 0, 0, 0, 0]))],
        ),
        ("router solicitation", vec![icmp_from(PEER, &icmp(10, 0, [0; 4], b""))]),
        ("time exceeded", vec![error(11, 0, [0; 4]), error(11, 1, [0; 4])]),
        (
            "parameter problem",
            vec![error(12, 0, [20, 0, 0, 0]), error(12, 1, [0; 4]), error(12, 2, [9, 0, 0, 0])],
        ),
        (
            "timestamp request",
            vec![icmp_from(PEER, &icmp(13, 0, [0, 1, 0, 1], &[0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0]))],
        ),
        ("timestamp request, short", vec![icmp_from(PEER, &icmp(13, 0, [0, 1, 0, 1], &[0; 4]))]),
        ("timestamp reply", vec![icmp_from(PEER, &icmp(14, 0, [0, 1, 0, 1], &[0; 12]))]),
        (
            "information and mask",
            [15, 16, 17, 18].map(|kind| icmp_from(PEER, &icmp(kind, 0, [0, 1, 0, 1], &[0; 4]))).to_vec(),
        ),
        (
            "other types",
            [1, 2, 6, 7, 19, 30, 40, 42, 43, 99, 253, 255]
                .map(|kind| icmp_from(PEER, &icmp(kind, 0, [0; 4], &quote)))
                .to_vec(),
        ),
        ("error about nothing", about(b"")),
        (
            "error about a cut packet",
            [1, 19, 20, 24, 27, 28].iter().flat_map(|n| about(&quote[..*n])).collect(),
        ),
        ("error about options", about(&our_echo(&[1, 1, 1, 0]))),
        (
            "error about a long header",
            about(&{
                let mut quoted = quote.clone();
                quoted[0] = 0x4f;
                quoted
            }),
        ),
        ("error about an unknown socket", about(&packet_of(ours.clone(), &udp_of(4001, 4000)))),
        (
            "error about a packet of another",
            about(&packet_of(Ipv4::new(PEER.ip, HOST.ip, UDP), &udp_of(7, 4000))),
        ),
        (
            "error about a fragment",
            about(&packet_of(Ipv4 { fragment: 0x2001, ..ours.clone() }, &udp_of(7, 4000))),
        ),
        (
            "error about ICMP",
            about(&packet_of(Ipv4 { protocol: ICMP, ..ours.clone() }, &icmp(3, 3, [0; 4], &quote))),
        ),
        (
            "error about an echo reply",
            about(&packet_of(Ipv4 { protocol: ICMP, ..ours.clone() }, &icmp(0, 0, [0; 4], b"hello"))),
        ),
        (
            "error about IGMP",
            about(&packet_of(Ipv4 { protocol: IGMP, ..ours }, &igmp(vec![0x22, 0, 0, 0, 0, 0, 0, 0]))),
        ),
    ]
}

fn igmps() -> Vec<Named> {
    let sources = [PEER.ip, Ipv4Addr::new(198, 18, 0, 1)];
    let query = |to, group, sources: &[Ipv4Addr]| vec![igmp_frame(PEER, to, &igmp_query(10, group, sources))];
    let old = |kind: u8, code: u8, group: Ipv4Addr, to: Ipv4Addr| {
        let message = igmp([&[kind, code, 0, 0][..], &group.octets()].concat());
        vec![igmp_frame(PEER, to, &message)]
    };
    let none = Ipv4Addr::UNSPECIFIED;
    let record = |kind: u8, sources: u8, aux: u8| {
        let head = [0x22, 0, 0, 0, 0, 0, 0, 1, kind, aux, 0, sources, 239, 1, 2, 3];
        let tail = vec![9; 4 * usize::from(sources + aux)];
        let to = Ipv4Addr::new(224, 0, 0, 22);
        igmp_frame(PEER, to, &igmp([&head[..], &tail].concat()))
    };
    let mut wrong = query(ALL_HOSTS, none, &[]);
    wrong[0][40] ^= 1;
    vec![
        ("igmp v1 query", old(0x11, 0, none, ALL_HOSTS)),
        ("igmp v2 query", old(0x11, 10, none, ALL_HOSTS)),
        ("igmp v2 query for the group", old(0x11, 10, GROUP, GROUP)),
        ("igmp v3 query", query(ALL_HOSTS, none, &[])),
        ("igmp v3 query for the group", query(GROUP, GROUP, &[])),
        ("igmp v3 query for sources", query(SOURCE_GROUP, SOURCE_GROUP, &sources)),
        ("igmp v3 query for no group", query(GROUP, PEER.ip, &[])),
        ("igmp v3 query, sources without a group", query(ALL_HOSTS, none, &sources)),
        ("igmp query to us", query(HOST.ip, none, &[])),
        ("igmp query with a wrong checksum", wrong),
        (
            "igmp query of other lengths",
            [0, 1, 7, 9, 10, 11]
                .map(|n| {
                    let mut message = vec![0x11, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0];
                    message.truncate(n);
                    igmp_frame(PEER, ALL_HOSTS, &if n < 4 { message } else { igmp(message) })
                })
                .to_vec(),
        ),
        ("igmp v1 report", old(0x12, 0, GROUP, GROUP)),
        ("igmp v2 report", old(0x16, 0, GROUP, GROUP)),
        ("igmp v2 leave", old(0x17, 0, GROUP, Ipv4Addr::new(224, 0, 0, 2))),
        ("igmp v3 report", [1, 2, 3, 4, 5, 6, 7].map(|kind| record(kind, 2, 0)).to_vec()),
        ("igmp v3 report with auxiliary data", vec![record(4, 1, 2)]),
        (
            "igmp of other kinds",
            [0x13, 0x14, 0x24, 0x30, 0x31].iter().flat_map(|k| old(*k, 0, GROUP, ALL_HOSTS)).collect(),
        ),
    ]
}

fn links() -> Vec<Named> {
    let plain = udp_frame(PEER, 4000, HOST, 7, b"hello");
    let to_group = udp_frame(PEER, 4000, HOST.with_ip(GROUP), 7, b"hello");
    let arp = Arp::request(PEER, HOST.ip).frame_to(BROADCAST);
    let tag = |tpid, tci| tagged(&plain, tpid, tci);
    let of_type = |ethertype, payload: &[u8]| vec![ethernet(HOST.mac, PEER.mac, ethertype, payload)];
    let snap = |protocol: u16, packet: &[u8]| {
        let body = [&[0xaa, 0xaa, 3, 0, 0, 0][..], &protocol.to_be_bytes(), packet].concat();
        ethernet(HOST.mac, PEER.mac, u16::try_from(body.len()).unwrap(), &body)
    };
    let mut ipv6 = vec![0x60, 0, 0, 0, 0, 8, 17, 64];
    ipv6.extend([0x20, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    ipv6.extend([0x20, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
    ipv6.extend([0x0f, 0xa0, 0, 7, 0, 8, 0, 0]);
    vec![
        ("priority tag", vec![tag(0x8100, 0), tag(0x8100, 0xe000), tag(0x88a8, 0)]),
        ("vlan 5", vec![tag(0x8100, 5), tag(0x88a8, 5)]),
        (
            "vlan 100",
            vec![
                tag(0x8100, 100),
                tag(0x8100, 0x6064),
                tagged(&to_group, 0x8100, 100),
                tagged(&arp, 0x8100, 100),
            ],
        ),
        ("vlan 4095", vec![tag(0x8100, 0xfff)]),
        ("tag in a tag", vec![tagged(&tag(0x8100, 100), 0x88a8, 5), tagged(&tag(0x8100, 0), 0x8100, 0)]),
        ("three tags", vec![tagged(&tagged(&tag(0x8100, 1), 0x8100, 2), 0x8100, 3)]),
        ("old tag", vec![tag(0x9100, 100)]),
        ("tagged arp", vec![tagged(&arp, 0x8100, 0)]),
        ("snap", vec![snap(ETHERTYPE_IPV4, &plain[14..]), snap(ETHERTYPE_ARP, &arp[14..])]),
        ("spanning tree", vec![ethernet([1, 0x80, 0xc2, 0, 0, 0], PEER.mac, 38, &[0x42; 46])]),
        (
            "802.3 lengths",
            [0_u16, 1, 46, 1500, 1501, 1535]
                .map(|len| ethernet(HOST.mac, PEER.mac, len, &plain[14..]))
                .to_vec(),
        ),
        ("pause", vec![ethernet([1, 0x80, 0xc2, 0, 0, 1], PEER.mac, 0x8808, &[0, 1, 0, 9])]),
        ("lldp", vec![ethernet([1, 0x80, 0xc2, 0, 0, 0xe], PEER.mac, 0x88cc, &[2, 7, 4, 2, 0, 0, 0, 0, 10])]),
        ("mpls", of_type(0x8847, &[0, 1, 1, 64, 0x45, 0])),
        ("pppoe", of_type(0x8864, &[0x11, 0, 0, 1, 0, 6, 0, 0x21, 0x45, 0, 0, 20])),
        ("ipv6", of_type(0x86dd, &ipv6)),
        ("ipv6 as ipv4", of_type(ETHERTYPE_IPV4, &ipv6)),
        (
            "unknown types",
            [0x0600_u16, 0x6003, 0x88f7, 0xffff].map(|t| ethernet(HOST.mac, PEER.mac, t, &[1; 46])).to_vec(),
        ),
    ]
}

/// The pieces of `packet`, an IPv4 packet without options, cut so that no payload is longer than `size`.
pub fn cut(packet: &[u8], size: usize) -> Vec<Vec<u8>> {
    let (header, payload) = packet.split_at(20);
    let pieces = payload.chunks(size).collect::<Vec<_>>();
    let last = pieces.len() - 1;
    pieces.iter().enumerate().map(|(i, piece)| piece_of(header, i * size, piece, i < last)).collect()
}

/// The fragment of the packet with `header` that has `payload` at `offset`, a multiple of 8.
pub fn piece_of(header: &[u8], offset: usize, payload: &[u8], more: bool) -> Vec<u8> {
    assert!(offset.is_multiple_of(8), "a fragment's offset counts in eights");
    let ip = |at: usize| Ipv4Addr::new(header[at], header[at + 1], header[at + 2], header[at + 3]);
    let fragment = u16::try_from(offset / 8).unwrap() | u16::from(more) << 13;
    let id = u16::from_be_bytes([header[4], header[5]]);
    let (tos, ttl) = (header[1], header[8]);
    Ipv4 { id, fragment, tos, ttl, ..Ipv4::new(ip(12), ip(16), header[9]) }.packet(payload)
}

/// Frames that carry `packets` from the peer.
fn framed(packets: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    packets.iter().map(|packet| frame(PEER, HOST, packet)).collect()
}

/// A datagram to the echo, as a packet of its own identification.
fn whole(id: u16, len: usize) -> Vec<u8> {
    let payload: Vec<u8> = (0..=255).cycle().take(len).collect();
    Ipv4 { id, ..header() }.packet(&Udp::new(4000, 7).datagram(PEER.ip, HOST.ip, &payload))
}

fn fragments() -> Vec<Kind> {
    let mut ids = 0x4000_u16;
    let mut id = || {
        // So far apart that no change of one byte makes another's of it.
        ids += 0x0333;
        ids
    };
    let mut kinds = Vec::new();
    let mut add = |name, packets: Vec<Vec<u8>>| kinds.push(Kind { name, frames: framed(packets) });
    add("fragments, two", cut(&whole(id(), 100), 64));
    add("fragments, three", cut(&whole(id(), 100), 40));
    add("fragments, reversed", cut(&whole(id(), 100), 40).into_iter().rev().collect());
    add("fragments, 8 bytes first", {
        let packet = whole(id(), 40);
        vec![
            piece_of(&packet[..20], 0, &packet[20..28], true),
            piece_of(&packet[..20], 8, &packet[28..], false),
        ]
    });
    add("fragments, doubled", {
        let pieces = cut(&whole(id(), 100), 40);
        vec![pieces[0].clone(), pieces[0].clone(), pieces[1].clone(), pieces[1].clone(), pieces[2].clone()]
    });
    add("fragments, overlapping", {
        let packet = whole(id(), 100);
        let piece =
            |from: usize, to: usize, more| piece_of(&packet[..20], from, &packet[20 + from..20 + to], more);
        vec![piece(0, 48, true), piece(40, 80, true), piece(80, 108, false)]
    });
    add("fragments, inside another", {
        let packet = whole(id(), 100);
        let piece =
            |from: usize, to: usize, more| piece_of(&packet[..20], from, &packet[20 + from..20 + to], more);
        vec![piece(0, 80, true), piece(24, 48, true), piece(80, 108, false)]
    });
    add("fragments, two ends", {
        let packet = whole(id(), 100);
        let piece =
            |from: usize, to: usize| piece_of(&packet[..20], from, &packet[20 + from..20 + to], false);
        vec![piece(40, 80), piece(40, 108), piece_of(&packet[..20], 0, &packet[20..60], true)]
    });
    add("fragments, of odd length", vec![piece_of(&whole(id(), 40)[..20], 0, &[7; 20], true)]);
    add("fragments, beyond the end", vec![piece_of(&whole(id(), 40)[..20], 8191 * 8, &[7; 64], false)]);
    add("fragments, empty", {
        let packet = whole(id(), 40);
        vec![
            piece_of(&packet[..20], 0, &[], true),
            piece_of(&packet[..20], 24, &[], true),
            piece_of(&packet[..20], 48, &[], false),
        ]
    });
    add("fragments, the first alone", vec![cut(&whole(id(), 100), 64).remove(0)]);
    add("fragments, the last alone", vec![cut(&whole(id(), 100), 64).remove(1)]);
    add("fragments, damaged", {
        let mut pieces = cut(&whole(id(), 100), 64);
        *pieces[1].last_mut().unwrap() ^= 1;
        pieces
    });
    add("fragments, to a closed port", {
        let datagram = Udp::new(4000, CLOSED).datagram(PEER.ip, HOST.ip, &[7; 100]);
        cut(&Ipv4 { id: id(), ..header() }.packet(&datagram), 64)
    });
    add("fragments of an echo request", {
        cut(&Ipv4 { id: id(), protocol: ICMP, ..header() }.packet(&echo_request(1, 1, &[7; 200])), 64)
    });
    add(
        "fragments of an unknown protocol",
        cut(&Ipv4 { id: id(), protocol: 253, ..header() }.packet(&[7; 100]), 64),
    );
    add("fragments of a longest datagram", cut(&whole(id(), 65_507), 1480));
    add("fragments, more than a link holds", cut(&whole(id(), 4000), 1480));
    add("fragments with congestion", {
        let mut pieces = cut(&whole(id(), 100), 64);
        for (piece, tos) in pieces.iter_mut().zip([2, 3]) {
            piece[1] = tos;
            piece[10..12].fill(0);
            let sum = checksum(&[&piece[..20]]);
            piece[10..12].copy_from_slice(&sum.to_be_bytes());
        }
        pieces
    });
    let tagged_pieces =
        cut(&whole(id(), 100), 64).iter().map(|p| tagged(&frame(PEER, HOST, p), 0x8100, 0)).collect();
    kinds.push(Kind { name: "fragments, tagged", frames: tagged_pieces });
    let to_group = Ipv4 { id: 0x4fff, dst: GROUP, ..header() }
        .packet(&Udp::new(4000, 7).datagram(PEER.ip, GROUP, &[7; 90]));
    let grouped = cut(&to_group, 48).iter().map(|p| frame(PEER, HOST.with_ip(GROUP), p)).collect();
    kinds.push(Kind { name: "fragments, to the group", frames: grouped });
    kinds
}
