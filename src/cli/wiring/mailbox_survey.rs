//! Shows what `fetch` would do with a mailbox, folder by folder.

use super::ingest_run;
use super::run::CommandContext;
use crate::cli::terminal::exit::Exit;
use crate::cli::terminal::interrupt::Interrupt;
use crate::cli::terminal::output;
use crate::fetch::mailbox::run::PollOptions;
use crate::fetch::mailbox::{Mailbox, Survey, account};
use crate::fetch::{FetchError, poll};
use crate::limits::Limits;
use crate::model::midnight;
use crate::store::Store;
use jiff::Timestamp;
use jiff::civil::Date;
use std::fmt::Write as _;

/// The options of a poll from the command line.
pub(crate) fn poll_options(
    limit: Option<u32>,
    since: Option<Date>,
    now: Timestamp,
    interrupt: &Interrupt,
) -> PollOptions {
    let since = since.map(midnight);
    PollOptions { limit, since, item_bytes: Limits::default().item_bytes, now, stop: interrupt.stop() }
}

/// Logs in to each mailbox and prints folder by folder what `fetch` would do.
pub(crate) fn show(run: &CommandContext, mailboxes: &[Mailbox], options: &PollOptions) -> anyhow::Result<Exit> {
    let store = run.store()?;
    let mut exit = Exit::Handled;
    for mailbox in mailboxes {
        exit = exit.max(show_one(run, mailbox, &store, options)?);
    }
    Ok(exit)
}

fn show_one(run: &CommandContext, mailbox: &Mailbox, store: &Store, options: &PollOptions) -> anyhow::Result<Exit> {
    let progress = store.progress(&mailbox.name)?;
    match poll::survey(mailbox, &progress, options) {
        Ok(survey) => {
            output::data(output::clean_lines(&description(mailbox, &survey)).as_bytes())?;
            survey.failures.iter().for_each(|failure| run.console.fault(&FetchError::Mailbox(failure.clone())));
            Ok(if survey.failures.is_empty() { Exit::Handled } else { Exit::Failed })
        }
        Err(error) => {
            run.console.fault(&FetchError::Mailbox(error));
            Ok(Exit::Failed)
        }
    }
}

/// Describes the folders and what would be done.
pub(crate) fn description(mailbox: &Mailbox, survey: &Survey) -> String {
    let mut out = format!("mailbox {}: logged in\n", mailbox.name);
    for folder in &survey.folders {
        // Writing to a `String` cannot fail.
        let _ = write!(
            out,
            "  {}: {}, {} to fetch",
            folder.setting,
            ingest_run::count(folder.mails.into(), "mail"),
            folder.new
        );
        if folder.new_bytes > 0 {
            let _ = write!(out, " ({})", ingest_run::size(folder.new_bytes));
        }
        if folder.name != folder.setting {
            let _ = write!(out, "; the server calls it {}", folder.name);
        }
        if folder.too_large > 0 {
            let _ = write!(out, "; {} over the limit", folder.too_large);
        }
        if folder.pending > 0 {
            let _ = write!(out, "; {} stored earlier, not yet acknowledged to the server", folder.pending);
        }
        if folder.renewed {
            out.push_str("; its mails have new UIDs, so all are read again");
        }
        out.push('\n');
    }
    let _ = match &mailbox.after {
        account::After::Keep => writeln!(out, "  afterwards: mails stay as they are on the server"),
        account::After::Seen => writeln!(out, "  afterwards: mails with reports are marked as seen"),
        account::After::Delete => writeln!(out, "  afterwards: mails with reports are deleted; others stay"),
        account::After::Move(folder) => {
            writeln!(out, "  afterwards: mails with reports are moved to {folder}; others stay")
        }
    };
    for target in &survey.targets {
        let _ = match &target.name {
            Some(name) if *name == target.setting => writeln!(out, "  {}: exists", target.setting),
            Some(name) => writeln!(out, "  {}: exists; the server calls it {name}", target.setting),
            None => writeln!(out, "  {}: does not exist yet; fetch will create it", target.setting),
        };
    }
    out
}
