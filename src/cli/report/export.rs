//! `export`: exports the rows for other programs.

use crate::cli::settings::local_path::local_path;
use crate::cli::terminal::exit::Exit;
use crate::cli::terminal::fault::Hint as _;
use crate::cli::terminal::output;
use crate::cli::wiring::customers::{self, CustomerChoice, KnownDomains};
use crate::cli::wiring::period::Choice;
use crate::cli::wiring::run::CommandContext;
use crate::cli::wiring::{storeless, verdicts};
use crate::ingest::ReportSink;
use crate::model::Accepted;
use crate::store::{
    ExportFolder, Filter, PartFiles, RUN, RowFormat, SideOutputs, SideTable, Store, StoreError, Stream, StreamFormat,
    WeekVerdicts, verdict_tables,
};
use anyhow::{Context as _, anyhow};
use clap::ValueEnum;
use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const EXAMPLES: &str = "\
Without a period: everything. Parquet needs --out and writes DIR/records/month=.../ (one row per record), DIR/reports/month=.../ (one row per report), DIR/tls_reports/month=.../ and DIR/tls_failures/month=.../ (TLS reports), DIR/senders/ and DIR/domains/ (the verdicts of `summary` on each complete week), and after `dmarquet enrich` also DIR/sources/. The other formats go to standard output, or with --out to DIR/records.FORMAT, DIR/tls_reports.FORMAT, DIR/tls_failures.FORMAT, DIR/senders.FORMAT and DIR/domains.FORMAT.

--since-run is for loaders: it writes only what came after run N, and DIR/run.json with the number to continue from. 0 means everything; the same N gives the same rows again.

Examples:
  dmarquet export --out lake                 for DuckDB, Polars, pandas or Spark
  dmarquet export --since-run 0 --out new    everything, and the number to continue from
  dmarquet export --format ndjson --last 7d | jq .source_ip
  dmarquet export --each-customer --out customers      a folder for each [[customer]]
  dmarquet export --format csv --bom > records.csv
  dmarquet export ~/dmarc-reports --format csv > records.csv";

/// Export the rows as Parquet, CSV, NDJSON or Arrow IPC
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ExportArgs {
    /// Report files, mails and folders to export instead of the store
    #[arg(value_name = "PATH", value_parser = local_path())]
    paths: Vec<PathBuf>,
    /// Read a folder of Parquet files, as `export --out` writes it, instead of the store
    #[arg(long, value_name = "DIR", value_parser = local_path(), conflicts_with = "paths")]
    records: Option<PathBuf>,
    #[command(flatten)]
    choice: Choice,
    #[command(flatten)]
    customers: CustomerChoice,
    /// Output format: parquet, csv, ndjson or ipc (Arrow)
    #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
    format: ExportForm,
    /// Folder to write to
    #[arg(long, value_name = "DIR", value_parser = local_path())]
    out: Option<PathBuf>,
    /// Write only what came after this run; 0 means everything
    #[arg(long, value_name = "RUN", requires = "out", conflicts_with_all = ["paths", "records"])]
    since_run: Option<u32>,
    /// With --format csv: for spreadsheets, with a byte order mark, plain times, and lists in words
    #[arg(long)]
    bom: bool,
    /// Hard-link Parquet files from the store where possible: takes no extra space, but they remain the store's own read-only files
    #[arg(long, requires = "out")]
    link: bool,
}

/// Formats of an export.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum ExportForm {
    /// Parquet, partitioned by month.
    #[default]
    Parquet,
    /// Comma-separated, lists as JSON.
    Csv,
    /// One JSON object per line.
    Ndjson,
    /// Arrow IPC (Feather).
    Ipc,
}

