//! A multicast filter that really filters.
//!
//! `Hardware` is the device's side: it decides frame by frame. [`SimFilter`] is the driver's side: it programs the
//! hardware by the ladder of [`Rung`]s. What devices can do differs, and [`Abilities`] says what this one can.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::addr::MacAddr;
use crate::io::{FilterPolicy, FilterState, McFilter, Refused, Rung, dense_steps};

/// How a device matches the addresses of its list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Matching {
    /// By all 48 bits.
    Exact,
    /// By 12 of them, as Intel's: the last byte and the upper half of the one before. Others with the same 12 pass.
    Hash12,
}

/// What comes of programming the filter.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Effect {
    /// What was asked for.
    #[default]
    Filters,
    /// Nothing: calls succeed and every frame passes all the same, as with tap.
    PassesAll,
    /// Nothing: calls succeed and what was asked for is never let through. No such device is known; with it a test
    /// shows what would be lost if nobody had programmed the filter.
    NeverProgrammed,
}

/// What a device's filter can do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Abilities {
    /// How it matches a list of group addresses, and how many it takes.
    pub addr_list: Option<(Matching, usize)>,
    /// Slots for group addresses in its table of MAC addresses.
    pub mac_table: Option<usize>,
    /// Whether it can be told to pass all multicast.
    pub all_multicast: bool,
    /// Whether it can be told to pass everything.
    pub promiscuous: bool,
    /// What comes of it.
    pub effect: Effect,
}

impl Abilities {
    /// A device with an exact list of `capacity` groups, and every rung below but the MAC table.
    #[must_use]
    pub const fn exact(capacity: usize) -> Self {
        Self {
            addr_list: Some((Matching::Exact, capacity)),
            mac_table: None,
            all_multicast: true,
            promiscuous: true,
            effect: Effect::Filters,
        }
    }

    /// A device that hashes to 12 bits, as ixgbe and igb do.
    #[must_use]
    pub const fn hash12(capacity: usize) -> Self {
        Self { addr_list: Some((Matching::Hash12, capacity)), ..Self::exact(0) }
    }

    /// A device that takes group addresses into its table of `capacity` MAC addresses, as virtio and i40e do.
    #[must_use]
    pub const fn mac_table(capacity: usize) -> Self {
        Self { addr_list: None, mac_table: Some(capacity), ..Self::exact(0) }
    }

    /// A device that can only be told to pass everything, as af_packet.
    #[must_use]
    pub const fn promiscuous_only() -> Self {
        Self { addr_list: None, all_multicast: false, ..Self::exact(0) }
    }

    /// A device that has no filter and passes everything, as memif or a ring.
    #[must_use]
    pub const fn none() -> Self {
        Self { promiscuous: false, ..Self::promiscuous_only() }
    }

    /// The same device with another effect.
    #[must_use]
    pub const fn with_effect(self, effect: Effect) -> Self {
        Self { effect, ..self }
    }

    /// Whether there is anything to program.
    const fn any(&self) -> bool {
        self.addr_list.is_some() || self.mac_table.is_some() || self.all_multicast || self.promiscuous
    }
}

/// An error of the driver, in its words.
type Refusal = &'static str;

const NOT_SUPPORTED: Refusal = "Operation not supported (-ENOTSUP)";
const NO_SPACE: Refusal = "No space left on device (-ENOSPC)";

/// The device's side.
#[derive(Debug)]
pub(super) struct Hardware {
    own: MacAddr,
    abilities: Abilities,
    list: Vec<MacAddr>,
    /// The array that the driver keeps, holes included.
    slots: Vec<Option<MacAddr>>,
    /// What of it the driver last sent to the device.
    table: Vec<MacAddr>,
    all_multicast: bool,
    promiscuous: bool,
}

impl Hardware {
    pub(super) fn new(own: MacAddr, abilities: Abilities) -> Self {
        Self {
            own,
            abilities,
            list: Vec::new(),
            slots: vec![None; abilities.mac_table.unwrap_or(0)],
            table: Vec::new(),
            all_multicast: false,
            promiscuous: false,
        }
    }

