//! Tests the gate, and the poller against servers: `scripted` misbehaves, `real` is Dovecot.
//!
//! Each test ends in a clear error or success, with every mail returned once and nothing lost.

#[path = "../../../../tests/it/support/imap_dovecot.rs"]
mod dovecot;
mod gate;
mod hostile;
mod real;
mod scripted;
#[path = "../../../../tests/it/support/imap_server.rs"]
mod server;

use super::*;
use crate::fetch::item::{Fetched, Item};
use crate::fetch::mailbox::{
    After, Auth, Finished, Mailbox, Patience, PollOptions, Protocol, Redaction, Secret, Security, StopFlag,
};
use crate::fetch::poll::{Poller, survey};
use crate::model::{Cursor, Fate, Message};
use secrecy::SecretString;
use server::Server;
use std::time::Duration;

/// Short time limits.
fn patience() -> Patience {
    Patience {
        connect: Duration::from_secs(5),
        command: Duration::from_secs(5),
        silence: Duration::from_millis(300),
        tries: 4,
        pause: Duration::from_millis(5),
        ..Patience::default()
    }
}

fn mailbox(server: &Server, after: After) -> Mailbox {
    Mailbox {
        name: "reports".to_owned(),
        host: "127.0.0.1".to_owned(),
        port: server.port,
        protocol: Protocol::Imap,
        security: Security::None,
        ca_file: None,
        user: "dmarc@example.com".to_owned(),
        auth: Auth::Password(Secret::Value(SecretString::from("s3cret-word"))),
        folders: vec!["INBOX".to_owned()],
        after,
        rejected_to: None,
        patience: patience(),
        secrets: Redaction::default(),
    }
}

fn options() -> PollOptions {
    let now = "2026-11-25T12:00:00Z".parse().unwrap();
    PollOptions { limit: None, since: None, item_bytes: 1 << 20, now, stop: StopFlag::new() }
}

fn mails(count: usize) -> Vec<Vec<u8>> {
    (1..=count).map(|n| format!("Subject: mail {n}\r\n\r\n{}\r\n", "x".repeat(n * 37 % 500)).into_bytes()).collect()
}

/// The result of a run.
#[derive(Debug, Default)]
struct ImapRunResult {
    items: Vec<Item>,
    others: Vec<Fetched>,
    finished: Finished,
}

impl ImapRunResult {
    fn uids(&self) -> Vec<u32> {
        let mut uids: Vec<u32> = self.items.iter().map(uid_of).collect();
        uids.sort_unstable();
        uids
    }

    fn cursor(&self) -> Cursor {
        self.finished.cursors[0].1.clone()
    }
}

fn uid_of(item: &Item) -> u32 {
    let Some(Message::Imap { uid, .. }) = &item.message else { panic!("no message of IMAP: {item:?}") };
    *uid
}

fn message_of(fetched: &Fetched) -> Option<(Message, Fate)> {
    match fetched {
        Fetched::Item(item) => item.message.clone().map(|message| (message, Fate::Done)),
        Fetched::TooLarge { message, .. } => message.clone().map(|message| (message, Fate::Unreadable)),
        Fetched::Unfetched { message, .. } => Some((message.clone(), Fate::Unreadable)),
        Fetched::SetAside { .. } | Fetched::LinkOut { .. } => None,
    }
}

/// Runs, and acknowledges the mails in batches of three.
fn run(mailbox: Mailbox, cursors: Vec<(String, Cursor)>, options: PollOptions) -> ImapRunResult {
    let mut poller = Poller::start(mailbox, cursors, options).unwrap();
    let acknowledger = poller.acknowledger();
    let (mut brought, mut batch) = (ImapRunResult::default(), Vec::new());
    for fetched in poller.mails().unwrap() {
        let fetched = fetched.unwrap();
        batch.extend(message_of(&fetched));
        if batch.len() == 3 {
            acknowledger.safe(&std::mem::take(&mut batch));
        }
        match fetched {
            Fetched::Item(item) => brought.items.push(item),
            other => brought.others.push(other),
        }
    }
    acknowledger.safe(&batch);
    brought.finished = poller.finish();
    brought
}

fn once(server: &Server, after: After) -> ImapRunResult {
    run(mailbox(server, after), vec![], options())
}
