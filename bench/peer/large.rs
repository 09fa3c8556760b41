//! Questions that are too large for one frame: each goes out in fragments, and its answer comes back in fragments.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::frames::{ECHO_PORT, HOST, HOST_MAC, Ipv4, PEER, PEER_MAC, Writer, finish, sum};

/// How often one is asked, in nanoseconds.
pub(crate) const EVERY_NS: u64 = 10_000_000;

/// Bytes of the payload, and of the IP payload of every fragment but the last.
const PAYLOAD: usize = 3000;
const FRAGMENT: usize = 1480;

const SOURCE_PORT: u16 = 19_999;

/// The large questions of one phase.
#[derive(Debug)]
pub(crate) struct Large {
    phase: u16,
    asked: u32,
    refused: u64,
    answered: u64,
    wrong: u64,
    /// By identification: what came so far, and how many bytes that is.
    parts: HashMap<u16, (Vec<u8>, usize)>,
}

impl Large {
    pub(crate) fn new(phase: u16) -> Self {
        Self { phase, asked: 0, refused: 0, answered: 0, wrong: 0, parts: HashMap::new() }
    }

    pub(crate) fn sent(&self) -> u64 {
        self.asked.into()
    }

    /// The next question, as frames.
    pub(crate) fn ask(&mut self) -> Vec<Vec<u8>> {
        let datagram = self.datagram(self.asked, (SOURCE_PORT, ECHO_PORT));
        let [.., i0, i1] = self.asked.to_be_bytes();
        self.asked += 1;
        let pieces = datagram.chunks(FRAGMENT).enumerate();
        pieces
            .map(|(n, piece)| {
                let more = if (n + 1) * FRAGMENT < datagram.len() { 0x2000 } else { 0 };
                let fragment = more | u16::try_from(n * FRAGMENT / 8).unwrap_or(0);
                let mut header = Writer::new(HOST_MAC, PEER_MAC, [8, 0]);
                let id = u16::from_be_bytes([i0, i1]);
                header.ipv4(Ipv4 { id, fragment, ..Ipv4::udp(PEER, piece.len()) });
                [
                    &header.frame()[..header.len()],
                    piece,
                    &[0; 60][..60_usize.saturating_sub(34 + piece.len())],
                ]
                .concat()
            })
            .collect()
    }

    /// The ring had no room for all of the last question.
    pub(crate) fn refused(&mut self) {
        self.refused += 1;
    }

    /// A fragment came: an IPv4 packet without options, of UDP, for the good host.
    pub(crate) fn fragment(&mut self, packet: &[u8]) {
        let Some((header, payload)) = packet.split_first_chunk::<20>() else { return };
        let [.., l0, l1, i0, i1, f0, f1, _, _, _, _] = *header.first_chunk::<12>().unwrap_or(&[0; 12]);
        let len = usize::from(u16::from_be_bytes([l0, l1])).saturating_sub(20);
        let start = usize::from(u16::from_be_bytes([f0, f1]) & 0x1fff) * 8;
        let (Some(payload), true) = (payload.get(..len), start + len <= PAYLOAD + 8) else {
            self.wrong += 1;
            return;
        };
        let id = u16::from_be_bytes([i0, i1]);
        let (bytes, came) = self.parts.entry(id).or_insert_with(|| (vec![0; PAYLOAD + 8], 0));
        bytes[start..start + len].copy_from_slice(payload);
        *came += len;
        if *came == bytes.len() {
            let whole = self.parts.remove(&id).map(|(bytes, _)| bytes).unwrap_or_default();
            self.whole(&whole);
        }
    }

    fn whole(&mut self, datagram: &[u8]) {
        let Some(&[p0, p1, n0, n1, n2, n3]) = datagram.get(8..14).and_then(|bytes| bytes.first_chunk())
        else {
            return;
        };
        if u16::from_be_bytes([p0, p1]) != self.phase {
            return;
        }
        let mut expected = self.datagram(u32::from_be_bytes([n0, n1, n2, n3]), (ECHO_PORT, SOURCE_PORT));
        // No checksum is as right as a right one.
        if datagram[6..8] == [0, 0] {
            expected[6..8].fill(0);
        }
        if expected == datagram { self.answered += 1 } else { self.wrong += 1 }
    }

    /// A UDP datagram between the two hosts; its checksum is the same both ways.
    fn datagram(&self, number: u32, (from, to): (u16, u16)) -> Vec<u8> {
        let len = u16::try_from(PAYLOAD + 8).unwrap_or(0).to_be_bytes();
        let mut bytes = [&from.to_be_bytes()[..], &to.to_be_bytes(), &len, &[0, 0]].concat();
        bytes.extend(self.phase.to_be_bytes());
        bytes.extend(number.to_be_bytes());
        let mixed = number.wrapping_mul(0x9e37_79b9) | 1;
        bytes.extend((0_u32..).take(PAYLOAD - 6).map(|place| place.wrapping_mul(mixed).to_be_bytes()[0]));
        let checksum = finish(sum(&bytes, sum(&PEER, 17) + sum(&HOST, 0) + sum(&len, 0)));
        bytes[6..8].copy_from_slice(&if checksum == [0, 0] { [0xff, 0xff] } else { checksum });
        bytes
    }

    pub(crate) fn report(&self) -> Value {
        json!({
            "sent": self.asked, "refused_by_ring": self.refused, "answered": self.answered, "wrong": self.wrong,
        })
    }
}
