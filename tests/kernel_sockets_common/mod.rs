//! Two hosts at which the same is done: pollcast on a tap, and Linux at the end of a veth pair; each with the kernel's own sockets at the far
//! end, and someone who sees what is on the wire.
#![allow(dead_code, unreachable_pub)] // Each test file uses its part of it.

#[path = "../socket_ops/ops.rs"]
pub(crate) mod ops;
#[path = "../socket_ops/options.rs"]
pub(crate) mod options;
pub(crate) mod sock;
pub(crate) mod version;
pub(crate) mod wire;

use std::net::{SocketAddr, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::SigSet;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use pollcast::config::{Config, Machine};
use pollcast::host::{Host, Running, builtin_kinds};

use crate::common::{FarEnd, Netns, RawPeer};
use crate::dpdk_alone::{in_namespace, settings};
use sock::Sock;
use version::VERSIONS;
use wire::described;

/// Longer than anything here takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) const PEER: &str = "198.18.0.1";
pub(crate) const PEER6: &str = "2001:db8::1";

/// One of the two hosts.
pub(crate) struct World {
    host: Which,
    /// Where the far end's sockets are.
    pub(crate) peer: Netns,
    /// The far end of the wire.
    pub(crate) wire: RawPeer,
}

enum Which {
    Pollcast(Running),
    /// Its namespace, and its number of the interface.
    Linux(Netns, u32),
}

/// pollcast on the tap, which is in the namespace of this process.
pub(crate) fn pollcast(folder: &tempfile::TempDir, ipv6: &str) -> Running {
    let text = format!(
        r#"
        {}
        [[port]]
        name = "p0"
        device = "net_tap0,iface=pcsock1"
        mac = "02:00:00:00:00:02"
        addresses = ["198.18.0.2/24", "198.18.0.3/24", "2001:db8::2/64", "2001:db8::3/64"]
        router_discovery = false
        {ipv6}
        "#,
        settings(folder),
    );
    let plan =
        Config::parse(&text, "sockets.toml".as_ref()).unwrap().check(&Machine::new([0]), &builtin_kinds());
    Host::new(plan.unwrap()).start().unwrap()
}

/// Gives the far end's device its addresses.
fn address(netns: &Netns, device: &str) {
    netns.ip(&format!("link set {device} up"));
    netns.ip(&format!("addr add {PEER}/24 brd + dev {device}"));
    netns.ip(&format!("addr add {PEER6}/64 dev {device} nodad"));
    // What it sends to a group leaves by the one device that there is.
    netns.ip(&format!("route add 239.0.0.0/8 dev {device}"));
    netns.ip(&format!("-6 route add ff00::/8 dev {device} table local"));
}

impl World {
    fn of_pollcast(folder: &tempfile::TempDir) -> Self {
        let peer = Netns::here();
        peer.ip("link set lo up");
        let host = pollcast(folder, "dad_transmits = 0");
        // net_tap tells itself by signals what came. They are for the host's threads: a call of the far end is not to be interrupted.
        SigSet::all().thread_block().unwrap();
        address(&peer, "pcsock1");
        host.wait_ready(PATIENCE).unwrap();
        let wire = RawPeer::new(&peer, "pcsock1");
        Self { host: Which::Pollcast(host), peer, wire }.met()
    }

    fn of_linux() -> Self {
        let (host, peer) = (Netns::new(), Netns::new());
        for netns in [&host, &peer] {
            netns.set6("conf/all/disable_ipv6", "0");
            netns.set6("conf/default/disable_ipv6", "0");
        }
        host.ip(&format!(
            "link add e0 index 7 address 02:00:00:00:00:02 type veth peer name p0 netns {}",
            peer.path()
        ));
        for (netns, device) in [(&host, "e0"), (&peer, "p0")] {
            netns.run("ethtool", &["-K", device, "tx", "off", "gso", "off", "gro", "off"]);
        }
        address(&peer, "p0");
        host.ip("link set e0 up");
        for n in [2, 3] {
            host.ip(&format!("addr add 198.18.0.{n}/24 brd + dev e0"));
        }
        // Of two that are as good as each other Linux prefers the newer.
        for n in [3, 2] {
            host.ip(&format!("addr add 2001:db8::{n}/64 dev e0 nodad"));
        }
        let wire = RawPeer::new(&peer, "p0");
        Self { host: Which::Linux(host, 7), peer, wire }.met()
    }

    /// Once the two ends know each other: what waits for a neighbour is another test's.
    fn met(self) -> Self {
        for version in VERSIONS {
            let own = version.own.replace(":5000", ":4999");
            let (socket, far) = (self.open(&own), self.far(version.peer));
            socket.send(b"here", Some(version.peer)).unwrap();
            let (_, from) = far.recv_from(&mut [0; 64]).unwrap();
            far.send_to(b"here", from).unwrap();
            socket.receive(64, false, false).unwrap();
            self.sent(1);
        }
        self
    }

    /// A socket of the host, of IPv6 or IPv4, bound to `local`. It waits long for what is to come.
    pub(crate) fn open(&self, local: &str) -> Sock {
        let local: SocketAddr = local.parse().unwrap();
        let socket = self.unbound(local.is_ipv6());
        socket.bind(local).unwrap();
        socket
    }

    pub(crate) fn unbound(&self, is_v6: bool) -> Sock {
        match &self.host {
            Which::Pollcast(host) => {
                let sockets = host.sockets();
                let socket = if is_v6 { sockets.udp6() } else { sockets.udp4() }.unwrap();
                socket.set_read_timeout(Some(PATIENCE));
                Sock::Pollcast(Box::new(socket))
            }
            Which::Linux(netns, index) => {
                let family = if is_v6 { AddressFamily::Inet6 } else { AddressFamily::Inet };
                let made = || socket(family, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None).unwrap();
                Sock::linux(netns.enter(made), is_v6, *index)
            }
        }
    }

    /// A socket of the far end.
    pub(crate) fn far(&self, local: &str) -> UdpSocket {
        let socket = self.peer.enter(|| UdpSocket::bind(local).unwrap());
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket
    }

    /// Whose host it is.
    pub(crate) fn name(&self) -> &'static str {
        match self.host {
            Which::Pollcast(_) => "pollcast",
            Which::Linux(..) => "Linux",
        }
    }

    /// Waits until `is_so`.
    pub(crate) fn until(&self, is_so: impl Fn() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is_so() {
            assert!(Instant::now() < deadline, "it never was so, at {}", self.name());
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// The next `count` frames of UDP that the host sent, in words.
    pub(crate) fn sent(&self, count: usize) -> Vec<String> {
        let next = || self.wire.find(PATIENCE, |frame| described(&frame.bytes));
        let lacking = |n| panic!("{} sent {n} of {count} frames of UDP", self.name());
        (0..count).map(|n| next().unwrap_or_else(|| lacking(n))).collect()
    }

    /// The next frame of UDP that the host sent.
    pub(crate) fn frame(&self) -> Vec<u8> {
        let is_udp = |frame: &crate::common::Frame| described(&frame.bytes).map(|_| frame.bytes.clone());
        self.wire.find(PATIENCE, is_udp).expect("a frame of UDP")
    }
}

/// Does `scenario` at both hosts, in a process and namespace of their own: the same comes of it, which is returned to `look`.
pub(crate) fn compare(test: &str, scenario: impl Fn(&World) -> Vec<String>, look: impl Fn(&[String])) {
    in_namespace(test, || {
        let folder = tempfile::tempdir().unwrap();
        let linux = scenario(&World::of_linux());
        let pollcast = scenario(&World::of_pollcast(&folder));
        let differ = linux.iter().zip(&pollcast).position(|(linux, pollcast)| linux != pollcast);
        if let Some(n) = differ {
            panic!(
                "observation {n}:\npollcast {}\nLinux    {}\n{pollcast:#?}\n{linux:#?}",
                pollcast[n], linux[n]
            );
        }
        assert_eq!(pollcast.len(), linux.len(), "{pollcast:#?} {linux:#?}");
        look(&linux);
    });
}

/// Does `scenario` at pollcast alone.
pub(crate) fn at_pollcast(test: &str, scenario: impl Fn(&World)) {
    in_namespace(test, || scenario(&World::of_pollcast(&tempfile::tempdir().unwrap())));
}
