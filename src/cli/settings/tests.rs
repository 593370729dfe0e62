//! Tests of whole settings files and of their error messages.

use super::file::Settings;
use super::smtp::Outlet;
use crate::cli::terminal::fault::{Several, hint_of};
use crate::fetch::mailbox::{After, Auth, Secret, Security};
use std::path::{Path, PathBuf};

fn settings(text: &str) -> Settings {
    Settings::parse(text, Path::new("/etc/dmarquet/config.toml")).unwrap()
}

/// The errors of a file, one per line, hints after ` | `.
fn faults(text: &str) -> Vec<String> {
    let error = Settings::parse(text, Path::new("c.toml")).unwrap_err();
    let Several(errors) = error.downcast_ref().unwrap();
    errors
        .iter()
        .map(|error| hint_of(error).map_or_else(|| format!("{error:#}"), |hint| format!("{error:#} | {hint}")))
        .collect()
}

const MAILBOX: &str = "[[mailbox]]\nhost = \"imap.example.com\"\nuser = \"dmarc@example.com\"\npassword_env = \"X\"\n";

#[test]
fn a_mailbox_needs_three_keys_and_the_rest_has_defaults() {
    let mailbox = settings(MAILBOX).mailboxes.remove(0);
    assert_eq!(mailbox.name, "dmarc@example.com@imap.example.com");
    assert_eq!((mailbox.port, mailbox.security), (993, Security::Tls));
    assert!(matches!(&mailbox.auth, Auth::Password(Secret::Variable(name)) if name == "X"));
    assert_eq!((mailbox.folders, mailbox.after), (vec!["INBOX".to_owned()], After::Keep));
}

#[test]
fn the_example_of_the_design_is_accepted() {
    let text = r#"
store = "/var/lib/dmarquet"

[[mailbox]]
name = "reports"
host = "imap.example.com"
port = 993
security = "tls"
ca_file = "ca.pem"
user = "dmarc@example.com"
auth = "password"
password_command = ["pass", "show", "mail/dmarc"]
folders = ["INBOX"]
after = "move"
move_to = "DMARC/done"
rejected_to = "DMARC/unreadable"
"#;
    let settings = settings(text);
    assert_eq!(settings.store, Some(PathBuf::from("/var/lib/dmarquet")));
    assert_eq!(settings.mailboxes[0].ca_file, Some(PathBuf::from("/etc/dmarquet/ca.pem")), "relative to the file");
    assert_eq!(settings.mailboxes[0].after, After::Move("DMARC/done".to_owned()));
}

#[test]
fn lists_single_values_and_booleans_are_read() {
    let one = settings("verify = true\ngeoip = \"asn.mmdb\"\n");
    assert!(one.verify && !settings("").verify);
    assert_eq!(one.geoip, [PathBuf::from("/etc/dmarquet/asn.mmdb")]);
    let two = settings("geoip = [\"/a.mmdb\", \"b.mmdb\"]\n");
    assert_eq!(two.geoip, ["/a.mmdb", "/etc/dmarquet/b.mmdb"].map(PathBuf::from));
    assert_eq!(faults("verify = \"yes\"\n"), ["c.toml line 1: verify: expected true or false, found \"yes\""]);
}

#[test]
fn the_default_port_follows_the_security() {
    let text = MAILBOX.replace("imap.example.com", "127.0.0.1");
    assert_eq!(settings(&format!("{text}security = \"none\"")).mailboxes[0].port, 143);
    assert_eq!(settings(&format!("{text}security = \"starttls\"")).mailboxes[0].port, 143);
}

#[test]
fn an_unknown_key_is_named_with_its_line_and_the_key_that_was_meant() {
    assert_eq!(
        faults(&format!("{MAILBOX}folder = [\"INBOX\"]\n")),
        ["c.toml line 5: mailbox 1: folder: unknown key | did you mean folders?"]
    );
    assert!(faults("color = 1")[0].ends_with(
        "| the keys here are store, group, domains, trusted_authserv_id, verify, senders, geoip, mailbox, confirmed, alert, customer, site, smtp"
    ));
}

