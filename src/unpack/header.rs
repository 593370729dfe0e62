//! Header fields: where they end, their values, and encoded words in them.
//!
//! Only the fields needed here are kept, and they are bounded. mailparse unfolds them and decodes parameters (RFC 2231)
//! and encoded words (RFC 2047); it gets bounded text only, because its search for encoded words is quadratic.

use mailparse::{ParsedContentDisposition, ParsedContentType};
use memchr::memchr;

/// Bytes read of a field's value; the rest is ignored. RFC 5322 lines have up to 998.
const VALUE: usize = 2048;
/// Bytes kept of a file name.
const NAME: usize = 255;

/// The first occurrence of each needed field, as a raw value.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Fields<'b> {
    pub(super) content_type: Option<&'b [u8]>,
    pub(super) content_type_misspelt: Option<&'b [u8]>,
    pub(super) transfer_encoding: Option<&'b [u8]>,
    pub(super) disposition: Option<&'b [u8]>,
    pub(super) message_id: Option<&'b [u8]>,
    pub(super) date: Option<&'b [u8]>,
    pub(super) from: Option<&'b [u8]>,
    /// How many `From` fields there are: with more than one, it is unclear which counts.
    pub(super) from_fields: usize,
    pub(super) subject: Option<&'b [u8]>,
    pub(super) auto_submitted: Option<&'b [u8]>,
    pub(super) authentication_results: Option<&'b [u8]>,
    /// Apple Mail writes it in a part whose body is in another file.
    pub(super) apple_length: Option<&'b [u8]>,
}

impl<'b> Fields<'b> {
    /// Splits an entity into its fields and its body.
    pub(super) fn split(entity: &'b [u8]) -> (Self, &'b [u8]) {
        let mut fields = Self::default();
        let mut at = entity.len() - without_mailbox_line(entity).len();
        while at < entity.len() {
            let line = at..line_end(entity, at);
            if matches!(&entity[line.clone()], b"\n" | b"\r\n") {
                return (fields, &entity[line.end..]);
            }
            let Some((name, value)) = field(&entity[line.clone()]) else {
                // No field and no blank line: the body begins here anyway.
                return (fields, &entity[at..]);
            };
            at = line.end;
            while matches!(entity.get(at), Some(b' ' | b'\t')) {
                at = line_end(entity, at);
            }
            let value_start = line.start + value;
            fields.keep(name, &entity[value_start..at.min(value_start + VALUE)]);
        }
        (fields, &entity[entity.len()..])
    }

