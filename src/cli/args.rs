//! The command line as typed: the root command, the options every command has, and their environment variables.
//!
//! Each command's own options are in its file. Clap's types never leave `cli`.

use super::collect::{convert, enrich, fetch, ingest};
use super::maintain::{backup, compact, prune, rebuild, rejected, verify};
use super::report::{ack, alert, check, export, metrics, query, simulate, site, status, summary};
use super::setup::{completions, config, man};
use super::wiring::run::GlobalArgs;
use clap::builder::FalseyValueParser;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{ArgAction, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use std::ffi::OsString;

const AFTER_HELP: &str = "\
Each option can also be set in the environment: --mail-to is DMARQUET_MAIL_TO. The command line overrides the environment, which overrides the settings file.

Exit codes: 0 success; 1 finished, but something new could not be read; 2 could not run or finish.

Examples:
  dmarquet config init                 write a settings file to fill in
  dmarquet fetch                       poll the mailboxes in the settings (for cron)
  dmarquet ingest ~/dmarc-reports      import a folder of report files and mails
  dmarquet summary                     last week: who sends as you, what fails, and why
  dmarquet summary ~/dmarc-reports     the same from files, without storing anything";

/// DMARC aggregate reports from the mailbox to Parquet, and a weekly summary of who sends mail as you.
#[derive(Debug, Parser)]
#[command(name = "dmarquet", version, about, after_help = AFTER_HELP, max_term_width = 110, arg_required_else_help = true)]
pub(crate) struct Root {
    /// Options of every command.
    #[command(flatten)]
    pub(crate) common: GlobalArgs,
    /// The command to run.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Fetch(fetch::FetchArgs),
    Ingest(ingest::IngestArgs),
    Summary(summary::SummaryArgs),
    Site(site::SiteArgs),
    Alert(alert::AlertArgs),
    Metrics(metrics::MetricsArgs),
    Ack(ack::AckArgs),
    Export(export::ExportArgs),
    Query(query::QueryArgs),
    Convert(convert::ConvertArgs),
    Check(check::CheckArgs),
    Simulate(simulate::SimulateArgs),
    Enrich(enrich::EnrichArgs),
    Status(status::StatusArgs),
    Rejected(rejected::RejectedArgs),
    Rebuild(rebuild::RebuildArgs),
    Compact(compact::CompactArgs),
    Prune(prune::PruneArgs),
    Verify(verify::VerifyStoreArgs),
    Backup(backup::BackupArgs),
    Config(config::ConfigArgs),
    Completions(completions::CompletionsArgs),
    Man(man::ManArgs),
}

impl Command {
    /// The time given by `--now`.
    pub(crate) fn now(&self) -> Option<jiff::Timestamp> {
        match self {
            Self::Alert(args) => args.now,
            Self::Ack(args) => args.now(),
            Self::Metrics(args) => args.now,
            Self::Summary(args) => args.now,
            Self::Site(args) => args.now,
            _ => None,
        }
    }
}

/// The complete clap command: also the source of help, completions and manual pages.
pub(crate) fn command() -> clap::Command {
    with_environment(Root::command())
}

/// Parses a command line.
pub(crate) fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Root, clap::Error> {
    let mut command = command();
    let matches = command.try_get_matches_from_mut(words)?;
    let root = Root::from_arg_matches(&matches)?;
    if let (Command::Summary(args), Some((_, given))) = (&root.command, matches.subcommand()) {
        let typed = |id: &str| given.value_source(id) == Some(ValueSource::CommandLine);
        if let Some(ignored) = args.ignored_option(typed) {
            return Err(command.error(ErrorKind::ArgumentConflict, ignored));
        }
    }
    Ok(root)
}

/// Gives every option its environment variable, in one place so that none is forgotten.
fn with_environment(command: clap::Command) -> clap::Command {
    command
        .mut_args(|arg| {
            let Some(name) = arg.get_long().map(variable) else { return arg };
            let arg = if matches!(arg.get_action(), ArgAction::SetTrue) {
                arg.value_parser(FalseyValueParser::new())
            } else {
                arg
            };
            arg.env(name).hide_env(true)
        })
        .mut_subcommands(with_environment)
}

/// The environment variable of an option: `mail-to` is `DMARQUET_MAIL_TO`.
fn variable(long: &str) -> String {
    format!("DMARQUET_{}", long.to_uppercase().replace('-', "_"))
}

/// The environment variable that a wrong value came from; `None` if it came from the command line.
pub(crate) fn variable_behind(usage: &clap::Error, mut words: impl Iterator<Item = OsString>) -> Option<String> {
    let Some(ContextValue::String(arg)) = usage.get(ContextKind::InvalidArg) else { return None };
    let option = arg.split(' ').next()?;
    let name = variable(option.strip_prefix("--")?);
    let typed = words.any(|word| word.to_string_lossy().split('=').next() == Some(option));
    (!typed && std::env::var_os(&name).is_some()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::{Root, command, parse};

    fn parsed(line: &str) -> Result<Root, clap::Error> {
        parse(line.split(' ').map(Into::into))
    }

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn the_text_after_the_options_is_wrapped_once_by_clap() {
        fn walk(command: &clap::Command) {
            let text = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            for (line, next) in text.lines().zip(text.lines().skip(1)) {
                let is_wrapped = !line.is_empty() && !line.starts_with(' ') && !line.ends_with(':');
                assert!(!is_wrapped || next.is_empty(), "{}: {line}", command.get_name());
            }
            command.get_subcommands().for_each(walk);
        }
        walk(&command());
    }

    #[test]
    fn a_form_of_the_summary_refuses_an_option_that_it_would_ignore() {
        for (line, expected) in [
            ("dmarquet summary --format json --width 90", "--width: expected with --format text, found --format json"),
            ("dmarquet summary --format html --ascii", "--ascii: expected with --format text, found --format html"),
            ("dmarquet summary --width 90 --overview --format csv", "found --format csv"),
            ("dmarquet summary --ascii --mail-to a@example.com", "--ascii: expected without --mail-to"),
            ("dmarquet summary --width 90 --customer x --mail", "--width: expected without --mail"),
        ] {
            let error = parsed(line).unwrap_err().to_string();
            assert!(error.contains(expected), "{line}: {error}");
        }
        for line in ["dmarquet summary --width 90 --ascii", "dmarquet summary --explain 192.0.2.1 --width 90"] {
            assert!(parsed(line).is_ok(), "{line}");
        }
    }

    #[test]
    fn every_option_has_its_environment_variable() {
        fn walk(command: &clap::Command) {
            for arg in command.get_arguments() {
                let Some(long) = arg.get_long() else { continue };
                let expected = super::variable(long);
                assert_eq!(
                    arg.get_env().and_then(|name| name.to_str()),
                    Some(expected.as_str()),
                    "{}",
                    command.get_name()
                );
            }
            command.get_subcommands().for_each(walk);
        }
        walk(&command());
    }

    #[test]
    fn every_command_and_option_says_what_it_does() {
        fn walk(command: &clap::Command) {
            assert!(command.get_about().is_some(), "{} has no help", command.get_name());
            for arg in command.get_arguments() {
                assert!(arg.get_help().is_some(), "{} {} has no help", command.get_name(), arg.get_id());
            }
            command.get_subcommands().for_each(walk);
        }
        walk(&command());
    }

    #[test]
    fn no_option_takes_a_secret() {
        fn walk(command: &clap::Command) {
            for arg in command.get_arguments() {
                let name = arg.get_id().as_str();
                assert!(!["password", "token", "secret"].iter().any(|word| name.contains(word)), "{name}");
            }
            command.get_subcommands().for_each(walk);
        }
        walk(&command());
    }

    #[test]
    fn a_url_is_no_folder() {
        for line in ["dmarquet export --out s3://bucket/x", "dmarquet status --store gs://bucket/x"] {
            let error = parsed(line).unwrap_err().to_string();
            assert!(error.contains("expected a path on this machine, found a URL"), "{error}");
        }
        for line in
            ["dmarquet export --out ./s3://bucket", "dmarquet export --out a:b/c", "dmarquet export --out c://x"]
        {
            assert!(parsed(line).is_ok(), "{line}");
        }
    }

    #[test]
    fn store_and_config_stand_before_or_after_the_command() {
        for line in ["dmarquet --store s --config c status", "dmarquet status --store s --config c"] {
            let root = parsed(line).unwrap();
            assert_eq!(root.common.store.as_deref(), Some("s".as_ref()));
            assert_eq!(root.common.config.as_deref(), Some("c".as_ref()));
        }
    }
}
