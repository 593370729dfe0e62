//! `verify`: checks the data folder against its ledger.

use crate::cli::terminal::exit::Exit;
use crate::cli::terminal::format::OutputFormat;
use crate::cli::terminal::output;
use crate::cli::wiring::run::CommandContext;
use crate::store::Store;
use serde::Serialize;

/// Check that ledger, tables and originals agree; exit 1 if they do not
#[derive(Debug, clap::Args)]
pub(crate) struct VerifyStoreArgs {
    /// Output format: text or json
    #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
    format: OutputFormat,
}

/// A problem as JSON.
#[derive(Debug, Serialize)]
struct ProblemJson {
    at: String,
    what: String,
}

/// Runs the command.
pub(crate) fn run(run: &CommandContext, args: &VerifyStoreArgs) -> anyhow::Result<Exit> {
    let settings = run.settings()?;
    let faults = Store::open(&run.store(&settings)?)?.verify()?;
    let exit = if faults.is_empty() { Exit::Handled } else { Exit::Attention };
    if args.format == OutputFormat::Json {
        let faults = faults.into_iter().map(|fault| ProblemJson { at: fault.at, what: fault.what });
        output::json(&faults.collect::<Vec<_>>())?;
        return Ok(exit);
    }
    if faults.is_empty() {
        output::data(b"ledger, tables and originals agree\n")?;
    } else {
        faults.iter().for_each(|fault| run.console.unreadable(&fault.at, &fault.what));
        run.console.hint("`dmarquet rebuild` rebuilds ledger and tables from the originals that can be read");
    }
    Ok(exit)
}
