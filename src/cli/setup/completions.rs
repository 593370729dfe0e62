//! `completions`: writes the completion script of a shell.

use crate::cli::terminal::exit::Exit;
use crate::cli::terminal::output;
use clap_complete::Shell;

const EXAMPLES: &str = "\
Examples:
  dmarquet completions bash > ~/.local/share/bash-completion/completions/dmarquet
  dmarquet completions zsh > ~/.zfunc/_dmarquet
  dmarquet completions fish > ~/.config/fish/completions/dmarquet.fish";

/// Write shell completions to standard output
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

/// Runs the command.
pub(crate) fn run(args: &CompletionsArgs, mut command: clap::Command) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "dmarquet", &mut script);
    output::data(&script)?;
    Ok(Exit::Handled)
}
