//! `site`: writes or updates an archive of static pages.

use crate::analyze::{Adder, Period, Question, RepairCount, RowSample};
use crate::cli::settings::file::Settings;
use crate::cli::settings::local_path;
use crate::cli::terminal::exit::Exit;
use crate::cli::wiring::customers::{self, CustomerChoice, KnownDomains};
use crate::cli::wiring::ingest_run::grouped;
use crate::cli::wiring::rejections::Rejections;
use crate::cli::wiring::run::CommandContext;
use crate::cli::wiring::selection::{self, From, Selection, Sum};
use crate::cli::wiring::shares::Shares;
use crate::cli::wiring::{logo, repairs};
use crate::model::{DnsSpan, ReportHead, Rows, TlsPolicyRow, monday, utc_day};
use crate::present::Branding;
use crate::site::{Archive, Written};
use crate::store::{Filter, Store};
use jiff::civil::Date;
use jiff::{Timestamp, ToSpan as _};
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const EXAMPLES: &str = "\
The pages need no scripts: serve the folder with any web server, or open it in a browser. A run after `fetch` writes only what changed. Anyone who can read the pages sees all reports; docs/site.md shows how to protect them.

Examples:
  dmarquet site --out /srv/dmarc                      all domains, all weeks
  dmarquet site --out /srv/dmarc --each-customer      one folder of pages per customer
  dmarquet site --out ~/dmarc && xdg-open ~/dmarc/index.html";

/// Maximum number of weeks of an archive: ten years.
const WEEKS: usize = 520;

/// Write an archive of static pages: weeks, domains and senders
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct SiteArgs {
    /// Folder to write to: empty, or written by an earlier `site`
    #[arg(long, value_name = "DIR", value_parser = local_path::local_path())]
    out: PathBuf,
    /// Only this many weeks, the latest [default: all, at most 520]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..=520))]
    weeks: Option<u16>,
    /// Time to use instead of the clock, such as 2026-11-19T06:00:00Z
    #[arg(long, value_name = "TIME")]
    pub(crate) now: Option<Timestamp>,
    #[command(flatten)]
    customers: CustomerChoice,
}

/// A week's summary, and the rows for the pages of senders.
struct WeekSums {
    adder: Adder,
    rows: RowSample,
}

impl WeekSums {
    fn new(question: &Question) -> Self {
        Self { adder: Adder::new(question), rows: RowSample::new(question) }
    }
}

impl Sum for WeekSums {
    fn heads(&self, heads: &[ReportHead]) {
        self.adder.heads(heads);
    }

    fn rows(&self, rows: &Rows) {
        self.adder.rows(rows);
        self.rows.rows(rows);
    }

    fn tls(&mut self, row: TlsPolicyRow) {
        self.adder.tls(&row);
    }

    fn aside(&mut self, rejections: &Rejections, wanted: &dyn Fn(Option<&str>) -> bool) {
        Sum::aside(&mut self.adder, rejections, wanted);
    }
}

/// The input shared by all archives of a run.
struct Source<'a> {
    run: &'a CommandContext,
    settings: &'a Settings,
    store: From<'a>,
    /// A fingerprint of the reports of each day.
    days: BTreeMap<Date, u64>,
    /// Number of rejected and conflicting items, by day of arrival.
    odd: BTreeMap<Date, u64>,
    weeks: Vec<Period>,
    question: Question,
}

/// Runs the command.
pub(crate) fn run(run: &CommandContext, args: &SiteArgs) -> anyhow::Result<Exit> {
    let settings = run.settings()?;
    let chosen = args.customers.chosen(settings)?;
    let store = run.store_or(None)?;
    let question = selection::question(run, &store)?;
    let mut days = store.report_days()?;
    add_tls(&store, &mut days)?;
    let source = Source {
        run,
        settings,
        odd: odd_days(&store)?,
        weeks: weeks(&days, run, args.weeks.map_or(WEEKS, usize::from)),
        days,
        store: From::Store(Box::new(store)),
        question,
    };
    match chosen {
        None => tell(run, &args.out, source.write(&args.out, None, settings.site.clone())?),
        Some(chosen) => {
            for owner in chosen {
                let folder = &settings.customers[owner].folder;
                // A single customer's archive need not be published below the address in the settings, which has the pages
                // of all: without an address, its links are relative.
                let (out, site) = if args.customers.each_customer {
                    let below = |url: &String| format!("{}/{folder}/", url.trim_end_matches('/'));
                    (args.out.join(folder), settings.site.as_ref().map(below))
                } else {
                    (args.out.clone(), None)
                };
                tell(run, &out, source.write(&out, Some(owner), site)?);
            }
        }
    }
    Ok(Exit::Handled)
}

fn tell(run: &CommandContext, out: &Path, written: Written) {
    run.console.note(&format!(
        "{}: {} files, {} written, {} removed",
        out.display(),
        grouped(written.files),
        grouped(written.written),
        grouped(written.removed)
    ));
}

/// The weeks with reports, including the last complete week, without future ones.
fn weeks(days: &BTreeMap<Date, u64>, run: &CommandContext, most: usize) -> Vec<Period> {
    let last = Period::last_complete_week(run.now);
    let mut mondays: BTreeSet<Date> = days.range(..=run.today()).map(|(day, _)| monday(*day)).collect();
    mondays.insert(last.from());
    let skip = mondays.len().saturating_sub(most);
    mondays
        .into_iter()
        .skip(skip)
        .filter_map(|monday| Period::new(monday, monday.saturating_add(6.days())).ok())
        .collect()
}

