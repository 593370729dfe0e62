//! The summary for a terminal: one screen to read, the tables below it.

use super::{
    Style,
    clean::{Clean, to_ascii},
    numbers::{count, counted, percent},
    words,
};
use crate::analyse::{DomainSummary, Quality, Rate, SourceSummary, Summary, Totals};
use comfy_table::{Cell, CellAlignment, ColumnConstraint, ContentArrangement, Table, Width, presets};

/// How many sources are shown; all are in JSON and CSV.
const SOURCES: usize = 20;

/// The text form. Nothing is wider than the style's width, but for a word that no line can hold.
pub fn text(summary: &Summary, style: &Style) -> String {
    let width = style.width.max(80);
    let mut lines = vec![title(summary), String::new()];
    if summary.totals.sums.messages == 0 {
        lines.push("No data: no report speaks of these days.".to_owned());
    }
    for domain in &summary.domains {
        lines.extend(headline(domain));
        lines.push(String::new());
    }
    if !summary.sources.is_empty() {
        lines.extend(sources(summary, width));
        lines.push(String::new());
    }
    lines.extend(quality(&summary.quality));
    let text = lines.iter().map(|line| line.trim_end()).collect::<Vec<_>>().join("\n") + "\n";
    if style.ascii { to_ascii(&text) } else { text }
}

fn title(summary: &Summary) -> String {
    match (summary.period.from, summary.period.to, &summary.period.week) {
        (Some(from), Some(to), Some(week)) => format!("DMARC summary of week {week}: {from} to {to}, UTC"),
        (Some(from), Some(to), None) => format!("DMARC summary: {from} to {to}, UTC"),
        _ => "DMARC summary".to_owned(),
    }
}

fn headline(domain: &DomainSummary) -> Vec<String> {
    let Totals { sums, reports, reporters, .. } = &domain.totals;
    let share = |part| percent(Rate::of(part, sums.messages));
    let p = domain.policy.as_ref().and_then(|policy| policy.p.as_ref());
    let policy = p.map(|p| format!(", p={}", Clean::new(p))).unwrap_or_default();
    vec![
        format!("{}{policy}", Clean::new(&domain.policy_domain)),
        format!(
            "  {}, {} pass DMARC; aligned DKIM {}, aligned SPF {}",
            counted(sums.messages, "message", "messages"),
            percent(sums.pass_rate()),
            share(sums.dkim_aligned),
            share(sums.spf_aligned),
        ),
        format!(
            "  both {} · DKIM only {} · SPF only {} · neither {}",
            count(sums.both),
            count(sums.dkim_only),
            count(sums.spf_only),
            count(sums.neither),
        ),
        format!("  {} of {}", counted(*reports, "report", "reports"), counted(*reporters, "reporter", "reporters")),
    ]
}

fn sources(summary: &Summary, width: u16) -> Vec<String> {
    let mut table = Table::new();
    table.force_no_tty().load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(width);
    table.set_header(["Source", "Messages", "Pass", "DKIM", "SPF", "Other", "Cause"].map(Cell::new));
    for source in summary.sources.iter().take(SOURCES) {
        table.add_row(row(source));
    }
    for column in 1..=5 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    if let Some(column) = table.column_mut(0) {
        column.set_constraint(ColumnConstraint::UpperBoundary(Width::Fixed(40)));
    }
    let mut lines = vec!["Sources, failing first (Other: authenticated, but as another domain)".to_owned()];
    lines.extend(table.lines());
    let more = summary.sources.len().saturating_sub(SOURCES);
    if more > 0 {
        lines.push(format!("  and {} more: --format csv shows all", count(more as u64)));
    }
    lines
}

fn row(source: &SourceSummary) -> Vec<Cell> {
    let sums = &source.sums;
    let share = |part| percent(Rate::of(part, sums.messages));
    [
        source.source_ip.map_or_else(|| "unknown".to_owned(), |address| address.to_string()),
        count(sums.messages),
        share(sums.dmarc_pass),
        share(sums.dkim_aligned),
        share(sums.spf_aligned),
        count(source.authenticated_unaligned),
        words::cause(source.cause).to_owned(),
    ]
    .into_iter()
    .map(Cell::new)
    .collect()
}

fn quality(quality: &Quality) -> Vec<String> {
    let messages = |number| counted(number, "message", "messages");
    let mut lines = Vec::new();
    for (number, one, many) in [
        (quality.unreadable, "item could not be read", "items could not be read"),
        (quality.conflicts, "report came again with other content", "reports came again with other content"),
        (quality.long_reports.len() as u64, "report covers over two days", "reports cover over two days"),
        (quality.unproven_reports, "report came by a forged mail", "reports came by forged mails"),
    ] {
        if number > 0 {
            lines.push(format!("  {}", counted(number, one, many)));
        }
    }
    for (number, what) in [
        (quality.not_evaluated, "without the reporter's evaluation"),
        (quality.pass_without_evidence, "pass, the reporter says, but its own results do not show why"),
        (quality.fail_but_aligned, "fail, the reporter says, but its own results pass and align"),
    ] {
        if number > 0 {
            lines.push(format!("  {} {what}", messages(number)));
        }
    }
    let head = if lines.is_empty() { "Data quality: nothing odd" } else { "Data quality" };
    std::iter::once(head.to_owned()).chain(lines).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        analyse::{
            Adder, Question,
            made::{self, Line},
        },
        model::Cause,
    };

    #[test]
    fn the_text_fits_eighty_columns_and_says_who_fails_first() {
        let lines = [
            Line::new("2026-11-16", "192.0.2.7", 9900),
            Line::new("2026-11-17", "2001:db8:1234:5678:9abc:def0:1234:5678", 12)
                .dkim("example.com", "mail", "fail")
                .spf("example.com", "fail")
                .verdict(0, Cause::OwnSigningBroken),
            Line::new("2026-11-18", "203.0.113.5", 40)
                .dkim("esp.example", "s1", "pass")
                .spf("bounce.esp.example", "pass")
                .verdict(0, Cause::AuthenticatedUnaligned),
            Line::new("2026-11-18", "198.51.100.9", 3).unauthenticated(),
        ];
        let mut adder = Adder::new(&Question::default());
        adder.rows(&made::rows(&lines));
        adder.heads(&made::heads(&lines, |_, _| "none"));
        let text = text(&adder.finish(), &Style::default());
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        let fails = text.find("203.0.113.5 ").expect("the failing source is shown");
        assert!(fails < text.find("192.0.2.7 ").expect("the passing source is shown"), "{text}");
    }
}
