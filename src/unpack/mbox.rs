//! Mailboxes in one file: messages one behind the other, each behind a `From ` line (RFC 4155 and its kin).
//!
//! Comes in: any reader. Goes out: the messages, one at a time, without their `From ` line and with `>From ` unquoted;
//! memory holds one message and a buffer, however large the mailbox is.

use memchr::{memchr, memmem};
use std::io::{self, Read};

/// Bytes read at once.
const CHUNK: usize = 1 << 20;
/// A `From ` line is never longer.
const LINE: usize = 1024;

/// A message of a mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Its bytes.
    Whole(Vec<u8>),
    /// It was over the limit and was passed over; its size.
    TooLarge(u64),
}

/// The messages of a mailbox, in order.
#[derive(Debug)]
pub struct Messages<R> {
    reader: R,
    /// The largest message that is kept.
    limit: u64,
    buffer: Vec<u8>,
    /// Where the unread part of the buffer begins.
    start: usize,
    ended: bool,
    begun: bool,
}

impl<R: Read> Messages<R> {
    /// Split this mailbox; messages over `limit` bytes are passed over.
    pub fn new(reader: R, limit: u64) -> Self {
        Self { reader, limit, buffer: Vec::new(), start: 0, ended: false, begun: false }
    }

    /// Read more into the buffer, dropping what was taken. False at the end.
    fn fill(&mut self) -> io::Result<bool> {
        if self.ended {
            return Ok(false);
        }
        self.buffer.drain(..self.start);
        self.start = 0;
        let before = self.buffer.len();
        let wanted = CHUNK.max(before / 2);
        let read = self.reader.by_ref().take(wanted as u64).read_to_end(&mut self.buffer)?;
        self.ended = read == 0;
        Ok(read > 0)
    }

    /// Pass the `From ` line at the start; whatever else stands before the first one is the first message.
    fn pass_separator(&mut self) -> io::Result<()> {
        while self.buffer.len() - self.start < LINE && self.fill()? {}
        let rest = &self.buffer[self.start..];
        let line = &rest[..memchr(b'\n', rest).map_or(rest.len(), |end| end + 1)];
        if line.starts_with(b"From ") {
            self.start += line.len();
        }
        Ok(())
    }

    fn message(&mut self) -> io::Result<Option<Message>> {
        if !self.begun {
            self.begun = true;
            self.fill()?;
        }
        self.pass_separator()?;
        if self.start == self.buffer.len() && !self.fill()? {
            return Ok(None);
        }
        let mut passed = 0_u64;
        let mut scanned = 0;
        loop {
            let rest = &self.buffer[self.start..];
            if let Some(end) = separator(rest, scanned, self.ended) {
                let message = self.cut(end, passed);
                return Ok(Some(message));
            }
            scanned = rest.len().saturating_sub(LINE);
            if passed + rest.len() as u64 > self.limit {
                passed += scanned as u64;
                self.start += scanned;
                scanned = 0;
            }
            if !self.fill()? && self.ended {
                let rest = &self.buffer[self.start..];
                let end = separator(rest, scanned, true).unwrap_or(rest.len());
                return Ok(Some(self.cut(end, passed)));
            }
        }
    }

    /// Take the message that ends here.
    fn cut(&mut self, end: usize, passed: u64) -> Message {
        let bytes = &self.buffer[self.start..self.start + end];
        self.start += end;
        let size = passed + bytes.len() as u64;
        if passed > 0 || size > self.limit { Message::TooLarge(size) } else { Message::Whole(unquote(bytes)) }
    }
}

impl<R: Read> Iterator for Messages<R> {
    type Item = io::Result<Message>;

    fn next(&mut self) -> Option<Self::Item> {
        self.message().transpose()
    }
}

/// Where the next `From ` line begins. One that is cut by the end of the bytes only counts at the end of the mailbox.
fn separator(bytes: &[u8], from: usize, ended: bool) -> Option<usize> {
    for found in memmem::find_iter(&bytes[from..], b"\nFrom ") {
        let start = from + found + 1;
        let line = match memchr(b'\n', &bytes[start..]) {
            Some(length) => &bytes[start..start + length],
            None if ended => &bytes[start..],
            None => return None,
        };
        let blank = bytes[..start].ends_with(b"\n\n") || bytes[..start].ends_with(b"\n\r\n");
        if is_separator(line) && (blank || has_date(line)) {
            return Some(start);
        }
    }
    None
}

/// Whether a line is one between messages: `From `, and somewhere a time.
pub(super) fn is_separator(line: &[u8]) -> bool {
    line.len() <= LINE
        && line.starts_with(b"From ")
        && line.windows(5).any(|window| matches!(window, [b'0'..=b'9', b'0'..=b'9', b':', b'0'..=b'9', b'0'..=b'9']))
}

/// Whether it also names the day of the week, as the format wants: then no blank line need stand before it.
fn has_date(line: &[u8]) -> bool {
    const DAYS: [&[u8]; 7] = [b" Mon ", b" Tue ", b" Wed ", b" Thu ", b" Fri ", b" Sat ", b" Sun "];
    DAYS.iter().any(|day| memmem::find(line, day).is_some())
}

/// Take one `>` off lines that begin with `>From `, `>>From ` and so on, and the blank line off the end.
fn unquote(bytes: &[u8]) -> Vec<u8> {
    let bytes = bytes.strip_suffix(b"\n\n").map_or(bytes, |_| &bytes[..bytes.len() - 1]);
    let bytes = bytes.strip_suffix(b"\r\n\r\n").map_or(bytes, |_| &bytes[..bytes.len() - 2]);
    let mut message = Vec::with_capacity(bytes.len());
    let mut copied = 0;
    for found in memmem::find_iter(bytes, b"\n>") {
        let quote = found + 1;
        let marks = bytes[quote..].iter().take_while(|byte| **byte == b'>').count();
        if bytes[quote + marks..].starts_with(b"From ") {
            message.extend_from_slice(&bytes[copied..quote]);
            copied = quote + 1;
        }
    }
    message.extend_from_slice(&bytes[copied..]);
    message
}
