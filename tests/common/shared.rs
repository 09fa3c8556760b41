//! What the tests of one file share, one at a time. It is made for the first of them, and ends when another file's is made or the
//! process ends: of a program of many files, only the few at work have something running.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

/// All that are made and may not have ended.
static MADE: Mutex<Vec<&'static (dyn LetGo + Sync)>> = Mutex::new(Vec::new());

trait LetGo {
    /// Ends it, unless a test has it. Whether it has ended.
    fn let_go(&self) -> bool;
}

/// The place of what is shared.
#[derive(Debug)]
pub struct Kept<T>(Mutex<Option<T>>);

/// What is shared, for one test alone.
#[derive(Debug)]
pub struct Held<T: 'static>(MutexGuard<'static, Option<T>>);

impl<T> Kept<T> {
    pub const fn new() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T: Send + 'static> Kept<T> {
    /// For this test alone, until it lets go: what is there, made by `make` if nothing is. One test that failed holds up no other:
    /// `mend` is given what it left.
    pub fn lock(&'static self, make: impl FnOnce() -> T, mend: impl FnOnce(&mut T)) -> Held<T> {
        let failed = self.0.is_poisoned();
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        self.0.clear_poison();
        if let Some(left) = kept.as_mut() {
            if failed {
                mend(left);
            }
        } else {
            let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
            made.retain(|other| !other.let_go());
            made.push(self);
            drop(made);
            *kept = Some(make());
        }
        Held(kept)
    }
}

impl<T: Send> LetGo for Kept<T> {
    fn let_go(&self) -> bool {
        let mut kept = match self.0.try_lock() {
            Ok(kept) => kept,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return false,
        };
        *kept = None;
        true
    }
}

impl<T> Deref for Held<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_ref().expect("it was made when it was locked")
    }
}

impl<T> DerefMut for Held<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.as_mut().expect("it was made when it was locked")
    }
}
