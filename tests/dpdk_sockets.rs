//! Sockets of a program's threads over a tap, against the kernel: they receive and answer, join and leave, come and go by thousands, and
//! end with their host. Needs root.
#![cfg(feature = "dpdk")]

mod dpdk_alone;

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use dpdk_alone::{alone, in_namespace, ip, may_make_namespaces, settings, uninterrupted};
use pollcast::config::{Config, Machine};
use pollcast::host::{Host, Running, builtin_kinds};
use pollcast::io::InterfaceId;
use pollcast::socket::{BindError, Errno, MemberError, OpenError, RecvError};

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(10);

/// What tells this program that it is to be killed.
const VICTIM: &str = "POLLCAST_TEST_VICTIM";

/// A host without services at 198.18.0.2 on a tap, whose other end is the kernel's, at 198.18.0.1.
fn host(folder: &tempfile::TempDir) -> Running {
    let text = format!(
        r#"
        {}
        [[port]]
        name = "p0"
        device = "net_tap0,iface=pcsock0"
        mac = "02:00:00:00:00:02"
        addresses = ["198.18.0.2/24"]
        gateway4 = "198.18.0.1"
        "#,
        settings(folder),
    );
    let plan =
        Config::parse(&text, "sockets.toml".as_ref()).unwrap().check(&Machine::new([0]), &builtin_kinds());
    let host = Host::new(plan.unwrap()).start().unwrap();
    ip("link set pcsock0 up");
    ip("addr add 198.18.0.1/24 dev pcsock0");
    host
}

