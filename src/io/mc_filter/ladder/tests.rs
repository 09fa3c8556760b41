//! The ladder against devices that refuse in every way that drivers do, at every call.

mod refusals;

use super::super::is_placeholder;
use super::*;
use crate::io::{FilterPolicy, RefusalKind};

/// How a device reads its array of addresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Reading {
    /// Address by address, as i40e and ice.
    #[default]
    Each,
    /// The whole array at each command: after an addition all up to the first hole, after a removal all. virtio.
    Virtio,
}

/// A device that refuses what it is told to, and forgets nothing of what it is asked.
#[derive(Clone, Debug, Default)]
struct Fake {
    list: Option<RefusalKind>,
    list_size: Option<usize>,
    list_is_hashed: bool,
    /// A list that is refused takes the one before with it.
    loses_list: bool,
    table: Option<RefusalKind>,
    switches: Option<RefusalKind>,
    /// All-multicast is accepted and has no effect.
    deaf: bool,
    reading: Reading,
    listed: Vec<MacAddr>,
    /// As ethdev's array: removal leaves a hole, addition fills the first.
    slots: Vec<Option<MacAddr>>,
    /// What of it the device has.
    sent: Vec<MacAddr>,
    all_multicast: bool,
    promiscuous: bool,
    calls: Vec<&'static str>,
    /// Calls, by their number from 0, that are refused whatever they ask.
    refused: Vec<usize>,
    /// What must pass at any time, and when it did not.
    always: Vec<MacAddr>,
    gaps: Vec<(usize, MacAddr)>,
}

fn refusal(kind: RefusalKind) -> Refusal {
    let words = match kind {
        RefusalKind::NotSupported => "Operation not supported (-ENOTSUP)",
        RefusalKind::Full => "No space left on device (-ENOSPC)",
        RefusalKind::MayPass => "Device or resource busy (-EBUSY)",
    };
    Refusal { kind, words: words.to_owned() }
}

impl Fake {
    fn passes(&self, mac: MacAddr) -> bool {
        self.promiscuous || self.all_multicast || self.listed.contains(&mac) || self.sent.contains(&mac)
    }

    /// Counts a call, and says whether it is refused.
    fn call(&mut self, name: &'static str, refused: Option<RefusalKind>) -> Result<(), Refusal> {
        let number = self.calls.len();
        self.calls.push(name);
        if self.refused.contains(&number) {
            return Err(refusal(RefusalKind::MayPass));
        }
        refused.map_or(Ok(()), |kind| Err(refusal(kind)))
    }

    fn look(&mut self) {
        let number = self.calls.len() - 1;
        let missing: Vec<_> =
            self.always.iter().filter(|mac| !self.passes(**mac)).map(|mac| (number, *mac)).collect();
        self.gaps.extend(missing);
    }
}

