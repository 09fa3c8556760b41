//! Reading tables of the spanned TOML tree: a value of the wrong type and an unknown key are noted, and reading goes on.

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use super::error::{At, Place, Problems, did_you_mean, nearest, one_of};

/// A value that can be read from one of TOML's.
pub(super) trait FromValue: Sized {
    /// What is expected, as `a string`.
    const EXPECTED: &'static str;

    fn from_value(value: &DeValue<'_>) -> Option<Self>;
}

impl FromValue for String {
    const EXPECTED: &'static str = "a string";

    fn from_value(value: &DeValue<'_>) -> Option<Self> {
        value.as_str().map(str::to_owned)
    }
}

impl FromValue for i64 {
    const EXPECTED: &'static str = "an integer";

    /// An integer too large for an `i64` is the largest: every limit here is lower.
    fn from_value(value: &DeValue<'_>) -> Option<Self> {
        let integer = value.as_integer()?;
        let saturated = if integer.as_str().starts_with('-') { Self::MIN } else { Self::MAX };
        Some(Self::from_str_radix(integer.as_str(), integer.radix()).unwrap_or(saturated))
    }
}

impl FromValue for bool {
    const EXPECTED: &'static str = "true or false";

    fn from_value(value: &DeValue<'_>) -> Option<Self> {
        value.as_bool()
    }
}

/// A number or a word: the type of `memory_mb` and `igmp_version`.
#[derive(Clone, Debug)]
pub(super) enum NumberOrWord {
    Number(i64),
    Word(String),
}

impl core::fmt::Display for NumberOrWord {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Word(word) => write!(f, "{word:?}"),
        }
    }
}

impl FromValue for NumberOrWord {
    const EXPECTED: &'static str = "an integer or \"auto\"";

    fn from_value(value: &DeValue<'_>) -> Option<Self> {
        i64::from_value(value).map(Self::Number).or_else(|| value.as_str().map(|s| Self::Word(s.to_owned())))
    }
}

/// A word, or a list of words.
#[derive(Clone, Debug)]
pub(super) enum WordOrList {
    Word(String),
    List(Vec<At<String>>),
}

/// A key that is none of this program's: one of a service's own.
#[derive(Clone, Debug)]
pub(super) struct OwnKey {
    pub(super) key: String,
    pub(super) key_place: Place,
    pub(super) value: At<toml::Value>,
}

/// Reads one table, key by key, and knows which keys were asked for.
pub(super) struct TableReader<'t, 'p> {
    table: &'t DeTable<'t>,
    place: Place,
    asked: Vec<&'static str>,
    problems: &'p mut Problems,
}

impl<'t, 'p> TableReader<'t, 'p> {
    pub(super) fn new(table: &'t DeTable<'t>, place: Place, problems: &'p mut Problems) -> Self {
        Self { table, place, asked: Vec::new(), problems }
    }

    fn find(&mut self, key: &'static str) -> Option<(Place, &'t DeValue<'t>)> {
        self.asked.push(key);
        let value = self.table.get(key)?;
        Some((self.place.key(key, value.span().start), value.get_ref()))
    }

    fn wrong_type(&mut self, place: &Place, expected: &str, found: &DeValue<'_>) {
        let problem = format!("this is {}", type_name(found));
        self.problems.add(place, problem, format!("write {expected}"));
    }

    /// The value of `key`.
    pub(super) fn get<T: FromValue>(&mut self, key: &'static str) -> Option<At<T>> {
        let (place, value) = self.find(key)?;
        self.value(place, value)
    }

    fn value<T: FromValue>(&mut self, place: Place, value: &DeValue<'_>) -> Option<At<T>> {
        let read = T::from_value(value);
        if read.is_none() {
            self.wrong_type(&place, T::EXPECTED, value);
        }
        read.map(|value| At { value, place })
    }

    /// The value of `key`, one of a few words.
    pub(super) fn choice<T: Copy>(&mut self, key: &'static str, choices: &[(&str, T)]) -> Option<At<T>> {
        let At { value: word, place } = self.get::<String>(key)?;
        let found = choices.iter().find(|(name, _)| *name == word).map(|(_, value)| *value);
        if found.is_none() {
            let remedy = format!("use {}", one_of(choices.iter().map(|(name, _)| *name)));
            self.problems.add(&place, format!("{word:?} is not one of its values"), remedy);
        }
        found.map(|value| At { value, place })
    }

