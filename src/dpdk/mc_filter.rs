//! The multicast filter of a real port: the ladder of [`Rung`]s.
//!
//! What the ladder asks of a device is the small trait [`FilterCalls`], so that it is tested against devices that
//! refuse in every way that drivers do. A new rung is up before the old one is taken down: no wanted frame is lost
//! between.

use super::DpdkError;
use crate::addr::MacAddr;
use crate::io::{FilterPolicy, FilterState, McFilter, Refused, Rung, dense_steps};

/// What the ladder asks of a device.
pub(super) trait FilterCalls {
    /// `rte_eth_dev_set_mc_addr_list`: these and no others.
    fn set_list(&mut self, macs: &[MacAddr]) -> Result<(), DpdkError>;
    /// `rte_eth_dev_mac_addr_add`.
    fn add_mac(&mut self, mac: MacAddr) -> Result<(), DpdkError>;
    /// `rte_eth_dev_mac_addr_remove`.
    fn remove_mac(&mut self, mac: MacAddr) -> Result<(), DpdkError>;
    /// `rte_eth_allmulticast_enable` and `_disable`.
    fn set_all_multicast(&mut self, on: bool) -> Result<(), DpdkError>;
    /// `rte_eth_allmulticast_get`.
    fn all_multicast(&self) -> bool;
    /// `rte_eth_promiscuous_enable` and `_disable`.
    fn set_promiscuous(&mut self, on: bool) -> Result<(), DpdkError>;
    /// `rte_eth_promiscuous_get`.
    fn promiscuous(&self) -> bool;
}

/// The ladder over one device.
#[derive(Debug)]
pub(super) struct Ladder<C> {
    calls: C,
    policy: FilterPolicy,
    /// Addresses that the device's MAC table has room for beside its own.
    table_size: u32,
    /// The device must be promiscuous for the sake of our own address, which it would not take.
    keep_promiscuous: bool,
    /// Whether the device was given a list that is not empty.
    list_in_use: bool,
    /// The group addresses in the device's MAC table, in its order.
    table: Vec<MacAddr>,
    state: FilterState,
}

impl<C: FilterCalls> Ladder<C> {
    /// Of a device that was just started, and whose MAC table holds `mac_slots` addresses, its own included.
    pub(super) fn new(calls: C, policy: FilterPolicy, mac_slots: u32, keep_promiscuous: bool) -> Self {
        Self {
            calls,
            policy,
            table_size: mac_slots.saturating_sub(1),
            keep_promiscuous,
            list_in_use: false,
            table: Vec::new(),
            state: FilterState::new(),
        }
    }

    pub(super) fn state(&self) -> &FilterState {
        &self.state
    }

    /// From the best rung that the policy allows downwards, until one answers.
    // E07: a full table is a refusal like any other, which is kept to be shown; each time the best rung is tried again first.
    fn climb(&mut self, want: &[MacAddr]) -> (Rung, Vec<Refused>) {
        let mut refused = Vec::new();
        for &rung in allowed(self.policy) {
            let answer = match rung {
                Rung::AddrList => self.use_list(want),
                Rung::MacTable => self.use_table(want),
                Rung::AllMulticast => self.use_all_multicast(),
                Rung::Promiscuous => self.use_promiscuous(),
                Rung::Unfiltered => Ok(()),
            };
            match answer {
                Ok(()) => return (rung, refused),
                Err(why) => refused.push(Refused { rung, why }),
            }
        }
        (Rung::Unfiltered, refused)
    }

    fn use_list(&mut self, want: &[MacAddr]) -> Result<(), String> {
        self.calls.set_list(want).map_err(|error| format!("set_mc_addr_list: {error}"))?;
        self.list_in_use = !want.is_empty();
        Ok(())
    }

