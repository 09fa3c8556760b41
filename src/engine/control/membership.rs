//! Joining and leaving, in the order that loses nothing.
//!
//! On join: the NIC's filter, the workers' admission, then the report, so that what the router sends finds the door
//! open. On leave: the report, admission, then the filter. However many groups a command speaks of, that is one filter,
//! one table for the workers, and as few reports as hold them.

use core::net::IpAddr;

use super::interface::Interface;
use super::port::{Base, Port};
use super::side::Managed;
use super::{Control, ControlSocket, Outlet, Waiting};
use crate::addr::{Family, Group, Unicast, V4, V6};
use crate::engine::command::{
    Answer, DoneAnswer, FilterMode, GroupChange, GroupRange, Membership, SourceFilterOrder,
};
use crate::engine::order::{GROUPS_MAX, Span, Spanned};
use crate::io::{InterfaceId, Nic, Occasion};
use crate::rng::Rng;
use crate::stack::groups::ServiceId;
use crate::stack::membership::{JoinOutcome, LeaveOutcome, Memberships, SourceFilter};
use crate::time::Instant;

/// Names that are resolved: whose memberships, and where.
struct Target {
    port: usize,
    /// Its place among the port's interfaces.
    interface: usize,
    id: InterfaceId,
    service: ServiceId,
}

/// What is to be done with each group of a command: the word for it if something changed.
type Act<'a, F> =
    &'a dyn Fn(&mut Memberships<F, ServiceId>, ServiceId, Group<F>) -> Result<Option<&'static str>, String>;

/// What is ordered, as far as the orders agree.
struct Order<'a> {
    groups: &'a [GroupRange],
    service: Option<&'a str>,
    port: Option<&'a str>,
    /// For the sentence: ` from 198.18.0.1`.
    from: String,
    /// It may make the service want more.
    joins: bool,
    /// Said if nothing changed.
    unchanged: &'a str,
}

/// An IP version of which groups are joined and left by order.
trait Joined: Managed + Spanned {
    /// `addr`, if it is of this version.
    fn addr(addr: IpAddr) -> Option<Self::Addr>;

    /// Where a socket hears any group.
    const ANY: &'static str;
}

impl Joined for V4 {
    const ANY: &'static str = "0.0.0.0";

    fn addr(addr: IpAddr) -> Option<Self::Addr> {
        if let IpAddr::V4(addr) = addr { Some(addr) } else { None }
    }
}

impl Joined for V6 {
    const ANY: &'static str = "::";

    fn addr(addr: IpAddr) -> Option<Self::Addr> {
        if let IpAddr::V6(addr) = addr { Some(addr) } else { None }
    }
}

/// Whether the groups of an order are IPv6's: the first one says.
fn are_v6(groups: &[GroupRange]) -> bool {
    matches!(groups, [GroupRange::V6(_), ..])
}

impl<N: Nic> Control<N> {
    pub(super) fn join(&mut self, now: Instant, membership: &Membership) -> (Answer, Option<Waiting>) {
        if are_v6(&membership.groups) {
            self.join_groups::<V6>(now, membership)
        } else {
            self.join_groups::<V4>(now, membership)
        }
    }

    fn join_groups<F: Joined>(&mut self, now: Instant, membership: &Membership) -> (Answer, Option<Waiting>) {
        let source = match source_of::<F>(membership) {
            Ok(source) => source,
            Err(why) => return (Answer::Error(why), None),
        };
        let order =
            Order { joins: true, unchanged: "nothing changed: already joined", ..Order::of(membership) };
        self.change::<F>(now, &order, &|memberships, service, group| {
            let outcome = match source {
                None => memberships.join(service, group),
                Some(source) => memberships.join_source(service, group, source),
            };
            outcome
                .map(|outcome| (outcome == JoinOutcome::Joined).then_some("joined"))
                .map_err(|e| e.to_string())
        })
    }

    pub(super) fn leave(&mut self, now: Instant, membership: &Membership) -> (Answer, Option<Waiting>) {
        if are_v6(&membership.groups) {
            self.leave_groups::<V6>(now, membership)
        } else {
            self.leave_groups::<V4>(now, membership)
        }
    }

