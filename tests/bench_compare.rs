//! `bench/compare` and `bench/cores` run, say what they say they say, and leave nothing behind: short rounds with whatever build of the
//! program is here.
#![cfg(all(feature = "dpdk", feature = "cli"))]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use common::*;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

/// Longer than any of it takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// The kernel's echo, which `cargo test` builds when it is not told to build less.
fn echo() -> Option<PathBuf> {
    let echo = Path::new(PROGRAM).parent()?.join("examples/bench-echo");
    if !echo.is_file() {
        say_skipped("needs the example bench-echo: cargo build --example bench-echo");
        return None;
    }
    may_run().then_some(echo)
}

/// `bench/compare --quick ARGS`, whose temporary files are all in `dir`.
fn compare(dir: &TempDir, args: &[&str]) -> Command {
    quick("compare", dir, args)
}

/// The same of a bench by its name.
fn quick(bench: &str, dir: &TempDir, args: &[&str]) -> Command {
    let temporary = dir.path().join("tmp");
    fs::create_dir_all(&temporary).unwrap();
    let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("bench").join(bench));
    command.args(["--quick", "--memory", "none", "--pollcast", PROGRAM]).args(args).env("TMPDIR", temporary);
    command
}

/// Whether a process runs whose temporary files are in `dir`, an interface of the bench is here, or a folder is left.
fn left_behind(dir: &TempDir, pid: u32) -> Vec<String> {
    let folder = dir.path().join("tmp");
    let named = |of: &str, begin: &str| {
        let entries = fs::read_dir(of).into_iter().flatten().flatten();
        let begin = begin.to_owned();
        entries.map(|entry| entry.path()).filter(move |path| {
            path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&begin))
        })
    };
    let variable = format!("TMPDIR={}", folder.display());
    let of_ours = |process: &PathBuf| {
        let Ok(environ) = fs::read(process.join("environ")) else { return false };
        environ.split(|&byte| byte == 0).any(|entry| entry == variable.as_bytes())
    };
    named("/proc", "")
        .filter(of_ours)
        .chain(named("/run/dpdk", &format!("pollcast-bench-{pid}-")))
        .chain(named("/run/pollcast", &format!("pollcast-bench-{pid}-")))
        .chain(named(folder.to_str().unwrap(), ""))
        .map(|path| path.display().to_string())
        .collect()
}

