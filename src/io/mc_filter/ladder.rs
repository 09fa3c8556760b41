//! The ladder over one device: from the best rung that the policy allows downwards, until one answers.
//!
//! A new rung is up before the old one is taken down, so that no wanted frame is lost between. What no order of calls can
//! help: a driver that loses its list when it refuses a longer one (until the next rung is up, one call later), and the
//! addresses that go out of the table and in again when it is rebuilt after a restart; all-multicast covers that where
//! the device has it.

use super::table::{Table, is_placeholder};
use super::{
    FilterCalls, FilterPolicy, FilterState, McFilter, Occasion, Refusal, RefusalKind, Refused, Rung,
};
use crate::addr::MacAddr;

/// The ladder over one device.
#[derive(Debug)]
pub struct Ladder<C> {
    calls: C,
    policy: FilterPolicy,
    /// Addresses that the device's MAC table has room for beside its own.
    table_size: usize,
    /// The device must be promiscuous for the sake of our own address, which it would not take.
    keep_promiscuous: bool,
    /// Whether the device may hold a list that is not empty, and the longest that it took.
    list_in_use: bool,
    list_took: usize,
    /// The group addresses in the device's MAC table, and whether the last command to it named them all.
    table: Table,
    table_whole: bool,
    /// Whether we turned these on: a device on which they are on without that may have no filter at all.
    asked_all_multicast: bool,
    asked_promiscuous: bool,
    /// Whether the policy is another than that of the last application.
    policy_changed: bool,
    state: FilterState,
}

/// A rung that refused, and whether to ask it again.
struct No {
    why: String,
    kind: RefusalKind,
}

impl No {
    fn of(call: &str, refusal: &Refusal) -> Self {
        Self { why: format!("{call}: {}", refusal.words), kind: refusal.kind }
    }

    /// For a reason that another set may change, but no time.
    fn lasting(why: impl Into<String>) -> Self {
        Self { why: why.into(), kind: RefusalKind::Full }
    }
}

impl<C: FilterCalls> Ladder<C> {
    /// Of a device that was just started, and whose MAC table holds `mac_slots` addresses, its own included. With
    /// `keep_promiscuous` it was made promiscuous for our own address, and stays so.
    pub fn new(calls: C, policy: FilterPolicy, mac_slots: u32, keep_promiscuous: bool) -> Self {
        Self {
            calls,
            policy,
            table_size: usize::try_from(mac_slots.saturating_sub(1)).unwrap_or(usize::MAX),
            keep_promiscuous,
            list_in_use: false,
            list_took: 0,
            table: Table::default(),
            table_whole: true,
            asked_all_multicast: false,
            asked_promiscuous: false,
            policy_changed: true,
            state: FilterState { policy, ..FilterState::default() },
        }
    }

    /// The filter as last applied.
    pub const fn state(&self) -> &FilterState {
        &self.state
    }

    /// The device.
    pub const fn calls(&self) -> &C {
        &self.calls
    }

    /// The device, for what is to be done to it beside the filter.
    pub const fn calls_mut(&mut self) -> &mut C {
        &mut self.calls
    }

    /// From the best rung that the policy allows downwards, until one answers.
    // E07: a full table is a refusal like any other, which is kept to be shown; each time the best rung is tried again first.
    fn climb(&mut self, want: &[MacAddr], occasion: Occasion) -> Rung {
        self.state.refused.clear();
        for &rung in allowed(self.policy, self.table_size > 0 && self.calls.list_is_hashed()) {
            let answer = match rung {
                Rung::AddrList => self.use_list(want),
                Rung::MacTable => self.use_table(want, occasion),
                Rung::AllMulticast => self.use_all_multicast(),
                Rung::Promiscuous => self.use_promiscuous(),
                Rung::Unfiltered => Ok(()),
            };
            match answer {
                Ok(()) => return rung,
                Err(No { why, kind }) => {
                    self.state.refused.push(Refused { rung, why });
                    self.state.may_pass |= kind == RefusalKind::MayPass;
                }
            }
        }
        Rung::Unfiltered
    }

