//! Fragments of IPv6: those that become whole, those that never do, those that come late.

use ::pollcast::sim::frames::fragment6::cut6;

use super::super::frames::tagged;
use super::super::six::{GROUP6, HOST6, HOST6_LOCAL, HOST6_SECOND, Host6};
use super::{
    CLOSED, Extension, HeaderOption, ICMPV6, Ipv6, Stimulus, UDP, between, datagram6, destination, frame6,
    hop_by_hop, message6, plain6, send6, some, to,
};

/// The packet in `frame`, cut at these ends.
pub(super) fn cut_packet(frame: &[u8], id: u32, ends: &[usize]) -> Vec<Vec<u8>> {
    cut6(frame, id, ends)
}

/// A datagram of `len` bytes to the echo, as it is behind the header.
fn whole(len: usize) -> Vec<u8> {
    of(&plain6(), 7, len)
}

fn of(ip: &Ipv6, port: u16, len: usize) -> Vec<u8> {
    let payload: Vec<u8> = (0..=255).cycle().take(len).collect();
    datagram6(ip, 4000, port, &payload)
}

/// The piece of `bytes` from `from` to `to`, `more` of which follows.
fn bits(ip: &Ipv6, id: u32, bytes: &[u8], from: usize, to: usize, more: bool) -> Vec<u8> {
    let offset = u16::try_from(from / 8).unwrap();
    let mut extensions = ip.extensions.clone();
    extensions.push(Extension::Fragment { offset, more, id });
    let ip = Ipv6 { extensions, ..ip.clone() };
    send6(&ip, &bytes[from..to])
}

/// `bytes` behind the header of `ip` in pieces of `size`.
fn even(ip: &Ipv6, id: u32, bytes: &[u8], size: usize) -> Vec<Vec<u8>> {
    let starts = (0..bytes.len()).step_by(size);
    starts.map(|at| bits(ip, id, bytes, at, bytes.len().min(at + size), at + size < bytes.len())).collect()
}

fn reversed(mut frames: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    frames.reverse();
    frames
}

/// With another field of the fragment header, which is the first extension header.
fn field(mut frame: Vec<u8>, at: usize, value: u8) -> Vec<u8> {
    frame[54 + at] = value;
    frame
}

fn marked(mut frame: Vec<u8>, traffic_class: u8) -> Vec<u8> {
    frame[14] = 0x60 | traffic_class >> 4;
    frame[15] = traffic_class << 4;
    frame
}

