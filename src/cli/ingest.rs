//! `ingest`: files, folders, mbox, Maildir and standard input into the store.

use super::Run;
use super::args::Format;
use super::exit::Exit;
use anyhow::bail;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Taken in: report XML, gzip, zip, mails, mbox files, Maildirs and folders of all these, told by content.
What was taken in before is recognised and counted, not stored twice.

Examples:
  dmarquet ingest ~/dmarc-reports
  dmarquet ingest reports.mbox 'google.com!example.com!1794787200!1794873599.zip'
  cat mail.eml | dmarquet ingest -
  dmarquet ingest ~/dmarc-reports --format json | jq .stored";

/// Take in report files, mails, mbox files and folders
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Files and folders; - is standard input
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// The tally as text or json
    #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
    format: Format,
}

/// Do it.
pub(super) fn run(run: &Run, args: &Args) -> anyhow::Result<Exit> {
    let settings = run.settings()?;
    let store = run.store(&settings)?;
    bail!("ingest {} paths into {} as {:?}: not built in yet", args.paths.len(), store.display(), args.format);
}
