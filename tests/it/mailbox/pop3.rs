//! `fetch`, `config check` and `rebuild` over POP3 against a real Dovecot.

use crate::imap_dovecot::Dovecot;
use crate::mailbox::imap::report;
use crate::workdir::{Done, WorkDir};
use dmarquet::store::Store;
use std::os::unix::fs::PermissionsExt as _;

/// Settings for this server's mailbox, with additional lines.
fn settings(dir: &WorkDir, dovecot: &Dovecot, port: u16, more: &str) {
    let password = dir.write("password", "correct horse\n");
    std::fs::set_permissions(password, std::fs::Permissions::from_mode(0o600)).unwrap();
    let ca_file = dovecot.folder.join("ca.pem");
    let text = format!(
        "[[mailbox]]\nname = \"reports\"\nprotocol = \"pop3\"\nhost = \"localhost\"\nport = {port}\nca_file = \"{}\"\n\
         user = \"reports@example.com\"\n{more}\n",
        ca_file.display(),
    );
    dir.write("config.toml", text);
}

fn run(dir: &WorkDir, words: &[&str]) -> Done {
    dir.run(words.iter().chain(&["--config", "config.toml"]))
}

fn mails(dovecot: &Dovecot) -> usize {
    let folders = ["new", "cur"].map(|part| dovecot.maildir("INBOX").join(part));
    folders.iter().filter_map(|folder| std::fs::read_dir(folder).ok()).map(Iterator::count).sum()
}

fn deliver(dovecot: &Dovecot) {
    for number in 1..=5 {
        dovecot.deliver("INBOX", &format!("r{number}"), &report(number));
    }
    dovecot.deliver("INBOX", "other", b"Subject: lunch?\r\n\r\nat noon\r\n");
}

#[test]
fn reports_are_stored_once_and_their_mails_deleted_or_kept() {
    let Some(dovecot) = Dovecot::start_with_pop3() else { return };
    deliver(&dovecot);
    let dir = WorkDir::new();
    settings(&dir, &dovecot, dovecot.pop3s, "password_file = \"password\"");
    let told = run(&dir, &["config", "check"]).quiet();
    assert!(told.contains("by POP3") && told.contains("  INBOX: 6 mails, 6 to fetch ("), "{told}");
    run(&dir, &["fetch", "--dry-run"]).quiet();
    assert!(!dir.path("store").exists());
    let first = run(&dir, &["fetch", "--format", "json"]);
    assert_eq!((first.code, first.json()["stored"]["reports"].as_u64()), (Some(0), Some(5)), "{first:?}");
    // What is known stays known over a rebuild; nothing of it is read again.
    run(&dir, &["rebuild"]).quiet();
    let known = Store::open(&dir.path("store")).unwrap().progress("reports").unwrap().uidls;
    assert_eq!((known.len(), known.iter().any(|known| known.pending)), (6, false), "{known:?}");
    let told = run(&dir, &["config", "check"]).quiet();
    assert!(told.contains("  INBOX: 6 mails, 0 to fetch"), "{told}");
    let status = run(&dir, &["status"]).quiet();
    assert!(status.contains("reports > INBOX: read "), "{status}");
    assert_eq!(mails(&dovecot), 6);

    let other = WorkDir::new();
    settings(&other, &dovecot, dovecot.pop3s, "password_file = \"password\"\nafter = \"delete\"");
    let done = run(&other, &["fetch", "--format", "json"]);
    assert_eq!((done.code, done.json()["stored"]["reports"].as_u64()), (Some(0), Some(5)), "{done:?}");
    assert_eq!(mails(&dovecot), 1, "what is no report stays");
    run(&other, &["fetch"]).quiet();
    // IDs of mails that are gone are forgotten, also if nothing was deleted.
    run(&dir, &["fetch"]).quiet();
    for dir in [&dir, &other] {
        assert_eq!(Store::open(&dir.path("store")).unwrap().progress("reports").unwrap().uidls.len(), 1);
    }
}

#[test]
fn login_works_over_stls_and_by_token_and_not_with_a_wrong_certificate() {
    let Some(dovecot) = Dovecot::start_with_pop3() else { return };
    deliver(&dovecot);
    let token = format!(
        "auth = \"xoauth2\"\n[mailbox.oauth2]\ntoken_url = \"{}\"\nclient_id = \"test-client\"\nclient_secret_file = \"client\"\n",
        dovecot.token_url
    );
    let ways = [(dovecot.pop3, "security = \"starttls\"\npassword_file = \"password\""), (dovecot.pop3s, &token)];
    for (port, more) in ways {
        let dir = WorkDir::new();
        settings(&dir, &dovecot, port, more);
        let client = dir.write("client", "client-secret\n");
        std::fs::set_permissions(client, std::fs::Permissions::from_mode(0o600)).unwrap();
        let done = run(&dir, &["fetch", "--format", "json"]);
        assert_eq!((done.code, done.json()["stored"]["reports"].as_u64()), (Some(0), Some(5)), "{done:?}");
    }
    let dir = WorkDir::new();
    settings(&dir, &dovecot, dovecot.pop3s, "password_file = \"password\"");
    let elsewhere = std::fs::read_to_string(dir.path("config.toml")).unwrap().replace("\"localhost\"", "\"127.0.0.2\"");
    dir.write("config.toml", elsewhere);
    let done = run(&dir, &["fetch"]);
    assert_eq!(done.code, Some(2), "{done:?}");
    assert!(done.stderr.contains("the certificate of 127.0.0.2 is refused"), "{done:?}");
}

#[test]
fn settings_that_pop3_cannot_follow_are_errors_that_name_the_key() {
    for (key, line) in [
        ("after", "after = \"seen\""),
        ("after", "after = \"move\""),
        ("folders", "folders = [\"INBOX\"]"),
        ("move_to", "move_to = \"x\""),
        ("rejected_to", "rejected_to = \"x\""),
    ] {
        let dir = WorkDir::new();
        let text = format!(
            "[[mailbox]]\nprotocol = \"pop3\"\nhost = \"pop.example.com\"\nuser = \"u\"\npassword_env = \"P\"\n{line}\n"
        );
        dir.write("config.toml", text);
        let done = run(&dir, &["config", "check", "--offline"]);
        let first = done.stderr.lines().next().unwrap_or_default();
        assert!(done.code == Some(2) && first.contains(&format!("line 6: mailbox 1: {key}: expected")), "{done:?}");
    }
}
