//! The event of a receive queue: what tells a sleeping worker that something arrived.
//!
//! What a driver has is one of three: an interrupt, that is switched on while the worker sleeps; a file descriptor without a
//! switch, as tap's; or nothing that DPDK knows of. Of those, af_packet has sockets, and a process can see its own.

use core::fmt;
use core::mem::{MaybeUninit, size_of};
use std::fs;
use std::os::fd::RawFd;
use std::sync::Arc;

use dpdk_sys as sys;

use super::DpdkError;
use super::eal::Listener;
use super::port::{device_info, driver_name};
use super::wait::{Epoll, Trigger};

/// What tells of a queue's packets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EventKind {
    /// The device's RX interrupt, or that of a virtio ring.
    Interrupt,
    /// A file descriptor that can be read from as long as there are packets: tap.
    QueueFd,
    /// The sockets of af_packet.
    PacketSocket,
    /// Nothing.
    None,
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Interrupt => "RX interrupt",
            Self::QueueFd => "file descriptor of the queue",
            Self::PacketSocket => "packet socket",
            Self::None => "none",
        })
    }
}

/// The event of one queue, in the set of the worker that owns the queue.
#[derive(Debug)]
pub(super) struct RxEvent {
    port: u16,
    queue: u16,
    epoll: Arc<Epoll>,
    kind: EventKind,
    fds: Vec<RawFd>,
}

impl RxEvent {
    /// That of `queue`, a queue of the started `port`, put into `epoll`.
    pub(super) fn new(port: u16, queue: u16, has_interrupts: bool, epoll: &Arc<Epoll>) -> Self {
        let mut event =
            Self { port, queue, epoll: Arc::clone(epoll), kind: EventKind::None, fds: Vec::new() };
        event.find(has_interrupts);
        event
    }

    pub(super) const fn kind(&self) -> EventKind {
        self.kind
    }

    /// Finds what there is. After each start of the port: the files are others then.
    pub(super) fn find(&mut self, has_interrupts: bool) {
        self.let_go();
        let Ok(info) = device_info(self.port) else { return };
        let driver = driver_name(&info);
        if has_interrupts && let Some(fd) = self.descriptor() {
            match self.switch(true).and_then(|()| self.switch(false)) {
                Ok(()) => self.take(EventKind::Interrupt, vec![fd], Trigger::Edge),
                // Tap's rings its bell always. Its packets are seen only when a signal has come, too, which may be later: so it
                // is ready as long as they wait.
                Err(DpdkError::NOT_SUPPORTED) => self.take(EventKind::QueueFd, vec![fd], Trigger::Level),
                Err(error) => tracing::debug!("rte_eth_dev_rx_intr_enable: {error}"),
            }
        } else if driver == "net_af_packet" {
            // Which of several sockets is this queue's, nobody says: all of them, then. By their edges, so that what another worker
            // has not read yet does not keep this one awake.
            self.take(EventKind::PacketSocket, packet_sockets(info.if_index), Trigger::Edge);
        }
    }

    fn take(&mut self, kind: EventKind, fds: Vec<RawFd>, trigger: Trigger) {
        for fd in fds {
            match self.epoll.add(fd, trigger) {
                Ok(()) => self.fds.push(fd),
                Err(error) => tracing::debug!("epoll_ctl: {error}"),
            }
        }
        if !self.fds.is_empty() {
            self.kind = kind;
        }
    }

    /// Before the port stops.
    pub(super) fn let_go(&mut self) {
        self.fds.drain(..).for_each(|fd| self.epoll.remove(fd));
        self.kind = EventKind::None;
    }

    /// From now on, or no more. True if there is an event.
    #[inline]
    pub(super) fn arm(&self, on: bool) -> bool {
        match self.kind {
            EventKind::None => false,
            EventKind::QueueFd | EventKind::PacketSocket => true,
            EventKind::Interrupt => self.switch(on).is_ok(),
        }
    }

    fn descriptor(&self) -> Option<RawFd> {
        // It says at length that there is none.
        let _details = Listener::new();
        // SAFETY: the queue exists, and its port is started.
        let fd = unsafe { sys::rte_eth_dev_rx_intr_ctl_q_get_fd(self.port, self.queue) };
        (fd > 0).then_some(fd)
    }

    fn switch(&self, on: bool) -> Result<(), DpdkError> {
        let (port, queue) = (self.port, self.queue);
        let ret = if on {
            // SAFETY: the queue exists and is its caller's, and its port is started.
            unsafe { sys::rte_eth_dev_rx_intr_enable(port, queue) }
        } else {
            // SAFETY: as above.
            unsafe { sys::rte_eth_dev_rx_intr_disable(port, queue) }
        };
        DpdkError::check(ret).map(drop)
    }
}

impl Drop for RxEvent {
    fn drop(&mut self) {
        self.let_go();
    }
}

/// The packet sockets of this process that are bound to the interface `if_index`.
fn packet_sockets(if_index: u32) -> Vec<RawFd> {
    let Ok(open) = fs::read_dir("/proc/self/fd") else { return Vec::new() };
    let fds = open.flatten().filter_map(|file| file.file_name().to_str()?.parse().ok());
    fds.filter(|fd| i32::try_from(if_index).is_ok_and(|wanted| packet_socket_of(*fd) == Some(wanted)))
        .collect()
}

/// The interface that a packet socket is bound to; `None`: it is no packet socket.
fn packet_socket_of(fd: RawFd) -> Option<i32> {
    let mut addr = MaybeUninit::<libc::sockaddr_ll>::zeroed();
    let mut len = libc::socklen_t::try_from(size_of::<libc::sockaddr_ll>()).ok()?;
    // SAFETY: writes at most `len` bytes to `addr`, and refuses what is no socket.
    let ret = unsafe { libc::getsockname(fd, addr.as_mut_ptr().cast(), &raw mut len) };
    // SAFETY: a structure of numbers, zeroed, and perhaps written to.
    let addr = unsafe { addr.assume_init() };
    let is_packet = ret == 0 && i32::from(addr.sll_family) == libc::AF_PACKET;
    is_packet.then_some(addr.sll_ifindex)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd;

    #[test]
    fn what_is_no_packet_socket_is_not_taken_for_one() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let file = fs::File::open("/dev/null").unwrap();
        assert_eq!(packet_socket_of(socket.as_raw_fd()), None);
        assert_eq!(packet_socket_of(file.as_raw_fd()), None);
        assert_eq!(packet_socket_of(-1), None);
        assert!(packet_sockets(u32::MAX).is_empty());
    }
}
