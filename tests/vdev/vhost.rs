//! pollcast on a real virtio ring, in both roles: dpdk-testpmd has the other end of the vhost pair, and passes frames between
//! it and a tap, behind which are the kernel and a raw socket.

use std::net::{Ipv4Addr, UdpSocket};
use std::time::Duration;

use crate::common::*;
use tempfile::TempDir;

const GROUP: Ipv4Addr = Ipv4Addr::new(239, 1, 2, 3);

/// pollcast at one end of a vhost pair, and the bridge at the other.
struct Pair {
    lab: Lab,
    _bridge: Bridge,
    /// Where the pair's socket is.
    _dir: TempDir,
}

/// What pollcast is of the pair.
enum Role {
    VirtioUser,
    Vhost,
}

fn pair(role: &Role) -> Pair {
    let netns = Netns::new();
    let tap = format!("net_tap1,iface={DEVICE}");
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("vhost.sock");
    let vhost_device = format!("net_vhost0,iface={},queues=1", socket.display());
    let virtio_device = format!("net_virtio_user0,path={},queues=1", socket.display());
    // Who has the vhost end makes the socket.
    let (pollcast, bridge) = match role {
        Role::VirtioUser => {
            let bridge = Bridge::start(&netns, "virtio", &vhost_device, &tap);
            (Pollcast::start(&netns, &Config::new(&virtio_device, ECHO)), bridge)
        }
        Role::Vhost => {
            let pollcast = Pollcast::start(&netns, &Config::new(&vhost_device, ECHO));
            (pollcast, Bridge::start(&netns, "vhost", &virtio_device, &tap))
        }
    };
    netns.ip(&format!("link set {DEVICE} address 02:00:00:00:00:01 up"));
    netns.ip(&format!("addr add 198.18.0.1/24 dev {DEVICE}"));
    let wire = Wire::new(RawPeer::new(&netns, DEVICE));
    Pair { lab: Lab { pollcast, wire, netns }, _bridge: bridge, _dir: dir }
}

fn client(lab: &Lab) -> UdpSocket {
    lab.netns.enter(|| {
        let socket = UdpSocket::bind((KERNEL.ip, 0)).unwrap();
        socket2::SockRef::from(&socket).set_multicast_if_v4(&KERNEL.ip).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
        socket
    })
}

fn assert_echo(socket: &UdpSocket, to: Ipv4Addr, payload: &[u8]) {
    socket.send_to(payload, (to, 7)).unwrap();
    let mut buf = vec![0; 65536];
    let (len, from) = socket.recv_from(&mut buf).unwrap_or_else(|e| panic!("no echo from {to}: {e}"));
    assert_eq!(buf[..len], *payload);
    assert_eq!(from, (HOST.ip, 7).into());
}

/// What must be true of either role.
fn echoes_over_the_ring(role: &Role, driver: &str) {
    let Pair { mut lab, _bridge, _dir } = pair(role);
    assert_eq!(lab.pollcast.ctl(&["ports"])[0]["driver"], driver);
    lab.netns.run("ping", &["-c", "2", "-i", "0.1", "-W", "3", "198.18.0.2"]);
    let socket = client(&lab);
    for len in [0, 1, 100, 1472] {
        assert_echo(&socket, HOST.ip, &vec![0x42; len]);
    }
    // U21: to the group, from the host.
    assert_echo(&socket, GROUP, b"to the group");
    // U04, C01: a virtio peer's flag is no proof of a sum that is on the wire.
    let mut wrong = udp_frame(PEER, 4000, HOST, 7, b"wrong");
    wrong[45] ^= 0xff;
    lab.assert_dropped(&wrong, "udp_checksum");
    let alias = HOST.with_ip(Ipv4Addr::new(239, 129, 2, 3));
    lab.assert_dropped(&udp_frame(PEER, 4000, alias, 7, b"alias"), "ipv4_group_not_joined");
    // Every answer is right byte for byte (`Frame::udp` asserts the sums), whoever computed its checksum.
    let payloads: Vec<Vec<u8>> = (0..200_usize).map(|n| vec![u8::try_from(n).unwrap(); n * 7]).collect();
    let requests: Vec<_> = payloads.iter().map(|p| udp_frame(PEER, 4000, HOST, 7, p)).collect();
    let answers = lab.wire.exchange(&requests, Duration::from_millis(100));
    let echoed: Vec<_> = answers.iter().filter(|f| f.carries(UDP)).map(|f| f.udp().payload).collect();
    assert_eq!(echoed, payloads);
    lab.pollcast.stop();
}

#[test]
fn a_virtio_user_port_echoes_over_the_ring() {
    if may_run() {
        echoes_over_the_ring(&Role::VirtioUser, "net_virtio_user");
    }
}

#[test]
fn a_vhost_port_echoes_over_the_ring() {
    if may_run() {
        echoes_over_the_ring(&Role::Vhost, "net_vhost");
    }
}
