//! Who hears a datagram: the same sockets, filters and datagrams to pollcast and to the kernel, and the same receivers.
//!
//! Each subject is a socket of the kernel and a service of pollcast with one socket. What is compared is which subject
//! received which datagram, how often: from the kernel by reading its sockets, from pollcast by the counters of its own.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::time::Duration;

use crate::common::*;
use ::pollcast::rng::Rng;
use nix::sys::socket::setsockopt;
use nix::{libc, setsockopt_impl, sockopt_impl};
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, SockRef, Socket, Type};

sockopt_impl!(
    /// ip(7): whether a socket hears groups that it did not join.
    IpMulticastAll,
    SetOnly,
    libc::IPPROTO_IP,
    libc::IP_MULTICAST_ALL,
    i32
);

sockopt_impl!(
    /// ip(7): a source of a group that is not wanted.
    IpBlockSource,
    SetOnly,
    libc::IPPROTO_IP,
    libc::IP_BLOCK_SOURCE,
    libc::ip_mreq_source
);

/// A membership: on which of the two interfaces, in which mode, of which sources.
#[derive(Clone, Debug)]
struct Member {
    on: usize,
    group: Ipv4Addr,
    exclude: bool,
    sources: Vec<u8>,
}

/// A socket of the one host, and a service of the other.
#[derive(Clone, Debug)]
struct Subject {
    local: SocketAddrV4,
    multicast_all: bool,
    members: Vec<Member>,
}

/// The host's addresses on its two interfaces.
const OURS: [Host; 2] = [HOST, Host { mac: [2, 0, 0, 0, 1, 2], ip: Ipv4Addr::new(198, 18, 1, 2) }];

/// The sender `n` behind an interface.
fn sender(on: usize, n: u8) -> Host {
    let subnet = u8::try_from(on).unwrap();
    Host { mac: [2, 0, 0, 0, subnet, 1], ip: Ipv4Addr::new(198, 18, subnet, 10 + n) }
}

const G1: Ipv4Addr = Ipv4Addr::new(239, 1, 2, 3);
const G2: Ipv4Addr = Ipv4Addr::new(239, 1, 2, 4);
const G3: Ipv4Addr = Ipv4Addr::new(232, 1, 2, 3);
/// Shares the Ethernet address of the first, and nobody joins it.
const ALIAS: Ipv4Addr = Ipv4Addr::new(239, 129, 2, 3);
const ALL_HOSTS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 1);

fn subject(local: &str, multicast_all: bool) -> Subject {
    Subject { local: local.parse().unwrap(), multicast_all, members: Vec::new() }
}

impl Subject {
    fn joining(mut self, on: usize, group: Ipv4Addr, exclude: bool, sources: &[u8]) -> Self {
        self.members.push(Member { on, group, exclude, sources: sources.to_vec() });
        self
    }

    /// As a socket of the kernel.
    fn socket(&self) -> UdpSocket {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP)).unwrap();
        socket.set_reuse_address(true).unwrap();
        socket.bind(&self.local.into()).unwrap();
        setsockopt(&socket, IpMulticastAll, &i32::from(self.multicast_all)).unwrap();
        for Member { on, group, exclude, sources } in &self.members {
            let interface = OURS[*on].ip;
            if *exclude {
                socket.join_multicast_v4_n(group, &InterfaceIndexOrAddress::Address(interface)).unwrap();
            }
            for n in sources {
                let source = sender(*on, *n).ip;
                if *exclude {
                    let addr = |a: Ipv4Addr| libc::in_addr { s_addr: u32::from_ne_bytes(a.octets()) };
                    let blocked = libc::ip_mreq_source {
                        imr_multiaddr: addr(*group),
                        imr_interface: addr(interface),
                        imr_sourceaddr: addr(source),
                    };
                    setsockopt(&socket, IpBlockSource, &blocked).unwrap();
                } else {
                    socket.join_ssm_v4(&source, group, &interface).unwrap();
                }
            }
        }
        let socket: UdpSocket = socket.into();
        socket.set_nonblocking(true).unwrap();
        SockRef::from(&socket).set_recv_buffer_size(1 << 20).unwrap();
        socket
    }

    /// As a service.
    fn service(&self, number: usize) -> String {
        let mut groups = String::new();
        for Member { on, group, exclude, sources } in &self.members {
            let list: Vec<String> = sources.iter().map(|n| format!("\"{}\"", sender(*on, *n).ip)).collect();
            let (list, port) = (list.join(", "), ["a", "b"][*on]);
            let from = match (exclude, sources.is_empty()) {
                (true, true) => String::new(),
                (true, false) => format!("exclude = [{list}], "),
                (false, _) => format!("sources = [{list}], "),
            };
            write!(groups, "{{ group = \"{group}\", {from}port = \"{port}\" }}, ").unwrap();
        }
        format!(
            "[[service]]\nname = \"s{number}\"\nkind = \"echo\"\nlisten = [\"{}\"]\nreuse_address = true\n\
             multicast_all = {}\ngroups = [{groups}]\nanswer_groups = false\n",
            self.local, self.multicast_all
        )
    }
}

