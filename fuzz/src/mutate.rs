//! Changes to scripts: enough to reach every branch of a packet path from valid frames, on the stable toolchain.

use pollcast::rng::Rng;

use super::script::{FRAME_MAX, Step};

/// The most steps of a script: more only makes it slow.
const STEPS_MAX: usize = 24;

/// Bytes at which counters, lengths and signs turn over, and values that headers hold.
const TELLING: [u8; 16] = [0, 1, 4, 5, 6, 7, 8, 0x0f, 0x11, 0x45, 0x46, 0x7f, 0x80, 0xe0, 0xfe, 0xff];

/// A number in `0..bound`; 0 if there is none.
pub fn below(rng: &mut Rng, bound: usize) -> usize {
    usize::try_from(rng.below(u64::try_from(bound).unwrap_or(u64::MAX))).unwrap_or(0)
}

/// A change or a few of `steps`, with pieces taken from `others`.
pub fn mutate(rng: &mut Rng, steps: &mut Vec<Step>, others: &[Vec<Step>]) {
    for _ in 0..=below(rng, 4) {
        match below(rng, 12) {
            0 => insert_from(rng, steps, others),
            1 if steps.len() > 1 => {
                let gone = below(rng, steps.len());
                steps.remove(gone);
            }
            2 if !steps.is_empty() => {
                let (from, to) = (below(rng, steps.len()), below(rng, steps.len()));
                steps.swap(from, to);
            }
            3 if !steps.is_empty() => {
                let again = steps[below(rng, steps.len())].clone();
                steps.push(again);
            }
            4 => {
                let at = below(rng, steps.len() + 1);
                steps.insert(at, passing(rng));
            }
            _ => change_a_frame(rng, steps, others),
        }
    }
    steps.truncate(STEPS_MAX);
}

/// A step that is not a frame.
fn passing(rng: &mut Rng) -> Step {
    let n = u16::try_from(below(rng, 0x1000)).unwrap_or(0);
    match below(rng, 8) {
        0 => Step::Starve(n % 8),
        5 => Step::Stall,
        1 | 2 => Step::Wait(n),
        3 => Step::Wait(n % 20),
        _ => Step::Turn,
    }
}

fn insert_from(rng: &mut Rng, steps: &mut Vec<Step>, others: &[Vec<Step>]) {
    if let Some(other) = others.get(below(rng, others.len())).filter(|other| !other.is_empty()) {
        let at = below(rng, steps.len() + 1);
        steps.insert(at, other[below(rng, other.len())].clone());
    }
}

fn change_a_frame(rng: &mut Rng, steps: &mut [Step], others: &[Vec<Step>]) {
    if steps.is_empty() {
        return;
    }
    let at = below(rng, steps.len());
    let Step::Frame(frame) = &mut steps[at] else { return };
    for _ in 0..=below(rng, 3) {
        change_bytes(rng, frame);
    }
    if rng.one_in(8) {
        splice(rng, frame, others);
    }
    frame.truncate(FRAME_MAX);
    // Most frames keep right sums, or hardly one would get past the first check.
    if !rng.one_in(4) {
        mend_sums(frame);
    }
}

fn change_bytes(rng: &mut Rng, frame: &mut Vec<u8>) {
    let at = below(rng, frame.len());
    match below(rng, 9) {
        0 => frame.truncate(at),
        1 => frame.extend((0..below(rng, 64)).map(|i| u8::try_from(i).unwrap_or(0)).collect::<Vec<_>>()),
        2 if at < frame.len() => {
            frame.remove(at);
        }
        3 => frame.insert(at, TELLING[below(rng, TELLING.len())]),
        4 | 5 => write_at(frame, at, &[TELLING[below(rng, TELLING.len())]]),
        6 => write_at(frame, at, &rng.u64().to_be_bytes()[..1 + below(rng, 4)]),
        _ => {
            // Headers are where the branches are.
            let at = below(rng, frame.len().min(62));
            let bit = 1_u8 << below(rng, 8);
            if let Some(byte) = frame.get_mut(at) {
                *byte ^= bit;
            }
        }
    }
}

fn write_at(frame: &mut [u8], at: usize, bytes: &[u8]) {
    frame.iter_mut().skip(at).zip(bytes).for_each(|(old, new)| *old = *new);
}

/// The head of this frame with the tail of another.
fn splice(rng: &mut Rng, frame: &mut Vec<u8>, others: &[Vec<Step>]) {
    let Some(Step::Frame(other)) = others.get(below(rng, others.len())).and_then(|steps| steps.first())
    else {
        return;
    };
    let cut = below(rng, frame.len().min(other.len()));
    frame.truncate(cut);
    frame.extend_from_slice(&other[cut..]);
}

