//! pollcast's sockets, in the simulator: a host with the addresses, neighbours and gateway that Linux has.

use std::array;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use pollcast::addr::{Cidr, MacAddr, Unicast, V4, V6};
use pollcast::io::{Addressing6, InterfaceId, PmtuDiscovery};
use pollcast::sim::setup::{PortOptions, WorldOptions};
use pollcast::sim::world::World;
use pollcast::socket::{
    ErrorOrigin, FilterMode, Level, RecvError, RecvFlags, SendControl, SendFlags, UdpSocket,
};
use pollcast::stack::icmp_limit::{IcmpRates, Rate};
use pollcast::stack::route::Route;

use nix::errno::Errno;

use super::host::{Host, Incoming, Told};
use super::ops::*;
use super::packets;

/// A simulated host, and what it sent.
#[derive(Debug)]
pub struct Pollcast {
    // In the order of their end: a socket closes by its world.
    sockets: [Option<UdpSocket>; SLOTS],
    world: World,
    sent: Vec<(u32, Vec<u8>)>,
}

/// How many errors Linux sends here: as many as there is reason for.
const UNLIMITED: Rate = Rate::new(1_000_000, 1_000_000);

fn options() -> WorldOptions {
    let ports = [FIRST, SECOND].map(|interface| {
        let mut port = PortOptions::new(u8::try_from(interface - 1).unwrap());
        port.nic.mac = MacAddr(who::own_mac(interface));
        let here = |ip: &&IpAddr| interface_of(**ip) == interface;
        port.addresses =
            who::OWN.iter().filter(here).map(|ip| Cidr::new(unicast4(*ip), 24).unwrap()).collect();
        let statics = who::OWN6.iter().filter(here).map(|ip| Cidr::new(unicast6(*ip), 64).unwrap()).collect();
        port.addressing6 =
            Some(Addressing6 { statics, router_discovery: false, dad_transmits: 0, ..Addressing6::new() });
        if interface == FIRST {
            port.gateway4 = Some(unicast4(who::GATEWAY));
            port.routes6 = vec![Route::default_via(unicast6(who::GATEWAY6))];
        }
        port
    });
    WorldOptions {
        ports: ports.into(),
        services: Vec::new(),
        icmp_rates: IcmpRates { global: UNLIMITED, peer: UNLIMITED },
        ..WorldOptions::default()
    }
}

/// The interface on whose link an address is.
fn interface_of(ip: IpAddr) -> u32 {
    let is_second = match ip {
        IpAddr::V4(ip) => ip.octets()[1] == 19,
        IpAddr::V6(ip) => ip.segments()[2] == 1,
    };
    if is_second { SECOND } else { FIRST }
}

fn unicast4(ip: IpAddr) -> Unicast<V4> {
    let IpAddr::V4(ip) = ip else { panic!("{ip} is not of IPv4") };
    Unicast::new(ip).unwrap()
}

fn unicast6(ip: IpAddr) -> Unicast<V6> {
    let IpAddr::V6(ip) = ip else { panic!("{ip} is not of IPv6") };
    Unicast::new(ip).unwrap()
}

impl Pollcast {
    /// A host that has just started: its addresses are in use.
    pub fn new() -> Self {
        let mut pollcast =
            Self { sockets: array::from_fn(|_| None), world: World::new(1, &options()), sent: Vec::new() };
        pollcast.world.run_for(Duration::from_secs(1));
        pollcast.settle();
        pollcast.sent.clear();
        pollcast
    }

    /// Until nothing is left to do: its neighbours answer.
    fn settle(&mut self) {
        loop {
            self.world.settle();
            let mut answers = 0;
            for (port, interface) in [FIRST, SECOND].into_iter().enumerate() {
                for frame in self.world.take_sent(port) {
                    if let Some(answer) = packets::neighbor_answer(interface, &frame) {
                        answers += 1;
                        self.world.inject(port, &answer);
                    } else {
                        self.sent.push((interface, frame));
                    }
                }
            }
            if answers == 0 {
                return;
            }
        }
    }

    fn socket(&self, slot: Slot) -> &UdpSocket {
        self.sockets[slot].as_ref().expect("an open socket")
    }
}

/// An interface as the host numbers it.
fn id(interface: u32) -> Option<InterfaceId> {
    interface.checked_sub(1).map(|n| InterfaceId(u16::try_from(n).unwrap()))
}

fn errno(of: pollcast::stack::sockets::Errno) -> Errno {
    Errno::from_raw(of.number())
}

fn refused(why: impl Into<std::io::Error>) -> Errno {
    Errno::from_raw(why.into().raw_os_error().unwrap())
}

/// What the types of its calls cannot say is what Linux refuses.
fn octet(value: i32) -> Result<u8, Errno> {
    u8::try_from(value).map_err(|_| Errno::EINVAL)
}

/// IP_PMTUDISC_DONT and those that follow it, by their numbers on Linux.
const MODES: [PmtuDiscovery; 6] = [
    PmtuDiscovery::Dont,
    PmtuDiscovery::Want,
    PmtuDiscovery::Do,
    PmtuDiscovery::Probe,
    PmtuDiscovery::Interface,
    PmtuDiscovery::Omit,
];

