//! Receive-side scaling: how a device is told to spread flows over its receive queues, and what it made of it.
//!
//! Whatever is asked for is read back: drivers accept a key or a table that their device never sees. [`set_up`] is the one
//! way to do that, for real devices and simulated ones; what it asks of a device is [`RssCalls`].

use serde::{Deserialize, Serialize};

/// What a device offers. [`None`](Option::None) and 0 are for what it does not tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RssOffer {
    /// The functions, of those that hash IP and UDP: `flow_type_rss_offloads`, a bit each.
    pub functions: u64,
    /// Bytes of its key.
    pub key_len: usize,
    /// Entries of its redirection table (RETA).
    pub reta_size: u16,
}

/// What a device is configured with.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RssConf {
    /// What it hashes; 0: it does not.
    pub functions: u64,
    /// The key; empty: the driver's own.
    pub key: Vec<u8>,
}

/// What is asked of a device that has been configured and started.
pub trait RssCalls {
    /// Fills the redirection table: entry `i` names the receive queue `table[i]`.
    ///
    /// # Errors
    /// The driver refuses, in words.
    fn update_reta(&mut self, table: &[u16]) -> Result<(), String>;

    /// The redirection table, of `size` entries, as the driver says it is.
    ///
    /// # Errors
    /// The driver refuses, in words.
    fn reta(&mut self, size: u16) -> Result<Vec<u16>, String>;

    /// Functions and key, as the driver says they are; `key_len` is how many bytes it has told that its key has.
    ///
    /// # Errors
    /// The driver refuses, in words.
    fn conf(&mut self, key_len: usize) -> Result<RssConf, String>;

    /// The names of `functions`, as `ipv4-udp`.
    fn names(&self, functions: u64) -> Vec<String>;
}

/// How a device with several receive queues spreads flows over them: as read back, not as asked for.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct RssState {
    /// What it hashes, by testpmd's names, as `ipv4-udp`.
    pub functions: Vec<String>,
    /// Its key, in hexadecimal; `None`: it does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Whether both directions of a flow have the same hash.
    pub symmetric: bool,
    /// Its redirection table; `None`: it has none, or does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reta: Option<RetaState>,
    /// What it refused, or answered and did not do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
}

/// A redirection table.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct RetaState {
    /// Its entries.
    pub size: u16,
    /// How many of them name each receive queue.
    pub entries_by_queue: Vec<u16>,
}

/// A Toeplitz key of `len` bytes under which a flow and its answers have the same hash.
///
/// Each bit of the input selects the 32 bits of the key from its own position on. Source and destination lie a multiple of 16 bits
/// apart, in addresses and in ports: a key that repeats after 16 bits makes them interchangeable (Woo and Park, "Scalable TCP session
/// monitoring with symmetric receive-side scaling", 2012).
#[must_use]
pub fn symmetric_key(len: usize) -> Vec<u8> {
    [0x6d, 0x5a].into_iter().cycle().take(len).collect()
}

/// Whether a flow and its answers have the same hash under `key`.
#[must_use]
pub fn is_symmetric(key: &[u8]) -> bool {
    !key.is_empty() && key.iter().zip(key.iter().skip(2)).all(|(a, b)| a == b)
}

/// The redirection table of `size` entries that names each of `queues` receive queues equally often, or once more.
#[must_use]
pub fn even_reta(size: u16, queues: u16) -> Vec<u16> {
    (0..size).map(|entry| entry % queues.max(1)).collect()
}

/// With what a device that offers `offer` is to be configured for `queues` receive queues, best first, each with why it is not the one
/// before: the next is for when the driver refuses.
#[must_use]
pub fn attempts(offer: RssOffer, queues: u16) -> Vec<(RssConf, Option<&'static str>)> {
    let none = RssConf::default();
    if queues < 2 {
        return vec![(none, None)];
    }
    let RssOffer { functions, key_len, .. } = offer;
    if functions == 0 {
        return vec![(
            none,
            Some("the driver offers no hash of IP or UDP: the device spreads packets as it likes"),
        )];
    }
    let drivers_key = RssConf { functions, key: Vec::new() };
    let unhashed = (none, Some("the driver refuses to hash: the device spreads packets as it likes"));
    if key_len == 0 {
        return vec![(drivers_key, Some("the driver tells no length of its key: it has its own")), unhashed];
    }
    let ours = RssConf { functions, key: symmetric_key(key_len) };
    vec![(ours, None), (drivers_key, Some("the driver refuses our key: it has its own")), unhashed]
}