/// Runs the command.
pub(crate) fn run(run: &CommandContext, args: &ExportArgs) -> anyhow::Result<Exit> {
    let settings = run.settings()?;
    let chosen = args.customers.chosen(settings)?;
    if args.customers.each_customer && args.out.is_none() {
        return Err(anyhow!("--each-customer needs --out DIR"));
    }
    let (from, to) = args.choice.days(run.today()).unwrap_or_default();
    let mut filter = Filter { from, to, domains: args.choice.domains.clone(), ..Filter::default() };
    if args.out.is_none() && matches!(args.format, ExportForm::Parquet) {
        let error = anyhow!("export: Parquet needs a folder: --out DIR");
        return Err(error.hint("--format csv and --format ndjson can go to standard output"));
    }
    if args.out.is_none() && args.format == ExportForm::Ipc && std::io::stdout().is_terminal() {
        let error = anyhow!("export: expected --out DIR or a redirection for Arrow IPC, found a terminal");
        return Err(error.hint("as in `dmarquet export --format ipc > records.arrow`"));
    }
    if args.bom && args.format != ExportForm::Csv {
        return Err(anyhow!("--bom needs --format csv"));
    }
    if args.paths.is_empty() {
        let store = run.store_or(args.records.as_deref())?;
        not_onto_itself(args, store.dir())?;
        filter.new = args.since_run.map(|run| store.new_since(run.into())).transpose()?.map(Arc::new);
        write_all(run, chosen.as_deref(), &store, &filter, args)?;
        return Ok(Exit::Handled);
    }
    let format = match args.format {
        ExportForm::Csv if args.bom => StreamFormat::Spreadsheet,
        ExportForm::Csv => StreamFormat::Csv,
        _ => StreamFormat::Ndjson,
    };
    // Parquet and Arrow files, and a folder of all tables, need all rows in order; an unknown column name is only
    // detected when all tables are checked.
    let needs_all = matches!(args.format, ExportForm::Parquet | ExportForm::Ipc);
    if needs_all || args.out.is_some() || chosen.is_some() || !filter.domains.is_empty() {
        let (_folder, store, exit) = storeless::store(run, &args.paths)?;
        write_all(run, chosen.as_deref(), &store, &filter, args)?;
        return Ok(exit);
    }
    let mut exit = Exit::Handled;
    output::stream(|out| -> anyhow::Result<()> {
        let mut rows = ExportRows {
            stream: Stream::start(out, SideOutputs::<std::io::Sink>::NONE, format, run.now)?,
            filter: &filter,
        };
        (_, exit) = storeless::read(run, &args.paths, &mut rows)?;
        Ok(rows.stream.finish()?)
    })?;
    Ok(exit)
}

/// Writes the rows of the requested days as they are read.
struct ExportRows<'a, W: std::io::Write> {
    stream: Stream<W, std::io::Sink>,
    filter: &'a Filter,
}

impl<W: std::io::Write> ReportSink for ExportRows<'_, W> {
    fn stored(&mut self, accepted: Accepted) -> Result<(), StoreError> {
        if self.filter.has_day(accepted.report.day) { self.stream.push(accepted) } else { Ok(()) }
    }
}

/// Exports all rows, or the rows of each customer to a separate folder.
fn write_all(
    run: &CommandContext,
    chosen: Option<&[usize]>,
    store: &Store,
    filter: &Filter,
    args: &ExportArgs,
) -> anyhow::Result<()> {
    let settings = run.settings()?;
    let wanted = args.out.is_some() && filter.new.is_none() && args.format != ExportForm::Ipc;
    let verdicts = if wanted { verdicts::of_weeks(run, store, filter)? } else { Vec::new() };
    if chosen.is_none() && filter.domains.is_empty() {
        return write((store, &verdicts), filter, args, args.out.as_deref());
    }
    if let Some([owner]) = chosen.filter(|_| !args.customers.each_customer) {
        customers::check_owned(&filter.domains, settings, *owner)?;
    }
    let known = KnownDomains::of_store(settings, store)?;
    known.check(&filter.domains, &run.console)?;
    let Some(chosen) = chosen else { return write((store, &verdicts), filter, args, args.out.as_deref()) };
    let (owners, withheld) = (settings.owners(), customers::withheld(settings));
    for owner in chosen {
        let mut domains = known.of_customer(&owners, *owner, settings);
        if !filter.domains.is_empty() {
            domains.retain(|domain| filter.domains.contains(domain));
        }
        if domains.is_empty() {
            // None of the requested domains belongs to this customer: an empty filter would select all.
            continue;
        }
        let folder = |out: &Path| {
            if args.customers.each_customer { out.join(&settings.customers[*owner].folder) } else { out.to_owned() }
        };
        let out = args.out.as_deref().map(folder);
        let withheld = Some(withheld(*owner));
        write((store, &verdicts), &Filter { domains, withheld, ..filter.clone() }, args, out.as_deref())?;
    }
    Ok(())
}

