//! `rejected`: lists, shows and retries items that could not be read.

use crate::cli::terminal::exit::Exit;
use crate::cli::terminal::fault::Hint as _;
use crate::cli::terminal::format::OutputFormat;
use crate::cli::terminal::interrupt::Interrupt;
use crate::cli::terminal::{output, pager};
use crate::cli::wiring::ingest_run::{self, RunProgress};
use crate::cli::wiring::run::CommandContext;
use crate::ingest;
use crate::model::{Hash, utc_day};
use crate::store::{ConflictEntry, RejectedEntry, Store};
use anyhow::anyhow;
use clap::Subcommand;
use serde::Serialize;

/// Digits of an ID shown in a list.
const SHORT: usize = 12;

const EXAMPLES: &str = "\
Examples:
  dmarquet rejected list
  dmarquet rejected show 3f2a           why, and where its bytes are
  dmarquet rejected show 3f2a --raw     the bytes themselves
  dmarquet rejected retry               after an update: try all again
  dmarquet rejected list --conflicts    reports that contradict one that counts
  dmarquet rejected promote 9b1d        count that one instead";

/// List, show or retry what could not be read
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, arg_required_else_help = true)]
pub(crate) struct RejectedArgs {
    #[command(subcommand)]
    act: RejectedAction,
}

#[derive(Debug, Subcommand)]
enum RejectedAction {
    /// List rejected items, newest first
    List {
        /// Output format: text or json
        #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
        format: OutputFormat,
        /// List reports that contradict a stored one instead
        #[arg(long)]
        conflicts: bool,
    },
    /// Show one rejected item
    Show {
        /// The item's ID, or its first characters
        id: String,
        /// Write the item's bytes to standard output
        #[arg(long)]
        raw: bool,
    },
    /// Count a report from `list --conflicts` in place of the stored one
    Promote {
        /// The item's ID, or its first characters
        id: String,
    },
    /// Try rejected items again, for example after an update
    Retry {
        /// IDs of the items, or their first characters [default: all]
        ids: Vec<String>,
        /// Print the counts as text or json
        #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
        format: OutputFormat,
    },
}

/// Runs the command.
pub(crate) fn run(run: &CommandContext, args: &RejectedArgs) -> anyhow::Result<Exit> {
    match &args.act {
        RejectedAction::List { format, conflicts: true } => conflicts(&run.store()?, *format)?,
        RejectedAction::List { format, conflicts: false } => list(&run.store()?, *format)?,
        RejectedAction::Show { id, raw } => show(&run.store()?, id, *raw)?,
        RejectedAction::Promote { id } => promote(run, id)?,
        RejectedAction::Retry { ids, format } => return retry(run, ids, *format),
    }
    Ok(Exit::Handled)
}

/// A rejected item as JSON.
#[derive(Debug, Serialize)]
struct RejectedJson {
    id: String,
    origin: String,
    reason: String,
    attachment: Option<String>,
    arrival: String,
    rejected: String,
    bytes: i64,
    file: Option<String>,
}

impl From<&RejectedEntry> for RejectedJson {
    fn from(entry: &RejectedEntry) -> Self {
        Self {
            id: entry.hash.to_string(),
            origin: entry.origin.clone(),
            reason: entry.reason.clone(),
            attachment: entry.attachment.clone(),
            arrival: entry.arrival.to_string(),
            rejected: entry.ingested.to_string(),
            bytes: entry.bytes,
            file: entry.file.clone(),
        }
    }
}

fn list(store: &Store, format: OutputFormat) -> anyhow::Result<()> {
    let mut entries = store.rejected()?;
    entries.reverse();
    if format == OutputFormat::Json {
        return output::json(&entries.iter().map(RejectedJson::from).collect::<Vec<_>>());
    }
    let lines = entries.iter().map(|entry| {
        let id = entry.hash.to_string();
        format!("{}  {}  {}: {}", &id[..SHORT], utc_day(entry.ingested), entry.origin, entry.reason)
    });
    say(lines)
}

/// A report in conflict with a stored one, as JSON.
#[derive(Debug, Serialize)]
struct Contradiction {
    id: String,
    report_key: String,
    origin: String,
    reason: &'static str,
    org_name: String,
    report_id: String,
    policy_domain: String,
    arrival: String,
    file: Option<String>,
}