fn discovery(value: i32) -> Result<PmtuDiscovery, Errno> {
    MODES.get(usize::try_from(value).unwrap()).copied().ok_or(Errno::EINVAL)
}

impl Host for Pollcast {
    fn open(&mut self, slot: Slot, domain: Domain) -> Result<(), Errno> {
        let sockets = self.world.sockets();
        let socket = match domain {
            Domain::V4 => sockets.udp4(),
            Domain::V6 => sockets.udp6(),
        };
        let socket = socket.map_err(refused)?;
        socket.set_nonblocking(true);
        self.sockets[slot] = Some(socket);
        Ok(())
    }

    fn is_open(&self, slot: Slot) -> bool {
        self.sockets[slot].is_some()
    }

    fn close(&mut self, slot: Slot) {
        self.sockets[slot] = None;
    }

    fn set(&mut self, slot: Slot, opt: Opt, value: i32) -> Result<(), Errno> {
        let socket = self.socket(slot);
        let on = value != 0;
        let interface = || id(u32::try_from(value).unwrap());
        match opt {
            Opt::ReuseAddr => socket.set_reuse_address(on).map_err(refused),
            Opt::ReusePort => socket.set_reuse_port(on).map_err(refused),
            Opt::V6Only => socket.set_v6only(on).map_err(refused),
            Opt::BindToDevice => socket.bind_device(interface()).map_err(refused),
            Opt::MulticastAll => socket.set_multicast_all(Level::V4, on).map_err(refused),
            Opt::MulticastAll6 => socket.set_multicast_all(Level::V6, on).map_err(refused),
            Opt::Broadcast => {
                socket.set_broadcast(on);
                Ok(())
            }
            Opt::NoCheck => {
                socket.set_no_check(on);
                Ok(())
            }
            Opt::RcvBuf => {
                socket.set_recv_buffer_size(usize::try_from(value).unwrap());
                Ok(())
            }
            Opt::RecvErr => socket.set_receive_errors(Level::V4, on).map_err(refused),
            Opt::RecvErr6 => socket.set_receive_errors(Level::V6, on).map_err(refused),
            Opt::MulticastLoop => socket.set_multicast_loop(Level::V4, on).map_err(refused),
            Opt::MulticastLoop6 => socket.set_multicast_loop(Level::V6, on).map_err(refused),
            // U27: what is -1 on Linux, the default, is 1 here.
            Opt::MulticastTtl => socket.set_multicast_ttl(Level::V4, octet(value.abs())?).map_err(refused),
            Opt::MulticastHops => socket.set_multicast_ttl(Level::V6, octet(value.abs())?).map_err(refused),
            Opt::MulticastIf => socket.set_multicast_interface(Level::V4, interface()).map_err(refused),
            Opt::MulticastIf6 => socket.set_multicast_interface(Level::V6, interface()).map_err(refused),
            Opt::Ttl | Opt::UnicastHops => {
                let ttl = if value == -1 { None } else { Some(octet(value)?) };
                let level = if opt == Opt::Ttl { Level::V4 } else { Level::V6 };
                socket.set_ttl(level, ttl).map_err(refused)
            }
            Opt::Tos => socket.set_tos(Level::V4, octet(value)?).map_err(refused),
            Opt::TrafficClass => socket.set_tos(Level::V6, octet(value)?).map_err(refused),
            Opt::MtuDiscover => socket.set_mtu_discover(Level::V4, discovery(value)?).map_err(refused),
            Opt::MtuDiscover6 => socket.set_mtu_discover(Level::V6, discovery(value)?).map_err(refused),
            Opt::Cork => socket.set_corking(on).map_err(|why| errno(why.errno())),
        }
    }

    fn get(&mut self, slot: Slot, opt: Opt) -> Result<i32, Errno> {
        let socket = self.socket(slot);
        let mode = |mode| i32::try_from(MODES.iter().position(|of| *of == mode).unwrap()).unwrap();
        Ok(match opt {
            Opt::MulticastTtl => socket.multicast_ttl(Level::V4).into(),
            Opt::MulticastHops => socket.multicast_ttl(Level::V6).into(),
            Opt::MulticastLoop => socket.multicast_loop(Level::V4).into(),
            Opt::MulticastLoop6 => socket.multicast_loop(Level::V6).into(),
            // The interface's own, 64 here.
            Opt::Ttl => socket.ttl(Level::V4).unwrap_or(64).into(),
            Opt::UnicastHops => socket.ttl(Level::V6).unwrap_or(64).into(),
            Opt::Tos => socket.tos(Level::V4).into(),
            Opt::TrafficClass => socket.tos(Level::V6).into(),
            Opt::MtuDiscover => mode(socket.mtu_discover(Level::V4)),
            Opt::MtuDiscover6 => mode(socket.mtu_discover(Level::V6)),
            Opt::V6Only => socket.v6only().into(),
            other => panic!("sequences do not ask for {other:?}"),
        })
    }

    fn bind(&mut self, slot: Slot, to: SocketAddr) -> Result<(), Errno> {
        self.socket(slot).bind(to).map_err(refused)
    }

