//! The exported Parquet read by the programs that analysts use: DuckDB, pandas, pyarrow, Polars; and the notebooks.
//!
//! They run in a Python environment that `tests/all` creates in `target/venv`. Without it the tests are skipped, except
//! in CI, where they fail.

use crate::support::python;
use crate::workdir::{WorkDir, repository, samples};
use std::path::PathBuf;
use std::process::Command;

/// A folder with the samples ingested, exported to `export/`, and summarized in `summary.json`.
fn exported() -> WorkDir {
    let work = WorkDir::new();
    work.run([std::ffi::OsString::from("ingest"), samples().into()]);
    work.run(["export", "--out", "export"]).quiet();
    let summary = work.run(["summary", "--from", "2026-10-05", "--to", "2026-11-22", "--format", "json"]).quiet();
    work.write("summary.json", summary);
    work
}

fn script(name: &str) -> PathBuf {
    repository().join("tests").join(name)
}

/// Runs a script; if it fails, its output is the message.
fn run(command: &mut Command) {
    let done = command.output().expect("Python starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(done.status.success(), "{}{}", text(&done.stdout), text(&done.stderr));
}

#[test]
fn other_programs_read_the_types_and_add_up_to_the_same_sums() {
    let Some(python) = python() else { return };
    let work = exported();
    run(Command::new(python).arg(script("readers.py")).arg(work.path("export")).arg(work.path("summary.json")));
}

#[test]
fn every_week_of_the_samples_adds_up_to_what_the_reporters_wrote() {
    let Some(python) = python() else { return };
    let program = ["--bin", env!("CARGO_BIN_EXE_dmarquet")];
    run(Command::new(python).arg(script("compare_duckdb.py")).args(program).arg(samples()));
}

#[test]
fn a_lake_made_by_spark_adds_up_to_what_its_reports_were_made_of() {
    let named = std::env::var_os("DMARQUET_TEST_SPARK").map(PathBuf::from);
    let Some(python) = named.filter(|python| python.exists()) else {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "no DMARQUET_TEST_SPARK (tests/all makes it)");
        return eprintln!("skipped: no DMARQUET_TEST_SPARK (tests/all makes it)");
    };
    run(Command::new(python).arg(script("spark.py")).arg(env!("CARGO_BIN_EXE_dmarquet")));
}

#[test]
fn the_notebooks_run_completely_on_the_export() {
    let Some(python) = python() else { return };
    let work = exported();
    run(Command::new(python).arg(script("run_notebooks.py")).arg(work.path("export")));
}
