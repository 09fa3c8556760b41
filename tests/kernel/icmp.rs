//! ICMP both ways, with the kernel as router, as peer and as judge.

use std::fs;
use std::net::{Ipv4Addr, UdpSocket};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::common::*;
use serde_json::Value;

static LAB: Shared = Shared::new(|| Lab::with_kernel(ECHO));

/// A client behind the kernel, which is a router then.
const FAR: Ipv4Addr = Ipv4Addr::new(198, 19, 0, 9);
/// What the router's second link carries.
const FAR_MTU: usize = 1300;

/// pollcast, the kernel as its router, and a client behind that, to whom the last link carries 1,300 bytes.
struct Routed {
    lab: Lab,
    far: Netns,
}

impl Routed {
    /// With an echo whose further keys are `keys`.
    fn new(keys: &str) -> Self {
        let config = Config::new(&format!("net_tap0,iface={DEVICE}"), &format!("{ECHO}{keys}\n"));
        let (lab, far) = (Lab::new(&config), Netns::new());
        let router = &lab.netns;
        router.ip(&format!("addr add 198.18.0.1/24 dev {DEVICE}"));
        router.ip(&format!("link add far0 type veth peer name far1 netns {}", far.path()));
        router.ip("addr add 198.19.0.1/24 dev far0");
        router.ip("link set far0 up");
        // As a link of 1,300 bytes would be; the devices themselves carry the client's own packets.
        router.ip(&format!("route replace 198.19.0.0/24 dev far0 src 198.19.0.1 mtu lock {FAR_MTU}"));
        router.enter(|| fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap());
        far.ip(&format!("addr add {FAR}/24 dev far1"));
        far.ip("link set far1 up");
        far.ip("route add default via 198.19.0.1");
        Self { lab, far }
    }

    fn client(&self) -> UdpSocket {
        self.far.enter(|| {
            let socket = UdpSocket::bind((FAR, 0)).unwrap();
            socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
            socket
        })
    }

    /// The paths that pollcast knows.
    fn paths(&self) -> Vec<Value> {
        self.lab.pollcast.ctl(&["paths"]).as_array().unwrap().clone()
    }

