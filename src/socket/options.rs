//! What a socket's options say of how its datagrams leave, and of what its threads are told.
//!
//! What decides who receives what (where it is bound, `SO_REUSEADDR`, groups) is control's, and not here.

use core::sync::atomic::{AtomicBool, AtomicI16, AtomicU8, AtomicU32, AtomicU64, Ordering};
use core::time::Duration;
use std::net::{IpAddr, Ipv4Addr};

use crate::io::{InterfaceId, PmtuDiscovery};

/// A number of an option, where `None` is the default of the interface.
#[derive(Debug)]
pub(super) struct MaybeU8(AtomicI16);

impl MaybeU8 {
    const fn new(value: Option<u8>) -> Self {
        Self(AtomicI16::new(match value {
            Some(value) => value as i16,
            None => -1,
        }))
    }

    pub(super) fn get(&self) -> Option<u8> {
        u8::try_from(self.0.load(Ordering::Relaxed)).ok()
    }

    pub(super) fn set(&self, value: Option<u8>) {
        self.0.store(value.map_or(-1, i16::from), Ordering::Relaxed);
    }
}

/// An interface that was chosen, or none.
#[derive(Debug, Default)]
pub(super) struct MaybeInterface(AtomicU32);

impl MaybeInterface {
    pub(super) fn get(&self) -> Option<InterfaceId> {
        let number = self.0.load(Ordering::Relaxed).checked_sub(1)?;
        u16::try_from(number).ok().map(InterfaceId)
    }

    pub(super) fn set(&self, id: Option<InterfaceId>) {
        self.0.store(id.map_or(0, |id| u32::from(id.0) + 1), Ordering::Relaxed);
    }
}

/// A time limit, where zero is none: socket(7) `SO_RCVTIMEO`.
#[derive(Debug, Default)]
pub(super) struct MaybeTime(AtomicU64);

impl MaybeTime {
    pub(super) fn get(&self) -> Option<Duration> {
        Some(self.0.load(Ordering::Relaxed)).filter(|ns| *ns > 0).map(Duration::from_nanos)
    }

    pub(super) fn set(&self, limit: Option<Duration>) {
        let ns = limit.map_or(0, |limit| u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX).max(1));
        self.0.store(ns, Ordering::Relaxed);
    }
}

/// What a socket does about the path MTU.
#[derive(Debug, Default)]
pub(super) struct Discovery(AtomicU8);

impl Discovery {
    pub(super) fn get(&self) -> PmtuDiscovery {
        let all = PmtuDiscovery::NAMES;
        all.get(usize::from(self.0.load(Ordering::Relaxed))).map_or(PmtuDiscovery::Want, |(_, value)| *value)
    }

    pub(super) fn set(&self, value: PmtuDiscovery) {
        let place = PmtuDiscovery::NAMES.iter().position(|(_, other)| *other == value);
        self.0.store(place.and_then(|place| u8::try_from(place).ok()).unwrap_or_default(), Ordering::Relaxed);
    }
}

/// The options of one IP version: those of the level `IPPROTO_IP`, or `IPPROTO_IPV6`.
#[derive(Debug)]
pub(super) struct IpOptions {
    /// `IP_TTL`, `IPV6_UNICAST_HOPS`.
    pub(super) ttl: MaybeU8,
    /// `IP_TOS`, `IPV6_TCLASS`.
    pub(super) tos: AtomicU8,
    /// `IP_MULTICAST_TTL`, `IPV6_MULTICAST_HOPS`.
    pub(super) multicast_ttl: AtomicU8,
    /// `IP_MULTICAST_LOOP`, `IPV6_MULTICAST_LOOP`.
    pub(super) multicast_loop: AtomicBool,
    /// `IP_MULTICAST_IF`, `IPV6_MULTICAST_IF`.
    pub(super) multicast_interface: MaybeInterface,
    /// `IP_MTU_DISCOVER`, `IPV6_MTU_DISCOVER`.
    pub(super) discovery: Discovery,
    /// `IP_RECVERR`, `IPV6_RECVERR`.
    pub(super) receive_errors: AtomicBool,
}

impl Default for IpOptions {
    // U27, RFC 1112 6.1, RFC 3493 5.2: to groups, one hop, and our own members hear it.
    fn default() -> Self {
        Self {
            ttl: MaybeU8::new(None),
            tos: AtomicU8::new(0),
            multicast_ttl: AtomicU8::new(1),
            multicast_loop: AtomicBool::new(true),
            multicast_interface: MaybeInterface::default(),
            discovery: Discovery::default(),
            receive_errors: AtomicBool::new(false),
        }
    }
}

