//! Linux as the host under test: the kernel's stack in a namespace of its own, with an echo server on its sockets.
//!
//! It is the second opinion on what a correct host does, and proves that the tests can be passed by something that is not
//! pollcast.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::thread;

use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Socket, Type};

use super::lab::{HOST, HOST_SECOND, Wire};
use super::netns::Netns;
use super::raw_peer::RawPeer;

/// Linux at 198.18.0.2 and 198.18.0.3, with what [`ECHO`](super::ECHO) says: echo on port 7, a group, and a group for
/// one source.
#[derive(Debug)]
pub struct Linux {
    pub wire: Wire,
    _host: Netns,
    _peer: Netns,
}

impl Linux {
    /// Up, and echoing.
    pub fn new() -> Self {
        let (host, peer) = (Netns::new(), Netns::new());
        host.ip(&format!("link add ve0 type veth peer name ve1 netns {}", peer.path()));
        // As on a tap: checksums are in the packet, and only what is sent is on the wire.
        host.run("ethtool", &["-K", "ve0", "tx", "off", "gso", "off", "gro", "off"]);
        host.ip("link set ve0 address 02:00:00:00:00:02 up");
        host.ip("addr add 198.18.0.2/24 dev ve0");
        host.ip("addr add 198.18.0.3/24 dev ve0");
        peer.run("ethtool", &["-K", "ve1", "tx", "off", "gso", "off", "gro", "off"]);
        peer.ip("link set ve1 address 02:00:00:00:00:01 up");
        host.enter(|| {
            // The most specific socket gets a datagram: its address is then the source of the answer (U21).
            for addr in [HOST.ip, HOST_SECOND.ip, Ipv4Addr::UNSPECIFIED] {
                let socket = echo_socket(addr);
                thread::Builder::new().name("linux-echo".into()).spawn(move || echo(&socket)).unwrap();
            }
        });
        let wire = Wire::new(RawPeer::new(&peer, "ve1"));
        Self { wire, _host: host, _peer: peer }
    }
}

fn echo_socket(addr: Ipv4Addr) -> std::net::UdpSocket {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP)).unwrap();
    socket.set_reuse_address(true).unwrap();
    socket.set_broadcast(true).unwrap();
    socket.bind(&SocketAddrV4::new(addr, 7).into()).unwrap();
    if addr.is_unspecified() {
        let by = InterfaceIndexOrAddress::Address(HOST.ip);
        socket.join_multicast_v4_n(&Ipv4Addr::new(239, 1, 2, 3), &by).unwrap();
        let (source, group) = (Ipv4Addr::new(198, 18, 0, 1), Ipv4Addr::new(232, 1, 2, 3));
        socket.join_ssm_v4(&source, &group, &HOST.ip).unwrap();
    }
    socket.into()
}

/// For as long as the process lives: these threads wait on sockets and cost nothing.
fn echo(socket: &std::net::UdpSocket) {
    let mut buf = vec![0; 65536];
    loop {
        if let Ok((len, from)) = socket.recv_from(&mut buf) {
            let _ = socket.send_to(&buf[..len], from);
        }
    }
}