/// Spreads what a device that was configured with `conf` receives evenly over its `queues` receive queues, and reads back what it
/// does. `problem` is why it was not configured with something better.
pub fn set_up(
    calls: &mut impl RssCalls,
    offer: RssOffer,
    (conf, problem): (&RssConf, Option<&str>),
    queues: u16,
) -> RssState {
    let mut problems: Vec<String> = problem.map(str::to_owned).into_iter().collect();
    if conf.functions == 0 {
        return RssState { problems, ..RssState::default() };
    }
    let mut read = calls.conf(offer.key_len).unwrap_or_else(|why| {
        problems.push(format!("its hash functions and key cannot be read back: {why}"));
        // What it was configured with is what is known.
        RssConf { functions: conf.functions, key: Vec::new() }
    });
    if !conf.key.is_empty() && !read.key.is_empty() && read.key != conf.key {
        problems.push("the driver took our key, and has another one".to_owned());
    }
    let missing = conf.functions & !read.functions;
    if missing != 0 {
        problems.push(format!("it was told to hash {}, and does not", calls.names(missing).join(" ")));
    }
    read.functions &= conf.functions;
    let reta = fill_reta(calls, offer.reta_size, queues, &mut problems);
    RssState {
        functions: calls.names(read.functions),
        key: (!read.key.is_empty()).then(|| read.key.iter().map(|byte| format!("{byte:02x}")).collect()),
        symmetric: is_symmetric(&read.key),
        reta,
        problems,
    }
}

