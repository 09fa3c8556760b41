//! Steps as short sequences are written.

use std::net::IpAddr;

use super::ops::*;

pub const ANY_PORT: Port = Port::Number(0);
pub const OURS: Port = Port::Number(5000);
pub const THEIRS: Port = Port::Number(7000);

pub fn bind(slot: Slot, ip: IpAddr) -> Op {
    Op::Bind(slot, At::new(ip, OURS))
}

pub fn connect(slot: Slot, ip: IpAddr) -> Op {
    Op::Connect(slot, At::new(ip, THEIRS))
}

pub fn member(slot: Slot, verb: Verb, interface: u32, group: IpAddr, source: Option<IpAddr>) -> Op {
    Op::Member { slot, verb, interface, group, source }
}

pub fn send(slot: Slot, to: Option<At>, len: usize, control: Control) -> Op {
    Op::Send { slot, to, len, control }
}

pub fn arrive(from: IpAddr, to: IpAddr) -> Op {
    Op::Arrive {
        interface: FIRST,
        from: At::new(from, THEIRS),
        to: At::new(to, OURS),
        len: 5,
        ttl: 64,
        tos: 0,
    }
}

pub fn mapped(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(ip) => IpAddr::V6(ip.to_ipv6_mapped()),
        IpAddr::V6(_) => ip,
    }
}

pub fn to(ip: IpAddr) -> Option<At> {
    Some(At::new(ip, THEIRS))
}

/// Nothing but where from, and by which interface.
pub fn info(ip: IpAddr, on: u32) -> Control {
    Control { info: Some((ip, on)), ..Control::default() }
}

/// By its number, as the value of an option.
pub fn number(interface: u32) -> i32 {
    i32::try_from(interface).unwrap()
}
