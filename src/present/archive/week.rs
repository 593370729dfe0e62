//! The page of a week: the weekly page, with links to the pages of its domains and senders.

use super::names;
use crate::analyze::Summary;
use crate::present::markup::html::{Sheet, rendered};
use crate::present::page::summary::page;
use crate::present::wording::branding::Branding;
use crate::present::wording::clean::Clean;
use minijinja::{context, value::Serde};
use std::collections::BTreeMap;

/// The page as HTML. Its JSON is that of the summary.
pub fn week_page(summary: &Summary, branding: &Branding) -> String {
    let mut page = page(summary, branding);
    let files: BTreeMap<String, String> = summary
        .domains
        .iter()
        .map(|domain| (Clean::new(&domain.policy_domain).to_string(), names::domain(&domain.policy_domain)))
        .collect();
    for line in &mut page.domains {
        line.href = files.get(&line.domain).map(|file| format!("../domains/{file}.html")).unwrap_or_default();
    }
    for line in page.senders.iter_mut().flat_map(|list| &mut list.lines) {
        line.href = format!("../senders/{}.html", names::sender(line.source.0, line.source.1));
    }
    let week = summary.period.week.clone().unwrap_or_default();
    rendered(
        "page.html",
        context! { page => Serde(&page), style => Serde(Sheet::default()), crumbs => vec![("../index.html", "Archive")], here => week },
    )
}