/// A socket of the kernel's, whose groups leave by the tap.
fn kernel() -> UdpSocket {
    let socket = UdpSocket::bind("198.18.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

fn at(local: &str) -> SocketAddr {
    local.parse().unwrap()
}

/// What tells a process's own descriptors.
fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

// U20, U26, P05: what arrives after bind has returned finds the socket; a place is free again when its socket is dropped.
#[test]
fn a_thread_receives_what_the_kernel_sends() {
    let test = "a_thread_receives_what_the_kernel_sends";
    in_namespace(test, || {
        let folder = tempfile::tempdir().unwrap();
        let host = host(&folder);
        let (sockets, kernel) = (host.sockets(), kernel());
        let socket = sockets.bind(at("198.18.0.2:5000")).unwrap();
        socket.set_read_timeout(Some(PATIENCE));
        assert_eq!(sockets.bind(at("0.0.0.0:5000")).unwrap_err(), BindError::InUse);
        assert_eq!(sockets.bind(at("198.18.0.3:5000")).unwrap_err(), BindError::NotOurs);
        let mut buf = [0; 2048];
        for n in 0..100u8 {
            kernel.send_to(&[n; 100], "198.18.0.2:5000").unwrap();
            let (len, from) = socket.recv_from(&mut buf).unwrap();
            assert_eq!((&buf[..len], from), (&[n; 100][..], kernel.local_addr().unwrap()));
        }
        drop(socket);
        let again = sockets.bind(at("0.0.0.0:5000")).unwrap();
        again.set_read_timeout(Some(PATIENCE));
        again.join(Ipv4Addr::new(239, 1, 2, 3).into(), Some(InterfaceId(0))).unwrap();
        kernel.send_to(b"to the group", "239.1.2.3:5000").unwrap();
        let (len, _) = again.recv_from(&mut buf).unwrap();
        assert_eq!(buf[..len], *b"to the group");
        again.leave(Ipv4Addr::new(239, 1, 2, 3).into(), Some(InterfaceId(0))).unwrap();
        assert_eq!(
            again.leave(Ipv4Addr::new(239, 1, 2, 3).into(), Some(InterfaceId(0))).unwrap_err(),
            MemberError::NotJoined
        );
    });
}

// The ten lines of the front page: a thread answers the kernel, from the address that it was asked at, and asks it by itself.
#[test]
fn a_thread_answers_the_kernel_and_asks_it() {
    let test = "a_thread_answers_the_kernel_and_asks_it";
    in_namespace(test, || {
        let folder = tempfile::tempdir().unwrap();
        let host = host(&folder);
        let (sockets, kernel) = (host.sockets(), kernel());
        let socket = sockets.bind(at("0.0.0.0:7")).unwrap();
        let echo = thread::spawn(move || {
            let mut buf = [0; 65_536];
            loop {
                let Ok((len, peer)) = socket.recv_from(&mut buf) else { return };
                socket.send_to(&buf[..len], peer).unwrap();
            }
        });
        let mut buf = [0; 65_536];
        kernel.connect("198.18.0.2:7").unwrap();
        // The last in fragments, both ways.
        for len in [0, 1, 100, 1472, 9000] {
            kernel.send(&vec![7; len]).unwrap();
            assert_eq!(uninterrupted(|| kernel.recv(&mut buf)).unwrap(), len);
        }
        // Another thread, with a socket that is connected: it gets a port by itself.
        let server = UdpSocket::bind("198.18.0.1:0").unwrap();
        server.set_read_timeout(Some(PATIENCE)).unwrap();
        let client = sockets.udp4().unwrap();
        client.set_read_timeout(Some(PATIENCE));
        client.connect(server.local_addr().unwrap()).unwrap();
        client.send(b"question").unwrap();
        let (len, from) = uninterrupted(|| server.recv_from(&mut buf)).unwrap();
        assert_eq!((&buf[..len], from), (&b"question"[..], client.local_addr()));
        server.send_to(b"answer", from).unwrap();
        assert_eq!(client.recv(&mut buf).unwrap(), 6);
        // C15: nobody is there any more, and the next call says so.
        drop(server);
        client.send(b"still there?").unwrap();
        assert!(matches!(client.recv(&mut buf), Err(RecvError::Reported(Errno::ECONNREFUSED))));
        drop(host);
        echo.join().unwrap();
    });
}

#[test]
fn a_thread_that_waits_is_told_of_the_end() {
    let test = "a_thread_that_waits_is_told_of_the_end";
    in_namespace(test, || {
        let folder = tempfile::tempdir().unwrap();
        let host = host(&folder);
        let sockets = host.sockets();
        let socket = sockets.bind(at("0.0.0.0:5000")).unwrap();
        let waiting = thread::spawn(move || socket.recv_from(&mut [0; 64]).map(|_| ()));
        // It may not wait yet: then it finds the end when it begins to.
        host.shutdown().request();
        host.wait().unwrap();
        assert!(matches!(waiting.join().unwrap(), Err(RecvError::Down)));
        // What outlives the host fails, and harms nothing.
        assert_eq!(sockets.udp4().unwrap_err(), OpenError::Down);
    });
}

#[test]
fn thousands_of_sockets_come_and_go_and_leave_nothing_behind() {
    let test = "thousands_of_sockets_come_and_go_and_leave_nothing_behind";
    in_namespace(test, || {
        let folder = tempfile::tempdir().unwrap();
        let host = host(&folder);
        let sockets = host.sockets();
        let before = descriptors();
        for round in 0..3 {
            let begun = Instant::now();
            let all: Vec<_> =
                (0..1000u16).map(|n| sockets.bind(SocketAddr::from(([0; 4], 10_000 + n)))).collect();
            assert!(all.iter().all(Result::is_ok), "round {round}");
            eprintln!("1,000 sockets opened and bound in {:?}", begun.elapsed());
        }
        // The last of them are closed when control comes to it.
        let deadline = Instant::now() + PATIENCE;
        while descriptors() > before {
            assert!(Instant::now() < deadline, "{} descriptors, {before} before", descriptors());
            thread::sleep(Duration::from_millis(10));
        }
    });
}

/// A program that is killed. It cannot take its runtime folder and its lock away; the test does.
struct Victim(Child);

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.0.kill().and_then(|()| self.0.wait());
        let _ = fs::remove_dir_all(format!("/var/run/dpdk/pollcast-test-{}", self.0.id()));
        let _ = fs::remove_file(format!("/run/pollcast/pollcast-test-{}.lock", self.0.id()));
    }
}

/// A program that is killed leaves nothing that keeps the next from starting.
#[test]
fn after_a_kill_the_next_host_starts() {
    let test = "after_a_kill_the_next_host_starts";
    if !may_make_namespaces(test) {
        return;
    }
    alone(test, || {
        let folder = tempfile::tempdir().unwrap();
        if std::env::var_os(VICTIM).is_some() {
            let host = host(&folder);
            let _socket = host.sockets().bind(at("0.0.0.0:5000")).unwrap();
            println!("ready");
            thread::sleep(Duration::from_secs(3600));
        }
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
        let program = Command::new(std::env::current_exe().unwrap())
            .args([test, "--exact", "--nocapture", "--test-threads=1"])
            .env(VICTIM, "1")
            .stdout(Stdio::piped())
            .spawn();
        let mut victim = Victim(program.unwrap());
        let mut said = BufReader::new(victim.0.stdout.take().unwrap()).lines();
        assert!(said.any(|line| line.unwrap().contains("ready")), "it got as far as that");
        victim.0.kill().unwrap();
        victim.0.wait().unwrap();
        let host = host(&folder);
        let socket = host.sockets().bind(at("0.0.0.0:5000")).unwrap();
        socket.set_read_timeout(Some(PATIENCE));
        kernel().send_to(b"still there?", "198.18.0.2:5000").unwrap();
        assert_eq!(socket.recv(&mut [0; 64]).unwrap(), 12);
    });
}
