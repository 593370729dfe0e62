//! `query`: runs SQL on the stored tables.

use super::memory_watch::watched;
use super::table::TextTable;
use crate::analyze::Period;
use crate::cli::settings::local_path::local_path;
use crate::cli::settings::near::near;
use crate::cli::terminal::exit::Exit;
use crate::cli::terminal::fault::Hint as _;
use crate::cli::terminal::output;
use crate::cli::wiring::period::Week;
use crate::cli::wiring::run::CommandContext;
use crate::cli::wiring::{storeless, verdicts};
use crate::query::{
    AnswerFormat, AnswerWriter, DefaultPeriod, NAMED_QUERIES, NamedQuery, QueryError, QueryTables, SelectQuery,
    known_names, memory,
};
use crate::store::{Filter, Store};
use anyhow::anyhow;
use clap::ValueEnum;
use jiff::ToSpan as _;
use jiff::civil::Date;
use std::io::IsTerminal as _;
use std::path::PathBuf;

const EXAMPLES: &str = "\
The tables are those of `export`: records, reports, senders, domains, sources, dns and the rest of docs/columns.md. Only one SELECT is accepted; nothing is written to the store. docs/query.md describes the SQL and the named queries.

Examples:
  dmarquet query spoofers                       last week's suspect addresses
  dmarquet query lost --week 2026-W47 --format csv
  dmarquet query \"SELECT policy_domain, SUM(count) AS messages FROM records GROUP BY policy_domain\"
  dmarquet query \"SELECT * FROM records\" --records lake --format parquet > records.parquet
  dmarquet query pass-rate ~/dmarc-reports      from files, without storing anything";

/// Run SQL over the stored tables, or a named query
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct QueryArgs {
    /// A SELECT statement, or the name of a query from --list
    #[arg(value_name = "SQL", required_unless_present = "list")]
    sql: Option<String>,
    /// Report files, mails and folders to query instead of the store
    #[arg(value_name = "PATH", value_parser = local_path())]
    paths: Vec<PathBuf>,
    /// Query a folder of Parquet files, as `export --out` writes it, instead of the store
    #[arg(long, value_name = "DIR", value_parser = local_path(), conflicts_with = "paths")]
    records: Option<PathBuf>,
    /// With a named query: the ISO week, such as 2026-W47
    #[arg(long, value_name = "WEEK")]
    week: Option<Week>,
    /// Output format: table, csv, ndjson, parquet or arrow (an IPC stream)
    #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
    format: QueryForm,
    /// Memory limit, in MiB [default: half of what is available]
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u32).range(1..))]
    memory: Option<u32>,
    /// List the named queries
    #[arg(long)]
    list: bool,
    /// Print the query plan instead of running the query
    #[arg(long)]
    explain_plan: bool,
}

/// Formats of a result.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum QueryForm {
    /// Aligned columns.
    #[default]
    Table,
    /// Comma-separated, lists as JSON.
    Csv,
    /// One JSON object per line.
    Ndjson,
    /// A Parquet file.
    Parquet,
    /// An Arrow IPC stream.
    Arrow,
}

/// Runs the command.
pub(crate) fn run(run: &CommandContext, args: &QueryArgs) -> anyhow::Result<Exit> {
    let Some(given) = args.sql.as_deref().filter(|_| !args.list) else {
        let wide = NAMED_QUERIES.iter().map(|query| query.name.len()).max().unwrap_or(0);
        let lines: Vec<String> =
            NAMED_QUERIES.iter().map(|query| format!("{:<wide$}  {}\n", query.name, query.answers)).collect();
        output::data(lines.concat().as_bytes())?;
        return Ok(Exit::Handled);
    };
    let binary = matches!(args.format, QueryForm::Parquet | QueryForm::Arrow) && !args.explain_plan;
    if binary && std::io::stdout().is_terminal() {
        let error = anyhow!("query: expected a redirection for Parquet and Arrow, found a terminal");
        return Err(error.hint("as in `dmarquet query ... --format parquet > answer.parquet`"));
    }
    let week = args.week.map(Week::first);
    let (sql, days) = match NamedQuery::find(given) {
        Some(query) => {
            let usual = || Period::last_complete_week(run.now).from();
            let week = week.or_else(|| (query.period == DefaultPeriod::LastWeek).then(usual));
            (query.sql(week), week)
        }
        None if given.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')) => {
            let error = anyhow!("query: expected a SELECT or the name of a query, found {given:?}");
            return Err(error.hint(match near(given, NAMED_QUERIES.iter().map(|query| query.name)) {
                Some(near) => format!("did you mean {near}?"),
                None => "`dmarquet query --list` shows the names".to_owned(),
            }));
        }
        None if week.is_some() => {
            return Err(anyhow!("--week needs a named query; in SQL, write the days into the statement"));
        }
        None => (given.to_owned(), None),
    };
    // Users need no warnings about future versions of Polars.
    polars_error::set_warning_function(|_, _| {});
    let query = SelectQuery::parse(&sql).map_err(hinted)?;
    let most = args.memory.map_or_else(memory::half_of_available, |mebibytes| (mebibytes as usize) << 20);
    if args.paths.is_empty() {
        let store = run.store_or(args.records.as_deref())?;
        watched(&run.console, most, None, || answer(run, args, &store, (&query, days), most))?;
        return Ok(Exit::Handled);
    }
    let (folder, store, exit) = storeless::store(run, &args.paths)?;
    watched(&run.console, most, Some(folder.path().to_owned()), || answer(run, args, &store, (&query, days), most))?;
    Ok(exit)
}

/// The error, with the name that was probably meant.
fn hinted(error: QueryError) -> anyhow::Error {
    let meant = error.unknown().and_then(|unknown| near(unknown, known_names()));
    match meant {
        Some(meant) => anyhow::Error::from(error).hint(format!("did you mean {meant}?")),
        None => error.into(),
    }
}

/// Runs the query on a store; `week` is the only week whose verdicts the query needs.
fn answer(
    run: &CommandContext,
    args: &QueryArgs,
    store: &Store,
    (query, week): (&SelectQuery, Option<Date>),
    most: usize,
) -> anyhow::Result<()> {
    let filter = Filter { from: week, to: week.map(|monday| monday.saturating_add(6.days())), ..Filter::default() };
    let mut known = None;
    let weeks = || -> anyhow::Result<_> {
        if known.is_none() {
            // The computed verdicts are not stored: a query changes nothing.
            known = Some(verdicts::worked_out(run, store, &filter)?.0);
        }
        Ok(known.clone().unwrap_or_default())
    };
    let tables = QueryTables::open_within(store, query.tables(), weeks, most)?;
    if args.explain_plan {
        return output::data(output::clean_lines(&tables.explain(query).map_err(hinted)?).as_bytes());
    }
    let format = match args.format {
        QueryForm::Csv => AnswerFormat::Csv,
        QueryForm::Ndjson => AnswerFormat::Ndjson,
        QueryForm::Parquet => AnswerFormat::Parquet,
        QueryForm::Arrow => AnswerFormat::Arrow,
        QueryForm::Table => {
            return output::stream(|out| {
                let mut table = TextTable::new(out);
                tables.answer(query, &mut |rows| table.write(&rows)).map_err(hinted)
            });
        }
    };
    output::stream(|out| {
        let mut writer = AnswerWriter::new(out, format);
        tables.answer(query, &mut |rows| writer.write(&rows)).map_err(hinted)?;
        Ok::<_, anyhow::Error>(writer.finish()?)
    })
}
