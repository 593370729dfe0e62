//! Reads tag lists of damaged records as their authors meant them, and says what the damage is.
//! [`Tags`](crate::model::Tags) reads a record as receivers do.

use crate::model::{Tag, is_tag_name};

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
            Some((name, value)) if is_tag_name(name.trim()) => tags
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
