//! The sockets of a program's threads: their calls are carried out, and workers, device and routers follow.
//!
//! What is so of a socket, [`Sockets`] knows and decides; here every [`Change`] that it makes reaches whoever is to follow, in an
//! order that loses nothing. Joining: filter, admission, report. Leaving: report, admission, filter. Closing: first the groups are
//! left, then the place is given up; the number of a closed socket is not used again while some worker still knows it.

mod shown;

use core::net::IpAddr;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::followers::{Followers, Taken};
use super::port::Port;
use super::side::Managed;
use super::{Control, Outlet, Ticket, find};
use crate::addr::{Group, V4, V6};
use crate::engine::message::SocketNews;
use crate::io::{InterfaceId, Nic};
use crate::rng::Rng;
use crate::socket::call::{Call, FilterMode, MemberChange, Refusal, Reply};
use crate::socket::{Endpoint, EndpointOptions, Packets, SharedView};
use crate::stack::groups::{ServiceId, socket_member};
use crate::stack::membership::SourceFilter;
use crate::stack::net_view::NetView;
use crate::stack::port_table::{Socket, SocketId};
pub use crate::stack::sockets::SocketLimits;
use crate::stack::sockets::{Domain, GroupChange, Sockets};
use crate::time::Instant;

/// What becomes of a call.
#[derive(Debug)]
pub enum Called {
    /// It is done.
    Replied(Reply),
    /// It has begun; [`Control::take_replied`] will have its reply.
    Later(Ticket),
}

/// What control is told of threads' sockets.
#[derive(Debug)]
pub struct ControlSocketsParts {
    /// How many there may be, and how much each may join.
    pub limits: SocketLimits,
    /// Where their packets come from.
    pub packets: Arc<Packets>,
    /// What each may take.
    pub options: EndpointOptions,
    /// What threads see of the interfaces.
    pub view: Arc<SharedView<NetView>>,
    /// How far each worker has followed.
    pub taken: Vec<Taken>,
}

/// The sockets of threads, and what is under way for them.
#[derive(Debug)]
pub(super) struct Threads {
    sockets: Sockets,
    packets: Arc<Packets>,
    options: EndpointOptions,
    pub(super) view: Arc<SharedView<NetView>>,
    /// The open ones, with what workers were told of each last.
    open: BTreeMap<SocketId, (Arc<Endpoint>, Option<Socket>)>,
    /// Closed ones that a worker may still know, by the change that closed them.
    closing: BTreeMap<u64, (SocketId, Arc<Endpoint>)>,
    /// Closed ones of which a worker has something to send still: it is not to be the last to hold them.
    sending: Vec<Arc<Endpoint>>,
    followers: Followers<(Ticket, Reply)>,
    /// Calls that wait for reports of groups, by their tickets.
    pub(super) joining: BTreeMap<u64, Reply>,
    pub(super) replied: Vec<(Ticket, Reply)>,
}

