//! VLAN identifiers.

use core::fmt;

/// The identifier of a VLAN: 1 to 4094 (802.1Q 9.6; 0 names no VLAN, 4095 is reserved).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Vid(u16);

impl Vid {
    /// The least.
    pub const MIN: Self = Self(1);
    /// The greatest.
    pub const MAX: Self = Self(4094);

    /// `vid`, if it names a VLAN.
    #[must_use]
    pub const fn new(vid: u16) -> Option<Self> {
        if vid >= Self::MIN.0 && vid <= Self::MAX.0 { Some(Self(vid)) } else { None }
    }

    /// As a number.
    #[inline]
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl fmt::Display for Vid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_names_a_vlan_is_one() {
        for (vid, names) in [(0, false), (1, true), (4094, true), (4095, false), (u16::MAX, false)] {
            assert_eq!(Vid::new(vid).map(Vid::get), names.then_some(vid));
        }
    }
}
