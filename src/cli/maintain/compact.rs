//! `compact`: merges the small files of each month.

use crate::cli::terminal::exit::Exit;
use crate::cli::terminal::format::OutputFormat;
use crate::cli::terminal::output;
use crate::cli::wiring::ingest_run::count;
use crate::cli::wiring::run::CommandContext;
use crate::store::StoreError;
use serde::Serialize;

/// Merge the small files of each month
#[derive(Debug, clap::Args)]
pub(crate) struct CompactArgs {
    /// Output format: text or json
    #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
    format: OutputFormat,
}

/// The JSON output.
#[derive(Debug, Serialize)]
struct CompactJson {
    months: usize,
    merged: usize,
    made: usize,
    /// Damaged files, which were left out.
    damaged: Vec<String>,
}

/// Runs the command.
pub(crate) fn run(run: &CommandContext, args: &CompactArgs) -> anyhow::Result<Exit> {
    let dir = run.store_dir()?;
    if !dir.is_dir() {
        return Err(StoreError::NoStore { path: dir }.into());
    }
    let mut writer = run.writer(run.now)?;
    let done = writer.compact(true)?;
    writer.take_notices().iter().for_each(|notice| run.console.warning(notice));
    let damaged = done.damaged.into_iter().map(|fault| fault.at).collect();
    let answer = CompactJson { months: done.months, merged: done.merged, made: done.made, damaged };
    let exit = if answer.damaged.is_empty() { Exit::Handled } else { Exit::Attention };
    if exit == Exit::Attention {
        run.console.hint(
            "`dmarquet verify` shows what is lost; restore these files from a backup, or fetch their reports again",
        );
    }
    output::answer(args.format, &answer, || match answer.merged {
        0 => "nothing to merge\n".to_owned(),
        merged => format!("{} merged into {}\n", count(merged as u64, "file"), answer.made),
    })?;
    Ok(exit)
}