    fn keep(&mut self, name: &[u8], value: &'b [u8]) {
        let known: [(&str, &mut Option<&'b [u8]>); 11] = [
            ("content-type", &mut self.content_type),
            // Trustwave spells it without the hyphen.
            ("contenttype", &mut self.content_type_misspelt),
            ("content-transfer-encoding", &mut self.transfer_encoding),
            ("content-disposition", &mut self.disposition),
            ("message-id", &mut self.message_id),
            ("date", &mut self.date),
            ("from", &mut self.from),
            ("subject", &mut self.subject),
            ("auto-submitted", &mut self.auto_submitted),
            ("authentication-results", &mut self.authentication_results),
            ("x-apple-content-length", &mut self.apple_length),
        ];
        self.from_fields += usize::from(name.eq_ignore_ascii_case(b"from"));
        if let Some((_, slot)) = known.into_iter().find(|(field, _)| name.eq_ignore_ascii_case(field.as_bytes())) {
            slot.get_or_insert(value);
        }
    }

    /// `Content-Type`; `text/plain` where absent.
    pub(super) fn kind(&self) -> ParsedContentType {
        let raw = self.content_type.or(self.content_type_misspelt);
        raw.map_or_else(ParsedContentType::default, |raw| mailparse::parse_content_type(&unfold(raw)))
    }

    /// `Content-Disposition`.
    pub(super) fn disposition(&self) -> ParsedContentDisposition {
        self.disposition.map_or_else(Default::default, |raw| mailparse::parse_content_disposition(&unfold(raw)))
    }

    /// `Content-Transfer-Encoding` in lower case, without a comment or parameter after it.
    pub(super) fn encoding(&self) -> String {
        self.transfer_encoding.map_or_else(String::new, |raw| {
            let value = unfold(raw);
            let word = value.split(['(', ';']).next().unwrap_or_default();
            word.trim().trim_matches('"').to_ascii_lowercase()
        })
    }

    /// The part's file name, decoded.
    pub(super) fn file_name(&self, kind: &ParsedContentType) -> Option<String> {
        let name = self.disposition().params.remove("filename").or_else(|| kind.params.get("name").cloned())?;
        let name = if name.contains("=?") { decode_words(&name) } else { name };
        let name = name.trim();
        (!name.is_empty()).then(|| cut(name, NAME).to_owned())
    }
}

/// The entity without a leftover `From ` line of the mailbox it was in.
pub(super) fn without_mailbox_line(entity: &[u8]) -> &[u8] {
    let is_there = entity.starts_with(b"From ") || entity.starts_with(b">From ");
    &entity[if is_there { line_end(entity, 0) } else { 0 }..]
}

/// The end of the line that begins here, its line feed included.
fn line_end(bytes: &[u8], at: usize) -> usize {
    memchr(b'\n', &bytes[at..]).map_or(bytes.len(), |length| at + length + 1)
}

/// How many bytes into a line the field's name must end.
pub(super) const NAME_WITHIN: usize = 256;

/// A line's field name, and where its value begins; `None` if the line is no field.
pub(super) fn field(line: &[u8]) -> Option<(&[u8], usize)> {
    let colon = memchr(b':', line.get(..line.len().min(NAME_WITHIN))?)?;
    let name = line[..colon].trim_ascii_end();
    (!name.is_empty() && name.iter().all(u8::is_ascii_graphic)).then_some((name, colon + 1))
}

/// Fields that every delivered mail has some of, besides those that begin with `X-`; MIME fields alone are not enough.
const OF_MAIL: &[&str] = &[
    "from",
    "to",
    "date",
    "subject",
    "received",
    "return-path",
    "message-id",
    "delivered-to",
    "sender",
    "reply-to",
    "dkim-signature",
    "authentication-results",
    "received-spf",
    "arc-seal",
];

/// Whether a field with this name shows that the text is a mail's header.
pub(super) fn is_of_mail(name: &[u8]) -> bool {
    OF_MAIL.iter().any(|field| name.eq_ignore_ascii_case(field.as_bytes()))
        || name.get(..2).is_some_and(|start| start.eq_ignore_ascii_case(b"x-"))
}

/// A raw value on one line: UTF-8, else Latin-1.
pub(super) fn unfold(raw: &[u8]) -> String {
    let text = match std::str::from_utf8(raw) {
        Ok(text) => text.to_owned(),
        // A character cut by the bound is not Latin-1.
        Err(error) if error.error_len().is_none() => String::from_utf8_lossy(&raw[..error.valid_up_to()]).into_owned(),
        Err(_) => raw.iter().map(|byte| char::from(*byte)).collect(),
    };
    let mut lines = text.lines();
    let mut value = lines.next().unwrap_or_default().to_owned();
    for line in lines {
        value.push(' ');
        value.push_str(line.trim_start());
    }
    value.trim().to_owned()
}

/// Decodes encoded words (RFC 2047), also where none are allowed, such as in a quoted file name.
fn decode_words(text: &str) -> String {
    let line = format!("x: {}", cut(text, NAME * 3));
    mailparse::parse_header(line.as_bytes()).map_or_else(|_| text.to_owned(), |(header, _)| header.get_value())
}

/// Cuts to at most this many bytes, never inside a character.
pub(super) fn cut(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}
