//! A simulated NIC: finite rings, several queues, RSS, checksum offloads, and the filter of [`filter`].
//!
//! [`SimDevice`] is the side of the wire: it is handed frames and asked for them. [`SimRx`], [`SimTx`] and [`SimPort`]
//! are the side of the host, through the traits of [`io`](crate::io). Both share one state under a lock, which one
//! thread alone ever takes; no call asks the heap for anything.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::buf::{SimBuf, SimPool};
use super::filter::{self, Abilities, Hardware, SimCalls};
use super::offload::{self, RxChecksum};
use super::rss::{Rss, RssAbilities};
use crate::addr::MacAddr;
use crate::io::{
    BufPool, Burst, DeviceStats, FilterPolicy, FilterState, Ladder, McFilter, Nic, PortControl, PortInfo,
    RxMeta, RxQueue, TxQueue,
};

/// The simulator's choice of buffers, queues and pools.
#[derive(Clone, Copy, Debug)]
pub struct SimNic;

impl Nic for SimNic {
    type Buf = SimBuf;
    type Rx = SimRx;
    type Tx = SimTx;
    type Pool = SimPool;
}

/// What a device is like.
#[derive(Clone, Debug)]
pub struct NicOptions {
    /// Its port's name.
    pub name: String,
    /// Its Ethernet address.
    pub mac: MacAddr,
    /// The largest IP packet, in bytes.
    pub mtu: u16,
    /// Pairs of queues.
    pub queues: u16,
    /// Frames that one receive queue holds.
    pub rx_descriptors: usize,
    /// Frames that one transmit queue holds.
    pub tx_descriptors: usize,
    /// What it says of received checksums.
    pub rx_checksum: RxChecksum,
    /// Whether it fills in checksums that it is asked for.
    pub tx_checksum: bool,
    /// Whether it takes VLAN tags off.
    pub vlan_strip: bool,
    /// Whether it inserts VLAN tags that it is asked for.
    pub vlan_insert: bool,
    /// Whether it spreads first fragments by their ports, and not by their addresses alone like the others.
    pub rss_first_fragments: bool,
    /// How it spreads flows over its receive queues.
    pub rss: RssAbilities,
    /// What its multicast filter can do.
    pub filter: Abilities,
    /// How far the filter may climb.
    pub filter_policy: FilterPolicy,
    /// Whether the link is up at the start.
    pub link_up: bool,
}

impl Default for NicOptions {
    fn default() -> Self {
        Self {
            name: "p0".into(),
            mac: MacAddr([2, 0, 0, 0, 0, 2]),
            mtu: 1500,
            queues: 1,
            rx_descriptors: 256,
            tx_descriptors: 256,
            rx_checksum: RxChecksum::Unknown,
            tx_checksum: false,
            vlan_strip: false,
            vlan_insert: false,
            rss_first_fragments: false,
            rss: RssAbilities::default(),
            filter: Abilities::exact(64),
            filter_policy: FilterPolicy::Auto,
            link_up: true,
        }
    }
}

/// What became of a frame that reached the device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reception {
    /// It waits in this receive queue.
    Queued(u16),
    /// The filter kept it away.
    Filtered,
    /// The ring was full: `imissed`.
    Missed,
    /// The pool was empty: `rx_nombuf`.
    NoBuffer,
    /// The link is down, or the frame is shorter than an Ethernet address or larger than a buffer: `ierrors`.
    Error,
}

#[derive(Debug)]
struct Device {
    options: NicOptions,
    pool: SimPool,
    rx: Vec<VecDeque<SimBuf>>,
    tx: Vec<VecDeque<SimBuf>>,
    rss: Rss,
    stats: DeviceStats,
    filtered: u64,
    link_up: bool,
    tx_stalled: bool,
    /// Halves of queue pairs that have not let go of it.
    users: usize,
    /// Why it will not start.
    broken: bool,
    wants_reset: bool,
}

