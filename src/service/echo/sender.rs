//! What an echo with `describe_sender` answers: who sent what, in the words of DPVS's example UDP server.
//!
//! ```text
//! Receive 5 bytes from 10.0.0.1:4000 -- hello
//!   real client 203.0.113.9:8080
//! ```
//!
//! The second line is there if a balancer told who the client is. Addresses and ports of IPv6 are separated by a colon, too,
//! without brackets.

use core::fmt::Write;
use core::net::SocketAddr;

use arrayvec::{ArrayString, ArrayVec};

use crate::io::PacketBuf;
use crate::service::Datagram;

/// Bytes of a payload that are repeated at most: the text fits into every ordinary buffer and path.
const PAYLOAD_MAX: usize = 256;

/// Room for a line without payload: the longest address takes 45 characters, length and port five each.
const LINE_MAX: usize = 96;

/// The text.
pub(super) type Text = ArrayVec<u8, { PAYLOAD_MAX + 2 * LINE_MAX }>;

/// What is said of `datagram`.
// The format is that of DPVS, kmod/uoa/example/udp_serv.c, which prints a payload as a C string: up to its first zero.
pub(super) fn describe<B: PacketBuf>(datagram: &Datagram<B>) -> Text {
    let payload = datagram.payload();
    let shown = payload.split(|byte| *byte == 0).next().unwrap_or_default();
    let shown = shown.get(..PAYLOAD_MAX).unwrap_or(shown);
    let mut line = ArrayString::<LINE_MAX>::new();
    let mut text = Text::new();
    // Every line fits, by `LINE_MAX`; and all of them, by the size of the text.
    let _ = write!(line, "Receive {} bytes from ", payload.len());
    let _ = write_addr(&mut line, datagram.source());
    let _ = line.write_str(" -- ");
    let _ = text.try_extend_from_slice(line.as_bytes());
    let _ = text.try_extend_from_slice(shown);
    let _ = text.try_push(b'\n');
    if let Some(client) = datagram.real_client() {
        line.clear();
        let _ = line.write_str("  real client ");
        let _ = write_addr(&mut line, client);
        let _ = line.write_char('\n');
        let _ = text.try_extend_from_slice(line.as_bytes());
    }
    text
}

fn write_addr(line: &mut impl Write, addr: SocketAddr) -> core::fmt::Result {
    write!(line, "{}:{}", addr.ip(), addr.port())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::{BufPool, Parts};
    use crate::sim::buf::{ROOM, SimBuf, SimPool};
    use crate::sim::frames::{UdpFrame, UdpFrame6};
    use crate::time::Instant;

    fn text(mut datagram: Datagram<SimBuf>, client: Option<&str>) -> String {
        if let Some(client) = client {
            assert!(datagram.set_real_client(client.parse().unwrap()));
        }
        String::from_utf8(describe(&datagram).to_vec()).unwrap()
    }

    fn v4(from: &str, payload: &[u8]) -> Datagram<SimBuf> {
        let buf = SimPool::new(1, ROOM).alloc_copy(&UdpFrame::new(from, "198.18.0.2:7", payload).frame());
        let parts = Parts::new(14, 34, u16::try_from(8 + payload.len()).unwrap());
        Datagram::new(buf.unwrap(), parts, Instant::ZERO)
    }

    fn v6(from: &str, payload: &[u8]) -> Datagram<SimBuf> {
        let buf = SimPool::new(1, ROOM).alloc_copy(&UdpFrame6::new(from, "[2001:db8::2]:7", payload).frame());
        let parts = Parts::new(14, 54, u16::try_from(8 + payload.len()).unwrap());
        Datagram::new(buf.unwrap(), parts.over_ipv6(true), Instant::ZERO)
    }

    // O01, DPVS kmod/uoa/example/udp_serv.c.
    #[test]
    fn the_text_is_that_of_the_example_server() {
        let from = "10.0.0.1:4000";
        assert_eq!(text(v4(from, b"hello"), None), "Receive 5 bytes from 10.0.0.1:4000 -- hello\n");
        assert_eq!(
            text(v4(from, b"hello"), Some("203.0.113.9:8080")),
            "Receive 5 bytes from 10.0.0.1:4000 -- hello\n  real client 203.0.113.9:8080\n"
        );
        assert_eq!(
            text(v6("[2001:db8::1]:4000", b""), Some("[2001:db8:9::9]:8080")),
            "Receive 0 bytes from 2001:db8::1:4000 -- \n  real client 2001:db8:9::9:8080\n"
        );
        assert_eq!(text(v4(from, b"up to\0here"), None), "Receive 10 bytes from 10.0.0.1:4000 -- up to\n");
    }

    #[test]
    fn the_longest_text_has_room() {
        let from = "[2001:db8:ffff:ffff:ffff:ffff:ffff:ffff]:65535";
        let said = text(v6(from, &[b'x'; 1400]), Some(from));
        let addr = "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff:65535";
        let shown = "x".repeat(PAYLOAD_MAX);
        assert_eq!(said, format!("Receive 1400 bytes from {addr} -- {shown}\n  real client {addr}\n"));
    }
}
