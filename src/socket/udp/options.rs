//! Options: setsockopt(2) and getsockopt(2).

use core::net::{IpAddr, Ipv4Addr};
use core::sync::atomic::Ordering;
use core::time::Duration;

use super::UdpSocket;
use crate::io::{InterfaceId, PmtuDiscovery};
use crate::socket::call::{Call, Reply, SocketOption};
use crate::socket::failure::OptionError;
use crate::socket::message::unmapped;
use crate::socket::options::IpOptions;

/// Which IP version's options are meant: a socket of IPv6 has those of IPv4, too, for what it sends over that.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Level {
    /// `IPPROTO_IP`.
    V4,
    /// `IPPROTO_IPV6`.
    V6,
}

impl UdpSocket {
    /// Whether calls return at once instead of waiting. `O_NONBLOCK`.
    pub fn set_nonblocking(&self, nonblocking: bool) {
        self.endpoint.options().nonblocking.store(nonblocking, Ordering::Relaxed);
    }

    /// Whether calls return at once.
    #[must_use]
    pub fn nonblocking(&self) -> bool {
        self.endpoint.options().nonblocking.load(Ordering::Relaxed)
    }

    /// How long receiving waits at most; `None`: as long as it takes. `SO_RCVTIMEO`.
    pub fn set_read_timeout(&self, limit: Option<Duration>) {
        self.endpoint.options().receive_timeout.set(limit);
    }

    /// How long receiving waits at most.
    #[must_use]
    pub fn read_timeout(&self) -> Option<Duration> {
        self.endpoint.options().receive_timeout.get()
    }

    /// How long sending waits at most; `None`: as long as it takes. `SO_SNDTIMEO`.
    pub fn set_write_timeout(&self, limit: Option<Duration>) {
        self.endpoint.options().send_timeout.set(limit);
    }

    /// How long sending waits at most.
    #[must_use]
    pub fn write_timeout(&self) -> Option<Duration> {
        self.endpoint.options().send_timeout.get()
    }

    /// Bytes that may wait to be received: doubled, and within bounds, as on Linux; each datagram is charged more than its payload
    /// ([`charge`](crate::socket::charge)). `SO_RCVBUF`.
    pub fn set_recv_buffer_size(&self, bytes: usize) {
        self.endpoint.set_rcvbuf(bytes);
    }

    /// Bytes that may wait to be received. `SO_RCVBUF`.
    #[must_use]
    pub fn recv_buffer_size(&self) -> usize {
        self.endpoint.receive().limit()
    }

    /// Bytes that may wait to be sent: doubled, and within bounds. `SO_SNDBUF`.
    pub fn set_send_buffer_size(&self, bytes: usize) {
        self.endpoint.set_sndbuf(bytes);
    }

    /// Bytes that may wait to be sent. `SO_SNDBUF`.
    #[must_use]
    pub fn send_buffer_size(&self) -> usize {
        self.endpoint.sndbuf()
    }

