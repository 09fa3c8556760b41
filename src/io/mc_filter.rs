//! The NIC's multicast filter, as a ladder.
//!
//! The set of MAC addresses is derived from the joined groups each time and applied whole: there are no reference
//! counts to get wrong. Any error means one rung down; every application starts at the top again, so that the filter
//! climbs when there is room. [`Ladder`] is the one way to do that, for real devices and simulated ones; what it asks of
//! a device is [`FilterCalls`].

mod ladder;
mod table;

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::addr::MacAddr;

pub use ladder::Ladder;
pub use table::is_placeholder;

/// How a port keeps unwanted multicast away, best first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rung {
    /// `rte_eth_dev_set_mc_addr_list`: the device was given the list.
    AddrList,
    /// `rte_eth_dev_mac_addr_add` with group addresses.
    MacTable,
    /// `rte_eth_allmulticast_enable`: every multicast frame passes.
    AllMulticast,
    /// `rte_eth_promiscuous_enable`: every frame passes.
    Promiscuous,
    /// The device has no filter and passes everything.
    #[default]
    Unfiltered,
}

impl Rung {
    /// Its name, as in configuration and JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AddrList => "addr_list",
            Self::MacTable => "mac_table",
            Self::AllMulticast => "all_multicast",
            Self::Promiscuous => "promiscuous",
            Self::Unfiltered => "unfiltered",
        }
    }

    /// Whether the device claims to keep unwanted multicast away.
    #[must_use]
    pub const fn filters(self) -> bool {
        match self {
            Self::AddrList | Self::MacTable => true,
            Self::AllMulticast | Self::Promiscuous | Self::Unfiltered => false,
        }
    }
}

impl fmt::Display for Rung {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What the operator asked of the filter: the key `multicast_filter`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FilterPolicy {
    /// The best rung that works.
    #[default]
    Auto,
    /// No better than all-multicast.
    AllMulticast,
    /// Promiscuous.
    Promiscuous,
}

impl FilterPolicy {
    /// Its names, as in configuration, on the command line and in JSON.
    pub const NAMES: [(&str, Self); 3] =
        [("auto", Self::Auto), ("all_multicast", Self::AllMulticast), ("promiscuous", Self::Promiscuous)];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::AllMulticast => "all_multicast",
            Self::Promiscuous => "promiscuous",
        }
    }
}

/// Why a device did not do what the ladder asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// What kind of refusal: whether to ask again.
    pub kind: RefusalKind,
    /// The driver's own words: `Operation not supported (-ENOTSUP)`.
    pub words: String,
}

/// What to make of a refusal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RefusalKind {
    /// The device or its driver cannot do it, and never will.
    NotSupported,
    /// There is no room: another set may fit.
    Full,
    /// Anything else: the device may be busy, starting or being reset, and do it later.
    MayPass,
}

/// What the ladder asks of a device. Each call answers for itself: what comes of it is read back.
pub trait FilterCalls {
    /// `rte_eth_dev_set_mc_addr_list`: these and no others.
    ///
    /// # Errors
    /// The driver refuses. What it had before may be gone.
    fn set_list(&mut self, macs: &[MacAddr]) -> Result<(), Refusal>;

    /// How many addresses the list holds, where the device says.
    fn list_capacity(&self) -> Option<u32> {
        None
    }

    /// Whether the device keeps hashes of the list's addresses, so that others pass, too. Its table of addresses is exact.
    fn list_is_hashed(&self) -> bool {
        false
    }

    /// `rte_eth_dev_mac_addr_add`: into the first empty slot of the table; one that is there already stays as it is.
    ///
    /// # Errors
    /// The driver refuses; the table is as it was.
    fn add_mac(&mut self, mac: MacAddr) -> Result<(), Refusal>;

    /// `rte_eth_dev_mac_addr_remove`: its slot is empty afterwards; one that is not there is no error.
    ///
    /// # Errors
    /// The driver refuses; the table is as it was.
    fn remove_mac(&mut self, mac: MacAddr) -> Result<(), Refusal>;

    /// `rte_eth_allmulticast_enable` and `_disable`.
    ///
    /// # Errors
    /// The driver refuses; the switch is as it was.
    fn set_all_multicast(&mut self, on: bool) -> Result<(), Refusal>;

    /// `rte_eth_allmulticast_get`.
    fn all_multicast(&self) -> bool;

    /// `rte_eth_promiscuous_enable` and `_disable`.
    ///
    /// # Errors
    /// The driver refuses; the switch is as it was.
    fn set_promiscuous(&mut self, on: bool) -> Result<(), Refusal>;

    /// `rte_eth_promiscuous_get`.
    fn promiscuous(&self) -> bool;
}

/// A rung that did not answer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Refused {
    /// Which.
    pub rung: Rung,
    /// The call and the driver's own words: `set_mc_addr_list: Operation not supported (-ENOTSUP)`.
    pub why: String,
}

/// The filter as last applied.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct FilterState {
    /// The rung that answered.
    pub rung: Rung,
    /// Why no better rung: those that refused, best first.
    pub refused: Vec<Refused>,
    /// The addresses that were asked for, sorted.
    pub macs: Vec<MacAddr>,
    /// The most group addresses that the rung in use can hold, where the device says.
    pub capacity: Option<u32>,
    /// How many of these are in use: on a rung that has room for none, 0.
    #[serde(default)]
    pub entries: u32,
    /// The rung is a list of which the device keeps hashes: others pass, too.
    #[serde(default)]
    pub hashed: bool,
    /// Read back from the device: does it pass all multicast?
    pub all_multicast: bool,
    /// Read back from the device: does it pass everything?
    pub promiscuous: bool,
    /// How far the filter may climb.
    #[serde(default)]
    pub policy: FilterPolicy,
    /// A refusal, here or in `refused`, that may pass: the device is worth asking again.
    #[serde(default)]
    pub may_pass: bool,
    /// What the device would not undo of another rung, or would not forget, in its driver's words: until it does, more
    /// passes than was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_undone: Option<String>,
    /// How often the filter was applied: calls for a set that it had already are not counted.
    #[serde(default)]
    pub applied: u64,
    /// How many calls to the driver that took, all together.
    #[serde(default)]
    pub calls: u64,
}

/// Why the filter is applied.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Occasion {
    /// The set may have changed. Nothing is asked of the device for an equal one.
    Change,
    /// A refusal may have passed: what refused is asked again, and nothing else.
    Retry,
    /// The device was started, reset, or had no link: it may have forgotten everything.
    Restart,
}

/// A device's multicast filter. One owner, one call, the whole set every time.
pub trait McFilter {
    /// Makes the device pass the frames to `want` (sorted, without duplicates), and as few others as it can. Never
    /// fails: the last rung takes everything.
    fn apply(&mut self, want: &[MacAddr], occasion: Occasion) -> &FilterState;

    /// How far the filter may climb from the next application on.
    fn set_policy(&mut self, policy: FilterPolicy);
}
