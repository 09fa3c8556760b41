//! Calls of a world's sockets: whoever calls turns the machine until there is a reply.

use super::machine::{Machine, Shared};
use crate::engine::control::{Called, Ticket};
use crate::socket::call::{Ask, Call, Refusal, Reply};
use crate::stack::port_table::SocketId;

/// The way of a world's sockets to its control.
#[derive(Debug)]
pub(super) struct SimAsk(Shared);

impl SimAsk {
    pub(super) const fn new(machine: Shared) -> Self {
        Self(machine)
    }
}

impl Ask for SimAsk {
    fn ask(&self, call: Call) -> Reply {
        let mut machine = self.0.lock();
        if !machine.running {
            return Reply::Refused(Refusal::Down);
        }
        let now = machine.now;
        match machine.control.call(now, call) {
            Called::Replied(reply) => reply,
            Called::Later(ticket) => machine.reply(ticket),
        }
    }

    fn close(&self, socket: SocketId) {
        let mut machine = self.0.lock();
        if machine.running {
            let now = machine.now;
            let _whoever_waits = machine.control.call(now, Call::Close { socket });
        }
    }
}

impl Machine {
    /// Turns until the call with this ticket has its reply. Time passes only if nothing more happens at this moment, as when a
    /// worker is stuck.
    fn reply(&mut self, ticket: Ticket) -> Reply {
        loop {
            let work = self.turn();
            let replied = self.control.take_replied().into_iter().find(|(other, _)| *other == ticket);
            if let Some((_, reply)) = replied {
                return reply;
            }
            if work == 0 {
                let next = self.next_deadline().filter(|next| *next > self.now);
                self.now = next.expect("control looks again, or gives up");
            }
        }
    }
}
