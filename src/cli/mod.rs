//! The program: the only place that uses clap, anyhow, standard output and exit codes.
//!
//! Data goes to standard output, messages to standard error. One file per command: its options as typed, then as resolved,
//! then the run. Nothing imports `cli`.

mod ack;
mod alert;
mod args;
mod asked;
mod check;
mod compact;
mod completions;
mod config;
mod convert;
mod customers;
mod digests;
mod enrich;
mod exit;
mod export;
mod fault;
mod fetch;
mod geoip;
mod ingest;
mod interrupt;
mod journey;
mod logo;
mod man;
mod near;
mod output;
mod period;
mod post;
mod prune;
mod rebuild;
mod rejected;
mod rejections;
mod screen;
mod settings;
mod shares;
mod simulate;
mod status;
mod status_parts;
mod straight;
mod summary;
mod trial;
mod verify;
mod ways_out;
mod witness;

#[cfg(any(test, fuzzing))]
pub use settings::fuzzing;

use crate::store::{Store, Writer};
use args::{Command, Common};
use exit::Exit;
use fault::{Hint as _, StdoutClosed};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::Offset;
use output::Talk;
use settings::Settings;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Run the program: read the command line, do it, say how it ended.
pub fn run() -> ExitCode {
    if trial::is_child() {
        return trial::child();
    }
    let root = match args::parse(std::env::args_os()) {
        Ok(root) => root,
        Err(usage) => return told(&usage).into(),
    };
    let talk = Talk::new(root.common.verbose, root.common.quiet, root.common.color);
    talk.start_log();
    let now = root.command.now().unwrap_or_else(Timestamp::now);
    let run = Run { common: root.common, talk, now };
    let exit = run.command(root.command).unwrap_or_else(|error| {
        if error.is::<StdoutClosed>() {
            return Exit::Handled;
        }
        run.talk.error(&error);
        Exit::Failed
    });
    exit.into()
}

/// What clap has to say: help and version are answers, the rest is a usage error.
fn told(usage: &clap::Error) -> Exit {
    // Where the stream is closed there is nobody to tell.
    let _ = usage.print();
    if let Some(variable) = args::variable_behind(usage, std::env::args_os()) {
        eprintln!("hint: the value was set by the environment variable {variable}");
    }
    if usage.use_stderr() { Exit::Failed } else { Exit::Handled }
}

/// One run of the program: what every command may ask for.
struct Run {
    common: Common,
    talk: Talk,
    /// The clock, read once: all stages below are told the time.
    now: Timestamp,
}

impl Run {
    fn command(&self, command: Command) -> anyhow::Result<Exit> {
        match command {
            Command::Fetch(args) => fetch::run(self, &args),
            Command::Ingest(args) => ingest::run(self, &args),
            Command::Convert(args) => convert::run(self, &args),
            Command::Summary(args) => summary::run(self, &args),
            Command::Export(args) => export::run(self, &args),
            Command::Ack(args) => ack::run(self, &args),
            Command::Alert(args) => alert::run(self, &args),
            Command::Check(args) => check::run(self, &args),
            Command::Simulate(args) => simulate::run(self, &args),
            Command::Enrich(args) => enrich::run(self, &args),
            Command::Status(args) => status::run(self, &args),
            Command::Rejected(args) => rejected::run(self, &args),
            Command::Rebuild(args) => rebuild::run(self, &args),
            Command::Compact(args) => compact::run(self, &args),
            Command::Prune(args) => prune::run(self, &args),
            Command::Verify(args) => verify::run(self, &args),
            Command::Config(args) => config::run(self, &args),
            Command::Completions(args) => completions::run(&args),
            Command::Man(args) => man::run(&args),
        }
    }

    /// The UTC day it is.
    fn today(&self) -> Date {
        Offset::UTC.to_datetime(self.now).date()
    }

    /// The settings, read anew.
    fn settings(&self) -> anyhow::Result<Settings> {
        Settings::load(self.common.config.as_deref())
    }

    /// The rows to ask: a bare folder of Parquet where one is named, else the store.
    fn opened(&self, settings: &Settings, records: Option<&Path>) -> anyhow::Result<Store> {
        Ok(match records {
            Some(folder) => Store::open_folder(folder)?,
            None => Store::open(&self.store(settings)?)?,
        })
    }

    /// The store opened for writing, and as open to others as the settings want it.
    fn writer(&self, settings: &Settings, store: &Path, now: Timestamp) -> anyhow::Result<Writer> {
        Ok(Writer::open_as(store, now, settings.access()?)?)
    }

    /// The data folder: option, environment, settings, default.
    fn store(&self, settings: &Settings) -> anyhow::Result<PathBuf> {
        let named = self.common.store.clone().or_else(|| settings.store.clone()).or_else(settings::usual_store);
        named
            .ok_or_else(|| anyhow::anyhow!("data folder: not set, and HOME is not set either"))
            .hint("set one with --store DIR")
    }
}
