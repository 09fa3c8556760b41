//! The NIC's multicast filter of a port: when it is applied, when what refused is tried again, and what is told of it.

use core::time::Duration;

use super::membership::choose;
use super::port::Port;
use super::{Control, find_port};
use crate::engine::command::{Answer, DoneAnswer, FilterAnswer, FilterPolicyOrder};
use crate::io::{DropReason, FilterState, Nic, Occasion};
use crate::time::Instant;

/// The first retry after a refusal that may pass, and the longest time between two.
const RETRY_MIN: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(60);

/// When the filter was applied, and when it is to be again.
#[derive(Debug)]
pub(super) struct FilterTimes {
    applied_at: Option<Instant>,
    retry_at: Option<Instant>,
    pause: Duration,
    /// What had passed for nothing when the rung in use was taken.
    passed_before: u64,
}

impl FilterTimes {
    pub(super) const fn new() -> Self {
        Self { applied_at: None, retry_at: None, pause: RETRY_MIN, passed_before: 0 }
    }

    pub(super) const fn next_deadline(&self) -> Option<Instant> {
        self.retry_at
    }

    /// It was applied: with a refusal that may pass, it will be again.
    fn applied(&mut self, now: Instant, occasion: Occasion, may_pass: bool) {
        self.applied_at = Some(now);
        if !may_pass {
            (self.retry_at, self.pause) = (None, RETRY_MIN);
        } else if occasion == Occasion::Retry || self.retry_at.is_none() {
            self.retry_at = Some(now + self.pause);
            self.pause = (self.pause * 2).min(RETRY_MAX);
        }
    }
}

impl Port {
    /// E05, E06: the set is derived from the groups each time, with that of all hosts, and applied whole. The device
    /// cannot tell VLANs apart: the set is what any interface wants.
    pub(super) fn apply_filter(&mut self, now: Instant, occasion: Occasion) {
        // E03, E06: with IPv6, that of all nodes and those of solicited nodes are among them.
        let v4 = self.interfaces.iter().flat_map(|i| i.v4.memberships.macs());
        let with_v6 = self.interfaces.iter().filter(|i| i.replica.v6.is_on);
        let mut macs: Vec<_> = v4.chain(with_v6.flat_map(|i| i.v6.memberships.macs())).collect();
        macs.sort_unstable();
        macs.dedup();
        let passed = self.all_tally().drops(DropReason::EthernetGroupNotJoined);
        let base = &mut self.base;
        let FilterState { rung: before, applied, .. } = *base.device.filter_state();
        let state = base.device.mc_filter().apply(&macs, occasion);
        if state.applied == applied {
            return;
        }
        let (rung, may_pass) = (state.rung, state.may_pass);
        let first = base.filter.applied_at.is_none();
        base.filter.applied(now, occasion, may_pass);
        if before != rung {
            base.filter.passed_before = passed;
        }
        if !first && before != rung {
            let state = base.device.filter_state();
            let why = state.refused.last().map(|refused| format!(": {}", refused.why)).unwrap_or_default();
            tracing::info!("port {}: multicast filter: {before} -> {rung}{why}", base.device.info().name);
        }
    }

    /// Tries again what refused, if it is time.
    pub(super) fn retry_filter(&mut self, now: Instant) {
        if self.base.filter.retry_at.is_some_and(|at| at <= now) {
            self.apply_filter(now, Occasion::Retry);
        }
    }

    pub(super) fn filter_answer(&self, now: Instant) -> FilterAnswer {
        let tally = self.all_tally();
        let FilterTimes { applied_at, retry_at, passed_before, .. } = self.base.filter;
        let not_in_set = tally.drops(DropReason::EthernetGroupNotJoined);
        FilterAnswer {
            port: self.base.device.info().name.clone(),
            driver: self.base.device.info().driver.clone(),
            state: self.base.device.filter_state().clone(),
            not_in_set,
            not_in_set_here: not_in_set.saturating_sub(passed_before),
            aliases: tally.drops(DropReason::Ipv4GroupNotJoined)
                + tally.drops(DropReason::Ipv6GroupNotJoined),
            applied_ago_s: applied_at.map(|at| now.since(at).as_secs()),
            retry_in_s: retry_at.map(|at| at.since(now).as_secs()),
        }
    }

    /// `addr_list, 3 group addresses`.
    pub(super) fn filter_in_short(&self) -> String {
        let FilterState { rung, macs, .. } = self.base.device.filter_state();
        let addresses = if macs.len() == 1 { "address" } else { "addresses" };
        format!("{rung}, {} group {addresses}", macs.len())
    }
}

impl<N: Nic> Control<N> {
    /// Pins the filter of a port to a rung, or lets it climb.
    pub(super) fn set_filter_policy(&mut self, now: Instant, order: &FilterPolicyOrder) -> Answer {
        let names: Vec<&str> = self.ports.iter().map(|p| p.base.device.info().name.as_str()).collect();
        let port =
            choose("port", order.port.as_deref(), &names).and_then(|index| find_port(&mut self.ports, index));
        let port = match port {
            Ok(port) => port,
            Err(why) => return Answer::Error(format!("multicast filter: {why}")),
        };
        let before = port.base.device.filter_state().rung;
        port.base.device.mc_filter().set_policy(order.policy);
        port.apply_filter(now, Occasion::Change);
        let FilterState { rung, .. } = port.base.device.filter_state();
        let (name, policy) = (&port.base.device.info().name, order.policy.name());
        let done = match before == *rung {
            true => format!("the multicast filter of {name} is {policy}: {rung}, as before"),
            false => format!("the multicast filter of {name} is {policy}: {before} -> {rung}"),
        };
        Answer::Done(DoneAnswer { filter: Some(port.filter_in_short()), ..DoneAnswer::said(done) })
    }
}
