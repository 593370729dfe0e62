//! The POP3 poller against a scripted server: each test changes one of its answers.

use super::stream::{Body, LineStream};
use crate::fetch::item::{FetchError, Fetched};
use crate::fetch::mailbox::{
    After, Auth, Finished, Mailbox, Patience, PollOptions, Protocol, Redaction, Secret, Security, StopFlag,
};
use crate::fetch::poll::Poller;
use crate::model::{Fate, KnownUidl, MailboxProgress, Message};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const SECRET: &str = "s3cret-word";

/// A message: its id, its text.
type Mail = (String, Vec<u8>);

/// The state of the server.
#[derive(Default)]
struct Maildrop {
    mails: Vec<Mail>,
    /// The commands it received, by connection.
    heard: Vec<(usize, String)>,
    connections: usize,
}

/// Overrides an answer, given the connection's number and the line. An empty answer hangs up, after what was sent.
type Hook = dyn Fn(usize, &str) -> Option<Vec<Vec<u8>>> + Send + Sync;

#[derive(Clone)]
struct Server {
    port: u16,
    maildrop: Arc<Mutex<Maildrop>>,
}

fn plain(_: usize, _: &str) -> Option<Vec<Vec<u8>>> {
    None
}

/// One answer.
#[expect(clippy::unnecessary_wraps, reason = "as a hook has it")]
fn say(text: &str) -> Option<Vec<Vec<u8>>> {
    Some(vec![text.as_bytes().to_vec()])
}

/// Hangs up, after sending this.
#[expect(clippy::unnecessary_wraps, reason = "as a hook has it")]
fn hang_up(text: &str) -> Option<Vec<Vec<u8>>> {
    Some(vec![text.as_bytes().to_vec(), Vec::new()])
}

impl Server {
    fn start(
        mails: &[(&str, &str)],
        hook: impl Fn(usize, &str) -> Option<Vec<Vec<u8>>> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let mails = mails.iter().map(|(id, text)| ((*id).to_owned(), text.as_bytes().to_vec())).collect();
        let maildrop = Arc::new(Mutex::new(Maildrop { mails, ..Maildrop::default() }));
        let (shared, hook): (_, Arc<Hook>) = (maildrop.clone(), Arc::new(hook));
        std::thread::spawn(move || {
            for socket in listener.incoming() {
                let (shared, hook) = (shared.clone(), hook.clone());
                std::thread::spawn(move || serve(&shared, &*hook, socket.unwrap()));
            }
        });
        Self { port, maildrop }
    }

    fn five(hook: impl Fn(usize, &str) -> Option<Vec<Vec<u8>>> + Send + Sync + 'static) -> Self {
        let mails =
            [("a", "one\r\n"), ("b", "two\r\n.\r\n..\r\n"), ("c", "three\r\n"), ("d", "four\r\n"), ("e", "five\r\n")];
        Self::start(&mails, hook)
    }

    fn ids(&self) -> Vec<String> {
        self.maildrop.lock().unwrap().mails.iter().map(|(id, _)| id.clone()).collect()
    }

    fn heard(&self, word: &str) -> Vec<String> {
        let maildrop = self.maildrop.lock().unwrap();
        maildrop.heard.iter().filter(|(_, line)| line.starts_with(word)).map(|(_, line)| line.clone()).collect()
    }
}

fn serve(maildrop: &Mutex<Maildrop>, hook: &Hook, mut socket: TcpStream) {
    let (connection, mails) = {
        let mut maildrop = maildrop.lock().unwrap();
        maildrop.connections += 1;
        (maildrop.connections, maildrop.mails.clone())
    };
    let mut lines = BufReader::new(socket.try_clone().unwrap()).lines();
    let mut gone: BTreeSet<usize> = BTreeSet::new();
    let mut line = String::new();
    loop {
        let answer = hook(connection, &line).unwrap_or_else(|| vec![usual(maildrop, &mails, &mut gone, &line)]);
        for piece in answer {
            if piece.is_empty() || socket.write_all(&piece).is_err() {
                return;
            }
        }
        let Some(Ok(next)) = lines.next() else { return };
        maildrop.lock().unwrap().heard.push((connection, next.clone()));
        line = next;
    }
}

