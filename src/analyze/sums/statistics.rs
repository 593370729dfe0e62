//! The sums everything is counted in. Additions saturate at 2^64 - 1, which keeps them associative.

use crate::model::Flags;
use serde::Serialize;

/// Messages by what passed. The JSON keys are a stable interface (`docs/design.md`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Sums {
    /// All.
    pub messages: u64,
    /// Those that pass DMARC: the first three buckets.
    pub dmarc_pass: u64,
    /// DKIM passes and aligns.
    pub dkim_aligned: u64,
    /// SPF passes and aligns.
    pub spf_aligned: u64,
    /// Bucket: both do.
    pub both: u64,
    /// Bucket: only DKIM does.
    pub dkim_only: u64,
    /// Bucket: only SPF does.
    pub spf_only: u64,
    /// Bucket: neither does.
    pub neither: u64,
    /// Rows.
    pub records: u64,
}

impl Sums {
    /// Adds messages and rows with the same flags.
    pub(crate) fn add(&mut self, flags: Flags, messages: u64, records: u64) {
        let (dkim, spf) = (flags.has(Flags::DKIM), flags.has(Flags::SPF));
        let bucket = match (dkim, spf) {
            (true, true) => &mut self.both,
            (true, false) => &mut self.dkim_only,
            (false, true) => &mut self.spf_only,
            (false, false) => &mut self.neither,
        };
        *bucket = bucket.saturating_add(messages);
        self.messages = self.messages.saturating_add(messages);
        self.records = self.records.saturating_add(records);
        for (sum, holds) in [
            (&mut self.dmarc_pass, flags.has(Flags::PASS)),
            (&mut self.dkim_aligned, dkim),
            (&mut self.spf_aligned, spf),
        ] {
            *sum = sum.saturating_add(if holds { messages } else { 0 });
        }
    }

    /// Adds other sums.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (sum, more) in [
            (&mut self.messages, other.messages),
            (&mut self.dmarc_pass, other.dmarc_pass),
            (&mut self.dkim_aligned, other.dkim_aligned),
            (&mut self.spf_aligned, other.spf_aligned),
            (&mut self.both, other.both),
            (&mut self.dkim_only, other.dkim_only),
            (&mut self.spf_only, other.spf_only),
            (&mut self.neither, other.neither),
            (&mut self.records, other.records),
        ] {
            *sum = sum.saturating_add(more);
        }
    }

    /// Messages that do not pass.
    pub fn failing(&self) -> u64 {
        self.messages - self.dmarc_pass
    }

    /// The DMARC pass rate; `None` if there are no messages.
    pub fn pass_rate(&self) -> Option<Rate> {
        Rate::of(self.dmarc_pass, self.messages)
    }
}

/// A share of messages: `part` of `whole`, which is never zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// The part.
    pub part: u64,
    /// The whole, at least 1.
    pub whole: u64,
}

impl Rate {
    /// `None` if there is no whole: "no data" is not 0%.
    pub fn of(part: u64, whole: u64) -> Option<Self> {
        (whole > 0).then_some(Self { part: part.min(whole), whole })
    }

    /// Between 0 and 1.
    #[expect(clippy::cast_precision_loss, reason = "a share needs no more than 52 bits")]
    pub fn share(self) -> f64 {
        self.part as f64 / self.whole as f64
    }
}

/// In JSON a rate is a number between 0 and 1.
impl Serialize for Rate {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.share())
    }
}
