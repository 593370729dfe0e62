//! The overview of many domains for a terminal.

use super::layout::TextLayout;
use crate::analyze::Overview;
use crate::present::page::overview::{OverviewLine, OverviewPage, overview_page};
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
    let mut out = TextLayout::new(*style);
    out.bold(&title);
    out.line(subtitle);
    if lines.is_empty() {
        return out.finish();
    }
    let row = |name: &str, whose: &str, number: &str, what: &str| {
        let whose = if customer == 0 { String::new() } else { format!("  {whose:<customer$}") };
        format!("{name:<domain$}{whose}  {number:>messages$}  {what}")
    };
    out.head(&row("domain", "customer", "messages", "what"));
    for line in &lines {
        for (number, finding) in line.findings.iter().enumerate() {
            out.line(match number {
                0 => row(&line.domain, &line.customer, &line.shown_messages, finding),
                _ => row("", "", "", finding),
            });
        }
    }
    out.finish()
}