    /// Whether a frame to `destination` passes.
    pub(super) fn passes(&self, destination: MacAddr) -> bool {
        if destination == self.own || destination == MacAddr::BROADCAST {
            return true;
        }
        match self.abilities.effect {
            Effect::PassesAll => true,
            Effect::NeverProgrammed => false,
            Effect::Filters => self.promiscuous || !self.abilities.any() || self.group_passes(destination),
        }
    }

    fn group_passes(&self, destination: MacAddr) -> bool {
        let matches = |mac: &MacAddr| match self.abilities.addr_list {
            Some((Matching::Hash12, _)) => hash12(*mac) == hash12(destination),
            Some((Matching::Exact, _)) | None => *mac == destination,
        };
        destination.is_group()
            && (self.all_multicast || self.list.iter().any(matches) || self.table.contains(&destination))
    }

    /// What a stop and a start leave: the list of group addresses is not among it (E08).
    pub(super) fn restart(&mut self) {
        self.list.clear();
    }

    fn set_mc_addr_list(&mut self, want: &[MacAddr]) -> Result<(), Refusal> {
        let (_, capacity) = self.abilities.addr_list.ok_or(NOT_SUPPORTED)?;
        if want.len() > capacity {
            return Err(NO_SPACE);
        }
        self.list.clear();
        self.list.extend(want);
        Ok(())
    }

    /// Fills the first empty slot; the driver then sends what precedes the next hole, as virtio's does.
    fn mac_addr_add(&mut self, mac: MacAddr) -> Result<(), Refusal> {
        if self.abilities.mac_table.is_none() {
            return Err(NOT_SUPPORTED);
        }
        *self.slots.iter_mut().find(|slot| slot.is_none()).ok_or(NO_SPACE)? = Some(mac);
        self.table = self.slots.iter().map_while(|slot| *slot).collect();
        Ok(())
    }

    /// Empties the slot; the driver then sends what is left, holes skipped, as virtio's does.
    fn mac_addr_remove(&mut self, mac: MacAddr) {
        if let Some(slot) = self.slots.iter_mut().find(|slot| **slot == Some(mac)) {
            *slot = None;
        }
        self.table = self.slots.iter().flatten().copied().collect();
    }

    fn set_all_multicast(&mut self, on: bool) -> Result<(), Refusal> {
        if !self.abilities.all_multicast {
            return Err(NOT_SUPPORTED);
        }
        self.all_multicast = on;
        Ok(())
    }

    fn set_promiscuous(&mut self, on: bool) -> Result<(), Refusal> {
        if !self.abilities.promiscuous {
            return Err(NOT_SUPPORTED);
        }
        self.promiscuous = on;
        Ok(())
    }
}

/// The 12 bits by which Intel's devices look a group address up, in the setting that their drivers use.
#[must_use]
pub fn hash12(mac: MacAddr) -> u16 {
    let [.., before, last] = mac.0;
    u16::from(before) >> 4 | u16::from(last) << 4
}

/// The driver's side: the ladder.
#[derive(Debug)]
pub struct SimFilter {
    hardware: Arc<Mutex<Hardware>>,
    policy: FilterPolicy,
    state: FilterState,
    /// What the MAC table holds, in its order.
    table: Vec<MacAddr>,
    applied: u64,
}

impl SimFilter {
    pub(super) fn new(hardware: Arc<Mutex<Hardware>>, policy: FilterPolicy) -> Self {
        Self { hardware, policy, state: FilterState::new(), table: Vec::new(), applied: 0 }
    }

    /// The filter as last applied.
    #[must_use]
    pub fn state(&self) -> &FilterState {
        &self.state
    }

    /// How often it was applied.
    #[must_use]
    pub fn applied(&self) -> u64 {
        self.applied
    }

    fn climb(&mut self, want: &[MacAddr]) -> Rung {
        let from = match self.policy {
            FilterPolicy::Auto => Rung::AddrList,
            FilterPolicy::AllMulticast => Rung::AllMulticast,
            FilterPolicy::Promiscuous => Rung::Promiscuous,
        };
        let ladder = [Rung::AddrList, Rung::MacTable, Rung::AllMulticast, Rung::Promiscuous];
        for rung in ladder.into_iter().filter(|&rung| rung >= from) {
            match self.try_rung(rung, want) {
                Ok(()) => return rung,
                Err(why) => self.state.refused.push(Refused { rung, why }),
            }
        }
        Rung::Unfiltered
    }

