//! Lcores: which CPUs they get, and what runs on them.

use core::any::Any;
use core::ffi::{c_int, c_void};
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};

use dpdk_sys as sys;

use super::error::EalError;
use crate::dpdk::DpdkError;

/// What an lcore runs.
pub type Job = Box<dyn FnOnce() + Send>;

/// How a job ended: well, or with the words of a panic.
pub(super) type Outcome = Arc<OnceLock<Result<(), String>>>;

/// Why there is nothing to wait for, or what went wrong there.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LcoreError {
    /// Nothing was launched there.
    #[error("lcore {0} runs nothing")]
    Idle(u32),
    /// It is the main lcore, or none of ours, or busy.
    #[error("lcore {lcore} takes no job: {error}")]
    Refused {
        /// The lcore.
        lcore: u32,
        /// DPDK's reason.
        error: DpdkError,
    },
    /// The job panicked.
    #[error("the job on lcore {lcore} panicked: {message}")]
    Panicked {
        /// The lcore.
        lcore: u32,
        /// The words of the panic.
        message: String,
    },
}

struct Task {
    job: Job,
    outcome: Outcome,
}

/// Starts `job` on `lcore`.
pub(super) fn launch(lcore: u32, job: Job) -> Result<Outcome, LcoreError> {
    let outcome = Outcome::default();
    let task = Box::into_raw(Box::new(Task { job, outcome: Arc::clone(&outcome) }));
    // SAFETY: the function takes back the box that it is given, on whichever thread, and no panic leaves it.
    let ret = unsafe { sys::rte_eal_remote_launch(Some(run), task.cast::<c_void>(), lcore) };
    match DpdkError::check(ret) {
        Ok(_) => Ok(outcome),
        Err(error) => {
            // SAFETY: it was not launched, so the box is still ours.
            drop(unsafe { Box::from_raw(task) });
            Err(LcoreError::Refused { lcore, error })
        }
    }
}

/// Entered by DPDK on the lcore's thread.
extern "C" fn run(task: *mut c_void) -> c_int {
    // SAFETY: made by `launch`, and given to this call alone.
    let Task { job, outcome } = *unsafe { Box::from_raw(task.cast::<Task>()) };
    // A panic must not unwind into C. What the job captured is gone either way: nothing broken can be seen again.
    let result = catch_unwind(AssertUnwindSafe(job)).map_err(message);
    let code = c_int::from(result.is_err());
    // Nobody else sets it.
    drop(outcome.set(result));
    code
}

/// The words of a panic.
fn message(payload: Box<dyn Any + Send>) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
    // A payload of another kind might panic in its destructor, and we are below C.
    core::mem::forget(payload);
    text.unwrap_or_else(|| "with a value that is not text".to_owned())
}

/// Waits until `lcore` has nothing to do, and says how its job ended.
pub(super) fn wait(lcore: u32, outcome: Option<Outcome>) -> Result<(), LcoreError> {
    let outcome = outcome.ok_or(LcoreError::Idle(lcore))?;
    // SAFETY: an lcore on which something was launched exists.
    unsafe { sys::rte_eal_wait_lcore(lcore) };
    match outcome.get() {
        Some(Ok(())) => Ok(()),
        Some(Err(message)) => Err(LcoreError::Panicked { lcore, message: message.clone() }),
        None => Err(LcoreError::Idle(lcore)),
    }
}

/// Whether `lcore` (one of ours) runs a job.
pub(super) fn is_running(lcore: u32) -> bool {
    // SAFETY: the number is below the limit: it is one that EAL accepted.
    unsafe { sys::rte_eal_get_lcore_state(lcore) == sys::RUNNING }
}

/// That `lcores` can be had: EAL would abort the process over some of what this refuses with a sentence.
pub(super) fn check(lcores: &[(u32, usize)]) -> Result<(), EalError> {
    let limit = sys::SHIM_MAX_LCORE;
    let online = fs::read_to_string("/sys/devices/system/cpu/online").unwrap_or_default();
    let online = online.trim();
    if lcores.is_empty() {
        return Err(EalError::Lcores("is empty"));
    }
    for (i, &(lcore, cpu)) in lcores.iter().enumerate() {
        if lcores.iter().take(i).any(|(other, _)| *other == lcore) {
            return Err(EalError::Lcores("names an lcore twice"));
        }
        if lcore >= limit {
            return Err(EalError::NoSuchLcore { lcore, last: limit - 1 });
        }
        if !online.is_empty() && !in_list(online, cpu) {
            return Err(EalError::NoSuchCpu { lcore, cpu, online: online.to_owned() });
        }
        if !may_run_on(cpu) {
            return Err(EalError::CpuNotAllowed { lcore, cpu });
        }
    }
    Ok(())
}

/// Whether a thread of this process can be pinned to `cpu`, by trying it on a thread of its own.
fn may_run_on(cpu: usize) -> bool {
    let pin = move || core_affinity::set_for_current(core_affinity::CoreId { id: cpu });
    std::thread::spawn(pin).join().unwrap_or(false)
}

/// Whether `list`, as `0-3,8`, contains `cpu`.
fn in_list(list: &str, cpu: usize) -> bool {
    list.split(',').any(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        match (first.parse::<usize>(), last.parse::<usize>()) {
            (Ok(first), Ok(last)) => (first..=last).contains(&cpu),
            _ => false,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_cpus_is_read_as_the_kernel_writes_it() {
        assert!(in_list("0-3,8", 3) && in_list("0-3,8", 8));
        assert!(!in_list("0-3,8", 4) && !in_list("", 0));
    }

    #[test]
    fn lcores_that_cannot_be_are_refused_with_a_sentence() {
        let refusal = |lcores: &[(u32, usize)]| check(lcores).unwrap_err().to_string();
        assert!(refusal(&[(0, 0), (1, 9999)]).contains("lcore 1 is to run on CPU 9999"));
        assert!(refusal(&[(100_000, 0)]).contains("lcore 100000 does not exist"));
        assert!(refusal(&[(0, 0), (0, 0)]).contains("twice"));
        assert!(refusal(&[]).contains("empty"));
    }
}
