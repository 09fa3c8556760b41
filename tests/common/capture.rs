//! What passes a device, with the tags of VLANs, which the kernel keeps from a raw socket.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::corpus::frames_of;
use super::netns::Netns;

/// A capture that is ended when it is dropped.
#[derive(Debug)]
pub struct Capture {
    child: Child,
    dir: tempfile::TempDir,
}

impl Capture {
    /// Of what passes `device`, tags and all.
    pub fn start(netns: &Netns, device: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let child = netns.spawn("tcpdump", |command| {
            // Each frame at once; and room for a burst: by default each takes a quarter of a megabyte of a buffer of two.
            command.args([
                "-i",
                device,
                "-s",
                "2000",
                "-B",
                "16384",
                "-U",
                "--immediate-mode",
                "-Z",
                "root",
                "-w",
            ]);
            command.arg(dir.path().join("wire.pcap"));
            command.stdout(Stdio::null()).stderr(Stdio::null());
        });
        let capture = Self { child, dir };
        let deadline = Instant::now() + Duration::from_secs(30);
        // It writes the file's header when it listens.
        while capture.bytes().len() < 24 {
            assert!(Instant::now() < deadline, "tcpdump does not listen on {device}");
            thread::sleep(Duration::from_millis(10));
        }
        capture
    }

    /// Where it is written, packet by packet.
    pub fn file(&self) -> PathBuf {
        self.dir.path().join("wire.pcap")
    }

    /// Has it end and write down what it has.
    pub fn end(&mut self) {
        kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGINT).unwrap();
        self.child.wait().unwrap();
    }

    fn bytes(&self) -> Vec<u8> {
        fs::read(self.file()).unwrap_or_default()
    }

    /// The whole frames in it so far.
    pub fn frames(&self) -> Vec<Vec<u8>> {
        let bytes = self.bytes();
        let mut end = 24;
        while let Some(header) = bytes.get(end..end + 16) {
            let len = u32::from_le_bytes(header[8..12].try_into().unwrap());
            let next = end + 16 + usize::try_from(len).unwrap();
            if next > bytes.len() {
                break;
            }
            end = next;
        }
        frames_of(&bytes[..end])
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
