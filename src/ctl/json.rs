//! Answers as JSON, for programs.
//!
//! What is printed is the body of the answer alone: an object for `stats`, `join` and `leave`, an array of objects for
//! the rest. The keys are the field names of the types in [`command`](crate::engine::command); they are stable: keys may
//! be added, none is renamed or removed. A key whose value does not apply is `null` or absent.

use crate::engine::command::Answer;

/// The body of `answer`, indented, without a final end of line.
///
/// # Errors
///
/// None that these types can cause.
pub fn body(answer: &Answer) -> serde_json::Result<String> {
    match answer {
        Answer::Stats(body) => serde_json::to_string_pretty(body),
        Answer::Ports(body) => serde_json::to_string_pretty(body),
        Answer::Sockets(body) => serde_json::to_string_pretty(body),
        Answer::Groups(body) => serde_json::to_string_pretty(body),
        Answer::Filter(body) => serde_json::to_string_pretty(body),
        Answer::Neighbors(body) => serde_json::to_string_pretty(body),
        Answer::Drops(body) => serde_json::to_string_pretty(body),
        Answer::Done(body) => serde_json::to_string_pretty(body),
        Answer::Error(body) => serde_json::to_string_pretty(body),
    }
}
