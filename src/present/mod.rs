//! Renders answers as text for a terminal, Markdown, HTML, JSON and CSV, and cleans untrusted text.
//!
//! Takes an answer of `analyze` and a [`Style`], and returns a `String`. It only computes the layout, and shows no
//! untrusted text that has not passed through [`wording::clean`]. `page` puts a summary into words once; text, Markdown
//! and HTML lay out the same page.

mod archive;
mod markup;
mod page;
mod structured;
mod text;
pub mod wording;

pub use archive::domain::{archive_domains, domain_page};
pub use archive::feed::feed;
pub use archive::index::index_pages;
pub use archive::record::WeekRecord;
pub use archive::sender::{archive_senders, sender_page};
pub use archive::week::week_page;
pub use markup::alert_forms::{
    EventText, alert_html, alert_plain, alert_slack, alert_template_fault, alert_templated, alert_title,
};
pub use markup::html::html;
pub use markup::mail::{SummaryMail, heartbeat, mail, subject as mail_subject};
pub use markup::markdown::markdown;
pub use markup::overview::{overview_html, overview_markdown};
pub use structured::csv::{csv, overview_csv, write_csv};
pub use structured::json::{SCHEMA, SIMULATION_JSON_SCHEMA, json, write_json};
pub use structured::metrics::{Metric, metrics};
pub use text::alert::{alert_action, alert_end, alert_text};
#[cfg(feature = "dns")]
pub use text::census::census;
#[cfg(feature = "dns")]
pub use text::consents::report_consents;
#[cfg(feature = "dns")]
pub use text::dns_changes::dns_changes;
pub use text::explain::explain;
#[cfg(feature = "dns")]
pub use text::message_check::message_check;
pub use text::overview::overview_text;
#[cfg(feature = "dns")]
pub use text::posture::{posture, postures};
#[cfg(feature = "dns")]
pub use text::simulation::simulation;
pub use text::summary::text;
pub use wording::branding::{Branding, Logo};
pub use wording::style::Style;

#[cfg(test)]
pub(crate) mod tests;
