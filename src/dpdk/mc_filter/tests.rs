//! The ladder against devices that refuse in every way that drivers do.

use super::*;

/// A device that refuses what it is told to, and forgets nothing of what it is asked.
#[derive(Default)]
struct Fake {
    list: Option<DpdkError>,
    list_size: Option<usize>,
    table: Option<DpdkError>,
    switches: Option<DpdkError>,
    /// All-multicast is accepted and has no effect.
    deaf: bool,
    listed: Vec<MacAddr>,
    /// As ethdev's array: removal leaves a hole, addition fills the first.
    slots: Vec<Option<MacAddr>>,
    all_multicast: bool,
    promiscuous: bool,
    calls: Vec<&'static str>,
}

fn answer(refusal: Option<DpdkError>) -> Result<(), DpdkError> {
    refusal.map_or(Ok(()), Err)
}

impl FilterCalls for Fake {
    fn set_list(&mut self, macs: &[MacAddr]) -> Result<(), DpdkError> {
        self.calls.push("list");
        answer(self.list)?;
        if self.list_size.is_some_and(|size| macs.len() > size) {
            return Err(DpdkError::INVALID);
        }
        self.listed = macs.to_vec();
        Ok(())
    }
    fn add_mac(&mut self, mac: MacAddr) -> Result<(), DpdkError> {
        self.calls.push("add");
        answer(self.table)?;
        let slot = self.slots.iter_mut().find(|slot| slot.is_none()).ok_or(DpdkError::NO_SPACE)?;
        *slot = Some(mac);
        Ok(())
    }
    fn remove_mac(&mut self, mac: MacAddr) -> Result<(), DpdkError> {
        self.calls.push("remove");
        answer(self.table)?;
        *self.slots.iter_mut().find(|slot| **slot == Some(mac)).ok_or(DpdkError::INVALID)? = None;
        Ok(())
    }
    fn set_all_multicast(&mut self, on: bool) -> Result<(), DpdkError> {
        self.calls.push(if on { "all on" } else { "all off" });
        answer(self.switches)?;
        self.all_multicast = on && !self.deaf;
        Ok(())
    }
    fn all_multicast(&self) -> bool {
        self.all_multicast
    }
    fn set_promiscuous(&mut self, on: bool) -> Result<(), DpdkError> {
        self.calls.push(if on { "promiscuous on" } else { "promiscuous off" });
        answer(self.switches)?;
        self.promiscuous = on;
        Ok(())
    }
    fn promiscuous(&self) -> bool {
        self.promiscuous
    }
}

const NO: Option<DpdkError> = Some(DpdkError::NOT_SUPPORTED);

/// A virtio-like device: no list, a table of `slots` group addresses.
fn virtio(slots: usize) -> Fake {
    Fake { list: NO, slots: vec![None; slots], ..Fake::default() }
}

fn ladder(device: Fake, policy: FilterPolicy) -> Ladder<Fake> {
    let slots = u32::try_from(device.slots.len()).unwrap();
    Ladder::new(device, policy, slots + 1, false)
}

fn macs(last_bytes: impl IntoIterator<Item = u8>) -> Vec<MacAddr> {
    last_bytes.into_iter().map(|b| MacAddr([1, 0, 0x5e, 0, 0, b])).collect()
}

/// What virtio sends to its device: all up to the first hole.
fn sent(device: &Fake) -> Vec<MacAddr> {
    let mut sent: Vec<_> = device.slots.iter().map_while(|slot| *slot).collect();
    sent.sort_unstable();
    sent
}

#[test]
fn the_list_is_the_first_choice_and_nothing_else_is_touched() {
    let mut filter = ladder(Fake::default(), FilterPolicy::Auto);
    let state = filter.apply(&macs([1, 2])).clone();
    assert_eq!(state.rung, Rung::AddrList);
    assert!(state.refused.is_empty() && !state.all_multicast && !state.promiscuous);
    assert_eq!(state.macs, macs([1, 2]));
    assert_eq!(filter.calls.calls, ["list"]);
    assert_eq!(filter.calls.listed, macs([1, 2]));
}

