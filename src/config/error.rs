//! What is wrong with a configuration: every error with its place, its key and its remedy.

use core::fmt;
use std::path::{Path, PathBuf};

/// A place in a file, both counted from 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column, in characters.
    pub column: usize,
}

/// One error of a configuration. Prints as one line: `FILE:LINE:COLUMN: KEY: PROBLEM: REMEDY`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConfigError {
    /// The file, as it was named.
    pub file: PathBuf,
    /// Where in the file; absent if it could not be read.
    pub position: Option<Position>,
    /// The key's path, as `port[0].addresses[1]` or `service "echo".listen[0]`; empty if it concerns no key.
    pub key: String,
    /// What is wrong.
    pub problem: String,
    /// What to do about it.
    pub remedy: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(Position { line, column }) = self.position {
            write!(f, ":{line}:{column}")?;
        }
        for part in [&self.key, &self.problem, &self.remedy] {
            if !part.is_empty() {
                write!(f, ": {part}")?;
            }
        }
        Ok(())
    }
}

/// Every error that was found, in the order of the file; at least one. Prints one line each.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConfigErrors(Vec<ConfigError>);

impl ConfigErrors {
    /// The errors.
    pub fn iter(&self) -> core::slice::Iter<'_, ConfigError> {
        self.0.iter()
    }

    /// That `file` cannot be read, because of `error`.
    pub(super) fn unreadable(file: &Path, error: &std::io::Error) -> Self {
        let remedy = match error.kind() {
            std::io::ErrorKind::NotFound => "give the path of a configuration, such as config/tap.toml",
            std::io::ErrorKind::PermissionDenied => "make it readable for this user",
            std::io::ErrorKind::InvalidData => "write it in UTF-8",
            _ => "give the path of a readable file",
        };
        Self(vec![ConfigError {
            file: file.to_owned(),
            position: None,
            key: String::new(),
            problem: format!("cannot be read: {error}"),
            remedy: remedy.to_owned(),
        }])
    }
}

impl<'a> IntoIterator for &'a ConfigErrors {
    type Item = &'a ConfigError;
    type IntoIter = core::slice::Iter<'a, ConfigError>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, error) in self.0.iter().enumerate() {
            let line_end = if i == 0 { "" } else { "\n" };
            write!(f, "{line_end}{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

/// Where a value stands: the path of its key, and its offset in the text.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Place {
    pub(super) path: String,
    pub(super) offset: usize,
}

impl Place {
    /// The path of `key` in the table here.
    pub(super) fn key(&self, key: &str, offset: usize) -> Self {
        let path = if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) };
        Self { path, offset }
    }

    /// The path of the element `index` of the array here.
    pub(super) fn index(&self, index: usize, offset: usize) -> Self {
        Self { path: format!("{}[{index}]", self.path), offset }
    }
}

/// A value and its place.
#[derive(Clone, Debug)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) place: Place,
}

/// The errors found so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Problems(Vec<Problem>);

#[derive(Clone, PartialEq, Eq, Debug)]
struct Problem {
    place: Place,
    problem: String,
    remedy: String,
}

impl Problems {
    /// Adds one.
    pub(super) fn add(&mut self, place: &Place, problem: impl Into<String>, remedy: impl Into<String>) {
        self.0.push(Problem { place: place.clone(), problem: problem.into(), remedy: remedy.into() });
    }

    /// Adds that the table at `table` lacks the key `key`, unless something is wrong with it already.
    pub(super) fn add_missing(&mut self, table: &Place, key: &str, remedy: impl Into<String>) {
        let Place { path, .. } = table.key(key, 0);
        if self.0.iter().all(|problem| problem.place.path != path) {
            self.add(table, format!("the key {key} is missing"), remedy);
        }
    }

    /// Whether one concerns the key `key`, in whatever table.
    pub(super) fn concern(&self, key: &str) -> bool {
        // `port[0].addresses[1]` concerns addresses.
        let last = |path: &str| path.rsplit('.').next().and_then(|last| last.split('[').next()) == Some(key);
        self.0.iter().any(|problem| last(&problem.place.path))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them, in the order of `text`.
    pub(super) fn into_errors(mut self, file: &Path, text: &str) -> ConfigErrors {
        self.0.sort_by_key(|problem| problem.place.offset);
        self.0.dedup();
        let error = |Problem { place, problem, remedy }| ConfigError {
            file: file.to_owned(),
            position: Some(position(text, place.offset)),
            key: one_line(place.path),
            problem: one_line(problem),
            remedy: one_line(remedy),
        };
        ConfigErrors(self.0.into_iter().map(error).collect())
    }
}

/// An error stays on one line, whatever the file has in its strings.
fn one_line(text: String) -> String {
    if text.contains(char::is_control) { text.escape_debug().to_string() } else { text }
}

/// The line and column of the byte at `offset` of `text`.
fn position(text: &str, offset: usize) -> Position {
    let before = text.as_bytes().get(..offset).unwrap_or(text.as_bytes());
    let line_start = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
    let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
    let column = String::from_utf8_lossy(&before[line_start..]).chars().count() + 1;
    Position { line, column }
}

/// The one of `known` that `word` was probably meant to be.
pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    const ALIKE: f64 = 0.8;
    known
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(word, candidate), candidate))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// `did you mean "meant"?`, or else `otherwise`.
pub(super) fn did_you_mean(meant: Option<&str>, otherwise: impl FnOnce() -> String) -> String {
    meant.map_or_else(otherwise, |meant| format!("did you mean \"{meant}\"?"))
}

/// `"a", "b" or "c"`.
pub(super) fn one_of<'a>(choices: impl IntoIterator<Item = &'a str>) -> String {
    let quoted: Vec<String> = choices.into_iter().map(|choice| format!("\"{choice}\"")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        Some((last, _)) => last.clone(),
        None => "nothing".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_counts_lines_and_characters_from_one() {
        let at = |offset| position("a\nhéllo = 1\n", offset);
        assert_eq!(at(0), Position { line: 1, column: 1 });
        assert_eq!(at(2), Position { line: 2, column: 1 });
        assert_eq!(at(6), Position { line: 2, column: 4 });
        assert_eq!(at(500), Position { line: 3, column: 1 });
    }

    #[test]
    fn the_nearest_word_is_found_and_a_far_one_is_not() {
        let known = ["hugepages", "memory_mb", "file_prefix", "args"];
        assert_eq!(nearest("hugepage", known), Some("hugepages"));
        assert_eq!(nearest("memroy_mb", known), Some("memory_mb"));
        assert_eq!(nearest("prefix", known), None);
        assert_eq!(nearest("colour", known), None);
    }
}
