//! What DPDK says when it refuses: an errno, translated once.

use core::ffi::CStr;
use core::fmt;

use dpdk_sys as sys;

/// The reason of a refusal, as DPDK gave it. Displayed as `Operation not supported (-ENOTSUP)`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct DpdkError(i32);

impl DpdkError {
    /// No such device.
    pub const NO_DEVICE: Self = Self(libc::ENODEV);
    /// The device or driver does not do this.
    pub const NOT_SUPPORTED: Self = Self(libc::ENOTSUP);
    /// No room left.
    pub const NO_SPACE: Self = Self(libc::ENOSPC);
    /// An argument that cannot be.
    pub const INVALID: Self = Self(libc::EINVAL);
    /// DPDK was started before.
    pub const ALREADY: Self = Self(libc::EALREADY);

    /// A driver returned -1. That would be -EPERM, but most drivers that do so have nothing to say.
    pub const UNSAID: Self = Self(1);

    /// Of a function that returns a negative errno; what is not negative is the result.
    pub(super) fn check(ret: i32) -> Result<u32, Self> {
        u32::try_from(ret).map_err(|_| Self(ret.checked_neg().unwrap_or(libc::EIO)))
    }

    /// Of a function that returns a negative number and sets `rte_errno`.
    pub(super) fn check_last(ret: i32) -> Result<u32, Self> {
        u32::try_from(ret).map_err(|_| Self::last())
    }

    /// Of a function that sets `rte_errno`.
    pub(super) fn last() -> Self {
        // SAFETY: reads a variable of this thread.
        Self(unsafe { sys::shim_errno() })
    }

    /// As the end of a sentence, with what was logged.
    pub(super) fn with_log(self, log: &str) -> String {
        match log {
            "" => self.to_string(),
            log if self == Self::UNSAID => log.to_owned(),
            log => format!("{self} ({log})"),
        }
    }

    /// The errno, positive.
    #[must_use]
    pub const fn errno(self) -> i32 {
        self.0
    }

    /// Its name, as `ENOTSUP`, for those that DPDK and its drivers use.
    const fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            libc::ENOENT => "ENOENT",
            libc::EINTR => "EINTR",
            libc::EIO => "EIO",
            libc::ENXIO => "ENXIO",
            libc::EBADF => "EBADF",
            libc::EAGAIN => "EAGAIN",
            libc::ENOMEM => "ENOMEM",
            libc::EACCES => "EACCES",
            libc::EFAULT => "EFAULT",
            libc::EBUSY => "EBUSY",
            libc::EEXIST => "EEXIST",
            libc::ENODEV => "ENODEV",
            libc::EINVAL => "EINVAL",
            libc::ENOSPC => "ENOSPC",
            libc::ERANGE => "ERANGE",
            libc::ENOSYS => "ENOSYS",
            libc::EPROTO => "EPROTO",
            libc::ENOTSUP => "ENOTSUP",
            libc::EADDRINUSE => "EADDRINUSE",
            libc::ENETDOWN => "ENETDOWN",
            libc::ETIMEDOUT => "ETIMEDOUT",
            libc::EALREADY => "EALREADY",
            libc::ECONNREFUSED => "ECONNREFUSED",
            _ => return None,
        })
    }
}

impl fmt::Display for DpdkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::UNSAID {
            return f.write_str("the driver gives no reason (-1)");
        }
        // SAFETY: takes any number, and returns a string that lives until the next call on this thread.
        let text = unsafe { sys::rte_strerror(self.0) };
        // SAFETY: as above; it ends in a zero and is copied before anything else is called.
        let text = unsafe { CStr::from_ptr(text) }.to_string_lossy();
        match self.name() {
            Some(name) => write!(f, "{text} (-{name})"),
            None => write!(f, "{text} (-{})", self.0),
        }
    }
}

impl fmt::Debug for DpdkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl core::error::Error for DpdkError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_reads_as_words_and_a_name() {
        assert_eq!(DpdkError::NOT_SUPPORTED.to_string(), "Operation not supported (-ENOTSUP)");
        assert_eq!(DpdkError::check(-libc::ENOSPC).unwrap_err(), DpdkError::NO_SPACE);
        assert_eq!(
            DpdkError::check(-libc::ENOSPC).unwrap_err().to_string(),
            "No space left on device (-ENOSPC)"
        );
        assert_eq!(DpdkError::check(-1).unwrap_err().to_string(), "the driver gives no reason (-1)");
        assert_eq!(DpdkError::UNSAID.with_log("no ring"), "no ring");
        assert_eq!(DpdkError::INVALID.with_log("no ring"), "Invalid argument (-EINVAL) (no ring)");
        assert_eq!(DpdkError::check(3), Ok(3));
        assert!(DpdkError::check(i32::MIN).is_err());
    }
}
