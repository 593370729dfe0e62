//! `summary`: who sends as us, what passes, and why the rest fails.

use super::exit::Exit;
use super::interrupt::Interrupt;
use super::journey::{self, Watch};
use super::period::{self, Choice};
use super::{Run, output, screen};
use crate::analyse::{Adder, Period, Question, Summary};
use crate::fetch::files::Walk;
use crate::ingest::{self, Tally};
use crate::model::Columns;
use crate::present::{self, Style};
use crate::store::{Collector, Filter, Store, head};
use clap::ValueEnum;
use jiff::civil::Date;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Without a period: of the store the last complete week, Monday to Sunday; of paths all that they hold. All days are UTC.

Examples:
  dmarquet summary                                     last week, of the store
  dmarquet summary --week 2026-W47 --domain example.com
  dmarquet summary ~/dmarc-reports                     straight of files, nothing stored
  dmarquet summary --last 30d --format json | jq .totals";

/// The weekly summary: who sends as your domains, what passes, and why the rest fails
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Report files, mails and folders to summarise instead of the store
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    choice: Choice,
    /// text, json or csv
    #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
    format: Form,
    /// Columns of the text [default: the terminal's, else 80]
    #[arg(long, value_name = "COLUMNS", value_parser = clap::value_parser!(u16).range(40..=400))]
    width: Option<u16>,
    /// Only ASCII characters [default: where the locale is not UTF-8]
    #[arg(long)]
    ascii: bool,
}

/// The forms of a summary.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Form {
    /// For a terminal.
    #[default]
    Text,
    /// Every number.
    Json,
    /// The sources.
    Csv,
}

/// Rows of the store-less way are added up so many at a time.
const RUN: usize = 1 << 16;

/// Do it.
pub(super) fn run(run: &Run, args: &Args) -> anyhow::Result<Exit> {
    let question = question(run, args)?;
    let (summary, exit) =
        if args.paths.is_empty() { (of_store(run, &question)?, Exit::Handled) } else { of_paths(run, args, question)? };
    show(run, args, &summary)?;
    Ok(exit)
}

/// What is asked: of a store without a period the last complete week, of paths all they hold.
fn question(run: &Run, args: &Args) -> anyhow::Result<Question> {
    let today = run.today();
    let asked = match args.choice.days(today) {
        None if args.paths.is_empty() => {
            let (from, to) = period::last_complete_week(today);
            Some(Period::new(from, to)?)
        }
        None => None,
        Some((from, to)) => Some(Period::new(from.unwrap_or(FIRST), to.unwrap_or(today))?),
    };
    Ok(Question { period: asked, domains: args.choice.canonical()?, today: Some(today), ..Question::default() })
}

/// No report can be older: DMARC was not yet thought of.
const FIRST: Date = Date::constant(2000, 1, 1);

/// The store's answer: its rows are added up on all cores.
fn of_store(run: &Run, question: &Question) -> anyhow::Result<Summary> {
    let store = Store::open(&run.store(&run.settings()?)?)?;
    let days = question.reads();
    let filter = Filter {
        from: days.map(Period::from),
        to: days.map(Period::to),
        domains: question.domains.iter().map(ToString::to_string).collect(),
    };
    let mut whole = Adder::new(question);
    whole.heads(&store.heads(&filter)?);
    let parts = store.fold(&filter, Columns::ALL, || Adder::new(question), |adder, rows| adder.rows(&rows))?;
    parts.into_iter().for_each(|part| whole.merge(part));
    Ok(whole.finish())
}

/// The answer straight from files. What cannot be read is named, counted in the answer, and costs exit code 1.
fn of_paths(run: &Run, args: &Args, question: Question) -> anyhow::Result<(Summary, Exit)> {
    let interrupt = Interrupt::listen(&run.talk)?;
    let options = journey::options(&interrupt, run.now);
    let source = Walk::new(&args.paths, options.limits.clone(), run.now);
    let mut adder = Adder::new(&question);
    let mut collector = Collector::new();
    let tally: Tally = ingest::read(source, &options, &mut Watch::new(&run.talk, None), &mut |accepted| {
        let sender_auth = accepted.provenance.sender_auth();
        collector.push(&accepted.report, &accepted.verdicts, sender_auth);
        adder.heads(&[head(&accepted)]);
        if collector.len() >= RUN {
            adder.rows(&collector.take());
        }
    })?;
    adder.rows(&collector.take());
    adder.aside(crate::analyse::Aside { unreadable: tally.rejected_count(), conflicts: tally.conflicts });
    journey::name_rejected(&run.talk, &tally);
    Ok((adder.finish(), journey::exit(&tally)))
}

fn show(run: &Run, args: &Args, summary: &Summary) -> anyhow::Result<()> {
    match args.format {
        Form::Json => output::data(present::json(summary).as_bytes()),
        Form::Csv => output::data(present::csv(summary).as_bytes()),
        Form::Text => {
            let style = Style {
                width: args.width.unwrap_or_else(screen::width),
                ascii: args.ascii || screen::is_ascii(),
                color: run.talk.colours_data(),
            };
            screen::show(&present::text(summary, &style))
        }
    }
}
