//! `[sockets]`: how much the sockets of a program's threads may take.

use super::Limits;
use crate::config::error::{At, Problems};
use crate::config::plan::SocketsPlan;
use crate::config::raw::RawSockets;

/// Sockets. UDP ports are 65,535 for each address, and connected sockets share them.
const SOCKETS: Limits = Limits::new(1, 1 << 20);
const SOCKETS_DEFAULT: u32 = 65_536;

/// Packets of one size. By default 2 + 16 + 16 MiB.
const PACKETS: Limits = Limits::new(16, 1 << 20);
const PACKETS_DEFAULT: [u32; 3] = [8192, 8192, 256];

/// U23: from Linux's least (`SOCK_MIN_RCVBUF`, `SOCK_MIN_SNDBUF`) on. The defaults are Linux's; it lets a program without privilege ask for
/// no more than them, and who uses this library wants more.
const RCVBUF: Limits = Limits::new(2304, 1 << 30);
const SNDBUF: Limits = Limits::new(4608, 1 << 30);
const BUF_DEFAULT: u32 = 212_992;
const BUF_MAX_DEFAULT: u32 = 8 << 20;

/// P03, Linux: `igmp_max_memberships`, `igmp_max_msf` and `mld_max_msf`.
const MEMBERSHIPS: Limits = Limits::new(1, 65_536);
const MEMBERSHIPS_DEFAULT: usize = 20;
const SOURCES: Limits = Limits::new(1, 4096);
const SOURCES_DEFAULT: usize = 10;
const SOURCES6_DEFAULT: usize = 64;

pub(super) fn check(raw: &RawSockets, problems: &mut Problems) -> SocketsPlan {
    let [small, medium, large] = PACKETS_DEFAULT;
    let packets = [
        PACKETS.check(raw.packets_256.as_ref(), small, problems),
        PACKETS.check(raw.packets_2048.as_ref(), medium, problems),
        PACKETS.check(raw.packets_65536.as_ref(), large, problems),
    ];
    let (rcvbuf, rcvbuf_max) =
        buffer(&RCVBUF, raw.rcvbuf.as_ref(), ("rcvbuf_max", raw.rcvbuf_max.as_ref()), problems);
    let (sndbuf, sndbuf_max) =
        buffer(&SNDBUF, raw.sndbuf.as_ref(), ("sndbuf_max", raw.sndbuf_max.as_ref()), problems);
    SocketsPlan {
        max: SOCKETS.check(raw.max.as_ref(), SOCKETS_DEFAULT, problems),
        packets,
        rcvbuf,
        rcvbuf_max,
        sndbuf,
        sndbuf_max,
        memberships_max: MEMBERSHIPS.check(raw.memberships_max.as_ref(), MEMBERSHIPS_DEFAULT, problems),
        sources_max: SOURCES.check(raw.sources_max.as_ref(), SOURCES_DEFAULT, problems),
        sources6_max: SOURCES.check(raw.sources6_max.as_ref(), SOURCES6_DEFAULT, problems),
    }
}

/// A size at first, and the most: at least that.
fn buffer(
    limits: &Limits,
    first: Option<&At<i64>>,
    (max_key, max): (&str, Option<&At<i64>>),
    problems: &mut Problems,
) -> (u32, u32) {
    let size = limits.check(first, BUF_DEFAULT, problems);
    let most = limits.check(max, BUF_MAX_DEFAULT.max(size), problems);
    if let Some(place) = max.or(first).map(|at| &at.place).filter(|_| size > most) {
        let problem = format!("{most} is less than what a socket has at first, {size}");
        problems.add(
            place,
            problem,
            format!("raise the key {max_key} to {size} or more, or lower the other"),
        );
    }
    (size, most)
}
