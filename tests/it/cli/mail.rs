//! Sending mail: to a real server on loopback with each kind of security, and through sendmail.

use crate::smtp::{Secured, SmtpServer, scripted};
use crate::workdir::WorkDir;
use dmarquet::fetch::mailbox::Security;
use dmarquet::send::{ComposedMail, Login, LoginKind, Outbox, OutgoingMail, Route, Server};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant, UNIX_EPOCH};

fn mail(to: &str) -> ComposedMail {
    letter(to).compose().expect("a mail")
}

fn letter(to: &str) -> OutgoingMail {
    OutgoingMail {
        from: "dmarc@example.com".to_owned(),
        to: vec![to.to_owned()],
        reply_to: None,
        subject: "week".to_owned(),
        text: "text\n.\nmore\n".to_owned(),
        html: "<p>page</p>\n".to_owned(),
        pictures: Vec::new(),
        date: UNIX_EPOCH + Duration::from_secs(1_795_000_000),
    }
}

fn login(secret: &str, kind: LoginKind) -> Login {
    Login { user: "user".to_owned(), secret: secret.into(), kind }
}

fn route(work: &WorkDir, server: &SmtpServer, security: Security, password: Option<&str>) -> Route {
    Route::Server(Server {
        host: "localhost".to_owned(),
        port: server.port,
        security,
        ca_file: (security != Security::None).then(|| SmtpServer::ca_file(&work.path(""))),
        login: password.map(|password| login(password, LoginKind::Password)),
        hello: None,
        patience: Duration::from_secs(10),
    })
}

const SOON: Duration = Duration::from_millis(300);
const SECRET: &str = "hunter2-word/+";

/// The result of sending to a misbehaving server, which must come soon.
fn sent_to(security: Security, text: &str, serve: impl FnOnce(TcpStream) + Send + 'static) -> String {
    let route = Route::Server(Server {
        host: "localhost".to_owned(),
        port: scripted(serve),
        security,
        ca_file: None,
        login: Some(login(SECRET, LoginKind::Password)),
        hello: None,
        patience: SOON,
    });
    let mail = OutgoingMail { text: text.to_owned(), ..letter("a@example.net") }.compose().unwrap();
    let begin = Instant::now();
    let error = mail.send(&route).unwrap_err().to_string();
    assert!(begin.elapsed() < SOON * 12, "{:?}: {error}", begin.elapsed());
    assert!(error.starts_with("localhost:"), "{error}");
    error
}

/// Answers each line of a client until it disconnects.
fn answering(socket: TcpStream, mut answer: impl FnMut(&str) -> String) {
    let mut lines = BufReader::new(socket.try_clone().unwrap());
    let mut socket = socket;
    let mut line = String::new();
    while socket.write_all(answer(line.trim_end()).as_bytes()).is_ok() {
        line.clear();
        if !matches!(lines.read_line(&mut line), Ok(count) if count > 0) {
            break;
        }
    }
}

#[test]
fn a_server_gets_neither_memory_nor_time_without_bound() {
    let endless = |bytes: &'static [u8], pause: Duration| {
        move |mut socket: TcpStream| {
            while socket.write_all(bytes).is_ok() {
                std::thread::sleep(pause);
            }
        }
    };
    let error = sent_to(Security::None, "x", endless(Vec::leak(vec![b'x'; 1 << 16]), Duration::ZERO));
    assert!(error.ends_with("answered the connection with a line longer than 4096 bytes"), "{error}");
    let error = sent_to(Security::None, "x", endless(b"220-more\r\n", Duration::ZERO));
    assert!(error.ends_with("answered the connection with more than 100 lines"), "{error}");
    for security in [Security::None, Security::StartTls] {
        let error = sent_to(security, "x", endless(b"2", SOON / 5));
        assert!(error.ends_with("did not answer within 300 ms"), "{error}");
    }
    let error = sent_to(Security::Tls, "x", endless(b"\x16\x03\x03\x40\x00", SOON));
    assert!(error.contains("did not answer the TLS handshake within 300 ms"), "{error}");
    let error = sent_to(Security::None, "x", |socket| {
        std::thread::sleep(SOON * 2);
        drop(socket);
    });
    assert!(error.ends_with("did not answer within 300 ms"), "{error}");
    let error = sent_to(Security::None, "x", drop);
    assert!(error.ends_with("closed the connection instead of answering the connection"), "{error}");
    let error = sent_to(Security::None, "x", |socket| answering(socket, |_| "HTTP/1.1 400 Bad Request\r\n".to_owned()));
    assert!(error.contains("did not answer in SMTP to the connection"), "{error}");
}

