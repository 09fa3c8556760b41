//! Bad input and bad surroundings: each gets one clear sentence and exit status 1 (the machine) or 2 (the command line or the
//! configuration), and what an earlier run left behind is no obstacle.
#![cfg(all(feature = "dpdk", feature = "cli"))]

mod common;

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use common::*;
use nix::sys::signal::Signal;
use nix::unistd::User;

/// Runs it to its end, which must come by itself, with this status and one line on stderr that has these words.
fn assert_refused(netns: &Netns, config: &Config, status: i32, words: &[&str]) {
    let mut pollcast = Pollcast::spawn(netns, config);
    let ended = pollcast.wait();
    let said = pollcast.stderr();
    assert_eq!(ended.code(), Some(status), "{ended}: {said}");
    assert_one_sentence(&said, words);
    assert!(!pollcast.socket().exists() || config.socket.is_some(), "it leaves its control socket behind");
}

fn assert_one_sentence(said: &str, words: &[&str]) {
    assert_eq!(said.trim_end().lines().count(), 1, "not one line:\n{said}");
    for word in words {
        assert!(said.contains(word), "it does not say \"{word}\":\n{said}");
    }
}

fn tap_config() -> Config {
    Config::new(&format!("net_tap0,iface={DEVICE}"), ECHO)
}

/// A folder for sockets, and for programs that others may run; removed when dropped.
fn scratch() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    dir
}

/// The words that run the program as nobody, who may read this copy of it.
fn as_nobody(dir: &Path) -> Vec<String> {
    let copy = dir.join("pollcast");
    fs::copy(PROGRAM, &copy).unwrap();
    let words = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "env", "XDG_RUNTIME_DIR="];
    let runtime_dir = dir.join("home");
    let mut words: Vec<String> = words.map(String::from).into();
    words.last_mut().unwrap().push_str(runtime_dir.to_str().unwrap());
    words.push(copy.to_str().unwrap().into());
    words
}

/// A folder that belongs to nobody.
fn nobodys(dir: &Path) -> PathBuf {
    let home = dir.join("home");
    fs::create_dir(&home).unwrap();
    let nobody = User::from_name("nobody").unwrap().unwrap();
    chown(&home, Some(nobody.uid.as_raw()), Some(nobody.gid.as_raw())).unwrap();
    home
}

#[test]
fn a_missing_privilege_is_named() {
    if !may_run() {
        return;
    }
    let (netns, dir) = (Netns::new(), scratch());
    let home = nobodys(dir.path());
    let mut config = tap_config();
    config.command = as_nobody(dir.path());
    config.command.push("run".into());
    config.socket = Some(home.join("ctl.sock"));
    assert_refused(&netns, &config, 1, &["CAP_NET_ADMIN", "root"]);
    // And where it is the control socket that it may not make.
    let root_only = dir.path().join("ctl.sock");
    config.socket = Some(root_only.clone());
    assert_refused(&netns, &config, 1, &["permission", root_only.to_str().unwrap()]);
}

#[test]
fn checking_a_configuration_needs_no_privilege() {
    if !may_run() {
        return;
    }
    let dir = scratch();
    let config = dir.path().join("tap.toml");
    fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("config/tap.toml"), &config).unwrap();
    let words = as_nobody(dir.path());
    let out = Command::new(&words[0]).args(&words[1..]).arg("check").arg(&config).output().unwrap();
    assert_eq!(out.status.code(), Some(0), "{out:?}");
}

#[test]
fn hugepages_that_are_required_and_not_there_are_asked_for() {
    if !may_run() {
        return;
    }
    let config = Config { hugepages: "required", eal: "memory_mb = 500000\n".into(), ..tap_config() };
    assert_refused(&Netns::new(), &config, 1, &["500000 MiB of hugepages are required", "vm.nr_hugepages"]);
}

#[test]
fn a_device_that_does_not_exist_is_named() {
    if !may_run() {
        return;
    }
    let netns = Netns::new();
    for device in ["net_nosuch0", "0000:ff:1f.7", "net_af_packet0,iface=nosuch0"] {
        assert_refused(&netns, &Config::new(device, ECHO), 1, &[device]);
    }
}

