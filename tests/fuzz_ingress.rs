//! Frames, valid and mutated, through the whole packet path for a short time: no panic, no packet lost or doubled.
//!
//! Every run replays `fuzz/corpus/ingress`, then mutates it for `POLLCAST_FUZZ_SECONDS` (3) with `POLLCAST_FUZZ_SEED` (a
//! fresh one); and plays the corpus of the conservation tests. A failure prints its input as a file to keep there, with a sentence of yours as its first line.

#![cfg(feature = "sim")]

#[allow(dead_code, unreachable_pub, reason = "the whole-program tests use all of it")]
#[path = "common/corpus.rs"]
mod corpus;
#[allow(dead_code, unreachable_pub, reason = "the whole-program tests use all of it")]
#[path = "common/frames.rs"]
mod frames;
#[allow(unreachable_pub, reason = "the fuzz crate exports it")]
#[path = "../fuzz/src/host.rs"]
mod host;
#[allow(unreachable_pub, dead_code, reason = "the fuzz crate exports it")]
#[path = "../fuzz/src/ingress.rs"]
mod ingress;
#[allow(dead_code, unreachable_pub, reason = "the whole-program tests use all of it")]
#[path = "common/kinds.rs"]
mod kinds;
#[allow(dead_code, unreachable_pub, reason = "the whole-program tests use all of it")]
#[path = "common/kinds6.rs"]
mod kinds6;
#[allow(unreachable_pub, dead_code, reason = "the fuzz crate exports it")]
#[path = "../fuzz/src/mutate.rs"]
mod mutate;
#[allow(unreachable_pub, dead_code, reason = "the fuzz crate exports it")]
#[path = "../fuzz/src/script.rs"]
mod script;
#[allow(unreachable_pub, reason = "the fuzz crate exports it")]
#[path = "../fuzz/src/sent6.rs"]
mod sent6;
#[allow(unreachable_pub, dead_code, reason = "the fuzz crate exports it")]
#[path = "../fuzz/src/session.rs"]
mod session;

use std::path::Path;

use ingress::{Build, Host};
use pollcast::rng::Rng;
use pollcast::sim::frames::{IcmpFrame, UdpFrame};
use script::{Kept, Step};

/// The kept scripts, by name.
fn kept_scripts() -> Vec<(String, Kept)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/ingress");
    let files =
        std::fs::read_dir(folder).expect("the corpus is there").map(|entry| entry.expect("a file").path());
    let mut kept: Vec<_> = files
        .map(|path| {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let text = std::fs::read_to_string(&path).expect("a text file");
            let script = script::read(&text).unwrap_or_else(|what| panic!("{name}: {what}"));
            (name, script)
        })
        .collect();
    kept.sort_by(|a, b| a.0.cmp(&b.0));
    kept
}

/// The files whose sums are wrong on purpose, or do not cover what the length says.
const UNSUMMED: [&str; 6] = [
    "icmp-bad",
    "ip-bad-header",
    "truncated-igmp",
    "udp-bad-checksum",
    "udp-no-checksum",
    "udp-short-length",
];

// The corpus was made by scapy: its sums are a second opinion on ours.
#[test]
fn mending_sums_changes_no_frame_whose_sums_are_right() {
    for (name, kept) in kept_scripts() {
        let is_right = |step: &Step| match step {
            Step::Frame(frame) => {
                let mut mended = frame.clone();
                mutate::mend_sums(&mut mended);
                mended == *frame
            }
            Step::Turn | Step::Wait(_) | Step::Stall | Step::Starve(_) => true,
        };
        assert_eq!(kept.steps.iter().all(is_right), !UNSUMMED.contains(&name.as_str()), "{name}");
    }
}

#[test]
fn every_kept_script_survives_being_written_and_coded() {
    let corpus = kept_scripts();
    assert!(corpus.len() > 50, "only {} kept scripts", corpus.len());
    for (name, kept) in corpus {
        assert!(!kept.steps.is_empty(), "{name}: no step");
        assert_eq!(script::decode(&script::encode(&kept.steps)), kept.steps, "{name}");
        assert_eq!(script::read(&script::write(&kept.sentence, &kept.steps)), Ok(kept), "{name}");
    }
}

/// Replays the corpus into `body`.
fn replay(body: impl Fn(&Vec<Step>)) {
    for (name, kept) in kept_scripts() {
        if let Some(said) = session::failure(&body, &kept.steps) {
            panic!("{name} ({}): {said}", kept.sentence);
        }
    }
}