impl Threads {
    /// With no socket yet; `fixed` are those of the configuration.
    pub(super) fn new(parts: ControlSocketsParts, fixed: Vec<Socket>, rng: Rng) -> Self {
        let ControlSocketsParts { limits, packets, options, view, taken } = parts;
        Self {
            sockets: Sockets::new(limits, &fixed, rng),
            packets,
            options,
            view,
            open: BTreeMap::new(),
            closing: BTreeMap::new(),
            sending: Vec::new(),
            followers: Followers::new(taken),
            joining: BTreeMap::new(),
            replied: Vec::new(),
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.followers.next_deadline()
    }

    /// A worker takes nothing any more.
    pub(super) fn worker_lost(&mut self, worker: usize) {
        self.followers.lose(worker);
    }

    /// The reports have left for which this ticket waits.
    pub(super) fn reported(&mut self, ticket: u64) {
        if let Some(reply) = self.joining.remove(&ticket) {
            self.replied.push((Ticket(ticket), reply));
        }
    }

    /// Has every thread know that its socket is of no use any more.
    pub(super) fn end(&mut self) {
        self.open.values().for_each(|(endpoint, _)| endpoint.end());
    }

    /// Has workers know where `id` is now, if they do not, and `waits` wait for them; gives that back if there is nothing to wait for.
    fn tell<N: Nic>(
        &mut self,
        now: Instant,
        (id, place): (SocketId, Option<Socket>),
        waits: Option<(Ticket, Reply)>,
        out: &Outlet<N>,
    ) -> Option<(Ticket, Reply)> {
        let Some((endpoint, told)) = self.open.get_mut(&id) else { return waits };
        if *told == place {
            return waits;
        }
        *told = place;
        let endpoint = place.is_some().then(|| Arc::clone(endpoint));
        let news = SocketNews { change: self.followers.next_change(), id, now: place, endpoint };
        self.followers.tell(now, news, waits, out);
        None
    }
}

impl<N: Nic> Control<N> {
    /// Carries a thread's call out.
    pub fn call(&mut self, now: Instant, call: Call) -> Called {
        let called = match call {
            Call::Open { v6 } => self.open_socket(v6),
            Call::PathMtu { interface, dst } => self.path_mtu(now, interface, dst),
            Call::Close { socket } => self.close_socket(now, socket),
            Call::Filter { socket, group, interface } => self.filter(socket, group, interface),
            Call::Member { socket, group, interface, change } => {
                self.change_member(now, socket, (group, interface), &change)
            }
            call => self.change_socket(now, call),
        };
        called.unwrap_or_else(|why| Called::Replied(Reply::Refused(why)))
    }

    /// The replies that have become whole since this was last asked.
    pub fn take_replied(&mut self) -> Vec<(Ticket, Reply)> {
        self.threads.as_mut().map(|threads| core::mem::take(&mut threads.replied)).unwrap_or_default()
    }

    fn threads(&mut self) -> Result<&mut Threads, Refusal> {
        self.threads.as_mut().ok_or(Refusal::Down)
    }

    fn open_socket(&mut self, v6: bool) -> Result<Called, Refusal> {
        let threads = self.threads()?;
        let endpoint = Endpoint::new(Arc::clone(&threads.packets), threads.options);
        let endpoint = endpoint.map_err(|_| Refusal::TooManyFiles)?;
        let id = threads.sockets.open(if v6 { Domain::V6 } else { Domain::V4 })?;
        threads.open.insert(id, (Arc::clone(&endpoint), None));
        Ok(Called::Replied(Reply::Opened(id, endpoint)))
    }

    fn path_mtu(&mut self, now: Instant, interface: InterfaceId, dst: IpAddr) -> Result<Called, Refusal> {
        let (_, interface) = find(&mut self.ports, interface).ok_or(Refusal::Down)?;
        let replica = &interface.replica;
        let mtu = match dst {
            IpAddr::V4(dst) => replica.v4.paths.path(now, dst).mtu,
            IpAddr::V6(dst) => replica.v6.paths.path(now, dst).mtu,
        };
        Ok(Called::Replied(Reply::PathMtu(mtu)))
    }

    fn filter(
        &mut self,
        socket: SocketId,
        group: IpAddr,
        interface: Option<InterfaceId>,
    ) -> Result<Called, Refusal> {
        let Threads { sockets, view, .. } = self.threads()?;
        let (mode, sources) = sockets.filter(socket, (group, interface), &view.get())?;
        Ok(Called::Replied(Reply::Filter(mode, sources)))
    }

