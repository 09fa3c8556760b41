//! What a worker is told of the sockets of threads.

use std::sync::Arc;

use super::Worker;
use crate::engine::control::Taken;
use crate::engine::message::SocketNews;
use crate::io::Nic;
use crate::socket::Endpoint;
use crate::stack::port_table::SocketId;

/// The sockets of threads, as a worker knows them.
#[derive(Debug, Default)]
pub struct WorkerSockets {
    /// Who receives, by [`SocketId`]; with room for all that may be open, so that nothing is asked of the heap here.
    endpoints: Vec<Option<Arc<Endpoint>>>,
    /// Where it says how far it has followed.
    taken: Taken,
}

impl WorkerSockets {
    /// Of a worker that says by `taken` how far it has followed. The ids of sockets are below `end`.
    #[must_use]
    pub fn new(end: usize, taken: Taken) -> Self {
        let mut endpoints = Vec::new();
        endpoints.resize_with(end, || None);
        Self { endpoints, taken }
    }

    /// What receives for the socket `id`.
    #[inline]
    #[must_use]
    pub fn get(&self, id: SocketId) -> Option<&Arc<Endpoint>> {
        self.endpoints.get(id as usize)?.as_ref()
    }
}

impl<N: Nic> Worker<N> {
    /// A thread's socket is another one now, or is none any more.
    pub(super) fn hear_socket(&mut self, news: Arc<SocketNews>) {
        let SocketNews { change, id, now, ref endpoint } = *news;
        self.table.set(id, now);
        if let Some(place) = self.sockets.endpoints.get_mut(id as usize) {
            // What was there before, control has until every worker has taken this.
            place.clone_from(endpoint);
        }
        // From now on, datagrams may be for several.
        self.plain = false;
        drop(news);
        self.sockets.taken.set(change);
    }
}
