//! Reads report files and mails without a store.
//!
//! Each report counts once. Unreadable items are reported on standard error.

use super::ingest_run::{self, RunProgress, grouped};
use super::run::CommandContext;
use crate::cli::terminal::exit::Exit;
use crate::cli::terminal::interrupt::Interrupt;
use crate::fetch::files::walk::Walk;
use crate::ingest::{self, ReportSink, Tally};
use crate::store::{Store, Writer};
use anyhow::Context as _;
use std::path::PathBuf;
use tempfile::TempDir;

/// Reads paths without a store.
pub(crate) fn read(
    run: &CommandContext,
    paths: &[PathBuf],
    sink: &mut dyn ReportSink,
) -> anyhow::Result<(Tally, Exit)> {
    let interrupt = Interrupt::listen(&run.console)?;
    let options = ingest_run::options(&interrupt, run, run.now)?;
    let source = Walk::new(paths, options.limits.clone(), run.now);
    let tally = ingest::convert(source, |_| false, &options, &mut RunProgress::new(&run.console, None), sink)?;
    tell_conflicts(
        run,
        &tally,
        "in a store the authentic one counts, or the one that has all rows of the other and more: `dmarquet ingest`",
    );
    let exit = finish(run, &tally);
    Ok((tally, exit))
}

/// Reads paths into a temporary store, which is deleted when the folder is dropped.
pub(crate) fn store(run: &CommandContext, paths: &[PathBuf]) -> anyhow::Result<(TempDir, Store, Exit)> {
    let folder = TempDir::with_prefix("dmarquet-").context("creating a temporary folder")?;
    let interrupt = Interrupt::listen(&run.console)?;
    let options = ingest_run::options(&interrupt, run, run.now)?;
    let source = Walk::new(paths, options.limits.clone(), run.now);
    let mut writer = Writer::open(folder.path(), run.now)?;
    let tally = ingest::run(source, &mut writer, &options, &mut RunProgress::new(&run.console, None))?;
    drop(writer);
    let store = Store::open(folder.path())?;
    let exit = finish(run, &tally);
    Ok((folder, store, exit))
}

fn finish(run: &CommandContext, tally: &Tally) -> Exit {
    ingest_run::name_rejected(&run.console, tally);
    if tally.interrupted {
        run.console.warning("interrupted: the result covers only what was read until then");
    }
    ingest_run::exit(tally)
}

/// Warns about reports that contradict an earlier one. Without a store, each is passed on before the next is read, so
/// the first one counts.
pub(crate) fn tell_conflicts(run: &CommandContext, tally: &Tally, hint: &str) {
    let have = match tally.conflicts {
        0 => return,
        1 => "1 report has the identity of another but different content; the first one counts".to_owned(),
        many => {
            format!(
                "{} reports have the identity of another but different content; the first of each counts",
                grouped(many)
            )
        }
    };
    run.console.warning(&have);
    run.console.hint(hint);
}