impl FilterCalls for Fake {
    fn set_list(&mut self, macs: &[MacAddr]) -> Result<(), Refusal> {
        let full = self.list_size.is_some_and(|size| macs.len() > size).then_some(RefusalKind::Full);
        let answer = self.call("list", self.list.or(full));
        if answer.is_ok() {
            self.listed = macs.to_vec();
        } else if self.loses_list {
            self.listed.clear();
        }
        self.look();
        answer
    }
    fn list_is_hashed(&self) -> bool {
        self.list_is_hashed
    }
    fn add_mac(&mut self, mac: MacAddr) -> Result<(), Refusal> {
        let full = !self.slots.contains(&None) && !self.slots.contains(&Some(mac));
        self.call("add", self.table.or_else(|| full.then_some(RefusalKind::Full)))?;
        if !self.slots.contains(&Some(mac))
            && let Some(slot) = self.slots.iter_mut().find(|slot| slot.is_none())
        {
            *slot = Some(mac);
            self.sent = match self.reading {
                Reading::Each => self.slots.iter().flatten().copied().collect(),
                Reading::Virtio => self.slots.iter().map_while(|slot| *slot).collect(),
            };
        }
        self.look();
        Ok(())
    }
    fn remove_mac(&mut self, mac: MacAddr) -> Result<(), Refusal> {
        self.call("remove", self.table)?;
        if let Some(slot) = self.slots.iter_mut().find(|slot| **slot == Some(mac)) {
            *slot = None;
        }
        self.sent = self.slots.iter().flatten().copied().collect();
        self.look();
        Ok(())
    }
    fn set_all_multicast(&mut self, on: bool) -> Result<(), Refusal> {
        self.call(if on { "all on" } else { "all off" }, self.switches)?;
        self.all_multicast = on && !self.deaf;
        self.look();
        Ok(())
    }
    fn all_multicast(&self) -> bool {
        self.all_multicast
    }
    fn set_promiscuous(&mut self, on: bool) -> Result<(), Refusal> {
        self.call(if on { "promiscuous on" } else { "promiscuous off" }, self.switches)?;
        self.promiscuous = on;
        self.look();
        Ok(())
    }
    fn promiscuous(&self) -> bool {
        self.promiscuous
    }
}

const NO: Option<RefusalKind> = Some(RefusalKind::NotSupported);

/// A virtio-like device: no list, a table of `slots` group addresses.
fn virtio(slots: usize) -> Fake {
    Fake { list: NO, slots: vec![None; slots], reading: Reading::Virtio, ..Fake::default() }
}

fn ladder(device: Fake, policy: FilterPolicy) -> Ladder<Fake> {
    let slots = u32::try_from(device.slots.len()).unwrap();
    Ladder::new(device, policy, slots + 1, false)
}

fn auto(device: Fake) -> Ladder<Fake> {
    ladder(device, FilterPolicy::Auto)
}

fn macs(last_bytes: impl IntoIterator<Item = u8>) -> Vec<MacAddr> {
    last_bytes.into_iter().map(|b| MacAddr([1, 0, 0x5e, 0, 0, b])).collect()
}

/// What the device has, placeholders apart.
fn sent(device: &Fake) -> Vec<MacAddr> {
    let mut sent: Vec<_> = device.sent.iter().copied().filter(|mac| !is_placeholder(*mac)).collect();
    sent.sort_unstable();
    sent
}

impl Ladder<Fake> {
    /// Applies a changed set, whose common part with the one before must pass all the while.
    fn change(&mut self, want: &[MacAddr]) -> FilterState {
        self.calls.always = self.state.macs.iter().copied().filter(|mac| want.contains(mac)).collect();
        self.calls.calls.clear();
        let state = self.apply(want, Occasion::Change).clone();
        self.calls.always.clear();
        state
    }
}

#[test]
fn the_list_is_the_first_choice_and_nothing_else_is_touched() {
    let mut filter = auto(Fake::default());
    let state = filter.change(&macs([1, 2]));
    assert_eq!(state.rung, Rung::AddrList);
    assert!(state.refused.is_empty() && !state.all_multicast && !state.promiscuous && !state.may_pass);
    assert_eq!((state.macs, state.entries, state.applied, state.calls), (macs([1, 2]), 2, 1, 1));
    assert_eq!(filter.calls.calls, ["list"]);
    assert_eq!(filter.calls.listed, macs([1, 2]));
}

// DESIGN 6: the set is applied when it changes. E08: and when the device may have forgotten it.
#[test]
fn an_equal_set_is_no_call_to_the_driver_unless_the_device_may_have_forgotten_it() {
    for device in [Fake::default(), virtio(8), Fake { list: NO, ..Fake::default() }] {
        let mut filter = auto(device);
        let first = filter.change(&macs([1, 2]));
        assert_eq!(filter.change(&macs([1, 2])), first);
        assert!(filter.calls.calls.is_empty(), "{:?}", filter.calls.calls);
        filter.apply(&macs([1, 2]), Occasion::Retry);
        assert!(filter.calls.calls.iter().all(|call| *call == "list"), "{:?}", filter.calls.calls);
    }
    let mut filter = auto(Fake::default());
    filter.change(&macs([1, 2]));
    filter.calls.listed.clear();
    filter.apply(&macs([1, 2]), Occasion::Restart);
    assert_eq!(filter.calls.listed, macs([1, 2]));
}

