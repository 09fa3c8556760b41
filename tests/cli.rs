//! The command line from outside: what it says, where, and with which exit status.
#![cfg(all(feature = "dpdk", feature = "cli"))]

use std::fs::{self, File, Permissions};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nix::unistd::Pid;
use pollcast::ctl::{Server, Stopper};
use pollcast::engine::command::{self, Answer, DoneAnswer, DropAnswer, GroupAnswer};

const GOOD: &str = r#"
[[port]]
device = "net_tap0,iface=pc0"
addresses = ["198.18.0.2/24"]

[[service]]
kind = "echo"
listen = ["0.0.0.0:7"]
groups = [{ group = "239.1.2.3" }]
"#;

const BAD: &str = r#"
[[port]]
device = "net_tap0,iface=pc0"
adresses = ["198.18.0.2/24"]

[[service]]
kind = "echo"
listen = ["0.0.0.0:7"]
groups = [{ group = "198.18.0.9" }]
"#;

/// A user that may do nothing.
const NOBODY: u32 = 65534;

fn pollcast(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pollcast"));
    command.args(args).env_remove("RUST_LOG").stdin(Stdio::null());
    command
}

/// Exit status, standard output, standard error.
fn outcome(command: &mut Command) -> (i32, String, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().expect("not ended by a signal"), text(stdout), text(stderr))
}

fn run(args: &[&str]) -> (i32, String, String) {
    outcome(&mut pollcast(args))
}

/// A file `name` with `content`, that everybody may read.
fn file(dir: &tempfile::TempDir, name: &str, content: &str) -> PathBuf {
    fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
    let path = dir.path().join(name);
    fs::write(&path, content).unwrap();
    path
}

fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// `args` as a user without any privilege: a copy of the program, where that user may find it.
fn pollcast_as_nobody(dir: &tempfile::TempDir, args: &[&str]) -> Command {
    if !is_root() {
        return pollcast(args);
    }
    let program = file(dir, "pollcast", "");
    fs::copy(env!("CARGO_BIN_EXE_pollcast"), &program).unwrap();
    fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
    let mut command = Command::new(program);
    command.args(args).env_remove("RUST_LOG").stdin(Stdio::null()).current_dir("/").uid(NOBODY).gid(NOBODY);
    command
}

