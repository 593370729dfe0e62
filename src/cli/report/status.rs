//! `status`: shows the state of the store, also for monitoring.

use super::census;
use super::status_parts::{self, PartChoice};
use crate::cli::settings::file::Settings;
use crate::cli::settings::local_path;
use crate::cli::terminal::exit::Exit;
use crate::cli::terminal::format::OutputFormat;
use crate::cli::terminal::{output, pager};
use crate::cli::wiring::ingest_run::{self, count, grouped, sums};
use crate::cli::wiring::period::Stretch;
use crate::cli::wiring::run::CommandContext;
use crate::store::disk::layout::Month;
use crate::store::{Status, Store};
use jiff::Timestamp;
use jiff::tz::Offset;
use serde::Serialize;
use std::fmt::Write as _;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  dmarquet status
  dmarquet status --max-age 3d                 for monitoring: prints nothing and exits 0
                                               unless a mailbox got no report for three days
  dmarquet status --reporters                  a census of those who report
  dmarquet status --by-domain --max-age 7d     the same for each domain's reports";

/// Maximum number of reporters in the text; JSON has all.
const NAMED: usize = 15;

/// Show mailboxes, newest reports, silent reporters and rejected items
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct StatusArgs {
    /// Read a folder of Parquet files, as `export --out` writes it, instead of the store
    #[arg(long, value_name = "DIR", value_parser = local_path::local_path())]
    records: Option<PathBuf>,
    /// Output format: text or json
    #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
    format: OutputFormat,
    /// Exit 1 if a mailbox (or, without mailboxes, the store) got no report for this long, such as 3d; with --by-domain,
    /// if the newest report about a domain ends before that
    #[arg(long, value_name = "TIME")]
    max_age: Option<Stretch>,
    /// Show each domain's newest report, for the domains in the settings and below them, or for all domains
    #[arg(long)]
    by_domain: bool,
    /// Show what each reporter is like: software, how it finds the policy, errors it states, defects of its reports
    #[arg(long, conflicts_with_all = ["records", "max_age", "by_domain"])]
    reporters: bool,
    /// Only this customer of the settings
    #[arg(long, value_name = "NAME")]
    customer: Option<String>,
}

/// A mailbox in the settings, and its newest report.
struct MailboxJson {
    name: String,
    newest: Option<Timestamp>,
}

/// Runs the command.
pub(crate) fn run(run: &CommandContext, args: &StatusArgs) -> anyhow::Result<Exit> {
    let settings = run.settings()?;
    let store = run.opened(&settings, args.records.as_deref())?;
    if args.reporters {
        return census::run(&settings, &store, args.customer.as_deref(), args.format);
    }
    if args.by_domain || args.customer.is_some() {
        let choice = PartChoice { customer: args.customer.as_deref(), format: args.format, max_age: args.max_age };
        let part = if args.by_domain { status_parts::by_domain } else { status_parts::of_customer };
        return part(run, &settings, &store, &choice);
    }
    let dir = store.dir().to_owned();
    let status = store.status()?;
    let mailboxes = mailboxes(&store, &settings)?;
    let silent = args.max_age.map_or(Vec::new(), |age| too_old(age, run, &status, &mailboxes));
    // If all is well, a check in a crontab prints nothing: cron would mail it every day.
    let all_well = args.max_age.is_some() && silent.is_empty();
    match args.format {
        OutputFormat::Json => output::json(&StatusJson::of(&status, &mailboxes, dir.display().to_string()))?,
        OutputFormat::Text if all_well && !run.console.wants_tally() => {}
        OutputFormat::Text => {
            let text = text(&status, &mailboxes, &dir.display().to_string(), run.now);
            pager::show(&output::clean_lines(&text))?;
        }
    }
    ingest_run::clock_warning(status.last_commit.max(status.newest_arrival), run.now)
        .inspect(|warning| run.console.warning(warning));
    if status.totals.messages == i64::MAX {
        run.console.warning(
            "messages: the sum exceeds 2^63 - 1; findings with the code row.count_implausible name the reports",
        );
    }
    silent.iter().for_each(|message| run.console.warning(message));
    Ok(if silent.is_empty() { Exit::Handled } else { Exit::Attention })
}

fn mailboxes(store: &Store, settings: &Settings) -> anyhow::Result<Vec<MailboxJson>> {
    let newest = |mailbox: &crate::fetch::mailbox::Mailbox| {
        Ok(MailboxJson { name: mailbox.name.clone(), newest: store.newest_of_mailbox(&mailbox.name)? })
    };
    settings.mailboxes.iter().map(newest).collect()
}

/// Describes what got no report for longer than allowed.
fn too_old(age: Stretch, run: &CommandContext, status: &Status, mailboxes: &[MailboxJson]) -> Vec<String> {
    if mailboxes.is_empty() {
        let newest = status.newest_arrival.max(status.newest_tls_arrival);
        return late(age, run.now, "store", newest).into_iter().collect();
    }
    let silent = |mailbox: &MailboxJson| late(age, run.now, &format!("mailbox {}", mailbox.name), mailbox.newest);
    mailboxes.iter().filter_map(silent).collect()
}

