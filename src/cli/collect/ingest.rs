//! `ingest`: imports files, folders, mbox, Maildir and standard input into the store.

use crate::cli::settings::local_path;
use crate::cli::terminal::exit::Exit;
use crate::cli::terminal::format::OutputFormat;
use crate::cli::terminal::interrupt::Interrupt;
use crate::cli::wiring::ingest_run::{self, RunProgress};
use crate::cli::wiring::run::CommandContext;
use crate::cli::wiring::verifier::{Verification, VerifyArgs};
use crate::fetch::files::walk::Walk;
use crate::ingest;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Reads report XML, gzip, zip, mails, mbox files, Maildirs, and folders of these, recognized by content. Reports that are already in the store are counted as duplicates and not stored again.

Examples:
  dmarquet ingest ~/dmarc-reports
  dmarquet ingest reports.mbox 'google.com!example.com!1794787200!1794873599.zip'
  cat mail.eml | dmarquet ingest -
  dmarquet ingest ~/Maildir --verify        also verify who signed the mails
  dmarquet ingest ~/dmarc-reports --format json | jq .stored";

/// Import report files, mails, mailbox files and folders
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct IngestArgs {
    /// Files and folders; - reads standard input
    #[arg(required = true, value_name = "PATH", value_parser = local_path::local_path())]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    verify: VerifyArgs,
    /// Print the counts as text or json
    #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
    format: OutputFormat,
}

/// Runs the command.
pub(crate) fn run(run: &CommandContext, args: &IngestArgs) -> anyhow::Result<Exit> {
    let interrupt = Interrupt::listen(&run.console)?;
    let verification = Verification::of(&args.verify, run.settings()?.verify)?;
    let options = verification.of_run(ingest_run::options(&interrupt, run, run.now)?);
    let mut writer = run.writer(run.now)?;
    ingest_run::clock_warning(writer.last_commit()?, run.now).inspect(|warning| run.console.warning(warning));
    let source = Walk::new(&args.paths, options.limits.clone(), run.now);
    let tally = ingest::run(source, &mut writer, &options, &mut RunProgress::new(&run.console, None))?;
    verification.tell(&run.console);
    ingest_run::tell(&run.console, &tally, Some(args.format))
}
