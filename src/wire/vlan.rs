//! VLAN tags (IEEE 802.1Q and 802.1ad) between the Ethernet addresses and the type.

use crate::addr::Vid;

use super::ethernet::{ETHERTYPE_QINQ, ETHERTYPE_VLAN, HEADER_LEN};

/// Bytes that one tag adds to a header.
pub const TAG_LEN: usize = 4;

/// The most tags that [`untag`] walks past.
pub const TAGS_MAX: usize = 2;

/// Tag control information: priority, drop eligibility, VLAN.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tci(pub u16);

impl Tci {
    /// Priority code point, 0 to 7.
    #[inline]
    #[must_use]
    pub const fn pcp(self) -> u8 {
        self.0.to_be_bytes()[0] >> 5
    }

    /// Drop eligible indicator.
    #[inline]
    #[must_use]
    pub const fn dei(self) -> bool {
        self.0 & 0x1000 != 0
    }

    /// VLAN identifier, 0 to 4095. E11, 802.1Q 6.9: 0 names no VLAN, the tag carries a priority alone.
    #[inline]
    #[must_use]
    pub const fn vid(self) -> u16 {
        self.0 & 0x0fff
    }
}

/// What lies behind a frame's Ethernet header and tags.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Untagged<'a> {
    /// The type behind the last tag.
    pub ethertype: u16,
    /// The VLAN; 0: none, the frame is untagged or only priority-tagged.
    pub vid: u16,
    /// Bytes before [`l3`](Self::l3).
    pub l3_offset: usize,
    /// The rest of the frame, padding included.
    pub l3: &'a [u8],
}

/// Why a frame's tags do not lead to one VLAN.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UntagError {
    /// The frame ends before its type does.
    Truncated,
    /// More than [`TAGS_MAX`] tags, or two that each name a VLAN: a provider's stack, which no host is configured for.
    Stacked,
}

/// Writes what follows [`ETHERTYPE_VLAN`]: the tag control information of `vid` with priority 0, and the type of what
/// comes then. Returns that; `None`: `out` is too short.
#[inline]
#[must_use]
pub fn emit(out: &mut [u8], vid: Vid, ethertype: u16) -> Option<&mut [u8]> {
    let (tag, rest) = out.split_first_chunk_mut::<TAG_LEN>()?;
    let ([c0, c1], [t0, t1]) = (vid.get().to_be_bytes(), ethertype.to_be_bytes());
    *tag = [c0, c1, t0, t1];
    Some(rest)
}

/// Whether a tag follows this EtherType.
#[inline]
#[must_use]
pub const fn is_tag(ethertype: u16) -> bool {
    matches!(ethertype, ETHERTYPE_VLAN | ETHERTYPE_QINQ)
}

/// Walks past the Ethernet header and at most [`TAGS_MAX`] tags of `frame`.
///
/// # Errors
/// The frame is cut short, or its tags are [stacked](UntagError::Stacked).
#[inline]
pub fn untag(frame: &[u8]) -> Result<Untagged<'_>, UntagError> {
    let (header, l3) = frame.split_first_chunk::<HEADER_LEN>().ok_or(UntagError::Truncated)?;
    let ethertype = u16::from_be_bytes([header[12], header[13]]);
    let plain = Untagged { ethertype, vid: 0, l3_offset: HEADER_LEN, l3 };
    if is_tag(ethertype) { walk(plain) } else { Ok(plain) }
}

