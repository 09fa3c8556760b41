//! Options of the IPv4 header (RFC 791 3.1): walked, held against what they may be, and updated for an echo reply.

use core::net::Ipv4Addr;

use arrayvec::ArrayVec;

use super::HEADER_LEN;

/// The most bytes of options.
pub const OPTIONS_MAX: usize = 40;

/// Option: end of the list, one byte.
pub const OPTION_END: u8 = 0;
/// Option: nothing, one byte.
pub const OPTION_NOP: u8 = 1;
/// Option: record route.
pub const OPTION_RECORD_ROUTE: u8 = 7;
/// Option: Internet timestamp.
pub const OPTION_TIMESTAMP: u8 = 68;
/// Option: loose source and record route.
pub const OPTION_LSRR: u8 = 131;
/// Option: strict source and record route.
pub const OPTION_SSRR: u8 = 137;
/// Option: Router Alert (RFC 2113).
pub const OPTION_ROUTER_ALERT: u8 = 148;

/// Timestamp flags: times alone; each behind the address of who wrote it; only at addresses that are there already.
const STAMP_TIMES: u8 = 0;
const STAMP_ADDRESSES: u8 = 1;
const STAMP_PRESPECIFIED: u8 = 3;
/// The flag's bits; the rest count hosts for whom there was no room.
const STAMP_FLAG_MASK: u8 = 0x0f;
const STAMP_OVERFLOW_ONE: u8 = 0x10;
const STAMP_OVERFLOW_MAX: u8 = 0xf0;

/// What a host must know of a packet's options.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct OptionScan {
    /// A loose or strict source route is among them, pending or completed. I16, RFC 7126 4.3: refused.
    pub source_route: bool,
    /// A Router Alert is among them. I19, RFC 2113: of no consequence for UDP.
    pub router_alert: bool,
}

/// An option that cannot be: its length is less than 2 or beyond the header, or its own fields contradict one another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BadOption {
    /// What is wrong, in bytes from the start of the header: the pointer of an ICMP parameter problem. The option's first
    /// byte if its length is.
    pub pointer: u8,
}

/// One option of more than one byte.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ipv4Option<'a> {
    /// Its type byte, copied flag included.
    pub kind: u8,
    /// What follows its length byte.
    pub data: &'a [u8],
    /// Where it begins, in bytes from the start of the header.
    pub at: u8,
}

impl Ipv4Option<'_> {
    /// Its length byte.
    fn len(&self) -> usize {
        2 + self.data.len()
    }

    /// The problem `offset` bytes into it.
    fn bad<T>(&self, offset: u8) -> Result<T, BadOption> {
        Err(BadOption { pointer: self.at.saturating_add(offset) })
    }

    /// Its pointer to the next free slot, counted from 1; `least` is where the first slot begins, behind fixed fields.
    fn pointer(&self, least: u8) -> Result<usize, BadOption> {
        match self.data.first() {
            Some(pointer) if self.len() + 1 >= usize::from(least) => {
                if *pointer < least {
                    self.bad(2)
                } else {
                    Ok(usize::from(*pointer))
                }
            }
            _ => self.bad(1),
        }
    }

    /// Whether a slot of `size` bytes at `pointer` is one, or the list is full.
    fn check_slot(&self, pointer: usize, size: usize) -> Result<(), BadOption> {
        let partial = pointer <= self.len() && pointer + size > self.len() + 1;
        if partial { self.bad(2) } else { Ok(()) }
    }

    /// Whether it is the first of its kind, as `seen` tells from now on.
    fn check_first(&self, seen: &mut bool) -> Result<(), BadOption> {
        if core::mem::replace(seen, true) { self.bad(0) } else { Ok(()) }
    }

    /// RFC 791 3.1, record route: room for whole addresses.
    fn check_record_route(&self) -> Result<(), BadOption> {
        self.check_slot(self.pointer(4)?, 4)
    }

    /// RFC 791 3.1, Internet timestamp: room for whole stamps, or an overflow that can still be counted.
    fn check_timestamp(&self) -> Result<(), BadOption> {
        let pointer = self.pointer(5)?;
        let flags = self.data.get(1).copied().unwrap_or_default();
        let flag = flags & STAMP_FLAG_MASK;
        if pointer > self.len() && flag != STAMP_PRESPECIFIED && flags >= STAMP_OVERFLOW_MAX {
            return self.bad(3);
        }
        let size = if matches!(flag, STAMP_ADDRESSES | STAMP_PRESPECIFIED) { 8 } else { 4 };
        self.check_slot(pointer, size)
    }
}

