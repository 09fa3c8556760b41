//! Every requirement that `docs/conformance` lists as met is cited above the code that meets it and above a test; and what is
//! not met is listed there too, with the reason.
//!
//! A citation is the row's id in a comment: `// A03, RFC 826: ...`, or a range, `// I07-I11`. With
//! `POLLCAST_CONFORMANCE=write` the test fills in the tables' last two columns instead of checking them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The rows of which this release speaks: each is in a table, or among those that are not met.
const PROMISED: &str = "E01-E17 A01-A15 I01-I23 V01-V13 F01-F20 C01-C17 U01-U29 X01-X06 T01 T02 T04 Q01 Q02 \
    G01-G48 L01-L16 W01-W13 P01-P12 K01-K08 N01-N17 O01-O09";

/// Under this heading of the README, a table of rows that are not met, and why.
const NOT_MET: &str = "## Not met";

/// Where rows are cited: files, by row.
#[derive(Debug, Default, PartialEq, Eq)]
struct Citations {
    code: BTreeMap<String, BTreeSet<String>>,
    tests: BTreeMap<String, BTreeSet<String>>,
}

/// One line of a table.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    id: String,
    /// Level, requirement and source.
    about: String,
    code: BTreeSet<String>,
    tests: BTreeSet<String>,
}

fn is_id(word: &str) -> bool {
    matches!(word.as_bytes(), [b'A'..=b'Z', b'0'..=b'9', b'0'..=b'9'])
}

/// The rows named in `text`, ranges included.
fn ids(text: &str) -> Vec<String> {
    let words: Vec<_> =
        text.split(|c: char| !c.is_alphanumeric() && c != '-').flat_map(split_range).collect();
    let mut found: Vec<String> = Vec::new();
    let mut words = words.into_iter().peekable();
    while let Some(word) = words.next() {
        if !is_id(word) {
            continue;
        }
        found.push(word.to_owned());
        if words.next_if(|w| *w == "-" || *w == "to").is_some()
            && let Some(last) = words.next_if(|w| is_id(w) && w[..1] == word[..1])
        {
            let number = |id: &str| id[1..].parse::<u8>().unwrap_or(0);
            found.extend((number(word) + 1..=number(last)).map(|n| format!("{}{n:02}", &word[..1])));
        }
    }
    found
}

/// `I07-I11` as three words; any other word as it is.
fn split_range(word: &str) -> Vec<&str> {
    match word.split_once('-') {
        Some((a, b)) if is_id(a) && is_id(b) => vec![a, "-", b],
        _ if word.is_empty() => vec![],
        _ => vec![word],
    }
}

/// Adds the citations in the file at `path`.
fn cite(path: &str, text: &str, into: &mut Citations) {
    let name = path.strip_prefix("src/").unwrap_or(path);
    let lines: Vec<_> = text.lines().collect();
    let is_tests =
        |pair: &[&str]| pair[0] == "#[cfg(test)]" && pair[1].starts_with("mod ") && pair[1].ends_with('{');
    let all_tests = path.starts_with("tests/") || path.ends_with("/tests.rs") || path.contains("/tests/");
    let first = if all_tests { 0 } else { lines.windows(2).position(is_tests).unwrap_or(lines.len()) };
    for (i, line) in lines.iter().enumerate() {
        let Some(at) = line.find("//") else { continue };
        let cited = if i >= first { &mut into.tests } else { &mut into.code };
        for id in ids(&line[at..]) {
            cited.entry(id).or_default().insert(name.to_owned());
        }
    }
}

/// The rows of the tables in `text`.
fn rows(text: &str) -> Vec<Row> {
    let names =
        |cell: &str| cell.split([',', ' ', '`']).filter(|n| !n.is_empty()).map(str::to_owned).collect();
    let row = |line: &str| {
        let cells: Vec<_> = line.strip_prefix("| ")?.strip_suffix(" |")?.split(" | ").collect();
        let [id, about @ .., code, tests] = cells.as_slice() else { return None };
        let about = about.join(" | ");
        is_id(id).then(|| Row { id: (*id).to_owned(), about, code: names(code), tests: names(tests) })
    };
    text.lines().filter_map(row).collect()
}