/// Datagrams in fragments that become whole.
pub(super) fn whole_fragments6() -> Vec<Stimulus> {
    let ip = plain6();
    let (w, n) = (whole(100), 108);
    let b = |id, from, to| bits(&ip, id, &w, from, to, to < n);
    let group = to(GROUP6);
    let mut all = vec![
        some("W02 two in order", even(&ip, 1, &w, 64)),
        some("W02 three in order", even(&ip, 2, &w, 40)),
        some("W02 two reversed", reversed(even(&ip, 3, &w, 64))),
        some("W02 ten reversed", reversed(even(&ip, 4, &whole(792), 80))),
        some("W03 each twice", even(&ip, 5, &w, 40).into_iter().flat_map(|f| [f.clone(), f]).collect()),
        some("W02 the middle last", vec![b(6, 0, 40), b(6, 80, n), b(6, 40, 80)]),
        some("W02 of 8 bytes each", even(&ip, 7, &w, 8)),
        some("W02 of 8 bytes each, reversed", reversed(even(&ip, 8, &w, 8))),
        some("W02 two datagrams by turns", {
            let other = whole(60);
            let o = |from, to, more| bits(&ip, 10, &other, from, to, more);
            vec![b(9, 0, 40), o(0, 40, true), b(9, 40, 80), o(40, 68, false), b(9, 80, n)]
        }),
        some("W02 inside what is there", vec![b(11, 0, 80), b(11, 24, 48), b(11, 80, n)]),
        some("W02 inside what is there, at its end", vec![b(12, 0, 80), b(12, 40, 80), b(12, 80, n)]),
        some("W02 the first again, shorter", vec![b(13, 0, 80), b(13, 0, 40), b(13, 80, n)]),
        some("W03 the last again", vec![b(14, 80, n), b(14, 80, n), b(14, 0, 80)]),
        some("W11 longer than a frame", even(&ip, 15, &whole(4000), 1448)),
        some("W11 longest", even(&ip, 16, &whole(65_527), 1448)),
        some("W11 longest, reversed", reversed(even(&ip, 17, &whole(65_527), 1448))),
        some("W11 1500 bytes", even(&ip, 18, &whole(1452), 1232)),
        some("W01 one that is whole", even(&ip, 19, &w, 1448)),
        some("W01 one that is whole, of an identification that is there", {
            vec![b(20, 0, 64), even(&ip, 20, &whole(50), 1448).remove(0), b(20, 64, n)]
        }),
        some("W09 reserved bits", even(&ip, 21, &w, 64).into_iter().map(|f| field(f, 1, 0xff)).collect()),
        some("W09 reserved bits of the offset", {
            vec![field(b(22, 0, 64), 3, 7), field(b(22, 64, n), 3, 64 | 6)]
        }),
        some("W09 reserved bits of one that is whole", {
            vec![field(field(even(&ip, 23, &w, 1448).remove(0), 1, 0xff), 3, 6)]
        }),
        some("W08 another next header in the last", vec![b(24, 0, 64), field(b(24, 64, n), 0, 253)]),
        some("W08 no next header in the last", vec![b(25, 0, 64), field(b(25, 64, n), 0, 59)]),
        some("W08 another next header in the last, which comes first", {
            vec![field(b(26, 64, n), 0, 253), b(26, 0, 64)]
        }),
        some("W02 in a priority tag", even(&ip, 27, &w, 64).iter().map(|f| tagged(f, 0x8100, 0)).collect()),
        some("W02 to the group", even(&group, 28, &of(&group, 7, 90), 48)),
        some("W02 to the link-local address", {
            let ip = to(HOST6_LOCAL.ip);
            even(&ip, 29, &of(&ip, 7, 90), 48)
        }),
        some("W02 bytes behind the fragments", {
            even(&ip, 30, &w, 64).into_iter().map(|f| [&f[..], &[0xee; 9]].concat()).collect()
        }),
        some("W13 an echo request longer than the link", {
            let ip = Ipv6 { next_header: ICMPV6, ..plain6() };
            even(&ip, 31, &message6(&ip, 128, 0, &[7; 3000]), 1448)
        }),
        some("W02 of an echo request", {
            let ip = Ipv6 { next_header: ICMPV6, ..plain6() };
            even(&ip, 32, &message6(&ip, 128, 0, &[7; 200]), 64)
        }),
        some("U06 a wrong byte in the second", {
            let mut frames = even(&ip, 33, &w, 64);
            *frames[1].last_mut().unwrap() ^= 1;
            frames
        }),
        some("K02 fragments to a closed port", even(&ip, 34, &of(&ip, CLOSED, 100), 64)),
        some("K02 fragments to a closed port, long", even(&ip, 35, &of(&ip, CLOSED, 4000), 1448)),
        some("V08 fragments of an unknown header", {
            even(&Ipv6 { next_header: 253, ..plain6() }, 36, &[7; 100], 64)
        }),
    ];
    all.extend(with_headers());
    for (id, (first, second)) in (40..).zip((0..4_u8).flat_map(|a| (0..4_u8).map(move |b| (a, b)))) {
        let frames = even(&ip, id, &w, 64).into_iter().zip([first, second]).map(|(f, ecn)| marked(f, ecn));
        all.push(some(&format!("W02 congestion marks {first} and {second}"), frames.collect()));
    }
    all
}

