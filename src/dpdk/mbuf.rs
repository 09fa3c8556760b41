//! Packet buffers: `rte_mbuf`, owned.
//!
//! An [`Mbuf`] is one pointer, and so is `Option<Mbuf>`: a [`Burst`](crate::io::Burst) of them is the array that a driver
//! fills and takes from. Fields are reached by the offsets that the shim exports, for their names move between releases.

use core::mem::{ManuallyDrop, align_of, size_of};
use core::net::SocketAddr;
use core::ptr::NonNull;
use core::slice;
use core::sync::atomic::{AtomicU16, AtomicU64, Ordering};

use dpdk_sys as sys;

use super::together::are_unique;

use crate::io::{CLIENT_LEN, ChecksumStatus, PacketBuf, RxMeta, TxChecksum, client_bytes, client_of};

/// An `rte_mbuf` and the duty to free it.
///
/// # Invariant
/// The pointer came from a pool of the running EAL, and this handle owns one of the references that are counted in it.
/// What DPDK promises of an mbuf holds: `data_off + data_len <= buf_len` bytes lie at `buf_addr`, initialised.
#[repr(transparent)]
pub struct Mbuf(NonNull<sys::rte_mbuf>);

// `Option<Mbuf>` is what a driver calls `struct rte_mbuf *`.
const _: () = assert!(size_of::<Option<Mbuf>>() == size_of::<*mut sys::rte_mbuf>());
const _: () = assert!(align_of::<Option<Mbuf>>() == align_of::<*mut sys::rte_mbuf>());
// `unique` reads data_off, refcnt, nb_segs and port as one word.
pub(super) const REARM: usize = sys::SHIM_MBUF_DATA_OFF as usize;
const _: () = assert!(REARM.is_multiple_of(8));
const _: () = assert!(sys::SHIM_MBUF_REFCNT as usize == REARM + 2);
const _: () = assert!(sys::SHIM_MBUF_NB_SEGS as usize == REARM + 4);
const _: () = assert!(sys::SHIM_MBUF_PORT as usize == REARM + 6);
const _: () =
    assert!(sys::SHIM_MBUF_OL_FLAGS.is_multiple_of(8) && sys::SHIM_MBUF_TX_OFFLOAD.is_multiple_of(8));
// The two bits of a checksum's state mean: neither, unknown; both, none.
const _: () = assert!(sys::SHIM_RX_IP_CKSUM_BAD & sys::SHIM_RX_IP_CKSUM_GOOD == 0);
const _: () = assert!(sys::SHIM_RX_L4_CKSUM_BAD & sys::SHIM_RX_L4_CKSUM_GOOD == 0);

/// The bytes of `data_off, refcnt, nb_segs, port` in memory, as a number.
const fn rearm(data_off: u16, refcnt: u16, nb_segs: u16, port: u16) -> u64 {
    let [a, b] = data_off.to_ne_bytes();
    let [c, d] = refcnt.to_ne_bytes();
    let [e, f] = nb_segs.to_ne_bytes();
    let [g, h] = port.to_ne_bytes();
    u64::from_ne_bytes([a, b, c, d, e, f, g, h])
}
pub(super) const REARM_MASK: u64 = rearm(0, u16::MAX, u16::MAX, 0);
pub(super) const REARM_UNIQUE: u64 = rearm(0, 1, 1, 0);

/// Whether this word says: one reference, one segment.
#[inline]
pub(super) const fn is_one(rearm: u64) -> bool {
    rearm & REARM_MASK == REARM_UNIQUE
}

/// Whether one of `asked` is among `flags`. Flags are in both ends of their word: turned, those that are asked for here lie in one
/// half, and in what an instruction can hold.
#[inline]
#[expect(
    clippy::cast_possible_truncation,
    reason = "the half with what is asked for is compared, the other otherwise"
)]
const fn has_any(flags: u64, asked: u64) -> bool {
    const TURN: u32 = 3;
    let turned = asked.rotate_left(TURN);
    if turned <= i32::MAX as u64 {
        flags.rotate_left(TURN) as u32 & turned as u32 != 0
    } else {
        flags & asked != 0
    }
}

