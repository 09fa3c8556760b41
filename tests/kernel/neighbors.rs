//! Neighbours, routes and addresses on a wire with a kernel: whom answers by route go to, who is asked and how often,
//! and when an address is used.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use crate::common::*;

const BY_ROUTE: &str = r#"
[[service]]
name = "echo"
kind = "echo"
listen = ["0.0.0.0:7"]
reply = "route"
"#;

/// Another router on the link; the lab answers ARP requests for it.
const SECOND_ROUTER: Host = Host::number(9);
/// Whoever forwarded a request: no next hop of ours.
const FORWARDER: Mac = [2, 0, 0, 0, 0xee, 1];
/// A host that nobody answers for.
const DEAD: Host = Host::number(252);

/// One port by the tap at 198.18.0.2 and .3, with further lines.
fn config(services: &str, lines: &str) -> Config {
    let plain = Config::new(&format!("net_tap0,iface={DEVICE}"), services);
    Config { ports: format!("{}{lines}\n", plain.ports), ..plain }
}

/// The kernel is 198.18.0.1, the default gateway, and knows pollcast without asking.
fn lab(lines: &str) -> Lab {
    let lab = Lab::new(&config(BY_ROUTE, lines));
    lab.netns.ip(&format!("addr add 198.18.0.1/24 dev {DEVICE}"));
    for host in [HOST, HOST_SECOND] {
        lab.netns.ip(&format!(
            "neigh replace {} lladdr {} dev {DEVICE} nud permanent",
            host.ip,
            written(host.mac)
        ));
    }
    lab
}

const ROUTED: &str = r#"gateway4 = "198.18.0.1"
routes = [{ to = "198.19.0.0/16", via = "198.18.0.9" }]"#;

static LAB: Shared = Shared::new(|| lab(ROUTED));

fn client(lab: &Lab, addr: Ipv4Addr) -> UdpSocket {
    lab.netns.enter(|| {
        let socket = UdpSocket::bind((addr, 0)).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
        socket
    })
}

/// Who answers `payload`, if anyone does.
fn answered_by(socket: &UdpSocket, to: Host, payload: &[u8]) -> Option<SocketAddr> {
    socket.send_to(payload, (to.ip, 7)).unwrap();
    let mut buf = [0; 2000];
    socket.recv_from(&mut buf).ok().map(|(len, from)| {
        assert_eq!(&buf[..len], payload);
        from
    })
}

fn state_of(lab: &Lab, host: Host) -> Option<String> {
    let answer = lab.pollcast.ctl(&["neighbors"]);
    let row =
        answer.as_array().unwrap().iter().find(|row| row["addr"] == host.ip.to_string().as_str())?.clone();
    assert!(row["age_s"].is_u64(), "{row}");
    Some(row["state"].as_str().unwrap().to_owned())
}

// A09, RFC 1122 2.3.2.2: the first answer to a host that was never asked for is not lost; two addresses of one port
// answer each for itself.
#[test]
fn the_first_datagram_is_not_lost() {
    let Some(lab) = LAB.lock() else { return };
    // An address of the kernel's that pollcast has not heard of: it must ask for it.
    lab.netns.ip(&format!("addr add 198.18.0.251/24 dev {DEVICE}"));
    let peer = Host { mac: KERNEL.mac, ..Host::number(251) };
    assert_eq!(lab.neighbor(peer), None);
    let socket = client(&lab, peer.ip);
    for host in [HOST, HOST_SECOND] {
        assert_eq!(answered_by(&socket, host, b"first"), Some((host.ip, 7).into()));
    }
    assert_eq!(lab.neighbor(peer), Some(written(KERNEL.mac)));
    assert_eq!(state_of(&lab, peer).as_deref(), Some("reachable"));
}

