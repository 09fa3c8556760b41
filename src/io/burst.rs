//! A burst: the packets that one call to a device moves.

/// The most packets in one burst.
pub const BURST_MAX: usize = 64;

/// Packets that a worker takes in at one time, if one call to a device gives it `burst` at most: a call that gives as many is made once more,
/// if there is room for what that may give.
#[must_use]
pub const fn at_one_time(burst: usize) -> usize {
    if burst <= BURST_MAX / 2 { 2 * burst } else { burst }
}

/// What is known of all packets of a burst, so that nobody has to ask each of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Alike {
    /// Nothing.
    #[default]
    Unknown,
    /// Each is [plain](super::PacketBuf::is_plain).
    Plain,
    /// Each is plain but that the device says that its checksums are right, that of IP and that of UDP.
    Summed,
}

/// Up to [`BURST_MAX`] packets, in order, densely packed.
///
/// For a buffer that is one non-null pointer, `Option<B>` is that pointer, and the slots *are* the array of pointers
/// that a driver fills and takes from: no copy on the way.
#[derive(Debug)]
pub struct Burst<B> {
    slots: [Option<B>; BURST_MAX],
    len: usize,
    /// Whether nobody but [`push`](Self::push) and its likes, which look, has filled a slot before `len`, and nobody else could empty one.
    pushed: bool,
    alike: Alike,
}

impl<B> Burst<B> {
    /// An empty burst.
    #[must_use]
    pub fn new() -> Self {
        Self { slots: [const { None }; BURST_MAX], len: 0, pushed: true, alike: Alike::Unknown }
    }

