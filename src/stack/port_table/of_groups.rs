//! The configuration's sockets that are bound to a group, by port and interface.

use std::collections::BTreeSet;

use super::SocketId;
use super::place::{Class, Place};
use crate::addr::{Family, V4};
use crate::io::InterfaceId;

/// Port, IP version, interface (`None`: every one), socket.
#[derive(Clone, Debug, Default)]
pub(super) struct OfGroups(BTreeSet<(u16, bool, Option<u16>, SocketId)>);

impl OfGroups {
    /// From now on the socket `id` at `place` is one of them, or is not.
    pub(super) fn note(&mut self, place: &Place, id: SocketId, is_one: bool) {
        let is_v4 = matches!(place.kind.class(), Class::V4 | Class::Mapped);
        let key = (place.local_port, is_v4, place.kind.is_on_one().then_some(place.interface), id);
        if is_one {
            self.0.insert(key);
        } else if !self.0.is_empty() {
            self.0.remove(&key);
        }
    }

    /// The one with the smallest id of those on a port that hear `interface`.
    pub(super) fn first<F: Family>(&self, interface: InterfaceId, udp_port: u16) -> Option<SocketId> {
        let is_v4 = F::VERSION == V4::VERSION;
        let first = |on: Option<u16>| {
            let mut there = self.0.range((udp_port, is_v4, on, 0)..=(udp_port, is_v4, on, SocketId::MAX));
            there.next().map(|(.., id)| *id)
        };
        [first(Some(interface.0)), first(None)].into_iter().flatten().min()
    }
}
