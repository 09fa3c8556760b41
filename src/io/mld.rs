//! What a configuration chooses of an interface's MLD: group management for IPv6.

use core::fmt;
use core::str::FromStr;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::Robustness;

/// The choices of one interface. The default is what RFC 9777 has for a link of which nothing is known.
///
/// There is no choice of strictness: RFC 9777 6.2 has hosts check queries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MldPolicy {
    /// Which version is spoken: the key `mld_version`.
    pub version: MldVersion,
    /// How often a change is told: the key `mld_robustness`.
    pub robustness: Robustness,
    /// The time between General Queries, as long as no querier says otherwise: the key `mld_query_interval_s`.
    pub query_interval: Duration,
}

impl Default for MldPolicy {
    fn default() -> Self {
        Self {
            version: MldVersion::Auto,
            robustness: Robustness::Auto,
            query_interval: Duration::from_secs(125),
        }
    }
}

/// Which version of MLD an interface speaks.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum MldVersion {
    /// The older one while a querier on the link speaks it. RFC 9777 8.2.1.
    #[default]
    Auto,
    /// Version 1, whatever queriers speak.
    V1,
    /// Version 2, whatever queriers speak.
    V2,
}

impl MldVersion {
    /// Its name in a configuration and on a command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::V1 => "1",
            Self::V2 => "2",
        }
    }
}

/// A word that is no version.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not a version of MLD: use auto, 1 or 2")]
pub struct ParseMldVersionError;

impl FromStr for MldVersion {
    type Err = ParseMldVersionError;

    fn from_str(s: &str) -> Result<Self, ParseMldVersionError> {
        let all = [Self::Auto, Self::V1, Self::V2];
        all.into_iter().find(|version| version.name() == s).ok_or(ParseMldVersionError)
    }
}

impl fmt::Display for MldVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for MldVersion {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for MldVersion {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_values_belong_together() {
        for word in ["auto", "1", "2"] {
            assert_eq!(word.parse::<MldVersion>().unwrap().to_string(), word);
        }
        for wrong in ["", "0", "3", "v2", "AUTO"] {
            assert!(wrong.parse::<MldVersion>().is_err(), "{wrong}");
        }
    }
}
