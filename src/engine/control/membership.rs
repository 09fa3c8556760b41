//! Joining and leaving, in the order that loses nothing.
//!
//! On join: the NIC's filter, the workers' admission, then the report, so that what the router sends finds the door
//! open. On leave: the report, admission, then the filter.

use core::net::IpAddr;
use core::time::Duration;
use std::sync::Arc;

use super::interface::Interface;
use super::port::Port;
use super::{Control, ControlSocket, Outlet};
use crate::addr::{Group, Unicast, V4};
use crate::engine::command::{Answer, DoneAnswer, Membership};
use crate::io::Nic;
use crate::rng::Rng;
use crate::stack::groups::{GroupTable, ServiceId};
use crate::stack::membership::{JoinOutcome, LeaveOutcome, SourceFilter};
use crate::time::Instant;

/// How long control waits for room in a worker's inbox, which a worker that turns makes within microseconds.
const RENEW_PATIENCE: Duration = Duration::from_secs(1);

/// The time between two attempts to reach a worker that made none.
pub(super) const TELL_INTERVAL: Duration = Duration::from_millis(10);

/// A membership whose names are resolved.
struct Target {
    port: usize,
    /// Its place among the port's interfaces.
    interface: usize,
    service: ServiceId,
    group: Group<V4>,
    source: Option<Unicast<V4>>,
    /// Whether the service has a socket there that could hear the group. U19: one bound to an address does not.
    can_hear: bool,
}

impl<N: Nic> Control<N> {
    pub(super) fn join(&mut self, now: Instant, membership: &Membership) -> Answer {
        self.change(membership, |port, target, rng, out| {
            let Target { service, group, source, can_hear, .. } = *target;
            if !can_hear {
                return Err("the service has no socket there that could hear it: it needs one with the address 0.0.0.0 or \
                            the group's (its key `listen`)"
                    .to_owned());
            }
            let Some(interface) = port.interfaces.get_mut(target.interface) else { return no_such_port() };
            let outcome = match source {
                None => interface.memberships.join(service, group),
                Some(source) => interface.memberships.join_source(service, group, source),
            };
            match outcome.map_err(|e| e.to_string())? {
                JoinOutcome::AlreadyMember => Ok("nothing changed: already joined"),
                JoinOutcome::Joined => {
                    port.apply_join(now, target, rng, out);
                    Ok("joined")
                }
            }
        })
    }

