//! Runs the program: parses the command line, runs the command and returns its exit code.

use super::args::{self, Command};
use super::collect::{convert, enrich, fetch, ingest};
use super::maintain::{backup, compact, prune, rebuild, rejected, verify};
use super::report::{ack, alert, check, export, metrics, query, simulate, site, status, summary};
use super::setup::{completions, config, man};
use super::terminal::exit::Exit;
use super::terminal::fault::StdoutClosed;
use super::terminal::output::Console;
use super::wiring::run::CommandContext;
use super::wiring::trial;
use jiff::Timestamp;
use std::process::ExitCode;

/// Runs the program and returns its exit code.
pub fn run() -> ExitCode {
    if trial::is_child() {
        return trial::child();
    }
    let root = match args::parse(std::env::args_os()) {
        Ok(root) => root,
        Err(usage) => return print_usage(&usage).into(),
    };
    let console = Console::new(root.common.verbose, root.common.quiet, root.common.color);
    console.start_log();
    if Timestamp::try_from(std::time::SystemTime::now()).is_err() {
        console.error(&anyhow::anyhow!("this computer's clock is set to a time that no calendar has: set it"));
        return Exit::Failed.into();
    }
    let now = root.command.now().unwrap_or_else(Timestamp::now);
    let run = CommandContext::new(root.common, console, now);
    let exit = dispatch(&run, root.command).unwrap_or_else(|error| {
        if error.is::<StdoutClosed>() {
            return Exit::Handled;
        }
        run.console.error(&error);
        Exit::Failed
    });
    exit.into()
}

/// Runs a command.
fn dispatch(run: &CommandContext, command: Command) -> anyhow::Result<Exit> {
    match command {
        Command::Fetch(args) => fetch::run(run, &args),
        Command::Ingest(args) => ingest::run(run, &args),
        Command::Convert(args) => convert::run(run, &args),
        Command::Summary(args) => summary::run(run, &args),
        Command::Site(args) => site::run(run, &args),
        Command::Export(args) => export::run(run, &args),
        Command::Query(args) => query::run(run, &args),
        Command::Ack(args) => ack::run(run, &args),
        Command::Alert(args) => alert::run(run, &args),
        Command::Metrics(args) => metrics::run(run, &args),
        Command::Check(args) => check::run(run, &args),
        Command::Simulate(args) => simulate::run(run, &args),
        Command::Enrich(args) => enrich::run(run, &args),
        Command::Status(args) => status::run(run, &args),
        Command::Rejected(args) => rejected::run(run, &args),
        Command::Rebuild(args) => rebuild::run(run, &args),
        Command::Compact(args) => compact::run(run, &args),
        Command::Prune(args) => prune::run(run, &args),
        Command::Verify(args) => verify::run(run, &args),
        Command::Backup(args) => backup::run(run, &args),
        Command::Config(args) => config::run(run, &args),
        Command::Completions(args) => completions::run(&args, args::command()),
        Command::Man(args) => man::run(&args, args::command()),
    }
}

/// Prints a clap error. Help and version are successes, all others are usage errors.
fn print_usage(usage: &clap::Error) -> Exit {
    // If the stream is closed, there is nowhere to report it.
    let _ = usage.print();
    if let Some(variable) = args::variable_behind(usage, std::env::args_os()) {
        eprintln!("hint: the value was set by the environment variable {variable}");
    }
    if usage.use_stderr() { Exit::Failed } else { Exit::Handled }
}