// U21: what came through another station goes back by the gateway, which is the kernel: it delivers it.
#[test]
fn an_answer_by_route_goes_to_the_gateway_and_not_to_the_forwarder() {
    let Some(lab) = LAB.lock() else { return };
    lab.netns.ip("addr add 203.0.113.1/32 dev lo");
    let socket = client(&lab, Ipv4Addr::new(203, 0, 113, 1));
    let port = socket.local_addr().unwrap().port();
    let remote = Host { mac: FORWARDER, ip: Ipv4Addr::new(203, 0, 113, 1) };
    lab.find(KERNEL);
    let seen =
        lab.wire.exchange(&[udp_frame(remote, port, HOST, 7, b"by route")], Duration::from_millis(100));
    let answer = seen.iter().find(|frame| frame.carries(UDP)).expect("an answer");
    assert_eq!((answer.dst(), answer.src()), (KERNEL.mac, HOST.mac));
    let mut buf = [0; 100];
    let (len, from) = socket.recv_from(&mut buf).unwrap();
    assert_eq!((&buf[..len], from), (&b"by route"[..], (HOST.ip, 7).into()));
    lab.netns.ip("addr del 203.0.113.1/32 dev lo");
}

// RFC 1122 3.3.1.1: the longest prefix, through the second router.
#[test]
fn an_answer_by_a_static_route_goes_to_its_router() {
    let Some(lab) = LAB.lock() else { return };
    let remote = Host { mac: FORWARDER, ip: Ipv4Addr::new(198, 19, 4, 4) };
    lab.find(SECOND_ROUTER);
    let seen = lab.wire.exchange(&[udp_frame(remote, 4000, HOST, 7, b"static")], Duration::from_millis(200));
    let answer = seen.iter().find(|frame| frame.carries(UDP)).expect("an answer");
    assert_eq!((answer.dst(), answer.udp().payload), (SECOND_ROUTER.mac, b"static".to_vec()));
    let routes = lab.pollcast.ctl(&["routes"]);
    let row = |n: usize| (routes[n]["kind"].as_str(), routes[n]["to"].as_str(), routes[n]["via"].as_str());
    assert_eq!(row(0), (Some("connected"), Some("198.18.0.0/24"), None));
    assert_eq!(row(2), (Some("static"), Some("198.19.0.0/16"), Some("198.18.0.9")));
    assert_eq!(row(3), (Some("default"), Some("0.0.0.0/0"), Some("198.18.0.1")));
}

// A08, A11, RFC 1122 2.3.2.1: many packets to a dead host are a question a second, three of them, and are dropped.
#[test]
fn a_dead_host_is_asked_for_once_a_second() {
    let Some(lab) = LAB.lock() else { return };
    let before = lab.drops();
    lab.wire.raw.drain();
    let (start, mut questions) = (Instant::now(), Vec::new());
    while start.elapsed() < Duration::from_millis(3500) {
        lab.wire.raw.send(&udp_frame(DEAD, 4000, HOST, 7, b"dead"));
        let frames = lab.wire.raw.frames(Duration::from_millis(10));
        let asked = frames.into_iter().filter(|f| f.is_arp() && f.arp().target.ip == DEAD.ip);
        questions.extend(asked.map(|f| (f.at, f.dst())));
    }
    assert_eq!(questions.iter().map(|(_, dst)| *dst).collect::<Vec<_>>(), [BROADCAST; 3]);
    // When they are read says when they were sent, but for a busy machine.
    let second = Duration::from_millis(850);
    assert!(questions.windows(2).all(|w| w[1].0.duration_since(w[0].0) >= second), "{questions:?}");
    assert_eq!(state_of(&lab, DEAD).as_deref(), Some("failed"));
    let drops = lab.drops_since(&before);
    assert!(drops["neighbor_unreachable"] >= 64, "{drops:?}");
    assert!(
        drops.keys().all(|why| ["neighbor_unreachable", "neighbor_queue_full"].contains(&&**why)),
        "{drops:?}"
    );
}

// A10, A04, RFC 826: a kernel that has another Ethernet address is reached again.
#[test]
fn a_change_of_the_kernels_mac_is_healed() {
    if !may_run() {
        return;
    }
    let lab = lab("");
    let socket = client(&lab, KERNEL.ip);
    assert!(answered_by(&socket, HOST, b"before").is_some());
    let moved = [2, 0, 0, 0, 0, 0x99];
    // With its address the kernel loses what it knew of others: it asks for them, and so says where it is.
    lab.netns.ip(&format!("link set {DEVICE} address {}", written(moved)));
    lab.netns.ip(&format!("neigh flush dev {DEVICE} nud permanent"));
    let healed = (0..5).any(|_| answered_by(&socket, HOST, b"after").is_some());
    assert!(healed);
    assert_eq!(lab.neighbor(KERNEL), Some(written(moved)));
}

