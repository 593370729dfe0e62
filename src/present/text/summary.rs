//! The page for a terminal: state and actions on the first screen, reasons and tables below. Fits 80 columns, uses
//! more.

use super::layout::{TextLayout, broken};
use crate::analyze::Summary;
use crate::present::page::shared::Mark;
use crate::present::page::summary::{Page, page};
use crate::present::page::{DomainLine, SenderLine, Tile};
use crate::present::wording::branding::Branding;
use crate::present::wording::style::Style;
use crate::present::wording::words::between;

/// Maximum number of actions on the first screen.
const FIRST: usize = 5;

/// Columns of a tile's label.
const LABEL: usize = 16;

/// Columns of a tile's number.
const NUMBER: usize = 7;

/// The text. No line is wider than the style's width, except for words that do not fit.
pub fn text(summary: &Summary, branding: &Branding, style: &Style) -> String {
    let page = page(summary, branding);
    let mut out = TextLayout::new(*style);
    if !page.brand.title.is_empty() {
        out.wrapped(&page.brand.title, "");
    }
    let title = if page.days.is_empty() { page.title.clone() } else { format!("{}: {}", page.title, page.days) };
    out.bold(&title);
    out.wrapped(&page.reports, "");
    out.blank();
    // The first action is shown below.
    let lead: Vec<&str> = page.lead.iter().map(String::as_str).filter(|line| !line.starts_with("First: ")).collect();
    out.wrapped(&lead.join(" "), "");
    if !page.tiles.is_empty() {
        out.blank();
    }
    page.tiles.iter().for_each(|one| tile(&mut out, one));
    orders(&mut out, &page);
    reasons(&mut out, &page);
    doubts(&mut out, &page);
    changes(&mut out, &page);
    domains(&mut out, &page);
    tls(&mut out, &page);
    senders(&mut out, &page);
    out.head("DATA QUALITY");
    page.quality.iter().for_each(|line| out.item("· ", line));
    if !page.tiles.is_empty() {
        out.blank();
        out.wrapped(&format!("The records behind a source: {}", page.explain), "");
    }
    if !page.brand.footer.is_empty() {
        out.blank();
        out.wrapped(&page.brand.footer, "");
    }
    out.finish()
}

/// A number with its meaning, and a chart at the end of the line if there is room.
fn tile(out: &mut TextLayout, tile: &Tile) {
    let number = if tile.wordy { "" } else { tile.number.as_str() };
    let first = format!("  {:<LABEL$} {number:>NUMBER$}  ", tile.label);
    let state = match (tile.wordy, tile.state.is_empty()) {
        (true, true) => tile.number.clone(),
        (true, false) => format!("{}: {}", tile.number, lower(&tile.state)),
        (false, _) => tile.state.clone(),
    };
    // As much of the note as fits the line: the full text is below or in other formats.
    let room_left = out.width.saturating_sub(first.chars().count() + 2);
    let mut said = state;
    for part in tile.note.split("; ").filter(|part| !part.is_empty()) {
        let longer = if said.is_empty() { part.to_owned() } else { format!("{said}; {}", lower(part)) };
        if longer.chars().count() > room_left && !said.is_empty() {
            break;
        }
        said = longer;
    }
    let mark = format!("{} ", mark(out, tile.mark));
    let chart = tile.chart.as_ref().map_or("", |chart| chart.text.as_str());
    let used = first.chars().count() + 2 + said.chars().count();
    let wide = chart.chars().count();
    if !out.style.ascii && wide > 0 && used + 2 + wide <= out.width {
        let gap = out.width - used - wide;
        out.line(format!("{first}{mark}{said}{:gap$}{chart}", ""));
    } else {
        let room = " ".repeat(2 + LABEL + 1 + NUMBER + 2 + 2);
        out.item_with(&format!("{first}{mark}"), &room, &said);
    }
}

/// The symbol of a mark, in its color.
fn mark(out: &TextLayout, mark: Mark) -> String {
    let color = match mark {
        Mark::Good => "32",
        Mark::Fix => "33",
        Mark::Spoof => "31",
        Mark::Calm => "0",
    };
    out.paint(mark.symbol(), color)
}