    fn use_table(&mut self, want: &[MacAddr]) -> Result<(), String> {
        let size = self.table_size;
        if size == 0 || want.len() > usize::try_from(size).unwrap_or(usize::MAX) {
            return Err(format!(
                "mac_addr_add: the device's table has room for {size} group addresses, and {} are wanted",
                want.len()
            ));
        }
        let (remove, add) = dense_steps(&self.table, want);
        for mac in remove {
            self.forget(mac).map_err(|error| format!("mac_addr_remove: {error}"))?;
        }
        for mac in add {
            self.calls.add_mac(mac).map_err(|error| format!("mac_addr_add: {error}"))?;
            self.table.push(mac);
        }
        Ok(())
    }

    /// Takes `mac` out of the device's table. What the device refuses to forget stays on our list.
    fn forget(&mut self, mac: MacAddr) -> Result<(), DpdkError> {
        self.calls.remove_mac(mac)?;
        self.table.retain(|have| *have != mac);
        Ok(())
    }

    fn use_all_multicast(&mut self) -> Result<(), String> {
        if self.calls.all_multicast() {
            // On without our having asked: either we may turn it off, or the device has no filter at all.
            if self.state.rung != Rung::AllMulticast {
                self.calls.set_all_multicast(false).map_err(|error| {
                    format!("allmulticast_disable: {error}: the device passes all multicast and cannot be told not to")
                })?;
            }
        }
        self.calls.set_all_multicast(true).map_err(|error| format!("allmulticast_enable: {error}"))?;
        if self.calls.all_multicast() {
            Ok(())
        } else {
            Err("allmulticast_enable: accepted, and reads back as off".to_owned())
        }
    }

    fn use_promiscuous(&mut self) -> Result<(), String> {
        if self.calls.promiscuous() && !self.keep_promiscuous && self.state.rung != Rung::Promiscuous {
            self.calls.set_promiscuous(false).map_err(|error| {
                format!(
                    "promiscuous_disable: {error}: the device passes everything and cannot be told not to"
                )
            })?;
        }
        self.calls.set_promiscuous(true).map_err(|error| format!("promiscuous_enable: {error}"))?;
        if self.calls.promiscuous() {
            Ok(())
        } else {
            Err("promiscuous_enable: accepted, and reads back as off".to_owned())
        }
    }

    /// Undoes every rung but `rung`. A device that refuses to is seen by what is read back.
    fn leave_others(&mut self, rung: Rung) {
        if rung != Rung::AddrList && self.list_in_use {
            self.list_in_use = self.calls.set_list(&[]).is_err();
        }
        if rung != Rung::MacTable {
            // Last first, so that the table has no hole at any time.
            for mac in self.table.clone().into_iter().rev() {
                let _seen_in_the_table = self.forget(mac);
            }
        }
        if rung != Rung::AllMulticast && self.calls.all_multicast() {
            let _read_back = self.calls.set_all_multicast(false);
        }
        if rung != Rung::Promiscuous && !self.keep_promiscuous && self.calls.promiscuous() {
            let _read_back = self.calls.set_promiscuous(false);
        }
    }
}

/// The rungs that `policy` allows, best first.
fn allowed(policy: FilterPolicy) -> &'static [Rung] {
    match policy {
        FilterPolicy::Auto => &[Rung::AddrList, Rung::MacTable, Rung::AllMulticast, Rung::Promiscuous],
        FilterPolicy::AllMulticast => &[Rung::AllMulticast, Rung::Promiscuous],
        FilterPolicy::Promiscuous => &[Rung::Promiscuous],
    }
}

impl<C: FilterCalls> McFilter for Ladder<C> {
    fn apply(&mut self, want: &[MacAddr]) -> &FilterState {
        let (rung, refused) = self.climb(want);
        self.leave_others(rung);
        self.state = FilterState {
            rung,
            refused,
            macs: want.to_vec(),
            capacity: (rung == Rung::MacTable).then_some(self.table_size),
            all_multicast: self.calls.all_multicast(),
            promiscuous: self.calls.promiscuous(),
        };
        &self.state
    }
}

#[cfg(test)]
mod tests;
