//! One EAL a process: each test runs in a process of its own, this program again with the one test chosen.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::io;
use std::process::Command;

use pollcast::addr::MacAddr;
use pollcast::config::plan::{EalPlan, Hugepages, OffloadSet, PortPlan, Rps};
use pollcast::dpdk::{Eal, EalOptions, Mempool, MempoolOptions};
use pollcast::io::FilterPolicy;
use tempfile::TempDir;

const CHILD: &str = "POLLCAST_TEST_ALONE";

/// Runs `body` in a process of its own. `test` is the name of the calling test, with its module. Returns what the process wrote to its
/// standard error, in the parent only.
pub(crate) fn alone(test: &str, body: impl FnOnce()) -> Option<String> {
    if std::env::var_os(CHILD).is_some_and(|name| name == *test) {
        body();
        return None;
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(CHILD, test)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{test}: {}\n{said}\n{complained}", output.status);
    // A misspelt name would run no test, and succeed.
    assert!(said.contains("1 passed"), "{test} is not the name of this test:\n{said}");
    Some(complained)
}

/// What `call` gives: DPDK's taps tell of packets by a signal, and what has a timeout is not begun again after one (signal(7)).
pub(crate) fn uninterrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// Whether the test can make namespaces; says so if not.
pub(crate) fn may_make_namespaces(test: &str) -> bool {
    let root = nix::unistd::getuid().is_root();
    if !root {
        eprintln!("{test}: skipped: needs root");
    }
    root
}

/// As [`alone`], in a network namespace of its own, if it can be made.
pub(crate) fn in_namespace(test: &str, body: impl FnOnce()) {
    if !may_make_namespaces(test) {
        return;
    }
    alone(test, || {
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
        body();
    });
}

/// The beginning of a host's configuration: no hugepages, what names it is this process's, CPU 0, and control in `folder`. Ends
/// in the table of workers.
pub(crate) fn settings(folder: &TempDir) -> String {
    format!(
        r#"
        [eal]
        hugepages = "none"
        file_prefix = "pollcast-test-{}"
        [ctl]
        socket = "{}"
        [workers]
        cpus = [0]
        control_cpu = 0
        "#,
        std::process::id(),
        folder.path().join("ctl.sock").display(),
    )
}

/// ip(8).
pub(crate) fn ip(line: &str) {
    let status = Command::new("ip").args(line.split(' ')).status().unwrap();
    assert!(status.success(), "ip {line}");
}

/// Without hugepages, PCI or a fixed prefix: works on every machine.
pub(crate) fn options(devices: &[&str]) -> EalOptions {
    EalOptions {
        plan: EalPlan {
            hugepages: Hugepages::None,
            memory_mb: 64,
            file_prefix: format!("pollcast-test-{}", std::process::id()),
            args: vec![],
        },
        // Two lcores on one CPU: any machine has it.
        lcores: vec![(0, 0), (1, 0)],
        devices: devices.iter().map(|&device| device.to_owned()).collect(),
        scan: false,
    }
}

/// A small pool.
pub(crate) fn pool(eal: &Eal, count: u32) -> Mempool {
    let options = MempoolOptions {
        name: "test".into(),
        count,
        cache: 32,
        data_room: 2176,
        large: 4,
        numa_node: None,
        shared_cpu: true,
    };
    Mempool::create(eal, &options).unwrap()
}

/// A port with nothing special.
pub(crate) fn port(device: &str) -> PortPlan {
    PortPlan {
        name: "p0".into(),
        device: device.into(),
        mac: Some(MacAddr([0x02, 0, 0, 0, 0, 0x02])),
        mtu: 1500,
        rx_descriptors: 256,
        tx_descriptors: 256,
        offloads: OffloadSet::ALL,
        multicast_filter: FilterPolicy::Auto,
        tagged: false,
        rx_events: false,
        vhost_direct: true,
        workers: vec![0],
        rps: Rps::Off,
    }
}
