//! `prune`: forget what is older than it needs to be.

use super::Run;
use super::args::Format;
use super::exit::Exit;
use super::period::Stretch;
use anyhow::bail;

/// Delete months of reports that are older than wanted, originals and all
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// How much to keep, as 24m; whole months are deleted
    #[arg(long, value_name = "TIME")]
    keep: Stretch,
    /// Say what would be deleted, and delete nothing
    #[arg(long)]
    dry_run: bool,
    /// text or json
    #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
    format: Format,
}

/// Do it.
pub(super) fn run(run: &Run, args: &Args) -> anyhow::Result<Exit> {
    let settings = run.settings()?;
    let store = run.store(&settings)?;
    bail!("prune of {}: {args:?}: not built in yet", store.display());
}
