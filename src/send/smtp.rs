//! Submission to a server (RFC 6409): several mails over one connection, with a limit for every wait and every answer.
//!
//! The server is not trusted with time or memory: lines and answers are limited, and each must be complete in time,
//! however slowly its bytes arrive. Its answers may contain the password it was sent; the caller removes that.

use super::connection::{CONNECTION, SmtpStream, TimedStream, connect, tls_fault, wire_fault};
use super::server::{Login, LoginKind, Server};
use crate::fetch::mailbox::{Security, sasl};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use lettre::address::Envelope;
use secrecy::ExposeSecret as _;
use std::fmt::Write as _;
use std::io::ErrorKind;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, ClientConnection, StreamOwned};

/// The longest line of an answer. RFC 5321 section 4.5.3.1.5 allows 512 bytes; many servers send more.
const LINE_BYTES: usize = 4 << 10;
/// Lines of one answer; the answer to EHLO has some twenty.
const LINES: usize = 100;
/// Characters shown of a server's answer.
const SHOWN_CHARACTERS: usize = 300;
/// The answer to the whole mail may take this many times as long as others: servers scan it first, and a client that
/// gives up early sends it twice (RFC 5321 section 4.5.3.2.6).
const AFTER_MAIL: u32 = 5;
/// Limit of the whole connection, in steps: otherwise a server that uses up the time of each step could hold it for an
/// hour.
const ALL_STEPS: u32 = 10;

/// A connection used for several mails.
pub(super) struct Session {
    stream: SmtpStream,
    /// Bytes read that belong to the next line.
    buffer: Vec<u8>,
    patience: Duration,
    /// When all mails must be sent.
    end: Instant,
    hello: String,
    /// The server's extensions from its answer to EHLO, in upper case.
    abilities: Vec<String>,
    /// The connection is unusable: there was no answer, or none that makes sense.
    broken: bool,
    /// How many mails the server took.
    taken: usize,
}

/// Why a mail was not taken.
pub(super) struct NotTaken {
    /// What happened, as the rest of a sentence that begins with the server's name.
    pub(super) why: String,
    /// The server accepted no more mail on this connection, or had closed it before anything of this mail was sent.
    pub(super) at_start: bool,
}

/// Recipients that the server refused while it accepted the mail for others, with its answers.
pub(super) type Refused = Vec<(String, String)>;

impl Session {
    /// Connects, and logs in if the server requires it.
    ///
    /// # Errors
    /// What happened, as the rest of a sentence that begins with the server's name.
    pub(super) fn open(server: &Server, trust: Option<Arc<ClientConfig>>) -> Result<Self, String> {
        let end = Instant::now() + server.patience * ALL_STEPS;
        let socket = connect(server)?;
        // An address literal, as RFC 5321 section 4.1.3 allows for hosts without a name: servers often do not accept
        // the host's own name.
        let hello = match socket.local_addr().map(|local| local.ip().to_canonical()) {
            Ok(IpAddr::V4(address)) => format!("[{address}]"),
            Ok(IpAddr::V6(address)) => format!("[IPv6:{address}]"),
            Err(_) => "localhost".to_owned(),
        };
        let timed = TimedStream { socket, end: Instant::now() + server.patience };
        let mut session = Self {
            stream: SmtpStream::Plain(timed),
            buffer: Vec::new(),
            patience: server.patience,
            end,
            hello: server.hello.clone().unwrap_or(hello),
            abilities: Vec::new(),
            broken: false,
            taken: 0,
        };
        if server.security == Security::Tls {
            session = session.encrypted(server, trust.clone())?;
        }
        session.answer(CONNECTION, 1)?.expect(CONNECTION, 200)?;
        session.greet()?;
        if server.security == Security::StartTls {
            if !session.can("STARTTLS") {
                return Err("does not offer STARTTLS; mail is sent over TLS only".to_owned());
            }
            session.command("STARTTLS", "STARTTLS", 200)?;
            session = session.encrypted(server, trust)?;
            session.greet()?;
        }
        if let Some(login) = &server.login {
            session.log_in(login, (&server.host, server.port))?;
        }
        Ok(session)
    }

