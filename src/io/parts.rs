//! Where the parts of a datagram lie in its packet: what ingress hands to a service.

use core::num::NonZeroU64;

use super::InterfaceId;

/// To whom a datagram was addressed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cast {
    /// To one of our addresses.
    Unicast,
    /// To a joined group.
    Multicast,
    /// To everyone on the link.
    Broadcast,
}

/// What the UDP checksum field of the request is worth to an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PayloadSum {
    /// It holds no sum (0, or a virtio peer's partial one): an answer computes its own.
    Absent,
    /// It holds the right sum. Swapping addresses and ports leaves it right.
    Valid,
}

/// Where the parts of a datagram lie in its packet, and what reception found out. Offsets are proven to lie inside.
///
/// Packed into one word and a socket: the fast path makes one of these a packet, and fields stored one by one that a wide
/// load then reads would stall it.
#[derive(Clone, Copy)]
pub struct Parts {
    /// Never 0, by its top bit: so that an `Option` of this is two registers.
    word: NonZeroU64,
    socket: u32,
    /// The UDP ports, that of the destination in the upper half; 0 if nobody has looked yet.
    ports: u32,
}

/// The UDP ports of some datagrams, in their order.
#[derive(Clone, Copy, Debug)]
pub struct UdpPorts<'a> {
    /// Each as in [`Parts`].
    each: &'a [u32],
    least_source: u16,
    has_same: bool,
}

impl<'a> UdpPorts<'a> {
    /// Of these, each as in [`Parts`].
    // Without an early end: so it is asked of many at once, by whoever is compiled for what the CPU has.
    #[inline(always)]
    pub(crate) fn new(each: &'a [u32]) -> Self {
        let (least, same) = each.iter().fold((u32::MAX, false), |(least, same), ports| {
            let (from, to) = (ports & 0xffff, ports >> 16);
            (least.min(from), same | (from == to))
        });
        Self { each, least_source: u16::try_from(least).unwrap_or(u16::MAX), has_same: same }
    }

    /// How many datagrams.
    #[inline]
    #[must_use]
    pub const fn len(self) -> usize {
        self.each.len()
    }

    /// Whether there are none.
    #[inline]
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.each.is_empty()
    }

    /// The ports that each was sent from and to.
    #[inline]
    pub fn iter(self) -> impl ExactSizeIterator<Item = (u16, u16)> + 'a {
        self.each.iter().map(|ports| {
            let [a, b, c, d] = ports.to_le_bytes();
            (u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d]))
        })
    }

    /// The least port that one was sent from.
    #[inline]
    #[must_use]
    pub const fn least_source(self) -> u16 {
        self.least_source
    }

    /// Whether one was sent from a port to the same one.
    #[inline]
    #[must_use]
    pub const fn has_same(self) -> bool {
        self.has_same
    }
}

const TOP: u64 = 1 << 63;

const L4_SHIFT: u32 = 16;
const INTERFACE_SHIFT: u32 = 32;
const L3_SHIFT: u32 = 48;
/// An IP header begins behind at most 22 bytes, so that six bits are enough for its place.
const L3_MASK: u64 = 0x3f;
const WHOLE_FRAME_SHIFT: u32 = 54;
const REAL_CLIENT_SHIFT: u32 = 55;
const CAST_SHIFT: u32 = 56;
const TAGGED_SHIFT: u32 = 58;
const BODY_SHIFT: u32 = 59;
const SUM_SHIFT: u32 = 60;
const OTHERS_SHIFT: u32 = 61;
const IPV6_SHIFT: u32 = 62;

/// `word` with its top bit set.
#[inline]
const fn nonzero(word: u64) -> NonZeroU64 {
    match NonZeroU64::new(word | TOP) {
        Some(word) => word,
        // Not reached: the top bit is set.
        None => NonZeroU64::MAX,
    }
}

