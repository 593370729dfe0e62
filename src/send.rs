//! Finished bytes leave by mail: composed once, then handed to a server (SMTP submission) or to the local sendmail.
//!
//! Comes in: text, HTML, addresses, a way out. Goes out: a mail, or why not. Must not: know what the mail says, keep a
//! secret longer than the hand-over.

use lettre::address::Envelope;
use lettre::message::header::{ContentType, Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart, SinglePart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{Message, SendmailTransport, SmtpTransport, Transport as _};
use secrecy::{ExposeSecret as _, SecretString};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// How long a server may take for one step.
const PATIENCE: Duration = Duration::from_mins(1);

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
    Sendmail(PathBuf),
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
    /// The file of trusted roots is unusable.
    #[error("ca_file {}: expected PEM certificates, found: {why}", file.display())]
    Roots {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The server, or the way to it, did not take the mail.
    #[error("{route}: expected the mail to be taken, found: {why}")]
    NotTaken {
        /// `host:port`, or the program.
        route: String,
        /// What it said.
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
        let mut message = Message::builder()
            .from(address("from", &self.from)?)
            .subject(self.subject.as_str())
            .date(self.date)
            .message_id(None)
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

impl Mail {
    /// The mail as it leaves: an `.eml`.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Hand it over. All recipients are taken, or none.
    ///
    /// # Errors
    /// [`SendError`] with what the server or program said.
    pub fn send(&self, route: &Route) -> Result<(), SendError> {
        match route {
            Route::Server(server) => self.submit(server),
            Route::Sendmail(program) => SendmailTransport::new_with_command(program)
                .send_raw(&self.envelope, &self.bytes)
                .map_err(|error| SendError::NotTaken { route: program.display().to_string(), why: chain(&error) }),
        }
    }

    fn submit(&self, server: &Server) -> Result<(), SendError> {
        let not_taken = |error: lettre::transport::smtp::Error| SendError::NotTaken {
            route: format!("{}:{}", server.host, server.port),
            why: error.to_string(),
        };
        let tls = match server.security {
            Security::Tls => Tls::Wrapper(server.trust()?),
            Security::StartTls => Tls::Required(server.trust()?),
            Security::None => Tls::None,
        };
        let mut transport =
            SmtpTransport::builder_dangerous(&server.host).port(server.port).tls(tls).timeout(Some(PATIENCE));
        if let Some((user, password)) = &server.login {
            transport = transport.credentials(Credentials::new(user.clone(), password.expose_secret().to_owned()));
        }
        transport.build().send_raw(&self.envelope, &self.bytes).map_err(not_taken)?;
        Ok(())
    }
}

impl Server {
    /// Whom to believe: the platform's roots, and the file's.
    fn trust(&self) -> Result<TlsParameters, SendError> {
        let mut parameters = TlsParameters::builder(self.host.clone());
        if let Some(file) = &self.ca_file {
            let roots = |why: String| SendError::Roots { file: file.clone(), why };
            let pem = std::fs::read(file).map_err(|error| roots(error.to_string()))?;
            parameters =
                parameters.add_root_certificate(Certificate::from_pem(&pem).map_err(|error| roots(chain(&error)))?);
        }
        parameters.build().map_err(|error| SendError::NotTaken { route: self.host.clone(), why: error.to_string() })
    }
}

fn address(role: &'static str, text: &str) -> Result<Mailbox, SendError> {
    text.parse().map_err(|error: lettre::address::AddressError| SendError::Address {
        role,
        address: text.to_owned(),
        why: error.to_string(),
    })
}

/// An error with all that is behind it, each once.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let more = source.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        next = source.source();
    }
    text
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
        for (program, said) in [("/nonexistent/sendmail", "No such file"), ("/bin/false", "")] {
            let error = mail.send(&Route::Sendmail(PathBuf::from(program))).unwrap_err();
            assert!(matches!(error, SendError::NotTaken { .. }) && error.to_string().contains(said), "{error}");
        }
    }
}
