//! VLANs whose tags the driver takes off and puts on, end to end on the program; and a port on one VLAN alone.

use std::fs;
use std::net::Ipv4Addr;
use std::thread;
use std::time::{Duration, Instant};

use crate::common::capture::Capture;
use crate::common::corpus::{frames_of, pcap};
use crate::common::*;

const HOST_100: Host = HOST.with_ip(Ipv4Addr::new(198, 19, 0, 2));
const PEER_100: Host = PEER.with_ip(Ipv4Addr::new(198, 19, 0, 10));

/// 198.18.0.2 untagged, 198.19.0.2 on VLAN 100, an echo on both.
fn config(device: &str) -> Config {
    let mut config = Config::new(device, ECHO);
    config.ports.push_str("\n[[port.vlan]]\nid = 100\naddresses = [\"198.19.0.2/24\"]\n");
    config
}

fn request(from: Host, to: Host, payload: &[u8]) -> Vec<u8> {
    udp_frame(from, 4000, to, 7, payload)
}

/// The VLAN of a frame, and the frame without its tag.
fn untagged(frame: &[u8]) -> (Option<u16>, Vec<u8>) {
    if frame[12..14] != [0x81, 0x00] {
        return (None, frame.to_vec());
    }
    (Some(u16::from_be_bytes([frame[14], frame[15]])), [&frame[..12], &frame[16..]].concat())
}

/// The VLANs and payloads of the echoes from `host` among `frames`.
fn echoes(frames: &[Vec<u8>], host: Host) -> Vec<(Option<u16>, Vec<u8>)> {
    let read = |frame: &Vec<u8>| {
        let (vlan, bytes) = untagged(frame);
        let frame = Frame { bytes, at: Instant::now() };
        (frame.carries(UDP) && frame.ipv4().src == host.ip).then(|| (vlan, frame.udp().payload))
    };
    frames.iter().filter_map(read).collect()
}

fn drops(pollcast: &Pollcast, reason: &str) -> u64 {
    let rows = pollcast.ctl(&["drops"]);
    let row = rows.as_array().unwrap().iter().find(|row| row["reason"] == reason);
    row.and_then(|row| row["packets"].as_u64()).unwrap_or_else(|| panic!("no {reason} in {rows}"))
}

fn wait_for<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

// E12: af_packet takes tags off whoever wants them, and is asked to put them on.
#[test]
fn tags_that_the_driver_handles_are_the_same_on_the_wire() {
    if !may_run() {
        return;
    }
    let netns = Netns::new();
    netns.ip("link add ve0 type veth peer name ve1");
    for end in ["ve0", "ve1"] {
        netns.run("ethtool", &["-K", end, "tx", "off", "gso", "off", "gro", "off"]);
        netns.ip(&format!("link set {end} up"));
    }
    let raw = RawPeer::new(&netns, "ve1");
    let capture = Capture::start(&netns, "ve1");
    let mut pollcast = Pollcast::start(&netns, &config("net_af_packet0,iface=ve0"));
    let offloads = pollcast.ctl(&["ports"])[0]["offloads"].clone();
    let has = |offload: &str| offloads.as_array().unwrap().iter().any(|o| o == offload);
    assert!(has("rx_vlan_strip") && has("tx_vlan_insert"), "{offloads}");
    raw.send(&request(PEER, HOST, b"untagged"));
    raw.send(&tagged(&request(PEER_100, HOST_100, b"on 100"), 0x8100, 100));
    raw.send(&tagged(&request(PEER_100, HOST_100, b"nowhere"), 0x8100, 101));
    let seen = wait_for("two echoes", || {
        let sent = capture.frames();
        let both = [echoes(&sent, HOST), echoes(&sent, HOST_100)];
        both.iter().all(|echoes| !echoes.is_empty()).then_some(both)
    });
    let one = |vlan, payload: &[u8]| vec![(vlan, payload.to_vec())];
    assert_eq!(seen, [one(None, b"untagged"), one(Some(100), b"on 100")]);
    assert_eq!(drops(&pollcast, "vlan_unknown"), 1);
    pollcast.stop();
}

// A port that is on one VLAN and nothing else: `vlan = 100`.
#[test]
fn a_port_on_one_vlan_is_called_by_its_own_name() {
    if !may_run() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (input, output) = (dir.path().join("in.pcap"), dir.path().join("out.pcap"));
    let frames = [request(PEER, HOST, b"untagged"), tagged(&request(PEER, HOST, b"tagged"), 0x8100, 7)];
    fs::write(&input, pcap(&frames, 1)).unwrap();
    let device = format!("net_pcap0,rx_pcap={},tx_pcap={}", input.display(), output.display());
    let mut config = Config::new(&device, ECHO);
    config.ports.push_str("vlan = 7\n");
    let netns = Netns::new();
    let mut pollcast = Pollcast::start(&netns, &config);
    wait_for("the end of the capture", || {
        (pollcast.ctl(&["stats"])["ports"][0]["engine"]["rx"] == 2).then_some(())
    });
    assert_eq!(drops(&pollcast, "vlan_unknown"), 1);
    assert_eq!(pollcast.ctl(&["ports"])[0]["interfaces"][0]["name"], "p0");
    pollcast.stop();
    let sent = frames_of(&fs::read(&output).unwrap());
    assert_eq!(echoes(&sent, HOST), [(Some(7), b"tagged".to_vec())]);
    assert!(sent.iter().all(|frame| untagged(frame).0 == Some(7)), "nothing leaves untagged");
}
