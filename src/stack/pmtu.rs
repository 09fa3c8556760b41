//! Path MTU discovery (RFC 1191, RFC 8201): how large a packet may be on its way to a host, and what becomes of a larger one.
//!
//! A [`PathMtu`] is what an interface knows of its paths. Control has the one that counts; each worker has a replica that
//! learns the same and ages by itself. It has a fixed size: nothing is allocated after it was made.

use core::time::Duration;

use crate::addr::{Family, V4};
use crate::io::PmtuDiscovery;
use crate::time::Instant;

/// The path MTU below which we do not go in IPv4, unless configured. As Linux's `min_pmtu`.
pub const FLOOR: u16 = 552;

/// How long a path MTU is believed, unless configured. RFC 1191 6.3; RFC 8201 4.
pub const TIMEOUT: Duration = Duration::from_secs(600);

/// Paths remembered at once.
pub const PATHS_MAX: usize = 1024;

/// Common MTUs, largest first. C16, RFC 1191 7.1: for routers that say only that a packet was too long.
const PLATEAUS: [u16; 11] = [65535, 32000, 17914, 8166, 4352, 2002, 1492, 1006, 508, 296, V4::MTU_MIN];

/// The largest common MTU below `len`, the length of the packet that was too long.
fn plateau(len: u16) -> u16 {
    PLATEAUS.into_iter().find(|p| *p < len).unwrap_or(V4::MTU_MIN)
}

/// What the configuration chose.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PmtuPolicy {
    /// The path MTU below which we do not go, in bytes. To hosts behind a smaller link, longer packets go without DF, and
    /// routers fragment them: so of IPv4 alone, and at least its 68. IPv6 goes down to the 1280 that every link carries.
    pub floor: u16,
    /// How long a path MTU is believed.
    pub timeout: Duration,
}

impl Default for PmtuPolicy {
    fn default() -> Self {
        Self { floor: FLOOR, timeout: TIMEOUT }
    }
}

/// What a router on the way to `dst` reports: a packet was too long for its next link.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TooBig<A> {
    /// Where the packet was going.
    pub dst: A,
    /// What the next link carries, in bytes; 0 if the router does not say.
    pub mtu: u16,
    /// The length of the packet.
    pub quoted_len: u16,
}

impl<A> TooBig<A> {
    /// The same of an address in another form.
    #[must_use]
    pub fn with_dst<B>(self, dst: B) -> TooBig<B> {
        TooBig { dst, mtu: self.mtu, quoted_len: self.quoted_len }
    }
}

/// What is known of a path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Path {
    /// The longest packet to send, in bytes.
    pub mtu: u16,
    /// The longest that may have DF: less than `mtu` only where some link carries less than we go down to.
    pub df_max: u16,
}

impl Path {
    /// A path of `mtu` bytes from end to end.
    #[must_use]
    pub const fn of(mtu: u16) -> Self {
        Self { mtu, df_max: mtu }
    }
}

/// What is known of the path to one host.
#[derive(Clone, Copy, Debug)]
struct Entry<A> {
    dst: A,
    path: Path,
    learned_at: Instant,
}

/// One row of the table, for showing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Row<A> {
    /// The host.
    pub dst: A,
    /// The path to it.
    pub path: Path,
    /// When it was last reported.
    pub learned_at: Instant,
}

/// What a report changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Learned {
    /// The path MTU to that host is this now, or still.
    Path(Path),
    /// Nothing: it claims less than any link carries.
    Impossible,
    /// Nothing: it would raise what is known, or is no less than the link's own.
    NotLower,
}

/// The path MTUs of one interface. One to a path, never one for all.
#[derive(Debug)]
pub struct PathMtu<F: Family> {
    /// By address.
    entries: Vec<Entry<F::Addr>>,
    policy: PmtuPolicy,
    link_mtu: u16,
    smallest: u16,
    /// How often anything has changed.
    changes: u64,
}

