//! `completions`: writes the completion script of a shell.

use crate::cli::terminal::exit::Exit;
use crate::cli::terminal::output;
use clap::ValueHint;
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
    if args.shell == Shell::Bash {
        script = with_paths(&String::from_utf8_lossy(&script), &command).into_bytes();
    }
    output::data(&script)?;
    Ok(Exit::Handled)
}

/// Lets bash complete file names where a command takes paths: `clap_complete` offers its options there instead, whatever
/// the argument is.
fn with_paths(script: &str, command: &clap::Command) -> String {
    let is_path = |arg: &clap::Arg| arg.get_value_hint() == ValueHint::AnyPath;
    let of_paths: Vec<String> = command
        .get_subcommands()
        .filter(|command| command.get_positionals().any(is_path))
        .map(|command| format!("        dmarquet__subcmd__{})", command.get_name()))
        .collect();
    let mut takes_paths = false;
    let lines = script.lines().map(|line| {
        if line.starts_with("        dmarquet__") {
            takes_paths = of_paths.iter().any(|label| label == line);
        }
        match line {
            "            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then" if takes_paths => {
                "            if [[ ${cur} == -* ]] ; then\n"
            }
            // Without a reply, bash completes file names itself.
            r#"            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )"# if takes_paths => {
                "            COMPREPLY=()\n"
            }
            line => return format!("{line}\n"),
        }
        .to_owned()
    });
    lines.collect()
}
