//! Pools of packet buffers.
//!
//! One handle stands for two pools: of ordinary buffers, which devices fill, and of a few large ones, for packets that
//! fragments were put together to.
//!
//! A pool's memory is freed when its last handle is gone *and* every buffer is home; ports hold a handle on theirs. A
//! pool that still has buffers out then is left to the EAL, which does not end before they are home either: so no
//! buffer outlives its memory, without a counter a packet.

use core::ptr::NonNull;
use std::ffi::CString;
use std::sync::Arc;

use dpdk_sys as sys;

use super::eal::{Listener, Shared, lock};
use super::{DpdkError, Eal, Mbuf};
use crate::io::BufPool;

/// A pool of packet buffers; clones are handles on the same pool.
#[derive(Clone, Debug)]
pub struct Mempool(Arc<Inner>);

/// What a pool is to be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MempoolOptions {
    /// Its name, unique in the process, at most 19 bytes.
    pub name: String,
    /// Buffers in it.
    pub count: u32,
    /// Buffers that each lcore keeps at hand; lowered to what DPDK allows.
    pub cache: u32,
    /// Bytes of data in each, headroom included.
    pub data_room: u16,
    /// Large buffers, of [`LARGE_ROOM`](crate::io::LARGE_ROOM) bytes each, that it has beside these.
    pub large: u32,
    /// The NUMA node of its memory; any if absent.
    pub numa_node: Option<u32>,
    /// Whether two lcores, or an lcore and another thread that uses the pool, share a CPU: then one may be interrupted
    /// while it holds the pool's ring, and the others must be able to wait for it without stopping the machine.
    pub shared_cpu: bool,
}

/// Why there is no pool.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "cannot make a pool of {count} packet buffers of {data_room} bytes: {}; give DPDK more memory (eal.memory_mb)",
        error.with_log(log)
)]
pub struct MempoolError {
    /// Buffers asked for.
    pub count: u32,
    /// Bytes in each.
    pub data_room: u16,
    /// DPDK's reason.
    pub error: DpdkError,
    /// What it logged.
    pub log: String,
}

/// A pool's address, valid until it is freed.
#[derive(Debug)]
pub(super) struct PoolPtr {
    pool: NonNull<sys::rte_mempool>,
    count: u32,
}

// SAFETY: the address of a pool, whose functions that are called through it may be called from any thread.
unsafe impl Send for PoolPtr {}
// SAFETY: as above; at the same time, too.
unsafe impl Sync for PoolPtr {}

impl PoolPtr {
    fn free_count(&self) -> u32 {
        // SAFETY: whoever has this has not freed the pool.
        unsafe { sys::rte_mempool_avail_count(self.pool.as_ptr()) }
    }

    /// Buffers that are out.
    pub(super) fn out(&self) -> u32 {
        self.count.saturating_sub(self.free_count())
    }
}

#[derive(Debug)]
struct Inner {
    pool: PoolPtr,
    large: Option<PoolPtr>,
    data_room: u16,
    eal: Arc<Shared>,
}

impl Mempool {
    /// Makes a pool.
    ///
    /// # Errors
    /// DPDK has too little memory, or a pool of this name exists.
    pub fn create(eal: &Eal, options: &MempoolOptions) -> Result<Self, MempoolError> {
        let &MempoolOptions { ref name, count, large, data_room, .. } = options;
        // From here on each pool is freed by whatever return.
        let mut inner = Inner {
            pool: make(name, count, data_room, options)?,
            large: None,
            data_room,
            eal: Arc::clone(eal.shared()),
        };
        if large > 0 {
            inner.large = Some(make(&format!("{name}-large"), large, LARGE_ROOM, options)?);
        }
        Ok(Self(Arc::new(inner)))
    }

    /// Buffers in the pool and in the lcores' caches. A moment's truth.
    #[must_use]
    pub fn free_count(&self) -> u32 {
        self.0.pool.free_count()
    }

    /// Buffers in all.
    #[must_use]
    pub fn size(&self) -> u32 {
        self.0.pool.count
    }

