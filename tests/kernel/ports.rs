//! More than one of everything: ports, which share nothing but the program, and workers, which share a port.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use crate::common::*;

const SERVICES: &str = r#"
[[service]]
name = "both"
kind = "echo"
listen = ["0.0.0.0:7"]
groups = [{ group = "239.1.2.3" }, { group = "239.1.2.4", port = "b" }]

[[service]]
name = "only-a"
kind = "echo"
listen = ["198.18.0.2:1007"]
"#;

const TO_BOTH: Ipv4Addr = Ipv4Addr::new(239, 1, 2, 3);
const TO_B: Ipv4Addr = Ipv4Addr::new(239, 1, 2, 4);

fn client(netns: &Netns, addr: Ipv4Addr) -> UdpSocket {
    netns.enter(|| {
        let socket = UdpSocket::bind((addr, 0)).unwrap();
        socket2::SockRef::from(&socket).set_multicast_if_v4(&addr).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket
    })
}

/// Who answers what is sent there.
fn answered_by(socket: &UdpSocket, to: Ipv4Addr, port: u16) -> Option<SocketAddr> {
    socket.send_to(b"hello", (to, port)).unwrap();
    let mut buf = [0; 100];
    socket.recv_from(&mut buf).ok().map(|(len, from)| {
        assert_eq!(buf[..len], *b"hello");
        from
    })
}

/// Asserts that nobody answers what is sent there: an answer would come before that of the same worker to what is sent after it.
#[track_caller]
fn assert_silent(socket: &UdpSocket, to: Ipv4Addr, port: u16, own: Ipv4Addr) {
    socket.send_to(b"anybody?", (to, port)).unwrap();
    assert_eq!(answered_by(socket, own, 7), Some((own, 7).into()));
}

// U18, RFC 9776 2: a membership is of one interface.
#[test]
fn two_ports_are_two_hosts() {
    if !may_run() {
        return;
    }
    let netns = Netns::new();
    let config = Config { ports: TWO_TAPS.into(), ..Config::new("", SERVICES) };
    let mut pollcast = Pollcast::start(&netns, &config);
    for (device, mac, addr) in
        [("pca", "02:00:00:00:00:01", "198.18.0.1/24"), ("pcb", "02:00:00:00:01:01", "198.18.1.1/24")]
    {
        netns.ip(&format!("link set {device} address {mac} up"));
        netns.ip(&format!("addr add {addr} dev {device}"));
    }
    let (a, b) = (Ipv4Addr::new(198, 18, 0, 2), Ipv4Addr::new(198, 18, 1, 2));
    let from_a = client(&netns, Ipv4Addr::new(198, 18, 0, 1));
    let from_b = client(&netns, Ipv4Addr::new(198, 18, 1, 1));
    assert_eq!(answered_by(&from_a, a, 7), Some((a, 7).into()));
    assert_eq!(answered_by(&from_b, b, 7), Some((b, 7).into()));
    // U21: each port answers from its own address.
    assert_eq!(answered_by(&from_a, TO_BOTH, 7), Some((a, 7).into()));
    assert_eq!(answered_by(&from_b, TO_BOTH, 7), Some((b, 7).into()));
    assert_silent(&from_a, TO_B, 7, a);
    assert_eq!(answered_by(&from_b, TO_B, 7), Some((b, 7).into()));
    assert_eq!(answered_by(&from_a, a, 1007), Some((a, 1007).into()));
    assert_silent(&from_b, b, 1007, b);

    // With several ports and services an order names its own.
    let refused = pollcast.try_ctl(&["join", "239.1.2.5"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--service"), "{refused:?}");
    pollcast.ctl(&["join", "239.1.2.5", "--service", "both", "--port", "a"]);
    // Its worker has read what control told it when it has answered something else.
    assert_eq!(answered_by(&from_a, a, 7), Some((a, 7).into()));
    assert_eq!(answered_by(&from_a, Ipv4Addr::new(239, 1, 2, 5), 7), Some((a, 7).into()));
    assert_silent(&from_b, Ipv4Addr::new(239, 1, 2, 5), 7, b);
    pollcast.stop();
}

// DESIGN.md 5: shared nothing, and nobody need know.
#[test]
fn two_workers_share_a_port() {
    if !may_run() {
        return;
    }
    if thread::available_parallelism().map_or(1, usize::from) < 2 {
        say_skipped("needs two CPUs");
        return;
    }
    let workers = "cpus = [0, 1]\ncontrol_cpu = 0\n".into();
    let config = Config { workers, ..Config::new(&format!("net_tap0,iface={DEVICE}"), ECHO) };
    let lab = Lab::new(&config);
    lab.netns.ip(&format!("addr add 198.18.0.1/24 dev {DEVICE}"));
    assert_eq!(lab.pollcast.ctl(&["ports"])[0]["rx_queues"], 2);
    // Each socket is a flow of its own, and the kernel spreads flows over the tap's queues.
    for round in 0..64 {
        let socket = client(&lab.netns, KERNEL.ip);
        assert_eq!(answered_by(&socket, HOST.ip, 7), Some((HOST.ip, 7).into()), "flow {round}");
        // A joined group is admitted on whichever worker its datagrams come to.
        assert_eq!(answered_by(&socket, TO_BOTH, 7), Some((HOST.ip, 7).into()), "flow {round}, to the group");
    }
    // It did: `Sent N bytes N pkt` for each queue.
    let queues = lab.netns.run("tc", &["-s", "qdisc", "show", "dev", DEVICE]);
    let busy =
        queues.split("qdisc ").filter(|queue| queue.contains("parent :") && !queue.contains("Sent 0 bytes"));
    assert_eq!(busy.count(), 2, "{queues}");

    let joined = Ipv4Addr::new(239, 4, 4, 4);
    lab.pollcast.ctl(&["join", &joined.to_string()]);
    let sockets: Vec<_> = (0..16).map(|_| client(&lab.netns, KERNEL.ip)).collect();
    // Workers have read what control told them when they have answered something else.
    let all_answer = || sockets.iter().all(|socket| answered_by(socket, HOST.ip, 7).is_some());
    assert!(all_answer());
    assert!(sockets.iter().all(|socket| answered_by(socket, joined, 7).is_some()));
    lab.pollcast.ctl(&["leave", &joined.to_string()]);
    assert!(all_answer());
    let before = lab.drops();
    for socket in &sockets {
        socket.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
        assert_eq!(answered_by(socket, joined, 7), None);
    }
    // The fence has one of the workers answer, and the other may be behind.
    let deadline = Instant::now() + PATIENCE;
    let dropped = || lab.drops_since(&before).values().sum::<u64>();
    while dropped() < 16 && Instant::now() < deadline {}
    assert_eq!(dropped(), 16);
}
