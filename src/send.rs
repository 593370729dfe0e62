//! Finished mail leaves: composed once, then submitted to a server or handed to the local sendmail.
//!
//! It does not know what the mail says, and keeps a secret no longer than the hand-over.

mod program;
mod sendmail;
mod smtp;
mod webhook;

pub use program::feed;
pub use webhook::{WEB_PATIENCE, WebFailure, WebMessage, Webhook};

use crate::fetch::imap::{Redaction, trust};
use lettre::Message;
use lettre::address::Envelope;
use lettre::message::header::{ContentType, Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart, SinglePart};
use secrecy::SecretString;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// How long a server may usually take for one step.
pub const PATIENCE: Duration = Duration::from_mins(1);
/// How long a local program may usually take: it may look into the mail, and ask others about it.
pub const PROGRAM_PATIENCE: Duration = Duration::from_mins(5);

/// What is to be said, to whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// The sender, as `dmarc@example.com` or `DMARC <dmarc@example.com>`.
    pub from: String,
    /// The recipients; at least one.
    pub to: Vec<String>,
    /// The subject.
    pub subject: String,
    /// The text, for readers without HTML.
    pub text: String,
    /// The same as HTML.
    pub html: String,
    /// When it was written.
    pub date: SystemTime,
}

/// The way out.
#[derive(Debug, Clone)]
pub enum Route {
    /// A server.
    Server(Server),
    /// A local program that is called as sendmail is.
    Sendmail {
        /// The program.
        program: PathBuf,
        /// How long it may take; then it is stopped.
        patience: Duration,
    },
}

/// A server to submit mail to.
#[derive(Debug, Clone)]
pub struct Server {
    /// Name or address; with TLS the certificate must name it.
    pub host: String,
    /// Port.
    pub port: u16,
    /// How the connection is secured.
    pub security: Security,
    /// One more trusted root, PEM.
    pub ca_file: Option<PathBuf>,
    /// Account and password, where the server wants them.
    pub login: Option<(String, SecretString)>,
    /// The name to greet with; without one, the address that the connection comes from.
    pub hello: Option<String>,
    /// How long it may take for one step.
    pub patience: Duration,
}

/// How the connection is secured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// TLS from the first byte.
    Tls,
    /// TLS by STARTTLS, never without.
    StartTls,
    /// None; the caller has made sure that the server is this machine.
    None,
}

/// Why a mail did not leave.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// An address is none.
    #[error("{role} {address}: expected an address, as postmaster@example.com, found {why}")]
    Address {
        /// `from` or `to`.
        role: &'static str,
        /// As given.
        address: String,
        /// What is wrong with it.
        why: String,
    },
    /// The mail could not be put together.
    #[error("mail: expected parts that fit together, found: {0}")]
    Compose(String),
    /// The file of trusted roots is unusable, or the system's are.
    #[error("{0}")]
    Roots(String),
    /// The server or the program did not take the mail.
    #[error("{route} {why}")]
    NotTaken {
        /// `host:port`, or the program.
        route: String,
        /// What it did, as the rest of a sentence. A server's words may be in it: cleaned when shown.
        why: String,
    },
}

/// A mail, ready to leave.
#[derive(Debug, Clone)]
pub struct Mail {
    envelope: Envelope,
    bytes: Vec<u8>,
}

/// RFC 3834 section 5: no vacation notice shall answer this.
#[derive(Debug, Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

impl Letter {
    /// Put the mail together: `multipart/alternative`, text first.
    ///
    /// # Errors
    /// [`SendError`] where an address is none.
    pub fn compose(&self) -> Result<Mail, SendError> {
        let from = address("from", &self.from)?;
        let id = self.message_id(from.email.domain());
        let mut message = Message::builder()
            .from(from)
            .subject(self.subject.as_str())
            .date(self.date)
            .message_id(Some(id))
            .header(AutoSubmitted);
        for to in &self.to {
            message = message.to(address("to", to)?);
        }
        let part = |kind, body: &str| SinglePart::builder().header(kind).body(body.to_owned());
        let parts = MultiPart::alternative()
            .singlepart(part(ContentType::TEXT_PLAIN, &self.text))
            .singlepart(part(ContentType::TEXT_HTML, &self.html));
        let message = message.multipart(parts).map_err(|error| SendError::Compose(error.to_string()))?;
        Ok(Mail { envelope: message.envelope().clone(), bytes: message.formatted() })
    }
}

