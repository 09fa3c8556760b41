//! What the tests of threads' sockets in the simulator share.
#![allow(dead_code, reason = "each test uses its part")]

use core::net::{IpAddr, SocketAddr};

use pollcast::sim::world::World;
use pollcast::socket::UdpSocket;

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