/// A datagram: the interface that it is sent to, and the frame.
#[derive(Clone, Debug)]
struct Sent {
    what: String,
    on: usize,
    frame: Vec<u8>,
}

/// Datagrams to everywhere, from three senders, on both interfaces; each says its own number.
fn datagrams() -> Vec<Sent> {
    let mut sent = Vec::new();
    for (on, ours) in OURS.into_iter().enumerate() {
        let directed = Ipv4Addr::new(198, 18, u8::try_from(on).unwrap(), 255);
        let to = [G1, G2, G3, ALIAS, ALL_HOSTS, directed, Ipv4Addr::BROADCAST, ours.ip];
        for (to, n, port) in
            to.iter().flat_map(|to| (1..4).flat_map(move |n| [(*to, n, 5000), (*to, n, 6000)]))
        {
            let payload = u16::try_from(sent.len()).unwrap().to_be_bytes();
            let frame = udp_frame(sender(on, n), 4000, ours.with_ip(to), port, &payload);
            sent.push(Sent { what: format!("to {to}:{port} from {n} on {on}"), on, frame });
        }
        // E16: a group's packet in a frame to us alone.
        for (to, n) in [(G1, 1), (G1, 2), (ALIAS, 1)] {
            let payload = u16::try_from(sent.len()).unwrap().to_be_bytes();
            let mut frame = udp_frame(sender(on, n), 4000, ours.with_ip(to), 5000, &payload);
            frame[..6].copy_from_slice(&ours.mac);
            sent.push(Sent { what: format!("to {to}:5000 from {n} on {on}, in our own frame"), on, frame });
        }
    }
    sent
}

/// How often each subject receives each datagram, by the numbers of both.
type Received = BTreeMap<(usize, usize), u64>;

/// What sockets of the kernel receive.
fn by_the_kernel(subjects: &[Subject], sent: &[Sent]) -> Received {
    let (host, peer) = (Netns::new(), Netns::new());
    let mut wires = Vec::new();
    for (on, ours) in OURS.iter().enumerate() {
        host.ip(&format!("link add ho{on} type veth peer name pe{on} netns {}", peer.path()));
        host.ip(&format!("link set ho{on} address {} up", written(ours.mac)));
        host.ip(&format!("addr add {}/24 dev ho{on}", ours.ip));
        peer.ip(&format!("link set pe{on} address {} up", written(sender(on, 0).mac)));
    }
    let sockets: Vec<UdpSocket> = host.enter(|| subjects.iter().map(Subject::socket).collect());
    for on in 0..OURS.len() {
        wires.push(Wire::new(RawPeer::new(&peer, &format!("pe{on}"))));
    }
    for Sent { on, frame, .. } in sent {
        wires[*on].raw.send(frame);
        // Each on its own: no queue of the kernel overflows, and all arrive in order.
        wires[0].fence();
    }
    let mut received = Received::new();
    for (subject, socket) in sockets.iter().enumerate() {
        let mut buf = [0; 100];
        while let Ok((len, _)) = socket.recv_from(&mut buf) {
            assert_eq!(len, 2);
            let number = usize::from(u16::from_be_bytes([buf[0], buf[1]]));
            *received.entry((subject, number)).or_default() += 1;
        }
    }
    received
}

