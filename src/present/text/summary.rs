//! The page for a terminal: state and actions on the first screen, reasons and tables below. Fits 80 columns, uses
//! more.

use crate::analyze::Summary;
use crate::present::page::shared::Mark;
use crate::present::page::summary::{Page, page};
use crate::present::page::{DomainLine, SenderLine, Tile};
use crate::present::wording::branding::Branding;
use crate::present::wording::clean::to_ascii;
use crate::present::wording::style::Style;

/// Maximum number of actions on the first screen.
const FIRST: usize = 5;

/// Columns of a tile's label.
const LABEL: usize = 16;

/// Columns of a tile's number.
const NUMBER: usize = 7;

/// The text. No line is wider than the style's width, except for words that do not fit.
pub fn text(summary: &Summary, branding: &Branding, style: &Style) -> String {
    let page = page(summary, branding);
    TextLayout::new(*style).page(&page)
}

/// Lays out paragraphs, lists and tables for a terminal.
pub(crate) struct TextLayout {
    style: Style,
    width: u16,
    lines: Vec<String>,
}

impl TextLayout {
    pub(crate) fn new(style: Style) -> Self {
        // `--width` is within these bounds; a terminal may not be.
        Self { style, width: style.width.clamp(80, 200), lines: Vec::new() }
    }

    fn page(mut self, page: &Page) -> String {
        if !page.brand.title.is_empty() {
            self.wrapped(&page.brand.title, "");
        }
        let title = if page.days.is_empty() { page.title.clone() } else { format!("{}: {}", page.title, page.days) };
        self.bold(&title);
        self.wrapped(&page.reports, "");
        self.head("");
        // The first action is shown below.
        let lead: Vec<&str> =
            page.lead.iter().map(String::as_str).filter(|line| !line.starts_with("First: ")).collect();
        self.wrapped(&lead.join(" "), "");
        if !page.tiles.is_empty() {
            self.head("");
        }
        page.tiles.iter().for_each(|tile| self.tile(tile));
        self.orders(page);
        self.reasons(page);
        self.doubts(page);
        self.changes(page);
        self.domains(page);
        self.tls(page);
        self.senders(page);
        self.head("DATA QUALITY");
        page.quality.iter().for_each(|line| self.item("· ", line));
        if !page.tiles.is_empty() {
            self.head("");
            self.wrapped(&format!("The records behind a source: {}", page.explain), "");
        }
        if !page.brand.footer.is_empty() {
            self.head("");
            self.wrapped(&page.brand.footer, "");
        }
        self.finish()
    }

    /// The complete text.
    pub(crate) fn finish(self) -> String {
        let text = self.lines.iter().map(|line| line.trim_end()).collect::<Vec<_>>().join("\n") + "\n";
        // ANSI sequences are ASCII except for the escape character, which is inserted afterwards.
        let text = if self.style.ascii { to_ascii(&text) } else { text };
        text.replace('\u{1}', "\u{1b}")
    }

    /// A number with its meaning, and a chart at the end of the line if there is room.
    fn tile(&mut self, tile: &Tile) {
        let room = " ".repeat(2 + LABEL + 1 + NUMBER + 2);
        let number = if tile.wordy { "" } else { tile.number.as_str() };
        let first = format!("  {:<LABEL$} {number:>NUMBER$}  ", tile.label);
        let state = match (tile.wordy, tile.state.is_empty()) {
            (true, true) => tile.number.clone(),
            (true, false) => format!("{}: {}", tile.number, lower(&tile.state)),
            (false, _) => tile.state.clone(),
        };
        // As much of the note as fits the line: the full text is below or in other formats.
        let room_left = usize::from(self.width).saturating_sub(first.chars().count() + 2);
        let mut said = state;
        for part in tile.note.split("; ").filter(|part| !part.is_empty()) {
            let longer = if said.is_empty() { part.to_owned() } else { format!("{said}; {}", lower(part)) };
            if longer.chars().count() > room_left && !said.is_empty() {
                break;
            }
            said = longer;
        }
        let mark = format!("{} ", self.mark(tile.mark));
        let chart = tile.chart.as_ref().map_or("", |chart| chart.text.as_str());
        let used = first.chars().count() + 2 + said.chars().count();
        let (width, wide) = (usize::from(self.width), chart.chars().count());
        if !self.style.ascii && wide > 0 && used + 2 + wide <= width {
            let gap = " ".repeat(width - used - wide);
            self.lines.push(format!("{first}{mark}{said}{gap}{chart}"));
        } else {
            self.item_with(&format!("{first}{mark}"), &format!("{room}  "), &said);
        }
    }