    /// How many mails the server took.
    pub(super) fn taken(&self) -> usize {
        self.taken
    }

    /// Submits a mail. It is an error if the server accepts no recipient.
    ///
    /// # Errors
    /// What happened.
    pub(super) fn submit(&mut self, envelope: &Envelope, mail: &[u8]) -> Result<Refused, NotTaken> {
        let later = |why| NotTaken { why, at_start: false };
        self.end = Instant::now() + self.patience * ALL_STEPS;
        self.check_charset(envelope, mail).map_err(later)?;
        let eight_bit = if mail.is_ascii() { "" } else { " BODY=8BITMIME" };
        let utf8 = if is_ascii(envelope) { "" } else { " SMTPUTF8" };
        let from = envelope.from().map_or_else(String::new, ToString::to_string);
        let sender = self.ask(&format!("MAIL FROM:<{from}>{eight_bit}{utf8}"), &format!("the sender {from}"));
        sender.map_err(|why| NotTaken { why, at_start: true })?;
        let mut refused = Refused::new();
        for to in envelope.to() {
            match self.ask(&format!("RCPT TO:<{to}>"), &format!("the recipient {to}")) {
                Ok(()) => {}
                Err(why) if self.broken => return Err(later(why)),
                Err(why) => refused.push((to.to_string(), why)),
            }
        }
        if refused.len() == envelope.to().len() {
            let why: Vec<String> = refused.into_iter().map(|(_, why)| why).collect();
            return Err(later(why.join("; ")));
        }
        self.command("DATA", "DATA", 300).map_err(later)?;
        self.write(&dot_stuffed(mail), "the mail").map_err(later)?;
        let answer = self.answer("the mail", AFTER_MAIL).and_then(|answer| answer.expect("the mail", 200));
        answer.map_err(later)?;
        self.taken += 1;
        Ok(refused)
    }

    /// Resets the connection for another mail after a refused one; `None` if it is unusable.
    pub(super) fn reset(mut self) -> Option<Self> {
        (!self.broken && self.ask("RSET", "RSET").is_ok()).then_some(self)
    }

    /// Ends the connection. The mails are accepted, so errors do not matter.
    pub(super) fn quit(mut self) {
        let _ = self.write(b"QUIT\r\n", "QUIT");
    }
}

fn is_ascii(envelope: &Envelope) -> bool {
    envelope.from().into_iter().chain(envelope.to()).all(|address| address.to_string().is_ascii())
}

/// The mail with CR LF line ends, dot-stuffed and terminated.
fn dot_stuffed(mail: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(mail.len() + mail.len() / 50 + 5);
    for line in mail.split_inclusive(|&byte| byte == b'\n') {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.starts_with(b".") {
            out.push(b'.');
        }
        // Some servers take a lone carriage return for a line end, which could end the mail early.
        out.extend(line.iter().filter(|&&byte| byte != b'\r'));
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b".\r\n");
    out
}

/// A server's answer: a code and its lines.
struct SmtpReply {
    code: u16,
    lines: Vec<String>,
}

impl SmtpReply {
    /// The answer, if its code is in this hundred: 200 for done, 300 for continue.
    fn expect(self, what: &str, hundred: u16) -> Result<Self, String> {
        if self.code / 100 * 100 == hundred { Ok(self) } else { Err(format!("refused {what}: {}", self.shown())) }
    }

    fn shown(&self) -> String {
        let mut text = self.code.to_string();
        for line in self.lines.iter().filter(|line| !line.is_empty()) {
            let _ = write!(text, " {line}");
        }
        if text.chars().count() > SHOWN_CHARACTERS {
            text = text.chars().take(SHOWN_CHARACTERS).collect::<String>() + "...";
        }
        text
    }
}

