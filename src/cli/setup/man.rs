//! `man`: writes the manual pages, generated from the same text as `--help`.

use super::settings_page;
use crate::cli::settings::local_path;
use crate::cli::terminal::exit::Exit;
use crate::cli::terminal::output;
use anyhow::Context as _;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  dmarquet man | man -l -
  dmarquet man --out man      writes dmarquet.1, dmarquet-fetch.1, ..., dmarquet.toml.5";

/// Write the manual page to standard output, or all pages to a folder
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ManArgs {
    /// Write one page per command, and one about the settings, into this folder
    #[arg(long, value_name = "DIR", value_parser = local_path::local_path())]
    out: Option<PathBuf>,
}

/// Runs the command.
pub(crate) fn run(args: &ManArgs, command: clap::Command) -> anyhow::Result<Exit> {
    let Some(folder) = &args.out else {
        output::data(&page(command)?)?;
        return Ok(Exit::Handled);
    };
    std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    clap_mangen::generate_to(command, folder).with_context(|| folder.display().to_string())?;
    let settings = folder.join("dmarquet.toml.5");
    std::fs::write(&settings, settings_page::page()).with_context(|| settings.display().to_string())?;
    Ok(Exit::Handled)
}

/// Renders a page.
fn page(command: clap::Command) -> anyhow::Result<Vec<u8>> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page).context("manual page")?;
    Ok(page)
}