    fn leave_groups<F: Joined>(
        &mut self,
        now: Instant,
        membership: &Membership,
    ) -> (Answer, Option<Waiting>) {
        let source = match source_of::<F>(membership) {
            Ok(source) => source,
            Err(why) => return (Answer::Error(why), None),
        };
        self.change::<F>(now, &Order::of(membership), &|memberships, service, group| {
            let outcome = match source {
                None => Ok(memberships.leave(&service, group)),
                Some(source) => memberships.leave_source(&service, group, source),
            };
            match outcome.map_err(|e| e.to_string())? {
                LeaveOutcome::NotMember => Err("not joined there: see `pollcast ctl groups`".to_owned()),
                LeaveOutcome::Left => Ok(Some("left")),
            }
        })
    }

    /// RFC 9776 2: `IPMulticastListen`, with the whole filter.
    pub(super) fn set_source_filter(
        &mut self,
        now: Instant,
        order: &SourceFilterOrder,
    ) -> (Answer, Option<Waiting>) {
        if are_v6(&order.groups) {
            self.set_filter_of::<V6>(now, order)
        } else {
            self.set_filter_of::<V4>(now, order)
        }
    }

    fn set_filter_of<F: Joined>(
        &mut self,
        now: Instant,
        order: &SourceFilterOrder,
    ) -> (Answer, Option<Waiting>) {
        let SourceFilterOrder { groups, mode, sources, service, port } = order;
        let wanted = sources.iter().map(|addr| unicast::<F>(*addr).map(Unicast::addr));
        let filter: SourceFilter<F> = match (wanted.collect::<Result<_, _>>(), mode) {
            (Err(why), _) => return (Answer::Error(why), None),
            (Ok(sources), FilterMode::Include) => SourceFilter::Include(sources),
            (Ok(sources), FilterMode::Exclude) => SourceFilter::Exclude(sources),
        };
        let order = Order {
            groups,
            service: service.as_deref(),
            port: port.as_deref(),
            from: format!(" to {filter}"),
            joins: !filter.is_none(),
            unchanged: "nothing changed: the filter is that already",
        };
        self.change::<F>(now, &order, &|memberships, service, group| {
            let had = memberships.wanted_by(&service, group);
            memberships.set_filter(service, group, filter.clone()).map_err(|e| e.to_string())?;
            Ok((had != filter).then_some("set the filter of"))
        })
    }

    fn change<F: Joined>(
        &mut self,
        now: Instant,
        order: &Order<'_>,
        act: Act<'_, F>,
    ) -> (Answer, Option<Waiting>) {
        let refuse = |why: String| (Answer::Error(format!("{}: {why}", order.in_short())), None);
        let found = self.target(order).and_then(|target| Ok((target, order.groups::<F>()?)));
        let (target, groups) = match found {
            Ok(found) => found,
            Err(why) => return refuse(why),
        };
        let Self { ports, sockets, rng, out, tickets, .. } = self;
        let act = heard::<F>(sockets, &target, order.joins, act);
        let Some(port) = ports.get_mut(target.port) else { return refuse("no such port".to_owned()) };
        let changed = match port.change::<F>(target.interface, target.service, &groups, &act) {
            Ok(changed) => changed,
            Err(why) => return refuse(why),
        };
        if let [GroupChange { error: Some(why), .. }] = &*changed.rows {
            return refuse(why.clone());
        }
        let some = !changed.groups.is_empty();
        let done = self.services.get(target.service as usize).map_or("?", String::as_str);
        let done = changed.sentence(order, port, target.interface, done);
        let ticket = changed.widens.then(|| tickets.next());
        let reports = if some {
            let (groups, widens) = (&*changed.groups, changed.widens);
            port.apply_change(now, target.interface, (groups, widens), ticket, rng, out)
        } else {
            Some(0)
        };
        port.assert_balance();
        let answer = Answer::Done(DoneAnswer {
            done,
            changes: changed.rows,
            reports,
            filter: Some(port.filter_in_short()),
        });
        (answer, ticket.filter(|_| some).map(Waiting))
    }

    /// Resolves the names of `order`, or says which there are.
    fn target(&self, order: &Order<'_>) -> Result<Target, String> {
        let service_names: Vec<&str> = self.services.iter().map(String::as_str).collect();
        let service = choose("service", order.service, &service_names)?;
        let interfaces =
            || self.ports.iter().zip(0..).flat_map(|(p, n)| p.interfaces.iter().map(move |i| (n, i)));
        let names: Vec<&str> = interfaces().map(|(_, i)| i.name.as_str()).collect();
        let chosen = choose("port", order.port, &names)?;
        let (port, found) = interfaces().nth(chosen).ok_or("no such port")?;
        let id = found.replica.id;
        let interface = interfaces().take(chosen).filter(|(n, _)| *n == port).count();
        let service = ServiceId::try_from(service).map_err(|_| "too many services".to_owned())?;
        Ok(Target { port, interface, id, service })
    }
}

