//! Extension headers (RFC 8200 4): one bounded walk from the IPv6 header to what the packet carries.
//!
//! What a host has to know of them is found out on the way, and every way in which they can be wrong is told apart, with
//! the place that an ICMPv6 parameter problem points to. As Linux does where RFC 8200 leaves a choice.
//!
//! Known are Hop-by-Hop Options, Routing, Fragment and Destination Options. To a host without IPsec and Mobile IPv6, all
//! else is what the packet carries, known to it or not.

use super::{
    HEADER_LEN, Ipv6, NEXT_HEADER_DESTINATION, NEXT_HEADER_FRAGMENT, NEXT_HEADER_HOP_BY_HOP,
    NEXT_HEADER_ICMPV6, NEXT_HEADER_NONE, NEXT_HEADER_OFFSET, NEXT_HEADER_ROUTING, NEXT_HEADER_UDP, offset16,
};

mod options;

pub use options::{OPTION_JUMBO, OPTION_PAD1, OPTION_PADN, OPTION_ROUTER_ALERT};

/// Extension headers of a packet at most. V11, RFC 8504 5.3.
pub const HEADERS_MAX: u8 = 8;
/// Options of one header at most, padding not counted. V11, RFC 8504 5.3.
pub const OPTIONS_MAX: u8 = 8;
/// Bytes of padding in a row at most: more align nothing. V11, RFC 8504 5.3, RFC 4942 2.1.9.5.
pub const PADDING_MAX: u8 = 7;

/// Bytes of a Fragment header.
pub const FRAGMENT_HEADER_LEN: usize = 8;

/// Offset of the type in a Routing header, and of the segments that are left.
const ROUTING_TYPE: usize = 2;
const ROUTING_SEGMENTS_LEFT: usize = 3;

/// A TCP header, which a first fragment has to have whole like any other.
const NEXT_HEADER_TCP: u8 = 6;

/// What the extension headers of a packet came to. Offsets are from the start of the IPv6 header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Chain {
    /// What the packet carries; of a part that is not the first, what its Fragment header names.
    pub protocol: u8,
    /// Where that begins; of a part that is not the first, where the part does.
    pub offset: u16,
    /// Where the field lies that named it: the pointer of a parameter problem about it.
    pub named_at: u16,
    /// Whether a Router Alert (RFC 2711) is in the Hop-by-Hop Options.
    pub router_alert: bool,
    /// The Fragment header, if there is one.
    pub fragment: Option<FragmentHeader>,
}

impl Chain {
    /// The Fragment header, if the packet is only a part of something.
    // W01, RFC 6946 4: one that says that there are no others says nothing.
    #[must_use]
    pub fn part(&self) -> Option<FragmentHeader> {
        self.fragment.filter(|fragment| !fragment.is_atomic())
    }
}

/// A Fragment header, and where it lies: what comes before it is the unfragmentable part.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FragmentHeader {
    /// Where it begins, in bytes from the start of the IPv6 header.
    pub at: u16,
    /// Where the field lies that named it, in bytes from the start of the IPv6 header.
    pub named_at: u16,
    /// What follows it; of all fragments, only the first one's is believed (W08).
    pub next_header: u8,
    /// Where its part lies in the whole, in bytes.
    pub offset: u16,
    /// Whether there are parts behind it.
    pub more: bool,
    /// Which parts belong together.
    pub id: u32,
}

impl FragmentHeader {
    /// Whether it is all of its packet. RFC 6946 2.
    #[must_use]
    pub const fn is_atomic(&self) -> bool {
        self.offset == 0 && !self.more
    }
}

/// Why a packet is refused for its extension headers. Offsets are from the start of the IPv6 header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ExtError {
    /// V12: a header ends behind the packet's end.
    Truncated,
    /// An option ends behind its header's end, or is of a length that it cannot have; or padding carries something.
    OptionInvalid,
    /// V11: more headers, options of one header, or padding in a row than this host looks at.
    TooMany,
    /// V07: Hop-by-Hop Options that do not come first.
    HopByHopMisplaced {
        /// Where the field lies that named them.
        named_at: u16,
    },
    /// V09: an option that this host does not know, and that is not to be passed over.
    OptionUnknown {
        /// Where it begins.
        at: u16,
        /// Whom to tell, as its type says.
        tell: Tell,
    },
    /// V10: a Routing header by which the packet would have to go on.
    Routing {
        /// Where its type lies.
        type_at: u16,
    },
    /// A jumbogram's option in a packet that is none, or one that says too little (RFC 2675 3).
    Jumbo {
        /// Where what is wrong lies.
        at: u16,
    },
    /// A second Fragment header, or one that ends behind the packet's end.
    Fragment {
        /// Where it begins.
        at: u16,
    },
    /// W06: a first fragment in which the headers do not end.
    FirstFragmentIncomplete,
}

/// Who is told of an option that is not known, by the highest two bits of its type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tell {
    /// 01: nobody.
    Nobody,
    /// 10: the sender, also of a packet to a group.
    Sender,
    /// 11: the sender, but not of a packet to a group.
    SenderUnlessGroup,
}

/// Walks the extension headers of `ip` once.
///
/// # Errors
/// What is wrong with the first one that is.
#[inline]
pub fn walk(ip: &Ipv6<'_>) -> Result<Chain, ExtError> {
    if is_extension(ip.next_header()) { Walk::new(ip).run() } else { Ok(Walk::new(ip).chain()) }
}

const fn is_extension(next_header: u8) -> bool {
    matches!(
        next_header,
        NEXT_HEADER_HOP_BY_HOP | NEXT_HEADER_ROUTING | NEXT_HEADER_FRAGMENT | NEXT_HEADER_DESTINATION
    )
}

