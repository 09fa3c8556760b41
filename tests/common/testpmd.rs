//! dpdk-testpmd as a bridge, which passes frames between two devices and changes nothing; or in another forward mode.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::netns::Netns;

/// A running bridge. Killed when dropped; told to end when the test process ends.
#[derive(Debug)]
pub struct Bridge {
    child: Child,
    prefix: String,
    log: PathBuf,
}

impl Bridge {
    /// Between the virtual devices `one` and `other`, in the namespace. Waits until it forwards.
    pub fn start(netns: &Netns, name: &str, one: &str, other: &str) -> Self {
        Self::forwarding(netns, name, "io", &[one, other])
    }

    /// The same with so many queues on either side: what comes by one leaves by that of the same number.
    pub fn with_queues(netns: &Netns, name: &str, queues: u64, one: &str, other: &str) -> Self {
        Self::begin(netns, name, ("io", queues), &[one, other])
    }

    /// Of `devices`, in the forward mode `mode`: what one alone receives, it sends there again.
    pub fn forwarding(netns: &Netns, name: &str, mode: &str, devices: &[&str]) -> Self {
        Self::begin(netns, name, (mode, 1), devices)
    }

    fn begin(netns: &Netns, name: &str, (mode, queues): (&str, u64), devices: &[&str]) -> Self {
        let prefix = format!("pollcast-test-{}-{name}", std::process::id());
        let log = std::env::temp_dir().join(format!("{prefix}.log"));
        let child = netns.spawn("dpdk-testpmd", |command| {
            // Memory that the other end of a vhost pair can map, without hugepages. It polls on CPU 0: the worker of
            // the program under test has the last one.
            command.args(["--no-huge", "-m", "128", "--no-shconf", "--single-file-segments", "--no-pci"]);
            command.args(["--lcores", "0@0,1@0", "--file-prefix", &prefix]);
            for device in devices {
                command.args(["--vdev", device]);
            }
            command.args([
                "--",
                &format!("--forward-mode={mode}"),
                &format!("--rxq={queues}"),
                &format!("--txq={queues}"),
                "--total-num-mbufs=8192",
                "--auto-start",
                "--no-flush-rx",
                // It would wait nine seconds for the peer of a vhost port, which is not there yet.
                "--disable-link-check",
            ]);
            // Without this it ends with its standard input. The first come once the time stamp counter, which counts from boot, is past it.
            command.args(["--stats-period=10", "--no-lsc-interrupt"]);
            command.stdin(Stdio::null());
            command
                .stdout(File::create(&log).unwrap())
                .stderr(File::options().append(true).open(&log).unwrap());
        });
        let mut bridge = Self { child, prefix, log };
        let deadline = Instant::now() + Duration::from_secs(30);
        while !bridge.said().contains("Press enter to exit") && !bridge.said().contains("Port statistics") {
            let ended = bridge.child.try_wait().unwrap();
            assert!(
                ended.is_none() && Instant::now() < deadline,
                "dpdk-testpmd: {ended:?}\n{}",
                bridge.said()
            );
            thread::sleep(Duration::from_millis(20));
        }
        bridge
    }

    /// What it said so far.
    pub fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(Path::new("/run/dpdk").join(&self.prefix));
        let _ = fs::remove_file(&self.log);
    }
}
