//! The programs of `examples/`, each over a tap in a namespace against the kernel's sockets.
#![cfg(all(feature = "dpdk", feature = "cli"))]

mod common;

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use common::*;
use nix::sys::signal::Signal;

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// An example, which `cargo test` builds when it is not told to build less.
fn example(name: &str) -> Option<String> {
    let program = Path::new(PROGRAM).parent()?.join("examples").join(name);
    if !program.is_file() {
        say_skipped(&format!("needs the example {name}: cargo build --example {name}"));
        return None;
    }
    may_run().then(|| program.to_str().unwrap().to_owned())
}

/// Runs the example `name` on a tap, at 198.18.0.2, 198.18.0.3 and 2001:db8::2; the kernel has 198.18.0.1 and 2001:db8::1.
fn lab(name: &str, args: &[&str], tables: &str) -> Option<Lab> {
    let mut config = Config::dual(&format!("net_tap0,iface={DEVICE}"), tables);
    config.command = vec![example(name)?];
    config.command.extend(args.iter().map(|arg| (*arg).to_owned()));
    let lab = Lab::new(&config);
    lab.netns.ip(&format!("addr add 198.18.0.1/24 dev {DEVICE}"));
    for (key, value) in [("accept_dad", "0"), ("router_solicitations", "0"), ("disable_ipv6", "0")] {
        lab.netns.set6(&format!("conf/{DEVICE}/{key}"), value);
    }
    lab.netns.ip(&format!("addr add 2001:db8::1/64 dev {DEVICE} nodad"));
    Some(lab)
}

fn socket(lab: &Lab, local: &str) -> UdpSocket {
    let socket = lab.netns.enter(|| UdpSocket::bind(local).unwrap());
    socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    socket
}

/// Asks until an answer comes: the example binds its socket a moment after the host runs.
fn ask(socket: &UdpSocket, to: &str, question: &[u8]) -> (Vec<u8>, SocketAddr) {
    let mut buf = [0; 65536];
    let deadline = Instant::now() + PATIENCE;
    loop {
        socket.send_to(question, to).unwrap();
        if let Ok((len, from)) = socket.recv_from(&mut buf) {
            return (buf[..len].to_vec(), from);
        }
        assert!(Instant::now() < deadline, "no answer from {to}");
    }
}

fn wait_until(what: &str, lab: &Lab, mut is_so: impl FnMut(&str) -> bool) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let said = lab.pollcast.stdout();
        if is_so(&said) {
            return;
        }
        assert!(Instant::now() < deadline, "{what}: it said: {said}{}", lab.pollcast.stderr());
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn echo_answers_both_ip_versions() {
    let Some(lab) = lab("echo", &[], "") else { return };
    for (local, to) in [("198.18.0.1:0", "198.18.0.2:7777"), ("[2001:db8::1]:0", "[2001:db8::2]:7777")] {
        let (answer, from) = ask(&socket(&lab, local), to, b"hello");
        assert_eq!((answer, from), (b"hello".to_vec(), to.parse().unwrap()));
    }
}

// P02, F06: what others send to the group does not arrive.
#[test]
fn multicast_hears_the_source_that_it_named() {
    let Some(mut lab) = lab("multicast", &["232.1.2.3:5000", "198.18.0.1"], "") else { return };
    wait_until("joined", &lab, |said| said.contains("joined 232.1.2.3"));
    lab.netns.ip(&format!("addr add 198.18.0.9/24 dev {DEVICE}"));
    let [wanted, other] = ["198.18.0.1:0", "198.18.0.9:0"].map(|local| {
        let socket = socket(&lab, local);
        let SocketAddr::V4(own) = socket.local_addr().unwrap() else { unreachable!() };
        socket2::SockRef::from(&socket).set_multicast_if_v4(own.ip()).unwrap();
        socket
    });
    for n in 0..10 {
        other.send_to(format!("other {n}").as_bytes(), "232.1.2.3:5000").unwrap();
        wanted.send_to(format!("wanted {n}").as_bytes(), "232.1.2.3:5000").unwrap();
    }
    let from = wanted.local_addr().unwrap();
    wait_until("ten datagrams", &lab, |said| said.contains("wanted 9"));
    let said = lab.pollcast.stdout();
    let expected: String = (0..10).map(|n| format!("{from}: wanted {n}\n")).collect();
    assert_eq!(said.split_once('\n').map(|(_, rest)| rest), Some(&expected[..]));
    assert!(lab.pollcast.wait().success(), "{}", lab.pollcast.stderr());
}

