//! What every level of CPU does alike: sums of many bytes, and labels.

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

// V13, RFC 6437 2, 3: as `label_of` says, of any hash; the label is never 0, also where the hash would make it so.
#[cfg(target_arch = "x86_64")]
#[test]
fn an_answer_over_ipv6_has_the_label_of_its_hash() {
    use super::super::line6::Line6;
    use super::super::wide::{FRONT6, Wide};
    use crate::rng::Rng;
    use crate::stack::flow_label::label_of;

    const MAC: [u8; 8] = [2, 0x11, 0x22, 0x33, 0x44, 0x55, 0, 0];
    if !Level::all_here().any(|level| level.name() == "x86-64-v4") {
        eprintln!("skipped: this CPU has no vectors of 64 bytes");
        return;
    }
    let mut rng = Rng::new(6437);
    let line = Line6::of(u64::from_le_bytes(MAC), 61, 0);
    let odd = [0, u64::MAX, 1 << 23, 1 << 24, 1 << 43, 1 << 44, !(0xf_ffff << 24), 0xf_ffff << 24];
    for hashes in
        (0..2000).map(|n| core::array::from_fn(|k| odd.get(n + k).copied().unwrap_or_else(|| rng.u64())))
    {
        let mut requests = [[0; FRONT6]; 4];
        let bytes = requests.as_flattened_mut();
        bytes.iter_mut().zip(0..).for_each(|(byte, n)| *byte = u8::try_from(n % 253).unwrap());
        let mut answers = requests;
        v3::V3::<true>(()).turn_found6(answers.each_mut(), hashes, &line);
        for ((request, answer), hash) in requests.iter().zip(answers).zip(hashes) {
            let begin = (0x6000_0000 | label_of(hash)).to_be_bytes();
            let (link, ip) =
                ([&request[6..12], &MAC[..6], &request[12..14]], [&begin, &request[18..21], &[61]]);
            let (addrs, ports) = ([&request[38..54], &request[22..38]], [&request[56..58], &request[54..56]]);
            let wanted = [link.concat(), ip.concat(), addrs.concat(), ports.concat(), request[58..].to_vec()];
            assert_eq!(answer.to_vec(), wanted.concat(), "{hash:#x}");
        }
    }
}
