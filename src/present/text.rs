//! The page for a terminal: one screen to read, the tables below it. Fits 80 columns, uses more.

use super::{
    Style,
    clean::to_ascii,
    page::{DomainLine, Page, SenderLine, Tone, Trend, page},
    words,
};
use crate::analyse::Summary;
use comfy_table::{Cell, CellAlignment, ColumnConstraint, ContentArrangement, Table, Width, presets};

/// From this width on the senders' table has all its columns.
const WIDE: u16 = 120;

/// The text form. No line is wider than the style's width, but for a word that no line can hold.
pub fn text(summary: &Summary, style: &Style) -> String {
    let page = page(summary);
    Writer::new(*style).page(&page)
}

/// Lays paragraphs, lists and tables out for a terminal.
pub(super) struct Writer {
    style: Style,
    width: u16,
    lines: Vec<String>,
}

impl Writer {
    pub(super) fn new(style: Style) -> Self {
        Self { style, width: style.width.clamp(80, 200), lines: Vec::new() }
    }

    fn page(mut self, page: &Page) -> String {
        self.bold(&page.title);
        self.wrapped(&page.subtitle, "");
        self.head("");
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
        if !page.changes.is_empty() {
            self.head("WHAT CHANGED");
            page.changes.iter().for_each(|line| self.item("· ", line));
        }
        if !page.domains.is_empty() {
            self.head(&format!("DOMAINS{}", legend(page)));
            page.domains.iter().for_each(|domain| self.domain(domain));
        }
        if !page.senders.is_empty() {
            self.head("SENDERS, failing first");
            let table = senders(page, self.width);
            self.lines.extend(table);
        }
        page.senders_note.iter().for_each(|line| self.wrapped(line, ""));
        self.head("DATA QUALITY");
        page.quality.iter().for_each(|line| self.item("· ", line));
        self.finish()
    }

    /// All that was laid out.
    pub(super) fn finish(self) -> String {
        let text = self.lines.iter().map(|line| line.trim_end()).collect::<Vec<_>>().join("\n") + "\n";
        // ANSI sequences are ASCII but for the escape itself, which is put in after this.
        let text = if self.style.ascii { to_ascii(&text) } else { text };
        text.replace('\u{1}', "\u{1b}")
    }

    fn actions(&mut self, page: &Page) {
        if page.actions.is_empty() {
            return;
        }
        self.head("WHAT TO DO");
        for (number, todo) in page.actions.iter().enumerate() {
            self.item(&format!("{}. ", number + 1), &format!("{}: {}", todo.domain, todo.change));
            self.wrapped(&format!("{}: {}", todo.cause, todo.evidence), "   ");
        }
    }

    fn domain(&mut self, domain: &DomainLine) {
        let spark = sparkline(&domain.trend);
        let name = self.paint(&domain.domain, "1");
        let spark = if spark.is_empty() { spark } else { format!("  {spark}") };
        self.lines.push(format!("{name}  {}{spark}", domain.policy));
        let usual = if domain.usual.is_empty() { String::new() } else { format!(" ({})", domain.usual) };
        self.wrapped(
            &format!(
                "{} messages, {} pass{usual}; DKIM {}, SPF {}",
                domain.messages, domain.pass, domain.dkim, domain.spf
            ),
            "  ",
        );
        self.wrapped(&words::capital(&domain.readiness), "  ");
        domain.details.iter().for_each(|line| self.item("  · ", line));
    }

    /// A line that stands out.
    pub(super) fn bold(&mut self, text: &str) {
        let text = self.paint(text, "1");
        self.lines.push(text);
    }

    /// An empty line, and the head of what follows.
    pub(super) fn head(&mut self, head: &str) {
        self.lines.push(String::new());
        if !head.is_empty() {
            let head = self.paint(head, "1");
            self.lines.push(head);
        }
    }

    /// A paragraph, each line led by an indent.
    pub(super) fn wrapped(&mut self, text: &str, indent: &str) {
        self.item_with(indent, indent, text);
    }

    /// A paragraph whose first line has a mark, the others room for it.
    pub(super) fn item(&mut self, mark: &str, text: &str) {
        let room = " ".repeat(mark.chars().count());
        self.item_with(mark, &room, text);
    }

    fn item_with(&mut self, first: &str, others: &str, text: &str) {
        let mut line = first.to_owned();
        let mut empty = true;
        for word in text.split(' ') {
            if !empty && line.chars().count() + 1 + word.chars().count() > usize::from(self.width) {
                self.lines.push(std::mem::replace(&mut line, others.to_owned()));
                empty = true;
            }
            if !empty {
                line.push(' ');
            }
            line.push_str(word);
            empty = false;
        }
        self.lines.push(line);
    }

    fn paint(&self, text: &str, code: &str) -> String {
        if self.style.color && code != "0" { format!("\u{1}[{code}m{text}\u{1}[0m") } else { text.to_owned() }
    }
}

/// What the bars beside the domains are.
fn legend(page: &Page) -> String {
    let Some(domain) = page.domains.iter().find(|domain| !sparkline(&domain.trend).is_empty()) else {
        return String::new();
    };
    let points = &domain.trend.points;
    let weeks = points.iter().all(|point| point.label.contains("-W"));
    format!("  [messages of {} {}]", points.len(), if weeks { "weeks" } else { "periods" })
}

