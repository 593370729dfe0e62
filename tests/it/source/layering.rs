//! A module imports only from those below it, and no two folders import each other: the table says what may import
//! what, and the sources are checked against it.

mod imports;

use crate::workdir::{files_below, repository};
use imports::{Sources, expand};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// What each module may import from this crate; `a::b` allows only that part of `a`. `cli` may import everything.
const TABLE: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("limits", &[]),
    (
        "unpack",
        &[
            "limits",
            "model::FindingCode",
            "model::Finding",
            "model::MailFacts",
            "model::Original",
            "model::RawMail",
            "model::SenderAuth",
        ],
    ),
    ("parse", &["limits", "model::FindingCode", "model::Finding", "model::Findings", "model::Quoted", "model::Text"]),
    ("normalize", &["limits", "parse", "model"]),
    ("judge", &["model"]),
    ("fetch", &["limits", "model", "unpack::sniff", "unpack::mbox"]),
    ("store", &["limits::return_freed_memory", "model", "judge"]),
    ("analyze", &["model", "judge", "store::tables"]),
    ("dns", &["model", "judge"]),
    ("send", &["fetch::mailbox"]),
    ("alert", &["model", "judge", "analyze", "store", "present"]),
    ("simulate", &["model", "judge", "analyze", "dns"]),
    ("site", &["analyze", "present"]),
    ("present", &["model", "analyze", "dns", "ingest", "simulate"]),
    ("query", &["store"]),
    // No build for users has it.
    ("fuzzing", &["limits", "unpack", "parse", "normalize", "judge", "fetch", "model", "store", "simulate", "cli"]),
    ("ingest", &["limits", "fetch", "unpack", "parse", "normalize", "judge", "model", "store"]),
];

/// What only these modules may name, and why.
const RESERVED: &[(&[&str], &[&str], &str)] = &[
    (
        &["clap::", "anyhow::", "println!", "eprintln!", "print!(", "eprint!("],
        &["cli"],
        "arguments and output live in cli",
    ),
    (
        &["tokio::", "async fn"],
        &["fetch/mailbox", "fetch/imap", "fetch/pop3", "fetch/poll", "dns"],
        "outside them all is blocking",
    ),
    (
        &["SystemTime::now", "Timestamp::now", "Zoned::now"],
        &["cli", "fetch/mailbox", "fetch/imap", "dns", "store", "send"],
        "the clock is an argument",
    ),
    (
        &["std::process::exit"],
        &["cli/terminal/interrupt", "cli/report/query/memory_watch"],
        "main returns its exit code; a second signal, and a query that takes all memory, wait for nobody",
    ),
];

#[test]
fn modules_import_only_what_lies_below_them() {
    let mut faults = Vec::new();
    for source in Sources::read().all {
        let module = source.top();
        if ["main", "lib", "cli"].contains(&module) {
            continue;
        }
        let Some((_, allowed)) = TABLE.iter().find(|(name, _)| *name == module) else {
            faults.push(format!("{}: the module {module} is not in the table", source.path));
            continue;
        };
        for import in source.imports().iter().filter(|import| import.len() > 1 && import[0] != module) {
            let import = import.join("::");
            let fits = |entry: &&str| import == **entry || import.starts_with(&format!("{entry}::"));
            if !allowed.iter().any(fits) {
                faults.push(format!("{}: crate::{import}; {module} may import {allowed:?}", source.path));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Removes folders that import none of the others until none is left to remove: the rest are in a circle, or import one
/// that is.
#[test]
fn folders_form_no_circle() {
    let mut edges = Sources::read().folders();
    assert!(edges.len() > 50, "the sources import each other: {}", edges.len());
    loop {
        let importing: BTreeSet<String> = edges.keys().map(|(from, _)| from.clone()).collect();
        let imported: BTreeSet<String> = edges.keys().map(|(_, to)| to.clone()).collect();
        let before = edges.len();
        edges.retain(|(from, to), _| importing.contains(to) && imported.contains(from));
        if edges.len() == before {
            break;
        }
    }
    let told = edges.iter().map(|((from, to), where_)| format!("{from} -> {to}: {where_:#?}"));
    assert!(edges.is_empty(), "{}", told.collect::<Vec<_>>().join("\n"));
}

#[test]
fn a_folder_holds_fewer_than_twenty_files() {
    let mut folders: BTreeMap<PathBuf, usize> = BTreeMap::new();
    for file in ["src", "tests/it"].iter().flat_map(|folder| files_below(&repository().join(folder))) {
        *folders.entry(file.parent().expect("below the repository").to_owned()).or_default() += 1;
    }
    folders.retain(|_, files| *files >= 20);
    assert!(folders.is_empty(), "{folders:#?}");
}

#[test]
fn only_the_command_line_knows_its_tools_and_only_the_waiting_stages_wait() {
    let mut faults = Vec::new();
    for source in Sources::read().all {
        for (words, homes, reason) in RESERVED {
            if !homes
                .iter()
                .any(|home| source.path.starts_with(&format!("{home}/")) || source.path == format!("{home}.rs"))
            {
                let named = words.iter().filter(|word| source.code.contains(**word));
                faults.extend(named.map(|word| format!("{}: {word} ({reason})", source.path)));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_file_has_a_module_comment() {
    let src = repository().join("src");
    let silent: Vec<_> = files_below(&src)
        .into_iter()
        .filter(|path| path.extension().is_some_and(|ending| ending == "rs"))
        .filter(|path| !std::fs::read_to_string(path).expect("a source file is UTF-8").starts_with("//!"))
        .collect();
    assert!(silent.is_empty(), "these do not open with //!: {silent:#?}");
}

#[test]
fn a_use_tree_is_read_to_its_leaves() {
    let read = |tree: &str| expand(tree).iter().map(|names| names.join("::")).collect::<Vec<_>>();
    assert_eq!(read("model::{Code, rows::Rows as Columns}"), ["model::Code", "model::rows::Rows"]);
    assert_eq!(
        read("{limits::Limits, parse::{a, b::{self, c}}}"),
        ["limits::Limits", "parse::a", "parse::b::self", "parse::b::c"]
    );
    assert_eq!(read("super::super::judge"), ["super::super::judge"]);
}