    /// Bytes of a frame that one ordinary buffer holds as a driver fills it.
    pub(super) fn frame_room(&self) -> u32 {
        u32::from(self.0.data_room).saturating_sub(sys::SHIM_PKTMBUF_HEADROOM)
    }

    pub(super) fn as_ptr(&self) -> *mut sys::rte_mempool {
        self.0.pool.pool.as_ptr()
    }
}

/// `SOCKET_ID_ANY`.
const ANY_NODE: i32 = -1;

/// The whole buffer of a large one: its data begin where it does.
const LARGE_ROOM: u16 = u16::MAX;
const _: () = assert!(LARGE_ROOM as usize == crate::io::LARGE_ROOM);

/// One pool of DPDK's.
fn make(name: &str, count: u32, data_room: u16, options: &MempoolOptions) -> Result<PoolPtr, MempoolError> {
    let listener = Listener::new();
    let refused = |error| MempoolError { count, data_room, error, log: listener.heard() };
    let name = CString::new(name).map_err(|_| refused(DpdkError::INVALID))?;
    // DPDK refuses a cache of more than two thirds of the pool.
    let cache = options.cache.min(sys::SHIM_MEMPOOL_CACHE_MAX).min(count / 2);
    // Of the few large ones none may lie idle at an lcore.
    let cache = if data_room == LARGE_ROOM { 0 } else { cache };
    let node = options.numa_node.and_then(|node| i32::try_from(node).ok()).unwrap_or(ANY_NODE);
    let ring = if options.shared_cpu { c"ring_mt_rts" } else { c"ring_mp_mc" };
    // SAFETY: EAL runs, as the caller holds it; both strings end in a zero and are copied.
    let pool = unsafe {
        sys::rte_pktmbuf_pool_create_by_ops(name.as_ptr(), count, cache, 0, data_room, node, ring.as_ptr())
    };
    let pool = NonNull::new(pool).ok_or_else(|| refused(DpdkError::last()))?;
    Ok(PoolPtr { pool, count })
}

impl BufPool for Mempool {
    type Buf = Mbuf;

    #[inline]
    fn alloc(&self) -> Option<Mbuf> {
        // SAFETY: the pool lives as long as its handles.
        let mbuf = unsafe { sys::shim_pktmbuf_alloc(self.as_ptr()) };
        // SAFETY: a fresh buffer, of which this is the one reference.
        NonNull::new(mbuf).map(|mbuf| unsafe { Mbuf::from_raw(mbuf) })
    }

    // Without the zeros that a frame of that length would first be.
    #[inline]
    fn alloc_copy(&self, frame: &[u8]) -> Option<Mbuf> {
        let mut mbuf = self.alloc()?;
        // SAFETY: it was just taken.
        unsafe { mbuf.hold(frame) }.then_some(mbuf)
    }

    #[inline]
    fn alloc_large(&self) -> Option<Mbuf> {
        let large = self.0.large.as_ref()?;
        // SAFETY: as above.
        let mbuf = unsafe { sys::shim_pktmbuf_alloc(large.pool.as_ptr()) };
        // SAFETY: as above.
        let mut mbuf = NonNull::new(mbuf).map(|mbuf| unsafe { Mbuf::from_raw(mbuf) })?;
        mbuf.take_headroom();
        Some(mbuf)
    }
}

impl PoolPtr {
    /// Frees the pool, or leaves it to the EAL if buffers of it are still out.
    fn free(self, eal: &Shared) {
        if self.out() == 0 {
            // SAFETY: no handle is left to take a buffer, none is out, and so no port holds any: it was made by us, and is
            // freed once.
            unsafe { sys::rte_mempool_free(self.pool.as_ptr()) };
        } else {
            lock(&eal.orphaned_pools).push(self);
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let PoolPtr { pool, count } = self.pool;
        // The large ones first: a body goes home with its head.
        self.large.take().into_iter().chain([PoolPtr { pool, count }]).for_each(|pool| pool.free(&self.eal));
    }
}
