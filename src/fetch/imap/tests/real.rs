//! Tests against a real server: TLS and STARTTLS, every mechanism, tokens, folders, IDLE.

use super::dovecot::Dovecot;
use super::*;
use crate::fetch::imap::watch::{IdleWatch, Wake};
use crate::fetch::item::{Fetched, MailboxError};
use crate::fetch::mailbox::{
    After, Auth, Mailbox, OAuth2, Patience, Protocol, Redaction, Secret, Security, StopFlag, TokenSource, oauth, tls,
};
use crate::fetch::poll::Poller;
use crate::model::MailboxProgress;
use std::{path::Path, time::Instant};

/// The mailbox of a Dovecot, with TLS and a password.
fn mailbox_on(dovecot: &Dovecot) -> Mailbox {
    Mailbox {
        name: "reports".to_owned(),
        host: "localhost".to_owned(),
        port: dovecot.imaps,
        protocol: Protocol::Imap,
        security: Security::Tls,
        ca_file: Some(dovecot.folder.join("ca.pem")),
        user: "reports@example.com".to_owned(),
        auth: Auth::Password(value("correct horse")),
        folders: vec!["INBOX".to_owned()],
        after: After::Keep,
        rejected_to: None,
        patience: Patience { tries: 4, pause: Duration::from_millis(5), ..Patience::default() },
        secrets: Redaction::default(),
    }
}

fn value(text: &str) -> Secret {
    Secret::Value(SecretString::from(text))
}

fn asked(dovecot: &Dovecot, refresh: Option<&str>) -> TokenSource {
    TokenSource::Asked(OAuth2 {
        token_url: dovecot.token_url.clone(),
        client_id: "test-client".to_owned(),
        client_secret: Some(value("client-secret")),
        refresh_token: refresh.map(value),
        scope: None,
    })
}

/// The number of mails, or the error.
fn count(mailbox: &Mailbox) -> Result<usize, MailboxError> {
    survey(mailbox, &MailboxProgress::default(), &options()).map(|survey| survey.folders[0].new as usize)
}

fn refusal(mailbox: &Mailbox) -> (String, String) {
    let error = count(mailbox).unwrap_err();
    (error.reason, error.hint.unwrap_or_default())
}

#[test]
fn login_works_over_tls_and_starttls_with_every_mechanism() {
    let Some(dovecot) = Dovecot::start(&[]) else { return };
    dovecot.deliver("INBOX", "1", b"Subject: one\r\n\r\nbody\r\n");
    let tls = mailbox_on(&dovecot);
    assert_eq!(count(&tls), Ok(1));
    let starttls = Mailbox { port: dovecot.imap, security: Security::StartTls, ..tls.clone() };
    assert_eq!(count(&starttls), Ok(1));
    let none = Mailbox { port: dovecot.imap, security: Security::None, host: "127.0.0.1".into(), ..tls.clone() };
    assert_eq!(count(&none), Ok(1));
    for auth in [
        Auth::XOAuth2(TokenSource::Given(value("good-token"))),
        Auth::OAuthBearer(TokenSource::Given(value("good-token"))),
        Auth::XOAuth2(asked(&dovecot, Some("refresh-token"))),
        Auth::OAuthBearer(asked(&dovecot, None)),
        Auth::Password(Secret::Command(vec!["echo".into(), "correct horse".into()])),
    ] {
        let what = format!("{auth:?}");
        assert_eq!(count(&Mailbox { auth, ..tls.clone() }), Ok(1), "{what}");
    }
    let log = std::fs::read_to_string(dovecot.folder.join("log")).unwrap();
    for word in ["method=PLAIN", "method=XOAUTH2", "method=OAUTHBEARER", "TLS"] {
        assert!(log.contains(word), "{word}");
    }
}

#[test]
fn sasl_login_is_used_where_there_is_no_plain() {
    let Some(dovecot) = Dovecot::start(&["--mechanisms", "login"]) else { return };
    assert_eq!(count(&mailbox_on(&dovecot)), Ok(0));
    assert!(std::fs::read_to_string(dovecot.folder.join("log")).unwrap().contains("method=LOGIN"));
}