// A14: a /16 of spoofed ARP requests, then of spoofed requests to be answered by route, does not evict the kernel.
#[test]
fn a_scan_of_a_16_does_not_evict_a_live_peer() {
    if !may_run() {
        return;
    }
    let wide = Config::new(&format!("net_tap0,iface={DEVICE}"), BY_ROUTE);
    let ports =
        wide.ports.replace("198.18.0.2/24", "198.18.0.2/15").replace("198.18.0.3/24", "198.18.0.3/15");
    let lab = Lab::new(&Config { ports: format!("{ports}neighbors_max = 64\n"), ..wide });
    lab.netns.ip(&format!("addr add 198.18.0.1/15 dev {DEVICE}"));
    let socket = client(&lab, KERNEL.ip);
    assert!(answered_by(&socket, HOST, b"before").is_some());
    let spoofed = |n: u32| Host { mac: FORWARDER, ip: Ipv4Addr::from_bits(0xc613_0000 + n) };
    let arp: fn(Host) -> Vec<u8> = |host| Arp::request(host, HOST.ip).frame_to(BROADCAST);
    let udp: fn(Host) -> Vec<u8> = |host| udp_frame(host, 4000, HOST, 7, b"scan");
    for frame in [arp, udp] {
        for n in 0..0x1_0000 {
            lab.wire.raw.send(&frame(spoofed(n)));
        }
        lab.wire.raw.drain();
        // What is sent behind a flood may find the tap's queue full: what is dropped there says nothing of neighbours.
        assert!((0..5).any(|_| answered_by(&socket, HOST, b"after").is_some()));
        let questions = lab.wire.raw.frames(Duration::from_millis(100));
        let to_all = |f: &&Frame| f.is_arp() && f.arp().target.ip == KERNEL.ip && f.dst() == BROADCAST;
        assert_eq!(questions.iter().filter(to_all).count(), 0, "it was never forgotten");
        assert_eq!(lab.neighbor(KERNEL), Some(written(KERNEL.mac)));
    }
    let known = lab.pollcast.ctl(&["neighbors"]).as_array().unwrap().len();
    assert!(known <= 64, "{known}");
}

// RFC 1122 3.3.4.2, the strong host: an answer leaves by the interface that was asked, through its own routes alone.
#[test]
fn an_answer_leaves_by_the_port_that_was_asked_or_not_at_all() {
    if !may_run() {
        return;
    }
    let netns = Netns::new();
    let pollcast = Pollcast::start(&netns, &Config { ports: TWO_TAPS.into(), ..Config::new("", BY_ROUTE) });
    netns.ip("link set pca address 02:00:00:00:00:01 up");
    netns.ip("link set pcb address 02:00:00:00:01:01 up");
    netns.ip("addr add 198.18.0.1/24 dev pca");
    netns.ip("addr add 198.18.1.1/24 dev pcb");
    let (a, b) = (RawPeer::new(&netns, "pca"), RawPeer::new(&netns, "pcb"));
    let on_b = Host { mac: [2, 0, 0, 0, 1, 1], ip: Ipv4Addr::new(198, 18, 1, 1) };
    let host_b = Host { mac: [2, 0, 0, 0, 1, 2], ip: Ipv4Addr::new(198, 18, 1, 2) };
    // The kernel, asked for on b, answers there.
    b.send(&udp_frame(on_b, 4000, host_b, 7, b"b"));
    let answer = b.find(Duration::from_secs(2), |f| f.carries(UDP).then(|| f.udp())).expect("an answer");
    assert_eq!(answer.payload, b"b");
    // A host of a's link that asks on b gets nothing: no route of b leads to it, and b's answer does not leave by a.
    a.drain();
    b.send(&udp_frame(Host { ip: KERNEL.ip, ..on_b }, 4000, host_b, 7, b"astray"));
    let udp =
        |f: &Frame| (f.carries(UDP) && f.udp().payload == b"astray" && f.src() != on_b.mac).then_some(());
    assert_eq!(a.find(Duration::from_millis(200), udp), None);
    assert_eq!(b.find(Duration::from_millis(200), udp), None);
    let drops = pollcast.ctl(&["drops"]);
    let no_route = drops.as_array().unwrap().iter().find(|row| row["reason"] == "no_route").unwrap();
    assert_eq!(no_route["packets"], 1);
    let routes = pollcast.ctl(&["routes"]);
    let of = |n: usize| (routes[n]["port"].as_str().unwrap(), routes[n]["to"].as_str().unwrap());
    assert_eq!([of(0), of(1)], [("a", "198.18.0.0/24"), ("b", "198.18.1.0/24")]);
}

