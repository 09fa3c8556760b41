//! Mutated frames and bytes through every parser of `wire`, and mutated texts through the configuration's, for a short
//! time each. See `tests/fuzz_ingress.rs` for the budget and the seed.

#[allow(unreachable_pub, reason = "the fuzz crate exports it")]
#[path = "../fuzz/src/config.rs"]
mod config;
#[allow(unreachable_pub, dead_code, reason = "the fuzz crate exports it")]
#[path = "../fuzz/src/mutate.rs"]
mod mutate;
#[allow(unreachable_pub, reason = "the fuzz crate exports it")]
#[path = "../fuzz/src/parse.rs"]
mod parse;
#[allow(unreachable_pub, dead_code, reason = "the fuzz crate exports it")]
#[path = "../fuzz/src/script.rs"]
mod script;
#[allow(unreachable_pub, dead_code, reason = "the fuzz crate exports it")]
#[path = "../fuzz/src/session.rs"]
mod session;

use std::path::Path;

use pollcast::rng::Rng;
use script::Step;

/// The texts of the files in `folder` whose names end in `ending`.
fn texts(folder: &str, ending: &str) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("a file").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|e| e == ending));
    paths.sort();
    assert!(!paths.is_empty(), "{}: no .{ending} file", folder.display());
    paths.iter().map(|path| std::fs::read_to_string(path).expect("a text")).collect()
}

/// Half the time that the packet path gets.
fn budget() -> std::time::Duration {
    session::budget() / 2
}

#[test]
fn mutated_frames_parse_or_do_not() {
    let read = |text: &String| script::read(text).expect("a kept script").steps;
    let corpus: Vec<_> = texts("fuzz/corpus/ingress", "hex").iter().map(read).collect();
    let body = |steps: &Vec<Step>| {
        for step in steps {
            if let Step::Frame(frame) = step {
                parse::fuzz_parse(frame);
            }
        }
    };
    corpus.iter().for_each(body);
    let seed = session::seed();
    let next = |rng: &mut Rng| {
        let mut steps = corpus[mutate::below(rng, corpus.len())].clone();
        mutate::mutate(rng, &mut steps, &corpus);
        steps
    };
    match session::run(&mut Rng::new(seed), budget(), next, |steps: &Vec<Step>| script::smaller(steps), body)
    {
        Ok(inputs) => println!("{inputs} scripts, POLLCAST_FUZZ_SEED={seed}"),
        Err(failure) => {
            let kept = script::write("What went wrong here.", &failure.input);
            panic!("POLLCAST_FUZZ_SEED={seed}: {}\nKeep this in fuzz/corpus/ingress:\n{kept}", failure.said);
        }
    }
}

#[test]
fn mutated_configurations_make_a_plan_or_errors_with_their_place() {
    let mut corpus = texts("config", "toml");
    for text in &corpus {
        assert!(config::fuzz_config(text), "a configuration that is shipped is refused:\n{text}");
    }
    corpus.extend(texts("fuzz/corpus/config", "toml"));
    let body = |text: &String| {
        config::fuzz_config(text);
    };
    corpus.iter().for_each(body);
    let seed = session::seed();
    let next = |rng: &mut Rng| {
        let mut text = corpus[mutate::below(rng, corpus.len())].clone();
        mutate::mutate_text(rng, &mut text, &corpus);
        text
    };
    match session::run(&mut Rng::new(seed), budget(), next, |text: &String| smaller_text(text), body) {
        Ok(inputs) => println!("{inputs} texts, POLLCAST_FUZZ_SEED={seed}"),
        Err(failure) => panic!(
            "POLLCAST_FUZZ_SEED={seed}: {}\nKeep this in fuzz/corpus/config, with a sentence as its first line:\n{}",
            failure.said, failure.input
        ),
    }
}

/// The texts one line below `text`.
fn smaller_text(text: &str) -> Vec<String> {
    let lines: Vec<_> = text.lines().collect();
    (0..lines.len()).map(|gone| [&lines[..gone], &lines[gone + 1..]].concat().join("\n")).collect()
}

// Without this, a reader that refused everything would pass.
#[test]
fn a_mutated_configuration_is_often_refused_and_sometimes_not() {
    let corpus = texts("config", "toml");
    let mut rng = Rng::new(1);
    let made_plan = |_| {
        let mut text = corpus[mutate::below(&mut rng, corpus.len())].clone();
        mutate::mutate_text(&mut rng, &mut text, &corpus);
        config::fuzz_config(&text)
    };
    let plans = (0..300).map(made_plan).filter(|made| *made).count();
    assert!((10..290).contains(&plans), "{plans} plans of 300 texts");
}
