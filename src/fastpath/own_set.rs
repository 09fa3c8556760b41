//! A set of our own addresses, in which finding one costs the same however many there are.

/// An address as it is compared: one or two words loaded from it, never all zeros.
pub(super) trait Loaded: Copy + Eq + Default {
    /// Its bits in one word.
    fn bits(self) -> u64;
}

impl Loaded for u32 {
    #[inline(always)]
    fn bits(self) -> u64 {
        self.into()
    }
}

impl Loaded for [u64; 2] {
    #[inline(always)]
    fn bits(self) -> u64 {
        let [high, low] = self;
        // Two addresses with their halves exchanged are not alike.
        high.rotate_left(21) ^ low
    }
}

/// Places that are compared at once.
const IN_BUCKET: usize = 4;

/// A table of small buckets, of which there are at least as many as addresses: hardly one is ever full. What has no room in one is in the next
/// that has. The addresses in it are the host's own, so nobody else can fill buckets.
#[derive(Clone, Debug)]
pub(super) struct OwnSet<T> {
    /// A power of two; zeros where there is none, behind those that there are. None at all if it is empty.
    buckets: Box<[[T; IN_BUCKET]]>,
    /// How many bits of a product say where to look first.
    bits: u32,
}

impl<T: Loaded> OwnSet<T> {
    /// The set of `addresses`, of which those that are all zeros are left out.
    pub(super) fn of(addresses: impl IntoIterator<Item = T>) -> Self {
        let addresses: Vec<T> = addresses.into_iter().filter(|addr| *addr != T::default()).collect();
        if addresses.is_empty() {
            return Self { buckets: Box::default(), bits: 1 };
        }
        let len = addresses.len().next_power_of_two().max(2);
        let mut set = Self { buckets: vec![[T::default(); IN_BUCKET]; len].into(), bits: len.ilog2() };
        addresses.into_iter().for_each(|addr| set.insert(addr));
        set
    }

    fn insert(&mut self, addr: T) {
        let (mut at, mask) = (self.first(addr), self.mask());
        // Some bucket has room: there are more places than addresses.
        while let Some(bucket) = self.buckets.get_mut(at & mask) {
            if let Some(place) = bucket.iter_mut().find(|place| **place == addr || **place == T::default()) {
                *place = addr;
                return;
            }
            at += 1;
        }
    }

    /// Whether `addr` is in it.
    #[inline(always)]
    pub(super) fn contains(&self, addr: T) -> bool {
        let mut at = self.first(addr);
        // A bucket is not full: there are as many as addresses.
        while let Some(bucket) = self.buckets.get(at & self.mask()) {
            // All are compared, whatever the first says.
            if bucket.iter().fold(false, |is_there, place| is_there | (*place == addr)) {
                return addr != T::default();
            }
            if bucket.last() == Some(&T::default()) {
                break;
            }
            at += 1;
        }
        false
    }

    #[inline(always)]
    pub(super) const fn is_empty(&self) -> bool {
        self.buckets.is_empty()
    }

    #[inline(always)]
    fn mask(&self) -> usize {
        self.buckets.len().wrapping_sub(1)
    }

    /// The top bits of a product of a product, which every bit of the address has a say in: of one product alone, addresses that
    /// are evenly far apart would lie in a row.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "a few bits are left")]
    fn first(&self, addr: T) -> usize {
        let once = addr.bits().wrapping_mul(0x9e37_79b9_7f4a_7c15);
        ((once ^ once >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> (64 - self.bits)) as usize
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::rng::Rng;

    fn check<T: Loaded + core::hash::Hash + core::fmt::Debug>(count: usize, mut draw: impl FnMut() -> T) {
        let all: Vec<T> = (0..count).map(|_| draw()).collect();
        let (set, truth) = (OwnSet::of(all.iter().copied()), all.iter().copied().collect::<HashSet<_>>());
        assert_eq!(set.is_empty(), all.is_empty());
        assert!(!set.contains(T::default()), "zeros are no address");
        all.iter().for_each(|addr| assert!(set.contains(*addr), "{addr:?} of {count}"));
        for _ in 0..2000 {
            let other = draw();
            assert_eq!(set.contains(other), truth.contains(&other), "{other:?} of {count}");
        }
    }

    #[test]
    fn it_has_what_was_put_in_and_nothing_else() {
        for count in [0, 1, 2, 3, 17, 255, 1000] {
            let mut rng = Rng::new(count as u64);
            // Neighbours in the last octet, in the second one, and no neighbours.
            check(count, || 0x0000_0a0a | u32::try_from(rng.below(200) + 1).unwrap() << 24);
            check(count, || 0x0100_000a | u32::try_from(rng.below(200) + 1).unwrap() << 8);
            check(count, || u32::try_from(rng.below(1 << 32)).unwrap() | 1);
            check(count, || [0x0000_b80d_0120, (rng.below(500) + 1) << 48]);
            check(count, || [rng.u64() | 1, rng.u64()]);
        }
    }

    #[test]
    fn what_is_all_zeros_is_left_out() {
        let set = OwnSet::of([0, 7]);
        assert!(set.contains(7) && !set.contains(0));
        assert!(OwnSet::of([0_u32]).is_empty());
    }

    // Whoever looks for an address looks at one bucket, but for a few, however the addresses lie: in a row, and one in each of many networks.
    #[test]
    fn hardly_a_bucket_is_full() {
        let rows = [1 << 24, 1 << 16, 1 << 8, 0x0101_0000_u32];
        for step in rows {
            let all: Vec<u32> = (1..=200).map(|n| (0x0a_u32).wrapping_add(step.wrapping_mul(n))).collect();
            let set = OwnSet::of(all.iter().copied());
            let is_full = |at: &usize| set.buckets[at & set.mask()][IN_BUCKET - 1] != 0;
            let (mut further, mut longest) = (0, 0);
            for stranger in (0..1 << 16).map(|n: u32| 0x0b | n << 8) {
                let start = set.first(stranger);
                let full = (start..).take_while(is_full).count();
                (further, longest) = (further + usize::from(full > 0), longest.max(full));
            }
            assert!(longest <= 4 && further < (1 << 16) / 32, "step {step:#x}: {further} and {longest}");
        }
    }
}