    fn try_rung(&mut self, rung: Rung, want: &[MacAddr]) -> Result<(), String> {
        let mut hardware = lock(&self.hardware);
        let (call, result) = match rung {
            Rung::AddrList => ("set_mc_addr_list", hardware.set_mc_addr_list(want)),
            Rung::MacTable => ("mac_addr_add", change_table(&mut hardware, &mut self.table, want)),
            Rung::AllMulticast => ("allmulticast_enable", hardware.set_all_multicast(true)),
            Rung::Promiscuous => ("promiscuous_enable", hardware.set_promiscuous(true)),
            Rung::Unfiltered => return Ok(()),
        };
        result.map_err(|why| format!("{call}: {why}"))
    }

    /// Whatever passes more than `rung` needs is switched off, after the better filter is in place.
    fn tighten(&mut self, rung: Rung) {
        let mut hardware = lock(&self.hardware);
        if rung < Rung::Promiscuous {
            let _ = hardware.set_promiscuous(false);
        }
        if rung < Rung::AllMulticast {
            let _ = hardware.set_all_multicast(false);
        }
        self.state.all_multicast = hardware.all_multicast;
        self.state.promiscuous = hardware.promiscuous;
        let capacity = match rung {
            Rung::AddrList => hardware.abilities.addr_list.map(|(_, capacity)| capacity),
            Rung::MacTable => hardware.abilities.mac_table,
            Rung::AllMulticast | Rung::Promiscuous | Rung::Unfiltered => None,
        };
        self.state.capacity = capacity.and_then(|n| u32::try_from(n).ok());
    }
}

impl McFilter for SimFilter {
    fn apply(&mut self, want: &[MacAddr]) -> &FilterState {
        debug_assert!(want.is_sorted_by(|a, b| a < b), "the set is sorted and without duplicates");
        self.applied += 1;
        self.state.refused.clear();
        self.state.macs.clear();
        self.state.macs.extend(want);
        self.state.rung = self.climb(want);
        self.tighten(self.state.rung);
        &self.state
    }
}

fn change_table(hardware: &mut Hardware, have: &mut Vec<MacAddr>, want: &[MacAddr]) -> Result<(), Refusal> {
    let (remove, add) = dense_steps(have, want);
    for mac in remove {
        hardware.mac_addr_remove(mac);
        have.retain(|m| *m != mac);
    }
    for mac in add {
        hardware.mac_addr_add(mac)?;
        have.push(mac);
    }
    Ok(())
}

