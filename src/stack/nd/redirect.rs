//! Whether a redirect (RFC 4861 8) is believed, and what it says of a neighbour.

use super::input::Received;
use crate::addr::V6;
use crate::io::DropReason;
use crate::stack::interface::Interface;
use crate::stack::neighbor::{Evidence, NeighborCache};
use crate::stack::route::NextHop;
use crate::time::Instant;
use crate::wire::ndisc::Redirect;

/// Deals with `redirect`, which came as `received`: packets to its destination may go to its target if this is no error.
///
/// # Errors
/// Why it is dropped.
// N15, RFC 4861 8.1, 8.3: from the current first hop towards the destination, and nobody else; and sent to us, not to a group.
pub fn input(
    now: Instant,
    received: &Received<'_>,
    redirect: &Redirect<'_>,
    interface: &Interface,
    cache: &mut NeighborCache<V6>,
) -> Result<(), DropReason> {
    if !interface.policy.accept_redirects6 {
        return Err(DropReason::NdpRedirectOff);
    }
    let Redirect { target, destination, .. } = *redirect;
    let own = |addr| interface.v6.is_own(addr);
    let first_hop = interface.v6.routes.next_hop(destination);
    let from_first_hop = first_hop == NextHop::Via(received.envelope.src);
    if !from_first_hop || !own(received.envelope.dst) || own(destination) || own(target) {
        return Err(DropReason::NdpRedirectInvalid);
    }
    // N10, RFC 4861 8.3: the target is a neighbour; and a router, unless it is the destination itself.
    if let Some(mac) = redirect.target_mac {
        cache.heard(now, target, mac, Evidence::Asked);
    }
    if target != destination {
        cache.set_router(target, true);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
