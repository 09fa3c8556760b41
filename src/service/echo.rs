//! The echo service (RFC 862): every datagram goes back to where it came from.
/// stub
#[derive(Debug)]
pub struct Echo;
/// stub
#[derive(Debug)]
pub struct EchoOptions;