/// What services of pollcast receive.
fn by_pollcast(subjects: &[Subject], sent: &[Sent]) -> Received {
    let services: String = subjects.iter().enumerate().map(|(n, subject)| subject.service(n)).collect();
    let netns = Netns::new();
    let config = Config { ports: TWO_TAPS.into(), ..Config::new("", &services) };
    let mut pollcast = Pollcast::start(&netns, &config);
    let mut wires = Vec::new();
    for (on, device) in ["pca", "pcb"].into_iter().enumerate() {
        netns.ip(&format!("link set {device} address {} up", written(sender(on, 0).mac)));
        wires.push(Wire::new(RawPeer::new(&netns, device)));
    }
    let counts = || {
        let mut counts = BTreeMap::<usize, u64>::new();
        for row in pollcast.ctl(&["sockets"]).as_array().unwrap() {
            let subject = row["service"].as_str().unwrap()[1..].parse().unwrap();
            *counts.entry(subject).or_default() += row["rx"].as_u64().unwrap();
        }
        counts
    };
    let (mut received, mut before) = (Received::new(), counts());
    for (number, Sent { on, frame, .. }) in sent.iter().enumerate() {
        wires[*on].raw.send(frame);
        // The one worker serves both ports in each of its turns, and answers at its end.
        wires[0].fence();
        let now = counts();
        for (subject, count) in &now {
            let more = count - before[subject];
            if more > 0 {
                received.insert((*subject, number), more);
            }
        }
        before = now;
    }
    pollcast.stop();
    received
}