/// A walk on its way.
struct Walk<'a> {
    /// The rest of the piece that it is in, and the piece after that.
    rest: &'a [u8],
    body: &'a [u8],
    /// Where `rest` begins, what begins there, and where the field lies that says so.
    at: u16,
    next: u8,
    named_at: u16,
    headers: u8,
    router_alert: bool,
    fragment: Option<FragmentHeader>,
}

impl<'a> Walk<'a> {
    fn new(ip: &Ipv6<'a>) -> Self {
        let front = ip.header_bytes().get(HEADER_LEN..).unwrap_or_default();
        let (rest, body) = if front.is_empty() { (ip.payload(), front) } else { (front, ip.payload()) };
        Self {
            rest,
            body,
            at: offset16(HEADER_LEN),
            next: ip.next_header(),
            named_at: offset16(NEXT_HEADER_OFFSET),
            headers: 0,
            router_alert: false,
            fragment: None,
        }
    }

    fn chain(&self) -> Chain {
        Chain {
            protocol: self.next,
            offset: self.at,
            named_at: self.named_at,
            router_alert: self.router_alert,
            fragment: self.fragment,
        }
    }

    fn run(mut self) -> Result<Chain, ExtError> {
        while is_extension(self.next) {
            let (kind, at, named_at) = (self.next, self.at, self.named_at);
            // V07, RFC 8200 4.1: to whoever stands anywhere else, 0 is a next header that nobody knows.
            if kind == NEXT_HEADER_HOP_BY_HOP && self.headers > 0 {
                return Err(ExtError::HopByHopMisplaced { named_at });
            }
            let header = self.take()?;
            match kind {
                NEXT_HEADER_HOP_BY_HOP => self.router_alert = options::check(header, at, true)?,
                NEXT_HEADER_DESTINATION => drop(options::check(header, at, false)?),
                NEXT_HEADER_ROUTING => check_routing(header, at)?,
                _ => {
                    let fragment = self.read_fragment(header, at, named_at)?;
                    self.fragment = Some(fragment);
                    if fragment.offset > 0 {
                        return Ok(self.chain());
                    }
                    if fragment.more {
                        return self.see_upper_layer();
                    }
                }
            }
        }
        Ok(self.chain())
    }

    /// The header at the front of the rest, which is left behind it.
    // V11, RFC 8504 5.3: so many and no more, each of 2048 bytes at most. V12, RFC 8200 4.2: each within the packet.
    fn take(&mut self) -> Result<&'a [u8], ExtError> {
        if self.headers == HEADERS_MAX {
            return Err(ExtError::TooMany);
        }
        let is_fragment = self.next == NEXT_HEADER_FRAGMENT;
        let error = if is_fragment { ExtError::Fragment { at: self.at } } else { ExtError::Truncated };
        let [next, len] = *self.rest.first_chunk::<2>().ok_or(error)?;
        let len = if is_fragment { FRAGMENT_HEADER_LEN } else { 8 * (1 + usize::from(len)) };
        let (header, rest) = self.rest.split_at_checked(len).ok_or(error)?;
        self.headers += 1;
        self.rest = rest;
        if rest.is_empty() {
            self.rest = core::mem::take(&mut self.body);
        }
        (self.next, self.named_at) = (next, self.at);
        // It stays below 17,000.
        self.at = self.at.saturating_add(u16::try_from(len).unwrap_or(u16::MAX));
        Ok(header)
    }

    /// W09, RFC 8200 4.5: the reserved bits mean nothing. A second one can only be an attack on whoever puts parts together;
    /// Linux answers it with a parameter problem.
    fn read_fragment(&self, header: &[u8], at: u16, named_at: u16) -> Result<FragmentHeader, ExtError> {
        let Some([next_header, _, o0, o1, i0, i1, i2, i3]) =
            header.first_chunk::<FRAGMENT_HEADER_LEN>().copied().filter(|_| self.fragment.is_none())
        else {
            return Err(ExtError::Fragment { at });
        };
        let word = u16::from_be_bytes([o0, o1]);
        let id = u32::from_be_bytes([i0, i1, i2, i3]);
        Ok(FragmentHeader { at, named_at, next_header, offset: word & !7, more: word & 1 != 0, id })
    }

    /// A first fragment, if all headers are in it, the upper layer's among them. They are only counted here: what they say is
    /// looked at when the packet is whole.
    // W06, RFC 7112 5: what its header chain hides in another fragment, no filter on its way has seen.
    fn see_upper_layer(mut self) -> Result<Chain, ExtError> {
        while is_extension(self.next) {
            if self.next == NEXT_HEADER_FRAGMENT {
                return Err(ExtError::Fragment { at: self.at });
            }
            self.take().map_err(|e| match e {
                ExtError::TooMany => e,
                _ => ExtError::FirstFragmentIncomplete,
            })?;
        }
        let least = match self.next {
            NEXT_HEADER_UDP | NEXT_HEADER_ICMPV6 => 8,
            NEXT_HEADER_TCP => 20,
            NEXT_HEADER_NONE => 0,
            _ => 1,
        };
        if self.rest.len() < least { Err(ExtError::FirstFragmentIncomplete) } else { Ok(self.chain()) }
    }
}

/// V10, RFC 8200 4.4, RFC 5095 3: where it has led, it is passed over; no host leads it on, whatever its type.
fn check_routing(header: &[u8], at: u16) -> Result<(), ExtError> {
    match header.get(ROUTING_SEGMENTS_LEFT) {
        Some(0) => Ok(()),
        _ => Err(ExtError::Routing { type_at: at.saturating_add(offset16(ROUTING_TYPE)) }),
    }
}

#[cfg(test)]
mod tests;
