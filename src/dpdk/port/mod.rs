//! Ports: found, configured, started, and closed when the last of their queues is gone.
//!
//! The state is in the type: a [`Port<Stopped>`] can be started, and only that hands out queues, each once.
//! [`StartedPort`] is what control holds on to.

mod callback;
mod device;
mod error;
mod filter;
mod restart;
mod rings;
mod rss;
mod users;

use core::cell::Cell;
use core::marker::PhantomData;
use core::mem::MaybeUninit;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use dpdk_sys as sys;

pub(super) use self::device::{
    all, device_info, driver_name, find, mac_address, max_mtu, name, numa_node, queues,
};
pub use self::error::PortError;
use self::filter::Calls;
use self::rss::Rss;
pub(super) use self::users::Users;
use super::eal::{Device, Listener, Shared, lock};
use super::offload::Offloads;
use super::queue::{RxQueue, TxQueue, pair};
use super::vhost::Rings;
use super::{DpdkError, Eal, Mempool};
use crate::addr::{MacAddr, Vid};
use crate::config::plan::PortPlan;
use crate::io::{
    DeviceStats, FilterCalls, FilterPolicy, FilterState, Ladder, McFilter, PortControl, PortInfo,
};

/// A port that we own, in the state `S`.
#[derive(Debug)]
pub struct Port<S> {
    opened: Arc<Opened>,
    info: PortInfo,
    state: S,
}

/// Configured, and not yet receiving.
#[derive(Debug)]
pub struct Stopped {
    setup: Setup,
    policy: FilterPolicy,
    mac_slots: u32,
    keep_promiscuous: bool,
}

/// How a port was configured, and is again after a reset.
#[derive(Debug)]
struct Setup {
    plan: PortPlan,
    queue_pairs: u16,
    offloads: Offloads,
    rss: Rss,
}

/// Receiving.
#[derive(Debug)]
pub struct Started {
    filter: Ladder<Calls>,
    setup: Setup,
    keep_promiscuous: bool,
    /// The VLANs whose frames are let pass.
    vlans: Vec<u16>,
    /// DPDK's control calls on one port are not for several threads at a time.
    not_sync: PhantomData<Cell<()>>,
}

/// A started port, as control holds it.
pub type StartedPort = Port<Started>;

/// An open port of DPDK's: closed when nobody holds on to it any more.
#[derive(Debug)]
pub(super) struct Opened {
    port_id: u16,
    started: AtomicBool,
    /// The queues that use it.
    users: Users,
    /// Whether the device has asked to be reset. The driver's thread writes here as long as the port is open.
    wants_reset: AtomicBool,
    /// Whether it was configured with RX interrupts.
    rx_interrupts: AtomicBool,
    /// The pools of its receive queues' buffers: see [`Port::open_near`].
    pools: Vec<Mempool>,
    /// Of a vhost port, the rings that its queues use themselves. Its driver calls them as long as the port is open.
    rings: OnceLock<Arc<Rings>>,
    eal: Arc<Shared>,
}

impl Opened {
    pub(super) fn port_id(&self) -> u16 {
        self.port_id
    }

    pub(super) fn users(&self) -> &Users {
        &self.users
    }

    pub(super) fn rings(&self) -> Option<&Arc<Rings>> {
        self.rings.get()
    }

    /// The pool of a receive queue's buffers.
    pub(super) fn pool(&self, queue: u16) -> Option<&Mempool> {
        // NOTE: a port is opened with at least one.
        self.pools.get(usize::from(queue)).or_else(|| self.pools.first())
    }

