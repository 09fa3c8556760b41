//! What differs between two hosts, and the shortest sequence that still does.

use super::exceptions::exception;
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

/// What came of playing a sequence to two hosts.
#[derive(Debug)]
pub enum Verdict {
    Same,
    /// They differ by the exception with this number, and what follows is not compared.
    Excepted(usize),
    Differ(Difference),
}

/// Plays a sequence to both. They differ if they do so twice: a frame that a busy machine loses is no difference.
pub fn differ(one: &mut dyn Host, other: &mut dyn Host, ops: &[Op]) -> Verdict {
    match differ_once(one, other, ops) {
        Verdict::Differ(_) => differ_once(one, other, ops),
        verdict => verdict,
    }
}

fn differ_once(one: &mut dyn Host, other: &mut dyn Host, ops: &[Op]) -> Verdict {
    let (ones, others) = (play(one, ops), play(other, ops));
    let Some(at) = ones.iter().zip(&others).position(|(one, other)| one != other) else {
        return Verdict::Same;
    };
    let steps = [&ones[at], &others[at]];
    match exception(&ops[..=at], steps) {
        Some(which) => Verdict::Excepted(which),
        None => Verdict::Differ(Difference { ops: ops[..=at].to_vec(), at, steps: steps.map(Clone::clone) }),
    }
}

/// Leaves out steps for as long as the two still differ.
pub fn shrink(one: &mut dyn Host, other: &mut dyn Host, found: Difference) -> Difference {
    let mut best = found;
    loop {
        let shorter = (0..best.ops.len()).rev().find_map(|left_out| {
            let mut ops = best.ops.clone();
            ops.remove(left_out);
            match differ(one, other, &ops) {
                Verdict::Differ(shorter) => Some(shorter),
                _ => None,
            }
        });
        match shorter {
            Some(shorter) => best = shorter,
            None => return best,
        }
    }
}
