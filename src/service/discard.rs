//! The discard service (RFC 863): every datagram is taken, and none is answered.

use serde::Deserialize;

use super::{Cx, Datagram, Service};
use crate::io::PacketBuf;

/// The keys of a discard service: it has none of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiscardOptions {}

impl DiscardOptions {
    /// The keys, for error messages.
    pub const KEYS: &'static [&'static str] = &[];
}

/// The discard service. What it took, its sockets' counters say.
#[derive(Clone, Copy, Debug, Default)]
pub struct Discard;

impl<B: PacketBuf> Service<B> for Discard {
    fn writes_payloads(&self) -> bool {
        false
    }

    // RFC 863: it throws away what it receives, and sends nothing.
    fn datagrams(&mut self, _cx: &mut Cx<'_, B>, _burst: &mut [Datagram<B>]) {}
}
