//! Rust source as tokens: enough to tell code from comments, strings and test modules.

/// One token of code, and the line (from 1) that it is on. Comments are left out; a string is the token `"`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Token<'a> {
    pub line: usize,
    pub text: &'a str,
}

/// The code of `text`, without comments and the insides of strings.
pub fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut out = Vec::new();
    let (mut at, mut line) = (0, 1);
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at..];
        let (len, kept) = match c {
            _ if rest.starts_with("//") => (rest.find('\n').unwrap_or(rest.len()), None),
            _ if rest.starts_with("/*") => (block_comment(rest), None),
            '"' => (quoted(rest), Some("\"")),
            '\'' => char_or_lifetime(rest),
            _ if is_word(c) => match word(rest) {
                "r" | "br" | "cr" if raw_string(rest).is_some() => {
                    (raw_string(rest).unwrap_or(1), Some("\""))
                }
                "b" | "c" if rest[1..].starts_with('"') => (1 + quoted(&rest[1..]), Some("\"")),
                "b" if rest[1..].starts_with('\'') => (1 + char_or_lifetime(&rest[1..]).0, Some("'")),
                word => (word.len(), Some(word)),
            },
            _ if rest.starts_with("::") => (2, Some("::")),
            _ if c.is_whitespace() => (c.len_utf8(), None),
            _ => (c.len_utf8(), Some(&rest[..c.len_utf8()])),
        };
        out.extend(kept.map(|text| Token { line, text }));
        line += rest[..len].matches('\n').count();
        at += len;
    }
    out
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The identifier or number that `rest` starts with.
fn word(rest: &str) -> &str {
    &rest[..rest.find(|c| !is_word(c)).unwrap_or(rest.len())]
}

/// The length of the string literal that `rest` starts with.
fn quoted(rest: &str) -> usize {
    let mut escaped = false;
    for (i, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return i + 1,
            _ => {}
        }
    }
    rest.len()
}

/// The length of the raw string literal that `rest` starts with, if it does.
fn raw_string(rest: &str) -> Option<usize> {
    let marks = &rest[word(rest).len()..];
    let hashes = marks.len() - marks.trim_start_matches('#').len();
    if !marks[hashes..].starts_with('"') {
        return None;
    }
    let open = rest.len() - marks.len() + hashes + 1;
    let close = format!("\"{}", "#".repeat(hashes));
    Some(rest[open..].find(&close).map_or(rest.len(), |i| open + i + close.len()))
}

/// The length of the nested block comment that `rest` starts with.
fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        let (step, change) = match rest.as_bytes()[at..] {
            [b'/', b'*', ..] => (2, 1),
            [b'*', b'/', ..] => (2, -1),
            _ => (1, 0),
        };
        at += step;
        depth += change;
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

/// A character literal, or the mark of a lifetime.
fn char_or_lifetime(rest: &str) -> (usize, Option<&str>) {
    let mut chars = rest.char_indices().skip(1);
    match (chars.next(), chars.next()) {
        (Some((_, '\\')), Some((i, escaped))) => {
            let from = i + escaped.len_utf8();
            (rest[from..].find('\'').map_or(rest.len(), |n| from + n + 1), Some("'"))
        }
        (Some(_), Some((i, '\''))) => (i + 1, Some("'")),
        _ => (1, Some("'")),
    }
}

/// Whether the file at `path` is made for tests alone.
pub fn is_test_file(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/tests/") || path.starts_with("tests/")
}

/// `tokens` without the items under `#[cfg(test)]`.
pub fn without_tests<'a>(tokens: &[Token<'a>]) -> Vec<Token<'a>> {
    const MARK: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let mut out = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if starts_with(&tokens[at..], &MARK) {
            at += MARK.len();
            at += item(&tokens[at..]);
        } else {
            out.push(tokens[at]);
            at += 1;
        }
    }
    out
}

/// How many tokens the item has that `tokens` starts with: up to its `;` or its closing brace.
fn item(tokens: &[Token<'_>]) -> usize {
    let mut depth = 0_usize;
    for (i, token) in tokens.iter().enumerate() {
        match token.text {
            "{" | "(" | "[" => depth += 1,
            ")" | "]" => depth = depth.saturating_sub(1),
            "}" => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return i + 1;
                }
            }
            ";" if depth == 0 => return i + 1,
            _ => {}
        }
    }
    tokens.len()
}

