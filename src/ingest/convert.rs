//! The same stages without a store: judged reports go to a [`ReportSink`], each once, on the caller's thread.
//!
//! A source may pause between stretches. Only the key and hash of each report are kept, to recognize it again.

use super::run::{RunMemory, through};
use super::save::Deduplicator;
use super::{IngestError, IngestOptions, Observer, ReportSink, Tally};
use crate::fetch::{FetchError, Fetched};
use crate::model::Accepted;
use crate::store::StoreError;

/// A sink of reports alone.
struct ReportsOnly<'a>(&'a mut dyn FnMut(Accepted));

impl ReportSink for ReportsOnly<'_> {
    fn stored(&mut self, accepted: Accepted) -> Result<(), StoreError> {
        (self.0)(accepted);
        Ok(())
    }
}

/// Reads a source into a sink, stretch by stretch: while `has_more` returns true, the source is asked again after its
/// end.
///
/// # Errors
/// Those of the sink. Errors of the source are reported to the observer and counted instead.
pub fn convert<S: Iterator<Item = Result<Fetched, FetchError>> + Send>(
    mut source: S,
    has_more: impl Fn(&S) -> bool,
    options: &IngestOptions,
    observer: &mut dyn Observer,
    sink: &mut dyn ReportSink,
) -> Result<Tally, IngestError> {
    let mut reader = Deduplicator::new(observer, sink);
    loop {
        through(&mut source, options, &RunMemory::default(), |worked| reader.take(worked))?;
        reader.stretch()?;
        if !has_more(&source) || options.is_interrupted() {
            break;
        }
    }
    let mut tally = reader.finish();
    tally.interrupted = options.is_interrupted();
    Ok(tally)
}

/// Reads a source, each report once, in order.
///
/// # Errors
/// None of its own; those of the type are the store's.
pub fn read(
    source: impl Iterator<Item = Result<Fetched, FetchError>> + Send,
    options: &IngestOptions,
    observer: &mut dyn Observer,
    each: &mut dyn FnMut(Accepted),
) -> Result<Tally, IngestError> {
    convert(source, |_| false, options, observer, &mut ReportsOnly(each))
}
