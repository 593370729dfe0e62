//! The record of MTA-STS and that of TLS reporting: one grammar under two versions (RFC 8461 section 3.1, RFC 8460 section 3).
//!
//! It is stricter than that of the tag lists of DMARC and DKIM ([`Tags`](crate::model::Tags)): senders ignore the whole record
//! if one field is invalid. Names are case-sensitive, and may begin with a digit and contain `-` and `.`.

use crate::dns::finding::{CheckCode, Notes};
use crate::dns::lookup::answer::{Lookup, QueryType};

/// Characters quoted of a text.
const QUOTED: usize = 60;

/// There is no record that senders can use; findings say why.
pub(super) struct Unusable;

/// How the record of a standard is written, and its mistakes.
pub(super) struct RecordKind {
    /// The text before its first semicolon.
    pub(super) version: &'static str,
    /// Words of which a text that is meant as such a record has one, in lower case.
    pub(super) words: &'static [&'static str],
    /// The field that holds its purpose: the ID of the policy, or where reports go.
    pub(super) field: &'static str,
    pub(super) near: &'static CheckCode,
    pub(super) several: &'static CheckCode,
    pub(super) syntax: &'static CheckCode,
}

impl RecordKind {
    /// The texts at a name that are meant as such a record, valid or not; `None` if they could not be looked up.
    pub(super) fn look_up(&self, lookup: &dyn Lookup, name: &str, notes: &mut Notes) -> Option<Vec<String>> {
        match lookup.texts(name).known() {
            Ok(texts) => {
                let texts = texts.unwrap_or_default();
                let trimmed = texts.iter().map(|text| text.trim().to_owned());
                Some(trimmed.filter(|text| self.is_meant(text)).collect())
            }
            Err(failure) => {
                notes.unknown(name, QueryType::Txt, &failure);
                None
            }
        }
    }

    fn is_meant(&self, text: &str) -> bool {
        let head: String = text.chars().take(40).collect::<String>().to_ascii_lowercase();
        // A wildcard record for something else stands at every name.
        let is_of_another = ["v=spf1", "v=dmarc1", "v=dkim1", "v=bimi1"].iter().any(|other| head.starts_with(other));
        self.words.iter().any(|word| head.contains(word)) && !is_of_another
    }

    /// The field of the only record that senders recognize, which may lack it. Without such a record, or with one that they
    /// cannot read, it is an error; `instead` is what to publish instead of one they do not recognize.
    pub(super) fn only<'a>(
        &self,
        name: &str,
        records: &'a [String],
        instead: impl Fn(&str) -> String,
        notes: &mut Notes,
    ) -> Result<Option<&'a str>, Unusable> {
        let place = format!("{name} TXT");
        let begins = |text: &&String| text.strip_prefix(self.version).is_some_and(|rest| rest.starts_with(';'));
        let (valid, others): (Vec<&String>, Vec<&String>) = records.iter().partition(begins);
        for text in others {
            notes.find(self.near, &place, format!("Publish {}: it reads `{}`.", instead(text), quoted(text)));
        }
        match valid.as_slice() {
            [] => Err(Unusable),
            [text] => self.field_of(text).map_err(|piece| {
                let text = format!("Remove or correct `{}`: it is not name=value.", quoted(piece));
                notes.find(self.syntax, &place, text);
                Unusable
            }),
            several => {
                notes.find(self.several, &place, format!("Keep one record at {name}: there are {}.", several.len()));
                Err(Unusable)
            }
        }
    }

    /// The value of the first such field, or the first piece that is no field.
    fn field_of<'a>(&self, text: &'a str) -> Result<Option<&'a str>, &'a str> {
        let mut found = None;
        for piece in text.split(';').skip(1).map(str::trim).filter(|piece| !piece.is_empty()) {
            match piece.split_once('=') {
                Some((name, value)) if name == self.field => found = found.or(Some(value)),
                Some((name, value)) if is_name(name) && !value.is_empty() => {}
                _ => return Err(piece),
            }
        }
        Ok(found)
    }
}

/// Whether a text can be the name of a field in a record, or in a policy (RFC 8461 section 3.2).
pub(super) fn is_name(text: &str) -> bool {
    (1..=32).contains(&text.len())
        && text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
}

/// As much of a text as a sentence holds.
pub(super) fn quoted(text: &str) -> String {
    let mut short: String = text.trim().chars().take(QUOTED).collect();
    if short.len() < text.trim().len() {
        short.push('…');
    }
    short
}
