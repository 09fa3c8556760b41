//! A datagram that a service keeps for later.

use core::ops::Deref;

use super::Datagram;
use crate::io::PacketBuf;

/// A datagram that a service [keeps](Datagram::keep), with all that came with it: to be answered later
/// ([`Cx::reply`](super::Cx::reply)), sent on ([`Cx::send`](super::Cx::send)), or looked at. Dropped, its buffer goes home.
///
/// It is one of the pool's buffers: whoever keeps many needs a pool that has as many more (`mbufs`).
#[derive(Debug)]
pub struct Kept<B>(Datagram<B>);

impl<B: PacketBuf> Kept<B> {
    /// Keeps a datagram that is whole.
    pub(super) const fn new(datagram: Datagram<B>) -> Self {
        Self(datagram)
    }

    /// The payload, to be changed in place. `None` if others share it.
    #[must_use]
    pub fn payload_mut(&mut self) -> Option<&mut [u8]> {
        self.0.payload_mut()
    }

    /// The datagram again.
    pub(super) fn into_datagram(self) -> Datagram<B> {
        self.0
    }
}

impl<B> Deref for Kept<B> {
    type Target = Datagram<B>;

    fn deref(&self) -> &Datagram<B> {
        &self.0
    }
}