/// The side of the wire. Clones are handles to the same device.
#[derive(Clone, Debug)]
pub struct SimDevice {
    device: Arc<Mutex<Device>>,
    hardware: Arc<Mutex<Hardware>>,
}

fn lock(device: &Mutex<Device>) -> MutexGuard<'_, Device> {
    device.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SimDevice {
    /// A device, its queues (one pair a queue, in order) and its port. Buffers for reception come from `pool`.
    #[must_use]
    pub fn new(options: NicOptions, pool: SimPool) -> (Self, Vec<(SimRx, SimTx)>, SimPort) {
        let hardware = Arc::new(Mutex::new(Hardware::new(options.mac, options.filter)));
        let mut info = port_info(&options);
        let mc_filter = filter::ladder(Arc::clone(&hardware), options.filter_policy);
        let (queues, link_up) = (options.queues.max(1), options.link_up);
        let mut rss = Rss::new(options.rss, queues);
        info.rss = rss.set_up(queues);
        let ring = |len: usize| (0..queues).map(|_| VecDeque::with_capacity(len)).collect();
        let device = Arc::new(Mutex::new(Device {
            rx: ring(options.rx_descriptors),
            tx: ring(options.tx_descriptors),
            options,
            pool,
            rss,
            stats: DeviceStats::default(),
            filtered: 0,
            link_up,
            tx_stalled: false,
            users: 2 * usize::from(queues),
            broken: false,
            wants_reset: false,
        }));
        let pairs = (0..usize::from(queues)).map(|queue| {
            let rx = SimRx { device: Arc::clone(&device), queue, paused: false };
            (rx, SimTx { device: Arc::clone(&device), queue, refused: Burst::new(), paused: false })
        });
        let pairs = pairs.collect();
        let port = SimPort { device: Arc::clone(&device), hardware: Arc::clone(&hardware), info, mc_filter };
        (Self { device, hardware }, pairs, port)
    }

    /// A frame arrives from the wire.
    #[expect(clippy::must_use_candidate, reason = "what became of it is in the counters as well")]
    pub fn receive(&self, frame: &[u8]) -> Reception {
        let meta = self.meta_of(frame);
        self.receive_as(frame, meta, None)
    }

    /// A frame arrives, of which the device says `meta`; with `segment`, its first segment ends after so many bytes.
    #[expect(clippy::must_use_candidate, reason = "what became of it is in the counters as well")]
    pub fn receive_as(&self, frame: &[u8], meta: RxMeta, segment: Option<usize>) -> Reception {
        let destination = frame.first_chunk().map(|mac| MacAddr(*mac));
        let passes = destination.map(|mac| filter::lock(&self.hardware).passes(mac));
        let mut device = lock(&self.device);
        match passes.filter(|_| device.link_up) {
            None => {
                device.stats.ierrors += 1;
                Reception::Error
            }
            Some(false) => {
                device.filtered += 1;
                Reception::Filtered
            }
            Some(true) => device.enqueue(frame, meta, segment),
        }
    }

    /// What this device would say of `frame`.
    #[must_use]
    pub fn meta_of(&self, frame: &[u8]) -> RxMeta {
        let device = lock(&self.device);
        let (ip_checksum, l4_checksum) = device.options.rx_checksum.status(frame);
        let rss_hash = device.rss.hash(frame, device.options.rss_first_fragments);
        RxMeta { ip_checksum, l4_checksum, stripped_tci: None, rss_hash }
    }

    /// Moves the next frame from the transmit rings onto the wire: into `frame`, whose old content goes. False if there
    /// is none, or the device is stalled.
    pub fn transmit_into(&self, frame: &mut Vec<u8>) -> bool {
        lock(&self.device).dequeue(frame)
    }

    /// The next frame from the transmit rings.
    #[must_use]
    pub fn transmit(&self) -> Option<Vec<u8>> {
        let mut frame = Vec::new();
        self.transmit_into(&mut frame).then_some(frame)
    }

    /// Lets nothing leave the transmit rings, so that they fill up, until told otherwise.
    pub fn stall_tx(&self, stalled: bool) {
        lock(&self.device).tx_stalled = stalled;
    }

    /// Takes the link down or up. While it is down nothing arrives.
    pub fn set_link_up(&self, up: bool) {
        lock(&self.device).link_up = up;
    }

    /// What a device says of checksums can change: it is asked anew for each frame.
    pub fn set_rx_checksum(&self, mode: RxChecksum) {
        lock(&self.device).options.rx_checksum = mode;
    }

    /// Has the device refuse every change of its filter, until told otherwise.
    pub fn set_filter_busy(&self, busy: bool) {
        filter::lock(&self.hardware).set_busy(busy);
    }

    /// Changes of its filter that the device was asked for.
    #[must_use]
    pub fn filter_calls(&self) -> u64 {
        filter::lock(&self.hardware).calls()
    }

    /// The device asks to be reset.
    pub fn ask_for_reset(&self) {
        lock(&self.device).wants_reset = true;
    }

    /// Has the device refuse to start, until told otherwise.
    pub fn set_broken(&self, broken: bool) {
        lock(&self.device).broken = broken;
    }

    /// Stops and starts the port behind the host's back: the list of group addresses is forgotten (E08).
    pub fn restart(&self) {
        filter::lock(&self.hardware).restart();
    }

    /// Whether the filter lets frames to `mac` through.
    #[must_use]
    pub fn passes(&self, mac: MacAddr) -> bool {
        filter::lock(&self.hardware).passes(mac)
    }

    /// Frames that wait in the receive rings.
    #[must_use]
    pub fn rx_pending(&self) -> usize {
        lock(&self.device).rx.iter().map(VecDeque::len).sum()
    }

    /// Frames that wait in the transmit rings.
    #[must_use]
    pub fn tx_pending(&self) -> usize {
        lock(&self.device).tx.iter().map(VecDeque::len).sum()
    }

    /// Frames that the filter kept away.
    #[must_use]
    pub fn filtered(&self) -> u64 {
        lock(&self.device).filtered
    }

    /// What the device counted.
    #[must_use]
    pub fn stats(&self) -> DeviceStats {
        lock(&self.device).stats
    }
}