#[test]
fn a_thousand_joins_are_one_call_to_a_device_with_a_list() {
    let mut filter = auto(Fake::default());
    let many: Vec<_> =
        (0..1000u16).map(|n| MacAddr([1, 0, 0x5e, 1, n.to_be_bytes()[0], n.to_be_bytes()[1]])).collect();
    assert_eq!(filter.change(&many).rung, Rung::AddrList);
    assert_eq!(filter.calls.calls, ["list"]);
    // What does not fit a table is not tried address by address.
    let mut filter = auto(virtio(63));
    filter.change(&macs([1, 2]));
    assert_eq!(filter.change(&many).rung, Rung::AllMulticast);
    assert_eq!(filter.calls.calls, ["list", "all on", "remove", "remove"]);
}

#[test]
fn each_refusal_leads_one_rung_down_and_is_kept_in_the_drivers_words() {
    let rung = |device| {
        let state = auto(device).change(&macs([1, 2]));
        assert!(!state.may_pass, "{state:?}");
        (
            state.rung,
            state.refused.iter().map(|Refused { rung, why }| format!("{rung} {why}")).collect::<Vec<_>>(),
        )
    };
    let list = "addr_list set_mc_addr_list: Operation not supported (-ENOTSUP)".to_owned();
    let table = "mac_table mac_addr_add: Operation not supported (-ENOTSUP)".to_owned();
    let all = "all_multicast allmulticast_enable: accepted, and reads back as off".to_owned();

    assert_eq!(rung(virtio(4)), (Rung::MacTable, vec![list.clone()]));
    let no_table = || Fake { table: NO, ..virtio(4) };
    assert_eq!(rung(no_table()), (Rung::AllMulticast, vec![list.clone(), table.clone()]));
    let (down, why) = rung(Fake { deaf: true, ..no_table() });
    assert_eq!((down, why), (Rung::Promiscuous, vec![list.clone(), table.clone(), all]));
    let (down, why) = rung(Fake { switches: NO, ..no_table() });
    assert_eq!(down, Rung::Unfiltered);
    assert_eq!(why.len(), 4);
    assert_eq!(why[3], "promiscuous promiscuous_enable: Operation not supported (-ENOTSUP)");
}

// E07; iavf says -EINVAL and not -ENOSPC of a full list: any error is one.
#[test]
fn a_full_list_goes_down_and_comes_up_again_when_there_is_room() {
    let mut filter = auto(Fake { list_size: Some(2), table: NO, slots: vec![None; 8], ..Fake::default() });
    assert_eq!(filter.change(&macs([1, 2])).rung, Rung::AddrList);
    let state = filter.change(&macs([1, 2, 3]));
    assert_eq!((state.rung, state.may_pass), (Rung::AllMulticast, false));
    assert!(state.all_multicast, "read back");
    assert!(filter.calls.listed.is_empty(), "the list was undone");
    let state = filter.change(&macs([2, 3]));
    assert_eq!(state.rung, Rung::AddrList);
    assert!(!state.all_multicast && state.refused.is_empty());
    assert_eq!(filter.calls.listed, macs([2, 3]));
    assert_eq!(filter.calls.gaps, []);
}

