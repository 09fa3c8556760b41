//! A worker's copy of the neighbours in use: where on the link its packets go. A replica; control alone changes it.
//!
//! Who is missing here is not lost: a packet for it goes by way of control, whose cache is the truth.

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use crate::addr::{Family, MacAddr};

/// Where a neighbour is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hop {
    /// Its Ethernet address.
    pub mac: MacAddr,
    /// Whether control is to be told when a packet goes there.
    pub stale: bool,
}

/// The neighbours of one interface that packets go to.
#[derive(Clone, Debug)]
pub struct Hops<F: Family> {
    hops: HashMap<F::Addr, Hop, FixedState>,
    max: usize,
}

impl<F: Family> Hops<F> {
    /// Room for `max` neighbours, taken now: nothing is allocated later. `seed` keeps an outsider from choosing addresses
    /// that collide.
    #[must_use]
    pub fn new(seed: u64, max: usize) -> Self {
        // Twice the room: a table at most half full makes place for what comes and goes where it is.
        let hops = HashMap::with_capacity_and_hasher(max.saturating_mul(2), FixedState::with_seed(seed));
        Self { hops, max }
    }

    /// Where `addr` is, if that is known here.
    #[inline]
    #[must_use]
    pub fn get(&self, addr: F::Addr) -> Option<Hop> {
        self.hops.get(&addr).copied()
    }

    /// `addr` is there; `None`: not known any more. What there is no room for is left out.
    pub fn set(&mut self, addr: F::Addr, hop: Option<Hop>) {
        match hop {
            Some(hop) if self.hops.len() < self.max || self.hops.contains_key(&addr) => {
                self.hops.insert(addr, hop);
            }
            Some(_) => {}
            None => {
                self.hops.remove(&addr);
            }
        }
    }

    /// Control was told that packets go to `addr`: once is enough.
    pub fn told(&mut self, addr: F::Addr) {
        if let Some(hop) = self.hops.get_mut(&addr) {
            hop.stale = false;
        }
    }

    /// Forgets all of them.
    pub fn clear(&mut self) {
        self.hops.clear();
    }

    /// How many are known here.
    #[must_use]
    pub fn len(&self) -> usize {
        self.hops.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.hops.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::V4;
    use core::net::Ipv4Addr;

    const MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);

    fn host(n: u32) -> Ipv4Addr {
        Ipv4Addr::from_bits(0x0a00_0000 + n)
    }

    #[test]
    fn what_was_said_last_holds() {
        let mut hops = Hops::<V4>::new(1, 4);
        let (here, stale) = (Hop { mac: MAC, stale: false }, Hop { mac: MAC, stale: true });
        hops.set(host(1), Some(stale));
        assert_eq!(hops.get(host(1)), Some(stale));
        hops.told(host(1));
        assert_eq!(hops.get(host(1)), Some(here));
        hops.set(host(1), None);
        assert_eq!((hops.get(host(1)), hops.is_empty()), (None, true));
    }

    #[test]
    fn it_never_grows_whatever_comes_and_goes() {
        let mut hops = Hops::<V4>::new(1, 64);
        let room = hops.hops.capacity();
        for n in 0..100_000 {
            hops.set(host(n), Some(Hop { mac: MAC, stale: false }));
            if n >= 63 {
                hops.set(host(n - 63), None);
            }
        }
        assert_eq!((hops.hops.capacity(), hops.len()), (room, 63));
        (0..200).for_each(|n| hops.set(host(n), Some(Hop { mac: MAC, stale: false })));
        assert_eq!((hops.hops.capacity(), hops.len()), (room, 64));
    }
}