    /// The symbol of a mark, in its color.
    fn mark(&self, mark: Mark) -> String {
        let color = match mark {
            Mark::Good => "32",
            Mark::Fix => "33",
            Mark::Spoof => "31",
            Mark::Calm => "0",
        };
        self.paint(mark.symbol(), color)
    }

    /// The actions, in a few lines each.
    fn orders(&mut self, page: &Page) {
        if page.actions.is_empty() && page.actions_note.is_empty() {
            return;
        }
        let head = "WHAT TO DO";
        let gap = usize::from(self.width).saturating_sub(head.len() + "MESSAGES".len());
        self.head("");
        let painted = self.paint(head, "1");
        self.lines.push(format!("{painted}{}MESSAGES", " ".repeat(gap)));
        for (number, todo) in page.actions.iter().take(FIRST).enumerate() {
            let (mark, from) = (format!("{}. ", number + 1), self.lines.len());
            let room = usize::from(self.width).saturating_sub(todo.messages.len() + 2);
            self.narrow(&mark, "   ", &format!("{}.", todo.title), room);
            let first = &mut self.lines[from];
            let gap = usize::from(self.width).saturating_sub(first.chars().count() + todo.messages.len());
            *first = format!("{first}{}{}", " ".repeat(gap), todo.messages);
            let record: Vec<String> =
                todo.record
                    .iter()
                    .filter(|part| part.exact && part.value != "TXT")
                    .map(|part| {
                        if part.label == "Name" { part.value.clone() } else { format!("{} {}", part.label, part.value) }
                    })
                    .collect();
            if !record.is_empty() {
                self.item_with("     ", "     ", &format!("TXT  {}", record.join("  ")));
            }
        }
        let more = page.actions.len().saturating_sub(FIRST);
        let note =
            if more > 0 { format!("{} The others are below.", page.actions_note) } else { page.actions_note.clone() };
        self.wrapped(&note, "");
    }

    /// The reasons and steps of each action.
    fn reasons(&mut self, page: &Page) {
        if page.actions.is_empty() {
            return;
        }
        self.head("WHY AND HOW");
        for (number, todo) in page.actions.iter().enumerate() {
            let mark = format!("{}. ", number + 1);
            let facts: Vec<String> = todo.facts.iter().map(|(label, value)| format!("{label}: {value}.")).collect();
            let title = if number < FIRST { String::new() } else { format!("{}. ", todo.title) };
            self.item(&mark, &format!("{title}{} {}", todo.why, todo.how));
            if number >= FIRST {
                let parts: Vec<String> =
                    todo.record.iter().map(|part| format!("{} {}", part.label, part.value)).collect();
                self.wrapped(&parts.join("; "), "   ");
            }
            self.wrapped(&facts.join(" "), "   ");
        }
    }

    fn doubts(&mut self, page: &Page) {
        if page.doubts.is_empty() {
            return;
        }
        self.head("ARE THESE YOURS?  Paste the lines into the settings, with \"mine\" or \"not_mine\".");
        for doubt in &page.doubts {
            self.item("· ", &doubt.text);
            // To be pasted: never wrapped.
            self.lines.extend(doubt.lines.iter().map(|line| format!("    {line}")));
        }
    }

    fn changes(&mut self, page: &Page) {
        if page.changes.is_empty() {
            return;
        }
        self.head("WHAT CHANGED");
        for news in &page.changes {
            let first = format!("  {} {:<16}", self.mark(news.mark), news.head);
            self.item_with(&first, &" ".repeat(20), &news.text);
        }
    }

    fn domains(&mut self, page: &Page) {
        if page.domains.is_empty() {
            return;
        }
        self.head("");
        self.domain_lines(page);
        if !page.domains_note.is_empty() {
            self.lines.push(String::new());
            self.wrapped(&page.domains_note, "");
        }
        let mut detailed = page.domains.iter().filter(|domain| domain.whole && !domain.details.is_empty()).peekable();
        if detailed.peek().is_some() {
            self.head("");
        }
        detailed.for_each(|domain| self.domain(domain));
    }