    /// How many packets it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether it can hold no more.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.len == BURST_MAX
    }

    /// How many more it can hold.
    #[must_use]
    pub fn room(&self) -> usize {
        BURST_MAX - self.len
    }

    /// Adds `buf` at the end.
    ///
    /// # Errors
    /// The burst is full: the packet comes back, and what becomes of it is the caller's decision.
    #[inline]
    pub fn push(&mut self, buf: B) -> Result<(), B> {
        match self.slots.get_mut(self.len) {
            Some(slot) => {
                debug_assert!(slot.is_none(), "a packet behind the end");
                // An assignment would look whether there is something to drop; behind the end there is nothing.
                core::mem::forget(slot.replace(buf));
                self.len += 1;
                self.alike = Alike::Unknown;
                Ok(())
            }
            None => Err(buf),
        }
    }

    /// Adds a packet for each of `bufs` at the end: as many as there is room for. Where there is none it stays.
    #[inline]
    pub fn push_all<'a>(&mut self, bufs: impl ExactSizeIterator<Item = &'a mut Option<B>>)
    where
        B: 'a,
    {
        let Some(room) = self.slots.get_mut(self.len..) else { return };
        let count = bufs.len().min(room.len());
        self.alike = Alike::Unknown;
        for (slot, buf) in room.iter_mut().zip(bufs) {
            debug_assert!(slot.is_none() && buf.is_some(), "a packet behind the end, or none");
            core::mem::forget(core::mem::replace(slot, buf.take()));
        }
        self.len += count;
    }

    /// Moves the packets of `slots` to the end, one for each slot. False, and nothing moved, if there is no room for all, or a slot has
    /// none.
    #[inline(always)]
    pub(crate) fn append(&mut self, slots: &mut [Option<B>]) -> bool {
        let end = self.len + slots.len();
        let Some(room) = self.slots.get_mut(self.len..end) else { return false };
        // Without an early end, and what is behind the end of the burst holds nothing: both are a few vectors.
        if !slots.iter().fold(true, |dense, slot| dense & slot.is_some()) {
            return false;
        }
        room.swap_with_slice(slots);
        (self.len, self.alike) = (end, Alike::Unknown);
        true
    }

    /// Adds `bufs` at the end; those that there is no room for are dropped.
    #[inline]
    pub(crate) fn extend(&mut self, bufs: impl IntoIterator<Item = B>) {
        let Some(room) = self.slots.get_mut(self.len..) else { return };
        self.alike = Alike::Unknown;
        let mut count = 0;
        for (slot, buf) in room.iter_mut().zip(bufs) {
            debug_assert!(slot.is_none(), "a packet behind the end");
            core::mem::forget(slot.replace(buf));
            count += 1;
        }
        self.len += count;
    }

    /// Keeps what `keep` gives back of each packet, in order; what is known of all of them holds for those that stay.
    #[inline]
    pub(crate) fn keep(&mut self, mut keep: impl FnMut(B) -> Option<B>) {
        let len = core::mem::take(&mut self.len).min(BURST_MAX);
        let mut kept = 0;
        for at in 0..len {
            if let Some(buf) = self.slots[at].take().and_then(&mut keep) {
                // Behind those that were kept nothing is left that could be dropped.
                core::mem::forget(self.slots[kept].replace(buf));
                kept += 1;
            }
        }
        self.len = kept;
    }

    /// The packets, first to last. They stay.
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = &B> {
        self.slots[..self.len].iter().flatten()
    }

    /// What is known of all of them.
    #[inline]
    #[must_use]
    pub fn alike(&self) -> Alike {
        self.alike
    }

    /// Takes every packet out, first to last; what the iterator is not asked for is dropped.
    #[inline]
    pub fn drain(&mut self) -> Drain<'_, B> {
        let len = core::mem::take(&mut self.len);
        (self.pushed, self.alike) = (true, Alike::Unknown);
        Drain(self.slots[..len].iter_mut())
    }

    /// The empty slots, for a driver to fill from the front; then [`filled`](Self::filled).
    #[inline]
    pub fn spare(&mut self) -> &mut [Option<B>] {
        self.pushed = false;
        &mut self.slots[self.len..]
    }

    /// The first `n` of the [`spare`](Self::spare) slots hold packets now.
    ///
    /// Counts only slots that do: a driver that promised more than it gave is not believed.
    #[inline]
    pub fn filled(&mut self, n: usize) {
        self.filled_with(n, Alike::Unknown);
    }

    /// The same with packets that are all `alike`.
    #[inline]
    pub fn filled_with(&mut self, n: usize, alike: Alike) {
        let end = (self.len + n).min(BURST_MAX);
        debug_assert!(self.slots[self.len..end].iter().all(Option::is_some), "a driver filled with a hole");
        self.alike = if self.len == 0 || self.alike == alike { alike } else { Alike::Unknown };
        self.pushed = false;
        self.len = end;
    }

    /// The packets, for a driver to take from the front; then [`taken`](Self::taken).
    #[inline]
    pub fn front(&self) -> &[Option<B>] {
        &self.slots[..self.len]
    }

    /// As [`front`](Self::front), for drivers that reorder or write the array on the way.
    #[inline]
    pub fn front_mut(&mut self) -> &mut [Option<B>] {
        self.pushed = false;
        &mut self.slots[..self.len]
    }

    /// A driver took the first `n` packets and will free them: they are forgotten, not dropped, and the rest move up.
    #[inline]
    pub fn taken(&mut self, n: usize) {
        let n = n.min(self.len);
        for slot in &mut self.slots[..n] {
            core::mem::forget(slot.take());
        }
        if n < self.len {
            self.slots[..self.len].rotate_left(n);
        }
        self.len -= n;
        self.pushed |= self.len == 0;
    }

    /// Whether there is a packet in each slot of the [`front`](Self::front): else someone has made a hole. What was
    /// only pushed is not looked through.
    #[inline]
    #[must_use]
    pub fn is_dense(&self) -> bool {
        // Without an early exit this is a few vector instructions.
        self.pushed || self.front().iter().fold(true, |dense, slot| dense & slot.is_some())
    }
}