#[test]
fn a_failed_login_has_a_hint_and_shows_no_secret() {
    let Some(dovecot) = Dovecot::start(&[]) else { return };
    let tls = mailbox_on(&dovecot);
    let (reason, hint) = refusal(&Mailbox { auth: Auth::Password(value("wrong-secret")), ..tls.clone() });
    assert!(
        reason.contains("login as reports@example.com is refused") && reason.contains("AUTHENTICATIONFAILED"),
        "{reason}"
    );
    assert!(hint.contains("app password") && !format!("{reason}{hint}").contains("wrong-secret"));
    for auth in [
        Auth::XOAuth2(TokenSource::Given(value("old-token"))),
        Auth::OAuthBearer(TokenSource::Given(value("old-token"))),
    ] {
        let (reason, hint) = refusal(&Mailbox { auth, ..tls.clone() });
        assert!(reason.contains("\"status\":") && hint.contains("expired"), "{reason} {hint}");
        assert!(!format!("{reason}{hint}").contains("old-token"));
    }
    let (reason, hint) =
        refusal(&Mailbox { auth: Auth::XOAuth2(asked(&dovecot, Some("ended-refresh"))), ..tls.clone() });
    assert!(
        reason.contains("invalid_grant, the refresh token has ended") && hint.contains("authorize again"),
        "{reason}"
    );
    assert!(!reason.contains("ended-refresh"));
    let (reason, hint) = refusal(&Mailbox { ca_file: None, ..tls.clone() });
    assert!(reason.contains("certificate of localhost is refused") && hint.contains("ca_file"), "{reason} {hint}");
    let (reason, hint) = refusal(&Mailbox { host: "127.0.0.2".into(), ..tls.clone() });
    assert!(reason.contains("certificate of 127.0.0.2 is refused") && hint.contains("host"), "{reason} {hint}");
    let plain = Mailbox { port: dovecot.imap, security: Security::None, host: "127.0.0.2".into(), ..tls.clone() };
    assert!(refusal(&plain).0.contains("LOGINDISABLED"));
    let (reason, hint) = refusal(&Mailbox { port: dovecot.imap, ..tls.clone() });
    assert!(reason.contains("expected TLS") && hint.contains("starttls"), "{reason} {hint}");
    let (reason, _) = refusal(&Mailbox { ca_file: Some("/nowhere.pem".into()), ..tls });
    assert!(reason.starts_with("ca_file /nowhere.pem"), "{reason}");
}

#[test]
fn a_refused_password_is_tried_once() {
    let Some(dovecot) = Dovecot::start(&[]) else { return };
    let mailbox =
        Mailbox { auth: Auth::Password(value("wrong")), patience: Patience::default(), ..mailbox_on(&dovecot) };
    Poller::start(mailbox, vec![], options()).unwrap_err();
    // Dovecot writes when the connection is closed; a second try would come within the second, too.
    std::thread::sleep(Duration::from_millis(1500));
    let log = std::fs::read_to_string(dovecot.folder.join("log")).unwrap();
    assert_eq!(log.matches("auth failed, 1 attempts").count(), 1, "{log}");
}

#[test]
fn a_token_that_ended_is_asked_for_anew() {
    let Some(dovecot) = Dovecot::start(&["--lifetime", "1"]) else { return };
    let mailbox = Mailbox { auth: Auth::XOAuth2(asked(&dovecot, Some("refresh-token"))), ..mailbox_on(&dovecot) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let trust = tls::Roots::load(mailbox.ca_file.as_deref()).unwrap().config().unwrap();
        let mut tokens = oauth::TokenCache::default();
        for _ in 0..2 {
            session::ImapConnection::open(&mailbox, &trust, &mut tokens).await.unwrap().logout().await;
            tokio::time::sleep(Duration::from_millis(1200)).await;
        }
    });
}

fn files_in(folder: &Path) -> usize {
    ["new", "cur"].iter().filter_map(|part| std::fs::read_dir(folder.join(part)).ok()).map(Iterator::count).sum()
}

fn run_with(dovecot: &Dovecot, after: After, folder: &str) -> ImapRunResult {
    for number in 0..5 {
        dovecot.deliver(folder, &number.to_string(), format!("Subject: {number}\r\n\r\nbody\r\n").as_bytes());
    }
    run(Mailbox { after, ..mailbox_on(dovecot) }, vec![], options())
}