    fn set_list(&mut self, macs: &[MacAddr]) -> Result<(), No> {
        self.state.calls += 1;
        // If it refuses, what it had before may be there still.
        self.list_in_use |= !macs.is_empty();
        self.calls.set_list(macs).map_err(|refusal| No::of("set_mc_addr_list", &refusal))?;
        self.list_in_use = !macs.is_empty();
        self.list_took = self.list_took.max(macs.len());
        Ok(())
    }

    fn use_list(&mut self, want: &[MacAddr]) -> Result<(), No> {
        let had = self.list_in_use;
        let answer = self.set_list(want);
        // One that knows no lists has none to undo.
        let unknown = matches!(&answer, Err(no) if no.kind == RefusalKind::NotSupported);
        self.list_in_use &= had || !unknown;
        answer
    }

    fn use_table(&mut self, want: &[MacAddr], occasion: Occasion) -> Result<(), No> {
        let size = self.table_size;
        if size == 0 || want.len() > size {
            return Err(No::lasting(format!(
                "mac_addr_add: the device's table has room for {size} group addresses, and {} are wanted",
                want.len()
            )));
        }
        if occasion == Occasion::Restart {
            // DPDK does not tell a driver again what it believes to be in the table.
            let all: Vec<_> = self.table.macs().collect();
            self.renew(&all, want)?;
        }
        self.fit(want)?;
        if self.table_whole {
            return Ok(());
        }
        let why =
            "mac_addr_remove: the device's table has a hole, and what lies behind it is not in use".into();
        Err(No { why, kind: RefusalKind::MayPass })
    }

    /// Has the table hold `want`, without taking out what stays.
    // E05: whatever is wanted before and after is in every command between.
    fn fit(&mut self, want: &[MacAddr]) -> Result<(), No> {
        let lacking: Vec<_> = want.iter().copied().filter(|mac| !self.table.contains(*mac)).collect();
        match self.table.holes() {
            0 => {}
            _ if lacking.is_empty() => self.hold_the_place(),
            1 => {}
            // Each addition would keep what lies behind the second hole away.
            _ => {
                let behind = self.table.behind_the_first_hole();
                self.renew(&behind, want)?;
            }
        }
        let mut coming =
            want.iter().copied().filter(|mac| !self.table.contains(*mac)).collect::<Vec<_>>().into_iter();
        let stale: Vec<_> = self.table.macs().filter(|mac| want.binary_search(mac).is_err()).collect();
        let mut next = coming.next();
        if self.table.holes() == 1
            && let Some(mac) = next
        {
            self.add(mac)?;
            next = coming.next();
        }
        let mut left_over = Vec::new();
        for old in stale {
            match next {
                Some(mac) if self.forget(old) => {
                    self.add(mac)?;
                    next = coming.next();
                }
                Some(_) => {}
                None => left_over.push(old),
            }
        }
        for mac in next.into_iter().chain(coming) {
            self.add(mac)?;
        }
        self.drop_from_table(left_over);
        Ok(())
    }

    /// Takes `these` out of the table, the last first, and leaves no hole.
    fn drop_from_table(&mut self, these: Vec<MacAddr>) {
        for old in these.into_iter().rev() {
            if self.table.last() == Some(old) {
                self.forget(old);
            } else if !is_placeholder(old) && self.forget(old) && self.table.holes() == 1 {
                self.hold_the_place();
            }
        }
        while let Some(last) = self.table.last().filter(|mac| is_placeholder(*mac)) {
            if !self.forget(last) {
                return;
            }
        }
    }

    /// Takes `these` out of the table and puts those of `want` that it lacks in. All-multicast covers the time between,
    /// where the device has it.
    fn renew(&mut self, these: &[MacAddr], want: &[MacAddr]) -> Result<(), No> {
        if !these.is_empty() {
            self.cover();
        }
        for mac in these.iter().rev() {
            self.forget(*mac);
        }
        for mac in want {
            if !self.table.contains(*mac) {
                self.add(*mac)?;
            }
        }
        Ok(())
    }

