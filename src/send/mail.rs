//! Composes a mail and sends it: to a server, or through the local sendmail.

use super::server::Server;
use super::{sendmail, smtp};
use crate::fetch::mailbox::tls::trust;
use crate::fetch::mailbox::{Redaction, Security};
use lettre::Message;
use lettre::address::Envelope;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Attachment, Mailbox, MultiPart, SinglePart};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// How long a server may usually take for one step.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// How long a local program may usually take: it may scan the mail, and ask other services about it.
pub const PROGRAM_PATIENCE: Duration = Duration::from_mins(5);

/// A mail to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutgoingMail {
    /// The sender: `dmarc@example.com` or `DMARC <dmarc@example.com>`.
    pub from: String,
    /// The recipients; at least one.
    pub to: Vec<String>,
    /// Where replies go; `None` means to the sender.
    pub reply_to: Option<String>,
    /// The subject.
    pub subject: String,
    /// The text, for readers without HTML.
    pub text: String,
    /// The same as HTML.
    pub html: String,
    /// Pictures in the HTML, referenced as `cid:` and their ID.
    pub pictures: Vec<InlinePicture>,
    /// When it was written.
    pub date: SystemTime,
}

/// A picture in a mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InlinePicture {
    /// The ID, without `cid:`.
    pub id: &'static str,
    /// For example `image/png`.
    pub media_type: &'static str,
    /// The file.
    pub bytes: Vec<u8>,
}

/// How mail is sent.
#[derive(Debug, Clone)]
pub enum Route {
    /// A server.
    Server(Server),
    /// A local program with the interface of sendmail.
    Sendmail {
        /// The program.
        program: PathBuf,
        /// How long it may take before it is stopped.
        patience: Duration,
    },
}

/// Why a mail was not sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// An address is invalid.
    #[error("{role} {address}: expected an address such as postmaster@example.com, found {why}")]
    Address {
        /// `from`, `to` or `reply_to`.
        role: &'static str,
        /// As given.
        address: String,
        /// What is wrong with it.
        why: String,
    },
    /// The mail could not be composed.
    #[error("mail: expected parts that fit together, found: {0}")]
    Compose(String),
    /// The trusted roots, from the file or the system, are unusable.
    #[error("{0}")]
    Roots(String),
    /// The server or the program did not take the mail.
    #[error("{route} {why}")]
    NotTaken {
        /// `host:port`, or the program.
        route: String,
        /// What it did, as the rest of a sentence. May quote the server; cleaned when shown.
        why: String,
    },
}

/// A mail ready to be sent.
#[derive(Debug, Clone)]
pub struct ComposedMail {
    envelope: Envelope,
    bytes: Vec<u8>,
}

impl OutgoingMail {
    /// Composes the mail: `multipart/alternative`, text first.
    ///
    /// # Errors
    /// [`SendError`] if an address is invalid.
    pub fn compose(&self) -> Result<ComposedMail, SendError> {
        self.composed(None)
    }

    /// The same with a Message-ID that only depends on this key and the recipients: mail programs show the mail once,
    /// however often it is sent.
    ///
    /// # Errors
    /// [`SendError`] if an address is invalid.
    pub fn compose_as(&self, key: &str) -> Result<ComposedMail, SendError> {
        self.composed(Some(key))
    }

    fn composed(&self, key: Option<&str>) -> Result<ComposedMail, SendError> {
        let from = address("from", &self.from)?;
        let header = |name, value: String| HeaderValue::new(HeaderName::new_from_ascii_str(name), value);
        let id = self.message_id(from.email.domain(), key);
        let list = format!("DMARC reports <dmarquet.{}>", from.email.domain());
        let mut message = Message::builder()
            .from(from)
            .subject(self.subject.as_str())
            .date(self.date)
            .message_id(Some(id))
            // RFC 2919: shared by all mails of this sender, so that recipients can file them.
            .raw_header(header("List-Id", list))
            // RFC 3834 section 5: keeps vacation notices from answering.
            .raw_header(header("Auto-Submitted", "auto-generated".to_owned()));
        for to in &self.to {
            message = message.to(address("to", to)?);
        }
        if let Some(reply_to) = &self.reply_to {
            message = message.reply_to(address("reply_to", reply_to)?);
        }
        let part = |kind, body: &str| SinglePart::builder().header(kind).body(body.to_owned());
        let html = part(ContentType::TEXT_HTML, &self.html);
        let parts = MultiPart::alternative().singlepart(part(ContentType::TEXT_PLAIN, &self.text));
        let parts = if self.pictures.is_empty() {
            parts.singlepart(html)
        } else {
            let mut related = MultiPart::related().singlepart(html);
            for InlinePicture { id, media_type, bytes } in &self.pictures {
                let kind = ContentType::parse(media_type).map_err(|error| SendError::Compose(error.to_string()))?;
                related = related.singlepart(Attachment::new_inline((*id).to_owned()).body(bytes.clone(), kind));
            }
            parts.multipart(related)
        };
        let message = message.multipart(parts).map_err(|error| SendError::Compose(error.to_string()))?;
        Ok(ComposedMail { envelope: message.envelope().clone(), bytes: message.formatted() })
    }

