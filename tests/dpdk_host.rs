//! The whole host as a library: a service of one's own, one that panics, one that cannot be made. Over `net_pcap`, which
//! replays frames and writes what goes out into a file.
#![cfg(feature = "dpdk")]

mod dpdk_alone;

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use dpdk_alone::{alone, settings};
use pollcast::config::{Config, Kind, Machine, Plan};
use pollcast::host::{Host, HostError, Shutdown, builtin_kinds};
use pollcast::io::PacketBuf;
use pollcast::service::{Cx, Datagram, Service};

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct NoOptions {}

/// Answers in capitals.
struct Shout;

impl<B: PacketBuf> Service<B> for Shout {
    fn datagrams(&mut self, _cx: &mut Cx<'_, B>, burst: &mut [Datagram<B>]) {
        for datagram in burst {
            if let Some(payload) = datagram.payload_mut() {
                payload.make_ascii_uppercase();
                datagram.reply();
            }
        }
    }
}

/// A defect.
struct Broken;

impl<B: PacketBuf> Service<B> for Broken {
    fn datagrams(&mut self, _cx: &mut Cx<'_, B>, _burst: &mut [Datagram<B>]) {
        panic!("a defect of the service");
    }
}

/// One UDP datagram from 198.18.0.1:4000 to 198.18.0.2:9000, without a checksum, in a frame to 02:00:00:00:00:02.
fn request(payload: &[u8; 18]) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0];
    let mut header = [0x45, 0, 0, 46, 0, 0, 0x40, 0, 64, 17, 0, 0, 198, 18, 0, 1, 198, 18, 0, 2];
    let mut sum: u32 = header.chunks(2).map(|p| u32::from(u16::from_be_bytes([p[0], p[1]]))).sum();
    sum = (sum & 0xffff) + (sum >> 16);
    header[10..12].copy_from_slice(&(!u16::try_from(sum).unwrap()).to_be_bytes());
    frame.extend(header);
    frame.extend([0x0f, 0xa0, 0x23, 0x28, 0, 26, 0, 0]);
    frame.extend(payload);
    frame
}

/// A capture file of one frame.
fn write_pcap(path: &Path, frame: &[u8]) {
    let len = u32::try_from(frame.len()).unwrap().to_le_bytes();
    let words = [0xa1b2_c3d4u32, 0x0004_0002, 0, 0, 0xffff, 1, 0, 0];
    let mut file: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
    file.extend([len, len].concat());
    file.extend(frame);
    fs::write(path, file).unwrap();
}

/// The frames of a capture file.
fn read_pcap(path: &Path) -> Vec<Vec<u8>> {
    let file = fs::read(path).unwrap();
    let mut rest = &file[24..];
    let mut frames = Vec::new();
    while rest.len() >= 16 {
        let len = u32::from_le_bytes(rest[8..12].try_into().unwrap()) as usize;
        frames.push(rest[16..16 + len].to_vec());
        rest = &rest[16 + len..];
    }
    frames
}

struct Lab {
    folder: tempfile::TempDir,
}