impl Parts {
    /// The IP header begins at `l3`, below 64, the UDP header at `l4`, and the UDP length field says `udp_len`. Unicast, without a
    /// sum, over IPv4, on interface 0, for socket 0, unless said otherwise.
    #[inline]
    #[must_use]
    pub const fn new(l3: u8, l4: u16, udp_len: u16) -> Self {
        let word = (l3 as u64 & L3_MASK) << L3_SHIFT | (l4 as u64) << L4_SHIFT | udp_len as u64;
        Self { word: nonzero(word), socket: 0, ports: 0 }
    }

    /// What `word` of others says, with this `socket` and these `ports`.
    #[inline(always)]
    pub(crate) const fn from_word(word: u64, socket: u32, ports: u32) -> Self {
        Self { word: nonzero(word), socket, ports }
    }

    /// All but the socket and the ports, in one word.
    #[inline(always)]
    pub(crate) const fn word(self) -> u64 {
        self.word.get()
    }

    /// With the UDP ports that it was sent from and to.
    #[inline]
    #[must_use]
    pub const fn with_ports(self, from: u16, to: u16) -> Self {
        Self { ports: (to as u32) << 16 | from as u32, ..self }
    }

    /// The UDP ports that it was sent from and to, if they are known without a look at the packet.
    #[inline]
    #[must_use]
    pub const fn ports(self) -> Option<(u16, u16)> {
        let [a, b, c, d] = self.ports.to_le_bytes();
        if self.ports == 0 { None } else { Some((u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d]))) }
    }

    /// Came in by `interface`.
    #[inline]
    #[must_use]
    pub const fn on(self, interface: InterfaceId) -> Self {
        self.with(INTERFACE_SHIFT, 0xffff, interface.0 as u64)
    }

    /// Came over IPv6 if `ipv6`, and else over IPv4.
    #[inline]
    #[must_use]
    pub const fn over_ipv6(self, ipv6: bool) -> Self {
        self.with(IPV6_SHIFT, 0x1, ipv6 as u64)
    }

    /// Was addressed to `cast`.
    #[inline]
    #[must_use]
    pub const fn to(self, cast: Cast) -> Self {
        self.with(CAST_SHIFT, 0x3, cast as u64)
    }

    /// Came in by a tagged interface, whether the tag is in the frame or the device has removed it.
    #[inline]
    #[must_use]
    pub const fn tagged(self, tagged: bool) -> Self {
        self.with(TAGGED_SHIFT, 1, tagged as u64)
    }

    /// Has its UDP header and payload in the packet's body: `l4` is an offset there.
    #[inline]
    #[must_use]
    pub const fn in_body(self) -> Self {
        self.with(BODY_SHIFT, 0x1, 1)
    }

    /// Has a checksum field worth `sum`.
    #[inline]
    #[must_use]
    pub const fn with_sum(self, sum: PayloadSum) -> Self {
        self.with(SUM_SHIFT, 0x1, sum as u64)
    }

    /// Is for other sockets, too, if `others`.
    #[inline]
    #[must_use]
    pub const fn with_others(self, others: bool) -> Self {
        self.with(OTHERS_SHIFT, 0x1, others as u64)
    }

    /// Has a buffer that says who its real client is, if `has`.
    #[inline]
    #[must_use]
    pub const fn with_real_client(self, has: bool) -> Self {
        self.with(REAL_CLIENT_SHIFT, 0x1, has as u64)
    }

    /// Has a frame that ends where the datagram does, whose IP length says the same, and whose source can be answered, if `is`:
    /// the fast path has looked at all that.
    #[inline]
    #[must_use]
    pub(crate) const fn whole_frame(self, is: bool) -> Self {
        self.with(WHOLE_FRAME_SHIFT, 0x1, is as u64)
    }

    /// Is for `socket`: an index into the worker's sockets.
    #[inline]
    #[must_use]
    pub const fn for_socket(self, socket: u32) -> Self {
        Self { socket, ..self }
    }

    /// With another UDP length, of which nobody has looked whether the frame says the same.
    #[inline]
    #[must_use]
    pub const fn with_len(self, udp_len: u16) -> Self {
        self.with(0, 0xffff, udp_len as u64).whole_frame(false)
    }

    /// With a UDP length, where that was 0 so far: one operation.
    #[inline]
    #[must_use]
    pub fn or_len(self, udp_len: u16) -> Self {
        Self { word: self.word | udp_len as u64, ..self }
    }

    /// Offset of the IP header.
    #[inline]
    #[must_use]
    pub fn l3(self) -> usize {
        usize::from(self.word.get().to_le_bytes()[6] & 0x3f)
    }

    /// Whether the packet's buffer says who its real client is ([`PacketBuf::real_client`](super::PacketBuf::real_client)): the
    /// IP source is a balancer.
    #[inline]
    #[must_use]
    pub const fn has_real_client(self) -> bool {
        self.word.get() >> REAL_CLIENT_SHIFT & 1 != 0
    }

    /// Offset of the UDP header: in the frame, or in the body if the datagram [is there](Self::is_in_body).
    #[inline]
    #[must_use]
    pub fn l4(self) -> usize {
        usize::from(self.field(L4_SHIFT))
    }

    /// Whether UDP header and payload are in the packet's body: then `l4` is an offset there.
    #[inline]
    #[must_use]
    pub const fn is_in_body(self) -> bool {
        self.word.get() >> BODY_SHIFT & 1 != 0
    }

    /// The UDP length field: bytes of header and payload.
    #[inline]
    #[must_use]
    pub const fn udp_len(self) -> u16 {
        self.field(0)
    }

    /// The interface that it came in by.
    #[inline]
    #[must_use]
    pub const fn interface(self) -> InterfaceId {
        InterfaceId(self.field(INTERFACE_SHIFT))
    }

    /// Whether it came over IPv6.
    #[inline]
    #[must_use]
    pub const fn is_ipv6(self) -> bool {
        self.word.get() >> IPV6_SHIFT & 1 != 0
    }

    /// Whether it came in by a tagged interface.
    #[inline]
    #[must_use]
    pub const fn is_tagged(self) -> bool {
        self.word.get() >> TAGGED_SHIFT & 1 != 0
    }

    /// To whom it was addressed.
    #[inline]
    #[must_use]
    pub const fn cast(self) -> Cast {
        match self.word.get() >> CAST_SHIFT & 0x3 {
            0 => Cast::Unicast,
            1 => Cast::Multicast,
            _ => Cast::Broadcast,
        }
    }

    /// What the checksum field is worth.
    #[inline]
    #[must_use]
    pub const fn sum(self) -> PayloadSum {
        if self.word.get() >> SUM_SHIFT & 0x1 == 0 { PayloadSum::Absent } else { PayloadSum::Valid }
    }

    /// Whether it is for other sockets, too: a group or broadcast datagram that several hear.
    #[inline]
    #[must_use]
    pub const fn has_others(self) -> bool {
        self.word.get() >> OTHERS_SHIFT & 1 != 0
    }

    /// The socket that it is for.
    #[inline]
    #[must_use]
    pub const fn socket(self) -> u32 {
        self.socket
    }

    /// The bits of a [`word`](Self::word) that say what shape a datagram has.
    pub(crate) const SHAPE: u64 = !(1 << REAL_CLIENT_SHIFT | 0xffff << INTERFACE_SHIFT | 0xffff);

    /// The bits of the length.
    pub(crate) const LEN: u64 = 0xffff;

    /// The bit that [`whole_frame`](Self::whole_frame) sets.
    pub(crate) const WHOLE_FRAME: u64 = 1 << WHOLE_FRAME_SHIFT;

    /// Whether `self` differs from `other` in length, interface, socket and what is known of the client at most: one compare.
    #[inline]
    #[must_use]
    pub const fn is_shaped_like(self, other: Self) -> bool {
        (self.word.get() ^ other.word.get()) & Self::SHAPE == 0
    }

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the low 16 bits are the field")]
    const fn field(self, shift: u32) -> u16 {
        (self.word.get() >> shift) as u16
    }

    /// With `value` in the field of `mask` at `shift`.
    #[inline]
    const fn with(self, shift: u32, mask: u64, value: u64) -> Self {
        Self { word: nonzero(self.word.get() & !(mask << shift) | value << shift), ..self }
    }
}

