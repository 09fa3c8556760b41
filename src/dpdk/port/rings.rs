//! The rings of a vhost port: when its queues use them themselves.

use std::sync::Arc;

use dpdk_sys as sys;

use super::callback::Callback;
use super::{Opened, Setup};
use crate::dpdk::vhost::Rings;

/// What tells that the device behind a port has come or goes, and that one of its rings was switched on or off.
const EVENTS: [sys::rte_eth_event_type; 2] = [sys::RTE_ETH_EVENT_INTR_LSC, sys::RTE_ETH_EVENT_QUEUE_STATE];

/// Gives the rings of a port that was just started to its queues, if they are a vhost port's, if the configuration lets them, and if
/// nothing is asked for that the driver does to packets as it passes them on.
pub(super) fn take(opened: &Opened, setup: &Setup, driver: &str) {
    if driver != "net_vhost" || !setup.plan.vhost_direct || !setup.offloads.leave_packets_of_vhost_alone() {
        return;
    }
    let Some(rings) = Rings::find(opened.port_id, setup.queue_pairs) else {
        tracing::debug!("port {}: DPDK's vhost library is not to be found", setup.plan.name);
        return;
    };
    // SAFETY: the port is ours; the rings are held here, and then by `opened`, which lets go of them in the end.
    let register = |callback: Callback| unsafe { callback.register(opened.port_id) };
    if !callbacks(&rings).into_iter().all(register) {
        // Nobody would tell when the device goes.
        callbacks(&rings).into_iter().for_each(|callback| callback.unregister(opened.port_id));
        return;
    }
    // What came before that.
    opened.rings.get_or_init(|| rings).look();
    tracing::debug!("port {}: its rings are used without net_vhost's burst functions", setup.plan.name);
}

/// Before the port is closed: from here on the driver does not call the rings.
pub(super) fn let_go(opened: &Opened) {
    let rings = opened.rings();
    rings.into_iter().flat_map(callbacks).for_each(|callback| callback.unregister(opened.port_id));
}

fn callbacks(rings: &Arc<Rings>) -> [Callback; 2] {
    EVENTS.map(|event| Callback { event, function: Rings::CHANGED, argument: rings.argument() })
}
