//! Filters a server's bytes before the IMAP parser sees them, so that only whole and harmless responses get through.
//!
//! The parser beneath async-imap ends the stream at a line it does not know, buffers up to 512 MiB, and panics on a
//! few malformed responses (`INTERNALDATE NIL`, a response code followed by a byte beyond ASCII). So the gate frames
//! responses itself, bounds lines and literals, drops untagged data nobody here asks for, and repairs or drops what
//! the parser could not take. It holds one response at a time; a long literal flows through without being held, once
//! what precedes it is found harmless. It does not interpret responses: that is the session's job.

use super::response::{
    DEPTH, ResponseKind, announced, depth, ends_with_body, kind, nil_date, parses, plain_text, squeeze, uid_in, words,
};
use crate::fetch::mailbox::error::ServerError;
use std::collections::VecDeque;
use std::io;

/// Longest text of one response without its literals; small under a fuzzer, so that its inputs reach it.
const TEXT_BYTES: usize = if cfg!(fuzzing) { 1 << 10 } else { 64 << 10 };
/// A literal up to this size is held until its response is complete; a longer one flows through.
const HELD_BYTES: u64 = if cfg!(fuzzing) { 40 } else { 1 << 20 };
/// Consecutive untagged responses dropped before a command is answered.
const DROPPED: u32 = 100_000;

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
    #[error("over {DROPPED} responses that nobody asked for")]
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

    /// What the server said when it hung up.
    pub(super) fn bye(&self) -> Option<&str> {
        self.bye.as_deref()
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

#[cfg(test)]
mod tests {
    use super::*;
    use async_imap::imap_proto::Response;
    use proptest::prelude::*;

    fn through(gate: &mut Gate) -> Vec<u8> {
        std::iter::from_fn(|| gate.take()).flatten().collect()
    }

    fn passed(bytes: &[u8]) -> Result<Vec<u8>, GateError> {
        let mut gate = Gate::new(1000);
        gate.feed(bytes)?;
        Ok(through(&mut gate))
    }

    #[test]
    fn what_nobody_asked_for_is_dropped_and_the_rest_goes_on() {
        let bytes =
            b"* NAMESPACE ((\"INBOX.\" \".\")) NIL NIL\r\n* X-NEW {3}\r\nabc thing\r\n* 2 EXISTS\r\nA1 OK done\r\n";
        assert_eq!(passed(bytes).unwrap(), b"* 2 EXISTS\r\nA1 OK done\r\n");
    }

    #[test]
    fn more_than_one_space_between_the_first_words_is_read() {
        for (sent, read) in [
            ("*  3 EXISTS\r\n", "* 3 EXISTS\r\n"),
            ("*   3  EXISTS \r\n", "* 3 EXISTS\r\n"),
            ("*  OK  [UIDVALIDITY 7] fine  so\r\n", "* OK [UIDVALIDITY 7] fine  so\r\n"),
            ("*  FLAGS  (\\Seen)\r\n", "* FLAGS (\\Seen)\r\n"),
            ("A1  OK  done\r\n", "A1 OK done\r\n"),
            ("*  1  FETCH (UID 7 BODY[] {5}\r\na  b\r)\r\n", "* 1 FETCH (UID 7 BODY[] {5}\r\na  b\r)\r\n"),
        ] {
            assert_eq!(String::from_utf8(passed(sent.as_bytes()).unwrap()).unwrap(), read, "{sent:?}");
        }
    }

    #[test]
    fn literals_may_be_cut_anywhere() {
        let bytes = b"* 1 FETCH (UID 7 BODY[] {12}\r\n* 9 EXISTS\r\n)\r\nA1 OK {5}\r\n* 3 EXISTS\r\n";
        for size in 1..bytes.len() {
            let mut gate = Gate::new(1000);
            for chunk in bytes.chunks(size) {
                gate.feed(chunk).unwrap();
            }
            assert_eq!(through(&mut gate), bytes);
        }
    }

    #[test]
    fn a_literal_over_the_limit_is_refused_before_it_is_read() {
        let found = passed(b"* 1 FETCH (UID 7 BODY[] {1001}\r\n").unwrap_err();
        assert_eq!(found, GateError::Literal { uid: Some(7), announced: 1001, limit: 1000 });
        let found = passed(b"* 1 FETCH (BODY[] {99999999999999999999999}\r\n").unwrap_err();
        assert_eq!(found, GateError::Literal { uid: None, announced: u64::MAX, limit: 1000 });
    }

    #[test]
    fn a_long_literal_flows_through_before_its_end() {
        let mut gate = Gate::new(4 << 20);
        gate.feed(b"* 1 FETCH (UID 7 BODY[] {2000000}\r\n").unwrap();
        gate.feed(&[b'x'; 1000]).unwrap();
        assert_eq!(through(&mut gate).len(), 35 + 1000);
        assert!(gate.is_within());
    }

    #[test]
    fn what_the_parser_does_not_survive_is_not_let_through_around_a_long_literal() {
        let body = [b"{2000000}\r\n".to_vec(), vec![b'x'; 2_000_000]].concat();
        for (before, behind) in [
            ("* 1 FETCH (INTERNALDATE NIL UID 7 BODY[] ", ")\r\n"),
            ("* 1 FETCH (UID 7 BODY[] ", " INTERNALDATE NIL)\r\n"),
            ("* 1 FETCH (UID 7 X-NEW (", "))\r\n"),
            (&("* 1 FETCH (UID 7 BODYSTRUCTURE ".to_owned() + &"(".repeat(60_000)), ")\r\n"),
        ] {
            let bytes = [before.as_bytes(), &body, behind.as_bytes()].concat();
            for size in [bytes.len(), bytes.len() - 2, 1_000_001] {
                let mut gate = Gate::new(4 << 20);
                let end = bytes.chunks(size).try_for_each(|chunk| gate.feed(chunk));
                assert!(matches!(end, Err(GateError::Garbage(_))), "{before:.40}: {end:?}");
                let through = through(&mut gate);
                assert!(nil_date(&through).is_none() && depth(&through) <= DEPTH, "{before:.40}");
            }
        }
    }

    #[test]
    fn bytes_of_a_literal_are_never_responses() {
        let literal = b")\r\n* 9 EXISTS\r\n* 1 FETCH (INTERNALDATE NIL)\r\n";
        for before in ["FLAGS (\\x ", "X-NEW (", "X-NEW ", "UID 7 FLAGS (a BODY[] "] {
            let head = format!("* 1 FETCH ({before}{{{}}}\r\n", literal.len());
            let bytes = [head.as_bytes(), literal, b"))\r\nA1 OK done\r\n"].concat();
            assert_eq!(passed(&bytes).unwrap(), b"A1 OK done\r\n", "{before}");
        }
    }

    #[test]
    fn an_endless_line_is_refused() {
        assert_eq!(passed(&vec![b'x'; TEXT_BYTES + 1]).unwrap_err(), GateError::Line);
        let mut gate = Gate::new(10);
        let part = b"* 1 FETCH (UID 7 BODY[] {0}\r\n".repeat(3000);
        assert_eq!(gate.feed(&part).unwrap_err(), GateError::Line);
    }

    #[test]
    fn a_flood_of_unknown_lines_is_refused() {
        let mut gate = Gate::new(10);
        let part = b"* RECENT\r\n".repeat(DROPPED as usize + 1);
        assert_eq!(gate.feed(&part).unwrap_err(), GateError::Flood);
    }

    #[test]
    fn nil_where_none_may_be_does_not_kill_the_parser() {
        let date = passed(b"* 1 FETCH (UID 7 internaldate nil RFC822.SIZE 3)\r\n").unwrap();
        assert_eq!(date, b"* 1 FETCH (UID 7 internaldate \"\" RFC822.SIZE 3)\r\n");
        let both = passed(b"* 1 FETCH (UID 7 INTERNALDATE NIL BODY[] {1}\r\nx)\r\n").unwrap();
        assert_eq!(both, b"");
        assert_eq!(passed(b"* 1 FETCH (UID NIL)\r\n").unwrap(), b"* 1 FETCH (UID NIL)\r\n");
    }

    #[test]
    fn text_beyond_ascii_is_made_plain() {
        assert_eq!(passed(b"A1 NO [ALERT]\xff\xfe caf\xc3\xa9\r\n").unwrap(), b"A1 NO [ALERT]?? caf??\r\n");
    }

    #[test]
    fn nesting_without_end_is_dropped() {
        let mut deep = b"* 1 FETCH (BODYSTRUCTURE ".to_vec();
        deep.extend(vec![b'('; 60_000]);
        deep.extend(b")\r\n");
        assert_eq!(passed(&deep).unwrap(), b"");
    }

    #[test]
    fn garbage_is_named() {
        assert_eq!(passed(b"HTTP/1.1 400 Bad\r\n").unwrap_err(), GateError::Garbage("HTTP/1.1 400 Bad".into()));
    }

    #[test]
    fn capabilities_and_last_words_are_kept() {
        let mut gate = Gate::new(10);
        gate.feed(b"* OK [CAPABILITY IMAP4rev1 starttls] hello\r\n").unwrap();
        assert_eq!(gate.capabilities(), Some(&["IMAP4REV1".to_owned(), "STARTTLS".to_owned()][..]));
        gate.feed(b"* CAPABILITY IMAP4rev2 AUTH=PLAIN\r\n* BYE too busy\r\nA1 NO [INUSE] later\r\n").unwrap();
        assert_eq!(gate.capabilities(), Some(&["IMAP4REV2".to_owned(), "AUTH=PLAIN".to_owned()][..]));
        assert_eq!((gate.bye(), gate.answer()), (Some("too busy"), "NO [INUSE] later"));
    }

    /// Parts of responses, used in wrong places.
    const PARTS: &[&[u8]] = &[
        b"* 1 FETCH (",
        b"UID 5 ",
        b"BODY[] ",
        b"{3}\r\n",
        b"abc",
        b"INTERNALDATE NIL",
        b")\r\n",
        b"\r\n",
        b"* OK [UIDNEXT 5]",
        b"A0001 OK ",
        b"* LIST (\\Noselect) \"/\" ",
        b"RFC822.SIZE 9 ",
        b"\"x\"",
        b"* FLAGS (",
        b"MODSEQ (",
        b"X-GM-LABELS (",
        b"EMAILID (",
        b"NIL",
        b"[ALERT]\xff",
        b"+ ",
        b"* STATUS x (MESSAGES 1)",
    ];

    proptest! {
        #[test]
        fn no_bytes_panic_and_all_that_passes_parses(parts in prop::collection::vec(prop_oneof![
            prop::collection::vec(any::<u8>(), 0..20),
            prop::sample::select(PARTS).prop_map(<[u8]>::to_vec),
        ], 0..30)) {
            let mut gate = Gate::new(1000);
            let end = gate.feed(&parts.concat());
            let bytes = through(&mut gate);
            let mut rest = &bytes[..];
            while let Ok((after, _)) = Response::parse(rest) {
                rest = after;
                if rest.is_empty() { break; }
            }
            prop_assert!(rest.is_empty(), "{end:?} left {:?}", String::from_utf8_lossy(rest));
        }
    }
}
