//! `convert`: a filter for pipelines; report files in, Arrow out, nothing kept.

use crate::cli::terminal::exit::Exit;
use crate::cli::terminal::fault::Hint as _;
use crate::cli::terminal::interrupt::Interrupt;
use crate::cli::terminal::output;
use crate::cli::wiring::ingest_run::{self, Watch};
use crate::cli::wiring::run::Run;
use crate::fetch::files::frames::Frames;
use crate::fetch::files::walk::Walk;
use crate::ingest::{self, Options, Placed, Sink, Tally};
use crate::model::Accepted;
use crate::store::{StoreError, Stream};
use anyhow::{Context as _, anyhow};
use serde::Serialize;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, IsTerminal as _, Write};
use std::path::{Path, PathBuf};

const EXAMPLES: &str = "\
Writes an Arrow IPC stream with the columns of `records`: one row per record, each report once.

With --frames, standard input is a sequence of items: u32 length of the name, the name, u32 length of the body, the body; lengths are little-endian. A frame of two zero lengths flushes: all records so far are written, then an empty batch. Duplicates are recognized over the whole stream.

--outcomes writes one line of JSON per thing found, with `origin`, `outcome` (stored, duplicate, conflict, set_aside or rejected), `reason` and `report_key`.

Examples:
  dmarquet convert ~/dmarc-reports > records.arrows
  my-reader | dmarquet convert --frames --outcomes outcomes.ndjson | my-writer";

/// Convert reports to an Arrow stream for pipelines, without a store
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Files and folders; - reads standard input
    #[arg(value_name = "PATH", required_unless_present = "frames", conflicts_with = "frames")]
    paths: Vec<PathBuf>,
    /// Read framed items from standard input (see below)
    #[arg(long)]
    frames: bool,
    /// Write the outcome of every item to this file, one JSON object per line
    #[arg(long, value_name = "FILE")]
    outcomes: Option<PathBuf>,
    /// Also write one row per report to this file, as an Arrow IPC stream
    #[arg(long, value_name = "FILE")]
    reports: Option<PathBuf>,
    /// Worker threads [default: one per core]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
}

/// Do it.
pub(crate) fn run(run: &Run, args: &Args) -> anyhow::Result<Exit> {
    if io::stdout().is_terminal() {
        let error = anyhow!("convert: expected a pipe or a redirection for Arrow IPC, found a terminal");
        return Err(error.hint("as in `dmarquet convert ~/dmarc-reports > records.arrows`"));
    }
    let interrupt = Interrupt::listen(&run.talk)?;
    let mut options = ingest_run::options(&interrupt, &run.settings()?, run.now);
    options.workers = args.threads.map(usize::from);
    let (reports, outcomes) = (create(args.reports.as_deref())?, create(args.outcomes.as_deref())?);
    let mut told = None;
    output::stream(|out| -> anyhow::Result<()> {
        let stream = Stream::start(out, reports, run.now)?;
        let mut filter = Filter { stream, outcomes, path: args.outcomes.as_deref(), marks: args.frames };
        told = Some(read(run, args, &options, &mut filter)?);
        Ok(filter.stream.finish()?)
    })?;
    let tally = told.unwrap_or_default();
    if args.outcomes.is_none() {
        ingest_run::name_rejected(&run.talk, &tally);
        ingest_run::tell_links(&run.talk, &tally);
    }
    Ok(ingest_run::exit(&tally))
}

fn read(run: &Run, args: &Args, options: &Options, sink: &mut dyn Sink) -> anyhow::Result<Tally> {
    let mut watch = Watch::new(&run.talk, None);
    let limits = options.limits.clone();
    if args.frames {
        let input = BufReader::with_capacity(1 << 16, io::stdin());
        let frames = Frames::new(input, limits, run.now);
        return Ok(ingest::convert(frames, Frames::goes_on, options, &mut watch, sink)?);
    }
    Ok(ingest::convert(Walk::new(&args.paths, limits, run.now), |_| false, options, &mut watch, sink)?)
}

fn create(path: Option<&Path>) -> anyhow::Result<Option<BufWriter<File>>> {
    let create = |path: &Path| File::create(path).map(BufWriter::new).with_context(|| path.display().to_string());
    path.map(create).transpose()
}

/// Writes what is found.
struct Filter<'a, W: Write> {
    stream: Stream<W, BufWriter<File>>,
    outcomes: Option<BufWriter<File>>,
    path: Option<&'a Path>,
    /// Whether somebody waits for the end of a stretch.
    marks: bool,
}

/// A line of the outcomes.
#[derive(Serialize)]
struct Line<'a> {
    origin: &'a str,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    report_key: Option<String>,
}

impl<W: Write> Filter<'_, W> {
    fn note(&mut self, write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) -> Result<(), StoreError> {
        let Some(out) = &mut self.outcomes else { return Ok(()) };
        let failed = |source| StoreError::Io {
            path: self.path.unwrap_or(Path::new("outcomes")).to_owned(),
            doing: "writing the outcomes",
            source,
        };
        write(out).map_err(failed)
    }
}

impl<W: Write> Sink for Filter<'_, W> {
    fn stored(&mut self, accepted: Accepted) -> Result<(), StoreError> {
        self.stream.push(accepted)
    }

    fn placed(&mut self, placed: &Placed<'_>) -> Result<(), StoreError> {
        let Placed { origin, place, reason, key } = *placed;
        let report_key = key.map(|key| key.to_string());
        let line = Line { origin, outcome: place.as_str(), reason, report_key };
        self.note(|out| {
            serde_json::to_writer(&mut *out, &line)?;
            out.write_all(b"\n")
        })
    }

    fn stretch(&mut self) -> Result<(), StoreError> {
        self.note(Write::flush)?;
        if self.marks { self.stream.mark() } else { Ok(()) }
    }
}
