//! Buffers and the finite pool they come from.
//!
//! All storage is made when the pool is. A buffer that goes home is filled with [`POISON`], so that a byte of an old
//! packet can never be taken for one of a new packet (E09), and waits there for the next allocation: nothing is asked
//! of the heap after the start.

use core::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::io::{BufPool, LARGE_ROOM, PacketBuf, RxMeta, TxChecksum};

/// What unused bytes of a buffer hold.
pub const POISON: u8 = 0xa5;

/// Bytes of one buffer unless said otherwise: a frame of the usual link, a tag, and room to spare.
pub const ROOM: usize = 2048;

/// The memory behind the handles to one packet.
#[derive(Debug)]
struct Storage {
    bytes: Box<[u8]>,
    len: usize,
    /// What was ever written since the buffer was taken: to be poisoned when it goes home.
    touched: usize,
    /// Where the first segment ends, for a packet that pretends to lie in several.
    segment: Option<usize>,
    body: Option<SimBuf>,
    rx: RxMeta,
    tx: Option<TxChecksum>,
    tx_vlan: Option<u16>,
    client: Option<SocketAddr>,
}

impl Storage {
    fn new(room: usize) -> Self {
        Self {
            bytes: vec![POISON; room].into(),
            len: 0,
            touched: 0,
            segment: None,
            body: None,
            rx: RxMeta::default(),
            tx: None,
            tx_vlan: None,
            client: None,
        }
    }

    fn frame(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    fn is_large(&self) -> bool {
        self.bytes.len() == LARGE_ROOM
    }

    /// Makes it as good as new. Returns its body.
    fn clear(&mut self) -> Option<SimBuf> {
        let Self { bytes, len, touched, segment, body, rx, tx, tx_vlan, client } = self;
        if let Some(used) = bytes.get_mut(..*touched) {
            used.fill(POISON);
        }
        (*len, *touched, *segment, *rx) = (0, 0, None, RxMeta::default());
        (*tx, *tx_vlan, *client) = (None, None, None);
        body.take()
    }
}

/// A packet in the simulator.
#[derive(Debug)]
pub struct SimBuf {
    /// `None` only while it is being dropped.
    storage: Option<Arc<Storage>>,
    pool: Arc<Shared>,
}

impl SimBuf {
    fn storage_mut(&mut self) -> Option<&mut Storage> {
        let storage = Arc::get_mut(self.storage.as_mut()?)?;
        (storage.segment.is_none() && storage.body.is_none()).then_some(storage)
    }

    /// All bytes of the frame, those behind the first segment included: what a device puts on the wire.
    #[must_use]
    pub fn frame(&self) -> &[u8] {
        self.storage.as_deref().map_or(&[], Storage::frame)
    }

    /// The checksums that the device was asked for.
    #[must_use]
    pub fn tx_checksum(&self) -> Option<TxChecksum> {
        self.storage.as_deref().and_then(|s| s.tx)
    }

    /// The VLAN tag that the device was asked for.
    #[must_use]
    pub fn tx_vlan(&self) -> Option<u16> {
        self.storage.as_deref().and_then(|s| s.tx_vlan)
    }

    /// Sets what the device says of the packet on reception. For devices.
    pub fn set_rx_meta(&mut self, meta: RxMeta) {
        if let Some(storage) = self.storage_mut() {
            storage.rx = meta;
        }
    }

    /// Lets the packet pretend that its first segment ends after `len` bytes. For devices.
    pub fn split_at(&mut self, len: usize) {
        if let Some(storage) = self.storage_mut() {
            storage.segment = (len < storage.len).then_some(len);
        }
    }
}

impl PacketBuf for SimBuf {
    fn data(&self) -> &[u8] {
        let segment = self.storage.as_deref().and_then(|s| s.segment);
        let frame = self.frame();
        segment.and_then(|end| frame.get(..end)).unwrap_or(frame)
    }

    fn is_single_segment(&self) -> bool {
        self.storage.as_deref().is_some_and(|s| s.segment.is_none() && s.body.is_none())
    }

    fn frame_len(&self) -> usize {
        self.frame().len()
    }

    fn copy_out(&self, offset: usize, out: &mut [u8]) -> usize {
        let from = self.frame().get(offset..).unwrap_or_default();
        let n = from.len().min(out.len());
        out.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
        n
    }

    fn body(&self) -> Option<&[u8]> {
        self.storage.as_deref()?.body.as_ref().map(Self::frame)
    }

    fn body_mut(&mut self) -> Option<&mut [u8]> {
        Arc::get_mut(self.storage.as_mut()?)?.body.as_mut()?.unique()
    }

    fn attach(&mut self, mut body: Self) -> Result<(), Self> {
        let is_large = body.storage_mut().is_some_and(|body| body.is_large());
        match self.storage_mut() {
            Some(storage) if is_large => {
                storage.body = Some(body);
                Ok(())
            }
            _ => Err(body),
        }
    }

