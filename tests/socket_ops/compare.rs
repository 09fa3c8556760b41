//! What differs between two hosts, and the shortest sequence that still does.

use super::host::{Host, play};
use super::ops::{Op, Step};

/// The first step at which two hosts differ.
#[derive(Debug)]
pub struct Difference {
    pub ops: Vec<Op>,
    pub at: usize,
    pub steps: [Step; 2],
}

impl Difference {
    /// The step that differs, in two hosts that were called so.
    pub fn told(&self, names: [&str; 2]) -> String {
        let mut text = String::new();
        for (n, op) in self.ops.iter().enumerate() {
            text += &format!("  {n:2} {op:?}\n");
        }
        for (name, step) in names.iter().zip(&self.steps) {
            text += &format!("  {name} at {}: {:?}\n", self.at, step.result);
            for left in &step.left {
                text += &format!("      sent {left:?}\n");
            }
        }
        text
    }
}

/// Plays a sequence to both; where they differ first, if they do so twice: a frame that a busy machine
/// loses is no difference.
pub fn differ(one: &mut dyn Host, other: &mut dyn Host, ops: &[Op]) -> Option<Difference> {
    differ_once(one, other, ops)?;
    differ_once(one, other, ops)
}

fn differ_once(one: &mut dyn Host, other: &mut dyn Host, ops: &[Op]) -> Option<Difference> {
    let (ones, others) = (play(one, ops), play(other, ops));
    let at = ones.iter().zip(&others).position(|(one, other)| one != other)?;
    Some(Difference { ops: ops[..=at].to_vec(), at, steps: [ones[at].clone(), others[at].clone()] })
}

/// Leaves out steps for as long as the two still differ.
pub fn shrink(one: &mut dyn Host, other: &mut dyn Host, found: Difference) -> Difference {
    let mut best = found;
    loop {
        let mut next = None;
        for left_out in (0..best.ops.len()).rev() {
            let mut ops = best.ops.clone();
            ops.remove(left_out);
            next = differ(one, other, &ops);
            if next.is_some() {
                break;
            }
        }
        match next {
            Some(shorter) => best = shorter,
            None => return best,
        }
    }
}
