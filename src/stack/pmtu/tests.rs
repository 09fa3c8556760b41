//! Path MTUs: from RFC 1191, and from what Linux does with `IP_MTU_DISCOVER`.

use super::*;
use crate::addr::{V4, V6};
use core::net::{Ipv4Addr, Ipv6Addr};
use proptest::prelude::*;

const PEER: Ipv4Addr = Ipv4Addr::new(198, 19, 0, 1);
const OTHER: Ipv4Addr = Ipv4Addr::new(198, 19, 0, 2);

fn s(seconds: u64) -> Instant {
    Instant::ZERO + Duration::from_secs(seconds)
}

fn table() -> PathMtu<V4> {
    PathMtu::new(1500, PmtuPolicy::default())
}

fn report(dst: Ipv4Addr, mtu: u16, quoted_len: u16) -> TooBig<Ipv4Addr> {
    TooBig { dst, mtu, quoted_len }
}

const fn whole(mtu: u16) -> Path {
    Path::of(mtu)
}

// C16, RFC 1191 3: it goes down, and a message never raises it. Not one for all: the other path stays.
#[test]
fn a_path_goes_down_and_never_up_by_a_message() {
    let mut paths = table();
    assert_eq!(paths.smallest(), 1500);
    assert_eq!(paths.learn(s(0), report(PEER, 1300, 1500)), Learned::Path(whole(1300)));
    assert_eq!(paths.learn(s(1), report(PEER, 1400, 1500)), Learned::NotLower);
    assert_eq!(paths.path(s(1), PEER), whole(1300));
    assert_eq!(paths.path(s(1), OTHER), whole(1500));
    assert_eq!(paths.learn(s(2), report(PEER, 1200, 1300)), Learned::Path(whole(1200)));
    assert_eq!((paths.path(s(2), PEER), paths.smallest()), (whole(1200), 1200));
}

// T04, RFC 1191 3: never above the MTU of the link, nor a path of its own for it.
#[test]
fn nothing_is_learned_of_what_the_link_itself_carries() {
    let mut paths = table();
    for mtu in [1500, 1501, 9000, 65535] {
        assert_eq!(paths.learn(s(0), report(PEER, mtu, 1500)), Learned::NotLower, "{mtu}");
    }
    assert_eq!(paths.rows().count(), 0);
}

// C16, RFC 1191 3: "a host MUST never reduce its estimate of the Path MTU below 68 octets".
#[test]
fn less_than_any_link_carries_is_ignored() {
    let mut paths = table();
    for mtu in [1, 20, 67] {
        assert_eq!(paths.learn(s(0), report(PEER, mtu, 1500)), Learned::Impossible, "{mtu}");
    }
    assert_eq!((paths.path(s(0), PEER), paths.smallest()), (whole(1500), 1500));
}

// C16, Linux's min_pmtu: below 552 we do not go; what is longer than the path goes without DF, so that routers may cut it.
#[test]
fn below_the_floor_df_is_given_up_instead() {
    let mut paths = table();
    let floor = Path { mtu: 552, df_max: 300 };
    assert_eq!(paths.learn(s(0), report(PEER, 300, 1500)), Learned::Path(floor));
    let of = |len, discovery| sending(len, discovery, floor, 1500);
    assert_eq!(of(300, PmtuDiscovery::Want), Sending::Whole { dont_fragment: true });
    assert_eq!(of(301, PmtuDiscovery::Want), Sending::Whole { dont_fragment: false });
    assert_eq!(of(552, PmtuDiscovery::Want), Sending::Whole { dont_fragment: false });
    assert_eq!(of(553, PmtuDiscovery::Want), Sending::Fragments { mtu: 552 });
    assert_eq!(of(301, PmtuDiscovery::Do), Sending::TooBig { mtu: 300 });
    assert_eq!(paths.smallest(), 300);
    // An exact 552 is no less than the floor.
    assert_eq!(paths.learn(s(0), report(OTHER, 552, 1500)), Learned::Path(whole(552)));
    // What was once told stays so, however it is told again.
    assert_eq!(paths.learn(s(1), report(PEER, 552, 600)), Learned::Path(floor));
    assert_eq!(paths.learn(s(1), report(PEER, 400, 600)), Learned::Path(floor));
    assert_eq!(paths.learn(s(1), report(PEER, 200, 600)), Learned::Path(Path { mtu: 552, df_max: 200 }));
}

