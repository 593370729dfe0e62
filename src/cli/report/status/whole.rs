//! `status`: shows the state of the store, also for monitoring.

use super::args::StatusArgs;
use super::census;
use super::lines::{MonthSums, REPORT, TotalSums, ago, late, late_in, reporters_text, totals_text, when};
use super::parts;
use crate::cli::settings::file::Settings;
use crate::cli::terminal::exit::Exit;
use crate::cli::terminal::format::OutputFormat;
use crate::cli::terminal::{output, pager};
use crate::cli::wiring::ingest_run::{self, count, grouped, size};
use crate::cli::wiring::period::Stretch;
use crate::cli::wiring::run::CommandContext;
use crate::store::{FileTotals, FolderStatus, ReporterTotals, Status, Store};
use jiff::Timestamp;
use serde::Serialize;
use std::fmt::Write as _;

/// Runs the command.
pub(crate) fn run(run: &CommandContext, args: &StatusArgs) -> anyhow::Result<Exit> {
    let settings = run.settings()?;
    let store = run.store_or(args.records.as_deref())?;
    if args.reporters {
        return census::run(settings, &store, args.customer.as_deref(), args.format);
    }
    if args.by_domain {
        return parts::by_domain(run, &store, args);
    }
    if let Some(customer) = &args.customer {
        return parts::of_customer(run, &store, customer, args);
    }
    let dir = store.dir().to_owned();
    let status = store.status()?;
    let mailboxes = mailboxes(&store, settings)?;
    let silent = args.max_age.map_or(Vec::new(), |age| too_old(age, run, &status, &mailboxes));
    // In a crontab, only the warnings: cron mails all output, and the rest would hide them.
    let is_check = args.max_age.is_some() && !run.console.wants_tally();
    match args.format {
        OutputFormat::Json => output::json(&StatusJson::of(&status, mailboxes, dir.display().to_string()))?,
        OutputFormat::Text if is_check => {}
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

fn mailboxes(store: &Store, settings: &Settings) -> anyhow::Result<Vec<MailboxNewest>> {
    let newest = |mailbox: &crate::fetch::mailbox::Mailbox| {
        Ok(MailboxNewest { mailbox: mailbox.name.clone(), newest_report: store.newest_of_mailbox(&mailbox.name)? })
    };
    settings.mailboxes.iter().map(newest).collect()
}

/// Describes what got no report for longer than allowed.
fn too_old(age: Stretch, run: &CommandContext, status: &Status, mailboxes: &[MailboxNewest]) -> Vec<String> {
    let silent = |mailbox: &MailboxNewest| {
        late(age, run.now, (&format!("mailbox {}", mailbox.mailbox), REPORT), mailbox.newest_report)
    };
    let silent: Vec<String> = mailboxes.iter().filter_map(silent).collect();
    // Reports of either kind show that a mailbox works, also those that the store had before, which do not change its own age.
    // So that age counts only where TLS reports may hide that the others stopped.
    let tls_goes_on = status.newest_tls_arrival >= Some(age.before_instant(run.now));
    if silent.is_empty() && (mailboxes.is_empty() || tls_goes_on) {
        late_in(age, run.now, "store", status).into_iter().collect()
    } else {
        silent
    }
}

/// Reports how many files in a folder of the store the ledger does not know.
fn unlisted(out: &mut String, files: i64, folder: &str) {
    if files > 0 {
        let files = count(files.unsigned_abs(), "file");
        let _ = write!(out, "; {files} in {folder}/ not listed (they belong to an earlier ledger)");
    }
}

fn text(status: &Status, mailboxes: &[MailboxNewest], dir: &str, now: Timestamp) -> String {
    let number = |number: i64| grouped(number.max(0).unsigned_abs());
    let version = status.version.map_or_else(String::new, |version| format!(" (version {version})"));
    let mut out = format!("store      {dir}{version}\n");
    totals_text(status, now, &mut out);
    let files = [("tables", status.parts), ("originals", status.packs)];
    for (name, files) in files {
        // Writing to a `String` cannot fail.
        let _ = writeln!(
            out,
            "{name:<10} {}, {}",
            count(files.count.unsigned_abs(), "file"),
            size(files.bytes.max(0).unsigned_abs())
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
        let _ = writeln!(out, "{}: newest report {}", mailbox.mailbox, when(mailbox.newest_report, now));
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

/// The status as JSON. Times are RFC 3339, sizes are bytes.
#[derive(Debug, Serialize)]
struct StatusJson<'a> {
    store: String,
    version: Option<i64>,
    #[serde(flatten)]
    totals: TotalSums,
    last_commit: Option<Timestamp>,
    tables: FileTotals,
    originals: FileTotals,
    rejected: i64,
    rejected_let_go: i64,
    rejected_unlisted: i64,
    newest_rejected: Option<Timestamp>,
    conflicts: i64,
    conflicts_let_go: i64,
    conflicts_unlisted: i64,
    months: Vec<MonthSums>,
    mailboxes: Vec<MailboxNewest>,
    folders: &'a [FolderStatus],
    reporters: &'a [ReporterTotals],
}

#[derive(Debug, Serialize)]
struct MailboxNewest {
    mailbox: String,
    newest_report: Option<Timestamp>,
}

impl<'a> StatusJson<'a> {
    fn of(status: &'a Status, mailboxes: Vec<MailboxNewest>, store: String) -> Self {
        Self {
            store,
            version: status.version,
            totals: TotalSums::of(status),
            last_commit: status.last_commit,
            tables: status.parts,
            originals: status.packs,
            rejected: status.rejected.count,
            rejected_let_go: status.let_go,
            rejected_unlisted: status.rejected_unlisted,
            newest_rejected: status.newest_rejected,
            conflicts: status.conflicts,
            conflicts_let_go: status.conflicts_let_go,
            conflicts_unlisted: status.conflicts_unlisted,
            months: MonthSums::of(status),
            mailboxes,
            folders: &status.folders,
            reporters: &status.reporters,
        }
    }
}