fn usual(maildrop: &Mutex<Maildrop>, mails: &[Mail], gone: &mut BTreeSet<usize>, line: &str) -> Vec<u8> {
    let (word, argument) = line.split_once(' ').unwrap_or((line, ""));
    let left: Vec<usize> = (1..=mails.len()).filter(|number| !gone.contains(number)).collect();
    let one = argument.parse::<usize>().ok().filter(|number| left.contains(number));
    let listed = |of: &dyn Fn(usize) -> String| match one {
        Some(number) => format!("+OK {}\r\n", of(number)),
        None if !argument.is_empty() => "-ERR none\r\n".to_owned(),
        None => format!("+OK\r\n{}.\r\n", left.iter().map(|number| of(*number) + "\r\n").collect::<String>()),
    };
    match (word, one) {
        ("UIDL", _) => listed(&|number| format!("{number} {}", mails[number - 1].0)).into_bytes(),
        ("LIST", _) => listed(&|number| format!("{number} {}", mails[number - 1].1.len())).into_bytes(),
        ("STAT", _) => format!("+OK {} 100\r\n", left.len()).into_bytes(),
        ("RETR", Some(number)) => {
            let text = String::from_utf8_lossy(&mails[number - 1].1).replace("\r\n.", "\r\n..");
            format!("+OK\r\n{text}.\r\n").into_bytes()
        }
        ("DELE", Some(number)) => {
            gone.insert(number);
            b"+OK\r\n".to_vec()
        }
        ("RETR" | "DELE", None) | ("CAPA" | "AUTH" | "STLS", _) => b"-ERR no\r\n".to_vec(),
        ("QUIT", _) => {
            let deleted: Vec<&Mail> = gone.iter().map(|number| &mails[number - 1]).collect();
            maildrop.lock().unwrap().mails.retain(|mail| !deleted.contains(&mail));
            b"+OK\r\n".to_vec()
        }
        _ => b"+OK\r\n".to_vec(),
    }
}

fn mailbox(server: &Server, after: After) -> Mailbox {
    Mailbox {
        name: "reports".to_owned(),
        host: "127.0.0.1".to_owned(),
        port: server.port,
        protocol: Protocol::Pop3,
        security: Security::None,
        ca_file: None,
        user: "dmarc@example.com".to_owned(),
        auth: Auth::Password(Secret::Value(SECRET.into())),
        folders: vec!["INBOX".to_owned()],
        after,
        rejected_to: None,
        patience: Patience {
            connect: Duration::from_secs(5),
            command: Duration::from_secs(5),
            silence: Duration::from_millis(400),
            tries: 4,
            pause: Duration::from_millis(5),
            ..Patience::default()
        },
        secrets: Redaction::default(),
    }
}

fn options() -> PollOptions {
    let now = "2026-11-25T12:00:00Z".parse().unwrap();
    PollOptions { limit: None, since: None, item_bytes: 1000, now, stop: StopFlag::new() }
}

/// The result of a run.
#[derive(Debug, Default)]
struct Pop3RunResult {
    texts: Vec<String>,
    messages: Vec<Message>,
    others: Vec<Fetched>,
    finished: Finished,
}

/// Runs, and acknowledges every mail; one with `lunch` in it is not a report.
fn run_with(mailbox: Mailbox, known: Vec<KnownUidl>, options: PollOptions) -> Result<Pop3RunResult, FetchError> {
    let mut poller = Poller::start(mailbox, MailboxProgress { uidls: known, ..MailboxProgress::default() }, options)?;
    let acknowledger = poller.acknowledger();
    let mut brought = Pop3RunResult::default();
    for fetched in poller.mails().unwrap() {
        match fetched? {
            Fetched::Item(item) => {
                let text = String::from_utf8(item.bytes).unwrap();
                let fate = if text.contains("lunch") { Fate::NotReport } else { Fate::Done };
                brought.messages.extend(item.message.clone());
                acknowledger.safe(&[(item.message.unwrap(), fate)]);
                brought.texts.push(text);
            }
            other => brought.others.push(other),
        }
    }
    brought.finished = poller.finish();
    Ok(brought)
}

fn run(server: &Server, after: After) -> Pop3RunResult {
    run_with(mailbox(server, after), vec![], options()).unwrap()
}

