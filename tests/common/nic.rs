//! A machine under test with a NIC that pollcast drives by DPDK's own driver: QEMU emulates both, `scripts/nic-lab` boots it,
//! and this end of the NIC's cable is a datagram socket.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::ops::Deref;
use std::os::fd::AsFd;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, poll};
use serde_json::{Value, json};

use super::capture::Capture;
use super::frames::Host;
use super::lab::{Wire, may_run, say_skipped, written};
use super::netns::Netns;
use super::pollcast::{Config, PROGRAM, new_dir};
use super::raw_peer::{FarEnd, RawPeer};
use super::read::Frame;
use super::shared::{Held, Kept};
use super::warden;

/// Where a lab's NIC is in its guest.
pub const NIC: &str = "0000:03:00.0";

/// The kernel behind a tap's bridge.
pub const BRIDGE: Host = Host::number(240);

/// Emulated, and beside whatever else the machine does: nothing is quick.
const BOOT_PATIENCE: Duration = Duration::from_secs(180);
const ANSWER_PATIENCE: Duration = Duration::from_secs(60);
const SEND_PATIENCE: Duration = Duration::from_secs(30);
/// How long a counter may take to be as expected.
const COUNTER_PATIENCE: Duration = Duration::from_secs(5);

/// The exit status of `scripts/nic-lab` where this machine cannot do what is asked.
const CANNOT: i32 = 77;

/// How a device keeps multicast away.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Filter {
    /// A list by `set_mc_addr_list`, of which it keeps hashes, and a table of so many addresses beside its own.
    ListAndTable(u32),
    /// A table alone.
    Table(u32),
    /// None but that for all multicast.
    AllMulticast,
}

/// What becomes of a NIC's RX interrupt, which every driver here promises.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RxInterrupt {
    /// It comes.
    Comes,
    /// Some come and some do not.
    MayFail,
    /// It never comes.
    Fails,
}

/// What the cable of a NIC is made of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Made {
    /// A socket: frames as they are, one queue.
    OfSocket,
    /// A tap with so many queues, on a bridge of the kernel's: with headers in which the guest and the kernel leave checksums
    /// to each other. What leaves the bridge at its other port is as on a wire.
    OfTap(u8),
}

/// A model of a NIC, and what is to be expected of it and its driver.
#[derive(Clone, Copy, Debug)]
pub struct Model {
    /// As `scripts/nic-lab` calls it.
    pub name: &'static str,
    /// `vfio` or `uio`.
    pub bound_to: &'static str,
    /// DPDK's driver.
    pub driver: &'static str,
    pub filter: Filter,
    /// How many workers serve the port.
    pub workers: usize,
    /// What its cable is made of.
    pub cable: Made,
    /// The offloads that are used with `checksum = "auto"`.
    pub offloads: &'static [&'static str],
    /// What its RX interrupt is worth.
    pub rx_interrupt: RxInterrupt,
}

impl Model {
    /// A configuration for its port: services and the addresses of both IP versions as everywhere, and small rings.
    pub fn config(&self, services: &str) -> Config {
        let mut config = Config::dual(NIC, services);
        config.hugepages = "required";
        config.file_prefix = Some("pollcast".to_owned());
        config.socket = Some("/run/pollcast/ctl.sock".into());
        let cpus = if self.workers == 1 { "[1]" } else { "[0, 1]" };
        // An emulated CPU takes many times as long to wake: a heartbeat would be most of what an idle worker costs.
        config.workers =
            format!("cpus = {cpus}\ncontrol_cpu = 0\nidle = \"adaptive\"\nidle_heartbeat_us = 0\n");
        config.ports += "rx_descriptors = 256\ntx_descriptors = 256\n";
        config
    }
}

/// This end of the cable.
#[derive(Debug)]
pub struct Cable {
    end: End,
    sent: Cell<u64>,
}

#[derive(Debug)]
enum End {
    /// A datagram is a frame.
    Socket { socket: UnixDatagram, nic: PathBuf },
    /// At the far end of a pair whose near end is on the bridge.
    Raw { raw: RawPeer, bridge: Netns, peer: Netns },
}

impl Cable {
    fn new(made: Made, dir: &Path) -> Self {
        let end = match made {
            Made::OfSocket => {
                let socket = UnixDatagram::bind(dir.join("peer.sock")).unwrap();
                socket.set_write_timeout(Some(SEND_PATIENCE)).unwrap();
                End::Socket { socket, nic: dir.join("nic.sock") }
            }
            Made::OfTap(queues) => bridged_tap(queues),
        };
        Self { end, sent: Cell::new(0) }
    }

