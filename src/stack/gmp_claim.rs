//! What a message of IGMP or MLD would have control do, read by the worker that received it.
//!
//! Two messages with the same [`Subject`] set the same timer, whoever sent them; so while one of them waits for control
//! the other adds nothing, unless it wants its answer sooner. There are no more subjects than timers, but for the lists
//! of sources that may be asked for, and where these become too many, [`widen`] makes such a question one of the group
//! as a whole. Not here: what waits (`engine::gmp_gate`), and the timers themselves ([`gmp`](super::gmp)).

use core::hash::{BuildHasher, Hash, Hasher};
use core::time::Duration;

use foldhash::fast::FixedState;

use super::gmp::{Format, Heard, Packet, Version};
use super::groups::GroupTable;
use crate::addr::{Family, Group};
use crate::io::DropReason;
use crate::wire::gmp::Query;

/// What a message is about. Messages that differ only in what is not here do the same to a host.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Subject<F: Family> {
    /// A General Query.
    General(Version, Manner),
    /// A query of a group that is joined.
    Group(Group<F>, Version, Manner),
    /// A query of a group that is joined and of sources: a keyed hash of their list, in its order.
    Sources(Group<F>, u64, Manner),
    /// A query of any group that is not joined: there is nothing to answer.
    NotJoined(Manner),
    /// Another host's report of a group that is joined, of an older version.
    Report(Group<F>),
}

/// How a query came, which is what a strict host looks at (`igmp_strict_queries`, G10, G11): what such a host passes over
/// never stands for what it would take.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Manner {
    router_alert: bool,
    to: To,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum To {
    AllHosts,
    ItsGroup,
    OtherGroup,
    ThisHost,
}

/// A message, as far as the way to control is concerned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Claim<F: Family> {
    /// What it is about.
    pub subject: Subject<F>,
    /// Within which time it wants its answer, in milliseconds: at most [`WITHIN_MAX`].
    pub within: u32,
}

/// The longest time that a query can name, in milliseconds, with some to spare. RFC 9777 5.1.3.
pub const WITHIN_MAX: u32 = (1 << 23) - 1;

/// Reads the message in `frame`, which ingress has found to be one. `groups` are the interface's, and `secret` keeps an
/// outsider from finding two lists of sources with one hash.
///
/// # Errors
/// Why no host needs to hear of it.
// G06, RFC 9776 4.1.2: the checksum is looked at first, so that nothing damaged stands for anything whole. L03: nor anything
// that did not come from this link.
pub fn read<F: Format>(frame: &[u8], groups: &GroupTable<F>, secret: u64) -> Result<Claim<F>, DropReason> {
    let (_, packet) = F::packet(frame).ok_or(F::TRUNCATED)?;
    match F::read(&packet)? {
        Heard::Query(query) => Ok(of_query(&query, &packet, groups, secret)),
        // G40, RFC 2236 3, RFC 2710 4: what others report may spare us our own word, in older modes; not of a group that is not
        // ours.
        Heard::Report(group) if groups.is_joined(group.addr()) => {
            Ok(Claim { subject: Subject::Report(group), within: 0 })
        }
        Heard::Report(_) => Err(F::UNWANTED),
    }
}

fn of_query<F: Format>(
    query: &Query<'_, F>,
    packet: &Packet<'_, F>,
    groups: &GroupTable<F>,
    secret: u64,
) -> Claim<F> {
    let manner = Manner { router_alert: packet.router_alert, to: to(packet.dst, query.group) };
    let subject = match query.group {
        None => Subject::General(query.version, manner),
        Some(group) if !groups.is_joined(group.addr()) => Subject::NotJoined(manner),
        Some(group) if query.sources.is_empty() => Subject::Group(group, query.version, manner),
        Some(group) => {
            let mut hasher = FixedState::with_seed(secret).build_hasher();
            query.sources.iter().for_each(|source| source.hash(&mut hasher));
            Subject::Sources(group, hasher.finish(), manner)
        }
    };
    Claim { subject, within: millis(query.max_response) }
}

fn to<F: Family>(dst: F::Addr, group: Option<Group<F>>) -> To {
    match group {
        _ if dst == F::ALL_HOSTS => To::AllHosts,
        Some(group) if dst == group.addr() => To::ItsGroup,
        _ if F::is_multicast(dst) => To::OtherGroup,
        _ => To::ThisHost,
    }
}