    fn unique(&mut self) -> Option<&mut [u8]> {
        let storage = self.storage_mut()?;
        storage.bytes.get_mut(..storage.len)
    }

    fn set_len(&mut self, len: usize) -> bool {
        let Some(storage) = self.storage_mut() else { return false };
        if len > storage.bytes.len() {
            return false;
        }
        if let Some(added) = storage.bytes.get_mut(storage.len..len) {
            added.fill(0);
        }
        storage.len = len;
        storage.touched = storage.touched.max(len);
        true
    }

    fn trim_front(&mut self, len: usize) -> bool {
        let Some(storage) = self.storage_mut().filter(|s| len <= s.len) else { return false };
        storage.bytes.copy_within(len..storage.len, 0);
        storage.len -= len;
        true
    }

    fn share(&self) -> Self {
        Self { storage: self.storage.clone(), pool: Arc::clone(&self.pool) }
    }

    fn rx_meta(&self) -> RxMeta {
        self.storage.as_deref().map_or_else(RxMeta::default, |s| s.rx)
    }

    fn copy_rx_meta(&mut self, other: &Self) {
        self.set_rx_meta(other.rx_meta());
    }

    fn set_real_client(&mut self, client: SocketAddr) -> bool {
        let storage = self.storage.as_mut().and_then(Arc::get_mut);
        storage.map(|storage| storage.client = Some(client)).is_some()
    }

    fn real_client(&self) -> Option<SocketAddr> {
        self.storage.as_deref()?.client
    }

    fn set_tx_checksum(&mut self, request: Option<TxChecksum>) {
        let storage = self.storage_mut();
        debug_assert!(storage.is_some() || request.is_none(), "a checksum was asked for in a shared packet");
        if let Some(storage) = storage {
            storage.tx = request;
            storage.rx = RxMeta::default();
        }
    }

    fn set_tx_vlan(&mut self, tci: Option<u16>) -> bool {
        let Some(storage) = self.storage_mut() else { return tci.is_none() };
        storage.tx_vlan = tci;
        if tci.is_some() {
            storage.rx.stripped_tci = None;
        }
        true
    }

    fn prefetch(&self) {}
}

impl Drop for SimBuf {
    fn drop(&mut self) {
        if let Some(storage) = self.storage.take() {
            self.pool.give_back(storage);
        }
    }
}

/// A finite pool of [`SimBuf`]s. Clones are handles to the same pool.
#[derive(Clone, Debug)]
pub struct SimPool {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    size: usize,
    large: usize,
    state: Mutex<PoolState>,
}

#[derive(Debug)]
struct PoolState {
    free: Vec<Arc<Storage>>,
    free_large: Vec<Arc<Storage>>,
    lowest: usize,
    asked: u64,
    failed: u64,
    fail_at: Option<u64>,
    exhausted: bool,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, PoolState> {
        // A test that panicked while it held the lock has failed already; the others still count their buffers.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn give_back(&self, mut storage: Arc<Storage>) {
        // Under the lock, so that of two last handles one sees the other gone: the storage never goes to the heap.
        let mut state = self.state();
        let Some(unshared) = Arc::get_mut(&mut storage) else {
            drop(storage);
            return;
        };
        let body = unshared.clear();
        let home = if unshared.is_large() { &mut state.free_large } else { &mut state.free };
        home.push(storage);
        // It goes home by the same lock.
        drop(state);
        drop(body);
    }
}

impl SimPool {
    /// A pool of `size` buffers of `room` bytes each, less than [`LARGE_ROOM`], and no large one.
    #[must_use]
    pub fn new(size: usize, room: usize) -> Self {
        Self::with_large(size, room, 0)
    }

    /// The same with `large` large ones beside.
    #[must_use]
    pub fn with_large(size: usize, room: usize, large: usize) -> Self {
        let make = |count, room| -> Vec<_> { (0..count).map(|_| Arc::new(Storage::new(room))).collect() };
        let state = PoolState {
            free: make(size, room.min(LARGE_ROOM - 1)),
            free_large: make(large, LARGE_ROOM),
            lowest: size,
            asked: 0,
            failed: 0,
            fail_at: None,
            exhausted: false,
        };
        Self { shared: Arc::new(Shared { size, large, state: Mutex::new(state) }) }
    }

    /// How many large buffers are out: as bodies, above all.
    #[must_use]
    pub fn outstanding_large(&self) -> usize {
        self.shared.large - self.shared.state().free_large.len()
    }