/// The probes and announcements for `ip` of the next `during`, as the sender's address.
fn claims(lab: &Lab, ip: Ipv4Addr, during: Duration) -> Vec<(Instant, Ipv4Addr)> {
    let frames = lab.wire.raw.frames(during);
    let claims = frames.iter().filter(|f| f.is_arp() && f.arp().operation == 1 && f.arp().target.ip == ip);
    claims.map(|f| (f.at, f.arp().sender.ip)).collect()
}

// A12, RFC 5227 2.1.1, 2.3: three probes a second or two apart, then two announcements 2 s apart; used from the first
// announcement on.
#[test]
fn an_address_is_probed_for_announced_and_used() {
    if !may_run() {
        return;
    }
    let lab = Lab::new(&config(ECHO, "conflict_detection = \"probe\""));
    let request = udp_frame(PEER, 4000, HOST, 7, b"too early");
    lab.wire.raw.send(&request);
    let said = claims(&lab, HOST.ip, Duration::from_secs(11));
    // The first of them may have been sent before there was anyone to hear it.
    let nobody = Ipv4Addr::UNSPECIFIED;
    let senders: Vec<_> = said.iter().map(|(_, sender)| *sender).collect();
    let all = [nobody, nobody, nobody, HOST.ip, HOST.ip];
    assert!(senders.len() >= 4 && all.ends_with(&senders), "{senders:?}");
    let pauses: Vec<_> = said.windows(2).map(|w| w[1].0.duration_since(w[0].0).as_millis()).collect();
    let (between_probes, to_announcements) = pauses.split_at(pauses.len() - 2);
    assert!(between_probes.iter().all(|ms| (800..2800).contains(ms)), "{pauses:?}");
    assert!(to_announcements.iter().all(|ms| (1800..2800).contains(ms)), "{pauses:?}");
    assert_eq!(lab.answer(&request).udp().payload, b"too early");
}

// A12, A06, RFC 5227 2.1.1: an address that another host has is not used, and the log says so.
#[test]
fn an_address_that_another_host_has_is_not_used() {
    if !may_run() {
        return;
    }
    let lab = Lab::new(&config(ECHO, "conflict_detection = \"probe\""));
    let thief = Host::number(23).with_ip(HOST.ip);
    lab.wire.raw.send(&Arp::reply(thief, PEER.with_ip(Ipv4Addr::UNSPECIFIED)).frame_to(BROADCAST));
    let said = claims(&lab, HOST.ip, Duration::from_secs(10));
    assert!(said.iter().all(|(_, sender)| sender.is_unspecified()), "{said:?}");
    lab.wire.raw.send(&udp_frame(PEER, 4000, HOST, 7, b"x"));
    lab.wire.raw.send(&udp_frame(PEER, 4000, HOST_SECOND, 7, b"y"));
    let frames = lab.wire.raw.frames(Duration::from_millis(300));
    let answers: Vec<_> = frames.iter().filter(|f| f.carries(UDP)).map(|f| f.udp().payload).collect();
    assert_eq!(answers, [b"y"]);
    let said = lab.pollcast.stderr();
    assert!(said.contains("198.18.0.2") && said.contains(&written(thief.mac)), "{said}");
}
