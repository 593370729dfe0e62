//! The reference pages under `docs/` and the excerpt in the README match what the program prints.
//!
//! `DMARQUET_UPDATE_DOCS=1 cargo nextest run docs` writes the generated pages again.

use crate::workdir::{WorkDir, repository};
use dmarquet::model::FindingCode;
use dmarquet::store::tables::{TABLES, Table, TableColumn};
use std::fmt::Write as _;

/// The end of the page about columns.
const OLDER_COLUMNS: &str = "
## Version 1

In version 1, `period_begin` and `period_end` were `begin` and `end`, `pass_messages` in `reports` was `dmarc_pass`, `findings` was JSON
text, `pct` in `reports` was int64, and `records` had no `ingested`. dmarquet still reads such files. `export` writes them with the columns
above, and so does `compact` where it merges them. Where a store holds both versions, name both columns in a query over its files, for
example `coalesce(period_begin, \"begin\")` with DuckDB's `union_by_name`, or query an export.
";

/// Compares a generated page with the file, or writes the file if requested.
#[track_caller]
fn assert_page(name: &str, text: &str) {
    let path = repository().join("docs").join(name);
    if std::env::var_os("DMARQUET_UPDATE_DOCS").is_some() {
        std::fs::write(&path, text).expect("docs/ can be written");
    }
    let found = std::fs::read_to_string(&path).expect("the page is UTF-8");
    assert!(found == text, "docs/{name} is stale; run DMARQUET_UPDATE_DOCS=1 cargo nextest run docs\n{text}");
}

#[test]
fn the_page_of_columns_is_generated_from_the_schema() {
    let mut page = String::from(
        "# Columns\n\nThe tables of `export` and `convert`, and of `records/` in the store: the same columns with the same types \
         everywhere. Times are UTC. This page is generated from the code.\n\nEvery Parquet file and Arrow stream names the version of its \
         columns in its metadata, under the key given below. dmarquet reads all older versions and refuses a newer one. Parquet columns \
         have the field ids that a new Iceberg table assigns, so `add_files` takes the files as they are.\n",
    );
    for table in TABLES {
        let Table { name, about, key, version, columns } = table;
        let head = "| column | type | null | meaning |\n|---|---|---|---|";
        write!(page, "\n## {name}\n\n{about} Metadata: `{key}` = {version}.\n\n{head}\n").expect("a string");
        for TableColumn { name, kind, nullable, doc } in columns() {
            let null = if nullable { "yes" } else { "no" };
            writeln!(page, "| `{name}` | {} | {null} | {doc} |", kind.name()).expect("a string");
        }
    }
    page += OLDER_COLUMNS;
    assert_page("columns.md", &page);
}

#[test]
fn the_page_of_findings_is_generated_from_the_codes() {
    let mut page = String::from(
        "# Findings\n\nA finding says what was odd about a report that was stored anyway. `ingest --format json`, the `reports` \
         table and the summary's data quality name them by code. This page is generated from the code.\n\n| code | meaning |\n|---|---|\n",
    );
    for code in FindingCode::ALL {
        writeln!(page, "| `{code}` | {} |", code.meaning()).expect("a string");
    }
    assert_page("findings.md", &page);
}

#[test]
fn the_page_of_checks_is_generated_from_the_program() {
    let mut page = String::from(
        "# Checks\n\nWhat `dmarquet check` looks for. A fault makes mail or reports go wrong (exit code 1); advice does not. `dmarquet check \
         --codes` prints the same list. This page is generated from the code.\n\n| code | severity | why it matters |\n|---|---|---|\n",
    );
    for line in WorkDir::new().run(["check", "--codes"]).quiet().lines() {
        let (severity, rest) = line.split_once(char::is_whitespace).expect("severity, code, reason");
        let (code, why) = rest.trim_start().split_once(char::is_whitespace).expect("code, reason");
        writeln!(page, "| `{code}` | {severity} | {} |", why.trim()).expect("a string");
    }
    assert_page("checks.md", &page);
}

#[test]
fn the_excerpt_in_the_readme_is_what_the_program_prints() {
    let path = repository().join("README.md");
    let readme = std::fs::read_to_string(&path).expect("the README is UTF-8");
    let samples = repository().join("samples");
    let printed = WorkDir::new().run(["summary", samples.to_str().expect("UTF-8"), "--week", "2026-W47"]).quiet();
    let (before, rest) = readme.split_once("2026-W47`:\n\n```text\n").expect("an excerpt");
    let (shown, after) = rest.split_once("```").expect("its end");
    if std::env::var_os("DMARQUET_UPDATE_DOCS").is_some() {
        // Up to the blank line behind the first actions: a screen, not the whole.
        let end = printed.match_indices("\n\n").map(|(at, _)| at + 1).take_while(|at| *at < 2_600).last();
        let excerpt = &printed[..end.expect("a summary has paragraphs")];
        let text = format!("{before}2026-W47`:\n\n```text\n{excerpt}```{after}");
        std::fs::write(&path, text).expect("the README can be written");
    } else {
        assert!(!shown.is_empty() && printed.starts_with(shown), "the README shows another summary than\n{printed}");
    }
}

#[test]
fn links_in_the_documentation_lead_somewhere() {
    let mut pages =
        vec![repository().join("README.md"), repository().join("CONTRIBUTING.md"), repository().join("SECURITY.md")];
    for folder in ["docs", "docs/mailboxes"] {
        let entries = std::fs::read_dir(repository().join(folder)).expect("docs/ is there");
        pages.extend(
            entries
                .map(|entry| entry.expect("an entry").path())
                .filter(|path| path.extension().is_some_and(|e| e == "md")),
        );
    }
    for page in pages {
        let text = std::fs::read_to_string(&page).expect("UTF-8");
        for (at, _) in text.match_indices("](") {
            let target = text[at + 2..].split([')', '#']).next().expect("one piece at least");
            if target.is_empty() || target.contains("://") {
                continue;
            }
            let path = page.parent().expect("a folder").join(target);
            assert!(path.exists(), "{} links to {target}, which is not there", page.display());
        }
    }
}

#[test]
fn the_documentation_names_the_rust_version_of_the_manifest() {
    let stated = concat!("Rust ", env!("CARGO_PKG_RUST_VERSION"), " or later");
    for page in ["README.md", "docs/packages.md"] {
        let text = std::fs::read_to_string(repository().join(page)).expect("UTF-8");
        assert!(text.contains(stated), "{page}: expected {stated:?}");
    }
}