/// What the device said on reception, beside the values that go with it.
const SAID: u64 = sys::SHIM_RX_IP_CKSUM_GOOD
    | sys::SHIM_RX_IP_CKSUM_BAD
    | sys::SHIM_RX_L4_CKSUM_GOOD
    | sys::SHIM_RX_L4_CKSUM_BAD
    | sys::SHIM_RX_VLAN_STRIPPED
    | sys::SHIM_RX_RSS_HASH;

/// The size of a large buffer, whose data begin where it does. No driver fills such, so that the second segment of a
/// received frame is not taken for a body.
const LARGE: u16 = u16::MAX;

/// What the device said of the bytes. The RSS hash and the time stamp that a driver may add say nothing of them.
pub(super) const TOLD: u64 = SAID & !sys::SHIM_RX_RSS_HASH;

pub(super) const INDIRECT: u64 = sys::SHIM_MBUF_INDIRECT | sys::SHIM_MBUF_EXTERNAL;

/// What we ask of the device on transmission, but for the tag.
const TX_CHECKSUMS: u64 =
    sys::SHIM_TX_IPV4 | sys::SHIM_TX_IPV6 | sys::SHIM_TX_IP_CKSUM | sys::SHIM_TX_UDP_CKSUM;

/// Bytes of a VLAN tag.
const TAG_LEN: u16 = 4;

/// Handles on one buffer, half of what the counter can count. Beyond it, counting is no longer safe.
const SHARES_MAX: u16 = u16::MAX / 2;

// SAFETY: the pool is safe to use from every thread, and a handle has one owner. Handles on the same buffer, on other
// threads, read only what nobody writes while the buffer is shared, and the rest as atomics.
unsafe impl Send for Mbuf {}

impl Mbuf {
    /// Takes over a reference.
    ///
    /// # Safety
    /// The pointer is of an mbuf of the running EAL's, valid as DPDK defines it, and the caller owns one reference, which
    /// it gives up.
    #[inline]
    pub(super) unsafe fn from_raw(mbuf: NonNull<sys::rte_mbuf>) -> Self {
        Self(mbuf)
    }

    /// Lets the data of a fresh buffer begin where the buffer does.
    #[inline]
    pub(super) fn take_headroom(&mut self) {
        if self.is_unique() && self.data_len() == 0 {
            // SAFETY: an aligned field of a unique buffer, in which there are no data yet.
            unsafe { self.field::<u16>(sys::SHIM_MBUF_DATA_OFF).write(0) };
        }
    }

    /// Makes `frame` what a fresh buffer holds. False, and nothing changed, if it is too small.
    ///
    /// # Safety
    /// The buffer was just taken from its pool: this is the one handle, and it is direct and has one segment. Whether it is so could be asked, but the
    /// answer would wait for all that was written before, as it is one word of several that the pool has written.
    #[inline]
    pub(super) unsafe fn hold(&mut self, frame: &[u8]) -> bool {
        let room = usize::from(self.read::<u16>(sys::SHIM_MBUF_BUF_LEN))
            .saturating_sub(usize::from(self.read::<u16>(sys::SHIM_MBUF_DATA_OFF)));
        let Some(len) = u16::try_from(frame.len()).ok().filter(|_| frame.len() <= room) else { return false };
        // SAFETY: inside the buffer, since `len <= room`; nobody else has it, and `frame` lies elsewhere.
        unsafe { self.data_ptr().copy_from_nonoverlapping(frame.as_ptr(), frame.len()) };
        // SAFETY: an aligned field of a unique buffer; `len` bytes are initialised.
        unsafe { self.field::<u16>(sys::SHIM_MBUF_DATA_LEN).write(len) };
        // SAFETY: as above; the buffer has one segment, so the packet is as long.
        unsafe { self.field::<u32>(sys::SHIM_MBUF_PKT_LEN).write(u32::from(len)) };
        true
    }

    /// The address of the field at `offset`.
    #[inline]
    pub(super) fn field<T>(&self, offset: u32) -> *mut T {
        debug_assert!(offset as usize + size_of::<T>() <= sys::SHIM_MBUF_SIZE as usize);
        // SAFETY: an mbuf is SHIM_MBUF_SIZE bytes long, and every offset of the shim is of a field of it.
        unsafe { self.0.as_ptr().cast::<u8>().add(offset as usize) }.cast::<T>()
    }

