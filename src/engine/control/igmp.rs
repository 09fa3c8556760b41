//! How group management stands, for people and programs; and its choices, changed while it runs.

use super::interface::Interface;
use super::port::Base;
use super::{Control, Outlet, choose, find};
use crate::addr::V4;
use crate::engine::command::{Answer, DoneAnswer, IgmpAnswer, IgmpOrder, QuerierAnswer};
use crate::io::{IgmpPolicy, IgmpVersion, Nic, Robustness};
use crate::rng::Rng;
use crate::stack::gmp::{HeardQuerier, Status};
use crate::time::Instant;

impl<N: Nic> Control<N> {
    /// Shows how group management stands; or changes its choices, and says what was done.
    pub(super) fn igmp_command(&mut self, now: Instant, order: &IgmpOrder) -> Answer {
        let IgmpOrder { port, version, robustness } = order;
        let done = if version.is_none() && robustness.is_none() {
            self.igmp_shown(now, port.as_deref()).map(Answer::Igmp)
        } else {
            self.igmp_changed(now, order).map(|done| Answer::Done(DoneAnswer::said(done)))
        };
        done.unwrap_or_else(|why| Answer::Error(format!("igmp: {why}")))
    }

    fn igmp_shown(&self, now: Instant, port: Option<&str>) -> Result<Vec<IgmpAnswer>, String> {
        let names: Vec<&str> = self.interfaces().map(|i| i.name.as_str()).collect();
        let only = port.map(|port| choose("port", Some(port), &names)).transpose()?;
        let shown = self.interfaces().enumerate().filter(|(n, _)| only.is_none_or(|only| only == *n));
        Ok(shown.map(|(_, interface)| answer(now, interface)).collect())
    }

    fn igmp_changed(&mut self, now: Instant, order: &IgmpOrder) -> Result<String, String> {
        let names: Vec<&str> = self.interfaces().map(|i| i.name.as_str()).collect();
        let chosen = choose("port", order.port.as_deref(), &names)?;
        let id = self.interfaces().nth(chosen).map(|i| i.replica.id).ok_or("no such port")?;
        let (base, interface) = find(&mut self.ports, id).ok_or("no such port")?;
        interface.change_igmp(now, order, &mut self.rng, base, &self.out)
    }
}

impl Interface {
    /// Follows the choices of `order` from now on.
    fn change_igmp<N: Nic>(
        &mut self,
        now: Instant,
        order: &IgmpOrder,
        rng: &mut Rng,
        base: &mut Base,
        out: &Outlet<N>,
    ) -> Result<String, String> {
        if let Some(Robustness::Pinned(n)) = order.robustness
            && !(1..=Robustness::MAX).contains(&n)
        {
            return Err(format!("robustness {n}: use auto, or 1 to {}", Robustness::MAX));
        }
        let before = self.igmp.status(now);
        let IgmpPolicy { version, robustness, .. } = before.policy;
        self.igmp.set_policy(
            now,
            IgmpPolicy {
                version: order.version.unwrap_or(version),
                robustness: order.robustness.unwrap_or(robustness),
                ..before.policy
            },
        );
        self.send_reports(now, rng, base, out);
        Ok(done(&self.name, order, &before, &self.igmp.status(now)))
    }
}

/// What `order` did, in a sentence.
fn done(name: &str, order: &IgmpOrder, before: &Status<V4>, after: &Status<V4>) -> String {
    let version = order.version.map(|_| {
        let pinned = after.policy.version;
        let spoken = after.version.number();
        let how = if pinned == IgmpVersion::Auto { "chosen by the queriers" } else { "pinned" };
        if after.version == before.version {
            format!("version {spoken}, {how}, as it was spoken before: nothing is told anew")
        } else {
            let told = after.groups - after.silent_groups;
            format!("version {spoken}, {how}: what was pending is cancelled, and {told} groups are told anew")
        }
    });
    let robustness = order.robustness.map(|pinned| match pinned {
        Robustness::Auto => format!("changes are told {} times, as queriers say", after.robustness),
        Robustness::Pinned(n) => format!("changes are told {n} times, whatever queriers say"),
    });
    let parts: Vec<_> = version.into_iter().chain(robustness).collect();
    format!("{name}: {}", parts.join("; "))
}

fn answer(now: Instant, interface: &Interface) -> IgmpAnswer {
    let Status {
        policy,
        version,
        older,
        querier,
        robustness,
        query_interval,
        groups,
        silent_groups,
        pending,
        next,
    } = interface.igmp.status(now);
    let seconds = |until: Instant| until.since(now).as_secs();
    let millis = |until: Instant| u64::try_from(until.since(now).as_millis()).unwrap_or(u64::MAX);
    let querier = querier.map(|HeardQuerier { addr, version, at }| QuerierAnswer {
        addr,
        version: version.number(),
        age_s: now.since(at).as_secs(),
    });
    IgmpAnswer {
        port: interface.name.clone(),
        configured_version: policy.version,
        version: version.number(),
        v1_querier_s: older.v1_until.map(seconds),
        v2_querier_s: older.v2_until.map(seconds),
        querier,
        configured_robustness: policy.robustness,
        robustness,
        query_interval_s: query_interval.as_secs(),
        strict_queries: policy.strict_queries,
        groups,
        silent_groups,
        next_ms: next.map(millis),
        general_answer_ms: pending.general.map(millis),
        group_answers: pending.groups,
        changes: pending.changes,
    }
}