    /// A Message-ID under the sender's domain, as RFC 5322 section 3.6.4 recommends: any other host name may belong to
    /// somebody else.
    fn message_id(&self, domain: &str, key: Option<&str>) -> String {
        let mut hash = blake3::Hasher::new();
        if let Some(key) = key {
            hash.update(key.as_bytes()).update(&[0]).update(self.to.join(",").as_bytes());
        } else {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            hash.update(&now.as_nanos().to_le_bytes()).update(&std::process::id().to_le_bytes());
            for text in [&self.from, &self.to.join(","), &self.subject, &self.text] {
                hash.update(text.as_bytes()).update(&[0]);
            }
        }
        format!("<{}.dmarquet@{domain}>", &hash.finalize().to_hex()[..32])
    }
}

impl ComposedMail {
    /// The mail as sent, in `.eml` form.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Sends it on its own, like [`Outbox::send`].
    ///
    /// # Errors
    /// [`SendError`] with what the server or program said, without any part of the password.
    pub fn send(&self, route: &Route) -> Result<Vec<RefusedRecipient>, SendError> {
        Outbox::new(route.clone()).send(self)
    }
}

/// A recipient that the server refused while it accepted the mail for others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedRecipient {
    /// The address.
    pub address: String,
    /// What the server said, as the rest of a sentence that begins with its name. Cleaned when shown.
    pub why: String,
}

/// Mails per connection: servers limit the connections of a client.
const MAILS: usize = 50;

/// Sends mails over a connection that stays open between them.
pub struct Outbox {
    route: Route,
    session: Option<smtp::Session>,
    /// Why the server could not be reached, so that later mails do not wait for it again.
    unreachable: Option<String>,
    secrets: Redaction,
}

impl Outbox {
    /// Opens no connection before the first mail.
    pub fn new(route: Route) -> Self {
        let secrets = Redaction::default();
        if let Route::Server(Server { login: Some(login), .. }) = &route {
            secrets.add(&login.secret);
        }
        Self { route, session: None, unreachable: None, secrets }
    }

    /// Sends a mail. Returns the recipients that the server refused; it accepted the mail for all others, at least one.
    ///
    /// # Errors
    /// [`SendError`] with what the server or program said, without any part of the password. Where the server could not be
    /// reached, all later mails fail at once.
    pub fn send(&mut self, mail: &ComposedMail) -> Result<Vec<RefusedRecipient>, SendError> {
        match &self.route {
            Route::Server(server) => {
                let server = server.clone();
                self.submit(&server, mail)
            }
            Route::Sendmail { program, patience } => sendmail::run(program, *patience, &mail.envelope, &mail.bytes)
                .map(|()| Vec::new())
                .map_err(|why| SendError::NotTaken { route: program.display().to_string(), why }),
        }
    }

    /// Tests sending without a mail: connects and logs in, or checks that the program exists.
    ///
    /// # Errors
    /// [`SendError`] as for a mail.
    pub fn check(&mut self) -> Result<(), SendError> {
        match &self.route {
            Route::Server(server) => {
                let server = server.clone();
                self.session = Some(self.open(&server)?);
                Ok(())
            }
            Route::Sendmail { program, .. } => sendmail::check(program)
                .map_err(|why| SendError::NotTaken { route: program.display().to_string(), why }),
        }
    }

    fn submit(&mut self, server: &Server, mail: &ComposedMail) -> Result<Vec<RefusedRecipient>, SendError> {
        loop {
            let mut session = match self.session.take() {
                Some(session) => session,
                None => self.open(server)?,
            };
            match session.submit(&mail.envelope, &mail.bytes) {
                Ok(refused) => {
                    if session.taken() < MAILS {
                        self.session = Some(session);
                    } else {
                        session.quit();
                    }
                    let refused = refused.into_iter();
                    let clean =
                        |(address, why): (String, String)| RefusedRecipient { address, why: self.secrets.clean(&why) };
                    return Ok(refused.map(clean).collect());
                }
                // Servers close a connection after a number of mails, or after some idle time: that says nothing about
                // this mail.
                Err(fault) if fault.at_start && session.taken() > 0 => {}
                Err(fault) => {
                    self.session = session.reset();
                    return Err(self.not_taken(server, &fault.why));
                }
            }
        }
    }

