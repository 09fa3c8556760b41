//! Why a port cannot be used: one clear sentence each.

use crate::dpdk::DpdkError;

/// Why a port cannot be used.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PortError {
    /// There is no such device.
    #[error("port {port}: the device {device} does not exist")]
    NoDevice {
        /// The port's name.
        port: String,
        /// Its device.
        device: String,
    },
    /// Two ports with one device.
    #[error("port {port}: the device {device} is in use by another port")]
    InUse {
        /// The port's name.
        port: String,
        /// Its device.
        device: String,
    },
    /// More workers than queues.
    #[error(
        "port {port}: {want} workers want a queue pair each, and the device {device} has no more than {have}: let fewer \
         workers serve this port (its key `cpus`), give the device more queues, or let flows be spread in software (rps = \"auto\")"
    )]
    TooFewQueues {
        /// The port's name.
        port: String,
        /// Its device.
        device: String,
        /// Queue pairs that it has.
        have: u16,
        /// Queue pairs wanted.
        want: u16,
    },
    /// An MTU that the device cannot have.
    #[error(
        "port {port}: the device {device} takes an mtu from {min} to {max}, not {mtu}: change the key `mtu`"
    )]
    Mtu {
        /// The port's name.
        port: String,
        /// Its device.
        device: String,
        /// Asked for.
        mtu: u16,
        /// The least.
        min: u16,
        /// The most.
        max: u16,
    },
    /// A device without an Ethernet address, and none configured.
    #[error(
        "port {port}: the device {device} has no Ethernet address of its own: give the port one (its key `mac`)"
    )]
    NoMac {
        /// The port's name.
        port: String,
        /// Its device.
        device: String,
    },
    /// A refusal in the driver's words.
    #[error(
        "port {port}: the device {device} refuses {step}: {}",
        error.with_log(log)
    )]
    Refused {
        /// The port's name.
        port: String,
        /// Its device.
        device: String,
        /// What it refuses.
        step: &'static str,
        /// Its error.
        error: DpdkError,
        /// What it logged.
        log: String,
    },
}
