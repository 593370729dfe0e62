//! The page for a terminal: one screen to read, the tables below it. Fits 80 columns, uses more.

use crate::analyze::Summary;
use crate::present::page::summary::{DomainLine, Page, SenderLine, Tone, page};
use crate::present::wording::branding::Branding;
use crate::present::wording::clean::to_ascii;
use crate::present::wording::style::Style;
use crate::present::wording::words;
use comfy_table::{Cell, CellAlignment, ColumnConstraint, ContentArrangement, Table, presets};

/// From this width on a table of domains has its bars.
const WIDE: u16 = 100;

/// The text form. No line is wider than the style's width, but for a word that no line can hold.
pub fn text(summary: &Summary, branding: &Branding, style: &Style) -> String {
    let page = page(summary, branding);
    Writer::new(*style).page(&page)
}

/// Lays paragraphs, lists and tables out for a terminal.
pub(crate) struct Writer {
    style: Style,
    width: u16,
    lines: Vec<String>,
}

impl Writer {
    pub(crate) fn new(style: Style) -> Self {
        Self { style, width: style.width.clamp(80, 200), lines: Vec::new() }
    }

    fn page(mut self, page: &Page) -> String {
        if !page.brand.title.is_empty() {
            self.wrapped(&page.brand.title, "");
        }
        self.bold(&page.title);
        self.wrapped(&page.subtitle, "");
        if !page.answers.is_empty() {
            self.head("");
        }
        for answer in &page.answers {
            let (mark, color) = match answer.tone {
                Tone::Good => ("+", "32"),
                Tone::Bad => ("!", "31"),
                Tone::Plain => (" ", "0"),
            };
            let mark = self.paint(mark, color);
            let question = self.paint(answer.question, "1");
            self.lines.push(format!("{mark} {question}"));
            self.wrapped(&answer.text, "    ");
        }
        self.head("");
        page.numbers.iter().for_each(|line| self.wrapped(line, ""));
        self.actions(page);
        self.doubts(page);
        if !page.changes.is_empty() {
            self.head("WHAT CHANGED");
            page.changes.iter().for_each(|line| self.item("· ", line));
        }
        self.domains(page);
        self.senders(page);
        page.senders_note.iter().for_each(|line| self.wrapped(line, ""));
        self.head("DATA QUALITY");
        page.quality.iter().for_each(|line| self.item("· ", line));
        if !page.brand.footer.is_empty() {
            self.head("");
            self.wrapped(&page.brand.footer, "");
        }
        self.finish()
    }

    /// All that was laid out.
    pub(crate) fn finish(self) -> String {
        let text = self.lines.iter().map(|line| line.trim_end()).collect::<Vec<_>>().join("\n") + "\n";
        // ANSI sequences are ASCII but for the escape itself, which is put in after this.
        let text = if self.style.ascii { to_ascii(&text) } else { text };
        text.replace('\u{1}', "\u{1b}")
    }

    fn actions(&mut self, page: &Page) {
        if page.actions.is_empty() && page.actions_note.is_empty() {
            return;
        }
        self.head("WHAT TO DO");
        for (number, todo) in page.actions.iter().enumerate() {
            self.item(&format!("{}. ", number + 1), &format!("{}: {}", todo.domain, todo.change));
            self.wrapped(&format!("{}: {}", todo.cause, todo.evidence), "   ");
        }
        if !page.actions_note.is_empty() {
            self.wrapped(&page.actions_note, "");
        }
    }

    fn doubts(&mut self, page: &Page) {
        if page.doubts.is_empty() {
            return;
        }
        self.head("WHOSE ARE THEY?");
        for doubt in &page.doubts {
            self.item("· ", &doubt.text);
            // To be pasted: never wrapped.
            self.lines.extend(doubt.lines.iter().map(|line| format!("    {line}")));
        }
    }

