//! The rings of a vhost port, with no driver in between.
//!
//! The burst functions of net_vhost call DPDK's vhost library, and then look at each packet again: for tags and sums that nobody has asked
//! for, to count its bytes, and to free it by itself. Here the library is called without them (docs/decisions/vhost-rings.md). The
//! driver keeps all else: the socket, the device's coming and going, the link. What its burst functions do besides copying is done here:
//! to count, to free what was sent, and to keep away from a device that goes.
//!
//! Of that last: the library frees a device as soon as the driver's callback has returned, which itself waits for ours. So whoever is
//! about to touch the device says so first, and only then looks whether there is one; and whoever takes it away does these two in the
//! opposite order.

use core::ffi::{c_int, c_void};
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crossbeam::utils::CachePadded;
use dpdk_sys as sys;

use super::{Mbuf, Mempool};
use crate::io::DeviceStats;

type Dequeue = unsafe extern "C" fn(c_int, u16, *mut sys::rte_mempool, *mut *mut sys::rte_mbuf, u16) -> u16;
type Enqueue = unsafe extern "C" fn(c_int, u16, *mut *mut sys::rte_mbuf, u16) -> u16;

/// No device: nobody is at the other end.
const NONE: c_int = -1;

/// The rings of one port.
#[derive(Debug)]
pub(super) struct Rings {
    port: u16,
    library: Library,
    /// The library's number of the device, or [`NONE`].
    device: AtomicI32,
    /// How many rings it has: of one that it has not, the library complains at each call.
    count: AtomicU16,
    /// One for each ring that we have a queue for.
    places: Box<[CachePadded<Place>]>,
    /// Who looks anew for the device: one at a time.
    looking: Mutex<()>,
}

/// What is called. Kept by value: each is a function's address, in a file that is never unloaded.
#[derive(Clone, Copy, Debug)]
struct Library {
    link_is_up: unsafe extern "C" fn(u16) -> c_int,
    device: unsafe extern "C" fn(u16) -> c_int,
    rings: unsafe extern "C" fn(c_int) -> u16,
    dequeue: Dequeue,
    enqueue: Enqueue,
}

/// One ring's user.
#[derive(Debug, Default)]
struct Place {
    /// Whether it may be touching the device.
    is_inside: AtomicBool,
    /// What it has taken or put. Written by the user of the ring alone.
    packets: AtomicU64,
    /// The bytes of these.
    bytes: AtomicU64,
}

/// The one user of one ring.
#[derive(Debug)]
pub(super) struct Ring {
    rings: Arc<Rings>,
    /// Which, as virtio numbers them: two for each queue pair, first what its guest receives from.
    number: u16,
}

impl Rings {
    /// Those of `port`, which is net_vhost's, is started, and has `queue_pairs`. `None`: this DPDK's vhost library is not to be found, and
    /// the driver does its work as any other.
    pub(super) fn find(port: u16, queue_pairs: u16) -> Option<Arc<Self>> {
        let mut found = sys::shim_vhost { device: None, rings: None, dequeue: None, enqueue: None };
        // SAFETY: the port exists; `found` is written to, or left.
        let ret = unsafe { sys::shim_vhost_find(port, &raw mut found) };
        let (
            0,
            sys::shim_vhost {
                device: Some(device),
                rings: Some(rings),
                dequeue: Some(dequeue),
                enqueue: Some(enqueue),
            },
        ) = (ret, found)
        else {
            return None;
        };
        let library = Library { link_is_up: sys::shim_link_is_up, device, rings, dequeue, enqueue };
        Some(Arc::new(Self::new(port, queue_pairs, library)))
    }

    fn new(port: u16, queue_pairs: u16, library: Library) -> Self {
        let places = (0..2 * queue_pairs).map(|_| CachePadded::default()).collect();
        let (device, count) = (AtomicI32::new(NONE), AtomicU16::new(0));
        Self { port, library, device, count, places, looking: Mutex::new(()) }
    }

    /// Looks for the device: after it has come or before it goes, as the driver tells, and after the port's start. When this returns,
    /// nobody touches a device that was here before and is gone now.
    pub(super) fn look(&self) {
        let _one_at_a_time = self.looking.lock().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: the port is open as long as this is, or is being opened or closed by whoever calls.
        let is_up = unsafe { (self.library.link_is_up)(self.port) } == 1;
        // The link is up as long as the driver knows its device by a number that is true; without one it may tell another's.
        // SAFETY: as above.
        let device = if is_up { unsafe { (self.library.device)(self.port) } } else { NONE };
        // SAFETY: it is freed when the driver has told that it goes, which then waits here for its turn to look.
        let count = if device >= 0 { unsafe { (self.library.rings)(device) } } else { 0 };
        self.count.store(count, Ordering::Relaxed);
        if self.device.swap(device, Ordering::SeqCst) == device {
            return;
        }
        for place in &self.places {
            // A burst's time.
            while place.is_inside.load(Ordering::SeqCst) {
                std::thread::yield_now();
            }
        }
    }

