//! Which files of source some crate is made of.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use crate::source::{starts_with, tokens};

/// The files of Rust in `files` that no crate of theirs is made of: nobody compiles them, and nobody runs their tests. `read` gives the
/// text of a file.
pub fn undeclared(files: &BTreeSet<String>, read: impl Fn(&str) -> String) -> Vec<&str> {
    let mut compiled = BTreeSet::new();
    let mut open: Vec<_> = roots(files, &read).into_iter().map(|root| (root, true)).collect();
    while let Some((path, owns_its_folder)) = open.pop() {
        if compiled.insert(path.clone()) {
            open.extend(children(&path, owns_its_folder, files, &read(&path)));
        }
    }
    files
        .iter()
        .map(String::as_str)
        .filter(|path| path.ends_with(".rs") && !compiled.contains(*path))
        .collect()
}

/// The files that cargo begins crates with: those that it looks for, and those that a manifest names.
fn roots(files: &BTreeSet<String>, read: &impl Fn(&str) -> String) -> Vec<String> {
    let manifests = files.iter().filter_map(|path| path.strip_suffix("Cargo.toml"));
    manifests
        .flat_map(|package| {
            let manifest = read(&format!("{package}Cargo.toml"));
            let named = manifest.lines().filter_map(|line| line.strip_prefix("path = \"")?.strip_suffix('"'));
            let named: Vec<_> = named.map(|path| format!("{package}{path}")).collect();
            let found = files.iter().filter(|path| path.strip_prefix(package).is_some_and(is_found)).cloned();
            found.chain(named).filter(|path| files.contains(path)).collect::<Vec<_>>()
        })
        .collect()
}

/// Whether cargo takes the file for the beginning of a crate without being told.
fn is_found(path: &str) -> bool {
    let is_target = |folder: &str| {
        let inside = path.strip_prefix(folder).and_then(|inside| inside.strip_suffix(".rs"));
        inside.is_some_and(|name| {
            !name.contains('/') || name.strip_suffix("/main").is_some_and(|n| !n.contains('/'))
        })
    };
    ["build.rs", "src/lib.rs", "src/main.rs"].contains(&path)
        || ["src/bin/", "tests/", "examples/", "benches/"].into_iter().any(is_target)
}

/// The files of the modules that the file at `path` declares, and whether their modules lie beside them. Modules within modules that are
/// written out are not looked for.
fn children(path: &str, owns_its_folder: bool, files: &BTreeSet<String>, text: &str) -> Vec<(String, bool)> {
    let path = Path::new(path);
    let folder = path.parent().unwrap_or_else(|| Path::new(""));
    let below = if owns_its_folder { folder.to_path_buf() } else { path.with_extension("") };
    let lines: Vec<_> = text.lines().map(str::trim).collect();
    let code = tokens(text);
    let declared = code.windows(3).filter(|three| starts_with(three, &["mod"]) && three[2].text == ";");
    declared
        .flat_map(|three| {
            let above = lines[..three[0].line - 1].iter().rev().take_while(|line| line.starts_with('#'));
            let named = above.filter_map(|line| line.strip_prefix("#[path = \"")?.strip_suffix("\"]")).next();
            let name = three[1].text;
            match named {
                Some(named) => vec![(plain(&folder.join(named)), true)],
                None => vec![
                    (plain(&below.join(format!("{name}.rs"))), false),
                    (plain(&below.join(name).join("mod.rs")), true),
                ],
            }
        })
        .filter(|(path, _)| files.contains(path))
        .collect()
}

/// The path without `..`.
fn plain(path: &Path) -> String {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(plain.pop()),
            part => plain.push(part),
        }
    }
    plain.to_string_lossy().into_owned()
}
