//! What the tests of threads' sockets in the simulator share.
#![allow(dead_code, reason = "each test uses its part")]

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use pollcast::addr::{Cidr, Unicast};
use pollcast::io::{Addressing6, LinkLocal};
use pollcast::sim::frames::IcmpFrame;
use pollcast::sim::frames::udp::UdpFrame;
use pollcast::sim::setup::{PortOptions, WorldOptions};
use pollcast::sim::world::World;
use pollcast::socket::UdpSocket;

/// A world without services, whose port has an address of each IP version besides its link-local one; once that is done.
pub(crate) fn dual_world(port: PortOptions) -> World {
    let unicast = |addr: &str| Unicast::new(addr.parse().unwrap()).unwrap();
    let addressing6 = Addressing6 {
        link_local: LinkLocal::Addr(unicast("fe80::2")),
        statics: vec![Cidr::new(unicast("2001:db8::2"), 64).unwrap()],
        router_discovery: false,
        ..Addressing6::new()
    };
    let port =
        PortOptions { addressing6: Some(addressing6), stations: vec!["198.18.0.1".parse().unwrap()], ..port };
    let options =
        WorldOptions { services: Vec::new(), ports: vec![port], large: 64, ..WorldOptions::default() };
    let mut world = World::new(13, &options);
    world.run_for(Duration::from_secs(10));
    world.take_sent(0);
    world
}

/// A socket that is bound, and does not block.
pub(crate) fn bound(world: &World, local: &str) -> UdpSocket {
    let socket = world.sockets().bind(addr(local)).unwrap();
    socket.set_nonblocking(true);
    socket
}

pub(crate) fn addr(s: &str) -> SocketAddr {
    s.parse().unwrap()
}

pub(crate) fn ip(s: &str) -> IpAddr {
    s.parse().unwrap()
}

/// A port unreachable about what was sent from `from` to `to`.
pub(crate) fn unreachable(from: &str, to: &str, code: u8) -> Vec<u8> {
    let ours = UdpFrame::new(from, to, b"question").frame();
    let body = [&[0; 4][..], &ours[14..42]].concat();
    let v4 = |s: &str| match addr(s).ip() {
        IpAddr::V4(v4) => v4,
        IpAddr::V6(_) => panic!("{s} is of IPv6"),
    };
    IcmpFrame { code, ..IcmpFrame::between(v4(to), v4(from), 3, &body) }.frame()
}
