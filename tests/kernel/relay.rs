//! The relay service over a tap, between the kernel's sockets: a group to a host and to another group, in both IP versions.

use std::collections::BTreeMap;
use std::io::{ErrorKind, IoSliceMut};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use crate::common::*;
use nix::net::if_::if_nametoindex;
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt,
    sockopt::{Ipv4RecvTtl, Ipv6RecvHopLimit},
};
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Socket, Type};

/// Where the relay sends on what it hears.
const DESTINATIONS: [&str; 4] =
    ["198.18.0.1:7000", "239.7.7.7:7000", "[2001:db8::1]:7000", "[ff0e::7:7:7]:7000"];

/// The groups that it hears, with the kernel's address from which they are sent to.
const HEARD: [(&str, &str); 2] =
    [("198.18.0.1:0", "239.1.2.3:5000"), ("[2001:db8::1]:0", "[ff0e::1:2:3]:5000")];

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);

fn relay(keys: &str) -> String {
    format!(
        "[[service]]\nname = \"relay\"\nkind = \"relay\"\nlisten = [\"[::]:5000\"]\n\
         groups = [{{ group = \"239.1.2.3\" }}, {{ group = \"ff0e::1:2:3\" }}]\ndestinations = {DESTINATIONS:?}\n{keys}\n"
    )
}

static LAB: Shared = Shared::new(|| Lab::dual_with_kernel(&relay("ttl = 9")));

/// A socket of the kernel's, on the tap.
fn kernel_socket(lab: &Lab, local: SocketAddr) -> Socket {
    lab.netns.enter(|| {
        let socket = Socket::new(Domain::for_address(local), Type::DGRAM, Some(Protocol::UDP)).unwrap();
        socket.bind(&local.into()).unwrap();
        let index = if_nametoindex(DEVICE).unwrap();
        match local.ip() {
            IpAddr::V4(group) if group.is_multicast() => {
                socket.join_multicast_v4_n(&group, &InterfaceIndexOrAddress::Index(index)).unwrap();
            }
            IpAddr::V6(group) if group.is_multicast() => socket.join_multicast_v6(&group, index).unwrap(),
            IpAddr::V4(own) => socket.set_multicast_if_v4(&own).unwrap(),
            IpAddr::V6(_) => socket.set_multicast_if_v6(index).unwrap(),
        }
        socket
    })
}

/// A socket of the kernel's that receives what is sent to `local`, which may be a group.
struct Receiver {
    socket: Socket,
    local: SocketAddr,
}

/// What was received: the payload, whom it came from, and the time to live or hop limit that it came with.
type Received = (Vec<u8>, SocketAddr, i32);

impl Receiver {
    fn new(lab: &Lab, local: &str) -> Self {
        let local = local.parse().unwrap();
        let socket = kernel_socket(lab, local);
        // SO_RCVBUF counts what a datagram takes, not what it holds.
        socket.set_recv_buffer_size(8 << 20).unwrap();
        if local.is_ipv4() {
            setsockopt(&socket, Ipv4RecvTtl, &true).unwrap();
        } else {
            setsockopt(&socket, Ipv6RecvHopLimit, &true).unwrap();
        }
        Self { socket, local }
    }

    /// The next datagram, if one comes in time.
    fn next(&self, patience: Duration) -> Option<Received> {
        self.socket.set_read_timeout(Some(patience)).unwrap();
        let mut buf = vec![0; 65536];
        let mut room = nix::cmsg_space!(i32);
        let mut slices = [IoSliceMut::new(&mut buf)];
        let fd = self.socket.as_raw_fd();
        let received = match recvmsg::<SockaddrStorage>(fd, &mut slices, Some(&mut room), MsgFlags::empty()) {
            Ok(received) => received,
            Err(e) if std::io::Error::from(e).kind() == ErrorKind::WouldBlock => return None,
            Err(e) => panic!("{}: {e}", self.local),
        };
        let hops = received.cmsgs().unwrap().find_map(|message| match message {
            ControlMessageOwned::Ipv4Ttl(ttl) | ControlMessageOwned::Ipv6HopLimit(ttl) => Some(ttl),
            _ => None,
        });
        let from = received.address.unwrap();
        let from = from
            .as_sockaddr_in()
            .map(|v4| SocketAddr::from(std::net::SocketAddrV4::from(*v4)))
            .or_else(|| from.as_sockaddr_in6().map(|v6| std::net::SocketAddrV6::from(*v6).into()))
            .unwrap();
        let len = received.bytes;
        Some((buf[..len].to_vec(), from, hops.unwrap()))
    }

