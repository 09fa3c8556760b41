//! The echoes of `bench/sockets`: on a thread's socket of pollcast's, and on one of the kernel's, datagram by datagram or in batches.

use std::error::Error;
use std::io::{IoSlice, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::path::PathBuf;

use clap::Parser;
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrIn, recvmmsg, sendmmsg};
use pollcast::host::{Host, Sockets};
use pollcast::socket::{RecvFlags, RecvMessage, SendControl, SendFlags, SendMessage};

/// Bytes of the longest datagram.
const ROOM: usize = 2048;

/// An echo on a thread.
#[derive(Parser, Debug)]
struct Args {
    /// Where it listens.
    #[arg(long)]
    listen: SocketAddr,
    /// Datagrams in one call; 1: recvfrom and sendto.
    #[arg(long, default_value_t = 1)]
    batch: usize,
    /// pollcast's configuration; without it, the kernel's sockets.
    #[arg(long)]
    config: Option<PathBuf>,
    /// The CPU of the thread.
    #[arg(long, default_value_t = 0)]
    cpu: usize,
}

fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    match &args.config {
        Some(config) => {
            let host = Host::load(config)?.start()?;
            pin(args.cpu);
            on_pollcast(&host.sockets(), &args)
        }
        None => {
            pin(args.cpu);
            if args.batch == 1 { on_the_kernel(&args) } else { on_the_kernel_in_batches(&args) }
        }
    }
}

fn pin(cpu: usize) {
    assert!(core_affinity::set_for_current(core_affinity::CoreId { id: cpu }), "no CPU {cpu}");
}

fn on_pollcast(sockets: &Sockets, args: &Args) -> Result<(), Box<dyn Error>> {
    let socket = sockets.bind(args.listen)?;
    if args.batch == 1 {
        let mut buf = [0; ROOM];
        loop {
            let (len, peer) = socket.recv_from(&mut buf)?;
            // What is lost is the traffic end's to count.
            let _ = socket.send_to(&buf[..len], peer);
        }
    }
    let mut bufs = vec![[0; ROOM]; args.batch];
    loop {
        let mut messages: Vec<RecvMessage<'_>> = bufs.iter_mut().map(|buf| RecvMessage::new(buf)).collect();
        let came = socket.recv_batch(&mut messages, RecvFlags::default())?;
        let answers: Vec<SendMessage<'_>> = messages[..came]
            .iter()
            .filter_map(|message| {
                let received = message.received.as_ref()?;
                Some(SendMessage {
                    payload: message.payload(),
                    to: Some(received.source()),
                    control: SendControl::default(),
                })
            })
            .collect();
        let mut rest = &answers[..];
        while !rest.is_empty() {
            let sent = socket.send_batch(rest, SendFlags::default()).unwrap_or(1);
            rest = &rest[sent.max(1)..];
        }
    }
}

fn on_the_kernel(args: &Args) -> Result<(), Box<dyn Error>> {
    let socket = UdpSocket::bind(args.listen)?;
    let mut buf = [0; ROOM];
    loop {
        let (len, peer) = socket.recv_from(&mut buf)?;
        let _ = socket.send_to(&buf[..len], peer);
    }
}

fn on_the_kernel_in_batches(args: &Args) -> Result<(), Box<dyn Error>> {
    let socket = UdpSocket::bind(args.listen)?;
    let mut bufs = vec![[0; ROOM]; args.batch];
    let mut headers = MultiHeaders::<SockaddrIn>::preallocate(args.batch, None);
    let mut sending = MultiHeaders::<SockaddrIn>::preallocate(args.batch, None);
    loop {
        let mut came = Vec::with_capacity(args.batch);
        {
            let mut slices: Vec<[IoSliceMut<'_>; 1]> =
                bufs.iter_mut().map(|buf| [IoSliceMut::new(buf)]).collect();
            let flags = MsgFlags::MSG_WAITFORONE;
            for message in recvmmsg(socket.as_raw_fd(), &mut headers, &mut slices, flags, None)? {
                came.push((message.bytes, message.address));
            }
        }
        let slices: Vec<[IoSlice<'_>; 1]> =
            bufs.iter().zip(&came).map(|(buf, (len, _))| [IoSlice::new(&buf[..*len])]).collect();
        let peers: Vec<Option<SockaddrIn>> = came.iter().map(|(_, peer)| *peer).collect();
        let _ = sendmmsg(socket.as_raw_fd(), &mut sending, &slices, &peers, [], MsgFlags::empty());
    }
}
