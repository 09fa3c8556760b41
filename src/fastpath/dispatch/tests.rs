//! The sums of many bytes, the same on every level of CPU.

use super::*;
use proptest::prelude::*;

proptest! {
    // RFC 1071: however it is added up, and wherever it lies, it is the same sum.
    #[test]
    fn the_sum_of_many_bytes_is_the_same_on_every_level(
        bytes in prop::collection::vec(any::<u8>(), 64..3000),
        fill in prop_oneof![Just(None), any::<u8>().prop_map(Some)],
        at in 0..64_usize,
    ) {
        let bytes = fill.map_or_else(|| bytes.clone(), |fill| vec![fill; bytes.len()]);
        for level in Level::all_here() {
            prop_assert_eq!(sum_long(level, &bytes[at..]).fold(), Sum::of(&bytes[at..]).fold(), "{}", level.name());
        }
    }
}

#[test]
fn a_sum_of_any_length_from_any_address_on_is_of_just_these_bytes() {
    // Each byte another, so that one too many or too few is another sum.
    let bytes: Vec<u8> = (0..512_u16).map(|i| i.wrapping_mul(167).to_le_bytes()[0]).collect();
    for level in Level::all_here() {
        for (at, len) in (0..64).flat_map(|at| (0..260).map(move |len| (at, len))) {
            let part = &bytes[at..at + len];
            assert_eq!(sum_long(level, part).fold(), Sum::of(part).fold(), "{}: {at}, {len}", level.name());
        }
    }
}

#[test]
fn the_longest_packet_is_summed_without_overflow() {
    for (level, byte) in Level::all_here().flat_map(|level| [0, 0x7f, 0x80, 0xff].map(|byte| (level, byte))) {
        let bytes = vec![byte; 0xffff];
        assert_eq!(sum_long(level, &bytes).fold(), Sum::of(&bytes).fold(), "{}: {byte:#x}", level.name());
    }
}
