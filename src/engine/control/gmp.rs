//! How group management stands, for people and programs; and its choices, changed while it runs.

use core::fmt::Display;

use super::interface::Interface;
use super::port::Base;
use super::side::Managed;
use super::{Control, Outlet, choose, find};
use crate::addr::{V4, V6};
use crate::engine::command::{Answer, DoneAnswer, GmpAnswer, GmpOrder, QuerierAnswer};
use crate::io::{IgmpPolicy, IgmpVersion, MldPolicy, MldVersion, Nic, Robustness};
use crate::rng::Rng;
use crate::stack::gmp::{HeardQuerier, Status};
use crate::time::Instant;

/// A protocol whose choices can be shown and changed.
pub(super) trait Chosen: Managed {
    /// The command: `igmp`, `mld`.
    const COMMAND: &'static str;

    /// A version, or the choice of none.
    type Version: Copy + Eq + Default + Display;

    /// The version that `policy` chooses, its robustness, and whether it ignores queries that are not strictly right.
    fn choice(policy: &Self::Policy) -> (Self::Version, Robustness, bool);

    /// `policy` with these choices in place of its own.
    fn chosen(policy: Self::Policy, version: Self::Version, robustness: Robustness) -> Self::Policy;
}

impl Chosen for V4 {
    const COMMAND: &'static str = "igmp";

    type Version = IgmpVersion;

    fn choice(policy: &IgmpPolicy) -> (IgmpVersion, Robustness, bool) {
        (policy.version, policy.robustness, policy.strict_queries)
    }

    fn chosen(policy: IgmpPolicy, version: IgmpVersion, robustness: Robustness) -> IgmpPolicy {
        IgmpPolicy { version, robustness, ..policy }
    }
}

impl Chosen for V6 {
    const COMMAND: &'static str = "mld";

    type Version = MldVersion;

    // L03: MLD is always strict.
    fn choice(policy: &MldPolicy) -> (MldVersion, Robustness, bool) {
        (policy.version, policy.robustness, true)
    }

    fn chosen(policy: MldPolicy, version: MldVersion, robustness: Robustness) -> MldPolicy {
        MldPolicy { version, robustness, ..policy }
    }
}

impl<N: Nic> Control<N> {
    /// Shows how group management stands; or changes its choices, and says what was done.
    pub(super) fn gmp_command<F: Chosen>(
        &mut self,
        now: Instant,
        order: &GmpOrder<F::Version>,
        shown: impl Fn(Vec<GmpAnswer<F::Version>>) -> Answer,
    ) -> Answer {
        let GmpOrder { port, version, robustness } = order;
        let done = if version.is_none() && robustness.is_none() {
            self.gmp_shown::<F>(now, port.as_deref()).map(shown)
        } else {
            self.gmp_changed::<F>(now, order).map(|done| Answer::Done(DoneAnswer::said(done)))
        };
        done.unwrap_or_else(|why| Answer::Error(format!("{}: {why}", F::COMMAND)))
    }

    fn gmp_shown<F: Chosen>(
        &self,
        now: Instant,
        port: Option<&str>,
    ) -> Result<Vec<GmpAnswer<F::Version>>, String> {
        let names: Vec<&str> = self.interfaces().map(|i| i.name.as_str()).collect();
        let only = port.map(|port| choose("port", Some(port), &names)).transpose()?;
        let shown = self.interfaces().enumerate().filter(|(n, _)| only.is_none_or(|only| only == *n));
        let on = shown.filter(|(_, interface)| F::inet(&interface.replica).is_on);
        Ok(on.map(|(_, interface)| answer::<F>(now, interface)).collect())
    }

    fn gmp_changed<F: Chosen>(
        &mut self,
        now: Instant,
        order: &GmpOrder<F::Version>,
    ) -> Result<String, String> {
        let names: Vec<&str> = self.interfaces().map(|i| i.name.as_str()).collect();
        let chosen = choose("port", order.port.as_deref(), &names)?;
        let id = self.interfaces().nth(chosen).map(|i| i.replica.id).ok_or("no such port")?;
        let (base, interface) = find(&mut self.ports, id).ok_or("no such port")?;
        if !F::inet(&interface.replica).is_on {
            return Err(interface.is_off::<F>());
        }
        interface.change_gmp::<F, N>(now, order, &mut self.rng, base, &self.out)
    }
}

impl Interface {
    /// Follows the choices of `order` from now on.
    fn change_gmp<F: Chosen, N: Nic>(
        &mut self,
        now: Instant,
        order: &GmpOrder<F::Version>,
        rng: &mut Rng,
        base: &mut Base,
        out: &Outlet<N>,
    ) -> Result<String, String> {
        if let Some(Robustness::Pinned(n)) = order.robustness
            && !(1..=Robustness::MAX).contains(&n)
        {
            return Err(format!("robustness {n}: use auto, or 1 to {}", Robustness::MAX));
        }
        let gmp = &mut F::side_mut(self).reports.gmp;
        let before = gmp.status(now);
        let (version, robustness, _) = F::choice(&before.policy);
        let (version, robustness) =
            (order.version.unwrap_or(version), order.robustness.unwrap_or(robustness));
        gmp.set_policy(now, F::chosen(before.policy, version, robustness));
        self.send_reports::<F, N>(now, rng, base, out);
        Ok(done::<F>(&self.name, order, &before, &F::side(self).reports.gmp.status(now)))
    }
}

/// What `order` did, in a sentence.
fn done<F: Chosen>(
    name: &str,
    order: &GmpOrder<F::Version>,
    before: &Status<F>,
    after: &Status<F>,
) -> String {
    let version = order.version.map(|_| {
        let (pinned, ..) = F::choice(&after.policy);
        let spoken = after.version.number();
        let how = if pinned == F::Version::default() { "chosen by the queriers" } else { "pinned" };
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

fn answer<F: Chosen>(now: Instant, interface: &Interface) -> GmpAnswer<F::Version> {
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
    } = F::side(interface).reports.gmp.status(now);
    let (configured_version, configured_robustness, strict_queries) = F::choice(&policy);
    let seconds = |until: Instant| until.since(now).as_secs();
    let millis = |until: Instant| u64::try_from(until.since(now).as_millis()).unwrap_or(u64::MAX);
    let querier = querier.map(|HeardQuerier { addr, version, at }| QuerierAnswer {
        addr: addr.into(),
        version: version.number(),
        age_s: now.since(at).as_secs(),
    });
    GmpAnswer {
        port: interface.name.clone(),
        configured_version,
        version: version.number(),
        v1_querier_s: older.v1_until.map(seconds),
        v2_querier_s: older.v2_until.map(seconds),
        querier,
        configured_robustness,
        robustness,
        query_interval_s: query_interval.as_secs(),
        strict_queries,
        groups,
        silent_groups,
        next_ms: next.map(millis),
        general_answer_ms: pending.general.map(millis),
        group_answers: pending.groups,
        changes: pending.changes,
    }
}
