//! Mailboxes in one file: messages one after another, each after a `From ` line (RFC 4155 and relatives).
//!
//! Programs disagree about the content of that line: a sender and a date, a date with the zone in another place, or
//! nothing at all (Thunderbird since 2023). They agree that a header field follows, and this tells a separator from a
//! sentence that begins with "From". A `Content-Length` that leads exactly to the next separator is trusted, since
//! programs that write one do not quote `From ` lines.
//!
//! Messages are returned one at a time, without their `From ` line and with `>From ` unquoted; memory holds one message
//! and a buffer, however large the mailbox is.

use super::header;
use memchr::{memchr, memmem};
use std::io::{self, Read};

/// Bytes read at once; small under a fuzzer, so that its mailboxes are cut too.
const CHUNK: usize = if cfg!(fuzzing) { 64 } else { 1 << 20 };
/// The longest `From ` line, without its line end.
const LINE: usize = 1024;
/// Bytes examined of the line after a `From ` line: enough for the name of any field.
const NEXT: usize = header::NAME_WITHIN;
/// Bytes to examine again after reading more: a `From ` line that was cut, the blank line before it, and the start of
/// the line after it.
const AGAIN: usize = LINE + NEXT + b"\n\r\n".len();
/// How far into a message `Content-Length` is searched.
const HEADER: usize = 64 << 10;

/// A message of a mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MboxMessage {
    /// Its bytes.
    Whole(Vec<u8>),
    /// It was over the limit and was skipped; its size.
    TooLarge(u64),
}

/// The messages of a mailbox, in order.
#[derive(Debug)]
pub struct MboxMessages<R> {
    reader: R,
    /// The largest message that is kept.
    limit: u64,
    buffer: Vec<u8>,
    /// Where the unread part of the buffer begins.
    start: usize,
    ended: bool,
    begun: bool,
}

impl<R: Read> MboxMessages<R> {
    /// Splits this mailbox; messages over `limit` bytes are skipped.
    pub fn new(reader: R, limit: u64) -> Self {
        Self { reader, limit, buffer: Vec::new(), start: 0, ended: false, begun: false }
    }

    /// Reads more into the buffer, dropping what was consumed. False at the end.
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

    /// Skips the `From ` line at the start; anything else before the first one is the first message.
    fn pass_separator(&mut self) -> io::Result<()> {
        while self.buffer.len() - self.start <= LINE && self.fill()? {}
        self.start += from_line(&self.buffer[self.start..]);
        Ok(())
    }