/// The actions, in a few lines each.
fn orders(out: &mut TextLayout, page: &Page) {
    if page.actions.is_empty() && page.actions_note.is_empty() {
        return;
    }
    out.head_of_columns("WHAT TO DO", "MESSAGES");
    for (number, todo) in page.actions.iter().take(FIRST).enumerate() {
        let room = out.width.saturating_sub(todo.messages.len() + 2);
        out.item_beside(&format!("{}. ", number + 1), "   ", &format!("{}.", todo.title), (room, &todo.messages));
        let record: Vec<String> = todo
            .record
            .iter()
            .filter(|part| part.exact && part.value != "TXT")
            .map(
                |part| {
                    if part.label == "Name" { part.value.clone() } else { format!("{} {}", part.label, part.value) }
                },
            )
            .collect();
        if !record.is_empty() {
            out.wrapped(&format!("TXT  {}", record.join("  ")), "     ");
        }
    }
    let others = if page.actions.len() > FIRST { " The others are below." } else { "" };
    out.wrapped(&format!("{}{others}", page.actions_note), "");
}

/// The reasons and steps of each action.
fn reasons(out: &mut TextLayout, page: &Page) {
    if page.actions.is_empty() {
        return;
    }
    out.head("WHY AND HOW");
    for (number, todo) in page.actions.iter().enumerate() {
        let facts: Vec<String> = todo.facts.iter().map(|(label, value)| format!("{label}: {value}.")).collect();
        let title = if number < FIRST { String::new() } else { format!("{}. ", todo.title) };
        out.item(&format!("{}. ", number + 1), &format!("{title}{} {}", todo.why, todo.how));
        if number >= FIRST {
            let parts: Vec<String> = todo.record.iter().map(|part| format!("{} {}", part.label, part.value)).collect();
            out.wrapped(&parts.join("; "), "   ");
        }
        out.wrapped(&facts.join(" "), "   ");
    }
}

fn doubts(out: &mut TextLayout, page: &Page) {
    if page.doubts.is_empty() {
        return;
    }
    out.head("ARE THESE YOURS?  Paste the lines into the settings, with \"mine\" or \"not_mine\".");
    for doubt in &page.doubts {
        out.item("· ", &doubt.text);
        // To be pasted: never wrapped.
        doubt.lines.iter().for_each(|line| out.line(format!("    {line}")));
    }
}

fn changes(out: &mut TextLayout, page: &Page) {
    if page.changes.is_empty() {
        return;
    }
    out.head("WHAT CHANGED");
    for news in &page.changes {
        let first = format!("  {} {:<16}", mark(out, news.mark), news.head);
        out.item_with(&first, &" ".repeat(20), &news.text);
    }
}

fn domains(out: &mut TextLayout, page: &Page) {
    if page.domains.is_empty() {
        return;
    }
    out.blank();
    domain_lines(out, page);
    if !page.domains_note.is_empty() {
        out.blank();
        out.wrapped(&page.domains_note, "");
    }
    let mut detailed = page.domains.iter().filter(|domain| domain.whole && !domain.details.is_empty()).peekable();
    if detailed.peek().is_some() {
        out.blank();
    }
    detailed.for_each(|one| domain(out, one));
}

/// One line per domain; if there are not too many, with the policy and what blocks the next step below.
fn domain_lines(out: &mut TextLayout, page: &Page) {
    let wide = name_columns(out, page.domains.iter().map(|domain| &domain.domain));
    let gap = wide - "DOMAINS".len();
    out.line(format!(
        "{}{:gap$}{:>11} {:>6} {:>7} {:>8}  STRICTER POLICY",
        out.paint("DOMAINS", "1"),
        "",
        "MESSAGES",
        "PASS",
        "MEDIAN",
        "SPOOFED"
    ));
    for domain in &page.domains {
        let mut pieces = broken(&domain.domain, wide).into_iter();
        let name = pieces.next().unwrap_or_default();
        let median = if domain.median.is_empty() { "-" } else { domain.median.as_str() };
        let mark = mark(out, domain.mark);
        let state = format!(
            "{name:<wide$}{:>11} {:>6} {median:>7} {:>8}  {mark} ",
            domain.messages, domain.pass, domain.spoofed
        );
        out.item_with(&state, &" ".repeat(wide + 11 + 7 + 8 + 9 + 4), &domain.state);
        pieces.for_each(|piece| out.line(format!("  {piece}")));
        if !page.tabled || domain.whole {
            let why = between("; ", &lower(&domain.why), "");
            out.wrapped(&format!("{}{why}", domain.policy), "    ");
        }
    }
}

/// The width of a column of names, of which the longest are broken.
fn name_columns<'a>(out: &TextLayout, names: impl Iterator<Item = &'a String>) -> usize {
    names.map(|name| name.chars().count()).max().unwrap_or(0).clamp(16, out.width / 3)
}

