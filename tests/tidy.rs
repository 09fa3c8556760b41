//! The mechanical part of the house's rules, as a test.
//!
//! Every rule is a function over a path and its text, and carries made-up examples: some that it must find, some
//! that it must let pass. A rule that cannot fail is not a rule, and `every_rule_can_fail` says so.
//! `docs/architecture.md` gives the reasons.

#[allow(unreachable_pub, reason = "a file of this test alone")]
#[path = "tidy/source.rs"]
mod source;
#[allow(unreachable_pub, reason = "a file of this test alone")]
#[path = "tidy/tree.rs"]
mod tree;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use source::{Token, is_test_file, lines_with, root_paths, tokens, without_tests};
use tree::undeclared;

/// The most lines of one source file.
const LINES_MAX: usize = 650;

/// The rooms that know no clock, thread, log or device.
const CORE: [&str; 8] = ["addr", "time", "rng", "wire", "io", "stack", "fastpath", "service"];

/// Which rooms a room may name, beside itself. `config::plan` is a part of a room.
const ARROWS: [(&str, &[&str]); 18] = [
    ("addr", &[]),
    ("time", &[]),
    ("rng", &[]),
    ("wire", &["addr", "time"]),
    ("io", &["addr"]),
    ("stack", &["wire", "io", "addr", "time", "rng"]),
    ("fastpath", &["stack", "wire", "io", "addr", "time"]),
    ("service", &["io", "addr", "time"]),
    ("socket", &["stack", "io", "addr", "time", "rng"]),
    ("engine", &["stack", "fastpath", "service", "socket", "io", "addr", "time", "rng"]),
    ("dpdk", &["io", "addr", "time", "config::plan"]),
    ("sim", &["io", "engine", "stack", "fastpath", "service", "socket", "addr", "time", "rng"]),
    ("config", &["addr", "io"]),
    ("bench", &["wire", "io", "addr", "time", "dpdk", "config"]),
    ("ctl", &["engine", "config", "io", "addr", "time"]),
    ("host", &["*"]),
    ("cli", &["*"]),
    ("main", &["*"]),
];

/// The one file beside `dpdk` that may be `unsafe`: it picks the burst function for this CPU's instructions.
const DISPATCH: &str = "src/fastpath/dispatch.rs";

/// A rule of the house.
struct Rule {
    name: &'static str,
    check: fn(&str, &str) -> Vec<Finding>,
    /// `(path, text)` that the rule must find.
    bad: &'static [(&'static str, &'static str)],
    /// `(path, text)` that it must let pass.
    good: &'static [(&'static str, &'static str)],
}

/// A line (from 1) and what is wrong with it.
type Finding = (usize, String);