    /// Has a socket be where the call says that it is, or what it is to be.
    fn change_socket(&mut self, now: Instant, call: Call) -> Result<Called, Refusal> {
        let Threads { sockets, view, .. } = self.threads()?;
        let view = view.get();
        let (socket, decided) = match call {
            Call::Bind { socket, local } => {
                (socket, sockets.bind(socket, local, &view).map_err(Refusal::from))
            }
            Call::Autobind { socket } => (socket, sockets.autobind(socket).map_err(Refusal::Autobind)),
            Call::Connect { socket, peer, options } => {
                (socket, sockets.connect(socket, peer, &options, &view).map_err(Refusal::from))
            }
            Call::Disconnect { socket } => (socket, sockets.disconnect(socket).map_err(Refusal::from)),
            Call::Set { socket, option } => {
                (socket, sockets.set(socket, option, &view).map_err(Refusal::from))
            }
            Call::Open { .. }
            | Call::Member { .. }
            | Call::Filter { .. }
            | Call::PathMtu { .. }
            | Call::Close { .. } => return Err(Refusal::Closed),
        };
        // What fails may have changed the socket all the same.
        self.follow(now, socket, None, decided)
    }

    fn change_member(
        &mut self,
        now: Instant,
        socket: SocketId,
        place: (IpAddr, Option<InterfaceId>),
        change: &MemberChange,
    ) -> Result<Called, Refusal> {
        let Threads { sockets, view, .. } = self.threads()?;
        let proposed = sockets.member(socket, place, change, &view.get())?;
        let waits = self.want(now, socket_member(socket), proposed.wanted.as_slice())?;
        let decided = proposed.result.map_err(Refusal::from);
        self.threads()?.sockets.note(socket, proposed);
        self.follow(now, socket, waits, decided)
    }

    /// Has workers know the socket as it is now. The reply comes when they do, and when the reports have left that `waits` is the
    /// ticket of. It says what was `decided`.
    fn follow(
        &mut self,
        now: Instant,
        id: SocketId,
        waits: Option<u64>,
        decided: Result<(), Refusal>,
    ) -> Result<Called, Refusal> {
        let ticket = self.tickets.next();
        let Self { threads, out, .. } = self;
        let threads = threads.as_mut().ok_or(Refusal::Down)?;
        let (place, now_at) = (threads.sockets.socket(id), threads.sockets.place(id)?);
        let reply = match decided {
            Ok(()) => Reply::Done(now_at),
            Err(why) => Reply::Failed(why, now_at),
        };
        let who = waits.is_none().then(|| (Ticket(ticket), reply.clone()));
        let left = threads.tell(now, (id, place), who, out);
        if let Some(ticket) = waits {
            threads.joining.insert(ticket, reply);
            return Ok(Called::Later(Ticket(ticket)));
        }
        Ok(left.map_or(Called::Later(Ticket(ticket)), |(_, reply)| Called::Replied(reply)))
    }

    /// P05, Linux `ip_mc_drop_socket` before `udp_lib_unhash`: the groups are left first.
    fn close_socket(&mut self, now: Instant, id: SocketId) -> Result<Called, Refusal> {
        let sockets = &mut self.threads()?.sockets;
        let place = sockets.place(id)?;
        let groups = sockets.close(id)?;
        self.want(now, socket_member(id), &groups)?;
        let ticket = self.tickets.next();
        let reply = Reply::Done(place);
        let Self { threads, out, .. } = self;
        let threads = threads.as_mut().ok_or(Refusal::Down)?;
        let closes_with = threads.followers.next_change();
        let left = threads.tell(now, (id, None), Some((Ticket(ticket), reply)), out);
        let Some((endpoint, _)) = threads.open.remove(&id) else { return Err(Refusal::Closed) };
        match left {
            Some((_, reply)) => {
                // No worker ever knew of it.
                threads.sockets.forget(id);
                Ok(Called::Replied(reply))
            }
            None => {
                threads.closing.insert(closes_with, (id, endpoint));
                Ok(Called::Later(Ticket(ticket)))
            }
        }
    }

