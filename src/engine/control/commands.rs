//! What may be asked, answered.

use std::collections::BTreeMap;

use super::interface::Interface;
use super::port::Port;
use super::side::Managed;
use super::{Control, Submitted, Ticket, Waiting};
use crate::addr::{Group, V4, V6};
use crate::engine::command::{
    Answer, Command, DropAnswer, GroupAnswer, InterfaceAnswer, NeighborAnswer, PortAnswer, PortStats,
    SocketAnswer, StatsAnswer,
};
use crate::engine::counters::{Counter, Tally};
use crate::io::{DropReason, InterfaceId, Nic};
use crate::stack::groups::{HOST, ServiceId, socket_of};
use crate::stack::membership::SourceFilter;
use crate::stack::port_table::SocketId;
use crate::time::Instant;

impl<N: Nic> Control<N> {
    /// Carries `command` out. What it has to wait for, as that workers follow, is not in the answer yet: see
    /// [`submit`](Self::submit).
    pub fn execute(&mut self, now: Instant, command: &Command) -> Answer {
        self.carry_out(now, command).0
    }

    /// Carries `command` out, and answers when all of it is done.
    pub fn submit(&mut self, now: Instant, command: &Command) -> Submitted {
        match self.carry_out(now, command) {
            (answer, None) => Submitted::Answered(answer),
            (answer, Some(Waiting(ticket))) => {
                self.unfinished.insert(ticket, answer);
                Submitted::Later(Ticket(ticket))
            }
        }
    }

    /// The answers that have become whole since this was last asked.
    pub fn take_finished(&mut self) -> Vec<(Ticket, Answer)> {
        core::mem::take(&mut self.finished)
    }

    fn carry_out(&mut self, now: Instant, command: &Command) -> (Answer, Option<Waiting>) {
        match command {
            Command::Join(membership) => self.join(now, membership),
            Command::Leave(membership) => self.leave(now, membership),
            Command::SourceFilter(order) => self.set_source_filter(now, order),
            Command::Restart(order) => self.restart(now, order),
            _ => (self.answer(now, command), None),
        }
    }

    /// What needs no waiting.
    fn answer(&mut self, now: Instant, command: &Command) -> Answer {
        match command {
            Command::Stats => Answer::Stats(self.stats(now)),
            Command::Ports => {
                // What is told of a link is acted on, too.
                self.look_at_links(now);
                Answer::Ports(self.ports.iter().map(port).collect())
            }
            Command::Sockets => Answer::Sockets(self.sockets()),
            Command::Groups => Answer::Groups(self.groups()),
            Command::Filter => {
                Answer::Filter(self.ports.iter().map(|port| port.filter_answer(now)).collect())
            }
            Command::Neighbors => {
                Answer::Neighbors(self.interfaces().flat_map(|i| neighbors(now, i)).collect())
            }
            Command::Paths => Answer::Paths(self.paths(now)),
            Command::Routes => Answer::Routes(self.interfaces().flat_map(|i| i.routes_shown(now)).collect()),
            Command::Addresses => {
                Answer::Addresses(self.interfaces().flat_map(|i| i.addresses_shown(now)).collect())
            }
            Command::Drops => Answer::Drops(self.drops()),
            Command::Workers => Answer::Workers(self.workers()),
            Command::FilterPolicy(order) => self.set_filter_policy(now, order),
            Command::Mtu(order) => self.set_mtu(now, order),
            Command::Igmp(order) => self.gmp_command::<V4>(now, order, Answer::Igmp),
            Command::Mld(order) => self.gmp_command::<V6>(now, order, Answer::Mld),
            Command::Join(_) | Command::Leave(_) | Command::SourceFilter(_) | Command::Restart(_) => {
                self.carry_out(now, command).0
            }
        }
    }

    fn stats(&self, now: Instant) -> StatsAnswer {
        StatsAnswer {
            uptime_s: now.since(self.started_at).as_secs(),
            ports: self.ports.iter().map(port_stats).collect(),
            pool: Some((self.pool_stats)()),
        }
    }

    pub(super) fn interfaces(&self) -> impl Iterator<Item = &Interface> {
        self.ports.iter().flat_map(|port| &port.interfaces)
    }

    fn interface_name(&self, id: InterfaceId) -> String {
        self.interfaces().find(|i| i.replica.id == id).map(|i| i.name.clone()).unwrap_or_default()
    }

    fn service_name(&self, id: ServiceId) -> String {
        if id == HOST {
            return "host".to_owned();
        }
        if let Some(socket) = socket_of(id) {
            return self.threads.as_ref().map(|threads| threads.name_of(socket)).unwrap_or_default();
        }
        self.services.get(id as usize).cloned().unwrap_or_default()
    }

