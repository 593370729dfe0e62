//! `query` in a build without the feature: says how to get it.

use crate::cli::terminal::exit::Exit;
use crate::cli::terminal::fault::Hint as _;
use crate::cli::wiring::run::CommandContext;
use anyhow::anyhow;
use std::ffi::OsString;

/// Answer SQL over the stored tables (not in this build: cargo feature `query`)
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct WithoutQueryArgs {
    /// Arguments of the real command
    #[arg(value_name = "SQL", trailing_var_arg = true, allow_hyphen_values = true)]
    _words: Vec<OsString>,
}

/// Fails with a hint.
pub(crate) fn run(_: &CommandContext, _: &WithoutQueryArgs) -> anyhow::Result<Exit> {
    let error = anyhow!("query: expected a build with the cargo feature `query`, found one without it");
    Err(error.hint("the packages have it; from source: cargo install --path . --features query"))
}