    fn connect(&mut self, slot: Slot, to: SocketAddr) -> Result<(), Errno> {
        self.socket(slot).connect(to).map_err(refused)
    }

    fn disconnect(&mut self, slot: Slot) -> Result<(), Errno> {
        self.socket(slot).disconnect().map_err(refused)
    }

    fn send(
        &mut self,
        slot: Slot,
        to: Option<SocketAddr>,
        payload: &[u8],
        control: Control,
    ) -> Result<usize, Errno> {
        let said = SendControl {
            source: control.info.map(|(ip, _)| ip),
            interface: control.info.and_then(|(_, interface)| id(interface)),
            ttl: control.ttl.map(octet).transpose()?,
            tos: control.tos,
        };
        let flags = SendFlags { more: control.more, ..SendFlags::default() };
        let sent = self.socket(slot).send_msg(payload, to, &said, flags);
        self.settle();
        sent.map_err(|why| errno(why.errno()))
    }

    fn receive(&mut self, slot: Slot, room: usize, peek: bool) -> Result<Incoming, Errno> {
        let mut buf = vec![0; room];
        let flags = RecvFlags { peek, ..RecvFlags::default() };
        let received = self.socket(slot).recv_msg(&mut buf, flags).map_err(|why| match why {
            RecvError::WouldBlock => Errno::EAGAIN,
            RecvError::Reported(of) => errno(of),
            other => panic!("{other}"),
        })?;
        buf.truncate(received.len);
        let info = received.packet_info();
        let local = match info.local.to_canonical() {
            IpAddr::V4(ip) => Some::<Ipv4Addr>(ip),
            IpAddr::V6(_) => None,
        };
        Ok(Incoming {
            payload: buf,
            len: received.full_len,
            is_truncated: received.is_truncated(),
            from: Some(received.source()),
            to: Some(info.destination.to_canonical()),
            local,
            interface: u32::from(info.interface.0) + 1,
            ttl: Some(received.ttl().into()),
            tos: Some(received.tos().into()),
        })
    }

    fn told(&mut self, slot: Slot) -> Result<Told, Errno> {
        let error = self.socket(slot).recv_error().ok_or(Errno::EAGAIN)?;
        Ok(Told {
            errno: errno(error.errno),
            // linux/errqueue.h.
            origin: match error.origin {
                ErrorOrigin::Local => 1,
                ErrorOrigin::Icmp => 2,
                ErrorOrigin::Icmp6 => 3,
            },
            kind: error.icmp_type,
            code: error.icmp_code,
            info: error.info,
            offender: error.offender,
            to: Some(error.destination),
        })
    }

    fn take_error(&mut self, slot: Slot) -> i32 {
        self.socket(slot).take_error().map_or(0, |errno| errno.number())
    }

    fn member(
        &mut self,
        slot: Slot,
        verb: Verb,
        interface: u32,
        group: IpAddr,
        source: Option<IpAddr>,
    ) -> Result<(), Errno> {
        let (socket, interface) = (self.socket(slot), id(interface));
        let done = match (verb, source) {
            (Verb::Join, None) => socket.join(group, interface),
            (Verb::Leave, None) => socket.leave(group, interface),
            (Verb::JoinSource, Some(source)) => socket.join_source(group, source, interface),
            (Verb::LeaveSource, Some(source)) => socket.leave_source(group, source, interface),
            (Verb::Block, Some(source)) => socket.block_source(group, source, interface),
            (Verb::Unblock, Some(source)) => socket.unblock_source(group, source, interface),
            _ => panic!("{verb:?} of {source:?}"),
        };
        done.map_err(refused)
    }

    fn set_filter(
        &mut self,
        slot: Slot,
        interface: u32,
        group: IpAddr,
        exclude: bool,
        sources: &[IpAddr],
    ) -> Result<(), Errno> {
        let mode = if exclude { FilterMode::Exclude } else { FilterMode::Include };
        self.socket(slot).set_source_filter(group, id(interface), mode, sources).map_err(refused)
    }

    fn filter(&mut self, slot: Slot, interface: u32, group: IpAddr) -> Result<(bool, Vec<IpAddr>), Errno> {
        let (mode, sources) = self.socket(slot).source_filter(group, id(interface)).map_err(refused)?;
        Ok((mode == FilterMode::Exclude, sources))
    }

    fn name(&mut self, slot: Slot) -> Result<SocketAddr, Errno> {
        Ok(self.socket(slot).local_addr())
    }

    fn peer(&mut self, slot: Slot) -> Result<SocketAddr, Errno> {
        self.socket(slot).peer_addr().ok_or(Errno::ENOTCONN)
    }

    fn arrive(&mut self, interface: u32, frame: &[u8]) {
        self.world.inject(usize::try_from(interface).unwrap() - 1, frame);
        self.settle();
    }

    fn take_sent(&mut self) -> Vec<(u32, Vec<u8>)> {
        self.settle();
        std::mem::take(&mut self.sent)
    }

    fn start_anew(&mut self) {
        *self = Self::new();
    }
}
