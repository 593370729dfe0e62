//! `dmarquet.toml(5)`: the manual page of the settings file, generated from docs/settings.md.
//!
//! Supports the parts of Markdown used there: headings, paragraphs, lists, tables, code, links.

use std::fmt::Write as _;

const REFERENCE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/settings.md"));

/// The page as roff.
pub(super) fn page() -> String {
    let version = env!("CARGO_PKG_VERSION");
    let mut page = ManualPage::default();
    page.line(&format!(".TH dmarquet.toml 5 \"\" \"dmarquet {version}\" \"File formats\""));
    page.line(".SH NAME");
    page.line("dmarquet.toml \\- the settings of dmarquet");
    page.line(".SH DESCRIPTION");
    // The first line is the title.
    REFERENCE.lines().skip(1).for_each(|line| page.take(line));
    page.end();
    page.line(".SH SEE ALSO");
    page.line("\\fBdmarquet\\fR(1), \\fBdmarquet\\-config\\fR(1)");
    page.out
}

/// The open block.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Block {
    #[default]
    None,
    Paragraph,
    Item,
    /// A table before its first row.
    Head,
    Rows,
    Code,
}

#[derive(Debug, Default)]
struct ManualPage {
    out: String,
    block: Block,
    /// The text so far of the open paragraph or list item.
    text: String,
    /// Whether the table has a column of defaults.
    defaults: bool,
}

impl ManualPage {
    fn line(&mut self, line: &str) {
        self.out.push_str(line);
        self.out.push('\n');
    }

    /// Closes the open block.
    fn end(&mut self) {
        let text = inline(&std::mem::take(&mut self.text));
        match self.block {
            Block::Paragraph => self.line(&format!(".PP\n{text}")),
            Block::Item => self.line(&format!(".IP \\(bu 2\n{text}")),
            _ => {}
        }
        self.block = Block::None;
    }

    fn take(&mut self, line: &str) {
        if self.block == Block::Code {
            if line.starts_with("```") {
                self.line(".fi\n.RE");
                self.block = Block::None;
            } else {
                self.line(&literal(line));
            }
            return;
        }
        let heading = [("## ", ".SH"), ("### ", ".SS")].iter().find_map(|(mark, macro_name)| {
            line.strip_prefix(mark).map(|text| format!("{macro_name} \"{}\"", literal(&text.replace('`', ""))))
        });
        if let Some(heading) = heading {
            self.end();
            self.line(&heading);
        } else if line.starts_with("```") {
            self.end();
            self.line(".PP\n.RS 4\n.nf");
            self.block = Block::Code;
        } else if line.is_empty() {
            self.end();
        } else if let Some(row) = line.strip_prefix('|') {
            self.row(row.trim_end().trim_end_matches('|'));
        } else if let Some(item) = line.strip_prefix("- ") {
            self.end();
            self.block = Block::Item;
            self.text.push_str(item);
        } else {
            if self.block == Block::None {
                self.block = Block::Paragraph;
            }
            if !self.text.is_empty() {
                self.text.push(' ');
            }
            self.text.push_str(line.trim_start());
        }
    }

    fn row(&mut self, row: &str) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        match self.block {
            Block::Head if row.starts_with("---") => self.block = Block::Rows,
            Block::Rows => {
                let (key, meaning) = (inline(cells[0]), inline(cells.last().copied().unwrap_or_default()));
                let default = cells.get(1).filter(|default| self.defaults && !default.is_empty());
                let default = default
                    .map(|default| format!("Default: {}.", inline(default)).replace("Default: required.", "Required."));
                self.line(&format!(".TP\n{key}"));
                let lines: Vec<String> = [meaning].into_iter().filter(|text| !text.is_empty()).chain(default).collect();
                self.line(&if lines.is_empty() { "\\&".to_owned() } else { lines.join("\n.br\n") });
            }
            _ => {
                self.end();
                self.defaults = cells.len() > 2;
                self.block = Block::Head;
            }
        }
    }
}

/// Inline text: code in bold, links replaced by their text.
fn inline(text: &str) -> String {
    let mut out = String::new();
    for (number, piece) in text.split('`').enumerate() {
        if number % 2 == 1 {
            // Writing to a `String` cannot fail.
            let _ = write!(out, "\\fB{}\\fR", escaped(piece));
            continue;
        }
        let mut rest = piece;
        // [text](target): readers of the page cannot follow the target.
        while let Some((before, after)) = rest.split_once("](") {
            let (before, label) = before.rsplit_once('[').unwrap_or((before, ""));
            out.push_str(&escaped(before));
            out.push_str(&escaped(label));
            rest = after.split_once(')').map_or("", |(_, after)| after);
        }
        out.push_str(&escaped(rest));
    }
    guarded(out)
}

/// Escapes a literal line.
fn literal(text: &str) -> String {
    guarded(escaped(text))
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\e").replace('-', "\\-").replace('"', "\\(dq")
}

/// A line starting with a dot would be a roff request.
fn guarded(text: String) -> String {
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::{ManualPage, page};

    fn made(text: &str) -> String {
        let mut page = ManualPage::default();
        text.lines().for_each(|line| page.take(line));
        page.end();
        page.out
    }

    #[test]
    fn every_form_of_the_reference_has_its_form_in_roff() {
        let text = "## `[x]`, y\n\nOne [two](three.md)\n`four-five`.\n\n- item\n  more\n\n| key | default | meaning |\n|---|---|---|\n\
                    | `a` | `1` | what |\n| `b` | required | |\n\n```toml\n.a = \"\\\\n\"\n```\n";
        let expected = ".SH \"[x], y\"\n.PP\nOne two \\fBfour\\-five\\fR.\n.IP \\(bu 2\nitem more\n.TP\n\\fBa\\fR\nwhat\n.br\n\
                        Default: \\fB1\\fR.\n.TP\n\\fBb\\fR\nRequired.\n.PP\n.RS 4\n.nf\n\\&.a = \\(dq\\e\\en\\(dq\n.fi\n.RE\n";
        assert_eq!(made(text), expected);
    }

    #[test]
    fn the_page_holds_every_key_of_the_reference_and_no_markdown() {
        let page = page();
        for key in ["store", "protocol", "after", "client_id", "sendmail"] {
            assert!(page.contains(&format!("\\fB{key}\\fR")), "{key}");
        }
        let text = page.lines().filter(|line| !line.starts_with('.'));
        assert!(text.clone().all(|line| !line.starts_with('#') && !line.starts_with("| ") && !line.contains("](")));
    }
}
