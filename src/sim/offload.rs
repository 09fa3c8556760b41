//! What a NIC does to a frame beside moving it: checksums looked at on reception and filled in on transmission, a VLAN
//! tag taken off and inserted.
//!
//! Written without the code of the host under test, so that each checks the other.

use super::nic::NicOptions;
use super::rss::{network_layer, u16_at};
use crate::io::{ChecksumStatus, TxChecksum};

/// What a device says of the checksums of what it received.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum RxChecksum {
    /// Nothing: `Unknown`.
    #[default]
    Unknown,
    /// It sums, and says `Good` or `Bad`; `Unknown` of what it cannot read.
    Computed,
    /// `None`: the fields hold no sum, the data are intact all the same. A virtio peer on the same machine.
    None,
    /// `Bad` of everything, as drivers have been seen to do.
    AlwaysBad,
}

impl RxChecksum {
    /// What such a device says of `frame`: of the IPv4 header, and of the UDP datagram.
    #[must_use]
    pub fn status(self, frame: &[u8]) -> (ChecksumStatus, ChecksumStatus) {
        match self {
            Self::Unknown => (ChecksumStatus::Unknown, ChecksumStatus::Unknown),
            Self::None => (ChecksumStatus::None, ChecksumStatus::None),
            Self::AlwaysBad => (ChecksumStatus::Bad, ChecksumStatus::Bad),
            Self::Computed => {
                let unknown = ChecksumStatus::Unknown;
                let read = match network_layer(frame) {
                    Some((0x0800, packet)) => computed(packet),
                    Some((0x86dd, packet)) => computed6(packet).map(|udp| (unknown, udp)),
                    _ => None,
                };
                read.unwrap_or((unknown, unknown))
            }
        }
    }
}

fn good_if(right: bool) -> ChecksumStatus {
    if right { ChecksumStatus::Good } else { ChecksumStatus::Bad }
}

/// What a device that sums says of an IPv4 packet; nothing of one whose lengths cannot be.
fn computed(packet: &[u8]) -> Option<(ChecksumStatus, ChecksumStatus)> {
    let header_len = usize::from(packet.first()? & 0x0f) * 4;
    let header = packet.get(..header_len).filter(|h| h.len() >= 20)?;
    let ip = good_if(fold(sum(header)) == 0xffff);
    let payload = packet.get(header_len..usize::from(u16_at(packet, 2)?));
    let whole = u16_at(packet, 6)? & 0x3fff == 0 && header.get(9) == Some(&17);
    let addresses = header.get(12..20)?;
    let l4 = payload.filter(|_| whole).and_then(|udp| computed_udp(addresses, udp));
    Some((ip, l4.unwrap_or(ChecksumStatus::Unknown)))
}

/// What it says of the UDP datagram in an IPv6 packet, if that comes directly behind the header: it reads no further.
fn computed6(packet: &[u8]) -> Option<ChecksumStatus> {
    let (header, payload) = packet.split_at_checked(40)?;
    let payload = payload.get(..usize::from(u16_at(header, 4)?)).filter(|_| header[6] == 17)?;
    // Over IPv6, a field of 0 is no checksum (RFC 8200 8.1).
    if u16_at(payload, 6)? == 0 { Some(ChecksumStatus::Bad) } else { computed_udp(header.get(8..)?, payload) }
}

fn computed_udp(addresses: &[u8], payload: &[u8]) -> Option<ChecksumStatus> {
    let len = u16_at(payload, 4)?;
    let udp = payload.get(..usize::from(len)).filter(|udp| udp.len() >= 8)?;
    if u16_at(udp, 6)? == 0 {
        return Some(ChecksumStatus::Good);
    }
    let pseudo = sum(addresses) + 17 + u64::from(len);
    Some(good_if(fold(pseudo + sum(udp)) == 0xffff))
}

