//! Bounds untrusted text before it is kept: a report has many rows, and their text is repeated in every table and
//! answer made from them.
//!
//! A text that is too long keeps its start and a hash of the whole, so that two different texts stay different.

use crate::model::Text;
use std::borrow::Cow;

/// The longest DKIM selector: together with the domain it must fit into a DNS name (RFC 1035 section 2.3.4).
pub(super) const SELECTOR: usize = 253;
/// The longest keyword. Those of the standards have at most 17 letters.
pub(super) const WORD: usize = 64;
/// The longest name, address or ID of a reporter. Real IDs that include the domain and the period have up to 150 bytes.
pub(super) const NAME: usize = 512;

/// Free text (comments, human results) kept whole per report, in bytes: about 160 for each of 100,000 rows. Short texts
/// do not count.
const FREE_TEXT: usize = 16 << 20;
/// Free text up to this many bytes is always kept.
const SHORT: usize = 64;

/// Replaces the rest of a cut text: `~`, and half of a BLAKE3 hash of the whole, in hex.
const MARK: usize = 1 + 32;

/// The text itself if it is short enough, else its start and a hash.
pub(super) fn bounded(text: &str, most: usize) -> Cow<'_, str> {
    if text.len() <= most {
        return Cow::Borrowed(text);
    }
    let hash = blake3::hash(text.as_bytes()).to_hex();
    let start = &text[..text.floor_char_boundary(most.saturating_sub(MARK))];
    Cow::Owned(format!("{start}~{}", &hash[..MARK - 1]))
}

/// How much free text a report may still add.
#[derive(Debug)]
pub(super) struct FreeText {
    left: usize,
}

impl Default for FreeText {
    fn default() -> Self {
        Self { left: FREE_TEXT }
    }
}

impl FreeText {
    /// The text to keep, and whether it was cut.
    pub(super) fn keep(&mut self, text: &str) -> (Text, bool) {
        if text.len() <= SHORT {
            return (text.into(), false);
        }
        match self.left.checked_sub(text.len()) {
            Some(left) => {
                self.left = left;
                (text.into(), false)
            }
            None => (bounded(text, SHORT).into(), true),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_keeps_its_start_and_stays_different_from_others() {
        let (one, other) = ("a".repeat(300) + "1", "a".repeat(300) + "2");
        let (cut, different) = (bounded(&one, SELECTOR), bounded(&other, SELECTOR));
        assert_eq!(cut.len(), SELECTOR);
        assert!(cut.starts_with("aaaa") && cut != different);
        assert_eq!(cut, bounded(&one, SELECTOR), "the same each time");
        assert_eq!(bounded("short", WORD), "short");
        assert!(bounded(&"é".repeat(100), WORD).len() <= WORD, "cut between characters");
    }

    #[test]
    fn free_text_is_whole_until_a_report_brings_too_much_of_it() {
        let mut free = FreeText { left: 250 };
        let long = "x".repeat(100);
        let cut: Vec<bool> = (0..4).map(|_| free.keep(&long).1).collect();
        assert_eq!(cut, [false, false, true, true]);
        assert_eq!(free.keep("short"), ("short".into(), false));
        assert!(free.keep(&long).0.len() <= SHORT);
    }
}
