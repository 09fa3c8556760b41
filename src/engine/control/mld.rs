//! MLD on one interface: what comes in, and what is reported.

use super::Outlet;
use super::interface::Interface;
use super::port::Base;
use crate::addr::{Group, V6};
use crate::engine::counters::Counter;
use crate::io::{DropReason, Nic};
use crate::rng::Rng;
use crate::time::Instant;

impl Interface {
    /// An MLD message.
    pub(super) fn mld_input(&mut self, _now: Instant, _rng: &mut Rng, _frame: &[u8], base: &mut Base) {
        base.ledger.tally.add(Counter::HandedIn, 1);
        base.ledger.tally.drop(DropReason::EtherTypeUnknown);
    }

    /// Tells routers what the interface wants of `groups` now. Returns how many reports that were.
    pub(super) fn report_mld<N: Nic>(
        &mut self,
        _now: Instant,
        _groups: &[Group<V6>],
        _rng: &mut Rng,
        _base: &mut Base,
        _out: &Outlet<N>,
    ) -> u32 {
        0
    }
}