impl Lab {
    fn new() -> Self {
        let lab = Self { folder: tempfile::tempdir().unwrap() };
        write_pcap(&lab.path("in.pcap"), &request(b"to whom it concern"));
        lab
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// One port that receives the request once, and a service of `kind` that joins 239.1.2.3.
    fn plan(&self, kind: &'static str) -> Plan {
        let (input, output) = (self.path("in.pcap"), self.path("out.pcap"));
        let text = format!(
            r#"
            {}
            [[port]]
            device = "net_pcap0,rx_pcap={},tx_pcap={}"
            mac = "02:00:00:00:00:02"
            addresses = ["198.18.0.2/24"]
            [[service]]
            kind = "{kind}"
            listen = ["0.0.0.0:9000"]
            groups = [{{ group = "239.1.2.3" }}]
            "#,
            settings(&self.folder),
            input.display(),
            output.display(),
        );
        let kinds = builtin_kinds().with(Kind::of::<NoOptions>(kind, &[]));
        let config = Config::parse(&text, "test.toml".as_ref()).unwrap();
        config.check(&Machine::new([0]), &kinds).unwrap_or_else(|e| panic!("{e}"))
    }

    /// What went out: UDP payloads, and IGMP record types.
    fn sent(&self) -> (Vec<Vec<u8>>, Vec<u8>) {
        let frames = read_pcap(&self.path("out.pcap"));
        let of = |protocol: u8| frames.iter().filter(move |f| f[12..14] == [8, 0] && f[23] == protocol);
        (of(17).map(|f| f[42..60].to_vec()).collect(), of(2).map(|f| f[46]).collect())
    }
}

fn stop_after(time: Duration) -> Shutdown {
    let shutdown = Shutdown::default();
    let later = shutdown.clone();
    thread::spawn(move || {
        thread::sleep(time);
        later.request();
    });
    shutdown
}

// G45, RFC 9776 5.1: TO_EX on the join, TO_IN on the clean end.
#[test]
fn a_service_of_ones_own_answers_and_the_group_is_left_at_the_end() {
    alone("a_service_of_ones_own_answers_and_the_group_is_left_at_the_end", || {
        let lab = Lab::new();
        let host = Host::new(lab.plan("shout")).service_kind("shout", |_| Ok(Box::new(Shout)));
        host.run(&stop_after(Duration::from_millis(1500))).unwrap();
        let (answers, records) = lab.sent();
        assert_eq!(answers, [b"TO WHOM IT CONCERN".to_vec()]);
        assert_eq!(records.first(), Some(&4), "TO_EX: {records:?}");
        assert_eq!(records.last(), Some(&3), "TO_IN: {records:?}");
        assert!(!lab.path("ctl.sock").exists());
    });
}

#[test]
fn a_service_that_panics_ends_the_host_with_a_sentence() {
    alone("a_service_that_panics_ends_the_host_with_a_sentence", || {
        let lab = Lab::new();
        let host = Host::new(lab.plan("broken")).service_kind("broken", |_| Ok(Box::new(Broken)));
        // Nobody asks for a stop: the host ends by itself.
        let error = host.run(&Shutdown::default()).unwrap_err();
        assert!(matches!(error, HostError::WorkerLost { worker: 0, .. }), "{error}");
        assert!(error.to_string().contains("a defect of the service"), "{error}");
        assert!(!error.is_configuration());
        // It was the only worker, and says the last word all the same.
        let (_, records) = lab.sent();
        assert_eq!(records.last(), Some(&3), "TO_IN: {records:?}");
    });
}

#[test]
fn a_service_that_cannot_be_made_is_an_error_of_the_configuration() {
    alone("a_service_that_cannot_be_made_is_an_error_of_the_configuration", || {
        let lab = Lab::new();
        let host = Host::new(lab.plan("picky")).service_kind("picky", |_| Err("needs a licence".to_owned()));
        let error = host.run(&Shutdown::default()).unwrap_err();
        assert_eq!(error.to_string(), "service \"picky\": needs a licence");
        assert!(error.is_configuration());
    });
}

#[test]
fn a_kind_that_nobody_registered_is_named() {
    alone("a_kind_that_nobody_registered_is_named", || {
        let lab = Lab::new();
        let error = Host::new(lab.plan("shout")).run(&Shutdown::default()).unwrap_err();
        assert!(
            error.to_string().contains("kind \"shout\" is not registered; known are discard, echo, relay"),
            "{error}"
        );
    });
}

#[test]
fn a_stop_that_was_asked_for_before_the_start_is_heeded() {
    alone("a_stop_that_was_asked_for_before_the_start_is_heeded", || {
        let lab = Lab::new();
        let shutdown = Shutdown::default();
        shutdown.request();
        let host = Host::new(lab.plan("shout")).service_kind("shout", |_| Ok(Box::new(Shout)));
        host.run(&shutdown).unwrap();
    });
}
