//! Several VLANs of one port, through the program itself: tagged frames are replayed by `net_pcap`, and what goes out is
//! read with its tags. Each VLAN is a network of its own on one wire.

use std::collections::BTreeMap;
use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::common::corpus::{frames_of, pcap};
use crate::common::*;

const INTERFACES: &str = r#"addresses = ["198.18.0.2/24"]

[[port.vlan]]
id = 100
addresses = ["198.18.100.2/24"]

[[port.vlan]]
id = 200
addresses = ["198.18.200.2/24"]
"#;

const SERVICES: &str = r#"
[[service]]
name = "everywhere"
kind = "echo"
listen = ["0.0.0.0:7"]
groups = [{ group = "239.1.2.3", port = "p0.100" }]

[[service]]
name = "inside"
kind = "echo"
listen = ["0.0.0.0:9"]
ports = ["p0.200"]
"#;

/// What is sent to a VLAN, or untagged.
fn on(vid: Option<u16>, frame: &[u8]) -> Vec<u8> {
    vid.map_or_else(|| frame.to_vec(), |vid| tagged(frame, 0x8100, vid))
}

/// The VLAN of a frame, and the frame without its tag.
fn untag(frame: &Frame) -> (Option<u16>, Frame) {
    let bytes = &frame.bytes;
    match u16::from_be_bytes([bytes[12], bytes[13]]) {
        0x8100 => {
            let without = [&bytes[..12], &bytes[16..]].concat();
            (Some(u16::from_be_bytes([bytes[14], bytes[15]])), Frame { bytes: without, ..frame.clone() })
        }
        _ => (None, frame.clone()),
    }
}

/// A host in the network `net`, and ours there.
fn hosts(net: u8) -> (Host, Host) {
    let address = |n: u8| Ipv4Addr::new(198, 18, net, n);
    (PEER.with_ip(address(10)), HOST.with_ip(address(2)))
}

/// Requests are told apart by their source ports: this says which was answered, and on which VLAN.
type Answered = BTreeMap<u16, Option<u16>>;

/// What is sent to the untagged network and to both VLANs, and what must become of it.
fn requests() -> (Vec<Vec<u8>>, Answered) {
    let (mut frames, mut expected) = (Vec::new(), Answered::new());
    let mut next = 4000..;
    let mut ask =
        |vid: Option<u16>, net: u8, to: Option<Ipv4Addr>, port: u16, answer: Option<Option<u16>>| {
            let (peer, host) = hosts(net);
            let sport = next.next().unwrap();
            let request = udp_frame(peer, sport, to.map_or(host, |to| host.with_ip(to)), port, b"hello");
            frames.push(on(vid, &request));
            expected.extend(answer.map(|vlan| (sport, vlan)));
        };
    for (vid, net) in [(None, 0), (Some(100), 100), (Some(200), 200)] {
        ask(vid, net, None, 7, Some(vid));
        // The directed broadcast address, which echo answers only if it is told to.
        ask(vid, net, Some(Ipv4Addr::new(198, 18, net, 255)), 7, None);
        ask(vid, net, None, 9, (vid == Some(200)).then_some(vid));
    }
    // E11: a priority tag names no VLAN.
    ask(Some(0), 0, None, 7, Some(None));
    // The addresses of one are not those of another, and 300 is nobody's.
    ask(Some(100), 200, None, 7, None);
    ask(Some(200), 0, None, 7, None);
    ask(None, 100, None, 7, None);
    ask(Some(300), 100, None, 7, None);
    (frames, expected)
}

/// Who has our address there: answered by control.
fn arp_requests() -> Vec<Vec<u8>> {
    let request = |vid: Option<u16>, net: u8| {
        let (peer, host) = hosts(net);
        on(vid, &Arp::request(peer, host.ip).frame_to(BROADCAST))
    };
    vec![request(None, 0), request(Some(100), 100), request(Some(200), 200), request(Some(100), 200)]
}

/// Replays `frames`, and returns what was sent and what was dropped.
fn replay(dir: &Path, frames: &[Vec<u8>]) -> (Vec<Frame>, BTreeMap<String, u64>) {
    let (input, output) = (dir.join("in.pcap"), dir.join("out.pcap"));
    fs::write(&input, pcap(frames, 1)).unwrap();
    let device = format!("net_pcap0,rx_pcap={},tx_pcap={}", input.display(), output.display());
    let mut config = Config::new(&device, SERVICES);
    config.ports =
        format!("[[port]]\nname = \"p0\"\ndevice = \"{device}\"\nmac = \"02:00:00:00:00:02\"\n{INTERFACES}");
    let mut pollcast = Pollcast::start(&Netns::new(), &config);
    let all = u64::try_from(frames.len()).unwrap();
    let received =
        |pollcast: &Pollcast| pollcast.ctl(&["stats"])["ports"][0]["engine"]["rx"].as_u64().unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while received(&pollcast) < all {
        assert!(Instant::now() < deadline, "it does not receive");
        thread::sleep(Duration::from_millis(20));
    }
    // What control answers, and the group that it reports.
    thread::sleep(Duration::from_millis(500));
    let drops = pollcast.ctl(&["drops"]);
    let drops = drops.as_array().unwrap().iter();
    let drops =
        drops.map(|row| (row["reason"].as_str().unwrap().to_owned(), row["packets"].as_u64().unwrap()));
    let drops = drops.filter(|(_, packets)| *packets > 0).collect();
    pollcast.stop();
    let sent = frames_of(&fs::read(output).unwrap());
    (sent.into_iter().map(|bytes| Frame { at: Instant::now(), bytes }).collect(), drops)
}

