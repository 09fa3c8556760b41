//! DPDK's environment abstraction layer: started once, ended once.
//!
//! [`Eal::init`] makes the calling thread the main lcore (and pins it, so it wants a thread made for it). Everything
//! else of this room holds on to the EAL: pools, ports, queues and registered threads. Packet buffers do not, which
//! would cost a counter a packet; instead, the EAL does not end while a buffer is out of its pool, a queue or port is
//! open, or an lcore runs. Then its memory stays, and is the operating system's to take back.

mod args;
mod error;
mod hugepages;
mod lcore;
mod log;
mod prefix;

use core::cell::RefCell;
use core::ffi::{CStr, c_char, c_int};
use core::marker::PhantomData;
use std::collections::{HashMap, HashSet};
use std::ffi::CString;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dpdk_sys as sys;

pub(super) use args::Device;
pub use error::EalError;
pub use hugepages::Memory;
pub use lcore::{Job, LcoreError};
pub(super) use log::Listener;

use self::prefix::PrefixLock;
use super::mempool::PoolPtr;
use super::{DpdkError, port};
use crate::config::plan::EalPlan;

/// How to start.
#[derive(Clone, Debug)]
pub struct EalOptions {
    /// What the configuration says.
    pub plan: EalPlan,
    /// The lcores and their CPUs; the first is the main lcore, the thread that calls [`Eal::init`]. Two may share a CPU.
    pub lcores: Vec<(u32, usize)>,
    /// The devices, as in a configuration: PCI addresses and vdevs with their arguments.
    pub devices: Vec<String>,
    /// Take every device on the buses that is bound to a driver of DPDK's, if `devices` names none there.
    pub scan: bool,
}

/// A running EAL. Stays on the thread that started it, the main lcore.
#[derive(Debug)]
pub struct Eal {
    shared: Arc<Shared>,
    /// The last job of each worker lcore.
    jobs: RefCell<HashMap<u32, lcore::Outcome>>,
    on_the_main_lcore: PhantomData<*const ()>,
}

/// What pools, ports and threads hold on to.
#[derive(Debug)]
pub(super) struct Shared {
    memory: Memory,
    workers: Vec<u32>,
    runtime_dir: Option<PathBuf>,
    /// Ports that have an owner.
    pub(super) open_ports: Mutex<HashSet<u16>>,
    /// Pools whose last handle is gone while buffers were out.
    pub(super) orphaned_pools: Mutex<Vec<PoolPtr>>,
    /// Declared last: the prefix is free when all else is gone.
    prefix: Mutex<Option<PrefixLock>>,
}

/// A claim on the running EAL that other threads may hold.
#[derive(Clone, Debug)]
pub struct EalHandle(Arc<Shared>);

/// A thread that DPDK knows of: until it is dropped, on the same thread.
#[derive(Debug)]
pub struct ThreadGuard {
    _eal: Arc<Shared>,
    on_this_thread: PhantomData<*const ()>,
}

