//! `[[mailbox]]`: one account to poll, with options checked against each other.

use super::reader::Section;
use super::secret;
use crate::fetch::mailbox::{
    After, Auth, Mailbox, OAuth2, Patience, Protocol, Redaction, Secret, Security, TokenSource,
};
use std::net::IpAddr;
use std::path::Path;

/// The values of `security`.
pub(super) const SECURITY: [(&str, Security); 3] =
    [("tls", Security::Tls), ("starttls", Security::StartTls), ("none", Security::None)];

/// Reads a table; `None` if a required value is missing.
pub(super) fn read(section: &mut Section<'_>, folder: &Path) -> Option<Mailbox> {
    const PROTOCOLS: [(&str, Protocol); 2] = [("imap", Protocol::Imap), ("pop3", Protocol::Pop3)];
    let protocol = section.choice("protocol", &PROTOCOLS).unwrap_or(Protocol::Imap);
    let host = section.needed_text("host", "the mail server, such as \"imap.example.com\"");
    let user = section.needed_text("user", "the account, such as \"dmarc@example.com\"");
    let security = section.choice("security", &SECURITY).unwrap_or(Security::Tls);
    if let Some(host) = host {
        check_security(section, security, host);
    }
    let default_port = match (protocol, security) {
        (Protocol::Imap, Security::Tls) => 993,
        (Protocol::Imap, _) => 143,
        (Protocol::Pop3, Security::Tls) => 995,
        (Protocol::Pop3, _) => 110,
    };
    let port = section.port("port").unwrap_or(default_port);
    let ca_file = section.path("ca_file", folder);
    let auth = auth_of(section, folder, "mailbox.oauth2");
    if protocol == Protocol::Pop3 {
        section.refuse(
            &["folders", "move_to", "rejected_to"],
            "expected it only with protocol = \"imap\": POP3 has no folders",
        );
    }
    let folders = if protocol == Protocol::Pop3 { None } else { section.texts("folders") };
    let folders = folders.unwrap_or_else(|| vec!["INBOX".to_owned()]);
    let after = if protocol == Protocol::Pop3 { after_of_pop3(section) } else { after_of(section, &folders) };
    let rejected_to = if protocol == Protocol::Pop3 { None } else { section.text("rejected_to") }.map(str::to_owned);
    if rejected_to.as_ref().is_some_and(|target| folders.contains(target)) {
        section.fault("rejected_to", "expected a folder that is not read, found one of folders");
    }
    let name = section.text("name").map(str::to_owned);
    let (host, user) = (host?.to_owned(), user?.to_owned());
    let name = name.unwrap_or_else(|| format!("{user}@{host}"));
    Some(Mailbox {
        name,
        host,
        port,
        protocol,
        security,
        ca_file,
        user,
        auth: auth?,
        folders,
        after,
        rejected_to,
        patience: Patience::default(),
        secrets: Redaction::default(),
    })
}

/// Without TLS, only connections on this machine are allowed.
pub(super) fn check_security(section: &Section<'_>, security: Security, host: &str) {
    let loopback = host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback());
    if security == Security::None && !loopback {
        section
            .fault("security", &format!("expected tls or starttls for {host}, found none, which is for loopback only"));
    }
}

