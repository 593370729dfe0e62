//! Mailboxes in one file: messages one behind the other, each behind a `From ` line (RFC 4155 and its kin).
//!
//! Comes in: any reader. Goes out: the messages, one at a time, without their `From ` line and with `>From ` unquoted;
//! memory holds one message and a buffer, however large the mailbox is.

use memchr::{memchr, memmem};
use std::io::{self, Read};

/// Bytes read at once; a fuzzer's small mailboxes must be cut somewhere too.
const CHUNK: usize = if cfg!(fuzzing) { 64 } else { 1 << 20 };
/// A `From ` line is never longer, its line end not counted.
const LINE: usize = 1024;
/// What must be looked at again once more is read: a `From ` line that was cut, and the blank line before it.
const AGAIN: usize = LINE + b"\n\r\n".len();

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
        while self.buffer.len() - self.start <= LINE && self.fill()? {}
        self.start += from_line(&self.buffer[self.start..]);
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
            scanned = rest.len().saturating_sub(AGAIN);
            // Not the rest: a line behind the message may be in it, cut.
            if passed + scanned as u64 > self.limit {
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

/// The length of the `From ` line at the start, its line end included; 0 where there is none.
fn from_line(bytes: &[u8]) -> usize {
    let end = memchr(b'\n', bytes);
    let fits = end.unwrap_or(bytes.len()) <= LINE && bytes.starts_with(b"From ");
    if fits { end.map_or(bytes.len(), |end| end + 1) } else { 0 }
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

/// All of a mailbox in memory, taken apart at once: for each message the length of the line before it, and the message as
/// it lies there. What [`Messages`] is held against.
#[cfg(any(test, fuzzing))]
pub(super) fn pieces(bytes: &[u8]) -> Vec<(usize, &[u8])> {
    let (mut pieces, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let rest = &bytes[at..];
        let line = from_line(rest);
        let message = &rest[line..];
        let end = separator(message, 0, true).unwrap_or(message.len());
        pieces.push((line, &message[..end]));
        at += line + end;
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mailbox_comes_apart_alike_wherever_what_is_read_at_once_ends() {
        let line = format!("From a{} 01:10:00", "x".repeat(LINE - 15));
        assert_eq!(line.len(), LINE);
        for end in ["\n\n", "\r\n\r\n"] {
            for off in (0..8).chain(LINE - 4..LINE + 8) {
                // The line begins so many bytes before the first read ends.
                let size = CHUNK - off - end.len();
                let mailbox = [&b"x".repeat(size), end.as_bytes(), line.as_bytes(), b"\nSubject: y\n"].concat();
                let whole = pieces(&mailbox);
                assert_eq!(whole.len(), 2);
                // The first message is just within the limit, or just over it.
                for limit in [CHUNK as u64, (size + end.len()) as u64, (size + end.len() - 1) as u64] {
                    let read: Vec<Message> = Messages::new(&mailbox[..], limit).map(Result::unwrap).collect();
                    let sizes: Vec<bool> = read.iter().map(|message| matches!(message, Message::Whole(_))).collect();
                    assert_eq!(sizes, [size as u64 + end.len() as u64 <= limit, true], "{off} {limit}");
                }
            }
        }
    }

    #[test]
    fn a_line_too_long_to_stand_between_messages_is_part_of_one() {
        let mailbox = ["From ", &"x".repeat(CHUNK), " 01:10:00\nSubject: y\n"].concat();
        let read: Vec<Message> = Messages::new(mailbox.as_bytes(), u64::MAX).map(Result::unwrap).collect();
        assert_eq!(read, [Message::Whole(mailbox.into_bytes())]);
    }
}
