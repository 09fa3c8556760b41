//! pollcast and the kernel as each other's peers: real sockets on the kernel's side of a tap.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::thread;
use std::time::Duration;

use crate::common::*;
use serde_json::Value;

static LAB: Shared = Shared::new(|| Lab::with_kernel(ECHO));

const GROUP: Ipv4Addr = Ipv4Addr::new(239, 1, 2, 3);
/// It shares the Ethernet address of the group, and nobody joined it.
const ALIAS: Ipv4Addr = Ipv4Addr::new(239, 129, 2, 3);
const SOURCE_GROUP: Ipv4Addr = Ipv4Addr::new(232, 1, 2, 3);
const CLOSED: u16 = 9999;

/// A socket of the kernel at 198.18.0.1, or another of its addresses.
fn client_at(lab: &Lab, addr: Ipv4Addr) -> UdpSocket {
    lab.netns.enter(|| {
        let socket = UdpSocket::bind((addr, 0)).unwrap();
        socket2::SockRef::from(&socket).set_multicast_if_v4(&addr).unwrap();
        socket.set_broadcast(true).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket
    })
}

fn client(lab: &Lab) -> UdpSocket {
    client_at(lab, KERNEL.ip)
}

/// What comes back for `payload`, and from whom.
fn ask(
    socket: &UdpSocket,
    to: Ipv4Addr,
    port: u16,
    payload: &[u8],
) -> std::io::Result<(Vec<u8>, SocketAddr)> {
    socket.send_to(payload, (to, port))?;
    let mut buf = vec![0; 65536];
    let (len, from) = socket.recv_from(&mut buf)?;
    buf.truncate(len);
    Ok((buf, from))
}

fn assert_echo(socket: &UdpSocket, to: Ipv4Addr, payload: &[u8], answered_by: Ipv4Addr) {
    let (answer, from) = ask(socket, to, 7, payload).unwrap_or_else(|e| panic!("no echo from {to}: {e}"));
    assert_eq!(answer, payload, "from {to}");
    assert_eq!(from, SocketAddr::from((answered_by, 7)));
}

fn assert_silence(lab: &Lab, socket: &UdpSocket, to: Ipv4Addr, port: u16) {
    socket.send_to(b"anybody?", (to, port)).unwrap();
    // On a busy machine it may be long until the host has dealt with it: an answer would come before the fence's.
    lab.wire.fence();
    socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let answer = socket.recv_from(&mut [0; 100]);
    assert!(matches!(&answer, Err(e) if e.kind() == ErrorKind::WouldBlock), "{to}: {answer:?}");
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
}

/// A row of a `ctl` answer that has `value` under `key`.
fn row<'a>(answer: &'a Value, key: &str, value: &str) -> &'a Value {
    let rows = answer.as_array().unwrap_or_else(|| panic!("not a list: {answer}"));
    rows.iter().find(|row| row[key] == value).unwrap_or_else(|| panic!("no {key} {value} in {answer}"))
}

// C06, A01, RFC 1122 3.2.2.6.
#[test]
fn the_kernels_ping_is_answered() {
    let Some(lab) = LAB.lock() else { return };
    for size in ["0", "56", "1472"] {
        lab.netns.run("ping", &["-c", "3", "-i", "0.05", "-W", "2", "-s", size, "198.18.0.2"]);
    }
}

// X01, RFC 862. U11: an empty datagram too.
#[test]
fn the_kernels_datagrams_come_back() {
    let Some(lab) = LAB.lock() else { return };
    let socket = client(&lab);
    for len in [0, 1, 2, 17, 18, 19, 100, 1000, 1472] {
        let payload: Vec<u8> = (0..len).map(|i| u8::try_from(i % 256).unwrap()).collect();
        assert_echo(&socket, HOST.ip, &payload, HOST.ip);
    }
    assert_echo(&socket, HOST_SECOND.ip, b"the second address", HOST_SECOND.ip);
}

// U21, X04, RFC 1122 4.1.3.5.
#[test]
fn a_joined_group_answers_from_the_hosts_own_address() {
    let Some(lab) = LAB.lock() else { return };
    assert_echo(&client(&lab), GROUP, b"to the group", HOST.ip);
}

// I13, RFC 1122 3.3.6.
#[test]
fn broadcast_is_answered_from_the_hosts_own_address() {
    let Some(lab) = LAB.lock() else { return };
    assert_echo(&client(&lab), Ipv4Addr::new(198, 18, 0, 255), b"to the subnet", HOST.ip);
}

// E04, RFC 1112 6.4.
#[test]
fn a_group_with_the_same_mac_is_silent_and_counted() {
    let Some(lab) = LAB.lock() else { return };
    let before = lab.drops();
    assert_silence(&lab, &client(&lab), ALIAS, 7);
    assert_eq!(lab.drops_since(&before), [("ipv4_group_not_joined".to_owned(), 1)].into());
}

