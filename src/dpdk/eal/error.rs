//! Why DPDK did not start: one clear sentence each, with what to do about it.

use std::io;
use std::path::PathBuf;

use crate::dpdk::DpdkError;

/// Why DPDK did not start, or could not be told to end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EalError {
    /// DPDK can be started once in the life of a process.
    #[error("DPDK was already started in this process: it can be started only once in a process's life")]
    AlreadyStarted,

    /// `hugepages = "required"`, and there are too few.
    #[error(
        "{needed_mb} MiB of hugepages are required and {free_mb} MiB are free: reserve more with \
         `sysctl vm.nr_hugepages={pages}`, or set eal.hugepages to \"auto\" or \"none\""
    )]
    NoHugepages {
        /// Needed, in MiB.
        needed_mb: u32,
        /// Free, in MiB.
        free_mb: u64,
        /// How many pages of the default size would do.
        pages: u64,
    },

    /// A CPU that this machine does not have.
    #[error(
        "lcore {lcore} is to run on CPU {cpu}, which this machine does not have (CPUs {online} are online): \
         correct workers.cpus or workers.control_cpu"
    )]
    NoSuchCpu {
        /// The lcore.
        lcore: u32,
        /// Its CPU.
        cpu: usize,
        /// Those that are there.
        online: String,
    },

    /// A CPU that this process may not use.
    #[error(
        "lcore {lcore} is to run on CPU {cpu}, which this process may not use: correct workers.cpus or \
         workers.control_cpu, or the container's or cgroup's cpuset"
    )]
    CpuNotAllowed {
        /// The lcore.
        lcore: u32,
        /// Its CPU.
        cpu: usize,
    },

    /// An lcore that DPDK cannot have.
    #[error("lcore {lcore} does not exist: this DPDK numbers its lcores from 0 to {last}")]
    NoSuchLcore {
        /// The lcore.
        lcore: u32,
        /// The highest possible.
        last: u32,
    },

    /// The list of lcores is empty or names one twice.
    #[error("the list of lcores {0}")]
    Lcores(&'static str),

    /// Another program uses the file prefix.
    #[error("the file prefix \"{prefix}\" is in use by {holder}: give this program another eal.file_prefix")]
    PrefixBusy {
        /// The prefix.
        prefix: String,
        /// Who has it.
        holder: String,
    },

    /// A file prefix that is not a file name.
    #[error("the file prefix \"{0}\" is not a plain file name: correct eal.file_prefix")]
    PrefixInvalid(String),

    /// The directory for run-time files is not usable.
    #[error("cannot use {}: {error}; run as root, or let XDG_RUNTIME_DIR name a directory of yours", path.display())]
    RuntimeDir {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },

    /// A privilege is missing.
    #[error(
        "{device} needs {capability}, which this process lacks: run as root, or give the program the capability \
         with `setcap {setcap}+ep` ({reason})"
    )]
    Privilege {
        /// The device.
        device: String,
        /// The capability, as `CAP_NET_ADMIN`.
        capability: &'static str,
        /// As `setcap` takes it.
        setcap: String,
        /// What DPDK said.
        reason: String,
    },

    /// No device of that name.
    #[error("the device {device} does not exist, or no DPDK driver takes it: {remedy}")]
    NoDevice {
        /// The device.
        device: String,
        /// What to look at.
        remedy: String,
    },

    /// The driver refused the device.
    #[error("the device {device} cannot be used: {}", error.with_log(log))]
    Probe {
        /// The device.
        device: String,
        /// The driver's error.
        error: DpdkError,
        /// What it logged.
        log: String,
    },

    /// DPDK did not start, for a reason of its own.
    #[error("DPDK does not start: {}", error.with_log(log))]
    Init {
        /// Its error.
        error: DpdkError,
        /// What it logged.
        log: String,
    },

    /// Something of DPDK's is still in use, so that it cannot end.
    #[error("DPDK cannot be ended in order, its memory stays until the process ends: {0}")]
    InUse(String),
}