    fn domains(&mut self, page: &Page) {
        if page.domains.is_empty() {
            return;
        }
        self.head(&format!("DOMAINS{}", legend(page, page.tabled && self.width < WIDE)));
        if page.tabled {
            let table = domains(page, self.width);
            self.lines.extend(table);
            self.lines.push(String::new());
            self.wrapped(&page.domains_note, "");
        }
        page.domains.iter().filter(|domain| domain.whole).for_each(|domain| self.domain(domain));
    }

    /// The figures of a sender in columns, who it is beside them, and why below.
    fn senders(&mut self, page: &Page) {
        if page.senders.is_empty() {
            return;
        }
        self.head("SENDERS, failing first");
        let mut figures = figures(page).into_iter();
        let head = figures.next().unwrap_or_default();
        let room = " ".repeat(head.chars().count());
        self.lines.push(format!("{head}Sender"));
        for (figures, sender) in figures.zip(&page.senders) {
            let name = if sender.name.is_empty() { String::new() } else { format!(" ({})", sender.name) };
            let domain = if page.many_domains { format!(" as {}", sender.domain) } else { String::new() };
            self.item_with(&figures, &room, &format!("{}{name}{domain}", sender.sender));
            let evidence = if sender.evidence.is_empty() { String::new() } else { format!(" ({})", sender.evidence) };
            self.wrapped(
                &format!("{}: {}{evidence}; {}, {}", sender.role, sender.cause, sender.reporters, sender.seen),
                "      ",
            );
        }
    }

    fn domain(&mut self, domain: &DomainLine) {
        let name = self.paint(&domain.domain, "1");
        let bars = if domain.bars.is_empty() { String::new() } else { format!("  {}", domain.bars) };
        self.lines.push(format!("{name}  {}{bars}", domain.policy));
        let usual = if domain.usual.is_empty() { String::new() } else { format!(" ({})", domain.usual) };
        self.wrapped(
            &format!("{}, {} pass{usual}; DKIM {}, SPF {}", domain.volume, domain.pass, domain.dkim, domain.spf),
            "  ",
        );
        self.wrapped(&words::capital(&domain.readiness), "  ");
        domain.details.iter().for_each(|line| self.item("  · ", line));
    }

    /// A line that stands out.
    pub(crate) fn bold(&mut self, text: &str) {
        let text = self.paint(text, "1");
        self.lines.push(text);
    }

    /// An empty line, and the head of what follows.
    pub(crate) fn head(&mut self, head: &str) {
        self.lines.push(String::new());
        if !head.is_empty() {
            let head = self.paint(head, "1");
            self.lines.push(head);
        }
    }

    /// A paragraph, each line led by an indent.
    pub(crate) fn wrapped(&mut self, text: &str, indent: &str) {
        self.item_with(indent, indent, text);
    }

    /// A paragraph whose first line has a mark, the others room for it.
    pub(crate) fn item(&mut self, mark: &str, text: &str) {
        let room = " ".repeat(mark.chars().count());
        self.item_with(mark, &room, text);
    }

