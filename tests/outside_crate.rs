//! A crate outside this workspace brings a service of its own, links, and runs on a tap.
#![cfg(all(feature = "dpdk", feature = "cli"))]

mod common;

use std::net::{Ipv4Addr, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use common::*;

/// Builds `examples/outside-service` into the target folder that this test was built into, and says where it is.
fn build() -> String {
    // TARGET/PROFILE/pollcast
    let target = Path::new(PROGRAM).parent().and_then(Path::parent).unwrap();
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/outside-service/Cargo.toml");
    let out = Command::new(env!("CARGO"))
        .args(["build", "--locked", "--manifest-path"])
        .arg(manifest)
        .arg("--target-dir")
        .arg(target)
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    target.join("debug/outside-service").to_str().unwrap().to_owned()
}

#[test]
fn a_service_from_outside_answers_on_a_tap() {
    if !may_run() {
        return;
    }
    let program = build();
    let services = "[[service]]\nkind = \"shout\"\nlisten = [\"0.0.0.0:7777\"]\nmax_len = 100\n\
                    groups = [{ group = \"239.1.2.3\" }]\n";
    let netns = Netns::new();
    let config =
        Config { command: vec![program], ..Config::new(&format!("net_tap0,iface={DEVICE}"), services) };
    let mut shout = Pollcast::start(&netns, &config);
    netns.ip(&format!("link set {DEVICE} address 02:00:00:00:00:01 up"));
    netns.ip(&format!("addr add 198.18.0.1/24 dev {DEVICE}"));
    let socket = netns.enter(|| UdpSocket::bind((KERNEL.ip, 0)).unwrap());
    socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    socket2::SockRef::from(&socket).set_multicast_if_v4(&KERNEL.ip).unwrap();
    let mut buf = [0; 2000];
    for to in [HOST.ip, Ipv4Addr::new(239, 1, 2, 3)] {
        socket.send_to(b"how are you, 198?", (to, 7777)).unwrap();
        let (len, from) = socket.recv_from(&mut buf).unwrap();
        assert_eq!((&buf[..len], from), (&b"HOW ARE YOU, 198?"[..], (HOST.ip, 7777).into()));
    }
    // Its own key counts.
    socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    socket.send_to(&[b'a'; 101], (HOST.ip, 7777)).unwrap();
    assert!(socket.recv_from(&mut buf).is_err());
    // And the control socket is there, as in any host.
    assert_eq!(shout.ctl(&["sockets"])[0]["service"], "shout");
    shout.stop();
}