    /// A buffer from one of the lists, unless told to refuse it.
    fn take(&self, from: impl FnOnce(&mut PoolState) -> Option<Arc<Storage>>) -> Option<SimBuf> {
        let mut state = self.shared.state();
        state.asked += 1;
        let refused = state.exhausted || state.fail_at == Some(state.asked);
        let storage = if refused { None } else { from(&mut state) };
        if storage.is_none() {
            state.failed += 1;
        }
        state.lowest = state.lowest.min(state.free.len());
        Some(SimBuf { storage: Some(storage?), pool: Arc::clone(&self.shared) })
    }

    /// How many buffers it has, the large ones left out.
    #[must_use]
    pub fn size(&self) -> usize {
        self.shared.size
    }

    /// How many are free.
    #[must_use]
    pub fn free(&self) -> usize {
        self.shared.state().free.len()
    }

    /// How many are out: in rings, queues and hands. Zero when a world is quiet, or it leaks.
    #[must_use]
    pub fn outstanding(&self) -> usize {
        self.size() - self.free()
    }

    /// The fewest that were ever free.
    #[must_use]
    pub fn lowest(&self) -> usize {
        self.shared.state().lowest
    }

    /// How many allocations were refused.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.shared.state().failed
    }

    /// Refuses the `n`-th allocation from now; 1 is the next.
    pub fn fail_nth(&self, n: u64) {
        let mut state = self.shared.state();
        state.fail_at = Some(state.asked + n);
    }

    /// Refuses every allocation, until told otherwise.
    pub fn set_exhausted(&self, exhausted: bool) {
        self.shared.state().exhausted = exhausted;
    }
}

impl BufPool for SimPool {
    type Buf = SimBuf;

    fn alloc(&self) -> Option<SimBuf> {
        self.take(|state| state.free.pop())
    }

