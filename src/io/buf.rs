//! Packet buffers and where they come from.

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
        self.is_single_segment() && self.rx_meta() == RxMeta::default()
    }

    /// The bytes, writable: only if no other handle shares them, and the buffer is direct and has one segment.
    fn unique(&mut self) -> Option<&mut [u8]>;

    /// Makes the frame `len` bytes long, cutting the end or appending zeros. False, and nothing changed, if the buffer
    /// is shared, has several segments, or is too small.
    // E09, CVE-2003-0001: what is appended is zeros, never what lay there before.
    fn set_len(&mut self, len: usize) -> bool;

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

    /// Hints that the packet's bookkeeping and first bytes will be needed soon.
    fn prefetch(&self);
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
