//! A burst: the packets that one call to a device moves.

/// The most packets in one burst.
pub const BURST_MAX: usize = 64;

/// Up to [`BURST_MAX`] packets, in order, densely packed.
///
/// For a buffer that is one non-null pointer, `Option<B>` is that pointer, and the slots *are* the array of pointers
/// that a driver fills and takes from: no copy on the way.
#[derive(Debug)]
pub struct Burst<B> {
    slots: [Option<B>; BURST_MAX],
    len: usize,
    /// Whether nobody but [`push`](Self::push) has filled a slot before `len`, and nobody else could empty one.
    pushed: bool,
}

impl<B> Burst<B> {
    /// An empty burst.
    #[must_use]
    pub fn new() -> Self {
        Self { slots: [const { None }; BURST_MAX], len: 0, pushed: true }
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
                Ok(())
            }
            None => Err(buf),
        }
    }

    /// The packets, first to last. They stay.
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = &B> {
        self.slots[..self.len].iter().flatten()
    }

    /// Takes every packet out, first to last; what the iterator is not asked for is dropped.
    #[inline]
    pub fn drain(&mut self) -> Drain<'_, B> {
        let len = core::mem::take(&mut self.len);
        self.pushed = true;
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
        let end = (self.len + n).min(BURST_MAX);
        debug_assert!(self.slots[self.len..end].iter().all(Option::is_some), "a driver filled with a hole");
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
    /// The next four, if there are as many. They stay.
    #[inline]
    #[must_use]
    pub fn next_four(&self) -> Option<[&B; 4]> {
        match self.0.as_slice() {
            [Some(a), Some(b), Some(c), Some(d), ..] => Some([a, b, c, d]),
            _ => None,
        }
    }

    /// The four behind the next four, if there are as many. They stay.
    #[inline]
    #[must_use]
    pub fn four_behind(&self) -> Option<[&B; 4]> {
        match self.0.as_slice() {
            [_, _, _, _, Some(a), Some(b), Some(c), Some(d), ..] => Some([a, b, c, d]),
            _ => None,
        }
    }

    /// Takes the next four out, if there are as many.
    #[inline]
    pub fn take_four(&mut self) -> Option<[B; 4]> {
        let (four, rest) = core::mem::take(&mut self.0).into_slice().split_first_chunk_mut::<4>()?;
        self.0 = rest.iter_mut();
        match four.each_mut().map(Option::take) {
            [Some(a), Some(b), Some(c), Some(d)] => Some([a, b, c, d]),
            _ => None,
        }
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
    fn what_a_drain_is_not_asked_for_is_dropped() {
        let drops = Rc::new(Cell::new(0));
        let mut burst = burst_of(3, &drops);
        assert_eq!(burst.drain().next().map(|c| c.0), Some(0));
        assert_eq!(drops.get(), 3);
        assert!(burst.is_empty() && burst.spare().iter().all(Option::is_none));
    }
}
