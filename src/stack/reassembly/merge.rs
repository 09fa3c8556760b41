//! The datagram that fragments make up: one ordinary buffer, or a head and a body.

use super::fragment::Front;
use super::pending::Piece;
use crate::io::{BufPool, DropReason, PacketBuf};
use crate::wire::ethernet::ETHERTYPE_VLAN;
use crate::wire::ipv4;

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
    let headers = Headers::of(first, ecn, sum.end)?;
    let (ip, end) = (headers.ip_at(), usize::from(sum.end));
    let others = headers.others.len();

    let mut buf = pool.alloc().ok_or(DropReason::NoBuffer)?;
    if buf.set_len(ip + headers.fixed.len() + others + end) {
        let whole = buf.unique().ok_or(DropReason::NoBuffer)?;
        let behind = headers.write(whole).ok_or(DropReason::NoBuffer)?;
        fill(headers.write_others(behind).ok_or(DropReason::NoBuffer)?, pieces);
        return Ok(buf);
    }
    // F10, RFC 1122 3.3.2; W11, RFC 8200 5: whatever IP can carry. The body is all that the IP header precedes: of IPv6, the other headers too.
    if !buf.set_len(ip + headers.fixed.len()) {
        return Err(DropReason::NoBuffer);
    }
    headers.write(buf.unique().ok_or(DropReason::NoBuffer)?).ok_or(DropReason::NoBuffer)?;
    let mut body = pool.alloc_large().ok_or(DropReason::NoBuffer)?;
    if !body.set_len(others + end) {
        return Err(DropReason::NoBuffer);
    }
    let behind = body.unique().ok_or(DropReason::NoBuffer)?;
    fill(headers.write_others(behind).ok_or(DropReason::NoBuffer)?, pieces);
    buf.attach(body).map_err(|_| DropReason::NoBuffer)?;
    Ok(buf)
}

/// The headers of the whole, which are the first fragment's, mended.
struct Headers<'a> {
    front: Front,
    addresses: &'a [u8],
    /// A tag that the device took off is no longer told of a packet that no device received: it goes back.
    tag: Option<[u8; 4]>,
    /// What is left of the link's header.
    link: &'a [u8],
    /// The IP header.
    fixed: &'a [u8],
    /// Headers between it and the fragments.
    others: &'a [u8],
    ecn: u8,
    /// The length that the IP header says.
    len: u16,
}

impl<'a> Headers<'a> {
    /// Those of the datagram that begins with `first` and has `end` bytes of fragments.
    // F06, RFC 791 3.1; W05, RFC 8200 4.5: the length of the whole has 16 bits.
    fn of<B: PacketBuf>(first: &'a Piece<B>, ecn: u8, end: u16) -> Result<Self, DropReason> {
        let front = first.front;
        let counted = if matches!(front, Front::V4 { .. }) {
            front.kept()
        } else {
            front.kept().saturating_sub(front.fixed())
        };
        let len = counted.checked_add(end).ok_or(DropReason::FragmentTooFar)?;
        let frame = first.buf.data();
        let l3 = usize::from(first.l3);
        let (fixed, kept) = (l3 + usize::from(front.fixed()), l3 + usize::from(front.kept()));
        Ok(Self {
            front,
            addresses: frame.get(..ADDRESSES).unwrap_or_default(),
            tag: first.buf.rx_meta().stripped_tci.map(tag_bytes),
            link: frame.get(ADDRESSES..l3).unwrap_or_default(),
            fixed: frame.get(l3..fixed).unwrap_or_default(),
            others: frame.get(fixed..kept).unwrap_or_default(),
            ecn,
            len,
        })
    }

    fn tag(&self) -> &[u8] {
        self.tag.as_ref().map_or(&[], |tag| tag)
    }

    /// Where the IP header begins.
    fn ip_at(&self) -> usize {
        self.addresses.len() + self.tag().len() + self.link.len()
    }

    /// Writes those of link and IP to the front of `out`. Returns what is behind them.
    fn write<'o>(&self, out: &'o mut [u8]) -> Option<&'o mut [u8]> {
        let (link, packet) = out.split_at_mut_checked(self.ip_at())?;
        let parts = [self.addresses, self.tag(), self.link].into_iter().flatten();
        link.iter_mut().zip(parts).for_each(|(to, from)| *to = *from);
        let (header, behind) = packet.split_at_mut_checked(self.fixed.len())?;
        header.copy_from_slice(self.fixed);
        match self.front {
            Front::V4 { .. } => mend_v4(header, self.len, self.ecn),
            Front::V6 { .. } => mend_v6(header, self.len, self.ecn),
        }
        self.name_next(header, 0);
        Some(behind)
    }

    /// Writes the others to the front of `out`. Returns what is behind them.
    fn write_others<'o>(&self, out: &'o mut [u8]) -> Option<&'o mut [u8]> {
        let (headers, behind) = out.split_at_mut_checked(self.others.len())?;
        headers.copy_from_slice(self.others);
        self.name_next(headers, self.fixed.len());
        Some(behind)
    }

    /// If the field that said that the fragment header follows is in `bytes`, which are those from `start` on, it says now
    /// what follows that.
    // RFC 8200 4.5: the fragment header is not in the whole.
    fn name_next(&self, bytes: &mut [u8], start: usize) {
        let Front::V6 { named_at, next_header, .. } = self.front else { return };
        let field = usize::from(named_at).checked_sub(start).and_then(|at| bytes.get_mut(at));
        if let Some(field) = field {
            *field = next_header;
        }
    }
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

/// Makes the IPv4 header of the first fragment that of the whole datagram, which has `total_len` bytes.
// RFC 791 3.2, RFC 815 4: length, no fragment, checksum. The rest is the first fragment's.
fn mend_v4(header: &mut [u8], total_len: u16, ecn: u8) {
    if let Some(fixed) = header.first_chunk_mut::<{ ipv4::HEADER_LEN }>() {
        fixed[1] |= ecn;
        fixed[2..4].copy_from_slice(&total_len.to_be_bytes());
        fixed[6..8].copy_from_slice(&[0, 0]);
    }
    ipv4::fill_checksum(header);
}

/// Makes the IPv6 header of the first fragment that of the whole datagram, which has `payload_len` bytes behind it.
// RFC 8200 4.5; RFC 3168 5: the traffic class begins after the version, and ends in the two bits of congestion.
fn mend_v6(header: &mut [u8], payload_len: u16, ecn: u8) {
    if let Some([_, class, _, _, len @ .., _, _]) = header.first_chunk_mut::<8>() {
        *class |= ecn << 4;
        *len = payload_len.to_be_bytes();
    }
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