/// Makes the IPv4 header's checksum right, and those of UDP, ICMP and IGMP behind it, where the frame has room.
pub fn mend_sums(frame: &mut [u8]) {
    let tags = frame.get(12..14).map_or(0, |t| usize::from(t == [0x81, 0x00] || t == [0x88, 0xa8]));
    let Some(packet) = frame.get_mut(14 + 4 * tags..) else { return };
    let Some(&first) = packet.first() else { return };
    let header = 4 * usize::from(first & 0x0f);
    if first >> 4 != 4 || header < 20 || packet.len() < header {
        return;
    }
    put_sum(&mut packet[..header], 10, 0);
    let total = usize::from(u16::from_be_bytes([packet[2], packet[3]]));
    let protocol = packet[9];
    let addresses = sum(&packet[12..20]);
    let end = if (header..=packet.len()).contains(&total) { total } else { packet.len() };
    let payload = &mut packet[header..end];
    match protocol {
        1 | 2 => put_sum(payload, 2, 0),
        17 => {
            let len = payload.get(4..6).map_or(0, |b| usize::from(u16::from_be_bytes([b[0], b[1]])));
            if let Some(datagram) = payload.get_mut(..len) {
                let pseudo = addresses + 17 + u32::try_from(len).unwrap_or(0);
                put_sum(datagram, 6, pseudo);
            }
        }
        _ => {}
    }
}

/// RFC 1071, by the letter: the sum of the 16-bit words of `data`, folded.
fn sum(data: &[u8]) -> u32 {
    let words = data.chunks(2).map(|w| u32::from(w[0]) << 8 | w.get(1).map_or(0, |b| u32::from(*b)));
    fold(words.sum())
}

fn fold(mut sum: u32) -> u32 {
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum
}

/// Fills in the checksum at `at` over `data`, with `extra` added; a sum of 0 is written as 0xffff.
fn put_sum(data: &mut [u8], at: usize, extra: u32) {
    if data.len() < at + 2 {
        return;
    }
    write_at(data, at, &[0, 0]);
    let value = !fold(sum(data) + extra) & 0xffff;
    let value = u16::try_from(if value == 0 && extra != 0 { 0xffff } else { value }).unwrap_or(0);
    write_at(data, at, &value.to_be_bytes());
}

/// Words that mean something in a configuration, or nearly.
const WORDS: [&str; 22] = [
    "0",
    "1",
    "-1",
    "64",
    "65535",
    "65536",
    "18446744073709551616",
    "1.5",
    "true",
    "\"\"",
    "\"auto\"",
    "[]",
    "{}",
    "[[",
    "\"224.0.0.1\"",
    "\"239.1.2.3\"",
    "\"0.0.0.0:0\"",
    "\"198.18.0.2/33\"",
    "\"p1\"",
    "name",
    "\u{e9}",
    "\0",
];

/// A change or a few of `text`, with lines taken from `others`.
pub fn mutate_text(rng: &mut Rng, text: &mut String, others: &[String]) {
    for _ in 0..=below(rng, 3) {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let at = below(rng, lines.len());
        match below(rng, 7) {
            0 if !lines.is_empty() => {
                lines.remove(at);
            }
            1 => {
                if let Some(other) = others.get(below(rng, others.len())) {
                    let line = other.lines().nth(below(rng, other.lines().count())).unwrap_or_default();
                    lines.insert(at, line.to_owned());
                }
            }
            2 if !lines.is_empty() => {
                let to = below(rng, lines.len());
                lines.swap(at, to);
            }
            _ => {
                if let Some(line) = lines.get_mut(at) {
                    change_line(rng, line);
                }
            }
        }
        *text = lines.join("\n");
    }
}

/// Puts a word in the place of what follows `=`, or anywhere, or takes something out.
fn change_line(rng: &mut Rng, line: &mut String) {
    let places: Vec<_> = line.char_indices().map(|(i, _)| i).chain([line.len()]).collect();
    let (a, b) = (places[below(rng, places.len())], places[below(rng, places.len())]);
    let word = WORDS[below(rng, WORDS.len())];
    match (below(rng, 4), line.find('=')) {
        (0, _) => line.replace_range(a.min(b)..a.max(b), ""),
        (1, _) => line.insert_str(a, word),
        (_, Some(equals)) => line.replace_range(equals + 1.., &format!(" {word}")),
        (_, None) => line.replace_range(a.min(b)..a.max(b), word),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // RFC 1071 3: its own example.
    #[test]
    fn the_sum_is_the_rfcs() {
        assert_eq!(sum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), 0xddf2);
    }

    #[test]
    fn one_seed_makes_one_sequence_and_two_seeds_two() {
        let start = vec![Step::Frame(vec![0x45; 60])];
        let sequence = |seed| {
            let mut rng = Rng::new(seed);
            let once = |_| {
                let mut steps = start.clone();
                mutate(&mut rng, &mut steps, core::slice::from_ref(&start));
                steps
            };
            (0..20).map(once).collect::<Vec<_>>()
        };
        assert_eq!(sequence(1), sequence(1));
        assert_ne!(sequence(1), sequence(2));
    }
}