/// Fragments of packets that have other extension headers too.
fn with_headers() -> Vec<Stimulus> {
    let skipped = HeaderOption::new(0x1e, &[1, 2, 3]);
    let answered = HeaderOption::new(0x9e, &[1, 2, 3]);
    let hop = plain6().with(&[hop_by_hop(std::slice::from_ref(&skipped))]);
    let way = plain6().with(&[Extension::Routing { kind: 0, segments_left: 0, data: vec![0; 4] }]);
    let options = |option: &HeaderOption, next: u8| destination(std::slice::from_ref(option)).bytes(next);
    let inside = |option: &HeaderOption| [options(option, UDP), whole(100)].concat();
    let inner = Ipv6 { next_header: 60, ..plain6() };
    let deep = [options(&skipped, 60), options(&skipped, 253), vec![7; 50]].concat();
    vec![
        some("W02 behind hop-by-hop options", even(&hop, 60, &whole(100), 64)),
        some("W02 behind a routing header", even(&way, 61, &whole(100), 64)),
        some("W02 before destination options", even(&inner, 62, &inside(&skipped), 64)),
        some("V09 before an option to be answered", even(&inner, 63, &inside(&answered), 64)),
        some("V08 an unknown header behind options behind fragments", even(&inner, 64, &deep, 64)),
        some("V09 an option to be answered before fragments", {
            even(&plain6().with(&[hop_by_hop(&[answered])]), 65, &whole(100), 64)
        }),
        some("W02 hop-by-hop options in the first alone", {
            vec![bits(&hop, 66, &whole(100), 0, 64, true), bits(&plain6(), 66, &whole(100), 64, 108, false)]
        }),
    ]
}

/// Fragments that never become whole.
pub(super) fn broken_fragments6() -> Vec<Stimulus> {
    let ip = plain6();
    let (w, n) = (whole(100), 108);
    let b = |id, from, to| bits(&ip, id, &w, from, to, to < n);
    let end = |id, from, to| bits(&ip, id, &w, from, to, false);
    let far = |id: u32, offset: u16, len: usize, more| {
        let ip = plain6().with(&[Extension::Fragment { offset, more, id }]);
        send6(&ip, &vec![7; len])
    };
    let odd = |id, from, to| bits(&ip, id, &w, from, to, true);
    let mut all = vec![
        some("W02 8 bytes twice", vec![b(101, 0, 48), b(101, 40, 80), b(101, 80, n)]),
        some("W02 8 bytes twice, the last first", vec![b(102, 80, n), b(102, 40, 88), b(102, 0, 40)]),
        some("W02 around what is there", vec![b(103, 40, 48), b(103, 0, 80), b(103, 80, n)]),
        some("W02 over two", vec![b(104, 0, 24), b(104, 48, 80), b(104, 16, 56), b(104, 80, n)]),
        some("W02 8 bytes twice, and then the whole again", {
            vec![b(105, 0, 48), b(105, 40, 80), b(105, 0, 80), b(105, 80, n)]
        }),
        some("W04 an odd length first", vec![odd(106, 0, 20)]),
        some("W04 an odd length in the middle", vec![b(107, 0, 40), odd(107, 40, 63), b(107, 64, n)]),
        some("W04 one byte first", vec![odd(108, 0, 1)]),
        some("W05 beyond the end", vec![far(109, 8191, 64, false)]),
        some("W05 just beyond the end", vec![b(110, 0, 80), far(110, 8189, 32, false)]),
        some("W05 up to the end", vec![far(111, 8190, 15, false)]),
        some("W05 beyond the end, and more", vec![far(112, 8191, 16, true)]),
        some("W02 two ends", vec![end(113, 40, 80), end(113, 40, 108), b(113, 0, 40)]),
        some("W02 beyond the end that was said", vec![end(114, 40, 80), b(114, 80, 104), b(114, 0, 40)]),
        some("W02 an end before what is there", vec![b(115, 40, 80), end(115, 24, 40), b(115, 0, 24)]),
        some("W02 nothing first", vec![b(116, 0, 0), b(116, 0, n)]),
        some("W02 nothing in the middle", vec![b(117, 0, 40), b(117, 40, 40), b(117, 40, n)]),
        some("W02 nothing last", vec![b(118, 0, 104), far(118, 13, 0, false)]),
        some("W08 another identification", vec![b(119, 0, 64), b(120, 64, n)]),
        some("W08 another source", {
            let other = Host6::number(0x13);
            let last = Ipv6 { source: other.ip, ..plain6() };
            vec![b(121, 0, 64), bits(&last, 121, &w, 64, n, false)]
        }),
        some("W08 another destination", {
            vec![b(122, 0, 64), bits(&to(HOST6_SECOND.ip), 122, &w, 64, n, false)]
        }),
        some("W07 the last alone", vec![b(123, 64, n)]),
        some("W07 the first alone", vec![b(124, 0, 64)]),
        some("W07 a hole", vec![b(125, 0, 40), b(125, 80, n)]),
        some(
            "V03 a fragment from a group",
            vec![bits(&Ipv6 { source: GROUP6, ..plain6() }, 126, &w, 0, 64, true)],
        ),
        some("V08 the last of an unknown header", {
            vec![bits(&Ipv6 { next_header: 253, ..plain6() }, 127, &w, 64, n, false)]
        }),
        some("W04 an odd length to a group", vec![bits(&to(GROUP6), 128, &w, 0, 20, true)]),
        some("W05 beyond the end, to a group", {
            let ip = to(GROUP6).with(&[Extension::Fragment { offset: 8191, more: false, id: 129 }]);
            vec![send6(&ip, &[7; 64])]
        }),
    ];
    all.extend(without_chain());
    all
}

