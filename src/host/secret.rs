//! The key of stable interface identifiers (RFC 7217) of a host whose configuration names none.

use std::fs;

use crate::addr::MacAddr;
use crate::io::StableSecret;
use crate::stack::nd::stable_iid::secret_of_machine;

/// Where a machine has its identity: 32 hexadecimal digits that no other machine has and nobody outside is told.
const PLACES: [&str; 2] = ["/etc/machine-id", "/var/lib/dbus/machine-id"];

/// The key of this machine. Without an identity of its own it is made of `mac`, and addresses are stable still, but whoever
/// knows the Ethernet address can tell them.
// RFC 7217 5: the key is the same after every start, and of at least 128 bits.
pub(super) fn of_machine(mac: MacAddr) -> StableSecret {
    let id = PLACES.iter().find_map(|place| fs::read_to_string(place).ok().as_deref().and_then(machine_id));
    secret_of_machine(&id.unwrap_or_else(|| {
        tracing::warn!(
            "{} has no identity of this machine: stable IPv6 addresses are made of {mac} alone; set stable_secret to 32 \
             hexadecimal digits of your own",
            PLACES[0]
        );
        let mut bytes = [0; 16];
        bytes[..6].copy_from_slice(&mac.0);
        bytes
    }))
}

/// The identity that `text` is. While a machine is being installed, it may be `uninitialized`, or empty.
fn machine_id(text: &str) -> Option<[u8; 16]> {
    let digits = text.trim_end();
    let hex = digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    u128::from_str_radix(digits, 16).ok().filter(|id| hex && *id != 0).map(u128::to_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    // machine-id(5).
    #[test]
    fn a_machine_id_is_32_hexadecimal_digits() {
        let id = machine_id("00112233445566778899aabbccddeeff\n").unwrap();
        assert_eq!((id[0], id[1], id[15]), (0, 0x11, 0xff));
        for none in ["", "uninitialized\n", "00112233", "+0112233445566778899aabbccddeeff", &"0".repeat(32)] {
            assert_eq!(machine_id(none), None, "{none:?}");
        }
    }
}
