//! The group management of an interface: IGMP and MLD.

use core::time::Duration;

use super::Limits;
use crate::config::error::{At, Problems};
use crate::config::raw::RawChoices;
use crate::config::read::NumberOrWord;
use crate::io::{IgmpPolicy, IgmpVersion, MldPolicy, MldVersion, Robustness};

/// RFC 9776 4.1.7, RFC 9777 5.1.9: the longest that a query can name is 31744 s.
const QUERY_INTERVAL: Limits = Limits::new(1, 31_744);

/// What is chosen of IGMP.
pub(super) fn igmp(choices: &RawChoices, problems: &mut Problems) -> IgmpPolicy {
    let default = IgmpPolicy::default();
    let versions = [(1, IgmpVersion::V1), (2, IgmpVersion::V2), (3, IgmpVersion::V3)];
    let of_igmp = ("IGMP", "use \"auto\", 1, 2 or 3");
    IgmpPolicy {
        version: version(choices.igmp_version.as_ref(), &versions, of_igmp, problems)
            .unwrap_or(default.version),
        robustness: robustness(choices.igmp_robustness.as_ref(), problems),
        query_interval: interval(
            choices.igmp_query_interval_s.as_ref(),
            default.query_interval.as_secs(),
            problems,
        ),
        strict_queries: choices.igmp_strict_queries.as_ref().map_or(default.strict_queries, |at| at.value),
    }
}

/// What is chosen of MLD.
pub(super) fn mld(choices: &RawChoices, problems: &mut Problems) -> MldPolicy {
    let default = MldPolicy::default();
    let versions = [(1, MldVersion::V1), (2, MldVersion::V2)];
    let of_mld = ("MLD", "use \"auto\", 1 or 2");
    MldPolicy {
        version: version(choices.mld_version.as_ref(), &versions, of_mld, problems)
            .unwrap_or(default.version),
        robustness: robustness(choices.mld_robustness.as_ref(), problems),
        query_interval: interval(
            choices.mld_query_interval_s.as_ref(),
            default.query_interval.as_secs(),
            problems,
        ),
    }
}

fn interval(at: Option<&At<i64>>, default: u64, problems: &mut Problems) -> Duration {
    Duration::from_secs(QUERY_INTERVAL.check(at, default, problems))
}

/// The one of `versions` that `at` names, of `protocol`; `None` for the default.
fn version<V: Copy>(
    at: Option<&At<NumberOrWord>>,
    versions: &[(i64, V)],
    (protocol, remedy): (&str, &str),
    problems: &mut Problems,
) -> Option<V> {
    let At { value, place } = at?;
    let named = match value {
        NumberOrWord::Word(word) if word == "auto" => return None,
        NumberOrWord::Word(_) => None,
        NumberOrWord::Number(number) => {
            versions.iter().find(|(n, _)| n == number).map(|(_, version)| *version)
        }
    };
    if named.is_none() {
        problems.add(place, format!("{value} is no version of {protocol}"), remedy);
    }
    named
}

fn robustness(at: Option<&At<NumberOrWord>>, problems: &mut Problems) -> Robustness {
    let Some(At { value, place }) = at else { return Robustness::default() };
    let pinned = match value {
        NumberOrWord::Word(word) if word == "auto" => return Robustness::Auto,
        NumberOrWord::Word(_) => None,
        NumberOrWord::Number(number) => u8::try_from(*number).ok(),
    };
    match pinned {
        Some(number @ 1..=Robustness::MAX) => Robustness::Pinned(number),
        Some(_) | None => {
            let remedy = format!("use \"auto\" or 1 to {}", Robustness::MAX);
            problems.add(place, format!("{value} is no robustness variable"), remedy);
            Robustness::default()
        }
    }
}