    /// What went through all rings: packets and bytes, each way.
    pub(super) fn passed(&self) -> DeviceStats {
        let (pairs, _) = self.places.as_chunks::<2>();
        pairs.iter().fold(DeviceStats::default(), |sum, [sent, received]| DeviceStats {
            ipackets: sum.ipackets + received.packets.load(Ordering::Relaxed),
            ibytes: sum.ibytes + received.bytes.load(Ordering::Relaxed),
            opackets: sum.opackets + sent.packets.load(Ordering::Relaxed),
            obytes: sum.obytes + sent.bytes.load(Ordering::Relaxed),
            ..sum
        })
    }

    /// What the driver is to call when the device has come, goes, or has more rings; with [`argument`](Self::argument).
    pub(super) const CHANGED: sys::rte_eth_dev_cb_fn = Some(changed);

    /// The argument of [`CHANGED`](Self::CHANGED).
    pub(super) fn argument(self: &Arc<Self>) -> *mut c_void {
        Arc::as_ptr(self).cast_mut().cast()
    }
}

/// # Safety
/// `rings` is from [`Rings::argument`], and whoever registered this holds on to them until it is unregistered.
unsafe extern "C" fn changed(
    _port: u16,
    _event: sys::rte_eth_event_type,
    rings: *mut c_void,
    _param: *mut c_void,
) -> c_int {
    // SAFETY: as promised.
    unsafe { &*rings.cast::<Rings>() }.look();
    0
}

impl Place {
    #[inline]
    fn count(&self, packets: u16, bytes: u64) {
        let add = |sum: &AtomicU64, more| {
            sum.store(sum.load(Ordering::Relaxed).wrapping_add(more), Ordering::Relaxed)
        };
        add(&self.packets, u64::from(packets));
        add(&self.bytes, bytes);
    }
}

impl Ring {
    /// The rings of queue pair `pair`: what its guest has sent, and what it receives from. To be called once for each pair: their users
    /// are to be the only ones.
    pub(super) fn pair(rings: &Arc<Rings>, pair: u16) -> (Self, Self) {
        let ring = |number| Self { rings: Arc::clone(rings), number };
        (ring(2 * pair + 1), ring(2 * pair))
    }

    /// Calls `call` with the device, if there is one and it has this ring: it stays until the call has returned.
    #[inline]
    fn with_device(&mut self, call: impl FnOnce(&Library, c_int) -> (u16, u64)) -> u16 {
        let rings = &*self.rings;
        let Some(place) = rings.places.get(usize::from(self.number)) else { return 0 };
        place.is_inside.store(true, Ordering::SeqCst);
        let device = rings.device.load(Ordering::SeqCst);
        let mut packets = 0;
        if device >= 0 && self.number < rings.count.load(Ordering::Relaxed) {
            let bytes;
            (packets, bytes) = call(&rings.library, device);
            place.count(packets, bytes);
        }
        place.is_inside.store(false, Ordering::Release);
        packets
    }

    /// Takes up to `room` packets into `slots`, in buffers of `pool`, and returns how many.
    ///
    /// # Safety
    /// There is room for `room` pointers, and the pool lives as long as the buffers.
    #[inline]
    pub(super) unsafe fn receive(&mut self, pool: &Mempool, slots: *mut Option<Mbuf>, room: u16) -> u16 {
        let number = self.number;
        self.with_device(|library, device| {
            // SAFETY: the device is there, see `look`, and its ring used by this thread alone; there is room, and `Option<Mbuf>` is a
            // pointer; the library gives up its reference to each packet that it returns.
            let n = unsafe { (library.dequeue)(device, number, pool.as_ptr(), slots.cast(), room) };
            // SAFETY: so many places have been written to.
            let received = unsafe { core::slice::from_raw_parts(slots, usize::from(n.min(room))) };
            (n, bytes_of(received))
        })
    }

    /// Sends the first `n` packets of `slots`, frees those that are sent, and returns how many these are.
    ///
    /// # Safety
    /// The first `n` slots hold packets, and the caller drops none of as many as this returns.
    #[inline]
    pub(super) unsafe fn send(&mut self, slots: &mut [Option<Mbuf>], n: u16) -> u16 {
        let number = self.number;
        self.with_device(|library, device| {
            let mut sent = 0;
            while sent < n {
                let rest = slots.get_mut(usize::from(sent)..).unwrap_or_default();
                let wanted = (n - sent).min(MOST_AT_A_TIME);
                // SAFETY: the device is there, see `look`, and its ring used by this thread alone; so many slots hold packets, which
                // are read, and stay ours.
                let now = unsafe { (library.enqueue)(device, number, rest.as_mut_ptr().cast(), wanted) };
                sent += now;
                if now < wanted {
                    // The ring is full.
                    break;
                }
            }
            let bytes = bytes_of(slots.get(..usize::from(sent)).unwrap_or_default());
            // SAFETY: they are ours, and are given up here: the caller drops none of them.
            unsafe { sys::rte_pktmbuf_free_bulk(slots.as_mut_ptr().cast(), u32::from(sent)) };
            (sent, bytes)
        })
    }
}

