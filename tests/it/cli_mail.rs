//! A mail leaves: by a real server on loopback in all three ways, and by a sendmail.

use crate::smtp::{Secured, SmtpServer};
use crate::workdir::WorkDir;
use dmarquet::send::{Letter, Mail, Route, Security, Server};
use std::time::{Duration, UNIX_EPOCH};

fn mail(to: &str) -> Mail {
    let letter = Letter {
        from: "dmarc@example.com".to_owned(),
        to: vec![to.to_owned()],
        subject: "week".to_owned(),
        text: "text\n.\nmore\n".to_owned(),
        html: "<p>page</p>\n".to_owned(),
        date: UNIX_EPOCH + Duration::from_secs(1_795_000_000),
    };
    letter.compose().expect("a mail")
}

fn route(work: &WorkDir, server: &SmtpServer, security: Security, password: Option<&str>) -> Route {
    Route::Server(Server {
        host: "localhost".to_owned(),
        port: server.port,
        security,
        ca_file: (security != Security::None).then(|| SmtpServer::ca_file(&work.path(""))),
        login: password.map(|password| ("user".to_owned(), password.into())),
    })
}

#[test]
fn a_mail_arrives_whole_in_each_of_the_three_ways() {
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
fn a_certificate_that_nobody_vouches_for_is_refused() {
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
fn a_sendmail_is_given_the_mail_and_its_recipients() {
    use std::os::unix::fs::PermissionsExt as _;
    let work = WorkDir::new();
    let program =
        work.write("sendmail", format!("#!/bin/sh\necho \"$@\" > {0}/args\ncat > {0}/mail\n", work.path("").display()));
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mail = mail("a@example.net");
    mail.send(&Route::Sendmail(program)).unwrap();
    assert_eq!(std::fs::read(work.path("mail")).unwrap(), mail.bytes());
    assert!(std::fs::read_to_string(work.path("args")).unwrap().trim_end().ends_with("a@example.net"));
}