/// `act`, unless the group would be joined for a service that has no socket to hear it.
// U19: a socket that is bound to one of our addresses hears no group, and one bound to a group only that.
fn heard<F: Joined>(
    sockets: &[ControlSocket],
    target: &Target,
    joins: bool,
    act: Act<'_, F>,
) -> impl Fn(&mut Memberships<F, ServiceId>, ServiceId, Group<F>) -> Result<Option<&'static str>, String> {
    let Target { id, service, .. } = *target;
    move |memberships, of, group| {
        let can_hear = sockets.iter().any(|ControlSocket { socket, .. }| {
            socket.interface.is_none_or(|of| of == id)
                && socket.service == service
                && socket.can_hear(group.addr().into())
        });
        if joins && !can_hear {
            return Err(format!(
                "the service has no socket there that could hear it: it needs one with the address {} or the group's (its key \
                 `listen`)",
                F::ANY
            ));
        }
        act(memberships, of, group)
    }
}

impl<'a> Order<'a> {
    fn of(membership: &'a Membership) -> Self {
        let Membership { groups, source, service, port } = membership;
        let from = source.map(|s| format!(" from {s}")).unwrap_or_default();
        Self { groups, service: service.as_deref(), port: port.as_deref(), from, joins: false, unchanged: "" }
    }

    /// What it speaks of, for a sentence.
    fn in_short(&self) -> String {
        match self.groups {
            [] => "no group".to_owned(),
            [one] => one.to_string(),
            [first, rest @ ..] => format!("{first} and {} more", rest.len()),
        }
    }

    /// Its groups, each once, in order.
    fn groups<F: Joined>(&self) -> Result<Vec<Group<F>>, String> {
        let len = self.groups.iter().fold(0u64, |len, range| len.saturating_add(range.len()));
        if len > GROUPS_MAX {
            return Err(format!("{len} groups: one command takes {GROUPS_MAX} at most, use several"));
        }
        let spans: Option<Vec<_>> = self.groups.iter().map(|range| range.of::<F>()).collect();
        let spans = spans.ok_or_else(|| {
            "one command takes groups of IPv4 or of IPv6, not of both: use two commands".to_owned()
        })?;
        let mut groups: Vec<_> = spans.into_iter().flat_map(Span::iter).collect();
        groups.sort_unstable();
        groups.dedup();
        if groups.is_empty() { Err("name one, as in 239.1.2.3".to_owned()) } else { Ok(groups) }
    }
}

fn source_of<F: Joined>(membership: &Membership) -> Result<Option<Unicast<F>>, String> {
    membership.source.map(unicast).transpose()
}