fn fill_reta(
    calls: &mut impl RssCalls,
    size: u16,
    queues: u16,
    problems: &mut Vec<String>,
) -> Option<RetaState> {
    if size == 0 {
        problems.push("the driver tells of no redirection table: it fills the queues by its own".to_owned());
        return None;
    }
    let wanted = even_reta(size, queues);
    let refused = calls.update_reta(&wanted).err();
    let read = calls.reta(size).map_err(|why| format!("its redirection table cannot be read back: {why}"));
    match (&refused, &read) {
        (Some(why), _) if read.as_ref() != Ok(&wanted) => {
            problems.push(format!("its redirection table cannot be set: {why}"));
        }
        (None, Ok(table)) if *table != wanted => {
            problems.push("the driver took our redirection table, and has another one".to_owned());
        }
        _ => {}
    }
    let table = read.map_err(|why| problems.push(why)).ok()?;
    let mut entries_by_queue = vec![0; usize::from(queues)];
    let mut astray = 0u16;
    for queue in table {
        match entries_by_queue.get_mut(usize::from(queue)) {
            Some(entries) => *entries += 1,
            None => astray += 1,
        }
    }
    if astray > 0 {
        problems.push(format!("{astray} entries of its redirection table name queues that nobody has"));
    }
    if let Some(idle) = entries_by_queue.iter().position(|entries| *entries == 0) {
        problems.push(format!("its redirection table does not name queue {idle}"));
    }
    Some(RetaState { size, entries_by_queue })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFER: RssOffer = RssOffer { functions: 0b11, key_len: 40, reta_size: 128 };

    /// A device that does what it is told, but for what it is made to do otherwise.
    #[derive(Default)]
    struct Device {
        conf: RssConf,
        reta: Vec<u16>,
        refuses_reta: bool,
        ignores_reta: bool,
        tells_nothing: bool,
    }

    impl RssCalls for Device {
        fn update_reta(&mut self, table: &[u16]) -> Result<(), String> {
            if self.refuses_reta {
                return Err("-ENOTSUP".to_owned());
            }
            if !self.ignores_reta {
                self.reta = table.to_vec();
            }
            Ok(())
        }

        fn reta(&mut self, size: u16) -> Result<Vec<u16>, String> {
            if self.tells_nothing {
                Err("-ENOTSUP".to_owned())
            } else {
                Ok(self.reta.iter().copied().take(size.into()).collect())
            }
        }

        fn conf(&mut self, key_len: usize) -> Result<RssConf, String> {
            assert_eq!(key_len, OFFER.key_len);
            if self.tells_nothing { Err("-ENOTSUP".to_owned()) } else { Ok(self.conf.clone()) }
        }

        fn names(&self, functions: u64) -> Vec<String> {
            [(1, "ipv4-udp"), (2, "ipv6-udp")]
                .iter()
                .filter(|(bit, _)| functions & bit != 0)
                .map(|(_, name)| (*name).to_owned())
                .collect()
        }
    }

    fn ours() -> RssConf {
        RssConf { functions: OFFER.functions, key: symmetric_key(40) }
    }

    #[test]
    fn a_device_that_does_as_it_is_told_has_no_problems() {
        let mut device = Device { conf: ours(), reta: vec![0; 128], ..Device::default() };
        let state = set_up(&mut device, OFFER, (&ours(), None), 3);
        assert_eq!(state.problems, [""; 0]);
        assert_eq!(
            (state.functions, state.symmetric),
            (vec!["ipv4-udp".to_owned(), "ipv6-udp".to_owned()], true)
        );
        assert_eq!(state.key, Some("6d5a".repeat(20)));
        assert_eq!(state.reta, Some(RetaState { size: 128, entries_by_queue: vec![43, 43, 42] }));
    }

    #[test]
    fn what_is_accepted_and_not_done_is_told() {
        let stale = RssConf { functions: 0b01, key: (0..40).collect() };
        let mut device = Device { conf: stale, reta: vec![0; 128], ignores_reta: true, ..Device::default() };
        let state = set_up(&mut device, OFFER, (&ours(), None), 2);
        assert_eq!(
            state.problems,
            [
                "the driver took our key, and has another one",
                "it was told to hash ipv6-udp, and does not",
                "the driver took our redirection table, and has another one",
                "its redirection table does not name queue 1",
            ]
        );
        assert!(!state.symmetric);
        assert_eq!(state.reta.unwrap().entries_by_queue, [128, 0]);
    }

    #[test]
    fn a_refusal_matters_only_if_the_table_is_not_even_already() {
        let even = Device { conf: ours(), reta: even_reta(128, 2), refuses_reta: true, ..Device::default() };
        let mut uneven = Device { conf: ours(), reta: vec![7; 128], refuses_reta: true, ..Device::default() };
        let mut with_even = even;
        assert_eq!(set_up(&mut with_even, OFFER, (&ours(), None), 2).problems, [""; 0]);
        let state = set_up(&mut uneven, OFFER, (&ours(), None), 2);
        assert_eq!(
            state.problems,
            [
                "its redirection table cannot be set: -ENOTSUP",
                "128 entries of its redirection table name queues that nobody has",
                "its redirection table does not name queue 0",
            ]
        );
    }

    #[test]
    fn a_device_that_tells_nothing_is_believed_in_nothing() {
        let mut device = Device { tells_nothing: true, ..Device::default() };
        let state = set_up(&mut device, OFFER, (&ours(), None), 2);
        assert_eq!((state.key, state.symmetric, state.reta), (None, false, None));
        assert_eq!(
            state.problems,
            [
                "its hash functions and key cannot be read back: -ENOTSUP",
                "its redirection table cannot be read back: -ENOTSUP",
            ]
        );
        let state = set_up(&mut device, RssOffer { reta_size: 0, ..OFFER }, (&ours(), None), 2);
        assert!(state.problems[1].contains("no redirection table"), "{state:?}");
    }

    #[test]
    fn each_refusal_leaves_something_to_try() {
        let of = |offer, queues| {
            attempts(offer, queues)
                .into_iter()
                .map(|(conf, why)| (conf.functions, conf.key.len(), why.is_some()))
                .collect::<Vec<_>>()
        };
        assert_eq!(of(OFFER, 1), [(0, 0, false)], "one queue needs no hash");
        assert_eq!(of(OFFER, 2), [(3, 40, false), (3, 0, true), (0, 0, true)]);
        assert_eq!(of(RssOffer { key_len: 0, ..OFFER }, 2), [(3, 0, true), (0, 0, true)]);
        assert_eq!(of(RssOffer::default(), 2), [(0, 0, true)]);
        let unhashed = set_up(&mut Device::default(), OFFER, (&RssConf::default(), Some("why")), 2);
        assert_eq!((unhashed.problems, unhashed.functions), (vec!["why".to_owned()], Vec::new()));
    }

    #[test]
    fn a_key_is_symmetric_if_it_repeats_after_16_bits() {
        assert!(
            is_symmetric(&symmetric_key(40))
                && is_symmetric(&symmetric_key(52))
                && symmetric_key(41).len() == 41
        );
        assert!(!is_symmetric(&[]) && !is_symmetric(&[1, 2, 1, 3]));
    }
}