    /// The relay's address and port, as this receiver sees it.
    fn relay(&self) -> SocketAddr {
        let ip: IpAddr = if self.local.is_ipv4() { HOST.ip.into() } else { HOST6.ip.into() };
        (ip, 5000).into()
    }

    fn is_group(&self) -> bool {
        self.local.ip().is_multicast()
    }
}

fn sender(lab: &Lab, local: &str) -> UdpSocket {
    kernel_socket(lab, local.parse().unwrap()).into()
}

/// The receivers of a relay that knows its neighbours by now.
fn receivers(lab: &Lab) -> Vec<Receiver> {
    let all: Vec<_> = DESTINATIONS.iter().map(|local| Receiver::new(lab, local)).collect();
    let (own, group) = HEARD[0];
    let sender = sender(lab, own);
    let deadline = Instant::now() + PATIENCE;
    for receiver in &all {
        loop {
            sender.send_to(b"are you there?", group).unwrap();
            if receiver.next(Duration::from_millis(200)).is_some() {
                break;
            }
            assert!(Instant::now() < deadline, "{} hears nothing", receiver.local);
        }
    }
    lab.wire.fence();
    for receiver in &all {
        while receiver.next(Duration::from_millis(20)).is_some() {}
    }
    all
}

/// The packets that a datagram of `len` bytes makes on a link of 1,500 bytes, behind IP headers of `header` bytes and, in IPv6,
/// a fragment header of 8.
fn packets(len: usize, header: usize) -> usize {
    let datagram = 8 + len;
    let room = (1500 - header - if header == 40 { 8 } else { 0 }) / 8 * 8;
    if datagram + header <= 1500 { 1 } else { datagram.div_ceil(room) }
}

fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|i| u8::try_from((i * 31 + len) % 251).unwrap()).collect()
}

/// The counter `name` of the port.
fn counter(lab: &Lab, name: &str) -> u64 {
    lab.wire.fence();
    let answer = lab.pollcast.ctl(&["stats"]);
    answer["ports"][0]["engine"][name].as_u64().unwrap_or_else(|| panic!("no {name}: {answer}"))
}

/// What was dropped since `before`, but for what the kernel tells routers of the groups that it joins.
fn drops_since(lab: &Lab, before: &BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    let mut drops = lab.drops_since(before);
    drops.remove("ethernet_group_not_joined");
    drops
}

const COUNTED: [&str; 3] = ["delivered", "reassembled", "tx"];

// U27, U28, F18, F19, RFC 1112 6.1, 7.1: from one byte to many fragments, each destination has each datagram once and whole, from
// the relay's own address and port, with the configured number of hops; whichever IP version it came by.
#[test]
fn what_is_sent_to_a_group_reaches_hosts_and_another_group() {
    let Some(lab) = LAB.lock() else { return };
    let receivers = receivers(&lab);
    let sizes = [1, 2, 17, 18, 19, 100, 512, 1000, 1452, 1453, 1472, 1473, 2000, 4000, 8972, 30_000, 65_507];
    for (own, group) in HEARD {
        let sender = sender(&lab, own);
        let (before, drops) = (COUNTED.map(|name| counter(&lab, name)), lab.drops());
        for size in sizes {
            let payload = bytes(size);
            sender.send_to(&payload, group).unwrap();
            for receiver in &receivers {
                let (got, from, hops) = receiver.next(PATIENCE).unwrap_or_else(|| {
                    panic!("{size} bytes to {group} did not reach {}: {:?}", receiver.local, lab.drops())
                });
                assert!(got == payload, "{}: {size} bytes came as {} others", receiver.local, got.len());
                assert_eq!((from, hops), (receiver.relay(), 9), "at {}, {size} bytes", receiver.local);
            }
        }
        for receiver in &receivers {
            let more = receiver.next(Duration::from_millis(50));
            assert!(more.is_none(), "{} has a second copy: {more:?}", receiver.local);
        }
        let after = COUNTED.map(|name| counter(&lab, name));
        let [delivered, reassembled, tx] = [0, 1, 2].map(|n| after[n] - before[n]);
        assert_eq!(delivered, sizes.len() as u64, "delivered of those to {group}");
        // The kernel cuts what is longer than its link's MTU, without the headers.
        let room = if group.starts_with('[') { 1452 } else { 1472 };
        let cut = sizes.iter().filter(|size| **size > room).count();
        assert_eq!(reassembled, cut as u64, "put together of those to {group}");
        // Every destination has as many packets as its own IP version makes of each; pings of the fence are answered, too.
        let packets: usize = sizes.iter().map(|size| 2 * (packets(*size, 20) + packets(*size, 40))).sum();
        assert!(tx >= packets as u64, "{tx} sent, and not {packets}");
        assert!(drops_since(&lab, &drops).is_empty(), "{:?}", drops_since(&lab, &drops));
    }
}

