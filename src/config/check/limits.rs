//! `[reassembly]` and `[icmp]`: how much of what may be too much.

use core::time::Duration;

use super::Limits;
use crate::config::error::{At, Problems};
use crate::config::plan::{IcmpPlan, ReassemblyPlan};
use crate::config::raw::{RawIcmp, RawReassembly};

/// RFC 1122 3.3.2 says 60 to 120 seconds, Linux 30.
const TIMEOUT: Limits = Limits::new(1, 120);
const TIMEOUT_DEFAULT: u64 = 30;

/// W07, RFC 8200 4.5, and Linux: 60 seconds.
const TIMEOUT6_DEFAULT: u64 = 60;

/// What one worker holds, by default about as much as Linux (4 MiB in buffers of 2 KiB).
const FRAGMENTS: Limits = Limits::new(0, 65_536);
const FRAGMENTS_DEFAULT: u32 = 2048;

/// By default a quarter of them. A datagram of 65,535 bytes is 45 fragments of 1500 bytes, or 119 of 576.
const FRAGMENTS_PER_SOURCE: Limits = Limits::new(1, 65_536);
const FRAGMENTS_PER_SOURCE_SHARE: u32 = 4;

/// A host that sends no errors at all would leave its peers to wait.
const ERRORS: Limits = Limits::new(1, 1_000_000);

pub(super) fn reassembly(raw: &RawReassembly, problems: &mut Problems) -> ReassemblyPlan {
    let RawReassembly { timeout_s, timeout6_s, fragments, fragments_per_source } = raw;
    let timeout = Duration::from_secs(TIMEOUT.check(timeout_s.as_ref(), TIMEOUT_DEFAULT, problems));
    let timeout6 = Duration::from_secs(TIMEOUT.check(timeout6_s.as_ref(), TIMEOUT6_DEFAULT, problems));
    let fragments = FRAGMENTS.check(fragments.as_ref(), FRAGMENTS_DEFAULT, problems);
    let default = fragments.div_ceil(FRAGMENTS_PER_SOURCE_SHARE);
    let per_source = FRAGMENTS_PER_SOURCE.check(fragments_per_source.as_ref(), default, problems);
    if let Some(At { place, .. }) = fragments_per_source.as_ref().filter(|_| per_source > fragments) {
        let problem = format!("{per_source} is more than all sources together may have, {fragments}");
        let remedy = match fragments {
            0 => "leave the key out: no fragment is held".to_owned(),
            _ => format!("use 1 to {fragments}, or raise the key fragments"),
        };
        problems.add(place, problem, remedy);
    }
    ReassemblyPlan { timeout, timeout6, fragments, fragments_per_source: per_source }
}

/// The defaults are Linux's.
pub(super) fn icmp(raw: &RawIcmp, problems: &mut Problems) -> IcmpPlan {
    let mut number = |at: &Option<At<i64>>, default: u32| ERRORS.check(at.as_ref(), default, problems);
    IcmpPlan {
        errors_per_second: number(&raw.errors_per_second, 1000),
        errors_burst: number(&raw.errors_burst, 50),
        errors_per_second_per_peer: number(&raw.errors_per_second_per_peer, 1),
        errors_burst_per_peer: number(&raw.errors_burst_per_peer, 6),
    }
}
