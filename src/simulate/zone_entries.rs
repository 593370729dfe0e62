//! The entries of a zone file (RFC 1035 section 5.1): words without comments, with escapes resolved and the lines in
//! parentheses joined.

use super::SimulationError;

/// A word of a line, with escapes resolved.
#[derive(Debug)]
pub(super) struct ZoneWord {
    pub(super) bytes: Vec<u8>,
    pub(super) quoted: bool,
}

impl ZoneWord {
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

/// The words between two significant line breaks.
#[derive(Debug)]
pub(super) struct ZoneEntry {
    pub(super) line: usize,
    /// Whether it begins with a blank: it has the same owner as the previous entry.
    pub(super) continued: bool,
    pub(super) words: Vec<ZoneWord>,
}

/// Splits the text into entries: removes comments and joins lines in parentheses.
pub(super) fn entries(text: &[u8]) -> Result<Vec<ZoneEntry>, SimulationError> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let mut entries = Vec::new();
    let (mut line, mut depth, mut at) = (1, 0_usize, 0);
    let mut entry = ZoneEntry { line, continued: false, words: Vec::new() };
    let mut fresh = true;
    let fault = |line: usize, why: &str| SimulationError::Zone { line, why: why.to_owned() };
    while let Some(byte) = text.get(at).copied() {
        match byte {
            b'\n' => {
                line += 1;
                at += 1;
                if depth == 0 {
                    if !entry.words.is_empty() {
                        entries.push(entry);
                    }
                    entry = ZoneEntry { line, continued: false, words: Vec::new() };
                    fresh = true;
                    continue;
                }
            }
            b' ' | b'\t' | b'\r' => {
                entry.continued |= fresh;
                at += 1;
            }
            b';' => at += text[at..].iter().position(|byte| *byte == b'\n').unwrap_or(text.len() - at),
            b'(' => (depth, at) = (depth + 1, at + 1),
            b')' => {
                depth = depth.checked_sub(1).ok_or_else(|| fault(line, "expected `(` before `)`, found none"))?;
                at += 1;
            }
            _ => {
                let (word, end) = word(text, at).map_err(|why| fault(line, why))?;
                entry.words.push(word);
                at = end;
            }
        }
        fresh = false;
    }
    if depth > 0 {
        return Err(fault(entry.line, "expected `)` after `(`, found the end of the file"));
    }
    if !entry.words.is_empty() {
        entries.push(entry);
    }
    Ok(entries)
}

/// The word at a position, and its end.
fn word(text: &[u8], start: usize) -> Result<(ZoneWord, usize), &'static str> {
    let quoted = text[start] == b'"';
    let (mut bytes, mut at) = (Vec::new(), if quoted { start + 1 } else { start });
    loop {
        match text.get(at).copied() {
            Some(b'"') if quoted => return Ok((ZoneWord { bytes, quoted }, at + 1)),
            None | Some(b'\n') if quoted => return Err("expected a closing quotation mark on this line, found none"),
            None | Some(b' ' | b'\t' | b'\r' | b'\n' | b';' | b'(' | b')' | b'"') if !quoted => {
                return Ok((ZoneWord { bytes, quoted }, at));
            }
            Some(b'\\') => {
                let digits = text.get(at + 1..at + 4).filter(|digits| digits.iter().all(u8::is_ascii_digit));
                let number = digits.and_then(|digits| std::str::from_utf8(digits).ok()?.parse::<u16>().ok());
                let (byte, length) = match (number.map(u8::try_from), text.get(at + 1)) {
                    (Some(Ok(byte)), _) => (byte, 4),
                    (Some(Err(_)), _) => return Err("expected a number up to 255 after the backslash"),
                    (None, Some(byte)) if *byte != b'\n' => (*byte, 2),
                    (None, _) => return Err("expected a character after the backslash, found the end of the line"),
                };
                bytes.push(byte);
                at += length;
            }
            Some(byte) => {
                bytes.push(byte);
                at += 1;
            }
            None => return Ok((ZoneWord { bytes, quoted }, at)),
        }
    }
}
