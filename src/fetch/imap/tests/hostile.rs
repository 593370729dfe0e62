//! Servers that repeat secrets, and that send without end.

use super::*;
use crate::fetch::mailbox::{After, Auth, Mailbox, Patience, Secret, TokenSource};
use crate::fetch::poll::Poller;
use std::{
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    thread,
    time::Instant,
};

const SECRET: &str = "s3cret-\"word\"/+";

/// Answers each line of every client with `answer`: the tag, and the rest of the line; the greeting is the answer to an
/// empty line.
fn scripted(answer: impl Fn(&str, &str) -> Vec<u8> + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let answer = std::sync::Arc::new(answer);
    thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            let answer = answer.clone();
            thread::spawn(move || converse(socket, &*answer));
        }
    });
    port
}

fn converse(mut socket: TcpStream, answer: &dyn Fn(&str, &str) -> Vec<u8>) {
    let mut lines = BufReader::new(socket.try_clone().unwrap());
    let mut line = String::new();
    loop {
        let (tag, rest) = line.trim_end().split_once(' ').unwrap_or((line.trim_end(), ""));
        let said = answer(tag, rest);
        if socket.write_all(&said).is_err() || said.starts_with(b"* BYE") {
            return;
        }
        line.clear();
        if !matches!(lines.read_line(&mut line), Ok(count) if count > 0) {
            return;
        }
    }
}

fn mailbox_at(port: u16, auth: fn(Secret) -> Auth) -> Mailbox {
    let secret = Secret::Value(SecretString::from(SECRET));
    let long = Duration::from_secs(20);
    let patience = Patience { tries: 2, connect: long, command: 3 * long, silence: long, ..patience() };
    Mailbox {
        port,
        auth: auth(secret),
        patience,
        ..mailbox(&Server::with_inbox(server::Manner::default(), vec![]), After::Keep)
    }
}

fn error_of(mailbox: Mailbox) -> String {
    let error = Poller::start(mailbox, vec![], options()).map(|_| ()).unwrap_err();
    format!("{error:?}")
}

fn leaks(text: &str) -> bool {
    let core = ["czNjcmV0LSJ3b3JkIi8r", "MzY3JldC0id29yZCIv", "zM2NyZXQtIndvcmQiL", "s3cret", "w%22", "\"word"];
    core.iter().any(|core| text.contains(core))
}

#[test]
fn a_login_that_the_server_repeats_is_not_shown() {
    let ways: [(&str, fn(Secret) -> Auth); 5] = [
        ("AUTH=PLAIN", Auth::Password),
        ("AUTH=LOGIN", Auth::Password),
        ("NOTHING", Auth::Password),
        ("AUTH=XOAUTH2", |secret| Auth::XOAuth2(TokenSource::Given(secret))),
        ("AUTH=OAUTHBEARER", |secret| Auth::OAuthBearer(TokenSource::Given(secret))),
    ];
    for (capability, auth) in ways {
        for refusal in ["NO", "BAD", "* BYE"] {
            let heard = std::sync::Mutex::new((String::new(), String::new()));
            let port = scripted(move |tag, rest| {
                let mut heard = heard.lock().unwrap();
                let (first, all) = &mut *heard;
                if tag.is_empty() {
                    return format!("* OK [CAPABILITY IMAP4rev1 {capability}] hello, {all}\r\n").into_bytes();
                }
                all.extend([tag, " ", rest, " "]);
                if rest.starts_with("AUTHENTICATE") {
                    tag.clone_into(first);
                    return b"+ \r\n".to_vec();
                }
                if capability == "AUTH=LOGIN" && tag == "ZG1hcmNAZXhhbXBsZS5jb20=" {
                    return b"+ \r\n".to_vec();
                }
                let tag = if rest.starts_with("LOGIN") { tag } else { first };
                let said = format!("you said {all}, that is {SECRET}");
                match refusal {
                    "* BYE" => format!("* BYE {said}\r\n").into_bytes(),
                    word => format!("{tag} {word} {said}\r\n").into_bytes(),
                }
            });
            let error = error_of(mailbox_at(port, auth));
            assert!(!leaks(&error), "{capability} {refusal}: {error}");
            assert!(error.contains("[redacted]"), "{capability} {refusal}: {error}");
        }
    }
}

/// A server that accepts every login, unless `answer` says otherwise.
fn obliging(answer: impl Fn(&str, &str) -> Option<Vec<u8>> + Send + Sync + 'static) -> u16 {
    scripted(move |tag, rest| {
        if let Some(bytes) = answer(tag, rest) {
            return bytes;
        }
        if tag.is_empty() {
            return b"* OK [CAPABILITY IMAP4rev1] hello\r\n".to_vec();
        }
        format!("{tag} OK done\r\n").into_bytes()
    })
}

#[test]
fn a_secret_in_a_folders_name_a_capability_or_garbage_is_not_shown() {
    let names = obliging(|tag, rest| {
        rest.starts_with("LIST")
            .then(|| format!("* LIST () \"/\" \"s3cret-\\\"word\\\"/+\"\r\n{tag} OK done\r\n").into_bytes())
    });
    let mut mailbox = mailbox_at(names, Auth::Password);
    mailbox.folders = vec!["Elsewhere".to_owned()];
    let mut poller = Poller::start(mailbox, vec![], options()).unwrap();
    let errors: Vec<String> =
        poller.mails().unwrap().filter_map(Result::err).map(|error| format!("{error:?}")).collect();
    let finished = format!("{:?}", poller.finish());
    assert!(errors.iter().chain([&finished]).all(|text| !leaks(text)), "{errors:?} {finished}");
    let garbage =
        obliging(|_, rest| rest.starts_with("LIST").then(|| format!("{SECRET} is what you said\r\n").into_bytes()));
    let error = error_of(mailbox_at(garbage, Auth::Password));
    assert!(!leaks(&error) && error.contains("[redacted]"), "{error}");
}

#[test]
fn a_greeting_capabilities_and_answers_without_end_are_refused_early() {
    let endless = |start: &'static [u8]| {
        move |tag: &str, _: &str| {
            let begin: Vec<u8> = if tag.is_empty() { start.to_vec() } else { b"* CAPABILITY ".to_vec() };
            [begin, vec![b'x'; 4 << 20]].concat()
        }
    };
    for start in [&b"* OK "[..], b"* OK [CAPABILITY ", b"", b"* OK hello\r\n"] {
        let begin = Instant::now();
        let error = error_of(mailbox_at(scripted(endless(start)), Auth::Password));
        assert!(error.contains("a response line is longer than"), "{error}");
        assert!(begin.elapsed() < Duration::from_mins(1));
    }
}

#[test]
fn with_too_many_folders_some_are_kept_and_a_note_says_so() {
    let lines: Vec<String> = (0..60_000).map(|number| format!("* LIST () \"/\" \"Folder {number}\"\r\n")).collect();
    let list = lines.concat();
    let port =
        obliging(move |tag, rest| rest.starts_with("LIST").then(|| format!("{list}{tag} OK done\r\n").into_bytes()));
    let mut mailbox = mailbox_at(port, Auth::Password);
    mailbox.folders = vec!["Folder 59999".to_owned(), "INBOX".to_owned()];
    let mut poller = Poller::start(mailbox, vec![], options()).unwrap();
    let errors: Vec<String> = poller.mails().unwrap().filter_map(Result::err).map(|error| error.to_string()).collect();
    let failures = format!("{errors:?} {:?}", poller.finish().failures);
    assert!(failures.contains("not among the first 50000 folders"), "{failures}");
}
