//! Reads a settings table key by key, and collects all errors with their lines.
//!
//! Serde would stop at the first error and word it for programmers.

use super::local_path::{NOT_A_URL, is_url};
use super::near::distance;
use super::syntax;
use anyhow::anyhow;
use jiff::civil::Date;
use std::cell::RefCell;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// State shared by all tables of a file.
struct File<'a> {
    name: &'a str,
    text: &'a str,
    faults: RefCell<Vec<(usize, anyhow::Error)>>,
}

impl File<'_> {
    /// Adds an error at a position in the text.
    fn fault(&self, place: usize, what: &str, hint: Option<String>) {
        let line = self.text.get(..place).map_or(1, |before| before.matches('\n').count() + 1);
        let error = anyhow!("{} line {line}: {what}", self.name);
        let error = hint.into_iter().fold(error, crate::cli::terminal::fault::Hint::hint);
        self.faults.borrow_mut().push((line, error));
    }
}

/// Reads a whole file with `read_root`; errors are in the order of their lines.
pub(super) fn read<T: Default>(
    text: &str,
    name: &str,
    read_root: impl FnOnce(&mut Section<'_>) -> T,
) -> (T, Vec<anyhow::Error>) {
    let file = File { name, text, faults: RefCell::default() };
    let (root, errors) = DeTable::parse_recoverable(text);
    for fault in syntax::explained(text, &errors) {
        file.fault(fault.place, &fault.what, fault.hint);
    }
    // After a syntax error, errors about values would be misleading.
    let value = if file.faults.borrow().is_empty() {
        let root = Section { file: &file, label: String::new(), place: 0, table: root.get_ref(), known: Vec::new() };
        root.read(read_root)
    } else {
        T::default()
    };
    let mut faults = file.faults.into_inner();
    faults.sort_by_key(|(line, _)| *line);
    (value, faults.into_iter().map(|(_, fault)| fault).collect())
}

/// A table being read.
pub(super) struct Section<'a> {
    file: &'a File<'a>,
    label: String,
    place: usize,
    table: &'a DeTable<'a>,
    known: Vec<&'static str>,
}

impl<'a> Section<'a> {
    /// Reads the table with `read`, and reports every unknown key as an error.
    fn read<T>(mut self, read: impl FnOnce(&mut Self) -> T) -> T {
        let value = read(&mut self);
        self.finish();
        value
    }

    /// Adds an error about the value of a key.
    pub(super) fn fault(&self, key: &str, what: &str) {
        self.fault_with(key, what, None);
    }

    /// Adds an error with a hint.
    pub(super) fn fault_with(&self, key: &str, what: &str, hint: Option<String>) {
        let place = self.table.get_key_value(key).map_or(self.place, |(name, _)| name.span().start);
        let separator = if self.label.is_empty() || key.is_empty() { "" } else { ": " };
        self.file.fault(place, &format!("{}{separator}{key}: {what}", self.label), hint);
    }

