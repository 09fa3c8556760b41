//! Services: what runs on a socket.
//!
//! A [`Service`] runs on the lcore, inside the worker's turn: it is handed a burst of datagrams for its sockets, in
//! place, and says what becomes of each: answered in place, dropped, or [kept](Datagram::keep) for later. Through its
//! [`Cx`] it sends datagrams of its own and sets a timer. One instance lives on each worker, so it needs no locks. It must
//! not block, and should not allocate per datagram.
//!
//! What is built on the trait, and on nothing else, lives here too: [`Echo`], [`Discard`] and [`Relay`].
//!
//! ```
//! use pollcast::io::PacketBuf;
//! use pollcast::service::{Cx, Datagram, Service};
//!
//! /// Answers every datagram with its own payload, in capitals.
//! struct Shout;
//!
//! impl<B: PacketBuf> Service<B> for Shout {
//!     fn datagrams(&mut self, _cx: &mut Cx<'_, B>, burst: &mut [Datagram<B>]) {
//!         for datagram in burst {
//!             if let Some(payload) = datagram.payload_mut() {
//!                 payload.make_ascii_uppercase();
//!                 datagram.reply();
//!             }
//!         }
//!     }
//! }
//! ```

mod cx;
mod datagram;
mod discard;
mod echo;
mod kept;
mod message;
mod mock;
mod relay;
mod source_limit;

pub use crate::io::{Cast, DropReason, IcmpError, IcmpErrorKind, Parts, PayloadSum, UdpPorts};
pub use cx::{Cx, Engine, LocalSocket, SendError, SendOptions};
pub use datagram::{Action, Datagram};
pub use discard::{Discard, DiscardOptions};
pub use echo::{Echo, EchoOptions, RefuseSourcePorts};
pub use kept::Kept;
pub use message::{Message, Place};
pub use mock::{Mock, Sent};
pub use relay::{Relay, RelayOptions};

use crate::io::PacketBuf;

/// Something that answers datagrams, on the lcore.
///
/// `B` is the world's packet buffer; a service that does not care implements it for every one.
///
/// A datagram to a group or to everyone on the link may be for several sockets. Each has its own copy, which costs no
/// copying: they share one buffer, that nobody may write to then. A service that changes payloads in place
/// ([`Datagram::payload_mut`]) is given a buffer of its own instead, unless it says that it
/// [does not write](Self::writes_payloads). What one service does with its copy, no other sees.
pub trait Service<B: PacketBuf>: Send {
    /// Datagrams arrived for the service's sockets, in the order of their arrival: 1 to
    /// [`BURST_MAX`](crate::io::BURST_MAX) of them. What is neither answered nor refused is consumed: it counts as
    /// delivered, and its buffer goes home.
    fn datagrams(&mut self, cx: &mut Cx<'_, B>, burst: &mut [Datagram<B>]);

    /// Whether each of some datagrams is answered with what it carries: the short way of an echo, which then costs little more than to
    /// turn headers round.
    ///
    /// Asked, before [`datagrams`](Self::datagrams), of the front of a burst in which everything is plain: whole datagrams with nothing wrong, each
    /// to one of our addresses and for one of the service's sockets. If `true`, the engine answers them as they are, and `datagrams` does not
    /// see them; but for those from the first on whose buffer somebody else reads, too. If `false`, which is the default, nothing has
    /// happened, and they are handed to `datagrams` with the others. Nothing may depend on having been asked: the engine asks when it
    /// can use the answer.
    // U13: a buffer that others read is not turned round in place.
    fn echoes(&mut self, ports: UdpPorts<'_>) -> bool {
        let _ = ports;
        false
    }

    /// Whether [`datagrams`](Self::datagrams) changes payloads in place. Asked once, when the worker starts.
    ///
    /// If so, which is the default, every datagram of a burst can be written to: of one that other sockets share, the
    /// service is given a private copy, and misses it if no buffer is free for that (`no_buffer`). A service that only
    /// reads payloads, or answers with them as they are, says `false` and is spared the copying;
    /// [`payload_mut`](Datagram::payload_mut) is then `None` for what is shared.
    // U13: a reader that wrote into a buffer which others share would change what they receive.
    fn writes_payloads(&self) -> bool {
        true
    }

    /// The network reports that a datagram which one of the service's sockets may have sent did not arrive. A service that
    /// waits for no answers has no use for it. Of the service's instances, the one on the worker that received the report is
    /// told, or, if none lives there, one of them: which one that is, the device's distribution decides, and it need not be the
    /// one that sent the datagram.
    // C15, RFC 1122 4.1.3.3: passed up to whoever asks for it; a socket that answers many must not be stopped by one.
    fn icmp_error(&mut self, cx: &mut Cx<'_, B>, error: &IcmpError) {
        let _ = (cx, error);
    }

    /// The deadline that [`Cx::set_timer`] set has come. It is not set any more.
    fn timer(&mut self, cx: &mut Cx<'_, B>) {
        let _ = cx;
    }

    /// Called once when the worker starts, before the first datagram.
    fn started(&mut self, cx: &mut Cx<'_, B>) {
        let _ = cx;
    }

    /// Called once when the worker stops, after the last datagram.
    fn stopped(&mut self, cx: &mut Cx<'_, B>) {
        let _ = cx;
    }
}