/// What the ledger would know after a run that changes nothing on the server.
fn known(brought: &Pop3RunResult) -> Vec<KnownUidl> {
    let uidl = |message: &Message| match message {
        Message::Pop3 { uidl: Some((uidl, octets)), .. } => {
            Some(KnownUidl { uidl: uidl.clone(), octets: *octets, pending: false })
        }
        _ => None,
    };
    brought.messages.iter().filter_map(uidl).collect()
}

#[test]
fn what_is_known_is_not_read_again_and_nothing_is_deleted_unasked() {
    let server = Server::five(plain);
    let first = run(&server, After::Keep);
    assert_eq!(first.texts, ["one\r\n", "two\r\n.\r\n..\r\n", "three\r\n", "four\r\n", "five\r\n"]);
    assert_eq!((first.finished.acknowledged.len(), first.finished.failures.len()), (5, 0));
    assert_eq!(first.finished.uidls, Some(server.ids()));
    server.maildrop.lock().unwrap().mails.push(("f".to_owned(), b"six\r\n".to_vec()));
    let second = run_with(mailbox(&server, After::Keep), known(&first), options()).unwrap();
    assert_eq!(second.texts, ["six\r\n"]);
    assert_eq!((server.heard("RETR").len(), server.heard("DELE").len(), server.heard("QUIT").len()), (6, 0, 2));
}

#[test]
fn what_is_safe_is_deleted_and_what_is_no_report_stays() {
    let server = Server::start(&[("a", "one\r\n"), ("b", "lunch?\r\n"), ("c", "three\r\n")], plain);
    let brought = run(&server, After::Delete);
    assert_eq!((brought.texts.len(), server.ids()), (3, vec!["b".to_owned()]));
    assert_eq!(brought.finished.uidls, Some(vec!["b".to_owned()]));
    assert_eq!(server.maildrop.lock().unwrap().heard.last().unwrap().1, "QUIT");
}

#[test]
fn a_connection_that_breaks_anywhere_loses_and_doubles_nothing() {
    for line in ["", "CAPA", "PASS", "STAT", "UIDL", "LIST", "RETR 3", "DELE 1", "DELE 5", "QUIT"] {
        for said in ["", "+OK\r\n", "+OK\r\nSub"] {
            let hook = move |connection, heard: &str| {
                let here = connection == 1 && (heard == line || !line.is_empty() && heard.starts_with(line));
                if here { hang_up(said) } else { None }
            };
            let server = Server::five(hook);
            let brought = run(&server, After::Delete);
            let texts: BTreeSet<&String> = brought.texts.iter().collect();
            assert_eq!((brought.texts.len(), texts.len()), (5, 5), "{line:?} {said:?}: {brought:?}");
            // A server that claims to have deleted a message but has not cannot be helped in this run.
            if !(line == "QUIT" && said.starts_with("+OK")) {
                assert!(server.ids().is_empty(), "{line:?} {said:?}: {:?} {brought:?}", server.ids());
            }
        }
    }
}

#[test]
fn a_server_that_breaks_every_session_after_two_messages_still_loses_all_of_them() {
    let asked = Mutex::new(std::collections::HashMap::<usize, usize>::new());
    let hook = move |connection, line: &str| {
        let mut asked = asked.lock().unwrap();
        let count = asked.entry(connection).or_default();
        *count += usize::from(line.starts_with("RETR"));
        if *count > 2 { hang_up("+OK\r\nSub") } else { None }
    };
    let server = Server::five(hook);
    let brought = run(&server, After::Delete);
    assert_eq!((brought.texts.len(), server.ids().len(), brought.finished.failures.len()), (5, 0, 0), "{brought:?}");
}

#[test]
fn an_id_that_is_missing_or_not_unique_or_of_another_size_is_not_relied_upon() {
    let twice = Server::start(&[("x", "one\r\n"), ("x", "two\r\n"), ("y", "three\r\n")], plain);
    let first = run(&twice, After::Keep);
    assert_eq!((first.texts.len(), known(&first).len()), (3, 1));
    let again = run_with(mailbox(&twice, After::Keep), known(&first), options()).unwrap();
    assert_eq!(again.texts, ["one\r\n", "two\r\n"]);
    let none = Server::five(|_, line: &str| if line.starts_with("UIDL") { say("-ERR no\r\n") } else { None });
    let brought = run(&none, After::Keep);
    assert_eq!((brought.texts.len(), brought.finished.uidls, brought.finished.notes.len()), (5, None, 1));
    let other = Server::start(&[("y", "another mail of another size\r\n")], plain);
    let brought = run_with(mailbox(&other, After::Keep), known(&first), options()).unwrap();
    assert_eq!(brought.texts.len(), 1);
}