// E11, 802.1Q 6.9: a priority tag (VID 0) is stepped over as if it were not there, of either kind; so at most one tag
// may name a VLAN.
fn walk(mut at: Untagged<'_>) -> Result<Untagged<'_>, UntagError> {
    for _ in 0..TAGS_MAX {
        let ([c0, c1, t0, t1], l3) = at.l3.split_first_chunk::<TAG_LEN>().ok_or(UntagError::Truncated)?;
        let vid = Tci(u16::from_be_bytes([*c0, *c1])).vid();
        if vid != 0 && at.vid != 0 {
            return Err(UntagError::Stacked);
        }
        let ethertype = u16::from_be_bytes([*t0, *t1]);
        at = Untagged { ethertype, vid: at.vid | vid, l3_offset: at.l3_offset + TAG_LEN, l3 };
        if !is_tag(ethertype) {
            return Ok(at);
        }
    }
    Err(UntagError::Stacked)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A frame with these tags, then IPv4 and one byte.
    fn frame(tags: &[(u16, u16)]) -> Vec<u8> {
        let mut frame = vec![2; 12];
        for (tpid, tci) in tags {
            frame.extend(tpid.to_be_bytes());
            frame.extend(tci.to_be_bytes());
        }
        frame.extend([0x08, 0x00, 0x45]);
        frame
    }

    #[test]
    fn the_tag_control_information_is_split_as_8021q_says() {
        let tci = Tci((5 << 13) | 0x1000 | 7);
        assert_eq!((tci.pcp(), tci.dei(), tci.vid()), (5, true, 7));
        assert_eq!((Tci(0x0fff).pcp(), Tci(0x0fff).dei(), Tci(0x0fff).vid()), (0, false, 4095));
    }

    // E12, 802.1Q: what is written is read as the same VLAN.
    #[test]
    fn a_written_tag_names_its_vlan() {
        let mut frame = frame(&[(0x8100, 0xffff)]);
        let rest = emit(&mut frame[14..], Vid::new(4094).unwrap(), 0x0806).unwrap();
        assert_eq!(rest, [0x45]);
        assert_eq!(untag(&frame).map(|u| (u.vid, u.ethertype)), Ok((4094, 0x0806)));
        assert!(emit(&mut [0; 3], Vid::MIN, 0x0800).is_none());
    }

    // E11, 802.1Q 6.9: VID 0 of either kind is untagged, whatever its priority; other VIDs are told.
    #[test]
    fn a_priority_tag_is_as_good_as_none() {
        let expected = |vid, l3_offset| Ok(Untagged { ethertype: 0x0800, vid, l3_offset, l3: &[0x45] });
        assert_eq!(untag(&frame(&[])), expected(0, 14));
        assert_eq!(untag(&frame(&[(0x8100, 0)])), expected(0, 18));
        assert_eq!(untag(&frame(&[(0x88a8, 0xe000)])), expected(0, 18));
        assert_eq!(untag(&frame(&[(0x8100, 5)])), expected(5, 18));
        assert_eq!(untag(&frame(&[(0x88a8, 0), (0x8100, 5)])), expected(5, 22));
        assert_eq!(untag(&frame(&[(0x88a8, 5), (0x8100, 0)])), expected(5, 22));
        assert_eq!(untag(&frame(&[(0x8100, 0), (0x8100, 0)])), expected(0, 22));
    }

    #[test]
    fn a_provider_stack_is_refused() {
        assert_eq!(untag(&frame(&[(0x88a8, 5), (0x8100, 6)])), Err(UntagError::Stacked));
        assert_eq!(untag(&frame(&[(0x88a8, 5), (0x8100, 5)])), Err(UntagError::Stacked));
        assert_eq!(untag(&frame(&[(0x8100, 0), (0x8100, 0), (0x8100, 0)])), Err(UntagError::Stacked));
    }

    // E17: cut at any byte.
    #[test]
    fn a_frame_cut_within_its_tags_is_truncated() {
        for tags in [&[][..], &[(0x8100, 0)], &[(0x88a8, 0), (0x8100, 0)]] {
            let frame = frame(tags);
            for len in 0..frame.len() - 1 {
                assert_eq!(untag(&frame[..len]), Err(UntagError::Truncated), "{len}");
            }
            assert!(untag(&frame).is_ok());
        }
    }

    proptest! {
        #[test]
        fn any_frame_is_read_within_its_bounds(
            head in proptest::collection::vec(any::<u8>(), 12),
            tags in proptest::collection::vec((prop_oneof![Just(0x8100u16), Just(0x88a8), any::<u16>()], any::<u16>()), 0..4),
            tail in proptest::collection::vec(any::<u8>(), 0..10),
        ) {
            let mut frame = head;
            for (a, b) in tags {
                frame.extend(a.to_be_bytes());
                frame.extend(b.to_be_bytes());
            }
            frame.extend(tail);
            if let Ok(u) = untag(&frame) {
                prop_assert_eq!(&frame[u.l3_offset..], u.l3);
                prop_assert_eq!(&frame[u.l3_offset - 2..u.l3_offset], &u.ethertype.to_be_bytes()[..]);
                prop_assert!(!is_tag(u.ethertype) && u.vid < 4096);
            }
        }
    }
}
