//! A running `pollcast run` in a namespace, with a configuration, a control socket and an EAL prefix of its own.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::netns::Netns;

/// The program under test.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_pollcast");

const START_PATIENCE: Duration = Duration::from_secs(30);
const STOP_PATIENCE: Duration = Duration::from_secs(10);

/// Two ports on taps of their own, `a` and `b`: 198.18.0.2 behind `pca`, 198.18.1.2 behind `pcb`.
pub const TWO_TAPS: &str = r#"
[[port]]
name = "a"
device = "net_tap0,iface=pca"
mac = "02:00:00:00:00:02"
addresses = ["198.18.0.2/24"]

[[port]]
name = "b"
device = "net_tap1,iface=pcb"
mac = "02:00:00:00:01:02"
addresses = ["198.18.1.2/24"]
"#;

/// A configuration in the making.
#[derive(Clone, Debug)]
pub struct Config {
    /// The words of the command line before the configuration's path.
    pub command: Vec<String>,
    /// `eal.hugepages`.
    pub hugepages: &'static str,
    /// Further lines of `[eal]`.
    pub eal: String,
    /// `eal.file_prefix`, if not one of its own.
    pub file_prefix: Option<String>,
    /// `ctl.socket`, if not one of its own.
    pub socket: Option<PathBuf>,
    /// The lines of `[workers]`; by default one worker on the last CPU, control on the first.
    pub workers: String,
    /// The `[[port]]` tables.
    pub ports: String,
    /// The `[[service]]` tables.
    pub services: String,
}

impl Config {
    /// One port at 198.18.0.2 on `device`, by the Ethernet address 02:00:00:00:00:02, and these services.
    pub fn new(device: &str, services: &str) -> Self {
        let last_cpu = thread::available_parallelism().map_or(0, |n| n.get() - 1);
        Self {
            command: vec![PROGRAM.into(), "run".into()],
            hugepages: "none",
            eal: String::new(),
            file_prefix: None,
            socket: None,
            workers: format!("cpus = [{last_cpu}]\ncontrol_cpu = 0\n"),
            ports: format!(
                "[[port]]\nname = \"p0\"\ndevice = \"{device}\"\nmac = \"02:00:00:00:00:02\"\n\
                 addresses = [\"198.18.0.2/24\", \"198.18.0.3/24\"]\n"
            ),
            services: services.into(),
        }
    }

    /// The same, and with IPv6: at 2001:db8::2, 2001:db8::3 and a link-local address at once. It asks for no router, and errors
    /// are as good as not limited.
    pub fn dual(device: &str, services: &str) -> Self {
        let mut config = Self::new(device, services);
        config.ports = config.ports.replace(
            "addresses = [",
            "dad_transmits = 0\nrouter_discovery = false\naddresses = [\"2001:db8::2/64\", \"2001:db8::3/64\", ",
        );
        config.services += "[icmp]\nerrors_per_second = 1000000\nerrors_burst = 1000000\n\
            errors_per_second_per_peer = 1000000\nerrors_burst_per_peer = 1000000\n";
        config
    }

    /// The file.
    pub fn to_toml(&self, socket: &Path, prefix: &str) -> String {
        let Self { command: _, hugepages, eal, file_prefix: _, socket: _, workers, ports, services } = self;
        let socket = socket.display();
        format!(
            "[eal]\nhugepages = \"{hugepages}\"\nfile_prefix = \"{prefix}\"\n{eal}\n\
             [ctl]\nsocket = \"{socket}\"\n\n[workers]\n{workers}\n{ports}\n{services}\n"
        )
    }
}

/// How the names of folders begin; the process id follows, and a number.
const DIR_PREFIX: &str = "pollcast-test-";

/// A folder of this test process, without what is left of processes that were killed. Among the system's temporary
/// files: any user may go there, and the way to a socket is short, wherever the checkout is.
pub fn new_dir() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let base = std::env::temp_dir();
    for old in fs::read_dir(&base).into_iter().flatten().flatten() {
        let name = old.file_name().to_string_lossy().into_owned();
        let owner = name.strip_prefix(DIR_PREFIX).and_then(|rest| rest.split('-').next());
        if owner.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            let _ = fs::remove_dir_all(old.path());
        }
    }
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let dir = base.join(format!("{DIR_PREFIX}{}-{number}", std::process::id()));
    fs::create_dir(&dir).unwrap();
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).unwrap();
    dir
}

