//! Group management over IPv6: MLD.
//!
//! What hosts say of IGMP in version 2 and 3 they say here in version 1 and 2, by the same machines. MLD is stricter about
//! what it hears, and solicited-node groups and the others of the link are told like any other, for a switch that snoops
//! passes on what it was told of only.

mod format;
#[cfg(test)]
mod tests;

use core::ops::Range;
use core::time::Duration;

use super::interface::{self, Gmp};
use super::{Choices, Format, Heard, Report, Sender, v1};
use crate::addr::V6;
use crate::io::{DropReason, MldPolicy, MldVersion};
pub use crate::wire::gmp::Version;
use crate::wire::ipv6::{self, Ipv6, ext};
use crate::wire::mld::{Message, MldError, NUMBER_OF_SOURCES, Query};
use crate::wire::vlan::untag;

/// MLD on one interface, the host's side.
pub type Mld = Gmp<V6>;

/// An MLD message with what its IP packet says.
pub type Packet<'a> = interface::Packet<'a, V6>;

/// The longest time that a host needs to answer a General Query, as far as it can know. RFC 9777 9.3.
const QUERY_RESPONSE_INTERVAL: Duration = Duration::from_secs(10);

impl Format for V6 {
    type Policy = MldPolicy;

    const NEWEST: Version = Version::V2;
    const UNWANTED: DropReason = DropReason::MldUnwanted;
    const TRUNCATED: DropReason = DropReason::MldTruncated;
    const NUMBER_OF_SOURCES: Range<usize> = NUMBER_OF_SOURCES;
    const REPEATED: DropReason = DropReason::MldRepeated;

    fn choices(policy: &MldPolicy) -> Choices {
        let version = match policy.version {
            MldVersion::Auto => None,
            MldVersion::V1 => Some(Version::V1),
            MldVersion::V2 => Some(Version::V2),
        };
        let MldPolicy { robustness, query_interval, .. } = *policy;
        Choices { version, robustness: robustness.pinned(), query_interval }
    }

    // L02, RFC 2710 4: version 1 has Done.
    fn says_leave(_version: Version) -> bool {
        true
    }

    // L11, RFC 9777 9.12: the robustness variable times the query interval, and the query response interval; the defaults, for
    // a host does not know what the older querier has.
    fn older_present_for(robustness: u8, query_interval: Duration, _max_response: Duration) -> Duration {
        query_interval * u32::from(robustness) + QUERY_RESPONSE_INTERVAL
    }

    fn room(mtu: u16) -> usize {
        format::room(mtu)
    }

    fn packet(frame: &[u8]) -> Option<(usize, Packet<'_>)> {
        let untagged = untag(frame).ok()?;
        let ip = Ipv6::parse(untagged.l3).ok()?;
        let chain = ext::walk(&ip).ok().filter(|chain| chain.part().is_none())?;
        let offset = usize::from(chain.offset);
        let packet = Packet {
            src: ip.src(),
            dst: ip.dst(),
            hop_limit: ip.hop_limit(),
            router_alert: chain.router_alert,
            payload: ip.payload().get(offset.checked_sub(ipv6::HEADER_LEN)?..)?,
        };
        Some((untagged.l3_offset + offset, packet))
    }

    // L03, RFC 9777 6.2, RFC 2710 3: from a link-local address, with a hop limit of 1 and Router Alert; always, for nothing
    // that is on this link lacks them, and what is not may not set our timers or keep us silent.
    fn read<'a>(packet: &Packet<'a>) -> Result<Heard<'a, Self>, DropReason> {
        let message = Message::parse(packet.src, packet.dst, packet.payload).map_err(drop_reason)?;
        if !packet.src.is_unicast_link_local() || packet.hop_limit != 1 || !packet.router_alert {
            return Err(DropReason::MldNotOfLink);
        }
        match message {
            Message::Query(query) => Ok(Heard::Query(query)),
            Message::ReportV1(group) => Ok(Heard::Report(group)),
            // RFC 9777 6: what other hosts say in version 2, or to routers, does not concern this one.
            Message::DoneV1(_) | Message::ReportV2(_) => Err(DropReason::MldUnwanted),
        }
    }

    // L03: its checks are no choice.
    fn refuses(_policy: &MldPolicy, _packet: &Packet<'_>, _query: &Query<'_>) -> Option<DropReason> {
        None
    }

    fn emit_report(report: &Report<Self>, from: Sender<Self>, out: &mut Vec<u8>) {
        format::emit_report(report, from, out);
    }

    fn emit_older(message: v1::Message<Self>, _version: Version, from: Sender<Self>, out: &mut Vec<u8>) {
        format::emit_older(message, from, out);
    }
}

/// How a message that is of no use is counted.
const fn drop_reason(error: MldError) -> DropReason {
    match error {
        MldError::Truncated => DropReason::MldTruncated,
        MldError::Checksum => DropReason::MldChecksum,
        MldError::QueryInvalid => DropReason::MldQueryInvalid,
        MldError::ReportInvalid | MldError::UnknownType(_) => DropReason::MldUnwanted,
    }
}
