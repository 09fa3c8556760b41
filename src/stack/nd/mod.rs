//! Neighbour discovery (RFC 4861) and stateless address autoconfiguration (RFC 4862) for one interface, sans I/O.
//!
//! Here: whose an address is ([`dad`]), what addresses there are and for how long ([`addresses`]), what they are made of
//! ([`stable_iid`]), what routers say of the link ([`routers`], [`prefixes`], [`redirects`], [`discovery`], [`timing`]), what
//! messages teach of neighbours ([`input`], [`redirect`]), and what is sent ([`output`]). Not here: the neighbour cache,
//! which ARP shares ([`neighbor`](super::neighbor)).

pub mod addresses;
pub mod dad;
pub mod discovery;
pub mod input;
pub mod output;
pub mod prefixes;
pub mod redirect;
pub mod redirects;
pub mod routers;
pub mod stable_iid;
pub mod timing;

pub use crate::wire::ndisc::{Message, RouterAdvertisement};
