//! `backup`: copies the data folder while it is in use.

use crate::cli::terminal::exit::Exit;
use crate::cli::terminal::format::OutputFormat;
use crate::cli::terminal::output;
use crate::cli::wiring::ingest_run::{count, size};
use crate::cli::wiring::run::CommandContext;
use crate::store::{self, Store, StoreError};
use serde::Serialize;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Other commands may run meanwhile: the copy is a consistent snapshot. To restore, copy the folder back and delete the file `backup-of` in it.

Examples:
  dmarquet backup /srv/backup/dmarquet       copies everything first, then only changes
  cp -a /srv/backup/dmarquet /var/lib/       restore it
  rm /var/lib/dmarquet/backup-of";

/// Copy the data folder, even while it is in use
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct BackupArgs {
    /// Backup folder: new, empty, or an earlier backup of this data folder
    #[arg(value_name = "DIR", value_parser = crate::cli::settings::local_path::local_path())]
    dir: PathBuf,
    /// Output format: text or json
    #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
    format: OutputFormat,
}

/// The JSON output.
#[derive(Debug, Serialize)]
struct BackupJson {
    files: usize,
    bytes: u64,
    copied: usize,
    /// Files that are damaged in the data folder as well.
    damaged: Vec<String>,
}

/// Runs the command.
pub(crate) fn run(run: &CommandContext, args: &BackupArgs) -> anyhow::Result<Exit> {
    let dir = run.store_dir()?;
    if !dir.is_dir() {
        return Err(StoreError::NoStore { path: dir }.into());
    }
    let backup = store::backup(&Store::open(&dir)?, &args.dir, run.now)?;
    for fault in &backup.damaged {
        run.console.unreadable(&fault.at, &fault.what);
    }
    let exit = if backup.damaged.is_empty() { Exit::Handled } else { Exit::Attention };
    if exit == Exit::Attention {
        run.console.hint("these files are damaged in the data folder too: `dmarquet verify` shows what is lost");
    }
    let damaged = backup.damaged.into_iter().map(|fault| fault.at).collect();
    let answer = BackupJson { files: backup.files, bytes: backup.bytes, copied: backup.copied, damaged };
    output::answer(args.format, &answer, || {
        format!("{}, {}; {} copied\n", count(answer.files as u64, "file"), size(answer.bytes), answer.copied)
    })?;
    Ok(exit)
}
