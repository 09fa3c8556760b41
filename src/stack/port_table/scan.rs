//! Linux's rules, a socket at a time.

use core::cmp::Reverse;
use core::hash::BuildHasher;

use foldhash::fast::FixedState;

use super::{Flow, Found, Socket, SocketId, Versions};
use crate::addr::Family;
use crate::io::InterfaceId;

/// A socket, and when it took its place.
pub(super) type Entry = (SocketId, Socket, i64);

/// Whether what comes by `interface` in `flow` is for `socket`, as far as addresses say.
pub(super) fn matches<F: Family>(socket: &Socket, interface: InterfaceId, flow: &Flow<F>) -> bool {
    let local = socket.local.ip().to_canonical();
    let version = match socket.version {
        Versions::V4 => F::VERSION == 4,
        Versions::V6 => F::VERSION == 6,
        Versions::Both => local.is_unspecified() || local.is_ipv4() == (F::VERSION == 4),
    };
    version
        && socket.interface.is_none_or(|of| of == interface)
        && socket.local.port() == flow.dport
        && (local.is_unspecified() || local == flow.dst.into())
        && socket
            .peer
            .is_none_or(|peer| peer.ip().to_canonical() == flow.src.into() && peer.port() == flow.sport)
}

/// The socket that gets a datagram to one host.
pub(super) fn unicast<'a, F: Family>(
    all: impl Iterator<Item = &'a Entry> + Clone,
    seed: u64,
    interface: InterfaceId,
    flow: &Flow<F>,
) -> Option<Found> {
    let matching = all.filter(|(_, socket, _)| matches(socket, interface, flow));
    let score = |socket: &Socket| {
        let is_exact = !socket.local.ip().is_unspecified();
        let v4 = F::VERSION == 4 && socket.version == Versions::V4;
        (is_exact, socket.peer.is_some(), socket.interface.is_some(), v4)
    };
    let (id, best, _) = matching.clone().max_by_key(|(_, socket, order)| (score(socket), *order))?;
    if best.peer.is_some() || !best.reuse_port {
        return Some(Found { socket: *id, any_peer: false });
    }
    let same = |s: &Socket| s.reuse_port && score(s) == score(best) && s.version == best.version;
    let mut group: Vec<_> = matching.filter(|(_, s, _)| same(s)).map(|(id, ..)| Reverse(*id)).collect();
    group.sort_unstable();
    let hash = FixedState::with_seed(seed).hash_one(flow);
    let scaled = (u128::from(hash) * group.len() as u128) >> 64;
    group.get(usize::try_from(scaled).ok()?).map(|Reverse(id)| Found { socket: *id, any_peer: false })
}
