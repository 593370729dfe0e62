//! `rebuild`: rebuilds the tables from the stored originals.

use crate::cli::terminal::exit::Exit;
use crate::cli::terminal::format::OutputFormat;
use crate::cli::terminal::interrupt::Interrupt;
use crate::cli::wiring::ingest_run;
use crate::cli::wiring::run::CommandContext;
use crate::ingest;

/// Rebuild the tables from the original reports
#[derive(Debug, clap::Args)]
pub(crate) struct RebuildArgs {
    /// Output format: text or json
    #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
    format: OutputFormat,
}

/// Runs the command.
pub(crate) fn run(run: &CommandContext, args: &RebuildArgs) -> anyhow::Result<Exit> {
    let interrupt = Interrupt::listen(&run.console)?;
    let options = ingest_run::options(&interrupt, run, run.now)?;
    let (tally, rebuilt) = ingest::rebuild(&run.store_dir()?, run.settings()?.access()?, &options)?;
    rebuilt.notices.iter().for_each(|notice| run.console.warning(notice));
    rebuilt.damaged.iter().for_each(|fault| run.console.unreadable(&fault.at, &fault.what));
    let exit = if rebuilt.damaged.is_empty() { Exit::Handled } else { Exit::Attention };
    Ok(ingest_run::tell(&run.console, &tally, Some(args.format))?.max(exit))
}