fn port_info(options: &NicOptions) -> PortInfo {
    PortInfo {
        name: options.name.clone(),
        device: format!("sim_{}", options.name),
        driver: "net_sim".to_owned(),
        mac: options.mac,
        numa_node: None,
        mtu: options.mtu,
        rx_queues: options.queues.max(1),
        tx_queues: options.queues.max(1),
        offloads: offload::names(options),
        rss: None,
    }
}

impl Device {
    fn enqueue(&mut self, frame: &[u8], mut meta: RxMeta, segment: Option<usize>) -> Reception {
        let stripped = if self.options.vlan_strip { offload::strip_tag(frame) } else { None };
        let frame = match &stripped {
            Some((untagged, tci)) => {
                meta.stripped_tci = Some(*tci);
                untagged
            }
            None => frame,
        };
        let queue = meta.rss_hash.map_or(0, |hash| self.rss.queue(hash));
        let Self { options, pool, rx, stats, .. } = self;
        let Some(ring) = rx.get_mut(usize::from(queue)) else { return Reception::Error };
        if ring.len() >= options.rx_descriptors {
            stats.imissed += 1;
            return Reception::Missed;
        }
        let Some(mut buf) = pool.alloc_copy(frame) else {
            stats.rx_nombuf += 1;
            return Reception::NoBuffer;
        };
        buf.set_rx_meta(meta);
        if let Some(len) = segment {
            buf.split_at(len);
        }
        stats.ipackets += 1;
        stats.ibytes += bytes(frame);
        ring.push_back(buf);
        Reception::Queued(queue)
    }

