//! Joining and leaving, in the order that loses nothing.
//!
//! On join: the NIC's filter, the workers' admission, then the report, so that what the router sends finds the door
//! open. On leave: the report, admission, then the filter.

use std::sync::Arc;

use super::port::Port;
use super::{Control, ControlSocket, Outlet};
use crate::addr::{Group, Unicast, V4};
use crate::engine::command::{Answer, DoneAnswer, Membership};
use crate::io::Nic;
use crate::rng::Rng;
use crate::stack::groups::{GroupTable, ServiceId};
use crate::stack::membership::{JoinOutcome, LeaveOutcome, SourceFilter};
use crate::time::Instant;

/// A membership whose names are resolved.
struct Target {
    port: usize,
    service: ServiceId,
    group: Group<V4>,
    source: Option<Unicast<V4>>,
    /// Whether the service has a socket there that receives groups. U19: one bound to an address does not.
    can_hear: bool,
}

impl<N: Nic> Control<N> {
    pub(super) fn join(&mut self, now: Instant, membership: &Membership) -> Answer {
        self.change(membership, |port, target, rng, out| {
            let Target { service, group, source, can_hear, .. } = *target;
            if !can_hear {
                return Err("the service has no socket there that receives groups: it needs one with the address 0.0.0.0 \
                            (its key `listen`)"
                    .to_owned());
            }
            let outcome = match source {
                None => port.memberships.join(service, group),
                Some(source) => port.memberships.join_source(service, group, source),
            };
            match outcome.map_err(|e| e.to_string())? {
                JoinOutcome::AlreadyMember => Ok("nothing changed: already joined"),
                JoinOutcome::Joined => {
                    port.apply_join(now, group, rng, out);
                    Ok("joined")
                }
            }
        })
    }

    pub(super) fn leave(&mut self, now: Instant, membership: &Membership) -> Answer {
        self.change(membership, |port, target, rng, out| {
            let Target { service, group, source, .. } = *target;
            let outcome = match source {
                None => Ok(port.memberships.leave(&service, group)),
                Some(source) => port.memberships.leave_source(&service, group, source),
            };
            match outcome.map_err(|e| e.to_string())? {
                LeaveOutcome::NotMember => Err("not joined there: see `pollcast ctl groups`".to_owned()),
                LeaveOutcome::Left => {
                    port.apply_leave(now, group, rng, out);
                    Ok("left")
                }
            }
        })
    }

    fn change(
        &mut self,
        membership: &Membership,
        act: impl FnOnce(&mut Port, &Target, &mut Rng, &Outlet<N>) -> Result<&'static str, String>,
    ) -> Answer {
        let done = self.target(membership).and_then(|target| {
            let Some(port) = self.ports.get_mut(target.port) else { return Err("no such port".to_owned()) };
            let verb = act(port, &target, &mut self.rng, &self.out)?;
            port.assert_balance();
            let name = &port.device.info().name;
            let service = self.services.get(usize::from(target.service)).map_or("?", String::as_str);
            let from = target.source.map(|s| format!(" from {s}")).unwrap_or_default();
            Ok(format!("{verb} {}{from} on {name} for {service}", target.group))
        });
        match done {
            Ok(done) => Answer::Done(DoneAnswer { done }),
            Err(why) => Answer::Error(format!("{}: {why}", membership.group)),
        }
    }

    /// Resolves the names of `membership`, or says which there are.
    fn target(&self, membership: &Membership) -> Result<Target, String> {
        let group = Group::new(membership.group)
            .ok_or("not a multicast group: use an address from 224.0.0.0 to 239.255.255.255")?;
        if !group.is_reported() {
            return Err("the group of all hosts is always received and cannot be joined or left".to_owned());
        }
        let source = match membership.source {
            None => None,
            Some(addr) => Some(
                Unicast::new(addr).ok_or_else(|| format!("source {addr} is not the address of one host"))?,
            ),
        };
        let service_names: Vec<&str> = self.services.iter().map(String::as_str).collect();
        let service = choose("service", membership.service.as_deref(), &service_names)?;
        let port_names: Vec<&str> = self.ports.iter().map(|p| p.device.info().name.as_str()).collect();
        let port = choose("port", membership.port.as_deref(), &port_names)?;
        let service = ServiceId::try_from(service).map_err(|_| "too many services".to_owned())?;
        let can_hear = self.sockets.iter().any(|ControlSocket { socket, .. }| {
            (socket.port.index(), socket.service) == (port, service) && socket.local.ip().is_unspecified()
        });
        Ok(Target { port, service, group, source, can_hear })
    }
}