const RULES: &[Rule] = &[
    Rule {
        name: "arrows",
        check: arrows,
        bad: &[
            ("src/stack/mod.rs", "//! x\nuse crate::engine::Worker;"),
            ("src/stack/gmp/mod.rs", "use super::super::service::Cx;"),
            ("src/wire/arp.rs", "fn f(x: crate::io::DropReason) {}"),
            ("src/io/mod.rs", "use crate::{addr::MacAddr, stack::Verdict};"),
            ("src/engine/worker.rs", "use crate::sim::SimBuf;"),
            ("src/fastpath/mod.rs", "use crate::dpdk;"),
            ("src/dpdk/eal.rs", "use crate::config::load;"),
            ("src/dpdk/eal.rs", "use crate::config::{plan, load};"),
            ("src/host.rs", "use crate::cli::run;"),
            ("src/ctl/mod.rs", "use crate::host::Host;"),
            ("src/newroom/mod.rs", "//! A room without a line in the table."),
        ],
        good: &[
            ("src/stack/mod.rs", "//! [`crate::engine`]\nuse crate::wire::arp; use crate::{addr, io, time};"),
            (
                "src/stack/gmp/v2.rs",
                "use super::super::membership; use crate::stack::x; let s = \"crate::sim\";",
            ),
            ("src/dpdk/eal.rs", "use crate::config::plan::{EalPlan, Hugepages};"),
            ("src/engine/worker.rs", "#[cfg(test)]\nmod tests { use crate::sim::SimBuf; }"),
            ("src/host.rs", "use crate::dpdk::Eal; use crate::ctl;"),
            ("src/lib.rs", "pub mod addr; pub mod cli;"),
        ],
    },
    Rule {
        name: "foreign crates stay in their rooms",
        check: foreign_crates,
        bad: &[
            ("src/engine/mod.rs", "use dpdk_sys::rte_eal_init;"),
            ("src/ctl/mod.rs", "use clap::Parser;"),
            ("src/host.rs", "use signal_hook::consts::SIGINT;"),
            ("src/stack/mod.rs", "use tracing::info;"),
            ("src/fastpath/mod.rs", "let x = crossbeam::channel::bounded(1);"),
        ],
        good: &[
            ("src/dpdk/eal.rs", "use dpdk_sys as sys;"),
            ("src/cli/mod.rs", "use clap::Parser;"),
            ("src/engine/mod.rs", "use crossbeam::channel; use tracing::info;"),
        ],
    },
    Rule {
        name: "unsafe lives in dpdk",
        check: unsafe_rooms,
        bad: &[
            ("src/engine/mod.rs", "// SAFETY: no\nunsafe { f() }"),
            ("src/host.rs", "unsafe impl Send for X {}"),
            ("src/engine/mod.rs", "#![allow(unsafe_code)]"),
        ],
        good: &[
            ("src/dpdk/mbuf.rs", "unsafe { f() }"),
            (DISPATCH, "#![allow(unsafe_code)]\nunsafe { f() }"),
            ("dpdk-sys/src/lib.rs", "unsafe extern \"C\" {}"),
            ("src/lib.rs", "//! the only home of `unsafe`\n#![deny(unsafe_code)]"),
        ],
    },
    Rule {
        name: "unsafe is proven",
        check: safety_comments,
        bad: &[
            ("src/dpdk/mbuf.rs", "fn f() {\n    unsafe { g() }\n}"),
            ("src/dpdk/mbuf.rs", "// Because it is fast.\nunsafe impl Send for X {}"),
            ("src/dpdk/mbuf.rs", "// SAFETY: of another block.\nlet a = 1;\nlet b =\n    unsafe { g() };"),
        ],
        good: &[
            (
                "src/dpdk/mbuf.rs",
                "// SAFETY: g asks for nothing,\n// and gets it.\n#[x]\nlet a =\n    unsafe { g() };",
            ),
            ("src/dpdk/mbuf.rs", "let a = f(\n    // SAFETY: as above.\n    unsafe { g() },\n);"),
            ("src/dpdk/mbuf.rs", "/// # Safety\n/// x\nunsafe fn f() {}\nlet x = \"unsafe {\";"),
        ],
    },
    Rule {
        name: "every file opens with its page",
        check: opening_page,
        bad: &[
            ("src/stack/arp.rs", "use x;\n"),
            ("src/stack/arp.rs", "// a\n//! b\n"),
            ("src/io/mod.rs", ""),
        ],
        good: &[("src/stack/arp.rs", "//! ARP.\n"), ("docs/x.md", "# x"), ("build.rs", "fn main() {}")],
    },
    Rule {
        name: "files are short",
        check: file_length,
        bad: &[("src/a.rs", LONG)],
        good: &[("src/a.rs", "//! x\n"), ("Cargo.lock", LONG)],
    },
    Rule {
        name: "nothing is left undone",
        check: unfinished,
        bad: &[
            ("src/a.rs", concat!("fn f() { to", "do!() }")),
            ("src/a.rs", concat!("fn f() { unimple", "mented!(\"x\") }")),
            ("tests/a.rs", concat!("#[ig", "nore]\nfn f() {}")),
            ("tests/a.rs", concat!("#[ig", "nore = \"slow\"]\nfn f() {}")),
            ("scripts/demo", concat!("# FIX", "ME: later")),
            ("docs/a.md", concat!("X", "XX")),
        ],
        good: &[
            ("src/a.rs", "// nothing to do; ignore it\nlet ignore = 1;"),
            ("scripts/demo", "mktemp -d pollcast.XXXXXX"),
        ],
    },
    Rule {
        name: "the core has no clock, thread, log or device",
        check: pure_core,
        bad: &[
            ("src/stack/arp.rs", "fn f() { println!(\"x\") }"),
            ("src/io/mod.rs", "fn f() { eprintln!(\"x\") }"),
            ("src/wire/arp.rs", "use std::time::Instant;"),
            ("src/service/echo.rs", "let now = Instant::now();"),
            ("src/fastpath/mod.rs", "std::thread::spawn(f);"),
            ("src/time.rs", "let t = SystemTime::now();"),
            ("src/rng.rs", "sleep(d);"),
            ("src/addr.rs", "let x = std::fs::read(p);"),
        ],
        good: &[
            (
                "src/stack/arp.rs",
                "//! It does not println!\nuse crate::time::Instant;\nlet s = \"sleep(1)\";",
            ),
            ("src/stack/arp.rs", "#[cfg(test)]\nmod tests { fn f() { println!(\"seed\") } }"),
            ("src/engine/mod.rs", "std::thread::spawn(f);"),
        ],
    },
    Rule {
        name: "only main ends the process",
        check: process_exit,
        bad: &[("src/cli/mod.rs", "std::process::exit(1)"), ("src/host.rs", "process::abort()")],
        good: &[
            ("src/main.rs", "std::process::exit(1)"),
            ("tests/a.rs", "process::exit(0)"),
            ("src/dpdk/mbuf.rs", "if shares > MAX { process::abort() }"),
        ],
    },
    Rule {
        name: "no path of one machine",
        check: machine_paths,
        bad: &[
            ("README.md", concat!("cd /wo", "rk/main")),
            ("tests/a.rs", concat!("let p = \"/ho", "me/me/x\";")),
            ("scripts/demo", concat!("cp x /ro", "ot/.cargo")),
            ("docs/a.md", concat!("/tmp", "/wt/x")),
        ],
        good: &[("README.md", "see docs/network/main and https://www.rfc-editor.org/rfc/rfc768")],
    },
    Rule {
        name: "crates come from the public registry",
        check: registries,
        bad: &[
            ("Cargo.lock", "source = \"sparse+https://crates.example/index/\""),
            (".cargo/config.toml", "[source.crates-io]\nreplace-with = \"mirror\""),
            ("scripts/setup", "pip install --index-url https://pypi.example x"),
        ],
        good: &[("Cargo.lock", "source = \"registry+https://github.com/rust-lang/crates.io-index\"")],
    },
];