/// The packets on their way out of a burst.
#[derive(Debug)]
pub struct Drain<'a, B>(core::slice::IterMut<'a, Option<B>>);

impl<B> Drain<'_, B> {
    /// The packets that are left. They stay.
    #[inline]
    #[must_use]
    pub fn as_slice(&self) -> &[Option<B>] {
        self.0.as_slice()
    }

    /// The next `n` packets, or as many as there are, each to be taken out: what is left there is lost to its pool.
    #[inline]
    pub(crate) fn front(&mut self, n: usize) -> &mut [Option<B>] {
        let all = core::mem::take(&mut self.0).into_slice();
        let n = n.min(all.len());
        let (front, rest) = all.split_at_mut(n);
        self.0 = rest.iter_mut();
        front
    }
}

impl<B> Iterator for Drain<'_, B> {
    type Item = B;

    #[inline]
    fn next(&mut self) -> Option<B> {
        self.0.find_map(Option::take)
    }
}

impl<B> Drop for Drain<'_, B> {
    // The burst counts itself empty: what stayed behind its end would be overwritten, and lost to its pool.
    #[inline]
    fn drop(&mut self) {
        self.for_each(drop);
    }
}

impl<B> Default for Burst<B> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::rc::Rc;

    struct Counted(u32, Rc<Cell<u32>>);
    impl Drop for Counted {
        fn drop(&mut self) {
            self.1.set(self.1.get() + 1);
        }
    }

    fn burst_of(n: u32, drops: &Rc<Cell<u32>>) -> Burst<Counted> {
        let mut burst = Burst::new();
        for i in 0..n {
            assert!(burst.push(Counted(i, drops.clone())).is_ok());
        }
        burst
    }

    #[test]
    fn what_a_driver_took_is_forgotten_and_the_rest_is_dropped_once() {
        let drops = Rc::new(Cell::new(0));
        let mut burst = burst_of(5, &drops);
        burst.taken(2);
        assert_eq!(drops.get(), 0);
        assert_eq!(burst.iter().map(|c| c.0).collect::<Vec<_>>(), [2, 3, 4]);
        drop(burst);
        assert_eq!(drops.get(), 3);
    }

    #[test]
    fn a_full_burst_gives_the_packet_back() {
        let drops = Rc::new(Cell::new(0));
        let mut burst = burst_of(u32::try_from(BURST_MAX).unwrap(), &drops);
        assert!(burst.is_full());
        let back = burst.push(Counted(99, drops.clone())).unwrap_err();
        assert_eq!(back.0, 99);
    }

    #[test]
    fn draining_empties_it_in_order() {
        let drops = Rc::new(Cell::new(0));
        let mut burst = burst_of(3, &drops);
        assert_eq!(burst.drain().map(|c| c.0).collect::<Vec<_>>(), [0, 1, 2]);
        assert!(burst.is_empty());
        assert_eq!(drops.get(), 3);
    }

    #[test]
    fn what_there_is_no_room_for_stays() {
        let drops = Rc::new(Cell::new(0));
        let mut burst = burst_of(u32::try_from(BURST_MAX).unwrap() - 2, &drops);
        let mut more: Vec<_> = (100..105).map(|i| Some(Counted(i, drops.clone()))).collect();
        burst.push_all(more.iter_mut());
        assert!(burst.is_full());
        assert_eq!(burst.iter().skip(BURST_MAX - 2).map(|c| c.0).collect::<Vec<_>>(), [100, 101]);
        assert_eq!(more.iter().flatten().map(|c| c.0).collect::<Vec<_>>(), [102, 103, 104]);
        drop(burst);
        assert_eq!(drops.get(), 64);
    }

    #[test]
    fn slots_are_moved_all_or_none() {
        let drops = Rc::new(Cell::new(0));
        let mut burst = burst_of(u32::try_from(BURST_MAX).unwrap() - 2, &drops);
        let mut more: Vec<_> = (100..103).map(|i| Some(Counted(i, drops.clone()))).collect();
        assert!(!burst.append(&mut more) && more.iter().all(Option::is_some));
        assert!(burst.append(&mut more[1..]) && more.iter().flatten().map(|c| c.0).eq([100]));
        assert!(burst.is_full() && burst.is_dense());
        assert_eq!(burst.iter().skip(BURST_MAX - 2).map(|c| c.0).collect::<Vec<_>>(), [101, 102]);
        drop((burst, more));
        assert_eq!(drops.get(), 65);
        let mut burst = Burst::new();
        assert!(!burst.append(&mut [Some(1), None, Some(3)]) && burst.is_empty());
    }

    #[test]
    fn what_is_kept_stays_in_order_and_alike() {
        let mut burst = Burst::new();
        (0..8).for_each(|n| burst.spare()[n] = Some(n));
        burst.filled_with(8, Alike::Plain);
        let mut out = Vec::new();
        burst.keep(|n| {
            if n % 3 == 1 {
                Some(n)
            } else {
                out.push(n);
                None
            }
        });
        assert_eq!((burst.alike(), out), (Alike::Plain, vec![0, 2, 3, 5, 6]));
        assert!(burst.is_dense() && burst.spare().iter().all(Option::is_none));
        assert_eq!(burst.drain().collect::<Vec<_>>(), [1, 4, 7]);
    }

    #[test]
    fn what_is_added_at_once_is_behind_what_there_was() {
        let drops = Rc::new(Cell::new(0));
        let mut burst = burst_of(2, &drops);
        burst.extend((10..13).map(|i| Counted(i, drops.clone())));
        assert_eq!(burst.iter().map(|c| c.0).collect::<Vec<_>>(), [0, 1, 10, 11, 12]);
        burst.extend((20..100).map(|i| Counted(i, drops.clone())));
        assert!(burst.is_full());
        drop(burst);
        assert_eq!(drops.get(), 64);
    }

    #[test]
    fn packets_are_alike_until_others_come() {
        let mut burst = Burst::new();
        burst.spare()[0] = Some(1);
        burst.filled_with(1, Alike::Plain);
        assert_eq!(burst.alike(), Alike::Plain);
        burst.spare()[0] = Some(2);
        burst.filled_with(1, Alike::Plain);
        assert_eq!(burst.alike(), Alike::Plain, "others that are like them");
        assert!(burst.push(3).is_ok());
        assert_eq!(burst.alike(), Alike::Unknown);
        assert_eq!(burst.drain().count(), 3);
        burst.spare()[0] = Some(3);
        burst.filled(1);
        burst.spare()[0] = Some(4);
        burst.filled_with(1, Alike::Summed);
        assert_eq!(burst.alike(), Alike::Unknown);
        assert_eq!(burst.drain().sum::<i32>(), 7);
        assert_eq!(burst.alike(), Alike::Unknown);
    }

    #[test]
    fn the_front_of_a_drain_is_taken_and_the_rest_follows() {
        let drops = Rc::new(Cell::new(0));
        let mut burst = burst_of(5, &drops);
        let mut drain = burst.drain();
        let front: Vec<_> = drain.front(3).iter_mut().filter_map(Option::take).map(|c| c.0).collect();
        assert_eq!((front, drain.as_slice().len()), (vec![0, 1, 2], 2));
        assert_eq!(drain.next().map(|c| c.0), Some(3));
        drop(drain);
        assert_eq!(drops.get(), 5);
    }

    #[test]
    fn what_a_drain_is_not_asked_for_is_dropped() {
        let drops = Rc::new(Cell::new(0));
        let mut burst = burst_of(3, &drops);
        assert_eq!(burst.drain().next().map(|c| c.0), Some(0));
        assert_eq!(drops.get(), 3);
        assert!(burst.is_empty() && burst.spare().iter().all(Option::is_none));
    }
}