// E11, E12, 802.1Q 6.9: what came with a tag is answered with it, and what is on no VLAN of ours not at all.
#[test]
fn each_vlan_is_a_network_of_its_own() {
    if !may_run() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (mut frames, expected) = requests();
    frames.extend(arp_requests());
    let (sent, drops) = replay(dir.path(), &frames);
    let sent: Vec<_> = sent.iter().map(untag).collect();

    let of_udp = sent.iter().filter(|(_, frame)| frame.carries(UDP));
    let answered: Answered = of_udp.map(|(vid, frame)| (frame.udp().dport, *vid)).collect();
    assert_eq!(answered, expected);
    for (vid, frame) in sent.iter().filter(|(_, frame)| frame.carries(UDP)) {
        let net = u8::try_from(vid.unwrap_or(0)).unwrap();
        let (peer, host) = hosts(net);
        let ip = frame.udp().ip;
        assert_eq!((frame.dst(), frame.src(), ip.src, ip.dst), (peer.mac, HOST.mac, host.ip, peer.ip));
    }

    let replies = sent.iter().filter(|(_, frame)| frame.is_arp() && frame.arp().operation == 2);
    let claims: Vec<_> = replies.map(|(vid, frame)| (*vid, frame.arp().sender.ip.octets()[2])).collect();
    assert_eq!(claims, [(None, 0), (Some(100), 100), (Some(200), 200)]);
    let announced = sent.iter().filter(|(_, frame)| frame.is_arp() && frame.arp().operation == 1);
    assert!(announced.clone().count() >= 3);
    for (vid, frame) in announced {
        assert_eq!(u16::from(frame.arp().sender.ip.octets()[2]), vid.unwrap_or(0), "{frame:?}");
    }
    // The group is reported where it was joined.
    let reported: Vec<_> =
        sent.iter().filter(|(_, frame)| frame.carries(IGMP)).map(|(vid, _)| *vid).collect();
    assert!(!reported.is_empty() && reported.iter().all(|vid| *vid == Some(100)), "{reported:?}");

    assert_eq!(drops.get("vlan_unknown"), Some(&1), "{drops:?}");
    assert_eq!(drops.get("ipv4_not_for_us"), Some(&3), "{drops:?}");
    assert_eq!(drops.get("arp_not_for_us"), Some(&1), "{drops:?}");
}

// A group is joined where its membership says, and `ctl` names that place. The kernel keeps the answers' tags to itself.
#[test]
fn a_group_is_joined_on_one_vlan() {
    if !may_run() {
        return;
    }
    let mut config = Config::new("net_tap0,iface=pc0", SERVICES);
    config.ports = format!(
        "[[port]]\nname = \"p0\"\ndevice = \"net_tap0,iface=pc0\"\nmac = \"02:00:00:00:00:02\"\n{INTERFACES}"
    );
    let lab = Lab::new(&config);
    let ask = |net: u8| {
        let (peer, host) = hosts(net);
        let group = host.with_ip(Ipv4Addr::new(239, 1, 2, 3));
        on((net != 0).then_some(net.into()), &udp_frame(peer, 4000, group, 7, b"hello"))
    };
    let is_answered = |net: u8| {
        let answer = lab.answer(&ask(net)).udp();
        assert_eq!((answer.ip.src, answer.ip.dst), (hosts(net).1.ip, hosts(net).0.ip));
    };
    is_answered(100);
    lab.assert_dropped(&ask(0), "ipv4_group_not_joined");
    lab.assert_dropped(&ask(200), "ipv4_group_not_joined");
    lab.change("join", &["239.1.2.3", "--service", "everywhere", "--port", "p0.200"]);
    is_answered(200);
    lab.assert_dropped(&ask(0), "ipv4_group_not_joined");
    let groups = lab.pollcast.ctl(&["groups"]);
    let on: Vec<_> = groups.as_array().unwrap().iter().map(|row| row["port"].as_str().unwrap()).collect();
    assert_eq!(on, ["p0.100", "p0.200"]);
    lab.change("leave", &["239.1.2.3", "--service", "everywhere", "--port", "p0.200"]);
    lab.assert_dropped(&ask(200), "ipv4_group_not_joined");
}
