//! Filters a server's bytes before the IMAP parser sees them, so that only whole and harmless responses get through.
//!
//! The parser beneath async-imap ends the stream at a line it does not know, buffers up to 512 MiB, and panics on a few
//! malformed responses (`INTERNALDATE NIL`, a response code followed by a byte beyond ASCII). So the gate frames
//! responses itself, bounds lines and literals, drops untagged data that was not requested, and repairs or drops what
//! the parser could not take. It holds one response at a time; a long literal flows through without being held, once
//! what precedes it is found harmless. It does not interpret responses: that is the session's job.

use super::response::{
    DEPTH, ResponseKind, announced, depth, ends_with_body, kind, nil_date, parses, plain_text, squeeze, uid_in, words,
};
use crate::fetch::mailbox::error::ServerError;
use std::collections::VecDeque;
use std::io;

/// Longest text of one response without its literals; small under a fuzzer, so that its inputs reach it.
pub(super) const TEXT_BYTES: usize = if cfg!(fuzzing) { 1 << 10 } else { 64 << 10 };
/// A literal up to this size is held until its response is complete; a longer one flows through.
const HELD_BYTES: u64 = if cfg!(fuzzing) { 40 } else { 1 << 20 };
/// Consecutive untagged responses dropped before a command is answered.
pub(super) const DROPPED: u32 = 100_000;

/// Why a server's output cannot be read any further.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum GateError {
    /// A literal over the limit was announced; nothing of it was read.
    #[error("a literal of {announced} bytes was announced, the limit is {limit}")]
    Literal {
        /// The message's UID, if it came before the literal.
        uid: Option<u32>,
        /// The size the server announced.
        announced: u64,
        /// The limit.
        limit: u64,
    },
    /// A response without an end.
    #[error("a response line is longer than {TEXT_BYTES} bytes")]
    Line,
    /// Neither tagged, untagged nor a continuation.
    #[error("expected an IMAP response, found {0:?}")]
    Garbage(String),
    /// More unknown responses than any server needs to send.
    #[error("more than {DROPPED} unrequested responses")]
    Flood,
}

/// A stream error while doing this; the gate's own error is kept.
pub(super) fn stream_fault(doing: &str, error: &io::Error) -> ServerError {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<GateError>()) {
        Some(&GateError::Literal { uid, announced, .. }) => ServerError::Oversized { uid, announced },
        Some(other) => ServerError::lost(doing, other),
        None => ServerError::stream(doing, error),
    }
}

/// The position in a response of the next byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ParserState {
    Text,
    Literal { left: u64 },
}

/// The gate: feed it bytes, then take what it lets through.
#[derive(Debug)]
pub(super) struct Gate {
    place: ParserState,
    /// The response so far, in the form that is let through.
    held: Vec<u8>,
    /// The response so far with every literal emptied; this is what is checked.
    text: Vec<u8>,
    /// Where the current line begins in `text`.
    line: usize,
    /// The head of the response was let through already.
    flowing: bool,
    /// The parser would misread a literal of the response.
    odd: bool,
    literal_limit: u64,
    dropped: u32,
    through: VecDeque<Vec<u8>>,
    /// The last capabilities the server named, in upper case.
    capabilities: Option<Vec<String>>,
    /// The text of the last tagged response, after the tag.
    answer: String,
    /// The text of a `BYE`.
    bye: Option<String>,
}

impl Gate {
    /// A gate that accepts literals up to this size.
    pub(super) fn new(literal_limit: u64) -> Self {
        Self {
            place: ParserState::Text,
            held: Vec::new(),
            text: Vec::new(),
            line: 0,
            flowing: false,
            odd: false,
            literal_limit,
            dropped: 0,
            through: VecDeque::new(),
            capabilities: None,
            answer: String::new(),
            bye: None,
        }
    }

    /// Changes the largest accepted literal.
    pub(super) fn set_literal_limit(&mut self, limit: u64) {
        self.literal_limit = limit;
    }

    /// The last capabilities of the server.
    pub(super) fn capabilities(&self) -> Option<&[String]> {
        self.capabilities.as_deref()
    }

    /// Forgets the capabilities: they may differ after TLS and after the login.
    pub(super) fn forget_capabilities(&mut self) {
        self.capabilities = None;
    }

    /// The last tagged answer without its tag: `NO [AUTHENTICATIONFAILED] ...`.
    pub(super) fn answer(&self) -> &str {
        &self.answer
    }

    /// The server closed the connection while doing this: what it said.
    pub(super) fn hung_up(&self, doing: &str) -> ServerError {
        match &self.bye {
            Some(words) => ServerError::lost(doing, format_args!("the server hangs up: {words}")),
            None => ServerError::lost(doing, "the server closed the connection"),
        }
    }

    /// Whether a response has begun but not ended.
    pub(super) fn is_within(&self) -> bool {
        !self.text.is_empty()
    }

    /// The next run of bytes for the parser.
    pub(super) fn take(&mut self) -> Option<Vec<u8>> {
        self.through.pop_front()
    }

