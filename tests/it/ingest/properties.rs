//! What must hold in whatever order reports arrive, and however many at once.

use crate::workdir::{WorkDir, files_below, samples, without_ingested};
use proptest::prelude::*;

/// All that a store says: the summary's numbers for seven weeks, and every row.
fn answers(work: &WorkDir) -> (String, Vec<String>) {
    let summary = work.run(["summary", "--from", "2026-10-05", "--to", "2026-11-22", "--format", "json"]).quiet();
    let mut rows = without_ingested(&work.run(["export", "--format", "ndjson"]).quiet());
    rows.sort();
    (summary, rows)
}

/// The samples in any order, in runs of any length.
fn any_arrival() -> impl Strategy<Value = Vec<Vec<std::path::PathBuf>>> {
    let files = Just(files_below(&samples())).prop_shuffle();
    (files, prop::collection::vec(1_usize..30, 60)).prop_map(|(mut files, lengths)| {
        let mut runs = Vec::new();
        for length in lengths {
            if files.is_empty() {
                break;
            }
            runs.push(files.split_off(files.len().saturating_sub(length)));
        }
        runs
    })
}

proptest! {
    // Each case starts the program some ten times.
    #![proptest_config(ProptestConfig { cases: 4, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn neither_order_nor_batches_nor_repetition_change_the_answer(runs in any_arrival()) {
        let at_once = WorkDir::new();
        at_once.run([std::ffi::OsString::from("ingest"), samples().into()]);
        let in_pieces = WorkDir::new();
        for run in runs.iter().chain(runs.first()) {
            let done = in_pieces.run(std::iter::once(std::ffi::OsString::from("ingest")).chain(run.iter().map(Into::into)));
            prop_assert_eq!(done.code, Some(0), "{}", done.stderr);
        }
        prop_assert_eq!(answers(&at_once), answers(&in_pieces));
    }
}
