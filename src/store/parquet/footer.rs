//! Checks the footer of a Parquet file before anything is allocated by it.
//!
//! Parquet uses Thrift's compact encoding, whose lists and maps declare how many items follow. The reader allocates
//! that many at once, and if memory is short the program aborts: without an error or a panic that could be caught.

use polars_error::{PolarsResult, polars_err};
use std::fs::File;
use std::os::unix::fs::FileExt;

/// The footer's length and the magic number at the end.
const TAIL: u64 = 8;
/// Nested structs, lists and maps; ours and the format's have six.
const DEPTH: u32 = 32;

/// Checks that every list and map of the footer has enough bytes for its items. Anything that is not a footer is left
/// to the reader, which reports it.
pub(crate) fn check(file: &File) -> PolarsResult<()> {
    let size = file.metadata()?.len();
    let Some(end) = size.checked_sub(TAIL) else { return Ok(()) };
    let mut length = [0; 4];
    file.read_exact_at(&mut length, end)?;
    let Some(start) = end.checked_sub(u32::from_le_bytes(length).into()) else { return Ok(()) };
    let mut bytes = vec![0; usize::try_from(end - start).unwrap_or(usize::MAX)];
    file.read_exact_at(&mut bytes, start)?;
    Thrift(&bytes)
        .fields(DEPTH)
        .ok_or_else(|| polars_err!(ComputeError: "expected a footer whose lists fit in it, found none"))
}

/// Skips a value; `None` if the bytes end before the value does.
struct Thrift<'b>(&'b [u8]);

impl Thrift<'_> {
    /// The fields of a struct, to its end.
    fn fields(&mut self, depth: u32) -> Option<()> {
        loop {
            let head = self.byte()?;
            let kind = head & 15;
            if kind == 0 {
                return Some(());
            }
            if head >> 4 == 0 {
                self.number()?;
            }
            // A Boolean field has its value in its type.
            if !matches!(kind, 1 | 2) {
                self.value(kind, depth)?;
            }
        }
    }

    fn value(&mut self, kind: u8, depth: u32) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        match kind {
            1..=3 => self.byte().map(drop),
            4..=6 => self.number().map(drop),
            7 => self.skip(8),
            8 => {
                let length = self.number()?;
                self.skip(usize::try_from(length).ok()?)
            }
            9 | 10 => {
                let head = self.byte()?;
                let count = if head >> 4 == 15 { self.number()? } else { u64::from(head >> 4) };
                self.items(count, depth, &[head & 15])
            }
            11 => match self.number()? {
                0 => Some(()),
                count => {
                    let kinds = self.byte()?;
                    self.items(count, depth, &[kinds >> 4, kinds & 15])
                }
            },
            12 => self.fields(depth),
            _ => None,
        }
    }

    /// This many items, each with these values. None is shorter than a byte.
    fn items(&mut self, count: u64, depth: u32, kinds: &[u8]) -> Option<()> {
        if count > self.0.len() as u64 {
            return None;
        }
        (0..count).try_for_each(|_| kinds.iter().try_for_each(|kind| self.value(*kind, depth)))
    }

    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    fn skip(&mut self, count: usize) -> Option<()> {
        self.0 = self.0.get(count..)?;
        Some(())
    }

    /// Seven bits per byte, lowest first.
    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 127) << shift;
            if byte < 128 {
                return Some(number);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn footer(bytes: &[u8]) -> PolarsResult<()> {
        let mut file = tempfile::tempfile().unwrap();
        let length = u32::try_from(bytes.len()).unwrap().to_le_bytes();
        file.write_all(&[b"PAR1", bytes, &length, b"PAR1"].concat()).unwrap();
        check(&file)
    }

    #[test]
    fn a_list_longer_than_the_footer_is_refused_before_allocation() {
        // version 1; a schema of 2 empty structs, and of 2^31 - 1 of them.
        footer(&[0x15, 2, 0x19, 0x2c, 0, 0, 0]).unwrap();
        let told = footer(&[0x15, 2, 0x19, 0xfc, 0xff, 0xff, 0xff, 0xff, 7, 0, 0, 0]).unwrap_err().to_string();
        assert_eq!(told, "expected a footer whose lists fit in it, found none");
        // An unknown field with a map of more than there is.
        assert!(footer(&[0x15, 2, 0x7b, 0xff, 0xff, 3, 0x88, 0]).is_err());
        // Nested structs.
        assert!(footer(&[0x1c; 1000]).is_err());
    }

    #[test]
    fn what_is_no_footer_is_left_to_the_reader() {
        let mut file = tempfile::tempfile().unwrap();
        check(&file).unwrap();
        file.write_all(b"\xff\xff\xff\xffPAR1").unwrap();
        check(&file).unwrap();
    }
}