pub(super) fn lock(hardware: &Mutex<Hardware>) -> MutexGuard<'_, Hardware> {
    hardware.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);

    fn group(c: u8, d: u8) -> MacAddr {
        MacAddr([1, 0, 0x5e, 0, c, d])
    }

    fn filter(abilities: Abilities) -> SimFilter {
        with_policy(abilities, FilterPolicy::Auto)
    }

    fn with_policy(abilities: Abilities, policy: FilterPolicy) -> SimFilter {
        SimFilter::new(Arc::new(Mutex::new(Hardware::new(OWN, abilities))), policy)
    }

    fn passes(filter: &SimFilter, mac: MacAddr) -> bool {
        lock(&filter.hardware).passes(mac)
    }

    // E01, RFC 1112 6.4: own address and broadcast need no programming, groups do, others never pass.
    #[test]
    fn only_what_was_asked_for_passes() {
        let mut filter = filter(Abilities::exact(8));
        assert!(passes(&filter, OWN) && passes(&filter, MacAddr::BROADCAST));
        assert!(!passes(&filter, group(1, 1)));
        assert_eq!(filter.apply(&[group(1, 1)]).rung, Rung::AddrList);
        assert!(passes(&filter, group(1, 1)) && !passes(&filter, group(1, 2)));
        assert!(!passes(&filter, MacAddr([2, 0, 0, 0, 0, 9])));
        filter.apply(&[]);
        assert!(!passes(&filter, group(1, 1)));
    }

    // E07, DESIGN 6: a full table never loses a joined group, and the filter climbs back when there is room.
    #[test]
    fn a_full_list_falls_back_to_all_multicast_and_climbs_back() {
        let mut filter = filter(Abilities::exact(2));
        let three = [group(0, 1), group(0, 2), group(0, 3)];
        let state = filter.apply(&three).clone();
        assert_eq!((state.rung, state.all_multicast, state.promiscuous), (Rung::AllMulticast, true, false));
        assert_eq!(
            state.refused[0],
            Refused {
                rung: Rung::AddrList,
                why: "set_mc_addr_list: No space left on device (-ENOSPC)".into()
            }
        );
        assert_eq!(state.refused[1].why, "mac_addr_add: Operation not supported (-ENOTSUP)");
        assert!(three.iter().all(|&mac| passes(&filter, mac)) && passes(&filter, group(9, 9)));
        let state = filter.apply(&three[..2]).clone();
        assert_eq!((state.rung, state.all_multicast, state.capacity), (Rung::AddrList, false, Some(2)));
        assert!(state.refused.is_empty() && !passes(&filter, group(0, 3)));
    }

    #[test]
    fn twelve_bits_of_hash_let_aliases_pass() {
        let mut filter = filter(Abilities::hash12(128));
        filter.apply(&[group(0x12, 0x34)]);
        assert!(passes(&filter, group(0x12, 0x34)));
        assert!(
            passes(&filter, group(0x1f, 0x34)),
            "the lower half of the byte before the last is not looked at"
        );
        assert!(!passes(&filter, group(0x22, 0x34)) && !passes(&filter, group(0x12, 0x35)));
    }

    // DESIGN 6: a hole in virtio's array would lose the groups behind it.
    #[test]
    fn a_mac_table_loses_no_group_over_any_sequence() {
        let mut rng = crate::rng::Rng::new(3);
        let mut filter = filter(Abilities::mac_table(24));
        for _ in 0..300 {
            let want: Vec<_> = (0..20).filter(|_| rng.one_in(3)).map(|d| group(0, d)).collect();
            assert_eq!(filter.apply(&want).rung, Rung::MacTable);
            assert!((0..20).all(|d| passes(&filter, group(0, d)) == want.contains(&group(0, d))));
        }
    }

    #[test]
    fn a_full_mac_table_falls_back_and_climbs_back() {
        let mut filter = filter(Abilities::mac_table(2));
        let three = [group(0, 1), group(0, 2), group(0, 3)];
        assert_eq!(filter.apply(&three).rung, Rung::AllMulticast);
        assert!(three.iter().all(|&mac| passes(&filter, mac)));
        assert_eq!(filter.apply(&three[1..]).rung, Rung::MacTable);
        assert!(!passes(&filter, three[0]) && passes(&filter, three[1]) && passes(&filter, three[2]));
    }

    #[test]
    fn devices_with_less_end_further_down() {
        assert_eq!(filter(Abilities::promiscuous_only()).apply(&[group(0, 1)]).rung, Rung::Promiscuous);
        let mut none = filter(Abilities::none());
        let state = none.apply(&[group(0, 1)]).clone();
        assert_eq!((state.rung, state.refused.len()), (Rung::Unfiltered, 4));
        assert!(passes(&none, group(7, 7)));
        let mut pinned = with_policy(Abilities::exact(8), FilterPolicy::AllMulticast);
        assert_eq!(pinned.apply(&[group(0, 1)]).rung, Rung::AllMulticast);
    }

    #[test]
    fn a_filter_without_effect_says_so_to_no_one() {
        let mut tap = filter(Abilities::exact(8).with_effect(Effect::PassesAll));
        assert_eq!(tap.apply(&[]).rung, Rung::AddrList);
        assert!(passes(&tap, group(0, 1)));
        let mut deaf = filter(Abilities::exact(8).with_effect(Effect::NeverProgrammed));
        assert_eq!(deaf.apply(&[group(0, 1)]).rung, Rung::AddrList);
        assert!(!passes(&deaf, group(0, 1)) && passes(&deaf, OWN));
    }

    // E08: the list lives only in the driver.
    #[test]
    fn a_restart_forgets_the_list() {
        let mut filter = filter(Abilities::exact(8));
        filter.apply(&[group(0, 1)]);
        lock(&filter.hardware).restart();
        assert!(!passes(&filter, group(0, 1)));
        filter.apply(&[group(0, 1)]);
        assert!(passes(&filter, group(0, 1)));
    }
}
