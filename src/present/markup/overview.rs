//! The overview of many domains as Markdown, and as one HTML page that can be sorted.

use super::html::rendered;
use crate::analyze::Overview;
use crate::present::page::overview::overview_page;
use minijinja::{Value, context, value::Serde};
use std::fmt::Write as _;

/// The script that sorts the table when a column heading is clicked. The page allows no other script.
const SCRIPT: &str = include_str!("overview.js");

/// SHA-256 of [`SCRIPT`] for the Content Security Policy.
const SCRIPT_HASH: &str = "sha256-vYOok+ANlYuO3YIo+GYxbKkSWVyvR5GGHlmfZis+FSo=";

/// The Markdown form: one table.
pub fn overview_markdown(overview: &Overview) -> String {
    let page = overview_page(overview);
    // All text is already `Clean`; only Markdown needs escaping.
    let plain = |text: &str| {
        text.chars().fold(String::new(), |mut plain, char| {
            if matches!(char, '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '<' | '>' | '&' | '~' | '!' | '$') {
                plain.push('\\');
            }
            plain.push(char);
            plain
        })
    };
    let mut text = format!("# {}\n\n{}\n\n", page.title, page.subtitle);
    text.push_str("| Domain | Customer | Messages | What | Last report |\n|---|---|---:|---|---|\n");
    for line in &page.lines {
        let what = line.findings.iter().map(|finding| plain(finding)).collect::<Vec<_>>().join("; ");
        let (domain, customer) = (plain(&line.domain), plain(&line.customer));
        // Writing to a `String` cannot fail.
        let _ = writeln!(text, "| {domain} | {customer} | {} | {what} | {} |", line.shown_messages, line.last_report);
    }
    text
}

/// The HTML page, worst first, with a small script for sorting and no other scripts.
///
/// # Panics
/// Never: the template is part of the program, and tested.
pub fn overview_html(overview: &Overview) -> String {
    let page = overview_page(overview);
    let customers = page.lines.iter().any(|line| !line.customer.is_empty());
    let script = Value::from_safe_string(SCRIPT.to_owned());
    rendered("overview.html", context! { page => Serde(page), customers, script, hash => SCRIPT_HASH })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyze::{OverviewDomain, tests::weeks::eventful};
    use crate::present::structured::csv::overview_csv;
    use crate::present::text::overview::overview_text;
    use crate::present::wording::style::Style;
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use sha2::{Digest as _, Sha256};

    const HOSTILE: &str = "<script>alert(1)</script>\u{1b}[31m|=1+1";

    fn overview() -> Overview {
        let known = |policy_domain: &str, customer: Option<&str>| OverviewDomain {
            policy_domain: policy_domain.into(),
            customer: customer.map(Into::into),
            ..OverviewDomain::default()
        };
        let tls = OverviewDomain { last_tls_report: "2026-11-18".parse().ok(), ..known("tls.example", None) };
        Overview::new(&eventful().summary(), &[known("example.com", Some("Shop & Co")), known(HOSTILE, None), tls])
    }

    #[test]
    fn the_page_runs_its_own_script_and_no_other() {
        let digest = Sha256::digest(SCRIPT.as_bytes());
        assert_eq!(SCRIPT_HASH, format!("sha256-{}", STANDARD.encode(digest)));
        let html = overview_html(&overview());
        assert_eq!(html.matches("<script").count(), 1);
        assert!(html.contains(&format!("script-src '{SCRIPT_HASH}'")) && html.contains("Shop &amp; Co"), "{html}");
        for reach in ["src=", "href=", "url(", "@import", "<link", "<img", "<iframe", " onload"] {
            assert!(!html.contains(reach), "{reach}");
        }
    }

    #[test]
    fn hostile_names_are_inert_in_every_form() {
        let overview = overview();
        let forms = [
            overview_text(&overview, &Style::default()),
            overview_markdown(&overview),
            overview_html(&overview),
            overview_csv(&overview),
        ];
        for form in &forms {
            assert!(!form.contains('\u{1b}') && form.contains("example.com"), "{form}");
        }
        assert!(forms[1].contains("\\<script\\>") && forms[1].contains("\\|=1+1"), "{}", forms[1]);
    }

    #[test]
    fn the_overview_is_in_these_words() {
        insta::assert_snapshot!(overview_text(&overview(), &Style::default()).replace('\u{fffd}', "?"));
    }
}