    /// One line per domain; if there are not too many, with the policy and what blocks the next step below.
    fn domain_lines(&mut self, page: &Page) {
        let longest = page.domains.iter().map(|domain| domain.domain.chars().count()).max().unwrap_or(0);
        let wide = longest.clamp(16, usize::from(self.width) / 3);
        let head = self.paint("DOMAINS", "1");
        let gap = " ".repeat(wide - "DOMAINS".len());
        self.lines.push(format!(
            "{head}{gap}{:>11} {:>6} {:>7} {:>8}  STRICTER POLICY",
            "MESSAGES", "PASS", "MEDIAN", "SPOOFED"
        ));
        for domain in &page.domains {
            let mut pieces = broken(&domain.domain, wide).into_iter();
            let name = pieces.next().unwrap_or_default();
            let median = if domain.median.is_empty() { "-" } else { domain.median.as_str() };
            let mark = self.mark(domain.mark);
            let state = format!(
                "{name:<wide$}{:>11} {:>6} {median:>7} {:>8}  {mark} ",
                domain.messages, domain.pass, domain.spoofed
            );
            self.item_with(&state, &" ".repeat(wide + 11 + 7 + 8 + 9 + 4), &domain.state);
            pieces.for_each(|piece| self.lines.push(format!("  {piece}")));
            if !page.tabled || domain.whole {
                let why = if domain.why.is_empty() { String::new() } else { format!("; {}", lower(&domain.why)) };
                self.wrapped(&format!("{}{why}", domain.policy), "    ");
            }
        }
    }

    /// The details of a domain.
    fn domain(&mut self, domain: &DomainLine) {
        let name = self.paint(&domain.domain, "1");
        let bars = domain.trend.as_ref().map_or(String::new(), |chart| format!("  pass rate [{}]", chart.text));
        self.lines.push(format!("{name}{bars}"));
        domain.details.iter().for_each(|line| self.item("  · ", line));
    }

    /// One line per domain and policy type, then the causes of failures.
    fn tls(&mut self, page: &Page) {
        let Some(tls) = &page.tls else { return };
        self.head("TLS BETWEEN MAIL SERVERS");
        self.wrapped(&tls.note, "");
        if !tls.lines.is_empty() {
            let longest = tls.lines.iter().map(|line| line.domain.chars().count()).max().unwrap_or(0);
            let wide = longest.clamp(16, usize::from(self.width) / 3);
            self.lines.push(format!(
                "  {:<wide$} {:>11} {:>9} {:>6} {:>6}  POLICY",
                "", "SESSIONS", "FAILED", "RATE", "BEFORE"
            ));
            for line in &tls.lines {
                let mut pieces = broken(&line.domain, wide).into_iter();
                let name = pieces.next().unwrap_or_default();
                let before = if line.before.is_empty() { "-" } else { line.before.as_str() };
                let figures = format!(
                    "{} {name:<wide$} {:>11} {:>9} {:>6} {before:>6}  ",
                    self.mark(line.mark),
                    line.sessions,
                    line.failed,
                    line.rate
                );
                self.item_with(&figures, &" ".repeat(wide + 40), &line.policy);
                pieces.for_each(|piece| self.lines.push(format!("    {piece}")));
                if line.mark == Mark::Fix {
                    self.wrapped(&line.state, "    ");
                }
            }
        }
        for cause in &tls.causes {
            let mark = format!("  {} ", self.mark(cause.mark));
            self.item_with(&mark, "    ", &format!("{}. {} {}", cause.title, cause.text, cause.facts));
        }
        tls.notes.iter().for_each(|line| self.item("· ", line));
    }

