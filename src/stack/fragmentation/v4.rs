//! The header of an IPv4 fragment. RFC 791 3.1.

use arrayvec::ArrayVec;

use super::{HEADER_MAX, Header, Place};
use crate::wire::ipv4::{self, Ipv4, OPTION_END};

/// A bit of an option's type: it is in every fragment, and not in the first alone.
const COPIED: u8 = 0x80;

/// Bits of the word that ends in the fragment offset.
const MORE_FRAGMENTS: u16 = 0x2000;

/// Bytes of payload of a fragment that is not the last, behind a header of `header_len`. F18: a multiple of eight.
pub(super) fn room(mtu: u16, header_len: usize) -> usize {
    usize::from(mtu).saturating_sub(header_len) & !7
}

/// The header of the piece from `offset` on, of a datagram that has `rest` bytes from there on and whose header is `whole`.
/// Options that later pieces have are `copied`.
// F18, RFC 791 3.1: options without the copied bit are in the first fragment only.
pub(super) fn headers(
    whole: &[u8],
    copied: &[u8],
    (offset, rest): (usize, usize),
    mtu: u16,
) -> Option<(Header, Place)> {
    let (fixed, of_first) = whole.split_at_checked(ipv4::HEADER_LEN)?;
    let mut header = ArrayVec::new();
    header.try_extend_from_slice(fixed).ok()?;
    header.try_extend_from_slice(if offset == 0 { of_first } else { copied }).ok()?;
    let room_of_last = usize::from(mtu).saturating_sub(header.len());
    let place = Place::of((offset, rest), room(mtu, header.len()), room_of_last);
    describe(&mut header, place)?;
    Some((header, place))
}

/// Lengths, place and checksum of the fragment with this header.
// F18, RFC 791 3.1: offsets count eights, all but the last have MF, and DF is clear: it would be a lie.
fn describe(header: &mut [u8], place: Place) -> Option<()> {
    let words = u8::try_from(header.len() / 4).ok()?;
    let total_len = u16::try_from(header.len() + place.len).ok()?;
    let word = u16::try_from(place.offset / 8).ok()? | if place.last { 0 } else { MORE_FRAGMENTS };
    let fixed = header.first_chunk_mut::<{ ipv4::HEADER_LEN }>()?;
    fixed[0] = 0x40 | words;
    fixed[2..4].copy_from_slice(&total_len.to_be_bytes());
    // What fits into one packet is none, and keeps what it says.
    if word != 0 {
        fixed[6..8].copy_from_slice(&word.to_be_bytes());
    }
    ipv4::fill_checksum(header);
    Some(())
}

/// The options of `header` that every fragment has, in whole words. None if the header is none.
// F18, RFC 791 3.1: those with the copied bit; what filled the gaps between the others is not.
pub(super) fn copied_options(header: &[u8]) -> ArrayVec<u8, HEADER_MAX> {
    let mut copied = ArrayVec::new();
    let Ok(ip) = Ipv4::parse_front(header) else { return copied };
    for option in ip.options() {
        // Behind one that cannot be, nobody knows where the next one begins.
        let Ok(option) = option else { break };
        if option.kind & COPIED == 0 {
            continue;
        }
        // NOTE(push): they fit into the header that they are from.
        let len = u8::try_from(option.data.len() + 2).unwrap_or_default();
        let _ = copied.try_extend_from_slice(&[option.kind, len]);
        let _ = copied.try_extend_from_slice(option.data);
    }
    while copied.len() % 4 != 0 && copied.try_push(OPTION_END).is_ok() {}
    copied
}
