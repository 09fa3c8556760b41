//! The headers of an IPv6 fragment. RFC 8200 4.5.

use arrayvec::ArrayVec;

use super::{Header, Place};
use crate::wire::ipv6::ext::FRAGMENT_HEADER_LEN;
use crate::wire::ipv6::{self, NEXT_HEADER_FRAGMENT};

/// Bit of the word that begins with the fragment offset.
const MORE_FRAGMENTS: u16 = 1;

/// The headers of the piece from `offset` on, of a datagram that has `rest` bytes from there on and whose header is `whole`.
// RFC 8021 3, RFC 8200 5: what fits into one packet has no fragment header.
pub(super) fn headers(
    whole: &[u8],
    id: u32,
    (offset, rest): (usize, usize),
    mtu: u16,
) -> Option<(Header, Place)> {
    let mut header = ArrayVec::new();
    header.try_extend_from_slice(whole.get(..ipv6::HEADER_LEN)?).ok()?;
    let room = usize::from(mtu).saturating_sub(ipv6::HEADER_LEN);
    if offset == 0 && rest <= room {
        set_payload_len(&mut header, rest)?;
        return Some((header, Place { offset, len: rest, last: true }));
    }
    let room = room.saturating_sub(FRAGMENT_HEADER_LEN);
    // W04, RFC 8200 4.5: all but the last have a multiple of eight.
    let place = Place::of((offset, rest), room & !7, room);
    set_payload_len(&mut header, FRAGMENT_HEADER_LEN + place.len)?;
    let next_header = core::mem::replace(header.get_mut(ipv6::NEXT_HEADER_OFFSET)?, NEXT_HEADER_FRAGMENT);
    let word = u16::try_from(place.offset).ok()? | if place.last { 0 } else { MORE_FRAGMENTS };
    // W09: what is reserved is 0.
    header.try_extend_from_slice(&[next_header, 0]).ok()?;
    header.try_extend_from_slice(&word.to_be_bytes()).ok()?;
    header.try_extend_from_slice(&id.to_be_bytes()).ok()?;
    Some((header, place))
}

fn set_payload_len(header: &mut [u8], len: usize) -> Option<()> {
    let field = header.get_mut(ipv6::PAYLOAD_LEN_OFFSET..)?.first_chunk_mut()?;
    *field = u16::try_from(len).ok()?.to_be_bytes();
    Some(())
}