    pub(super) fn leave(&mut self, now: Instant, membership: &Membership) -> Answer {
        self.change(membership, |port, target, rng, out| {
            let Target { service, group, source, .. } = *target;
            let Some(interface) = port.interfaces.get_mut(target.interface) else { return no_such_port() };
            let outcome = match source {
                None => Ok(interface.memberships.leave(&service, group)),
                Some(source) => interface.memberships.leave_source(&service, group, source),
            };
            match outcome.map_err(|e| e.to_string())? {
                LeaveOutcome::NotMember => Err("not joined there: see `pollcast ctl groups`".to_owned()),
                LeaveOutcome::Left => {
                    port.apply_leave(now, target, rng, out);
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
            let Some(port) = self.ports.get_mut(target.port) else { return no_such_port() };
            let verb = act(port, &target, &mut self.rng, &self.out)?;
            port.assert_balance();
            let name = port.interfaces.get(target.interface).map_or("?", |i| i.name.as_str());
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
        let interfaces =
            || self.ports.iter().zip(0..).flat_map(|(p, n)| p.interfaces.iter().map(move |i| (n, i)));
        let names: Vec<&str> = interfaces().map(|(_, i)| i.name.as_str()).collect();
        let chosen = choose("port", membership.port.as_deref(), &names)?;
        let (port, found) = interfaces().nth(chosen).ok_or("no such port")?;
        let id = found.replica.id;
        let interface = interfaces().take(chosen).filter(|(n, _)| *n == port).count();
        let service = ServiceId::try_from(service).map_err(|_| "too many services".to_owned())?;
        let can_hear = self.sockets.iter().any(|ControlSocket { socket, .. }| {
            (socket.interface, socket.service) == (id, service) && socket.can_hear(IpAddr::V4(group.addr()))
        });
        Ok(Target { port, interface, service, group, source, can_hear })
    }
}

/// The place of `name` among `names`; without a name, of the only one.
pub(super) fn choose(what: &str, name: Option<&str>, names: &[&str]) -> Result<usize, String> {
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

fn no_such_port<T>() -> Result<T, String> {
    Err("no such port".to_owned())
}

impl Port {
    /// Applies every membership at once: one filter, one admission table an interface, few reports.
    pub(super) fn apply_all<N: Nic>(&mut self, now: Instant, rng: &mut Rng, out: &Outlet<N>) {
        self.apply_filter();
        let Self { base, interfaces } = self;
        for interface in interfaces {
            interface.apply_admission(now, &base.workers, out);
            for (group, filter) in interface.memberships.groups() {
                interface.igmp.set_filter(now, group, filter);
            }
            interface.send_reports(now, rng, base, out);
        }
    }

    fn apply_join<N: Nic>(&mut self, now: Instant, target: &Target, rng: &mut Rng, out: &Outlet<N>) {
        let Target { interface, group, .. } = *target;
        self.apply_filter();
        let Self { base, interfaces } = self;
        let Some(interface) = interfaces.get_mut(interface) else { return };
        interface.apply_admission(now, &base.workers, out);
        interface.igmp.set_filter(now, group, interface.memberships.filter(group));
        interface.send_reports(now, rng, base, out);
    }

    fn apply_leave<N: Nic>(&mut self, now: Instant, target: &Target, rng: &mut Rng, out: &Outlet<N>) {
        let Target { interface, group, .. } = *target;
        let Self { base, interfaces } = self;
        let Some(interface) = interfaces.get_mut(interface) else { return };
        interface.igmp.set_filter(now, group, interface.memberships.filter(group));
        interface.send_reports(now, rng, base, out);
        interface.apply_admission(now, &base.workers, out);
        self.apply_filter();
    }

    /// G45: tells routers that nothing is wanted any more, in as few reports as can be.
    pub(super) fn leave_all<N: Nic>(&mut self, now: Instant, rng: &mut Rng, out: &Outlet<N>) {
        let Self { base, interfaces } = self;
        for interface in interfaces {
            interface.igmp.leave_all(now);
            interface.send_reports(now, rng, base, out);
        }
    }

    /// E05, E06: the set is derived from the groups each time, with that of all hosts, and applied whole. The device
    /// cannot tell VLANs apart: the set is what any interface wants.
    pub(super) fn apply_filter(&mut self) {
        let mut macs: Vec<_> = self.interfaces.iter().flat_map(|i| i.memberships.macs()).collect();
        macs.sort_unstable();
        macs.dedup();
        let base = &mut self.base;
        let before = base.filter_applied.then(|| base.device.filter_state().rung);
        let rung = base.device.mc_filter().apply(&macs).rung;
        base.filter_applied = true;
        if let Some(before) = before
            && before != rung
        {
            tracing::info!("port {}: multicast filter: {before} -> {rung}", base.device.info().name);
        }
    }
}

impl Interface {
    /// Notes that `service` wants `group`, before the port is applied as a whole.
    pub(super) fn want(&mut self, service: ServiceId, group: Group<V4>, filter: SourceFilter<V4>) {
        if let Err(e) = self.memberships.set_filter(service, group, filter) {
            tracing::error!("{group}: {e}");
        }
    }

    /// One table for all workers. The one that it takes the place of stays until no worker has it any more: it is many
    /// pieces of memory, and giving those back would keep a worker from its ring.
    fn apply_admission<N: Nic>(&mut self, now: Instant, workers: &[usize], out: &Outlet<N>) {
        let table = Arc::new(self.admission_table());
        self.replaced.push(core::mem::replace(&mut self.replica.v4.groups, table));
        self.behind.clear();
        self.behind.extend_from_slice(workers);
        self.tell_admission(now, RENEW_PATIENCE, out);
        if !self.behind.is_empty() {
            tracing::warn!("workers {:?} do not read their inbox: their groups are out of date", self.behind);
        }
        self.replaced.retain(|table| Arc::strong_count(table) > 1);
    }

    /// Gives the table to the workers that do not have it yet.
    pub(super) fn tell_admission<N: Nic>(&mut self, now: Instant, patience: Duration, out: &Outlet<N>) {
        let (id, table) = (self.replica.id, &self.replica.v4.groups);
        self.behind.retain(|worker| !out.renew_groups(id, *worker, Arc::clone(table), patience));
        self.tell_at = (!self.behind.is_empty()).then(|| now + TELL_INTERVAL);
    }

    fn admission_table(&self) -> GroupTable<V4> {
        let groups = self.memberships.groups().flat_map(|(group, _)| {
            self.memberships.members(group).map(move |(service, filter)| (group, *service, filter.clone()))
        });
        GroupTable::new(self.hash_seed, groups)
    }
}