// E05: a table that is exact before a list that is not, and no gap on the way from one to the other.
#[test]
fn a_device_that_hashes_its_list_keeps_few_groups_in_its_table() {
    let mut filter = auto(Fake { list_is_hashed: true, slots: vec![None; 3], ..Fake::default() });
    let state = filter.change(&macs([1, 2, 3]));
    assert_eq!((state.rung, state.capacity, state.refused), (Rung::MacTable, Some(3), vec![]));
    assert!(filter.calls.listed.is_empty());
    let state = filter.change(&macs([1, 2, 3, 4]));
    assert_eq!(state.rung, Rung::AddrList);
    assert_eq!(state.refused.iter().map(|no| no.rung).collect::<Vec<_>>(), [Rung::MacTable]);
    assert_eq!((&filter.calls.listed, sent(&filter.calls)), (&macs([1, 2, 3, 4]), vec![]));
    let state = filter.change(&macs([1, 4]));
    assert_eq!(state.rung, Rung::MacTable);
    assert_eq!((filter.calls.listed.len(), sent(&filter.calls)), (0, macs([1, 4])));
    assert_eq!(filter.calls.gaps, []);
    // One without a table has no choice, and nothing is said of a table.
    let mut filter = auto(Fake { list_is_hashed: true, ..Fake::default() });
    let state = filter.change(&macs([1]));
    assert_eq!((state.rung, state.refused), (Rung::AddrList, vec![]));
}

#[test]
fn a_full_table_goes_down_and_comes_up_again_and_has_no_holes() {
    let mut filter = auto(virtio(3));
    let state = filter.change(&macs([1, 2, 3]));
    assert_eq!((state.rung, state.capacity, state.entries), (Rung::MacTable, Some(3), 3));
    let state = filter.change(&macs([1, 2, 3, 4]));
    assert_eq!((state.rung, state.capacity, state.entries), (Rung::AllMulticast, None, 0));
    assert_eq!(
        state.refused[1].why,
        "mac_addr_add: the device's table has room for 3 group addresses, and 4 are wanted"
    );
    assert_eq!(sent(&filter.calls), macs([]));
    assert_eq!(filter.change(&macs([2, 4])).rung, Rung::MacTable);
    assert_eq!(sent(&filter.calls), macs([2, 4]));
    assert!(!filter.calls.all_multicast);
    assert_eq!(filter.calls.gaps, []);
}

// E05, DESIGN 6: whatever is joined before and after is passed in between, call by call, and no group is lost behind a
// hole, over any sequence of sets.
#[test]
fn a_table_never_misses_what_stays_over_any_sequence() {
    for reading in [Reading::Virtio, Reading::Each] {
        let mut rng = crate::rng::Rng::new(11);
        let mut filter = auto(Fake { reading, ..virtio(12) });
        for step in 0..2000 {
            let density = 2 + step % 5;
            let want = macs((0..20).filter(|_| rng.one_in(density)));
            let state = filter.change(&want);
            if want.len() <= 12 {
                assert_eq!(state.rung, Rung::MacTable, "step {step}");
                assert_eq!(sent(&filter.calls), want, "step {step}");
                assert!(
                    !filter.calls.calls.contains(&"all on") || state.applied == 1,
                    "step {step}: needed no cover"
                );
            } else {
                assert_eq!(state.rung, Rung::AllMulticast, "step {step}");
                assert!(filter.calls.all_multicast, "step {step}");
                assert_eq!(filter.calls.sent, macs([]), "step {step}");
            }
            assert_eq!(filter.calls.gaps, [], "step {step}");
        }
    }
}

#[test]
fn a_group_that_goes_is_one_call_for_the_last_and_two_for_others() {
    let mut filter = auto(virtio(8));
    filter.change(&macs(1..=6));
    filter.change(&macs(1..=5));
    assert_eq!(filter.calls.calls, ["list", "remove"]);
    let state = filter.change(&macs([1, 2, 4, 5]));
    assert_eq!(filter.calls.calls, ["list", "remove", "add"], "a placeholder");
    assert_eq!(state.entries, 5);
    filter.change(&macs([1, 2, 4, 5, 9]));
    assert_eq!(filter.calls.calls, ["list", "remove", "add"], "makes room for the next");
    filter.change(&macs([1, 2, 9]));
    assert_eq!(filter.calls.sent, macs([1, 2, 9]), "no placeholder is left behind");
    assert_eq!(filter.calls.gaps, []);
}

