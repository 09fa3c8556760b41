//! Options: from RFC 791, RFC 1122 and what Linux does with the same bytes.

use super::*;
use proptest::prelude::*;

const OWN: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 2);
const OTHER: [u8; 4] = [198, 18, 0, 9];
const TIME: u32 = 0x0123_4567;

fn scanned(options: &[u8]) -> Result<OptionScan, u8> {
    scan(Options::of(options)).map_err(|bad| bad.pointer)
}

fn echoed(options: &[u8]) -> Option<Vec<u8>> {
    assert_eq!(scanned(options).map(|s| s.source_route), Ok(false), "{options:?}");
    let stamp = Stamp { own: OWN, time: TIME };
    EchoedOptions::of(Options::of(options), stamp, |a| a == OWN).map(|e| e.as_bytes().to_vec())
}

fn join(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

// I14, RFC 792, Linux: the pointer tells the byte that is wrong. The option begins at 20, its length is at 21, its pointer
// at 22, and what a timestamp counts at 23.
#[test]
fn a_record_route_or_timestamp_that_cannot_be_is_pointed_at() {
    for (options, pointer) in [
        (&[7, 2, 0, 0][..], 21),         // no room for a pointer
        (&[7, 7, 3, 0, 0, 0, 0, 0], 22), // points into the fixed fields
        (&[7, 7, 5, 0, 0, 0, 0, 0], 22), // three bytes left of four
        (&[7, 6, 4, 0, 0, 0, 0, 0], 22),
        (&[68, 3, 5, 0], 21),
        (&[68, 8, 4, 0, 0, 0, 0, 0], 22),
        (&[68, 8, 6, 0, 0, 0, 0, 0], 22),
        (&[68, 8, 5, 1, 0, 0, 0, 0], 22), // an address and a time need eight
        (&[68, 8, 5, 3, 0, 0, 0, 0], 22),
        (&[68, 8, 9, 0xf0, 0, 0, 0, 0], 23), // sixteen hosts without room cannot be counted
        (&[68, 8, 9, 0xf1, 0, 0, 0, 0], 23),
        (&[131, 2, 0, 0], 21),
        (&[137, 7, 3, 0, 0, 0, 0, 0], 22),
        (&[148, 3, 0, 0], 21),
        (&[1, 7, 3, 4, 7, 3, 4, 0], 24), // the second of its kind
        (&[68, 4, 5, 0, 68, 4, 5, 0], 24),
        (&[131, 3, 4, 131, 3, 4, 0, 0], 23),
        (&[131, 3, 4, 137, 3, 4, 0, 0], 23),
    ] {
        assert_eq!(scanned(options), Err(pointer), "{options:?}");
    }
    // A full list is no error, nor is one with no room from the start, nor a flag that nobody knows.
    for options in [
        &[7, 3, 4, 0][..],
        &[7, 7, 8, 1, 2, 3, 4, 0],
        &[7, 7, 255, 1, 2, 3, 4, 0],
        &[68, 4, 5, 0xe0],
        &[68, 8, 9, 0xf3, 0, 0, 0, 0],
        &[68, 8, 5, 2, 0, 0, 0, 0],
    ] {
        assert!(scanned(options).is_ok(), "{options:?}");
    }
}

// I17, RFC 1122 3.2.2.6, Linux: on arrival and on departure, as long as there is room.
#[test]
fn a_record_route_names_this_host_twice() {
    let own = OWN.octets();
    let three = join(&[&[7, 15, 4], &[0; 12], &[0]]);
    assert_eq!(echoed(&three), Some(join(&[&[7, 15, 12], &own, &own, &[0; 4], &[0]])));
    let one_left = join(&[&[1, 7, 11, 8], &OTHER, &[0; 4]]);
    assert_eq!(echoed(&one_left), Some(join(&[&[7, 11, 12], &OTHER, &own, &[0]])));
    let full = join(&[&[7, 7, 8], &OTHER, &[0]]);
    assert_eq!(echoed(&full), Some(full));
}

// I17, RFC 791 3.1, Linux: milliseconds since midnight, most significant byte first.
#[test]
fn a_timestamp_is_told_the_time_twice() {
    let time = TIME.to_be_bytes();
    let times = join(&[&[68, 16, 9, 0], &[0, 0, 0, 7], &[0; 8]]);
    assert_eq!(echoed(&times), Some(join(&[&[68, 16, 17, 0], &[0, 0, 0, 7], &time, &time])));
    let own = OWN.octets();
    let both = join(&[&[68, 20, 5, 1], &[0; 16]]);
    assert_eq!(echoed(&both), Some(join(&[&[68, 20, 21, 1], &own, &time, &own, &time])));
    let one = join(&[&[68, 12, 5, 1], &[0; 8]]);
    assert_eq!(echoed(&one), Some(join(&[&[68, 12, 13, 1], &own, &time])));
}

// I17, RFC 791 3.1: a host for whom there is no room counts itself, once.
#[test]
fn a_full_timestamp_counts_who_had_no_room() {
    assert_eq!(echoed(&[68, 8, 9, 0x20, 1, 2, 3, 4]), Some(vec![68, 8, 9, 0x30, 1, 2, 3, 4]));
    // Room on arrival, none on departure: nothing is missing.
    let time = TIME.to_be_bytes();
    assert_eq!(echoed(&[68, 8, 5, 0, 0, 0, 0, 0]), Some(join(&[&[68, 8, 9, 0], &time])));
    // Only those who were named count.
    assert_eq!(echoed(&[68, 4, 5, 0x23]), Some(vec![68, 4, 5, 0x23]));
}

// I17, RFC 791 3.1: who is not named next does not write.
#[test]
fn a_prespecified_timestamp_is_written_where_our_address_is_next() {
    let (own, time) = (OWN.octets(), TIME.to_be_bytes());
    let ours = join(&[&[68, 20, 5, 3], &own, &[0; 4], &OTHER, &[0; 4]]);
    assert_eq!(echoed(&ours), Some(join(&[&[68, 20, 13, 3], &own, &time, &OTHER, &[0; 4]])));
    let others = join(&[&[68, 20, 5, 3], &OTHER, &[0; 4], &own, &[0; 4]]);
    assert_eq!(echoed(&others), Some(others));
    let twice = join(&[&[68, 20, 5, 3], &own, &[0; 4], &own, &[0; 4]]);
    assert_eq!(echoed(&twice), Some(join(&[&[68, 20, 21, 3], &own, &time, &own, &time])));
    // A flag that nobody knows is copied as it is.
    assert_eq!(echoed(&[68, 8, 5, 2, 0, 0, 0, 0]), Some(vec![68, 8, 5, 2, 0, 0, 0, 0]));
}

// I17: everything else stays behind, and the record route comes first.
#[test]
fn only_the_two_are_in_the_reply() {
    assert_eq!(echoed(&[148, 4, 0, 0, 0x9e, 4, 1, 2]), Some(vec![]));
    let both = join(&[&[1, 68, 4, 5, 0], &[148, 4, 0, 0], &[7, 3, 4]]);
    assert_eq!(echoed(&both), Some(vec![7, 3, 4, 68, 4, 5, 0x10, 0]));
}

// I17, Linux: after the arrival, half a slot is left: no reply goes out.
#[test]
fn half_a_slot_is_not_filled() {
    assert_eq!(echoed(&join(&[&[7, 9, 4], &[0; 6], &[0; 3]])), None);
    assert_eq!(echoed(&join(&[&[68, 11, 5, 0], &[0; 7], &[0]])), None);
}

proptest! {
    // I14, I17: whatever the bytes are, the walk ends, and what passed can be echoed in no more room than it took.
    #[test]
    fn any_options_are_refused_or_echoed(mut bytes in proptest::collection::vec(any::<u8>(), 0..=40)) {
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        let stamp = Stamp { own: OWN, time: TIME };
        let echoed = EchoedOptions::of(Options::of(&bytes), stamp, |a| a == OWN);
        if let Some(echoed) = echoed {
            prop_assert!(echoed.as_bytes().len() <= 40);
        }
        match scanned(&bytes) {
            Ok(_) => {}
            Err(pointer) => prop_assert!((20..60).contains(&pointer)),
        }
    }

    #[test]
    fn likely_options_are_refused_or_echoed(
        kind in prop::sample::select(vec![7u8, 68, 131, 148]),
        len in 0u8..=40, pointer in 0u8..=44, flags: u8,
    ) {
        let mut bytes = vec![kind, len, pointer, flags];
        bytes.resize(40, 0);
        if scanned(&bytes).is_ok() && let Some(echoed) = echoed_unless_route(&bytes) {
            prop_assert!(echoed.len() <= 40 && echoed.len() % 4 == 0);
            prop_assert!(kind == 148 || echoed[..2] == bytes[..2]);
        }
    }
}

fn echoed_unless_route(bytes: &[u8]) -> Option<Vec<u8>> {
    if bytes[0] == 131 { None } else { echoed(bytes) }
}