// C16: the floor is a matter of configuration, and never below 68.
#[test]
fn the_floor_can_be_lowered_to_68() {
    let with = |floor| PathMtu::<V4>::new(1500, PmtuPolicy { floor, ..PmtuPolicy::default() });
    let mut paths = with(0);
    assert_eq!(paths.learn(s(0), report(PEER, 68, 1500)), Learned::Path(whole(68)));
    assert_eq!(paths.learn(s(0), report(OTHER, 67, 1500)), Learned::Impossible);
    let mut paths = with(1000);
    let floor = Path { mtu: 1000, df_max: 68 };
    assert_eq!(paths.learn(s(0), report(PEER, 68, 1500)), Learned::Path(floor));
}

// C16, RFC 1191 5 and 7.1: old routers do not say; the next lower of the common MTUs is tried.
#[test]
fn a_router_that_does_not_say_is_answered_from_the_plateaus() {
    for (len, mtu) in [
        (1500, 1492),
        (1492, 1006),
        (1006, 508),
        (9000, 8166),
        (8166, 4352),
        (65535, 32000),
        (296, 68),
        (28, 68),
    ] {
        assert_eq!(plateau(len), mtu, "{len}");
    }
    let mut paths = table();
    assert_eq!(paths.learn(s(0), report(PEER, 0, 1500)), Learned::Path(whole(1492)));
    assert_eq!(paths.learn(s(0), report(PEER, 0, 1492)), Learned::Path(whole(1006)));
    // A stale message, of a longer packet, changes nothing.
    assert_eq!(paths.learn(s(0), report(PEER, 0, 1500)), Learned::NotLower);
}

// C16, RFC 1191 6.3: ten minutes after it was last reported, the link's own is tried again.
#[test]
fn a_path_is_forgotten_after_ten_minutes() {
    let mut paths = table();
    paths.learn(s(0), report(PEER, 1300, 1500));
    paths.learn(s(100), report(OTHER, 1400, 1500));
    assert_eq!(paths.poll_timeout(), Some(s(600)));
    assert_eq!(paths.path(s(599), PEER), whole(1300));
    assert!(!paths.expire(s(599)));
    assert_eq!(paths.path(s(600), PEER), whole(1500), "whether or not anyone has tidied up");
    assert!(paths.expire(s(600)));
    assert_eq!((paths.smallest(), paths.poll_timeout()), (1400, Some(s(700))));
    assert!(paths.expire(s(700)));
    assert_eq!((paths.smallest(), paths.poll_timeout(), paths.rows().count()), (1500, None, 0));
    // A new report begins a new time, even of the same MTU.
    paths.learn(s(1000), report(PEER, 1300, 1500));
    paths.learn(s(1500), report(PEER, 1300, 1500));
    assert_eq!(paths.path(s(2099), PEER), whole(1300));
    assert_eq!(paths.path(s(2100), PEER), whole(1500));
    // And after it, a larger one is believed: it is lower than what is known then.
    assert_eq!(paths.learn(s(2100), report(PEER, 1400, 1500)), Learned::Path(whole(1400)));
}

// T04, RFC 1191: the interface's MTU changes, and its paths are unknown again.
#[test]
fn another_link_mtu_forgets_every_path() {
    let mut paths = table();
    paths.learn(s(0), report(PEER, 1300, 1500));
    paths.set_link_mtu(1400);
    assert_eq!((paths.path(s(0), PEER), paths.smallest(), paths.link_mtu()), (whole(1400), 1400, 1400));
    assert_eq!(paths.learn(s(0), report(PEER, 1450, 1500)), Learned::NotLower);
    // A link below the floor: the path is never above it.
    paths.set_link_mtu(400);
    assert_eq!(paths.learn(s(0), report(PEER, 300, 400)), Learned::Path(Path { mtu: 400, df_max: 300 }));
}