    /// The same, once there are `count`.
    #[track_caller]
    fn wait_for_paths(&self, count: usize, patience: Duration) -> Vec<Value> {
        let deadline = Instant::now() + patience;
        loop {
            let paths = self.paths();
            if paths.len() == count {
                return paths;
            }
            assert!(Instant::now() < deadline, "{paths:?}, not {count}");
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Sends a request whose IP packet is `len` bytes. Whether an answer of the same length comes within `patience`.
fn asks(socket: &UdpSocket, len: usize, patience: Duration) -> bool {
    let payload: Vec<u8> = (0..len - 28).map(|i| u8::try_from(i % 251).unwrap()).collect();
    socket.send_to(&payload, (HOST.ip, 7)).unwrap();
    socket.set_read_timeout(Some(patience)).unwrap();
    let mut buf = vec![0; 65536];
    match socket.recv(&mut buf) {
        Ok(len) => {
            assert_eq!(buf[..len], payload);
            true
        }
        Err(_) => false,
    }
}

const SOON: Duration = Duration::from_millis(300);
const PATIENCE: Duration = Duration::from_secs(5);

// C16, T01, RFC 1191 3: the router's own report; "do" then refuses what the path does not carry.
#[test]
fn a_routers_report_lowers_the_path_mtu_to_the_host_behind_it() {
    if !may_run() {
        return;
    }
    let routed = Routed::new("path_mtu_discovery = \"do\"");
    let client = routed.client();
    assert!(asks(&client, FAR_MTU, PATIENCE));
    assert!(routed.paths().is_empty());
    // The answer has DF, and is lost: the router says why.
    assert!(!asks(&client, 1428, SOON));
    let paths = routed.wait_for_paths(1, PATIENCE);
    assert_eq!(
        (&paths[0]["addr"], &paths[0]["mtu"]),
        (&FAR.to_string().into(), &FAR_MTU.into()),
        "{paths:?}"
    );
    assert_eq!(paths[0]["port"], "p0");
    let before = routed.lab.drops();
    assert!(!asks(&client, FAR_MTU + 1, SOON));
    assert_eq!(routed.lab.drops_since(&before), [("reply_too_big".to_owned(), 1)].into());
    assert!(asks(&client, FAR_MTU, PATIENCE));
    // The router itself is nearer.
    let near = routed.lab.netns.enter(|| UdpSocket::bind((KERNEL.ip, 0)).unwrap());
    assert!(asks(&near, 1500, PATIENCE));
}

// C16, T01: by default, what the path does not carry is sent in fragments, which the client's kernel puts together.
#[test]
fn answers_longer_than_the_path_come_in_fragments() {
    if !may_run() {
        return;
    }
    let routed = Routed::new("");
    let client = routed.client();
    assert!(!asks(&client, 1428, SOON), "its path was known before anyone could tell");
    routed.wait_for_paths(1, PATIENCE);
    for len in [FAR_MTU + 1, 1428, 1500] {
        assert!(asks(&client, len, PATIENCE), "{len} bytes");
    }
}

// T01, ip(7): without DF, routers cut what they must, and there is nothing to report.
#[test]
fn answers_without_df_are_cut_by_the_router() {
    if !may_run() {
        return;
    }
    let routed = Routed::new("path_mtu_discovery = \"dont\"");
    assert!(asks(&routed.client(), 1428, PATIENCE));
    assert!(routed.paths().is_empty());
}

// T04, RFC 1191: another MTU of the port forgets every path; more than configured it cannot be.
#[test]
fn another_mtu_of_the_port_forgets_its_paths() {
    if !may_run() {
        return;
    }
    let routed = Routed::new("path_mtu_discovery = \"do\"");
    assert!(!asks(&routed.client(), 1428, SOON));
    routed.wait_for_paths(1, PATIENCE);
    let done = routed.lab.pollcast.ctl(&["mtu", "1400", "--port", "p0"]);
    assert!(done["done"].as_str().unwrap().starts_with("p0 carries 1400 bytes"), "{done}");
    assert!(routed.paths().is_empty());
    assert_eq!(routed.lab.pollcast.ctl(&["ports"])[0]["mtu"], 1400);
    for bad in ["1501", "67", "9000"] {
        let refused = routed.lab.pollcast.try_ctl(&["mtu", bad]);
        assert!(!refused.status.success());
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(said.contains("use 68 to 1500"), "{said}");
    }
}

/// A "fragmentation needed" of the peer about a datagram of `len` bytes that UDP port `port` of the host sent to it.
fn too_big(port: u16, len: u16, mtu: u16) -> Vec<u8> {
    let datagram = Udp::new(port, 4000).datagram(HOST.ip, PEER.ip, &[]);
    let ip = Ipv4 { fragment: 0x4000, total_length: Some(len), ..Ipv4::new(HOST.ip, PEER.ip, UDP) };
    let [high, low] = mtu.to_be_bytes();
    let message = icmp(3, 4, [0, 0, high, low], &ip.packet(&datagram));
    frame(PEER, HOST, &Ipv4::new(PEER.ip, HOST.ip, ICMP).packet(&message))
}

// C14, C16, RFC 5927: no socket; no such MTU; no such packet.
#[test]
fn a_forged_report_changes_nothing() {
    let Some(lab) = LAB.lock() else { return };
    let paths = || lab.pollcast.ctl(&["paths"]);
    lab.assert_dropped(&too_big(8, 1500, 1300), "icmp_error_unmatched");
    lab.assert_dropped(&too_big(7, 1500, 20), "icmp_mtu_invalid");
    lab.assert_dropped(&too_big(7, 1500, 1500), "icmp_mtu_invalid");
    lab.assert_dropped(&too_big(7, 1501, 1300), "icmp_mtu_invalid");
    assert_eq!(paths(), Value::Array(vec![]));
    // One that can be true is heard, and (C17) not answered.
    let seen = lab.wire.exchange(&[too_big(7, 1500, 1300)], Duration::from_millis(50));
    assert!(seen.is_empty(), "{seen:?}");
    assert_eq!(paths()[0]["mtu"], 1300);
    // And from an old router: the next of the common ones.
    lab.wire.exchange(&[too_big(7, 1300, 0)], Duration::from_millis(50));
    assert_eq!(paths()[0]["mtu"], 1006);
}

// I17, RFC 1122 3.2.2.6: as people see it.
#[test]
fn ping_shows_the_route_that_was_recorded() {
    let Some(lab) = LAB.lock() else { return };
    let said = lab.netns.run("ping", &["-R", "-n", "-c", "1", "-W", "2", "198.18.0.2"]);
    let route: Vec<&str> = said.split("RR:").nth(1).unwrap().split_whitespace().take(4).collect();
    // Linux, and we, write ourselves down on arrival and on departure.
    assert_eq!(route, ["198.18.0.1", "198.18.0.2", "198.18.0.2", "198.18.0.1"], "{said}");
}

// I17, RFC 791 3.1.
#[test]
fn ping_shows_the_times_that_were_stamped() {
    let Some(lab) = LAB.lock() else { return };
    for kind in ["tsonly", "tsandaddr"] {
        let said = lab.netns.run("ping", &["-T", kind, "-n", "-c", "1", "-W", "2", "198.18.0.2"]);
        let times = said.split("TS:").nth(1).unwrap_or_else(|| panic!("{said}"));
        // The first is absolute; the others are differences, in milliseconds, of one machine's clock.
        let stamps: Vec<i64> =
            times.lines().filter_map(|l| l.split_whitespace().find_map(|w| w.parse().ok())).collect();
        assert!(stamps.len() >= 4, "{said}");
        assert!(stamps[1..4].iter().all(|ms| ms.abs() <= 2000), "{said}");
    }
}

/// Milliseconds since midnight UT, by the system's clock.
fn ms_of_day() -> u32 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    u32::try_from(since_1970 % 86_400_000).unwrap()
}

// C10, RFC 1122 3.2.2.8, RFC 792: 13 is answered by 14, with the time of day.
#[test]
fn the_time_of_day_is_told() {
    let Some(lab) = LAB.lock() else { return };
    let message = icmp(13, 0, [0x12, 0x34, 0, 1], &[9, 8, 7, 6, 0, 0, 0, 0, 0, 0, 0, 0]);
    let answer = lab.answer(&frame(PEER, HOST, &Ipv4::new(PEER.ip, HOST.ip, ICMP).packet(&message))).icmp();
    assert_eq!((answer.kind, answer.code, answer.rest), (14, 0, [0x12, 0x34, 0, 1]));
    assert_eq!((answer.data.len(), &answer.data[..4]), (12, &[9, 8, 7, 6][..]));
    assert_eq!(answer.data[4..8], answer.data[8..]);
    let told = u32::from_be_bytes(answer.data[4..8].try_into().unwrap());
    let apart = ms_of_day().abs_diff(told);
    assert!(apart.min(86_400_000 - apart) < 3000, "{told} is {apart} ms apart");
}

// C17, C15, RFC 1122 3.2.2: the kernel has no socket for our answer, and says so. Nobody answers that.
#[test]
fn the_kernels_error_about_our_answer_is_not_answered() {
    let Some(lab) = LAB.lock() else { return };
    let reports = || lab.pollcast.ctl(&["stats"])["ports"][0]["engine"]["icmp_reports"].as_u64().unwrap();
    let before = reports();
    // From the kernel's address, from a port that nobody has.
    let request = udp_frame(KERNEL, 4999, HOST, 7, b"who asked?");
    let seen = lab.wire.exchange(&[request], Duration::from_millis(100));
    assert!(!seen.is_empty() && seen.iter().all(|f| f.carries(UDP)), "the answer alone: {seen:?}");
    let deadline = Instant::now() + PATIENCE;
    while reports() == before {
        assert!(Instant::now() < deadline, "the kernel said nothing");
        thread::sleep(Duration::from_millis(20));
    }
}

// I18, RFC 1122 3.2.2.1: as Linux, byte for byte but for what is random.
#[test]
fn an_unknown_protocol_is_refused_as_linux_does() {
    let Some(lab) = LAB.lock() else { return };
    let linux = Linux::new();
    let packet = Ipv4 { tos: 0x28, ..Ipv4::new(PEER.ip, HOST.ip, 253) }.packet(b"anybody?");
    let stimulus = frame(PEER, HOST, &packet);
    let ours = lab.answer_and_drops(&stimulus, &["protocol_unknown"]).icmp();
    let theirs = linux.wire.exchange(&[stimulus], Duration::from_millis(50)).remove(0).icmp();
    assert_eq!((ours.kind, ours.code, ours.rest), (3, 2, [0; 4]));
    for (what, ours, theirs) in [
        ("type", ours.kind.into(), theirs.kind.into()),
        ("code", ours.code.into(), theirs.code.into()),
        ("type of service", ours.ip.tos.into(), theirs.ip.tos.into()),
        ("time to live", ours.ip.ttl.into(), theirs.ip.ttl.into()),
        ("flags", ours.ip.fragment, theirs.ip.fragment),
    ] {
        assert_eq!(ours, theirs, "{what}");
    }
    assert_eq!((ours.data, ours.ip.src, ours.ip.dst), (theirs.data, theirs.ip.src, theirs.ip.dst));
}

// I17, RFC 1122 3.2.2.6: the options of an echo's reply, as Linux's; of the times, only that they are written.
#[test]
fn options_in_an_echo_come_back_as_linux_sends_them() {
    let Some(lab) = LAB.lock() else { return };
    let linux = Linux::new();
    let own = HOST.ip.octets();
    let cases: [Vec<u8>; 8] = [
        [&[7, 15, 4][..], &[0; 12], &[0]].concat(),
        [&[7, 7, 8][..], &[1, 2, 3, 4], &[0]].concat(),
        [&[1, 7, 11, 8][..], &[1, 2, 3, 4], &[0; 4]].concat(),
        [&[68, 8, 9, 0x20][..], &[1, 2, 3, 4]].concat(),
        [&[68, 12, 5, 3][..], &PEER.ip.octets(), &[0; 4]].concat(),
        vec![0x9e, 4, 0, 0, 148, 4, 0, 0],
        vec![68, 4, 5, 0, 7, 3, 4, 0],
        [&[7, 3, 4, 0x9e, 3, 7][..], &[1, 1]].concat(),
    ];
    for options in cases {
        let ping = Ipv4 { options: options.clone(), ..Ipv4::new(PEER.ip, HOST.ip, ICMP) };
        let ping = frame(PEER, HOST, &ping.packet(&echo_request(1, 1, b"hello")));
        let ours = lab.answer(&ping).icmp();
        let theirs = linux.wire.exchange(&[ping], Duration::from_millis(50)).remove(0).icmp();
        assert_eq!(ours.ip.options, theirs.ip.options, "{options:?}");
        assert_eq!((ours.kind, ours.data), (theirs.kind, theirs.data));
    }
    // With times: the same shape, and ours is an address of its own in both.
    let options = [&[68, 20, 5, 1][..], &[0; 16]].concat();
    let ping = Ipv4 { options, ..Ipv4::new(PEER.ip, HOST.ip, ICMP) };
    let ping = frame(PEER, HOST, &ping.packet(&echo_request(1, 1, b"hello")));
    for answer in [lab.answer(&ping), linux.wire.exchange(&[ping], Duration::from_millis(50)).remove(0)] {
        let options = answer.icmp().ip.options;
        assert_eq!(
            (&options[..4], &options[4..8], &options[12..16]),
            (&[68, 20, 21, 1][..], &own[..], &own[..])
        );
    }
}
