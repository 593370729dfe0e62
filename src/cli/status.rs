//! `status`: the store at a glance.

use super::Run;
use super::args::Format;
use super::exit::Exit;
use super::period::Stretch;
use anyhow::bail;

const EXAMPLES: &str = "\
Examples:
  dmarquet status
  dmarquet status --max-age 3d     for monitoring: exit 1 when a mailbox brought no report for three days";

/// The store at a glance: mailboxes, newest reports, reporters gone silent, rejected items
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// text or json
    #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
    format: Format,
    /// End with 1 where a mailbox (or, without mailboxes, the store) got no report for so long, as 3d
    #[arg(long, value_name = "TIME")]
    max_age: Option<Stretch>,
}

/// Do it.
pub(super) fn run(run: &Run, args: &Args) -> anyhow::Result<Exit> {
    let settings = run.settings()?;
    let store = run.store(&settings)?;
    bail!("status of {}: {args:?}: not built in yet", store.display());
}