#[test]
fn lists_that_lack_messages_or_name_none_cost_nothing() {
    for (word, answer) in [
        ("LIST", "+OK\r\n1 5\r\n9 9\r\nx\r\n.\r\n"),
        ("LIST", "-ERR no\r\n"),
        ("UIDL", "+OK\r\n1 a\r\n9 z\r\n-1 y\r\n.\r\n"),
        ("UIDL", "+OK\r\n.\r\n"),
        ("STAT", "+OK lots\r\n"),
        ("STAT", "+OK 4000000000 1\r\n"),
        ("STAT", "+OK 0 0\r\n"),
    ] {
        let server = Server::five(move |_, line: &str| if line == word { say(answer) } else { None });
        let brought = run(&server, After::Delete);
        assert_eq!((brought.texts.len(), server.ids().len()), (5, 0), "{word} {answer:?}: {brought:?}");
        assert!(brought.others.is_empty(), "{word} {answer:?}: {brought:?}");
    }
}

#[test]
fn one_bad_message_costs_that_message_only() {
    let cases: [(&str, Box<dyn Fn() -> Option<Vec<Vec<u8>>> + Send + Sync>); 5] = [
        ("refused", Box::new(|| say("-ERR no\r\n"))),
        ("hangs up", Box::new(|| hang_up("+OK\r\nSub"))),
        ("silent", Box::new(|| say("+OK\r\nSub"))),
        ("more behind its end", Box::new(|| say("+OK\r\ntext\r\n.\r\nand more\r\n.\r\n"))),
        ("too large", Box::new(|| Some(vec![b"+OK\r\n".to_vec(), vec![b'x'; 5000]]))),
    ];
    for (name, answer) in cases {
        let server = Server::five(move |_, line: &str| if line == "RETR 3" { answer() } else { None });
        let mut brought = run(&server, After::Keep);
        brought.texts.sort();
        assert_eq!(brought.texts, ["five\r\n", "four\r\n", "one\r\n", "two\r\n.\r\n..\r\n"], "{name}");
        assert_eq!((brought.others.len(), brought.finished.failures.len()), (1, 0), "{name}: {brought:?}");
    }
}

#[test]
fn answers_without_end_are_given_up() {
    for (word, first, unit) in
        [("", "+OK ", "x"), ("CAPA", "+OK\r\n", "X\r\n"), ("STAT", "+OK ", "1"), ("USER", "+OK", "x")]
    {
        let hook = move |_, line: &str| {
            let here = line == word || !word.is_empty() && line.starts_with(word);
            here.then(|| std::iter::once(first.into()).chain((0..64).map(|_| unit.repeat(8192).into_bytes())).collect())
        };
        let server = Server::five(hook);
        let error = run_with(mailbox(&server, After::Keep), vec![], options()).unwrap_err().to_string();
        assert!(error.contains("longer than") || error.contains("more lines"), "{word}: {error}");
    }
}

#[test]
fn a_refused_login_is_tried_once_and_repeats_no_secret() {
    for (word, capabilities) in [("PASS", "-ERR no\r\n"), ("AGRtY", "+OK\r\nSASL PLAIN\r\n.\r\n")] {
        let hook = move |_, line: &str| match line {
            "CAPA" => say(capabilities),
            "AUTH PLAIN" => say("+ \r\n"),
            line if line.starts_with(word) => say(&format!("-ERR [AUTH] {line} is not the password\r\n")),
            _ => None,
        };
        let server = Server::five(hook);
        let error = format!("{:?}", run_with(mailbox(&server, After::Keep), vec![], options()).unwrap_err());
        assert!(error.contains("is refused") && error.contains("[redacted]") && !error.contains(SECRET), "{error}");
        assert_eq!(server.maildrop.lock().unwrap().connections, 1);
    }
}

#[test]
fn a_locked_mailbox_ends_the_run_with_the_server_s_answer() {
    let server =
        Server::five(|_, line: &str| if line.starts_with("PASS") { say("-ERR [IN-USE] busy\r\n") } else { None });
    let error = run_with(mailbox(&server, After::Keep), vec![], options()).unwrap_err().to_string();
    assert!(error.contains("[IN-USE] busy"), "{error}");
}

