//! Stopping a port and starting it again, and devices that ask for it.
//!
//! What ethdev tells a driver again at every start: the addresses of its table, the promiscuous and the all-multicast
//! switch. Not the list of group addresses, nor VLANs. After a reset the device has nothing, queues included.

use core::ffi::{c_int, c_void};
use core::sync::atomic::Ordering;

use dpdk_sys as sys;

use super::callback::Callback;
use super::{FilterCalls as _, Opened, Opening, PortError, Rss, Setup, StartedPort, device_info};
use crate::dpdk::DpdkError;
use crate::dpdk::eal::Listener;
use crate::io::PortInfo;

impl StartedPort {
    // E08: as it was, but for the multicast filter, which control applies anew.
    pub(super) fn stop_and_start(&mut self, reset: bool) -> Result<(), String> {
        if !self.opened.users.lock() {
            return Err("workers use it".to_owned());
        }
        let listener = Listener::capturing();
        let port_id = self.opened.port_id;
        let refused = |step: &str, ret: c_int| {
            DpdkError::check(ret)
                .map(drop)
                .map_err(|error| format!("{step}: {}", error.with_log(&listener.heard())))
        };
        if self.opened.started.swap(false, Ordering::AcqRel) {
            // SAFETY: the port is ours and no queue of it is in use, nor can be before `unlock`.
            refused("rte_eth_dev_stop", unsafe { sys::rte_eth_dev_stop(port_id) })?;
        }
        if reset {
            // SAFETY: as above, and stopped.
            refused("rte_eth_dev_reset", unsafe { sys::rte_eth_dev_reset(port_id) })?;
            let again = configure_again(&self.opened, &self.state.setup, &self.info);
            self.state.setup.rss = again.map_err(|error| error.to_string())?;
        } else {
            // SAFETY: as above. Drivers keep it; one that has no such call, or wants it told while it runs, says so.
            let ret = unsafe { sys::rte_eth_dev_set_mtu(port_id, self.info.mtu) };
            if let Err(error) = DpdkError::check(ret) {
                tracing::debug!("rte_eth_dev_set_mtu: {error}");
            }
        }
        // SAFETY: the port is ours, configured and stopped.
        refused("rte_eth_dev_start", unsafe { sys::rte_eth_dev_start(port_id) })?;
        self.opened.started.store(true, Ordering::Release);
        if let Some(rings) = self.opened.rings() {
            rings.look();
        }
        self.tell_again();
        self.opened.users.unlock();
        Ok(())
    }

    /// After a start: what ethdev does not tell the driver, or the reset took away. A refusal is seen by what is read back.
    fn tell_again(&mut self) {
        // Drivers fill the redirection table anew at a start.
        self.info.rss = self.state.setup.rss.set_up(self.opened.port_id);
        if self.state.keep_promiscuous
            && let Err(refusal) = self.state.filter.calls_mut().set_promiscuous(true)
        {
            tracing::warn!("port {}: promiscuous_enable: {}", self.info.name, refusal.words);
        }
        if !self.state.vlans.is_empty() {
            for vid in core::iter::once(&0).chain(&self.state.vlans) {
                if let Err(error) = self.let_vlan_pass(*vid) {
                    tracing::warn!("port {}: rte_eth_dev_vlan_filter, {vid}: {error}", self.info.name);
                }
            }
        }
    }
}

/// After a reset, or a start that was refused: queues, offloads, MTU and address, as at the first time.
pub(super) fn configure_again(opened: &Opened, setup: &Setup, was: &PortInfo) -> Result<Rss, PortError> {
    let mut plan = setup.plan.clone();
    (plan.mtu, plan.mac) = (was.mtu, Some(was.mac));
    let opening = Opening { plan: &plan, port_id: opened.port_id, listener: Listener::capturing() };
    let info = device_info(opened.port_id).map_err(|error| opening.refused("to tell its limits", error))?;
    let (rss, _) = opening.configure(setup.queue_pairs, &info, setup.offloads, opened.has_rx_interrupts())?;
    opening.set_up_queues(setup.queue_pairs, &info, setup.offloads, opened)?;
    opening.set_mtu()?;
    opening.set_mac(&was.driver).map(|_| rss)
}

/// What the driver calls, on a thread of its own.
///
/// # Safety
/// `wants_reset` is the flag that was registered.
unsafe extern "C" fn reset_requested(
    _port_id: u16,
    _event: sys::rte_eth_event_type,
    wants_reset: *mut c_void,
    _param: *mut c_void,
) -> c_int {
    // SAFETY: as promised, and alive: the port unregisters this before it goes.
    let wants_reset = unsafe { &*wants_reset.cast::<core::sync::atomic::AtomicBool>() };
    wants_reset.store(true, Ordering::Release);
    0
}

/// E08: a device that needs a reset, as a virtual function whose host was reset, says so.
pub(super) fn reset_request(opened: &Opened) -> Callback {
    let argument = core::ptr::from_ref(&opened.wants_reset).cast_mut().cast();
    Callback { event: sys::RTE_ETH_EVENT_INTR_RESET, function: Some(reset_requested), argument }
}
