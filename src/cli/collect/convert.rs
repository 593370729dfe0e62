//! `convert`: converts report files to rows for pipelines, without a store.

use crate::cli::settings::local_path::local_path;
use crate::cli::terminal::exit::Exit;
use crate::cli::terminal::fault::Hint as _;
use crate::cli::terminal::interrupt::Interrupt;
use crate::cli::terminal::output;
use crate::cli::wiring::ingest_run::{self, RunProgress};
use crate::cli::wiring::run::CommandContext;
use crate::cli::wiring::storeless;
use crate::fetch::files::frames::Frames;
use crate::fetch::files::walk::Walk;
use crate::ingest::{self, IngestOptions, Placed, ReportSink, Tally};
use crate::model::{Accepted, AcceptedTls};
use crate::store::{SideOutputs, StoreError, Stream, StreamFormat};
use anyhow::{Context as _, anyhow};
use clap::ValueEnum;
use serde::Serialize;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, IsTerminal as _, Write};
use std::path::{Path, PathBuf};

const EXAMPLES: &str = "\
Writes the columns of `records`: one row per record, each report once. TLS reports have no records: --tls-reports and --tls-failures write their rows.

With --frames, standard input is a sequence of items: u32 length of the name, the name, u32 length of the body, the body; lengths are little-endian. A frame of two zero lengths flushes: all records so far are written, then an empty batch (with --format ndjson an empty line). Duplicates are recognized over the whole stream; with --stateless only up to the next flush, so that a repeated batch produces the same rows again.

--outcomes writes one line of JSON per thing found, with `origin`, `outcome` (stored, duplicate, conflict, set_aside or rejected), `reason` and `report_key`.

Examples:
  dmarquet convert ~/dmarc-reports > records.arrows
  dmarquet convert ~/dmarc-reports --format ndjson | my-loader
  my-reader | dmarquet convert --frames --outcomes outcomes.ndjson | my-writer";

/// Convert reports to Arrow, NDJSON or Parquet for pipelines, without a store
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ConvertArgs {
    /// Files and folders; - reads standard input
    #[arg(value_name = "PATH", value_parser = local_path(), required_unless_present = "frames", conflicts_with = "frames")]
    paths: Vec<PathBuf>,
    /// Read framed items from standard input (see below)
    #[arg(long)]
    frames: bool,
    /// With --frames: forget all reports at each flush
    #[arg(long, requires = "frames")]
    stateless: bool,
    /// Output format: arrow (an IPC stream), ndjson or parquet
    #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
    format: Form,
    /// Write the outcome of every item to this file, one JSON object per line
    #[arg(long, value_name = "FILE")]
    outcomes: Option<PathBuf>,
    /// Also write one row per report to this file, in the same format
    #[arg(long, value_name = "FILE")]
    reports: Option<PathBuf>,
    /// Also write one row per policy of TLS reports to this file, in the same format
    #[arg(long, value_name = "FILE")]
    tls_reports: Option<PathBuf>,
    /// Also write one row per failure detail of TLS reports to this file, in the same format
    #[arg(long, value_name = "FILE")]
    tls_failures: Option<PathBuf>,
    /// Worker threads [default: one per core]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
}

/// Formats of the rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Form {
    /// An Arrow IPC stream.
    #[default]
    Arrow,
    /// One JSON object per line.
    Ndjson,
    /// A Parquet file.
    Parquet,
}