/// Fails if the input folder is also the output folder.
fn not_onto_itself(args: &ExportArgs, from: &Path) -> anyhow::Result<()> {
    let real = |path: &Path| path.canonicalize().ok();
    match (real(from), args.out.as_deref().and_then(real)) {
        (Some(from), Some(out)) if from == out => {
            Err(anyhow!("export: expected another folder for --out than the one that is read, found {}", out.display()))
        }
        _ => Ok(()),
    }
}

fn write(
    (store, verdicts): (&Store, &[WeekVerdicts]),
    filter: &Filter,
    args: &ExportArgs,
    out: Option<&Path>,
) -> anyhow::Result<()> {
    let format = match args.format {
        ExportForm::Parquet => {
            // `--out` was checked before anything was read.
            let out = out.unwrap_or(Path::new("."));
            let parts = if args.link { PartFiles::Linked } else { PartFiles::Copied };
            let verdicts = verdicts::of_filter(verdicts, filter);
            // An incremental export contains new reports only; verdicts are about whole weeks.
            let verdicts = filter.new.is_none().then_some(verdicts.as_slice());
            return Ok(store.export_parquet(filter, verdicts, out, parts)?);
        }
        ExportForm::Csv if args.bom => RowFormat::Spreadsheet,
        ExportForm::Csv => RowFormat::Csv,
        ExportForm::Ndjson => RowFormat::Ndjson,
        ExportForm::Ipc => RowFormat::Arrow,
    };
    let Some(out) = out else { return output::stream(|out| store.export(filter, format, out)) };
    let folder = ExportFolder::open(out).with_context(|| out.display().to_string())?;
    to_file(&folder, "records", format, |out| store.export(filter, format, out))?;
    let mut tables = store.tls_tables(filter)?;
    if format != RowFormat::Arrow {
        tables.extend(store.side_tables(filter)?);
        if filter.new.is_none() {
            tables.extend(verdict_tables(&verdicts::of_filter(verdicts, filter))?);
        }
    }
    // An earlier export may have left rows of a table that this one does not have; readers would take them for rows of
    // this one.
    let is_left = |table: &SideTable| {
        !tables.iter().any(|written| written.name() == table.name()) && table.is_left_in(&folder, format)
    };
    let left: Vec<SideTable> = SideTable::of_some_exports().into_iter().filter(is_left).collect();
    for table in tables.into_iter().chain(left) {
        to_file(&folder, table.name(), format, |out| {
            table.write(format, out).with_context(|| format!("{}.{}", table.name(), format.extension()))
        })?;
    }
    let Some(new) = &filter.new else { return Ok(()) };
    let written = folder.write(Path::new(RUN), |file| file.write_all(new.json().as_bytes()));
    written.with_context(|| out.join(RUN).display().to_string())
}

/// Writes to the file of a table in a folder.
fn to_file<E: Into<anyhow::Error>>(
    folder: &ExportFolder,
    table: &str,
    format: RowFormat,
    write: impl FnOnce(&mut dyn std::io::Write) -> Result<(), E>,
) -> anyhow::Result<()> {
    let name = format!("{table}.{}", format.extension());
    let mut exported = Ok(());
    let written = folder.write(Path::new(&name), |file| {
        let mut out = std::io::BufWriter::new(file);
        exported = write(&mut out).map_err(Into::into);
        // The original error is kept outside the closure.
        if exported.is_err() { Err(std::io::ErrorKind::Other.into()) } else { out.flush() }
    });
    exported?;
    written.with_context(|| folder.path().join(&name).display().to_string())
}
