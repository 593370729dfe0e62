//! The context of a run, shared by all commands.

use crate::cli::settings::file::{self, Settings};
use crate::cli::settings::local_path::local_path;
use crate::cli::terminal::fault::Hint as _;
use crate::cli::terminal::output::{Color, Console};
use crate::model::utc_day;
use crate::store::{Store, Writer};
use clap::{ArgAction, Args};
use jiff::Timestamp;
use jiff::civil::Date;
use std::path::{Path, PathBuf};

/// The context of a run, shared by all commands.
pub(crate) struct CommandContext {
    pub(crate) common: GlobalArgs,
    pub(crate) console: Console,
    /// The current time, read once and passed to everything below.
    pub(crate) now: Timestamp,
}

impl CommandContext {
    /// The current UTC day.
    pub(crate) fn today(&self) -> Date {
        utc_day(self.now)
    }

    /// Reads the settings.
    pub(crate) fn settings(&self) -> anyhow::Result<Settings> {
        Settings::load(self.common.config.as_deref())
    }

    /// Opens the folder of Parquet files if given, else the store.
    pub(crate) fn opened(&self, settings: &Settings, records: Option<&Path>) -> anyhow::Result<Store> {
        if let Some(folder) = records {
            return Ok(Store::open_folder(folder)?);
        }
        let dir = self.store(settings)?;
        if !dir.exists() {
            let hint = "`dmarquet fetch` or `dmarquet ingest PATH` creates it";
            self.console.note(&format!("there is no data folder at {} yet; {hint}", dir.display()));
        }
        Ok(Store::open(&dir)?)
    }

    /// Opens the store for writing, with the access the settings ask for.
    pub(crate) fn writer(settings: &Settings, store: &Path, now: Timestamp) -> anyhow::Result<Writer> {
        Ok(Writer::open_as(store, now, settings.access()?)?)
    }

    /// The data folder: option, environment, settings, default.
    pub(crate) fn store(&self, settings: &Settings) -> anyhow::Result<PathBuf> {
        let named = self.common.store.clone().or_else(|| settings.store.clone()).or_else(file::usual_store);
        named
            .ok_or_else(|| anyhow::anyhow!("data folder: not set, and HOME is not set either"))
            .hint("set one with --store DIR")
    }
}

/// Options of every command.
#[derive(Debug, Args)]
pub(crate) struct GlobalArgs {
    /// Data folder [default: `store` in the settings, else ~/.local/share/dmarquet]
    #[arg(long, global = true, value_name = "DIR", value_parser = local_path(), help_heading = "Global options")]
    pub(crate) store: Option<PathBuf>,
    /// Settings file [default: ~/.config/dmarquet/config.toml, else /etc/dmarquet/config.toml]
    #[arg(long, global = true, value_name = "FILE", help_heading = "Global options")]
    pub(crate) config: Option<PathBuf>,
    /// Log progress to stderr; repeat for debug output
    #[arg(short, long, global = true, action = ArgAction::Count, help_heading = "Global options")]
    pub(crate) verbose: u8,
    /// Print errors only
    #[arg(short, long, global = true, help_heading = "Global options")]
    pub(crate) quiet: bool,
    /// When to color output: auto, always or never (NO_COLOR is respected)
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        value_name = "WHEN",
        hide_possible_values = true,
        help_heading = "Global options"
    )]
    pub(crate) color: Color,
}
