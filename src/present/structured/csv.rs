//! Sources, and the overview of many domains, as CSV (RFC 4180) for spreadsheets. A field that a spreadsheet could take for
//! a formula is led by an apostrophe.

use crate::analyze::{Foreign, Overview, OverviewRow, Rate, Role, SourceSummary, Summary, SummaryPeriod};
use crate::model::NetworkClass;
use crate::present::wording::clean::Clean;
use std::io::{self, Write};

/// The columns of sources, in order: the name, and the field of a line. The unknown source has an empty address.
const SOURCE_COLUMNS: [(&str, fn(&SourceSummary, &SummaryPeriod) -> String); 23] = [
    ("source_ip", |source, _| or_empty(source.source_ip)),
    ("name", |source, _| text(source.name.as_ref())),
    ("messages", |source, _| source.sums.messages.to_string()),
    ("dmarc_pass", |source, _| source.sums.dmarc_pass.to_string()),
    ("dkim_aligned", |source, _| source.sums.dkim_aligned.to_string()),
    ("spf_aligned", |source, _| source.sums.spf_aligned.to_string()),
    ("both", |source, _| source.sums.both.to_string()),
    ("dkim_only", |source, _| source.sums.dkim_only.to_string()),
    ("spf_only", |source, _| source.sums.spf_only.to_string()),
    ("neither", |source, _| source.sums.neither.to_string()),
    ("records", |source, _| source.sums.records.to_string()),
    ("authenticated_unaligned", |source, _| source.authenticated_unaligned.to_string()),
    ("cause", |source, _| source.cause.as_str().to_owned()),
    ("reporters", |source, _| source.reporters.to_string()),
    ("first_seen", |source, _| source.first_seen.to_string()),
    ("last_seen", |source, _| source.last_seen.to_string()),
    ("domains", |source, _| source.domains.iter().map(|domain| text(Some(domain))).collect::<Vec<_>>().join(" ")),
    ("roles", |source, _| source.roles.iter().map(Role::as_str).collect::<Vec<_>>().join(" ")),
    ("from", |_, period| or_empty(period.from)),
    ("to", |_, period| or_empty(period.to)),
    ("origin", |source, _| text(source.origin.as_ref().map(|origin| &origin.name))),
    ("rung", |source, _| or_empty(source.origin.as_ref().map(|origin| origin.rung))),
    ("class", |source, _| or_empty(source.class.map(NetworkClass::as_str))),
];

/// The columns of the overview, named as in JSON. Null is empty.
const OVERVIEW_COLUMNS: [(&str, fn(&OverviewRow) -> String); 11] = [
    ("policy_domain", |row| text(Some(&row.policy_domain))),
    ("customer", |row| text(row.customer.as_ref())),
    ("messages", |row| row.messages.to_string()),
    ("lost_now", |row| row.lost_now.to_string()),
    ("next_step_share", |row| or_empty(row.next_step_share.map(Rate::share))),
    ("spoofed_not_blocked", |row| row.spoofed_not_blocked.to_string()),
    ("key_broken_since", |row| or_empty(row.key_broken_since)),
    ("last_report", |row| or_empty(row.last_report)),
    ("dns_fault", |row| text(row.dns_fault.as_ref())),
    ("state", |row| row.state.as_str().to_owned()),
    ("last_tls_report", |row| or_empty(row.last_tls_report)),
];

/// All sources.
///
/// # Panics
/// Never: a vector takes all lines, and they are UTF-8.
pub fn csv(summary: &Summary) -> String {
    let mut bytes = Vec::new();
    write_csv(summary, &mut bytes).expect("a vector takes all lines");
    String::from_utf8(bytes).expect("the lines are UTF-8")
}

/// Writes the output of [`csv`] piece by piece: with many sources it is too much to keep in memory.
///
/// # Errors
/// Those of `out`.
pub fn write_csv(summary: &Summary, mut out: impl Write) -> io::Result<()> {
    out.write_all(line(SOURCE_COLUMNS.map(|(name, _)| name.to_owned())).as_bytes())?;
    for source in &summary.sources {
        out.write_all(line(SOURCE_COLUMNS.map(|(_, field)| field(source, &summary.period))).as_bytes())?;
    }
    Ok(())
}

/// The overview, one line per domain.
pub fn overview_csv(overview: &Overview) -> String {
    let lines = overview.domains.iter().map(|row| line(OVERVIEW_COLUMNS.map(|(_, field)| field(row))));
    std::iter::once(line(OVERVIEW_COLUMNS.map(|(name, _)| name.to_owned()))).chain(lines).collect()
}

fn line<const COLUMNS: usize>(fields: [String; COLUMNS]) -> String {
    fields.map(|field| quoted(&field)).join(",") + "\r\n"
}

fn or_empty(value: Option<impl ToString>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

fn text(text: Option<&Foreign>) -> String {
    text.map(|text| inert(&Clean::new(text))).unwrap_or_default()
}

/// Keeps spreadsheets from evaluating a formula.
fn inert(text: &Clean) -> String {
    let text = text.to_string();
    if text.starts_with(['=', '+', '-', '@', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}']) {
        format!("'{text}")
    } else {
        text
    }
}

fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\r', '\n']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_of_strangers_stay_text() {
        for (written, shown) in [
            ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1+1", "'=1+1"),
            ("a=1", "a=1"),
        ] {
            assert_eq!(inert(&Clean::new(&Foreign::from(written))), shown);
        }
    }

    #[test]
    fn commas_and_quotes_are_quoted() {
        assert_eq!(quoted("a,\"b\""), "\"a,\"\"b\"\"\"");
        assert_eq!(quoted("plain"), "plain");
    }
}
