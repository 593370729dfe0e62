//! `prune`: deletes old months.

use crate::cli::terminal::exit::Exit;
use crate::cli::terminal::format::OutputFormat;
use crate::cli::terminal::output;
use crate::cli::wiring::ingest_run::count;
use crate::cli::wiring::period::Stretch;
use crate::cli::wiring::run::CommandContext;
use crate::store::disk::layout::Month;
use anyhow::anyhow;
use serde::Serialize;

const EXAMPLES: &str = "\
Deletes whole months, tables and originals. Their mails are remembered and not imported again.

Examples:
  dmarquet prune --keep 24m --dry-run
  dmarquet prune --keep 24m";

/// Delete old months of reports, including the originals
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct PruneArgs {
    /// How much to keep, such as 24m
    #[arg(long, value_name = "TIME")]
    keep: Stretch,
    /// Show what would be deleted, and delete nothing
    #[arg(long)]
    dry_run: bool,
    /// Output format: text or json
    #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
    format: OutputFormat,
}

/// The JSON output.
#[derive(Debug, Serialize)]
struct PruneJson {
    /// The first month that is kept.
    first: String,
    reports: u64,
    dry_run: bool,
}

/// Runs the command.
pub(crate) fn run(run: &CommandContext, args: &PruneArgs) -> anyhow::Result<Exit> {
    let day = args.keep.before(run.today());
    let first = day
        .map(Month::of)
        .ok_or_else(|| anyhow!("--keep: expected a time within the calendar, found {}", args.keep))?;
    let reports = if args.dry_run {
        let store = run.store()?;
        let months = store.status()?.months;
        let old = months.iter().filter(|(month, _)| *month < first).map(|(_, sums)| sums.reports.unsigned_abs());
        old.sum::<u64>() + store.tls_reports_before(first.first())?
    } else {
        run.writer(run.now)?.prune(first)?.reports as u64
    };
    let answer = PruneJson { first: first.to_string(), reports, dry_run: args.dry_run };
    output::answer(args.format, &answer, || {
        let verb = if args.dry_run { "would be deleted" } else { "deleted" };
        format!("{} {verb} (all before {})\n", count(reports, "report"), answer.first)
    })?;
    Ok(Exit::Handled)
}