    fn open(&mut self, server: &Server) -> Result<smtp::Session, SendError> {
        if let Some(why) = &self.unreachable {
            return Err(self.not_taken(server, why));
        }
        let trust = match server.security {
            Security::Tls | Security::StartTls => Some(trust(server.ca_file.as_deref()).map_err(SendError::Roots)?),
            Security::None => None,
        };
        smtp::Session::open(server, trust).map_err(|why| {
            let error = self.not_taken(server, &why);
            self.unreachable = Some(why);
            error
        })
    }

    fn not_taken(&self, server: &Server, why: &str) -> SendError {
        SendError::NotTaken { route: format!("{}:{}", server.host, server.port), why: self.secrets.clean(why) }
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        if let Some(session) = self.session.take() {
            session.quit();
        }
    }
}

/// Whether a text is a mail address, such as `postmaster@example.com` or `IT <it@example.com>`.
pub fn is_address(text: &str) -> bool {
    address("to", text).is_ok()
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
    use super::{OutgoingMail, Route, SendError};
    use std::path::PathBuf;
    use std::time::{Duration, UNIX_EPOCH};

    fn outgoing() -> OutgoingMail {
        OutgoingMail {
            from: "DMARC <dmarc@example.com>".to_owned(),
            to: vec!["a@example.net".to_owned(), "b@example.org".to_owned()],
            reply_to: None,
            subject: "Übersicht 2026-W47\r\nBcc: c@example.org".to_owned(),
            text: "plain\n".to_owned(),
            html: "<p>page</p>".to_owned(),
            pictures: Vec::new(),
            date: UNIX_EPOCH + Duration::from_secs(1_795_000_000),
        }
    }

    #[test]
    fn a_mail_has_text_before_html_and_asks_for_no_answer() {
        let mail = outgoing().compose().unwrap();
        let parsed = mailparse::parse_mail(mail.bytes()).unwrap();
        assert_eq!(parsed.ctype.mimetype, "multipart/alternative");
        let kinds: Vec<_> = parsed.subparts.iter().map(|part| part.ctype.mimetype.as_str()).collect();
        assert_eq!(kinds, ["text/plain", "text/html"]);
        assert_eq!(parsed.subparts[0].get_body().unwrap().trim_end(), "plain");
        let header = |name: &str| parsed.headers.iter().find(|header| header.get_key() == name).unwrap().get_value();
        assert_eq!(header("Auto-Submitted"), "auto-generated");
        let id = header("Message-ID");
        assert!(id.starts_with('<') && id.ends_with(".dmarquet@example.com>"), "{id}");
        let again = outgoing().compose().unwrap();
        assert_ne!(mail.bytes(), again.bytes(), "two mails, two ids");
        assert_eq!(header("Date"), "Wed, 18 Nov 2026 11:06:40 +0000");
        assert_eq!(header("To"), "a@example.net, b@example.org");
    }

    #[test]
    fn a_line_end_in_a_subject_forges_no_header() {
        let mail = outgoing().compose().unwrap();
        let parsed = mailparse::parse_mail(mail.bytes()).unwrap();
        assert!(parsed.headers.iter().all(|header| header.get_key() != "Bcc"));
        assert_eq!(mail.envelope.to().len(), 2);
    }

    #[test]
    fn an_address_that_is_none_is_named() {
        let error = OutgoingMail { to: vec!["nobody".to_owned()], ..outgoing() }.compose().unwrap_err();
        assert!(
            error.to_string().starts_with("to nobody: expected an address such as postmaster@example.com, found "),
            "{error}"
        );
    }

    #[test]
    fn a_sendmail_that_is_missing_or_fails_is_an_error() {
        let mail = outgoing().compose().unwrap();
        for (program, said) in [("/nonexistent/sendmail", "No such file"), ("/bin/false", "ended with exit status: 1")]
        {
            let route = Route::Sendmail { program: PathBuf::from(program), patience: Duration::from_mins(1) };
            let error = mail.send(&route).unwrap_err();
            assert!(matches!(error, SendError::NotTaken { .. }) && error.to_string().contains(said), "{error}");
        }
    }
}
