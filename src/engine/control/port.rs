//! The truth about one port: its device, who serves it, and its interfaces.

use super::Outlet;
use super::filter::FilterTimes;
use super::interface::Interface;
use super::restart::{Pauses, Restart};
use super::spread::Spread;
use crate::engine::counters::{Counter, CounterPage, Tally};
use crate::io::{Nic, Occasion, PortControl, PortId};
use crate::rng::Rng;
use crate::time::{Instant, earliest};

pub use super::interface::ControlInterfaceParts;

/// What control is told of a port.
pub struct ControlPortParts {
    /// Which port.
    pub id: PortId,
    /// The device.
    pub device: Box<dyn PortControl>,
    /// What IP has on it: at least one.
    pub interfaces: Vec<ControlInterfaceParts>,
    /// The workers that serve it; the first sends for control.
    pub workers: Vec<usize>,
    /// Their CPUs.
    pub cpus: Vec<usize>,
    /// The counters that they publish.
    pub pages: Vec<CounterPage>,
}

impl core::fmt::Debug for ControlPortParts {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("ControlPortParts").field("interfaces", &self.interfaces).finish_non_exhaustive()
    }
}

/// Control's own counting on a port, and who sends there for it.
#[derive(Debug)]
pub(super) struct Ledger {
    pub(super) id: PortId,
    pub(super) worker: usize,
    pub(super) tally: Tally,
}

/// What the interfaces of a port share.
pub(super) struct Base {
    pub(super) device: Box<dyn PortControl>,
    pub(super) workers: Vec<usize>,
    pub(super) cpus: Vec<usize>,
    pub(super) pages: Vec<CounterPage>,
    pub(super) ledger: Ledger,
    /// The most that its MTU may become while it runs.
    pub(super) configured_mtu: u16,
    /// When the filter was applied, and is tried again.
    pub(super) filter: FilterTimes,
    pub(super) link_up: bool,
    /// A restart under way, and what workers are yet to be told of it.
    pub(super) restart: Option<Restart>,
    pub(super) pauses: Pauses,
    spread: Spread,
}

/// One port.
pub(super) struct Port {
    pub(super) base: Base,
    pub(super) interfaces: Vec<Interface>,
}

impl Port {
    pub(super) fn new(parts: ControlPortParts, rng: &mut Rng) -> Self {
        let ControlPortParts { id, device, interfaces, workers, cpus, pages } = parts;
        let worker = workers.first().copied().unwrap_or_default();
        let ledger = Ledger { id, worker, tally: Tally::default() };
        // G44: what was sent while there was no link is sent again when there is one, at the start too.
        let link_up = device.link_is_up();
        let configured_mtu = device.info().mtu;
        let (filter, restart, pauses) = (FilterTimes::new(), None, Pauses::default());
        let spread = Spread::default();
        let base = Base {
            device,
            workers,
            cpus,
            pages,
            ledger,
            configured_mtu,
            filter,
            link_up,
            restart,
            pauses,
            spread,
        };
        Self { base, interfaces: interfaces.into_iter().map(|i| Interface::new(i, rng)).collect() }
    }

    /// What the workers counted on this port, together.
    pub(super) fn workers_tally(&self) -> Tally {
        let mut sum = Tally::default();
        self.base.pages.iter().for_each(|page| sum.merge(&page.read()));
        sum
    }

    /// All drops on this port, control's own among them.
    pub(super) fn all_tally(&self) -> Tally {
        let mut sum = self.workers_tally();
        sum.merge(&self.base.ledger.tally);
        sum
    }

    /// DESIGN 3: whatever control was handed or has made, it has used, sent or dropped.
    pub(super) fn assert_balance(&self) {
        let (came, went) = self.base.ledger.tally.balance();
        debug_assert_eq!(came, went, "control lost a packet");
    }

    /// The packets that came by each receive queue.
    pub(super) fn rx_by_queue(&self) -> impl Iterator<Item = u64> {
        let queues = self.base.device.info().rx_queues;
        self.base.pages.iter().take(queues.into()).map(|page| page.read().get(Counter::Rx))
    }

    /// Says so if the device was given several receive queues and fills one.
    pub(super) fn check_spread(&mut self) {
        if self.base.device.info().rx_queues < 2 {
            return;
        }
        let mut spread = self.base.spread;
        if let Some(queue) = spread.look(self.rx_by_queue()) {
            let info = self.base.device.info();
            tracing::warn!(
                "port {}: all that came so far came by queue {queue} of {}: if that is not all of one flow, the device does \
                 not spread flows by {}, and the other queues' workers have nothing to do: let one worker serve this port \
                 (its key `cpus`), or spread flows in software (rps = \"on\")",
                info.name,
                info.rx_queues,
                info.driver,
            );
        }
        self.base.spread = spread;
    }

    /// Notices that the link came up again: what was announced and reported must be so again.
    pub(super) fn check_link<N: Nic>(&mut self, now: Instant, rng: &mut Rng, out: &Outlet<N>) {
        let base = &mut self.base;
        let up = base.device.link_is_up();
        let came_up = up && !base.link_up;
        if up != base.link_up {
            tracing::info!("port {}: link {}", base.device.info().name, if up { "up" } else { "down" });
        }
        base.link_up = up;
        if came_up {
            // E08: what took the link down may have taken the device's list of addresses with it.
            self.apply_filter(now, Occasion::Restart);
            for interface in &mut self.interfaces {
                interface.link_came_up(now, rng, &self.base, out);
            }
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let port = earliest(self.base.filter.next_deadline(), self.restart_deadline());
        self.interfaces.iter().map(Interface::next_deadline).fold(port, earliest)
    }
}