/// More lines than a file may have.
const LONG: &str = match core::str::from_utf8(&[b'\n'; LINES_MAX + 1]) {
    Ok(text) => text,
    Err(_) => "",
};

/// The room that the source file at `path` belongs to, and its depth below the crate's root.
fn room(path: &str) -> Option<(&str, usize)> {
    let inside = path.strip_prefix("src/")?.strip_suffix(".rs")?;
    let names: Vec<_> = inside.split('/').collect();
    let room = names.first()?;
    let depth = names.len() - usize::from(names.len() > 1 && names.last() == Some(&"mod"));
    (*room != "lib").then_some((*room, depth))
}

/// The code of a file that runs outside tests.
fn production<'a>(path: &str, text: &'a str) -> Vec<Token<'a>> {
    if is_test_file(path) { Vec::new() } else { without_tests(&tokens(text)) }
}

/// DESIGN 2: which room may name which.
fn arrows(path: &str, text: &str) -> Vec<Finding> {
    let Some((room, depth)) = room(path) else { return Vec::new() };
    let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| *name == room) else {
        return vec![(1, format!("`{room}` is not a room that the table of arrows knows"))];
    };
    let code = production(path, text);
    let wrong = root_paths(&code, depth).into_iter().filter(|named| {
        let known = ARROWS.iter().any(|(name, _)| *name == named.room);
        let part = named.part.map(|part| format!("{}::{part}", named.room));
        let is_allowed = |name: &&str| *name == named.room || Some(*name) == part.as_deref();
        let everything = allowed.contains(&"*") && (named.room != "cli" || room == "main");
        known && named.room != room && !everything && !allowed.iter().any(is_allowed)
    });
    wrong.map(|named| (named.line, format!("`{room}` may not name `{}`", named.room))).collect()
}

/// Which rooms may use a crate that is not for everyone.
const FOREIGN: [(&str, &[&str]); 10] = [
    ("dpdk_sys", &["dpdk"]),
    ("clap", &["cli", "main"]),
    ("signal_hook", &["cli", "main"]),
    ("tracing_subscriber", &["cli", "main"]),
    ("strsim", &["config", "cli"]),
    ("core_affinity", &["engine", "dpdk", "host", "cli", "config"]),
    ("crossbeam", &["engine", "sim", "host", "ctl", "dpdk", "socket", "bench", "cli"]),
    ("rustix", &["socket"]),
    ("tracing", &["engine", "dpdk", "host", "ctl", "cli", "main", "config"]),
    ("socket2", &["ctl", "host", "cli"]),
];