    /// The sender, its numbers in columns, and the result below.
    fn senders(&mut self, page: &Page) {
        if page.senders.is_empty() && page.suspects.is_none() {
            return;
        }
        self.head("");
        let columns = format!("{:>10} {:>6} {:>6} {:>6}", "MESSAGES", "PASS", "DKIM", "SPF");
        let width = usize::from(self.width);
        let room = width.saturating_sub(columns.len() + 2);
        let gap = " ".repeat(width.saturating_sub("SENDERS".len() + columns.len()));
        let painted = self.paint("SENDERS", "1");
        self.lines.push(format!("{painted}{gap}{columns}"));
        for list in &page.senders {
            self.bold(&format!("{} ({})", list.head, list.note));
            list.lines.iter().for_each(|sender| self.sender(sender, page.many_domains, room));
        }
        if let Some(suspects) = &page.suspects {
            let mark = self.mark(suspects.mark);
            self.item_with(&format!("{mark} "), "  ", &format!("Probably spoofed: {}.", suspects.text));
            for suspect in &suspects.lines {
                let about = if suspect.about.is_empty() { String::new() } else { format!(" ({})", suspect.about) };
                self.item(
                    "    ",
                    &format!(
                        "{}{about} as {}: {}, {} blocked",
                        suspect.source, suspect.domain, suspect.messages, suspect.blocked
                    ),
                );
            }
            if !suspects.note.is_empty() {
                self.wrapped(&suspects.note, "    ");
            }
        }
        page.senders_note.iter().for_each(|line| self.wrapped(line, ""));
    }

    fn sender(&mut self, sender: &SenderLine, many: bool, room: usize) {
        let mark = self.mark(sender.mark);
        let address = if sender.address.is_empty() { String::new() } else { format!(" ({})", sender.address) };
        let domain = if many { format!(" as {}", sender.domain) } else { String::new() };
        let from = self.lines.len();
        self.narrow(
            &format!("  {} ", sender.mark.symbol()),
            "    ",
            &format!("{}{address}{domain}", sender.name),
            room,
        );
        let first = self.lines[from].clone();
        let gap = " ".repeat((room + 2).saturating_sub(first.chars().count()));
        let figures = format!("{:>10} {:>6} {:>6} {:>6}", sender.messages, sender.pass, sender.dkim, sender.spf);
        // The mark is colored after everything is measured.
        let first = first.replacen(sender.mark.symbol(), &mark, usize::from(sender.mark != Mark::Calm));
        self.lines[from] = format!("{first}{gap}{figures}");
        let why = if sender.why.is_empty() { String::new() } else { format!(". {}", sender.why) };
        if sender.mark != Mark::Good && sender.pass != "100%" {
            self.wrapped(&format!("{}{why}. {}, {}.", sender.state, capital(&sender.reporters), sender.seen), "      ");
        }
    }

    /// A bold line.
    pub(crate) fn bold(&mut self, text: &str) {
        let text = self.paint(text, "1");
        self.lines.push(text);
    }

    /// An empty line and a heading.
    pub(crate) fn head(&mut self, head: &str) {
        self.lines.push(String::new());
        if !head.is_empty() {
            let head = self.paint(head, "1");
            self.lines.push(head);
        }
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

    fn item_with(&mut self, first: &str, others: &str, text: &str) {
        self.narrow(first, others, text, usize::from(self.width));
    }

    /// A paragraph that leaves room at its right end. Escapes in `first` take no room.
    fn narrow(&mut self, first: &str, others: &str, text: &str, width: usize) {
        let indent = columns(first);
        let (mut line, mut length, mut empty) = (first.to_owned(), indent, true);
        let room = width.saturating_sub(others.chars().count());
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

/// The width of a text in columns, without escapes.
fn columns(text: &str) -> usize {
    let mut inside = false;
    let seen = text.chars().filter(|char| {
        inside |= *char == '\u{1}';
        let counts = !inside;
        inside &= *char != 'm';
        counts
    });
    seen.count()
}

/// Lower-cases the first letter.
fn lower(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_lowercase().chain(chars).collect()).unwrap_or_default()
}

/// `5 reporters` as a sentence.
fn capital(reporters: &str) -> String {
    format!("Seen by {reporters}")
}

/// Splits a word into pieces that fit, at natural places: never within a number or a label that fits.
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
    use crate::analyze::tests::{fixtures::Line, weeks};

    #[test]
    fn the_text_of_an_eventful_week_is_as_expected() {
        insta::assert_snapshot!(text(&weeks::eventful().summary(), &Branding::default(), &Style::default()));
    }

    #[test]
    fn lines_fit_the_terminal_and_are_ascii_on_request() {
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
        assert!(colored.contains("\u{1b}[33m!"));
        for code in ["0", "1", "31", "32", "33"] {
            colored = colored.replace(&format!("\u{1b}[{code}m"), "");
        }
        assert_eq!(colored, plain);
    }
}