// A copy, too, never needs more memory than it was made with.
impl<F: Family> Clone for PathMtu<F> {
    fn clone(&self) -> Self {
        let mut entries = Vec::with_capacity(PATHS_MAX);
        entries.extend_from_slice(&self.entries);
        let Self { policy, link_mtu, smallest, changes, .. } = *self;
        Self { entries, policy, link_mtu, smallest, changes }
    }
}

impl<F: Family> PathMtu<F> {
    /// Nothing is known yet but the link's own `link_mtu`.
    #[must_use]
    pub fn new(link_mtu: u16, policy: PmtuPolicy) -> Self {
        // W13, RFC 8200 5, RFC 8201 4: what nobody on the way will fragment fits the path, however narrow that is.
        let floor = if F::ROUTERS_FRAGMENT { policy.floor.max(F::MTU_MIN) } else { F::MTU_MIN };
        let policy = PmtuPolicy { floor, ..policy };
        Self { entries: Vec::with_capacity(PATHS_MAX), policy, link_mtu, smallest: link_mtu, changes: 0 }
    }

    /// How often anything has changed: what was read before is still so while this is the same.
    #[must_use]
    pub const fn changes(&self) -> u64 {
        self.changes
    }

    /// The MTU of the link itself.
    #[inline]
    #[must_use]
    pub const fn link_mtu(&self) -> u16 {
        self.link_mtu
    }

    /// The smallest path MTU known, or the link's: what is no longer than this goes out whole and with DF to anyone, without
    /// a look at the table.
    #[inline]
    #[must_use]
    pub const fn smallest(&self) -> u16 {
        self.smallest
    }

    /// The link carries `mtu` from now on.
    // T04, RFC 1191 6.3: what was learned of paths that began with the link as it was is forgotten.
    pub fn set_link_mtu(&mut self, mtu: u16) {
        self.entries.clear();
        self.changes += 1;
        self.link_mtu = mtu;
        self.smallest = mtu;
    }

    /// What is known of the path to `dst`.
    #[must_use]
    pub fn path(&self, now: Instant, dst: F::Addr) -> Path {
        let known = self.find(dst).ok().and_then(|at| self.entries.get(at));
        let believed = known.filter(|e| !self.is_old(now, e));
        believed.map_or_else(|| Path::of(self.link_mtu), |e| e.path)
    }

    /// Takes note of `report`, whose quotation was found to be of a packet that we may have sent.
    // C16, RFC 1191 3: never below what IPv4 allows, never above what is known; RFC 1191 5: by the plateaus where the
    // router does not say. K07, RFC 8201 4: what says less than 1280, 0 too, is discarded. RFC 8021: nor is it answered with
    // fragment headers on whole packets, which would let a forger have them dropped. T04: never above the link's own.
    pub fn learn(&mut self, now: Instant, report: TooBig<F::Addr>) -> Learned {
        let silent = F::ROUTERS_FRAGMENT && report.mtu == 0;
        let mtu = if silent { plateau(report.quoted_len) } else { report.mtu };
        if mtu < F::MTU_MIN {
            return Learned::Impossible;
        }
        let known = self.path(now, report.dst);
        if mtu > known.mtu || mtu >= self.link_mtu {
            return Learned::NotLower;
        }
        let path = Path { mtu: mtu.max(self.policy.floor).min(known.mtu), df_max: mtu.min(known.df_max) };
        self.put(now, Entry { dst: report.dst, path, learned_at: now });
        Learned::Path(path)
    }

    /// Forgets what was learned too long ago. Returns whether there was any.
    // C16, RFC 1191 6.3; K07, RFC 8201 4: a path may have got better; only a longer packet can find out.
    pub fn expire(&mut self, now: Instant) -> bool {
        let before = self.entries.len();
        let timeout = self.policy.timeout;
        self.entries.retain(|e| now.since(e.learned_at) < timeout);
        self.find_smallest();
        let any = self.entries.len() < before;
        self.changes += u64::from(any);
        any
    }

