//! What DPVS's example server does, without a kernel module: says who sent what, to which address, and who the real client behind
//! a balancer is; and answers from the address that was asked. `cargo run --example udp_serv -- 6000 config/tap.toml`.
//!
//! The balancers that are believed are the configuration's: `[uoa] trusted = ["198.18.0.0/24"]`. One socket serves both IP versions. Ctrl-C
//! ends it.

mod stop;

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use pollcast::host::Host;
use pollcast::socket::RecvFlags;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [port, config] = &args[..] else { return Err("usage: udp_serv PORT CONFIG".into()) };

    let host = Host::load(config)?.start()?;
    let socket = host.sockets().bind((Ipv6Addr::UNSPECIFIED, port.parse()?))?;
    stop::on_signals(&host)?;
    let mut buf = [0; 65536];
    while let Some(received) = stop::unless_down(socket.recv_msg(&mut buf, RecvFlags::default()))? {
        let (peer, payload) = (received.source(), &buf[..received.len]);
        println!(
            "Receive {} bytes from {} -- {}",
            payload.len(),
            plain(peer),
            String::from_utf8_lossy(payload)
        );
        println!("  to {}", plain(received.destination()));
        if let Some(client) = received.real_client() {
            println!("  real client {}", plain(client));
        }
        // From the address that was asked, by the interface that it came in by.
        if let Err(e) = socket.reply(&received, payload) {
            println!("  no answer: {e}");
        }
    }
    Ok(host.wait()?)
}

/// An IPv4 address as such, and not as IPv6 writes it.
fn plain(addr: SocketAddr) -> SocketAddr {
    let ip: IpAddr = addr.ip().to_canonical();
    SocketAddr::new(ip, addr.port())
}
