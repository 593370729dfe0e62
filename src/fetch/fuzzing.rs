//! Properties of frames and compressed mailboxes for any bytes. The functions panic if one does not hold; `fuzz/` and
//! the tests run them, and release builds leave them out.

#![allow(clippy::missing_panics_doc, reason = "to panic is what these are for")]

use super::files::frames::Frames;
use super::files::mbox::MboxReader;
use super::item::{FetchError, Fetched};
use crate::limits::Limits;
use jiff::Timestamp;
use std::io::{Cursor, Read};

/// As frames: reading byte by byte gives the same as reading at once, and written again they are read as the same.
pub fn frames(bytes: &[u8]) {
    let limits = Limits { item_bytes: 1000, ..Limits::default() };
    let (read, ended) = framed(bytes, &limits);
    assert_eq!(framed(OneByteReader(bytes), &limits), (read.clone(), ended), "however it is read");
    let mut again = Vec::new();
    let mut carried = 0;
    for (name, body) in &read {
        assert!(body.len() as u64 <= limits.item_bytes);
        carried += body.len();
        for part in [name.as_bytes(), body] {
            again.extend_from_slice(&u32::try_from(part.len()).expect("short").to_le_bytes());
            again.extend_from_slice(part);
        }
    }
    assert!(carried + 8 * read.len() <= bytes.len(), "{carried} bytes carried by {}", bytes.len());
    if read.iter().all(|(name, _)| name.len() <= 64 << 10) {
        assert_eq!(framed(&again[..], &limits), (read, true), "written and read");
    }
}

/// The items of the whole stream, and whether it ended properly.
fn framed(reader: impl Read, limits: &Limits) -> (Vec<(String, Vec<u8>)>, bool) {
    let mut frames = Frames::new(reader, limits.clone(), Timestamp::UNIX_EPOCH);
    let (mut items, mut whole) = (Vec::new(), true);
    loop {
        for fetched in frames.by_ref() {
            match fetched {
                Ok(Fetched::Item(item)) => items.push((item.origin, item.bytes)),
                Ok(Fetched::TooLarge { size, limit, .. }) => assert!(size > limit),
                Ok(other) => panic!("a frame is an item: {other:?}"),
                Err(error) => {
                    assert!(matches!(error, FetchError::Frame { .. }), "memory can be read: {error}");
                    whole = false;
                }
            }
        }
        if !frames.has_more() {
            assert!(frames.next().is_none(), "nothing comes behind the end");
            return (items, whole);
        }
    }
}

/// As a compressed mailbox: neither its bytes nor its messages exceed what a file of its size may contain.
pub fn compressed_mailbox(bytes: &[u8]) {
    let limits = Limits { inflated_bytes: 1000, mail_parts: 5, ..Limits::default() };
    let reader = Cursor::new(bytes.to_vec());
    let (mut made, mut count) = (0, 0);
    for fetched in MboxReader::compressed(String::new(), reader, &limits, Timestamp::UNIX_EPOCH) {
        match fetched {
            Ok(Fetched::Item(item)) => made += item.bytes.len() as u64,
            Ok(other) => panic!("a message is an item: {other:?}"),
            Err(_) => break,
        }
        count += 1;
    }
    let size = bytes.len() as u64;
    assert!(made <= size * Limits::MAILBOX_RATIO + limits.inflated_bytes, "{made} bytes of {size}");
    assert!(count <= size / Limits::MAILBOX_MESSAGE + u64::from(limits.mail_parts), "{count} messages of {size} bytes");
}

/// A reader that returns one byte at a time.
struct OneByteReader<'b>(&'b [u8]);

impl Read for OneByteReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = 1.min(buffer.len());
        self.0.read(&mut buffer[..count])
    }
}