    fn dequeue(&mut self, frame: &mut Vec<u8>) -> bool {
        if self.tx_stalled {
            return false;
        }
        while let Some(buf) = self.tx.iter_mut().find_map(VecDeque::pop_front) {
            frame.clear();
            frame.extend_from_slice(buf.frame());
            if self.offload(&buf, frame) {
                self.stats.opackets += 1;
                self.stats.obytes += bytes(frame);
                return true;
            }
            self.stats.oerrors += 1;
        }
        false
    }

    /// Does what the packet asks for. False if it cannot be done to such a frame.
    fn offload(&self, buf: &SimBuf, frame: &mut Vec<u8>) -> bool {
        let (checksum, tci) = (buf.tx_checksum(), buf.tx_vlan());
        assert!(
            (checksum.is_none() || self.options.tx_checksum) && (tci.is_none() || self.options.vlan_insert),
            "the host asked for an offload that the device does not have: {checksum:?}, {tci:?}"
        );
        // The checksum first: the lengths in its request know of no tag.
        checksum.is_none_or(|request| offload::fill_in(frame, request).is_some())
            && tci.is_none_or(|tci| offload::insert_tag(frame, tci).is_some())
    }
}

fn bytes(frame: &[u8]) -> u64 {
    u64::try_from(frame.len()).unwrap_or(u64::MAX)
}

/// A receive queue.
#[derive(Debug)]
pub struct SimRx {
    device: Arc<Mutex<Device>>,
    queue: usize,
    paused: bool,
}

impl RxQueue for SimRx {
    type Buf = SimBuf;

    fn pause(&mut self) {
        let_go(&self.device, &mut self.paused);
    }

    fn resume(&mut self) {
        take_again(&self.device, &mut self.paused);
    }

    fn rx_burst(&mut self, burst: &mut Burst<SimBuf>, max: usize) -> usize {
        if self.paused {
            return 0;
        }
        let mut device = lock(&self.device);
        let Some(ring) = device.rx.get_mut(self.queue) else { return 0 };
        let mut moved = 0;
        while moved < max && !burst.is_full() {
            let Some(buf) = ring.pop_front() else { break };
            if burst.push(buf).is_err() {
                break;
            }
            moved += 1;
        }
        moved
    }
}

/// A transmit queue.
#[derive(Debug)]
pub struct SimTx {
    device: Arc<Mutex<Device>>,
    queue: usize,
    /// What the ring had no room for, on its way back into the caller's burst.
    refused: Burst<SimBuf>,
    paused: bool,
}

/// A half of a queue pair lets go of `device`.
fn let_go(device: &Mutex<Device>, paused: &mut bool) {
    if !core::mem::replace(paused, true) {
        lock(device).users -= 1;
    }
}

/// And takes it again.
fn take_again(device: &Mutex<Device>, paused: &mut bool) {
    if core::mem::replace(paused, false) {
        lock(device).users += 1;
    }
}

impl TxQueue for SimTx {
    type Buf = SimBuf;

    fn pause(&mut self) {
        let_go(&self.device, &mut self.paused);
    }

    fn resume(&mut self) {
        take_again(&self.device, &mut self.paused);
    }

    fn tx_burst(&mut self, burst: &mut Burst<SimBuf>) -> usize {
        if self.paused {
            return 0;
        }
        let mut device = lock(&self.device);
        let descriptors = device.options.tx_descriptors;
        let Some(ring) = device.tx.get_mut(self.queue) else { return 0 };
        let mut moved = 0;
        for buf in burst.drain() {
            if ring.len() < descriptors {
                ring.push_back(buf);
                moved += 1;
            } else {
                // NOTE(no loss): both bursts have the same size, so there is room.
                let _ = self.refused.push(buf);
            }
        }
        core::mem::swap(burst, &mut self.refused);
        moved
    }
}

