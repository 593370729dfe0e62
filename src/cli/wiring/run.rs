//! The context of a run, shared by all commands.

use crate::cli::settings::file::{self, Settings};
use crate::cli::settings::local_path::local_path;
use crate::cli::terminal::fault::Hint as _;
use crate::cli::terminal::output::{Color, Console};
use crate::model::utc_day;
use crate::store::{Store, StoreError, Writer};
use clap::{ArgAction, Args};
use jiff::Timestamp;
use jiff::civil::Date;
use std::cell::OnceCell;
use std::path::{Path, PathBuf};

/// The context of a run, shared by all commands.
pub(crate) struct CommandContext {
    pub(crate) common: GlobalArgs,
    pub(crate) console: Console,
    /// The current time, read once and passed to everything below.
    pub(crate) now: Timestamp,
    /// Read once, by the first that asks: some commands work without, even if the file is wrong.
    settings: OnceCell<Settings>,
}

impl CommandContext {
    /// The context of a run at this time.
    pub(crate) fn new(common: GlobalArgs, console: Console, now: Timestamp) -> Self {
        Self { common, console, now, settings: OnceCell::new() }
    }

    /// The current UTC day.
    pub(crate) fn today(&self) -> Date {
        utc_day(self.now)
    }

    /// The settings.
    pub(crate) fn settings(&self) -> anyhow::Result<&Settings> {
        if let Some(settings) = self.settings.get() {
            return Ok(settings);
        }
        let settings = Settings::load(self.common.config.as_deref())?;
        Ok(self.settings.get_or_init(|| settings))
    }

    /// Opens the store.
    pub(crate) fn store(&self) -> anyhow::Result<Store> {
        Ok(Store::open(&self.store_dir()?)?)
    }

    /// Opens the folder of Parquet files if given, else the store.
    pub(crate) fn store_or(&self, records: Option<&Path>) -> anyhow::Result<Store> {
        if let Some(folder) = records {
            // Settings that cannot be read are an error wherever rows are read, also where none of them is needed.
            self.settings()?;
            return Ok(Store::open_folder(folder)?);
        }
        let dir = self.store_dir()?;
        if !dir.exists() {
            let hint = "`dmarquet fetch` or `dmarquet ingest PATH` creates it";
            self.console.note(&format!("there is no data folder at {} yet; {hint}", dir.display()));
        }
        Ok(Store::open(&dir)?)
    }

    /// Opens the store for writing, with the access the settings ask for, and says what was found wrong with it.
    pub(crate) fn writer(&self, now: Timestamp) -> anyhow::Result<Writer> {
        let mut writer = Writer::open_as(&self.store_dir()?, now, self.settings()?.access()?)?;
        writer.take_notices().iter().for_each(|notice| self.console.warning(notice));
        Ok(writer)
    }

    /// The data folder: option, environment, settings, default.
    pub(crate) fn store_dir(&self) -> anyhow::Result<PathBuf> {
        let settings = self.settings()?;
        let named = self.common.store.clone().or_else(|| settings.store.clone()).or_else(file::usual_store);
        named
            .ok_or_else(|| anyhow::anyhow!("data folder: not set, and HOME is not set either"))
            .hint("set one with --store DIR")
    }
}

/// Whether an error is that another run has the store open for writing.
pub(crate) fn is_busy(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(StoreError::Busy { .. }))
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
