//! `completions`: what a shell needs to complete our command lines.

use super::args;
use super::exit::Exit;
use super::output;
use clap_complete::Shell;

const EXAMPLES: &str = "\
Examples:
  dmarquet completions bash > ~/.local/share/bash-completion/completions/dmarquet
  dmarquet completions zsh > ~/.zfunc/_dmarquet
  dmarquet completions fish > ~/.config/fish/completions/dmarquet.fish";

/// Write shell completions to standard output
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The shell
    shell: Shell,
}

/// Do it.
pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut args::command(), "dmarquet", &mut script);
    output::data(&script)?;
    Ok(Exit::Handled)
}
