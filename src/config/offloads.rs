//! The key `offloads` of a port: what may be left to its device.

use super::error::{At, Problems, one_of};
use super::read::WordOrList;

/// Work that a device may do, by the name that DPDK, `pollcast ctl ports` and `pollcast devices` give it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Offload {
    /// Verifies the header checksums of received IPv4 packets.
    RxIpv4Cksum,
    /// Verifies the checksums of received UDP datagrams.
    RxUdpCksum,
    /// Takes the tags of VLANs off received frames.
    RxVlanStrip,
    /// Spreads a received frame over several buffers, where it does not fit into one.
    RxScatter,
    /// Computes the header checksums of IPv4 packets that are sent.
    TxIpv4Cksum,
    /// Computes the checksums of UDP datagrams that are sent.
    TxUdpCksum,
    /// Puts the tags of VLANs into frames that are sent.
    TxVlanInsert,
}

impl Offload {
    /// Each, with its name.
    pub const NAMES: [(&'static str, Self); 7] = [
        ("rx_ipv4_cksum", Self::RxIpv4Cksum),
        ("rx_udp_cksum", Self::RxUdpCksum),
        ("rx_vlan_strip", Self::RxVlanStrip),
        ("rx_scatter", Self::RxScatter),
        ("tx_ipv4_cksum", Self::TxIpv4Cksum),
        ("tx_udp_cksum", Self::TxUdpCksum),
        ("tx_vlan_insert", Self::TxVlanInsert),
    ];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, offload)| *offload == self).map_or("", |(name, _)| name)
    }

    const fn is_checksum(self) -> bool {
        matches!(self, Self::RxIpv4Cksum | Self::RxUdpCksum | Self::TxIpv4Cksum | Self::TxUdpCksum)
    }
}

/// The key `checksum` of a port: all offloads of checksums at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Checksum {
    /// The device where it can, else software.
    Auto,
    /// Software; none of them is asked for.
    Software,
}

/// Some of them: those that a port may leave to its device, if that offers them.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct OffloadSet(u8);

impl OffloadSet {
    /// Every one.
    pub const ALL: Self = Self((1 << Offload::NAMES.len()) - 1);
    /// None.
    pub const NONE: Self = Self(0);

    /// Whether `offload` is one of them.
    #[must_use]
    pub const fn contains(self, offload: Offload) -> bool {
        self.0 & Self::bit(offload) != 0
    }

    /// These and `offload`.
    #[must_use]
    pub const fn with(self, offload: Offload) -> Self {
        Self(self.0 | Self::bit(offload))
    }

    /// These without `offload`.
    #[must_use]
    pub const fn without(self, offload: Offload) -> Self {
        Self(self.0 & !Self::bit(offload))
    }

    /// These without anything about checksums.
    #[must_use]
    pub fn without_checksums(self) -> Self {
        self.iter().filter(|offload| offload.is_checksum()).fold(self, Self::without)
    }

    /// They, in the order of [`Offload::NAMES`].
    pub fn iter(self) -> impl Iterator<Item = Offload> {
        Offload::NAMES.into_iter().map(|(_, offload)| offload).filter(move |offload| self.contains(*offload))
    }

    const fn bit(offload: Offload) -> u8 {
        1 << offload as u8
    }
}

impl Default for OffloadSet {
    fn default() -> Self {
        Self::ALL
    }
}

impl FromIterator<Offload> for OffloadSet {
    fn from_iter<I: IntoIterator<Item = Offload>>(offloads: I) -> Self {
        offloads.into_iter().fold(Self::NONE, Self::with)
    }
}

impl core::fmt::Debug for OffloadSet {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_set().entries(self.iter().map(Offload::name)).finish()
    }
}

/// What the keys `offloads` and `checksum` of one port come to.
pub(super) fn check(
    offloads: Option<&At<WordOrList>>,
    checksum: Option<&At<Checksum>>,
    problems: &mut Problems,
) -> OffloadSet {
    let in_software = checksum.is_some_and(|at| at.value == Checksum::Software);
    let set = match offloads {
        None => OffloadSet::ALL,
        Some(At { value: WordOrList::Word(word), place }) => match word.as_str() {
            "auto" => OffloadSet::ALL,
            "none" => OffloadSet::NONE,
            _ => {
                let problem = format!("{word:?} is not one of its values");
                problems.add(place, problem, "use \"auto\", \"none\" or a list of those that are allowed");
                OffloadSet::ALL
            }
        },
        Some(At { value: WordOrList::List(list), .. }) => check_list(list, in_software, problems),
    };
    if in_software { set.without_checksums() } else { set }
}

fn check_list(list: &[At<String>], in_software: bool, problems: &mut Problems) -> OffloadSet {
    let mut set = OffloadSet::NONE;
    for At { value, place } in list {
        let Some((_, offload)) = Offload::NAMES.into_iter().find(|(name, _)| name == value) else {
            let remedy = format!("use {}", one_of(Offload::NAMES.into_iter().map(|(name, _)| name)));
            problems.add(place, format!("{value:?} is no offload"), remedy);
            continue;
        };
        if set.contains(offload) {
            problems.add(place, format!("{value} is named twice"), "name each once");
        }
        if in_software && offload.is_checksum() {
            let problem = format!("{value} is of checksums, and checksum says that these are the software's");
            problems.add(place, problem, "take it away, or the key checksum");
        }
        set = set.with(offload);
    }
    set
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_what_was_put_into_it() {
        let all: Vec<_> = OffloadSet::ALL.iter().map(Offload::name).collect();
        assert_eq!(all, Offload::NAMES.map(|(name, _)| name));
        let some = OffloadSet::from_iter([Offload::TxVlanInsert, Offload::RxUdpCksum]);
        assert_eq!(format!("{some:?}"), r#"{"rx_udp_cksum", "tx_vlan_insert"}"#);
        assert_eq!(some.without_checksums().iter().collect::<Vec<_>>(), [Offload::TxVlanInsert]);
        assert_eq!(some.without(Offload::RxUdpCksum), some.without_checksums());
        assert_eq!(OffloadSet::NONE.iter().count(), 0);
    }
}
