//! The array of MAC addresses that a driver keeps, as far as group addresses are in it.
//!
//! DPDK's array has holes where an address was removed, and the next one added fills the first of them. The virtio
//! driver sends its whole table at every change: after a removal all that is left, after an addition only what precedes
//! the next hole. So a table with two holes loses groups at the next addition. The way out: an address that goes makes
//! room for one that comes, and where none comes, for a *placeholder* that nobody sends to; the last ones just go. Every
//! command to the device then names every address that was wanted before and is wanted after it.

use crate::addr::MacAddr;

/// The first three bytes of a placeholder: locally administered group addresses, which no protocol uses.
const PLACEHOLDER: [u8; 3] = [0x03, 0x00, 0x00];

/// Whether `mac` is one that the ladder puts into a device's table to keep it without holes. No group maps to it.
#[must_use]
pub fn is_placeholder(mac: MacAddr) -> bool {
    mac.0.starts_with(&PLACEHOLDER)
}

/// Group addresses in a device's table, slot by slot; `None` is a hole. The last slot is in use.
#[derive(Clone, Debug, Default)]
pub(super) struct Table(Vec<Option<MacAddr>>);

impl Table {
    pub(super) fn contains(&self, mac: MacAddr) -> bool {
        self.0.contains(&Some(mac))
    }

    /// Slots in use, placeholders among them.
    pub(super) fn len(&self) -> usize {
        self.macs().count()
    }

    pub(super) fn macs(&self) -> impl DoubleEndedIterator<Item = MacAddr> {
        self.0.iter().filter_map(|slot| *slot)
    }

    pub(super) fn last(&self) -> Option<MacAddr> {
        self.macs().next_back()
    }

    pub(super) fn holes(&self) -> usize {
        self.0.len() - self.len()
    }

    /// What lies behind the first hole, in order.
    pub(super) fn behind_the_first_hole(&self) -> Vec<MacAddr> {
        let dense = self.0.iter().take_while(|slot| slot.is_some()).count();
        self.0.iter().skip(dense).filter_map(|slot| *slot).collect()
    }

    /// `mac` was added: it fills the first hole.
    pub(super) fn added(&mut self, mac: MacAddr) {
        match self.0.iter_mut().find(|slot| slot.is_none()) {
            Some(hole) => *hole = Some(mac),
            None => self.0.push(Some(mac)),
        }
    }

    /// `mac` was removed.
    pub(super) fn removed(&mut self, mac: MacAddr) {
        self.0.iter_mut().filter(|slot| **slot == Some(mac)).for_each(|slot| *slot = None);
        while self.0.last().is_some_and(Option::is_none) {
            self.0.pop();
        }
    }

    /// A placeholder that is not in use yet.
    pub(super) fn new_placeholder(&self) -> MacAddr {
        let [a, b, c] = PLACEHOLDER;
        let all = (0..=u16::MAX).map(|n| {
            let [hi, lo] = n.to_be_bytes();
            MacAddr([a, b, c, 0, hi, lo])
        });
        // No device has a table of 65,536 addresses.
        all.into_iter().find(|mac| !self.contains(*mac)).unwrap_or(MacAddr([a, b, c, 1, 0, 0]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::{Family, Group, V4};

    fn mac(last: u8) -> MacAddr {
        MacAddr([1, 0, 0x5e, 0, 0, last])
    }

    #[test]
    fn an_address_fills_the_first_hole_and_the_end_has_none() {
        let mut table = Table::default();
        (1..=4).for_each(|n| table.added(mac(n)));
        table.removed(mac(1));
        table.removed(mac(3));
        assert_eq!((table.len(), table.holes()), (2, 2));
        assert_eq!(table.behind_the_first_hole(), [mac(2), mac(4)]);
        table.added(mac(9));
        assert_eq!(table.macs().collect::<Vec<_>>(), [mac(9), mac(2), mac(4)]);
        assert_eq!(table.behind_the_first_hole(), [mac(4)]);
        table.removed(mac(4));
        assert_eq!((table.last(), table.holes()), (Some(mac(2)), 0), "a hole at the end is none");
    }

    #[test]
    fn no_group_maps_to_a_placeholder() {
        let mut table = Table::default();
        for _ in 0..300 {
            let placeholder = table.new_placeholder();
            assert!(is_placeholder(placeholder) && placeholder.is_group() && !table.contains(placeholder));
            table.added(placeholder);
        }
        assert!(!is_placeholder(V4::group_mac(V4::ALL_HOSTS)) && !is_placeholder(MacAddr::BROADCAST));
        assert!(!is_placeholder(Group::<V4>::new([239, 128, 0, 0].into()).unwrap().mac()));
    }
}
