//! The four mailbox scenarios of the shared cases, from a scripted server to a store and back.
//!
//! The cases are not in this repository (`DMARQUET_TEST_CASES` says where they are); without them the tests say so
//! and pass.

#![expect(clippy::unwrap_used, reason = "the helpers of tests may fail like the tests")]

use crate::imap_server::{Folder, Manner, Server, When, Wrong};
use dmarquet::fetch::mailbox::{
    After, Auth, Finished, Mailbox, Patience, PollOptions, Protocol, Redaction, Secret, Security, StopFlag,
};
use dmarquet::fetch::poll::Poller;
use dmarquet::ingest::{self, Observer, Tally};
use dmarquet::limits::Limits;
use dmarquet::model::{Fate, Message};
use dmarquet::store::Writer;
use secrecy::SecretString;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Tells the poller what is safe.
struct Tell(dmarquet::fetch::poll::Acknowledger);

impl Observer for Tell {
    fn committed(&mut self, messages: &[(Message, Fate)]) {
        self.0.safe(messages);
    }
}

/// One run as `fetch` does it, with short timeouts.
fn fetch(mailbox: &Mailbox, store: &Path) -> (Tally, Finished) {
    let now = "2026-11-25T12:00:00Z".parse().unwrap();
    let mut writer = Writer::open(store, now).unwrap();
    let progress = writer.progress(&mailbox.name).unwrap();
    let item_bytes = Limits::default().item_bytes;
    let options = PollOptions { limit: None, since: None, item_bytes, now, stop: StopFlag::new() };
    let mut poller = Poller::start(mailbox.clone(), progress, options).unwrap();
    let mut tell = Tell(poller.acknowledger());
    let options = ingest::IngestOptions { now, ..ingest::IngestOptions::default() };
    let tally = ingest::run(poller.mails().unwrap(), &mut writer, &options, &mut tell).unwrap();
    let finished = poller.finish();
    for (folder, cursor) in &finished.cursors {
        writer.set_cursor(&mailbox.name, folder, cursor).unwrap();
    }
    writer.clear_pending(&finished.acknowledged).unwrap();
    (tally, finished)
}

/// A case: its server, its mailbox, and the faults of each run.
struct Case {
    server: Server,
    mailbox: Mailbox,
    faults: Vec<(u64, When, Wrong)>,
    runs: u64,
}

fn case(name: &str) -> Option<Case> {
    let folder: PathBuf =
        std::env::var_os("DMARQUET_TEST_CASES").map_or("/work/shared/cases".into(), PathBuf::from).join(name);
    let Ok(text) = std::fs::read_to_string(folder.join("scenario.json")) else {
        eprintln!("skipped: no {}", folder.display());
        return None;
    };
    let scenario: Value = serde_json::from_str(&text).unwrap();
    let folders = scenario["folders"].as_object().unwrap().iter();
    let folders: Vec<(String, Folder)> =
        folders.map(|(name, mails)| (name.clone(), Folder::of(mails_of(&folder, mails)))).collect();
    let with_inbox = folders.iter().any(|(name, _)| name == "INBOX");
    let inbox = (!with_inbox).then(|| ("INBOX".to_owned(), Folder::of([])));
    let server = Server::start(manner_of(&scenario["server"]), folders.into_iter().chain(inbox));
    let config = &scenario["config"];
    let text = |key: &str| config[key].as_str().map(str::to_owned);
    let mailbox = Mailbox {
        name: "case".to_owned(),
        host: "127.0.0.1".to_owned(),
        port: server.port,
        protocol: Protocol::Imap,
        security: Security::None,
        ca_file: None,
        user: "dmarc@example.com".to_owned(),
        auth: Auth::Password(Secret::Value(SecretString::from("word"))),
        folders: vec![text("folder").unwrap()],
        after: text("done").map_or(After::Keep, After::Move),
        rejected_to: text("failed"),
        patience: Patience {
            silence: Duration::from_millis(400),
            pause: Duration::from_millis(5),
            ..Patience::default()
        },
        secrets: Redaction::default(),
    };
    let faults = scenario["faults"].as_array().unwrap().iter().map(fault_of).collect();
    Some(Case { server, mailbox, faults, runs: scenario["runs"].as_u64().unwrap() })
}

fn mails_of(folder: &Path, mails: &Value) -> Vec<Vec<u8>> {
    let read = |name: &Value| std::fs::read(folder.join(name.as_str().unwrap())).unwrap();
    let mut all = Vec::new();
    for mail in mails.as_array().unwrap() {
        if mail.is_string() {
            all.push(read(mail));
            continue;
        }
        let template = String::from_utf8(read(&mail["template"])).unwrap();
        let placeholder = mail["placeholder"].as_str().unwrap();
        all.extend(
            (1..=mail["n"].as_u64().unwrap()).map(|n| template.replace(placeholder, &n.to_string()).into_bytes()),
        );
    }
    all
}