#[test]
fn mails_are_moved_with_and_without_move_and_uidplus() {
    for hidden in [&[][..], &["--hide", "MOVE"], &["--hide", "MOVE", "--hide", "UIDPLUS"]] {
        let Some(dovecot) = Dovecot::start(hidden) else { return };
        let brought = run_with(&dovecot, After::Move("DMARC/done".into()), "INBOX");
        assert_eq!((brought.uids().len(), brought.finished.failures.len()), (5, 0), "{:?}", brought.finished);
        assert_eq!(files_in(&dovecot.folder.join("mail/.DMARC.done")), 5, "{hidden:?}");
        let said = dovecot.said();
        assert_eq!(said.contains("UID MOVE"), hidden.is_empty());
        if hidden.len() == 4 {
            assert!(!said.contains("EXPUNGE") && said.contains("\\Deleted") && !brought.finished.notes.is_empty());
        } else {
            assert_eq!(files_in(&dovecot.folder.join("mail")), 0, "{hidden:?}");
        }
    }
}

#[test]
fn a_dot_and_a_prefix_are_found_for_folders_of_any_script() {
    let Some(dovecot) = Dovecot::start(&["--separator", "."]) else { return };
    let mut mailbox = Mailbox { after: After::Move("Berichte/Geprüft".into()), ..mailbox_on(&dovecot) };
    mailbox.rejected_to = Some("INBOX/DMARC/unreadable".into());
    dovecot.deliver("INBOX", "1", b"Subject: 1\r\n\r\nbody\r\n");
    let brought = run(mailbox.clone(), vec![], options());
    assert!(brought.finished.failures.is_empty(), "{:?}", brought.finished);
    assert_eq!(files_in(&dovecot.folder.join("mail/.Berichte.Gepr&APw-ft")), 1);
    assert!(dovecot.folder.join("mail/.DMARC.unreadable").exists());
    mailbox.folders = vec!["Berichte/Geprüft".into()];
    mailbox.after = After::Keep;
    assert_eq!(run(mailbox, vec![], options()).uids(), [1]);
}

#[test]
fn a_mail_nobody_can_read_is_named_and_the_rest_goes_on() {
    let Some(dovecot) = Dovecot::start(&[]) else { return };
    for number in 0..5 {
        dovecot.deliver("INBOX", &number.to_string(), format!("Subject: {number}\r\n\r\nbody\r\n").as_bytes());
    }
    dovecot.forbid("INBOX", "3");
    let brought = run(mailbox_on(&dovecot), vec![], options());
    assert_eq!((brought.items.len(), brought.others.len()), (4, 1), "{:?}", brought.finished);
    assert!(matches!(&brought.others[0], Fetched::Unfetched { .. }));
}

/// The next wake-ups; `None` once nothing is watched.
fn next(watch: &mut IdleWatch) -> Option<Vec<Wake>> {
    watch.next_within(Duration::from_mins(1))
}

#[test]
fn idle_and_polling_tell_of_new_mail() {
    for hidden in [&[][..], &["--hide", "IDLE"]] {
        let Some(dovecot) = Dovecot::start(hidden) else { return };
        let mut mailbox = mailbox_on(&dovecot);
        mailbox.patience = Patience { poll: Duration::from_millis(300), ..Patience::default() };
        let stop = StopFlag::new();
        let mut watch = IdleWatch::start(vec![mailbox], &stop);
        let news = vec![Wake::News("reports".to_owned())];
        assert_eq!(next(&mut watch), Some(news.clone()), "once it is connected");
        std::thread::sleep(Duration::from_millis(300));
        dovecot.deliver("INBOX", "1", b"Subject: 1\r\n\r\nbody\r\n");
        assert_eq!(next(&mut watch), Some(news));
        assert_eq!(dovecot.said().contains("IDLE"), hidden.is_empty());
        let begin = Instant::now();
        stop.set();
        assert_eq!(next(&mut watch), None);
        assert!(begin.elapsed() < Duration::from_secs(5));
    }
}

#[test]
fn a_watch_renews_its_idle_and_ends_at_a_refused_password() {
    let Some(dovecot) = Dovecot::start(&[]) else { return };
    let mut mailbox = mailbox_on(&dovecot);
    mailbox.patience.idle = Duration::from_millis(200);
    let stop = StopFlag::new();
    let mut watch = IdleWatch::start(vec![mailbox.clone()], &stop);
    assert_eq!(next(&mut watch).unwrap().len(), 1);
    std::thread::sleep(Duration::from_millis(900));
    stop.set();
    assert_eq!(next(&mut watch), None);
    assert!(dovecot.said().matches(" IDLE").count() > 2, "{}", dovecot.said());
    mailbox.auth = Auth::Password(value("wrong"));
    let mut watch = IdleWatch::start(vec![mailbox], &StopFlag::new());
    assert!(matches!(&next(&mut watch).unwrap()[..], [Wake::Given(_)]));
    assert_eq!(next(&mut watch), None);
}