/// First fragments that end before their headers do. W06, RFC 7112 5.
fn without_chain() -> Vec<Stimulus> {
    let options = destination(&[HeaderOption::new(0x1e, &[1; 20])]).bytes(UDP);
    let chain = [options, whole(100)].concat();
    let inner = Ipv6 { next_header: 60, ..plain6() };
    let rest = |ip: &Ipv6, id, bytes: &[u8], at: usize| {
        vec![bits(ip, id, bytes, 0, at, true), bits(ip, id, bytes, at, bytes.len(), false)]
    };
    let icmp = Ipv6 { next_header: ICMPV6, ..plain6() };
    vec![
        some("W06 options that end in the second", rest(&inner, 140, &chain, 8)),
        some("W06 options that end in the second, to a group", {
            rest(&Ipv6 { destination: GROUP6, ..inner.clone() }, 141, &chain, 16)
        }),
        some("W06 options, and UDP's header in the second", rest(&inner, 142, &chain, 24)),
        some("W06 options, and UDP's header in both", rest(&inner, 143, &chain, 32)),
        some("W06 eight bytes of UDP", rest(&plain6(), 144, &whole(100), 8)),
        some("W06 eight bytes of a ping", rest(&icmp, 145, &message6(&icmp, 128, 0, &[7; 60]), 8)),
        some("W06 options that nothing follows", {
            let ip = inner.with(&[Extension::Fragment { offset: 0, more: true, id: 146 }]);
            vec![send6(&ip, &[])]
        }),
    ]
}

/// Fragments that never become whole, and later ones that change nothing of when their time is over: two moments.
pub fn late_fragments6() -> Vec<Stimulus> {
    let piece = |n: u16, from: usize, to: usize, more: bool| {
        let host = Host6::number(0x200 + n);
        let ip = between(host, HOST6);
        let bytes = of(&ip, 7, 100);
        let offset = u16::try_from(from / 8).unwrap();
        let ip = ip.with(&[Extension::Fragment { offset, more, id: u32::from(n) }]);
        frame6(host, HOST6, &ip.packet(&bytes[from..to]))
    };
    let first = vec![
        piece(0, 0, 64, true),
        // The first is not there.
        piece(1, 64, 108, false),
        piece(2, 0, 40, true),
        piece(2, 80, 108, false),
        piece(3, 0, 40, true),
        piece(4, 40, 80, true),
    ];
    // More of some of them, and the first of one whose time began without it.
    let second = vec![piece(3, 40, 80, true), piece(4, 0, 40, true)];
    vec![some("W07 fragments", first), some("W07 more fragments", second)]
}
