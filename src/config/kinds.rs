//! The kinds of service that a program offers, and how the options of each are checked.

use serde::de::DeserializeOwned;

use super::error::{At, Place, Problems, did_you_mean, nearest, one_of};
use super::raw::SERVICE_KEYS;
use super::read::OwnKey;

/// Something wrong with an option of a service.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OptionError {
    /// The option's key; `None` if it concerns the service as a whole.
    pub key: Option<String>,
    /// What is wrong.
    pub problem: String,
    /// What to do about it; may be empty if `problem` says it.
    pub remedy: String,
}

/// One kind of service: its name, its options, and their check.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    name: &'static str,
    keys: &'static [&'static str],
    check: fn(&toml::Table) -> Vec<OptionError>,
}

impl Kind {
    /// The kind `name`, with the options `keys`: what a service table may hold beside `name`, `kind`, `listen`, `ports`
    /// and `groups`. `check` is handed those of them that a table holds, and tells everything that is wrong.
    #[must_use]
    pub const fn new(
        name: &'static str,
        keys: &'static [&'static str],
        check: fn(&toml::Table) -> Vec<OptionError>,
    ) -> Self {
        Self { name, keys, check }
    }

    /// The kind `name`, with the options `keys` that serde reads into an `Options`.
    ///
    /// ```
    /// use pollcast::config::{Kind, Kinds};
    ///
    /// #[derive(serde::Deserialize, Default)]
    /// #[serde(default, deny_unknown_fields)]
    /// struct ShoutOptions {
    ///     times: u8,
    /// }
    ///
    /// let kinds = Kinds::new().with(Kind::of::<ShoutOptions>("shout", &["times"]));
    /// assert!(kinds.get("shout").is_some());
    /// ```
    #[must_use]
    pub const fn of<Options: DeserializeOwned>(name: &'static str, keys: &'static [&'static str]) -> Self {
        Self::new(name, keys, check_by_serde::<Options>)
    }

    /// Its name: the value of the key `kind`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Checks a service's `own` keys, and gives the table for its kind to read.
    pub(super) fn check(&self, service: &Place, own: &[OwnKey], problems: &mut Problems) -> toml::Table {
        let mut options = toml::Table::new();
        for OwnKey { key, key_place, value } in own {
            if self.keys.contains(&key.as_str()) {
                options.insert(key.clone(), value.value.clone());
            } else {
                self.unknown_key(key, key_place, problems);
            }
        }
        for OptionError { key, problem, remedy } in (self.check)(&options) {
            let at = own.iter().find(|own| Some(&own.key) == key.as_ref());
            problems.add(at.map_or(service, |own| &own.value.place), problem, remedy);
        }
        options
    }

    fn unknown_key(&self, key: &str, place: &Place, problems: &mut Problems) {
        let known = || SERVICE_KEYS.iter().chain(self.keys).copied();
        let remedy = did_you_mean(nearest(key, known()), || {
            format!("the keys here are {}", known().collect::<Vec<_>>().join(", "))
        });
        problems.add(place, "unknown key", remedy);
    }
}

/// Reads each option alone, so that every wrong one is found, then all together for what is missing or does not fit.
fn check_by_serde<Options: DeserializeOwned>(table: &toml::Table) -> Vec<OptionError> {
    let read = |table: toml::Table| table.try_into::<Options>().err().map(|e| in_words(e.message()));
    let mut errors = Vec::new();
    for (key, value) in table {
        let alone = toml::Table::from_iter([(key.clone(), value.clone())]);
        if let Some(problem) = read(alone).filter(|problem| !problem.starts_with("missing field")) {
            errors.push(OptionError { key: Some(key.clone()), problem, remedy: String::new() });
        }
    }
    if errors.is_empty()
        && let Some(problem) = read(table.clone())
    {
        errors.push(OptionError { key: None, problem, remedy: String::new() });
    }
    errors
}

/// Serde's complaint, with the numbers that fit instead of the names of Rust's types, and TOML's words.
fn in_words(message: &str) -> String {
    let plain = [("expected i64", "expected a whole number"), ("expected a sequence", "expected a list")];
    if let Some((start, word)) =
        plain.iter().find_map(|(of_serde, word)| Some((message.strip_suffix(of_serde)?, word)))
    {
        return format!("{start}{word}");
    }
    let types = [
        ("u8", u64::from(u8::MAX)),
        ("u16", u64::from(u16::MAX)),
        ("u32", u64::from(u32::MAX)),
        ("u64", u64::MAX),
        ("usize", u64::MAX),
    ];
    let expected = types.iter().find_map(|(name, max)| {
        message.strip_suffix(name).and_then(|start| start.strip_suffix("expected ")).map(|start| (start, max))
    });
    match expected {
        Some((start, max)) => format!("{start}expected a whole number from 0 to {max}"),
        None => message.to_owned(),
    }
}

/// The kinds of service that a program offers.
#[derive(Clone, Debug, Default)]
pub struct Kinds(Vec<Kind>);

impl Kinds {
    /// None yet.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// These and `kind`, which takes the place of one of the same name.
    #[must_use]
    pub fn with(mut self, kind: Kind) -> Self {
        self.0.retain(|known| known.name != kind.name);
        self.0.push(kind);
        self
    }

    /// The kind `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Kind> {
        self.0.iter().find(|kind| kind.name == name)
    }

    /// The kind `name`, or the problem noted.
    pub(super) fn find(&self, name: &At<String>, problems: &mut Problems) -> Option<&Kind> {
        let kind = self.get(&name.value);
        if kind.is_none() {
            let names = || self.0.iter().map(|kind| kind.name);
            let remedy =
                did_you_mean(nearest(&name.value, names()), || format!("the kinds are {}", one_of(names())));
            problems.add(&name.place, format!("there is no kind of service {:?}", name.value), remedy);
        }
        kind
    }
}
