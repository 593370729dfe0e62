//! The page of a week: the weekly page, with links to the pages of its domains and senders.

use super::domain::archive_domains;
use super::names;
use super::record::WeekRecord;
use crate::analyze::Summary;
use crate::present::markup::html::rendered;
use crate::present::page::summary::page;
use crate::present::wording::branding::Branding;
use minijinja::{context, value::Serde};

/// The page as HTML, for the record of the same week. Its JSON is that of the summary.
pub fn week_page(summary: &Summary, record: &WeekRecord, branding: &Branding) -> String {
    let mut page = page(summary, branding);
    let files = archive_domains(std::slice::from_ref(record));
    let link = |domain: &str| files.get(domain).map(|file| format!("../domains/{file}.html")).unwrap_or_default();
    for line in &mut page.domains {
        line.href = link(&line.domain);
    }
    for line in page.tls.iter_mut().flat_map(|tls| &mut tls.lines) {
        line.href = link(&line.domain);
    }
    for line in page.senders.iter_mut().flat_map(|list| &mut list.lines) {
        line.href = format!("../senders/{}.html", names::sender(line.source.0, line.source.1));
    }
    let week = summary.period.week.clone().unwrap_or_default();
    rendered("page.html", context! { page => Serde(&page), crumbs => vec![("../index.html", "Archive")], here => week })
}
