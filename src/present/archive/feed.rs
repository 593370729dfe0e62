//! The Atom feed: each week's state, actions and changes.

use super::record::WeekRecord;
use crate::present::markup::html::rendered;
use crate::present::wording::branding::{Brand, Branding};
use minijinja::{context, value::Serde};
use serde::Serialize;
use std::collections::BTreeSet;

/// Weeks in the feed.
const WEEKS: usize = 12;

/// Maximum number of entries.
const ENTRIES: usize = 150;

/// An entry.
#[derive(Debug, Serialize)]
struct FeedEntry {
    id: String,
    title: String,
    text: String,
    updated: String,
    href: String,
}

/// The feed. `site` is the URL of the archive; without it, links are relative.
pub fn feed(weeks: &[WeekRecord], branding: &Branding, site: Option<&str>) -> String {
    let site = site.map(|site| format!("{}/", site.trim_end_matches('/'))).unwrap_or_default();
    let mut told = BTreeSet::new();
    let mut entries = Vec::new();
    // Each action is listed in its first week.
    for (place, week) in weeks.iter().enumerate() {
        let recent = place + WEEKS >= weeks.len();
        let page = format!("{site}weeks/{}.html", week.week);
        let updated = format!("{}T23:59:59Z", week.to);
        let entry = |key: String, title: String, text: String, anchor: String| FeedEntry {
            id: id(&key),
            title,
            text,
            updated: updated.clone(),
            href: format!("{page}{anchor}"),
        };
        let mut found =
            vec![entry(format!("week {}", week.week), week.headline.clone(), week.lead.join(" "), String::new())];
        for action in &week.actions {
            if told.insert(action.id.as_str()) {
                let anchor = if action.place > 0 { format!("#a{}", action.place) } else { String::new() };
                found.push(entry(format!("action {}", action.id), action.title.clone(), action.why.clone(), anchor));
            }
        }
        for news in
            week.news.iter().filter(|news| !matches!(news.head.as_ref(), "Unchanged" | "Nothing yet" | "And more"))
        {
            let key = format!("news {} {} {}", week.week, news.head, news.text);
            let title = format!("{}: {}", news.head, news.text);
            found.push(entry(key, title, String::new(), "#changed".to_owned()));
        }
        if recent {
            entries.extend(found);
        }
    }
    entries.reverse();
    entries.truncate(ENTRIES);
    let mut seen = BTreeSet::new();
    entries.retain(|entry| seen.insert(entry.id.clone()));
    let updated = entries.first().map_or_else(|| "1970-01-01T00:00:00Z".to_owned(), |entry| entry.updated.clone());
    rendered(
        "feed.html",
        context! {
            entries => Serde(&entries),
            updated => updated,
            id => id(&format!("feed {site} {}", Brand::from(branding).title)),
            home => format!("{site}index.html"),
            this => format!("{site}feed.xml"),
            brand => Serde(Brand::from(branding)),
        },
    )
}

/// An ID that is the same on every machine and reveals nothing about the store.
fn id(key: &str) -> String {
    let hash = blake3::hash(format!("dmarquet {key}").as_bytes()).to_hex();
    format!("urn:uuid:{}-{}-5{}-8{}-{}", &hash[..8], &hash[8..12], &hash[12..15], &hash[15..18], &hash[18..30])
}
