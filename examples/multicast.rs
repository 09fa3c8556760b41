//! Receives what certain senders send to a group: `cargo run --example multicast -- 232.1.2.3:5000 198.18.0.1 config/tap.toml`.
//!
//! Named sources only: the router, the switch and the NIC are told so (IGMPv3, MLDv2), and what others send there never reaches
//! the program. It ends after ten datagrams, or by Ctrl-C; the socket's end leaves the group, and so does the host's, which stops
//! the port.

mod stop;

use std::net::{IpAddr, SocketAddr};

use pollcast::host::Host;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [group, sources @ .., config] = &args[..] else {
        return Err("usage: multicast GROUP:PORT SOURCE... CONFIG".into());
    };
    let group: SocketAddr = group.parse()?;
    let sources = sources.iter().map(|source| source.parse()).collect::<Result<Vec<IpAddr>, _>>()?;

    let host = Host::load(config)?.start()?;
    // Bound to the group, it hears nothing else that is sent to this port.
    let socket = host.sockets().bind(group)?;
    // On the first interface. With `None` it would be the one that a route leads to the group by, as on Linux.
    let interface = host.sockets().interfaces().interfaces.first().map(|interface| interface.id);
    for source in &sources {
        socket.join_source(group.ip(), *source, interface)?;
    }
    if sources.is_empty() {
        socket.join(group.ip(), interface)?;
    }
    stop::on_signals(&host)?;
    println!("joined {}", group.ip());

    let mut buf = [0; 65536];
    for _ in 0..10 {
        let Some((len, from)) = stop::unless_down(socket.recv_from(&mut buf))? else { break };
        println!("{from}: {}", String::from_utf8_lossy(&buf[..len]));
    }
    drop(socket);
    host.shutdown().request();
    Ok(host.wait()?)
}
