//! Cleans untrusted text for display: from [`Foreign`] to [`Clean`], the only form of it that can be printed. Escaping
//! markup and formulas is up to each format's writer.

use crate::analyze::Foreign;
use std::fmt;

/// Text without control characters, without characters that are invisible or change the direction of text, and of
/// bounded length. Made from [`Foreign`] text, or from our own words.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Clean(String);

impl Clean {
    /// Maximum length in characters of displayed untrusted text.
    pub(crate) const LONGEST: usize = 100;

    /// Cleans untrusted text: replaces characters that must not be shown by U+FFFD, and cuts long text in the middle.
    pub fn new(text: &Foreign) -> Self {
        let shown: String =
            text.as_written().trim().chars().map(|char| if is_shown(char) { char } else { '\u{fffd}' }).collect();
        let length = shown.chars().count();
        if length <= Self::LONGEST {
            return Self(shown);
        }
        let head = shown.chars().take(Self::LONGEST / 2);
        let tail = shown.chars().skip(length - Self::LONGEST / 2 + 1);
        Self(head.chain(['…']).chain(tail).collect())
    }
}

impl fmt::Display for Clean {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Whether a character may be shown: not control characters (C0, DEL, C1), line or paragraph separators, bidi controls,
/// joiners, zero-width characters, or private-use and unassigned tags and selectors.
pub(crate) fn is_shown(char: char) -> bool {
    !char.is_control()
        && !matches!(char,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{e000}'..='\u{f8ff}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}' | '\u{e0000}'..='\u{e0fff}')
}

/// The nearest ASCII of text that may contain our typographic characters.
pub(crate) fn to_ascii(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            _ if char.is_ascii() => plain.push(char),
            '…' => plain.push_str("..."),
            '–' | '—' | '−' | '─' | '▃' | '▄' => plain.push('-'),
            '·' | '•' => plain.push('*'),
            '→' => plain.push_str("->"),
            '≥' => plain.push_str(">="),
            '✓' => plain.push('+'),
            '✗' => plain.push('x'),
            '▁' | '▂' => plain.push('_'),
            '▅' | '▆' => plain.push('='),
            '▇' | '█' => plain.push('#'),
            '\u{a0}' | '\u{202f}' | '\u{2009}' => plain.push(' '),
            _ => plain.push('?'),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clean(text: &str) -> String {
        Clean::new(&Foreign::from(text)).to_string()
    }

    #[test]
    fn ordinary_text_of_any_script_stays() {
        for text in ["google.com", "Yahoo! Inc.", "Prüfstelle Süd", "日本語", "xn--bcher-kva.example"] {
            assert_eq!(clean(text), text);
        }
    }

    #[test]
    fn escapes_and_line_breaks_cannot_steer_a_terminal() {
        assert_eq!(
            clean("a\u{1b}[31mred\u{7}\r\nb\u{9b}2J\u{7f}"),
            "a\u{fffd}[31mred\u{fffd}\u{fffd}\u{fffd}b\u{fffd}2J\u{fffd}"
        );
    }

    #[test]
    fn no_character_is_invisible_or_changes_the_direction_of_text() {
        for hidden in
            ["\u{202e}", "\u{2066}", "\u{200b}", "\u{feff}", "\u{2028}", "\u{ad}", "\u{e0041}", "\u{61c}", "\u{fe0f}"]
        {
            assert_eq!(clean(&format!("a{hidden}b")), "a\u{fffd}b");
        }
    }

    #[test]
    fn a_long_text_is_cut_in_the_middle_so_that_its_end_is_seen() {
        let cut = clean(&format!("{}example.com", "x".repeat(9000)));
        assert_eq!(cut.chars().count(), Clean::LONGEST);
        assert!(cut.starts_with("xxx") && cut.contains('…') && cut.ends_with("example.com"));
    }

    #[test]
    fn every_symbol_has_a_plain_form_in_ascii() {
        assert_eq!(to_ascii("97.2 % · a → b … ▁▄█ ü"), "97.2 % * a -> b ... _-# ?");
    }
}