    pub(super) fn has_rx_interrupts(&self) -> bool {
        self.rx_interrupts.load(Ordering::Acquire)
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        let _details = Listener::new();
        restart::reset_request(self).unregister(self.port_id);
        rings::let_go(self);
        if self.started.load(Ordering::Acquire) {
            // Of af_packet and af_xdp these are switches of the kernel's interface, which outlives us.
            let mut calls = Calls::new(self.port_id, "");
            if calls.promiscuous() {
                let _may_have_no_switch = calls.set_promiscuous(false);
            }
            if calls.all_multicast() {
                let _may_have_no_switch = calls.set_all_multicast(false);
            }
            // SAFETY: the port is ours and open, and no queue of it is left.
            let ret = unsafe { sys::rte_eth_dev_stop(self.port_id) };
            if let Err(error) = DpdkError::check(ret) {
                tracing::debug!("rte_eth_dev_stop: {error}");
            }
        }
        // SAFETY: as above, and stopped; this happens once. Its buffers go home to the pool, which we still hold.
        let ret = unsafe { sys::rte_eth_dev_close(self.port_id) };
        if let Err(error) = DpdkError::check(ret) {
            tracing::debug!("rte_eth_dev_close: {error}");
        }
        lock(&self.eal.open_ports).remove(&self.port_id);
    }
}

/// Opens one port: what the steps of it share.
struct Opening<'a> {
    plan: &'a PortPlan,
    port_id: u16,
    listener: Listener,
}

impl Opening<'_> {
    fn check(&self, step: &'static str, ret: i32) -> Result<(), PortError> {
        DpdkError::check(ret).map(drop).map_err(|error| self.refused(step, error))
    }

    fn refused(&self, step: &'static str, error: DpdkError) -> PortError {
        let PortPlan { name, device, .. } = self.plan;
        PortError::Refused {
            port: name.clone(),
            device: device.clone(),
            step,
            error,
            log: self.listener.heard(),
        }
    }

    fn set_up_queues(
        &self,
        pairs: u16,
        info: &sys::rte_eth_dev_info,
        offloads: Offloads,
        opened: &Opened,
    ) -> Result<(), PortError> {
        let (mut rx_descriptors, mut tx_descriptors) = (self.plan.rx_descriptors, self.plan.tx_descriptors);
        // SAFETY: the port is ours; both numbers are read and written.
        let ret = unsafe {
            sys::rte_eth_dev_adjust_nb_rx_tx_desc(
                self.port_id,
                &raw mut rx_descriptors,
                &raw mut tx_descriptors,
            )
        };
        self.check("the number of its descriptors", ret)?;
        let mut rx_conf = info.default_rxconf;
        rx_conf.offloads = offloads.rx;
        let mut tx_conf = info.default_txconf;
        tx_conf.offloads = offloads.tx;
        let node = numa_node(self.port_id).unwrap_or(ANY_NODE);
        for queue in 0..pairs {
            let port_id = self.port_id;
            let Some(pool) = opened.pool(queue) else { break };
            // SAFETY: the port is configured with more than `queue` queues; `rx_conf` is copied; the pool outlives the
            // port, which holds on to it.
            let ret = unsafe {
                sys::rte_eth_rx_queue_setup(
                    port_id,
                    queue,
                    rx_descriptors,
                    node,
                    &raw const rx_conf,
                    pool.as_ptr(),
                )
            };
            self.check("a receive queue", ret)?;
            // SAFETY: as above.
            let ret = unsafe {
                sys::rte_eth_tx_queue_setup(port_id, queue, tx_descriptors, node, &raw const tx_conf)
            };
            self.check("a transmit queue", ret)?;
        }
        Ok(())
    }

    /// Tells the driver the MTU. One that has no such call carries what fits its buffers, and was told by the
    /// configuration.
    fn set_mtu(&self) -> Result<(), PortError> {
        // SAFETY: the port is ours and configured.
        let ret = unsafe { sys::rte_eth_dev_set_mtu(self.port_id, self.plan.mtu) };
        match DpdkError::check(ret) {
            Ok(_) | Err(DpdkError::NOT_SUPPORTED) => Ok(()),
            Err(error) => Err(self.refused("this mtu", error)),
        }
    }

    /// Our address on the port, and whether the device must be promiscuous for it.
    fn set_mac(&self, driver: &str) -> Result<(MacAddr, bool), PortError> {
        let devices_own =
            mac_address(self.port_id).map_err(|error| self.refused("to tell its address", error))?;
        if driver == "net_tap" {
            // A tap has one address, and the kernel's end of the cable has it: were it ours too, each end would take
            // the other's frames for its own. The driver filters nothing, so ours need not be told to it.
            let MacAddr([a, b, c, d, e, f]) = devices_own;
            return Ok((self.plan.mac.unwrap_or(MacAddr([a, b, c, d, e, f ^ 1])), false));
        }
        let Some(mac) = self.plan.mac else {
            let (port, device) = (self.plan.name.clone(), self.plan.device.clone());
            let own = devices_own.is_unicast().then_some((devices_own, false));
            return own.ok_or(PortError::NoMac { port, device });
        };
        let mut ours = sys::rte_ether_addr { addr_bytes: mac.0 };
        // SAFETY: the port is ours and configured; the address is copied.
        let ret = unsafe { sys::rte_eth_dev_default_mac_addr_set(self.port_id, &raw mut ours) };
        match DpdkError::check(ret) {
            Ok(_) => Ok((mac, false)),
            // It then filters by its own address, if at all.
            Err(DpdkError::NOT_SUPPORTED) => Ok((mac, mac != devices_own)),
            Err(error) => Err(self.refused("this mac", error)),
        }
    }
}

