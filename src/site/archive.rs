//! The archive of a store: rewrites the weeks that changed, and everything else from what was kept of each week.

use super::files::{Pages, SiteError, Written};
use crate::analyze::{SampledRow, Summary};
use crate::present::{
    self, Branding, WeekRecord, archive_domains, archive_senders, domain_page, feed, index_pages, sender_page,
    week_page,
};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What each kept week was built from.
const KNOWN: &str = "state/weeks.state";

/// What the pages were built from, and their names.
const BUILT: &str = "state/built.state";

/// An archive being written.
#[derive(Debug)]
pub struct Archive {
    pages: Pages,
    /// What all pages depend on: the program, the settings.
    key: String,
    known: BTreeMap<String, WeekInputs>,
    branding: Branding,
    /// Where it is published.
    site: Option<String>,
    /// The weeks of this run.
    weeks: BTreeSet<String>,
}

/// What a week was built from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct WeekInputs {
    /// A key of the program and the settings.
    key: String,
    /// A key of the reports of these days.
    reports: String,
    from: String,
    to: String,
}

/// What the pages were built from.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct SiteInputs {
    digest: String,
    files: Vec<String>,
}

impl Archive {
    /// Opens a folder. `key` identifies everything that pages depend on besides reports.
    ///
    /// # Errors
    /// [`SiteError`] if the folder contains something else, is being written, or the disk fails.
    pub fn open(root: &Path, key: &str, branding: Branding, site: Option<String>) -> Result<Self, SiteError> {
        let pages = Pages::open(root)?;
        let known = pages.read(KNOWN).and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
        let key = format!("{} {key}", env!("CARGO_PKG_VERSION"));
        Ok(Self { pages, key, known, branding, site, weeks: BTreeSet::new() })
    }

    /// Whether a week exists and was built from the same reports as `reports` returns for its days. If so, it is kept.
    pub fn keep(&mut self, week: &str, reports: impl Fn(Date, Date) -> String) -> bool {
        self.weeks.insert(week.to_owned());
        let Some(known) = self.known.get(week).filter(|known| known.key == self.key) else { return false };
        let days = known.from.parse().ok().zip(known.to.parse().ok());
        let same = days.is_some_and(|(from, to)| reports(from, to) == known.reports);
        let files = files_of(week);
        let there = same && files.iter().all(|name| self.pages.has(name));
        if there {
            files.iter().for_each(|name| self.pages.keep(name));
        }
        there
    }

    /// Writes a week. `made_of` are the days its summary depends on, and a key of their reports.
    ///
    /// # Errors
    /// [`SiteError::Disk`].
    pub fn add(
        &mut self,
        (summary, rows): (&Summary, &[SampledRow]),
        (from, to, reports): (Date, Date, String),
    ) -> Result<(), SiteError> {
        let record = WeekRecord::new(summary, rows);
        let [html, json, state] = files_of(&record.week);
        self.pages.put(&html, week_page(summary, &record, &self.branding).as_bytes())?;
        self.pages.put_large(&json, |out| present::write_json(summary, out))?;
        self.pages.put(&state, text(&record).as_bytes())?;
        let made_of = WeekInputs { key: self.key.clone(), reports, from: from.to_string(), to: to.to_string() };
        self.known.insert(record.week.clone(), made_of);
        self.pages.put(KNOWN, text(&self.known).as_bytes())
    }

    /// Writes the pages built from several weeks, and removes files that no longer belong to the archive. `latest` is
    /// the week of the start page.
    ///
    /// # Errors
    /// [`SiteError::Disk`].
    pub fn finish(mut self, latest: &str) -> Result<Written, SiteError> {
        self.known.retain(|week, _| self.weeks.contains(week));
        self.pages.put(KNOWN, text(&self.known).as_bytes())?;
        let digest = self.digest(latest);
        let built: SiteInputs =
            self.pages.read(BUILT).and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
        if built.digest == digest && built.files.iter().all(|name| self.pages.has(name)) {
            built.files.iter().for_each(|name| self.pages.keep(name));
            return self.pages.finish();
        }
        let weeks = self.records();
        let domains = archive_domains(&weeks);
        let senders: Vec<String> = archive_senders(&weeks, &domains).into_iter().collect();
        let of_domains: Vec<(&String, &String)> = domains.iter().collect();
        let branding = self.branding.clone();
        let both = |name: String, made: Option<(String, String)>| match made {
            Some((html, json)) => {
                vec![(format!("{name}.html"), html.into_bytes()), (format!("{name}.json"), json.into_bytes())]
            }
            None => Vec::new(),
        };
        self.pages.put_all(&of_domains, |(domain, file)| {
            both(format!("domains/{file}"), domain_page(&weeks, domain, &branding))
        })?;
        self.pages.put_all(&senders, |file| {
            both(format!("senders/{file}"), sender_page(&weeks, file, &domains, &branding))
        })?;
        let place = weeks.iter().position(|week| week.week == latest).unwrap_or(weeks.len().saturating_sub(1));
        for (name, html, json) in index_pages(&weeks, place, &branding) {
            self.pages.put(&format!("{name}.html"), html.as_bytes())?;
            self.pages.put(&format!("{name}.json"), json.as_bytes())?;
        }
        let feed = feed(&weeks[..weeks.len().min(place + 1)], &branding, self.site.as_deref());
        self.pages.put("feed.xml", feed.as_bytes())?;
        // Before their names are forgotten.
        self.pages.remove_further(&built.files)?;
        self.pages.keep(BUILT);
        let built = SiteInputs { digest, files: self.pages.names() };
        self.pages.put(BUILT, text(&built).as_bytes())?;
        self.pages.finish()
    }

    /// A digest of everything the pages are built from.
    fn digest(&self, latest: &str) -> String {
        let all = format!("{} {latest} {:?} {}", self.key, self.site, text(&self.known));
        blake3::hash(all.as_bytes()).to_hex().to_string()
    }

    /// What was kept of the weeks, newest last. Only the newest record of each sender is kept in full.
    fn records(&self) -> Vec<WeekRecord> {
        let mut seen = BTreeSet::new();
        let newest_first = self.weeks.iter().rev();
        let mut records: Vec<WeekRecord> = newest_first
            .filter_map(|week| {
                let [_, _, state] = files_of(week);
                let mut record: WeekRecord = serde_json::from_str(&self.pages.read(&state)?).ok()?;
                record.slim(&mut seen);
                Some(record)
            })
            .collect();
        records.reverse();
        records
    }
}

fn files_of(week: &str) -> [String; 3] {
    [format!("weeks/{week}.html"), format!("weeks/{week}.json"), format!("state/{week}.state")]
}

fn text(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("string keys and finite numbers only")
}
