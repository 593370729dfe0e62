//! The sources as CSV (RFC 4180), one line per address, for spreadsheets.

use crate::analyze::{Role, SourceSummary, Summary, SummaryPeriod};
use crate::present::wording::clean::Clean;
use std::io::{self, Write};

/// The names of the columns, in order.
const HEADER: [&str; 23] = [
    "source_ip",
    "name",
    "messages",
    "dmarc_pass",
    "dkim_aligned",
    "spf_aligned",
    "both",
    "dkim_only",
    "spf_only",
    "neither",
    "records",
    "authenticated_unaligned",
    "cause",
    "reporters",
    "first_seen",
    "last_seen",
    "domains",
    "roles",
    "from",
    "to",
    "origin",
    "rung",
    "class",
];

/// All sources. The unknown source has an empty address. A field that a spreadsheet could take for a formula is led by an
/// apostrophe.
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
    write!(out, "{}\r\n", HEADER.join(","))?;
    for source in &summary.sources {
        let fields = fields(source, &summary.period);
        write!(out, "{}\r\n", fields.iter().map(|field| quoted(field)).collect::<Vec<_>>().join(","))?;
    }
    Ok(())
}

fn fields(source: &SourceSummary, period: &SummaryPeriod) -> [String; HEADER.len()] {
    let sums = &source.sums;
    let number = |number: u64| number.to_string();
    [
        source.source_ip.map(|address| address.to_string()).unwrap_or_default(),
        source.name.as_ref().map(|name| inert(&Clean::new(name))).unwrap_or_default(),
        number(sums.messages),
        number(sums.dmarc_pass),
        number(sums.dkim_aligned),
        number(sums.spf_aligned),
        number(sums.both),
        number(sums.dkim_only),
        number(sums.spf_only),
        number(sums.neither),
        number(sums.records),
        number(source.authenticated_unaligned),
        source.cause.as_str().to_owned(),
        number(source.reporters),
        source.first_seen.to_string(),
        source.last_seen.to_string(),
        source.domains.iter().map(|domain| inert(&Clean::new(domain))).collect::<Vec<_>>().join(" "),
        source.roles.iter().map(Role::as_str).collect::<Vec<_>>().join(" "),
        period.from.map(|day| day.to_string()).unwrap_or_default(),
        period.to.map(|day| day.to_string()).unwrap_or_default(),
        source.origin.as_ref().map(|origin| inert(&Clean::new(&origin.name))).unwrap_or_default(),
        source.origin.as_ref().map(|origin| origin.rung.to_string()).unwrap_or_default(),
        source.class.map(|class| class.as_str().to_owned()).unwrap_or_default(),
    ]
}

/// Keeps spreadsheets from evaluating a formula.
pub(super) fn inert(text: &Clean) -> String {
    let text = text.to_string();
    if text.starts_with(['=', '+', '-', '@', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}']) {
        format!("'{text}")
    } else {
        text
    }
}

pub(super) fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\r', '\n']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyze::Foreign;

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
