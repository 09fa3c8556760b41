//! `[uoa]`: the balancers whose word is taken for who their clients are.

use core::net::IpAddr;
use core::time::Duration;

use super::Limits;
use super::addresses::prefix_len;
use super::family::{Version, ip, is_link_local};
use crate::addr::{Prefix, V4, V6};
use crate::config::error::{At, Problems};
use crate::config::plan::UoaPlan;
use crate::config::raw::RawUoa;

/// Flows that each worker remembers: 112 bytes each.
const TABLE: Limits = Limits::new(1, 1 << 20);
const TABLE_DEFAULT: u32 = 65_536;

/// O09, DPVS's module: 360 seconds. A day is longer than any balancer keeps a flow.
const TIMEOUT: Limits = Limits::new(1, 86_400);
const TIMEOUT_DEFAULT: u64 = 360;

pub(super) fn check(raw: &RawUoa, problems: &mut Problems) -> UoaPlan {
    let RawUoa { trusted, table_max, timeout_s } = raw;
    let (mut trusted4, mut trusted6) = (Vec::new(), Vec::new());
    for at in trusted.iter().flat_map(|at| &at.value) {
        let (addr, len) =
            at.value.split_once('/').map_or((at.value.as_str(), None), |(a, len)| (a, Some(len)));
        match ip(addr, &at.place, problems) {
            Some(IpAddr::V4(addr)) => add::<V4>(addr, len, at, &mut trusted4, problems),
            Some(IpAddr::V6(addr)) => add::<V6>(addr, len, at, &mut trusted6, problems),
            None => {}
        }
    }
    UoaPlan {
        trusted4,
        trusted6,
        table_max: TABLE.check(table_max.as_ref(), TABLE_DEFAULT, problems),
        timeout: Duration::from_secs(TIMEOUT.check(timeout_s.as_ref(), TIMEOUT_DEFAULT, problems)),
    }
}

/// Adds the prefix `addr/len`, or the one address, if it is right.
fn add<F: Version>(
    addr: F::Addr,
    len: Option<&str>,
    At { place, .. }: &At<String>,
    trusted: &mut Vec<Prefix<F>>,
    problems: &mut Problems,
) {
    let Some(len) = len.map_or(Some(F::BITS), |len| prefix_len::<F>(len, 0, place, problems)) else { return };
    let prefix = Prefix::<F>::of(addr, len);
    let impossible = F::unroutable().into_iter().filter(|(net, _)| !is_link_local(net.network().into()));
    let impossible = impossible.into_iter().find(|(net, _)| prefix.len() >= net.len() && net.contains(addr));
    if prefix.network() != addr {
        let problem = format!("{addr}/{len} has bits beyond its length");
        problems.add(place, problem, format!("use \"{prefix}\", or \"{addr}/{}\" for one balancer", F::BITS));
    } else if let Some((_, what)) = impossible {
        let problem = format!("{prefix} is {what}: no packet comes from there");
        problems.add(place, problem, "name the addresses that the balancers send from");
    } else if trusted.contains(&prefix) {
        problems.add(place, format!("{prefix} is listed already"), "list each prefix once");
    } else {
        trusted.push(prefix);
    }
}
