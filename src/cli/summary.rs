//! `summary`: who sends as us, what passes, and why the rest fails; on a screen, as a page, by mail.

use super::exit::Exit;
use super::period::Choice;
use super::settings::Settings;
use super::{Run, output, post, screen, straight};
use crate::analyse::{Adder, Aside, Period, Question, Summary};
use crate::model::Columns;
use crate::present::{self, Style};
use crate::store::{Collector, Filter, Store, head};
use clap::ValueEnum;
use jiff::civil::Date;
use jiff::tz::Offset;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

/// Rows of files that are added up at once.
const AT_ONCE: usize = 1 << 14;

const EXAMPLES: &str = "\
Without a period: of the store the last complete week, Monday to Sunday; of paths all that they hold. All days are UTC.

Examples:
  dmarquet summary                                     last week, of the store
  dmarquet summary --week 2026-W47 --domain example.com
  dmarquet summary ~/dmarc-reports                     straight of files, nothing stored
  dmarquet summary --explain 192.0.2.7                 the rows and the reasoning behind one source
  dmarquet summary --format html > week.html
  dmarquet summary --mail-to postmaster@example.com    by mail, with the [smtp] of the settings";

/// The weekly summary: who sends as your domains, what passes, and why the rest fails
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Report files, mails and folders to summarise instead of the store
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    choice: Choice,
    /// text, markdown, html, json or csv
    #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
    format: Form,
    /// Columns of the text [default: the terminal's, else 80]
    #[arg(long, value_name = "COLUMNS", value_parser = clap::value_parser!(u16).range(40..=400))]
    width: Option<u16>,
    /// Only ASCII characters [default: where the locale is not UTF-8]
    #[arg(long)]
    ascii: bool,
    /// The rows and the reasoning behind one source: its address, or 'unknown'
    #[arg(long, value_name = "SOURCE")]
    explain: Option<String>,
    /// Send it as mail, text and HTML, to this address (repeat for more)
    #[arg(long, value_name = "ADDRESS", conflicts_with = "explain")]
    mail_to: Vec<String>,
    /// With --mail-to: write the mail to standard output instead of sending it
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

/// What is asked, of which rows.
struct Asked {
    question: Question,
    filter: Filter,
}

impl Asked {
    fn new(run: &Run, args: &Args, settings: &Settings) -> anyhow::Result<Self> {
        let today = run.today();
        let domains = if args.choice.domains.is_empty() { &settings.domains } else { &args.choice.domains };
        let days = match args.choice.days(today) {
            Some(days) => days,
            None if args.paths.is_empty() => {
                let week = Period::last_complete_week(run.now);
                (Some(week.from()), Some(week.to()))
            }
            None => (None, None),
        };
        let period = match days {
            (Some(from), Some(to)) => Some(Period::new(from, to)?),
            // Open at one end: all that the rows hold within it.
            _ => None,
        };
        let question = Question {
            period,
            domains: domains.iter().map(|domain| domain.as_str().into()).collect(),
            today: Some(today),
            ..Question::default()
        };
        let (from, to) = question.reads().map_or(days, |reads| (Some(reads.from()), Some(reads.to())));
        Ok(Self { question, filter: Filter { from, to, domains: domains.clone() } })
    }

    /// Whether a day is one of those asked for.
    fn contains(&self, day: Date) -> bool {
        self.filter.from.is_none_or(|from| from <= day) && self.filter.to.is_none_or(|to| day <= to)
    }

    /// Of the store: rows added up on all cores, then together.
    fn of_store(&mut self, dir: &Path) -> anyhow::Result<Summary> {
        let store = Store::open(dir)?;
        self.question.aside = self.aside(&store)?;
        let question = &self.question;
        let mut adder = Adder::new(question);
        adder.heads(&store.heads(&self.filter)?);
        let parts = store.fold(&self.filter, Columns::ALL, || Adder::new(question), |adder, rows| adder.rows(&rows))?;
        parts.into_iter().for_each(|part| adder.merge(part));
        Ok(adder.finish())
    }

    /// Of files, report by report.
    fn of_paths(&mut self, run: &Run, paths: &[PathBuf]) -> anyhow::Result<(Summary, Exit)> {
        let mut adder = Adder::new(&self.question);
        let mut rows = Collector::new();
        let (_, exit) = straight::read(run, paths, &mut |accepted| {
            if !self.contains(accepted.report.day) {
                return;
            }
            let head = head(&accepted);
            rows.push(&accepted.report, &accepted.verdicts, head.sender_auth);
            adder.heads(&[head]);
            if rows.len() >= AT_ONCE {
                adder.rows(&rows.take());
            }
        })?;
        adder.rows(&rows.take());
        Ok((adder.finish(), exit))
    }

    /// What arrived within the days asked for and gave no rows.
    fn aside(&self, store: &Store) -> anyhow::Result<Aside> {
        let asked = |arrival| {
            let day = Offset::UTC.to_datetime(arrival).date();
            self.question.period.is_none_or(|period| period.contains(day))
        };
        let unreadable = store.rejected()?.iter().filter(|entry| asked(entry.arrival)).count();
        let conflicts = store.conflicts()?.iter().filter(|entry| asked(entry.arrival)).count();
        Ok(Aside { unreadable: unreadable as u64, conflicts: conflicts as u64 })
    }
}

/// Do it.
pub(super) fn run(run: &Run, args: &Args) -> anyhow::Result<Exit> {
    let settings = run.settings()?;
    let mut asked = Asked::new(run, args, &settings)?;
    let (summary, exit) = if args.paths.is_empty() {
        (asked.of_store(&run.store(&settings)?)?, Exit::Handled)
    } else {
        asked.of_paths(run, &args.paths)?
    };
    if !args.mail_to.is_empty() {
        post::send(run, &settings, &args.mail_to, &summary, args.dry_run)?;
        return Ok(exit);
    }
    let style = Style {
        width: args.width.unwrap_or_else(screen::width),
        ascii: args.ascii || (args.format == Form::Text && screen::is_ascii()),
        color: run.common.color.on(std::io::stdout().is_terminal()),
    };
    match args.format {
        Form::Text => screen::show(&present::text(&summary, &style))?,
        Form::Markdown => output::data(present::markdown(&summary, &style).as_bytes())?,
        Form::Html => output::data(present::html(&summary, &style).as_bytes())?,
        Form::Json => output::data(present::json(&summary).as_bytes())?,
        Form::Csv => output::data(present::csv(&summary).as_bytes())?,
    }
    Ok(exit)
}
