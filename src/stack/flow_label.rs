//! Flow labels (RFC 6437): what lets routers keep the packets of one flow on one path without looking behind headers.

use core::hash::{BuildHasher, Hasher};
use core::net::Ipv6Addr;

use foldhash::fast::{FixedState, FoldHasher};

use crate::wire::ipv6::FLOW_LABEL_MASK;

/// The flow labels of a host: one to a flow, the same on every worker.
// V13, RFC 6437 3: a hash of the flow under a key that nobody else has, so that labels are spread evenly, the same for as long
// as the flow lasts, and not to be guessed.
#[derive(Clone, Debug)]
pub struct FlowLabels(FixedState);

impl Default for FlowLabels {
    fn default() -> Self {
        Self::new(0)
    }
}

impl FlowLabels {
    /// Those under `secret`, which all workers share.
    #[must_use]
    pub const fn new(secret: u64) -> Self {
        Self(FixedState::with_seed(secret))
    }

    /// The label of the flow of `protocol` from `src` to `dst`; `ports` are the first four bytes of what tells apart its flows
    /// between the two. Never 0, which says that there is none.
    #[inline]
    #[must_use]
    pub fn of(&self, src: Ipv6Addr, dst: Ipv6Addr, protocol: u8, ports: [u8; 4]) -> u32 {
        label_of(self.from(src, protocol).hash(dst, ports))
    }

    /// Those of flows of `protocol` from `src`: for whoever has many of them.
    #[inline(always)]
    #[must_use]
    pub(crate) fn from(&self, src: Ipv6Addr, protocol: u8) -> FlowLabelsFrom {
        let mut hasher = self.0.build_hasher();
        hasher.write_u128(protocol.into());
        // In the order in which they lie in a header: they are loaded from one.
        hasher.write_u128(u128::from_le_bytes(src.octets()));
        FlowLabelsFrom(hasher)
    }
}

/// The flow labels of a host for what it sends from one address.
#[derive(Clone)]
pub(crate) struct FlowLabelsFrom(FoldHasher<'static>);

impl FlowLabelsFrom {
    /// What the label of a flow is [made](label_of) of. See [`FlowLabels::of`].
    #[inline(always)]
    #[must_use]
    pub(crate) fn hash(&self, dst: Ipv6Addr, ports: [u8; 4]) -> u64 {
        let mut hasher = self.0.clone();
        hasher.write_u128(u128::from_le_bytes(dst.octets()));
        hasher.write_u64(u32::from_le_bytes(ports).into());
        hasher.finish()
    }
}

/// Where in a hash the label begins: in the middle, as the outer bits are the poorest of such a hash.
pub(crate) const LABEL_AT: u32 = 24;

/// The label of the flow with this hash.
#[inline(always)]
#[must_use]
#[expect(clippy::cast_possible_truncation, reason = "the low 20 bits are what is wanted")]
pub(crate) const fn label_of(hash: u64) -> u32 {
    let label = (hash >> LABEL_AT) as u32 & FLOW_LABEL_MASK;
    // 0 would be one label in a million too many.
    if label == 0 { 1 } else { label }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn addr(n: u16) -> Ipv6Addr {
        Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, n)
    }

    // V13, RFC 6437 2 and 3: the same for a flow, another for another, never 0, and spread over all 20 bits.
    #[test]
    fn a_flow_has_one_label_and_flows_have_many() {
        let labels = FlowLabels::new(77);
        let of = |n: u32| labels.of(addr(2), addr(1), 17, n.to_be_bytes());
        assert_eq!(of(5), FlowLabels::new(77).of(addr(2), addr(1), 17, 5u32.to_be_bytes()));
        let all: BTreeSet<u32> = (0..100_000).map(of).collect();
        assert!(all.len() > 90_000, "{}", all.len());
        assert!(all.iter().all(|label| *label > 0 && *label <= FLOW_LABEL_MASK));
        for bit in 0..20 {
            let ones = all.iter().filter(|label| *label >> bit & 1 != 0).count() * 100 / all.len();
            assert!((48..=52).contains(&ones), "bit {bit}: {ones} %");
        }
        for other in [
            FlowLabels::new(78).of(addr(2), addr(1), 17, 5u32.to_be_bytes()),
            labels.of(addr(1), addr(2), 17, 5u32.to_be_bytes()),
            labels.of(addr(2), addr(3), 17, 5u32.to_be_bytes()),
            labels.of(addr(2), addr(1), 58, 5u32.to_be_bytes()),
        ] {
            assert_ne!(of(5), other);
        }
    }
}
