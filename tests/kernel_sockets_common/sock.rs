//! A socket of pollcast's or of Linux's, by the same calls. What comes of a call is told in words that both have.

use std::io::{IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, bind, connect, getsockopt, recvmsg,
    sendmsg, setsockopt, sockopt,
};
use nix::sys::time::TimeVal;
use nix::{getsockopt_impl, setsockopt_impl, sockopt_impl};
use pollcast::io::{InterfaceId, PmtuDiscovery};
use pollcast::socket::{Level, RecvFlags, SendControl, SendFlags, UdpSocket};

use super::PATIENCE;
use super::ops::{Domain, Opt, Verb};
use super::options::{self, GroupRequest, Mreqn};

/// Linux's numbers, which libc does not name.
const UDP_NO_CHECK6_TX: i32 = 101;
const UDP_NO_CHECK6_RX: i32 = 102;

sockopt_impl!(Mtu4, GetOnly, libc::IPPROTO_IP, libc::IP_MTU, i32);
sockopt_impl!(Mtu6, GetOnly, libc::IPPROTO_IPV6, libc::IPV6_MTU, i32);
sockopt_impl!(NoCheck6Tx, Both, libc::SOL_UDP, UDP_NO_CHECK6_TX, i32);
sockopt_impl!(NoCheck6Rx, Both, libc::SOL_UDP, UDP_NO_CHECK6_RX, i32);

/// One socket.
pub(crate) enum Sock {
    Pollcast(Box<UdpSocket>),
    Linux { fd: OwnedFd, is_v6: bool, index: u32 },
}

/// Which interface a sender names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum By {
    Any,
    TheOne,
    Missing,
}

/// What a sender says beside the payload.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Said {
    pub(crate) source: Option<IpAddr>,
    pub(crate) by: By,
    pub(crate) ttl: Option<u8>,
    pub(crate) tos: Option<u8>,
    pub(crate) more: bool,
}

pub(crate) const NOTHING: Said = Said { source: None, by: By::Any, ttl: None, tos: None, more: false };

/// What was received, or why nothing was.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Heard {
    pub(crate) words: String,
    pub(crate) payload: Vec<u8>,
    pub(crate) from: Option<SocketAddr>,
    /// The address that was asked.
    pub(crate) to: Option<IpAddr>,
}

/// Numbers of Linux's as both tell them.
pub(crate) fn words<T: std::fmt::Debug>(result: Result<T, Errno>) -> String {
    match result {
        Ok(value) => format!("{value:?}"),
        Err(errno) => format!("{errno:?}"),
    }
}

fn errno(errno: pollcast::stack::sockets::Errno) -> Errno {
    Errno::from_raw(errno.number())
}

fn io(result: Result<(), impl Into<std::io::Error>>) -> Result<(), Errno> {
    result.map_err(|why| Errno::from_raw(why.into().raw_os_error().unwrap()))
}

fn inward(addr: &SockaddrStorage) -> Option<SocketAddr> {
    if let Some(v4) = addr.as_sockaddr_in() {
        return Some(SocketAddr::from((v4.ip(), v4.port())));
    }
    let v6 = addr.as_sockaddr_in6()?;
    Some(SocketAddr::from((v6.ip(), v6.port())))
}

impl Sock {
    pub(crate) fn linux(fd: OwnedFd, is_v6: bool, index: u32) -> Self {
        options::say_everything(&fd, if is_v6 { Domain::V6 } else { Domain::V4 });
        let socket = Self::Linux { fd, is_v6, index };
        socket.set_read_timeout(PATIENCE);
        socket
    }

    pub(crate) fn bind(&self, local: SocketAddr) -> Result<(), Errno> {
        match self {
            Self::Pollcast(socket) => io(socket.bind(local)),
            Self::Linux { fd, .. } => bind(fd.as_raw_fd(), &SockaddrStorage::from(local)),
        }
    }

    pub(crate) fn connect(&self, peer: &str) -> Result<(), Errno> {
        let peer: SocketAddr = peer.parse().unwrap();
        match self {
            Self::Pollcast(socket) => io(socket.connect(peer)),
            Self::Linux { fd, .. } => connect(fd.as_raw_fd(), &SockaddrStorage::from(peer)),
        }
    }

    pub(crate) fn set_read_timeout(&self, limit: Duration) {
        match self {
            Self::Pollcast(socket) => socket.set_read_timeout(Some(limit)),
            Self::Linux { fd, .. } => {
                let limit = TimeVal::new(limit.as_secs().try_into().unwrap(), limit.subsec_micros().into());
                setsockopt(fd, sockopt::ReceiveTimeout, &limit).unwrap();
            }
        }
    }