    fn alloc_large(&self) -> Option<SimBuf> {
        self.take(|state| state.free_large.pop())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::linearise;

    #[test]
    fn a_pool_is_finite_and_gets_everything_back() {
        let pool = SimPool::new(2, ROOM);
        let a = pool.alloc().unwrap();
        let b = pool.alloc_copy(b"frame").unwrap();
        assert!(pool.alloc().is_none());
        assert_eq!((pool.outstanding(), pool.failed(), pool.lowest()), (2, 1, 0));
        assert_eq!(b.data(), b"frame");
        drop((a, b));
        assert_eq!(pool.outstanding(), 0);
    }

    #[test]
    fn a_shared_packet_is_writable_by_no_one_and_goes_home_once() {
        let pool = SimPool::new(1, ROOM);
        let mut a = pool.alloc_copy(b"frame").unwrap();
        assert!(a.unique().is_some());
        let mut b = a.share();
        assert!(a.unique().is_none() && b.unique().is_none());
        assert!(!a.set_len(3) && b.data() == b"frame");
        drop(a);
        assert_eq!(pool.outstanding(), 1);
        assert!(b.unique().is_some());
        drop(b);
        assert_eq!((pool.outstanding(), pool.free()), (0, 1));
    }

    // E09, CVE-2003-0001: what is appended is zeros, whatever the buffer held before.
    #[test]
    fn what_is_appended_is_zeros_after_a_cut_and_after_a_life() {
        let pool = SimPool::new(1, 64);
        let mut buf = pool.alloc_copy(&[7; 64]).unwrap();
        assert!(buf.set_len(2) && buf.set_len(4));
        assert_eq!(buf.data(), [7, 7, 0, 0]);
        drop(buf);
        let mut buf = pool.alloc().unwrap();
        assert!(buf.data().is_empty() && buf.set_len(64));
        assert_eq!(buf.data(), [0; 64]);
        assert!(!buf.set_len(65));
        assert_eq!(buf.data().len(), 64);
    }

    #[test]
    fn the_nth_allocation_fails_if_told_to() {
        let pool = SimPool::new(4, ROOM);
        pool.fail_nth(2);
        assert!(pool.alloc().is_some());
        assert!(pool.alloc().is_none());
        assert!(pool.alloc().is_some());
        pool.set_exhausted(true);
        assert!(pool.alloc().is_none());
        pool.set_exhausted(false);
        assert!(pool.alloc().is_some());
    }

    #[test]
    fn a_frame_that_does_not_fit_costs_no_buffer() {
        let pool = SimPool::new(1, 60);
        assert!(pool.alloc_copy(&[0; 61]).is_none());
        assert_eq!(pool.outstanding(), 0);
    }

    #[test]
    fn a_packet_in_segments_shows_the_first_and_is_not_writable() {
        let pool = SimPool::new(1, ROOM);
        let mut buf = pool.alloc_copy(b"header and payload").unwrap();
        buf.split_at(6);
        assert_eq!((buf.data(), buf.is_single_segment()), (&b"header"[..], false));
        assert_eq!(buf.frame(), b"header and payload");
        assert!(buf.unique().is_none() && !buf.set_len(5));
    }

    #[test]
    fn a_frame_in_segments_is_copied_out_whole_and_made_one() {
        let pool = SimPool::with_large(3, 20, 1);
        let mut buf = pool.alloc_copy(b"header and payload").unwrap();
        buf.set_rx_meta(RxMeta { stripped_tci: Some(5), ..RxMeta::default() });
        buf.split_at(6);
        assert_eq!(buf.frame_len(), 18);
        let mut out = [0; 7];
        assert_eq!((buf.copy_out(4, &mut out), &out), (7, b"er and "));
        assert_eq!((buf.copy_out(16, &mut out), &out[..2]), (2, &b"ad"[..]));
        assert_eq!(buf.copy_out(19, &mut out), 0);
        let (whole, _) = linearise(&buf, buf.frame_len(), &pool).unwrap();
        assert_eq!((whole.data(), whole.is_single_segment()), (&b"header and payload"[..], true));
        assert_eq!(whole.rx_meta().stripped_tci, Some(5));
        assert_eq!(pool.outstanding_large(), 0);
    }

    #[test]
    fn a_frame_too_large_for_an_ordinary_buffer_takes_a_large_one() {
        let (wire, pool) = (SimPool::new(1, 9000), SimPool::with_large(1, 100, 1));
        let mut buf = wire.alloc_copy(&[9; 9000]).unwrap();
        buf.split_at(100);
        let (whole, is_large) = linearise(&buf, buf.frame_len(), &pool).unwrap();
        assert_eq!((whole.data().len(), pool.outstanding(), pool.outstanding_large()), (9000, 0, 1));
        assert!(is_large && linearise(&buf, 9000, &pool).is_none());
        drop(whole);
        assert_eq!((pool.outstanding(), pool.outstanding_large()), (0, 0));
    }

    #[test]
    fn a_body_lives_and_dies_with_its_head() {
        let pool = SimPool::with_large(2, ROOM, 1);
        let mut head = pool.alloc_copy(b"head").unwrap();
        let small = pool.alloc().unwrap();
        assert!(head.attach(small).is_err(), "an ordinary buffer is no body");
        let mut body = pool.alloc_large().unwrap();
        assert!(pool.alloc_large().is_none());
        assert!(body.set_len(65_535) && body.unique().is_some());
        assert!(head.body().is_none() && head.attach(body).is_ok());
        assert_eq!((head.data(), head.frame_len(), head.is_single_segment()), (&b"head"[..], 4, false));
        assert!(head.unique().is_none() && !head.set_len(3));
        head.body_mut().unwrap()[65_534] = 7;
        assert_eq!(head.body().unwrap()[65_534], 7);
        let shared = head.share();
        assert!(head.body_mut().is_none() && shared.body().is_some());
        drop((head, shared));
        assert_eq!((pool.outstanding(), pool.outstanding_large()), (0, 0));
        let mut large = pool.alloc_large().unwrap();
        assert!(large.data().is_empty() && large.set_len(1) && large.data() == [0]);
    }

    #[test]
    fn a_request_for_checksums_forgets_what_the_device_said_on_reception() {
        let pool = SimPool::new(1, ROOM);
        let mut buf = pool.alloc().unwrap();
        buf.set_rx_meta(RxMeta { rss_hash: Some(9), ..RxMeta::default() });
        assert_eq!(buf.rx_meta().rss_hash, Some(9));
        let request = Some(TxChecksum { ip: true, udp: true, ipv6: false, l2_len: 14, l3_len: 20 });
        buf.set_tx_checksum(request);
        assert_eq!((buf.tx_checksum(), buf.rx_meta()), (request, RxMeta::default()));
    }

    #[test]
    fn a_request_for_a_tag_stands_beside_one_for_checksums() {
        let pool = SimPool::new(1, ROOM);
        let mut buf = pool.alloc().unwrap();
        buf.set_rx_meta(RxMeta { stripped_tci: Some(7), ..RxMeta::default() });
        assert!(buf.set_tx_vlan(Some(100)));
        assert_eq!(buf.rx_meta().stripped_tci, None);
        let request = Some(TxChecksum { ip: true, udp: true, ipv6: false, l2_len: 14, l3_len: 20 });
        buf.set_tx_checksum(request);
        assert_eq!((buf.tx_checksum(), buf.tx_vlan()), (request, Some(100)));
        let shared = buf.share();
        assert!(!buf.set_tx_vlan(Some(5)), "it is not ours alone");
        assert_eq!(buf.tx_vlan(), Some(100));
        drop(shared);
        assert!(buf.set_tx_vlan(None));
        assert_eq!((buf.tx_checksum(), buf.tx_vlan()), (request, None));
        assert!(buf.set_tx_vlan(Some(100)));
        drop(buf);
        assert_eq!(pool.alloc().unwrap().tx_vlan(), None, "forgotten with the packet");
    }
}
