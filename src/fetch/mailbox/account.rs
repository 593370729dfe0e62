//! A mailbox from the settings: the server, the account, what to read, what to do afterward.
//!
//! Plain values; secrets are sources or `secrecy` values, which print nothing.

use super::{error::ServerError, redact::Redaction, secret::Secret};
use crate::fetch::item::MailboxError;
use std::{path::PathBuf, time::Duration};

/// A mailbox to poll.
#[derive(Debug, Clone)]
pub struct Mailbox {
    /// Its name in origins, the ledger and messages.
    pub name: String,
    /// Host name or address of the server; its certificate must name it.
    pub host: String,
    /// Port.
    pub port: u16,
    /// The server's protocol.
    pub protocol: Protocol,
    /// How the connection is secured.
    pub security: Security,
    /// PEM file of one more trusted root.
    pub ca_file: Option<PathBuf>,
    /// The user name; with XOAUTH2 the mailbox to open.
    pub user: String,
    /// How to log in.
    pub auth: Auth,
    /// Folders to read, in order, with `/` as separator. Not used for POP3.
    pub folders: Vec<String>,
    /// What happens to a mail once its reports are stored.
    pub after: After,
    /// Where to move a mail with something unreadable; `None` leaves it.
    pub rejected_to: Option<String>,
    /// The time limits.
    pub patience: Patience,
    /// The secrets sent to its server, which must not be shown if it repeats them. Shared by clones.
    pub secrets: Redaction,
}

impl Mailbox {
    /// The error for the caller, without secrets.
    pub(crate) fn error(&self, fault: ServerError) -> MailboxError {
        let (reason, hint) = fault.reason_and_hint();
        let clean = |text: String| self.secrets.clean(&text);
        MailboxError { mailbox: self.name.clone(), reason: clean(reason), hint: hint.map(clean) }
    }
}

/// A server's protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// IMAP (RFC 9051).
    Imap,
    /// POP3 (RFC 1939).
    Pop3,
}

impl Protocol {
    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Imap => "IMAP",
            Self::Pop3 => "POP3",
        }
    }
}

/// How the connection is secured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// TLS from the first byte (port 993, or 995 for POP3).
    Tls,
    /// TLS by STARTTLS (port 143) or STLS (port 110); never without.
    StartTls,
    /// None; only to a loopback address.
    None,
}

/// How to log in.
#[derive(Debug, Clone)]
pub enum Auth {
    /// SASL PLAIN or LOGIN, or the LOGIN command: what the server offers, in this order.
    Password(Secret),
    /// Google's and Microsoft's XOAUTH2.
    XOAuth2(TokenSource),
    /// RFC 7628.
    OAuthBearer(TokenSource),
}

/// Where an OAuth2 access token comes from.
#[derive(Debug, Clone)]
pub enum TokenSource {
    /// From outside; something else renews it.
    Given(Secret),
    /// From the token endpoint.
    Asked(OAuth2),
}

/// A token endpoint and its parameters (RFC 6749 sections 4.4 and 6).
#[derive(Debug, Clone)]
pub struct OAuth2 {
    /// The endpoint; https only.
    pub token_url: String,
    /// The client ID.
    pub client_id: String,
    /// The client's secret; public clients have none.
    pub client_secret: Option<Secret>,
    /// With it the grant is `refresh_token`, without `client_credentials`.
    pub refresh_token: Option<Secret>,
    /// The scope to request, if the endpoint requires one.
    pub scope: Option<String>,
}

/// What happens to a mail once its reports are stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum After {
    /// Nothing: only the ledger remembers what was read.
    Keep,
    /// It is marked as seen.
    Seen,
    /// It is moved to this folder.
    Move(String),
    /// It is deleted.
    Delete,
}

/// Time limits, and how often to try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patience {
    /// The TCP and the TLS handshake, and the greeting.
    pub connect: Duration,
    /// A whole command that fetches no mail.
    pub command: Duration,
    /// Silence during an answer.
    pub silence: Duration,
    /// Connections in a row without progress, before giving up.
    pub tries: u32,
    /// The first pause between them; each further one is twice as long.
    pub pause: Duration,
    /// The longest pause a server may ask for.
    pub longest_pause: Duration,
    /// How long one IDLE lasts before it is renewed.
    pub idle: Duration,
    /// How often to poll without IDLE, and the other folders.
    pub poll: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(30),
            command: Duration::from_mins(2),
            silence: Duration::from_mins(1),
            tries: 5,
            pause: Duration::from_millis(500),
            longest_pause: Duration::from_mins(5),
            idle: Duration::from_mins(9),
            poll: Duration::from_mins(5),
        }
    }
}
