//! A way to a worker: a bounded queue, and its waking if it sleeps.

use crossbeam::channel::{Receiver, Sender, TrySendError, bounded};

use crate::io::Waker;

/// The sending end of a queue that a worker reads.
#[derive(Debug)]
pub struct Way<T> {
    queue: Sender<T>,
    waker: Waker,
}

impl<T> Clone for Way<T> {
    fn clone(&self) -> Self {
        Self { queue: self.queue.clone(), waker: self.waker.clone() }
    }
}

impl<T> Way<T> {
    /// A queue of `len` messages to the worker that `waker` wakes.
    #[must_use]
    pub fn bounded(len: usize, waker: &Waker) -> (Self, Receiver<T>) {
        let (queue, receiver) = bounded(len);
        (Self { queue, waker: waker.clone() }, receiver)
    }

    /// Sends `message`, and never waits.
    ///
    /// # Errors
    /// There is no room, or the worker is no more; the message comes back.
    #[inline]
    pub fn try_send(&self, message: T) -> Result<(), TrySendError<T>> {
        self.queue.try_send(message)?;
        self.waker.wake();
        Ok(())
    }

    /// How many messages wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Whether both lead to one queue.
    #[must_use]
    pub fn same_channel(&self, other: &Self) -> bool {
        self.queue.same_channel(&other.queue)
    }
}
