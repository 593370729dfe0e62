//! `rebuild`: make the tables anew from the kept originals.

use super::Run;
use super::args::Format;
use super::exit::Exit;
use anyhow::bail;

/// Make the tables anew from the kept originals
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// text or json
    #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
    format: Format,
}

/// Do it.
pub(super) fn run(run: &Run, args: &Args) -> anyhow::Result<Exit> {
    let settings = run.settings()?;
    let store = run.store(&settings)?;
    bail!("rebuild of {}: {args:?}: not built in yet", store.display());
}
