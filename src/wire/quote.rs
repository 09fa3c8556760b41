//! The packet that a received ICMP error quotes: its header, and the eight bytes of what it carried.

use crate::addr::Family;

/// The front of a packet, as an error brings it back. It says what its sender chose to say: nothing in it is proven.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Quote<F: Family> {
    /// From whom it was.
    pub src: F::Addr,
    /// To whom it was.
    pub dst: F::Addr,
    /// What it carried, behind any extension headers.
    pub protocol: u8,
    /// Bytes of header and payload, as its header says; 65,535 if it says more. Far more than what is quoted, as a rule.
    pub total_len: u16,
    /// Whether no one on its way may fragment it: never in IPv6.
    pub dont_fragment: bool,
    /// Where its payload lay in the whole datagram's, in bytes.
    pub fragment_offset: u16,
    /// The first eight bytes of what it carried.
    pub payload: [u8; 8],
}

impl<F: Family> Quote<F> {
    /// The ports that it was sent from and to, if its protocol has any and it is no later fragment.
    #[must_use]
    pub const fn ports(&self) -> Option<(u16, u16)> {
        let [a, b, c, d, ..] = self.payload;
        match self.fragment_offset {
            0 => Some((u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]))),
            _ => None,
        }
    }
}