    /// Lets all multicast pass for the moment: whatever rung is taken turns it off again.
    fn cover(&mut self) {
        if self.calls.all_multicast() {
            return;
        }
        self.state.calls += 1;
        self.asked_all_multicast |= self.calls.set_all_multicast(true).is_ok();
    }

    fn add(&mut self, mac: MacAddr) -> Result<(), No> {
        self.state.calls += 1;
        self.calls.add_mac(mac).map_err(|refusal| No::of("mac_addr_add", &refusal))?;
        self.table.added(mac);
        self.table_whole = self.table.holes() == 0;
        Ok(())
    }

    /// Takes `mac` out of the device's table. What the device refuses to forget stays on our list, and is tried again.
    fn forget(&mut self, mac: MacAddr) -> bool {
        self.state.calls += 1;
        match self.calls.remove_mac(mac) {
            Ok(()) => {
                self.table.removed(mac);
                self.table_whole = true;
            }
            Err(refusal) => self.is_left("mac_addr_remove", &refusal),
        }
        !self.table.contains(mac)
    }

    /// Fills the first hole. If the device refuses, it stays: the next address fills it.
    fn hold_the_place(&mut self) {
        let _seen_in_the_table = self.add(self.table.new_placeholder());
    }

    fn use_all_multicast(&mut self) -> Result<(), No> {
        if self.calls.all_multicast() {
            if self.asked_all_multicast {
                return Ok(());
            }
            // On without our having asked: either we may turn it off, or the device has no filter at all.
            self.switch_all_multicast(false).map_err(|refusal| {
                let no = No::of("allmulticast_disable", &refusal);
                No {
                    why: format!("{}: the device passes all multicast and cannot be told not to", no.why),
                    ..no
                }
            })?;
        }
        self.switch_all_multicast(true).map_err(|refusal| No::of("allmulticast_enable", &refusal))?;
        if self.calls.all_multicast() {
            Ok(())
        } else {
            Err(No::lasting("allmulticast_enable: accepted, and reads back as off"))
        }
    }

    fn switch_all_multicast(&mut self, on: bool) -> Result<(), Refusal> {
        self.state.calls += 1;
        self.calls.set_all_multicast(on)?;
        self.asked_all_multicast = on;
        Ok(())
    }

    fn use_promiscuous(&mut self) -> Result<(), No> {
        if self.calls.promiscuous() {
            if self.asked_promiscuous || self.keep_promiscuous {
                return Ok(());
            }
            self.switch_promiscuous(false).map_err(|refusal| {
                let no = No::of("promiscuous_disable", &refusal);
                No {
                    why: format!("{}: the device passes everything and cannot be told not to", no.why),
                    ..no
                }
            })?;
        }
        self.switch_promiscuous(true).map_err(|refusal| No::of("promiscuous_enable", &refusal))?;
        if self.calls.promiscuous() {
            Ok(())
        } else {
            Err(No::lasting("promiscuous_enable: accepted, and reads back as off"))
        }
    }

    fn switch_promiscuous(&mut self, on: bool) -> Result<(), Refusal> {
        self.state.calls += 1;
        self.calls.set_promiscuous(on)?;
        self.asked_promiscuous = on;
        Ok(())
    }

    /// Undoes every rung but `rung`. A device that refuses to is seen by what is read back, and asked again.
    fn leave_others(&mut self, rung: Rung) {
        if rung != Rung::AddrList && self.list_in_use {
            // Not `set_list`: this one is no attempt to give it a list.
            self.state.calls += 1;
            match self.calls.set_list(&[]) {
                Ok(()) => self.list_in_use = false,
                // It was busy when it was first given one, and turns out to know none.
                Err(refusal) if refusal.kind == RefusalKind::NotSupported => self.list_in_use = false,
                Err(refusal) => self.is_left("set_mc_addr_list, of none", &refusal),
            }
        }
        if rung != Rung::MacTable {
            // Last first, so that the table has no hole at any time.
            let all: Vec<_> = self.table.macs().collect();
            for mac in all.into_iter().rev() {
                self.forget(mac);
            }
        }
        if rung != Rung::AllMulticast
            && self.calls.all_multicast()
            && let Err(refusal) = self.switch_all_multicast(false)
        {
            self.is_left("allmulticast_disable", &refusal);
        }
        if rung != Rung::Promiscuous
            && !self.keep_promiscuous
            && self.calls.promiscuous()
            && let Err(refusal) = self.switch_promiscuous(false)
        {
            self.is_left("promiscuous_disable", &refusal);
        }
    }