/// Set for good by the first attempt that reaches DPDK: it can be started once in the life of a process.
static STARTED: AtomicBool = AtomicBool::new(false);

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Eal {
    /// Starts DPDK on the current thread, and makes the devices.
    ///
    /// # Errors
    /// Each [`EalError`] is one sentence that says what to do. After those that come from DPDK itself, the process
    /// cannot try again.
    pub fn init(options: &EalOptions) -> Result<Self, EalError> {
        if STARTED.load(Ordering::Acquire) {
            return Err(EalError::AlreadyStarted);
        }
        lcore::check(&options.lcores)?;
        let plan = &options.plan;
        let memory = hugepages::choose(plan.hugepages, plan.memory_mb, args::needs_files(options))?;
        let prefix = PrefixLock::take(&plan.file_prefix)?;
        if STARTED.swap(true, Ordering::AcqRel) {
            return Err(EalError::AlreadyStarted);
        }
        let complaints = start(&args::arguments(options, memory))?;

        let workers = options.lcores.iter().skip(1).map(|(lcore, _)| *lcore).collect();
        let shared = Shared {
            memory,
            workers,
            runtime_dir: runtime_dir(),
            open_ports: Mutex::default(),
            orphaned_pools: Mutex::default(),
            prefix: Mutex::new(Some(prefix)),
        };
        let eal = Self { shared: Arc::new(shared), jobs: RefCell::default(), on_the_main_lcore: PhantomData };
        for device in &options.devices {
            make(Device::new(device), &complaints)?;
        }
        Ok(eal)
    }

    /// Where DPDK's memory comes from.
    #[must_use]
    pub fn memory(&self) -> Memory {
        self.shared.memory
    }

    /// DPDK's name and release, as `DPDK 22.11.11`.
    #[must_use]
    pub fn version() -> String {
        // SAFETY: returns a constant string.
        let text = unsafe { sys::rte_version() };
        // SAFETY: as above; it ends in a zero.
        unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
    }

    /// A claim on the EAL for other threads.
    #[must_use]
    pub fn handle(&self) -> EalHandle {
        EalHandle(Arc::clone(&self.shared))
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Runs `job` on the worker lcore `lcore`.
    ///
    /// # Errors
    /// It is no worker lcore of ours, or runs a job already.
    pub fn launch(&self, lcore: u32, job: Job) -> Result<(), LcoreError> {
        if !self.shared.workers.contains(&lcore) {
            return Err(LcoreError::Refused { lcore, error: DpdkError::INVALID });
        }
        let outcome = lcore::launch(lcore, job)?;
        self.jobs.borrow_mut().insert(lcore, outcome);
        Ok(())
    }

    /// Waits until the job on `lcore` has ended.
    ///
    /// # Errors
    /// It panicked, or there was none.
    pub fn wait(&self, lcore: u32) -> Result<(), LcoreError> {
        let outcome = self.jobs.borrow_mut().remove(&lcore);
        lcore::wait(lcore, outcome)
    }

    /// Whether a job runs on `lcore`.
    #[must_use]
    pub fn is_running(&self, lcore: u32) -> bool {
        self.shared.workers.contains(&lcore) && lcore::is_running(lcore)
    }

    /// Ends DPDK, if nothing of it is in use any more. Dropping the EAL does the same without a word.
    ///
    /// # Errors
    /// Something is still in use: DPDK's memory then stays until the process ends. After a port of `net_af_xdp` it
    /// always is, for the driver keeps its buffers (seen with 22.11).
    pub fn cleanup(self) -> Result<(), EalError> {
        self.end()
        // The drop that follows finds nothing left to do: `end` looks again and cleans up at most once.
    }

    fn end(&self) -> Result<(), EalError> {
        let Some(prefix) = lock(&self.shared.prefix).take() else { return Ok(()) };
        if let Some(what) = self.what_is_in_use() {
            // DPDK's memory stays until the process ends, which is soon; its files are needed by nobody now.
            self.remove_files(prefix);
            return Err(EalError::InUse(what));
        }
        let listener = Listener::new();
        // SAFETY: EAL runs, and nothing of ours uses it: no lcore runs, nobody else holds `shared`, and without pools
        // and ports of ours no buffer is out. `prefix` was taken, so this happens once.
        let ret = unsafe { sys::rte_eal_cleanup() };
        drop(listener);
        self.remove_files(prefix);
        DpdkError::check(ret).map(drop).map_err(|error| EalError::InUse(error.to_string()))
    }

    fn remove_files(&self, prefix: PrefixLock) {
        if let Some(dir) = &self.shared.runtime_dir {
            prefix::remove_runtime_dir(dir);
        }
        drop(prefix);
    }

    fn what_is_in_use(&self) -> Option<String> {
        if let Some(lcore) = self.shared.workers.iter().find(|lcore| lcore::is_running(**lcore)) {
            return Some(format!("lcore {lcore} still runs"));
        }
        if Arc::strong_count(&self.shared) > 1 {
            return Some("a pool, port, queue or thread is still held".to_owned());
        }
        let out: u32 = lock(&self.shared.orphaned_pools).iter().map(PoolPtr::out).sum();
        (out > 0).then(|| format!("packet buffers that a driver or somebody else still holds: {out}"))
    }
}

impl Drop for Eal {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            tracing::warn!("{error}");
        }
    }
}

impl EalHandle {
    /// Makes the current thread known to DPDK, which gives it a cache in each pool: for threads of ours that touch
    /// buffers. Without, they work and are slower.
    ///
    /// # Errors
    /// DPDK has no lcore id left.
    pub fn register_thread(&self) -> Result<ThreadGuard, DpdkError> {
        // SAFETY: EAL runs, since `self` holds on to it.
        DpdkError::check_last(unsafe { sys::rte_thread_register() })?;
        Ok(ThreadGuard { _eal: Arc::clone(&self.0), on_this_thread: PhantomData })
    }
}

impl Drop for ThreadGuard {
    fn drop(&mut self) {
        // SAFETY: this thread was registered, and the guard cannot leave it.
        unsafe { sys::rte_thread_unregister() };
    }
}

