//! Linux as the host under test: the kernel's stack in a namespace of its own, with an echo server on its sockets.
//!
//! It is the second opinion on what a correct host does, and proves that the tests can be passed by something that is not
//! pollcast.

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::thread;

use nix::sys::socket::setsockopt;
use nix::{libc, setsockopt_impl, sockopt_impl};
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Socket, Type};

use super::lab::{HOST, HOST_SECOND, Wire};
use super::netns::Netns;
use super::raw_peer::RawPeer;

sockopt_impl!(
    /// ip(7): how datagrams meet their path's MTU.
    IpMtuDiscover,
    SetOnly,
    libc::IPPROTO_IP,
    libc::IP_MTU_DISCOVER,
    i32
);

/// Linux at 198.18.0.2 and 198.18.0.3, with what [`ECHO`](super::ECHO) says: echo on port 7, a group, and a group for
/// one source.
#[derive(Debug)]
pub struct Linux {
    pub wire: Wire,
    host: Netns,
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
        Self { wire, host, _peer: peer }
    }

    /// A further echo, with a mode of IP_MTU_DISCOVER (linux/in.h): don't, want, do, probe.
    pub fn echo_with_path_mtu_discovery(&self, port: u16, mode: i32) {
        let socket = self.host.enter(|| std::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port))).unwrap();
        setsockopt(&socket, IpMtuDiscover, &mode).unwrap();
        thread::Builder::new().name("linux-echo".into()).spawn(move || echo(&socket)).unwrap();
    }

    /// Sets a key of `/proc/sys/net/ipv4` of the host.
    pub fn set(&self, key: &str, value: &str) {
        self.host.enter(|| fs::write(format!("/proc/sys/net/ipv4/{key}"), value)).unwrap();
    }

    /// The host's SNMP counters, by protocol and name: `IpInHdrErrors`, `UdpNoPorts`; those of Linux's own have the prefix
    /// `IpExt`.
    pub fn snmp(&self) -> BTreeMap<String, u64> {
        let files = ["snmp", "netstat"];
        let texts = self
            .host
            .enter(|| files.map(|f| fs::read_to_string(format!("/proc/thread-self/net/{f}")).unwrap()));
        let mut counters = BTreeMap::new();
        for text in texts {
            let lines: Vec<Vec<&str>> = text.lines().map(|l| l.split_whitespace().collect()).collect();
            for pair in lines.chunks(2) {
                let (names, values) = (&pair[0], &pair[1]);
                let protocol = names[0].trim_end_matches(':');
                let named = names[1..].iter().zip(&values[1..]);
                // Some are signed (-1: no limit), and count nothing.
                let counted = named
                    .filter_map(|(name, value)| Some((format!("{protocol}{name}"), value.parse().ok()?)));
                counters.extend(counted);
            }
        }
        counters
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