fn conflicts(store: &Store, format: OutputFormat) -> anyhow::Result<()> {
    let mut entries = store.conflicts()?;
    entries.reverse();
    if format == OutputFormat::Text {
        return say(entries.iter().map(|entry| {
            let ConflictEntry { origin, org_name, report_id, policy_domain, .. } = entry;
            let bytes =
                entry.file.as_ref().map_or("was deleted by the quota, as one of the oldest".to_owned(), |file| format!("is {file}"));
            format!(
                "{}  {}  {origin}: {org_name} sent another report {report_id} on {policy_domain}, which counts; this one {bytes}",
                &entry.content.to_string()[..SHORT],
                utc_day(entry.ingested)
            )
        }));
    }
    let entries = entries.into_iter().map(|entry| Contradiction {
        id: entry.content.to_string(),
        report_key: entry.key.to_string(),
        origin: entry.origin,
        reason: "another report with the same key counts",
        org_name: entry.org_name,
        report_id: entry.report_id,
        policy_domain: entry.policy_domain,
        arrival: entry.arrival.to_string(),
        file: entry.file,
    });
    output::json(&entries.collect::<Vec<_>>())
}

fn show(store: &Store, id: &str, raw: bool) -> anyhow::Result<()> {
    let entries = store.rejected()?;
    let entry = find(&entries, id)?;
    if raw {
        let file = entry
            .file
            .as_deref()
            .ok_or_else(|| anyhow!("{id}: its bytes were not kept: it was too large to be read"))?;
        return output::data(&store.aside(file)?);
    }
    let kept =
        entry.file.as_ref().map_or_else(|| "not kept".to_owned(), |file| store.dir().join(file).display().to_string());
    say([
        format!("id        {}", entry.hash),
        format!("origin    {}", entry.origin),
        format!("reason    {}", entry.reason),
        format!("name      {}", entry.attachment.as_deref().unwrap_or("none")),
        format!("arrived   {}", entry.arrival),
        format!("rejected  {}", entry.ingested),
        format!("bytes     {}", entry.bytes),
        format!("kept in   {kept}"),
    ])
}

fn retry(run: &CommandContext, ids: &[String], format: OutputFormat) -> anyhow::Result<Exit> {
    let interrupt = Interrupt::listen(&run.console)?;
    let options = ingest_run::options(&interrupt, run, run.now)?;
    let mut writer = run.writer(run.now)?;
    let all = writer.rejected()?;
    let entries = if ids.is_empty() {
        all
    } else {
        ids.iter().map(|id| find(&all, id).cloned()).collect::<anyhow::Result<Vec<_>>>()?
    };
    let mut progress = RunProgress::new(&run.console, None);
    let tally = ingest::retry(&mut writer, &entries, &options, &mut progress)?;
    drop(progress);
    ingest_run::tell(&run.console, &tally, Some(format))
}

fn promote(run: &CommandContext, id: &str) -> anyhow::Result<()> {
    let interrupt = Interrupt::listen(&run.console)?;
    let options = ingest_run::options(&interrupt, run, run.now)?;
    let mut writer = run.writer(run.now)?;
    let entries = writer.conflicts()?;
    let entry = one(&entries, id, "a report in conflict", "rejected list --conflicts", |entry| entry.content)?;
    if !ingest::promote(&mut writer, entry, &options)? {
        let origin = &entry.origin;
        return Err(anyhow!("{id}: the kept bytes no longer contain the report from {origin}"));
    }
    let ConflictEntry { org_name, report_id, policy_domain, .. } = entry;
    say([format!("Report {report_id} from {org_name} about {policy_domain} counts now; the other one is a conflict.")])
}

fn find<'a>(entries: &'a [RejectedEntry], id: &str) -> anyhow::Result<&'a RejectedEntry> {
    one(entries, id, "a rejected item", "rejected list", |entry| entry.hash)
}

/// The only entry whose ID starts with `id`.
fn one<'a, T>(entries: &'a [T], id: &str, what: &str, list: &str, hash: impl Fn(&T) -> Hash) -> anyhow::Result<&'a T> {
    let id = id.to_lowercase();
    let mut found = entries.iter().filter(|entry| !id.is_empty() && hash(entry).to_string().starts_with(&id));
    match (found.next(), found.next()) {
        (Some(entry), None) => Ok(entry),
        (None, _) => Err(anyhow!("{id}: expected the id of {what}, found none that begins like this")
            .hint(format!("`dmarquet {list}` shows them"))),
        (Some(_), Some(_)) => Err(anyhow!("{id}: expected the id of {what}, found several that begin like this")
            .hint(format!("give more characters; `dmarquet {list} --format json` shows complete ids"))),
    }
}

/// Prints lines that contain untrusted text.
fn say(lines: impl IntoIterator<Item = String>) -> anyhow::Result<()> {
    let text: String = lines.into_iter().map(|line| output::clean(&line) + "\n").collect();
    pager::show(&text)
}
