//! What threads see of the host's interfaces: addresses and routes, as control last published them.

use core::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// A value that control replaces and threads read. Cheap to ask whether it is still the same.
#[derive(Debug, Default)]
pub struct SharedView<T> {
    current: RwLock<Arc<T>>,
    generation: AtomicU64,
}

impl<T> SharedView<T> {
    /// With this value.
    #[must_use]
    pub fn new(value: T) -> Self {
        Self { current: RwLock::new(Arc::new(value)), generation: AtomicU64::new(0) }
    }

    /// The value.
    #[must_use]
    pub fn get(&self) -> Arc<T> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// From now on it is this one.
    pub fn publish(&self, value: Arc<T>) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = value;
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// A number that changes whenever another value is published, after that can be had.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }
}
