//! The overview of many domains as JSON and CSV, for programs.

use super::csv::{inert, quoted};
use super::json::written;
use crate::analyze::{Foreign, Overview};
use crate::present::wording::clean::Clean;
use jiff::civil::Date;

/// The names of the columns, as in JSON.
const HEADER: [&str; 11] = [
    "policy_domain",
    "customer",
    "messages",
    "lost_now",
    "next_step_share",
    "spoofed_not_blocked",
    "key_broken_since",
    "last_report",
    "dns_fault",
    "state",
    "last_tls_report",
];

/// The JSON form.
pub fn overview_json(overview: &Overview) -> String {
    written(overview)
}

/// The CSV: the columns of JSON, empty for null.
pub fn overview_csv(overview: &Overview) -> String {
    let mut lines = HEADER.join(",") + "\r\n";
    for row in &overview.domains {
        let day = |day: Option<Date>| day.map(|day| day.to_string()).unwrap_or_default();
        let text = |text: Option<&Foreign>| text.map(|text| inert(&Clean::new(text))).unwrap_or_default();
        let fields: [String; HEADER.len()] = [
            inert(&Clean::new(&row.policy_domain)),
            text(row.customer.as_ref()),
            row.messages.to_string(),
            row.lost_now.to_string(),
            row.next_step_share.map(|share| share.share().to_string()).unwrap_or_default(),
            row.spoofed_not_blocked.to_string(),
            day(row.key_broken_since),
            day(row.last_report),
            text(row.dns_fault.as_ref()),
            row.state.as_str().to_owned(),
            day(row.last_tls_report),
        ];
        lines.push_str(&fields.iter().map(|field| quoted(field)).collect::<Vec<_>>().join(","));
        lines.push_str("\r\n");
    }
    lines
}