/// The EAL prefix that belongs to such a folder.
fn prefix_of(dir: &Path) -> String {
    dir.file_name().unwrap().to_string_lossy().into_owned()
}

/// A started program. Killed when dropped; told to end when the test process ends.
#[derive(Debug)]
pub struct Pollcast {
    child: Child,
    dir: PathBuf,
    socket: PathBuf,
    prefix: String,
}

impl Pollcast {
    /// Starts it and waits until it answers on its control socket.
    pub fn start(netns: &Netns, config: &Config) -> Self {
        let mut pollcast = Self::spawn(netns, config);
        let deadline = Instant::now() + START_PATIENCE;
        while !(pollcast.socket.exists() && pollcast.try_ctl(&["ports"]).status.success()) {
            if let Some(status) = pollcast.child.try_wait().unwrap() {
                panic!("pollcast ended at its start with {status}; it said:\n{}", pollcast.stderr());
            }
            assert!(
                Instant::now() < deadline,
                "pollcast does not answer on its control socket; it said:\n{}",
                pollcast.stderr()
            );
            thread::sleep(Duration::from_millis(20));
        }
        pollcast
    }

    /// Starts it and does not wait.
    pub fn spawn(netns: &Netns, config: &Config) -> Self {
        let dir = new_dir();
        let prefix = config.file_prefix.clone().unwrap_or_else(|| prefix_of(&dir));
        let socket = config.socket.clone().unwrap_or_else(|| dir.join("ctl.sock"));
        let file = dir.join("pollcast.toml");
        fs::write(&file, config.to_toml(&socket, &prefix)).unwrap();
        let (program, args) = config.command.split_first().unwrap();
        let child = netns.spawn(program, |command| {
            command
                .args(args)
                .arg(&file)
                .stdin(Stdio::null())
                .stdout(File::create(dir.join("stdout")).unwrap())
                .stderr(File::create(dir.join("stderr")).unwrap());
        });
        Self { child, dir, socket, prefix }
    }

    /// Its process id.
    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    /// Its control socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// What it said so far on stdout.
    pub fn stdout(&self) -> String {
        fs::read_to_string(self.dir.join("stdout")).unwrap_or_default()
    }

    /// What it said so far on stderr.
    pub fn stderr(&self) -> String {
        fs::read_to_string(self.dir.join("stderr")).unwrap_or_default()
    }

    /// `pollcast ctl ARGS`, whatever comes of it.
    pub fn try_ctl(&self, args: &[&str]) -> Output {
        Command::new(PROGRAM).arg("ctl").arg("--socket").arg(&self.socket).args(args).output().unwrap()
    }

    /// `pollcast ctl --json ARGS`: the answer.
    pub fn ctl(&self, args: &[&str]) -> Value {
        let out = self.try_ctl(&[&["--json"], args].concat());
        let (said, complained) = (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
        assert!(
            out.status.success(),
            "pollcast ctl {args:?}: {}\n{said}{complained}\nthe running pollcast said:\n{}",
            out.status,
            self.stderr()
        );
        serde_json::from_str(&said).unwrap_or_else(|e| panic!("not JSON ({e}): {said}"))
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap();
    }

    /// Waits for its end, which must come in time.
    pub fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + STOP_PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "pollcast does not end; it said:\n{}", self.stderr());
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// SIGTERM, and a clean end.
    pub fn stop(&mut self) {
        self.signal(Signal::SIGTERM);
        let status = self.wait();
        assert_eq!(status.code(), Some(0), "after SIGTERM: {status}; it said:\n{}", self.stderr());
    }
}

impl Drop for Pollcast {
    fn drop(&mut self) {
        let Self { child, dir, socket: _, prefix } = self;
        if let Ok(None) = child.try_wait() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if thread::panicking() {
            eprintln!("pollcast said:\n{}", fs::read_to_string(dir.join("stderr")).unwrap_or_default());
        }
        // What it could not take away itself if it was killed.
        let _ = fs::remove_dir_all(Path::new("/run/dpdk").join(&*prefix));
        let _ = fs::remove_file(format!("/run/pollcast/{prefix}.lock"));
        let _ = fs::remove_dir_all(dir);
    }
}