#[test]
fn client_asks_again_until_it_is_answered() {
    let Some(mut lab) = lab("client", &["198.18.0.1:5001", "who is there?"], "") else { return };
    let server = socket(&lab, "198.18.0.1:5001");
    server.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut buf = [0; 100];
    // The first question stays without an answer.
    let (len, first) = server.recv_from(&mut buf).unwrap();
    assert_eq!((&buf[..len], first.ip().to_string()), (&b"who is there?"[..], "198.18.0.2".to_owned()));
    let (len, again) = server.recv_from(&mut buf).unwrap();
    assert_eq!((&buf[..len], again), (&b"who is there?"[..], first));
    server.send_to(b"the kernel", again).unwrap();
    assert!(lab.pollcast.wait().success(), "{}", lab.pollcast.stderr());
    assert_eq!(lab.pollcast.stdout(), "the kernel\n");
}

// O09, U21: the real client is printed as DPVS's server does; the answer comes from the address that was asked.
#[test]
fn udp_serv_names_the_real_client_and_answers_from_the_address_asked() {
    let Some(lab) = lab("udp_serv", &["6000"], "[uoa]\ntrusted = [\"198.18.0.0/24\"]\n") else { return };
    for (local, to) in [("198.18.0.1:0", "198.18.0.3:6000"), ("[2001:db8::1]:0", "[2001:db8::3]:6000")] {
        let client = socket(&lab, local);
        let (answer, from) = ask(&client, to, b"plain");
        assert_eq!((answer, from), (b"plain".to_vec(), to.parse().unwrap()));
        let line = format!("Receive 5 bytes from {} -- plain\n  to {to}\n", client.local_addr().unwrap());
        wait_until(&line, &lab, |said| said.contains(&line));
    }
    // Option 31 of length 8 (DPVS uoa.h): the client's port, then its address.
    let options = vec![31, 8, 0x30, 0x39, 10, 9, 8, 7];
    let datagram = Udp::new(4000, 6000).datagram(PEER.ip, HOST.ip, b"balanced");
    let balanced = frame(PEER, HOST, &Ipv4 { options, ..Ipv4::new(PEER.ip, HOST.ip, UDP) }.packet(&datagram));
    let answers = lab.wire.exchange(&[balanced], Duration::from_millis(500));
    let udp = answers.iter().find(|frame| frame.carries(UDP)).map(Frame::udp);
    assert_eq!(udp.map(|udp| udp.payload), Some(b"balanced".to_vec()), "{answers:?}");
    wait_until("the real client", &lab, |said| said.contains("  real client 10.9.8.7:12345"));
}

/// Waits until the program has its thread for signals, which is made once the host runs.
fn wait_for_signals_thread(lab: &Lab) {
    let threads = format!("/proc/{}/task", lab.pollcast.pid());
    let is_there = || {
        let of_process = std::fs::read_dir(&threads).unwrap().flatten();
        let mut names = of_process.flat_map(|thread| std::fs::read_to_string(thread.path().join("comm")));
        names.any(|name| name.trim_end() == "signals")
    };
    let deadline = Instant::now() + PATIENCE;
    while !is_there() {
        assert!(Instant::now() < deadline, "no thread for signals: {}", lab.pollcast.stderr());
        thread::sleep(Duration::from_millis(5));
    }
}

// SIGINT and SIGTERM: each ends by itself, with success, whatever it waits for, and has left its groups before.
#[test]
fn signals_end_each_and_its_groups_are_left() {
    let group = Ipv4Addr::new(232, 1, 2, 3);
    let ways: [(&str, &[&str]); 4] = [
        ("echo", &[]),
        ("udp_serv", &["6000"]),
        ("client", &["198.18.0.1:9", "nobody answers"]),
        ("multicast", &["232.1.2.3:5000", "198.18.0.1"]),
    ];
    for (name, args) in ways {
        for signal in [Signal::SIGINT, Signal::SIGTERM] {
            let Some(mut lab) = lab(name, args, "") else { return };
            // The host runs since its control socket answers; before the program listens to signals, they end it.
            wait_for_signals_thread(&lab);
            if name == "multicast" {
                wait_until("joined", &lab, |said| said.contains("joined 232.1.2.3"));
            }
            lab.wire.raw.drain();
            lab.pollcast.signal(signal);
            let status = lab.pollcast.wait();
            assert!(status.success(), "{name} by {signal}: {status}; it said: {}", lab.pollcast.stderr());
            // What it said before it ended is on the wire: who says nothing is not waited for as long.
            let patience = if name == "multicast" { PATIENCE } else { Duration::from_millis(200) };
            let left = lab.wire.raw.find(patience, |frame| {
                frame.report().filter(|report| report.records.iter().any(|record| record.group == group))
            });
            assert_eq!(left.is_some(), name == "multicast", "{name} by {signal}: {left:?}");
        }
    }
}