#[test]
fn a_secret_in_the_settings_is_refused_with_the_way_to_do_it() {
    let text = MAILBOX.replace("password_env = \"X\"", "password = \"hunter2\"");
    let faults = faults(&text);
    assert_eq!(
        faults[1],
        "c.toml line 4: mailbox 1: password: unknown key | secrets do not belong in the settings: \
         use password_command, password_file or password_env"
    );
    assert!(!faults.concat().contains("hunter2"));
}

#[test]
fn wrong_values_say_what_was_expected_and_what_was_found() {
    for (line, fault) in [
        ("port = \"imap\"", "port: expected a port, 1 to 65535, found \"imap\""),
        ("port = 70000", "port: expected a port, 1 to 65535, found the number 70000"),
        ("port = 0", "port: expected a port, 1 to 65535, found the number 0"),
        ("security = \"ssl\"", "security: expected tls, starttls or none, found \"ssl\""),
        (
            "security = \"none\"",
            "security: expected tls or starttls for imap.example.com, found none, which is for loopback only",
        ),
        ("auth = \"cram-md5\"", "auth: expected password, xoauth2 or oauthbearer, found \"cram-md5\""),
        ("folders = \"INBOX\"", "folders: expected a list of texts, as [\"...\"], found \"INBOX\""),
        ("folders = []", "folders: expected a list of texts, as [\"...\"], found an empty list"),
        ("folders = [1]", "folders: expected a list of texts, as [\"...\"], found a list"),
        ("after = \"archive\"", "after: expected keep, seen, move or delete, found \"archive\""),
        ("after = \"move\"", "move_to: expected the folder that mails are moved to, found no such key"),
        ("move_to = \"Done\"", "move_to: expected it only with after = \"move\", found after = \"keep\""),
        ("after = \"move\"\nmove_to = \"INBOX\"", "move_to: expected a folder that is not read, found one of folders"),
        ("rejected_to = \"INBOX\"", "rejected_to: expected a folder that is not read, found one of folders"),
        ("name = \"\"", "name: expected text in quotes, found empty text"),
        ("name = true", "name: expected text in quotes, found a boolean"),
        (
            "password_file = \"p\"",
            "password_env: expected only one of password_command, password_file or password_env, found several",
        ),
        ("auth = \"xoauth2\"\ntoken_env = \"T\"", "auth: expected password beside a password, found a kind of OAuth2"),
        ("token_env = \"T\"", "auth: expected xoauth2 or oauthbearer beside a token, found password"),
    ] {
        let found = faults(&format!("{MAILBOX}{line}\n"));
        assert_eq!(found.len(), 1, "{line}: {found:?}");
        assert!(
            found[0].starts_with("c.toml line ") && found[0].ends_with(&format!("mailbox 1: {fault}")),
            "{line}: {}",
            found[0]
        );
    }
}

#[test]
fn all_faults_are_reported_at_once_in_the_order_of_their_lines() {
    let faults = faults("store = 1\n[[mailbox]]\nport = 0\n[smtp]\nfrom = \"a@example.com\"\n");
    let lines: Vec<&str> = faults.iter().map(|fault| fault.split(": ").next().unwrap()).collect();
    assert_eq!(
        lines,
        ["c.toml line 1", "c.toml line 2", "c.toml line 2", "c.toml line 2", "c.toml line 3", "c.toml line 4"]
    );
}

#[test]
fn a_file_that_is_no_toml_says_the_line_and_shows_no_value() {
    let faults = faults("store = \"x\"\npassword = hunter2\n");
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert!(
        faults[0].starts_with("c.toml line 2: password: expected the value in quotes, found it without"),
        "{faults:?}"
    );
    assert!(!faults[0].contains("hunter2"));
}

