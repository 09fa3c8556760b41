//! A worker's copy of the neighbours in use: where on the link its packets go. A replica; control alone changes it.
//!
//! Who is missing here is not lost: a packet for it goes by way of control, whose cache is the truth.

use core::hash::BuildHasher;

use foldhash::fast::FixedState;

use super::open_table::{Keyed, find, home, put, take_out};
use super::port_table::Fetch;
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
    hash: FixedState,
    /// A power of two, of which half is used at most.
    places: Box<[Option<Known<F>>]>,
    len: usize,
    max: usize,
}

/// A neighbour, and where it is.
#[derive(Clone, Copy, Debug)]
struct Known<F: Family> {
    addr: F::Addr,
    hop: Hop,
}

impl<F: Family> Keyed for Known<F> {
    type Key = F::Addr;

    #[inline]
    fn key(&self) -> &F::Addr {
        &self.addr
    }
}

impl<F: Family> Hops<F> {
    /// Room for `max` neighbours, taken now: nothing is allocated later. `seed` keeps an outsider from choosing addresses
    /// that collide.
    #[must_use]
    pub fn new(seed: u64, max: usize) -> Self {
        let room = if max == 0 { 0 } else { (2 * max).next_power_of_two() };
        Self { hash: FixedState::with_seed(seed), places: vec![None; room].into(), len: 0, max }
    }

    /// Where `addr` is, if that is known here.
    #[inline]
    #[must_use]
    pub fn get(&self, addr: F::Addr) -> Option<Hop> {
        self.get_hashed(addr, self.hash(addr))
    }

    /// The same of an `addr` that has this [`hash`](Self::hash).
    #[inline]
    #[must_use]
    pub fn get_hashed(&self, addr: F::Addr, hash: u64) -> Option<Hop> {
        let at = find(&self.places, hash, &addr)?;
        self.places.get(at)?.map(|known| known.hop)
    }

    /// By what `addr` is looked for.
    #[inline]
    #[must_use]
    pub fn hash(&self, addr: F::Addr) -> u64 {
        self.hash.hash_one(addr)
    }

    /// Has what is read first to find what has this [`hash`](Self::hash) come near.
    #[inline]
    pub fn fetch(&self, hash: u64, near: &impl Fetch) {
        let at = home(hash, self.places.len());
        self.places.get(at).into_iter().for_each(|place| near.fetch(place));
    }

    /// `addr` is there; `None`: not known any more. What there is no room for is left out.
    pub fn set(&mut self, addr: F::Addr, hop: Option<Hop>) {
        let Self { hash, places, len, max } = self;
        let hashed = hash.hash_one(addr);
        match (find(places, hashed, &addr), hop) {
            (Some(at), Some(hop)) => places[at] = Some(Known { addr, hop }),
            (Some(at), None) => {
                take_out(places, at, |known| hash.hash_one(known.addr));
                *len -= 1;
            }
            (None, Some(hop)) if *len < *max => {
                put(places, hashed, Known { addr, hop });
                *len += 1;
            }
            (None, _) => {}
        }
    }

    /// Control was told that packets go to `addr`: once is enough.
    pub fn told(&mut self, addr: F::Addr) {
        if let Some(at) = find(&self.places, self.hash.hash_one(addr), &addr)
            && let Some(known) = &mut self.places[at]
        {
            known.hop.stale = false;
        }
    }

    /// Forgets all of them.
    pub fn clear(&mut self) {
        self.places.fill(None);
        self.len = 0;
    }

    /// How many are known here.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether none is.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::V4;
    use core::cell::RefCell;
    use core::net::Ipv4Addr;
    use core::ptr::from_ref;

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
        let there = Hop { mac: MAC, stale: false };
        for n in 0..100_000 {
            hops.set(host(n), Some(there));
            if n >= 63 {
                hops.set(host(n - 63), None);
            }
        }
        assert_eq!((hops.places.len(), hops.len()), (128, 63));
        assert!((0..63).all(|n| hops.get(host(99_999 - n)) == Some(there)));
        (0..200).for_each(|n| hops.set(host(n), Some(there)));
        assert_eq!((hops.places.len(), hops.len()), (128, 64));
        hops.clear();
        assert_eq!((hops.get(host(99_999)), hops.len()), (None, 0));
    }

    #[test]
    fn of_many_what_is_read_first_was_fetched() {
        struct Noted(RefCell<Vec<usize>>);
        impl Fetch for Noted {
            fn fetch<T>(&self, it: &T) {
                self.0.borrow_mut().push(from_ref(it).addr());
            }
        }
        let mut hops = Hops::<V4>::new(1, 8192);
        (0..8000).for_each(|n| hops.set(host(n), Some(Hop { mac: MAC, stale: false })));
        let is_at_home = |n: &u32| {
            let noted = Noted(RefCell::default());
            hops.fetch(hops.hash(host(*n)), &noted);
            let found = find(&hops.places, hops.hash.hash_one(host(*n)), &host(*n)).unwrap();
            *noted.0.borrow() == [from_ref(&hops.places[found]).addr()]
        };
        // Some are behind that place.
        assert!((0..8000).filter(is_at_home).count() > 5500);
    }

    #[test]
    fn there_may_be_no_room_at_all() {
        let mut hops = Hops::<V4>::new(1, 0);
        hops.set(host(1), Some(Hop { mac: MAC, stale: false }));
        hops.told(host(1));
        assert_eq!((hops.get(host(1)), hops.len()), (None, 0));
    }
}