#[test]
fn a_cpu_that_does_not_exist_is_named() {
    if !may_run() {
        return;
    }
    let netns = Netns::new();
    for (workers, key) in
        [("cpus = [4999]\n", "workers.cpus"), ("control_cpu = 4999\n", "workers.control_cpu")]
    {
        let config = Config { workers: workers.into(), ..tap_config() };
        assert_refused(&netns, &config, 2, &["4999", key]);
    }
}

#[test]
fn a_busy_control_socket_or_file_prefix_is_named() {
    if !may_run() {
        return;
    }
    let lab =
        Lab::new(&Config { file_prefix: Some(format!("pc-{}-busy", std::process::id())), ..tap_config() });
    let other = Config::new("net_tap1,iface=pc1", ECHO);
    let socket = lab.pollcast.socket().to_owned();
    let same_socket = Config { socket: Some(socket.clone()), ..other.clone() };
    assert_refused(&lab.netns, &same_socket, 1, &["in use", socket.to_str().unwrap()]);
    let prefix = format!("pc-{}-busy", std::process::id());
    let same_prefix = Config { file_prefix: Some(prefix.clone()), ..other };
    assert_refused(&lab.netns, &same_prefix, 1, &["in use", &prefix, "file_prefix"]);
    // And the one that was first is none the worse.
    assert_eq!(lab.pollcast.ctl(&["ports"])[0]["name"], "p0");
}

#[test]
fn two_services_on_one_port_are_refused() {
    if !may_run() {
        return;
    }
    let twice = ECHO.replace("name = \"echo\"", "name = \"first\"")
        + "[[service]]\nname = \"second\"\nkind = \"echo\"\nlisten = [\"198.18.0.2:7\", \"0.0.0.0:7\"]\n";
    let config = Config { services: twice, ..tap_config() };
    assert_refused(&Netns::new(), &config, 2, &["0.0.0.0:7", "first", "second"]);
}

#[test]
fn a_group_that_is_not_multicast_is_refused() {
    if !may_run() {
        return;
    }
    let config = Config { services: ECHO.replace("239.1.2.3", "198.18.1.1"), ..tap_config() };
    assert_refused(&Netns::new(), &config, 2, &["198.18.1.1", "groups[0]", "239.255.255.255"]);
}

#[test]
fn errors_of_the_configuration_name_their_place() {
    if !may_run() {
        return;
    }
    let netns = Netns::new();
    let config = Config { services: ECHO.replace("listen", "lisden"), ..tap_config() };
    let mut pollcast = Pollcast::spawn(&netns, &config);
    assert_eq!(pollcast.wait().code(), Some(2));
    assert!(pollcast.stderr().contains("listen"), "{}", pollcast.stderr());

    let out = Command::new(PROGRAM).args(["run", "/nonexistent/pollcast.toml"]).output().unwrap();
    assert_eq!(out.status.code(), Some(2), "{out:?}");
    assert_one_sentence(&String::from_utf8(out.stderr).unwrap(), &["/nonexistent/pollcast.toml"]);
    let out = Command::new(PROGRAM).args(["walk", "config/tap.toml"]).output().unwrap();
    assert_eq!(out.status.code(), Some(2), "{out:?}");
}

#[test]
fn nobody_behind_the_control_socket_is_said() {
    let dir = scratch();
    let socket = dir.path().join("ctl.sock");
    drop(UnixListener::bind(&socket).unwrap());
    for path in [socket, dir.path().join("nosuch.sock")] {
        let out = Command::new(PROGRAM).args(["ctl", "stats", "--socket"]).arg(&path).output().unwrap();
        assert_eq!(out.status.code(), Some(1), "{out:?}");
        assert_one_sentence(&String::from_utf8(out.stderr).unwrap(), &[path.to_str().unwrap()]);
    }
}