    /// A field that nobody writes while the buffer is shared.
    #[inline]
    fn read<T: Copy>(&self, offset: u32) -> T {
        // SAFETY: the shim's offsets are those of aligned, initialised fields; only the owner of a unique buffer writes
        // them, who has `&mut`.
        unsafe { self.field::<T>(offset).read() }
    }

    /// A field that is written while others may read it. Relaxed loads and stores of it are plain moves.
    #[inline]
    fn atomic(&self, offset: u32) -> &AtomicU64 {
        // SAFETY: aligned (asserted above), alive as long as `self`, and other handles use it as an atomic, too.
        unsafe { AtomicU64::from_ptr(self.field::<u64>(offset)) }
    }

    #[inline]
    fn ol_flags(&self) -> u64 {
        self.atomic(sys::SHIM_MBUF_OL_FLAGS).load(Ordering::Relaxed)
    }

    #[inline]
    fn data_ptr(&self) -> *mut u8 {
        let base = self.read::<*mut u8>(sys::SHIM_MBUF_BUF_ADDR);
        let offset = self.read::<u16>(sys::SHIM_MBUF_DATA_OFF);
        // SAFETY: a buffer is somewhere: that saves whoever makes a slice of it an `Option` to look into.
        unsafe { core::hint::assert_unchecked(!base.is_null()) };
        // SAFETY: the data begin inside the buffer, by the type's invariant.
        unsafe { base.add(usize::from(offset)) }
    }

    /// Bytes in all segments.
    #[inline]
    pub(super) fn packet_len(&self) -> u32 {
        self.read(sys::SHIM_MBUF_PKT_LEN)
    }

    #[inline]
    fn data_len(&self) -> usize {
        usize::from(self.read::<u16>(sys::SHIM_MBUF_DATA_LEN))
    }

    /// The lengths of the headers of layers 2 and 3, for the device.
    #[inline]
    fn set_lengths(&mut self, l2: u8, l3: u8) {
        let lengths =
            (u64::from(l2) << sys::SHIM_MBUF_L2_LEN_SHIFT) | (u64::from(l3) << sys::SHIM_MBUF_L3_LEN_SHIFT);
        self.atomic(sys::SHIM_MBUF_TX_OFFLOAD).store(lengths, Ordering::Relaxed);
    }

    /// Whether nobody else can see the bytes, and they are all: one reference, direct, one segment.
    #[inline]
    fn is_unique(&self) -> bool {
        // Acquire: what a thread that has given up its handle did with the buffer happened before. A reference that is
        // one stays one, for only its owner could add another. DPDK counts with 16-bit atomics inside this word; on the
        // machines that DPDK runs on a wider aligned load reads them whole.
        let rearm = self.atomic(sys::SHIM_MBUF_DATA_OFF).load(Ordering::Acquire);
        is_one(rearm) && !has_any(self.ol_flags(), INDIRECT)
    }
}

/// Segments behind the first one, and the body.
impl Mbuf {
    /// The segment that follows. It is not a handle: the reference is the head's.
    #[inline]
    fn next(&self) -> Option<ManuallyDrop<Self>> {
        // SAFETY: an aligned, initialised field, which only the owner of a unique packet writes; null in the last one.
        let next = unsafe { self.field::<*mut sys::rte_mbuf>(sys::SHIM_MBUF_NEXT).read() };
        // The segments of a packet are valid mbufs as long as its head is.
        NonNull::new(next).map(|next| ManuallyDrop::new(Self(next)))
    }

    /// Whether it is a buffer of the large pool.
    #[inline]
    fn is_large(&self) -> bool {
        self.read::<u16>(sys::SHIM_MBUF_BUF_LEN) == LARGE && self.read::<u16>(sys::SHIM_MBUF_DATA_OFF) == 0
    }

    /// The body as a segment.
    #[inline]
    fn body_segment(&self) -> Option<ManuallyDrop<Self>> {
        if self.is_single_segment() { None } else { self.next().filter(|next| next.is_large()) }
    }

    /// Sees to it that a driver can put a tag before the frame of a unique buffer. The frame of a large one begins where
    /// its buffer does, and is moved. False if the buffer is full.
    #[inline]
    fn has_room_for_tag(&mut self) -> bool {
        let offset = self.read::<u16>(sys::SHIM_MBUF_DATA_OFF);
        offset >= TAG_LEN || self.move_data(offset, TAG_LEN)
    }