fn foreign_crates(path: &str, text: &str) -> Vec<Finding> {
    let Some((room, _)) = room(path) else { return Vec::new() };
    let code = production(path, text);
    let wrong = FOREIGN.iter().filter(|(_, rooms)| !rooms.contains(&room));
    wrong
        .flat_map(|(name, _)| {
            let lines = ["::", "as"].iter().flat_map(|then| lines_with(&code, &[name, then]));
            lines.map(move |line| (line, format!("`{room}` may not use `{name}`")))
        })
        .collect()
}

fn may_be_unsafe(path: &str) -> bool {
    path.starts_with("src/dpdk/") || path == DISPATCH || !path.starts_with("src/")
}

/// DESIGN 2 and 4: one room, one file.
fn unsafe_rooms(path: &str, text: &str) -> Vec<Finding> {
    if may_be_unsafe(path) || !path.ends_with(".rs") {
        return Vec::new();
    }
    let code = tokens(text);
    let blocks = lines_with(&code, &["unsafe"]);
    let opened = lines_with(&code, &["allow", "(", "unsafe_code"]);
    blocks.into_iter().chain(opened).map(|line| (line, "`unsafe` outside `dpdk`".to_owned())).collect()
}

/// A block or `impl` that is unsafe has its proof right above.
fn safety_comments(path: &str, text: &str) -> Vec<Finding> {
    if !path.ends_with(".rs") {
        return Vec::new();
    }
    let code = tokens(text);
    let lines: Vec<_> = text.lines().map(str::trim).collect();
    let unsafe_lines: BTreeSet<_> =
        ["{", "impl"].iter().flat_map(|then| lines_with(&code, &["unsafe", then])).collect();
    let unproven = unsafe_lines.into_iter().filter(|&line| !is_proven(&lines, line - 1));
    unproven.map(|line| (line, "unsafe without a SAFETY comment above".to_owned())).collect()
}

/// Whether a comment with the word stands on line `at`, or above it with nothing between but attributes and earlier
/// lines of the same statement.
fn is_proven(lines: &[&str], at: usize) -> bool {
    const WORD: &str = "// SAFETY:";
    if lines[at].contains(WORD) {
        return true;
    }
    for line in lines[..at].iter().rev() {
        if line.starts_with("//") {
            if line.starts_with(WORD) {
                return true;
            }
        } else if !line.starts_with('#') && line.ends_with([';', '{', '}', ',', '(']) || line.is_empty() {
            return false;
        }
    }
    false
}

fn opening_page(path: &str, text: &str) -> Vec<Finding> {
    let is_source = path.ends_with(".rs") && (path.starts_with("src/") || path.starts_with("dpdk-sys/src/"));
    let missing = is_source && !text.starts_with("//!");
    missing.then(|| (1, "the first line is not `//!`".to_owned())).into_iter().collect()
}

fn file_length(path: &str, text: &str) -> Vec<Finding> {
    let lines = text.lines().count();
    let too_long = path.ends_with(".rs") && lines > LINES_MAX;
    too_long.then(|| (lines, format!("{lines} lines: more than {LINES_MAX}"))).into_iter().collect()
}

/// Macros and attributes that leave work behind, and the words for it in any text.
fn unfinished(path: &str, text: &str) -> Vec<Finding> {
    let code = if path.ends_with(".rs") { tokens(text) } else { Vec::new() };
    let sequences: [&[&str]; 3] = [&["todo", "!"], &["unimplemented", "!"], &["#", "[", "ignore"]];
    let in_code = sequences.iter().flat_map(|s| lines_with(&code, s));
    let marks = [concat!("FIX", "ME"), concat!("X", "XX")];
    let is_mark = |line: &str| line.split(|c: char| !c.is_alphanumeric()).any(|word| marks.contains(&word));
    let in_text = text.lines().enumerate().filter(|(_, line)| is_mark(line)).map(|(i, _)| i + 1);
    in_code.chain(in_text).map(|line| (line, "work left undone".to_owned())).collect()
}

/// DESIGN 1: the core is handed packets and the time, and touches nothing else.
fn pure_core(path: &str, text: &str) -> Vec<Finding> {
    if !room(path).is_some_and(|(room, _)| CORE.contains(&room)) {
        return Vec::new();
    }
    const BANNED: [&[&str]; 13] = [
        &["print", "!"],
        &["println", "!"],
        &["eprint", "!"],
        &["eprintln", "!"],
        &["dbg", "!"],
        &["std", "::", "thread"],
        &["std", "::", "time"],
        &["std", "::", "fs"],
        &["std", "::", "env"],
        &["std", "::", "process"],
        &["Instant", "::", "now"],
        &["SystemTime"],
        &["sleep", "("],
    ];
    let code = production(path, text);
    let found = BANNED
        .iter()
        .flat_map(|words| lines_with(&code, words).into_iter().map(|line| (line, words.concat())));
    found.map(|(line, what)| (line, format!("`{what}` in the core"))).collect()
}

