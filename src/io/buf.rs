//! Packet buffers and where they come from.

use core::net::SocketAddr;
#[cfg(any(feature = "dpdk", test))]
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What the device says of a checksum. DESIGN: the four values of an mbuf's `ol_flags`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ChecksumStatus {
    /// Not looked at: sum it.
    #[default]
    Unknown,
    /// Right.
    Good,
    /// Wrong, says the device. Drivers have said so of good packets: sum it.
    Bad,
    /// The field does not hold a sum, but the data are known to be intact (a virtio peer on the same machine).
    None,
}

/// What the device says of a received packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RxMeta {
    /// Of the IPv4 header checksum.
    pub ip_checksum: ChecksumStatus,
    /// Of the UDP checksum.
    pub l4_checksum: ChecksumStatus,
    /// The tag control information of a VLAN tag that the device has removed.
    pub stripped_tci: Option<u16>,
    /// The receive-side-scaling hash, where the device computed one.
    pub rss_hash: Option<u32>,
}

/// Checksums that the device is asked to fill in when it sends a packet.
///
/// The UDP checksum field must then hold the folded, not complemented sum of the pseudo-header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TxChecksum {
    /// Fill in the IPv4 header checksum (its field holds 0).
    pub ip: bool,
    /// Fill in the UDP checksum.
    pub udp: bool,
    /// Whether the packet is one of IPv6.
    pub ipv6: bool,
    /// Bytes before the IP header in memory: a tag that the device is to insert is not among them.
    pub l2_len: u8,
    /// Bytes of the IP header.
    pub l3_len: u8,
}

/// Bytes of data in a [large](BufPool::alloc_large) buffer: what the payload of any IP packet fits into.
pub const LARGE_ROOM: usize = 65_535;

/// A packet and the duty to give its memory back: a value with one owner.
///
/// Dropping it returns the memory to its pool.
///
/// A frame that a device delivers may lie in several segments, of which [`data`](Self::data) is the first; what cannot
/// be read in place is copied out. A packet of our own that is larger than an ordinary buffer has a *body*: a large
/// buffer attached to the head, which holds the whole payload of the IP packet whose headers are the head's data.
pub trait PacketBuf: Sized + Send + core::fmt::Debug + 'static {
    /// The bytes of the (first segment of the) frame, from the Ethernet header on.
    fn data(&self) -> &[u8];

    /// Whether [`data`](Self::data) is the whole packet: it has one segment and no body.
    fn is_single_segment(&self) -> bool;

    /// Bytes of the frame, over all its segments. A body is no segment.
    fn frame_len(&self) -> usize;

    /// Copies the frame's bytes from `offset` on, over all its segments, to the front of `out`, and returns how many
    /// those were: as many as `out` holds or the frame has.
    fn copy_out(&self, offset: usize, out: &mut [u8]) -> usize;

    /// The body, if it has one.
    fn body(&self) -> Option<&[u8]>;

    /// The body, writable: only if no other handle shares the packet.
    fn body_mut(&mut self) -> Option<&mut [u8]>;

    /// Makes `body`, a [large](BufPool::alloc_large) buffer, the body of this one, with which it lives from now on.
    ///
    /// # Errors
    /// `body` comes back: it is not large, one of the two is shared or has several segments, or there is a body.
    fn attach(&mut self, body: Self) -> Result<(), Self>;

    /// Whether the packet is as plain as can be: one segment, shared with no one, and the device said nothing of it, of
    /// its checksums or of a tag. False is always a right answer; true saves the fast path from asking one by one.
    #[inline]
    fn is_plain(&self) -> bool {
        // A hash of it is no word on what is wrong with it.
        self.is_single_segment() && RxMeta { rss_hash: None, ..self.rx_meta() } == RxMeta::default()
    }

    /// Whether each of the four is [plain](Self::is_plain).
    #[inline]
    fn are_plain(four: [&Self; 4]) -> bool {
        four.into_iter().all(Self::is_plain)
    }

    /// The bytes, writable: only if no other handle shares them, and the buffer is direct and has one segment.
    fn unique(&mut self) -> Option<&mut [u8]>;

    /// The bytes of each of the four, if each of them is [unique](Self::unique).
    #[inline]
    fn unique_four(four: [&mut Self; 4]) -> Option<[&mut [u8]; 4]> {
        let [a, b, c, d] = four;
        Some([a.unique()?, b.unique()?, c.unique()?, d.unique()?])
    }

    /// Makes the frame `len` bytes long, cutting the end or appending zeros. False, and nothing changed, if the buffer
    /// is shared, has several segments, or is too small.
    // E09, CVE-2003-0001: what is appended is zeros, never what lay there before.
    fn set_len(&mut self, len: usize) -> bool;

    /// Lets the frame begin `len` bytes later. False, and nothing changed, if the buffer is shared, has several segments, or
    /// holds fewer. `rte_pktmbuf_adj`.
    fn trim_front(&mut self, len: usize) -> bool;

    /// Another handle to the same bytes. From then on neither is [`unique`](Self::unique).
    fn share(&self) -> Self;

    /// Whether nobody else has a handle to the packet, so that its bytes, or those of its body, can be written.
    #[inline]
    fn is_private(&mut self) -> bool {
        self.unique().is_some() || self.body_mut().is_some()
    }

    /// What the device said of it on reception.
    fn rx_meta(&self) -> RxMeta;

    /// Lets what the device said of `other` on reception hold for this packet, too: it is a copy of it. Nothing happens
    /// if this one is shared.
    fn copy_rx_meta(&mut self, other: &Self);

    /// Notes beside the frame that it was `client` who sent what it carries: its IP source only forwards. False, and nothing
    /// noted, if the packet is shared, or there is no room beside the frame. Whoever notes it says so in its
    /// [`Parts`](super::Parts::with_real_client).
    fn set_real_client(&mut self, client: SocketAddr) -> bool;

    /// Who was noted as the real client of what the frame carries. Of a packet of which nobody was, it says nothing that is true:
    /// ask its [`Parts`](super::Parts::has_real_client) first.
    fn real_client(&self) -> Option<SocketAddr>;

    /// Asks the device to fill in checksums on transmission; `None` asks for none. Also forgets what the device said
    /// on reception. A received buffer asks for nothing until this is called.
    fn set_tx_checksum(&mut self, request: Option<TxChecksum>);

    /// Asks the device to insert a VLAN tag (type 0x8100) with this control information on transmission: the frame in
    /// memory has none. `None` asks for none. Independent of [`set_tx_checksum`](Self::set_tx_checksum), in any order.
    ///
    /// False, and nothing asked for, if the tag cannot be inserted: the buffer is shared or has several segments, or no
    /// room before its frame, where some drivers put it. Then write the tag into the frame.
    #[must_use]
    fn set_tx_vlan(&mut self, tci: Option<u16>) -> bool;

    /// Hints that the packet's first bytes will be needed soon.
    fn prefetch(&self);
}