/// Whether `tokens` begins with the words of `sequence`.
pub fn starts_with(tokens: &[Token<'_>], sequence: &[&str]) -> bool {
    tokens.len() >= sequence.len() && tokens.iter().zip(sequence).all(|(t, s)| t.text == *s)
}

/// The lines on which `sequence` occurs.
pub fn lines_with(tokens: &[Token<'_>], sequence: &[&str]) -> Vec<usize> {
    (0..tokens.len()).filter(|&i| starts_with(&tokens[i..], sequence)).map(|i| tokens[i].line).collect()
}

/// A name reached from the crate's root: `room` in `crate::room::part`, and `part` where one name follows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RootPath<'a> {
    pub line: usize,
    pub room: &'a str,
    pub part: Option<&'a str>,
}

/// Every name that `tokens`, of a module `depth` levels below the crate's root, reaches from that root: by `crate::`,
/// or by climbing with `super::`.
pub fn root_paths<'a>(tokens: &[Token<'a>], depth: usize) -> Vec<RootPath<'a>> {
    let mut out = Vec::new();
    for (i, token) in tokens.iter().enumerate() {
        let continues = i > 0 && tokens[i - 1].text == "::";
        match token.text {
            "crate" => climb(&tokens[i..], 1, &mut out),
            "super" if !continues => climb(&tokens[i..], depth, &mut out),
            _ => {}
        }
    }
    out
}

/// Follows the path or the group of paths that `tokens` starts with, which has `levels` to climb to the root.
fn climb<'a>(tokens: &[Token<'a>], levels: usize, out: &mut Vec<RootPath<'a>>) {
    let Some(first) = tokens.first() else { return };
    match first.text {
        "{" => group(tokens).into_iter().for_each(|element| climb(element, levels, out)),
        "super" | "crate" if levels > 0 && starts_with(&tokens[1..], &["::"]) => {
            climb(&tokens[2..], levels - 1, out)
        }
        room if levels == 0 => {
            let part = tokens.get(2).filter(|t| starts_with(&tokens[1..], &["::"]) && t.text != "{");
            out.push(RootPath { line: first.line, room, part: part.map(|t| t.text) });
        }
        _ => {}
    }
}

/// The elements of the braced group that `tokens` starts with.
fn group<'a, 'b>(tokens: &'b [Token<'a>]) -> Vec<&'b [Token<'a>]> {
    let end = item(tokens).saturating_sub(1);
    let mut elements = Vec::new();
    let (mut depth, mut start) = (0, 1);
    for (i, token) in tokens.iter().enumerate().take(end).skip(1) {
        match token.text {
            "{" => depth += 1,
            "}" => depth -= 1,
            "," if depth == 0 => {
                elements.push(&tokens[start..i]);
                start = i + 1;
            }
            _ => {}
        }
    }
    elements.push(&tokens[start.min(end)..end]);
    elements
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(source: &str) -> Vec<&str> {
        tokens(source).iter().map(|t| t.text).collect()
    }

    #[test]
    fn comments_and_the_insides_of_strings_are_not_code() {
        assert_eq!(texts("a // b\nc /* d /* e */ f */ g"), ["a", "c", "g"]);
        assert_eq!(texts(r##"x("a \" b", r#"c " d"#, b"e", br"f")"##), texts(r#"x("", "", "", "")"#));
    }

    #[test]
    fn a_quote_is_a_character_or_a_lifetime() {
        assert_eq!(
            texts("f('\"', '\\'', '\\u{1}', b'\\n')"),
            ["f", "(", "'", ",", "'", ",", "'", ",", "'", ")"]
        );
        assert_eq!(texts("fn f<'a>(x: &'a str)").len(), texts("fn f< ' a>(x: & ' a str)").len());
    }

    #[test]
    fn lines_are_counted_through_comments_and_strings() {
        assert_eq!(lines_with(&tokens("\"\n\"\n/*\n*/ here // here\n"), &["here"]), [4]);
    }

    #[test]
    fn test_items_are_left_out_and_what_follows_stays() {
        let source = "a; #[cfg(test)] mod tests { fn f() { {} } } b; #[cfg(test)] #[x(y)] use c; #[cfg(test)] fn g() {} d";
        let kept: Vec<_> = without_tests(&tokens(source)).iter().map(|t| t.text).collect();
        assert_eq!(kept, ["a", ";", "b", ";", "d"]);
    }

    #[test]
    fn paths_from_the_root_are_found_in_every_spelling() {
        let rooms = |source, depth| {
            let tokens = tokens(source);
            let mut rooms: Vec<_> = root_paths(&tokens, depth).iter().map(|p| p.room.to_owned()).collect();
            rooms.sort_unstable();
            rooms
        };
        assert_eq!(rooms("use crate::io::Burst;", 1), ["io"]);
        assert_eq!(rooms("use crate::{addr::{A, B}, io, wire::{self, arp}};", 1), ["addr", "io", "wire"]);
        assert_eq!(rooms("use super::super::sim; x(super::near)", 2), ["sim"]);
        assert_eq!(rooms("use super::{super::{sim, dpdk}, near};", 2), ["dpdk", "sim"]);
        assert_eq!(rooms("pub(crate) fn f(x: crate::engine::X) {}", 1), ["engine"]);
    }

    #[test]
    fn the_part_behind_a_room_is_told() {
        let source = "use crate::config::plan::Plan; use crate::config::{plan, load}; use crate::io;";
        let parts: Vec<_> = root_paths(&tokens(source), 1).iter().map(|p| p.part).collect();
        assert_eq!(parts, [Some("plan"), None, None]);
    }
}