/// Feeds `body` with mutations of the corpus for `share` of the budget.
fn fuzz(share: f64, body: impl Fn(&Vec<Step>)) {
    let seed = session::seed();
    let corpus: Vec<_> = kept_scripts().into_iter().map(|(_, kept)| kept.steps).collect();
    let next = |rng: &mut Rng| {
        let mut steps = corpus[mutate::below(rng, corpus.len())].clone();
        mutate::mutate(rng, &mut steps, &corpus);
        steps
    };
    match session::run(
        &mut Rng::new(seed),
        session::budget().mul_f64(share),
        next,
        |steps: &Vec<Step>| script::smaller(steps),
        body,
    ) {
        Ok(inputs) => println!("{inputs} scripts, POLLCAST_FUZZ_SEED={seed}"),
        Err(failure) => {
            let kept = script::write("What went wrong here.", &failure.input);
            panic!("POLLCAST_FUZZ_SEED={seed}: {}\nKeep this in fuzz/corpus/ingress:\n{kept}", failure.said);
        }
    }
}

#[test]
fn the_kept_scripts_pass_ingress() {
    replay(|steps| ingress::body(steps));
}

#[test]
fn the_kept_scripts_leave_a_host_well() {
    replay(|steps| host::fuzz_host(steps));
}

/// The corpus of the conservation tests as scripts of so many frames: what belongs together stays together.
fn corpus_scripts(seed: u64) -> Vec<Vec<Step>> {
    let frames = corpus::corpus(seed);
    frames.chunks(200).map(|chunk| chunk.iter().cloned().map(Step::Frame).collect()).collect()
}

/// Plays the corpus into `body`; what fails is printed as small as it gets.
fn play_corpus(seed: u64, body: impl Fn(&Vec<Step>)) {
    let scripts = corpus_scripts(seed);
    assert!(scripts.len() > 300, "only {} scripts", scripts.len());
    for mut steps in scripts {
        let Some(mut said) = session::failure(&body, &steps) else { continue };
        while let Some((less, says)) = script::smaller(&steps)
            .into_iter()
            .find_map(|less| session::failure(&body, &less).map(|says| (less, says)))
        {
            (steps, said) = (less, says);
        }
        panic!("seed {seed}: {said}\n{}", script::write("What went wrong here.", &steps));
    }
}

// Q01, E17: every kind of frame, cut and changed at every byte.
#[test]
fn the_corpus_passes_ingress() {
    play_corpus(21, |steps| ingress::body(steps));
}

#[test]
fn the_corpus_leaves_a_host_well() {
    play_corpus(22, |steps| host::fuzz_host(steps));
}

#[test]
fn mutated_scripts_pass_ingress() {
    fuzz(0.6, |steps| ingress::body(steps));
}

#[test]
fn mutated_scripts_leave_a_host_well() {
    fuzz(0.4, |steps| host::fuzz_host(steps));
}

// A fuzz run over a host that answers nothing would find nothing.
#[test]
fn the_host_under_test_answers() {
    let sent_for = |name: &str| {
        let (_, kept) = kept_scripts().into_iter().find(|(kept, _)| kept == name).expect("a kept script");
        let mut host = Host::new(Build::plain());
        host.play(&kept.steps);
        host.sent
    };
    let echo = |name, echoes: usize| {
        let sent = sent_for(name);
        assert_eq!(sent.len(), echoes, "{name}");
        assert!(sent.iter().all(|frame| *frame == sent[0]), "{name}");
        UdpFrame::read(&sent[0]).expect("an echo").payload
    };
    assert_eq!(echo("udp-unicast", 1), b"pollcast");
    // U13: each of its two services has a copy of what is for many.
    assert_eq!(echo("udp-group", 2), b"pollcast");
    assert_eq!(echo("udp-ssm", 2), b"pollcast");
    assert_eq!(echo("udp-empty", 1), b"");
    assert_eq!(sent_for("udp-group-alias"), Vec::<Vec<u8>>::new());
    assert_eq!(sent_for("icmp-echo").len(), 2);
    let unreachable = sent_for("udp-closed-port");
    assert_eq!(IcmpFrame::read(&unreachable[0]).map(|i| (i.kind, i.code)), Ok((3, 3)));
}