    fn sockets(&self) -> Vec<SocketAnswer> {
        let row = |(s, id): (&super::ControlSocket, SocketId)| {
            let counts = self.socket_pages.iter().map(|pages| pages.read(id));
            let (rx, tx) = counts.fold((0, 0), |(rx, tx), (r, t)| (rx + r, tx + t));
            SocketAnswer {
                service: self.service_name(s.socket.service),
                local: s.socket.local.to_string(),
                port: s.socket.interface.map_or_else(|| "any".to_owned(), |id| self.interface_name(id)),
                cpus: s.cpus.clone(),
                multicast_all: s.socket.multicast_all,
                rx,
                tx,
                thread: None,
            }
        };
        let threads = self.threads.iter().flat_map(|threads| threads.rows(|id| self.interface_name(id)));
        self.sockets.iter().zip(0..).map(row).chain(threads).collect()
    }

    /// The groups of each interface, IPv4's before IPv6's.
    fn groups(&self) -> Vec<GroupAnswer> {
        let both = |i| [self.groups_of::<V4>(i), self.groups_of::<V6>(i)];
        self.interfaces().flat_map(both).flatten().collect()
    }

    fn groups_of<F: Managed>(&self, interface: &Interface) -> Vec<GroupAnswer> {
        let memberships = &F::side(interface).memberships;
        let row = |(group, filter): (Group<F>, SourceFilter<F>)| GroupAnswer {
            port: interface.name.clone(),
            group: group.addr().into(),
            mac: group.mac(),
            filter_mode: filter.mode_name().to_owned(),
            sources: filter.sources().iter().map(|source| (*source).into()).collect(),
            services: memberships.members(group).map(|(id, _)| self.member_name(*id)).collect(),
        };
        memberships.groups().map(row).collect()
    }

    fn member_name(&self, id: ServiceId) -> String {
        self.service_name(id)
    }

    fn drops(&self) -> Vec<DropAnswer> {
        let mut sum = Tally::default();
        self.ports.iter().for_each(|p| sum.merge(&p.all_tally()));
        let row = |why: &DropReason| DropAnswer {
            reason: why.name().to_owned(),
            packets: sum.drops(*why),
            snmp: why.snmp().map(str::to_owned),
            meaning: why.describe().to_owned(),
        };
        DropReason::ALL.iter().map(row).collect()
    }
}

/// The workers' counters alone, so that what came equals what went in them; control's own drops are in `drops`.
fn port_stats(port: &Port) -> PortStats {
    let tally = port.workers_tally();
    PortStats {
        port: port.base.device.info().name.clone(),
        device: port.base.device.device_stats(),
        engine: Counter::ALL.iter().map(|c| (c.name().to_owned(), tally.get(*c))).collect::<BTreeMap<_, _>>(),
        dropped: DropReason::ALL.iter().map(|why| tally.drops(*why)).sum(),
        rx_by_queue: port.rx_by_queue().collect(),
    }
}

fn port(port: &Port) -> PortAnswer {
    PortAnswer {
        info: port.base.device.info().clone(),
        link_up: port.base.device.link_is_up(),
        interfaces: port.interfaces.iter().map(interface).collect(),
        cpus: port.base.cpus.clone(),
    }
}

fn interface(interface: &Interface) -> InterfaceAnswer {
    let crate::stack::interface::Interface { vlan, v4, v6, .. } = &interface.replica;
    let of_v4 = v4.addresses().iter().map(ToString::to_string);
    let mut defaults = v6.routes.routes().iter().filter(|route| route.to.len() == 0);
    InterfaceAnswer {
        name: interface.name.clone(),
        vlan: vlan.map(crate::addr::Vid::get),
        addresses: of_v4.chain(v6.addresses().iter().map(ToString::to_string)).collect(),
        gateway4: interface.gateway4.map(crate::addr::Unicast::addr),
        gateway6: defaults.next().map(|route| route.via.addr()),
    }
}

fn neighbors(now: Instant, interface: &Interface) -> Vec<NeighborAnswer> {
    let mut rows = neighbors_of::<V4>(now, interface);
    rows.extend(neighbors_of::<V6>(now, interface));
    rows
}

fn neighbors_of<F: Managed>(now: Instant, interface: &Interface) -> Vec<NeighborAnswer> {
    let row = |r: crate::stack::neighbor::Row<F::Addr>| NeighborAnswer {
        port: interface.name.clone(),
        addr: r.addr.into(),
        mac: r.mac,
        state: r.state.name().to_owned(),
        age_s: now.since(r.confirmed_at).as_secs(),
        is_router: r.is_router,
    };
    F::side(interface).neighbors.rows().map(row).collect()
}
