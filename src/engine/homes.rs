//! Where services live: on which workers, and how a datagram gets there that another worker received.
//!
//! A service has an instance on every worker that its configuration names and that serves the port. What arrives for it
//! on another worker is handed over: to one of them, chosen by a hash of the flow, so that a flow stays together and in
//! order; through a queue that is bounded and never waited for.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::FixedState;

use super::message::ToService;
use super::way::Way;
use crate::stack::port_table::SocketId;

/// The ways to the workers on which a service lives.
type Ways<B> = Arc<[Way<ToService<B>>]>;

/// Where the service of each socket lives, as one worker sees it.
#[derive(Debug)]
pub struct Homes<B> {
    /// By [`SocketId`]; `None`: here. Nothing if all are.
    away: Vec<Option<Ways<B>>>,
    /// Whether some service does not live on every worker.
    some_elsewhere: bool,
    /// What all workers share: a flow has one home, whoever receives it.
    secret: u64,
}

impl<B> Homes<B> {
    /// The homes as the worker `me` sees them. `of_sockets` are, for each socket, the workers on which its service lives and
    /// that serve its port; `ways` lead to the workers.
    #[must_use]
    pub fn new(me: usize, of_sockets: &[Vec<usize>], ways: &[Way<ToService<B>>], secret: u64) -> Self {
        let mut known: HashMap<&[usize], Ways<B>> = HashMap::new();
        // A million sockets that are here need no list that says so.
        let all_here = of_sockets.iter().all(|workers| workers.contains(&me));
        let listed = if all_here { &[] } else { of_sockets };
        let away = listed.iter().map(|workers| {
            if workers.contains(&me) {
                return None;
            }
            let found = || workers.iter().filter_map(|worker| ways.get(*worker).cloned()).collect();
            Some(Arc::clone(known.entry(workers).or_insert_with(found)))
        });
        let some_elsewhere = of_sockets.iter().any(|workers| workers.len() < ways.len());
        Self { away: away.collect(), some_elsewhere, secret }
    }

    /// Whether the services of all sockets live here.
    #[inline]
    #[must_use]
    pub const fn are_all_here(&self) -> bool {
        self.away.is_empty()
    }

    /// Whether some service does not live on every worker: without one, nothing is ever handed over.
    #[inline]
    #[must_use]
    pub const fn are_some_elsewhere(&self) -> bool {
        self.some_elsewhere
    }

    /// Whether the service of `socket` lives here.
    #[inline]
    #[must_use]
    pub fn is_here(&self, socket: SocketId) -> bool {
        self.away.get(socket as usize).is_none_or(Option::is_none)
    }

    /// The way to the service of `socket` for the datagrams of `flow`; `None`: it lives here, or nowhere.
    #[inline]
    #[must_use]
    pub fn way(&self, socket: SocketId, flow: impl core::hash::Hash) -> Option<&Way<ToService<B>>> {
        let ways = self.away.get(socket as usize)?.as_ref()?;
        let hash = FixedState::with_seed(self.secret).hash_one(flow);
        // The upper bits, as a fraction of the ways.
        let scaled = (u128::from(hash) * ways.len() as u128) >> 64;
        ways.get(usize::try_from(scaled).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::message::to_services;
    use crate::io::Waker;

    #[test]
    fn a_flow_has_one_home_whoever_receives_it() {
        let (ways, _queues): (Vec<_>, Vec<_>) = (0..4).map(|_| to_services::<()>(&Waker::default())).unzip();
        // Socket 0 lives on all, socket 1 on workers 1 and 3, socket 2 on worker 2.
        let of_sockets = [vec![0, 1, 2, 3], vec![1, 3], vec![2]];
        let homes = |me| Homes::new(me, &of_sockets, &ways, 7);
        let (zero, two) = (homes(0), homes(2));
        assert!(zero.is_here(0) && !zero.is_here(1) && !zero.is_here(2) && two.is_here(2));
        assert!(!zero.are_all_here() && Homes::new(1, &of_sockets[..2], &ways, 7).are_all_here());
        assert!(zero.are_some_elsewhere() && !Homes::new(1, &of_sockets[..1], &ways, 7).are_some_elsewhere());
        assert!(zero.way(0, 1u32).is_none());
        let mut chosen = [0; 2];
        for flow in 0..1000u32 {
            let way = zero.way(1, flow).unwrap();
            assert!(way.same_channel(two.way(1, flow).unwrap()));
            let home = [1, 3].iter().position(|w| ways[*w].same_channel(way)).unwrap();
            chosen[home] += 1;
            assert!(zero.way(2, flow).unwrap().same_channel(&ways[2]));
        }
        assert!(chosen.iter().all(|flows| (400..600).contains(flows)), "{chosen:?}");
    }
}