#[test]
fn a_server_that_accepts_no_bytes_does_not_block_forever() {
    let error = sent_to(Security::None, &"line\n".repeat(100_000), |socket| {
        let mut mail = false;
        answering(socket, |line| match line.split(' ').next() {
            _ if mail => {
                std::thread::sleep(SOON * 20);
                String::new()
            }
            Some("EHLO") => "250-localhost\r\n250 AUTH PLAIN\r\n".to_owned(),
            Some("AUTH") => "235 welcome\r\n".to_owned(),
            Some("DATA") => {
                mail = true;
                "354 go on\r\n".to_owned()
            }
            Some("") => "220 hello\r\n".to_owned(),
            _ => "250 ok\r\n".to_owned(),
        });
    });
    assert!(error.contains("did not answer the mail within "), "{error}");
}

#[test]
fn a_repeated_secret_is_not_shown() {
    for mechanisms in ["PLAIN", "LOGIN"] {
        let error = sent_to(Security::None, "x", move |socket| {
            let mut said = Vec::new();
            answering(socket, move |line| {
                said.push(line.to_owned());
                match line.split(' ').next() {
                    Some("EHLO") => format!("250-localhost\r\n250 AUTH {mechanisms}\r\n"),
                    Some("") => "220 hello\r\n".to_owned(),
                    Some("AUTH") if line == "AUTH LOGIN" => "334 VXNlcm5hbWU6\r\n".to_owned(),
                    Some("dXNlcg==") => "334 UGFzc3dvcmQ6\r\n".to_owned(),
                    _ => format!("535-you said {}\r\n535 that is user and hunter2-word/+\r\n", said.join(", ")),
                }
            });
        });
        assert!(error.contains("refused the login as user: 535 you said ") && error.contains("[redacted]"), "{error}");
        for hidden in [SECRET, "AGh1bnRlcjItd29yZC8r", "aHVudGVyMi13b3JkLys", "dXNlcgBodW50ZXIyLXdvcmQv"] {
            assert!(!error.contains(hidden), "{hidden}: {error}");
        }
    }
}

#[test]
fn bytes_received_before_tls_are_no_answer_after_it() {
    let error = sent_to(Security::StartTls, "x", |socket| {
        answering(socket, |line| match line.split(' ').next() {
            Some("EHLO") => "250-localhost\r\n250 STARTTLS\r\n".to_owned(),
            Some("STARTTLS") => "220 go ahead\r\n250 injected\r\n".to_owned(),
            _ => "220 hello\r\n".to_owned(),
        });
    });
    assert!(error.ends_with("sent more than it may before TLS"), "{error}");
}

#[test]
fn a_hanging_sendmail_is_stopped_with_its_children() {
    use std::os::unix::fs::PermissionsExt as _;
    let work = WorkDir::new();
    let script = format!("#!/bin/sh\nsleep 1000 &\necho $! > {}/child\nwait\n", work.path("").display());
    let program = work.write("sendmail", script);
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let begin = Instant::now();
    let patience = SOON * 5;
    let error = mail("a@example.net").send(&Route::Sendmail { program, patience }).unwrap_err().to_string();
    assert!(error.contains("did not end within 1500 ms and was stopped"), "{error}");
    assert!(begin.elapsed() < patience * 3);
    let child = std::fs::read_to_string(work.path("child")).unwrap();
    let ended = || {
        let state = std::fs::read_to_string(format!("/proc/{}/stat", child.trim())).unwrap_or_default();
        state.is_empty() || state.contains(") Z ")
    };
    while !ended() {
        assert!(begin.elapsed() < Duration::from_mins(1), "what it started still runs");
        std::thread::sleep(SOON);
    }
}

