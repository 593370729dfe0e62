//! `check`: what DNS says of a domain.

use super::Run;
use super::args::Format;
use super::exit::Exit;
use anyhow::bail;

/// What DNS says of a domain: DMARC, SPF, DKIM, MX, and the names of the sources seen
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The domains
    #[arg(required = true, value_name = "DOMAIN")]
    domains: Vec<String>,
    /// text or json
    #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
    format: Format,
}

/// Do it.
pub(super) fn run(run: &Run, args: &Args) -> anyhow::Result<Exit> {
    let settings = run.settings()?;
    let store = run.store(&settings)?;
    bail!("check with {}: {args:?}: not built in yet", store.display());
}