/// Runs the command.
pub(crate) fn run(run: &CommandContext, args: &ConvertArgs) -> anyhow::Result<Exit> {
    let format = match args.format {
        Form::Arrow => StreamFormat::Arrow,
        Form::Ndjson => StreamFormat::Ndjson,
        Form::Parquet => StreamFormat::Parquet,
    };
    if args.format != Form::Ndjson && io::stdout().is_terminal() {
        let error = anyhow!("convert: expected a pipe or a redirection for binary output, found a terminal");
        return Err(error.hint("as in `dmarquet convert ~/dmarc-reports > records.arrows`, or with --format ndjson"));
    }
    if args.frames && args.format == Form::Parquet {
        let error = anyhow!("convert: expected --format arrow or ndjson with --frames, found parquet");
        return Err(error.hint("a Parquet file can be read only once it is complete"));
    }
    let interrupt = Interrupt::listen(&run.console)?;
    let mut options = ingest_run::options(&interrupt, run, run.now)?;
    options.workers = args.threads.map(usize::from);
    let others = SideOutputs {
        reports: create(args.reports.as_deref())?,
        tls_reports: create(args.tls_reports.as_deref())?,
        tls_failures: create(args.tls_failures.as_deref())?,
    };
    let outcomes = create(args.outcomes.as_deref())?;
    let mut told = None;
    output::stream(|out| -> anyhow::Result<()> {
        let stream = Stream::start(out, others, format, run.now)?;
        let mut sink = ConvertSink { stream, outcomes, args };
        told = Some(read(run, args, &options, &mut sink)?);
        Ok(sink.stream.finish()?)
    })?;
    let tally = told.unwrap_or_default();
    if args.outcomes.is_none() {
        ingest_run::name_rejected(&run.console, &tally);
        ingest_run::tell_links(&run.console, &tally);
        storeless::tell_conflicts(run, &tally, "--outcomes names both: their lines have the same `report_key`");
    }
    Ok(ingest_run::exit(&tally))
}

fn read(
    run: &CommandContext,
    args: &ConvertArgs,
    options: &IngestOptions,
    sink: &mut dyn ReportSink,
) -> anyhow::Result<Tally> {
    let mut watch = RunProgress::new(&run.console, None);
    let limits = options.limits.clone();
    if args.frames {
        let input = BufReader::with_capacity(1 << 16, io::stdin());
        let frames = Frames::new(input, limits, run.now);
        return Ok(ingest::convert(frames, Frames::has_more, options, &mut watch, sink)?);
    }
    Ok(ingest::convert(Walk::new(&args.paths, limits, run.now), |_| false, options, &mut watch, sink)?)
}

fn create(path: Option<&Path>) -> anyhow::Result<Option<BufWriter<File>>> {
    let create = |path: &Path| File::create(path).map(BufWriter::new).with_context(|| path.display().to_string());
    path.map(create).transpose()
}

/// Writes the rows that are read.
struct ConvertSink<'a, W: Write> {
    stream: Stream<W, BufWriter<File>>,
    outcomes: Option<BufWriter<File>>,
    args: &'a ConvertArgs,
}

/// A line of the outcomes file.
#[derive(Serialize)]
struct OutcomeLine<'a> {
    origin: &'a str,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    report_key: Option<String>,
}

impl<W: Write> ConvertSink<'_, W> {
    fn note(&mut self, write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) -> Result<(), StoreError> {
        let Some(out) = &mut self.outcomes else { return Ok(()) };
        let failed = |source| StoreError::Io {
            path: self.args.outcomes.clone().unwrap_or_default(),
            doing: "writing the outcomes",
            source,
        };
        write(out).map_err(failed)
    }
}

impl<W: Write> ReportSink for ConvertSink<'_, W> {
    fn stored(&mut self, accepted: Accepted) -> Result<(), StoreError> {
        self.stream.push(accepted)
    }

    fn stored_tls(&mut self, accepted: AcceptedTls) -> Result<(), StoreError> {
        self.stream.push_tls(&accepted)
    }

    fn placed(&mut self, placed: &Placed<'_>) -> Result<(), StoreError> {
        let Placed { origin, place, reason, key } = *placed;
        let report_key = key.map(|key| key.to_string());
        let line = OutcomeLine { origin, outcome: place.as_str(), reason, report_key };
        self.note(|out| {
            serde_json::to_writer(&mut *out, &line)?;
            out.write_all(b"\n")
        })
    }

    fn forgets(&self) -> bool {
        self.args.stateless
    }

    fn stretch(&mut self) -> Result<(), StoreError> {
        self.note(Write::flush)?;
        if self.args.frames { self.stream.mark() } else { Ok(()) }
    }
}
