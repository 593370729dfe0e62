//! `rejected`: what could not be read, why, and another try.

use super::Run;
use super::args::Format;
use super::exit::Exit;
use anyhow::bail;
use clap::Subcommand;

const EXAMPLES: &str = "\
Examples:
  dmarquet rejected list
  dmarquet rejected show 3f2a           why, and where its bytes lie
  dmarquet rejected show 3f2a --raw     the bytes themselves
  dmarquet rejected retry               after an update: try all again";

/// What could not be read: list it, look at it, try it again
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, arg_required_else_help = true)]
pub(super) struct Args {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// List what was rejected, newest first
    List {
        /// text or json
        #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
        format: Format,
        /// List the reports that contradict one already stored instead
        #[arg(long)]
        conflicts: bool,
    },
    /// Show one rejected item
    Show {
        /// Its id, or the beginning of it
        id: String,
        /// Write its bytes to standard output
        #[arg(long)]
        raw: bool,
    },
    /// Try rejected items again, as after an update
    Retry {
        /// Their ids, or the beginnings of them [default: all]
        ids: Vec<String>,
        /// The tally as text or json
        #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
        format: Format,
    },
}

/// Do it.
pub(super) fn run(run: &Run, args: &Args) -> anyhow::Result<Exit> {
    let settings = run.settings()?;
    let store = run.store(&settings)?;
    bail!("rejected of {}: {args:?}: not built in yet", store.display());
}
