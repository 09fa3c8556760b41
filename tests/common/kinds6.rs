//! Every kind of frame of IPv6, one or a few of each: right ones, and the wrong ones that somebody once thought of.
//!
//! Those that have their like in IPv4 are in [`kinds`](super::kinds); what is here is what IPv6 does in its own way.

use std::net::{Ipv6Addr, SocketAddrV6};

use pollcast::addr::MacAddr;
use pollcast::sim::frames::fragment6::{cut6, cut6_evenly};
use pollcast::sim::frames::{
    Carrier, Ethernet, Extension, HeaderOption, Ipv6, MldQuery, NdpFrame, NdpMessage, NdpOption, Prefix,
    RouterAdvertisement, UdpFrame6, UoaFrame, mac_for6, mld_frame, sealed6, solicited_node,
};

use super::frames::{ETHERTYPE_IPV6, tagged};
use super::kinds::{HOST, Kind};

/// The addresses of the host that is meant.
pub const HOST6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2);
pub const SECOND6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 3);
pub const LOCAL6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0xff, 0xfe00, 2);
/// A group that it has joined, and one for a source alone.
pub const GROUP6: Ipv6Addr = Ipv6Addr::new(0xff0e, 0, 0, 0, 0, 1, 2, 3);
pub const SOURCE_GROUP6: Ipv6Addr = Ipv6Addr::new(0xff3e, 0, 0, 0, 0, 1, 2, 4);
/// That source.
pub const SOURCE6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);

const ALIAS6: Ipv6Addr = Ipv6Addr::new(0xff0e, 0, 0, 0, 0, 9, 2, 3);
const PEER6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x10);
const PEER_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x10);
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const PEER_MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 0x10]);
const CLOSED: u16 = 9999;
const UDP: u8 = 17;
const ICMPV6: u8 = 58;