/// Whether RX interrupts are to be asked for.
fn wants_rx_interrupts(plan: &PortPlan, driver: &str) -> bool {
    // vhost's are known only when its peer has come, and may be others with the next one.
    plan.rx_events && driver != "net_vhost"
}

/// Bytes before an IP packet in a frame, at most: an Ethernet header and two tags.
const LINK_HEADER_MAX: u32 = 14 + 2 * 4;

/// `SOCKET_ID_ANY`, as queues take it.
const ANY_NODE: u32 = u32::MAX;

impl Port<Stopped> {
    /// Opens the port of `plan` with one queue pair for each of so many `workers`, receiving into `pool`; with fewer, if the plan's
    /// [`rps`](PortPlan::rps) says so.
    ///
    /// # Errors
    /// There is no such device, or it does not do what the plan wants; [`PortError`] says which.
    pub fn open(eal: &Eal, plan: &PortPlan, workers: u16, pool: &Mempool) -> Result<Self, PortError> {
        Self::open_near(eal, plan, workers, pool, Vec::new())
    }

    /// The same with a pool for each worker that has a queue, near to it; a worker beyond the end of `pools` has `pool`, whose buffers are of
    /// the same size.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_near(
        eal: &Eal,
        plan: &PortPlan,
        workers: u16,
        pool: &Mempool,
        mut pools: Vec<Mempool>,
    ) -> Result<Self, PortError> {
        pools.resize(usize::from(workers).max(1), pool.clone());
        let device = Device::new(&plan.device);
        let names = || (plan.name.clone(), plan.device.clone());
        let Some(port_id) = find(device) else {
            let (port, device) = names();
            return Err(PortError::NoDevice { port, device });
        };
        if !lock(&eal.shared().open_ports).insert(port_id) {
            let (port, device) = names();
            return Err(PortError::InUse { port, device });
        }
        // From here on, it is closed by whatever return.
        let opened = Arc::new(Opened {
            port_id,
            started: AtomicBool::new(false),
            users: Users::default(),
            wants_reset: AtomicBool::new(false),
            rx_interrupts: AtomicBool::new(false),
            pools,
            rings: OnceLock::new(),
            eal: Arc::clone(eal.shared()),
        });
        let opening = Opening { plan, port_id, listener: Listener::capturing() };
        let info = device_info(port_id).map_err(|error| opening.refused("to tell its limits", error))?;
        let queue_pairs = fits(plan, &info, workers)?;

        let offered = Offloads { rx: info.rx_offload_capa, tx: info.tx_offload_capa };
        let driver = driver_name(&info);
        let is_long = u32::from(plan.mtu) > pool.frame_room().saturating_sub(LINK_HEADER_MAX);
        let offloads = Offloads::choose(offered, plan.offloads, plan.tagged, is_long, &driver);
        let (rss, rx_interrupts) =
            opening.configure(queue_pairs, &info, offloads, wants_rx_interrupts(plan, &driver))?;
        opened.rx_interrupts.store(rx_interrupts, Ordering::Release);
        opening.set_up_queues(queue_pairs, &info, offloads, &opened)?;
        opening.set_mtu()?;
        let (mac, keep_promiscuous) = opening.set_mac(&driver)?;

        let port_info = PortInfo {
            name: plan.name.clone(),
            device: plan.device.clone(),
            driver,
            mac,
            numa_node: numa_node(port_id),
            mtu: plan.mtu,
            rx_queues: queue_pairs,
            tx_queues: queue_pairs,
            offloads: offloads.names(),
            rss: None,
        };
        // SAFETY: the port is ours; the flag is in an `Opened`, which does not move and unregisters this in the end.
        let _without_it_nothing_is_reset = unsafe { restart::reset_request(&opened).register(port_id) };
        let state = Stopped {
            setup: Setup { plan: plan.clone(), queue_pairs, offloads, rss },
            policy: plan.multicast_filter,
            mac_slots: info.max_mac_addrs,
            keep_promiscuous,
        };
        Ok(Self { opened, info: port_info, state })
    }

    /// Starts the port, and hands out its queues, one pair for each worker, or fewer.
    ///
    /// The multicast filter is to be applied after this: drivers forget one that they were given before.
    ///
    /// # Errors
    /// The driver refuses, in its words.
    pub fn start(self) -> Result<(StartedPort, Vec<(RxQueue, TxQueue)>), PortError> {
        let Self { opened, mut info, state } = self;
        let Stopped { setup, policy, mac_slots, keep_promiscuous } = state;
        let (queue_pairs, prepare) = (setup.queue_pairs, setup.offloads.tx != 0);
        let unasked = setup.offloads.unasked();
        let listener = Listener::capturing();
        let port_id = opened.port_id;
        // SAFETY: the port is ours, configured and stopped.
        let mut ret = unsafe { sys::rte_eth_dev_start(port_id) };
        if ret < 0 && opened.rx_interrupts.swap(false, Ordering::AcqRel) {
            // Some drivers say only now that they have no RX interrupts.
            restart::configure_again(&opened, &setup, &info)?;
            // SAFETY: as above.
            ret = unsafe { sys::rte_eth_dev_start(port_id) };
        }
        DpdkError::check(ret).map_err(|error| PortError::Refused {
            port: info.name.clone(),
            device: info.device.clone(),
            step: "to start",
            error,
            log: listener.heard(),
        })?;
        opened.started.store(true, Ordering::Release);
        info.rss = setup.rss.set_up(port_id);
        rings::take(&opened, &setup, &info.driver);

        // SAFETY: the port was just started with `queue_pairs` queues each way, is stopped only by `restart`, while no queue
        // uses it, and when `opened` is dropped; and this function consumes the one value that can start it first.
        let queues =
            (0..queue_pairs).map(|number| unsafe { pair(&opened, number, prepare, unasked) }).collect();
        let mut calls = Calls::new(port_id, &info.driver);
        // A device without such a mode has no filter, and passes our address as any other.
        let keep_promiscuous = keep_promiscuous && calls.set_promiscuous(true).is_ok();
        let filter = Ladder::new(calls, policy, mac_slots, keep_promiscuous);
        let state = Started { filter, setup, keep_promiscuous, vlans: Vec::new(), not_sync: PhantomData };
        Ok((Port { opened, info, state }, queues))
    }
}