    fn is_left(&mut self, call: &str, refusal: &Refusal) {
        let No { why, kind } = No::of(call, refusal);
        self.state.not_undone.get_or_insert(why);
        self.state.may_pass |= kind == RefusalKind::MayPass;
    }

    /// Every rung refused, and the device may filter all the same: it is to pass as much of `want` as it takes.
    fn make_do(&mut self, want: &[MacAddr]) {
        if self.table.len() > 0 {
            let _what_fits = self.fit(want.get(..self.table_size).unwrap_or(want));
        }
        if self.list_in_use {
            let _what_fits = self.set_list(want.get(..self.list_took).unwrap_or(want));
        }
    }

    /// How many addresses the rung can hold, where that is known, and how many it holds.
    fn room(&self, rung: Rung) -> (Option<u32>, usize) {
        match rung {
            Rung::AddrList => (self.calls.list_capacity(), self.state.macs.len()),
            Rung::MacTable => (u32::try_from(self.table_size).ok(), self.table.len()),
            Rung::AllMulticast | Rung::Promiscuous | Rung::Unfiltered => (None, 0),
        }
    }
}

/// The rungs that `policy` allows, best first. A device that refuses what is pinned may filter all the same: rather than
/// losing groups, it is then told which.
// docs/decisions/hash-or-table.md: an exact table before a list of which only hashes are kept.
fn allowed(policy: FilterPolicy, list_is_hashed: bool) -> &'static [Rung] {
    match policy {
        FilterPolicy::Auto if list_is_hashed => {
            &[Rung::MacTable, Rung::AddrList, Rung::AllMulticast, Rung::Promiscuous]
        }
        FilterPolicy::Auto => &[Rung::AddrList, Rung::MacTable, Rung::AllMulticast, Rung::Promiscuous],
        FilterPolicy::AllMulticast => {
            &[Rung::AllMulticast, Rung::Promiscuous, Rung::AddrList, Rung::MacTable]
        }
        FilterPolicy::Promiscuous => &[Rung::Promiscuous, Rung::AllMulticast, Rung::AddrList, Rung::MacTable],
    }
}

impl<C: FilterCalls> McFilter for Ladder<C> {
    fn apply(&mut self, want: &[MacAddr], occasion: Occasion) -> &FilterState {
        debug_assert!(want.is_sorted_by(|a, b| a < b), "the set is sorted and without duplicates");
        if occasion == Occasion::Change && !self.policy_changed && want == self.state.macs {
            return &self.state;
        }
        // The best rung has the set already: only what was not undone is left to do.
        let stays = occasion == Occasion::Retry && self.state.refused.is_empty() && !self.policy_changed;
        self.policy_changed = false;
        self.state.macs.clear();
        self.state.macs.extend(want);
        self.state.may_pass = false;
        self.state.not_undone = None;
        let had = self.state.rung;
        let keeps = stays && (had != Rung::MacTable || self.use_table(want, occasion).is_ok());
        let rung = if keeps { had } else { self.climb(want, occasion) };
        match rung {
            Rung::Unfiltered => self.make_do(want),
            rung => self.leave_others(rung),
        }
        let (capacity, entries) = self.room(rung);
        self.state.rung = rung;
        self.state.capacity = capacity;
        self.state.entries = u32::try_from(entries).unwrap_or(u32::MAX);
        self.state.hashed = rung == Rung::AddrList && self.calls.list_is_hashed();
        self.state.all_multicast = self.calls.all_multicast();
        self.state.promiscuous = self.calls.promiscuous();
        self.state.policy = self.policy;
        self.state.applied += 1;
        &self.state
    }

    fn set_policy(&mut self, policy: FilterPolicy) {
        self.policy_changed |= policy != self.policy;
        self.policy = policy;
    }
}

#[cfg(test)]
mod tests;
