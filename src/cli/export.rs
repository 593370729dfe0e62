//! `export`: the rows for other engines.

use super::Run;
use super::exit::Exit;
use super::period::Choice;
use anyhow::bail;
use clap::ValueEnum;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Without a period: everything. Parquet and Arrow need --out; NDJSON and CSV go to standard output without it.
With --out: DIR/records/month=.../ (one row a record) and DIR/reports/month=.../ (one row a report).

Examples:
  dmarquet export --out lake                           Parquet, for DuckDB, Polars, pandas, Spark
  dmarquet export --format ndjson --last 7d | jq .source_ip
  dmarquet export ~/dmarc-reports --format csv > records.csv   straight of files, nothing stored";

/// The rows as Parquet, CSV, NDJSON or Arrow IPC
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Report files, mails and folders to export instead of the store
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    choice: Choice,
    /// parquet, csv, ndjson or ipc (Arrow)
    #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
    format: Form,
    /// The folder to write to
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// The forms of an export.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Form {
    /// Parquet, partitioned by month.
    #[default]
    Parquet,
    /// Comma-separated, lists as JSON.
    Csv,
    /// One JSON object a line.
    Ndjson,
    /// Arrow IPC (Feather).
    Ipc,
}

/// Do it.
pub(super) fn run(run: &Run, args: &Args) -> anyhow::Result<Exit> {
    let settings = run.settings()?;
    let store = run.store(&settings)?;
    bail!("export of {}: {args:?}: not built in yet", store.display());
}