    /// The namespace of the bridge `br0`, on which the kernel is [`BRIDGE`].
    pub fn bridge(&self) -> &Netns {
        let End::Raw { bridge, .. } = &self.end else { panic!("a socket is on no bridge") };
        bridge
    }

    /// A capture of what passes at the far end of the bridge; `None`: there is none, and [`FarEnd::next`] tells everything.
    pub fn capture(&self) -> Option<Capture> {
        match &self.end {
            End::Socket { .. } => None,
            End::Raw { peer, .. } => Some(Capture::start(peer, "ve1")),
        }
    }

    /// Frames sent so far.
    pub fn sent(&self) -> u64 {
        self.sent.get()
    }
}

impl FarEnd for Cable {
    fn send(&self, frame: &[u8]) {
        match &self.end {
            End::Socket { socket, nic } => {
                // Blocks as long as QEMU's queue is full, and QEMU waits for a guest that has no room.
                let sent = socket.send_to(frame, nic).unwrap_or_else(|e| panic!("to the NIC: {e}"));
                assert_eq!(sent, frame.len());
            }
            End::Raw { raw, .. } => raw.send(frame),
        }
        self.sent.update(|sent| sent + 1);
    }

    fn next(&self, deadline: Instant) -> Option<Frame> {
        let socket = match &self.end {
            End::Socket { socket, .. } => socket,
            End::Raw { raw, .. } => return raw.next(deadline),
        };
        if !readable(socket, deadline) {
            return None;
        }
        let mut buf = vec![0; 65536];
        let len = socket.recv(&mut buf).unwrap();
        Some(Frame { at: Instant::now(), bytes: buf[..len].to_vec() })
    }
}

/// A tap `lab0` and one end of a pair as ports of a bridge, and this end at the other.
fn bridged_tap(queues: u8) -> End {
    let (bridge, peer) = (Netns::new(), Netns::new());
    let mode = if queues > 1 { "multi_queue" } else { "" };
    bridge.ip(&format!("tuntap add lab0 mode tap {mode}"));
    bridge.ip("link add br0 type bridge mcast_snooping 0");
    bridge.ip(&format!("link add ve0 type veth peer name ve1 netns {}", peer.path()));
    // What leaves by it has its checksums filled in, as it would have to on a wire.
    bridge.run("ethtool", &["-K", "ve0", "tx", "off", "gso", "off", "gro", "off"]);
    peer.run("ethtool", &["-K", "ve1", "tx", "off", "gso", "off", "gro", "off"]);
    for port in ["lab0", "ve0"] {
        bridge.ip(&format!("link set {port} master br0 up"));
    }
    bridge.ip(&format!("link set br0 address {} up", written(BRIDGE.mac)));
    bridge.ip(&format!("addr add {}/24 dev br0", BRIDGE.ip));
    // Where the bridge asks the packet filter, it drops what is wrong before the NIC can.
    bridge.enter(|| {
        let key = "/proc/sys/net/bridge/bridge-nf-call-iptables";
        if fs::exists(key).unwrap() {
            fs::write(key, "0").unwrap();
        }
    });
    peer.ip("link set ve1 up");
    End::Raw { raw: RawPeer::new(&peer, "ve1"), bridge, peer }
}

/// Whether something can be read before `deadline`.
fn readable(socket: &impl AsFd, deadline: Instant) -> bool {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let millis = u16::try_from(left.as_millis() + u128::from(!left.is_zero())).unwrap_or(u16::MAX);
        let mut fds = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, millis) {
            Ok(0) if Instant::now() < deadline => {}
            Ok(0) => return false,
            Ok(_) => return true,
            Err(nix::errno::Errno::EINTR) => {}
            Err(e) => panic!("poll: {e}"),
        }
    }
}

/// What came of frames that were sent, by the counters before and after.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Passage {
    /// What came back, if it may be an answer.
    pub answers: Vec<Frame>,
    /// How many of them the device kept away.
    pub kept_away: u64,
    /// How many of them were dropped by software, and why.
    pub drops: BTreeMap<String, u64>,
}

/// The booted machine.
#[derive(Debug)]
pub struct Guest {
    pub model: Model,
    pub wire: Wire<Cable>,
    child: Child,
    dir: PathBuf,
    agent: RefCell<UnixStream>,
    /// What the agent said and nobody has read.
    heard: RefCell<Vec<u8>>,
    orders: Cell<u32>,
    monitor: RefCell<BufReader<UnixStream>>,
    /// The configuration that pollcast runs with, if it does.
    running: RefCell<Option<String>>,
}