/// The rows that `readme` lists as not met, with the reasons.
fn not_met(readme: &str) -> Vec<(String, String)> {
    let (_, list) = readme.split_once(NOT_MET).expect("a list of what is not met");
    let row = |line: &str| {
        let (id, reason) = line.strip_prefix("| ")?.strip_suffix(" |")?.split_once(" | ")?;
        is_id(id).then(|| (id.to_owned(), reason.to_owned()))
    };
    list.lines().filter_map(row).collect()
}

/// What is wrong with `row`.
fn faults(row: &Row, citations: &Citations) -> Vec<String> {
    let side = |listed: &BTreeSet<String>, cited: &BTreeMap<String, BTreeSet<String>>, what: &str| {
        let none = BTreeSet::new();
        let cited = cited.get(&row.id).unwrap_or(&none);
        let mut wrong: Vec<_> =
            listed.difference(cited).map(|file| format!("{}: {file} does not cite it", row.id)).collect();
        if listed.is_empty() || cited.is_empty() {
            wrong.push(format!("{}: no {what} cites it", row.id));
        }
        wrong
    };
    [side(&row.code, &citations.code, "code"), side(&row.tests, &citations.tests, "test")].concat()
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files(&path, ending));
        } else if path.extension().is_some_and(|e| e == ending) {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn citations() -> Citations {
    let mut citations = Citations::default();
    for folder in ["src", "tests"] {
        for file in files(&root().join(folder), "rs") {
            let path =
                file.strip_prefix(root()).expect("a file of the project").to_string_lossy().into_owned();
            // This file cites rows only to test itself.
            if path != "tests/conformance.rs" {
                cite(&path, &fs::read_to_string(&file).expect("a text"), &mut citations);
            }
        }
    }
    citations
}

/// `text` with the last two columns of its tables as they should be.
fn filled(text: &str, citations: &Citations) -> String {
    let cell = |cited: &BTreeMap<String, BTreeSet<String>>, id: &str| {
        let files = cited.get(id).into_iter().flatten().map(|file| format!("`{file}`"));
        files.collect::<Vec<_>>().join(", ")
    };
    let line = |line: &str| match rows(line).first() {
        Some(Row { id, about, .. }) => {
            format!("| {id} | {about} | {} | {} |\n", cell(&citations.code, id), cell(&citations.tests, id))
        }
        None => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

#[test]
fn what_is_listed_as_met_is_cited_in_code_and_tests() {
    let citations = citations();
    let tables = files(&root().join("docs/conformance"), "md");
    if std::env::var_os("POLLCAST_CONFORMANCE").is_some_and(|v| v == "write") {
        for table in &tables {
            let text = fs::read_to_string(table).expect("a text");
            fs::write(table, filled(&text, &citations)).expect("the table is written");
        }
    }
    let listed: Vec<_> = tables.iter().flat_map(|t| rows(&fs::read_to_string(t).expect("a text"))).collect();
    let faults: Vec<_> = listed.iter().flat_map(|row| faults(row, &citations)).collect();
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn every_promised_row_is_listed_once_as_met_or_as_not() {
    let folder = root().join("docs/conformance");
    let readme = fs::read_to_string(folder.join("README.md")).expect("a text");
    let not_met = not_met(&readme);
    let mut times = BTreeMap::<String, usize>::new();
    for table in files(&folder, "md") {
        for row in rows(&fs::read_to_string(table).expect("a text")) {
            *times.entry(row.id).or_default() += 1;
        }
    }
    for (id, reason) in &not_met {
        *times.entry(id.clone()).or_default() += 1;
        assert!(reason.len() > 20 && reason.ends_with('.'), "{id}: no reason: {reason}");
    }
    let promised = ids(PROMISED);
    assert!(promised.len() > 120, "{promised:?}");
    let missing: Vec<_> = promised.iter().filter(|id| !times.contains_key(*id)).collect();
    assert!(missing.is_empty(), "neither in a table nor among what is not met: {missing:?}");
    let twice: Vec<_> = times.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "listed more than once: {twice:?}");
    let unknown: Vec<_> = times.keys().filter(|id| !promised.contains(id)).collect();
    assert!(unknown.is_empty(), "listed, and not promised: {unknown:?}");
}

#[test]
fn every_table_is_named_on_the_first_page() {
    let folder = root().join("docs/conformance");
    let readme = fs::read_to_string(folder.join("README.md")).expect("a text");
    for table in files(&folder, "md") {
        let name = table.file_name().expect("a file").to_string_lossy().into_owned();
        assert!(name == "README.md" || readme.contains(&format!("]({name})")), "{name} is not named");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_found_alone_in_lists_and_in_ranges() {
        assert_eq!(ids("// A03, RFC 826: types"), ["A03"]);
        assert_eq!(ids("// E06, G04, RFC 1112 7.2; U21"), ["E06", "G04", "U21"]);
        assert_eq!(ids("// I07-I09 and I11 to I13"), ["I07", "I08", "I09", "I11", "I12", "I13"]);
        assert_eq!(ids("// RFC 768, A3, AB12, I123, x-I01y"), Vec::<String>::new());
    }

    #[test]
    fn code_and_tests_are_told_apart() {
        let mut c = Citations::default();
        cite("src/a.rs", "// A01: x\nfn f() {}\n#[cfg(test)]\nmod tests {\n    // A01, A02: y\n}", &mut c);
        cite("src/b/mod.rs", "#[cfg(test)]\nmod tests;\n// A06", &mut c);
        cite("src/b/tests.rs", "// A03", &mut c);
        cite("tests/c.rs", "let s = \"A05\"; // A04", &mut c);
        assert_eq!(c.code.keys().collect::<Vec<_>>(), ["A01", "A06"]);
        assert_eq!(c.tests.keys().collect::<Vec<_>>(), ["A01", "A02", "A03", "A04"]);
        assert_eq!(c.tests["A04"], BTreeSet::from(["tests/c.rs".to_owned()]));
    }

    #[test]
    fn a_row_that_nobody_cites_or_a_wrong_file_is_a_fault() {
        let mut c = Citations::default();
        cite("src/a.rs", "// A01", &mut c);
        cite("tests/b.rs", "// A01", &mut c);
        let faults_of = |line: &str| faults(&rows(line)[0], &c).len();
        assert_eq!(faults_of("| A01 | M | x | RFC 826 | `a.rs` | `tests/b.rs` |"), 0);
        assert_eq!(faults_of("| A01 | M | x | RFC 826 | `z.rs` | `tests/b.rs` |"), 1);
        assert_eq!(faults_of("| A01 | M | x | RFC 826 |  |  |"), 2);
        assert_eq!(faults_of("| A02 | M | x | RFC 826 | `a.rs` | `tests/b.rs` |"), 4);
    }

    #[test]
    fn what_is_not_met_is_read_with_its_reason() {
        let readme =
            "# A\n\n| row | x | y | z |\n\n## Not met\n\n| row | why not |\n|---|---|\n| U06 | No IPv6. |\n";
        assert_eq!(not_met(readme), [("U06".to_owned(), "No IPv6.".to_owned())]);
        assert!(rows(readme).is_empty(), "it is no row of a table");
    }

    #[test]
    fn a_table_is_filled_in_and_the_rest_stays() {
        let mut c = Citations::default();
        cite("src/a.rs", "// A01", &mut c);
        let text =
            "# ARP\n\n| row | about | code | tests |\n|---|---|---|---|\n| A01 | M | x \\| y | z |  |  |\n";
        let want = "# ARP\n\n| row | about | code | tests |\n|---|---|---|---|\n| A01 | M | x \\| y | z | `a.rs` |  |\n";
        assert_eq!(filled(text, &c), want);
        assert_eq!(filled(want, &c), want);
    }
}
