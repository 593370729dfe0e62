//! `man`: writes the manual pages, generated from the same text as `--help`.

use super::settings_page;
use crate::cli::settings::local_path;
use crate::cli::terminal::exit::Exit;
use crate::cli::terminal::output;
use anyhow::Context as _;
use std::path::{Path, PathBuf};

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
        output::data(page(&clap_mangen::Man::new(command)).context("manual page")?.as_bytes())?;
        return Ok(Exit::Handled);
    };
    std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let mut command = command.disable_help_subcommand(true);
    command.build();
    pages(&command, folder).with_context(|| folder.display().to_string())?;
    let settings = folder.join("dmarquet.toml.5");
    std::fs::write(&settings, settings_page::page()).with_context(|| settings.display().to_string())?;
    Ok(Exit::Handled)
}

/// Writes a page for each command.
fn pages(command: &clap::Command, folder: &Path) -> std::io::Result<()> {
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        pages(below, folder)?;
    }
    let man = clap_mangen::Man::new(command.clone());
    std::fs::write(folder.join(man.get_filename()), page(&man)?)
}

/// Renders a page.
fn page(man: &clap_mangen::Man) -> std::io::Result<String> {
    let mut page = Vec::new();
    man.render(&mut page)?;
    Ok(readable(&String::from_utf8_lossy(&page)))
}

/// Gives what `--help` says after the options the sections of a manual page, and keeps each example on its line, so that
/// it can be copied.
fn readable(page: &str) -> String {
    let mut out = String::new();
    let mut as_is = false;
    for line in page.lines() {
        let is_example = line.starts_with("  ");
        if is_example != as_is {
            out.push_str(if is_example { ".nf\n" } else { ".fi\n" });
            as_is = is_example;
        }
        if line == ".SH EXTRA" {
            out.push_str(".SH NOTES\n");
        } else if line == "Examples:" {
            out.truncate(out.strip_suffix(".SH NOTES\n").unwrap_or(&out).len());
            out.push_str(".SH EXAMPLES\n");
        } else if let Some(codes) = line.strip_prefix("Exit codes: ") {
            out.extend([".SH \"EXIT STATUS\"\n", codes, "\n"]);
        } else {
            out.push_str(line);
            out.push('\n');
        }
    }
    if as_is {
        out.push_str(".fi\n");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::readable;

    #[test]
    fn examples_keep_their_lines_and_notes_are_in_sections() {
        assert_eq!(
            readable(".SH EXTRA\nWords.\n\nExamples:\n  one | two\n  three\n\nExit codes: 0 done.\n.SH VERSION\n"),
            ".SH NOTES\nWords.\n\n.SH EXAMPLES\n.nf\n  one | two\n  three\n.fi\n\n\
             .SH \"EXIT STATUS\"\n0 done.\n.SH VERSION\n"
        );
        assert_eq!(readable(".SH EXTRA\nExamples:\n  one\n"), ".SH EXAMPLES\n.nf\n  one\n.fi\n");
    }
}