/// Walks `options` once.
// I14, RFC 1122 3.2.2.5, Linux: not only a length that leads nowhere is a problem. So is a second option of what can be
// there once, and a pointer that points nowhere.
pub(super) fn scan(options: Options<'_>) -> Result<OptionScan, BadOption> {
    let mut found = OptionScan::default();
    let (mut record_route, mut timestamp) = (false, false);
    for option in options {
        let option = option?;
        match option.kind {
            OPTION_LSRR | OPTION_SSRR => {
                option.pointer(4)?;
                option.check_first(&mut found.source_route)?;
            }
            OPTION_RECORD_ROUTE => {
                option.check_first(&mut record_route)?;
                option.check_record_route()?;
            }
            OPTION_TIMESTAMP => {
                option.check_first(&mut timestamp)?;
                option.check_timestamp()?;
            }
            OPTION_ROUTER_ALERT if option.len() < 4 => return option.bad(1),
            OPTION_ROUTER_ALERT => found.router_alert = true,
            // I15, RFC 1122 3.2.1.8: what is not known is passed over.
            _ => {}
        }
    }
    Ok(found)
}

/// The options of a packet, without padding. After a [`BadOption`] it ends.
#[derive(Clone, Debug)]
pub struct Options<'a> {
    rest: &'a [u8],
    header_len: usize,
}

impl<'a> Options<'a> {
    /// Those in `bytes`: what follows the fixed part of a header.
    #[inline]
    #[must_use]
    pub const fn of(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, header_len: HEADER_LEN + bytes.len() }
    }

    /// Where the rest begins, in bytes from the start of the header.
    fn at(&self) -> u8 {
        u8::try_from(self.header_len - self.rest.len()).unwrap_or(u8::MAX)
    }

    /// The option at the front of the rest, and what follows it.
    fn split(&self) -> Option<(Ipv4Option<'a>, &'a [u8])> {
        let ([kind, len], _) = self.rest.split_first_chunk::<2>()?;
        let (option, rest) = self.rest.split_at_checked(usize::from(*len))?;
        // A length below 2 would not cover these two bytes; of 0, it would never get on.
        Some((Ipv4Option { kind: *kind, data: option.get(2..)?, at: self.at() }, rest))
    }
}

// I14, RFC 1122 3.2.2.5 and RFC 791 3.1: END ends, NOP is one byte, all else has a length of at least 2 within the header.
// Every step takes at least one byte, so the walk takes at most 40.
impl<'a> Iterator for Options<'a> {
    type Item = Result<Ipv4Option<'a>, BadOption>;

    fn next(&mut self) -> Option<Self::Item> {
        while let [OPTION_NOP, rest @ ..] = self.rest {
            self.rest = rest;
        }
        if matches!(self.rest, [] | [OPTION_END, ..]) {
            self.rest = &[];
            return None;
        }
        if let Some((option, rest)) = self.split() {
            self.rest = rest;
            return Some(Ok(option));
        }
        let pointer = self.at();
        self.rest = &[];
        Some(Err(BadOption { pointer }))
    }
}

/// Who answers an echo, and when: what a record route and a timestamp are told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stamp {
    /// Our address: the one that was asked.
    pub own: Ipv4Addr,
    /// Milliseconds since midnight UT.
    pub time: u32,
}

/// The options of an echo reply: the request's record route and timestamp, updated; nothing else.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct EchoedOptions(ArrayVec<u8, OPTIONS_MAX>);