    fn item_with(&mut self, first: &str, others: &str, text: &str) {
        let (mut line, mut length, mut empty) = (first.to_owned(), first.chars().count(), true);
        let (width, room) = (usize::from(self.width), usize::from(self.width).saturating_sub(others.chars().count()));
        for word in text.split(' ') {
            for (at, piece) in broken(word, room).into_iter().enumerate() {
                let more = piece.chars().count();
                if at > 0 || !empty && length + 1 + more > width {
                    self.lines.push(std::mem::replace(&mut line, others.to_owned()));
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
        self.lines.push(line);
    }

    fn paint(&self, text: &str, code: &str) -> String {
        if self.style.color && code != "0" { format!("\u{1}[{code}m{text}\u{1}[0m") } else { text.to_owned() }
    }
}

/// What the bars beside the domains are.
fn legend(page: &Page, bare: bool) -> String {
    let barred = |domain: &&DomainLine| (domain.whole || !bare) && !domain.bars.is_empty();
    let Some(domain) = page.domains.iter().find(barred) else { return String::new() };
    let points = &domain.trend.points;
    let weeks = points.iter().all(|point| point.label.contains("-W"));
    format!("  [messages of {} {}]", points.len(), if weeks { "weeks" } else { "periods" })
}

/// A table without lines between its cells, two blanks behind each.
fn table(head: &[&str], rows: impl Iterator<Item = Vec<String>>) -> Table {
    let mut table = Table::new();
    table.force_no_tty().load_style(presets::NOTHING);
    table.set_header(head.iter().map(Cell::new));
    table.add_rows(rows.map(|row| row.into_iter().map(Cell::new).collect::<Vec<_>>()));
    table.column_iter_mut().for_each(|column| {
        column.set_padding((0, 2));
    });
    table
}

/// Align figures, and leave them whole.
fn right(table: &mut Table, columns: std::ops::Range<usize>) {
    for column in table.column_iter_mut().skip(columns.start).take(columns.len()) {
        column.set_cell_alignment(CellAlignment::Right);
        column.set_constraint(ColumnConstraint::ContentWidth);
    }
}

/// A line for the head and one a sender, all equally long.
fn figures(page: &Page) -> Vec<String> {
    let row = |sender: &SenderLine| {
        [&sender.messages, &sender.pass, &sender.dkim, &sender.spf, &sender.other].map(String::clone).to_vec()
    };
    let mut table = table(&["Messages", "Pass", "DKIM", "SPF", "Other"], page.senders.iter().map(row));
    right(&mut table, 0..5);
    table.lines().collect()
}

/// A line a domain.
fn domains(page: &Page, width: u16) -> Vec<String> {
    let wide = width >= WIDE;
    let row = |domain: &DomainLine| {
        let mut row = vec![
            broken(&domain.domain, usize::from(width) / 3).join("\n"),
            domain.messages.clone(),
            domain.pass.clone(),
            domain.brief.clone(),
            domain.policy.clone(),
        ];
        row.extend(wide.then(|| domain.bars.clone()));
        row
    };
    let mut head = vec!["Domain", "Messages", "Pass", "Stricter?", "Policy"];
    head.extend(wide.then_some(""));
    let mut table = table(&head, page.domains.iter().map(row));
    table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    right(&mut table, 1..3);
    table.lines().collect()
}

/// A word in pieces that fit, broken where a reader would break it: never within a number or a label that fits.
fn broken(word: &str, room: usize) -> Vec<&str> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyze::{made::Line, weeks};

    #[test]
    fn an_eventful_week_reads_so() {
        insta::assert_snapshot!(text(&weeks::eventful().summary(), &Branding::default(), &Style::default()));
    }

    #[test]
    fn no_line_is_wider_than_the_terminal_nor_has_more_than_ascii_where_asked() {
        let summary = weeks::eventful().summary();
        for width in [80, 100, 140] {
            let text = text(&summary, &Branding::default(), &Style { width, ascii: true, color: false });
            assert!(text.is_ascii());
            for line in text.lines() {
                assert!(line.chars().count() <= usize::from(width), "{line}");
            }
        }
    }

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

    #[test]
    fn a_whole_ipv6_address_stays_on_one_line_of_eighty() {
        let mut world = weeks::World::new();
        let address = "2001:db8:1111:2222:3333:4444:5555:6666";
        world.add(0..7, |day| Line::new(day, address, 1000).unauthenticated());
        assert!(text(&world.summary(), &Branding::default(), &Style::default()).contains(address));
    }

    #[test]
    fn color_adds_nothing_but_color() {
        let summary = weeks::eventful().summary();
        let plain = text(&summary, &Branding::default(), &Style::default());
        let mut colored = text(&summary, &Branding::default(), &Style { color: true, ..Style::default() });
        assert!(colored.contains("\u{1b}[31m!"));
        for code in ["0", "1", "31", "32"] {
            colored = colored.replace(&format!("\u{1b}[{code}m"), "");
        }
        assert_eq!(colored, plain);
    }
}