    /// Its descriptor, which says when there is something to receive.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Pollcast(socket) => socket.as_fd(),
            Self::Linux { fd, .. } => fd.as_fd(),
        }
    }

    pub(crate) fn set(&self, opt: Opt, value: i32) -> Result<(), Errno> {
        let socket = match self {
            Self::Pollcast(socket) => socket,
            Self::Linux { fd, index, .. } => {
                return match opt {
                    Opt::MulticastIf => {
                        options::set_interface(fd, Mreqn::of_index(i32::try_from(*index).unwrap()))
                    }
                    Opt::MulticastIf6 => options::set(fd, opt, i32::try_from(*index).unwrap()),
                    _ => options::set(fd, opt, value),
                };
            }
        };
        let (is_on, byte) = (value != 0, u8::try_from(value));
        let hops = || if value == -1 { Ok(None) } else { byte.map(Some).map_err(|_| Errno::EINVAL) };
        let number = || byte.map_err(|_| Errno::EINVAL);
        let discovery = || {
            use PmtuDiscovery::{Do, Dont, Interface, Omit, Probe, Want};
            let known = [Dont, Want, Do, Probe, Interface, Omit];
            usize::try_from(value).ok().and_then(|n| known.get(n)).copied().ok_or(Errno::EINVAL)
        };
        match opt {
            Opt::ReuseAddr => io(socket.set_reuse_address(is_on)),
            Opt::Broadcast => {
                socket.set_broadcast(is_on);
                Ok(())
            }
            Opt::NoCheck => {
                socket.set_no_check(is_on);
                Ok(())
            }
            Opt::RcvBuf => {
                socket.set_recv_buffer_size(usize::try_from(value).unwrap());
                Ok(())
            }
            Opt::RecvErr => io(socket.set_receive_errors(Level::V4, is_on)),
            Opt::RecvErr6 => io(socket.set_receive_errors(Level::V6, is_on)),
            Opt::MulticastAll => io(socket.set_multicast_all(Level::V4, is_on)),
            Opt::MulticastAll6 => io(socket.set_multicast_all(Level::V6, is_on)),
            Opt::MulticastLoop => io(socket.set_multicast_loop(Level::V4, is_on)),
            Opt::MulticastLoop6 => io(socket.set_multicast_loop(Level::V6, is_on)),
            Opt::MulticastTtl => io(socket.set_multicast_ttl(Level::V4, number()?)),
            Opt::MulticastHops => io(socket.set_multicast_ttl(Level::V6, number()?)),
            Opt::MulticastIf => io(socket.set_multicast_interface(Level::V4, Some(InterfaceId(0)))),
            Opt::MulticastIf6 => io(socket.set_multicast_interface(Level::V6, Some(InterfaceId(0)))),
            Opt::Ttl => io(socket.set_ttl(Level::V4, hops()?)),
            Opt::UnicastHops => io(socket.set_ttl(Level::V6, hops()?)),
            Opt::Tos => io(socket.set_tos(Level::V4, number()?)),
            Opt::TrafficClass => io(socket.set_tos(Level::V6, number()?)),
            Opt::MtuDiscover => io(socket.set_mtu_discover(Level::V4, discovery()?)),
            Opt::MtuDiscover6 => io(socket.set_mtu_discover(Level::V6, discovery()?)),
            Opt::Cork => io(socket.set_corking(is_on)),
            Opt::ReusePort | Opt::BindToDevice | Opt::V6Only => panic!("{opt:?} is another test's"),
        }
    }

    pub(crate) fn set_no_check6(&self, tx: bool, rx: bool) {
        match self {
            Self::Pollcast(socket) => {
                socket.set_no_check6_tx(tx);
                socket.set_no_check6_rx(rx).unwrap();
            }
            Self::Linux { fd, .. } => {
                setsockopt(fd, NoCheck6Tx, &tx.into()).unwrap();
                setsockopt(fd, NoCheck6Rx, &rx.into()).unwrap();
            }
        }
    }

    pub(crate) fn mtu(&self) -> Result<i32, Errno> {
        match self {
            Self::Pollcast(socket) => socket.mtu().map(i32::from).map_err(|why| errno(why.errno())),
            Self::Linux { fd, is_v6: true, .. } => getsockopt(fd, Mtu6),
            Self::Linux { fd, .. } => getsockopt(fd, Mtu4),
        }
    }

    pub(crate) fn take_error(&self) -> String {
        let error = match self {
            Self::Pollcast(socket) => socket.take_error().map(errno),
            Self::Linux { fd, .. } => {
                Some(getsockopt(fd, sockopt::SocketError).unwrap()).filter(|n| *n != 0).map(Errno::from_raw)
            }
        };
        format!("{error:?}")
    }

    pub(crate) fn join(&self, group: &str) -> Result<(), Errno> {
        let group: IpAddr = group.parse().unwrap();
        match self {
            Self::Pollcast(socket) => io(socket.join(group, Some(InterfaceId(0)))),
            Self::Linux { fd, index, .. } => {
                options::member(fd, Verb::Join, &GroupRequest::new(*index, group))
            }
        }
    }

    pub(crate) fn send(&self, payload: &[u8], to: Option<&str>) -> Result<usize, Errno> {
        self.send_as(payload, to, NOTHING)
    }

    pub(crate) fn send_as(&self, payload: &[u8], to: Option<&str>, said: Said) -> Result<usize, Errno> {
        let to = to.map(|to| to.parse::<SocketAddr>().unwrap());
        match self {
            Self::Pollcast(socket) => {
                let interface = match said.by {
                    By::Any => None,
                    By::TheOne => Some(InterfaceId(0)),
                    By::Missing => Some(InterfaceId(77)),
                };
                let control = SendControl { source: said.source, interface, ttl: said.ttl, tos: said.tos };
                let flags = SendFlags { more: said.more, ..SendFlags::default() };
                socket.send_msg(payload, to, &control, flags).map_err(|why| errno(why.errno()))
            }
            Self::Linux { fd, is_v6, index } => {
                let by = match said.by {
                    By::Any => 0,
                    By::TheOne => *index,
                    By::Missing => 77,
                };
                let any = if *is_v6 { Ipv6Addr::UNSPECIFIED.into() } else { IpAddr::from([0; 4]) };
                let is_said = said.source.is_some() || said.by != By::Any;
                let info = is_said.then(|| (said.source.unwrap_or(any), by));
                let (info4, info6) = options::packet_infos(info, |index| index);
                let (ttl, class) = (said.ttl.map(i32::from), said.tos.map(i32::from));
                let mut messages = Vec::new();
                messages.extend(info4.as_ref().map(ControlMessage::Ipv4PacketInfo));
                messages.extend(info6.as_ref().map(ControlMessage::Ipv6PacketInfo));
                if *is_v6 {
                    messages.extend(ttl.as_ref().map(ControlMessage::Ipv6HopLimit));
                    messages.extend(class.as_ref().map(ControlMessage::Ipv6TClass));
                } else {
                    messages.extend(ttl.as_ref().map(ControlMessage::Ipv4Ttl));
                    messages.extend(said.tos.as_ref().map(ControlMessage::Ipv4Tos));
                }
                let more =
                    if said.more { MsgFlags::from_bits_retain(libc::MSG_MORE) } else { MsgFlags::empty() };
                let to = to.map(SockaddrStorage::from);
                sendmsg(fd.as_raw_fd(), &[IoSlice::new(payload)], &messages, more, to.as_ref())
            }
        }
    }

    /// Receives what comes next, with so much room.
    pub(crate) fn receive(&self, room: usize, peek: bool, dont_wait: bool) -> Result<Heard, Errno> {
        let mut buf = vec![0; room];
        match self {
            Self::Pollcast(socket) => {
                let received = socket.recv_msg(&mut buf, RecvFlags { dont_wait, peek });
                let received = received.map_err(|why| errno(why.errno()))?;
                let info = received.packet_info();
                buf.truncate(received.len);
                let words = format!(
                    "{} of {} bytes, truncated {}, from {} to {} by the one {}, ttl {} tos {:#x}",
                    received.len,
                    received.full_len,
                    received.is_truncated(),
                    received.source(),
                    info.destination,
                    info.interface == InterfaceId(0),
                    received.ttl(),
                    received.tos(),
                );
                let local =
                    if socket.is_ipv6() { String::new() } else { format!(", answered from {}", info.local) };
                let (from, to) = (Some(received.source()), Some(info.local));
                Ok(Heard { words: words + &local, payload: buf, from, to })
            }
            Self::Linux { fd, index, .. } => {
                let mut iov = [IoSliceMut::new(&mut buf)];
                let mut space = vec![0; 512];
                let mut flags = MsgFlags::MSG_TRUNC;
                flags.set(MsgFlags::MSG_PEEK, peek);
                flags.set(MsgFlags::MSG_DONTWAIT, dont_wait);
                let message = recvmsg::<SockaddrStorage>(fd.as_raw_fd(), &mut iov, Some(&mut space), flags)?;
                let (full, is_cut) = (message.bytes, message.flags.contains(MsgFlags::MSG_TRUNC));
                let from = message.address.as_ref().and_then(inward);
                let (mut to, mut by, mut local, mut ttl, mut tos) = (None, 0, None, -1, -1);
                for control in message.cmsgs()? {
                    match control {
                        ControlMessageOwned::Ipv4PacketInfo(info) => {
                            to = Some(IpAddr::V4(u32::from_be(info.ipi_addr.s_addr).into()));
                            local = Some(IpAddr::V4(u32::from_be(info.ipi_spec_dst.s_addr).into()));
                            by = u32::try_from(info.ipi_ifindex).unwrap();
                        }
                        ControlMessageOwned::Ipv6PacketInfo(info) => {
                            to = Some(Ipv6Addr::from(info.ipi6_addr.s6_addr).into());
                            by = info.ipi6_ifindex;
                        }
                        ControlMessageOwned::Ipv4Ttl(n) | ControlMessageOwned::Ipv6HopLimit(n) => ttl = n,
                        ControlMessageOwned::Ipv4Tos(n) => tos = n.into(),
                        ControlMessageOwned::Ipv6TClass(n) => tos = n,
                        other => panic!("nobody asked for {other:?}"),
                    }
                }
                let len = full.min(room);
                let words = format!(
                    "{len} of {full} bytes, truncated {is_cut}, from {} to {} by the one {}, ttl {ttl} tos {tos:#x}",
                    from.unwrap(),
                    to.unwrap(),
                    by == *index,
                );
                let said = local.map_or_else(String::new, |local| format!(", answered from {local}"));
                buf.truncate(len);
                Ok(Heard { words: words + &said, payload: buf, from, to: local.or(to) })
            }
        }
    }

    /// What comes next, in words.
    pub(crate) fn heard(&self) -> String {
        words(self.receive(1 << 16, false, false).map(|heard| heard.words))
    }

    /// The oldest of the error queue, in words.
    pub(crate) fn told(&self) -> String {
        let words = |errno: Errno, numbers: [u32; 4], offender: Option<IpAddr>, to: Option<SocketAddr>| {
            format!("{errno:?}, origin, type, code, info {numbers:?}, says {offender:?}, sent to {to:?}")
        };
        match self {
            Self::Pollcast(socket) => {
                let Some(told) = socket.recv_error() else { return "EAGAIN".to_owned() };
                let numbers =
                    [told.origin as u32 + 1, told.icmp_type.into(), told.icmp_code.into(), told.info];
                words(errno(told.errno), numbers, told.offender, Some(told.destination))
            }
            Self::Linux { fd, .. } => {
                let mut buf = vec![0; 1 << 16];
                let mut iov = [IoSliceMut::new(&mut buf)];
                let mut space = vec![0; 512];
                let flags = MsgFlags::MSG_ERRQUEUE;
                let message =
                    match recvmsg::<SockaddrStorage>(fd.as_raw_fd(), &mut iov, Some(&mut space), flags) {
                        Ok(message) => message,
                        Err(errno) => return format!("{errno:?}"),
                    };
                let to = message.address.as_ref().and_then(inward);
                let error = message.cmsgs().unwrap().find_map(|control| match control {
                    ControlMessageOwned::Ipv4RecvErr(error, offender) => {
                        let offender = offender.filter(|o| i32::from(o.sin_family) == libc::AF_INET);
                        Some((error, offender.map(|o| IpAddr::V4(u32::from_be(o.sin_addr.s_addr).into()))))
                    }
                    ControlMessageOwned::Ipv6RecvErr(error, offender) => {
                        let offender = offender.filter(|o| i32::from(o.sin6_family) == libc::AF_INET6);
                        Some((error, offender.map(|o| IpAddr::V6(o.sin6_addr.s6_addr.into()))))
                    }
                    _ => None,
                });
                let (error, offender) = error.expect("an error in the queue of errors");
                let numbers =
                    [error.ee_origin.into(), error.ee_type.into(), error.ee_code.into(), error.ee_info];
                words(Errno::from_raw(error.ee_errno.try_into().unwrap()), numbers, offender, to)
            }
        }
    }
}
