//! What a driver calls, on a thread of its own, when something happens to its port.

use core::ffi::c_void;

use dpdk_sys as sys;

use crate::dpdk::DpdkError;

/// An event, what it is to call, and with what.
#[derive(Clone, Copy)]
pub(super) struct Callback {
    pub(super) event: sys::rte_eth_event_type,
    pub(super) function: sys::rte_eth_dev_cb_fn,
    pub(super) argument: *mut c_void,
}

impl Callback {
    /// From here on the driver may call it. False: it will not.
    ///
    /// # Safety
    /// The port is ours. The argument is what the function takes, and stays so until this was [unregistered](Self::unregister).
    #[must_use]
    pub(super) unsafe fn register(self, port: u16) -> bool {
        let Self { event, function, argument } = self;
        // SAFETY: the port is ours; the rest is promised.
        let ret = unsafe { sys::rte_eth_dev_callback_register(port, event, function, argument) };
        let registered = DpdkError::check(ret);
        if let Err(error) = &registered {
            tracing::debug!("rte_eth_dev_callback_register: {error}");
        }
        registered.is_ok()
    }

    /// When this returns the driver neither is calling it nor will.
    pub(super) fn unregister(self, port: u16) {
        let Self { event, function, argument } = self;
        let unregister = || {
            // SAFETY: looks for what was registered, and for nothing if nothing was; the port is ours.
            unsafe { sys::rte_eth_dev_callback_unregister(port, event, function, argument) }
        };
        // It is being called: that takes as long as the function does.
        while unregister() == -libc::EAGAIN {
            std::thread::yield_now();
        }
    }
}