/// The message about something whose newest report is too old; `None` if it is not.
pub(crate) fn late(age: Stretch, now: Timestamp, what: &str, newest: Option<Timestamp>) -> Option<String> {
    let found = newest.map_or_else(|| "never one".to_owned(), |newest| format!("the last on {}", minute(newest)));
    let is_late = newest < Some(age.before_instant(now));
    is_late.then(|| format!("{what}: expected a report in the last {age}, found {found}"))
}

/// A minute in UTC.
pub(crate) fn minute(at: Timestamp) -> String {
    Offset::UTC.to_datetime(at).strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// How long ago, roughly.
pub(crate) fn ago(at: Timestamp, now: Timestamp) -> String {
    let minutes = now.duration_since(at).as_mins().max(0).unsigned_abs();
    match minutes {
        0..120 => format!("{} ago", count(minutes, "minute")),
        120..2880 => format!("{} ago", count(minutes / 60, "hour")),
        _ => format!("{} ago", count(minutes / 1440, "day")),
    }
}

/// Says how many files lie in a folder of the store although nothing is known of them.
fn unlisted(out: &mut String, files: i64, folder: &str) {
    if files > 0 {
        let files = count(files.unsigned_abs(), "file");
        let _ = write!(out, "; {files} in {folder}/ not listed (the ledger that knew them is gone)");
    }
}

fn text(status: &Status, mailboxes: &[MailboxJson], dir: &str, now: Timestamp) -> String {
    let when =
        |at: Option<Timestamp>| at.map_or_else(|| "never".to_owned(), |at| format!("{}, {}", minute(at), ago(at, now)));
    let amount = |number: i64| number.max(0).unsigned_abs();
    let number = |number: i64| grouped(amount(number));
    let totals = &status.totals;
    let version = status.version.map_or_else(String::new, |version| format!(" (version {version})"));
    let mut out = format!("store      {dir}{version}\n");
    // Writing to a `String` cannot fail.
    let _ = writeln!(
        out,
        "reports    {} ({})",
        number(totals.reports),
        sums(amount(totals.records), amount(totals.messages), amount(totals.dmarc_pass))
    );
    if let (Some((first, _)), Some((last, _))) = (status.months.first(), status.months.last()) {
        let _ = writeln!(out, "months     {first} to {last}");
    }
    let _ = writeln!(out, "newest     {}", when(status.newest_arrival));
    tls_text(status, now, &mut out);
    let files = [("tables", status.parts), ("originals", status.packs)];
    for (name, files) in files {
        let _ = writeln!(
            out,
            "{name:<10} {}, {} KiB",
            count(files.count.unsigned_abs(), "file"),
            number(files.bytes / 1024)
        );
    }
    let _ = write!(out, "rejected   {}", number(status.rejected.count));
    if let Some(newest) = status.newest_rejected {
        let _ = write!(out, " (the newest {}; see `dmarquet rejected list`)", ago(newest, now));
    }
    if status.let_go > 0 {
        let _ = write!(out, "; the bytes of the oldest {} were deleted (quota)", number(status.let_go));
    }
    unlisted(&mut out, status.rejected_unlisted, "rejected");
    let _ = write!(out, "\nconflicts  {}", number(status.conflicts));
    if status.conflicts_let_go > 0 {
        let _ = write!(out, "; the bytes of the oldest {} were deleted (quota)", number(status.conflicts_let_go));
    }
    unlisted(&mut out, status.conflicts_unlisted, "conflicts");
    out.push('\n');
    if !mailboxes.is_empty() || !status.folders.is_empty() {
        out.push_str("\nMAILBOXES\n");
    }
    for mailbox in mailboxes {
        let _ = writeln!(out, "{}: newest report {}", mailbox.name, when(mailbox.newest));
    }
    for folder in &status.folders {
        let _ = write!(out, "{} > {}: ", folder.mailbox, folder.folder);
        // POP3 has no UIDs.
        if folder.uid_validity > 0 {
            let _ = write!(out, "up to UID {}, ", folder.last_uid);
        }
        let _ = write!(out, "read {}", ago(folder.read_at, now));
        if folder.pending > 0 {
            let _ = write!(out, "; {} stored, not yet acknowledged to the server", number(folder.pending));
        }
        out.push('\n');
    }
    reporters_text(status, &mut out);
    out
}

/// The TLS reports; nothing without any.
pub(crate) fn tls_text(status: &Status, now: Timestamp, out: &mut String) {
    if let Some(newest) = status.newest_tls_arrival {
        let reports = count(status.tls_reports.unsigned_abs(), "report");
        // Writing to a `String` cannot fail.
        let _ = writeln!(out, "TLS        {reports}, the newest {}, {}", minute(newest), ago(newest, now));
    }
}

/// The reporters, the most recent first.
pub(crate) fn reporters_text(status: &Status, out: &mut String) {
    if !status.reporters.is_empty() {
        out.push_str("\nREPORTERS, longest silent last\n");
    }
    let mut reporters: Vec<_> = status.reporters.iter().collect();
    reporters.sort_by(|a, b| (b.newest_end, &a.org_name).cmp(&(a.newest_end, &b.org_name)));
    for reporter in reporters.iter().take(NAMED) {
        let _ = writeln!(
            out,
            "{}: {}, the latest until {}",
            reporter.org_name,
            count(reporter.reports.unsigned_abs(), "report"),
            minute(reporter.newest_end)
        );
    }
    if let Some(more) = reporters.len().checked_sub(NAMED).filter(|more| *more > 0) {
        let _ = writeln!(out, "... and {more} more, all in --format json");
    }
}

/// The status as JSON. Times are RFC 3339, sizes are bytes.
#[derive(Debug, Serialize)]
struct StatusJson {
    store: String,
    version: Option<i64>,
    reports: i64,
    records: i64,
    messages: i64,
    dmarc_pass: i64,
    newest_arrival: Option<String>,
    tls_reports: i64,
    newest_tls_arrival: Option<String>,
    last_commit: Option<String>,
    tables: FilesJson,
    originals: FilesJson,
    rejected: i64,
    rejected_let_go: i64,
    rejected_unlisted: i64,
    newest_rejected: Option<String>,
    conflicts: i64,
    conflicts_let_go: i64,
    conflicts_unlisted: i64,
    months: Vec<MonthSums>,
    mailboxes: Vec<MailboxNewest>,
    folders: Vec<FolderRead>,
    reporters: Vec<ReporterNewest>,
}

#[derive(Debug, Serialize)]
struct FilesJson {
    files: i64,
    bytes: i64,
}

#[derive(Debug, Serialize)]
pub(crate) struct MonthSums {
    month: String,
    reports: i64,
    records: i64,
    messages: i64,
    dmarc_pass: i64,
}

#[derive(Debug, Serialize)]
struct MailboxNewest {
    mailbox: String,
    newest_report: Option<String>,
}

#[derive(Debug, Serialize)]
struct FolderRead {
    mailbox: String,
    folder: String,
    uid_validity: u32,
    last_uid: u32,
    read_at: String,
    pending: i64,
}

#[derive(Debug, Serialize)]
pub(crate) struct ReporterNewest {
    org_name: String,
    reports: i64,
    newest_end: String,
    newest_arrival: String,
}

impl MonthSums {
    /// By month, oldest first.
    pub(crate) fn of(status: &Status) -> Vec<Self> {
        let month = |(month, sums): &(Month, crate::store::ReportTotals)| Self {
            month: month.to_string(),
            reports: sums.reports,
            records: sums.records,
            messages: sums.messages,
            dmarc_pass: sums.dmarc_pass,
        };
        status.months.iter().map(month).collect()
    }
}

impl ReporterNewest {
    /// By name.
    pub(crate) fn of(status: &Status) -> Vec<Self> {
        let reporter = |reporter: &crate::store::ReporterTotals| Self {
            org_name: reporter.org_name.clone(),
            reports: reporter.reports,
            newest_end: reporter.newest_end.to_string(),
            newest_arrival: reporter.newest_arrival.to_string(),
        };
        status.reporters.iter().map(reporter).collect()
    }
}

impl StatusJson {
    fn of(status: &Status, mailboxes: &[MailboxJson], store: String) -> Self {
        let time = |at: Option<Timestamp>| at.map(|at| at.to_string());
        let files = |files: crate::store::FileTotals| FilesJson { files: files.count, bytes: files.bytes };
        let mailboxes = mailboxes
            .iter()
            .map(|mailbox| MailboxNewest { mailbox: mailbox.name.clone(), newest_report: time(mailbox.newest) });
        let folders = status.folders.iter().map(|folder| FolderRead {
            mailbox: folder.mailbox.clone(),
            folder: folder.folder.clone(),
            uid_validity: folder.uid_validity,
            last_uid: folder.last_uid,
            read_at: folder.read_at.to_string(),
            pending: folder.pending,
        });
        Self {
            store,
            version: status.version,
            reports: status.totals.reports,
            records: status.totals.records,
            messages: status.totals.messages,
            dmarc_pass: status.totals.dmarc_pass,
            newest_arrival: time(status.newest_arrival),
            tls_reports: status.tls_reports,
            newest_tls_arrival: time(status.newest_tls_arrival),
            last_commit: time(status.last_commit),
            tables: files(status.parts),
            originals: files(status.packs),
            rejected: status.rejected.count,
            rejected_let_go: status.let_go,
            rejected_unlisted: status.rejected_unlisted,
            newest_rejected: time(status.newest_rejected),
            conflicts: status.conflicts,
            conflicts_let_go: status.conflicts_let_go,
            conflicts_unlisted: status.conflicts_unlisted,
            months: MonthSums::of(status),
            mailboxes: mailboxes.collect(),
            folders: folders.collect(),
            reporters: ReporterNewest::of(status),
        }
    }
}