/// The options of a socket that are its threads' concern alone. Each can be changed while others send.
#[derive(Debug, Default)]
pub(super) struct Options {
    /// Of IPv4.
    pub(super) v4: IpOptions,
    /// Of IPv6.
    pub(super) v6: IpOptions,
    /// `IP_MULTICAST_IF`: the address that was given, from which groups are then sent to; 0 for none.
    pub(super) multicast_source: AtomicU32,
    /// `SO_BROADCAST`.
    pub(super) broadcast: AtomicBool,
    /// `SO_NO_CHECK`: no UDP checksum over IPv4.
    pub(super) no_check: AtomicBool,
    /// `UDP_NO_CHECK6_TX`: none over IPv6.
    pub(super) no_check6_tx: AtomicBool,
    /// `UDP_NO_CHECK6_RX`: what was set last; control has it, too.
    pub(super) no_check6_rx: AtomicBool,
    /// `SO_BINDTODEVICE`.
    pub(super) device: MaybeInterface,
    /// `SO_RCVTIMEO`.
    pub(super) receive_timeout: MaybeTime,
    /// `SO_SNDTIMEO`.
    pub(super) send_timeout: MaybeTime,
    /// `O_NONBLOCK`.
    pub(super) nonblocking: AtomicBool,
    /// `UDP_CORK`.
    pub(super) cork: AtomicBool,
    /// Whether it has a peer.
    pub(super) connected: AtomicBool,
}

impl Options {
    /// The options that hold for what is sent over that IP version.
    pub(super) const fn ip(&self, is_v6: bool) -> &IpOptions {
        if is_v6 { &self.v6 } else { &self.v4 }
    }

    /// The TTL or hop limit of what is sent to `dst`, if it is not the interface's.
    // U27.
    pub(super) fn ttl(&self, dst: IpAddr) -> Option<u8> {
        let ip = self.ip(dst.is_ipv6());
        if dst.is_multicast() { Some(ip.multicast_ttl.load(Ordering::Relaxed)) } else { ip.ttl.get() }
    }

    /// Whether what is sent over that IP version has no UDP checksum.
    pub(super) fn leaves_checksum_out(&self, is_v6: bool) -> bool {
        if is_v6 { &self.no_check6_tx } else { &self.no_check }.load(Ordering::Relaxed)
    }

    /// The address that groups are sent to from, if one was given with `IP_MULTICAST_IF`.
    pub(super) fn multicast_source(&self) -> Option<Ipv4Addr> {
        Some(self.multicast_source.load(Ordering::Relaxed)).filter(|bits| *bits != 0).map(Ipv4Addr::from_bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // U27, RFC 3493 5.2, ip(7).
    #[test]
    fn an_option_is_what_linux_has_until_it_is_set() {
        let options = Options::default();
        for ip in [options.ip(false), options.ip(true)] {
            assert_eq!((ip.ttl.get(), ip.multicast_ttl.load(Ordering::Relaxed)), (None, 1));
            assert!(ip.multicast_loop.load(Ordering::Relaxed) && ip.multicast_interface.get().is_none());
            assert_eq!(ip.discovery.get(), PmtuDiscovery::Want);
        }
        assert_eq!((options.receive_timeout.get(), options.multicast_source()), (None, None));
    }

    #[test]
    fn what_is_set_is_got() {
        let options = Options::default();
        for ttl in [Some(0), Some(255), None] {
            options.v4.ttl.set(ttl);
            assert_eq!(options.v4.ttl.get(), ttl);
        }
        for id in [Some(InterfaceId(0)), Some(InterfaceId(u16::MAX)), None] {
            options.device.set(id);
            assert_eq!(options.device.get(), id);
        }
        for (_, value) in PmtuDiscovery::NAMES {
            options.v6.discovery.set(value);
            assert_eq!(options.v6.discovery.get(), value);
        }
        options.send_timeout.set(Some(Duration::ZERO));
        assert_eq!(options.send_timeout.get(), Some(Duration::from_nanos(1)), "not for ever");
        options.send_timeout.set(None);
        assert_eq!(options.send_timeout.get(), None);
    }
}