fn manner_of(server: &Value) -> Manner {
    let plain = Manner::default();
    let number = |key: &str| server[key].as_u64().map(|number| usize::try_from(number).unwrap());
    let texts = |key: &str| {
        server[key].as_array().into_iter().flatten().map(|text| text.as_str().unwrap().to_owned()).collect()
    };
    let text = |key: &str| server[key].as_str().unwrap_or_default().to_owned();
    Manner {
        capabilities: texts("capabilities"),
        delimiter: text("delimiter").chars().next().unwrap(),
        prefix: text("namespace_prefix"),
        no_inferiors: texts("no_inferiors"),
        refuse_chars: text("refuse_chars"),
        read_only: server["read_only"].as_bool().unwrap_or(false),
        chunk_bytes: number("chunk_bytes"),
        largest_set: number("bye_if_fetch_set_larger_than").unwrap_or(plain.largest_set),
        longest_line: number("max_command_line").unwrap_or(plain.longest_line),
        size_factor: server["rfc822_size_factor"].as_f64().unwrap_or(plain.size_factor),
        ..plain
    }
}

fn fault_of(fault: &Value) -> (u64, When, Wrong) {
    let number = |key: &str| usize::try_from(fault[key].as_u64().unwrap()).unwrap();
    let wrong = match fault["do"].as_str().unwrap() {
        "drop_after_bytes" => Wrong::DropAfter(number("n")),
        "short_literal" => Wrong::ShortLiteral { promise: number("promise"), send: number("send") },
        "close_without_tls_close_notify" => Wrong::Close,
        other => panic!("unknown fault {other}"),
    };
    let on = fault["on"].as_str().unwrap();
    let when = match on.strip_prefix("FETCH ") {
        Some(uid) => When::Body(uid.parse().unwrap()),
        None => When::Line(on.to_owned()),
    };
    (fault["run"].as_u64().unwrap(), when, wrong)
}

/// The result of each run.
fn play(case: &Case, store: &Path) -> Vec<(Tally, Finished)> {
    let run = |number| {
        let due = case.faults.iter().filter(|(run, ..)| *run == number);
        case.server.world().faults.extend(due.map(|(_, when, wrong)| (when.clone(), *wrong)));
        fetch(&case.mailbox, store)
    };
    (1..=case.runs).map(run).collect()
}

fn reports(runs: &[(Tally, Finished)]) -> u64 {
    runs.iter().map(|(tally, _)| tally.stored.reports).sum()
}

fn messages(runs: &[(Tally, Finished)]) -> i64 {
    runs.iter().map(|(tally, _)| tally.stored.messages).sum()
}

#[test]
fn folder_names_are_found_and_a_full_target_leaves_the_mails() {
    let Some(case) = case("89-imap-dot-delimiter-utf7") else { return };
    let store = tempfile::tempdir().unwrap();
    let runs = play(&case, store.path());
    assert_eq!((reports(&runs), messages(&runs)), (3, 6));
    for (_, finished) in &runs {
        assert!(finished.failures[0].reason.contains("making folder Archiv/Erledigt"), "{finished:?}");
    }
    let commands = case.server.world().commands.clone();
    let first = |word: &str| commands.iter().position(|command| command.contains(word));
    assert!(first("CREATE") < first("FETCH"), "said before anything is read: {commands:?}");
    assert_eq!(commands.iter().filter(|command| command.contains("BODY")).count(), 1, "the second run fetches nothing");
    assert_eq!(case.server.folder("INBOX.Berichte.DMARC-&ANw-bersicht").mails.len(), 3);
}

#[test]
fn a_connection_lost_in_a_mail_and_a_literal_too_short_lose_and_double_nothing() {
    let Some(case) = case("90-imap-drop-mid-fetch") else { return };
    let store = tempfile::tempdir().unwrap();
    let runs = play(&case, store.path());
    assert_eq!((reports(&runs), messages(&runs)), (3, 6));
    assert!(runs.iter().all(|(tally, finished)| tally.rejected.is_empty() && finished.failures.is_empty()), "{runs:?}");
    assert_eq!((case.server.folder("INBOX").mails.len(), case.server.folder("Done").mails.len()), (0, 3));
}

#[test]
fn a_read_only_mailbox_with_wrong_sizes_and_a_rude_end_is_read_once() {
    let Some(case) = case("92-imap-readonly-rude-logout") else { return };
    let store = tempfile::tempdir().unwrap();
    let runs = play(&case, store.path());
    assert_eq!((runs[0].0.stored.reports, runs[1].0.items), (3, 0));
    assert!(runs.iter().all(|(_, finished)| finished.failures.is_empty()), "{runs:?}");
    // Another UIDVALIDITY: read again, and nothing is doubled.
    case.server.world().folders.get_mut("INBOX").unwrap().validity = 99;
    let (again, _) = fetch(&case.mailbox, store.path());
    assert_eq!((again.stored.reports, again.duplicates), (0, 3));
}

#[test]
fn many_mails_are_fetched_in_groups_that_the_server_accepts() {
    let Some(case) = case("93-imap-many-messages") else { return };
    let store = tempfile::tempdir().unwrap();
    let runs = play(&case, store.path());
    assert_eq!((reports(&runs), messages(&runs)), (120, 120));
    assert_eq!((case.server.folder("INBOX").mails.len(), case.server.folder("Done").mails.len()), (0, 120));
    assert_eq!(case.server.world().connections, 1);
}
