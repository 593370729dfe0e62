//! `compact`: merge the small files of a month.

use super::args::Format;
use super::exit::Exit;
use super::journey::count;
use super::{Run, output};
use crate::store::Writer;
use serde::Serialize;

/// Merge small files of a month into larger ones (runs do so too, past a threshold)
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// text or json
    #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
    format: Format,
}

/// The outcome as JSON.
#[derive(Debug, Serialize)]
struct Answer {
    months: usize,
    merged: usize,
    made: usize,
}

/// Do it.
pub(super) fn run(run: &Run, args: &Args) -> anyhow::Result<Exit> {
    let settings = run.settings()?;
    let done = Writer::open(&run.store(&settings)?, run.now)?.compact(true)?;
    let answer = Answer { months: done.months, merged: done.merged, made: done.made };
    match args.format {
        Format::Json => output::json(&answer)?,
        Format::Text if answer.merged == 0 => output::data(b"nothing to merge\n")?,
        Format::Text => {
            let merged = count(answer.merged as u64, "file");
            output::data(format!("{merged} merged into {}\n", answer.made).as_bytes())?;
        }
    }
    Ok(Exit::Handled)
}
