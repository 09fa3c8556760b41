//! Fragments: those that become whole, those that never do, those that come late.

use super::super::frames::{Host, ICMP, Ipv4, ROUTER_ALERT, UDP, Udp, checksum, echo_request, frame, tagged};
use super::super::kinds::{cut, piece_of};
use super::super::lab::{HOST, HOST_SECOND, PEER};
use super::{CLOSED, GROUP, SUBNET_BROADCAST, Stimulus, flagged, marked, plain, sent, some, to_port, whole};

/// Datagrams in fragments that become whole.
pub(super) fn whole_fragments() -> Vec<Stimulus> {
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
pub(super) fn broken_fragments() -> Vec<Stimulus> {
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

/// Fragments that never become whole, and later ones that change nothing of when their time is over: two moments.
pub fn late_fragments() -> Vec<Stimulus> {
    let head = |n: u8| to_port(Host::number(n), u16::from(n), 7, 100);
    let bits = |n: u8, from: usize, to: usize, more| {
        let packet = head(n);
        frame(Host::number(n), HOST, &piece_of(&packet[..20], from, &packet[20 + from..20 + to], more))
    };
    let first = vec![
        bits(130, 0, 64, true),
        // The first is not there.
        bits(131, 64, 108, false),
        bits(132, 0, 40, true),
        bits(132, 80, 108, false),
        bits(133, 0, 40, true),
        bits(134, 40, 80, true),
    ];
    // More of some of them, and the first of one whose time began without it.
    let second = vec![bits(133, 40, 80, true), bits(134, 0, 40, true)];
    vec![some("F09 fragments", first), some("F09 more fragments", second)]
}
