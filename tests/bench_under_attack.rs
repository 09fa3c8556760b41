//! `bench/under-attack` runs, and says what it says it says: a small flood, with whatever build of the programs is here.
#![cfg(all(feature = "dpdk", feature = "cli"))]

mod common;

use std::path::Path;
use std::process::Command;

use common::*;
use serde_json::Value;

/// The other end of the cable: an example, which `cargo test` builds when it is not told to build less.
fn peer() -> Option<String> {
    let peer = Path::new(PROGRAM).parent()?.join("examples/bench-peer");
    peer.is_file().then(|| peer.to_str().unwrap().to_owned())
}

fn figures(peer: &str) -> Value {
    let dir = tempfile::tempdir().unwrap();
    let json = dir.path().join("figures.json");
    let bench = Path::new(env!("CARGO_MANIFEST_DIR")).join("bench/under-attack");
    let out = Command::new(bench)
        .args(["--pollcast", PROGRAM, "--peer", peer, "--memory", "none", "--capacity", "200000"])
        .args(["--rounds", "1", "--seconds", "0.3", "--packets", "30000", "--rates", "0.5"])
        .args(["--only", "closed-port", "--json"])
        .arg(&json)
        .output()
        .unwrap();
    let said = [out.stdout, out.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    assert!(out.status.success(), "{}{}", said[0], said[1]);
    assert!(said[0].contains("closed-port") && said[0].contains("lost by us"), "{}", said[0]);
    serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap()
}

#[test]
fn a_small_flood_costs_no_good_question() {
    if !may_run() {
        return;
    }
    let Some(peer) = peer() else {
        say_skipped("needs the example bench-peer: cargo build --example bench-peer");
        return;
    };
    if std::thread::available_parallelism().map_or(1, usize::from) < 2 {
        say_skipped("needs two CPUs");
        return;
    }
    let figures = figures(&peer);
    let run = &figures["runs"][0];
    let number = |pointer: &str| {
        run.pointer(pointer).and_then(Value::as_u64).unwrap_or_else(|| panic!("no {pointer}: {run}"))
    };
    let (attack, refused) = (number("/during/attack/sent"), number("/during/attack/refused_by_ring"));
    assert_eq!(attack, 30_000);
    // C05, RFC 1812 4.3.2.8: of what the ring took, every packet is counted, and hardly any answered.
    assert_eq!(number("/drops/udp_no_port"), attack - refused);
    assert_eq!(number("/counters/icmp_errors") + number("/counters/icmp_withheld"), attack - refused);
    // Every question that both rings took was answered, by the bytes.
    let full_rings = run["tx_refused"].as_u64().unwrap();
    assert!(number("/during/good/answered") > 0);
    assert!(number("/during/good/lost") <= full_rings, "{run}");
    assert_eq!((number("/during/good/wrong"), number("/during/good/twice")), (0, 0));
}