    /// Moves the data of a unique buffer from `offset` to `to`, if there is room behind them.
    #[cold]
    fn move_data(&mut self, offset: u16, to: u16) -> bool {
        let len = self.data_len();
        let room = usize::from(self.read::<u16>(sys::SHIM_MBUF_BUF_LEN));
        if usize::from(to.max(offset)) + len > room {
            return false;
        }
        let base = self.read::<*mut u8>(sys::SHIM_MBUF_BUF_ADDR);
        // SAFETY: the data begin inside the buffer, by the type's invariant.
        let from = unsafe { base.add(usize::from(offset)) };
        // SAFETY: they do so after the move, by the line above.
        let into = unsafe { base.add(usize::from(to)) };
        // SAFETY: both ranges lie inside the buffer, which is unique; they may overlap.
        unsafe { core::ptr::copy(from, into, len) };
        // SAFETY: an aligned field of a unique buffer.
        unsafe { self.field::<u16>(sys::SHIM_MBUF_DATA_OFF).write(to) };
        true
    }

    /// Where in the buffer the real client is noted: at its start, which a driver that puts a tag or a header of its own before
    /// the frame does not reach; or, where the frame begins there, at its end. `None`: there is no room beside the frame.
    fn client_place(&self) -> Option<*mut [u8; CLIENT_LEN]> {
        let (start, len) = (usize::from(self.read::<u16>(sys::SHIM_MBUF_DATA_OFF)), self.data_len());
        let room = usize::from(self.read::<u16>(sys::SHIM_MBUF_BUF_LEN));
        let at = if start >= CLIENT_LEN + usize::from(TAG_LEN) {
            0
        } else {
            room.checked_sub(CLIENT_LEN).filter(|at| start + len <= *at)?
        };
        let base = self.read::<*mut u8>(sys::SHIM_MBUF_BUF_ADDR);
        // SAFETY: `at + CLIENT_LEN` is at most where the frame begins, or the buffer's length: both lie inside the buffer.
        Some(unsafe { base.add(at) }.cast())
    }

    /// Whether this handle is the only one, whatever the number of segments.
    #[inline]
    fn is_unshared(&self) -> bool {
        const MASK: u64 = rearm(0, u16::MAX, 0, 0);
        let rearm_data = self.atomic(sys::SHIM_MBUF_DATA_OFF).load(Ordering::Acquire);
        rearm_data & MASK == rearm(0, 1, 0, 0) && self.ol_flags() & INDIRECT == 0
    }

    /// Takes back what the device said by `flags`. For a buffer that was just received, and is nobody else's.
    #[inline]
    pub(super) fn forget(&mut self, flags: u64) {
        let said = self.ol_flags();
        if said & flags != 0 {
            self.atomic(sys::SHIM_MBUF_OL_FLAGS).store(said & !flags, Ordering::Relaxed);
        }
    }

    /// Calls `f` with the bytes of each segment of the frame, in order, until it is false.
    fn each_segment(&self, mut f: impl FnMut(&[u8]) -> bool) {
        let mut more = f(self.data());
        let mut next = if self.body_segment().is_some() { None } else { self.next() };
        while let Some(segment) = next.filter(|_| more) {
            more = f(segment.data());
            next = segment.next();
        }
    }
}

impl PacketBuf for Mbuf {
    #[inline]
    fn data(&self) -> &[u8] {
        // SAFETY: `data_len` initialised bytes lie there by the type's invariant; who writes them has `&mut` to a unique
        // buffer, so nobody does while this borrow lives.
        unsafe { slice::from_raw_parts(self.data_ptr(), self.data_len()) }
    }

    #[inline]
    fn is_single_segment(&self) -> bool {
        self.read::<u16>(sys::SHIM_MBUF_NB_SEGS) == 1
    }

    #[inline]
    fn frame_len(&self) -> usize {
        if self.is_single_segment() {
            return self.data_len();
        }
        let mut len = 0;
        self.each_segment(|bytes| {
            len += bytes.len();
            true
        });
        len
    }