/// Includes TLS reports in the fingerprint of each day.
fn add_tls(store: &Store, days: &mut BTreeMap<Date, u64>) -> anyhow::Result<()> {
    store.tls_policies(&Filter::default(), &mut |row| {
        let mut hasher = DefaultHasher::new();
        (row.key.0, row.sender_auth.as_str(), format!("{:?}", row.policy)).hash(&mut hasher);
        let digest = days.entry(row.day).or_default();
        *digest = digest.wrapping_add(hasher.finish());
    })?;
    Ok(())
}

/// Number of items that could not be read or conflict with others, by day of arrival.
fn odd_days(store: &Store) -> anyhow::Result<BTreeMap<Date, u64>> {
    let mut days: BTreeMap<Date, u64> = BTreeMap::new();
    for entry in store.rejected()? {
        *days.entry(utc_day(entry.arrival)).or_default() += 1;
    }
    for entry in store.conflicts()? {
        *days.entry(entry.day.unwrap_or_else(|| utc_day(entry.arrival))).or_default() += 1;
        *days.entry(utc_day(entry.arrival)).or_default() += 1;
    }
    Ok(days)
}

impl Source<'_> {
    /// Updates one archive: the operator's or a customer's. `site` is where it is published.
    fn write(&self, out: &Path, owner: Option<usize>, site: Option<String>) -> anyhow::Result<Written> {
        let branding = logo::branding(owner.map(|owner| &self.settings.customers[owner]))?;
        let question = match owner {
            Some(owner) => customers::question_of(&self.question, customers::withheld(self.settings)(owner)),
            None => self.question.clone(),
        };
        let key = self.key(&question, &branding, owner);
        let mut archive = Archive::open(out, &key, branding, site)?;
        for week in &self.weeks {
            let name = week.iso_week().unwrap_or_default();
            let recent = self.recent(*week);
            if !archive.keep(&name, |from, to| self.reports(from, to, recent)) {
                self.week(&mut archive, *week, &question, owner)?;
            }
        }
        let latest = Period::last_complete_week(self.run.now).iso_week().unwrap_or_default();
        Ok(archive.finish(&latest)?)
    }

    /// Writes the pages of a week.
    fn week(
        &self,
        archive: &mut Archive,
        week: Period,
        question: &Question,
        owner: Option<usize>,
    ) -> anyhow::Result<()> {
        let mut selection = Selection::of_period(question.clone(), week);
        let sums = match owner {
            None => Some(selection.gather(self.run, &self.store, WeekSums::new(&selection.question))?.0),
            Some(owner) => {
                if let Some(store) = self.store.store() {
                    let known = KnownDomains::of_store(self.settings, store)?;
                    selection.read_only(known.of_customer(&self.settings.owners(), owner, self.settings));
                }
                let one = [(owner, WeekSums::new(&selection.question))];
                let shares = Shares::new(self.settings.owners(), Vec::new(), one);
                selection.gather(self.run, &self.store, shares)?.0.into_sums().next().map(|(_, sums)| sums)
            }
        };
        let Some(WeekSums { adder, rows }) = sums else { return Ok(()) };
        let mut summary = adder.finish();
        let reads = selection.question.reads().unwrap_or(week);
        let (mut from, mut to) = (reads.from(), reads.to());
        if let Some(count) = RepairCount::new(&summary.actions, &summary.period) {
            let (first, last, _) = count.reads();
            (from, to) = (from.min(first), to.max(last));
        }
        repairs::count(self.store.store(), &mut summary)?;
        let made_of = (from, to, self.reports(from, to, self.recent(week)));
        Ok(archive.add((&summary, &rows.finish()), made_of)?)
    }

    /// Whether a week's pages depend on the current day: it is not over, or reports may still arrive.
    fn recent(&self, week: Period) -> bool {
        week.to().saturating_add(14.days()) >= self.run.today()
    }

    /// A fingerprint of the reports of some days, including the current day if it matters.
    fn reports(&self, from: Date, to: Date, recent: bool) -> String {
        let mut hasher = DefaultHasher::new();
        for (day, digest) in self.days.range(from..=to).chain(self.odd.range(from..=to)) {
            (day.to_string(), digest).hash(&mut hasher);
        }
        if recent {
            self.run.today().to_string().hash(&mut hasher);
        }
        format!("{:016x}", hasher.finish())
    }

    /// A fingerprint of everything else that the pages depend on.
    fn key(&self, question: &Question, branding: &Branding, owner: Option<usize>) -> String {
        // Without the time of the last lookup, which changes with every check.
        let stands =
            |span: &DnsSpan| format!("{} {} {:?} {}", span.name, span.record_type, span.value, span.first_seen);
        let records: Vec<_> = question.dns.spans().map(|span| (stands(span), span.ended)).collect();
        let dns = (records, &question.dns.changes);
        // The names withheld from a customer follow from the domains of all.
        let question = Question { today: None, dns: Arc::default(), withheld: None, ..question.clone() };
        let of_all = || self.settings.customers.iter().map(|customer| &customer.domains).collect::<Vec<_>>();
        let domains = owner.map(|owner| (&self.settings.customers[owner].domains, of_all()));
        let text = format!("{question:?} {dns:?} {branding:?} {domains:?}");
        blake3::hash(text.as_bytes()).to_hex()[..32].to_owned()
    }
}
