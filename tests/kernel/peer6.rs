//! pollcast and the kernel as each other's peers over IPv6: real sockets on the kernel's side of a tap.

use std::io::ErrorKind;
use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};
use std::time::Duration;

use crate::common::*;
use socket2::SockRef;

static LAB: Shared = Shared::new(|| Lab::dual_with_kernel(ECHO6));

const CLOSED: u16 = 9999;
/// The kernel, by its global and its link-local address.
const KERNEL6: Ipv6Addr = SOURCE6.ip;
const KERNEL6_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0xff, 0xfe00, 1);

/// The kernel's name for the tap, as a number.
fn scope(lab: &Lab) -> u32 {
    lab.netns.enter(|| nix::net::if_::if_nametoindex(DEVICE)).unwrap()
}

/// A socket of the kernel at one of its addresses.
fn client_at(lab: &Lab, addr: Ipv6Addr) -> UdpSocket {
    let scope = scope(lab);
    lab.netns.enter(|| {
        let socket = UdpSocket::bind(SocketAddrV6::new(addr, 0, 0, scope)).unwrap();
        SockRef::from(&socket).set_multicast_if_v6(scope).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket
    })
}

fn client(lab: &Lab) -> UdpSocket {
    client_at(lab, KERNEL6)
}

/// What comes back for `payload`, and from whom.
fn ask(socket: &UdpSocket, to: SocketAddrV6, payload: &[u8]) -> std::io::Result<(Vec<u8>, SocketAddr)> {
    socket.send_to(payload, to)?;
    let mut buf = vec![0; 65_536];
    let (len, from) = socket.recv_from(&mut buf)?;
    buf.truncate(len);
    Ok((buf, from))
}

fn echo_of(lab: &Lab, addr: Ipv6Addr) -> SocketAddrV6 {
    SocketAddrV6::new(addr, 7, 0, if addr.is_unicast_link_local() { scope(lab) } else { 0 })
}

#[track_caller]
fn assert_echo(lab: &Lab, socket: &UdpSocket, to: Ipv6Addr, payload: &[u8], answered_by: Ipv6Addr) {
    let answer = ask(socket, echo_of(lab, to), payload);
    let (answer, from) =
        answer.unwrap_or_else(|e| panic!("no echo of {} bytes from {to}: {e}", payload.len()));
    assert!(answer == payload, "{} bytes for {} from {to}", answer.len(), payload.len());
    assert_eq!(from, SocketAddr::from(echo_of(lab, answered_by)));
}

#[track_caller]
fn assert_silence(lab: &Lab, socket: &UdpSocket, to: Ipv6Addr) {
    socket.send_to(b"anybody?", echo_of(lab, to)).unwrap();
    // On a busy machine it may be long until the host has dealt with it: an answer would come before the fence's.
    lab.wire.fence();
    socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let answer = socket.recv_from(&mut [0; 100]);
    assert!(matches!(&answer, Err(e) if e.kind() == ErrorKind::WouldBlock), "{to}: {answer:?}");
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
}

fn counted(len: usize) -> Vec<u8> {
    (0..=255).cycle().take(len).collect()
}

fn ping(lab: &Lab, to: &str, options: &[&str]) {
    let args = [&["-6", "-c", "3", "-i", "0.05", "-W", "2"], options, &[to]].concat();
    lab.netns.run("ping", &args);
}

// K05, RFC 4443 4.2. W13: in fragments there and back.
#[test]
fn the_kernels_ping_is_answered() {
    let Some(lab) = LAB.lock() else { return };
    for to in ["2001:db8::2", "2001:db8::3", "fe80::ff:fe00:2%pc0"] {
        for size in ["0", "56", "1452", "1453", "8000", "65000"] {
            ping(&lab, to, &["-s", size]);
        }
    }
}

// K05: asked as a group, it answers as itself.
#[test]
fn the_kernels_ping_of_a_group_is_answered() {
    let Some(lab) = LAB.lock() else { return };
    for to in ["ff02::1%pc0", "ff0e::1:2:3", "ff02::1:ff00:2%pc0"] {
        ping(&lab, to, &["-I", "pc0"]);
    }
}

// X01, RFC 862. U11: an empty datagram too. U05: whatever its sum is.
#[test]
fn the_kernels_datagrams_come_back() {
    let Some(lab) = LAB.lock() else { return };
    let socket = client(&lab);
    for len in [0, 1, 2, 17, 18, 19, 100, 1000, 1451, 1452] {
        assert_echo(&lab, &socket, HOST6.ip, &counted(len), HOST6.ip);
    }
    for n in 0..=u16::MAX / 64 {
        assert_echo(&lab, &socket, HOST6.ip, &(n * 64).to_be_bytes(), HOST6.ip);
    }
    assert_echo(&lab, &socket, HOST6_SECOND.ip, b"the second address", HOST6_SECOND.ip);
}

// N17: the link-local prefix is on the link of each of the two.
#[test]
fn link_local_addresses_speak_to_each_other() {
    let Some(lab) = LAB.lock() else { return };
    let socket = client_at(&lab, KERNEL6_LOCAL);
    for len in [0, 5, 1452, 4000] {
        assert_echo(&lab, &socket, HOST6_LOCAL.ip, &counted(len), HOST6_LOCAL.ip);
    }
}

