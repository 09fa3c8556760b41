//! How an answer is made from its request, in place, whatever the request's shape.
//!
//! Options and extension headers of the request are not repeated: the transport part moves to where plain headers end. The
//! tag is the interface's. What the two IP versions write differently is in [`header`].

pub mod header;
pub mod send;
mod udp;

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub use header::{Cutting, Emit, FlowLabel, Options4};
pub use udp::{udp_mtu, udp_reply, udp_reply_to_cut, udp_sending};

use super::fragmentation::{HEAD_MAX, Ids, Outgoing, Payload};
use super::hops::Hop;
use super::interface::{Interface, Ip};
use super::port_table::Fetch;
use super::route::Towards;
use crate::addr::{Family, MacAddr, V4, V6};
use crate::io::{BufPool, PacketBuf};
use crate::wire::ethernet::{self, ETHERTYPE_VLAN, Header, MIN_FRAME};
use crate::wire::vlan;

/// Where the transport part of a packet lies in its frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct L4 {
    /// Offset of its first byte.
    pub offset: u16,
    /// Its length in bytes.
    pub len: u16,
}

/// Bytes before the network layer of what we send on `interface`: a header, and its tag unless the device inserts that.
#[must_use]
pub const fn link_len(interface: &Interface) -> usize {
    match interface.vlan {
        Some(_) if !interface.tx_vlan_insert => ethernet::HEADER_LEN + vlan::TAG_LEN,
        _ => ethernet::HEADER_LEN,
    }
}

/// The least bytes of a frame from `interface` in memory: what is a whole frame still when its tag is taken off.
// E09, and 802.1Q G.2.3: a bridge need not pad what it untags.
#[must_use]
pub const fn frame_min(interface: &Interface) -> usize {
    MIN_FRAME + link_len(interface) - ethernet::HEADER_LEN
}

/// Writes the link header of a frame from `interface` to `dst`, and returns what follows it. `None`: it does not fit.
// E12, 802.1Q: what an interface sends carries its VLAN, with priority 0.
#[must_use]
pub fn emit_link<'a>(
    frame: &'a mut [u8],
    dst: MacAddr,
    ethertype: u16,
    interface: &Interface,
) -> Option<&'a mut [u8]> {
    let src = interface.mac;
    match interface.vlan {
        Some(vid) if !interface.tx_vlan_insert => {
            let rest = Header { dst, src, ethertype: ETHERTYPE_VLAN }.emit(frame)?;
            vlan::emit(rest, vid, ethertype)
        }
        _ => Header { dst, src, ethertype }.emit(frame),
    }
}

/// Has the device insert the tag that [`emit_link`] left to it. False if it cannot be asked: the buffer is shared, or has
/// no room for a tag.
// E12, 802.1Q.
#[must_use]
pub fn insert_tag<B: PacketBuf>(buf: &mut B, interface: &Interface) -> bool {
    match interface.vlan {
        Some(vid) if interface.tx_vlan_insert => buf.set_tx_vlan(Some(vid.get())),
        _ => true,
    }
}

/// A copy of `frame`, which has no tag, with the tag of `interface`. `None` when the pool is exhausted or it does not fit.
#[must_use]
pub fn tagged_copy<P: BufPool>(frame: &[u8], interface: &Interface, pool: &P) -> Option<P::Buf> {
    let Some(vid) = interface.vlan else { return pool.alloc_copy(frame) };
    let (header, rest) = Header::parse(frame)?;
    let mut buf = pool.alloc()?;
    if !buf.set_len(frame.len() + vlan::TAG_LEN) {
        return None;
    }
    let after = Header { ethertype: ETHERTYPE_VLAN, ..header }.emit(buf.unique()?)?;
    vlan::emit(after, vid, header.ethertype)?.copy_from_slice(rest);
    Some(buf)
}