/// What the library takes at a time, whatever it is given: `MAX_PKT_BURST`.
const MOST_AT_A_TIME: u16 = 32;

/// The bytes of these.
#[inline]
fn bytes_of(packets: &[Option<Mbuf>]) -> u64 {
    packets.iter().flatten().map(|buf| u64::from(buf.packet_len())).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossbeam::channel;
    use std::time::Duration;

    /// A driver whose port is up if its number is even, with a device of four rings and twice the number.
    fn library() -> Library {
        unsafe extern "C" fn link_is_up(port: u16) -> c_int {
            c_int::from(port.is_multiple_of(2))
        }
        unsafe extern "C" fn device(port: u16) -> c_int {
            2 * c_int::from(port)
        }
        unsafe extern "C" fn rings(_: c_int) -> u16 {
            4
        }
        unsafe extern "C" fn dequeue(
            _: c_int,
            _: u16,
            _: *mut sys::rte_mempool,
            _: *mut *mut sys::rte_mbuf,
            _: u16,
        ) -> u16 {
            0
        }
        unsafe extern "C" fn enqueue(_: c_int, _: u16, _: *mut *mut sys::rte_mbuf, _: u16) -> u16 {
            0
        }
        Library { link_is_up, device, rings, dequeue, enqueue }
    }

    fn found(port: u16, queue_pairs: u16) -> Arc<Rings> {
        let rings = Arc::new(Rings::new(port, queue_pairs, library()));
        rings.look();
        rings
    }

    /// The device that a call through `ring` is made with, if any is made.
    fn called_with(ring: &mut Ring) -> Option<c_int> {
        let mut called = None;
        ring.with_device(|_, device| {
            called = Some(device);
            (0, 0)
        });
        called
    }

    #[test]
    fn nothing_is_called_before_a_device_was_found() {
        let rings = Arc::new(Rings::new(6, 1, library()));
        let (mut from, mut to) = Ring::pair(&rings, 0);
        assert_eq!((called_with(&mut from), called_with(&mut to)), (None, None));
        rings.look();
        assert_eq!((called_with(&mut from), called_with(&mut to)), (Some(12), Some(12)));
    }

    // The driver tells of a port that it never had a device for the number 0, which may be another port's.
    #[test]
    fn the_number_of_a_port_whose_link_is_down_is_not_believed() {
        let (mut from, _) = Ring::pair(&found(7, 1), 0);
        assert_eq!(called_with(&mut from), None);
    }

    #[test]
    fn a_ring_that_the_device_has_not_is_not_asked_for() {
        let rings = found(6, 3);
        let asked = |pair| {
            let (mut from, mut to) = Ring::pair(&rings, pair);
            [called_with(&mut from), called_with(&mut to)]
        };
        assert_eq!([asked(0), asked(1), asked(2)], [[Some(12); 2], [Some(12); 2], [None; 2]]);
    }

    #[test]
    fn what_passes_is_counted_by_direction() {
        let rings = found(6, 2);
        for pair in 0..2 {
            let (mut from, mut to) = Ring::pair(&rings, pair);
            assert_eq!(from.with_device(|_, _| (3, 180)), 3);
            assert_eq!(from.with_device(|_, _| (1, 1514)), 1);
            assert_eq!(to.with_device(|_, _| (2, 120)), 2);
        }
        let passed =
            DeviceStats { ipackets: 8, ibytes: 3388, opackets: 4, obytes: 240, ..DeviceStats::default() };
        assert_eq!(rings.passed(), passed);
    }

    #[test]
    fn whoever_takes_the_device_away_waits_for_who_is_inside() {
        let mut rings = Rings::new(6, 1, library());
        rings.library.link_is_up = {
            unsafe extern "C" fn until_asked_twice(_: u16) -> c_int {
                static ASKED: AtomicI32 = AtomicI32::new(0);
                c_int::from(ASKED.fetch_add(1, Ordering::Relaxed) == 0)
            }
            until_asked_twice
        };
        let rings = Arc::new(rings);
        rings.look();
        let (mut from, mut to) = Ring::pair(&rings, 0);
        let (entered, is_inside) = channel::bounded(1);
        let (leave, may_leave) = channel::bounded(1);
        let (gone, is_gone) = channel::bounded(1);
        std::thread::scope(|scope| {
            scope.spawn(move || {
                from.with_device(|_, device| {
                    entered.send(device).unwrap();
                    may_leave.recv().unwrap();
                    (0, 0)
                });
                assert_eq!(called_with(&mut from), None);
            });
            assert_eq!(is_inside.recv(), Ok(12));
            scope.spawn(|| {
                rings.look();
                gone.send(()).unwrap();
            });
            assert!(is_gone.recv_timeout(Duration::from_millis(100)).is_err());
            // Meanwhile nobody else enters, and who is not inside is not waited for.
            assert_eq!(called_with(&mut to), None);
            leave.send(()).unwrap();
            assert_eq!(is_gone.recv_timeout(Duration::from_secs(10)), Ok(()));
        });
    }
}
