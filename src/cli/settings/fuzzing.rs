//! Properties that hold for any text as a settings file: functions that panic if they do not. Used by `fuzz/` and the
//! tests; not in builds for users.

#![allow(clippy::missing_panics_doc, reason = "to panic is what these are for")]

use super::file::Settings;
use super::senders;
use crate::cli::terminal::fault::Several;
use std::collections::BTreeSet;
use std::path::Path;

/// Parses the text as settings and as a list of services: succeeds, or returns errors that each name a line of the
/// file, in order.
pub fn settings(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match Settings::parse(text, Path::new("c.toml")) {
        Ok(settings) => {
            let names: BTreeSet<&str> = settings.mailboxes.iter().map(|mailbox| mailbox.name.as_str()).collect();
            assert_eq!(names.len(), settings.mailboxes.len(), "each mailbox has a name of its own");
            assert!(settings.mailboxes.iter().all(|mailbox| mailbox.port > 0 && !mailbox.folders.is_empty()));
        }
        Err(error) => faults_hold(&error, text),
    }
    if let Err(error) = senders::parse(text, "c.toml") {
        faults_hold(&error, text);
    }
}

fn faults_hold(error: &anyhow::Error, text: &str) {
    let Several(faults) = error.downcast_ref().expect("faults are told together");
    let line = |fault: &anyhow::Error| {
        let told = format!("{fault:#}");
        let number = told.strip_prefix("c.toml line ").and_then(|rest| rest.split_once(": ")).map(|(number, _)| number);
        number.and_then(|number| number.parse::<usize>().ok()).unwrap_or_else(|| panic!("no line in {told:?}"))
    };
    let lines: Vec<usize> = faults.iter().map(line).collect();
    assert!(!lines.is_empty() && lines.is_sorted(), "{lines:?}");
    assert!(lines.iter().all(|line| (1..=text.matches('\n').count() + 1).contains(line)), "{lines:?}");
}