#[test]
fn a_stale_control_socket_is_no_obstacle_and_another_file_is() {
    if !may_run() {
        return;
    }
    let (netns, dir) = (Netns::new(), scratch());
    // As a run that was killed leaves it: the folder, and a socket on which nobody listens.
    let socket = dir.path().join("run/pollcast/ctl.sock");
    fs::create_dir_all(socket.parent().unwrap()).unwrap();
    drop(UnixListener::bind(&socket).unwrap());
    let config = Config { socket: Some(socket.clone()), ..tap_config() };
    Pollcast::start(&netns, &config).stop();
    assert!(!socket.exists());

    fs::write(&socket, "precious").unwrap();
    assert_refused(&netns, &config, 1, &[socket.to_str().unwrap(), "not a control socket"]);
    assert_eq!(fs::read_to_string(&socket).unwrap(), "precious");
}

/// The next start after a clean end and after a kill, with the same socket, prefix and device.
fn assert_starts_again(hugepages: &'static str) {
    let (netns, dir) = (Netns::new(), scratch());
    let config = Config {
        hugepages,
        socket: Some(dir.path().join("ctl.sock")),
        file_prefix: Some(format!("pc-{}-again-{hugepages}", std::process::id())),
        ..tap_config()
    };
    for signal in [Signal::SIGTERM, Signal::SIGKILL, Signal::SIGKILL] {
        let mut pollcast = Pollcast::start(&netns, &config);
        netns.ip(&format!("link set {DEVICE} address 02:00:00:00:00:01 up"));
        let wire = Wire::new(RawPeer::new(&netns, DEVICE));
        let seen = wire.exchange(&[udp_frame(PEER, 4000, HOST, 7, b"again")], Duration::from_millis(50));
        assert!(seen.iter().any(|frame| frame.carries(UDP)), "{seen:?}");
        pollcast.signal(signal);
        pollcast.wait();
    }
    Pollcast::start(&netns, &config).stop();
    let left = Path::new("/run/dpdk").join(config.file_prefix.unwrap());
    assert!(!left.exists(), "{} is left behind", left.display());
}

#[test]
fn it_starts_again_after_a_kill() {
    if may_run() {
        assert_starts_again("none");
    }
}

#[test]
fn it_starts_again_after_a_kill_with_hugepages() {
    let free = fs::read_to_string("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages");
    let free: u32 = free.ok().and_then(|n| n.trim().parse().ok()).unwrap_or(0);
    if !may_run() || !may_use_hugepages(free) {
        return;
    }
    assert_starts_again("required");
    let mine = format!("pc-{}-again", std::process::id());
    // Where nothing is mounted, nothing can be left.
    let left = fs::read_dir("/dev/hugepages").into_iter().flatten().flatten().map(|file| file.file_name());
    let left: Vec<_> = left.filter(|name| name.to_string_lossy().starts_with(&mine)).collect();
    assert!(left.is_empty(), "left behind: {left:?}");
}

/// Runs the build script of dpdk-sys, as cargo does, where pkg-config finds nothing.
#[test]
fn a_missing_libdpdk_is_said_with_its_package() {
    let build = Path::new(PROGRAM).parent().unwrap().join("build");
    let scripts = fs::read_dir(build)
        .unwrap()
        .flatten()
        .filter(|dir| dir.file_name().to_string_lossy().starts_with("dpdk-sys-"));
    let scripts = scripts.map(|dir| dir.path().join("build-script-build")).filter(|script| script.exists());
    let newest = scripts
        .max_by_key(|script| script.metadata().and_then(|m| m.modified()).unwrap_or(SystemTime::UNIX_EPOCH));
    let (script, nothing) = (newest.expect("a built dpdk-sys"), scratch());
    let out = Command::new(script)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("dpdk-sys"))
        .env("PKG_CONFIG_LIBDIR", nothing.path())
        .env_remove("PKG_CONFIG_PATH")
        .env("OUT_DIR", nothing.path())
        .output()
        .unwrap();
    assert_eq!(out.status.code(), Some(1), "{out:?}");
    let said = String::from_utf8(out.stdout).unwrap();
    for word in ["cargo::error=", "libdpdk", "apt-get install", "libdpdk-dev"] {
        assert!(said.contains(word), "it does not say \"{word}\":\n{said}");
    }
}
