//! The messages of a mailbox file, one item each, also out of a compressed mailbox.
//!
//! Comes in: a reader at the start of the mailbox. Goes out: its messages, numbered from 1. Memory holds one message.

use super::{FetchError, Fetched, Item};
use crate::unpack::mbox::{Message, Messages};
use flate2::bufread::GzDecoder;
use jiff::Timestamp;
use std::io::{self, BufRead, BufReader, Read};

/// A mailbox being read.
pub(super) struct Mailbox {
    origin: String,
    messages: Messages<Box<dyn Read + Send>>,
    count: u64,
    limit: u64,
    now: Timestamp,
}

impl Mailbox {
    pub(super) fn new(origin: String, reader: Box<dyn Read + Send>, limit: u64, now: Timestamp) -> Self {
        Self { origin, messages: Messages::new(reader, limit), count: 0, limit, now }
    }
}

impl Iterator for Mailbox {
    type Item = Result<Fetched, FetchError>;

    fn next(&mut self) -> Option<Self::Item> {
        let message = self.messages.next()?;
        self.count += 1;
        let origin = format!("{} > message {}", self.origin, self.count);
        Some(match message {
            Ok(Message::Whole(bytes)) => {
                Ok(Fetched::Item(Item { origin, name: None, bytes, arrival: self.now, message: None }))
            }
            Ok(Message::TooLarge(size)) => Ok(Fetched::TooLarge { origin, size, limit: self.limit, message: None }),
            Err(source) => Err(FetchError::File { origin: self.origin.clone(), action: "read", source }),
        })
    }
}

/// Whether an error is the content's, not the disk's: the compressed mailbox is damaged, or a bomb.
pub(super) fn is_damage(error: &FetchError) -> bool {
    use io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
    matches!(error, FetchError::File { action: "read", source, .. }
        if matches!(source.kind(), InvalidData | InvalidInput | UnexpectedEof))
}

/// The content of a gzip file, member after member, up to a bound; what follows the last member is passed over.
pub(super) struct Inflated<R> {
    /// The member being read; null at the end.
    member: Option<GzDecoder<BufReader<R>>>,
    room: u64,
}

impl<R: Read> Inflated<R> {
    /// Inflate this; more than `most` bytes are an error.
    pub(super) fn new(reader: R, most: u64) -> Self {
        Self { member: Some(GzDecoder::new(BufReader::with_capacity(1 << 18, reader))), room: most }
    }
}

impl<R: Read> Read for Inflated<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(mut member) = self.member.take() {
            let read = member.read(buffer)?;
            if read > 0 || buffer.is_empty() {
                self.member = Some(member);
                self.room = self.room.checked_sub(read as u64).ok_or_else(|| {
                    io::Error::new(io::ErrorKind::InvalidData, "it inflates to more than a mailbox would")
                })?;
                return Ok(read);
            }
            let mut rest = member.into_inner();
            if rest.fill_buf()?.first() == Some(&0x1f) {
                self.member = Some(GzDecoder::new(rest));
            }
        }
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write;

    fn gzip(content: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    fn inflate(bytes: &[u8], most: u64) -> io::Result<Vec<u8>> {
        let mut content = Vec::new();
        Inflated::new(bytes, most).read_to_end(&mut content).map(|_| content)
    }

    #[test]
    fn members_are_read_one_after_the_other_and_padding_is_passed_over() {
        let bytes = [gzip(b"one "), gzip(b"two"), vec![0; 512]].concat();
        assert_eq!(inflate(&bytes, 7).unwrap(), b"one two");
    }

    #[test]
    fn more_than_the_bound_and_damage_are_the_contents_fault() {
        let bytes = gzip(&[7; 5000]);
        for error in [inflate(&bytes, 4999).unwrap_err(), inflate(&bytes[..bytes.len() - 9], 5000).unwrap_err()] {
            assert!(is_damage(&FetchError::File { origin: String::new(), action: "read", source: error }));
        }
    }
}
