//! A fuzz input as a script: frames that arrive, time that passes, turns that a worker takes.

/// One step of a script.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// A frame arrives.
    Frame(Vec<u8>),
    /// The worker and control take their turns.
    Turn,
    /// So many milliseconds pass, then everyone takes a turn.
    Wait(u16),
    /// The device sends nothing, until the next `Wait`.
    Stall,
    /// The pool refuses one allocation, so many from now; with 0, all of them until the next `Wait`.
    Starve(u16),
}

/// The longest frame of a script.
pub const FRAME_MAX: usize = 0x7ff;

/// The script that `data` spells: any bytes are one. Two bytes say what comes: the upper four bits which step, the
/// others how long or how many.
pub fn decode(mut data: &[u8]) -> Vec<Step> {
    let mut steps = Vec::new();
    while let [high, low, rest @ ..] = data {
        let head = u16::from_be_bytes([*high, *low]);
        let n = head & 0xfff;
        data = rest;
        steps.push(match head >> 12 {
            0..=11 => {
                let len = (usize::from(n) & FRAME_MAX).min(data.len());
                let (frame, rest) = data.split_at(len);
                data = rest;
                Step::Frame(frame.to_vec())
            }
            12 => Step::Turn,
            13 => Step::Wait(n),
            14 => Step::Stall,
            _ => Step::Starve(n),
        });
    }
    steps
}

/// The bytes that spell `steps`.
pub fn encode(steps: &[Step]) -> Vec<u8> {
    let mut data = Vec::new();
    for step in steps {
        let (op, n, frame): (u16, u16, &[u8]) = match step {
            Step::Frame(frame) => {
                let frame = &frame[..frame.len().min(FRAME_MAX)];
                (0, u16::try_from(frame.len()).unwrap_or(0), frame)
            }
            Step::Turn => (12, 0, &[]),
            Step::Wait(ms) => (13, *ms & 0xfff, &[]),
            Step::Stall => (14, 0, &[]),
            Step::Starve(left) => (15, *left & 0xfff, &[]),
        };
        data.extend_from_slice(&(op << 12 | n).to_be_bytes());
        data.extend_from_slice(frame);
    }
    data
}

/// A script as it is kept in a file: what it shows, and its steps.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Kept {
    /// One sentence.
    pub sentence: String,
    /// What happens.
    pub steps: Vec<Step>,
}

/// Reads a kept script: a `# sentence` first, then frames in hexadecimal with an empty line between two, and lines
/// `turn`, `stall`, `wait MS` and `starve N`.
///
/// # Errors
/// What is wrong, with the line's number.
pub fn read(text: &str) -> Result<Kept, String> {
    let mut lines = text.lines().enumerate();
    let sentence = match lines.next() {
        Some((_, first)) if first.starts_with("# ") && first.ends_with('.') => first[2..].to_owned(),
        _ => return Err("line 1: not a sentence, as in `# A datagram without payload.`".to_owned()),
    };
    let (mut steps, mut frame) = (Vec::new(), Vec::new());
    for (i, line) in lines {
        let bad = |what: &str| format!("line {}: {what}: `{line}`", i + 1);
        let number = |word: Option<&str>| word.and_then(|n| n.parse().ok()).ok_or_else(|| bad("no number"));
        let mut words = line.split_whitespace();
        let step = match words.next() {
            None | Some("#") => None,
            Some("turn") => Some(Step::Turn),
            Some("stall") => Some(Step::Stall),
            Some("wait") => Some(Step::Wait(number(words.next())?)),
            Some("starve") => Some(Step::Starve(number(words.next())?)),
            Some(digits) => {
                frame.extend(hex(digits).ok_or_else(|| bad("not hexadecimal"))?);
                continue;
            }
        };
        if !frame.is_empty() {
            steps.push(Step::Frame(core::mem::take(&mut frame)));
        }
        steps.extend(step);
    }
    if !frame.is_empty() {
        steps.push(Step::Frame(frame));
    }
    Ok(Kept { sentence, steps })
}

/// The text of a file that keeps `steps`.
pub fn write(sentence: &str, steps: &[Step]) -> String {
    let blocks = steps.iter().map(|step| match step {
        Step::Frame(frame) => {
            let lines =
                frame.chunks(48).map(|line| line.iter().map(|b| format!("{b:02x}")).collect::<String>());
            lines.collect::<Vec<_>>().join("\n")
        }
        Step::Turn => "turn".to_owned(),
        Step::Stall => "stall".to_owned(),
        Step::Wait(ms) => format!("wait {ms}"),
        Step::Starve(left) => format!("starve {left}"),
    });
    format!("# {sentence}\n{}\n", blocks.collect::<Vec<_>>().join("\n\n"))
}

/// The scripts one step below `steps`: without one of them, or with a frame cut short.
pub fn smaller(steps: &[Step]) -> Vec<Vec<Step>> {
    let without = (0..steps.len()).map(|gone| {
        let mut fewer = steps.to_vec();
        fewer.remove(gone);
        fewer
    });
    let shorter = steps.iter().enumerate().flat_map(|(i, step)| {
        let Step::Frame(frame) = step else { return Vec::new() };
        let lengths =
            [frame.len() / 2, frame.len().saturating_sub(1)].into_iter().filter(|len| *len < frame.len());
        let cut = |len| {
            let mut fewer = steps.to_vec();
            fewer[i] = Step::Frame(frame[..len].to_vec());
            fewer
        };
        lengths.map(cut).collect()
    });
    without.chain(shorter).collect()
}

fn hex(digits: &str) -> Option<Vec<u8>> {
    let pairs = digits.len().is_multiple_of(2) && digits.is_ascii();
    let byte = |i: usize| digits.get(i..i + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
    pairs.then(|| (0..digits.len()).step_by(2).map(byte).collect())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_decoded() {
        let steps = vec![
            Step::Frame(vec![1; 60]),
            Step::Turn,
            Step::Wait(4095),
            Step::Starve(3),
            Step::Frame(vec![]),
        ];
        assert_eq!(decode(&encode(&steps)), steps);
    }

    #[test]
    fn any_bytes_are_a_script() {
        assert_eq!(decode(&[0x07, 0xff, 1, 2, 3]), [Step::Frame(vec![1, 2, 3])]);
        assert_eq!(decode(&[0xc0]), []);
    }

    #[test]
    fn what_is_written_is_read() {
        let steps = vec![Step::Frame((0..100).collect()), Step::Wait(5), Step::Frame(vec![7]), Step::Turn];
        let kept = read(&write("Two frames.", &steps)).unwrap();
        assert_eq!((kept.sentence.as_str(), kept.steps), ("Two frames.", steps));
    }

    #[test]
    fn a_kept_script_without_a_sentence_or_with_a_slip_is_refused() {
        assert!(read("0102\n").unwrap_err().contains("line 1"));
        assert!(read("# A frame.\n01 0g\n01x\n").unwrap_err().contains("line 3"));
        assert!(read("# A frame.\nwait soon\n").unwrap_err().contains("line 2"));
    }
}
