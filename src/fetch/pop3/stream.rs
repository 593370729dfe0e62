//! Reads a POP3 server's answers line by line, bounded in size and time, without dot-stuffing (RFC 1939 section 3).
//!
//! A server that sends more than it was asked for is out of sync: an answer could be taken for another command's.

use crate::fetch::mailbox::Patience;
use crate::fetch::mailbox::error::ServerError;
use crate::fetch::mailbox::tls::Socket;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time;

const READ_BYTES: usize = 64 << 10;
/// Bytes kept of a line outside messages. RFC 2449 section 4 allows 512.
const LINE_BYTES: usize = 4 << 10;
/// The longest answer of one line, kept or not.
const STATUS_BYTES: u64 = 64 << 10;
/// The longest multiline answer other than a message.
const LIST_BYTES: u64 = 64 << 20;
/// The slowest transfer that is waited for.
const SLOWEST_BYTES_A_SECOND: u64 = 2 << 10;
/// A message grows in memory by at least this much.
const GROWTH: usize = 256 << 10;

/// A server's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Pop3Status {
    /// `+OK`, and its text.
    Ok(String),
    /// `-ERR`, and its text.
    Err(String),
    /// `+`: the login exchange continues with this challenge.
    Continue(String),
}

impl Pop3Status {
    /// The text of an answer that ends something, or of a refusal.
    pub(super) fn text(self, doing: &str) -> Result<Result<String, String>, ServerError> {
        match self {
            Self::Ok(text) => Ok(Ok(text)),
            Self::Err(text) => Ok(Err(text)),
            Self::Continue(_) => Err(ServerError::lost(doing, "expected +OK or -ERR, found +")),
        }
    }
}

/// A message, or why there is none.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Body {
    Message(Vec<u8>),
    /// It is longer than the limit; the connection is unusable.
    TooLarge {
        /// Bytes read of it.
        at_least: u64,
    },
}

/// A connection to a POP3 server.
pub(super) struct LineStream {
    socket: Box<dyn Socket>,
    read: Box<[u8]>,
    /// Where the unused part of `read` begins.
    start: usize,
    end: usize,
    patience: Patience,
    /// When the current answer began.
    begun: Instant,
    received: u64,
}

impl std::fmt::Debug for LineStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LineStream").finish_non_exhaustive()
    }
}

impl LineStream {
    pub(super) fn new(socket: Box<dyn Socket>, patience: Patience) -> Self {
        let read = vec![0; READ_BYTES].into_boxed_slice();
        Self { socket, read, start: 0, end: 0, patience, begun: Instant::now(), received: 0 }
    }

    /// Returns the socket, unless something unrequested was received.
    pub(super) fn into_socket(self) -> Option<Box<dyn Socket>> {
        (self.start == self.end).then_some(self.socket)
    }

    /// Sends a line; returns the text of the answer, or of a refusal.
    pub(super) async fn ask(&mut self, doing: &str, line: &str) -> Result<Result<String, String>, ServerError> {
        self.command(doing, line).await?.text(doing)
    }

    /// Sends a line, and waits for the first line of the answer.
    pub(super) async fn command(&mut self, doing: &str, line: &str) -> Result<Pop3Status, ServerError> {
        self.send(doing, line).await?;
        self.status(doing).await
    }

