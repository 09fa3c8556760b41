//! Linux as the host under test: the kernel's stack in a namespace of its own, with an echo server on its sockets.
//!
//! It is the second opinion on what a correct host does, and proves that the tests can be passed by something that is not
//! pollcast.

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4, SocketAddrV6};
use std::thread;
use std::time::{Duration, Instant};

use nix::net::if_::if_nametoindex;
use nix::sys::socket::setsockopt;
use nix::{libc, setsockopt_impl, sockopt_impl};
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Socket, Type};

use super::lab::{HOST, HOST_SECOND, Wire, written};
use super::netns::Netns;
use super::pollcast::new_dir;
use super::raw_peer::RawPeer;
use super::six::{GROUP6, HOST6, HOST6_LOCAL, HOST6_SECOND, Host6, SOURCE_GROUP6, SOURCE6};

sockopt_impl!(
    /// ip(7): how datagrams meet their path's MTU.
    IpMtuDiscover,
    SetOnly,
    libc::IPPROTO_IP,
    libc::IP_MTU_DISCOVER,
    i32
);

sockopt_impl!(
    /// RFC 3678 5.1: one source of a group.
    JoinSourceGroup,
    SetOnly,
    libc::IPPROTO_IPV6,
    libc::MCAST_JOIN_SOURCE_GROUP,
    GroupSourceReq
);

/// The argument of `MCAST_JOIN_SOURCE_GROUP`, RFC 3678 5.1.1.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct GroupSourceReq {
    interface: u32,
    padding: u32,
    group: Storage6,
    source: Storage6,
}

/// RFC 3493 3.3 and 3.10: an IPv6 address in as much room as any address takes.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
struct Storage6 {
    family: u16,
    port: u16,
    flow_info: u32,
    addr: [u8; 16],
    scope: u32,
    room: [u32; 25],
}

impl Storage6 {
    fn of(addr: Ipv6Addr) -> Self {
        let family = u16::try_from(libc::AF_INET6).unwrap();
        Self { family, port: 0, flow_info: 0, addr: addr.octets(), scope: 0, room: [0; 25] }
    }
}

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

    /// The same, and as much of IPv6: 2001:db8::2, 2001:db8::3 and a link-local address, an echo on each of them, and on the
    /// groups of [`ECHO6`](super::ECHO6). It speaks of no address before it has it, and asks for no router.
    pub fn dual() -> Self {
        let linux = Self::new();
        let of_device = [
            // Its own address is there at once, and nobody is asked for it.
            ("dad_transmits", "0"),
            ("accept_dad", "0"),
            ("router_solicitations", "0"),
            ("accept_ra", "0"),
            // RFC 8201 asks for nothing of it; the others speak of the same prefix.
            ("disable_ipv6", "0"),
        ];
        for (key, value) in of_device {
            linux.set6(&format!("conf/ve0/{key}"), value);
        }
        // K04: how many errors there are is for the tests of limits.
        linux.set6("icmp/ratelimit", "0");
        linux.set("icmp_msgs_per_sec", "1000000");
        linux.set("icmp_msgs_burst", "1000000");
        // Of two that are as good as each other, Linux prefers the newer: so the second comes first.
        for addr in [HOST6_SECOND, HOST6] {
            linux.host.ip(&format!("addr add {}/64 dev ve0 nodad", addr.ip));
        }
        // The device has heard only now that its cable has another end.
        let deadline = Instant::now() + Duration::from_secs(5);
        let local = HOST6_LOCAL.ip.to_string();
        while !linux.host.ip("-6 addr show dev ve0 -tentative").contains(&local) {
            assert!(Instant::now() < deadline, "Linux takes no link-local address");
            thread::sleep(Duration::from_millis(5));
        }
        let index = linux.host.enter(|| if_nametoindex("ve0")).unwrap();
        linux.host.enter(|| {
            for addr in [HOST6.ip, HOST6_SECOND.ip, HOST6_LOCAL.ip, Ipv6Addr::UNSPECIFIED] {
                let socket = echo_socket6(addr, index);
                thread::Builder::new().name("linux-echo".into()).spawn(move || echo(&socket)).unwrap();
            }
        });
        linux
    }

    /// Makes these hosts known to it for ever, so that no question of its own is among its answers.
    pub fn know(&self, hosts: impl IntoIterator<Item = Host6>) {
        for chunk in hosts.into_iter().collect::<Vec<_>>().chunks(2000) {
            let lines = chunk.iter().map(|host| {
                format!("neigh replace {} lladdr {} dev ve0 nud permanent\n", host.ip, written(host.mac))
            });
            let dir = new_dir();
            let file = dir.join("neighbors");
            fs::write(&file, lines.collect::<String>()).unwrap();
            self.host.run("ip", &["-6", "-batch", &file.display().to_string()]);
            fs::remove_dir_all(dir).unwrap();
        }
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

    /// Sets a key of `/proc/sys/net/ipv6` of the host.
    pub fn set6(&self, key: &str, value: &str) {
        self.host.set6(key, value);
    }

    /// `ip ARGS` on the host.
    pub fn ip(&self, args: &str) -> String {
        self.host.ip(args)
    }

    /// The host's SNMP counters of IPv6: `Ip6InHdrErrors`, `Udp6NoPorts`, `Icmp6InCsumErrors`.
    pub fn snmp6(&self) -> BTreeMap<String, u64> {
        let text = self.host.enter(|| fs::read_to_string("/proc/thread-self/net/snmp6").unwrap());
        let rows = text.lines().filter_map(|line| line.split_once(char::is_whitespace));
        rows.filter_map(|(name, value)| Some((name.to_owned(), value.trim().parse().ok()?))).collect()
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

fn echo_socket6(addr: Ipv6Addr, index: u32) -> std::net::UdpSocket {
    let socket = Socket::new(Domain::IPV6, Type::DGRAM, Some(Protocol::UDP)).unwrap();
    socket.set_only_v6(true).unwrap();
    socket.set_reuse_address(true).unwrap();
    let scope = if addr.is_unicast_link_local() { index } else { 0 };
    socket.bind(&SocketAddrV6::new(addr, 7, 0, scope).into()).unwrap();
    if addr.is_unspecified() {
        socket.join_multicast_v6(&GROUP6, index).unwrap();
        let [group, source] = [SOURCE_GROUP6, SOURCE6.ip].map(Storage6::of);
        let request = GroupSourceReq { interface: index, padding: 0, group, source };
        setsockopt(&socket, JoinSourceGroup, &request).unwrap();
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
