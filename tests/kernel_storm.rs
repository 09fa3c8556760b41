//! Two reflectors and one packet that nobody sent: between two echoes it would go round for ever, at line rate (CERT
//! CA-1996-01). Frames are counted on the wire.
#![cfg(all(feature = "dpdk", feature = "cli"))]

mod common;

use std::net::{Ipv4Addr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use common::*;

const GROUP: Ipv4Addr = Ipv4Addr::new(239, 1, 2, 3);

/// The two hosts that could answer each other.
const ONE: Host = Host::number(2);
const OTHER: Host = Host::number(4);

/// How long a storm is watched.
const WATCH: Duration = Duration::from_millis(500);

/// Two pollcasts and the kernel on one bridge, which floods like a hub: an attacker's MAC addresses redirect nothing.
struct Segment {
    // In the order of their end.
    _hosts: [Pollcast; 2],
    /// What each of the two sends.
    from: [RawPeer; 2],
    attacker: RawPeer,
    netns: Netns,
}

/// An echo on `port`, with further lines.
fn echo_on(port: u16, more: &str) -> String {
    format!(
        "[[service]]\nkind = \"echo\"\nlisten = [\"0.0.0.0:{port}\"]\ngroups = [{{ group = \"{GROUP}\" }}]\n\
         answer_broadcast = true\n{more}\n"
    )
}

fn host(netns: &Netns, host: Host, device: &str, services: &str) -> Pollcast {
    let config = Config::new(&format!("net_tap0,iface={device}"), services);
    let ports = format!(
        "[[port]]\nname = \"p0\"\ndevice = \"net_tap0,iface={device}\"\nmac = \"{}\"\naddresses = [\"{}/24\"]\n",
        written(host.mac),
        host.ip
    );
    let pollcast = Pollcast::start(netns, &Config { ports, ..config });
    // The kernel's end begins with the same address.
    netns.ip(&format!("link set {device} address 02:00:00:00:01:{:02x} master br0 up", host.mac[5]));
    pollcast
}

impl Segment {
    /// With what each of the two serves.
    fn new(services: [&str; 2]) -> Self {
        let netns = Netns::new();
        netns.ip("link add br0 type bridge ageing_time 0 mcast_snooping 0 forward_delay 0");
        netns.ip("link set br0 address 02:00:00:00:00:01 up");
        netns.ip("addr add 198.18.0.1/24 dev br0");
        netns.ip("link add at0 type veth peer name at1");
        netns.ip("link set at1 master br0 up");
        netns.ip("link set at0 up");
        let hosts = [host(&netns, ONE, "pc0", services[0]), host(&netns, OTHER, "pc1", services[1])];
        let from = ["pc0", "pc1"].map(|device| RawPeer::new(&netns, device));
        let attacker = RawPeer::new(&netns, "at0");
        Self { _hosts: hosts, from, attacker, netns }
    }

    /// Sends one frame, and says how many UDP frames each of the two sent after it.
    fn storm_after(&self, frame: &[u8]) -> [usize; 2] {
        self.from.iter().for_each(RawPeer::drain);
        self.attacker.send(frame);
        thread::sleep(WATCH);
        let udp =
            |peer: &RawPeer| peer.frames(Duration::ZERO).iter().filter(|frame| frame.carries(UDP)).count();
        [udp(&self.from[0]), udp(&self.from[1])]
    }

    /// The kernel answers whatever comes to `port`, until the guard is dropped.
    fn kernel_reflector(&self, port: u16) -> Reflector {
        let socket = self.netns.enter(|| UdpSocket::bind((KERNEL.ip, port)).unwrap());
        socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let mut buf = [0; 2048];
            let mut answers = 0_usize;
            while !stopped.load(Ordering::Relaxed) {
                if let Ok((_, from)) = socket.recv_from(&mut buf) {
                    answers += usize::from(socket.send_to(b"!\"#$%&'()*+,-./0123456789", from).is_ok());
                }
            }
            answers
        });
        Reflector { stop, thread: Some(thread) }
    }
}

/// Something like chargen (RFC 864) in the kernel's place.
struct Reflector {
    stop: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<usize>>,
}

impl Reflector {
    /// How often it answered.
    fn stop(mut self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap()
    }
}