    /// Sends a line.
    pub(super) async fn send(&mut self, doing: &str, line: &str) -> Result<(), ServerError> {
        if line.contains(['\r', '\n', '\0']) {
            return Err(ServerError::settled(format!("{doing}: expected text without line ends, found one")));
        }
        if self.start < self.end {
            return Err(ServerError::lost(doing, "the server sent more than it was asked for"));
        }
        let text = format!("{line}\r\n");
        let write = async {
            self.socket.write_all(text.as_bytes()).await?;
            self.socket.flush().await
        };
        match time::timeout(self.patience.command, write).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(ServerError::lost(doing, error)),
            Err(_) => Err(ServerError::lost(doing, "the server takes no command")),
        }
    }

    /// The first line of an answer.
    pub(super) async fn status(&mut self, doing: &str) -> Result<Pop3Status, ServerError> {
        self.status_and_end(doing).await.map(|(status, _)| status)
    }

    /// The first line of an answer, and whether it ends with CR LF as the standard requires.
    async fn status_and_end(&mut self, doing: &str) -> Result<(Pop3Status, bool), ServerError> {
        self.begin();
        let line = self.line(doing, STATUS_BYTES).await?;
        let crlf = line.ends_with(b"\r");
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end();
        let rest = |word: &str| {
            let (head, rest) = (text.get(..word.len())?, text.get(word.len()..)?);
            let whole = rest.is_empty() || rest.starts_with([' ', '\t']);
            (head.eq_ignore_ascii_case(word) && whole).then(|| rest.trim().to_owned())
        };
        let status = if let Some(text) = rest("+OK") {
            Pop3Status::Ok(text)
        } else if let Some(text) = rest("-ERR") {
            Pop3Status::Err(text)
        } else if let Some(text) = rest("+") {
            Pop3Status::Continue(text)
        } else {
            let found: String = text.chars().take(60).collect();
            return Err(ServerError::lost(doing, format_args!("expected +OK or -ERR, found {found:?}")));
        };
        Ok((status, crlf))
    }

    /// The lines that follow an `+OK`, up to the dot; `take` returns whether it wants more.
    pub(super) async fn lines(&mut self, doing: &str, mut take: impl FnMut(&[u8]) -> bool) -> Result<(), ServerError> {
        self.begin();
        loop {
            let left = LIST_BYTES.saturating_sub(self.received);
            let line = self.line(doing, left).await?;
            let line = line.strip_suffix(b"\r").unwrap_or(&line);
            match line {
                b"." => return Ok(()),
                [b'.', rest @ ..] if !take(rest) => {}
                [b'.', ..] => continue,
                line if !take(line) => {}
                _ => continue,
            }
            return Err(ServerError::lost(doing, "the answer has more lines than any mailbox has messages"));
        }
    }

    /// The answer to RETR: a message of at most this many bytes, or the server's refusal.
    pub(super) async fn message(&mut self, doing: &str, limit: u64) -> Result<Result<Body, String>, ServerError> {
        let (status, crlf) = self.status_and_end(doing).await?;
        match status.text(doing)? {
            Ok(_) => self.body(doing, limit, crlf).await.map(Ok),
            Err(refusal) => Ok(Err(refusal)),
        }
    }

    /// With `crlf` only CR LF ends a line: a server does not dot-stuff after a bare line feed in the message.
    async fn body(&mut self, doing: &str, limit: u64, crlf: bool) -> Result<Body, ServerError> {
        self.begin();
        let limit_here = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut body: Vec<u8> = Vec::new();
        let mut at_start = true;
        loop {
            let waiting = &self.read[self.start..self.end];
            let newline = memchr::memchr(b'\n', waiting);
            // Whether a dot is alone on its line is known only once the line is complete.
            if waiting.is_empty() || at_start && newline.is_none() && waiting.len() < 3 {
                self.fill(doing).await?;
                continue;
            }
            let piece = newline.map_or(waiting, |at| &waiting[..=at]);
            let used = piece.len();
            if at_start && (piece == b".\r\n" || !crlf && piece == b".\n") {
                self.start += used;
                return self.in_step(doing).map(|()| Body::Message(body));
            }
            let piece = if at_start { piece.strip_prefix(b".").unwrap_or(piece) } else { piece };
            if body.len() + piece.len() > limit_here {
                return Ok(Body::TooLarge { at_least: (body.len() + piece.len()) as u64 });
            }
            if body.capacity() - body.len() < piece.len() {
                // Never twice the limit, as doubling could reach.
                let more = (body.len() / 2).clamp(GROWTH, 8 << 20).max(piece.len());
                body.reserve_exact(more);
            }
            body.extend_from_slice(piece);
            at_start = newline.is_some() && (!crlf || body.ends_with(b"\r\n"));
            self.start += used;
        }
    }

    /// Only line ends may follow a message: anything else was part of it, and would be taken for the next answer.
    fn in_step(&mut self, doing: &str) -> Result<(), ServerError> {
        if self.read[self.start..self.end].trim_ascii().is_empty() {
            self.start = self.end;
            return Ok(());
        }
        Err(ServerError::lost(doing, "the server sent more after the end of the message"))
    }

    /// A line without its line feed. Only the start of a long line is kept.
    async fn line(&mut self, doing: &str, limit: u64) -> Result<Vec<u8>, ServerError> {
        let mut line = Vec::new();
        let mut length: u64 = 0;
        loop {
            let waiting = &self.read[self.start..self.end];
            let newline = memchr::memchr(b'\n', waiting);
            let piece = newline.map_or(waiting, |at| &waiting[..at]);
            length += piece.len() as u64;
            if length > limit {
                return Err(ServerError::lost(doing, format_args!("the answer is longer than {limit} bytes")));
            }
            line.extend_from_slice(&piece[..piece.len().min(LINE_BYTES - line.len())]);
            self.start += piece.len();
            if newline.is_some() {
                self.start += 1;
                return Ok(line);
            }
            self.fill(doing).await?;
        }
    }

    /// An answer begins: its time limit starts here.
    fn begin(&mut self) {
        self.begun = Instant::now();
        self.received = 0;
    }

    /// Reads more.
    async fn fill(&mut self, doing: &str) -> Result<(), ServerError> {
        self.read.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        let patience = &self.patience;
        let whole = patience.command * 2 + Duration::from_secs(self.received / SLOWEST_BYTES_A_SECOND);
        let left = whole.saturating_sub(self.begun.elapsed());
        let wait = patience.silence.min(left);
        let room = &mut self.read[self.end..];
        let count = match time::timeout(wait, self.socket.read(room)).await {
            Ok(Ok(0)) => return Err(ServerError::lost(doing, "the server closed the connection")),
            Ok(Ok(count)) => count,
            Ok(Err(error)) => return Err(ServerError::stream(doing, &error)),
            Err(_) if left <= patience.silence => return Err(ServerError::lost(doing, "the server is too slow")),
            Err(_) => {
                let silence = patience.silence;
                return Err(ServerError::lost(doing, format_args!("the server is silent for {silence:?}")));
            }
        };
        self.end += count;
        self.received += count as u64;
        Ok(())
    }
}