/// What control is given of the device.
#[derive(Debug)]
pub struct SimPort {
    device: Arc<Mutex<Device>>,
    hardware: Arc<Mutex<Hardware>>,
    info: PortInfo,
    mc_filter: Ladder<SimCalls>,
}

impl PortControl for SimPort {
    fn info(&self) -> &PortInfo {
        &self.info
    }

    fn device_stats(&self) -> DeviceStats {
        lock(&self.device).stats
    }

    fn link_is_up(&self) -> bool {
        lock(&self.device).link_up
    }

    fn set_mtu(&mut self, mtu: u16) -> Result<(), String> {
        self.info.mtu = mtu;
        Ok(())
    }

    fn is_quiet(&self) -> bool {
        lock(&self.device).users == 0
    }

    fn restart(&mut self, reset: bool) -> Result<(), String> {
        let mut device = lock(&self.device);
        assert_eq!(device.users, 0, "a device that is polled may not be stopped");
        // What is in its rings at a stop is the device's, and gone.
        device.rx.iter_mut().for_each(VecDeque::clear);
        device.tx.iter_mut().for_each(VecDeque::clear);
        if device.broken {
            return Err("the device does not start: Input/output error (-EIO)".to_owned());
        }
        let queues = device.options.queues.max(1);
        if reset {
            device.rss = Rss::new(device.options.rss, queues);
        }
        self.info.rss = device.rss.set_up(queues);
        let mut hardware = filter::lock(&self.hardware);
        if reset {
            hardware.reset()
        } else {
            hardware.restart()
        }
        Ok(())
    }

    fn take_reset_request(&mut self) -> bool {
        core::mem::take(&mut lock(&self.device).wants_reset)
    }

    fn mc_filter(&mut self) -> &mut dyn McFilter {
        &mut self.mc_filter
    }