/// What an answer's headers say, beside the addresses of the link.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a, F: Emit> {
    /// From this address of ours.
    pub src: F::Addr,
    /// To this host.
    pub dst: F::Addr,
    /// Of this protocol.
    pub protocol: u8,
    /// With this type of service, or traffic class.
    pub tos: u8,
    /// With this time to live, or hop limit; `None`: the interface's.
    pub hop_limit: Option<u8>,
    /// And what this IP version alone says.
    pub own: F::Own<'a>,
}

/// Turns the frame in `buf`, whose transport part `l4` is already the answer's, into the answer's frame: back to the MAC
/// address that it came from. False if the buffer is shared or the answer larger than the link carries.
// E09, CVE-2003-0001: padded with zeros.
pub fn send_back<F: Emit, B: PacketBuf>(
    buf: &mut B,
    l4: L4,
    answer: Answer<'_, F>,
    interface: &Interface,
) -> bool {
    let (start, len) = (usize::from(l4.offset), usize::from(l4.len));
    let header_len = F::header_len(&answer.own);
    let to = link_len(interface) + header_len;
    let end = to + len;
    if header_len + len > usize::from(F::mtu(interface)) || start + len > buf.data().len() {
        return false;
    }
    // The device took off a tag that the answer has in its frame: then the answer is the longer one.
    if end > buf.data().len() && !buf.set_len(end) {
        return false;
    }
    let Some(frame) = buf.unique() else { return false };
    let Some((request, _)) = Header::parse(frame) else { return false };
    if start != to {
        frame.copy_within(start..start + len, to);
    }
    frame.iter_mut().skip(end).for_each(|byte| *byte = 0);
    write_headers(frame, request.src, answer, l4.len, interface).is_some()
        && buf.set_len(end.max(frame_min(interface)))
        && insert_tag(buf, interface)
}

fn write_headers<F: Emit>(
    frame: &mut [u8],
    dst: MacAddr,
    answer: Answer<'_, F>,
    len: u16,
    interface: &Interface,
) -> Option<()> {
    F::emit(&answer, len, interface, emit_link(frame, dst, F::ETHERTYPE, interface)?).map(|_| ())
}

/// The datagram that is `answer` with its `payload`, to leave for `mac` in packets of at most `mtu` bytes. `None`: these
/// carry nothing.
#[must_use]
pub fn to_cut<F: Emit>(
    mac: MacAddr,
    answer: Answer<'_, F>,
    payload: Payload,
    mtu: u16,
    ids: &mut Ids,
    interface: &Interface,
) -> Option<Outgoing> {
    let mut head = [0; HEAD_MAX];
    write_headers(&mut head, mac, answer, payload.len, interface)?;
    F::outgoing(&head, link_len(interface), payload, mtu, &answer, ids)
}

/// Where on the link a frame of ours goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Directed {
    /// To the Ethernet address that it has now. Control is to be told that this neighbour is used, if one is named.
    Sent(Option<IpAddr>),
    /// To this neighbour, whose Ethernet address is not known here.
    Unresolved(IpAddr),
    /// No route leads to its destination, or it is no frame of ours.
    Nowhere,
}

/// Puts the Ethernet address of its next hop into the IP frame in `buf`, which was made for `interface`.
pub fn direct<B: PacketBuf>(buf: &mut B, interface: &Interface) -> Directed {
    let way = way(buf, interface, &Far);
    direct_by(buf, interface, &way)
}

/// Where a frame of ours goes, so far as routes say: whole words, which are stored and loaded as they are.
// As an enum with addresses, it was written in small pieces and read in large ones, which waits for the stores: 6 ns a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Way {
    to: To,
    /// The bits of that address.
    addr: [u64; 2],
    /// The hash of a neighbour's.
    hash: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u64)]
enum To {
    Nowhere,
    Mac,
    V4,
    V6,
}

impl Way {
    /// Nowhere: see [`Directed::Nowhere`].
    pub const NOWHERE: Self = Self { to: To::Nowhere, addr: [0; 2], hash: 0 };

