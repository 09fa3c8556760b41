//! Group management over IPv4: IGMP.

mod format;
#[cfg(test)]
mod tests;

use core::ops::Range;
use core::time::Duration;

use super::interface::{self, Gmp};
use super::{Choices, Format, Heard, Report, Sender, v1};
use crate::addr::{Family, V4};
use crate::io::{DropReason, IgmpPolicy, IgmpVersion};
pub use crate::wire::gmp::Version;
use crate::wire::igmp::{IgmpError, Message, NUMBER_OF_SOURCES, Query};
use crate::wire::ipv4::Ipv4;
use crate::wire::vlan::untag;

/// IGMP on one interface, the host's side.
pub type Igmp = Gmp<V4>;

/// An IGMP message with what its IP packet says.
pub type Packet<'a> = interface::Packet<'a, V4>;

impl Format for V4 {
    type Policy = IgmpPolicy;

    const NEWEST: Version = Version::V3;
    const UNWANTED: DropReason = DropReason::IgmpUnwanted;
    const TRUNCATED: DropReason = DropReason::IgmpTruncated;
    const NUMBER_OF_SOURCES: Range<usize> = NUMBER_OF_SOURCES;
    const REPEATED: DropReason = DropReason::IgmpRepeated;

    fn choices(policy: &IgmpPolicy) -> Choices {
        let version = match policy.version {
            IgmpVersion::Auto => None,
            IgmpVersion::V1 => Some(Version::V1),
            IgmpVersion::V2 => Some(Version::V2),
            IgmpVersion::V3 => Some(Version::V3),
        };
        let IgmpPolicy { robustness, query_interval, .. } = *policy;
        Choices { version, robustness: robustness.pinned(), query_interval }
    }

    // G03, RFC 1112, appendix I: version 1 has no leave.
    fn says_leave(version: Version) -> bool {
        version == Version::V2
    }

    // G38, RFC 9776 8.12: the robustness variable times the query interval, and ten times the Max Resp Time of that query.
    fn older_present_for(robustness: u8, query_interval: Duration, max_response: Duration) -> Duration {
        query_interval * u32::from(robustness) + max_response * 10
    }

    fn room(mtu: u16) -> usize {
        format::room(mtu)
    }

    fn packet(frame: &[u8]) -> Option<(usize, Packet<'_>)> {
        let untagged = untag(frame).ok()?;
        let ip = Ipv4::parse(untagged.l3).ok()?;
        let packet = Packet {
            src: ip.src(),
            dst: ip.dst(),
            hop_limit: ip.ttl(),
            router_alert: ip.scan_options().is_ok_and(|options| options.router_alert),
            payload: ip.payload(),
        };
        Some((untagged.l3_offset + ip.header_len(), packet))
    }

    // G12, RFC 4541 2.1.1 and Linux: whatever its TTL, and from whatever address: switches ask from 0.0.0.0.
    fn read<'a>(packet: &Packet<'a>) -> Result<Heard<'a, Self>, DropReason> {
        match Message::parse(packet.payload).map_err(drop_reason)? {
            Message::Query(query) => Ok(Heard::Query(query)),
            Message::ReportV1(group) | Message::ReportV2(group) => Ok(Heard::Report(group)),
            // G08, RFC 9776 5: what other hosts say in version 3, or to routers, does not concern this one.
            Message::LeaveV2(_) | Message::ReportV3(_) => Err(DropReason::IgmpUnwanted),
        }
    }

    fn refuses(policy: &IgmpPolicy, packet: &Packet<'_>, query: &Query<'_>) -> Option<DropReason> {
        let refused = policy.strict_queries && !is_strictly_right(packet, query);
        refused.then_some(DropReason::IgmpQueryStrict)
    }

    fn emit_report(report: &Report<Self>, from: Sender<Self>, out: &mut Vec<u8>) {
        format::emit_report(report, from, out);
    }

    fn emit_older(message: v1::Message<Self>, version: Version, from: Sender<Self>, out: &mut Vec<u8>) {
        format::emit_older(message, version, from, out);
    }
}

/// Whether even a strict host listens to a query.
// G10, G11, RFC 3376 9.1: queries of version 2 and 3 have Router Alert, and one of all groups goes to all hosts; version 1 is
// older than the option. What comes to this host alone has not crossed a router either.
fn is_strictly_right(packet: &Packet<'_>, query: &Query<'_>) -> bool {
    let marked = packet.router_alert || query.version == Version::V1;
    let to_all = query.group.is_some() || !packet.dst.is_multicast() || packet.dst == V4::ALL_HOSTS;
    marked && to_all
}

/// How a message that is of no use is counted.
const fn drop_reason(error: IgmpError) -> DropReason {
    match error {
        IgmpError::Truncated => DropReason::IgmpTruncated,
        IgmpError::Checksum => DropReason::IgmpChecksum,
        IgmpError::QueryInvalid => DropReason::IgmpQueryInvalid,
        IgmpError::ReportInvalid | IgmpError::UnknownType(_) => DropReason::IgmpUnwanted,
    }
}