impl Guest {
    /// Boots it. `Err` says why this machine cannot.
    pub fn boot(model: Model) -> Result<Self, String> {
        let dir = new_dir();
        let cable = Cable::new(model.cable, &dir);
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/nic-lab");
        let log = dir.join("log");
        let mut command = Command::new("nice");
        command.args(["-n", "5"]).arg(script).args(["--driver", model.bound_to, "--program", PROGRAM]);
        command.arg("--dir").arg(&dir).arg(model.name);
        if let Made::OfTap(queues) = model.cable {
            command.args(["--tap", "lab0", "--queues", &queues.to_string()]);
        }
        command.process_group(0).stdin(Stdio::null());
        command.stdout(File::create(&log).unwrap()).stderr(File::options().append(true).open(&log).unwrap());
        warden::watch(&mut command);
        let mut child = match &cable.end {
            End::Socket { .. } => command.spawn(),
            End::Raw { bridge, .. } => bridge.enter(|| command.spawn()),
        }
        .unwrap();
        let said = || fs::read_to_string(&log).unwrap_or_default();

        let deadline = Instant::now() + BOOT_PATIENCE;
        let mut connect = |socket| loop {
            if let Ok(stream) = UnixStream::connect(dir.join(socket)) {
                break Ok(stream);
            }
            if let Some(status) = child.try_wait().unwrap() {
                let said = said();
                assert_eq!(status.code(), Some(CANNOT), "scripts/nic-lab: {status}\n{said}");
                return Err(said.lines().last().unwrap_or_default().to_owned());
            }
            assert!(Instant::now() < deadline, "scripts/nic-lab makes no socket; it said:\n{}", said());
            thread::sleep(Duration::from_millis(20));
        };
        // The machine waits for the first, and then makes the other.
        let (agent, monitor) = (connect("agent.sock")?, connect("qmp.sock")?);
        let guest = Self {
            model,
            wire: Wire::new(cable),
            child,
            agent: RefCell::new(agent),
            heard: RefCell::default(),
            orders: Cell::new(0),
            monitor: RefCell::new(BufReader::new(monitor)),
            running: RefCell::default(),
            dir,
        };
        let (_, driver) = guest.hear("up", deadline);
        assert!(driver.starts_with(model.bound_to), "the NIC is bound to {driver:?}");
        guest.monitor_line();
        guest.monitor(json!({"execute": "qmp_capabilities"}));
        Ok(guest)
    }

    /// What the agent says until it has said `mark`, and what follows the mark in its line.
    fn hear(&self, mark: &str, deadline: Instant) -> (String, String) {
        let mark = format!("\x1e{mark} ").into_bytes();
        let mut heard = self.heard.borrow_mut();
        loop {
            let at = heard.windows(mark.len()).position(|window| window == mark);
            let end = at.and_then(|at| heard[at..].iter().position(|b| *b == b'\n').map(|n| (at, at + n)));
            if let Some((at, end)) = end {
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end_matches('\r').to_owned();
                let said = (text(&heard[..at]), text(&heard[at + mark.len()..end]));
                heard.drain(..=end);
                return said;
            }
            let mut agent = self.agent.borrow_mut();
            let mut buf = [0; 4096];
            let got = if readable(&*agent, deadline) { agent.read(&mut buf).unwrap() } else { 0 };
            assert!(
                got > 0,
                "the guest is silent; it said:\n{}\nscripts/nic-lab said:\n{}",
                String::from_utf8_lossy(&heard),
                fs::read_to_string(self.dir.join("log")).unwrap_or_default()
            );
            heard.extend(&buf[..got]);
        }
    }

    /// Has the guest's shell do `command`, one line: whether it succeeded, and what it said.
    pub fn try_sh(&self, command: &str) -> (bool, String) {
        assert!(!command.contains('\n'), "{command}");
        self.orders.update(|orders| orders + 1);
        let id = self.orders.get().to_string();
        self.agent.borrow_mut().write_all(format!("{id} {command}\n").as_bytes()).unwrap();
        let (said, status) = self.hear(&id, Instant::now() + ANSWER_PATIENCE);
        (status == "0", said)
    }

