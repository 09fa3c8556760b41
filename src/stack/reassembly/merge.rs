//! The datagram that fragments make up: one ordinary buffer, or a head and a body.

use super::Piece;
use crate::io::{BufPool, DropReason, PacketBuf};
use crate::wire::ethernet::ETHERTYPE_VLAN;
use crate::wire::ipv4::{self, Ipv4};

/// Bytes of the two Ethernet addresses of a frame.
const ADDRESSES: usize = 12;

/// What all fragments together say.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sum {
    /// Bytes of the payload.
    pub(super) end: u16,
    /// The codepoints of congestion notification that were seen, a bit each.
    pub(super) ecn: u8,
}

/// The datagram of `first` and all `pieces`, of which there are enough: the headers are those of the first (its options
/// among them), mended.
pub(super) fn merge<'a, P: BufPool>(
    first: &Piece<P::Buf>,
    pieces: impl Iterator<Item = &'a Piece<P::Buf>>,
    sum: Sum,
    pool: &P,
) -> Result<P::Buf, DropReason> {
    let ecn = congestion(sum.ecn).ok_or(DropReason::FragmentEcn)?;
    let end = usize::from(sum.end);
    let header_len = usize::from(first.header_len);
    // F06, RFC 791 3.1: the length of the whole has 16 bits.
    let total_len = u16::try_from(header_len + end).map_err(|_| DropReason::FragmentTooFar)?;
    let frame = first.buf.data();
    let addresses = frame.get(..ADDRESSES).unwrap_or_default();
    let rest = frame.get(ADDRESSES..usize::from(first.l3) + header_len).unwrap_or_default();
    // A tag that the device took off is no longer told of a packet that no device received: it goes back.
    let tag = first.buf.rx_meta().stripped_tci.map(tag_bytes);
    let tag = tag.as_ref().map_or(&[][..], |tag| tag);
    let head_len = addresses.len() + tag.len() + rest.len();
    let ip = head_len - header_len;

    let mut buf = pool.alloc().ok_or(DropReason::NoBuffer)?;
    let fits = buf.set_len(head_len + end);
    if !(fits || buf.set_len(head_len)) {
        return Err(DropReason::NoBuffer);
    }
    let whole = buf.unique().ok_or(DropReason::NoBuffer)?;
    let (head, payload) = whole.split_at_mut_checked(head_len).ok_or(DropReason::NoBuffer)?;
    let parts = [addresses, tag, rest].into_iter().flatten();
    head.iter_mut().zip(parts).for_each(|(to, from)| *to = *from);
    mend(head.get_mut(ip..).unwrap_or_default(), total_len, ecn);
    // F10, RFC 1122 3.3.2: whatever IPv4 can carry.
    if fits {
        fill(payload, pieces);
        return Ok(buf);
    }
    let mut body = pool.alloc_large().ok_or(DropReason::NoBuffer)?;
    if !body.set_len(end) {
        return Err(DropReason::NoBuffer);
    }
    fill(body.unique().ok_or(DropReason::NoBuffer)?, pieces);
    buf.attach(body).map_err(|_| DropReason::NoBuffer)?;
    Ok(buf)
}

/// An 802.1Q tag.
fn tag_bytes(tci: u16) -> [u8; 4] {
    let ([a, b], [c, d]) = (ETHERTYPE_VLAN.to_be_bytes(), tci.to_be_bytes());
    [a, b, c, d]
}

/// Puts each piece where it belongs. None overlaps another.
fn fill<'a, B: PacketBuf>(payload: &mut [u8], pieces: impl Iterator<Item = &'a Piece<B>>) {
    for piece in pieces {
        let offset = usize::from(piece.offset);
        let to = payload.get_mut(offset..offset + usize::from(piece.len));
        if let (Some(to), Some(from)) = (to, piece.payload()) {
            to.copy_from_slice(from);
        }
    }
}

/// Makes the header of the first fragment that of the whole datagram.
// RFC 791 3.2, RFC 815 4: length, no fragment, checksum. The rest is the first fragment's.
fn mend(header: &mut [u8], total_len: u16, ecn: u8) {
    if let Some(fixed) = header.first_chunk_mut::<{ ipv4::HEADER_LEN }>() {
        fixed[1] |= ecn;
        fixed[2..4].copy_from_slice(&total_len.to_be_bytes());
        fixed[6..8].copy_from_slice(&[0, 0]);
    }
    ipv4::fill_checksum(header);
}

/// Bits of the mask of codepoints. RFC 3168 5.
const NOT_ECT: u8 = 1 << 0;
const CE: u8 = 1 << 3;

/// What is to be set in the field of the whole: congestion that any fragment met is met by all. `None`: that may not be
/// said of a sender that does not speak of congestion, and nothing else would be true.
// F15, RFC 3168 5.3. As Linux: codepoints that exclude each other, with or without congestion, are of no one datagram.
const fn congestion(seen: u8) -> Option<u8> {
    if seen & NOT_ECT != 0 && seen != NOT_ECT {
        None
    } else if seen & CE != 0 {
        Some(0b11)
    } else {
        Some(0)
    }
}

impl<B: PacketBuf> Piece<B> {
    /// The bytes of the datagram's payload in it.
    fn payload(&self) -> Option<&[u8]> {
        let l3 = self.buf.data().get(usize::from(self.l3)..)?;
        Ipv4::parse(l3).ok().map(|ip| ip.payload()).filter(|payload| payload.len() == usize::from(self.len))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // F15, RFC 3168 5.3: codepoints are 0 Not-ECT, 1 ECT(1), 2 ECT(0), 3 CE.
    #[test]
    fn congestion_is_kept_and_never_made_up() {
        let of = |codepoints: &[u8]| congestion(codepoints.iter().fold(0, |mask, c| mask | 1 << c));
        assert_eq!(of(&[0]), Some(0));
        assert_eq!(of(&[1]), Some(0));
        assert_eq!(of(&[1, 2]), Some(0));
        assert_eq!(of(&[3]), Some(3));
        assert_eq!(of(&[2, 3]), Some(3));
        assert_eq!(of(&[1, 2, 3]), Some(3));
        for mixed in [&[0, 3][..], &[0, 1], &[0, 2], &[0, 1, 2, 3]] {
            assert_eq!(of(mixed), None, "{mixed:?}");
        }
    }
}