#[test]
fn bytes_received_before_tls_are_not_used_after_it() {
    let hook = |_, line: &str| match line {
        "CAPA" => say("+OK\r\nSTLS\r\nSASL PLAIN\r\n.\r\n"),
        "STLS" => say("+OK\r\n+OK\r\nUSER\r\n.\r\n"),
        _ => None,
    };
    let server = Server::five(hook);
    let starttls = Mailbox { security: Security::StartTls, ..mailbox(&server, After::Keep) };
    let error = run_with(starttls, vec![], options()).unwrap_err().to_string();
    assert!(error.contains("before TLS"), "{error}");
    assert!(server.heard("USER").is_empty() && server.heard("AUTH").is_empty());
    let without = Server::five(|_, line: &str| if line == "CAPA" { say("+OK\r\nSASL PLAIN\r\n.\r\n") } else { None });
    let starttls = Mailbox { security: Security::StartTls, ..mailbox(&without, After::Keep) };
    let error = run_with(starttls, vec![], options()).unwrap_err().to_string();
    assert!(error.contains("no TLS") && without.heard("STLS").is_empty(), "{error}");
}

#[test]
fn a_limit_takes_the_first_and_deletes_no_other() {
    let server = Server::five(plain);
    let limited = PollOptions { limit: Some(2), ..options() };
    let brought = run_with(mailbox(&server, After::Delete), vec![], limited).unwrap();
    assert_eq!((brought.texts.len(), server.ids()), (2, vec!["c".to_owned(), "d".to_owned(), "e".to_owned()]));
}

#[test]
fn a_mail_that_waits_for_its_deletion_is_read_before_it_is_deleted() {
    let pending = |uidl: &str| KnownUidl { uidl: uidl.to_owned(), octets: None, pending: true };
    let server = Server::start(&[("a", "another mail under an old id\r\n"), ("b", "lunch?\r\n")], plain);
    let brought = run_with(mailbox(&server, After::Delete), vec![pending("a"), pending("b")], options()).unwrap();
    assert_eq!((brought.texts.len(), server.ids()), (2, vec!["b".to_owned()]));
}

/// The message in an answer received in pieces of this size.
fn received(answer: &[u8], size: usize) -> Result<Body, String> {
    let (mut far, near) = tokio::io::duplex(size);
    let answer = answer.to_vec();
    let work = async move {
        let write = async {
            for piece in answer.chunks(size) {
                let _ = tokio::io::AsyncWriteExt::write_all(&mut far, piece).await;
                tokio::task::yield_now().await;
            }
            drop(far);
        };
        let read = async {
            let mut stream = LineStream::new(Box::new(near), Patience::default());
            stream.message("reading", 1 << 20).await.map_err(|fault| fault.reason_and_hint().0)
        };
        tokio::join!(write, read).1
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(work).and_then(|body| body)
}

#[test]
fn only_a_dot_between_two_line_ends_ends_a_message() {
    let message = |text: &str| Ok(Body::Message(text.as_bytes().to_vec()));
    for size in [1, 2, 3, 7, 1000] {
        assert_eq!(received(b"+OK\r\na\r\n..\r\n...b\r\n.\r\n", size), message("a\r\n.\r\n..b\r\n"));
        // A bare line feed in the message does not begin a POP3 line.
        assert_eq!(received(b"+OK\r\na\n.\nb\n..c\r\n.\r\n", size), message("a\n.\nb\n..c\r\n"));
        // It does if the server only uses line feeds.
        assert_eq!(received(b"+OK\na\n..\nb\n.\n", size), message("a\n.\nb\n"));
        assert_eq!(received(b"+OK\r\n.\r\n", size), message(""));
        assert!(received(b"+OK\r\na\r\n", size).unwrap_err().contains("closed the connection"));
    }
}

proptest! {
    #[test]
    fn every_message_comes_through_as_it_is(lines in prop::collection::vec("[.a\r\n]{0,4}", 0..8), size in 1_usize..9) {
        let text: String = lines.iter().map(|line| line.clone() + "\r\n").collect();
        let stuffed = format!("\r\n{text}").replace("\r\n.", "\r\n..");
        let answer = format!("+OK{stuffed}.\r\n");
        prop_assert_eq!(received(answer.as_bytes(), size), Ok(Body::Message(text.into_bytes())));
    }
}