/// Bytes of a [`PacketBuf::real_client`] in memory.
#[cfg(any(feature = "dpdk", test))]
pub(crate) const CLIENT_LEN: usize = 20;

/// A real client as it is kept in memory: an address, an IPv4 one among IPv6's by RFC 4291 2.5.5.2, and a port.
#[cfg(any(feature = "dpdk", test))]
pub(crate) fn client_bytes(client: SocketAddr) -> [u8; CLIENT_LEN] {
    let mut bytes = [0; CLIENT_LEN];
    let addr = match client.ip() {
        IpAddr::V4(addr) => addr.to_ipv6_mapped(),
        IpAddr::V6(addr) => addr,
    };
    if let Some((front, back)) = bytes.split_first_chunk_mut::<16>() {
        *front = addr.octets();
        back.iter_mut().zip(client.port().to_be_bytes()).for_each(|(to, from)| *to = from);
    }
    bytes
}

/// The real client that [`client_bytes`] made these of.
// V05: no client has such an address itself, as no packet may.
#[cfg(any(feature = "dpdk", test))]
pub(crate) fn client_of(bytes: &[u8; CLIENT_LEN]) -> Option<SocketAddr> {
    let (addr, port) = bytes.split_first_chunk::<16>()?;
    let addr = Ipv6Addr::from(*addr);
    let ip = addr.to_ipv4_mapped().map_or(IpAddr::V6(addr), |v4: Ipv4Addr| v4.into());
    Some(SocketAddr::new(ip, port.first_chunk().map(|port| u16::from_be_bytes(*port))?))
}

/// Where buffers come from. Any thread may take from it.
pub trait BufPool: Send + core::fmt::Debug {
    /// What it holds.
    type Buf: PacketBuf;

    /// An empty buffer (`data().len() == 0`); `None` when the pool is exhausted.
    fn alloc(&self) -> Option<Self::Buf>;

    /// An empty buffer that [`LARGE_ROOM`] bytes fit into; `None` when there is none left. There are few: it is for the
    /// body of a packet, and for a frame that came in more segments than one ordinary buffer holds.
    fn alloc_large(&self) -> Option<Self::Buf>;

    /// A buffer that holds a copy of `frame`; `None` when the pool is exhausted or the frame does not fit.
    fn alloc_copy(&self, frame: &[u8]) -> Option<Self::Buf> {
        let mut buf = self.alloc()?;
        if !buf.set_len(frame.len()) {
            return None;
        }
        buf.unique()?.copy_from_slice(frame);
        Some(buf)
    }
}

/// The first `len` bytes of the frame of `buf`, whose segments are several, in one buffer, and whether that is a large one,
/// as none else has room. `None`: no buffer was free, or the frame is shorter, or larger than any.
// E17: nothing that follows has to know that a frame may lie in pieces.
pub fn linearise<P: BufPool>(buf: &P::Buf, len: usize, pool: &P) -> Option<(P::Buf, bool)> {
    let mut whole = pool.alloc()?;
    let is_large = !whole.set_len(len);
    if is_large {
        whole = pool.alloc_large()?;
        if !whole.set_len(len) {
            return None;
        }
    }
    let copied = buf.copy_out(0, whole.unique()?);
    whole.copy_rx_meta(buf);
    (copied == len).then_some((whole, is_large))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_in_memory_is_the_client() {
        for client in ["203.0.113.9:8080", "0.0.0.0:0", "[2001:db8::9]:65535", "[::]:1"] {
            let client: SocketAddr = client.parse().unwrap();
            assert_eq!(client_of(&client_bytes(client)), Some(client));
        }
    }
}