/// The details of a domain.
fn domain(out: &mut TextLayout, domain: &DomainLine) {
    let name = out.paint(&domain.domain, "1");
    let bars = domain.trend.as_ref().map_or(String::new(), |chart| format!("  pass rate [{}]", chart.text));
    out.line(format!("{name}{bars}"));
    domain.details.iter().for_each(|line| out.item("  · ", line));
}

/// One line per domain and policy type, then the causes of failures.
fn tls(out: &mut TextLayout, page: &Page) {
    let Some(tls) = &page.tls else { return };
    out.head("TLS BETWEEN MAIL SERVERS");
    out.wrapped(&tls.note, "");
    if !tls.lines.is_empty() {
        let wide = name_columns(out, tls.lines.iter().map(|line| &line.domain));
        out.line(format!("  {:<wide$} {:>11} {:>9} {:>6} {:>6}  POLICY", "", "SESSIONS", "FAILED", "RATE", "BEFORE"));
        for line in &tls.lines {
            let mut pieces = broken(&line.domain, wide).into_iter();
            let name = pieces.next().unwrap_or_default();
            let before = if line.before.is_empty() { "-" } else { line.before.as_str() };
            let figures = format!(
                "{} {name:<wide$} {:>11} {:>9} {:>6} {before:>6}  ",
                mark(out, line.mark),
                line.sessions,
                line.failed,
                line.rate
            );
            out.item_with(&figures, &" ".repeat(wide + 40), &line.policy);
            pieces.for_each(|piece| out.line(format!("    {piece}")));
            if line.mark == Mark::Fix {
                out.wrapped(&line.state, "    ");
            }
        }
    }
    for cause in &tls.causes {
        let mark = format!("  {} ", mark(out, cause.mark));
        out.item_with(&mark, "    ", &format!("{}. {} {}", cause.title, cause.text, cause.facts));
    }
    tls.notes.iter().for_each(|line| out.item("· ", line));
}

/// The sender, its numbers in columns, and the result below.
fn senders(out: &mut TextLayout, page: &Page) {
    if page.senders.is_empty() && page.suspects.is_none() {
        return;
    }
    let columns = format!("{:>10} {:>6} {:>6} {:>6}", "MESSAGES", "PASS", "DKIM", "SPF");
    let room = out.width.saturating_sub(columns.len() + 2);
    out.head_of_columns("SENDERS", &columns);
    for list in &page.senders {
        out.bold(&format!("{} ({})", list.head, list.note));
        list.lines.iter().for_each(|one| sender(out, one, page.many_domains, room));
    }
    if let Some(suspects) = &page.suspects {
        let mark = mark(out, suspects.mark);
        out.item_with(&format!("{mark} "), "  ", &format!("Probably spoofed: {}.", suspects.text));
        for suspect in &suspects.lines {
            let about = between(" (", &suspect.about, ")");
            out.wrapped(
                &format!(
                    "{}{about} as {}: {}, {} blocked",
                    suspect.source, suspect.domain, suspect.messages, suspect.blocked
                ),
                "    ",
            );
        }
        if !suspects.note.is_empty() {
            out.wrapped(&suspects.note, "    ");
        }
    }
    page.senders_note.iter().for_each(|line| out.wrapped(line, ""));
}

fn sender(out: &mut TextLayout, sender: &SenderLine, many: bool, room: usize) {
    let address = between(" (", &sender.address, ")");
    let domain = if many { format!(" as {}", sender.domain) } else { String::new() };
    let name = format!("{}{address}{domain}", sender.name);
    let figures = format!("{:>10} {:>6} {:>6} {:>6}", sender.messages, sender.pass, sender.dkim, sender.spf);
    out.item_beside(&format!("  {} ", mark(out, sender.mark)), "    ", &name, (room, &figures));
    let why = between(". ", &sender.why, "");
    if sender.mark != Mark::Good && sender.pass != "100%" {
        out.wrapped(&format!("{}{why}. Seen by {}, {}.", sender.state, sender.reporters, sender.seen), "      ");
    }
}

/// Lower-cases the first letter.
fn lower(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_lowercase().chain(chars).collect()).unwrap_or_default()
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
        let ascii = text(&summary, &Branding::default(), &Style { color: true, ascii: true, ..Style::default() });
        assert!(ascii.is_ascii() && ascii.contains("\u{1b}[33m!") && !ascii.contains("?["), "{ascii}");
    }
}