    /// The same, which must succeed.
    pub fn sh(&self, command: &str) -> String {
        let (ok, said) = self.try_sh(command);
        assert!(ok, "{command}: {said}\npollcast said:\n{}", self.try_sh("tail -n 50 /tmp/log").1);
        said
    }

    fn monitor_line(&self) -> Value {
        let mut line = String::new();
        match self.monitor.borrow_mut().read_line(&mut line) {
            Err(e) if e.kind() != ErrorKind::Interrupted => panic!("QEMU's monitor: {e}"),
            _ => serde_json::from_str(&line).unwrap_or_else(|e| panic!("QEMU's monitor: {e}: {line}")),
        }
    }

    /// Orders something of QEMU's monitor.
    pub fn monitor(&self, order: Value) {
        let line = format!("{order}\n");
        self.monitor.borrow_mut().get_mut().write_all(line.as_bytes()).unwrap();
        loop {
            let answer = self.monitor_line();
            assert!(answer.get("error").is_none(), "{order}: {answer}");
            if answer.get("return").is_some() {
                return;
            }
        }
    }

    /// Plugs the cable in or out, and waits until pollcast has noticed.
    pub fn set_link(&self, up: bool) {
        self.monitor(json!({"execute": "set_link", "arguments": {"name": "nic", "up": up}}));
        self.wait_for_link(up);
    }