fn millis(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX).min(WITHIN_MAX)
}

/// Makes a query of a group and of sources one of the group as a whole: whose answer tells more, and is told once for all
/// lists. False, and nothing done, if there is no such query in `frame`.
// G18, RFC 9776 5.2, RFC 9777 6.2, rule 4: a query of the group takes the place of all lists. What was the list is now octets
// behind the message, which 4.1.10 (of RFC 9777, 5.1.12) has everyone pass over.
#[must_use]
pub fn widen<F: Format>(frame: &mut [u8]) -> bool {
    let Some((at, packet)) = F::packet(frame) else { return false };
    let is_asked = matches!(F::read(&packet), Ok(Heard::Query(query)) if !query.sources.is_empty());
    let Some(message) = frame.get_mut(at..).filter(|_| is_asked) else { return false };
    let Some(&count) = message.get(F::NUMBER_OF_SOURCES).and_then(<[u8]>::first_chunk::<2>) else {
        return false;
    };
    if let Some(field) = message.get_mut(F::NUMBER_OF_SOURCES) {
        field.fill(0);
    }
    let Some(sum) = message.get_mut(2..).and_then(<[u8]>::first_chunk_mut::<2>) else { return false };
    *sum = without(u16::from_be_bytes(*sum), u16::from_be_bytes(count)).to_be_bytes();
    true
}

/// The checksum `sum` of a message after one of its words has become 0.
// RFC 1624 3, equation 3: HC' = ~(~HC + ~m + m').
const fn without(sum: u16, word: u16) -> u16 {
    let (sum, carry) = (!sum).overflowing_add(!word);
    !(sum + carry as u16)
}

#[cfg(test)]
mod tests {
    use core::net::Ipv4Addr;

    use super::*;
    use crate::addr::V4;
    use crate::stack::membership::SourceFilter;
    use crate::wire::checksum::Sum;
    use crate::wire::{ethernet, ipv4};

    const SECRET: u64 = 7;
    const GROUP: Ipv4Addr = Ipv4Addr::new(239, 1, 2, 3);
    const OTHER: Ipv4Addr = Ipv4Addr::new(239, 1, 2, 4);
    const ALL_HOSTS: Ipv4Addr = V4::ALL_HOSTS;
    const ANY: Ipv4Addr = Ipv4Addr::UNSPECIFIED;

    fn groups() -> GroupTable<V4> {
        GroupTable::new(1, [(Group::new(GROUP).unwrap(), 0, SourceFilter::ANY)].into_iter())
    }

    fn frame(src: [u8; 4], dst: Ipv4Addr, router_alert: bool, message: &[u8]) -> Vec<u8> {
        let mut message = message.to_vec();
        let sum = Sum::of(&message).finish();
        message[2..4].copy_from_slice(&sum.to_be_bytes());
        let options = if router_alert { 4 } else { 0 };
        let mut out = vec![0; ethernet::HEADER_LEN + ipv4::HEADER_LEN + options];
        out.extend(&message);
        let mac = crate::addr::MacAddr([2, 0, 0, 0, 0, 1]);
        let link = ethernet::Header { dst: mac, src: mac, ethertype: ethernet::ETHERTYPE_IPV4 };
        let ip = ipv4::Repr {
            tos: 0xc0,
            id: 1,
            dont_fragment: false,
            ttl: 1,
            protocol: ipv4::PROTOCOL_IGMP,
            src: src.into(),
            dst,
            payload_len: u16::try_from(message.len()).unwrap(),
            router_alert,
        };
        link.emit(&mut out).and_then(|l3| ip.emit(l3)).unwrap();
        out
    }

    fn query(code: u8, group: Ipv4Addr, sources: &[[u8; 4]]) -> Vec<u8> {
        let count = u8::try_from(sources.len()).unwrap();
        let head = [&[0x11, code, 0, 0][..], &group.octets(), &[2, 125, 0, count]].concat();
        [head, sources.concat()].concat()
    }

    fn claim(message: &[u8]) -> Result<Claim<V4>, DropReason> {
        read(&frame([198, 18, 0, 1], ALL_HOSTS, true, message), &groups(), SECRET)
    }

    fn subject(message: &[u8]) -> Subject<V4> {
        claim(message).unwrap().subject
    }

