//! Network namespaces without names: each is held by this process, and by what runs in it.

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::thread;

use nix::sched::{CloneFlags, setns, unshare};
use nix::unistd::gettid;

use super::warden;

/// A network namespace of our own, without IPv6 and its chatter.
#[derive(Debug)]
pub struct Netns {
    namespace: File,
}

impl Netns {
    /// A new one, with the loopback device up.
    pub fn new() -> Self {
        // In a thread of its own, which alone is in it.
        let made = thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).expect("a network namespace (needs root)");
            File::open("/proc/thread-self/ns/net").unwrap()
        });
        let netns = Self { namespace: made.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)) };
        netns.enter(|| {
            for which in ["all", "default"] {
                let key = format!("/proc/sys/net/ipv6/conf/{which}/disable_ipv6");
                if fs::exists(&key).unwrap() {
                    fs::write(key, "1").unwrap();
                }
            }
        });
        netns.ip("link set lo up");
        netns
    }

    /// The one that this thread is in.
    pub fn here() -> Self {
        Self { namespace: File::open("/proc/thread-self/ns/net").unwrap() }
    }

    /// Does `work` in the namespace. Sockets that it makes stay there.
    pub fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let inside = scope.spawn(|| {
                setns(&self.namespace, CloneFlags::CLONE_NEWNET).unwrap();
                work()
            });
            inside.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Starts `program` in the namespace; it gets SIGTERM when this process ends.
    pub fn spawn(&self, program: &str, prepare: impl FnOnce(&mut Command)) -> Child {
        let mut command = Command::new(program);
        // In a process group of its own: Ctrl-C is for this process, whose end then ends the program, by one signal.
        command.process_group(0);
        warden::watch(&mut command);
        prepare(&mut command);
        let child = self.enter(|| command.spawn());
        child.unwrap_or_else(|e| panic!("{program} does not start: {e}"))
    }

    /// Runs a program in the namespace to its end, which must be a good one, and returns what it said.
    pub fn run(&self, program: &str, args: &[&str]) -> String {
        let out = self.enter(|| Command::new(program).args(args).output());
        let out = out.unwrap_or_else(|e| panic!("{program} does not start: {e}"));
        assert!(
            out.status.success(),
            "{program} {}: {}\n{}{}",
            args.join(" "),
            out.status,
            String::from_utf8_lossy(&out.stdout),
            String::from_utf8_lossy(&out.stderr),
        );
        String::from_utf8_lossy(&out.stdout).into_owned()
    }

    /// `ip ARGS` in the namespace.
    pub fn ip(&self, args: &str) -> String {
        self.run("ip", &args.split_whitespace().collect::<Vec<_>>())
    }

    /// Sets a key of `/proc/sys/net/ipv6`.
    pub fn set6(&self, key: &str, value: &str) {
        let set = || fs::write(format!("/proc/sys/net/ipv6/{key}"), value);
        self.enter(set).unwrap_or_else(|e| panic!("net/ipv6/{key}: {e}"));
    }

    /// A path by which `ip` knows the namespace.
    pub fn path(&self) -> String {
        format!("/proc/{}/fd/{}", gettid(), self.namespace.as_raw_fd())
    }
}