    /// The values of the array `key`.
    pub(super) fn list<T: FromValue>(&mut self, key: &'static str) -> Option<At<Vec<At<T>>>> {
        let (place, value) = self.find(key)?;
        let Some(array) = value.as_array() else {
            self.wrong_type(
                &place,
                &format!("a list, each element {}, as in {key} = [...]", T::EXPECTED),
                value,
            );
            return None;
        };
        let values = self.elements(&place, array);
        Some(At { value: values, place })
    }

    fn elements<T: FromValue>(&mut self, place: &Place, array: &[Spanned<DeValue<'_>>]) -> Vec<At<T>> {
        let read = |(i, element): (usize, &Spanned<DeValue<'_>>)| {
            self.value(place.index(i, element.span().start), element.get_ref())
        };
        array.iter().enumerate().filter_map(read).collect()
    }

    /// The value of `key`, one of a few `words` or a list of others.
    pub(super) fn word_or_list(&mut self, key: &'static str, words: &str) -> Option<At<WordOrList>> {
        let (place, value) = self.find(key)?;
        let value = match value {
            DeValue::String(word) => WordOrList::Word(word.clone().into_owned()),
            DeValue::Array(array) => WordOrList::List(self.elements(&place, array)),
            _ => {
                self.wrong_type(&place, &format!("{words} or a list, as in {key} = [...]"), value);
                return None;
            }
        };
        Some(At { value, place })
    }

    /// The table `key`, as in `[key]`.
    pub(super) fn table(&mut self, key: &'static str) -> Option<At<&'t DeTable<'t>>> {
        let (place, value) = self.find(key)?;
        let table = value.as_table();
        if table.is_none() {
            self.wrong_type(&place, &format!("a table, as in [{key}]"), value);
        }
        table.map(|value| At { value, place })
    }

    /// The tables `key`, as in `[[key]]`.
    pub(super) fn tables(&mut self, key: &'static str, written: &str) -> Vec<At<&'t DeTable<'t>>> {
        let Some((place, value)) = self.find(key) else { return Vec::new() };
        let Some(array) = value.as_array() else {
            self.wrong_type(&place, &format!("tables, as in {written}"), value);
            return Vec::new();
        };
        let mut tables = Vec::new();
        for (i, element) in array.iter().enumerate() {
            let place = place.index(i, element.span().start);
            match element.get_ref().as_table() {
                Some(value) => tables.push(At { value, place }),
                None => self.wrong_type(&place, &format!("a table, as in {written}"), element.get_ref()),
            }
        }
        tables
    }

    /// The number that `key` is, or else its tables, as in `written`.
    pub(super) fn number_or_tables(
        &mut self,
        key: &'static str,
        written: &str,
    ) -> Result<At<i64>, Vec<At<&'t DeTable<'t>>>> {
        let number = self.table.get(key).and_then(|value| i64::from_value(value.get_ref()));
        match number {
            Some(_) => self.get(key).ok_or_else(Vec::new),
            None => Err(self.tables(key, written)),
        }
    }

    /// Notes every key that was not asked for.
    pub(super) fn finish(self) {
        for key in self.table.keys().filter(|key| !self.asked.contains(&key.get_ref().as_ref())) {
            unknown_key(&self.place, key, &self.asked, self.problems);
        }
    }

    /// Hands out every key that was not asked for.
    pub(super) fn rest(self) -> Vec<OwnKey> {
        let mut rest = Vec::new();
        for (key, value) in self.table {
            let name = key.get_ref().as_ref();
            if self.asked.contains(&name) {
                continue;
            }
            let place = self.place.key(name, value.span().start);
            match toml::Value::deserialize(ValueDeserializer::from(value.clone())) {
                Ok(value) => rest.push(OwnKey {
                    key: name.to_owned(),
                    key_place: self.place.key(name, key.span().start),
                    value: At { value, place },
                }),
                Err(e) => {
                    self.problems.add(&place, e.message(), "write a value of TOML's, integers in 64 bits")
                }
            }
        }
        rest
    }
}

fn unknown_key(
    table: &Place,
    key: &Spanned<std::borrow::Cow<'_, str>>,
    known: &[&str],
    problems: &mut Problems,
) {
    let name = key.get_ref().as_ref();
    let meant = nearest(name, known.iter().copied());
    let remedy = did_you_mean(meant, || format!("the keys here are {}", known.join(", ")));
    problems.add(&table.key(name, key.span().start), "unknown key", remedy);
}

fn type_name(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