/// The same datagram, whoever has looked at what of it.
impl PartialEq for Parts {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        const SAID: u64 = !(1 << WHOLE_FRAME_SHIFT);
        (self.word.get() ^ other.word.get()) & SAID == 0 && self.socket == other.socket
    }
}

impl Eq for Parts {}

impl core::fmt::Debug for Parts {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Parts")
            .field("l3", &self.l3())
            .field("l4", &self.l4())
            .field("in_body", &self.is_in_body())
            .field("udp_len", &self.udp_len())
            .field("ipv6", &self.is_ipv6())
            .field("cast", &self.cast())
            .field("sum", &self.sum())
            .field("interface", &self.interface())
            .field("socket", &self.socket)
            .field("others", &self.has_others())
            .field("real_client", &self.has_real_client())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_is_what_was_said() {
        for cast in [Cast::Unicast, Cast::Multicast, Cast::Broadcast] {
            for sum in [PayloadSum::Absent, PayloadSum::Valid] {
                let plain = Parts::new(22, 0xfffe, 0xfffd).to(cast).with_sum(sum);
                let p = plain.on(InterfaceId(0xfffc)).for_socket(u32::MAX);
                assert_eq!((p.l3(), p.l4(), p.udp_len()), (22, 0xfffe, 0xfffd));
                assert_eq!(
                    (p.interface(), p.cast(), p.sum(), p.socket()),
                    (InterfaceId(0xfffc), cast, sum, u32::MAX)
                );
                assert_eq!(p.with_len(8).udp_len(), 8);
                let asked = p.with_ports(0x1234, 7);
                assert_eq!((p.ports(), asked.ports(), asked == p), (None, Some((0x1234, 7)), true));
                assert_eq!(Parts::from_word(p.word(), 7, 0), p.for_socket(7));
                let whole = p.whole_frame(true);
                assert!(!p.is_shaped_like(whole) && whole.is_shaped_like(plain.whole_frame(true)));
                assert!(
                    whole.with_len(9).is_shaped_like(plain) && whole.l3() == 22 && whole.udp_len() == 0xfffd
                );
                let shared = p.with_others(true);
                assert!(shared.has_others() && !p.has_others() && !shared.with_others(false).has_others());
                assert_eq!((shared.sum(), shared.cast(), shared.socket()), (sum, cast, u32::MAX));
                assert!(p.is_shaped_like(plain.with_len(9)));
                assert!(!p.is_in_body() && p.in_body().is_in_body() && p.in_body().cast() == cast);
                assert!(!p.is_shaped_like(p.in_body()));
                let ipv6 = p.over_ipv6(true);
                assert!(ipv6.is_ipv6() && !p.is_ipv6() && !ipv6.over_ipv6(false).is_ipv6());
                let forwarded = p.with_real_client(true);
                assert!(forwarded.has_real_client() && !p.has_real_client() && forwarded.l3() == 22);
                assert!(p.is_shaped_like(forwarded) && forwarded.with_real_client(false) == p);
                assert!(!p.is_shaped_like(ipv6) && ipv6.cast() == cast && ipv6.udp_len() == 0xfffd);
                assert!(!p.is_shaped_like(Parts::new(14, 0xfffe, 0xfffd).to(cast).with_sum(sum)));
            }
        }
    }
}
