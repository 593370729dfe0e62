//! Imports run downhill only: this table is the house's floor plan, and the sources are held to it.

use crate::workdir::{files_below, repository};
use std::path::Path;

/// What each module may import of ours; `a::b` allows that part of `a` only. `cli` may import all.
const TABLE: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("limits", &[]),
    (
        "unpack",
        &[
            "limits",
            "model::Code",
            "model::Finding",
            "model::MailFacts",
            "model::Original",
            "model::RawMail",
            "model::SenderAuth",
        ],
    ),
    ("parse", &["limits", "model::Code", "model::Finding", "model::Findings", "model::Quoted", "model::Text"]),
    ("normalize", &["limits", "parse", "model"]),
    ("judge", &["model"]),
    ("fetch", &["limits", "model", "unpack::sniff", "unpack::mbox"]),
    ("store", &["model", "judge"]),
    ("analyze", &["model", "judge", "store::tables"]),
    ("dns", &["model", "judge"]),
    ("send", &["fetch::mailbox"]),
    ("alert", &["model", "analyze", "store", "present"]),
    ("simulate", &["model", "judge", "analyze", "dns"]),
    ("site", &["analyze", "present"]),
    ("present", &["model", "analyze", "dns", "ingest", "simulate"]),
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
    (&["tokio::", "async fn"], &["fetch/mailbox", "fetch/imap", "fetch/pop3", "dns"], "outside them all is blocking"),
    (
        &["SystemTime::now", "Timestamp::now", "Zoned::now"],
        &["cli", "fetch/mailbox", "fetch/imap", "dns", "store", "send"],
        "the clock is an argument",
    ),
    (
        &["std::process::exit"],
        &["cli/terminal/interrupt"],
        "main returns its exit code; a second signal waits for nobody",
    ),
];

/// A source file: its path below `src/`, and its lines without comments and unit tests.
struct Source {
    path: String,
    code: String,
}

impl Source {
    fn module(&self) -> &str {
        self.path.split(['/', '.']).next().expect("a path is not empty")
    }

    /// Every path of ours that the code names, without the leading `crate::`.
    fn imports(&self) -> Vec<String> {
        self.code.match_indices("crate::").flat_map(|(at, word)| expand(&self.code[at + word.len()..])).collect()
    }
}

/// The paths of a use tree, two steps deep: `model::{Code, rows::Rows}` gives `model::Code` and `model::rows`.
fn expand(tree: &str) -> Vec<String> {
    let name = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    if let Some(group) = tree.strip_prefix('{') {
        return members(group).iter().flat_map(|member| expand(member)).collect();
    }
    let first = name(tree);
    match tree[first.len()..].strip_prefix("::") {
        Some(rest) => match rest.strip_prefix('{') {
            Some(group) => members(group).iter().map(|member| format!("{first}::{}", name(member))).collect(),
            None => vec![format!("{first}::{}", name(rest))],
        },
        None => vec![first],
    }
}

/// The members of a use group, up to its closing brace, at its own depth.
fn members(group: &str) -> Vec<String> {
    let (mut depth, mut found) = (0, vec![String::new()]);
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                found.push(String::new());
                continue;
            }
            c if c.is_whitespace() => continue,
            _ => {}
        }
        found.last_mut().expect("never empty").push(c);
    }
    found.retain(|member| !member.is_empty());
    found
}

/// Code that ships: comments go, and so do unit tests, which stand at the end of a file or in files of their own.
fn shipped(text: &str) -> String {
    let code = text.split("#[cfg(test)]\nmod tests").next().expect("split gives one piece at least");
    code.lines().map(|line| line.split("//").next().unwrap_or("")).collect::<Vec<_>>().join("\n")
}

fn sources() -> Vec<Source> {
    let src = repository().join("src");
    let name = |path: &Path| path.strip_prefix(&src).expect("below src").to_string_lossy().replace('\\', "/");
    files_below(&src)
        .iter()
        .filter(|path| path.extension().is_some_and(|ending| ending == "rs"))
        .map(|path| (name(path), std::fs::read_to_string(path).expect("a source file is UTF-8")))
        .filter(|(path, _)| !path.ends_with("tests.rs") && !path.contains("/tests/"))
        .map(|(path, text)| Source { path, code: shipped(&text) })
        .collect()
}

#[test]
fn modules_import_only_what_lies_below_them() {
    let mut faults = Vec::new();
    for source in sources() {
        let module = source.module();
        if ["main", "lib", "cli"].contains(&module) {
            continue;
        }
        let Some((_, allowed)) = TABLE.iter().find(|(name, _)| *name == module) else {
            faults.push(format!("{}: the module {module} is not in the table", source.path));
            continue;
        };
        for import in source.imports() {
            let own = import.split("::").next() == Some(module);
            let fits = |entry: &&str| import == **entry || import.starts_with(&format!("{entry}::"));
            if !own && !allowed.iter().any(fits) {
                faults.push(format!("{}: crate::{import}; {module} may import {allowed:?}", source.path));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn only_the_command_line_knows_its_tools_and_only_the_waiting_stages_wait() {
    let mut faults = Vec::new();
    for source in sources() {
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
fn every_file_says_what_it_holds() {
    let src = repository().join("src");
    let silent: Vec<_> = files_below(&src)
        .into_iter()
        .filter(|path| path.extension().is_some_and(|ending| ending == "rs"))
        .filter(|path| !std::fs::read_to_string(path).expect("a source file is UTF-8").starts_with("//!"))
        .collect();
    assert!(silent.is_empty(), "these do not open with //!: {silent:#?}");
}

#[test]
fn a_use_tree_is_read_to_its_second_step() {
    assert_eq!(expand("model::{Code, rows::Rows}"), ["model::Code", "model::rows"]);
    assert_eq!(expand("{limits::Limits, parse::{a, b}}"), ["limits::Limits", "parse::a", "parse::b"]);
    assert_eq!(expand("judge::judge(report)"), ["judge::judge"]);
    assert_eq!(expand("store;"), ["store"]);
}
