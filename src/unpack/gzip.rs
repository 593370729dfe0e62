//! Gzip files (RFC 1952): any number of members, and trailing bytes.

use super::inflate::{InflateError, Inflater, Wrapper};
use crate::limits::Meter;

/// A gzip file, opened.
#[derive(Debug)]
pub(super) struct Gzip {
    /// All members one after the other.
    pub(super) content: Vec<u8>,
    /// Where the last member ends.
    pub(super) end: usize,
    /// Bytes after the end that are not zero padding.
    pub(super) trailing: usize,
}

/// Inflates all members. A damaged one makes the whole file unreadable.
pub(super) fn open(bytes: &[u8], meter: &mut Meter) -> Result<Gzip, InflateError> {
    let mut inflater = Inflater::new(Wrapper::Gzip);
    let mut content = Vec::new();
    let mut end = 0;
    while bytes[end..].starts_with(&[0x1f, 0x8b]) {
        meter.member()?;
        let hint = if end == 0 { declared_size(bytes) } else { 0 };
        end += inflater.run(&bytes[end..], hint, &mut content, meter)?;
    }
    let trailing = bytes[end..].iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    Ok(Gzip { content, end, trailing })
}

/// The content's length according to the last four bytes: a hint. If it is wrong, the memory reserved is never written
/// to; if it is right, a large content is not copied while it grows.
fn declared_size(bytes: &[u8]) -> usize {
    let declared = bytes.last_chunk().map_or(0, |last| u32::from_le_bytes(*last) as usize);
    if declared >= bytes.len() / 2 { declared } else { bytes.len().saturating_mul(4) }
}

/// Wraps a deflate stream into a gzip file: zip members are kept in this form, without compressing anything again.
pub(super) fn frame(deflate: &[u8], content: &[u8], crc: u32) -> Vec<u8> {
    // Method 8, no flags, no time, no extra flags, unknown system.
    const HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    // The length modulo 2^32 (RFC 1952 section 2.3.1).
    let size = u32::try_from(content.len() as u64 & u64::from(u32::MAX)).expect("32 bits are left");
    [&HEAD[..], deflate, &crc.to_le_bytes(), &size.to_le_bytes()].concat()
}

/// Converts a zlib stream into a gzip file; `None` if it needs a preset dictionary, which gzip does not support.
pub(super) fn from_zlib(zlib: &[u8], content: &[u8]) -> Option<Vec<u8>> {
    const DICTIONARY: u8 = 0x20;
    let deflate = zlib.get(2..zlib.len().checked_sub(4)?)?;
    (zlib[1] & DICTIONARY == 0).then(|| frame(deflate, content, crc32(content)))
}

/// The checksum that gzip and zip share.
pub(super) fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}
