//! Orders that change memberships, filters and ports: what is said, and what is told of it.

use core::fmt;
use core::net::IpAddr;
use core::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::addr::{Family, Group, V4, V6};
use crate::io::FilterPolicy;

/// The most groups that one command may speak of: as many as an interface has by default at most.
pub(super) const GROUPS_MAX: u64 = 16_384;

/// Groups of one IP version that follow one another: one, a prefix or a range. Written `239.1.2.3`, `239.1.0.0/22`,
/// `239.1.0.1-239.1.3.232`; `ff0e::1:2:3`, `ff0e::1:0/120`, `ff0e::1-ff0e::ff`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum GroupRange {
    /// Of IPv4.
    V4(Span<V4>),
    /// Of IPv6.
    V6(Span<V6>),
}

impl GroupRange {
    /// How many groups these are; `u64::MAX` if there are more than that.
    #[must_use]
    pub fn len(self) -> u64 {
        match self {
            Self::V4(span) => span.len(),
            Self::V6(span) => span.len(),
        }
    }

    /// Never: there is always one.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        false
    }

    /// The span, if it is of this IP version.
    #[must_use]
    pub fn of<F: Spanned>(self) -> Option<Span<F>> {
        F::span(self)
    }
}

/// The first and the last of groups that follow one another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Span<F: Family> {
    first: Group<F>,
    last: Group<F>,
}

impl<F: Family> Span<F> {
    fn len(self) -> u64 {
        let between = bits::<F>(self.last.addr()) - bits::<F>(self.first.addr());
        u64::try_from(between).unwrap_or(u64::MAX).saturating_add(1)
    }

    /// The groups, in order.
    pub fn iter(self) -> impl Iterator<Item = Group<F>> {
        let (first, last) = (bits::<F>(self.first.addr()), bits::<F>(self.last.addr()));
        (first..=last).filter_map(|bits| Group::new(from_bits::<F>(bits)))
    }
}

/// An IP version as a range of groups is written in it.
pub trait Spanned: Family<Addr: FromStr> {
    /// Its name, an example of an address, and where its groups begin and end.
    const WORDS: Words;

    /// The span of `range`, if it is of this version.
    fn span(range: GroupRange) -> Option<Span<Self>>;

    /// A span as a range.
    fn range(span: Span<Self>) -> GroupRange;
}

/// What is said of an IP version to people.
#[derive(Clone, Copy, Debug)]
pub struct Words {
    /// Its name.
    pub name: &'static str,
    /// How an address of it is written.
    pub written: &'static str,
    /// Which its groups are.
    pub groups: &'static str,
    /// The least that a prefix of groups has in common, in bits.
    pub prefix_min: u8,
}

impl Spanned for V4 {
    const WORDS: Words = Words {
        name: "IPv4",
        written: "four numbers with dots, as in 239.1.2.3",
        groups: "224.0.0.0 to 239.255.255.255",
        prefix_min: 4,
    };

    fn span(range: GroupRange) -> Option<Span<Self>> {
        if let GroupRange::V4(span) = range { Some(span) } else { None }
    }

    fn range(span: Span<Self>) -> GroupRange {
        GroupRange::V4(span)
    }
}

impl Spanned for V6 {
    const WORDS: Words = Words {
        name: "IPv6",
        written: "hexadecimal words with colons, as in ff0e::1:2:3",
        groups: "ff00::/8",
        prefix_min: 8,
    };

    fn span(range: GroupRange) -> Option<Span<Self>> {
        if let GroupRange::V6(span) = range { Some(span) } else { None }
    }

    fn range(span: Span<Self>) -> GroupRange {
        GroupRange::V6(span)
    }
}

/// The bits of `addr` as a number.
fn bits<F: Family>(addr: F::Addr) -> u128 {
    F::octets(addr).as_ref().iter().fold(0, |bits, octet| bits << 8 | u128::from(*octet))
}

/// The address whose bits these are.
fn from_bits<F: Family>(bits: u128) -> F::Addr {
    let bytes = bits.to_be_bytes();
    let octets = bytes.get(bytes.len() - usize::from(F::BITS / 8)..).unwrap_or_default();
    F::Octets::try_from(octets).map_or(F::UNSPECIFIED, F::from_octets)
}

impl<F: Spanned> From<Group<F>> for GroupRange {
    fn from(group: Group<F>) -> Self {
        F::range(Span { first: group, last: group })
    }
}

impl FromStr for GroupRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.contains(':') { span::<V6>(text).map(Self::V6) } else { span::<V4>(text).map(Self::V4) }
    }
}

