//! A socket comes, changes, or goes.

use super::place::{ANY, Class, Kind, Kinds, Place};
use super::slot::{NONE, Slot};
use super::{PortTable, Socket, SocketId};

impl PortTable {
    /// Puts a socket into the table, changes the one that is there, or removes it. Whether it may be where it is, is not asked.
    ///
    /// What it costs does not depend on how many sockets there are; but of those that were bound to the same address and port
    /// meanwhile and do not share it by `reuse_port`, it passes each when it comes back from being connected.
    pub fn set(&mut self, id: SocketId, socket: Option<Socket>) {
        let old = self.slots.get(id).filter(|slot| slot.is_used()).cloned();
        let Some(mut new) = socket.as_ref().map(|socket| Slot::new(socket, 0)) else {
            if old.is_some() {
                self.unlink(id);
            }
            return;
        };
        new.order = self.order(old.as_ref(), &new);
        match old {
            Some(old) if old.place() == new.place() && old.order == new.order => {
                return self.slots.change(id, |slot| slot.renew(&new));
            }
            Some(_) => self.unlink(id),
            None => {}
        }
        if let Some(slot) = self.slots.get_or_make(id) {
            *slot = new;
            self.link(id);
        }
    }

    /// Where `new` stands in Linux's list of its address and port.
    // U15, Linux udp_lib_get_port: the last bound comes first; of AF_INET6, who shares the port by SO_REUSEPORT comes last.
    // udp_lib_rehash: whose address changes, as by connect(2), is the last bound; other options change nothing.
    fn order(&mut self, old: Option<&Slot>, new: &Slot) -> i64 {
        if let Some(old) = old.filter(|old| old.is_bound_as(new)) {
            return old.order;
        }
        self.clock += 1;
        let is_last = old.is_none() && new.reuses_port() && new.kind().class() != Class::V4;
        if is_last { -self.clock } else { self.clock }
    }

    /// Puts the socket in its slot where it is found.
    fn link(&mut self, id: SocketId) {
        let Some(slot) = self.slots.get(id) else { return };
        let (place, order) = (slot.place(), slot.order);
        let first = self.index.get(&place, &self.slots);
        let (last, len) = first.and_then(|first| self.slots.get(first)).map_or((id, 0), |f| (f.prev, f.len));
        let before = first.and_then(|first| self.before(first, last, order));
        let next = match before {
            Some(before) => self.slots.get(before).map_or(NONE, |slot| slot.next),
            None => first.unwrap_or(NONE),
        };
        self.slots.change(id, |slot| (slot.prev, slot.next) = (before.unwrap_or(last), next));
        self.slots.change(next, |next| next.prev = id);
        match before {
            Some(before) => self.slots.change(before, |before| before.next = id),
            None => self.index.set(&place, Some(id), &self.slots),
        }
        let first_now = first.filter(|_| before.is_some()).unwrap_or(id);
        self.slots.change(first_now, |first| {
            first.len = len + 1;
            if next == NONE {
                first.prev = id;
            }
        });
        if place.kind.reuses_port() {
            self.groups.join(id, first, &mut self.slots);
        }
        self.ports.add(place.local_port, id, place.kind, place.interface);
        self.count(id, true);
    }

    /// After whom what has `order` comes, in the list from `first` to `last`; `None`: before all.
    fn before(&self, first: SocketId, last: SocketId, order: i64) -> Option<SocketId> {
        let is_before = |id: SocketId| self.slots.get(id).is_some_and(|slot| slot.order > order);
        if !is_before(first) {
            return None;
        }
        if is_before(last) {
            return Some(last);
        }
        let mut before = first;
        while let Some(next) = self.slots.get(before).map(|slot| slot.next).filter(|next| is_before(*next)) {
            before = next;
        }
        Some(before)
    }

