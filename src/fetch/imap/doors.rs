//! What must hold for any bytes a server may send: functions that panic where it does not. `fuzz/` and the tests run them;
//! no build for users has them.

#![allow(clippy::missing_panics_doc, reason = "to panic is what these are for")]

use super::bodies::{Got, Queue, answer};
use super::connect::{SMALL_LITERAL, greeting};
use super::error::{Fault, wait_in};
use super::folders::{Tree, decode, encode};
use super::gate::{Gate, GateError};
use super::list::{Lister, entry};
use super::oauth::Tokens;
use super::ranges::Ranges;
use super::session::{Link, Mode, is_news};
use super::wire::Wire;
use super::{After, Auth, Mailbox, Patience, Secret, Security, auth};
use async_imap::Client;
use async_imap::imap_proto::Response;
use std::collections::BTreeSet;
use std::io::Cursor;
use tokio::runtime::{Builder, Runtime};

/// What ends a session in which nothing is wrong.
const END: &str = "the server said all that was asked for";
/// The largest mail that is taken here.
const MAIL: u64 = 1000;

/// Through the gate: the same comes through however the bytes are cut; all that comes through is what the parser beneath
/// async-imap takes whole and does not die of.
pub fn gate(bytes: &[u8]) {
    let (through, end, within) = fed(bytes, usize::MAX);
    for size in [1, 7, 60] {
        let (pieces, end_of_pieces, within_of_pieces) = fed(bytes, size);
        assert_eq!(end_of_pieces, end, "cut every {size} bytes");
        if end.is_ok() {
            assert_eq!((pieces, within_of_pieces), (through.clone(), within), "cut every {size} bytes");
        } else {
            // What flowed before the fault may have gone on or not.
            assert!(pieces.starts_with(&through), "cut every {size} bytes");
        }
    }
    let mut rest = &through[..];
    while let Ok((after, response)) = Response::parse(rest) {
        let _ = (entry(&response), answer(&response), is_news(&response));
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    assert!(rest.is_empty() || within || end.is_err(), "left: {:?}", String::from_utf8_lossy(rest));
    let text = String::from_utf8_lossy(bytes);
    let _ = (wait_in(&text), decode(&text));
    assert_eq!(decode(&encode(&text)), text, "a folder's name");
}

/// What the gate lets through, how that ended, and whether within a response.
fn fed(bytes: &[u8], size: usize) -> (Vec<u8>, Result<(), GateError>, bool) {
    let mut gate = Gate::new(MAIL);
    let end = bytes.chunks(size).try_for_each(|chunk| gate.feed(chunk));
    let through = std::iter::from_fn(|| gate.take()).flatten().collect();
    (through, end, gate.is_within())
}

/// A whole session with a server that says this and hangs up: it ends, each mail is given once, listed, and within the
/// limit.
pub fn session(bytes: &[u8]) {
    let _ = given(bytes);
}

/// The UIDs that a session gives, and what ends it.
fn given(bytes: &[u8]) -> (BTreeSet<u32>, String) {
    // The password is read on a thread of the runtime's own: to start one each time is dear.
    thread_local!(static RUNTIME: Runtime = Builder::new_current_thread().enable_time().build().expect("a runtime"));
    let server = tokio::io::join(Cursor::new(bytes.to_vec()), tokio::io::sink());
    let mut given = BTreeSet::new();
    let fault = RUNTIME.with(|runtime| {
        let wire = Wire::new(Box::new(server), SMALL_LITERAL, Patience::default().silence);
        runtime.block_on(poll(wire, &mut given)).expect_err("the server hung up")
    });
    let reason = fault.into_error("x").reason;
    assert!(!reason.is_empty());
    (given, reason)
}

async fn poll(wire: Wire, given: &mut BTreeSet<u32>) -> Result<(), Fault> {
    let mailbox = Mailbox {
        name: "reports".to_owned(),
        host: "imap.example.com".to_owned(),
        port: 993,
        security: Security::Tls,
        ca_file: None,
        user: "dmarc@example.com".to_owned(),
        auth: Auth::Password(Secret::Value("word".into())),
        folders: vec!["INBOX".to_owned()],
        after: After::Keep,
        rejected_to: None,
        patience: Patience::default(),
    };
    let mut client = Client::new(wire);
    greeting(&mut client).await?;
    let session = auth::login(client, &mailbox, &mut Tokens::default()).await?;
    let mut link = Link::begin(session, mailbox.patience.clone()).await?;
    let tree = Tree::ask(&mut link).await?;
    let name = tree.find("INBOX")?;
    let opened = link.select(&name, Mode::Read).await?.clone();
    let mut lister = Lister::new(1, &opened);
    let (mut queue, mut listed) = (Queue::default(), BTreeSet::new());
    while !lister.is_over() {
        let window = lister.next(&mut link, &Ranges::new()).await?;
        for entry in &window.entries {
            assert!(listed.insert(entry.uid), "UID {} is listed twice", entry.uid);
        }
        queue.extend(window.entries);
        while let Some(got) = queue.next(&mut link, MAIL, || false).await? {
            let (Got::Mail(entry, _) | Got::TooLarge(entry, _) | Got::Withheld(entry, _) | Got::Gone(entry)) = &got;
            assert!(listed.contains(&entry.uid) && given.insert(entry.uid), "UID {} is given twice", entry.uid);
            assert!(!matches!(&got, Got::Mail(_, body) if body.len() as u64 > MAIL.max(SMALL_LITERAL)));
        }
    }
    link.noop().await?;
    Err(Fault::settled(END))
}

#[cfg(test)]
mod tests {
    use super::{BTreeSet, END, given};
    use std::path::Path;

    #[test]
    fn some_server_of_the_corpus_is_asked_all_there_is_to_ask() {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/session");
        let inputs = std::fs::read_dir(corpus).unwrap().map(|entry| std::fs::read(entry.unwrap().path()).unwrap());
        let ended: Vec<BTreeSet<u32>> =
            inputs.map(|bytes| given(&bytes)).filter(|(_, end)| end == END).map(|(given, _)| given).collect();
        assert!(ended.iter().any(|given| given.len() > 1), "the commands of a session changed: {ended:?}");
    }
}
