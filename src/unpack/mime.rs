//! The tree of parts of a message (RFC 2046), as a list of its leaves, still encoded, with section numbers as in IMAP.
//!
//! Attached messages are not opened here. The boundary search replaces mailparse's: a delimiter is a whole line, parts
//! and depth are metered, and one odd part does not spoil the others.

use super::header::Fields;
use crate::limits::{LimitExceeded, Meter};
use mailparse::ParsedContentType;
use memchr::memmem;

/// A part that is not a multipart.
#[derive(Debug)]
pub(super) struct Leaf<'b> {
    /// `1.2`: the second part of the first part.
    pub(super) section: String,
    /// Its header fields.
    pub(super) fields: Fields<'b>,
    /// Its `Content-Type`.
    pub(super) kind: ParsedContentType,
    /// Its body, still in its transfer encoding.
    pub(super) body: &'b [u8],
}

/// All leaves of a message, in order. `depth` counts the message itself.
pub(super) fn leaves<'b>(
    fields: Fields<'b>,
    body: &'b [u8],
    depth: u32,
    meter: &mut Meter,
) -> Result<Vec<Leaf<'b>>, LimitExceeded> {
    let mut tree = PartTree { leaves: Vec::new(), meter };
    let kind = fields.kind();
    tree.add(Leaf { section: String::new(), fields, kind, body }, depth)?;
    Ok(tree.leaves)
}

struct PartTree<'b, 'm, 'l> {
    leaves: Vec<Leaf<'b>>,
    meter: &'m mut Meter<'l>,
}

impl<'b> PartTree<'b, '_, '_> {
    /// Adds a part, or the parts in it.
    fn add(&mut self, mut part: Leaf<'b>, depth: u32) -> Result<(), LimitExceeded> {
        self.meter.part()?;
        self.meter.mail_depth(depth)?;
        if part.kind.mimetype.starts_with("multipart/")
            && let Some(delimiter) = delimiter(&part)
        {
            let digest = part.kind.mimetype == "multipart/digest";
            let inner = Parts::new(part.body, &delimiter);
            for (index, entity) in inner.enumerate() {
                let (fields, body) = Fields::split(entity);
                let mut kind = fields.kind();
                if digest && fields.content_type.is_none() {
                    "message/rfc822".clone_into(&mut kind.mimetype);
                }
                let dot = if part.section.is_empty() { "" } else { "." };
                let section = format!("{}{dot}{}", part.section, index + 1);
                self.add(Leaf { section, fields, kind, body }, depth + 1)?;
            }
            return Ok(());
        }
        if part.section.is_empty() {
            part.section.push('1');
        }
        self.leaves.push(part);
        Ok(())
    }
}

/// The delimiter of a multipart, `--` and its boundary; if the boundary is missing or never occurs, the first line that
/// can be one.
fn delimiter(part: &Leaf) -> Option<Vec<u8>> {
    let stated = part.kind.params.get("boundary").filter(|boundary| !boundary.is_empty());
    if let Some(boundary) = stated {
        let delimiter = [b"--", boundary.as_bytes()].concat();
        if find(part.body, 0, &delimiter).is_some() {
            return Some(delimiter);
        }
    }
    guess(part.body)
}

/// Guesses the delimiter: a line `--...` followed by a `Content-` field.
fn guess(body: &[u8]) -> Option<Vec<u8>> {
    // The longest preamble searched.
    const PREAMBLE: usize = 4096;
    let mut lines = body[..body.len().min(PREAMBLE)].split(|byte| *byte == b'\n');
    let mut line = lines.next()?;
    for next in lines {
        let candidate = line.trim_ascii_end();
        if candidate.len() > 2 && candidate.starts_with(b"--") && next.to_ascii_lowercase().starts_with(b"content-") {
            return Some(candidate.to_vec());
        }
        line = next;
    }
    None
}

/// The parts between the delimiters of a multipart body.
struct Parts<'b, 'd> {
    body: &'b [u8],
    delimiter: &'d [u8],
    /// Where the next part begins; `None` after the last.
    at: Option<usize>,
}

impl<'b, 'd> Parts<'b, 'd> {
    fn new(body: &'b [u8], delimiter: &'d [u8]) -> Self {
        let at = find(body, 0, delimiter).and_then(|line| line.next);
        Self { body, delimiter, at }
    }
}

impl<'b> Iterator for Parts<'b, '_> {
    type Item = &'b [u8];

    fn next(&mut self) -> Option<&'b [u8]> {
        let start = self.at.take()?;
        match find(self.body, start, self.delimiter) {
            Some(line) => {
                self.at = line.next;
                // The line end before a delimiter belongs to the delimiter; the first line of a part has none before
                // it.
                let part = &self.body[start..line.start.max(start)];
                let part = part.strip_suffix(b"\n").unwrap_or(part);
                Some(part.strip_suffix(b"\r").unwrap_or(part))
            }
            // No closing delimiter: the part extends to the end.
            None => Some(&self.body[start..]),
        }
    }
}

/// A delimiter line.
struct DelimiterLine {
    start: usize,
    /// Where the next part begins; `None` for the closing delimiter.
    next: Option<usize>,
}

/// The next line that is only this delimiter, `--` and white space.
fn find(body: &[u8], from: usize, delimiter: &[u8]) -> Option<DelimiterLine> {
    let mut at = from;
    loop {
        let start = at + memmem::find(&body[at..], delimiter)?;
        let behind = start + delimiter.len();
        at = behind;
        if start != from && body[start - 1] != b'\n' {
            continue;
        }
        let end = memchr::memchr(b'\n', &body[behind..]).map_or(body.len(), |length| behind + length + 1);
        let rest = body[behind..end].trim_ascii();
        match rest {
            b"" => return Some(DelimiterLine { start, next: (end < body.len()).then_some(end) }),
            b"--" => return Some(DelimiterLine { start, next: None }),
            _ => {}
        }
    }
}