/// `rte_eal_init`. Returns what it complained of on the way: devices on a bus that it could not use, above all.
fn start(args: &[String]) -> Result<String, EalError> {
    let listener = Listener::capturing();
    let refused = |error, log| EalError::Init { error, log };
    let strings: Result<Vec<CString>, _> = args.iter().map(|arg| CString::new(arg.as_str())).collect();
    let Ok(strings) = strings else {
        return Err(refused(DpdkError::INVALID, "an argument holds a zero byte".to_owned()));
    };
    let Ok(count) = c_int::try_from(strings.len()) else {
        return Err(refused(DpdkError::INVALID, "too many arguments".to_owned()));
    };
    // EAL reorders the array and keeps pointers to what it names: both are left to it for good.
    let strings: &'static [CString] = strings.leak();
    let mut argv: Vec<*mut c_char> = strings.iter().map(|arg| arg.as_ptr().cast_mut()).collect();
    argv.push(core::ptr::null_mut());
    let argv = argv.leak();
    // SAFETY: `argv` holds `count` strings and a null pointer, all of which live for good. EAL writes to the array and not
    // to the strings. It was not started before: see STARTED.
    let ret = unsafe { sys::shim_eal_init(count, argv.as_mut_ptr(), Some(log::write)) };
    if ret >= 0 {
        return Ok(listener.errors().unwrap_or_default());
    }
    let (error, log) = (DpdkError::last(), listener.heard());
    if let Some(dir) = runtime_dir() {
        prefix::remove_runtime_dir(&dir);
    }
    if error == DpdkError::ALREADY {
        return Err(EalError::AlreadyStarted);
    }
    // Of a device that is neither a vdev nor an address on a bus.
    let unknown = log.split_once("failed to parse device \"").and_then(|(_, rest)| rest.split_once('"'));
    match unknown {
        Some((device, _)) => {
            Err(EalError::NoDevice { device: device.to_owned(), remedy: NO_DRIVER.to_owned() })
        }
        None => Err(refused(error, log)),
    }
}

/// Where DPDK keeps its files while it runs.
fn runtime_dir() -> Option<PathBuf> {
    // SAFETY: returns a buffer of EAL's own, which is empty before it starts.
    let dir = unsafe { sys::rte_eal_get_runtime_dir() };
    if dir.is_null() {
        return None;
    }
    // SAFETY: a string of EAL's that lives as long as it does.
    let dir = unsafe { CStr::from_ptr(dir) };
    dir.to_str().ok().filter(|dir| !dir.is_empty()).map(PathBuf::from)
}

/// Makes a virtual device, or looks whether one on a bus was found.
fn make(device: Device<'_>, complaints: &str) -> Result<(), EalError> {
    let no_device =
        |remedy: &str| EalError::NoDevice { device: device.text.to_owned(), remedy: remedy.to_owned() };
    let listener = Listener::capturing();
    if device.is_virtual() {
        let text = CString::new(device.text).map_err(|_| no_device("its name holds a zero byte"))?;
        // SAFETY: EAL runs; the string ends in a zero and is copied.
        let ret = unsafe { sys::rte_dev_probe(text.as_ptr()) };
        DpdkError::check(ret).map_err(|error| refusal(device, error, listener.heard()))?;
    }
    match port::find(device) {
        Some(_) => Ok(()),
        None if device.is_virtual() => Err(no_device(NO_DRIVER)),
        // It is there, and something keeps DPDK from it: a missing privilege or driver, which it names.
        None if complaints.contains(&device.port_name()) => Err(EalError::Probe {
            device: device.text.to_owned(),
            error: DpdkError::UNSAID,
            log: complaints.to_owned(),
        }),
        None => Err(no_device(
            "compare its address with `lspci -D`, and bind it to a driver that DPDK can use, such as vfio-pci \
             (`dpdk-devbind.py -b vfio-pci ADDRESS`)",
        )),
    }
}

const NO_DRIVER: &str = "compare the name with DPDK's drivers (net_tap0, net_af_packet0, net_af_xdp0, net_virtio_user0 \
                         ...), and install their package (Debian: librte-net-*)";

/// Says what a refused probe means.
fn refusal(device: Device<'_>, error: DpdkError, log: String) -> EalError {
    let needs = [
        ("net_tap", "CAP_NET_ADMIN", libc_cap::NET_ADMIN),
        ("net_af_packet", "CAP_NET_RAW", libc_cap::NET_RAW),
        ("net_af_xdp", "CAP_NET_ADMIN", libc_cap::NET_ADMIN),
    ];
    let missing = needs.into_iter().find(|(driver, _, bit)| device.is_a(driver) && !has_capability(*bit));
    let text = device.text.to_owned();
    match missing {
        Some((_, capability, _)) => EalError::Privilege {
            device: text,
            capability,
            setcap: capability.to_ascii_lowercase(),
            reason: if log.is_empty() { error.to_string() } else { log },
        },
        // No bus has a driver whose name the device's begins with.
        None if log.contains("failed to parse device") => {
            EalError::NoDevice { device: text, remedy: NO_DRIVER.to_owned() }
        }
        None => EalError::Probe { device: text, error, log },
    }
}

/// Numbers of capabilities, from capabilities(7).
mod libc_cap {
    pub(super) const NET_ADMIN: u32 = 12;
    pub(super) const NET_RAW: u32 = 13;
}

/// Whether this process has a capability in effect.
fn has_capability(bit: u32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let effective = effective.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok());
    // What cannot be read is not blamed.
    effective.is_none_or(|effective| effective >> bit & 1 == 1)
}
