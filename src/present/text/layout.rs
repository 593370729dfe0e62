//! Lays out paragraphs, lists and headings for a terminal, and lines that are never wrapped.

#[cfg(feature = "dns")]
use crate::present::wording::clean::is_shown;
use crate::present::wording::clean::to_ascii;
use crate::present::wording::style::Style;

/// Paragraphs, lists and headings that fit the width of a terminal. No line is wider, except for words that do not fit.
pub(crate) struct TextLayout {
    pub(super) style: Style,
    pub(super) width: usize,
    lines: Vec<String>,
}

impl TextLayout {
    pub(crate) fn new(style: Style) -> Self {
        // `--width` is within these bounds; a terminal may not be.
        Self { style, width: style.width.clamp(80, 200).into(), lines: Vec::new() }
    }

    /// The complete text.
    pub(crate) fn finish(self) -> String {
        let text = self.lines.iter().map(|line| line.trim_end()).collect::<Vec<_>>().join("\n") + "\n";
        if self.style.ascii { to_ascii(&text) } else { text }
    }

    /// A line as it is, however wide.
    pub(super) fn line(&mut self, line: impl Into<String>) {
        self.lines.push(line.into());
    }

    /// An empty line.
    pub(crate) fn blank(&mut self) {
        self.line("");
    }

    /// A bold line.
    pub(crate) fn bold(&mut self, text: &str) {
        self.line(self.paint(text, "1"));
    }

    /// An empty line and a heading.
    pub(crate) fn head(&mut self, head: &str) {
        self.blank();
        self.bold(head);
    }

    /// An empty line, and a heading with those of columns at its right end.
    pub(super) fn head_of_columns(&mut self, head: &str, columns: &str) {
        let gap = self.width.saturating_sub(head.len() + columns.len());
        self.blank();
        self.line(format!("{}{:gap$}{columns}", self.paint(head, "1"), ""));
    }

    /// An indented paragraph.
    pub(crate) fn wrapped(&mut self, text: &str, indent: &str) {
        self.item_with(indent, indent, text);
    }

    /// A paragraph with a mark on the first line and the others indented.
    pub(crate) fn item(&mut self, mark: &str, text: &str) {
        let room = " ".repeat(mark.chars().count());
        self.item_with(mark, &room, text);
    }

    /// A paragraph that begins with `first`, and its other lines with `others`.
    pub(super) fn item_with(&mut self, first: &str, others: &str, text: &str) {
        self.narrow(first, others, text, self.width);
    }

    /// The same in the left `room` columns, with another text at the right of the first line.
    pub(super) fn item_beside(&mut self, first: &str, others: &str, text: &str, (room, right): (usize, &str)) {
        let at = self.lines.len();
        self.narrow(first, others, text, room);
        let line = &mut self.lines[at];
        let gap = (room + 2).saturating_sub(columns(line));
        *line = format!("{line}{:gap$}{right}", "");
    }

    fn narrow(&mut self, first: &str, others: &str, text: &str, width: usize) {
        let indent = columns(first);
        let (mut line, mut length, mut empty) = (first.to_owned(), indent, true);
        let room = width.saturating_sub(others.chars().count());
        for word in text.split(' ') {
            for (at, piece) in broken(word, room).into_iter().enumerate() {
                let more = piece.chars().count();
                if at > 0 || !empty && length + 1 + more > width {
                    self.line(std::mem::replace(&mut line, others.to_owned()));
                    (length, empty) = (others.chars().count(), true);
                }
                if !empty {
                    line.push(' ');
                    length += 1;
                }
                line.push_str(piece);
                (length, empty) = (length + more, false);
            }
        }
        self.line(line);
    }

    /// The text in a color or another rendition, by its code; 0 is none.
    pub(super) fn paint(&self, text: &str, code: &str) -> String {
        if self.style.color && code != "0" { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// The width of a text in columns, without escapes.
fn columns(text: &str) -> usize {
    let mut inside = false;
    let seen = text.chars().filter(|char| {
        inside |= *char == '\u{1b}';
        let counts = !inside;
        inside &= *char != 'm';
        counts
    });
    seen.count()
}

/// Splits a word into pieces that fit, at natural places: never within a number or a label that fits.
pub(super) fn broken(word: &str, room: usize) -> Vec<&str> {
    let (mut pieces, mut start, mut length, mut at) = (Vec::new(), 0, 0, 0);
    for part in word.split_inclusive([':', '.', '-']) {
        let more = part.chars().count();
        if length > 0 && length + more > room {
            pieces.push(&word[start..at]);
            (start, length) = (at, 0);
        }
        (length, at) = (length + more, at + part.len());
    }
    pieces.push(&word[start..]);
    pieces
}

/// A heading after an empty line, in text of any width.
#[cfg(feature = "dns")]
pub(super) fn section(text: &mut String, name: &str) {
    text.extend(["\n", name, "\n"]);
}

/// One line of such text, indented, with characters that must not be shown replaced: records contain untrusted text.
#[cfg(feature = "dns")]
pub(super) fn line(text: &mut String, depth: usize, words: &str) {
    text.extend(std::iter::repeat_n("  ", depth));
    let ends = words.ends_with('\n');
    text.extend(words.trim_end_matches('\n').chars().map(|char| if is_shown(char) { char } else { '\u{fffd}' }));
    text.push_str(if ends { "\n\n" } else { "\n" });
}

#[cfg(test)]
mod tests {
    use super::broken;

    #[test]
    fn long_words_break_where_a_reader_would_break_them() {
        for (word, pieces) in [
            ("2001:db8:1111:2222:3333:4444:5555:6666", &["2001:db8:1111:2222:3333:", "4444:5555:6666"][..]),
            ("billing.customers.example.com", &["billing.customers.", "example.com"]),
            ("192.0.2.0/24", &["192.0.2.0/24"]),
            ("", &[""]),
        ] {
            assert_eq!(broken(word, 24), pieces);
        }
    }
}
