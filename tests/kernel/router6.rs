//! A kernel that forwards IPv6 between pollcast and another kernel, over a link that carries less.

use std::io::ErrorKind;
use std::net::{Ipv6Addr, UdpSocket};
use std::time::{Duration, Instant};

use crate::common::*;
use nix::sys::socket::{setsockopt, sockopt};
use socket2::SockRef;

/// The least of the two links.
const MTU: usize = 1300;
/// The kernel behind the router.
const FAR: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 2, 0, 0, 0, 0, 9);

/// pollcast, a router, and a client behind it.
struct Routed {
    lab: Lab,
    client: Netns,
}

impl Routed {
    fn new() -> Self {
        let (lab, client) = (Lab::dual_with_kernel(ECHO6), Netns::new());
        lab.netns.ip(&format!("link add far0 type veth peer name ve1 netns {}", client.path()));
        lab.netns.set6("conf/all/forwarding", "1");
        for (netns, device, addr) in
            [(&lab.netns, "far0", "2001:db8:2::1/64"), (&client, "ve1", "2001:db8:2::9/64")]
        {
            netns.run("ethtool", &["-K", device, "tx", "off", "gso", "off", "gro", "off"]);
            netns.set6(&format!("conf/{device}/accept_dad"), "0");
            netns.set6(&format!("conf/{device}/disable_ipv6"), "0");
            netns.ip(&format!("link set {device} up"));
            netns.ip(&format!("addr add {addr} dev {device} nodad"));
        }
        // Of the router's way there alone: the client sends what it likes.
        lab.netns
            .ip(&format!("-6 route replace 2001:db8:2::/64 dev far0 proto kernel metric 256 mtu lock {MTU}"));
        client.ip("-6 route add default via 2001:db8:2::1");
        Self { lab, client }
    }

    fn socket(&self, patience: Duration) -> UdpSocket {
        let socket = self.client.enter(|| UdpSocket::bind((FAR, 0)).unwrap());
        socket.set_read_timeout(Some(patience)).unwrap();
        socket
    }
}

// K07, RFC 8201 4: what was too long for the path is told once, and what follows is cut; nobody else's is.
#[test]
fn a_path_that_carries_less_is_learnt_of_its_router() {
    if !may_run() {
        return;
    }
    let routed = Routed::new();
    // It asks again and again.
    let socket = routed.socket(Duration::from_secs(1));
    let payload = vec![0x5a; 1400];
    let mut answer = vec![0; 2000];
    // The first answer is lost: the router says why.
    let deadline = Instant::now() + Duration::from_secs(10);
    let came = loop {
        socket.send_to(&payload, (HOST6.ip, 7)).unwrap();
        if let Ok((len, _)) = socket.recv_from(&mut answer) {
            break len;
        }
        assert!(Instant::now() < deadline, "no long answer comes over the narrow link");
    };
    assert!(answer[..came] == payload[..], "{came} bytes for 1400");
    let paths = routed.lab.pollcast.ctl(&["paths"]);
    let path = paths.as_array().unwrap().iter().find(|row| row["addr"] == FAR.to_string());
    assert_eq!(path.map(|row| &row["mtu"]), Some(&serde_json::json!(MTU)), "{paths}");
    // The kernel's answers to pings are cut as well.
    routed.client.run("ping", &["-6", "-c", "2", "-i", "0.1", "-W", "2", "-s", "1400", "2001:db8::2"]);
    // The kernel on the link itself gets the whole in one.
    routed
        .lab
        .netns
        .run("ping", &["-6", "-c", "2", "-i", "0.1", "-W", "2", "-M", "do", "-s", "1400", "2001:db8::2"]);
}

// V02, K02: as traceroute finds its way: the router, and then a port that nobody listens to.
#[test]
fn hop_limits_run_out_at_the_router_and_not_at_the_host() {
    if !may_run() {
        return;
    }
    let routed = Routed::new();
    let knock = |hops: u32| {
        let socket = routed.socket(PATIENCE);
        SockRef::from(&socket).set_unicast_hops_v6(hops).unwrap();
        // Else a socket is not told what may be over in a moment.
        setsockopt(&socket, sockopt::Ipv6RecvErr, &true).unwrap();
        socket.connect((HOST6.ip, 33_434)).unwrap();
        socket.send(b"who is there?").unwrap();
        socket.recv(&mut [0; 16]).unwrap_err().kind()
    };
    assert_eq!(knock(2), ErrorKind::ConnectionRefused, "the host, at its second hop");
    assert_eq!(knock(1), ErrorKind::HostUnreachable, "the router, at its first");
    let socket = routed.socket(PATIENCE);
    SockRef::from(&socket).set_unicast_hops_v6(2).unwrap();
    socket.send_to(b"far away", (HOST6.ip, 7)).unwrap();
    let mut answer = [0; 16];
    let (len, from) = socket.recv_from(&mut answer).unwrap();
    assert_eq!((&answer[..len], from.ip()), (&b"far away"[..], HOST6.ip.into()));
}