#[test]
fn the_new_rung_is_up_before_the_old_one_is_down() {
    let mut filter = auto(virtio(2));
    filter.change(&macs([1]));
    filter.change(&macs([1, 2, 3]));
    assert_eq!(filter.calls.calls, ["list", "all on", "remove"]);
    filter.change(&macs([1]));
    assert_eq!(filter.calls.calls, ["list", "add", "all off"]);
    assert_eq!(filter.calls.gaps, []);
}

// vhost, ring and pcap begin with all-multicast on and have no switch for it: they have no filter.
#[test]
fn a_device_that_passes_everything_and_has_no_switch_is_unfiltered() {
    let open = Fake { switches: NO, table: NO, all_multicast: true, promiscuous: true, ..virtio(0) };
    let mut filter = auto(open);
    assert_eq!(filter.change(&macs([])).rung, Rung::Unfiltered);
    let state = filter.change(&macs([1]));
    assert_eq!(state.rung, Rung::Unfiltered);
    assert!(state.all_multicast && state.promiscuous, "read back");
    assert!(state.refused[2].why.contains("cannot be told not to"), "{:?}", state.refused);
}

#[test]
fn a_pinned_rung_is_the_first_that_is_tried_and_can_be_let_go_again() {
    let mut filter = ladder(Fake::default(), FilterPolicy::AllMulticast);
    assert_eq!(filter.change(&macs([1])).rung, Rung::AllMulticast);
    assert_eq!(filter.calls.calls, ["all on"]);
    assert_eq!(filter.change(&macs([1, 2])).rung, Rung::AllMulticast);
    let mut filter = ladder(Fake::default(), FilterPolicy::Promiscuous);
    assert_eq!(filter.change(&macs([1])).rung, Rung::Promiscuous);
    assert_eq!(filter.calls.calls, ["promiscuous on"]);
    assert!(filter.state().promiscuous);
    for (policy, rung) in [
        (FilterPolicy::Auto, Rung::AddrList),
        (FilterPolicy::AllMulticast, Rung::AllMulticast),
        (FilterPolicy::Promiscuous, Rung::Promiscuous),
        (FilterPolicy::Auto, Rung::AddrList),
    ] {
        filter.set_policy(policy);
        let state = filter.change(&macs([1]));
        assert_eq!((state.rung, state.policy), (rung, policy));
        assert_eq!(state.all_multicast, rung == Rung::AllMulticast);
        assert_eq!(state.promiscuous, rung == Rung::Promiscuous);
    }
    assert_eq!(filter.calls.gaps, []);
}

#[test]
fn a_pinned_rung_that_the_device_refuses_loses_no_group() {
    let mut filter = ladder(Fake { switches: NO, ..Fake::default() }, FilterPolicy::Promiscuous);
    let state = filter.change(&macs([1]));
    assert_eq!((state.rung, state.refused.len()), (Rung::AddrList, 2));
    assert!(filter.calls.passes(macs([1])[0]));
}

#[test]
fn a_device_that_must_be_promiscuous_for_our_own_address_stays_so() {
    let device = Fake { promiscuous: true, ..Fake::default() };
    let mut filter = Ladder::new(device, FilterPolicy::Auto, 1, true);
    let state = filter.change(&macs([1]));
    assert_eq!(state.rung, Rung::AddrList);
    assert!(state.promiscuous, "and says so");
    // One that was left so by someone else does not.
    let device = Fake { promiscuous: true, ..Fake::default() };
    let mut filter = Ladder::new(device, FilterPolicy::Auto, 1, false);
    assert!(!filter.change(&macs([1])).promiscuous);
}