    fn copy_out(&self, offset: usize, out: &mut [u8]) -> usize {
        let (mut skip, mut done) = (offset, 0);
        self.each_segment(|bytes| {
            let from = bytes.get(skip..).unwrap_or_default();
            skip = skip.saturating_sub(bytes.len());
            let n = from.len().min(out.len() - done);
            if let (Some(to), Some(from)) = (out.get_mut(done..done + n), from.get(..n)) {
                to.copy_from_slice(from);
            }
            done += n;
            done < out.len()
        });
        done
    }

    fn body(&self) -> Option<&[u8]> {
        let body = self.body_segment()?;
        let (start, len) = (body.data_ptr(), body.data_len());
        // SAFETY: as for `data`; the body lives as long as its head, which is borrowed.
        Some(unsafe { slice::from_raw_parts(start, len) })
    }

    fn body_mut(&mut self) -> Option<&mut [u8]> {
        if !self.is_unshared() {
            return None;
        }
        let body = self.body_segment().filter(|body| body.is_unique())?;
        let (start, len) = (body.data_ptr(), body.data_len());
        // SAFETY: as for `unique`: nobody shares the body nor its head, which is borrowed mutably.
        Some(unsafe { slice::from_raw_parts_mut(start, len) })
    }

    fn attach(&mut self, body: Self) -> Result<(), Self> {
        if !(self.is_unique() && body.is_unique() && body.is_large()) {
            return Err(body);
        }
        let len = self.data_len() + body.data_len();
        let body = ManuallyDrop::new(body);
        // SAFETY: an aligned field of a unique buffer with no segment behind it; from here on the body's reference is
        // given up with the head's, by `rte_pktmbuf_free`.
        unsafe { self.field::<*mut sys::rte_mbuf>(sys::SHIM_MBUF_NEXT).write(body.0.as_ptr()) };
        // SAFETY: as above; nobody else reads the word that it is a part of.
        unsafe { self.field::<u16>(sys::SHIM_MBUF_NB_SEGS).write(2) };
        // SAFETY: as above; two 16-bit lengths fit.
        unsafe { self.field::<u32>(sys::SHIM_MBUF_PKT_LEN).write(u32::try_from(len).unwrap_or(u32::MAX)) };
        Ok(())
    }

    #[inline]
    fn is_plain(&self) -> bool {
        let rearm = self.atomic(sys::SHIM_MBUF_DATA_OFF).load(Ordering::Relaxed);
        is_one(rearm) && !has_any(self.ol_flags(), TOLD | INDIRECT)
    }

    // What one of them has is there in all that they have together: one compare for all.
    #[inline]
    fn are_plain(four: [&Self; 4]) -> bool {
        let rearms =
            four.map(|buf| buf.atomic(sys::SHIM_MBUF_DATA_OFF).load(Ordering::Relaxed) ^ REARM_UNIQUE);
        let flags = four.map(Self::ol_flags);
        let (unlike, flags) =
            (rearms.into_iter().fold(0, |a, b| a | b), flags.into_iter().fold(0, |a, b| a | b));
        unlike & REARM_MASK == 0 && !has_any(flags, TOLD | INDIRECT)
    }

    #[inline]
    fn unique(&mut self) -> Option<&mut [u8]> {
        if !self.is_unique() {
            return None;
        }
        // SAFETY: as for `data`; no other handle exists, and this one is borrowed mutably.
        Some(unsafe { slice::from_raw_parts_mut(self.data_ptr(), self.data_len()) })
    }

    #[inline]
    fn unique_four(four: [&mut Self; 4]) -> Option<[&mut [u8]; 4]> {
        if !are_unique(four.each_ref().map(|buf| &**buf)) {
            return None;
        }
        // SAFETY: as for `unique`, of each of the four, which are four handles.
        Some(four.map(|buf| unsafe { slice::from_raw_parts_mut(buf.data_ptr(), buf.data_len()) }))
    }

