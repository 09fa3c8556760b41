//! Network namespaces without names: each lives in a thread and dies with the process, whatever ends it.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::sync::mpsc::{self, SyncSender};
use std::thread;

use nix::sched::{CloneFlags, setns, unshare};

/// A network namespace of our own, without IPv6 and its chatter.
#[derive(Debug)]
pub struct Netns {
    namespace: File,
    keeper: SyncSender<Start>,
}

/// A program to start in the namespace, and where to send what came of it.
struct Start {
    command: Command,
    started: SyncSender<io::Result<Child>>,
}

impl Netns {
    /// A new one, with the loopback device up.
    pub fn new() -> Self {
        let (made, namespace) = mpsc::sync_channel(1);
        let (keeper, orders) = mpsc::sync_channel::<Start>(1);
        // Programs are told to end when the thread that started them does: this one lives as long as the namespace.
        thread::Builder::new()
            .name("netns".into())
            .spawn(move || {
                unshare(CloneFlags::CLONE_NEWNET).expect("a network namespace (needs root)");
                made.send(File::open("/proc/thread-self/ns/net").unwrap()).unwrap();
                for Start { mut command, started } in orders {
                    let _ = started.send(command.spawn());
                }
            })
            .unwrap();
        let netns = Self { namespace: namespace.recv().unwrap(), keeper };
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

    /// Starts `program` in the namespace; it gets SIGTERM when the namespace's keeper or this process ends.
    pub fn spawn(&self, program: &str, prepare: impl FnOnce(&mut Command)) -> Child {
        let mut command = Command::new("setpriv");
        // In a process group of its own: Ctrl-C is for this process, whose end then ends the program, by one signal.
        command.args(["--pdeathsig", "TERM", "--", program]).process_group(0);
        prepare(&mut command);
        let (started, child) = mpsc::sync_channel(1);
        self.keeper.send(Start { command, started }).unwrap();
        child.recv().unwrap().unwrap_or_else(|e| panic!("{program} does not start: {e}"))
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

    /// A path by which `ip` knows the namespace.
    pub fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.namespace.as_raw_fd())
    }
}