// W02, W11, W13: in fragments there and back, as long as UDP goes.
#[test]
fn the_kernels_long_datagrams_come_back() {
    let Some(lab) = LAB.lock() else { return };
    let socket = client(&lab);
    for len in [1453, 1454, 2896, 2897, 4000, 9000, 30_000, 65_527] {
        assert_echo(&lab, &socket, HOST6.ip, &counted(len), HOST6.ip);
    }
    assert_echo(&lab, &socket, GROUP6, &counted(4000), HOST6.ip);
}

// U21, X04: a group's answer is the host's own, from an address of the asker's kind.
#[test]
fn a_joined_group_answers_from_the_hosts_own_address() {
    let Some(lab) = LAB.lock() else { return };
    assert_echo(&lab, &client(&lab), GROUP6, b"to the group", HOST6.ip);
    assert_echo(&lab, &client_at(&lab, KERNEL6_LOCAL), GROUP6, b"to the group", HOST6_LOCAL.ip);
}

// E04, RFC 2464 7.
#[test]
fn a_group_with_the_same_mac_is_silent_and_counted() {
    let Some(lab) = LAB.lock() else { return };
    let before = lab.drops();
    assert_silence(&lab, &client(&lab), ALIAS6);
    // The kernel speaks to groups of its own at any time, by other Ethernet addresses.
    assert_eq!(lab.drops_since(&before).get("ipv6_group_not_joined"), Some(&1));
}

// L16, RFC 4607: joined for the kernel's first address, and not for its second.
#[test]
fn a_group_joined_for_one_source_answers_that_source_alone() {
    let Some(lab) = LAB.lock() else { return };
    assert_echo(&lab, &client(&lab), SOURCE_GROUP6, b"the source", HOST6.ip);
    lab.netns.ip("addr replace 2001:db8::5/64 dev pc0 nodad");
    let other = client_at(&lab, Host6::number(5).ip);
    assert_echo(&lab, &other, GROUP6, b"any source", HOST6.ip);
    let before = lab.drops();
    assert_silence(&lab, &other, SOURCE_GROUP6);
    assert_eq!(lab.drops_since(&before).get("group_source_filtered"), Some(&1));
}

// U09, K02: 1/4, which a socket of the kernel believes.
#[test]
fn a_closed_port_refuses_the_connection() {
    let Some(lab) = LAB.lock() else { return };
    for own in [HOST6.ip, HOST6_SECOND.ip] {
        let socket = client(&lab);
        socket.connect((own, CLOSED)).unwrap();
        socket.send(b"knock").unwrap();
        let error = socket.recv(&mut [0; 16]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{own}: {error}");
    }
}

// RFC 862, U13: what is not lost on the wire comes back, once and in its order.
#[test]
fn a_thousand_datagrams_come_back_in_their_order() {
    let Some(lab) = LAB.lock() else { return };
    let socket = client(&lab);
    socket.connect((HOST6.ip, 7)).unwrap();
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

// L09, E05: joined and left while it runs.
#[test]
fn a_group_answers_from_its_join_to_its_leave() {
    let Some(lab) = LAB.lock() else { return };
    let group: Ipv6Addr = "ff05::200:1:1".parse().unwrap();
    let socket = client(&lab);
    assert_silence(&lab, &socket, group);
    lab.change("join", &[&group.to_string()]);
    assert_echo(&lab, &socket, group, b"joined", HOST6.ip);
    assert!(lab.filter().contains(&"33:33:00:01:00:01".to_owned()), "{:?}", lab.filter());
    lab.change("leave", &[&group.to_string()]);
    assert_silence(&lab, &socket, group);
}

// N03, N10: each knows where the other is, and neither asked the wrong one.
#[test]
fn the_two_find_each_other_by_neighbour_discovery() {
    let Some(lab) = LAB.lock() else { return };
    lab.netns.ip("-6 neigh flush dev pc0");
    assert_echo(&lab, &client(&lab), HOST6.ip, b"where are you?", HOST6.ip);
    let kernel_knows = lab.netns.ip("-6 neigh show 2001:db8::2 dev pc0");
    assert!(kernel_knows.contains("02:00:00:00:00:02"), "{kernel_knows}");
    assert_eq!(lab.neighbor_of(KERNEL6.into()), Some(written(KERNEL.mac)));
}

// V01, U06: what the kernel sends for IPv4 and IPv6 on one wire finds its own service.
#[test]
fn both_versions_answer_beside_each_other() {
    let Some(lab) = LAB.lock() else { return };
    let socket = client(&lab);
    let older = lab.netns.enter(|| UdpSocket::bind((KERNEL.ip, 0)).unwrap());
    older.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    for n in 0..20_u32 {
        assert_echo(&lab, &socket, HOST6.ip, &n.to_be_bytes(), HOST6.ip);
        older.send_to(&n.to_le_bytes(), (HOST.ip, 7)).unwrap();
        let mut answer = [0; 8];
        let (len, from) = older.recv_from(&mut answer).unwrap();
        assert_eq!((&answer[..len], from), (&n.to_le_bytes()[..], SocketAddr::from((HOST.ip, 7))));
    }
}