type Named = (&'static str, Vec<Vec<u8>>);

/// The kinds.
pub fn kinds6() -> Vec<Kind> {
    let rooms: [fn() -> Vec<Named>; 10] =
        [udp, addresses, headers, extensions, fragments, forwarded, icmps, errors, ndp, mld];
    rooms.iter().flat_map(|room| room()).map(|(name, frames)| Kind { name, frames }).collect()
}

fn plain() -> Ipv6 {
    Ipv6::new(PEER6, HOST6, UDP)
}

fn to(ip: Ipv6Addr) -> Ipv6 {
    Ipv6 { destination: ip, ..plain() }
}

fn from(ip: Ipv6Addr) -> Ipv6 {
    Ipv6 { source: ip, ..plain() }
}

/// The frame of a packet to our host, or to a group, by the Ethernet address of that.
fn send(ip: &Ipv6, payload: &[u8]) -> Vec<u8> {
    let destination = mac_for6(ip.destination, MacAddr(HOST.mac));
    let ethernet = Ethernet { destination, source: PEER_MAC, tci: None, ethertype: ETHERTYPE_IPV6 };
    ethernet.frame(&ip.packet(payload))
}

fn datagram(ip: &Ipv6, sport: u16, dport: u16, payload: &[u8]) -> Vec<u8> {
    let end = |ip, port| SocketAddrV6::new(ip, port, 0, 0);
    UdpFrame6::between(end(ip.source, sport), end(ip.destination, dport), payload).datagram()
}

fn hello(ip: &Ipv6) -> Vec<u8> {
    send(ip, &datagram(ip, 4000, 7, b"hello"))
}

/// What a balancer makes of a client's datagram.
fn forwarded() -> Vec<Named> {
    let by = |from: &str, client: &str, to: &str| {
        let forwarded = UoaFrame::new(Carrier::Protocol, client, from, to, b"hello");
        UoaFrame { destination_mac: Some(MacAddr(HOST.mac)), ..forwarded }
    };
    let (peer, own, client) = ("[2001:db8::10]:4000", "[2001:db8::2]:7", "[2001:db8:9::9]:8080");
    let good = by(peer, client, own);
    vec![
        ("option protocol over IPv6", vec![good.frame(), by("[2001:db8::99]:4000", client, own).frame()]),
        ("option protocol over IPv6, client of IPv4", vec![by(peer, "203.0.113.9:8080", own).frame()]),
        ("option protocol over IPv6, client that cannot be", vec![by(peer, "[ff02::1]:1", own).frame()]),
        ("option protocol over IPv6, length too large", vec![UoaFrame { length: Some(200), ..good }.frame()]),
    ]
}

fn knock(ip: &Ipv6) -> Vec<u8> {
    send(ip, &datagram(ip, 4000, CLOSED, b"x"))
}

fn message(ip: &Ipv6, kind: u8, code: u8, body: &[u8]) -> Vec<u8> {
    let ip = Ipv6 { next_header: ICMPV6, ..ip.clone() };
    send(&ip, &sealed6(ip.source, ip.destination, [&[kind, code, 0, 0], body].concat()))
}

fn ping(ip: &Ipv6, len: usize) -> Vec<u8> {
    message(ip, 128, 0, &[&[0, 1, 0, 2][..], &vec![0x5a; len]].concat())
}

fn udp() -> Vec<Named> {
    let ip = plain();
    let of_len = |len: usize| send(&ip, &datagram(&ip, 4000, 7, &vec![0x5a; len]));
    let with = |at: usize, bytes: [u8; 2]| {
        let mut datagram = datagram(&ip, 4000, 7, b"hello");
        datagram[at..at + 2].copy_from_slice(&bytes);
        send(&ip, &datagram)
    };
    let mut behind = of_len(5);
    behind.extend([0xee; 20]);
    vec![
        ("udp6", vec![of_len(5)]),
        ("udp6, lengths", [0, 1, 2, 3, 17, 64, 255, 1024, 1451, 1452].map(of_len).to_vec()),
        ("udp6, longer than the link", [1453, 1500, 2048, 4000, 8952].map(of_len).to_vec()),
        ("udp6 with bytes behind it", vec![behind]),
        ("udp6 without checksum", vec![with(6, [0, 0])]),
        ("udp6 with a wrong checksum", vec![with(6, [0x12, 0x34])]),
        ("udp6 of wrong lengths", [0, 7, 8, 12, 14, 255].map(|n| with(4, [0, n])).to_vec()),
        ("udp6 to a closed port", vec![knock(&ip), send(&ip, &datagram(&ip, 4000, CLOSED, &[7; 1300]))]),
        (
            "udp6 from and to port 0",
            vec![send(&ip, &datagram(&ip, 0, 7, b"x")), send(&ip, &datagram(&ip, 4000, 0, b"x"))],
        ),
        ("udp6 from reflectors", [7, 19, 53].map(|port| send(&ip, &datagram(&ip, port, 7, b"x"))).to_vec()),
        ("udp6, cut", [0, 1, 7].map(|n| send(&ip, &datagram(&ip, 4000, 7, b"")[..n])).to_vec()),
        ("udp6, tagged", [0, 5, 100].map(|tag| tagged(&hello(&ip), 0x8100, tag)).to_vec()),
    ]
}

fn addresses() -> Vec<Named> {
    let parse = |text: &str| text.parse().unwrap();
    let by = |mac: [u8; 6], frame: Vec<u8>| [&mac[..], &frame[6..]].concat();
    vec![
        ("ipv6 to the other addresses", vec![hello(&to(SECOND6)), hello(&to(LOCAL6))]),
        ("ipv6 from a link-local address", vec![hello(&Ipv6 { source: PEER_LOCAL, ..to(LOCAL6) })]),
        ("ipv6 to the group", vec![hello(&to(GROUP6)), by(HOST.mac, hello(&to(GROUP6)))]),
        ("ipv6 to an alias of the group", vec![hello(&to(ALIAS6))]),
        ("ipv6 to the group of a source", {
            vec![hello(&to(SOURCE_GROUP6)), hello(&Ipv6 { source: SOURCE6, ..to(SOURCE_GROUP6) })]
        }),
        ("ipv6 to all nodes", vec![hello(&to(ALL_NODES)), knock(&to(ALL_NODES))]),
        (
            "ipv6 to solicited nodes",
            vec![hello(&to(solicited_node(HOST6))), hello(&to(solicited_node(PEER6)))],
        ),
        ("ipv6 to what is nowhere", {
            ["::", "::1", "ff01::1", "ff00::1", "2001:db8::77"].map(|ip| hello(&to(parse(ip)))).to_vec()
        }),
        ("ipv6 from what is nobody", {
            ["::", "::1", "ff02::1", "::ffff:192.0.2.9", "2001:db8::2", "fe80::ff:fe00:2"]
                .map(|ip| hello(&from(parse(ip))))
                .to_vec()
        }),
        ("ipv6 from far away", vec![hello(&from(parse("2001:db8:9::9")))]),
        ("ipv6 to us, in frames for many", {
            [[0xff; 6], [0x33, 0x33, 0, 0, 0, 1], [0x33, 0x33, 0, 2, 0, 3]]
                .map(|m| by(m, hello(&plain())))
                .to_vec()
        }),
    ]
}

fn headers() -> Vec<Named> {
    let changed = |at: usize, byte: u8| {
        let mut frame = hello(&plain());
        frame[14 + at] = byte;
        frame
    };
    let next = |number: u8| send(&Ipv6 { next_header: number, ..plain() }, &[7; 24]);
    vec![
        ("ipv6 of other versions", [0x00, 0x40, 0x50, 0x70, 0xf0].map(|byte| changed(0, byte)).to_vec()),
        ("ipv6 of other lengths", [0, 1, 7, 12, 14, 255].map(|len| changed(5, len)).to_vec()),
        (
            "ipv6 of other hop limits",
            [0, 1, 255].map(|hops| hello(&Ipv6 { hop_limit: hops, ..plain() })).to_vec(),
        ),
        ("ipv6 with a class and a label", {
            vec![hello(&Ipv6 { traffic_class: 0xba, flow_label: 0xf_ffff, ..plain() })]
        }),
        ("ipv6 of unknown next headers", [2, 4, 6, 41, 50, 51, 59, 89, 132, 253, 255].map(next).to_vec()),
    ]
}

fn option(kind: u8, len: usize) -> HeaderOption {
    HeaderOption::new(kind, &vec![0; len])
}

fn hop(options: &[HeaderOption]) -> Extension {
    Extension::HopByHop(options.to_vec())
}

fn dst(options: &[HeaderOption]) -> Extension {
    Extension::Destination(options.to_vec())
}

fn routing(kind: u8, segments_left: u8) -> Extension {
    Extension::Routing { kind, segments_left, data: vec![0; 20] }
}

fn extensions() -> Vec<Named> {
    let with = |extensions: &[Extension]| hello(&plain().with(extensions));
    let many = |ip: Ipv6Addr, extensions: &[Extension]| hello(&to(ip).with(extensions));
    let unknown = [0x1e, 0x5e, 0x9e, 0xde];
    let other = |number: u8| Extension::Other { number, bytes: vec![0, 0, 0, 0, 0, 0, 0] };
    let mut beyond = with(&[dst(&[])]);
    beyond[55] = 200;
    vec![
        ("hop-by-hop options", vec![with(&[hop(&[])]), with(&[hop(&[HeaderOption::router_alert()])])]),
        ("hop-by-hop options, unknown", unknown.map(|kind| with(&[hop(&[option(kind, 2)])])).to_vec()),
        ("hop-by-hop options, not the first", {
            vec![with(&[hop(&[]), hop(&[])]), with(&[dst(&[]), hop(&[])])]
        }),
        ("destination options", vec![with(&[dst(&[])]), with(&[dst(&[option(0x1e, 60)])])]),
        ("destination options, unknown", unknown.map(|kind| with(&[dst(&[option(kind, 3)])])).to_vec()),
        ("destination options to a group, unknown", {
            unknown.map(|kind| many(GROUP6, &[dst(&[option(kind, 3)])])).to_vec()
        }),
        ("routing headers", {
            [(0, 0), (0, 1), (2, 0), (2, 1), (3, 0), (4, 2), (253, 0)]
                .map(|(k, s)| with(&[routing(k, s)]))
                .to_vec()
        }),
        ("a chain of everything", {
            let chain =
                [hop(&[option(0x1e, 4)]), dst(&[option(0x1e, 1)]), routing(2, 0), dst(&[option(0x3e, 9)])];
            vec![with(&chain), knock(&plain().with(&chain)), ping(&plain().with(&chain), 8)]
        }),
        ("too many headers", [8, 9, 30].map(|n| with(&vec![dst(&[]); n])).to_vec()),
        ("too many options", [8, 9, 30].map(|n| with(&[dst(&vec![option(0x1e, 0); n])])).to_vec()),
        ("too much padding", [5, 6, 250].map(|n| with(&[dst(&[option(1, n)])])).to_vec()),
        ("a jumbogram", vec![with(&[hop(&[option(0xc2, 4)])])]),
        ("a header beyond the end", vec![beyond]),
        ("mobility and the like", [51, 135, 139, 140].map(|number| with(&[other(number)])).to_vec()),
        ("no next header behind options", {
            vec![send(&Ipv6 { next_header: 59, ..plain() }.with(&[dst(&[])]), &[7; 20])]
        }),
    ]
}

/// A datagram to the echo that is as long as this, behind these headers.
fn long(len: usize, extensions: &[Extension]) -> Vec<u8> {
    let payload: Vec<u8> = (0..=255).cycle().take(len).collect();
    let ip = plain().with(extensions);
    send(&ip, &datagram(&ip, 4000, 7, &payload))
}

fn fragments() -> Vec<Named> {
    let mut ids = 0x4000_0000_u32;
    let mut id = || {
        // So far apart that no change of one byte makes another's of it.
        ids += 0x0303_0333;
        ids
    };
    let piece = |id: u32, from: usize, bytes: &[u8], more: bool| {
        let offset = u16::try_from(from / 8).unwrap();
        send(&plain().with(&[Extension::Fragment { offset, more, id }]), bytes)
    };
    let w = long(100, &[])[54..].to_vec();
    let part = |id, from: usize, to: usize| piece(id, from, &w[from..to], to < w.len());
    let reversed = |mut frames: Vec<Vec<u8>>| {
        frames.reverse();
        frames
    };
    let solicitation = NdpFrame::solicitation(PEER6, HOST6);
    let behind_options = |frame: &NdpFrame| {
        let mut icmp = frame.icmp();
        icmp.ip.extensions = vec![dst(&[])];
        icmp.frame()
    };
    let mut kinds: Vec<Named> = vec![
        ("fragments6, two", cut6(&long(100, &[]), id(), &[64])),
        ("fragments6, three", cut6(&long(100, &[]), id(), &[40, 80])),
        ("fragments6, reversed", reversed(cut6(&long(100, &[]), id(), &[40, 80]))),
        ("fragments6, 8 bytes first", cut6(&long(40, &[]), id(), &[8])),
        (
            "fragments6, doubled",
            cut6(&long(100, &[]), id(), &[64]).into_iter().flat_map(|f| [f.clone(), f]).collect(),
        ),
        ("fragments6, behind headers", cut6(&long(100, &[hop(&[]), routing(2, 0)]), id(), &[64])),
        ("fragments6, of headers", cut6(&long(100, &[dst(&[option(0x1e, 9)])]), id(), &[64])),
        ("fragments6, of headers alone", cut6(&long(100, &[dst(&[option(0x1e, 60)])]), id(), &[8])),
        ("fragments6, the first alone", vec![part(id(), 0, 64)]),
        ("fragments6, the last alone", vec![part(id(), 64, 108)]),
        ("fragments6, of a longest datagram", cut6_evenly(&long(65_527, &[]), id(), 1448)),
        ("fragments6, more than a link holds", cut6_evenly(&long(4000, &[]), id(), 1448)),
        ("fragments6, of a solicitation", cut6(&solicitation.frame(), id(), &[16])),
        ("fragments6, of a solicitation behind options", cut6(&behind_options(&solicitation), id(), &[24])),
        ("fragments6, of a ping", cut6(&ping(&plain(), 200), id(), &[64])),
        (
            "fragments6, to the group",
            cut6(&send(&to(GROUP6), &datagram(&to(GROUP6), 4000, 7, &[7; 90])), id(), &[48]),
        ),
        (
            "fragments6, to a closed port",
            cut6(&send(&plain(), &datagram(&plain(), 4000, CLOSED, &[7; 90])), id(), &[48]),
        ),
    ];
    let mut of = |name, make: &dyn Fn(u32) -> Vec<Vec<u8>>| kinds.push((name, make(id())));
    of("fragments6, overlapping", &|id| vec![part(id, 0, 48), part(id, 40, 80), part(id, 80, 108)]);
    of("fragments6, inside another", &|id| vec![part(id, 0, 80), part(id, 24, 48), part(id, 80, 108)]);
    of("fragments6, two ends", &|id| {
        vec![piece(id, 40, &w[40..80], false), part(id, 40, 108), part(id, 0, 40)]
    });
    of("fragments6, of odd length", &|id| vec![piece(id, 0, &w[..20], true)]);
    of("fragments6, beyond the end", &|id| {
        vec![piece(id, 65_528, &w[..64], false), piece(id, 65_528, &w[..8], true)]
    });
    of("fragments6, empty", &|id| {
        vec![piece(id, 24, &[], true), piece(id, 48, &[], false), piece(id, 0, &[], true)]
    });
    of("fragments6, an atomic one", &|id| vec![piece(id, 0, &w, false)]);
    of("fragments6, an atomic one among others", &|id| {
        vec![part(id, 0, 64), piece(id, 0, &w, false), part(id, 64, 108)]
    });
    of("fragments6, without the whole chain", &|id| {
        let first = Extension::Fragment { offset: 0, more: true, id };
        let cut = long(100, &[dst(&[option(0x1e, 60)])])[54..].to_vec();
        vec![
            send(&Ipv6 { next_header: 60, ..plain() }.with(&[first]), &cut[..32]),
            piece(id, 0, &w[..4], true),
        ]
    });
    of("fragments6, a fragment in a fragment", &|id| {
        let inner = Extension::Fragment { offset: 0, more: true, id: id + 1 };
        let outer = |offset, more| Extension::Fragment { offset, more, id };
        vec![
            send(&plain().with(&[outer(0, true), inner.clone()]), &w[..64]),
            send(&plain().with(&[outer(0, false), inner.clone()]), &w[..64]),
            send(&plain().with(&[inner, outer(0, false)]), &w[..64]),
        ]
    });
    of("fragments6 with congestion", &|id| {
        let mark = |mut frame: Vec<u8>, ecn: u8| {
            frame[15] |= ecn << 4;
            frame
        };
        vec![mark(part(id, 0, 64), 2), mark(part(id, 64, 108), 3)]
    });
    of("fragments6, tagged", &|id| {
        [part(id, 0, 64), part(id, 64, 108)].map(|frame| tagged(&frame, 0x8100, 0)).to_vec()
    });
    kinds
}

fn icmps() -> Vec<Named> {
    let ip = plain();
    let mut damaged = ping(&ip, 8);
    damaged[60] ^= 1;
    vec![
        ("icmp6 echo request", vec![ping(&ip, 8)]),
        ("icmp6 echo requests, lengths", [0, 1, 55, 56, 1000, 1452].map(|len| ping(&ip, len)).to_vec()),
        ("icmp6 echo requests, codes", [1, 9, 255].map(|code| message(&ip, 128, code, &[0; 8])).to_vec()),
        ("icmp6 echo requests to many", {
            [ALL_NODES, GROUP6, solicited_node(HOST6)].map(|group| ping(&to(group), 8)).to_vec()
        }),
        ("icmp6 echo requests to other addresses", vec![ping(&to(SECOND6), 8), ping(&to(LOCAL6), 8)]),
        ("icmp6 echo request, damaged", vec![damaged]),
        ("icmp6 echo request, cut", {
            let ip = Ipv6 { next_header: ICMPV6, ..ip.clone() };
            (0..8).map(|n| send(&ip, &sealed6(ip.source, ip.destination, vec![128; 8])[..n])).collect()
        }),
        ("icmp6 echo reply", vec![message(&ip, 129, 0, &[0, 1, 0, 2, 3])]),
        ("icmp6 of other types", {
            [
                0, 5, 99, 100, 101, 127, 138, 139, 140, 141, 142, 144, 145, 147, 151, 152, 153, 155, 160,
                200, 201, 255,
            ]
            .map(|kind| message(&ip, kind, 0, &[0; 20]))
            .to_vec()
        }),
    ]
}

/// Errors about what the host sent, or might have.
fn errors() -> Vec<Named> {
    let ours = Ipv6::new(HOST6, PEER6, UDP);
    let quote = ours.packet(&datagram(&ours, 7, 4000, &[7; 100]));
    let error = |kind, code, word: u32, quote: &[u8]| {
        message(&plain(), kind, code, &[&word.to_be_bytes()[..], quote].concat())
    };
    let about = |packet: &[u8]| error(1, 4, 0, packet);
    let piece = |offset| {
        ours.clone().with(&[Extension::Fragment { offset, more: true, id: 9 }]).packet(&quote[40..80])
    };
    let of_icmp = |kind: u8| {
        let ip = Ipv6 { next_header: ICMPV6, ..ours.clone() };
        ip.packet(&sealed6(ip.source, ip.destination, [&[kind, 0, 0, 0, 0, 0, 0, 0], &quote[..48]].concat()))
    };
    vec![
        ("icmp6 unreachable", (0..=8).map(|code| error(1, code, 0, &quote)).collect()),
        ("icmp6 packet too big", {
            [0, 68, 600, 1279, 1280, 1300, 1499, 1500, 9000, u32::MAX]
                .map(|mtu| error(2, 0, mtu, &quote))
                .to_vec()
        }),
        ("icmp6 time exceeded", vec![error(3, 0, 0, &quote), error(3, 1, 0, &quote)]),
        ("icmp6 parameter problem", (0..=4).map(|code| error(4, code, 40, &quote)).collect()),
        ("icmp6 error about a cut packet", [0, 1, 39, 40, 41, 47, 48].map(|n| about(&quote[..n])).to_vec()),
        ("icmp6 error about headers", {
            vec![about(&ours.clone().with(&[hop(&[]), dst(&[option(0x1e, 4)])]).packet(&quote[40..]))]
        }),
        ("icmp6 error about fragments", vec![about(&piece(0)), about(&piece(5))]),
        ("icmp6 error about ICMP", [1, 3, 129, 135, 137].map(|kind| about(&of_icmp(kind))).to_vec()),
        ("icmp6 error about what is not ours", {
            let other = Ipv6::new(PEER6, HOST6, UDP);
            vec![about(&other.packet(&quote[40..])), about(&ours.packet(&datagram(&ours, 4001, 4000, b"x")))]
        }),
        ("icmp6 error to a group", vec![message(&to(GROUP6), 1, 4, &[&[0; 4], &quote[..]].concat())]),
    ]
}

fn ndp() -> Vec<Named> {
    let with_mac = |mut frame: NdpFrame| {
        frame.source_mac = PEER_MAC;
        if !frame.destination.is_multicast() {
            frame.destination_mac = MacAddr(HOST.mac);
        }
        frame
    };
    let ask = |target: Ipv6Addr| with_mac(NdpFrame::solicitation(PEER6, target));
    let say = |message: NdpMessage, to: Ipv6Addr, options: &[NdpOption]| {
        let mut frame = with_mac(NdpFrame::between(PEER_LOCAL, to, message));
        frame.options = options.to_vec();
        frame.frame()
    };
    let answer = |target, flags: u8, to| {
        let (router, solicited, overrides) = (flags & 4 != 0, flags & 2 != 0, flags & 1 != 0);
        let message = NdpMessage::NeighborAdvertisement { target, router, solicited, overrides };
        say(message, to, &[NdpOption::TargetLinkLayer(PEER_MAC)])
    };
    let prefix = |text: &str, len, on_link, autonomous, valid_s, preferred_s| {
        let prefix = text.parse().unwrap();
        NdpOption::Prefix(Prefix { prefix, len, on_link, autonomous, valid_s, preferred_s })
    };
    let router = |lifetime_s, options: &[NdpOption]| {
        let said = RouterAdvertisement {
            lifetime_s,
            hop_limit: 64,
            flags: 0x08,
            reachable_ms: 30_000,
            retrans_ms: 1000,
        };
        say(NdpMessage::RouterAdvertisement(said), ALL_NODES, options)
    };
    let changed = |at: usize, byte: u8| {
        let mut frame = ask(HOST6).frame();
        frame[at] = byte;
        frame
    };
    let mut asks_us = ask(HOST6);
    (asks_us.destination, asks_us.destination_mac) = (HOST6, MacAddr(HOST.mac));
    let far = "2001:db8:9::9".parse().unwrap();
    vec![
        ("solicitations", [HOST6, SECOND6, LOCAL6, PEER6].map(|target| ask(target).frame()).to_vec()),
        ("a solicitation to us", vec![asks_us.frame()]),
        ("a solicitation in one fragment", {
            let mut icmp = ask(HOST6).icmp();
            icmp.ip.extensions = vec![Extension::Fragment { offset: 0, more: false, id: 9 }];
            vec![icmp.frame()]
        }),
        ("solicitations of other forms", {
            // A hop limit, a code, options of length 0 and 9.
            [(21, 64), (55, 1), (79, 0), (79, 9)].map(|(at, byte)| changed(at, byte)).to_vec()
        }),
        ("probes for addresses", {
            [HOST6, SECOND6, PEER6].map(|target| NdpFrame::probe(PEER_MAC, target, None).frame()).to_vec()
        }),
        ("advertisements", {
            (0..8).flat_map(|flags| [answer(PEER6, flags, HOST6), answer(PEER6, flags, ALL_NODES)]).collect()
        }),
        ("advertisements of our addresses", [HOST6, LOCAL6].map(|ip| answer(ip, 1, ALL_NODES)).to_vec()),
        ("router solicitations", {
            [PEER_LOCAL, Ipv6Addr::UNSPECIFIED]
                .map(|ip| with_mac(NdpFrame::router_solicitation(ip)).frame())
                .to_vec()
        }),
        ("router advertisements", {
            vec![
                router(1800, &[]),
                router(0, &[]),
                router(1800, &[NdpOption::SourceLinkLayer(PEER_MAC), NdpOption::Mtu(1400)]),
                router(1800, &[prefix("2001:db8:5::", 64, true, true, 86_400, 14_400)]),
                router(1800, &[prefix("2001:db8:5::", 64, true, true, 0, 0)]),
                router(1800, &[prefix("2001:db8:6::", 63, true, true, 600, 601)]),
                router(1800, &[prefix("fe80::", 64, true, true, 600, 600), NdpOption::Mtu(68)]),
                router(1800, &[NdpOption::Other(25, vec![0; 22]), NdpOption::Other(31, vec![0; 14])]),
            ]
        }),
        ("redirects", {
            let redirect = |target, to| say(NdpMessage::Redirect { target, destination: far }, to, &[]);
            vec![redirect(PEER_LOCAL, HOST6), redirect(far, HOST6), redirect(PEER_LOCAL, ALL_NODES)]
        }),
    ]
}

fn mld() -> Vec<Named> {
    let general = MldQuery::general(PEER_LOCAL);
    let specific = |group, sources: &[Ipv6Addr]| MldQuery::specific(PEER_LOCAL, group, sources);
    let old = |kind: u8, group: Ipv6Addr, to: Ipv6Addr| {
        mld_frame(PEER_LOCAL, to, kind, &[&[0; 4], &group.octets()[..]].concat()).frame()
    };
    let record = |kind: u8, sources: u8, aux: u8| {
        let mut body = vec![0, 0, 0, 1, kind, aux, 0, sources];
        body.extend(GROUP6.octets());
        body.extend(vec![9; 16 * usize::from(sources) + 4 * usize::from(aux)]);
        mld_frame(PEER_LOCAL, "ff02::16".parse().unwrap(), 143, &body).frame()
    };
    let changed = |change: &dyn Fn(&mut pollcast::sim::frames::IcmpFrame6)| {
        let mut icmp = general.icmp();
        change(&mut icmp);
        icmp.frame()
    };
    vec![
        ("mld query", vec![general.frame()]),
        ("mld v1 query", vec![MldQuery { version: 1, ..general.clone() }.frame()]),
        ("mld v1 query for the group", vec![MldQuery { version: 1, ..specific(GROUP6, &[]) }.frame()]),
        ("mld queries for groups", {
            vec![specific(GROUP6, &[]).frame(), specific(SOURCE_GROUP6, &[SOURCE6, PEER6]).frame()]
        }),
        ("mld queries that are none", {
            vec![
                changed(&|icmp| icmp.ip.hop_limit = 2),
                changed(&|icmp| icmp.ip.extensions.clear()),
                changed(&|icmp| icmp.ip.source = PEER6),
                changed(&|icmp| icmp.ip.destination = HOST6),
                changed(&|icmp| icmp.body.truncate(19)),
                changed(&|icmp| icmp.body.truncate(22)),
                changed(&|icmp| icmp.body[23] = 9),
            ]
        }),
        ("mld reports", (1..=7).map(|kind| record(kind, 2, 0)).collect()),
        ("mld report with auxiliary data", vec![record(4, 1, 2)]),
        (
            "mld v1 report and done",
            vec![old(131, GROUP6, GROUP6), old(132, GROUP6, "ff02::2".parse().unwrap())],
        ),
    ]
}