/// DESIGN 10: whoever uses the library decides when its process ends. The unsafe room may abort where going on would be
/// unsound, as `Arc` does when its count is about to wrap.
fn process_exit(path: &str, text: &str) -> Vec<Finding> {
    if path == "src/main.rs" || room(path).is_none() {
        return Vec::new();
    }
    let code = production(path, text);
    let ends: &[&str] = if path.starts_with("src/dpdk/") { &["exit"] } else { &["exit", "abort"] };
    let lines = ends.iter().flat_map(|end| lines_with(&code, &["process", "::", end]));
    lines.map(|line| (line, "only main.rs ends the process".to_owned())).collect()
}

fn machine_paths(_path: &str, text: &str) -> Vec<Finding> {
    let roots = [concat!("/wo", "rk/"), concat!("/tmp", "/wt"), concat!("/ro", "ot/"), concat!("/ho", "me/")];
    let found = text.lines().enumerate().filter_map(|(i, line)| {
        let root = roots.iter().find(|root| starts_a_path(line, root))?;
        Some((i + 1, format!("`{root}` is a path of one machine")))
    });
    found.collect()
}

/// Whether `root` occurs in `line` as the start of a path: not in the middle of a longer one.
fn starts_a_path(line: &str, root: &str) -> bool {
    line.match_indices(root)
        .any(|(at, _)| !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '.' || c == '-'))
}

/// Everyone builds from the same public index; a mirror is set up on the machine, not in the project.
fn registries(path: &str, text: &str) -> Vec<Finding> {
    const PUBLIC: &str = "\"registry+https://github.com/rust-lang/crates.io-index\"";
    let words = [concat!("replace", "-with"), concat!("--index", "-url"), concat!("[regis", "tries")];
    let found = text.lines().enumerate().filter(|(_, line)| {
        let foreign = path == "Cargo.lock" && line.starts_with("source = ") && !line.ends_with(PUBLIC);
        foreign || path != "tests/tidy.rs" && words.iter().any(|word| line.contains(word))
    });
    found.map(|(i, _)| (i + 1, "a registry of one machine".to_owned())).collect()
}

/// The project's folder.
fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The files of the project as paths below its root: what git has or would take; without git, all but build output.
fn files() -> Vec<String> {
    let listed = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output();
    match listed {
        Ok(output) if output.status.success() && !output.stdout.is_empty() => {
            let names = String::from_utf8_lossy(&output.stdout).into_owned();
            names.split('\0').filter(|name| !name.is_empty()).map(str::to_owned).collect()
        }
        _ => walk(&root(), ""),
    }
}

fn walk(folder: &Path, prefix: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && !["target", ".git"].contains(&name.as_str()) => {
                found.extend(walk(&entry.path(), &format!("{prefix}{name}/")));
            }
            Ok(kind) if kind.is_file() => found.push(format!("{prefix}{name}")),
            _ => {}
        }
    }
    found
}

#[test]
fn the_tree_is_tidy() {
    let mut read = 0;
    let mut findings = Vec::new();
    for path in files() {
        // A file that git lists and the folder lacks is being removed; one that is not text has no lines.
        let Ok(text) = std::fs::read_to_string(root().join(&path)) else { continue };
        read += usize::from(path.ends_with(".rs"));
        for rule in RULES {
            let found = (rule.check)(&path, &text);
            findings.extend(
                found.into_iter().map(|(line, what)| format!("{path}:{line}: {}: {what}", rule.name)),
            );
        }
    }
    assert!(read > 20, "only {read} source files were found");
    assert!(findings.is_empty(), "{} findings:\n{}", findings.len(), findings.join("\n"));
}

#[test]
fn every_rule_can_fail() {
    for rule in RULES {
        assert!(!rule.bad.is_empty() && !rule.good.is_empty(), "{}: no examples", rule.name);
        for (path, text) in rule.bad {
            assert!(!(rule.check)(path, text).is_empty(), "{}: passes {path}:\n{text}", rule.name);
        }
    }
}

