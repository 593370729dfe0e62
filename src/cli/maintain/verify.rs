//! `verify`: checks the data folder against its ledger.

use crate::cli::terminal::exit::Exit;
use crate::cli::terminal::format::OutputFormat;
use crate::cli::terminal::output;
use crate::cli::wiring::run::CommandContext;

/// Check that ledger, tables and originals agree; exit 1 if they do not
#[derive(Debug, clap::Args)]
pub(crate) struct VerifyStoreArgs {
    /// Output format: text or json
    #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
    format: OutputFormat,
}

/// Runs the command.
pub(crate) fn run(run: &CommandContext, args: &VerifyStoreArgs) -> anyhow::Result<Exit> {
    let faults = run.store()?.verify()?;
    let exit = if faults.is_empty() { Exit::Handled } else { Exit::Attention };
    if args.format == OutputFormat::Json {
        output::json(&faults)?;
    } else if faults.is_empty() {
        output::data(b"ledger, tables and originals agree\n")?;
    } else {
        faults.iter().for_each(|fault| run.console.unreadable(&fault.at, &fault.what));
        run.console.hint("`dmarquet rebuild` rebuilds ledger and tables from the originals that can be read");
    }
    Ok(exit)
}
