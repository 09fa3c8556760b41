//! `SO_REUSEPORT`: sockets that share what is sent to one place, each flow going to one of them.

use core::hash::{BuildHasher, Hasher};

use foldhash::fast::FixedState;

use super::SocketId;
use super::place::Wanted;
use super::slots::Slots;

/// The groups. A member knows its group, and its place there.
#[derive(Clone, Debug)]
pub(super) struct Groups {
    hash: FixedState,
    members: Vec<Vec<SocketId>>,
    free: Vec<u32>,
}

impl Groups {
    pub(super) const fn new(seed: u64) -> Self {
        // Another one than that of places: what can be learnt of either says nothing of the other.
        Self { hash: FixedState::with_seed(!seed.rotate_left(32)), members: Vec::new(), free: Vec::new() }
    }

    /// Puts `id` into the group of `with`, or into a new one.
    pub(super) fn join(&mut self, id: SocketId, with: Option<SocketId>, slots: &mut Slots) {
        let group = match with.and_then(|with| slots.get(with)) {
            Some(with) => with.member().0,
            None => self.free.pop().unwrap_or_else(|| {
                self.members.push(Vec::new());
                u32::try_from(self.members.len() - 1).unwrap_or(u32::MAX)
            }),
        };
        let Some(members) = self.members.get_mut(group as usize) else { return };
        members.push(id);
        if let Some(slot) = slots.get_mut(id) {
            slot.set_member(group, u32::try_from(members.len() - 1).unwrap_or(u32::MAX));
        }
    }

    /// Takes `id` out of its group.
    pub(super) fn leave(&mut self, id: SocketId, slots: &mut Slots) {
        let Some((group, at)) = slots.get(id).map(super::slot::Slot::member) else { return };
        let Some(members) = self.members.get_mut(group as usize) else { return };
        if members.get(at as usize) != Some(&id) {
            return;
        }
        members.swap_remove(at as usize);
        if let Some(moved) = members.get(at as usize).and_then(|moved| slots.get_mut(*moved)) {
            moved.set_member(group, at);
        }
        if members.is_empty() {
            *members = Vec::new();
            self.free.push(group);
        }
    }

    /// The members of a group.
    #[inline]
    pub(super) fn members(&self, group: u32) -> &[SocketId] {
        self.members.get(group as usize).map_or(&[], Vec::as_slice)
    }

    /// The member that gets the datagrams of a flow.
    // U14, Linux reuseport_select_sock: by a hash of both addresses and ports, so that a flow stays with one while the group
    // does not change.
    #[inline]
    pub(super) fn choose(&self, group: u32, wanted: &Wanted) -> Option<SocketId> {
        let members = self.members(group);
        if let [only] = members {
            return Some(*only);
        }
        let mut hasher = self.hash.build_hasher();
        for word in [wanted.src[0], wanted.src[1], wanted.dst[0], wanted.dst[1]] {
            hasher.write_u64(word);
        }
        hasher.write_u64(u64::from(wanted.sport) << 16 | u64::from(wanted.dport));
        // The upper bits, as a fraction of the members.
        let scaled = (u128::from(hasher.finish()) * members.len() as u128) >> 64;
        members.get(usize::try_from(scaled).ok()?).copied()
    }
}
