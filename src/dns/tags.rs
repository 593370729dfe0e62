//! Tag lists, `name=value; name=value`, as DMARC records and DKIM keys are written (RFC 6376 section 3.2).
//!
//! [`Tags`] reads a record as receivers do; [`read_damaged`] reads what its author meant. Neither knows what a tag means.

/// One tag, trimmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tag {
    /// In lower case.
    pub(super) name: String,
    /// As written, without the white space around it.
    pub(super) value: String,
}

/// A tag list and how it was written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Tags {
    /// In order, the first of each name.
    pub(super) tags: Vec<Tag>,
    /// Names that occur more than once.
    pub(super) repeated: Vec<String>,
    /// Pieces between semicolons that are not tags.
    pub(super) pieces: Vec<String>,
}

impl Tags {
    /// Splits a record into tags. Nothing is an error here: `pieces` has what cannot be read.
    pub(super) fn parse(text: &str) -> Self {
        let mut list = Self::default();
        for piece in text.split(';').map(str::trim).filter(|piece| !piece.is_empty()) {
            match piece.split_once('=') {
                Some((name, value)) if is_name(name.trim()) => list.add(name.trim(), value.trim()),
                _ => list.pieces.push(piece.to_owned()),
            }
        }
        list
    }

    fn add(&mut self, name: &str, value: &str) {
        let name = name.to_ascii_lowercase();
        if self.get(&name).is_none() {
            self.tags.push(Tag { name, value: value.to_owned() });
        } else if !self.repeated.contains(&name) {
            self.repeated.push(name);
        }
    }

    /// The value of a tag.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.tags.iter().find(|tag| tag.name == name).map(|tag| tag.value.as_str())
    }

    /// Whether this tag comes first.
    pub(super) fn starts_with(&self, name: &str) -> bool {
        self.tags.first().is_some_and(|tag| tag.name == name)
    }
}

/// `ALPHA *(ALPHA / DIGIT / "_")`.
fn is_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.chars().all(|other| other.is_ascii_alphanumeric() || other == '_')
}

/// Characters around and between the tags of a damaged record: separators, and marks that belong to no value.
const DAMAGE: [char; 12] =
    [';', ',', '\\', '"', '\'', '\u{201c}', '\u{201d}', '\u{201e}', '\u{2018}', '\u{2019}', '\u{fffd}', '\t'];

fn is_damage(c: char) -> bool {
    c.is_whitespace() || DAMAGE.contains(&c)
}

/// The tags that a person would read in a possibly damaged record, every copy of each, and the rest. A tag begins after
/// a semicolon, and wherever one of these names and `=` follow white space, a comma, a quotation mark or a backslash.
pub(super) fn read_damaged(text: &str, names: &[&str]) -> (Vec<Tag>, Vec<String>) {
    let starts = |at: usize| {
        names.iter().any(|name| {
            let rest = &text[at..];
            rest.get(..name.len()).is_some_and(|head| head.eq_ignore_ascii_case(name))
                && rest[name.len()..].trim_start().starts_with('=')
        })
    };
    let mut pieces = Vec::new();
    let (mut begin, mut after_damage) = (0, true);
    for (at, c) in text.char_indices() {
        if c == ';' || (after_damage && starts(at)) {
            pieces.push(&text[begin..at]);
            begin = at;
        }
        after_damage = is_damage(c);
    }
    pieces.push(&text[begin..]);
    let (mut tags, mut junk) = (Vec::new(), Vec::new());
    for piece in pieces.into_iter().map(|piece| piece.trim_matches(is_damage)).filter(|piece| !piece.is_empty()) {
        match piece.split_once('=') {
            Some((name, value)) if is_name(name.trim()) => tags
                .push(Tag { name: name.trim().to_ascii_lowercase(), value: value.trim_matches(is_damage).to_owned() }),
            _ => junk.push(piece.to_owned()),
        }
    }
    (tags, junk)
}

/// Damage from a form, a shell or a word processor: quotation marks in the text, or a backslash before a semicolon.
pub(super) fn quoting_fault(text: &str) -> Option<&'static str> {
    if text.contains("\\;") {
        Some("there is a backslash before a semicolon")
    } else if text.contains(['\u{201c}', '\u{201d}', '\u{201e}', '\u{2018}', '\u{2019}', '\u{fffd}']) {
        Some("it contains typographic quotation marks or bytes that are not text")
    } else if text.contains('"') {
        Some("quotation marks are part of the text")
    } else if text.trim_start().starts_with('\'') {
        Some("it begins with an apostrophe")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_and_a_final_semicolon_do_not_matter() {
        let list = Tags::parse(" v = DMARC1 ;p=none; ; rua=mailto:a@example.com ;");
        let tags: Vec<_> = list.tags.iter().map(|tag| (tag.name.as_str(), tag.value.as_str())).collect();
        assert_eq!(tags, [("v", "DMARC1"), ("p", "none"), ("rua", "mailto:a@example.com")]);
        assert!(list.repeated.is_empty() && list.pieces.is_empty());
    }

    #[test]
    fn what_is_no_tag_is_kept_apart() {
        let list = Tags::parse("v=DMARC1; p none; p=none; p=reject; 1=2; k=a=b");
        assert_eq!(list.pieces, ["p none", "1=2"]);
        assert_eq!(list.repeated, ["p"]);
        assert_eq!(list.get("p"), Some("none"));
        assert_eq!(list.get("k"), Some("a=b"));
    }

    #[test]
    fn a_damaged_record_is_read_as_it_is_meant() {
        let read = |text: &str| {
            let (tags, junk) = read_damaged(text, &["v", "p", "rua"]);
            let tags: Vec<String> = tags.iter().map(|tag| format!("{}={}", tag.name, tag.value)).collect();
            (tags.join("|"), junk.join("|"))
        };
        let meant = "v=DMARC1|p=reject|rua=mailto:l'admin@example.com";
        for text in [
            "v=DMARC1; p=reject; rua=mailto:l'admin@example.com",
            "v=DMARC1 p=reject rua=mailto:l'admin@example.com",
            "v=DMARC1, p=reject, rua=mailto:l'admin@example.com,",
            "\"v=DMARC1; p=reject; rua=mailto:l'admin@example.com\"",
            "v=DMARC1\\; P = reject\\; rua=mailto:l'admin@example.com\\;",
            "\u{201c}v=DMARC1; p=\u{201c}reject\u{201d}; rua=mailto:l'admin@example.com\u{201d}",
        ] {
            assert_eq!(read(text), (meant.into(), String::new()), "{text}");
        }
        assert_eq!(read("v=DMARC1; strict; x=1; p=a=b"), ("v=DMARC1|x=1|p=a=b".into(), "strict".into()));
    }
}