/// Its end, and what it said on stdout and stderr; that nothing of it is left is checked.
fn end_of(dir: &TempDir, child: Child) -> (Option<i32>, String) {
    let pid = child.id();
    let out = child.wait_with_output().unwrap();
    let said = [out.stdout, out.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    assert_eq!(left_behind(dir, pid), Vec::<String>::new(), "{said}");
    (out.status.code(), said)
}

fn piped(command: &mut Command) -> Child {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

#[test]
fn a_row_of_each_group_is_compared() {
    let Some(echo) = echo() else { return };
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("bench")).unwrap();
    let [json, short, long] =
        ["figures.json", "README.md", "bench/README.md"].map(|name| dir.path().join(name));
    for readme in [&short, &long] {
        let old = "before\n<!-- bench/compare: begin -->\nold\n<!-- bench/compare: end -->\nafter\n";
        fs::write(readme, old).unwrap();
    }
    let only = "pcap/ipv4-60-4096-64,vhost,kernel";
    let mut command = compare(&dir, &["--only", only, "--echo", echo.to_str().unwrap()]);
    command.arg("--json").arg(&json).arg("--markdown").arg(dir.path());
    let (status, said) = end_of(&dir, piped(&mut command));
    assert_eq!(status, Some(0), "{said}");

    let figures: Value = serde_json::from_slice(&fs::read(json).unwrap()).unwrap();
    let rows = figures["rows"].as_array().unwrap();
    let names: Vec<&str> = rows.iter().map(|row| row["name"].as_str().unwrap()).collect();
    let wanted = ["pcap/ipv4-60-4096-64", "vhost/verified", "vhost/reflected", "kernel/veth"];
    assert_eq!(names, wanted, "{said}");
    let tables = [short, long].map(|readme| fs::read_to_string(readme).unwrap());
    for table in &tables {
        assert!(table.starts_with("before\n<!--") && table.ends_with("-->\nafter\n"), "{table}");
        assert!(!table.contains("old"), "{table}");
    }
    for row in rows {
        assert_row(row);
        let title = row["title"].as_str().unwrap();
        assert!(said.contains(title) && tables.iter().all(|table| table.contains(title)), "{said}{tables:?}");
    }
}

/// The programs of each group were measured, and what they answered was right.
fn assert_row(row: &Value) {
    let wanted: &[&str] = match row["name"].as_str().unwrap().split('/').next() {
        Some("pcap") => &["testpmd io", "testpmd macswap", "testpmd 5tswap", "pollcast"],
        Some("vhost") => &["testpmd 5tswap", "pollcast"],
        _ => &["kernel, recvmmsg", "testpmd 5tswap, af_packet", "pollcast, af_packet"],
    };
    for name in wanted {
        let reading = &row["readings"][0][name];
        assert!(reading["packets"].as_u64().unwrap() > 0, "{row:#}");
        assert!(reading["ns_per_packet"].as_f64().unwrap() > 0.0, "{row:#}");
        if let Some(verified) = reading.get("verified") {
            assert!(verified["answered"].as_u64().unwrap() > 0, "{row:#}");
            assert_eq!(verified["wrong"], 0, "{row:#}");
        }
    }
    let compared = &row["comparisons"][0];
    let ratio = |of: &str, at: &str| compared[of][at].as_f64().unwrap();
    // There are more rounds than one if the host moved the CPUs in the first.
    let ratios = row["readings"].as_array().unwrap().iter().map(|round| {
        let [ours, theirs] = ["subject", "reference"]
            .map(|who| round[compared[who].as_str().unwrap()]["ns_per_packet"].as_f64().unwrap());
        theirs / ours
    });
    let (least, most) =
        ratios.fold((f64::MAX, 0.0_f64), |(least, most), one| (least.min(one), most.max(one)));
    let median = ratio("cpu", "median");
    assert!(least - 1e-9 < median && median < most + 1e-9 && ratio("rate", "best") > 0.0, "{row:#}");
}

#[test]
fn an_interrupted_run_leaves_nothing_behind() {
    let Some(echo) = echo() else { return };
    let dir = tempfile::tempdir().unwrap();
    for only in ["pcap", "vhost", "kernel"] {
        let args = ["--only", only, "--rounds", "1000", "--echo", echo.to_str().unwrap()];
        let child = piped(&mut compare(&dir, &args));
        // Once it has programs running.
        let deadline = Instant::now() + PATIENCE;
        let pid = child.id();
        while !left_behind(&dir, pid).iter().any(|left| left.starts_with("/run/dpdk/")) {
            assert!(Instant::now() < deadline, "it starts nothing: {:?}", left_behind(&dir, pid));
            thread::sleep(Duration::from_millis(20));
        }
        kill(Pid::from_raw(pid.try_into().unwrap()), Signal::SIGINT).unwrap();
        let (status, said) = end_of(&dir, child);
        assert_eq!(status, Some(130), "{said}");
    }
}

#[test]
fn what_it_cannot_do_it_says() {
    if !may_run() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("missing");
    let missing = missing.to_str().unwrap();
    for (args, wanted) in [
        (["--only", "pcap/ipv5"], "no row begins with pcap/ipv5"),
        (["--pollcast", missing], "cargo build --profile dist --bin pollcast"),
        (["--testpmd", missing], "apt-get install dpdk-dev"),
        (["--rounds", "0"], "at least one round"),
    ] {
        let (status, said) = end_of(&dir, piped(&mut compare(&dir, &args)));
        assert!(status == Some(1) && said.contains(wanted), "{args:?}: {status:?} {said}");
    }
}

#[test]
fn two_workers_are_put_beside_one() {
    if !may_run() {
        return;
    }
    if thread::available_parallelism().map_or(1, std::num::NonZero::get) < 2 {
        return say_skipped("needs two CPUs");
    }
    let dir = tempfile::tempdir().unwrap();
    let json = dir.path().join("figures.json");
    let mut command = quick("cores", &dir, &["--only", "pollcast"]);
    command.arg("--json").arg(&json);
    let (status, said) = end_of(&dir, piped(&mut command));
    assert_eq!(status, Some(0), "{said}");
    let figures: Value = serde_json::from_slice(&fs::read(json).unwrap()).unwrap();
    let readings = &figures["readings"][0];
    let figure = |program: &str, of: &str| readings[program][of].as_f64().unwrap_or_default();
    let programs = ["pollcast 1", "pollcast 1, other CPU", "pollcast 2", "pollcast 2, one queue"];
    assert!(programs.iter().all(|name| figure(name, "packets") > 0.0 && figure(name, "ns_per_packet") > 0.0));
    assert_eq!(readings.as_object().unwrap().len(), programs.len(), "{readings}");
    let [queues, steered] = &figures["ratios"].as_array().unwrap()[..] else { panic!("{figures}") };
    for (ratio, two) in [(queues, "pollcast 2"), (steered, "pollcast 2, one queue")] {
        assert_eq!((&ratio["of"], &ratio["to"]), (&two.into(), &"pollcast 1".into()));
        let one = |of| (figure("pollcast 1", of) + figure("pollcast 1, other CPU", of)) / 2.0;
        let rate = figure(two, "packets_per_second") / one("packets_per_second");
        let price = 2.0 * one("ns_per_packet") / figure(two, "ns_per_packet");
        let told = ["rate", "price"].map(|of| ratio[of]["median"].as_f64().unwrap());
        assert!((told[0] - rate).abs() < 1e-9 && (told[1] - price).abs() < 1e-9, "{ratio}");
    }
    assert!(said.contains("goal 1.9") && said.contains("loops that share nothing"), "{said}");
    let mut refused = quick("cores", &dir, &["--cpus", "0", "0"]);
    let (status, said) = end_of(&dir, piped(&mut refused));
    assert!(status == Some(1) && said.contains("two CPUs are needed"), "{said}");
}