#[test]
fn both_oauth2_grants_are_accepted() {
    let base = MAILBOX.replace("password_env = \"X\"", "auth = \"xoauth2\"");
    assert_eq!(
        faults(&base),
        ["c.toml line 1: mailbox 1: expected token_command, token_file or token_env or [mailbox.oauth2], found none"]
    );
    let table = "[mailbox.oauth2]\ntoken_url = \"https://login.example.net/token\"\nclient_id = \"id\"\n";
    for grant in ["client_secret_env = \"S\"\nscope = \"all\"", "refresh_token_file = \"t\""] {
        assert!(matches!(settings(&format!("{base}{table}{grant}")).mailboxes[0].auth, Auth::XOAuth2(_)));
    }
    assert!(faults(&format!("{base}{table}"))[0].contains("oauth2: expected refresh_token_command"));
    let plain = table.replace("https", "http");
    assert!(
        faults(&format!("{base}{plain}client_secret_env = \"S\""))[0]
            .contains("expected an address that begins with https://")
    );
}

#[test]
fn two_mailboxes_need_two_names() {
    assert_eq!(
        faults(&format!("{MAILBOX}{MAILBOX}")),
        [
            "c.toml line 5: mailbox 2: name: expected a name of its own, found \"dmarc@example.com@imap.example.com\" twice"
        ]
    );
}

#[test]
fn mail_is_sent_by_a_server_or_by_sendmail_but_not_by_both() {
    let server = settings("[smtp]\nhost = \"mail.example.com\"\nfrom = \"a@example.com\"\nsecurity = \"starttls\"\n")
        .smtp
        .unwrap();
    assert!(matches!(server.outlet, Outlet::Server { port: 587, security: Security::StartTls, login: None, .. }));
    let local = settings("[smtp]\nsendmail = \"/usr/sbin/sendmail\"\nfrom = \"a@example.com\"\n").smtp.unwrap();
    assert!(matches!(&local.outlet, Outlet::Sendmail(path) if path == Path::new("/usr/sbin/sendmail")));
    assert_eq!(
        faults("[smtp]\nsendmail = \"/usr/sbin/sendmail\"\nfrom = \"a@example.com\"\nport = 25\n"),
        ["c.toml line 4: smtp: port: expected it only with host, found sendmail"]
    );
    assert_eq!(
        faults("[smtp]\nhost = \"h\"\nfrom = \"a@example.com\"\nuser = \"u\"\n"),
        ["c.toml line 4: smtp: user: expected password_command, password_file or password_env as well, found none"]
    );
    let login = |lines: &str| {
        let smtp = settings(&format!("[smtp]\nhost = \"h\"\nfrom = \"a@example.com\"\n{lines}")).smtp.unwrap();
        let Outlet::Server { login, .. } = smtp.outlet else { panic!("a server") };
        login.unwrap().1
    };
    assert!(matches!(login("user = \"u\"\npassword_env = \"P\"\n"), Auth::Password(_)));
    assert!(matches!(login("user = \"u\"\nauth = \"xoauth2\"\ntoken_env = \"T\"\n"), Auth::XOAuth2(_)));
    let table = "user = \"u\"\nauth = \"xoauth2\"\n[smtp.oauth2]\ntoken_url = \"https://login.example.net/token\"\nclient_id = \"id\"\n\
                 client_secret_env = \"S\"\n";
    assert!(matches!(login(table), Auth::XOAuth2(_)));
    assert_eq!(
        faults("[smtp]\nhost = \"h\"\nfrom = \"a@example.com\"\nauth = \"xoauth2\"\ntoken_env = \"T\"\n"),
        ["c.toml line 1: smtp: user: expected the account name, because there is a password or token; found no user"]
    );
    assert_eq!(
        faults("[smtp]\nhost = \"h\"\nfrom = \"a@example.com\"\nuser = \"u\"\nauth = \"xoauth2\"\n"),
        ["c.toml line 1: smtp: expected token_command, token_file or token_env or [smtp.oauth2], found none"]
    );
}

#[test]
fn domains_are_lowercased_and_one_trusted_server_needs_no_list() {
    let settings = settings("domains = [\"Example.COM\"]\ntrusted_authserv_id = \"mx.example.com\"\n");
    assert_eq!(settings.domains, ["example.com"]);
    assert_eq!(settings.trusted_authserv_id, ["mx.example.com"]);
}
