//! A multicast filter that really filters.
//!
//! `Hardware` is the device's side: it decides frame by frame. `SimCalls` is the driver's side, which the same
//! [`Ladder`] programs as on a real device. What devices can do differs, and [`Abilities`] says what this one can.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::addr::MacAddr;
use crate::io::{FilterCalls, FilterPolicy, Ladder, Refusal, RefusalKind};

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

    /// As Intel's: it hashes a list of `capacity` to 12 bits, and takes `slots` of them into its table, exactly.
    #[must_use]
    pub const fn hash12_and_table(capacity: usize, slots: usize) -> Self {
        Self { mac_table: Some(slots), ..Self::hash12(capacity) }
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

fn refusal(kind: RefusalKind, words: &str) -> Refusal {
    Refusal { kind, words: words.to_owned() }
}

fn not_supported() -> Refusal {
    refusal(RefusalKind::NotSupported, "Operation not supported (-ENOTSUP)")
}

fn no_space() -> Refusal {
    refusal(RefusalKind::Full, "No space left on device (-ENOSPC)")
}

fn busy() -> Refusal {
    refusal(RefusalKind::MayPass, "Device or resource busy (-EBUSY)")
}

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
    /// Whether it refuses every change for the moment.
    busy: bool,
    /// Changes that were asked for.
    calls: u64,
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
            busy: false,
            calls: 0,
        }
    }

    /// Refuses every change, until told otherwise.
    pub(super) fn set_busy(&mut self, busy: bool) {
        self.busy = busy;
    }

    /// Changes that were asked for so far.
    pub(super) fn calls(&self) -> u64 {
        self.calls
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

    /// What a stop and a start leave: ethdev tells the driver its MAC table and the two switches again, and not the list
    /// of group addresses (E08).
    pub(super) fn restart(&mut self) {
        self.list.clear();
        self.table = self.slots.iter().map_while(|slot| *slot).collect();
    }

    /// What a reset leaves: nothing. ethdev still believes what it did of the two switches, and tells them at the start.
    pub(super) fn reset(&mut self) {
        self.list.clear();
        self.slots.fill(None);
        self.table.clear();
    }

    fn set_mc_addr_list(&mut self, want: &[MacAddr]) -> Result<(), Refusal> {
        let (_, capacity) = self.abilities.addr_list.ok_or_else(not_supported)?;
        if want.len() > capacity {
            return Err(no_space());
        }
        self.list.clear();
        self.list.extend(want);
        Ok(())
    }

    /// Fills the first empty slot; the driver then sends what precedes the next hole, as virtio's does.
    fn mac_addr_add(&mut self, mac: MacAddr) -> Result<(), Refusal> {
        if self.abilities.mac_table.is_none() {
            return Err(not_supported());
        }
        if self.slots.contains(&Some(mac)) {
            return Ok(());
        }
        *self.slots.iter_mut().find(|slot| slot.is_none()).ok_or_else(no_space)? = Some(mac);
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
            return Err(not_supported());
        }
        self.all_multicast = on;
        Ok(())
    }

    fn set_promiscuous(&mut self, on: bool) -> Result<(), Refusal> {
        if !self.abilities.promiscuous {
            return Err(not_supported());
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

/// The driver's side, of which the [`Ladder`] asks. Each call that changes something is counted, and fails while the
/// device is busy.
#[derive(Debug)]
pub(super) struct SimCalls(Arc<Mutex<Hardware>>);

impl SimCalls {
    /// The hardware, if it is not busy.
    fn hardware(&self) -> Result<MutexGuard<'_, Hardware>, Refusal> {
        let mut hardware = lock(&self.0);
        hardware.calls += 1;
        if hardware.busy { Err(busy()) } else { Ok(hardware) }
    }
}

impl FilterCalls for SimCalls {
    fn set_list(&mut self, macs: &[MacAddr]) -> Result<(), Refusal> {
        self.hardware()?.set_mc_addr_list(macs)
    }

    fn list_capacity(&self) -> Option<u32> {
        lock(&self.0).abilities.addr_list.and_then(|(_, capacity)| u32::try_from(capacity).ok())
    }

    fn list_is_hashed(&self) -> bool {
        matches!(lock(&self.0).abilities.addr_list, Some((Matching::Hash12, _)))
    }

    fn add_mac(&mut self, mac: MacAddr) -> Result<(), Refusal> {
        self.hardware()?.mac_addr_add(mac)
    }

    fn remove_mac(&mut self, mac: MacAddr) -> Result<(), Refusal> {
        self.hardware()?.mac_addr_remove(mac);
        Ok(())
    }

    fn set_all_multicast(&mut self, on: bool) -> Result<(), Refusal> {
        self.hardware()?.set_all_multicast(on)
    }

    fn all_multicast(&self) -> bool {
        lock(&self.0).all_multicast
    }

    fn set_promiscuous(&mut self, on: bool) -> Result<(), Refusal> {
        self.hardware()?.set_promiscuous(on)
    }

    fn promiscuous(&self) -> bool {
        lock(&self.0).promiscuous
    }
}

/// The filter of a simulated port.
pub(super) fn ladder(hardware: Arc<Mutex<Hardware>>, policy: FilterPolicy) -> Ladder<SimCalls> {
    let slots = lock(&hardware).abilities.mac_table.map_or(1, |slots| slots + 1);
    Ladder::new(SimCalls(hardware), policy, u32::try_from(slots).unwrap_or(u32::MAX), false)
}

pub(super) fn lock(hardware: &Mutex<Hardware>) -> MutexGuard<'_, Hardware> {
    hardware.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::{McFilter, Occasion, Refused, Rung};

    const OWN: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);

    fn group(c: u8, d: u8) -> MacAddr {
        MacAddr([1, 0, 0x5e, 0, c, d])
    }

    fn filter(abilities: Abilities) -> Ladder<SimCalls> {
        with_policy(abilities, FilterPolicy::Auto)
    }

    fn with_policy(abilities: Abilities, policy: FilterPolicy) -> Ladder<SimCalls> {
        ladder(Arc::new(Mutex::new(Hardware::new(OWN, abilities))), policy)
    }

    fn passes(filter: &Ladder<SimCalls>, mac: MacAddr) -> bool {
        lock(&filter.calls().0).passes(mac)
    }

    // E01, RFC 1112 6.4: own address and broadcast need no programming, groups do, others never pass.
    #[test]
    fn only_what_was_asked_for_passes() {
        let mut filter = filter(Abilities::exact(8));
        assert!(passes(&filter, OWN) && passes(&filter, MacAddr::BROADCAST));
        assert!(!passes(&filter, group(1, 1)));
        assert_eq!(filter.apply(&[group(1, 1)], Occasion::Change).rung, Rung::AddrList);
        assert!(passes(&filter, group(1, 1)) && !passes(&filter, group(1, 2)));
        assert!(!passes(&filter, MacAddr([2, 0, 0, 0, 0, 9])));
        filter.apply(&[], Occasion::Change);
        assert!(!passes(&filter, group(1, 1)));
    }

    // E07, DESIGN 6: a full table never loses a joined group, and the filter climbs back when there is room.
    #[test]
    fn a_full_list_falls_back_to_all_multicast_and_climbs_back() {
        let mut filter = filter(Abilities::exact(2));
        let three = [group(0, 1), group(0, 2), group(0, 3)];
        let state = filter.apply(&three, Occasion::Change).clone();
        assert_eq!((state.rung, state.all_multicast, state.promiscuous), (Rung::AllMulticast, true, false));
        assert_eq!(
            state.refused[0],
            Refused {
                rung: Rung::AddrList,
                why: "set_mc_addr_list: No space left on device (-ENOSPC)".into()
            }
        );
        let no_table = "mac_addr_add: the device's table has room for 0 group addresses, and 3 are wanted";
        assert_eq!(state.refused[1].why, no_table);
        assert!(three.iter().all(|&mac| passes(&filter, mac)) && passes(&filter, group(9, 9)));
        let state = filter.apply(&three[..2], Occasion::Change).clone();
        assert_eq!((state.rung, state.all_multicast, state.capacity), (Rung::AddrList, false, Some(2)));
        assert!(state.refused.is_empty() && !passes(&filter, group(0, 3)));
    }

    #[test]
    fn twelve_bits_of_hash_let_aliases_pass() {
        let mut filter = filter(Abilities::hash12(128));
        filter.apply(&[group(0x12, 0x34)], Occasion::Change);
        assert!(passes(&filter, group(0x12, 0x34)));
        assert!(
            passes(&filter, group(0x1f, 0x34)),
            "the lower half of the byte before the last is not looked at"
        );
        assert!(!passes(&filter, group(0x22, 0x34)) && !passes(&filter, group(0x12, 0x35)));
    }

    // E05, E07: no group is lost, and only while there are more than the table holds do others pass.
    #[test]
    fn few_groups_are_kept_exactly_and_many_by_their_hashes() {
        let mut filter = filter(Abilities::hash12_and_table(128, 4));
        let many: Vec<_> = (0..6).map(|d| group(0x12, d)).collect();
        let collides = group(0x1f, 1);
        for (n, rung) in [(4, Rung::MacTable), (6, Rung::AddrList), (2, Rung::MacTable), (5, Rung::AddrList)]
        {
            assert_eq!(filter.apply(&many[..n], Occasion::Change).rung, rung, "{n}");
            assert!(many.iter().zip(0..).all(|(mac, place)| passes(&filter, *mac) == (place < n)), "{n}");
            assert_eq!(passes(&filter, collides), rung == Rung::AddrList, "{n}");
        }
    }

    // DESIGN 6: a hole in virtio's array would lose the groups behind it.
    #[test]
    fn a_mac_table_loses_no_group_over_any_sequence() {
        let mut rng = crate::rng::Rng::new(3);
        let mut filter = filter(Abilities::mac_table(24));
        for _ in 0..300 {
            let want: Vec<_> = (0..20).filter(|_| rng.one_in(3)).map(|d| group(0, d)).collect();
            assert_eq!(filter.apply(&want, Occasion::Change).rung, Rung::MacTable);
            assert!((0..20).all(|d| passes(&filter, group(0, d)) == want.contains(&group(0, d))));
        }
    }

    #[test]
    fn a_full_mac_table_falls_back_and_climbs_back() {
        let mut filter = filter(Abilities::mac_table(2));
        let three = [group(0, 1), group(0, 2), group(0, 3)];
        assert_eq!(filter.apply(&three, Occasion::Change).rung, Rung::AllMulticast);
        assert!(three.iter().all(|&mac| passes(&filter, mac)));
        assert_eq!(filter.apply(&three[1..], Occasion::Change).rung, Rung::MacTable);
        assert!(!passes(&filter, three[0]) && passes(&filter, three[1]) && passes(&filter, three[2]));
    }

    #[test]
    fn devices_with_less_end_further_down() {
        assert_eq!(
            filter(Abilities::promiscuous_only()).apply(&[group(0, 1)], Occasion::Change).rung,
            Rung::Promiscuous
        );
        let mut none = filter(Abilities::none());
        let state = none.apply(&[group(0, 1)], Occasion::Change).clone();
        assert_eq!((state.rung, state.refused.len()), (Rung::Unfiltered, 4));
        assert!(passes(&none, group(7, 7)));
        let mut pinned = with_policy(Abilities::exact(8), FilterPolicy::AllMulticast);
        assert_eq!(pinned.apply(&[group(0, 1)], Occasion::Change).rung, Rung::AllMulticast);
    }

    #[test]
    fn a_filter_without_effect_says_so_to_no_one() {
        let mut tap = filter(Abilities::exact(8).with_effect(Effect::PassesAll));
        assert_eq!(tap.apply(&[], Occasion::Change).rung, Rung::AddrList);
        assert!(passes(&tap, group(0, 1)));
        let mut deaf = filter(Abilities::exact(8).with_effect(Effect::NeverProgrammed));
        assert_eq!(deaf.apply(&[group(0, 1)], Occasion::Change).rung, Rung::AddrList);
        assert!(!passes(&deaf, group(0, 1)) && passes(&deaf, OWN));
    }

    // E08: the list lives only in the driver.
    #[test]
    fn a_restart_forgets_the_list() {
        let mut filter = filter(Abilities::exact(8));
        filter.apply(&[group(0, 1)], Occasion::Change);
        lock(&filter.calls().0).restart();
        assert!(!passes(&filter, group(0, 1)));
        filter.apply(&[group(0, 1)], Occasion::Restart);
        assert!(passes(&filter, group(0, 1)));
    }

    // E08: after a reset the driver's table is empty, whatever was in it.
    #[test]
    fn a_reset_forgets_the_table() {
        let mut filter = filter(Abilities::mac_table(8));
        filter.apply(&[group(0, 1), group(0, 2)], Occasion::Change);
        lock(&filter.calls().0).reset();
        assert!(!passes(&filter, group(0, 1)));
        filter.apply(&[group(0, 1), group(0, 2)], Occasion::Restart);
        assert!(
            passes(&filter, group(0, 1)) && passes(&filter, group(0, 2)) && !passes(&filter, group(0, 3))
        );
    }
}