/// Whether the device can be what the plan wants. Returns how many queue pairs it is to have.
fn fits(plan: &PortPlan, info: &sys::rte_eth_dev_info, want: u16) -> Result<u16, PortError> {
    let (port, device) = (plan.name.clone(), plan.device.clone());
    let (rx, tx) = queues(&driver_name(info), (info.max_rx_queues, info.max_tx_queues));
    let have = rx.min(tx);
    let Some(pairs) = plan.rps.pairs(want, have) else {
        return Err(PortError::TooFewQueues { port, device, have, want });
    };
    let (min, max) = (info.min_mtu, max_mtu(info.max_mtu, info.max_rx_pktlen));
    let mtu = plan.mtu;
    if !(min..=max).contains(&mtu) {
        return Err(PortError::Mtu { port, device, mtu, min, max });
    }
    Ok(pairs)
}

impl<S> Port<S> {
    /// What the port is.
    #[must_use]
    pub fn info(&self) -> &PortInfo {
        &self.info
    }
}

impl StartedPort {
    /// Lets frames of `vlans` pass, and those that are tagged for their priority alone, if the device keeps away what it
    /// was not told of: it is asked to by a plan whose port is tagged. To be called after the start, as for the multicast
    /// filter.
    ///
    /// # Errors
    /// The driver refuses: nothing of that VLAN would ever arrive.
    pub fn let_vlans_pass(&mut self, vlans: impl IntoIterator<Item = Vid>) -> Result<(), PortError> {
        if !self.state.setup.offloads.filter_vlans() {
            return Ok(());
        }
        self.state.vlans = vlans.into_iter().map(Vid::get).collect();
        // E11: a device that knows no VLAN 0 is one that does not filter it.
        if let Err(error) = self.let_vlan_pass(0) {
            tracing::debug!("rte_eth_dev_vlan_filter, 0: {error}");
        }
        let listener = Listener::capturing();
        let refused = |error| PortError::Refused {
            port: self.info.name.clone(),
            device: self.info.device.clone(),
            step: "to let the frames of a VLAN pass",
            error,
            log: listener.heard(),
        };
        self.state.vlans.iter().try_for_each(|vid| self.let_vlan_pass(*vid).map_err(refused))
    }