    fn filter_state(&self) -> &FilterState {
        self.mc_filter.state()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::{ChecksumStatus, PacketBuf};

    fn device(options: NicOptions) -> (SimDevice, Vec<(SimRx, SimTx)>, SimPort, SimPool) {
        let pool = SimPool::new(32, 2048);
        let (device, queues, port) = SimDevice::new(options, pool.clone());
        (device, queues, port, pool)
    }

    /// Sixty bytes for `destination`, told apart by `tag`.
    fn frame(destination: MacAddr, tag: u8) -> Vec<u8> {
        let mut frame = vec![tag; 60];
        frame[..6].copy_from_slice(&destination.0);
        frame
    }

    fn ours(tag: u8) -> Vec<u8> {
        frame(NicOptions::default().mac, tag)
    }

    #[test]
    fn a_full_receive_ring_misses_and_counts() {
        let (device, mut queues, port, pool) =
            device(NicOptions { rx_descriptors: 2, ..NicOptions::default() });
        let received: Vec<_> = (0..3).map(|tag| device.receive(&ours(tag))).collect();
        assert_eq!(received, [Reception::Queued(0), Reception::Queued(0), Reception::Missed]);
        let mut burst = Burst::new();
        assert_eq!(queues[0].0.rx_burst(&mut burst, 1), 1);
        assert_eq!(queues[0].0.rx_burst(&mut burst, 8), 1);
        assert_eq!(burst.iter().map(|b| b.data()[59]).collect::<Vec<_>>(), [0, 1]);
        let stats = port.device_stats();
        assert_eq!((stats.ipackets, stats.ibytes, stats.imissed), (2, 120, 1));
        drop(burst);
        assert_eq!(pool.outstanding(), 0);
    }

    #[test]
    fn a_full_transmit_ring_refuses_and_keeps_the_order() {
        let (device, mut queues, _port, pool) =
            device(NicOptions { tx_descriptors: 2, ..NicOptions::default() });
        let mut burst = Burst::new();
        for tag in 0..4 {
            assert!(burst.push(pool.alloc_copy(&ours(tag)).unwrap()).is_ok());
        }
        assert_eq!(queues[0].1.tx_burst(&mut burst), 2);
        assert_eq!(burst.iter().map(|b| b.data()[59]).collect::<Vec<_>>(), [2, 3]);
        assert_eq!(queues[0].1.tx_burst(&mut burst), 0);
        device.stall_tx(true);
        assert_eq!(device.transmit(), None);
        device.stall_tx(false);
        let sent: Vec<_> = core::iter::from_fn(|| device.transmit()).map(|f| f[59]).collect();
        assert_eq!(sent, [0, 1]);
        assert_eq!(queues[0].1.tx_burst(&mut burst), 2);
        assert!(burst.is_empty());
        assert_eq!(device.transmit().unwrap()[59], 2);
        assert_eq!((device.tx_pending(), pool.outstanding(), device.stats().opackets), (1, 1, 3));
    }

    #[test]
    fn an_empty_pool_is_counted_and_not_missed() {
        let (device, _queues, _port, pool) = device(NicOptions::default());
        pool.fail_nth(1);
        assert_eq!(device.receive(&ours(0)), Reception::NoBuffer);
        assert_eq!((device.stats().rx_nombuf, device.stats().imissed), (1, 0));
        assert_eq!(device.receive(&[1, 2, 3]), Reception::Error);
        device.set_link_up(false);
        assert_eq!(device.receive(&ours(0)), Reception::Error);
        assert_eq!(device.stats().ierrors, 2);
    }

    #[test]
    fn the_filter_stands_before_the_ring() {
        let (device, _queues, mut port, _pool) = device(NicOptions::default());
        let group = MacAddr([1, 0, 0x5e, 1, 2, 3]);
        assert_eq!(device.receive(&frame(group, 0)), Reception::Filtered);
        port.mc_filter().apply(&[group], crate::io::Occasion::Change);
        assert_eq!(device.receive(&frame(group, 0)), Reception::Queued(0));
        assert_eq!((device.filtered(), device.rx_pending()), (1, 1));
        assert_eq!(port.filter_state().macs, [group]);
    }

    #[test]
    fn a_stripped_tag_is_told_beside_the_frame() {
        let (device, mut queues, _port, _pool) =
            device(NicOptions { vlan_strip: true, rx_checksum: RxChecksum::None, ..NicOptions::default() });
        let mut tagged = ours(9);
        tagged[12..16].copy_from_slice(&[0x81, 0, 0xe0, 5]);
        device.receive(&tagged);
        let mut burst = Burst::new();
        assert_eq!(queues[0].0.rx_burst(&mut burst, 32), 1);
        let buf = burst.drain().next().unwrap();
        assert_eq!((buf.data().len(), buf.rx_meta().stripped_tci), (56, Some(0xe005)));
        assert_eq!(buf.rx_meta().l4_checksum, ChecksumStatus::None);
    }

    // E12: what the device inserts is on the wire, and in memory is not.
    #[test]
    fn a_tag_that_was_asked_for_is_on_the_wire() {
        let (device, mut queues, port, pool) =
            device(NicOptions { vlan_insert: true, ..NicOptions::default() });
        assert!(port.info().offloads.contains(&"tx_vlan_insert".to_owned()));
        let mut burst = Burst::new();
        for tci in [Some(0x2064), None] {
            let mut buf = pool.alloc_copy(&ours(9)).unwrap();
            assert!(buf.set_tx_vlan(tci) && buf.data().len() == 60);
            burst.push(buf).unwrap();
        }
        assert_eq!(queues[0].1.tx_burst(&mut burst), 2);
        let tagged = device.transmit().unwrap();
        assert_eq!((tagged.len(), &tagged[12..18]), (64, &[0x81, 0, 0x20, 0x64, 9, 9][..]));
        assert_eq!(device.transmit().unwrap(), ours(9));
        assert_eq!(device.stats().obytes, 124);
    }
}