    // E09, CVE-2003-0001: what is appended is zeros, never what lay there before.
    #[inline]
    fn set_len(&mut self, len: usize) -> bool {
        let room = usize::from(self.read::<u16>(sys::SHIM_MBUF_BUF_LEN))
            .saturating_sub(usize::from(self.read::<u16>(sys::SHIM_MBUF_DATA_OFF)));
        if len > room || !self.is_unique() {
            return false;
        }
        let Ok(new) = u16::try_from(len) else { return false };
        let old = self.data_len();
        if len > old {
            // SAFETY: inside the buffer, since `old < len <= room`.
            let end = unsafe { self.data_ptr().add(old) };
            // SAFETY: as above; the buffer is unique, and what lies behind its data belongs to nobody else.
            unsafe { end.write_bytes(0, len - old) };
        }
        // SAFETY: an aligned field of a unique buffer; `new` bytes are initialised.
        unsafe { self.field::<u16>(sys::SHIM_MBUF_DATA_LEN).write(new) };
        // SAFETY: as above; the buffer has one segment, so the packet is as long.
        unsafe { self.field::<u32>(sys::SHIM_MBUF_PKT_LEN).write(u32::from(new)) };
        true
    }

    #[inline]
    fn trim_front(&mut self, len: usize) -> bool {
        let (old, offset) = (self.data_len(), self.read::<u16>(sys::SHIM_MBUF_DATA_OFF));
        let (Ok(by), Some(rest)) = (u16::try_from(len), old.checked_sub(len)) else { return false };
        let (Ok(rest), Some(offset)) = (u16::try_from(rest), offset.checked_add(by)) else { return false };
        if !self.is_unique() {
            return false;
        }
        // SAFETY: an aligned field of a unique buffer; the data end where they did, and begin no later than that.
        unsafe { self.field::<u16>(sys::SHIM_MBUF_DATA_OFF).write(offset) };
        // SAFETY: as above.
        unsafe { self.field::<u16>(sys::SHIM_MBUF_DATA_LEN).write(rest) };
        // SAFETY: as above; the buffer has one segment, so the packet is as long.
        unsafe { self.field::<u32>(sys::SHIM_MBUF_PKT_LEN).write(u32::from(rest)) };
        true
    }

    #[inline]
    fn share(&self) -> Self {
        // SAFETY: an aligned field that everybody uses as an atomic of this width or a load of its word.
        let references = unsafe { AtomicU16::from_ptr(self.field::<u16>(sys::SHIM_MBUF_REFCNT)) };
        if references.load(Ordering::Relaxed) >= SHARES_MAX {
            // As for `Arc`: a counter that wraps would free memory in use, and nobody holds so many honestly.
            std::process::abort();
        }
        // SAFETY: this handle owns a reference, so the buffer is alive; the new one is owned by what is returned. Every
        // segment is counted, as `rte_pktmbuf_free` gives up one of each.
        unsafe { sys::shim_pktmbuf_refcnt_update(self.0.as_ptr(), 1) };
        Self(self.0)
    }

    #[inline]
    fn rx_meta(&self) -> RxMeta {
        let flags = self.ol_flags();
        let has = |flag: u64| flags & flag != 0;
        RxMeta {
            ip_checksum: status(has(sys::SHIM_RX_IP_CKSUM_GOOD), has(sys::SHIM_RX_IP_CKSUM_BAD)),
            l4_checksum: status(has(sys::SHIM_RX_L4_CKSUM_GOOD), has(sys::SHIM_RX_L4_CKSUM_BAD)),
            stripped_tci: has(sys::SHIM_RX_VLAN_STRIPPED).then(|| self.read::<u16>(sys::SHIM_MBUF_VLAN_TCI)),
            rss_hash: has(sys::SHIM_RX_RSS_HASH).then(|| self.read::<u32>(sys::SHIM_MBUF_RSS)),
        }
    }

    fn copy_rx_meta(&mut self, other: &Self) {
        if !self.is_unique() {
            return;
        }
        let flags = self.atomic(sys::SHIM_MBUF_OL_FLAGS);
        flags.store(self.ol_flags() & !SAID | other.ol_flags() & SAID, Ordering::Relaxed);
        let (tci, rss) = (other.read::<u16>(sys::SHIM_MBUF_VLAN_TCI), other.read::<u32>(sys::SHIM_MBUF_RSS));
        // SAFETY: an aligned field of a unique buffer.
        unsafe { self.field::<u16>(sys::SHIM_MBUF_VLAN_TCI).write(tci) };
        // SAFETY: as above.
        unsafe { self.field::<u32>(sys::SHIM_MBUF_RSS).write(rss) };
    }