#[test]
fn every_help_is_on_standard_output_with_status_0() {
    for (args, word) in [
        (&["--help"][..], "Exit status:\n  0  clean\n  1  failed while running\n  2  bad command line"),
        (&["run", "--help"], "A second signal ends it at once"),
        (&["check", "--help"], "needs no privilege"),
        (&["devices", "--help"], "--probe"),
        (&["ctl", "--help"], "[default: /run/pollcast/ctl.sock]"),
        (&["ctl", "join", "--help"], "--source <ADDR>"),
        (&["ctl", "leave", "--help"], "or one of its VLANs, as p0.100"),
        (&["help", "ctl", "stats"], "--all"),
    ] {
        let (status, out, err) = run(args);
        assert_eq!((status, &*err), (0, ""), "{args:?}");
        assert!(out.contains(word), "{args:?} says:\n{out}");
    }
    let (status, out, _) = run(&["--version"]);
    assert_eq!((status, out), (0, format!("pollcast {}\n", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn a_bad_command_line_is_status_2_and_one_clear_sentence() {
    for (args, sentence) in [
        (&[][..], "Usage: pollcast"),
        (&["walk"], "unrecognized subcommand 'walk'"),
        (&["run"], "<CONFIG>"),
        (&["run", "a.toml", "b.toml"], "unexpected argument 'b.toml'"),
        (&["ctl"], "Usage: pollcast ctl"),
        (&["ctl", "stat"], "'stats'"),
        (
            &["ctl", "join", "198.18.0.9"],
            "198.18.0.9 is not a multicast group: those are 224.0.0.0 to 239.255.255.255",
        ),
        (&["ctl", "leave", "239.1.2"], "not an IPv4 address"),
        (&["ctl", "join", "232.1.2.3", "--source", "224.0.0.1"], "224.0.0.1 is not the address of one host"),
    ] {
        let (status, out, err) = run(args);
        assert_eq!((status, &*out), (2, ""), "{args:?}");
        assert!(err.contains(sentence), "{args:?} says:\n{err}");
    }
}

#[test]
fn check_prints_the_plan_and_needs_no_privilege() {
    let dir = tempfile::tempdir().unwrap();
    let config = file(&dir, "good.toml", GOOD);
    let (status, out, err) = outcome(&mut pollcast_as_nobody(&dir, &["check", config.to_str().unwrap()]));
    assert_eq!((status, &*err), (0, ""));
    for word in ["net_tap0,iface=pc0", "198.18.0.2/24", "239.1.2.3", "mbuf"] {
        assert!(out.contains(word), "no {word} in:\n{out}");
    }
}

#[test]
fn check_and_run_name_every_error_with_file_and_line() {
    let dir = tempfile::tempdir().unwrap();
    let config = file(&dir, "bad.toml", BAD);
    let config = config.to_str().unwrap();
    for action in ["check", "run"] {
        let (status, out, err) = run(&[action, config]);
        assert_eq!((status, &*out), (2, ""), "{action}");
        let lines: Vec<_> = err.lines().collect();
        assert!(lines.len() >= 2, "{err}");
        assert!(lines.iter().all(|line| line.starts_with(&format!("{config}:"))), "{err}");
        let unknown_key = format!("{config}:4:1: ");
        assert!(lines.iter().any(|l| l.starts_with(&unknown_key) && l.contains("\"addresses\"")), "{err}");
        assert!(
            lines.iter().any(|l| l.starts_with(&format!("{config}:9:")) && l.contains("198.18.0.9")),
            "{err}"
        );
    }
}

#[test]
fn a_configuration_that_is_not_there_is_status_2() {
    let (status, out, err) = run(&["check", "/nonexistent/pollcast.toml"]);
    assert_eq!((status, &*out), (2, ""));
    assert!(err.starts_with("/nonexistent/pollcast.toml: cannot be read: "), "{err}");
    assert_eq!(err.lines().count(), 1);
}

/// A control socket whose engine knows one group and one very long list of drops.
struct Running {
    dir: tempfile::TempDir,
    stop: Stopper,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Running {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
        let server = Server::bind(&dir.path().join("s")).unwrap();
        let stop = server.stopper();
        Self { dir, stop, thread: Some(std::thread::spawn(move || server.run(execute))) }
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("s")
    }

    fn ctl(&self, args: &[&str]) -> Command {
        let mut command = pollcast(&["ctl", "--socket"]);
        command.arg(self.socket()).args(args);
        command
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.stop();
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

fn execute(command: command::Command) -> Answer {
    match command {
        command::Command::Groups => Answer::Groups(vec![GroupAnswer {
            port: "p0".into(),
            group: "239.1.2.3".parse().unwrap(),
            mac: "01:00:5e:01:02:03".parse().unwrap(),
            filter_mode: "exclude".into(),
            sources: vec![],
            services: vec!["echo".into()],
        }]),
        command::Command::Drops => {
            let meaning = "x".repeat(99);
            let drop = |n| DropAnswer {
                reason: format!("reason_{n}"),
                packets: n,
                snmp: None,
                meaning: meaning.clone(),
            };
            Answer::Drops((0..20_000).map(drop).collect())
        }
        command::Command::Igmp(order) => Answer::Done(DoneAnswer::said(format!(
            "{:?} {:?} {:?}",
            order.port, order.version, order.robustness
        ))),
        command::Command::Join(m) => Answer::Done(DoneAnswer::said(format!(
            "{} {:?} {:?} {:?}",
            m.groups[0], m.source, m.service, m.port
        ))),
        other => Answer::Error(format!("{other:?} cannot be done; ask again tomorrow")),
    }
}

#[test]
fn ctl_prints_text_or_stable_json() {
    let running = Running::new();
    let (status, out, err) = outcome(&mut running.ctl(&["groups"]));
    assert_eq!((status, &*err), (0, ""));
    assert_eq!(
        out,
        "port  group      mac                mode     sources  services\n\
         p0    239.1.2.3  01:00:5e:01:02:03  exclude  -        echo\n"
    );
    let (status, out, err) = outcome(&mut running.ctl(&["groups", "--json"]));
    assert_eq!((status, &*err), (0, ""));
    let expected = serde_json::json!([{
        "port": "p0", "group": "239.1.2.3", "mac": "01:00:5e:01:02:03", "filter_mode": "exclude", "sources": [],
        "services": ["echo"],
    }]);
    assert_eq!(serde_json::from_str::<serde_json::Value>(&out).unwrap(), expected);
}

#[test]
fn ctl_join_carries_its_options() {
    let running = Running::new();
    let args = &["join", "232.1.2.3", "--source", "198.18.0.1", "--service", "echo", "--port", "p0"];
    let (status, out, _) = outcome(&mut running.ctl(args));
    assert_eq!((status, &*out), (0, "232.1.2.3 Some(198.18.0.1) Some(\"echo\") Some(\"p0\")\n"));
    let (_, out, _) = outcome(&mut running.ctl(&["--json", "join", "239.1.2.3"]));
    let done = serde_json::json!({"done": "239.1.2.3 None None None"});
    assert_eq!(serde_json::from_str::<serde_json::Value>(&out).unwrap(), done);
}

#[test]
fn ctl_igmp_carries_its_options() {
    let running = Running::new();
    let (status, out, _) = outcome(&mut running.ctl(&["igmp"]));
    assert_eq!((status, &*out), (0, "None None None\n"));
    let args = &["igmp", "--port", "p0.100", "--version", "2", "--robustness", "7"];
    let (status, out, _) = outcome(&mut running.ctl(args));
    assert_eq!((status, &*out), (0, "Some(\"p0.100\") Some(V2) Some(Pinned(7))\n"));
    let (status, out, _) = outcome(&mut running.ctl(&["igmp", "--version", "auto", "--robustness", "auto"]));
    assert_eq!((status, &*out), (0, "None Some(Auto) Some(Auto)\n"));
    for (args, why) in [
        (["igmp", "--version", "4"], "not a version of IGMP: use auto, 1, 2 or 3"),
        (["igmp", "--robustness", "8"], "not a robustness variable: use auto, or a number from 1 to 7"),
    ] {
        let (status, _, err) = outcome(&mut running.ctl(&args));
        assert!(status == 2 && err.contains(why), "{err}");
    }
}

#[test]
fn what_the_engine_refuses_is_one_sentence_and_status_1() {
    let running = Running::new();
    let (status, out, err) = outcome(&mut running.ctl(&["stats"]));
    assert_eq!((status, &*out, &*err), (1, "", "pollcast: Stats cannot be done; ask again tomorrow\n"));
}

#[test]
fn nobody_at_the_socket_is_one_sentence_and_status_1() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("none");
    let (status, out, err) = run(&["ctl", "--socket", socket.to_str().unwrap(), "stats"]);
    let sentence = format!(
        "pollcast: no pollcast answers at {}: is it running? (--socket PATH names another)\n",
        socket.display()
    );
    assert_eq!((status, &*out, err), (1, "", sentence));
}

#[test]
fn another_users_socket_is_one_sentence_and_status_1() {
    if !is_root() {
        // Without another user there is nobody to refuse.
        return;
    }
    let running = Running::new();
    let socket = running.socket();
    let args = ["ctl", "--socket", socket.to_str().unwrap(), "groups"];
    let (status, out, err) = outcome(&mut pollcast_as_nobody(&running.dir, &args));
    assert_eq!((status, &*out), (1, ""));
    assert!(err.starts_with("pollcast: no permission to use ") && err.lines().count() == 1, "{err}");
}

#[test]
fn a_reader_that_has_read_enough_is_no_error() {
    let running = Running::new();
    let mut command = running.ctl(&["drops"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = String::new();
    BufReader::with_capacity(64, child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert!(first.trim_start().starts_with("packets  reason"), "{first}");
    let Output { status, stderr, .. } = child.wait_with_output().unwrap();
    assert_eq!((status.code(), String::from_utf8(stderr).unwrap()), (Some(0), String::new()));
}

#[test]
fn a_full_disk_is_one_sentence_and_status_1() {
    let running = Running::new();
    let full = File::options().write(true).open(Path::new("/dev/full")).unwrap();
    let output = running.ctl(&["groups"]).stdout(full).stderr(Stdio::piped()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let err = String::from_utf8(output.stderr).unwrap();
    assert!(
        err.starts_with("pollcast: cannot write to standard output: ") && err.lines().count() == 1,
        "{err}"
    );
}

/// `pollcast run` on a port that receives nothing and sends into a file: no NIC, no network, no hugepages.
struct Host {
    dir: tempfile::TempDir,
    child: Child,
}

impl Host {
    fn start(test: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = Self::config(dir.path(), test);
        let mut command = pollcast(&["run"]);
        let child = command.arg(config).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        Self { dir, child }
    }

    fn config(dir: &Path, test: &str) -> PathBuf {
        let prefix = format!("pollcast-cli-{test}-{}", std::process::id());
        let socket = dir.join("run/ctl.sock");
        let text = format!(
            "[eal]\nhugepages = \"none\"\nfile_prefix = {prefix:?}\n[ctl]\nsocket = {socket:?}\n\
             [workers]\nidle = \"adaptive\"\n\
             [[port]]\ndevice = \"net_pcap0,tx_pcap={}\"\naddresses = [\"198.18.0.2/24\"]\nmac = \"02:00:00:00:00:02\"\n\
             [[service]]\nkind = \"echo\"\nlisten = [\"0.0.0.0:7\"]\n",
            dir.join(format!("{test}.pcap")).display()
        );
        let config = dir.join(format!("{test}.toml"));
        fs::write(&config, text).unwrap();
        config
    }

    fn ctl(&self, args: &[&str]) -> (i32, String, String) {
        let mut command = pollcast(&["ctl", "--socket"]);
        outcome(command.arg(self.dir.path().join("run/ctl.sock")).args(args))
    }

    /// Waits until it answers.
    fn wait(&self) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.ctl(&["ports"]).0 != 0 {
            assert!(Instant::now() < deadline, "no answer");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn signal(&self, signal: Signal) {
        nix::sys::signal::kill(Pid::from_raw(self.child.id().cast_signed()), signal).unwrap();
    }

    /// Its exit status and what it said.
    fn end(&mut self) -> (i32, String) {
        let status = self.child.wait().unwrap();
        let mut said = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        (status.code().expect("not ended by a signal"), said)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // In vain if it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn run_answers_until_a_signal_asks_it_to_stop() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let mut host = Host::start(signal.as_str());
        host.wait();
        // The tap driver's fallback when its real-time signals pile up.
        host.signal(Signal::SIGIO);
        let (status, out, err) = host.ctl(&["join", "239.9.9.9"]);
        assert_eq!((status, &*err), (0, ""), "{out}");
        assert!(host.ctl(&["groups"]).1.contains("239.9.9.9"));
        host.signal(signal);
        let (status, said) = host.end();
        assert_eq!(status, 0, "{said}");
        assert!(
            said.contains("02:00:00:00:00:02") && said.contains("net_pcap"),
            "says what it opened: {said}"
        );
        assert!(!said.contains("WARN"), "ends clean: {said}");
        assert!(!host.dir.path().join("run/ctl.sock").exists());
    }
}

#[test]
fn a_second_run_on_one_socket_is_one_sentence_and_status_1() {
    let mut host = Host::start("first");
    host.wait();
    let config = Host::config(host.dir.path(), "second");
    let (status, _, err) = run(&["run", config.to_str().unwrap()]);
    let sentence = format!(
        "pollcast: the control socket {} is in use by a running pollcast; stop it or give [ctl] socket another path\n",
        host.dir.path().join("run/ctl.sock").display()
    );
    assert_eq!((status, err), (1, sentence));
    assert_eq!(host.ctl(&["ports"]).0, 0, "the first is still there");
    host.signal(Signal::SIGTERM);
    assert_eq!(host.end().0, 0);
}

#[test]
fn a_question_while_it_stops_neither_waits_nor_delays_the_stop() {
    let mut host = Host::start("late");
    host.wait();
    host.signal(Signal::SIGTERM);
    let signalled = Instant::now();
    // Answered still, told that it stops, or sent away: each at once. A client's patience alone is ten seconds.
    while host.ctl(&["stats"]).0 == 0 {}
    assert_eq!(host.end().0, 0);
    assert!(signalled.elapsed() < Duration::from_secs(8), "{:?}", signalled.elapsed());
}

#[test]
fn devices_lists_a_vdev_and_the_rung_that_answers() {
    let (status, out, err) = run(&["devices", "--vdev", "net_null0", "--probe", "--json"]);
    assert_eq!((status, &*err), (0, ""));
    let devices: serde_json::Value = serde_json::from_str(&out).unwrap();
    let null = devices.as_array().unwrap().iter().find(|d| d["name"] == "net_null0").unwrap();
    assert_eq!(null["driver"], "net_null");
    assert_eq!(null["filter"]["rung"], "unfiltered");
    let refused = &null["filter"]["refused"][0];
    assert_eq!(refused["rung"], "addr_list");
    assert!(refused["why"].as_str().unwrap().contains("ENOTSUP"), "{refused}");

    let (status, out, err) = run(&["devices", "--vdev", "net_null0", "--vdev", "net_null0"]);
    assert_eq!((status, &*out), (2, ""), "DPDK would make one of them, and say nothing");
    assert_eq!(err, "pollcast: --vdev net_null0 is given twice: give each a number of its own\n");

    let (status, out, _) = run(&["devices", "--vdev", "net_null0"]);
    assert_eq!(status, 0);
    assert!(out.contains("net_null0\n  driver      net_null\n"), "{out}");
    assert!(!out.contains("rung"), "not asked for: {out}");
}

#[test]
fn a_device_that_cannot_be_made_is_one_sentence_and_status_1() {
    let (status, out, err) = run(&["devices", "--vdev", "net_nonsense0"]);
    assert_eq!((status, &*out), (1, ""));
    assert!(
        err.starts_with("pollcast: ") && err.contains("net_nonsense0") && err.lines().count() == 1,
        "{err}"
    );
}
