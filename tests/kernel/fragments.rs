//! Fragments, with the kernel as the peer and with raw frames: RFC 791, RFC 815, RFC 1122 3.3.2.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

use crate::common::*;

/// An incomplete datagram is given up after a second.
const SHORT: &str = "[reassembly]\ntimeout_s = 1\n";

static LAB: Shared = Shared::new(|| Lab::with_kernel(&format!("{SHORT}{ECHO}")));

/// A link of 9,000 bytes: DPDK's tap driver knows none such, but its driver for libpcap takes any.
static JUMBO: Shared = Shared::new(|| {
    let netns = Netns::new();
    netns.ip(&format!("link add {DEVICE} type veth peer name ve0"));
    for device in [DEVICE, "ve0"] {
        // What is sent is on the wire as it is: neither larger than the MTU nor without its checksum.
        netns.run("ethtool", &["-K", device, "tx", "off", "gso", "off", "gro", "off"]);
        netns.ip(&format!("link set {device} mtu 9000"));
    }
    netns.ip("link set ve0 up");
    netns.ip(&format!("link set {DEVICE} address 02:00:00:00:00:01 up"));
    netns.ip(&format!("addr add 198.18.0.1/24 dev {DEVICE}"));
    let mut config = Config::new("net_pcap0,iface=ve0", ECHO);
    config.ports.push_str("mtu = 9000\n");
    let pollcast = Pollcast::start(&netns, &config);
    let wire = Wire::new(RawPeer::new(&netns, DEVICE));
    Lab { pollcast, wire, netns }
});

/// Two workers, which may share a CPU.
static PAIR: Shared = Shared::new(|| {
    let mut config = Config::new(&format!("net_tap0,iface={DEVICE}"), ECHO);
    let last_cpu = std::thread::available_parallelism().map_or(0, |n| n.get() - 1);
    let cpus = if last_cpu == 0 { "[0]".to_owned() } else { format!("[{}, {last_cpu}]", last_cpu - 1) };
    config.workers = format!("cpus = {cpus}\ncontrol_cpu = 0\n");
    let lab = Lab::new(&config);
    lab.netns.ip(&format!("addr add 198.18.0.1/24 dev {DEVICE}"));
    lab
});

fn client(lab: &Lab) -> UdpSocket {
    lab.netns.enter(|| {
        let socket = UdpSocket::bind((KERNEL.ip, 0)).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
        socket
    })
}

fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|i| u8::try_from(i * 31 % 251).unwrap()).collect()
}

fn assert_echo(socket: &UdpSocket, payload: &[u8]) {
    socket.send_to(payload, (HOST.ip, 7)).unwrap();
    let mut buf = vec![0; 65536];
    let (len, _) = socket.recv_from(&mut buf).unwrap_or_else(|e| panic!("{} bytes: {e}", payload.len()));
    assert!(buf[..len] == *payload, "{} bytes came back as {len} others", payload.len());
}

// C06, F10, F18: the kernel cuts its question and puts our answer together.
#[test]
fn the_kernels_long_pings_are_answered() {
    let Some(lab) = LAB.lock() else { return };
    for size in ["1473", "2000", "20000", "65507"] {
        lab.netns.run("ping", &["-c", "3", "-i", "0.05", "-W", "2", "-s", size, "198.18.0.2"]);
    }
}

// F10, F18, RFC 1122 3.3.2: every size up to the largest, there and back.
#[test]
fn datagrams_of_up_to_65507_bytes_are_echoed() {
    let Some(lab) = LAB.lock() else { return };
    let socket = client(&lab);
    for len in [1472, 1473, 1479, 1480, 1481, 2006, 2007, 2048, 2952, 2953, 9000, 20_000, 40_000, 65_507] {
        assert_echo(&socket, &bytes(len));
    }
    let stats = lab.pollcast.ctl(&["stats"]);
    assert!(stats["ports"][0]["engine"]["reassembled"].as_u64() >= Some(13), "{stats}");
}