    /// Rejects a name that an earlier table has.
    pub(super) fn check_name<'n>(&self, name: &str, mut earlier: impl Iterator<Item = &'n String>) {
        if earlier.any(|earlier| earlier == name) {
            self.fault("name", &format!("expected a name of its own, found {name:?} twice"));
        }
    }

    fn take(&mut self, key: &'static str) -> Option<&'a DeValue<'a>> {
        self.known.push(key);
        self.table.get(key).map(Spanned::get_ref)
    }

    /// Whether the key exists, whatever its value.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Reads a text.
    pub(super) fn text(&mut self, key: &'static str) -> Option<&'a str> {
        match self.take(key)? {
            DeValue::String(text) if !text.trim().is_empty() => Some(text),
            other => {
                self.fault(key, &format!("expected text in quotes, found {}", show(other)));
                None
            }
        }
    }

    /// Reads a required text; its absence is an error.
    pub(super) fn needed_text(&mut self, key: &'static str, expected: &str) -> Option<&'a str> {
        if !self.has(key) {
            self.known.push(key);
            self.fault(key, &format!("expected {expected}, found no such key"));
            return None;
        }
        self.text(key)
    }

    /// Reads a path: `~/` is the home folder, and relative paths start at the settings file's folder.
    pub(super) fn path(&mut self, key: &'static str, folder: &Path) -> Option<PathBuf> {
        let text = self.text(key)?;
        if is_url(Path::new(text)) {
            self.fault(key, NOT_A_URL);
            return None;
        }
        Some(resolved(text, folder))
    }

    /// Reads a path or a list of paths.
    pub(super) fn paths(&mut self, key: &'static str, folder: &Path) -> Vec<PathBuf> {
        self.text_or_texts(key).iter().map(|text| resolved(text, folder)).collect()
    }

    /// Reads a nonempty list of texts.
    pub(super) fn texts(&mut self, key: &'static str) -> Option<Vec<String>> {
        let value = self.take(key)?;
        let texts: Option<Vec<String>> = value.as_array().and_then(|list| {
            list.iter()
                .map(|item| item.get_ref().as_str().filter(|text| !text.trim().is_empty()).map(str::to_owned))
                .collect()
        });
        let texts = texts.filter(|texts| !texts.is_empty());
        if texts.is_none() {
            self.fault(key, &format!("expected a list of texts, as [\"...\"], found {}", show(value)));
        }
        texts
    }

    /// Reads a text or a list of texts.
    pub(super) fn text_or_texts(&mut self, key: &'static str) -> Vec<String> {
        match self.table.get(key).map(Spanned::get_ref) {
            Some(DeValue::String(_)) => self.text(key).map(str::to_owned).into_iter().collect(),
            _ => self.texts(key).unwrap_or_default(),
        }
    }

    /// Reads a boolean.
    pub(super) fn flag(&mut self, key: &'static str) -> Option<bool> {
        let value = self.take(key)?;
        let flag = value.as_bool();
        if flag.is_none() {
            self.fault(key, &format!("expected true or false, found {}", show(value)));
        }
        flag
    }

    /// Reads a day, as a TOML date or text.
    pub(super) fn day(&mut self, key: &'static str) -> Option<Date> {
        let value = self.take(key)?;
        let text = match value {
            DeValue::String(text) => text.to_string(),
            DeValue::Datetime(day) => day.to_string(),
            _ => String::new(),
        };
        let day = text.parse().ok();
        if day.is_none() {
            self.fault(key, &format!("expected a date such as 2026-11-29, found {}", show(value)));
        }
        day
    }

    /// Reads a TCP port.
    pub(super) fn port(&mut self, key: &'static str) -> Option<u16> {
        self.bounded(key, "a port", 1..=u16::MAX.into()).and_then(|port| u16::try_from(port).ok())
    }

    /// Reads an integer within bounds.
    pub(super) fn number(&mut self, key: &'static str, bounds: RangeInclusive<u32>) -> Option<u32> {
        self.bounded(key, "a whole number", bounds)
    }

    fn bounded(&mut self, key: &'static str, what: &str, bounds: RangeInclusive<u32>) -> Option<u32> {
        let value = self.take(key)?;
        let number = value
            .as_integer()
            .and_then(|number| u32::from_str_radix(&number.as_str().replace('_', ""), number.radix()).ok())
            .filter(|number| bounds.contains(number));
        if number.is_none() {
            let (least, most) = (bounds.start(), bounds.end());
            self.fault(key, &format!("expected {what}, {least} to {most}, found {}", show(value)));
        }
        number
    }

    /// Reads one of several words.
    pub(super) fn choice<T: Clone>(&mut self, key: &'static str, words: &[(&str, T)]) -> Option<T> {
        let value = self.take(key)?;
        let chosen = value.as_str().and_then(|text| words.iter().find(|(word, _)| *word == text));
        if chosen.is_none() {
            let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            self.fault(key, &format!("expected {}, found {}", one_of(&words), show(value)));
        }
        chosen.map(|(_, choice)| choice.clone())
    }

    /// Rejects keys that are not allowed here.
    pub(super) fn refuse(&mut self, keys: &[&'static str], what: &str) {
        self.known.extend(keys);
        for key in keys.iter().filter(|key| self.has(key)) {
            self.fault(key, what);
        }
    }

    /// Reads a subtable with `read`.
    pub(super) fn table<T>(&mut self, key: &'static str, read: impl FnOnce(&mut Self) -> T) -> Option<T> {
        let value = self.take(key)?;
        let Some(table) = value.as_table() else {
            self.fault(key, &format!("expected a table, as [{key}], found {}", show(value)));
            return None;
        };
        Some(self.below(key, table).read(read))
    }

    /// Reads each table of an array with `read`. At the top of the file, messages number them.
    pub(super) fn tables(&mut self, key: &'static str, mut read: impl FnMut(&mut Self)) {
        let Some(value) = self.take(key) else { return };
        let tables = value.as_array().and_then(|list| {
            list.iter()
                .map(|item| item.get_ref().as_table().map(|table| (table, item.span())))
                .collect::<Option<Vec<_>>>()
        });
        let Some(tables) = tables else {
            self.fault(key, &format!("expected [[{key}]], with double brackets, found {}", show(value)));
            return;
        };
        for (number, (table, span)) in tables.into_iter().enumerate() {
            let mut below = Section { place: span.start, ..self.below(key, table) };
            if self.label.is_empty() {
                below.label = format!("{key} {}", number + 1);
            }
            below.read(&mut read);
        }
    }

    fn below(&self, key: &str, table: &'a DeTable<'a>) -> Section<'a> {
        let separator = if self.label.is_empty() { "" } else { ": " };
        let place = self.table.get_key_value(key).map_or(self.place, |(name, _)| name.span().start);
        Section { file: self.file, label: format!("{}{separator}{key}", self.label), place, table, known: Vec::new() }
    }

    fn finish(self) {
        for key in self.table.keys().map(|key| key.get_ref().as_ref()) {
            if self.known.contains(&key) {
                continue;
            }
            let hint = if matches!(key, "password" | "token" | "client_secret" | "refresh_token") {
                format!("secrets do not belong in the settings: use {key}_command, {key}_file or {key}_env")
            } else if let Some(near) =
                self.known.iter().min_by_key(|known| distance(known, key)).filter(|near| distance(near, key) <= 3)
            {
                format!("did you mean {near}?")
            } else {
                format!("the keys here are {}", self.known.join(", "))
            };
            self.fault_with(key, "unknown key", Some(hint));
        }
    }
}

/// Resolves a path: `~/` is the home folder, `$CREDENTIALS_DIRECTORY/` is systemd's folder for credentials, and other
/// relative paths start at `folder`.
fn resolved(text: &str, folder: &Path) -> PathBuf {
    if let Some(rest) = text.strip_prefix("$CREDENTIALS_DIRECTORY/") {
        // Outside of a service, the unchanged path makes the clearest error.
        return std::env::var_os("CREDENTIALS_DIRECTORY")
            .map_or_else(|| text.into(), |given| Path::new(&given).join(rest));
    }
    match (text.strip_prefix("~/"), std::env::var_os("HOME")) {
        (Some(rest), Some(home)) => Path::new(&home).join(rest),
        _ => folder.join(text),
    }
}

/// A value for a message.
fn show(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) if text.trim().is_empty() => "empty text".to_owned(),
        DeValue::String(text) => format!("{:?}", text.chars().take(60).collect::<String>()),
        DeValue::Integer(number) => format!("the number {number}"),
        DeValue::Array(list) if list.is_empty() => "an empty list".to_owned(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
        other => format!("a {}", other.type_str()),
    }
}

/// `a, b or c`.
fn one_of(words: &[&str]) -> String {
    match words {
        [rest @ .., last] if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => words.concat(),
    }
}
