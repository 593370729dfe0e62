//! The overview of many domains for a terminal.

use crate::analyze::Overview;
use crate::present::page::overview::{OverviewLine, OverviewPage, overview_page};
use crate::present::wording::clean::to_ascii;
use crate::present::wording::style::Style;

/// Maximum width of name columns.
const DOMAIN_WIDTH: usize = 40;
const CUSTOMER_WIDTH: usize = 24;

/// The text: one line per domain, or more if it has several problems.
pub fn overview_text(overview: &Overview, style: &Style) -> String {
    let OverviewPage { title, subtitle, lines } = overview_page(overview);
    let longest = |of: fn(&OverviewLine) -> &String, most: usize| {
        lines.iter().map(|line| of(line).chars().count()).max().unwrap_or(0).min(most)
    };
    let (domain, customer) =
        (longest(|line| &line.domain, DOMAIN_WIDTH), longest(|line| &line.customer, CUSTOMER_WIDTH));
    let messages = longest(|line| &line.shown_messages, 20).max("messages".len());
    let bold = |text: &str| if style.color { format!("\u{1b}[1m{text}\u{1b}[0m") } else { text.to_owned() };
    let mut text = format!("{}\n{}\n", bold(&title), subtitle);
    if lines.is_empty() {
        return text;
    }
    let row = |name: &str, whose: &str, number: &str, what: &str| {
        let whose = if customer == 0 { String::new() } else { format!("  {whose:<customer$}") };
        format!("{name:<domain$}{whose}  {number:>messages$}  {what}\n")
    };
    text.push('\n');
    text.push_str(&bold(row("domain", "customer", "messages", "what").trim_end()));
    text.push('\n');
    for line in &lines {
        for (number, finding) in line.findings.iter().enumerate() {
            text.push_str(&match number {
                0 => row(&line.domain, &line.customer, &line.shown_messages, finding),
                _ => row("", "", "", finding),
            });
        }
    }
    if style.ascii { to_ascii(&text) } else { text }
}