    #[inline(always)]
    fn mac(MacAddr([a, b, c, d, e, f]): MacAddr) -> Self {
        let addr = u64::from_be_bytes([0, 0, a, b, c, d, e, f]);
        Self { to: To::Mac, addr: [0, addr], hash: 0 }
    }

    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "each half is its 64 bits")]
    fn neighbor(addr: IpAddr, hash: u64) -> Self {
        match addr {
            IpAddr::V4(addr) => Self { to: To::V4, addr: [0, addr.to_bits().into()], hash },
            IpAddr::V6(addr) => {
                let bits = addr.to_bits();
                Self { to: To::V6, addr: [(bits >> 64) as u64, bits as u64], hash }
            }
        }
    }
}

/// Nothing is fetched.
struct Far;

impl Fetch for Far {
    fn fetch<T>(&self, _: &T) {}
}

/// The way of the IP frame in `buf`, which was made for `interface`. What [`direct_by`] reads of the next hop comes near: of many
/// frames, the way of each is asked for first.
#[inline(always)]
pub fn way<B: PacketBuf>(buf: &B, interface: &Interface, near: &impl Fetch) -> Way {
    let ip = buf.data().get(link_len(interface)..).unwrap_or_default();
    match ip.first().map(|first| first >> 4) {
        Some(V4::VERSION) => way_over::<V4>(ip, interface, near),
        Some(V6::VERSION) => way_over::<V6>(ip, interface, near),
        _ => Way::NOWHERE,
    }
}

// Strong host (RFC 1122 3.3.4.2): by the routes of this interface alone. A13: groups and broadcasts need no neighbour.
#[inline(always)]
fn way_over<F: Emit>(ip: &[u8], interface: &Interface, near: &impl Fetch) -> Way {
    let Some((_, dst)) = F::addresses(ip) else { return Way::NOWHERE };
    let inet = F::inet(interface);
    match inet.routes.towards(dst) {
        Towards::Nowhere => Way::NOWHERE,
        Towards::Mac(mac) => Way::mac(mac),
        Towards::Neighbor(hop) => {
            let hash = inet.hops.hash(hop);
            inet.hops.fetch(hash, near);
            Way::neighbor(hop.into(), hash)
        }
    }
}

/// Puts the Ethernet address at the end of `way`, its way, into the frame in `buf`.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "an address of IPv4 was put there")]
pub fn direct_by<B: PacketBuf>(buf: &mut B, interface: &Interface, way: &Way) -> Directed {
    let [high, low] = way.addr;
    let (found, hop): (_, IpAddr) = match way.to {
        To::Nowhere => return Directed::Nowhere,
        To::Mac => {
            let [_, _, mac @ ..] = low.to_be_bytes();
            let is_set = set_destination(buf, MacAddr(mac));
            return if is_set { Directed::Sent(None) } else { Directed::Nowhere };
        }
        To::V4 => {
            let addr = Ipv4Addr::from_bits(low as u32);
            (interface.v4.hops.get_hashed(addr, way.hash), addr.into())
        }
        To::V6 => {
            let addr = Ipv6Addr::from_bits(u128::from(high) << 64 | u128::from(low));
            (interface.v6.hops.get_hashed(addr, way.hash), addr.into())
        }
    };
    let Some(Hop { mac, stale }) = found else { return Directed::Unresolved(hop) };
    if set_destination(buf, mac) { Directed::Sent(stale.then_some(hop)) } else { Directed::Nowhere }
}

/// Control was told that `neighbor` is used. Once is enough.
pub fn told_used(interface: &mut Interface, neighbor: IpAddr) {
    match neighbor {
        IpAddr::V4(addr) => V4::inet_mut(interface).hops.told(addr),
        IpAddr::V6(addr) => V6::inet_mut(interface).hops.told(addr),
    }
}

/// Puts `mac` into the frame in `buf` as the address that it goes to. False if the buffer is shared or empty.
pub fn set_destination<B: PacketBuf>(buf: &mut B, mac: MacAddr) -> bool {
    let to = buf.unique().and_then(|frame| frame.first_chunk_mut::<6>());
    to.map(|to| *to = mac.0).is_some()
}