    /// Datagrams that were dropped because too much waited already. `SO_RXQ_OVFL`; Linux counts them as `RcvbufErrors`.
    // U23.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.endpoint.receive().dropped()
    }

    /// Whether it may send to broadcast addresses. `SO_BROADCAST`.
    // U22.
    pub fn set_broadcast(&self, permitted: bool) {
        self.endpoint.options().broadcast.store(permitted, Ordering::Relaxed);
    }

    /// Whether it may send to broadcast addresses.
    #[must_use]
    pub fn broadcast(&self) -> bool {
        self.endpoint.options().broadcast.load(Ordering::Relaxed)
    }

    /// Whether what it sends over IPv4 goes without a UDP checksum. `SO_NO_CHECK`.
    pub fn set_no_check(&self, without: bool) {
        self.endpoint.options().no_check.store(without, Ordering::Relaxed);
    }

    /// Whether what it sends over IPv4 goes without a UDP checksum.
    #[must_use]
    pub fn no_check(&self) -> bool {
        self.endpoint.options().no_check.load(Ordering::Relaxed)
    }

    /// Whether what it sends over IPv6 goes without a UDP checksum, as a tunnel's outer datagrams may (RFC 6935 5). `UDP_NO_CHECK6_TX`.
    /// Who is not told to take such drops it (RFC 8200 8.1).
    pub fn set_no_check6_tx(&self, without: bool) {
        self.endpoint.options().no_check6_tx.store(without, Ordering::Relaxed);
    }

    /// Whether what it sends over IPv6 goes without a UDP checksum.
    #[must_use]
    pub fn no_check6_tx(&self) -> bool {
        self.endpoint.options().no_check6_tx.load(Ordering::Relaxed)
    }

    /// Whether it takes datagrams that come over IPv6 without a UDP checksum (RFC 6935 5, RFC 6936 4). `UDP_NO_CHECK6_RX`.
    ///
    /// # Errors
    /// The host has stopped.
    // U06.
    pub fn set_no_check6_rx(&self, taken: bool) -> Result<(), OptionError> {
        self.set(SocketOption::NoCheck6Rx(taken))?;
        self.endpoint.options().no_check6_rx.store(taken, Ordering::Relaxed);
        Ok(())
    }

    /// Whether it takes datagrams that come over IPv6 without a UDP checksum.
    #[must_use]
    pub fn no_check6_rx(&self) -> bool {
        self.endpoint.options().no_check6_rx.load(Ordering::Relaxed)
    }

    /// The time to live, or hop limit, of what it sends to hosts; `None`: the interface's. `IP_TTL`, `IPV6_UNICAST_HOPS`.
    ///
    /// # Errors
    /// 0 over IPv4 is `EINVAL`; `ENOPROTOOPT`: an option of IPv6, and a socket of IPv4.
    // P11.
    pub fn set_ttl(&self, level: Level, ttl: Option<u8>) -> Result<(), OptionError> {
        if level == Level::V4 && ttl == Some(0) {
            return Err(OptionError::Invalid);
        }
        self.ip_to_set(level)?.ttl.set(ttl);
        Ok(())
    }

    /// The time to live, or hop limit, of what it sends to hosts.
    #[must_use]
    pub fn ttl(&self, level: Level) -> Option<u8> {
        self.ip(level).ttl.get()
    }

    /// The type of service, or traffic class, of what it sends. `IP_TOS`, `IPV6_TCLASS`.
    ///
    /// # Errors
    /// `ENOPROTOOPT`: an option of IPv6, and a socket of IPv4.
    // P11.
    pub fn set_tos(&self, level: Level, tos: u8) -> Result<(), OptionError> {
        self.ip_to_set(level)?.tos.store(tos, Ordering::Relaxed);
        Ok(())
    }

    /// The type of service, or traffic class, of what it sends.
    #[must_use]
    pub fn tos(&self, level: Level) -> u8 {
        self.ip(level).tos.load(Ordering::Relaxed)
    }

    /// The time to live, or hop limit, of what it sends to groups: 1 at first, and with 0 it never leaves the host.
    /// `IP_MULTICAST_TTL`, `IPV6_MULTICAST_HOPS`.
    ///
    /// # Errors
    /// `ENOPROTOOPT`: an option of IPv6, and a socket of IPv4.
    // U27.
    pub fn set_multicast_ttl(&self, level: Level, ttl: u8) -> Result<(), OptionError> {
        self.ip_to_set(level)?.multicast_ttl.store(ttl, Ordering::Relaxed);
        Ok(())
    }

    /// The time to live, or hop limit, of what it sends to groups.
    #[must_use]
    pub fn multicast_ttl(&self, level: Level) -> u8 {
        self.ip(level).multicast_ttl.load(Ordering::Relaxed)
    }

    /// Whether members on this host hear what it sends to groups. `IP_MULTICAST_LOOP`, `IPV6_MULTICAST_LOOP`.
    ///
    /// # Errors
    /// `ENOPROTOOPT`: an option of IPv6, and a socket of IPv4.
    // U27.
    pub fn set_multicast_loop(&self, level: Level, hear: bool) -> Result<(), OptionError> {
        self.ip_to_set(level)?.multicast_loop.store(hear, Ordering::Relaxed);
        Ok(())
    }

    /// Whether members on this host hear what it sends to groups.
    #[must_use]
    pub fn multicast_loop(&self, level: Level) -> bool {
        self.ip(level).multicast_loop.load(Ordering::Relaxed)
    }

    /// By which interface it sends to groups; `None`: by the routes. `IP_MULTICAST_IF`, `IPV6_MULTICAST_IF`.
    ///
    /// # Errors
    /// `EADDRNOTAVAIL` (IPv4) or `ENODEV` (IPv6): there is no such interface. `EINVAL`: the socket is bound to another.
    // U27.
    pub fn set_multicast_interface(
        &self,
        level: Level,
        interface: Option<InterfaceId>,
    ) -> Result<(), OptionError> {
        let ip = self.ip_to_set(level)?;
        if let Some(id) = interface {
            if self.host.view.get().get(id).is_none() {
                return Err(if level == Level::V4 { OptionError::NotOurs } else { OptionError::NoInterface });
            }
            if self.endpoint.options().device.get().is_some_and(|device| device != id) {
                return Err(OptionError::Invalid);
            }
        }
        ip.multicast_interface.set(interface);
        if level == Level::V4 {
            self.endpoint.options().multicast_source.store(0, Ordering::Relaxed);
        }
        Ok(())
    }

    /// The same by one of its IPv4 addresses, from which groups are then sent to. `IP_MULTICAST_IF` with an address.
    ///
    /// # Errors
    /// `EADDRNOTAVAIL`: the address is none of this host's.
    // U27, ip(7).
    pub fn set_multicast_address(&self, addr: Ipv4Addr) -> Result<(), OptionError> {
        let view = self.host.view.get();
        let owner = view.owner(IpAddr::V4(addr)).ok_or(OptionError::NotOurs)?.id;
        self.set_multicast_interface(Level::V4, Some(owner))?;
        self.endpoint.options().multicast_source.store(addr.to_bits(), Ordering::Relaxed);
        Ok(())
    }

    /// By which interface it sends to groups.
    #[must_use]
    pub fn multicast_interface(&self, level: Level) -> Option<InterfaceId> {
        self.ip(level).multicast_interface.get()
    }

    /// What it does about the path MTU. `IP_MTU_DISCOVER`, `IPV6_MTU_DISCOVER`.
    ///
    /// # Errors
    /// `ENOPROTOOPT`: an option of IPv6, and a socket of IPv4.
    // U24.
    pub fn set_mtu_discover(&self, level: Level, discovery: PmtuDiscovery) -> Result<(), OptionError> {
        self.ip_to_set(level)?.discovery.set(discovery);
        Ok(())
    }

    /// What it does about the path MTU.
    #[must_use]
    pub fn mtu_discover(&self, level: Level) -> PmtuDiscovery {
        self.ip(level).discovery.get()
    }

    /// Whether all that the network reports of its datagrams is told, in detail, by [`recv_error`](Self::recv_error).
    /// `IP_RECVERR`, `IPV6_RECVERR`.
    ///
    /// # Errors
    /// `ENOPROTOOPT`: an option of IPv6, and a socket of IPv4.
    pub fn set_receive_errors(&self, level: Level, told: bool) -> Result<(), OptionError> {
        let ip = self.ip_to_set(level)?;
        if told {
            self.endpoint.errors().open_queue();
        } else {
            // Linux `skb_errqueue_purge`: who does not want them any more, forgets those that wait, but not the pending error.
            self.endpoint.forget_queued();
        }
        ip.receive_errors.store(told, Ordering::Relaxed);
        Ok(())
    }

    /// Whether all that the network reports of its datagrams is told.
    #[must_use]
    pub fn receive_errors(&self, level: Level) -> bool {
        self.ip(level).receive_errors.load(Ordering::Relaxed)
    }

    /// How long a packet to its peer may be at present, in bytes of IP. `IP_MTU`, `IPV6_MTU`.
    ///
    /// # Errors
    /// `ENOTCONN`: it has no peer.
    pub fn mtu(&self) -> Result<u16, OptionError> {
        let peer = self.state().place.peer.map(unmapped).ok_or(OptionError::NotConnected)?;
        let departure =
            self.plan(None, &Default::default(), 0).map_err(|_| OptionError::NotConnected)?.departure;
        match self.host.ask.ask(Call::PathMtu { interface: departure.interface, dst: peer.ip() }) {
            Reply::PathMtu(mtu) => Ok(mtu),
            Reply::Refused(why) => Err(why.into()),
            _ => Err(OptionError::Down),
        }
    }

    /// Whether others that have this set, too, may be bound to the same place. `SO_REUSEADDR`.
    ///
    /// # Errors
    /// The host has stopped.
    // U15.
    pub fn set_reuse_address(&self, reuse: bool) -> Result<(), OptionError> {
        self.set(SocketOption::ReuseAddress(reuse))
    }

    /// Whether it shares its place with others that have this set, too, each of which is sent some of the flows. `SO_REUSEPORT`.
    ///
    /// # Errors
    /// The host has stopped.
    // U14.
    pub fn set_reuse_port(&self, reuse: bool) -> Result<(), OptionError> {
        self.set(SocketOption::ReusePort(reuse))
    }

    /// Whether a socket of IPv6 leaves IPv4 to others. `IPV6_V6ONLY`.
    ///
    /// # Errors
    /// It is bound already, or is one of IPv4.
    // P10.
    pub fn set_v6only(&self, v6only: bool) -> Result<(), OptionError> {
        self.set(SocketOption::V6Only(v6only))
    }

    /// Whether a socket of IPv6 leaves IPv4 to others.
    #[must_use]
    pub fn v6only(&self) -> bool {
        self.v6only.load(Ordering::Relaxed)
    }

    /// Has it receive by one interface only, and send by it; `None`: by any. `SO_BINDTODEVICE`.
    ///
    /// # Errors
    /// There is no such interface.
    pub fn bind_device(&self, interface: Option<InterfaceId>) -> Result<(), OptionError> {
        self.set(SocketOption::Device(interface))
    }

    /// The one interface by which it receives and sends.
    #[must_use]
    pub fn device(&self) -> Option<InterfaceId> {
        self.endpoint.options().device.get()
    }

    /// Whether it hears groups that others on this host joined. `IP_MULTICAST_ALL`, `IPV6_MULTICAST_ALL`.
    ///
    /// # Errors
    /// The host has stopped, or it is an option of IPv6 and a socket of IPv4.
    // U17, P07.
    pub fn set_multicast_all(&self, level: Level, all: bool) -> Result<(), OptionError> {
        self.set(match level {
            Level::V4 => SocketOption::MulticastAll(all),
            Level::V6 => SocketOption::MulticastAll6(all),
        })
    }

    fn set(&self, option: SocketOption) -> Result<(), OptionError> {
        Ok(self.settle(Call::Set { socket: self.id, option })?)
    }

    fn ip(&self, level: Level) -> &IpOptions {
        self.endpoint.options().ip(level == Level::V6)
    }

    /// The options of a level that may be set: one of IPv4 has none of IPv6.
    fn ip_to_set(&self, level: Level) -> Result<&IpOptions, OptionError> {
        if level == Level::V6 && !self.is_v6 {
            return Err(OptionError::NoSuchOption);
        }
        Ok(self.ip(level))
    }
}