    fn set_real_client(&mut self, client: SocketAddr) -> bool {
        let Some(place) = self.client_place().filter(|_| self.is_unshared()) else { return false };
        // SAFETY: inside the buffer and beside the frame, of which nobody else has a handle; bytes need no alignment.
        unsafe { place.write(client_bytes(client)) };
        true
    }

    fn real_client(&self) -> Option<SocketAddr> {
        // SAFETY: inside the buffer; only who has the one handle to it writes there, with `&mut`. A pool's memory is
        // initialised: DPDK maps it, and the kernel hands out zeros.
        client_of(&unsafe { self.client_place()?.read() })
    }

    #[inline]
    fn set_tx_checksum(&mut self, request: Option<TxChecksum>) {
        let flags = self.atomic(sys::SHIM_MBUF_OL_FLAGS);
        // Whose memory it is is no offload, and stays; so does a tag to insert.
        let kept = flags.load(Ordering::Relaxed) & (INDIRECT | sys::SHIM_TX_VLAN);
        let Some(TxChecksum { ip, udp, ipv6, l2_len, l3_len }) = request else {
            flags.store(kept, Ordering::Relaxed);
            return;
        };
        let mut asked = if ipv6 { sys::SHIM_TX_IPV6 } else { sys::SHIM_TX_IPV4 };
        if ip {
            asked |= sys::SHIM_TX_IP_CKSUM;
        }
        if udp {
            asked |= sys::SHIM_TX_UDP_CKSUM;
        }
        self.set_lengths(l2_len, l3_len);
        self.atomic(sys::SHIM_MBUF_OL_FLAGS).store(kept | asked, Ordering::Relaxed);
    }

    // Virtual devices' drivers write the tag in front of the frame. vhost's forgets which packet it could not do that
    // to, so that it would be freed twice: none such is ever handed to a driver.
    #[inline]
    fn set_tx_vlan(&mut self, tci: Option<u16>) -> bool {
        let flags = self.ol_flags();
        let Some(tci) = tci else {
            self.atomic(sys::SHIM_MBUF_OL_FLAGS).store(flags & !sys::SHIM_TX_VLAN, Ordering::Relaxed);
            return true;
        };
        if !self.is_unique() || !self.has_room_for_tag() {
            return false;
        }
        if flags & TX_CHECKSUMS == 0 {
            // Some NICs take the place of the tag from the lengths, as testpmd sets them.
            self.set_lengths(14, 20);
        }
        // SAFETY: an aligned field of a unique buffer.
        unsafe { self.field::<u16>(sys::SHIM_MBUF_VLAN_TCI).write(tci) };
        let flags = flags & !sys::SHIM_RX_VLAN_STRIPPED | sys::SHIM_TX_VLAN;
        self.atomic(sys::SHIM_MBUF_OL_FLAGS).store(flags, Ordering::Relaxed);
        true
    }

    #[inline]
    fn prefetch(&self) {
        // A driver has just written the bookkeeping: that is near. It is a hint, and nearly every frame begins there.
        let base = self.read::<*const i8>(sys::SHIM_MBUF_BUF_ADDR);
        prefetch(base.wrapping_add(sys::SHIM_PKTMBUF_HEADROOM as usize));
    }
}

/// What the two bits of a checksum's state say together.
#[inline]
fn status(good: bool, bad: bool) -> ChecksumStatus {
    match (good, bad) {
        (false, false) => ChecksumStatus::Unknown,
        (true, false) => ChecksumStatus::Good,
        (false, true) => ChecksumStatus::Bad,
        (true, true) => ChecksumStatus::None,
    }
}

#[inline]
fn prefetch(address: *const i8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch has no effect that a program can see, whatever the address.
    unsafe {
        core::arch::x86_64::_mm_prefetch::<{ core::arch::x86_64::_MM_HINT_T0 }>(address);
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}

impl Drop for Mbuf {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: this handle owns one reference, given up here and nowhere else.
        unsafe { sys::shim_pktmbuf_free(self.0.as_ptr()) }
    }
}

impl core::fmt::Debug for Mbuf {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Mbuf")
            .field("len", &self.data_len())
            .field("rx_meta", &self.rx_meta())
            .finish_non_exhaustive()
    }
}
