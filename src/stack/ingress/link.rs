//! The link layer of a received frame: is it for us, and where does its network layer begin?

use crate::addr::MacAddr;
use crate::io::{DropReason, RxMeta};
use crate::stack::interface::Interface;
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
    pub(super) cast: LinkCast,
    pub(super) ethertype: u16,
    /// Bytes before `l3`.
    pub(super) l3_offset: u8,
    /// The rest of the frame, padding included.
    pub(super) l3: &'a [u8],
}

impl<'a> Link<'a> {
    pub(super) fn parse(frame: &'a [u8], meta: RxMeta, interface: &Interface) -> Result<Self, DropReason> {
        // E17: cut short at any byte, a frame is dropped and nothing is read beyond its end.
        let (header, _) = Header::parse(frame).ok_or(DropReason::EthernetTruncated)?;
        check_source(header.src, interface)?;
        let cast = check_destination(header.dst, interface)?;
        // E11, 802.1Q 6.9: VLAN 0 names a priority and no VLAN. The device may have taken the tag off already.
        if meta.stripped_tci.is_some_and(|tci| Tci(tci).vid() != 0) {
            return Err(DropReason::VlanUnknown);
        }
        let untagged = vlan::untag(frame).map_err(|e| match e {
            UntagError::Truncated => DropReason::EthernetTruncated,
            UntagError::Stacked => DropReason::VlanUnknown,
        })?;
        if untagged.vid != 0 {
            return Err(DropReason::VlanUnknown);
        }
        let l3_offset = u8::try_from(untagged.l3_offset).map_err(|_| DropReason::EthernetTruncated)?;
        Ok(Self { cast, ethertype: untagged.ethertype, l3_offset, l3: untagged.l3 })
    }
}

/// E14: no station has a group address, and what comes from our own has come round a loop.
fn check_source(src: MacAddr, interface: &Interface) -> Result<(), DropReason> {
    if src.is_group() {
        Err(DropReason::EthernetSourceGroup)
    } else if src == interface.mac {
        Err(DropReason::EthernetSourceOwn)
    } else {
        Ok(())
    }
}

/// E01, RFC 1112 6.4: our own address, broadcast, or a group that we want; the device may deliver more than that.
fn check_destination(dst: MacAddr, interface: &Interface) -> Result<LinkCast, DropReason> {
    if dst == interface.mac {
        Ok(LinkCast::Own)
    } else if dst == MacAddr::BROADCAST || interface.wants(dst) {
        Ok(LinkCast::Many)
    } else if dst.is_group() {
        Err(DropReason::EthernetGroupNotJoined)
    } else {
        Err(DropReason::EthernetNotForUs)
    }
}
