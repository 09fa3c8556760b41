//! The group management of an interface.

use core::time::Duration;

use super::Limits;
use crate::config::error::{At, Problems};
use crate::config::raw::RawChoices;
use crate::config::read::NumberOrWord;
use crate::io::{IgmpPolicy, IgmpVersion, Robustness};

/// RFC 9776 4.1.7: the longest that a query can name is 31744 s.
const QUERY_INTERVAL: Limits = Limits::new(1, 31_744);

pub(super) fn check(choices: &RawChoices, problems: &mut Problems) -> IgmpPolicy {
    let default = IgmpPolicy::default();
    let interval = QUERY_INTERVAL.check(
        choices.igmp_query_interval_s.as_ref(),
        default.query_interval.as_secs(),
        problems,
    );
    IgmpPolicy {
        version: version(choices.igmp_version.as_ref(), problems),
        robustness: robustness(choices.igmp_robustness.as_ref(), problems),
        query_interval: Duration::from_secs(interval),
        strict_queries: choices.igmp_strict_queries.as_ref().map_or(default.strict_queries, |at| at.value),
    }
}

fn version(at: Option<&At<NumberOrWord>>, problems: &mut Problems) -> IgmpVersion {
    let Some(At { value, place }) = at else { return IgmpVersion::default() };
    match value {
        NumberOrWord::Word(word) if word == "auto" => IgmpVersion::Auto,
        NumberOrWord::Number(1) => IgmpVersion::V1,
        NumberOrWord::Number(2) => IgmpVersion::V2,
        NumberOrWord::Number(3) => IgmpVersion::V3,
        other => {
            problems.add(place, format!("{other} is no version of IGMP"), "use \"auto\", 1, 2 or 3");
            IgmpVersion::default()
        }
    }
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