impl Session {
    /// Starts TLS. Anything received before it came from somebody else.
    fn encrypted(mut self, server: &Server, trust: Option<Arc<ClientConfig>>) -> Result<Self, String> {
        if !self.buffer.is_empty() {
            return Err("sent more than it may before TLS".to_owned());
        }
        let name =
            ServerName::try_from(server.host.clone()).map_err(|_| "cannot be a name in a certificate".to_owned())?;
        let config = trust.ok_or_else(|| "has no roots to be trusted by".to_owned())?;
        let connection =
            ClientConnection::new(config, name).map_err(|error| format!("could not be reached by TLS: {error}"))?;
        self.begin_step(1);
        let SmtpStream::Plain(timed) = self.stream else { return Ok(self) };
        let mut stream = StreamOwned::new(connection, timed);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock).map_err(|error| tls_fault(&error, self.patience))?;
        }
        Ok(Self { stream: SmtpStream::Tls(Box::new(stream)), ..self })
    }

    fn greet(&mut self) -> Result<(), String> {
        let answer = self.command(&format!("EHLO {}", self.hello), "EHLO", 200)?;
        self.abilities = answer.lines.iter().skip(1).map(|line| line.to_ascii_uppercase()).collect();
        Ok(())
    }

    fn can(&self, word: &str) -> bool {
        self.abilities.iter().any(|line| line.split(' ').next() == Some(word))
    }

    /// Whether the server offers a mechanism; some servers write `AUTH=` for clients that cannot read the standard
    /// form.
    fn takes_login(&self, mechanism: &str) -> bool {
        let offers = |line: &str| {
            let words = line.strip_prefix("AUTH ").or_else(|| line.strip_prefix("AUTH="));
            words.is_some_and(|words| words.split(' ').any(|word| word == mechanism))
        };
        self.abilities.iter().any(|line| offers(line))
    }

    fn log_in(&mut self, login: &Login, place: (&str, u16)) -> Result<(), String> {
        let Login { user, secret, kind } = login;
        let what = format!("the login as {user}");
        match kind {
            LoginKind::Password if self.takes_login("PLAIN") => {
                let blob = STANDARD.encode(sasl::plain(user, secret.expose_secret()));
                self.command(&format!("AUTH PLAIN {blob}"), &what, 200).map(drop)
            }
            LoginKind::Password if self.takes_login("LOGIN") => {
                self.command("AUTH LOGIN", &what, 300)?;
                self.command(&STANDARD.encode(user), &what, 300)?;
                self.command(&STANDARD.encode(secret.expose_secret()), &what, 200).map(drop)
            }
            LoginKind::Password => Err("offers no login by password (AUTH PLAIN or LOGIN)".to_owned()),
            LoginKind::XOAuth2 => self.log_in_by_token("XOAUTH2", &sasl::xoauth2(user, secret), "", &what),
            LoginKind::OAuthBearer => {
                let message = sasl::oauthbearer(user, place, secret);
                self.log_in_by_token("OAUTHBEARER", &message, "\x01", &what)
            }
        }
    }

    /// In a separate step: a token is longer than a command may be (RFC 4954 section 4).
    fn log_in_by_token(&mut self, mechanism: &str, message: &[u8], last: &str, what: &str) -> Result<(), String> {
        if !self.takes_login(mechanism) {
            return Err(format!("offers no login by token (AUTH {mechanism})"));
        }
        self.command(&format!("AUTH {mechanism}"), what, 300)?;
        self.write(format!("{}\r\n", STANDARD.encode(message)).as_bytes(), what)?;
        let answer = self.answer(what, 1)?;
        if answer.code / 100 != 3 {
            return answer.expect(what, 200).map(drop);
        }
        // The token was refused: the challenge says why, and the exchange ends with one more line.
        let said = answer.lines.first().and_then(|line| STANDARD.decode(line).ok()).unwrap_or_default();
        let said = String::from_utf8_lossy(&said).chars().take(SHOWN_CHARACTERS).collect::<String>();
        let refused = self.command(&STANDARD.encode(last), what, 200).err();
        Err(format!("{}, and said {said}", refused.unwrap_or_else(|| format!("refused {what}"))))
    }

    /// A server without 8BITMIME or SMTPUTF8 would break non-ASCII characters.
    fn check_charset(&self, envelope: &Envelope, mail: &[u8]) -> Result<(), String> {
        if !mail.is_ascii() && !self.can("8BITMIME") {
            return Err("accepts only ASCII (it does not offer 8BITMIME), and the mail is not ASCII".to_owned());
        }
        if !is_ascii(envelope) && !self.can("SMTPUTF8") {
            return Err("accepts only ASCII addresses (it does not offer SMTPUTF8)".to_owned());
        }
        Ok(())
    }

    fn ask(&mut self, line: &str, what: &str) -> Result<(), String> {
        self.command(line, what, 200).map(drop)
    }

    fn command(&mut self, line: &str, what: &str, hundred: u16) -> Result<SmtpReply, String> {
        self.write(format!("{line}\r\n").as_bytes(), what)?;
        self.answer(what, 1)?.expect(what, hundred)
    }

    /// From now on the server has this many times its usual time.
    fn begin_step(&mut self, times: u32) {
        let end = (Instant::now() + self.patience * times).min(self.end);
        self.stream.timed().end = end;
    }

    fn write(&mut self, bytes: &[u8], what: &str) -> Result<(), String> {
        self.begin_step(1);
        let patience = self.patience;
        let written = self.stream.write_all(bytes).map_err(|error| wire_fault(&error, what, patience));
        written.inspect_err(|_| self.broken = true)
    }

    fn answer(&mut self, what: &str, times: u32) -> Result<SmtpReply, String> {
        self.read_answer(what, times).inspect_err(|_| self.broken = true)
    }

    fn read_answer(&mut self, what: &str, times: u32) -> Result<SmtpReply, String> {
        self.begin_step(times);
        let mut lines = Vec::new();
        loop {
            let line = self.line(what, self.patience * times)?;
            let garbage =
                || format!("did not answer in SMTP to {what}: {:?}", line.chars().take(60).collect::<String>());
            let code =
                line.get(..3).filter(|code| code.bytes().all(|byte| byte.is_ascii_digit())).ok_or_else(garbage)?;
            let code: u16 = code.parse().map_err(|_| garbage())?;
            let text = line.get(4..).unwrap_or_default().trim_end().to_owned();
            lines.push(text);
            match line.as_bytes().get(3) {
                None | Some(b' ') => return Ok(SmtpReply { code, lines }),
                Some(b'-') if lines.len() < LINES => {}
                Some(b'-') => return Err(format!("answered {what} with more than {LINES} lines")),
                Some(_) => return Err(garbage()),
            }
        }
    }

    fn line(&mut self, what: &str, patience: Duration) -> Result<String, String> {
        loop {
            if let Some(end) = memchr::memchr(b'\n', &self.buffer) {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return Ok(String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned());
            }
            if self.buffer.len() > LINE_BYTES {
                return Err(format!("answered {what} with a line longer than {LINE_BYTES} bytes"));
            }
            let mut bytes = [0; 1024];
            match self.stream.read(&mut bytes) {
                Ok(0) => return Err(format!("closed the connection instead of answering {what}")),
                Ok(count) => self.buffer.extend_from_slice(&bytes[..count]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(wire_fault(&error, what, patience)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::dot_stuffed;

    #[test]
    fn no_line_ends_the_mail_and_line_ends_are_cr_lf() {
        assert_eq!(dot_stuffed(b"a\n.\n..b\r\nc"), b"a\r\n..\r\n...b\r\nc\r\n.\r\n");
        assert_eq!(dot_stuffed(b"a\r.\r\nb\r\n"), b"a.\r\nb\r\n.\r\n");
        assert_eq!(dot_stuffed(b""), b".\r\n");
    }
}