/// Fills in the checksums that `request` names. `None` if it cannot be obeyed: the header is not where it says.
#[must_use]
pub fn fill_in(frame: &mut [u8], request: TxChecksum) -> Option<()> {
    let (l3, header_len) = (usize::from(request.l2_len), usize::from(request.l3_len));
    let packet = frame.get_mut(l3..)?;
    let expected = if request.ipv6 { 6 } else { 0x40 + header_len / 4 };
    let first = usize::from(*packet.first()?);
    if (if request.ipv6 { first >> 4 } else { first }) != expected {
        return None;
    }
    if request.ip {
        let header = packet.get_mut(..header_len)?;
        let sum = fold(sum(header));
        header.get_mut(10..12)?.copy_from_slice(&(!sum).to_be_bytes());
    }
    if request.udp {
        let (len_at, before) = if request.ipv6 { (4, header_len) } else { (2, 0) };
        let total = before + usize::from(u16_at(packet, len_at)?);
        let udp = packet.get(header_len..total)?;
        // The field holds the pseudo-header's sum, so that summing the datagram is all there is to do; but as some devices
        // (QEMU's e1000e), this one takes what pads the frame for a part of it.
        let padding = u64::try_from(packet.len() - total).unwrap_or_default();
        let sum = !fold(sum(udp) + padding);
        let sum = if sum == 0 { 0xffff } else { sum };
        packet.get_mut(header_len + 6..header_len + 8)?.copy_from_slice(&sum.to_be_bytes());
    }
    Some(())
}

/// Takes the VLAN tag off: the frame without it, and its tag control information.
#[must_use]
pub fn strip_tag(frame: &[u8]) -> Option<(Vec<u8>, u16)> {
    if u16_at(frame, 12)? != 0x8100 {
        return None;
    }
    let tci = u16_at(frame, 14)?;
    Some(([frame.get(..12)?, frame.get(16..)?].concat(), tci))
}

/// Inserts a VLAN tag behind the addresses. `None` if the frame is too short to have them.
#[must_use]
pub fn insert_tag(frame: &mut Vec<u8>, tci: u16) -> Option<()> {
    let [t0, t1] = tci.to_be_bytes();
    (frame.len() >= 12).then(|| drop(frame.splice(12..12, [0x81, 0x00, t0, t1])))
}

/// The sum of the 16-bit words of `bytes`, an odd one padded with zero.
fn sum(bytes: &[u8]) -> u64 {
    let mut words = bytes.chunks_exact(2);
    let whole: u64 = words.by_ref().map(|w| u64::from(w[0]) << 8 | u64::from(w[1])).sum();
    whole + words.remainder().first().map_or(0, |&last| u64::from(last) << 8)
}

/// `sum` in 16 bits, carries added at the low end. RFC 1071 1.
fn fold(mut sum: u64) -> u16 {
    loop {
        match u16::try_from(sum) {
            Ok(sum) => return sum,
            Err(_) => sum = (sum & 0xffff) + (sum >> 16),
        }
    }
}

