//! Every call refused, one and two at a time, wherever in the life of a filter that happens.

use super::*;

/// The devices: what has a list, what has a table, both readings of it, and what has neither.
fn devices() -> Vec<(&'static str, Fake)> {
    let slots = || vec![None; 4];
    vec![
        ("list", Fake { list_size: Some(4), table: NO, slots: slots(), ..Fake::default() }),
        ("list that is lost", Fake { list_size: Some(4), loses_list: true, ..Fake::default() }),
        ("list and table", Fake { list_size: Some(2), slots: slots(), ..Fake::default() }),
        ("virtio", virtio(4)),
        ("virtio without switches", Fake { switches: NO, ..virtio(6) }),
        ("table", Fake { list: NO, slots: slots(), ..Fake::default() }),
        ("switches", Fake { list: NO, ..Fake::default() }),
    ]
}

/// A life: what is wanted, one set after the other. None of them leaves 1 and 2.
fn life() -> Vec<Vec<MacAddr>> {
    [
        &[1, 2][..],
        &[1, 2, 3],
        &[1, 2, 3, 4],
        &[1, 2, 4],
        &[1, 2, 5, 6],
        &[1, 2, 3, 4, 5, 6],
        &[1, 2, 6],
        &[0, 1, 2],
        &[1, 2],
    ]
    .iter()
    .map(|set| macs(set.iter().copied()))
    .collect()
}

/// Lives, with these calls refused, and returns how many calls there were.
fn live(name: &str, device: &Fake, refused: &[usize], restarts: bool) -> usize {
    let case = || format!("{name}, refused {refused:?}, restarts {restarts}");
    let device = Fake { refused: refused.to_vec(), ..device.clone() };
    let mut filter = auto(device);
    for (step, want) in life().into_iter().enumerate() {
        if restarts && step % 3 == 2 {
            // As a driver does whose list lives only in it, and who is told its table again.
            filter.calls.listed.clear();
            let before = filter.state().macs.clone();
            filter.apply(&before, Occasion::Restart);
        }
        let state = filter.apply(&want, Occasion::Change).clone();
        let missing: Vec<_> = want.iter().filter(|mac| !filter.calls.passes(**mac)).collect();
        // Only a device that just refused the last rung, too, may miss any; then it is asked again.
        assert!(
            missing.is_empty()
                || (state.rung == Rung::Unfiltered && (state.may_pass || filter.calls.switches.is_some())),
            "{}, step {step}: {missing:?} of {state:?}",
            case()
        );
        let holds_more = filter.calls.sent.iter().any(|mac| !want.contains(mac) && !is_placeholder(*mac));
        assert!(
            !holds_more || state.rung == Rung::Unfiltered || state.may_pass,
            "{}, step {step}: {state:?}",
            case()
        );
    }
    let calls = filter.calls.calls.len();
    // The device has come to its senses: soon all is as if nothing had been.
    filter.calls.refused.clear();
    let want = life().pop().unwrap();
    for _ in 0..2 {
        filter.apply(&want, Occasion::Retry);
    }
    let state = filter.state().clone();
    let mut untroubled = auto(Fake { refused: Vec::new(), ..fresh(&filter.calls) });
    let ideal = untroubled.apply(&want, Occasion::Change).clone();
    assert_eq!(
        (state.rung, state.all_multicast, state.promiscuous),
        (ideal.rung, ideal.all_multicast, ideal.promiscuous),
        "{}",
        case()
    );
    assert!(!state.may_pass && state.not_undone.is_none(), "{}: {state:?}", case());
    assert!(want.iter().all(|mac| filter.calls.passes(*mac)), "{}", case());
    let held: Vec<_> =
        if state.rung == Rung::AddrList { filter.calls.listed.clone() } else { sent(&filter.calls) };
    let ideal_held =
        if ideal.rung == Rung::AddrList { untroubled.calls.listed.clone() } else { sent(&untroubled.calls) };
    assert_eq!(held, ideal_held, "{}", case());
    calls
}

