//! Inflates one compressed stream, metered.
//!
//! The meter is charged while bytes are produced, so a bomb costs its allowance and no more.

use crate::limits::{LimitExceeded, Meter};
use flate2::{Decompress, FlushDecompress, Status};

/// What is around the deflate stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wrapper {
    /// Nothing: a zip member.
    None,
    /// RFC 1950; its checksum is verified.
    Zlib,
    /// RFC 1952; its checksum and length are verified.
    Gzip,
}

/// Why a stream could not be inflated.
#[derive(Debug, thiserror::Error)]
pub(super) enum InflateError {
    #[error(transparent)]
    Limit(#[from] LimitExceeded),
    #[error("cut short: expected more bytes after {0}")]
    Cut(usize),
    #[error("damaged: {0}")]
    Damaged(String),
}

/// Inflates streams of one kind, one after the other.
pub(super) struct Inflater {
    stream: Decompress,
    wrapper: Wrapper,
    /// Whether a stream was read: resetting a gzip decompressor costs as much as making a new one.
    used: bool,
}

impl Inflater {
    pub(super) fn new(wrapper: Wrapper) -> Self {
        let stream = match wrapper {
            Wrapper::None => Decompress::new(false),
            Wrapper::Zlib => Decompress::new(true),
            Wrapper::Gzip => Decompress::new_gzip(15),
        };
        Self { stream, wrapper, used: false }
    }

    /// Inflates the stream at the start of `input` onto the end of `out`; `hint` is the expected length. Returns how
    /// many bytes of input it took.
    pub(super) fn run(
        &mut self,
        input: &[u8],
        hint: usize,
        out: &mut Vec<u8>,
        meter: &mut Meter,
    ) -> Result<usize, InflateError> {
        let allowance = usize::try_from(meter.allowance(input.len())).unwrap_or(usize::MAX);
        let overrun = meter.overrun(input.len());
        let start = out.len();
        if std::mem::replace(&mut self.used, true) {
            self.stream.reset(self.wrapper != Wrapper::None);
        }
        // After other members the capacity is doubled: each byte is moved a few times, not once per member.
        let reserve = if start == 0 { Vec::reserve_exact } else { Vec::reserve };
        reserve(out, hint.min(allowance).saturating_add(1));
        let mut charged = 0;
        let ended = loop {
            // Before the memory is used: a stream that states its length is inflated in one step.
            meter.announce((out.capacity() - out.len()) as u64);
            let status = self.step(input, out);
            if out.len() - start > allowance {
                break Err(overrun.into());
            }
            match status {
                Ok(Status::StreamEnd) => break Ok(self.taken()),
                Ok(_) if out.len() < out.capacity() => break Err(InflateError::Cut(input.len())),
                Ok(_) => {
                    let made = out.len() - start;
                    meter.charge((made - charged) as u64);
                    charged = made;
                    // Double the capacity, but never beyond the allowance.
                    reserve(out, made.max(32 << 10).min(allowance.saturating_add(1) - made));
                }
                Err(error) => break Err(error),
            }
        };
        meter.charge((out.len() - start - charged) as u64);
        ended
    }

    /// Fills the available capacity.
    fn step(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<Status, InflateError> {
        let rest = &input[self.taken()..];
        self.stream
            .decompress_vec(rest, out, FlushDecompress::Finish)
            .map_err(|error| InflateError::Damaged(error.message().unwrap_or("not a deflate stream").to_owned()))
    }

    fn taken(&self) -> usize {
        usize::try_from(self.stream.total_in()).expect("what was taken was in memory")
    }
}