    /// Processes bytes from the server.
    ///
    /// # Errors
    /// The first unacceptable thing. Everything before it can still be taken.
    pub(super) fn feed(&mut self, mut bytes: &[u8]) -> Result<(), GateError> {
        while !bytes.is_empty() {
            let taken = match self.place {
                ParserState::Literal { left } => self.feed_literal(bytes, left),
                ParserState::Text => self.feed_text(bytes)?,
            };
            bytes = &bytes[taken..];
        }
        Ok(())
    }

    fn feed_literal(&mut self, bytes: &[u8], left: u64) -> usize {
        let taken = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
        self.held.extend_from_slice(&bytes[..taken]);
        let left = left - taken as u64;
        self.place = if left == 0 { ParserState::Text } else { ParserState::Literal { left } };
        if self.flowing {
            self.let_through();
        }
        taken
    }

    fn feed_text(&mut self, bytes: &[u8]) -> Result<usize, GateError> {
        let end = memchr::memchr(b'\n', bytes).map_or(bytes.len(), |at| at + 1);
        if self.text.len() + end > TEXT_BYTES {
            return Err(GateError::Line);
        }
        self.held.extend_from_slice(&bytes[..end]);
        self.text.extend_from_slice(&bytes[..end]);
        if self.text.ends_with(b"\r\n") {
            if self.line == 0 && squeeze(&mut self.text) {
                // There was no literal yet: both are the same.
                self.held.clone_from(&self.text);
            }
            match announced(&self.text, self.line) {
                Some((size, brace)) => self.begin_literal(size, brace)?,
                None => self.end_response()?,
            }
        }
        Ok(end)
    }

    fn begin_literal(&mut self, size: u64, brace: usize) -> Result<(), GateError> {
        if size > self.literal_limit {
            let (announced, limit) = (size, self.literal_limit);
            return Err(GateError::Literal { uid: uid_in(&self.text), announced, limit });
        }
        self.text.truncate(brace);
        self.text.extend_from_slice(b"{0}\r\n");
        self.line = self.text.len();
        if kind(&self.text) == ResponseKind::Fetch {
            self.flowing |= size > HELD_BYTES;
            self.odd |= !ends_with_body(&self.text);
            // The parser sees this much before the end is known.
            if self.flowing && self.odd {
                return Err(self.garbage());
            }
        }
        if size > 0 {
            self.place = ParserState::Literal { left: size };
        }
        Ok(())
    }

    fn end_response(&mut self) -> Result<(), GateError> {
        match kind(&self.text) {
            ResponseKind::Status { tagged } => {
                plain_text(&mut self.text);
                self.held.clone_from(&self.text);
                self.note_status(tagged);
                if !parses(&self.text) {
                    return Err(self.garbage());
                }
                if tagged {
                    self.dropped = 0;
                }
                self.let_through();
            }
            ResponseKind::Capability => {
                plain_text(&mut self.text);
                self.capabilities = Some(words(&self.text["* CAPABILITY".len()..]));
                self.drop_response()?;
            }
            ResponseKind::Fetch | ResponseKind::Data => {
                let repaired = self.repair();
                let whole = if self.flowing { &self.text } else { &self.held };
                if repaired && !self.odd && depth(&self.text) <= DEPTH && parses(&self.text) && parses(whole) {
                    self.let_through();
                } else if self.flowing {
                    return Err(self.garbage());
                } else {
                    self.drop_response()?;
                }
            }
            ResponseKind::Other => self.drop_response()?,
            ResponseKind::Garbage => return Err(self.garbage()),
        }
        self.held.clear();
        self.text.clear();
        self.line = 0;
        self.flowing = false;
        self.odd = false;
        Ok(())
    }

    /// Replaces a date `NIL`, on which the parser panics, with an empty one. Returns false if that is not possible.
    fn repair(&mut self) -> bool {
        let Some(nil) = nil_date(&self.text) else { return true };
        if self.held != self.text {
            return false; // a literal stands in the response: nobody asks for a date beside a body
        }
        self.text.splice(nil, *b"\"\"");
        self.held.clone_from(&self.text);
        nil_date(&self.text).is_none()
    }

    fn let_through(&mut self) {
        if !self.held.is_empty() {
            self.through.push_back(std::mem::take(&mut self.held));
        }
    }

    fn drop_response(&mut self) -> Result<(), GateError> {
        self.held.clear();
        self.dropped += 1;
        if self.dropped > DROPPED { Err(GateError::Flood) } else { Ok(()) }
    }

    fn garbage(&self) -> GateError {
        let start = &self.text[..self.text.len().min(60)];
        GateError::Garbage(String::from_utf8_lossy(start).trim_end().to_owned())
    }

    fn note_status(&mut self, tagged: bool) {
        let text = String::from_utf8_lossy(&self.text);
        let text = text.trim_end();
        if let Some((_, code)) = text.split_once("[CAPABILITY")
            && let Some((list, _)) = code.split_once(']')
        {
            self.capabilities = Some(words(list.as_bytes()));
        }
        if tagged {
            self.answer = text.split_once(' ').map_or("", |(_, rest)| rest).to_owned();
        } else if let Some(farewell) = text.strip_prefix("* BYE") {
            self.bye = Some(farewell.trim_start().to_owned());
        }
    }
}