/// Eight bars: the messages of each period against the largest.
fn sparkline(trend: &Trend) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let most = trend.points.iter().map(|point| point.messages).max().unwrap_or(0);
    if most == 0 || trend.points.len() < 2 {
        return String::new();
    }
    let bar = |messages: u64| {
        let height = (u128::from(messages) * 7).div_ceil(u128::from(most));
        if messages == 0 { ' ' } else { BARS[usize::try_from(height).unwrap_or(7)] }
    };
    format!("[{}]", trend.points.iter().map(|point| bar(point.messages)).collect::<String>())
}

fn senders(page: &Page, width: u16) -> Vec<String> {
    let wide = width >= WIDE;
    let mut table = Table::new();
    table.force_no_tty().load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(width);
    let mut head = vec!["Sender", "Messages", "Pass", "DKIM", "SPF"];
    if wide {
        head.extend(["As other", "Reporters", "Seen"]);
    }
    head.push("What it is, and why");
    let last = head.len() - 1;
    table.set_header(head.into_iter().map(Cell::new).collect::<Vec<_>>());
    for sender in &page.senders {
        table.add_row(row(sender, wide, page.many_domains));
    }
    for at in 1..last {
        if let Some(column) = table.column_mut(at) {
            column.set_cell_alignment(if at == 7 { CellAlignment::Left } else { CellAlignment::Right });
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
    if let Some(column) = table.column_mut(0) {
        // A space on each side.
        let bound = u16::try_from(sender_room(wide) + 2).unwrap_or(u16::MAX);
        column.set_constraint(ColumnConstraint::UpperBoundary(Width::Fixed(bound)));
    }
    table.lines().collect()
}

/// How many characters the senders' column holds: a network of IPv6 at least.
const fn sender_room(wide: bool) -> usize {
    if wide { 40 } else { 24 }
}

/// A name in lines that fit, broken where a reader would break it: never within a number or a label that fits.
fn broken(name: &str, room: usize) -> String {
    let (mut lines, mut line) = (Vec::new(), String::new());
    for piece in name.split_inclusive([' ', ':', '.', '-']) {
        if !line.is_empty() && line.chars().count() + piece.trim_end().chars().count() > room {
            lines.push(std::mem::take(&mut line));
        }
        line.push_str(piece);
    }
    lines.push(line);
    lines.iter().map(|line| line.trim_end()).collect::<Vec<_>>().join("\n")
}

fn row(sender: &SenderLine, wide: bool, many_domains: bool) -> Vec<Cell> {
    let room = sender_room(wide);
    let mut who = broken(&sender.sender, room);
    if !sender.name.is_empty() {
        who = format!("{who}\n{}", broken(&sender.name, room));
    }
    if many_domains {
        who = format!("{who}\n{}", broken(&format!("as {}", sender.domain), room));
    }
    let mut cells = vec![who, sender.messages.clone(), sender.pass.clone(), sender.dkim.clone(), sender.spf.clone()];
    if wide {
        cells.extend([sender.other.clone(), sender.reporters.clone(), sender.seen.clone()]);
    }
    let evidence = if sender.evidence.is_empty() || !wide { String::new() } else { format!(" ({})", sender.evidence) };
    cells.push(format!("{}: {}{evidence}", sender.role, sender.cause));
    cells.into_iter().map(Cell::new).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyse::weeks;

    #[test]
    fn an_eventful_week_reads_so() {
        insta::assert_snapshot!(text(&weeks::eventful().summary(), &Style::default()));
    }

    #[test]
    fn no_line_is_wider_than_the_terminal_nor_has_more_than_ascii_where_asked() {
        let summary = weeks::eventful().summary();
        for width in [80, 100, 140] {
            let text = text(&summary, &Style { width, ascii: true, color: false });
            assert!(text.is_ascii());
            for line in text.lines() {
                assert!(line.chars().count() <= usize::from(width), "{line}");
            }
        }
    }

    #[test]
    fn long_names_break_where_a_reader_would_break_them() {
        for (name, lines) in [
            ("2001:1db8:1111:2222::/64 (3)", "2001:1db8:1111:2222::/64\n(3)"),
            ("2001:db8:1111:2222:3333:4444:5555:6666", "2001:db8:1111:2222:3333:\n4444:5555:6666"),
            ("as billing.customers.example.com", "as billing.customers.\nexample.com"),
            ("192.0.2.0/24 (12)", "192.0.2.0/24 (12)"),
        ] {
            assert_eq!(broken(name, sender_room(false)), lines);
        }
    }

    #[test]
    fn colour_adds_nothing_but_colour() {
        let summary = weeks::eventful().summary();
        let plain = text(&summary, &Style::default());
        let mut colored = text(&summary, &Style { color: true, ..Style::default() });
        assert!(colored.contains("\u{1b}[31m!"));
        for code in ["0", "1", "31", "32"] {
            colored = colored.replace(&format!("\u{1b}[{code}m"), "");
        }
        assert_eq!(colored, plain);
    }
}