#[test]
fn a_mail_arrives_complete_by_each_of_the_three_routes() {
    for (secured, security) in [
        (Secured::FromTheStart, Security::Tls),
        (Secured::ByStartTls, Security::StartTls),
        (Secured::Not, Security::None),
    ] {
        let work = WorkDir::new();
        let server = SmtpServer::start(secured, &work.path(""));
        let mail = mail("a@example.net");
        mail.send(&route(&work, &server, security, Some("secret"))).unwrap();
        let session = server.session();
        assert_eq!(session.encrypted, security != Security::None);
        assert!(session.commands.contains(&"RCPT TO:<a@example.net>".to_owned()), "{:?}", session.commands);
        let stuffed = session.mail.replace("\r\n..", "\r\n.");
        assert_eq!(stuffed.trim_end(), String::from_utf8_lossy(mail.bytes()).trim_end());
    }
}

#[test]
fn a_server_without_starttls_gets_neither_password_nor_mail() {
    let work = WorkDir::new();
    let server = SmtpServer::start(Secured::Not, &work.path(""));
    SmtpServer::start(Secured::ByStartTls, &work.path("")); // makes the certificate
    let error = mail("a@example.net").send(&route(&work, &server, Security::StartTls, Some("secret"))).unwrap_err();
    assert!(error.to_string().contains("STARTTLS"), "{error}");
    let session = server.session();
    assert!(session.mail.is_empty() && !session.commands.iter().any(|line| line.starts_with("AUTH")), "{session:?}");
}

#[test]
fn a_certificate_that_no_authority_signed_is_refused() {
    let work = WorkDir::new();
    let server = SmtpServer::start(Secured::FromTheStart, &work.path(""));
    let Route::Server(route) = route(&work, &server, Security::Tls, None) else { unreachable!() };
    let error = mail("a@example.net").send(&Route::Server(Server { ca_file: None, ..route })).unwrap_err();
    assert!(error.to_string().contains("certificate"), "{error}");
}

#[test]
fn a_wrong_password_and_a_refused_recipient_are_errors_that_hold_no_secret() {
    let work = WorkDir::new();
    let server = SmtpServer::start(Secured::Not, &work.path(""));
    let error = mail("a@example.net").send(&route(&work, &server, Security::None, Some("hunter2"))).unwrap_err();
    assert!(error.to_string().contains("535") && !error.to_string().contains("hunter2"), "{error}");
    assert!(server.session().mail.is_empty());

    let server = SmtpServer::start(Secured::Not, &work.path(""));
    let error = mail("refused@example.net").send(&route(&work, &server, Security::None, None)).unwrap_err();
    assert!(error.to_string().contains("550"), "{error}");
    assert!(server.session().mail.is_empty());
}

