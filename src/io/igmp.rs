//! What a configuration chooses of an interface's group management.

use core::fmt;
use core::str::FromStr;
use core::time::Duration;

use serde::{Deserialize, Serialize};

/// The choices of one interface. The default is what RFC 9776 has for a link of which nothing is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IgmpPolicy {
    /// Which version is spoken: the key `igmp_version`.
    pub version: IgmpVersion,
    /// How often a change is told: the key `igmp_robustness`.
    pub robustness: Robustness,
    /// The time between General Queries, as long as no querier says otherwise: the key `igmp_query_interval_s`.
    pub query_interval: Duration,
    /// Whether queries are ignored that RFC 3376 9.1 lets a host ignore: the key `igmp_strict_queries`.
    pub strict_queries: bool,
}

impl Default for IgmpPolicy {
    fn default() -> Self {
        Self {
            version: IgmpVersion::Auto,
            robustness: Robustness::Auto,
            query_interval: Duration::from_secs(125),
            strict_queries: false,
        }
    }
}

/// Which version of IGMP an interface speaks.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum IgmpVersion {
    /// The oldest that a querier on the link speaks. RFC 9776 7.2.1.
    #[default]
    Auto,
    /// Version 1, whatever queriers speak.
    V1,
    /// Version 2, whatever queriers speak.
    V2,
    /// Version 3, whatever queriers speak.
    V3,
}

impl IgmpVersion {
    /// Its name in a configuration and on a command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::V1 => "1",
            Self::V2 => "2",
            Self::V3 => "3",
        }
    }
}

/// A word that is no version.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not a version of IGMP: use auto, 1, 2 or 3")]
pub struct ParseIgmpVersionError;

impl FromStr for IgmpVersion {
    type Err = ParseIgmpVersionError;

    fn from_str(s: &str) -> Result<Self, ParseIgmpVersionError> {
        let all = [Self::Auto, Self::V1, Self::V2, Self::V3];
        all.into_iter().find(|version| version.name() == s).ok_or(ParseIgmpVersionError)
    }
}

/// How often a change is told: the Robustness Variable. RFC 9776 8.1.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Robustness {
    /// As the querier says; twice as long as none does.
    #[default]
    Auto,
    /// So often, from 1 to [`MAX`](Self::MAX), whatever a querier says.
    Pinned(u8),
}

impl Robustness {
    /// The most that a query can carry. RFC 9776 4.1.6.
    pub const MAX: u8 = 7;

    /// The number, if it is one.
    #[must_use]
    pub const fn pinned(self) -> Option<u8> {
        match self {
            Self::Auto => None,
            Self::Pinned(n) => Some(n),
        }
    }
}

impl fmt::Display for Robustness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Pinned(n) => write!(f, "{n}"),
        }
    }
}

/// A word that is no robustness variable.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not a robustness variable: use auto, or a number from 1 to {}", Robustness::MAX)]
pub struct ParseRobustnessError;

impl FromStr for Robustness {
    type Err = ParseRobustnessError;

    fn from_str(s: &str) -> Result<Self, ParseRobustnessError> {
        match s.parse() {
            Ok(n @ 1..=Self::MAX) => Ok(Self::Pinned(n)),
            Err(_) if s == "auto" => Ok(Self::Auto),
            _ => Err(ParseRobustnessError),
        }
    }
}

impl fmt::Display for IgmpVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Both travel as the words that people write.
macro_rules! as_words {
    ($($name:ident),+) => {$(
        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
            }
        }
    )+};
}

as_words!(IgmpVersion, Robustness);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_values_belong_together() {
        for word in ["auto", "1", "2", "3"] {
            assert_eq!(word.parse::<IgmpVersion>().unwrap().to_string(), word);
        }
        for word in ["auto", "1", "7"] {
            assert_eq!(word.parse::<Robustness>().unwrap().to_string(), word);
        }
        for wrong in ["", "0", "4", "v2", "AUTO"] {
            assert!(wrong.parse::<IgmpVersion>().is_err(), "{wrong}");
        }
        for wrong in ["", "0", "8", "-1", "256", "two"] {
            assert!(wrong.parse::<Robustness>().is_err(), "{wrong}");
        }
    }
}
