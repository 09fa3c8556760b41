//! The short way of a burst: a service that answers every datagram with what it carries need not see them.

use super::outlet::Hosted;
use crate::engine::counters::{Counter, SocketPages, Tally};
use crate::fastpath::{Alikes, Near};
use crate::io::{PacketBuf, ReplyPath};
use crate::stack::port_table::PortTable;

/// Who may take it while a burst is sorted.
#[derive(Debug)]
pub(in crate::engine) struct ShortWay<'a, B> {
    is_open: bool,
    services: &'a mut [Hosted<B>],
    pages: &'a SocketPages,
    echoed: u64,
}

impl<'a, B: PacketBuf> ShortWay<'a, B> {
    /// Of these services, if it `is_open` to any: every datagram is for one that lives here.
    #[inline]
    pub(super) const fn new(is_open: bool, services: &'a mut [Hosted<B>], pages: &'a SocketPages) -> Self {
        Self { is_open, services, pages, echoed: 0 }
    }

    /// Whether the service of all these datagrams answers them with what they carry, and sends that back to where it came from.
    #[inline]
    pub(in crate::engine) fn echoes(&mut self, table: &PortTable, datagrams: &Alikes<'_>) -> bool {
        if !self.is_open {
            return false;
        }
        let hosted = match (&mut *self.services, datagrams.socket) {
            ([one], _) => Some(one),
            (several, Some(socket)) => {
                let service = table.service(socket);
                several.iter_mut().find(|hosted| Some(hosted.id) == service)
            }
            _ => None,
        };
        // T01: what may never have DF is not of the shape that the fast path answers.
        let echoes = hosted.is_some_and(|Hosted { manner, service, .. }| {
            manner.is_plain() && manner.reply == ReplyPath::Reflect && service.echoes(datagrams.ports)
        });
        // What they are counted in comes while they are turned round.
        if echoes && datagrams.socket.is_none() && table.is_large() {
            datagrams.sockets.iter().for_each(|socket| self.pages.fetch(*socket, &Near));
        }
        echoes
    }

    /// Counts these datagrams, which were answered.
    #[inline]
    pub(in crate::engine) fn count(&mut self, datagrams: &Alikes<'_>, tally: &mut Tally) {
        let count = datagrams.ports.len() as u64;
        self.echoed += count;
        tally.add(Counter::Delivered, count);
        if let Some(socket) = datagrams.socket {
            return self.pages.add(socket, count, count);
        }
        datagrams.sockets.iter().for_each(|socket| self.pages.add(*socket, 1, 1));
    }

    /// How many datagrams took it.
    #[inline]
    pub(in crate::engine) const fn echoed(&self) -> u64 {
        self.echoed
    }
}
