//! Who uses a port's queues: a port may be stopped while nobody does.

use core::sync::atomic::{AtomicUsize, Ordering};

/// The port is stopped, or about to be: nobody may take a queue.
const LOCKED: usize = usize::MAX;

/// How many queues are in use.
#[derive(Debug, Default)]
pub(in crate::dpdk) struct Users(AtomicUsize);

impl Users {
    /// One more queue is in use. False if the port is locked: then it is not.
    #[must_use]
    pub(in crate::dpdk) fn take(&self) -> bool {
        let more = |users: usize| (users != LOCKED).then(|| users + 1);
        self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).is_ok()
    }

    /// One queue less is in use. Only for one that was taken.
    pub(in crate::dpdk) fn let_go(&self) {
        // What its thread did with the queue has happened for whoever then locks.
        self.0.fetch_sub(1, Ordering::Release);
    }

    /// Whether no queue is in use.
    pub(super) fn are_none(&self) -> bool {
        matches!(self.0.load(Ordering::Acquire), 0 | LOCKED)
    }

    /// Keeps queues from being taken, if none is in use. True, too, if that was so already: one thread alone locks.
    #[must_use]
    pub(super) fn lock(&self) -> bool {
        match self.0.compare_exchange(0, LOCKED, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => true,
            Err(users) => users == LOCKED,
        }
    }

    /// Queues may be taken again. Only after [`lock`](Self::lock).
    pub(super) fn unlock(&self) {
        self.0.store(0, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_use_is_not_locked_and_a_locked_one_not_used() {
        let users = Users::default();
        assert!(users.take() && users.take() && !users.are_none());
        assert!(!users.lock());
        users.let_go();
        assert!(!users.lock());
        users.let_go();
        assert!(users.are_none() && users.lock() && users.lock() && users.are_none());
        assert!(!users.take());
        users.unlock();
        assert!(users.are_none() && users.take() && !users.lock());
    }
}
