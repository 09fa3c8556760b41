//! The corpus through the program itself: a capture is replayed by `net_pcap`, and what goes out is written to another.
//!
//! In the end (Q01): what the device received is what the workers did is what the file holds; each packet had one outcome; every
//! buffer is back in the pool; and a second reader finds nothing wrong with what was sent.
#![cfg(all(feature = "dpdk", feature = "cli", feature = "sim"))]

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::common::corpus::{corpus, frames_of, pcap};
use crate::common::judge::Judge;
use crate::common::kinds::cut;
use crate::common::kinds6::{HOST6, LOCAL6, SECOND6};
use crate::common::*;
use serde_json::Value;

/// How long a replay may take, and what it leaves behind: fragments wait for their likes.
const PATIENCE: Duration = Duration::from_secs(90);

/// What came and what went, by DESIGN 3.
const CAME: [&str; 5] = ["rx", "allocated", "shared", "handed_in", "released"];
const WENT: [&str; 8] =
    ["tx", "tx_refused", "handed_out", "punted", "held", "merged", "fragmented", "consumed"];

/// The counters of the one port, and of the pool, at one moment.
#[derive(Debug)]
struct Stats(Value);

impl Stats {
    fn of(pollcast: &Pollcast) -> Self {
        Self(pollcast.ctl(&["stats"]))
    }

    fn engine(&self, name: &str) -> u64 {
        self.0["ports"][0]["engine"][name].as_u64().unwrap_or_else(|| panic!("no {name} in {}", self.0))
    }

    fn device(&self, name: &str) -> u64 {
        self.0["ports"][0]["device"][name].as_u64().unwrap_or_else(|| panic!("no {name} in {}", self.0))
    }

    fn dropped(&self) -> u64 {
        self.0["ports"][0]["dropped"].as_u64().unwrap()
    }

    fn pool(&self) -> (u64, u64) {
        (self.0["pool"]["free"].as_u64().unwrap(), self.0["pool"]["size"].as_u64().unwrap())
    }

    fn sums(&self) -> (u64, u64) {
        let sum = |names: &[&str]| names.iter().map(|name| self.engine(name)).sum::<u64>();
        (sum(&CAME), sum(&WENT) + self.dropped())
    }
}

/// A host at the far end of captures in `dir`, which waits for fragments no longer than a test wants to.
fn config(dir: &Path) -> Config {
    let (input, output) = (dir.join("in.pcap"), dir.join("out.pcap"));
    let device = format!("net_pcap0,rx_pcap={},tx_pcap={}", input.display(), output.display());
    Config::dual(&device, &format!("{ECHO6}[reassembly]\ntimeout_s = 2\ntimeout6_s = 2\n"))
}

/// The longest datagram that there can be, in fragments, from a host of its own.
fn longest_datagram(n: u8) -> Vec<Vec<u8>> {
    let from = Host::number(n);
    let datagram = Udp::new(4000, 7).datagram(from.ip, HOST.ip, &vec![n; 65_507]);
    let packet = Ipv4 { id: 0x7000, ..Ipv4::new(from.ip, HOST.ip, UDP) }.packet(&datagram);
    cut(&packet, 1480).iter().map(|piece| frame(from, HOST, piece)).collect()
}

/// Whether `frame` is the first of an echo's fragments, and of the longest one.
fn begins_a_longest_echo(frame: &[u8]) -> bool {
    frame.len() > 42
        && frame[23] == UDP
        && frame[20..22] == [0x20, 0]
        && frame[38..40] == 65_515_u16.to_be_bytes()
}

/// Waits until all of `frames` have been dealt with, and nothing is held any more.
fn settled(pollcast: &Pollcast, frames: u64) -> Stats {
    let deadline = Instant::now() + PATIENCE;
    let mut before = (0, 0);
    loop {
        let stats = Stats::of(pollcast);
        let (came, went) = stats.sums();
        let quiet = stats.engine("held") == stats.engine("released") && stats.pool().0 == stats.pool().1;
        if stats.engine("rx") >= frames && came == went && before == (came, went) && quiet {
            return stats;
        }
        assert!(Instant::now() < deadline, "of {frames} frames: {came} came, {went} went, {stats:?}");
        before = (came, went);
        thread::sleep(Duration::from_millis(100));
    }
}

