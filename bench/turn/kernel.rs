//! The kernel's own sockets, for scale: datagrams to random ones of many, over loopback, sent and received by one thread.
//!
//! What is timed is a call of sendto, in which the kernel carries the datagram up to its socket, and one of recvfrom. A worker's
//! turn has no calls, and an answer that this has not.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Instant;

use pollcast::rng::Rng;

use crate::Measured;
use crate::case::BURST;
use crate::hosts::{PAYLOAD, place};

/// Sends `packets` to random ones of `size` sockets, a burst at a time, and receives them.
pub(crate) fn measure(size: u32, packets: u64) -> io::Result<Measured> {
    let own = |n: u8| Ipv4Addr::new(127, 0, 0, 2 + n);
    let bind =
        |id| UdpSocket::bind(place(own, id)).and_then(|socket| socket.set_nonblocking(true).map(|()| socket));
    let sockets = (0..size).map(bind).collect::<io::Result<Vec<_>>>()?;
    let sender = UdpSocket::bind("127.0.0.1:0")?;
    let (mut rng, mut buf) = (Rng::new(2), [0; 2048]);
    let (mut count, mut rounds) = (0, Vec::new());
    while count < packets {
        let to: Vec<u32> = (0..BURST).filter_map(|_| u32::try_from(rng.below(size.into())).ok()).collect();
        let to: Vec<(SocketAddr, &UdpSocket)> = to
            .into_iter()
            .filter_map(|id| Some((place(own, id).into(), sockets.get(id as usize)?)))
            .collect();
        let start = Instant::now();
        for (addr, _) in &to {
            sender.send_to(&PAYLOAD, addr)?;
        }
        for (_, socket) in &to {
            socket.recv_from(&mut buf)?;
        }
        rounds.push(start.elapsed());
        count += to.len() as u64;
    }
    Ok(Measured { received: count, sent: count, rounds, resident_kb: None })
}
