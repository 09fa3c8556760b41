//! A raw socket on a device: what it sends is on the wire as it is, and it sees what the other end sends.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::ifaddrs::getifaddrs;
use nix::poll::{PollFd, PollFlags, poll};
use nix::sys::socket::{
    AddressFamily, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType, bind, recvfrom, send, setsockopt,
    socket, sockopt,
};
use nix::{libc, setsockopt_impl, sockopt_impl};

use super::netns::Netns;
use super::read::Frame;

/// RFC-less, linux/if_packet.h: the packet is one that we sent.
const PACKET_OUTGOING: u8 = 4;

sockopt_impl!(
    /// packet(7), Linux 4.20: what is sent on the device does not fill the room for what comes.
    IgnoreOutgoing,
    SetOnly,
    libc::SOL_PACKET,
    libc::PACKET_IGNORE_OUTGOING,
    bool
);

/// An AF_PACKET socket.
#[derive(Debug)]
pub struct RawPeer {
    socket: OwnedFd,
}

/// The far end of a wire: what puts frames on it, and takes off what the other end sends.
pub trait FarEnd {
    /// Puts a frame on the wire: at least the 14 bytes of an Ethernet header.
    fn send(&self, frame: &[u8]);

    /// The next frame of the other end, if one comes before `deadline`.
    fn next(&self, deadline: Instant) -> Option<Frame>;

    /// Every frame of the other end, until the time is over.
    fn frames(&self, during: Duration) -> Vec<Frame> {
        let deadline = Instant::now() + during;
        std::iter::from_fn(|| self.next(deadline)).collect()
    }

    /// The first frame for which `wanted` finds something, and what it finds, if one comes in time.
    fn find<T>(&self, patience: Duration, wanted: impl Fn(&Frame) -> Option<T>) -> Option<T> {
        let deadline = Instant::now() + patience;
        std::iter::from_fn(|| self.next(deadline)).find_map(|frame| wanted(&frame))
    }

    /// Forgets what has come.
    fn drain(&self) {
        while self.next(Instant::now()).is_some() {}
    }
}

impl RawPeer {
    /// On `device`, which must be up.
    pub fn new(netns: &Netns, device: &str) -> Self {
        netns.enter(|| {
            let kind = SockType::Raw;
            let socket =
                socket(AddressFamily::Packet, kind, SockFlag::SOCK_CLOEXEC, SockProtocol::EthAll).unwrap();
            setsockopt(&socket, IgnoreOutgoing, &true).unwrap();
            // Before it is bound it hears every device of the namespace.
            bind(socket.as_raw_fd(), &link_addr(device)).unwrap();
            setsockopt(&socket, sockopt::RcvBufForce, &(8 << 20)).unwrap();
            let peer = Self { socket };
            peer.drain();
            peer
        })
    }
}

impl FarEnd for RawPeer {
    fn send(&self, frame: &[u8]) {
        let sent = loop {
            match send(self.socket.as_raw_fd(), frame, MsgFlags::empty()) {
                // The tap's queue is full: its reader will come.
                Err(Errno::ENOBUFS | Errno::EAGAIN | Errno::EINTR) => {
                    std::thread::sleep(Duration::from_millis(1))
                }
                other => break other.unwrap(),
            }
        };
        assert_eq!(sent, frame.len());
    }

    fn next(&self, deadline: Instant) -> Option<Frame> {
        let mut buf = vec![0; 65536];
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let mut fds = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
            // Rounded up, so that it never spins through the last millisecond.
            let millis = u16::try_from(left.as_millis() + u128::from(!left.is_zero())).unwrap_or(u16::MAX);
            match poll(&mut fds, millis) {
                Ok(0) => return None,
                Ok(_) => {}
                Err(Errno::EINTR) => continue,
                Err(e) => panic!("poll: {e}"),
            }
            match recvfrom::<LinkAddr>(self.socket.as_raw_fd(), &mut buf) {
                Ok((_, Some(from))) if from.pkttype() == PACKET_OUTGOING => {}
                Ok((len, _)) => return Some(Frame { at: Instant::now(), bytes: buf[..len].to_vec() }),
                Err(Errno::EINTR) => {}
                // The device went away: said once, then what had come before can still be read.
                Err(Errno::ENETDOWN) => {}
                Err(e) => panic!("recvfrom: {}", io::Error::from(e)),
            }
        }
    }
}

/// The address of a device as a raw socket wants it. The system lists its devices by such addresses.
fn link_addr(device: &str) -> LinkAddr {
    getifaddrs()
        .unwrap()
        .filter(|i| i.interface_name == device)
        .find_map(|i| i.address.as_ref().and_then(|a| a.as_link_addr()).copied())
        .unwrap_or_else(|| panic!("no device {device} here"))
}
