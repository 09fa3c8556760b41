//! ICMP of both IP versions as a host has it: what it answers, what it complains about, and what it believes of others' complaints.
//!
//! [`answer`]: echo and timestamp, in place. [`error`]: the one place that makes errors, and that knows about which packets
//! none may be made. [`received`]: an error about a packet of ours, held against what we can have sent.
//!
//! How many errors leave is [`icmp_limit`](super::icmp_limit)'s.

pub mod answer;
pub mod error;
pub mod received;

pub use answer::{echo_reply, timestamp_reply};
pub use error::{Complaint, Offender, Problem, complain};
