//! Whether a device that was given several receive queues uses them.
//!
//! Drivers accept queues that their device never fills (vmxnet3 on QEMU), and say nothing. What can be seen is counted.

/// So many packets by one queue alone are worth a word.
const ENOUGH: u64 = 1000;

/// What is known of one port.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Spread {
    /// Not enough has come.
    #[default]
    Unknown,
    /// It was said, or there is nothing to say.
    Settled,
}

impl Spread {
    /// Looks at the packets that came `by_queue`: the queue by which all came, if they are enough to say so. Said once.
    pub(super) fn look(&mut self, by_queue: impl IntoIterator<Item = u64>) -> Option<usize> {
        if *self == Self::Settled {
            return None;
        }
        let mut used = None;
        for (queue, packets) in by_queue.into_iter().enumerate().filter(|(_, packets)| *packets > 0) {
            if used.replace((queue, packets)).is_some() {
                *self = Self::Settled;
                return None;
            }
        }
        let (queue, _) = used.filter(|(_, packets)| *packets >= ENOUGH)?;
        *self = Self::Settled;
        Some(queue)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_queue_of_several_that_takes_all_is_told_once() {
        let mut spread = Spread::default();
        assert_eq!(spread.look([0, 0]), None);
        assert_eq!(spread.look([0, ENOUGH - 1]), None);
        assert_eq!(spread.look([0, ENOUGH]), Some(1));
        assert_eq!(spread.look([0, ENOUGH]), None);
    }

    #[test]
    fn nothing_is_told_where_two_are_used() {
        let mut spread = Spread::default();
        assert_eq!(spread.look([1, 2 * ENOUGH, 0]), None);
        assert_eq!(spread, Spread::Settled);
    }
}