/// The place of `name` among `names`; without a name, of the only one.
fn choose(what: &str, name: Option<&str>, names: &[&str]) -> Result<usize, String> {
    let list = || names.join(", ");
    match name {
        Some(name) => names
            .iter()
            .position(|n| *n == name)
            .ok_or_else(|| format!("there is no {what} \"{name}\"; there is {}", list())),
        None if names.len() == 1 => Ok(0),
        None if names.is_empty() => Err(format!("there is no {what}")),
        None => Err(format!("there are several {what}s: name one with --{what}: {}", list())),
    }
}

impl Port {
    /// Notes that `service` wants `group`, before the port is applied as a whole.
    pub(super) fn want(&mut self, service: ServiceId, group: Group<V4>, filter: SourceFilter<V4>) {
        if let Err(e) = self.memberships.set_filter(service, group, filter) {
            tracing::error!("{group}: {e}");
        }
    }

    /// Applies every membership at once: one filter, one admission table, few reports.
    pub(super) fn apply_all<N: Nic>(&mut self, now: Instant, rng: &mut Rng, out: &Outlet<N>) {
        self.apply_filter();
        self.apply_admission(out);
        for (group, filter) in self.memberships.groups() {
            self.igmp.set_filter(now, group, filter);
        }
        self.send_reports(now, rng, out);
    }

    fn apply_join<N: Nic>(&mut self, now: Instant, group: Group<V4>, rng: &mut Rng, out: &Outlet<N>) {
        self.apply_filter();
        self.apply_admission(out);
        self.igmp.set_filter(now, group, self.memberships.filter(group));
        self.send_reports(now, rng, out);
    }

    fn apply_leave<N: Nic>(&mut self, now: Instant, group: Group<V4>, rng: &mut Rng, out: &Outlet<N>) {
        self.igmp.set_filter(now, group, self.memberships.filter(group));
        self.send_reports(now, rng, out);
        self.apply_admission(out);
        self.apply_filter();
    }

    /// G45: tells routers that nothing is wanted any more, in as few reports as can be.
    pub(super) fn leave_all<N: Nic>(&mut self, now: Instant, rng: &mut Rng, out: &Outlet<N>) {
        self.igmp.leave_all(now);
        self.send_reports(now, rng, out);
    }

    /// E05, E06: the set is derived from the groups each time, with that of all hosts, and applied whole.
    fn apply_filter(&mut self) {
        let macs = self.memberships.macs();
        let before = self.filter_applied.then(|| self.device.filter_state().rung);
        let rung = self.device.mc_filter().apply(&macs).rung;
        self.filter_applied = true;
        if let Some(before) = before
            && before != rung
        {
            tracing::info!("port {}: multicast filter: {before} -> {rung}", self.device.info().name);
        }
    }

    /// One table for all workers. The one that it takes the place of stays until no worker has it any more: it is many
    /// pieces of memory, and giving those back would keep a worker from its ring.
    fn apply_admission<N: Nic>(&mut self, out: &Outlet<N>) {
        let table = Arc::new(self.admission_table());
        for worker in &self.workers {
            if !out.renew_groups(self.interface.port, *worker, Arc::clone(&table)) {
                tracing::error!("worker {worker} does not read its inbox: its groups are out of date");
            }
        }
        self.replaced.push(core::mem::replace(&mut self.interface.v4.groups, table));
        self.replaced.retain(|table| Arc::strong_count(table) > 1);
    }

    fn admission_table(&self) -> GroupTable<V4> {
        let groups = self.memberships.groups().flat_map(|(group, _)| {
            self.memberships.members(group).map(move |(service, filter)| (group, *service, filter.clone()))
        });
        GroupTable::new(self.hash_seed, groups)
    }
}