/// DPDK's names of what a device like this does, as a port tells them.
pub(super) fn names(options: &NicOptions) -> Vec<String> {
    let mut offloads = Vec::new();
    if options.rx_checksum != RxChecksum::Unknown {
        offloads.extend(["rx_ipv4_cksum".to_owned(), "rx_udp_cksum".to_owned()]);
    }
    if options.vlan_strip {
        offloads.push("rx_vlan_strip".to_owned());
    }
    if options.vlan_insert {
        offloads.push("tx_vlan_insert".to_owned());
    }
    if options.tx_checksum {
        offloads.extend(["tx_ipv4_cksum".to_owned(), "tx_udp_cksum".to_owned()]);
    }
    offloads
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A UDP datagram, 198.18.0.1:40000 to 198.18.0.2:7, "hi!", without a UDP checksum. The sums here are by hand.
    fn datagram() -> Vec<u8> {
        let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x08, 0x00];
        frame.extend([0x45, 0, 0, 31, 0, 0, 0x40, 0, 64, 17, 0, 0, 198, 18, 0, 1, 198, 18, 0, 2]);
        frame.extend([0x9c, 0x40, 0, 7, 0, 11, 0, 0, b'h', b'i', b'!']);
        // 4500+001f+4000+4011+c612+0001+c612+0002 = 2 5157 -> 5159, complemented aea6.
        frame[24..26].copy_from_slice(&[0xae, 0xa6]);
        frame
    }

    const REQUEST: TxChecksum = TxChecksum { ip: true, udp: true, ipv6: false, l2_len: 14, l3_len: 20 };

    fn with_pseudo_sum() -> Vec<u8> {
        let mut frame = datagram();
        frame[24..26].fill(0);
        // c612 + 0001 + c612 + 0002 + 0011 + 000b = 1 8c43 -> 8c44.
        frame[40..42].copy_from_slice(&[0x8c, 0x44]);
        frame
    }

    // RFC 768, RFC 791: what is filled in is what a receiver finds right.
    #[test]
    fn what_is_filled_in_is_found_good() {
        let mut frame = with_pseudo_sum();
        assert!(fill_in(&mut frame, REQUEST).is_some());
        assert_eq!(frame[24..26], [0xae, 0xa6]);
        // 8c44 + 9c40 + 0007 + 000b + 6869 + 2100 = 1 b1ff -> b200, complemented 4dff.
        assert_eq!(frame[40..42], [0x4d, 0xff]);
        let good = ChecksumStatus::Good;
        assert_eq!(RxChecksum::Computed.status(&frame), (good, good));
    }

    #[test]
    fn each_flipped_bit_is_found_bad() {
        let mut frame = with_pseudo_sum();
        assert!(fill_in(&mut frame, REQUEST).is_some());
        frame[44] ^= 0x10;
        assert_eq!(RxChecksum::Computed.status(&frame), (ChecksumStatus::Good, ChecksumStatus::Bad));
        frame[44] ^= 0x10;
        frame[22] ^= 0x01;
        assert_eq!(RxChecksum::Computed.status(&frame), (ChecksumStatus::Bad, ChecksumStatus::Good));
    }

    #[test]
    fn nothing_is_said_of_what_cannot_be_read() {
        let mut whole = with_pseudo_sum();
        assert!(fill_in(&mut whole, REQUEST).is_some());
        let unknown = ChecksumStatus::Unknown;
        for end in 0..34 {
            assert_eq!(RxChecksum::Computed.status(&whole[..end]), (unknown, unknown), "{end}");
        }
        let mut fragment = whole.clone();
        fragment[20] = 0x20;
        assert_eq!(RxChecksum::Computed.status(&fragment).1, unknown);
        assert_eq!(RxChecksum::AlwaysBad.status(&whole), (ChecksumStatus::Bad, ChecksumStatus::Bad));
        assert_eq!(RxChecksum::None.status(&[]), (ChecksumStatus::None, ChecksumStatus::None));
    }

    // RFC 8200 8.1: fd88::2 port 40000 to fd88::1 port 7, "hi!".
    #[test]
    fn over_ipv6_too_what_is_filled_in_is_found_good() {
        let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x86, 0xdd, 0x60, 0, 0, 0, 0, 11, 17, 64];
        for last in [2, 1] {
            frame.extend([0xfd, 0x88, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]);
        }
        // fd88 + 0002 + fd88 + 0001 + 000b + 0011 = 1 fb2f -> fb30.
        frame.extend([0x9c, 0x40, 0, 7, 0, 11, 0xfb, 0x30, b'h', b'i', b'!']);
        let request = TxChecksum { ip: false, udp: true, ipv6: true, l2_len: 14, l3_len: 40 };
        assert!(fill_in(&mut frame, TxChecksum { l2_len: 18, ..request }).is_none());
        assert!(fill_in(&mut frame, request).is_some());
        // fb30 + 9c40 + 0007 + 000b + 6869 + 2100 = 2 20eb -> 20ed, complemented df12.
        assert_eq!(frame[60..62], [0xdf, 0x12]);
        let unknown = ChecksumStatus::Unknown;
        assert_eq!(RxChecksum::Computed.status(&frame), (unknown, ChecksumStatus::Good));
        frame[64] ^= 1;
        assert_eq!(RxChecksum::Computed.status(&frame), (unknown, ChecksumStatus::Bad));
        frame[60..62].fill(0);
        assert_eq!(RxChecksum::Computed.status(&frame), (unknown, ChecksumStatus::Bad));
        frame[20] = 0;
        assert_eq!(RxChecksum::Computed.status(&frame), (unknown, unknown));
    }

    #[test]
    fn a_request_that_points_elsewhere_is_not_obeyed() {
        let request = TxChecksum { l2_len: 18, ..REQUEST };
        assert!(fill_in(&mut with_pseudo_sum(), request).is_none());
        assert!(fill_in(&mut [0; 10], REQUEST).is_none());
    }

    #[test]
    fn a_tag_is_taken_off() {
        let mut tagged = datagram();
        tagged.splice(12..12, [0x81, 0x00, 0xe0, 0x05]);
        assert_eq!(strip_tag(&tagged), Some((datagram(), 0xe005)));
        assert_eq!(strip_tag(&datagram()), None);
    }

    // E12, 802.1Q 9.6: the type 0x8100 and the control information lie between the addresses and the type.
    #[test]
    fn a_tag_is_inserted_behind_the_addresses() {
        let mut tagged = datagram();
        assert!(insert_tag(&mut tagged, 0xe005).is_some());
        assert_eq!(tagged[..18], [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x81, 0, 0xe0, 5, 0x08, 0x00]);
        assert_eq!(tagged[18..], datagram()[14..]);
        assert!(insert_tag(&mut vec![0; 11], 5).is_none());
    }
}
