//! Properties of the IMAP client for any bytes from a server. The functions panic if one does not hold; `fuzz/` and the
//! tests run them, and release builds leave them out.

#![allow(clippy::missing_panics_doc, reason = "to panic is what these are for")]

use super::after::{self, AfterAction};
use super::auth;
use super::bodies::{BodyReply, Queue, answer};
use super::connect::{SMALL_LITERAL, greeting};
use super::folders::{FolderTree, decode, encode};
use super::gate::{Gate, GateError};
use super::list::{Lister, entry};
use super::ranges::UidSet;
use super::session::{ImapConnection, OpenMode, is_news};
use super::wire::Wire;
use crate::fetch::mailbox::error::{ServerError, wait_in};
use crate::fetch::mailbox::oauth::TokenCache;
use crate::fetch::mailbox::{After, Auth, Mailbox, Patience, Protocol, Redaction, Secret, Security};
use async_imap::Client;
use async_imap::imap_proto::Response;
use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::runtime::{Builder, Runtime};

/// The end of a session without errors.
const END: &str = "the server said all that was asked for";
/// The largest mail accepted here.
const MAIL: u64 = 1000;

/// The gate lets the same bytes through however the input is cut, and everything it lets through is parsed completely
/// by the parser of async-imap, without a panic.
pub fn gate(bytes: &[u8]) {
    let (through, end, within) = fed(bytes, usize::MAX);
    for size in [1, 7, 60] {
        let (pieces, end_of_pieces, within_of_pieces) = fed(bytes, size);
        assert_eq!(end_of_pieces, end, "cut every {size} bytes");
        if end.is_ok() {
            assert_eq!((pieces, within_of_pieces), (through.clone(), within), "cut every {size} bytes");
        } else {
            // A literal that was flowing before the error may have been passed on or not.
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

/// What the gate lets through, how it ended, and whether inside a response.
fn fed(bytes: &[u8], size: usize) -> (Vec<u8>, Result<(), GateError>, bool) {
    let mut gate = Gate::new(MAIL);
    let end = bytes.chunks(size).try_for_each(|chunk| gate.feed(chunk));
    let through = std::iter::from_fn(|| gate.take()).flatten().collect();
    (through, end, gate.is_within())
}

/// A whole session with a server that sends this and hangs up: it ends, each mail is returned once, was listed, and is
/// within the limit, and no other mail is flagged, copied, moved or expunged.
pub fn session(bytes: &[u8]) {
    let _ = Session::with(bytes);
}

/// The result of a session.
#[derive(Debug)]
struct Session {
    /// The UIDs it returned.
    given: BTreeSet<u32>,
    /// What ended it.
    #[cfg_attr(not(test), expect(dead_code, reason = "tests ask"))]
    end: String,
    /// The lines that the server received.
    heard: String,
}

impl Session {
    fn with(bytes: &[u8]) -> Self {
        // The runtime reads the password on a thread of its own, and starting one each time is expensive.
        thread_local!(static RUNTIME: Runtime = Builder::new_current_thread().enable_time().build().expect("a runtime"));
        let ear = SentBytes::default();
        let server = tokio::io::join(Lines(bytes.to_vec().into()), ear.clone());
        let mut given = BTreeSet::new();
        let fault = RUNTIME.with(|runtime| {
            let wire = Wire::new(Box::new(server), SMALL_LITERAL, Patience::default().silence);
            runtime.block_on(poll(wire, &mut given)).expect_err("the server hung up")
        });
        let end = fault.reason_and_hint().0;
        assert!(!end.is_empty());
        let heard = String::from_utf8_lossy(&ear.0.lock().expect("nobody panicked")).into_owned();
        let session = Self { given, end, heard };
        for uid in session.touched() {
            assert!(session.given.contains(&uid), "UID {uid} was not given: {}", session.heard);
        }
        session
    }

    /// The UIDs that the server was asked to change.
    fn touched(&self) -> BTreeSet<u32> {
        let words = self.heard.lines().map(|line| line.split(' ').skip(1).collect::<Vec<_>>());
        let sets = words.filter_map(|words| match words[..] {
            ["UID", "STORE" | "COPY" | "MOVE" | "EXPUNGE", set, ..] => Some(set.to_owned()),
            _ => None,
        });
        let mut touched = BTreeSet::new();
        for range in sets.collect::<Vec<_>>().iter().flat_map(|set| set.split(',')) {
            let (first, last) = range.split_once(':').unwrap_or((range, range));
            touched.extend(first.parse::<u32>().expect("a UID")..=last.parse().expect("a UID"));
        }
        touched
    }
}

/// Sends a line at a time: the answer to one command is not available while another is answered.
struct Lines(VecDeque<u8>);

impl AsyncRead for Lines {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let line = self.0.iter().position(|byte| *byte == b'\n').map_or(self.0.len(), |at| at + 1);
        let count = line.min(out.remaining());
        out.put_slice(&self.0.drain(..count).collect::<Vec<_>>());
        Poll::Ready(Ok(()))
    }
}

/// Records what is sent to it.
#[derive(Debug, Clone, Default)]
struct SentBytes(Arc<Mutex<Vec<u8>>>);

impl AsyncWrite for SentBytes {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.lock().expect("nobody panicked").extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

fn mailbox() -> Mailbox {
    Mailbox {
        name: "reports".to_owned(),
        host: "imap.example.com".to_owned(),
        port: 993,
        protocol: Protocol::Imap,
        security: Security::Tls,
        ca_file: None,
        user: "dmarc@example.com".to_owned(),
        auth: Auth::Password(Secret::Value("word".into())),
        folders: vec!["INBOX".to_owned()],
        after: After::Keep,
        rejected_to: None,
        patience: Patience::default(),
        secrets: Redaction::default(),
    }
}

async fn poll(wire: Wire, given: &mut BTreeSet<u32>) -> Result<(), ServerError> {
    let mailbox = mailbox();
    let mut client = Client::new(wire);
    greeting(&mut client).await?;
    let session = auth::login(client, &mailbox, &mut TokenCache::default()).await?;
    let mut link = ImapConnection::begin(session, mailbox.patience.clone()).await?;
    let mut tree = FolderTree::ask(&mut link).await?;
    let name = tree.find("INBOX")?;
    let opened = link.select(&name, OpenMode::Write).await?.clone();
    let mut lister = Lister::new(1, &opened);
    let (mut queue, mut listed) = (Queue::default(), BTreeSet::new());
    while !lister.is_over() {
        let window = lister.next(&mut link, &UidSet::new()).await?;
        for entry in &window.entries {
            assert!(listed.insert(entry.uid), "UID {} is listed twice", entry.uid);
        }
        queue.extend(window.entries);
        while let Some(got) = queue.next(&mut link, MAIL, || false).await? {
            let (BodyReply::Mail(entry, _)
            | BodyReply::TooLarge(entry, _)
            | BodyReply::Withheld(entry, _)
            | BodyReply::Gone(entry)) = &got;
            assert!(listed.contains(&entry.uid) && given.insert(entry.uid), "UID {} is given twice", entry.uid);
            assert!(!matches!(&got, BodyReply::Mail(_, body) if body.len() as u64 > MAIL.max(SMALL_LITERAL)));
        }
    }
    link.noop().await?;
    let uids: Vec<u32> = given.iter().copied().collect();
    let done = tree.find_or_make(&mut link, "DMARC/done").await?;
    for act in [AfterAction::Seen, AfterAction::Move(done), AfterAction::Delete] {
        let mut rest = &uids[..];
        while !rest.is_empty() {
            match after::act(&mut link, &act, rest).await {
                Ok(done) => {
                    let (taken, more) = rest.split_at(done.uids.len());
                    assert!(!taken.is_empty() && done.uids == taken, "{act:?}: {done:?} of {rest:?}");
                    rest = more;
                }
                Err(ServerError::Refused { .. }) => break,
                Err(fault) => return Err(fault),
            }
        }
    }
    Err(ServerError::settled(END))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write as _;
    use std::path::Path;

    #[test]
    fn the_corpus_covers_every_request_to_a_server() {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/session");
        let inputs = std::fs::read_dir(corpus).unwrap().map(|entry| std::fs::read(entry.unwrap().path()).unwrap());
        let whole: Vec<Session> =
            inputs.map(|bytes| Session::with(&bytes)).filter(|session| session.end == END).collect();
        for command in ["BODY.PEEK", "STORE", "MOVE", "COPY", "EXPUNGE"] {
            let asked = |session: &Session| session.given.len() > 1 && session.heard.contains(command);
            assert!(whole.iter().any(asked), "the commands of a session changed: no {command} in {whole:?}");
        }
    }

    /// What a server receives that should move mails with these UIDs and answers with these lines.
    fn moved(uids: &[u32], answers: &[&str]) -> String {
        let mut said = "* OK hello\r\nA0001 OK [CAPABILITY IMAP4rev1 UIDPLUS MOVE] in\r\n".to_owned();
        let mut tag = 1;
        for answer in answers {
            tag += u32::from(!answer.starts_with('*'));
            let tag = if answer.starts_with('*') { String::new() } else { format!("A{tag:04} ") };
            write!(said, "{tag}{answer}\r\n").unwrap();
        }
        let ear = SentBytes::default();
        let server = tokio::io::join(Lines(said.into_bytes().into()), ear.clone());
        let work = async {
            let mut client = Client::new(Wire::new(Box::new(server), SMALL_LITERAL, Patience::default().silence));
            greeting(&mut client).await.unwrap();
            let mailbox = mailbox();
            let session = auth::login(client, &mailbox, &mut TokenCache::default()).await.unwrap();
            let mut link = ImapConnection::begin(session, mailbox.patience.clone()).await.unwrap();
            let done = after::act(&mut link, &AfterAction::Move("Done".to_owned()), uids).await.unwrap();
            assert_eq!(done.uids, uids);
        };
        Builder::new_current_thread().enable_time().build().unwrap().block_on(work);
        let heard = ear.0.lock().unwrap();
        String::from_utf8_lossy(&heard).into_owned()
    }

    #[test]
    fn a_mail_that_a_server_speaks_of_unasked_is_not_moved() {
        let unasked = "* 9 FETCH (UID 99 FLAGS ())";
        let answers =
            ["BAD cannot move", unasked, "OK looked", unasked, "OK looked", "OK copied", "OK flagged", "OK gone"];
        let heard = moved(&[5, 8], &answers);
        assert!(heard.contains("UID MOVE 5,8") && !heard.contains("UID COPY"), "{heard}");
    }

    #[test]
    fn what_is_left_of_a_move_is_copied_whole_however_long_its_set() {
        let uids: Vec<u32> = (1001..=1400).collect();
        let there: Vec<String> = uids.iter().step_by(2).map(|uid| format!("* 1 FETCH (UID {uid} FLAGS ())")).collect();
        let looked = there.join("\r\n");
        let copied = ["OK copied", "OK flagged", "OK copied", "OK flagged", "OK gone"];
        let answers = [&["BAD cannot move", &looked, "OK looked", &looked, "OK looked"][..], &copied].concat();
        let heard = moved(&uids, &answers);
        let sets = heard.lines().filter_map(|line| line.split_once("UID COPY "));
        assert_eq!(sets.map(|(_, set)| set.split(',').count()).sum::<usize>(), 200, "{heard}");
    }
}