fn unicast<F: Joined>(addr: IpAddr) -> Result<Unicast<F>, String> {
    let name = F::WORDS.name;
    let of_family = F::addr(addr)
        .ok_or_else(|| format!("source {addr} is no {name} address, and the groups are of {name}"))?;
    Unicast::new(of_family).ok_or_else(|| format!("source {addr} is not the address of one host"))
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

/// What a command changed.
struct Changed<F: Family> {
    rows: Vec<GroupChange>,
    /// The groups of which the service wants something else now.
    groups: Vec<Group<F>>,
    /// Of any it wants more.
    widens: bool,
    verb: &'static str,
}

impl<F: Family> Changed<F> {
    fn sentence(&self, order: &Order<'_>, port: &Port, interface: usize, service: &str) -> String {
        let name = port.interfaces.get(interface).map_or("?", |i| i.name.as_str());
        let verb = if self.groups.is_empty() { order.unchanged } else { self.verb };
        let what = match &*self.rows {
            [one] => one.group.to_string(),
            rows => format!("{} of {} groups", self.groups.len(), rows.len()),
        };
        let refused = self.rows.iter().filter(|row| row.error.is_some()).count();
        let refused = if refused == 0 { String::new() } else { format!("; {refused} could not be") };
        format!("{verb} {what}{} on {name} for {service}{refused}", order.from)
    }
}

impl Port {
    /// Changes the memberships of `service`, and nothing else yet.
    fn change<F: Joined>(
        &mut self,
        interface: usize,
        service: ServiceId,
        groups: &[Group<F>],
        act: Act<'_, F>,
    ) -> Result<Changed<F>, String> {
        let interface = self.interfaces.get_mut(interface).ok_or("no such port")?;
        if !F::inet(&interface.replica).is_on {
            return Err(interface.is_off::<F>());
        }
        let memberships = &mut F::side_mut(interface).memberships;
        let mut changed = Changed { rows: Vec::new(), groups: Vec::new(), widens: false, verb: "" };
        for &group in groups {
            let before = memberships.wanted_by(&service, group);
            let outcome =
                if group.is_reported() { act(memberships, service, group) } else { Err(never_told(group)) };
            let after = memberships.wanted_by(&service, group);
            if let Ok(Some(verb)) = outcome {
                changed.verb = verb;
                changed.groups.push(group);
                changed.widens |= !after.is_within(&before);
            }
            changed.rows.push(GroupChange {
                group: group.addr().into(),
                changed: matches!(outcome, Ok(Some(_))),
                from: before.to_string(),
                to: after.to_string(),
                interface: memberships.filter(group).to_string(),
                error: outcome.err(),
            });
        }
        Ok(changed)
    }

    /// Has device, workers and routers follow that others than before are wanted of `groups`: `widens`, more of some. How many
    /// reports left; none yet if they wait for the workers.
    pub(super) fn apply_change<F: Managed, N: Nic>(
        &mut self,
        now: Instant,
        interface: usize,
        (groups, widens): (&[Group<F>], bool),
        ticket: Option<u64>,
        rng: &mut Rng,
        out: &Outlet<N>,
    ) -> Option<u32> {
        if widens {
            self.apply_filter(now, Occasion::Change);
        }
        let Self { base, interfaces } = self;
        let interface = interfaces.get_mut(interface)?;
        if widens {
            interface.apply_admission::<F, N>(now, groups, &base.workers, out);
            interface.report_when_adopted::<F>(now, groups.to_vec(), ticket);
            interface.settle_admission::<F, N>(now, rng, base, out);
            return None;
        }
        let reports = interface.report::<F, N>(now, groups, rng, base, out);
        interface.apply_admission::<F, N>(now, groups, &base.workers, out);
        self.apply_filter(now, Occasion::Change);
        Some(reports)
    }

    /// Applies every membership at once: one filter, one admission table an interface and IP version, few reports.
    pub(super) fn apply_all<N: Nic>(&mut self, now: Instant, rng: &mut Rng, out: &Outlet<N>) {
        self.apply_filter(now, Occasion::Restart);
        let Self { base, interfaces } = self;
        for interface in interfaces {
            interface.apply_all::<V4, N>(now, rng, base, out);
            interface.apply_all::<V6, N>(now, rng, base, out);
        }
    }

    /// G45: tells routers that nothing is wanted any more, in as few reports as can be.
    pub(super) fn leave_all<N: Nic>(&mut self, now: Instant, rng: &mut Rng, out: &Outlet<N>) {
        let Self { base, interfaces } = self;
        for interface in interfaces {
            interface.leave_all::<V4, N>(now, rng, base, out);
            interface.leave_all::<V6, N>(now, rng, base, out);
        }
    }
}

/// Why `group`, of which routers are never told, is not joined or left by order.
fn never_told<F: Family>(group: Group<F>) -> String {
    if group.addr() == F::ALL_HOSTS {
        return "the group of all hosts is always received and cannot be joined or left".to_owned();
    }
    "a group of this scope does not leave a host: nobody on the network can send to it".to_owned()
}

impl Interface {
    /// Notes that `service` wants `group`, before the port is applied as a whole.
    pub(super) fn want<F: Managed>(&mut self, service: ServiceId, group: Group<F>, filter: SourceFilter<F>) {
        if let Err(e) = F::side_mut(self).memberships.set_filter(service, group, filter) {
            tracing::error!("{group}: {e}");
        }
    }

    fn apply_all<F: Managed, N: Nic>(
        &mut self,
        now: Instant,
        rng: &mut Rng,
        base: &mut Base,
        out: &Outlet<N>,
    ) {
        let groups: Vec<_> = F::side(self).memberships.groups().map(|(group, _)| group).collect();
        self.apply_admission::<F, N>(now, &groups, &base.workers, out);
        self.report_when_adopted::<F>(now, groups, None);
        self.settle_admission::<F, N>(now, rng, base, out);
    }

    /// Why nothing is done there in an IP version that is off.
    pub(super) fn is_off<F: Managed>(&self) -> String {
        format!(
            "{} has no IPv{}: give it an address of that in the configuration (its key `addresses`)",
            self.name,
            F::VERSION
        )
    }
}