    fn let_vlan_pass(&self, vid: u16) -> Result<(), DpdkError> {
        // SAFETY: the port is ours, and configured to filter VLANs.
        DpdkError::check(unsafe { sys::rte_eth_dev_vlan_filter(self.opened.port_id, vid, 1) }).map(drop)
    }
}

impl PortControl for StartedPort {
    fn info(&self) -> &PortInfo {
        &self.info
    }

    // T04: many drivers can while the port runs; what was configured is the most that buffers were made for.
    fn set_mtu(&mut self, mtu: u16) -> Result<(), String> {
        let listener = Listener::capturing();
        // SAFETY: the port is ours.
        let ret = unsafe { sys::rte_eth_dev_set_mtu(self.opened.port_id, mtu) };
        DpdkError::check(ret).map_err(|error| {
            let driver = &self.info.driver;
            let heard = listener.heard();
            let said = if heard.is_empty() { String::new() } else { format!(" (it said: {heard})") };
            format!("the driver {driver} refuses it while the port runs: {error}{said}")
        })?;
        self.info.mtu = mtu;
        Ok(())
    }

    fn device_stats(&self) -> DeviceStats {
        let mut stats = MaybeUninit::<sys::rte_eth_stats>::zeroed();
        // SAFETY: the port is ours; writes to `stats`.
        let ret = unsafe { sys::rte_eth_stats_get(self.opened.port_id, stats.as_mut_ptr()) };
        if ret != 0 {
            return DeviceStats::default();
        }
        // SAFETY: a structure of numbers, zeroed and filled in.
        let stats = unsafe { stats.assume_init() };
        let rings = self.opened.rings().map(|rings| rings.passed()).unwrap_or_default();
        DeviceStats {
            ipackets: stats.ipackets + rings.ipackets,
            opackets: stats.opackets + rings.opackets,
            ibytes: stats.ibytes + rings.ibytes,
            obytes: stats.obytes + rings.obytes,
            imissed: stats.imissed,
            ierrors: stats.ierrors,
            oerrors: stats.oerrors,
            rx_nombuf: stats.rx_nombuf,
        }
    }

    fn link_is_up(&self) -> bool {
        // SAFETY: the port is ours.
        unsafe { sys::shim_link_is_up(self.opened.port_id) == 1 }
    }

    fn is_quiet(&self) -> bool {
        self.opened.users.are_none()
    }

    fn restart(&mut self, reset: bool) -> Result<(), String> {
        self.stop_and_start(reset)
    }

    fn take_reset_request(&mut self) -> bool {
        self.opened.wants_reset.swap(false, Ordering::AcqRel)
    }

    fn mc_filter(&mut self) -> &mut dyn McFilter {
        &mut self.state.filter
    }

    fn filter_state(&self) -> &FilterState {
        self.state.filter.state()
    }
}
