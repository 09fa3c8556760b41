//! Neighbour discovery with a kernel as the neighbour: each finds the other, and finds out when the other is gone.

use std::fs;
use std::net::{Ipv6Addr, SocketAddr, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use crate::common::*;

const BY_ROUTE: &str = r#"
[[service]]
name = "echo"
kind = "echo"
listen = ["[::]:7"]
reply = "route"
"#;

/// The host under test.
const HOST_ADDR: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2);
/// The kernel.
const KERNEL_ADDR: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);

/// A kernel's setting of IPv6 on its end of the wire.
fn set(lab: &Lab, key: &str, value: &str) {
    lab.netns.enter(|| fs::write(format!("/proc/sys/net/ipv6/{key}"), value).unwrap());
}

/// pollcast answers by route; the kernel is 2001:db8::1, and neither knows the other.
fn lab() -> Lab {
    let lab = Lab::dual(BY_ROUTE);
    set(&lab, &format!("conf/{DEVICE}/disable_ipv6"), "0");
    lab.netns.ip(&format!("addr add {KERNEL_ADDR}/64 dev {DEVICE} nodad"));
    lab
}

fn client(lab: &Lab) -> UdpSocket {
    lab.netns.enter(|| {
        let socket = UdpSocket::bind((KERNEL_ADDR, 0)).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
        socket
    })
}

/// Whether `payload` comes back.
fn is_answered(socket: &UdpSocket, payload: &[u8]) -> bool {
    socket.send_to(payload, (HOST_ADDR, 7)).unwrap();
    let mut buf = [0; 2000];
    socket.recv_from(&mut buf).is_ok_and(|(len, from)| {
        assert_eq!((&buf[..len], from), (payload, SocketAddr::from((HOST_ADDR, 7))));
        true
    })
}

/// What pollcast knows of the kernel: Ethernet address and state.
fn known(lab: &Lab) -> Option<(String, String)> {
    let answer = lab.pollcast.ctl(&["neighbors"]);
    let row = answer.as_array().unwrap().iter().find(|row| row["addr"] == KERNEL_ADDR.to_string())?.clone();
    let text = |key: &str| row[key].as_str().unwrap_or("-").to_owned();
    Some((text("mac"), text("state")))
}

/// What the kernel knows of pollcast, as `ip neigh` says it.
fn known_by_kernel(lab: &Lab) -> String {
    lab.netns.ip(&format!("-6 neigh show {HOST_ADDR} dev {DEVICE}"))
}

fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(Instant::now() < deadline, "never: {what}");
        thread::sleep(Duration::from_millis(50));
    }
}

// N03, N08, N10: the kernel asks for us and pollcast for the kernel; the first datagram is not lost.
#[test]
fn a_kernel_finds_us_and_is_found() {
    if !may_run() {
        return;
    }
    let lab = lab();
    let socket = client(&lab);
    assert!(is_answered(&socket, b"first"));
    let (mac, _) = known(&lab).expect("the kernel asked, so it is known");
    assert_eq!(mac, written(KERNEL.mac));
    let by_kernel = known_by_kernel(&lab);
    assert!(by_kernel.contains(&written(HOST.mac)) && by_kernel.contains("REACHABLE"), "{by_kernel}");
    // N11: what was only heard of is confirmed while it is used, five seconds later.
    wait_for("the kernel confirmed", || {
        is_answered(&socket, b"again") && known(&lab).is_some_and(|(_, state)| state == "reachable")
    });
}

// N03: a kernel that doubts us is answered, by unicast: we stay reachable.
#[test]
fn a_kernel_that_doubts_us_is_reassured() {
    if !may_run() {
        return;
    }
    let lab = lab();
    set(&lab, &format!("neigh/{DEVICE}/base_reachable_time_ms"), "1000");
    set(&lab, &format!("neigh/{DEVICE}/delay_first_probe_time"), "1");
    let socket = client(&lab);
    for _ in 0..2 {
        wait_for("REACHABLE", || is_answered(&socket, b"x") && known_by_kernel(&lab).contains("REACHABLE"));
        wait_for("a doubt", || !known_by_kernel(&lab).contains("REACHABLE"));
        let doubt = known_by_kernel(&lab);
        assert!(doubt.contains(&written(HOST.mac)) && !doubt.contains("FAILED"), "{doubt}");
    }
}

// N09, N10, RFC 4861 7.2.6: a kernel that has another Ethernet address is reached again.
#[test]
fn a_change_of_the_kernels_mac_is_healed() {
    if !may_run() {
        return;
    }
    let lab = lab();
    let socket = client(&lab);
    assert!(is_answered(&socket, b"before"));
    let moved = [2, 0, 0, 0, 0, 0x99];
    // With its address the kernel loses what it knew of others: it asks for them, and so says where it is.
    lab.netns.ip(&format!("link set {DEVICE} address {}", written(moved)));
    assert!((0..5).any(|_| is_answered(&socket, b"after")));
    assert_eq!(known(&lab).unwrap().0, written(moved));
}

/// The neighbour solicitations for the kernel among `frames`: to which Ethernet address each went.
fn questions(frames: &[Frame]) -> Vec<Mac> {
    let about_kernel = |frame: &&Frame| {
        let bytes = &frame.bytes;
        bytes.get(12..14) == Some(&[0x86, 0xdd])
            && (bytes.get(20), bytes.get(54)) == (Some(&58), Some(&135))
            && bytes.get(62..78) == Some(&KERNEL_ADDR.octets())
    };
    frames.iter().filter(about_kernel).map(Frame::dst).collect()
}

// N11, N08, RFC 4861 7.3.3: a kernel that falls silent while it is used is asked itself three times, then everyone is; and then
// it is given up.
#[test]
fn a_kernel_that_falls_silent_is_found_out() {
    if !may_run() {
        return;
    }
    let lab = lab();
    let socket = client(&lab);
    assert!(is_answered(&socket, b"before"));
    wait_for("a use", || known(&lab).is_some_and(|(_, state)| state == "delay"));
    set(&lab, &format!("conf/{DEVICE}/disable_ipv6"), "1");
    lab.wire.raw.drain();
    let (mut asked, deadline) = (Vec::new(), Instant::now() + Duration::from_secs(30));
    while known(&lab).is_none_or(|(_, state)| state != "failed") {
        assert!(Instant::now() < deadline, "{asked:02x?}, {:?}", known(&lab));
        asked.extend(questions(&lab.wire.raw.frames(Duration::from_millis(100))));
    }
    let everyone = [0x33, 0x33, 0xff, 0, 0, 1];
    assert_eq!(asked, [KERNEL.mac, KERNEL.mac, KERNEL.mac, everyone, everyone, everyone]);
}
