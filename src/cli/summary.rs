//! `summary`: who sends as us, what passes, and why the rest fails; on a screen, as a page, by mail.

use super::asked::{Asked, From};
use super::exit::Exit;
use super::fault::Hint as _;
use super::period::Choice;
use super::settings::network_of;
use super::{Run, enrich, output, post, screen};
use crate::analyze::{Adder, Explainer, Watched};
use crate::present::{self, Branding, Style};
use anyhow::anyhow;
use clap::ValueEnum;
use jiff::Timestamp;
use std::io::IsTerminal as _;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Without a period: the last complete week, Monday to Sunday, of the store, or everything in the given files. All days are UTC.

Examples:
  dmarquet summary                                     last week, of the store
  dmarquet summary --week 2026-W47 --domain example.com
  dmarquet summary ~/dmarc-reports                     from files, without storing anything
  dmarquet summary --explain 192.0.2.7                 rows and reasoning behind one source
  dmarquet summary --format html > week.html
  dmarquet summary --mail-to postmaster@example.com    mail it, as [smtp] in the settings says";

/// Show who sends mail as your domains, what passes, and why the rest fails
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Report files, mails and folders to summarize instead of the store
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Read a folder of Parquet files, as `export --out` writes it, instead of the store
    #[arg(long, value_name = "DIR", value_parser = super::args::local_path(), conflicts_with = "paths")]
    records: Option<PathBuf>,
    #[command(flatten)]
    choice: Choice,
    /// The time it is taken to be, as 2026-11-19T06:00:00Z [default: the clock]
    #[arg(long, value_name = "TIME")]
    pub(super) now: Option<Timestamp>,
    /// Output format: text, markdown, html, json or csv
    #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
    format: Form,
    /// Width of the text in columns [default: the terminal's, else 80]
    #[arg(long, value_name = "COLUMNS", value_parser = clap::value_parser!(u16).range(40..=400))]
    width: Option<u16>,
    /// Leave out reports whose mail was proven to be forged; they still count under data quality
    #[arg(long)]
    authentic: bool,
    /// Use only ASCII characters [default: if the locale is not UTF-8]
    #[arg(long)]
    ascii: bool,
    /// Print the JSON Schema of --format json, and exit
    #[arg(long, conflicts_with_all = ["paths", "explain", "mail_to"])]
    schema: bool,
    /// Show the rows and the reasoning behind one source or network: 192.0.2.7, 192.0.2.0/24, or 'unknown'
    #[arg(long, value_name = "SOURCE")]
    explain: Option<String>,
    /// Mail the summary, as text and HTML, to this address; may be repeated
    #[arg(long, value_name = "ADDRESS", conflicts_with = "explain")]
    mail_to: Vec<String>,
    /// With --mail-to: print the mail instead of sending it
    #[arg(long, requires = "mail_to")]
    dry_run: bool,
}

/// The forms of a summary.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Form {
    /// For a terminal.
    #[default]
    Text,
    /// For a ticket.
    Markdown,
    /// One page, without scripts or outside requests.
    Html,
    /// Every number.
    Json,
    /// The sources.
    Csv,
}

/// Do it.
pub(super) fn run(run: &Run, args: &Args) -> anyhow::Result<Exit> {
    if args.schema {
        output::data(present::SCHEMA.as_bytes())?;
        return Ok(Exit::Handled);
    }
    if !args.mail_to.is_empty() && !matches!(args.format, Form::Text | Form::Html) {
        let error = anyhow!("--format: expected text or html with --mail-to, found another");
        return Err(error.hint("the mail holds both; to send another format, pipe the output to your mail program"));
    }
    let settings = run.settings()?;
    let mut asked = Asked::new(run, &args.choice, &args.paths)?;
    let source = if args.paths.is_empty() {
        From::Store(run.opened(&settings, args.records.as_deref())?)
    } else {
        From::Paths(&args.paths)
    };
    asked.question.authentic = args.authentic;
    asked.question.services = settings.services()?;
    asked.question.confirmed.clone_from(&settings.confirmed);
    asked.question.own = settings.domains.iter().map(|domain| domain.as_str().into()).collect();
    if let From::Store(store) = &source {
        enrich::known(store, &mut asked.question)?;
    }
    let style = Style {
        width: args.width.unwrap_or_else(screen::width),
        ascii: args.ascii || (args.format == Form::Text && screen::is_ascii()),
        color: run.common.color.on(std::io::stdout().is_terminal()),
    };
    if let Some(name) = &args.explain {
        return explain(run, (name, args.format), (&asked, &source), &style);
    }
    let (adder, exit) = asked.gather(run, &source, Adder::new(&asked.question))?;
    let summary = adder.finish();
    if !args.mail_to.is_empty() {
        post::send(run, &settings, &args.mail_to, &summary, args.dry_run)?;
        return Ok(exit);
    }
    let brand = Branding::default();
    match args.format {
        Form::Text => screen::show(&present::text(&summary, &brand, &style))?,
        Form::Markdown => output::data(present::markdown(&summary, &brand, &style).as_bytes())?,
        Form::Html => output::data(present::html(&summary, &brand, &style).as_bytes())?,
        Form::Json => output::stream(|out| present::write_json(&summary, out))?,
        Form::Csv => output::data(present::csv(&summary).as_bytes())?,
    }
    Ok(exit)
}

/// The rows and the reasoning behind one source or network.
fn explain(
    run: &Run,
    (name, form): (&str, Form),
    (asked, source): (&Asked, &From<'_>),
    style: &Style,
) -> anyhow::Result<Exit> {
    if !matches!(form, Form::Text | Form::Json) {
        return Err(anyhow!("--format: expected text or json with --explain, found another"));
    }
    let watched = match name {
        "unknown" => Watched::Unknown,
        name => network_of(name).map(|(network, bits)| Watched::Network(network, bits)).ok_or_else(|| {
            anyhow!(
                "--explain {name}: expected an address, a network as 192.0.2.0/24, or 'unknown', found none of them"
            )
            .hint("`dmarquet summary --format csv` lists the sources")
        })?,
    };
    let (explainer, exit) = asked.gather(run, source, Explainer::new(&asked.question, watched))?;
    let explanation = explainer.finish();
    match form {
        Form::Json => output::data(present::explain_json(&explanation).as_bytes())?,
        _ => screen::show(&present::explain(&explanation, style))?,
    }
    Ok(exit)
}