    /// When [`expire`](Self::expire) has something to do.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.entries.iter().map(|e| e.learned_at + self.policy.timeout).min()
    }

    /// Every path known, by address.
    pub fn rows(&self) -> impl Iterator<Item = Row<F::Addr>> {
        self.entries.iter().map(|e| Row { dst: e.dst, path: e.path, learned_at: e.learned_at })
    }

    fn is_old(&self, now: Instant, entry: &Entry<F::Addr>) -> bool {
        now.since(entry.learned_at) >= self.policy.timeout
    }

    fn find(&self, dst: F::Addr) -> Result<usize, usize> {
        self.entries.binary_search_by_key(&dst, |e| e.dst)
    }

    /// Adds or replaces `entry`; in a full table it takes the place of the oldest.
    fn put(&mut self, now: Instant, entry: Entry<F::Addr>) {
        self.expire(now);
        match self.find(entry.dst) {
            Ok(at) => self.entries.get_mut(at).into_iter().for_each(|known| *known = entry),
            Err(_) => {
                self.evict();
                let (Ok(at) | Err(at)) = self.find(entry.dst);
                self.entries.insert(at, entry);
            }
        }
        self.changes += 1;
        self.find_smallest();
    }

    /// Makes room for one more.
    fn evict(&mut self) {
        if self.entries.len() < PATHS_MAX {
            return;
        }
        let oldest = self.entries.iter().enumerate().min_by_key(|(_, e)| e.learned_at);
        if let Some(at) = oldest.map(|(at, _)| at) {
            self.entries.remove(at);
        }
    }

    fn find_smallest(&mut self) {
        let least = self.entries.iter().map(|e| e.path.df_max).min();
        self.smallest = least.unwrap_or(self.link_mtu).min(self.link_mtu);
    }
}

/// How a packet leaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sending {
    /// In one piece.
    Whole {
        /// With "don't fragment" set.
        dont_fragment: bool,
    },
    /// In fragments, each a packet of at most `mtu` bytes, without "don't fragment".
    Fragments {
        /// The most bytes of each.
        mtu: u16,
    },
    /// Not at all: the limit is `mtu`. Linux: `EMSGSIZE`.
    TooBig {
        /// The most bytes that would have been sent.
        mtu: u16,
    },
}

/// How a packet of `len` bytes, its IP header included, leaves on `path` by a link that carries `link_mtu`.
// T01, ip(7) IP_MTU_DISCOVER: "want" sets DF on what fits and fragments the rest; "do" always sets it and refuses what
// does not fit; "dont" never sets it; "probe" always sets it, and goes by the link alone; so do "interface" and "omit", which
// never set it, and refuse or fragment what does not fit the link.
#[inline]
#[must_use]
pub fn sending(len: usize, discovery: PmtuDiscovery, path: Path, link_mtu: u16) -> Sending {
    let mtu = match discovery {
        PmtuDiscovery::Want | PmtuDiscovery::Dont => path.mtu.min(link_mtu),
        PmtuDiscovery::Do => path.df_max.min(link_mtu),
        PmtuDiscovery::Probe | PmtuDiscovery::Interface | PmtuDiscovery::Omit => link_mtu,
    };
    let fits = len <= usize::from(mtu);
    match discovery {
        PmtuDiscovery::Want if fits => Sending::Whole { dont_fragment: len <= usize::from(path.df_max) },
        _ if fits => Sending::Whole { dont_fragment: discovery.may_set_df() },
        PmtuDiscovery::Want | PmtuDiscovery::Dont | PmtuDiscovery::Omit => Sending::Fragments { mtu },
        PmtuDiscovery::Do | PmtuDiscovery::Probe | PmtuDiscovery::Interface => Sending::TooBig { mtu },
    }
}

#[cfg(test)]
mod tests;