impl Drop for Reflector {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

// X06, X02: between two echoes a spoofed packet ends at once, by whichever way it came.
#[test]
fn two_echoes_on_one_bridge_do_not_answer_each_other() {
    if !may_run() {
        return;
    }
    let echo = echo_on(7, "");
    let segment = Segment::new([&echo, &echo]);
    // That both answer: the attacker's own question.
    let asked = udp_frame(PEER, 4000, ONE, 7, b"are you there?");
    assert_eq!(segment.storm_after(&asked), [1, 0]);
    assert_eq!(segment.storm_after(&udp_frame(PEER, 4000, OTHER, 7, b"and you?")), [0, 1]);
    let to_all = |frame: Vec<u8>| [&BROADCAST, &frame[6..]].concat();
    for (what, frame) in [
        ("one to the other", udp_frame(ONE, 7, OTHER, 7, b"echo")),
        ("the other to one", udp_frame(OTHER, 7, ONE, 7, b"echo")),
        ("one to the group", udp_frame(ONE, 7, OTHER.with_ip(GROUP), 7, b"echo")),
        ("one to everyone", to_all(udp_frame(ONE, 7, OTHER.with_ip(Ipv4Addr::BROADCAST), 7, b"echo"))),
        ("one to itself", udp_frame(ONE, 7, ONE, 7, b"echo")),
        ("the other's chargen", udp_frame(OTHER, 19, ONE, 7, b"echo")),
        ("everyone to one", udp_frame(ONE.with_ip(Ipv4Addr::BROADCAST), 4000, ONE, 7, b"echo")),
    ] {
        assert_eq!(segment.storm_after(&frame), [0, 0], "{what}");
    }
}

// X06: a port that is in nobody's list. One answers, the other knows the answer's port for a reflector's.
#[test]
fn an_echo_on_another_port_gets_one_answer_and_gives_none() {
    if !may_run() {
        return;
    }
    let segment = Segment::new([&echo_on(7, ""), &echo_on(9000, "")]);
    assert_eq!(segment.storm_after(&udp_frame(OTHER, 9000, ONE, 7, b"echo")), [1, 0]);
    assert_eq!(segment.storm_after(&udp_frame(ONE, 7, OTHER, 9000, b"echo")), [0, 0]);
}

// X06, X02: refusing nobody, an echo still never answers its own port.
#[test]
fn two_echoes_that_refuse_nobody_end_the_storm_by_their_own_port() {
    if !may_run() {
        return;
    }
    let echo = echo_on(7, "refuse_source_ports = \"none\"");
    let segment = Segment::new([&echo, &echo]);
    assert_eq!(segment.storm_after(&udp_frame(ONE, 7, OTHER, 7, b"echo")), [0, 0]);
    assert_eq!(segment.storm_after(&udp_frame(OTHER, 7, ONE, 7, b"echo")), [0, 0]);
}

// X02, CERT CA-1996-01: echo and chargen. And that a storm would be seen: from a port that is in no list, it is one.
#[test]
fn echo_and_chargen_do_not_answer_each_other() {
    if !may_run() {
        return;
    }
    let echo = echo_on(7, "");
    let segment = Segment::new([&echo, &echo]);
    let chargen = segment.kernel_reflector(19);
    let spoofed = |port| udp_frame(ONE, 7, KERNEL, port, b"echo");
    assert_eq!(segment.storm_after(&spoofed(19)), [0, 0]);
    assert_eq!(chargen.stop(), 1, "it answered the spoofed packet, and nothing more came");
    let unknown = segment.kernel_reflector(4019);
    let [storm, others] = segment.storm_after(&spoofed(4019));
    let answers = unknown.stop();
    assert!(storm > 100 && answers > 100 && others == 0, "{storm} and {others} frames, {answers} answers");
}

// X05, RFC 8085 3: what no list can know, a cap on answers to one source keeps small.
#[test]
fn a_cap_on_answers_to_one_source_starves_the_storm() {
    if !may_run() {
        return;
    }
    let segment = Segment::new([&echo_on(7, "replies_per_second_per_source = 20"), &echo_on(7, "")]);
    let unknown = segment.kernel_reflector(4019);
    let [storm, others] = segment.storm_after(&udp_frame(ONE, 7, KERNEL, 4019, b"echo"));
    unknown.stop();
    assert!((1..=40).contains(&storm) && others == 0, "{storm} and {others} frames in {WATCH:?}");
}
