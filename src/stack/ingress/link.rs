//! The link layer of a received frame: is it for us, and where does its network layer begin?

use crate::addr::MacAddr;
use crate::io::{DropReason, RxMeta};
use crate::stack::interface::{Interface, Interfaces};
use crate::wire::ethernet::Header;
use crate::wire::vlan::{self, Tci, UntagError};

/// To whom a frame was addressed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum LinkCast {
    /// Our own MAC address.
    Own,
    /// Everyone, or a group that we want.
    Many,
}

/// A frame that is for us.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link<'a> {
    /// The interface that its VLAN leads to.
    pub(super) interface: &'a Interface,
    pub(super) cast: LinkCast,
    pub(super) ethertype: u16,
    /// Bytes before `l3`.
    pub(super) l3_offset: u8,
    /// The rest of the frame, padding included.
    pub(super) l3: &'a [u8],
}

impl<'a> Link<'a> {
    pub(super) fn parse(
        frame: &'a [u8],
        meta: RxMeta,
        interfaces: &'a Interfaces,
    ) -> Result<Self, DropReason> {
        // E17: cut short at any byte, a frame is dropped and nothing is read beyond its end.
        let (header, _) = Header::parse(frame).ok_or(DropReason::EthernetTruncated)?;
        check_source(header.src, interfaces)?;
        let cast = check_destination(header.dst, interfaces)?;
        let untagged = vlan::untag(frame).map_err(|e| match e {
            UntagError::Truncated => DropReason::EthernetTruncated,
            UntagError::Stacked => DropReason::VlanUnknown,
        })?;
        let vid = vid(untagged.vid, meta.stripped_tci)?;
        let interface = interfaces.of_vid(vid).ok_or(DropReason::VlanUnknown)?;
        let l3_offset = u8::try_from(untagged.l3_offset).map_err(|_| DropReason::EthernetTruncated)?;
        Ok(Self { interface, cast, ethertype: untagged.ethertype, l3_offset, l3: untagged.l3 })
    }
}

/// The VLAN that a frame names, 0 for none: by the tag in it, or by the one that the device has taken off.
// E11, 802.1Q 6.9: VLAN 0 names a priority and no VLAN. Two tags that each name a VLAN are a provider's stack.
fn vid(in_frame: u16, stripped: Option<u16>) -> Result<u16, DropReason> {
    let stripped = stripped.map_or(0, |tci| Tci(tci).vid());
    if stripped != 0 && in_frame != 0 { Err(DropReason::VlanUnknown) } else { Ok(stripped | in_frame) }
}

/// E14: no station has a group address, and what comes from our own has come round a loop.
fn check_source(src: MacAddr, interfaces: &Interfaces) -> Result<(), DropReason> {
    if src.is_group() {
        Err(DropReason::EthernetSourceGroup)
    } else if src == interfaces.mac() {
        Err(DropReason::EthernetSourceOwn)
    } else {
        Ok(())
    }
}

/// E01, RFC 1112 6.4: our own address, broadcast, or a group that we want; the device may deliver more than that. A group
/// of another VLAN passes here, as it does the device; IP refuses it.
fn check_destination(dst: MacAddr, interfaces: &Interfaces) -> Result<LinkCast, DropReason> {
    if dst == interfaces.mac() {
        Ok(LinkCast::Own)
    } else if dst == MacAddr::BROADCAST || interfaces.wants(dst) {
        Ok(LinkCast::Many)
    } else if dst.is_group() {
        Err(DropReason::EthernetGroupNotJoined)
    } else {
        Err(DropReason::EthernetNotForUs)
    }
}
