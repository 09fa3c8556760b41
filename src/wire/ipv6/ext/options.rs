//! The options of Hop-by-Hop and Destination Options headers (RFC 8200 4.2).

use super::{ExtError, OPTIONS_MAX, PADDING_MAX, Tell};

/// Option: padding of one byte, which has no length.
pub const OPTION_PAD1: u8 = 0;
/// Option: padding of two bytes and more.
pub const OPTION_PADN: u8 = 1;
/// Option: Router Alert (RFC 2711), in Hop-by-Hop Options.
pub const OPTION_ROUTER_ALERT: u8 = 5;
/// Option: Jumbo Payload (RFC 2675), in Hop-by-Hop Options.
pub const OPTION_JUMBO: u8 = 0xc2;

/// One option that is no padding.
#[derive(Clone, Copy)]
struct Option6<'a> {
    kind: u8,
    data: &'a [u8],
    /// Where it begins, in bytes from the start of the IPv6 header.
    at: u16,
}

/// Walks the options of `header`, which begins at `at`. Returns whether a Router Alert is among them.
// V11, RFC 8504 5.3: a bounded number of them; and padding, the only other thing that there can be, in short runs.
pub(super) fn check(header: &[u8], at: u16, is_hop_by_hop: bool) -> Result<bool, ExtError> {
    let mut rest = header.get(2..).unwrap_or_default();
    let (mut options, mut padding, mut router_alert) = (0, 0, false);
    while let [kind, behind @ ..] = rest {
        let here = at.saturating_add(u16::try_from(header.len() - rest.len()).unwrap_or(u16::MAX));
        if *kind == OPTION_PAD1 {
            padding = pad(padding, 1)?;
            rest = behind;
            continue;
        }
        let (len, behind) = behind.split_first().ok_or(ExtError::OptionInvalid)?;
        let (data, behind) = behind.split_at_checked(usize::from(*len)).ok_or(ExtError::OptionInvalid)?;
        rest = behind;
        if *kind == OPTION_PADN {
            padding = pad(padding, len.saturating_add(2))?;
            // RFC 4942 2.1.9.5: padding that is not zero carries something past those who look.
            if data.iter().any(|byte| *byte != 0) {
                return Err(ExtError::OptionInvalid);
            }
            continue;
        }
        padding = 0;
        options += 1;
        if options > OPTIONS_MAX {
            return Err(ExtError::TooMany);
        }
        let option = Option6 { kind: *kind, data, at: here };
        match option.kind {
            OPTION_ROUTER_ALERT if is_hop_by_hop && data.len() != 2 => return Err(ExtError::OptionInvalid),
            OPTION_ROUTER_ALERT if is_hop_by_hop => router_alert = true,
            OPTION_JUMBO if is_hop_by_hop => return Err(refuse_jumbo(option)),
            _ => pass_over(option)?,
        }
    }
    Ok(router_alert)
}

/// V11: `more` bytes of padding behind `padding`.
fn pad(padding: u8, more: u8) -> Result<u8, ExtError> {
    let padding = padding.saturating_add(more);
    if padding > PADDING_MAX { Err(ExtError::TooMany) } else { Ok(padding) }
}

/// Whether an option that is not known may be passed over.
// V09, RFC 8200 4.2: 00 yes; else the packet is dropped, and the type says who is told.
const fn pass_over(option: Option6<'_>) -> Result<(), ExtError> {
    let tell = match option.kind >> 6 {
        0 => return Ok(()),
        1 => Tell::Nobody,
        2 => Tell::Sender,
        _ => Tell::SenderUnlessGroup,
    };
    Err(ExtError::OptionUnknown { at: option.at, tell })
}

/// U07, RFC 2675 3: no link of ours carries a jumbogram, so that a packet with this option is cut short or, as here, has a
/// payload length, which a jumbogram has not.
fn refuse_jumbo(option: Option6<'_>) -> ExtError {
    let is_aligned = option.at % 4 == 2;
    match option.data.first_chunk::<4>() {
        Some(len) if option.data.len() == 4 && is_aligned => {
            let is_long = u32::from_be_bytes(*len) > u32::from(u16::MAX);
            ExtError::Jumbo { at: if is_long { option.at } else { option.at.saturating_add(2) } }
        }
        _ => ExtError::OptionInvalid,
    }
}