fn span<F: Spanned>(text: &str) -> Result<Span<F>, String> {
    if let Some((network, len)) = text.split_once('/') {
        let (first, least) = (group::<F>(network)?, F::WORDS.prefix_min);
        let len: u8 =
            len.parse().ok().filter(|len| (least..=F::BITS).contains(len)).ok_or_else(|| {
                format!("{text}: the length of a prefix of groups is {least} to {}", F::BITS)
            })?;
        let network = F::network(first.addr(), len);
        if network != first.addr() {
            return Err(format!(
                "{text}: the prefix is {network}/{len}, and this address is in it: write one of them"
            ));
        }
        let host_bits = 1u128.checked_shl(u32::from(F::BITS - len)).map_or(u128::MAX, |size| size - 1);
        let last = Group::new(from_bits::<F>(bits::<F>(network) | host_bits));
        return last.map(|last| Span { first, last }).ok_or_else(|| no_group::<F>(network));
    }
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (group(first)?, group(last)?);
    if last < first {
        return Err(format!("{text}: the last group comes before the first"));
    }
    Ok(Span { first, last })
}

fn group<F: Spanned>(text: &str) -> Result<Group<F>, String> {
    let Words { name, written, .. } = F::WORDS;
    let addr: F::Addr =
        text.trim().parse().map_err(|_| format!("{text:?} is not an {name} address: write {written}"))?;
    Group::new(addr).ok_or_else(|| no_group::<F>(addr))
}

fn no_group<F: Spanned>(addr: F::Addr) -> String {
    format!("{addr} is not a multicast group: those are {}", F::WORDS.groups)
}

impl fmt::Display for GroupRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4(span) => span.fmt(f),
            Self::V6(span) => span.fmt(f),
        }
    }
}

impl<F: Family> fmt::Display for Span<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.first)?;
        if self.first == self.last { Ok(()) } else { write!(f, "-{}", self.last) }
    }
}

impl Serialize for GroupRange {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for GroupRange {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// One of them, or a list.
fn one_or_several<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<GroupRange>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        One(String),
        Several(Vec<String>),
    }
    let texts = match Written::deserialize(deserializer)? {
        Written::One(text) => vec![text],
        Written::Several(texts) => texts,
    };
    texts.iter().map(|text| text.parse().map_err(serde::de::Error::custom)).collect()
}

/// What [`Command::Join`](super::command::Command::Join) and `Leave` speak of.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Membership {
    /// The groups, of one IP version: in JSON a list, or one under the key `group`.
    #[serde(alias = "group", deserialize_with = "one_or_several")]
    pub groups: Vec<GroupRange>,
    /// Only this source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<IpAddr>,
    /// The service; the only one if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// The port by name; the only one if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
}

impl Membership {
    /// Of one group, for any source, of the only service on the only port.
    ///
    /// # Panics
    /// The address is not a group.
    #[must_use]
    pub fn of(group: impl Into<IpAddr>) -> Self {
        let group = match group.into() {
            IpAddr::V4(addr) => Group::<V4>::new(addr).map(GroupRange::from),
            IpAddr::V6(addr) => Group::<V6>::new(addr).map(GroupRange::from),
        };
        Self { groups: vec![group.expect("a group")], source: None, service: None, port: None }
    }

    /// From `source` alone, if one is named.
    #[must_use]
    pub fn from_source<A: Into<IpAddr>>(self, source: Option<A>) -> Self {
        Self { source: source.map(Into::into), ..self }
    }

    /// For this service.
    #[must_use]
    pub fn by(self, service: &str) -> Self {
        Self { service: Some(service.to_owned()), ..self }
    }

    /// On this port.
    #[must_use]
    pub fn on(self, port: &str) -> Self {
        Self { port: Some(port.to_owned()), ..self }
    }
}

/// The filter mode of a source filter, RFC 9776 3.1.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FilterMode {
    /// Only the sources that are named.
    Include,
    /// All but these.
    Exclude,
}

/// What [`Command::SourceFilter`](super::command::Command::SourceFilter) orders: RFC 9776 2, `IPMulticastListen`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceFilterOrder {
    /// The groups, of one IP version: in JSON a list, or one under the key `group`.
    #[serde(alias = "group", deserialize_with = "one_or_several")]
    pub groups: Vec<GroupRange>,
    /// How the sources are meant.
    pub mode: FilterMode,
    /// The sources: none with INCLUDE leaves the group, none with EXCLUDE wants any.
    #[serde(default)]
    pub sources: Vec<IpAddr>,
    /// The service; the only one if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// The port by name; the only one if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
}

/// What [`Command::FilterPolicy`](super::command::Command::FilterPolicy) orders.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FilterPolicyOrder {
    /// How far the port's filter may climb.
    pub policy: FilterPolicy,
    /// The port by name; the only one if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
}

/// What [`Command::Restart`](super::command::Command::Restart) orders.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RestartOrder {
    /// The port by name; the only one if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
}

