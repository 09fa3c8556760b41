//! The burst path for plain UDP: the whole job of a host at a price that comes near that of swapping headers (`bench/compare`).
//!
//! It takes what is common, Ethernet without a tag or with that of a VLAN that we are on, IPv4 without options or fragments or IPv6 without extension headers,
//! UDP in one segment, and only what is *right*: lengths, checksums, addresses, admission, a socket. Everything else, wrong packets included, takes
//! [`stack::ingress`](crate::stack::ingress), which can do everything and knows every reason. So there is one place
//! that decides why a packet is dropped, and both paths give the same result for every frame they share; a property
//! test holds them together.
//!
//! How it is quick: a header is read as a few wide words and tested with masks; the reply is composed in registers and
//! each byte stored once (a narrow store that a wide load follows stalls); the whole burst function is compiled for more than one
//! level of CPU ([`Level`]). Where that has vectors of 32 bytes (`wide`), datagrams are looked at and turned round four at once
//! (`four`, `v3_four`), and a burst goes through in stages, over columns ([`Found`]): looked at, looked up, delivered.
//!
//! Not here: state. A [`View`] is an interface's numbers in the form in which they are compared.

mod accept;
mod accept6;
mod ahead;
mod alikes;
mod dispatch;
mod found;
mod four;
mod head;
mod level;
mod line;
mod line6;
#[cfg(target_arch = "x86_64")]
mod long_sum;
mod look_up;
mod own_set;
mod reply;
mod reply6;
mod tagged;
mod tagged_reply;
#[cfg(target_arch = "x86_64")]
mod v3_four;
#[cfg(target_arch = "x86_64")]
mod v4_four;
#[cfg(target_arch = "x86_64")]
mod v4_four6;
mod view6;
mod wide;

pub use accept::{Port, Sink};
pub use alikes::Alikes;
pub use dispatch::{Near, ingress_burst, reply_burst};
pub use found::Found;
pub use level::Level;
pub use reply::{Answers, Request};

use core::net::Ipv4Addr;

use crate::addr::{MacAddr, Vid};
use crate::io::InterfaceId;
use crate::stack::interface::{Interface, Interfaces};
use own_set::OwnSet;
use view6::View6;
use wide::Heads;

/// Addresses and type of Ethernet.
const LINK: usize = 14;

/// Where the network header is behind a tag of `tag` bytes, and where UDP is behind `network` more.
#[expect(clippy::cast_possible_truncation, reason = "18 and 58 at most")]
const fn layers(tag: usize, network: usize) -> (u8, u16) {
    ((LINK + tag) as u8, (LINK + tag + network) as u16)
}

/// Ethernet, IPv4 without options, and UDP: bytes before the payload.
const HEAD: usize = 42;

/// Six of the eight bytes of a word: an Ethernet address.
const MAC_MASK: u64 = 0x0000_ffff_ffff_ffff;

/// An interface's own numbers, as they appear in a word loaded from a frame.
#[derive(Clone, Debug)]
pub struct View {
    mac: u64,
    /// What the first 16 bytes of an answer have of ours.
    link: [u8; 16],
    addr: u32,
    broadcast: u32,
    /// The largest UDP datagram, header included, in one packet on this link, and on any way beyond it.
    udp_len_max: u16,
    /// Every address, if there are several.
    several: OwnSet<u32>,
    /// These, and their broadcast addresses: nobody sends from there.
    no_sources: OwnSet<u32>,
    /// What fours are compared with.
    heads: Heads,
    v6: View6,
    /// The same of the interfaces with a VLAN.
    tagged: Vec<Tagged>,
    /// Whether one of all has joined so many groups that what is read of them is fetched ahead.
    has_many_groups: bool,
}

/// The numbers of an interface with a VLAN.
#[derive(Clone, Debug)]
struct Tagged {
    vid: Vid,
    id: InterfaceId,
    /// Whether the device inserts the tag of what we send.
    inserts: bool,
    view: View,
}

/// The bytes of `addr` as a word loaded from them.
const fn word(addr: Ipv4Addr) -> u32 {
    u32::from_le_bytes(addr.octets())
}

/// The bytes of `mac` as the low 48 bits of a word loaded from them.
const fn mac_word(mac: MacAddr) -> u64 {
    let [a, b, c, d, e, f] = mac.0;
    u64::from_le_bytes([a, b, c, d, e, f, 0, 0])
}

impl View {
    /// The numbers of `interfaces`. Make it anew when addresses change.
    #[must_use]
    pub fn of(interfaces: &Interfaces) -> Self {
        let tagged = interfaces.iter().filter_map(|interface| {
            let vid = interface.vlan?;
            // Of two on one VLAN, the first has its frames.
            let is_first = interfaces.of_vid(vid.get()).is_some_and(|first| first.id == interface.id);
            let view = Self::of_one(interface);
            is_first.then_some(Tagged { vid, id: interface.id, inserts: interface.tx_vlan_insert, view })
        });
        let untagged = interfaces.untagged().map_or_else(Self::of_none, Self::of_one);
        let mut view = Self { tagged: tagged.collect(), ..untagged };
        view.set_groups(interfaces);
        view
    }