    // G47: who asks, and how robust a querier says it is, sets no other timer.
    #[test]
    fn queries_that_set_the_same_timer_have_the_same_subject() {
        let one = query(100, ANY, &[]);
        let mut other = one.clone();
        other[8..10].copy_from_slice(&[7, 10]);
        assert_eq!(subject(&one), subject(&other));
        let spoofed = read(&frame([203, 0, 113, 9], ALL_HOSTS, true, &one), &groups(), SECRET);
        assert_eq!(spoofed, claim(&one));
        assert_eq!(
            subject(&query(10, OTHER, &[])),
            subject(&query(99, Ipv4Addr::new(239, 9, 9, 9), &[[1; 4]]))
        );
    }

    #[test]
    fn queries_that_do_not_have_not() {
        let subjects = [
            subject(&query(100, ANY, &[])),
            subject(&query(100, ANY, &[])[..8]),
            subject(&query(0, ANY, &[])[..8]),
            subject(&query(100, GROUP, &[])),
            subject(&query(100, GROUP, &[])[..8]),
            subject(&query(100, GROUP, &[[198, 18, 0, 1]])),
            subject(&query(100, GROUP, &[[198, 18, 0, 2]])),
            subject(&query(100, OTHER, &[])),
            subject(&[0x16, 0, 0, 0, 239, 1, 2, 3]),
            // G10, G11: a strict host takes the first alone.
            read(&frame([198, 18, 0, 1], ALL_HOSTS, false, &query(100, ANY, &[])), &groups(), SECRET)
                .unwrap()
                .subject,
            read(&frame([198, 18, 0, 1], GROUP, true, &query(100, ANY, &[])), &groups(), SECRET)
                .unwrap()
                .subject,
            read(&frame([198, 18, 0, 1], GROUP, true, &query(100, GROUP, &[])), &groups(), SECRET)
                .unwrap()
                .subject,
        ];
        for (i, one) in subjects.iter().enumerate() {
            assert!(!subjects[..i].contains(one), "{i}: {one:?}");
        }
    }

    // G13, RFC 9776 4.1.1.
    #[test]
    fn the_time_is_in_milliseconds() {
        let within = |message: &[u8]| claim(message).unwrap().within;
        assert_eq!(within(&query(100, ANY, &[])), 10_000);
        assert_eq!(within(&query(0xff, ANY, &[])), 3_174_400);
        assert_eq!(within(&query(0xff, ANY, &[])[..8]), 25_500);
        assert_eq!(within(&query(0, ANY, &[])), 0);
    }

    // G06, G08, G22: what control would drop never gets so far.
    #[test]
    fn what_no_host_needs_to_hear_is_dropped_for_its_reason() {
        let mut damaged = frame([198, 18, 0, 1], ALL_HOSTS, true, &query(100, ANY, &[]));
        *damaged.last_mut().unwrap() ^= 1;
        assert_eq!(read(&damaged, &groups(), SECRET), Err(DropReason::IgmpChecksum));
        assert_eq!(claim(&query(1, ANY, &[])[..9]), Err(DropReason::IgmpTruncated));
        assert_eq!(claim(&query(1, ANY, &[[1, 1, 1, 1]])), Err(DropReason::IgmpQueryInvalid));
        for message in
            [[0x16, 0, 0, 0, 239, 1, 2, 4], [0x17, 0, 0, 0, 239, 1, 2, 3], [0x22, 0, 0, 0, 0, 0, 0, 0]]
        {
            assert_eq!(claim(&message), Err(DropReason::IgmpUnwanted), "{message:x?}");
        }
    }

    // G18, RFC 9776 4.1.10, 5.2: as a whole query, with octets behind it.
    #[test]
    fn a_query_of_sources_is_widened_to_its_group() {
        for count in [1, 2, 60] {
            let sources: Vec<_> = (1..=count).map(|n| [198, 18, 3, n]).collect();
            let mut widened = frame([198, 18, 0, 1], ALL_HOSTS, true, &query(20, GROUP, &sources));
            assert!(widen::<V4>(&mut widened));
            let expected = claim(&query(20, GROUP, &[]));
            assert_eq!(read(&widened, &groups(), SECRET), expected);
            assert!(!widen::<V4>(&mut widened), "it has none any more");
        }
    }
}
