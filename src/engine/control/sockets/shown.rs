//! The sockets of threads, for showing.

use super::Threads;
use crate::engine::command::{SocketAnswer, ThreadSocketAnswer};
use crate::io::InterfaceId;
use crate::socket::Endpoint;
use crate::stack::port_table::{Socket, SocketId, Versions};

impl Threads {
    /// What a socket is called where services are, too: by its place, or its number if it has none.
    pub(in crate::engine::control) fn name_of(&self, id: SocketId) -> String {
        match self.open.get(&id) {
            Some((_, Some(socket))) => format!("socket {}", socket.local),
            _ => format!("socket {id}"),
        }
    }

    /// All that are open, in the order of their numbers.
    pub(in crate::engine::control) fn rows(
        &self,
        name_of: impl Fn(InterfaceId) -> String,
    ) -> impl Iterator<Item = SocketAnswer> {
        self.open.iter().map(move |(id, (endpoint, place))| row(*id, endpoint, place.as_ref(), &name_of))
    }
}

fn row(
    id: SocketId,
    endpoint: &Endpoint,
    place: Option<&Socket>,
    name_of: impl Fn(InterfaceId) -> String,
) -> SocketAnswer {
    let interface = place.and_then(|socket| socket.interface);
    let receive = endpoint.receive();
    let (rx, tx) = endpoint.counts();
    SocketAnswer {
        service: "thread".to_owned(),
        local: place.map_or_else(|| "-".to_owned(), |socket| socket.local.to_string()),
        port: interface.map_or_else(|| "any".to_owned(), name_of),
        cpus: Vec::new(),
        multicast_all: place.is_none_or(|socket| socket.multicast_all),
        rx,
        tx,
        thread: Some(ThreadSocketAnswer {
            id,
            peer: place.and_then(|socket| socket.peer).map(|peer| peer.to_string()),
            options: place.map(options).unwrap_or_default(),
            rx_queue_bytes: receive.charged() as u64,
            rcvbuf: receive.limit() as u64,
            tx_queue_bytes: endpoint.in_flight() as u64,
            drops: receive.dropped(),
        }),
    }
}

/// The options that are set, or that are not as they are at first.
fn options(socket: &Socket) -> Vec<String> {
    [
        (socket.reuse_address, "reuse_address"),
        (socket.reuse_port, "reuse_port"),
        (socket.version == Versions::V6, "v6only"),
        (!socket.multicast_all, "multicast_all=false"),
        (!socket.multicast_all6, "multicast_all6=false"),
        (socket.no_check6_rx, "no_check6_rx"),
    ]
    .into_iter()
    .filter(|(is_set, _)| *is_set)
    .map(|(_, name)| name.to_owned())
    .collect()
}