#[test]
fn no_rule_fails_without_cause() {
    for rule in RULES {
        for (path, text) in rule.good {
            assert_eq!((rule.check)(path, text), [], "{}: {path}:\n{text}", rule.name);
        }
    }
}

#[test]
fn every_room_is_in_the_table_of_arrows() {
    let rooms: BTreeSet<_> =
        files().iter().filter_map(|path| room(path)).map(|(room, _)| room.to_owned()).collect();
    for core in CORE {
        assert!(rooms.contains(core), "the core room `{core}` has no file");
    }
    assert!(rooms.iter().all(|room| ARROWS.iter().any(|(name, _)| name == room)), "{rooms:?}");
}

/// The crates that the manifest `manifest` depends on and that `page` does not name.
fn unexplained(manifest: &str, page: &str) -> Vec<String> {
    let mut section = "";
    let mut missing = Vec::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            section = line;
        } else if section.ends_with("dependencies]")
            && let Some((name, _)) = line.split_once(" = ")
            && !page.contains(&format!("`{name}`"))
        {
            missing.push(name.to_owned());
        }
    }
    missing
}

#[test]
fn every_dependency_is_explained() {
    let read = |path: &str| std::fs::read_to_string(root().join(path)).expect(path);
    let page = read("docs/decisions/dependencies.md");
    for manifest in ["Cargo.toml", "dpdk-sys/Cargo.toml"] {
        assert_eq!(
            unexplained(&read(manifest), &page),
            Vec::<String>::new(),
            "of {manifest}, in dependencies.md"
        );
    }
    let made_up = "[dependencies]\nnix = \"1\"\nleft-pad = \"1\"\n[features]\nsim = []";
    assert_eq!(unexplained(made_up, "| `nix` | namespaces |"), ["left-pad"]);
}

#[test]
fn every_decision_is_in_the_index() {
    let folder = root().join("docs/decisions");
    let index = std::fs::read_to_string(folder.join("README.md")).expect("the index");
    let names = std::fs::read_dir(&folder).expect("the folder").map(|e| e.expect("an entry").file_name());
    let missing: Vec<_> = names
        .map(|name| name.to_string_lossy().into_owned())
        .filter(|name| name != "README.md" && !index.contains(&format!("]({name})")))
        .collect();
    assert_eq!(missing, Vec::<String>::new());
}

#[test]
fn every_file_is_compiled() {
    let files: BTreeSet<_> = files().into_iter().collect();
    // A file that git lists and the folder lacks is being removed.
    let files = files.into_iter().filter(|path| root().join(path).is_file()).collect();
    let read = |path: &str| std::fs::read_to_string(root().join(path)).unwrap_or_default();
    assert_eq!(undeclared(&files, read), Vec::<&str>::new(), "no `mod` and no manifest names them");
}

#[test]
fn a_file_that_nobody_compiles_is_found() {
    let texts = [
        ("Cargo.toml", "[[bin]]\npath = \"tool/begin.rs\"\n"),
        ("src/lib.rs", "pub mod a;\n// mod unsaid;\n#[cfg(test)]\n#[path = \"a/tests.rs\"]\nmod tests;"),
        ("src/unsaid.rs", ""),
        ("src/a.rs", "mod b;\nmod inline { }"),
        ("src/a/b.rs", ""),
        ("src/a/inline.rs", ""),
        ("src/a/tests.rs", "mod more;"),
        ("src/a/more.rs", ""),
        ("src/a/b/more.rs", ""),
        ("tests/one.rs", "#[path = \"common/mod.rs\"]\n#[allow(dead_code)]\nmod common;"),
        ("tests/common/mod.rs", "mod part;"),
        ("tests/common/part.rs", ""),
        ("tests/common/forgotten.rs", ""),
        ("tests/two/main.rs", "#[path = \"../common/mod.rs\"]\nmod common;\nmod three;"),
        ("tests/two/three.rs", ""),
        ("tests/two/four.rs", ""),
        ("tool/begin.rs", "mod next;"),
        ("tool/next.rs", ""),
        ("tool/other.rs", ""),
    ];
    let files = texts.iter().map(|(path, _)| (*path).to_owned()).collect();
    let read = |path: &str| texts.iter().find(|(of, _)| *of == path).map_or("", |(_, text)| *text).to_owned();
    let found = [
        "src/a/b/more.rs",
        "src/a/inline.rs",
        "src/unsaid.rs",
        "tests/common/forgotten.rs",
        "tests/two/four.rs",
        "tool/other.rs",
    ];
    assert_eq!(undeclared(&files, read), found);
}
