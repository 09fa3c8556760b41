//! Combinations of the offloads that a virtual device's driver offers: the frames that come out and the counters are the same as
//! with none of them. `tests/sim/offloads.rs` does the same with every combination, on a simulated NIC.
#![cfg(all(feature = "dpdk", feature = "cli", feature = "sim"))]

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use crate::common::capture::Capture;
use crate::common::*;
use crate::offload_common::{LAST, SAID, VID, requests, said, threewise};
use ::pollcast::addr::MacAddr;

/// What a run came to: what was said, what was dropped and why, and how much was delivered.
type Outcome = (Vec<String>, BTreeMap<String, u64>, [u64; 3]);

/// The ways to a host under test.
#[derive(Clone, Copy, Debug)]
enum Link {
    Tap,
    AfPacket,
    VirtioUser,
    Vhost,
}

/// An echo in both IP versions, untagged and on a VLAN, which leaves `offloads` to its device.
fn config(device: &str, offloads: &str) -> Config {
    let mut config = Config::dual(device, ECHO6);
    config.ports.push_str(&format!(
        "offloads = {offloads}\n\n[[port.vlan]]\nid = {VID}\naddresses = [\"198.19.0.2/24\", \"2001:db8:64::2/64\"]\n\
         dad_transmits = 0\nrouter_discovery = false\n"
    ));
    config
}

fn wait_for<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// A host at the near end of the wire; and what lives as long.
struct Bench {
    lab: Lab,
    far: &'static str,
    _bridge: Option<Bridge>,
    _dir: Option<tempfile::TempDir>,
}

impl Link {
    /// How many lines of answers there are. DPDK's af_packet has the kernel put IPv4 fragments together for it (its fanout's
    /// `PACKET_FANOUT_FLAG_DEFRAG`), in frames of at most 2,048 bytes: of what is longer the rest is cut off, and it is dropped as such.
    const fn said(self) -> usize {
        match self {
            Self::AfPacket => SAID - 4,
            Self::Tap | Self::VirtioUser | Self::Vhost => SAID,
        }
    }

    fn bench(self, offloads: &str) -> Bench {
        let netns = Netns::new();
        match self {
            Self::Tap => {
                let lab = Lab::new(&config(&format!("net_tap0,iface={DEVICE}"), offloads));
                Bench { lab, far: DEVICE, _bridge: None, _dir: None }
            }
            Self::AfPacket => {
                netns.ip("link add ve0 type veth peer name ve1");
                for end in ["ve0", "ve1"] {
                    netns.run("ethtool", &["-K", end, "tx", "off", "gso", "off", "gro", "off"]);
                    netns.ip(&format!("link set {end} up"));
                }
                let pollcast = Pollcast::start(&netns, &config("net_af_packet0,iface=ve0", offloads));
                let wire = Wire::new(RawPeer::new(&netns, "ve1"));
                Bench { lab: Lab { pollcast, wire, netns }, far: "ve1", _bridge: None, _dir: None }
            }
            Self::VirtioUser | Self::Vhost => self.ring(netns, offloads),
        }
    }

    /// One end of a virtio ring, whose other end a bridge connects with a tap.
    fn ring(self, netns: Netns, offloads: &str) -> Bench {
        let tap = format!("net_tap1,iface={DEVICE}");
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("vhost.sock");
        let vhost = format!("net_vhost0,iface={},queues=1", socket.display());
        let virtio = format!("net_virtio_user0,path={},queues=1", socket.display());
        // Who has the vhost end makes the socket.
        let (pollcast, bridge) = if matches!(self, Self::VirtioUser) {
            let bridge = Bridge::start(&netns, "offloads-virtio", &vhost, &tap);
            (Pollcast::start(&netns, &config(&virtio, offloads)), bridge)
        } else {
            let pollcast = Pollcast::start(&netns, &config(&vhost, offloads));
            (pollcast, Bridge::start(&netns, "offloads-vhost", &virtio, &tap))
        };
        netns.ip(&format!("link set {DEVICE} address 02:00:00:00:00:01 up"));
        let wire = Wire::new(RawPeer::new(&netns, DEVICE));
        Bench { lab: Lab { pollcast, wire, netns }, far: DEVICE, _bridge: Some(bridge), _dir: Some(dir) }
    }
}

