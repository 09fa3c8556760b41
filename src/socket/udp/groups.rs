//! Groups: RFC 3678, for both IP versions by the same calls.

use core::net::IpAddr;

use super::UdpSocket;
use crate::io::InterfaceId;
use crate::socket::call::{Call, FilterMode, MemberChange, Reply};
use crate::stack::sockets::MemberError;

impl UdpSocket {
    /// Receives what is sent to `group`, from anyone; by the route to the group if no interface is named.
    /// `MCAST_JOIN_GROUP`, `IP_ADD_MEMBERSHIP`, `IPV6_JOIN_GROUP`.
    ///
    /// # Errors
    /// It is joined already, or is no group, or too many are; the error has Linux's errno.
    // P01, P04.
    pub fn join(&self, group: IpAddr, interface: Option<InterfaceId>) -> Result<(), MemberError> {
        self.change_member(group, interface, MemberChange::Join)
    }

    /// Does not receive it any more. `MCAST_LEAVE_GROUP`, `IP_DROP_MEMBERSHIP`, `IPV6_LEAVE_GROUP`.
    ///
    /// # Errors
    /// It was not joined there.
    // P01.
    pub fn leave(&self, group: IpAddr, interface: Option<InterfaceId>) -> Result<(), MemberError> {
        self.change_member(group, interface, MemberChange::Leave)
    }

    /// Receives what `source` sends to `group`, too. `MCAST_JOIN_SOURCE_GROUP`, `IP_ADD_SOURCE_MEMBERSHIP`.
    ///
    /// # Errors
    /// It does already, or the group is joined for any source, or there are too many.
    // P02.
    pub fn join_source(
        &self,
        group: IpAddr,
        source: IpAddr,
        interface: Option<InterfaceId>,
    ) -> Result<(), MemberError> {
        self.change_member(group, interface, MemberChange::JoinSource(source))
    }

    /// Does not receive what `source` sends there any more. `MCAST_LEAVE_SOURCE_GROUP`, `IP_DROP_SOURCE_MEMBERSHIP`.
    ///
    /// # Errors
    /// The source was not joined there.
    // P02.
    pub fn leave_source(
        &self,
        group: IpAddr,
        source: IpAddr,
        interface: Option<InterfaceId>,
    ) -> Result<(), MemberError> {
        self.change_member(group, interface, MemberChange::LeaveSource(source))
    }

    /// Of a group that is joined for any source, does not receive what this one sends. `MCAST_BLOCK_SOURCE`, `IP_BLOCK_SOURCE`.
    ///
    /// # Errors
    /// The group is not joined for any source, or the source is blocked already.
    // P02.
    pub fn block_source(
        &self,
        group: IpAddr,
        source: IpAddr,
        interface: Option<InterfaceId>,
    ) -> Result<(), MemberError> {
        self.change_member(group, interface, MemberChange::Block(source))
    }

    /// Receives it again. `MCAST_UNBLOCK_SOURCE`, `IP_UNBLOCK_SOURCE`.
    ///
    /// # Errors
    /// The source is not blocked there.
    // P02.
    pub fn unblock_source(
        &self,
        group: IpAddr,
        source: IpAddr,
        interface: Option<InterfaceId>,
    ) -> Result<(), MemberError> {
        self.change_member(group, interface, MemberChange::Unblock(source))
    }

    /// Receives what these sources send to `group`, or what all others do. `MCAST_MSFILTER`, `IP_MSFILTER`.
    ///
    /// # Errors
    /// As joining has.
    // P06.
    pub fn set_source_filter(
        &self,
        group: IpAddr,
        interface: Option<InterfaceId>,
        mode: FilterMode,
        sources: &[IpAddr],
    ) -> Result<(), MemberError> {
        self.change_member(group, interface, MemberChange::SetFilter(mode, sources.to_vec()))
    }

    /// What it receives of `group`. getsockopt(2) `MCAST_MSFILTER`, `IP_MSFILTER`.
    ///
    /// # Errors
    /// The group is not joined there.
    // P06.
    pub fn source_filter(
        &self,
        group: IpAddr,
        interface: Option<InterfaceId>,
    ) -> Result<(FilterMode, Vec<IpAddr>), MemberError> {
        match self.host.ask.ask(Call::Filter { socket: self.id, group, interface }) {
            Reply::Filter(mode, sources) => Ok((mode, sources)),
            Reply::Refused(why) => Err(why.into()),
            _ => Err(MemberError::Down),
        }
    }

    fn change_member(
        &self,
        group: IpAddr,
        interface: Option<InterfaceId>,
        change: MemberChange,
    ) -> Result<(), MemberError> {
        Ok(self.settle(Call::Member { socket: self.id, group, interface, change })?)
    }
}
