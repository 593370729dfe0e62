//! Frames: names and bodies, one after the other, piped in by another program.
//!
//! A frame is the length of a name (`u32`, little-endian), the name, the length of a body (`u32`, little-endian), and
//! the body. A frame of two zero lengths is a flush: the iterator ends, and can be used again for the frames after it.
//! Lengths are not trusted: memory grows with what arrives.

use crate::fetch::item::{FetchError, Fetched, Item};
use crate::limits::Limits;
use jiff::Timestamp;
use std::io::{self, Read};

/// A longer name is not plausible: the lengths are corrupt.
const NAME_BYTES: u32 = 64 << 10;

/// The frames of a stream.
#[derive(Debug)]
pub struct Frames<R> {
    reader: R,
    limits: Limits,
    now: Timestamp,
    count: u64,
    ended: bool,
}

impl<R: Read> Frames<R> {
    /// Reads frames; all items arrive `now`.
    pub fn new(reader: R, limits: Limits, now: Timestamp) -> Self {
        Self { reader, limits, now, count: 0, ended: false }
    }

    /// Whether more frames may follow the flush that ended the iterator.
    pub fn has_more(&self) -> bool {
        !self.ended
    }

    fn frame(&mut self) -> Result<Option<Fetched>, FetchError> {
        let Some(length) = self.length("the length of a name", true)? else {
            self.ended = true;
            return Ok(None);
        };
        self.count += 1;
        if length > NAME_BYTES {
            let expected = format!("a name of at most {NAME_BYTES} bytes");
            return Err(self.broken(expected, format!("a length of {length}")));
        }
        let name = self.bytes(length.into(), "bytes of a name")?;
        let Some(length) = self.length("the length of a body", false)? else { return Ok(None) };
        if name.is_empty() && length == 0 {
            self.count -= 1;
            return Ok(None);
        }
        let name = String::from_utf8_lossy(&name).into_owned();
        let origin = if name.is_empty() { format!("frame {}", self.count) } else { name.clone() };
        let (size, limit) = (u64::from(length), self.limits.item_bytes);
        if size > limit {
            self.pass_over(size)?;
            return Ok(Some(Fetched::TooLarge { origin, size, limit, message: None }));
        }
        let bytes = self.bytes(size, "bytes of a body")?;
        let name = name.rsplit('/').next().filter(|name| !name.is_empty()).map(str::to_owned);
        Ok(Some(Fetched::Item(Item { origin, name, bytes, arrival: self.now, message: None })))
    }

    /// A length; `None` at the end of the stream, if that is allowed.
    fn length(&mut self, what: &str, may_end: bool) -> Result<Option<u32>, FetchError> {
        let mut bytes = Vec::with_capacity(4);
        self.reader.by_ref().take(4).read_to_end(&mut bytes).map_err(|error| self.unread(error))?;
        match bytes.first_chunk::<4>() {
            Some(length) => Ok(Some(u32::from_le_bytes(*length))),
            None if bytes.is_empty() && may_end => Ok(None),
            None => Err(self.short(format!("4 bytes, {what}"), bytes.len() as u64)),
        }
    }

    fn bytes(&mut self, length: u64, what: &str) -> Result<Vec<u8>, FetchError> {
        let mut bytes = Vec::new();
        self.reader.by_ref().take(length).read_to_end(&mut bytes).map_err(|error| self.unread(error))?;
        let found = bytes.len() as u64;
        if found == length { Ok(bytes) } else { Err(self.short(format!("{length} {what}"), found)) }
    }

    fn pass_over(&mut self, length: u64) -> Result<(), FetchError> {
        let copied = io::copy(&mut self.reader.by_ref().take(length), &mut io::sink());
        let found = copied.map_err(|error| self.unread(error))?;
        if found == length { Ok(()) } else { Err(self.short(format!("{length} bytes of a body"), found)) }
    }

    fn unread(&self, source: io::Error) -> FetchError {
        FetchError::File { origin: format!("frame {}", self.count), action: "read", source }
    }

    fn short(&self, expected: String, found: u64) -> FetchError {
        self.broken(expected, format!("the end of the stream after {found}"))
    }

    fn broken(&self, expected: String, found: String) -> FetchError {
        FetchError::Frame { number: self.count, expected, found }
    }
}

impl<R: Read> Iterator for Frames<R> {
    type Item = Result<Fetched, FetchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        match self.frame() {
            Ok(fetched) => fetched.map(Ok),
            Err(error) => {
                // It is unknown where the next frame begins.
                self.ended = true;
                Some(Err(error))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(name: &str, body: &[u8]) -> Vec<u8> {
        let length = |bytes: usize| u32::try_from(bytes).unwrap().to_le_bytes();
        [&length(name.len())[..], name.as_bytes(), &length(body.len()), body].concat()
    }

    fn read(bytes: &[u8]) -> Vec<String> {
        let limits = Limits { item_bytes: 10, ..Limits::default() };
        let told = |fetched: Result<Fetched, FetchError>| match fetched {
            Ok(Fetched::Item(item)) => format!("{} {:?} {}", item.origin, item.name, item.bytes.len()),
            Ok(other) => format!("{other:?}"),
            Err(error) => error.to_string(),
        };
        Frames::new(bytes, limits, Timestamp::UNIX_EPOCH).map(told).collect()
    }

    #[test]
    fn a_frame_is_an_item_named_by_the_last_step_of_its_name() {
        let bytes = [frame("s3://lake/in/a.xml", b"<a/>"), frame("", b"<b/>")].concat();
        assert_eq!(read(&bytes), ["s3://lake/in/a.xml Some(\"a.xml\") 4", "frame 2 None 4"]);
        assert_eq!(read(b""), Vec::<String>::new());
    }

    #[test]
    fn an_empty_frame_flushes_and_the_next_one_continues() {
        let bytes = [frame("a", b"1"), frame("", b""), frame("b", b"2")].concat();
        let mut frames = Frames::new(&bytes[..], Limits::default(), Timestamp::UNIX_EPOCH);
        assert_eq!((frames.by_ref().count(), frames.has_more()), (1, true));
        assert_eq!((frames.by_ref().count(), frames.has_more()), (1, false));
    }

    #[test]
    fn a_body_over_the_limit_is_passed_over_and_the_next_frame_is_read() {
        let found = read(&[frame("big", &[7; 11]), frame("a", b"1")].concat());
        assert!(found[0].starts_with("TooLarge") && found[1] == "a Some(\"a\") 1", "{found:?}");
    }

    #[test]
    fn a_wrong_length_is_an_error_and_takes_no_memory() {
        let end = "the end of the stream after";
        let cases: [(&[u8], String); 4] = [
            (b"\x01\0", format!("frame 0: expected 4 bytes, the length of a name, found {end} 2")),
            (
                b"\xff\xff\xff\xff",
                "frame 1: expected a name of at most 65536 bytes, found a length of 4294967295".into(),
            ),
            (
                b"\x01\0\0\0a\xff\xff\xff\xffbody",
                format!("frame 1: expected 4294967295 bytes of a body, found {end} 4"),
            ),
            (b"\x01\0\0\0a\x09\0\0\0body", format!("frame 1: expected 9 bytes of a body, found {end} 4")),
        ];
        for (bytes, expected) in cases {
            assert_eq!(read(bytes), [expected]);
        }
    }
}
