//! The messages of a mailbox file, numbered from 1, one item each, also from a compressed mailbox.
//!
//! Memory holds one message at a time.

use crate::fetch::item::{FetchError, Fetched, Item};
use crate::limits::Limits;
use crate::unpack::mbox::{MboxMessage, MboxMessages};
use flate2::bufread::GzDecoder;
use jiff::Timestamp;
use std::io::{self, BufRead, BufReader, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A mailbox being read.
pub(crate) struct MboxReader {
    origin: String,
    messages: MboxMessages<Box<dyn Read + Send>>,
    count: u64,
    limit: u64,
    now: Timestamp,
    /// The bound of a compressed one.
    meter: Option<MailboxMeter>,
}

impl MboxReader {
    pub(crate) fn new(origin: String, reader: Box<dyn Read + Send>, limit: u64, now: Timestamp) -> Self {
        Self { origin, messages: MboxMessages::new(reader, limit), count: 0, limit, now, meter: None }
    }

    /// Reads a mailbox from a gzip file: its bytes and messages share one meter over the whole file.
    pub(crate) fn compressed(
        origin: String,
        reader: impl Read + Send + 'static,
        limits: &Limits,
        now: Timestamp,
    ) -> Self {
        let meter = MailboxMeter::new(limits);
        let reader = Box::new(Inflated::new(reader, meter.clone()));
        Self { meter: Some(meter), ..Self::new(origin, reader, limits.item_bytes, now) }
    }
}

impl Iterator for MboxReader {
    type Item = Result<Fetched, FetchError>;

    fn next(&mut self) -> Option<Self::Item> {
        let message = self.messages.next()?;
        self.count += 1;
        let message = match &self.meter {
            Some(meter) => message.and_then(|message| meter.message(self.count).map(|()| message)),
            None => message,
        };
        let origin = format!("{} > message {}", self.origin, self.count);
        Some(match message {
            Ok(MboxMessage::Whole(bytes)) => {
                Ok(Fetched::Item(Item { origin, name: None, bytes, arrival: self.now, message: None }))
            }
            Ok(MboxMessage::TooLarge(size)) => Ok(Fetched::TooLarge { origin, size, limit: self.limit, message: None }),
            Err(source) => Err(FetchError::File { origin: self.origin.clone(), action: "read", source }),
        })
    }
}

/// Whether an error is about the content, not the disk: the compressed mailbox is damaged, or a bomb.
pub(crate) fn is_damage(error: &FetchError) -> bool {
    use io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
    matches!(error, FetchError::File { action: "read", source, .. }
        if matches!(source.kind(), InvalidData | InvalidInput | UnexpectedEof))
}

/// Compares the output of a compressed mailbox with the input read so far: a mailbox may be of any size, but neither
/// its bytes nor its messages may reach many times the file. All layers share one count.
#[derive(Debug, Clone)]
pub(crate) struct MailboxMeter {
    /// Compressed bytes read.
    read: Arc<AtomicU64>,
    /// Bytes and messages that are free of charge.
    grace: (u64, u64),
}

impl MailboxMeter {
    /// Starts with nothing read; as much is free as a single item may contain.
    fn new(limits: &Limits) -> Self {
        Self { read: Arc::default(), grace: (limits.inflated_bytes, limits.mail_parts.into()) }
    }

    fn compressed(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// Whether this many bytes may have been inflated by now.
    fn inflated(&self, bytes: u64) -> io::Result<()> {
        let most = self.compressed().saturating_mul(Limits::MAILBOX_RATIO).saturating_add(self.grace.0);
        if bytes > most { Err(bomb(format!("more than {most} bytes"))) } else { Ok(()) }
    }

    /// Whether this many messages may have been found by now.
    fn message(&self, count: u64) -> io::Result<()> {
        let most = (self.compressed() / Limits::MAILBOX_MESSAGE).saturating_add(self.grace.1);
        if count > most { Err(bomb(format!("more than {most} messages"))) } else { Ok(()) }
    }
}

fn bomb(found: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("expected what a mailbox of its size may hold, found {found}"))
}

/// A reader that counts what is read.
struct CountedReader<R> {
    reader: R,
    meter: MailboxMeter,
}

impl<R: Read> Read for CountedReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        self.meter.read.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

/// The content of a gzip file, member after member, as far as the meter allows; trailing bytes are skipped.
struct Inflated<R> {
    /// The member being read; `None` at the end.
    member: Option<GzDecoder<BufReader<CountedReader<R>>>>,
    meter: MailboxMeter,
    made: u64,
}

impl<R: Read> Inflated<R> {
    fn new(reader: R, meter: MailboxMeter) -> Self {
        let reader = CountedReader { reader, meter: meter.clone() };
        Self { member: Some(GzDecoder::new(BufReader::with_capacity(1 << 16, reader))), meter, made: 0 }
    }
}

impl<R: Read> Read for Inflated<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(mut member) = self.member.take() {
            let read = member.read(buffer)?;
            if read > 0 || buffer.is_empty() {
                self.member = Some(member);
                self.made += read as u64;
                self.meter.inflated(self.made)?;
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

    fn inflate(bytes: &[u8], free: u64) -> io::Result<Vec<u8>> {
        let mut content = Vec::new();
        let meter = MailboxMeter::new(&Limits { inflated_bytes: free, ..Limits::default() });
        Inflated::new(bytes, meter).read_to_end(&mut content).map(|_| content)
    }

    #[test]
    fn members_are_read_one_after_the_other_and_padding_is_passed_over() {
        let bytes = [gzip(b"one "), gzip(b"two"), vec![0; 512]].concat();
        assert_eq!(inflate(&bytes, 7).unwrap(), b"one two");
    }

    #[test]
    fn exceeded_bounds_and_damage_are_faults_of_the_content() {
        let bytes = gzip(&vec![7; 100_000]);
        for error in [inflate(&bytes, 5000).unwrap_err(), inflate(&bytes[..bytes.len() - 9], 100_000).unwrap_err()] {
            assert!(is_damage(&FetchError::File { origin: String::new(), action: "read", source: error }));
        }
    }

    #[test]
    fn millions_of_empty_mails_in_a_small_file_are_stopped_by_its_size() {
        let bytes = gzip(&b"From a Mon Nov 16 00:00\n\n\n".repeat(300_000));
        let size = bytes.len() as u64;
        let limits = Limits::default();
        let mailbox = MboxReader::compressed(String::new(), io::Cursor::new(bytes), &limits, Timestamp::UNIX_EPOCH);
        let read: Vec<_> = mailbox.take(300_000).take_while(Result::is_ok).collect();
        let most = size / Limits::MAILBOX_MESSAGE + u64::from(limits.mail_parts);
        assert!((1000..=most).contains(&(read.len() as u64)), "{} of {most}", read.len());
    }

    #[test]
    fn a_mailbox_of_real_mails_may_have_any_size() {
        let mail = |number: u64| {
            let noise = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            format!(
                "From a Mon Nov 16 00:00:00 2026\nSubject: {number} {noise:x}\nMessage-ID: <{:x}@example.com>\nX: {:x}\n\n{:x}\n\n",
                noise.rotate_left(7) ^ number,
                noise.wrapping_mul(noise),
                noise.wrapping_mul(number + 7).wrapping_mul(0xd6e8_feb8_6659_fd93)
            )
        };
        let bytes = gzip((0..20_000).map(mail).collect::<String>().as_bytes());
        let mailbox =
            MboxReader::compressed(String::new(), io::Cursor::new(bytes), &Limits::default(), Timestamp::UNIX_EPOCH);
        assert_eq!(mailbox.flatten().count(), 20_000);
    }
}