// RFC 9776 3.2, RFC 4607: joined for 198.18.0.1, which is the kernel's first address and not its second.
#[test]
fn a_group_joined_for_one_source_answers_that_source_alone() {
    let Some(lab) = LAB.lock() else { return };
    assert_echo(&client(&lab), SOURCE_GROUP, b"the source", HOST.ip);
    lab.netns.ip("addr replace 198.18.0.5/24 dev pc0");
    let other = client_at(&lab, Ipv4Addr::new(198, 18, 0, 5));
    assert_echo(&other, GROUP, b"any source", HOST.ip);
    let before = lab.drops();
    assert_silence(&lab, &other, SOURCE_GROUP, 7);
    assert_eq!(lab.drops_since(&before), [("group_source_filtered".to_owned(), 1)].into());
}

// C01, RFC 1122 4.1.3.1.
#[test]
fn a_closed_port_refuses_the_connection() {
    let Some(lab) = LAB.lock() else { return };
    for own in [HOST.ip, HOST_SECOND.ip] {
        let socket = client(&lab);
        socket.connect((own, CLOSED)).unwrap();
        socket.send(b"knock").unwrap();
        let error = socket.recv(&mut [0; 16]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{own}: {error}");
    }
}

// C03, RFC 1122 3.2.2: nobody is told that a group has no such port.
#[test]
fn a_closed_port_of_a_group_is_silent() {
    let Some(lab) = LAB.lock() else { return };
    let before = lab.drops();
    assert_silence(&lab, &client(&lab), GROUP, CLOSED);
    assert_eq!(lab.drops_since(&before), [("udp_no_listener".to_owned(), 1)].into());
}

// X02, CERT CA-1996-01.
#[test]
fn an_echo_does_not_answer_an_echo() {
    let Some(lab) = LAB.lock() else { return };
    let socket = lab.netns.enter(|| UdpSocket::bind((KERNEL.ip, 7)).unwrap());
    let before = lab.drops();
    assert_silence(&lab, &socket, HOST.ip, 7);
    assert_eq!(lab.drops_since(&before), [("echo_reflector_port".to_owned(), 1)].into());
}

// RFC 862, U13: what is not lost on the wire comes back, once and in its order.
#[test]
fn a_thousand_datagrams_come_back_in_their_order() {
    let Some(lab) = LAB.lock() else { return };
    let socket = client(&lab);
    socket.connect((HOST.ip, 7)).unwrap();
    for round in 0..20_u32 {
        for n in 0..50 {
            socket.send(&(round * 50 + n).to_be_bytes()).unwrap();
        }
        for n in 0..50 {
            let mut answer = [0; 4];
            socket.recv(&mut answer).unwrap();
            assert_eq!(u32::from_be_bytes(answer), round * 50 + n);
        }
    }
}

// G24, G26, E05: joined and left while it runs.
#[test]
fn a_group_answers_from_its_join_to_its_leave() {
    let Some(lab) = LAB.lock() else { return };
    let group = Ipv4Addr::new(239, 200, 1, 1);
    let socket = client(&lab);
    assert_silence(&lab, &socket, group, 7);
    lab.change("join", &[&group.to_string()]);
    assert_echo(&socket, group, b"joined", HOST.ip);
    let groups = lab.pollcast.ctl(&["groups"]);
    let joined = row(&groups, "group", &group.to_string());
    assert_eq!(joined["mac"], "01:00:5e:48:01:01");
    assert_eq!(joined["filter_mode"], "exclude");
    assert_eq!(joined["services"][0], "echo");
    lab.change("leave", &[&group.to_string()]);
    assert_silence(&lab, &socket, group, 7);

    let again = lab.pollcast.try_ctl(&["leave", &group.to_string()]);
    assert_eq!(again.status.code(), Some(1), "leaving twice: {again:?}");
}

// A01, A04: each knows where the other is, and neither asked the wrong one.
#[test]
fn the_two_find_each_other_by_arp() {
    let Some(lab) = LAB.lock() else { return };
    lab.netns.ip("neigh flush dev pc0");
    assert_echo(&client(&lab), HOST.ip, b"where are you?", HOST.ip);
    let kernel_knows = lab.netns.ip("neigh show 198.18.0.2 dev pc0");
    assert!(kernel_knows.contains("02:00:00:00:00:02"), "{kernel_knows}");
    assert_eq!(lab.neighbor(KERNEL), Some(written(KERNEL.mac)));
}

// What an operator sees: the same traffic in every view.
#[test]
fn the_counters_tell_what_happened() {
    let Some(lab) = LAB.lock() else { return };
    let socket = client(&lab);
    let counters = || {
        lab.wire.fence();
        let stats = lab.pollcast.ctl(&["stats"]);
        let sockets = lab.pollcast.ctl(&["sockets"]);
        let port = stats["ports"][0].clone();
        let echo = row(&sockets, "service", "echo").clone();
        [
            port["engine"]["rx"].clone(),
            port["engine"]["tx"].clone(),
            port["engine"]["delivered"].clone(),
            port["device"]["ipackets"].clone(),
            port["device"]["opackets"].clone(),
            echo["rx"].clone(),
            echo["tx"].clone(),
        ]
        .map(|count| count.as_u64().unwrap_or_else(|| panic!("a counter is missing: {stats} {sockets}")))
    };
    let before = counters();
    for _ in 0..10 {
        assert_echo(&socket, HOST.ip, b"count me", HOST.ip);
    }
    let after = counters();
    // A fence does, and ARP may, come and go beside them.
    for (i, (before, after)) in before.iter().zip(after).enumerate() {
        let slack = if i < 5 { 4 } else { 0 };
        assert!((10..=10 + slack).contains(&(after - before)), "counter {i}: {before} to {after}");
    }
}

// DESIGN.md 3: what came in and was made is what went out, was taken or was dropped. No traffic flows meanwhile.
#[test]
fn packets_are_conserved() {
    let Some(lab) = LAB.lock() else { return };
    let socket = client(&lab);
    assert_echo(&socket, GROUP, b"one more", HOST.ip);
    assert_silence(&lab, &socket, ALIAS, 7);
    let is_conserved = |stats: &Value| {
        let port = &stats["ports"][0];
        let sum =
            |names: &[&str]| names.iter().map(|name| port["engine"][name].as_u64().unwrap_or(0)).sum::<u64>();
        let came = sum(&["rx", "allocated", "shared", "handed_in", "released"]);
        let went = sum(&["tx", "tx_refused", "handed_out", "queued", "punted", "held", "merged", "consumed"]);
        came > 0 && came == went + port["dropped"].as_u64().unwrap()
    };
    // The last turn may be writing its counters down at this moment.
    let balanced = (0..50).any(|_| {
        thread::sleep(Duration::from_millis(10));
        is_conserved(&lab.pollcast.ctl(&["stats"]))
    });
    assert!(balanced, "{:#}", lab.pollcast.ctl(&["stats"]));
}

// DESIGN.md 6: tap accepts the list and filters nothing.
#[test]
fn the_filter_says_what_the_driver_was_given_and_what_it_let_through() {
    let Some(lab) = LAB.lock() else { return };
    let before = lab.pollcast.ctl(&["filter"])[0].clone();
    assert_eq!(before["driver"], "net_tap");
    assert_eq!(before["rung"], "addr_list");
    for mac in ["01:00:5e:00:00:01", "01:00:5e:01:02:03"] {
        assert!(before["macs"].as_array().unwrap().iter().any(|m| m == mac), "{mac} is not in {before}");
    }
    assert_silence(&lab, &client(&lab), Ipv4Addr::new(239, 55, 55, 55), 7);
    assert_silence(&lab, &client(&lab), ALIAS, 7);
    let after = lab.pollcast.ctl(&["filter"])[0].clone();
    for counter in ["not_in_set", "aliases"] {
        let grew = after[counter].as_u64().unwrap() - before[counter].as_u64().unwrap();
        assert!(grew >= 1, "{counter}: {before} {after}");
    }
}

#[test]
fn the_text_for_people_names_what_is_there() {
    let Some(lab) = LAB.lock() else { return };
    for (command, words) in [
        ("ports", &["p0", "net_tap", "02:00:00:00:00:02", "198.18.0.2"][..]),
        ("sockets", &["echo", "0.0.0.0:7"]),
        ("groups", &["239.1.2.3", "01:00:5e:01:02:03", "232.1.2.3", "198.18.0.1"]),
        ("filter", &["addr_list", "01:00:5e:01:02:03"]),
        ("stats", &["rx", "tx", "delivered"]),
        ("stats --all", &["imissed", "ierrors", "rx_nombuf"]),
        ("drops", &[]),
        ("neighbors", &[]),
        ("routes", &["p0", "connected", "198.18.0.0/24", "198.18.0.2"]),
    ] {
        let out = lab.pollcast.try_ctl(&command.split(' ').collect::<Vec<_>>());
        assert_eq!(out.status.code(), Some(0), "{out:?}");
        let text = String::from_utf8(out.stdout).unwrap();
        for word in words {
            assert!(text.contains(word), "ctl {command} does not say {word}:\n{text}");
        }
        assert!(!text.contains('\u{1b}'), "colours where nobody looks:\n{text}");
    }
}

#[test]
fn the_control_socket_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let Some(lab) = LAB.lock() else { return };
    let mode = std::fs::metadata(lab.pollcast.socket()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn what_was_opened_is_said_once() {
    let Some(lab) = LAB.lock() else { return };
    let said = lab.pollcast.stderr();
    for word in ["p0", "net_tap", "02:00:00:00:00:02", "198.18.0.2/24", "addr_list"] {
        assert!(said.contains(word), "it does not say {word}:\n{said}");
    }
    assert_eq!(said.matches("02:00:00:00:00:02").count(), 1, "{said}");
    assert!(!said.contains("EAL:"), "DPDK's own words are in the way:\n{said}");
}