fn fresh(device: &Fake) -> Fake {
    let Fake { list, list_size, loses_list, table, switches, deaf, reading, slots, .. } = device.clone();
    let slots = vec![None; slots.len()];
    Fake { list, list_size, loses_list, table, switches, deaf, reading, slots, ..Fake::default() }
}

// E07, DESIGN 6: never a joined group lost for good, whatever a driver refuses and whenever.
#[test]
fn no_group_is_lost_for_good_whichever_call_is_refused() {
    for (name, device) in devices() {
        for restarts in [false, true] {
            let calls = live(name, &device, &[], restarts);
            // Refusals make for more calls.
            for first in 0..calls + 8 {
                live(name, &device, &[first], restarts);
            }
        }
    }
}

#[test]
fn no_group_is_lost_for_good_whichever_two_calls_are_refused() {
    for (name, device) in devices() {
        let calls = live(name, &device, &[], true);
        for first in 0..calls + 8 {
            for second in first + 1..calls + 12 {
                live(name, &device, &[first, second], true);
            }
        }
    }
}

#[test]
fn no_group_is_lost_for_good_when_a_device_is_busy_for_a_while() {
    for (name, device) in devices() {
        let calls = live(name, &device, &[], true);
        for first in 0..calls + 8 {
            for len in [3, 5, 9, 20] {
                live(name, &device, &(first..first + len).collect::<Vec<_>>(), true);
            }
        }
    }
}

/// What passes before, during and after: a device of one refused call never misses what stays, but for the one that
/// loses its list when it refuses another.
#[test]
fn what_stays_is_passed_during_every_refused_step() {
    for (name, device) in devices() {
        if device.loses_list {
            continue;
        }
        for refused in 0..60 {
            let mut filter = auto(Fake { refused: vec![refused], ..device.clone() });
            let mut troubled = false;
            for want in life() {
                let stays = filter.state().macs.iter().copied().filter(|mac| want.contains(mac));
                let always = stays.filter(|mac| filter.calls.passes(*mac)).collect();
                filter.calls.always = always;
                troubled |= filter.calls.switches.is_some() && filter.calls.calls.len() > refused;
                filter.apply(&want, Occasion::Change);
                assert!(
                    troubled || filter.calls.gaps.is_empty(),
                    "{name}, {refused}: {:?}",
                    filter.calls.gaps
                );
            }
        }
    }
}

#[test]
fn a_refusal_that_may_pass_says_so_and_one_that_will_not_does_not() {
    let busy = Fake { list: Some(RefusalKind::MayPass), ..Fake::default() };
    let mut filter = auto(busy);
    let state = filter.apply(&macs([1]), Occasion::Change).clone();
    assert_eq!((state.rung, state.may_pass), (Rung::AllMulticast, true));
    assert_eq!(state.refused[0].why, "set_mc_addr_list: Device or resource busy (-EBUSY)");
    filter.calls.list = None;
    filter.calls.calls.clear();
    let state = filter.apply(&macs([1]), Occasion::Retry).clone();
    assert_eq!((state.rung, state.may_pass, state.all_multicast), (Rung::AddrList, false, false));
    assert_eq!(filter.calls.calls, ["list", "all off"]);
}

#[test]
fn what_could_not_be_undone_is_told_and_undone_later() {
    let mut filter = auto(Fake { list_size: Some(1), ..Fake::default() });
    filter.apply(&macs([1, 2]), Occasion::Change);
    filter.calls.switches = Some(RefusalKind::MayPass);
    let state = filter.apply(&macs([1]), Occasion::Change).clone();
    assert_eq!((state.rung, state.all_multicast, state.may_pass), (Rung::AddrList, true, true));
    assert_eq!(state.not_undone.as_deref(), Some("allmulticast_disable: Device or resource busy (-EBUSY)"));
    filter.calls.switches = None;
    filter.calls.calls.clear();
    let state = filter.apply(&macs([1]), Occasion::Retry).clone();
    assert_eq!((state.all_multicast, state.not_undone, state.may_pass), (false, None, false));
    assert_eq!(filter.calls.calls, ["all off"], "the list is not told again");
}