impl Bench {
    /// The offloads in use, but for the leave to see frames of VLANs, which is no work.
    fn in_use(&self) -> Vec<String> {
        let ports = self.lab.pollcast.ctl(&["ports"]);
        let names = ports[0]["offloads"].as_array().unwrap();
        names
            .iter()
            .map(|name| name.as_str().unwrap().to_owned())
            .filter(|name| name != "rx_vlan_filter")
            .collect()
    }

    /// Asks everything, and sees what comes of it.
    fn outcome(&self) -> Outcome {
        let mac = MacAddr(HOST.mac);
        self.lab.wire.fence();
        let capture = Capture::start(&self.lab.netns, self.far);
        let before = self.lab.drops();
        for chunk in requests(mac).chunks(16) {
            self.lab.wire.exchange(chunk, Duration::from_millis(2));
        }
        // The kernel hands its captures over in its own time: the last answer is there when all others are.
        // A short frame is padded behind it.
        let is_last = |frame: &Vec<u8>| {
            frame[6..12] == HOST.mac && frame.windows(LAST.len()).any(|payload| payload == LAST)
        };
        let frames = wait_for("the last answer", || {
            let frames = capture.frames();
            frames.iter().any(is_last).then_some(frames)
        });
        let mut drops = self.lab.drops_since(&before);
        drops.remove("ethernet_group_not_joined");
        let stats = self.lab.pollcast.ctl(&["stats"]);
        let engine = &stats["ports"][0]["engine"];
        let counted = ["delivered", "reassembled", "icmp_errors"].map(|name| engine[name].as_u64().unwrap());
        (said(mac, &frames), drops, counted)
    }
}

/// Holds combinations of what `link` offers against none of it.
fn compare(link: Link, expected: &[&str]) {
    if !may_run() {
        return;
    }
    let offered = link.bench("\"auto\"").in_use();
    for name in expected {
        assert!(offered.iter().any(|offload| offload == name), "{link:?} offers {offered:?}, and not {name}");
    }
    let mut reference: Option<Outcome> = None;
    for on in threewise(&offered) {
        let mut bench = link.bench(&format!("{on:?}"));
        assert_eq!(bench.in_use(), on);
        let found = bench.outcome();
        bench.lab.pollcast.stop();
        let reference = reference.get_or_insert_with(|| found.clone());
        assert!(found == *reference, "{link:?} with {on:?}:\n{found:#?}\nand without:\n{reference:#?}");
        assert!(found.0.len() == link.said(), "{found:#?}");
        for reason in ["udp_checksum", "ipv4_checksum", "vlan_unknown"] {
            assert!(found.1.contains_key(reason), "{reason} in {found:#?}");
        }
    }
}

// C01, U04, U05: sums are the same whoever looks at them and computes them.
#[test]
fn a_tap() {
    compare(Link::Tap, &["rx_ipv4_cksum", "rx_udp_cksum", "tx_ipv4_cksum", "tx_udp_cksum"]);
}

// E11, E12: tags are the same whoever takes them off and puts them on.
#[test]
fn af_packet() {
    compare(Link::AfPacket, &["rx_vlan_strip", "tx_vlan_insert"]);
}

#[test]
fn virtio_user() {
    compare(Link::VirtioUser, &["rx_udp_cksum", "tx_udp_cksum", "rx_vlan_strip"]);
}

#[test]
fn vhost() {
    compare(Link::Vhost, &["rx_vlan_strip", "tx_vlan_insert"]);
}
