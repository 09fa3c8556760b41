//! `bench/join-to-first-packet` runs, and says what it says it says: a few joins, with whatever build of the program is here.
#![cfg(all(feature = "dpdk", feature = "cli"))]

mod common;

use std::path::Path;
use std::process::Command;

use common::*;
use serde_json::Value;

#[test]
fn the_first_packet_after_a_join_is_timed() {
    if !may_run() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let json = dir.path().join("figures.json");
    let bench = Path::new(env!("CARGO_MANIFEST_DIR")).join("bench/join-to-first-packet");
    let out = Command::new(bench)
        .args(["--pollcast", PROGRAM, "--joins", "4", "--rate", "2000", "--json"])
        .arg(&json)
        .output()
        .unwrap();
    let said = [out.stdout, out.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    assert!(out.status.success(), "{}{}", said[0], said[1]);
    let figures: Value = serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap();
    for kind in ["switch", "tap"] {
        let joins = figures[kind]["joins"].as_array().unwrap();
        assert_eq!(joins.len(), 4, "{figures}");
        assert!(joins.iter().all(|join| join["first_us"].as_f64().unwrap() > 0.0), "{figures}");
        assert!(said[0].lines().any(|line| line.starts_with(kind)), "{}", said[0]);
    }
}