    /// Has device, workers and routers follow that `member` wants these `groups` so. The ticket of what is to be waited for, if
    /// it wants more than before of any.
    fn want(
        &mut self,
        now: Instant,
        member: ServiceId,
        groups: &[GroupChange],
    ) -> Result<Option<u64>, Refusal> {
        let mut waits = None;
        let mut interfaces: Vec<_> = groups.iter().map(|(interface, ..)| *interface).collect();
        interfaces.dedup();
        for id in interfaces {
            let here = || groups.iter().filter(move |(interface, ..)| *interface == id);
            waits = self.want_of::<V4>(now, member, id, of_version(here()))?.or(waits);
            waits = self.want_of::<V6>(now, member, id, of_version(here()))?.or(waits);
        }
        Ok(waits)
    }

    /// The same of one IP version on one interface.
    fn want_of<F: Managed>(
        &mut self,
        now: Instant,
        member: ServiceId,
        id: InterfaceId,
        wanted: Vec<(Group<F>, Option<SourceFilter<F>>)>,
    ) -> Result<Option<u64>, Refusal> {
        if wanted.is_empty() {
            return Ok(None);
        }
        let Self { ports, rng, out, tickets, .. } = self;
        let (port, index) = place_of(ports, id).ok_or(Refusal::NoInterface)?;
        let interface = port.interfaces.get_mut(index).ok_or(Refusal::NoInterface)?;
        let memberships = &mut F::side_mut(interface).memberships;
        let (mut changed, mut widens) = (Vec::new(), false);
        for (group, filter) in wanted {
            let (was_member, before) =
                (memberships.is_member(&member, group), memberships.wanted_by(&member, group));
            let wants = filter.clone().unwrap_or_default();
            // G48, RFC 4607 4.2.
            if F::is_ssm(group.addr()) && matches!(wants, SourceFilter::Exclude(_)) {
                tracing::warn!(
                    "{group}: a socket joins it for any source, which routers are not told (RFC 4607)"
                );
            }
            let is_member = filter.is_some();
            memberships.set_of_socket(member, group, filter).map_err(|_| Refusal::TooManyGroups)?;
            if (was_member, &before) != (is_member, &wants) {
                widens |= !wants.is_within(&before);
                changed.push(group);
            }
        }
        if changed.is_empty() {
            return Ok(None);
        }
        let ticket = widens.then(|| tickets.next());
        port.apply_change(now, index, (&changed, widens), ticket, rng, out);
        port.assert_balance();
        Ok(ticket)
    }

    /// Looks how far workers have followed, and lets go of what they do not know any more.
    pub(super) fn settle_sockets(&mut self, now: Instant) {
        let Self { threads: Some(threads), out, .. } = self else { return };
        let followed = threads.followers.settle(now, out);
        threads.replied.extend(followed.waited);
        threads.sending.retain(|endpoint| Arc::strong_count(endpoint) > 1);
        for news in followed.taken {
            if let Some((id, endpoint)) = threads.closing.remove(&news.change) {
                threads.sockets.forget(id);
                if endpoint.in_flight() > 0 {
                    threads.sending.push(endpoint);
                }
            }
        }
    }
}

/// Those of `groups` that are of one IP version.
fn of_version<'a, F: Managed>(
    groups: impl Iterator<Item = &'a GroupChange>,
) -> Vec<(Group<F>, Option<SourceFilter<F>>)> {
    let filter_of = |(mode, sources): &(FilterMode, BTreeSet<IpAddr>)| {
        let sources = sources.iter().filter_map(|source| F::of_ip(*source)).collect();
        match mode {
            FilterMode::Include => SourceFilter::Include(sources),
            FilterMode::Exclude => SourceFilter::Exclude(sources),
        }
    };
    let of = |(_, group, wanted): &GroupChange| {
        Some((Group::new(F::of_ip(*group)?)?, wanted.as_ref().map(filter_of)))
    };
    groups.filter_map(of).collect()
}

/// The port that has the interface `id`, and the interface's place there.
fn place_of(ports: &mut [Port], id: InterfaceId) -> Option<(&mut Port, usize)> {
    ports.iter_mut().find_map(|port| {
        let index = port.interfaces.iter().position(|interface| interface.replica.id == id)?;
        Some((port, index))
    })
}
