//! `docs/socket-options.md` is true: it has every option of Linux's headers, and names the methods that there are, and all of them.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path))
        .unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// Lines of the table, without its heads: what stands in each column.
fn rows() -> Vec<[String; 3]> {
    let doc = read("docs/socket-options.md");
    let rows = doc.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| option"));
    rows.map(|line| {
        let columns: Vec<_> =
            line.trim_matches('|').split('|').map(|column| column.trim().to_owned()).collect();
        columns.try_into().unwrap_or_else(|_| panic!("three columns: {line}"))
    })
    .collect()
}

/// Words of capitals and digits.
fn names(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_ascii_uppercase() || c.is_ascii_digit() || "_*".contains(c)))
}

/// The names that a header gives to small numbers, of which some are values of options and no options.
fn defined(header: &str, prefixes: &[&str], values: &[&str]) -> BTreeSet<String> {
    let text = read(&format!("/usr/include/{header}"));
    let number = |line: &str| {
        let mut words = line.strip_prefix("#define")?.split_whitespace();
        let (name, value) = (words.next()?, words.next()?);
        value.parse::<u32>().is_ok().then(|| name.to_owned())
    };
    let options = text.lines().filter_map(number).filter(|name| {
        prefixes.iter().any(|prefix| name.starts_with(prefix))
            && !values.iter().any(|value| name.starts_with(value))
    });
    // Of those that have a time there are two each, by how wide that is.
    options.map(|name| name.trim_end_matches("_OLD").trim_end_matches("_NEW").to_owned()).collect()
}

#[test]
fn every_option_of_linux_is_in_the_table() {
    let rows = rows();
    let known: BTreeSet<&str> = rows.iter().flat_map(|[options, ..]| names(options)).collect();
    let headers = [
        defined("asm-generic/socket.h", &["SO_"], &[]),
        defined(
            "linux/in.h",
            &["IP_", "MCAST_"],
            &["IP_PMTUDISC_", "IP_DEFAULT_", "MCAST_EXCLUDE", "MCAST_INCLUDE"],
        ),
        defined(
            "linux/in6.h",
            &["IPV6_"],
            &[
                "IPV6_FL_",
                "IPV6_FLOWINFO_FLOWLABEL",
                "IPV6_FLOWINFO_PRIORITY",
                "IPV6_PRIORITY_",
                "IPV6_TLV_",
                "IPV6_PMTUDISC_",
                "IPV6_PREFER_SRC_",
            ],
        ),
        defined("linux/udp.h", &["UDP_"], &["UDP_ENCAP_"]),
    ];
    for of_header in headers {
        assert!(of_header.len() >= 6, "{of_header:?}");
        let lacking: Vec<_> = of_header.iter().filter(|name| !known.contains(name.as_str())).collect();
        assert!(lacking.is_empty(), "{lacking:?}");
    }
}

/// The public methods of a socket for threads.
fn methods() -> BTreeSet<String> {
    let mut sources = vec![read("src/socket/udp.rs")];
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/socket/udp");
    sources
        .extend(fs::read_dir(folder).unwrap().map(|file| fs::read_to_string(file.unwrap().path()).unwrap()));
    let all = sources.concat();
    let public = all.lines().filter_map(|line| {
        let rest = line.strip_prefix("    pub fn ").or_else(|| line.strip_prefix("    pub const fn "))?;
        Some(rest.split(['(', '<']).next()?.to_owned())
    });
    public.collect()
}

#[test]
fn the_table_names_the_methods_that_there_are() {
    let methods = methods();
    let mut named = BTreeSet::new();
    for [options, pollcast, note] in rows() {
        let quoted: Vec<_> = pollcast.split('`').skip(1).step_by(2).collect();
        for method in &quoted {
            assert!(methods.contains(*method), "{options}: there is no `{method}`");
        }
        named.extend(quoted.iter().map(|method| (*method).to_owned()));
        let is_known = |word: &str| pollcast == word || pollcast.starts_with(&format!("{word}:"));
        let is_said = !quoted.is_empty() || ["always", "type", "no"].into_iter().any(is_known);
        assert!(is_said || pollcast == "as over IPv4", "{options}: {pollcast:?} {note}");
        // What is refused is so with an errno.
        let is_refused = pollcast.starts_with("no");
        assert!(
            !is_refused || ["no: ENOPROTOOPT", "no: EPERM"].contains(&&*pollcast),
            "{options}: {pollcast:?}"
        );
    }
    // fcntl(2) has that, and no option.
    let others = ["set_nonblocking"];
    let setters =
        methods.iter().filter(|method| method.starts_with("set_") && !others.contains(&method.as_str()));
    let lacking: Vec<_> = setters.filter(|method| !named.contains(*method)).collect();
    assert!(lacking.is_empty(), "the table lacks {lacking:?}");
}
