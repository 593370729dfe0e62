//! One source explained, for a terminal: its role, the reasons, what to do, and its rows.

use super::layout::TextLayout;
use crate::analyze::{ExplainedRow, Explanation, Rate, ServerOrigin, SourceSummary};
use crate::present::wording::clean::Clean;
use crate::present::wording::instructions::instruction;
use crate::present::wording::numbers::{count, counted, percent};
use crate::present::wording::style::Style;
use crate::present::wording::words::{self, between, shown, shown_or};

/// Maximum number of addresses of a network listed separately.
const SHOWN_SOURCES: usize = 20;

/// The title of an explanation.
fn title(explanation: &Explanation) -> String {
    match explanation.source_ip {
        None => "The unknown source".to_owned(),
        address => words::network(address, explanation.prefix),
    }
}

/// The numbers of an address, preceded by the address if there are several.
fn numbers(source: &SourceSummary, several: bool) -> String {
    let share = |part| percent(Rate::of(part, source.sums.messages));
    let address = source.source_ip.filter(|_| several).map(|address| format!("{address}: ")).unwrap_or_default();
    format!(
        "{address}{}, {} pass; DKIM aligned {}, SPF aligned {}; {} authenticated as another domain. Seen by {}, first on \
         {}. Main result: {}.",
        words::messages(source.sums.messages),
        share(source.sums.dmarc_pass),
        share(source.sums.dkim_aligned),
        share(source.sums.spf_aligned),
        count(source.authenticated_unaligned),
        counted(source.reporters, "reporter", "reporters"),
        words::weekday(source.first_seen),
        words::cause(source.cause),
    )
}

/// The explanation as text.
pub fn explain(explanation: &Explanation, style: &Style) -> String {
    let mut writer = TextLayout::new(*style);
    let days = explanation.period.from.zip(explanation.period.to);
    let days =
        days.map(|(from, to)| format!(", {} to {}, UTC", words::weekday(from), words::weekday(to))).unwrap_or_default();
    let found = explanation.sources.first().filter(|_| explanation.sources.len() == 1);
    let host = found.and_then(|source| words::host(source.name.as_ref(), source.name_confirmed));
    let network = found.and_then(|source| source.network.as_deref()).and_then(words::announced);
    // An origin that is only the host name would repeat it.
    let is_host = |origin: &&ServerOrigin| found.is_some_and(|source| source.name.as_ref() == Some(&origin.name));
    let origin = found.and_then(|source| source.origin.as_deref()).filter(|origin| !is_host(origin)).map(words::origin);
    let known: Vec<String> = origin.into_iter().chain(host).chain(network).collect();
    let host = between(" (", &known.join("; "), ")");
    writer.bold(&format!("{}{host}{days}", title(explanation)));
    if explanation.sources.is_empty() {
        writer.wrapped("Not seen in these days.", "");
        return writer.finish();
    }
    for source in explanation.sources.iter().take(SHOWN_SOURCES) {
        writer.wrapped(&numbers(source, explanation.sources.len() > 1), "");
    }
    let more = explanation.sources.len().saturating_sub(SHOWN_SOURCES) as u64;
    if more > 0 {
        writer
            .wrapped(&format!("And {}; --format csv lists them.", counted(more, "more address", "more addresses")), "");
    }
    if !explanation.senders.is_empty() {
        writer.head("VERDICT");
    }
    for sender in &explanation.senders {
        let evidence: Vec<String> = sender.evidence.iter().map(words::evidence).collect();
        let evidence = between(" Evidence: ", &evidence.join("; "), ".");
        let line = format!(
            "{}: {}, {}.{evidence}",
            words::sender(&sender.who),
            words::role(sender.who.role),
            words::why(sender.who.role, sender.cause)
        );
        writer.item("· ", &line);
    }
    if !explanation.actions.is_empty() {
        writer.head("WHAT TO DO");
    }
    for action in &explanation.actions {
        let todo = instruction(action, None);
        writer.item("· ", &format!("{}. {}", todo.title, todo.how));
        todo.record.iter().for_each(|part| writer.wrapped(&format!("{}: {}", part.label, part.value), "    "));
        let facts: Vec<String> = todo.facts.iter().map(|(label, value)| format!("{label}: {value}")).collect();
        writer.wrapped(&format!("{} {}.", todo.why, facts.join(". ")), "  ");
    }
    writer.head("REPORT ROWS, failing first");
    explanation.rows.iter().for_each(|found| row(&mut writer, found));
    if explanation.more_rows > 0 {
        writer.wrapped(
            &format!(
                "And {}; `dmarquet export` writes all of them.",
                counted(explanation.more_rows, "more row", "more rows")
            ),
            "",
        );
    }
    writer.finish()
}

fn row(writer: &mut TextLayout, row: &ExplainedRow) {
    let aligned = |aligned: bool| if aligned { "aligned" } else { "not aligned" };
    let verdict = if row.dmarc_pass { "pass" } else { "FAIL" };
    writer.item(
        "· ",
        &format!(
            "{} {verdict}: {} as {} (policy of {}), reported by {}: {}.",
            words::weekday(row.day),
            words::messages(row.messages),
            shown_or(&row.header_from, "nobody"),
            shown_or(&row.policy_domain, "nobody"),
            shown_or(&row.org_name, "nobody"),
            words::cause(row.cause),
        ),
    );
    let selector = between(", selector ", &shown(Some(&row.dkim_selector)), "");
    let dkim = match row.dkim_domain.as_written() {
        "" => "unsigned".to_owned(),
        _ => format!(
            "DKIM {} by {}{selector}, {}",
            shown_or(&row.dkim_result, "no result"),
            Clean::new(&row.dkim_domain),
            aligned(row.dkim_aligned)
        ),
    };
    let spf = format!(
        "SPF {} for {}, {}",
        shown_or(&row.spf_result, "no result"),
        shown_or(&row.spf_domain, "nobody"),
        aligned(row.spf_aligned)
    );
    let reason = between(", because: ", &shown(Some(&row.reason)), "");
    writer.wrapped(&format!("{dkim}; {spf}; disposition {}{reason}", shown_or(&row.disposition, "not said")), "    ");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyze::tests::weeks;

    #[test]
    fn a_source_is_explained_with_its_rows() {
        let shown = explain(&weeks::eventful().explanation("198.51.100.77"), &Style::default());
        let head: Vec<&str> = shown.lines().take(24).collect();
        insta::assert_snapshot!(head.join("\n"));
        assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
    }

    #[test]
    fn an_explanation_says_that_a_source_was_not_seen() {
        assert!(explain(&weeks::eventful().explanation("192.0.2.99"), &Style::default()).contains("Not seen"));
    }
}