    /// To be told when groups are joined or left.
    pub fn set_groups(&mut self, interfaces: &Interfaces) {
        self.has_many_groups = interfaces.iter().any(|i| i.v4.groups.is_large() || i.v6.groups.is_large());
    }

    /// It matches no packet.
    fn of_none() -> Self {
        let (link, v6) = (wide::link_of(0), View6::nothing());
        let (several, no_sources, tagged) = (OwnSet::of([]), OwnSet::of([]), Vec::new());
        let own = Own { mac: 0, addr: 0, broadcast: u32::MAX, alone: true };
        let heads = Heads::of(own, InterfaceId(0));
        let Own { mac, addr, broadcast, .. } = own;
        let (udp_len_max, has_many_groups) = (0, false);
        Self {
            mac,
            link,
            addr,
            broadcast,
            udp_len_max,
            several,
            no_sources,
            heads,
            v6,
            tagged,
            has_many_groups,
        }
    }

    fn of_one(interface: &Interface) -> Self {
        let numbers = |c: &crate::addr::Ipv4Cidr| {
            // No prefix has the limited broadcast address, and no source may be it: it stands for "none".
            (word(c.addr()), word(c.broadcast().unwrap_or(Ipv4Addr::BROADCAST)))
        };
        let all: Vec<(u32, u32)> = interface.v4.addresses().iter().map(numbers).collect();
        // An interface without an address matches nothing: 0.0.0.0 never passes as a destination here.
        let (addr, broadcast) = all.first().copied().unwrap_or((0, u32::MAX));
        let (mac, v6) = (mac_word(interface.mac), View6::of(interface));
        let link = wide::link_of(mac);
        let all = if all.len() > 1 { all } else { Vec::new() };
        let several = OwnSet::of(all.iter().map(|(addr, _)| *addr));
        let no_sources = OwnSet::of(all.iter().flat_map(|(addr, broadcast)| [*addr, *broadcast]));
        let own = Own { mac, addr, broadcast, alone: several.is_empty() };
        let heads = Heads::of(own, interface.id);
        let mut view = Self { mac, link, addr, broadcast, several, no_sources, heads, v6, ..Self::of_none() };
        view.set_own_packet_max(interface);
        view
    }

    /// What is longer than the longest packet that one of `interfaces` sends whole to anyone takes the slow way there. To be told
    /// when that changes.
    pub fn set_packet_max(&mut self, interfaces: &Interfaces) {
        if let Some(untagged) = interfaces.untagged() {
            self.set_own_packet_max(untagged);
        }
        for Tagged { id, view, .. } in &mut self.tagged {
            if let Some(interface) = interfaces.get(*id) {
                view.set_own_packet_max(interface);
            }
        }
    }

    fn set_own_packet_max(&mut self, interface: &Interface) {
        self.udp_len_max = interface.v4.paths.smallest().saturating_sub(20);
        self.v6.set_packet_max(interface);
    }

    /// Whether `addr` is ours.
    #[inline(always)]
    fn is_own(&self, addr: u32) -> bool {
        (addr == self.addr && addr != 0) || (!self.is_alone() && self.several.contains(addr))
    }

    /// Whether we have one address at most.
    #[inline(always)]
    const fn is_alone(&self) -> bool {
        self.several.is_empty()
    }

    /// Whether `addr` is one of several addresses or of their broadcasts.
    #[inline(never)]
    fn is_no_source(&self, addr: u32) -> bool {
        self.no_sources.contains(addr)
    }
}

/// Whether an address whose first octet this is can be one host's: not 0/8, 127/8, a group or reserved.
static CAN_BE_HOST: [bool; 256] = {
    let mut table = [false; 256];
    let mut first = 1;
    while first < 224 {
        table[first] = first != 127;
        first += 1;
    }
    table
};

/// What of a [`View`] every packet is compared with, copied once a burst: the compiler keeps it in registers.
#[derive(Clone, Copy, Debug)]
struct Own {
    mac: u64,
    addr: u32,
    broadcast: u32,
    /// Whether that is all there is.
    alone: bool,
}

impl Own {
    #[inline(always)]
    const fn of(view: &View) -> Self {
        Self { mac: view.mac, addr: view.addr, broadcast: view.broadcast, alone: view.is_alone() }
    }

    /// Whether `addr` can be one host, and is not us: I07 to I11.
    #[inline(always)]
    fn is_foreign_host(self, addr: u32, view: &View) -> bool {
        let [first, ..] = addr.to_le_bytes();
        let ours = addr == self.addr || addr == self.broadcast;
        CAN_BE_HOST[usize::from(first)] && !ours && (self.alone || !view.is_no_source(addr))
    }
}

/// The one's-complement sum of what was added up in 64 bits without overflow, in 16 bits.
#[inline(always)]
const fn fold(sum: u64) -> u16 {
    crate::wire::checksum::Sum::ZERO.add_words(sum).fold().swap_bytes()
}