    /// Takes the socket out of where it is found, and empties its slot.
    fn unlink(&mut self, id: SocketId) {
        let Some((place, prev, next)) = self.slots.get(id).map(|slot| (slot.place(), slot.prev, slot.next))
        else {
            return;
        };
        self.count(id, false);
        if place.kind.reuses_port() {
            self.groups.leave(id, &mut self.slots);
        }
        let first = self.index.get(&place, &self.slots).unwrap_or(id);
        let len = self.slots.get(first).map_or(0, |first| first.len).saturating_sub(1);
        if first == id {
            self.index.set(&place, (next != NONE).then_some(next), &self.slots);
        } else {
            self.slots.change(prev, |prev| prev.next = next);
        }
        let first = if first == id { next } else { first };
        // Of the first, the one before it is the last.
        self.slots.change(if next == NONE { first } else { next }, |next| next.prev = prev);
        self.slots.change(first, |first| first.len = len);
        self.slots.change(id, |slot| *slot = Slot::EMPTY);
        self.ports.remove(place.local_port, id, place.kind, place.interface);
        // Who is alone now, is counted anew.
        for version in 0..2 {
            let alone = self.ports.get(place.local_port).and_then(|port| port.only(version));
            let alone = alone.and_then(|alone| self.slots.get(alone)).filter(|slot| slot.can_hear_many());
            if let Some(alone) = alone.map(Slot::place) {
                self.widen(&alone);
            }
        }
        self.crowd(place.local_port);
    }

    /// Keeps what is known of audiences, and of those bound to groups, when a socket has come or is about to go.
    fn count(&mut self, id: SocketId, comes: bool) {
        let Some(slot) = self.slots.get(id) else { return };
        let (place, service, is_of_group) = (slot.place(), slot.service, slot.is_of_group());
        let can_hear_many = slot.can_hear_many();
        let connected = place.kind.is_exact() && place.kind.is_connected() && can_hear_many;
        if let Some(account) = self.ports.account(place.local_port).filter(|_| connected) {
            let count = account.connected_to_group;
            account.connected_to_group = if comes { count + 1 } else { count.saturating_sub(1) };
        }
        self.of_groups.note(&place, id, comes && is_of_group && super::is_service(service));
        if comes && can_hear_many {
            self.widen(&place);
        }
    }

    /// A socket that may hear what is for many came to `place`: how many others may hear the same, at most?
    fn widen(&mut self, place: &Place) {
        let Some(port) = self.ports.get(place.local_port).copied() else { return };
        for version in (0..2).filter(|version| place.kind.versions()[*version]) {
            let kinds = port.kinds.of_version(version);
            let among = if place.kind.is_exact() { Kinds::EXACT } else { Kinds::ANY_ADDRESS };
            let sum = kinds.intersection(among).map(|kind| self.at_most(kind, place)).sum();
            let Some(account) = self.ports.account(place.local_port) else { return };
            let max = if place.kind.is_exact() { &mut account.group_max } else { &mut account.any_max };
            max[version] = max[version].max(sum);
        }
        self.crowd(place.local_port);
    }

    /// How many sockets of `kind` may hear what one at `place` hears, at most.
    fn at_most(&mut self, kind: Kind, place: &Place) -> u32 {
        let on_another = kind.is_on_one() && !place.kind.is_on_one();
        match (kind.is_exact(), kind.is_connected()) {
            (true, true) => self.ports.account(place.local_port).map_or(0, |a| a.connected_to_group),
            (is_exact, false) if is_exact || !on_another => {
                let interface = if kind.is_on_one() { place.interface } else { 0 };
                let there = Place { kind, interface, peer: ANY, peer_port: 0, ..*place };
                let first = self.index.get(&there, &self.slots).and_then(|first| self.slots.get(first));
                let here = first.map_or(0, |first| first.len);
                // Of those on one interface each, as many as all together.
                if on_another {
                    here + self.ports.account(place.local_port).map_or(0, |a| a.count(kind))
                } else {
                    here
                }
            }
            _ => self.ports.account(place.local_port).map_or(0, |account| account.count(kind)),
        }
    }

    /// Notes whether a datagram to the port can be for several.
    fn crowd(&mut self, udp_port: u16) {
        let Some(account) = self.ports.account(udp_port) else { return };
        let max = account.audience_max();
        let was = core::mem::replace(&mut account.is_crowded, max > 1);
        match (was, max > 1) {
            (false, true) => self.crowded += 1,
            (true, false) => self.crowded -= 1,
            (false, false) | (true, true) => {}
        }
        self.audience_max = if self.crowded == 0 { 1 } else { self.audience_max.max(max) };
    }
}