// E17, T01: jumbo frames, whole and as fragments of jumbos.
#[test]
fn a_link_of_9000_bytes_carries_jumbo_frames_both_ways() {
    let Some(lab) = JUMBO.lock() else { return };
    let socket = client(&lab);
    for len in [100, 1473, 8000, 8971, 8972, 8973, 20_000, 65_507] {
        assert_echo(&socket, &bytes(len));
    }
    for size in ["8972", "8973", "65507"] {
        lab.netns.run("ping", &["-c", "2", "-i", "0.05", "-W", "2", "-s", size, "198.18.0.2"]);
    }
}

// F17: whichever queue a fragment comes in by.
#[test]
fn two_workers_put_every_flows_fragments_together() {
    let Some(lab) = PAIR.lock() else { return };
    for len in [3000, 30_000] {
        for _ in 0..50 {
            assert_echo(&client(&lab), &bytes(len));
        }
    }
    let stats = lab.pollcast.ctl(&["stats"]);
    assert_eq!(stats["ports"][0]["engine"]["reassembled"], 100, "{stats}");
}

// F16, RFC 1122 4.1.3.1: the socket that asked is told, once.
#[test]
fn a_long_datagram_to_a_closed_port_is_refused_once() {
    let Some(lab) = LAB.lock() else { return };
    let socket = client(&lab);
    socket.connect((HOST.ip, 9999)).unwrap();
    socket.send(&bytes(5000)).unwrap();
    let mut buf = [0; 64];
    assert_eq!(socket.recv(&mut buf).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    assert_eq!(socket.recv(&mut buf).unwrap_err().kind(), ErrorKind::WouldBlock);
}

/// The fragments, from the pretended peer, of `payload` cut at `ends`; `id` tells them from others.
fn cut(id: u16, payload: &[u8], ends: &[usize]) -> Vec<Vec<u8>> {
    let mut start = 0;
    let ends: Vec<usize> = ends.iter().copied().chain([payload.len()]).collect();
    ends.iter()
        .map(|end| {
            let more = *end != payload.len();
            let piece = piece(id, start, &payload[start..*end], more);
            start = *end;
            piece
        })
        .collect()
}

fn piece(id: u16, start: usize, bytes: &[u8], more: bool) -> Vec<u8> {
    piece_with(&Ipv4 { id, ..Ipv4::new(PEER.ip, HOST.ip, UDP) }, start, bytes, more)
}

fn piece_with(ip: &Ipv4, start: usize, bytes: &[u8], more: bool) -> Vec<u8> {
    let fragment = u16::try_from(start / 8).unwrap() | if more { 0x2000 } else { 0 };
    frame(PEER, HOST, &Ipv4 { fragment: fragment | ip.fragment, ..ip.clone() }.packet(bytes))
}

fn datagram(payload: &[u8]) -> Vec<u8> {
    Udp::new(4000, 7).datagram(PEER.ip, HOST.ip, payload)
}

/// The one answer to `frames`.
fn answered(lab: &Lab, frames: &[Vec<u8>]) -> Frame {
    let mut seen = lab.wire.exchange(frames, Duration::from_millis(20));
    assert_eq!(seen.len(), 1, "{seen:?}");
    seen.remove(0)
}

/// That nothing answers `frames`, and by how much each counter of drops rose.
fn refused(lab: &Lab, frames: &[Vec<u8>]) -> BTreeMap<String, u64> {
    let before = lab.drops();
    let seen = lab.wire.exchange(frames, Duration::from_millis(20));
    assert!(seen.is_empty(), "{seen:?}");
    lab.drops_since(&before)
}

fn counted(reason: &str, packets: u64) -> BTreeMap<String, u64> {
    BTreeMap::from([(reason.to_owned(), packets)])
}

// F02, F04, F14, F20, RFC 791, RFC 815.
#[test]
fn order_and_repetition_do_not_matter() {
    let Some(lab) = LAB.lock() else { return };
    let payload = bytes(600);
    let whole = datagram(&payload);
    let [a, b, c] = cut(100, &whole, &[8, 304]).try_into().unwrap();
    for (n, order) in (0..).zip([
        vec![&a, &b, &c],
        vec![&c, &b, &a],
        vec![&b, &c, &a],
        vec![&b, &b, &c, &b, &a],
        vec![&c, &a, &a, &c, &b],
    ]) {
        let frames: Vec<Vec<u8>> = order.into_iter().cloned().collect();
        assert_eq!(answered(&lab, &frames).udp().payload, payload, "order {n}");
    }
    // Inside what is there; across two that are there.
    let inside = piece(100, 16, &whole[16..64], true);
    let across = piece(100, 0, &whole[..160], true);
    assert_eq!(answered(&lab, &[a.clone(), b.clone(), inside, across, c]).udp().payload, payload);
    let df: Vec<_> = [(0, 304, true), (304, whole.len(), false)]
        .map(|(start, end, more)| {
            let ip = Ipv4 { id: 101, fragment: 0x4000, ..Ipv4::new(PEER.ip, HOST.ip, UDP) };
            piece_with(&ip, start, &whole[start..end], more)
        })
        .to_vec();
    assert_eq!(answered(&lab, &df).udp().payload, payload);
}

// F01, RFC 791: the protocol, the identification, the sender.
#[test]
fn what_differs_in_its_key_is_not_mixed() {
    let Some(lab) = LAB.lock() else { return };
    let payload = bytes(600);
    let whole = datagram(&payload);
    let [a, b] = cut(110, &whole, &[304]).try_into().unwrap();
    let ip = Ipv4::new(PEER.ip, HOST.ip, UDP);
    let others = [
        Ipv4 { id: 111, ..ip.clone() },
        Ipv4 { id: 110, protocol: 253, ..ip.clone() },
        Ipv4 { id: 110, src: Host::number(11).ip, ..ip.clone() },
        Ipv4 { id: 110, dst: HOST_SECOND.ip, ..ip },
    ];
    let mut frames = vec![a];
    frames.extend(others.iter().map(|ip| piece_with(ip, 304, &whole[304..], false)));
    assert!(refused(&lab, &frames).is_empty());
    assert_eq!(answered(&lab, &[b]).udp().payload, payload);
    // The others' time ends in silence: their first fragments never came.
    let before = lab.drops();
    let seen = lab.wire.exchange(&[], Duration::from_millis(1500));
    assert!(seen.is_empty(), "{seen:?}");
    assert_eq!(lab.drops_since(&before), counted("fragment_timeout", 4));
}

// F03, RFC 5722 3, CVE-2018-5391's kin: teardrop and evasion end the datagram, and nobody is told.
#[test]
fn an_overlap_ends_the_datagram() {
    let Some(lab) = LAB.lock() else { return };
    let whole = datagram(&bytes(600));
    let [a, b, c] = cut(120, &whole, &[304, 400]).try_into().unwrap();
    let overlap = piece(120, 296, &whole[296..312], true);
    let frames = [a, overlap, b, c];
    assert_eq!(refused(&lab, &frames), counted("fragment_overlap", 4));
    // When its time is over, the identification is free.
    assert!(lab.wire.exchange(&[], Duration::from_millis(1500)).is_empty());
    assert_eq!(answered(&lab, &cut(120, &whole, &[304])).udp().payload, bytes(600));
}

// F05, F06, F07, F08, F15.
#[test]
fn impossible_fragments_are_counted_as_what_they_are() {
    let Some(lab) = LAB.lock() else { return };
    let whole = datagram(&bytes(600));
    assert_eq!(refused(&lab, &[piece(130, 0, &whole[..20], true)]), counted("fragment_misaligned", 1));
    assert_eq!(refused(&lab, &[piece(131, 8191 * 8, &[0; 64], false)]), counted("fragment_too_far", 1));
    let ends = [piece(132, 304, &whole[304..400], false), piece(132, 304, &whole[304..500], false)];
    assert_eq!(refused(&lab, &ends), counted("fragment_end_conflict", 2));
    for (id, more) in [(133, true), (134, false)] {
        let [a, b] = cut(id, &whole, &[304]).try_into().unwrap();
        let frames = [a, piece(id, 304, &[], more), b];
        assert_eq!(refused(&lab, &frames), counted("fragment_empty", 3));
    }
    let marked = |id, first, last| {
        let ip = |tos| Ipv4 { id, tos, ..Ipv4::new(PEER.ip, HOST.ip, UDP) };
        [piece_with(&ip(first), 0, &whole[..304], true), piece_with(&ip(last), 304, &whole[304..], false)]
    };
    assert_eq!(refused(&lab, &marked(135, 0, 3)), counted("fragment_ecn", 2));
    assert_eq!(answered(&lab, &marked(136, 2, 3)).udp().payload, bytes(600));
}

// F13, RFC 768: the checksum is the whole datagram's.
#[test]
fn a_changed_byte_in_a_later_fragment_is_found() {
    let Some(lab) = LAB.lock() else { return };
    let mut whole = datagram(&bytes(600));
    whole[500] ^= 1;
    assert_eq!(refused(&lab, &cut(140, &whole, &[304])), counted("udp_checksum", 1));
}

// F09, F12, RFC 1122 3.3.2, RFC 792: after the configured second, with the first fragment only, which it quotes.
#[test]
fn the_sender_of_a_datagram_that_stays_in_pieces_is_told() {
    let Some(lab) = LAB.lock() else { return };
    let whole = datagram(&bytes(900));
    let [a, b, c] = cut(150, &whole, &[304, 608]).try_into().unwrap();
    let start = Instant::now();
    let seen = lab.wire.exchange(&[b.clone(), a.clone()], Duration::from_millis(1600));
    assert_eq!(seen.len(), 1, "{seen:?}");
    let after = seen[0].at - start;
    assert!(after >= Duration::from_millis(950) && after < Duration::from_millis(1500), "{after:?}");
    let error = seen[0].icmp();
    assert_eq!((error.kind, error.code, error.ip.dst), (11, 1, PEER.ip));
    assert_eq!(error.data, a[14..]);
    // It does not run anew with each fragment; and without the first, silence.
    let seen = lab.wire.exchange(&[b, c], Duration::from_millis(1600));
    assert!(seen.is_empty(), "{seen:?}");
}

// F02: one fragment in a hundred is overtaken by those behind it.
#[test]
fn reordering_on_the_way_loses_nothing() {
    let Some(lab) = LAB.lock() else { return };
    let payload = bytes(20_000);
    let whole = datagram(&payload);
    let ends: Vec<usize> = (1..14).map(|n| n * 1480).collect();
    let mut late: Vec<Vec<u8>> = Vec::new();
    let mut frames = Vec::new();
    for id in 1000..1040 {
        for (n, piece) in cut(id, &whole, &ends).into_iter().enumerate() {
            frames.append(&mut late);
            if (usize::from(id) * 14 + n) % 100 == 7 { late.push(piece) } else { frames.push(piece) }
        }
    }
    frames.append(&mut late);
    let seen = lab.wire.exchange(&frames, Duration::from_millis(300));
    let mut answers: BTreeMap<u16, Vec<Frame>> = BTreeMap::new();
    for frame in seen {
        answers.entry(frame.ipv4().id).or_default().push(frame);
    }
    assert_eq!(answers.len(), 40, "{:?}", lab.drops());
    for (id, fragments) in answers {
        let mut whole = Vec::new();
        for (n, fragment) in fragments.iter().enumerate() {
            let ip = fragment.ipv4();
            // F18, RFC 791 3.1: eights, MF on all but the last, DF on none, in order.
            assert_eq!(usize::from(ip.fragment & 0x1fff) * 8, whole.len(), "of {id}");
            let last = n + 1 == fragments.len();
            assert_eq!(ip.fragment & 0xe000, if last { 0 } else { 0x2000 });
            assert!(last || ip.payload.len() % 8 == 0);
            whole.extend(ip.payload);
        }
        assert_eq!(whole[8..], payload);
        assert_eq!(udp_checksum(HOST.ip, PEER.ip, &whole), 0xffff, "one checksum for all");
    }
}