#[track_caller]
fn assert_same(subjects: &[Subject]) -> usize {
    let sent = datagrams();
    let (truth, ours) = (by_the_kernel(subjects, &sent), by_pollcast(subjects, &sent));
    let mut wrong = Vec::new();
    for (number, sent) in sent.iter().enumerate() {
        let of = |received: &Received| -> Vec<(usize, u64)> {
            (0..subjects.len()).filter_map(|s| Some((s, *received.get(&(s, number))?))).collect()
        };
        let (truth, ours) = (of(&truth), of(&ours));
        if truth != ours {
            wrong.push(format!("{}: by Linux {truth:?}, by pollcast {ours:?}", sent.what));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}\nof {subjects:#?}", wrong.len(), sent.len(), wrong.join("\n"));
    truth.len()
}

// U13: every one; U15: unicast to the last; U16: filters of sockets; U17: IP_MULTICAST_ALL; U18: by interface; U19: bound to
// groups and to addresses; E04: an alias; E16: in a unicast frame.
#[test]
fn who_hears_what_is_as_on_linux() {
    if !may_run() {
        return;
    }
    let any = |multicast_all| subject("0.0.0.0:5000", multicast_all);
    let subjects = [
        any(true).joining(0, G1, true, &[]),
        any(true).joining(0, G1, false, &[1]),
        any(false).joining(0, G1, true, &[2]).joining(1, G1, false, &[2]),
        any(true),
        any(false),
        subject("239.1.2.3:5000", true),
        subject("239.1.2.3:5000", false),
        subject("239.1.2.4:5000", false).joining(0, G2, true, &[3]),
        any(false).joining(1, G2, true, &[]),
        subject("198.18.0.2:5000", true),
        subject("224.0.0.1:5000", true),
        subject("0.0.0.0:6000", true).joining(0, G3, false, &[1, 3]),
        subject("0.0.0.0:6000", false).joining(0, G3, false, &[2]).joining(0, G2, false, &[3]),
    ];
    let copies = assert_same(&subjects);
    // Else the two might agree by hearing nothing.
    assert!(copies > 200, "{copies} copies");
}

// The same of any sockets: seeded, so that a failure can be seen again.
#[test]
fn who_hears_what_is_as_on_linux_for_random_sockets() {
    if !may_run() {
        return;
    }
    for seed in 1..=3 {
        let mut rng = Rng::new(seed);
        let subjects: Vec<Subject> = (0..10).map(|_| random_subject(&mut rng)).collect();
        println!("seed {seed}");
        assert!(assert_same(&subjects) > 0, "seed {seed}");
    }
}

fn random_subject(rng: &mut Rng) -> Subject {
    const LOCALS: [&str; 6] = [
        "0.0.0.0:5000",
        "0.0.0.0:5000",
        "0.0.0.0:6000",
        "239.1.2.3:5000",
        "239.1.2.4:6000",
        "198.18.0.2:5000",
    ];
    let pick = |rng: &mut Rng, n: usize| usize::try_from(rng.below(n as u64)).unwrap();
    let mut subject = subject(LOCALS[pick(rng, LOCALS.len())], rng.below(2) == 0);
    let addr = *subject.local.ip();
    for (on, group) in [0, 1].into_iter().flat_map(|on| [G1, G2, G3].map(|group| (on, group))) {
        // Only what its socket could hear, which a configuration asks for.
        let could_hear = addr.is_unspecified() || addr == group;
        if !could_hear || rng.below(3) > 0 {
            continue;
        }
        let exclude = group != G3 && rng.below(2) == 0;
        let mut sources: Vec<u8> = (1..4).filter(|_| rng.below(2) == 0).collect();
        if !exclude && sources.is_empty() {
            sources.push(1);
        }
        subject = subject.joining(on, group, exclude, &sources);
    }
    subject
}

/// Three services on one address and port: the first on every worker and answering, the others on one each.
const THREE: &str = r#"
[[service]]
name = "everywhere"
kind = "echo"
listen = ["0.0.0.0:5000"]
reuse_address = true
groups = [{ group = "239.1.2.3" }]
group_answers_per_second = 0

[[service]]
name = "first"
kind = "echo"
listen = ["0.0.0.0:5000"]
reuse_address = true
groups = [{ group = "239.1.2.3" }]
group_answers_per_second = 0
cpus = [0]

[[service]]
name = "last"
kind = "echo"
listen = ["0.0.0.0:5000"]
reuse_address = true
multicast_all = true
group_answers_per_second = 0
cpus = [1]
"#;

/// Datagrams that are on their way at one time: what comes of them fits into every queue.
const WINDOW: u32 = 32;
const ROUNDS: u32 = 100;

/// Sends `ROUNDS` windows of datagrams from one socket, each of which is answered `answers` times. Every answer holds the
/// number of its datagram.
fn load(socket: &UdpSocket, to: Ipv4Addr, answers: u32) {
    let mut heard = BTreeMap::<u32, u32>::new();
    let mut buf = [0; 100];
    for round in 0..ROUNDS {
        for n in 0..WINDOW {
            let payload = [&(round * WINDOW + n).to_be_bytes()[..], b" and some more"].concat();
            socket.send_to(&payload, (to, 5000)).unwrap();
        }
        for _ in 0..WINDOW * answers {
            let len = socket.recv(&mut buf).unwrap_or_else(|e| panic!("to {to}, round {round}: {e}"));
            assert_eq!(buf[4..len], *b" and some more");
            *heard.entry(u32::from_be_bytes(buf[..4].try_into().unwrap())).or_default() += 1;
        }
    }
    assert_eq!(heard.len(), usize::try_from(ROUNDS * WINDOW).unwrap());
    assert!(heard.values().all(|times| *times == answers));
}

// U13, U15, under load, over two queues of a real device: every service has its exact count, wherever it lives, and nothing is
// lost on the way between workers.
#[test]
fn three_services_on_two_workers_have_every_datagram() {
    if !may_run() {
        return;
    }
    if std::thread::available_parallelism().map_or(1, usize::from) < 2 {
        say_skipped("needs two CPUs");
        return;
    }
    let workers = "cpus = [0, 1]\ncontrol_cpu = 0\n".into();
    let config = Config { workers, ..Config::new(&format!("net_tap0,iface={DEVICE}"), THREE) };
    let mut lab = Lab::new(&config);
    lab.netns.ip(&format!("addr add 198.18.0.1/24 dev {DEVICE}"));
    let sockets: Vec<UdpSocket> = lab.netns.enter(|| {
        let socket = || {
            let socket = UdpSocket::bind((KERNEL.ip, 0)).unwrap();
            SockRef::from(&socket).set_multicast_if_v4(&KERNEL.ip).unwrap();
            socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            socket
        };
        (0..6).map(|_| socket()).collect()
    });
    std::thread::scope(|scope| {
        for (n, socket) in sockets.iter().enumerate() {
            // A third of the flows to our address alone: the last service has them, on worker 1.
            let (to, answers) = if n % 3 == 2 { (HOST.ip, 1) } else { (G1, 3) };
            scope.spawn(move || load(socket, to, answers));
        }
    });
    let each = u64::from(ROUNDS * WINDOW);
    let rows = lab.pollcast.ctl(&["sockets"]);
    let counted: Vec<_> =
        rows.as_array().unwrap().iter().map(|row| (row["rx"].as_u64(), row["tx"].as_u64())).collect();
    let expected = [4 * each, 4 * each, 6 * each].map(|n| (Some(n), Some(n)));
    assert_eq!(counted, expected, "{rows}");
    assert_eq!(rows[1]["cpus"], serde_json::json!([0]));
    assert_eq!(lab.drops().into_keys().filter(|reason| reason.contains("hand_over")).count(), 0);
    let stats = lab.pollcast.ctl(&["stats"]);
    let engine = |name: &str| stats["ports"][0]["engine"][name].as_u64().unwrap();
    assert_eq!(engine("shared"), 2 * 4 * each);
    assert!(engine("handed_out") > 0 && engine("copied") > 0, "{stats}");
    lab.pollcast.stop();
}