impl EchoedOptions {
    /// Those of the reply to a request with `options`, which [`Ipv4::scan_options`](super::Ipv4::scan_options) has found
    /// to be right. `None`: a list has room for half an entry, and the reply cannot be sent.
    // I17, RFC 1122 3.2.2.6: updated to include this host, and in the reply without truncation. As Linux does: the host
    // writes itself down when the request arrives, and again when the reply leaves.
    #[must_use]
    pub fn of(options: Options<'_>, stamp: Stamp, is_own: impl Fn(Ipv4Addr) -> bool) -> Option<Self> {
        let mut echoed = Self::default();
        for kind in [OPTION_RECORD_ROUTE, OPTION_TIMESTAMP] {
            let Some(option) = options.clone().flatten().find(|o| o.kind == kind) else { continue };
            let copy = echoed.push(&option)?;
            for leg in [Leg::Arrival, Leg::Departure] {
                if kind == OPTION_RECORD_ROUTE {
                    record(copy, stamp.own)?;
                } else {
                    stamp_time(copy, stamp, leg, &is_own)?;
                }
            }
        }
        // RFC 791 3.1: the header ends on 32 bits.
        while !echoed.0.len().is_multiple_of(4) {
            echoed.0.try_push(OPTION_END).ok()?;
        }
        Some(echoed)
    }

    /// Adds a copy of `option`, and returns it.
    fn push(&mut self, option: &Ipv4Option<'_>) -> Option<&mut [u8]> {
        let start = self.0.len();
        self.0.try_push(option.kind).ok()?;
        self.0.try_push(u8::try_from(option.len()).ok()?).ok()?;
        self.0.try_extend_from_slice(option.data).ok()?;
        self.0.get_mut(start..)
    }

    /// The bytes, a multiple of four.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// The two moments at which a host writes itself down.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Leg {
    Arrival,
    Departure,
}

/// Writes `own` into the next free slot of a record route; a full one stays as it is.
fn record(option: &mut [u8], own: Ipv4Addr) -> Option<()> {
    let next = usize::from(*option.get(2)?);
    if next > option.len() { Some(()) } else { put(option, own.octets()) }
}

/// Writes the time into the next free slot of a timestamp, if it is for us; if there is none, counts that.
fn stamp_time(option: &mut [u8], stamp: Stamp, leg: Leg, is_own: impl Fn(Ipv4Addr) -> bool) -> Option<()> {
    let (next, flags) = (usize::from(*option.get(2)?), *option.get(3)?);
    let flag = flags & STAMP_FLAG_MASK;
    if next > option.len() {
        if leg == Leg::Arrival && flag != STAMP_PRESPECIFIED {
            *option.get_mut(3)? = flags.saturating_add(STAMP_OVERFLOW_ONE);
        }
        return Some(());
    }
    match flag {
        STAMP_TIMES => {}
        STAMP_ADDRESSES => put(option, stamp.own.octets())?,
        STAMP_PRESPECIFIED => {
            let slot = option.get(next.checked_sub(1)?..)?;
            let Some([a, b, c, d]) = slot.first_chunk::<8>().and_then(|s| s.first_chunk::<4>()) else {
                return Some(());
            };
            if !is_own(Ipv4Addr::new(*a, *b, *c, *d)) {
                return Some(());
            }
            *option.get_mut(2)? = option.get(2)?.checked_add(4)?;
        }
        _ => return Some(()),
    }
    put(option, stamp.time.to_be_bytes())
}

/// Writes four bytes where the option's pointer points, and moves it on.
fn put(option: &mut [u8], bytes: [u8; 4]) -> Option<()> {
    let next = *option.get(2)?;
    let slot = option.get_mut(usize::from(next).checked_sub(1)?..)?.first_chunk_mut::<4>()?;
    *slot = bytes;
    *option.get_mut(2)? = next.checked_add(4)?;
    Some(())
}

#[cfg(test)]
mod tests;
