//! A UDP echo server: `cargo run --example echo -- config/tap.toml`. Ctrl-C ends it.

mod stop;

use pollcast::host::Host;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let config = std::env::args().nth(1).ok_or("usage: echo CONFIG")?;
    let host = Host::load(config)?.start()?;
    let socket = host.sockets().bind("[::]:7777")?;
    stop::on_signals(&host)?;
    let mut buf = [0; 65536];
    while let Some((len, peer)) = stop::unless_down(socket.recv_from(&mut buf))? {
        if let Err(e) = socket.send_to(&buf[..len], peer) {
            eprintln!("no answer to {peer}: {e}");
        }
    }
    Ok(host.wait()?)
}