impl Letter {
    /// An id under the sender's domain, as RFC 5322 section 3.6.4 advises: what else names a host may be anybody's.
    fn message_id(&self, domain: &str) -> String {
        let mut hash = blake3::Hasher::new();
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        hash.update(&now.as_nanos().to_le_bytes()).update(&std::process::id().to_le_bytes());
        for text in [&self.from, &self.to.join(","), &self.subject, &self.text] {
            hash.update(text.as_bytes()).update(&[0]);
        }
        format!("<{}.dmarquet@{domain}>", &hash.finalize().to_hex()[..32])
    }
}

impl Mail {
    /// The mail as it leaves: an `.eml`.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Hand it over. All recipients are taken, or none.
    ///
    /// # Errors
    /// [`SendError`] with what the server or program said, without any part of the password.
    pub fn send(&self, route: &Route) -> Result<(), SendError> {
        match route {
            Route::Server(server) => self.submit(server),
            Route::Sendmail { program, patience } => sendmail::run(program, *patience, &self.envelope, &self.bytes)
                .map_err(|why| SendError::NotTaken { route: program.display().to_string(), why }),
        }
    }

    fn submit(&self, server: &Server) -> Result<(), SendError> {
        let secrets = Redaction::default();
        server.login.iter().for_each(|(_, password)| secrets.add(password));
        let trust = match server.security {
            Security::Tls | Security::StartTls => Some(trust(server.ca_file.as_deref()).map_err(SendError::Roots)?),
            Security::None => None,
        };
        smtp::submit(server, trust, &self.envelope, &self.bytes).map_err(|why| SendError::NotTaken {
            route: format!("{}:{}", server.host, server.port),
            why: secrets.clean(&why),
        })
    }
}

fn address(role: &'static str, text: &str) -> Result<Mailbox, SendError> {
    text.parse().map_err(|error: lettre::address::AddressError| SendError::Address {
        role,
        address: text.to_owned(),
        why: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::{Letter, Route, SendError};
    use std::path::PathBuf;
    use std::time::{Duration, UNIX_EPOCH};

    fn letter() -> Letter {
        Letter {
            from: "DMARC <dmarc@example.com>".to_owned(),
            to: vec!["a@example.net".to_owned(), "b@example.org".to_owned()],
            subject: "Übersicht 2026-W47\r\nBcc: c@example.org".to_owned(),
            text: "plain\n".to_owned(),
            html: "<p>page</p>".to_owned(),
            date: UNIX_EPOCH + Duration::from_secs(1_795_000_000),
        }
    }

    #[test]
    fn a_mail_has_text_before_html_and_asks_for_no_answer() {
        let mail = letter().compose().unwrap();
        let parsed = mailparse::parse_mail(mail.bytes()).unwrap();
        assert_eq!(parsed.ctype.mimetype, "multipart/alternative");
        let kinds: Vec<_> = parsed.subparts.iter().map(|part| part.ctype.mimetype.as_str()).collect();
        assert_eq!(kinds, ["text/plain", "text/html"]);
        assert_eq!(parsed.subparts[0].get_body().unwrap().trim_end(), "plain");
        let header = |name: &str| parsed.headers.iter().find(|header| header.get_key() == name).unwrap().get_value();
        assert_eq!(header("Auto-Submitted"), "auto-generated");
        let id = header("Message-ID");
        assert!(id.starts_with('<') && id.ends_with(".dmarquet@example.com>"), "{id}");
        let again = letter().compose().unwrap();
        assert_ne!(mail.bytes(), again.bytes(), "two mails, two ids");
        assert_eq!(header("Date"), "Wed, 18 Nov 2026 11:06:40 +0000");
        assert_eq!(header("To"), "a@example.net, b@example.org");
    }

    #[test]
    fn a_line_end_in_a_subject_forges_no_header() {
        let mail = letter().compose().unwrap();
        let parsed = mailparse::parse_mail(mail.bytes()).unwrap();
        assert!(parsed.headers.iter().all(|header| header.get_key() != "Bcc"));
        assert_eq!(mail.envelope.to().len(), 2);
    }

    #[test]
    fn an_address_that_is_none_is_named() {
        let error = Letter { to: vec!["nobody".to_owned()], ..letter() }.compose().unwrap_err();
        assert!(
            error.to_string().starts_with("to nobody: expected an address, as postmaster@example.com, found "),
            "{error}"
        );
    }

    #[test]
    fn a_sendmail_that_is_missing_or_fails_is_an_error() {
        let mail = letter().compose().unwrap();
        for (program, said) in [("/nonexistent/sendmail", "No such file"), ("/bin/false", "ended with exit status: 1")]
        {
            let route = Route::Sendmail { program: PathBuf::from(program), patience: Duration::from_mins(1) };
            let error = mail.send(&route).unwrap_err();
            assert!(matches!(error, SendError::NotTaken { .. }) && error.to_string().contains(said), "{error}");
        }
    }
}
