//! Gzip files (RFC 1952): any number of members, and what may follow them.
//!
//! Comes in: bytes that begin like gzip. Goes out: what they inflate to, how long the gzip file is, and what follows.

use super::inflate::{Fault, Inflater, Wrapper};
use crate::limits::Meter;

/// A gzip file, opened.
#[derive(Debug)]
pub(super) struct Gzip {
    /// All members one after the other.
    pub(super) content: Vec<u8>,
    /// Where the last member ends.
    pub(super) end: usize,
    /// Bytes behind the end that are not the zeros of a block-sized store.
    pub(super) trailing: usize,
}

/// Inflate all members. One that is damaged costs the whole.
pub(super) fn open(bytes: &[u8], meter: &mut Meter) -> Result<Gzip, Fault> {
    let mut inflater = Inflater::new(Wrapper::Gzip);
    let mut content = Vec::new();
    let mut end = 0;
    while bytes[end..].starts_with(&[0x1f, 0x8b]) {
        meter.member()?;
        let hint = declared_size(bytes, bytes.len() - end);
        end += inflater.run(&bytes[end..], hint, &mut content, meter)?;
    }
    let trailing = bytes[end..].iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    Ok(Gzip { content, end, trailing })
}

/// What the last four bytes say the content's length is: a hint, and never believed beyond what gzip commonly does.
fn declared_size(bytes: &[u8], compressed: usize) -> usize {
    let declared = bytes.last_chunk().map_or(0, |last| u32::from_le_bytes(*last) as usize);
    let common = compressed.saturating_mul(64);
    if (compressed / 2..=common).contains(&declared) { declared } else { compressed.saturating_mul(4) }
}

/// A gzip file around a deflate stream: what a zip member is kept as, without compressing anything again.
pub(super) fn frame(deflate: &[u8], crc: u32, size: u32) -> Vec<u8> {
    // Method 8, no flags, no time, no extra flags, unknown system.
    const HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    [&HEAD[..], deflate, &crc.to_le_bytes(), &size.to_le_bytes()].concat()
}