#[test]
fn each_refusal_leads_one_rung_down_and_is_kept_in_the_drivers_words() {
    let rung = |device| {
        let mut filter = ladder(device, FilterPolicy::Auto);
        let state = filter.apply(&macs([1, 2]));
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
    let mut filter = ladder(
        Fake { list_size: Some(2), table: NO, slots: vec![None; 8], ..Fake::default() },
        FilterPolicy::Auto,
    );
    assert_eq!(filter.apply(&macs([1, 2])).rung, Rung::AddrList);
    let state = filter.apply(&macs([1, 2, 3])).clone();
    assert_eq!(state.rung, Rung::AllMulticast);
    assert!(state.all_multicast, "read back");
    assert!(filter.calls.listed.is_empty(), "the list was undone");
    let state = filter.apply(&macs([2, 3])).clone();
    assert_eq!(state.rung, Rung::AddrList);
    assert!(!state.all_multicast && state.refused.is_empty());
    assert_eq!(filter.calls.listed, macs([2, 3]));
}

#[test]
fn a_full_table_goes_down_and_comes_up_again_and_has_no_holes() {
    let mut filter = ladder(virtio(3), FilterPolicy::Auto);
    assert_eq!(filter.apply(&macs([1, 2, 3])).rung, Rung::MacTable);
    assert_eq!(filter.state().capacity, Some(3));
    let state = filter.apply(&macs([1, 2, 3, 4])).clone();
    assert_eq!(state.rung, Rung::AllMulticast);
    assert_eq!(
        state.refused[1].why,
        "mac_addr_add: the device's table has room for 3 group addresses, and 4 are wanted"
    );
    assert_eq!(sent(&filter.calls), macs([]));
    assert_eq!(filter.apply(&macs([2, 4])).rung, Rung::MacTable);
    assert_eq!(sent(&filter.calls), macs([2, 4]));
    assert!(!filter.calls.all_multicast);
}

#[test]
fn a_device_with_holes_loses_no_group_over_any_sequence() {
    let mut rng = crate::rng::Rng::new(11);
    let mut filter = ladder(virtio(12), FilterPolicy::Auto);
    for step in 0..400 {
        let want = macs((0..20).filter(|_| rng.one_in(2)));
        let state = filter.apply(&want).clone();
        if want.len() <= 12 {
            assert_eq!(state.rung, Rung::MacTable, "step {step}");
            assert_eq!(sent(&filter.calls), want, "step {step}");
        } else {
            assert_eq!(state.rung, Rung::AllMulticast, "step {step}");
            assert!(filter.calls.all_multicast, "step {step}");
            assert_eq!(sent(&filter.calls), macs([]), "step {step}");
        }
    }
}

#[test]
fn the_new_rung_is_up_before_the_old_one_is_down() {
    let mut filter = ladder(virtio(2), FilterPolicy::Auto);
    filter.apply(&macs([1]));
    filter.calls.calls.clear();
    filter.apply(&macs([1, 2, 3]));
    assert_eq!(filter.calls.calls, ["list", "all on", "remove"]);
    filter.calls.calls.clear();
    filter.apply(&macs([1]));
    assert_eq!(filter.calls.calls, ["list", "add", "all off"]);
}

#[test]
fn a_table_that_fails_half_way_is_undone() {
    // Says that it has room for 8, and has for 2.
    let mut filter = Ladder::new(virtio(2), FilterPolicy::Auto, 9, false);
    let state = filter.apply(&macs([1, 2, 3]));
    assert_eq!(state.rung, Rung::AllMulticast);
    assert_eq!(state.refused[1].why, "mac_addr_add: No space left on device (-ENOSPC)");
    assert_eq!(sent(&filter.calls), macs([]));
}

// vhost, ring and pcap begin with all-multicast on and have no switch for it: they have no filter.
#[test]
fn a_device_that_passes_everything_and_has_no_switch_is_unfiltered() {
    let open = Fake { switches: NO, table: NO, all_multicast: true, promiscuous: true, ..virtio(0) };
    let mut filter = ladder(open, FilterPolicy::Auto);
    assert_eq!(filter.apply(&macs([])).rung, Rung::Unfiltered);
    let state = filter.apply(&macs([1])).clone();
    assert_eq!(state.rung, Rung::Unfiltered);
    assert!(state.all_multicast && state.promiscuous, "read back");
    assert!(state.refused[2].why.contains("cannot be told not to"), "{:?}", state.refused);
}

#[test]
fn a_pinned_rung_is_the_best_that_is_tried() {
    let mut filter = ladder(Fake::default(), FilterPolicy::AllMulticast);
    assert_eq!(filter.apply(&macs([1])).rung, Rung::AllMulticast);
    assert_eq!(filter.calls.calls, ["all on"]);
    assert_eq!(filter.apply(&macs([1, 2])).rung, Rung::AllMulticast);
    let mut filter = ladder(Fake::default(), FilterPolicy::Promiscuous);
    assert_eq!(filter.apply(&macs([1])).rung, Rung::Promiscuous);
    assert_eq!(filter.calls.calls, ["promiscuous on"]);
    assert!(filter.state().promiscuous);
}

#[test]
fn a_device_that_must_be_promiscuous_for_our_own_address_stays_so() {
    let device = Fake { promiscuous: true, ..Fake::default() };
    let mut filter = Ladder::new(device, FilterPolicy::Auto, 1, true);
    let state = filter.apply(&macs([1])).clone();
    assert_eq!(state.rung, Rung::AddrList);
    assert!(state.promiscuous, "and says so");
    // One that was left so by someone else does not.
    let device = Fake { promiscuous: true, ..Fake::default() };
    let mut filter = Ladder::new(device, FilterPolicy::Auto, 1, false);
    assert!(!filter.apply(&macs([1])).promiscuous);
}