/// Replays `frames` so many `times`, and checks every account. What was sent is left in `dir`.
fn replay(dir: &Path, frames: &[Vec<u8>], times: usize) -> Stats {
    let netns = Netns::new();
    fs::write(dir.join("in.pcap"), pcap(frames, times)).unwrap();
    let mut pollcast = Pollcast::start(&netns, &config(dir));
    let all = u64::try_from(frames.len() * times).unwrap();
    let stats = settled(&pollcast, all);
    assert_eq!(stats.engine("rx"), all, "received by the workers, and in the file");
    assert_eq!(stats.device("ipackets"), all, "received by the device, and in the file");
    assert_eq!(stats.device("opackets"), stats.engine("tx"), "sent by the device, and by the workers");
    let (free, size) = stats.pool();
    assert_eq!(free, size, "buffers that never came home");
    let drops = pollcast.ctl(&["drops"]);
    let by_reason: u64 = drops.as_array().unwrap().iter().map(|row| row["packets"].as_u64().unwrap()).sum();
    // What workers dropped, and what control dropped of that which they punted.
    let of_control = by_reason - stats.dropped();
    assert!(of_control <= stats.engine("punted"), "{of_control} of {}", stats.engine("punted"));
    pollcast.stop();
    stats
}

/// The numbers of the frames with which tshark finds a fault.
fn faults(capture: &Path) -> String {
    let checks = ["ip.check_checksum:TRUE", "udp.check_checksum:TRUE"];
    let wrong = "_ws.malformed || ip.checksum.status == Bad || udp.checksum.status == Bad || \
                 icmp.checksum.status == Bad || igmp.checksum.status == Bad || icmpv6.checksum.status == Bad || _ws.expert.severity >= 8388608";
    let out = Command::new("tshark")
        .arg("-r")
        .arg(capture)
        .args(checks.iter().flat_map(|check| ["-o", check]))
        // Ports are taken at random: what is behind UDP is data. What ICMP quotes is wrong on purpose.
        .args(["--disable-protocol", "ALL"])
        .args(
            [
                "frame",
                "eth",
                "vlan",
                "ip",
                "udp",
                "icmp",
                "igmp",
                "arp",
                "data",
                "ipv6",
                "ipv6.fraghdr",
                "ipv6.hopopts",
                "icmpv6",
            ]
            .iter()
            .flat_map(|p| ["--enable-protocol", p]),
        )
        .args(["-Y", &format!("!(icmp.type in {{3, 11, 12}}) && !(icmpv6.type in {{1, 3, 4}}) && ({wrong})")])
        .args(["-T", "fields"])
        .args(
            ["_ws.col.No.", "_ws.col.Protocol", "_ws.col.Info", "_ws.expert"].iter().flat_map(|f| ["-e", f]),
        )
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}

// Q01, E09, E17: the whole corpus, once, and every frame that went out read twice.
#[test]
fn every_frame_of_a_replay_ends_in_one_outcome() {
    if !may_run() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut frames = corpus(11);
    // Large buffers are few, and not in the count of the pool: each of these finds one, because the last came home.
    let longest = 100..=200;
    frames.extend(longest.clone().flat_map(longest_datagram));
    let stats = replay(dir.path(), &frames, 1);
    let sent = frames_of(&fs::read(dir.path().join("out.pcap")).unwrap());
    let answered = sent.iter().filter(|frame| begins_a_longest_echo(frame)).count();
    assert!(answered >= longest.count(), "{answered} of the longest datagrams were answered");
    assert!(u64::try_from(sent.len()).unwrap() >= stats.engine("tx"), "frames in the capture, and sent");
    let mut judge = Judge::new(HOST.mac, &[HOST.ip, HOST_SECOND.ip]).with6(&[HOST6, SECOND6, LOCAL6]);
    sent.iter().for_each(|frame| judge.see(frame));
    judge.finish();
    // Errors are limited by time, and the replay is over in one second. G37: among the frames are queries of version 1, after
    // which nothing is repeated that was said in version 3, and no leave is said.
    let ipv4 = [("echo", 1000), ("arp reply", 50), ("icmp 0", 500), ("icmp 3/3", 5), ("igmp", 1)];
    let ipv6 = [("echo6", 1000), ("icmp6 129", 300), ("icmp6 1/4", 1), ("icmp6 4/1", 1), ("mld report", 1)];
    for (what, least) in ipv4.into_iter().chain(ipv6) {
        let count = judge.seen.get(what).copied().unwrap_or_default();
        assert!(count >= least, "{what}: {count}, of {:?}", judge.seen);
    }
    assert_eq!(faults(&dir.path().join("out.pcap")), "");
}

// That tshark would speak up: of the corpus itself it has much to say.
#[test]
fn the_second_reader_finds_faults() {
    if !may_run() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("wrong.pcap");
    fs::write(&file, pcap(&corpus(12)[..500], 1)).unwrap();
    assert!(faults(&file).lines().count() > 20);
}

// Q01: a leak of one buffer a replay would be ten after ten. And the pool is smaller than one replay is long.
#[test]
fn ten_replays_lose_no_more_than_one() {
    if !may_run() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let stats = replay(dir.path(), &corpus(13), 10);
    assert!(stats.engine("rx") > 20 * stats.pool().1, "{stats:?}");
}
