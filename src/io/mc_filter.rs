//! The NIC's multicast filter, as a ladder.
//!
//! The set of MAC addresses is derived from the joined groups each time and applied whole: there are no reference
//! counts to get wrong. Any error means one rung down; every application starts at the top again, so that the filter
//! climbs when there is room.

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::addr::MacAddr;

/// How a port keeps unwanted multicast away, best first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
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

/// A rung that did not answer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Refused {
    /// Which.
    pub rung: Rung,
    /// The call and the driver's own words: `set_mc_addr_list: Operation not supported (-ENOTSUP)`.
    pub why: String,
}

/// The filter as last applied.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FilterState {
    /// The rung that answered.
    pub rung: Rung,
    /// Why no better rung: those that refused, best first.
    pub refused: Vec<Refused>,
    /// The addresses that were asked for, sorted.
    pub macs: Vec<MacAddr>,
    /// The most group addresses that the rung in use can hold, where the device says.
    pub capacity: Option<u32>,
    /// Read back from the device: does it pass all multicast?
    pub all_multicast: bool,
    /// Read back from the device: does it pass everything?
    pub promiscuous: bool,
}

impl FilterState {
    /// Before anything was applied.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            rung: Rung::Unfiltered,
            refused: Vec::new(),
            macs: Vec::new(),
            capacity: None,
            all_multicast: false,
            promiscuous: false,
        }
    }
}

impl Default for FilterState {
    fn default() -> Self {
        Self::new()
    }
}

/// A device's multicast filter. One owner, one call, the whole set every time.
pub trait McFilter {
    /// Makes the device pass the frames to `want` (sorted, without duplicates), and as few others as it can. Never
    /// fails: the last rung takes everything.
    fn apply(&mut self, want: &[MacAddr]) -> &FilterState;
}

/// The steps from the MAC table `have` to the set `want` that keep the table dense: the addresses to remove (last
/// first), then those to add.
///
/// DPDK's virtio driver stops at the first empty slot when it sends its table, so that a hole silently loses every
/// group behind it: what follows the first difference is removed from the end and added anew.
#[must_use]
pub fn dense_steps(have: &[MacAddr], want: &[MacAddr]) -> (Vec<MacAddr>, Vec<MacAddr>) {
    let kept_by_want = |mac: &MacAddr| want.contains(mac);
    let first_difference = have.iter().position(|mac| !kept_by_want(mac)).unwrap_or(have.len());
    let (kept, removed) = have.split_at(first_difference);
    let added = want.iter().filter(|mac| !kept.contains(mac)).copied().collect();
    (removed.iter().rev().copied().collect(), added)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn macs(last_bytes: &[u8]) -> Vec<MacAddr> {
        last_bytes.iter().map(|&b| MacAddr([1, 0, 0x5e, 0, 0, b])).collect()
    }

    /// DPDK's array of addresses with virtio's reading of it: `rte_eth_dev_mac_addr_remove` zeroes a slot,
    /// `rte_eth_dev_mac_addr_add` fills the first empty one, and the driver then sends what precedes the next hole.
    #[derive(Default)]
    struct Virtio {
        slots: Vec<Option<MacAddr>>,
        sent: Vec<MacAddr>,
    }
    impl Virtio {
        fn remove(&mut self, mac: MacAddr) {
            let slot = self.slots.iter_mut().find(|s| **s == Some(mac)).unwrap();
            *slot = None;
            self.sent = self.slots.iter().flatten().copied().collect();
        }
        fn add(&mut self, mac: MacAddr) {
            match self.slots.iter_mut().find(|s| s.is_none()) {
                Some(slot) => *slot = Some(mac),
                None => self.slots.push(Some(mac)),
            }
            self.sent = self.slots.iter().map_while(|s| *s).collect();
        }
    }

    #[test]
    fn holes_lose_groups() {
        let mut virtio = Virtio::default();
        macs(&[1, 2, 3, 4]).into_iter().for_each(|m| virtio.add(m));
        virtio.remove(macs(&[1])[0]);
        virtio.remove(macs(&[3])[0]);
        virtio.add(macs(&[9])[0]);
        assert_eq!(virtio.sent, macs(&[9, 2]), "4 is in the table and not in the device");
    }

    #[test]
    fn dense_steps_lose_none_over_any_sequence() {
        let mut rng = crate::rng::Rng::new(5);
        let mut virtio = Virtio::default();
        let mut have: Vec<MacAddr> = Vec::new();
        for _ in 0..500 {
            let mut want: Vec<MacAddr> = macs(&(0..20).filter(|_| rng.one_in(3)).collect::<Vec<u8>>());
            want.sort_unstable();
            let (remove, add) = dense_steps(&have, &want);
            for mac in remove {
                virtio.remove(mac);
                have.retain(|m| *m != mac);
            }
            for mac in add {
                virtio.add(mac);
                have.push(mac);
            }
            let mut sent = virtio.sent.clone();
            sent.sort_unstable();
            assert_eq!(sent, want);
        }
    }

    #[test]
    fn nothing_is_done_for_an_equal_set() {
        assert_eq!(dense_steps(&macs(&[2, 1]), &macs(&[1, 2])), (vec![], vec![]));
    }
}