// Bursts: as many as were sent, in their order.
#[test]
fn a_stream_is_relayed_in_order_and_none_of_it_is_lost() {
    const STREAM: u32 = 2000;
    let Some(lab) = LAB.lock() else { return };
    let receivers = receivers(&lab);
    for (own, group) in HEARD {
        let sender = sender(&lab, own);
        let drops = lab.drops();
        for chunk in 0..STREAM / 50 {
            (chunk * 50..(chunk + 1) * 50).for_each(|n| {
                sender.send_to(&n.to_be_bytes(), group).unwrap();
            });
            // The tap's queue holds 1,000 packets: what was sent has been taken before more is.
            for receiver in &receivers {
                for n in chunk * 50..(chunk + 1) * 50 {
                    let (got, _, _) = receiver.next(PATIENCE).unwrap_or_else(|| {
                        panic!("{n} did not reach {}: {:?}", receiver.local, drops_since(&lab, &drops))
                    });
                    assert_eq!(got, n.to_be_bytes(), "at {}", receiver.local);
                }
            }
        }
        assert!(drops_since(&lab, &drops).is_empty(), "{:?}", drops_since(&lab, &drops));
    }
}

// RFC 8085 3.1: nothing goes back to where it came from, a host or the group, nor round in a circle.
#[test]
fn nothing_is_sent_back() {
    let Some(lab) = LAB.lock() else { return };
    let receivers = receivers(&lab);
    let [host, ..] = &receivers[..] else { unreachable!() };
    // From the very address and port that is a destination: all others have it.
    host.socket.set_multicast_if_v4(&KERNEL.ip).unwrap();
    let to: SocketAddr = "239.1.2.3:5000".parse().unwrap();
    host.socket.send_to(b"from a destination", &to.into()).unwrap();
    for receiver in &receivers[1..] {
        assert_eq!(receiver.next(PATIENCE).unwrap().0, b"from a destination", "at {}", receiver.local);
    }
    let back = host.next(Duration::from_millis(100));
    assert!(back.is_none(), "{back:?}");
    // What says that the relay itself sent it is dropped before it is relayed.
    let looped = udp_frame(HOST, 5000, HOST.with_ip([239, 1, 2, 3].into()), 5000, b"own");
    let before = lab.drops();
    assert_eq!(lab.wire.exchange(&[looped], Duration::from_millis(100)), [], "what it says it sent itself");
    // The kernel's own reports to groups that nobody here is in are dropped meanwhile, too.
    assert_eq!(lab.drops_since(&before).get("ethernet_source_own"), Some(&1));
    // Asked itself, and not by a group, it relays, too.
    let own = sender(&lab, HEARD[0].0);
    own.send_to(b"unicast", (HOST.ip, 5000)).unwrap();
    for receiver in &receivers {
        assert_eq!(receiver.next(PATIENCE).unwrap().0, b"unicast", "at {}", receiver.local);
    }
}

// U27, RFC 1112 6.1: without the key, hosts are sent what the port sends, and groups get no further than the link.
#[test]
fn without_a_key_groups_have_one_hop_and_hosts_the_ports() {
    if !may_run() {
        return;
    }
    let lab = Lab::dual_with_kernel(&relay(""));
    let receivers = receivers(&lab);
    for (own, group) in HEARD {
        sender(&lab, own).send_to(b"how far?", group).unwrap();
        for receiver in &receivers {
            let (_, _, hops) = receiver.next(PATIENCE).unwrap();
            assert_eq!(hops, if receiver.is_group() { 1 } else { 64 }, "at {}", receiver.local);
        }
    }
}