    fn message(&mut self) -> io::Result<Option<MboxMessage>> {
        if !self.begun {
            self.begun = true;
            self.fill()?;
        }
        self.pass_separator()?;
        if self.start == self.buffer.len() && !self.fill()? {
            return Ok(None);
        }
        if let Some(end) = self.declared_end()? {
            return Ok(Some(self.cut(end, 0)));
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
            // Not counting the rest: it may contain a cut line after the message.
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

    /// Where the message ends by its `Content-Length`. Anybody can write that field, so it only counts if the next
    /// message begins right there and has one too, or the mailbox ends there.
    fn declared_end(&mut self) -> io::Result<Option<usize>> {
        while header_end(self.rest()).is_none() && self.rest().len() < HEADER && self.fill()? {}
        let Some((body, length)) = declared(self.rest()) else { return Ok(None) };
        let Some(end) = body.checked_add(length).filter(|end| *end as u64 <= self.limit) else { return Ok(None) };
        while self.rest().len() < end + AGAIN && self.fill()? {}
        let Some(behind) = self.rest().get(end..) else { return Ok(None) };
        let blank = behind.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        let behind = &behind[blank..];
        if behind.is_empty() {
            return Ok(Some(end + blank));
        }
        let line = from_line(behind);
        if line == 0 || !separates(behind, line, true) {
            return Ok(None);
        }
        // The next message's header, which may not have been read yet.
        let next = end + blank + line;
        while header_end(&self.rest()[next..]).is_none() && self.rest().len() < next + HEADER && self.fill()? {}
        Ok(declared(&self.rest()[next..]).map(|_| end + blank))
    }

    /// Bytes read but not consumed.
    fn rest(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    /// Consumes the message that ends here.
    fn cut(&mut self, end: usize, passed: u64) -> MboxMessage {
        let bytes = &self.buffer[self.start..self.start + end];
        self.start += end;
        let size = passed + bytes.len() as u64;
        if passed > 0 || size > self.limit { MboxMessage::TooLarge(size) } else { MboxMessage::Whole(unquote(bytes)) }
    }
}

impl<R: Read> Iterator for MboxMessages<R> {
    type Item = io::Result<MboxMessage>;

    fn next(&mut self) -> Option<Self::Item> {
        self.message().transpose()
    }
}

/// The length of the `From ` line at the start, including its line end; 0 if there is none.
fn from_line(bytes: &[u8]) -> usize {
    let end = memchr(b'\n', bytes);
    let fits = end.unwrap_or(bytes.len()) <= LINE && bytes.starts_with(b"From ");
    if fits { end.map_or(bytes.len(), |end| end + 1) } else { 0 }
}

/// Where the next separator begins. One that is not complete yet only counts at the end of the mailbox.
fn separator(bytes: &[u8], from: usize, ended: bool) -> Option<usize> {
    for found in memmem::find_iter(&bytes[from..], b"\nFrom ") {
        let start = from + found + 1;
        let line = from_line(&bytes[start..]);
        if line == 0 {
            continue;
        }
        let next = &bytes[start + line..];
        if !ended && next.len() < NEXT && memchr(b'\n', next).is_none() {
            return None;
        }
        let blank = bytes[..start].ends_with(b"\n\n") || bytes[..start].ends_with(b"\n\r\n");
        if separates(&bytes[start..], line, blank) {
            return Some(start);
        }
    }
    None
}

/// Whether these bytes begin with a separator line and a message after it.
pub(super) fn begins_mailbox(bytes: &[u8]) -> bool {
    let line = from_line(bytes);
    line > 0 && separates(bytes, line, true)
}

/// Whether a `From ` line of this length (including its line end) separates messages: by what follows it, by its
/// content, and by a blank line before it. The weaker one sign is, the stronger the others must be.
fn separates(bytes: &[u8], line: usize, blank: bool) -> bool {
    let (line, next) = bytes.split_at(line);
    let envelope = Envelope::of(line.get(b"From ".len()..).unwrap_or_default());
    let end = memchr(b'\n', next).unwrap_or(next.len());
    let next = next[..end].trim_ascii_end();
    // The header may begin with a quoted `From ` line of an older mailbox.
    match header::field(next) {
        _ if next.starts_with(b">From ") => envelope == Envelope::Dated,
        Some((name, _)) => match envelope {
            Envelope::Dated => true,
            Envelope::Sender => blank || header::is_of_mail(name),
            Envelope::Word => blank && header::is_of_mail(name),
            Envelope::Sentence => false,
        },
        // A message without header and body.
        None => next.is_empty() && blank && envelope == Envelope::Dated,
    }
}

/// The content of a `From ` line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Envelope {
    /// A day of the week and a time, as the format requires.
    Dated,
    /// Nothing, an address, or some part of a date.
    Sender,
    /// One word.
    Word,
    /// Words of a sentence.
    Sentence,
}

impl Envelope {
    fn of(text: &[u8]) -> Self {
        const DAYS: [&[u8]; 7] = [b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun"];
        let is_gap = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b',');
        let words = || text.split(is_gap).filter(|word| !word.is_empty());
        let is_year = |word: &[u8]| word.len() == 4 && word.iter().all(u8::is_ascii_digit);
        let timed = text.windows(5).any(|at| matches!(at, [b'0'..=b'9', b'0'..=b'9', b':', b'0'..=b'9', b'0'..=b'9']));
        let day = words().any(|word| DAYS.contains(&word));
        match words().next() {
            _ if timed && day => Self::Dated,
            None => Self::Sender,
            Some(first) if first == b"-" || first.contains(&b'@') => Self::Sender,
            _ if timed || day || words().any(is_year) => Self::Sender,
            _ if words().count() == 1 => Self::Word,
            _ => Self::Sentence,
        }
    }
}

/// Where the header of a message ends, including its blank line; `None` if that was not read yet, or is too far.
fn header_end(message: &[u8]) -> Option<usize> {
    let within = &message[..message.len().min(HEADER)];
    let bare = memmem::find(within, b"\n\n").map(|at| at + 2);
    let crlf = memmem::find(within, b"\n\r\n").map(|at| at + 3);
    bare.into_iter().chain(crlf).min()
}

/// Where the body of a message begins, and how long it is by its `Content-Length`.
fn declared(message: &[u8]) -> Option<(usize, usize)> {
    let body = header_end(message)?;
    let value = message[..body].split(|byte| *byte == b'\n').find_map(|line| {
        let (name, value) = header::field(line)?;
        name.eq_ignore_ascii_case(b"content-length").then_some(&line[value..])
    })?;
    let length = std::str::from_utf8(value.trim_ascii()).ok()?.parse().ok()?;
    Some((body, length))
}

/// Removes one `>` from lines that begin with `>From `, `>>From ` and so on, and the blank line at the end.
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

/// Splits a whole mailbox in memory: for each message the length of the line before it, and its bytes. [`MboxMessages`]
/// is tested against it.
#[cfg(any(test, fuzzing))]
pub(super) fn pieces(bytes: &[u8]) -> Vec<(usize, &[u8])> {
    let (mut pieces, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let rest = &bytes[at..];
        let line = from_line(rest);
        let message = &rest[line..];
        let end = whole_declared_end(message).or_else(|| separator(message, 0, true)).unwrap_or(message.len());
        pieces.push((line, &message[..end]));
        at += line + end;
    }
    pieces
}

/// Where a message ends by its `Content-Length`, with the whole mailbox in memory.
#[cfg(any(test, fuzzing))]
fn whole_declared_end(message: &[u8]) -> Option<usize> {
    let (body, length) = declared(message)?;
    let end = body.checked_add(length)?;
    let behind = message.get(end..)?;
    let blank = behind.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    let behind = &behind[blank..];
    let line = from_line(behind);
    let next = line > 0 && separates(behind, line, true) && declared(&behind[line..]).is_some();
    (behind.is_empty() || next).then_some(end + blank)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(mailbox: &str) -> Vec<String> {
        let whole = |message: MboxMessage| match message {
            MboxMessage::Whole(bytes) => String::from_utf8(bytes).unwrap(),
            MboxMessage::TooLarge(size) => panic!("{size} bytes"),
        };
        MboxMessages::new(mailbox.as_bytes(), u64::MAX).map(|message| whole(message.unwrap())).collect()
    }

    #[test]
    fn separators_of_real_programs_are_recognized_by_the_field_after_them() {
        let message = "Subject: x\n\nbody\n";
        for separator in [
            "From ",
            "From - Tue Nov 17 01:02:03 2026",
            "From a@example.com Tue Nov 17 01:02:03 2026",
            "From 1700000000000000000@xxx Tue Nov 17 01:02:03 +0000 2026",
            "From a@example.com 2026-11-17",
            "From alice Tue Nov 17 2026",
            "From MAILER-DAEMON",
            "From ???@??? Tue Nov 17 01:02:03 2026",
            "From a@example.com",
        ] {
            let mailbox = format!("{separator}\n{message}\n").repeat(3);
            assert_eq!(split(&mailbox), [message; 3], "{separator}");
            assert_eq!(split(&mailbox.replace('\n', "\r\n")).len(), 3, "{separator} and CR LF");
            assert!(begins_mailbox(mailbox.as_bytes()), "{separator}");
        }
        let mixed = format!(
            "From - Tue Nov 17 01:02:03 2026\n{message}\nFrom \nX-Mozilla-Status: 0001\n{message}\nFrom \nX-Y: 1\n{message}"
        );
        assert_eq!(split(&mixed).len(), 3);
    }

    #[test]
    fn sentences_are_no_separators() {
        for body in [
            "From here on all is well.\nFrom the top.\n",
            "\nFrom 10:30 on Tue we are closed\nand open again later\n",
            "\nFrom the team:\nNote: this is no field of a mail\n",
            "\nFrom the team\nTo: all of you\n",
            "\nFrom Bob\nNote: he is away\n",
            "\nFrom a@example.com we hear\n\nnothing\n",
            "text\nFrom the desk of\nSubject: a letter\n",
        ] {
            let mailbox = format!("From - Tue Nov 17 01:02:03 2026\nSubject: x\n\n{body}");
            assert_eq!(split(&mailbox).len(), 1, "{body}");
        }
    }

    #[test]
    fn a_content_length_that_leads_to_the_next_message_is_trusted() {
        let body = "text\n\nFrom a Tue Nov 17 01:02:03 2026\nSubject: quoted\n\nmore\n";
        let message = |length: usize| format!("Subject: x\nContent-Length: {length}\n\n{body}");
        let (right, wrong) = (message(body.len()), message(body.len() + 9));
        let line = "From - Tue Nov 17 01:02:03 2026\n";
        assert_eq!(split(&format!("{line}{right}\n{line}{right}\n")), [&right[..], &right]);
        assert_eq!(split(&format!("{line}{wrong}\n{line}{wrong}\n")).len(), 4);
        // A single message that says so may come from an attacker: it must not hide the next one.
        let other = format!("{line}Subject: y\n\nreport\n");
        let hiding = format!("Subject: x\nContent-Length: {}\n\n", other.len() + 7);
        let mailbox = format!("{line}{hiding}empty\n\n{other}\n{other}");
        assert_eq!(split(&mailbox).len(), 3);
    }

    #[test]
    fn a_mailbox_is_split_at_the_same_places_whatever_the_read_sizes() {
        let line = format!("From a@{} 01:10:00", "x".repeat(LINE - 16));
        assert_eq!(line.len(), LINE);
        for end in ["\n\n", "\r\n\r\n"] {
            for off in (0..8).chain(LINE - 4..LINE + 8) {
                // The line begins this many bytes before the first read ends.
                let size = CHUNK - off - end.len();
                let mailbox = [&b"x".repeat(size), end.as_bytes(), line.as_bytes(), b"\nSubject: y\n"].concat();
                let whole = pieces(&mailbox);
                assert_eq!(whole.len(), 2);
                // The first message is just within the limit, or just over it.
                for limit in [CHUNK as u64, (size + end.len()) as u64, (size + end.len() - 1) as u64] {
                    let read: Vec<MboxMessage> = MboxMessages::new(&mailbox[..], limit).map(Result::unwrap).collect();
                    let sizes: Vec<bool> =
                        read.iter().map(|message| matches!(message, MboxMessage::Whole(_))).collect();
                    assert_eq!(sizes, [size as u64 + end.len() as u64 <= limit, true], "{off} {limit}");
                }
            }
        }
    }

    #[test]
    fn a_line_too_long_for_a_separator_is_part_of_a_message() {
        let mailbox = ["From ", &"x".repeat(CHUNK), " 01:10:00\nSubject: y\n"].concat();
        let read: Vec<MboxMessage> = MboxMessages::new(mailbox.as_bytes(), u64::MAX).map(Result::unwrap).collect();
        assert_eq!(read, [MboxMessage::Whole(mailbox.into_bytes())]);
    }
}
