//! Bounds of a database, and the form of the values that are taken from it.

/// Maximum size of a file, uncompressed: twice the largest known one.
pub(super) const FILE_BYTES: u64 = 1 << 30;
/// Maximum length of a name in characters.
pub(super) const NAME: usize = 100;
/// The first bytes of a gzip file.
pub(super) const GZIP: [u8; 2] = [0x1f, 0x8b];

/// A country code in upper case; `None` if it is something else.
pub(super) fn country(code: &str) -> Option<String> {
    let is_code = code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_alphabetic());
    is_code.then(|| code.to_ascii_uppercase())
}
