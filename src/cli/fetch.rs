//! `fetch`: poll the mailboxes of the settings.

use super::Run;
use super::args::Format;
use super::exit::Exit;
use super::period::Day;
use anyhow::bail;

const EXAMPLES: &str = "\
Silent where all is well. In a crontab, cron mails what needs a person:
  17 * * * *  dmarquet fetch --if-idle

Examples:
  dmarquet config init && dmarquet config check      set it up and try it
  dmarquet fetch --verbose                           what it does
  dmarquet fetch --mailbox reports --since 2026-11-01 --dry-run
  dmarquet fetch --watch                             stay, and take in what arrives";

/// Poll every mailbox of the settings once, or stay and wait
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Only this mailbox of the settings (repeat for more)
    #[arg(long, value_name = "NAME")]
    mailbox: Vec<String>,
    /// At most so many mails a folder
    #[arg(long, value_name = "N")]
    limit: Option<u32>,
    /// Only mails that arrived on this day or later, as 2026-11-16
    #[arg(long, value_name = "DATE")]
    since: Option<Day>,
    /// Say what would be fetched; change nothing, here or on the server
    #[arg(long)]
    dry_run: bool,
    /// Stay connected and take in mails as they arrive, until SIGTERM
    #[arg(long, conflicts_with = "dry_run")]
    watch: bool,
    /// Where another run holds the store, end quietly with 0 instead of 2
    #[arg(long)]
    if_idle: bool,
    /// The tally as text or json [default: text on a terminal, else silence]
    #[arg(long, value_enum, hide_possible_values = true)]
    format: Option<Format>,
}

/// Do it.
pub(super) fn run(run: &Run, args: &Args) -> anyhow::Result<Exit> {
    let settings = run.settings()?;
    let store = run.store(&settings)?;
    bail!("fetch into {}: {args:?}: not built in yet", store.display());
}