#[test]
fn a_token_is_sent_after_the_command_and_a_refusal_does_not_show_it() {
    let token = "token-word/".repeat(200);
    for (kind, mechanism, last) in
        [(LoginKind::XOAuth2, "XOAUTH2", ""), (LoginKind::OAuthBearer, "OAUTHBEARER", "AQ==")]
    {
        for refused in [false, true] {
            let (sender, heard) = std::sync::mpsc::channel();
            let port = scripted(move |socket| {
                let mut at = 0;
                answering(socket, |line| {
                    sender.send(line.to_owned()).unwrap();
                    at = if line.starts_with("AUTH") { 1 } else { at + usize::from(at > 0) };
                    match (at, line.split(' ').next()) {
                        (1, _) => "334 \r\n".to_owned(),
                        // {"status":"400"}, and then what ends it.
                        (2, _) if refused => "334 eyJzdGF0dXMiOiI0MDAifQ==\r\n".to_owned(),
                        (3, _) if refused => "535 5.7.3 no\r\n".to_owned(),
                        (2, _) => "235 welcome\r\n".to_owned(),
                        (_, Some("")) => "220 hello\r\n".to_owned(),
                        (_, Some("EHLO")) => format!("250-localhost\r\n250 AUTH PLAIN {mechanism}\r\n"),
                        (_, Some("DATA")) => "354 go on\r\n".to_owned(),
                        (_, Some("QUIT")) => "221 bye\r\n".to_owned(),
                        _ => "250 ok\r\n".to_owned(),
                    }
                });
            });
            let server = Server {
                host: "localhost".to_owned(),
                port,
                security: Security::None,
                ca_file: None,
                login: Some(login(&token, kind)),
                hello: None,
                patience: SOON,
            };
            let checked = Outbox::new(Route::Server(server)).check();
            let lines: Vec<String> = heard.try_iter().collect();
            assert!(lines.contains(&format!("AUTH {mechanism}")), "{lines:?}");
            assert!(!lines.iter().any(|line| line.starts_with("MAIL")), "{lines:?}");
            match checked {
                Ok(()) => assert!(!refused, "{lines:?}"),
                Err(error) => {
                    let error = error.to_string();
                    assert!(refused && error.contains("535 5.7.3 no, and said {\"status\":\"400\"}"), "{error}");
                    assert!(!error.contains("token-word") && lines.last().unwrap() == last, "{error} {lines:?}");
                }
            }
        }
    }
}

#[test]
fn config_check_tries_the_mail_server_and_the_store_and_test_mail_sends() {
    let work = WorkDir::new();
    let server = SmtpServer::start(Secured::Not, &work.path(""));
    let settings = |port: u16, password: &str| {
        let password_file = work.write("password", password);
        std::fs::set_permissions(password_file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        work.write(
            "config.toml",
            format!(
                "[smtp]\nhost = \"127.0.0.1\"\nport = {port}\nsecurity = \"none\"\nuser = \"user\"\n\
                 password_file = \"password\"\nfrom = \"dmarc@example.com\"\n"
            ),
        );
    };
    settings(server.port, "secret\n");
    let told = work.run(["config", "check", "--config", "config.toml"]).quiet();
    assert!(told.contains("logged in as user; nothing was sent"), "{told}");
    let session = server.session();
    assert!(!session.commands.iter().any(|line| line.starts_with("MAIL")), "{session:?}");
    assert!(!work.path("store").exists());

    let server = SmtpServer::start(Secured::Not, &work.path(""));
    settings(server.port, "secret\n");
    let sent = work.run(["config", "test-mail", "a@example.net", "--config", "config.toml"]).quiet();
    assert_eq!(sent, "sent to a@example.net\n");
    assert!(server.session().mail.contains("Test mail from dmarquet"));

    let server = SmtpServer::start(Secured::Not, &work.path(""));
    settings(server.port, "wrong-word\n");
    let done = work.run(["config", "check", "--config", "config.toml"]);
    assert!(done.code == Some(2) && done.stderr.contains("535") && !done.stderr.contains("wrong-word"), "{done:?}");
    drop(server);

    // A file where the data folder should be: nobody, root neither, can write into it.
    work.write("store", "");
    let server = SmtpServer::start(Secured::Not, &work.path(""));
    settings(server.port, "secret\n");
    let done = work.run(["config", "check", "--config", "config.toml"]);
    assert!(done.code == Some(2) && done.stderr.contains("cannot write to"), "{done:?}");
}

#[test]
fn a_sendmail_is_given_the_mail_and_its_recipients() {
    use std::os::unix::fs::PermissionsExt as _;
    let work = WorkDir::new();
    let program =
        work.write("sendmail", format!("#!/bin/sh\necho \"$@\" > {0}/args\ncat > {0}/mail\n", work.path("").display()));
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mail = mail("a@example.net");
    mail.send(&Route::Sendmail { program, patience: Duration::from_mins(1) }).unwrap();
    assert_eq!(std::fs::read(work.path("mail")).unwrap(), mail.bytes());
    assert!(std::fs::read_to_string(work.path("args")).unwrap().trim_end().ends_with("a@example.net"));
}
