//! Asks a server one question, again if no answer comes: `cargo run --example client -- 198.18.0.1:7 hello config/tap.toml`.
//! Ctrl-C ends it.

mod stop;

use std::time::Duration;

use pollcast::host::Host;
use pollcast::socket::{RecvError, SendError};
use stop::unless_down;

/// How long an answer is waited for, and how often one is asked for.
const PATIENCE: Duration = Duration::from_millis(500);
const ATTEMPTS: u32 = 20;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [server, question, config] = &args[..] else {
        return Err("usage: client SERVER:PORT QUESTION CONFIG".into());
    };

    let host = Host::load(config)?.start()?;
    // Connected, it hears this server alone, and what the network reports of what it sent.
    let socket = host.sockets().connect(server)?;
    socket.set_read_timeout(Some(PATIENCE));
    stop::on_signals(&host)?;

    let mut buf = [0; 65536];
    for attempt in 1..=ATTEMPTS {
        match socket.send(question.as_bytes()) {
            Ok(_) => {}
            // The pending error of an earlier question; this one was not sent.
            Err(SendError::Reported(errno)) => eprintln!("attempt {attempt}: the network reports {errno}"),
            Err(SendError::Down) => return Ok(host.wait()?),
            Err(e) => return Err(e.into()),
        }
        match unless_down(socket.recv(&mut buf)) {
            Ok(Some(len)) => {
                println!("{}", String::from_utf8_lossy(&buf[..len]));
                return Ok(());
            }
            Ok(None) => return Ok(host.wait()?),
            Err(RecvError::WouldBlock) => eprintln!("attempt {attempt}: no answer"),
            // Nobody listens there yet, or nobody is there.
            Err(RecvError::Reported(errno)) => {
                eprintln!("attempt {attempt}: the network reports {errno}");
                std::thread::sleep(PATIENCE);
            }
            Err(e) => return Err(e.into()),
        }
    }
    Err(format!("{server} does not answer").into())
}
