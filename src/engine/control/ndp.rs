//! Neighbour discovery on one interface: what comes in, and what is asked.

use core::net::Ipv6Addr;

use super::Outlet;
use super::interface::Interface;
use super::port::Base;
use crate::engine::counters::Counter;
use crate::io::{DropReason, Nic};
use crate::stack::neighbor::Request;
use crate::time::Instant;

impl Interface {
    /// A message of neighbour discovery.
    pub(super) fn ndp_input<N: Nic>(
        &mut self,
        _now: Instant,
        _frame: &[u8],
        base: &mut Base,
        _out: &Outlet<N>,
    ) {
        base.ledger.tally.add(Counter::HandedIn, 1);
        base.ledger.tally.drop(DropReason::EtherTypeUnknown);
    }

    /// Asks for a neighbour.
    pub(super) fn ask_by_ndp<N: Nic>(
        &mut self,
        _now: Instant,
        _request: Request<Ipv6Addr>,
        _base: &mut Base,
        _out: &Outlet<N>,
    ) {
    }
}