// C16: a flood of forged reports costs no memory; the latest are known.
#[test]
fn a_full_table_forgets_the_oldest_and_does_not_grow() {
    let mut paths = table();
    let addr = |i: usize| Ipv4Addr::from_bits(0xc613_0000 + u32::try_from(i).unwrap());
    let capacity = paths.entries.capacity();
    for i in 0..5 * PATHS_MAX {
        let at = Instant::from_ns(i as u64);
        // In no order of addresses.
        paths.learn(at, report(addr(i * 7919 % (5 * PATHS_MAX)), 1300, 1500));
    }
    assert_eq!((paths.entries.len(), paths.entries.capacity()), (PATHS_MAX, capacity));
    let now = Instant::from_ns(5 * PATHS_MAX as u64);
    for i in 0..5 * PATHS_MAX {
        let known = paths.path(now, addr(i * 7919 % (5 * PATHS_MAX))).mtu == 1300;
        assert_eq!(known, i >= 4 * PATHS_MAX, "{i}");
    }
}

/// An IPv6 table with the policy that IPv4 has.
fn table6(policy: PmtuPolicy) -> (PathMtu<V6>, Ipv6Addr) {
    (PathMtu::new(1500, policy), "2001:db8::1".parse().unwrap())
}

// K07, W13, RFC 8201 4: down to 1280, never below, never up by a message; what says less, or does not say, is discarded.
#[test]
fn an_ipv6_path_goes_down_to_1280_and_no_lower() {
    let (mut paths, dst) = table6(PmtuPolicy::default());
    let report = |mtu| TooBig { dst, mtu, quoted_len: 1500 };
    assert_eq!(paths.learn(s(0), report(1400)), Learned::Path(whole(1400)));
    assert_eq!(paths.learn(s(0), report(1450)), Learned::NotLower);
    for mtu in [0, 1, 68, 552, 600, 1279] {
        assert_eq!(paths.learn(s(0), report(mtu)), Learned::Impossible, "{mtu}");
    }
    assert_eq!(paths.path(s(0), dst), whole(1400));
    assert_eq!(paths.learn(s(1), report(1280)), Learned::Path(whole(1280)));
    assert_eq!((paths.smallest(), paths.poll_timeout()), (1280, Some(s(601))));
    // K07, RFC 8201 4: not before five minutes, ten as a rule.
    assert_eq!((paths.path(s(600), dst), paths.path(s(601), dst)), (whole(1280), whole(1500)));
    // T04: the link's MTU changes.
    paths.set_link_mtu(1400);
    assert_eq!((paths.rows().count(), paths.path(s(2), dst)), (0, whole(1400)));
}

// W13, RFC 8200 5: a floor that is chosen for IPv4 does not keep packets of IPv6 longer than a path that nobody shortens them
// for.
#[test]
fn no_floor_keeps_an_ipv6_packet_longer_than_its_path() {
    for floor in [0, 552, 1400, 1500] {
        let (mut paths, dst) = table6(PmtuPolicy { floor, ..PmtuPolicy::default() });
        let learned = paths.learn(s(0), TooBig { dst, mtu: 1300, quoted_len: 1500 });
        assert_eq!(learned, Learned::Path(whole(1300)), "{floor}");
    }
}