    /// Waits until pollcast says so of its link.
    pub fn wait_for_link(&self, up: bool) {
        let deadline = Instant::now() + ANSWER_PATIENCE;
        while self.ctl(&["ports"])[0]["link_up"] != up {
            assert!(Instant::now() < deadline, "the link does not become up = {up}");
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Has pollcast run with `config`: started again unless it does already.
    pub fn run(&self, config: &Config) {
        let toml = config.to_toml(config.socket.as_deref().unwrap(), config.file_prefix.as_deref().unwrap());
        if self.running.borrow().as_ref() == Some(&toml) {
            return;
        }
        self.start(&toml);
        self.wait_for_link(true);
        // The first question after a pretended host goes out in the middle of what a test looks at otherwise.
        self.wire.fence();
    }

    /// Starts pollcast with this configuration, and waits until it answers.
    pub fn start(&self, toml: &str) {
        self.stop();
        self.write("/tmp/pollcast.toml", toml);
        self.sh("pollcast run /tmp/pollcast.toml >/tmp/log 2>&1 & echo $! >/tmp/pid");
        // Its lines would be those of this command, if it failed.
        self.sh(
            "until pollcast ctl ports >/dev/null 2>&1; do kill -0 $(cat /tmp/pid) || exit 1; sleep 0.1; done",
        );
        *self.running.borrow_mut() = Some(toml.to_owned());
    }

    /// Ends pollcast, which must end well.
    pub fn stop(&self) {
        if self.running.borrow_mut().take().is_some() {
            self.sh("kill $(cat /tmp/pid); while kill -0 $(cat /tmp/pid) 2>/dev/null; do sleep 0.05; done");
        }
    }

    /// Why pollcast does not start with `config`.
    pub fn refusal(&self, config: &Config) -> String {
        self.stop();
        let toml = config.to_toml(config.socket.as_deref().unwrap(), config.file_prefix.as_deref().unwrap());
        self.write("/tmp/pollcast.toml", &toml);
        let (started, said) = self.try_sh("timeout 20 pollcast run /tmp/pollcast.toml");
        assert!(!started, "it runs with this:\n{toml}");
        said
    }

    fn write(&self, path: &str, text: &str) {
        let escaped = text.replace('\\', "\\\\").replace('\n', "\\n").replace('\'', "\\0047");
        self.sh(&format!("printf %b '{escaped}' >{path}"));
    }

    /// What pollcast said so far.
    pub fn log(&self) -> String {
        self.sh("cat /tmp/log")
    }

    /// `pollcast ctl ARGS`: whether it succeeded, and what it said.
    pub fn try_ctl(&self, args: &[&str]) -> (bool, String) {
        self.try_sh(&format!("pollcast ctl {}", args.join(" ")))
    }

    /// `pollcast ctl --json ARGS`: the answer.
    pub fn ctl(&self, args: &[&str]) -> Value {
        let said = self.sh(&format!("pollcast ctl --json {}", args.join(" ")));
        serde_json::from_str(&said).unwrap_or_else(|e| panic!("not JSON ({e}): {said}"))
    }

    /// The port's row of `ctl filter`.
    pub fn filter(&self) -> Value {
        self.ctl(&["filter"])[0].take()
    }

    /// Packets that the device and the engine took in, and the drops by reason that are not 0.
    fn counters(&self) -> (u64, u64, BTreeMap<String, u64>) {
        let said = self.sh("pollcast ctl --json stats && echo , && pollcast ctl --json drops");
        let both: Value =
            serde_json::from_str(&format!("[{said}]")).unwrap_or_else(|e| panic!("{e}: {said}"));
        let port = &both[0]["ports"][0];
        let rows = both[1].as_array().unwrap();
        let drops = rows
            .iter()
            .map(|row| (row["reason"].as_str().unwrap().to_owned(), row["packets"].as_u64().unwrap()))
            .filter(|(_, packets)| *packets > 0)
            .collect();
        let engine = port["engine"].get("rx").and_then(Value::as_u64).unwrap_or(0);
        (port["device"]["ipackets"].as_u64().unwrap(), engine, drops)
    }

    /// Sends frames, and tells what became of them when `kept_away` of them have been kept away by the device and all the
    /// others counted, or that does not come true.
    pub fn pass(&self, frames: &[Vec<u8>], kept_away: u64) -> Passage {
        let before = self.counters();
        let sent_before = self.wire.raw.sent();
        let mut answers = self.wire.exchange(frames, Duration::from_millis(100));
        let deadline = Instant::now() + COUNTER_PATIENCE;
        loop {
            let now = self.counters();
            // Questions after pretended hosts were answered, too.
            let sent = self.wire.raw.sent() - sent_before;
            let (device, engine) = (now.0 - before.0, now.1 - before.1);
            if engine == sent - kept_away && device == engine || Instant::now() > deadline {
                assert_eq!(device, engine, "the device counts other packets than software");
                let mut drops = now.2;
                drops.iter_mut().for_each(|(why, n)| *n -= before.2.get(why).copied().unwrap_or(0));
                drops.retain(|_, n| *n > 0);
                return Passage { answers, kept_away: sent - engine, drops };
            }
            answers.extend(self.wire.exchange(&[], Duration::from_millis(50)));
        }
    }

    /// Asserts that `frame` is answered by one frame, and returns that.
    #[track_caller]
    pub fn answer(&self, frame: &[u8]) -> Frame {
        let mut answers = self.wire.exchange(&[frame.to_vec()], Duration::from_millis(30));
        let patience = Instant::now() + COUNTER_PATIENCE;
        while answers.is_empty() && Instant::now() < patience {
            // Another worker than that of the fence is not that far yet.
            answers.extend(self.wire.exchange(&[], Duration::from_millis(50)));
        }
        assert_eq!(answers.len(), 1, "answers: {answers:?}\npollcast said:\n{}", self.log());
        answers.remove(0)
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let _ = nix::sys::signal::kill(
            nix::unistd::Pid::from_raw(self.child.id().cast_signed()),
            nix::sys::signal::Signal::SIGTERM,
        );
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// A guest that the tests of one file share, one at a time.
#[derive(Debug)]
pub struct SharedNic {
    model: Model,
    guest: Kept<Result<Guest, String>>,
}

impl SharedNic {
    pub const fn new(model: Model) -> Self {
        Self { model, guest: Kept::new() }
    }

    /// For this test alone, with pollcast running [`ECHO6`](super::ECHO6). `None`, and a word about it, if this machine
    /// cannot emulate it.
    pub fn lock(&'static self) -> Option<HeldNic> {
        if self.model.cable != Made::OfSocket && !may_run() {
            return None;
        }
        let boot = || {
            let boot = std::panic::catch_unwind(|| Guest::boot(self.model));
            boot.unwrap_or_else(|_| Err("panicked".to_owned()))
        };
        // Whatever state the failed test left it in.
        let mend = |guest: &mut Result<Guest, String>| {
            if let Ok(guest) = guest {
                guest.stop();
            }
        };
        let guest = self.guest.lock(boot, mend);
        match &*guest {
            Ok(booted) => {
                booted.run(&self.model.config(super::ECHO6));
                Some(HeldNic(guest))
            }
            Err(why) => {
                assert_ne!(why, "panicked", "the guest did not boot; see the first test that wanted it");
                say_skipped(why);
                None
            }
        }
    }
}

/// A booted guest, for one test alone.
#[derive(Debug)]
pub struct HeldNic(Held<Result<Guest, String>>);

impl Deref for HeldNic {
    type Target = Guest;

    fn deref(&self) -> &Guest {
        self.0.as_ref().expect("one that did not boot is held by nobody")
    }
}
