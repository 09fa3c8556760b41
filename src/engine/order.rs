//! Orders that change memberships, filters and ports: what is said, and what is told of it.

use core::fmt;
use core::net::Ipv4Addr;
use core::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::addr::{Group, V4};
use crate::io::FilterPolicy;

/// The most groups that one command may speak of: as many as an interface has by default at most.
pub(super) const GROUPS_MAX: u64 = 16_384;

/// Groups that follow one another: one, a prefix or a range. Written `239.1.2.3`, `239.1.0.0/22` or
/// `239.1.0.1-239.1.3.232`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GroupRange {
    first: Group<V4>,
    last: Group<V4>,
}

impl GroupRange {
    /// How many groups these are.
    #[must_use]
    pub fn len(self) -> u64 {
        u64::from(self.last.addr().to_bits() - self.first.addr().to_bits()) + 1
    }

    /// Never: there is always one.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        false
    }

    /// The groups, in order.
    pub fn iter(self) -> impl Iterator<Item = Group<V4>> {
        let (first, last) = (self.first.addr().to_bits(), self.last.addr().to_bits());
        (first..=last).filter_map(|bits| Group::new(Ipv4Addr::from_bits(bits)))
    }
}

impl From<Group<V4>> for GroupRange {
    fn from(group: Group<V4>) -> Self {
        Self { first: group, last: group }
    }
}

impl FromStr for GroupRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some((network, len)) = text.split_once('/') {
            let first = group(network)?;
            let len: u32 = len
                .parse()
                .ok()
                .filter(|len| (4..=32).contains(len))
                .ok_or_else(|| format!("{text}: the length of a prefix of groups is 4 to 32"))?;
            let host_bits = u32::MAX.checked_shr(len).unwrap_or(0);
            let bits = first.addr().to_bits();
            if bits & host_bits != 0 {
                let network = Ipv4Addr::from_bits(bits & !host_bits);
                return Err(format!(
                    "{text}: the prefix is {network}/{len}, and this address is in it: write one of them"
                ));
            }
            return Ok(Self { first, last: group(&Ipv4Addr::from_bits(bits | host_bits).to_string())? });
        }
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let (first, last) = (group(first)?, group(last)?);
        if last < first {
            return Err(format!("{text}: the last group comes before the first"));
        }
        Ok(Self { first, last })
    }
}

fn group(text: &str) -> Result<Group<V4>, String> {
    let addr: Ipv4Addr = text.trim().parse().map_err(|_| {
        format!("{text:?} is not an IPv4 address: write four numbers with dots, as in 239.1.2.3")
    })?;
    Group::new(addr)
        .ok_or_else(|| format!("{addr} is not a multicast group: those are 224.0.0.0 to 239.255.255.255"))
}

impl fmt::Display for GroupRange {
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
    /// The groups: in JSON a list, or one under the key `group`.
    #[serde(alias = "group", deserialize_with = "one_or_several")]
    pub groups: Vec<GroupRange>,
    /// Only this source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Ipv4Addr>,
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
    pub fn of(group: Ipv4Addr) -> Self {
        let group: Group<V4> = Group::new(group).expect("a group");
        Self { groups: vec![group.into()], source: None, service: None, port: None }
    }

    /// From `source` alone, if one is named.
    #[must_use]
    pub fn from_source(self, source: Option<Ipv4Addr>) -> Self {
        Self { source, ..self }
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
    /// The groups: in JSON a list, or one under the key `group`.
    #[serde(alias = "group", deserialize_with = "one_or_several")]
    pub groups: Vec<GroupRange>,
    /// How the sources are meant.
    pub mode: FilterMode,
    /// The sources: none with INCLUDE leaves the group, none with EXCLUDE wants any.
    #[serde(default)]
    pub sources: Vec<Ipv4Addr>,
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
    pub group: Ipv4Addr,
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
        let two: Vec<_> =
            "239.1.0.255-239.1.1.0".parse::<GroupRange>().unwrap().iter().map(Group::addr).collect();
        assert_eq!(two, [Ipv4Addr::new(239, 1, 0, 255), Ipv4Addr::new(239, 1, 1, 0)]);
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
        ] {
            assert_eq!(range(wrong), Err(why.to_owned()));
        }
    }

    #[test]
    fn the_one_group_of_old_and_many_are_understood() {
        let one: Membership = serde_json::from_str(r#"{"group":"239.1.2.3","port":"p0"}"#).unwrap();
        assert_eq!(one, Membership::of([239, 1, 2, 3].into()).on("p0"));
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