// T01, ip(7) IP_MTU_DISCOVER.
#[test]
fn each_way_of_discovery_does_what_linux_does() {
    use PmtuDiscovery::{Do, Dont, Interface, Omit, Probe, Want};
    let (path, link) = (whole(1300), 1500);
    let of = |len, discovery| sending(len, discovery, path, link);
    let (with_df, without_df) =
        (Sending::Whole { dont_fragment: true }, Sending::Whole { dont_fragment: false });
    // What fits the path.
    assert_eq!([Want, Do, Dont, Probe].map(|d| of(1300, d)), [with_df, with_df, without_df, with_df]);
    // What fits the link, not the path: IP_PMTUDISC_PROBE alone goes by the link.
    let (cut, refused) = (Sending::Fragments { mtu: 1300 }, Sending::TooBig { mtu: 1300 });
    assert_eq!([Want, Do, Dont, Probe].map(|d| of(1301, d)), [cut, refused, cut, with_df]);
    assert_eq!([Want, Do, Dont, Probe].map(|d| of(1500, d)), [cut, refused, cut, with_df]);
    // What does not fit the link.
    let link_refused = Sending::TooBig { mtu: 1500 };
    assert_eq!([Want, Do, Dont, Probe].map(|d| of(1501, d)), [cut, refused, cut, link_refused]);
    // IP_PMTUDISC_INTERFACE and IP_PMTUDISC_OMIT: by the link alone, and never with DF; the one refuses, the other cuts.
    for len in [1300, 1301, 1500] {
        assert_eq!([Interface, Omit].map(|d| of(len, d)), [without_df; 2], "{len}");
    }
    assert_eq!([Interface, Omit].map(|d| of(1501, d)), [link_refused, Sending::Fragments { mtu: 1500 }]);
    // T04: a path is never above the link.
    assert_eq!(sending(1500, Want, whole(9000), 1500), with_df);
    assert_eq!(sending(1501, Want, whole(9000), 1500), Sending::Fragments { mtu: 1500 });
}

proptest! {
    // C16: whatever is reported, a path MTU is between 68 and the link's, at or above the floor, and only time raises it.
    #[test]
    fn a_path_mtu_stays_in_its_bounds(
        reports in proptest::collection::vec((0u8..4, any::<u16>(), any::<u16>(), 0u64..900), 0..60),
        link in 68u16..,
        floor: u16,
    ) {
        let mut paths = PathMtu::<V4>::new(link, PmtuPolicy { floor, ..PmtuPolicy::default() });
        let mut now = Instant::ZERO;
        for (host, mtu, quoted_len, wait) in reports {
            let dst = Ipv4Addr::new(198, 19, 0, host);
            now += Duration::from_secs(wait);
            let before = paths.path(now, dst);
            let learned = paths.learn(now, TooBig { dst, mtu, quoted_len });
            let after = paths.path(now, dst);
            prop_assert!(after.mtu <= before.mtu && (V4::MTU_MIN..=link).contains(&after.mtu));
            prop_assert!(after.mtu >= floor.min(link));
            prop_assert!(matches!(learned, Learned::Path(_)) || after == before);
            prop_assert!(after.df_max <= before.df_max && after.df_max >= V4::MTU_MIN);
            let smallest = paths.rows().filter(|r| paths.path(now, r.dst) == r.path).map(|r| r.path.df_max).min();
            prop_assert!(smallest.is_none_or(|s| paths.smallest() <= s));
        }
    }

    // K07, W13: whatever is reported, the path MTU of IPv6 is between 1280 and the link's, and never less for fragments.
    #[test]
    fn an_ipv6_path_mtu_stays_in_its_bounds(
        reports in proptest::collection::vec((0u8..4, any::<u16>(), any::<u16>(), 0u64..900), 0..60),
        link in 1280u16..,
        floor: u16,
    ) {
        let mut paths = PathMtu::<V6>::new(link, PmtuPolicy { floor, ..PmtuPolicy::default() });
        let mut now = Instant::ZERO;
        for (host, mtu, quoted_len, wait) in reports {
            let dst = Ipv6Addr::from_bits(u128::from(host) + (0x2001_0db8 << 96));
            now += Duration::from_secs(wait);
            let before = paths.path(now, dst);
            let learned = paths.learn(now, TooBig { dst, mtu, quoted_len });
            let after = paths.path(now, dst);
            prop_assert!(after.mtu <= before.mtu && (1280..=link).contains(&after.mtu));
            prop_assert_eq!(after.df_max, after.mtu, "nothing is left to routers");
            prop_assert_eq!(learned == Learned::Impossible, mtu < 1280);
        }
    }
}