/// How to log in; `table` is the name of the token endpoint's table.
pub(super) fn auth_of(section: &mut Section<'_>, folder: &Path, table: &str) -> Option<Auth> {
    // `None`: by password.
    const BY_TOKEN: [(&str, Option<fn(TokenSource) -> Auth>); 3] =
        [("password", None), ("xoauth2", Some(Auth::XOAuth2)), ("oauthbearer", Some(Auth::OAuthBearer))];
    let by_token = section.choice("auth", &BY_TOKEN).flatten();
    let password = secret::read(section, &secret::PASSWORD, folder);
    let given = secret::read(section, &secret::TOKEN, folder);
    let asked = section.table("oauth2", |section| oauth2_of(section, folder)).flatten();
    let Some(by_token) = by_token else {
        if given.is_some() || asked.is_some() {
            section.fault("auth", "expected xoauth2 or oauthbearer beside a token, found password");
        }
        if password.is_none() && !secret::PASSWORD.are_in(section) {
            section.fault("", &format!("expected {}, found none", secret::PASSWORD.names()));
        }
        return password.map(Auth::Password);
    };
    if password.is_some() {
        section.fault("auth", "expected password beside a password, found a kind of OAuth2");
    }
    let token = match (given, asked) {
        (Some(_), Some(_)) => {
            section.fault("oauth2", &format!("expected either [{table}] or {}, found both", secret::TOKEN.names()));
            None
        }
        (Some(secret), None) => Some(TokenSource::Given(secret)),
        (None, Some(oauth2)) => Some(TokenSource::Asked(oauth2)),
        (None, None) => {
            if !secret::TOKEN.are_in(section) && !section.has("oauth2") {
                section.fault("", &format!("expected {} or [{table}], found none", secret::TOKEN.names()));
            }
            None
        }
    };
    token.map(by_token)
}

fn oauth2_of(section: &mut Section<'_>, folder: &Path) -> Option<OAuth2> {
    let token_url = section.needed_text("token_url", "the https address that gives tokens");
    let client_id = section.needed_text("client_id", "the application's id");
    let client_secret = secret::read(section, &secret::CLIENT_SECRET, folder);
    let refresh_token = secret::read(section, &secret::REFRESH_TOKEN, folder);
    let scope = section.text("scope").map(str::to_owned);
    if let Some(url) = token_url
        && !url.starts_with("https://")
    {
        section.fault("token_url", &format!("expected an address that begins with https://, found {url:?}"));
    }
    if client_secret.is_none() && refresh_token.is_none() {
        let names = format!("{}, or {}", secret::REFRESH_TOKEN.names(), secret::CLIENT_SECRET.names());
        section.fault("", &format!("expected {names}, found none"));
    }
    Some(OAuth2 {
        token_url: token_url?.to_owned(),
        client_id: client_id?.to_owned(),
        client_secret,
        refresh_token,
        scope,
    })
}

fn after_of(section: &mut Section<'_>, folders: &[String]) -> After {
    const WORDS: [(&str, &str); 4] = [("keep", "keep"), ("seen", "seen"), ("move", "move"), ("delete", "delete")];
    let word = section.choice("after", &WORDS).unwrap_or("keep");
    let target = section.text("move_to");
    match (word, target) {
        ("move", None) if !section.has("move_to") => {
            section.fault("move_to", "expected the folder that mails are moved to, found no such key");
        }
        ("move", Some(target)) if folders.iter().any(|folder| folder == target) => {
            section.fault("move_to", "expected a folder that is not read, found one of folders");
        }
        ("move", _) | (_, None) => {}
        (other, Some(_)) => {
            section.fault("move_to", &format!("expected it only with after = \"move\", found after = {other:?}"));
        }
    }
    match word {
        "seen" => After::Seen,
        "move" => After::Move(target.unwrap_or_default().to_owned()),
        "delete" => After::Delete,
        _ => After::Keep,
    }
}

/// POP3 has no flags and no folders.
fn after_of_pop3(section: &mut Section<'_>) -> After {
    match section.text("after") {
        None | Some("keep") => After::Keep,
        Some("delete") => After::Delete,
        Some(other) => {
            section.fault("after", &format!("expected keep or delete with protocol = \"pop3\", found {other:?}"));
            After::Keep
        }
    }
}

/// The secrets used to log in.
pub(crate) fn secrets_of(auth: &Auth) -> Vec<&Secret> {
    match auth {
        Auth::Password(secret) => vec![secret],
        Auth::XOAuth2(TokenSource::Given(secret)) | Auth::OAuthBearer(TokenSource::Given(secret)) => vec![secret],
        Auth::XOAuth2(TokenSource::Asked(oauth2)) | Auth::OAuthBearer(TokenSource::Asked(oauth2)) => {
            oauth2.client_secret.iter().chain(&oauth2.refresh_token).collect()
        }
    }
}