/// What became of one group.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct GroupChange {
    /// The group.
    pub group: IpAddr,
    /// Whether anything changed.
    pub changed: bool,
    /// What the service wanted of it before, as `EXCLUDE {}`; `INCLUDE {}` is nothing.
    pub from: String,
    /// What it wants now.
    pub to: String,
    /// What the interface receives of it now, for all its services together: RFC 9776 3.2.
    pub interface: String,
    /// Why it could not be done; then nothing changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

#[cfg(test)]
mod tests {
    use core::net::Ipv4Addr;

    use super::*;

    fn range(text: &str) -> Result<(u64, String), String> {
        text.parse::<GroupRange>().map(|range| (range.len(), range.to_string()))
    }

    #[test]
    fn groups_are_one_or_a_prefix_or_a_range() {
        assert_eq!(range("239.1.2.3"), Ok((1, "239.1.2.3".into())));
        assert_eq!(range("239.1.0.0/22"), Ok((1024, "239.1.0.0-239.1.3.255".into())));
        assert_eq!(range("239.1.2.3/32"), Ok((1, "239.1.2.3".into())));
        assert_eq!(range("239.1.0.1-239.1.3.232"), Ok((1000, "239.1.0.1-239.1.3.232".into())));
        assert_eq!(range("224.0.0.0/4").unwrap().0, 1 << 28);
        let two: Vec<_> = span::<V4>("239.1.0.255-239.1.1.0").unwrap().iter().map(Group::addr).collect();
        assert_eq!(two, [Ipv4Addr::new(239, 1, 0, 255), Ipv4Addr::new(239, 1, 1, 0)]);
    }

    #[test]
    fn groups_of_ipv6_are_written_alike() {
        assert_eq!(range("ff0e::1:2:3"), Ok((1, "ff0e::1:2:3".into())));
        assert_eq!(range("ff0e::1:0/120"), Ok((256, "ff0e::1:0-ff0e::1:ff".into())));
        assert_eq!(range("ff0e::1:2:3/128"), Ok((1, "ff0e::1:2:3".into())));
        assert_eq!(range("ff0e::1-ff0e::3e8"), Ok((1000, "ff0e::1-ff0e::3e8".into())));
        assert_eq!(range("ff00::/8").unwrap().0, u64::MAX);
        let two: Vec<_> = span::<V6>("ff0e::ffff-ff0e::1:0").unwrap().iter().map(|g| g.to_string()).collect();
        assert_eq!(two, ["ff0e::ffff", "ff0e::1:0"]);
    }

    #[test]
    fn what_is_no_group_is_told() {
        for (wrong, why) in [
            ("198.18.0.1", "198.18.0.1 is not a multicast group: those are 224.0.0.0 to 239.255.255.255"),
            ("all", "\"all\" is not an IPv4 address: write four numbers with dots, as in 239.1.2.3"),
            ("239.1.2.3/33", "239.1.2.3/33: the length of a prefix of groups is 4 to 32"),
            (
                "239.1.2.3/22",
                "239.1.2.3/22: the prefix is 239.1.0.0/22, and this address is in it: write one of them",
            ),
            ("239.1.2.3-239.1.2.1", "239.1.2.3-239.1.2.1: the last group comes before the first"),
            (
                "239.1.2.3-240.0.0.0",
                "240.0.0.0 is not a multicast group: those are 224.0.0.0 to 239.255.255.255",
            ),
            ("2001:db8::1", "2001:db8::1 is not a multicast group: those are ff00::/8"),
            (
                "ff0e::g",
                "\"ff0e::g\" is not an IPv6 address: write hexadecimal words with colons, as in ff0e::1:2:3",
            ),
            ("ff0e::1/7", "ff0e::1/7: the length of a prefix of groups is 8 to 128"),
            (
                "ff0e::1/120",
                "ff0e::1/120: the prefix is ff0e::/120, and this address is in it: write one of them",
            ),
            ("ff0e::2-ff0e::1", "ff0e::2-ff0e::1: the last group comes before the first"),
            (
                "ff0e::2-239.1.2.3",
                "\"239.1.2.3\" is not an IPv6 address: write hexadecimal words with colons, as in ff0e::1:2:3",
            ),
        ] {
            assert_eq!(range(wrong), Err(why.to_owned()));
        }
    }

    #[test]
    fn the_one_group_of_old_and_many_are_understood() {
        let one: Membership = serde_json::from_str(r#"{"group":"239.1.2.3","port":"p0"}"#).unwrap();
        assert_eq!(one, Membership::of([239, 1, 2, 3]).on("p0"));
        let many: Membership = serde_json::from_str(r#"{"groups":["239.1.2.3","239.2.0.0/24"]}"#).unwrap();
        assert_eq!(many.groups.iter().map(|range| range.len()).sum::<u64>(), 257);
        assert!(
            serde_json::from_str::<Membership>(r#"{"group":"198.18.0.1"}"#)
                .unwrap_err()
                .to_string()
                .contains("not a multicast group")
        );
    }
}
