//! `pollcast bench` end to end: over a veth against pollcast and against a kernel's echo, over a vhost pair against testpmd.
#![cfg(all(feature = "dpdk", feature = "cli"))]

mod common;

use std::net::UdpSocket;
use std::process::Output;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::*;
use serde_json::Value;

/// A namespace with a veth pair: `ve0` for what answers, `ve1` for the traffic end.
fn veth() -> Netns {
    let netns = Netns::new();
    netns.ip("link add ve0 type veth peer name ve1");
    for end in ["ve0", "ve1"] {
        netns.run("ethtool", &["-K", end, "tx", "off", "gso", "off", "gro", "off"]);
        netns.ip(&format!("link set {end} up"));
    }
    netns
}

const FROM: [&str; 4] = ["--from", "198.18.0.1/24", "--from", "2001:db8::1/64"];

/// `pollcast bench ARGS --no-huge` in the namespace.
fn bench(netns: &Netns, args: &[&str]) -> Output {
    let all = [&["bench", "--no-huge", "--cpu", "0"], args].concat();
    netns.enter(|| std::process::Command::new(PROGRAM).args(&all).output().unwrap())
}

/// The report of one that must go well.
fn report(netns: &Netns, args: &[&str]) -> Value {
    let out = bench(netns, &[args, &["--json"]].concat());
    assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
    serde_json::from_slice(&out.stdout).unwrap()
}

/// Every one of so many packets was answered, once and rightly.
fn assert_all_answered(report: &Value, sent: u64) {
    let counts = &report["counts"];
    let wanted =
        [("sent", sent), ("answered", sent), ("lost", 0), ("duplicated", 0), ("wrong", 0), ("waiting", 0)];
    for (name, wanted) in wanted {
        assert_eq!(counts[name], wanted, "{name}: {report}");
    }
    let latency = |name: &str| report["latency_ns"][name].as_u64().unwrap();
    assert_eq!(latency("count"), sent);
    assert!(
        0 < latency("min") && latency("min") <= latency("p50") && latency("p50") <= latency("max"),
        "{report}"
    );
}

#[test]
fn pollcast_answers_hosts_and_groups_of_both_ip_versions() {
    if !may_run() {
        return;
    }
    let netns = veth();
    let services = ECHO.replace("\"0.0.0.0:7\"", "\"[::]:7\"");
    let _pollcast = Pollcast::start(&netns, &Config::dual("net_af_packet0,iface=ve0", &services));
    let to = ["198.18.0.2:7", "[2001:db8::2]:7", "239.1.2.3:7"];
    let traffic = ["--rate", "2k", "--count", "1500", "--flows", "96", "--size", "80,512,1514"];
    let device = ["--device", "net_af_packet1,iface=ve1"];
    assert_all_answered(&report(&netns, &[&device[..], &FROM, &to, &traffic].concat()), 1500);
}

#[test]
fn a_kernel_answers_and_one_that_is_not_there_is_named() {
    if !may_run() {
        return;
    }
    let netns = veth();
    netns.ip("addr add 198.18.0.2/24 dev ve0");
    let echo = netns.enter(|| UdpSocket::bind("198.18.0.2:7").unwrap());
    echo.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut buf = [0; 2048];
            let mut seen = 0;
            while !over.load(Ordering::Relaxed) {
                let Ok((len, from)) = echo.recv_from(&mut buf) else { continue };
                seen += 1;
                // Of the first 300, each to one port: 10 unanswered, 10 with another last byte, 10 answered twice.
                match seen {
                    101..=110 => continue,
                    201..=210 => buf[len - 1] ^= 1,
                    211..=220 => drop(echo.send_to(&buf[..len], from).unwrap()),
                    _ => {}
                }
                echo.send_to(&buf[..len], from).unwrap();
            }
        });
        let device = ["--device", "net_af_packet1,iface=ve1", "--from", "198.18.0.1/24"];
        let traffic = ["198.18.0.2:7", "--rate", "1k", "--count", "300", "--wait", "0.5"];
        let told = report(&netns, &[&device[..], &traffic].concat());
        let counts = &told["counts"];
        let wanted = [("sent", 300), ("answered", 280), ("lost", 20), ("wrong", 10), ("duplicated", 10)];
        for (name, wanted) in wanted {
            assert_eq!(counts[name], wanted, "{name}: {told}");
        }
        // A port that nobody has.
        let told = report(
            &netns,
            &[&device[..], &["198.18.0.2:9", "--rate", "100", "--count", "5", "--wait", "0.3"]].concat(),
        );
        assert!(told["counts"]["unreachable"].as_u64().unwrap() > 0, "{told}");
        assert_eq!(told["counts"]["lost"], 5);
        over.store(true, Ordering::Relaxed);
        // A host that is not there.
        let out = bench(&netns, &[&device[..], &["198.18.0.99:7"]].concat());
        let said = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.code() == Some(1) && said.contains("198.18.0.99 did not answer"), "{said}");
        // One off the link.
        let out = bench(&netns, &[&device[..], &["198.19.0.99:7"]].concat());
        let said = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.code() == Some(2) && said.contains("--gateway"), "{said}");
    });
}

/// testpmd, alone on the other end of a vhost pair, in this mode.
fn testpmd_answers(mode: &str, answers: &str) {
    if !may_run() {
        return;
    }
    let netns = Netns::new();
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("vhost.sock");
    let vhost = format!("net_vhost0,iface={},queues=1", socket.display());
    let _testpmd = Bridge::forwarding(&netns, &format!("bench-{mode}"), mode, &[&vhost]);
    let device = format!("net_virtio_user0,path={},queues=1", socket.display());
    let traffic =
        ["--peer-mac", "02:00:00:00:00:02", "--rate", "5k", "--count", "2000", "--answers", answers];
    let to = ["198.18.0.2:7", "[2001:db8::2]:7"];
    assert_all_answered(&report(&netns, &[&["--device", &device][..], &FROM, &to, &traffic].concat()), 2000);
}

#[test]
fn testpmd_5tswap_is_an_echo() {
    testpmd_answers("5tswap", "echo");
}

#[test]
fn testpmd_macswap_returns_the_same() {
    testpmd_answers("macswap", "same");
}
